"""Functions of SciPy, under the names of `jax.scipy`; its parts are imported when they are first used."""

import importlib
from typing import Any

_LAZY = (
    "cluster", "fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "spatial",
    "special", "stats",
)  # fmt: skip

__all__ = [*_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"nrx.scipy.{name}")
    raise AttributeError(f"module 'nrx.scipy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
