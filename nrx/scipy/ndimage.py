"""Images of any number of axes, under the names of `scipy.ndimage`, as in `jax.scipy.ndimage`."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.core.shapes import show
from nrx.numpy.promotion import as_inexact, convert

__all__ = ["map_coordinates"]


def map_coordinates(
    input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0
) -> Array:
    """The values of an image between its points.

    Args:
        input: an image, an array of n axes.
        coordinates: the places, in steps along each axis: n arrays of one shape, or that broadcast together, or one
            array whose first axis has length n.
        order: 0: the value of the nearest point; 1: multilinear interpolation.
        mode: what is beyond the edges: "constant": cval; "nearest": the value at the edge; "wrap": the image again;
            "mirror": its mirror image, the points at the edge once; "reflect": its mirror image, those points twice.
            SciPy calls what is meant here "grid-constant" and "grid-wrap"; these names and "grid-mirror" for "reflect"
            are known as well.
        cval: a scalar, in the dtype of the image.

    Returns:
        An array of the shape of the coordinates and the dtype of the image; integers are rounded. It has derivatives in
        the image, and for order 1 in the coordinates.

    Raises:
        ArgumentError: another order or mode.
        ShapeError: not as many coordinates as the image has axes, or a mode that needs points for an image without any.
        DTypeError: complex coordinates.
        ArgumentTypeError: coordinates are neither a sequence nor an array.

    >>> image = jnp.array([[0.0, 1.0], [2.0, 3.0]])
    >>> nrx.scipy.ndimage.map_coordinates(image, [jnp.array([0.5, 1.0]), jnp.array([0.5, 0.25])], order=1)
    Array([1.5 , 2.25], dtype=float32)
    """
    image = asarray(input, "map_coordinates: input")
    if order not in (0, 1):
        raise ArgumentError(f"map_coordinates: order is 0 or 1, got {order}", fix="splines are not there")
    name = _SAME.get(mode, mode)
    if name not in _FOLDS:
        raise ArgumentError(f"map_coordinates: unknown mode {mode!r}", fix=f"use one of {', '.join(_FOLDS)}")
    if not isinstance(coordinates, Iterable):
        raise ArgumentTypeError(f"map_coordinates: coordinates must be a sequence of arrays, got {coordinates!r}")
    places = [_wide(as_inexact("map_coordinates", c)) for c in coordinates]
    if len(places) != image.ndim:
        raise ShapeError(
            f"map_coordinates: {len(places)} coordinates for an image of shape {show(image.shape)}",
            fix="pass one array for each axis",
        )
    if any(dtypes.is_complex(place.dtype) for place in places):
        raise DTypeError("map_coordinates: coordinates must be real")
    if name != "constant" and not image.size:
        raise ShapeError(f"map_coordinates: an image of shape {show(image.shape)} has no points to take values from")
    nodes = [_nodes(place, size, order, name) for place, size in zip(places, image.shape, strict=True)]
    background = convert("map_coordinates: cval", cval, image.dtype)
    if not image.size:
        image = jnp.full([max(n, 1) for n in image.shape], background)
    if order == 0:
        return _values(image, [node for (node,) in nodes], background)
    total = sum((_corner(image, corner, background) for corner in itertools.product(*nodes)), jnp.zeros((), bool))
    if dtypes.is_integer(image.dtype) or dtypes.is_bool(image.dtype):
        total = lax.round(as_inexact("map_coordinates", total))
    return total.astype(image.dtype)


def _wide(place: Array) -> Array:
    """Coordinates in a dtype that tells the points of an image apart."""
    return place.astype(dtypes.float32) if dtypes.is_narrow(place.dtype) else place


class _Node(NamedTuple):
    """One of the points next to the places, along one axis: its index, its weight, whether it is in the image."""

    at: Array
    weight: Array
    inside: Array


def _nodes(place: Array, size: int, order: int, mode: str) -> list[_Node]:
    if order == 0:
        found = [(lax.round(place), jnp.ones_like(place))]
    else:
        low = jnp.floor(place)
        found = [(low, 1 - (place - low)), (low + 1, place - low)]
    nodes = []
    for index, weight in found:
        folded = _FOLDS[mode](index, size).astype("int32")
        nodes.append(_Node(folded, weight, (index >= 0) & (index < size)))
    return [node if mode == "constant" else node._replace(inside=jnp.ones_like(node.inside)) for node in nodes]


def _mirrored(index: Array, size: int) -> Array:
    if size == 1:
        return jnp.zeros_like(index)
    return jnp.abs((index + size - 1) % (2 * size - 2) - (size - 1))


def _reflected(index: Array, size: int) -> Array:
    folded = index % (2 * size)
    return jnp.minimum(folded, 2 * size - 1 - folded)


#: What index of the image one beyond its edges stands for.
_FOLDS: dict[str, Callable[[Array, int], Array]] = {
    "constant": lambda index, size: index.clip(0, max(size - 1, 0)),
    "nearest": lambda index, size: index.clip(0, size - 1),
    "wrap": lambda index, size: index % size,
    "mirror": _mirrored,
    "reflect": _reflected,
}
_SAME = {"grid-constant": "constant", "grid-wrap": "wrap", "grid-mirror": "reflect"}


def _values(image: Array, corner: Sequence[_Node], background: Array) -> Array:
    """The values at one of the 2^n points around each place."""
    inside = math.prod((node.inside for node in corner), start=jnp.asarray(True))
    return jnp.where(inside, image[tuple(node.at for node in corner)], background)


def _corner(image: Array, corner: Sequence[_Node], background: Array) -> Array:
    """What that point contributes."""
    weight = math.prod((node.weight for node in corner), start=jnp.asarray(1.0))
    return _values(image, corner, background) * weight
