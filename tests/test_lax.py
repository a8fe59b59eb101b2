"""Functions of `nrx.lax` that are made of others, against NumPy."""

from fractions import Fraction

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx import errors, lax
from nrx.testing import check_grads

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 4))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7, 16, 33])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan(length, reverse):
    x = RNG.normal(size=(2, length, 3))
    flip = (lambda v: v[:, ::-1]) if reverse else (lambda v: v)
    got = nrx.jit(lambda v: lax.associative_scan(jnp.add, v, reverse=reverse, axis=1))(x)
    np.testing.assert_allclose(got, flip(np.cumsum(flip(x), 1)), atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint64])
@pytest.mark.parametrize("shape", [(16, 128), (17, 129), (40, 200), (3, 7, 191), (15, 128), (50, 127)], ids=str)
def test_cumulative_along_rows(shape, dtype, reverse):
    """Bit for bit as NumPy, which goes along each row, whether rows are cut into tiles or not."""
    x = (np.random.default_rng(1).normal(size=shape) * 10).astype(dtype)
    flip = (lambda v: v[..., ::-1]) if reverse else (lambda v: v)
    with np.errstate(over="ignore"):
        expected = {
            lax.cumsum: np.cumsum(flip(x), -1, dtype=dtype),
            lax.cumprod: np.cumprod(flip(x), -1, dtype=dtype),
            lax.cummax: np.maximum.accumulate(flip(x), -1),
        }
    for function, rows in expected.items():
        got = nrx.jit(lambda v, f=function: f(v, axis=v.ndim - 1, reverse=reverse))(jnp.asarray(x))
        np.testing.assert_array_equal(got, flip(rows))


def test_associative_scan_of_matrices_and_trees():
    matrices = RNG.normal(size=(6, 2, 2))
    expected = [matrices[0]]
    for m in matrices[1:]:
        expected.append(expected[-1] @ m)
    np.testing.assert_allclose(lax.associative_scan(jnp.matmul, jnp.asarray(matrices)), expected, rtol=1e-10)
    decay, drive = RNG.uniform(size=5), RNG.normal(size=5)
    combine = lambda p, q: {"a": p["a"] * q["a"], "b": p["b"] * q["a"] + q["b"]}
    state, states = 0.0, []
    for a, b in zip(decay, drive, strict=True):
        states.append(state := a * state + b)
    linear = lambda a, b: lax.associative_scan(combine, {"a": a, "b": b})["b"]
    np.testing.assert_allclose(linear(jnp.asarray(decay), jnp.asarray(drive)), states, rtol=1e-12)
    check_grads(linear, (jnp.asarray(decay), jnp.asarray(drive)), order=2)
    with pytest.raises(errors.ShapeError, match="one length"):
        lax.associative_scan(jnp.add, (jnp.ones(2), jnp.ones(3)))
    with pytest.raises(errors.TreeError, match="fn returned"):
        lax.associative_scan(lambda a, b: (a, b), jnp.ones(3))


@pytest.mark.parametrize("dimensions", [(0,), (1, 2), (2, 0), (0, 1, 2), (), (-1,)])
def test_reduce(dimensions):
    axes = tuple(dimensions)
    got = lax.reduce(jnp.asarray(X), 1.0, lambda a, b: a * b, dimensions)
    np.testing.assert_allclose(got, X.prod(axes), rtol=1e-12)
    got = nrx.jit(lambda v: lax.reduce(v, -jnp.inf, lax.max, dimensions))(X)
    np.testing.assert_array_equal(got, X.max(axes))
    check_grads(lambda v: lax.reduce(v, 0.0, jnp.logaddexp, dimensions), (jnp.asarray(X),), order=1)


def test_reduce_of_pairs():
    def larger(p, q):
        first = (p[0] > q[0]) | ((p[0] == q[0]) & (p[1] < q[1]))
        return jnp.where(first, p[0], q[0]), jnp.where(first, p[1], q[1])

    index = jnp.broadcast_to(jnp.arange(5)[:, None], X.shape)
    value, at = lax.reduce((jnp.asarray(X), index), (-np.inf, 99), larger, (1,))
    np.testing.assert_array_equal(value, X.max(1))
    np.testing.assert_array_equal(at, X.argmax(1))
    assert lax.reduce(jnp.ones((0, 2)), 7.0, lax.add, (0,)).tolist() == [7, 7]
    assert lax.reduce(jnp.ones((2, 0)), 7.0, lax.add, (0,)).shape == (0,)
    with pytest.raises(errors.ShapeError, match="reduce needs arrays of one shape"):
        lax.reduce((jnp.ones(2), jnp.ones(3)), (0.0, 0.0), lambda p, q: p, (0,))
    with pytest.raises(errors.TreeError, match="the initial values"):
        lax.reduce((jnp.ones(2),), 0.0, lambda p, q: p, (0,))
    with pytest.raises(errors.DTypeError, match="initial value"):
        lax.reduce(jnp.ones(2), jnp.ones((), "int32"), lambda p, q: p, (0,))


