"""Convolution and spectra of signals, under the names of `scipy.signal`, as in `jax.scipy.signal`.

Integers are computed as the default float. Windows are vectors, or are named: "boxcar", "bartlett", "hann", "hamming",
"blackman", "blackmanharris", "nuttall", "flattop", ("kaiser", beta), ("gaussian", deviation), ("tukey", share).
"""

import warnings
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, user_source
from nrx.core.shapes import Shape, broadcast_shapes, canonical_axes, canonical_axis, show, without
from nrx.numpy import fft
from nrx.numpy.promotion import as_inexact, convert, promote_dtypes
from nrx.ops.common import as_arrays

__all__ = [
    "convolve", "convolve2d", "correlate", "correlate2d", "csd", "detrend", "fftconvolve", "istft", "stft", "welch",
]  # fmt: skip


# Convolution


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Array:
    """The convolution of two arrays of as many axes.

    Args:
        in1: an array.
        in2: an array.
        mode: "full": wherever they overlap; "same": the middle of that, of the shape of in1; "valid": where one lies
            wholly in the other.
        method: "direct" and "auto": by sums of products; "fft": by `fftconvolve`.
        precision: how exactly an accelerator multiplies float32.

    Returns:
        An array of as many axes, floating or complex.

    Raises:
        ArgumentError: an unknown mode or method.
        ShapeError: different numbers of axes, no elements, or "valid" and none fits into the other.

    >>> nrx.scipy.signal.convolve(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 1.0]))
    Array([1., 3., 5., 3.], dtype=float32)
    """
    if method == "fft":
        return fftconvolve(in1, in2, mode)
    if method not in ("auto", "direct"):
        raise ArgumentError(f"convolve: unknown method {method!r}", fix="use auto, direct or fft")
    x, y = _operands("convolve", in1, in2, mode)
    return _direct("convolve", x, y, mode, precision)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Array:
    """The cross-correlation of two arrays of as many axes: the convolution with the conjugate of in2, backwards.

    Args:
        in1: an array.
        in2: an array.
        mode: as of `convolve`.
        method: as of `convolve`.
        precision: how exactly an accelerator multiplies float32.

    Returns:
        An array of as many axes, floating or complex.

    Raises:
        ArgumentError: an unknown mode or method.
        ShapeError: different numbers of axes, no elements, or "valid" and none fits into the other.

    >>> nrx.scipy.signal.correlate(jnp.array([1.0, 2.0, 3.0]), jnp.array([0.0, 1.0]))
    Array([1., 2., 3., 0.], dtype=float32)
    """
    (y,) = as_arrays("correlate", in2)
    return convolve(in1, jnp.flip(jnp.conj(y)), mode, method, precision)


def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Array:
    """The convolution of two matrices.

    Args:
        in1: a matrix.
        in2: a matrix.
        mode: as of `convolve`.
        boundary: what is beyond the edges of in1: "fill": fillvalue; "wrap": in1 again; "symm": its mirror image.
        fillvalue: a scalar.
        precision: how exactly an accelerator multiplies float32.

    Returns:
        A matrix, floating or complex.

    Raises:
        ArgumentError: an unknown mode or boundary.
        ShapeError: no matrices, no elements, or "valid" and none fits into the other.

    >>> nrx.scipy.signal.convolve2d(jnp.eye(2), jnp.ones((1, 2)))
    Array([[1., 1., 0.],
           [0., 1., 1.]], dtype=float32)
    """
    x, y = _matrices("convolve2d", in1, in2, mode)
    return _bounded("convolve2d", x, y, mode, boundary, fillvalue, precision, 1)


