"""Arithmetic, elementwise: sums, products, quotients and remainders, powers, extrema."""

from collections.abc import Callable
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.numpy.planning import Planned
from nrx.numpy.promotion import Elementwise, as_inexact, as_numbers, broadcast, promote_dtypes, reject_complex
from nrx.numpy.universal import universal
from nrx.ops import arithmetic as ops
from nrx.ops.common import as_arrays
from nrx.ops.elementary import pow_p
from nrx.ops.floored import floor_divide_p, remainder_p
from nrx.ops.logic import and_p, or_p

_add, _multiply = Elementwise("add", ops.add_p, boolean=or_p), Elementwise("multiply", ops.mul_p, boolean=and_p)
_subtract, _divide = Elementwise("subtract", ops.sub_p), Elementwise("divide", ops.div_p, inexact=True)
_negative = Elementwise("negative", ops.neg_p)
_float_power = Elementwise("float_power", pow_p, inexact=True)
_maximum, _minimum = Elementwise("maximum", ops.max_p), Elementwise("minimum", ops.min_p)
_nextafter = Elementwise("nextafter", ops.nextafter_p, inexact=True)
_floor_divide = Elementwise("floor_divide", floor_divide_p, real=True)
_remainder = Elementwise("remainder", remainder_p, real=True)


def _numbers(name: str, *values: Any) -> list[Array]:
    """Operands promoted and broadcast; booleans become integers."""
    return broadcast(as_numbers(promote_dtypes(name, *values)))


# The four operations


@universal
def add(x: Any, y: Any, /) -> Array:
    """x + y, elementwise; of booleans `x or y`.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype. Integers wrap on overflow.

    >>> jnp.add(jnp.array([1, 2]), 0.5)
    Array([1.5, 2.5], dtype=float32, weak_type=True)
    """
    return _add(x, y)


@universal
def subtract(x: Any, y: Any, /) -> Array:
    """x - y, elementwise.

    Args:
        x: an array of numbers.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype. Integers wrap on overflow.

    >>> jnp.subtract(jnp.array([[1, 2], [3, 4]]), jnp.array([1, 2]))
    Array([[0, 0],
           [2, 2]], dtype=int32)
    """
    return _subtract(x, y)


@universal
def multiply(x: Any, y: Any, /) -> Array:
    """x * y, elementwise; of booleans `x and y`.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype. Integers wrap on overflow.

    >>> jnp.multiply(jnp.array([1, 2]), jnp.array([[10], [20]]))
    Array([[10, 20],
           [20, 40]], dtype=int32)
    """
    return _multiply(x, y)


@universal
def divide(x: Any, y: Any, /) -> Array:
    """x / y, elementwise; a division by 0 gives inf or NaN.

    Args:
        x: an array; integers are converted to the default float.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape.

    >>> jnp.divide(jnp.array([1, 2, 3]), 2)
    Array([0.5, 1. , 1.5], dtype=float32)
    """
    return _divide(x, y)


true_divide = divide


@universal
def negative(x: Any, /) -> Array:
    """-x, elementwise.

    Args:
        x: an array of numbers.

    Returns:
        An array of the shape and dtype of x.

    >>> jnp.negative(jnp.array([1, -2]))
    Array([-1,  2], dtype=int32)
    """
    return _negative(x)


@universal
def positive(x: Any, /) -> Array:
    """+x: the array itself.

    Args:
        x: an array.

    Returns:
        The same array, in shape and dtype.

    >>> jnp.positive(jnp.array([1, -2]))
    Array([ 1, -2], dtype=int32)
    """
    return as_arrays("positive", x)[0]


@universal
def floor_divide(x: Any, y: Any, /) -> Array:
    """The largest integer not above x / y, elementwise; an integer divided by 0 gives 0.

    Infinite operands and zeros give floor(x / y), as the array API standard has it: inf // 2 is inf (NumPy: NaN), and
    1 // -inf is -0.0 (NumPy: -1).

    Args:
        x: a real array.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.floor_divide(jnp.array([7, -7, 7]), jnp.array([2, 2, 0]))
    Array([ 3, -4,  0], dtype=int32)
    """
    return _floor_divide(x, y)


