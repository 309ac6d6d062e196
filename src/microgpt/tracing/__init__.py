"""Tracing: every number of an execution of the reference, by its name."""
