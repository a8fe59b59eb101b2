"""Products of ragged parts: an axis is cut into groups of lengths that are known only when the program runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nrx.control import scan
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, AxisError, ShapeError
from nrx.core.shapes import show
from nrx.ops.arithmetic import add, sub
from nrx.ops.common import INTEGERS, as_arrays, check_dtype
from nrx.ops.cumulative import cumsum
from nrx.ops.dot import dot_general
from nrx.ops.logic import bitwise_and, ge, gt, select
from nrx.ops.structural import broadcast_in_dim, broadcasted_iota, full, full_like, transpose
from nrx.transforms import ShapeDtypeStruct, eval_shape

#: ((contracted axes of lhs, of rhs), (batch axes of lhs, of rhs)).
DotDimensionNumbers = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]


@dataclass(frozen=True)
class RaggedDotDimensionNumbers:
    """Which axes of a ragged product are which.

    Args:
        dot_dimension_numbers: the contracted and the batch axes, as of `dot_general`.
        lhs_ragged_dimensions: the one axis of lhs that is cut into groups.
        rhs_group_dimensions: the axis of rhs that has a part for each group, where the ragged axis is neither
            contracted nor a batch axis; else none.

    >>> import nrx
    >>> nrx.lax.RaggedDotDimensionNumbers((([1], [1]), ([], [])), [0], [0]).lhs_ragged_dimensions
    (0,)
    """

    dot_dimension_numbers: DotDimensionNumbers
    lhs_ragged_dimensions: Sequence[int]
    rhs_group_dimensions: Sequence[int]

    def __post_init__(self) -> None:
        pairs = tuple(tuple(map(tuple, pair)) for pair in self.dot_dimension_numbers)
        object.__setattr__(self, "dot_dimension_numbers", pairs)
        for name in ("lhs_ragged_dimensions", "rhs_group_dimensions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The rows of a matrix, in groups of given lengths one after the other, times a matrix of each group.

    Args:
        lhs: an array of shape (m, k).
        rhs: an array of shape (groups, k, n), of the same dtype.
        group_sizes: integers of shape (groups,); rows beyond their sum give zeros.
        precision, preferred_element_type: as of `dot_general`.
        group_offset: not supported.
        out_sharding: has no effect.

    Returns:
        An array of shape (m, n).

    Raises:
        ShapeError: the shapes do not fit.

    >>> import nrx
    >>> weights = nrx.numpy.array([[[1.0]], [[10.0]]])
    >>> nrx.lax.ragged_dot(nrx.numpy.ones((3, 1)), weights, nrx.numpy.array([1, 2])).ravel()
    Array([ 1., 10., 10.], dtype=float32)
    """
    x, weights, sizes = as_arrays("ragged_dot", lhs, rhs, group_sizes)
    fits = (x.ndim, weights.ndim, sizes.ndim) == (2, 3, 1) and weights.shape[:2] == (*sizes.shape, x.shape[1])
    if not fits:
        raise ShapeError(
            f"ragged_dot: shapes {show(x.shape)}, {show(weights.shape)} and {show(sizes.shape)} do not fit",
            fix="give (m, k), (groups, k, n) and (groups,)",
        )
    numbers = RaggedDotDimensionNumbers((([1], [1]), ([], [])), [0], [0])
    return ragged_dot_general(x, weights, sizes, numbers, precision, preferred_element_type, group_offset)


