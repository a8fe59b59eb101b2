"""Collectives that exchange values between the positions of a named axis, against JAX's definition in NumPy."""

from functools import partial

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx import errors, lax
from nrx.testing import check_grads

N = 3
X = np.random.default_rng(0).normal(size=(N, N, 2, 4)).astype(np.float32)
TILES = np.random.default_rng(1).normal(size=(N, 2 * N, 4)).astype(np.float32)


def mapped(function):
    return nrx.vmap(function, axis_name="i")


def permuted(x):
    out = np.zeros_like(x)
    out[2], out[0] = x[0], x[1]
    return out


def tiles_exchanged(x, axis):
    """Position i gets the i-th third of axis 0 of every position, side by side along `axis`."""
    return np.stack([np.concatenate([np.split(row, N)[i] for row in x], axis) for i in range(N)])


CASES = {
    "ppermute": (lambda v: lax.ppermute(v, "i", [(0, 2), (1, 0)]), X, permuted),
    "pshuffle": (lambda v: lax.pshuffle(v, "i", [2, 0, 1]), X, lambda x: x[[2, 0, 1]]),
    "pbroadcast": (lambda v: lax.pbroadcast(v, "i", 1), X, lambda x: np.stack([x[1]] * N)),
    "all_to_all": (lambda v: lax.all_to_all(v, "i", 0, 0), X, lambda x: x.swapaxes(0, 1)),
    "all_to_all_last": (lambda v: lax.all_to_all(v, "i", 0, 2), X, lambda x: np.moveaxis(x, 0, 3)),
    "all_to_all_tiled": (
        lambda v: lax.all_to_all(v, "i", 0, 1, tiled=True), TILES, lambda x: tiles_exchanged(x, 1),
    ),
    "all_to_all_in_place": (
        lambda v: lax.all_to_all(v, "i", 0, 0, tiled=True), TILES, lambda x: tiles_exchanged(x, 0),
    ),
    "pswapaxes": (lambda v: lax.pswapaxes(v, "i", 0), X, lambda x: x.swapaxes(0, 1)),
    "psum_scatter": (lambda v: lax.psum_scatter(v, "i"), X, lambda x: x.sum(0)),
    "psum_scatter_tiled": (
        lambda v: lax.psum_scatter(v, "i", tiled=True), TILES, lambda x: np.stack(np.split(x.sum(0), N)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    function, x, expected = CASES[name]
    np.testing.assert_allclose(mapped(function)(x), expected(x), rtol=1e-6)
    np.testing.assert_allclose(nrx.jit(mapped(nrx.jit(function)))(x), expected(x), rtol=1e-6)
    outside = nrx.vmap(mapped(function), in_axes=-1, out_axes=-1)(np.stack([x, -x], -1))
    np.testing.assert_allclose(outside, np.stack([expected(x), -expected(x)], -1), rtol=1e-6)
    inside = nrx.vmap(nrx.vmap(function, in_axes=-1, out_axes=-1), axis_name="i")(np.stack([x, -x], -1))
    np.testing.assert_allclose(inside, np.stack([expected(x), -expected(x)], -1), rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    function, x, _ = CASES[name]
    check_grads(lambda v: jnp.sin(mapped(function)(v * v)), (jnp.asarray(x, "float64"),), order=2)


@pytest.mark.parametrize("name", ["ppermute", "all_to_all", "psum_scatter"])
def test_in_control_flow(name):
    function, x, expected = CASES[name]
    loop = lambda v: lax.scan(lambda carry, _: (carry, function(jnp.cos(carry))), v, None, length=2)[1][1]
    np.testing.assert_allclose(mapped(loop)(x), expected(np.cos(x)), rtol=1e-5)
    branch = lambda v: lax.cond(True, lambda v: function(v * 2), lambda v: function(v), v)
    np.testing.assert_allclose(mapped(branch)(x), expected(2 * x), rtol=1e-6)
    check_grads(lambda v: mapped(loop)(v), (jnp.asarray(x, "float64"),), order=1)


def test_trees_and_integers():
    ring = [(i, (i + 1) % N) for i in range(N)]
    out = mapped(lambda v: lax.ppermute({"a": v, "b": v > 1}, "i", ring))(np.arange(N))
    assert out["a"].tolist() == [2, 0, 1]
    assert out["b"].tolist() == [True, False, False]
    assert mapped(lambda v: lax.pbroadcast(v, "i", 2))(np.array([True, True, False])).tolist() == [False] * N


def test_sums_count_booleans():
    held = np.array([True, False, True])
    total = mapped(lambda v: lax.psum(v, "i"))(held)
    assert total.tolist() == [2] * N
    assert total.dtype == np.int32
    np.testing.assert_allclose(mapped(lambda v: lax.pmean(v, "i"))(held), [2 / 3] * N, rtol=1e-6)


@pytest.mark.parametrize("perm", [[(0, 1), (0, 2)], [(0, 1), (2, 1)], [(0, 3)], [(-1, 0)]])
def test_wrong_permutations(perm):
    with pytest.raises(errors.ArgumentError, match="ppermute"):
        mapped(lambda v: lax.ppermute(v, "i", perm))(X)


@pytest.mark.parametrize(
    "f",
    [
        lax.psum, lax.pmean, lax.pmax, lax.pmin, lax.all_gather, lax.psum_scatter, partial(lax.pswapaxes, axis=0),
        partial(lax.all_to_all, split_axis=0, concat_axis=0),
    ],
)  # fmt: skip
def test_groups_of_positions_are_refused(f):
    x = jnp.ones((2, 2))
    nrx.vmap(lambda row: f(row, axis_name="i", axis_index_groups=None), axis_name="i")(x)
    with pytest.raises(nrx.errors.ArgumentError, match="axis_index_groups must be None"):
        nrx.vmap(lambda row: f(row, axis_name="i", axis_index_groups=[[0], [1]]), axis_name="i")(x)


def test_wrong_sizes():
    with pytest.raises(errors.ShapeError, match="all_to_all: axis 1"):
        mapped(lambda v: lax.all_to_all(v, "i", 1, 0))(X)
    with pytest.raises(errors.ShapeError, match=r"(?s)psum_scatter: axis 1.*multiple of 3"):
        mapped(lambda v: lax.psum_scatter(v, "i", scatter_dimension=1, tiled=True))(TILES)
    with pytest.raises(errors.AxisNameError, match="no axis named 'j'"):
        mapped(lambda v: lax.ppermute(v, "j", [(0, 1)]))(X)
