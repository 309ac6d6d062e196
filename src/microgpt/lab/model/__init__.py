"""The active model: requests that start it, train it, and restore it after the worker restarts."""