def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Array:
    """The cross-correlation of two matrices; with "valid" and a smaller in1, as in SciPy, the conjugate of that.

    Args:
        in1: a matrix.
        in2: a matrix.
        mode: as of `convolve`.
        boundary: what is beyond the edges of in1, as of `convolve2d`.
        fillvalue: a scalar.
        precision: how exactly an accelerator multiplies float32.

    Returns:
        A matrix, floating or complex.

    Raises:
        ArgumentError: an unknown mode or boundary.
        ShapeError: no matrices, no elements, or "valid" and none fits into the other.

    >>> nrx.scipy.signal.correlate2d(jnp.eye(2), jnp.array([[1.0, 2.0]]))
    Array([[2., 1., 0.],
           [0., 2., 1.]], dtype=float32)
    """
    x, y = _matrices("correlate2d", in1, in2, mode)
    out = _bounded("correlate2d", x, jnp.flip(jnp.conj(y)), mode, boundary, fillvalue, precision, 0)
    smaller = x.shape != y.shape and all(m <= n for m, n in zip(x.shape, y.shape, strict=True))
    return jnp.conj(out) if mode == "valid" and smaller else out


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Sequence[int] | int | None = None) -> Array:
    """The convolution of two arrays by Fourier transforms, fast where both are large.

    Args:
        in1: an array.
        in2: an array of as many axes.
        mode: as of `convolve`.
        axes: the axes convolved, by default all; the others are broadcast.

    Returns:
        An array of as many axes, floating or complex.

    Raises:
        ArgumentError: an unknown mode.
        ShapeError: different numbers of axes, no elements, other axes that do not fit, or "valid" and none fits into
            the other.
        AxisError: an axis that the arrays do not have, or twice the same.

    >>> nrx.scipy.signal.fftconvolve(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 1.0])).round(4)
    Array([1., 3., 5., 3.], dtype=float32)
    """
    x, y = _operands("fftconvolve", in1, in2, mode)
    places = canonical_axes(axes, x.ndim, "axes")
    broadcast_shapes(without(x.shape, places), without(y.shape, places))
    full = [x.shape[a] + y.shape[a] - 1 for a in places]
    sizes = [_fast_length(n) for n in full]
    if not places:
        return jnp.multiply(x, y)
    if dtypes.is_complex(x.dtype):
        out = fft.ifftn(fft.fftn(x, sizes, places) * fft.fftn(y, sizes, places), sizes, places)
    else:
        out = fft.irfftn(fft.rfftn(x, sizes, places) * fft.rfftn(y, sizes, places), sizes, places)
    starts, shape = _window("fftconvolve", x.shape, y.shape, mode, 1)
    for a in places:
        out = lax.slice_in_dim(out, starts[a], starts[a] + shape[a], axis=a)
    return out.astype(x.dtype)


def _operands(name: str, in1: Any, in2: Any, mode: str) -> list[Array]:
    if mode not in ("full", "same", "valid"):
        raise ArgumentError(f"{name}: unknown mode {mode!r}", fix="use full, same or valid")
    x, y = promote_dtypes(name, in1, in2, inexact=True)
    if x.ndim != y.ndim:
        raise ShapeError(f"{name}: shapes {show(x.shape)} and {show(y.shape)} have different numbers of axes")
    if not x.size or not y.size:
        raise ShapeError(f"{name}: there must be elements, got shapes {show(x.shape)} and {show(y.shape)}")
    return [x, y]


def _matrices(name: str, in1: Any, in2: Any, mode: str) -> list[Array]:
    x, y = _operands(name, in1, in2, mode)
    if x.ndim != 2:
        raise ShapeError(f"{name} takes matrices, got shapes {show(x.shape)} and {show(y.shape)}")
    return [x, y]


