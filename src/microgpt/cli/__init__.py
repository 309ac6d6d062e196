"""The command line, with one file per command.

A command parses its arguments, calls the package, and prints the result; the command itself computes nothing.
"""

HELP = ("--help", "-h")
