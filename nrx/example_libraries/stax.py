"""Layers as pairs of functions, under the names of `jax.example_libraries.stax`.

`init(rng, input_shape)` gives the shape of the result and the parameters, `apply(params, inputs, rng=...)` the result.
A length of -1 stands for a batch of any size. `nrx.nn` has layers of its own.

>>> import nrx
>>> from nrx.example_libraries import stax
>>> init, apply = stax.serial(stax.Conv(4, (3, 3)), stax.Relu, stax.Flatten, stax.Dense(10), stax.LogSoftmax)
>>> shape, params = init(nrx.random.PRNGKey(0), (-1, 8, 8, 1))
>>> shape, apply(params, nrx.numpy.ones((2, 8, 8, 1))).shape
((-1, 10), (2, 10))
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from nrx import lax, random
from nrx import numpy as jnp
from nrx.core.errors import ArgumentError
from nrx.nn import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    sigmoid,
    softmax,
    softplus,
    standardize,
)  # fmt: skip
from nrx.nn.initializers import glorot_normal, normal, ones, zeros
from nrx.transforms.staging import ShapeDtypeStruct, eval_shape

glorot, randn, logsoftmax = glorot_normal, normal, log_softmax
Layer = tuple[Callable, Callable]


def _sized(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape with 1 in the place of -1."""
    return tuple(1 if length == -1 else length for length in shape)


def _shape_of(function: Callable, *shapes: Sequence[int]) -> tuple[int, ...]:
    return eval_shape(function, *(ShapeDtypeStruct(_sized(shape), "float32") for shape in shapes)).shape


def Dense(out_dim: int, W_init: Callable | None = None, b_init: Callable | None = None) -> Layer:  # noqa: N802
    """x @ W + b, with `out_dim` columns in W.

    Args:
        out_dim: how many features the result has.
        W_init, b_init: functions of a key and a shape; by default `glorot_normal()` and `normal()`.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.Dense(3)
    >>> init(nrx.random.key(0), (-1, 2))[0]
    (-1, 3)
    """

    def init(rng: Any, input_shape: Sequence[int]) -> tuple:
        key_w, key_b = random.split(rng)
        weight = (W_init or glorot_normal())(key_w, (input_shape[-1], out_dim))
        return (*input_shape[:-1], out_dim), (weight, (b_init or normal())(key_b, (out_dim,)))

    return init, lambda params, inputs, **_: jnp.dot(inputs, params[0]) + params[1]


def _convolution(
    convolve: Callable, dimension_numbers: Sequence[str], out_chan: int, filter_shape: Sequence[int],
    strides: Sequence[int] | None, padding: Any, W_init: Callable | None, b_init: Callable | None,
) -> Layer:  # fmt: skip
    lhs, rhs, out = dimension_numbers
    steps = tuple(strides or (1,) * len(filter_shape))

    def run(inputs: Any, weight: Any) -> Any:
        return convolve(inputs, weight, steps, padding, dimension_numbers=tuple(dimension_numbers))

    def init(rng: Any, input_shape: Sequence[int]) -> tuple:
        lengths = iter(filter_shape)
        of = {"O": out_chan, "I": input_shape[lhs.index("C")]}
        shape = [of[c] if c in of else next(lengths) for c in rhs]
        found = list(_shape_of(run, input_shape, shape))
        found[out.index("N")] = input_shape[lhs.index("N")]
        key_w, key_b = random.split(rng)
        bias_shape = [out_chan if c == "C" else 1 for c in out]
        weight = (W_init or glorot_normal(rhs.index("I"), rhs.index("O")))(key_w, tuple(shape))
        return tuple(found), (weight, (b_init or normal(1e-6))(key_b, tuple(bias_shape)))

    return init, lambda params, inputs, **_: run(inputs, params[0]) + params[1]


def GeneralConv(  # noqa: N802
    dimension_numbers: Sequence[str], out_chan: int, filter_shape: Sequence[int], strides: Sequence[int] | None = None,
    padding: Any = "VALID", W_init: Callable | None = None, b_init: Callable | None = None,
) -> Layer:  # fmt: skip
    """A convolution with any layout.

    Args:
        dimension_numbers: the layouts of input, kernel and result, such as ("NHWC", "HWIO", "NHWC").
        out_chan: how many features the result has.
        filter_shape: the lengths of the kernel.
        strides: one an axis of space; by default 1.
        padding: 'SAME', 'VALID' or (low, high) pairs.
        W_init, b_init: functions of a key and a shape; by default `glorot_normal` and `normal(1e-6)`.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.GeneralConv(("NCH", "OIH", "NCH"), 4, (3,), padding="SAME")
    >>> init(nrx.random.key(0), (-1, 2, 8))[0]
    (-1, 4, 8)
    """
    return _convolution(
        lax.conv_general_dilated, dimension_numbers, out_chan, filter_shape, strides, padding, W_init, b_init
    )


