"""Arithmetic, elementwise: + - * / and their kin, minimum and maximum, rounding, sign, powers of a fixed integer.

Integers wrap on overflow; a division by zero sets all bits (-1, if signed), a remainder by zero is the dividend, as in
XLA.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import ArgumentError, DTypeError
from nrx.core.loops import Builder, Complex, Elementwise, Expr, Pointwise
from nrx.ops.accumulation import larger, smaller
from nrx.ops.common import ANY, COMPLEX, FLOATING, NUMBERS, REAL, as_arrays
from nrx.ops.logic import eq, ordered_lower, select
from nrx.ops.rules import discrete, elementwise, elementwise_jvp, lift_same, nonlinear, through_float32
from nrx.ops.structural import full_like, instantiate, linear_jvp, zeros_like

# Public functions


def neg(x: Any) -> Array:
    """-x, elementwise.

    Of numbers, whose shape and dtype the result has; integers wrap.

    >>> import nrx
    >>> nrx.lax.neg(nrx.numpy.array([1.0, -2.0]))
    Array([-1.,  2.], dtype=float32)
    """
    return neg_p.bind(*as_arrays("neg", x))


def add(x: Any, y: Any) -> Array:
    """x + y, elementwise.

    Of numbers of one shape and dtype, which the result has; integers wrap.

    >>> import nrx
    >>> nrx.lax.add(nrx.numpy.array([1, 2]), 10)
    Array([11, 12], dtype=int32)
    """
    return add_p.bind(*lift_same("add", x, y))


def sub(x: Any, y: Any) -> Array:
    """x - y, elementwise.

    Of numbers of one shape and dtype, which the result has; integers wrap.

    >>> import nrx
    >>> nrx.lax.sub(nrx.numpy.array([1, 2]), 10)
    Array([-9, -8], dtype=int32)
    """
    return sub_p.bind(*lift_same("sub", x, y))


def mul(x: Any, y: Any) -> Array:
    """x * y, elementwise.

    Of numbers of one shape and dtype, which the result has; integers wrap.

    >>> import nrx
    >>> nrx.lax.mul(nrx.numpy.array([1, 2]), 10)
    Array([10, 20], dtype=int32)
    """
    return mul_p.bind(*lift_same("mul", x, y))


def div(x: Any, y: Any) -> Array:
    """x / y, elementwise; integers divide towards zero.

    >>> import nrx
    >>> nrx.lax.div(nrx.numpy.array([7, -7]), 2)
    Array([ 3, -3], dtype=int32)
    """
    return div_p.bind(*lift_same("div", x, y))


def rem(x: Any, y: Any) -> Array:
    """The remainder of x / y with the sign of x (C's fmod), elementwise.

    Of real numbers of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.rem(nrx.numpy.array([7, -7]), 4)
    Array([ 3, -3], dtype=int32)
    """
    return rem_p.bind(*lift_same("rem", x, y))


def max(x: Any, y: Any) -> Array:
    """The larger of x and y, elementwise; NaN if either is. Complex numbers compare lexicographically.

    Of arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.max(nrx.numpy.array([1.0, 5.0]), 3.0)
    Array([3., 5.], dtype=float32)
    """
    return max_p.bind(*lift_same("max", x, y))


def min(x: Any, y: Any) -> Array:
    """The smaller of x and y, elementwise; NaN if either is. Complex numbers compare lexicographically.

    Of arrays of one shape and dtype, which the result has.

    >>> import nrx
    >>> nrx.lax.min(nrx.numpy.array([1.0, 5.0]), 3.0)
    Array([1., 3.], dtype=float32)
    """
    return min_p.bind(*lift_same("min", x, y))


def integer_pow(x: Any, y: int) -> Array:
    """x to the power of a fixed Python integer, elementwise, by repeated multiplication.

    Raises:
        ArgumentError: y is not a Python integer.
        DTypeError: x is an integer array, and y is negative.

    >>> import nrx
    >>> nrx.lax.integer_pow(nrx.numpy.array([2.0, -3.0]), 3)
    Array([  8., -27.], dtype=float32)
    """
    if type(y) is not int:
        raise ArgumentError(f"integer_pow: the exponent must be a Python int, got {y!r}", fix="use nrx.lax.pow")
    (x,) = as_arrays("integer_pow", x)
    if y < 0 and not dtypes.is_inexact(x.dtype):
        raise DTypeError(
            f"integer_pow: {x.aval} has no power {y} among the integers", fix="convert it with x.astype(float)"
        )
    return x if y == 1 else full_like(x, 1) if y == 0 else integer_pow_p.bind(x, y=y)


def square(x: Any) -> Array:
    """x * x, elementwise.

    Of numbers, whose shape and dtype the result has; integers wrap.

    >>> import nrx
    >>> nrx.lax.square(nrx.numpy.array([3.0, -4.0]))
    Array([ 9., 16.], dtype=float32)
    """
    return integer_pow(x, 2)


def sign(x: Any) -> Array:
    """-1, 0 or 1 by the sign of x, elementwise; x / |x| of a complex number.

    >>> import nrx
    >>> nrx.lax.sign(nrx.numpy.array([-3.0, 0.0, 5.0]))
    Array([-1.,  0.,  1.], dtype=float32)
    """
    return sign_p.bind(*as_arrays("sign", x))


def floor(x: Any) -> Array:
    """The largest integer not above x, elementwise.

    >>> import nrx
    >>> nrx.lax.floor(nrx.numpy.array([1.5, -1.5]))
    Array([ 1., -2.], dtype=float32)
    """
    return floor_p.bind(*as_arrays("floor", x))


def ceil(x: Any) -> Array:
    """The smallest integer not below x, elementwise.

    >>> import nrx
    >>> nrx.lax.ceil(nrx.numpy.array([1.5, -1.5]))
    Array([ 2., -1.], dtype=float32)
    """
    return ceil_p.bind(*as_arrays("ceil", x))


def round(x: Any, rounding_method: int = 0) -> Array:
    """The nearest integer, elementwise; halves go away from zero (`rounding_method` 0) or to the even one (1).

    Raises:
        ArgumentError: there is no such method.

    >>> import nrx
    >>> nrx.lax.round(nrx.numpy.array([0.5, 1.5, 2.5])), nrx.lax.round(nrx.numpy.array([0.5, 1.5, 2.5]), 1)
    (Array([1., 2., 3.], dtype=float32), Array([0., 2., 2.], dtype=float32))
    """
    (x,) = as_arrays("round", x)
    if rounding_method not in (0, 1):
        raise ArgumentError(f"round: the method is 0 (away from zero) or 1 (to even), got {rounding_method!r}")
    return round_p.bind(x, to_even=bool(rounding_method))


def nextafter(x1: Any, x2: Any) -> Array:
    """The next float after `x1` towards `x2`, elementwise.

    >>> import nrx
    >>> nrx.lax.nextafter(nrx.numpy.float32(0.0), nrx.numpy.float32(1.0)) > 0
    Array(True, dtype=bool)
    """
    return nextafter_p.bind(*lift_same("nextafter", x1, x2))


def abs(x: Any) -> Array:
    """The absolute value, elementwise; of a complex number its real modulus.

    >>> import nrx
    >>> nrx.lax.abs(nrx.numpy.array([-2.0, 3 + 4j]))
    Array([2., 5.], dtype=float32)
    """
    return abs_p.bind(*as_arrays("abs", x))


def real(x: Any) -> Array:
    """The real part of a complex array `x`.

    The result is floating, of the same shape and precision.

    >>> import nrx
    >>> nrx.lax.real(nrx.numpy.array([1 + 2j]))
    Array([1.], dtype=float32)
    """
    return real_p.bind(*as_arrays("real", x))


def imag(x: Any) -> Array:
    """The imaginary part of a complex array `x`.

    The result is floating, of the same shape and precision.

    >>> import nrx
    >>> nrx.lax.imag(nrx.numpy.array([1 + 2j]))
    Array([2.], dtype=float32)
    """
    return imag_p.bind(*as_arrays("imag", x))


def conj(x: Any) -> Array:
    """The complex conjugate of `x`; a real array as complex.

    Of floating or complex numbers; the result is complex, of their shape and precision.

    >>> import nrx
    >>> nrx.lax.conj(nrx.numpy.array([1 + 2j]))
    Array([1.-2.j], dtype=complex64)
    """
    (x,) = as_arrays("conj", x)
    return conj_p.bind(x) if dtypes.is_complex(x.dtype) else complex(x, full_like(x, 0))


def complex(x: Any, y: Any) -> Array:
    """x + iy of float32 or float64 arrays.

    `x` and `y` have one shape and dtype.

    >>> import nrx
    >>> nrx.lax.complex(nrx.numpy.array([1.0, 2.0]), nrx.numpy.array([0.0, -1.0]))
    Array([1.+0.j, 2.-1.j], dtype=complex64)
    """
    return complex_p.bind(*lift_same("complex", x, y))


# impl


def _div_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind not in "iu":
        return xp.divide(x, y)
    divisor = xp.where(y == 0, y.dtype.type(1), y)
    quotient = x // divisor
    if x.dtype.kind == "i":  # // rounds down
        quotient = quotient + ((quotient < 0) & (quotient * divisor != x)).astype(x.dtype)
    return xp.where(y == 0, ~x.dtype.type(0), quotient)


def _rem_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind not in "iu":
        return xp.fmod(x, y)
    return xp.where(y == 0, x, xp.fmod(x, xp.where(y == 0, y.dtype.type(1), y)))


def _integer_pow_impl(xp: Any, x: Any, *, y: int) -> Any:
    power, base, result = (-y if y < 0 else y), x, None
    while power:
        if power & 1:
            result = base if result is None else result * base
        base, power = (base * base if power > 1 else base), power >> 1
    return result if y > 0 else x.dtype.type(1) / result


def _sign_impl(xp: Any, x: Any) -> Any:
    if x.dtype.kind != "c":
        return xp.sign(x) if x.dtype.kind in "iu" else xp.copysign(xp.sign(x), x)  # the sign of -0.0 is -0.0
    modulus = xp.abs(x)
    return xp.where(modulus == 0, x, x / xp.where(modulus == 0, modulus.dtype.type(1), modulus))


def _round_impl(xp: Any, x: Any, *, to_even: bool) -> Any:
    if to_even:
        return xp.rint(x)
    whole = xp.trunc(x)
    # The difference is exact; x + 0.5 would round 0.49999997 up to 1.
    return xp.where(xp.abs(x - whole) >= 0.5, whole + xp.copysign(x.dtype.type(1), x), whole)


def _complex_impl(xp: Any, x: Any, y: Any) -> Any:
    # x + 1j * y would make NaN of an infinite y.
    out = xp.empty(x.shape, dtypes.complex_dtype(x.dtype))
    out.real, out.imag = x, y
    return out


# jvp: derivative(tangent, result, *operands, **params)


def _rem_y(t: Any, out: Any, x: Any, y: Any) -> Any:
    return mul(neg(t), round(div(sub(x, out), y)))  # the quotient is an integer but for rounding


def _share(z: Any, x: Any, y: Any) -> Any:
    """1 where x is the chosen one, 1/2 where x and y tie, 0 elsewhere."""
    share = select(eq(y, z), full_like(z, 0.5), full_like(z, 1))
    return select(eq(x, z), share, zeros_like(z))


def _abs_x(t: Any, out: Any, x: Any) -> Any:
    return real(mul(t, conj(sign(x)))) if dtypes.is_complex(x.dtype) else mul(t, sign(x))


def _sign_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    out = sign(x)
    if isinstance(t, Zero) or not dtypes.is_complex(x.dtype):
        return out, Zero(out.aval.tangent)
    # Only what turns x counts: the part of t / |x| across x.
    modulus = abs(x)
    across = div(imag(mul(t, conj(out))), select(eq(modulus, 0), full_like(modulus, 1), modulus))
    return out, mul(complex(zeros_like(across), across), out)


def _complex_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    return complex_p.bind(*primals), complex_p.bind(*map(instantiate, tangents))


# transpose


def _add_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [ct if isinstance(v, Linear) else None for v in (x, y)]


def _sub_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [ct if isinstance(x, Linear) else None, neg(ct) if isinstance(y, Linear) else None]


def _mul_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [mul(ct, y), None] if isinstance(x, Linear) else [None, mul(x, ct)]


def _complex_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    # Cotangents pair without conjugation: ct * (x + iy) has the real linear parts Re(ct) and -Im(ct).
    return [real(ct) if isinstance(x, Linear) else None, neg(imag(ct)) if isinstance(y, Linear) else None]


# lower: the element of the result from those of the operands, as loop IR expressions


def _div_element(x: Any, y: Any) -> Any:
    if isinstance(x, Complex):
        return complex_quotient(x, y)
    return x / y if loops.is_float(x.type) else loops.select(loops.eq(y, 0), ~loops.const(0, x.type), x / y)


def complex_quotient(x: Complex, y: Complex) -> Complex:
    """x / y, by NumPy's operations. Source: R. Smith, "Algorithm 116: Complex division", CACM 5, 1962."""
    real_size, imag_size = loops.apply("abs", y.real), loops.apply("abs", y.imag)
    by_real = real_size >= imag_size
    long, short = loops.select(by_real, y.real, y.imag), loops.select(by_real, y.imag, y.real)
    a, b = loops.select(by_real, x.real, x.imag), loops.select(by_real, x.imag, x.real)
    ratio = short / long
    scale = 1 / (long + short * ratio)
    product = a * ratio
    value = Complex((a + b * ratio) * scale, loops.select(by_real, b - product, product - b) * scale)
    is_zero = loops.eq(real_size, 0) & loops.eq(imag_size, 0)
    return loops.select(is_zero, Complex(x.real / real_size, x.imag / real_size), value)


def _rem_element(x: Expr, y: Expr) -> Expr:
    return loops.select(loops.eq(y, 0), x, loops.apply("rem", x, y))


def float_remainder(b: Builder, x: Expr, y: Expr) -> Expr:
    """C's fmod, exactly, in float64: floats of fewer bits have their remainders among themselves.

    r = x - q * y is exact if q is x / y rounded to float64, or rounded to an integer where that is less than 2^53. It
    is smaller than x by a factor of 2^52, or than y, but may be negative.
    """
    numerator, divisor = (loops.convert(element, "f64") for element in (x, y))
    size = loops.apply("abs", divisor)

    def goes_on(rest: Expr) -> Expr:
        return loops.apply("abs", rest) >= size

    def reduced(rest: Expr) -> list[Expr]:
        multiple = size
        for _ in range(2):  # twice, so that no quotient overflows, from 2^1024 down to 2^-1074
            scaled = multiple * 2.0**900
            multiple = loops.select(loops.apply("abs", rest) >= scaled, scaled, multiple)
        quotient = loops.apply("trunc", rest / multiple)
        return [loops.apply("fma", quotient, -multiple, rest)]

    (rest,) = b.while_([loops.apply("abs", numerator)], goes_on, reduced)
    rest = loops.select(rest < 0, rest + size, rest)
    for operand in (divisor, numerator):  # of NaNs, fmod keeps the first one
        rest = loops.select(loops.ne(operand, operand), operand, rest)
    rest = loops.select(loops.eq(rest, rest), loops.apply("copysign", rest, numerator), rest)
    return loops.convert(rest, x.type)


def _float_rem_at(b: Builder, index: tuple, x: Callable, y: Callable) -> Expr:
    return float_remainder(b, *(loops.widen(operand(*index)) for operand in (x, y)))


_REMAINDERS = Elementwise(_rem_element, cost=10), Pointwise(_float_rem_at, cost=20)


def _rem_lower(x: Aval, y: Aval) -> Any:
    return _REMAINDERS[dtypes.is_floating(x.dtype)]


def _integer_pow_element(x: Any, *, y: int) -> Any:
    power, base, result = (-y if y < 0 else y), x, None
    while power:
        if power & 1:
            result = base if result is None else result * base
        base, power = (base * base if power > 1 else base), power >> 1
    if y > 0 or result is None:
        return result
    return complex_quotient(_complex_of(loops.const(1, x.real.type)), result) if isinstance(x, Complex) else 1 / result


def _complex_of(x: Expr) -> Complex:
    return Complex(x, loops.const(0, x.type))


def _sign_element(x: Any) -> Any:
    if not isinstance(x, Complex):
        positive = loops.select(x > 0, 1, x)
        return positive if x.type in loops.UNSIGNED_TYPES else loops.select(x < 0, -1, positive)
    modulus = _modulus(x)
    is_zero = loops.eq(modulus, 0)
    return loops.select(is_zero, x, complex_quotient(x, _complex_of(loops.select(is_zero, 1, modulus))))


def _round_element(x: Expr, *, to_even: bool) -> Expr:
    if to_even:
        return loops.apply("rint", x)
    whole = loops.apply("trunc", x)
    away = whole + loops.apply("copysign", loops.const(1, x.type), x)
    return loops.select(loops.apply("abs", x - whole) >= 0.5, away, whole)


def _nextafter_element(x: Expr, y: Expr) -> Expr:
    bits_type = f"i{loops.BITS[x.type]}"
    wide_x, wide_y = loops.widen(x), loops.widen(y)
    bits = loops.bitcast(x, bits_type)
    zero = loops.const(0, bits_type)
    outwards = ~((wide_y > wide_x) ^ (wide_x > 0))
    moved = loops.select(outwards, bits + 1, bits - 1)
    # From zero, the least number with the sign of y; of it there is nothing but its last bit and its sign.
    sign = loops.bitcast(y, bits_type) & ~loops.apply("lshr", ~zero, 1)
    moved = loops.select(loops.eq(wide_x, 0), sign | 1, moved)
    unmoved = bits if x.type == "f16" else loops.bitcast(y, bits_type)  # as in NumPy: they may be zeros of two signs
    moved = loops.select(loops.eq(wide_x, wide_y), unmoved, moved)
    is_number = loops.eq(wide_x, wide_x) & loops.eq(wide_y, wide_y)
    nan = loops.bitcast(loops.convert(wide_x + wide_y, x.type), bits_type)
    return loops.bitcast(loops.select(is_number, moved, nan), x.type)


_NEIGHBOURS = Elementwise(_nextafter_element, cost=5, narrow=True)


def _nextafter_lower(x: Aval, y: Aval) -> Any:
    # fp8 formats without signed zeros or infinities, each with patterns of its own, are left to the host.
    return None if x.dtype in dtypes.FP8 else _NEIGHBOURS


def _abs_element(x: Any) -> Expr:
    return _modulus(x) if isinstance(x, Complex) else loops.apply("abs", x)


def _modulus(z: Complex) -> Expr:
    """|z| without overflow or underflow of squares, by the operations of NumPy's vector code; inf if either part is."""
    x, y = loops.apply("abs", z.real), loops.apply("abs", z.imag)
    size = loops.apply("max", x, y)
    ratio = loops.apply("min", x, y) / size
    value = size * loops.apply("sqrt", loops.apply("fma", ratio, ratio, 1))
    value = loops.select(loops.eq(size, 0), size, value)
    return loops.select(loops.eq(x, np.inf) | loops.eq(y, np.inf), np.inf, value)


# Registration

neg_p = elementwise("neg", lambda xp, x: xp.negative(x), NUMBERS, lambda x: -x)
neg_p.define(jvp=linear_jvp(neg_p), transpose=lambda ct, x: [neg(ct)])
add_p = elementwise("add", lambda xp, x, y: xp.add(x, y), NUMBERS, lambda x, y: x + y)
add_p.define(jvp=elementwise_jvp(add_p, add, lambda t, out, x, y: t, lambda t, out, x, y: t), transpose=_add_transpose)
sub_p = elementwise("sub", lambda xp, x, y: xp.subtract(x, y), NUMBERS, lambda x, y: x - y)
sub_p.define(
    jvp=elementwise_jvp(sub_p, add, lambda t, out, x, y: t, lambda t, out, x, y: neg(t)), transpose=_sub_transpose
)
mul_p = elementwise("mul", lambda xp, x, y: xp.multiply(x, y), NUMBERS, lambda x, y: x * y)
mul_p.define(
    jvp=elementwise_jvp(mul_p, add, lambda t, out, x, y: mul(t, y), lambda t, out, x, y: mul(x, t)),
    transpose=_mul_transpose,
)
div_p = elementwise("div", _div_impl, NUMBERS, _div_element, cost=4)
div_p.define(
    jvp=elementwise_jvp(div_p, add, lambda t, out, x, y: div(t, y), lambda t, out, x, y: mul(neg(t), div(out, y))),
    transpose=lambda ct, x, y: [div(ct, y), None],
)
rem_p = elementwise("rem", through_float32(_rem_impl), REAL & NUMBERS).define(lower=_rem_lower)
nonlinear(rem_p, elementwise_jvp(rem_p, add, lambda t, out, x, y: t, _rem_y)).compiled_from = (0, 1 << 16)
max_p = elementwise("max", lambda xp, x, y: xp.maximum(x, y), ANY)
max_p.define(lower=ordered_lower(larger, lambda x, y: larger(y, x)))
min_p = elementwise("min", lambda xp, x, y: xp.minimum(x, y), ANY)
min_p.define(lower=ordered_lower(smaller, lambda x, y: smaller(y, x)))
for _prim in (max_p, min_p):
    nonlinear(_prim, elementwise_jvp(
        _prim, add, lambda t, z, x, y: mul(t, _share(z, x, y)), lambda t, z, x, y: mul(t, _share(z, y, x))
    ))  # fmt: skip
integer_pow_p = elementwise("integer_pow", through_float32(_integer_pow_impl), NUMBERS, _integer_pow_element, cost=3)
nonlinear(integer_pow_p, elementwise_jvp(
    integer_pow_p, add, lambda t, out, x, *, y: mul(t, mul(integer_pow(x, y - 1), y))
))  # fmt: skip
sign_p = nonlinear(elementwise("sign", through_float32(_sign_impl), NUMBERS, _sign_element, cost=2), _sign_jvp)
floor_p = discrete(elementwise("floor", lambda xp, x: xp.floor(x), FLOATING, lambda x: loops.apply("floor", x)))
ceil_p = discrete(elementwise("ceil", lambda xp, x: xp.ceil(x), FLOATING, lambda x: loops.apply("ceil", x)))
round_p = discrete(elementwise("round", through_float32(_round_impl), FLOATING, _round_element, cost=3))
nextafter_p = discrete(elementwise("nextafter", lambda xp, x, y: xp.nextafter(x, y), FLOATING))
nextafter_p.define(lower=_nextafter_lower)

_SIGNED = NUMBERS - frozenset(dtypes.UNSIGNED)
abs_p = elementwise("abs", lambda xp, x: xp.abs(x), _SIGNED, _abs_element, result=dtypes.real_part_dtype)
nonlinear(abs_p, elementwise_jvp(abs_p, add, _abs_x))
real_p = elementwise("real", lambda xp, x: x.real, COMPLEX, lambda z: z.real, cost=0, result=dtypes.real_part_dtype)
real_p.define(jvp=linear_jvp(real_p), transpose=lambda ct, x: [complex(ct, zeros_like(ct))])
imag_p = elementwise("imag", lambda xp, x: x.imag, COMPLEX, lambda z: z.imag, cost=0, result=dtypes.real_part_dtype)
imag_p.define(jvp=linear_jvp(imag_p), transpose=lambda ct, x: [complex(zeros_like(ct), neg(ct))])
conj_p = elementwise("conj", lambda xp, x: xp.conj(x), COMPLEX, lambda z: Complex(z.real, -z.imag))
conj_p.define(jvp=linear_jvp(conj_p), transpose=lambda ct, x: [conj(ct)])
complex_p = elementwise(
    "complex", _complex_impl, (dtypes.float32, dtypes.float64), Complex, cost=0, result=dtypes.complex_dtype
)
complex_p.define(jvp=_complex_jvp, transpose=_complex_transpose)
