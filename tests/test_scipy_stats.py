"""`nrx.scipy.stats` beside SciPy, in float64: every function of every distribution, its derivatives, and statistics."""

import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats as reference

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ArgumentTypeError, AxisError, DTypeError, ShapeError
from nrx.scipy import stats
from nrx.testing import check_grads

X = np.concatenate([np.linspace(-4, 4, 33), [-300.0, -20.0, 20.0, 300.0, np.inf, -np.inf, np.nan]])
Q = np.array([0.0, 1e-200, 1e-12, 0.1, 0.25, 0.5, 0.75, 0.9, 1 - 1e-12, 1.0, -0.1, 1.1, np.nan])
K = np.array([-1.0, 0, 1, 2, 3, 5, 7, 10, 11, 40, 1.5, np.nan])

CONTINUOUS = {
    "norm": (), "uniform": (), "expon": (), "cauchy": (), "laplace": (), "logistic": (), "gumbel_r": (),
    "gumbel_l": (), "pareto": (2.5,), "gamma": (2.5,), "chi2": (3.0,), "beta": (2.5, 0.75), "t": (3.5,),
    "gennorm": (1.5,), "truncnorm": (-1.0, 2.0), "vonmises": (1.5,), "wrapcauchy": (0.5,),
}  # fmt: skip
DISCRETE = {
    "bernoulli": (0.3,), "binom": (10.0, 0.3), "betabinom": (10.0, 2.5, 0.75), "nbinom": (4.0, 0.3), "geom": (0.3,),
    "poisson": (2.5,),
}  # fmt: skip
METHODS = ("logpdf", "pdf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf")


def assert_as_scipy(name: str, method: str, x: np.ndarray, *args: Any, rtol: float = 1e-12) -> None:
    ours = np.asarray(getattr(getattr(stats, name), method)(x, *args))
    with np.errstate(all="ignore"):
        theirs = getattr(getattr(reference, name), method)(x, *args)
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name: str, method: str) -> None:
    if not hasattr(getattr(stats, name), method):
        assert method not in ("logpdf", "pdf")
        return
    x = Q if method in ("ppf", "isf") else X
    if name in ("vonmises", "wrapcauchy"):
        x = x[np.abs(x) <= np.pi]
    assert_as_scipy(name, method, x, *CONTINUOUS[name], rtol=1e-11)
    assert_as_scipy(name, method, x, *CONTINUOUS[name], 0.25, 1.75, rtol=1e-11)


@pytest.mark.parametrize("method", ["logpmf", "pmf", "cdf"])
@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name: str, method: str) -> None:
    if hasattr(getattr(stats, name), method):
        assert_as_scipy(name, method, K[:-1], *DISCRETE[name])
        assert_as_scipy(name, method, K[:-1], *DISCRETE[name], 1)
        assert np.isnan(getattr(getattr(stats, name), method)(K[-1:], *DISCRETE[name]))


def test_bernoulli_ppf_and_entropy() -> None:
    assert_as_scipy("bernoulli", "ppf", Q[3:], 0.3)
    for mu in (0.0, 0.3, 4.0, 60.0, 99.0, 101.0, 5000.0):
        np.testing.assert_allclose(stats.poisson.entropy(np.float64(mu)), reference.poisson.entropy(mu), 1e-8, 1e-12)


def test_tails() -> None:
    """Far from the centre logarithms keep their digits."""
    far = np.array([50.0, 1000.0])
    for name in ("norm", "expon", "logistic"):
        assert_as_scipy(name, "logsf", far)
    for name in ("norm", "logistic"):
        assert_as_scipy(name, "logcdf", -far)
    np.testing.assert_allclose(stats.laplace.logcdf(-far), -far - np.log(2), rtol=1e-14)
    np.testing.assert_allclose(stats.laplace.logsf(far), -far - np.log(2), rtol=1e-14)  # SciPy gives -inf
    np.testing.assert_allclose(stats.gumbel_r.logsf(far), -far, rtol=1e-14)
    assert_as_scipy("truncnorm", "logpdf", np.array([10.2, 30.0]), 10.0, 50.0)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_derivatives(name: str) -> None:
    args = tuple(np.float64(a) for a in CONTINUOUS[name])
    check_grads(getattr(stats, name).logpdf, (np.float64(0.3 if name != "pareto" else 1.8), *args, 0.1, 1.25), order=2)


