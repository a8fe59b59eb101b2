"""The error function, its complement and its inverse."""

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.exponential import exp_reduced
from nrx.compiler.mathlib.kit import (
    INF,
    NAN,
    absolute,
    at_most,
    fast_two_sum,
    fma,
    nearest,
    polynomial,
    power_of_two,
    quotient,
    two_product,
    two_sum,
    with_sign,
)
from nrx.compiler.mathlib.logarithmic import log_of_normal
from nrx.core.loops import Expr, apply, const, eq, rarely, select

_ERF_FAR = {"f32": (tables.ERF_FAR_F32, 3.93), "f64": (tables.ERF_FAR_F64, 5.95)}
"""The polynomial, and where erf has become 1."""
_ERFC_LARGEST = {"f32": 10.2, "f64": 27.5}
"""Where erfc has become 0."""
_SPLIT = 13 / 16
"""Below it 1 - erf is above 1/4, so that the rounding of erf is at most one of its ulp."""


def erf(x: Expr) -> Expr:
    """x + x Q(x²) below 1, and 1 - 2^-p with a polynomial for p beyond."""
    a = absolute(x)
    coefficients, largest = _ERF_FAR[x.type]
    power = -polynomial(at_most(a, largest) - 1.0, coefficients)
    n, bits = nearest(power)
    r = power - n
    far = fma(-fma(polynomial(r, tables.EXP2[x.type]), r, 1.0), power_of_two(bits, x.type), 1.0)
    return with_sign(select(a < 1.0, _erf_near(a), far), x)


def erfc(x: Expr) -> Expr:
    """1 - erf near 0; beyond, exp(-a²) F(t) / (a + 3) with a polynomial F in t = (a - 3) / (a + 3).

    After M. Shepherd and J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 <= x < inf", Math.
    Comp. 36, 1981. The rounding errors of all factors are carried along.
    """
    a = at_most(absolute(x), _ERFC_LARGEST[x.type])
    far = _erfc_far(a)
    far = select(x < 0.0, 2.0 - far, far)
    return select(absolute(x) < _SPLIT, 1.0 - _erf_near(x), far)


def erf_inv(x: Expr) -> Expr:
    """x + x P(w), w = -log(1 - x²), after M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2012."""
    a = absolute(x)
    w = -log_of_normal(fma(-x, x, 1.0))
    centre = polynomial(w - 0.5, tables.ERF_INV_CENTRE[x.type])
    y = fma(a, rarely(w > 5.0, _erf_inv_tail(w), centre), a)
    return with_sign(select(a < 1.0, y, select(eq(a, 1.0), const(INF, x.type), NAN)), x)


def _erf_near(x: Expr) -> Expr:
    """erf for |x| <= 1."""
    return fma(x, polynomial(x * x, tables.ERF_NEAR[x.type]), x)


def _erfc_far(a: Expr) -> Expr:
    """erfc for a from 13/16 to where it is 0."""
    bottom, bottom_error = two_sum(a, const(3.0, a.type))
    inverse = 1.0 / bottom
    top, top_error = two_sum(a, const(-3.0, a.type))
    t = quotient(top, bottom, bottom_error, top_error)
    middle, middle_low = tables.ERFC_MIDDLE[a.type]
    slope, *curvature = tables.ERFC[a.type]
    linear, linear_low = two_product(t, slope)
    f, f_low = fast_two_sum(const(middle, a.type), linear)
    f, rest = fast_two_sum(f, t * t * polynomial(t, curvature))
    g = f * inverse
    g_low = (fma(-g, bottom, f) + fma(-g, bottom_error, rest + (f_low + (linear_low + middle_low)))) * inverse
    square, square_low = two_product(a, a)
    n, e = exp_reduced(-square, -square_low)
    e, e_low = fast_two_sum(const(1.0, a.type), e)
    product, error = two_product(e, g)
    return apply("ldexp", product + fma(e, g_low, fma(e_low, g, error)), n)


def _erf_inv_tail(w: Expr) -> Expr:
    """P(w) for w > 5."""
    s = apply("sqrt", w)
    if w.type == "f32":
        return polynomial(s - 3.125, tables.ERF_INV_TAIL_F32)
    middle, last = polynomial(s - 3.125, tables.ERF_INV_TAIL_F64), polynomial(s - 5.0625, tables.ERF_INV_LAST_F64)
    return select(w < 16.0, middle, last)
