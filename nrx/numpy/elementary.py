"""Exponentials, logarithms, roots, trigonometric and hyperbolic functions, elementwise."""

import math
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import DTypeError
from nrx.numpy.promotion import Elementwise, as_inexact, broadcast, promote_dtypes
from nrx.numpy.universal import universal
from nrx.ops import elementary as ops

_exp = Elementwise("exp", ops.exp_p, inexact=True)
_exp2 = Elementwise("exp2", ops.exp2_p, inexact=True)
_expm1 = Elementwise("expm1", ops.expm1_p, inexact=True, complex=lambda z: _complex_expm1(z))
_log = Elementwise("log", ops.log_p, inexact=True)
_log1p = Elementwise("log1p", ops.log1p_p, inexact=True)
_sqrt = Elementwise("sqrt", ops.sqrt_p, inexact=True)
_cbrt = Elementwise("cbrt", ops.cbrt_p, inexact=True)
_sin = Elementwise("sin", ops.sin_p, inexact=True)
_cos = Elementwise("cos", ops.cos_p, inexact=True)
_tan = Elementwise("tan", ops.tan_p, inexact=True)
_arcsin = Elementwise("arcsin", ops.asin_p, inexact=True)
_arccos = Elementwise("arccos", ops.acos_p, inexact=True)
_arctan = Elementwise("arctan", ops.atan_p, inexact=True)
_sinh = Elementwise("sinh", ops.sinh_p, inexact=True)
_cosh = Elementwise("cosh", ops.cosh_p, inexact=True)
_tanh = Elementwise("tanh", ops.tanh_p, inexact=True, complex=lambda z: _complex_tanh(z))
_arcsinh = Elementwise("arcsinh", ops.asinh_p, inexact=True)
_arccosh = Elementwise("arccosh", ops.acosh_p, inexact=True)
_arctanh = Elementwise("arctanh", ops.atanh_p, inexact=True)
_arctan2 = Elementwise("arctan2", ops.atan2_p, inexact=True)


# Exponentials and logarithms


@universal
def exp(x: Any, /) -> Array:
    """e to the power of x, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.exp(jnp.array([0.0, 1.0, -jnp.inf])).round(3)
    Array([1.   , 2.718, 0.   ], dtype=float32)
    """
    return _exp(x)


@universal
def exp2(x: Any, /) -> Array:
    """2 to the power of x, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x. Complex powers at infinities are limits, where NumPy's may be NaN.

    >>> jnp.exp2(jnp.array([0, 3]))
    Array([1., 8.], dtype=float32)
    """
    return _exp2(x)


@universal
def expm1(x: Any, /) -> Array:
    """exp(x) - 1, elementwise, exact also near 0.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x. Complex numbers at infinities give limits, where NumPy's may be NaN; of -0.0 + 0j
        it is 0j, as the array API has it.

    >>> jnp.expm1(1e-10), jnp.exp(1e-10) - 1
    (Array(1.e-10, dtype=float32, weak_type=True), Array(0., dtype=float32, weak_type=True))
    """
    return _expm1(x)


def _complex_expm1(z: Array) -> Array:
    """With 0.0 for a real part of -0.0, as the array API standard has it."""
    out = ops.expm1(z)
    return lax.complex(lax.add(lax.real(out), 0), lax.imag(out))


@universal
def log(x: Any, /) -> Array:
    """The natural logarithm, elementwise; -inf of 0, NaN of negative numbers.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.log(jnp.array([1.0, 0.0, -1.0]))
    Array([  0., -inf,  nan], dtype=float32)
    """
    return _log(x)


@universal
def log1p(x: Any, /) -> Array:
    """log(1 + x), elementwise, exact also near 0.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.log1p(1e-10), jnp.log(1 + 1e-10)
    (Array(1.e-10, dtype=float32, weak_type=True), Array(0., dtype=float32, weak_type=True))
    """
    return _log1p(x)


@universal
def log2(x: Any, /) -> Array:
    """The logarithm to base 2, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.log2(jnp.array([1.0, 2.0, 1024.0]))
    Array([ 0.,  1., 10.], dtype=float32)
    """
    return _divided(log(x), math.log(2))


@universal
def log10(x: Any, /) -> Array:
    """The logarithm to base 10, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.log10(jnp.array([1.0, 10.0, 1000.0])).round(3)
    Array([0., 1., 3.], dtype=float32)
    """
    return _divided(log(x), math.log(10))


def _divided(x: Array, by: float) -> Array:
    """`x / by`; of complex numbers part by part, as a complex divisor makes NaN of infinities."""
    if not dtypes.is_complex(x.dtype):
        return lax.div(x, by)
    return lax.complex(lax.div(lax.real(x), by), lax.div(lax.imag(x), by))


@universal
def logaddexp(x1: Any, x2: Any, /) -> Array:
    """log(exp(x1) + exp(x2)), elementwise, without overflow.

    Args:
        x1: an array; integers are converted to the default float.
        x2: an array that broadcasts with x1.

    Returns:
        An array of the shape they have together.

    >>> jnp.logaddexp(jnp.array([0.0, 1000.0]), 0.0).round(3)
    Array([6.93e-01, 1.00e+03], dtype=float32)
    """
    x, y = broadcast(promote_dtypes("logaddexp", x1, x2, inexact=True))
    return _logaddexp(x, y, 1.0)


