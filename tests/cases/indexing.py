"""Cases of gather and scatter. Indices run beyond the operand on both sides; the oracle takes window by window."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cases.base import Arg, Case, arg, integers
from nrx.ops import gather, scatter
from nrx.ops.dimension_numbers import GatherDimensionNumbers, ScatterDimensionNumbers

MOVED = ("float32", "float64", "bfloat16", "complex64", "int8", "uint64", "bool", "float8_e5m2")
ADDED = ("float32", "float64", "float16", "bfloat16", "complex64", "int8", "uint32")
COMPARED = ("float32", "float64", "bfloat16", "int8", "uint64", "bool")


class Way(NamedTuple):
    """An operand, indices and how they go together, in gather's words; its result is what a scatter updates with."""

    name: str
    operand: tuple
    indices: tuple
    numbers: tuple
    sizes: tuple
    dtype: str = "int32"

    @property
    def updates(self) -> tuple:
        offset, left_out = self.numbers[0], (*self.numbers[1], *(self.numbers[3:4] or ((),))[0])
        lengths = dict(zip(offset, (s for d, s in enumerate(self.sizes) if d not in left_out), strict=True))
        batch = iter(self.indices)
        return tuple(lengths[d] if d in lengths else next(batch) for d in range(len(lengths) + len(self.indices) - 1))

    def index_arg(self) -> Arg:
        low = 0 if self.dtype[0] == "u" else -2
        return integers(*self.indices, low=low, high=max(self.operand, default=0) + 3, dtype=self.dtype)


WAYS = [
    Way("element", (5,), (1,), ((), (0,), (0,)), (1,)),
    Way("slice", (5,), (1,), ((0,), (), (0,)), (3,)),
    Way("slice-of-matrix", (5, 4), (2,), ((0, 1), (), (1, 0)), (3, 2)),
    Way("elements", (5,), (7, 1), ((), (0,), (0,)), (1,)),
    Way("rows", (4, 3), (5, 1), ((1,), (0,), (0,)), (1, 3)),
    Way("columns", (3, 4), (5, 1), ((0,), (1,), (1,)), (3, 1)),
    Way("parts-of-rows", (4, 3), (5, 1), ((1,), (0,), (0,)), (1, 2)),
    Way("parts-of-columns", (3, 4), (5, 1), ((1,), (1,), (1,)), (2, 1)),
    Way("points", (3, 4), (6, 2), ((), (0, 1), (0, 1)), (1, 1)),
    Way("points-turned", (3, 4), (2, 3, 2), ((), (0, 1), (1, 0)), (1, 1)),
    Way("windows", (5, 6), (2, 2, 2), ((1, 3), (), (0, 1)), (2, 3)),
    Way("windows-first", (5, 6, 2), (4, 1), ((0, 2), (0,), (1,)), (1, 3, 2)),
    Way("middle-axis", (2, 5, 3), (4, 1), ((0, 2), (1,), (1,)), (2, 1, 3)),
    Way("outer-axes", (2, 5, 3), (4, 2), ((0,), (0, 2), (2, 0)), (1, 5, 1)),
    Way("axis-of-one", (1, 3), (4, 2), ((), (0, 1), (0, 1)), (1, 1)),
    Way("batched", (3, 4), (3, 2, 1), ((), (1,), (1,), (0,), (0,)), (1, 1)),
    Way("batched-twice", (4, 2, 3), (3, 2, 4, 1), ((), (1,), (1,), (0, 2), (2, 0)), (1, 1, 1)),
    Way("batched-windows", (3, 5, 2), (3, 1), ((1, 2), (), (1,), (0,), (0,)), (1, 2, 2)),
    Way("no-start", (3,), (1, 0), ((1,), (), ()), (2,)),
    Way("0-d", (), (1, 0), ((), (), ()), ()),
    Way("none", (4, 3), (0, 1), ((1,), (0,), (0,)), (1, 3)),
    Way("empty-windows", (4,), (3, 1), ((1,), (), (0,)), (0,)),
    Way("int8", (4, 2), (3, 1), ((1,), (0,), (0,)), (1, 2), "int8"),
    Way("int64", (4, 2), (3, 1), ((1,), (0,), (0,)), (1, 2), "int64"),
    Way("uint8", (4, 2), (3, 1), ((1,), (0,), (0,)), (1, 2), "uint8"),
    Way("uint64", (4, 2), (3, 1), ((1,), (0,), (0,)), (1, 2), "uint64"),
]
WAY = {way.name: way for way in WAYS}