@universal
def remainder(x: Any, y: Any, /) -> Array:
    """What floor division leaves of x, with the sign of y, elementwise; an integer modulo 0 gives 0.

    Args:
        x: a real array.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.remainder(jnp.array([7, -7]), 3)
    Array([1, 2], dtype=int32)
    """
    return _remainder(x, y)


mod = remainder


@universal
def divmod(x: Any, y: Any, /) -> tuple[Array, Array]:
    """`(floor_divide(x, y), remainder(x, y))`, elementwise.

    Args:
        x: a real array.
        y: an array that broadcasts with x.

    Returns:
        Two arrays of their common shape and dtype. Infinite operands and zeros are as of both, not as in NumPy.

    >>> jnp.divmod(jnp.array([7, -7]), 3)
    (Array([ 2, -3], dtype=int32), Array([1, 2], dtype=int32))
    """
    return floor_divide(x, y), remainder(x, y)


@universal
def fmod(x: Any, y: Any, /) -> Array:
    """The remainder of x / y with the sign of x, elementwise; an integer modulo 0 gives 0.

    Args:
        x: a real array.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.fmod(jnp.array([7, -7]), 3)
    Array([ 1, -1], dtype=int32)
    """
    return _fmod(x, y)


@Planned
def _fmod(x: Any, y: Any) -> Array:
    x, y = _numbers("fmod", x, y)
    reject_complex("fmod", x)
    left = lax.rem(x, y)
    return lax.select(lax.eq(y, 0), lax.full_like(y, 0), left) if dtypes.is_integer(x.dtype) else left


# Powers


@universal
def power(x: Any, y: Any, /) -> Array:
    """x to the power of y, elementwise.

    Args:
        x: an array of numbers.
        y: an array that broadcasts with x. A Python integer is applied by repeated multiplication.

    Returns:
        An array of their common shape and dtype. Powers of integers wrap on overflow; with a negative exponent in an
        array they are 0, but for bases of 1 and -1.

    Raises:
        DTypeError: x is of integers and y is a negative Python integer.

    >>> jnp.power(jnp.array([1.0, 2.0, 3.0]), 2)
    Array([1., 4., 9.], dtype=float32)
    """
    return _power(x, y)


pow = power


@Planned
def _power(x: Any, y: Any) -> Array:
    if type(y) is int:
        (base,) = _numbers("power", x)
        return lax.integer_pow(base, y)
    base, exponent = as_arrays("power", x, y)
    if dtypes.is_inexact(base.dtype) and dtypes.is_integer(exponent.dtype):
        return lax.pow(*broadcast([base, exponent]))
    base, exponent = _numbers("power", x, y)
    return lax.pow(base, exponent) if dtypes.is_inexact(base.dtype) else _integer_power(base, exponent)


def _integer_power(x: Array, y: Array) -> Array:
    """Integer powers by squaring."""
    one, zero = lax.full_like(x, 1), lax.full_like(x, 0)
    out, base, left = one, x, y
    for _ in range(x.dtype.itemsize * 8 - (not dtypes.is_unsigned(x.dtype))):
        odd = lax.eq(lax.bitwise_and(left, one), one)
        out = lax.select(odd, lax.mul(out, base), out)
        base, left = lax.mul(base, base), lax.shift_right_logical(left, one)
    if dtypes.is_unsigned(x.dtype):
        return out
    alternating = lax.select(lax.eq(lax.bitwise_and(y, one), one), x, one)
    unit = lax.eq(lax.abs(x), one)
    return lax.select(lax.lt(y, zero), lax.select(unit, alternating, zero), out)