def _window(name: str, first: Shape, second: Shape, mode: str, less: int) -> tuple[list[int], list[int]]:
    """Where the part of the full convolution begins that `mode` means, and its shape; `less` as of `_bounded`."""
    pairs = list(zip(first, second, strict=True))
    if mode == "full":
        return [0] * len(pairs), [m + n - 1 for m, n in pairs]
    if mode == "same":
        return [(n - less) // 2 for _, n in pairs], [m for m, _ in pairs]
    if not (all(m >= n for m, n in pairs) or all(m <= n for m, n in pairs)):
        raise ShapeError(
            f"{name}: neither of the shapes {show(first)} and {show(second)} fits into the other",
            fix='use mode="full" or "same"',
        )
    return [min(m, n) - 1 for m, n in pairs], [abs(m - n) + 1 for m, n in pairs]


def _direct(name: str, x: Array, y: Array, mode: str, precision: Any, less: int = 1) -> Array:
    starts, shape = _window(name, x.shape, y.shape, mode, less)
    if not x.ndim:
        return lax.mul(x, y)
    if x.size < y.size:
        x, y = y, x
    padding = [
        (n - 1 - start, start + size - m) for m, n, start, size in zip(x.shape, y.shape, starts, shape, strict=True)
    ]
    flipped = lax.rev(y, range(y.ndim))
    out = lax.conv_general_dilated(x[None, None], flipped[None, None], (1,) * x.ndim, padding, precision=precision)
    return out[0, 0]


def _bounded(
    name: str, x: Array, y: Array, mode: str, boundary: str, fillvalue: Any, precision: Any, less: int
) -> Array:
    """A convolution of matrices of which x goes on beyond its edges; "same" begins at (n - less) // 2."""
    modes = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}
    if boundary not in modes:
        raise ArgumentError(f"{name}: unknown boundary {boundary!r}", fix="use fill, wrap or symm")
    zero = boundary == "fill" and isinstance(fillvalue, int | float | complex) and fillvalue == 0
    if zero or mode == "valid":
        return _direct(name, x, y, mode, precision, less)
    options = {"constant_values": convert(f"{name}: fillvalue", fillvalue, x.dtype)} if boundary == "fill" else {}
    wide = jnp.pad(x, [(n - 1, n - 1) for n in y.shape], modes[boundary], **options)
    starts, shape = _window(name, x.shape, y.shape, mode, less)
    out = _direct(name, wide, y, "valid", precision)
    return lax.slice(out, starts, [start + size for start, size in zip(starts, shape, strict=True)])


def _fast_length(n: int) -> int:
    """The next length without a prime factor above 7, which transforms like best."""
    while True:
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


# Spectra


def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: bool | None = None) -> Array:
    """The data without their mean or their straight line of least squares.

    Args:
        data: an array.
        axis: the axis along which the data run.
        type: "constant" or "c": the mean is taken away; "linear" or "l": the line.
        bp: for "linear" the indices at which another line begins: an int or several.
        overwrite_data: means nothing here: arrays are immutable.

    Returns:
        An array of the shape of data, floating or complex.

    Raises:
        ArgumentError: another type, or indices out of range.
        AxisError: an axis that data do not have.

    >>> nrx.scipy.signal.detrend(jnp.array([1.0, 2.0, 4.0, 5.0])).round(2)
    Array([ 0.1, -0.3,  0.3, -0.1], dtype=float32)
    """
    x = as_inexact("detrend", data)
    axis = canonical_axis(axis, x.ndim)
    if type not in ("constant", "c", "linear", "l"):
        raise ArgumentError(f"detrend: unknown type {type!r}", fix="use constant or linear")
    if type in ("constant", "c"):
        return x - jnp.mean(x, axis=axis, keepdims=True)
    size = x.shape[axis]
    borders = np.unique(np.r_[0, np.asarray(bp, np.int64).ravel(), size])
    if borders[0] < 0 or borders[-1] > size:
        raise ArgumentError(f"detrend: the indices bp must be from 0 to {size}, got {bp}")
    ends = zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
    parts = [_without_line(lax.slice_in_dim(x, start, end, axis=axis), axis) for start, end in ends]
    return lax.concatenate(parts, axis) if parts else x


def _without_line(x: Array, axis: int) -> Array:
    n = x.shape[axis]
    times = np.arange(n) - (n - 1) / 2
    line = (times / max(np.sqrt(times @ times), 1e-300)).reshape(-1, *[1] * (x.ndim - 1 - axis))
    direction = lax.convert_element_type(line, x.dtype)
    x = x - jnp.mean(x, axis=axis, keepdims=True)
    return x - jnp.sum(x * direction, axis=axis, keepdims=True) * direction


