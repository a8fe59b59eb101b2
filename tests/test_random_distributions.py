"""The distributions of `nrx.random` that are accepted or rejected, or made of several draws: against the distribution
functions of SciPy and against the installed JAX; their derivatives, shapes and mistakes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import nrx
import nrx.numpy as jnp
import nrx.random as random
from nrx.core.config import config
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

KEY = random.PRNGKey(42)
N = 20_000


def double_sided(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.sign(x) * stats.maxwell.cdf(np.abs(x))


CONTINUOUS: dict[str, tuple[tuple, Callable]] = {
    "gamma-small": ((0.3,), stats.gamma(0.3).cdf), "gamma-large": ((30.0,), stats.gamma(30.0).cdf),
    "loggamma": ((0.3,), stats.loggamma(0.3).cdf), "beta": ((0.5, 2.0), stats.beta(0.5, 2).cdf),
    "chisquare": ((3.0,), stats.chi2(3).cdf), "f": ((5.0, 12.0), stats.f(5, 12).cdf), "t": ((3.0,), stats.t(3).cdf),
    "maxwell": ((), stats.maxwell.cdf), "double_sided_maxwell": ((0.0, 1.0), double_sided),
    "wald": ((0.7,), stats.invgauss(0.7).cdf), "generalized_normal": ((3.0,), stats.gennorm(3).cdf),
    "weibull_min": ((2.0, 1.5), stats.weibull_min(1.5, scale=2).cdf),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTINUOUS)
def test_continuous_distribution(case: str) -> None:
    name, (args, cdf) = case.partition("-")[0], CONTINUOUS[case]
    for dtype in ("float64", "float32"):
        x = np.asarray(getattr(random, name)(KEY, *args, shape=(N,), dtype=dtype)).astype("float64")
        assert stats.kstest(x, cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "args", "distribution"),
    [
        ("poisson", (0.5,), stats.poisson(0.5)), ("poisson", (7.5,), stats.poisson(7.5)),
        ("poisson", (200.0,), stats.poisson(200)), ("binomial", (10, 0.3), stats.binom(10, 0.3)),
        ("binomial", (1000, 0.8), stats.binom(1000, 0.8)), ("binomial", (60, 0.4), stats.binom(60, 0.4)),
    ],
)  # fmt: skip
def test_counts(name: str, args: tuple, distribution: Any) -> None:
    x = np.asarray(getattr(random, name)(KEY, *args, shape=(N,))).astype(int)
    edges = np.unique(distribution.ppf(np.linspace(0, 1, 12)[1:-1]))
    observed = np.diff(np.concatenate([[0], np.searchsorted(np.sort(x), edges, "right"), [N]]))
    expected = N * np.diff(np.concatenate([[0], distribution.cdf(edges), [1]]))
    assert stats.chisquare(observed, expected).pvalue > 0.01


def test_special_counts() -> None:
    assert np.asarray(random.poisson(KEY, jnp.array([0.0, jnp.nan]))).tolist() == [0, -1]
    out = np.asarray(
        random.binomial(KEY, np.array([5.0, 5, -1, np.nan, np.inf, 5, 5]), np.array([0.0, 1, 0.5, 0.5, 0.5, 2, np.nan]))
    )
    np.testing.assert_array_equal(out, [0, 5, np.nan, np.nan, np.inf, np.nan, np.nan])


def test_vectors() -> None:
    alpha = np.array([0.5, 1.0, 2.5])
    x = np.asarray(random.dirichlet(KEY, alpha, (N,), "float64"))
    np.testing.assert_allclose(x.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(x.mean(0), stats.dirichlet.mean(alpha), atol=0.01)
    assert stats.kstest(x[:, 0], stats.beta(0.5, 3.5).cdf).pvalue > 0.01
    for p in (1, 2, 3.5):
        x = np.abs(np.asarray(random.ball(KEY, 3, p, (N,), "float64")))
        assert stats.kstest((x**p).sum(1) ** (3 / p), stats.uniform.cdf).pvalue > 0.01
    counts = np.asarray(random.multinomial(KEY, jnp.full(2000, 20), jnp.array([0.2, 0.3, 0.5, 0.0]), shape=(2000, 4)))
    assert (counts.sum(1) == 20).all()
    np.testing.assert_allclose(counts.mean(0), [4, 6, 10, 0], atol=0.25)


@pytest.mark.parametrize("method", ["cholesky", "eigh", "svd"])
def test_multivariate_normal(method: str) -> None:
    mean, cov = np.array([1.0, -2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    x = np.asarray(random.multivariate_normal(KEY, mean, cov, (N,), method=method))
    np.testing.assert_allclose(x.mean(0), mean, atol=0.04)
    np.testing.assert_allclose(np.cov(x.T), cov, atol=0.06)
    assert random.multivariate_normal(KEY, np.zeros((3, 2)), cov, (4, 3)).shape == (4, 3, 2)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 2), (2, 4), (0, 0)])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_orthogonal(n: int, m: int, dtype: str) -> None:
    x = np.asarray(random.orthogonal(KEY, n, (5,), dtype, m))
    assert x.shape == (5, n, m)
    turned = np.conj(np.swapaxes(x, 1, 2))
    product = turned @ x if n >= m else x @ turned
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(min(n, m)), product.shape), atol=1e-13)


# --- Derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0.3, 1.0, 4.0, 60.0])
def test_gradient_of_gamma(a: float) -> None:
    """The slope of the inverse distribution function at the number drawn, by finite differences of SciPy's."""
    x, slope = nrx.jvp(lambda a: random.gamma(KEY, a, (), "float64"), (np.float64(a),), (np.float64(1.0),))
    q, step = special.gammaincc(a, float(x)), 1e-4 * a
    expected = (special.gammainccinv(a + step, q) - special.gammainccinv(a - step, q)) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-5)
    logs = lambda a: random.loggamma(KEY, a, (), "float64")
    y = np.exp(float(logs(np.float64(a))))
    q = special.gammaincc(a, y)
    expected = (special.gammainccinv(a + step, q) - special.gammainccinv(a - step, q)) / (2 * step) / y
    np.testing.assert_allclose(nrx.grad(logs)(np.float64(a)), expected, rtol=1e-5)


