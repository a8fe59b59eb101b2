"""Exponential, sine and cosine integrals, and the dilogarithm.

Power series near 0, continued fractions or asymptotic series further out (NIST Handbook of Mathematical Functions,
chapter 6).
"""

import math
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.scipy.special.operands import real_operands, through_float32
from nrx.transforms import custom_jvp, jit

_EULER = 0.57721566490153286
#: B(2k) / (2k + 1)!, of the series of the dilogarithm.
_DEBYE = (
    1 / 36, -1 / 3600, 1 / 211680, -1 / 10886400, 5 / (66 * math.factorial(11)), -691 / (2730 * math.factorial(13)),
    7 / (6 * math.factorial(15)), -3617 / (510 * math.factorial(17)), 43867 / (798 * math.factorial(19)),
)  # fmt: skip


def exp1(x: Any) -> Array:
    """The integral of exp(-t) / t from x to infinity: NaN for negative x.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.exp1(jnp.array([0.0, 1.0])).round(4)
    Array([   inf, 0.2194], dtype=float32)
    """
    return _exp1(*real_operands("exp1", x))


def expn(n: Any, x: Any) -> Array:
    """The integral of exp(-x * t) / t**n for t from 1 to infinity: NaN for negative n or x.

    Args:
        n: whole numbers, a real array; the derivative is taken in `x` only.
        x: a real array that broadcasts with `n`.

    Returns:
        An array of the shape they have together, of the floating dtype of `x`.

    >>> nrx.scipy.special.expn(jnp.array([0, 1, 2]), 1.0).round(4)
    Array([0.3679, 0.2194, 0.1485], dtype=float32)
    """
    n, x = real_operands("expn", n, x)
    return _expn(lax.convert_element_type(n, "int32"), x)


def expi(x: Any) -> Array:
    """The integral of exp(t) / t from minus infinity to x, in the sense of Cauchy.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.expi(jnp.array([0.0, 1.0])).round(4)
    Array([  -inf, 1.8951], dtype=float32)
    """
    return _expi(*real_operands("expi", x))


def sici(x: Any) -> tuple[Array, Array]:
    """The integral of sin(t) / t from 0 to x, and that of cos(t) / t from infinity to x.

    Args:
        x: a real array.

    Returns:
        The two integrals, arrays of that shape, of a floating dtype; the second one is NaN for negative x.

    >>> [y.round(4) for y in nrx.scipy.special.sici(jnp.array([1.0]))]
    [Array([0.9461], dtype=float32), Array([0.3374], dtype=float32)]
    """
    (x,) = real_operands("sici", x)
    return _sine_integral(x), _cosine_integral(x)


def spence(x: Any) -> Array:
    """Spence's function, the integral of log(t) / (1 - t) from 1 to x, which is the dilogarithm of 1 - x.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype; NaN for negative x.

    >>> nrx.scipy.special.spence(jnp.array([0.0, 1.0])).round(4) + 0
    Array([1.6449, 0.    ], dtype=float32)
    """
    return _spence(*real_operands("spence", x))


# The numerics


@custom_jvp
@through_float32
@jit
def _exp1(x: Array) -> Array:
    near, far = jnp.clip(x, 0, 1.5), jnp.maximum(x, 1.5)
    series = jnp.zeros_like(x)
    for k in range(24, 0, -1):
        series = -near * series + 1 / (k * math.factorial(k))
    series = near * series - _EULER - jnp.log(near)
    fraction = jnp.zeros_like(x)
    for k in range(70, 0, -1):
        fraction = k * k / (far + (2 * k + 1) - fraction)
    value = jnp.where(x <= 1.5, series, jnp.exp(-far) / (far + 1 - fraction))
    return jnp.where(x < 0, jnp.nan, jnp.where(jnp.isnan(x), x, value))


@custom_jvp
def _expn(n: Array, x: Array) -> Array:
    order = lax.convert_element_type(n, x.dtype)
    return _expn_of_floats(x, order)


@through_float32
@jit
def _expn_of_floats(x: Array, n: Array) -> Array:
    near, far = jnp.clip(x, 0, 1.5), jnp.maximum(x, 1.5)
    fraction = jnp.zeros_like(x)
    for k in range(70, 0, -1):
        fraction = k * (n + k - 1) / (far + n + 2 * k - fraction)
    below, total = jnp.maximum(n, 1) - 1, jnp.zeros_like(x)
    for k in range(30, -1, -1):
        total = total + jnp.where(
            below == k, 0, (-near) ** k / (jnp.where(below == k, 1, k - below) * math.factorial(k))
        )
    factor = jnp.exp(lax.lgamma(below + 1)) * jnp.where(jnp.mod(below, 2) == 0, 1, -1)
    special_term = jnp.where(near == 0, 0, near**below / factor * (lax.digamma(below + 1) - jnp.log(near)))
    series = jnp.where((near == 0) & (n == 1), jnp.inf, special_term - total)
    value = jnp.where(x <= 1.5, series, jnp.exp(-far) / (far + n - fraction))
    value = jnp.where(n == 0, jnp.exp(-x) / x, value)
    return jnp.where((x < 0) | (n < 0), jnp.nan, jnp.where(jnp.isnan(x), x, value))


