"""Operands so large that eager calls take another way than NumPy's: compiled loops, packed sorts."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.special

import nrx
import nrx.numpy as jnp
from nrx.backends import numpy as backend
from nrx.core.errors import ArgumentTypeError, DTypeError
from nrx.core.primitive import Primitive, registry
from nrx.ops.threefry import threefry2x32_p

RNG = np.random.default_rng(3)
COUNT = (1 << 16) + 777


@pytest.fixture(autouse=True)
def loops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not just when shapes come the second time."""
    monkeypatch.setattr(backend, "_MUCH_LARGER", 1)


def with_ties(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    x = RNG.integers(-50, 50, shape)
    x = x.astype(dtype) if np.dtype(dtype).kind != "u" else (x + 50).astype(dtype)
    if x.dtype.kind == "f":
        x[..., ::7], x[..., ::11], x[..., 5::13], x[..., 6::17] = np.nan, -np.inf, -0.0, np.inf
        x[..., 21] = -np.float64(np.nan)
    else:
        x[..., 3], x[..., 4] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint32", "uint64", "int16", "float16"])
def test_argsort_is_stable(dtype: str) -> None:
    x = with_ties(dtype, (3, 1000))
    expected = np.argsort(x, -1, kind="stable")
    np.testing.assert_array_equal(jnp.argsort(x), expected)
    np.testing.assert_array_equal(jnp.argsort(x.T, axis=0), expected.T)
    np.testing.assert_array_equal(nrx.jit(lambda x: jnp.argsort(x.reshape(-1)))(np.tile(x, 6)), stable(np.tile(x, 6)))
    distinct = RNG.permutation(1000).astype(dtype)
    np.testing.assert_array_equal(jnp.argsort(distinct), np.argsort(distinct, kind="stable"))


def stable(x: np.ndarray) -> np.ndarray:
    return np.argsort(x.reshape(-1), kind="stable")


def test_sort_with_payload_and_two_keys() -> None:
    keys, more, payload = with_ties("int32", (2000,)), with_ties("float32", (2000,)), np.arange(2000)
    got = nrx.lax.sort((keys, more, payload), num_keys=2)
    np.testing.assert_array_equal(got[2], np.lexsort((more, keys)))


@pytest.mark.parametrize(
    ("function", "oracle", "tolerance"),
    [
        (nrx.lax.lgamma, scipy.special.gammaln, 1e-12),
        (nrx.lax.erf_inv, scipy.special.erfinv, 1e-12),
        (lambda x: nrx.lax.igamma(x + 1, 2 * x), lambda x: scipy.special.gammainc(x + 1, 2 * x), 1e-10),
    ],
)
@pytest.mark.parametrize("shape", [(COUNT,), (3, 1 << 15)], ids=str)
def test_special_functions(shape: tuple[int, ...], function: Callable, oracle: Callable, tolerance: float) -> None:
    x = RNG.uniform(0, 0.9, shape)
    got = function(x.T if len(shape) == 2 else x)
    np.testing.assert_allclose(np.asarray(got), oracle(x.T if len(shape) == 2 else x), rtol=tolerance, atol=tolerance)


def test_random_bits_as_of_few_at_a_time() -> None:
    words = RNG.integers(0, 1 << 32, (4, COUNT), dtype=np.uint32)
    words[0], words[1] = 7, 9
    together = threefry2x32_p.bind(*map(jnp.asarray, words))
    parts = [threefry2x32_p.bind(*map(jnp.asarray, words[:, i : i + 5000])) for i in range(0, COUNT, 5000)]
    for got, *expected in zip(together, *parts, strict=True):
        np.testing.assert_array_equal(got, np.concatenate(expected))


def test_loops_for_other_shapes_are_made_when_these_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = []
    compiled = nrx.core.backend.Runner._compile
    monkeypatch.setattr(nrx.core.backend.Runner, "_compile", lambda *args: made.append(args) or compiled(*args))
    for n in (300_001, 300_002, 300_003):
        places, updates = RNG.integers(0, 1001, n), RNG.normal(size=n)
        expected = np.bincount(places, updates, 1001)
        first = None
        for count in (0, 1, 1):
            got = jnp.zeros(1001, "float64").at[jnp.asarray(places)].add(jnp.asarray(updates))
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
            first = got if first is None else first
            np.testing.assert_array_equal(got, first)  # bit for bit
            assert len(made) == count
        made.clear()


@pytest.mark.parametrize("k", [1, 5, 900])
def test_top_k_of_a_long_vector(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    x = RNG.integers(-9, 9, 150_001).astype("float32")  # ties
    few = RNG.normal(size=150_001).astype("float32")
    few[[7, 77]] = np.nan
    for data in (x, few, np.full(150_001, np.nan, "float32"), few.astype("float16"), x.astype("int8"), x > 7):
        values, indices = nrx.lax.top_k(jnp.asarray(data), k)
        order = data.size - 1 - np.argsort(data[::-1], kind="stable")[::-1][:k]
        np.testing.assert_array_equal(indices, order)
        np.testing.assert_array_equal(values, data[order])


@pytest.mark.parametrize("draw", [RNG.normal, lambda size: RNG.integers(-99, 99, size)], ids=["distinct", "ties"])
def test_top_k_of_rows_and_columns(draw: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    data = draw(size=(3, 500, 7))
    order = 499 - np.argsort(data[:, ::-1], axis=1, kind="stable")[:, ::-1][:, :20]
    values, indices = nrx.lax.top_k(jnp.asarray(data), 20, axis=1)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(data, order, 1))
    assert [part.shape for part in nrx.lax.top_k(jnp.zeros((0, 500)), 3)] == [(0, 3)] * 2


def test_scatter_of_many_updates() -> None:
    n = 1 << 18
    places, updates = RNG.integers(-2, 1002, n), RNG.normal(size=n)
    inside = (places >= 0) & (places < 1000)
    expected = np.bincount(places[inside], updates[inside], 1000)
    operand = jnp.zeros(1000, "float64")
    got = operand.at[jnp.where(inside, places, 1000)].add(updates, mode="drop")
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
    assert not np.any(operand)
    np.testing.assert_allclose(nrx.ops.segment_sum(updates, places, 1000), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["remainder", "fmod", "floor_divide"])
def test_operands_that_broadcast(name: str) -> None:
    x, y = RNG.normal(size=(300, 400)) * 20, RNG.uniform(1, 5, 400)
    for divisor in (y, y[:300, None], 2.5, np.flip(y)):
        for _ in range(2):  # the second time from a plan, which leaves the broadcasting to the primitive
            got = getattr(jnp, name)(jnp.asarray(x), divisor if np.isscalar(divisor) else jnp.asarray(divisor))
            np.testing.assert_array_equal(got, getattr(np, name)(x, divisor))
    assert getattr(jnp, name)(jnp.asarray(x[:, :1]), jnp.asarray(y)).shape == x.shape


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    executable = type("OpByOp", (), {"native": None})
    monkeypatch.setattr(nrx.core.backend.Runner, "executable", lambda self, program, donated=(): executable)
    x = RNG.uniform(1, 5, COUNT)
    np.testing.assert_allclose(nrx.lax.lgamma(x), scipy.special.gammaln(x), rtol=1e-12, atol=1e-12)


def declared() -> list[Primitive]:
    return [prim for prim in registry.values() if prim.compiled_from is not None]


def test_loops_are_written_for_all_that_want_them() -> None:
    assert declared()
    for prim in declared():
        assert prim.has("lower")
        assert prim.compiled_from is not None
        assert prim.compiled_from[1] >= backend._CHUNK


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool", "complex64"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side: str, dtype: str) -> None:
    values = (RNG.normal(size=(40000,)) * 20).astype(dtype)
    if np.dtype(dtype).kind == "f":
        values[:3] = np.nan, np.inf, -0.0
    for length in (0, 1, 7, 8, 1000):
        line = np.sort(RNG.choice(values, length))
        expected = np.searchsorted(line, values, side)
        np.testing.assert_array_equal(jnp.searchsorted(line, values, side), expected)
        few = nrx.jit(lambda line, v: jnp.searchsorted(line, v, side))(line, values[:50])
        np.testing.assert_array_equal(few, expected[:50])


def test_searchsorted_batched() -> None:
    lines, values = np.sort(RNG.normal(size=(4, 9)), -1), RNG.normal(size=(4, 2, 3))
    expected = np.stack([np.searchsorted(x, v) for x, v in zip(lines, values, strict=True)])
    one = np.stack([np.searchsorted(lines[0], v) for v in values])
    for transform in (lambda f: f, nrx.jit):
        np.testing.assert_array_equal(transform(nrx.vmap(jnp.searchsorted))(lines, values), expected)
        np.testing.assert_array_equal(transform(nrx.vmap(jnp.searchsorted, (None, 0)))(lines[0], values), one)
        of_lines = transform(nrx.vmap(jnp.searchsorted, (0, None)))(lines, values[0])
        np.testing.assert_array_equal(of_lines, [np.searchsorted(x, values[0]) for x in lines])


@pytest.mark.parametrize(
    ("draw", "tolerance"),
    [
        (lambda shape: nrx.random.uniform(nrx.random.PRNGKey(3), shape), 0),
        (lambda shape: nrx.random.uniform(nrx.random.PRNGKey(3), shape, "float64", 2.0, 5.0), 0),
        (lambda shape: nrx.random.normal(nrx.random.PRNGKey(3), shape), 1e-5),  # erf_inv near ±1
        (lambda shape: nrx.random.exponential(nrx.random.PRNGKey(3), shape, "float64"), 1e-15),
        (lambda shape: nrx.random.bits(nrx.random.key(3), shape), 0),
    ],
)
def test_large_draws_begin_as_small_ones(draw: Callable, tolerance: float) -> None:
    large = np.asarray(draw((600, 1000)))
    assert large.shape == (600, 1000)
    np.testing.assert_allclose(large.reshape(-1)[:3000], draw((3000,)), rtol=tolerance, atol=tolerance)


def test_large_draws_say_what_is_wrong() -> None:
    with pytest.raises(DTypeError, match="normal: a key is"):
        nrx.random.normal(jnp.zeros(2), (1 << 20,))
    with pytest.raises(ArgumentTypeError):
        nrx.random.uniform("key", (1 << 20,))
