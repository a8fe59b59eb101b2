"""Convolutions of random shapes, strides, paddings, dilations, groups and layouts against plain loops and JAX."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from cases.convolution import loop_gradients, loops, permuted
from hypothesis import given, settings
from hypothesis import strategies as st

import nrx
import nrx.numpy as jnp
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.ops import convolution, convolution_eager
from nrx.ops.convolution import conv_general_dilated
from nrx.ops.convolution_geometry import ConvDimensionNumbers, conv_dimension_numbers
from nrx.transforms import jit, vjp, vmap


@dataclass(frozen=True)
class Problem:
    """A convolution of arrays in the layouts NC… and OI…, and the layouts it is asked for in."""

    x: np.ndarray
    w: np.ndarray
    ct: np.ndarray
    geometry: dict[str, Any]
    layouts: tuple[str, str, str]

    @property
    def logical(self) -> tuple[str, str]:
        """The layouts of the arrays here; the order of the spatial axes is that of the kernel."""
        space = self.layouts[1].replace("O", "").replace("I", "")
        return "NC" + space, "OI" + space

    @property
    def params(self) -> dict[str, Any]:
        return {
            "window_strides": self.geometry["strides"],
            "padding": self.geometry["padding"],
            "lhs_dilation": self.geometry["lhs_dilation"],
            "rhs_dilation": self.geometry["rhs_dilation"],
            "feature_group_count": self.geometry["feature_groups"],
            "batch_group_count": self.geometry["batch_groups"],
            "dimension_numbers": self.layouts,
        }

    def laid_out(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, w and ct in the layouts asked for."""
        lhs, rhs = self.logical
        return (
            permuted(self.x, lhs, self.layouts[0]),
            permuted(self.w, rhs, self.layouts[1]),
            permuted(self.ct, lhs, self.layouts[2]),
        )


@st.composite
def problems(draw: st.DrawFn, zeros: bool = True) -> Problem:
    ndim = draw(st.sampled_from([0, 1, 1, 2, 2, 3]))
    feature_groups, batch_groups = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]))
    least = draw(st.sampled_from([0, 1, 1, 1])) if zeros else 1

    def numbers(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    batch, inputs = draw(st.integers(least, 3)), draw(st.integers(least, 3))
    outputs = draw(st.integers(least, 2))
    geometry = {
        "strides": numbers(1, 3),
        "padding": tuple(zip(numbers(-1, 3), numbers(-1, 3), strict=True)),
        "lhs_dilation": numbers(1, 3),
        "rhs_dilation": numbers(1, 3),
        "feature_groups": feature_groups,
        "batch_groups": batch_groups,
    }
    sizes, window = numbers(2 * least, 6), numbers(least, 3)
    layouts = tuple("".join(draw(st.permutations(letters + "XYZ"[:ndim]))) for letters in ("NC", "OI", "NC"))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(batch * batch_groups, inputs * feature_groups, *sizes))
    w = rng.normal(size=(outputs * feature_groups * batch_groups, inputs, *window))
    ct = rng.normal(size=loops(x, w, **geometry).shape)
    return Problem(x, w, ct, geometry, layouts)


def close(got: Any, expected: np.ndarray, tolerance: float = 1e-12) -> None:
    largest = np.max(np.abs(expected), initial=1)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=tolerance * largest)


def convolve(problem: Problem) -> Any:
    return lambda x, w: conv_general_dilated(x, w, **problem.params)


@settings(max_examples=300, deadline=None)
@given(problems())
def test_values_and_gradients_are_those_of_loops(problem: Problem) -> None:
    x, w, ct = problem.laid_out()
    out, pull_back = vjp(convolve(problem), asarray(x), asarray(w))
    lhs, rhs = problem.logical
    close(out, permuted(loops(problem.x, problem.w, **problem.geometry), lhs, problem.layouts[2]))
    dx, dw = loop_gradients(problem.x, problem.w, problem.ct, **problem.geometry)
    for got, expected in zip(
        pull_back(asarray(ct)),
        (permuted(dx, lhs, problem.layouts[0]), permuted(dw, rhs, problem.layouts[1])),
        strict=True,
    ):
        close(got, expected)


