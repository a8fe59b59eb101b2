"""Special functions of real arrays: the error function, the gamma function's logarithm and its derivatives, zeta.

Their numerics are in `special_math`; derivatives stand beside the primitives, in the table at the end.
"""

import math
from collections.abc import Callable
from typing import Any

from nrx.core import loops
from nrx.core.array import Array
from nrx.core.errors import DifferentiationError
from nrx.core.primitive import Primitive
from nrx.ops import special_math
from nrx.ops.arithmetic import add, mul, neg, square
from nrx.ops.common import FLOATING, as_arrays, elementwise_lower
from nrx.ops.elementary import exp
from nrx.ops.rules import Derivative, elementwise, elementwise_jvp, lift_same, nonlinear, through_float32

# Public functions


def erf(x: Any) -> Array:
    """The error function, elementwise.

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.erf(nrx.numpy.array([0.0, 1.0])).round(4)
    Array([0.    , 0.8427], dtype=float32)
    """
    return erf_p.bind(*as_arrays("erf", x))


def erfc(x: Any) -> Array:
    """1 - erf(x), elementwise, without cancellation for large x.

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.erfc(nrx.numpy.array([0.0, 1.0])).round(4)
    Array([1.    , 0.1573], dtype=float32)
    """
    return erfc_p.bind(*as_arrays("erfc", x))


def erf_inv(x: Any) -> Array:
    """The inverse of erf, elementwise: ±inf at ±1, NaN outside.

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.erf_inv(nrx.numpy.array([0.0, 0.5, 1.0])).round(4)
    Array([0.    , 0.4769,    inf], dtype=float32)
    """
    return erf_inv_p.bind(*as_arrays("erf_inv", x))


def lgamma(x: Any) -> Array:
    """The logarithm of |gamma(x)|, elementwise: inf at 0, -1, -2, …

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.numpy.exp(nrx.lax.lgamma(nrx.numpy.array([1.0, 5.0]))).round(3)
    Array([ 1., 24.], dtype=float32)
    """
    return lgamma_p.bind(*as_arrays("lgamma", x))


def digamma(x: Any) -> Array:
    """The derivative of lgamma, elementwise: NaN at -1, -2, …, ∓inf at ±0.

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.digamma(nrx.numpy.array([1.0, 2.0])).round(4)
    Array([-0.5772,  0.4228], dtype=float32)
    """
    return digamma_p.bind(*as_arrays("digamma", x))


def polygamma(m: Any, x: Any) -> Array:
    """The derivative of order m of digamma, elementwise; m holds non-negative integers in x's dtype (else NaN).

    >>> import nrx
    >>> nrx.lax.polygamma(1.0, nrx.numpy.array([1.0, 2.0])).round(4)
    Array([1.6449, 0.6449], dtype=float32)
    """
    return polygamma_p.bind(*lift_same("polygamma", m, x))


def zeta(x: Any, q: Any) -> Array:
    """The Hurwitz zeta function, the sum of (q + k)^-x over k = 0, 1, 2, …, elementwise: inf at x = 1, NaN below.

    Of floating arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.zeta(2.0, nrx.numpy.array([1.0, 2.0])).round(4)
    Array([1.6449, 0.6449], dtype=float32)
    """
    return zeta_p.bind(*lift_same("zeta", x, q))


# jvp: derivative(tangent, result, *operands)


def _no_derivative(operand: str) -> Derivative:
    def derivative(*args: Any) -> Any:
        raise DifferentiationError(
            f"the derivative with respect to {operand} is not known in closed form",
            fix="hold that argument: differentiate with respect to the other one only (argnums=1)",
        )

    return derivative


# Registration


def _special(name: str, function: Callable, *derivatives: Derivative, cost: float = 0) -> Primitive:
    """A primitive; with a cost, the compiler's math library has it."""
    prim = elementwise(name, through_float32(function), FLOATING)
    if cost:
        prim.define(lower=elementwise_lower(lambda *xs: loops.apply(name, *xs), cost))
        prim.compiled_from = (0, 1 << 16)
    else:
        prim.refuse(lower="it is rare, and a long sum of powers: the host computes it")
    return nonlinear(prim, elementwise_jvp(prim, add, *derivatives))


_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0

erf_p = _special("erf", special_math.erf, lambda t, out, x: mul(t, mul(exp(neg(square(x))), _SLOPE)), cost=25)
erfc_p = _special("erfc", special_math.erfc, lambda t, out, x: mul(t, mul(exp(neg(square(x))), -_SLOPE)), cost=40)
erf_inv_p = _special(
    "erf_inv", special_math.erf_inv, lambda t, out, x: mul(t, mul(exp(square(out)), 1 / _SLOPE)), cost=40
)
lgamma_p = _special("lgamma", special_math.lgamma, lambda t, out, x: mul(t, digamma(x)), cost=80)
digamma_p = _special("digamma", special_math.digamma, lambda t, out, x: mul(t, polygamma(1.0, x)), cost=80)
polygamma_p = _special(
    "polygamma",
    special_math.polygamma,
    _no_derivative("polygamma's order m"),
    lambda t, out, m, x: mul(t, polygamma(add(m, 1.0), x)),
)
zeta_p = _special(
    "zeta",
    special_math.zeta,
    _no_derivative("zeta's exponent x"),
    lambda t, out, x, q: mul(t, mul(neg(x), zeta(add(x, 1.0), q))),
)
