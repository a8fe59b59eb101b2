"""Quantiles by every method and by weight, variances about a known mean, covariances in a dtype: NumPy's in float64."""

from functools import partial

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.errors import ArgumentError, ShapeError
from nrx.test_util import check_grads

METHODS = [
    "linear", "lower", "higher", "nearest", "midpoint", "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased", "normal_unbiased",
]  # fmt: skip
Q = np.array([0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 1.0])
DATA = np.random.default_rng(3).normal(size=(3, 8, 5))
ROUNDING = 4 * np.finfo(float).eps * np.abs(DATA).max()  # of a sum of elements
HOLES = np.where(DATA > 0.8, np.nan, DATA)


@pytest.fixture(autouse=True)
def _x64():
    with nrx.enable_x64(True):
        yield


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_numpys(method):
    for axis, keepdims in ((1, False), (None, True), ((0, 2), False), (-1, True)):
        found = jnp.quantile(DATA, Q, axis, method=method, keepdims=keepdims)
        np.testing.assert_allclose(found, np.quantile(DATA, Q, axis, method=method, keepdims=keepdims), atol=ROUNDING)
        found = nrx.jit(partial(jnp.nanquantile, axis=axis, method=method, keepdims=keepdims))(HOLES, Q)
        np.testing.assert_allclose(
            found, np.nanquantile(HOLES, Q, axis, method=method, keepdims=keepdims), atol=ROUNDING
        )
    for n in (1, 2, 3, 4):  # quantiles that lie outside of the elements, or on one
        for q in (0.0, 0.3, 0.5, 1.0):
            np.testing.assert_allclose(
                jnp.percentile(DATA[0, :n, 0], 100 * q, method=method),
                np.percentile(DATA[0, :n, 0], 100 * q, method=method), atol=ROUNDING,
            )  # fmt: skip


@pytest.mark.parametrize("axis", [None, 1, (2, 0), (0, 1, 2)])
def test_weights_are_numpys(axis):
    weights = np.random.default_rng(4).integers(0, 4, DATA.shape).astype(float)
    weights[..., 0] += 1
    for ours, theirs, data in ((jnp.quantile, np.quantile, DATA), (jnp.nanquantile, np.nanquantile, HOLES)):
        for keepdims in (False, True):
            expected = theirs(data, Q, axis, method="inverted_cdf", keepdims=keepdims, weights=weights)
            found = nrx.jit(partial(ours, axis=axis, method="inverted_cdf", keepdims=keepdims))(
                data, Q, weights=weights
            )
            np.testing.assert_array_equal(found, expected)
    per_cent = jnp.percentile(DATA, 30, axis, method="inverted_cdf", weights=weights)
    np.testing.assert_array_equal(per_cent, np.percentile(DATA, 30, axis, method="inverted_cdf", weights=weights))


def test_weights_of_the_axis():
    weights = np.array([0.0, 1, 2, 0.5, 3, 1, 0, 2])
    expected = np.quantile(DATA, Q, 1, method="inverted_cdf", weights=weights)
    np.testing.assert_array_equal(jnp.quantile(DATA, Q, 1, method="inverted_cdf", weights=weights), expected)
    mapped = nrx.vmap(lambda x: jnp.quantile(x, Q, 0, method="inverted_cdf", weights=weights))(DATA)
    np.testing.assert_array_equal(mapped, expected.swapaxes(0, 1))


@pytest.mark.parametrize("weights", [[0, 0, 0], [1, -1, 3], [1, np.nan, 1], [1, np.inf, 1]])
def test_weights_that_mean_nothing(weights):
    assert np.isnan(jnp.quantile(jnp.array([1.0, 2, 3]), 0.5, method="inverted_cdf", weights=jnp.array(weights)))


def test_nan_among_the_elements():
    x, w = np.array([1.0, np.nan, 3]), np.array([1.0, np.nan, 1])
    assert np.isnan(jnp.quantile(x, 0.5, method="inverted_cdf", weights=np.ones(3)))
    assert jnp.nanquantile(x, 1.0, method="inverted_cdf", weights=w) == 3
    assert np.isnan(jnp.nanquantile(np.full(3, np.nan), 0.5, method="inverted_cdf", weights=np.ones(3)))


