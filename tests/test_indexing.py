"""Indexing as NumPy does it: reading, updating, taking; eager and traced, with derivatives and batches."""

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nrx.backends  # noqa: F401
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, AxisError, DTypeError, IndexingError, ShapeError
from nrx.numpy.at import IndexUpdateHelper
from nrx.numpy.indexing import getitem, take, take_along_axis
from nrx.ops import arithmetic, scatter
from nrx.ops.dimension_numbers import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers
from nrx.ops.gather import gather
from nrx.ops.structural import reduce_sum
from nrx.testing import check_grads
from nrx.transforms import grad, jit, jvp, make_jaxpr, vmap

quick = settings(max_examples=500, deadline=None)


def at(x: Any, index: Any) -> Any:
    """`x.at[index]`."""
    return IndexUpdateHelper(asarray(x))[index]


def counting(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def check(got: Any, expected: Any) -> None:
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(np.asarray(got), expected, strict=True)


# --- Any index NumPy takes --------------------------------------------------------------------------------------------


@st.composite
def shapes(draw: Callable, rank: int = 4) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4, 1, 2, 3, 4, 0]), max_size=rank)))


@st.composite
def arrays_of_positions(draw: Callable, length: int, block: tuple[int, ...], outside: bool) -> Any:
    """Positions in an axis, of a shape that broadcasts to `block`: an array of NumPy's or ours, or a list."""
    shape = [draw(st.sampled_from([n, 1])) for n in block][draw(st.integers(0, len(block))) :]
    reach = length + 2 * outside
    seed = draw(st.integers(0, 999))
    dtype = draw(st.sampled_from(["int8", "int32", "int64"]))
    positions = np.random.default_rng(seed).integers(-reach, max(reach, 1), shape).astype(dtype)
    kind = draw(st.sampled_from(["numpy", "ours", "list"]))
    return (
        positions.tolist() if kind == "list" and positions.ndim else asarray(positions) if kind == "ours" else positions
    )


@st.composite
def indices(draw: Callable, shape: tuple[int, ...], outside: bool = False) -> Any:
    """An index: any mixture of what NumPy takes, now and then out of bounds if `outside`."""
    items: list[Any] = []
    axis = 0
    block = (2, 3)[draw(st.integers(0, 2)) :]
    used = draw(st.integers(0, len(shape)))
    while axis < used:
        length = shape[axis]
        kinds = ["slice", "slice", "new", "scalar-bool", "mask", *(["int", "array", "array"] if length else [])]
        kind = draw(st.sampled_from(kinds))
        bound = st.one_of(st.none(), st.integers(-length - 1, length + 1))
        if kind == "slice":
            items.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, -1, -2, 3]))))
        elif kind == "int":
            items.append(draw(st.integers(-length, length - 1 + outside)))
        elif kind == "new":
            items.append(None)
        elif kind == "scalar-bool":
            items.append(draw(st.booleans()))
        elif kind == "array":
            items.append(draw(arrays_of_positions(length, block, outside)))
        else:
            count = draw(st.integers(1, min(2, used - axis)))
            hits = np.random.default_rng(draw(st.integers(0, 99))).random(shape[axis : axis + count]) < 0.5
            items.append(asarray(hits) if draw(st.booleans()) else hits)
            axis += count - 1
        axis += kind not in ("new", "scalar-bool")
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), ...)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


def in_numpy(index: Any) -> Any:
    """The index with our arrays as NumPy's."""
    if isinstance(index, tuple):
        return tuple(map(in_numpy, index))
    return np.asarray(index) if isinstance(index, Array) else index