def stft(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = 256, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = False, return_onesided: bool = True, boundary: str | None = "zeros",
    padded: bool = True, axis: int = -1,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The Fourier transforms of overlapping segments of a signal.

    Args:
        x: an array.
        fs: samples in a unit of time.
        window: what segments are multiplied by: a name or a vector.
        nperseg: the length of a segment; by default 256, or that of the window.
        noverlap: how many elements neighbours share; by default half of a segment.
        nfft: the points of a transform; by default nperseg, and never fewer.
        detrend: what is taken from each segment first: nothing (False), a type of `detrend`, or what a function of the
            segments, along `axis`, leaves.
        return_onesided: for real x half the spectrum only.
        boundary: how the signal goes on for half a segment on both sides: "even", "odd", "constant", "zeros" or None.
        padded: whether zeros are appended, so that the last segment is whole.
        axis: the axis along which the signal runs.

    Returns:
        (frequencies, times, transforms): two vectors and a complex array whose axis `axis` is that of frequencies, and
        the last that of times.

    Raises:
        ArgumentTypeError: lengths that are not integers.
        ArgumentError: lengths that do not fit each other or the signal, or an unknown window or boundary.
        AxisError: an axis that x does not have.

    >>> frequencies, times, z = nrx.scipy.signal.stft(jnp.ones(16), nperseg=8)
    >>> z.shape, times
    ((5, 5), Array([ 0.,  4.,  8., 12., 16.], dtype=float32))
    """
    return _spectral(
        "stft", x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, "spectrum", axis, boundary,
        padded, transforms=True,
    )  # fmt: skip


def csd(
    x: Any, y: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density",
    axis: int = -1, average: str = "mean",
) -> tuple[Array, Array]:  # fmt: skip
    """The cross power spectral density of two signals, by Welch's method.

    Args:
        x: an array.
        y: an array that broadcasts with x but for the axis, where zeros are appended to the shorter; None: x.
        fs: samples in a unit of time.
        window: what segments are multiplied by: a name or a vector.
        nperseg: the length of a segment; by default 256, or that of the window.
        noverlap: how many elements neighbours share; by default half of a segment.
        nfft: the points of a transform; by default nperseg, and never fewer.
        detrend: what is taken from each segment first, as of `stft`.
        return_onesided: for real signals half the spectrum only.
        scaling: "density": power by frequency; "spectrum": power.
        axis: the axis along which the signals run.
        average: over the segments: "mean" or "median".

    Returns:
        (frequencies, density): a vector and a complex array, real if y is None. JAX takes the whole signal for a
        segment where SciPy and nrx take 256 points.

    Raises:
        ArgumentTypeError: lengths that are not integers.
        ArgumentError: lengths that do not fit each other or the signals, an unknown window, scaling or average.
        ShapeError: signals that do not broadcast.
        AxisError: an axis that x does not have.

    >>> frequencies, density = nrx.scipy.signal.csd(jnp.arange(16.0), jnp.ones(16), nperseg=8)
    >>> density.shape, density.dtype
    ((5,), dtype('complex64'))
    """
    frequencies, _, power = _spectral(
        "csd", x, y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, None, False
    )
    return frequencies, _averaged("csd", power, average)


def welch(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density",
    axis: int = -1, average: str = "mean",
) -> tuple[Array, Array]:  # fmt: skip
    """The power spectral density of a signal, by Welch's method: the mean over overlapping segments.

    Args are those of `csd`, but for y.

    Returns:
        (frequencies, density): a vector and a real array. In the precision of x.

    Raises:
        ArgumentTypeError: lengths that are not integers.
        ArgumentError: lengths that do not fit each other or the signal, an unknown window, scaling or average.
        AxisError: an axis that x does not have.

    >>> frequencies, density = nrx.scipy.signal.welch(jnp.arange(32.0), nperseg=8)
    >>> frequencies
    Array([0.   , 0.125, 0.25 , 0.375, 0.5  ], dtype=float32)
    """
    frequencies, _, power = _spectral(
        "welch", x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, None, False
    )
    return frequencies, _averaged("welch", power, average)


def istft(
    Zxx: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, input_onesided: bool = True, boundary: bool = True, time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Array, Array]:  # fmt: skip
    """The signal of which `stft` gives these transforms, or the next to it.

    Args:
        Zxx: a complex array of at least 2 axes.
        fs: samples in a unit of time.
        window: that of `stft`: a name or a vector.
        nperseg: the length of a segment; by default what the frequencies make likely.
        noverlap: how many elements neighbours share; by default half of a segment.
        nfft: the points of a transform; by default what the frequencies make likely.
        input_onesided: whether Zxx has half the spectrum only.
        boundary: whether the signal was extended by half a segment on both sides.
        time_axis: the axis of times.
        freq_axis: the axis of frequencies.

    Returns:
        (times, signal): a vector and an array, real if input_onesided, whose axis `time_axis` is that of the signal.
        The signal has the precision of Zxx, and runs along `time_axis`, as in SciPy.

    Raises:
        ArgumentTypeError: lengths that are not integers.
        ArgumentError: lengths that do not fit each other, or an unknown window.
        ShapeError: fewer than 2 axes.
        AxisError: an axis that Zxx does not have, or twice the same.

    >>> _, _, z = nrx.scipy.signal.stft(jnp.arange(16.0), nperseg=8)
    >>> nrx.scipy.signal.istft(z)[1].round(2)[1:4]
    Array([1., 2., 3.], dtype=float32)
    """
    (z,) = as_arrays("istft", Zxx)
    if z.ndim < 2:
        raise ShapeError(f"istft: there must be axes of times and frequencies, got shape {show(z.shape)}")
    time_axis, freq_axis = canonical_axes((time_axis, freq_axis), z.ndim, "time_axis and freq_axis")
    z = jnp.moveaxis(z.astype(dtypes.complex_dtype(z.dtype)), (freq_axis, time_axis), (-1, -2))
    likely = 2 * (z.shape[-1] - 1) if input_onesided else z.shape[-1]
    size = likely if nperseg is None else _whole("istft", "nperseg", nperseg)
    points = likely + (input_onesided and size == likely + 1) if nfft is None else _whole("istft", "nfft", nfft)
    shared = _overlap("istft", size, noverlap, points)
    weights = _weights("istft", window, size, dtypes.real_part_dtype(z.dtype))
    segments = (fft.irfft if input_onesided else fft.ifft)(z, points)[..., :size] * (weights * jnp.sum(weights))
    signal = _overlapped(segments, size - shared)
    norm = _overlapped(jnp.broadcast_to(weights**2, segments.shape[-2:]), size - shared)
    if boundary and size > 1:
        signal, norm = signal[..., size // 2 : -(size // 2)], norm[size // 2 : -(size // 2)]
    signal = signal / jnp.where(norm > 1e-10, norm, 1)
    times = jnp.arange(signal.shape[-1], dtype=weights.dtype) / fs
    return times, jnp.moveaxis(signal, -1, time_axis - (freq_axis < time_axis))


def _spectral(
    name: str, x: Any, y: Any, fs: Any, window: Any, nperseg: int | None, noverlap: int | None, nfft: int | None,
    detrending: Any, onesided: bool, scaling: str, axis: int, boundary: str | None, padded: bool,
    transforms: bool = False,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(frequencies, times, spectra of the segments): their transforms, or their products, scaled."""
    if scaling not in ("density", "spectrum"):
        raise ArgumentError(f"{name}: unknown scaling {scaling!r}", fix="use density or spectrum")
    signals = [as_inexact(name, x)] if y is None else promote_dtypes(name, x, y, inexact=True)
    take_away = _detrending(detrending, index(axis))
    axis = canonical_axis(axis, signals[0].ndim)
    signals = _side_by_side(name, signals, axis)
    dtype = dtypes.real_part_dtype(dtypes.complex_dtype(signals[0].dtype))
    if not all(signal.size for signal in signals):
        *shape, length = broadcast_shapes(*(signal.shape for signal in signals))
        shape.insert(axis, length)
        empty = jnp.zeros(shape, dtype if y is None and not transforms else dtypes.complex_dtype(dtype))
        return jnp.zeros(shape, dtype), jnp.zeros(shape, dtype), empty
    size = _segment_length(name, window, nperseg, signals[0].shape[-1])
    points = size if nfft is None else _whole(name, "nfft", nfft)
    shared = _overlap(name, size, noverlap, points)
    weights = _weights(name, window, size, dtype)
    signals = [_extended(name, signal, boundary, size, size - shared, padded) for signal in signals]
    if onesided and dtypes.is_complex(signals[0].dtype):
        warnings.warn(f"{name}: complex signals have no half spectrum, at {user_source()}", stacklevel=3)
        onesided = False
    transform = fft.rfft if onesided else fft.fft
    spectra = [transform(take_away(_segments(s, size, size - shared)) * weights, points) for s in signals]
    scale = 1 / (fs * jnp.sum(weights**2)) if scaling == "density" else 1 / jnp.sum(weights) ** 2
    if transforms:
        result = spectra[0] * jnp.sqrt(scale)
    else:
        result = _power(spectra, scale, onesided, points)
    times = jnp.arange(size / 2, signals[0].shape[-1] - size / 2 + 1, size - shared, dtype=dtype) / fs
    if boundary is not None:
        times = times - (size / 2) / fs
    frequencies = (fft.rfftfreq if onesided else fft.fftfreq)(points, 1 / fs, dtype=dtype)
    return frequencies, times, jnp.moveaxis(result, -1, axis)


def _averaged(name: str, power: Array, average: str) -> Array:
    """The mean or the median over the segments."""
    if average not in ("mean", "median"):
        raise ArgumentError(f"{name}: unknown average {average!r}", fix="use mean or median")
    if not power.size:
        return power
    if average == "mean" or power.shape[-1] == 1:
        return jnp.mean(power, axis=-1)
    even = 2 * np.arange(1, (power.shape[-1] - 1) // 2 + 1)
    bias = float(1 + np.sum(1 / (even + 1) - 1 / even))  # of the median of exponentially distributed numbers
    middle = jnp.median(jnp.real(power), axis=-1)
    if dtypes.is_complex(power.dtype):
        middle = lax.complex(middle, jnp.median(jnp.imag(power), axis=-1))
    return middle / bias


def _power(spectra: Sequence[Array], scale: Array, onesided: bool, points: int) -> Array:
    """The products of the spectra; what half a spectrum leaves out is counted with its mirror image."""
    if len(spectra) == 1:
        power = jnp.real(spectra[0]) ** 2 + jnp.imag(spectra[0]) ** 2
    else:
        power = jnp.conj(spectra[0]) * spectra[1]
    if not onesided:
        return power * scale
    count = np.full(points // 2 + 1, 2.0)
    count[0] = 1
    if points % 2 == 0:
        count[-1] = 1
    return power * (lax.convert_element_type(count, scale.dtype) * scale)


def _side_by_side(name: str, signals: list[Array], axis: int) -> list[Array]:
    """The signals along the last axis, equally long."""
    if len({signal.ndim for signal in signals}) > 1:
        shapes = " and ".join(show(signal.shape) for signal in signals)
        raise ShapeError(f"{name}: signals of shapes {shapes} have different numbers of axes")
    signals = [jnp.moveaxis(signal, axis, -1) for signal in signals]
    broadcast_shapes(*(signal.shape[:-1] for signal in signals))
    size = max(signal.shape[-1] for signal in signals)
    return [_zeros_appended(signal, size - signal.shape[-1]) for signal in signals]


def _zeros_appended(x: Array, count: int) -> Array:
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, count)]) if count else x


