"""Dtypes and the promotion lattice.

A dtype is a `numpy.dtype`; bfloat16 and the fp8 types come from `ml_dtypes`. Promotion follows JAX's lattice: Python
scalars (and arrays made from nothing else) are *weakly* typed and take the dtype of whatever they meet, an integer
meeting a float takes the float's dtype, so int32 + float32 is float32. One difference from JAX: a signed and an
unsigned 64-bit integer meet in float64, whatever the default float, since 64-bit dtypes always work here.

The lattice is JAX's published type-promotion design (JAX documentation, "Type promotion semantics").
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

from nrx.core.config import config
from nrx.core.errors import DTypeError

bool_ = np.dtype("bool")
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
float16, float32, float64 = (np.dtype(f"float{n}") for n in (16, 32, 64))
bfloat16 = np.dtype(ml_dtypes.bfloat16)
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")

_FP8_NAMES = (
    "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "float8_e8m0fnu",
)  # fmt: skip
FP8 = tuple(np.dtype(getattr(ml_dtypes, name)) for name in _FP8_NAMES if hasattr(ml_dtypes, name))

SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGERS = SIGNED + UNSIGNED
FLOATS = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
ALL = (bool_, *INTEGERS, *FLOATS, *COMPLEX, *FP8)


class extended(np.generic):  # noqa: N801 - JAX's name
    """The kind of dtypes that NumPy does not have."""


class prng_key(extended):  # noqa: N801 - JAX's name
    """The kind of the dtypes of keys of random number generators."""


class KeyDtype:
    """The dtype of keys, `key<fry>`: an element is a key of Threefry-2x32.

    Raw arrays hold an element as the `storage` says: the first word of a key is the low half of it. Keys can be moved
    and compared; `bitcast_convert_type` between them and pairs of uint32 is all else there is.
    """

    name, kind, itemsize, type = "key<fry>", "V", 8, prng_key
    storage = uint64

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return "key_dtype"


key_dtype: Any = KeyDtype()


def storage(dtype: Any) -> np.dtype:
    """The dtype of raw arrays of `dtype`: itself, but for keys."""
    return uint64 if dtype is key_dtype else dtype


#: The dtype of the tangent of an integer or boolean: it carries no information.
float0 = np.dtype([("float0", np.void, 0)])

_BY_NAME = {dtype.name: dtype for dtype in (*ALL, key_dtype)}
_SUPPORTED = frozenset((*ALL, key_dtype))
_FLOATING = frozenset(FLOATS + FP8)
_INEXACT = frozenset(FLOATS + FP8 + COMPLEX)
_INTEGER = frozenset(INTEGERS)
_COMPLEX = frozenset(COMPLEX)
_NARROW = frozenset((float16, bfloat16, *FP8))
_SHORT = {
    **{d: d.name.replace("uint", "u").replace("int", "i").replace("float", "f").replace("complex", "c") for d in ALL},
    bfloat16: "bf16",
    float0: "float0",
    key_dtype: key_dtype.name,
}
_BY_SHORT_NAME = {name: dtype for dtype, name in _SHORT.items()}


def canonical_dtype(dtype: Any, operand: np.dtype | None = None) -> np.dtype:
    """The supported `numpy.dtype` that `dtype` names.

    Python's `float`, `int` and `complex` mean the default dtypes, but wider ones for data of the dtype `operand` that
    would lose precision; a name, a NumPy scalar type or a dtype means itself.
    """
    if isinstance(dtype, type) and dtype in (float, int, complex, bool):
        return scalar_dtype(dtype) if operand is None else _wide_enough(dtype, operand)
    if isinstance(dtype, KeyDtype):
        return dtype  # type: ignore[return-value]
    try:
        found = _BY_NAME[dtype] if isinstance(dtype, str) and dtype in _BY_NAME else np.dtype(dtype).newbyteorder("=")
    except TypeError:
        raise DTypeError(f"{dtype!r} is not a dtype", fix=f"use one of {', '.join(_BY_NAME)}") from None
    if found not in _SUPPORTED and found != float0:
        raise DTypeError(f"dtype {found} is not supported", fix=f"use one of {', '.join(_BY_NAME)}")
    return found


def scalar_dtype(kind: type) -> np.dtype:
    """The dtype that creation gives to Python's bool, int, float or complex."""
    if kind is bool:
        return bool_
    if kind is int:
        return config.default_int
    if kind is float:
        return config.default_float
    return complex128 if config.default_float == float64 else complex64


