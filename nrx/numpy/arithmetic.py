"""Arithmetic, elementwise: sums, products, quotients and remainders, powers, rounding, extrema, complex numbers."""

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, DTypeError
from nrx.numpy.promotion import Elementwise, as_arrays, as_inexact, broadcast, promote_dtypes
from nrx.ops.arithmetic import add_p, div_p, max_p, min_p, mul_p, nextafter_p, sub_p
from nrx.ops.elementary import pow_p
from nrx.ops.logic import and_p, or_p, select_n_p

_add, _multiply = Elementwise("add", add_p, boolean=or_p), Elementwise("multiply", mul_p, boolean=and_p)
_subtract = Elementwise("subtract", sub_p)
_divide = Elementwise("divide", div_p, inexact=True)
_inexact_power = Elementwise("float_power", pow_p, inexact=True)
_maximum, _minimum = Elementwise("maximum", max_p), Elementwise("minimum", min_p)
_nextafter = Elementwise("nextafter", nextafter_p, inexact=True)
_select = Elementwise("where", select_n_p, selectors=1)


# The four operations


def add(x: Any, y: Any, /) -> Array:
    """x + y, elementwise; of booleans `x or y`."""
    return _add(x, y)


def subtract(x: Any, y: Any, /) -> Array:
    """x - y, elementwise."""
    return _subtract(x, y)


def multiply(x: Any, y: Any, /) -> Array:
    """x * y, elementwise; of booleans `x and y`."""
    return _multiply(x, y)


def divide(x: Any, y: Any, /) -> Array:
    """x / y, elementwise; integers are converted to the default float first."""
    return _divide(x, y)


true_divide = divide


def negative(x: Any, /) -> Array:
    """-x, elementwise."""
    return lax.neg(x)


def positive(x: Any, /) -> Array:
    """+x: the array itself."""
    return as_arrays("positive", x)[0]


def floor_divide(x: Any, y: Any, /) -> Array:
    """The largest integer not above x / y, elementwise; an integer divided by 0 gives 0."""
    x, y = _numbers("floor_divide", x, y)
    if dtypes.is_complex(x.dtype):
        raise DTypeError("floor_divide does not take complex numbers", fix="use divide")
    if dtypes.is_integer(x.dtype):
        quotient = lax.div(x, y)
        zero = lax.full_like(y, 0)
        rounded_up = lax.bitwise_and(lax.ne(lax.rem(x, y), zero), lax.lt(lax.bitwise_xor(x, y), zero))
        quotient = lax.select(rounded_up, lax.sub(quotient, 1), quotient)
        return lax.select(lax.eq(y, zero), zero, quotient)
    return _float_divmod(x, y)[0]


def remainder(x: Any, y: Any, /) -> Array:
    """What floor division leaves of x, with the sign of y, elementwise; an integer modulo 0 gives 0."""
    x, y = _numbers("remainder", x, y)
    if dtypes.is_complex(x.dtype):
        raise DTypeError("remainder does not take complex numbers")
    if not dtypes.is_integer(x.dtype):
        return _floored_remainder(x, y)
    return lax.select(lax.eq(y, 0), lax.full_like(y, 0), _floored_remainder(x, y))


mod = remainder


def _floored_remainder(x: Array, y: Array) -> Array:
    left = lax.rem(x, y)
    zero = lax.full_like(left, 0)
    wrong_sign = lax.bitwise_and(lax.ne(left, zero), lax.ne(lax.lt(left, zero), lax.lt(y, zero)))
    return lax.select(wrong_sign, lax.add(left, y), left)


def _float_divmod(x: Array, y: Array) -> tuple[Array, Array]:
    left = _floored_remainder(x, y)
    quotient = lax.div(lax.sub(x, left), y)
    whole = lax.round(quotient, 1)  # the quotient is an integer but for rounding
    return lax.select(lax.is_finite(quotient), whole, lax.floor(lax.div(x, y))), left


