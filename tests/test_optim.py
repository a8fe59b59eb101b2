"""Optimizers against the formulas of the papers in float64 NumPy, and against optax where it is installed."""

import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nrx
from nrx import optim
from nrx.core.errors import ArgumentError, TreeError

jnp = nrx.numpy
STEPS = 7


def problem(dtype: Any = np.float64) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """Parameters, and a gradient for each step."""
    rng = np.random.default_rng(0)
    shapes = {"w": (3, 2), "b": (2,), "s": ()}

    def draw() -> dict[str, np.ndarray]:
        return {name: np.asarray(rng.normal(size=shape)).astype(dtype) for name, shape in shapes.items()}

    return draw(), [draw() for _ in range(STEPS)]


def run(optimizer: Any, params: Any, gradients: list[Any]) -> Iterator[Any]:
    """The parameters after each step."""
    params = nrx.tree.map(jnp.asarray, params)
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update(nrx.tree.map(jnp.asarray, gradient), state, params)
        params = optim.apply_updates(params, updates)
        yield params


def assert_follows(optimizer: Any, step: Callable[..., np.ndarray], rtol: float = 1e-12) -> None:
    """`step(t, x, g, memory) -> x` is the reference for one array, t = 1, 2, …; `memory` is a dict of its own."""
    params, gradients = problem()
    memory: dict[str, dict[str, Any]] = {name: {} for name in params}
    expected = dict(params)
    for t, (got, gradient) in enumerate(zip(run(optimizer, params, gradients), gradients, strict=True), 1):
        for name in params:
            expected[name] = step(t, expected[name], gradient[name], memory[name])
            assert got[name].dtype == np.float64
            np.testing.assert_allclose(np.asarray(got[name]), expected[name], rtol=rtol)


def momentum(lr: float, decay: float, nesterov: bool) -> Callable[..., np.ndarray]:
    def step(t: int, x: np.ndarray, g: np.ndarray, memory: dict[str, Any]) -> np.ndarray:
        velocity = memory["v"] = g + decay * memory.get("v", 0.0)
        return x - lr * (g + decay * velocity if nesterov else velocity)

    return step


def adam(
    lr: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, eps_root: float = 0.0, decay: float = 0.0
) -> Any:
    def step(t: int, x: np.ndarray, g: np.ndarray, memory: dict[str, Any]) -> np.ndarray:
        m = memory["m"] = b1 * memory.get("m", 0.0) + (1 - b1) * g
        v = memory["v"] = b2 * memory.get("v", 0.0) + (1 - b2) * g**2
        direction = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)
        rate = lr(t - 1) if callable(lr) else lr
        return x - rate * (direction + decay * x)

    return step


# ---- the formulas ---------------------------------------------------------------------------------------------------


def test_sgd() -> None:
    assert_follows(optim.sgd(0.1), lambda t, x, g, memory: x - 0.1 * g)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(nesterov: bool) -> None:
    assert_follows(optim.sgd(0.1, 0.8, nesterov), momentum(0.1, 0.8, nesterov))


@pytest.mark.parametrize("options", [{}, {"b1": 0.5, "b2": 0.9, "eps": 0.1, "eps_root": 0.2}])
def test_adam(options: dict[str, float]) -> None:
    assert_follows(optim.adam(0.1, **options), adam(0.1, **options))


def test_adamw() -> None:
    assert_follows(optim.adamw(0.1, weight_decay=0.3), adam(0.1, decay=0.3))


def test_adamw_with_mask() -> None:
    params, gradients = problem()
    mask = {"w": True, "b": False, "s": False}
    for given in (mask, lambda params: {name: name == "w" for name in params}):
        *_, last = run(optim.adamw(0.1, weight_decay=0.3, mask=given), params, gradients)
        for name, decays in mask.items():
            step, x, memory = adam(0.1, decay=0.3 * decays), params[name], {}
            for t, gradient in enumerate(gradients, 1):
                x = step(t, x, gradient[name], memory)
            np.testing.assert_allclose(np.asarray(last[name]), x, rtol=1e-12)


def test_masks_may_be_prefixes() -> None:
    decay = optim.add_decayed_weights(1.0, {"a": True, "b": False})
    ones = {"a": {"x": jnp.ones(1), "y": [jnp.ones(1)]}, "b": (jnp.ones(1),)}
    result = decay.update(ones, decay.init(ones), ones)[0]
    assert [float(leaf[0]) for leaf in nrx.tree.leaves(result)] == [2, 2, 1]


