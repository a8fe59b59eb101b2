"""`nrx.scipy.signal` beside SciPy's functions."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.signal as reference

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ArgumentTypeError, AxisError, DTypeError, ShapeError
from nrx.scipy import signal
from nrx.testing import check_grads

RNG = np.random.default_rng(0)


def close(ours: Any, theirs: Any, tolerance: float = 1e-12) -> None:
    ours, theirs = (pair if isinstance(pair, tuple) else (pair,) for pair in (ours, theirs))
    for got, expected in zip(ours, theirs, strict=True):
        assert np.shape(got) == np.shape(expected)
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def drawn(*shape: int, complex: bool = False) -> np.ndarray:
    x = RNG.normal(size=shape)
    return x + 1j * RNG.normal(size=shape) if complex else x


# Convolution


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
def test_convolutions(name: str, method: str) -> None:
    ours, theirs = getattr(signal, name), getattr(reference, name)
    shapes = [((7,), (3,)), ((3,), (8,)), ((4,), (4,)), ((5, 4), (2, 3)), ((2, 3), (5, 4)), ((2, 3, 4), (2, 2, 1))]
    for (one, two), mode, complex in itertools.product(shapes, ("full", "same", "valid"), (False, True)):
        x, y = drawn(*one), drawn(*two, complex=complex)
        close(ours(x, y, mode, method), theirs(x, y, mode, "direct"))
    x, y = drawn(5, 2), drawn(3, 4)
    for mode in ("full", "same"):  # neither fits into the other
        close(ours(x, y, mode, method), theirs(x, y, mode, "direct"))
    assert ours(np.arange(4), np.arange(3), method=method).dtype == "float32"
    close(ours(np.arange(4), np.arange(3), method=method), theirs(np.arange(4), np.arange(3)).astype("f4"), 1e-6)


@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_convolutions_of_matrices(name: str) -> None:
    ours, theirs = getattr(signal, name), getattr(reference, name)
    shapes = [((5, 4), (2, 3)), ((6, 5), (4, 2)), ((3, 4), (3, 4)), ((4, 3), (2, 5))]
    for (one, two), mode, boundary in itertools.product(shapes, ("full", "same"), ("fill", "wrap", "symm")):
        x, y = drawn(*one), drawn(*two, complex=True)
        close(ours(x, y, mode, boundary), theirs(x, y, mode, boundary))
        close(ours(x, y, mode, "fill", 1.5), theirs(x, y, mode, "fill", 1.5))
    for one, two in (*shapes[:3], ((2, 3), (5, 4))):
        x, y = drawn(*one, complex=True), drawn(*two, complex=True)
        close(ours(x, y, "valid"), theirs(x, y, "valid"))
        close(nrx.jit(lambda x, y: ours(x, y, "same"))(x, y), theirs(x, y, "same"))


def test_fftconvolve() -> None:
    for mode, complex in itertools.product(("full", "same", "valid"), (False, True)):
        x, y = drawn(3, 9, 5, complex=complex), drawn(3, 4, 2)
        for axes in (None, (1, 2)):
            close(signal.fftconvolve(x, y, mode, axes), reference.fftconvolve(x, y, mode, axes))
        for axes in (1, (-2,)):
            z = y[:1, :, :1]
            close(signal.fftconvolve(x, z, mode, axes), reference.fftconvolve(x, z, mode, axes))
    x, y = drawn(1013).astype("float32"), drawn(211).astype("float32")
    assert signal.fftconvolve(x, y).dtype == "float32"
    close(signal.fftconvolve(x, y), np.convolve(x.astype("f8"), y.astype("f8")), 1e-4)
    assert signal.fftconvolve(jnp.ones(3, "bfloat16"), jnp.ones(2, "bfloat16")).dtype == "bfloat16"


def test_rules_of_convolutions() -> None:
    x, y = drawn(5), drawn(3)
    for mode, method in itertools.product(("full", "same", "valid"), ("direct", "fft")):
        check_grads(lambda x, y, m=mode, w=method: signal.convolve(x, y, m, w), (x, y), order=2)
        check_grads(lambda x, y, m=mode, w=method: signal.correlate(x, y, m, w), (x, y), order=2)
    check_grads(lambda x, y: signal.convolve2d(x, y, "same", "wrap"), (drawn(3, 4), drawn(2, 2)), order=2)
    batched = nrx.vmap(signal.fftconvolve, in_axes=(1, None))(drawn(5, 2) * 0 + x[:, None], y)
    close(batched, np.stack([np.convolve(x, y)] * 2))


def test_mistakes_of_convolutions() -> None:
    x, y = jnp.ones(4), jnp.ones(2)
    for function in (signal.convolve, signal.correlate, signal.fftconvolve):
        with pytest.raises(ArgumentError, match="unknown mode 'half'"):
            function(x, y, "half")
        with pytest.raises(ShapeError, match="different numbers of axes"):
            function(x, jnp.ones((2, 2)))
        with pytest.raises(ShapeError, match="there must be elements"):
            function(x, jnp.ones(0))
        with pytest.raises(ShapeError, match="fits into the other"):
            function(jnp.ones((3, 2)), jnp.ones((2, 3)), "valid")
    with pytest.raises(ArgumentError, match="unknown method"):
        signal.convolve(x, y, method="slow")
    with pytest.raises(ShapeError, match="takes matrices"):
        signal.convolve2d(x, y)
    with pytest.raises(ArgumentError, match="unknown boundary"):
        signal.correlate2d(jnp.ones((2, 2)), jnp.ones((2, 2)), boundary="edge")
    with pytest.raises(ShapeError, match="broadcast"):
        signal.fftconvolve(jnp.ones((2, 4)), jnp.ones((3, 4)), axes=1)
    with pytest.raises(AxisError):
        signal.fftconvolve(x, y, axes=1)


# Trends


def test_detrend() -> None:
    x = drawn(3, 12, 2) + np.arange(12)[:, None]
    for axis, kind in itertools.product((0, 1, -2), ("constant", "linear")):
        close(signal.detrend(x, axis, kind), reference.detrend(x, axis, kind))
    for borders in (4, [3, 7], np.array([5, 0, 12])):
        close(signal.detrend(x, 1, bp=borders), reference.detrend(x, 1, bp=borders))
    close(signal.detrend(x[0] * 1j, 0), reference.detrend(x[0] * 1j, 0))
    for short in ("l", "c"):
        close(signal.detrend(x, 1, short), reference.detrend(x, 1, short))
    close(signal.detrend(drawn(1)), np.zeros(1))
    assert signal.detrend(jnp.arange(5)).dtype == "float32"
    check_grads(lambda x: signal.detrend(x, bp=3) ** 2, (drawn(7),), order=2)
    with pytest.raises(ArgumentError, match="unknown type"):
        signal.detrend(x, type="square")
    for wrong in (13, -1):
        with pytest.raises(ArgumentError, match="bp must be from 0 to 12"):
            signal.detrend(x, 1, bp=wrong)


# Spectra

NAMED = [
    "boxcar", "bartlett", "hann", "hamming", "blackman", "blackmanharris", "nuttall", "flattop", ("kaiser", 3.0),
    ("gaussian", 2.5), ("tukey", 0.3), ("tukey", 0.0), ("tukey", 1.0),
]  # fmt: skip
CHOICES: list[dict] = [
    {}, {"fs": 100.0}, {"nperseg": 15, "noverlap": 4}, {"nfft": 40}, {"nfft": 33}, {"axis": 0, "nperseg": 5},
    {"detrend": "linear"}, {"detrend": False}, {"detrend": "constant"}, {"return_onesided": False},
    {"window": "blackman"}, {"window": np.hanning(10), "nperseg": None},
]  # fmt: skip


@pytest.mark.parametrize("options", CHOICES, ids=lambda o: "-".join(o) or "default")
def test_spectra(options: dict) -> None:
    options = {"nperseg": 16, **options}
    x, y = drawn(20, 3, 60), drawn(20, 3, 60)
    close(signal.stft(x, **options), reference.stft(x, **options))
    close(nrx.jit(lambda x: signal.stft(x, **options))(x), reference.stft(x, **options))
    close(signal.welch(x, **options), reference.welch(x, **options))
    close(signal.csd(x, y, **options), reference.csd(x, y, **options))


def test_choices_of_spectra() -> None:
    x, y, short = drawn(2, 50), drawn(2, 50), drawn(2, 44)
    for boundary, padded in itertools.product(("even", "odd", "constant", "zeros", None), (True, False)):
        options: dict = {"nperseg": 12, "noverlap": 7, "boundary": boundary, "padded": padded}
        close(signal.stft(x, **options), reference.stft(x, **options))
    for scaling, average in itertools.product(("density", "spectrum"), ("mean", "median")):
        options = {"nperseg": 8, "scaling": scaling, "average": average}
        close(signal.welch(x, **options), reference.welch(x, **options))
        close(signal.csd(x, y, **options), reference.csd(x, y, **options))
    close(signal.csd(x, short, nperseg=10), reference.csd(x, short, nperseg=10))
    close(signal.csd(short, y, nperseg=10), reference.csd(short, y, nperseg=10))
    close(signal.csd(x, y[:1], nperseg=10), reference.csd(x, y[:1], nperseg=10))
    close(signal.welch(x, nperseg=50), reference.welch(x, nperseg=50))  # one segment
    close(signal.welch(x), reference.welch(x, nperseg=50))
    removed = lambda segments: segments - segments[..., :1]
    close(signal.welch(x, nperseg=8, detrend=removed), reference.welch(x, nperseg=8, detrend=removed))
    with pytest.warns(UserWarning, match="shortened"):
        close(signal.welch(x, nperseg=64), reference.welch(x, nperseg=50))
    with pytest.warns(UserWarning, match="half spectrum"):
        ours = signal.welch(x + 1j * y, nperseg=8)
    close(ours, reference.welch(x + 1j * y, nperseg=8, return_onesided=False))
    for made in (signal.welch(np.ones((3, 0))), signal.stft(np.ones((3, 0)))):
        assert {part.shape for part in made} == {(3, 0)}


@pytest.mark.parametrize("window", NAMED, ids=str)
def test_windows(window: Any) -> None:
    x = drawn(40)
    for size in (1, 2, 9, 16):
        noverlap = 0 if size == 1 else None
        close(
            signal.welch(x, window=window, nperseg=size, noverlap=noverlap, detrend=False),
            reference.welch(x, window=reference.get_window(window, size), noverlap=noverlap, detrend=False),
            1e-11,
        )


def test_istft() -> None:
    x = drawn(2, 64)
    for options in ({"nperseg": 16}, {"nperseg": 15, "noverlap": 10}, {"nperseg": 12, "nfft": 20, "window": "hamming"}):
        z = reference.stft(x, **options)[2]
        theirs = reference.istft(z, **options)[1]
        times, ours = signal.istft(z, **options)
        close(ours, theirs)
        close(times, np.arange(theirs.shape[-1]))
        np.testing.assert_allclose(ours[:, :64], x, rtol=0, atol=1e-12)
    z = reference.stft(x[0], 10.0, "hamming", 16, return_onesided=False, boundary=None)[2]
    options = {"fs": 10.0, "window": "hamming", "input_onesided": False, "boundary": False}
    close(signal.istft(z, **options), reference.istft(z, **options), 1e-9)
    z = reference.stft(x, nperseg=16)[2]
    for time, freq in ((0, 1), (0, -1), (1, 0), (-1, 0), (2, 0)):
        turned = np.moveaxis(z, (-1, -2), (time, freq))
        theirs = reference.istft(turned, nperseg=16, time_axis=time, freq_axis=freq)[1]
        close(signal.istft(turned, nperseg=16, time_axis=time, freq_axis=freq)[1], theirs)
    assert signal.istft(np.ones((2, 4)), nperseg=1, noverlap=0)[1].shape == (4,)


def test_rules_of_spectra() -> None:
    x, y = drawn(20), drawn(20)
    check_grads(lambda x: signal.welch(x, nperseg=8)[1], (x,), order=2)
    check_grads(lambda x, y: signal.csd(x, y, nperseg=8)[1], (x, y), order=2)
    check_grads(lambda x: signal.stft(x, nperseg=8)[2], (x,), order=2)
    check_grads(lambda z: signal.istft(z, nperseg=8)[1], (reference.stft(x, nperseg=8)[2],), order=2)
    both = np.stack([x, y])
    for function in (signal.welch, signal.stft):
        vmapped = nrx.vmap(lambda x, f=function: f(x, nperseg=8)[-1])(both)
        close(vmapped, np.stack([np.asarray(function(row, nperseg=8)[-1]) for row in both]))
    assert {part.dtype.name for part in signal.welch(x.astype("float32"), nperseg=8)} == {"float32"}
    assert signal.stft(x.astype("float32"), nperseg=8)[2].dtype == "complex64"
    rate = lambda fs: jnp.sum(signal.welch(x, fs, nperseg=8)[1])
    check_grads(rate, (np.float64(3.0),), order=2)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_spectra_of_nothing(axis: int) -> None:
    x = np.ones((2, 0, 3))
    for name in ("welch", "stft"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = getattr(reference, name)(x, axis=axis)
        assert [part.shape for part in getattr(signal, name)(x, axis=axis)] == [part.shape for part in theirs]


def test_mistakes_of_spectra() -> None:
    x = jnp.ones(30)
    for options, message in (
        ({"nperseg": 0}, "nperseg"), ({"nperseg": 8, "noverlap": 8}, "noverlap"), ({"nperseg": 8, "nfft": 7}, "nfft"),
        ({"window": "square"}, "unknown window 'square'"), ({"window": ("kaiser",)}, "unknown window"),
        ({"window": np.ones(31)}, "longer than the signal"), ({"window": np.ones(8), "nperseg": 9}, "length 9"),
        ({"detrend": 3}, "detrend is"),
    ):  # fmt: skip
        for function in (signal.welch, signal.stft):
            with pytest.raises(ArgumentError, match=message):
                function(x, **{"nperseg": None, **options})
    for name in ("nperseg", "noverlap", "nfft"):
        with pytest.raises(ArgumentTypeError, match=f"welch: {name} must be an integer, got 8.5"):
            signal.welch(x, **{"nperseg": 8, name: 8.5})
        with pytest.raises(ArgumentTypeError, match=f"istft: {name} must be an integer"):
            signal.istft(jnp.ones((5, 3)), **{name: "a"})
    for window in ((), ("kaiser", "wide")):
        with pytest.raises(ArgumentError, match="unknown window"):
            signal.stft(x, window=window)
    with pytest.raises(DTypeError, match="window must be real"):
        signal.welch(x, window=np.ones(8) * 1j)
    with pytest.raises(ArgumentError, match="welch: unknown scaling"):
        signal.welch(x, scaling="power")
    with pytest.raises(ArgumentError, match="csd: unknown average"):
        signal.csd(x, x, average="mode")
    with pytest.raises(ArgumentError, match="welch: unknown average"):
        signal.welch(x, average="mode")
    with pytest.raises(ArgumentError, match="welch: noverlap"):
        signal.welch(x, nperseg=8, noverlap=9)
    with pytest.raises(ArgumentError, match="unknown window 'square'"):
        signal.welch(jnp.ones(1), window="square")
    with pytest.raises(ArgumentError, match="unknown boundary"):
        signal.stft(x, nperseg=8, boundary="wrap")
    with pytest.raises(ShapeError, match="different numbers of axes"):
        signal.csd(x, jnp.ones((2, 30)))
    with pytest.raises(ShapeError, match="broadcast"):
        signal.csd(jnp.ones((2, 30)), jnp.ones((3, 30)))
    with pytest.raises(ShapeError, match="axes of times and frequencies"):
        signal.istft(x)
    with pytest.raises(AxisError):
        signal.istft(jnp.ones((3, 4)), time_axis=0, freq_axis=-2)