@pytest.mark.parametrize("name", ["norm", "expon", "cauchy", "laplace", "logistic", "gumbel_r", "gumbel_l"])
def test_derivatives_of_the_distribution_function(name: str) -> None:
    for method in ("cdf", "logcdf", "sf", "logsf"):
        check_grads(getattr(getattr(stats, name), method), (np.float64(0.4), 0.1, 1.25), order=2)
    for method in ("ppf", "isf"):
        check_grads(getattr(getattr(stats, name), method), (np.float64(0.3), 0.1, 1.25), order=2)


POSITIVE, ANY = [-1.0, 0.0, 0.5, 1.0, 2.5, 30.0, np.nan], [-np.inf, -2.0, -0.5, 0.5, 3.0, np.inf, np.nan]
SHARE, COUNT = [-0.5, 0.0, 0.3, 1.0, 1.5, np.nan], [-1.0, 0.0, 1.0, 2.5, 7.0, np.nan]
DOMAINS = {
    "norm": [], "uniform": [], "expon": [], "cauchy": [], "laplace": [], "logistic": [], "gumbel_r": [],
    "gumbel_l": [], "pareto": [POSITIVE], "gamma": [POSITIVE], "chi2": [POSITIVE], "beta": [POSITIVE, POSITIVE],
    "t": [[*POSITIVE, np.inf]], "gennorm": [POSITIVE], "truncnorm": [ANY, ANY], "vonmises": [POSITIVE],
    "wrapcauchy": [SHARE], "bernoulli": [SHARE], "binom": [COUNT, SHARE], "betabinom": [COUNT, POSITIVE, POSITIVE],
    "nbinom": [POSITIVE, SHARE], "geom": [SHARE], "poisson": [POSITIVE],
}  # fmt: skip
PLACES = [(0.0, 1.0), (1.0, 2.0), (0.0, 0.0), (0.0, -1.0), (0.0, np.nan), (np.nan, 1.0)]


@pytest.mark.parametrize("name", DOMAINS)
def test_parameters_in_and_outside_of_their_domain(name: str) -> None:
    places = [(0.0,)] if name in DISCRETE else PLACES
    for method in (*METHODS, "pmf", "logpmf"):
        ours = getattr(getattr(stats, name), method, None)
        if ours is None or (name, method) == ("bernoulli", "ppf"):  # of q = 0 it is 0, as in JAX
            continue
        numbers = (
            Q if method in ("ppf", "isf") else [-np.inf, -2, -0.5, 0, 0.25, 1, 2, 7, 2 * np.pi, 50, np.inf, np.nan]
        )
        grid = [(x, *shape, *place) for shape in product(*DOMAINS[name]) for place in places for x in numbers]
        columns = list(np.array(grid).T)
        with np.errstate(all="ignore"):
            theirs = getattr(getattr(reference, name), method)(*columns)
        np.testing.assert_allclose(np.asarray(ours(*columns)), theirs, rtol=1e-9, atol=1e-12, err_msg=method)


def test_gradients_beside_parameters_outside_of_their_domain() -> None:
    """One row of each batch describes no distribution; what all share keeps the derivatives of the others."""
    cases = [
        ("norm", "logpdf", np.array([1.0, 2.0, -1.0]), lambda scale, x: (x, 0.25, scale)),
        ("truncnorm", "logcdf", np.array([-2.0, -1.0, 5.0]), lambda a, b: (0.5, a, b)),
        ("gamma", "logpdf", np.array([1.5, 2.5, -3.0]), lambda a, scale: (1.25, a, 0, scale)),
        ("beta", "logpdf", np.array([1.5, 2.5, 0.0]), lambda a, b: (0.25, a, b)),
        ("binom", "logpmf", np.array([5.0, 4.0, 4.5]), lambda n, p: (2, n, 0.3 * p)),
        ("t", "logpdf", np.array([2.0, 3.5, -1.0]), lambda df, x: (x, df)),
    ]
    for name, method, rows, arguments in cases:
        function = getattr(getattr(stats, name), method)

        def total(shared: Any, rows: Any, function: Any = function, arguments: Any = arguments) -> Any:
            values = function(*arguments(rows, shared))
            return jnp.sum(jnp.where(jnp.isnan(values), 0, values))

        shared = np.float64(0.75)
        assert np.isnan(function(*arguments(rows, shared))).tolist() == [False, False, True]
        for derivative in (nrx.grad, nrx.jacfwd, lambda f: nrx.grad(nrx.grad(f)), nrx.hessian):
            with_all, without_last = derivative(total)(shared, rows), derivative(total)(shared, rows[:2])
            np.testing.assert_allclose(with_all, without_last, rtol=1e-12, err_msg=name)


