"""The operating system: files, locks, processes, hardware, and text for a terminal."""
