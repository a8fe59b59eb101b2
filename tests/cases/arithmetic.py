"""Cases of the arithmetic primitives."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from cases.base import COMPLEXES, FLOATS32_64, FP8, INTS, REALS, Arg, Case, arg, distinct, label, separated, values
from nrx.ops import arithmetic as ops
from nrx.ops import floored

NUMBERS = (*REALS, *COMPLEXES, *INTS, *FP8)
FLOATS = (*REALS, *FP8)
SIGNED = INTS[:4]
INF, NAN = np.inf, np.nan
SPECIAL = (0.0, -0.0, 1.0, -1.0, INF, -INF, NAN)


def binary(
    name: str, oracle: Callable, dtypes: Sequence[str], draw: Callable = arg, module: Any = ops, **options: Any
) -> list[Case]:
    """Ranks 0, 1 and 3, and no elements."""
    function, options = getattr(module, name), {"ulp": 1, "jax": f"lax.{name}"} | options
    return [
        Case(f"{name}_{label(shape)}", name, function, [arg(*shape), draw(*shape)], oracle, dtypes, **options)
        for shape in ((), (5,), (2, 3, 4), (3, 0))
    ]


def unary(name: str, oracle: Callable, dtypes: Sequence[str], draw: Callable = arg, **options: Any) -> list[Case]:
    function, options = getattr(ops, name), {"ulp": 1, "jax": f"lax.{name}"} | options
    return [
        Case(f"{name}_{label(shape)}", name, function, [draw(*shape)], oracle, dtypes, **options)
        for shape in ((), (7,), (2, 3, 2), (0, 2))
    ]


def grid(
    name: str, oracle: Callable, numbers: Sequence[float], dtypes: Sequence[str], module: Any = ops, **options: Any
) -> Case:
    """Every pair of `numbers`."""
    pairs = [values(*np.repeat(numbers, len(numbers))), values(*np.tile(numbers, len(numbers)))]
    options = {"order": 0, "ulp": 1, "jax": f"lax.{name}"} | options
    return Case(f"{name}_grid_{dtypes[0]}", name, getattr(module, name), pairs, oracle, dtypes, **options)


def edges(name: str, oracle: Callable, numbers: Sequence[Any], dtypes: Sequence[str], **options: Any) -> Case:
    options = {"order": 0, "ulp": 1, "jax": f"lax.{name}"} | options
    return Case(f"{name}_edges_{dtypes[0]}", name, getattr(ops, name), [values(*numbers)], oracle, dtypes, **options)


def nonzero(*shape: int) -> Arg:
    """Numbers from -2.5 to 2.5 away from zero."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        magnitude = rng.integers(1, 20, shape) if dtype.kind in "iu" else rng.uniform(0.5, 2.5, shape)
        if dtype.kind == "c":
            return magnitude * np.exp(1j * rng.uniform(0, 6.28, shape))
        return magnitude if dtype.kind == "u" else magnitude * rng.choice([-1, 1], shape)

    return Arg(shape, draw)


