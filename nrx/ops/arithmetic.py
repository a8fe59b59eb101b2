"""Arithmetic, elementwise: + - * / and their kin, minimum and maximum, rounding, sign, powers of a fixed integer.

Integers wrap on overflow; division by zero gives -1 (all bits set) and a remainder by zero the dividend, as in XLA.
"""

from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Linear, Zero
from nrx.core.errors import ArgumentError
from nrx.core.primitive import Primitive
from nrx.ops.common import FLOATING, NUMBERS, REAL, as_arrays
from nrx.ops.logic import eq, select
from nrx.ops.rules import (
    discrete,
    elementwise,
    elementwise_jvp,
    lift_same,
    nonlinear,
    sum_tangents,
)
from nrx.ops.structural import full_like, linear_jvp


# Public functions


def neg(x: Any) -> Array:
    """-x, elementwise."""
    return neg_p.bind(*as_arrays("neg", x))


def add(x: Any, y: Any) -> Array:
    """x + y, elementwise."""
    return add_p.bind(*lift_same("add", x, y))


def sub(x: Any, y: Any) -> Array:
    """x - y, elementwise."""
    return sub_p.bind(*lift_same("sub", x, y))


def mul(x: Any, y: Any) -> Array:
    """x * y, elementwise."""
    return mul_p.bind(*lift_same("mul", x, y))


def div(x: Any, y: Any) -> Array:
    """x / y, elementwise; integers divide towards zero."""
    return div_p.bind(*lift_same("div", x, y))


def rem(x: Any, y: Any) -> Array:
    """The remainder of x / y with the sign of x (C's fmod), elementwise."""
    return rem_p.bind(*lift_same("rem", x, y))


def max(x: Any, y: Any) -> Array:
    """The larger of x and y, elementwise; NaN if either is. Complex numbers compare lexicographically."""
    return max_p.bind(*lift_same("max", x, y))


def min(x: Any, y: Any) -> Array:
    """The smaller of x and y, elementwise; NaN if either is. Complex numbers compare lexicographically."""
    return min_p.bind(*lift_same("min", x, y))


def integer_pow(x: Any, y: int) -> Array:
    """x to the power of a fixed Python integer, elementwise, by repeated multiplication."""
    if type(y) is not int:
        raise ArgumentError(f"integer_pow: the exponent must be a Python int, got {y!r}", fix="use nrx.lax.pow")
    (x,) = as_arrays("integer_pow", x)
    return x if y == 1 else integer_pow_p.bind(x, y=y)


def square(x: Any) -> Array:
    """x * x, elementwise."""
    return integer_pow(x, 2)


def sign(x: Any) -> Array:
    """-1, 0 or 1 by the sign of x, elementwise; x / |x| of a complex number."""
    return sign_p.bind(*as_arrays("sign", x))


def floor(x: Any) -> Array:
    """The largest integer not above x, elementwise."""
    return floor_p.bind(*as_arrays("floor", x))


def ceil(x: Any) -> Array:
    """The smallest integer not below x, elementwise."""
    return ceil_p.bind(*as_arrays("ceil", x))


def round(x: Any, rounding_method: int = 0) -> Array:
    """The nearest integer, elementwise; halves go away from zero (method 0) or to the even one (method 1)."""
    (x,) = as_arrays("round", x)
    if rounding_method not in (0, 1):
        raise ArgumentError(f"round: the method is 0 (away from zero) or 1 (to even), got {rounding_method!r}")
    return round_p.bind(x, to_even=bool(rounding_method))


def nextafter(x: Any, y: Any) -> Array:
    """The next representable number after x towards y, elementwise."""
    return nextafter_p.bind(*lift_same("nextafter", x, y))


def abs(x: Any) -> Array:
    """The absolute value, elementwise; of a complex number its real modulus."""
    return abs_p.bind(*as_arrays("abs", x))


def real(x: Any) -> Array:
    """The real part of a complex array."""
    return real_p.bind(*as_arrays("real", x))


def imag(x: Any) -> Array:
    """The imaginary part of a complex array."""
    return imag_p.bind(*as_arrays("imag", x))


