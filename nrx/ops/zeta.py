"""The Hurwitz zeta function and the polygamma functions of real arrays; their numerics are in `zeta_math`."""

from typing import Any

from nrx.core.array import Array
from nrx.core.errors import DifferentiationError
from nrx.core.primitive import Primitive
from nrx.ops import zeta_math
from nrx.ops.arithmetic import add, mul, neg
from nrx.ops.common import FLOATING, elementwise_lower
from nrx.ops.element_math import array_impl, element
from nrx.ops.rules import Derivative, elementwise, elementwise_jvp, lift_same, nonlinear

# Public functions


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


def _special(name: str, *derivatives: Derivative) -> Primitive:
    function = getattr(zeta_math, name)
    prim = elementwise(name, array_impl(function), FLOATING)
    prim.define(lower=elementwise_lower(element(function), 150))
    prim.compiled_from = (0, 1 << 16)
    return nonlinear(prim, elementwise_jvp(prim, add, *derivatives))


polygamma_p = _special(
    "polygamma", _no_derivative("polygamma's order m"), lambda t, out, m, x: mul(t, polygamma(add(m, 1.0), x))
)
zeta_p = _special(
    "zeta", _no_derivative("zeta's exponent x"), lambda t, out, x, q: mul(t, mul(neg(x), zeta(add(x, 1.0), q)))
)
