"""Comparisons, logical and bitwise operations, tests of numbers, and choice by a condition."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, DTypeError
from nrx.numpy.creation import full_like
from nrx.numpy.promotion import Elementwise, broadcast, promote_dtypes
from nrx.numpy.searching import nonzero
from nrx.numpy.universal import universal
from nrx.ops.common import as_arrays
from nrx.ops.logic import (
    and_p,
    eq_p,
    ge_p,
    gt_p,
    le_p,
    lt_p,
    ne_p,
    or_p,
    select_n_p,
    shift_left_p,
    xor_p,
)  # fmt: skip


def _by_parts(compare: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """The comparison of complex numbers by real, then imaginary part."""

    def compare_parts(x: Array, y: Array) -> Array:
        same = lax.eq(lax.real(x), lax.real(y))
        return lax.select(same, compare(lax.imag(x), lax.imag(y)), compare(lax.real(x), lax.real(y)))

    return compare_parts


_less = Elementwise("less", lt_p, complex=_by_parts(lax.lt))
_less_equal = Elementwise("less_equal", le_p, complex=_by_parts(lax.le))
_greater = Elementwise("greater", gt_p, complex=_by_parts(lax.gt))
_greater_equal = Elementwise("greater_equal", ge_p, complex=_by_parts(lax.ge))
_equal, _not_equal = Elementwise("equal", eq_p), Elementwise("not_equal", ne_p)
_and, _or, _xor = Elementwise("bitwise_and", and_p), Elementwise("bitwise_or", or_p), Elementwise("bitwise_xor", xor_p)
_left = Elementwise("left_shift", shift_left_p)
_select = Elementwise("where", select_n_p, selectors=1)


# Comparisons


@universal
def equal(x: Any, y: Any, /) -> Array:
    """x == y, elementwise.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.equal(jnp.array([1, 2]), jnp.array([1.0, 3.0]))
    Array([ True, False], dtype=bool)
    """
    return _equal(x, y)


@universal
def not_equal(x: Any, y: Any, /) -> Array:
    """x != y, elementwise.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.not_equal(jnp.array([1, 2]), 2)
    Array([ True, False], dtype=bool)
    """
    return _not_equal(x, y)


@universal
def less(x: Any, y: Any, /) -> Array:
    """x < y, elementwise; complex numbers compare by real, then imaginary part.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.less(jnp.array([1, 2, 3]), 2)
    Array([ True, False, False], dtype=bool)
    """
    return _less(x, y)


@universal
def less_equal(x: Any, y: Any, /) -> Array:
    """x <= y, elementwise; complex numbers compare by real, then imaginary part.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.less_equal(jnp.array([1, 2, 3]), 2)
    Array([ True,  True, False], dtype=bool)
    """
    return _less_equal(x, y)


@universal
def greater(x: Any, y: Any, /) -> Array:
    """x > y, elementwise; complex numbers compare by real, then imaginary part.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.greater(jnp.array([1, 2, 3]), 2)
    Array([False, False,  True], dtype=bool)
    """
    return _greater(x, y)


@universal
def greater_equal(x: Any, y: Any, /) -> Array:
    """x >= y, elementwise; complex numbers compare by real, then imaginary part.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.greater_equal(jnp.array([1, 2, 3]), 2)
    Array([False,  True,  True], dtype=bool)
    """
    return _greater_equal(x, y)


# Logic


def as_condition(name: str, x: Any) -> Array:
    """An array of booleans: whether the elements are not 0."""
    (array,) = as_arrays(name, x)
    return array if dtypes.is_bool(array.dtype) else lax.ne(array, lax.full_like(array, 0))


@universal
def logical_not(x: Any, /) -> Array:
    """Whether x is 0 or False, elementwise.

    Args:
        x: an array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.logical_not(jnp.array([0, 2]))
    Array([ True, False], dtype=bool)
    """
    return lax.bitwise_not(as_condition("logical_not", x))


@universal
def logical_and(x: Any, y: Any, /) -> Array:
    """Whether both x and y are not 0, elementwise.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.logical_and(jnp.array([0, 2]), True)
    Array([False,  True], dtype=bool)
    """
    return _and(as_condition("logical_and", x), as_condition("logical_and", y))


@universal
def logical_or(x: Any, y: Any, /) -> Array:
    """Whether x or y is not 0, elementwise.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.logical_or(jnp.array([0, 2]), False)
    Array([False,  True], dtype=bool)
    """
    return _or(as_condition("logical_or", x), as_condition("logical_or", y))


@universal
def logical_xor(x: Any, y: Any, /) -> Array:
    """Whether just one of x and y is not 0, elementwise.

    Args:
        x: an array.
        y: an array that broadcasts with x.

    Returns:
        A boolean array of their common shape.

    >>> jnp.logical_xor(jnp.array([0, 2]), True)
    Array([ True, False], dtype=bool)
    """
    return _xor(as_condition("logical_xor", x), as_condition("logical_xor", y))


# Bits


@universal
def bitwise_and(x: Any, y: Any, /) -> Array:
    """x & y, elementwise, of integers or booleans.

    Args:
        x: an array of integers or booleans.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.bitwise_and(jnp.array([6, 5]), 3)
    Array([2, 1], dtype=int32)
    """
    return _and(x, y)


@universal
def bitwise_or(x: Any, y: Any, /) -> Array:
    """x | y, elementwise, of integers or booleans.

    Args:
        x: an array of integers or booleans.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.bitwise_or(jnp.array([6, 5]), 3)
    Array([7, 7], dtype=int32)
    """
    return _or(x, y)


@universal
def bitwise_xor(x: Any, y: Any, /) -> Array:
    """x ^ y, elementwise, of integers or booleans.

    Args:
        x: an array of integers or booleans.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.bitwise_xor(jnp.array([6, 5]), 3)
    Array([5, 6], dtype=int32)
    """
    return _xor(x, y)


@universal
def bitwise_not(x: Any, /) -> Array:
    """~x, elementwise: all bits of integers flipped; not of booleans.

    Args:
        x: an array of integers or booleans.

    Returns:
        An array of the shape and dtype of x.

    >>> jnp.bitwise_not(jnp.array([0, 5]))
    Array([-1, -6], dtype=int32)
    """
    return lax.bitwise_not(x)


invert = bitwise_invert = bitwise_not


@universal
def bitwise_count(x: Any, /) -> Array:
    """The number of bits set in the magnitude of x, elementwise, as uint8.

    Args:
        x: an array of integers or booleans.

    Returns:
        A uint8 array of the shape of x.

    >>> jnp.bitwise_count(jnp.array([7, -1]))
    Array([3, 1], dtype=uint8)
    """
    (array,) = as_arrays("bitwise_count", x)
    if dtypes.is_bool(array.dtype):
        return lax.convert_element_type(array, dtypes.uint8)
    magnitude = array if dtypes.is_unsigned(array.dtype) else lax.abs(array)
    return lax.convert_element_type(lax.population_count(magnitude), dtypes.uint8)


@universal
def left_shift(x: Any, y: Any, /) -> Array:
    """x with its bits shifted y places to the left, elementwise; 0 if y is not below the number of bits.

    Args:
        x: an array of integers.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.left_shift(jnp.array([1, 3]), 2)
    Array([ 4, 12], dtype=int32)
    """
    return _left(*_integers("left_shift", x, y))


@universal
def right_shift(x: Any, y: Any, /) -> Array:
    """x with its bits shifted y places to the right, elementwise; signed integers keep their sign.

    Args:
        x: an array of integers.
        y: an array that broadcasts with x.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.right_shift(jnp.array([8, -8]), 2)
    Array([ 2, -2], dtype=int32)
    """
    x, y = broadcast(promote_dtypes("right_shift", *_integers("right_shift", x, y)))
    return (lax.shift_right_logical if dtypes.is_unsigned(x.dtype) else lax.shift_right_arithmetic)(x, y)


bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


def _integers(name: str, *values: Any) -> list[Array]:
    arrays = as_arrays(name, *values)
    if all(dtypes.is_bool(x.dtype) for x in arrays):
        return [lax.convert_element_type(x, dtypes.scalar_dtype(int)) for x in arrays]
    return arrays


# Tests of numbers


def _test(name: str, x: Any, real: Callable[[Array], Array], join: Callable, otherwise: bool) -> Array:
    """`real` of floats; of the parts of complex numbers, joined; of other dtypes the constant `otherwise`."""
    (array,) = as_arrays(name, x)
    if dtypes.is_complex(array.dtype):
        return join(real(lax.real(array)), real(lax.imag(array)))
    return real(array) if dtypes.is_floating(array.dtype) else full_like(array, otherwise, bool)


def _is_inf(x: Array) -> Array:
    return lax.eq(lax.abs(x), lax.full_like(x, np.inf))


@universal
def isnan(x: Any, /) -> Array:
    """Whether x is NaN, elementwise.

    Args:
        x: an array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.isnan(jnp.array([1.0, jnp.nan]))
    Array([False,  True], dtype=bool)
    """
    return _test("isnan", x, lambda v: lax.ne(v, v), lax.bitwise_or, False)


@universal
def isfinite(x: Any, /) -> Array:
    """Whether x is neither infinite nor NaN, elementwise.

    Args:
        x: an array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.isfinite(jnp.array([1.0, jnp.nan, -jnp.inf]))
    Array([ True, False, False], dtype=bool)
    """
    return _test("isfinite", x, lax.is_finite, lax.bitwise_and, True)


@universal
def isinf(x: Any, /) -> Array:
    """Whether x is inf or -inf, elementwise.

    Args:
        x: an array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.isinf(jnp.array([1.0, jnp.nan, -jnp.inf]))
    Array([False, False,  True], dtype=bool)
    """
    return _test("isinf", x, _is_inf, lax.bitwise_or, False)


@universal
def isposinf(x: Any, /) -> Array:
    """Whether x is inf, elementwise.

    Args:
        x: a real array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.isposinf(jnp.array([jnp.inf, -jnp.inf]))
    Array([ True, False], dtype=bool)
    """
    return _signed_infinity("isposinf", x, np.inf)


@universal
def isneginf(x: Any, /) -> Array:
    """Whether x is -inf, elementwise.

    Args:
        x: a real array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.isneginf(jnp.array([jnp.inf, -jnp.inf]))
    Array([False,  True], dtype=bool)
    """
    return _signed_infinity("isneginf", x, -np.inf)


def _signed_infinity(name: str, x: Any, infinity: float) -> Array:
    (array,) = as_arrays(name, x)
    if dtypes.is_complex(array.dtype):
        raise DTypeError(f"{name} does not take complex numbers: their infinities have no sign")
    if not dtypes.is_floating(array.dtype):
        return full_like(array, False, bool)
    return lax.eq(array, lax.full_like(array, infinity))


def iscomplex(x: Any) -> Array:
    """Whether the imaginary part is not 0, elementwise.

    Args:
        x: an array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.iscomplex(jnp.array([1 + 0j, 1 + 2j]))
    Array([False,  True], dtype=bool)
    """
    (array,) = as_arrays("iscomplex", x)
    if not dtypes.is_complex(array.dtype):
        return full_like(array, False, bool)
    return as_condition("iscomplex", lax.imag(array))


def isreal(x: Any) -> Array:
    """Whether the imaginary part is 0, elementwise.

    Args:
        x: an array.

    Returns:
        A boolean array of the shape of x.

    >>> jnp.isreal(jnp.array([1 + 0j, 1 + 2j]))
    Array([ True, False], dtype=bool)
    """
    return lax.bitwise_not(iscomplex(x))


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex.

    Args:
        x: an array.

    Returns:
        A bool, whatever the shape.

    >>> jnp.iscomplexobj(jnp.array([1 + 0j]))
    True
    """
    return dtypes.is_complex(as_arrays("iscomplexobj", x)[0].dtype)


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex.

    Args:
        x: an array.

    Returns:
        A bool, whatever the shape.

    >>> jnp.isrealobj(jnp.array([1 + 0j]))
    False
    """
    return not iscomplexobj(x)


def isscalar(element: Any) -> bool:
    """Whether it is a number or an array of no axes.

    Args:
        element: anything.

    Returns:
        A bool.

    >>> jnp.isscalar(1.5), jnp.isscalar(jnp.ones(3))
    (True, False)
    """
    return np.isscalar(element) or (hasattr(element, "ndim") and element.ndim == 0)


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Array:
    """Whether |a - b| <= atol + rtol * |b|, elementwise; equal infinities are close.

    Args:
        a: an array.
        b: an array that broadcasts with a.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Returns:
        A boolean array of their common shape.

    >>> jnp.isclose(jnp.array([1.0, 2.0]), jnp.array([1.000001, 2.1]))
    Array([ True, False], dtype=bool)
    """
    x, y = broadcast(promote_dtypes("isclose", a, b))
    if not dtypes.is_inexact(x.dtype):
        x, y = (lax.convert_element_type(v, dtypes.float64 if v.dtype.itemsize > 2 else dtypes.float32) for v in (x, y))
    finite = lax.bitwise_and(isfinite(x), isfinite(y))
    gap, size = lax.abs(lax.sub(x, y)), lax.abs(y)
    rtol, atol = (lax.convert_element_type(v, gap.dtype) for v in (rtol, atol))
    limit = lax.add(*broadcast([lax.mul(*broadcast([rtol, size])), atol]))
    near = lax.bitwise_and(*broadcast([lax.le(*broadcast([gap, limit])), finite]))
    near = lax.bitwise_or(*broadcast([near, lax.eq(x, y)]))
    return lax.bitwise_or(near, lax.bitwise_and(isnan(x), isnan(y))) if equal_nan else near


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Array:
    """Whether all elements are close, as told by `isclose`.

    Args:
        a: an array.
        b: an array that broadcasts with a.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Returns:
        A boolean scalar.

    >>> jnp.allclose(jnp.array([1.0, 2.0]), jnp.array([1.000001, 2.0]))
    Array(True, dtype=bool)
    """
    near = isclose(a, b, rtol, atol, equal_nan)
    return lax.reduce_and(near, range(near.ndim))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Array:
    """Whether two arrays have the same shape and equal elements.

    Args:
        a1: an array.
        a2: an array.
        equal_nan: whether NaN equals NaN.

    Returns:
        A boolean scalar.

    >>> jnp.array_equal(jnp.array([1, 2]), jnp.array([1.0, 2.0]))
    Array(True, dtype=bool)
    """
    x, y = as_arrays("array_equal", a1, a2)
    if x.shape != y.shape:
        return lax.full((), False)
    same = equal(x, y)
    if equal_nan:
        same = lax.bitwise_or(same, lax.bitwise_and(isnan(x), isnan(y)))
    return lax.reduce_and(same, range(same.ndim))


def array_equiv(a1: Any, a2: Any) -> Array:
    """Whether two arrays have equal elements once broadcast.

    Args:
        a1: an array.
        a2: an array.

    Returns:
        A boolean scalar; False if they do not broadcast.

    >>> jnp.array_equiv(jnp.array([2, 2]), 2)
    Array(True, dtype=bool)
    """
    x, y = as_arrays("array_equiv", a1, a2)
    try:
        same = equal(x, y)
    except ValueError:
        return lax.full((), False)
    return lax.reduce_and(same, range(same.ndim))


# Choice


def where(condition: Any, x: Any = None, y: Any = None, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """x where the condition holds, y elsewhere; without x and y, where it holds (`nonzero`).

    Args:
        condition: an array; what is not 0 is true.
        x: an array that broadcasts with the condition.
        y: an array that broadcasts with both.
        size: without x and y, the number of positions to give.
        fill_value: without x and y, what fills up to `size`.

    Returns:
        An array of their common shape, of the common dtype of x and y; or as `nonzero`. Only the chosen elements have a
        gradient.

    Raises:
        ArgumentError: one of x and y without the other.

    >>> jnp.where(jnp.array([True, False]), jnp.array([1.0, 2.0]), 0)
    Array([1., 0.], dtype=float32)
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ArgumentError("where takes both x and y, or neither", fix="where(condition, x, 0)")
    return _select(as_condition("where", condition), y, x)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    """For each element the choice whose condition is the first to hold, or the default.

    Args:
        condlist: conditions, arrays of booleans.
        choicelist: as many arrays, which broadcast with the conditions.
        default: what is taken where no condition holds.

    Returns:
        An array of their common shape, and of the common dtype of the choices and the default.

    Raises:
        ArgumentError: not as many choices as conditions, or none.

    >>> x = jnp.arange(5)
    >>> jnp.select([x < 2, x > 3], [x, 10 * x], -1)
    Array([ 0,  1, -1, -1, 40], dtype=int32)
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ArgumentError(f"select: {len(condlist)} conditions and {len(choicelist)} choices")
    *choices, out = promote_dtypes("select", *choicelist, default)
    for condition, choice in zip(condlist[::-1], choices[::-1], strict=True):
        out = _select(as_condition("select", condition), out, choice)
    return out
