"""The torch engine: the model in PyTorch, on a CPU, a GPU or many processes."""
