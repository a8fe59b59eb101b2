"""Elementary functions: exponentials, logarithms, powers, circular and hyperbolic functions and their inverses.

They take floating and complex arrays. Derivatives stand beside the primitives, in the table at the end.
"""

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.loops import Elementwise, Expr
from nrx.core.primitive import Primitive
from nrx.ops import complex_math
from nrx.ops.arithmetic import add, div, mul, neg, square, sub
from nrx.ops.common import FLOATING, INEXACT, INTEGERS, as_arrays, check_dtype, check_same_dtype, check_same_shape
from nrx.ops.logic import bitwise_and, eq, select
from nrx.ops.rules import Derivative, elementwise, elementwise_jvp, lift_same, nonlinear, through_float32
from nrx.ops.structural import broadcast_in_dim, convert_element_type, full_like

# Public functions


def exp(x: Any, *, accuracy: Any = None) -> Array:
    """e to the power of x, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.exp(nrx.numpy.array([0.0, -nrx.numpy.inf]))
    Array([1., 0.], dtype=float32)
    """
    return exp_p.bind(*as_arrays("exp", x))


def exp2(x: Any, *, accuracy: Any = None) -> Array:
    """2 to the power of x, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.exp2(nrx.numpy.array([0.0, 3.0, -1.0]))
    Array([1. , 8. , 0.5], dtype=float32)
    """
    return exp2_p.bind(*as_arrays("exp2", x))


def log(x: Any, *, accuracy: Any = None) -> Array:
    """The natural logarithm, elementwise: -inf at 0, NaN at negative real numbers.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.log(nrx.numpy.array([1.0, 0.0, -1.0]))
    Array([  0., -inf,  nan], dtype=float32)
    """
    return log_p.bind(*as_arrays("log", x))


def expm1(x: Any, *, accuracy: Any = None) -> Array:
    """exp(x) - 1, elementwise, exact for small x.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.expm1(1e-10)
    Array(1.e-10, dtype=float32, weak_type=True)
    """
    return expm1_p.bind(*as_arrays("expm1", x))


def log1p(x: Any, *, accuracy: Any = None) -> Array:
    """log(1 + x), elementwise, exact for small x.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.log1p(1e-10)
    Array(1.e-10, dtype=float32, weak_type=True)
    """
    return log1p_p.bind(*as_arrays("log1p", x))


def sqrt(x: Any, *, accuracy: Any = None) -> Array:
    """The square root, elementwise: NaN at negative real numbers.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.sqrt(nrx.numpy.array([4.0, 0.25, -1.0]))
    Array([2. , 0.5, nan], dtype=float32)
    """
    return sqrt_p.bind(*as_arrays("sqrt", x))


def rsqrt(x: Any, *, accuracy: Any = None) -> Array:
    """1 / sqrt(x), elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.rsqrt(nrx.numpy.array([4.0, 0.25]))
    Array([0.5, 2. ], dtype=float32)
    """
    return rsqrt_p.bind(*as_arrays("rsqrt", x))


def cbrt(x: Any, *, accuracy: Any = None) -> Array:
    """The real cube root of real numbers, elementwise.

    Of floating numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.cbrt(nrx.numpy.array([8.0, -8.0])).round(5)
    Array([ 2., -2.], dtype=float32)
    """
    return cbrt_p.bind(*as_arrays("cbrt", x))


def pow(x: Any, y: Any) -> Array:
    """x to the power of y, elementwise; y has the dtype of x or is an integer. 0 to the power of 0 is 1.

    >>> import nrx
    >>> nrx.lax.pow(nrx.numpy.array([2.0, 3.0]), 2)
    Array([4., 9.], dtype=float32)
    """
    exponent = as_arrays("pow", x, y)[1]
    if not dtypes.is_integer(exponent.dtype):
        return pow_p.bind(*lift_same("pow", x, y))
    (base,) = as_arrays("pow", x)
    if not exponent.ndim:
        exponent = broadcast_in_dim(exponent, base.shape, ())
    elif not base.ndim:
        base = broadcast_in_dim(base, exponent.shape, ())
    return pow_p.bind(base, exponent)


