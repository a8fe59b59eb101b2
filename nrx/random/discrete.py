"""Draws of integers, booleans and choices."""

import math
from operator import index
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.core.shapes import Shape, broadcast_shapes, canonical_axis, canonical_shape, inserted, show, size, without
from nrx.ops.arithmetic import add, div, floor, mul, neg, rem, sub
from nrx.ops.cumulative import cumsum
from nrx.ops.dimension_numbers import GatherDimensionNumbers
from nrx.ops.elementary import log, log1p
from nrx.ops.gather import gather
from nrx.ops.logic import bitwise_and, clamp, eq, ge, gt, le, lt, select
from nrx.ops.reductions import argmax
from nrx.ops.slicing import index_in_dim, slice_in_dim
from nrx.ops.sorting import sort_key_val, top_k
from nrx.ops.structural import (
    broadcast_to,
    convert_element_type,
    expand_dims,
    full,
    full_like,
    iota,
    move_axis,
    reshape,
)
from nrx.random.continuous import check_fits, draw_gumbel, draw_unit, joint_shape, parameters
from nrx.random.keys import draw_bits, halves, two_keys

# Integers


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Uniform integers from [minval, maxval).

    Each is the remainder of 64 random bits, or of 32 where the range has more than 2**16 numbers (in 64-bit dtypes of
    128, or of 64 beyond 2**32 numbers): of n numbers some are likelier than others by a fraction of n / 2**bits.
    Where maxval <= minval the result is `minval`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        minval, maxval: the limits, integers or integer arrays that broadcast to `shape`; limits beyond those of the
            dtype count as those.
        dtype: a signed or unsigned integer dtype; by default the default integer.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no integer, or a limit does not fit `shape`.

    >>> import nrx
    >>> nrx.random.randint(nrx.random.PRNGKey(0), (3,), 0, 10)
    Array([9, 0, 2], dtype=int32)
    """
    dtype, shape = _integer_dtype("randint", dtype), canonical_shape(shape)
    drawn, info = dtypes.int32 if dtype.itemsize < 4 else dtype, np.iinfo(dtype)
    low, high = (_limit(what, value, shape) for what, value in (("minval", minval), ("maxval", maxval)))
    beyond = gt(high, min(np.iinfo(high.dtype).max, np.iinfo(drawn).max))
    low = _clipped(low, info.min, info.max, drawn)
    high = _clipped(high, info.min, int(info.max) + 1, drawn)
    parts = broadcast_shapes(low.shape, high.shape)
    low, high, beyond = (broadcast_to(x, parts) for x in (low, high, beyond))
    unsigned = np.dtype(f"uint{8 * drawn.itemsize}")
    span = convert_element_type(sub(high, low), unsigned)
    span = select(le(high, low), full_like(span, 1), select(beyond, add(span, 1), span))
    # 2**bits modulo the span, which for the full range wrapped to 0: a remainder by 0 leaves the bits as they are.
    half = rem(full_like(span, 1 << (4 * drawn.itemsize)), span)
    base = rem(mul(half, half), span)
    upper, lower = (draw_bits("randint", part, shape, unsigned) for part in two_keys("randint", key))
    span, base, low = (broadcast_to(x, shape) for x in (span, base, low))
    offset = rem(add(mul(rem(upper, span), base), rem(lower, span)), span)
    return convert_element_type(add(low, convert_element_type(offset, drawn)), dtype)


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low", *, out_sharding: Any = None) -> Array:
    """Booleans that are True with probability `p`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        p: probabilities, a floating array or a float.
        shape: the shape of the result, to which `p` broadcasts; by default the shape of `p`.
        mode: "low" or "high": "high" compares with twice the bits, for probabilities that in float32 are below 1e-7.

    Returns:
        A boolean array of that shape.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `p` not floating, or does not fit `shape`.
        ArgumentError: the mode is none of those.

    >>> import nrx
    >>> nrx.random.bernoulli(nrx.random.PRNGKey(0), 0.5, (3,))
    Array([False, False,  True], dtype=bool)
    """
    if mode not in ("low", "high"):
        raise ArgumentError(f"bernoulli: mode must be 'low' or 'high', got {mode!r}")
    dtype = asarray(p, "bernoulli: p").dtype
    if dtype not in dtypes.FLOATS:
        raise DTypeError(f"bernoulli: p must be floating, got {dtype}", fix="convert it: p.astype('float32')")
    shape = joint_shape("bernoulli", shape, p=p)
    (p,) = parameters("bernoulli", shape, dtype, p=p)
    if mode == "low":
        return lt(draw_unit("bernoulli", key, shape, dtype), p)
    coarse, fine = halves(draw_unit("bernoulli", key, (2, *shape), dtype))
    return lt(mul(fine, 2.0 ** -dtypes.finfo(dtype).nmant), sub(p, coarse))


def rademacher(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Numbers that are 1 or -1, each with probability 1/2.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: a numeric dtype; by default the default integer.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no dtype of signed numbers, `shape` no
            shape.

    >>> import nrx
    >>> nrx.random.rademacher(nrx.random.PRNGKey(0), (3,))
    Array([-1, -1,  1], dtype=int32)
    """
    dtype = dtypes.canonical_dtype(int if dtype is None else dtype)
    if dtypes.is_bool(dtype) or dtypes.is_unsigned(dtype):
        raise DTypeError(f"rademacher: {dtype} has no -1", fix="use a signed or floating dtype")
    positive = bernoulli(key, 0.5, canonical_shape(shape))
    return select(positive, full(positive.shape, 1, dtype), full(positive.shape, -1, dtype))


