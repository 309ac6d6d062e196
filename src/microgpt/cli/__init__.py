"""The command line: it parses, calls and prints; what is computed is computed elsewhere."""
