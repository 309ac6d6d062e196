"""The lab: an interactive page whose every number comes from the real program.

`session.py` handles the page's requests.
"""
