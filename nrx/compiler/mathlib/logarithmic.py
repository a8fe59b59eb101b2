"""Logarithms and inverse hyperbolic functions.

All write their argument as 2^k (1 + f) with 3/4 <= 1 + f < 3/2 and take log(1 + f) from f and a polynomial for the
rest, so that nothing cancels where k is 0. The inverse hyperbolic functions are logarithms of sums that are known to
twice the precision.
"""

import math
from typing import Any

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.kit import (
    FORMATS,
    INF,
    NAN,
    Format,
    absolute,
    fast_two_sum,
    fma,
    format_of,
    polynomial,
    two_product,
    two_sum,
    with_sign,
)
from nrx.core.loops import Expr, apply, bitcast, const, eq, select


def log(x: Expr) -> Expr:
    k, f = decomposed(x)
    return _with_poles(x, x, _log(k, f, _log1p_rest(f)))


def log_of_normal(x: Expr) -> Expr:
    """The logarithm of a positive normal number."""
    k, f = decomposed(x)
    return _log(k, f, _log1p_rest(f))


def log2(x: Expr) -> Expr:
    k, f = decomposed(x)
    high, low = tables.LOG2_E[x.type]
    main, error = two_product(f, high)
    return _with_poles(x, x, (k + main) + fma(_log1p_rest(f), high, fma(f, low, error)))


def log1p(x: Expr) -> Expr:
    f = format_of(x)
    shifted = x + 1.0
    lifted = _lifted(shifted)
    # 1 + fraction is (1 + x) 2^-k without the rounding of 1 + x. The factor 4 keeps 2^-k a normal number.
    power = _inverse_power(lifted, x.type, 2)
    fraction = fma(x * power, 0.25, fma(power, 0.25, -1.0))
    y = _log(_exponent(lifted, x.type), fraction, _log1p_rest(fraction))
    return select(absolute(x) < f.epsilon / 2, x, _with_poles(shifted, x, y))


def asinh(x: Expr) -> Expr:
    """log(a + sqrt(a² + 1)) for a = |x|, and log(2a) where a² + 1 is a²."""
    a = absolute(x)
    square, error = two_product(a, a)
    high, low = two_sum(square, 1.0)
    root, root_error = _square_root(high, low + error)
    high, low = fast_two_sum(root, a)
    y = _log_of_sum(a, high, low + root_error)
    return with_sign(_where_identity(a, select(a < INF, y, a)), x)


def acosh(x: Expr) -> Expr:
    """log(x + sqrt(x² - 1)), and log(2x) where x² - 1 is x²."""
    square, error = two_product(x, x)
    high, low = fast_two_sum(square, const(-1.0, x.type))
    root, root_error = _square_root(high, low + error)
    high, low = fast_two_sum(x, root)
    y = _log_of_sum(x, high, low + root_error)
    return select(x > 1.0, select(x < INF, y, x), select(eq(x, 1.0), const(0.0, x.type), NAN))


def atanh(x: Expr) -> Expr:
    """log(1 + 2a / (1 - a)) / 2 for a = |x|, with the rounding errors of the quotient and the sum."""
    a = absolute(x)
    twice, bottom = a + a, 1.0 - a
    inverse = 1.0 / bottom
    t = twice * inverse
    rest = fma(-t, (1.0 - bottom) - a, fma(-t, bottom, twice))
    high, low = two_sum(t, 1.0)
    y = _log_of_double(high, fma(rest, inverse, low)) * 0.5
    y = select(a < 1.0, y, select(eq(a, 1.0), const(INF, a.type), NAN))
    return with_sign(_where_identity(a, y), x)


def exponent(x: Expr) -> Expr:
    """k where x = 2^k m with 3/4 <= m < 3/2, for positive finite x."""
    small, lifted = _lifted_normal(x)
    return _exponent(lifted, x.type, small)


def significand(x: Expr) -> Expr:
    """m where x = 2^k m with 3/4 <= m < 3/2, for positive finite x."""
    return _significand(_lifted_normal(x)[1], x.type)


def decomposed(x: Expr) -> tuple[Expr, Expr]:
    """k and f, where x = 2^k (1 + f), for positive finite x."""
    return apply("exponent", x), apply("significand", x) - 1.0


