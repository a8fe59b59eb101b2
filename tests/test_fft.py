"""Fourier and cosine transforms beside NumPy's, SciPy's, and JAX's conventions. The primitive's cases: cases/fft.py."""

import numpy as np
import pytest
import scipy.fft as reference
from fakes import cupy as fake

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ArgumentTypeError, AxisError, DTypeError, ShapeError
from nrx.ops.fft import fft_p
from nrx.scipy import fft as cosine
from nrx.testing import check_grads

RNG = np.random.default_rng(0)
NORMS = [None, "backward", "ortho", "forward"]
ALONG = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
OVER = ["fftn", "ifftn", "rfftn", "irfftn", "fft2", "ifft2", "rfft2", "irfft2"]
TAKES_REAL = ("rfft", "ihfft", "rfftn", "rfft2")


def drawn(name: str, *shape: int) -> np.ndarray:
    x = RNG.normal(size=shape)
    return x if name in TAKES_REAL else x + 1j * RNG.normal(size=shape)


def close(ours: object, theirs: np.ndarray, eps: float = 1e-14) -> None:
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=eps * max(1, np.abs(theirs).max(initial=0)))


@pytest.mark.parametrize("name", ALONG)
@pytest.mark.parametrize("norm", NORMS)
def test_along_an_axis(name: str, norm: str | None) -> None:
    x = drawn(name, 3, 8, 5)
    for options in ({}, {"n": 7}, {"n": 4, "axis": 1}, {"n": 13, "axis": -3}, {"axis": 1}):
        ours, theirs = getattr(jnp.fft, name), getattr(np.fft, name)(x, **options, norm=norm)
        close(ours(x, **options, norm=norm), theirs)
        close(nrx.jit(lambda x, ours=ours, options=options: ours(x, **options, norm=norm))(x), theirs)


@pytest.mark.parametrize("name", OVER)
@pytest.mark.parametrize("norm", NORMS)
def test_over_axes(name: str, norm: str | None) -> None:
    x = drawn(name, 3, 4, 5)
    choices = [{}, {"s": (4, 6), "axes": (1, 2)}, {"s": (4, -1), "axes": (-1, 0)}, {"axes": (2, 0)}]
    if name.endswith("n"):
        choices += [{"axes": (1,)}, {"axes": (2, 0, 1)}]
    for options in choices:
        theirs = getattr(np.fft, name)(x, **options, norm=norm)
        close(getattr(jnp.fft, name)(x, **options, norm=norm), theirs)
    if name.endswith("n"):
        close(getattr(jnp.fft, name)(x, (3, 4), norm=norm), getattr(np.fft, name)(x, (3, 4), (-2, -1), norm))


def test_dtypes() -> None:
    for given, real in {
        "float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32", "int32": "float32",
        "bool": "float32", "uint8": "float32",
    }.items():  # fmt: skip
        x = jnp.ones((3, 4), given)
        pair = "complex128" if real == "float64" else "complex64"
        assert jnp.fft.fft(x).dtype == jnp.fft.rfftn(x).dtype == jnp.fft.ihfft(x).dtype == pair
        assert jnp.fft.irfft(x).dtype == jnp.fft.hfft(x).dtype == cosine.dct(x).dtype == real
    x = (RNG.normal(size=1000) + 1j * RNG.normal(size=1000)).astype("complex64")
    close(jnp.fft.fft(x), np.fft.fft(x.astype("complex128")), 1e-6)  # in single precision, but not worse
    assert jnp.fft.fft(x).dtype == "complex64"
    assert not jnp.fft.fft(1.0 * jnp.ones(3)).weak_type


@pytest.mark.parametrize("name", [*ALONG, *OVER])
def test_derivatives(name: str) -> None:
    x = drawn(name, 3, 4)
    options = {"axis": 0, "norm": "ortho"} if name in ALONG else {"s": (4, 3), "axes": (1, 0), "norm": "forward"}
    check_grads(lambda x: getattr(jnp.fft, name)(x, **options), (x,), order=2)
    squares = lambda x: jnp.sum(jnp.abs(getattr(jnp.fft, name)(x)) ** 2)
    check_grads(squares, (x,), order=2)


@pytest.mark.parametrize("name", [*ALONG, *OVER])
def test_batches(name: str) -> None:
    x = drawn(name, 3, 4, 5)
    function = getattr(jnp.fft, name)
    for axis in range(3):
        ours = nrx.jit(nrx.vmap(function, in_axes=axis, out_axes=1))(x)
        theirs = [getattr(np.fft, name)(part) for part in np.moveaxis(x, axis, 0)]
        close(ours, np.stack(theirs, 1))


