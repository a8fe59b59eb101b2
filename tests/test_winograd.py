"""Convolutions by fewer products: the sums of products, exactly where nothing is rounded; when they are chosen."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cases.convolution import loop_gradients, loops, permuted
from hypothesis import given, settings
from hypothesis import strategies as st
from test_contraction import RUNS, result_of, small_integers

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler.programs import CompiledProgram
from nrx.core.array import asarray
from nrx.core.primitive import Primitive
from nrx.ops import convolution
from nrx.ops import winograd as module
from nrx.ops.convolution import conv_general_dilated, conv_general_dilated_p

pytest.importorskip("llvmlite")

KERNELS = ["HWIO", "HWOI", "IHWO", "OHWI"]
sizes = st.integers(1, 9)
pads = st.tuples(st.integers(-1, 3), st.integers(-1, 3))


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Chosen wherever it can be; whether it was, for each convolution."""
    found: list[bool] = []
    plain = module.winograd

    def counted(*args: Any) -> Any:
        program = plain(*args)
        found.append(program is not None)
        return program

    monkeypatch.setattr(module, "_MEMORY_COST", 0)
    monkeypatch.setattr(module, "_WORTH_IT", 1e9)
    monkeypatch.setattr(convolution, "winograd", counted)
    monkeypatch.setattr(CompiledProgram, "_name", lambda self: None)  # nothing is found again
    convolution.conv_general_dilated_p.forget()
    yield found
    convolution.conv_general_dilated_p.forget()


def integers(seed: int, *shape: int) -> np.ndarray:
    return small_integers(seed, shape, "float32")


@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), sizes, sizes, pads, pads, st.sampled_from(KERNELS))
def test_forward(run: Callable, n: int, c: int, k: int, h: int, w: int, p: Any, q: Any, layout: str) -> None:
    if h + sum(p) < 3 or w + sum(q) < 3:
        return
    x, kernel = integers(1, n, c, h, w), integers(2, k, c, 3, 3)
    arrays = [permuted(x, "NCHW", "NHWC"), permuted(kernel, "OIHW", layout)]
    recorded: list[dict] = []
    bind = conv_general_dilated_p.bind
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MEMORY_COST", 0)
        patch.setattr(module, "_WORTH_IT", 1e9)
        patch.setattr(Primitive, "bind", lambda self, *a, **params: recorded.append(params) or bind(*a, **params))
        conv_general_dilated(*map(asarray, arrays), (1, 1), [p, q], dimension_numbers=("NHWC", layout, "NHWC"))
        conv_general_dilated_p.forget()
        got = result_of(conv_general_dilated_p, arrays, run, **recorded[0])
        conv_general_dilated_p.forget()
    ones = {"strides": (1, 1), "lhs_dilation": (1, 1), "rhs_dilation": (1, 1), "feature_groups": 1, "batch_groups": 1}
    expected = loops(x, kernel, padding=(p, q), **ones)
    np.testing.assert_array_equal(got, permuted(expected, "NCHW", "NHWC"))


@pytest.mark.parametrize("layouts", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("NHWC", "OHWI", "NHWC")])
@pytest.mark.parametrize(("n", "h", "w", "c", "k"), [(2, 8, 8, 16, 32), (3, 7, 5, 5, 9), (1, 1, 2, 70, 3)])
@pytest.mark.parametrize("padding", ["SAME", ((2, 1), (0, 3))])
def test_values_and_gradients(
    chosen: list[bool], layouts: tuple, n: int, h: int, w: int, c: int, k: int, padding: Any
) -> None:
    pairs = ((1, 1), (1, 1)) if padding == "SAME" else padding
    x, kernel = integers(1, n, c, h, w), integers(2, k, c, 3, 3)
    ones = {"strides": (1, 1), "lhs_dilation": (1, 1), "rhs_dilation": (1, 1), "feature_groups": 1, "batch_groups": 1}
    expected = loops(x, kernel, padding=pairs, **ones)
    ct = integers(3, *expected.shape)
    dx, dk = loop_gradients(x, kernel, ct, padding=pairs, **ones)

    def both(x: Any, kernel: Any, ct: Any) -> Any:
        out, pull = nrx.vjp(
            lambda x, y: conv_general_dilated(x, y, (1, 1), padding, dimension_numbers=layouts), x, kernel
        )
        return out, *pull(ct)

    arrays = [permuted(a, "NCHW", layouts[0]) for a in (x, ct)]
    got = nrx.jit(both)(arrays[0], permuted(kernel, "OIHW", layouts[1]), arrays[1])
    wanted = [(expected, "NCHW", layouts[2]), (dx, "NCHW", layouts[0]), (dk, "OIHW", layouts[1])]
    for result, (array, source, target) in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(result, permuted(array, source, target))
    assert sum(chosen) >= 3


def test_open_batches(chosen: list[bool]) -> None:
    function = nrx.jit(lambda x, y: conv_general_dilated(x, y, (1, 1), "SAME", dimension_numbers=LAYOUTS))
    kernel = integers(2, 3, 3, 8, 16)
    for count in (2, 3, 5):
        x = integers(count, count, 6, 7, 8)
        padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        expected = sum(padded[:, i : i + 6, j : j + 7] @ kernel[i, j] for i in range(3) for j in range(3))
        np.testing.assert_array_equal(function(x, kernel), expected)
    assert all(chosen)


LAYOUTS = ("NHWC", "HWIO", "NHWC")


def names_of(x: tuple, kernel: tuple, dtype: str = "float32", **params: Any) -> str:
    program = nrx.jit(
        lambda x, y: conv_general_dilated(
            x, y, **{"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": LAYOUTS, **params}
        )
    ).lower(nrx.ShapeDtypeStruct(x, dtype), nrx.ShapeDtypeStruct(kernel, dtype))
    return str(program.compile()._executable._compiled.simplified())


def test_when_it_is_chosen() -> None:
    image, kernel = (4, 28, 28, 128), (3, 3, 128, 128)
    assert "tiles" in names_of(image, kernel)
    assert "tiles" in names_of(image, kernel, precision="default")
    assert "tiles" not in names_of(image, kernel, precision="highest")
    assert "tiles" not in names_of(image, kernel, "float64")
    assert "tiles" not in names_of(image, kernel, window_strides=(2, 2))
    assert "tiles" not in names_of(image, (5, 5, 128, 128))
    assert "tiles" not in names_of((4, 28, 28, 3), (3, 3, 3, 16))
    assert "tiles" not in names_of((4, 2, 2, 256), (3, 3, 256, 256), padding=((0, 1), (0, 1)))


def test_errors_are_those_of_rounding() -> None:
    """No larger than those of the sums as written, on numbers of one size."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 16, 16, 128)), rng.normal(size=(3, 3, 128, 128))
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = sum(padded[:, i : i + 16, j : j + 16] @ kernel[i, j] for i in range(3) for j in range(3))

    def error(precision: str) -> float:
        function = nrx.jit(
            lambda x, y: lax.conv_general_dilated(x, y, (1, 1), "SAME", dimension_numbers=LAYOUTS, precision=precision)
        )
        got = function(jnp.asarray(x, "float32"), jnp.asarray(kernel, "float32"))
        return float(np.sqrt(np.mean((np.asarray(got) - expected) ** 2)))

    assert error("default") < 1.2 * error("highest") < 1e-3