def _segment_length(name: str, window: Any, nperseg: int | None, available: int) -> int:
    if isinstance(window, str | tuple):
        size = 256 if nperseg is None else _whole(name, "nperseg", nperseg)
        if size > available:
            if nperseg is not None and name != "stft":
                warnings.warn(f"{name}: nperseg {size} is shortened to the signal's {available}", stacklevel=4)
            size = available
    else:
        whole = np.shape(window)[0] if np.ndim(window) else 1
        size = whole if nperseg is None else _whole(name, "nperseg", nperseg)
        if size > available:
            raise ArgumentError(f"{name}: the window, of length {size}, is longer than the signal, of {available}")
    return size


def _whole(name: str, argument: str, value: Any) -> int:
    if not hasattr(value, "__index__"):
        raise ArgumentTypeError(f"{name}: {argument} must be an integer, got {value!r}")
    return index(value)


def _overlap(name: str, size: int, noverlap: int | None, points: int) -> int:
    """The checked number of elements that neighbours share."""
    shared = size // 2 if noverlap is None else _whole(name, "noverlap", noverlap)
    if size < 1:
        raise ArgumentError(f"{name}: nperseg, the length of a segment, must be positive, got {size}")
    if points < size:
        raise ArgumentError(f"{name}: nfft {points} is less than nperseg {size}")
    if not 0 <= shared < size:
        raise ArgumentError(f"{name}: noverlap must be at least 0 and less than nperseg {size}, got {shared}")
    return shared


