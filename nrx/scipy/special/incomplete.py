"""Incomplete gamma and beta functions, and modified Bessel functions: those that `nrx.lax` has."""

from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.scipy.special.operands import real_operands


def gammainc(a: Any, x: Any) -> Array:
    """The integral of t**(a - 1) * exp(-t) from 0 to x, over gamma(a): the regularised lower incomplete gamma function.

    Args:
        a, x: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.gammainc(2.0, jnp.array([0.0, 3.0])).round(3)
    Array([0.   , 0.801], dtype=float32)
    """
    return lax.igamma(*real_operands("gammainc", a, x))


def gammaincc(a: Any, x: Any) -> Array:
    """1 - gammainc(a, x), without cancellation.

    Args:
        a, x: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.gammaincc(2.0, jnp.array([0.0, 3.0])).round(3)
    Array([1.   , 0.199], dtype=float32)
    """
    return lax.igammac(*real_operands("gammaincc", a, x))


def betainc(a: Any, b: Any, x: Any) -> Array:
    """The integral of t**(a - 1) * (1 - t)**(b - 1) from 0 to x, over beta(a, b).

    Args:
        a, b, x: real arrays that broadcast.

    Returns:
        An array of the shape they have together, of their floating dtype.

    >>> nrx.scipy.special.betainc(2.0, 3.0, jnp.array([0.0, 0.5])).round(4)
    Array([0.    , 0.6875], dtype=float32)
    """
    return lax.betainc(*real_operands("betainc", a, b, x))


def i0e(x: Any) -> Array:
    """exp(-|x|) * i0(x).

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.i0e(jnp.array([0.0, 1.0])).round(4)
    Array([1.    , 0.4658], dtype=float32)
    """
    return lax.bessel_i0e(*real_operands("i0e", x))


def i0(x: Any) -> Array:
    """The modified Bessel function of order 0.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.i0(jnp.array([0.0, 1.0])).round(4)
    Array([1.    , 1.2661], dtype=float32)
    """
    (x,) = real_operands("i0", x)
    return jnp.exp(jnp.abs(x)) * lax.bessel_i0e(x)


def i1e(x: Any) -> Array:
    """exp(-|x|) * i1(x).

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.i1e(jnp.array([0.0, 1.0])).round(4)
    Array([0.    , 0.2079], dtype=float32)
    """
    return lax.bessel_i1e(*real_operands("i1e", x))


def i1(x: Any) -> Array:
    """The modified Bessel function of order 1.

    Args:
        x: a real array.

    Returns:
        An array of that shape, of a floating dtype.

    >>> nrx.scipy.special.i1(jnp.array([0.0, 1.0])).round(4)
    Array([0.    , 0.5652], dtype=float32)
    """
    (x,) = real_operands("i1", x)
    return jnp.exp(jnp.abs(x)) * lax.bessel_i1e(x)
