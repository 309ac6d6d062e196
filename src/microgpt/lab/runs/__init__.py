"""The runs of a lab session: the texts, access to every step, and the saved session."""
