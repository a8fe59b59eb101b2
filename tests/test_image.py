"""`nrx.image` against interpolation by hand in NumPy and SciPy, and JAX."""

import numpy as np
import pytest
from scipy import interpolate

import nrx
import nrx.numpy as jnp
from nrx.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(0)
METHODS = ["nearest", "linear", "cubic", "lanczos3", "lanczos5", "area", "cubic-pytorch"]


def test_linear_is_interpolation() -> None:
    x = RNG.standard_normal(9)
    for length in (5, 9, 31):
        places = np.clip((np.arange(length) + 0.5) * 9 / length - 0.5, 0, 8)
        expected = interpolate.interp1d(np.arange(9), x)(places)
        np.testing.assert_allclose(nrx.image.resize(x, (length,), "linear", antialias=False), expected, atol=1e-6)


def test_area_and_nearest_are_means_and_copies() -> None:
    x = RNG.standard_normal((4, 6))
    np.testing.assert_allclose(nrx.image.resize(x, (2, 2), "area"), x.reshape(2, 2, 2, 3).mean((1, 3)), atol=1e-6)
    np.testing.assert_array_equal(nrx.image.resize(x, (8, 6), "nearest"), x.repeat(2, 0))
    assert nrx.image.resize(jnp.arange(4), (2,), "nearest").dtype == "int32"


@pytest.mark.parametrize("method", METHODS)
def test_constants_stay(method: str) -> None:
    x = jnp.full((5, 7, 3), 2.5)
    for shape in ((9, 3, 3), (5, 7, 3), (0, 7, 3)):
        for antialias in (False, True):
            out = nrx.image.resize(x, shape, method, antialias)
            np.testing.assert_allclose(out, np.full(shape, 2.5), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_jax(method: str, antialias: bool) -> None:
    jax = pytest.importorskip("jax")
    x = RNG.standard_normal((2, 6, 7)).astype(np.float32)  # the positions are rounded to float32
    for shape in ((2, 9, 4), (2, 3, 7)):
        expected = jax.image.resize(x, shape, method, antialias)
        np.testing.assert_allclose(nrx.image.resize(x, shape, method, antialias), expected, rtol=2e-5, atol=2e-5)
    if method == "nearest":
        return
    args = (2, 8, 5), (1, 2), np.float32([1.3, 0.6]), np.float32([0.5, -1.0]), method, antialias
    np.testing.assert_allclose(
        nrx.image.scale_and_translate(x, *args), jax.image.scale_and_translate(x, *args), atol=2e-5
    )


def test_transformations() -> None:
    x = RNG.standard_normal((5, 6))
    shrink = lambda x: nrx.image.resize(x, (3, 9), "cubic")
    nrx.testing.check_grads(shrink, (x,), order=2, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(nrx.jit(shrink)(x), shrink(x), atol=1e-6)
    np.testing.assert_allclose(nrx.vmap(shrink)(x[None]), shrink(x)[None], atol=1e-6)
    moved = lambda s, t: nrx.image.scale_and_translate(x, (5, 6), (0, 1), s, t, "lanczos3")
    nrx.testing.check_grads(moved, (np.array([1.31, 1.27]), np.array([0.23, 0.41])), order=1, atol=1e-4, rtol=1e-4)


def test_mistakes() -> None:
    x = jnp.ones((2, 3))
    with pytest.raises(ShapeError, match="each axis"):
        nrx.image.resize(x, (4,), "linear")
    with pytest.raises(ArgumentError, match="lanczos7"):
        nrx.image.resize(x, (4, 4), "lanczos7")
    with pytest.raises(ShapeError, match="translation"):
        nrx.image.scale_and_translate(x, (4, 4), (0, 1), jnp.ones(2), jnp.ones(1), "linear")
    with pytest.raises(ShapeError, match="spatial_dims"):
        nrx.image.scale_and_translate(x, (4, 4), (0,), jnp.ones(1), jnp.ones(1), "linear")
    with pytest.raises(ArgumentError, match="nearest"):
        nrx.image.scale_and_translate(x, (4, 4), (0,), jnp.ones(1), jnp.ones(1), "nearest")
