"""`nrx.scipy.stats` beside SciPy, in float64: every function of every distribution, its derivatives, and statistics."""

import subprocess
import sys
from itertools import product
from typing import Any

import mpmath as mp
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_densities_keep_their_digits(dtype: str) -> None:
    """Many degrees of freedom, concentration and c near 1, where the plain formulas cancel; the oracle is mpmath."""
    exact = {
        "t": lambda y, df: (
            mp.loggamma((df + 1) / 2)
            - mp.loggamma(df / 2)
            - mp.log(mp.pi * df) / 2
            - (df + 1) / 2 * mp.log1p(y * y / df)
        ),
        "vonmises": lambda y, kappa: kappa * mp.cos(y) - mp.log(2 * mp.pi * mp.besseli(0, kappa)),
        "wrapcauchy": lambda y, c: mp.log((1 - c * c) / (2 * mp.pi * (1 + c * c - 2 * c * mp.cos(y)))),
    }
    given = {
        "t": [0.01, 1.0, 10.0, 29.9, 30.1, 100.0, 1e3, 1e6, 1e12],
        "vonmises": [1e-3, 1.0, 50.0, 5e3],
        "wrapcauchy": [0.01, 0.5, 0.99, 0.9999, 0.999999],
    }
    for name, parameters in given.items():
        y, p = (a.ravel().astype(dtype) for a in np.meshgrid([1e-4, 0.05, 0.5, 2.5], parameters))
        with mp.workdps(60):
            expected = [float(exact[name](mp.mpf(float(u)), mp.mpf(float(v)))) for u, v in zip(y, p, strict=True)]
        tolerance = 4 * float(np.finfo(dtype).eps)
        ours = np.asarray(getattr(stats, name).logpdf(y, p)).astype("float64")
        np.testing.assert_array_less(np.abs(ours - expected), tolerance * np.maximum(5, np.abs(expected)), name)
    check_grads(stats.t.logpdf, (np.float64(0.5), np.float64(300.0)), order=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distribution_functions_keep_their_digits(dtype: str) -> None:
    """Probabilities next to 1, small x, and many degrees of freedom; in float32, too, as many as the numbers have."""
    y, df = (a.ravel() for a in np.meshgrid([-8.0, -2.0, -0.1, 1e-3, 0.5, 4.0], [0.5, 3.0, 50.0, 1e3]))
    cases = [
        ("t", "cdf", (y, df), 300),
        ("t", "sf", (y, df), 300),
        ("t", "cdf", ([-2.0, 1e-3, 0.5], [1e6, 1e6, 1e6]), 3e5),  # betainc itself loses the digits of 1e6
        ("cauchy", "logcdf", ([1e3, 8.9e16, -1e9],), 10),
        ("cauchy", "logsf", ([-1e3, -4e15, 1e9],), 10),
        ("chi2", "logcdf", ([45.5, 3.0], [1.25, 1.25]), 50),
        ("beta", "sf", ([1e-6, 3e-6, 0.5], [0.03125, 0.25, 2.0], [20.0, 0.0625, 30.0]), 50),
    ]
    for name, method, given, rounding in cases:
        numbers = [np.asarray(a).astype(dtype) for a in given]
        expected = getattr(getattr(reference, name), method)(*(a.astype("float64") for a in numbers))
        ours = getattr(getattr(stats, name), method)(*numbers)
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, expected, rtol=rounding * np.finfo(dtype).eps, err_msg=f"{name}.{method}")


@pytest.mark.parametrize("name", ["t", "gennorm"])
def test_derivatives_of_the_distribution_function_in_the_middle(name: str) -> None:
    for method in ("cdf", "sf", "logcdf", "logsf"):
        check_grads(lambda y, method=method: getattr(getattr(stats, name), method)(y, 2.5), (np.float64(0.0),), order=2)


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


