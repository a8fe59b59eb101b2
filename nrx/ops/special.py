"""Special functions of real arrays: the error function, the logarithm of the gamma function and its derivative.

Their numerics are in `special_math`; derivatives stand beside the primitives, in the table at the end.
"""

import math
from collections.abc import Callable
from typing import Any

from nrx.core import loops
from nrx.core.array import Array
from nrx.core.primitive import Primitive
from nrx.ops import special_math
from nrx.ops.arithmetic import add, mul, neg, square
from nrx.ops.common import FLOATING, as_arrays, elementwise_lower
from nrx.ops.elementary import exp
from nrx.ops.rules import Derivative, elementwise, elementwise_jvp, nonlinear, through_float32
from nrx.ops.zeta import polygamma

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


# Registration


def _special(name: str, function: Callable, derivative: Derivative, cost: float) -> Primitive:
    """A primitive that the compiler's math library has; `derivative(tangent, result, operand)`."""
    prim = elementwise(name, through_float32(function), FLOATING)
    prim.define(lower=elementwise_lower(lambda x: loops.apply(name, x), cost))
    prim.compiled_from = (0, 1 << 16)
    return nonlinear(prim, elementwise_jvp(prim, add, derivative))


_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0

erf_p = _special("erf", special_math.erf, lambda t, out, x: mul(t, mul(exp(neg(square(x))), _SLOPE)), cost=25)
erfc_p = _special("erfc", special_math.erfc, lambda t, out, x: mul(t, mul(exp(neg(square(x))), -_SLOPE)), cost=40)
erf_inv_p = _special(
    "erf_inv", special_math.erf_inv, lambda t, out, x: mul(t, mul(exp(square(out)), 1 / _SLOPE)), cost=40
)
lgamma_p = _special("lgamma", special_math.lgamma, lambda t, out, x: mul(t, digamma(x)), cost=80)
digamma_p = _special("digamma", special_math.digamma, lambda t, out, x: mul(t, polygamma(1.0, x)), cost=80)
