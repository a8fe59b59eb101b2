"""Activation functions and their relatives, under the names of `jax.nn`.

They are applied to each element; integers become floats where the result is not an integer.
"""

import math
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import DTypeError
from nrx.core.shapes import canonical_axis
from nrx.numpy.promotion import promote_dtypes
from nrx.scipy import special
from nrx.scipy.special import logsumexp as logsumexp

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def relu(x: Any) -> Array:
    """max(x, 0), with the derivative 0 at 0.

    Args:
        x: a real array.

    Returns:
        An array of the shape and dtype of `x`; NaN stays NaN.

    >>> import nrx
    >>> nrx.nn.relu(nrx.numpy.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 2.], dtype=float32)
    """
    x = asarray(x, "relu: x")
    return jnp.where(x <= 0, 0, x)


def relu6(x: Any) -> Array:
    """min(max(x, 0), 6), with the derivative 0 at 0 and at 6.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype; NaN stays NaN.

    Howard et al., "MobileNets", 2017, https://arxiv.org/abs/1704.04861.

    >>> import nrx
    >>> nrx.nn.relu6(nrx.numpy.array([-1.0, 2.0, 8.0]))
    Array([0., 2., 6.], dtype=float32)
    """
    x = _inexact(x)
    return jnp.where(x <= 0, 0, jnp.where(x >= 6, 6, x))


def sigmoid(x: Any) -> Array:
    """1 / (1 + exp(-x)).

    Args:
        x: an array.

    Returns:
        An array of the shape of `x`, of a floating or complex dtype.

    >>> import nrx
    >>> nrx.nn.sigmoid(nrx.numpy.array([-2.0, 0.0, 100.0])).round(3)
    Array([0.119, 0.5  , 1.   ], dtype=float32)
    """
    return lax.logistic(_inexact(x))


def tanh(x: Any) -> Array:
    """The hyperbolic tangent.

    Args:
        x: an array.

    Returns:
        An array of the shape of `x`, of a floating or complex dtype.

    >>> import nrx
    >>> nrx.nn.tanh(nrx.numpy.array([-100.0, 0.0, 100.0]))
    Array([-1.,  0.,  1.], dtype=float32)
    """
    return jnp.tanh(x)


def softplus(x: Any) -> Array:
    """log(1 + exp(x)), without overflow.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> import nrx
    >>> nrx.nn.softplus(nrx.numpy.array([-1000.0, 0.0, 20.0])).round(3)
    Array([ 0.   ,  0.693, 20.   ], dtype=float32)
    """
    return jnp.logaddexp(x, 0)


def log_sigmoid(x: Any) -> Array:
    """log(sigmoid(x)), without underflow.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> import nrx
    >>> nrx.nn.log_sigmoid(nrx.numpy.array([-1000.0, -3.0])).round(3)
    Array([-1000.   ,    -3.049], dtype=float32)
    """
    return -softplus(-_inexact(x))


def silu(x: Any) -> Array:
    """x * sigmoid(x), also called swish.

    Args:
        x: an array.

    Returns:
        An array of the shape of `x`, of a floating or complex dtype.

    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units", 2018; Ramachandran, Zoph and Le, "Searching for
    activation functions", 2017.

    >>> import nrx
    >>> nrx.nn.silu(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([0.   , 0.731], dtype=float32)
    """
    x = _inexact(x)
    return x * lax.logistic(x)


def gelu(x: Any, approximate: bool = True) -> Array:
    """x times the probability that a standard normal number is below x.

    Args:
        x: a real array.
        approximate: whether to use the formula with tanh of the paper, rather than the error function.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    Hendrycks and Gimpel, "Gaussian error linear units", 2016, https://arxiv.org/abs/1606.08415.

    >>> import nrx
    >>> nrx.nn.gelu(nrx.numpy.array([-1.0, 0.0, 1.0])).round(3)
    Array([-0.159,  0.   ,  0.841], dtype=float32)
    """
    x = _inexact(x)
    if approximate:
        return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * lax.erfc(-math.sqrt(0.5) * x)


def elu(x: Any, alpha: Any = 1.0) -> Array:
    """x where it is positive, else alpha * (exp(x) - 1).

    Args:
        x: a real array.
        alpha: minus the limit for x to minus infinity.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    Clevert, Unterthiner and Hochreiter, "Exponential linear units", ICLR 2016.

    >>> import nrx
    >>> nrx.nn.elu(nrx.numpy.array([-1.0, 2.0])).round(3)
    Array([-0.632,  2.   ], dtype=float32)
    """
    x = _inexact(x)
    positive = x > 0
    return jnp.where(positive, x, alpha * jnp.expm1(jnp.where(positive, 0, x)))  # expm1 of large x must not see them