@settings(max_examples=100, deadline=None)
@given(problems(), st.sampled_from([(0, None), (None, 0), (0, 0), (1, -1), (-1, 1)]))
def test_vmap_is_a_loop(problem: Problem, in_axes: tuple[int | None, int | None]) -> None:
    """Of the convolution and of both its gradients, which have groups on other axes."""
    x, w, ct = problem.laid_out()
    rng = np.random.default_rng(0)

    def stacked(array: np.ndarray, axis: int | None) -> np.ndarray:
        return array if axis is None else np.stack([array * factor for factor in rng.normal(size=3)], axis)

    def at(array: np.ndarray, axis: int | None, i: int) -> Array:
        return asarray(array if axis is None else np.take(array, i, axis))

    def everything(x: Array, w: Array) -> list[Array]:
        out, pull_back = vjp(convolve(problem), x, w)
        return [out, *pull_back(asarray(ct))]

    xs, ws = stacked(x, in_axes[0]), stacked(w, in_axes[1])
    mapped = vmap(everything, in_axes=in_axes)(asarray(xs), asarray(ws))
    expected = [everything(at(xs, in_axes[0], i), at(ws, in_axes[1], i)) for i in range(3)]
    for got, *rows in zip(mapped, *expected, strict=True):
        close(got, np.stack([np.asarray(row) for row in rows]))


@settings(max_examples=40, deadline=None)
@given(problems(zeros=False))
def test_values_and_gradients_are_those_of_jax(problem: Problem) -> None:
    jax = pytest.importorskip("jax")
    x, w, ct = problem.laid_out()
    if 0 in ct.shape:  # XLA refuses windows of length 0, which the gradient would have
        return
    out, pull_back = vjp(convolve(problem), asarray(x), asarray(w))
    with jax.enable_x64(True):
        expected, theirs = jax.vjp(lambda x, w: jax.lax.conv_general_dilated(x, w, **problem.params), x, w)
        gradients = theirs(jax.numpy.asarray(ct))
    close(out, np.asarray(expected))
    for got, answer in zip(pull_back(asarray(ct)), gradients, strict=True):
        close(got, np.asarray(answer))


# --- How it is computed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layouts", [("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC"), ("HWCN", "HWOI", "CHNW")])
@pytest.mark.parametrize(
    ("channels", "outputs", "groups", "stride", "dilation"),
    [(3, 4, 1, 1, 1), (6, 1, 1, 1, 2), (4, 4, 4, 2, 1), (4, 8, 2, 1, 1), (5, 2, 1, 2, 1)],
)
@pytest.mark.parametrize("setting", [{"BLOCK_BYTES_CPU": 300}, {"SHORT_RUN": 0}, {"SHORT_RUN": 1000}, {}])
def test_blocks_and_layouts_in_memory(
    layouts: tuple[str, str, str], channels: int, outputs: int, groups: int, stride: int, dilation: int, setting: dict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Whichever way the matrices are made, and however the operands lie in memory, the values are right."""
    for name, value in setting.items():
        monkeypatch.setattr(convolution_eager, name, value)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, channels, 9, 8)), rng.normal(size=(outputs, channels // groups, 3, 2))
    geometry = {
        "strides": (stride, 1), "padding": ((1, 1), (0, 2)), "lhs_dilation": (dilation, 1), "rhs_dilation": (1, 2),
        "feature_groups": groups, "batch_groups": 1,
    }  # fmt: skip
    expected = loops(x, w, **geometry)
    problem = Problem(x, w, rng.normal(size=expected.shape), geometry, layouts)
    for reverse in (False, True):
        lhs, rhs, _ = problem.laid_out()
        if reverse:  # views with steps that are negative
            lhs, rhs = lhs[::-1].copy()[::-1], rhs[:, ::-1].copy()[:, ::-1]
        out = convolution_eager.convolved(
            np, lhs, rhs, **problem.params | {
                "dimension_numbers": conv_dimension_numbers(lhs.shape, rhs.shape, layouts),
                "precision": None, "preferred_element_type": None,
            }
        )  # fmt: skip
        close(out, permuted(expected, "NCHW", layouts[2]))


# --- Gradients of narrow dtypes, layouts, errors ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_gradients_with_a_wide_result(dtype: str) -> None:
    """Products of narrow arrays kept in float32: gradients have the arrays' dtype and its accuracy."""
    rng = np.random.default_rng(0)
    x, w = (asarray(rng.normal(size=s).astype(np.float32)).astype(dtype) for s in ((2, 3, 7), (4, 3, 3)))
    geometry = {
        "strides": (2,), "padding": ((1, 1),), "lhs_dilation": (1,), "rhs_dilation": (1,), "feature_groups": 1,
        "batch_groups": 1,
    }  # fmt: skip

    def function(x: Array, w: Array) -> Array:
        return conv_general_dilated(x, w, (2,), [(1, 1)], preferred_element_type="float32")

    out, pull_back = vjp(function, x, w)
    assert out.dtype == np.float32
    ct = rng.normal(size=out.shape).astype(np.float32)
    exact = [np.asarray(v).astype(np.float64) for v in (x, w, ct)]
    close(out, loops(*exact[:2], **geometry), 1e-6)
    for got, expected in zip(pull_back(asarray(ct)), loop_gradients(*exact, **geometry), strict=True):
        assert got.dtype == dtype
        close(np.asarray(got).astype(np.float64), expected, 1e-2)


def test_dimension_numbers() -> None:
    numbers = conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), ("NHWC", "HWIO", "CWNH"))
    assert numbers == ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (2, 0, 3, 1))
    assert conv_dimension_numbers((1, 2, 3), (1, 2, 3), None) == ((0, 1, 2),) * 3
    assert conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), numbers) == numbers


