"""Sorting along an axis: sort with several keys and payloads, top_k.

NaN sorts last and counts as the largest, -0.0 and 0.0 are equal, complex numbers compare by real, then imaginary part.
"""

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Zero
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.loops import Buffer, Builder, Expr, Native, Operand
from nrx.core.primitive import Primitive
from nrx.core.program import Program
from nrx.core.shapes import Shape, canonical_axis, inserted, show, size, without
from nrx.core.threads import in_parts
from nrx.ops.accumulation import Parts, greater, parts_of, position
from nrx.ops.common import ANY, NOT_YET_LOWERED, REAL, as_arrays, check_dtype, check_same_shape, filled, widened
from nrx.ops.dimension_numbers import GatherDimensionNumbers
from nrx.ops.gather import gather
from nrx.ops.radix_sort import radix_sort_program
from nrx.ops.rules import nonlinear
from nrx.ops.structural import broadcasted_iota, expand_dims, spread

sort_p = Primitive("sort", multiple_results=True)
top_k_p = Primitive("top_k", multiple_results=True)

#: As many elements are worth a thread of their own.
_GRAIN = 1 << 16

# Public functions


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """`operand` in ascending order along an axis; a sequence of arrays is sorted by the first `num_keys` of them.

    Args:
        operand: an array, or a sequence of arrays of one shape.
        dimension: the axis.
        is_stable: whether equal elements stay in order.
        num_keys: how many arrays decide.

    Raises:
        ArgumentError: there are not so many arrays.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.lax.sort(nrx.numpy.array([3, 1, 2]))
    Array([1, 2, 3], dtype=int32)
    >>> nrx.lax.sort((nrx.numpy.array([3, 1, 2]), nrx.numpy.array([30, 10, 20])))
    (Array([1, 2, 3], dtype=int32), Array([10, 20, 30], dtype=int32))
    """
    several = isinstance(operand, Sequence)
    arrays = as_arrays("sort", *(operand if several else [operand]))
    if not arrays:
        raise ArgumentError("sort needs at least one operand")
    if not 1 <= num_keys <= len(arrays):
        raise ArgumentError(f"sort: num_keys must be from 1 to the number of operands, {len(arrays)}, got {num_keys}")
    dimension = canonical_axis(dimension, arrays[0].ndim, "dimension")
    out = sort_p.bind(*arrays, dimension=dimension, is_stable=bool(is_stable), num_keys=num_keys)
    return tuple(out) if several else out[0]


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Array, Array]:
    """`keys` sorted along an axis, and `values` moved along with them.

    The other arguments are as of `sort`.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.lax.sort_key_val(nrx.numpy.array([3, 1, 2]), nrx.numpy.array([30, 10, 20]))
    (Array([1, 2, 3], dtype=int32), Array([10, 20, 30], dtype=int32))
    """
    return sort((keys, values), dimension, is_stable)


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Array, Array]:
    """The `k` largest elements of `operand` along an axis, largest first, and their int32 indices; of equals the first.

    Values have the dtype of `operand`; the axis of both has length `k`.

    >>> import nrx
    >>> nrx.lax.top_k(nrx.numpy.array([3.0, 9.0, 5.0]), 2)
    (Array([9., 5.], dtype=float32), Array([1, 2], dtype=int32))
    """
    (x,) = as_arrays("top_k", operand)
    return tuple(top_k_p.bind(x, k=index(k), dimension=canonical_axis(axis, x.ndim)))


# impl


def _sort_impl(xp: Any, *xs: Any, dimension: int, is_stable: bool, num_keys: int) -> list[Any]:
    if len(xs) == 1 and xs[0].dtype.kind != "c":
        # Only the signs of zeros tell equal elements apart; NumPy's default is much faster than its stable sort.
        wide = widened(xs[0])
        has_signs = is_stable and wide.dtype.kind == "f" and (xp.signbit(wide) & (wide == 0)).any()
        out = _copy_sorted(xp, wide, dimension, "stable" if has_signs else None)
        return [out.astype(xs[0].dtype, copy=False)]
    keys = [part for x in xs[:num_keys] for part in ((x.real, x.imag) if x.dtype.kind == "c" else (widened(x),))]
    order = _stable_order(xp, keys[-1], dimension)
    for key in keys[-2::-1]:
        key = xp.take_along_axis(key, order, axis=dimension)
        order = xp.take_along_axis(order, _stable_order(xp, key, dimension), axis=dimension)
    return [xp.take_along_axis(x, order, axis=dimension) for x in xs]


