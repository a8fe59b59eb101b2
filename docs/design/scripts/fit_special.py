"""Fits the coefficients in `nrx/ops/special_math.py`. Needs mpmath; takes about a second.

    python docs/design/scripts/fit_special.py

Every fit interpolates at Chebyshev nodes, which is within a small factor of the best approximation. A part that a float
holds exactly is taken off before and added last, so that what the fit rounds is smaller. The output is the tables, with
the largest error of each fit relative to the whole.
"""

import textwrap
from collections.abc import Callable, Iterable, Sequence

import mpmath as mp
from mpmath import mpf

mp.mp.dps = 80

Real = Callable[[mpf], mpf]

PSI_ROOT = mp.findroot(mp.digamma, 1.4616)


def erf_ratio(z: mpf) -> mpf:
    """erf(x)/x in z = x²."""
    return mp.erf(mp.sqrt(z)) / mp.sqrt(z)


def erfc_scaled(t: mpf) -> mpf:
    """(1 + x) exp(x²) erfc(x) in t = (x - 3)/(x + 3), after Shepherd & Laframboise (1981)."""
    x = 3 * (1 + t) / (1 - t)
    return (1 + x) * mp.exp(x * x) * mp.erfc(x)


def erfc_variable(x: mpf) -> mpf:
    return (x - 3) / (x + 3)


def erf_inv_scaled(t: mpf) -> mpf:
    """erf_inv(x) / (x sqrt(1 + w)) in t = (s - 3)/(s + 3), s = sqrt(w + 2), w = -log(1 - x²), after Giles (2012)."""
    w = (3 * (1 + t) / (1 - t)) ** 2 - 2
    x = mp.sqrt(-mp.expm1(-w))
    complement = mp.exp(-w) / (1 + x)
    y = mp.sqrt(w) * mpf("0.9")
    for _ in range(12):
        step = (mp.erfc(y) - complement) * mp.exp(y * y) * mp.sqrt(mp.pi) / 2
        y += step / (1 + y * step)
    return y / (x * mp.sqrt(1 + w))


def erf_inv_variable(w: mpf) -> mpf:
    s = mp.sqrt(w + 2)
    return (s - 3) / (s + 3)


def lgamma_ratio(x: mpf) -> mpf:
    """lgamma(x) without its zeros."""
    return mp.loggamma(x) / ((x - 1) * (x - 2))


def lgamma_tail(z: mpf) -> mpf:
    """What Stirling's formula leaves, times x, in z = 1/x²."""
    x = 1 / mp.sqrt(z)
    return x * (mp.loggamma(x) - (x - mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


def digamma_ratio(x: mpf) -> mpf:
    """digamma(x) without its positive zero."""
    return mp.digamma(x) / (x - PSI_ROOT)


def digamma_tail(z: mpf) -> mpf:
    """(log(x) - 1/(2x) - digamma(x)) x² in z = 1/x²."""
    x = 1 / mp.sqrt(z)
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) * x * x


def chebyshev_nodes(low: mpf, high: mpf, count: int) -> list[mpf]:
    return [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]


def fit(f: Real, low: mpf, high: mpf, degrees: tuple[int, int], origin: mpf) -> tuple[list[mpf], list[mpf]]:
    """P and Q, of the given degrees in x - origin and with Q(0) = 1, where f = P/Q at the nodes of [low, high]."""
    top, bottom = degrees
    nodes = chebyshev_nodes(low, high, top + bottom + 1)
    matrix = mp.matrix(len(nodes), len(nodes))
    values = mp.matrix([f(x) for x in nodes])
    for row, x in enumerate(nodes):
        powers = [(x - origin) ** k for k in range(max(degrees) + 1)]
        matrix[row, :] = mp.matrix([powers[: top + 1] + [-values[row] * p for p in powers[1 : bottom + 1]]])
    solution = list(mp.lu_solve(matrix, values))
    return solution[: top + 1], [mpf(1)] + solution[top + 1 :]


def horner(coefficients: Sequence[float | mpf], x: mpf) -> mpf:
    return mp.polyval([mpf(c) for c in reversed(coefficients)], x)


def show(name: str, coefficients: Iterable[float]) -> None:
    numbers = textwrap.fill(" ".join(f"{c!r}," for c in coefficients), 116, break_on_hyphens=False)
    print(f"_{name} = (\n{textwrap.indent(numbers, '    ')}\n)")


def report(
    name: str,
    f: Real,
    interval: tuple[str | float | mpf, str | float | mpf],
    degrees: tuple[int, int],
    origin: float | str = 0,
    offset: float = 0,
) -> None:
    """Fit f - offset on the interval, and print the fit rounded to floats."""
    low, high, origin = mpf(interval[0]), mpf(interval[1]), mpf(origin)
    top, bottom = ([float(c) for c in p] for p in fit(lambda x: f(x) - offset, low, high, degrees, origin))
    errors = [
        abs((horner(top, x - origin) / horner(bottom, x - origin) + offset) / f(x) - 1)
        for x in chebyshev_nodes(low, high, 200)
    ]
    less = f"Less {offset}. " if offset else ""
    print(f"\n# {name}: {f.__doc__} {less}Degrees {degrees}, relative error {mp.nstr(max(errors), 2)}.")
    show(name, top)
    if degrees[1]:
        show(f"{name}_DENOMINATOR", bottom)


def main() -> None:
    report("ERF", erf_ratio, (0, 1), (12, 0), offset=1)
    report("ERFC", erfc_scaled, (erfc_variable(mpf(15) / 32), erfc_variable(mpf(28))), (22, 0))
    report("ERF_INV", erf_inv_scaled, (erf_inv_variable(mpf(0)), erf_inv_variable(mpf("36.8"))), (14, 0))
    report("LGAMMA", lgamma_ratio, ("0.7", "3.5"), (10, 10), origin="0.7", offset=5 / 16)
    report("LGAMMA_TAIL", lgamma_tail, (0, 1 / mpf("3.5") ** 2), (8, 0))
    report("DIGAMMA", digamma_ratio, ("0.5", 4), (8, 8), origin="0.5", offset=7 / 16)
    report("DIGAMMA_TAIL", digamma_tail, (0, 1 / mpf(4) ** 2), (7, 0))
    root = float(PSI_ROOT)
    print(f"\n# The positive zero of digamma, as a sum of two numbers.\n({root!r}, {float(PSI_ROOT - root)!r})")


if __name__ == "__main__":
    main()
