"""The incomplete gamma and beta functions and the Bessel functions against mpmath, with the bounds they state."""

import mpmath as mp
import numpy as np
import pytest
from scipy import special

import nrx
from nrx import errors, lax
from nrx.core.array import asarray
from nrx.ops.incomplete import random_gamma_grad_a_p
from nrx.testing import check_grads

RNG = np.random.default_rng(0)
A = 10.0 ** RNG.uniform(-5, 3.5, 60)
X = A * 10.0 ** RNG.uniform(-1, 0.3, 60)
A[:12], X[:12] = 10.0 ** RNG.uniform(-5, 0, 12), 10.0 ** RNG.uniform(-3, 1, 12)
B, U = 10.0 ** RNG.uniform(-1, 3, 60), RNG.uniform(size=60)


def exactly(function):
    """`function` of floats at 50 digits, for arrays."""

    def of_arrays(*args):
        with mp.workdps(50):
            return np.array([float(function(*map(mp.mpf, row))) for row in zip(*args, strict=True)])

    return of_arrays


def lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a, x):
    return mp.gammainc(a, x, mp.inf, regularized=True)


def slope(a, x):
    """The derivative of `lower` in a, by the central difference whose error is far below a float's."""
    h = a * mp.mpf(10) ** -14
    return (lower(a + h, x) - lower(a - h, x)) / (2 * h)


def density(a, x):
    return mp.exp((a - 1) * mp.log(x) - x - mp.loggamma(a))


def draw_curve(a, x):
    """The derivative in a of that of a draw, by central differences of the smaller tail."""
    h, sign, tail = a * mp.mpf(10) ** -9, *((-1, lower) if x < a else (1, upper))

    def of_draw(a):
        return sign * (tail(a + h, x) - tail(a - h, x)) / (2 * h) / density(a, x)

    return (of_draw(a + h) - of_draw(a - h)) / (2 * h)


def random_gamma_grad_a(a, x):
    return random_gamma_grad_a_p.bind(asarray(a), asarray(x))


CASES = {
    "igamma": (lax.igamma, lower, (A, X), 2e-13),
    "igammac": (lax.igammac, upper, (A, X), 2e-13),
    "igamma_grad_a": (lax.igamma_grad_a, slope, (A[:30], X[:30]), 1e-11),
    "random_gamma_grad": (lax.random_gamma_grad, lambda a, x: -slope(a, x) / density(a, x), (A[:30], X[:30]), 1e-11),
    "random_gamma_grad_a": (random_gamma_grad_a, draw_curve, (A[30:45], X[30:45]), 1e-11),
    "betainc": (lax.betainc, lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), (A[:30] + 0.1, B[:30], U[:30]),
                1e-12),
    "bessel_i0e": (lax.bessel_i0e, lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), (RNG.normal(size=60) * 12,), 1e-15),
    "bessel_i1e": (lax.bessel_i1e, lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), (RNG.normal(size=60) * 12,), 2e-15),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_accuracy(name):
    function, exact, args, bound = CASES[name]
    expected = exactly(exact)(*args)
    kept = np.abs(expected) > 1e-100
    for run in (function, nrx.jit(function), nrx.jit(nrx.vmap(function))):
        got = np.asarray(run(*map(nrx.numpy.asarray, args)))
        np.testing.assert_allclose(got[kept], expected[kept], rtol=bound)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_narrow(name, dtype):
    """They are computed in float64 and rounded."""
    function, _, args, _ = CASES[name]
    narrow = [nrx.numpy.asarray(x).astype(dtype) for x in args]
    exact = function(*(x.astype("float64") for x in narrow)).astype(dtype)
    for run in (function, nrx.jit(function)):
        got = run(*narrow)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.astype("float64"), exact.astype("float64"))


def test_limits():
    inf, nan = np.inf, np.nan
    a = np.array([1, 1, 0, 0, inf, inf, 2, -1, nan, 1, 2e7])
    x = np.array([0, inf, 1, 0, 1, inf, -1, 1, 1, nan, 2e7])
    expected = np.array([0, 1, 1, nan, 0, nan, nan, nan, nan, nan, special.gammainc(2e7, 2e7)])
    for f, values in ((lax.igamma, expected), (lax.igammac, 1 - expected)):
        np.testing.assert_allclose(f(a, x), values, rtol=1e-9)
        np.testing.assert_allclose(nrx.jit(f)(a, x), values, rtol=1e-9)
    a, b = np.array([1.0, 1, 0, 1, 0, -1, 1, 1, nan]), np.array([2.0, 2, 1, 0, 0, 1, 1, 1, 1])
    u = np.array([0, 1, 0.5, 0.5, 0.5, 0.5, -0.1, 1.1, 0.5])
    np.testing.assert_array_equal(lax.betainc(a, b, u), [0, 1, 1, 0, nan, nan, nan, nan, nan])
    np.testing.assert_array_equal(lax.bessel_i0e(np.array([0, inf, -inf, nan])), [1, 0, 0, nan])
    np.testing.assert_array_equal(lax.bessel_i1e(np.array([0, inf, -inf, nan])), [0, 0, 0, nan])
    assert nrx.jit(lax.igamma)(np.ones((0, 2)), np.ones((0, 2))).shape == (0, 2)


def test_derivatives():
    a, x, u = (RNG.uniform(low, high, 5) for low, high in ((0.5, 20), (0.5, 20), (0.1, 0.9)))
    for f in (lax.igamma, lax.igammac):
        check_grads(lambda x, f=f: f(a, x), (x,), order=2)
        check_grads(f, (a, x), order=2)
    check_grads(lax.random_gamma_grad, (a, x), order=1)
    check_grads(lambda u: lax.betainc(a, x, u), (u,), order=2)
    for f in (lax.bessel_i0e, lax.bessel_i1e):
        check_grads(f, (RNG.normal(size=5) * 5,), order=2)
    assert nrx.grad(lax.bessel_i1e)(0.0) == 0.5
    with pytest.raises(errors.DifferentiationError, match="at most twice"):
        nrx.grad(nrx.grad(nrx.grad(lax.igamma)))(1.0, 2.0)
    with pytest.raises(errors.DifferentiationError, match="betainc with respect to b"):
        nrx.grad(lax.betainc, 1)(1.0, 2.0, 0.5)