# Oracles


def windows(way: Way, operand: np.ndarray, indices: np.ndarray, clip: bool) -> Iterator[tuple[tuple, Any]]:
    """For each batch index, the window it names as slices of the operand, or None if it is not in bounds."""
    _, _, starts, operand_batching, indices_batching = (*way.numbers, (), ())[:5]
    for at in np.ndindex(indices.shape[:-1]):
        start = [0] * operand.ndim
        for d, b in zip(operand_batching, indices_batching, strict=True):
            start[d] = at[b]
        for d, i in zip(starts, indices[at].tolist(), strict=True):
            start[d] = i
        sizes = [1 if d in operand_batching else s for d, s in enumerate(way.sizes)]
        limits = [n - s for n, s in zip(operand.shape, sizes, strict=True)]
        clipped = [min(max(s, 0), limit) for s, limit in zip(start, limits, strict=True)]
        fits = clip or clipped == start
        yield at, tuple(slice(s, s + n) for s, n in zip(clipped, sizes, strict=True)) if fits else None


def places(way: Way, shape: tuple) -> tuple[Callable, tuple]:
    """Where the window of a batch index is in the result (or the updates), and the shape it has there."""
    offset = way.numbers[0]

    def place(at: tuple) -> tuple:
        batch = iter(at)
        return tuple(slice(None) if d in offset else next(batch) for d in range(len(shape)))

    return place, tuple(shape[d] for d in offset)


def filler(dtype: np.dtype) -> Any:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
    return True if dtype.kind == "b" else np.nan


def gathered(way: Way, clip: bool, fill: Any = None) -> Callable:
    def oracle(x: np.ndarray, indices: np.ndarray) -> np.ndarray:
        shape = way.updates
        place, inner = places(way, shape)
        out = np.full(shape, filler(x.dtype) if fill is None else fill, x.dtype)
        for at, window in windows(way, x, indices, clip):
            if window is not None:
                out[place(at)] = x[window].reshape(inner)
        return out

    return oracle