@quick
@given(st.data())
def test_reads_what_numpy_reads(data: Any) -> None:
    shape = data.draw(shapes())
    x, index = counting(*shape), data.draw(indices(shape, outside=data.draw(st.booleans())))
    try:
        expected = x[in_numpy(index)]
    except IndexError:  # also masks whose numbers of hits differ
        with pytest.raises(IndexError):
            getitem(asarray(x), index)
        return
    try:
        check(getitem(asarray(x), index), np.asarray(expected))
    except IndexingError:
        assert expected.size == 0  # NumPy does not check an index that reads nothing
        return
    for part in jvp(lambda x: getitem(x, index), (x,), (x,)):  # not done by NumPy, and linear
        check(part, np.asarray(expected))


UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum, "subtract": np.subtract}


@quick
@given(st.data())
def test_updates_what_numpy_updates(data: Any) -> None:
    shape = data.draw(shapes())
    x, index = counting(*shape, dtype="float64"), data.draw(indices(shape))
    try:
        target = x[in_numpy(index)].shape
    except IndexError:
        with pytest.raises(IndexError):
            at(x, index).set(0.0)
        return
    inner = tuple(data.draw(st.sampled_from([n, 1])) for n in target)[data.draw(st.integers(0, len(target))) :]
    value = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-3, 4, inner).astype(np.float64)
    expected = x.copy()
    expected[in_numpy(index)] = value
    try:
        check(at(x, index).set(value), expected)
    except IndexingError:
        assert 0 in target  # NumPy does not check an index that reads nothing
        return
    check(jvp(lambda x: IndexUpdateHelper(x)[index].set(value), (x,), (x,))[0], expected)
    how = data.draw(st.sampled_from(sorted(UFUNCS)))
    expected = x.copy()
    # The value in full: NumPy 2.4 reads beyond the end of one that its ufunc.at has to broadcast.
    UFUNCS[how].at(expected, in_numpy(index), np.broadcast_to(value, target).copy())
    check(getattr(at(x, index), how)(value), expected)
    check(jvp(lambda x: getattr(IndexUpdateHelper(x)[index], how)(value), (x,), (x,))[0], expected)


@pytest.mark.parametrize("examples", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_traced_positions_read_and_update_the_same(examples: int) -> None:
    """Each example is compiled."""
    settings(max_examples=examples, deadline=None)(given(st.data())(check_traced_positions))()


def check_traced_positions(data: Any) -> None:
    shape = data.draw(shapes())
    x, index = counting(*shape), data.draw(indices(shape))
    items = index if isinstance(index, tuple) else (index,)
    traced = [i for i, item in enumerate(items) if getattr(item, "dtype", np.bool_) != np.bool_ or type(item) is int]

    def with_positions(positions: Any) -> tuple:
        return tuple(positions[traced.index(i)] if i in traced else item for i, item in enumerate(items))

    positions = [np.asarray(items[i]) for i in traced]
    try:
        expected = x[in_numpy(index)]
    except IndexError:
        return
    if expected.size == 0:
        return
    check(jit(lambda x, p: getitem(x, with_positions(p)))(x, positions), np.asarray(expected))
    updated = x.copy()
    updated[in_numpy(index)] = -1
    check(jit(lambda x, p: IndexUpdateHelper(x)[with_positions(p)].set(-1.0))(x, positions), updated)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_take_and_take_along_axis_are_numpys(data: Any) -> None:
    shape = data.draw(shapes().filter(lambda s: len(s) and 0 not in s))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x, rng = counting(*shape), np.random.default_rng(data.draw(st.integers(0, 99)))
    positions = rng.integers(-shape[axis], shape[axis], data.draw(shapes(rank=2)))
    check(take(x, positions, axis), np.take(x, positions, axis))
    check(take(x, positions % x.size), np.take(x, positions % x.size))
    beyond = rng.integers(-9, 9, data.draw(shapes(rank=2)))
    for mode in ("clip", "wrap"):
        check(take(x, beyond, axis, mode=mode), np.take(x, beyond, axis, mode=mode))
        check(jit(lambda p, mode=mode: take(x, p, axis, mode=mode))(beyond), np.take(x, beyond, axis, mode=mode))
    lines = [data.draw(st.sampled_from([n, 1])) for n in shape]
    lines[axis] = data.draw(st.integers(0, 4))
    along = rng.integers(-shape[axis], shape[axis], lines)
    check(take_along_axis(x, along, axis), np.take_along_axis(x, along, axis))
    narrow = x[tuple(slice(1) if d != axis % len(shape) else slice(None) for d in range(len(shape)))]
    check(take_along_axis(narrow, along, axis), np.take_along_axis(narrow, along, axis))
    check(take_along_axis(x, along.ravel(), None), np.take_along_axis(x, along.ravel(), None))


# --- How it is done ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "primitives"),
    [
        ((), []),
        (..., []),
        (slice(None), []),
        (None, ["reshape"]),
        (1, ["slice", "reshape"]),
        (slice(0, 2), ["slice"]),
        ((slice(None), slice(None, None, -1)), ["rev"]),
        ((slice(2, 0, -1), 1, None), ["slice", "rev"]),
        (np.array(1), ["slice", "reshape"]),
        ([0, 2], ["gather"]),
        (([0, 2], slice(1, 3)), ["slice", "gather"]),
    ],
)
def test_known_positions_need_no_gather(index: Any, primitives: list[str]) -> None:
    program = make_jaxpr(lambda x: getitem(x, index))(counting(3, 4))
    assert [eqn.prim.name for eqn in program.eqns] == primitives


