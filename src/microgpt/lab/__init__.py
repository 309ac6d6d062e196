"""The lab: an interactive page whose every number comes from the real program.

`session.py` is what the page can ask.
"""
