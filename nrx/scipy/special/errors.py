"""The error function and its relatives: the normal distribution, Dawson's, Faddeeva's, Fresnel's and Owen's functions.

Faddeeva's function, from which several others follow, is a sum of twelve terms: the trapezoidal rule, or that with
points in between, corrected for a pole (M. Al Azah and S. Chandler-Wilde, "Computation of the complex error function
using modified trapezoidal rules", SIAM J. Numer. Anal. 59, 2021).
"""

import math
from typing import Any

import numpy as np

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.numpy.promotion import as_inexact
from nrx.scipy.special.operands import real_operands, through_float32
from nrx.transforms import custom_jvp

_TERMS = 11
_STEP = math.sqrt(math.pi / (_TERMS + 1))
#: Nodes of the midpoint and of the trapezoidal rule, and exp(-node**2).
_MIDPOINTS = [((k + 0.5) * _STEP, math.exp(-(((k + 0.5) * _STEP) ** 2))) for k in range(_TERMS + 1)]
_NODES = [(k * _STEP, math.exp(-((k * _STEP) ** 2))) for k in range(1, _TERMS + 1)]


def erf(x: Any) -> Array:
    """The error function.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.erf(jnp.array([0.0, 1.0])).round(3)
    Array([0.   , 0.843], dtype=float32)
    """
    return lax.erf(*real_operands("erf", x))


def erfc(x: Any) -> Array:
    """1 - erf(x), without cancellation.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.erfc(jnp.array([0.0, 1.0])).round(3)
    Array([1.   , 0.157], dtype=float32)
    """
    return lax.erfc(*real_operands("erfc", x))


def erfinv(x: Any) -> Array:
    """The inverse of `erf`: NaN outside [-1, 1].

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.erfinv(jnp.array([0.0, 1.0]))
    Array([ 0., inf], dtype=float32)
    """
    return lax.erf_inv(*real_operands("erfinv", x))


def erfcx(x: Any) -> Array:
    """exp(x**2) * erfc(x), without underflow for large x.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.erfcx(jnp.array([0.0, 100.0])).round(5)
    Array([1.     , 0.00564], dtype=float32)
    """
    return _erfcx(*real_operands("erfcx", x))


def dawsn(x: Any) -> Array:
    """Dawson's function, exp(-x**2) times the integral of exp(t**2) from 0 to x.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.dawsn(jnp.array([0.0, 1.0])).round(4)
    Array([0.    , 0.5381], dtype=float32)
    """
    return _dawsn(*real_operands("dawsn", x))


def wofz(z: Any) -> Array:
    """Faddeeva's function, exp(-z**2) * erfc(-1j * z).

    Args:
        z: an array; real numbers become complex.

    Returns:
        A complex array of the shape of `z`.

    >>> nrx.scipy.special.wofz(jnp.array([1j])).round(4)
    Array([0.4276+0.j], dtype=complex64)
    """
    z = as_inexact("wofz", z)
    return _wofz(z if dtypes.is_complex(z.dtype) else lax.complex(*_real_and_zero(z)))


def ndtr(x: Any) -> Array:
    """The probability that a standard normal number is at most x.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.ndtr(jnp.array([0.0, 2.0])).round(3)
    Array([0.5  , 0.977], dtype=float32)
    """
    (x,) = real_operands("ndtr", x)
    return 0.5 * lax.erfc(-math.sqrt(0.5) * x)


def ndtri(p: Any) -> Array:
    """The inverse of `ndtr`: NaN outside [0, 1].

    Args:
        p: a real array of probabilities.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.ndtri(jnp.array([0.0, 0.5])) + 0
    Array([-inf,   0.], dtype=float32)
    """
    return _ndtri(*real_operands("ndtri", p))


def log_ndtr(x: Any, series_order: int = 3) -> Array:
    """log(ndtr(x)), without underflow for negative x.

    Args:
        x: a real array.
        series_order: ignored: JAX's option for a series, which is not needed.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> nrx.scipy.special.log_ndtr(jnp.array([-10.0, 0.0])).round(2)
    Array([-53.23,  -0.69], dtype=float32)
    """
    (x,) = real_operands("log_ndtr", x)
    lower = x < -1
    below = jnp.where(lower, x, -1)
    tail = jnp.log(0.5 * _erfcx(-math.sqrt(0.5) * below)) - below * below / 2
    return jnp.where(lower, tail, lax.log1p(-0.5 * lax.erfc(math.sqrt(0.5) * jnp.where(lower, 0, x))))


def fresnel(x: Any) -> tuple[Array, Array]:
    """Fresnel's integrals of sin(pi * t**2 / 2) and cos(pi * t**2 / 2) from 0 to x.

    Args:
        x: a real array.

    Returns:
        The integrals of the sine and of the cosine, arrays of that shape, of a floating dtype.

    >>> [y.round(4) for y in nrx.scipy.special.fresnel(jnp.array([1.0]))]
    [Array([0.4383], dtype=float32), Array([0.7799], dtype=float32)]
    """
    (x,) = real_operands("fresnel", x)
    return through_float32(_fresnel_sine)(x), through_float32(_fresnel_cosine)(x)


