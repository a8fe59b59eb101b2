"""Signs, rounding, and the parts of numbers, elementwise."""

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.numpy.arithmetic import add
from nrx.numpy.creation import full_like
from nrx.numpy.logic import where
from nrx.numpy.planning import Planned
from nrx.numpy.promotion import Elementwise, as_inexact, broadcast, promote_dtypes, reject_complex
from nrx.numpy.reductions import reject_out
from nrx.numpy.universal import universal
from nrx.ops import arithmetic as ops
from nrx.ops.common import as_arrays

_absolute = Elementwise("abs", ops.abs_p)


# Signs


@universal
def abs(x: Any, /) -> Array:
    """The absolute value, elementwise.

    Args:
        x: an array.

    Returns:
        An array of the shape and dtype of x; of complex numbers the modulus, which is real.

    >>> jnp.abs(jnp.array([-1.5, 2.0]))
    Array([1.5, 2. ], dtype=float32)
    """
    (array,) = as_arrays("abs", x)
    return array if dtypes.is_bool(array.dtype) or dtypes.is_unsigned(array.dtype) else _absolute(array)


absolute = abs


@universal
def fabs(x: Any, /) -> Array:
    """The absolute value in floating point, elementwise.

    Args:
        x: a real array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.fabs(jnp.array([-1, 2]))
    Array([1., 2.], dtype=float32)
    """
    array = as_inexact("fabs", x)
    reject_complex("fabs", array)
    return lax.abs(array)


@universal
def sign(x: Any, /) -> Array:
    """-1, 0 or 1 by the sign of x, elementwise; of -0.0 it is 0.0, as in NumPy.

    Args:
        x: an array of numbers.

    Returns:
        An array of the shape and dtype of x; of complex numbers x / abs(x).

    >>> jnp.sign(jnp.array([-2.5, 0.0, 3.0]))
    Array([-1.,  0.,  1.], dtype=float32)
    """
    return _sign(x)


@Planned
def _sign(x: Any) -> Array:
    out = lax.sign(*promote_dtypes("sign", x))
    if dtypes.is_floating(out.dtype):
        return add(out, 0.0)  # -0.0 becomes 0.0
    return lax.select(lax.eq(out, 0), lax.full_like(out, 0), out) if dtypes.is_complex(out.dtype) else out


@universal
def signbit(x: Any, /) -> Array:
    """Whether the sign bit is set, elementwise: also of -0.0, and of NaNs that have it.

    Args:
        x: a real array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.signbit(jnp.array([-1.0, -0.0, 0.0]))
    Array([ True,  True, False], dtype=bool)
    """
    (array,) = as_arrays("signbit", x)
    reject_complex("signbit", array)
    if dtypes.is_bool(array.dtype) or dtypes.is_unsigned(array.dtype):
        return full_like(array, False, bool)
    if dtypes.is_floating(array.dtype):
        array = lax.bitcast_convert_type(array, f"int{array.dtype.itemsize * 8}")
    return lax.lt(array, lax.full_like(array, 0))


@universal
def copysign(x: Any, y: Any, /) -> Array:
    """The magnitude of x with the sign of y, elementwise.

    Args:
        x: a real array; integers are converted to the default float.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape.

    >>> jnp.copysign(3.0, jnp.array([-1.0, -0.0, 2.0]))
    Array([-3., -3.,  3.], dtype=float32)
    """
    x, y = broadcast(promote_dtypes("copysign", x, y, inexact=True))
    magnitude = lax.abs(x)
    return lax.select(signbit(y), lax.neg(magnitude), magnitude)


