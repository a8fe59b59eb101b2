"""Logarithms, entropies and the logistic function, with the limits where a factor is 0."""

from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.numpy.promotion import as_inexact
from nrx.scipy.special.operands import real_operands


def logit(x: Any) -> Array:
    """log(x / (1 - x)), the inverse of `expit`.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.logit(jnp.array([0.0, 0.5, 0.75])).round(3)
    Array([ -inf, 0.   , 1.099], dtype=float32)
    """
    (x,) = real_operands("logit", x)
    # Of the two forms, the one whose logarithm is not taken next to 1 cancels nothing.
    middle = jnp.abs(x - 0.5) < 0.25
    u = jnp.where(middle, x, 0.5)
    return jnp.where(middle, lax.log1p((2 * u - 1) / (1 - u)), jnp.log(x) - lax.log1p(-x))


def expit(x: Any) -> Array:
    """1 / (1 + exp(-x)), the logistic function.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.expit(jnp.array([-2.0, 0.0, 100.0])).round(3)
    Array([0.119, 0.5  , 1.   ], dtype=float32)
    """
    return lax.logistic(as_inexact("expit", x))


def xlogy(x: Any, y: Any) -> Array:
    """x * log(y), and 0 where x is 0 and y is a number.

    Args:
        x, y: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.xlogy(jnp.array([0.0, 2.0]), jnp.array([0.0, 1.0]))
    Array([0., 0.], dtype=float32)
    """
    x, y = real_operands("xlogy", x, y)
    return _times_log(x, y, jnp.log)


def xlog1py(x: Any, y: Any) -> Array:
    """x * log(1 + y), and 0 where x is 0 and y is a number.

    Args:
        x, y: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.xlog1py(jnp.array([0.0, 2.0]), jnp.array([-1.0, 0.0]))
    Array([0., 0.], dtype=float32)
    """
    x, y = real_operands("xlog1py", x, y)
    return _times_log(x, y, lax.log1p)


def entr(x: Any) -> Array:
    """-x * log(x): 0 at 0, minus infinity below.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.entr(jnp.array([-1.0, 0.0, 1.0])) + 0
    Array([-inf,   0.,   0.], dtype=float32)
    """
    (x,) = real_operands("entr", x)
    return jnp.where(x < 0, -jnp.inf, -xlogy(x, x))


def rel_entr(p: Any, q: Any) -> Array:
    """p * log(p / q): 0 where p is 0 and q >= 0, infinite where one is negative or only q is 0.

    Args:
        p, q: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.rel_entr(jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0]))
    Array([ 0., inf], dtype=float32)
    """
    p, q = real_operands("rel_entr", p, q)
    inside, zero = (p > 0) & (q > 0), (p == 0) & (q >= 0)
    quotient = jnp.where(inside, p, 1) / jnp.where(inside, q, 1)
    out = jnp.where(inside, p * jnp.log(quotient), jnp.where(zero, 0, jnp.inf))
    return jnp.where(jnp.isnan(p) | jnp.isnan(q), jnp.nan, out)


def kl_div(p: Any, q: Any) -> Array:
    """p * log(p / q) - p + q, the integrand of the Kullback-Leibler divergence.

    Args:
        p, q: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.kl_div(jnp.array([0.0, 2.0]), 2.0)
    Array([2., 0.], dtype=float32)
    """
    p, q = real_operands("kl_div", p, q)
    entropy = rel_entr(p, q)
    return jnp.where(entropy == jnp.inf, jnp.inf, entropy - p + q)


def boxcox(x: Any, lmbda: Any) -> Array:
    """(x**lmbda - 1) / lmbda, and log(x) where lmbda is 0.

    Args:
        x, lmbda: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.boxcox(4.0, jnp.array([0.5, 1.0]))
    Array([2., 3.], dtype=float32)
    """
    x, lmbda = real_operands("boxcox", x, lmbda)
    return _power(jnp.log(x), lmbda)


def boxcox1p(x: Any, lmbda: Any) -> Array:
    """((1 + x)**lmbda - 1) / lmbda, and log(1 + x) where lmbda is 0.

    Args:
        x, lmbda: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.boxcox1p(3.0, jnp.array([0.5, 1.0]))
    Array([2., 3.], dtype=float32)
    """
    x, lmbda = real_operands("boxcox1p", x, lmbda)
    return _power(lax.log1p(x), lmbda)


def _times_log(x: Array, y: Array, log: Any) -> Array:
    zero = (x == 0) & ~jnp.isnan(y)
    return jnp.where(zero, 0, x * log(y))


def _power(log: Array, lmbda: Array) -> Array:
    """expm1(lmbda * log) / lmbda, and its limit for small lmbda."""
    small = jnp.abs(lmbda) < 1e-19
    divisor = jnp.where(small, 1, lmbda)
    return jnp.where(small, log, lax.expm1(divisor * log) / divisor)