def owens_t(h: Any, a: Any) -> Array:
    """Owen's function: the probability that x > h and 0 < y < a * x, for standard normal numbers x and y.

    Args:
        h, a: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    D. Owen, "Tables for computing bivariate normal probabilities", Ann. Math. Stat. 27, 1956.

    >>> nrx.scipy.special.owens_t(0.0, jnp.array([1.0])).round(4)
    Array([0.125], dtype=float32)
    """
    return _owens_t(*real_operands("owens_t", h, a))


# The numerics


def _real_and_zero(x: Array) -> tuple[Array, Array]:
    wide = x if dtypes.finfo(x.dtype).bits >= 32 else x.astype(dtypes.float32)
    return wide, jnp.zeros_like(wide)


def _near_midpoint(x: Array) -> Array:
    """Whether x is closer to the nodes in between than to those of the trapezoidal rule."""
    phase = x / _STEP - jnp.floor(x / _STEP)
    return (phase > 0.25) & (phase < 0.75)


@custom_jvp
@through_float32
def _erfcx(x: Array) -> Array:
    a = jnp.abs(x)
    total = sum(weight / (a * a + node * node) for node, weight in _MIDPOINTS)
    near = jnp.minimum(a, math.pi / _STEP)
    pole = 2 * jnp.exp(near * near) / (1 + jnp.exp(2 * math.pi / _STEP * near))
    value = 2 * _STEP / math.pi * a * total + jnp.where(a < math.pi / _STEP, pole, 0)
    value = jnp.where(a > 1e8, 1 / (math.sqrt(math.pi) * a), value)  # where squares may overflow
    return jnp.where(x < 0, 2 * jnp.exp(x * x) - value, value)


@_erfcx.defjvp
def _erfcx_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    y = _erfcx(x)
    return y, dx * (2 * x * y - 2 / math.sqrt(math.pi))


@custom_jvp
@through_float32
def _dawsn(x: Array) -> Array:
    a = jnp.abs(x)
    between = _near_midpoint(a)
    bell = jnp.exp(-a * a)
    angle = math.pi / _STEP * a
    a_between, a_node = jnp.where(between, _STEP / 4, a), jnp.where(between, a, _STEP / 2)
    by_midpoints = 2 * _STEP / math.pi * a_between * sum(w / (a_between**2 - t * t) for t, w in _MIDPOINTS)
    by_midpoints += bell * jnp.tan(jnp.where(between, 0, angle))
    by_nodes = 2 * _STEP / math.pi * a_node * sum(w / (a_node**2 - t * t) for t, w in _NODES)
    by_nodes += _STEP / (math.pi * a_node) - bell / jnp.tan(jnp.where(between, angle, 1))
    value = jnp.where(between, by_nodes, by_midpoints) * (math.sqrt(math.pi) / 2)
    far = a > 1e8  # where squares may overflow; the next term is 1 / (2 a**2)
    return jnp.copysign(jnp.where(far, 0.5 / a, value), x)


@_dawsn.defjvp
def _dawsn_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    y = _dawsn(x)
    return y, dx * (1 - 2 * x * y)


@custom_jvp
def _wofz(z: Array) -> Array:
    x, y = jnp.abs(lax.real(z)), jnp.abs(lax.imag(z))
    quadrant = _wofz_first_quadrant(x, y)
    # w(-conj(z)) = conj(w(z)), and w(z) = 2 exp(-z**2) - w(-z)
    left, lower = lax.real(z) < 0, lax.imag(z) < 0
    upper = jnp.where(left != lower, jnp.conj(quadrant), quadrant)
    bell = jnp.exp(-z * z)  # 2 * bell would be NaN where a part is infinite
    return jnp.where(lower, bell + bell - upper, jnp.where(left, jnp.conj(quadrant), quadrant))


@_wofz.defjvp
def _wofz_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z,), (dz,) = primals, tangents
    w = _wofz(z)
    return w, dz * (2j / math.sqrt(math.pi) - 2 * z * w)


def _wofz_first_quadrant(x: Array, y: Array) -> Array:
    z = lax.complex(x, y)
    high = y >= jnp.maximum(x, math.pi / _STEP)
    by_nodes = (y < x) & _near_midpoint(x)
    squares = z * z
    nodes = 1 / (2 * jnp.where(z == 0, 1, squares)) + sum(w / (squares - t * t) for t, w in _NODES)
    total = jnp.where(by_nodes, nodes, sum(w / (squares - t * t) for t, w in _MIDPOINTS))
    turn = jnp.exp(jnp.where(high, 0, -2j * math.pi / _STEP * z))
    pole = 2 * jnp.exp(jnp.where(high, 0, -squares)) / jnp.where(by_nodes, 1 - turn, 1 + turn)
    # exp(2 pi y / h) beyond the largest number: then the pole does not count.
    settled = high | (2 * math.pi / _STEP * y > math.log(float(dtypes.finfo(x.dtype).max)) - 2)
    return 2j * _STEP / math.pi * z * total + jnp.where(settled, 0, pole)


