"""What layers compute, as functions of their inputs and parameters.

Images have the batch in the first axis and the features (channels) in the last: (n, height, width, features). The
kernel of a convolution has the shape (height, width, features in, features out).
"""

from collections.abc import Sequence
from typing import Any

import nrx.numpy as jnp
from nrx import lax, random
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import Shape, show, size

Sizes = int | Sequence[int]
Padding = str | Sequence[tuple[int, int]]

_SPATIAL_AXES = {1: "W", 2: "HW", 3: "DHW"}


def dense(x: Any, kernel: Any, bias: Any = None) -> Array:
    """x @ kernel + bias.

    Args:
        x: an array of shape (..., features in).
        kernel: an array of shape (features in, features out).
        bias: an array of shape (features out,), or None.

    Returns:
        An array of shape (..., features out), in the dtype in which x and the kernel meet.

    Raises:
        ShapeError: the shapes do not fit.

    >>> import nrx
    >>> nrx.nn.dense(nrx.numpy.ones((2, 3)), nrx.numpy.ones((3, 1)), nrx.numpy.array([0.5]))
    Array([[3.5],
           [3.5]], dtype=float32)
    """
    out = jnp.matmul(x, kernel)
    return out if bias is None else out + bias


def conv(
    x: Any,
    kernel: Any,
    bias: Any = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """A convolution, as neural networks mean it (without flipping the kernel), plus a bias.

    Args:
        x: an array of shape (n, *spatial, features in), with one to three spatial axes.
        kernel: an array of shape (*window, features in / groups, features out).
        bias: an array of shape (features out,), or None.
        strides: steps of the window, one number or one for each spatial axis.
        padding: "SAME", "VALID", or a pair (before, after) for each spatial axis.
        dilation: distances between the elements of the window, one number or one for each spatial axis.
        groups: how many independent parts the features are divided into.

    Returns:
        An array of shape (n, *spatial out, features out). It has the dtype of x and the kernel.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: an option does not fit.

    >>> import nrx
    >>> nrx.nn.conv(nrx.numpy.ones((1, 8, 8, 3)), nrx.numpy.ones((3, 3, 3, 16)), strides=2).shape
    (1, 4, 4, 16)
    """
    x, kernel = asarray(x, "conv: x"), asarray(kernel, "conv: kernel")
    spatial = _SPATIAL_AXES.get(x.ndim - 2)
    if spatial is None or kernel.ndim != x.ndim:
        raise ShapeError(
            f"conv needs x of shape (n, *spatial, features) with one to three spatial axes, and a kernel of as many "
            f"axes; got {show(x.shape)} and {show(kernel.shape)}",
            fix="add a batch axis: x[None]" if kernel.ndim == x.ndim + 1 else None,
        )
    out = lax.conv_general_dilated(
        x,
        kernel,
        window_strides=_each("conv", "strides", strides, len(spatial)),
        padding=padding,
        rhs_dilation=_each("conv", "dilation", dilation, len(spatial)),
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=groups,
    )
    return out if bias is None else out + bias


def max_pool(x: Any, window: Sizes, *, strides: Sizes | None = None, padding: Padding = "VALID") -> Array:
    """The maximum in each window.

    Args:
        x: a real array of shape (n, *spatial, features).
        window: the size of the window, one number or one for each spatial axis.
        strides: its steps; by default its size.
        padding: "SAME", "VALID", or a pair (before, after) for each spatial axis.

    Returns:
        An array of shape (n, *spatial out, features). It has the dtype of x.

    Raises:
        ShapeError, ArgumentError: the arguments do not fit.

    >>> import nrx
    >>> nrx.nn.max_pool(nrx.numpy.arange(4.0).reshape(1, 4, 1), 2).ravel()
    Array([1., 3.], dtype=float32)
    """
    x = asarray(x, "max_pool: x")
    box, steps, pads = _pooling("max_pool", x.shape, window, strides, padding)
    lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    return lax.reduce_window(x, lowest, lax.max, box, steps, pads)


def avg_pool(x: Any, window: Sizes, *, strides: Sizes | None = None, padding: Padding = "VALID") -> Array:
    """The mean in each window; padding does not count.

    Args:
        x: a floating array of shape (n, *spatial, features).
        window: the size of the window, one number or one for each spatial axis.
        strides: its steps; by default its size.
        padding: "SAME", "VALID", or a pair (before, after) for each spatial axis.

    Returns:
        An array of shape (n, *spatial out, features).

    Raises:
        ShapeError, ArgumentError: the arguments do not fit.

    >>> import nrx
    >>> nrx.nn.avg_pool(nrx.numpy.arange(4.0).reshape(1, 4, 1), 2).ravel()
    Array([0.5, 2.5], dtype=float32)
    """
    x = asarray(x, "avg_pool: x")
    box, steps, pads = _pooling("avg_pool", x.shape, window, strides, padding)
    ones = jnp.ones((1, *x.shape[1:-1], 1), x.dtype)
    total, count = (lax.reduce_window(values, 0, lax.add, box, steps, pads) for values in (x, ones))
    return total / count


def dropout(key: Any, rate: float, x: Any, deterministic: bool = False) -> Array:
    """Set each element to 0 with a probability; divide the others by what is left, so that the mean stays.

    Args:
        key: a key of `nrx.random`.
        rate: the probability, a number from 0 to 1.
        x: a floating array.
        deterministic: whether to return `x` as it is, as one does once training is over.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ArgumentError: the rate is not in [0, 1].

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.

    >>> import nrx
    >>> nrx.nn.dropout(nrx.random.PRNGKey(0), 0.5, nrx.numpy.ones(6))
    Array([0., 0., 2., 2., 0., 2.], dtype=float32)
    """
    if not 0 <= rate <= 1:
        raise ArgumentError(f"dropout: rate must be from 0 to 1, got {rate}")
    x = asarray(x, "dropout: x")
    if deterministic or rate == 0:
        return x
    if rate == 1:
        return jnp.zeros_like(x)
    kept = random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0)


def flatten(x: Any) -> Array:
    """All axes but the first in one.

    Args:
        x: an array of shape (n, ...).

    Returns:
        An array of shape (n, features), of the dtype of x.

    >>> import nrx
    >>> nrx.nn.flatten(nrx.numpy.ones((2, 3, 4))).shape
    (2, 12)
    """
    x = asarray(x, "flatten: x")
    return jnp.reshape(x, (x.shape[0], size(x.shape[1:])))


def _pooling(name: str, shape: Shape, window: Sizes, strides: Sizes | None, padding: Padding) -> Any:
    """Window, strides and padding for all axes of an array of `shape`."""
    spatial = len(shape) - 2
    if spatial < 1:
        raise ShapeError(f"{name} needs an array of shape (n, *spatial, features), got {show(shape)}")
    window = _each(name, "window", window, spatial)
    strides = window if strides is None else _each(name, "strides", strides, spatial)
    pads = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return (1, *window, 1), (1, *strides, 1), pads


def _each(name: str, what: str, value: Sizes, count: int) -> tuple[int, ...]:
    """One number for each of `count` axes."""
    result = (value,) * count if isinstance(value, int) else tuple(value)
    if len(result) != count:
        raise ArgumentError(f"{name}: {what} has {len(result)} numbers, but there are {count} spatial axes: {value}")
    return result