def _copy_sorted(xp: Any, x: Any, dimension: int, kind: Any) -> Any:
    """A sorted copy, for which several threads share what is sorted by itself."""
    if xp is not np or x.ndim < 2:
        return xp.sort(x, axis=dimension, kind=kind)

    def sort_part(part: np.ndarray) -> list[np.ndarray]:
        part.sort(axis=-1, kind=kind)
        return []

    out = np.array(x)
    in_parts(sort_part, [np.moveaxis(out, dimension, -1)], _GRAIN)
    return out


def _stable_order(xp: Any, key: Any, dimension: int) -> Any:
    """Which elements come first along an axis, of equal ones the first.

    NumPy's stable sort is the slower one by ten times: keys of 32 bits are sorted together with their places, as one
    number; of 64 bits the order is put right where keys are equal.
    """
    length = key.shape[dimension]
    if xp is not np or key.dtype.kind not in "iuf" or key.dtype.itemsize < 4 or not _FEW_ELEMENTS < length < 1 << 32:
        return xp.argsort(key, axis=dimension, kind="stable")
    key = np.moveaxis(key, dimension, -1)
    if key.dtype.itemsize == 4:
        order = _sorted_places(_ordered_bits(key), np.arange(length, dtype=np.uint64))
    else:
        order = np.argsort(key, axis=-1)
        found = np.take_along_axis(key, order, axis=-1)
        differs = (found[..., 1:] != found[..., :-1]) & (found[..., :-1] == found[..., :-1])  # NaN equals NaN
        if not differs.all():
            rank = np.zeros(key.shape, np.uint64)
            np.cumsum(differs, axis=-1, out=rank[..., 1:])
            order = _sorted_places(rank, order.astype(np.uint64))
    return np.moveaxis(order, -1, dimension)


def _ordered_bits(key: np.ndarray) -> np.ndarray:
    """Numbers of 32 bits as uint64 in the same order."""
    if key.dtype.kind != "f":
        return (key.astype(np.int64) - int(np.iinfo(key.dtype).min)).astype(np.uint64)
    bits = (key + np.float32(0)).view(np.uint32)  # both zeros are one
    negative = (bits.view(np.int32) >> 31).view(np.uint32)
    return np.where(np.isnan(key), np.uint32(0xFFFFFFFF), bits ^ (negative | np.uint32(1 << 31))).astype(np.uint64)


