"""Arguments whose values decide shapes: they must be known, not traced."""

from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.errors import ArgumentTypeError
from nrx.core.trace import Tracer
from nrx.numpy.data import from_data


def known(name: str, value: Any, fix: str = "call it outside of jit, or make the argument static") -> np.ndarray:
    """An argument of `name` as NumPy data; ArgumentTypeError if it is traced."""
    if isinstance(value, Tracer):
        raise ArgumentTypeError(
            f"{name} of {value.aval}: the shape of the result depends on values, which are not known while tracing",
            fix=fix,
        )
    return np.asarray(value if isinstance(value, Array | np.ndarray) else from_data(value, None))
