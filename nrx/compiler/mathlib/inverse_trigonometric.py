"""Inverse trigonometric functions.

Polynomials give asin(s) - s for |s| <= 1/2 and atan(t) - t for |t| <= 1; larger arguments come from smaller ones by
asin(a) = pi/2 - 2 asin(sqrt((1 - a)/2)) and atan(a) = pi/2 - atan(1/a). The low part of pi/2 joins the small terms, so
that there is one large rounding in each result.
"""

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.kit import absolute, fma, is_negative, negated_if, polynomial, with_sign
from nrx.core.loops import Expr, apply, const, eq, select


def asin(x: Expr) -> Expr:
    high, low, _ = tables.HALF_PI[x.type]
    a = absolute(x)
    large, s, rest = _asin_parts(a, a)
    y = s + fma(s, rest, select(large, const(-low / 2, x.type), 0.0))
    return with_sign(select(large, fma(y, -2.0, high), y), x)


def acos(x: Expr) -> Expr:
    high, low, _ = tables.HALF_PI[x.type]
    large, s, rest = _asin_parts(absolute(x), x)
    near_one = x > 0.5
    y = s + fma(s, rest, select(near_one, const(0.0, x.type), -low))
    y = select(near_one, y, high - y)
    return select(large, y + y, y)


def atan(x: Expr) -> Expr:
    high, low, _ = tables.HALF_PI[x.type]
    a = absolute(x)
    large = a > 1.0
    t = select(large, 1.0 / a, a)
    y = t + fma(t, _atan_rest(t), select(large, const(-low, x.type), 0.0))
    return with_sign(select(large, high - y, y), x)


def atan2(y: Expr, x: Expr) -> Expr:
    """The angle of the point (x, y): atan of the smaller coordinate by the larger, moved to the octant."""
    high, low, _ = tables.HALF_PI[x.type]
    ordinate, abscissa, left = absolute(y), absolute(x), is_negative(x)
    steep = ordinate > abscissa
    small, large = select(steep, abscissa, ordinate), select(steep, ordinate, abscissa)
    diagonal = select(eq(large, 0.0), large, 1.0)  # 0/0 and inf/inf are defined
    t = select(eq(small, large), diagonal, small / large)
    t = negated_if(steep ^ left, t)
    base, base_low = (
        select(steep, const(part, x.type), select(left, const(2 * part, x.type), 0.0)) for part in (high, low)
    )
    return with_sign(base + (t + fma(t, _atan_rest(t), base_low)), y)


def _asin_parts(a: Expr, direct: Expr) -> tuple[Expr, Expr, Expr]:
    """Whether a > 1/2; s, which is `direct` or for a > 1/2 sqrt((1 - a)/2); asin(s)/s - 1."""
    large = a > 0.5
    z = select(large, fma(a, -0.5, 0.5), a * a)
    return large, select(large, apply("sqrt", z), direct), z * polynomial(z, tables.ASIN[a.type])


def _atan_rest(t: Expr) -> Expr:
    """atan(t)/t - 1."""
    z = t * t
    return z * polynomial(z, tables.ATAN[t.type])
