"""The compiler's math library: machine code against mpmath in ulp, against NumPy at special values."""

import functools
import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import loop_machine
import mpmath as mp
import numpy as np
import pytest
import scipy.special
from loop_machine import LEVELS

from nrx.core import loops
from nrx.core.dtypes import from_short_name
from nrx.core.loops import Builder, Expr, apply

pytest.importorskip("llvmlite")

INF, NAN = np.inf, np.nan
TYPES = ["f32", "f64"]
types = pytest.mark.parametrize("type", TYPES)
SCRIPT = Path(__file__).resolve().parent.parent / "docs" / "design" / "scripts" / "minimax.py"


def evaluate(op: str, type: str, *operands: Any, level: str | None = None) -> np.ndarray:
    """A function of arrays, by machine code."""
    arrays = [np.ascontiguousarray(x, from_short_name(type)) for x in np.broadcast_arrays(*operands)]
    b = Builder(op)
    inputs, result = [b.buffer(f"x{n}", type, True) for n in range(len(arrays))], b.buffer("y", type)
    b.kernel.dims = [extent] = [Expr("dim", "i64")]

    def element(i: Expr) -> list[Expr]:
        b.store(result, i, apply(op, *[b.load(x, i) for x in inputs]))
        return []

    b.lanes(extent, element)
    out = np.empty_like(arrays[0])
    loop_machine.run(b.kernel, [*arrays, out], [out.size], level)
    return out


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether all numbers are the same, the signs of zeros too."""
    signs = np.signbit(left) == np.signbit(right)
    return bool(np.all(((left == right) & signs) | (np.isnan(left) & np.isnan(right))))


# --- Points -----------------------------------------------------------------------------------------------------------


@functools.cache
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def powers(type: str, count: int, low: float = -INF, high: float = INF) -> np.ndarray:
    """Positive numbers of all sizes between two, evenly in their logarithms."""
    info = np.finfo(from_short_name(type))
    least, largest = float(info.smallest_subnormal), float(info.max)
    with np.errstate(divide="ignore"):
        return np.exp2(rng().uniform(np.log2(max(low, least)), np.log2(min(high, largest)), count))


def neighbours(type: str, *centres: float) -> np.ndarray:
    """Each number with those next to it, near and far."""
    info = np.finfo(from_short_name(type))
    steps = np.concatenate([np.arange(5), 2.0 ** np.arange(3, info.nmant - 1)]) * float(info.eps)
    return np.concatenate([c * (1 + sign * steps) for c in centres for sign in (1, -1)])


def points(type: str, ranges: Iterable[tuple[float, float]], centres: Iterable[float], count: int) -> np.ndarray:
    """Numbers of a type in the ranges, evenly and by size, and around the centres."""
    found = [neighbours(type, *centres)]
    for low, high in ranges:
        if math.isfinite(low) and math.isfinite(high):
            found.append(rng().uniform(low, high, count))
        for sign, end in ((1, high), (-1, -low)):
            if end > 0:
                found.append(sign * powers(type, count // 4, max(0.0, sign * (low if sign > 0 else high)), end))
    with np.errstate(over="ignore"):
        x = np.unique(np.concatenate(found).astype(from_short_name(type)))
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    return x[np.isfinite(x) & (x >= low) & (x <= high)]


def near_quarter_turns(type: str) -> np.ndarray:
    """Of each size, the numbers nearest to multiples of pi/2: denominators of convergents of 2^e 2/pi."""
    info = np.finfo(from_short_name(type))
    digits, found = info.nmant + 1, []
    with mp.workprec(3000):
        two_over_pi = Fraction(int(mp.floor(mp.ldexp(2 / mp.pi, 2800))), 2**2800)
    for exponent in range(-digits, info.maxexp - digits):
        rest, (before, denominator) = two_over_pi * Fraction(2) ** exponent % 1, (0, 1)
        while True:
            rest = 1 / rest
            before, denominator = denominator, int(rest) * denominator + before
            if denominator >= 2**digits:
                break
            rest -= int(rest)
        found.append(math.ldexp(before, exponent))
    return np.array(found)


# --- Accuracy ---------------------------------------------------------------------------------------------------------

ANY = (-INF, INF)
POSITIVE = (0.0, INF)
LN2, PI = math.log(2), math.pi
#: Of each function: what it is by mpmath, ranges, points of special interest, and the bound of its error in ulp.
FUNCTIONS: dict[str, tuple[Callable, list, list, float]] = {
    "exp": (mp.exp, [(-1, 1), (-30, 30), (-750, 720)], [LN2 / 2, -LN2 / 2, 709.78, -745.1, 88.72], 1.2),
    "exp2": (lambda x: mp.power(2, x), [(-1, 1), (-30, 30), (-1080, 1030)], [0.5, -0.5, 1024, -1074, 128], 1.1),
    "expm1": (mp.expm1, [(-1.2, 1.2), (-40, 30), (-1, 720)], [LN2 / 2, -LN2 / 2, 709.78, 88.72], 1.5),
    "sinh": (mp.sinh, [(-1.2, 1.2), (-30, 30), (-711, 711)], [LN2 / 2, 710.47, 89.4], 1.5),
    "cosh": (mp.cosh, [(-1.2, 1.2), (-30, 30), (-711, 711)], [LN2 / 2, 710.47, 89.4], 1.9),
    "tanh": (mp.tanh, [(-1.2, 1.2), (-3, 3), (-25, 25)], [LN2 / 4, 3 * LN2 / 4, 9.0, 19.0], 1.8),
    "logistic": (lambda x: 1 / (1 + mp.exp(-x)), [(-1.2, 1.2), (-40, 40), (-750, 50)], [-87.3, -708.4], 1.6),
    "log": (mp.log, [(0.5, 2), (0.9, 1.1), POSITIVE], [1, 0.75, 1.5], 1.0),
    "log2": (lambda x: mp.log(x, 2), [(0.5, 2), (0.9, 1.1), POSITIVE], [1, 0.75, 1.5], 1.5),
    "log1p": (mp.log1p, [(-0.5, 2), (-1, 1), (-1, INF)], [-0.25, 0.5, -1], 1.2),
    "asinh": (mp.asinh, [(-0.5, 0.5), (-3, 3), ANY], [0.3, 1], 1.2),
    "acosh": (mp.acosh, [(1, 1.1), (1, 3), (1, INF)], [1, 1.08], 1.2),
    "atanh": (mp.atanh, [(-0.5, 0.5), (-1, 1), (0.9, 1)], [1 - 2.0**-24, 0.2], 1.2),
    "sin": (mp.sin, [(-4, 4), (-100, 100), (-1e5, 1e5), ANY], [k * PI / 4 for k in range(1, 9)], 1.6),
    "cos": (mp.cos, [(-4, 4), (-100, 100), (-1e5, 1e5), ANY], [k * PI / 4 for k in range(1, 9)], 1.6),
    "tan": (mp.tan, [(-4, 4), (-100, 100), (-1e5, 1e5), ANY], [k * PI / 4 for k in range(1, 9)], 1.8),
    "asin": (mp.asin, [(-0.6, 0.6), (-1, 1), (0.99, 1)], [0.5, 1], 1.7),
    "acos": (mp.acos, [(-0.6, 0.6), (-1, 1), (0.99, 1)], [0.5, 1, -0.5], 1.3),
    "atan": (mp.atan, [(-1.2, 1.2), (-5, 5), ANY], [1], 1.8),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), [(-8, 8), (1, 8), ANY], [0.75, 1.5, 3, 6, 8], 0.51),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), [(0.25, 4), POSITIVE], [1], 1.6),
    "erf": (mp.erf, [(-1.2, 1.2), (-3, 3), (-7, 7)], [1, 3.9, 5.9], 1.3),
    "erfc": (mp.erfc, [(-1.2, 1.2), (-6, 3), (0, 12), (0, 28)], [13 / 16, -13 / 16, 10, 26.5], 1.8),
    "erf_inv": (mp.erfinv, [(-0.5, 0.5), (-1, 1), (0.99, 1)], [0.9966, 1 - 2.0**-24], 1.7),
    "lgamma": (mp.loggamma, [(0.3, 4), (3.5, 200), POSITIVE], [1, 2, 0.7, 3.5], 4),
    "digamma": (mp.digamma, [(0.5, 4), (4, 200), POSITIVE], [1.4616321449683622, 0.5, 4], 4),
}
#: By NumPy or SciPy in float64, good enough to judge f32.
IN_FLOAT64: dict[str, Callable] = {
    **{name: getattr(np, name) for name in ("exp", "exp2", "expm1", "sinh", "cosh", "tanh", "log", "log2", "log1p")},
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "cbrt")},
    **{f"a{name}": getattr(np, f"arc{name}") for name in ("sinh", "cosh", "tanh", "sin", "cos", "tan")},
    "logistic": lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-abs(x))),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "erf_inv": scipy.special.erfinv,
    "lgamma": lambda x: np.where(np.isinf(x), INF, scipy.special.gammaln(x)),
    "digamma": scipy.special.digamma,
}


def exact(oracle: Callable, *operands: np.ndarray) -> list:
    with mp.workprec(200):
        return [oracle(*map(mp.mpf, numbers)) for numbers in zip(*(x.tolist() for x in operands), strict=True)]


def ulp_errors(computed: np.ndarray, expected: list) -> np.ndarray:
    """The errors in units of the last place of the exact values; subnormals count in units of the least one.

    What is beyond the largest number must be infinite, or that number if it would round to it.
    """
    info = np.finfo(computed.dtype)
    least, largest = info.minexp - info.nmant, float(info.max)
    found = []
    with mp.workprec(200):
        for got, want in zip(computed.tolist(), expected, strict=True):
            unit = mp.ldexp(1, max(int(mp.mag(want)) - 1 - info.nmant, least) if mp.isfinite(want) and want else least)
            if math.isinf(got) and abs(want) > largest - unit:
                found.append(0.0 if (got > 0) == (want > 0) else INF)
            else:
                found.append(float(abs(mp.mpf(got) - want) / unit))
    return np.array(found)


def assert_within(bound: float, errors: np.ndarray, *operands: np.ndarray) -> None:
    worst = int(np.argmax(np.where(np.isnan(errors), INF, errors)))
    assert errors[worst] <= bound, f"{errors[worst]:.3f} ulp at {[float(x[worst]) for x in operands]}"


def sweep(name: str, type: str, count: int) -> None:
    oracle, ranges, centres, bound = FUNCTIONS[name]
    x = points(type, ranges, centres, count)
    if name in ("log", "log2", "rsqrt", "log1p", "atanh", "erf_inv", "lgamma", "digamma"):
        x = x[(x > (-1 if name == "log1p" else 0)) | ~np.isin(name, ["log", "log2", "rsqrt", "log1p", "lgamma", "digamma"])]
        x = x[np.abs(x) < 1] if name in ("atanh", "erf_inv") else x
    assert_within(bound, ulp_errors(evaluate(name, type, x), exact(oracle, x)), x)


@types
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_ulp(name: str, type: str) -> None:
    sweep(name, type, 150)


@pytest.mark.slow
@types
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_ulp_densely(name: str, type: str) -> None:
    sweep(name, type, 10_000)