def GeneralConvTranspose(  # noqa: N802
    dimension_numbers: Sequence[str], out_chan: int, filter_shape: Sequence[int], strides: Sequence[int] | None = None,
    padding: Any = "VALID", W_init: Callable | None = None, b_init: Callable | None = None,
) -> Layer:  # fmt: skip
    """A transposed convolution with any layout.

    Arguments as of `GeneralConv`.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.GeneralConvTranspose(("NHC", "HIO", "NHC"), 4, (3,), (2,), "SAME")
    >>> init(nrx.random.key(0), (-1, 8, 2))[0]
    (-1, 16, 4)
    """
    return _convolution(lax.conv_transpose, dimension_numbers, out_chan, filter_shape, strides, padding, W_init, b_init)


Conv = functools.partial(GeneralConv, ("NHWC", "HWIO", "NHWC"))
ConvTranspose = functools.partial(GeneralConvTranspose, ("NHWC", "HWIO", "NHWC"))
Conv1DTranspose = functools.partial(GeneralConvTranspose, ("NHC", "HIO", "NHC"))


def BatchNorm(  # noqa: N802
    axis: int | Sequence[int] = (0, 1, 2), epsilon: float = 1e-5, center: bool = True, scale: bool = True,
    beta_init: Callable = zeros, gamma_init: Callable = ones,
) -> Layer:  # fmt: skip
    """Mean 0 and variance 1 over the batch, then `gamma` and `beta`.

    Args:
        axis: the axes of the batch.
        epsilon: is added to the variance.
        center, scale: whether there are a `beta` that is added and a `gamma` that multiplies.
        beta_init, gamma_init: functions of a key and a shape.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.BatchNorm(axis=0)
    >>> _, params = init(nrx.random.key(0), (-1, 1))
    >>> apply(params, nrx.numpy.array([[2.0], [4.0]])).round(3)
    Array([[-1.],
           [ 1.]], dtype=float32)
    """
    axes = (axis,) if isinstance(axis, int) else tuple(axis)

    def init(rng: Any, input_shape: Sequence[int]) -> tuple:
        shape = tuple(length for i, length in enumerate(input_shape) if i not in axes)
        key_beta, key_gamma = random.split(rng)
        beta = beta_init(key_beta, shape) if center else ()
        return tuple(input_shape), (beta, gamma_init(key_gamma, shape) if scale else ())

    def apply(params: Any, x: Any, **_: Any) -> Any:
        wide = [None if i in axes else slice(None) for i in range(x.ndim)]
        out = standardize(x, axes, epsilon=epsilon)
        if scale:
            out = out * params[1][tuple(wide)]
        return out + params[0][tuple(wide)] if center else out

    return init, apply


