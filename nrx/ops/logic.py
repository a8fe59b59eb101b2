"""Comparison, bitwise operations, and choice between values by a condition."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.loops import Complex, Elementwise, Expr
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.ops.accumulation import larger, smaller
from nrx.ops.common import (
    BITS,
    FLOATING,
    INTEGERS,
    MOVABLE,
    NOT_YET_LOWERED,
    REAL,
    as_arrays,
    check_dtype,
    check_same_dtype,
    check_same_shape,
    elementwise_lower,
)
from nrx.ops.rules import as_peer, discrete, elementwise, elementwise_batch, lift_same, nonlinear
from nrx.ops.structural import broadcast_in_dim, instantiate, zeros_like

# Public functions


def eq(x: Any, y: Any) -> Array:
    """x == y, elementwise.

    Of arrays of one shape and dtype; the result is boolean.

    >>> import nrx
    >>> nrx.lax.eq(nrx.numpy.array([1, 2, 3]), 2)
    Array([False,  True, False], dtype=bool)
    """
    return eq_p.bind(*lift_same("eq", x, y))


def ne(x: Any, y: Any) -> Array:
    """x != y, elementwise.

    Of arrays of one shape and dtype; the result is boolean.

    >>> import nrx
    >>> nrx.lax.ne(nrx.numpy.array([1, 2, 3]), 2)
    Array([ True, False,  True], dtype=bool)
    """
    return ne_p.bind(*lift_same("ne", x, y))


def lt(x: Any, y: Any) -> Array:
    """x < y, elementwise.

    Of arrays of one shape and dtype, not complex; the result is boolean.

    >>> import nrx
    >>> nrx.lax.lt(nrx.numpy.array([1, 2, 3]), 2)
    Array([ True, False, False], dtype=bool)
    """
    return lt_p.bind(*lift_same("lt", x, y))


def le(x: Any, y: Any) -> Array:
    """x <= y, elementwise.

    Of arrays of one shape and dtype, not complex; the result is boolean.

    >>> import nrx
    >>> nrx.lax.le(nrx.numpy.array([1, 2, 3]), 2)
    Array([ True,  True, False], dtype=bool)
    """
    return le_p.bind(*lift_same("le", x, y))


def gt(x: Any, y: Any) -> Array:
    """x > y, elementwise.

    Of arrays of one shape and dtype, not complex; the result is boolean.

    >>> import nrx
    >>> nrx.lax.gt(nrx.numpy.array([1, 2, 3]), 2)
    Array([False, False,  True], dtype=bool)
    """
    return gt_p.bind(*lift_same("gt", x, y))


def ge(x: Any, y: Any) -> Array:
    """x >= y, elementwise.

    Of arrays of one shape and dtype, not complex; the result is boolean.

    >>> import nrx
    >>> nrx.lax.ge(nrx.numpy.array([1, 2, 3]), 2)
    Array([False,  True,  True], dtype=bool)
    """
    return ge_p.bind(*lift_same("ge", x, y))


def bitwise_not(x: Any) -> Array:
    """~x, elementwise; logical not of booleans.

    >>> import nrx
    >>> nrx.lax.bitwise_not(nrx.numpy.array([0, 5])), nrx.lax.bitwise_not(nrx.numpy.array([True, False]))
    (Array([-1, -6], dtype=int32), Array([False,  True], dtype=bool))
    """
    return not_p.bind(*as_arrays("bitwise_not", x))


def bitwise_and(x: Any, y: Any) -> Array:
    """x & y, elementwise.

    Of integers or booleans of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.bitwise_and(nrx.numpy.array([12, 10]), 6)
    Array([4, 2], dtype=int32)
    """
    return and_p.bind(*lift_same("bitwise_and", x, y))


def bitwise_or(x: Any, y: Any) -> Array:
    """x | y, elementwise.

    Of integers or booleans of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.bitwise_or(nrx.numpy.array([12, 10]), 6)
    Array([14, 14], dtype=int32)
    """
    return or_p.bind(*lift_same("bitwise_or", x, y))


def bitwise_xor(x: Any, y: Any) -> Array:
    """x ^ y, elementwise.

    Of integers or booleans of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.bitwise_xor(nrx.numpy.array([12, 10]), 6)
    Array([10, 12], dtype=int32)
    """
    return xor_p.bind(*lift_same("bitwise_xor", x, y))


def shift_left(x: Any, y: Any) -> Array:
    """x << y, elementwise; 0 where y is not in [0, bits of x).

    Of integers of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.shift_left(nrx.numpy.array([1, 3]), 4)
    Array([16, 48], dtype=int32)
    """
    return shift_left_p.bind(*lift_same("shift_left", x, y))


def shift_right_logical(x: Any, y: Any) -> Array:
    """x >> y with zeros shifted in, elementwise; 0 where y is not in [0, bits of x).

    Of integers of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.shift_right_logical(nrx.numpy.array([16, -16]), 2)
    Array([         4, 1073741820], dtype=int32)
    """
    return shift_right_logical_p.bind(*lift_same("shift_right_logical", x, y))


def shift_right_arithmetic(x: Any, y: Any) -> Array:
    """x >> y with the highest bit shifted in, elementwise; y not in [0, bits of x) shifts all the others out.

    Of integers of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.shift_right_arithmetic(nrx.numpy.array([16, -16]), 2)
    Array([ 4, -4], dtype=int32)
    """
    return shift_right_arithmetic_p.bind(*lift_same("shift_right_arithmetic", x, y))


def population_count(x: Any) -> Array:
    """The number of bits set, elementwise.

    Of integers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.population_count(nrx.numpy.array([0, 7, 256]))
    Array([0, 3, 1], dtype=int32)
    """
    return population_count_p.bind(*as_arrays("population_count", x))


def clz(x: Any) -> Array:
    """The number of leading zero bits, elementwise.

    Of integers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.clz(nrx.numpy.array([0, 1, 256]))
    Array([32, 31, 23], dtype=int32)
    """
    return clz_p.bind(*as_arrays("clz", x))


def is_finite(x: Any) -> Array:
    """Whether x is neither infinite nor NaN, elementwise.

    Of floating numbers; the result is boolean.

    >>> import nrx
    >>> nrx.lax.is_finite(nrx.numpy.array([1.0, nrx.numpy.inf, nrx.numpy.nan]))
    Array([ True, False, False], dtype=bool)
    """
    return is_finite_p.bind(*as_arrays("is_finite", x))


def select_n(which: Any, *cases: Any) -> Array:
    """Element by element, the case that `which` numbers; a boolean `which` picks case 0 for False, case 1 for True.

    `which` is bool or int32 (clipped to the cases there are), a scalar or of the shape of the cases.

    >>> import nrx
    >>> nrx.lax.select_n(nrx.numpy.array([2, 0]), *nrx.numpy.array([[1, 2], [10, 20], [100, 200]]))
    Array([100,   2], dtype=int32)
    """
    (which,) = as_arrays("select_n", which)
    cases = tuple(lift_same("select_n", *cases))
    if cases and not which.ndim and cases[0].ndim:
        which = broadcast_in_dim(which, cases[0].shape, ())
    return select_n_p.bind(which, *cases)


def select(pred: Any, on_true: Any, on_false: Any) -> Array:
    """`on_true` where `pred`, else `on_false`.

    All have one shape (pred may be a scalar); both sides have one dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.select(nrx.numpy.array([True, False]), nrx.numpy.array([1, 2]), nrx.numpy.array([10, 20]))
    Array([ 1, 20], dtype=int32)
    """
    return select_n(pred, on_false, on_true)


def clamp(min: Any, x: Any, max: Any) -> Array:
    """x limited to [min, max], elementwise; NaN stays NaN. The limits may be scalars.

    All have one dtype, which the result has, and the shape of x.

    >>> import nrx
    >>> nrx.lax.clamp(0.0, nrx.numpy.array([-1.0, 0.5, 2.0]), 1.0)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    limits, (x,) = as_arrays("clamp", min, max), as_arrays("clamp", x)
    low, high = (as_peer(value, limit, x.aval) for value, limit in zip((min, max), limits, strict=True))
    return clamp_p.bind(*(v if v.ndim else broadcast_in_dim(v, x.shape, ()) for v in (low, x, high)))


