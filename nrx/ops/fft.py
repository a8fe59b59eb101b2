"""Discrete Fourier transforms: one primitive for all four kinds, over any axes.

Eagerly, NumPy's pocketfft and CuPy's cuFFT do the work. Compiled code and large arrays on the CPU have loops of their
own (`nrx.ops.fourier`).
"""

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.primitive import Primitive
from nrx.core.program import Program
from nrx.core.shapes import Shape, canonical_shape, show
from nrx.ops.arithmetic import conj, mul
from nrx.ops.common import COMPLEX, NOT_YET_LOWERED, as_arrays, check_dtype
from nrx.ops.fourier import fourier_program
from nrx.ops.fourier_lengths import indirect_program
from nrx.ops.structural import broadcast_in_dim, convert_element_type, linear_jvp

fft_p = Primitive("fft")


class FftType(IntEnum):
    """Which transform `fft` computes."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


#: Which normalization of the transform in the other direction has the same factor.
OTHER_NORM = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
_REAL = frozenset((dtypes.float32, dtypes.float64))


# Public functions


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Array:
    """The discrete Fourier transform over the last axes.

    Args:
        x: an array; real numbers become complex where the transform takes these, and narrow ones 32 bits wide.
        fft_type: an `FftType` or its name: "fft", "ifft" (divided by the number of points), "rfft" (real numbers to the
            first half of the spectrum along the last axis) or "irfft" (its inverse).
        fft_lengths: the lengths of the axes transformed; for "irfft" those of the result.

    Returns:
        A complex array, for "irfft" a real one.

    Raises:
        ArgumentError: an unknown fft_type.
        DTypeError: "rfft" of complex numbers.
        ShapeError: lengths that x does not have.

    >>> import nrx
    >>> nrx.lax.fft(nrx.numpy.array([1.0, 0.0, 2.0, 0.0]), "rfft", (4,))
    Array([ 3.+0.j, -1.+0.j,  3.+0.j], dtype=complex64)
    """
    (x,) = as_arrays("fft", x)
    lengths = canonical_shape(fft_lengths)
    name = fft_type.upper() if isinstance(fft_type, str) else fft_type
    try:
        kind = (FftType[name] if isinstance(name, str) else FftType(name)).name.lower()
    except (KeyError, ValueError):
        raise ArgumentError(f"fft: unknown fft_type {fft_type!r}", fix="use fft, ifft, rfft or irfft") from None
    if len(lengths) > x.ndim:
        raise ShapeError(f"fft: fft_lengths {show(lengths)} has more axes than x, of shape {show(x.shape)}")
    return transform(x, kind, lengths, tuple(range(x.ndim - len(lengths), x.ndim)), "backward")


def transform(x: Array, kind: str, lengths: Shape, axes: tuple[int, ...], norm: str) -> Array:
    """The transform `kind` ("fft", "ifft", "rfft", "irfft") over `axes`, the last of which is halved or restored.

    Args:
        x: an array of any dtype, with the right lengths.
        kind: the name of an `FftType` in small letters.
        lengths: the number of points along each of the axes.
        axes: different axes, counted from the front.
        norm: "backward", "ortho" or "forward".
    """
    dtype = dtypes.complex_dtype(dtypes.inexact_dtype(x.dtype))
    if kind == "rfft":
        if dtypes.is_complex(x.dtype):
            raise DTypeError(f"rfft takes real numbers, got {x.aval}", fix="use fft")
        dtype = dtypes.real_part_dtype(dtype)
    x = convert_element_type(x, dtype)
    return fft_p.bind(x, kind=kind, lengths=lengths, axes=axes, norm=norm) if axes else x


# impl


def _fft_impl(xp: Any, x: Any, *, kind: str, lengths: Shape, axes: tuple[int, ...], norm: str) -> Any:
    if len(axes) == 1:
        return getattr(xp.fft, kind)(x, lengths[0], axes[0], norm)
    if kind != "irfft":
        return getattr(xp.fft, f"{kind}n")(x, lengths, axes, norm)
    # cuFFT would take the symmetry of real results for granted along all axes
    x = xp.fft.ifftn(x, lengths[:-1], axes[:-1], norm)
    return xp.fft.irfft(x, lengths[-1], axes[-1], norm)


# abstract


def _fft_abstract(x: Aval, *, kind: str, lengths: Shape, axes: tuple[int, ...], norm: str) -> Aval:
    check_dtype(kind, x, _REAL if kind == "rfft" else COMPLEX)
    have, result = tuple(x.shape[a] for a in axes), list(x.shape)
    half = lengths[-1] // 2 + 1
    if have != ((*lengths[:-1], half) if kind == "irfft" else lengths):
        raise ShapeError(f"{kind} over {show(lengths)} points does not fit axes {axes} of shape {show(x.shape)}")
    if any(length == 0 for length in lengths):
        raise ShapeError(f"{kind} over axes {axes}, of lengths {show(lengths)}: there must be at least one point")
    if kind in ("rfft", "irfft"):
        result[axes[-1]] = half if kind == "rfft" else lengths[-1]
    dtype = {"rfft": dtypes.complex_dtype, "irfft": dtypes.real_part_dtype}.get(kind, lambda dtype: dtype)(x.dtype)
    return Aval(tuple(result), dtype)


# transpose: the matrix of fft and ifft is symmetric; the half spectrum stands for both halves


def _fft_transpose(ct: Array, x: Linear, *, kind: str, lengths: Shape, axes: tuple[int, ...], norm: str) -> list[Array]:
    if kind in ("fft", "ifft"):
        return [fft_p.bind(ct, kind=kind, lengths=lengths, axes=axes, norm=norm)]
    params = {"lengths": lengths, "axes": axes, "norm": OTHER_NORM[norm]}
    count = np.full(lengths[-1] // 2 + 1, 2.0)  # how often an element of the half spectrum stands in the whole
    count[0] = 1
    if lengths[-1] % 2 == 0:
        count[-1] = 1
    if kind == "rfft":
        return [fft_p.bind(_scaled(conj(ct), 1 / count, axes[-1]), kind="irfft", **params)]
    return [conj(_scaled(fft_p.bind(ct, kind="rfft", **params), count, axes[-1]))]


def _scaled(x: Array, factors: np.ndarray, at: int) -> Array:
    """`x` times factors along an axis."""
    return mul(x, broadcast_in_dim(convert_element_type(factors, x.dtype), x.shape, (at,)))


# batch


def _fft_batch(
    axis: Any, args: Sequence[Array], dims: Sequence[int], *, axes: tuple[int, ...], **params: Any
) -> tuple[Array, int]:
    (x,), (dim,) = args, dims
    return fft_p.bind(x, axes=tuple(a + (a >= dim) for a in axes), **params), dim


# lower


def _fft_lower(x: Aval, *, kind: str, lengths: Shape, axes: tuple[int, ...], norm: str) -> Program | None:
    out = _fft_abstract(x, kind=kind, lengths=lengths, axes=axes, norm=norm)
    points, direction = math.prod(map(int, lengths)), "forward" if kind in ("fft", "rfft") else "backward"
    scale = 1 / math.sqrt(points) if norm == "ortho" else 1 / points if norm == direction else 1.0
    direct = fourier_program(x, out, kind, lengths, axes, scale)
    return direct or indirect_program(fft_p, x, kind, tuple(map(int, lengths)), axes, norm, scale)


# Registration

fft_p.define(
    impl=_fft_impl, abstract=_fft_abstract, jvp=linear_jvp(fft_p), transpose=_fft_transpose, batch=_fft_batch,
    lower=_fft_lower,
).refuse(onnx=NOT_YET_LOWERED)  # fmt: skip
fft_p.compiled_from = (0, 1 << 16)
