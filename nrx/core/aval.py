"""Abstract values: what is known of an array without its data."""

from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.dims import Dim
from nrx.core.errors import DifferentiationError
from nrx.core.shapes import Shape, size

_INTERNED: dict[tuple, "Aval"] = {}
_MOST_INTERNED = 1 << 16


class Aval:
    """Shape, dtype and weak type of an array.

    Avals are interned as far as memory allows: equal ones are nearly always the same object, quick to compare.
    """

    __slots__ = ("_hash", "dtype", "shape", "weak_type")
    shape: Shape
    dtype: np.dtype
    weak_type: bool
    _hash: int

    def __new__(cls, shape: Shape, dtype: np.dtype, weak_type: bool = False) -> "Aval":
        key = (shape, dtype, weak_type)
        is_open = Dim in map(type, shape)  # equal to the aval of its numbers, which must not be taken for it
        found = None if is_open else _INTERNED.get(key)
        if found is not None:
            return found
        self = super().__new__(cls)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "weak_type", weak_type)
        object.__setattr__(self, "_hash", hash(key))
        if is_open:
            return self
        if len(_INTERNED) >= _MOST_INTERNED:
            _INTERNED.clear()
        return _INTERNED.setdefault(key, self)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("an Aval is immutable")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Aval)
            and (self.shape, self.dtype, self.weak_type) == (other.shape, other.dtype, other.weak_type)
        )

    def __reduce__(self):
        return Aval, (self.shape, self.dtype, self.weak_type)

    def __repr__(self) -> str:
        return f"{dtypes.short_name(self.dtype)}[{','.join(map(str, self.shape))}]" + "*" * self.weak_type

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Any:
        return size(self.shape)

    def update(
        self, shape: Shape | None = None, dtype: np.dtype | None = None, weak_type: bool | None = None
    ) -> "Aval":
        """The same with some fields replaced."""
        return Aval(
            self.shape if shape is None else shape,
            self.dtype if dtype is None else dtype,
            self.weak_type if weak_type is None else weak_type,
        )

    def with_dims(self, shape: Shape) -> "Aval":
        """The same with a shape of Dims; equal to this one, but an object of its own."""
        aval = object.__new__(Aval)
        for name in ("dtype", "weak_type", "_hash"):
            object.__setattr__(aval, name, getattr(self, name))
        object.__setattr__(aval, "shape", shape)
        return aval

    @property
    def strong(self) -> "Aval":
        return Aval(self.shape, self.dtype) if self.weak_type else self

    @property
    def tangent(self) -> "Aval":
        """The aval of a tangent or cotangent of such a value."""
        return Aval(self.shape, dtypes.tangent_dtype(self.dtype), self.weak_type and dtypes.is_inexact(self.dtype))


class Zero:
    """A tangent or cotangent known to be zero; never materialised unless a rule asks for it."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval):
        self.aval = aval

    def __repr__(self) -> str:
        return f"Zero({self.aval})"


class Linear:
    """Stands, in a transpose rule, for an argument the primitive is linear in."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval):
        self.aval = aval

    def __repr__(self) -> str:
        return f"Linear({self.aval})"

    def __nrx_array__(self) -> Any:
        raise DifferentiationError(
            "the function to transpose is not linear: something that depends on its arguments is a factor of another",
            fix="transpose linear functions; for the transpose of a derivative use vjp",
        )
