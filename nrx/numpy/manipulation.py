"""Shapes: reshaping, moving and adding axes, broadcasting, reversing, and changes of dtype."""

from collections.abc import Sequence
from operator import index
from typing import Any

from nrx import lax
from nrx.core.array import Array, ConcreteArray, move
from nrx.core.array import asarray as core_asarray
from nrx.core.backend import Device, find_device
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, AxisError, ShapeError
from nrx.core.shapes import broadcast_shapes as _broadcast_shapes
from nrx.core.shapes import canonical_axes, canonical_axis, canonical_shape, show, without
from nrx.core.shapes import size as count_of
from nrx.numpy.promotion import as_arrays, broadcast


def shape(a: Any) -> tuple[int, ...]:
    """The length of each axis."""
    return core_asarray(a).shape


def ndim(a: Any) -> int:
    """The number of axes."""
    return core_asarray(a).ndim


def size(a: Any, axis: int | None = None) -> int:
    """The number of elements, or the length of an axis."""
    x = core_asarray(a)
    return x.size if axis is None else x.shape[canonical_axis(axis, x.ndim)]


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Device | str | None = None) -> Array:
    """The array with its elements converted."""
    out = lax.convert_element_type(x, canonical_dtype(float if dtype is None else dtype))
    if device is None or not isinstance(out, ConcreteArray):
        return out
    target = find_device(device)
    return ConcreteArray(move(out, target), out.aval, target, committed=True)


# Reshaping


def reshape(a: Any, shape: Any = None, order: str = "C", *, copy: bool | None = None) -> Array:
    """The same elements in another shape; one length may be -1, and is then computed."""
    (x,) = as_arrays("reshape", a)
    target = _completed(x, shape)
    if order == "F":
        return lax.transpose(lax.reshape(lax.transpose(x, range(x.ndim)[::-1]), target[::-1]), range(len(target))[::-1])
    if order not in ("C", "A"):
        raise ArgumentError(f"reshape: order {order!r} is not supported", fix='use "C" or "F"')
    return lax.reshape(x, target)