# impl


def _unsigned(x: Any) -> Any:
    """The bits of integers as unsigned ones of the same width."""
    return x.view(f"u{x.dtype.itemsize}")


def _logical_shift_impl(function: str) -> Any:
    def impl(xp: Any, x: Any, y: Any) -> Any:
        bits, count = _unsigned(x), _unsigned(y)
        inside = count < 8 * x.dtype.itemsize
        shifted = getattr(xp, function)(bits, xp.where(inside, count, count.dtype.type(0)))
        return xp.where(inside, shifted, bits.dtype.type(0)).view(x.dtype)

    return impl


def _arithmetic_shift_impl(xp: Any, x: Any, y: Any) -> Any:
    signed = x.view(f"i{x.dtype.itemsize}")
    most = 8 * x.dtype.itemsize - 1
    return xp.right_shift(signed, xp.minimum(_unsigned(y), most).astype(signed.dtype)).view(x.dtype)


def _count_bits(x: Any) -> Any:
    """The bits set in uint64 numbers: counts of pairs, of nibbles, of bytes, and their sum by a product."""
    x = x - ((x >> 1) & 0x5555555555555555)
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (x * 0x0101010101010101) >> 56


def _population_count_impl(xp: Any, x: Any) -> Any:
    return _count_bits(_unsigned(x).astype(np.uint64)).astype(x.dtype)


