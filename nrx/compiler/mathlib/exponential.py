"""Exponentials and hyperbolic functions.

All reduce x to n log(2) + r with |r| <= log(2)/2, so that exp(x) = 2^n exp(r), and differ in how they use exp(r) - 1,
sinh(r) or cosh(r), whose polynomials are in `tables`.
"""

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.kit import (
    absolute,
    at_least,
    at_most,
    fma,
    format_of,
    horner,
    nearest,
    polynomial,
    power_of_two,
    quotient,
    with_sign,
)
from nrx.core.loops import Expr, apply, bitcast, select

# Where the results have become 0 or 1, and infinite, with a margin.
_EXP_RANGE = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}
_EXP2_RANGE = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}
_EXPM1_LEAST = {"f32": -18.0, "f64": -38.0}
_SINH_LARGEST = {"f32": 89.6, "f64": 710.6}
_TANH_LARGEST = {"f32": 10.0, "f64": 20.0}


def exp(x: Expr) -> Expr:
    low, high = _EXP_RANGE[x.type]
    n, e = exp_reduced(at_most(at_least(x, low), high))
    return apply("ldexp", 1.0 + e, n)


def exp2(x: Expr) -> Expr:
    low, high = _EXP2_RANGE[x.type]
    x = at_most(at_least(x, low), high)
    n, _ = nearest(x)
    r = x - n
    return apply("ldexp", fma(polynomial(r, tables.EXP2[x.type]), r, 1.0), n)


def ldexp(x: Expr, n: Expr) -> Expr:
    """x * 2^n for an integer n, in two steps, so that neither is out of range where the result is not."""
    f = format_of(x)
    bits = bitcast(n + f.shifter, f.bits)
    half = bits >> 1
    return x * power_of_two(bits - half, x.type) * power_of_two(half, x.type)


def expm1(x: Expr) -> Expr:
    f = format_of(x)
    _, bits, r = _reduced(at_most(at_least(x, _EXPM1_LEAST[x.type]), _EXP_RANGE[x.type][1]))
    half = power_of_two(bits, x.type, -1)  # 2^n overflows before the result does
    y = _expm1_scaled(r, half, half - 0.5)
    return select(absolute(x) < f.epsilon, x, y + y)


def logistic(x: Expr) -> Expr:
    """1 / (1 + exp(-x)): exp(-|x|) does not overflow."""
    power = apply("exp", -absolute(x))
    bottom = 1.0 + power
    return quotient(select(x < 0.0, power, 1.0), bottom, power - (bottom - 1.0))


def sinh(x: Expr) -> Expr:
    magnitude = absolute(x)
    odd, even, r, s, w = _hyperbolic(magnitude)
    y = odd + fma(r, even, fma(s, even, w * odd))
    return with_sign(select(magnitude < format_of(x).epsilon, magnitude, y + y), x)


def cosh(x: Expr) -> Expr:
    odd, even, r, s, w = _hyperbolic(absolute(x))
    y = even + fma(r, odd, fma(s, odd, w * even))
    return y + y


def tanh(x: Expr) -> Expr:
    """E / (E + 2) for E = exp(2|x|) - 1, where what rounds in E + 2 and in the quotient is made up for."""
    magnitude = at_most(absolute(x), _TANH_LARGEST[x.type])
    _, bits, r = _reduced(magnitude + magnitude)
    power = power_of_two(bits, x.type)
    top = _expm1_scaled(r, power, power - 1.0)
    bottom = top + 2.0
    bottom_error = top - (bottom - 2.0)
    return with_sign(quotient(top, bottom, bottom_error), x)


def exp_reduced(x: Expr) -> tuple[Expr, Expr]:
    """n and e, where exp(x) = 2^n (1 + e) and e is exact enough to be added to 1."""
    n, _, r = _reduced(x)
    return n, fma(r * r, polynomial(r, tables.EXP[x.type]), r)


def _reduced(x: Expr) -> tuple[Expr, Expr, Expr]:
    """n, as a float and as bits, and r, where x = n log(2) + r."""
    n, bits = nearest(x, tables.LOG2_E[x.type][0])
    log2, log2_low = tables.LOG_2[x.type]
    return n, bits, fma(n, -log2_low, fma(n, -log2, x))


def _expm1_scaled(r: Expr, power: Expr, rest: Expr) -> Expr:
    """power * (exp(r) - 1) + rest: where the result is smallest, nothing rounds before the last operation."""
    return fma(power, r * r * polynomial(r, tables.EXPM1[r.type]), fma(power, r, rest))


def _hyperbolic(x: Expr) -> tuple[Expr, Expr, Expr, Expr, Expr]:
    """For x >= 0: (2^n - 2^-n)/4, (2^n + 2^-n)/4, r, sinh(r) - r and cosh(r) - 1.

    By the addition theorems, half of sinh(x) and of cosh(x) are sums of products of these.
    """
    f = format_of(x)
    _, bits, r = _reduced(at_most(x, _SINH_LARGEST[x.type]))
    power = power_of_two(bits, x.type, -2)
    # 2^(-n-2) by subtracting exponents; beyond 2^n = 2^(bias - 8) it is negligible, and must not wrap.
    bounded = bitcast(at_most(power, 2.0 ** (f.bias - 8)), f.bits)
    inverse = bitcast(((2 * f.bias - 4) << f.mantissa) - bounded, x.type)
    z = r * r
    s, w = horner(z, tables.SINH[x.type]) * z * r, horner(z, tables.COSH[x.type]) * z
    return power - inverse, power + inverse, r, s, w
