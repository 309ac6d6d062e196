"""Runs: a model with its data, its random stream and its progress, and the folder that it is kept in."""