def geometric(key: Any, p: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """How many trials it takes until the first success, when each succeeds with probability `p`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        p: probabilities, 0 < p < 1, an array or a number.
        shape: the shape of the result, to which `p` broadcasts; by default the shape of `p`.
        dtype: an integer dtype; by default the default integer.

    Returns:
        An array of that shape and dtype, with numbers from 1; the largest that the dtype has where there are more.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no integer, or `p` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.geometric(nrx.random.PRNGKey(0), 0.25, (3,))
    Array([1, 1, 4], dtype=int32)
    """
    dtype, shape = _integer_dtype("geometric", dtype), joint_shape("geometric", shape, p=p)
    (p,) = parameters("geometric", shape, dtypes.inexact_dtype(asarray(p).dtype), p=p)
    unit = draw_unit("geometric", key, shape, p.dtype)
    failures = floor(div(log(select(eq(unit, 0.0), full_like(unit, 1), unit)), log1p(neg(p))))
    trials, most = add(failures, 1.0), np.iinfo(dtype).max
    return select(ge(trials, float(most)), full(shape, most, dtype), convert_element_type(trials, dtype))


def _limit(what: str, value: Any, shape: Shape) -> Array:
    """A limit of randint as an array of some integer dtype."""
    limit = asarray(value, f"randint: {what}")
    check_fits("randint", what, limit.shape, shape)
    if dtypes.is_integer(limit.dtype):
        return limit
    if limit.dtype not in (dtypes.bool_, *dtypes.FLOATS):
        raise DTypeError(f"randint: {what} must be an integer, got {limit.aval}", fix="convert it: x.astype(int)")
    return convert_element_type(limit, dtypes.int64)


def _clipped(x: Array, lowest: int, highest: int, dtype: np.dtype) -> Array:
    """Integers limited to [lowest, highest] and to what `dtype` holds, as `dtype`."""
    infos = np.iinfo(x.dtype), np.iinfo(dtype)
    bottom = max(lowest, *(int(info.min) for info in infos))
    top = min(highest, *(int(info.max) for info in infos))
    return convert_element_type(clamp(bottom, x, top), dtype)


# Choices


def categorical(
    key: Any,
    logits: Any,
    axis: int = -1,
    shape: Any = None,
    replace: bool = True,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Indices, chosen with the probabilities softmax(logits, axis).

    Gumbel noise is added to the logits and the largest sum wins: the largest k of them without replacement (Kool, van
    Hoof & Welling, "Stochastic beams and where to find them", ICML 2019).

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        logits: a floating array of unnormalised log-probabilities; -inf for what is impossible.
        axis: the axis of the alternatives; the others hold distributions to draw from.
        shape: the shape of the result; it ends with the shape of `logits` less `axis`, and what stands before counts
            the draws from each distribution. By default one draw.
        replace: whether an index may be drawn again by the same distribution.
        mode: "low" (or None) or "high", for `gumbel`.

    Returns:
        An array of that shape, of the default integer.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError, AxisError: `key` is no key, `logits` not floating, or `shape` or
            `axis` does not fit `logits`.
        ArgumentError: more draws than alternatives, without replacement; or the mode is none of those.

    >>> import nrx
    >>> import numpy as np
    >>> nrx.random.categorical(nrx.random.PRNGKey(0), np.log(np.float32([0.1, 0.2, 0.7])), shape=(5,))
    Array([1, 2, 2, 1, 2], dtype=int32)
    """
    logits = asarray(logits, "categorical: logits")
    if logits.dtype not in dtypes.FLOATS:
        raise DTypeError(f"categorical: logits must be floating, got {logits.aval}", fix="convert them with .astype")
    axis = canonical_axis(axis, logits.ndim)
    batch = without(logits.shape, [axis])
    shape = batch if shape is None else canonical_shape(shape)
    check_fits("categorical", f"logits without axis {axis}", batch, shape)
    draws, rest = shape[: len(shape) - len(batch)], shape[len(shape) - len(batch) :]
    index_dtype = dtypes.scalar_dtype(int)
    if replace:
        full_shape = (*draws, *inserted(rest, axis, logits.shape[axis]))
        noise = draw_gumbel("categorical", key, full_shape, logits.dtype, mode)
        return argmax(add(noise, broadcast_to(logits, full_shape)), len(draws) + axis, index_dtype)
    if rest != batch:
        raise ShapeError(
            f"categorical: without replacement the shape must end with {show(batch)}, got {show(shape)}",
            fix="broadcast the logits first",
        )
    _check_enough("categorical", size(draws), logits.shape[axis])
    noisy = add(logits, draw_gumbel("categorical", key, logits.shape, logits.dtype, mode))
    chosen = top_k(noisy, size(draws), axis=axis)[1]
    return convert_element_type(reshape(move_axis(chosen, axis, 0), shape), index_dtype)


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False, *, out_sharding: Any = None) -> Array:
    """The elements of an array, or the numbers 0, 1, …, x - 1, in random order.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        x: an array, or an int.
        axis: the axis along which slices are permuted.
        independent: permute each vector along the axis on its own, instead of whole slices.

    Returns:
        An array like `x`, or for an int one of shape (x,), of the default integer.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError, AxisError: `key` is no key, `x` neither an array nor an int, or has
            no such axis.
        ArgumentError: `x` is a negative int.

    >>> import nrx
    >>> nrx.random.permutation(nrx.random.PRNGKey(0), 5)
    Array([0, 1, 4, 3, 2], dtype=int32)
    """
    x = asarray(x, "permutation: x")
    axis = canonical_axis(axis, max(1, x.ndim))
    if not x.ndim:
        x = iota(dtypes.scalar_dtype(int), _number("permutation", x))
    if independent or x.ndim == 1 or not x.size:
        return _shuffle("permutation", key, x, axis)
    order = _shuffle("permutation", key, iota(dtypes.scalar_dtype(int), x.shape[axis]), 0)
    return _take(x, order, axis)


def choice(
    key: Any,
    a: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
) -> Array:
    """Elements of an array, or of 0, 1, …, a - 1, chosen at random.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        a: an array, or an int.
        shape: how many to choose: the shape of the draws.
        replace: whether an element may be chosen again.
        p: the probabilities of the elements, a floating array of shape (a.shape[axis],), or None where all are equal.
            They need not sum to 1.
        axis: the axis of `a` along which is chosen; without effect for an int.
        mode: "low" (or None) or "high", for `gumbel`, which draws with `p` and without replacement.

    Returns:
        An array of shape a.shape[:axis] + shape + a.shape[axis + 1:] and of the dtype of `a`; for an int one of that
        shape and of the default integer.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError, AxisError: `key` is no key, `a` neither an array nor an int, or `p`
            does not fit it.
        ArgumentError: there are too few elements to choose from; or, where its values are known, `p` has negative or
            NaN elements or too few that are positive.

    >>> import nrx
    >>> nrx.random.choice(nrx.random.PRNGKey(0), 10, (3,), replace=False)
    Array([0, 1, 8], dtype=int32)
    """
    shape, a = canonical_shape(shape), asarray(a, "choice: a")
    axis, count = canonical_axis(axis, a.ndim) if a.ndim else 0, size(shape)
    total = a.shape[axis] if a.ndim else _number("choice", a)
    out_shape = (*a.shape[:axis], *shape, *a.shape[axis + 1 :])
    if not count:
        return full(out_shape, 0, a.dtype if a.ndim else dtypes.scalar_dtype(int))
    if not total:
        raise ArgumentError(f"choice: there is nothing to choose {count} elements from", fix="let a be positive")
    if not replace:
        _check_enough("choice", count, total)
    if p is not None:
        p = _probabilities(p, total, 1 if replace else count)
    elif not replace:
        return reshape(slice_in_dim(permutation(key, a, axis), 0, count, axis=axis), out_shape)
    if replace:
        indices = randint(key, shape, 0, total) if p is None else _invert(key, shape, p)
    else:
        noisy = add(draw_gumbel("choice", key, p.shape, p.dtype, mode), log(p))
        indices = reshape(top_k(noisy, count)[1], shape)
    indices = convert_element_type(indices, dtypes.scalar_dtype(int))
    return _take(a, indices, axis) if a.ndim else indices


def _number(name: str, x: Any) -> int:
    """The number of elements that an int stands for."""
    if not dtypes.is_integer(x.dtype):
        raise ArgumentTypeError(f"{name}: an array with axes or an int is needed, got {x.aval}", fix="pass an int")
    if (count := index(x)) < 0:
        raise ArgumentError(f"{name}: the number of elements must not be negative, got {count}")
    return count


def _check_enough(name: str, count: int, total: int) -> None:
    if count > total:
        raise ArgumentError(
            f"{name}: {count} draws without replacement from {total} elements", fix="draw fewer, or pass replace=True"
        )


def _probabilities(p: Any, total: int, needed: int) -> Array:
    """The argument `p` of choice, checked: at least `needed` elements must be possible."""
    p = asarray(p, "choice: p")
    p = convert_element_type(p, dtypes.inexact_dtype(p.dtype))
    if p.dtype not in dtypes.FLOATS:
        raise DTypeError(f"choice: p must be floating, got {p.aval}", fix="convert it: p.astype('float32')")
    if p.shape != (total,):
        raise ShapeError(f"choice: p has shape {show(p.shape)}, but there are {total} elements to choose from")
    if isinstance(p, ConcreteArray):
        values = p.numpy()
        if not (values >= 0).all():
            raise ArgumentError(
                "choice: p has negative or NaN elements", fix="pass probabilities, not their logarithms"
            )
        if (possible := int((values > 0).sum())) < needed:
            raise ArgumentError(f"choice: {needed} draws, but only {possible} elements of p are positive")
    return p


def _invert(key: Any, shape: Shape, p: Array) -> Array:
    """Indices drawn with probabilities p / sum(p): their distribution function is inverted at uniform numbers."""
    bounds = cumsum(p)
    last = index_in_dim(bounds, -1, keepdims=False)
    return _count_below(bounds, mul(broadcast_to(last, shape), sub(1.0, draw_unit("choice", key, shape, p.dtype))))


def _count_below(ascending: Array, x: Array) -> Array:
    """How many elements of a sorted vector are below x, elementwise: a binary search, all elements in step."""
    length = ascending.shape[0]
    count = full_like(x, 0, dtypes.int32)
    for power in reversed(range(length.bit_length())):
        further = add(count, 1 << power)
        known = _take(ascending, clamp(0, sub(further, 1), length - 1), 0)
        count = select(bitwise_and(le(further, length), lt(known, x)), further, count)
    return count


def _shuffle(name: str, key: Any, x: Array, axis: int) -> Array:
    """`x` sorted by random words, in rounds: two elements have equal words in all with probability 1 / size at most."""
    rounds = math.ceil(3 * math.log(max(1, x.size)) / math.log((1 << 32) - 1))
    for _ in range(rounds):
        key, subkey = two_keys(name, key)
        x = sort_key_val(draw_bits(name, subkey, x.shape, dtypes.uint32), x, axis)[1]
    return x


# Helpers


def _integer_dtype(name: str, dtype: Any) -> np.dtype:
    dtype = dtypes.canonical_dtype(int if dtype is None else dtype)
    if not dtypes.is_integer(dtype):
        raise DTypeError(f"{name}: dtype must be an integer, got {dtype}", fix="convert the result with .astype(...)")
    return dtype


def _take(x: Array, indices: Array, axis: int) -> Array:
    """The slices of `x` at `indices` along an axis; the axes of `indices` take its place."""
    after = axis + indices.ndim
    numbers = GatherDimensionNumbers(
        offset_dims=(*range(axis), *range(after, after + x.ndim - axis - 1)),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
    )
    sizes = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return gather(x, expand_dims(indices, (indices.ndim,)), numbers, sizes, mode="promise_in_bounds")
