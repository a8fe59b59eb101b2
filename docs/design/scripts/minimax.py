"""Computes the tables of `nrx/compiler/mathlib/tables.py`. Needs mpmath; takes about a minute.

    python docs/design/scripts/minimax.py > nrx/compiler/mathlib/tables.py
    python docs/design/scripts/minimax.py EXP LOG        # only these

A fit minimises the largest weighted error of a polynomial over an interval by the second algorithm of Remez. Its
coefficients are rounded one at a time, from the lowest order on, and those of higher order make up for most of it.
"""

import math
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import fit_special
import mpmath as mp
import numpy as np
from mpmath import mpf

mp.mp.dps = 80

Real = Callable[[mpf], mpf]
LN2, PI = mp.log(2), +mp.pi
GRID = 24  # points between two nodes, to find the extrema of the error


def rounded(x: mpf, type: str) -> float:
    """The nearest f32 or f64."""
    if type == "f64" or x == 0:
        return float(x)
    exponent = max(int(mp.floor(mp.log(abs(x), 2))), -126) - 23
    return float(mp.ldexp(mp.nint(mp.ldexp(x, -exponent)), exponent))


def shown(c: float, type: str) -> str:
    return str(np.float32(c)) if type == "f32" else repr(c)


# --- The algorithm of Remez -------------------------------------------------------------------------------------------


def horner(coefficients: Sequence[mpf | float], z: mpf) -> mpf:
    result = mpf(0)
    for c in reversed(coefficients):
        result = result * z + c
    return result


def chebyshev_extrema(low: mpf, high: mpf, count: int) -> list[mpf]:
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(PI * k / (count - 1)) for k in range(count)]


def levelled(values: Sequence[mpf], weights: Sequence[mpf], nodes: Sequence[mpf], degree: int) -> list[mpf]:
    """The polynomial whose weighted error at the nodes alternates between two values of one size."""
    n = degree + 2
    matrix = mp.matrix(n, n)
    for row, z in enumerate(nodes):
        for column in range(n - 1):
            matrix[row, column] = z**column
        matrix[row, n - 1] = (-1) ** row / weights[row]
    return list(mp.lu_solve(matrix, mp.matrix(list(values))))[:-1]


