"""Sums of products: every way to compute them, with small tiles on small arrays, and large arrays as they are."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import loop_interpreter
import loop_machine
import numpy as np
import pytest
from cases.convolution import loops as convolved
from cases.convolution import permuted
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_interpreter import lowered
from test_convolution import Problem, problems
from test_dot import contractions

from nrx.compiler import llvm, targets
from nrx.compiler.compile import compile_program
from nrx.core import dtypes, loops
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.core.errors import CompilerError
from nrx.core.loops import Builder, Registers
from nrx.core.primitive import Primitive
from nrx.ops import contraction, dot, packed_products
from nrx.ops.convolution import conv_general_dilated, conv_general_dilated_p
from nrx.ops.dot import dot_general, dot_general_p
from nrx.transforms import jit, vjp
from nrx.transforms.staging import stage

#: How the work is cut: as in tiny caches, so that few elements make many tiles.
SMALL: dict[str, Any] = {
    "_ROWS": 2,
    "_HEIGHT": 4,
    "_WIDTH": 3,
    "_SHORT": 3,
    "_MOST_STREAMED": 2,
    "_STREAM_WIDTH": 2,
}
SMALL_PACKS: dict[str, Any] = {
    "_WIDTH": 6, "_NARROW": 4, "_HEIGHT_BYTES": 16, "_HEIGHTS": 2, "_RIGHT_BYTES": 300, "_LEFT_BYTES": 200,
    "_FEWEST_TASKS": 3, "_SHORTEST_RUN": 2, "_SHORT_ROW": 0,
}  # fmt: skip

RUNS = [
    pytest.param(loop_interpreter.run, id="interpreted"),
    *[pytest.param(partial(loop_machine.run, level=level), id=level) for level in loop_machine.LEVELS],
]
PAIRED_RUNS = [
    RUNS[0],
    *[pytest.param(partial(loop_machine.run, level=level), id=level) for level in targets.host_levels()
      if targets.describe(level).has_bf16_pairs],
]  # fmt: skip


@pytest.fixture(params=["packed", "y packed", "x by table", "y in place", "in place"])
def small_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, values in ((contraction, SMALL), (packed_products, SMALL_PACKS)):
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(contraction, "_is_packable", lambda way: request.param != "in place")
    if request.param in ("packed", "x by table"):
        monkeypatch.setattr(packed_products.Packed, "_is_x_in_place", lambda self: False)
    if request.param == "packed":
        monkeypatch.setattr(packed_products.Packed, "_is_by_table", lambda self: False)
    if request.param == "y in place":
        monkeypatch.setattr(packed_products, "_SHORT_ROW", 1 << 20)
    monkeypatch.setattr(Builder.__init__, "__defaults__", (Registers(128, 8),))
    monkeypatch.setattr(dot, "_FEW_PRODUCTS", 0)
    monkeypatch.setattr(dot, "_SHORT_DEPTH", 0)
    monkeypatch.setattr(dot, "_FEW_ROWS", 0)


def result_of(prim: Primitive, arrays: Sequence[np.ndarray], run: Callable, **params: Any) -> np.ndarray:
    (out,) = lowered(prim, [Aval(x.shape, x.dtype) for x in arrays], arrays, params, run) or [None]
    assert out is not None
    return out


def small_integers(seed: int, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Numbers whose sums of products no dtype rounds."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtypes.canonical_dtype(dtype))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=40, deadline=None)
@given(contractions(), st.sampled_from(["float32", "float64", "complex64", "int16"]), st.sampled_from([1, 2, 5]))
def test_dot_general(run: Callable, problem: tuple, dtype: str, scale: int) -> None:
    check_dot_general(run, problem, dtype, dtype, scale)


@pytest.fixture
def paired(small_tiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Builder.__init__, "__defaults__", (Registers(128, 8, has_pairs=True),))


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("run", PAIRED_RUNS)
@settings(max_examples=100, deadline=None)
@given(contractions(), st.sampled_from(["bfloat16", "float32"]), st.sampled_from([1, 2, 5]))
def test_products_of_pairs(run: Callable, problem: tuple, out: str, scale: int) -> None:
    check_dot_general(run, problem, "bfloat16", out, scale)


def test_only_processors_that_have_products_of_pairs_get_them() -> None:
    x, y = Aval((32, 64), dtypes.bfloat16), Aval((64, 48), dtypes.bfloat16)
    program = stage(lambda x, y: x @ y, [x, y], "pairs")
    texts = {}
    for level in ("x86-64-v4-bf16", "x86-64-v4", "aarch64"):
        texts[level] = compile_program(program, targets.describe(level, "linux")).text
        llvm.assemble(texts[level], targets.describe(level, "linux"))
    assert [level for level, text in texts.items() if "dpbf16ps.512" in text] == ["x86-64-v4-bf16"]
    with pytest.raises(CompilerError, match=r"dpbf16ps\.512 is not an intrinsic"):
        llvm.assemble(texts["x86-64-v4-bf16"], targets.describe("x86-64-v4", "linux"))


def check_dot_general(run: Callable, problem: tuple, dtype: str, out: str, scale: int) -> None:
    x_axes, y_axes, out_axes, numbers, sizes = problem
    sizes = {axis: length * scale if length > 1 else length for axis, length in sizes.items()}
    if np.prod([float(n) for n in sizes.values()]) > 3000:
        return
    x, y = (small_integers(i, [sizes[a] for a in axes], dtype) for i, axes in enumerate((x_axes, y_axes)))
    (x_sum, y_sum), (x_batch, y_batch) = (tuple(map(tuple, pair)) for pair in numbers)
    numbers = ((x_sum, y_sum), (x_batch, y_batch))
    preferred = None if out == dtype else dtypes.canonical_dtype(out)
    params = {"dimension_numbers": numbers, "precision": None, "preferred_element_type": preferred}
    got = result_of(dot_general_p, [x, y], run, **params)
    wide = np.float64 if dtype == "bfloat16" else dtype
    expected = np.einsum(f"{x_axes},{y_axes}->{out_axes}", x.astype(wide), y.astype(wide)).astype(
        dtypes.canonical_dtype(out)
    )
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=30, deadline=None)
@given(problems(), st.sampled_from(["float32", "complex128", "int32"]))
def test_convolution(run: Callable, problem: Problem, dtype: str) -> None:
    x, w = (small_integers(i, array.shape, dtype) for i, array in enumerate((problem.x, problem.w)))
    if problem.ct.size * w[:1].size > 2000:
        return
    recorded: list[dict] = []
    bind = conv_general_dilated_p.bind
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Primitive, "bind", lambda self, *args, **params: recorded.append(params) or bind(*args, **params))
        (lhs, rhs), layouts = problem.logical, problem.layouts
        arrays = [permuted(x, lhs, layouts[0]), permuted(w, rhs, layouts[1])]
        conv_general_dilated(*map(asarray, arrays), **problem.params)
    got = result_of(conv_general_dilated_p, arrays, run, **recorded[0])
    np.testing.assert_array_equal(got, permuted(convolved(x, w, **problem.geometry), lhs, layouts[2]))


NN, NT, TN, TT = ((((i,), (j,)), ((), ())) for i, j in ((1, 0), (1, 1), (0, 0), (0, 1)))


def near(got: Any, expected: np.ndarray, sums: np.ndarray, eps: float) -> None:
    """Within the error of a sum that is rounded after each product; `sums` are of the products' absolute values."""
    assert np.max(np.abs(np.asarray(got) - expected) - eps * sums, initial=-1) <= 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "bfloat16", "float16", "int8", "uint32"])
