"""Roots and powers."""

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.kit import FORMATS, INF, absolute, fma, format_of, nearest, polynomial, power_of_two, with_sign
from nrx.compiler.mathlib.logarithmic import decomposed
from nrx.core.loops import Expr, apply, bitcast, const, eq, select


def rsqrt(x: Expr) -> Expr:
    return 1.0 / apply("sqrt", x)


def cbrt(x: Expr) -> Expr:
    """From y = m^(-1/3), where |x| = m 2^(3q), by a polynomial and one step of fourth order; m y² is corrected once."""
    a = absolute(x)
    k, f = decomposed(a)
    q, bits = nearest(k, 1 / 3)
    j = k - 3.0 * q
    root = select(j > 0.0, const(2 ** (-1 / 3), x.type), select(j < 0.0, const(2 ** (1 / 3), x.type), 1.0))
    factor = select(j > 0.0, const(2.0, x.type), select(j < 0.0, const(0.5, x.type), 1.0))
    m = fma(f, factor, factor)
    y = polynomial(f, tables.CBRT[x.type]) * root
    h = fma(-m * y * y, y, 1.0)
    y = fma(y * h, fma(h, fma(h, 14 / 81, 2 / 9), 1 / 3), y)
    c = m * y * y
    square = c * c
    rest = fma(-square, c, m) - fma(c, c, -square) * c
    c = fma(rest * y * y, 1 / 3, c) * power_of_two(bits, x.type)
    regular = (a > 0.0) & (a < INF)
    return select(regular, with_sign(c, x), x)
