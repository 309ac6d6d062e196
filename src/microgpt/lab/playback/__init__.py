"""The program played line by line, and backward one += at a time."""
