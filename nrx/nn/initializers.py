"""Initial values of parameters, under the names of `jax.nn.initializers`, with JAX's values for the same keys.

An initializer is a function `(key, shape, dtype=None) -> array`; the functions here make them, except for `zeros` and
`ones`, which are initializers themselves.

>>> import nrx
>>> init = nrx.nn.initializers.he_normal()
>>> init(nrx.random.PRNGKey(0), (3, 5)).shape
(3, 5)
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import nrx.numpy as jnp
from nrx import random
from nrx.core.array import Array
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import canonical_axes, canonical_axis, canonical_shape, show, size, without

Initializer = Callable[..., Array]
Axes = int | Sequence[int]

#: The standard deviation of a standard normal distribution truncated to [-2, 2].
_TRUNCATED_STDDEV = 0.87962566103423978


def zeros(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Array:
    """Zeros.

    Args:
        key: ignored.
        shape: the shape of the result.
        dtype: any dtype; by default the default float.

    Returns:
        An array of that shape and dtype.

    >>> import nrx
    >>> nrx.nn.initializers.zeros(None, (2,))
    Array([0., 0.], dtype=float32)
    """
    return jnp.zeros(shape, canonical_dtype(dtype or float))


def ones(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Array:
    """Ones.

    Args:
        key: ignored.
        shape: the shape of the result.
        dtype: any dtype; by default the default float.

    Returns:
        An array of that shape and dtype.

    >>> import nrx
    >>> nrx.nn.initializers.ones(None, (2,))
    Array([1., 1.], dtype=float32)
    """
    return jnp.ones(shape, canonical_dtype(dtype or float))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """The same value everywhere.

    Args:
        value: a number, or an array that broadcasts to the shape.
        dtype: the dtype where the initializer is given none; by default the default float.

    Returns:
        An initializer, which ignores its key.

    >>> import nrx
    >>> nrx.nn.initializers.constant(0.5)(None, (2,))
    Array([0.5, 0.5], dtype=float32)
    """
    return _initializer(lambda key, shape, chosen: jnp.full(shape, value, chosen), dtype)


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Normally distributed numbers.

    Args:
        stddev: their standard deviation.
        dtype: the dtype where the initializer is given none; by default the default float.

    Returns:
        An initializer for floating and complex dtypes, of any shape.

    >>> import nrx
    >>> nrx.nn.initializers.normal(0.1)(nrx.random.PRNGKey(0), (2,), "float64").dtype
    dtype('float64')
    """
    return _initializer(
        lambda key, shape, chosen: random.normal(key, shape, chosen) * jnp.asarray(stddev, chosen), dtype
    )


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Uniform numbers from [0, scale).

    Args:
        scale: the upper limit.
        dtype: the dtype where the initializer is given none; by default the default float.

    Returns:
        An initializer for floating dtypes, of any shape.

    >>> import nrx
    >>> bool((nrx.nn.initializers.uniform(2.0)(nrx.random.PRNGKey(0), (100,)) < 2).all())
    True
    """
    return _initializer(
        lambda key, shape, chosen: random.uniform(key, shape, chosen) * jnp.asarray(scale, chosen), dtype
    )


def truncated_normal(stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0) -> Initializer:
    """Normally distributed numbers within limits, which make the standard deviation smaller; it is not corrected.

    Args:
        stddev: the standard deviation before truncation.
        dtype: the dtype where the initializer is given none; by default the default float.
        lower, upper: the limits, in standard deviations.

    Returns:
        An initializer for floating and complex dtypes, of any shape.

    >>> import nrx
    >>> x = nrx.nn.initializers.truncated_normal(0.1)(nrx.random.PRNGKey(0), (1000,))
    >>> bool(abs(x).max() <= 0.2)
    True
    """
    return _initializer(
        lambda key, shape, chosen: (
            random.truncated_normal(key, lower, upper, shape, chosen) * jnp.asarray(stddev, chosen)
        ),
        dtype,
    )


def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Random numbers with the variance `scale / n`, where n is how many inputs, or outputs, are summed.

    Args:
        scale: a positive number.
        mode: what n is: "fan_in", the size of the input axes times that of the axes not named (those of a convolution's
            window); "fan_out", likewise with the output axes; "fan_avg" or "fan_geo_avg", the arithmetic or geometric
            mean of the two.
        distribution: "truncated_normal" (at two standard deviations), "normal" or "uniform".
        in_axis, out_axis: the axes of the inputs and outputs.
        batch_axis: axes that only count copies, and enter neither.
        dtype: the dtype where the initializer is given none; by default the default float.

    Returns:
        An initializer for floating dtypes.

    Raises:
        ArgumentError: an unknown mode or distribution.
        ShapeError: (by the initializer) a shape of fewer than two dimensions.
        AxisError: (by the initializer) the shape lacks an axis.

    >>> import nrx
    >>> init = nrx.nn.initializers.variance_scaling(1.0, "fan_in", "normal")
    >>> x = init(nrx.random.PRNGKey(0), (400, 100))
    >>> bool(abs(x.std() - 0.05) < 0.001)
    True
    """
    if mode not in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
        raise ArgumentError(f"variance_scaling: mode must be fan_in, fan_out, fan_avg or fan_geo_avg, got {mode!r}")
    if distribution not in ("truncated_normal", "normal", "uniform"):
        raise ArgumentError(
            f"variance_scaling: distribution must be truncated_normal, normal or uniform, got {distribution!r}"
        )

    def draw(key: Any, shape: tuple[int, ...], chosen: Any) -> Array:
        fan_in, fan_out = _fans(shape, in_axis, out_axis, batch_axis)
        fan = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }[mode]
        variance = jnp.asarray(scale / fan, chosen)
        if distribution == "normal":
            return random.normal(key, shape, chosen) * jnp.sqrt(variance)
        if distribution == "uniform":
            return random.uniform(key, shape, chosen, -1) * jnp.sqrt(3 * variance)
        stddev = jnp.sqrt(variance) / jnp.asarray(_TRUNCATED_STDDEV, chosen)
        return random.truncated_normal(key, -2, 2, shape, chosen) * stddev

    return _initializer(draw, dtype)


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Matrices with orthonormal columns, or rows if there are fewer of them, uniformly distributed.

    Args:
        scale: a factor.
        column_axis: the axis of the columns; the others together are that of the rows.
        dtype: the dtype where the initializer is given none; by default the default float.

    Returns:
        An initializer for floating and complex dtypes.

    Raises:
        ShapeError: (by the initializer) a shape of fewer than two dimensions.
        AxisError: (by the initializer) the shape lacks the axis.

    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014.

    >>> import nrx
    >>> x = nrx.nn.initializers.orthogonal()(nrx.random.PRNGKey(0), (4, 3))
    >>> bool(abs(x.T @ x - nrx.numpy.eye(3)).max() < 1e-5)
    True
    """

    def draw(key: Any, shape: tuple[int, ...], chosen: Any) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal: shape {show(shape)} has no rows and columns", fix="add an axis")
        axis = canonical_axis(column_axis, len(shape))
        rows = without(shape, (axis,))
        matrix = random.orthogonal(key, size(rows), (), chosen, shape[axis])
        return jnp.asarray(scale, chosen) * jnp.moveaxis(matrix.reshape(*rows, shape[axis]), -1, axis)

    return _initializer(draw, dtype)


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Kernels of convolutions that are 0 but in the middle, where they are orthogonal.

    Args:
        scale: a factor.
        column_axis: the axis of the columns of the matrix in the middle, of its two axes.
        dtype: the dtype where the initializer is given none; by default the default float.

    Returns:
        An initializer for floating and complex dtypes and shapes (*window, features in, features out).

    Raises:
        ShapeError: (by the initializer) a shape not of 3 to 5 dimensions, or with more inputs than outputs.

    Xiao et al., "Dynamical isometry and a mean field theory of CNNs", ICML 2018.

    >>> import nrx
    >>> nrx.nn.initializers.delta_orthogonal()(nrx.random.PRNGKey(0), (3, 1, 1))[:, 0, 0] ** 2
    Array([0., 1., 0.], dtype=float32)
    """
    within = orthogonal(scale, column_axis)

    def draw(key: Any, shape: tuple[int, ...], chosen: Any) -> Array:
        if len(shape) not in (3, 4, 5) or shape[-1] < shape[-2]:
            raise ShapeError(
                f"delta_orthogonal: the shape must be (*window, features in, features out), of 3 to 5 axes, with no "
                f"more features in than out; got {show(shape)}"
            )
        middle = tuple((length - 1) // 2 for length in shape[:-2])
        return jnp.zeros(shape, chosen).at[middle].set(within(key, shape[-2:], chosen))

    return _initializer(draw, dtype)


def _fans(shape: tuple[int, ...], in_axis: Axes, out_axis: Axes, batch_axis: Axes) -> tuple[Any, Any]:
    if len(shape) < 2:
        raise ShapeError(
            f"variance_scaling: shape {show(shape)} has no input and output axis", fix="use normal, uniform or constant"
        )
    inputs, outputs, batch = (canonical_axes(axes, len(shape)) for axes in (in_axis, out_axis, batch_axis))
    window = size(without(shape, (*inputs, *outputs, *batch)))
    fan_in, fan_out = (window * size(tuple(shape[axis] for axis in axes)) for axes in (inputs, outputs))
    return fan_in, fan_out


def _initializer(draw: Callable[[Any, tuple[int, ...], Any], Array], default: Any) -> Initializer:
    def init(key: Any, shape: Any, dtype: Any = default) -> Array:
        return draw(key, canonical_shape(shape), canonical_dtype(dtype or float))

    return init


def _scaled(scale: float, mode: str, distribution: str, name: str, text: str) -> Callable[..., Initializer]:
    def make(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""{text}

    It is `variance_scaling({scale}, {mode!r}, {distribution!r}, ...)`.

    Args:
        in_axis, out_axis: the axes of the inputs and outputs.
        batch_axis: axes that only count copies, and enter neither.
        dtype: the dtype where the initializer is given none; by default the default float.

    Returns:
        An initializer for floating dtypes and shapes of two or more dimensions.

    >>> import nrx
    >>> nrx.nn.initializers.{name}()(nrx.random.PRNGKey(0), (2, 3)).shape
    (2, 3)
    """
    return make


_GLOROT = (
    'Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.'
)
_HE = 'He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.'
_LECUN = 'LeCun, Bottou, Orr and Müller, "Efficient backprop", 1998.'

glorot_uniform = _scaled(1.0, "fan_avg", "uniform", "glorot_uniform", _GLOROT)
glorot_normal = _scaled(1.0, "fan_avg", "truncated_normal", "glorot_normal", _GLOROT)
lecun_uniform = _scaled(1.0, "fan_in", "uniform", "lecun_uniform", _LECUN)
lecun_normal = _scaled(1.0, "fan_in", "truncated_normal", "lecun_normal", _LECUN)
he_uniform = _scaled(2.0, "fan_in", "uniform", "he_uniform", _HE)
he_normal = _scaled(2.0, "fan_in", "truncated_normal", "he_normal", _HE)
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
