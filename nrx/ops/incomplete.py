"""Incomplete gamma and beta functions of real arrays, and the Bessel functions i0 and i1, scaled.

Their numerics are in `incomplete_math`, computed in float64 whatever the dtype.
"""

from collections.abc import Callable
from typing import Any

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.errors import DifferentiationError
from nrx.core.loops import Builder, Expr, Native, Operand
from nrx.core.primitive import Primitive
from nrx.core.shapes import size
from nrx.ops import accumulation, incomplete_math
from nrx.ops.arithmetic import add, div, mul, neg, sign, sub
from nrx.ops.common import FLOATING, as_arrays, elementwise_lower
from nrx.ops.element_math import LoopMath, array_impl, element
from nrx.ops.elementary import exp, log, log1p
from nrx.ops.logic import eq, select
from nrx.ops.rules import Derivative, elementwise, elementwise_jvp, lift_same, nonlinear
from nrx.ops.special import digamma, lgamma
from nrx.ops.structural import convert_element_type, full_like

# Public functions


def igamma(a: Any, x: Any) -> Array:
    """The regularised lower incomplete gamma function, elementwise: from 0 at x = 0 to 1 at inf; NaN below 0.

    Of floating arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.igamma(2.0, 3.0).round(4)
    Array(0.8009, dtype=float32, weak_type=True)
    """
    return igamma_p.bind(*lift_same("igamma", a, x))


def igammac(a: Any, x: Any) -> Array:
    """1 - igamma(a, x), elementwise, without cancellation.

    Of floating arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.igammac(2.0, 3.0).round(4)
    Array(0.1991, dtype=float32, weak_type=True)
    """
    return igammac_p.bind(*lift_same("igammac", a, x))


def igamma_grad_a(a: Any, x: Any) -> Array:
    """The derivative of igamma(a, x) in a, elementwise.

    Of floating arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.igamma_grad_a(2.0, 3.0).round(4)
    Array(-0.1974, dtype=float32, weak_type=True)
    """
    return igamma_grad_a_p.bind(*lift_same("igamma_grad_a", a, x))


def random_gamma_grad(a: Any, x: Any) -> Array:
    """The derivative of gamma distributed numbers x in their parameter a, elementwise.

    Of floating arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.random_gamma_grad(2.0, 3.0).round(4)
    Array(1.3218, dtype=float32, weak_type=True)
    """
    return random_gamma_grad_p.bind(*lift_same("random_gamma_grad", a, x))


def betainc(a: Any, b: Any, x: Any) -> Array:
    """The regularised incomplete beta function, elementwise: from 0 at x = 0 to 1 at x = 1; NaN elsewhere.

    Of floating arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.betainc(2.0, 3.0, 0.5)
    Array(0.6875, dtype=float32, weak_type=True)
    """
    return betainc_p.bind(*lift_same("betainc", a, b, x))


def bessel_i0e(x: Any) -> Array:
    """exp(-|x|) times the modified Bessel function of order 0, elementwise.

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.bessel_i0e(nrx.numpy.array([0.0, 1.0])).round(4)
    Array([1.    , 0.4658], dtype=float32)
    """
    return bessel_i0e_p.bind(*as_arrays("bessel_i0e", x))


def bessel_i1e(x: Any) -> Array:
    """exp(-|x|) times the modified Bessel function of order 1, elementwise.

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.bessel_i1e(nrx.numpy.array([0.0, 1.0])).round(4)
    Array([0.    , 0.2079], dtype=float32)
    """
    return bessel_i1e_p.bind(*as_arrays("bessel_i1e", x))


# jvp: derivative(tangent, result, *operands)


def _through_float64(function: Callable) -> Callable:
    """Compute in float64 what multiplies the tangent: differences of logarithms."""

    def derivative(tangent: Array, out: Array, *xs: Array) -> Array:
        wide = (convert_element_type(x, dtypes.float64) for x in xs)
        return mul(tangent, convert_element_type(function(*wide), out.dtype))

    return derivative


def _gamma_density(a: Array, x: Array) -> Array:
    return exp(sub(sub(mul(sub(a, 1.0), log(x)), x), lgamma(a)))


def _log_slope(a: Array, x: Array) -> Array:
    """The derivative of the logarithm of `_gamma_density` in a."""
    return sub(log(x), digamma(a))