def divmod(x: Any, y: Any, /) -> tuple[Array, Array]:
    """`(floor_divide(x, y), remainder(x, y))`."""
    x, y = _numbers("divmod", x, y)
    return (floor_divide(x, y), remainder(x, y)) if dtypes.is_integer(x.dtype) else _float_divmod(x, y)


def fmod(x: Any, y: Any, /) -> Array:
    """The remainder of x / y with the sign of x, elementwise; an integer modulo 0 gives 0."""
    x, y = _numbers("fmod", x, y)
    left = lax.rem(x, y)
    return lax.select(lax.eq(y, 0), lax.full_like(y, 0), left) if dtypes.is_integer(x.dtype) else left


def _numbers(name: str, *values: Any) -> list[Array]:
    """Operands promoted and broadcast; booleans become integers."""
    arrays = broadcast(promote_dtypes(name, *values))
    if dtypes.is_bool(arrays[0].dtype):
        return [lax.convert_element_type(x, dtypes.scalar_dtype(int)) for x in arrays]
    return arrays


# Powers


def power(x: Any, y: Any, /) -> Array:
    """x to the power of y, elementwise; a Python integer as exponent multiplies repeatedly, and is exact for integers."""
    if type(y) is int:
        (base,) = _numbers("power", x)
        return lax.integer_pow(base, y)
    base, exponent = as_arrays("power", x, y)
    if dtypes.is_inexact(base.dtype) and dtypes.is_integer(exponent.dtype):
        return lax.pow(*broadcast([base, exponent]))
    base, exponent = _numbers("power", x, y)
    if dtypes.is_inexact(base.dtype):
        return lax.pow(base, exponent)
    return _integer_power(base, exponent)


pow = power


def _integer_power(x: Array, y: Array) -> Array:
    """Integer powers by squaring, wrapping on overflow; negative exponents give 0 but for bases of 1 and -1."""
    one, zero = lax.full_like(x, 1), lax.full_like(x, 0)
    out, base, left = one, x, y
    for _ in range(x.dtype.itemsize * 8 - (not dtypes.is_unsigned(x.dtype))):
        odd = lax.eq(lax.bitwise_and(left, one), one)
        out = lax.select(odd, lax.mul(out, base), out)
        base, left = lax.mul(base, base), lax.shift_right_logical(left, one)
    if dtypes.is_unsigned(x.dtype):
        return out
    inverse = lax.select(lax.eq(x, one), one, zero)
    alternating = lax.select(lax.eq(lax.bitwise_and(y, one), one), lax.neg(one), one)
    inverse = lax.select(lax.eq(x, lax.neg(one)), alternating, inverse)
    return lax.select(lax.lt(y, zero), inverse, out)


def float_power(x: Any, y: Any, /) -> Array:
    """x to the power of y in floating point, elementwise."""
    return _inexact_power(x, y)


def square(x: Any, /) -> Array:
    """x * x, elementwise."""
    return lax.integer_pow(_numbers("square", x)[0], 2)


def reciprocal(x: Any, /) -> Array:
    """1 / x, elementwise; integers are converted to the default float first."""
    return lax.integer_pow(as_inexact("reciprocal", x), -1)


# Signs and sizes


def abs(x: Any, /) -> Array:
    """The absolute value, elementwise; of complex numbers the modulus."""
    (array,) = as_arrays("abs", x)
    return array if dtypes.is_bool(array.dtype) or dtypes.is_unsigned(array.dtype) else lax.abs(array)


absolute = abs


def fabs(x: Any, /) -> Array:
    """The absolute value as a floating-point number, elementwise."""
    array = as_inexact("fabs", x)
    if dtypes.is_complex(array.dtype):
        raise DTypeError("fabs does not take complex numbers", fix="use abs")
    return lax.abs(array)


def sign(x: Any, /) -> Array:
    """-1, 0 or 1 by the sign of x, elementwise; x / |x| of a complex number."""
    return lax.sign(x)


