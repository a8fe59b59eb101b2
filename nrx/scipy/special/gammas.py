"""The gamma function, its logarithm and derivatives, and what is made of it."""

import math
from fractions import Fraction
from operator import index
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.core.errors import ArgumentError
from nrx.scipy.special.operands import real_operands


def gammaln(x: Any) -> Array:
    """log|gamma(x)|: infinite at 0, -1, -2, …

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.gammaln(jnp.array([1.0, 4.0])).round(3)
    Array([0.   , 1.792], dtype=float32)
    """
    return lax.lgamma(*real_operands("gammaln", x))


def gammasgn(x: Any) -> Array:
    """The sign of gamma(x): NaN at -1, -2, …

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.gammasgn(jnp.array([-1.5, -0.5, 2.0]))
    Array([ 1., -1.,  1.], dtype=float32)
    """
    (x,) = real_operands("gammasgn", x)
    whole = jnp.floor(x)
    sign = jnp.where((x > 0) | (jnp.mod(whole, 2) == 0), 1, -1).astype(x.dtype)
    sign = jnp.where((x < 0) & (x == whole), jnp.nan, sign)
    return jnp.where(x == 0, jnp.copysign(jnp.ones_like(x), x), jnp.where(jnp.isnan(x), x, sign))


def gamma(x: Any) -> Array:
    """The gamma function, (x - 1)! for positive integers: NaN at -1, -2, …

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.gamma(jnp.array([0.5, 5.0])).round(3)
    Array([ 1.772, 24.   ], dtype=float32)
    """
    (x,) = real_operands("gamma", x)
    return gammasgn(x) * jnp.exp(lax.lgamma(x))


def loggamma(x: Any) -> Array:
    """The logarithm of the gamma function: NaN for negative x, where it is complex.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.loggamma(jnp.array([-0.5, 1.0]))
    Array([nan,  0.], dtype=float32)
    """
    (x,) = real_operands("loggamma", x)
    return jnp.where(x < 0, jnp.nan, lax.lgamma(x))


def betaln(a: Any, b: Any) -> Array:
    """log|beta(a, b)|, where beta(a, b) = gamma(a) * gamma(b) / gamma(a + b).

    Args:
        a, b: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.betaln(2.0, jnp.array([3.0])).round(3)
    Array([-2.485], dtype=float32)
    """
    a, b = real_operands("betaln", a, b)
    return lax.lgamma(a) + (lax.lgamma(b) - lax.lgamma(a + b))


