"""The lab: a page in which every number is the real program's. `session.py` is what the page can ask."""