def _completed(x: Array, shape: Any) -> tuple[int, ...]:
    """`shape` with its -1 computed."""
    dims = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    open_at = [i for i, dim in enumerate(dims) if isinstance(dim, int) and dim == -1]
    if len(open_at) > 1:
        raise ShapeError(f"reshape to {show(dims)}: only one length can be -1")
    if not open_at:
        return canonical_shape(dims)
    known = canonical_shape(without(dims, open_at))
    rest = count_of(known)
    if not rest or x.size % rest:
        raise ShapeError(
            f"an array of shape {show(x.shape)}, {x.size} elements, does not fit into shape {show(dims)}",
            fix="the product of the other lengths must divide the number of elements",
        )
    return (*known[: open_at[0]], x.size // rest, *known[open_at[0] :])


def ravel(a: Any, order: str = "C") -> Array:
    """All elements along one axis."""
    return reshape(a, (-1,), order) if core_asarray(a).size else reshape(a, (0,), order)


def expand_dims(a: Any, axis: Any) -> Array:
    """The array with axes of length 1 inserted, so that they stand at `axis` of the result."""
    (x,) = as_arrays("expand_dims", a)
    return lax.expand_dims(x, tuple(axis) if isinstance(axis, Sequence) else (axis,))


def squeeze(a: Any, axis: Any = None) -> Array:
    """The array without axes of length 1: those named, or all of them."""
    (x,) = as_arrays("squeeze", a)
    if axis is None:
        return lax.reshape(x, tuple(n for n in x.shape if n != 1))
    return lax.squeeze(x, canonical_axes(axis, x.ndim))


def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least 1 axis."""
    return _each(arys, lambda x: x if x.ndim else lax.reshape(x, (1,)))


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least 2 axes; new ones come first."""
    return _each(arys, lambda x: x if x.ndim >= 2 else lax.reshape(x, (1,) * (2 - x.ndim) + x.shape))


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least 3 axes: a vector of n becomes (1, n, 1), a matrix (m, n) becomes (m, n, 1)."""

    def extended(x: Array) -> Array:
        targets = {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}
        return lax.reshape(x, targets[x.ndim]) if x.ndim < 3 else x

    return _each(arys, extended)


def _each(arys: Sequence[Any], function: Any) -> Any:
    found = [function(core_asarray(x)) for x in arys]
    return found[0] if len(found) == 1 else found


# Moving axes


def transpose(a: Any, axes: Any = None) -> Array:
    """The axes reversed, or permuted: axis i of the result is axis `axes[i]` of the array."""
    (x,) = as_arrays("transpose", a)
    return lax.transpose(x, range(x.ndim)[::-1] if axes is None else axes)


def permute_dims(a: Any, /, axes: Any) -> Array:
    """The axes permuted: axis i of the result is axis `axes[i]` of the array."""
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Array:
    """The last two axes exchanged."""
    (array,) = as_arrays("matrix_transpose", x)
    if array.ndim < 2:
        raise ShapeError(f"matrix_transpose needs an array of at least 2 axes, got shape {show(array.shape)}")
    return swapaxes(array, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """Two axes exchanged."""
    (x,) = as_arrays("swapaxes", a)
    order = list(range(x.ndim))
    i, j = canonical_axis(axis1, x.ndim), canonical_axis(axis2, x.ndim)
    order[i], order[j] = j, i
    return lax.transpose(x, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """Axes moved to other places, the others keeping their order."""
    (x,) = as_arrays("moveaxis", a)
    sources, targets = canonical_axes(source, x.ndim, "source"), canonical_axes(destination, x.ndim, "destination")
    if len(sources) != len(targets):
        raise AxisError(f"moveaxis: {len(sources)} source axes and {len(targets)} destinations")
    order = list(without(range(x.ndim), sources))
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return lax.transpose(x, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """An axis moved so that it stands before `start`."""
    (x,) = as_arrays("rollaxis", a)
    axis = canonical_axis(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return moveaxis(x, axis, start - (start > axis))


# Broadcasting


def broadcast_to(array: Any, shape: Any) -> Array:
    """The array stretched to `shape`: axes, aligned at the last, have that length or 1."""
    (x,) = as_arrays("broadcast_to", array)
    target = canonical_shape(shape)
    if _broadcasts(x.shape, target):
        return lax.broadcast_in_dim(x, target, range(len(target) - x.ndim, len(target)))
    raise ShapeError(
        f"cannot broadcast shape {show(x.shape)} to {show(target)}",
        fix="lengths, counted from the last, must be equal or 1; insert axes with x[:, None]",
    )


def _broadcasts(shape: tuple, target: tuple) -> bool:
    aligned = zip(shape[::-1], target[::-1], strict=False)
    return len(shape) <= len(target) and all(have in (1, need) for have, need in aligned)


def broadcast_arrays(*args: Any) -> list[Array]:
    """Arrays stretched to the shape they have together."""
    return broadcast(as_arrays("broadcast_arrays", *args)) if args else []


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together."""
    return _broadcast_shapes(*map(canonical_shape, shapes))


# Reversing and rolling


def flip(m: Any, axis: Any = None) -> Array:
    """The elements in reverse order along axes."""
    (x,) = as_arrays("flip", m)
    return lax.rev(x, canonical_axes(axis, x.ndim))


def fliplr(m: Any) -> Array:
    """The elements in reverse order along axis 1."""
    return flip(m, 1)


def flipud(m: Any) -> Array:
    """The elements in reverse order along axis 0."""
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """The plane of two axes turned by k right angles, from the first axis towards the second."""
    (x,) = as_arrays("rot90", m)
    if len(axes) != 2:
        raise ArgumentError(f"rot90 turns two axes, got {axes}")
    first, second = canonical_axes(tuple(axes), x.ndim)
    k = index(k) % 4
    if k == 2:
        return lax.rev(x, [first, second])
    if k == 1:
        return swapaxes(lax.rev(x, [second]), first, second)
    return lax.rev(swapaxes(x, first, second), [second]) if k == 3 else x


def roll(a: Any, shift: Any, axis: Any = None) -> Array:
    """The elements moved along axes by `shift` places; those that leave at the end return at the beginning."""
    (x,) = as_arrays("roll", a)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = axis if isinstance(axis, Sequence) else (axis,)
    shifts = shift if isinstance(shift, Sequence) else (shift,) * len(axes)
    if len(shifts) == 1 and len(axes) > 1:
        shifts = shifts * len(axes)
    if len(axes) == 1 and len(shifts) > 1:
        axes = tuple(axes) * len(shifts)
    if len(axes) != len(shifts):
        raise ArgumentError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    for places, at in zip(shifts, axes, strict=True):
        x = _rolled(x, places, canonical_axis(at, x.ndim))
    return x


def _rolled(x: Array, shift: Any, axis: int) -> Array:
    length = x.shape[axis]
    if not length:
        return x
    if isinstance(shift, Array):
        # The length of a slice must be known, its start need not be.
        doubled = lax.concatenate([x, x], axis)
        return lax.dynamic_slice_in_dim(doubled, lax.sub(length, _modulo(shift, length)), length, axis)
    cut = length - index(shift) % length
    parts = [lax.slice_in_dim(x, cut, length, axis=axis), lax.slice_in_dim(x, 0, cut, axis=axis)]
    return lax.concatenate(parts, axis)


def _modulo(shift: Array, length: int) -> Array:
    left = lax.rem(shift, length)
    return lax.select(lax.lt(left, 0), lax.add(left, length), left)
