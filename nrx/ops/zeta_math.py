"""The numerics of the Hurwitz zeta function and of the polygamma functions, in the terms of a `Math`, in float64.

`tests/test_special_math.py` asserts the bounds in the docstrings.
"""

import math
from typing import Any

from nrx.ops.element_math import Math

# fmt: off
# B(2k)/(2k)!, the Bernoulli numbers
_EULER_MACLAURIN = (
    0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07, 2.08767569878681e-08,
    -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13, 8.586062056277845e-15,
    -2.174868698558062e-16, 5.5090028283602295e-18, -1.3954464685812522e-19,
)
# fmt: on

_FACTORIALS = tuple(float(math.factorial(n)) for n in range(171)) + (math.inf,)
_DIRECT_TERMS = 8.0  # of the series, before the Euler-Maclaurin formula takes over


def _is_whole(m: Math, x: Any) -> Any:
    return m.equal(x, m.floor(x))


def _is_even(m: Math, x: Any) -> Any:
    return _is_whole(m, x * 0.5)


def _power(m: Math, x: Any, y: Any) -> Any:
    return m.pow(x, y)


def _zeta_right(m: Math, s: Any, q: Any) -> Any:
    """The zeta function for q > 0, by the Euler-Maclaurin formula."""
    # Direct terms make the formula converge. Where it does without, they are left out: q + k would be rounded.
    direct = q < s + _DIRECT_TERMS
    a = m.where(direct, q + _DIRECT_TERMS, q)
    factor = s / a
    series = 0.5 + factor * _EULER_MACLAURIN[0]
    for k, coefficient in enumerate(_EULER_MACLAURIN[1:], start=1):
        factor = factor * ((s + (2.0 * k - 1.0)) / a) * ((s + 2.0 * k) / a)
        series = series + factor * coefficient
    power = m.call(_power, a, 1.0 - s)
    total = m.where(m.equal(power, 0.0), 0.0, power * (1.0 / (s - 1.0) + series / a))
    for k in reversed(range(int(_DIRECT_TERMS))):
        total = total + m.where(direct, m.call(_power, q + float(k), -s), 0.0)
    return total


def zeta(m: Math, s: Any, q: Any) -> Any:
    """The Hurwitz zeta function, the sum of (q + k)^-s over k = 0, 1, 2, …, elementwise.

    Domain as in SciPy: inf for s = 1, NaN for s < 1; q <= 0 gives inf at integers, and elsewhere a value for integer s
    and NaN for others.
    Accuracy: 3 + s/3 ulp for q > 0; for q < 0, 4 epsilon of the sum of the absolute terms if s <= 5.
    Source: the Euler-Maclaurin formula (F. Johansson, "Rigorous high-precision computation of the Hurwitz zeta function
    and its derivatives", Numer. Algorithms 69, 2015).
    """
    value = m.call(_zeta_right, s, m.where(q > 0.0, q, q - m.floor(q)))

    def left_of_zero() -> Any:
        # The terms split at the one next to zero: the left ones are a finite sum, a difference of two zetas.
        finite = m.call(_zeta_right, s, m.ceil(q) - q) - m.call(_zeta_right, s, 1.0 - q)
        both = value + m.where(_is_even(m, s), finite, -finite)
        return m.where(_is_whole(m, q), math.inf, m.where(_is_whole(m, s), both, math.nan))

    value = m.where(m.equal(q, 0.0), math.inf, m.rarely(q < 0.0, left_of_zero, value))
    return m.where(s >= 1.0, m.where(m.equal(s, 1.0), math.inf, value), math.nan)


def polygamma(m: Math, n: Any, x: Any) -> Any:
    """The derivative of order n of digamma, elementwise.

    Domain as in SciPy: x < 0 is allowed; the poles 0, -1, -2, … give inf for odd n and -inf for even n > 0; n that is
    negative or not an integer gives NaN. Orders above 170 overflow.
    Accuracy: that of `zeta` and 1 ulp; for n = 0 that of `digamma`.
    Source: (-1)^(n+1) n! zeta(n + 1, x), DLMF 25.11.12.
    """
    is_order = (n >= 0.0) & _is_whole(m, n)
    magnitude = m.table(m.where(is_order & (n <= 170.0), n, 171.0), _FACTORIALS) * zeta(m, n + 1.0, x)
    value = m.where(_is_even(m, n), -magnitude, magnitude)
    value = m.rarely(m.equal(n, 0.0), lambda: m.digamma(x), value)
    return m.where(is_order, value, math.nan)
