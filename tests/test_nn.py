"""Activations, losses, layers and initial values: against float64 NumPy, finite differences and, if installed, JAX."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import nrx
from nrx import nn
from nrx.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    AxisError,
    DTypeError,
    IndexingError,
    ShapeError,
    TreeError,
)
from nrx.nn import initializers
from nrx.testing import check_grads

jnp = nrx.numpy
KEY = nrx.random.PRNGKey(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5)) * 3


def assert_close(got: Any, expected: Any, rtol: float = 1e-12, atol: float = 1e-14) -> None:
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=rtol, atol=atol)


# ---- activations ----------------------------------------------------------------------------------------------------

erfc, expit = scipy.special.erfc, scipy.special.expit
SELU = 1.0507009873554805, 1.6732632423543772

ELEMENTWISE: dict[str, Callable] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": expit,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
    "log_sigmoid": lambda x: -np.logaddexp(-x, 0),
    "silu": lambda x: x * expit(x),
    "swish": lambda x: x * expit(x),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * np.expm1(np.minimum(x, 0))),
    "leaky_relu": lambda x: np.where(x >= 0, x, 0.01 * x),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str) -> None:
    function, oracle = getattr(nn, name), ELEMENTWISE[name]
    assert_close(function(jnp.asarray(X)), oracle(X))
    for empty in ((), (0,), (2, 0)):
        x = np.zeros(empty)
        assert_close(function(jnp.asarray(x)), oracle(x))
    smooth = jnp.asarray(np.array([-7.0, -2.5, -0.3, 0.2, 1.5, 5.0]))
    check_grads(function, (smooth,), order=2, rtol=1e-5)
    for dtype in ("float32", "bfloat16", "float16"):
        assert function(jnp.asarray(X, dtype)).dtype == dtype
    assert np.isnan(np.asarray(function(jnp.asarray(np.array(np.nan)))))


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax", "log_softmax"])
def test_extreme_numbers_have_values_and_derivatives(name: str) -> None:
    function = getattr(nn, name)
    x = np.array([-1e10, -1e4, -1e3, 1e3, 1e4, 1e10], np.float32)
    values = np.asarray(function(jnp.asarray(x)))
    assert not np.isnan(values).any()
    slopes = np.asarray(nrx.grad(lambda x: function(x)[:3].sum())(jnp.asarray(x)))
    assert np.isfinite(slopes).all()


def test_gelu_with_the_error_function() -> None:
    assert_close(nn.gelu(jnp.asarray(X), approximate=False), 0.5 * X * erfc(-X / math.sqrt(2)))
    assert_close(nn.elu(jnp.asarray(X), 0.3), np.where(X > 0, X, 0.3 * np.expm1(np.minimum(X, 0))))
    assert_close(nn.leaky_relu(jnp.asarray(X), 0.2), np.where(X >= 0, X, 0.2 * X))


MASK = RNG.random((3, 4, 5)) < 0.7
MASK[0] = MASK[..., 0] = True


@pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
@pytest.mark.parametrize("where", [None, MASK], ids=["everywhere", "where"])
def test_softmax(axis: Any, where: Any) -> None:
    masked = X if where is None else np.where(where, X, -np.inf)
    assert_close(nn.softmax(jnp.asarray(X), axis, where), scipy.special.softmax(masked, axis))
    assert_close(nn.log_softmax(jnp.asarray(X), axis, where), scipy.special.log_softmax(masked, axis))
    assert_close(nn.logsumexp(jnp.asarray(X), axis, where=where), scipy.special.logsumexp(masked, axis))
    check_grads(lambda x: nn.softmax(x, axis, where), (X,), order=2)
    check_grads(lambda x: nn.logsumexp(x, axis, where=where), (X,), order=2)
    check_grads(lambda x: jnp.where(MASK, nn.log_softmax(x, axis, where), 0), (X,), order=1)


def test_softmax_of_infinities() -> None:
    x = np.array([[-np.inf, 0.0, 0.0], [np.inf, 0.0, 0.0], [-np.inf] * 3])
    with np.errstate(all="ignore"):
        assert_close(nn.softmax(jnp.asarray(x[:1])), scipy.special.softmax(x[:1], -1))
        assert np.isnan(np.asarray(nn.softmax(jnp.asarray(x[2:])))).all()
    nothing = nn.softmax(jnp.asarray(x), where=np.zeros((3, 1), bool))
    assert (np.asarray(nothing) == 0).all()
    assert_close(nn.logsumexp(jnp.asarray(x), -1), [math.log(2), np.inf, -np.inf])


def test_logsumexp_with_factors() -> None:
    b = RNG.normal(size=(4, 5))
    assert_close(nn.logsumexp(jnp.asarray(X), 0, abs(b)), scipy.special.logsumexp(X, 0, abs(b)))
    assert_close(nn.logsumexp(jnp.asarray(X), 0, b), scipy.special.logsumexp(X, 0, b))
    got = nn.logsumexp(jnp.asarray(X), (0, -1), b, keepdims=True, return_sign=True)
    for ours, theirs in zip(got, scipy.special.logsumexp(X, (0, -1), b, keepdims=True, return_sign=True), strict=True):
        assert_close(ours, theirs)
    huge = jnp.asarray(np.array([1e4, np.inf, 0.0]))
    assert_close(nn.logsumexp(huge, b=np.array([1.0, 0.0, 0.0])), np.float64(1e4))


def test_one_hot() -> None:
    classes = np.array([[0, 2, -1], [3, 1, 7]])
    expected = (classes[..., None] == np.arange(4)).astype(np.float32)
    assert_close(nn.one_hot(jnp.asarray(classes), 4), expected)
    assert nn.one_hot(jnp.asarray(classes), 4).dtype == "float32"
    for axis in range(-3, 3):
        assert_close(nn.one_hot(jnp.asarray(classes), 4, axis=axis), np.moveaxis(expected, -1, axis))
    assert nn.one_hot(3, 4, dtype=bool).dtype == bool
    assert nn.one_hot(jnp.asarray(classes), 0).shape == (2, 3, 0)
    assert nn.one_hot(jnp.asarray(np.array([255], np.uint8)), 300)[0, 255] == 1
    with pytest.raises(DTypeError, match="classes must be integers"):
        nn.one_hot(jnp.ones(2), 3)
    with pytest.raises(AxisError):
        nn.one_hot(jnp.arange(2), 3, axis=2)


def test_standardize() -> None:
    mean, variance = X.mean((0, 2), keepdims=True), X.var((0, 2), keepdims=True)
    assert_close(nn.standardize(jnp.asarray(X), (0, 2)), (X - mean) / np.sqrt(variance + 1e-5))
    assert_close(nn.standardize(jnp.asarray(X), mean=1.0, variance=4.0, epsilon=0), (X - 1) / 2)
    kept = np.ma.array(X, mask=~MASK)
    expected = (X - kept.mean(-1, keepdims=True).data) / np.sqrt(kept.var(-1, keepdims=True).data + 1e-3)
    assert_close(nn.standardize(jnp.asarray(X), epsilon=1e-3, where=MASK), expected)
    check_grads(nn.standardize, (X,), order=2)


# ---- losses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_cross_entropy(axis: int) -> None:
    labels = RNG.integers(0, X.shape[axis], np.delete(X.shape, axis))
    hot = np.moveaxis(np.eye(X.shape[axis])[labels], -1, axis)
    expected = -(hot * scipy.special.log_softmax(X, axis)).sum(axis)
    assert_close(nn.softmax_cross_entropy_with_integer_labels(jnp.asarray(X), jnp.asarray(labels), axis), expected)
    assert_close(nn.softmax_cross_entropy(jnp.asarray(X), hot, axis), expected)
    soft = scipy.special.softmax(RNG.normal(size=X.shape), axis)
    assert_close(
        nn.softmax_cross_entropy(jnp.asarray(X), soft, axis), -(soft * scipy.special.log_softmax(X, axis)).sum(axis)
    )
    check_grads(lambda x: nn.softmax_cross_entropy_with_integer_labels(x, jnp.asarray(labels), axis), (X,), order=2)
    check_grads(lambda x, p: nn.softmax_cross_entropy(x, p, axis), (X, soft), order=2)


def test_labels_that_do_not_fit() -> None:
    loss = nn.softmax_cross_entropy_with_integer_labels
    with pytest.raises(ShapeError, match=r"need labels of shape \(3, 4\), got \(3,\)"):
        loss(jnp.asarray(X), jnp.zeros(3, int))
    with pytest.raises(DTypeError, match="labels must be integers"):
        loss(jnp.asarray(X), jnp.zeros((3, 4)))
    with pytest.raises(IndexingError, match="out of bounds"):
        loss(jnp.zeros(3), 5)
    assert np.isnan(float(nrx.jit(loss)(jnp.zeros(3), 5)))


def test_sigmoid_cross_entropy() -> None:
    labels = RNG.random(X.shape)
    expected = -labels * np.log(expit(X)) - (1 - labels) * np.log(expit(-X))
    assert_close(nn.sigmoid_binary_cross_entropy(jnp.asarray(X), labels), expected)
    extreme = nn.sigmoid_binary_cross_entropy(jnp.asarray([-1000.0, 1000.0]), jnp.asarray([0.0, 0.0]))
    assert np.asarray(extreme).tolist() == [0, 1000]
    check_grads(nn.sigmoid_binary_cross_entropy, (X, labels), order=2)


def test_mean_squared_error() -> None:
    y = RNG.normal(size=X.shape)
    assert_close(nn.mean_squared_error(jnp.asarray(X), y), np.mean((X - y) ** 2))
    assert_close(nn.mean_squared_error(np.array([3 + 4j]), np.array([0j])), 25.0)
    check_grads(nn.mean_squared_error, (X, y), order=2)
    with pytest.raises(ShapeError, match=r"got \(3, 1\) and \(3,\)"):
        nn.mean_squared_error(jnp.ones((3, 1)), jnp.ones(3))


# ---- what layers compute --------------------------------------------------------------------------------------------


def loop_conv(
    x: np.ndarray, kernel: np.ndarray, stride: int, pads: list[tuple[int, int]], dilation: int, groups: int
) -> Any:
    """The definition: a sum over the window for each pixel of the result."""
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    window, inputs, outputs = kernel.shape[:-2], kernel.shape[-2], kernel.shape[-1]
    sizes = [(n - (k - 1) * dilation - 1) // stride + 1 for n, k in zip(x.shape[1:-1], window, strict=True)]
    result = np.zeros((len(x), *sizes, outputs))
    for position in np.ndindex(*sizes):
        for tap in np.ndindex(*window):
            pixel = x[(slice(None), *(p * stride + t * dilation for p, t in zip(position, tap, strict=True)))]
            for group in range(groups):
                into, out = slice(group * inputs, (group + 1) * inputs), np.arange(outputs) * groups // outputs == group
                result[(slice(None), *position)][:, out] += pixel[:, into] @ kernel[tap][:, out]
    return result


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "dilation", "groups", "pads"),
    [
        ((2, 6, 5, 3), (3, 3, 3, 4), 1, "SAME", 1, 1, [(1, 1), (1, 1)]),
        ((2, 6, 5, 3), (2, 3, 3, 4), 2, "VALID", 1, 1, [(0, 0), (0, 0)]),
        ((1, 7, 7, 4), (3, 3, 2, 6), 1, "VALID", 2, 2, [(0, 0), (0, 0)]),
        ((2, 6, 5, 3), (3, 2, 3, 1), 2, [(1, 0), (0, 2)], 1, 1, [(1, 0), (0, 2)]),
        ((2, 9, 2), (4, 2, 3), 1, "SAME", 1, 1, [(1, 2)]),
        ((1, 3, 4, 4, 2), (2, 2, 2, 2, 3), 1, "VALID", 1, 1, [(0, 0)] * 3),
    ],
)
def test_conv(shape: Any, kernel: Any, stride: int, padding: Any, dilation: int, groups: int, pads: Any) -> None:
    x, weights, bias = RNG.normal(size=shape), RNG.normal(size=kernel), RNG.normal(size=kernel[-1])
    options: dict[str, Any] = {"strides": stride, "padding": padding, "dilation": dilation, "groups": groups}
    expected = loop_conv(x, weights, stride, pads, dilation, groups)
    assert_close(nn.conv(x, weights, **options), expected, atol=1e-12)
    assert_close(nn.conv(x, weights, bias, **options), expected + bias, atol=1e-12)
    each = {**options, "strides": [stride] * len(pads), "dilation": [dilation] * len(pads)}
    assert_close(nn.conv(x, weights, **each), expected, atol=1e-12)
    check_grads(lambda *args: nn.conv(*args, **options), (x, weights, bias), order=1)


def windows(x: np.ndarray, window: tuple[int, ...], strides: tuple[int, ...], pads: Any, fill: float) -> np.ndarray:
    """(n, *windows, features, *window)."""
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    axes = tuple(range(1, x.ndim - 1))
    steps = (slice(None), *(slice(None, None, s) for s in strides))
    return np.lib.stride_tricks.sliding_window_view(x, window, axes)[steps]


@pytest.mark.parametrize(
    ("shape", "window", "strides", "padding", "pads"),
    [
        ((2, 6, 7, 3), (2, 2), None, "VALID", [(0, 0), (0, 0)]),
        ((2, 6, 7, 3), (3, 2), (2, 1), "SAME", [(0, 1), (0, 1)]),
        ((2, 6, 7, 3), (3, 3), (1, 2), [(1, 1), (2, 0)], [(1, 1), (2, 0)]),
        ((2, 9, 3), (4,), (3,), "VALID", [(0, 0)]),
        ((1, 4, 4, 4, 2), (2, 2, 2), None, "VALID", [(0, 0)] * 3),
    ],
)
def test_pooling(shape: Any, window: Any, strides: Any, padding: Any, pads: Any) -> None:
    x = RNG.permutation(np.prod(shape)).reshape(shape) / 10.0
    axes = tuple(range(len(shape), len(shape) + len(window)))
    steps = strides or window
    assert_close(
        nn.max_pool(jnp.asarray(x), window, strides=strides, padding=padding),
        windows(x, window, steps, pads, -np.inf).max(axes),
    )
    average = nn.avg_pool(jnp.asarray(x), window, strides=strides, padding=padding)
    assert_close(average, np.nanmean(windows(x, window, steps, pads, np.nan), axes))
    for pool in (nn.max_pool, nn.avg_pool):
        check_grads(lambda x, pool=pool: pool(x, window, strides=strides, padding=padding), (x,), order=1)


def test_pooling_of_other_dtypes() -> None:
    x = jnp.asarray(np.arange(-8, 8).reshape(1, 4, 4, 1))
    for dtype in ("int8", "uint8", "bfloat16", "float16"):
        pooled = nn.max_pool(x.astype(dtype), 2, padding=[(1, 1), (1, 1)])
        assert pooled.dtype == dtype
    assert nn.max_pool(x.astype("int8"), 2).ravel().tolist() == [-3, -1, 5, 7]


def test_dense_and_flatten() -> None:
    kernel, bias = RNG.normal(size=(5, 2)), RNG.normal(size=2)
    assert_close(nn.dense(jnp.asarray(X), kernel), X @ kernel)
    assert_close(nn.dense(jnp.asarray(X), kernel, bias), X @ kernel + bias)
    assert_close(nn.flatten(jnp.asarray(X)), X.reshape(3, -1))
    assert nn.flatten(jnp.zeros(3)).shape == (3, 1)
    assert nn.flatten(jnp.zeros((0, 2, 3))).shape == (0, 6)


def test_dropout() -> None:
    x = jnp.asarray(RNG.normal(size=(200, 300)))
    result = np.asarray(nn.dropout(KEY, 0.25, x))
    kept = result != 0
    assert abs(kept.mean() - 0.75) < 0.01
    np.testing.assert_allclose(result[kept], np.asarray(x)[kept] / 0.75)
    assert_close(nn.dropout(KEY, 0.25, x), result)
    assert (np.asarray(nn.dropout(nrx.random.PRNGKey(1), 0.25, x)) != result).any()
    for same in (nn.dropout(KEY, 0.0, x), nn.dropout(KEY, 0.5, x, deterministic=True)):
        assert_close(same, x)
    assert (np.asarray(nn.dropout(KEY, 1.0, x)) == 0).all()
    assert nn.dropout(KEY, 0.5, jnp.ones(3, "bfloat16")).dtype == "bfloat16"
    slope = nrx.grad(lambda x: nn.dropout(KEY, 0.25, x).sum())(x)
    assert_close(slope, np.where(kept, 1 / 0.75, 0))
    with pytest.raises(ArgumentError, match="from 0 to 1"):
        nn.dropout(KEY, 1.5, x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.conv(jnp.ones((8, 8, 3)), jnp.ones((3, 3, 3, 4))), ShapeError, r"add a batch axis"),
        (lambda: nn.conv(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 4, 4))), ShapeError, "features"),
        (lambda: nn.conv(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 4)), strides=(1, 1, 1)), ArgumentError, "strides"),
        (lambda: nn.max_pool(jnp.ones((3, 4)), 2), ShapeError, r"\(n, \*spatial, features\)"),
        (lambda: nn.avg_pool(jnp.ones((1, 4, 4, 1)), (2,)), ArgumentError, "window has 1 numbers"),
        (lambda: nn.dense(jnp.ones((2, 3)), jnp.ones((4, 5))), ShapeError, r"\(2, 3\)"),
    ],
)
def test_shapes_that_do_not_fit(call: Callable, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- layers ---------------------------------------------------------------------------------------------------------


def small_cnn() -> nn.Layer:
    return nn.sequential(
        nn.Conv(4, 3), nn.Relu, nn.MaxPool(2), nn.Conv(6, (2, 3), strides=2, use_bias=False), nn.Gelu, nn.AvgPool(2),
        nn.Flatten, nn.Dropout(0.5), nn.sequential(nn.Dense(5), nn.Tanh, nn.Dense(3, bias_init=initializers.ones)),
        nn.LogSoftmax,
    )  # fmt: skip


def test_shapes_and_structure_of_a_model() -> None:
    params = small_cnn().init(KEY, (1, 8, 8, 2))
    assert nrx.tree.map(lambda p: p.shape, params) == (
        {"kernel": (3, 3, 2, 4), "bias": (4,)}, (), (), {"kernel": (2, 3, 4, 6)}, (), (), (), (),
        ({"kernel": (6, 5), "bias": (5,)}, (), {"kernel": (5, 3), "bias": (3,)}), (),
    )  # fmt: skip
    assert all(p.dtype == "float32" for p in nrx.tree.leaves(params))
    assert np.asarray(params[-2][2]["bias"]).tolist() == [1, 1, 1]
    assert small_cnn().apply(params, jnp.ones((7, 8, 8, 2))).shape == (7, 3)


def test_a_model_is_its_functions_one_after_the_other() -> None:
    x = jnp.asarray(RNG.normal(size=(5, 8, 8, 2)))
    params = small_cnn().init(KEY, x)
    assert all(p.dtype == "float64" for p in nrx.tree.leaves(params))
    first, _, _, second, *_, (third, _, fourth), _ = params
    h = nn.max_pool(nn.relu(nn.conv(x, first["kernel"], first["bias"])), 2)
    h = nn.flatten(nn.avg_pool(nn.gelu(nn.conv(h, second["kernel"], strides=2)), 2))
    h = jnp.tanh(h @ third["kernel"] + third["bias"]) @ fourth["kernel"] + fourth["bias"]
    assert_close(small_cnn().apply(params, x), np.asarray(nn.log_softmax(h)))


def test_initial_parameters_depend_on_the_key_alone() -> None:
    init = small_cnn().init
    first, same, other = init(KEY, (1, 8, 8, 2)), init(KEY, (9, 8, 8, 2)), init(nrx.random.PRNGKey(1), (1, 8, 8, 2))
    struct = init(KEY, nrx.ShapeDtypeStruct((1, 8, 8, 2), "float32"))
    for a, b, c in zip(*map(nrx.tree.leaves, (first, same, struct)), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes() == np.asarray(c).tobytes()
    assert (np.asarray(first[0]["kernel"]) != np.asarray(other[0]["kernel"])).all()
    kernels = [np.asarray(leaf).ravel()[:3].tolist() for leaf in nrx.tree.leaves(first) if leaf.ndim > 1]
    assert all(a != b for a, b in itertools.combinations(kernels, 2))


def test_training_needs_a_key_where_numbers_are_drawn() -> None:
    model, x = small_cnn(), jnp.ones((5, 8, 8, 2))
    params = model.init(KEY, x)
    with pytest.raises(ArgumentError, match=r"(?s)Dropout needs a key.*key=key"):
        model.apply(params, x, train=True)
    once, again = (model.apply(params, x, key=KEY, train=True) for _ in range(2))
    assert_close(once, np.asarray(again))
    assert (np.asarray(model.apply(params, x, key=nrx.random.PRNGKey(1), train=True)) != np.asarray(once)).any()
    quiet = nn.sequential(nn.Dense(2), nn.Relu)
    assert quiet.apply(quiet.init(KEY, (1, 3)), jnp.ones((2, 3)), train=True).shape == (2, 2)


def test_models_transform() -> None:
    model, x = small_cnn(), jnp.asarray(RNG.normal(size=(2, 8, 8, 2)))
    params = model.init(KEY, x)
    check_grads(lambda params: model.apply(params, x, key=KEY, train=True), (params,), order=1)
    expected = np.asarray(model.apply(params, x))
    assert_close(nrx.jit(model.apply)(params, x), expected)
    assert_close(nrx.vmap(lambda x: model.apply(params, x[None])[0])(x), expected)
    keys = nrx.random.split(KEY, 3)
    stacked = nrx.vmap(lambda key: model.init(key, x))(keys)
    assert nrx.vmap(model.apply, (0, None))(stacked, x).shape == (3, 2, 3)


@pytest.mark.parametrize(
    "name", ["Relu", "Gelu", "Silu", "Elu", "Tanh", "Sigmoid", "Softplus", "Softmax", "LogSoftmax"]
)
def test_activations_as_layers(name: str) -> None:
    function = {"LogSoftmax": nn.log_softmax}.get(name) or getattr(nn, name.lower())
    assert getattr(nn, name).init(KEY, (1, 5)) == ()
    assert_close(getattr(nn, name).apply((), jnp.asarray(X)), np.asarray(function(jnp.asarray(X))))


# ---- initial values -------------------------------------------------------------------------------------------------

SCALED = ["glorot_uniform", "glorot_normal", "lecun_uniform", "lecun_normal", "he_uniform", "he_normal"]


def test_constant_initializers() -> None:
    assert initializers.zeros(KEY, (2, 3)).tolist() == [[0] * 3] * 2
    assert initializers.ones(KEY, 3, "int8").tolist() == [1, 1, 1]
    assert initializers.constant([1.0, 2.0])(KEY, (2, 2)).tolist() == [[1, 2], [1, 2]]
    assert initializers.constant(2, "float64")(KEY, ()).dtype == "float64"


@pytest.mark.parametrize("distribution", ["truncated_normal", "normal", "uniform"])
@pytest.mark.parametrize(
    ("mode", "axes", "shape", "fan"),
    [
        ("fan_in", {}, (300, 200), 300),
        ("fan_out", {}, (300, 200), 200),
        ("fan_avg", {}, (300, 200), 250),
        ("fan_geo_avg", {}, (400, 100), 200),
        ("fan_in", {}, (3, 5, 40, 100), 600),
        ("fan_out", {}, (3, 5, 40, 100), 1500),
        ("fan_in", {"batch_axis": 0}, (3, 50, 400), 50),
        ("fan_in", {"in_axis": (0, 1), "out_axis": (2, 3)}, (10, 20, 30, 10), 200),
    ],
)
def test_variances(distribution: str, mode: str, axes: Any, shape: Any, fan: int) -> None:
    x = np.asarray(initializers.variance_scaling(2.0, mode, distribution, **axes)(KEY, shape, "float64"))
    assert abs(x.mean()) < 4 * math.sqrt(2 / fan / x.size)
    assert x.var() == pytest.approx(2 / fan, rel=0.03)
    limit = {"uniform": math.sqrt(3), "truncated_normal": 2 / 0.8796256610342398, "normal": np.inf}[distribution]
    assert abs(x).max() <= limit * math.sqrt(2 / fan) * (1 + 1e-12)


def test_initializers_that_do_not_fit() -> None:
    with pytest.raises(ArgumentError, match="mode must be"):
        initializers.variance_scaling(1.0, "fan", "normal")
    with pytest.raises(ArgumentError, match="distribution must be"):
        initializers.variance_scaling(1.0, "fan_in", "cauchy")
    with pytest.raises(ShapeError, match="no input and output axis"):
        initializers.he_normal()(KEY, (3,))
    with pytest.raises(AxisError):
        initializers.he_normal(in_axis=5)(KEY, (3, 3))


# ---- JAX ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "make",
    [
        lambda i: i.zeros, lambda i: i.ones, lambda i: i.constant(0.3), lambda i: i.normal(), lambda i: i.normal(0.5),
        lambda i: i.uniform(), lambda i: i.uniform(3.0), lambda i: i.truncated_normal(0.7),
        lambda i: i.truncated_normal(0.7, lower=-1.0, upper=3.0),
        lambda i: i.variance_scaling(0.5, "fan_geo_avg", "uniform", 0, 2),
        *(lambda i, name=name: getattr(i, name)() for name in SCALED),
        *(lambda i, name=name: getattr(i, name)(in_axis=0, out_axis=2, batch_axis=1) for name in SCALED),
    ],
)  # fmt: skip
def test_initial_values_are_jaxs(make: Callable, dtype: str) -> None:
    jax = pytest.importorskip("jax")
    ours = make(initializers)(nrx.random.PRNGKey(3), (5, 6, 7), dtype)
    theirs = make(jax.nn.initializers)(jax.random.PRNGKey(3), (5, 6, 7), dtype)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(np.asarray(ours, np.float64), np.asarray(theirs, np.float64), rtol=3e-7, atol=0)


CORNERS = np.array([-np.inf, -30.0, -6.0, -1.0, -0.0, 0.0, 1e-3, 1.0, 6.0, 30.0, np.inf], np.float32)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax", "log_softmax", "standardize"])
def test_values_and_derivatives_are_jaxs(name: str) -> None:
    jax = pytest.importorskip("jax")
    ours, theirs = getattr(nn, name), getattr(jax.nn, name)
    x = CORNERS if name in ELEMENTWISE else X[0].astype(np.float32)
    np.testing.assert_allclose(np.asarray(ours(jnp.asarray(x))), theirs(x), rtol=1e-5, atol=1e-6)
    weights = np.arange(1, x.size + 1, dtype=np.float32).reshape(x.shape)
    slope = nrx.grad(lambda x: (ours(x) * weights).sum())(jnp.asarray(x))
    expected = jax.grad(lambda x: (theirs(x) * weights).sum())(x)
    np.testing.assert_allclose(np.asarray(slope), expected, rtol=1e-5, atol=1e-5)


def test_integers_become_what_jax_makes_of_them() -> None:
    jax = pytest.importorskip("jax")
    x = np.array([-2, 0, 3], np.int32)
    for name in ("relu", "relu6", "tanh", "softplus", "gelu"):
        ours, theirs = getattr(nn, name)(jnp.asarray(x)), getattr(jax.nn, name)(x)
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-5, atol=1e-7)


def test_sequential_takes_layers_and_their_parameters() -> None:
    for wrong, name in ((nn.Dense, "Dense"), (nrx.numpy.tanh, "tanh"), (3, "int")):
        with pytest.raises(ArgumentTypeError, match=f"layer 1 is {name}, a "):
            nn.sequential(nn.Dense(3), wrong)
    model = nn.sequential(nn.Dense(3), nn.Relu)
    key, x = nrx.random.key(0), nrx.numpy.ones((2, 8))
    for wrong in (nn.Dense(3).init(key, (1, 8)), model.init(key, (1, 8))[:1], 3):
        with pytest.raises(TreeError, match="2 layers"):
            model.apply(wrong, x)


def test_convolution_errors_say_what_the_kernel_should_be() -> None:
    with pytest.raises(ShapeError, match=r"here rhs should take 1\b"):
        nrx.lax.conv_general_dilated(
            nrx.numpy.ones((1, 8, 5, 5)), nrx.numpy.ones((8, 8, 3, 3)), (1, 1), "SAME", feature_group_count=8
        )
    with pytest.raises(ShapeError) as caught:
        nrx.lax.conv_transpose(nrx.numpy.ones((1, 8, 8, 4)), nrx.numpy.ones((3, 3, 3, 5)), (2, 2), "SAME")
    assert "dimension_numbers" not in str(caught.value)
