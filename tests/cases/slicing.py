"""Cases of static slicing: slice, pad, concatenate, split."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cases.base import Case, arg
from nrx.ops import slicing

DTYPES = ("float64", "complex64", "bfloat16", "float16", "int8", "uint64", "bool")


def sliced(name: str, shape: tuple, starts: tuple, limits: tuple, strides: tuple | None = None) -> Case:
    window = tuple(map(slice, starts, limits, strides or (1,) * len(shape)))
    return Case(
        f"slice-{name}", "slice",
        partial(slicing.slice, start_indices=starts, limit_indices=limits, strides=strides), [arg(*shape)],
        lambda x: x[window], dtypes=DTYPES, ulp=0, jax=f"lambda x: lax.slice(x, {starts}, {limits}, {strides})",
    )  # fmt: skip


def padded(name: str, shape: tuple, config: tuple, **options: Any) -> Case:
    def oracle(x: np.ndarray, value: np.ndarray) -> np.ndarray:
        """XLA's definition taken literally: first dilate, then pad or cut each side."""
        for axis, (low, high, interior) in enumerate(config):
            x = np.moveaxis(x, axis, 0)
            dilated = np.full((len(x) + max(len(x) - 1, 0) * interior, *x.shape[1:]), value, x.dtype)
            dilated[:: interior + 1] = x
            for side, amount in ((0, low), (-1, high)):
                if amount > 0:
                    filling = np.full((amount, *dilated.shape[1:]), value, x.dtype)
                    dilated = np.concatenate([filling, dilated] if side == 0 else [dilated, filling])
            dilated = dilated[max(-low, 0) : len(dilated) - max(-high, 0)]
            x = np.moveaxis(dilated, 0, axis)
        return x

    return Case(
        f"pad-{name}", "pad", lambda x, value: slicing.pad(x, value, config), [arg(*shape), arg()], oracle,
        dtypes=DTYPES, ulp=0, jax=f"lambda x, value: lax.pad(x, value, {config})", **options,
    )  # fmt: skip


def joined(name: str, dimension: int, *shapes: tuple) -> Case:
    return Case(
        f"concatenate-{name}", "concatenate", lambda *xs: slicing.concatenate(xs, dimension),
        [arg(*shape) for shape in shapes], lambda *xs: np.concatenate(xs, dimension), dtypes=DTYPES, ulp=0,
        jax=f"lambda *xs: lax.concatenate(xs, {dimension % len(shapes[0])})",
    )  # fmt: skip


def parted(name: str, shape: tuple, sizes: tuple, axis: int) -> Case:
    return Case(
        f"split-{name}", "split", partial(slicing.split, sizes=sizes, axis=axis), [arg(*shape)],
        lambda x: np.split(x, np.cumsum(sizes)[:-1], axis), dtypes=DTYPES, ulp=0,
        jax=f"lambda x: lax.split(x, {sizes}, {axis})",
    )  # fmt: skip


def one(name: str, primitive: str, function: Callable, shape: tuple, oracle: Callable, jax: str) -> Case:
    return Case(name, primitive, function, [arg(*shape)], oracle, dtypes=DTYPES, ulp=0, jax=jax)


CASES = [
    sliced("vector", (5,), (1,), (4,)),
    sliced("strided", (7,), (1,), (7,), (3,)),
    sliced("matrix", (4, 5), (0, 2), (4, 5)),
    sliced("strides-that-leave-a-rest", (4, 5), (1, 0), (4, 4), (2, 3)),
    sliced("rank-3", (2, 3, 4), (0, 1, 1), (1, 3, 4), (1, 1, 2)),
    sliced("to-nothing", (3, 4), (2, 1), (2, 3), (2, 1)),
    sliced("of-nothing", (0, 4), (0, 1), (0, 3)),
    one(
        "slice_in_dim-negative", "slice", lambda x: slicing.slice_in_dim(x, -3, -1, axis=-1), (2, 5),
        lambda x: x[:, -3:-1], "lambda x: lax.slice_in_dim(x, -3, -1, axis=-1)",
    ),
    one(
        "slice_in_dim-open", "slice", lambda x: slicing.slice_in_dim(x, None, None, 2), (5, 2),
        lambda x: x[::2], "lambda x: lax.slice_in_dim(x, None, None, 2)",
    ),
    one(
        "index_in_dim", "slice", lambda x: slicing.index_in_dim(x, 1, 1), (2, 3, 2),
        lambda x: x[:, 1:2], "lambda x: lax.index_in_dim(x, 1, 1)",
    ),
    one(
        "index_in_dim-dropped", "slice", lambda x: slicing.index_in_dim(x, -1, -1, keepdims=False), (2, 3),
        lambda x: x[:, -1], "lambda x: lax.index_in_dim(x, -1, -1, keepdims=False)",
    ),
    padded("scalar", (), ()),
    padded("vector", (3,), ((2, 1, 0),)),
    padded("interior", (3,), ((0, 0, 2),)),
    padded("all-kinds", (3, 2), ((1, 2, 1), (0, 1, 3))),
    padded("rank-3", (2, 1, 3), ((1, 0, 0), (0, 2, 1), (0, 0, 1))),
    padded("cut", (5,), ((-2, -1, 0),)),
    padded("cut-inside-the-interior", (4,), ((-2, -2, 2),)),
    padded("cut-and-padded", (4, 3), ((-1, 2, 1), (3, -2, 0))),
    padded("all-cut-off-below", (3,), ((-7, 4, 1),)),
    padded("all-cut-off-above", (3,), ((4, -8, 2),)),
    padded("to-nothing", (3, 2), ((-1, -2, 0), (0, 0, 0))),
    padded("of-nothing", (0, 2), ((1, 2, 3), (0, 1, 0))),
    joined("vectors", 0, (2,), (3,)),
    joined("three", 1, (2, 1), (2, 2), (2, 1)),
    joined("negative-axis", -2, (1, 2, 2), (1, 1, 2)),
    joined("with-nothing", 0, (0, 2), (2, 2), (0, 2)),
    joined("nothing", 0, (0, 2), (0, 2)),
    parted("vector", (5,), (2, 3), 0),
    parted("matrix", (2, 4), (1, 0, 3), -1),
    parted("rank-3", (2, 3, 2), (1, 2), 1),
    parted("nothing", (0, 2), (0, 0), 0),
]  # fmt: skip
