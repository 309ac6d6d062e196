"""The native engine: hand-written C, as a shared library or as WebAssembly."""
