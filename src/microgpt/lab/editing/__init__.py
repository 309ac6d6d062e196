"""Editing the program: run an edited reference in place of the original."""