@_expn.defjvp
def _expn_jvp(primals: tuple, tangents: tuple) -> tuple:
    (n, x), (_, dx) = primals, tangents
    lower = _expn(jnp.maximum(n - 1, 0), x)
    return _expn(n, x), -dx * jnp.where(n == 0, jnp.exp(-x) * (1 + x) / (x * x), lower)


@custom_jvp
@through_float32
@jit
def _expi(x: Array) -> Array:
    near, far = jnp.clip(x, 0, 40), jnp.maximum(x, 40)

    def term(k: Array, state: tuple) -> tuple:
        power, total = state
        power = power * near / k.astype(x.dtype)
        return power, total + power / k.astype(x.dtype)

    series = lax.fori_loop(1, 150, term, (jnp.ones_like(x), jnp.zeros_like(x)))[1] + _EULER + jnp.log(near)
    tail = jnp.ones_like(x)
    for k in range(40, 0, -1):
        tail = 1 + k / far * tail
    # exp(x) overflows before exp(x) / x does.
    value = jnp.where(x <= 40, series, jnp.exp(far - jnp.log(far)) * tail)
    return jnp.where(x < 0, -_exp1(jnp.abs(x)), jnp.where(x == jnp.inf, jnp.inf, value))


@through_float32
@jit
def _sine(x: Array) -> Array:
    a = jnp.abs(x)
    square, series = jnp.square(jnp.minimum(a, 5)), jnp.zeros_like(x)
    for k in range(20, -1, -1):
        series = 1 / ((2 * k + 1) * math.factorial(2 * k + 1)) - square * series
    near = jnp.minimum(a, 5) * series
    f, g = _auxiliary(a)
    far = math.pi / 2 - f * jnp.cos(a) - g * jnp.sin(a)
    value = jnp.where(a <= 5, near, jnp.where(jnp.isinf(a), math.pi / 2, far))
    return jnp.copysign(value, x)


@through_float32
@jit
def _cosine(x: Array) -> Array:
    near = jnp.clip(x, 0, 5)
    square, series = jnp.square(near), jnp.zeros_like(x)
    for k in range(20, 0, -1):
        series = 1 / (2 * k * math.factorial(2 * k)) - square * series
    f, g = _auxiliary(x)
    far = f * jnp.sin(x) - g * jnp.cos(x)
    value = jnp.where(x <= 5, _EULER + jnp.log(near) - square * series, jnp.where(x == jnp.inf, 0, far))
    return jnp.where(x < 0, jnp.nan, value)


def _auxiliary(x: Array) -> tuple[Array, Array]:
    """f and g, of which the two integrals are made for x > 5: exp(1j * x) * E1(1j * x) = g - 1j * f, by a fraction."""
    z = lax.complex(jnp.zeros_like(x), jnp.where(jnp.isfinite(x), jnp.maximum(x, 5), 5))
    fraction = jnp.zeros_like(z)
    for k in range(45, 0, -1):
        fraction = k * k / (z + (2 * k + 1) - fraction)
    value = 1 / (z + 1 - fraction)
    return -lax.imag(value), lax.real(value)


_sine_integral, _cosine_integral = custom_jvp(_sine), custom_jvp(_cosine)


@custom_jvp
@through_float32
@jit
def _spence(x: Array) -> Array:
    # 1 / x and 1 - x lead to numbers from 1/2 to 1, where the series is one of log(x).
    large, folded = x > 2, jnp.where(x > 2, 1 / x, x)
    small = folded < 0.5
    inner = jnp.where(small, 1 - folded, folded)
    u = -jnp.log(inner)
    square, series = u * u, jnp.zeros_like(x)
    for coefficient in reversed(_DEBYE):
        series = coefficient + square * series
    value = u - square / 4 + u * square * series
    product = jnp.where(folded == 0, 0, jnp.log(folded) * lax.log1p(-folded))
    value = jnp.where(small, math.pi**2 / 6 - product - value, value)
    return jnp.where(x < 0, jnp.nan, jnp.where(large, -0.5 * jnp.log(x) ** 2 - value, value))


_exp1.defjvps(lambda dx, out, x: -dx * jnp.exp(-x) / x)
_expi.defjvps(lambda dx, out, x: dx * jnp.exp(x) / x)
_sine_integral.defjvps(lambda dx, out, x: dx * jnp.sinc(x / math.pi))
_cosine_integral.defjvps(lambda dx, out, x: dx * jnp.cos(x) / x)
_spence.defjvps(
    lambda dx, out, x: (
        dx * jnp.where(jnp.abs(x - 1) < 1e-8, 0.5 * (x - 1) - 1, jnp.log(x) / jnp.where(x == 1, 1, 1 - x))
    )
)
