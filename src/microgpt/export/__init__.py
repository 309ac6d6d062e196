"""Export a model or its metrics to other programs."""
