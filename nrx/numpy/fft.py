"""Discrete Fourier transforms, under the names of `numpy.fft`.

float32 and complex64 are computed in 32 bits, integers as the default float, and narrower floats as float32. Lengths
and axes are static. Unlike NumPy's functions, these take no axis twice. All are linear.
The argument `norm` says where the factor 1 / points goes: "backward" (None as well) into the inverse transforms,
"forward" into the others, "ortho" as its square root into both.
"""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.shapes import canonical_axes, canonical_axis, show
from nrx.numpy.data import placed
from nrx.numpy.manipulation import roll
from nrx.numpy.promotion import as_inexact
from nrx.ops.common import as_arrays
from nrx.ops.fft import OTHER_NORM, transform

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip


# Along one axis


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The discrete Fourier transform along an axis.

    Args:
        a: an array of any dtype.
        n: the number of points: a is cut off, or zeros are appended; by default the length of the axis.
        axis: the axis transformed.
        norm: "backward", "ortho" or "forward".

    Returns:
        A complex array of the shape of a, but for n. complex64 is computed in single precision where it is compiled or
        large; NumPy computes it in double.

    Raises:
        ArgumentError: an unknown norm.
        ShapeError: no points.
        AxisError: an axis that a does not have.

    >>> jnp.fft.fft(jnp.array([1.0, 0.0, 2.0, 0.0]))
    Array([ 3.+0.j, -1.+0.j,  3.+0.j, -1.+0.j], dtype=complex64)
    """
    return _along("fft", "fft", a, n, axis, norm)


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `fft`.

    Args:
        a: an array of any dtype.
        n: the number of points: a is cut off, or zeros are appended; by default the length of the axis.
        axis: the axis transformed.
        norm: "backward", "ortho" or "forward".

    Returns:
        A complex array of the shape of a, but for n.

    Raises:
        ArgumentError: an unknown norm.
        ShapeError: no points.
        AxisError: an axis that a does not have.

    >>> jnp.fft.ifft(jnp.array([3.0, -1.0, 3.0, -1.0]))
    Array([1.+0.j, 0.+0.j, 2.+0.j, 0.+0.j], dtype=complex64)
    """
    return _along("ifft", "ifft", a, n, axis, norm)


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The first half, n // 2 + 1 elements, of the transform of real numbers; the other half is its conjugate.

    Args:
        a: a real array.
        n: the number of points: a is cut off, or zeros are appended; by default the length of the axis.
        axis: the axis transformed.
        norm: "backward", "ortho" or "forward".

    Returns:
        A complex array of the shape of a, but for the axis.

    Raises:
        ArgumentError: an unknown norm.
        DTypeError: a is complex.
        ShapeError: no points.
        AxisError: an axis that a does not have.

    >>> jnp.fft.rfft(jnp.array([1.0, 0.0, 2.0, 0.0]))
    Array([ 3.+0.j, -1.+0.j,  3.+0.j], dtype=complex64)
    """
    return _along("rfft", "rfft", a, n, axis, norm)


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `rfft`; the imaginary part of the first element, and of the last for an even n, does not matter.

    Args:
        a: an array of any dtype.
        n: the number of points of the result, of which n // 2 + 1 elements of a are used; by default twice the length
            of the axis, less 2.
        axis: the axis transformed.
        norm: "backward", "ortho" or "forward".

    Returns:
        A real array of the shape of a, but for the axis.

    Raises:
        ArgumentError: an unknown norm.
        ShapeError: no points.
        AxisError: an axis that a does not have.

    >>> jnp.fft.irfft(jnp.array([3.0, -1.0, 3.0]))
    Array([1., 0., 2., 0.], dtype=float32)
    """
    return _along("irfft", "irfft", a, n, axis, norm)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The transform, which is real, of a signal with Hermitian symmetry, of which the first half is given.

    Args:
        a: an array of any dtype.
        n: the number of points of the result, of which n // 2 + 1 elements of a are used; by default twice the length
            of the axis, less 2.
        axis: the axis transformed.
        norm: "backward", "ortho" or "forward".

    Returns:
        A real array of the shape of a, but for the axis.

    Raises:
        ArgumentError: an unknown norm.
        ShapeError: no points.
        AxisError: an axis that a does not have.

    >>> jnp.fft.hfft(jnp.array([1.0, 2.0, 3.0]))
    Array([ 8., -2.,  0., -2.], dtype=float32)
    """
    (a,) = as_arrays("hfft", a)
    return _along("hfft", "irfft", _conjugate(a), n, axis, OTHER_NORM[_checked("hfft", norm)])


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `hfft`: the first half of a signal with Hermitian symmetry from its spectrum.

    Args:
        a: a real array.
        n: the number of points: a is cut off, or zeros are appended; by default the length of the axis.
        axis: the axis transformed.
        norm: "backward", "ortho" or "forward".

    Returns:
        A complex array of the shape of a, but for the axis, which has length n // 2 + 1.

    Raises:
        ArgumentError: an unknown norm.
        DTypeError: a is complex.
        ShapeError: no points.
        AxisError: an axis that a does not have.

    >>> jnp.fft.ihfft(jnp.array([8.0, -2.0, 0.0, -2.0]))
    Array([1.-0.j, 2.-0.j, 3.-0.j], dtype=complex64)
    """
    return _conjugate(_along("ihfft", "rfft", a, n, axis, OTHER_NORM[_checked("ihfft", norm)]))