def test_frequencies_and_their_order() -> None:
    for n in range(1, 10):
        for d in (1.0, 0.1, 3):
            close(jnp.fft.fftfreq(n, d), np.fft.fftfreq(n, d), 1e-7)
            close(jnp.fft.rfftfreq(n, d), np.fft.rfftfreq(n, d), 1e-7)
        close(jnp.fft.fftfreq(n, 0.3, dtype="float64"), np.fft.fftfreq(n, 0.3))
        x = np.arange(2 * n).reshape(2, n)
        for axes in (None, 1, (0,), (0, 1), -1):
            np.testing.assert_array_equal(jnp.fft.fftshift(x, axes), np.fft.fftshift(x, axes))
            np.testing.assert_array_equal(jnp.fft.ifftshift(x, axes), np.fft.ifftshift(x, axes))
    assert jnp.fft.fftfreq(4).dtype == "float32"
    assert jnp.fft.fftfreq(4, np.float64(0.5)).dtype == "float64"
    slope = nrx.grad(lambda d: jnp.sum(jnp.fft.rfftfreq(4, d) * 2))(np.float64(0.5))
    np.testing.assert_allclose(slope, -2 * (0 + 1 + 2) / (4 * 0.5**2))
    close(nrx.jit(lambda d: jnp.fft.fftfreq(5, d))(np.float64(0.2)), np.fft.fftfreq(5, 0.2))


def test_nothing_to_transform() -> None:
    assert jnp.fft.fft(jnp.ones((0, 4))).shape == (0, 4)
    assert jnp.fft.irfft(jnp.ones((2, 0)), 4).shape == (2, 4)  # zeros are appended
    assert nrx.jit(jnp.fft.rfft2)(jnp.ones((0, 2, 4))).shape == (0, 2, 3)
    x = np.ones((2, 3))
    np.testing.assert_array_equal(jnp.fft.fftn(x, axes=()), x)
    assert jnp.fft.fftshift(jnp.ones(0)).shape == (0,)


def test_numpy_functions_on_our_arrays() -> None:
    x = RNG.normal(size=(3, 4))
    for name in [*ALONG, *OVER, "fftshift", "ifftshift"]:
        function = getattr(np.fft, name)
        ours = function(jnp.asarray(x))
        assert isinstance(ours, nrx.Array)
        close(ours, function(x))
        close(nrx.jit(function)(x), function(x))
    gradient = nrx.grad(lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 2))(x[0])
    np.testing.assert_allclose(gradient, parseval_gradient(x[0]))


def parseval_gradient(x: np.ndarray) -> np.ndarray:
    """Of the squares of the half spectrum, which are (n |x|² + X(0)² + X(n/2)²) / 2."""
    signs = (-1.0) ** np.arange(len(x))
    return len(x) * x + x.sum() + signs * (signs @ x)


def test_lax_fft() -> None:
    x = RNG.normal(size=(2, 3, 4))
    for kind in (nrx.lax.FftType.FFT, 0, "fft", "FFT"):
        close(nrx.lax.fft(x, kind, (3, 4)), np.fft.fftn(x, axes=(1, 2)))
    close(nrx.lax.fft(x, nrx.lax.FftType.IFFT, (4,)), np.fft.ifft(x))
    close(nrx.lax.fft(x, nrx.lax.FftType.RFFT, (3, 4)), np.fft.rfftn(x, axes=(1, 2)))
    close(nrx.lax.fft(x[..., :3], nrx.lax.FftType.IRFFT, (3, 5)), np.fft.irfftn(x[..., :3], (3, 5), (1, 2)))
    assert nrx.lax.fft(x, "fft", ()).dtype == "complex128"
    for kind in (7, "dct", None):
        with pytest.raises(ArgumentError, match="fft_type"):
            nrx.lax.fft(x, kind, (4,))
    with pytest.raises(ShapeError, match="does not fit"):
        nrx.lax.fft(x, "fft", (5,))
    with pytest.raises(ShapeError, match="more axes"):
        nrx.lax.fft(x, "fft", (1, 2, 3, 4))
    with pytest.raises(DTypeError, match="real numbers"):
        nrx.lax.fft(x * 1j, "rfft", (4,))


def test_on_the_gpu_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    fake.install(monkeypatch)
    import cupy

    x = RNG.normal(size=(3, 4))
    params = {"lengths": (3, 4), "axes": (0, 1), "norm": "ortho"}
    close(cupy.asnumpy(fft_p.impl(cupy, cupy.asarray(x), kind="rfft", **params)), np.fft.rfftn(x, norm="ortho"))
    half = np.fft.rfftn(x)
    close(cupy.asnumpy(fft_p.impl(cupy, cupy.asarray(half), kind="irfft", **params)), np.fft.irfftn(half, norm="ortho"))


