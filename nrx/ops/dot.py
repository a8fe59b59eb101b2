"""Products that contract axes: dot_general and its special forms."""

import enum
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear
from nrx.core.dims import capacity
from nrx.core.errors import ArgumentError, ArgumentTypeError, AxisError, DTypeError, ShapeError
from nrx.core.loops import Builder, Expr, Reader
from nrx.core.primitive import Primitive
from nrx.core.program import Program, Var
from nrx.core.shapes import Shape, canonical_axes, inverse_permutation, show, size, without
from nrx.ops import accumulation
from nrx.ops.arithmetic import add
from nrx.ops.common import NOT_YET_LOWERED, NUMBERS, as_arrays, check_dtype, equation
from nrx.ops.contraction import contraction, is_packed
from nrx.ops.moves import row_major_strides
from nrx.ops.product_axes import COLUMN, ROW, Axis, computed
from nrx.ops.rules import elementwise_jvp
from nrx.ops.split_products import sums_of_products
from nrx.ops.structural import convert_element_type_p, transpose

dot_general_p = Primitive("dot_general")

Pairs = tuple[tuple[int, ...], tuple[int, ...]]
"""Axes of lhs, and the axes of rhs they meet."""


class Precision(enum.Enum):
    """How exactly float32 is multiplied; on the CPU it makes a difference to convolutions only."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    @classmethod
    def _missing_(cls, value: object) -> "Precision | None":
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None


PrecisionLike = str | Precision | tuple[str, str] | tuple[Precision, Precision] | None
"""What names a precision; of a pair, one an operand."""

# Public functions


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """The product of `lhs` and `rhs` summed over contracting axes, one product for each element of the batch axes.

    `dimension_numbers` is ((lhs contracting, rhs contracting), (lhs batch, rhs batch)). The result has the batch axes,
    the free axes of lhs, then those of rhs. Narrow floats accumulate in float32; integers wrap. The dtype is that of
    the operands, or `preferred_element_type`, with which the operands may be of two floating dtypes.

    `precision` makes no difference.

    >>> import nrx
    >>> nrx.lax.dot_general(nrx.numpy.ones((5, 2, 3)), nrx.numpy.ones((5, 4, 3)), (((2,), (2,)), ((0,), (0,)))).shape
    (5, 2, 4)
    """
    lhs, rhs = as_arrays("dot_general", lhs, rhs)
    numbers = _canonical_numbers(dimension_numbers, lhs.ndim, rhs.ndim)
    return _dot_general(lhs, rhs, numbers, precision, preferred_element_type)


def dot(
    lhs: Any,
    rhs: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    dimension_numbers: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The product of vectors and matrices: the last axis of `lhs` with the first of `rhs`.

    `precision` makes no difference; `preferred_element_type` is the dtype of the result. With `dimension_numbers` it
    is `dot_general`.

    Raises:
        ShapeError: the lengths differ, or an operand is not a vector or a matrix.

    >>> import nrx
    >>> nrx.lax.dot(nrx.numpy.array([[1, 2], [3, 4]]), nrx.numpy.array([1, 10]))
    Array([21, 43], dtype=int32)
    """
    if dimension_numbers is not None:
        return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)
    lhs, rhs = as_arrays("dot", lhs, rhs)
    if not (lhs.ndim in (1, 2) and rhs.ndim in (1, 2) and lhs.shape[-1] == rhs.shape[0]):
        raise ShapeError(
            f"dot: the last axis of shape {show(lhs.shape)} does not meet the first axis of shape {show(rhs.shape)}",
            fix="dot takes vectors and matrices, (n, k) and (k, m): transpose one, or use batch_matmul or dot_general",
        )
    return _dot_general(lhs, rhs, (((lhs.ndim - 1,), (0,)), ((), ())), precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Array:
    """Products of matrices `lhs` (…, m, k) and `rhs` (…, k, n), one for each index of the leading axes, which agree.

    `precision` makes no difference: products are exact to rounding.

    Raises:
        ShapeError: the operands have not the same number of axes, at least 2.

    The result has shape (…, m, n) and the dtype of both.

    >>> import nrx
    >>> nrx.lax.batch_matmul(nrx.numpy.ones((5, 2, 3)), nrx.numpy.ones((5, 3, 4))).shape
    (5, 2, 4)
    """
    lhs, rhs = as_arrays("batch_matmul", lhs, rhs)
    if lhs.ndim < 2 or lhs.ndim != rhs.ndim:
        raise ShapeError(
            f"batch_matmul needs two arrays of one rank, 2 or more, got shapes {show(lhs.shape)} and {show(rhs.shape)}",
            fix="insert axes with expand_dims, or use nrx.numpy.matmul, which broadcasts",
        )
    batch = tuple(range(lhs.ndim - 2))
    return _dot_general(lhs, rhs, (((lhs.ndim - 1,), (lhs.ndim - 2,)), (batch, batch)), precision, None)


def _dot_general(lhs: Array, rhs: Array, numbers: tuple[Pairs, Pairs], precision: Any, preferred: Any) -> Array:
    return dot_general_p.bind(
        lhs,
        rhs,
        dimension_numbers=numbers,
        precision=canonical_precision(precision),
        preferred_element_type=canonical_preferred(lhs.aval, rhs.aval, preferred),
    )


# Arguments


def _canonical_numbers(numbers: Any, lhs_ndim: int, rhs_ndim: int) -> tuple[Pairs, Pairs]:
    try:
        (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = numbers
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"dot_general: dimension_numbers {numbers!r} are not two pairs of tuples",
            fix="give ((lhs contracting, rhs contracting), (lhs batch, rhs batch)), as (((1,), (0,)), ((), ()))",
        ) from None
    return (
        (
            canonical_axes(tuple(lhs_contract), lhs_ndim, "dot_general: lhs contracting axis"),
            canonical_axes(tuple(rhs_contract), rhs_ndim, "dot_general: rhs contracting axis"),
        ),
        (
            canonical_axes(tuple(lhs_batch), lhs_ndim, "dot_general: lhs batch axis"),
            canonical_axes(tuple(rhs_batch), rhs_ndim, "dot_general: rhs batch axis"),
        ),
    )


def canonical_precision(precision: Any) -> Any:
    """None, a Precision, or a pair of them (one an operand), given also by name."""
    if precision is None:
        return None
    if isinstance(precision, list | tuple) and len(precision) == 2:
        return tuple(map(canonical_precision, precision))
    try:
        return Precision(precision)
    except ValueError:
        raise ArgumentError(
            f"unknown precision {precision!r}", fix="use None, 'default', 'high' or 'highest', or a pair of these"
        ) from None


def canonical_preferred(lhs: Aval, rhs: Aval, preferred: Any) -> np.dtype | None:
    """`preferred_element_type` as a dtype; None where it changes nothing."""
    dtype = None if preferred is None else dtypes.canonical_dtype(preferred, lhs.dtype)
    return None if lhs.dtype == rhs.dtype == dtype else dtype


def product_dtype(name: str, lhs: Aval, rhs: Aval, preferred: np.dtype | None) -> np.dtype:
    """The dtype of a product of `lhs` and `rhs`; raises DTypeError where there is none."""
    for aval in (lhs, rhs):
        check_dtype(name, aval, NUMBERS)
    kinds = [_kind(aval.dtype) for aval in (lhs, rhs)]
    if lhs.dtype != rhs.dtype and (preferred is None or kinds != ["floating", "floating"]):
        raise DTypeError(
            f"{name} needs operands of one dtype, got {lhs.dtype} {show(lhs.shape)} and {rhs.dtype} {show(rhs.shape)}",
            fix="convert one with .astype(...), or give two floating dtypes and preferred_element_type",
        )
    if preferred is None:
        return lhs.dtype
    if _kind(preferred) != kinds[0] and (kinds[0], _kind(preferred)) != ("integer", "floating"):
        raise DTypeError(
            f"{name}: the product of {lhs.dtype} cannot be given as {preferred}",
            fix="convert the operands, or the result, with .astype(...)",
        )
    return preferred


def _kind(dtype: np.dtype) -> str:
    if dtypes.is_complex(dtype):
        return "complex"
    return "floating" if dtypes.is_floating(dtype) else dtype.name if dtypes.is_bool(dtype) else "integer"


# impl


def accumulated(dtype: np.dtype, x: Any, y: Any) -> tuple[Any, Any]:
    """Raw operands in the dtype in which their product of dtype `dtype` is computed."""
    wide = computing_dtype(dtype, x.dtype, y.dtype)
    return x.astype(wide, copy=False), y.astype(wide, copy=False)


@functools.cache
def computing_dtype(dtype: np.dtype, *operands: np.dtype) -> np.dtype:
    """In which a product of dtype `dtype` is computed: integers wrap in it; for floats the widest, at least float32."""
    if dtypes.is_integer(dtype):
        return dtype
    return np.result_type(*(np.float32 if dtypes.is_narrow(d) else d for d in (dtype, *operands)))


def _dot_general_impl(
    xp: Any, x: Any, y: Any, *, dimension_numbers: tuple[Pairs, Pairs], precision: Any, preferred_element_type: Any
) -> Any:
    dtype = preferred_element_type or x.dtype
    x, y = accumulated(dtype, x, y)
    x_axes, x_shape, y_axes, y_shape, out_shape = _as_matrices(x.shape, y.shape, dimension_numbers)
    product = xp.matmul(x.transpose(x_axes).reshape(x_shape), y.transpose(y_axes).reshape(y_shape))
    return product.reshape(out_shape).astype(dtype, copy=False)


@functools.lru_cache(maxsize=4096)
def _as_matrices(
    x: Shape, y: Shape, dimension_numbers: tuple[Pairs, Pairs]
) -> tuple[Shape, Shape, Shape, Shape, Shape]:
    """The axes of x in the order (batch, free, contracting), the shape with one each of the last two; those of y in the
    order (batch, contracting, free); the shape of the result."""
    (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
    # The order of contraction is free: that of the axes of the larger operand often saves copying it.
    larger = x_contract if size(x) >= size(y) else y_contract
    order = sorted(range(len(larger)), key=larger.__getitem__)
    x_contract, y_contract = tuple(x_contract[i] for i in order), tuple(y_contract[i] for i in order)
    x_free, y_free = without(range(len(x)), x_contract + x_batch), without(range(len(y)), y_contract + y_batch)
    batch, rows, depth = (tuple(x[a] for a in axes) for axes in (x_batch, x_free, x_contract))
    columns = tuple(y[a] for a in y_free)
    return (
        x_batch + x_free + x_contract,
        (*batch, size(rows), size(depth)),
        y_batch + y_contract + y_free,
        (*batch, size(depth), size(columns)),
        batch + rows + columns,
    )


# abstract


def _dot_general_abstract(
    x: Aval, y: Aval, *, dimension_numbers: tuple[Pairs, Pairs], precision: Any, preferred_element_type: Any
) -> Aval:
    contract, batch = dimension_numbers
    _check_meeting("contracting", contract, x.shape, y.shape)
    _check_meeting("batch", batch, x.shape, y.shape)
    for name, aval, axes in (("lhs", x, contract[0] + batch[0]), ("rhs", y, contract[1] + batch[1])):
        if len(set(axes)) != len(axes):
            raise AxisError(
                f"dot_general: an axis of {name}, shape {show(aval.shape)}, is both contracting and batch: {axes}",
                fix="an axis is either contracting, or batch, or free",
            )
    kept = tuple(x.shape[a] for a in batch[0])
    x_free, y_free = without(x.shape, contract[0] + batch[0]), without(y.shape, contract[1] + batch[1])
    weak = x.weak_type and y.weak_type and preferred_element_type is None
    return Aval(kept + x_free + y_free, product_dtype("dot_general", x, y, preferred_element_type), weak)


def _check_meeting(kind: str, pairs: Pairs, x: Shape, y: Shape) -> None:
    shapes = f"shapes {show(x)} and {show(y)}"
    if len(pairs[0]) != len(pairs[1]):
        raise ShapeError(
            f"dot_general of {shapes}: {kind} axes {pairs[0]} of lhs do not pair with axes {pairs[1]} of rhs",
            fix=f"{kind} axes come in pairs: name as many of rhs as of lhs",
        )
    sizes = tuple(x[a] for a in pairs[0]), tuple(y[a] for a in pairs[1])
    if sizes[0] != sizes[1]:
        raise ShapeError(
            f"dot_general of {shapes}: {kind} axes {pairs[0]} of lhs have sizes {show(sizes[0])}, "
            f"but axes {pairs[1]} of rhs have {show(sizes[1])}",
            fix="axes that meet must be of the same size: name other axes, or transpose an operand",
        )


# jvp


def bilinear_jvp(prim: Primitive) -> Any:
    """The jvp rule of a primitive that is linear in each of its two operands."""
    return elementwise_jvp(
        prim, add, lambda t, out, x, y, **p: prim.bind(t, y, **p), lambda t, out, x, y, **p: prim.bind(x, t, **p)
    )


# transpose


def _dot_general_transpose(
    ct: Array, x: Any, y: Any, *, dimension_numbers: tuple[Pairs, Pairs], precision: Any, preferred_element_type: Any
) -> list[Any]:
    (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
    rows = len(x_batch) + len(x.aval.shape) - len(x_batch + x_contract)  # where the free axes of y begin in ct
    if isinstance(x, Linear):
        met = range(rows, ct.ndim)
        return [_cotangent(ct, met, x.aval, (x_contract, x_batch), y, (y_contract, y_batch), precision), None]
    met = range(len(x_batch), rows)
    return [None, _cotangent(ct, met, y.aval, (y_contract, y_batch), x, (x_contract, x_batch), precision)]


def _cotangent(
    ct: Array, met: Sequence[int], aval: Aval, own: Pairs, other: Array, others: Pairs, precision: Any
) -> Array:
    """The cotangent of one operand: `ct` with `other`, whose free axes are the axes `met` of `ct`.

    `own` and `others` are the (contracting, batch) axes of the operand and of `other`.
    """
    (contract, batch), (other_contract, other_batch) = own, others
    free = without(range(other.ndim), other_contract + other_batch)
    numbers = ((tuple(met), free), (tuple(range(len(batch))), other_batch))
    product = dot_general(ct, other, numbers, precision, aval.dtype)
    paired = tuple(axis for _, axis in sorted(zip(other_contract, contract, strict=True)))
    axes = batch + without(range(aval.ndim), contract + batch) + paired  # of the operand, as they stand in `product`
    return transpose(product, inverse_permutation(axes))


# batch


def _dot_general_batch(
    axis: Any, args: Sequence[Array], dims: Sequence[Any], *, dimension_numbers: tuple[Pairs, Pairs], **params: Any
) -> tuple[Array, int]:
    """The axis of one batched operand is free, which makes one large product; those of two are batch axes."""
    contract, batch = (tuple(map(_shifted, axes, dims)) for axes in dimension_numbers)
    x_dim, y_dim = dims
    if x_dim is not None and y_dim is not None:
        batch, out_dim = ((x_dim, *batch[0]), (y_dim, *batch[1])), 0
    else:
        own = 0 if y_dim is None else 1
        free = without(range(args[own].ndim), contract[own] + batch[own])
        before = len(batch[0]) if own == 0 else args[0].ndim - len(contract[0])
        out_dim = before + free.index(dims[own])
    return dot_general_p.bind(*args, dimension_numbers=(contract, batch), **params), out_dim


def _shifted(axes: tuple[int, ...], dim: int | None) -> tuple[int, ...]:
    """Axes of the unbatched array as axes of one with a batch axis at `dim`."""
    return axes if dim is None else tuple(a + (a >= dim) for a in axes)


# lower

_FEW_PRODUCTS = 1 << 12
_MANY_PRODUCTS = 1 << 15
_SHORT_DEPTH = 4
_FEW_ROWS = 6


def _dot_general_lower(
    x: Aval, y: Aval, *, dimension_numbers: tuple[Pairs, Pairs], precision: Any, preferred_element_type: Any
) -> Any:
    """Small products, and few sums along elements side by side, are computed where they are read."""
    contract, batch = dimension_numbers
    order = sorted(range(len(contract[0])), key=contract[int(capacity(x.size) < capacity(y.size))].__getitem__)
    contract = (tuple(contract[0][i] for i in order), tuple(contract[1][i] for i in order))
    axes, depth = _axes(x.shape, y.shape, contract, batch), tuple(x.shape[axis] for axis in contract[0])
    count, results = capacity(size(depth)), capacity(size(tuple(axis.extent for axis in axes if axis.out)))
    out = preferred_element_type or x.dtype
    dtype = computing_dtype(out, x.dtype, y.dtype)
    rows, columns = (size(tuple(axis.extent for axis in axes if axis.kind == kind)) for kind in (ROW, COLUMN))
    fewest = min(capacity(rows), capacity(columns))
    is_reduction = results == 1 or (fewest < _FEW_ROWS and _is_contiguous(axes))
    if count * results > _FEW_PRODUCTS and count > _SHORT_DEPTH and not is_reduction:
        is_mixed = not out == x.dtype == y.dtype == dtype
        if is_mixed and count * results > _MANY_PRODUCTS and not is_packed(axes, dtype):
            return converted_first(dot_general_p, x, y, dtype, out, dimension_numbers=(contract, batch), precision=None)
        if is_mixed:
            return contraction(axes, dtype)
        return sums_of_products(x, y, tuple(axis.extent for axis in axes if axis.out), axes, dtype)
    together = accumulation.by(operator.add, 0, dtype)
    products = _products_along(contract, batch, dtype)
    return (together.over if is_reduction else together.inside)(depth, products)


def converted_first(prim: Primitive, x: Aval, y: Aval, dtype: np.dtype, out: np.dtype, **params: Any) -> Program:
    """The Program that converts the operands of a product to `dtype` and the result to `out`."""
    operands, eqns = [Var(x), Var(y)], []
    for var in operands:
        eqns.append(equation(convert_element_type_p, [var], dtype=dtype, weak_type=False))
    eqns.append(equation(prim, [eqn.outs[0] for eqn in eqns], preferred_element_type=None, **params))
    eqns.append(equation(convert_element_type_p, eqns[-1].outs, dtype=out, weak_type=False))
    return Program(operands, eqns, eqns[-1].outs, name=prim.name)


def _axes(x: Shape, y: Shape, contract: Pairs, batch: Pairs) -> list[Axis]:
    """The axes of the result, in its order, and those contracted."""
    x_steps, y_steps = row_major_strides(x), row_major_strides(y)
    x_free, y_free = without(range(len(x)), contract[0] + batch[0]), without(range(len(y)), contract[1] + batch[1])
    axes = [
        *((x[i], x_steps[i], y_steps[j]) for i, j in zip(*batch, strict=True)),
        *((x[i], x_steps[i], 0) for i in x_free),
        *((y[j], 0, y_steps[j]) for j in y_free),
    ]
    out_steps = row_major_strides(tuple(extent for extent, *_ in axes))
    return [
        *(Axis(*axis, step) for axis, step in zip(axes, out_steps, strict=True)),
        *(Axis(x[i], x_steps[i], y_steps[j], 0) for i, j in zip(*contract, strict=True)),
    ]


def _is_contiguous(axes: Sequence[Axis]) -> bool:
    """Whether the last axis that is summed lies side by side in both operands."""
    last = next((axis for axis in reversed(axes) if not axis.out and axis.extent > 1), None)
    return last is not None and last.x == last.y == 1 and capacity(last.extent) >= _SHORT_DEPTH


def _products_along(contract: Pairs, batch: Pairs, dtype: np.dtype) -> Callable:
    """The products that an element of the result sums, as loop IR."""

    def element(b: Builder, index: tuple, taps: tuple, x: Reader, y: Reader, **params: Any) -> list[Expr]:
        free = iter(index[len(batch[0]) :])
        factors = []
        for operand, summed, shared in zip((x, y), contract, batch, strict=True):
            known = {**dict(zip(summed, taps, strict=True)), **dict(zip(shared, index, strict=False))}
            at = [known[axis] if axis in known else next(free) for axis in range(operand.aval.ndim)]
            factors.append(computed(operand(*at), dtype))
        return accumulation.parts_of(factors[0] * factors[1])

    return element


# Registration

dot_general_p.define(
    impl=_dot_general_impl, abstract=_dot_general_abstract, jvp=bilinear_jvp(dot_general_p),
    transpose=_dot_general_transpose, batch=_dot_general_batch, lower=_dot_general_lower,
).refuse(onnx=NOT_YET_LOWERED)  # fmt: skip