def _sorted_places(rank: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places sorted by ranks, and those of one rank by themselves; both are less than 2^32."""
    rank <<= np.uint64(32)
    rank |= places
    rank.sort(axis=-1)
    return (rank & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _top_k_impl(xp: Any, x: Any, *, k: int, dimension: int) -> list[Any]:
    length = x.shape[dimension]
    places = None
    if xp is np and x.size and length > _FEW_ELEMENTS and 0 < 8 * k <= length:
        places = _candidates(np.moveaxis(widened(x), dimension, -1), k)
    if places is None:
        return _largest(xp, x, k, dimension)
    places = np.moveaxis(places, -1, dimension)
    values, indices = _largest(np, np.take_along_axis(x, places, dimension), k, dimension)
    return [values, np.take_along_axis(places, indices, dimension).astype(np.int32)]


def _candidates(x: np.ndarray, k: int) -> np.ndarray | None:
    """The places of a row's k largest elements, those that tie, and NaNs; None if rows differ in how many these are."""
    candidates = ~(x < np.partition(x, -k, axis=-1)[..., -k, None])
    counts = np.count_nonzero(candidates, axis=-1)
    if np.any(counts != np.max(counts)):
        return None
    return np.nonzero(candidates)[-1].reshape(*x.shape[:-1], -1)


def _largest(xp: Any, x: Any, k: int, dimension: int) -> list[Any]:
    # Sorted backwards and reversed: descending, and of equal elements the first one first.
    last = x.shape[dimension] - 1
    order = _stable_order(xp, xp.flip(widened(x), dimension), dimension)
    first = (slice(None),) * dimension + (slice(None, k),)
    indices = last - xp.flip(order, dimension)[first]
    return [xp.take_along_axis(x, indices, axis=dimension), indices.astype(np.int32)]


# abstract


def _sort_abstract(*xs: Aval, dimension: int, is_stable: bool, num_keys: int) -> Sequence[Aval]:
    check_same_shape("sort", *xs)
    for x in xs[:num_keys]:
        check_dtype("sort", x, ANY)
    return xs


def _top_k_abstract(x: Aval, *, k: int, dimension: int) -> Sequence[Aval]:
    check_dtype("top_k", x, REAL, fix="compare the real parts or the moduli")
    length = x.shape[dimension]
    if not 0 <= k <= length:
        raise ShapeError(
            f"top_k: k = {k} elements of axis {dimension} of shape {show(x.shape)}",
            fix=f"k must be from 0 to the length of the axis, {length}",
        )
    shape = inserted(without(x.shape, [dimension]), dimension, k)
    return [x.update(shape=shape), Aval(shape, dtypes.int32)]


# jvp: tangents go the way of the elements


def _take_along(x: Array, indices: Array, dim: int) -> Array:
    """The elements of `x` at `indices`, all different, along one axis."""
    if x.shape[dim] == 0:
        return x
    others = without(range(x.ndim), [dim])
    numbers = GatherDimensionNumbers((), (dim,), (dim,), others, others)
    starts = expand_dims(indices, [x.ndim])
    return gather(x, starts, numbers, filled(x.shape, 1), unique_indices=True, mode="promise_in_bounds")


def _sort_jvp(
    primals: Sequence[Array], tangents: Sequence[Any], *, dimension: int, is_stable: bool, num_keys: int
) -> tuple[Any, Any]:
    places = broadcasted_iota(dtypes.int64, primals[0].shape, dimension)
    *outs, order = sort_p.bind(*primals, places, dimension=dimension, is_stable=is_stable, num_keys=num_keys)
    return outs, [t if isinstance(t, Zero) else _take_along(t, order, dimension) for t in tangents]


def _top_k_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, k: int, dimension: int) -> tuple[Any, Any]:
    values, indices = top_k_p.bind(*primals, k=k, dimension=dimension)
    return [values, indices], [_take_along(tangents[0], indices, dimension), Zero(indices.aval.tangent)]


# batch


def _sort_batch(axis: Any, args: Any, dims: Any, *, dimension: int, **params: Any) -> tuple[Any, list[int]]:
    moved = [spread(x, dim, axis.size) for x, dim in zip(args, dims, strict=True)]
    return sort_p.bind(*moved, dimension=dimension + 1, **params), [0] * len(moved)


def _top_k_batch(axis: Any, args: Any, dims: Any, *, k: int, dimension: int) -> tuple[Any, list[int]]:
    (dim,) = dims
    return top_k_p.bind(*args, k=k, dimension=dimension + (dimension >= dim)), [dim, dim]


# lower: the places of a row are put in order, then the elements are moved. Runs are sorted by counting, in lanes, how
# many elements go before each one; then they are merged, as long as two lists of places fit into scratch memory.

_RUN = 128
_SHORT, _LONGEST = 64, 1 << 14
_FEW_ELEMENTS = 256
_BY_DIGITS, _LONG, _FEW_ROWS = 512, 1 << 13, 8
_FEW, _MOST_KEPT = 16, 128

Key = Callable[[Expr], Parts]
"""What the element at a place of the row is sorted by."""
Before = Callable[[Parts, Parts], Expr]
"""Whether the element with one key goes before that with another; both orders are false of equal ones."""


