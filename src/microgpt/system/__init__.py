"""Operating-system support: files, locks, processes, memory, hardware, and text output."""