def conj(x: Any) -> Array:
    """The complex conjugate; a real array as complex."""
    (x,) = as_arrays("conj", x)
    return conj_p.bind(x) if dtypes.is_complex(x.dtype) else complex(x, full_like(x, 0))


def complex(x: Any, y: Any) -> Array:
    """x + iy of float32 or float64 arrays."""
    return complex_p.bind(*lift_same("complex", x, y))


# impl


def _div_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind not in "iu":
        return xp.divide(x, y)
    safe = xp.where(y == 0, y.dtype.type(1), y)
    quotient = x // safe
    if x.dtype.kind == "i":
        quotient = quotient + ((x % safe != 0) & ((x < 0) != (safe < 0))).astype(x.dtype)
    return xp.where(y == 0, x.dtype.type(0) - x.dtype.type(1), quotient) if x.dtype.kind == "i" else xp.where(
        y == 0, np.iinfo(x.dtype).max, quotient
    ).astype(x.dtype)


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
    if result is None:
        return xp.ones(x.shape, x.dtype)
    return result if y > 0 else x.dtype.type(1) / result


def _sign_impl(xp: Any, x: Any) -> Any:
    if x.dtype.kind == "c":
        modulus = xp.abs(x)
        return xp.where(modulus == 0, x, x / xp.where(modulus == 0, modulus.dtype.type(1), modulus))
    return xp.where(xp.isnan(x) | (x == 0), x, xp.sign(x)) if x.dtype.kind not in "iu" else xp.sign(x)


def _round_impl(xp: Any, x: Any, *, to_even: bool) -> Any:
    if to_even:
        return xp.rint(x)
    whole = xp.trunc(x)
    away = xp.abs(x - whole) >= 0.5
    return xp.copysign(xp.where(away, whole + xp.copysign(x.dtype.type(1), x), whole), x).astype(x.dtype)


# jvp: derivative(tangent, result, *operands, **params)


def _rem_y(t: Any, out: Any, x: Any, y: Any) -> Any:
    quotient = div(x, y)
    return mul(neg(t), mul(sign(quotient), floor(abs(quotient))))


def _share(z: Any, x: Any, y: Any) -> Any:
    """1 where x is the chosen one, 1/2 where x and y tie, 0 elsewhere."""
    chosen = select(eq(x, z), full_like(z, 1), full_like(z, 0))
    return mul(chosen, select(eq(y, z), full_like(z, 0.5), full_like(z, 1)))


def _integer_pow_jvp(t: Any, out: Any, x: Any, *, y: int) -> Any:
    return full_like(t, 0) if y == 0 else mul(t, mul(full_like(x, y), integer_pow(x, y - 1)))


def _abs_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    out = abs_p.bind(x)
    if isinstance(t, Zero):
        return out, Zero(out.aval.tangent)
    return out, real(mul(t, conj(sign(x)))) if dtypes.is_complex(x.dtype) else mul(t, sign(x))


def _complex_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    out = complex_p.bind(*primals)
    parts = [full_like(x, 0) if isinstance(t, Zero) else t for x, t in zip(primals, tangents, strict=True)]
    return out, complex_p.bind(*parts)


def _bilinear_jvp(prim: Primitive) -> Any:
    return elementwise_jvp(prim, add, lambda t, out, x, y: prim.bind(t, y), lambda t, out, x, y: prim.bind(x, t))


def _sum_jvp(prim: Primitive, second: Any) -> Any:
    return elementwise_jvp(prim, add, lambda t, out, x, y: t, second)


# transpose


def _add_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [ct if isinstance(v, Linear) else None for v in (x, y)]


def _sub_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [ct if isinstance(x, Linear) else None, neg(ct) if isinstance(y, Linear) else None]


def _mul_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [mul(ct, y), None] if isinstance(x, Linear) else [None, mul(x, ct)]


def _div_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [div(ct, y), None]


