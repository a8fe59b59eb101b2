"""What follows a product is computed with it: when that is so, and that the results are those of NumPy in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_interpreter import run_program

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler.plan import Run, Shared
from nrx.core.dtypes import bfloat16
from nrx.core.program import Program

#: Of x, of w, and of what is added to the product: one part of the depth, several, and rows and columns left over.
SHAPES = [((24, 40), (40, 64)), ((50, 1500), (1500, 160)), ((33, 700), (700, 50)), ((200, 64), (64, 33))]


def draw(*shapes: tuple[int, ...], dtype: Any = np.float32) -> list[np.ndarray]:
    """Normal numbers, the first array such that its products with the second are about as large as these."""
    rng = np.random.default_rng(len(shapes))
    first, *rest = (rng.normal(size=shape) for shape in shapes)
    return [array.astype(dtype) for array in (first / np.sqrt(first.shape[-1]), *rest)]


def kernels(function: Callable, *args: Any) -> list[str]:
    """The names of what is run, in order."""
    block = Shared().block(program_of(function, *args))
    return [action.kernel.name for action in block.actions if isinstance(action, Run)]


def program_of(function: Callable, *args: Any) -> Program:
    return nrx.jit(function).trace(*map(jnp.asarray, args))


def activation(xp: Any, x: Any, w: Any, b: Any) -> Any:
    return xp.maximum(x @ w + b, 0)


def activation_and_sums(xp: Any, x: Any, w: Any, b: Any) -> Any:
    h = x @ w + b
    return h, xp.tanh(h)


def product_and_activation(xp: Any, x: Any, w: Any, b: Any) -> Any:
    h = x @ w
    return xp.where(h > 0, h, xp.expm1(xp.minimum(h, 0))) + b, h


def update(xp: Any, x: Any, w: Any, b: Any) -> Any:
    """Of b, with the gradient of a layer and its moment."""
    gradient = x @ w
    moment = 0.9 * b + 0.1 * gradient
    return b - 0.01 * moment / (xp.abs(moment) + 1), moment


def two_products(xp: Any, x: Any, w: Any, b: Any) -> Any:
    first, second = x @ w, (2 * x) @ w
    return first * xp.sin(second) + b, first - second


def rows_apart(xp: Any, x: Any, w: Any, b: Any) -> Any:
    h = (x @ w).reshape(2, -1, w.shape[1])
    return xp.exp(-h * h) + b[:1]


def on_from_itself(xp: Any, x: Any, w: Any, b: Any) -> Any:
    square = w @ w.T
    return square * 0.5 + square.T + x[:1] + b[:1, :1]


@pytest.mark.parametrize("function", [activation, activation_and_sums, product_and_activation, update, two_products])
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("broadcast", [False, True])
def test_results(function: Callable, shapes: tuple, broadcast: bool) -> None:
    (m, _), (_, n) = shapes
    arrays = draw(*shapes, (n,) if broadcast else (m, n))
    got = nrx.tree.leaves(nrx.jit(lambda *args: function(jnp, *args))(*arrays))
    right = nrx.tree.leaves(function(np, *(array.astype(np.float64) for array in arrays)))
    for a, b in zip(got, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("function", [rows_apart, on_from_itself])
def test_other_shapes(function: Callable) -> None:
    arrays = draw((40, 64), (64, 48), (48, 48))
    if function is on_from_itself:
        arrays[0] = arrays[0][:, :64]
    got = nrx.jit(lambda *args: function(jnp, *args))(*arrays)
    right = function(np, *(array.astype(np.float64) for array in arrays))
    np.testing.assert_allclose(got, right, rtol=0, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("function", [activation, activation_and_sums, product_and_activation, update])
@settings(max_examples=15, deadline=None)
@given(st.integers(9, 40), st.integers(20, 60), st.integers(16, 70), st.booleans())
def test_memory_is_planned_for(function: Callable, m: int, k: int, n: int, broadcast: bool) -> None:
    """The plan, carried out in Python: no element is overwritten before all have read it."""
    arrays = draw((m, k), (k, n), (n,) if broadcast else (m, n))
    program = program_of(lambda *args: function(jnp, *args), *arrays)
    right = nrx.tree.leaves(function(np, *(array.astype(np.float64) for array in arrays)))
    for a, b in zip(run_program(program, arrays), right, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1, np.abs(b).max()))


def test_what_follows_is_one_kernel_with_the_product() -> None:
    x, w, b = draw((64, 128), (128, 96), (96,))
    for function in (activation, activation_and_sums, product_and_activation):
        assert len(kernels(lambda *args, f=function: f(jnp, *args), x, w, b)) == 1
    assert len(kernels(lambda *args: update(jnp, *args), x, w, draw((64, 96))[0])) == 1
    assert len(kernels(lambda *args: two_products(jnp, *args), x, w, b)) == 3  # 2 * x, and two products
    x16, w16 = x.astype(bfloat16), w.astype(bfloat16)
    assert len(kernels(lambda x, w: jnp.tanh((x @ w).astype(jnp.float32)), x16, w16)) == 1


def test_what_needs_more_than_an_element_waits_for_the_product() -> None:
    x, w = draw((64, 128), (128, 96))
    norm = kernels(lambda x, w: (x @ w) / (x @ w).max(1, keepdims=True), x, w)
    assert norm[0] == "dot_general"
    assert len(norm) == 2
    assert kernels(lambda x, w: (x @ w)[::-1] * 2, x, w)[0] == "dot_general"


def test_donated_memory_is_updated_in_place() -> None:
    """Where sums wait for the next part of the depth, results that others are computed from are not in their memory."""
    for k in (64, 3000):
        x, w, b = draw((128, k), (k, 192), (128, 192))
        right, moment = update(np, *(array.astype(np.float64) for array in (x, w, b)))
        got = nrx.jit(lambda *args: update(jnp, *args), donate_argnums=2)(x, w, jnp.asarray(b))
        np.testing.assert_allclose(got[0], right, rtol=0, atol=1e-5)
        np.testing.assert_allclose(got[1], moment, rtol=0, atol=1e-5)


@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
@pytest.mark.parametrize("layout", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")])
def test_convolutions(strides: tuple[int, int], layout: tuple[str, str, str]) -> None:
    """Activations and gradients through them, by finite differences in float64."""
    shapes = {"NHWC": (2, 9, 10, 16), "NCHW": (2, 16, 9, 10), "HWIO": (3, 3, 16, 24), "OIHW": (24, 16, 3, 3)}
    bias = (24,) if layout[0] == "NHWC" else (24, 1, 1)
    x, w, b = draw(shapes[layout[0]], shapes[layout[1]], bias, dtype=np.float64)

    def loss(x: Any, w: Any, b: Any) -> Any:
        y = lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=layout)
        return (jnp.tanh(0.1 * y + b) ** 2).sum()

    with nrx.enable_x64():
        value, gradients = nrx.jit(nrx.value_and_grad(loss, (0, 1, 2)))(x, w, b)
        plain, change = nrx.jit(loss), [np.random.default_rng(3).normal(size=a.shape) for a in (x, w, b)]
        ahead, behind = (plain(*(a + s * d for a, d in zip((x, w, b), change, strict=True))) for s in (1e-5, -1e-5))
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, change, strict=True))
    np.testing.assert_allclose(slope, float(ahead - behind) / 2e-5, rtol=1e-7)
    assert float(value) > 0