def logistic(x: Any, *, accuracy: Any = None) -> Array:
    """1 / (1 + exp(-x)), elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.logistic(nrx.numpy.array([-nrx.numpy.inf, 0.0, nrx.numpy.inf]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return logistic_p.bind(*as_arrays("logistic", x))


def sin(x: Any, *, accuracy: Any = None) -> Array:
    """The sine, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.sin(nrx.numpy.array([0.0, 0.5])).round(3)
    Array([0.   , 0.479], dtype=float32)
    """
    return sin_p.bind(*as_arrays("sin", x))


def cos(x: Any, *, accuracy: Any = None) -> Array:
    """The cosine, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.cos(nrx.numpy.array([0.0, 0.5])).round(3)
    Array([1.   , 0.878], dtype=float32)
    """
    return cos_p.bind(*as_arrays("cos", x))


def tan(x: Any, *, accuracy: Any = None) -> Array:
    """The tangent, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.tan(nrx.numpy.array([0.0, 0.5])).round(3)
    Array([0.   , 0.546], dtype=float32)
    """
    return tan_p.bind(*as_arrays("tan", x))


def asin(x: Any) -> Array:
    """The inverse sine, elementwise: NaN at real numbers outside [-1, 1].

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.asin(nrx.numpy.array([0.0, 1.0, 2.0])).round(3)
    Array([0.   , 1.571,   nan], dtype=float32)
    """
    return asin_p.bind(*as_arrays("asin", x))


def acos(x: Any) -> Array:
    """The inverse cosine, elementwise: NaN at real numbers outside [-1, 1].

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.acos(nrx.numpy.array([1.0, 0.0, 2.0])).round(3)
    Array([0.   , 1.571,   nan], dtype=float32)
    """
    return acos_p.bind(*as_arrays("acos", x))


def atan(x: Any) -> Array:
    """The inverse tangent, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.atan(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([0.   , 0.785], dtype=float32)
    """
    return atan_p.bind(*as_arrays("atan", x))


def atan2(x: Any, y: Any) -> Array:
    """The angle, in [-pi, pi], of the point with ordinate x and abscissa y, elementwise.

    Of floating or complex arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.atan2(nrx.numpy.array([0.0, 1.0]), nrx.numpy.array([1.0, 0.0])).round(3)
    Array([0.   , 1.571], dtype=float32)
    """
    return atan2_p.bind(*lift_same("atan2", x, y))


def sinh(x: Any) -> Array:
    """The hyperbolic sine, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.sinh(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([0.   , 1.175], dtype=float32)
    """
    return sinh_p.bind(*as_arrays("sinh", x))


def cosh(x: Any) -> Array:
    """The hyperbolic cosine, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.cosh(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([1.   , 1.543], dtype=float32)
    """
    return cosh_p.bind(*as_arrays("cosh", x))


def tanh(x: Any, *, accuracy: Any = None) -> Array:
    """The hyperbolic tangent, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.tanh(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([0.   , 0.762], dtype=float32)
    """
    return tanh_p.bind(*as_arrays("tanh", x))


def asinh(x: Any) -> Array:
    """The inverse hyperbolic sine, elementwise.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.asinh(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([0.   , 0.881], dtype=float32)
    """
    return asinh_p.bind(*as_arrays("asinh", x))


def acosh(x: Any) -> Array:
    """The inverse hyperbolic cosine, elementwise: NaN at real numbers below 1.

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.acosh(nrx.numpy.array([1.0, 2.0, 0.0])).round(3)
    Array([0.   , 1.317,   nan], dtype=float32)
    """
    return acosh_p.bind(*as_arrays("acosh", x))


def atanh(x: Any) -> Array:
    """The inverse hyperbolic tangent, elementwise: NaN at real numbers outside [-1, 1].

    Of floating or complex numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.atanh(nrx.numpy.array([0.0, 0.5, 2.0])).round(3)
    Array([0.   , 0.549,   nan], dtype=float32)
    """
    return atanh_p.bind(*as_arrays("atanh", x))


# impl


def _of_parts(xp: Any, real: Any, imag: Any, dtype: Any) -> Any:
    """A complex array of its parts. (Products with 1j or with real numbers are NaN where a part is infinite.)"""
    out = xp.empty(xp.shape(real), dtype)
    out.real, out.imag = real, imag
    return out


def _is_infinite(xp: Any, z: Any) -> Any:
    return xp.isinf(z.real) | xp.isinf(z.imag)


def _exp2_impl(xp: Any, x: Any) -> Any:
    if x.dtype.kind != "c":
        return xp.exp2(x)
    return xp.exp(_of_parts(xp, x.real * math.log(2), x.imag * math.log(2), x.dtype))


def _expm1_impl(xp: Any, x: Any) -> Any:
    if x.dtype.kind != "c":
        return xp.expm1(x)
    power = xp.exp(x)
    real = xp.where(_is_infinite(xp, x), power.real - 1, xp.expm1(x).real)
    return _of_parts(xp, real, power.imag, x.dtype)


def _log1p_impl(xp: Any, x: Any) -> Any:
    if x.dtype.kind != "c":
        return xp.log1p(x)
    out = xp.log(1 + x)
    # |1 + x|² = 1 + small, without the rounding of 1 + x
    small = x.real * (2 + x.real) + x.imag * x.imag
    real = xp.where(xp.abs(small) < 0.5, 0.5 * xp.log1p(small), out.real)
    return _of_parts(xp, real, xp.arctan2(x.imag, 1 + x.real), x.dtype)


def _rsqrt_impl(xp: Any, x: Any) -> Any:
    out = 1 / xp.sqrt(x)
    if x.dtype.kind != "c":
        return out
    real, imag = (xp.where(_is_infinite(xp, x), 0.0, part) for part in (out.real, out.imag))
    return _of_parts(xp, xp.abs(real), xp.copysign(imag, -x.imag), x.dtype)


def _logistic_impl(xp: Any, x: Any) -> Any:
    negative = x.real < 0
    power = xp.exp(xp.where(negative, x, -x))  # never overflows
    out = xp.where(negative, power, x.dtype.type(1)) / (1 + power)
    if x.dtype.kind != "c":
        return out
    sine = xp.sin(xp.where(xp.isfinite(x.imag), x.imag, 0.0))
    return _of_parts(xp, out.real, xp.copysign(out.imag, sine), x.dtype)


def _pow_impl(xp: Any, x: Any, y: Any) -> Any:
    if y.dtype.kind in "iu":
        wide = np.complex128 if x.dtype.kind == "c" else np.float64  # holds the integers that float32 rounds
        return _pow_impl(xp, x.astype(wide), y.astype(wide)).astype(x.dtype)
    out = xp.power(x, y)
    if x.dtype.kind != "c":
        return out
    vanishes = _is_infinite(xp, x) & (y.real < 0) & (y.imag == 0)
    return xp.where(vanishes, x.dtype.type(0), out)


def _atan2_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind != "c":
        return xp.arctan2(x, y)
    log = xp.log((y + _of_parts(xp, -x.imag, x.real, x.dtype)) / xp.sqrt(x * x + y * y))
    return _of_parts(xp, log.imag, -log.real, x.dtype)


# abstract


def _pow_abstract(x: Aval, y: Aval) -> Aval:
    check_dtype("pow", x, INEXACT, fix="convert it with x.astype(float), or use integer_pow")
    if y.dtype not in INTEGERS:
        check_same_dtype("pow", x, y)
    check_same_shape("pow", x, y)
    return x.update(weak_type=x.weak_type and y.weak_type)


# jvp: derivative(tangent, result, *operands)


def _pow_x(t: Any, out: Any, x: Any, y: Any) -> Any:
    # y x^(y-1) without 0 * inf where y = 0; for real y only at x = 0, since elsewhere it varies with y.
    is_integer = dtypes.is_integer(y.dtype)
    void = eq(y, 0) if is_integer else bitwise_and(eq(y, 0), eq(x, 0))
    power = pow(select(void, full_like(x, 1), x), sub(y, 1))
    return mul(t, mul(convert_element_type(y, x.dtype) if is_integer else y, power))


def _pow_y(t: Any, out: Any, x: Any, y: Any) -> Any:
    return mul(t, mul(log(select(eq(x, 0), full_like(x, 1), x)), out))


def _one_minus_square(x: Any) -> Any:
    """1 - x², without cancellation near ±1."""
    return mul(add(x, 1.0), sub(1.0, x))


def _norm_square(x: Any, y: Any) -> Any:
    return add(square(x), square(y))


# lower


def _lower(name: str, element: Callable, cost: float) -> Callable:
    """The lower rule of real elements by `element`, and of complex ones by `complex_math`."""
    rule = Elementwise(element, cost)
    function = complex_math.FUNCTIONS.get(name)
    complex_rule = Elementwise(function, 5 * cost) if function else None
    return lambda *avals: complex_rule if dtypes.is_complex(avals[0].dtype) else rule


def _pow_element(x: Expr, y: Expr) -> Expr:
    if loops.is_float(y.type):
        return loops.apply("pow", x, y)
    return loops.convert(loops.apply("pow", loops.convert(x, "f64"), loops.convert(y, "f64")), x.type)


# Registration


def _analytic(
    name: str,
    function: str | Callable,
    *derivatives: Derivative,
    accepts: Collection[np.dtype] = INEXACT,
    element: Callable | None = None,
    cost: float = 20,
) -> Primitive:
    """A primitive from a function of the array module (or its name) and its derivatives.

    `element` and `cost` are as for `loops.Elementwise`; the compiler's math library has most of the elements.
    """
    impl = function if callable(function) else lambda xp, *xs: getattr(xp, function)(*xs)
    prim = elementwise(name, through_float32(impl), accepts)
    prim.define(lower=_lower(name, element or (lambda *xs: loops.apply(name, *xs)), cost))
    return nonlinear(prim, elementwise_jvp(prim, add, *derivatives))


exp_p = _analytic("exp", "exp", lambda t, out, x: mul(t, out), cost=12)
exp2_p = _analytic("exp2", _exp2_impl, lambda t, out, x: mul(t, mul(out, math.log(2))), cost=12)
log_p = _analytic("log", "log", lambda t, out, x: div(t, x), cost=15)
expm1_p = _analytic("expm1", _expm1_impl, lambda t, out, x: mul(t, add(out, 1.0)))
log1p_p = _analytic("log1p", _log1p_impl, lambda t, out, x: div(t, add(x, 1.0)))
sqrt_p = _analytic("sqrt", "sqrt", lambda t, out, x: div(t, mul(out, 2.0)), cost=4)
rsqrt_p = _analytic(
    "rsqrt",
    _rsqrt_impl,
    lambda t, out, x: mul(t, mul(div(out, x), -0.5)),
    element=lambda x: 1 / loops.apply("sqrt", x),
    cost=8,
)
cbrt_p = _analytic("cbrt", "cbrt", lambda t, out, x: div(t, mul(square(out), 3.0)), accepts=FLOATING)
pow_p = _analytic("pow", _pow_impl, _pow_x, _pow_y, element=_pow_element, cost=40).define(abstract=_pow_abstract)
logistic_p = _analytic("logistic", _logistic_impl, lambda t, out, x: mul(t, mul(out, sub(1.0, out))))

sin_p = _analytic("sin", "sin", lambda t, out, x: mul(t, cos(x)))
cos_p = _analytic("cos", "cos", lambda t, out, x: mul(t, neg(sin(x))))
tan_p = _analytic("tan", "tan", lambda t, out, x: mul(t, add(square(out), 1.0)))
asin_p = _analytic("asin", "arcsin", lambda t, out, x: mul(t, rsqrt(_one_minus_square(x))))
acos_p = _analytic("acos", "arccos", lambda t, out, x: mul(t, neg(rsqrt(_one_minus_square(x)))))
atan_p = _analytic("atan", "arctan", lambda t, out, x: div(t, add(square(x), 1.0)))
atan2_p = _analytic(
    "atan2",
    _atan2_impl,
    lambda t, out, x, y: mul(t, div(y, _norm_square(x, y))),
    lambda t, out, x, y: mul(t, div(neg(x), _norm_square(x, y))),
)

sinh_p = _analytic("sinh", "sinh", lambda t, out, x: mul(t, cosh(x)))
cosh_p = _analytic("cosh", "cosh", lambda t, out, x: mul(t, sinh(x)))
tanh_p = _analytic("tanh", "tanh", lambda t, out, x: mul(t, _one_minus_square(out)))
asinh_p = _analytic("asinh", "arcsinh", lambda t, out, x: mul(t, rsqrt(add(square(x), 1.0))))
acosh_p = _analytic("acosh", "arccosh", lambda t, out, x: mul(t, mul(rsqrt(sub(x, 1.0)), rsqrt(add(x, 1.0)))))
atanh_p = _analytic("atanh", "arctanh", lambda t, out, x: div(t, _one_minus_square(x)))
