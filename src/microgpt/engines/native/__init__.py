"""The native engine: the algorithm by hand in C, as a shared library or as WebAssembly."""