@pytest.mark.parametrize(("m", "k", "n"), [(130, 70, 65), (1, 300, 200), (7, 500, 600), (90, 900, 10), (33, 5, 129)])
def test_compiled_products(dtype: str, m: int, k: int, n: int) -> None:
    """Every layout of matrices larger than a tile."""
    rng = np.random.default_rng(m)
    kind = dtypes.canonical_dtype(dtype)
    x, y = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    if dtypes.is_complex(kind):
        x, y = x + 1j * rng.normal(size=(m, k)), y - 1j * rng.normal(size=(k, n))
    elif dtypes.is_integer(kind):
        x, y = 100 * x, np.abs(90 * y)
    with np.errstate(invalid="ignore"):
        x, y = x.astype(kind), y.astype(kind)
    if dtypes.is_integer(kind):
        wide = [v.astype(np.int64) for v in (x, y)]
    else:
        wide = [v.astype(np.complex128 if dtypes.is_complex(kind) else np.float64) for v in (x, y)]
    expected = wide[0] @ wide[1]
    for numbers, left, right in ((NN, x, y), (NT, x, y.T), (TN, x.T, y), (TT, x.T, y.T)):
        got = jit(lambda a, b, numbers=numbers: dot_general(a, b, numbers))(
            asarray(np.ascontiguousarray(left)), asarray(np.ascontiguousarray(right))
        )
        assert got.dtype == kind
        if dtypes.is_integer(kind):
            np.testing.assert_array_equal(np.asarray(got), expected.astype(kind))
            continue
        accumulated = 2 * k * float(np.finfo(np.float32 if kind != np.float64 else np.float64).eps)
        rounding = float(dtypes.finfo(kind).eps)
        near(
            np.asarray(got).astype(expected.dtype), expected, np.abs(wide[0]) @ np.abs(wide[1]), accumulated + rounding
        )


