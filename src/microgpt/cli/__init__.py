"""The command line: a file for each command; it parses, calls and prints, and computes nothing itself."""