def _segments(x: Array, size: int, step: int) -> Array:
    """Segments of the last axis, on a new axis before it."""
    starts = np.arange(0, x.shape[-1] - size + 1, step)
    return jnp.take(x, starts[:, None] + np.arange(size), axis=-1)


def _overlapped(segments: Array, step: int) -> Array:
    """The sum of segments at their places: what transposes `_segments`."""
    count, size = segments.shape[-2:]
    places = step * np.arange(count)[:, None] + np.arange(size)
    return jnp.zeros((*segments.shape[:-2], step * (count - 1) + size), segments.dtype).at[..., places].add(segments)


def _extended(name: str, x: Array, boundary: str | None, size: int, step: int, padded: bool) -> Array:
    """The signal with what is beyond its ends."""
    half, length = size // 2, x.shape[-1]
    modes = {"even": "reflect", "odd": "reflect", "constant": "edge", "zeros": "constant"}
    if boundary is not None:
        if boundary not in modes:
            raise ArgumentError(f"{name}: unknown boundary {boundary!r}", fix=f"use {', '.join(modes)} or None")
        if boundary in ("even", "odd") and half >= length:
            raise ArgumentError(f"{name}: boundary {boundary!r} needs more than {half} elements, got {length}")
        options = {"reflect_type": boundary} if modes[boundary] == "reflect" else {}
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], modes[boundary], **options)
    return _zeros_appended(x, (-(x.shape[-1] - size) % step) % size) if padded else x


