"""The active model: what it is, how it begins, how it is trained, and how it outlives the worker."""
