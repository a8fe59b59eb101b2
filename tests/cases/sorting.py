"""Cases of sorting and top_k."""

from functools import partial

import numpy as np

from cases.base import INTS, REALS, Arg, Case, arg, integers, separated, uniform
from nrx.ops import searching, sorting

EVERY = ("float64", "complex64", *REALS, *INTS, "bool")
REAL = ("float64", *REALS, *INTS, "bool")


def ordered(name: str, shape: tuple, dimension: int, is_stable: bool = True) -> Case:
    return Case(
        f"sort-{name}", "sort", partial(sorting.sort, dimension=dimension, is_stable=is_stable), [separated(*shape)],
        lambda x: np.sort(x, dimension), dtypes=EVERY, ulp=0, jax=f"lambda x: lax.sort(x, {dimension}, {is_stable})",
    )  # fmt: skip


def largest(name: str, shape: tuple, k: int, axis: int = -1) -> Case:
    def oracle(x: np.ndarray) -> list[np.ndarray]:
        rows = np.moveaxis(x, axis, -1)
        order = np.empty((*rows.shape[:-1], k), int)
        for place in np.ndindex(rows.shape[:-1]):
            row = rows[place].tolist()
            order[place] = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
        return [np.moveaxis(v, -1, axis) for v in (np.take_along_axis(rows, order, -1), order)]

    return Case(
        f"top_k-{name}", "top_k", partial(sorting.top_k, k=k, axis=axis), [separated(*shape)], oracle, dtypes=REAL,
        ulp=0, jax=f"lambda x: lax.top_k(x, {k}, axis={axis})",
    )  # fmt: skip


def lexicographic(*arrays: np.ndarray, num_keys: int) -> list[np.ndarray]:
    order = np.lexsort(arrays[num_keys - 1 :: -1] if num_keys > 1 else arrays[:1])
    return [np.take_along_axis(x, order, -1) for x in arrays]


def together(name: str, num_keys: int, *args) -> Case:
    return Case(
        f"sort-{name}", "sort", lambda *xs: sorting.sort(xs, num_keys=num_keys), args,
        partial(lexicographic, num_keys=num_keys), dtypes=("float64", "float32", "bfloat16", "int8"), ulp=0,
        jax=f"lambda *xs: lax.sort(xs, num_keys={num_keys})",
    )  # fmt: skip


def ascending(*shape: int) -> Arg:
    """An argument sorted along its last axis."""
    return Arg(shape, lambda rng, shape, dtype: np.sort(uniform(-2, 2)(rng, shape, dtype), -1), differentiable=False)


def places(name: str, line: tuple, shape: tuple, side: str) -> Case:
    def oracle(line: np.ndarray, values: np.ndarray) -> np.ndarray:
        if line.ndim == 1:
            return np.searchsorted(line, values, side)
        return np.stack([np.searchsorted(x, v, side) for x, v in zip(line, values, strict=True)])

    return Case(
        f"searchsorted-{name}", "searchsorted", partial(searching.searchsorted, side=side, dtype="int32"),
        [ascending(*line), arg(*shape, differentiable=False)], oracle, dtypes=EVERY, ulp=0,
    )  # fmt: skip


CASES = [
    ordered("vector", (7,), 0),
    ordered("matrix-0", (3, 4), 0),
    ordered("matrix-1", (3, 4), -1, is_stable=False),
    ordered("rank-3", (2, 4, 2), 1),
    ordered("one", (1, 3), 0),
    ordered("nothing", (0,), 0),
    ordered("no-rows", (0, 3), 1),
    ordered("empty-rows", (3, 0), 1),
    together("payload", 1, separated(6), arg(6)),
    together("payload-of-integers", 1, separated(6), integers(6, low=0, high=9)),
    together("integer-keys-with-ties", 1, integers(2, 8, low=0, high=3), arg(2, 8), arg(2, 8)),
    together("two-keys", 2, integers(8, low=0, high=3), separated(8), arg(8)),
    together("three-keys", 3, integers(3, 9, low=0, high=2), integers(3, 9, low=0, high=2, dtype="uint8"), arg(3, 9)),
    Case(
        "sort_key_val", "sort", lambda keys, values: sorting.sort_key_val(keys, values, dimension=0),
        [separated(5, 2), arg(5, 2)],
        lambda keys, values: [np.take_along_axis(x, np.argsort(keys, 0, kind="stable"), 0) for x in (keys, values)],
        ulp=0, jax="lambda keys, values: lax.sort_key_val(keys, values, dimension=0)",
    ),
    places("left", (7,), (5,), "left"),
    places("right", (8,), (2, 3), "right"),
    places("rows", (3, 6), (3, 4), "left"),
    places("nothing", (0,), (4,), "right"),
    largest("vector", (7,), 3),
    largest("all", (2, 4), 4),
    largest("one", (3, 4), 1),
    largest("none", (3, 4), 0),
    largest("first-axis", (5, 2), 2, axis=0),
    largest("no-rows", (0, 3), 2),
]  # fmt: skip