X, W = np.zeros((2, 3, 5, 4), np.float32), np.zeros((6, 3, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("error", "text", "x", "w", "options"),
    [
        (ShapeError, r"\(2, 3, 5, 4\) and rhs \(6, 3\)", X, W[:, :, 0, 0], {}),
        (ShapeError, "3 features.*rhs takes 2", X, W[:, :2], {}),
        (ShapeError, "channels last", X.transpose(0, 2, 3, 1), W, {}),
        (ShapeError, "feature_group_count=3.*5 output", X, W[:5, :1], {"feature_group_count": 3}),
        (ShapeError, "batch_group_count=4", X, W, {"batch_group_count": 4}),
        (ArgumentError, "one of them 1", X[:, :2], W, {"batch_group_count": 2, "feature_group_count": 2}),
        (ArgumentError, "must be positive", X, W, {"feature_group_count": 0}),
        (ArgumentError, "window_strides must be positive", X, W, {"window_strides": (0, 1)}),
        (ShapeError, "rhs_dilation.*1 entries for 2 axes", X, W, {"rhs_dilation": (1,)}),
        (ArgumentTypeError, "lhs_dilation must be a sequence", X, W, {"lhs_dilation": 2}),
        (ShapeError, r"padding.*1 entries for 2 axes", X, W, {"padding": [(0, 0)]}),
        (ArgumentTypeError, "padding must be", X, W, {"padding": [1, 1]}),
        (ArgumentError, "unknown padding 'FULL'", X, W, {"padding": "FULL"}),
        (ArgumentError, "use conv_transpose", X, W, {"padding": "SAME", "lhs_dilation": (2, 2)}),
        (ArgumentError, "'NHCC'", X, W, {"dimension_numbers": ("NHCC", "OIHW", "NCHW")}),
        (ShapeError, "name 4 axes", X, W, {"dimension_numbers": ("NHC", "OIH", "NHC")}),
        (ArgumentTypeError, "three strings", X, W, {"dimension_numbers": ("NHWC", "HWIO")}),
        (DTypeError, "float32.*float64", X, W.astype(np.float64), {}),
        (DTypeError, "does not take bool", X.astype(bool), W.astype(bool), {}),
        (DTypeError, "cannot be given as int32", X, W, {"preferred_element_type": "int32"}),
        (ArgumentError, "unknown precision 'low'", X, W, {"precision": "low"}),
    ],
)  # fmt: skip
def test_errors(error: type[Exception], text: str, x: np.ndarray, w: np.ndarray, options: dict[str, Any]) -> None:
    with pytest.raises(error, match=f"(?s){text}"):
        conv_general_dilated(asarray(x), asarray(w), **{"window_strides": (1, 1), "padding": "VALID"} | options)


def test_errors_of_conv_transpose() -> None:
    with pytest.raises(ArgumentError, match="unknown padding"):
        convolution.conv_transpose(asarray(X), asarray(W), (1, 1), "SAME_LOWER")
    with pytest.raises(ArgumentError, match="pass dimension_numbers"):
        convolution.conv_transpose(asarray(np.zeros((1,) * 6)), asarray(np.zeros((1,) * 6)), (1,) * 4, "SAME")


@pytest.mark.parametrize("padding", ["SAME", "VALID", [(0, 0), (0, 0)], [(1, 0), (2, 1)]])
@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_conv_transpose_is_that_of_jax(padding: Any, consistent: bool, transpose_kernel: bool) -> None:
    jax = pytest.importorskip("jax")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 3, 5))
    w = rng.normal(size=(2, 3, 4, 5) if transpose_kernel else (2, 3, 5, 4))
    for strides, dilation in (((2, 3), None), ((1, 2), (2, 1)), ((3, 1), (1, 3))):
        options = {"transpose_kernel": transpose_kernel, "use_consistent_padding": consistent, "rhs_dilation": dilation}
        got = convolution.conv_transpose(asarray(x), asarray(w), strides, padding, **options)
        with jax.enable_x64(True):
            expected = jax.lax.conv_transpose(x, w, strides, padding, **options)
        close(got, np.asarray(expected))


