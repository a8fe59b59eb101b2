"""The compiler's math library: machine code against mpmath in ulp, against NumPy at special values."""

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


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def powers(type: str, count: int, low: float = -INF, high: float = INF) -> np.ndarray:
    """Positive numbers of all sizes between two, evenly in their logarithms."""
    info = np.finfo(from_short_name(type))
    least, largest = float(info.smallest_subnormal), float(info.max)
    with np.errstate(divide="ignore"):
        return np.exp2(rng(1).uniform(np.log2(max(low, least)), np.log2(min(high, largest)), count))


def neighbours(type: str, *centres: float) -> np.ndarray:
    """Each number with those next to it, near and far."""
    info = np.finfo(from_short_name(type))
    steps = np.concatenate([np.arange(5), 2.0 ** np.arange(3, info.nmant - 1)]) * float(info.eps)
    return np.concatenate([c * (1 + sign * steps) for c in centres for sign in (1, -1)])


def points(type: str, ranges: Iterable[tuple[float, float]], centres: Iterable[float], count: int) -> np.ndarray:
    """Numbers of a type inside the ranges, evenly and by size, and around the centres."""
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
    return x[(x > low) & (x < high)]


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
    "expm1": (mp.expm1, [(-1.2, 1.2), (-40, 30), (-1, 720)], [LN2 / 2, -LN2 / 2, 709.78, 88.72], 1.7),
    "sinh": (mp.sinh, [(-1.2, 1.2), (-30, 30), (-711, 711)], [LN2 / 2, 710.47, 89.4], 1.7),
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


@types
@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_ulp(name: str, type: str, count: int) -> None:
    oracle, ranges, centres, bound = FUNCTIONS[name]
    x = points(type, ranges, centres, count)
    assert_within(bound, ulp_errors(evaluate(name, type, x), exact(oracle, x)), x)


def every(stride: int, start: int = 0, count: int = 1 << 22) -> np.ndarray:
    """f32 numbers of every kind: the patterns of bits from `start` on, in steps."""
    patterns = np.arange(start, min(start + count * stride, 1 << 32), stride, np.uint64)
    return patterns.astype(np.uint32).view(np.float32)


def assert_f32_within(name: str, x: np.ndarray) -> None:
    """Against float64."""
    bound = FUNCTIONS[name][3]
    if name in ("lgamma", "digamma"):  # their zeros on the left are another matter
        x = x[x > 0]
    if not x.size:
        return
    got = evaluate(name, "f32", x)
    with np.errstate(all="ignore"):
        want = IN_FLOAT64[name](x.astype(np.float64))
        units = np.ldexp(1.0, np.maximum(np.frexp(want)[1] - 1, -126) - 23)
        errors = np.abs(got - want) / units
        rounded = want.astype(np.float32)
    beyond = ~np.isfinite(rounded) | ~np.isfinite(got)
    almost = np.isinf(got) & (np.abs(want) > 3.4028233e38) & ((got > 0) == (want > 0))
    alike = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | almost
    assert_within(bound + 0.01, np.where(beyond, np.where(alike, 0.0, INF), errors), x)


@pytest.mark.parametrize("name", IN_FLOAT64)
def test_f32_of_every_kind(name: str) -> None:
    assert_f32_within(name, every(16411))


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_FLOAT64)
def test_f32_of_every_kind_densely(name: str) -> None:
    for start in range(0, 1 << 32, 97 << 22):
        assert_f32_within(name, every(97, start))


@types
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_numbers_near_quarter_turns(name: str, type: str) -> None:
    """Of each size those that reduction has to take the most digits of pi for, and some famous ones."""
    famous = [1e22, 2.0**1000, 6381956970095103 * 2.0**797, 16367173 * 2.0**72]
    multiples = np.arange(1, 400) * (PI / 2)
    with np.errstate(over="ignore"):
        x = np.concatenate([near_quarter_turns(type), famous, multiples, -multiples]).astype(from_short_name(type))
    x = x[np.isfinite(x)]
    y = evaluate(name, type, x)
    assert_within(FUNCTIONS[name][3], ulp_errors(y, exact(FUNCTIONS[name][0], x)), x)
    assert name == "tan" or np.all(np.abs(y) <= 1)


# --- Functions of two numbers -----------------------------------------------------------------------------------------


