"""`example_libraries`: optimizers and layers give what JAX's give, and learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.errors import ArgumentError, TreeError
from nrx.example_libraries import optimizers, stax

OPTIMIZERS: dict[str, Callable] = {
    "sgd": lambda o: o.sgd(0.1),
    "momentum": lambda o: o.momentum(o.exponential_decay(0.1, 2, 0.5), 0.9),
    "nesterov": lambda o: o.nesterov(o.inverse_time_decay(0.1, 2, 0.5, staircase=True), 0.9),
    "adagrad": lambda o: o.adagrad(0.1),
    "rmsprop": lambda o: o.rmsprop(o.polynomial_decay(0.1, 3, 0.01, 2.0)),
    "rmsprop_momentum": lambda o: o.rmsprop_momentum(0.1),
    "adam": lambda o: o.adam(o.piecewise_constant([1, 2], [0.3, 0.2, 0.1])),
    "adamax": lambda o: o.adamax(0.1),
    "sm3": lambda o: o.sm3(0.1),
}
START = {"w": np.array([[1.0, -2.0, 0.5], [0.3, 0.0, 2.0]], np.float32), "b": np.float32(0.7)}


def run(J: Any, library: Any, name: str, jitted: bool) -> Any:
    init, update, params = OPTIMIZERS[name](library)
    loss = lambda p: J.numpy.sum(J.numpy.cosh(p["w"]) * p["b"]) + p["b"] ** 2
    step = lambda i, state: update(i, J.grad(loss)(params(state)), state)
    step = J.jit(step) if jitted else step
    state = init(J.tree.map(J.numpy.asarray, START))
    for i in range(4):
        state = step(i, state)
    return J.tree.leaves(params(state))


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str, jitted: bool) -> None:
    jax = pytest.importorskip("jax")
    from jax.example_libraries import optimizers as theirs

    for ours, expected in zip(run(nrx, optimizers, name, jitted), run(jax, theirs, name, False), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4)  # 1 - 0.999 in Adam has four digits in float32


def test_states_are_trees() -> None:
    init, update, params = optimizers.adam(0.1)
    state = init(START)
    moved = nrx.tree.map(lambda x: x + 1, state)
    np.testing.assert_array_equal(params(moved)["w"], START["w"] + 1)
    packed = optimizers.pack_optimizer_state(optimizers.unpack_optimizer_state(state))
    assert nrx.tree.structure(packed) == nrx.tree.structure(state)
    with pytest.raises(TreeError, match="structure"):
        update(0, [1.0], state)
    with pytest.raises(ArgumentError, match="step size"):
        optimizers.sgd([0.1, 0.2])


def network(s: Any) -> Any:
    return s.serial(
        s.Conv(4, (3, 3), padding="SAME"), s.BatchNorm(), s.Relu, s.MaxPool((2, 2), strides=(2, 2)),
        s.FanOut(2), s.parallel(s.Conv(3, (1, 1)), s.serial(s.Tanh, s.Conv(3, (1, 1)))), s.FanInConcat(),
        s.AvgPool((2, 2)), s.ConvTranspose(2, (3, 3), strides=(2, 2)), s.SumPool((2, 2)), s.Gelu, s.Flatten,
        s.FanOut(2), s.parallel(s.Dense(5), s.shape_dependent(lambda shape: s.Dense(5))), s.FanInSum, s.Softplus,
        s.Dropout(0.5), s.Identity, s.Elu, s.LogSoftmax,
    )  # fmt: skip


@pytest.mark.slow
def test_layers() -> None:
    jax = pytest.importorskip("jax")
    from jax.example_libraries import stax as theirs

    x = np.random.default_rng(0).standard_normal((3, 8, 8, 2)).astype(np.float32)
    results = []
    for J, s in ((nrx, stax), (jax, theirs)):
        init, apply = network(s)
        shape, params = init(J.random.PRNGKey(0), (3, 8, 8, 2))
        out = apply(params, J.numpy.asarray(x), rng=J.random.PRNGKey(1))
        results.append((shape, [np.asarray(p) for p in J.tree.leaves(params)], np.asarray(out)))
    (shape, params, out), (shape_expected, params_expected, out_expected) = results
    assert shape == shape_expected == (3, 5)
    assert network(stax)[0](nrx.random.key(0), (-1, 8, 8, 2))[0] == (-1, 5)
    for ours, expected in zip(params, params_expected, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(out, out_expected, rtol=1e-3, atol=1e-4)


def test_learning() -> None:
    x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = jnp.array([0, 1, 1, 0])
    init, apply = stax.serial(stax.Dense(16), stax.Tanh, stax.Dense(2), stax.LogSoftmax)
    _, params = init(nrx.random.key(0), (-1, 2))
    opt_init, update, get = optimizers.adam(0.05)
    loss = lambda p: -jnp.mean(apply(p, x)[jnp.arange(4), y])
    step = nrx.jit(lambda i, state: update(i, nrx.grad(loss)(get(state)), state))
    state = opt_init(params)
    for i in range(200):
        state = step(i, state)
    assert float(loss(get(state))) < 0.05


def test_dropout_needs_a_key() -> None:
    _, apply = stax.Dropout(0.5)
    with pytest.raises(ArgumentError, match="key"):
        apply((), jnp.ones(3))
    np.testing.assert_array_equal(stax.Dropout(0.5, mode="test")[1]((), jnp.ones(3)), np.ones(3))


ACTIVATIONS = ["elu", "gelu", "leaky_relu", "log_softmax", "relu", "selu", "sigmoid", "softmax", "softplus"]


@pytest.mark.parametrize("name", [*ACTIVATIONS, "standardize"])
def test_activations_are_here_too(name: str) -> None:
    assert getattr(stax, name) is getattr(nrx.nn, name)
    assert stax.logsoftmax is nrx.nn.log_softmax
