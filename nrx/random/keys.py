"""Keys: making, splitting and folding them, and the random bits that everything else is made of.

A key is one of the cipher Threefry-2x32: a uint32 array of shape (2,) (a raw key), or a scalar of the dtype `key<fry>`
(a typed key), which holds the same two words. Element i of a draw is what the cipher makes
of the counter i, so that no element depends on the shape or on the others, and the same key gives the same values on
every device. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.config import config
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.core.shapes import Shape, canonical_shape, show, size
from nrx.ops.arithmetic import add, mul
from nrx.ops.common import scalar_array
from nrx.ops.logic import bitwise_xor, shift_right_logical
from nrx.ops.slicing import concatenate
from nrx.ops.slicing import split as split_array
from nrx.ops.structural import bitcast_convert_type, convert_element_type, expand_dims, iota, reshape
from nrx.ops.threefry import threefry2x32
from nrx.random.large import compiled_if_large

_IMPLEMENTATION = "threefry2x32"
_IMPLEMENTATIONS = (None, _IMPLEMENTATION, "fry", dtypes.key_dtype)
_MOST_COUNTED = 1 << 32
_A_KEY = "a uint32 array of shape (2,), or of dtype key<fry>"
_MAKE_ONE = "make one with nrx.random.key(0)"


# Making keys


def PRNGKey(seed: Any, *, impl: str | None = None) -> Array:  # noqa: N802 - JAX's name
    """The key of a seed.

    Args:
        seed: an integer; a Python int (of up to 64 bits, negative ones included) or an integer array of shape ().
        impl: None or "threefry2x32", the only generator there is.

    Returns:
        A uint32 array of shape (2,): the high and the low word of the seed. An array of 32 bits or fewer has no high
        word.

    Raises:
        ArgumentTypeError: the seed is no integer.
        ArgumentError: the seed does not fit into 64 bits, or `impl` is another generator.
        ShapeError: the seed is not a scalar.

    >>> import nrx
    >>> nrx.random.PRNGKey(42)
    Array([ 0, 42], dtype=uint32)
    """
    _check_implementation(impl)
    return _seeded("PRNGKey", seed)


def _seeded(name: str, seed: Any) -> Array:
    """The raw key of a seed, for the function `name`."""
    if isinstance(seed, int):
        if not -(1 << 63) <= seed < 1 << 64:
            raise ArgumentError(f"{name}: the seed {seed} does not fit into 64 bits", fix=f"{name}(seed % {1 << 64})")
        word = (1 << 32) - 1
        return asarray(np.array([seed >> 32 & word, seed & word], np.uint32))
    seed = _integer_scalar(name, "the seed", seed)
    high = shift_right_logical(seed, 32) if seed.dtype.itemsize == 8 else 0
    return _join(_uint32(high), _uint32(seed))


def key(seed: Any, *, impl: str | None = None, dtype: Any = None) -> Array:
    """The key of a seed, as a scalar of the dtype `key<fry>`.

    Both kinds of keys can be used everywhere and give the same numbers. These, unlike `PRNGKey`'s, are not numbers that
    one can add by mistake, and an array of n of them has the shape (n,).

    Args:
        seed: an integer; a Python int (of up to 64 bits, negative ones included) or an integer array of shape ().
        impl, dtype: None, or the only generator there is: "threefry2x32", "fry", `key_dtype()`.

    Returns:
        An array of shape () and dtype `key<fry>`.

    Raises:
        ArgumentTypeError: the seed is no integer.
        ArgumentError: the seed does not fit into 64 bits, or another generator is asked for.
        ShapeError: the seed is not a scalar.

    >>> import nrx
    >>> nrx.random.key(42)
    Array((), dtype=key<fry>) of
    [ 0 42]
    """
    _check_implementation(impl if dtype is None else dtype)
    return _typed(_seeded("key", seed))


def key_data(keys: Any) -> Array:
    """The words of keys.

    Args:
        keys: keys of either kind.

    Returns:
        A uint32 array of shape (..., 2).

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `keys` are no keys.

    >>> import nrx
    >>> nrx.random.key_data(nrx.random.key(42))
    Array([ 0, 42], dtype=uint32)
    """
    return _check_keys("key_data", keys)


def wrap_key_data(key_bits_array: Any, *, impl: str | None = None, dtype: Any = None) -> Array:
    """Keys from their words, for example from words that were stored in a file.

    Args:
        key_bits_array: a uint32 array of shape (..., 2).
        impl, dtype: None, or the only generator there is: "threefry2x32", "fry", `key_dtype()`.

    Returns:
        An array of shape (...) and dtype `key<fry>`.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: the array does not hold words of keys.
        ArgumentError: another generator is asked for.

    >>> import nrx
    >>> import numpy as np
    >>> nrx.random.wrap_key_data(np.array([0, 42], np.uint32)).dtype
    key<fry>
    """
    _check_implementation(impl if dtype is None else dtype)
    return _typed(_check_keys("wrap_key_data", key_bits_array))


def key_dtype(impl_spec: Any = None) -> Any:
    """The dtype of typed keys, for `ShapeDtypeStruct` and the like.

    Args:
        impl_spec: None, or the only generator there is: "threefry2x32" or "fry".

    Returns:
        The dtype `key<fry>`, which is a `nrx.dtypes.prng_key`.

    Raises:
        ArgumentError: another generator is asked for.

    >>> import nrx
    >>> nrx.ShapeDtypeStruct((3,), nrx.random.key_dtype())
    ShapeDtypeStruct(shape=(3,), dtype=key<fry>)
    """
    _check_implementation(impl_spec)
    return dtypes.key_dtype


def key_impl(keys: Any) -> str:
    """The name of the generator that keys belong to.

    Args:
        keys: keys of either kind.

    Returns:
        "threefry2x32".

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `keys` are no keys.

    Shapes do not matter; typed keys have it in their dtype, raw ones are uint32.

    >>> import nrx
    >>> nrx.random.key_impl(nrx.random.key(42))
    'threefry2x32'
    """
    _check_keys("key_impl", keys)
    return _IMPLEMENTATION


def clone(key: Any) -> Array:
    """The key, for a second use on purpose (JAX can be asked to check that no key is used twice).

    Args:
        key: keys of either kind.

    Returns:
        `key`, in its shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key.

    >>> import nrx
    >>> nrx.random.clone(nrx.random.PRNGKey(42))
    Array([ 0, 42], dtype=uint32)
    """
    _check_keys("clone", key)
    return asarray(key)


# New keys from old


def split(key: Any, num: int | tuple[int, ...] = 2) -> Array:
    """New keys from one, independent of each other and of it.

    Args:
        key: a key.
        num: how many: an int, or the shape of an array of keys.

    Returns:
        An array of `num` keys of the same kind: of shape (num, 2) for a raw key, (num,) for a typed one. The first n
        of them do not depend on how many there are. The dtype stays.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, or `num` no shape.

    >>> import nrx
    >>> key, subkey = nrx.random.split(nrx.random.PRNGKey(0))
    >>> subkey
    Array([ 928981903, 3453687069], dtype=uint32)
    """
    shape = canonical_shape(num)
    return _like(key, reshape(_split("split", key, shape), (*shape, 2)))


def fold_in(key: Any, data: Any) -> Array:
    """A new key from a key and a number, such as the number of a step or of a worker.

    `fold_in(key, i)` is `split(key, n)[i]`: do not both split a key and fold small numbers into it.

    Args:
        key: a key.
        data: an integer of 32 bits: a Python int from 0 to 2**32 - 1, or an integer array of shape (), taken modulo
            2**32.

    Returns:
        A key of the same kind.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, or `data` no integer scalar.
        ArgumentError: `data` is a Python int that does not fit into 32 unsigned bits.

    >>> import nrx
    >>> nrx.random.fold_in(nrx.random.PRNGKey(0), 5)
    Array([1524306142, 1887795613], dtype=uint32)
    """
    if isinstance(data, int) and not 0 <= data < 1 << 32:
        raise ArgumentError(
            f"fold_in: data must be from 0 to 2**32 - 1, got {data}", fix=f"fold_in(key, data % {1 << 32})"
        )
    if type(data) is not int:
        data = _integer_scalar("fold_in", "data", data)
    return _like(key, concatenate(threefry2x32(*_words("fold_in", key), _uint32(0), _uint32(data)), 0))


# Bits


def bits(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Random bits, as unsigned integers: every value of the dtype is equally likely.

    Args:
        key: a key.
        shape: the shape of the result.
        dtype: uint8, uint16, uint32 or uint64; by default uint32 (uint64 where the default integer is int64).

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no unsigned integer or `shape` no shape.

    >>> import nrx
    >>> nrx.random.bits(nrx.random.PRNGKey(0), (3,), "uint8")
    Array([167, 146,  40], dtype=uint8)
    """
    if dtype is None:
        dtype = dtypes.uint64 if config.default_int == dtypes.int64 else dtypes.uint32
    dtype = dtypes.canonical_dtype(dtype)
    if dtype not in dtypes.UNSIGNED:
        raise DTypeError(f"bits: dtype must be an unsigned integer, got {dtype}", fix="use randint for signed integers")
    return draw_bits("bits", key, canonical_shape(shape), dtype)