def reached(x: np.ndarray, kernel: np.ndarray, padding: tuple[int, int], broken: np.ndarray) -> np.ndarray:
    """Which sums have a product of an element of x with a broken one of the kernel: (groups, outputs, places)."""
    low, high = padding
    inside = np.ones(x.shape[-1] - max(-low, 0) - max(-high, 0))
    covered = np.pad(inside, (max(low, 0), max(high, 0)))
    return np.array([[np.correlate(covered, taps, "valid") > 0.5 for taps in group] for group in broken.astype(float)])


@pytest.mark.parametrize(
    ("size", "taps", "outputs", "dtype"),
    [
        (1, 4, 1, "float32"), (6, 3, 3, "complex128"), (5, 9, 1, "float64"), (70, 66, 9, "float32"),
        (150, 7, 1, "complex64"), (130, 200, 2, "float32"), (300, 260, 1, "float32"), (70, 301, 1, "complex128"),
    ],
)  # fmt: skip
def test_the_padding_of_vectors_has_no_products(size: int, taps: int, outputs: int, dtype: str) -> None:
    """So that what is not finite in the kernel is found only where it meets an element."""
    rng = np.random.default_rng(size)
    x = rng.normal(size=(2, 2, size)).astype(dtype)
    kernel = rng.normal(size=(2, outputs, taps)).astype(dtype)
    broken = rng.random(kernel.shape) < 1 / taps
    spoilt = np.where(broken, np.where(rng.random(kernel.shape) < 0.5, np.nan, np.inf), kernel).astype(dtype)
    for padding in ((taps - 1, taps - 1), (taps + 2, taps // 2), (-1, taps + 1), (taps, -1)):
        if size + sum(padding) < taps or size == 1 > min(padding):
            continue

        def function(x: Any, kernel: Any, padding: tuple[int, int] = padding) -> Array:
            return conv_general_dilated(x, kernel.reshape(-1, 1, taps), (1,), [padding], feature_group_count=2)

        bad = reached(x, kernel, padding, broken).reshape(2 * outputs, -1)
        low, high = padding
        cut = np.pad(x[..., max(-low, 0) : size - max(-high, 0)], ((0, 0), (0, 0), (max(low, 0), max(high, 0))))
        expected = [
            [np.correlate(row[g], taps_of.conj(), "valid") for g in range(2) for taps_of in kernel[g]] for row in cut
        ]
        for run in (function, jit(function)):
            close(run(x, kernel), np.array(expected), 1e-5)
            found = np.asarray(run(x, spoilt))
            np.testing.assert_array_equal(np.isfinite(found), np.broadcast_to(~bad, found.shape))
            close(np.where(bad, 0, found), np.where(bad, 0, np.array(expected)), 1e-5)


@pytest.mark.parametrize("mode", ["full", "same"])
def test_vectors_that_are_not_finite_in_a_batch(mode: str) -> None:
    """Whichever operands are batched, compiled or not, and in the gradient."""
    rng = np.random.default_rng(0)
    xs, ys = rng.normal(size=(3, 40)), rng.normal(size=(3, 9))
    ys[1, 4], ys[2, 0] = np.nan, np.inf

    def gradient(x: Array, y: Array) -> Array:
        return vjp(lambda x: jnp.convolve(x, y, mode), x)[1](jnp.ones(48 if mode == "full" else 40, "float64"))[0]

    for x_axis, y_axis in ((0, 0), (None, 0), (0, None)):
        pairs = [(xs[0 if x_axis is None else i], ys[1 if y_axis is None else i]) for i in range(3)]
        operands = asarray(xs[0] if x_axis is None else xs), asarray(ys[1] if y_axis is None else ys)
        mapped = vmap(partial(jnp.convolve, mode=mode), in_axes=(x_axis, y_axis))
        for run in (mapped, jit(mapped)):
            np.testing.assert_allclose(run(*operands), [np.convolve(x, y, mode) for x, y in pairs], rtol=1e-5)
        slopes = vmap(gradient, in_axes=(x_axis, y_axis))
        start = 0 if mode == "full" else 4
        expected = [[y[max(start - i, 0) : start + 40 - i if start else 9].sum() for i in range(40)] for _, y in pairs]
        for run in (slopes, jit(slopes)):
            np.testing.assert_allclose(run(*operands), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "preferred"), [("int8", "int32"), ("uint8", "float32"), ("bfloat16", "float32"), ("bool", "int32")]
)
def test_vectors_are_multiplied_in_the_preferred_type(dtype: str, preferred: str) -> None:
    """They neither wrap nor are rounded before they are converted."""
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.normal(size=n) * 100).astype(dtype) for n in (50, 8))
    exact = [np.asarray(v).astype(np.float64) for v in (x, y)]
    for name in ("convolve", "correlate"):
        for mode in ("full", "same", "valid"):
            found = getattr(jnp, name)(x, y, mode, preferred_element_type=preferred)
            assert found.dtype == preferred
            np.testing.assert_allclose(found, getattr(np, name)(*exact, mode), rtol=1e-5, atol=1e-2)