def _lifted_normal(x: Expr) -> tuple[Expr, Expr]:
    """Whether x is subnormal, and `_lifted` of x, where it is, multiplied by 2^mantissa."""
    f = format_of(x)
    small = x < f.least_normal
    return small, _lifted(select(small, x * 2.0**f.mantissa, x))


def _lifted(x: Expr) -> Expr:
    """The bits of x, from which those of 3/4 are subtracted: the highest are k with the exponent's bias."""
    f = format_of(x)
    return bitcast(x, f.bits) + (f.one - _three_quarters(f))


def _three_quarters(f: Format) -> int:
    """The bits of 3/4."""
    return f.one - (1 << (f.mantissa - 1))


def _significand(lifted: Expr, type: str) -> Expr:
    f = FORMATS[type]
    return bitcast((lifted & ((1 << f.mantissa) - 1)) + _three_quarters(f), type)


def _exponent(lifted: Expr, type: str, multiplied: Expr | None = None) -> Expr:
    """k as a float: 2^mantissa is given its bits, and subtracted again with the bias.

    Where x was `multiplied` by 2^mantissa, so is that.
    """
    f = FORMATS[type]
    offset: Any = 2.0**f.mantissa + f.bias
    if multiplied is not None:
        offset = select(multiplied, const(offset + f.mantissa, type), offset)
    return bitcast((lifted >> f.mantissa) | ((f.bias + f.mantissa) << f.mantissa), type) - offset


def _inverse_power(lifted: Expr, type: str, exponent: int) -> Expr:
    """2^(exponent - k)."""
    f = FORMATS[type]
    return bitcast(((2 * f.bias + exponent) << f.mantissa) - (lifted & f.infinity), type)


def _log1p_rest(f: Expr) -> Expr:
    """log(1 + f) - f."""
    if f.type == "f32":
        square = f * f
        return fma(square * f, polynomial(f, tables.LOG_F32), square * -0.5)
    # log(1 + f) is 2 artanh(s); after Sun's fdlibm, what s rounds is multiplied by less than f.
    s = f / (f + 2.0)
    z = s * s
    half_square = f * f * 0.5
    return fma(s, fma(z, polynomial(z, tables.LOG_F64), half_square), -half_square)


def _log(k: Expr, f: Expr, rest: Expr) -> Expr:
    """k log(2) + f + rest."""
    high, low = tables.LOG_2[f.type]
    return fma(k, high, f + fma(k, low, rest))


def _log_of_double(high: Expr, low: Expr, offset: Expr | float = 0.0) -> Expr:
    """log(high + low) + offset log(2), for high >= 1/2."""
    lifted = _lifted(high)
    power = _inverse_power(lifted, high.type, 1)  # halved below, so that it is never subnormal
    f, error = fast_two_sum(_significand(lifted, high.type) - 1.0, low * 0.5 * power)
    rest = _log1p_rest(f) + fma(-error, f, error)  # error / (1 + f), as far as it matters
    return _log(_exponent(lifted, high.type) + offset, f, rest)


def _log_of_sum(a: Expr, high: Expr, low: Expr) -> Expr:
    """log(high + low), and log(2a) where a is so large that its square may overflow."""
    large = a > 2.0 ** (format_of(a).mantissa // 2 + 3)
    return _log_of_double(select(large, a, high), select(large, 0.0, low), select(large, const(1.0, a.type), 0.0))


def _square_root(high: Expr, low: Expr) -> tuple[Expr, Expr]:
    """The square root of a positive sum, and its error."""
    root = apply("sqrt", high)
    return root, (fma(-root, root, high) + low) * (0.5 / root)


def _where_identity(a: Expr, y: Expr) -> Expr:
    """y, and a where the function is the identity but for a² / 6."""
    return select(a < math.sqrt(format_of(a).epsilon), a, y)


def _with_poles(position: Expr, x: Expr, y: Expr) -> Expr:
    """The logarithm y of a positive position; -inf, NaN or x itself where there is none."""
    y = select(position < INF, y, x)
    return select(position > 0.0, y, select(eq(position, 0.0), const(-INF, x.type), NAN))
