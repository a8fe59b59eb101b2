"""Sorting and top_k by their lowering rules: rows with NaN, signed zeros and ties against Python's sort."""

import functools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import loop_interpreter
import loop_machine
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loop_interpreter import lowered
from loop_machine import fenced
from test_levels import LEVELS, compiled_results

from nrx.compiler.compile import simplified
from nrx.core import dtypes
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.core.primitive import Primitive
from nrx.ops import radix_sort, sorting
from nrx.ops.sorting import sort_p, top_k_p
from nrx.transforms import jit
from nrx.transforms.staging import stage

RUNS = [
    pytest.param(loop_interpreter.run, id="interpreted"),
    *[pytest.param(partial(loop_machine.run, level=level), id=level) for level in loop_machine.LEVELS],
]
DTYPES = ("float32", "float64", "bfloat16", "float8_e5m2", "complex64", "int8", "uint64", "bool")


def compared(x: Any, y: Any) -> int:
    """-1, 0 or 1 as x comes before, with or after y in ascending order: NaN last, complex numbers by their parts."""
    if isinstance(x, complex):
        return compared(x.real, y.real) or compared(x.imag, y.imag)
    if x != x or y != y:
        return (x != x) - (y != y)
    return (x > y) - (x < y)


def order_of(keys: Sequence[np.ndarray], descending: bool = False) -> list[int]:
    """The places of a row's elements in order; equal elements as they come."""
    with np.errstate(invalid="ignore"):  # NaNs that are to be signalled
        rows = [key.astype(np.float64).tolist() if key.dtype.kind in "Vf" else key.tolist() for key in keys]

    def rank(i: int, j: int) -> int:
        found = next((c for row in rows if (c := compared(row[i], row[j]))), 0)
        return -found if descending else found

    return sorted(range(len(rows[0])), key=functools.cmp_to_key(rank))


def row(seed: int, length: int, dtype: str) -> np.ndarray:
    """Few different numbers, among them NaN, infinities and zeros of both signs."""
    rng, kind = np.random.default_rng(seed), dtypes.canonical_dtype(dtype)
    if dtypes.is_complex(kind):
        return np.stack([row(seed + 1, length, "float32"), row(seed + 2, length, "float32")], -1).view(kind)[..., 0]
    special = [0.0, -0.0, np.nan, np.inf, -np.inf, 1.5, -2.0] if dtypes.is_floating(kind) else [0, 1, 1, 7, 100]
    return rng.choice(np.array(special), length).astype(kind)


def bits(x: np.ndarray) -> bytes:
    return np.ascontiguousarray(x).tobytes()


def results_of(prim: Primitive, arrays: Sequence[np.ndarray], run: Callable, **params: Any) -> list[np.ndarray]:
    outs = lowered(prim, [Aval(x.shape, x.dtype) for x in arrays], arrays, params, run)
    assert outs is not None
    return outs


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of four, so that short rows are merged several times."""
    monkeypatch.setattr(sorting, "_RUN", 4)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 37), st.sampled_from(DTYPES), st.integers(1, 3))
def test_sort(run: Callable, seed: int, length: int, dtype: str, num_keys: int) -> None:
    arrays = [row(seed + 10 * i, length, d) for i, d in enumerate((dtype, "float32", dtype))]
    arrays.append(np.arange(length))
    outs = results_of(sort_p, arrays, run, dimension=0, is_stable=True, num_keys=num_keys)
    order = order_of(arrays[:num_keys])
    assert [bits(out) for out in outs] == [bits(x[order]) for x in arrays]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("few", [0, 99])
@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 37), st.sampled_from([d for d in DTYPES if d != "complex64"]), st.data())
def test_top_k(run: Callable, few: int, seed: int, length: int, dtype: str, data: st.DataObject) -> None:
    """Both ways: by sorting the row, and by keeping the largest while going along it."""
    x, k = row(seed, length, dtype), data.draw(st.integers(0, length))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_FEW", few)
        values, indices = results_of(top_k_p, [x], run, k=k, dimension=0)
    order = order_of([x], descending=True)[:k]
    assert (bits(values), indices.tolist()) == (bits(x[order]), order)


@pytest.mark.parametrize("shape", [(3, 700), (700, 3), (2, 130, 4), (16385,), (0, 5), (5, 0)])
@pytest.mark.parametrize("dimension", [0, -1])
def test_compiled(shape: tuple[int, ...], dimension: int) -> None:
    """Rows longer and shorter than what is sorted natively, with a payload and alone."""
    x = row(len(shape), int(np.prod(shape)), "float32").reshape(shape)
    places = np.broadcast_to(
        np.arange(shape[dimension]).reshape([-1] + [1] * (len(shape) - 1) * (dimension == 0)), shape
    )
    expected = np.argsort(x, dimension, kind="stable")
    got, order = jit(lambda x, i: sorting.sort((x, i), dimension))(asarray(x), asarray(places))
    np.testing.assert_array_equal(np.asarray(order), expected)
    alone = jit(lambda x: sorting.sort(x, dimension))(asarray(x))
    assert bits(np.asarray(alone)) == bits(np.asarray(got)) == bits(np.take_along_axis(x, expected, dimension))


DIGITS = [
    "float32", "float64", "bfloat16", "float16", "complex64", "int8", "uint16", "int32", "uint64", "int64", "bool",
]  # fmt: skip


@pytest.fixture
def in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short rows are sorted by their digits, and several tasks share one."""
    monkeypatch.setattr(sorting, "_BY_DIGITS", 2)
    monkeypatch.setattr(sorting, "_LONG", 2)
    monkeypatch.setattr(radix_sort, "_CHUNK", 16)


