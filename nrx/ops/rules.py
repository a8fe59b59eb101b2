"""Factories of rules, on top of the structural primitives: an elementwise primitive is about five lines with them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Zero
from nrx.core.primitive import Primitive
from nrx.core.program import Eqn, Program, Var
from nrx.ops.common import (
    NOT_YET_LOWERED,
    as_arrays,
    check_dtype,
    check_same_dtype,
    check_same_shape,
    elementwise_lower,
    widened,
)
from nrx.ops.structural import constant_jvp, convert_element_type_p, full_like, spread

Derivative = Callable[..., Any]
"""(tangent, result, *operands) -> the tangent's contribution to the result's tangent."""


# Arguments


def lift_same(name: str, *values: Any) -> list[Array]:
    """Arguments of one dtype and shape: scalars take the dtype and shape of the arrays they meet; else no promotion."""
    arrays = as_arrays(name, *values)
    avals = [x.aval for x in arrays]
    if all(a.shape == avals[0].shape and a.dtype == avals[0].dtype for a in avals):
        return arrays
    leader = max(avals, key=lambda a: (not (a.weak_type and not a.shape), len(a.shape)))
    return [as_peer(value, x, leader) for value, x in zip(values, arrays, strict=True)]


def as_peer(value: Any, x: Array, peer: Aval) -> Array:
    """A scalar with `peer`'s dtype and shape; what is not a scalar, or would need a wider dtype, as it is.

    Args:
        value: what the caller passed: a Python number is rounded once, to `peer`'s dtype.
        x: the same as an Array.
        peer: what it meets.
    """
    is_scalar = type(value) is bool or (x.aval.weak_type and not x.aval.shape)
    if not is_scalar or dtypes.promote_types((x.dtype, True), (peer.dtype, False))[0] != peer.dtype:
        return x
    return full_like(peer, x if isinstance(value, Array) else value)


# abstract


def elementwise_abstract(
    name: str, accepts: Collection[np.dtype], result: Callable[[np.dtype], np.dtype] | None = None
) -> Callable:
    """The abstract rule: equal shapes and accepted, equal dtypes; the result has that dtype, or `result` of it."""

    def abstract(*avals: Aval, **params: Any) -> Aval:
        for aval in avals:
            check_dtype(name, aval, accepts)
        if len(avals) > 1:
            check_same_dtype(name, *avals)
            check_same_shape(name, *avals)
        first = avals[0]
        dtype = first.dtype if result is None else result(first.dtype)
        return Aval(first.shape, dtype, all(a.weak_type for a in avals) and dtype != dtypes.bool_)

    return abstract


# jvp


def sum_tangents(tangents: Sequence[Any], out: Aval, add: Callable) -> Any:
    """The sum of contributions, symbolic zeros left out."""
    present = [t for t in tangents if not isinstance(t, Zero)]
    if not present:
        return Zero(out.tangent)
    total = present[0]
    for tangent in present[1:]:
        total = add(total, tangent)
    return total


def elementwise_jvp(prim: Primitive, add: Callable, *derivatives: Derivative | None) -> Callable:
    """The jvp rule made of one derivative an operand; None: the result does not vary with that operand."""

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind(*primals, **params)
        contributions = [
            derivative(tangent, out, *primals, **params)
            for derivative, tangent in zip(derivatives, tangents, strict=True)
            if derivative is not None and not isinstance(tangent, Zero)
        ]
        return out, sum_tangents(contributions, out.aval, add)

    return jvp


# batch


def elementwise_batch(prim: Primitive) -> Callable:
    """The batch rule: bring all operands to one batch axis, with unbatched ones broadcast."""

    def batch(axis: Any, args: Sequence[Array], dims: Sequence[int | None], **params: Any) -> tuple[Any, int]:
        at = next(d for d in dims if d is not None)
        ranks = {x.ndim - (d is not None) for x, d in zip(args, dims, strict=True)}
        if len(args) == 1 or (all(d == at for d in dims) and len(ranks) == 1):
            return prim.bind(*args, **params), at
        moved = [spread(x, d, axis.size, at) for x, d in zip(args, dims, strict=True)]
        return prim.bind(*moved, **params), at

    return batch


# impl


def through_float32(function: Callable) -> Callable:
    """An impl for `function(xp, *xs)` that computes 16- and 8-bit floats in float32."""

    def impl(xp: Any, *xs: Any, **params: Any) -> Any:
        wide = [widened(x) for x in xs]
        out = function(xp, *wide, **params)
        return out.astype(xs[0].dtype) if wide[0] is not xs[0] else out

    return impl


# lower


def through_float32_lower(prim: Primitive, lower: Callable) -> Callable:
    """The lower rule `lower`, where narrow floats are converted to float32 as a whole, and the result back."""

    def rule(*avals: Aval, **params: Any) -> Any:
        if not any(dtypes.is_narrow(aval.dtype) for aval in avals):
            return lower(*avals, **params)
        eqns: list[Eqn] = []

        def converted(x: Var, dtype: np.dtype) -> Var:
            out = Var(x.aval.update(dtype=dtype))
            eqns.append(Eqn(convert_element_type_p, [x], [out], {"dtype": dtype, "weak_type": x.aval.weak_type}))
            return out

        operands = [Var(aval) for aval in avals]
        wide = [converted(x, dtypes.float32) if dtypes.is_narrow(x.aval.dtype) else x for x in operands]
        out = Var(prim.abstract(*(x.aval for x in wide), **params))
        eqns.append(Eqn(prim, wide, [out], params))
        return Program(operands, eqns, [converted(out, avals[0].dtype)], name=f"{prim.name}_in_float32")

    return rule


# The factories themselves


def elementwise(
    name: str,
    impl: Callable,
    accepts: Collection[np.dtype],
    element: Callable | None = None,
    *,
    cost: float = 1,
    narrow: bool = False,
    result: Callable[[np.dtype], np.dtype] | None = None,
) -> Primitive:
    """A new elementwise primitive with impl, abstract, batch and lower rules; the others are the caller's to fill.

    Args:
        name: the primitive's name.
        impl: `impl(xp, *raws, **params)`.
        accepts: the dtypes it takes; all operands must have the same.
        element: the element of the result from those of the operands, as `loops.Elementwise` has it, with `cost` and
            `narrow`; without it the lower rule is the caller's, too.
        result: the dtype of the result from that of the operands; by default the same.
    """
    prim = Primitive(name, elementwise=True)
    prim.define(impl=impl, abstract=elementwise_abstract(name, accepts, result), batch=elementwise_batch(prim))
    if element is not None:
        prim.define(lower=elementwise_lower(element, cost, narrow))
    return prim.refuse(onnx=NOT_YET_LOWERED)


def discrete(prim: Primitive) -> Primitive:
    """Complete a primitive whose results do not vary: zero derivative, nothing to transpose."""
    return prim.define(jvp=constant_jvp(prim)).refuse(transpose="its result does not vary with its operands")


def nonlinear(prim: Primitive, jvp: Callable) -> Primitive:
    """Complete a primitive that is not linear in any operand."""
    return prim.define(jvp=jvp).refuse(transpose="it is not linear; linearize replaces it by its derivative")
