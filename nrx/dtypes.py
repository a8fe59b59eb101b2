"""Dtypes, under the names of `jax.dtypes`.

>>> import nrx
>>> nrx.dtypes.result_type(nrx.numpy.arange(3), 1.5)
dtype('float32')
"""

from typing import Any

import numpy as np

from nrx.core.dtypes import canonical_dtype, extended, finfo, float0, iinfo, is_bool, is_complex, is_integer, prng_key
from nrx.core.errors import DTypeError as TypePromotionError
from nrx.numpy.scalar_types import bfloat16, issubdtype, result_type

__all__ = [
    "TypePromotionError", "bfloat16", "canonicalize_dtype", "extended", "finfo", "float0", "iinfo", "issubdtype",
    "itemsize_bits", "prng_key", "result_type", "scalar_type_of",
]  # fmt: skip


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> np.dtype:
    """The dtype that `dtype` names; JAX makes 64 bits 32 here unless they are switched on, nrx has both.

    Args:
        dtype: a dtype, its name, a scalar type, or Python's bool, int, float or complex.
        allow_extended_dtype: whether it may be the dtype of keys.

    Returns:
        A `numpy.dtype`.

    Raises:
        DTypeError: there is no such dtype, or it is that of keys.

    >>> import nrx
    >>> nrx.dtypes.canonicalize_dtype(float), nrx.dtypes.canonicalize_dtype("int64")
    (dtype('float32'), dtype('int64'))
    """
    found = canonical_dtype(dtype)
    if not allow_extended_dtype and issubclass(found.type, extended):
        raise TypePromotionError(f"{found} is not a dtype of numbers", fix="pass allow_extended_dtype=True")
    return found


def itemsize_bits(dtype: Any) -> int:
    """How many bits an element has.

    Args:
        dtype: anything that names a dtype.

    Returns:
        An int.

    >>> import nrx
    >>> nrx.dtypes.itemsize_bits("bfloat16")
    16
    """
    return 8 * canonical_dtype(dtype).itemsize


def scalar_type_of(x: Any) -> type:
    """The Python type of the numbers that an array holds.

    Args:
        x: an array or a number.

    Returns:
        `bool`, `int`, `float` or `complex`.

    Raises:
        DTypeError: it holds no numbers.

    >>> import nrx
    >>> nrx.dtypes.scalar_type_of(nrx.numpy.ones(3))
    <class 'float'>
    """
    dtype = canonicalize_dtype(x.dtype if hasattr(x, "dtype") else type(x))
    if is_bool(dtype):
        return bool
    if is_integer(dtype):
        return int
    return complex if is_complex(dtype) else float