@custom_jvp
@through_float32
def _ndtri(p: Array) -> Array:
    low = jnp.minimum(p, 1 - p)
    centre = -math.sqrt(2) * lax.erf_inv(1 - 2 * low)
    # erf_inv is given a number next to 1 in the tails: two steps of Halley's method for log(ndtr(x)) = log(p).
    tail = jnp.clip(low, float(dtypes.finfo(p.dtype).tiny), 0.25)
    guess = -jnp.sqrt(-2 * jnp.log(tail))
    x = jnp.where(low > 1e-3, jnp.maximum(centre, -5), guess + jnp.log(-guess * math.sqrt(2 * math.pi)) / -guess)
    for _ in range(4):
        mills = 0.5 * math.sqrt(2 * math.pi) * _erfcx(-math.sqrt(0.5) * x)  # ndtr over its derivative
        error = (jnp.log(mills / math.sqrt(2 * math.pi)) - x * x / 2 - jnp.log(tail)) * mills
        x = x - error / (1 + 0.5 * error * (-x - 1 / mills))
    value = jnp.where(low < 0.25, jnp.where(low == 0, -jnp.inf, x), centre)
    return jnp.where((p < 0) | (p > 1), jnp.nan, jnp.where(p > 0.5, -value, value))


@_ndtri.defjvp
def _ndtri_jvp(primals: tuple, tangents: tuple) -> tuple:
    (p,), (dp,) = primals, tangents
    x = _ndtri(p)
    return x, dp * math.sqrt(2 * math.pi) * jnp.exp(x * x / 2)


def _fresnel_pair(x: Array) -> tuple[Array, Array]:
    """The integrals of the sine and of the cosine."""
    a = jnp.abs(x)
    near = jnp.minimum(a, 1)
    t = (math.pi / 2 * near * near) ** 2
    sine, cosine = jnp.zeros_like(a), jnp.zeros_like(a)
    for k in reversed(range(10)):
        cosine = cosine * -t + 1 / (math.factorial(2 * k) * (4 * k + 1))
        sine = sine * -t + 1 / (math.factorial(2 * k + 1) * (4 * k + 3))
    sine, cosine = sine * math.pi / 2 * near**3, cosine * near
    w = _wofz_first_quadrant(*(math.sqrt(math.pi) / 2 * jnp.clip(a, 1, 1e8) for _ in range(2)))
    angle = math.pi / 2 * jnp.mod(a * a, 4)
    turned = (0.5 + 0.5j) * (1 - lax.complex(jnp.cos(angle), jnp.sin(angle)) * w)
    far = jnp.where(jnp.isinf(a), 0.5, lax.imag(turned)), jnp.where(jnp.isinf(a), 0.5, lax.real(turned))
    sine, cosine = (jnp.where(a < 1, n, f) for n, f in zip((sine, cosine), far, strict=True))
    return jnp.copysign(sine, x), jnp.copysign(cosine, x)


@custom_jvp
def _fresnel_sine(x: Array) -> Array:
    return _fresnel_pair(x)[0]


@custom_jvp
def _fresnel_cosine(x: Array) -> Array:
    return _fresnel_pair(x)[1]


_fresnel_sine.defjvps(lambda dx, out, x: dx * jnp.sin(math.pi / 2 * jnp.mod(x * x, 4)))
_fresnel_cosine.defjvps(lambda dx, out, x: dx * jnp.cos(math.pi / 2 * jnp.mod(x * x, 4)))


@custom_jvp
@through_float32
def _owens_t(h: Array, a: Array) -> Array:
    h, b = jnp.abs(h), jnp.abs(a)
    # For b > 1 the roles of h and b * h are exchanged.
    swapped = b > 1
    product = jnp.where(b == 0, 0, jnp.where(jnp.isinf(b), jnp.where(h == 0, 0, jnp.inf), h * b))
    h_in, b_in = jnp.where(swapped, product, h), jnp.where(swapped, 1 / b, b)
    total = jnp.zeros_like(h)
    for node, weight in zip(*np.polynomial.legendre.leggauss(32), strict=True):
        t = b_in * (0.5 * float(node) + 0.5)
        total += 0.5 * float(weight) * jnp.exp(-0.5 * h_in * h_in * (1 + t * t)) / (1 + t * t)
    direct = total * b_in / (2 * math.pi)
    upper_h, upper_product = ndtr(-h), ndtr(-product)
    exchanged = 0.5 * (upper_h + upper_product) - upper_h * upper_product - direct
    value = jnp.where(swapped, exchanged, direct)
    return jnp.where(a < 0, -value, value)


@_owens_t.defjvp
def _owens_t_jvp(primals: tuple, tangents: tuple) -> tuple:
    (h, a), (dh, da) = primals, tangents
    bell = jnp.exp(-0.5 * h * h)
    by_h = -bell * lax.erf(a * h * math.sqrt(0.5)) / (2 * math.sqrt(2 * math.pi))
    by_a = bell * jnp.exp(-0.5 * (a * h) ** 2) / (2 * math.pi * (1 + a * a))
    return _owens_t(h, a), dh * by_h + da * by_a
