"""Cases of cumulation along an axis."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from cases.base import INTS, REALS, Arg, Case, arg, separated
from nrx.ops import cumulative

# shape, axis, reverse
WAYS = [
    ((1,), 0, False),
    ((2,), 0, True),
    ((7,), 0, False),
    ((8,), 0, True),
    ((3, 5), 0, False),
    ((3, 5), -1, True),
    ((2, 6, 2), 1, False),
    ((0,), 0, False),
    ((0, 3), 1, True),
    ((3, 0), 1, False),
]


def cumulated(ufunc: np.ufunc, axis: int, reverse: bool) -> Callable:
    def oracle(x: np.ndarray) -> np.ndarray:
        ordered = np.flip(x, axis) if reverse else x
        out = ufunc.accumulate(ordered, axis, dtype=None if x.dtype.kind == "f" else x.dtype)
        return np.flip(out, axis) if reverse else out

    return oracle


def cumulation(
    name: str, ufunc: np.ufunc, draw: Callable[..., Arg], dtypes: tuple[str, ...], **options: Any
) -> Iterator[Case]:
    function = getattr(cumulative, name)
    for number, (shape, axis, reverse) in enumerate(WAYS):
        yield Case(
            f"{name}-{'x'.join(map(str, shape))}-{axis % len(shape)}{'-reverse' * reverse}", name,
            partial(function, axis=axis, reverse=reverse), [draw(*shape)], cumulated(ufunc, axis, reverse),
            dtypes=dtypes if number in (2, 5) else dtypes[:2],
            jax=f"lambda x: lax.{name}(x, {axis % len(shape)}, {reverse})", **options,
        )  # fmt: skip


def with_zeros(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Numbers of which about a third are zero."""
    return rng.uniform(0.5, 2, shape) * rng.integers(0, 3, shape).clip(0, 1)


NUMBERS = ("float64", "complex64", *REALS, *INTS)

CASES = [
    *cumulation("cumsum", np.add, arg, NUMBERS),
    *cumulation("cumprod", np.multiply, arg, NUMBERS),
    *cumulation("cummax", np.maximum, separated, NUMBERS, ulp=0),
    *cumulation("cummin", np.minimum, separated, NUMBERS, ulp=0),
    *cumulation("cumlogsumexp", np.logaddexp, arg, ("float64", "float32", *REALS)),
    Case(
        "cumprod-zeros", "cumprod", cumulative.cumprod, [Arg((9,), with_zeros)], lambda x: np.cumprod(x), order=3,
        jax="lax.cumprod",
    ),
    Case(
        "cumlogsumexp-large", "cumlogsumexp", cumulative.cumlogsumexp, [arg(6, low=-900.0, high=900.0)],
        np.logaddexp.accumulate, dtypes=("float64", "float32"), jax="lax.cumlogsumexp",
    ),
]  # fmt: skip