def beta(a: Any, b: Any) -> Array:
    """gamma(a) * gamma(b) / gamma(a + b).

    Args:
        a, b: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.beta(2.0, jnp.array([3.0])).round(4)
    Array([0.0833], dtype=float32)
    """
    a, b = real_operands("beta", a, b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * jnp.exp(betaln(a, b))


def factorial(n: Any, exact: bool = False) -> Array:
    """n! = gamma(n + 1): 0 for negative n.

    Args:
        n: a real array.
        exact: must be False: integers of any size are no arrays.

    Returns:
        An array of the shape of `n`, of a floating dtype.

    Raises:
        ArgumentError: `exact` is true.

    >>> nrx.scipy.special.factorial(jnp.array([-1.0, 0.0, 4.0])).round(3)
    Array([ 0.,  1., 24.], dtype=float32)
    """
    if exact:
        raise ArgumentError("factorial: exact=True gives integers of any size", fix="use math.factorial")
    (n,) = real_operands("factorial", n)
    return jnp.where(n < 0, 0, jnp.exp(lax.lgamma(n + 1)))


def comb(N: Any, k: Any, *, repetition: bool = False) -> Array:
    """How many sets of k can be chosen from N things: 0 unless 0 <= k <= N.

    Args:
        N, k: real arrays that broadcast.
        repetition: whether a thing may be chosen more than once.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.comb(5.0, jnp.array([2.0, 6.0]))
    Array([10.,  0.], dtype=float32)
    """
    N, k = real_operands("comb", N, k)
    if repetition:
        return jnp.where((N == 0) & (k == 0), 1, comb(N + k - 1, k))
    possible = (k >= 0) & (k <= N)
    n, k = jnp.where(possible, N, 1), jnp.where(possible, k, 0)
    count = jnp.exp(lax.lgamma(n + 1) - lax.lgamma(k + 1) - lax.lgamma(n - k + 1))
    exact = (n == jnp.floor(n)) & (k == jnp.floor(k)) & (count < 2.0 ** jnp.finfo(count.dtype).nmant)
    return jnp.where(possible, jnp.where(exact, count + lax.stop_gradient(jnp.round(count) - count), count), 0)


def poch(z: Any, m: Any) -> Array:
    """The Pochhammer symbol, gamma(z + m) / gamma(z).

    Args:
        z, m: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.poch(2.0, jnp.array([0.0, 3.0])).round(3)
    Array([ 1., 24.], dtype=float32)
    """
    z, m = real_operands("poch", z, m)
    quotient = gammasgn(z + m) * gammasgn(z) * jnp.exp(lax.lgamma(z + m) - lax.lgamma(z))
    return jnp.where(m == 0, 1, quotient)


def multigammaln(a: Any, d: int) -> Array:
    """The logarithm of the multivariate gamma function of dimension d.

    Args:
        a: a real array, above (d - 1) / 2.
        d: the dimension, an int.

    Returns:
        An array of the shape of `a`, of a floating dtype.

    Raises:
        ArgumentError: `d` is not positive.

    >>> nrx.scipy.special.multigammaln(jnp.array([2.0]), 2).round(3)
    Array([0.452], dtype=float32)
    """
    (a,) = real_operands("multigammaln", a)
    d = index(d)
    if d < 1:
        raise ArgumentError(f"multigammaln: d must be a positive int, got {d}")
    shifts = jnp.arange(d, dtype=a.dtype) / 2
    return jnp.sum(lax.lgamma(a[..., None] - shifts), -1) + d * (d - 1) / 4 * math.log(math.pi)


def digamma(x: Any) -> Array:
    """The derivative of log(gamma(x)): NaN at -1, -2, …

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.digamma(jnp.array([1.0])).round(3)
    Array([-0.577], dtype=float32)
    """
    return lax.digamma(*real_operands("digamma", x))


def polygamma(n: Any, x: Any) -> Array:
    """The derivative of order n of digamma, at x.

    Args:
        n, x: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.polygamma(1, jnp.array([1.0])).round(3)
    Array([1.645], dtype=float32)
    """
    return lax.polygamma(*real_operands("polygamma", n, x))


def zeta(x: Any, q: Any = None) -> Array:
    """The Hurwitz zeta function: the sum of (q + k)**-x over k = 0, 1, 2, …

    Args:
        x, q: real arrays that broadcast; q is 1 by default (Riemann's zeta function). Inf at x = 1, NaN below.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.zeta(jnp.array([2.0]), 1.0).round(3)
    Array([1.645], dtype=float32)
    """
    return lax.zeta(*real_operands("zeta", x, 1.0 if q is None else q))


def bernoulli(n: int) -> Array:
    """The Bernoulli numbers B0, B1 = -1/2, …, Bn.

    Args:
        n: the last index, an int that is not negative.

    Returns:
        An array of shape (n + 1,) of the default float.

    Raises:
        ArgumentError: `n` is negative.

    >>> nrx.scipy.special.bernoulli(4).round(4)
    Array([ 1.    , -0.5   ,  0.1667,  0.    , -0.0333], dtype=float32)
    """
    n = index(n)
    if n < 0:
        raise ArgumentError(f"bernoulli: n must not be negative, got {n}")
    numbers = [Fraction(1)]
    for m in range(1, n + 1):
        numbers.append(-sum(math.comb(m + 1, k) * numbers[k] for k in range(m)) / Fraction(m + 1))
    return jnp.asarray([float(b) if abs(b) < 10**308 else math.copysign(math.inf, b) for b in numbers], float)
