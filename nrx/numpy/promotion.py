"""How operands of different dtypes and shapes meet: JAX's promotion, NumPy's broadcasting.

`Elementwise` is the one mechanism under the functions of several operands. Evaluated op by op, it remembers for each
combination of operands what has to be done, and leaves the broadcasting to NumPy or CuPy.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, asarray
from nrx.core.aval import Aval
from nrx.core.backend import Device
from nrx.core.config import config, rare
from nrx.core.errors import DTypeError, ShapeError, user_source
from nrx.core.primitive import Primitive
from nrx.core.shapes import broadcast_shapes, show
from nrx.core.trace import is_evaluating
from nrx.ops.common import as_arrays, scalar_array
from nrx.ops.structural import broadcast_to, convert_element_type

_MOST_PLANS = 4096
_SCALARS = frozenset((bool, int, float, complex))


def as_inexact(name: str, x: Any) -> Array:
    """An operand of a function that is defined for floating and complex numbers: integers become the default float."""
    (array,) = as_arrays(name, x)
    if dtypes.is_inexact(array.dtype):
        return array
    dtype, weak = _inexact(array.dtype, array.weak_type)
    return convert_element_type(array, dtype, weak)


def promote_dtypes(name: str, *values: Any, inexact: bool = False) -> list[Array]:
    """The operands of `name` as Arrays of their common dtype, which is floating or complex if `inexact`."""
    operands = _huge_integers_as_floats(values)
    arrays = as_arrays(name, *operands)
    dtype, weak = dtypes.promote_types(*[(x.dtype, x.weak_type) for x in arrays])
    if rare and config.numpy_dtype_promotion == "strict":
        _check_same_dtype(name, arrays)
    if inexact:
        dtype, weak = _inexact(dtype, weak)
    return [_converted(name, v, x, dtype, weak) for v, x in zip(operands, arrays, strict=True)]


def convert(what: str, value: Any, dtype: np.dtype) -> Array:
    """An argument in a dtype; a Python number is rounded to it once. `what` names it."""
    return convert_element_type(value if type(value) in _SCALARS else asarray(value, what), dtype)


def broadcast(arrays: Sequence[Array]) -> list[Array]:
    """Arrays stretched to the shape they have together."""
    first = arrays[0].shape
    if all(x.shape == first for x in arrays):
        return list(arrays)
    shape = broadcast_shapes(*(x.shape for x in arrays))
    if rare and config.numpy_rank_promotion != "allow":
        _check_same_rank(arrays)
    return [x if x.shape == shape else broadcast_to(x, shape) for x in arrays]


def _check_same_dtype(name: str, arrays: Sequence[Array]) -> None:
    if len({x.dtype for x in arrays if not x.weak_type}) > 1:
        raise DTypeError(
            f"{name}: {', '.join(str(x.aval) for x in arrays)} differ in dtype, and numpy_dtype_promotion is 'strict'",
            fix="convert one of them: x.astype(...)",
        )


def _check_same_rank(arrays: Sequence[Array]) -> None:
    if len({x.ndim for x in arrays if x.ndim}) > 1:
        message = f"shapes {', '.join(show(x.shape) for x in arrays)} differ in rank"
        if config.numpy_rank_promotion == "raise":
            raise ShapeError(
                f"{message}, and numpy_rank_promotion is 'raise'", fix="add axes where they belong: x[None, :]"
            )
        warnings.warn(f"{message} at {user_source()}", stacklevel=2)


def reject_complex(name: str, *arrays: Array) -> None:
    """Raise DTypeError for complex operands of a function that takes none."""
    for x in arrays:
        if dtypes.is_complex(x.dtype):
            raise DTypeError(f"{name} does not take complex numbers, got {x.aval}", fix="apply it to x.real and x.imag")


def as_numbers(arrays: Sequence[Array]) -> list[Array]:
    """Operands of one dtype; booleans as the default integer."""
    is_bool = dtypes.is_bool(arrays[0].dtype)
    return [convert_element_type(x, dtypes.scalar_dtype(int)) if is_bool else x for x in arrays]


def _inexact(dtype: np.dtype, weak: bool) -> tuple[np.dtype, bool]:
    return (dtype, weak) if dtypes.is_inexact(dtype) else (dtypes.inexact_dtype(dtype), weak)


def _converted(name: str, value: Any, x: Array, dtype: np.dtype, weak: bool) -> Array:
    if x.dtype == dtype and x.weak_type == weak:
        return x
    if type(value) is int and x.dtype != dtypes.scalar_dtype(int) and not _fits(value, dtype):
        raise DTypeError(
            f"{name}: the integer {value} does not fit into the {dtype} of the array it meets",
            fix="convert the array first: x.astype('int64')",
        )
    return convert_element_type(value if type(value) in _SCALARS else x, dtype, weak)


def _huge_integers_as_floats(values: Sequence[Any]) -> Sequence[Any]:
    """Python integers beyond 64 bits as floats, if they meet floating or complex numbers."""
    if not any(type(v) is int and not -(2**63) <= v < 2**64 for v in values):
        return values
    inexact = any(type(v) in (float, complex) or dtypes.is_inexact(getattr(v, "dtype", dtypes.bool_)) for v in values)
    return [float(v) if type(v) is int else v for v in values] if inexact else values


def _fits(value: int, dtype: np.dtype) -> bool:
    return not dtypes.is_integer(dtype) or dtypes.iinfo(dtype).min <= value <= dtypes.iinfo(dtype).max


class _Plan(NamedTuple):
    """What a combination of operands needs.

    Attributes:
        prim: the primitive to apply.
        out: the aval of the result.
        casts: for each operand the dtype to convert it to, or None; None for all if there is nothing to convert.
        key: the avals by whose identity the combination is known, kept so that no other object takes it over.
    """

    prim: Primitive
    out: Aval
    casts: tuple[np.dtype | None, ...] | None
    key: tuple


class Elementwise:
    """A function of several operands, of any dtypes and shapes that go together, over an elementwise primitive.

    Args:
        name: the name of the function in messages.
        prim: the primitive, which takes operands of one dtype and shape; its impl must broadcast.
        boolean: the primitive that takes its place where all operands are boolean.
        complex: the function of Arrays that takes its place where an operand is complex.
        inexact: whether integers are converted to the default float first.
        real: whether complex operands are refused, and booleans converted to the default integer first.
        selectors: how many of the first operands are not numbers to be promoted, but conditions.
    """

    __slots__ = ("_plans", "boolean", "complex", "inexact", "name", "prim", "real", "selectors")

    def __init__(
        self, name: str, prim: Primitive, *, boolean: Primitive | None = None,
        complex: Callable[..., Array] | None = None, inexact: bool = False, real: bool = False, selectors: int = 0,
    ):  # fmt: skip
        self.name = name
        self.prim = prim
        self.boolean = boolean or prim
        self.complex = complex
        self.inexact = inexact
        self.real = real
        self.selectors = selectors
        self._plans: dict[tuple, _Plan] = {}

    def __call__(self, *operands: Any) -> Array:
        if rare or not is_evaluating():
            return self._apply(operands)
        key = tuple([id(x.aval) if type(x) is ConcreteArray else type(x) for x in operands])
        plan = self._plans.get(key)
        if plan is not None:
            found = _run(plan, operands)
            if found is not None:
                return found
        out = self._apply(operands)
        if plan is None and not out.weak_type:
            self._remember(key, operands, out.aval)
        return out

    def _apply(self, operands: Sequence[Any]) -> Array:
        """The operation by way of the primitive: promoted and broadcast as operations of their own."""
        count = self.selectors
        numbers = promote_dtypes(self.name, *operands[count:], inexact=self.inexact)
        if self.real:
            reject_complex(self.name, *numbers)
            numbers = as_numbers(numbers)
        arrays = broadcast([*as_arrays(self.name, *operands[:count]), *numbers])
        if self.complex is not None and dtypes.is_complex(numbers[0].dtype):
            return self.complex(*arrays)
        return (self.boolean if dtypes.is_bool(numbers[0].dtype) else self.prim).bind(*arrays)

    def _remember(self, key: tuple, operands: Sequence[Any], out: Aval) -> None:
        """Keep the plan of a combination whose result does not depend on the default dtypes."""
        if not all(type(x) is ConcreteArray or type(x) in _SCALARS for x in operands):
            return
        arrays = as_arrays(self.name, *_huge_integers_as_floats(operands))
        pairs = [(x.dtype, x.weak_type) for x in arrays[self.selectors :]]
        dtype, weak = dtypes.promote_types(*pairs)
        if weak or (self.inexact and not dtypes.is_inexact(dtype)) or (self.real and dtypes.is_bool(dtype)):
            return
        if self.complex is not None and dtypes.is_complex(dtype):
            return
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        targets = [x.dtype for x in arrays[: self.selectors]] + [dtype] * len(pairs)
        casts = tuple(
            target if type(x) is not ConcreteArray or x.dtype != target else None
            for x, target in zip(operands, targets, strict=True)
        )
        avals = tuple(x.aval for x in operands if type(x) is ConcreteArray)
        prim = self.boolean if dtypes.is_bool(dtype) else self.prim
        self._plans[key] = _Plan(prim, out, casts if any(casts) else None, avals)


def _run(plan: _Plan, operands: Sequence[Any]) -> ConcreteArray | None:
    """The operation on the data at once, or None where that cannot be done."""
    prim, out, casts, _ = plan
    device, committed = None, False
    for x in operands:
        if type(x) is ConcreteArray:
            if x._device is not device:
                if device is not None:
                    return None
                device = x._device
            committed = committed or x._committed
    if device is None:
        return None
    with device.backend.active(device):
        if casts is None:
            raws = [x._data for x in operands]
        else:
            try:
                raws = [_raw(x, dtype, device) for x, dtype in zip(operands, casts, strict=True)]
            except OverflowError:  # an integer that must wrap
                return None
        return ConcreteArray(device.backend.call(prim, raws, {}, device), out, device, committed)


def _raw(x: Any, dtype: Any, device: Device) -> Any:
    """The data of an array or scalar as `dtype`."""
    if type(x) is ConcreteArray:
        return x._data if dtype is None else x._data.astype(dtype)
    if device.platform == "cpu":
        return np.asarray(x, dtype)
    return device.backend.from_numpy(scalar_array(x, dtype)._data, device)
