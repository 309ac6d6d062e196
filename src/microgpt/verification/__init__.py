"""Verification: whether an engine or a port matches the reference, and how fast it is."""