# Along several axes


def fftn(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """The discrete Fourier transform along several axes.

    Args:
        a: an array of any dtype.
        s: the numbers of points along the axes: a is cut off, or zeros are appended; -1 for the length of the axis.
        axes: the axes transformed; by default the last len(s), or all.
        norm: "backward", "ortho" or "forward".

    Returns:
        A complex array of the shape of a, but for s.

    Raises:
        ArgumentError: an unknown norm.
        ShapeError: no points, or not as many s as axes.
        AxisError: an axis that a does not have, or twice the same.

    >>> jnp.fft.fftn(jnp.eye(2))
    Array([[2.+0.j, 0.+0.j],
           [0.+0.j, 2.+0.j]], dtype=complex64)
    """
    return _over("fftn", "fft", a, s, axes, norm)


def ifftn(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """The inverse of `fftn`.

    Args:
        a: an array of any dtype.
        s: the numbers of points along the axes: a is cut off, or zeros are appended; -1 for the length of the axis.
        axes: the axes transformed; by default the last len(s), or all.
        norm: "backward", "ortho" or "forward".

    Returns:
        A complex array of the shape of a, but for s.

    Raises:
        ArgumentError: an unknown norm.
        ShapeError: no points, or not as many s as axes.
        AxisError: an axis that a does not have, or twice the same.

    >>> jnp.fft.ifftn(2 * jnp.eye(2)).real
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return _over("ifftn", "ifft", a, s, axes, norm)


def rfftn(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """The transform of real numbers along several axes, the first half of it along the last of these.

    Args:
        a: a real array.
        s: the numbers of points along the axes: a is cut off, or zeros are appended; -1 for the length of the axis.
        axes: the axes transformed; by default the last len(s), or all.
        norm: "backward", "ortho" or "forward".

    Returns:
        A complex array of the shape of a, but for s and the last of the axes, with half the points and one.

    Raises:
        ArgumentError: an unknown norm.
        DTypeError: a is complex.
        ShapeError: no points, not as many s as axes, or no axes.
        AxisError: an axis that a does not have, or twice the same.

    >>> jnp.fft.rfftn(jnp.ones((2, 4))).shape
    (2, 3)
    """
    return _over("rfftn", "rfft", a, s, axes, norm)


def irfftn(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """The inverse of `rfftn`.

    Args:
        a: an array of any dtype.
        s: the numbers of points of the result along the axes; by default the lengths of the axes of a, for the last of
            them twice that less 2. -1 stands for the length of the axis of a.
        axes: the axes transformed; by default the last len(s), or all.
        norm: "backward", "ortho" or "forward".

    Returns:
        A real array of the shape of a, but for s.

    Raises:
        ArgumentError: an unknown norm.
        ShapeError: no points, not as many s as axes, or no axes.
        AxisError: an axis that a does not have, or twice the same.

    >>> jnp.fft.irfftn(jnp.fft.rfftn(jnp.eye(2)))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return _over("irfftn", "irfft", a, s, axes, norm)


def fft2(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """The discrete Fourier transform along two axes: `fftn`, whose arguments and errors it has.

    The result is complex, in the precision of `a`, of its shape or with the lengths `s` along the axes.

    >>> jnp.fft.fft2(jnp.ones((2, 2))).real
    Array([[4., 0.],
           [0., 0.]], dtype=float32)
    """
    return _over("fft2", "fft", a, s, axes, norm)


def ifft2(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """The inverse of `fft2`: `ifftn`, whose arguments and errors it has.

    The result is complex, in the precision of `a`, of its shape or with the lengths `s` along the axes.

    >>> jnp.fft.ifft2(4 * jnp.eye(2)).real
    Array([[2., 0.],
           [0., 2.]], dtype=float32)
    """
    return _over("ifft2", "ifft", a, s, axes, norm)


def rfft2(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """The transform of real numbers along two axes: `rfftn`, whose arguments and errors it has.

    The result is complex, in the precision of `a`; the last of the axes has `s[-1] // 2 + 1` elements.

    >>> jnp.fft.rfft2(jnp.ones((2, 4))).real
    Array([[8., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    return _over("rfft2", "rfft", a, s, axes, norm)


def irfft2(a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """The inverse of `rfft2`: `irfftn`, whose arguments and errors it has.

    The result is real, in the precision of `a`; the last of the axes has `s[-1]` elements, by default `2 * (m - 1)` of
    m.

    >>> jnp.fft.irfft2(jnp.fft.rfft2(jnp.eye(2)))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return _over("irfft2", "irfft", a, s, axes, norm)


# Frequencies, and their order


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies that belong to the elements of an `fft`.

    Args:
        n: the number of points, an int.
        d: the distance of the samples, a number or a 0-d array.
        dtype: of the result; by default the default float.
        device: where the result is; by default on the default device.

    Returns:
        A vector of shape (n,): 0, 1, …, -2, -1, divided by n * d.

    Raises:
        ArgumentError: n is less than 1.

    >>> jnp.fft.fftfreq(4, d=0.5)
    Array([ 0. ,  0.5, -1. , -0.5], dtype=float32)
    """
    n = _points("fftfreq", n)
    return _frequencies(np.r_[: (n - 1) // 2 + 1, -(n // 2) : 0], n, d, dtype, device)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies that belong to the elements of an `rfft`.

    Args:
        n: the number of points, an int.
        d: the distance of the samples, a number or a 0-d array.
        dtype: of the result; by default the default float.
        device: where the result is; by default on the default device.

    Returns:
        A vector of shape (n // 2 + 1,): 0, 1, …, divided by n * d.

    Raises:
        ArgumentError: n is less than 1.

    >>> jnp.fft.rfftfreq(4, d=0.5)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    n = _points("rfftfreq", n)
    return _frequencies(np.arange(n // 2 + 1), n, d, dtype, device)


def fftshift(x: Any, axes: Sequence[int] | int | None = None) -> Array:
    """The frequencies in ascending order: 0 comes to the middle.

    Args:
        x: an array of any dtype.
        axes: the axes that are put in order; by default all.

    Returns:
        An array of the shape and dtype of x.

    Raises:
        AxisError: an axis that x does not have.

    >>> jnp.fft.fftshift(jnp.fft.fftfreq(4))
    Array([-0.5 , -0.25,  0.  ,  0.25], dtype=float32)
    """
    (x,) = as_arrays("fftshift", x)
    places = canonical_axes(axes, x.ndim, "axes")
    return roll(x, tuple(x.shape[a] // 2 for a in places), places)


def ifftshift(x: Any, axes: Sequence[int] | int | None = None) -> Array:
    """The inverse of `fftshift`, which for odd lengths is another function.

    Args:
        x: an array of any dtype.
        axes: the axes that are put in order; by default all.

    Returns:
        An array of the shape and dtype of x.

    Raises:
        AxisError: an axis that x does not have.

    >>> jnp.fft.ifftshift(jnp.arange(-2, 3))
    Array([ 0,  1,  2, -2, -1], dtype=int32)
    """
    (x,) = as_arrays("ifftshift", x)
    places = canonical_axes(axes, x.ndim, "axes")
    return roll(x, tuple(-(x.shape[a] // 2) for a in places), places)


# What they share


def _conjugate(x: Array) -> Array:
    return lax.conj(x) if dtypes.is_complex(x.dtype) else x


def _checked(name: str, norm: str | None) -> str:
    if norm is not None and norm not in OTHER_NORM:
        raise ArgumentError(f"{name}: unknown norm {norm!r}", fix='use "backward", "ortho" or "forward"')
    return norm or "backward"


def _along(name: str, kind: str, a: Any, n: int | None, axis: int, norm: str | None) -> Array:
    """The transform `kind` along one axis."""
    (a,) = as_arrays(name, a)
    axes = (canonical_axis(axis, a.ndim),)
    return _fitted(name, kind, a, (None if n is None else index(n),), axes, norm)


def _over(name: str, kind: str, a: Any, s: Any, axes: Any, norm: str | None) -> Array:
    """The transform `kind` along several axes."""
    (a,) = as_arrays(name, a)
    lengths = None if s is None else tuple(map(index, s))
    if axes is None and lengths is not None:
        if len(lengths) > a.ndim:
            raise ShapeError(f"{name}: s is {show(lengths)}, and the array has {a.ndim} axes")
        places = tuple(range(a.ndim - len(lengths), a.ndim))
    else:
        places = canonical_axes(axes, a.ndim, "axes")
    if lengths is not None and len(lengths) != len(places):
        raise ShapeError(f"{name}: {len(lengths)} lengths s for {len(places)} axes", fix="pass one length an axis")
    if not places and kind in ("rfft", "irfft"):
        raise ShapeError(f"{name}: at least one axis must be transformed")
    wanted = (None,) * len(places) if lengths is None else tuple(
        a.shape[place] if length == -1 else length for length, place in zip(lengths, places, strict=True)
    )  # fmt: skip
    return _fitted(name, kind, a, wanted, places, norm)


def _fitted(
    name: str, kind: str, a: Array, wanted: tuple[int | None, ...], axes: tuple[int, ...], norm: str | None
) -> Array:
    """The transform of the array, whose axes are cut off or filled up with zeros to the lengths that are not None."""
    norm = _checked(name, norm)
    if kind == "rfft" and dtypes.is_complex(a.dtype):
        raise DTypeError(f"{name} takes real numbers, got {a.aval}", fix="use fft, or the real part: x.real")
    lengths = [a.shape[axis] if length is None else length for length, axis in zip(wanted, axes, strict=True)]
    if kind == "irfft" and wanted[-1] is None:
        lengths[-1] = 2 * (lengths[-1] - 1)
    if any(length < 1 for length in lengths):
        raise ShapeError(
            f"{name}: there must be at least one point, got {show(tuple(lengths))} for shape {show(a.shape)}",
            fix="pass the lengths: n or s",
        )
    needed = list(a.shape)
    for axis, length in zip(axes, lengths, strict=True):
        needed[axis] = length
    if kind == "irfft":
        needed[axes[-1]] = lengths[-1] // 2 + 1
    if tuple(needed) != a.shape:
        a = lax.pad(a, np.zeros((), a.dtype), [(0, new - old, 0) for new, old in zip(needed, a.shape, strict=True)])
    return transform(a, kind, tuple(lengths), axes, norm)


def _points(name: str, n: Any) -> int:
    if index(n) < 1:
        raise ArgumentError(f"{name}: n is the number of points, at least 1, got {n}")
    return index(n)


def _frequencies(numbers: np.ndarray, n: int, d: Any, dtype: Any, device: Any) -> Array:
    """Numbers / (n * d): with a Python number d rounded once."""
    if type(d) in (int, float):  # a NumPy scalar keeps its dtype
        with np.errstate(all="ignore"):
            quotients = numbers / np.float64(n * d)
        target = dtypes.scalar_dtype(float) if dtype is None else dtypes.canonical_dtype(dtype)
        return placed(lax.convert_element_type(quotients, target), device)
    distance = as_inexact("fftfreq", d)
    target = distance.dtype if dtype is None else dtypes.canonical_dtype(dtype)
    shape = (len(numbers),)
    scale = lax.broadcast_in_dim(lax.mul(distance, n), shape, ())
    values = lax.div(lax.convert_element_type(numbers, distance.dtype), scale)
    return placed(lax.convert_element_type(values, target), device)
