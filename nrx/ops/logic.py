"""Comparison, bitwise operations, and choice between values by a condition."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.ops.common import (
    ANY,
    BITS,
    INTEGERS,
    NOT_YET_LOWERED,
    REAL,
    as_arrays,
    check_dtype,
    check_same_dtype,
    check_same_shape,
)
from nrx.ops.rules import discrete, elementwise, elementwise_batch, lift_same
from nrx.ops.structural import broadcast_in_dim, convert_element_type, instantiate, zeros_like

# Public functions


def eq(x: Any, y: Any) -> Array:
    """x == y, elementwise."""
    return eq_p.bind(*lift_same("eq", x, y))


def ne(x: Any, y: Any) -> Array:
    """x != y, elementwise."""
    return ne_p.bind(*lift_same("ne", x, y))


def lt(x: Any, y: Any) -> Array:
    """x < y, elementwise."""
    return lt_p.bind(*lift_same("lt", x, y))


def le(x: Any, y: Any) -> Array:
    """x <= y, elementwise."""
    return le_p.bind(*lift_same("le", x, y))


def gt(x: Any, y: Any) -> Array:
    """x > y, elementwise."""
    return gt_p.bind(*lift_same("gt", x, y))


def ge(x: Any, y: Any) -> Array:
    """x >= y, elementwise."""
    return ge_p.bind(*lift_same("ge", x, y))


def bitwise_not(x: Any) -> Array:
    """~x, elementwise; logical not of booleans."""
    return not_p.bind(*as_arrays("bitwise_not", x))


def bitwise_and(x: Any, y: Any) -> Array:
    """x & y, elementwise."""
    return and_p.bind(*lift_same("bitwise_and", x, y))


def bitwise_or(x: Any, y: Any) -> Array:
    """x | y, elementwise."""
    return or_p.bind(*lift_same("bitwise_or", x, y))


def bitwise_xor(x: Any, y: Any) -> Array:
    """x ^ y, elementwise."""
    return xor_p.bind(*lift_same("bitwise_xor", x, y))


def shift_left(x: Any, y: Any) -> Array:
    """x << y, elementwise; 0 where y is not in [0, bits of x)."""
    return shift_left_p.bind(*lift_same("shift_left", x, y))


def shift_right_logical(x: Any, y: Any) -> Array:
    """x >> y with zeros shifted in, elementwise; 0 where y is not in [0, bits of x)."""
    return shift_right_logical_p.bind(*lift_same("shift_right_logical", x, y))


def shift_right_arithmetic(x: Any, y: Any) -> Array:
    """x >> y with the sign bit shifted in, elementwise; y beyond the bits of x shifts all of them out."""
    return shift_right_arithmetic_p.bind(*lift_same("shift_right_arithmetic", x, y))


def population_count(x: Any) -> Array:
    """The number of bits set, elementwise."""
    return population_count_p.bind(*as_arrays("population_count", x))


def clz(x: Any) -> Array:
    """The number of leading zero bits, elementwise."""
    return clz_p.bind(*as_arrays("clz", x))


def is_finite(x: Any) -> Array:
    """Whether x is neither infinite nor NaN, elementwise."""
    return is_finite_p.bind(*as_arrays("is_finite", x))


def select_n(which: Any, *cases: Any) -> Array:
    """Element by element, the case that `which` numbers; a boolean `which` picks case 0 for False, case 1 for True.

    `which` is bool or int32, a scalar or of the shape of the cases.
    """
    (which,) = as_arrays("select_n", which)
    cases = tuple(lift_same("select_n", *cases))
    if cases and not which.ndim and cases[0].ndim:
        which = broadcast_in_dim(which, cases[0].shape, ())
    return select_n_p.bind(which, *cases)


def select(pred: Any, on_true: Any, on_false: Any) -> Array:
    """`on_true` where `pred`, else `on_false`."""
    return select_n(pred, on_false, on_true)


def clamp(min: Any, x: Any, max: Any) -> Array:
    """x limited to [min, max], elementwise; NaN stays NaN. The limits may be scalars."""
    low, x, high = as_arrays("clamp", min, x, max)
    peers = [
        broadcast_in_dim(convert_element_type(v, x.dtype) if v.weak_type else v, x.shape, ()) if not v.ndim else v
        for v in (low, high)
    ]
    return clamp_p.bind(peers[0], x, peers[1])


# impl


def _shift_impl(shift: str, logical: bool) -> Any:
    def impl(xp: Any, x: Any, y: Any) -> Any:
        bits = x.dtype.itemsize * 8
        count = y.view(f"u{y.dtype.itemsize}") if y.dtype.kind == "i" else y
        inside = count < bits
        if shift == "arithmetic":
            return xp.right_shift(x, xp.where(inside, count, bits - 1).astype(x.dtype))
        pattern = x.view(f"u{x.dtype.itemsize}") if logical and x.dtype.kind == "i" else x
        count = xp.where(inside, count, 0).astype(pattern.dtype)
        shifted = xp.left_shift(pattern, count) if shift == "left" else xp.right_shift(pattern, count)
        return xp.where(inside, shifted, pattern.dtype.type(0)).view(x.dtype)

    return impl


def _population_count_impl(xp: Any, x: Any) -> Any:
    bits = x.dtype.itemsize * 8
    pattern = xp.ascontiguousarray(x).view(f"u{x.dtype.itemsize}").reshape(x.shape).astype(np.uint64)
    total = xp.zeros(x.shape, np.uint64)
    for position in range(bits):
        total = total + ((pattern >> np.uint64(position)) & np.uint64(1))
    return total.astype(x.dtype)


def _clz_impl(xp: Any, x: Any) -> Any:
    bits = x.dtype.itemsize * 8
    pattern = xp.ascontiguousarray(x).view(f"u{x.dtype.itemsize}").reshape(x.shape).astype(np.uint64)
    zeros = xp.full(x.shape, bits, np.int64)
    for position in range(bits):
        zeros = xp.where((pattern >> np.uint64(position)) & np.uint64(1), bits - 1 - position, zeros)
    return zeros.astype(x.dtype)


def _select_impl(xp: Any, which: Any, *cases: Any) -> Any:
    if which.dtype == np.bool_:
        return xp.where(which, cases[-1], cases[0])
    out = cases[0]
    for number, case in enumerate(cases[1:], 1):
        out = xp.where(which >= number, case, out)
    return out


def _clamp_impl(xp: Any, low: Any, x: Any, high: Any) -> Any:
    return xp.minimum(xp.maximum(x, low), high)


# abstract


def _select_abstract(which: Aval, *cases: Aval) -> Aval:
    if not cases:
        raise ShapeError("select_n needs at least one case")
    if which.dtype not in (dtypes.bool_, dtypes.int32):
        raise DTypeError(f"select_n: `which` must be bool or int32, got {which.dtype}", fix="use a comparison")
    if which.dtype == dtypes.bool_ and len(cases) != 2 and len(cases) != 1:
        raise DTypeError(f"select_n: a boolean `which` chooses between 2 cases, got {len(cases)}", fix="use int32")
    check_same_dtype("select_n", *cases)
    check_same_shape("select_n", *cases)
    if which.shape != cases[0].shape:
        raise ShapeError(f"select_n: `which` has shape {show(which.shape)}, the cases {show(cases[0].shape)}")
    return cases[0] if all(c.weak_type for c in cases) else cases[0].strong


def _clamp_abstract(low: Aval, x: Aval, high: Aval) -> Aval:
    check_dtype("clamp", x, REAL)
    check_same_dtype("clamp", low, x, high)
    check_same_shape("clamp", low, x, high)
    return x


# jvp


def _select_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    out = select_n_p.bind(*primals)
    if all(isinstance(t, Zero) for t in tangents[1:]):
        return out, Zero(out.aval.tangent)
    return out, select_n_p.bind(primals[0], *map(instantiate, tangents[1:]))


def _clamp_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    low, x, high = primals
    out = clamp_p.bind(low, x, high)
    if all(isinstance(t, Zero) for t in tangents):
        return out, Zero(out.aval.tangent)
    inside = bitwise_and(gt(x, low), lt(x, high))
    limit = select(le(high, x), instantiate(tangents[2]), select(le(x, low), instantiate(tangents[0]), zeros_like(x)))
    return out, select(inside, instantiate(tangents[1]), limit)


# transpose


def _select_transpose(ct: Array, which: Array, *cases: Any) -> list[Any]:
    zeros = zeros_like(ct)
    numbers = range(len(cases))
    return [None] + [
        select_n_p.bind(which, *[ct if i == number else zeros for i in numbers]) if isinstance(c, Linear) else None
        for number, c in enumerate(cases)
    ]


# Registration


def _to_bool(dtype: np.dtype) -> np.dtype:
    return dtypes.bool_


def _comparison(name: str, function: str) -> Primitive:
    return discrete(elementwise(name, lambda xp, x, y: getattr(xp, function)(x, y), ANY, result=_to_bool))


def _bitwise(name: str, function: str) -> Primitive:
    return discrete(elementwise(name, lambda xp, *xs: getattr(xp, function)(*xs), BITS))


eq_p = _comparison("eq", "equal")
ne_p = _comparison("ne", "not_equal")
lt_p = _comparison("lt", "less")
le_p = _comparison("le", "less_equal")
gt_p = _comparison("gt", "greater")
ge_p = _comparison("ge", "greater_equal")
not_p = _bitwise("not", "invert")
and_p = _bitwise("and", "bitwise_and")
or_p = _bitwise("or", "bitwise_or")
xor_p = _bitwise("xor", "bitwise_xor")
shift_left_p = discrete(elementwise("shift_left", _shift_impl("left", False), INTEGERS))
shift_right_logical_p = discrete(elementwise("shift_right_logical", _shift_impl("right", True), INTEGERS))
shift_right_arithmetic_p = discrete(elementwise("shift_right_arithmetic", _shift_impl("arithmetic", False), INTEGERS))
population_count_p = discrete(elementwise("population_count", _population_count_impl, INTEGERS))
clz_p = discrete(elementwise("clz", _clz_impl, INTEGERS))
is_finite_p = discrete(elementwise("is_finite", lambda xp, x: xp.isfinite(x), ANY, result=_to_bool))

select_n_p = Primitive("select_n", elementwise=True)
select_n_p.define(
    impl=_select_impl, abstract=_select_abstract, jvp=_select_jvp, transpose=_select_transpose,
    batch=elementwise_batch(select_n_p),
).refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)  # fmt: skip
clamp_p = Primitive("clamp", elementwise=True)
clamp_p.define(
    impl=_clamp_impl, abstract=_clamp_abstract, jvp=_clamp_jvp, batch=elementwise_batch(clamp_p)
).refuse(
    transpose="it is not linear; linearize replaces it by its derivative", lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED
)
