"""Cases of comparison, bitwise operations and choice."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cases.base import EVERY, FP8, INTS, REALS, Arg, Case, arg, integers, label, positive, values
from nrx.ops import logic as ops

ORDERED = (*REALS, *INTS, "bool", *FP8)
BITS = (*INTS, "bool")
EDGES = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0)


def small(*shape: int) -> Arg:
    """Few different values, so that some are equal."""
    return arg(*shape, low=-1, high=2)


def comparison(name: str, oracle: Callable, dtypes: tuple[str, ...]) -> list[Case]:
    function, jax = getattr(ops, name), f"lax.{name}"
    grid = [values(*np.repeat(EDGES, len(EDGES))), values(*np.tile(EDGES, len(EDGES)))]
    exact = {"order": 0, "ulp": 0, "jax": jax}
    return [
        Case(name, name, function, [small(3, 4), small(3, 4)], oracle, dtypes=dtypes, **exact),
        Case(f"{name}_scalar", name, function, [small(), small()], oracle, dtypes=dtypes, **exact),
        Case(f"{name}_empty", name, function, [small(0, 2), small(0, 2)], oracle, dtypes=("float32",), **exact),
        Case(f"{name}_edges", name, function, grid, oracle, dtypes=REALS, **exact),
    ]


def bitwise(name: str, function: str, oracle: Callable, operands: int = 2) -> list[Case]:
    ours, exact = getattr(ops, function), {"order": 0, "ulp": 0, "jax": f"lax.{function}"}
    return [
        Case(f"{name}_{label(shape)}", name, ours, [arg(*shape, low=-100, high=100)] * operands, oracle, BITS, **exact)
        for shape in ((), (3, 4), (2, 0))
    ]


def shifted(x: int, count: int, bits: int, kind: str, signed: bool) -> int:
    """A shift in Python's unbounded integers, of the `bits` of x."""
    pattern = x % 2**bits
    outside = not 0 <= count < bits
    if kind == "left":
        pattern = 0 if outside else (pattern << count) % 2**bits
    elif kind == "right_logical":
        pattern = 0 if outside else pattern >> count
    else:
        extended = pattern - 2**bits if pattern >> (bits - 1) else pattern
        pattern = (extended >> (bits - 1 if outside else count)) % 2**bits
    return pattern - 2**bits if signed and pattern >> (bits - 1) else pattern


def shift(kind: str) -> list[Case]:
    def oracle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        bits, signed = 8 * x.itemsize, x.dtype.kind == "i"
        pairs = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
        return np.array([shifted(a, b, bits, kind, signed) for a, b in pairs], x.dtype).reshape(x.shape)

    name = f"shift_{kind}"
    function, exact = getattr(ops, name), {"order": 0, "ulp": 0, "jax": f"lax.{name}"}
    counts = (0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 100)
    extremes = (-128, -1, 127)
    signed, unsigned = INTS[:4], INTS[4:]
    grid = [values(*np.repeat(extremes, len(counts))), values(*np.tile(counts, len(extremes)))]
    return [
        Case(name, name, function, [arg(3, 4, low=-100, high=100), arg(3, 4, low=0, high=8)], oracle, INTS, **exact),
        Case(f"{name}_beyond", name, function, grid, oracle, signed, **exact),
        Case(f"{name}_beyond_unsigned", name, function, [values(*np.repeat([255, 128, 1], 11)), grid[1]], oracle,
             unsigned, **exact),
        Case(f"{name}_negative_count", name, function, [arg(3, low=-9, high=9), values(-1, -8, -128)], oracle, signed,
             **exact),
    ]  # fmt: skip


def counting(name: str, oracle: Callable) -> list[Case]:
    """A primitive that counts bits; the oracle reads the number as a string of 0 and 1."""

    def of_strings(x: np.ndarray) -> np.ndarray:
        strings = [np.binary_repr(v, 8 * x.itemsize) for v in x.ravel().tolist()]
        return np.array([oracle(s) for s in strings], x.dtype).reshape(x.shape)

    function, exact = getattr(ops, name), {"order": 0, "ulp": 0, "jax": f"lax.{name}"}
    wide = ("int64", "uint64")
    return [
        Case(name, name, function, [arg(3, 4, low=-100, high=100)], of_strings, INTS, **exact),
        Case(f"{name}_edges", name, function, [values(0, 1, 2, 3, 64, 127)], of_strings, INTS, **exact),
        Case(f"{name}_negative", name, function, [values(-1, -2, -128)], of_strings, INTS[:4], **exact),
        Case(f"{name}_wide", name, function, [values(2**62, 2**62 + 1, 2**40 - 1)], of_strings, wide, **exact),
    ]


