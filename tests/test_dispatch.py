"""Calls of native code: what generated functions check, read in place, give away and build, against a stand-in."""

import gc
import pickle
import threading
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from fakes import cupy as fake_cupy
from fakes import native
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx.backends.op_by_op import compile_op_by_op
from nrx.core import backend
from nrx.core.array import ConcreteArray
from nrx.core.backend import place_outputs
from nrx.core.config import config
from nrx.core.errors import DeletedArrayError, DeviceError, NrxError
from nrx.transforms.dispatch import MISS

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(params=["unlocked", "brief"])
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[native.Executable]:
    """What is compiled in a test."""
    return native.install(monkeypatch, brief=request.param == "brief")


def quickly(f: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of a generated function, after the calls that it takes to have one."""
    f(*args, **kwargs)
    f(*args, **kwargs)
    outs = [out for quick in f._recent if (out := quick(args, kwargs)) is not MISS]
    assert len(outs) == 1, "no generated function takes these arguments"
    return outs[0]


def address(x: Any) -> int:
    return x.__array_interface__["data"][0]


def unaligned(data: np.ndarray) -> np.ndarray:
    """The same data at an odd address."""
    view = np.zeros(data.nbytes + 1, np.uint8)[1:].view(data.dtype).reshape(data.shape)
    view[...] = data
    return view


# Trees


class Pair(NamedTuple):
    left: Any
    right: Any


@nrx.tree_util.register_dataclass
@dataclass
class Layer:
    w: Any
    name: str = field(metadata={"static": True})


TREES = [
    1.5,
    NUMBERS,
    (),
    [],
    {},
    None,
    (NUMBERS,),
    [NUMBERS, (NUMBERS, [2.0, None])],
    {"b": NUMBERS, "a": (1.0, {"x": NUMBERS})},
    {2: NUMBERS, 1: 0.5},
    {(1, "k"): NUMBERS},
    Pair(NUMBERS, [Pair(1.0, None)]),
    OrderedDict(z=NUMBERS, a=2.0),
    defaultdict(list, k=NUMBERS),
    Layer(NUMBERS, "dense"),
    {"layers": [Layer(NUMBERS, str(i)) for i in range(3)], "empty": ({}, [], ())},
]


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_trees(tree: Any, made: Any) -> None:
    f = nrx.jit(lambda t, *, k: nrx.tree.map(lambda x: x * 2, {"t": t, "k": k, "both": (t, k)}))
    for given_tree in (tree, nrx.tree.map(jnp.asarray, tree)):
        got = quickly(f, given_tree, k=given_tree)
        expected = nrx.tree.map(lambda x: np.asarray(x) * 2, {"t": tree, "k": tree, "both": (tree, tree)})
        assert nrx.tree.structure(got) == nrx.tree.structure(expected)
        assert_same(got, expected)
    assert f.trace_count <= 2


trees = st.recursive(
    st.sampled_from([None, 1.0, 2, True]) | st.integers(0, 3).map(lambda n: np.arange(n, dtype=np.float32)),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    | st.tuples(children, children) | st.builds(Pair, children, children),
    max_leaves=12,
)  # fmt: skip


@given(trees, trees)
def test_any_tree_of_arguments_and_results(one: Any, two: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        native.install(patch)
        f = nrx.jit(lambda *args, **kwargs: [nrx.tree.map(lambda x: x + x, kwargs), args])
        got = quickly(f, one, two, key=two)
        assert nrx.tree.structure(got) == nrx.tree.structure([{"key": two}, (one, two)])
        assert_same(got, [nrx.tree.map(lambda x: np.asarray(x) + np.asarray(x), {"key": two}), (one, two)])
        assert_same(f(two, one, key=one)[1], (two, one))


@pytest.mark.parametrize(
    "other",
    [
        ({"a": NUMBERS},), ({"a": NUMBERS, "c": 1.0},), ({"a": NUMBERS, "b": 1.0, "c": 2.0},), ([NUMBERS, 1.0],),
        (Pair(NUMBERS, 1.0),), ({"a": NUMBERS, "b": None},), ({"a": NUMBERS, "b": (1.0,)},),
        (OrderedDict(a=NUMBERS, b=1.0),), ({"a": 1.0, "b": NUMBERS},), ({"a": NUMBERS[:1], "b": 1.0},),
        ({"a": NUMBERS.astype("f8"), "b": 1.0},), ({"a": NUMBERS, "b": 1},), ({"a": NUMBERS, "b": True},),
        ({"a": NUMBERS, "b": np.float32(1)},), ({"a": NUMBERS, "b": 1j},), ({"a": NUMBERS, "b": 1.0}, 2.0), (),
    ],
    ids=str,
)  # fmt: skip
def test_other_arguments_are_not_taken(other: tuple, made: Any) -> None:
    f = nrx.jit(lambda *args: nrx.tree.map(lambda x: x + x, args))
    known = {"a": NUMBERS, "b": 1.0}
    quickly(f, known)
    (quick,) = f._recent
    assert quick(other, {}) is MISS
    assert quick((known,), {"more": 1.0}) is MISS
    assert quick((known,), {}) is not MISS
    assert_same(quickly(f, *other), nrx.tree.map(lambda x: np.asarray(x) + np.asarray(x), other))
    assert_same(f(known), ({"a": NUMBERS * 2, "b": 2.0},))


def test_deep_trees(made: Any) -> None:
    tree: Any = NUMBERS
    for _ in range(150):
        tree = [tree]
    assert_same(quickly(nrx.jit(lambda t: nrx.tree.map(lambda x: x + 1, t)), tree), [NUMBERS + 1])


def test_many_leaves(made: Any) -> None:
    tree = {f"l{i}": {"w": jnp.asarray(NUMBERS + i), "b": float(i)} for i in range(300)}
    got = quickly(nrx.jit(lambda t: nrx.tree.map(lambda x: x + 1, t)), tree)
    assert_same(got, nrx.tree.map(lambda x: np.asarray(x) + 1, tree))


# Leaves


@pytest.mark.parametrize(
    "data",
    [
        NUMBERS, NUMBERS.T, NUMBERS[:, ::2], NUMBERS[::-1], unaligned(NUMBERS), NUMBERS.astype(">f4"),
        np.broadcast_to(np.float32(3), (2, 2)), np.zeros((0, 3)), np.array(2.5), np.array([True, False]),
        np.arange(3, dtype=np.uint8), np.arange(3) * 1j, np.arange(3).astype(ml_dtypes.bfloat16),
        np.arange(3).astype(np.float16), np.float64(2.5), np.int8(3), np.frombuffer(b"\1\2\3\4", np.int8),
    ],
    ids=lambda d: f"{d.dtype}{d.shape}",
)  # fmt: skip
def test_numpy_data(data: Any, made: Any) -> None:
    plain = np.asarray(data).astype(np.asarray(data).dtype.newbyteorder("="))
    double, same = nrx.jit(lambda x: x + x), nrx.jit(lambda x: x)
    for x in (data, jnp.asarray(data)):
        got = quickly(double, x)
        assert (got.dtype, got.shape, got.weak_type) == (plain.dtype, plain.shape, False)
        np.testing.assert_array_equal(np.asarray(got), plain + plain)
        assert made[-1].words[3] % max(plain.dtype.alignment, 1) == 0
        np.testing.assert_array_equal(np.asarray(quickly(same, x)), plain)


def test_numpy_arrays_are_read_in_place(made: Any) -> None:
    f = nrx.jit(lambda x: x * 2)
    data = NUMBERS.copy()
    quickly(f, data)
    assert made[-1].words[3] == address(data)
    data[0, 0] = 7
    assert float(f(data)[0, 0]) == 14
    f(data.T.copy().T)
    assert made[-1].words[3] % 16 == 0


def test_a_numpy_argument_returned_is_copied(made: Any) -> None:
    data = NUMBERS.copy()
    out = quickly(nrx.jit(lambda x: (x, x + 1)[0]), data)
    data[:] = 0
    assert_same(out, NUMBERS)


def test_arrays_are_read_in_place(made: Any) -> None:
    x = jnp.asarray(NUMBERS)
    f = nrx.jit(lambda x, y: x * y)
    quickly(f, x, x.T.reshape(2, 3))
    assert made[-1].words[3] == address(x.numpy())
    y = f(x, x)
    f(y, x)
    assert made[-1].words[3:5] == (address(y.numpy()), address(x.numpy()))


@pytest.mark.parametrize("default_int", ["int32", "int64"])
@pytest.mark.parametrize("default_float", ["float16", "float32", "float64"])
def test_scalars(default_float: str, default_int: str, made: Any) -> None:
    values = [True, False, 0, -1, 2**31 - 1, -(2**31), 2**31, 2**62, 2**63, 1.5, -0.0, 1e-30, 1e300, np.inf, 1 + 2j]
    pair, same = nrx.jit(lambda x: jnp.stack([x, x])), nrx.jit(lambda x: x)
    with config.using(default_float=default_float, default_int=default_int):
        for value in values:
            expected = jnp.asarray(value)
            for got in (quickly(pair, value), pair(value)):
                assert (got.dtype, got.weak_type) == (expected.dtype, expected.weak_type)
                np.testing.assert_array_equal(got.numpy(), np.stack([expected.numpy()] * 2))
                np.testing.assert_array_equal(np.signbit(got.numpy().real), np.signbit(expected.numpy().real))
            assert_same(quickly(same, value), expected)


def test_weakly_typed_results(made: Any) -> None:
    f = nrx.jit(lambda x, y: (x * y, x + 1, y * 1))
    a, b, c = quickly(f, 2.0, jnp.ones(2, "float16"))
    assert (a.dtype, a.weak_type, b.weak_type, c.weak_type) == (np.float16, False, True, False)


def test_what_is_like_an_array(made: Any) -> None:
    class Wrapped:
        def __nrx_array__(self) -> Any:
            return jnp.asarray(NUMBERS)

    class Metres(float):
        pass

    f = nrx.jit(lambda x, y: x + y)
    assert_same(quickly(f, Wrapped(), Metres(2.0)), NUMBERS + 2)
    for wrong in ("text", object(), [1, "x"], np.array(["a"])):
        with pytest.raises(NrxError):
            f(wrong, 2.0)


def test_closed_over_arrays(made: Any) -> None:
    big, strided = jnp.asarray(np.arange(100.0)), jnp.asarray(np.arange(200.0))[::2]
    f = nrx.jit(lambda x: (x * big + strided, big))
    assert_same(quickly(f, 2.0), (np.arange(100.0) * 4, np.arange(100.0)))


def test_no_arguments(made: Any) -> None:
    assert_same(quickly(nrx.jit(lambda: (jnp.arange(3) + 1, None, 2.0))), (np.arange(3) + 1, 2.0))
    assert quickly(nrx.jit(lambda: ())) == ()
    assert quickly(nrx.jit(lambda x: {}), 1.0) == {}


# Static arguments


def test_static_arguments(made: Any) -> None:
    f = nrx.jit(lambda n, x, *, mode="a": x * (n if mode == "a" else -n), static_argnums=0, static_argnames="mode")
    assert_same(quickly(f, 2, NUMBERS), NUMBERS * 2)
    assert_same(quickly(f, 2, NUMBERS, mode="b"), NUMBERS * -2)
    assert_same(quickly(f, 3, x=NUMBERS), NUMBERS * 3)
    for n in (2.0, True, np.int64(2), 3, "2"):
        assert all(quick((n, NUMBERS), {}) is MISS for quick in f._recent)
    assert_same(f(2, NUMBERS), NUMBERS * 2)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (0.0, -0.0), (1.0, 1), (1.0, True), (None, 0), ("a", b"a"), ((1, 2), (1, 2.0)), ((0.0,), (-0.0,)), (len, sum),
        (int, float), (frozenset([1]), frozenset([2])), (1 + 0j, 1.0), (Pair(1, 2), (1, 2)), (np.float32, np.float64),
    ],
    ids=str,
)  # fmt: skip
def test_static_values_are_told_apart(value: Any, other: Any, made: Any) -> None:
    f = nrx.jit(lambda x, s: x + 1, static_argnums=1)
    for _ in range(3):
        f(1.0, value), f(1.0, other)
    assert f.trace_count == 2
    assert len(f._recent) == 2
    answers = [[quick((1.0, s), {}) is MISS for quick in f._recent] for s in (value, other)]
    assert sorted(answers) == [[False, True], [True, False]]


def test_a_static_argument_that_changes(made: Any) -> None:
    class Box:
        def __init__(self, value: int):
            self.value = value

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Box) and self.value == other.value

        def __hash__(self) -> int:
            return hash(self.value)

    f = nrx.jit(lambda x, box: x * box.value, static_argnums=1)
    box = Box(2)
    assert_same([quickly(f, 1.0, box), f(1.0, Box(2))], [2, 2])
    assert f.trace_count == 1
    box.value = 3
    assert_same([f(1.0, box), f(1.0, Box(3))], [3, 3])


# When the general path is right


def test_calls_under_transformations(made: Any) -> None:
    f = nrx.jit(lambda x, y: jnp.sum(jnp.sin(x) * y))
    x = jnp.asarray(np.arange(3.0))
    expected = np.sum(np.sin(np.arange(3.0)) * 2)
    for _ in range(3):
        assert_same(f(x, 2.0), expected)
        assert_same(nrx.jit(lambda x: f(x, 2.0))(x), expected)
        assert_same(nrx.grad(f)(x, 2.0), np.cos(np.arange(3.0)) * 2)
        assert_same(nrx.vmap(f, in_axes=(0, None))(jnp.stack([x, x]), 2.0), np.full(2, expected))
        assert_same(nrx.jvp(f, (x, 2.0), (x, 0.0))[0], expected)
        assert len(nrx.make_jaxpr(lambda: f(x, 2.0))().eqns) == 1  # concrete arguments are recorded as well


def test_settings(made: Any) -> None:
    f = nrx.jit(lambda x: x + jnp.zeros(2))
    for _ in range(3):
        assert quickly(f, 1.0).dtype == np.float32
        with config.using(default_float="float64"):
            assert quickly(f, 1.0).dtype == np.float64
            with config.using(default_int="int64", debug_checks=True):
                assert f(1.0).dtype == np.float64
    assert f.trace_count == 3
    try:
        config.update("default_float", "float16")
        assert quickly(f, 1.0).dtype == np.float16
    finally:
        config.update("default_float", "float32")
    assert f(1.0).dtype == np.float32
    assert f.trace_count == 4


def test_the_key_of_settings_stays_the_same_object() -> None:
    plain = config.tracing_key()
    assert config.tracing_key() is plain
    with config.using(debug_checks=True):
        assert config.tracing_key() is plain
    keys = []
    for _ in range(2):
        with config.using(default_float="float64"), config.using(default_int="int64"):
            keys.append(config.tracing_key())
    assert keys[0] is keys[1]
    assert keys[0] != plain
    with config.using(default_float="float32"):
        assert config.tracing_key() is plain


def test_named_axes_in_a_copied_context(made: Any) -> None:
    f = nrx.jit(lambda x: x + 1)
    quickly(f, 1.0)
    seen = []

    def mapped(x: Any) -> Any:
        seen.append(f(1.0))
        return x

    nrx.vmap(mapped, axis_name="batch")(jnp.ones(2))
    assert_same(seen[0], 2.0)
    assert f.trace_count == 2


def test_devices(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cupy.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    f = nrx.jit(lambda x, y: x + y)
    x = jnp.asarray(NUMBERS)
    here, there = nrx.device_put(x, "cpu"), nrx.device_put(x, "gpu:1")
    for _ in range(3):
        for a, b in ((x, x), (here, x), (x, here), (x, there), (there, 2.0)):
            out = f(a, b)
            committed = [v for v in (a, b) if getattr(v, "committed", False)]
            assert out.device is (committed or [x])[0].device
            assert out.committed == bool(committed)
            assert_same(out, NUMBERS + (2.0 if b == 2.0 else NUMBERS) if type(b) is float else NUMBERS * 2)
        with pytest.raises(DeviceError):
            f(here, there)
        with nrx.default_device("gpu:0"):
            assert f(1.0, NUMBERS).device.platform == "gpu"
        assert f(1.0, NUMBERS).device.platform == "cpu"


def test_signatures_take_turns(made: Any) -> None:
    f = nrx.jit(lambda x: x * 2)
    for _ in range(4):
        for n in range(12):
            assert_same(f(np.ones(n)), np.full(n, 2.0))
    assert (f.trace_count, len(f._recent)) == (12, 8)
    calls = sum(executable.calls for executable in made)
    for n in range(12):
        f(np.ones(n))
    assert sum(executable.calls for executable in made) == calls + 12
    f.clear_cache()
    assert f._recent == ()


def test_errors_of_native_code(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f = nrx.jit(lambda x: x + 1)
    quickly(f, 1.0)
    monkeypatch.setattr(native.Executable, "_run_on_memory", lambda self, words: 1 // 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            f(1.0)
    monkeypatch.undo()
    assert_same(f(1.0), 2.0)


def test_a_function_is_freed_with_what_was_generated(made: Any) -> None:
    def make() -> Any:
        big = jnp.asarray(np.arange(8.0))
        quickly(nrx.jit(lambda x: x + big), 1.0)
        return weakref.ref(big)

    dead = make()
    made.clear()
    gc.collect()
    assert dead() is None


# Results


def test_results_are_made_when_looked_at(made: Any) -> None:
    y = quickly(nrx.jit(lambda x: x * 2), NUMBERS)
    assert y._raw is None
    assert (y.shape, y.dtype, y.ndim, y.nbytes, str(y.device)) == ((2, 3), np.float32, 2, 24, "cpu:0")
    assert y.block_until_ready() is y
    assert y._raw is None
    np.testing.assert_array_equal(np.asarray(y), NUMBERS * 2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(y)).numpy(), NUMBERS * 2)
    np.testing.assert_array_equal(np.from_dlpack(y), NUMBERS * 2)
    assert weakref.ref(y)() is y
    assert_same(y + y, NUMBERS * 4)


def test_results_cannot_be_written_to(made: Any) -> None:
    y = quickly(nrx.jit(lambda x: x * 2), NUMBERS)
    for view in (y.numpy(), np.asarray(y), y.numpy().reshape(-1)[1:]):
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
        owner: Any = view
        while isinstance(owner, np.ndarray):
            with pytest.raises(ValueError, match="WRITEABLE"):
                owner.flags.writeable = True
            owner = owner.base
        with pytest.raises(TypeError, match="read-only"):
            memoryview(view)[0] = 0  # type: ignore[index]


def test_results_outlive_each_other(made: Any) -> None:
    f = nrx.jit(lambda x: (x + 1, x + 2, jnp.sum(x)))
    kept = [quickly(f, jnp.asarray(NUMBERS + i))[i % 3] for i in range(30)]
    gc.collect()
    for i, out in enumerate(kept):
        assert_same(out, [NUMBERS + i + 1, NUMBERS + i + 2, np.sum(NUMBERS + i)][i % 3])


@given(st.lists(st.one_of(st.integers(0, 300), st.integers(0, 1 << 20)), max_size=60))
def test_places_of_outputs(sizes: list[int]) -> None:
    blocks, places = place_outputs(sizes)
    parts: dict[int, list[tuple[int, int]]] = {}
    for size, place in zip(sizes, places, strict=True):
        assert place.offset % 64 == 0
        assert place.offset + size <= blocks[place.block]
        assert size <= 256 or blocks[place.block] < size + 64  # nobody keeps much more memory than his own
        parts.setdefault(place.block, []).append((place.offset, place.offset + size))
    assert sum(blocks) < sum(sizes) + 64 * len(sizes) + 1
    assert max([size for block, size in enumerate(blocks) if len(parts.get(block, [])) > 1], default=0) <= 4096
    for spans in parts.values():
        ends = 0
        for start, stop in sorted(spans):
            assert start >= ends or start == stop
            ends = max(ends, stop)


# Donation


def fresh(n: int = 100) -> ConcreteArray:
    """An array that nobody else holds, made by native code."""
    return quickly(nrx.jit(lambda x: x + 1), np.zeros(n, np.float32))


def test_donated_arrays_are_deleted(made: Any) -> None:
    @nrx.jit
    def other(x: Any) -> Any:
        return x

    def step(params: Any, x: Any) -> Any:
        return nrx.tree.map(lambda p: p + x, params)

    f = nrx.jit(step, donate_argnums=0)
    for _ in range(4):  # by the general path, and by generated functions
        params = {"w": jnp.ones(3), "b": fresh()}
        x = jnp.asarray(2.0)
        assert_same(f(params, x), {"w": np.full(3, 3.0), "b": np.full(100, 3.0)})
        assert params["w"].is_deleted()
        assert params["b"].is_deleted()
        assert not x.is_deleted()
        uses: list[Callable] = [lambda p: p + 1, np.asarray, other, lambda p: f({"w": p, "b": p}, 2.0), str]
        for use in uses:
            with pytest.raises(DeletedArrayError, match="jit of step"):
                use(params["w"])
        assert repr(params["w"]) == "<deleted array f32[3]>"


def test_donated_memory_is_used_again(made: Any) -> None:
    f = nrx.jit(lambda state, x: ((state[0] + x, state[1] * 2), jnp.sum(x)), donate_argnums=0)
    state = (jnp.zeros(1000), jnp.ones(500, "int32"))
    places = set()
    for _ in range(20):
        state, _ = f(state, jnp.ones(1000))
        if state[0]._memory is not None:
            places.add(state[0]._memory[0])
    assert_same(state, (np.full(1000, 20.0), np.full(500, 2**20)))
    assert len(places) == 1
    assert made[-1].words[3] in places


@pytest.mark.parametrize(
    "hold",
    [
        lambda x: x.numpy(), lambda x: np.asarray(x)[3:], lambda x: memoryview(x.numpy()), lambda x: x.copy(),
        lambda x: nrx.device_put(x, "cpu"), lambda x: quickly(nrx.jit(lambda x: x), x), lambda x: x.reshape(10, 10),
        lambda x: x[::2], lambda x: x.__dlpack__(), lambda x: np.from_dlpack(x), lambda x: jnp.array(x),
    ],
)  # fmt: skip
def test_memory_that_is_seen_elsewhere_is_left_alone(hold: Callable, made: Any) -> None:
    f = nrx.jit(lambda x: x * 10 + 5, donate_argnums=0)
    for _ in range(4):
        x = fresh()
        held = hold(x)
        assert_same(f(x), np.full(100, 15.0))
        assert x.is_deleted()
        if type(held).__name__ != "PyCapsule":
            assert np.all(np.asarray(held) == 1)


def test_memory_beside_other_results_is_left_alone(made: Any) -> None:
    pair = nrx.jit(lambda x: (x + 1, x + 2))
    f = nrx.jit(lambda x: x * 10, donate_argnums=0)
    for _ in range(4):
        a, b = quickly(pair, np.zeros(4, np.float32))
        assert_same(f(a), np.full(4, 10.0))
        assert_same(b, np.full(4, 2.0))


def test_one_array_as_several_arguments(made: Any) -> None:
    f = nrx.jit(lambda x, y: (x * 2, y + 1), donate_argnums=0)
    both = nrx.jit(lambda x, y: (x * 2, y + 1), donate_argnums=(0, 1))
    for _ in range(4):
        x = fresh()
        assert_same(f(x, x), (np.full(100, 2.0), np.full(100, 2.0)))
        assert x.is_deleted()
    both(fresh(), fresh())
    for _ in range(3):
        x = fresh()
        with pytest.raises(DeletedArrayError) if made[-1].calls else nullcontext():
            both(x, x)


def test_donated_but_not_reused(made: Any) -> None:
    f = nrx.jit(lambda x, unused, passed: (jnp.sum(x), passed), donate_argnums=(0, 1, 2))
    for _ in range(4):
        x, unused, passed = fresh(), fresh(3), fresh(4)
        total, same = f(x, unused, passed)
        assert_same([total, same], [100.0, np.ones(4)])
        assert x.is_deleted()
        assert unused.is_deleted()
        assert passed.is_deleted()


def test_donated_data_of_others(made: Any) -> None:
    f = nrx.jit(lambda x, s: (x + s, s * 2), donate_argnums=(0, 1))
    for _ in range(4):
        data = np.ones(5, np.float32)
        assert_same(f(data, 2.0), (np.full(5, 3.0), 4.0))
        assert_same(data, np.ones(5))


def test_donation_by_name_and_in_traced_calls(made: Any) -> None:
    f = nrx.jit(lambda x, *, state: state + x, donate_argnames="state")
    state = fresh()
    out = nrx.jit(lambda s: f(1.0, state=s))(state)
    assert not state.is_deleted()
    assert_same([f(1.0, state=state), out], [np.full(100, 2.0)] * 2)
    assert state.is_deleted()


def test_delete() -> None:
    x = jnp.ones(3)
    y = x.copy()
    assert not x.is_deleted()
    x.delete()
    x.delete()
    assert x.is_deleted()
    with pytest.raises(DeletedArrayError, match=r"x\.delete\(\)"):
        x + 1
    with pytest.raises(DeletedArrayError, match=r"x\.delete\(\)"):
        x.copy().numpy()
    assert_same(y, np.ones(3))


def test_deleted_constants(made: Any) -> None:
    big = jnp.arange(100.0)
    f = nrx.jit(lambda x: x + big)
    quickly(f, 1.0)
    big.delete()
    with pytest.raises(DeletedArrayError):
        f(1.0)


def test_donation_has_no_effect_op_by_op(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = backend.get_backend("cpu")
    monkeypatch.setattr(cpu, "compile", lambda p, d, *more: compile_op_by_op(p, d), raising=False)
    x = jnp.ones(3)
    assert_same(nrx.jit(lambda x: x + 1, donate_argnums=0)(x), np.full(3, 2.0))
    assert not x.is_deleted()


# Threads


def test_many_threads(made: Any) -> None:
    f = nrx.jit(lambda t, s: {"y": t["a"] * s + t["b"], "n": jnp.sum(t["a"])})
    quickly(f, {"a": NUMBERS, "b": NUMBERS}, 1.0)
    barrier = threading.Barrier(8)

    def work(k: int) -> None:
        barrier.wait(timeout=20)
        for i in range(100):
            a, b, s = NUMBERS + k, jnp.asarray(NUMBERS * i), float(k + i)
            got = f({"a": a, "b": b}, s)
            assert_same(got, {"n": np.sum(a), "y": a * s + NUMBERS * i}, rtol=1e-6)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_threads_that_donate_what_others_read(made: Any) -> None:
    """A reader gets the right values or the error, whoever comes first; an array is given away once."""
    take = nrx.jit(lambda x: x * 3, donate_argnums=0)
    read = nrx.jit(lambda x: x + 1)
    take(fresh()), take(fresh()), quickly(read, fresh())
    barrier = threading.Barrier(4)

    def work(x: ConcreteArray, f: Callable, expected: float) -> int:
        barrier.wait(timeout=20)
        try:
            assert np.all(np.asarray(f(x)) == expected)
        except DeletedArrayError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        for _ in range(100):
            x = fresh()
            jobs = [pool.submit(work, x, *job) for job in ((take, 3), (take, 3), (read, 2), (np.negative, -1))]
            done = [job.result() for job in jobs]
            assert done[0] + done[1] == 1
