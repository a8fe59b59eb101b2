"""Division rounded down, elementwise: the quotient, and the remainder that it leaves, which has the divisor's sign.

Integers divided by zero give 0, and so does what is left. Python's `//` and `%`; `arithmetic.div` and `rem` are C's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.loops import Builder, Elementwise, Expr, Pointwise
from nrx.ops.arithmetic import add, div, float_remainder, mul, neg, round, sub
from nrx.ops.common import NUMBERS, REAL
from nrx.ops.logic import eq, select
from nrx.ops.rules import discrete, elementwise, elementwise_jvp, lift_same, nonlinear, through_float32
from nrx.ops.structural import full_like

# Public functions


def floor_divide(x: Any, y: Any) -> Array:
    """The largest integer not above x / y, elementwise; floor(x / y) where an operand is infinite or zero.

    >>> import nrx
    >>> from nrx.ops import floored
    >>> floored.floor_divide(nrx.numpy.array([7, -7]), 2)
    Array([ 3, -4], dtype=int32)
    """
    return floor_divide_p.bind(*lift_same("floor_divide", x, y))


def remainder(x: Any, y: Any) -> Array:
    """What floor division leaves of x, with the sign of y, elementwise.

    >>> import nrx
    >>> from nrx.ops import floored
    >>> floored.remainder(nrx.numpy.array([7, -7]), 4)
    Array([3, 1], dtype=int32)
    """
    return remainder_p.bind(*lift_same("remainder", x, y))


# impl: NumPy's functions; CuPy's round x / y, which may be off by one, and differ where y is 0


def _truncated(xp: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """C's remainder of floats, and whether it is not 0 and its sign not that of the divisor."""
    left = xp.fmod(x, y)
    return left, (left != 0) & ((left < 0) != (y < 0))


def _remainder_impl(xp: Any, x: Any, y: Any) -> Any:
    if xp is np:
        return np.remainder(x, y)
    if x.dtype.kind in "iu":
        return xp.where(y == 0, y, xp.remainder(x, y))
    left, wrong = _truncated(xp, x, y)
    return xp.where(wrong, left + y, xp.where(left == 0, xp.copysign(left, y), left))


def _floor_divide_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind in "iu":
        quotient = xp.floor_divide(x, y)
        return quotient if xp is np else xp.where(y == 0, y, quotient)
    quotient = np.floor_divide(x, y) if xp is np else _quotient(xp, x, y)
    return xp.where(xp.isinf(x) | xp.isinf(y), xp.floor(x / y), quotient)


def _quotient(xp: Any, x: Any, y: Any) -> Any:
    """NumPy's floor division of finite floats."""
    left, wrong = _truncated(xp, x, y)
    quotient = (x - left) / y - wrong.astype(x.dtype)  # an integer but for rounding
    whole = xp.floor(quotient)
    whole = whole + (quotient - whole > 0.5).astype(x.dtype)
    return xp.where(y == 0, x / y, xp.where(whole == 0, xp.copysign(whole, x / y), whole))


# jvp


def _remainder_y(t: Any, out: Any, x: Any, y: Any) -> Any:
    # The quotient is an integer but for rounding. The result is y itself where y is infinite or x next to nothing.
    quotient = select(eq(out, y), full_like(y, -1), round(div(sub(x, out), y)))
    return mul(neg(t), quotient)


# lower


def _has_wrong_sign(left: Expr, y: Expr) -> Expr:
    return loops.ne(left, 0) & ((left < 0) ^ (y < 0))


def _remainder_element(x: Expr, y: Expr) -> Expr:
    left = loops.apply("rem", x, y)
    if y.type not in loops.UNSIGNED_TYPES:
        left = loops.select(_has_wrong_sign(left, y), left + y, left)
    return loops.select(loops.eq(y, 0), y, left)


def _floor_divide_element(x: Expr, y: Expr) -> Expr:
    quotient = x / y
    if y.type not in loops.UNSIGNED_TYPES:
        quotient = loops.select(_has_wrong_sign(x - quotient * y, y), quotient - 1, quotient)
    return loops.select(loops.eq(y, 0), y, quotient)


def _float_remainder_at(b: Builder, index: tuple, *operands: Callable) -> Expr:
    x, y = (loops.widen(operand(*index)) for operand in operands)
    left = float_remainder(b, x, y)
    zero = loops.apply("copysign", left, y)
    return loops.select(_has_wrong_sign(left, y), left + y, loops.select(loops.eq(left, 0), zero, left))


def _float_floor_divide_at(b: Builder, index: tuple, *operands: Callable) -> Expr:
    x, y = (loops.widen(operand(*index)) for operand in operands)
    left = float_remainder(b, x, y)
    quotient = (x - left) / y
    quotient = loops.select(_has_wrong_sign(left, y), quotient - 1, quotient)
    whole = loops.apply("floor", quotient)
    whole = loops.select(quotient - whole > 0.5, whole + 1, whole)
    whole = loops.select(loops.eq(whole, 0), loops.apply("abs", whole), whole)
    special = loops.eq(x, 0) | loops.eq(y, 0)
    for operand in (x, y):
        special = special | loops.eq(loops.apply("abs", operand), np.inf)
    return loops.select(special, loops.apply("floor", x / y), whole)


def _lower(integers: Callable, floats: Callable) -> Callable:
    rules = Elementwise(integers, cost=12), Pointwise(floats, cost=25)
    return lambda x, y: rules[dtypes.is_floating(x.dtype)]


# Registration

floor_divide_p = discrete(elementwise("floor_divide", through_float32(_floor_divide_impl), REAL & NUMBERS))
floor_divide_p.define(lower=_lower(_floor_divide_element, _float_floor_divide_at))
remainder_p = elementwise("remainder", through_float32(_remainder_impl), REAL & NUMBERS)
remainder_p.define(lower=_lower(_remainder_element, _float_remainder_at))
nonlinear(remainder_p, elementwise_jvp(remainder_p, add, lambda t, out, x, y: t, _remainder_y))
for _prim in (floor_divide_p, remainder_p):
    _prim.compiled_from = (0, 1 << 16)