@compiled_if_large
def draw_bits(name: str, key: Any, shape: Shape, dtype: np.dtype) -> Array:
    """`bits` for the function `name`."""
    high, low = _encrypt_counts(name, key, shape)
    if dtype == dtypes.uint64:
        drawn = add(mul(convert_element_type(high, dtype), 1 << 32), convert_element_type(low, dtype))
    else:
        drawn = convert_element_type(bitwise_xor(high, low), dtype)
    return reshape(drawn, shape)


def two_keys(name: str, key: Any) -> list[Array]:
    """`split` into two, for the function `name`."""
    return halves(_split(name, key, (2,)))


def halves(pair: Array) -> list[Array]:
    """The two parts of an array of shape (2, ...)."""
    return [reshape(half, pair.shape[1:]) for half in split_array(pair, (1, 1))]


# Helpers


def _split(name: str, key: Any, shape: Shape) -> Array:
    return _join(*_encrypt_counts(name, key, shape))


def _encrypt_counts(name: str, key: Any, shape: Shape) -> list[Array]:
    """The two words that the key makes of the counters 0, 1, 2, …: one for each element of `shape`, in one axis."""
    count = size(shape)
    if count > _MOST_COUNTED:
        raise ShapeError(
            f"{name}: shape {show(shape)} has {count} elements, more than the 2**32 that one key gives",
            fix="draw parts with keys from nrx.random.split",
        )
    return threefry2x32(*_words(name, key), _uint32(0), iota(dtypes.uint32, count))


