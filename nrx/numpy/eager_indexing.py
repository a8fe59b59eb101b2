"""Indexing evaluated at once: NumPy does it, where all is known and on the CPU.

Whatever is less plain, mistakes included, is left to the general way (`indexing`): here that is None. So are large
updates, for which there are compiled loops.
"""

from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray
from nrx.core.aval import Aval
from nrx.core.config import rare
from nrx.core.trace import is_plain

_MOST = 1 << 18
_MOST_COMBINED = 1 << 12
#: Not uint64, the highest of which would wrap around.
_POSITIONS = frozenset(map(np.dtype, ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")))
_BOOL = np.dtype(bool)
_ITEMS = frozenset((int, type(None), type(...), bool))
_BOUNDS = frozenset((int, type(None)))
_UFUNCS = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}


def read_at_once(x: Any, index: Any) -> Array | None:
    """`x[index]`."""
    items = _as_numpys(x, index)
    if items is None:
        return None
    try:
        data = _read(x._data, items)
    except (IndexError, ValueError):
        return None
    if not data.size:  # NumPy did not look at the positions
        return None
    return _result(data, x)


def _read(data: np.ndarray, items: tuple) -> Any:
    """`data[items]`; one array of positions or one mask has a quicker way in NumPy, a mask up to eight times so."""
    if len(items) != 1 or type(items[0]) is not np.ndarray or not data.ndim:
        return data[items]
    (chosen,) = items
    if chosen.dtype != _BOOL:
        return data.take(chosen, 0)
    if not chosen.ndim or chosen.shape != data.shape[: chosen.ndim]:
        return data[items]
    return data.reshape(-1, *data.shape[chosen.ndim :]).compress(chosen.ravel(), 0)


def updated_at_once(x: Any, index: Any, value: Any, how: str) -> Array | None:
    """A copy of `x` with `x[index]` updated with a value of its dtype; see `indexing.updated`."""
    items = _as_numpys(x, index)
    if items is None or not _is_beside(value, x):
        return None
    arrays = [item for item in items if type(item) is np.ndarray]
    if any(array.size >= _MOST for array in (value, *arrays)):
        return None
    with_masks = len(arrays) > 1 and any(a.dtype == _BOOL for a in arrays)
    if arrays and (len(items) != len(arrays) or with_masks or not all(a.size for a in (value, *arrays))):
        return None  # NumPy might not look at the positions
    if how != "set" and (x.dtype.kind not in "iufc" or x.dtype == np.float16):
        return None
    data = x._data.copy()
    try:
        with x._device.backend.active(x._device):
            if how == "set":
                data[items] = value._data
            elif not _combine(data, items, value._data, _UFUNCS[how], bool(arrays)):
                return None
    except (IndexError, TypeError, ValueError):  # TypeError: one element of a dtype that NumPy converts as a number
        return None
    return _result(data, x)


def _combine(data: np.ndarray, items: tuple, new: np.ndarray, ufunc: np.ufunc, repeated: bool) -> bool:
    """Whether `data[items]` was combined with new values; elements may be `repeated`."""
    old = data[items]
    if not repeated:
        data[items] = ufunc(old, new)
        return True
    if old.size >= _MOST_COMBINED:
        return False
    # The values in full: NumPy 2.4 reads beyond the end of what `at` has to broadcast.
    ufunc.at(data, items, np.broadcast_to(new, old.shape).copy())
    return True


def _result(data: Any, x: Any) -> ConcreteArray:
    if type(data) is not np.ndarray:
        data = np.asarray(data)
    return ConcreteArray(data, Aval(data.shape, x.aval.dtype, x.aval.weak_type), x._device, x._committed)


def _as_numpys(x: Any, index: Any) -> tuple | None:
    """The index as one that NumPy takes, of plain items."""
    if type(x) is not ConcreteArray or rare or not is_plain():
        return None
    if x._device.platform != "cpu" or x.aval.dtype is dtypes.key_dtype:
        return None
    if type(index) is not tuple:
        if type(index) is int:
            return (index,)
        index = (index,)
    items = []
    for item in index:
        kind = type(item)
        if kind is slice:
            if not (type(item.start) in _BOUNDS and type(item.stop) in _BOUNDS and type(item.step) in _BOUNDS):
                return None
        elif kind is ConcreteArray and _is_beside(item, x):
            item = item._data
            kind = np.ndarray
        elif kind not in _ITEMS and kind is not np.ndarray:
            return None
        if kind is np.ndarray and item.dtype not in _POSITIONS and item.dtype != _BOOL:
            return None
        items.append(item)
    return tuple(items)


def _is_beside(array: Any, x: Any) -> bool:
    """Whether an array is where `x` is, and the result with it."""
    return type(array) is ConcreteArray and array._device is x._device and (x._committed or not array._committed)
