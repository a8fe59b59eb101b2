"""What moves data more than it computes: positions, prefixes, rows picked and added, orders, edges, random numbers."""

from collections.abc import Callable, Sequence
from functools import partial
from math import isqrt
from typing import Any

import numpy as np
from scipy import special

from benchmarks.cpu.case import Case, Task, jitted, pure
from benchmarks.cpu.results import Work

SHAPE = (4096, 1024)
TABLE, ROWS = (50_000, 256), 8192
SIZE = 1_000_000
LARGEST = 10
EDGE = 8
LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
TARGETS = {"jax": 1.0, "torch": 1.0}
LARGE_RESULT = (
    "The result takes 51 MB: JAX and PyTorch ask the system for memory on each call, nrx keeps that of old ones."
)


def normal(*shapes: Sequence[int]) -> Callable[[np.random.Generator], tuple]:
    """What draws arrays of these shapes."""
    return lambda rng: tuple(np.asarray(rng.normal(size=shape), np.float32) for shape in shapes)


def distinct(*shape: int) -> Callable[[np.random.Generator], tuple]:
    """What draws numbers that have one order only: not every library says which of two equal ones comes first."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray]:
        values = np.unique(rng.normal(size=2 * np.prod(shape)).astype(np.float32))
        return (rng.choice(values, shape, replace=False),)

    return draw


# --- positions, prefixes, transpose -----------------------------------------------------------------------------------


def cumsum_in_jax(axis: int, jax: Any, x: Any) -> Any:
    """By a loop over the rows, or a tree within them: `jax.numpy.cumsum` takes up to twenty times as long."""
    if axis == 1:
        return jax.lax.associative_scan(jax.numpy.add, x, axis=1)

    def add(total: Any, row: Any) -> tuple[Any, Any]:
        total = total + row
        return total, total

    return jax.lax.scan(add, jax.numpy.zeros_like(x[0]), x)[1]


def of_matrices(shape: tuple[int, int]) -> list[Case]:
    def case(name: str, title: str, reference: Callable, tasks: dict, tolerance: float = 0.0) -> Case:
        title = f"{title}, {shape[0]}×{shape[1]} f32"
        moved = 4.0 * np.prod(shape) * (1 if name.startswith("argmax") else 2)
        return Case(
            name, title, normal(shape), lambda x: reference(x.astype(np.float64)), tolerance, tasks, TARGETS,
            work=Work(0, moved),
        )  # fmt: skip

    def argmax(axis: int) -> Case:
        tasks = pure(lambda library, x: library.numpy.argmax(x, axis), lambda torch, x: torch.argmax(x, axis))
        return case(f"argmax-{axis}", f"argmax over axis {axis}", lambda x: x.argmax(axis), tasks)

    def cumsum(axis: int) -> Case:
        tasks = pure(lambda library, x: library.numpy.cumsum(x, axis), lambda torch, x: torch.cumsum(x, axis))
        tasks["jax"] = partial(jitted, "jax", partial(cumsum_in_jax, axis))
        return case(f"cumsum-{axis}", f"cumsum over axis {axis}", lambda x: x.cumsum(axis), tasks, 1e-5)

    transposed = pure(lambda library, x: x.T, lambda torch, x: x.t().contiguous())
    return [argmax(1), argmax(0), cumsum(1), cumsum(0), case("transpose", "transpose", np.transpose, transposed)]


# --- rows of a table --------------------------------------------------------------------------------------------------


def scatter_like_jax(shape: tuple[int, int], library: Any, indices: Any, updates: Any) -> Any:
    return library.numpy.zeros(shape, np.float32).at[indices].add(updates)


def scatter_in_torch(shape: tuple[int, int], torch: Any, indices: Any, updates: Any) -> Any:
    return torch.zeros(shape).index_add_(0, indices, updates)


def scatter_reference(shape: tuple[int, int], indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
    total = np.zeros(shape)
    np.add.at(total, indices, updates.astype(np.float64))
    return total


def of_tables(shape: tuple[int, int], rows: int) -> list[Case]:
    def indices(rng: np.random.Generator) -> np.ndarray:
        return rng.integers(0, shape[0], rows).astype(np.int32)

    size = f"{rows:,} rows, {shape[0]:,}×{shape[1]} f32"
    return [
        Case(
            name="gather",
            title=f"gather of {size}",
            inputs=lambda rng: (*normal(shape)(rng), indices(rng)),
            reference=lambda table, indices: np.take(table, indices, axis=0),
            tolerance=0.0,
            work=Work(0, 8.0 * rows * shape[1]),
            tasks=pure(lambda _, table, indices: table[indices], lambda _, table, indices: table[indices]),
            targets=TARGETS,
        ),
        Case(
            name="scatter-add",
            title=f"scatter-add of {size}",
            inputs=lambda rng: (indices(rng), *normal((rows, shape[1]))(rng)),
            reference=partial(scatter_reference, shape),
            tolerance=1e-6,
            tasks=pure(partial(scatter_like_jax, shape), partial(scatter_in_torch, shape)),
            targets=TARGETS,
            note=LARGE_RESULT,
            work=Work(0, 4.0 * (np.prod(shape) + rows * shape[1])),
        ),
    ]


# --- orders -----------------------------------------------------------------------------------------------------------


def largest_reference(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-x, axis=-1)[:, :LARGEST]
    return np.take_along_axis(x, order, axis=-1), order


def of_orders(size: int) -> list[Case]:
    side = isqrt(size)

    def case(name: str, title: str, shape: tuple[int, ...], reference: Callable, tasks: dict) -> Case:
        return Case(name, f"{title} f32", distinct(*shape), reference, 0.0, tasks, TARGETS)

    sort = pure(lambda library, x: library.numpy.sort(x), lambda torch, x: torch.sort(x).values)
    argsort = pure(lambda library, x: library.numpy.argsort(x), lambda torch, x: torch.argsort(x))
    largest = pure(lambda library, x: library.lax.top_k(x, LARGEST), lambda torch, x: tuple(torch.topk(x, LARGEST)))
    rows = f"of {side} rows of {side}"
    return [
        case("sort", f"sort of {size:,}", (size,), np.sort, sort),
        case("sort-rows", f"sort {rows}", (side, side), np.sort, sort),
        case("argsort", f"argsort of {size:,}", (size,), np.argsort, argsort),
        case("argsort-rows", f"argsort {rows}", (side, side), np.argsort, argsort),
        case("top-k", f"top_k (k = {LARGEST}) {rows}", (side, side), largest_reference, largest),
    ]


# --- edges ------------------------------------------------------------------------------------------------------------


def of_edges(size: int) -> list[Case]:
    side = isqrt(size)

    def case(name: str, title: str, widths: tuple[int, ...], reference: Callable, tasks: dict) -> Case:
        moved = 8.0 * side * sum(widths)
        shapes = [(side, width) for width in widths]
        return Case(name, title, normal(*shapes), reference, 0.0, tasks, TARGETS, work=Work(0, moved))

    pad = pure(
        lambda library, x: library.numpy.pad(x, EDGE),
        lambda torch, x: torch.nn.functional.pad(x, 4 * (EDGE,)),
    )
    concatenate = pure(
        lambda library, *parts: library.numpy.concatenate(parts, axis=1),
        lambda torch, *parts: torch.cat(parts, 1),
    )
    return [
        case("pad", f"pad {side}×{side} f32 by {EDGE}", (side,), lambda x: np.pad(x, EDGE), pad),
        case(
            "concatenate",
            f"concatenate {side}×{side} and {side}×{side // 2} f32 over axis 1",
            (side, side // 2),
            lambda *parts: np.concatenate(parts, axis=1),
            concatenate,
        ),
    ]


# --- random numbers ---------------------------------------------------------------------------------------------------


def moments(sample: Any) -> np.ndarray:
    """Mean, variance, product of neighbours, and quantiles."""
    x = np.asarray(sample).astype(np.float64)
    return np.array([x.mean(), x.var(), (x[1:] * x[:-1]).mean(), *np.quantile(x, LEVELS)])


def sampled(make: Callable[..., Task], seed: np.ndarray) -> Task:
    """A task whose result is the moments of what it draws."""
    task = make(seed)
    return Task(task.run, result=lambda: moments(task.run()))


def of_draws(size: int) -> Case:
    tasks = pure(
        lambda library, seed: library.random.normal(library.random.key(seed), (size,)),
        lambda torch, seed: torch.randn(size),
    )
    return Case(
        name="normal",
        title=f"random.normal of {size:,} f32",
        inputs=lambda rng: (rng.integers(1 << 31, dtype=np.int32),),
        reference=lambda seed: np.array([0.0, 1.0, 0.0, *special.ndtri(LEVELS)]),
        tolerance=10 / np.sqrt(size),
        tasks={library: partial(sampled, make) for library, make in tasks.items()},
        targets=TARGETS,
        note="nrx and JAX draw with threefry, PyTorch with its own generators; the check is of moments and quantiles.",
    )


def cases(
    shape: tuple[int, int] = SHAPE, table: tuple[int, int] = TABLE, rows: int = ROWS, size: int = SIZE
) -> list[Case]:
    return [*of_matrices(shape), *of_tables(table, rows), *of_orders(size), *of_edges(size), of_draws(size)]
