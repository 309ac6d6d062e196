"""The benchmark: the engines' speed and their difference from the reference, measured side by side."""
