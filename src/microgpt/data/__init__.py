"""Convert text to token ids: sources, documents, tokenizers, the held-out split and prepared data."""
