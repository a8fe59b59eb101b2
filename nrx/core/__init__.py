"""The ground floor: dtypes, pytrees, arrays, primitives, tracers, and the IR. Everything else stands on it."""

from nrx.core import sources  # isort: skip  first of all: it notes when the import began
from nrx.core import pretty

__all__ = ["pretty", "sources"]
