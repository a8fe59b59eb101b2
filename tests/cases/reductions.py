"""Cases of the reductions: max, min, product, bitwise ones, argmax and argmin."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from cases.base import INTS, REALS, Arg, Case, arg, positive, separated
from nrx.ops import reductions

# shape, axes
WAYS = [
    ((4,), (0,)),
    ((3, 4), (0,)),
    ((3, 4), (1,)),
    ((3, 4), (-1, 0)),
    ((2, 3, 4), (1,)),
    ((2, 3, 4), (0, 2)),
    ((3, 1), (1,)),
    ((0, 3), (1,)),
    ((0, 3), (0,)),
    ((2, 0, 3), (0, 1)),
]


def over(ufunc: np.ufunc, axes: tuple[int, ...]) -> Callable:
    """The oracle: NumPy's ufunc reduced in the dtype of its argument; over nothing, the identity of max and min."""

    def oracle(x: np.ndarray) -> np.ndarray:
        if ufunc not in (np.maximum, np.minimum) or np.prod([x.shape[a] for a in axes]):
            return ufunc.reduce(x, axes, dtype=x.dtype)
        limits: tuple[float, float]
        if x.dtype.kind in "iu":
            limits = (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
        else:
            limits = (False, True) if x.dtype.kind == "b" else (-np.inf, np.inf)
        return np.full(np.sum(x, axes).shape, limits[ufunc is np.minimum], x.dtype)

    return oracle


def reduction(
    name: str, ufunc: np.ufunc, draw: Callable[..., Arg], dtypes: tuple[str, ...], order: int = 2, ulp: float = 8
) -> Iterator[Case]:
    function = getattr(reductions, name)
    for number, (shape, axes) in enumerate(WAYS):
        label = f"{name}-{'x'.join(map(str, shape))}-{''.join(str(a % len(shape)) for a in axes)}"
        positive_axes = tuple(a % len(shape) for a in axes)
        yield Case(
            label, name, partial(function, axes=axes), [draw(*shape)], over(ufunc, axes),
            dtypes=dtypes if number in (3, 8) else dtypes[:2], ulp=ulp,
            order=0 if 0 in shape else order,  # finite differences cannot judge the identities -inf and inf
            jax=f"lambda x: lax.{name}(x, {positive_axes})",
        )  # fmt: skip


def position(name: str) -> Iterator[Case]:
    for shape, axis, index_dtype in [
        ((4,), 0, "int32"),
        ((3, 4), 0, "int64"),
        ((3, 4), -1, "uint8"),
        ((2, 3, 4), 1, "int32"),
        ((3, 0), 0, "int32"),
    ]:
        yield Case(
            f"{name}-{'x'.join(map(str, shape))}-{axis % len(shape)}", name,
            partial(getattr(reductions, name), axis=axis, index_dtype=index_dtype), [arg(*shape)],
            partial(getattr(np, name), axis=axis), dtypes=(*REALS, *INTS, "bool"), order=0,
            jax=f"lambda x: lax.{name}(x, {axis % len(shape)}, np.{index_dtype})",
        )  # fmt: skip


EXTREMES = ("float64", "complex64", *REALS, *INTS, "bool")
BITS = ("int8", "bool", *INTS)

CASES = [
    *reduction("reduce_max", np.maximum, separated, EXTREMES, ulp=0),
    *reduction("reduce_min", np.minimum, separated, EXTREMES, ulp=0),
    *reduction("reduce_prod", np.multiply, positive, ("float64", "complex64", *REALS, *INTS)),
    *reduction("reduce_and", np.bitwise_and, partial(arg, low=-99, high=99), BITS, order=0, ulp=0),
    *reduction("reduce_or", np.bitwise_or, partial(arg, low=-99, high=99), BITS, order=0, ulp=0),
    *reduction("reduce_xor", np.bitwise_xor, partial(arg, low=-99, high=99), BITS, order=0, ulp=0),
    *position("argmax"),
    *position("argmin"),
]