def hessian(f: Callable, at: np.ndarray) -> np.ndarray:
    """By central differences."""
    steps = 1e-3 * np.diag(at)
    return np.array([
        [(f(at + s + t) - f(at + s - t) - f(at - s + t) + f(at - s - t)) / (4 * s.max() * t.max()) for t in steps]
        for s in steps
    ])  # fmt: skip


def drawn_gamma(key: Any, at: Any) -> Callable:
    """What `loggamma` draws, as a function of the parameter: where the distribution function stays the same."""
    q = special.gammaincc(at, np.exp(random.loggamma(key, at, np.shape(at), "float64")))
    return lambda a: special.gammainccinv(a, q)


def test_second_derivatives_of_gamma() -> None:
    for a in (0.3, 1.0, 4.0, 60.0):
        q = special.gammaincc(a, float(random.gamma(KEY, a, (), "float64")))
        got = nrx.grad(nrx.grad(lambda a: random.gamma(KEY, a, (), "float64")))(np.float64(a))
        expected = hessian(lambda at, q=q: special.gammainccinv(at[0], q), np.array([a]))
        np.testing.assert_allclose(got, expected[0, 0], rtol=1e-4)
        inverse = drawn_gamma(KEY, a)
        got = nrx.grad(nrx.grad(lambda a: random.loggamma(KEY, a, (), "float64")))(np.float64(a))
        expected = hessian(lambda at, inverse=inverse: np.log(inverse(at[0])), np.array([a]))
        np.testing.assert_allclose(got, expected[0, 0], rtol=1e-4)


def test_second_derivatives_of_what_is_made_of_gamma() -> None:
    at = np.array([1.5, 4.0])
    first, second = (drawn_gamma(key, a) for key, a in zip(random.split(KEY), at, strict=True))
    got = nrx.hessian(lambda p: random.beta(KEY, p[0], p[1], (), "float64"))(at)
    expected = hessian(lambda p: first(p[0]) / (first(p[0]) + second(p[1])), at)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-8)

    parts = drawn_gamma(KEY, at)
    got = nrx.hessian(lambda p: random.dirichlet(KEY, p, (), "float64")[0])(at)
    np.testing.assert_allclose(got, hessian(lambda p: parts(p)[0] / parts(p).sum(), at), rtol=1e-4, atol=1e-8)

    normal, below = random.split(KEY)
    q = special.gammaincc(2.5, float(random.gamma(below, 2.5, (), "float64")))
    number = float(random.normal(normal, (), "float64"))
    got = nrx.grad(nrx.grad(lambda df: random.t(KEY, df, (), "float64")))(np.float64(5.0))
    expected = hessian(lambda p: number * np.sqrt(p[0] / 2 / special.gammainccinv(p[0] / 2, q)), np.array([5.0]))
    np.testing.assert_allclose(got, expected[0, 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "args", "means"),
    [
        ("gamma", (2.5,), lambda a: a), ("beta", (2.0, 3.0), lambda a, b: a / (a + b)),
        ("chisquare", (4.0,), lambda k: k), ("weibull_min", (2.0, 3.0), lambda s, c: s * special.gamma(1 + 1 / c)),
        ("f", (6.0, 30.0), lambda m, n: n / (n - 2)),
    ],
)  # fmt: skip
def test_mean_gradients(name: str, args: tuple, means: Callable) -> None:
    """The gradient of the mean of the draws is about that of the mean."""
    draw = lambda *args: jnp.mean(getattr(random, name)(KEY, *args, shape=(N,), dtype="float64"))
    slopes = nrx.jit(nrx.grad(draw, tuple(range(len(args)))))(*map(np.float64, args))
    for i, slope in enumerate(slopes):
        step = np.eye(len(args))[i] * 1e-5
        expected = (means(*(args + step)) - means(*(args - step))) / 2e-5
        np.testing.assert_allclose(slope, expected, atol=0.03)