@universal
def logaddexp2(x1: Any, x2: Any, /) -> Array:
    """log2(2**x1 + 2**x2), elementwise, without overflow.

    Args:
        x1: an array; integers are converted to the default float.
        x2: an array that broadcasts with x1.

    Returns:
        An array of the shape they have together.

    >>> jnp.logaddexp2(3.0, jnp.array([3.0, 2000.0]))
    Array([   4., 2000.], dtype=float32)
    """
    x, y = broadcast(promote_dtypes("logaddexp2", x1, x2, inexact=True))
    return _logaddexp(x, y, math.log(2))


def _logaddexp(x: Array, y: Array, log_base: float) -> Array:
    """log(b**x + b**y) to base b."""
    if dtypes.is_complex(x.dtype):
        ahead = lax.gt(lax.real(x), lax.real(y))
        high, low = lax.select(ahead, x, y), lax.select(ahead, y, x)
        return lax.add(high, lax.log1p(lax.exp(lax.sub(low, high))))
    # Equal infinities have no difference; NaN passes through the sum.
    same = lax.bitwise_and(lax.eq(x, y), lax.bitwise_not(lax.is_finite(x)))
    gap = lax.select(same, lax.full_like(x, 0), lax.sub(x, y))
    tail = lax.div(lax.log1p(lax.exp(lax.mul(lax.neg(lax.abs(gap)), log_base))), log_base)
    return lax.select(same, x, lax.add(lax.max(x, y), tail))


# Roots


@universal
def sqrt(x: Any, /) -> Array:
    """The square root, elementwise; NaN of negative numbers.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.sqrt(jnp.array([4, 9]))
    Array([2., 3.], dtype=float32)
    """
    return _sqrt(x)


@universal
def cbrt(x: Any, /) -> Array:
    """The real cube root, elementwise.

    Args:
        x: a real array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.cbrt(jnp.array([-8.0, 27.0])).round(3)
    Array([-2.,  3.], dtype=float32)
    """
    return _cbrt(x)


@universal
def hypot(x1: Any, x2: Any, /) -> Array:
    """sqrt(x1**2 + x2**2), elementwise, without overflow.

    Args:
        x1: a real array; integers are converted to the default float.
        x2: a real array that broadcasts with x1.

    Returns:
        An array of the shape they have together.

    Raises:
        DTypeError: complex numbers.

    >>> jnp.hypot(jnp.array([3.0, 3e30]), jnp.array([4.0, 4e30])) / 5
    Array([1.e+00, 1.e+30], dtype=float32)
    """
    x, y = broadcast(promote_dtypes("hypot", x1, x2, inexact=True))
    if dtypes.is_complex(x.dtype):
        raise DTypeError(f"hypot does not take complex numbers, got {x.dtype}", fix="use abs for the modulus")
    zero, infinite = lax.full_like(x, 0), lax.full_like(x, math.inf)
    is_first = lax.bitwise_or(lax.ge(lax.abs(x), lax.abs(y)), lax.ne(x, x))
    # The lesser keeps its sign: second derivatives need it where it is 0.
    high, low = lax.abs(lax.select(is_first, x, y)), lax.select(is_first, y, x)
    either = lax.bitwise_or(lax.eq(high, infinite), lax.eq(lax.abs(low), infinite))
    plain = lax.bitwise_or(lax.eq(high, zero), either)
    ratio = lax.select(plain, zero, lax.div(low, lax.select(plain, lax.full_like(high, 1), high)))
    length = lax.mul(high, lax.sqrt(lax.add(lax.mul(ratio, ratio), 1)))
    return lax.select(either, infinite, length)


# Trigonometry


@universal
def sin(x: Any, /) -> Array:
    """The sine of angles in radians, elementwise.

    Args:
        x: an array of angles in radians; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.sin(jnp.array([0.0, jnp.pi / 2])).round(3)
    Array([0., 1.], dtype=float32)
    """
    return _sin(x)


@universal
def cos(x: Any, /) -> Array:
    """The cosine of angles in radians, elementwise.

    Args:
        x: an array of angles in radians; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.cos(jnp.array([0.0, jnp.pi])).round(3)
    Array([ 1., -1.], dtype=float32)
    """
    return _cos(x)


@universal
def tan(x: Any, /) -> Array:
    """The tangent of angles in radians, elementwise.

    Args:
        x: an array of angles in radians; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.tan(jnp.array([0.0, 0.5])).round(3)
    Array([0.   , 0.546], dtype=float32)
    """
    return _tan(x)


@universal
def arcsin(x: Any, /) -> Array:
    """The angle in [-π/2, π/2] whose sine is x, elementwise; NaN outside [-1, 1].

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.arcsin(jnp.array([0.0, 1.0, 2.0])).round(3)
    Array([0.   , 1.571,   nan], dtype=float32)
    """
    return _arcsin(x)