@pytest.mark.parametrize("padding", ["VALID", "SAME", [(1, 2), (0, 1), (0, 0)]])
@pytest.mark.parametrize("base", [None, (1, 2, 1)])
def test_reduce_window_by_any_function(padding, base):
    geometry = ((2, 3, 1), (1, 2, 1), padding, base, (1, 1, 2))
    general = lax.reduce_window(jnp.asarray(X), 0.0, lambda a, b: a + b, *geometry)
    np.testing.assert_allclose(general, lax.reduce_window_sum(jnp.asarray(X), *geometry), rtol=1e-12, atol=1e-12)
    assert general.shape == lax.reduce_window_shape_tuple(X.shape, *geometry)


def test_reduce_window_of_products():
    x = RNG.normal(size=6)
    windows = np.lib.stride_tricks.sliding_window_view(x, 3)
    product = lambda v: lax.reduce_window(v, 1.0, lax.mul, (3,), None, "VALID")
    np.testing.assert_allclose(nrx.jit(product)(x), windows.prod(1), rtol=1e-12)
    np.testing.assert_allclose(nrx.vmap(product)(np.stack([x, -x])), np.stack([windows.prod(1), -windows.prod(1)]))
    check_grads(product, (jnp.asarray(x),), order=2)


def test_shapes():
    x = jnp.arange(6.0).reshape(2, 3)
    assert lax.broadcast(x, (4, 1)).shape == (4, 1, 2, 3)
    assert lax.broadcast_to_rank(x, 4).shape == (1, 1, 2, 3)
    assert lax.collapse(jnp.ones((2, 3, 4, 5)), 1, 3).shape == (2, 12, 5)
    assert lax.collapse(jnp.ones((2, 3, 4)), -2).shape == (2, 12)
    np.testing.assert_array_equal(lax.tile(x, (2, 3)), np.tile(x, (2, 3)))
    np.testing.assert_array_equal(lax.stack([x, x], -1), np.stack([x, x], -1))
    np.testing.assert_array_equal(np.stack(lax.unstack(x, 1)), np.asarray(x).T)
    assert lax.empty((2, 0), "int8").dtype == lax.dtype(np.int8(1)) == "int8"
    assert lax.padtype_to_pads((10,), (3,), (2,), "SAME") == [(0, 1)]
    assert lax.conv_general_shape_tuple((2, 8, 8, 3), (3, 3, 3, 5), (1, 1), "VALID", ("NHWC", "HWIO", "NHWC")) == (
        2, 6, 6, 5,
    )  # fmt: skip
    with pytest.raises(errors.ShapeError, match="broadcast_to_rank"):
        lax.broadcast_to_rank(x, 1)
    with pytest.raises(errors.ShapeError, match="tile"):
        lax.tile(x, (2,))


