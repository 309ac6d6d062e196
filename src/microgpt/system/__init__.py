"""The operating system: files, locks, processes, memory, hardware, and text for people."""
