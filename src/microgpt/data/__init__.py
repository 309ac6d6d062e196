"""Text to token ids: sources, documents, tokenizers, and text beyond memory."""
