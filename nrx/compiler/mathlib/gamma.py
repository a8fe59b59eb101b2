"""The logarithm of the gamma function and its derivative.

f32 is computed in f64. Arguments below about 0 are reflected, which is branched to. Fits that take the zeros out hold
near them; Stirling's formula and the asymptotic series with a fitted rest hold beyond.
"""

import math
from collections.abc import Callable

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.kit import INF, NAN, absolute, fma, polynomial
from nrx.compiler.mathlib.trigonometric import sin_bounded, tan_bounded
from nrx.core.loops import Expr, apply, call, const, convert, eq, rarely, select

_HALF_LOG_2PI_E = (math.log(2 * math.pi) - 1) / 2


def lgamma(x: Expr) -> Expr:
    return _in_f64(_lgamma, x)


def digamma(x: Expr) -> Expr:
    return _in_f64(_digamma, x)


def _in_f64(function: Callable[[Expr], Expr], x: Expr) -> Expr:
    return convert(function(convert(x, "f64")), x.type)


def _lgamma(x: Expr) -> Expr:
    reflected = x < -0.3
    y = rarely(reflected, call(_lgamma_reflected, x), _lgamma_right(x))
    return select((x <= 0.0) & eq(apply("floor", x), x), const(INF, "f64"), y)


def _lgamma_right(x: Expr) -> Expr:
    """lgamma for x >= -0.3; lgamma(1 + x) - log|x| for x < 0.7."""
    recurs = x < 0.7
    y, above_one = select(recurs, 1.0 + x, x), select(recurs, x, x - 1.0)
    near = y < 3.5
    log = apply("log", select(near, absolute(x), x))
    value = select(near, _lgamma_near(y, above_one), _stirling(y, log))
    return value + select(recurs, -log, 0.0)  # in this order, lgamma(1) is +0


def _lgamma_reflected(x: Expr) -> Expr:
    """log(pi / |sin(pi x)|) - lgamma(1 - x)."""
    y = 1.0 - x
    mirrored = select(y < 3.5, _lgamma_near(y, -x), _stirling(y, apply("log", y)))
    sine = absolute(sin_bounded((x - apply("rint", x)) * math.pi))
    return (math.log(math.pi) - mirrored) - apply("log", sine)


def _lgamma_near(y: Expr, above_one: Expr) -> Expr:
    """lgamma for 0.7 <= y <= 3.5, with y - 1 too."""
    z = y - 0.7
    ratio = polynomial(z, tables.LGAMMA) / polynomial(z, tables.LGAMMA_DENOMINATOR)
    return above_one * (above_one - 1.0) * (ratio + 0.3125)


def _stirling(y: Expr, log: Expr) -> Expr:
    """lgamma for y >= 3.5, with log(y)."""
    inverse = 1.0 / y
    rest = fma(polynomial(inverse * inverse, tables.LGAMMA_TAIL), inverse, _HALF_LOG_2PI_E)
    return fma(y - 0.5, log - 1.0, rest)


def _digamma(x: Expr) -> Expr:
    reflected = x < -0.5
    y = rarely(reflected, call(_digamma_reflected, x), _digamma_right(x))
    return select((x < 0.0) & eq(apply("floor", x), x), const(NAN, "f64"), y)


def _digamma_right(x: Expr) -> Expr:
    """digamma for x >= -0.5; digamma(1 + x) - 1/x for x < 0.5."""
    recurs = x < 0.5
    y = select(recurs, 1.0 + x, x)
    inverse = 1.0 / x
    value = select(y < 4.0, _digamma_near(y), _digamma_far(y, inverse))
    return value - select(recurs, inverse, 0.0)


def _digamma_reflected(x: Expr) -> Expr:
    """digamma(1 - x) - pi cot(pi x)."""
    y = 1.0 - x
    mirrored = select(y < 4.0, _digamma_near(y), _digamma_far(y, 1.0 / y))
    return mirrored - math.pi / tan_bounded((x - apply("rint", x)) * math.pi)


def _digamma_near(y: Expr) -> Expr:
    """digamma for 0.5 <= y <= 4."""
    z = y - 0.5
    root, root_low = tables.DIGAMMA_ROOT["f64"]
    ratio = polynomial(z, tables.DIGAMMA) / polynomial(z, tables.DIGAMMA_DENOMINATOR)
    return ((y - root) - root_low) * (ratio + 0.4375)


def _digamma_far(y: Expr, inverse: Expr) -> Expr:
    """digamma for y >= 4, with 1/y."""
    square = inverse * inverse
    return apply("log", y) - fma(square, polynomial(square, tables.DIGAMMA_TAIL), inverse * 0.5)