@pytest.mark.parametrize("name", ["scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max"])
@pytest.mark.parametrize("dtype", ["float32", "int8", "complex64", "bfloat16"])
def test_without_ufunc_at(name: str, dtype: str) -> None:
    """Where there is no `ufunc.at` (CuPy's lacks operations and dtypes), repeated indices are combined by sorting."""
    rng = np.random.default_rng(0)
    other = types.SimpleNamespace(**vars(np))
    numbers, prim = ScatterDimensionNumbers((1,), (0,), (0,)), getattr(scatter, name + "_p")
    params = {"dimension_numbers": numbers, "indices_are_sorted": False, "mode": GatherScatterMode.FILL_OR_DROP}
    for count in (0, 1, 2, 3, 17, 64):
        x, updates = (rng.integers(-2, 3, (n, 3)).astype(dtypes.canonical_dtype(dtype)) for n in (5, count))
        for high in (1, 7):
            indices = rng.integers(0, high, (count, 1))
            with np.errstate(all="ignore"):
                results = [prim.impl(xp, x, indices, updates, unique_indices=False, **params) for xp in (np, other)]
            assert results[0].dtype == results[1].dtype == x.dtype
            np.testing.assert_array_equal(*results)


def test_arguments_are_not_changed() -> None:
    x, updates = counting(4, 3), np.ones((2, 3), np.float32)
    ours, kept = asarray(x), x.copy()
    for how in ("set", "add", "multiply", "min", "max"):
        getattr(at(ours, np.array([0, 0])), how)(updates)
        getattr(at(ours, slice(0, 2)), how)(updates)
    np.testing.assert_array_equal(np.asarray(ours), kept)


# --- Out of bounds ----------------------------------------------------------------------------------------------------

LINE = np.array([1.0, 2.0, 3.0], np.float32)
NAN = np.nan


@pytest.mark.parametrize("position", [3, -4, 100, -100])
@pytest.mark.parametrize(
    "wrapped", [int, np.int64, lambda i: [i], lambda i: np.array([0, i]), lambda i: asarray(np.array(i))]
)
def test_known_positions_are_checked(position: int, wrapped: Callable) -> None:
    index = wrapped(position)
    for attempt in (
        lambda x: getitem(x, index),
        lambda x: IndexUpdateHelper(x)[index].set(0.0),
        lambda x: IndexUpdateHelper(x)[index].get(),
        lambda x: take(x, index, 0),
    ):
        for run in (attempt, jit(attempt), grad(lambda x, attempt=attempt: reduce_sum(attempt(x), range(1)))):
            with pytest.raises(IndexingError, match=rf"index {position} is out of bounds for axis 0 of shape \(3,\)"):
                run(asarray(LINE))