def _sort_lower(*xs: Aval, dimension: int, is_stable: bool, num_keys: int) -> Native | Program | None:
    length, is_alone = xs[0].shape[dimension], len(xs) == 1 and not dtypes.is_complex(xs[0].dtype)
    rows = xs[0].size // max(1, length)
    if (_BY_DIGITS if not is_alone else _LONG if rows < _FEW_ROWS else 1 << 31) <= length < 1 << 31:
        return radix_sort_program(xs, dimension, num_keys)
    # NumPy sorts one array faster than anything written in scalar loops; of several, scratch memory holds the places.
    is_alone = is_alone and xs[0].size > _FEW_ELEMENTS
    return Native(_sort_build) if length <= (_SHORT if is_alone else _LONGEST) else None


def _sort_build(
    b: Builder, operands: list[Operand], results: list[Operand], *, dimension: int, is_stable: bool, num_keys: int
) -> None:
    shape = operands[0].aval.shape
    if not size(shape):
        return
    length = shape[dimension]
    at = _row(b.parallel(size(shape) // length), shape, dimension)
    order = _ordered(
        b, length, lambda i: [part for x in operands[:num_keys] for part in parts_of(x.at(at(i)))], ascending
    )

    def move(i: Expr) -> None:
        place = loops.convert(order(i), "i64")
        for x, out in zip(operands, results, strict=True):
            out.put(at(i), x.at(at(place)))

    b.lanes(length, move)
    b.kernel.cost = 10.0 * length * length.bit_length()


def _top_k_lower(x: Aval, *, k: int, dimension: int) -> Native | None:
    # Neither does scratch memory hold the places of a longer row, nor are there few enough to keep to insert into.
    return Native(_top_k_build) if k <= _MOST_KEPT or x.shape[dimension] <= _LONGEST else None


def _top_k_build(b: Builder, operands: list[Operand], results: list[Operand], *, k: int, dimension: int) -> None:
    (x,), (values, indices), shape = operands, results, operands[0].aval.shape
    if not values.aval.size:
        return
    length = shape[dimension]
    number = b.parallel(size(shape) // length)
    at, out = _row(number, shape, dimension), _row(number, values.aval.shape, dimension)
    some = k <= _FEW or length > _LONGEST
    order = (_first if some else _ordered)(b, length, lambda i: parts_of(x.at(at(i))), _descending, *[k] * some)

    def move(i: Expr) -> None:
        place = order(i)
        values.put(out(i), x.at(at(loops.convert(place, "i64"))))
        indices.put(out(i), place)

    b.lanes(k, move)
    b.kernel.cost = 4.0 * length if some else 10.0 * length * length.bit_length()


def _row(number: Expr, shape: Shape, dimension: int) -> Callable[[Any], Any]:
    """Where the elements lie of one of the rows that go along a dimension."""
    length, inner = shape[dimension], size(shape[dimension + 1 :])
    start = loops.floordiv(number, inner) * (length * inner) + loops.mod(number, inner)
    return lambda i: start + i * inner


def ascending(x: Parts, y: Parts) -> Expr:
    *earlier, found = [(greater(b, a), greater(a, b)) for a, b in zip(x, y, strict=True)]
    before = found[0]
    for comes_before, comes_after in reversed(earlier):
        before = comes_before | (~comes_after & before)
    return before


def _descending(x: Parts, y: Parts) -> Expr:
    return ascending(y, x)


def _ordered(b: Builder, length: int, key: Key, before: Before) -> Callable[[Expr], Expr]:
    """Puts the places of all elements in order: which element comes at a place, as an i32."""
    order = b.scratch("i32", length if length <= _RUN else 2 * length)
    b.loop(-(-length // _RUN), [], lambda run: _sort_run(b, order, run * _RUN, length, key, before))
    passes = (-(-length // _RUN) - 1).bit_length()

    def merge(_: Expr, run: Expr, source: Expr) -> list[Expr]:
        b.while_(
            [loops.const(0, "i64")], lambda start: start < length,
            lambda start: [_merge(b, order, source, start, run, length, key, before)],
        )  # fmt: skip
        return [run * 2, length - source]

    b.loop(passes, [loops.const(_RUN, "i64"), loops.const(0, "i64")], merge)
    return lambda i: b.load(order, i + passes % 2 * length)


def _sort_run(b: Builder, order: Buffer, start: Expr, length: int, key: Key, before: Before) -> None:
    """Every place of the run that begins at `start` goes to where as many elements stand before it."""
    count = loops.clamp(length - start, _RUN)

    def place(i: Expr) -> None:
        own, number = key(start + i), position(i, "i32")

        def counted(j: Expr, rank: Expr) -> list[Expr]:
            other = key(start + j)
            earlier = before(other, own) | (~before(own, other) & (position(j, "i32") < number))
            return [loops.select(earlier, rank + 1, rank)]

        (rank,) = b.loop(count, [loops.const(0, "i32")], counted)
        b.store(order, start + loops.convert(rank, "i64"), position(start + i, "i32"))

    b.lanes(count, place)


def _merge(
    b: Builder, order: Buffer, source: Expr, start: Expr, run: Expr, length: int, key: Key, before: Before
) -> Expr:
    """Merge the runs that begin at `start` and `start + run`, from one half of the memory to the other; the end."""
    middle = loops.apply("min", start + run, length)
    end = loops.apply("min", start + run * 2, length)

    def take(k: Expr, i: Expr, j: Expr) -> list[Expr]:
        left, right = (b.load(order, source + loops.apply("min", place, length - 1)) for place in (i, j))
        keys = [key(loops.convert(place, "i64")) for place in (left, right)]
        from_right = (i >= middle) | ((j < end) & before(keys[1], keys[0]))
        b.store(order, length - source + start + k, loops.select(from_right, right, left))
        return [loops.select(from_right, i, i + 1), loops.select(from_right, j + 1, j)]

    b.loop(end - start, [start, middle], take)
    return end


def _first(b: Builder, length: int, key: Key, before: Before, count: int) -> Callable[[Expr], Expr]:
    """The same for the first `count` places only: they are kept in order while one goes along the row."""
    kept = [b.scratch(part.type, count) for part in key(loops.const(0, "i64"))]
    order = b.scratch("i32", count)

    def insert(i: Expr, own: Parts, last: Expr) -> None:
        """Put an element where it belongs among those kept, the one at `last` making room."""

        def others(slot: Expr) -> Parts:
            return [b.load(part, loops.apply("max", slot - 1, 0)) for part in kept]

        def shift(slot: Expr) -> list[Expr]:
            for memory in (*kept, order):
                b.store(memory, slot, b.load(memory, slot - 1))
            return [slot - 1]

        (slot,) = b.while_([last], lambda slot: (slot > 0) & before(own, others(slot)), shift)
        for memory, part in zip((*kept, order), (*own, position(i, "i32")), strict=True):
            b.store(memory, slot, part)

    def consider(i: Expr) -> None:
        own = key(i + count)
        worst = [b.load(part, count - 1) for part in kept]
        b.if_(before(own, worst), lambda: insert(i + count, own, loops.const(count - 1, "i64")))

    b.loop(count, [], lambda i: insert(i, key(i), i))
    b.loop(length - count, [], consider)
    return lambda i: b.load(order, i)


# Registration

sort_p.define(impl=_sort_impl, abstract=_sort_abstract, batch=_sort_batch, lower=_sort_lower)
top_k_p.define(impl=_top_k_impl, abstract=_top_k_abstract, batch=_top_k_batch, lower=_top_k_lower)
sort_p.compiled_from = top_k_p.compiled_from = (0, 1 << 17)
for _prim, _jvp in ((sort_p, _sort_jvp), (top_k_p, _top_k_jvp)):
    nonlinear(_prim, _jvp).refuse(onnx=NOT_YET_LOWERED)
