"""Shapes: reshaping, moving and adding axes, broadcasting, reversing, and changes of dtype."""

from collections.abc import Sequence
from operator import index
from typing import Any

from nrx import lax
from nrx.core.array import Array
from nrx.core.array import asarray as core_asarray
from nrx.core.errors import ArgumentError, AxisError, ShapeError
from nrx.core.shapes import broadcast_shapes as _broadcast_shapes
from nrx.core.shapes import canonical_axes, canonical_axis, canonical_shape, show, without
from nrx.core.shapes import size as count_of
from nrx.numpy.data import DeviceLike, asarray, placed
from nrx.numpy.planning import Planned
from nrx.numpy.promotion import broadcast
from nrx.ops.common import as_arrays


def shape(a: Any) -> tuple[int, ...]:
    """The length of each axis.

    Args:
        a: an array or number.

    Returns:
        A tuple of ints, whatever the dtype of a.

    >>> jnp.shape(jnp.ones((2, 3)))
    (2, 3)
    """
    return asarray(a).shape


def ndim(a: Any) -> int:
    """The number of axes.

    Args:
        a: an array or number.

    Returns:
        An int, whatever the dtype of a.

    >>> jnp.ndim(jnp.ones((2, 3)))
    2
    """
    return asarray(a).ndim


def size(a: Any, axis: int | None = None) -> int:
    """The number of elements, or the length of an axis.

    Args:
        a: an array or number.
        axis: an axis, or None for all.

    Returns:
        An int, whatever the dtype of a.

    >>> jnp.size(jnp.ones((2, 3))), jnp.size(jnp.ones((2, 3)), 1)
    (6, 3)
    """
    x = asarray(a)
    return x.size if axis is None else x.shape[canonical_axis(axis, x.ndim)]


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: DeviceLike = None) -> Array:
    """The array with its elements converted.

    Args:
        x: an array.
        dtype: the dtype to convert to; None is Python's float.
        copy: without effect.
        device: where to put the result.

    Returns:
        An array of the shape of x. Floats become integers by truncation, NaN becomes 0, what is out of range the
        nearest integer there is; complex numbers become real by leaving out the imaginary part.

    >>> jnp.astype(jnp.array([1.7, -1.7, 1e20]), jnp.int32)
    Array([         1,         -1, 2147483647], dtype=int32)
    """
    return placed(_astype(x, dtype=float if dtype is None else dtype), device)


@Planned
def _astype(x: Any, *, dtype: Any) -> Array:
    return lax.convert_element_type(x, dtype)


# Reshaping


