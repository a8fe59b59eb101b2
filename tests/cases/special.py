"""Cases of the special functions. Their accuracy near zeros and poles is for tests/test_special_math.py to check."""

from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np

from cases.base import FLOATS32_64, FP8, REALS, Arg, Case, arg, label, values
from cases.precise import precise
from nrx.ops import incomplete, zeta
from nrx.ops import special as ops

INF, NAN = np.inf, np.nan


def unary(name: str, function: Callable, low: float, high: float, fp8: tuple = FP8, **options: Any) -> list[Case]:
    ours, options = getattr(ops, name), {"ulp": 8, "jax": f"lax.{name}"} | options
    return [
        Case(f"{name}_{label(shape)}", name, ours, [arg(*shape, low=low, high=high)], precise(function),
             dtypes, **options)
        for shape, dtypes in (((), FLOATS32_64), ((3, 4), (*REALS, *fp8)), ((0, 2), ("float32",)))
    ]  # fmt: skip


def at(name: str, numbers: Sequence[float], expected: Sequence[float], **options: Any) -> Case:
    return Case(f"{name}_edges", name, getattr(ops, name), [values(*numbers)], lambda x: np.array(expected), REALS,
                **{"order": 0, "ulp": 1, "jax": f"lax.{name}"} | options)  # fmt: skip


def whole(*shape: int, low: int, high: int) -> Arg:
    """Integers as floats, with respect to which nothing is differentiated."""
    return Arg(shape, lambda rng, s, d: rng.integers(low, high, s), differentiable=False)


def _gamma_slope(a: Any, x: Any) -> Any:
    """The derivative of the regularised incomplete gamma function in a."""
    h = a * mp.mpf(10) ** -15
    lower, upper = (mp.gammainc(a + step, 0, x, regularized=True) for step in (-h, h))
    return (upper - lower) / (2 * h)


def _incomplete(name: str, function: Callable, *ranges: tuple, **options: Any) -> list[Case]:
    """Differentiated in the last argument only."""
    last = len(ranges) - 1
    return [
        Case(f"{name}_{label(shape)}", name, getattr(incomplete, name),
             [arg(*shape, low=low, high=high, differentiable=i == last) for i, (low, high) in enumerate(ranges)],
             precise(function), dtypes, **{"ulp": 16, "jax": f"lax.{name}", "jax_gradient": False} | options)
        for shape, dtypes in (((), FLOATS32_64), ((3, 4), REALS), ((0, 2), ("float32",)))
    ]  # fmt: skip


CASES = [
    *unary("erf", mp.erf, -3, 3),
    at("erf", (0.0, INF, -INF, NAN, 9.0), (0, 1, -1, NAN, 1)),
    *unary("erfc", mp.erfc, -3, 3, fp8=()),  # JAX has none for fp8
    at("erfc", (0.0, INF, -INF, NAN, -9.0), (1, 0, 2, NAN, 2)),
    *unary("erf_inv", mp.erfinv, -0.9, 0.9),
    at("erf_inv", (0.0, 1.0, -1.0, 1.5, NAN), (0, INF, -INF, NAN, NAN)),
    *unary("lgamma", mp.loggamma, 2.3, 9, jax=""),
    at("lgamma", (0.0, -1.0, -2.0, INF, -INF, NAN, 1.0, 2.0), (INF, INF, INF, INF, INF, NAN, 0, 0), jax=""),
    Case("lgamma_negative", "lgamma", ops.lgamma, [values(-0.5, -1.3, -2.6, 0.25)],
         precise(lambda x: mp.log(abs(mp.gamma(x)))), REALS, ulp=16),
    *unary("digamma", mp.digamma, 2, 9),
    at("digamma", (0.0, -0.0, -1.0, INF, NAN), (-INF, INF, NAN, INF, NAN), jax=""),
    Case("digamma_negative", "digamma", ops.digamma, [values(-0.25, -1.75, -2.25, 0.25)], precise(mp.digamma), REALS,
         ulp=16, tolerance=1e-5, jax="lax.digamma"),
    *(Case(f"polygamma_{label(s)}", "polygamma", zeta.polygamma,
           [whole(*s, low=0, high=4), arg(*s, low=2, high=6)], precise(lambda m, x: mp.polygamma(int(m), x)), d, ulp=16,
           jax="lax.polygamma")
      for s, d in (((), FLOATS32_64), ((3, 4), REALS), ((0, 2), ("float32",)))),
    Case("polygamma_edges", "polygamma", zeta.polygamma,
         [values(1, 1, 2, 1.5, -1, 1, 0), values(0.0, INF, -1.0, 2.0, 2.0, NAN, 1.0)],
         lambda m, x: np.array([INF, 0, -INF, NAN, NAN, NAN, float(mp.digamma(1))]), FLOATS32_64, order=0),
    *(Case(f"zeta_{label(s)}", "zeta", zeta.zeta,
           [arg(*s, low=1.5, high=6, differentiable=False), arg(*s, low=0.3, high=4)], precise(mp.zeta), d, ulp=16,
           jax="lax.zeta", jax_gradient=False)
      for s, d in (((), FLOATS32_64), ((3, 4), REALS), ((0, 2), ("float32",)))),
    Case("zeta_edges", "zeta", zeta.zeta, [values(1.0, 0.5, 2.0, 2.0, NAN), values(2.0, 2.0, 0.0, INF, 1.0)],
         lambda x, q: np.array([INF, NAN, INF, 0, NAN]), FLOATS32_64, order=0),
    *_incomplete("igamma", lambda a, x: mp.gammainc(a, 0, x, regularized=True), (1, 4), (0.5, 5)),
    *_incomplete("igammac", lambda a, x: mp.gammainc(a, x, regularized=True), (1, 4), (0.5, 5)),
    *_incomplete("igamma_grad_a", _gamma_slope, (1, 4), (0.5, 5), order=1, jax=""),
    *_incomplete("random_gamma_grad", lambda a, x: -_gamma_slope(a, x) / (x ** (a - 1) * mp.exp(-x) / mp.gamma(a)),
                 (1, 4), (0.5, 5), order=1, jax=""),
    *_incomplete("betainc", lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), (1, 4), (1, 4), (0.2, 0.8)),
    *_incomplete("bessel_i0e", lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), (-12, 12)),
    *_incomplete("bessel_i1e", lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), (0.5, 12)),
]  # fmt: skip
