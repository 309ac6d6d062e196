"""The torch engine: the model in PyTorch, on a CPU, on a GPU or in several processes."""