def test_mistakes() -> None:
    x = jnp.ones((2, 4))
    with pytest.raises(DTypeError, match="rfftn takes real numbers"):
        jnp.fft.rfftn(x * 1j)
    with pytest.raises(DTypeError, match="ihfft takes real numbers"):
        jnp.fft.ihfft(x * 1j)
    with pytest.raises(ArgumentError, match="fft: unknown norm 'unitary'"):
        jnp.fft.fft(x, norm="unitary")
    with pytest.raises(ArgumentError, match="hfft: unknown norm"):
        jnp.fft.hfft(x, norm="none")
    for wrong in (0, -3):
        with pytest.raises(ShapeError, match="at least one point"):
            jnp.fft.fft(x, n=wrong)
    with pytest.raises(ShapeError, match="at least one point"):
        jnp.fft.irfft(jnp.ones(1))
    with pytest.raises(AxisError):
        jnp.fft.fft(x, axis=2)
    with pytest.raises(AxisError, match="twice"):
        jnp.fft.fftn(x, axes=(0, -2))
    with pytest.raises(ArgumentTypeError):
        jnp.fft.fft(x, axis=(0, 1))
    with pytest.raises(ShapeError, match="1 lengths s for 2 axes"):
        jnp.fft.fft2(x, s=(3,))
    with pytest.raises(ShapeError, match="s is"):
        jnp.fft.fftn(x, s=(3, 3, 3))
    with pytest.raises(ShapeError, match="at least one axis"):
        jnp.fft.rfftn(x, axes=())
    with pytest.raises(ArgumentError, match="fftfreq"):
        jnp.fft.fftfreq(0)


# Cosine transforms


@pytest.mark.parametrize("norm", NORMS)
def test_cosine_transforms(norm: str | None) -> None:
    for n in range(1, 8):
        x = RNG.normal(size=(3, n))
        for name in ("dct", "idct"):
            ours, theirs = getattr(cosine, name), getattr(reference, name)
            close(ours(x, norm=norm), theirs(x, norm=norm))
            close(ours(x, 2, 5, 0, norm), theirs(x, 2, 5, 0, norm))
            close(ours(x * 1j + 1, norm=norm), theirs(x * 1j + 1, norm=norm))
    x = RNG.normal(size=(3, 4, 5))
    for name in ("dctn", "idctn"):
        ours, theirs = getattr(cosine, name), getattr(reference, name)
        close(ours(x[0, 0], s=3, norm=norm), theirs(x[0, 0], s=3, norm=norm))
        for options in ({}, {"s": (2, 6)}, {"axes": (2, 0)}, {"s": (3, 3), "axes": (0, -1)}, {"axes": (1,)}):
            close(nrx.jit(lambda x, ours=ours, o=options: ours(x, norm=norm, **o))(x), theirs(x, norm=norm, **options))


def test_rules_of_cosine_transforms() -> None:
    x = RNG.normal(size=(2, 3, 4))
    for name in ("dct", "idct", "dctn", "idctn"):
        function = getattr(cosine, name)
        check_grads(function, (x[0],), order=2)
        check_grads(lambda x, f=function: f(x) ** 3, (x[0],), order=2)
        close(nrx.vmap(function, in_axes=1)(x), np.stack([getattr(reference, name)(x[:, i]) for i in range(3)]))
    single = RNG.normal(size=1000).astype("float32")
    close(cosine.dct(single), reference.dct(single.astype("float64")), 1e-6)


def test_mistakes_of_cosine_transforms() -> None:
    x = jnp.ones((2, 4))
    with pytest.raises(ArgumentError, match="type is 2"):
        cosine.dct(x, type=3)
    with pytest.raises(ArgumentError, match="unknown norm"):
        cosine.idctn(x, norm="unitary")
    with pytest.raises(AxisError):
        cosine.dct(x, axis=2)
    for wrong in (0, -1):
        with pytest.raises(ShapeError, match="at least one point"):
            cosine.dct(x, n=wrong)
    with pytest.raises(ShapeError, match="at least one point"):
        cosine.dct(jnp.ones((2, 0)))
    with pytest.raises(ShapeError, match="2 lengths s for 1 axes"):
        cosine.dctn(x, s=(2, 2), axes=(1,))
    with pytest.raises(ShapeError, match="s is"):
        cosine.dctn(x, s=(2, 2, 2))