def test_weight_decay_needs_parameters() -> None:
    optimizer = optim.adamw(0.1)
    with pytest.raises(ArgumentError, match="update needs the parameters"):
        optimizer.update(jnp.ones(1), optimizer.init(jnp.ones(1)))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_schedules_drive_the_learning_rate(name: str) -> None:
    lr = optim.linear_schedule(0.4, 0.0, 4)
    rates = [0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0]
    step = adam(lambda t: rates[t]) if name == "adam" else lambda t, x, g, memory: x - rates[t - 1] * g
    assert_follows(getattr(optim, name)(lr), step, 1e-6)  # schedules compute in the default float


def test_learning_rate_may_be_an_array() -> None:
    params, gradients = problem()

    def after(rate: Any) -> Any:
        *_, last = run(optim.adam(rate), params, gradients)
        return last["w"].sum()

    slope = nrx.grad(after)(jnp.asarray(np.float64(0.1)))
    difference = (after(0.1 + 1e-3) - after(0.1 - 1e-3)) / 2e-3
    np.testing.assert_allclose(float(slope), float(difference), rtol=1e-6)


def test_clipping() -> None:
    tree = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    assert float(optim.global_norm(tree)) == 5
    for bound in (10.0, 5.0, 1.0):
        clip = optim.clip_by_global_norm(bound)
        result = clip.update(nrx.tree.map(jnp.asarray, tree), clip.init(tree))[0]
        for name, value in tree.items():
            np.testing.assert_allclose(np.asarray(result[name]), value * min(1, bound / 5))
    zero = clip.update(jnp.zeros(3), clip.init(None))[0]
    assert np.asarray(zero).tolist() == [0, 0, 0]


def test_norm_of_complex_numbers_and_of_nothing() -> None:
    assert float(optim.global_norm([np.array([3 + 4j]), np.array(12.0)])) == 13
    assert float(optim.global_norm({})) == 0


def test_adam_with_complex_parameters() -> None:
    optimizer = optim.adam(0.1)
    x = jnp.asarray(np.array([1 + 1j, -2j]))
    updates, _ = optimizer.update(jnp.asarray(np.array([3 + 4j, 1 + 0j])), optimizer.init(x))
    np.testing.assert_allclose(np.asarray(updates), [-0.06 - 0.08j, -0.1], rtol=1e-6)  # -0.1 g / |g|


# ---- schedules ------------------------------------------------------------------------------------------------------


def cosine(t: float, start: float, steps: int, alpha: float = 0.0, exponent: float = 1.0) -> float:
    share = (0.5 * (1 + math.cos(math.pi * min(t, steps) / steps))) ** exponent
    return start * ((1 - alpha) * share + alpha)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (optim.constant_schedule(0.3), lambda t: 0.3),
        (optim.linear_schedule(1.0, 0.2, 8, 3), lambda t: 1 - 0.8 * min(max(t - 3, 0), 8) / 8),
        (optim.cosine_decay_schedule(2.0, 9), lambda t: cosine(t, 2.0, 9)),
        (optim.cosine_decay_schedule(2.0, 9, 0.1, 2.0), lambda t: cosine(t, 2.0, 9, 0.1, 2.0)),
        (
            optim.warmup_cosine_decay_schedule(0.1, 1.0, 4, 12, 0.05),
            lambda t: 0.1 + 0.9 * t / 4 if t < 4 else cosine(t - 4, 1.0, 8, 0.05),
        ),
        (
            optim.join_schedules([optim.linear_schedule(0.0, 1.0, 5), optim.constant_schedule(7.0)] * 2, [3, 5, 9]),
            lambda t: t / 5 if t < 3 else 7 if t < 5 else (t - 5) / 5 if t < 9 else 7,
        ),
    ],
)
def test_schedules(schedule: Any, expected: Callable[[int], float]) -> None:
    for t in range(15):
        for step in (t, jnp.asarray(t), np.int32(t)):
            assert float(schedule(step)) == pytest.approx(expected(t), rel=1e-6, abs=1e-7)
        assert float(nrx.jit(schedule)(t)) == pytest.approx(expected(t), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.linear_schedule(1, 0, 0),
        lambda: optim.linear_schedule(1, 0, 1, -1),
        lambda: optim.cosine_decay_schedule(1, 0),
        lambda: optim.warmup_cosine_decay_schedule(0, 1, 0, 5),
        lambda: optim.warmup_cosine_decay_schedule(0, 1, 5, 5),
        lambda: optim.join_schedules([abs], [1]),
    ],
)
def test_schedules_that_make_no_sense(make: Callable) -> None:
    with pytest.raises(ArgumentError):
        make()


