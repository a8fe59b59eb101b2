"""The layouts of a convolution's operands, and the params of its primitive with the sizes that follow from them."""

from typing import Any, NamedTuple

import numpy as np

from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.shapes import Shape, show
from nrx.ops.sliding import Padding, window_count


class ConvDimensionNumbers(NamedTuple):
    """Which axes of lhs, rhs and result are which.

    Args:
        lhs_spec: the axes of lhs: (batch, feature, *spatial).
        rhs_spec: the axes of rhs: (output feature, input feature, *spatial).
        out_spec: the axes of the result: (batch, feature, *spatial).
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


def conv_dimension_numbers(lhs_shape: Shape, rhs_shape: Shape, dimension_numbers: Any) -> ConvDimensionNumbers:
    """Layouts given as None, as three strings or as ConvDimensionNumbers, in the last form.

    The strings name axes: N (batch) and C (feature) of lhs and result, O and I (output and input feature) of rhs; any
    other letters are spatial axes, in the order that rhs has them.

    Args:
        lhs_shape, rhs_shape: the shapes of the operands.
        dimension_numbers: the layouts.

    Raises:
        ShapeError: the shapes have not the same number of axes, at least 2, or the layouts are of another.
        ArgumentTypeError: the layouts are none.
        ArgumentError: a string does not name every axis once.

    Dtypes play no part.

    >>> import nrx
    >>> nrx.lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 16), ("NHWC", "HWIO", "NHWC"))
    ConvDimensionNumbers(lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 3, 1, 2))
    """
    ndim = len(lhs_shape)
    if ndim != len(rhs_shape) or ndim < 2:
        raise ShapeError(
            f"a convolution of lhs {show(lhs_shape)} and rhs {show(rhs_shape)} needs arrays of one rank, 2 or more",
            fix="lhs is (batch, features, …) and rhs (output features, input features, …); add axes with expand_dims",
        )
    if dimension_numbers is None:
        axes = tuple(range(ndim))
        return ConvDimensionNumbers(axes, axes, axes)
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return ConvDimensionNumbers(*(tuple(spec) for spec in dimension_numbers))
    if len(dimension_numbers) != 3 or not all(isinstance(spec, str) for spec in dimension_numbers):
        raise ArgumentTypeError(
            f"dimension_numbers must be None, three strings or ConvDimensionNumbers, got {dimension_numbers!r}",
            fix='for example ("NHWC", "HWIO", "NHWC")',
        )
    lhs, rhs, out = dimension_numbers
    space = rhs.replace("O", "").replace("I", "")
    specs = [
        _axes_of(spec, first + space, dimension_numbers) for spec, first in ((lhs, "NC"), (rhs, "OI"), (out, "NC"))
    ]
    if any(len(spec) != ndim for spec in specs):
        raise ShapeError(
            f"dimension_numbers {dimension_numbers} do not fit shapes {show(lhs_shape)} and {show(rhs_shape)}",
            fix=f"name {ndim} axes in each, one letter an axis",
        )
    return ConvDimensionNumbers(*specs)


def _axes_of(spec: str, letters: str, given: Any) -> tuple[int, ...]:
    if sorted(spec) != sorted(letters) or len(set(spec)) != len(spec):
        raise ArgumentError(
            f"dimension_numbers {tuple(given)}: the letters of {spec!r} are not those of {letters!r}",
            fix="name N and C once in the first and the last, O and I in the second, and the same spatial axes in all",
        )
    return tuple(spec.index(letter) for letter in letters)


class ConvParams(NamedTuple):
    """The params of the primitive."""

    window_strides: Shape
    padding: Padding
    lhs_dilation: Shape
    rhs_dilation: Shape
    dimension_numbers: ConvDimensionNumbers
    feature_group_count: int
    batch_group_count: int
    precision: Any
    preferred_element_type: np.dtype | None

    @property
    def groups(self) -> int:
        return self.feature_group_count * self.batch_group_count

    @property
    def is_padded(self) -> bool:
        return any(map(any, self.padding)) or any(d != 1 for d in self.lhs_dilation)

    @property
    def is_spread(self) -> bool:
        """Whether there are zeros between the elements of lhs, and no steps: then the result falls apart into parts
        with windows that have no zeros in them."""
        has_steps = any(step != 1 for step in (*self.window_strides, *self.rhs_dilation))
        return any(d != 1 for d in self.lhs_dilation) and not has_steps

    def is_of_vectors(self, kernel: Any) -> bool:
        """Whether vectors of one feature are convolved, step by step; then the padding is not multiplied."""
        lhs, rhs, out = self.dimension_numbers
        steps = (*self.window_strides, *self.lhs_dilation, *self.rhs_dilation)
        return steps == (1, 1, 1) and lhs[2] == out[2] == 2 and kernel.shape[rhs[1]] == 1

    def spatial(self, x: Any, kernel: Any) -> tuple[Shape, Shape]:
        """The spatial dimensions of both operands."""
        lhs, rhs, _ = self.dimension_numbers
        return tuple(x.shape[axis] for axis in lhs[2:]), tuple(kernel.shape[axis] for axis in rhs[2:])

    def counts(self, x: Any, kernel: Any) -> Shape:
        """The spatial dimensions of the result."""
        axes = zip(
            *self.spatial(x, kernel),
            self.window_strides,
            self.padding,
            self.lhs_dilation,
            self.rhs_dilation,
            strict=True,
        )
        return tuple(window_count(*axis) for axis in axes)
