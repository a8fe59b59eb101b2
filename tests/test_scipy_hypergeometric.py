"""Hypergeometric functions, Bessel functions and spherical harmonics beside SciPy and mpmath, with derivatives."""

import mpmath
import numpy as np
import pytest
from scipy import special as reference

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, DTypeError
from nrx.scipy import special
from nrx.testing import check_grads

_RNG = np.random.default_rng(3)
A, B = _RNG.uniform(0.1, 6, (2, 300))
C = _RNG.uniform(0.2, 8, 300)
BELOW_ONE = _RNG.uniform(-3, 1, 300)
DEGREES, ORDERS = _RNG.integers(0, 9, 300), _RNG.integers(-9, 10, 300)
POLAR, AZIMUTH = _RNG.uniform(0, np.pi, 300), _RNG.uniform(-6, 6, 300)


@pytest.mark.parametrize("bound", [1, 20, 300])
def test_hyp1f1(bound: float) -> None:
    x = _RNG.uniform(-bound, bound, 300)
    np.testing.assert_allclose(special.hyp1f1(A, B, x), reference.hyp1f1(A, B, x), rtol=2e-10)


@pytest.mark.parametrize("d", [None, -2, -1, 0, 1, 2, 1e-6, 1 - 2e-4])
def test_hyp2f1(d: float | None) -> None:
    a, b = A / 2, B / 2
    c = C if d is None else a + b + d
    kept = np.flatnonzero(c > 0.1)[:60]
    a, b, c, x = a[kept], b[kept], c[kept], BELOW_ONE[kept]
    with mpmath.workdps(30):
        expected = [float(mpmath.hyp2f1(*row)) for row in zip(a, b, c, x, strict=True)]
    np.testing.assert_allclose(special.hyp2f1(a, b, c, x), expected, rtol=1e-8)


def test_special_points() -> None:
    for a, b, x in ((0, 0.5, 3), (2, 2, 1.5), (-3, 0.5, 20), (-3, 0.5, -20), (1, 0, 1), (1, -2, 1), (1, 2, np.nan)):
        np.testing.assert_allclose(special.hyp1f1(a, b, np.float64(x)), reference.hyp1f1(a, b, x), rtol=1e-12)
    for *rest, x in (
        (1, 2, 3, 0), (1, 2, 5, 1), (1, 2, 3, 1), (1, 2, 3, 2), (-3, 2, 1.5, 5), (2, -4, 1.5, -7), (1, 2, 0, 0.5),
        (0, 2, 3, 0.5), (2, 3, 2, 0.5), (2, 3, 3, -0.5), (1, 1, 2, np.nan), (1, 0.5, 1.5, 0.99999),
    ):  # fmt: skip
        np.testing.assert_allclose(special.hyp2f1(*rest, np.float64(x)), reference.hyp2f1(*rest, x), rtol=1e-9)


@pytest.mark.parametrize("highest", [0, 1, 7])
def test_bessel_jn(highest: int) -> None:
    z = np.concatenate([_RNG.uniform(-25, 25, 100), [0.0, 1e-8, 1e-300]])
    expected = [reference.jv(k, z) for k in range(highest + 1)]
    for call in (special.bessel_jn, nrx.jit(special.bessel_jn, static_argnames="v")):
        np.testing.assert_allclose(call(z, v=highest), expected, atol=2e-15)
    assert special.bessel_jn(jnp.ones((2, 3)), v=highest).shape == (highest + 1, 2, 3)


def test_sph_harm_y() -> None:
    expected = reference.sph_harm_y(DEGREES, ORDERS, POLAR, AZIMUTH)
    np.testing.assert_allclose(special.sph_harm_y(DEGREES, ORDERS, POLAR, AZIMUTH), expected, atol=1e-14)
    jitted = nrx.jit(special.sph_harm_y, static_argnames="n_max")
    np.testing.assert_allclose(jitted(DEGREES, ORDERS, POLAR, AZIMUTH, n_max=9), expected, atol=1e-14)
    with pytest.raises(ArgumentError, match="n_max"):
        jitted(DEGREES, ORDERS, POLAR, AZIMUTH)
    with pytest.raises(ArgumentError, match="diff_n"):
        special.sph_harm_y(1, 0, 0.5, 0.5, 1)


@pytest.mark.slow
def test_second_derivatives_of_hypergeometric_functions() -> None:
    for x in (-1.3, 0.0, 2.5):
        check_grads(special.hyp1f1, (np.float64(1.2), np.float64(2.1), np.float64(x)), order=2)
    for x in (-1.3, 0.0, 0.4, 0.95):
        check_grads(special.hyp2f1, (np.float64(1.2), np.float64(0.7), np.float64(2.3), np.float64(x)), order=2)


def test_derivatives() -> None:
    step = 1e-6
    for function, values in ((special.hyp1f1, (1.2, 2.1, 0.4)), (special.hyp2f1, (1.2, 0.7, 2.3, 0.4))):
        oracle = getattr(reference, function.__name__)
        places = tuple(range(len(values)))
        shifts = step * np.eye(len(values))
        expected = [(oracle(*(values + shift)) - oracle(*(values - shift))) / (2 * step) for shift in shifts]
        got = nrx.jit(nrx.grad(function, places))(*map(np.float64, values))
        np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_derivatives_of_recurrences() -> None:
    for z in (0.0, 2.5):
        check_grads(lambda z: special.bessel_jn(z, v=2, n_iter=20), (np.float64(z),), order=1)
    check_grads(lambda t, p: special.sph_harm_y(DEGREES[:9], ORDERS[:9], t, p), (POLAR[:9], AZIMUTH[:9]), order=1)


def test_dtypes_and_shapes() -> None:
    x = jnp.asarray([0.25, 0.5])
    for dtype in ("float32", "bfloat16", "float16"):
        assert special.hyp1f1(x.astype(dtype), 2, 1).dtype == special.bessel_jn(x.astype(dtype), v=1).dtype == dtype
    assert special.hyp2f1(1, 2, 3, jnp.ones((0, 2))).shape == (0, 2)
    assert special.sph_harm_y(1, 0, x, x).dtype == "complex64"
    for call in (nrx.vmap(special.hyp1f1), nrx.jit(special.hyp1f1)):
        np.testing.assert_allclose(
            call(x, x + 1, x), reference.hyp1f1([0.25, 0.5], [1.25, 1.5], [0.25, 0.5]), rtol=1e-6
        )
    with pytest.raises(DTypeError):
        special.hyp1f1(1j, 1, 1)
    with pytest.raises(ArgumentError, match="v is -1"):
        special.bessel_jn(x, v=-1)
