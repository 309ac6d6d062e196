"""Playback: the program line by line, and backward() one += at a time."""
