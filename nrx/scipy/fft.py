"""Discrete cosine transforms, under the names of `scipy.fft`, as in `jax.scipy.fft`: of type 2, and its inverse.

A cosine transform is a real Fourier transform of the elements in another order: those at even places, then those at odd
places backwards (J. Makhoul, A fast cosine transform in one and two dimensions, 1980). `idct` inverts
the `dct` of the same `norm`.
"""

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import canonical_axes, canonical_axis, show
from nrx.numpy import fft
from nrx.numpy.indexing import take
from nrx.numpy.promotion import as_inexact
from nrx.ops.common import as_arrays

__all__ = ["dct", "dctn", "idct", "idctn"]


def dct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The discrete cosine transform along an axis: 2 sum_j x_j cos(pi k (2 j + 1) / (2 n)).

    Args:
        x: an array; of complex numbers both parts are transformed.
        type: 2.
        n: the number of points: x is cut off, or zeros are appended; by default the length of the axis.
        axis: the axis transformed.
        norm: None or "backward": as above; "forward": divided by 2 n; "ortho": scaled so that it is orthogonal.

    Returns:
        An array of the shape of x, but for n, and its dtype: at least float32, for integers the default float. SciPy
        has types 1, 3 and 4 as well.

    Raises:
        ArgumentError: another type or norm.
        ShapeError: no points.
        AxisError: an axis that x does not have.

    >>> nrx.scipy.fft.dct(jnp.array([1.0, 2.0, 4.0])).round(4)
    Array([14.    , -5.1962,  1.    ], dtype=float32)
    """
    return _over("dct", _dct, x, type, None if n is None else (n,), (axis,), norm)


def idct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `dct`.

    Args:
        x: an array; of complex numbers both parts are transformed.
        type: 2.
        n: the number of points: x is cut off, or zeros are appended; by default the length of the axis.
        axis: the axis transformed.
        norm: that of the `dct` to be inverted.

    Returns:
        An array of the shape of x, but for n, and its dtype: at least float32, for integers the default float. SciPy
        has types 1, 3 and 4 as well.

    Raises:
        ArgumentError: another type or norm.
        ShapeError: no points.
        AxisError: an axis that x does not have.

    >>> nrx.scipy.fft.idct(jnp.array([4.0, 0.0]))
    Array([1., 1.], dtype=float32)
    """
    return _over("idct", _idct, x, type, None if n is None else (n,), (axis,), norm)


