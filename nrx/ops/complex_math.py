"""Elementary functions of complex numbers, as loop IR over those of real ones.

    apply("sqrt", z)        z: a loops.Complex; pow and atan2 take two

Each part of a result is a few ulp from the exact one where no cancellation is in the nature of the function: formulas
are sums of positive terms, or carry rounding errors along. Nothing overflows or underflows before the result does.
Branch cuts, signed zeros, infinities and NaN are those of C's Annex G and of NumPy.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nrx.core import loops
from nrx.core.loops import Complex, Expr, const, eq, ne, select

INF, NAN = math.inf, math.nan
LOG_2 = math.log(2)


def apply(name: str, *operands: Complex) -> Complex:
    """A function of complex numbers by its name."""
    return FUNCTIONS[name](*operands)


# --- Real numbers -----------------------------------------------------------------------------------------------------


def _fma(x: Expr, y: Any, z: Any) -> Expr:
    return loops.apply("fma", x, y, z)


def _of(name: str, *xs: Expr) -> Expr:
    return loops.apply(name, *xs)


def _size(x: Expr) -> Expr:
    return loops.apply("abs", x)


def _signed(size: Expr, sign: Expr) -> Expr:
    return loops.apply("copysign", size, sign)


def _is_infinite(x: Expr) -> Expr:
    return eq(_size(x), INF)


def _is_finite(x: Expr) -> Expr:
    return _size(x) < INF


def _is_zero(x: Expr) -> Expr:
    return eq(x, 0.0)


def _if_true(condition: Expr, value: float, other: Expr) -> Expr:
    return select(condition, const(value, other.type), other)


def _sum_and_error(x: Expr, y: Any) -> tuple[Expr, Expr]:
    """The rounded sum and what it lacks (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def _square_and_error(x: Expr) -> tuple[Expr, Expr]:
    square = x * x
    return square, _fma(x, x, -square)