@universal
def heaviside(x1: Any, x2: Any, /) -> Array:
    """0 where x1 is negative, x2 where it is 0, 1 where it is positive, NaN where it is NaN; elementwise.

    Args:
        x1: a real array; integers are converted to the default float.
        x2: an array that broadcasts with x1.

    Returns:
        An array of their common shape.

    >>> jnp.heaviside(jnp.array([-2.0, 0.0, 3.0]), 0.5)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x, middle = broadcast(promote_dtypes("heaviside", x1, x2, inexact=True))
    reject_complex("heaviside", x)
    zero, one = lax.full_like(x, 0), lax.full_like(x, 1)
    step = lax.select(lax.lt(x, zero), zero, lax.select(lax.gt(x, zero), one, middle))
    return lax.select(lax.ne(x, x), x, step)


# Rounding


def round(a: Any, decimals: int = 0, out: None = None) -> Array:
    """The nearest number with so many decimals, elementwise; halves go to the even neighbour.

    Args:
        a: an array; of complex numbers both parts are rounded.
        decimals: the number of decimals; negative ones round to tens, hundreds, …
        out: must be None.

    Returns:
        An array of the shape and dtype of a.

    >>> jnp.round(jnp.array([0.5, 1.5, 2.567]))
    Array([0., 2., 3.], dtype=float32)
    >>> jnp.round(jnp.array([1.234, 5.678]), 1)
    Array([1.2, 5.7], dtype=float32)
    """
    reject_out("round", out)
    return _round(a, decimals=index(decimals))


around = round


@Planned
def _round(a: Any, *, decimals: int) -> Array:
    (x,) = as_arrays("round", a)
    if dtypes.is_complex(x.dtype):
        return lax.complex(*(_round(part, decimals=decimals) for part in (lax.real(x), lax.imag(x))))
    if dtypes.is_bool(x.dtype) or (dtypes.is_integer(x.dtype) and decimals >= 0):
        return x
    if dtypes.is_floating(x.dtype) and not decimals:
        return lax.round(x, 1)
    in_single = dtypes.is_narrow(x.dtype) or x.dtype == dtypes.float32
    wide = lax.convert_element_type(x, dtypes.float32 if in_single else dtypes.float64)
    scale, unscale = (lax.mul, lax.div) if decimals > 0 else (lax.div, lax.mul)
    factor = 10.0 ** np.abs(decimals).item()
    scaled = scale(wide, factor)
    rounded = lax.select(lax.is_finite(scaled), unscale(lax.round(scaled, 1), factor), wide)
    return lax.convert_element_type(rounded, x.dtype, x.weak_type)


@universal
def rint(x: Any, /) -> Array:
    """The nearest integer in floating point, elementwise; halves go to the even neighbour.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.rint(jnp.array([0.5, 1.5, -1.7]))
    Array([ 0.,  2., -2.], dtype=float32)
    """
    return round(as_inexact("rint", x))


def _whole(name: str, function: Callable, x: Any) -> Array:
    (array,) = as_arrays(name, x)
    reject_complex(name, array)
    return function(array) if dtypes.is_floating(array.dtype) else array


@universal
def floor(x: Any, /) -> Array:
    """The largest integer not above x, elementwise.

    Args:
        x: a real array.

    Returns:
        An array of the shape and dtype of x.

    >>> jnp.floor(jnp.array([1.7, -1.2]))
    Array([ 1., -2.], dtype=float32)
    """
    return _whole("floor", lax.floor, x)


@universal
def ceil(x: Any, /) -> Array:
    """The smallest integer not below x, elementwise.

    Args:
        x: a real array.

    Returns:
        An array of the shape and dtype of x.

    >>> jnp.ceil(jnp.array([1.2, -1.7]))
    Array([ 2., -1.], dtype=float32)
    """
    return _whole("ceil", lax.ceil, x)


@universal
def trunc(x: Any, /) -> Array:
    """The integer part of x, elementwise.

    Args:
        x: a real array.

    Returns:
        An array of the shape and dtype of x.

    >>> jnp.trunc(jnp.array([1.7, -1.7]))
    Array([ 1., -1.], dtype=float32)
    """
    return _whole("trunc", lambda v: lax.select(lax.lt(v, lax.full_like(v, 0)), lax.ceil(v), lax.floor(v)), x)


fix = trunc


@universal
def modf(x: Any, /) -> tuple[Array, Array]:
    """The fractional and the integer part of x, both with the sign of x; elementwise.

    Args:
        x: a real array; integers are converted to the default float.

    Returns:
        Two arrays of the shape of x.

    >>> jnp.modf(jnp.array([1.75, -2.5]))
    (Array([ 0.75, -0.5 ], dtype=float32), Array([ 1., -2.], dtype=float32))
    """
    array = as_inexact("modf", x)
    whole = trunc(array)
    fraction = where(lax.is_finite(array), lax.sub(array, whole), lax.full_like(array, 0))
    fraction = where(lax.ne(array, array), array, fraction)
    return copysign(fraction, array), whole


# Complex numbers


def real(val: Any, /) -> Array:
    """The real part, elementwise.

    Args:
        val: an array.

    Returns:
        A real array of the shape of val, in its precision; val itself, in its dtype, if it is real.

    >>> jnp.real(jnp.array([1 + 2j, 3 - 4j]))
    Array([1., 3.], dtype=float32)
    """
    (x,) = as_arrays("real", val)
    return lax.real(x) if dtypes.is_complex(x.dtype) else x


def imag(val: Any, /) -> Array:
    """The imaginary part, elementwise.

    Args:
        val: an array.

    Returns:
        A real array of the shape of val, in its precision; zeros of its dtype if it is real.

    >>> jnp.imag(jnp.array([1 + 2j, 3 - 4j]))
    Array([ 2., -4.], dtype=float32)
    """
    (x,) = as_arrays("imag", val)
    return lax.imag(x) if dtypes.is_complex(x.dtype) else full_like(x, 0)


@universal
def conjugate(x: Any, /) -> Array:
    """The complex conjugate, elementwise.

    Args:
        x: an array.

    Returns:
        An array of the shape and dtype of x; x itself if it is real.

    >>> jnp.conjugate(jnp.array([1 + 2j, 3 - 4j]))
    Array([1.-2.j, 3.+4.j], dtype=complex64)
    """
    (array,) = as_arrays("conjugate", x)
    return lax.conj(array) if dtypes.is_complex(array.dtype) else array


conj = conjugate


def angle(z: Any, deg: bool = False) -> Array:
    """The argument of complex numbers, elementwise.

    Args:
        z: an array; integers are converted to the default float.
        deg: whether in degrees, instead of radians.

    Returns:
        A real array of the shape of z.

    >>> jnp.angle(jnp.array([1 + 1j, -1 + 0j]), deg=True)
    Array([ 45., 180.], dtype=float32)
    """
    x = as_inexact("angle", z)
    parts = (lax.imag(x), lax.real(x)) if dtypes.is_complex(x.dtype) else (lax.full_like(x, 0), x)
    radians = lax.atan2(*parts)
    return lax.mul(radians, 180 / np.pi) if deg else radians


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Array:
    """The array with NaN, inf and -inf replaced, elementwise.

    Args:
        x: an array.
        copy: without effect.
        nan: what replaces NaN.
        posinf: what replaces inf; by default the largest number of the dtype.
        neginf: what replaces -inf; by default the lowest number of the dtype.

    Returns:
        An array of the shape and dtype of x.

    >>> jnp.nan_to_num(jnp.array([jnp.nan, 1.0, jnp.inf]), posinf=9.0)
    Array([0., 1., 9.], dtype=float32)
    """
    (array,) = as_arrays("nan_to_num", x)
    if dtypes.is_complex(array.dtype):
        return lax.complex(*(nan_to_num(p, copy, nan, posinf, neginf) for p in (lax.real(array), lax.imag(array))))
    if not dtypes.is_floating(array.dtype):
        return array
    limits = dtypes.finfo(array.dtype)
    high = lax.full_like(array, np.inf)
    array = where(lax.ne(array, array), nan, array)
    array = where(lax.eq(array, high), limits.max if posinf is None else posinf, array)
    return where(lax.eq(array, lax.neg(high)), limits.min if neginf is None else neginf, array)
