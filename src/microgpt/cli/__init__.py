"""The command line, with one file for each command.

A command parses, calls and prints; it computes nothing itself.
"""
