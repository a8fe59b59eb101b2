"""What moves data, compiled: every bit of every dtype arrives where NumPy puts it, however the work is cut."""

from collections.abc import Callable
from typing import Any

import loop_interpreter
import loop_machine
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_interpreter import lowered

from nrx.core import dtypes, loops
from nrx.core.aval import Aval
from nrx.core.loops import Builder, Native
from nrx.core.primitive import registry
from nrx.core.shapes import size
from nrx.ops import moves, scatter, slicing, structural
from nrx.ops.dimension_numbers import GatherDimensionNumbers, GatherScatterMode

quick = settings(max_examples=100, deadline=None)
RUNS = [pytest.param(loop_interpreter.run, id="interpreted"), pytest.param(loop_machine.run, id="native")]
runs = pytest.mark.parametrize("run", RUNS)
each_dtype = pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
MODES = tuple(GatherScatterMode)


def any_bits(shape: tuple, dtype: np.dtype, seed: int = 0) -> np.ndarray:
    """Random bits, NaNs with payloads among them."""
    bits = np.random.default_rng(seed).integers(0, 256, (size(shape), dtype.itemsize), np.uint8)
    return (bits[:, 0] % 2 == 1 if dtype == np.bool_ else bits.view(dtype)[:, 0]).reshape(shape)


def check(name: str, arrays: list, run: Callable, native: bool | None = None, **params: Any) -> None:
    """Compare the lower rule of a primitive with its impl, bit by bit."""
    prim = registry[name]
    avals = [Aval(x.shape, x.dtype) for x in arrays]
    if native is not None:
        assert isinstance(prim.lower(*avals, **params), Native) == native
    found = lowered(prim, avals, arrays, params, run)
    with np.errstate(all="ignore"):
        expected = prim.impl(np, *arrays, **params)
    assert found is not None
    for got, want in zip(found, expected if prim.multiple_results else [expected], strict=True):
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        assert got.tobytes() == want.tobytes(), f"{name} of {[str(aval) for aval in avals]}, {params}"