def _clz_impl(xp: Any, x: Any) -> Any:
    bits = _unsigned(x).astype(np.uint64)
    for distance in (1, 2, 4, 8, 16, 32):  # set every bit below the highest
        bits = bits | (bits >> distance)
    return (8 * x.dtype.itemsize - _count_bits(bits)).astype(x.dtype)


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
    if which.dtype == dtypes.bool_ and len(cases) > 2:
        raise DTypeError(f"select_n: a boolean `which` chooses between 2 cases, got {len(cases)}", fix="use int32")
    check_same_dtype("select_n", *cases)
    check_same_shape("select_n", *cases)
    if which.shape != cases[0].shape:
        raise ShapeError(f"select_n: `which` has shape {show(which.shape)}, the cases {show(cases[0].shape)}")
    return cases[0].update(weak_type=all(c.weak_type for c in cases))


def _clamp_abstract(low: Aval, x: Aval, high: Aval) -> Aval:
    check_dtype("clamp", x, REAL)
    check_same_dtype("clamp", low, x, high)
    check_same_shape("clamp", low, x, high)
    return x.update(weak_type=low.weak_type and x.weak_type and high.weak_type)


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
    # The conditions are JAX's. On a limit nothing varies: neither side's derivative would be the right one.
    varies = bitwise_and(gt(low, x), lt(low, high)), bitwise_and(gt(x, low), lt(x, high)), lt(high, x)
    out_tangent: Any = zeros_like(x)
    for condition, tangent in zip(varies, tangents, strict=True):
        if not isinstance(tangent, Zero):
            out_tangent = select(condition, tangent, out_tangent)
    return out, out_tangent


# transpose


def _select_transpose(ct: Array, which: Array, *cases: Any) -> list[Any]:
    zeros = zeros_like(ct)
    numbers = range(len(cases))
    return [None] + [
        select_n_p.bind(which, *[ct if i == number else zeros for i in numbers]) if isinstance(c, Linear) else None
        for number, c in enumerate(cases)
    ]


# lower: the element of the result from those of the operands


def _eq_element(x: Any, y: Any) -> Expr:
    if isinstance(x, Complex):
        return loops.eq(x.real, y.real) & loops.eq(x.imag, y.imag)
    return loops.eq(x, y)


def _ne_element(x: Any, y: Any) -> Expr:
    return ~_eq_element(x, y) if isinstance(x, Complex) else loops.ne(x, y)


def _logical_shift_element(op: str) -> Callable:
    def element(x: Expr, y: Expr) -> Expr:
        bits = loops.BITS[x.type]
        return loops.select(loops.bitcast(y, f"u{bits}") < bits, loops.apply(op, x, y), 0)

    return element


