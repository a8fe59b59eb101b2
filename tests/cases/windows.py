"""Cases of windowed reductions. The oracle collects the elements of every window in plain loops."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cases.base import COMPLEXES, INTS, REALS, Arg, Case, arg, separated, values
from cases.convolution import output_counts
from nrx.ops import arithmetic, windows

Window = list[tuple[int, float]]


def each_window(
    x: np.ndarray, window: Any, strides: Any, padding: Any, base_dilation: Any, window_dilation: Any
) -> Iterator[tuple[tuple[int, ...], Window]]:
    """The place of every window with the (flat index, element) pairs that it covers, in row-major order."""
    counts = output_counts(x.shape, window, strides, padding, base_dilation, window_dilation)
    for place in np.ndindex(*counts):
        inside = []
        for tap in np.ndindex(*window):
            axes = zip(place, strides, tap, window_dilation, padding, strict=True)
            at = [y * s + t * d - low for y, s, t, d, (low, _) in axes]
            if all(p % d == 0 and 0 <= p // d < n for p, d, n in zip(at, base_dilation, x.shape, strict=True)):
                index = tuple(p // d for p, d in zip(at, base_dilation, strict=True))
                inside.append((int(np.ravel_multi_index(index, x.shape)), x[index]))
        yield place, inside


def oracle(function: Callable[[Window, np.dtype], Any], geometry: tuple, dtype: Any = None) -> Callable:
    def reduce(x: np.ndarray) -> np.ndarray:
        out = np.zeros(output_counts(x.shape, *geometry), dtype or x.dtype)
        for place, inside in each_window(x, *geometry):
            out[place] = function(inside, x.dtype)
        return out

    return reduce


def total(inside: Window, dtype: np.dtype) -> Any:
    return np.sum([value for _, value in inside], dtype=dtype)


def extremum(largest: bool, pick: int) -> Callable[[Window, np.dtype], Any]:
    """The flat index (`pick` 0) or the value (1) of the first NaN, or else of the first largest or smallest element."""

    def function(inside: Window, dtype: np.dtype) -> Any:
        if inside:
            return inside[(np.argmax if largest else np.argmin)([value for _, value in inside])][pick]
        if pick == 0:
            return -1
        if dtype.kind == "f":
            return -np.inf if largest else np.inf
        return getattr(np.iinfo(dtype), "min" if largest else "max")

    return function


def in_jax(kind: str, text: str) -> str:
    """`reduce_window` in JAX, which takes the initial value as an array."""
    infinity, limit = ("-np.inf", "min") if kind == "max" else ("np.inf", "max")
    init = f"{infinity} if jnp.issubdtype(x.dtype, jnp.inexact) else np.iinfo(x.dtype).{limit}"
    init, name = ("0", "add") if kind == "sum" else (init, kind)
    return f"lambda x: lax.reduce_window(x, np.array({init}, x.dtype), lax.{name}, {text})"


# name, shape, window, strides, padding, base_dilation, window_dilation
WAYS = [
    ("plain", (4, 5), (2, 3), (1, 1), [(0, 0), (0, 0)], (1, 1), (1, 1)),
    ("strided", (2, 5, 4), (1, 2, 2), (1, 2, 2), [(0, 0), (1, 0), (0, 1)], (1, 1, 1), (1, 1, 1)),
    ("dilated", (7, 4), (3, 2), (1, 2), [(1, 1), (2, 0)], (1, 1), (2, 3)),
    ("spread", (3, 4), (2, 3), (1, 2), [(0, 1), (1, 1)], (2, 3), (1, 1)),
    ("spread-dilated-cropped", (4, 5), (2, 2), (2, 1), [(-1, 2), (1, -3)], (3, 2), (2, 3)),
    ("long", (9,), (7,), (1,), [(2, 1)], (1,), (1,)),
    ("long-strided", (2, 12), (1, 5), (1, 4), [(0, 0), (3, 2)], (1, 1), (1, 2)),
    ("whole", (3, 4), (3, 4), (1, 1), [(0, 0), (0, 0)], (1, 1), (1, 1)),
    ("padding-only", (2, 3), (2, 2), (2, 2), [(3, 2), (2, 3)], (1, 1), (1, 1)),
    ("too-long", (3,), (5,), (1,), [(0, 1)], (1,), (1,)),
    ("scalar", (), (), (), [], (), ()),
    ("empty-padded", (0, 2), (2, 1), (1, 1), [(2, 1), (0, 0)], (1, 1), (1, 1)),
]  # fmt: skip


def params_of(geometry: tuple) -> dict[str, Any]:
    """The params of the primitives."""
    window, strides, padding, base_dilation, window_dilation = geometry
    return {
        "window_dimensions": window, "window_strides": strides, "padding": tuple(padding),
        "base_dilation": base_dilation, "window_dilation": window_dilation,
    }  # fmt: skip


#: Those for which JAX has the gradient of a maximum.
IN_JAX = ("plain", "strided", "long", "whole")
#: Those with windows of nothing but padding, so that the maximum is not a finite number.
WITH_EMPTY = ("spread-dilated-cropped", "padding-only", "empty-padded")


def tied(*shape: int) -> Arg:
    """An argument of few different numbers."""
    return Arg(shape, lambda rng, shape, dtype: rng.integers(0, 3, shape))


def family(name: str, shape: tuple, geometry: tuple) -> Iterator[Case]:
    """The cases of all primitives for one kind of window."""
    text = ", ".join(map(str, geometry))
    functions: list[tuple[str, Callable, Callable, tuple]] = [
        ("sum", windows.reduce_window_sum, total, (*REALS, *COMPLEXES, "int32", "uint8")),
        ("max", windows.reduce_window_max, extremum(True, 1), ("float64", "bfloat16", "int32", "uint8", "int8")),
        ("min", windows.reduce_window_min, extremum(False, 1), ("float64", "float16", "int32", "uint8", "int8")),
    ]  # fmt: skip
    for kind, function, one, dtypes in functions:
        draw = arg if kind == "sum" else separated
        yield Case(
            f"{kind}-{name}", f"reduce_window_{kind}", lambda x, f=function: f(x, *geometry), [draw(*shape)],
            oracle(one, geometry), dtypes, smooth=kind == "sum" or name not in WITH_EMPTY,
            jax=in_jax(kind, text) if kind == "sum" or name in IN_JAX else "",
        )  # fmt: skip
    params = params_of(geometry)
    for kind, largest in (("argmax", True), ("argmin", False)):
        prim = getattr(windows, f"reduce_window_{kind}_p")
        yield Case(
            f"{kind}-{name}", prim.name, lambda x, prim=prim: prim.bind(x, **params), [tied(*shape)],
            oracle(extremum(largest, 0), geometry, np.int64), ("int32", "float64", "bfloat16"), order=0,
        )  # fmt: skip


SPECIAL = values(1.0, np.nan, 2.0, -np.inf, -np.inf, -np.inf, np.inf, np.nan, np.nan, 0.0, -0.0, 3.0)
ROW = ((3,), (1,), [(1, 1)], (1,), (1,))


def reduced(name: str, kind: str, computation: Any, init: float, one: Callable, combine: Callable) -> Case:
    """A case of `reduce_window` itself, which puts `init` in once."""
    geometry = ((3, 2), (2, 1), [(1, 1), (1, 0)], (1, 1), (1, 1))
    return Case(
        name, f"reduce_window_{kind}", lambda x: windows.reduce_window(x, init, computation, *geometry),
        [separated(3, 4)], lambda x: combine(oracle(one, geometry)(x), init), ("float64", "float32"),
    )  # fmt: skip


CASES = [
    *(case for name, shape, *geometry in WAYS for case in family(name, shape, tuple(geometry))),
    *(
        Case(
            f"{kind}-special-values", f"reduce_window_{kind}", lambda x, f=function: f(x, *ROW), [SPECIAL],
            oracle(one, ROW), ("float64", "float32", "bfloat16"), order=0,
        )
        for kind, function, one in (
            ("max", windows.reduce_window_max, extremum(True, 1)),
            ("min", windows.reduce_window_min, extremum(False, 1)),
            ("sum", windows.reduce_window_sum, total),
        )
    ),
    *(
        Case(
            f"{prim.name[-6:]}-special-values", prim.name, lambda x, prim=prim: prim.bind(x, **params_of(ROW)),
            [SPECIAL], oracle(extremum(largest, 0), ROW, np.int64), ("float64", "bfloat16"), order=0,
        )
        for prim, largest in ((windows.reduce_window_argmax_p, True), (windows.reduce_window_argmin_p, False))
    ),
    Case(
        "max-of-booleans", "reduce_window_max", lambda x: windows.reduce_window_max(x, *ROW), [arg(7)],
        lambda x: np.array([x[max(i - 1, 0) : i + 2].any() for i in range(7)]), ("bool",), order=0,
    ),
    Case(
        "sums-wrap", "reduce_window_sum", lambda x: windows.reduce_window_sum(x, *ROW), [arg(9, low=-100, high=100)],
        lambda x: np.array([x[max(i - 1, 0) : i + 2].sum(dtype=x.dtype) for i in range(9)]), INTS, order=0,
        jax=in_jax("sum", "(3,), (1,), [(1, 1)]"),
    ),
    Case(
        "same", "reduce_window_max", lambda x: windows.reduce_window(x, -np.inf, max, (2, 3), (2, 2), "SAME"),
        [separated(3, 6)], oracle(extremum(True, 1), ((2, 3), (2, 2), [(0, 1), (0, 1)], (1, 1), (1, 1))), REALS,
        jax=in_jax("max", "(2, 3), (2, 2), 'SAME'"),
    ),
    *(
        Case(
            f"{kind}-ties", f"reduce_window_{kind}", lambda x, f=function: f(x, (2, 3), (1, 2), "SAME"),
            [tied(5, 6)], None, ("float64",), smooth=False, jax=in_jax(kind, "(2, 3), (1, 2), 'SAME'"),
        )
        for kind, function in (("max", windows.reduce_window_max), ("min", windows.reduce_window_min))
    ),
    reduced("add", "sum", arithmetic.add, 0.0, total, np.add),
    reduced("add-to-one", "sum", arithmetic.add, 1.0, total, np.add),
    reduced("max-from", "max", arithmetic.max, 0.1, extremum(True, 1), np.maximum),
    reduced("min-from", "min", min, -0.1, extremum(False, 1), np.minimum),
]  # fmt: skip
