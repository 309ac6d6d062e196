"""Tracing: record every number of an execution of the reference, by name."""