def _arithmetic_shift_element(x: Expr, y: Expr) -> Expr:
    bits = loops.BITS[x.type]
    count = loops.apply("min", loops.bitcast(y, f"u{bits}"), bits - 1)
    return loops.apply("ashr", x, loops.bitcast(count, x.type))


def _select_element(which: Expr, *cases: Any) -> Any:
    if which.type == "bool":
        return loops.select(which, cases[-1], cases[0])
    out = cases[0]
    for number, case in enumerate(cases[1:], 1):
        out = loops.select(which >= number, case, out)
    return out


def ordered_lower(usual: Callable, float16: Callable) -> Callable:
    """The lower rule for minima and maxima: of equal zeros, NumPy gives the first one in float16, else the second."""
    rule, rule16 = Elementwise(usual), Elementwise(float16)
    return lambda *avals: rule16 if avals[0].dtype == dtypes.float16 else rule


# Registration


def _to_bool(dtype: np.dtype) -> np.dtype:
    return dtypes.bool_


def _comparison(name: str, function: str, accepts: Collection[np.dtype], element: Callable) -> Primitive:
    return discrete(elementwise(name, lambda xp, x, y: getattr(xp, function)(x, y), accepts, element, result=_to_bool))


def _bitwise(name: str, function: str, element: Callable) -> Primitive:
    return discrete(elementwise(name, lambda xp, *xs: getattr(xp, function)(*xs), BITS, element))


eq_p = _comparison("eq", "equal", MOVABLE, _eq_element)
ne_p = _comparison("ne", "not_equal", MOVABLE, _ne_element)
lt_p = _comparison("lt", "less", REAL, lambda x, y: x < y)
le_p = _comparison("le", "less_equal", REAL, lambda x, y: x <= y)
gt_p = _comparison("gt", "greater", REAL, lambda x, y: x > y)
ge_p = _comparison("ge", "greater_equal", REAL, lambda x, y: x >= y)
not_p = _bitwise("not", "invert", lambda x: ~x)
and_p = _bitwise("and", "bitwise_and", lambda x, y: x & y)
or_p = _bitwise("or", "bitwise_or", lambda x, y: x | y)
xor_p = _bitwise("xor", "bitwise_xor", lambda x, y: x ^ y)
shift_left_p = discrete(
    elementwise("shift_left", _logical_shift_impl("left_shift"), INTEGERS, _logical_shift_element("shl"))
)
shift_right_logical_p = discrete(
    elementwise("shift_right_logical", _logical_shift_impl("right_shift"), INTEGERS, _logical_shift_element("lshr"))
)
shift_right_arithmetic_p = discrete(
    elementwise("shift_right_arithmetic", _arithmetic_shift_impl, INTEGERS, _arithmetic_shift_element)
)
population_count_p = discrete(
    elementwise("population_count", _population_count_impl, INTEGERS, lambda x: loops.apply("popcount", x))
)
clz_p = discrete(elementwise("clz", _clz_impl, INTEGERS, lambda x: loops.apply("clz", x)))
is_finite_p = discrete(elementwise(
    "is_finite", lambda xp, x: xp.isfinite(x), FLOATING, lambda x: loops.apply("abs", x) < np.inf, result=_to_bool
))  # fmt: skip

select_n_p = Primitive("select_n", elementwise=True)
select_n_p.define(
    impl=_select_impl, abstract=_select_abstract, jvp=_select_jvp, transpose=_select_transpose,
    batch=elementwise_batch(select_n_p), lower=elementwise_lower(_select_element, narrow=True),
).refuse(onnx=NOT_YET_LOWERED)  # fmt: skip
clamp_p = Primitive("clamp", elementwise=True)
nonlinear(clamp_p, _clamp_jvp).define(
    impl=_clamp_impl, abstract=_clamp_abstract, batch=elementwise_batch(clamp_p),
    lower=ordered_lower(
        lambda low, x, high: smaller(larger(x, low), high), lambda low, x, high: smaller(high, larger(low, x))
    ),
).refuse(onnx=NOT_YET_LOWERED)  # fmt: skip