def test_gradients_are_finite_outside_of_the_support() -> None:
    for name, args in (("gamma", (2.5,)), ("beta", (2.5, 1.5)), ("pareto", (2.0,)), ("uniform", ())):
        assert nrx.grad(getattr(stats, name).pdf)(-1.0, *args) == 0


def test_distributions_are_imported_like_modules() -> None:
    code = """
import pickle
import nrx.scipy.stats.norm as norm
from nrx.scipy.stats.t import logpdf
from nrx.scipy import stats
assert norm is stats.norm and logpdf == stats.t.logpdf and pickle.loads(pickle.dumps(norm)).pdf(0.0) == norm.pdf(0.0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_transformed() -> None:
    x, loc = np.linspace(-1, 1, 5), np.linspace(0, 1, 3)
    expected = reference.norm.logpdf(x, loc[:, None], 2.0)
    batched = nrx.jit(nrx.vmap(lambda m: stats.norm.logpdf(x, loc=m, scale=2.0)))(loc)
    np.testing.assert_allclose(batched, expected, rtol=1e-13)
    assert stats.norm.pdf(jnp.arange(3)).dtype == jnp.float32
    assert stats.norm.pdf(jnp.ones(3, "bfloat16")).dtype == jnp.bfloat16
    assert stats.norm.pdf(jnp.ones((0, 3))).shape == (0, 3)


def test_multivariate() -> None:
    rng = np.random.default_rng(0)
    x, alpha = rng.dirichlet([1.0, 2, 3], 5).T, np.array([1.5, 2.0, 0.75])
    for given in (x, x[:-1], x[:, 0]):
        ours = stats.dirichlet.logpdf(given, alpha)
        np.testing.assert_allclose(ours, reference.dirichlet.logpdf(given, alpha), rtol=1e-12)
    assert stats.dirichlet.pdf(np.array([0.5, 0.6, -0.1]), alpha) == 0
    counts, p = rng.multinomial(10, [0.2, 0.3, 0.5], 4).astype(float), np.array([0.2, 0.3, 0.5])
    for n in (10, 9):
        ours = stats.multinomial.logpmf(counts, n, p)
        np.testing.assert_allclose(ours, reference.multinomial.logpmf(counts, n, p), rtol=1e-12)
    cov, mean, points = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([0.3, -0.2]), rng.normal(size=(4, 2))
    for spread in (cov, 2.0):
        ours = stats.multivariate_normal.logpdf(points, mean, spread)
        np.testing.assert_allclose(ours, reference.multivariate_normal.logpdf(points, mean, spread), rtol=1e-12)
    ours = stats.multivariate_normal.pdf(np.float64(0.5), 0.25, 2.0)
    np.testing.assert_allclose(ours, reference.norm.pdf(0.5, 0.25, np.sqrt(2)), rtol=1e-12)


# --- Statistics -------------------------------------------------------------------------------------------------------

TABLE = np.array([[3.0, 1, 1, 3, 2], [5, 5, 5, 1, 1], [2, 1, 0, -1, -2]])


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_rankdata(method: str, axis: int | None) -> None:
    with nrx.config.using(default_float="float64"):
        ours = nrx.jit(lambda x: stats.rankdata(x, method, axis=axis))(TABLE)
    np.testing.assert_array_equal(ours, reference.rankdata(TABLE, method, axis=axis).reshape(ours.shape))
    assert stats.rankdata(np.zeros((0, 3)), method).shape == (0,)
    assert np.isnan(stats.rankdata(np.array([1.0, np.nan]), method)).all()


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_mode(axis: int | None, keepdims: bool) -> None:
    for table in (TABLE, TABLE.astype("int32"), np.where(TABLE == 5, np.nan, TABLE)):
        ours, theirs = stats.mode(table, axis, keepdims=keepdims), reference.mode(table, axis, keepdims=keepdims)
        np.testing.assert_array_equal(ours.mode, theirs.mode)
        np.testing.assert_array_equal(ours.count, theirs.count)
    assert np.isnan(stats.mode(np.zeros((0, 2))).mode).all()
    for kind in ("int32", "int64"):
        with nrx.config.using(default_int=kind):
            assert stats.mode(np.arange(3)).count.dtype == kind, "counts are default integers"


def test_sem() -> None:
    gaps = np.where(TABLE == 5, np.nan, TABLE)
    for axis in (None, 0, 1):
        np.testing.assert_allclose(stats.sem(TABLE, axis), reference.sem(TABLE, axis), rtol=1e-13)
        omitted = reference.sem(gaps, axis, nan_policy="omit")
        np.testing.assert_allclose(stats.sem(gaps, axis, nan_policy="omit"), omitted, rtol=1e-13)
    assert stats.sem(TABLE, 1, keepdims=True).shape == (3, 1)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("method", [None, "silverman", 0.5, lambda kde: 0.25])
def test_gaussian_kde(dimensions: int, method: Any) -> None:
    rng = np.random.default_rng(0)
    points, other, at = (rng.normal(size=(dimensions, n)) for n in (12, 9, 5))
    for weights in (None, np.linspace(1, 2, 12)):
        ours, theirs = (m.gaussian_kde(points, method, weights) for m in (stats, reference))
        np.testing.assert_allclose(nrx.jit(lambda k: k(at))(ours), theirs(at), rtol=1e-11)
        np.testing.assert_allclose(ours.logpdf(at[:, 0]), theirs.logpdf(at[:, 0]), rtol=1e-11)
        both = [m.gaussian_kde(other) for m in (stats, reference)]
        np.testing.assert_allclose(ours.integrate_kde(both[0]), theirs.integrate_kde(both[1]), rtol=1e-10)
        mean, cov = at[:, 0], np.eye(dimensions) * 2
        np.testing.assert_allclose(ours.integrate_gaussian(mean, cov), theirs.integrate_gaussian(mean, cov), rtol=1e-10)
        if dimensions == 1:
            np.testing.assert_allclose(ours.integrate_box_1d(-1, 2), theirs.integrate_box_1d(-1, 2), rtol=1e-11)
        drawn = np.asarray(ours.resample(nrx.random.PRNGKey(0), (4000,)))
        np.testing.assert_allclose(np.cov(drawn), np.cov(theirs.resample(40_000, seed=0)), atol=0.15)
    with pytest.raises(ShapeError, match="gaussian_kde"):
        ours.logpdf(np.ones((3, 4)))
    with pytest.raises(ArgumentError, match="bw_method"):
        stats.gaussian_kde(points, "wide")


def test_mistakes() -> None:
    x = jnp.ones(3)
    for wrong in (
        lambda: stats.gamma.logpdf(x),
        lambda: stats.norm.logpdf(x, mean=1),
        lambda: stats.norm.pdf(x, 0, 1, 2),
    ):
        with pytest.raises(ArgumentTypeError, match=r"gamma\.logpdf.*'a'|norm\.(log)?pdf"):
            wrong()
    with pytest.raises(ArgumentTypeError, match="loc"):
        stats.norm.logpdf(x, 0, loc=1)
    with pytest.raises(DTypeError, match="complex"):
        stats.norm.logpdf(x * 1j)
    with pytest.raises(ArgumentError, match="method"):
        stats.rankdata(x, "best")
    with pytest.raises(ArgumentError, match="nan_policy"):
        stats.mode(x, nan_policy="omit")
    with pytest.raises(AxisError):
        stats.sem(x, 1)
    with pytest.raises(ShapeError, match="alpha"):
        stats.dirichlet.logpdf(x, jnp.ones(5))
    with pytest.raises(ShapeError, match="cov"):
        stats.multivariate_normal.logpdf(x, x, jnp.eye(2))
