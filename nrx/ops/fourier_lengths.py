"""Fourier transforms of the lengths that `nrx.ops.fourier` has no steps for, as Programs of transforms that it has.

Several axes are taken one by one, real numbers as complex ones. A length with a large prime factor becomes a
convolution with a chirp, w[k] = exp(-pi i k**2 / n), by transforms of a length of small factors (L. I. Bluestein, "A
linear filtering approach to the computation of the discrete Fourier transform", IEEE NEREM Record 10, 1968):

    out[k] = w[k] * sum over j of (x[j] * w[j]) * conj(w[k - j])
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, wrap
from nrx.core.aval import Aval
from nrx.core.primitive import Primitive
from nrx.core.program import Atom, Eqn, Literal, Program, Var
from nrx.core.shapes import Shape, size
from nrx.ops.arithmetic import conj_p, mul_p, real_p
from nrx.ops.common import equation, scalar_array
from nrx.ops.fourier_steps import CIRCLE
from nrx.ops.slicing import concatenate_p, pad_p, slice_p
from nrx.ops.structural import broadcast_in_dim_p, convert_element_type_p, rev_p

_TABLES = 8
_FACTORS = (1, 9, 5, 3)  # of lengths that are otherwise powers of 2


class _Equations:
    """The equations of a Program under way, with the constants that they use."""

    def __init__(self, prim: Primitive):
        self.prim = prim
        self.found: list[Eqn] = []
        self.constants: dict[Var, Array] = {}

    def apply(self, prim: Primitive, *inputs: Atom, **params: Any) -> Var:
        self.found.append(equation(prim, inputs, **params))
        return self.found[-1].outs[0]

    def transform(self, x: Var, kind: str, length: int, axis: int, norm: str = "backward") -> Var:
        return self.apply(self.prim, x, kind=kind, lengths=(length,), axes=(axis,), norm=norm)

    def times(self, x: Var, factors: np.ndarray, axis: int) -> Var:
        """x times numbers along an axis."""
        constant = wrap(factors.astype(x.aval.dtype))
        self.constants[var := Var(constant.aval)] = constant
        return self.apply(mul_p, x, self.apply(broadcast_in_dim_p, var, shape=x.aval.shape, placement=(axis,)))

    def part(self, x: Var, axis: int, start: int, stop: int) -> Var:
        starts, limits = [0] * len(x.aval.shape), list(x.aval.shape)
        starts[axis], limits[axis] = start, stop
        return self.apply(
            slice_p, x, start_indices=tuple(starts), limit_indices=tuple(limits), strides=(1,) * len(starts)
        )


def indirect_program(
    prim: Primitive, x: Aval, kind: str, lengths: Shape, axes: tuple[int, ...], norm: str, scale: float
) -> Program | None:
    """The Program for a transform by others; None if there is nothing to transform.

    Args:
        prim: that of the transforms.
        x: the operand.
        kind, lengths, axes, norm: as in `nrx.ops.fft.transform`.
        scale: the factor of the result.
    """
    if not size(x.shape):
        return None
    equations, start = _Equations(prim), Var(x)
    if len(axes) > 1:
        out = _axis_by_axis(equations, start, kind, list(zip(axes, lengths, strict=True)), norm)
    elif kind == "rfft":
        dtype = dtypes.complex_dtype(x.dtype)
        whole = equations.apply(convert_element_type_p, start, dtype=dtype, weak_type=False)
        out = equations.transform(whole, "fft", lengths[0], axes[0], norm)
        out = equations.part(out, axes[0], 0, lengths[0] // 2 + 1)
    elif kind == "irfft":
        out = _from_half(equations, start, lengths[0], axes[0], norm)
    else:
        out = _by_chirp(equations, start, lengths[0], axes[0], kind == "ifft", scale)
    constants = equations.constants
    return Program([start], equations.found, [out], tuple(constants), tuple(constants.values()), name=kind)


def _axis_by_axis(equations: _Equations, x: Var, kind: str, pairs: Sequence[tuple[int, int]], norm: str) -> Var:
    *others, (axis, length) = pairs
    own = "ifft" if kind in ("ifft", "irfft") else "fft"
    if kind != "irfft":
        x = equations.transform(x, kind, length, axis, norm)
    for its_axis, its_length in others:
        x = equations.transform(x, own, its_length, its_axis, norm)
    return equations.transform(x, kind, length, axis, norm) if kind == "irfft" else x


def _from_half(equations: _Equations, x: Var, length: int, axis: int, norm: str) -> Var:
    """The real numbers that half a spectrum belongs to: the other half is its mirror image."""
    if length > 2:
        mirrored = equations.apply(rev_p, equations.part(x, axis, 1, (length + 1) // 2), dimensions=(axis,))
        x = equations.apply(concatenate_p, x, equations.apply(conj_p, mirrored), dimension=axis)
    return equations.apply(real_p, equations.transform(x, "ifft", length, axis, norm))


def _by_chirp(equations: _Equations, x: Var, length: int, axis: int, inverse: bool, scale: float) -> Var:
    chirp, spectrum = _tables(length)
    if inverse:  # the transform of the conjugate, conjugated
        chirp, spectrum = chirp.conj(), spectrum[-np.arange(len(spectrum))].conj()
    padding = [(0, 0, 0)] * len(x.aval.shape)
    padding[axis] = (0, len(spectrum) - length, 0)
    zero = Literal(scalar_array(0, x.aval.dtype))
    wide = equations.apply(pad_p, equations.times(x, chirp, axis), zero, padding_config=tuple(padding))
    wide = equations.times(equations.transform(wide, "fft", len(spectrum), axis), spectrum, axis)
    wide = equations.transform(wide, "ifft", len(spectrum), axis)
    return equations.times(equations.part(wide, axis, 0, length), chirp * scale, axis)


@functools.lru_cache(_TABLES)
def _tables(length: int) -> tuple[np.ndarray, np.ndarray]:
    """The chirp of a length, and the spectrum of its conjugate, of a length that can be transformed."""
    k = np.arange(length, dtype=np.int64)
    angles = (k * k % (2 * length)) / np.longdouble(2 * length) * CIRCLE  # exact before the division
    chirp = (np.cos(angles) - 1j * np.sin(angles)).astype(np.complex128)
    wide = np.zeros(min(f << max((2 * length - 2) // f, 0).bit_length() for f in _FACTORS), np.complex128)
    wide[:length] = chirp.conj()
    wide[1 - length :] = chirp[:0:-1].conj()
    return chirp, np.fft.fft(wide)
