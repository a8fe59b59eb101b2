"""Sine, cosine and tangent.

|x| = n pi/2 + r with |r| at most pi/4. Up to `_LARGEST`, pi/2 as a sum of three numbers is enough: of the fused
products that are subtracted the first one rounds nothing. Beyond, which is rare and branched to, |x| is multiplied by
those digits of 2/pi that do not make whole periods (M. Payne and R. Hanek, "Radian reduction for trigonometric
functions", SIGNUM Newsletter 18, 1983).
"""

from collections.abc import Callable, Sequence

from nrx.compiler.mathlib import tables
from nrx.compiler.mathlib.kit import (
    FORMATS,
    absolute,
    fast_two_sum,
    fma,
    format_of,
    nearest,
    polynomial,
    quotient,
    two_product,
    two_sum,
)
from nrx.core.loops import Expr, apply, bitcast, call, const, convert, eq, rarely, select, table

_LARGEST = {"f32": 2.0**17, "f64": 2.0**30}

Reduced = tuple[Expr, Expr, Expr]
"""r, its rounding error, and n in the low bits of an unsigned integer."""


def sin(x: Expr) -> Expr:
    a = absolute(x)
    return _with_sign_of(x, _by_size(a, _sine(*_reduced(a)), _sin_large))


def cos(x: Expr) -> Expr:
    a = absolute(x)
    return _by_size(a, _cosine(*_reduced(a)), _cos_large)


def tan(x: Expr) -> Expr:
    a = absolute(x)
    return _with_sign_of(x, _by_size(a, _tangent(*_reduced_twofold(a)), _tan_large))


def sin_bounded(x: Expr) -> Expr:
    """sin for |x| up to `_LARGEST`, without a branch."""
    return _with_sign_of(x, _sine(*_reduced(absolute(x))))


def tan_bounded(x: Expr) -> Expr:
    """tan for |x| up to `_LARGEST`, without a branch."""
    return _with_sign_of(x, _tangent(*_reduced_twofold(absolute(x))))


def _by_size(a: Expr, small: Expr, large: Callable[[Expr], Expr]) -> Expr:
    return rarely(a > _LARGEST[a.type], call(large, a), small)


def _sin_large(a: Expr) -> Expr:
    return _sine(*_REDUCED_LARGE[a.type](a))


def _cos_large(a: Expr) -> Expr:
    return _cosine(*_REDUCED_LARGE[a.type](a))


def _tan_large(a: Expr) -> Expr:
    return _tangent(*_REDUCED_LARGE[a.type](a))


def _sine(r: Expr, _: Expr, n: Expr) -> Expr:
    """sin(n pi/2 + r)."""
    z = r * r
    sine = fma(r, z * polynomial(z, tables.SINE[r.type]), r)
    cosine = fma(z, polynomial(z, tables.COSINE[r.type]), 1.0)
    return _negated_if_odd(n >> 1, select(eq(n & 1, 0), sine, cosine))


def _cosine(r: Expr, error: Expr, n: Expr) -> Expr:
    """cos(n pi/2 + r)."""
    return _sine(r, error, n + 1)


def _tangent(r: Expr, error: Expr, n: Expr) -> Expr:
    """tan(n pi/2 + r + error): the quotient of sine and cosine, with the rounding errors of both."""
    z = r * r
    sine = fast_two_sum(r, fma(r, z * polynomial(z, tables.SINE[r.type]), error))
    cosine = fast_two_sum(const(1.0, r.type), fma(z, polynomial(z, tables.COSINE[r.type]), -r * error))
    even = eq(n & 1, 0)
    top, top_error = (select(even, x, y) for x, y in zip(sine, cosine, strict=True))
    bottom, bottom_error = (select(even, y, x) for x, y in zip(sine, cosine, strict=True))
    return _negated_if_odd(n, quotient(top, bottom, bottom_error, top_error))


def _negated_if_odd(n: Expr, y: Expr) -> Expr:
    f = format_of(y)
    return bitcast(bitcast(y, f.bits) ^ (n << (f.width - 1)), y.type)