def alternating_peaks(grid: Sequence[mpf], errors: Sequence[mpf], count: int) -> list[int]:
    """Positions of `count` extrema of alternating sign, the largest ones."""
    peaks: list[int] = []
    for i, e in enumerate(errors):
        if peaks and (errors[peaks[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:
        end = 0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1
        del peaks[end]
    return peaks


def minimax(f: Real, low: mpf, high: mpf, degree: int, weight: Real) -> list[mpf]:
    """The polynomial p of least largest |p(z) - f(z)| weight(z) on a fine grid of [low, high]."""
    grid = [z for z in chebyshev_extrema(low, high, GRID * (degree + 2)) if abs(z) > mpf(10) ** -18]
    values, weights = [f(z) for z in grid], [weight(z) for z in grid]
    middle = GRID // 2
    at = [min(k * GRID + middle, len(grid) - 1) for k in range(degree + 2)]
    best: tuple[mpf, list[mpf]] | None = None
    for _ in range(12):
        p = levelled([values[i] for i in at], [weights[i] for i in at], [grid[i] for i in at], degree)
        errors = [(horner(p, z) - v) * w for z, v, w in zip(grid, values, weights, strict=True)]
        largest = max(map(abs, errors))
        if best is None or largest < best[0]:
            best = largest, p
        peaks = alternating_peaks(grid, errors, degree + 2)
        if len(peaks) < degree + 2 or peaks == at:
            break
        at = peaks
    assert best is not None
    return best[1]


def make_up(error: mpf, order: int, degree: int, points: Sequence[mpf], weight: Real) -> list[mpf]:
    """Changes of the coefficients of order + 1 to degree that make up best, in squares, for one of order `order`."""
    rows = [[weight(z) * z**k for k in range(order + 1, degree + 1)] for z in points]
    return list(mp.lu_solve(mp.matrix(rows), mp.matrix([weight(z) * error * z**order for z in points])))


def rounded_minimax(f: Real, low: mpf, high: mpf, degree: int, weight: Real, type: str) -> list[float]:
    """The coefficients of a near-best polynomial, each an f32 or f64."""
    p = minimax(f, low, high, degree, weight)
    points = chebyshev_extrema(low, high, 4 * degree + 8)
    for k in range(degree):
        error, p[k] = p[k] - rounded(p[k], type), mpf(rounded(p[k], type))
        p[k + 1 :] = [c + d for c, d in zip(p[k + 1 :], make_up(error, k, degree, points, weight), strict=True)]
    return [rounded(c, type) for c in p]


# --- What is fitted ---------------------------------------------------------------------------------------------------


class Fit(NamedTuple):
    """A function on an interval, the weight of its error, and the degree of the polynomial for f32 and f64."""

    formula: str
    f: Real
    low: mpf
    high: mpf
    weight: Real
    degrees: dict[str, int]


def odd_rest(f: Real, z: mpf) -> mpf:
    """(f(x) - x) / x³ where z = x²."""
    x = mp.sqrt(z)
    return (f(x) - x) / (x * z)


def relative(f: Real, z: mpf) -> mpf:
    """The weight of a factor of x³ in a function f whose error is to be relative: x³ / f(x) where z = x²."""
    x = mp.sqrt(z)
    return x * z / f(x) if z else mpf(0)


def erfc_scaled(t: mpf) -> mpf:
    """(x + 2) exp(x²) erfc(x) where t = 1/2 - 4 / (x + 2)."""
    x = 4 / (mpf(1) / 2 - t) - 2
    return (x + 2) * mp.exp(x * x) * mp.erfc(x)


def erf_inv_ratio(w: mpf) -> mpf:
    """erf_inv(x) / x where w = -log(1 - x²), by Halley's method."""
    if not w:
        return mp.sqrt(PI) / 2
    x = mp.sqrt(-mp.expm1(-w))
    complement = mp.exp(-w) / (1 + x)
    y = mp.sqrt(w) * mpf("0.9") if w < 4 else mp.sqrt(w + LN2 - mp.log(PI * w) / 2)
    step = mpf(1)
    while abs(step) > mpf(10) ** -28:  # the next one triples the digits
        step = (mp.erfc(y) - complement) * mp.exp(y * y) * mp.sqrt(PI) / 2
        step /= 1 + y * step
        y += step
    return y / x


FITS = {
    "EXP": Fit(
        "(exp(r) - 1 - r) / r² for |r| <= log(2)/2",
        lambda r: (mp.expm1(r) - r) / r**2,
        -LN2 / 2,
        LN2 / 2,
        lambda r: r**2 / mp.exp(r),
        {"f32": 4, "f64": 9},
    ),
    "EXP2": Fit(
        "(2^r - 1) / r for |r| <= 1/2",
        lambda r: mp.expm1(r * LN2) / r,
        -mpf(1) / 2,
        mpf(1) / 2,
        lambda r: abs(r) / mp.exp(r * LN2),
        {"f32": 5, "f64": 10},
    ),
    "EXPM1": Fit(
        "(exp(r) - 1 - r) / r² for |r| <= log(2)/2, relative to exp(r) - 1",
        lambda r: (mp.expm1(r) - r) / r**2,
        -LN2 / 2,
        LN2 / 2,
        lambda r: abs(r),
        {"f32": 4, "f64": 10},
    ),
    "SINH": Fit(
        "(sinh(r) - r) / r³ in z = r² for |r| <= log(2)/2",
        lambda z: odd_rest(mp.sinh, z),
        mpf(0),
        LN2**2 / 4,
        lambda z: relative(mp.sinh, z),
        {"f32": 2, "f64": 5},
    ),
    "COSH": Fit(
        "(cosh(r) - 1) / r² in z = r² for |r| <= log(2)/2",
        lambda z: (mp.cosh(mp.sqrt(z)) - 1) / z,
        mpf(0),
        LN2**2 / 4,
        lambda z: z,
        {"f32": 2, "f64": 5},
    ),
    "LOG_F32": Fit(
        "(log(1 + f) - f + f²/2) / f³ for 3/4 <= 1 + f <= 3/2",
        lambda f: (mp.log1p(f) - f + f * f / 2) / f**3,
        -mpf(1) / 4,
        mpf(1) / 2,
        lambda f: f**3 / mp.log1p(f) if f else mpf(0),
        {"f32": 7},
    ),
    "LOG_F64": Fit(
        "(2 artanh(s) / s - 2) / s² in z = s² for 3/4 <= (1 + s) / (1 - s) <= 3/2",
        lambda z: 2 * (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
        mpf(0),
        mpf(1) / 25,
        lambda z: z / 2,
        {"f64": 6},
    ),
    "LOG2_SHORT": Fit(
        "2 artanh(s) / (s log(2)) in z = s² for 3/4 <= (1 + s) / (1 - s) <= 3/2, for powers of f32",
        lambda z: 2 / LN2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z),
        mpf(0),
        mpf(1) / 25,
        lambda z: LN2 / 2,
        {"f64": 5},
    ),
    "ARTANH": Fit(
        "((artanh(s) / s - 1) / s² - 1/3) / s² in z = s² for 3/4 <= (1 + s) / (1 - s) <= 3/2",
        lambda z: ((mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z - mpf(1) / 3) / z,
        mpf(0),
        mpf(1) / 25,
        lambda z: z * z,
        {"f64": 7},
    ),
    "SINE": Fit(
        "(sin(r) - r) / r³ in z = r² for |r| <= pi/4",
        lambda z: odd_rest(mp.sin, z),
        mpf(0),
        PI**2 / 16,
        lambda z: relative(mp.sin, z),
        {"f32": 3, "f64": 5},
    ),
    "COSINE": Fit(
        "(cos(r) - 1) / r² in z = r² for |r| <= pi/4",
        lambda z: (mp.cos(mp.sqrt(z)) - 1) / z,
        mpf(0),
        PI**2 / 16,
        lambda z: z,
        {"f32": 3, "f64": 6},
    ),
    "ASIN": Fit(
        "(asin(s) - s) / s³ in z = s² for |s| <= 1/2",
        lambda z: odd_rest(mp.asin, z),
        mpf(0),
        mpf(1) / 4,
        lambda z: relative(mp.asin, z),
        {"f32": 4, "f64": 11},
    ),
    "ATAN": Fit(
        "(atan(t) - t) / t³ in z = t² for |t| <= 1",
        lambda z: odd_rest(mp.atan, z),
        mpf(0),
        mpf(1),
        lambda z: relative(mp.atan, z),
        {"f32": 8, "f64": 19},
    ),
    "CBRT": Fit(
        "(1 + f)^(-1/3) for 3/4 <= 1 + f <= 3/2",
        lambda f: 1 / mp.cbrt(1 + f),
        -mpf(1) / 4,
        mpf(1) / 2,
        lambda f: mp.cbrt(1 + f),
        {"f32": 3, "f64": 5},
    ),
    "ERF_NEAR": Fit(
        "erf(x) / x - 1 in z = x² for |x| <= 1",
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
        mpf(0),
        mpf(1),
        lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)) if z else mpf(0),
        {"f32": 6, "f64": 11},
    ),
    **{
        f"ERF_FAR_{type.upper()}": Fit(
            f"-log2(erfc(x)) in x - 1 for 1 <= x <= {largest}, relative to erf",
            lambda u: -mp.log(mp.erfc(u + 1), 2),
            mpf(0),
            mpf(largest) - 1,
            lambda u: LN2 * mp.erfc(u + 1) / mp.erf(u + 1),
            {type: degree},
        )
        for type, largest, degree in (("f32", 3.93, 6), ("f64", 5.95, 18))
    },
    "ERFC": Fit(
        "(x + 2) exp(x²) erfc(x) in t = 1/2 - 4 / (x + 2) for x >= 0",
        erfc_scaled,
        mpf(-3) / 2,
        mpf(1) / 2 - 4 / mpf("29.5"),
        lambda t: 1 / erfc_scaled(t),
        {"f32": 10, "f64": 24},
    ),
    "ERF_INV_CENTRE": Fit(
        "erf_inv(x) / x - 1 in w - 0.5, w = -log(1 - x²), for 0 <= w <= 5",
        lambda u: erf_inv_ratio(u + mpf("0.5")) - 1,
        mpf("-0.5"),
        mpf("4.5"),
        lambda u: 1 / erf_inv_ratio(u + mpf("0.5")),
        {"f32": 9, "f64": 22},
    ),
    **{
        name: Fit(
            f"erf_inv(x) / x - 1 in sqrt(w) - {centre}, w = -log(1 - x²), for {low} <= w <= {high}",
            lambda u, centre=centre: erf_inv_ratio((u + mpf(centre)) ** 2) - 1,
            mp.sqrt(low) - mpf(centre),
            mp.sqrt(high) - mpf(centre),
            lambda u, centre=centre: 1 / erf_inv_ratio((u + mpf(centre)) ** 2),
            degrees,
        )
        for name, centre, low, high, degrees in (
            ("ERF_INV_TAIL_F32", "3.125", 5, 16.7, {"f32": 9}),
            ("ERF_INV_TAIL_F64", "3.125", 5, 16, {"f64": 22}),
            ("ERF_INV_LAST_F64", "5.0625", 16, 37.5, {"f64": 19}),
        )
    },
}


class Split(NamedTuple):
    """A number as a sum of floats."""

    text: str
    value: mpf
    parts: int


SPLITS = {
    "LOG2_E": Split("1 / log(2)", 1 / LN2, 2),
    "LOG_2": Split("log(2)", LN2, 2),
    "DIGAMMA_ROOT": Split("the positive zero of digamma", fit_special.PSI_ROOT, 2),
    "THIRD": Split("1/3", mpf(1) / 3, 2),
    "HALF_PI": Split("pi / 2", PI / 2, 3),
    "TWO_OVER_PI": Split("2 / pi", 2 / PI, 1),
}


def split(value: mpf, parts: int, type: str) -> list[float]:
    """The nearest float, the one nearest to the rest, and so on."""
    found: list[float] = []
    for _ in range(parts):
        found.append(rounded(value - sum(map(mpf, found)), type))
    return found


def literal(numbers: Sequence[float], type: str) -> str:
    return "(" + ", ".join(shown(c, type) for c in numbers) + ")" if len(numbers) > 1 else shown(numbers[0], type)


def split_table(name: str) -> Iterator[str]:
    text, value, parts = SPLITS[name]
    yield f"#: {text}" + (f" as a sum of {parts} numbers." if parts > 1 else ", rounded.")
    yield f"{name} = {{"
    for type in ("f32", "f64"):
        yield f'    "{type}": {literal(split(value, parts, type), type)},'
    yield "}"


class Ratio(NamedTuple):
    """A rational function, as `fit_special.fit` makes it, for f64."""

    f: Real
    low: str
    high: str
    degrees: tuple[int, int]
    origin: str
    offset: mpf


RATIOS = {
    "LGAMMA": Ratio(fit_special.lgamma_ratio, "0.7", "3.5", (10, 10), "0.7", mpf(5) / 16),
    "LGAMMA_TAIL": Ratio(fit_special.lgamma_tail, "0", "0.08163265306122449", (8, 0), "0", mpf(0)),
    "DIGAMMA": Ratio(fit_special.digamma_ratio, "0.5", "4", (8, 8), "0.5", mpf(7) / 16),
    "DIGAMMA_TAIL": Ratio(fit_special.digamma_tail, "0", "0.0625", (7, 0), "0", mpf(0)),
}


def ratio_table(name: str) -> Iterator[str]:
    f, low, high, degrees, origin, offset = RATIOS[name]
    parts = fit_special.fit(lambda x: f(x) - offset, mpf(low), mpf(high), degrees, mpf(origin))
    less = f" Less {mp.nstr(offset)}," if offset else ""
    text = (f.__doc__ or "").rstrip(".")
    yield f"#: {text}.{less} as a quotient of polynomials in the distance from {origin}."
    for part, suffix in zip(parts, ("", "_DENOMINATOR"), strict=True):
        if len(part) > 1:
            yield f"{name}{suffix} = {coefficients([float(c) for c in part], 'f64', 0)}"


def two_over_pi_digits(type: str) -> list[tuple[float, ...]]:
    """2^(16 (j + 1) - m) 2/pi modulo 4 for j = 0, 1, …, in parts, where m is 23 or 52; NaN for what is not finite."""
    mantissa, parts, largest = {"f32": (23, 2, 127), "f64": (52, 4, 1023)}[type]
    found = []
    with mp.workdps(500):
        for exponent in range(16, largest + 1, 16):
            x = mp.ldexp(2 / mp.pi, exponent - mantissa)
            found.append(split(x - 4 * mp.nint(x / 4), parts, "f64"))
    return [(*part, math.nan) for part in zip(*found, strict=True)]


def digits_table(name: str) -> Iterator[str]:
    yield f"#: {(two_over_pi_digits.__doc__ or '').rstrip('.')}."
    yield "_NAN = float('nan')"
    yield f"{name} = {{"
    for type in ("f32", "f64"):
        yield f'    "{type}": ('
        for part in two_over_pi_digits(type):
            yield f"        {coefficients(part, 'f64', 8)},".replace("nan", "_NAN")
        yield "    ),"
    yield "}"


def coefficients(c: Sequence[float], type: str, indent: int) -> str:
    numbers = textwrap.fill(", ".join(shown(x, type) for x in c) + ",", 116 - indent, break_on_hyphens=False)
    return f"(\n{textwrap.indent(numbers, ' ' * (indent + 4))}\n{' ' * indent})"


def comment(text: str) -> str:
    return textwrap.fill(text, 120, initial_indent="#: ", subsequent_indent="#: ", break_on_hyphens=False)


def fit_table(name: str) -> Iterator[str]:
    fit = FITS[name]
    tables, errors = {}, []
    for type, degree in fit.degrees.items():
        c = tables[type] = rounded_minimax(fit.f, fit.low, fit.high, degree, fit.weight, type)
        points = [z for z in chebyshev_extrema(fit.low, fit.high, 500) if z]
        largest = max(abs(horner(c, z) - fit.f(z)) * fit.weight(z) for z in points)
        errors.append(f"2^{mp.nstr(mp.log(largest, 2), 3)} ({type})")
    yield comment(f"{fit.formula}: within {', '.join(errors)}.")
    if len(tables) == 1:
        yield f"{name} = {coefficients(tables[type], type, 0)}"
        return
    yield f"{name} = {{"
    for type, c in tables.items():
        yield f'    "{type}": {coefficients(c, type, 4)},'
    yield "}"


TABLES = {
    **dict.fromkeys(SPLITS, split_table),
    **dict.fromkeys(FITS, fit_table),
    **dict.fromkeys(RATIOS, ratio_table),
    "TWO_OVER_PI_DIGITS": digits_table,
}
HEADER = '''"""The coefficients of the math library, in ascending order; written by `docs/design/scripts/minimax.py`."""

# fmt: off'''


def main() -> None:
    if not sys.argv[1:]:
        print(HEADER)
    for name in sys.argv[1:] or TABLES:
        print("\n".join(TABLES[name](name)))


if __name__ == "__main__":
    main()