IMPROPER: dict[str, list[tuple[float, ...]]] = {
    "pareto": [(-1.0,), (0.0,)], "gamma": [(-1.0,), (0.0,)], "chi2": [(-1.0,), (0.0,)],
    "beta": [(-1.0, 0.75), (2.5, 0.0)], "t": [(-1.0,), (0.0,)], "gennorm": [(-1.0,), (0.0,)],
    "truncnorm": [(2.0, -1.0), (1.0, 1.0)], "vonmises": [(-1.0,)], "wrapcauchy": [(0.0,), (1.0,), (2.0,)],
    "bernoulli": [(-0.5,), (1.5,)], "binom": [(-1.0, 0.3), (2.5, 0.3), (10.0, 1.5)],
    "betabinom": [(10.0, 0.0, 1.0), (10.0, 1.0, -1.0)], "nbinom": [(0.0, 0.3), (4.0, 0.0)], "geom": [(0.0,), (1.5,)],
    "poisson": [(-1.0,)],
}  # fmt: skip


@pytest.mark.parametrize("strong_zeros", [True, False])
@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_derivatives_beside_parameters_that_describe_no_distribution(name: str, strong_zeros: bool) -> None:
    """What a row shares with improper ones has the derivatives of the row alone, which finite differences confirm."""
    discrete, shapes = name in DISCRETE, {**CONTINUOUS, **DISCRETE}[name]
    x = {"bernoulli": 1.0, "pareto": 1.8}.get(name, 2.0 if discrete else 0.3)
    place = (0.0,) if discrete else (0.1, 1.25)
    rows = [(x, *bad, *place) for bad in IMPROPER.get(name, [])]
    rows += [] if discrete else [(x, *shapes, 0.1, scale) for scale in (0.0, -1.0, np.nan)]
    point = np.array([x, *shapes, *place])
    apart = np.array([point, *rows, [x, *[np.nan] * len(shapes), *place]][: None if shapes else -1]) - point
    varied = np.arange(1, 1 + len(shapes)) if discrete else np.arange(len(point))
    varied = varied[1:] if name in ("binom", "betabinom") else varied  # n is a whole number
    for method in ("logpdf", "logpmf") if strong_zeros else (*METHODS, "logpmf"):
        function = getattr(getattr(stats, name), method, None)
        if function is None or method == "pdf" or (name, method) == ("bernoulli", "ppf"):  # pdf is exp(logpdf)
            continue
        point[0] = 0.3 if method in ("ppf", "isf") else x
        here = varied
        if name in ("beta", "t") and "pdf" not in method:
            here = np.array([0, len(point) - 2, len(point) - 1])  # betainc has no derivative in its parameters

        def alone(values: Any, function: Any = function, here: Any = here) -> Any:
            varying = dict(zip(here.tolist(), values, strict=True))
            return function(*(varying.get(i, value) for i, value in enumerate(point)))

        def total(values: Any, function: Any = function, here: Any = here) -> Any:
            varying = dict(zip(here.tolist(), values, strict=True))
            every = function(*(varying.get(i, value) + apart[:, i] for i, value in enumerate(point)))
            return jnp.sum(jnp.where(jnp.isnan(every), 0, every))

        assert np.isnan(function(*(point + apart).T)).tolist() == [False] + [True] * (len(apart) - 1)
        check_grads(alone, (point[here],), order=1)
        with nrx.config.using(strong_zeros=strong_zeros):
            for derivative in (nrx.grad, nrx.jacfwd, nrx.hessian):
                expected = derivative(alone)(point[here])
                np.testing.assert_allclose(derivative(total)(point[here]), expected, 1e-10, 1e-13, err_msg=method)


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
    assert np.isnan(stats.dirichlet.logpdf(x, np.array([1.5, 0.0, 0.75]))).all()
    n, chances = np.array([10, -1, 10, 10]), np.array([[0.2, 0.3, 0.5]] * 2 + [[0.7, -0.2, 0.5], [np.nan, 0.5, 0.5]])
    ours = stats.multinomial.logpmf(counts, n, chances)
    np.testing.assert_allclose(
        ours, [reference.multinomial.logpmf(*row) for row in zip(counts, n, chances, strict=True)], rtol=1e-12
    )
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