def wrapped(values: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Python integers modulo 2^bits."""
    bits = 8 * dtype.itemsize
    low = -(2 ** (bits - 1)) if dtype.kind == "i" else 0
    return np.array([(v - low) % 2**bits + low for v in values], dtype)


def by_fractions(on_integers: Callable, on_floats: Callable) -> Callable:
    """An oracle that does integers one by one in Python."""

    def oracle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if x.dtype.kind not in "iu":
            return on_floats(x, y)
        pairs = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
        return wrapped([on_integers(a, b) for a, b in pairs], x.dtype).reshape(x.shape)

    return oracle


def floor_quotient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """NumPy's for integers and nonzero finite floats, else floor(x / y)."""
    if x.dtype.kind in "iu":
        return np.floor_divide(x, y)
    ordinary = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    return np.where(ordinary, np.floor_divide(x, y), np.floor(x / y))


def floored_cases(name: str, oracle: Callable) -> list[Case]:
    """floor_divide or remainder, which in JAX are no primitives."""
    options: dict[str, Any] = {"module": floored, "ulp": 0, "jax": ""}
    return [
        *binary(name, oracle, (*REALS, *INTS, *FP8), nonzero, order=1, **options),
        grid(name, oracle, (*SPECIAL, 7.5, -2.0), REALS, **options),
        grid(name, oracle, (1e300, -1e-300, 2.0**52 + 1, -3.0, 5e-324, INF), ("float64",), **options),
        grid(name, oracle, EXTREMES, SIGNED, **options),
        grid(name, oracle, (0, 1, 2, 7, 127, 128, 255), INTS[4:], **options),
        grid(name, oracle, (-(2**31), -1, 0, 2**31 - 1, 3), ("int32",), **options),
        grid(name, oracle, (-(2**63), -1, 0, 2**63 - 1, 3), ("int64",), **options),
    ]


quotient = by_fractions(lambda a, b: int(Fraction(a, b)) if b else -1, np.divide)
remainder = by_fractions(lambda a, b: a - b * int(Fraction(a, b)) if b else a, np.fmod)


def power(exponent: int, dtypes: Sequence[str] = REALS, **options: Any) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        if x.dtype.kind in "iu":
            return wrapped([v**exponent for v in x.ravel().tolist()], x.dtype).reshape(x.shape)
        return x ** float(exponent)

    options = {"ulp": 8, "tolerance": 1e-6, "jax": f"lambda x: lax.integer_pow(x, {exponent})"} | options
    name = f"integer_pow_{exponent}_{dtypes[0]}".replace("-", "minus_")
    return Case(name, "integer_pow", lambda x: ops.integer_pow(x, exponent), [nonzero(2, 3)], oracle, dtypes, **options)


def sign_of(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "c":
        return np.where(x == 0, 0, np.exp(1j * np.angle(x)))
    return np.where(x > 0, 1, np.where(x < 0, -1, x)).astype(x.dtype)


def rounded_away(x: np.ndarray) -> np.ndarray:
    """Exact for the numbers of float32 and below, in float64; of float64, for all but the ones beside the halves."""
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def rounding(name: str, method: int, oracle: Callable) -> list[Case]:
    function, jax = (lambda x: ops.round(x, method)), f"lambda x: lax.round(x, lax.RoundingMethod({method}))"
    halves = (0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, -0.3, 3.25, INF, -INF, NAN, 480.0)
    close = (0.49999997, -0.49999997, 8388609.0, 8388607.5, 16777215.0, -8388607.5)
    return [
        Case(f"round_{name}", "round", function, [arg(3, 4, low=-9, high=9)], oracle, FLOATS, ulp=0, jax=jax),
        Case(f"round_{name}_edges", "round", function, [values(*halves)], oracle, REALS, order=0, ulp=0, jax=jax),
        Case(f"round_{name}_close", "round", function, [values(*close)], oracle, ("float32",), order=0, ulp=0, jax=jax),
        Case(f"round_{name}_empty", "round", function, [arg(0, 3)], oracle, ("float32",), order=0, ulp=0, jax=jax),
    ]


def next_number(dtype: str) -> Case:
    """The neighbours of a few numbers, found by counting in the bit patterns."""
    xs, ys = (1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 1.5, INF, NAN, 0.25), (2.0, 0.0, 0.0, -2.0, 1.0, -1.0, 1.5, 0.0, 1.0, NAN)

    def oracle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = np.dtype(dtype)
        bits = x.astype(found).view(f"i{found.itemsize}").astype(np.int64)
        step = np.where((y > x) == (x > 0), 1, -1)
        result = (bits + step).astype(f"i{found.itemsize}").view(found).astype(np.float64)
        smallest = np.array(1, f"i{found.itemsize}").view(found).astype(np.float64)
        result = np.where(x == 0, np.copysign(smallest, y), result)
        return np.where(np.isnan(x) | np.isnan(y), np.nan, np.where(x == y, y, result))

    return Case(f"nextafter_{dtype}", "nextafter", ops.nextafter, [values(*xs), values(*ys)], oracle, (dtype,), ulp=0,
                order=0, jax="lax.nextafter")  # fmt: skip


def unlike(draw: Callable) -> Callable:
    """As `separated`, halfway between its values: never equal to them."""
    return lambda *shape: Arg(shape, lambda rng, s, d: distinct()(rng, s, d) + (0 if d.kind in "iub" else 0.05))


def choice(name: str, oracle: Callable) -> list[Case]:
    """max or min."""
    dtypes = (*REALS, *COMPLEXES, *INTS, "bool")
    ties = [values(0.0, 1.0, 2.0, -1.0), values(0.0, 2.0, 2.0, -1.5)]
    complex_ties = [values(1 + 1j, 1 + 2j, 2 + 0j, 1 - 1j), values(1 + 1j, 1 + 1j, 1 + 5j, 1 + 1j)]
    function, jax = getattr(ops, name), f"lax.{name}"
    return [
        Case(f"{name}_{label(s)}", name, function, [separated(*s), unlike(separated)(*s)], oracle, dtypes,
             ulp=0, jax=jax)
        for s in ((), (5,), (2, 3, 4), (3, 0))
    ] + [
        grid(name, oracle, (1.0, -1.0, INF, -INF, NAN), REALS, ulp=0),
        Case(f"{name}_fp8", name, function, [arg(5), arg(5)], oracle, FP8, order=0, ulp=0, jax=jax),
        Case(f"{name}_ties", name, function, ties, oracle, REALS, smooth=False, ulp=0, jax=jax),
        Case(f"{name}_complex_ties", name, function, complex_ties, oracle, COMPLEXES, order=0, ulp=0, jax=jax),
    ]  # fmt: skip


EXTREMES = (0, 1, -1, 7, -7, 127, -127, -128)
CASES = [
    *unary("neg", lambda x: wrapped([-v for v in x.ravel().tolist()], x.dtype).reshape(x.shape)
           if x.dtype.kind in "iu" else -x, NUMBERS, ulp=0),
    edges("neg", np.negative, SPECIAL, REALS, ulp=0),
    *binary("add", np.add, NUMBERS),
    grid("add", np.add, SPECIAL, REALS),
    grid("add", np.add, (127, -128, 1, -1), ("int8",)),
    *binary("sub", np.subtract, NUMBERS),
    grid("sub", np.subtract, SPECIAL, REALS),
    grid("sub", np.subtract, (0, 1, 255), ("uint8",)),
    *binary("mul", np.multiply, NUMBERS, ulp=2),
    grid("mul", np.multiply, SPECIAL, REALS),
    grid("mul", np.multiply, (127, -128, 2, -1), ("int8",)),
    *binary("div", quotient, NUMBERS, nonzero, ulp=4),
    grid("div", quotient, SPECIAL, REALS),
    grid("div", quotient, EXTREMES, SIGNED, ulp=0),
    grid("div", quotient, (0, 1, 2, 7, 127, 128, 255), INTS[4:], ulp=0),
    grid("div", quotient, (-(2**31), -1, 0, 2**31 - 1, 3), ("int32",), ulp=0),
    grid("div", quotient, (-(2**63), -1, 0, 2**63 - 1, 3), ("int64",), ulp=0),
    *binary("rem", remainder, (*REALS, *INTS, *FP8), nonzero, order=1),
    grid("rem", remainder, (*SPECIAL, 7.5, -2.0), REALS, ulp=0),
    grid("rem", remainder, EXTREMES, SIGNED, ulp=0),
    grid("rem", remainder, (0, 1, 2, 7, 127, 128, 255), INTS[4:], ulp=0),
    grid("rem", remainder, (-(2**31), -1, 0, 2**31 - 1, 3), ("int32",), ulp=0),
    grid("rem", remainder, (-(2**63), -1, 0, 2**63 - 1, 3), ("int64",), ulp=0),
    Case("rem_exact_quotients", "rem", ops.rem, [values(0.7, 5.3, -5.3, 12.1), values(0.1, 0.5, 0.5, -0.3)], np.fmod,
         FLOATS32_64, ulp=0, order=0, jax="lax.rem"),
    *floored_cases("floor_divide", floor_quotient),
    *floored_cases("remainder", np.remainder),
    *choice("max", np.maximum),
    *choice("min", np.minimum),
    *(power(n) for n in (-3, -2, -1, 0, 1, 2, 3, 5, 8)),
    power(3, COMPLEXES),
    power(-2, COMPLEXES),
    *(power(n, INTS, ulp=0, order=0) for n in (0, 1, 2, 3, 9)),
    Case("integer_pow_at_zero", "integer_pow", lambda x: ops.integer_pow(x, 2), [values(0.0, -0.0, INF, -INF, NAN)],
         np.square, REALS, order=0, jax="lambda x: lax.integer_pow(x, 2)"),
    Case("integer_pow_pole", "integer_pow", lambda x: ops.integer_pow(x, -3), [values(0.0, -0.0, INF, -INF, NAN)],
         lambda x: 1 / x**3, REALS, order=0, jax="lambda x: lax.integer_pow(x, -3)"),
    Case("square", "integer_pow", ops.square, [arg(2, 3)], np.square, (*REALS, *COMPLEXES, *INTS), jax="lax.square"),
    *unary("sign", sign_of, (*REALS, *INTS, *FP8), nonzero, ulp=0),
    Case("sign_complex", "sign", ops.sign, [nonzero(2, 3)], sign_of, COMPLEXES, ulp=4, jax="lax.sign",
         jax_gradient=False),  # it is zero in JAX
    edges("sign", sign_of, SPECIAL, REALS, ulp=0),
    edges("sign", sign_of, (0, 3 + 4j, -2, 1e-30 + 1e-30j, 1e30j), COMPLEXES, ulp=4),
    edges("sign", sign_of, (0, 1, 200, 255), ("uint8",), ulp=0),
    *unary("floor", np.floor, FLOATS, ulp=0),
    edges("floor", np.floor, (*SPECIAL, 0.5, -0.5, 1e10), REALS, ulp=0),
    *unary("ceil", np.ceil, FLOATS, ulp=0),
    edges("ceil", np.ceil, (*SPECIAL, 0.5, -0.5, 1e10), REALS, ulp=0),
    *rounding("away", 0, rounded_away),
    *rounding("even", 1, np.rint),
    *map(next_number, ("float16", "bfloat16", "float32", "float64")),
    *unary("abs", np.abs, (*REALS, *SIGNED, *FP8), nonzero, ulp=0),
    Case("abs_complex", "abs", ops.abs, [nonzero(2, 3)], np.abs, COMPLEXES, ulp=4, jax="lax.abs"),
    Case("abs_gradient_at_zero", "abs", ops.abs, [values(0j, 3 + 4j, -2)], np.abs, COMPLEXES, smooth=False,
         jax="lax.abs"),
    edges("abs", np.abs, SPECIAL, REALS, ulp=0),
    edges("abs", np.abs, (-128, 127, -127), ("int8",), ulp=0),
    edges("abs", np.abs, (0, 3 + 4j, complex(INF, NAN), 1e30 + 1e30j, 1e-30j), COMPLEXES, ulp=4, jax=""),
    *unary("real", np.real, COMPLEXES, ulp=0),
    *unary("imag", np.imag, COMPLEXES, ulp=0),
    *unary("conj", np.conj, COMPLEXES, ulp=0),
    Case("conj_of_real", "complex", ops.conj, [arg(2, 3)], lambda x: x + 0j, FLOATS32_64, ulp=0, jax="lax.conj"),
    *binary("complex", lambda x, y: x + 1j * y, FLOATS32_64, ulp=0),
    Case("complex_edges", "complex", ops.complex, [values(1.0, INF, NAN, -0.0), values(INF, 1.0, 2.0, -INF)],
         lambda x, y: np.array([complex(1, INF), complex(INF, 1), complex(NAN, 2), complex(-0.0, -INF)]), FLOATS32_64,
         order=0, ulp=0, jax="lax.complex"),
]  # fmt: skip