def scattered(way: Way, clip: bool, combine: Callable) -> Callable:
    def oracle(x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
        place, _ = places(way, updates.shape)
        out = x.copy()
        for at, window in windows(way, x, indices, clip):
            if window is not None:
                out[window] = combine(out[window], updates[place(at)].reshape(out[window].shape))
        return out

    return oracle


COMBINE = {
    "scatter": lambda old, new: new,
    "scatter_add": np.add,
    "scatter_mul": np.multiply,
    "scatter_min": np.minimum,
    "scatter_max": np.maximum,
}
DTYPES = {
    "scatter": MOVED,
    "scatter_add": ADDED,
    "scatter_mul": ADDED,
    "scatter_min": COMPARED,
    "scatter_max": COMPARED,
}

# Cases


def gather_case(
    way: Way, mode: str, name: str = "", index: Arg | None = None, fill: Any = None, **options: Any
) -> Case:
    numbers = GatherDimensionNumbers(*way.numbers)
    keywords = {"mode": mode, "fill_value": fill, **options}
    return Case(
        f"gather-{way.name}-{name or mode}", "gather",
        lambda x, i: gather.gather(x, i, numbers, way.sizes, **keywords),
        [arg(*way.operand), index or way.index_arg()], gathered(way, mode != "fill", fill), MOVED, ulp=0,
        smooth=mode != "fill" or fill is not None,  # there is no difference between NaN and NaN
        jax=f"lambda x, i: lax.gather(x, i, lax.GatherDimensionNumbers(*{way.numbers}), {way.sizes}, **{keywords})",
    )  # fmt: skip


def scatter_case(
    function: str, way: Way, mode: str, name: str = "", index: Arg | None = None, draw: Sequence[Callable] = (arg, arg),
    smooth: bool = True, jax: bool = True, **options: Any,
) -> Case:  # fmt: skip
    numbers = ScatterDimensionNumbers(*way.numbers)
    keywords = {"mode": mode, **options}
    call = getattr(scatter, function)
    theirs = f"lax.ScatterDimensionNumbers(*{way.numbers}), **{keywords}"
    return Case(
        f"{function}-{way.name}-{name or mode}", function, lambda x, i, u: call(x, i, u, numbers, **keywords),
        [draw[0](*way.operand), index or way.index_arg(), draw[1](*way.updates)],
        scattered(way, mode == "clip", COMBINE[function]), DTYPES[function], smooth=smooth,
        ulp=8 if function in ("scatter_add", "scatter_mul") else 0,
        jax=f"lambda x, i, u: lax.{function}(x, i, u, {theirs})" * jax,
    )  # fmt: skip


def fixed(indices: Any) -> Arg:
    """These indices."""
    array = np.asarray(indices, np.int32)
    return Arg(
        array.shape, lambda rng, shape, dtype: np.broadcast_to(array, shape), dtype="int32", differentiable=False
    )


def some_zeros(*shape: int) -> Arg:
    """Numbers of which every third is 0."""

    def draw(rng: np.random.Generator, shape: tuple, dtype: np.dtype) -> np.ndarray:
        numbers = rng.uniform(0.5, 2.0, shape)
        numbers.reshape(-1)[::3] = 0
        return numbers

    return Arg(shape, draw)


def tied(*shape: int) -> Arg:
    """One of three numbers."""
    return Arg(shape, lambda rng, shape, dtype: rng.integers(0, 3, shape))


REPEATED = fixed([[1], [3], [1], [0], [1]])
DISTINCT = fixed([[1], [3], [2], [0], [9]])
INSIDE = fixed([[1], [3], [1], [0], [2]])
SOME = ("element", "slice-of-matrix", "elements", "rows", "parts-of-columns", "windows", "middle-axis", "batched-twice")

# JAX has no derivative of scatter_mul unless the indices are unique.
CASES = [
    *(gather_case(way, "clip") for way in WAYS),
    *(gather_case(way, "fill", fill=7) for way in WAYS),
    *(gather_case(WAY[way], "fill", "default") for way in SOME),
    gather_case(WAY["rows"], "promise_in_bounds", index=INSIDE),
    gather_case(WAY["rows"], "fill", "unique", DISTINCT, 7, unique_indices=True),
    *(scatter_case(name, way, "drop") for way in WAYS for name in ("scatter", "scatter_add")),
    *(scatter_case(name, WAY[way], "clip") for way in SOME for name in ("scatter", "scatter_add")),
    *(scatter_case("scatter_mul", WAY[way], mode, jax=False) for way in SOME for mode in ("drop", "clip")),
    *(scatter_case(name, WAY[way], "drop") for way in SOME for name in ("scatter_min", "scatter_max")),
    *(scatter_case(name, WAY["rows"], "clip") for name in ("scatter_min", "scatter_max")),
    *(scatter_case(name, WAY["rows"], "drop", "unique", DISTINCT, unique_indices=True) for name in COMBINE),
    *(
        scatter_case(name, WAY["rows"], mode, "repeated-" + mode, index, jax=name != "scatter_mul")
        for name in COMBINE
        for mode, index in (("drop", REPEATED), ("promise_in_bounds", INSIDE))
    ),
    scatter_case("scatter_mul", WAY["rows"], "drop", "zeros", REPEATED, (arg, some_zeros), jax=False),
    scatter_case("scatter_min", WAY["rows"], "drop", "tied", REPEATED, (tied, tied), smooth=False),
    scatter_case("scatter_max", WAY["rows"], "drop", "tied", REPEATED, (tied, tied), smooth=False),
]
