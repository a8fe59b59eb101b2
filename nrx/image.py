"""Images of other sizes, under the names of `jax.image`.

Every axis that changes is multiplied by a matrix of weights: what each old pixel contributes to each new one.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx import numpy as jnp
from nrx.core.array import Array, asarray
from nrx.core.dtypes import float32, inexact_dtype, promote, real_part_dtype
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import canonical_axis, show

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]

_LEAST_WEIGHT = 1000.0 * float(np.finfo(np.float32).eps)


class ResizeMethod(enum.Enum):
    """How pixels in between are made of their neighbours.

    >>> import nrx
    >>> nrx.image.resize(nrx.numpy.array([1.0, 2.0]), (4,), nrx.image.ResizeMethod.NEAREST)
    Array([1., 1., 2., 2.], dtype=float32)
    """

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> "ResizeMethod":
        """The method of that name: "nearest", "linear", "cubic", "lanczos3", …"""
        if s not in _NAMES:
            raise ArgumentError(f"there is no way to resize named {s!r}", fix=f"use {', '.join(map(repr, _NAMES))}")
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    "area": ResizeMethod.AREA,
}


def _triangle(x: Any) -> Any:
    return jnp.maximum(0.0, 1.0 - x)


def _cubic(a: float) -> Callable[[Any], Any]:
    """Cubic convolution with the parameter `a`. Keys, IEEE Trans. ASSP 29(6), 1981."""

    def kernel(x: Any) -> Any:
        near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
        return jnp.where(x >= 2.0, 0.0, jnp.where(x >= 1.0, far, near))

    return kernel


def _lanczos(radius: float) -> Callable[[Any], Any]:
    return lambda x: jnp.where(x > radius, 0.0, jnp.sinc(x) * jnp.sinc(x / radius))


_KERNELS: dict[ResizeMethod, Callable[[Any], Any]] = {
    ResizeMethod.LINEAR: _triangle,
    ResizeMethod.CUBIC: _cubic(-0.5),
    ResizeMethod.CUBIC_PYTORCH: _cubic(-0.75),
    ResizeMethod.LANCZOS3: _lanczos(3.0),
    ResizeMethod.LANCZOS5: _lanczos(5.0),
}
#: How many pixels beyond the edge this method sees, each with the value of the edge.
_REPEATED = {ResizeMethod.CUBIC_PYTORCH: 2}


def _weights(old: int, new: int, scale: Any, translation: Any, method: ResizeMethod, antialias: bool, pad: int) -> Any:
    """The matrix of shape (old, new)."""
    step = 1.0 / scale
    begin = (jnp.arange(new, dtype=step.dtype) - translation) * step
    centre = begin + 0.5 * step - 0.5
    at = jnp.arange(-pad, old + pad, dtype=step.dtype)[:, None]
    if method is ResizeMethod.AREA:  # how long the two pixels overlap
        parts = jnp.maximum(0.0, jnp.minimum(begin + step, at + 1.0) - jnp.maximum(begin, at))
    else:
        width = jnp.maximum(step, 1.0) if antialias else 1.0
        parts = _KERNELS[method](jnp.abs(centre - at) / width)
    if pad:
        inner = parts[pad:-pad]
        parts = inner.at[0].add(parts[:pad].sum(0)).at[-1].add(parts[-pad:].sum(0))
    total = parts.sum(0)
    weights = jnp.where(jnp.abs(total) > _LEAST_WEIGHT, parts / jnp.where(total == 0, 1.0, total), 0.0)
    return weights if pad else jnp.where((centre >= -0.5) & (centre <= old - 0.5), weights, 0.0)


def _method(method: str | ResizeMethod, antialias: bool) -> tuple[ResizeMethod, int]:
    """The method, and how many pixels beyond the edge it sees."""
    chosen = method if isinstance(method, ResizeMethod) else ResizeMethod.from_string(method)
    if antialias:
        return (ResizeMethod.CUBIC if chosen is ResizeMethod.CUBIC_PYTORCH else chosen), 0
    return chosen, _REPEATED.get(chosen, 0)


def _image(name: str, image: Any, shape: Sequence[int]) -> tuple[Array, tuple[int, ...]]:
    x, lengths = asarray(image, f"{name}: image"), tuple(map(int, shape))
    if len(lengths) != x.ndim:
        raise ShapeError(
            f"{name}: an image of shape {show(x.shape)} cannot get the shape {show(lengths)}",
            fix="give a length for each axis; batch and channels keep theirs",
        )
    return x, lengths


def _real(x: Array) -> np.dtype:
    """What weights are computed in."""
    return promote(real_part_dtype(x.dtype), float32)


def _contracted(x: Array, axes: Sequence[int], matrices: Sequence[Any]) -> Array:
    for axis, matrix in zip(axes, matrices, strict=True):
        x = jnp.moveaxis(jnp.tensordot(x, matrix.astype(x.dtype), (axis, 0)), -1, axis)
    return x


def resize(
    image: Any, shape: Sequence[int], method: str | ResizeMethod, antialias: bool = True, precision: Any = None
) -> Array:
    """An image with other lengths of axes.

    Args:
        image: an array; with integers the result is of the default float, but for "nearest".
        shape: the new length of each axis.
        method: "nearest", "linear", "cubic", "lanczos3", "lanczos5", "area", "cubic-pytorch", or a `ResizeMethod`.
        antialias: where an image gets smaller, whether more pixels than the nearest are averaged.
        precision: accepted for JAX's sake.

    Returns:
        An array of that shape.

    Raises:
        ShapeError: there is not a length for each axis.
        ArgumentError: there is no such method.

    >>> import nrx
    >>> nrx.image.resize(nrx.numpy.array([0.0, 1.0, 2.0, 3.0]), (2,), "linear", antialias=False)
    Array([0.5, 2.5], dtype=float32)
    """
    x, lengths = _image("resize", image, shape)
    chosen, pad = _method(method, antialias)
    axes = [i for i in range(x.ndim) if lengths[i] != x.shape[i]]
    if chosen is ResizeMethod.NEAREST:
        for i in axes:
            places = np.floor((np.arange(lengths[i], dtype=np.float32) + 0.5) * x.shape[i] / max(lengths[i], 1))
            x = jnp.take(x, places.astype(int), axis=i)
        return x
    x = x.astype(inexact_dtype(x.dtype))
    scales = [jnp.asarray(lengths[i] / x.shape[i] if lengths[i] and x.shape[i] else 1.0, _real(x)) for i in axes]
    matrices = [
        _weights(x.shape[i], lengths[i], scale, 0.0, chosen, antialias, pad)
        for i, scale in zip(axes, scales, strict=True)
    ]
    return _contracted(x, axes, matrices)


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = None,
) -> Array:
    """An image stretched and moved: the new pixel i shows the old place (i + 1/2 - translation) / scale - 1/2.

    Args:
        image: an array.
        shape: the shape of the result.
        spatial_dims: the axes that change.
        scale, translation: a number for each of them; derivatives with respect to them exist.
        method: as of `resize`, but for "nearest".
        antialias: as of `resize`.
        precision: accepted for JAX's sake.

    Returns:
        An array of that shape; 0 beyond the edges of the image. It has the dtype of the image, integers become the
        default float.

    Raises:
        ShapeError: the arguments do not fit each other.
        ArgumentError: there is no such method.

    >>> import nrx
    >>> image = nrx.numpy.array([1.0, 2.0, 3.0])
    >>> ones = nrx.numpy.ones(1)
    >>> nrx.image.scale_and_translate(image, (3,), (0,), ones, ones, "linear")
    Array([0., 1., 2.], dtype=float32)
    """
    x, lengths = _image("scale_and_translate", image, shape)
    chosen, pad = _method(method, antialias)
    if chosen is ResizeMethod.NEAREST:
        raise ArgumentError("scale_and_translate: nearest pixels are not weighed", fix="use method='linear'")
    axes = [canonical_axis(axis, x.ndim, "spatial_dims") for axis in spatial_dims]
    scales, moves = (
        asarray(scale, "scale_and_translate: scale"),
        asarray(translation, "scale_and_translate: translation"),
    )
    if not scales.shape == moves.shape == (len(axes),):
        raise ShapeError(
            f"scale_and_translate: {len(axes)} axes, scale {show(scales.shape)}, translation {show(moves.shape)}",
            fix="give a number for each axis of spatial_dims",
        )
    if fixed := [i for i in range(x.ndim) if i not in axes and lengths[i] != x.shape[i]]:
        raise ShapeError(f"scale_and_translate: axis {fixed[0]} is not one that changes", fix="name it in spatial_dims")
    x = x.astype(inexact_dtype(x.dtype))
    matrices = [
        _weights(x.shape[i], lengths[i], scales[k], moves[k], chosen, antialias, pad) for k, i in enumerate(axes)
    ]
    return _contracted(x, axes, matrices)