def test_vectors_of_another_kind_than_preferred() -> None:
    with pytest.raises(DTypeError, match="int32"):
        jnp.convolve(jnp.ones(3), jnp.ones(2), preferred_element_type="int32")


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_vectors_that_are_not_finite(mode: str, number: float) -> None:
    x, y = np.array([1.0, 2.0, number]), np.array([1.0, 1.0, 1.0, 2.0])
    for a, b in ((x, y), (y, x)):
        for name, options in (("convolve", (mode,)), ("correlate", (mode,)), ("polymul", ())):
            expected = getattr(np, name)(a, b, *options)
            for dtype in (float, complex):
                slid = partial(lambda f, options, a, b: f(a, b, *options), getattr(jnp, name), options)
                for f in (slid, jit(slid)):
                    found = f(a.astype(dtype), b.astype(dtype))
                    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
                    if dtype is float:
                        np.testing.assert_array_equal(found, expected)


def test_windows_without_elements() -> None:
    """Sums of nothing, where there are any."""
    x, w = np.zeros((1, 1, 0)), np.zeros((1, 1, 0))
    for function in (conv_general_dilated, jit(conv_general_dilated, static_argnums=(2, 3))):
        np.testing.assert_array_equal(function(x, w, (1,), ((0, 0),)), np.zeros((1, 1, 1)))
        np.testing.assert_array_equal(function(np.ones((1, 1, 3)), w, (1,), ((0, 0),)), np.zeros((1, 1, 4)))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("taps", [1, 2, 3, 5])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2), (-1, 3)])
@pytest.mark.parametrize("length", [1, 7, 8])
def test_spread_operands(stride: int, taps: int, padding: tuple[int, int], length: int) -> None:
    """With zeros between the elements of lhs, which compiled code leaves out: each residue has windows of its own."""
    if (length - 1) * stride + 1 + sum(padding) < taps:
        return
    rng = np.random.default_rng(taps)
    x, w = rng.normal(size=(2, length, 5, 20)), rng.normal(size=(taps, 2, 20, 40))
    paddings, steps = (padding, (1, 1)), (stride, 2)
    function = partial(
        conv_general_dilated, window_strides=(1, 1), padding=paddings, lhs_dilation=steps,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    wide = np.zeros((2, (length - 1) * stride + 1, 9, 20))
    wide[:, ::stride, ::2] = x
    (low, high), rows = padding, wide.shape[1]
    wide = np.pad(wide, ((0, 0), (max(low, 0), max(high, 0)), (1, 1), (0, 0)))[:, max(-low, 0) :]
    wide = wide[:, : rows + low + high]
    count = wide.shape[1] - taps + 1
    expected = sum(
        wide[:, i : i + count, j : j + wide.shape[2] - 1] @ w[i, j] for i in range(taps) for j in range(2)
    )  # fmt: skip
    np.testing.assert_allclose(jit(function)(x, w), expected, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 2])
def test_many_zeros_between_elements(rank: int) -> None:
    """The input gradient of patches, compiled: as many parts as residues would be code without end."""
    step = {1: 240, 2: 16}[rank]
    x = np.random.default_rng(0).normal(size=(2, 3, *[2 * step] * rank))
    kernel = np.random.default_rng(1).normal(size=(4, 3, *[step] * rank))
    out = nrx.jit(nrx.grad(lambda x: (nrx.lax.conv(x, kernel, (step,) * rank, "VALID") ** 2).sum()))(x)
    patches = x.reshape(2, 3, *[2, step] * rank)
    letters = "ijpq"[:rank], "uvst"[:rank]
    axes = "".join(a + b for a, b in zip(*letters, strict=True))
    values = np.einsum(f"nc{axes},kc{letters[1]}->nk{letters[0]}", patches, kernel)
    expected = 2 * np.einsum(f"nk{letters[0]},kc{letters[1]}->nc{axes}", values, kernel)
    np.testing.assert_allclose(out, expected.reshape(x.shape), rtol=1e-9, atol=1e-9)
