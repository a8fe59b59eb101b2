"""Reductions, cumulation and windows by their lowering rules: in any order of elements, on every processor level."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import loop_machine
import numpy as np
import pytest
from cases.windows import extremum, oracle, params_of, total
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sorting import RUNS, bits, results_of, row
from test_windows import problems

from nrx.core import dtypes
from nrx.core.array import asarray
from nrx.core.primitive import registry
from nrx.ops import cumulative, reductions, windows
from nrx.ops.structural import reduce_sum
from nrx.transforms import jit

REAL = ("float32", "float64", "bfloat16", "float16", "float8_e5m2", "int8", "uint16", "int64", "bool")


def first_extreme(x: np.ndarray, largest: bool) -> int:
    """The place of the first NaN, or else of the first largest or smallest element, of a row."""
    values = x.astype(np.float64) if x.dtype.kind in "Vf" else x
    return int((np.argmax if largest else np.argmin)(values))


@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 75), st.sampled_from(REAL), st.booleans(), st.sampled_from([0, 1]))
def test_places_of_extremes(run: Callable, seed: int, length: int, dtype: str, largest: bool, axis: int) -> None:
    x = row(seed, 3 * length, dtype).reshape((length, 3) if axis == 0 else (3, length))
    prim = registry["argmax" if largest else "argmin"]
    (got,) = results_of(prim, [x], run, dimension=axis, index_dtype=dtypes.int32)
    assert got.tolist() == [first_extreme(values, largest) for values in (x.T if axis == 0 else x)]


@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(0, 75), st.booleans())
def test_extremes_of_complex_numbers(run: Callable, seed: int, length: int, largest: bool) -> None:
    """By real, then imaginary part; the first one that holds a NaN; of none, the lowest or the highest."""
    x = row(seed, length, "complex64")
    (got,) = results_of(registry["reduce_max" if largest else "reduce_min"], [x], run, axes=(0,))
    infinity = -np.inf if largest else np.inf
    expected = (np.max if largest else np.min)(x) if length else np.complex64(infinity)
    assert bits(got + 0.0) == bits(np.asarray(expected) + 0.0)  # which of several zeros does not matter


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64", "int64"])
def test_sums_and_products_of_integers_wrap(dtype: str) -> None:
    rng = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, (40, 3, 50), dtype=dtype)
    numbers = x.astype(object)
    for axes in ((0,), (2,), (0, 2), (0, 1, 2)):
        for function, exact in ((reduce_sum, np.sum), (reductions.reduce_prod, np.prod)):
            got = jit(partial(function, axes=axes))(asarray(x))
            wrapped = np.asarray(exact(numbers, axis=axes) % 2**limits.bits).astype(f"u{limits.bits // 8}")
            np.testing.assert_array_equal(np.asarray(got), wrapped.view(dtype))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
def test_long_sums_are_accurate(dtype: str) -> None:
    """Within the roundings of a tree of float32, or wider, numbers."""
    rng, kind = np.random.default_rng(0), dtypes.canonical_dtype(dtype)
    x = rng.normal(size=(300, 1000)).astype(kind)
    wide = x.astype(np.complex128 if dtypes.is_complex(kind) else np.float64)
    eps = float(dtypes.finfo(kind).eps) + 64 * np.finfo(np.float64 if kind == np.float64 else np.float32).eps
    for axes in ((0,), (1,), (0, 1)):
        got = np.asarray(jit(partial(reduce_sum, axes=axes))(asarray(x))).astype(wide.dtype)
        np.testing.assert_array_less(np.abs(got - wide.sum(axes)), eps * np.abs(wide).sum(axes))


@pytest.mark.parametrize("shape", [(1000,), (30, 40), (3, 20, 300), (9, 5, 7), (4, 1)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int16", "complex64"])
def test_cumulation(shape: tuple[int, ...], dtype: str) -> None:
    """Element after element, as NumPy accumulates: the same bits."""
    rng = np.random.default_rng(0)
    x = (9 * rng.normal(size=shape)).astype(dtypes.canonical_dtype(dtype))
    wide = x.astype(np.float32) if dtype == "bfloat16" else x
    for name, ufunc in (("cumsum", np.add), ("cummax", np.maximum), ("cummin", np.minimum)):
        for axis in range(len(shape)):
            for reverse in (False, True):
                ordered = np.flip(wide, axis) if reverse else wide
                expected = ufunc.accumulate(ordered, axis, dtype=wide.dtype).astype(x.dtype)
                got = jit(partial(getattr(cumulative, name), axis=axis, reverse=reverse))(asarray(x))
                assert bits(np.asarray(got)) == bits(np.flip(expected, axis) if reverse else expected), (name, axis)


def test_cumulative_logsumexp_at_the_ends_of_the_range() -> None:
    x = np.array([-np.inf, -np.inf, 1.0, 1.0, -1e30, 1e30, np.inf, np.inf, 0.0, np.nan, 0.0])
    got = np.asarray(jit(cumulative.cumlogsumexp)(asarray(x)))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(got, np.logaddexp.accumulate(x), rtol=1e-15)


KINDS: dict[str, Callable] = {
    "sum": total, "max": extremum(True, 1), "min": extremum(False, 1), "argmax": extremum(True, 0),
    "argmin": extremum(False, 0),
}  # fmt: skip


@pytest.mark.parametrize("level", loop_machine.LEVELS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(problems())
def test_windows(kind: str, level: str, problem: tuple[np.ndarray, tuple]) -> None:
    x, geometry = problem
    prim = getattr(windows, f"reduce_window_{kind}_p")
    (got,) = results_of(prim, [x], partial(loop_machine.run, level=level), **params_of(geometry))
    expected = oracle(KINDS[kind], geometry, got.dtype)(x)
    if got.size:
        np.testing.assert_allclose(got, expected, atol=1e-12)


def pooled(x: np.ndarray, window: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    views = np.lib.stride_tricks.sliding_window_view(x, tuple(window))
    picked: Any = views[tuple(slice(None, None, step) for step in strides)]
    return picked.max(tuple(range(x.ndim, 2 * x.ndim)))


@pytest.mark.parametrize(
    ("shape", "window", "strides"),
    [
        ((2, 20, 21, 33), (1, 3, 2, 1), (1, 2, 1, 1)), ((3, 5, 40, 41), (1, 1, 3, 3), (1, 1, 2, 2)),
        ((2, 7, 7, 100), (1, 7, 7, 1), (1, 1, 1, 1)), ((200, 300), (200, 300), (1, 1)), ((5000,), (400,), (3,)),
    ],
)  # fmt: skip
def test_compiled_pooling(shape: tuple, window: tuple, strides: tuple) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    got = jit(lambda x: windows.reduce_window_max(x, window, strides))(asarray(x))
    np.testing.assert_array_equal(np.asarray(got), pooled(x, window, strides))
