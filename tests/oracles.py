"""Independent answers for tests of transformations: JAX, central differences, and Python loops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from known_differences import ACCUMULATED, ACCUMULATED_UNITS, CANCELLING, FUSED, ROUNDED, ROUNDED_UNITS

import nrx
from nrx.core import dtypes
from nrx.core.dtypes import float0
from nrx.core.program import Program, subprograms


def leaves(tree: Any) -> list[np.ndarray]:
    """The leaves of a result as NumPy arrays."""
    return [np.asarray(leaf) for leaf in nrx.tree_util.tree_leaves(tree)]


def assert_same(got: Any, expected: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    """Equal structures (leaf by leaf), shapes and values; NaN equals NaN."""
    pairs = leaves(got), leaves(expected)
    assert len(pairs[0]) == len(pairs[1])
    for ours, theirs in zip(*pairs, strict=True):
        assert ours.shape == theirs.shape
        if ours.dtype != float0:
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def agrees_with_jax(program: Callable, *args: Any, rtol: float = 1e-10) -> None:
    """`program(namespace, *arrays)` gives the same tree, dtypes and values in nrx and in JAX, with 64-bit defaults."""
    jax = pytest.importorskip("jax")

    def arrays(namespace: Any) -> Any:
        return nrx.tree_util.tree_map(lambda x: namespace.numpy.asarray(x) if isinstance(x, np.ndarray) else x, args)

    with nrx.config.using(default_float="float64", default_int="int64"):
        ours = nrx.tree_util.tree_leaves_with_path(program(nrx, *arrays(nrx)))
    with jax.enable_x64(True):
        compiled = jax.jit(lambda *args: program(jax, *args))
        theirs = jax.tree_util.tree_leaves_with_path(compiled(*arrays(jax)))
        answers = [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in theirs]
    assert [nrx.tree_util.keystr(path) for path, _ in ours] == [path for path, _ in answers]
    for (path, got), (_, expected) in zip(ours, answers, strict=True):
        result = np.asarray(got)
        assert (result.shape, result.dtype.name) == (expected.shape, expected.dtype.name), path
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=1e-12, err_msg=path)


def gradient(function: Callable, x: Any, step: float = 1e-3) -> np.ndarray:
    """The gradient of a scalar function of one float64 array, by extrapolated central differences."""
    x = np.asarray(x, np.float64)
    result = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        unit = np.zeros_like(x)
        unit[index] = 1

        def central(h: float, unit: np.ndarray = unit) -> float:
            up, down = (float(function(nrx.numpy.asarray(x + side * unit))) for side in (h, -h))
            return (up - down) / (2 * h)

        result[index] = (4 * central(step / 2) - central(step)) / 3
    return result


def looped(function: Callable, *args: Any) -> list[np.ndarray]:
    """What `vmap` over the first axis of every argument must give: calls one by one, stacked."""
    rows = [leaves(function(*(arg[i] for arg in args))) for i in range(len(args[0]))]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def primitives_of(program: Program) -> set[str]:
    """The names of the primitives in a Program and in those inside."""
    inner = [p for eqn in program.eqns for p in subprograms(eqn.params)]
    return {eqn.prim.name for eqn in program.eqns}.union(*map(primitives_of, inner))


def assert_as_eager(program: Program, compiled: np.ndarray, eager: np.ndarray) -> None:
    """Equal bits, except for floating results of primitives that are ROUNDED or ACCUMULATED: those within bounds.

    The bounds and their reasons are in `known_differences.py`: units in the last place of the value, or of the largest
    of all values where numbers were accumulated or are complex.
    """
    names = primitives_of(program)
    inexact = ROUNDED | ACCUMULATED | (FUSED if eager.dtype.kind == "c" else frozenset())
    if eager.dtype.kind in "biu" or names.isdisjoint(inexact):
        assert compiled.tobytes() == eager.tobytes()
        return
    limits = dtypes.finfo(eager.dtype)
    unit, tiny = float(limits.eps), float(limits.smallest_subnormal)
    wide = np.complex128 if eager.dtype.kind == "c" else np.float64
    got, expected = compiled.astype(wide), eager.astype(wide)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    if names.isdisjoint(ACCUMULATED) and eager.dtype.kind != "c":
        absolute = tiny if names.isdisjoint(CANCELLING) else unit * (1 + largest)
        np.testing.assert_allclose(got, expected, rtol=ROUNDED_UNITS * unit, atol=ROUNDED_UNITS * absolute)
    else:
        bound = ACCUMULATED_UNITS * unit
        np.testing.assert_allclose(got, expected, rtol=bound, atol=bound * largest)
