"""Export: a model or its metrics for other programs."""
