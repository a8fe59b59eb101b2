"""Dtypes as `nrx.numpy` offers them: `float32`, `bool_`, …, and the questions asked of dtypes."""

from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, scalar_aval
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import DTypeError
from nrx.numpy.data import asarray


class ScalarType:
    """A dtype that makes arrays when it is called; accepted wherever a dtype is.

    Args:
        dtype: the `numpy.dtype` it stands for.

    >>> import nrx.numpy as jnp
    >>> jnp.float32(1)
    Array(1., dtype=float32)
    >>> jnp.zeros(2).dtype == jnp.float32
    True
    """

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype

    def __call__(self, value: Any = 0) -> Array:
        return asarray(value, dtype=self.dtype)

    @property
    def __name__(self) -> str:
        return self.dtype.name

    def __repr__(self) -> str:
        return f"nrx.numpy.{self.dtype.name}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ScalarType):
            return self.dtype == other.dtype
        return isinstance(other, np.dtype | type | str) and self.dtype == other

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __reduce__(self):
        return ScalarType, (self.dtype,)


bool_ = ScalarType(dtypes.bool_)
int8, int16, int32, int64 = (ScalarType(d) for d in dtypes.SIGNED)
uint8, uint16, uint32, uint64 = (ScalarType(d) for d in dtypes.UNSIGNED)
float16, bfloat16, float32, float64 = (ScalarType(d) for d in dtypes.FLOATS)
complex64, complex128 = (ScalarType(d) for d in dtypes.COMPLEX)
#: The fp8 types, by name: float8_e4m3fn, float8_e5m2, …
fp8 = {dtype.name: ScalarType(dtype) for dtype in dtypes.FP8}

# NumPy's abstract types, for `issubdtype`.
generic, number, inexact, floating = np.generic, np.number, np.inexact, np.floating
complexfloating, integer, signedinteger, unsignedinteger = (
    np.complexfloating, np.integer, np.signedinteger, np.unsignedinteger,
)  # fmt: skip


def dtype(value: Any) -> np.dtype:
    """The `numpy.dtype` that a name, a type or a dtype stands for.

    Args:
        value: `"float32"`, `nrx.numpy.float32`, `numpy.float32`, `float` (the default float), …

    Returns:
        A `numpy.dtype`.

    Raises:
        DTypeError: there is no such dtype here.

    >>> import nrx.numpy as jnp
    >>> jnp.dtype("bfloat16"), jnp.dtype(float)
    (dtype(bfloat16), dtype('float32'))
    """
    return canonical_dtype(value)


def promote_types(a: Any, b: Any) -> np.dtype:
    """The dtype that results where two dtypes meet; Python's `int`, `float` and `complex` are weak.

    Args:
        a: a dtype.
        b: a dtype.

    Returns:
        A `numpy.dtype`.

    Raises:
        DTypeError: they have no common dtype (two fp8 types).

    >>> import nrx.numpy as jnp
    >>> jnp.promote_types("int32", "float16")
    dtype('float16')
    """
    return result_type(np.dtype(a) if isinstance(a, str) else a, np.dtype(b) if isinstance(b, str) else b)


def result_type(*values: Any) -> np.dtype:
    """The dtype that results where arrays, Python scalars and dtypes meet.

    Args:
        values: arrays, scalars and dtypes.

    Returns:
        A `numpy.dtype`.

    Raises:
        DTypeError: there is no value.

    >>> import nrx.numpy as jnp
    >>> jnp.result_type(jnp.ones(3, "int32"), 2.0)
    dtype('float32')
    """
    if not values:
        raise DTypeError("result_type needs at least one array or dtype")
    return dtypes.promote_types(*map(_typed, values))[0]


def _typed(value: Any) -> tuple[np.dtype, bool]:
    """The dtype and weak type of an array, scalar or dtype."""
    if isinstance(value, type) and value in (int, float, complex):
        return dtypes.scalar_dtype(value), True
    if isinstance(value, Array):
        return value.dtype, value.weak_type
    aval = scalar_aval(value)
    if aval is not None:
        return aval.dtype, aval.weak_type
    return canonical_dtype(value.dtype if hasattr(value, "dtype") else value), False


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether a dtype converts to another under a rule of `numpy.can_cast`.

    Args:
        from_: a dtype or an array.
        to: a dtype.
        casting: "no", "equiv", "safe", "same_kind" or "unsafe".

    Returns:
        A bool.

    >>> import nrx.numpy as jnp
    >>> jnp.can_cast("int32", "float64"), jnp.can_cast("float32", "int32")
    (True, False)
    """
    return np.can_cast(_typed(from_)[0], canonical_dtype(to), casting=casting)  # type: ignore[arg-type]


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether dtype `arg1` is `arg2` or of this kind: `floating`, `integer`, `number`, … (bfloat16, fp8 are floating).

    Args:
        arg1: a dtype.
        arg2: a dtype or one of the abstract types.

    Returns:
        A bool.

    >>> import nrx.numpy as jnp
    >>> jnp.issubdtype(jnp.bfloat16, jnp.floating), jnp.issubdtype("int32", jnp.inexact)
    (True, False)
    """
    concrete = isinstance(arg2, str | ScalarType | np.dtype) or arg2 in (bool, int, float, complex)
    if isinstance(arg1, type) and issubclass(arg1, np.generic) and arg1 in _ABSTRACT:
        return not concrete and issubclass(arg1, arg2)
    found = canonical_dtype(arg1)
    if concrete or arg2 not in _ABSTRACT:
        return found == canonical_dtype(arg2)
    return issubclass(np.floating if dtypes.is_floating(found) else found.type, arg2)


_ABSTRACT = frozenset(
    (
        generic,
        number,
        inexact,
        floating,
        complexfloating,
        integer,
        signedinteger,
        unsignedinteger,
        np.character,
        np.flexible,
        np.object_,
        dtypes.extended,
        dtypes.prng_key,
    )
)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind of the array API standard.

    Args:
        dtype: a dtype.
        kind: a dtype, "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating",
            "numeric", or a tuple of them.

    Returns:
        A bool, a Python one.

    >>> import nrx.numpy as jnp
    >>> jnp.isdtype(jnp.float32, ("integral", "real floating"))
    True
    """
    found = canonical_dtype(dtype)
    return any(found in _KINDS[k] if k in _KINDS else found == canonical_dtype(k) for k in _as_tuple(kind))


def _as_tuple(kind: Any) -> tuple:
    return kind if isinstance(kind, tuple) else (kind,)


_FLOATING = dtypes.FLOATS + dtypes.FP8
_KINDS: dict[Any, tuple[np.dtype, ...]] = {
    "bool": (dtypes.bool_,),
    "signed integer": dtypes.SIGNED,
    "unsigned integer": dtypes.UNSIGNED,
    "integral": dtypes.INTEGERS,
    "real floating": _FLOATING,
    "complex floating": dtypes.COMPLEX,
    "numeric": dtypes.INTEGERS + _FLOATING + dtypes.COMPLEX,
}
