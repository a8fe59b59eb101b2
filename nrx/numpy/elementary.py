"""Exponentials, logarithms, roots, trigonometric and hyperbolic functions, elementwise.

Integers are converted to the default float first.
"""

import math
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.numpy.promotion import Elementwise, as_inexact, broadcast, promote_dtypes
from nrx.ops.elementary import atan2_p

_atan2 = Elementwise("arctan2", atan2_p, inexact=True)


# Exponentials and logarithms


def exp(x: Any, /) -> Array:
    """e to the power of x, elementwise."""
    return lax.exp(as_inexact("exp", x))


def exp2(x: Any, /) -> Array:
    """2 to the power of x, elementwise."""
    return lax.exp2(as_inexact("exp2", x))


def expm1(x: Any, /) -> Array:
    """exp(x) - 1, elementwise, exact also near 0."""
    return lax.expm1(as_inexact("expm1", x))


def log(x: Any, /) -> Array:
    """The natural logarithm, elementwise; -inf of 0, NaN of negative numbers."""
    return lax.log(as_inexact("log", x))


def log1p(x: Any, /) -> Array:
    """log(1 + x), elementwise, exact also near 0."""
    return lax.log1p(as_inexact("log1p", x))


def log2(x: Any, /) -> Array:
    """The logarithm to base 2, elementwise."""
    return lax.div(log(x), math.log(2))


def log10(x: Any, /) -> Array:
    """The logarithm to base 10, elementwise."""
    return lax.div(log(x), math.log(10))


def logaddexp(x1: Any, x2: Any, /) -> Array:
    """log(exp(x1) + exp(x2)), elementwise, without overflow."""
    x, y = broadcast(promote_dtypes("logaddexp", x1, x2, inexact=True))
    return _logaddexp(x, y, 1.0)


def logaddexp2(x1: Any, x2: Any, /) -> Array:
    """log2(2**x1 + 2**x2), elementwise, without overflow."""
    x, y = broadcast(promote_dtypes("logaddexp2", x1, x2, inexact=True))
    return _logaddexp(x, y, math.log(2))


def _logaddexp(x: Array, y: Array, log_base: float) -> Array:
    """log(b**x + b**y) to base b."""
    if dtypes.is_complex(x.dtype):
        ahead = lax.gt(lax.real(x), lax.real(y))
        high, low = lax.select(ahead, x, y), lax.select(ahead, y, x)
        return lax.add(high, lax.log1p(lax.exp(lax.sub(low, high))))
    high, gap = lax.max(x, y), lax.sub(x, y)
    # Equal infinities have no difference; NaN passes through the sum.
    same = lax.bitwise_and(lax.eq(x, y), lax.bitwise_not(lax.is_finite(x)))
    gap = lax.select(same, lax.full_like(gap, 0), gap)
    tail = lax.div(lax.log1p(lax.exp(lax.mul(lax.neg(lax.abs(gap)), log_base))), log_base)
    return lax.select(same, x, lax.add(high, tail))


# Roots


def sqrt(x: Any, /) -> Array:
    """The square root, elementwise; NaN of negative numbers."""
    return lax.sqrt(as_inexact("sqrt", x))


def cbrt(x: Any, /) -> Array:
    """The real cube root, elementwise."""
    return lax.cbrt(as_inexact("cbrt", x))


def hypot(x1: Any, x2: Any, /) -> Array:
    """sqrt(x1**2 + x2**2), elementwise, without overflow."""
    x, y = broadcast(promote_dtypes("hypot", x1, x2, inexact=True))
    x, y = lax.abs(x), lax.abs(y)
    high, low, zero, infinite = lax.max(x, y), lax.min(x, y), lax.full_like(x, 0), lax.full_like(x, math.inf)
    either = lax.bitwise_or(lax.eq(x, infinite), lax.eq(y, infinite))
    plain = lax.bitwise_or(lax.eq(high, zero), either)
    ratio = lax.div(low, lax.select(plain, lax.full_like(high, 1), high))
    ratio = lax.select(plain, zero, ratio)
    length = lax.mul(high, lax.sqrt(lax.add(lax.mul(ratio, ratio), 1)))
    return lax.select(either, infinite, length)


# Trigonometry


def sin(x: Any, /) -> Array:
    """The sine of angles in radians, elementwise."""
    return lax.sin(as_inexact("sin", x))


def cos(x: Any, /) -> Array:
    """The cosine of angles in radians, elementwise."""
    return lax.cos(as_inexact("cos", x))


def tan(x: Any, /) -> Array:
    """The tangent of angles in radians, elementwise."""
    return lax.tan(as_inexact("tan", x))


def arcsin(x: Any, /) -> Array:
    """The angle in [-π/2, π/2] whose sine is x, elementwise; NaN outside [-1, 1]."""
    return lax.asin(as_inexact("arcsin", x))


def arccos(x: Any, /) -> Array:
    """The angle in [0, π] whose cosine is x, elementwise; NaN outside [-1, 1]."""
    return lax.acos(as_inexact("arccos", x))


def arctan(x: Any, /) -> Array:
    """The angle in [-π/2, π/2] whose tangent is x, elementwise."""
    return lax.atan(as_inexact("arctan", x))


def arctan2(x1: Any, x2: Any, /) -> Array:
    """The angle in [-π, π] of the point with ordinate x1 and abscissa x2, elementwise."""
    return _atan2(x1, x2)


def sinc(x: Any, /) -> Array:
    """sin(πx) / (πx), elementwise; 1 at 0."""
    x = as_inexact("sinc", x)
    zero, one = lax.full_like(x, 0), lax.full_like(x, 1)
    scaled = lax.mul(x, math.pi)
    at_zero = lax.eq(x, zero)
    divisor = lax.select(at_zero, one, scaled)
    # Near 0 the series; its derivatives are right at 0, where those of the quotient are not.
    square = lax.mul(scaled, scaled)
    series = lax.add(lax.mul(square, lax.add(lax.mul(square, 1 / 120), -1 / 6)), 1)
    return lax.select(at_zero, series, lax.div(lax.sin(divisor), divisor))


def deg2rad(x: Any, /) -> Array:
    """Degrees as radians, elementwise."""
    return lax.mul(as_inexact("deg2rad", x), math.pi / 180)


def rad2deg(x: Any, /) -> Array:
    """Radians as degrees, elementwise."""
    return lax.mul(as_inexact("rad2deg", x), 180 / math.pi)


radians, degrees = deg2rad, rad2deg


# Hyperbolic functions


def sinh(x: Any, /) -> Array:
    """The hyperbolic sine, elementwise."""
    return lax.sinh(as_inexact("sinh", x))


def cosh(x: Any, /) -> Array:
    """The hyperbolic cosine, elementwise."""
    return lax.cosh(as_inexact("cosh", x))


def tanh(x: Any, /) -> Array:
    """The hyperbolic tangent, elementwise."""
    return lax.tanh(as_inexact("tanh", x))


def arcsinh(x: Any, /) -> Array:
    """The inverse of sinh, elementwise."""
    return lax.asinh(as_inexact("arcsinh", x))


def arccosh(x: Any, /) -> Array:
    """The inverse of cosh, elementwise; NaN below 1."""
    return lax.acosh(as_inexact("arccosh", x))


def arctanh(x: Any, /) -> Array:
    """The inverse of tanh, elementwise; NaN outside [-1, 1]."""
    return lax.atanh(as_inexact("arctanh", x))


asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh
