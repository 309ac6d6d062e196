"""Tracing: record every number that an execution of the reference computes, by name."""