@pytest.mark.parametrize("position", [3, 100, -4, -100])
def test_traced_positions_read_the_nearest_and_update_nothing(position: int) -> None:
    nearest = LINE[2] if position > 0 else LINE[0]
    for p in (np.int32(position), np.array([0, position])):
        got = jit(getitem)(LINE, p)
        assert np.ravel(got)[-1] == nearest
        updated = jit(lambda x, p: IndexUpdateHelper(x)[p].add(10.0))(LINE, p)
        np.testing.assert_array_equal(updated, LINE if p.ndim == 0 else [11.0, 2.0, 3.0])
        np.testing.assert_array_equal(np.ravel(jit(take, static_argnums=2)(LINE, p, 0))[-1], NAN)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda p: at(LINE, p).get(mode="clip"), [3, 1, 3, 1]),
        (lambda p: at(LINE, p).get(mode="fill"), [NAN, NAN, 3, 1]),
        (lambda p: at(LINE, p).get(mode="fill", fill_value=7), [7, 7, 3, 1]),
        (lambda p: at(LINE, p).set(0.0, mode="drop"), [0, 2, 0]),
        (lambda p: at(LINE, p).set(0.0, mode="clip"), [0, 2, 0]),
        (lambda p: at(LINE, p).add(1.0, mode="drop"), [2, 2, 4]),
        (lambda p: at(LINE, p).add(1.0, mode="clip"), [3, 2, 5]),
        (lambda p: at(LINE, p).divide(2.0, mode="clip"), [0.25, 2, 0.75]),
        (lambda p: at(LINE, p).power(2.0, mode="drop"), [1, 2, 9]),
        (lambda p: take(LINE, p, mode="fill"), [NAN, NAN, 3, 1]),
        (lambda p: take(LINE, p, mode="fill", fill_value=-1), [-1, -1, 3, 1]),
        (lambda p: take(LINE, p, mode="clip"), [3, 1, 1, 1]),
        (lambda p: take(LINE, p, mode="wrap"), [2, 3, 3, 1]),
        (lambda p: take_along_axis(LINE, p, 0, mode="clip"), [3, 1, 3, 1]),
        (lambda p: take_along_axis(LINE, p, 0, mode="fill", fill_value=0), [0, 0, 3, 1]),
    ],
)
def test_modes(read: Callable, expected: list[float]) -> None:
    """A mode holds for known and traced positions alike."""
    positions = np.array([4, -4, -1, 0])
    np.testing.assert_array_equal(read(positions), np.float32(expected))
    np.testing.assert_array_equal(jit(read)(positions), np.float32(expected))


def test_modes_hold_for_integers_too() -> None:
    assert float(at(LINE, 5).get(mode="clip")) == 3
    assert float(at(LINE, -5).get(mode="clip")) == 1
    assert np.isnan(float(at(LINE, 5).get(mode="fill")))
    assert at(np.arange(3), (5, None)).get(mode="fill", fill_value=9).tolist() == [9]
    assert at(LINE, 5).set(0.0, mode="drop").tolist() == [1, 2, 3]
    assert at(LINE, (None, -5)).set(0.0, mode="clip").tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", NAN), ("int8", -128), ("uint16", 65535), ("bool", True), ("complex64", NAN), ("bfloat16", NAN)],
)
def test_default_fill(dtype: str, expected: Any) -> None:
    x = np.zeros(3, dtypes.canonical_dtype(dtype))
    got = at(x, np.array([7])).get(mode="fill")
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(np.asarray(got).astype(np.complex64), np.complex64(expected))