def power_operands(type: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bases of all sizes and near 1, with exponents up to where the result is out of range."""
    dtype, largest = from_short_name(type), {"f32": 150, "f64": 1075}[type]
    close = 1 + rng(2).uniform(-0.4, 0.5, count) * 2.0 ** -rng(3).uniform(0, np.finfo(dtype).nmant, count)
    x = np.concatenate([powers(type, count), close]).astype(dtype)
    x = x[(x != 1) & (x > 0) & np.isfinite(x)]
    y = rng(4).uniform(-1, 1, x.size) * largest / np.abs(np.log2(x.astype(np.float64)))
    y[::5] = np.rint(y[::5])
    return x, y.astype(dtype)


def angle_operands(type: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the plane, near and far, on rays and near the diagonals."""
    dtype = from_short_name(type)
    x = powers(type, count, 2.0**-120, 2.0**120) * rng(2).choice([-1, 1], count)
    y = x * np.concatenate([rng(3).standard_normal(count // 2), 1 + rng(4).integers(-9, 9, count - count // 2) * 1e-7])
    y[::3] = rng(5).permutation(x)[::3]
    with np.errstate(over="ignore", under="ignore"):
        return y.astype(dtype), x.astype(dtype)


BINARY = {"pow": (mp.power, power_operands, {"f32": 0.7, "f64": 1.3}), "atan2": (mp.atan2, angle_operands, 1.8)}


@types
@pytest.mark.parametrize("count", [700, pytest.param(40_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BINARY)
def test_error_of_two_operands_in_ulp(name: str, type: str, count: int) -> None:
    oracle, operands, bound = BINARY[name]
    x, y = operands(type, count)
    errors = ulp_errors(evaluate(name, type, x, y), exact(oracle, x, y))
    assert_within(bound[type] if isinstance(bound, dict) else bound, errors, x, y)


@types
@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_left_of_zero(name: str, type: str) -> None:
    """Zeros are ill-conditioned there: the error is absolute, of the largest term."""
    dtype = from_short_name(type)
    x = -np.concatenate([rng(2).uniform(0, 3, 300), rng(3).uniform(3, 60, 200), powers(type, 100, 1e-30, 0.5)]).astype(
        dtype
    )
    want = exact(lambda v: mp.re(mp.loggamma(v)) if name == "lgamma" else mp.digamma(v), x)
    terms = {
        "lgamma": lambda v: 1 + abs(mp.loggamma(1 - v)) + abs(mp.log(abs(mp.sin(mp.pi * v)))),
        "digamma": lambda v: 1 + abs(mp.digamma(1 - v)) + abs(mp.pi * mp.cot(mp.pi * v)) + abs(1 / v),
    }[name]
    got = evaluate(name, type, x)
    errors = [abs(mp.mpf(g) - w) / t for g, w, t in zip(got.tolist(), want, exact(terms, x), strict=True)]
    assert max(errors) <= 3.5 * np.finfo(dtype).eps


# --- Special values ---------------------------------------------------------------------------------------------------


def special(type: str) -> np.ndarray:
    info = np.finfo(from_short_name(type))
    tiny, largest, eps = float(info.smallest_subnormal), float(info.max), float(info.eps)
    positive = [0.0, INF, 1, 2, 3, 0.5, 1.5, 2.0**20 + 1, 1 + eps, 1 - eps / 2, tiny, float(info.tiny) / 3, largest]
    return np.array([*positive, *(-x for x in positive), NAN], from_short_name(type))


def numpy_function(name: str) -> Callable:
    known = {"pow": np.power, "atan2": np.arctan2, "lgamma": np.vectorize(log_gamma, otypes=[np.float64])}
    return known.get(name) or IN_FLOAT64[name]


def log_gamma(x: float) -> float:
    if not math.isfinite(x) or (x <= 0 and x == math.floor(x)):
        return x if math.isnan(x) else INF
    return float(mp.re(mp.loggamma(x)))


def assert_alike(got: np.ndarray, want: np.ndarray, *operands: np.ndarray) -> None:
    """The same where results are exact or not finite, the signs of zeros too; close elsewhere."""
    with np.errstate(all="ignore"):
        close = np.abs(got - want) <= 4 * np.spacing(np.abs(want))
    alike = ((got == want) | close) & (np.signbit(got) == np.signbit(want)) | (np.isnan(got) & np.isnan(want))
    wrong = [tuple(float(a[i]) for a in (*operands, got, want)) for i in np.flatnonzero(~alike)]
    assert not wrong


@types
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", IN_FLOAT64)
def test_special_values(name: str, type: str, level: str) -> None:
    x = special(type)
    if name == "digamma":
        x = x[~((x < 0) & (x > -INF) & (x != np.floor(x)))]  # SciPy's own errors are larger there
    with np.errstate(all="ignore"):
        want = numpy_function(name)(x if type == "f64" else x.astype(np.float64)).astype(x.dtype)
    want = np.copysign(want, x) if name == "erf_inv" else want
    assert_alike(evaluate(name, type, x, level=level), want, x)


@types
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", BINARY)
def test_special_values_of_two_operands(name: str, type: str, level: str) -> None:
    x, y = (a.ravel() for a in np.meshgrid(special(type), special(type)))
    with np.errstate(all="ignore"):
        want = numpy_function(name)(x, y)
    assert_alike(evaluate(name, type, x, y, level=level), want, x, y)


@types
def test_nan_of_every_kind(type: str) -> None:
    quiet = {"f32": [0x7FC00000, 0xFFC00001, 0x7FFFFFFF], "f64": [0x7FF8 << 48, (0xFFF8 << 48) + 1, (1 << 63) - 1]}[
        type
    ]
    x = np.array(quiet, f"u{np.dtype(from_short_name(type)).itemsize}").view(from_short_name(type))
    for name in FUNCTIONS:
        assert np.all(np.isnan(evaluate(name, type, x))), name
    for name in BINARY:
        assert np.all(np.isnan(evaluate(name, type, x, 2.0))), name
        assert np.all(np.isnan(evaluate(name, type, 2.0, x))), name


@types
def test_exact_values(type: str) -> None:
    """Results that a float holds and that users compare with ==."""
    small, whole = np.arange(-20.0, 21), np.arange(-126.0, 128)
    assert same(evaluate("exp2", type, whole), 2.0 ** whole.astype(from_short_name(type)))
    assert same(evaluate("log2", type, 2.0**whole), whole.astype(from_short_name(type)))
    assert same(evaluate("cbrt", type, small**3), small.astype(from_short_name(type)))
    assert same(evaluate("pow", type, small, 3.0), (small**3).astype(from_short_name(type)))
    assert same(evaluate("pow", type, small, 1.0), small.astype(from_short_name(type)))
    assert evaluate("tanh", type, [20.0, -20.0]).tolist() == [1, -1]


# --- What functions are made of ---------------------------------------------------------------------------------------


@types
@pytest.mark.parametrize("level", LEVELS)
def test_scaling(type: str, level: str) -> None:
    """Results of every size, rounded once where they are subnormal."""
    info = np.finfo(from_short_name(type))
    count, most = 3000, 2 * info.maxexp
    x = (rng(2).uniform(1, 2, count) * rng(3).choice([-1, 1], count)).astype(info.dtype)
    n = rng(4).integers(-most + 60, most - 60, count)
    with np.errstate(all="ignore"):
        assert same(evaluate("ldexp", type, x, n, level=level), np.ldexp(x, n))


@types
@pytest.mark.parametrize("level", LEVELS)
def test_decomposition(type: str, level: str) -> None:
    x = np.concatenate([powers(type, 3000), neighbours(type, 1, 0.75, 1.5, 3)]).astype(from_short_name(type))
    x = x[(x > 0) & np.isfinite(x)]
    m, k = np.frexp(x)
    low = m < 0.75
    assert same(evaluate("significand", type, x, level=level), np.where(low, 2 * m, m))
    assert same(evaluate("exponent", type, x, level=level), np.where(low, k - 1, k).astype(x.dtype))


@types
@pytest.mark.parametrize("name", [*FUNCTIONS, *BINARY])
def test_every_level_gives_the_same_bits(name: str, type: str) -> None:
    count = 300
    x = np.concatenate([powers(type, count), -powers(type, count), rng().uniform(-9, 9, count), special(type)])
    operands = [x, rng(2).permutation(x)] if name in BINARY else [x]
    results = [evaluate(name, type, *operands, level=level) for level in LEVELS]
    assert all(same(results[0], result) for result in results[1:])


@pytest.mark.slow
def test_tables_are_those_of_the_script() -> None:
    """They take a minute."""
    tables = SCRIPT.parents[3] / "nrx" / "compiler" / "mathlib" / "tables.py"
    printed = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True).stdout
    assert printed == tables.read_text(encoding="utf-8")
