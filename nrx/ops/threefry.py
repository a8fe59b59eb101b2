"""The Threefry-2x32 counter-based random number generator, 20 rounds.

It maps a counter of two words to two random words, by a bijection that a key of two words selects.
Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.loops import Expr
from nrx.core.primitive import Primitive
from nrx.core.shapes import broadcast_shapes
from nrx.ops.common import NOT_YET_LOWERED, as_arrays, check_dtype, check_same_shape, elementwise_lower
from nrx.ops.rules import discrete, elementwise_batch
from nrx.ops.structural import broadcast_to

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_MASK = 0xFFFFFFFF

#: Elements encrypted at a time, so that the words of a chunk stay in the cache through all rounds.
_CHUNK = 1 << 15
#: Up to so many elements, Python's integers are faster than a hundred calls of NumPy.
_FEW = 8


# Public functions


def threefry2x32(k1: Any, k2: Any, x1: Any, x2: Any) -> list[Array]:
    """The two words that the key (k1, k2) makes of the counter (x1, x2), elementwise; uint32, broadcast as in NumPy."""
    words = as_arrays("threefry2x32", k1, k2, x1, x2)
    shape = broadcast_shapes(*(word.shape for word in words))
    return threefry2x32_p.bind(*(broadcast_to(word, shape) for word in words))


# impl


def _impl(xp: Any, *words: Any) -> list[Any]:
    shape, size = words[0].shape, words[0].size
    if xp is np and size <= _FEW:
        pairs = [_encrypt_one(*element) for element in zip(*(word.ravel().tolist() for word in words), strict=True)]
        return [np.array(out, np.uint32).reshape(shape) for out in (zip(*pairs, strict=True) if pairs else ((), ()))]
    flat = [_flat(word) for word in words]
    out = [xp.empty(size, np.uint32) for _ in range(2)]
    chunk = _CHUNK if xp is np else max(size, 1)  # a GPU keeps no chunk in a cache
    scratch = xp.empty(min(chunk, size), np.uint32)
    for start in range(0, size, chunk):
        part = slice(start, start + chunk)
        k1, k2, x1, x2 = (word if word.size == 1 else word[part] for word in flat)
        y1, y2 = out[0][part], out[1][part]
        xp.add(x1, k1, y1)
        xp.add(x2, k2, y2)
        _encrypt(xp, (k1, k2, k1 ^ k2 ^ np.uint32(_PARITY)), y1, y2, scratch[: y1.size])
    return [y.reshape(shape) for y in out]


def _flat(word: Any) -> Any:
    """The elements in one axis; a scalar that was broadcast becomes its one element."""
    if all(stride == 0 or length == 1 for stride, length in zip(word.strides, word.shape, strict=True)):
        return word[(slice(0, 1),) * word.ndim].reshape(-1)
    return word.reshape(-1)


def _encrypt(xp: Any, key: tuple, y1: Any, y2: Any, scratch: Any) -> None:
    """The rounds, in place: y1 and y2 hold the counters with the key added."""
    add, left_shift, right_shift = xp.add, xp.left_shift, xp.right_shift
    for number in range(5):
        for rotation in _ROTATIONS[number % 2]:
            add(y1, y2, y1)
            left_shift(y2, np.uint32(rotation), scratch)
            right_shift(y2, np.uint32(32 - rotation), y2)
            xp.bitwise_or(y2, scratch, y2)
            xp.bitwise_xor(y2, y1, y2)
        add(y1, key[(number + 1) % 3], y1)
        add(y2, key[(number + 2) % 3] + np.uint32(number + 1), y2)


def _encrypt_one(k1: int, k2: int, x1: int, x2: int) -> tuple[int, int]:
    """The same for one element, in Python's integers."""
    key = (k1, k2, k1 ^ k2 ^ _PARITY)
    y1, y2 = (x1 + k1) & _MASK, (x2 + k2) & _MASK
    for number in range(5):
        for rotation in _ROTATIONS[number % 2]:
            y1 = (y1 + y2) & _MASK
            y2 = ((y2 << rotation) & _MASK | y2 >> (32 - rotation)) ^ y1
        y1 = (y1 + key[(number + 1) % 3]) & _MASK
        y2 = (y2 + key[(number + 2) % 3] + number + 1) & _MASK
    return y1, y2


# abstract


def _abstract(*words: Aval) -> list[Aval]:
    for word in words:
        check_dtype("threefry2x32", word, (dtypes.uint32,))
    check_same_shape("threefry2x32", *words)
    return [words[0].strong, words[0].strong]


# batch


def _batch(axis: Any, args: Sequence[Array], dims: Sequence[int | None]) -> tuple[list[Array], list[int]]:
    out, at = _batched(axis, args, dims)
    return out, [at, at]


# lower


def _element(k1: Expr, k2: Expr, x1: Expr, x2: Expr) -> list[Expr]:
    key = (k1, k2, k1 ^ k2 ^ _PARITY)
    y1, y2 = x1 + k1, x2 + k2
    for number in range(5):
        for rotation in _ROTATIONS[number % 2]:
            y1 = y1 + y2
            y2 = (y2 << rotation | y2 >> (32 - rotation)) ^ y1
        y1 = y1 + key[(number + 1) % 3]
        y2 = y2 + (key[(number + 2) % 3] + (number + 1))
    return [y1, y2]


# Registration

threefry2x32_p = Primitive("threefry2x32", multiple_results=True, elementwise=True)
_batched = elementwise_batch(threefry2x32_p)
threefry2x32_p.define(impl=_impl, abstract=_abstract, batch=_batch, lower=elementwise_lower(_element, cost=120))
threefry2x32_p.compiled_from = (0, 1 << 16)
discrete(threefry2x32_p).refuse(onnx=NOT_YET_LOWERED)