@pytest.mark.parametrize("layouts", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("HWCN", "OHWI", "CNHW")])
@pytest.mark.parametrize("groups", [1, 4, 20])
def test_compiled_convolutions(layouts: tuple[str, str, str], groups: int) -> None:
    """Values and gradients of a convolution larger than a tile, in float32."""
    rng = np.random.default_rng(groups)
    x, w = rng.normal(size=(2, 20, 13, 11)), rng.normal(size=(40, 20 // groups, 3, 2))
    geometry = {
        "strides": (2, 1), "padding": ((1, 2), (0, 1)), "lhs_dilation": (1, 1), "rhs_dilation": (1, 2),
        "feature_groups": groups, "batch_groups": 1,
    }  # fmt: skip
    names = ["NCHW", "OIHW", "NCHW"]
    arrays = [np.ascontiguousarray(permuted(v, names[i], layouts[i])) for i, v in enumerate((x, w))]

    def function(x: Any, w: Any) -> Any:
        return conv_general_dilated(
            x, w, (2, 1), geometry["padding"], None, (1, 2), layouts, feature_group_count=groups
        )  # fmt: skip

    def gradients(x: Any, w: Any, ct: Any) -> Any:
        return vjp(function, x, w)[1](ct)

    narrow = [asarray(v.astype(np.float32)) for v in arrays]
    out = jit(function)(*narrow)
    expected = permuted(convolved(x, w, **geometry), "NCHW", layouts[2])
    np.testing.assert_allclose(np.asarray(out), expected, atol=1e-4)
    ct = rng.normal(size=expected.shape)
    # The gradients in float64 are tested against loops elsewhere.
    answers = gradients(*map(asarray, (*arrays, ct)))
    for got, answer in zip(jit(gradients)(*narrow, asarray(ct.astype(np.float32))), answers, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(answer), atol=2e-4)


def test_many_numbers_of_rows() -> None:
    """One function for many batch sizes, whose code is made anew for few of them."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(50, 70))
    forward = jit(lambda x, w: dot_general(x, w, NN))
    backward = jit(lambda x, ct: dot_general(x, ct, TN))
    for m in (3, 40, 41, 64, 100, 129, 300, 1, 17):
        x, ct = rng.normal(size=(m, 50)), rng.normal(size=(m, 70))
        np.testing.assert_allclose(np.asarray(forward(x, w)), x @ w, atol=1e-12)
        np.testing.assert_allclose(np.asarray(backward(x, ct)), x.T @ ct, atol=1e-11)


@pytest.mark.parametrize("level", loop_machine.LEVELS)
def test_multiplication_and_addition_are_rounded_once_or_twice(level: str) -> None:
    rng = np.random.default_rng(0)
    x, y, z = (rng.normal(size=100).astype(np.float32) for _ in range(3))
    out = np.zeros(100, np.float32)
    b = Builder("muladd")
    *sources, target = [b.buffer(name, "f32", name != "out") for name in ("x", "y", "z", "out")]
    b.lanes(100, lambda i: b.store(target, i, loops.apply("muladd", *[b.load(source, i) for source in sources])))
    loop_machine.run(b.kernel, [x, y, z, out], level=level)
    exact = x.astype(np.float64) * y
    once, twice = (exact + z).astype(np.float32), exact.astype(np.float32) + z
    assert np.all((out == once) | (out == twice))
    assert np.any(once != twice)
