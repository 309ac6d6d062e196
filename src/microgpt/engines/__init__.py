"""Engines: three implementations of the same model behind one interface."""