# ---- state ----------------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": lambda: optim.sgd(0.1),
    "momentum": lambda: optim.sgd(0.1, 0.9),
    "adam": lambda: optim.adam(0.1),
    "adamw": lambda: optim.adamw(optim.cosine_decay_schedule(0.1, 5)),
    "clipped": lambda: optim.chain(
        optim.clip_by_global_norm(1.0), optim.trace(0.5), optim.scale(-0.1), optim.identity()
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64", "complex64"])
def test_dtypes_stay(name: str, dtype: str) -> None:
    optimizer = OPTIMIZERS[name]()
    params = {"w": jnp.ones((2, 3), dtype)}
    state = optimizer.init(params)
    updates, new_state = optimizer.update(params, state, params)
    avals = lambda tree: nrx.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)
    assert avals(new_state) == avals(state)
    assert avals(optim.apply_updates(params, updates)) == avals(params)
    moments = [leaf for leaf in nrx.tree.leaves(state) if leaf.shape]
    assert all(leaf.dtype == params["w"].dtype for leaf in moments)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_update_under_jit_and_vmap(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    params, gradients = problem()
    *_, expected = run(optimizer, params, gradients)

    def step(carry: Any, gradient: Any) -> Any:
        params, state = carry
        updates, state = optimizer.update(gradient, state, params)
        return (optim.apply_updates(params, updates), state), 0

    @nrx.jit
    def train(params: Any, gradients: Any) -> Any:
        return nrx.lax.scan(step, (params, optimizer.init(params)), gradients)[0][0]

    stacked = nrx.tree.map(lambda *rows: np.stack(rows), *gradients)
    for name, value in train(params, stacked).items():
        np.testing.assert_allclose(np.asarray(value), np.asarray(expected[name]), rtol=1e-6)
    both = nrx.vmap(train)(*nrx.tree.map(lambda x: np.stack([x, x]), (params, stacked)))
    for name, value in both.items():
        np.testing.assert_allclose(np.asarray(value), np.stack([np.asarray(expected[name])] * 2), rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_survives_a_pickle(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    params, gradients = problem()
    params = nrx.tree.map(jnp.asarray, params)
    state = optimizer.update(nrx.tree.map(jnp.asarray, gradients[0]), optimizer.init(params), params)[1]
    again = pickle.loads(pickle.dumps(state))
    assert nrx.tree.structure(again) == nrx.tree.structure(state)
    assert repr(again) == repr(state)


def test_count_stops_at_the_largest_integer() -> None:
    largest = jnp.asarray(np.int32(2**31 - 1))
    schedule = optim.scale_by_schedule(optim.constant_schedule(1.0))
    state = schedule.update(jnp.ones(1), optim.ScaleByScheduleState(largest))[1]
    assert int(state.count) == 2**31 - 1


def test_apply_updates() -> None:
    result = optim.apply_updates({"a": jnp.ones(2, jnp.bfloat16), "b": None}, {"a": jnp.ones(2), "b": None})
    assert result["a"].dtype == jnp.bfloat16
    assert result["b"] is None
    with pytest.raises(TreeError):
        optim.apply_updates({"a": 1.0}, {"b": 1.0})


# ---- optax ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.sgd(0.1),
        lambda m: m.sgd(0.1, 0.9),
        lambda m: m.sgd(0.1, 0.9, True),
        lambda m: m.adam(0.1),
        lambda m: m.adam(0.1, 0.8, 0.95, 1e-3, 1e-4),
        lambda m: m.adamw(0.1),
        lambda m: m.adamw(m.warmup_cosine_decay_schedule(0.0, 0.3, 2, 6, 0.1), weight_decay=0.1),
        lambda m: m.chain(m.clip_by_global_norm(0.5), m.scale_by_adam(), m.scale_by_learning_rate(0.1)),
        lambda m: m.chain(m.add_decayed_weights(0.1), m.trace(0.9, nesterov=True), m.scale(-0.3)),
        lambda m: m.scale_by_schedule(
            m.join_schedules([m.linear_schedule(0.1, 1.0, 3, 1), m.constant_schedule(2.0)], [4])
        ),
        lambda m: m.sgd(m.cosine_decay_schedule(0.1, 5, 0.1, 2.0)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_optax(make: Callable, dtype: str) -> None:
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    params, gradients = problem(jnp.dtype(dtype))
    theirs = make(optax)
    expected = jax.tree.map(jax.numpy.asarray, params)
    state = theirs.init(expected)
    for got, gradient in zip(run(make(optim), params, gradients), gradients, strict=True):
        updates, state = theirs.update(jax.tree.map(jax.numpy.asarray, gradient), state, expected)
        expected = optax.apply_updates(expected, updates)
        for name in params:
            assert got[name].dtype == expected[name].dtype
            tolerance = 1e-5 if dtype == "float32" else 3e-2
            np.testing.assert_allclose(
                np.asarray(got[name], np.float64),
                np.asarray(expected[name], np.float64),
                rtol=tolerance,
                atol=tolerance,
            )