def selu(x: Any) -> Array:
    """`elu`, scaled so that zero mean and unit variance are kept from layer to layer.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", NeurIPS 2017.

    >>> import nrx
    >>> nrx.nn.selu(nrx.numpy.array([-1.0, 2.0])).round(3)
    Array([-1.111,  2.101], dtype=float32)
    """
    return _SELU_SCALE * elu(x, _SELU_ALPHA)


def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Array:
    """x where it is not negative, else negative_slope * x.

    Args:
        x: a real array.
        negative_slope: the slope left of 0.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> import nrx
    >>> nrx.nn.leaky_relu(nrx.numpy.array([-1.0, 2.0]))
    Array([-0.01,  2.  ], dtype=float32)
    """
    x = asarray(x, "leaky_relu: x")
    return jnp.where(x >= 0, x, negative_slope * x)


def softmax(x: Any, axis: int | tuple[int, ...] | None = -1, where: Any = None) -> Array:
    """exp(x) / sum(exp(x)) along axes: positive numbers that sum to 1.

    Args:
        x: a real array.
        axis: the axes to sum along; None for all.
        where: a boolean array that broadcasts to `x`; what it leaves out counts as minus infinity.

    Returns:
        An array of the shape of `x`, of a floating dtype. It is NaN where all of `x` along the axes is minus infinity,
        but 0 where `where` is false.

    >>> import nrx
    >>> nrx.nn.softmax(nrx.numpy.array([0.0, 0.0, 1000.0, 1000.0]))
    Array([0. , 0. , 0.5, 0.5], dtype=float32)
    """
    return special.softmax(x, axis=axis, where=where)


def log_softmax(x: Any, axis: int | tuple[int, ...] | None = -1, where: Any = None) -> Array:
    """log(softmax(x)), without underflow.

    Args:
        x: a real array.
        axis: the axes to sum along; None for all.
        where: a boolean array that broadcasts to `x`; what it leaves out counts as minus infinity.

    Returns:
        An array of the shape of `x`, of a floating dtype; minus infinity where `where` is false.

    >>> import nrx
    >>> nrx.nn.log_softmax(nrx.numpy.array([0.0, 1000.0]))
    Array([-1000.,     0.], dtype=float32)
    """
    return special.log_softmax(x, axis=axis, where=where)


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Array:
    """Arrays with a 1 where the class is, and 0 elsewhere.

    Args:
        x: an integer array of classes, from 0 to num_classes - 1; others give nothing but 0.
        num_classes: the length of the new axis.
        dtype: any dtype; by default the default float.
        axis: where the new axis stands in the result.

    Returns:
        An array of that dtype with one more axis than `x`.

    Raises:
        DTypeError: the classes are no integers.
        AxisError: the axis is out of range.

    >>> import nrx
    >>> nrx.nn.one_hot(nrx.numpy.array([0, 2]), 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    x = asarray(x, "one_hot: x")
    if not dtypes.is_integer(x.dtype):
        raise DTypeError(f"one_hot: the classes must be integers, got {x.dtype}", fix="convert them: x.astype(int)")
    axis = canonical_axis(axis, x.ndim + 1)
    classes = jnp.arange(num_classes, dtype=x.dtype).reshape((num_classes,) + (1,) * (x.ndim - axis))
    return (jnp.expand_dims(x, axis) == classes).astype(dtype or float)


def standardize(
    x: Any,
    axis: int | tuple[int, ...] | None = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 1e-5,
    where: Any = None,
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) along axes.

    Args:
        x: an array.
        axis: the axes along which the mean and the variance are taken; None for all.
        mean, variance: arrays that broadcast with `x`; by default those of `x`.
        epsilon: keeps the divisor away from 0.
        where: a boolean array that broadcasts to `x`: what counts for the mean and the variance.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> import nrx
    >>> nrx.nn.standardize(nrx.numpy.array([1.0, 2.0, 3.0])).round(3)
    Array([-1.225,  0.   ,  1.225], dtype=float32)
    """
    x = _inexact(x)
    if mean is None:
        mean = jnp.mean(x, axis, keepdims=True, where=where)
    centred = x - mean
    if variance is None:
        variance = jnp.mean(centred * centred, axis, keepdims=True, where=where)
    centred, variance = promote_dtypes("standardize", centred, variance)
    return centred * lax.rsqrt(variance + epsilon)


swish = silu


def _inexact(x: Any) -> Array:
    x = asarray(x)
    return x if dtypes.is_inexact(x.dtype) else x.astype(dtypes.inexact_dtype(x.dtype))