def _words(name: str, key: Any) -> tuple[Array, Array]:
    """The two words of one key, of shape (1,)."""
    given, key = key, _check_keys(name, key)
    if key.ndim != 1:
        one = "one key" if is_typed(given) else "one key of shape (2,)"
        raise ShapeError(
            f"{name}: {one} is needed, got an array of keys of shape {show(given.shape)}",
            fix="pick one (keys[0]), or map over all: nrx.vmap(lambda key: ...)(keys)",
        )
    first, second = split_array(key, (1, 1))
    return first, second


def is_typed(key: Any) -> bool:
    """Whether it is of the dtype of keys."""
    return getattr(key, "dtype", None) is dtypes.key_dtype


def _typed(words: Array) -> Array:
    """Keys of their words."""
    return bitcast_convert_type(words, dtypes.key_dtype)


def _like(key: Any, words: Array) -> Array:
    """The keys of these words, of the kind of `key`."""
    return _typed(words) if is_typed(key) else words


def _check_keys(name: str, keys: Any) -> Array:
    """The words of keys: uint32, of shape (..., 2)."""
    if is_typed(keys) and isinstance(keys, Array):
        return bitcast_convert_type(keys, dtypes.uint32)
    if not isinstance(keys, Array | np.ndarray):
        raise ArgumentTypeError(f"{name}: a key is {_A_KEY}, got {type(keys).__name__}", fix=_MAKE_ONE)
    keys = asarray(keys)
    if keys.dtype != dtypes.uint32:
        raise DTypeError(f"{name}: a key is {_A_KEY}, got {keys.aval}", fix=_MAKE_ONE)
    if not keys.shape or keys.shape[-1] != 2:
        raise ShapeError(f"{name}: a key is {_A_KEY}, got one of shape {show(keys.shape)}", fix=_MAKE_ONE)
    return keys


def _check_implementation(impl: Any) -> None:
    if impl not in _IMPLEMENTATIONS:
        raise ArgumentError(
            f"there is no random number generator {impl!r}", fix=f"use {_IMPLEMENTATION!r}, the default"
        )


def _integer_scalar(name: str, what: str, value: Any) -> Array:
    array = asarray(value, f"{name}: {what}")
    if not dtypes.is_integer(array.dtype) and not dtypes.is_bool(array.dtype):
        raise ArgumentTypeError(f"{name}: {what} must be an integer, got {array.aval}", fix="convert it: x.astype(int)")
    if array.ndim:
        raise ShapeError(
            f"{name}: {what} must be a scalar, got shape {show(array.shape)}", fix=f"map over it: nrx.vmap({name})"
        )
    return array


def _uint32(value: Any) -> Array:
    return scalar_array(value, dtypes.uint32) if type(value) is int else convert_element_type(value, dtypes.uint32)


def _join(high: Array, low: Array) -> Array:
    """The words of keys side by side in a new last axis."""
    return concatenate([expand_dims(word, (word.ndim,)) for word in (high, low)], high.ndim)
