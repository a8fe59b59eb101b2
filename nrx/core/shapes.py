"""Shape arithmetic.

A shape is a tuple of dimensions. A dimension is an int, or an object that behaves as one under `+ - * //` and `==`;
code that works on shapes goes through these helpers and Python's operators only, so that a dimension may stay symbolic.
"""

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from nrx.core.errors import ArgumentTypeError, AxisError, ShapeError

Shape = tuple[Any, ...]


def size(shape: Shape) -> Any:
    """The number of elements."""
    total: Any = 1
    for dim in shape:
        total = total * dim
    return total


def show(shape: Shape) -> str:
    """`(3, 4)` as it is printed in messages."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def canonical_shape(shape: Any) -> Shape:
    """A shape given as an int or a sequence of ints, as a tuple of non-negative ints."""
    is_sequence = isinstance(shape, Iterable) and getattr(shape, "ndim", None) != 0  # a 0-d array is an int
    dims = shape if is_sequence else (shape,)
    try:
        result = tuple(index(dim) for dim in dims)
    except TypeError as error:
        if hasattr(error, "fix"):
            raise
        raise ArgumentTypeError(
            f"a shape is an int or a tuple of ints, got {shape!r}", fix="convert the dimensions: int(n)"
        ) from None
    if any(dim < 0 for dim in result):
        raise ShapeError(
            f"dimensions must not be negative, got shape {show(result)}", fix="only nrx.numpy.reshape takes a -1"
        )
    return result


def as_int(value: Any, what: str, fix: str = "convert it: int(...)") -> int:
    """An integer that the caller must know, of whatever integer type; `what` names it."""
    try:
        return index(value)
    except TypeError as error:
        if hasattr(error, "fix"):
            raise
        raise ArgumentTypeError(f"{what} must be an integer, got {value!r}", fix=fix) from None


def canonical_axis(axis: Any, ndim: int, name: str = "axis", of: str = "an array") -> int:
    """`axis` counted from the front; negative ones count from the back."""
    result = as_int(axis, name, "number the axes from 0")
    if not -ndim <= result < ndim:
        raise AxisError(
            f"{name} {result} is out of range for {of} of {ndim} dimension{'s' * (ndim != 1)}",
            fix=f"use an axis from {-ndim} to {ndim - 1}" if ndim else "a 0-d array has no axes",
        )
    return result % ndim


def canonical_axes(axes: Any, ndim: int, name: str = "axis", of: str = "an array") -> tuple[int, ...]:
    """Axes given as None (all), an int or a sequence, counted from the front, in the order given."""
    if axes is None:
        return tuple(range(ndim))
    several = isinstance(axes, Sequence) and not isinstance(axes, str)
    result = tuple(canonical_axis(a, ndim, name, of) for a in (axes if several else (axes,)))
    if len(set(result)) != len(result):
        raise AxisError(f"{name} {axes} names the same axis twice", fix="name each axis once")
    return result


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that NumPy's broadcasting gives to arrays of these shapes.

    Raises:
        ShapeError: they cannot be broadcast together.

    Dtypes play no part.

    >>> import nrx
    >>> nrx.lax.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    ndim = max((len(shape) for shape in shapes), default=0)
    result: list[Any] = [1] * ndim
    for shape in shapes:
        for position, dim in enumerate(shape, ndim - len(shape)):
            if result[position] == 1:
                result[position] = dim
            elif dim not in (1, result[position]):
                raise ShapeError(
                    f"shapes {' and '.join(map(show, shapes))} cannot be broadcast together",
                    fix="dimensions, counted from the last, must be equal or 1; insert axes with x[:, None]",
                )
    return tuple(result)


def without(items: Sequence[Any], positions: Iterable[int]) -> tuple[Any, ...]:
    """`items` less those at `positions`."""
    dropped = set(positions)
    return tuple(item for i, item in enumerate(items) if i not in dropped)


def inserted(items: Sequence[Any], position: int, item: Any) -> tuple[Any, ...]:
    """`items` with `item` inserted so that it stands at `position`."""
    return (*items[:position], item, *items[position:])


def inverse_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `permutation`."""
    result = [0] * len(permutation)
    for position, axis in enumerate(permutation):
        result[axis] = position
    return tuple(result)