def reshape(
    a: Any, shape: Any = None, order: str = "C", *, copy: bool | None = None, out_sharding: Any = None
) -> Array:
    """The same elements in another shape.

    Args:
        a: an array.
        shape: an int or a tuple of ints, one of which may be -1.
        order: "C" runs through the elements with the last axis fastest, "F" with the first.
        copy: without effect.

    Returns:
        An array of that shape, of the dtype of a.

    Raises:
        ShapeError: the numbers of elements differ.

    >>> jnp.reshape(jnp.arange(6), (2, -1))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    return _reshape(a, shape=shape, order=order)


@Planned
def _reshape(a: Any, *, shape: Any, order: str) -> Array:
    (x,) = as_arrays("reshape", a)
    target = _completed(x, shape)
    if order in ("C", "A"):
        return lax.reshape(x, target)
    if order != "F":
        raise ArgumentError(f"reshape: order {order!r} is not supported", fix='use "C" or "F"')
    return lax.transpose(lax.reshape(lax.transpose(x, range(x.ndim)[::-1]), target[::-1]), range(len(target))[::-1])


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


def ravel(a: Any, order: str = "C", *, out_sharding: Any = None) -> Array:
    """All elements along one axis.

    Args:
        a: an array.
        order: as for reshape.

    Returns:
        An array of shape `(a.size,)`, of the dtype of a.

    >>> jnp.ravel(jnp.array([[1, 2], [3, 4]]))
    Array([1, 2, 3, 4], dtype=int32)
    """
    (x,) = as_arrays("ravel", a)
    return reshape(x, (x.size,), order)


def expand_dims(a: Any, axis: Any) -> Array:
    """The array with axes of length 1 inserted, so that they stand at `axis` of the result.

    Args:
        a: an array.
        axis: an int or a tuple of ints, counted in the result.

    Returns:
        An array of the same elements and dtype.

    >>> jnp.expand_dims(jnp.ones((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    (x,) = as_arrays("expand_dims", a)
    return lax.expand_dims(x, tuple(axis) if isinstance(axis, Sequence) else (axis,))


def squeeze(a: Any, axis: Any = None) -> Array:
    """The array without axes of length 1: those named, or all of them.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all of length 1.

    Returns:
        An array of the same elements and dtype.

    Raises:
        ShapeError: an axis named has another length.

    >>> jnp.squeeze(jnp.ones((1, 2, 1))).shape
    (2,)
    """
    (x,) = as_arrays("squeeze", a)
    if axis is None:
        return lax.reshape(x, tuple(n for n in x.shape if n != 1))
    return lax.squeeze(x, canonical_axes(axis, x.ndim))


def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least 1 axis.

    Args:
        arys: arrays or numbers.

    Returns:
        An array of the dtype of its argument, or for several a list of them.

    >>> jnp.atleast_1d(3.0)
    Array([3.], dtype=float32, weak_type=True)
    """
    return _each(arys, lambda x: x if x.ndim else lax.reshape(x, (1,)))


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least 2 axes; new ones come first.

    Args:
        arys: arrays or numbers.

    Returns:
        An array of the dtype of its argument, or for several a list of them.

    >>> jnp.atleast_2d(jnp.arange(3))
    Array([[0, 1, 2]], dtype=int32)
    """
    return _each(arys, lambda x: x if x.ndim >= 2 else lax.reshape(x, (1,) * (2 - x.ndim) + x.shape))


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least 3 axes: a vector of n becomes (1, n, 1), a matrix (m, n) becomes (m, n, 1).

    Args:
        arys: arrays or numbers.

    Returns:
        An array of the dtype of its argument, or for several a list of them.

    >>> jnp.atleast_3d(jnp.ones((2, 3))).shape
    (2, 3, 1)
    """

    def extended(x: Array) -> Array:
        targets = {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}
        return lax.reshape(x, targets[x.ndim]) if x.ndim < 3 else x

    return _each(arys, extended)


def _each(arys: Sequence[Any], function: Any) -> Any:
    found = [function(core_asarray(x)) for x in arys]
    return found[0] if len(found) == 1 else found


# Moving axes


def transpose(a: Any, axes: Any = None) -> Array:
    """The axes reversed, or permuted: axis i of the result is axis `axes[i]` of the array.

    Args:
        a: an array.
        axes: a permutation of the axes; None reverses them.

    Returns:
        An array of the same dtype, its lengths permuted likewise.

    >>> jnp.transpose(jnp.ones((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    return _transpose(a, axes=None if axes is None else tuple(axes))


@Planned
def _transpose(a: Any, *, axes: tuple[int, ...] | None) -> Array:
    (x,) = as_arrays("transpose", a)
    return lax.transpose(x, range(x.ndim)[::-1] if axes is None else axes)


def permute_dims(a: Any, /, axes: Any) -> Array:
    """The axes permuted: axis i of the result is axis `axes[i]` of the array.

    Args:
        a: an array.
        axes: a permutation of the axes.

    Returns:
        An array of the same dtype, its lengths permuted likewise.

    >>> jnp.permute_dims(jnp.ones((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Array:
    """The last two axes exchanged.

    Args:
        x: an array of at least 2 axes.

    Returns:
        An array of shape `(*x.shape[:-2], x.shape[-1], x.shape[-2])`, of the dtype of x.

    Raises:
        ShapeError: x has less than 2 axes.

    >>> jnp.matrix_transpose(jnp.ones((2, 3, 4))).shape
    (2, 4, 3)
    """
    (array,) = as_arrays("matrix_transpose", x)
    if array.ndim < 2:
        raise ShapeError(f"matrix_transpose needs an array of at least 2 axes, got shape {show(array.shape)}")
    return swapaxes(array, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """Two axes exchanged.

    Args:
        a: an array.
        axis1: an axis.
        axis2: an axis.

    Returns:
        An array of the same dtype, the lengths of the two axes exchanged.

    >>> jnp.swapaxes(jnp.ones((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    (x,) = as_arrays("swapaxes", a)
    order = list(range(x.ndim))
    i, j = canonical_axis(axis1, x.ndim), canonical_axis(axis2, x.ndim)
    order[i], order[j] = j, i
    return lax.transpose(x, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """Axes moved to other places, the others keeping their order.

    Args:
        a: an array.
        source: an axis or a tuple of axes.
        destination: their places in the result.

    Returns:
        An array of the same dtype, its lengths permuted likewise.

    Raises:
        AxisError: not as many destinations as sources, or axes that the array does not have.

    >>> jnp.moveaxis(jnp.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    (x,) = as_arrays("moveaxis", a)
    sources, targets = canonical_axes(source, x.ndim, "source"), canonical_axes(destination, x.ndim, "destination")
    if len(sources) != len(targets):
        raise AxisError(f"moveaxis: {len(sources)} source axes and {len(targets)} destinations")
    order = list(without(range(x.ndim), sources))
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return lax.transpose(x, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """An axis moved so that it stands before `start`.

    Args:
        a: an array.
        axis: the axis to move.
        start: the axis before which it will stand.

    Returns:
        An array of the same dtype, its lengths permuted likewise.

    >>> jnp.rollaxis(jnp.ones((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    (x,) = as_arrays("rollaxis", a)
    axis = canonical_axis(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return moveaxis(x, axis, start - (start > axis))


# Broadcasting


def broadcast_to(array: Any, shape: Any, *, out_sharding: Any = None) -> Array:
    """The array stretched to `shape`: axes, aligned at the last, have that length or 1.

    Args:
        array: an array.
        shape: an int or a tuple of ints.

    Returns:
        An array of that shape, of the dtype of `array`.

    Raises:
        ShapeError: the array does not broadcast to it.

    >>> jnp.broadcast_to(jnp.arange(3), (2, 3))
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
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
    """Arrays stretched to the shape they have together.

    Args:
        args: arrays.

    Returns:
        A list of arrays of one shape, each in its own dtype.

    Raises:
        ShapeError: they do not broadcast.

    >>> [x.shape for x in jnp.broadcast_arrays(jnp.ones(3), jnp.ones((2, 1)))]
    [(2, 3), (2, 3)]
    """
    return broadcast(as_arrays("broadcast_arrays", *args)) if args else []


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together.

    Args:
        shapes: shapes, tuples of ints.

    Returns:
        A shape, a tuple of ints.

    Raises:
        ShapeError: they do not broadcast.

    >>> jnp.broadcast_shapes((3,), (2, 1))
    (2, 3)
    """
    return _broadcast_shapes(*map(canonical_shape, shapes))


# Reversing and rolling


def flip(m: Any, axis: Any = None) -> Array:
    """The elements in reverse order along axes.

    Args:
        m: an array.
        axis: an axis or a tuple of axes; None means all.

    Returns:
        An array of the same shape and dtype.

    >>> jnp.flip(jnp.array([[1, 2], [3, 4]]), 1)
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    (x,) = as_arrays("flip", m)
    return lax.rev(x, canonical_axes(axis, x.ndim))


def fliplr(m: Any) -> Array:
    """The elements in reverse order along axis 1.

    Args:
        m: an array of at least 2 axes.

    Returns:
        An array of the same shape and dtype.

    >>> jnp.fliplr(jnp.array([[1, 2], [3, 4]]))
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    return flip(m, 1)


def flipud(m: Any) -> Array:
    """The elements in reverse order along axis 0.

    Args:
        m: an array.

    Returns:
        An array of the same shape and dtype.

    >>> jnp.flipud(jnp.array([[1, 2], [3, 4]]))
    Array([[3, 4],
           [1, 2]], dtype=int32)
    """
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """The plane of two axes turned by k right angles, from the first axis towards the second.

    Args:
        m: an array of at least 2 axes.
        k: the number of right angles.
        axes: the plane, two axes.

    Returns:
        An array of the same dtype; if k is odd, the lengths of the two axes are exchanged.

    Raises:
        ArgumentError: not two axes.

    >>> jnp.rot90(jnp.array([[1, 2], [3, 4]]))
    Array([[2, 4],
           [1, 3]], dtype=int32)
    """
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
    """The elements moved along axes by `shift` places; those that leave at the end return at the beginning.

    Args:
        a: an array.
        shift: the number of places, or one for each axis; may be traced.
        axis: an axis or a tuple of axes; None means the flat array.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ArgumentError: not one shift for each axis.

    >>> jnp.roll(jnp.arange(5), 2)
    Array([3, 4, 0, 1, 2], dtype=int32)
    """
    (x,) = as_arrays("roll", a)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    shifts = tuple(shift) if isinstance(shift, Sequence) else (shift,)
    shifts, axes = (v * max(len(shifts), len(axes)) if len(v) == 1 else v for v in (shifts, axes))
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
