"""dot_general and convolution of sizes that compiled code computes in each of its ways, on every processor level.

The numbers are small integers, whose sums no dtype but that of the result rounds: every bit is known, from sums in
int64 or complex128. Arguments end where memory must not be touched, and 1, 2 and 5 threads compute the same bits.
"""

import string
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import loop_machine
import numpy as np
import pytest
from cases.convolution import loop_gradients, loops, output_counts, permuted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loop_machine import fenced
from test_contraction import result_of, small_integers
from test_convolution import Problem, convolve
from test_levels import LEVELS, compiled_results, eager_to_share  # noqa: F401

import nrx
from nrx.compiler.compile import _registers, simplified
from nrx.compiler.emit import emit_kernel
from nrx.compiler.targets import describe
from nrx.core import dtypes
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.core.loops import Builder, Operand
from nrx.ops import contraction
from nrx.ops.dot import dot_general, dot_general_p
from nrx.transforms.staging import stage

DTYPES = ["float32", "float64", "bfloat16", "float16", "int32", "int8", "complex64"]
PREFERRED = [
    ("bfloat16", "float32"), ("float16", "float32"), ("float32", "float64"), ("float16", "float64"),
    ("int8", "int32"), ("int8", "float32"),
]  # fmt: skip
KINDS = st.sampled_from([(dtype, None) for dtype in DTYPES] * 2 + PREFERRED)
SIZES = st.sampled_from([1, 2, 3, 5, 8, 13, 16, 17, 31, 32, 48, 64, 65, 96, 130, 257, 600])
MOST_PRODUCTS = 3e6
COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
}


def drawn(seed: int, shape: Sequence[int], dtype: str) -> np.ndarray:
    values = small_integers(seed, shape, dtype)
    return values + 1j * small_integers(seed + 9, shape, dtype) if values.dtype.kind == "c" else values


def wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.int64)


def check(function: Callable, arrays: Sequence[np.ndarray], expected: Sequence[np.ndarray], level: str) -> None:
    """Compare each result of a function with integers, which are rounded to its dtype."""
    program = stage(function, [asarray(x).aval for x in arrays], "products")
    closed, consts = program.closed()
    results = compiled_results(closed, [*map(np.asarray, consts), *map(fenced, arrays)], level)
    for got, exact in zip(results, expected, strict=True):
        np.testing.assert_array_equal(got, exact.astype(got.dtype))


def with_gradients(function: Callable) -> Callable:
    def everything(x: Any, y: Any, ct: Any) -> tuple:
        out, pull_back = nrx.vjp(function, x, y)
        return (out, *pull_back(ct))

    return everything


# dot_general


@st.composite
def products(draw: st.DrawFn) -> tuple[str, str, str, dict[str, int]]:
    """The axes of both operands and of the result as letters, and their lengths."""
    letters = iter(string.ascii_letters)
    counts = [draw(st.sampled_from(c)) for c in ([0, 0, 1, 2], [1, 1, 1, 2, 3], [0, 1, 1, 2], [1, 1, 2])]
    batch, contract, left, right = ("".join(next(letters) for _ in range(count)) for count in counts)
    x, y = ("".join(draw(st.permutations(own + contract + batch))) for own in (left, right))
    lengths: dict[str, int] = {}
    for axis in draw(st.permutations(batch + contract + left + right)):
        total = np.prod([1.0, *lengths.values()])
        lengths[axis] = draw(SIZES.filter(lambda n, total=total: total * n <= MOST_PRODUCTS))
    out = batch + "".join(a for a in x if a in left) + "".join(a for a in y if a in right)
    return x, y, out, lengths


def numbers_of(x: str, y: str, out: str) -> tuple:
    """The dimension numbers of a product, of axes as letters."""
    contract, batch = ([a for a in x if a in y and (a in out) == kept] for kept in (False, True))
    batch.sort(key=out.index)
    return tuple(tuple(tuple(map(axes.index, met)) for axes in (x, y)) for met in (contract, batch))


