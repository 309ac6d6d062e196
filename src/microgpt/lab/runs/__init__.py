"""A lab session's runs: their texts, access to every step, and comparisons of two runs."""