def selected(which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    which = np.broadcast_to(np.clip(which.astype(int), 0, len(cases) - 1), cases[0].shape)
    return np.take_along_axis(np.stack(cases), which[None], 0)[0]


def selection(name: str, which: Arg, count: int, shape: tuple[int, ...], jax: bool = True, **options: Any) -> Case:
    return Case(
        f"select_n_{name}", "select_n", ops.select_n, [which, *[arg(*shape)] * count], selected, dtypes=EVERY, ulp=0,
        jax="lax.select_n" * jax, **options,
    )  # fmt: skip


def clamped(name: str, args: list[Arg], **options: Any) -> Case:
    options = {"dtypes": REALS, "ulp": 0, "jax": "lax.clamp"} | options
    return Case(f"clamp_{name}", "clamp", ops.clamp, args, lambda a, x, b: np.minimum(np.maximum(x, a), b), **options)


CASES = [
    *comparison("eq", np.equal, EVERY),
    *comparison("ne", np.not_equal, EVERY),
    *comparison("lt", np.less, ORDERED),
    *comparison("le", np.less_equal, ORDERED),
    *comparison("gt", np.greater, ORDERED),
    *comparison("ge", np.greater_equal, ORDERED),
    *bitwise("not", "bitwise_not", np.invert, operands=1),
    *bitwise("and", "bitwise_and", np.bitwise_and),
    *bitwise("or", "bitwise_or", np.bitwise_or),
    *bitwise("xor", "bitwise_xor", np.bitwise_xor),
    *shift("left"),
    *shift("right_logical"),
    *shift("right_arithmetic"),
    *counting("population_count", lambda s: s.count("1")),
    *counting("clz", lambda s: len(s) - len(s.lstrip("0"))),
    Case("is_finite", "is_finite", ops.is_finite, [values(*EDGES)], np.isfinite, (*REALS, *FP8), order=0, ulp=0,
         jax="lax.is_finite"),
    Case("is_finite_rank_2", "is_finite", ops.is_finite, [arg(2, 3)], np.isfinite, REALS, order=0, jax="lax.is_finite"),
    selection("bool", arg(3, 4, dtype="bool"), 2, (3, 4)),
    selection("scalars", arg(dtype="bool"), 2, ()),
    selection("scalar_condition", arg(dtype="bool"), 2, (3, 4), jax=False),
    selection("one_case", arg(3, dtype="bool"), 1, (3,), jax=False),
    selection("empty", arg(0, 3, dtype="bool"), 2, (0, 3)),
    selection("three", integers(3, 4, low=0, high=3), 3, (3, 4)),
    selection("five", integers(12, low=0, high=5), 5, (12,)),
    selection("clipped", values(-3, -1, 0, 1, 2, 7, dtype="int32"), 3, (6,), jax_gradient=False),
    selection("scalar_number", integers(low=0, high=3), 3, (2, 3), jax=False),
    Case("select", "select_n", ops.select, [arg(3, 4, dtype="bool"), arg(3, 4), arg(3, 4)], np.where, dtypes=EVERY,
         ulp=0, jax="lax.select"),
    clamped("inside_and_outside", [arg(5, low=-1, high=-0.5), arg(5, low=-2, high=2), arg(5, low=0.5, high=1)]),
    clamped("rank_2", [arg(3, 4, low=-1, high=0), arg(3, 4, low=-3, high=3), positive(3, 4)]),
    clamped("integers", [arg(9, low=0, high=4), arg(9, low=-9, high=9), arg(9, low=4, high=8)], dtypes=INTS),
    clamped("scalar_limits", [arg(low=-2, high=-1), arg(3, 4, low=-3, high=3), positive(low=1, high=2)],
            jax_gradient=False),
    clamped("scalar", [arg(low=-2, high=-1), arg(), positive()]),
    clamped("empty", [arg(0), arg(0), arg(0)]),
    clamped("at_limits", [values(0, 0, 0, 0, 0), values(-1, 0, 1, 2, 3), values(2, 2, 2, 2, 2)], smooth=False),
    clamped("crossed_limits", [values(2, 2, 2), values(-1, 1.5, 3), values(1, 1, 1)], smooth=False),
    clamped("nan", [values(0, 0, np.nan), values(np.nan, -np.inf, 1), values(1, np.nan, 2)], order=0),
]  # fmt: skip
