"""What all families of primitives share: conversion and checks of arguments. No primitive is known here.

A family file reads from top to bottom: public functions, impl, abstract, jvp, transpose, batch, lower, and one
registration block at the end.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, asarray
from nrx.core.aval import Aval
from nrx.core.backend import cpu
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.loops import Elementwise, Pointwise
from nrx.core.primitive import Primitive
from nrx.core.program import Atom, Eqn, Var
from nrx.core.shapes import Shape, show

#: The reason written for the slots that later layers fill from tables of their own.
NOT_YET_LOWERED = "the compiler and the exporters bring their own rules"

Dtypes = frozenset[np.dtype]
ANY: Dtypes = frozenset(dtypes.ALL)
MOVABLE: Dtypes = ANY | {dtypes.key_dtype}
FLOATING: Dtypes = frozenset((*dtypes.FLOATS, *dtypes.FP8))
COMPLEX: Dtypes = frozenset(dtypes.COMPLEX)
INTEGERS: Dtypes = frozenset(dtypes.INTEGERS)
INEXACT = FLOATING | COMPLEX
NUMBERS = ANY - {dtypes.bool_}
REAL = ANY - COMPLEX
BITS = INTEGERS | {dtypes.bool_}


def scalar_array(value: Any, dtype: np.dtype, weak_type: bool = False) -> ConcreteArray:
    """A 0-d constant. It is uncommitted, so it joins arrays of any device."""
    with np.errstate(all="ignore"):  # 1e300 is inf in float32
        data = np.asarray(value).astype(dtypes.storage(dtype))
    return ConcreteArray(data, Aval((), dtype, weak_type), cpu())


def as_arrays(name: str, *values: Any) -> list[Array]:
    """Arguments of `name` as Arrays."""
    return [v if isinstance(v, Array) else asarray(v, f"{name}: argument {i}") for i, v in enumerate(values)]


def check_dtype(name: str, aval: Aval, accepted: Collection[np.dtype], fix: str = "") -> None:
    """Raise DTypeError unless `aval`'s dtype is accepted."""
    if aval.dtype not in accepted:
        takes = "floating or complex" if accepted is INEXACT else ", ".join(sorted(d.name for d in accepted))
        raise DTypeError(
            f"{name} does not take {aval.dtype}, it takes {takes}", fix=fix or "convert it with x.astype(...)"
        )


def check_same_dtype(name: str, *avals: Aval) -> None:
    """Raise DTypeError unless all dtypes are the same: primitives promote nothing."""
    if any(aval.dtype != avals[0].dtype for aval in avals):
        raise DTypeError(
            f"{name} needs arguments of one dtype, got {', '.join(str(a.dtype) for a in avals)}",
            fix="convert one with x.astype(...), or use the function in nrx.numpy, which promotes",
        )


def check_same_shape(name: str, *avals: Aval) -> None:
    """Raise ShapeError unless all shapes are the same: primitives broadcast nothing."""
    if any(aval.shape != avals[0].shape for aval in avals):
        raise ShapeError(
            f"{name} needs arguments of one shape, got {' and '.join(show(a.shape) for a in avals)}",
            fix="broadcast one with nrx.numpy.broadcast_to, or use the function in nrx.numpy, which broadcasts",
        )


def widened(x: Any) -> Any:
    """float16, bfloat16 and fp8 data as float32, in which they are computed; anything else as it is."""
    return x.astype(np.float32) if dtypes.is_narrow(x.dtype) else x


def filled(shape: Shape, value: Any) -> tuple:
    """A tuple with `value` for every axis of `shape`."""
    return (value,) * len(shape)


def equation(prim: Primitive, inputs: Sequence[Atom], **params: Any) -> Eqn:
    """An equation of a Program that a lower rule gives, with a variable for its result."""
    aval = prim.abstract(*(atom.aval for atom in inputs), **params)  # what is remembered has forgotten its Dims
    return Eqn(prim, inputs, [Var(aval)], params)


def view_lower(at: Callable) -> Callable:
    """The lower rule of what only moves elements; `at` as in `loops.Pointwise`."""
    rule = Pointwise(at, cost=0)
    return lambda *avals, **params: rule


def elementwise_lower(element: Callable, cost: float = 1, narrow: bool = False) -> Callable:
    """The lower rule that computes elements by `element`, whatever the avals; arguments as of `loops.Elementwise`."""
    rule = Elementwise(element, cost, narrow)
    return lambda *avals, **params: rule