def check_digits(arrays: Sequence[np.ndarray], num_keys: int, dimension: int, level: str) -> None:
    """Compare what is compiled, for some numbers of threads, with Python's sort of each row."""
    program = stage(lambda *xs: sorting.sort(xs, dimension, True, num_keys), [asarray(x).aval for x in arrays], "sort")
    assert any(eqn.prim.name == "place_by_digit" for eqn in simplified(program).eqns)
    rows = [np.moveaxis(x, dimension, -1).reshape(-1, x.shape[dimension]) for x in arrays]
    orders = [order_of([x[number] for x in rows[:num_keys]]) for number in range(len(rows[0]))]
    for got, x in zip(compiled_results(program, [*map(fenced, arrays)], level), rows, strict=True):
        found = np.moveaxis(got, dimension, -1).reshape(x.shape)
        assert bits(found) == bits(np.stack([line[order] for line, order in zip(x, orders, strict=True)]))


@pytest.mark.usefixtures("in_chunks")
@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 999), st.integers(2, 150), st.sampled_from(DIGITS), st.integers(1, 3))
def test_by_digits(level: str, seed: int, length: int, dtype: str, num_keys: int) -> None:
    arrays = [row(seed + 10 * i, length, d) for i, d in enumerate((dtype, "float32", dtype))]
    check_digits([*arrays, np.arange(length)], num_keys, 0, level)


@pytest.mark.usefixtures("in_chunks")
@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize(("shape", "dimension"), [((3, 40), 1), ((40, 3), 0), ((2, 35, 3), 1), ((20, 17), 1)], ids=str)
def test_rows_by_digits(shape: tuple, dimension: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    kind = dtypes.canonical_dtype(dtype)
    drawn = rng.integers(0, 256, (*shape, kind.itemsize), np.uint8)  # every pattern of bits, so NaN of many kinds
    x = drawn.view(kind)[..., 0] if dtype != "bool" else drawn[..., 0] < 99
    check_digits([x, np.arange(x.size).reshape(shape)], 1, dimension, LEVELS[-1])


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_a_long_row(dtype: str) -> None:
    """Beside NumPy's stable sort: what tasks share by default."""
    x = (np.random.default_rng(0).normal(size=300_000) * 1000).astype(dtype)
    order = np.argsort(x, kind="stable")
    got = jit(lambda x, i: (*sorting.sort((x, i)), sorting.sort(x)))(asarray(x), asarray(np.arange(x.size)))
    for found, expected in zip(got, (x[order], order, x[order]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_scratch_memory_is_bounded() -> None:
    long = Aval((2, 1 << 15), dtypes.float32)
    assert top_k_p.lower(long, k=200, dimension=1) is None
    assert top_k_p.lower(long, k=100, dimension=1) is not None