def _with_sign_of(x: Expr, y: Expr) -> Expr:
    """y, negated if x is negative."""
    f = format_of(x)
    sign = bitcast(x, f.bits) & (1 << (f.width - 1))
    return bitcast(bitcast(y, f.bits) ^ sign, x.type)


def _reduced(a: Expr) -> Reduced:
    """For a up to `_LARGEST`; without the error."""
    n, bits = nearest(a, tables.TWO_OVER_PI[a.type])
    high, middle, low = tables.HALF_PI[a.type]
    return fma(n, -low, fma(n, -middle, fma(n, -high, a))), const(0.0, a.type), bits


def _reduced_twofold(a: Expr) -> Reduced:
    """For a up to `_LARGEST`, with the error."""
    n, bits = nearest(a, tables.TWO_OVER_PI[a.type])
    high, middle, low = tables.HALF_PI[a.type]
    product, product_error = two_product(n, -middle)
    r, error = two_sum(fma(n, -high, a), product)
    return *fast_two_sum(r, fma(n, -low, product_error + error)), bits


def _reduced_f32(a: Expr) -> Reduced:
    """For any f32, in f64, where two numbers have the digits of 2/pi that matter."""
    wide, (first, second) = _digits(convert(a, "f64"), "f32")
    main, error = two_product(wide, first)
    main = _without_periods(main)
    n, bits = nearest(main)
    r = ((main - n) + fma(wide, second, error)) * tables.HALF_PI["f64"][0]
    narrow = convert(r, "f32")
    return narrow, convert(r - convert(narrow, "f64"), "f32"), convert(bits, "u32")


def _reduced_f64(a: Expr) -> Reduced:
    """For any f64.

    r may be 2^-60 though the terms of the sum are up to 2: it is computed as with three times the precision (Ogita,
    Rump, Oishi, "Accurate sum and dot product", 2005).
    """
    scaled, digits = _digits(a, "f64")
    products = [two_product(scaled, d) for d in digits]
    large = [_without_periods(x) for x in (products[0][0], products[0][1], products[1][0])]
    n, bits = nearest(large[0] + large[1] + large[2])
    terms = [products[3][0], products[2][1], products[2][0], products[1][1], large[2], large[1], -n, large[0]]
    for _ in range(2):
        terms = _errors_first(terms)
    high, low = fast_two_sum(terms[-1], _sum(terms[:-1]))
    half_pi, rest, _ = tables.HALF_PI["f64"]
    r, error = two_product(high, half_pi)
    return *fast_two_sum(r, fma(high, rest, fma(low, half_pi, error))), bits


_REDUCED_LARGE = {"f32": _reduced_f32, "f64": _reduced_f64}


def _digits(a: Expr, type: str) -> tuple[Expr, list[Expr]]:
    """a as an integer times a power of two, and that power times 2/pi, modulo 4; see `tables.TWO_OVER_PI_DIGITS`.

    For a of that type, above 2^16, as an f64.
    """
    lowest = 16
    f, digits = FORMATS["f64"], tables.TWO_OVER_PI_DIGITS[type]
    bits = bitcast(a, f.bits)
    index = ((bits >> f.mantissa) - (f.bias + lowest)) >> 4 & (len(digits[0]) - 1)
    shift = FORMATS[type].mantissa - lowest
    scaled = bitcast(bits + (shift << f.mantissa) - (index << (f.mantissa + 4)), "f64")
    return scaled, [table(index, part, "f64") for part in digits]


def _without_periods(x: Expr) -> Expr:
    """x modulo 4, in [-2, 2]."""
    return fma(apply("rint", x * 0.25), -4.0, x)


def _errors_first(terms: Sequence[Expr]) -> list[Expr]:
    """Terms of the same sum: the rounding errors of the partial sums, and the sum."""
    total, *rest = terms
    errors = []
    for term in rest:
        total, error = two_sum(term, total)
        errors.append(error)
    return [*errors, total]


def _sum(terms: Sequence[Expr]) -> Expr:
    total, *rest = terms
    for term in rest:
        total = total + term
    return total