def signbit(x: Any, /) -> Array:
    """Whether the sign bit is set, elementwise: also of -0.0 and of negative NaNs."""
    (array,) = as_arrays("signbit", x)
    if dtypes.is_complex(array.dtype):
        raise DTypeError("signbit does not take complex numbers")
    if dtypes.is_bool(array.dtype) or dtypes.is_unsigned(array.dtype):
        return lax.full_like(array, False, bool)
    bits = array
    if dtypes.is_floating(array.dtype):
        bits = lax.bitcast_convert_type(array, f"int{array.dtype.itemsize * 8}")
    return lax.lt(bits, lax.full_like(bits, 0))


def copysign(x: Any, y: Any, /) -> Array:
    """The magnitude of x with the sign of y, elementwise."""
    x, y = broadcast(promote_dtypes("copysign", x, y, inexact=True))
    magnitude = lax.abs(x)
    return lax.select(signbit(y), lax.neg(magnitude), magnitude)


def heaviside(x1: Any, x2: Any, /) -> Array:
    """0 where x1 is negative, x2 where it is 0, 1 where it is positive; NaN where it is NaN."""
    x, middle = broadcast(promote_dtypes("heaviside", x1, x2, inexact=True))
    zero, one = lax.full_like(x, 0), lax.full_like(x, 1)
    step = lax.select(lax.lt(x, zero), zero, lax.select(lax.gt(x, zero), one, middle))
    return lax.select(lax.ne(x, x), x, step)


# Extrema


def maximum(x: Any, y: Any, /) -> Array:
    """The larger of x and y, elementwise; NaN if either is."""
    return _maximum(x, y)


def minimum(x: Any, y: Any, /) -> Array:
    """The smaller of x and y, elementwise; NaN if either is."""
    return _minimum(x, y)


def fmax(x: Any, y: Any, /) -> Array:
    """The larger of x and y, elementwise; the other one where one is NaN."""
    return _ignoring_nan("fmax", lax.max, x, y)


def fmin(x: Any, y: Any, /) -> Array:
    """The smaller of x and y, elementwise; the other one where one is NaN."""
    return _ignoring_nan("fmin", lax.min, x, y)


def _ignoring_nan(name: str, choose: Callable, x: Any, y: Any) -> Array:
    x, y = broadcast(promote_dtypes(name, x, y))
    if not dtypes.is_inexact(x.dtype):
        return choose(x, y)
    return lax.select(lax.ne(x, x), y, lax.select(lax.ne(y, y), x, choose(x, y)))


def clip(arr: Any, /, min: Any = None, max: Any = None) -> Array:
    """x limited to [min, max], elementwise; a limit that is None does not limit."""
    (x,) = as_arrays("clip", arr)
    if any(dtypes.is_complex(dtype) for dtype in (v.dtype for v in (x, min, max) if hasattr(v, "dtype"))):
        raise DTypeError("clip does not take complex numbers")
    if min is not None:
        x = maximum(min, x)
    return x if max is None else minimum(max, x)


# Rounding