def _draw_slope(a: Array, x: Array) -> Array:
    """The derivative of random_gamma_grad in x."""
    return sub(mul(random_gamma_grad(a, x), sub(1.0, div(sub(a, 1.0), x))), _log_slope(a, x))


def _igamma_curve(a: Array, x: Array) -> Array:
    """The second derivative of igamma in a."""
    moved = add(random_gamma_grad_a_p.bind(a, x), mul(random_gamma_grad(a, x), _log_slope(a, x)))
    return neg(mul(_gamma_density(a, x), moved))


def _beta_density(a: Array, b: Array, x: Array) -> Array:
    powers = add(mul(sub(a, 1.0), log(x)), mul(sub(b, 1.0), log1p(neg(x))))
    return exp(add(powers, sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))))


def _i1e_slope(tangent: Array, out: Array, x: Array) -> Array:
    at_zero = eq(x, 0.0)
    slope = sub(bessel_i0e(x), mul(out, add(sign(x), div(1.0, select(at_zero, full_like(x, 1), x)))))
    return mul(tangent, select(at_zero, full_like(x, 0.5), slope))


def _no_derivative(name: str, operand: str, fix: str) -> Derivative:
    def derivative(*args: Any) -> Any:
        raise DifferentiationError(f"the derivative of {name} with respect to {operand} is not implemented", fix=fix)

    return derivative


# lower

_BLOCK = 64


def _looping(function: Callable) -> Callable:
    """The lower rule of a function whose elements are computed in loops of their own."""

    def build(b: Builder, operands: list[Operand], results: list[Operand]) -> None:
        (out,), count = results, size(results[0].aval.shape)
        if not out.aval.size:
            return
        first = b.parallel(-(-count // _BLOCK)) * _BLOCK

        def body(i: Expr) -> None:
            wide = [loops.convert(accumulation.parts_of(x.at(first + i))[0], "f64") for x in operands]
            accumulation.store(out, first + i, function(LoopMath(b), *wide))

        b.loop(loops.clamp(count - first, _BLOCK), [], body)
        b.kernel.cost = 500 * _BLOCK

    rule = Native(build)
    return lambda *avals: rule


# Registration


def _incomplete(name: str, *derivatives: Derivative | None) -> Primitive:
    function = getattr(incomplete_math, name)
    prim = elementwise(name, array_impl(function), FLOATING).define(lower=_looping(function))
    prim.compiled_from = (0, 1 << 16)
    return nonlinear(prim, elementwise_jvp(prim, add, *derivatives))


def _bessel(name: str, derivative: Derivative) -> Primitive:
    function = getattr(incomplete_math, name)
    prim = elementwise(name, array_impl(function), FLOATING)
    prim.define(lower=elementwise_lower(element(function), 80))
    prim.compiled_from = (0, 1 << 16)
    return nonlinear(prim, elementwise_jvp(prim, add, derivative))


_IN_X = "hold that argument: only the derivative in x is known"
_TWICE = "differentiate at most twice in a"

igamma_p = _incomplete("igamma", lambda t, out, a, x: mul(t, igamma_grad_a(a, x)), _through_float64(_gamma_density))
igammac_p = _incomplete(
    "igammac",
    lambda t, out, a, x: neg(mul(t, igamma_grad_a(a, x))),
    _through_float64(lambda a, x: neg(_gamma_density(a, x))),
)
random_gamma_grad_a_p = _incomplete(
    "random_gamma_grad_a", *(_no_derivative("gamma's second derivative", operand, _TWICE) for operand in ("a", "x"))
)
random_gamma_grad_p = _incomplete(
    "random_gamma_grad", lambda t, out, a, x: mul(t, random_gamma_grad_a_p.bind(a, x)), _through_float64(_draw_slope)
)
igamma_grad_a_p = _incomplete(
    "igamma_grad_a",
    _through_float64(_igamma_curve),
    _through_float64(lambda a, x: mul(_gamma_density(a, x), _log_slope(a, x))),
)
betainc_p = _incomplete(
    "betainc", *(_no_derivative("betainc", operand, _IN_X) for operand in ("a", "b")), _through_float64(_beta_density)
)
bessel_i0e_p = _bessel("bessel_i0e", lambda t, out, x: mul(t, sub(bessel_i1e(x), mul(sign(x), out))))
bessel_i1e_p = _bessel("bessel_i1e", _i1e_slope)
