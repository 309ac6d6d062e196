"""The active model: how it starts, trains, and survives a restart of the worker."""