def dot_of(x: str, y: str, out: str, preferred: str | None = None) -> Callable:
    return lambda a, b: dot_general(a, b, numbers_of(x, y, out), None, preferred)


def einsum(axes: str, *arrays: np.ndarray) -> np.ndarray:
    """Exact: sums of products of integers of 64 bits, or pairs of them in float64."""
    return np.einsum(axes, *map(wide, arrays), optimize=True)


def check_dot(problem: tuple, kind: tuple[str, str | None], level: str) -> None:
    x_axes, y_axes, out_axes, lengths = problem
    dtype, preferred = kind
    x, y = (drawn(i, [lengths[a] for a in axes], dtype) for i, axes in enumerate((x_axes, y_axes)))
    ct = drawn(2, [lengths[a] for a in out_axes], preferred or dtype)
    expected = [einsum(f"{x_axes},{y_axes}->{out_axes}", x, y)]
    function = dot_of(x_axes, y_axes, out_axes, preferred)
    if dtypes.is_integer(x.dtype):
        check(lambda a, b: (function(a, b),), [x, y], expected, level)
        return
    expected.append(einsum(f"{out_axes},{y_axes}->{x_axes}", ct, y))
    expected.append(einsum(f"{out_axes},{x_axes}->{y_axes}", ct, x))
    check(with_gradients(function), [x, y, ct], expected, level)


@settings(max_examples=40, derandomize=True, **COMMON)
@given(products(), KINDS, st.sampled_from(LEVELS))
def test_dot_general(problem: tuple, kind: tuple, level: str) -> None:
    check_dot(problem, kind, level)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1500, **COMMON)
@given(products(), KINDS, st.sampled_from(LEVELS))
def test_many_dot_general(problem: tuple, kind: tuple, level: str) -> None:
    check_dot(problem, kind, level)