def _complex_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    # Cotangents pair without conjugation: ct * (x + iy) has the real linear parts Re(ct) and -Im(ct).
    return [real(ct) if isinstance(x, Linear) else None, neg(imag(ct)) if isinstance(y, Linear) else None]


def _real_part(dtype: np.dtype) -> np.dtype:
    return dtypes.real_part_dtype(dtype)


# Registration

neg_p = elementwise("neg", lambda xp, x: xp.negative(x), NUMBERS)
neg_p.define(jvp=linear_jvp(neg_p), transpose=lambda ct, x: [neg(ct)])
add_p = elementwise("add", lambda xp, x, y: xp.add(x, y), NUMBERS)
add_p.define(jvp=_sum_jvp(add_p, lambda t, out, x, y: t), transpose=_add_transpose)
sub_p = elementwise("sub", lambda xp, x, y: xp.subtract(x, y), NUMBERS)
sub_p.define(jvp=_sum_jvp(sub_p, lambda t, out, x, y: neg(t)), transpose=_sub_transpose)
mul_p = elementwise("mul", lambda xp, x, y: xp.multiply(x, y), NUMBERS)
mul_p.define(jvp=_bilinear_jvp(mul_p), transpose=_mul_transpose)
div_p = elementwise("div", _div_impl, NUMBERS)
div_p.define(
    jvp=elementwise_jvp(
        div_p, add, lambda t, out, x, y: div(t, y), lambda t, out, x, y: mul(neg(t), div(out, y))
    ),
    transpose=_div_transpose,
)  # fmt: skip
rem_p = elementwise("rem", _rem_impl, REAL & NUMBERS)
nonlinear(rem_p, elementwise_jvp(rem_p, add, lambda t, out, x, y: t, _rem_y))
max_p = elementwise("max", lambda xp, x, y: xp.maximum(x, y), REAL | NUMBERS)
min_p = elementwise("min", lambda xp, x, y: xp.minimum(x, y), REAL | NUMBERS)
for _prim in (max_p, min_p):
    nonlinear(_prim, elementwise_jvp(
        _prim, add, lambda t, z, x, y: mul(t, _share(z, x, y)), lambda t, z, x, y: mul(t, _share(z, y, x))
    ))  # fmt: skip
integer_pow_p = elementwise("integer_pow", _integer_pow_impl, NUMBERS)
nonlinear(integer_pow_p, elementwise_jvp(integer_pow_p, add, _integer_pow_jvp))
sign_p = discrete(elementwise("sign", _sign_impl, NUMBERS))
floor_p = discrete(elementwise("floor", lambda xp, x: xp.floor(x), FLOATING))
ceil_p = discrete(elementwise("ceil", lambda xp, x: xp.ceil(x), FLOATING))
round_p = discrete(elementwise("round", _round_impl, FLOATING))
nextafter_p = discrete(elementwise("nextafter", lambda xp, x, y: xp.nextafter(x, y), FLOATING))

abs_p = elementwise("abs", lambda xp, x: xp.abs(x), NUMBERS, result=_real_part)
nonlinear(abs_p, _abs_jvp)
real_p = elementwise("real", lambda xp, x: x.real, dtypes.COMPLEX, result=_real_part)
real_p.define(jvp=linear_jvp(real_p), transpose=lambda ct, x: [complex(ct, full_like(ct, 0))])
imag_p = elementwise("imag", lambda xp, x: x.imag, dtypes.COMPLEX, result=_real_part)
imag_p.define(jvp=linear_jvp(imag_p), transpose=lambda ct, x: [complex(full_like(ct, 0), neg(ct))])
conj_p = elementwise("conj", lambda xp, x: xp.conj(x), dtypes.COMPLEX)
conj_p.define(jvp=linear_jvp(conj_p), transpose=lambda ct, x: [conj(ct)])
complex_p = elementwise(
    "complex", lambda xp, x, y: x + y * (1j if x.dtype == np.float64 else np.complex64(1j)),
    (dtypes.float32, dtypes.float64), result=dtypes.complex_dtype,
)  # fmt: skip
complex_p.define(jvp=_complex_jvp, transpose=_complex_transpose)