def _wide_enough(kind: type, operand: np.dtype) -> np.dtype:
    """The default dtype of the kind; for an operand of the same kind that is wider (floats and complex numbers are of
    one kind, as are all integers), the dtype of that width."""
    default = kept = scalar_dtype(kind)
    if kind is int and operand in _INTEGER:
        kept = np.dtype(f"int{8 * operand.itemsize}")
    elif kind in (float, complex) and operand in _INEXACT:
        kept = real_part_dtype(operand) if kind is float else complex_dtype(operand)
    return kept if kept.itemsize > default.itemsize else default


def short_name(dtype: np.dtype) -> str:
    """The name in printed programs: f32, i64, bf16, bool."""
    return _SHORT[dtype]


def from_short_name(name: str) -> np.dtype:
    """The dtype of that short name."""
    return _BY_SHORT_NAME[name]


def is_floating(dtype: np.dtype) -> bool:
    """Real floating point (fp8 and bfloat16 included)."""
    return dtype in _FLOATING


def is_inexact(dtype: np.dtype) -> bool:
    """Floating point or complex: the dtypes that have derivatives."""
    return dtype in _INEXACT


def is_integer(dtype: np.dtype) -> bool:
    """Signed or unsigned integer; not bool."""
    return dtype in _INTEGER


def is_unsigned(dtype: np.dtype) -> bool:
    return dtype.kind == "u"


def is_complex(dtype: np.dtype) -> bool:
    return dtype in _COMPLEX


def is_bool(dtype: np.dtype) -> bool:
    return dtype == bool_


def is_narrow(dtype: np.dtype) -> bool:
    """Floating point of 16 bits or less: stored so, computed in float32."""
    return dtype in _NARROW


def real_part_dtype(dtype: np.dtype) -> np.dtype:
    """float32 for complex64, float64 for complex128, else the dtype itself."""
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def complex_dtype(dtype: np.dtype) -> np.dtype:
    """The complex dtype whose parts hold `dtype`."""
    return complex128 if dtype in (float64, complex128) else complex64


def inexact_dtype(dtype: np.dtype) -> np.dtype:
    """`dtype` if it is inexact, else its promotion with the default float: what sin, divide and mean compute in."""
    return dtype if is_inexact(dtype) else promote(dtype, config.default_float)