@pytest.mark.parametrize("layout", [None, ("NHWC", "HWIO", "NHWC")])
def test_patches_and_local_convolutions(layout):
    x = RNG.normal(size=(2, 3, 6, 5))
    given = x if layout is None else x.transpose(0, 2, 3, 1)
    plain = (lambda v: v) if layout is None else (lambda v: np.transpose(v, (0, 3, 1, 2)))
    patches = plain(lax.conv_general_dilated_patches(given, (2, 3), (1, 2), "VALID", dimension_numbers=layout))
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3), (2, 3))[:, :, :, ::2]
    expected = windows.transpose(0, 1, 4, 5, 2, 3).reshape(2, 18, *windows.shape[2:4])
    np.testing.assert_array_equal(patches, expected)
    kernels = RNG.normal(size=(4, 18, *expected.shape[2:]))
    rhs = kernels if layout is None else kernels.transpose(2, 3, 1, 0)
    local = plain(lax.conv_general_dilated_local(given, rhs, (1, 2), "VALID", (2, 3), dimension_numbers=layout))
    np.testing.assert_allclose(local, np.einsum("nphw,ophw->nohw", expected, kernels), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_mulhi(dtype):
    info = np.iinfo(dtype)
    x, y = (RNG.integers(info.min, info.max, 200, dtype, endpoint=True) for _ in range(2))
    x[:4], y[:4] = [info.min, info.max, info.min, info.max], [info.min, info.max, info.max, info.min]
    expected = [(int(a) * int(b)) >> info.bits for a, b in zip(x, y, strict=True)]
    assert nrx.jit(lax.mulhi)(x, y).tolist() == expected
    with pytest.raises(errors.DTypeError, match="mulhi"):
        lax.mulhi(1.0, 2.0)


def _nearest(x: float, exponent: int, mantissa: int) -> float:
    """`reduce_precision` of one number, in exact arithmetic."""
    if not np.isfinite(x) or x == 0:
        return x
    most = 2 ** (exponent - 1) - 1
    power = Fraction(2) ** (int(np.frexp(x)[1]) - 1 - mantissa)
    rounded = round(Fraction(float(x)) / power) * power
    if abs(rounded) >= Fraction(2) ** (most + 1):
        return np.copysign(np.inf, x)
    return np.copysign(0.0 if abs(rounded) < Fraction(2) ** (1 - most) else float(rounded), x)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("bits", [(5, 10), (8, 7), (4, 3), (5, 2), (11, 52), (8, 1)])
def test_reduce_precision(dtype, bits):
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(size=200) * 10.0 ** rng.integers(-6, 6, 200), [0, -0.0, np.inf, -np.inf, 1.5]])
    x = jnp.asarray(values).astype(dtype)
    wide = np.asarray(x.astype("float64"))
    info = nrx.numpy.finfo(dtype)
    kept = np.abs(wide) >= float(info.tiny)
    got = nrx.jit(lambda v: lax.reduce_precision(v, *bits))(x).astype("float64")
    expected = np.array([_nearest(v, *bits) for v in wide])
    expected = np.where(np.abs(expected) > float(info.max), np.copysign(np.inf, wide), expected)
    special = (wide == 0) | kept
    np.testing.assert_array_equal(np.asarray(got)[special], expected[special])
    assert np.isnan(lax.reduce_precision(jnp.asarray(np.nan, dtype), *bits))


def test_ragged_dot():
    lhs, rhs, sizes = RNG.normal(size=(7, 3)), RNG.normal(size=(4, 3, 2)), np.array([2, 0, 3, 1])
    groups = np.repeat(np.arange(4), sizes)
    expected = np.concatenate([np.einsum("mk,mkn->mn", lhs[:6], rhs[groups]), np.zeros((1, 2))])
    np.testing.assert_allclose(nrx.jit(lax.ragged_dot)(lhs, rhs, sizes), expected, rtol=1e-12)
    check_grads(lambda a, b: lax.ragged_dot(a, b, sizes), (jnp.asarray(lhs), jnp.asarray(rhs)), order=1)
    with pytest.raises(errors.ShapeError, match="ragged_dot"):
        lax.ragged_dot(lhs, rhs, sizes[:2])


def _of_groups(sizes):
    ends = np.cumsum(sizes)
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_ragged_dot_general_with_parts_of_rhs(place):
    lhs, rhs, sizes = RNG.normal(size=(2, 7, 3)), RNG.normal(size=(4, 2, 3, 5)), np.array([[1, 2, 0, 3], [2, 0, 2, 3]])
    expected = np.zeros((2, 7, 5))
    for b in range(2):
        for g, rows in enumerate(_of_groups(sizes[b])):
            expected[b, rows] = lhs[b, rows] @ rhs[g, b]
    numbers = lax.RaggedDotDimensionNumbers((([2], [1 + (place < 2)]), ([0], [int(place == 0)])), [1], [place])
    moved = np.moveaxis(rhs, 0, place)
    function = lambda a, b: lax.ragged_dot_general(a, b, sizes, numbers)
    np.testing.assert_allclose(nrx.jit(function)(lhs, moved), expected, rtol=1e-12)
    check_grads(function, (jnp.asarray(lhs), jnp.asarray(moved)), order=1)


def test_ragged_dot_general_of_contracted_axes():
    lhs, rhs, sizes = RNG.normal(size=(3, 7, 2)), RNG.normal(size=(5, 7, 3)), np.array([1, 2, 3])
    numbers = lax.RaggedDotDimensionNumbers((([0, 1], [2, 1]), ([], [])), [1], [])
    expected = [np.einsum("akm,nka->mn", lhs[:, rows], rhs[:, rows]) for rows in _of_groups(sizes)]
    function = lambda a, b: lax.ragged_dot_general(a, b, sizes, numbers)
    np.testing.assert_allclose(nrx.jit(function)(lhs, rhs), expected, rtol=1e-12)
    check_grads(function, (jnp.asarray(lhs), jnp.asarray(rhs)), order=1)


