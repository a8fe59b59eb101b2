"""Integers and the bits of numbers: divisors, mantissas and exponents, packed bits."""

from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, DTypeError
from nrx.core.shapes import canonical_axis
from nrx.numpy.arithmetic import clip, nextafter
from nrx.numpy.data import cast
from nrx.numpy.joining import concatenate
from nrx.numpy.logic import isfinite, logical_and, where
from nrx.numpy.manipulation import moveaxis
from nrx.numpy.promotion import as_inexact, broadcast, promote_dtypes, reject_complex
from nrx.numpy.universal import universal
from nrx.ops.common import as_arrays


@universal
def gcd(x1: Any, x2: Any) -> Array:
    """The greatest common divisor, elementwise; that of 0 and 0 is 0.

    Args:
        x1: an array of integers.
        x2: an array of integers that broadcasts with x1.

    Returns:
        An array of their common shape and dtype.

    Raises:
        DTypeError: not integers.

    >>> jnp.gcd(jnp.array([12, -9]), 6)
    Array([6, 3], dtype=int32)
    """
    return _divisor(*_integers("gcd", x1, x2))


@universal
def lcm(x1: Any, x2: Any) -> Array:
    """The least common multiple, elementwise; that of 0 and anything is 0.

    Args:
        x1: an array of integers.
        x2: an array of integers that broadcasts with x1.

    Returns:
        An array of their common shape and dtype.

    Raises:
        DTypeError: not integers.

    >>> jnp.lcm(jnp.array([4, 0]), 6)
    Array([12,  0], dtype=int32)
    """
    x, y = _integers("lcm", x1, x2)
    divisor = _divisor(x, y)
    return _magnitude(lax.div(x, where(divisor == 0, lax.full_like(divisor, 1), divisor)) * y)


def _integers(name: str, x1: Any, x2: Any) -> list[Array]:
    arrays = promote_dtypes(name, x1, x2)
    if not dtypes.is_integer(arrays[0].dtype):
        raise DTypeError(f"{name} takes integers, got {arrays[0].dtype}", fix="convert them with x.astype(int)")
    return broadcast(arrays)


def _magnitude(x: Array) -> Array:
    return x if dtypes.is_unsigned(x.dtype) else lax.abs(x)