def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The product of `dot_general` where one axis of lhs, the ragged one, falls into groups one after the other.

    If the ragged axis stays in the result, each group is multiplied by a part of rhs of its own. If it is contracted,
    each group gives a product of its own. If it is a batch axis, the groups make no difference.

    Args:
        lhs, rhs: arrays of one dtype.
        group_sizes: integers, of shape (groups,), or with the sizes for each place of the batch axes and of those of
            its kind before the ragged axis: (..., groups). What is beyond the sum of the sizes counts as zeros.
        ragged_dot_dimension_numbers: which axes are which.
        precision, preferred_element_type: as of `dot_general`.
        group_offset: not supported.
        out_sharding: has no effect.

    Returns:
        An array of the shape of the `dot_general`, after an axis of groups where the ragged axis is contracted.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: the dimension numbers do not fit together.

    >>> import nrx
    >>> numbers = nrx.lax.RaggedDotDimensionNumbers((([0], [0]), ([], [])), [0], [])
    >>> x, sizes = nrx.numpy.array([[1.0], [2.0], [3.0]]), nrx.numpy.array([1, 2])
    >>> nrx.lax.ragged_dot_general(x, x, sizes, numbers).ravel()  # x.T @ x of each group
    Array([ 1., 13.], dtype=float32)
    """
    if group_offset is not None:
        raise ArgumentError("ragged_dot_general: group_offset is not supported", fix="leave it out")
    x, y, sizes = as_arrays("ragged_dot_general", lhs, rhs, group_sizes)
    check_dtype("ragged_dot_general: group_sizes", sizes.aval, INTEGERS)
    contracted, batch = dimensions = ragged_dot_dimension_numbers.dot_dimension_numbers
    axis, outer = _ragged_axis(x, ragged_dot_dimension_numbers)

    def product(left: Array, right: Array) -> Array:
        return dot_general(left, right, dimensions, precision, preferred_element_type)

    if axis in batch[0]:
        return product(x, y)
    sizes = _spread(sizes, tuple(x.shape[i] for i in outer))
    ends = cumsum(sizes, len(outer))
    bounds = [transpose(bound, (len(outer), *range(len(outer)))) for bound in (sub(ends, sizes), ends)]
    if axis in contracted[0]:
        partner = dict(zip((*contracted[0], *batch[0]), (*contracted[1], *batch[1]), strict=True))

        def of_group(_: None, group: list[Array]) -> tuple[None, Array]:
            right = _inside(y, partner[axis], [partner[i] for i in outer], *group)
            return None, product(_inside(x, axis, outer, *group), right)

        return scan(of_group, None, bounds)[1]
    group_axis, parts = _parts(y, sizes.shape[-1], ragged_dot_dimension_numbers)
    shifted = tuple(tuple(i - (i > group_axis) for i in axes) for axes in (contracted[1], batch[1]))
    dimensions = ((contracted[0], shifted[0]), (batch[0], shifted[1]))

    def added(total: Array, group: tuple[list[Array], Array]) -> tuple[Array, None]:
        return add(total, product(_inside(x, axis, outer, *group[0]), group[1])), None

    part = ShapeDtypeStruct(parts.shape[1:], parts.dtype)
    result = eval_shape(product, x, part)
    return scan(added, full(result.shape, 0, result.dtype), (bounds, parts))[0]


def _ragged_axis(x: Array, numbers: RaggedDotDimensionNumbers) -> tuple[int, Sequence[int]]:
    """The ragged axis, and those that the sizes of the groups depend on: of batch, and of its kind before it."""
    if len(numbers.lhs_ragged_dimensions) != 1:
        raise ArgumentError(f"ragged_dot_general: lhs has one ragged axis, got {numbers.lhs_ragged_dimensions}")
    [axis] = numbers.lhs_ragged_dimensions
    (contracted, _), (batch, _) = numbers.dot_dimension_numbers
    if not 0 <= axis < x.ndim:
        raise AxisError(f"ragged_dot_general: lhs of shape {show(x.shape)} has no ragged axis {axis}")
    free = [i for i in range(x.ndim) if i not in (*contracted, *batch)]
    count = len(numbers.rhs_group_dimensions)
    if count != (axis in free):
        raise ArgumentError(
            f"ragged_dot_general: {count} rhs_group_dimensions do not fit the ragged axis {axis}",
            fix="rhs has one axis of groups if the ragged axis of lhs is neither contracted nor of batch, else none",
        )
    kind = free if axis in free else contracted
    return axis, (*batch, *kind[: kind.index(axis)]) if axis not in batch else ()


def _spread(sizes: Array, outer: Sequence[int]) -> Array:
    """The sizes of the groups, of shape (*outer, groups)."""
    if sizes.ndim == 1:
        return broadcast_in_dim(sizes, (*outer, *sizes.shape), (len(outer),))
    if sizes.shape[:-1] != tuple(outer) or sizes.ndim == 0:
        raise ShapeError(
            f"ragged_dot_general: group_sizes of shape {show(sizes.shape)} do not fit",
            fix=f"give (groups,), or (*{show(tuple(outer))}, groups)",
        )
    return sizes


def _parts(y: Array, groups: int, numbers: RaggedDotDimensionNumbers) -> tuple[int, Array]:
    """The axis of rhs that has a part for each group, and rhs with it in front."""
    (_, contracted), (_, batch) = numbers.dot_dimension_numbers
    [axis] = numbers.rhs_group_dimensions
    if axis in (*contracted, *batch) or not 0 <= axis < y.ndim or y.shape[axis] != groups:
        raise ShapeError(
            f"ragged_dot_general: axis {axis} of rhs {show(y.shape)} does not have a part for each of {groups} groups",
            fix="rhs_group_dimensions names an axis of this length that is neither contracted nor of batch",
        )
    return axis, transpose(y, (axis, *(i for i in range(y.ndim) if i != axis)))


def _inside(x: Array, axis: int, outer: Sequence[int], start: Array, end: Array) -> Array:
    """`x` with zeros where the position on an axis is not in a range, which may depend on the axes `outer`."""
    order = sorted(range(len(outer)), key=outer.__getitem__)
    placement = [outer[i] for i in order]
    first, last = (broadcast_in_dim(transpose(bound, order), x.shape, placement) for bound in (start, end))
    place = broadcasted_iota(start.dtype, x.shape, axis)
    return select(bitwise_and(ge(place, first), gt(last, place)), x, full_like(x, 0))