@universal
def arccos(x: Any, /) -> Array:
    """The angle in [0, π] whose cosine is x, elementwise; NaN outside [-1, 1].

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.arccos(jnp.array([1.0, 0.0])).round(3)
    Array([0.   , 1.571], dtype=float32)
    """
    return _arccos(x)


@universal
def arctan(x: Any, /) -> Array:
    """The angle in [-π/2, π/2] whose tangent is x, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.arctan(jnp.array([0.0, jnp.inf])).round(3)
    Array([0.   , 1.571], dtype=float32)
    """
    return _arctan(x)


@universal
def arctan2(x1: Any, x2: Any, /) -> Array:
    """The angle in [-π, π] of the point with ordinate x1 and abscissa x2, elementwise.

    Args:
        x1: an array; integers are converted to the default float.
        x2: an array that broadcasts with x1.

    Returns:
        An array of the shape they have together.

    >>> jnp.arctan2(1.0, jnp.array([1.0, 0.0, -1.0])).round(3)
    Array([0.785, 1.571, 2.356], dtype=float32)
    """
    return _arctan2(x1, x2)


def sinc(x: Any, /) -> Array:
    """sin(πx) / (πx), elementwise; 1 at 0.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.sinc(jnp.array([0.0, 0.5])).round(3)
    Array([1.   , 0.637], dtype=float32)
    """
    x = as_inexact("sinc", x)
    at_zero = lax.eq(x, lax.full_like(x, 0))
    scaled = lax.mul(x, math.pi)
    divisor = lax.select(at_zero, lax.full_like(x, 1), scaled)
    # Near 0 the series; its derivatives are right at 0, where those of the quotient are not.
    square = lax.mul(scaled, scaled)
    series = lax.add(lax.mul(square, lax.add(lax.mul(square, 1 / 120), -1 / 6)), 1)
    return lax.select(at_zero, series, lax.div(lax.sin(divisor), divisor))


@universal
def deg2rad(x: Any, /) -> Array:
    """Degrees as radians, elementwise.

    Args:
        x: a real array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.deg2rad(jnp.array([180, 90])).round(3)
    Array([3.142, 1.571], dtype=float32)
    """
    return lax.mul(as_inexact("deg2rad", x), math.pi / 180)


@universal
def rad2deg(x: Any, /) -> Array:
    """Radians as degrees, elementwise.

    Args:
        x: a real array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.rad2deg(jnp.array([jnp.pi, 0.0])).round(3)
    Array([180.,   0.], dtype=float32)
    """
    return lax.mul(as_inexact("rad2deg", x), 180 / math.pi)


radians, degrees = deg2rad, rad2deg


# Hyperbolic functions


@universal
def sinh(x: Any, /) -> Array:
    """The hyperbolic sine, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.sinh(jnp.array([0.0, 1.0])).round(3)
    Array([0.   , 1.175], dtype=float32)
    """
    return _sinh(x)


@universal
def cosh(x: Any, /) -> Array:
    """The hyperbolic cosine, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.cosh(jnp.array([0.0, 1.0])).round(3)
    Array([1.   , 1.543], dtype=float32)
    """
    return _cosh(x)


@universal
def tanh(x: Any, /) -> Array:
    """The hyperbolic tangent, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x. Of inf + iy it is 1 + 0j for all y > 0, as the array API has it (NumPy: signs that
        vary with y).

    >>> jnp.tanh(jnp.array([0.0, 1.0, 20.0])).round(3)
    Array([0.   , 0.762, 1.   ], dtype=float32)
    """
    return _tanh(x)


def _complex_tanh(z: Array) -> Array:
    """C's, but at an infinite real part the imaginary one is a zero with the sign of that of z (C: of its sine)."""
    out = ops.tanh(z)
    real, imag = lax.real(z), lax.imag(z)
    zero = lax.select(lax.lt(imag, 0), lax.full_like(imag, -0.0), lax.full_like(imag, 0.0))
    far = lax.eq(lax.abs(real), math.inf)
    return lax.select(far, lax.complex(lax.real(out), zero), out)


@universal
def arcsinh(x: Any, /) -> Array:
    """The inverse of sinh, elementwise.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.arcsinh(jnp.array([0.0, 1.0])).round(3)
    Array([0.   , 0.881], dtype=float32)
    """
    return _arcsinh(x)


@universal
def arccosh(x: Any, /) -> Array:
    """The inverse of cosh, elementwise; NaN below 1.

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.arccosh(jnp.array([1.0, 2.0])).round(3)
    Array([0.   , 1.317], dtype=float32)
    """
    return _arccosh(x)


@universal
def arctanh(x: Any, /) -> Array:
    """The inverse of tanh, elementwise; NaN outside [-1, 1].

    Args:
        x: an array; integers are converted to the default float.

    Returns:
        An array of the shape of x.

    >>> jnp.arctanh(jnp.array([0.0, 0.5, 1.0])).round(3)
    Array([0.   , 0.549,   inf], dtype=float32)
    """
    return _arctanh(x)


asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh
