"""Arguments whose values decide shapes: they must be known, not traced."""

from typing import Any

import numpy as np

from nrx import lax
from nrx.core.array import Array
from nrx.core.errors import ArgumentTypeError
from nrx.core.trace import Tracer
from nrx.numpy.data import from_data

_FIX = "call it outside of jit, or make the argument static"


def known(name: str, value: Any, fix: str = _FIX) -> np.ndarray:
    """An argument of `name` as NumPy data; ArgumentTypeError if it is traced."""
    if isinstance(value, Tracer):
        raise ArgumentTypeError(
            f"{name} of {value.aval}: the shape of the result depends on values, which are not known while tracing",
            fix=fix,
        )
    return np.asarray(value if isinstance(value, Array | np.ndarray) else from_data(value, None))


def constant(name: str, value: Any, fix: str = _FIX) -> np.ndarray:
    """`known`, of an argument that decides between elements only: one that is being differentiated has its value."""
    return known(name, lax.stop_gradient(value) if isinstance(value, Tracer) else value, fix)