def elementwise(fun: Callable, **fun_kwargs: Any) -> Layer:
    """A layer without parameters that applies `fun(inputs, **fun_kwargs)`.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.elementwise(nrx.numpy.clip, max=1.0)
    >>> apply((), nrx.numpy.array([0.5, 2.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    return lambda rng, input_shape: (input_shape, ()), lambda params, inputs, **_: fun(inputs, **fun_kwargs)


Tanh = elementwise(jnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(jnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)


def _pooling(name: str, what: str, reduce: Callable, initial: float, mean: bool = False) -> Callable[..., Layer]:
    def pool(
        window_shape: Sequence[int], strides: Sequence[int] | None = None, padding: str = "VALID", spec: str = "NHWC"
    ) -> Layer:
        lengths, steps = iter(window_shape), iter(strides or (1,) * len(window_shape))
        dims = tuple(1 if c in "NC" else next(lengths) for c in spec)
        moves = tuple(1 if c in "NC" else next(steps) for c in spec)

        def run(x: Any) -> Any:
            out = lax.reduce_window(x, initial, reduce, dims, moves, padding)
            if not mean:
                return out
            return out / lax.reduce_window(jnp.ones_like(x), initial, reduce, dims, moves, padding)

        def init(rng: Any, input_shape: Sequence[int]) -> tuple:
            found = list(_shape_of(run, input_shape))
            found[spec.index("N")] = input_shape[spec.index("N")]
            return tuple(found), ()

        return init, lambda params, inputs, **_: run(inputs)

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"""The {what} of the inputs in every window.

    Args:
        window_shape: the lengths of the windows.
        strides: their distances; by default 1.
        padding: 'SAME' or 'VALID'; it does not count.
        spec: the layout of the inputs.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.{name}((2, 2), strides=(2, 2))
    >>> init(nrx.random.key(0), (-1, 8, 8, 3))[0]
    (-1, 4, 4, 3)
    """
    return pool


MaxPool = _pooling("MaxPool", "largest", lax.max, -math.inf)
SumPool = _pooling("SumPool", "sum", lax.add, 0.0)
AvgPool = _pooling("AvgPool", "mean", lax.add, 0.0, mean=True)

Flatten: Layer = (
    lambda rng, shape: ((shape[0], math.prod(shape[1:])), ()),
    lambda params, inputs, **_: jnp.reshape(inputs, (inputs.shape[0], -1)),
)
Identity: Layer = lambda rng, shape: (shape, ()), lambda params, inputs, **_: inputs
FanInSum: Layer = lambda rng, shapes: (shapes[0], ()), lambda params, inputs, **_: sum(inputs)


def FanOut(num: int) -> Layer:  # noqa: N802
    """The inputs, `num` times.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.FanOut(2)
    >>> apply((), 1.0)
    [1.0, 1.0]
    """
    return lambda rng, shape: ([shape] * num, ()), lambda params, inputs, **_: [inputs] * num


def FanInConcat(axis: int = -1) -> Layer:  # noqa: N802
    """The inputs side by side along an axis.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.FanInConcat()
    >>> init(nrx.random.key(0), [(-1, 2), (-1, 3)])[0]
    (-1, 5)
    """

    def init(rng: Any, shapes: Sequence[Sequence[int]]) -> tuple:
        out = list(shapes[0])
        out[axis] = sum(shape[axis] for shape in shapes)
        return tuple(out), ()

    return init, lambda params, inputs, **_: jnp.concatenate(inputs, axis)


def Dropout(rate: float, mode: str = "train") -> Layer:  # noqa: N802
    """While training, each input is kept with probability `rate`, or else 0; what is kept is divided by it.

    With another `mode` than "train" the inputs stay as they are.

    Raises:
        ArgumentError: `apply` gets no key while training.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.Dropout(0.5)
    >>> set(apply((), nrx.numpy.ones(100), rng=nrx.random.key(0)).tolist()) == {0.0, 2.0}
    True
    """

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        rng = kwargs.get("rng")
        if mode != "train":
            return inputs
        if rng is None:
            raise ArgumentError("Dropout needs a key while training", fix="apply(params, inputs, rng=key)")
        keep = random.bernoulli(rng, rate, inputs.shape)
        return jnp.where(keep, inputs / rate, 0)

    return lambda rng, shape: (shape, ()), apply


def serial(*layers: Layer) -> Layer:
    """`layers` one after the other.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.serial(stax.Dense(3), stax.Relu)
    >>> init(nrx.random.key(0), (-1, 2))[0]
    (-1, 3)
    """

    def init(rng: Any, input_shape: Any) -> tuple:
        params = []
        for layer_init, _ in layers:
            rng, key = random.split(rng)
            input_shape, param = layer_init(key, input_shape)
            params.append(param)
        return input_shape, params

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        for (_, layer_apply), param, key in zip(layers, params, _keys(kwargs, len(layers)), strict=True):
            inputs = layer_apply(param, inputs, rng=key, **kwargs)
        return inputs

    return init, apply


def parallel(*layers: Layer) -> Layer:
    """`layers` side by side, each with an input of its own: after `FanOut`, before `FanInSum` or `FanInConcat`.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.serial(stax.FanOut(2), stax.parallel(stax.Dense(3), stax.Identity), stax.FanInConcat())
    >>> init(nrx.random.key(0), (-1, 2))[0]
    (-1, 5)
    """

    def init(rng: Any, input_shape: Sequence[Any]) -> tuple:
        keys = random.split(rng, len(layers))
        pairs = [layer[0](key, shape) for layer, key, shape in zip(layers, keys, input_shape, strict=True)]
        return [shape for shape, _ in pairs], [param for _, param in pairs]

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        keys = _keys(kwargs, len(layers))
        return [layer[1](p, x, rng=k, **kwargs) for layer, p, x, k in zip(layers, params, inputs, keys, strict=True)]

    return init, apply


def _keys(kwargs: dict[str, Any], count: int) -> Sequence[Any]:
    """A key for each layer, of the one that is taken out of the keyword arguments."""
    rng = kwargs.pop("rng", None)
    return [None] * count if rng is None else list(random.split(rng, count))


def shape_dependent(make_layer: Callable[[Any], Layer]) -> Layer:
    """The layer that `make_layer` makes of the shape of the input.

    >>> import nrx
    >>> from nrx.example_libraries import stax
    >>> init, apply = stax.shape_dependent(lambda shape: stax.Dense(2 * shape[-1]))
    >>> init(nrx.random.key(0), (-1, 2))[0]
    (-1, 4)
    """

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return make_layer(inputs.shape)[1](params, inputs, **kwargs)

    return lambda rng, input_shape: make_layer(input_shape)[0](rng, input_shape), apply
