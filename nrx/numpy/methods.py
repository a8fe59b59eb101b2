"""Operators and methods of `nrx.Array`: those of `numpy.ndarray`, on concrete and traced arrays alike.

They are installed on the class when `nrx.numpy` is imported, because the functions they call stand on top of it.
"""

import sys
from collections.abc import Callable, Iterator
from copy import copy
from inspect import unwrap
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray
from nrx.core.errors import ArgumentTypeError, ConversionError, ImmutableError
from nrx.numpy import (
    arithmetic,
    diagonals,
    joining,
    logic,
    manipulation,
    parts,
    products,
    reductions,
    searching,
    statistics,
)  # fmt: skip
from nrx.numpy.at import IndexUpdateHelper
from nrx.numpy.indexing import getitem, take
from nrx.numpy.protocols import array_function, array_ufunc

_KNOWN = frozenset((ConcreteArray, bool, int, float, complex))
_OPERANDS = (Array, np.ndarray, np.generic, bool, int, float, complex)
_CHANGE_FIX = "arrays are immutable: `y = x.at[index].set(value)` makes a changed copy"


def _accepts(other: Any) -> bool:
    """Whether an operator knows what to do with `other`, or leaves it to `other`'s own operators."""
    if isinstance(other, np.ndarray):
        return other.dtype.kind not in "OSUmM"
    return isinstance(other, _OPERANDS) or hasattr(other, "__nrx_array__")


# Operators


def _binary(function: Callable, symbol: str) -> tuple[Callable, Callable]:
    """`x op y` and `y op x`."""
    function = unwrap(function)  # an operator has no keyword arguments to look at

    # == would be Python's False, unnoticed, and * would repeat the sequence as often as a 0-d array of integers says.
    refused = (list, tuple, str, bytes) if symbol == "*" else (list, tuple)

    def refuse(other: Any) -> None:
        if isinstance(other, refused):
            raise ArgumentTypeError(
                f"{symbol} of an array and a {type(other).__name__}", fix="make it an array: nrx.numpy.array(...)"
            )

    def operator(self: Array, other: Any) -> Any:
        if type(other) in _KNOWN:
            return function(self, other)
        refuse(other)
        return function(self, other) if _accepts(other) else NotImplemented

    def reflected(self: Array, other: Any) -> Any:
        if type(other) in _KNOWN:
            return function(other, self)
        refuse(other)
        return function(other, self) if _accepts(other) else NotImplemented

    operator.__doc__, reflected.__doc__ = f"x {symbol} y, elementwise.", f"y {symbol} x, elementwise."
    return operator, reflected


_ARITHMETIC = {
    "add": (arithmetic.add, "+"), "sub": (arithmetic.subtract, "-"), "mul": (arithmetic.multiply, "*"),
    "truediv": (arithmetic.divide, "/"), "floordiv": (arithmetic.floor_divide, "//"),
    "mod": (arithmetic.remainder, "%"), "divmod": (arithmetic.divmod, "divmod"), "pow": (arithmetic.power, "**"),
    "matmul": (products.matmul, "@"), "and": (logic.bitwise_and, "&"), "or": (logic.bitwise_or, "|"),
    "xor": (logic.bitwise_xor, "^"), "lshift": (logic.left_shift, "<<"), "rshift": (logic.right_shift, ">>"),
}  # fmt: skip
_COMPARISONS = {
    "eq": (logic.equal, "=="), "ne": (logic.not_equal, "!="), "lt": (logic.less, "<"), "le": (logic.less_equal, "<="),
    "gt": (logic.greater, ">"), "ge": (logic.greater_equal, ">="),
}  # fmt: skip
_UNARY = {
    "neg": arithmetic.negative, "pos": arithmetic.positive, "abs": parts.abs, "invert": logic.bitwise_not,
}  # fmt: skip


def _round(self: Array, ndigits: int | None = None) -> Array:
    """round(x): to integers; round(x, n): to n decimals."""
    return parts.round(self, ndigits or 0)


def _iter(self: Array) -> Iterator[Array]:
    """The elements along the first axis."""
    if not self.ndim:
        raise ConversionError("iteration over a 0-d array", fix="use x.item(), or x[None]")
    return iter(joining.unstack(self))


def _contains(self: Array, value: Any) -> bool:
    """Whether any element equals `value`."""
    return bool(reductions.any(logic.equal(self, value)))


# Methods with signatures of their own


def _method_reshape(self: Array, *shape: Any, order: str = "C", out_sharding: Any = None) -> Array:
    """The same elements in another shape: x.reshape(2, -1) or x.reshape((2, -1))."""
    return manipulation.reshape(self, shape[0] if len(shape) == 1 else shape, order, out_sharding=out_sharding)