def round(a: Any, decimals: int = 0) -> Array:
    """The nearest number with `decimals` decimals, elementwise; halves go to the even one."""
    (x,) = as_arrays("round", a)
    decimals = index(decimals)
    if dtypes.is_complex(x.dtype):
        return lax.complex(round(lax.real(x), decimals), round(lax.imag(x), decimals))
    if dtypes.is_bool(x.dtype) or (dtypes.is_integer(x.dtype) and decimals >= 0):
        return x
    if dtypes.is_integer(x.dtype):
        unit = 10**-decimals
        if unit > dtypes.iinfo(x.dtype).max:
            return lax.full_like(x, 0)
        whole = multiply(floor_divide(x, unit), unit)
        left = subtract(x, whole)
        odd = lax.eq(remainder(floor_divide(x, unit), 2), lax.full_like(x, 1))
        up = lax.bitwise_or(lax.gt(left, unit // 2), lax.bitwise_and(lax.eq(left, unit // 2), odd))
        return lax.select(up, add(whole, unit), whole)
    if not decimals:
        return lax.round(x, 1)
    narrow = dtypes.is_narrow(x.dtype)
    wide = lax.convert_element_type(x, dtypes.float32) if narrow else x
    factor = 10.0 ** (decimals if decimals > 0 else -decimals)
    scale, unscale = (lax.mul, lax.div) if decimals > 0 else (lax.div, lax.mul)
    rounded = unscale(lax.round(scale(wide, factor), 1), factor)
    rounded = lax.select(lax.is_finite(scale(wide, factor)), rounded, wide)
    return lax.convert_element_type(rounded, x.dtype, x.weak_type)


around = round


def rint(x: Any, /) -> Array:
    """The nearest integer, elementwise, as floating point; halves go to the even one."""
    array = as_inexact("rint", x)
    return round(array)


def _whole(name: str, function: Callable, x: Any) -> Array:
    (array,) = as_arrays(name, x)
    if dtypes.is_complex(array.dtype):
        raise DTypeError(f"{name} does not take complex numbers", fix="apply it to x.real and x.imag")
    return function(array) if dtypes.is_floating(array.dtype) else array


def floor(x: Any, /) -> Array:
    """The largest integer not above x, elementwise, in the dtype of x."""
    return _whole("floor", lax.floor, x)


def ceil(x: Any, /) -> Array:
    """The smallest integer not below x, elementwise, in the dtype of x."""
    return _whole("ceil", lax.ceil, x)


def trunc(x: Any, /) -> Array:
    """The integer part of x, elementwise, in the dtype of x."""
    return _whole("trunc", lambda v: lax.select(lax.lt(v, lax.full_like(v, 0)), lax.ceil(v), lax.floor(v)), x)


fix = trunc


def modf(x: Any, /) -> tuple[Array, Array]:
    """The fractional and the integer part of x, both with the sign of x."""
    array = as_inexact("modf", x)
    whole = trunc(array)
    infinite = lax.eq(lax.abs(array), lax.full_like(array, np.inf))
    return lax.select(infinite, copysign(lax.full_like(array, 0), array), lax.sub(array, whole)), whole


def nextafter(x: Any, y: Any, /) -> Array:
    """The next representable number after x towards y, elementwise."""
    return _nextafter(x, y)


# Complex numbers


def real(val: Any, /) -> Array:
    """The real part, elementwise."""
    (x,) = as_arrays("real", val)
    return lax.real(x) if dtypes.is_complex(x.dtype) else x


def imag(val: Any, /) -> Array:
    """The imaginary part, elementwise; 0 of a real number."""
    (x,) = as_arrays("imag", val)
    return lax.imag(x) if dtypes.is_complex(x.dtype) else lax.full_like(x, 0)


def conjugate(x: Any, /) -> Array:
    """The complex conjugate, elementwise; a real array is its own."""
    (x,) = as_arrays("conjugate", x)
    return lax.conj(x) if dtypes.is_complex(x.dtype) else x


conj = conjugate


def angle(z: Any, deg: bool = False) -> Array:
    """The argument of a complex number in radians (degrees if `deg`), elementwise."""
    x = as_inexact("angle", z)
    zero = lax.full_like(x, 0)
    parts = (lax.imag(x), lax.real(x)) if dtypes.is_complex(x.dtype) else (zero, x)
    radians = lax.atan2(*parts)
    return lax.mul(radians, 180 / np.pi) if deg else radians


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Array:
    """x with NaN, inf and -inf replaced: by 0, and by the largest and lowest numbers of the dtype unless given."""
    (array,) = as_arrays("nan_to_num", x)
    if dtypes.is_complex(array.dtype):
        return lax.complex(*(nan_to_num(p, copy, nan, posinf, neginf) for p in (lax.real(array), lax.imag(array))))
    if not dtypes.is_floating(array.dtype):
        return array
    limits = dtypes.finfo(array.dtype)
    high = lax.full_like(array, np.inf)
    array = _select(lax.ne(array, array), array, nan)
    array = _select(lax.eq(array, high), array, limits.max if posinf is None else posinf)
    return _select(lax.eq(array, lax.neg(high)), array, limits.min if neginf is None else neginf)
