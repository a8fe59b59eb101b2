"""Roots and powers."""

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.kit import (
    INF,
    NAN,
    absolute,
    at_least,
    at_most,
    fast_two_sum,
    fma,
    is_negative,
    nearest,
    negated_if,
    polynomial,
    power_of_two,
    two_product,
    with_sign,
)
from nrx.compiler.mathlib.logarithmic import decomposed
from nrx.core.loops import Expr, apply, call, const, convert, eq, ne, rarely, select

_EXPONENT_RANGE = {"f32": 200.0, "f64": 1100.0}
"""Where powers of two are infinite, and their inverses 0, with a margin."""


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


def pow(x: Expr, y: Expr) -> Expr:
    """x^y as C's Annex F and NumPy define it; where x is not positive or something is not finite, by a branch."""
    regular = (x > 0.0) & (x < INF) & (absolute(y) < INF)
    return rarely(~regular, call(_pow_anywhere, x, y), _MAGNITUDE[x.type](x, y, False))


def _pow_anywhere(x: Expr, y: Expr) -> Expr:
    magnitude = _MAGNITUDE[x.type](absolute(x), y, True)
    is_integer, is_even = eq(apply("trunc", y), y), eq(apply("trunc", y * 0.5), y * 0.5)
    signed = negated_if(is_negative(x) & is_integer & ~is_even, magnitude)
    no_power = (x < 0.0) & ne(x, -INF) & ~is_integer
    one = eq(x, 1.0) | eq(y, 0.0) | (eq(x, -1.0) & eq(absolute(y), INF))
    return select(one, const(1.0, x.type), select(no_power, const(NAN, x.type), signed))


def _pow_f32(a: Expr, y: Expr, limits: bool) -> Expr:
    """a^y in f64, for a > 0; with limits, for a >= 0 and infinite ones too."""
    wide = convert(a, "f64")
    k, f = decomposed(wide)
    s = f / (f + 2.0)
    log2 = fma(s, polynomial(s * s, tables.LOG2_SHORT), k)
    product = _within(convert(y, "f64") * (_with_limits(wide, log2) if limits else log2), _EXPONENT_RANGE["f32"])
    n, bits = nearest(product)
    r = product - n
    return convert(fma(polynomial(r, tables.EXP2["f32"]), r, 1.0) * power_of_two(bits, "f64"), "f32")


def _pow_f64(a: Expr, y: Expr, limits: bool) -> Expr:
    """a^y for a > 0: 2^(y log2(a)) with a product of which the rounding errors are known. Limits as above."""
    high, low = _log2_twofold(a)
    if limits:
        high = _with_limits(a, high)
    product, error = two_product(y, high)
    limit = _EXPONENT_RANGE["f64"]
    error = select(absolute(product) < limit, fma(y, low, error), 0.0)
    product = _within(product, limit)
    n, _ = nearest(product)
    r = (product - n) + error
    return apply("ldexp", fma(polynomial(r, tables.EXP2["f64"]), r, 1.0), n)


_MAGNITUDE = {"f32": _pow_f32, "f64": _pow_f64}


def _log2_twofold(a: Expr) -> tuple[Expr, Expr]:
    """log2(a) as a sum of two numbers, within 2^-65 of it: 2 artanh(s) / log(2), s = f / (f + 2), and k."""
    k, f = decomposed(a)
    bottom, bottom_error = fast_two_sum(const(2.0, a.type), f)
    inverse = 1.0 / bottom
    s = f * inverse
    s_low = fma(-s, bottom_error, fma(-s, bottom, f)) * inverse
    z, z_low = two_product(s, s)
    z_low = fma(s + s, s_low, z_low)
    third, third_low = tables.THIRD[a.type]
    # artanh(s) = s + s (z (1/3 + z Q(z))), in sums of two numbers but for Q
    d, d_low = fast_two_sum(const(third, a.type), z * polynomial(z, tables.ARTANH))
    e, e_low = two_product(z, d)
    e_low = fma(z, d_low + third_low, fma(z_low, d, e_low))
    t, t_low = two_product(s, e)
    t_low = fma(s, e_low, fma(s_low, e, t_low)) + s_low
    high, low = fast_two_sum(s, t)
    low = low + t_low
    factor, factor_low = (2 * x for x in tables.LOG2_E[a.type])
    main, error = two_product(high, factor)
    error = fma(high, factor_low, fma(low, factor, error))
    total, rest = fast_two_sum(k, main)
    return fast_two_sum(total, rest + error)


def _with_limits(a: Expr, logarithm: Expr) -> Expr:
    """The logarithm of a >= 0; for 0, infinity and NaN too."""
    return select(a < INF, select(eq(a, 0.0), const(-INF, a.type), logarithm), a)


def _within(x: Expr, limit: float) -> Expr:
    return at_most(at_least(x, -limit), limit)
