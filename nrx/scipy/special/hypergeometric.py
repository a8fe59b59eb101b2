"""The hypergeometric functions 1F1 and 2F1, Bessel functions and spherical harmonics: series and recurrences.

They are computed in float64 by a fixed number of steps, so that derivatives of any order are those of the steps.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, TracerArrayError
from nrx.numpy.promotion import promote_dtypes
from nrx.scipy.special.gammas import gamma
from nrx.scipy.special.operands import real_operands
from nrx.transforms import jit

_TERMS = 256
#: Where 1F1 is computed from its asymptotic series, and from where on 2F1 in powers of 1 - x.
_FAR, _NEAR_ONE = 60.0, 0.9
#: Steps between nodes around integers, where two infinite terms of 2F1 cancel.
_STEP = 1e-4


def hyp1f1(a: Any, b: Any, x: Any) -> Array:
    """Kummer's confluent hypergeometric function.

    Args:
        a, b, x: arrays of real numbers, broadcast against each other.

    Returns:
        A floating array; infinite where b is zero or a negative integer (as SciPy's where a is not zero). It has the
        shape in which the arguments broadcast.

    >>> nrx.scipy.special.hyp1f1(1.0, 1.0, jnp.array([0.0, 1.0])).round(3)
    Array([1.   , 2.718], dtype=float32)
    """
    return _in_float64(_hyp1f1, real_operands("hyp1f1", a, b, x))


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Array:
    """Gauss's hypergeometric function of real numbers up to 1.

    Args:
        a, b, c, x: arrays of real numbers, broadcast against each other.

    Returns:
        A floating array; infinite for x beyond 1 and where c is zero or a negative integer, unless the series ends. It
        has the shape in which the arguments broadcast.

    >>> nrx.scipy.special.hyp2f1(1.0, 1.0, 2.0, jnp.array([0.0, 0.5])).round(3)
    Array([1.   , 1.386], dtype=float32)
    """
    return _in_float64(_hyp2f1, real_operands("hyp2f1", a, b, c, x))


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Array:
    """The Bessel functions of the first kind, of all orders from 0 to `v`.

    Args:
        z: an array of real numbers; values are right for moduli below about `v + n_iter / 2`.
        v: the highest order, at least 0.
        n_iter: the number of steps of the recurrence before order `v`.

    Returns:
        A floating array of shape (v + 1, *z.shape).

    Raises:
        ArgumentError: `v` or `n_iter` is negative.

    >>> nrx.scipy.special.bessel_jn(jnp.array([0.0, 1.0]), v=1).round(3)
    Array([[1.   , 0.765],
           [0.   , 0.44 ]], dtype=float32)
    """
    highest, steps = operator.index(v), operator.index(n_iter)
    if highest < 0 or steps < 0:
        raise ArgumentError(f"bessel_jn: v is {v} and n_iter {n_iter}", fix="give numbers from 0")
    return _in_float64(jit(lambda x: _bessel(x, highest, steps)), real_operands("bessel_jn", z))


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, diff_n: int | None = None, n_max: int | None = None) -> Array:
    """The spherical harmonics, orthonormal, with the phase of Condon and Shortley.

    Args:
        n: integers, the degrees.
        m: integers, the orders; harmonics with a modulus beyond `n` are zero.
        theta, phi: arrays of real numbers, the polar and the azimuthal angle, broadcast with `n` and `m`.
        diff_n: not supported.
        n_max: the greatest degree, which must be given where `n` is traced.

    Returns:
        A complex array. It has the shape in which the arguments broadcast.

    Raises:
        ArgumentError: `diff_n` is given; `n` is traced and `n_max` is not given.

    >>> nrx.scipy.special.sph_harm_y(1, 0, 0.0, 0.0).round(3)
    Array(0.489+0.j, dtype=complex64)
    """
    if diff_n is not None:
        raise ArgumentError("sph_harm_y: diff_n is not supported", fix="differentiate with respect to theta and phi")
    if n_max is None:
        try:
            n_max = int(np.max(np.asarray(n), initial=0))
        except TracerArrayError as error:
            raise ArgumentError(
                "sph_harm_y: the degrees are traced", fix="give the greatest one as n_max=..."
            ) from error
    most = operator.index(n_max)
    polar, azimuth = promote_dtypes("sph_harm_y", theta, phi, inexact=True)
    degree, order, polar, azimuth = jnp.broadcast_arrays(jnp.asarray(n), jnp.asarray(m), polar, azimuth)
    dtype = polar.dtype
    radial = _in_float64(jit(lambda t, of, k: _legendre(t, of, k, most)), [polar, degree, abs(order)])
    sign = jnp.where((order < 0) & (order % 2 == 1), -1, 1).astype(dtype)
    angle = order.astype(dtype) * azimuth
    return lax.complex(*(_at_least_float32(sign * radial * f(angle)) for f in (jnp.cos, jnp.sin)))


def _at_least_float32(x: Array) -> Array:
    return x if dtypes.finfo(x.dtype).bits >= 32 else x.astype(dtypes.float32)


def _in_float64(function: Callable, operands: list[Array]) -> Array:
    """A function of float64 arrays, its result in the dtype of the first operand."""
    return function(*(x.astype(dtypes.float64) for x in operands)).astype(operands[0].dtype)


def _sum(term_ratio: Callable[[Any], Array], like: Array, terms: int = _TERMS) -> Array:
    """1 + r(0) + r(0) r(1) + ..., `term_ratio` being r."""

    def step(k: Any, state: tuple) -> tuple:
        term, total = state
        term = term * term_ratio(jnp.asarray(k, like.dtype))
        return term, total + term

    one = jnp.ones_like(like)
    return lax.fori_loop(0, terms, step, (one, one))[1]


def _reciprocal_gamma(x: Array) -> Array:
    pole = _ends(x)
    return jnp.where(pole, 0, 1 / gamma(jnp.where(pole, 1, x)))


def _ends(x: Array) -> Array:
    """Whether these are zero or negative integers."""
    return (x <= 0) & (x == jnp.floor(x))


@jit
def _hyp1f1(a: Array, b: Array, x: Array) -> Array:
    negative = x < 0
    first, size = jnp.where(negative, b - a, a), jnp.where(negative, -x, x)
    near, far = jnp.minimum(size, _FAR), jnp.maximum(size, _FAR)
    series = _sum(lambda k: (first + k) / ((b + k) * (k + 1)) * near, near)
    series = jnp.where(negative, jnp.exp(-near), 1) * series
    asymptotic = _asymptotic(b - first, 1 - first, far) * gamma(b) * _reciprocal_gamma(first) * far ** (first - b)
    value = jnp.where(size > _FAR, jnp.where(negative, 1, jnp.exp(far)) * asymptotic, series)
    polynomial = _sum(lambda k: (a + k) / ((b + k) * (k + 1)) * x, x)
    value = jnp.where(_ends(a), polynomial, value)
    return jnp.where(
        jnp.isnan(a + b + x), jnp.nan, jnp.where(_ends(b) & (a != 0), jnp.inf, jnp.where(a == 0, 1, value))
    )


def _asymptotic(a: Array, b: Array, x: Array) -> Array:
    """The series of (a)_k (b)_k / (k! x^k), as long as its terms fall."""

    def ratio(k: Array) -> Array:
        r = (a + k) * (b + k) / ((k + 1) * x)
        return jnp.where(abs(r) < 1, r, 0)

    return _sum(ratio, x, 60)


@jit
def _hyp2f1(a: Array, b: Array, c: Array, x: Array) -> Array:
    ends = _ends(a) | _ends(b)
    turned = (x < 0) & ~ends
    below = jnp.where(turned, x, 0)
    z = jnp.where(turned, below / (below - 1), x)
    second = jnp.where(turned, c - b, b)
    ends = ends | _ends(second)
    factor = jnp.where(turned, (1 - below) ** -a, 1)
    series = _gauss(a, second, c, jnp.where(ends, z, jnp.clip(z, -_NEAR_ONE, _NEAR_ONE)))
    beside = _beside_one(a, second, c, jnp.clip(z, _NEAR_ONE, 1))
    value = factor * jnp.where(ends | (z <= _NEAR_ONE), series, beside)
    infinite = ((x > 1) | ((x == 1) & (c - a - b <= 0)) | _ends(c)) & ~ends
    value = jnp.where(infinite, jnp.inf, jnp.where((a == 0) | (b == 0), 1, value))
    return jnp.where(jnp.isnan(a + b + c + x), jnp.nan, value)


def _gauss(a: Array, b: Array, c: Array, x: Array, terms: int = 2 * _TERMS) -> Array:
    return _sum(lambda k: (a + k) * (b + k) / ((c + k) * (k + 1)) * x, x, terms)


def _beside_one(a: Array, b: Array, c: Array, x: Array) -> Array:
    """2F1 in powers of 1 - x; where c - a - b is close to an integer, from four values of c around it."""
    d = c - a - b
    integer = lax.stop_gradient(jnp.round(d))
    close = abs(d - integer) <= 3 * _STEP
    place = jnp.where(close, (d - integer) / _STEP, 0)
    total = jnp.zeros_like(x)
    for node in (-3, -1, 1, 3):
        weight = jnp.ones_like(x)
        for other in {-3, -1, 1, 3} - {node}:
            weight = weight * (place - other) / (node - other)
        total = total + weight * _reflected(a, b, jnp.where(close, integer + node * _STEP, d), x)
    return total


def _reflected(a: Array, b: Array, d: Array, x: Array) -> Array:
    rest, c = 1 - x, a + b + d
    inside = jnp.where(rest > 0, rest, 1)
    power = jnp.where(rest > 0, inside**d, 0)
    left = gamma(d) * _reciprocal_gamma(c - a) * _reciprocal_gamma(c - b) * _gauss(a, b, 1 - d, rest, 48)
    right = gamma(-d) * _reciprocal_gamma(a) * _reciprocal_gamma(b) * _gauss(c - a, c - b, 1 + d, rest, 48)
    return gamma(c) * (left + power * right)


def _bessel(x: Array, highest: int, steps: int) -> Array:
    """J_k = (x/2)^k / k! h_k: the recurrence of h runs downwards, J_0 + 2 J_2 + 2 J_4 + ... is 1."""
    start = highest + steps + 1
    half = x / 2
    scaled = [jnp.ones_like(x)] * (start + 1)
    for k in range(start - 1, 0, -1):
        scaled[k - 1] = scaled[k] - half * half / (k * (k + 1)) * scaled[k + 1]
    factor, values = jnp.ones_like(x), [scaled[0]]
    for k in range(1, start):
        factor = factor * half / k
        values.append(factor * scaled[k])
    total = values[0]
    for even in values[2::2]:
        total = total + 2 * even
    return jnp.stack(values[: highest + 1]) / total


def _legendre(theta: Array, degree: Array, order: Array, most: int) -> Array:
    """The normalized associated Legendre functions of cos(theta), for orders from 0."""
    sine, cosine = jnp.sin(theta), jnp.cos(theta)

    def diagonal(k: Any, value: Array) -> Array:
        k = jnp.asarray(k, theta.dtype)
        return jnp.where(k <= order, -sine * jnp.sqrt((2 * k + 1) / (2 * k)) * value, value)

    def upwards(k: Any, state: tuple) -> tuple:
        before, value, out = state
        k = jnp.asarray(k, theta.dtype)
        above = k > order
        ratio = jnp.sqrt((4 * k * k - 1) / jnp.where(above, k * k - order * order, 1))
        last = jnp.sqrt(jnp.maximum((k - 1) ** 2 - order * order, 0) / (4 * (k - 1) ** 2 - 1 + 4 * (k == 1)))
        before, value = jnp.where(above, value, 0), jnp.where(above, ratio * (cosine * value - last * before), value)
        return before, value, jnp.where(k == degree, value, out)

    first = jnp.full_like(theta, 1 / (2 * np.sqrt(np.pi)))
    first = lax.fori_loop(1, most + 1, diagonal, first)
    zero = jnp.zeros_like(theta)
    out = lax.fori_loop(1, most + 1, upwards, (zero, first, jnp.where(degree == 0, first, zero)))[2]
    return jnp.where(order > degree, 0, out)
