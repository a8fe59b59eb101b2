"""The error function, its complement and its inverse."""

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.exponential import exp_reduced
from nrx.compiler.mathlib.kit import (
    INF,
    NAN,
    absolute,
    at_most,
    fma,
    nearest,
    polynomial,
    power_of_two,
    two_product,
    with_sign,
)
from nrx.compiler.mathlib.logarithmic import log_of_normal
from nrx.core.loops import Expr, apply, const, eq, rarely, select

_ERF_FAR = {"f32": (tables.ERF_FAR_F32, 3.93), "f64": (tables.ERF_FAR_F64, 5.95)}
"""The polynomial, and where erf has become 1."""
_ERFC_LARGEST = {"f32": 10.2, "f64": 27.5}
"""Where erfc has become 0."""


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
    """2^n (1 + e) g for x >= 0, where 2^n (1 + e) = exp(-a²) and g is exp(a²) erfc(a); else 2 less that.

    Of g, its rounding errors are carried along, with that of a².
    """
    a = at_most(absolute(x), _ERFC_LARGEST[x.type])
    square, square_low = two_product(a, a)
    n, e = exp_reduced(-square)
    g, g_low = _erfc_scaled(a)
    g_low = fma(g, -square_low, g_low)
    far = apply("ldexp", g + fma(e, g, fma(e, g_low, g_low)), n)
    return select(x < 0.0, 2.0 - far, far)


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


def _erfc_scaled(a: Expr) -> tuple[Expr, Expr]:
    """exp(a²) erfc(a) for a >= 0 and its rounding error: F(t) / (a + 2) with a polynomial F in t = 1/2 - 4 / (a + 2).

    After M. Shepherd and J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 <= x < inf", Math.
    Comp. 36, 1981. This t is 0 where large a need a precise F. An error of the quotient counts 1 + 2.6 / (a + 2) times.
    """
    bottom = a + 2.0
    bottom_error = a - (bottom - 2.0)
    inverse = 1.0 / bottom
    error = fma(-inverse, bottom_error, fma(-inverse, bottom, 1.0))
    t = fma(inverse, -4.0, 0.5)
    first, *others = tables.ERFC[a.type]
    rest = polynomial(t, others)
    f = fma(rest, t, first)
    f_low = fma(rest, t, first - f)
    g, g_low = two_product(f, inverse)
    return g, fma(g, error * fma(inverse, 2.6, 1.0), fma(f_low, inverse, g_low))


def _erf_inv_tail(w: Expr) -> Expr:
    """P(w) for w > 5."""
    s = apply("sqrt", w)
    if w.type == "f32":
        return polynomial(s - 3.125, tables.ERF_INV_TAIL_F32)
    middle, last = polynomial(s - 3.125, tables.ERF_INV_TAIL_F64), polynomial(s - 5.0625, tables.ERF_INV_LAST_F64)
    return select(w < 16.0, middle, last)