def test_ragged_dot_general_of_a_batch_axis():
    lhs, rhs = RNG.normal(size=(2, 7, 3)), RNG.normal(size=(2, 3, 5))
    numbers = lax.RaggedDotDimensionNumbers((([2], [1]), ([0], [0])), [0], [])
    np.testing.assert_allclose(lax.ragged_dot_general(lhs, rhs, np.array([1, 1]), numbers), lhs @ rhs, rtol=1e-12)


@pytest.mark.parametrize(
    ("ragged", "group", "sizes", "error"),
    [
        ([0, 1], [0], [1, 2], errors.ArgumentError),
        ([0], [], [1, 2], errors.ArgumentError),
        ([1], [0], [1, 2], errors.ArgumentError),
        ([2], [0], [1, 2], errors.AxisError),
        ([0], [2], [1, 2], errors.ShapeError),
        ([0], [3], [1, 2], errors.ShapeError),
        ([0], [0], [[1, 2]], errors.ShapeError),
        ([0], [0], 1, errors.ShapeError),
        ([0], [0], [1.0, 2.0], errors.DTypeError),
    ],
)
def test_ragged_dimensions_that_do_not_fit(ragged, group, sizes, error):
    numbers = lax.RaggedDotDimensionNumbers((([1], [1]), ([], [])), ragged, group)
    with pytest.raises(error, match="ragged_dot_general"):
        lax.ragged_dot_general(jnp.ones((3, 4)), jnp.ones((2, 4, 5)), jnp.array(sizes), numbers)


def test_scatter_apply():
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    x, at = RNG.normal(size=4), np.array([[1], [1], [3], [9]])
    expected = [x[0], np.sin(np.sin(x[1])), x[2], np.sin(x[3])]
    function = lambda v, i: lax.scatter_apply(v, i, jnp.sin, numbers, update_shape=(len(i),))
    np.testing.assert_allclose(function(x, at), expected, rtol=1e-12)
    np.testing.assert_allclose(nrx.jit(function)(x, at), expected, rtol=1e-12)
    once = lambda v: lax.scatter_apply(v, at[1:], jnp.sin, numbers, update_shape=(3,), unique_indices=True)
    check_grads(once, (jnp.asarray(x),), order=2)
    assert function(np.zeros(0), at[:0]).shape == (0,)
    with pytest.raises(errors.DTypeError, match="scatter_apply"):
        lax.scatter_apply(x, at, lambda v: v > 0, numbers, update_shape=(4,))


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 2), (0, 1))])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
def test_shapes_of_transposed_convolutions(padding, strides):
    layout = ("NHWC", "HWOI", "NHWC")
    if isinstance(padding, str):  # the lengths that a plain convolution takes to these
        space = [n * s if padding == "SAME" else n * s + max(3 - s, 0) for n, s in zip((4, 5), strides, strict=True)]
    else:
        space = [(n - 1) * s + 1 + sum(p) - 2 for n, s, p in zip((4, 5), strides, padding, strict=True)]
    got = lax.conv_transpose_shape_tuple((2, 4, 5, 3), (3, 3, 7, 3), strides, padding, layout)
    assert got == (2, *space, 7)


def test_the_rest():
    x = jnp.asarray(X)
    assert lax.convert_element_type(operand=1.5, new_dtype="int32") == 1
    assert lax.bitcast_convert_type(operand=jnp.float32(1), new_dtype="uint32") == 0x3F800000
    np.testing.assert_array_equal(lax.reciprocal(x), 1 / X)
    values, at = lax.approx_min_k(x, 2)
    np.testing.assert_array_equal(values, np.sort(X)[..., :2])
    np.testing.assert_array_equal(np.take_along_axis(X, np.asarray(at), -1), values)
    np.testing.assert_array_equal(lax.approx_max_k(x, 2, 1)[0], -np.sort(-X, 1)[:, :2])
    got = lax.index_take(x, [jnp.array([0, -1]), jnp.array([3, 5])], (0, 2))
    np.testing.assert_array_equal(got, X[[0, -1], :, [3, 1]])
    assert lax.round(2.5, lax.RoundingMethod.TO_NEAREST_EVEN) == 2
    assert lax.optimization_barrier({"a": 1.0})["a"] == 1
    assert lax.after_all(lax.create_token()).shape == (0,)
    assert lax.dce_sink(x) is None
    assert lax.platform_dependent(1, cpu=lambda v: v + 1, cuda=lambda v: v + 1) == 2
    with pytest.raises(errors.ArgumentError, match="platform_dependent"):
        lax.platform_dependent(1)
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    got = lax.scatter_sub(jnp.ones(3), jnp.array([[1], [1]]), jnp.array([2.0, 3.0]), numbers)
    assert got.tolist() == [1, -4, 1]
