"""Rotations of space, under the names of `scipy.spatial.transform`, as in `jax.scipy.spatial.transform`.

>>> from nrx.scipy.spatial.transform import Rotation
>>> quarter = Rotation.from_euler("z", 90, degrees=True)
>>> (quarter * quarter).apply(jnp.array([1.0, 0.0, 2.0])).round(3)
Array([-1.,  0.,  2.], dtype=float32)
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

import nrx.numpy as jnp
from nrx import random
from nrx.core.array import Array
from nrx.core.dtypes import is_complex
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.core.pytree import register_pytree_node_class
from nrx.core.shapes import show
from nrx.core.trace import Tracer
from nrx.numpy.promotion import as_inexact, promote_dtypes

__all__ = ["Rotation", "Slerp"]

#: Below this square of an angle series take the place of quotients that would be 0 / 0.
_SMALL = 1e-6


@register_pytree_node_class
class Rotation:
    """A rotation of space, or an array of them; a pytree.

    Args:
        quat: unit quaternions (x, y, z, w), an array of shape (..., 4); `from_quat` makes their lengths 1.

    >>> Rotation = nrx.scipy.spatial.transform.Rotation
    >>> Rotation.from_rotvec(jnp.array([0.0, 0.0, jnp.pi / 2])).as_quat().round(3)
    Array([0.   , 0.   , 0.707, 0.707], dtype=float32)
    """

    __slots__ = ("quat",)

    def __init__(self, quat: Any):
        self.quat = quat

    @classmethod
    def concatenate(cls, rotations: Sequence["Rotation"]) -> "Rotation":
        """The rotations of all, single ones or vectors of them, in one vector."""
        if not all(isinstance(rotation, Rotation) for rotation in rotations):
            raise ArgumentTypeError("concatenate takes a sequence of Rotations")
        return cls(jnp.concatenate([jnp.atleast_2d(rotation.quat) for rotation in rotations]))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> "Rotation":
        """Rotations about one to three axes, one after the other.

        Args:
            seq: the axes: "x", "y", "z" for those of space, "X", "Y", "Z" for those that turn with the body.
            angles: an array of shape (..., n) for n axes; for one axis it may be a scalar.
            degrees: whether the angles are in degrees.

        Returns:
            Rotations of the shape before the last axis.

        Raises:
            ArgumentError: seq is not such a sequence, or an axis follows itself.
            ShapeError: not as many angles as axes.
        """
        axes, is_intrinsic = _axes(seq, (1, 2, 3))
        x = _radians(as_inexact("from_euler", angles), degrees)
        if not x.ndim:
            x = x[None]
        if x.shape[-1:] != (len(axes),):
            raise ShapeError(f"from_euler: angles of shape {show(x.shape)} for {len(axes)} axes")
        turns = [_about(axis, x[..., i]) for i, axis in enumerate(axes)]
        out = turns[0]
        for turn in turns[1:]:
            out = _product(out, turn) if is_intrinsic else _product(turn, out)
        return cls(out)

    @classmethod
    def from_matrix(cls, matrix: Any) -> "Rotation":
        """The rotations that orthogonal matrices of determinant 1, in an array of shape (..., 3, 3), stand for."""
        m = _checked("from_matrix", matrix, (3, 3))
        trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
        sizes = [m[..., 0, 0], m[..., 1, 1], m[..., 2, 2], trace]
        # Each is the quaternion times four of its parts: the largest part loses no digits.
        scaled = [_scaled_quat(m, trace, i) for i in range(3)]
        skew = [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]]
        scaled.append(jnp.stack([*skew, 1 + trace], -1))
        largest = jnp.stack(sizes, -1).argmax(-1)
        return cls.from_quat(jnp.take_along_axis(jnp.stack(scaled, -2), largest[..., None, None], -2)[..., 0, :])

    @classmethod
    def from_mrp(cls, mrp: Any) -> "Rotation":
        """The rotations that modified Rodrigues parameters, of shape (..., 3), stand for: axis * tan(angle / 4)."""
        p = _checked("from_mrp", mrp, (3,))
        square = (p * p).sum(-1, keepdims=True)
        return cls(jnp.concatenate([2 * p, 1 - square], -1) / (1 + square))

    @classmethod
    def from_quat(cls, quat: Any, *, scalar_first: bool = False) -> "Rotation":
        """The rotations that quaternions of any length stand for.

        Args:
            quat: quaternions (x, y, z, w), an array of shape (..., 4).
            scalar_first: whether they are (w, x, y, z).
        """
        q = _checked("from_quat", quat, (4,))
        return cls(_unit(jnp.roll(q, -1, axis=-1) if scalar_first else q))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> "Rotation":
        """Rotations about vectors by their length.

        Args:
            rotvec: an array of shape (..., 3).
            degrees: whether lengths are in degrees.
        """
        v = _radians(_checked("from_rotvec", rotvec, (3,)), degrees)
        square = (v * v).sum(-1, keepdims=True)
        is_small = square < _SMALL
        angle = jnp.sqrt(jnp.where(is_small, 1, square))
        sine = jnp.where(is_small, 1 / 2 - square / 48 + square**2 / 3840, jnp.sin(angle / 2) / angle)
        cosine = jnp.where(is_small, 1 - square / 8 + square**2 / 384, jnp.cos(angle / 2))
        return cls(jnp.concatenate([v * sine, cosine], -1))

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> "Rotation":
        """The rotation that leaves all as it is, or a vector of `num` of them."""
        one = jnp.array([0, 0, 0, 1], dtype=dtype)
        return cls(one if num is None else jnp.tile(one, (num, 1)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> "Rotation":
        """A rotation drawn evenly from all, or a vector of `num` of them.

        Args:
            random_key: a key of `nrx.random`.
            num: how many; None: a single one.
        """
        return cls.from_quat(random.normal(random_key, (4,) if num is None else (num, 4)))

    def __getitem__(self, indexer: Any) -> "Rotation":
        """Some of the rotations."""
        if self.single:
            raise ArgumentTypeError("a single rotation cannot be indexed", fix="make a vector: Rotation(r.quat[None])")
        return Rotation(self.quat[indexer])

    def __len__(self) -> int:
        if self.single:
            raise ArgumentTypeError("a single rotation has no length", fix="look at r.single first")
        return self.quat.shape[0]

    def __bool__(self) -> bool:
        return True

    def __mul__(self, other: "Rotation") -> "Rotation":
        """First `other`, then this one."""
        if not isinstance(other, Rotation):
            return NotImplemented
        return Rotation.from_quat(_product(self.quat, other.quat))

    def __repr__(self) -> str:
        return f"Rotation({self.quat!r})"

    def apply(self, vectors: Any, inverse: bool = False) -> Array:
        """Vectors turned.

        Args:
            vectors: an array of shape (..., 3), whose shape and that of the rotations broadcast.
            inverse: whether to turn them back.

        Returns:
            An array of the shape of both.
        """
        v = _checked("apply", vectors, (3,))
        matrix = self.as_matrix()
        return ((matrix.mT if inverse else matrix) @ v[..., None])[..., 0]

    def as_euler(self, seq: str, degrees: bool = False) -> Array:
        """The angles about three axes.

        Args:
            seq: three axes, as in `from_euler`.
            degrees: whether to give degrees.

        Returns:
            An array of shape (..., 3), from -pi to pi, the middle angle within pi / 2, or from 0 to pi where the first
            axis is the last. Where they are not determined (gimbal lock) the last is 0.

        Raises:
            ArgumentError: seq is not such a sequence.
        """
        axes, is_intrinsic = _axes(seq, (3,))
        angles = jnp.stack(_euler_angles(self.quat, axes, is_intrinsic), -1)
        angles = jnp.where(jnp.abs(angles) > np.pi, angles - 2 * np.pi * jnp.sign(angles), angles)
        return jnp.rad2deg(angles) if degrees else angles

    def as_matrix(self) -> Array:
        """Orthogonal matrices, of shape (..., 3, 3)."""
        x, y, z, w = (self.quat[..., i] for i in range(4))
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), y * y - x * x - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), z * z - x * x - y * y + w * w],
        ]
        return jnp.stack([jnp.stack(row, -1) for row in rows], -2)

    def as_mrp(self) -> Array:
        """Modified Rodrigues parameters, of shape (..., 3) and of length at most 1."""
        quat = _with_positive_w(self.quat)
        return quat[..., :3] / (1 + quat[..., 3:])

    def as_rotvec(self, degrees: bool = False) -> Array:
        """Vectors of shape (..., 3) along the axes, as long as the angle, which is at most pi."""
        quat = self.as_quat(canonical=True)
        v, w = quat[..., :3], quat[..., 3:]
        square = (v * v).sum(-1, keepdims=True)
        is_small = square < _SMALL
        sine = jnp.sqrt(jnp.where(is_small, 1, square))
        cosine = jnp.where(is_small, w, 1)
        tan2 = square / cosine**2
        series = (1 - tan2 / 3 + tan2**2 / 5 - tan2**3 / 7) / cosine
        vectors = 2 * v * jnp.where(is_small, series, jnp.arctan2(sine, w) / sine)
        return jnp.rad2deg(vectors) if degrees else vectors

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Array:
        """Unit quaternions, of shape (..., 4).

        Args:
            canonical: of the two with opposite signs the one whose w, or else x, y, z, is positive.
            scalar_first: whether w comes first.
        """
        quat = self.quat
        if canonical:
            x, y, z, w = (quat[..., i] for i in range(4))
            first = jnp.select([w != 0, x != 0, y != 0], [w, x, y], z)
            quat = jnp.where((first < 0)[..., None], -quat, quat)
        return jnp.roll(quat, 1, axis=-1) if scalar_first else quat

    def inv(self) -> "Rotation":
        """The rotations back."""
        return Rotation(self.quat * jnp.array([-1, -1, -1, 1], self.quat.dtype))

    def magnitude(self) -> Array:
        """The angles, from 0 to pi."""
        return 2 * jnp.arctan2(jnp.linalg.norm(self.quat[..., :3], axis=-1), jnp.abs(self.quat[..., 3]))

    def mean(self, weights: Any = None) -> "Rotation":
        """The rotation that is nearest to the rotations of a vector, by the squares of chordal distances.

        Args:
            weights: how much each counts, a vector; 1 by default.

        Raises:
            ShapeError: not as many weights as rotations.
        """
        quat = jnp.atleast_2d(self.quat)
        w = jnp.ones(quat.shape[:1], quat.dtype) if weights is None else jnp.asarray(weights, quat.dtype)
        if w.shape != quat.shape[:1]:
            raise ShapeError(f"mean: weights of shape {show(w.shape)} for rotations of shape {show(quat.shape[:-1])}")
        return Rotation(jnp.linalg.eigh((w * quat.T) @ quat)[1][:, -1])

    @property
    def single(self) -> bool:
        """Whether it is one rotation, not an array of them."""
        return self.quat.ndim == 1

    def tree_flatten(self) -> tuple[tuple, None]:
        """The quaternions, for `nrx.tree`."""
        return (self.quat,), None

    @classmethod
    def tree_unflatten(cls, _: None, children: Sequence[Any]) -> "Rotation":
        """From what `tree_flatten` gave."""
        return cls(*children)


@register_pytree_node_class
class Slerp:
    """Rotations between given ones, by turning at an even speed (spherical linear interpolation); a pytree.

    Args:
        times: a vector of at least 2 times, strictly increasing (traced ones are not checked).
        rotations: the rotations at these times.

    Raises:
        ArgumentTypeError: not a Rotation.
        ArgumentError: times that are not strictly increasing.
        ShapeError: not as many rotations as times, or fewer than 2.

    >>> turns = nrx.scipy.spatial.transform.Rotation.from_euler("z", jnp.array([[0], [90], [80]]), degrees=True)
    >>> nrx.scipy.spatial.transform.Slerp(jnp.arange(3), turns)(jnp.array([0.5, 1.5])).as_rotvec(degrees=True).round(1)
    Array([[ 0.,  0., 45.],
           [ 0.,  0., 85.]], dtype=float32)
    """

    __slots__ = ("rotations", "rotvecs", "timedelta", "times")

    def __init__(self, times: Any, rotations: Rotation):
        if not isinstance(rotations, Rotation):
            raise ArgumentTypeError(f"Slerp: rotations must be a Rotation, got {type(rotations).__name__}")
        at = jnp.asarray(times, rotations.quat.dtype)
        if rotations.quat.ndim != 2 or at.shape != rotations.quat.shape[:1] or at.size < 2:
            raise ShapeError(
                f"Slerp: times of shape {show(at.shape)} for rotations of shape {show(rotations.quat.shape[:-1])}",
                fix="pass vectors of one length, at least 2",
            )
        if not isinstance(at, Tracer) and not (np.diff(np.asarray(at)) > 0).all():
            raise ArgumentError("Slerp: times must be strictly increasing", fix="sort them, and the rotations")
        self.times, self.timedelta = at, jnp.diff(at)
        self.rotations = rotations[:-1]
        self.rotvecs = (self.rotations.inv() * rotations[1:]).as_rotvec()

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> "Slerp":
        """The same as `Slerp(times, rotations)`, as JAX writes it."""
        return cls(times, rotations)

    def __call__(self, times: Any) -> Rotation:
        """The rotations at times, a scalar or vector; beyond the ends the first and the last turn go on."""
        at = jnp.asarray(times, self.times.dtype)
        if at.ndim > 1:
            raise ShapeError(f"Slerp: times must be a scalar or a vector, got shape {show(at.shape)}")
        i = (jnp.searchsorted(self.times, at) - 1).clip(0, self.timedelta.size - 1)
        part = (at - self.times[i]) / self.timedelta[i]
        return self.rotations[i] * Rotation.from_rotvec(self.rotvecs[i] * part[..., None])

    def tree_flatten(self) -> tuple[tuple, None]:
        """The parts, for `nrx.tree`."""
        return (self.times, self.timedelta, self.rotations, self.rotvecs), None

    @classmethod
    def tree_unflatten(cls, _: None, children: Sequence[Any]) -> "Slerp":
        """From what `tree_flatten` gave."""
        slerp = object.__new__(cls)
        slerp.times, slerp.timedelta, slerp.rotations, slerp.rotvecs = children
        return slerp


def _checked(name: str, x: Any, ending: tuple[int, ...]) -> Array:
    """The argument of a method, whose shape must end so."""
    array = as_inexact(name, x)
    if is_complex(array.dtype):
        raise DTypeError(f"{name} takes real numbers, got {array.aval}")
    if array.shape[-len(ending) :] != ending:
        raise ShapeError(
            f"{name} takes an array of shape (..., {str(ending)[1:-1].rstrip(',')}), got {show(array.shape)}"
        )
    return array


def _axes(seq: str, lengths: tuple[int, ...]) -> tuple[list[int], bool]:
    """The numbers of the axes, and whether they are those of the body."""
    is_valid = isinstance(seq, str) and len(seq) in lengths and re.fullmatch("[xyz]*|[XYZ]*", seq)
    if not is_valid or any(a == b for a, b in itertools.pairwise(seq)):
        raise ArgumentError(
            f"not a sequence of axes: {seq!r}",
            fix=f"give {lengths[0]}{' to 3' * (len(lengths) > 1)} of x, y, z or of X, Y, Z, none twice in a row",
        )
    return ["xyz".index(axis) for axis in seq.lower()], seq.isupper()


def _radians(angles: Array, degrees: bool) -> Array:
    return jnp.deg2rad(angles) if degrees else angles


def _unit(quat: Array) -> Array:
    return quat / jnp.linalg.norm(quat, axis=-1, keepdims=True)


def _with_positive_w(quat: Array) -> Array:
    return jnp.where(quat[..., 3:] < 0, -quat, quat)


def _about(axis: int, angle: Array) -> Array:
    """The rotation about an axis."""
    parts = [jnp.zeros_like(angle)] * 3 + [jnp.cos(angle / 2)]
    parts[axis] = jnp.sin(angle / 2)
    return jnp.stack(parts, -1)


def _product(p: Array, q: Array) -> Array:
    """The product of quaternions."""
    p, q = promote_dtypes("Rotation", p, q)
    v, w = p[..., :3], p[..., 3:]
    u, s = q[..., :3], q[..., 3:]
    vector = w * u + s * v + jnp.cross(v, u)
    return jnp.concatenate([vector, w * s - (v * u).sum(-1, keepdims=True)], -1)


def _scaled_quat(m: Array, trace: Array, i: int) -> Array:
    """The quaternion of a matrix times four of its part i."""
    j, k = (i + 1) % 3, (i + 2) % 3
    parts = {
        i: 1 - trace + 2 * m[..., i, i],
        j: m[..., j, i] + m[..., i, j],
        k: m[..., k, i] + m[..., i, k],
        3: m[..., k, j] - m[..., j, k],
    }
    return jnp.stack([parts[n] for n in range(4)], -1)


def _euler_angles(quat: Array, axes: list[int], is_intrinsic: bool) -> list[Array]:
    """The three angles (Bernardes and Viollet, 2022), up to multiples of 2 pi."""
    i, j, k = axes[::-1] if is_intrinsic else axes
    is_symmetric = i == k
    if is_symmetric:
        k = 3 - i - j
    sign = (i - j) * (j - k) * (k - i) // 2
    x, y, z, w = quat[..., i], quat[..., j], sign * quat[..., k], quat[..., 3]
    a, b, c, d = (w, x, y, z) if is_symmetric else (w - y, x + z, y + w, z - x)
    middle = 2 * jnp.arctan2(jnp.hypot(c, d), jnp.hypot(a, b))
    half_sum, half_difference = jnp.arctan2(b, a), jnp.arctan2(d, c)
    at_zero, at_pi = middle <= 1e-7, jnp.abs(middle - np.pi) <= 1e-7
    is_locked = at_zero | at_pi
    alone = jnp.where(at_zero, 2 * half_sum, (2 if is_intrinsic else -2) * half_difference)
    first, third = half_sum - half_difference, half_sum + half_difference
    if is_intrinsic:
        first, third = jnp.where(is_locked, 0, first), jnp.where(is_locked, alone, third)
    else:
        first, third = jnp.where(is_locked, alone, first), jnp.where(is_locked, 0, third)
    if not is_symmetric:
        middle, third = middle - np.pi / 2, sign * third
    return [third, middle, first] if is_intrinsic else [first, middle, third]
