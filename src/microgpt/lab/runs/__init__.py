"""The runs of a lab session: their texts, access to every step, and the comparison of two runs."""