def _method_transpose(self: Array, *axes: Any) -> Array:
    """The axes reversed, or permuted: x.transpose(1, 0) or x.transpose((1, 0))."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
        return manipulation.transpose(self, axes[0])
    return manipulation.transpose(self, axes or None)


def _method_astype(self: Array, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True,
                   copy: bool = True, device: Any = None) -> Array:  # fmt: skip
    """The array with its elements converted to `dtype`."""
    return manipulation.astype(self, dtype, device=device)


def _method_copy(self: Array, order: str = "C") -> Array:
    """An array of the same values, which stays when this one is donated or deleted."""
    return copy(self)


def _method_view(self: Array, dtype: Any = None, type: None = None) -> Array:
    """The bits of the elements read as another dtype; the last axis is shortened or lengthened to fit."""
    if dtype is None:
        return self
    dtype = dtypes.canonical_dtype(dtype)
    if dtype.itemsize == self.itemsize:
        return lax.bitcast_convert_type(self, dtype)
    if not self.ndim:
        raise ConversionError(f"a 0-d array of {self.dtype} cannot be viewed as {dtype}, of another size")
    if dtype.itemsize > self.itemsize:
        ratio = dtype.itemsize // self.itemsize
        split = manipulation.reshape(self, (*self.shape[:-1], -1, ratio))
        return lax.bitcast_convert_type(split, dtype)
    bits = lax.bitcast_convert_type(self, dtype)
    return lax.reshape(bits, (*self.shape[:-1], bits.shape[-1] * self.shape[-1]))


def _method_to_device(self: Array, device: Any, *, stream: Any = None) -> Array:
    """The array on another device, committed to it."""
    return manipulation.astype(self, self.dtype, device=device)


def _method_clip(self: Array, min: Any = None, max: Any = None) -> Array:
    """The elements limited to [min, max]."""
    return arithmetic.clip(self, min, max)


def _method_sort(self: Array, axis: int | None = -1, *, kind: None = None, order: None = None, stable: bool = True,
                 descending: bool = False) -> Array:  # fmt: skip
    """A sorted copy; the array itself does not change."""
    return searching.sort(self, axis, kind=kind, order=order, stable=stable, descending=descending)


# Functions that are rarely needed: `nrx.numpy` imports them when they are first used


def _method_argpartition(self: Array, kth: int, axis: int = -1) -> Array:
    """The positions along an axis that partition the elements."""
    return _array_namespace(self).argpartition(self, kth, axis)


def _method_choose(self: Array, choices: Any, out: None = None, mode: str = "raise") -> Array:
    """For each element the choice that it numbers."""
    return _array_namespace(self).choose(self, choices, out, mode)


def _method_compress(self: Array, condition: Any, axis: int | None = None, *, out: None = None,
                     size: int | None = None, fill_value: Any = 0) -> Array:  # fmt: skip
    """The slices along an axis where a condition holds."""
    return _array_namespace(self).compress(condition, self, axis, size=size, fill_value=fill_value, out=out)


def _array_namespace(self: Array, *, api_version: str | None = None) -> Any:
    """`nrx.numpy`, for code written against the array API standard."""
    return sys.modules["nrx.numpy"]


def _immutable(name: str, fix: str) -> Callable:
    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        raise ImmutableError(f"x.{name}(...) would change the array in place", fix=fix)

    method.__doc__ = f"Arrays are immutable: {fix}."
    return method


_METHODS = {
    "all": reductions.all, "any": reductions.any, "argmax": reductions.argmax, "argmin": reductions.argmin,
    "argsort": searching.argsort, "conj": parts.conjugate, "conjugate": parts.conjugate,
    "cumprod": reductions.cumprod, "cumsum": reductions.cumsum, "diagonal": diagonals.diagonal, "dot": products.dot,
    "flatten": manipulation.ravel, "max": reductions.max, "mean": statistics.mean, "min": reductions.min,
    "nonzero": searching.nonzero, "prod": reductions.prod, "ptp": reductions.ptp, "ravel": manipulation.ravel,
    "repeat": joining.repeat, "round": parts.round, "searchsorted": searching.searchsorted,
    "squeeze": manipulation.squeeze, "std": statistics.std, "sum": reductions.sum, "swapaxes": manipulation.swapaxes,
    "take": take, "trace": products.trace, "var": statistics.var,
    "reshape": _method_reshape, "transpose": _method_transpose, "astype": _method_astype, "copy": _method_copy,
    "view": _method_view, "to_device": _method_to_device, "clip": _method_clip, "sort": _method_sort,
    "argpartition": _method_argpartition, "choose": _method_choose, "compress": _method_compress,
}  # fmt: skip
_PROPERTIES = {
    "T": (manipulation.transpose, "The array with its axes reversed."),
    "mT": (manipulation.matrix_transpose, "The array with its last two axes exchanged."),
    "real": (parts.real, "The real part."),
    "imag": (parts.imag, "The imaginary part."),
    "flat": (manipulation.ravel, "All elements along one axis."),
    "at": (IndexUpdateHelper, "Changed copies: `x.at[index].set(value)`, `.add`, `.multiply`, `.min`, `.max`, …"),
}  # fmt: skip
_IN_PLACE = {
    "fill": "use nrx.numpy.full_like(x, value)",
    "put": _CHANGE_FIX,
    "itemset": _CHANGE_FIX,
    "resize": "use x.reshape(shape), nrx.numpy.pad or nrx.numpy.tile",
    "partition": "use nrx.numpy.sort(x)",
    "setfield": _CHANGE_FIX,
    "setflags": _CHANGE_FIX,
    "byteswap": "convert NumPy data before making an array of it",
}


def install() -> None:
    """Put the operators and methods on `Array`."""
    for name, (function, symbol) in _ARITHMETIC.items():
        operator, reflected = _binary(function, symbol)
        setattr(Array, f"__{name}__", operator)
        setattr(Array, f"__r{name}__", reflected)
    for name, (function, symbol) in _COMPARISONS.items():
        setattr(Array, f"__{name}__", _binary(function, symbol)[0])
    for name, unary in _UNARY.items():
        setattr(Array, f"__{name}__", unwrap(unary))
    special = {
        "round": _round, "iter": _iter, "contains": _contains, "getitem": getitem, "array_namespace": _array_namespace,
        "array_ufunc": array_ufunc, "array_function": array_function,
    }  # fmt: skip
    for name, method in special.items():
        setattr(Array, f"__{name}__", method)
    for name, method in _METHODS.items():
        setattr(Array, name, method)
    for name, (getter, doc) in _PROPERTIES.items():
        setattr(Array, name, property(getter, doc=doc))
    for name, fix in _IN_PLACE.items():
        setattr(Array, name, _immutable(name, fix))
