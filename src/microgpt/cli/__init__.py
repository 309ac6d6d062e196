"""The command line, with one file for each command.

A command parses its arguments, calls the package, and prints the result; it computes nothing itself.
"""