def test_positions_beyond_int64_are_out_of_bounds() -> None:
    huge = np.array([[2**64 - 1], [2**63], [1]], np.uint64)
    numbers = GatherDimensionNumbers((), (0,), (0,))
    assert gather(LINE, huge, numbers, (1,), mode="clip").tolist() == [3, 3, 2]
    assert gather(LINE, huge, numbers, (1,), mode="fill", fill_value=0).tolist() == [0, 0, 2]
    with pytest.raises(IndexingError, match="out of bounds"):
        getitem(asarray(LINE), huge[:, 0])


def test_small_dtypes_of_positions_do_not_overflow() -> None:
    x = counting(300)
    check(getitem(asarray(x), np.array([-1, 127], np.int8)), x[[-1, 127]])
    check(jit(getitem)(x, np.array([-1, 127], np.int8)), x[[-1, 127]])
    check(jit(lambda x, p: take(x, p, mode="wrap"))(x, np.array([-1, 127], np.int8)), x[[-1, 127]])
    check(jit(lambda x, p: IndexUpdateHelper(x)[p].multiply(0.0))(x, np.array([255], np.uint8)), x * (x != 255))


# --- Errors -----------------------------------------------------------------------------------------------------------

GRID = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ((0, 0, 0), r"too many indices: 3 for an array of 2 axes, of shape \(2, 3\)"),
        (np.ones((2, 3, 1), bool), "too many indices: 3"),
        ((..., 0, ...), "only one ellipsis"),
        (1.0, r"1.0 of type float cannot be an index"),
        ("a", r"'a' of type str cannot be an index"),
        ({}, "of type dict"),
        (np.zeros(2), "an array of float64 cannot be an index"),
        ([0.5], "an array of float64 cannot be an index"),
        ([[0], [0, 1]], "rows differ in length"),
        (slice(0, 1.5), "cannot be an index"),
        (slice(None, None, 0), "step"),
        (([0, 1], [0, 1, 2]), r"index arrays: shapes \(2,\) and \(3,\)"),
        (np.array([True]), r"boolean index of shape \(1,\) does not fit axes 0 to 0 of shape \(2, 3\)"),
        (([True, False, True],), r"boolean index of shape \(3,\)"),
    ],
)
def test_what_cannot_be_an_index(index: Any, message: str) -> None:
    for attempt in (lambda x: getitem(x, index), lambda x: IndexUpdateHelper(x)[index].set(1.0)):
        with pytest.raises(IndexingError, match=message):
            attempt(asarray(GRID))
        with pytest.raises(IndexingError, match=message):
            jit(attempt)(GRID)


def test_an_empty_axis_has_nothing_to_read() -> None:
    for index in (0, [0], np.int32(0)):
        with pytest.raises(IndexingError, match="axis 0 of shape"):
            jit(getitem)(GRID[:0], np.asarray(index))
    assert getitem(asarray(GRID[:0]), []).shape == (0, 3)


def test_traced_masks_and_slices_say_what_to_do_instead() -> None:
    with pytest.raises(IndexingError, match=r"nrx.numpy.where\(mask, x, 0\).*nonzero\(mask, size=n\)"):
        jit(getitem)(LINE, LINE > 1)
    with pytest.raises(IndexingError, match="dynamic_slice"):
        jit(lambda x, i: getitem(x, slice(i, None)))(LINE, 1)
    with pytest.raises(IndexingError, match=r"jnp.stack"):
        jit(lambda x, i: getitem(x, [i, 0]))(LINE, 1)
    with pytest.raises(IndexingError, match="traced boolean"):
        jit(lambda x, m: IndexUpdateHelper(x)[m].set(np.ones(2)))(LINE, LINE > 1)
    with pytest.raises(ArgumentError, match=r'"raise"'):
        jit(lambda x, i: take(x, i, mode="raise"))(LINE, 1)


