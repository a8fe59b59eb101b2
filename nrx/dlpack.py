"""Exchange with other libraries, under the names of `jax.dlpack`."""

from typing import Any

from nrx.core.dtypes import COMPLEX, INTEGERS, bool_, canonical_dtype, float16, float32, float64
from nrx.numpy.data import from_dlpack

__all__ = ["from_dlpack", "is_supported_dtype"]


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of a dtype can be exchanged.

    Args:
        dtype: anything that names a dtype.

    Returns:
        A bool.

    >>> import nrx
    >>> nrx.dlpack.is_supported_dtype("float32"), nrx.dlpack.is_supported_dtype("bfloat16")
    (True, False)
    """
    return canonical_dtype(dtype) in (bool_, *INTEGERS, float16, float32, float64, *COMPLEX)
