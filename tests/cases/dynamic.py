"""Cases of slices at computed positions. Positions run beyond the array on both sides."""

from typing import Any

import numpy as np

from cases.base import Case, arg, integers
from nrx.ops import dynamic

DTYPES = ("float64", "complex64", "bfloat16", "float16", "int8", "uint64", "bool")


def place(start: Any, length: int, size: int) -> int:
    """Where a slice really begins: negative starts count from the end, then the slice moves into the array."""
    return int(np.clip(start + length if start < 0 else start, 0, length - size))


def window(shape: tuple, starts: tuple, sizes: tuple) -> tuple[slice, ...]:
    at = map(place, starts, shape, sizes)
    return tuple(slice(start, start + size) for start, size in zip(at, sizes, strict=True))


def put(x: np.ndarray, update: np.ndarray, *starts: Any) -> np.ndarray:
    out = x.copy()
    out[window(x.shape, starts, update.shape)] = update
    return out


def starts_of(shape: tuple, dtype: str = "int32") -> list:
    return [integers(low=0 if dtype[0] == "u" else -2 * n - 2, high=2 * n + 2, dtype=dtype) for n in shape]


def taken(name: str, shape: tuple, sizes: tuple, dtype: str = "int32") -> Case:
    return Case(
        f"dynamic_slice-{name}", "dynamic_slice", lambda x, *starts: dynamic.dynamic_slice(x, starts, sizes),
        [arg(*shape), *starts_of(shape, dtype)], lambda x, *starts: x[window(x.shape, starts, sizes)], dtypes=DTYPES,
        ulp=0, jax=f"lambda x, *starts: lax.dynamic_slice(x, starts, {sizes})",
    )  # fmt: skip


def updated(name: str, shape: tuple, sizes: tuple, dtype: str = "int32") -> Case:
    return Case(
        f"dynamic_update_slice-{name}", "dynamic_update_slice",
        lambda x, update, *starts: dynamic.dynamic_update_slice(x, update, starts),
        [arg(*shape), arg(*sizes), *starts_of(shape, dtype)], put, dtypes=DTYPES, ulp=0,
        jax="lambda x, update, *starts: lax.dynamic_update_slice(x, update, starts)",
    )  # fmt: skip


WAYS: list[Any] = [
    ("scalar", (), ()),
    ("vector", (5,), (2,)),
    ("one", (5,), (1,)),
    ("whole", (3,), (3,)),
    ("matrix", (4, 5), (2, 3)),
    ("whole-rows", (4, 3), (2, 3)),
    ("rank-3", (2, 3, 4), (1, 2, 2)),
    ("to-nothing", (3, 2), (0, 1)),
    ("int64", (4, 2), (1, 2), "int64"),
    ("uint32", (5,), (3,), "uint32"),
    ("uint64", (5,), (3,), "uint64"),
    ("int16", (5,), (3,), "int16"),
]

CASES = [
    *(taken(*way) for way in WAYS),
    *(updated(*way) for way in WAYS),
    Case(
        "dynamic_slice-array-of-starts", "dynamic_slice",
        lambda x, starts: dynamic.dynamic_slice(x, starts, (2, 1)), [arg(4, 3), integers(2, low=-9, high=9)],
        lambda x, starts: x[window(x.shape, tuple(starts), (2, 1))], ulp=0,
        jax="lambda x, starts: lax.dynamic_slice(x, starts, (2, 1))",
    ),
    Case(
        "dynamic_slice-starts-not-negative", "dynamic_slice",
        lambda x, start: dynamic.dynamic_slice(x, (start,), (2,), allow_negative_indices=False),
        [arg(6), integers(low=-6, high=9)], lambda x, start: x[int(np.clip(start, 0, 4)) :][:2], ulp=0,
        jax="lambda x, start: lax.dynamic_slice(x, (start,), (2,), allow_negative_indices=False)",
    ),
    Case(
        "dynamic_slice_in_dim", "dynamic_slice", lambda x, i: dynamic.dynamic_slice_in_dim(x, i, 2, axis=1),
        [arg(2, 5), integers(low=-9, high=9)], lambda x, i: x[window(x.shape, (0, i), (2, 2))], ulp=0,
        jax="lambda x, i: lax.dynamic_slice_in_dim(x, i, 2, axis=1)",
    ),
    Case(
        "dynamic_index_in_dim", "dynamic_slice", lambda x, i: dynamic.dynamic_index_in_dim(x, i, -1, keepdims=False),
        [arg(2, 5), integers(low=-9, high=9)], lambda x, i: x[:, place(i, 5, 1)], ulp=0,
        jax="lambda x, i: lax.dynamic_index_in_dim(x, i, -1, keepdims=False)",
    ),
    Case(
        "dynamic_update_slice_in_dim", "dynamic_update_slice",
        lambda x, update, i: dynamic.dynamic_update_slice_in_dim(x, update, i, 1),
        [arg(2, 5), arg(2, 3), integers(low=-9, high=9)], lambda x, update, i: put(x, update, 0, i), ulp=0,
        jax="lambda x, update, i: lax.dynamic_update_slice_in_dim(x, update, i, 1)",
    ),
    Case(
        "dynamic_update_index_in_dim", "dynamic_update_slice",
        lambda x, update, i: dynamic.dynamic_update_index_in_dim(x, update, i, 0),
        [arg(4, 2), arg(2), integers(low=-9, high=9)], lambda x, update, i: put(x, update[None], i, 0), ulp=0,
        jax="lambda x, update, i: lax.dynamic_update_index_in_dim(x, update, i, 0)",
    ),
]  # fmt: skip
