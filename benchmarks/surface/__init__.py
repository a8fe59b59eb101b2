"""Functions of NumPy's and JAX's surface one by one, beside both: the figures of docs/benchmarks/surface.md."""
