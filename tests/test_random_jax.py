"""Random numbers beside those of the installed JAX: the same keys give the same values."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nrx.backends  # noqa: F401 - registers the devices
import nrx.random as random
from nrx.core import dtypes
from nrx.core.config import config

jax = pytest.importorskip("jax")

MANY = (20_000,)


def both(name: str, *args: Any, seed: int = 7, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same draw with nrx and with JAX (64-bit dtypes enabled)."""
    ours = getattr(random, name)(random.PRNGKey(seed), *args, **options)
    with jax.enable_x64(True):
        theirs = getattr(jax.random, name)(jax.random.PRNGKey(seed), *args, **options)
    return np.asarray(ours), np.asarray(theirs)


def assert_same(pair: tuple[np.ndarray, np.ndarray], kinds_only: bool = False) -> None:
    ours, theirs = pair
    assert ours.dtype.kind == theirs.dtype.kind if kinds_only else ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**40 + 3, -(2**63), 2**63 - 1])
def test_jax_keys(seed: int) -> None:
    for num in (1, 2, 7, 100, (), (2, 3), (0,)):
        assert_same(both("split", num, seed=seed))
    for data in (0, 1, 2**32 - 1, np.uint32(5), np.int64(-3)):
        assert_same(both("fold_in", data, seed=seed))


@pytest.mark.parametrize("shape", [(), (3, 0), (7, 11, 13), pytest.param((70_000,), marks=pytest.mark.slow)])
def test_jax_bits_and_uniform(shape: tuple[int, ...]) -> None:
    for dtype in ("uint8", "uint16", "uint32", "uint64"):
        assert_same(both("bits", shape, dtype))
    for dtype in dtypes.FLOATS:
        assert_same(both("uniform", shape, dtype))


LIMITS = ((-1.3, 2.7), (0.1, 0.9), (-300.0, 17.3), (5.0, 5.0), (2.0, -1.0))
NARROW = [str(d) for d in dtypes.FLOATS if d != np.float64]

#: JAX's draws in a process of their own: XLA fuses `floats * span + low` where its optimizer runs, which the flags that
#: test_primitives.py sets for this process switch off.
DRAW = """
import itertools, jax, numpy as np
from jax.numpy import full
for dtype, (low, high) in itertools.product({dtypes}, {limits}):
    for name, shape, limits in (("scalar", {many}, (low, high)),
                                ("arrays", (50, 3), (full((50, 1), low, dtype), full(3, high, dtype)))):
        drawn = jax.random.uniform(jax.random.PRNGKey(7), shape, dtype, *limits)
        np.save(f"{folder}/{{dtype}}_{{low}}_{{high}}_{{name}}.npy", np.asarray(drawn).astype("float32"))
"""


@pytest.fixture(scope="module")
def drawn_by_jax(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    code = DRAW.format(dtypes=NARROW, limits=LIMITS, many=MANY, folder=folder)
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=200)
    return folder


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(("low", "high"), LIMITS)
def test_jax_uniform_between_limits(drawn_by_jax: Path, dtype: str, low: float, high: float) -> None:
    full = lambda shape, value: np.full(shape, value, dtypes.canonical_dtype(dtype))
    given = {"scalar": (MANY, low, high), "arrays": ((50, 3), full((50, 1), low), full(3, high))}
    for name, (shape, *limits) in given.items():
        ours = np.asarray(random.uniform(random.PRNGKey(7), shape, dtype, *limits)).astype("float32")
        np.testing.assert_array_equal(ours, np.load(drawn_by_jax / f"{dtype}_{low}_{high}_{name}.npy"))


def test_jax_uniform_between_limits_float64() -> None:
    ours, theirs = both("uniform", MANY, "float64", -1.3, 2.7)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    "dtype",
    [pytest.param(d.name, marks=[pytest.mark.slow] * (d.name not in ("uint8", "int32"))) for d in dtypes.INTEGERS],
)
def test_jax_randint(dtype: str) -> None:
    limits = np.iinfo(dtype)
    lowest, highest = int(limits.min), int(limits.max)
    ranges = [(0, 10), (-5, 100), (7, 7), (9, 3), (lowest, highest), (lowest // 2, highest // 2 + 3)]
    if limits.bits < 64:
        ranges.append((lowest, highest + 1))
    for low, high in ranges:
        wide = [np.array(v, np.uint64 if v > np.iinfo(np.int64).max else np.int64) for v in (low, high)]
        assert_same(both("randint", (1000,), *wide, dtype))
    assert_same(both("randint", (3, 4), np.array([[0], [5], [10]]), np.array([1, 10, 60, 100]), dtype))
    assert_same(both("randint", (100,), np.float32(1.7), np.float32(60.2), dtype))


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_jax_permutation(axis: int, independent: bool) -> None:
    assert_same(both("permutation", np.arange(3000).reshape(30, 20, 5), axis, independent))


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 70_000])
def test_jax_permutation_of_a_range(size: int) -> None:
    assert_same(both("permutation", size), kinds_only=True)
    assert_same(both("permutation", np.arange(size, dtype=np.float32)))


@pytest.mark.parametrize("shape", [(), (5,), (3, 2)])
def test_jax_choice(shape: tuple[int, ...]) -> None:
    table, p = np.arange(600).reshape(6, 20, 5), np.arange(20, dtype=np.float32)
    with config.using(default_int="int64"):  # as in JAX with 64-bit dtypes
        for replace, weights in itertools.product((True, False), (None, p)):
            assert_same(both("choice", table, shape, replace, weights, 1))


@pytest.mark.parametrize("axis", [-1, 0, pytest.param(1, marks=pytest.mark.slow)])
def test_jax_categorical(axis: int) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    batch = logits.shape[:axis] + logits.shape[axis:][1:]
    for shape, replace, mode in ((None, True, None), ((500, *batch), True, "high"), ((2, *batch), False, None)):
        assert_same(both("categorical", logits, axis, shape, replace, mode), kinds_only=True)


def test_jax_discrete() -> None:
    for p in (np.float32(0.3), np.float64(0.01)):
        assert_same(both("bernoulli", p, MANY))
        assert_same(both("geometric", p, MANY, "int32"))
    assert_same(both("bernoulli", np.linspace(0, 1, 50), (100, 50), "high"))
    with config.using(default_float="float64"):  # as in JAX with 64-bit dtypes
        for dtype in ("int8", "bfloat16"):
            assert_same(both("rademacher", MANY, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "parameters", "rtol"),
    [  # JAX's erf_inv in float64 is good to 1e-12
        ("normal", (), 1e-12),
        ("truncated_normal", (-0.7, 2.0), 1e-11),
        ("exponential", (), 1e-13),
        ("gumbel", (), 1e-13),
        ("laplace", (), 1e-13),
        ("logistic", (), 1e-13),
        ("cauchy", (), 1e-14),
        ("lognormal", (0.5,), 1e-11),
        ("pareto", (2.5,), 1e-13),
        ("rayleigh", (2.5,), 1e-13),
        ("triangular", (-1.0, 0.5, 3.0), 1e-14),
    ],
)
def test_jax_continuous(name: str, parameters: tuple, rtol: float, dtype: str) -> None:
    ours, theirs = both(name, *(np.array(p, dtype) for p in parameters), MANY, dtype)
    assert ours.dtype == theirs.dtype
    # A few units in the last place; absolute ones where logarithms of numbers near 1 cancel.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(ours, theirs, rtol=rtol if dtype == "float64" else 8 * eps, atol=4 * eps)