def dctn(
    x: Any, type: int = 2, s: Sequence[int] | int | None = None, axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:  # fmt: skip
    """The discrete cosine transform along several axes.

    Args:
        x: an array; of complex numbers both parts are transformed.
        type: 2.
        s: the numbers of points along the axes, or along the only one: x is cut off, or zeros are appended.
        axes: the axes transformed; by default the last len(s), or all.
        norm: as of `dct`.

    Returns:
        An array of the shape of x, but for s, and its dtype: at least float32, for integers the default float.

    Raises:
        ArgumentError: another type or norm.
        ShapeError: no points, or not as many s as axes.
        AxisError: an axis that x does not have, or twice the same.

    >>> nrx.scipy.fft.dctn(jnp.ones((2, 2)))
    Array([[16.,  0.],
           [ 0.,  0.]], dtype=float32)
    """
    return _over("dctn", _dct, x, type, s, axes, norm)


def idctn(
    x: Any, type: int = 2, s: Sequence[int] | int | None = None, axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:  # fmt: skip
    """The inverse of `dctn`.

    Args:
        x: an array; of complex numbers both parts are transformed.
        type: 2.
        s: the numbers of points along the axes, or along the only one: x is cut off, or zeros are appended.
        axes: the axes transformed; by default the last len(s), or all.
        norm: as of `dct`.

    Returns:
        An array of the shape of x, but for s, and its dtype: at least float32, for integers the default float.

    Raises:
        ArgumentError: another type or norm.
        ShapeError: no points, or not as many s as axes.
        AxisError: an axis that x does not have, or twice the same.

    >>> nrx.scipy.fft.idctn(16 * jnp.eye(2)).shape
    (2, 2)
    """
    return _over("idctn", _idct, x, type, s, axes, norm)


def _over(
    name: str, transform: Callable[[Array, int, str], Array], x: Any, type: int, s: Any, axes: Any, norm: str | None
) -> Array:
    """Apply `transform(x, axis, norm)` along the axes one after the other."""
    (x,) = as_arrays(name, x)
    if type != 2:
        raise ArgumentError(f"{name}: type is 2, got {type!r}", fix="the other types are not there")
    if norm not in (None, "backward", "ortho", "forward"):
        raise ArgumentError(f"{name}: unknown norm {norm!r}", fix='use "backward", "ortho" or "forward"')
    s = (s,) if s is not None and np.ndim(s) == 0 else s
    x = _padded(name, as_inexact(name, x), s, axes)
    places = _places(name, x, s, axes)
    if any(x.shape[axis] < 1 for axis in places):
        raise ShapeError(f"{name}: there must be at least one point, got shape {show(x.shape)}")
    if dtypes.is_complex(x.dtype):
        parts = [_over(name, transform, part, type, None, places, norm) for part in (lax.real(x), lax.imag(x))]
        return lax.complex(*parts)
    if dtypes.is_narrow(x.dtype):
        x = lax.convert_element_type(x, dtypes.float32)
    for axis in places:
        x = transform(x, axis, norm or "backward")
    return x


def _places(name: str, x: Array, s: Any, axes: Any) -> tuple[int, ...]:
    """The axes that are transformed."""
    if isinstance(axes, tuple) and len(axes) == 1:
        return (canonical_axis(axes[0], x.ndim),)
    if axes is None and s is not None:
        return tuple(range(x.ndim - len(s), x.ndim))
    return canonical_axes(axes, x.ndim, "axes")


def _padded(name: str, x: Array, s: Any, axes: Any) -> Array:
    """The array with the lengths `s` along its axes."""
    if s is None:
        return x
    lengths = tuple(map(index, s))
    if len(lengths) > x.ndim:
        raise ShapeError(f"{name}: s is {show(lengths)}, and the array has {x.ndim} axes")
    places = _places(name, x, lengths, axes)
    if len(places) != len(lengths):
        raise ShapeError(f"{name}: {len(lengths)} lengths s for {len(places)} axes", fix="pass one length an axis")
    if any(length < 1 for length in lengths):
        raise ShapeError(f"{name}: there must be at least one point, got {show(lengths)}")
    config = [(0, 0, 0)] * x.ndim
    for place, length in zip(places, lengths, strict=True):
        config[place] = (0, length - x.shape[place], 0)
    return x if all(entry == (0, 0, 0) for entry in config) else lax.pad(x, np.zeros((), x.dtype), config)


def _dct(x: Array, axis: int, norm: str) -> Array:
    n = x.shape[axis]
    angles = 0.5 * np.pi * np.arange(n // 2 + 1) / n
    turned = _along(fft.rfft(take(x, _order(n), axis), axis=axis), 2 * np.exp(-1j * angles), axis)
    first, second = lax.real(turned), lax.neg(lax.imag(turned))
    rest = lax.rev(lax.slice_in_dim(second, 1, (n + 1) // 2, axis=axis), (axis,))
    return _along(lax.concatenate([first, rest], axis), _factors(n, norm), axis)


def _idct(x: Array, axis: int, norm: str) -> Array:
    n = x.shape[axis]
    x = _along(x, 0.5 / _factors(n, norm), axis)
    half = lax.slice_in_dim(x, 0, n // 2 + 1, axis=axis)
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (1, 0, 0)
    mirrored = lax.rev(lax.slice_in_dim(x, n - n // 2, n, axis=axis), (axis,))
    spectrum = lax.complex(half, lax.neg(lax.pad(mirrored, np.zeros((), x.dtype), config)))
    turned = _along(spectrum, np.exp(0.5j * np.pi * np.arange(n // 2 + 1) / n), axis)
    return take(fft.irfft(turned, n, axis), np.argsort(_order(n)), axis)


def _order(n: int) -> np.ndarray:
    """The even places, then the odd ones backwards."""
    return np.r_[0:n:2, np.arange(1, n, 2)[::-1]]


def _factors(n: int, norm: str) -> np.ndarray:
    """What the transform without normalization is multiplied by."""
    if norm == "ortho":
        return np.r_[math.sqrt(0.25 / n), np.full(n - 1, math.sqrt(0.5 / n))]
    return np.full(n, 0.5 / n if norm == "forward" else 1.0)


def _along(x: Array, factors: np.ndarray, axis: int) -> Array:
    """The array times factors along an axis."""
    if np.all(factors == 1):
        return x
    return lax.mul(x, lax.broadcast_in_dim(lax.convert_element_type(factors, x.dtype), x.shape, (axis,)))
