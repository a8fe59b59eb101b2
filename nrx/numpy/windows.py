"""Window functions for filters and spectra, and the Bessel function that one of them needs."""

from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.shapes import as_int
from nrx.numpy.data import cast
from nrx.numpy.promotion import as_inexact, reject_complex


def _length(name: str, M: Any) -> int:
    return max(as_int(M, f"{name}: the number of points"), 0)


def bartlett(M: int) -> Array:
    """A triangle: the Bartlett window.

    Args:
        M: the number of points, an int.

    Returns:
        A vector of shape (M,), of the default float.

    Raises:
        ArgumentError: M is negative.

    >>> jnp.bartlett(5)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return cast(np.bartlett(_length("bartlett", M)), dtypes.scalar_dtype(float))


def blackman(M: int) -> Array:
    """A sum of three cosines: the Blackman window.

    Args:
        M: the number of points, an int.

    Returns:
        A vector of shape (M,), of the default float.

    Raises:
        ArgumentError: M is negative.

    >>> jnp.blackman(5).round(2)
    Array([-0.  ,  0.34,  1.  ,  0.34, -0.  ], dtype=float32)
    """
    return cast(np.blackman(_length("blackman", M)), dtypes.scalar_dtype(float))


def hamming(M: int) -> Array:
    """A raised cosine that does not reach 0: the Hamming window.

    Args:
        M: the number of points, an int.

    Returns:
        A vector of shape (M,), of the default float.

    Raises:
        ArgumentError: M is negative.

    >>> jnp.hamming(3).round(2)
    Array([0.08, 1.  , 0.08], dtype=float32)
    """
    return cast(np.hamming(_length("hamming", M)), dtypes.scalar_dtype(float))


def hanning(M: int) -> Array:
    """A raised cosine: the Hann window.

    Args:
        M: the number of points, an int.

    Returns:
        A vector of shape (M,), of the default float.

    Raises:
        ArgumentError: M is negative.

    >>> jnp.hanning(5).round(2)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return cast(np.hanning(_length("hanning", M)), dtypes.scalar_dtype(float))


def kaiser(M: int, beta: Any) -> Array:
    """The Kaiser window, whose parameter chooses between a narrow peak and low side lobes.

    Args:
        M: the number of points, an int.
        beta: the parameter, a real scalar; differentiable.

    Returns:
        A vector of the dtype of beta, or of the default float.

    Raises:
        ArgumentError: M is negative.

    >>> jnp.kaiser(3, 0.0)
    Array([1., 1., 1.], dtype=float32)
    """
    n = _length("kaiser", M)
    beta = as_inexact("kaiser", beta)
    beta = lax.convert_element_type(beta, beta.dtype)
    share = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
    bend = cast(np.sqrt(1 - share**2), beta.dtype)
    return i0(beta * bend) / i0(beta)


def i0(x: Any) -> Array:
    """The modified Bessel function of the first kind and order 0, elementwise.

    Args:
        x: a real array.

    Returns:
        An array of the shape of x, of its dtype or the default float.

    Raises:
        DTypeError: x is complex.

    >>> jnp.i0(jnp.array([0.0, 1.0])).round(4)
    Array([1.    , 1.2661], dtype=float32)
    """
    x = as_inexact("i0", x)
    reject_complex("i0", x)
    return lax.exp(lax.abs(x)) * lax.bessel_i0e(x)
