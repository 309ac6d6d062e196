"""Runs: a model with its data, random stream and progress, and the folder that stores a run."""