def test_traced_masks_can_be_updated_with_one_value() -> None:
    x, mask = counting(3, 2), np.array([True, False, True])
    for how, ufunc in UFUNCS.items():
        expected = x.copy()
        expected[mask] = ufunc(expected[mask], np.float32([2, 3]))
        check(jit(lambda x, m, how=how: getattr(IndexUpdateHelper(x)[m], how)(np.float32([2, 3])))(x, mask), expected)
    masks = np.array([[True, False, True], [False, False, True]])
    got = vmap(lambda m: at(x, (m,)).set(9.0))(masks)
    check(got, np.where(masks[..., None], np.float32(9), x))


def test_values_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"a value of shape \(2,\) .* the shape \(2, 3\) of x\[index\]"):
        at(GRID, ...).set(np.ones(2))
    with pytest.raises(ShapeError, match=r"\(2, 2, 3\)"):
        at(GRID, ...).add(np.ones((2, 2, 3)))
    assert at(GRID, 0).set(np.ones((1, 1, 3))).shape == (2, 3)
    for x, value in [(np.arange(3), 1.5), (LINE, 1j), (LINE > 0, 2), (np.arange(3), np.float32(1))]:
        with pytest.raises(DTypeError, match="keeps its dtype"):
            at(x, 0).set(value)
    with pytest.raises(DTypeError, match="floating or complex"):
        at(np.arange(3), 0).divide(2)
    with pytest.raises(ArgumentTypeError, match="the value of an update"):
        at(LINE, 0).set("a")
    with pytest.raises(ArgumentError, match="unknown gather or scatter mode 'wrap'"):
        at(LINE, 0).get(mode="wrap")
    with pytest.raises(ArgumentError, match="immutable"):
        take(LINE, 0, out=LINE)
    with pytest.raises(IndexingError, match="must be integers"):
        take(LINE, LINE > 1)
    with pytest.raises(ShapeError, match="as many axes"):
        take_along_axis(GRID, np.array([0]), 1)
    with pytest.raises(ShapeError, match="broadcast"):
        take_along_axis(GRID, np.zeros((3, 1), int), 1)


