"""The runs of a lab session: the texts, the way back to every step, the saved session."""
