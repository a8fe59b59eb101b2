"""Operands of the special functions: real, floating, of one shape and dtype."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.numpy.promotion import broadcast, promote_dtypes, reject_complex


def real_operands(name: str, *values: Any) -> list[Array]:
    """Operands of `name` as floating Arrays of their common shape and dtype."""
    arrays = broadcast(promote_dtypes(name, *values, inexact=True))
    reject_complex(name, *arrays)
    return arrays


def through_float32(function: Callable) -> Callable:
    """Compute a function of Arrays in float32 if they are narrower."""

    @wraps(function)
    def rounded(*arrays: Array) -> Array:
        dtype = arrays[0].dtype
        if dtypes.finfo(dtype).bits >= 32:
            return function(*arrays)
        return lax.convert_element_type(function(*(x.astype(dtypes.float32) for x in arrays)), dtype)

    return rounded