@universal
def float_power(x: Any, y: Any, /) -> Array:
    """x to the power of y in floating point, elementwise.

    Args:
        x: an array; integers are converted to the default float.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape.

    >>> jnp.float_power(jnp.array([2, 4]), -1)
    Array([0.5 , 0.25], dtype=float32)
    """
    return _float_power(x, y)


@universal
def square(x: Any, /) -> Array:
    """x * x, elementwise.

    Args:
        x: an array; booleans are converted to the default integer.

    Returns:
        An array of the shape of x.

    >>> jnp.square(jnp.array([3, -4]))
    Array([ 9, 16], dtype=int32)
    """
    return _power(x, 2)


@universal
def reciprocal(x: Any, /) -> Array:
    """1 / x, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.reciprocal(jnp.array([2, 4]))
    Array([0.5 , 0.25], dtype=float32)
    """
    return lax.integer_pow(as_inexact("reciprocal", x), -1)


# Extrema


@universal
def maximum(x: Any, y: Any, /) -> Array:
    """The larger of x and y, elementwise; NaN if either is.

    Args:
        x: an array; complex numbers compare by real, then imaginary part.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype. Where they are equal, each has half of the gradient.

    >>> jnp.maximum(jnp.array([-1.0, 2.0, jnp.nan]), 0)
    Array([ 0.,  2., nan], dtype=float32)
    """
    return _maximum(x, y)


@universal
def minimum(x: Any, y: Any, /) -> Array:
    """The smaller of x and y, elementwise; NaN if either is.

    Args:
        x: an array; complex numbers compare by real, then imaginary part.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype. Where they are equal, each has half of the gradient.

    >>> jnp.minimum(jnp.array([-1.0, 2.0, jnp.nan]), 0)
    Array([-1.,  0., nan], dtype=float32)
    """
    return _minimum(x, y)


@universal
def fmax(x: Any, y: Any, /) -> Array:
    """The larger of x and y, elementwise; the other one where one is NaN.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.fmax(jnp.array([-1.0, 2.0, jnp.nan]), 0)
    Array([0., 2., 0.], dtype=float32)
    """
    return _ignoring_nan("fmax", lax.max, x, y)


@universal
def fmin(x: Any, y: Any, /) -> Array:
    """The smaller of x and y, elementwise; the other one where one is NaN.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.fmin(jnp.array([-1.0, 2.0, jnp.nan]), 0)
    Array([-1.,  0.,  0.], dtype=float32)
    """
    return _ignoring_nan("fmin", lax.min, x, y)


def _ignoring_nan(name: str, choose: Callable, x: Any, y: Any) -> Array:
    x, y = broadcast(promote_dtypes(name, x, y))
    if not dtypes.is_inexact(x.dtype):
        return choose(x, y)
    return lax.select(lax.ne(x, x), y, lax.select(lax.ne(y, y), x, choose(x, y)))


def clip(arr: Any, /, min: Any = None, max: Any = None) -> Array:
    """The array limited to [min, max], elementwise; NaN stays NaN.

    Args:
        arr: a real array.
        min: an array that broadcasts with arr, or None for no limit.
        max: an array that broadcasts with arr, or None for no limit. It wins where it is below min.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.clip(jnp.array([-2.0, 0.5, 3.0]), -1, 1)
    Array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return _clip(arr, min, max)


@Planned
def _clip(x: Any, low: Any, high: Any) -> Array:
    reject_complex("clip", *as_arrays("clip", *(v for v in (x, low, high) if v is not None)))
    x = x if low is None else _maximum(low, x)
    return as_arrays("clip", x)[0] if high is None else _minimum(high, x)


@universal
def nextafter(x: Any, y: Any, /) -> Array:
    """The next representable number after x towards y, elementwise.

    Args:
        x: a real array; integers are converted to the default float.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape.

    >>> jnp.nextafter(1.0, 2.0) > 1.0
    Array(True, dtype=bool)
    """
    return _nextafter(x, y)