def tangent_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of a derivative with respect to a value of `dtype`."""
    return dtype if is_inexact(dtype) else float0


@dataclass(frozen=True)
class FloatLimits:
    """Machine limits of a floating dtype under the names of `numpy.finfo`, as Python numbers."""

    dtype: np.dtype
    bits: int
    eps: float
    epsneg: float
    iexp: int
    machep: int
    max: float
    maxexp: int
    min: float
    minexp: int
    negep: int
    nexp: int
    nmant: int
    precision: int
    resolution: float
    smallest_normal: float
    smallest_subnormal: float
    tiny: float


def finfo(dtype: Any) -> FloatLimits:
    """Machine limits of a floating or complex dtype, as `numpy.finfo`, with bfloat16 and fp8.

    Raises:
        DTypeError: the `dtype` is of another kind.

    >>> import nrx
    >>> nrx.numpy.finfo("bfloat16").eps
    0.0078125
    """
    dtype = canonical_dtype(dtype)
    if not is_inexact(dtype):
        raise DTypeError(f"finfo needs a floating dtype, got {dtype}", fix="use iinfo for integers")
    return _finfo(dtype)


@cache
def _finfo(dtype: np.dtype) -> FloatLimits:
    limits = ml_dtypes.finfo(dtype)
    numbers: dict[str, Any] = {field.name: getattr(limits, field.name) for field in fields(FloatLimits)}
    floats = {field.name for field in fields(FloatLimits) if field.type is float}
    numbers |= {name: float(numbers[name]) for name in floats}
    return FloatLimits(**numbers)


def iinfo(dtype: Any) -> ml_dtypes.iinfo:
    """Machine limits of an integer dtype, as `numpy.iinfo`.

    Raises:
        DTypeError: the `dtype` is of another kind.

    >>> import nrx
    >>> nrx.numpy.iinfo("int8").max
    127
    """
    dtype = canonical_dtype(dtype)
    if not is_integer(dtype):
        raise DTypeError(f"iinfo needs an integer dtype, got {dtype}", fix="use finfo for floats")
    return ml_dtypes.iinfo(dtype)


# The lattice. Nodes are dtypes and the weak types 'i*', 'f*', 'c*'; each edge goes to an immediate upper bound.
_WEAK = {"i": "i*", "u": "i*", "f": "f*", "c": "c*"}
_KINDS = {"i*": int, "f*": float, "c*": complex}
_UPPER: dict[Any, tuple[Any, ...]] = {
    bool_: ("i*",),
    "i*": (uint8, int8),
    uint8: (int16, uint16), uint16: (int32, uint32), uint32: (int64, uint64), uint64: ("f*",),
    int8: (int16,), int16: (int32,), int32: (int64,), int64: ("f*",),
    "f*": ("c*", float16, bfloat16, *FP8),
    float16: (float32,), bfloat16: (float32,), float32: (float64, complex64), float64: (complex128,),
    "c*": (complex64,), complex64: (complex128,), complex128: (),
    **dict.fromkeys(FP8, ()), key_dtype: (),
}  # fmt: skip


@cache
def _bounds(node: Any) -> frozenset:
    return frozenset({node}).union(*(_bounds(upper) for upper in _UPPER[node]))


@cache
def _join(a: Any, b: Any) -> Any:
    common = _bounds(a) & _bounds(b)
    least = [node for node in common if common <= _bounds(node)]
    if len(least) != 1:
        a, b = (f"a Python {_KINDS[node].__name__}" if isinstance(node, str) else node for node in (a, b))
        if key_dtype in (a, b):
            raise DTypeError(
                f"keys are no numbers: {a} and {b} have no common dtype",
                fix="draw numbers with a key: nrx.random.normal(key, shape); nrx.random.key_data(key) gives its words",
            )
        raise DTypeError(f"{a} and {b} have no common dtype", fix="convert one of them explicitly with .astype(...)")
    return least[0]


def _node(dtype: np.dtype, weak: bool) -> Any:
    return _WEAK.get("f" if dtype in _FLOATING else dtype.kind, dtype) if weak else dtype


@cache
def _join_all(nodes: frozenset) -> Any:
    joined, *rest = nodes
    for node in rest:
        joined = _join(joined, node)
    # Only integers meeting in a float: int64 with uint64, for which the default float may be too narrow.
    return float64 if joined == "f*" and "f*" not in nodes else joined


def promote_types(*types: tuple[np.dtype, bool]) -> tuple[np.dtype, bool]:
    """The least common (dtype, weak_type) of several (dtype, weak_type) pairs."""
    if len(set(types)) == 1:
        return types[0]
    node = _join_all(frozenset(_node(dtype, weak) for dtype, weak in types))
    if not isinstance(node, str):
        return node, False
    # All weak: the default dtype, unless a Python integer was too large for it.
    candidates = [scalar_dtype(_KINDS[node]), *(dtype for dtype, weak in types if weak and _node(dtype, True) == node)]
    return max(candidates, key=lambda dtype: dtype.itemsize), True


def promote(*dtypes: np.dtype) -> np.dtype:
    """The least common dtype of strongly typed `dtypes`."""
    return promote_types(*((dtype, False) for dtype in dtypes))[0]
