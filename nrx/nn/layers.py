"""Layers: pairs of functions, one that makes parameters and one that uses them.

A model is put together with `sequential`, which is a layer again. Parameters are a tree of arrays and belong to nobody:

>>> import nrx
>>> model = nrx.nn.sequential(nrx.nn.Dense(32), nrx.nn.Relu, nrx.nn.Dense(1))
>>> params = model.init(nrx.random.PRNGKey(0), (1, 4))
>>> model.apply(params, nrx.numpy.ones((5, 4))).shape
(5, 1)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ArgumentTypeError, TreeError
from nrx.core.trace import name_of
from nrx.nn import activations, functional
from nrx.nn.functional import Padding, Sizes
from nrx.nn.initializers import Initializer, lecun_normal, zeros
from nrx.random import split
from nrx.transforms import ShapeDtypeStruct, eval_shape


class Layer(NamedTuple):
    """A pair of pure functions.

    `init(key, input) -> params`, where `input` is the shape of an input (with its batch axis, of any length) or a
    `ShapeDtypeStruct` or array like it. `apply(params, x, *, key=None, train=False) -> y`, where `key` is for layers
    that draw random numbers in training.

    >>> import nrx
    >>> init, apply = nrx.nn.Dense(2)
    >>> params = init(nrx.random.key(0), (1, 3))
    >>> apply(params, nrx.numpy.ones((5, 3))).shape
    (5, 2)
    """

    init: Callable[[Any, Any], Any]
    apply: Callable[..., Array]


def sequential(*layers: Layer) -> Layer:
    """Layers one after the other.

    Args:
        layers: the layers.

    Returns:
        A `Layer` whose parameters are the tuple of theirs.

    Raises:
        ArgumentTypeError: one of them is no `Layer`.
        TreeError: (when applied) the parameters are not those of as many layers.

    Shapes and dtypes are theirs: each layer takes what the one before gives.

    >>> import nrx
    >>> model = nrx.nn.sequential(nrx.nn.Flatten, nrx.nn.Dense(10))
    >>> params = model.init(nrx.random.PRNGKey(0), (1, 8, 8, 1))
    >>> nrx.tree.map(lambda p: p.shape, params)
    ((), {'bias': (10,), 'kernel': (64, 10)})
    """

    for number, layer in enumerate(layers):
        if not (hasattr(layer, "init") and hasattr(layer, "apply")):
            raise ArgumentTypeError(
                f"sequential: layer {number} is {name_of(layer)}, a {type(layer).__name__}, not a Layer",
                fix="call what makes it, as in nn.Dense(10); a function f without parameters is "
                "nn.Layer(lambda key, input: (), lambda params, x, **options: f(x))",
            )

    def init(key: Any, input: Any) -> tuple[Any, ...]:
        params = []
        for layer, layer_key in zip(layers, split(key, len(layers)), strict=True):
            params.append(layer.init(layer_key, input))
            input = eval_shape(layer.apply, params[-1], _struct(input))
        return tuple(params)

    def apply(params: Any, x: Any, *, key: Any = None, train: bool = False) -> Array:
        if not isinstance(params, tuple | list) or len(params) != len(layers):
            found = f"{len(params)} entries" if isinstance(params, tuple | list) else f"a {type(params).__name__}"
            raise TreeError(
                f"sequential: {len(layers)} layers take a tuple of the parameters of each, got {found}",
                fix="pass what the init of the same model gave",
            )
        keys = [None] * len(layers) if key is None else split(key, len(layers))
        for layer, layer_params, layer_key in zip(layers, params, keys, strict=True):
            x = layer.apply(layer_params, x, key=layer_key, train=train)
        return x

    return Layer(init, apply)


def Dense(  # noqa: N802 - layers are written as their kind
    features: int, *, use_bias: bool = True, kernel_init: Initializer | None = None, bias_init: Initializer = zeros
) -> Layer:
    """x @ kernel + bias, with `kernel` and `bias` in a dict.

    Args:
        features: the length of the last axis of the result.
        use_bias: whether there is a bias.
        kernel_init: the initializer of the kernel, of shape (features in, features); by default `lecun_normal()`.
        bias_init: the initializer of the bias, of shape (features,).

    Returns:
        A `Layer` for inputs of shape (..., features in).

    Arrays have shape (..., features); parameters have the default float, unless the initializers make another dtype.

    >>> import nrx
    >>> layer = nrx.nn.Dense(3)
    >>> layer.apply(layer.init(nrx.random.PRNGKey(0), (1, 4)), nrx.numpy.zeros((2, 4)))
    Array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """

    def init(key: Any, input: Any) -> dict[str, Array]:
        struct = _struct(input)
        return _weights(key, (struct.shape[-1], features), struct.dtype, use_bias, kernel_init, bias_init)

    def apply(params: Any, x: Any, *, key: Any = None, train: bool = False) -> Array:
        return functional.dense(x, **params)

    return Layer(init, apply)


def Conv(  # noqa: N802 - layers are written as their kind
    features: int,
    window: Sizes,
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
) -> Layer:
    """A convolution plus a bias, with `kernel` and `bias` in a dict.

    Args:
        features: the length of the last axis of the result.
        window: the size of the kernel, one number or one for each spatial axis.
        strides: steps of the window, one number or one for each spatial axis.
        padding: "SAME", "VALID", or a pair (before, after) for each spatial axis.
        use_bias: whether there is a bias.
        kernel_init: the initializer of the kernel, of shape (*window, features in, features); by default
            `lecun_normal()`.
        bias_init: the initializer of the bias, of shape (features,).

    Returns:
        A `Layer` for inputs of shape (n, *spatial, features in).

    Arrays have shape (batch, *space, features); parameters have the default float, unless the initializers make
    another dtype.

    >>> import nrx
    >>> layer = nrx.nn.Conv(16, 3)
    >>> layer.init(nrx.random.PRNGKey(0), (1, 8, 8, 1))["kernel"].shape
    (3, 3, 1, 16)
    """

    def init(key: Any, input: Any) -> dict[str, Array]:
        struct = _struct(input)
        spatial = len(struct.shape) - 2
        sizes = (window,) * spatial if isinstance(window, int) else tuple(window)
        shape = (*sizes, struct.shape[-1], features)
        return _weights(key, shape, struct.dtype, use_bias, kernel_init, bias_init)

    def apply(params: Any, x: Any, *, key: Any = None, train: bool = False) -> Array:
        return functional.conv(x, **params, strides=strides, padding=padding)

    return Layer(init, apply)


def MaxPool(window: Sizes, *, strides: Sizes | None = None, padding: Padding = "VALID") -> Layer:  # noqa: N802
    """The maximum in each window; see `max_pool`.

    Args:
        window: the size of the window, one number or one for each spatial axis.
        strides: its steps; by default its size.
        padding: "SAME", "VALID", or a pair (before, after) for each spatial axis.

    Returns:
        A `Layer` without parameters.

    Arrays have shape (batch, *space, features); their dtype stays.

    >>> import nrx
    >>> nrx.nn.MaxPool(2).apply((), nrx.numpy.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """
    return stateless(lambda x: functional.max_pool(x, window, strides=strides, padding=padding))


def AvgPool(window: Sizes, *, strides: Sizes | None = None, padding: Padding = "VALID") -> Layer:  # noqa: N802
    """The mean in each window; see `avg_pool`.

    Args:
        window: the size of the window, one number or one for each spatial axis.
        strides: its steps; by default its size.
        padding: "SAME", "VALID", or a pair (before, after) for each spatial axis.

    Returns:
        A `Layer` without parameters.

    Arrays have shape (batch, *space, features); their dtype stays.

    >>> import nrx
    >>> nrx.nn.AvgPool(2).apply((), nrx.numpy.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """
    return stateless(lambda x: functional.avg_pool(x, window, strides=strides, padding=padding))


def Dropout(rate: float) -> Layer:  # noqa: N802
    """In training, set each element to 0 with a probability; see `dropout`.

    Args:
        rate: the probability, a number from 0 to 1.

    Returns:
        A `Layer` without parameters. With `train=True` it needs a key.

    Raises:
        ArgumentError: (by `apply`) there is no key in training, or the rate is not in [0, 1].

    Shape and dtype stay.

    >>> import nrx
    >>> nrx.nn.Dropout(0.5).apply((), nrx.numpy.ones(6), key=nrx.random.PRNGKey(0), train=True)
    Array([0., 0., 2., 2., 0., 2.], dtype=float32)
    """

    def apply(params: Any, x: Any, *, key: Any = None, train: bool = False) -> Array:
        if train and key is None:
            raise ArgumentError(
                "Dropout needs a key in training",
                fix="model.apply(params, x, key=key, train=True), with a new key each time",
            )
        return functional.dropout(key, rate, x, deterministic=not train)

    return Layer(lambda key, input: (), apply)


def stateless(function: Callable[[Any], Array]) -> Layer:
    """A function of one array as a layer without parameters.

    Args:
        function: the function.

    Returns:
        A `Layer`.

    Shapes and dtypes are those of the function.

    >>> import nrx
    >>> nrx.nn.stateless(nrx.numpy.sin).apply((), nrx.numpy.zeros(2))
    Array([0., 0.], dtype=float32)
    """
    return Layer(lambda key, input: (), lambda params, x, *, key=None, train=False: function(x))


Flatten = stateless(functional.flatten)
Relu = stateless(activations.relu)
Gelu = stateless(activations.gelu)
Silu = stateless(activations.silu)
Elu = stateless(activations.elu)
Tanh = stateless(activations.tanh)
Sigmoid = stateless(activations.sigmoid)
Softplus = stateless(activations.softplus)
Softmax = stateless(activations.softmax)
LogSoftmax = stateless(activations.log_softmax)


def _struct(input: Any) -> ShapeDtypeStruct:
    """A shape, or something with a shape and a dtype, as a ShapeDtypeStruct of a floating or complex dtype."""
    if not hasattr(input, "shape"):
        return ShapeDtypeStruct(input, float)
    return ShapeDtypeStruct(input.shape, dtypes.inexact_dtype(input.dtype))


def _weights(
    key: Any,
    shape: tuple[int, ...],
    dtype: Any,
    use_bias: bool,
    kernel_init: Initializer | None,
    bias_init: Initializer,
) -> dict[str, Array]:
    params = {"kernel": (kernel_init or lecun_normal())(key, shape, dtype)}
    if use_bias:
        params["bias"] = bias_init(key, shape[-1:], dtype)
    return params