@pytest.mark.parametrize(
    ("numbers", "indices", "sizes", "error", "message"),
    [
        (((), (0,), (0,)), np.zeros((4, 1)), (1, 3), DTypeError, "array of indices"),
        (((1,), (0,), (0,)), 0, (1, 3), ShapeError, "need a last axis"),
        (((1,), (0,), (0, 1)), np.zeros((4, 1), int), (1, 3), ShapeError, "cannot start 2 axes"),
        (((1,), (2,), (0,)), np.zeros((4, 1), int), (1, 3), AxisError, "collapsed"),
        (((1,), (0,), (2,)), np.zeros((4, 1), int), (1, 3), AxisError, "index vector starts"),
        (((2,), (0,), (0,)), np.zeros((4, 1), int), (1, 3), AxisError, "axes of the window"),
        (((), (0,), (0,)), np.zeros((4, 1), int), (1, 3), ShapeError, "window has 1 axes"),
        (((1, 0), (), (0,)), np.zeros((4, 1), int), (1, 3), AxisError, "ascending"),
        (((1,), (0,), (0,)), np.zeros((4, 1), int), (2, 3), ShapeError, "1 at axes"),
        (((1,), (0,), (0,)), np.zeros((4, 1), int), (1, 4), ShapeError, "do not fit"),
        (((1,), (0,), (0,)), np.zeros((4, 1), int), (1,), ShapeError, "entry for each axis"),
        (((), (1,), (1,), (0,), (0,)), np.zeros((4, 1), int), (1, 1), ShapeError, "batching axes"),
        (((), (1,), (0,), (0,), (0,)), np.zeros((2, 1), int), (1, 1), AxisError, "index vector starts"),
    ],
)
def test_dimension_numbers_that_do_not_fit(
    numbers: tuple, indices: Any, sizes: tuple, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        gather(GRID, indices, GatherDimensionNumbers(*numbers), sizes)


@pytest.mark.parametrize(
    ("updates", "error", "message"),
    [
        (np.zeros((4, 3)), DTypeError, "one dtype"),
        (np.zeros((5, 3), "f"), ShapeError, r"batch shape \(5,\)"),
        (np.zeros((4,), "f"), ShapeError, "need 2 axes"),
        (np.zeros((4, 5), "f"), ShapeError, "do not fit into operand"),
    ],
)
def test_updates_that_do_not_fit(updates: np.ndarray, error: type, message: str) -> None:
    numbers = ScatterDimensionNumbers((1,), (0,), (0,))
    with pytest.raises(error, match=message):
        scatter.scatter(GRID, np.zeros((4, 1), int), updates, numbers)


def test_scatter_places_every_axis() -> None:
    with pytest.raises(ShapeError, match="do not place all 2 axes"):
        scatter.scatter(GRID, np.zeros((4, 1), int), GRID[:1], ScatterDimensionNumbers((1,), (), (0,)))


# --- Dtypes -----------------------------------------------------------------------------------------------------------


def test_the_array_keeps_its_dtype() -> None:
    for x, value in [(np.zeros(2, "f2"), 1.0), (np.zeros(2, "f4"), np.float64(1)), (np.zeros(2, "u1"), 1),
                     (np.zeros(2, "c8"), 1), (np.zeros(2, "f4"), True), (np.zeros(2, "?"), True)]:  # fmt: skip
        assert at(x, 0).set(value).dtype == x.dtype
    weak = asarray(1.0)
    assert at(weak, ()).set(np.float32(2)).aval == weak.aval
    assert getitem(weak, None).weak_type


def test_narrow_floats_accumulate_in_float32() -> None:
    for dtype in ("bfloat16", "float16"):
        x = np.zeros(2, dtypes.canonical_dtype(dtype))
        ones = np.ones(5000, x.dtype)
        got = at(x, np.zeros(5000, int)).add(ones)
        assert float(getitem(got, 0)) == float(np.float32(5000).astype(x.dtype))


def test_integers_are_exact_and_wrap() -> None:
    assert at(np.zeros(1, np.uint8), [0] * 300).add(1).tolist() == [300 - 256]
    assert at(np.zeros(1, np.uint8), 0).subtract(1).tolist() == [255]
    assert at(np.arange(4), [2, 2]).power([3, 1]).tolist() == [0, 1, 8, 3]


# --- Derivatives and batches ------------------------------------------------------------------------------------------

CUBE = np.random.default_rng(0).uniform(0.5, 2.0, (3, 4, 5))
INDICES: list[Any] = [
    1,
    (slice(None, None, -2), 2),
    (..., None, slice(1, 3)),
    [0, 2, 0],
    (slice(None), [[1, 3], [1, 0]]),
    ([0, 1], slice(1, 3), [4, 4]),
    (1, slice(None), [0, 3, 3]),
    CUBE > 1.5,
    (slice(None), CUBE[0, :, 0] > 1),
]
METHODS = ["set", "add", "subtract", "multiply", "divide", "power", "min", "max"]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_derivative_of_reading(index: Any) -> None:
    check_grads(lambda x: getitem(x, index), (CUBE,), order=2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_derivative_of_updates(index: Any, method: str) -> None:
    value = np.random.default_rng(1).uniform(0.5, 2.0, CUBE[index].shape)
    check_grads(lambda x, v: getattr(IndexUpdateHelper(x)[index], method)(v), (CUBE, value), order=2)


def test_derivative_of_apply_and_of_a_traced_mask() -> None:
    check_grads(lambda x: IndexUpdateHelper(x)[1, [0, 2]].apply(lambda y: arithmetic.mul(y, y)), (CUBE,), order=2)
    function = jit(lambda x, v, m: IndexUpdateHelper(x)[m].multiply(v))
    check_grads(lambda x, v: function(x, v, CUBE[..., 0] > 1), (CUBE, CUBE[0, 0]), order=2)


def test_the_update_that_wins_has_the_derivative() -> None:
    def last(values: Any) -> Any:
        return IndexUpdateHelper(asarray(np.zeros(2)))[np.array([1, 1, 0, 1])].set(values)

    _, tangent = jvp(last, (np.ones(4),), (np.array([1.0, 2.0, 3.0, 4.0]),))
    assert tangent.tolist() == [3, 4]
    weights = asarray(np.array([10.0, 20.0]))
    gradient = grad(lambda v: reduce_sum(arithmetic.mul(last(v), weights), (0,)))(np.ones(4))
    assert gradient.tolist() == [0, 0, 10, 20]


def test_gradient_of_clamped_and_dropped_positions() -> None:
    position = np.array([5, 1])
    read = jit(grad(lambda x, p: reduce_sum(getitem(x, p), (0,))))
    assert read(LINE, position).tolist() == [0, 1, 1]  # where it was read
    update = jit(grad(lambda v, p: reduce_sum(at(LINE, p).set(v), (0,))))
    assert update(np.ones(2, "f"), position).tolist() == [0, 1]


READ_AND_UPDATE = [
    lambda x, p, v: getitem(x, (slice(None), p)),
    lambda x, p, v: getitem(x, (p, 1, slice(None, None, -1))),
    lambda x, p, v: getitem(x, (p, slice(None), [0, 1])),
    lambda x, p, v: take(x, p, 1),
    lambda x, p, v: take_along_axis(x, getitem(p, (slice(None), None, None)), 0),
    *(
        lambda x, p, v, method=method: getattr(IndexUpdateHelper(x)[p, 1:3], method)(getitem(v, (slice(None), None)))
        for method in METHODS
    ),
]


@pytest.mark.parametrize("function", READ_AND_UPDATE)
@pytest.mark.parametrize(
    "in_axes", [(0, None, None), (None, 0, None), (None, None, 0), (0, 0, 0), (1, 1, None), (3, 0, 1)]
)
def test_vmap(function: Callable, in_axes: tuple) -> None:
    rng = np.random.default_rng(0)
    shapes = [(3, 4, 5), (2,), (2, 5)]
    args = [rng.uniform(0.5, 2, s if a is None else (*s[:a], 6, *s[a:])) for s, a in zip(shapes, in_axes, strict=True)]
    args[1] = rng.integers(-3, 3, args[1].shape)
    got = vmap(function, in_axes=in_axes)(*args)
    for i in range(6):
        row = [x if a is None else np.take(x, i, a) for x, a in zip(args, in_axes, strict=True)]
        np.testing.assert_allclose(
            got.numpy()[i] if got.shape[0] == 6 else got, function(*map(asarray, row)), rtol=1e-14
        )


def test_vmap_of_grad() -> None:
    def loss(x: Any, p: Any) -> Any:
        return reduce_sum(arithmetic.square(getitem(x, (p, [0, 1]))), (0,))

    positions = np.array([[0, 1], [1, 1], [-1, 0]])
    got = vmap(grad(loss), in_axes=(None, 0))(CUBE[..., 0], positions)
    for row, p in zip(got.numpy(), positions, strict=True):
        expected = np.zeros((3, 4))
        np.add.at(expected, (p, [0, 1]), 2 * CUBE[p, [0, 1], 0])
        np.testing.assert_allclose(row, expected)


def test_the_highest_unsigned_positions_are_out_of_bounds() -> None:
    """They are not the negative numbers of the same bits: reads take the last element, updates are dropped."""
    x = asarray(np.arange(5.0))
    for i in (np.array([2**64 - 1, 2**63], np.uint64), np.array([2**32 - 1, 2**31], np.uint32)):
        np.testing.assert_array_equal(jit(lambda x, i: x[i])(x, i), [4, 4])
        np.testing.assert_array_equal(jit(lambda x, i: x.at[i].add(9))(x, i), np.arange(5))
