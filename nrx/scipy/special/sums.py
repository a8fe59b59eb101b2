"""Sums of exponentials, without overflow."""

from functools import partial
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.numpy.promotion import as_inexact
from nrx.transforms import custom_jvp


def logsumexp(
    a: Any,
    axis: int | tuple[int, ...] | None = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """log(sum(b * exp(a))) along axes, without overflow.

    Args:
        a: a real array.
        axis: the axes to sum along; None for all.
        b: factors, a real array that broadcasts with `a`; by default 1.
        keepdims: whether to keep the summed axes, with length 1.
        return_sign: whether to return the logarithm of the sum's absolute value, and its sign.
        where: a boolean array that broadcasts with `a`; what it leaves out is not summed.

    Returns:
        An array of a floating dtype, or a pair of them. The logarithm is NaN for a negative sum, unless its sign is
        returned.

    >>> nrx.scipy.special.logsumexp(jnp.array([1000.0, 1000.0])).round(3)
    Array(1000.693, dtype=float32)
    """
    a = as_inexact("logsumexp", a)
    if where is not None:
        a = jnp.where(where, a, -jnp.inf)
    if b is not None:
        a = jnp.where(jnp.not_equal(b, 0), a, -jnp.inf)
    top = lax.stop_gradient(jnp.max(a, axis, keepdims=True, initial=-jnp.inf))
    top = jnp.where(jnp.isfinite(top), top, 0)
    powers = jnp.exp(a - top)
    total = jnp.sum(powers if b is None else powers * b, axis, keepdims=True)
    if return_sign or b is None:
        result, sign = jnp.log(jnp.abs(total)) + top, jnp.sign(total)
    else:
        result, sign = jnp.log(total) + top, total
    if not keepdims:
        result, sign = jnp.squeeze(result, axis), jnp.squeeze(sign, axis)
    return (result, sign) if return_sign else result


def softmax(x: Any, /, *, axis: int | tuple[int, ...] | None = None, where: Any = None) -> Array:
    """exp(x) / sum(exp(x)) along axes: positive numbers that sum to 1.

    Args:
        x: a real array.
        axis: the axes to sum along; None for all.
        where: a boolean array that broadcasts to `x`; what it leaves out counts as minus infinity.

    Returns:
        An array of the shape of `x`, of a floating dtype. It is NaN where all of `x` along the axes is minus infinity,
        but 0 where `where` is false.

    >>> nrx.scipy.special.softmax(jnp.array([0.0, 0.0, 1000.0, 1000.0]))
    Array([0. , 0. , 0.5, 0.5], dtype=float32)
    """
    x = as_inexact("softmax", x)
    if where is None:
        return _softmax(x, axis)
    return jnp.where(where, _softmax(jnp.where(where, x, -jnp.inf), axis), 0)


@partial(custom_jvp, nondiff_argnums=(1,))
def _softmax(x: Array, axis: int | tuple[int, ...] | None) -> Array:
    powers = jnp.exp(_below_zero(x, axis))
    return powers / jnp.sum(powers, axis, keepdims=True)


@_softmax.defjvp
def _softmax_jvp(axis: int | tuple[int, ...] | None, primals: tuple, tangents: tuple) -> tuple:
    """The derivative from the result alone: nothing else need be kept."""
    (x,), (dx,) = primals, tangents
    y = _softmax(x, axis)
    return y, y * (dx - jnp.sum(y * dx, axis, keepdims=True))


def log_softmax(x: Any, /, *, axis: int | tuple[int, ...] | None = None, where: Any = None) -> Array:
    """log(softmax(x)), without underflow.

    Args:
        x: a real array.
        axis: the axes to sum along; None for all.
        where: a boolean array that broadcasts to `x`; what it leaves out counts as minus infinity.

    Returns:
        An array of the shape of `x`, of a floating dtype; minus infinity where `where` is false.

    >>> nrx.scipy.special.log_softmax(jnp.array([0.0, 1000.0]))
    Array([-1000.,     0.], dtype=float32)
    """
    x = as_inexact("log_softmax", x)
    shifted = _below_zero(x if where is None else jnp.where(where, x, -jnp.inf), axis)
    logs = shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis, keepdims=True))
    return logs if where is None else jnp.where(where, logs, -jnp.inf)


def _below_zero(x: Array, axis: int | tuple[int, ...] | None) -> Array:
    """x less its maximum along the axes, which changes neither softmax nor its derivatives."""
    return x - lax.stop_gradient(jnp.max(x, axis, keepdims=True, initial=-jnp.inf))