def test_derivatives():
    x = jnp.array(DATA[0])
    for method in ("hazen", "inverted_cdf", "averaged_inverted_cdf"):
        check_grads(partial(jnp.quantile, q=jnp.array([0.3, 0.8]), axis=0, method=method), (x,), order=2)
    weigh = lambda x: jnp.quantile(x, 0.3, 0, method="inverted_cdf", weights=jnp.arange(8.0))
    check_grads(weigh, (x,), order=2)
    check_grads(lambda x, m: jnp.std(x, 0, mean=m), (x, jnp.mean(x, 0, keepdims=True) + 1), order=2)


def test_dtypes():
    x = np.array([3, 1, 2], np.int32)
    assert jnp.quantile(jnp.array(x, jnp.bfloat16), 0.5, method="hazen").dtype == jnp.bfloat16
    assert jnp.quantile(jnp.array(x, jnp.float32), 0.5, method="weibull").dtype == jnp.float32
    assert jnp.quantile(x, 0.5, method="inverted_cdf", weights=np.array([1, 1, 5])) == 2


def test_bad_arguments():
    x = jnp.ones((3, 4))
    with pytest.raises(ArgumentError, match="inverted_cdf"):
        jnp.quantile(x, 0.5, weights=x)
    with pytest.raises(ShapeError, match="weights of shape"):
        jnp.nanpercentile(x, 50, 1, method="inverted_cdf", weights=jnp.ones(3))
    with pytest.raises(ArgumentError, match="unknown method"):
        jnp.nanquantile(x, 0.5, method="cubic")
    with pytest.raises(ShapeError, match="mean of shape"):
        jnp.var(x, 1, mean=jnp.ones(3))


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_variance_about_a_known_mean(name):
    ours, theirs = getattr(jnp, name), getattr(np, name)
    data = HOLES if name.startswith("nan") else DATA
    for axis, ddof in ((None, 0), (1, 1), ((0, -1), 0)):
        centre = np.nanmean(data, axis, keepdims=True) + 0.5
        expected = theirs(data, axis, ddof=ddof, mean=centre)
        for _ in range(3):  # the second evaluation records a plan, the third runs it
            found = ours(jnp.array(data), axis, ddof=ddof, mean=jnp.array(centre))
            np.testing.assert_allclose(found, expected, rtol=1e-13)
        np.testing.assert_allclose(nrx.jit(partial(ours, axis=axis, ddof=ddof))(data, mean=centre), expected)
    z = DATA + 1j
    np.testing.assert_allclose(jnp.var(z, 0, mean=z.mean(0, keepdims=True)), z.var(0))


@pytest.mark.parametrize("name", ["cov", "corrcoef"])
def test_covariance_in_a_dtype(name):
    ours, theirs = getattr(jnp, name), getattr(np, name)
    data = DATA[0].astype(np.float32)
    found = ours(data, dtype=jnp.float64)
    assert found.dtype == jnp.float64
    np.testing.assert_allclose(found, theirs(data, dtype=np.float64), rtol=1e-13, atol=1e-15)
    assert ours(DATA[0], dtype=jnp.float32).dtype == jnp.float32
    np.testing.assert_allclose(ours(DATA[0], dtype=jnp.float32), theirs(DATA[0]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_infinite_elements(jit: bool) -> None:
    """Values of NumPy, or where its interpolation gives NaN, the limits."""
    inf = np.inf
    quantile = nrx.jit(jnp.quantile) if jit else jnp.quantile
    nanquantile = nrx.jit(jnp.nanquantile) if jit else jnp.nanquantile
    for values, share, expected in (
        ([inf, inf], 0.5, inf),
        ([-inf, 1.0], 0.5, -inf),
        ([-2.0, -inf, -3.0], 0.4, -inf),
        ([-2.0, -inf, -3.0], 0.5, -3.0),
        ([1.0, 2.0, inf, inf], 0.9, inf),
        ([1.0, 2.0, inf], 0.5, 2.0),
        ([-1.5e308, 1.5e308], 0.5, 0.0),
    ):
        assert quantile(np.array(values), share) == expected
        assert nanquantile(np.array([*values, np.nan]), share) == expected
    assert jnp.median(np.array([inf, 1.0, inf, inf])) == inf
    assert np.isnan(quantile(np.array([-inf, inf]), 0.5))


@pytest.mark.parametrize("function", ["median", "nanmedian"])
def test_no_elements(function: str) -> None:
    assert getattr(jnp, function)(np.zeros((0, 0)), axis=0).shape == (0,)
    assert getattr(jnp, function)(np.zeros((3, 0, 0)), axis=1, keepdims=True).shape == (3, 1, 0)
    with pytest.raises(ShapeError):
        getattr(jnp, function)(np.zeros((0, 2)), axis=0)
