"""Windowed reductions of random geometry against plain loops; what padding, ties and NaN do; errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases.windows import each_window, extremum, oracle, params_of, total
from hypothesis import given, settings
from hypothesis import strategies as st

from nrx.core.array import asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.ops import arithmetic, windows
from nrx.transforms import grad, jit, jvp, vjp, vmap

quick = settings(max_examples=200, deadline=None)

KINDS = [("sum", total), ("max", extremum(True, 1)), ("min", extremum(False, 1))]


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, tuple]:
    """An array with ties, and windows over it."""
    ndim = draw(st.integers(0, 3))

    def numbers(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    padding = list(zip(numbers(-1, 4), numbers(-1, 4), strict=True))
    geometry = (numbers(1, 4), numbers(1, 3), padding, numbers(1, 3), numbers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-2, 3, numbers(draw(st.integers(0, 1)), 5)).astype(np.float64)
    if draw(st.booleans()):
        x = np.where(x == 2, np.nan, np.where(x == 1, -np.inf, x))
    return x, geometry


def function_of(kind: str) -> Callable:
    return getattr(windows, f"reduce_window_{kind}")


def gradient(kind: str, x: np.ndarray, geometry: tuple, ct: np.ndarray) -> np.ndarray:
    """The cotangent of x: every element of a window gets that of a sum, the first extreme one that of an extremum."""
    out = np.zeros(x.size)
    for place, inside in each_window(x, *geometry):
        if kind != "sum" and inside:
            inside = [pair for pair in inside if pair[0] == extremum(kind == "max", 0)(inside, x.dtype)]
        for index, _ in inside:
            out[index] += ct[place]
    return out.reshape(x.shape)


@pytest.mark.parametrize(("kind", "one"), KINDS)
@quick
@given(problems())
def test_values_and_gradients_are_those_of_loops(kind: str, one: Callable, problem: tuple) -> None:
    x, geometry = problem
    out, pull_back = vjp(lambda x: function_of(kind)(x, *geometry), asarray(x))
    with np.errstate(invalid="ignore"):
        expected = oracle(one, geometry)(x)
    np.testing.assert_array_equal(np.asarray(out), expected)
    ct = np.random.default_rng(0).integers(1, 9, out.shape).astype(np.float64)
    np.testing.assert_array_equal(np.asarray(pull_back(asarray(ct))[0]), gradient(kind, x, geometry, ct))


@pytest.mark.parametrize("kind", ["sum", "max", "min", "argmax", "argmin"])
@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(-1, 1))
def test_vmap_is_a_loop(kind: str, problem: tuple, axis: int) -> None:
    x, geometry = problem
    axis = min(axis, x.ndim)
    stack = np.stack([x, x * -2, np.flip(x)], axis)
    prim = getattr(windows, f"reduce_window_{kind}_p")
    mapped = vmap(lambda x: prim.bind(x, **params_of(geometry)), in_axes=axis)(asarray(stack))
    expected = [prim.bind(asarray(np.take(stack, i, axis)), **params_of(geometry)) for i in range(3)]
    np.testing.assert_array_equal(np.asarray(mapped), np.stack([np.asarray(row) for row in expected]))


def test_padding_gets_no_derivative() -> None:
    """Neither beside elements of -inf, which are as small, nor where there is nothing else."""
    x = asarray(np.full(3, -np.inf))
    out, pull_back = vjp(lambda x: windows.reduce_window_max(x, (2,), (1,), [(3, 0)]), x)
    np.testing.assert_array_equal(np.asarray(out), np.full(5, -np.inf))
    np.testing.assert_array_equal(np.asarray(pull_back(asarray(np.arange(1.0, 6.0)))[0]), [3 + 4, 5, 0])
    tangent = jvp(lambda x: windows.reduce_window_max(x, (2,), (1,), [(3, 0)]), (x,), (asarray(np.ones(3)),))[1]
    np.testing.assert_array_equal(np.asarray(tangent), [0, 0, 1, 1, 1])


def test_the_first_of_equal_elements_gets_the_derivative() -> None:
    x = asarray(np.ones((3, 4)))

    def pooled(x: Any) -> Any:
        return windows.reduce_window_max(x, (2, 2), (1, 2))

    expected = np.array([[1.0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    out, pull_back = jit(lambda x: (pooled(x), vjp(pooled, x)[1](pooled(x))[0]))(x)
    np.testing.assert_array_equal(np.asarray(out), np.ones((2, 2)))
    np.testing.assert_array_equal(np.asarray(pull_back), expected)


def test_second_derivative_of_a_function_of_maxima() -> None:
    def f(x: Any) -> Any:
        return windows.reduce_window_sum(arithmetic.integer_pow(windows.reduce_window_max(x, (2,)), 3), (2,))

    def derivative(x: Any) -> Any:
        return windows.reduce_window_sum(grad(lambda x: windows.reduce_window_sum(f(x), (1,), (1,))[0])(x), (3,))[0]

    # f = max(x0, x1)³ + max(x1, x2)³ = x1³ + x2³: the derivatives sum to 3x1² + 3x2², theirs are 6x1 and 6x2.
    second = grad(derivative)(asarray(np.array([1.0, 2.0, 5.0])))
    np.testing.assert_allclose(np.asarray(second), [0, 12, 30])


def test_accumulation_is_in_float32() -> None:
    x = asarray(np.ones(4096, np.float32)).astype("bfloat16")
    for length in (4096, 2048):  # one long window, and many
        out = windows.reduce_window_sum(x, (length,))
        np.testing.assert_array_equal(np.asarray(out).astype(np.float32), np.full(4097 - length, length))


@pytest.mark.parametrize(("name", "init"), [("add", 0.0), ("add", 1.5), ("max", 0.5), ("min", -0.5), ("max", -np.inf)])
def test_initial_value_is_used_as_in_jax(name: str, init: float) -> None:
    """Once in every window, and not for padding."""
    jax = pytest.importorskip("jax")
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    geometry = ((2, 3), (1, 2), [(1, 2), (0, 4)], (2, 1), (1, 2))
    got = windows.reduce_window(asarray(x), init, getattr(arithmetic, name), *geometry)
    expected = jax.lax.reduce_window(x, np.float32(init), getattr(jax.lax, name), *geometry)
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-6)


X = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("error", "text", "x", "init", "computation", "geometry"),
    [
        (ArgumentError, "nrx.lax.add", X, 0.0, lambda x, y: x, ((1, 1), (1, 1), "VALID")),
        (ArgumentError, "'multiply'", X, 0.0, np.multiply, ((1, 1), (1, 1), "VALID")),
        (ShapeError, "window_dimensions.*1 entries for 2", X, 0.0, max, ((1,), (1, 1), "VALID")),
        (ArgumentError, "window_dimensions must be positive", X, 0.0, max, ((1, 0), (1, 1), "VALID")),
        (ShapeError, "window_strides", X, 0.0, max, ((1, 1), (1,), "VALID")),
        (ArgumentTypeError, "window_strides must be a sequence", X, 0.0, max, ((1, 1), 2, "VALID")),
        (ArgumentError, "unknown padding", X, 0.0, max, ((1, 1), (1, 1), "HALF")),
        (ArgumentTypeError, r"\[\(1, 1\)\] \* 2", X, 0.0, max, ((1, 1), (1, 1), 3)),
        (ShapeError, r"scalar, got shape \(1,\)", X, np.zeros(1, np.float32), max, ((1, 1), (1, 1), "VALID")),
        (DTypeError, "float32, float64", X, np.float64(0), max, ((1, 1), (1, 1), "VALID")),
        (DTypeError, "does not take complex64", X.astype(np.complex64), 0, max, ((1, 1), (1, 1), "VALID")),
        (DTypeError, "does not take bool", X.astype(bool), False, arithmetic.add, ((1, 1), (1, 1), "VALID")),
    ],
)  # fmt: skip
def test_errors(
    error: type[Exception], text: str, x: np.ndarray, init: Any, computation: Callable, geometry: tuple
) -> None:
    with pytest.raises(error, match=text):
        windows.reduce_window(asarray(x), init, computation, *geometry)