# --- Shapes, transformations, mistakes --------------------------------------------------------------------------------

NAMES = {
    "gamma": (2.0,), "loggamma": (2.0,), "beta": (2.0, 3.0), "chisquare": (2.0,), "f": (2.0, 3.0), "t": (2.0,),
    "wald": (2.0,), "weibull_min": (2.0, 3.0), "poisson": (3.0,), "binomial": (3.0, 0.5),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in ("gamma", "t", "poisson"))) for n in NAMES]
)
def test_shapes_and_transformations(name: str) -> None:
    draw, args = getattr(random, name), NAMES[name]
    assert draw(KEY, *args).shape == ()
    assert draw(KEY, np.full((3, 1), args[0]), *args[1:], shape=(2, 3, 4)).shape == (2, 3, 4)
    assert draw(KEY, *args, shape=(0, 3)).shape == (0, 3)
    keys = random.split(KEY, 3)
    each = [np.asarray(draw(k, *args, shape=(5,))) for k in keys]
    np.testing.assert_array_equal(nrx.vmap(lambda k: draw(k, *args, shape=(5,)))(keys), each)
    np.testing.assert_allclose(nrx.jit(lambda k: draw(k, *args, shape=(5,)))(keys[0]), each[0], rtol=1e-5)
    if name not in ("poisson", "binomial"):
        for dtype in ("float16", "bfloat16"):
            assert str(draw(KEY, *args, shape=(3,), dtype=dtype).dtype) == dtype


@pytest.mark.parametrize("name", NAMES)
def test_mistakes(name: str) -> None:
    draw, args = getattr(random, name), NAMES[name]
    with pytest.raises(ArgumentTypeError, match=name):
        draw(3, *args)
    with pytest.raises(ShapeError, match=name):
        draw(random.split(KEY), *args)
    with pytest.raises(ShapeError, match=name):
        draw(KEY, np.full(3, args[0]), *args[1:], shape=(2,))
    with pytest.raises(DTypeError, match=name):
        draw(KEY, *args, dtype="complex64")


def test_more_mistakes() -> None:
    with pytest.raises(ShapeError, match="alpha"):
        random.dirichlet(KEY, 2.0)
    with pytest.raises(ShapeError, match="cov"):
        random.multivariate_normal(KEY, np.zeros(3), np.eye(2))
    with pytest.raises(ArgumentError, match="method"):
        random.multivariate_normal(KEY, np.zeros(2), np.eye(2), method="qr")
    with pytest.raises(ShapeError, match="p must have an axis"):
        random.multinomial(KEY, 3, 0.5)


# --- JAX's values -----------------------------------------------------------------------------------------------------

F = np.float64
WITH_JAX = {
    "gamma": (F(0.7), (500,)), "loggamma": (F(0.01), (500,)), "beta": (F(2), F(0.5), (500,)),
    "dirichlet": (np.array([1.0, 2, 7]), (300,)), "chisquare": (F(5), (500,)), "f": (F(5), F(20), (500,)),
    "t": (F(5), (500,)), "maxwell": ((500,),), "double_sided_maxwell": (F(1), F(2), (500,)), "wald": (F(0.5), (500,)),
    "generalized_normal": (F(4), (500,)), "ball": (3, 2, (300,)), "weibull_min": (F(2), F(1.5), (500,)),
    "multivariate_normal": (np.zeros(2), np.array([[2.0, 1], [1, 3]]), (300,)), "orthogonal": (4, (3,)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_JAX)
def test_as_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    with config.using(default_float="float64"):  # as in JAX with 64-bit dtypes
        ours = np.asarray(getattr(random, name)(random.PRNGKey(3), *WITH_JAX[name], dtype="float64"))
    with jax.enable_x64(True):
        theirs = np.asarray(getattr(jax.random, name)(jax.random.PRNGKey(3), *WITH_JAX[name], dtype="float64"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
def test_counts_as_jax() -> None:
    jax = pytest.importorskip("jax")
    lam = np.array([0, 1, 15, 300.0], "float32")
    for name, args, dtype in (
        ("poisson", (lam, (100, 4)), "int32"), ("poisson", (lam, (100, 4)), "int64"),
        ("binomial", (F(10), F(0.3), (300,)), "float64"), ("binomial", (F(1000), np.float32(0.8), (300,)), "float32"),
    ):  # fmt: skip
        ours = np.asarray(getattr(random, name)(random.PRNGKey(3), *args, dtype=dtype))
        with jax.enable_x64(True):
            theirs = np.asarray(getattr(jax.random, name)(jax.random.PRNGKey(3), *args, dtype=dtype))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
