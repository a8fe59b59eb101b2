"""Cases of the elementary functions."""

import cmath
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np

from cases.base import COMPLEXES, FLOATS32_64, FP8, INTS, REALS, Arg, Case, arg, label, positive, values
from cases.precise import precise
from nrx.ops import elementary as ops

INF, NAN = np.inf, np.nan


def on(low: float, high: float) -> Callable[..., Arg]:
    return lambda *shape: arg(*shape, low=low, high=high)


def real(name: str, function: Callable, draw: Callable[..., Arg] = arg, **options: Any) -> list[Case]:
    ours, options = getattr(ops, name), {"ulp": 4, "jax": f"lax.{name}"} | options
    return [
        Case(f"{name}_{label(shape)}", name, ours, [draw(*shape)], precise(function), dtypes, **options)
        for shape, dtypes in (((), FLOATS32_64), ((3, 4), (*REALS, *FP8)), ((0, 2), ("float32",)))
    ]


def complex_(name: str, function: Callable, **options: Any) -> Case:
    options = {"ulp": 8, "jax": f"lax.{name}"} | options
    return Case(f"{name}_complex", name, getattr(ops, name), [arg(2, 3)], precise(function), COMPLEXES, **options)


def at(
    name: str, label: str, numbers: Sequence[Any], expected: Any, dtypes: Sequence[str] = REALS, **options: Any
) -> Case:
    """Values at special points: `expected` are they, or an oracle."""
    oracle = expected if callable(expected) or expected is None else lambda x: np.array(expected, x.dtype)
    options = {"order": 0, "ulp": 4, "jax": f"lax.{name}"} | options
    return Case(f"{name}_{label}", name, getattr(ops, name), [values(*numbers)], oracle, dtypes, **options)


def edges(name: str, *expected: float) -> Case:
    """The values at 0, -0, inf, -inf and NaN."""
    return at(name, "edges", (0.0, -0.0, INF, -INF, NAN), expected, ulp=0)


def gradient(name: str, *numbers: float) -> Case:
    """Points where the derivative is infinite, zero or not a number: it must be JAX's."""
    return at(name, "gradient", numbers, None, FLOATS32_64, smooth=False, order=1)


def small(name: str, function: Callable) -> Case:
    return at(name, "small", (1e-3, -1e-4, 1e-6, -1e-6), precise(function), order=1)


def small_complex(name: str, function: Callable, **options: Any) -> Case:
    numbers = (1e-3 + 1e-4j, 1e-7 - 1e-6j, -1e-9j, -1e-8, -5e-11 + 1e-5j)
    return at(name, "small_complex", numbers, precise(function), COMPLEXES, ulp=8, **options)


def powers(label: str, x: Arg, y: Arg, dtypes: Sequence[str] = REALS, **options: Any) -> Case:
    oracle = precise(lambda a, b: mp.mpf(1) if b == 0 else mp.power(a, b))
    options = {"oracle": oracle, "jax": "lax.pow", "ulp": 8} | options
    return Case(f"pow_{label}", "pow", ops.pow, [x, y], dtypes=dtypes, **options)


def cube_root(x: Any) -> Any:
    return mp.sign(x) * mp.cbrt(abs(x))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def angle(x: Any, y: Any) -> Any:
    return mp.atan2(x, y) if isinstance(x, mp.mpf) else -1j * mp.log((y + 1j * x) / mp.sqrt(x * x + y * y))


BASES, EXPONENTS = (0.0, 0.5, 1.0, 2.0, -2.0, -0.0), (-1.0, 0.5, 1.0, 2.0, 3.0)
PAIRS = [(x, y) for x in BASES for y in EXPONENTS]
AXES = [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0), (2.0, 2.0)]
HALF = np.pi / 2
CUT = (complex(-2, 0.0), complex(-2, -0.0), complex(2, 0.0), complex(2, -0.0), complex(0.0, 2), complex(-0.0, -2))