@pytest.fixture
def cut_finely(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Makes copies of everything, in tasks of so many elements and blocks of so many rows and columns."""

    def cut(elements: int, copied: int = 16, block: tuple[int, int] = (16, 16), side: int = 2) -> None:
        monkeypatch.setattr(moves, "_TASK_ELEMENTS", elements)
        monkeypatch.setattr(moves, "_COPIED_BYTES", copied)
        monkeypatch.setattr(moves, "_BLOCK", block)
        monkeypatch.setattr(moves, "_LEAST_SIDE", side)
        monkeypatch.setattr(slicing, "SMALL", -1)
        monkeypatch.setattr(structural, "SMALL", -1)
        monkeypatch.setattr(slicing, "_FEW_OPERANDS", 0)
        monkeypatch.setattr(scatter, "_PARALLEL_SIZE", 0)
        monkeypatch.setattr(scatter, "_FEWEST_ELEMENTS", 1)

    return cut


# --- Views ------------------------------------------------------------------------------------------------------------


@runs
@each_dtype
def test_views_keep_every_bit(dtype: np.dtype, run: Callable) -> None:
    x, row = any_bits((3, 4, 5), dtype), any_bits((1, 5), dtype, 1)
    check("transpose", [x], run, False, permutation=(2, 0, 1))
    check("reshape", [x], run, shape=(5, 12))
    check("broadcast_in_dim", [row], run, shape=(5, 3, 2), placement=(1, 0))
    check("rev", [x], run, dimensions=(0, 2))
    check("slice", [x], run, start_indices=(0, 1, 0), limit_indices=(3, 4, 5), strides=(2, 1, 3))
    check("split", [x], run, sizes=(1, 0, 3), dimension=1)
    check("pad", [x, any_bits((), dtype, 2)], run, False, padding_config=((1, -1, 1), (0, 2, 0), (-1, 3, 2)))
    check("concatenate", [x, any_bits((3, 2, 5), dtype, 3)], run, False, dimension=1)
    starts = [np.array(start, np.int8) for start in (2, -3, 1)]
    check("dynamic_slice", [x, *starts], run, slice_sizes=(2, 4, 3))


# --- Copies -----------------------------------------------------------------------------------------------------------


@runs
@each_dtype
def test_copies_keep_every_bit(dtype: np.dtype, run: Callable, cut_finely: Callable) -> None:
    cut_finely(32)
    x, y, value = any_bits((17, 19), dtype), any_bits((17, 3), dtype, 1), any_bits((), dtype, 2)
    check("transpose", [x], run, True, permutation=(1, 0))
    check("pad", [x, value], run, True, padding_config=((1, 2, 1), (-2, 3, 1)))
    check("concatenate", [x, y, x], run, True, dimension=1)
    check("dynamic_update_slice", [x, y, np.array(-1, np.int32), np.array(99, np.uint64)], run)
    row, indices = GatherDimensionNumbers((1,), (0,), (0,)), np.array([[3], [0], [3], [16], [5]], np.int16)
    options = {"indices_are_sorted": False, "unique_indices": False, "mode": GatherScatterMode.CLIP}
    check("scatter", [x, indices, x[:5]], run, dimension_numbers=row.for_scatter(), **options)
    check("gather", [x, indices], run, dimension_numbers=row, slice_sizes=(1, 19), fill_value=None, **options)


@st.composite
def permuted(draw: Callable) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5, 16, 17, 33]), min_size=1, max_size=4)))
    return shape, tuple(draw(st.permutations(range(len(shape)))))


@quick
@given(permuted(), st.sampled_from([1, 7, 64, 1000]), st.sampled_from([2, 16]), st.sampled_from(["i1", "f4", "c16"]))
def test_transpose_natively(way: tuple, elements: int, side: int, code: str) -> None:
    permutation, x = way[1], any_bits(way[0], np.dtype(code))
    if x.size > 20_000:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structural, "SMALL", -1)
        settings = {"TASK_ELEMENTS": elements, "LEAST_SIDE": side, "BLOCK": (32, 16), "JOINED": 16, "LONG_SIDE": 16}
        for name, value in settings.items():
            patch.setattr(moves, f"_{name}", value)
        check("transpose", [x], loop_machine.run, permutation=permutation)


@pytest.mark.parametrize("level", loop_machine.LEVELS)
@pytest.mark.parametrize("dtype", ["int8", "bfloat16", "float32", "float64", "complex128"])
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 40), (3, 3), (16, 16), (17, 64), (40, 15), (35, 70), (3, 45), (70, 8), (16, 2)]
)
@pytest.mark.parametrize("gap", [0, 2])
def test_transpose_statement(gap: int, rows: int, columns: int, dtype: str, level: str) -> None:
    """Nothing outside the matrix is touched."""
    source = any_bits((rows + 1, columns + gap), dtypes.canonical_dtype(dtype))
    target = any_bits((columns + 1, rows + gap), dtypes.canonical_dtype(dtype), 1)
    expected = target.copy()
    expected[1:, :rows] = source[1:, gap:].T
    b = Builder("transpose")
    buffers = [b.buffer(name, loops.type_of(target.dtype), name == "source") for name in ("source", "target")]
    sides = (rows + gap, columns + gap)
    b.transpose(buffers[1], sides[0], sides[0], buffers[0], sides[1] + gap, sides[1], rows, columns)
    interpreted = target.copy()
    loop_interpreter.run(b.kernel, [source, interpreted])
    loop_machine.run(b.kernel, [source, target], level=level)
    assert target.tobytes() == interpreted.tobytes() == expected.tobytes()


def test_interior_padding_is_one_loop_for_any_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    monkeypatch.setattr(slicing, "move", lambda b, boxes: counts.append(len(boxes)) or moves.move(b, boxes))
    monkeypatch.setattr(registry["pad"], "lower", lambda *avals, **params: slicing._PAD_NATIVE)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for gap in (1, 2, 300):
        check("pad", [x, np.array(7, "f4")], loop_machine.run, padding_config=((1, 2, 0), (1, 1, gap)))
    assert len(set(counts)) == 1


@quick
@given(st.data(), st.sampled_from([1, 5, 40]))
def test_pad_by_copies(data: Any, elements: int) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 6, 20]), max_size=3)))
    edge = st.integers(-4, 4)
    config = tuple((data.draw(edge), data.draw(edge), data.draw(st.integers(0, 2))) for _ in shape)
    lengths = [low + high + n + max(n - 1, 0) * gap for n, (low, high, gap) in zip(shape, config, strict=True)]
    if min(lengths, default=0) < 0:
        return
    x, value = any_bits(shape, np.dtype("f4")), np.array(7, "f4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "_TASK_ELEMENTS", elements)
        for rule in (slicing._PAD_VIEW, slicing._PAD_NATIVE):
            patch.setattr(registry["pad"], "lower", lambda *avals, rule=rule, **params: rule)
            check("pad", [x, value], loop_machine.run, padding_config=config)


@quick
@given(st.data(), st.sampled_from([1, 5, 40, 1000]))
def test_concatenate_by_copies(data: Any, elements: int) -> None:
    rank = data.draw(st.integers(1, 3))
    shape = data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 20]), min_size=rank, max_size=rank))
    axis = data.draw(st.integers(0, rank - 1))
    counts = data.draw(st.lists(st.sampled_from([0, 1, 2, 50]), min_size=1, max_size=5))
    parts = [any_bits((*shape[:axis], n, *shape[axis + 1 :]), np.dtype("c8"), n) for n in counts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "_TASK_ELEMENTS", elements)
        for small in (-1, 10**9):
            patch.setattr(slicing, "SMALL", small)
            patch.setattr(slicing, "_FEW_OPERANDS", 0)
            check("concatenate", parts, loop_machine.run, small < 0, dimension=axis)


# --- Gather and scatter -----------------------------------------------------------------------------------------------


@st.composite
def windows(draw: Callable) -> tuple[np.ndarray, np.ndarray, dict, tuple]:
    """An operand's shape, indices, dimension numbers and sizes of windows: any layout there is."""
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.sampled_from([1, 2, 3, 5, 8])) for _ in range(rank))
    kinds = [draw(st.sampled_from(["window", "window", "collapsed", "batching"])) for _ in shape]
    batching = tuple(d for d, kind in enumerate(kinds) if kind == "batching")
    started = [d for d in range(rank) if d not in batching and draw(st.booleans())]
    sizes = tuple(1 if kind != "window" else draw(st.integers(0, n)) for n, kind in zip(shape, kinds, strict=True))
    extra = draw(st.lists(st.integers(1, 4), max_size=2))
    batch = [*(shape[d] for d in batching), *extra]
    order = draw(st.permutations(range(len(batch))))
    places = tuple(order.index(k) for k in range(len(batching)))
    window = [d for d, kind in enumerate(kinds) if kind == "window"]
    total = len(batch) + len(window)
    offset = tuple(sorted(draw(st.permutations(range(total)))[: len(window)]))
    numbers = GatherDimensionNumbers(
        offset, tuple(d for d, kind in enumerate(kinds) if kind == "collapsed"), tuple(draw(st.permutations(started))),
        batching, places,
    )  # fmt: skip
    dtype = draw(st.sampled_from(["int8", "int32", "int64", "uint8", "uint64"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    low = 0 if dtype[0] == "u" else -3
    indices = rng.integers(low, 9, (*(batch[k] for k in order), len(started))).astype(dtype)
    if dtype == "uint64":
        indices[indices == 8] = 2**64 - 1
    return shape, indices, numbers, sizes


OPTIONS = {"indices_are_sorted": False, "unique_indices": False}


@quick
@given(windows(), st.sampled_from(MODES))
def test_gather(way: tuple, mode: GatherScatterMode) -> None:
    shape, indices, numbers, sizes = way
    x = any_bits(shape, np.dtype("f4"))
    params = {"dimension_numbers": numbers, "slice_sizes": sizes, "mode": mode, "fill_value": None}
    check("gather", [x, indices], loop_machine.run, **params, **OPTIONS)


@quick
@given(
    windows(), st.sampled_from(MODES), st.sampled_from(["scatter", "scatter_add", "scatter_mul", "scatter_max"]),
    st.booleans(), st.sampled_from(["f4", "bfloat16", "u2"]),
)  # fmt: skip
def test_scatter(way: tuple, mode: GatherScatterMode, name: str, cut: bool, code: str) -> None:
    shape, indices, numbers, sizes = way
    dtype = dtypes.canonical_dtype(code)
    rng = np.random.default_rng(1)
    params = {"dimension_numbers": numbers, "slice_sizes": sizes, "mode": mode, "fill_value": None}
    updates = registry["gather"].infer((Aval(shape, dtype), Aval(indices.shape, indices.dtype)), {**params, **OPTIONS})
    x, new = (rng.uniform(0, 3, s).astype(dtype) for s in (shape, updates.shape))
    with pytest.MonkeyPatch.context() as patch:
        if cut:
            patch.setattr(scatter, "_PARALLEL_SIZE", 0)
            patch.setattr(scatter, "_FEWEST_ELEMENTS", 1)
        options = {"dimension_numbers": numbers.for_scatter(), "mode": mode, **OPTIONS}
        check(name, [x, indices, new], loop_machine.run, **options)