def _detrending(wanted: Any, axis: int) -> Callable[[Array], Array]:
    if callable(wanted):
        return lambda segments: jnp.moveaxis(wanted(jnp.moveaxis(segments, -1, axis)), axis, -1)
    if isinstance(wanted, str):
        return lambda segments: detrend(segments, -1, wanted)
    if wanted:
        raise ArgumentError(f"detrend is a type, a function or False, got {wanted!r}")
    return lambda segments: segments


# Windows

_COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def _tukey(x: np.ndarray, share: float) -> np.ndarray:
    if share <= 0:
        return np.ones_like(x)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum((1 - np.abs(x)) / min(share, 1), 1))


#: Functions of points from -1 to 1, of their number, and of a parameter.
_OTHERS: dict[str, Callable[[np.ndarray, int, float], np.ndarray]] = {
    "kaiser": lambda x, n, beta: np.i0(beta * np.sqrt(np.maximum(1 - x**2, 0))) / np.i0(beta),
    "gaussian": lambda x, n, deviation: np.exp(-0.5 * (x * n / 2 / deviation) ** 2),
    "tukey": lambda x, n, share: _tukey(x, share),
}


def _weights(name: str, window: Any, size: int, dtype: np.dtype) -> Array:
    """A window of that length, one period of it where it is named."""
    if not isinstance(window, str | tuple):
        (given,) = as_arrays(name, window)
        if given.shape != (size,):
            raise ArgumentError(f"{name}: the window must be a vector of length {size}, got shape {show(given.shape)}")
        if dtypes.is_complex(given.dtype):
            raise DTypeError(f"{name}: the window must be real, got {given.aval}")
        return given.astype(dtype)
    kind, *parameters = (window,) if isinstance(window, str) else window or (None,)
    x = np.arange(size) * (2 / size) - 1
    if kind in _COSINES and not parameters:
        values = sum(c * np.cos(k * np.pi * x) for k, c in enumerate(_COSINES[kind]))
    elif kind == "bartlett" and not parameters:
        values = 1 - np.abs(x)
    elif kind in _OTHERS and len(parameters) == 1 and isinstance(parameters[0], int | float | np.number):
        values = _OTHERS[kind](x, size, float(parameters[0]))
    else:
        known = ", ".join([*_COSINES, "bartlett", *(f"({k!r}, parameter)" for k in _OTHERS)])
        raise ArgumentError(f"{name}: unknown window {window!r}", fix=f"pass a vector, or one of {known}")
    return lax.convert_element_type(np.asarray(values) if size > 1 else np.ones(size), dtype)
