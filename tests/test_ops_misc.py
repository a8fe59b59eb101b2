"""Edges of reductions, slices, cumulation and sorting that the case table cannot hold: ties, NaN, limits, messages."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import nrx.backends  # noqa: F401 - registers NumPy's
from nrx.core import dtypes
from nrx.core.array import asarray
from nrx.core.errors import ArgumentError, AxisError, DTypeError, IndexingError, NrxError, ShapeError
from nrx.ops import cumulative, dynamic, reductions, slicing, sorting
from nrx.ops.arithmetic import mul
from nrx.ops.structural import reduce_sum
from nrx.transforms import grad, hessian, jit, make_jaxpr, vmap

nan, inf = np.nan, np.inf
BF16 = np.dtype(ml_dtypes.bfloat16)


def total(x: Any) -> Any:
    return reduce_sum(x, range(x.ndim))


def part(x: Any, start: int, stop: int) -> Any:
    return slicing.slice(x, (start,), (stop,))


def in_jax(function: Callable[..., Any], *args: Any) -> Any:
    """`function(lax, jax)` called on `args` in JAX with 64-bit types, as NumPy."""
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(jax.lax, jax)(*map(jax.numpy.asarray, args)))


def same(got: Any, expected: Any) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    if dtypes.is_narrow(got.dtype):  # NumPy does not know their NaN
        got, expected = got.astype(np.float32), expected.astype(np.float32)
    np.testing.assert_array_equal(got, expected)


# --- Reductions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reduce_max", "reduce_min"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_ties_share_the_gradient(name: str, axes: tuple[int, ...]) -> None:
    x = np.array([[1.0, 3, 3, 1], [3, 1, 3, 3], [1, 1, 1, 1]])
    got = grad(lambda x: total(getattr(reductions, name)(x, axes)))(x)
    same(got, in_jax(lambda lax, jax: jax.grad(lambda x: getattr(lax, name)(x, axes).sum()), x))
    np.testing.assert_allclose(np.sum(got), np.prod([n for a, n in enumerate(x.shape) if a not in axes]), rtol=1e-15)


def test_second_derivative_of_max_is_zero() -> None:
    same(hessian(lambda x: reductions.reduce_max(x, (0,)))(np.array([1.0, 3, 3])), np.zeros((3, 3)))


@pytest.mark.parametrize("name", ["reduce_max", "reduce_min"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "complex64"])
def test_nan_propagates(name: str, dtype: str) -> None:
    x = np.array([[1, nan, 3], [4, 5, 6]]).astype(dtypes.canonical_dtype(dtype))
    got = np.asarray(getattr(reductions, name)(x, (1,)))
    assert np.isnan(got).tolist() == [True, False]


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_first_nan_then_first_of_ties(name: str, dtype: str) -> None:
    rows = np.array([[2, nan, -inf, nan], [1, 1, 1, 1], [5, 7, 7, 5], [inf, inf, -inf, -inf]])
    x = rows.astype(dtypes.canonical_dtype(dtype))
    expected = in_jax(lambda lax, _: lambda x: getattr(lax, name)(x, 1, "int32"), x)
    same(getattr(reductions, name)(x, 1, "int32"), expected)


@pytest.mark.parametrize("name", ["reduce_max", "reduce_min"])
@pytest.mark.parametrize("dtype", [d for d in dtypes.ALL if d.name != "float8_e8m0fnu"], ids=str)  # JAX gives NaN
def test_extremes_over_nothing_are_the_identities(name: str, dtype: np.dtype) -> None:
    x = np.zeros((0, 2), dtype)
    same(getattr(reductions, name)(x, (0,)), in_jax(lambda lax, _: lambda x: getattr(lax, name)(x, (0,)), x))


@pytest.mark.parametrize("name", ["reduce_and", "reduce_or", "reduce_xor"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64"])
def test_bitwise_over_nothing(name: str, dtype: str) -> None:
    x = np.zeros((0, 2), dtype)
    same(getattr(reductions, name)(x, (0,)), in_jax(lambda lax, _: lambda x: getattr(lax, name)(x, (0,)), x))


def test_derivative_over_nothing_is_zero() -> None:
    for function in (reductions.reduce_max, reductions.reduce_prod):
        same(grad(lambda x, f=function: total(f(x, (0,))))(np.zeros((0, 3))), np.zeros((0, 3)))


@pytest.mark.parametrize("zeros", [[], [2], [0, 3], [0, 1, 4]])
def test_hessian_of_product_with_zeros(zeros: list[int]) -> None:
    x = np.array([2.0, 3, 5, 7, 11])
    x[zeros] = 0
    rest = [[np.prod(np.delete(x, [i, k])) * (i != k) for k in range(5)] for i in range(5)]
    product = lambda x: reductions.reduce_prod(x, (0,))
    same(grad(product)(x), np.array([np.prod(np.delete(x, i)) for i in range(5)]))
    same(hessian(product)(x), np.array(rest))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_floats_accumulate_in_float32(dtype: str) -> None:
    x = np.full(600, 1.0078125, dtypes.canonical_dtype(dtype))
    wide = x.astype(np.float64)
    same(reductions.reduce_prod(x, (0,)), np.asarray(np.prod(wide)).astype(x.dtype))
    ones = np.ones(600, x.dtype)
    same(cumulative.cumsum(ones), np.arange(1, 601).astype(x.dtype))
    same(cumulative.cumsum(ones, reverse=True), np.arange(600, 0, -1).astype(x.dtype))
    same(part(cumulative.cumprod(x), 599, 600), np.prod(wide, keepdims=True).astype(x.dtype))


def test_integers_wrap() -> None:
    x = np.array([100, 100, 3], np.int8)
    same(reductions.reduce_prod(x, (0,)), np.int8(30000 - 117 * 256))
    same(cumulative.cumsum(x), np.array([100, -56, -53], np.int8))
    same(cumulative.cumprod(x), np.array([100, 16, 48], np.int8))


def test_fp8() -> None:
    x = np.array([[1, -3, 2], [0.5, 4, 1]], dtypes.canonical_dtype("float8_e4m3fn"))
    same(reductions.reduce_max(x, (1,)), np.array([2, 4], x.dtype))
    same(reductions.argmin(x, 1, "int32"), np.array([1, 0], np.int32))
    same(sorting.sort(x), np.array([[-3, 1, 2], [0.5, 1, 4]], x.dtype))


# --- Slices -----------------------------------------------------------------------------------------------------------


def test_a_slice_of_everything_is_the_array_itself() -> None:
    x = asarray(np.ones((2, 3)))
    assert slicing.slice(x, (0, 0), (2, 3)) is x
    assert slicing.concatenate([x], 1) is x
    assert slicing.split(x, (3,), 1)[0] is x


def test_scalars_take_the_dtype_of_the_padded_array() -> None:
    same(slicing.pad(np.ones(1, BF16), 2, [(1, 0, 0)]), np.array([2, 1], BF16))
    same(slicing.pad(np.ones(1, np.uint8), 255, [(1, 0, 0)]), np.array([255, 1], np.uint8))
    assert slicing.pad(1.0, 2.0, []).weak_type


def test_concatenate_takes_the_rows_of_an_array() -> None:
    same(slicing.concatenate(asarray(np.arange(6).reshape(3, 2)), 0), np.arange(6))


@pytest.mark.parametrize("start", [-7, -6, -5, -1, 0, 3, 4, 99])
@pytest.mark.parametrize("allow", [True, False])
def test_starts_wrap_once_then_clamp(start: int, allow: bool) -> None:
    x = np.arange(5.0)
    if start < 0 and not allow:
        expected = x[:2]  # JAX refuses negative Python integers here and clamps arrays
    else:
        expected = in_jax(lambda lax, _: lambda x: lax.dynamic_slice(x, (start,), (2,)), x)
    values: list[Any] = [start, np.int64(start), asarray(np.int8(start)), np.array([start])]
    for value in values:
        starts = value if np.ndim(value) else (value,)
        same(dynamic.dynamic_slice(x, starts, (2,), allow_negative_indices=allow), expected)
        got = jit(lambda x, s: dynamic.dynamic_slice(x, s, (2,), allow_negative_indices=allow))(x, starts)
        same(got, expected)


def test_starts_of_a_dtype_too_small_for_the_length() -> None:
    for start in (np.int8(-1), asarray(np.int8(-1))):
        same(dynamic.dynamic_slice(np.arange(300), (start,), (1,)), np.array([299]))


def test_starts_of_several_dtypes() -> None:
    x = np.arange(12).reshape(3, 4)
    starts = (np.array([0, 5], np.uint8), np.array([-1, 1]))
    got = vmap(lambda i, k: dynamic.dynamic_slice(x, (i, k), (1, 2)))(*starts)
    same(got, np.array([[[2, 3]], [[9, 10]]]))


def test_constant_starts_record_no_arithmetic() -> None:
    program = make_jaxpr(lambda x: dynamic.dynamic_slice(x, (-2,), (1,)))(np.arange(5))
    assert [eqn.prim.name for eqn in program.eqns] == ["dynamic_slice"]
    same(program(asarray(np.arange(5)))[0], np.array([3]))


# --- Cumulation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_cumulation_keeps_nan_from_the_first_one_on(reverse: bool, dtype: str) -> None:
    x = np.array([3, 1, nan, 2, inf, -inf]).astype(dtypes.canonical_dtype(dtype))
    for name in ("cummax", "cummin", "cumsum", "cumprod", "cumlogsumexp"):
        got = np.asarray(getattr(cumulative, name)(x, reverse=reverse))
        bad = np.isnan(got)
        assert (bad[:3] if reverse else bad[2:]).all()
        if name in ("cummax", "cummin", "cumlogsumexp"):
            assert not (bad[3:] if reverse else bad[:2]).any()


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulated_extremes_share_the_gradient_as_the_extreme_does(name: str, reverse: bool) -> None:
    x = np.array([1.0, 3, 3, 1, 3, -inf, 5, 5, -inf, -inf])
    reduce = getattr(reductions, {"cummax": "reduce_max", "cummin": "reduce_min"}[name])
    cumulate = getattr(cumulative, name)
    for i in range(len(x)):
        got = grad(lambda x, i=i: total(part(cumulate(x, reverse=reverse), i, i + 1)))(x)
        expected = grad(lambda x, i=i: reduce(part(x, i, len(x)) if reverse else part(x, 0, i + 1), (0,)))(x)
        np.testing.assert_allclose(got, expected, rtol=1e-15)


def test_gradient_before_a_nan_is_untouched() -> None:
    x = np.array([1.0, 3, 2, nan, 5])
    same(grad(lambda x: total(part(cumulative.cummax(x), 0, 3)))(x), np.array([1.0, 2, 0, 0, 0]))


def test_cumlogsumexp_at_infinities() -> None:
    x = np.array([-inf, -inf, 1.0, 2.0, -inf])
    same(part(cumulative.cumlogsumexp(x), 0, 3), x[:3])
    got = grad(lambda x: total(part(cumulative.cumlogsumexp(x), 2, 5)))(x)
    share = np.exp(1) / (np.exp(1) + np.exp(2))
    np.testing.assert_allclose(got, [0, 0, 1 + 2 * share, 2 - 2 * share, 0], rtol=1e-14)
    all_infinite = grad(lambda x: total(cumulative.cumlogsumexp(x)))(np.full(3, -inf))
    same(all_infinite, np.zeros(3))
    same(grad(lambda x: total(cumulative.cumlogsumexp(x)))(np.array([0.0, inf, 5])), np.array([1.0, 2, 0]))


@pytest.mark.parametrize("reverse", [False, True])
def test_hessian_of_cumprod_with_zeros(reverse: bool) -> None:
    x = np.array([2.0, 0, 3, 0, 5, 7])
    weights = np.array([1.0, -2, 3, 5, -7, 11])
    from_jax = in_jax(lambda lax, jax: jax.hessian(lambda x: (lax.cumprod(x, reverse=reverse) * weights).sum()), x)
    got = hessian(lambda x: total(mul(cumulative.cumprod(x, reverse=reverse), asarray(weights))))(x)
    np.testing.assert_allclose(got, from_jax, rtol=1e-13)


# --- Sorting ----------------------------------------------------------------------------------------------------------

FLOATS = [0.0, nan, -0.0, 1.0, -inf, nan, 0.0, inf, -1.0, -0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_sort_of_nan_and_zeros(dtype: str) -> None:
    x = np.array(FLOATS).astype(dtypes.canonical_dtype(dtype))
    places = np.arange(len(x))
    for got, expected in zip(
        sorting.sort((x, places)), in_jax(lambda lax, _: lambda *xs: lax.sort(xs), x, places), strict=True
    ):
        same(got, expected)
    alone = np.asarray(sorting.sort(x))
    same(alone, in_jax(lambda lax, _: lax.sort, x))
    assert np.signbit(alone.astype(np.float32))[2:6].tolist() == [False, True, False, True]  # stable: zeros keep order


def test_sort_of_complex_numbers_is_lexicographic() -> None:
    parts = [0.0, -0.0, 1.0, nan, -inf, inf]
    x = np.array([complex(a, b) for a in parts for b in parts])[np.random.default_rng(0).permutation(36)]
    places = np.arange(len(x))
    got = sorting.sort((x, places))[1]
    same(got, in_jax(lambda lax, _: lambda *xs: lax.sort(xs), x, places)[1])
    same(np.asarray(sorting.sort(x)), x[np.asarray(got)])


def test_sort_is_stable_and_lexicographic() -> None:
    rng = np.random.default_rng(1)
    first, second, payload = rng.integers(0, 3, 40), rng.integers(0, 3, 40) / 2, np.arange(40)
    for num_keys in (1, 2, 3):
        got = [x.tolist() for x in sorting.sort((first, second, payload), num_keys=num_keys)]
        rows = sorted(zip(first.tolist(), second.tolist(), payload.tolist(), strict=True), key=lambda r: r[:num_keys])
        assert got == [list(column) for column in zip(*rows, strict=True)]


def test_sort_of_a_sequence_gives_a_tuple() -> None:
    x = np.array([2, 1])
    assert isinstance(sorting.sort((x,)), tuple)
    same(sorting.sort([x])[0], np.array([1, 2]))
    same(sorting.sort(x), np.array([1, 2]))


def test_gradient_of_sort_with_ties_follows_the_stable_order() -> None:
    x, weights = np.array([2.0, 1, 2, 1]), np.array([1.0, 10, 100, 1000])
    got = grad(lambda x: total(mul(sorting.sort(x), asarray(weights))))(x)
    same(got, np.array([100.0, 1, 1000, 10]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_top_k_of_nan_and_ties(dtype: str) -> None:
    x = np.array([[1, nan, inf, 1, nan, 2], [3, 3, -inf, 3, 0, -inf]]).astype(dtypes.canonical_dtype(dtype))
    for k in (1, 4, 6):
        values, indices = sorting.top_k(x, k)
        from_jax = in_jax(lambda lax, _, k=k: lambda x: lax.top_k(x, k), x)
        same(values, from_jax[0])
        same(indices, from_jax[1])


def test_top_k_takes_zeros_as_equal() -> None:
    same(sorting.top_k(np.array([-0.0, 0.0, -0.0]), 2)[1], np.array([0, 1], np.int32))


# --- Messages ---------------------------------------------------------------------------------------------------------

V: Any = np.ones(3)
M: Any = np.ones((2, 3))
REALS: Any = (0.0,)
PAIR: Any = (0, 0)
REFUSED: list[tuple[Callable[[], Any], type[NrxError], str]] = [
    (lambda: reductions.reduce_max(V, (1,)), AxisError, "axis 1 is out of range"),
    (lambda: reductions.reduce_max(M, (0, -2)), AxisError, "twice"),
    (lambda: reductions.reduce_prod(np.ones(2, bool), (0,)), DTypeError, "reduce_prod does not take bool"),
    (lambda: reductions.reduce_and(V, (0,)), DTypeError, "reduce_and does not take float64"),
    (lambda: reductions.argmax(V, 0, "float32"), DTypeError, "float32"),
    (lambda: reductions.argmax(np.ones(300), 0, "uint8"), DTypeError, "uint8 cannot count the 300"),
    (lambda: reductions.argmax(np.ones((0, 3)), 0, "int32"), ShapeError, r"\(0, 3\)"),
    (lambda: reductions.argmin(V.astype(complex), 0, "int32"), DTypeError, "complex128"),
    (lambda: slicing.slice(V, (0,), (4,)), IndexingError, "not inside"),
    (lambda: slicing.slice(V, (-1,), (2,)), IndexingError, "not inside"),
    (lambda: slicing.slice(V, (2,), (1,)), IndexingError, "not inside"),
    (lambda: slicing.slice(V, (0,), (2,), (0,)), ArgumentError, "strides must be positive"),
    (lambda: slicing.slice(M, (0,), (2,)), ShapeError, "needs 2"),
    (lambda: slicing.slice(V, REALS, (2,)), ArgumentError, "must be integers"),
    (lambda: slicing.slice_in_dim(V, 0, 4), IndexingError, "not inside"),
    (lambda: slicing.index_in_dim(V, 3), IndexingError, "index 3 is out of bounds for axis 0"),
    (lambda: slicing.pad(V, 0.0, [(-2, -2, 0)]), ShapeError, "cuts more off"),
    (lambda: slicing.pad(V, 0.0, [(0, 0, -1)]), ArgumentError, "interior"),
    (lambda: slicing.pad(V, 0.0, [PAIR]), ArgumentError, "low, high, interior"),
    (lambda: slicing.pad(M, 0.0, [(0, 0, 0)]), ShapeError, "2 axes"),
    (lambda: slicing.pad(V, V, [(0, 0, 0)]), ShapeError, "scalar"),
    (lambda: slicing.pad(np.ones(3, int), 0.5, [(1, 0, 0)]), DTypeError, "one dtype"),
    (lambda: slicing.concatenate([], 0), ArgumentError, "at least one"),
    (lambda: slicing.concatenate([V, M], 0), ShapeError, r"\(3,\), \(2, 3\)"),
    (lambda: slicing.concatenate([V, V.astype("float32")], 0), DTypeError, "one dtype"),
    (lambda: slicing.concatenate([1.0, 2.0], 0), AxisError, "0 dimensions"),
    (lambda: slicing.split(V, (1, 1)), ShapeError, "add up to 2"),
    (lambda: dynamic.dynamic_slice(V, (0,), (4,)), ShapeError, "does not fit"),
    (lambda: dynamic.dynamic_slice(V, (0, 0), (1,)), ShapeError, "needs 1 start"),
    (lambda: dynamic.dynamic_slice(V, (0.5,), (1,)), DTypeError, "integer scalar"),
    (lambda: dynamic.dynamic_slice(V, (True,), (1,)), DTypeError, "integer scalar"),
    (lambda: dynamic.dynamic_slice(V, (np.array([1]),), (1,)), ShapeError, "integer scalar"),
    (lambda: dynamic.dynamic_slice(V, np.ones((1, 1), int), (1,)), ShapeError, "1-d"),
    (lambda: dynamic.dynamic_update_slice(V, np.ones(4), (0,)), ShapeError, "does not fit"),
    (lambda: dynamic.dynamic_update_slice(V, np.ones(1, int), (0,)), DTypeError, "one dtype"),
    (lambda: cumulative.cumsum(np.ones(2, bool)), DTypeError, "cumsum does not take bool"),
    (lambda: cumulative.cumlogsumexp(np.ones(2, int)), DTypeError, "cumlogsumexp does not take int64"),
    (lambda: cumulative.cumsum(1.0), AxisError, "no axes"),
    (lambda: sorting.sort(()), ArgumentError, "at least one"),
    (lambda: sorting.sort((V, V), num_keys=3), ArgumentError, "num_keys"),
    (lambda: sorting.sort((V, M)), ShapeError, "one shape"),
    (lambda: sorting.sort(1.0), AxisError, "no axes"),
    (lambda: sorting.top_k(V, 4), ShapeError, "from 0 to the length"),
    (lambda: sorting.top_k(V, -1), ShapeError, "k = -1"),
    (lambda: sorting.top_k(V.astype(complex), 1), DTypeError, "complex128"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_messages(call: Callable[[], Any], error: type[NrxError], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