DEEP = {
    "matrices": ("ka", "kb", "ab", {"k": 4096, "a": 16, "b": 48}),
    "transposed": ("ak", "bk", "ab", {"k": 4104, "a": 33, "b": 17}),
    "a vector and a matrix": ("k", "kb", "b", {"k": 1 << 16, "b": 40}),
    "batches": ("ika", "ikb", "iab", {"i": 3, "k": 2000, "a": 20, "b": 24}),
    "two axes": ("kla", "klb", "ab", {"k": 8, "l": 700, "a": 20, "b": 24}),
    "a depth of a prime": ("ka", "kb", "ab", {"k": 4099, "a": 20, "b": 30}),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32", "complex64"])
@pytest.mark.parametrize("problem", DEEP)
def test_few_sums_of_many_products(problem: str, dtype: str, level: str) -> None:
    check_dot(DEEP[problem], (dtype, None), level)


@pytest.mark.parametrize("problem", DEEP)
def test_few_sums_are_cut_along_the_depth(problem: str) -> None:
    x, y, out, lengths = DEEP[problem]
    arrays = [Aval(tuple(lengths[a] for a in axes), np.dtype(np.float32)) for axes in (x, y)]
    names = [eqn.prim.name for eqn in simplified(stage(lambda a, b: (dot_of(x, y, out)(a, b),), arrays, "deep")).eqns]
    assert ("split_products" in names) == (problem != "a depth of a prime")


def test_a_transpose_goes_into_a_product_in_parts() -> None:
    """It lay in memory, as large as the operand; and the products were not counted."""
    x = np.ones((9000, 17), np.float32)
    lowered = nrx.jit(lambda x, y: x.T @ y).lower(x, x)
    compiled = lowered.compile()
    assert compiled.memory_analysis().temporary_bytes < x.nbytes / 10
    assert 1 <= compiled.cost_analysis()["flops"] / lowered.cost_analysis()["flops"] < 1.01


@pytest.mark.parametrize("level", LEVELS)
def test_a_product_with_exchanged_operands_is_lowered_anew(level: str) -> None:
    """Its transpose was folded into it: where its rows are the columns, it converts its operands first."""
    check_dot(("ba", "ac", "bc", {"a": 5, "b": 5, "c": 1600}), ("bfloat16", "float32"), level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rows", [17, 33, 40, 65, 130])
def test_rows_that_fill_few_cache_lines(level: str, rows: int) -> None:
    """What is between rows of packed x counts as memory of a task, which is limited."""
    check_dot(("kli", "kjl", "ij", {"k": 40, "l": 64, "i": rows, "j": 2}), ("float32", None), level)


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_sums_of_narrow_integers_that_wait(level: str) -> None:
    """So many fill a vector that those of a block, and what is packed, were too much memory for a task."""
    target = describe(level)
    b = Builder("narrow", _registers(target))
    avals = [Aval(shape, dtypes.canonical_dtype("int8")) for shape in ((8, 2, 570, 400), (402, 8, 400, 2))]
    params = {"dimension_numbers": numbers_of("blik", "jbkl", "bij"), "precision": None, "preferred_element_type": None}
    avals.append(dot_general_p.infer(tuple(avals), params))
    *operands, out = [Operand(b, b.buffer(f"m{i}", "i8", i < 2), aval) for i, aval in enumerate(avals)]
    dot_general_p.lower(*avals[:2], **params).build(b, operands, [out], **params)
    assert "alloca" in emit_kernel(b.kernel, "narrow", target)


@settings(max_examples=8, derandomize=True, **COMMON)
@given(products())
def test_second_derivatives_of_dot_general(problem: tuple) -> None:
    """What jvp makes of a vjp: each product with one operand exchanged for its tangent."""
    x_axes, y_axes, out_axes, lengths = problem
    shapes = [[lengths[a] for a in axes] for axes in (x_axes, y_axes, out_axes)]
    x, y, ct, dx, dy, dct = (drawn(i, shape, "float64") for i, shape in enumerate(shapes * 2))
    pull_back = with_gradients(dot_of(x_axes, y_axes, out_axes))
    forward, left = f"{x_axes},{y_axes}->{out_axes}", f"{out_axes},{y_axes}->{x_axes}"
    right = f"{out_axes},{x_axes}->{y_axes}"
    expected = [
        einsum(axes, da, b) + einsum(axes, a, db)
        for axes, a, da, b, db in ((forward, x, dx, y, dy), (left, ct, dct, y, dy), (right, ct, dct, x, dx))
    ]
    check(lambda *a: nrx.jvp(pull_back, a[:3], a[3:])[1], [x, y, ct, dx, dy, dct], expected, LEVELS[-1])


# How products are computed

CASES: list[tuple[str, Sequence[int], str, Sequence[int], str, str, str | None]] = [
    ("ik", (70, 40), "kj", (40, 65), "ij", "float32", None),  # columns that fill no vector
    ("ik", (66, 2000), "kj", (2000, 64), "ij", "float32", None),  # a long depth
    ("ik", (130, 1500), "jk", (65, 1500), "ij", "float64", None),
    ("ik", (13, 40), "kj", (40, 64), "ij", "float32", None),  # few rows
    ("ik", (9, 40), "jk", (64, 40), "ij", "float32", None),
    ("ki", (40, 77), "kj", (40, 48), "ij", "float32", None),
    ("kil", (20, 77, 3), "klj", (20, 3, 48), "ij", "float32", None),
    ("kli", (30, 30, 77), "kjl", (30, 48, 30), "ij", "float64", None),
    ("kiml", (9, 7, 5, 11), "kjl", (9, 48, 11), "imj", "float32", None),
    ("ik", (70, 41), "jkh", (3, 41, 21), "ijh", "float32", None),  # columns along two axes
    ("bik", (3, 20, 33), "kjb", (33, 40, 3), "bij", "float32", None),  # a batch axis that lies innermost
    ("ik", (70, 41), "kj", (41, 65), "ij", "bfloat16", None),
    ("ik", (70, 42), "jk", (64, 42), "ij", "bfloat16", "float32"),
    ("ik", (70, 1601), "kj", (1601, 48), "ij", "float16", None),  # narrow sums of a long depth
    ("ik", (70, 41), "kj", (41, 64), "ij", "int8", "int32"),
    ("ik", (3, 700), "kj", (700, 601), "ij", "float32", None),  # y is read once
    ("ik", (70, 41), "kj", (41, 65), "ij", "complex64", None),
    ("ik", (3, 700), "kj", (700, 33), "ij", "float32", None),
]  # fmt: skip
WAYS = {
    "streamed", "tiled", "x in place", "x packed", "x packed by depth", "y in place", "y packed", "y turned",
    "columns along two axes", "depth in parts", "rows left over", "columns that fill no vector", "sums aside",
}  # fmt: skip


def ways_of(kernel: Any) -> Iterator[str]:
    """What a kernel does."""
    if not isinstance(kernel, contraction.Packed):
        yield "tiled" if isinstance(kernel, contraction._Tiled) else "streamed"
        return
    yield "x in place" if kernel.x_in_place else "x packed by depth" if kernel.by_depth else "x packed"
    yield "y in place" if kernel.y_in_place else "y turned" if kernel.is_turned else "y packed"
    found = {
        "columns along two axes": len(kernel.way.columns) > 1, "depth in parts": not kernel.is_whole,
        "rows left over": not kernel.is_even, "columns that fill no vector": kernel.columns % kernel.lanes,
        "sums aside": not kernel.direct,
    }  # fmt: skip
    yield from (name for name, is_so in found.items() if is_so)


def bounded(kernel: Any, memory: Sequence[np.ndarray], level: str, before: bool) -> None:
    """Run a kernel whose buffers, each, have memory that must not be touched on one side."""
    copies = [fenced(array, before) for array in memory]
    loop_machine.run(kernel, copies, level=level)
    for array, copy in zip(memory, copies, strict=True):
        array[...] = copy


@pytest.mark.parametrize("level", LEVELS)
def test_every_way_to_compute_products(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each occurs, gives the same bits, and touches no memory outside of its arrays."""
    seen: set[str] = set()
    for name in ("Packed", "_Tiled", "_Streaming"):
        kind = getattr(contraction, name)

        def made(self: Any, *args: Any, make: Callable = kind.__init__) -> None:
            make(self, *args)
            seen.update(ways_of(self))

        monkeypatch.setattr(kind, "__init__", made)
    monkeypatch.setattr(Builder.__init__, "__defaults__", (_registers(describe(level)),))
    for x_axes, x_shape, y_axes, y_shape, out_axes, dtype, preferred in CASES:
        x, y = drawn(0, x_shape, dtype), drawn(1, y_shape, dtype)
        params = {
            "dimension_numbers": numbers_of(x_axes, y_axes, out_axes), "precision": None,
            "preferred_element_type": preferred and dtypes.canonical_dtype(preferred),
        }  # fmt: skip
        for before in (False, True):
            got = result_of(dot_general_p, [x, y], partial(bounded, level=level, before=before), **params)
            expected = einsum(f"{x_axes},{y_axes}->{out_axes}", x, y)
            np.testing.assert_array_equal(got, expected.astype(got.dtype))
    assert seen == WAYS


# Convolution


@st.composite
def problems(draw: st.DrawFn, dtype: str) -> Problem:
    ndim = draw(st.sampled_from([1, 2, 2, 3]))
    groups = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (4, 1), (48, 1), (1, 2), (1, 3)]))
    is_deep = max(groups) == 48
    channels = st.sampled_from([1, 2] if is_deep else [1, 3, 5, 8, 16, 17, 24, 33, 64])
    inputs, outputs, batch = draw(channels), draw(channels), draw(st.integers(1, 4))
    steps = st.sampled_from([1, 1, 1, 2, 3])

    def numbers(values: st.SearchStrategy) -> tuple[int, ...]:
        return tuple(draw(values) for _ in range(ndim))

    geometry = {
        "strides": numbers(steps), "padding": tuple(zip(*(numbers(st.integers(-2, 3)) for _ in range(2)), strict=True)),
        "lhs_dilation": numbers(steps), "rhs_dilation": numbers(steps),
        "feature_groups": groups[0], "batch_groups": groups[1],
    }  # fmt: skip
    sizes, window = numbers(st.integers(1, {1: 40, 2: 11, 3: 5}[ndim])), numbers(st.integers(1, 6 - ndim))
    names = ("strides", "padding", "lhs_dilation", "rhs_dilation")
    counts = output_counts(sizes, window, *(geometry[name] for name in names))
    places = float(np.prod([*counts, *window]))
    products = places * batch * inputs * outputs * max(groups)
    if products > MOST_PRODUCTS or places * max(groups) > 4000:
        geometry["strides"], sizes, window = (1,) * ndim, (3,) * ndim, (2,) * ndim
    layouts = draw(st.sampled_from([("NSC", "SIO", "NSC"), ("NCS", "OIS", "NCS"), None]))
    if layouts is None:
        layouts = tuple("".join(draw(st.permutations(letters + "XYZ"[:ndim]))) for letters in ("NC", "OI", "NC"))
    layouts = tuple(layout.replace("S", "XYZ"[:ndim]) for layout in layouts)
    x = drawn(0, (batch * groups[1], inputs * groups[0], *sizes), dtype)
    w = drawn(1, (outputs * max(groups), inputs, *window), dtype)
    counts = output_counts(sizes, window, *(geometry[name] for name in names))
    return Problem(x, w, drawn(2, (batch, outputs * max(groups), *counts), dtype), geometry, layouts)


CONVOLUTIONS = st.sampled_from(DTYPES).flatmap(problems)


def check_convolution(problem: Problem, level: str) -> None:
    x, w, ct = map(wide, (problem.x, problem.w, problem.ct))
    (lhs, rhs), layouts = problem.logical, problem.layouts
    arrays = [np.ascontiguousarray(v) for v in problem.laid_out()]
    expected = [permuted(loops(x, w, **problem.geometry), lhs, layouts[2])]
    function = convolve(problem)
    if dtypes.is_integer(problem.x.dtype):
        check(lambda a, b: (function(a, b),), arrays[:2], expected, level)
        return
    dx, dw = loop_gradients(x, w, ct, **problem.geometry)
    expected += [permuted(dx, lhs, layouts[0]), permuted(dw, rhs, layouts[1])]
    check(with_gradients(function), arrays, expected, level)


@settings(max_examples=40, derandomize=True, **COMMON)
@given(CONVOLUTIONS, st.sampled_from(LEVELS))
def test_convolution(problem: Problem, level: str) -> None:
    check_convolution(problem, level)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1500, **COMMON)
@given(CONVOLUTIONS, st.sampled_from(LEVELS))
def test_many_convolutions(problem: Problem, level: str) -> None:
    check_convolution(problem, level)


@settings(max_examples=8, derandomize=True, **COMMON)
@given(problems("float64"))
def test_second_derivatives_of_convolution(problem: Problem) -> None:
    lhs, rhs = problem.logical
    x, w, ct = map(wide, (problem.x, problem.w, problem.ct))
    dx, dw, dct = (drawn(3 + i, v.shape, "int64") for i, v in enumerate((x, w, ct)))
    forward, backward = partial(loops, **problem.geometry), partial(loop_gradients, **problem.geometry)
    of_x = backward(x, w, dct)[0] + backward(x, dw, ct)[0]
    of_w = backward(x, w, dct)[1] + backward(dx, w, ct)[1]
    layouts = list(zip((lhs, rhs, lhs), problem.layouts, strict=True))
    expected = [permuted(v, *layouts[i]) for v, i in ((forward(dx, w) + forward(x, dw), 2), (of_x, 0), (of_w, 1))]
    arrays = [np.ascontiguousarray(permuted(v, *layouts[i % 3])) for i, v in enumerate((x, w, ct, dx, dw, dct))]
    pull_back = with_gradients(convolve(problem))
    check(lambda *a: nrx.jvp(pull_back, a[:3], a[3:])[1], [v.astype(np.float64) for v in arrays], expected, LEVELS[-1])