CASES = [
    *real("exp", mp.exp),
    complex_("exp", mp.exp),
    edges("exp", 1, 1, INF, 0, NAN),
    at("exp", "range", (88.0, 89.0, -87.0, -100.0, 709.0, 710.0, -740.0), precise(mp.exp), FLOATS32_64, jax=""),
    *real("exp2", lambda x: mp.power(2, x)),
    complex_("exp2", lambda x: mp.power(2, x)),
    edges("exp2", 1, 1, INF, 0, NAN),
    *real("log", mp.log, positive),
    complex_("log", mp.log),
    edges("log", -INF, -INF, INF, NAN, NAN),
    gradient("log", 0.0, 1e-30, INF),
    *real("expm1", mp.expm1),
    complex_("expm1", lambda x: mp.exp(x) - 1),
    edges("expm1", 0, -0.0, INF, -1, NAN),
    small("expm1", mp.expm1),
    small_complex("expm1", lambda x: mp.exp(x) - 1),
    *real("log1p", lambda x: mp.log(1 + x), on(-0.8, 3)),
    complex_("log1p", lambda x: mp.log(1 + x)),
    at("log1p", "edges", (0.0, -0.0, INF, -1.0, -2.0, NAN), (0, -0.0, INF, -INF, NAN, NAN)),
    small("log1p", lambda x: mp.log(1 + x)),
    small_complex("log1p", lambda x: mp.log(1 + x)),
    *real("sqrt", mp.sqrt, positive),
    complex_("sqrt", mp.sqrt),
    edges("sqrt", 0, -0.0, INF, NAN, NAN),
    gradient("sqrt", 0.0, 1e-30, INF),
    *real("rsqrt", lambda x: 1 / mp.sqrt(x), positive),
    complex_("rsqrt", lambda x: 1 / mp.sqrt(x)),
    edges("rsqrt", INF, -INF, 0, NAN, NAN),
    *real("cbrt", cube_root),
    edges("cbrt", 0, -0.0, INF, -INF, NAN),
    gradient("cbrt", 0.0, 1e-30, INF),
    *real("logistic", sigmoid, on(-6, 6)),
    complex_("logistic", sigmoid),
    edges("logistic", 0.5, 0.5, 1, 0, NAN),
    at("logistic", "range", (30.0, -30.0, -87.0, 100.0), precise(sigmoid), FLOATS32_64, order=1),
    at("logistic", "range_complex", (800 + 1j, -800 + 1j, -30 + 2j), precise(sigmoid), ("complex128",), jax=""),
    *real("sin", mp.sin, on(-10, 10)),
    complex_("sin", mp.sin),
    edges("sin", 0, -0.0, NAN, NAN, NAN),
    at("sin", "large", (1e4, -1e5, 1e8, 1e15, 710.0), precise(mp.sin), FLOATS32_64),
    *real("cos", mp.cos, on(-10, 10)),
    complex_("cos", mp.cos),
    edges("cos", 1, 1, NAN, NAN, NAN),
    at("cos", "large", (1e4, -1e5, 1e8, 1e15, 710.0), precise(mp.cos), FLOATS32_64),
    *real("tan", mp.tan, on(-1.4, 1.4)),
    complex_("tan", mp.tan),
    edges("tan", 0, -0.0, NAN, NAN, NAN),
    at("tan", "range_complex", (1 + 400j, 1 - 400j, 1.5), precise(mp.tan), ("complex128",)),
    *real("asin", mp.asin, on(-0.9, 0.9)),
    complex_("asin", mp.asin),
    at("asin", "edges", (0.0, 1.0, -1.0, 1.5, NAN), (0, HALF, -HALF, NAN, NAN)),
    gradient("asin", 1.0, -1.0, 0.0, 2.0),
    *real("acos", mp.acos, on(-0.9, 0.9)),
    complex_("acos", mp.acos),
    at("acos", "edges", (0.0, 1.0, -1.0, 1.5, NAN), (HALF, 0, np.pi, NAN, NAN)),
    gradient("acos", 1.0, -1.0, 0.0, 2.0),
    *real("atan", mp.atan, on(-4, 4)),
    complex_("atan", mp.atan),
    edges("atan", 0, -0.0, HALF, -HALF, NAN),
    *(Case(f"atan2_{label(s)}", "atan2", ops.atan2, [arg(*s), arg(*s)], precise(angle), d, ulp=4, jax="lax.atan2")
      for s, d in (((), FLOATS32_64), ((3, 4), REALS), ((0, 2), ("float32",)))),
    Case("atan2_complex", "atan2", ops.atan2, [arg(2, 3), arg(2, 3)], precise(angle), COMPLEXES, ulp=16),
    Case("atan2_axes", "atan2", ops.atan2, [values(*[p[i] for p in AXES]) for i in (0, 1)],
         lambda x, y: np.array([0, HALF, np.pi, -HALF, HALF / 2]), REALS, smooth=False, jax="lax.atan2"),
    Case("atan2_edges", "atan2", ops.atan2,
         [values(0.0, -0.0, -0.0, INF, NAN, 1.0), values(0.0, -0.0, 1.0, -INF, 1.0, INF)],
         lambda x, y: np.array([0, -np.pi, -0.0, 0.75 * np.pi, NAN, 0]), REALS, order=0, jax="lax.atan2"),
    *real("sinh", mp.sinh),
    complex_("sinh", mp.sinh),
    edges("sinh", 0, -0.0, INF, -INF, NAN),
    small("sinh", mp.sinh),
    *real("cosh", mp.cosh),
    complex_("cosh", mp.cosh),
    edges("cosh", 1, 1, INF, INF, NAN),
    *real("tanh", mp.tanh),
    complex_("tanh", mp.tanh),
    edges("tanh", 0, -0.0, 1, -1, NAN),
    small("tanh", mp.tanh),
    at("tanh", "range", (9.0, -15.0, 100.0, -400.0), precise(mp.tanh), FLOATS32_64, order=1, jax_gradient=False),
    at("tanh", "range_complex", (400 + 1j, -800 + 1j, 20 + 2j), precise(mp.tanh), ("complex128",)),
    *real("asinh", mp.asinh, on(-4, 4)),
    complex_("asinh", mp.asinh),
    edges("asinh", 0, -0.0, INF, -INF, NAN),
    small("asinh", mp.asinh),
    *real("acosh", mp.acosh, on(1.3, 5)),
    complex_("acosh", mp.acosh, jax_gradient=False),  # JAX's takes the wrong branch of the root on the left
    at("acosh", "edges", (1.0, 0.5, INF, -2.0, NAN), (0, NAN, INF, NAN, NAN)),
    *real("atanh", mp.atanh, on(-0.9, 0.9)),
    complex_("atanh", mp.atanh),
    at("atanh", "edges", (0.0, 1.0, -1.0, 1.5, NAN), (0, INF, -INF, NAN, NAN)),
    small("atanh", mp.atanh),
    # On the branch cuts the sign of zero decides the side. (XLA ignores it.)
    *(at(name, "cut", CUT, lambda x, name=name: np.array([getattr(cmath, name)(v) for v in x]), COMPLEXES, jax="")
      for name in ("sqrt", "log", "asin", "acos", "atan", "asinh", "acosh", "atanh")),
    powers("0d", positive(), arg(), FLOATS32_64),
    powers("2d", positive(3, 4), arg(3, 4), (*REALS, *FP8)),
    powers("empty", positive(0, 2), arg(0, 2), ("float32",)),
    powers("complex", arg(2, 3), arg(2, 3), COMPLEXES, ulp=32),
    powers("negative_base", values(-1.5, -0.5, -2.0), values(3.0, 2.0, -1.0, differentiable=False)),
    powers("of_zero", values(0.0, 0.0, 0.0), values(1.0, 2.0, 3.0, differentiable=False), tolerance=1e-5),
    powers("grid", values(*[x for x, _ in PAIRS]), values(*[y for _, y in PAIRS]), FLOATS32_64, smooth=False,
           oracle=np.power),
    powers("to_zero", values(0.5, 2.0), values(0.0, 0.0)),
    powers("zero_to_zero", values(0.0, 0.0, 2.0, INF), values(0.0, 0.0, 0.0, 0.0), order=0),
    *(powers(f"integer_{d}", positive(3, 4), arg(3, 4, low=0 if d[0] == "u" else -3, high=4, dtype=d),
             (*REALS, *COMPLEXES)) for d in INTS),
    powers("integer_of_zero", values(0.0, 0.0, 0.0, 0.0), values(0, 1, 2, 3, dtype="int32"), (*REALS, *COMPLEXES)),
    powers("integer_negative_base", values(-1.0, -1.0, -2.0), values(2**30 + 1, -(2**24) - 1, 3, dtype="int32"),
           FLOATS32_64, order=0, jax=""),
]  # fmt: skip