def _divisor(x: Array, y: Array) -> Array:
    """Euclid's algorithm, until it has ended for all elements."""

    def step(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = pair
        going = b != 0
        return where(going, b, a), where(going, lax.rem(a, where(going, b, lax.full_like(b, 1))), b)

    x, y = (lax.convert_element_type(v, v.dtype) for v in (_magnitude(x), _magnitude(y)))
    return lax.while_loop(lambda pair: (pair[1] != 0).any(), step, (x, y))[0]


@universal
def ldexp(x1: Any, x2: Any, /) -> Array:
    """x1 * 2**x2, elementwise, rounded once.

    Args:
        x1: a real array.
        x2: an array of integers that broadcasts with x1.

    Returns:
        An array of their common shape, of the dtype of x1 or the default float.

    Raises:
        DTypeError: x1 is complex, or x2 not of integers.

    >>> jnp.ldexp(jnp.array([0.5, 3.0]), jnp.array([4, -1]))
    Array([8. , 1.5], dtype=float32)
    """
    x = as_inexact("ldexp", x1)
    reject_complex("ldexp", x)
    (n,) = as_arrays("ldexp", x2)
    if not dtypes.is_integer(n.dtype):
        raise DTypeError(f"ldexp: the exponent must be an integer, got {n.aval}", fix="use x1 * exp2(x2)")
    wide = lax.convert_element_type(x, dtypes.float32 if dtypes.is_narrow(x.dtype) else x.dtype)
    wide, n = broadcast([wide, lax.convert_element_type(clip(n, -10000, 10000), dtypes.int32)])
    return lax.convert_element_type(_scaled(wide, n), x.dtype)


def _scaled(x: Array, n: Array) -> Array:
    """x * 2**n. Only the last factor can make a result subnormal that is not 0, so it is rounded once."""
    limit = 1022 if x.dtype == dtypes.float64 else 126
    last = clip(n, -limit, limit)
    middle = clip(n - last, -limit, limit)
    first = clip(n - last - middle, -limit, limit)
    return x * _power(first, x.dtype) * _power(middle, x.dtype) * _power(last, x.dtype)


def _power(n: Array, dtype: np.dtype) -> Array:
    """2**n by its bits, for the exponents of normal numbers."""
    bits, integer, bias = (52, dtypes.int64, 1023) if dtype == dtypes.float64 else (23, dtypes.int32, 127)
    exponent = lax.convert_element_type(n, integer) + bias
    return lax.bitcast_convert_type(lax.shift_left(exponent, lax.full_like(exponent, bits)), dtype)


@universal
def frexp(x: Any, /) -> tuple[Array, Array]:
    """The mantissa, in [0.5, 1), and the exponent of numbers: x = mantissa * 2**exponent.

    Args:
        x: a real array.

    Returns:
        An array of the dtype of x or the default float, and an int32 array, of the shape of x. 0, infinities and NaN
        are their own mantissa, with exponent 0.

    Raises:
        DTypeError: x is complex.

    >>> jnp.frexp(jnp.array([8.0, 0.75]))
    (Array([0.5 , 0.75], dtype=float32), Array([4, 0], dtype=int32))
    """
    x = as_inexact("frexp", x)
    reject_complex("frexp", x)
    wide = lax.convert_element_type(x, dtypes.float32 if dtypes.is_narrow(x.dtype) else x.dtype)
    double = wide.dtype == dtypes.float64
    bits, integer, bias = (52, dtypes.int64, 1022) if double else (23, dtypes.int32, 126)
    shift = bits + 2
    small = lax.abs(wide) < float(dtypes.finfo(wide.dtype).smallest_normal)
    normal = where(small, wide * 2.0**shift, wide)
    pattern = lax.bitcast_convert_type(normal, integer)
    raw = lax.shift_right_logical(pattern, lax.full_like(pattern, bits)) & (2047 if double else 255)
    exponent = lax.convert_element_type(raw - bias, dtypes.int32) - where(small, shift, 0).astype(dtypes.int32)
    plain = logical_and(isfinite(wide), wide != 0)
    exponent = where(plain, exponent, lax.full_like(exponent, 0))
    return lax.convert_element_type(_scaled(wide, -exponent), x.dtype), exponent


@universal
def spacing(x: Any, /) -> Array:
    """The distance to the next number away from 0, with the sign of x, elementwise.

    Args:
        x: a real array.

    Returns:
        An array of the shape of x, of its dtype or the default float; NaN at infinities.

    Raises:
        DTypeError: x is complex.

    >>> jnp.spacing(jnp.array([1.0])) == jnp.finfo("float32").eps
    Array([ True], dtype=bool)
    """
    x = as_inexact("spacing", x)
    reject_complex("spacing", x)
    x = lax.convert_element_type(x, x.dtype)
    return nextafter(x, where(x < 0, lax.full_like(x, -np.inf), lax.full_like(x, np.inf))) - x


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Array:
    """Booleans along an axis as the bits of bytes; the last byte is filled with 0.

    Args:
        a: an array of booleans or integers.
        axis: an axis; None packs the flat array.
        bitorder: "big": the first one is the highest bit; "little": the lowest.

    Returns:
        A uint8 array.

    Raises:
        DTypeError: neither booleans nor integers.
        ArgumentError: another bit order.

    >>> jnp.packbits(jnp.array([1, 0, 1]))
    Array([160], dtype=uint8)
    """
    (x,) = as_arrays("packbits", a)
    if dtypes.is_inexact(x.dtype):
        raise DTypeError(f"packbits takes booleans or integers, got {x.aval}")
    x, at = (x.reshape(-1), 0) if axis is None else (x, canonical_axis(axis, x.ndim))
    line = moveaxis(x != 0, at, -1).astype(dtypes.uint8)
    missing = -line.shape[-1] % 8
    line = lax.pad(line, lax.full((), 0, dtypes.uint8), [(0, 0, 0)] * (line.ndim - 1) + [(0, missing, 0)])
    groups = line.reshape(*line.shape[:-1], line.shape[-1] // 8, 8)
    return moveaxis((groups << _bits(bitorder)).sum(-1, dtype=dtypes.uint8), -1, at)


def unpackbits(a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> Array:
    """The bits of bytes along an axis, as 0 and 1.

    Args:
        a: an array of uint8.
        axis: an axis; None unpacks the flat array.
        count: how many bits to give: cut, or filled up with 0; a negative one leaves out as many at the end.
        bitorder: "big": the highest bit comes first; "little": the lowest.

    Returns:
        A uint8 array, 8 times as long along the axis, the other lengths those of a.

    Raises:
        DTypeError: not uint8.
        ArgumentError: another bit order.

    >>> jnp.unpackbits(jnp.array([160], "uint8"), count=3)
    Array([1, 0, 1], dtype=uint8)
    """
    (x,) = as_arrays("unpackbits", a)
    if x.dtype != dtypes.uint8:
        raise DTypeError(f"unpackbits takes uint8, got {x.aval}", fix="convert it with x.astype('uint8')")
    x, at = (x.reshape(-1), 0) if axis is None else (x, canonical_axis(axis, x.ndim))
    line = moveaxis(x, at, -1)
    bits = ((line[..., None] >> _bits(bitorder)) & 1).reshape(*line.shape[:-1], line.shape[-1] * 8)
    if count is not None:
        extra = max(count - bits.shape[-1], 0)
        zeros = lax.full((*bits.shape[:-1], extra), 0, dtypes.uint8)
        bits = concatenate([bits, zeros], -1)[..., :count]
    return moveaxis(bits, -1, at)


def _bits(bitorder: str) -> Array:
    if bitorder not in ("big", "little"):
        raise ArgumentError(f"bitorder is 'big' or 'little', got {bitorder!r}")
    places = np.arange(8)
    return cast(places[::-1] if bitorder == "big" else places, dtypes.uint8)
