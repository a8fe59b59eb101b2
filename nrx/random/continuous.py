"""Draws from continuous distributions: transformations of one uniform draw, differentiable in their parameters.

Every draw inverts a distribution function (Devroye, "Non-Uniform Random Variate Generation", 1986, chapter II.2).
"""

import math
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.shapes import Shape, broadcast_shapes, canonical_shape, show
from nrx.ops.arithmetic import abs, add, complex, div, max, mul, neg, nextafter, sign, sub
from nrx.ops.common import scalar_array
from nrx.ops.elementary import exp, log, log1p, pow, sqrt, tan
from nrx.ops.logic import bitwise_and, clamp, ge, lt, select
from nrx.ops.special import erf, erf_inv
from nrx.ops.structural import broadcast_to, convert_element_type
from nrx.random.keys import draw_bits, halves, two_keys
from nrx.random.large import compiled_if_large

_SQRT2 = math.sqrt(2)
#: For each dtype, the random bits that become a number in [0, 1) and how many of them: as many as its significand has.
_UNIT_BITS = {
    dtypes.float16: (dtypes.uint16, 10),
    dtypes.bfloat16: (dtypes.uint8, 7),
    dtypes.float32: (dtypes.uint32, 23),
    dtypes.float64: (dtypes.uint64, 52),
}


# Distributions without parameters, or of a range


def uniform(
    key: Any, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0, *, out_sharding: Any = None
) -> Array:
    """Uniform numbers from [minval, maxval).

    In [0, 1) they are the multiples of 2**-m, for the m bits that the dtype's significand stores (23 in float32).
    The draw is differentiable in `minval` and `maxval`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.
        minval, maxval: the limits: real numbers, or arrays that broadcast to `shape`. Rounding may give `maxval`
            itself.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or a limit does not fit `shape`.

    >>> import nrx
    >>> nrx.random.uniform(nrx.random.PRNGKey(0), (2,), minval=-1.0, maxval=1.0)
    Array([0.895334  , 0.95715976], dtype=float32)
    """
    dtype, shape = float_dtype("uniform", dtype), canonical_shape(shape)
    unit = draw_unit("uniform", key, shape, dtype)
    if type(minval) in (int, float) and type(maxval) in (int, float) and (minval, maxval) == (0, 1):
        return unit
    return _between(unit, *_limits("uniform", shape, dtype, minval=minval, maxval=maxval))


def normal(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Standard normal numbers: mean 0, variance 1.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32, float64, complex64 or complex128; by default the default float. The parts of
            a complex number are independent with variance 1/2.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` neither float nor complex, or `shape` no
            shape.

    >>> import nrx
    >>> nrx.random.normal(nrx.random.PRNGKey(0), (2,)).round(3)
    Array([1.623, 2.025], dtype=float32)
    """
    dtype, shape = float_dtype("normal", dtype, complex_too=True), canonical_shape(shape)
    if not dtypes.is_complex(dtype):
        return _normal("normal", key, shape, dtype)
    part = dtypes.real_part_dtype(dtype)
    return complex(*(mul(_normal("normal", k, shape, part), 1 / _SQRT2) for k in two_keys("normal", key)))


def truncated_normal(
    key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Standard normal numbers, of those that lie between two limits; differentiable in the limits.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        lower, upper: the limits, arrays or numbers.
        shape: the shape of the result, to which the limits broadcast; by default the shape they have together.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype with lower < x < upper.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or a limit does not fit `shape`.

    >>> import nrx
    >>> nrx.random.truncated_normal(nrx.random.PRNGKey(0), -1.0, 1.0, (2,)).round(3)
    Array([0.862, 0.941], dtype=float32)
    """
    name, dtype = "truncated_normal", float_dtype("truncated_normal", dtype)
    shape = joint_shape(name, shape, lower=lower, upper=upper)
    low, high = _limits(name, shape, dtype, lower=lower, upper=upper)
    unit = draw_unit(name, key, shape, dtype)
    x = mul(erf_inv(_between(unit, *(erf(div(limit, _SQRT2)) for limit in (low, high)))), _SQRT2)
    # Rounding must not reach the limits, let alone cross them.
    inside = nextafter(low, math.inf), nextafter(high, -math.inf)
    return clamp(*(broadcast_to(y, shape) for y in (inside[0], x, inside[1])))


def exponential(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Exponentially distributed numbers of rate 1: the density is exp(-x) for x >= 0.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `shape` no shape.

    >>> import nrx
    >>> nrx.random.exponential(nrx.random.PRNGKey(0), (2,)).round(3)
    Array([2.95 , 3.843], dtype=float32)
    """
    return _exponential("exponential", key, canonical_shape(shape), float_dtype("exponential", dtype))


def gumbel(key: Any, shape: Any = (), dtype: Any = None, mode: str | None = None, *, out_sharding: Any = None) -> Array:
    """Gumbel distributed numbers: the density is exp(-(x + exp(-x))).

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.
        mode: "low" (or None) or "high". "high" spends twice the bits on the upper tail: in float32 the largest number
            is about 32 instead of 16, which matters where events of probability below 1e-7 are sampled.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `shape` no shape.
        ArgumentError: the mode is none of those.

    >>> import nrx
    >>> nrx.random.gumbel(nrx.random.PRNGKey(0), (2,)).round(3)
    Array([2.923, 3.833], dtype=float32)
    """
    return draw_gumbel("gumbel", key, canonical_shape(shape), float_dtype("gumbel", dtype), mode)


def laplace(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Laplace distributed numbers: the density is exp(-|x|) / 2.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `shape` no shape.

    >>> import nrx
    >>> nrx.random.laplace(nrx.random.PRNGKey(0), (2,)).round(3)
    Array([-2.257, -3.15 ], dtype=float32)
    """
    u = _symmetric("laplace", key, canonical_shape(shape), float_dtype("laplace", dtype))
    return mul(sign(u), log1p(neg(abs(u))))


def logistic(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Logistically distributed numbers: the density is exp(-x) / (1 + exp(-x))**2.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `shape` no shape.

    >>> import nrx
    >>> nrx.random.logistic(nrx.random.PRNGKey(0), (2,)).round(3)
    Array([2.896, 3.822], dtype=float32)
    """
    x = _positive("logistic", key, canonical_shape(shape), float_dtype("logistic", dtype))
    return sub(log(x), log1p(neg(x)))


def cauchy(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Cauchy distributed numbers: the density is 1 / (pi * (x**2 + 1)).

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `shape` no shape.

    >>> import nrx
    >>> nrx.random.cauchy(nrx.random.PRNGKey(0), (2,)).round(3)
    Array([ 6.027, 14.838], dtype=float32)
    """
    dtype, shape = float_dtype("cauchy", dtype), canonical_shape(shape)
    limits = _limits("cauchy", shape, dtype, minval=float(dtypes.finfo(dtype).eps), maxval=1.0)
    u = _between(draw_unit("cauchy", key, shape, dtype), *limits)
    return tan(mul(sub(u, 0.5), math.pi))


# Distributions with parameters


def lognormal(key: Any, sigma: Any = 1.0, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Numbers whose logarithm is normally distributed with mean 0; differentiable in `sigma`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        sigma: the standard deviation of the logarithm, an array or a number.
        shape: the shape of the result, to which `sigma` broadcasts; by default the shape of `sigma`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `sigma` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.lognormal(nrx.random.PRNGKey(0), 0.5, (2,)).round(3)
    Array([2.251, 2.753], dtype=float32)
    """
    dtype, shape = float_dtype("lognormal", dtype), joint_shape("lognormal", shape, sigma=sigma)
    (sigma,) = parameters("lognormal", shape, dtype, sigma=sigma)
    return exp(mul(_normal("lognormal", key, shape, dtype), sigma))


def pareto(key: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Pareto distributed numbers: the density is b / x**(b + 1) for x >= 1; differentiable in `b`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        b: the exponent, positive, an array or a number.
        shape: the shape of the result, to which `b` broadcasts; by default the shape of `b`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `b` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.pareto(nrx.random.PRNGKey(0), 2.0, (2,)).round(3)
    Array([4.371, 6.833], dtype=float32)
    """
    dtype, shape = float_dtype("pareto", dtype), joint_shape("pareto", shape, b=b)
    (b,) = parameters("pareto", shape, dtype, b=b)
    return exp(div(_exponential("pareto", key, shape, dtype), b))


def rayleigh(key: Any, scale: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Rayleigh distributed numbers: the density is x / scale**2 * exp(-(x / scale)**2 / 2); differentiable in `scale`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        scale: the scale, positive, an array or a number.
        shape: the shape of the result, to which `scale` broadcasts; by default the shape of `scale`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `scale` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.rayleigh(nrx.random.PRNGKey(0), 2.0, (2,)).round(3)
    Array([0.656, 0.416], dtype=float32)
    """
    dtype, shape = float_dtype("rayleigh", dtype), joint_shape("rayleigh", shape, scale=scale)
    (scale,) = parameters("rayleigh", shape, dtype, scale=scale)
    return mul(scale, sqrt(mul(log(draw_unit("rayleigh", key, shape, dtype)), -2.0)))


def triangular(
    key: Any, left: Any, mode: Any, right: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Numbers whose density rises linearly from `left` to `mode` and falls to `right`; differentiable in all three.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        left, mode, right: the corners, left <= mode <= right and left < right, arrays or numbers.
        shape: the shape of the result, to which the corners broadcast; by default the shape they have together.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or a corner does not fit `shape`.

    >>> import nrx
    >>> nrx.random.triangular(nrx.random.PRNGKey(0), 0.0, 1.0, 2.0, (2,)).round(3)
    Array([1.676, 1.793], dtype=float32)
    """
    name, dtype = "triangular", float_dtype("triangular", dtype)
    shape = joint_shape(name, shape, left=left, mode=mode, right=right)
    left, mode, right = parameters(name, shape, dtype, left=left, mode=mode, right=right)
    unit, width = draw_unit(name, key, shape, dtype), sub(right, left)
    rising = add(left, sqrt(mul(mul(unit, width), sub(mode, left))))
    falling = sub(right, sqrt(mul(mul(sub(1.0, unit), width), sub(right, mode))))
    return select(lt(unit, div(sub(mode, left), width)), rising, falling)


def weibull_min(key: Any, scale: Any, concentration: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Weibull distributed numbers: x is above y with probability exp(-(y / scale)**concentration); differentiable.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        scale, concentration: the parameters, positive, arrays or numbers; the draw is differentiable in them.
        shape: the shape of the result, to which they broadcast; by default the shape they have together.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or a parameter does not fit.

    >>> import nrx
    >>> x = nrx.random.weibull_min(nrx.random.PRNGKey(0), 2.0, 1.0, (2000,))
    >>> bool(abs(x.mean() - 2) < 0.15)
    True
    """
    name, dtype = "weibull_min", float_dtype("weibull_min", dtype)
    shape = joint_shape(name, shape, scale=scale, concentration=concentration)
    scale, concentration = parameters(name, shape, dtype, scale=scale, concentration=concentration)
    return mul(pow(_exponential(name, key, shape, dtype), div(1.0, concentration)), scale)


# Draws for the functions above and for those of other files; `name` is the public function's, for messages


@compiled_if_large
def draw_unit(name: str, key: Any, shape: Shape, dtype: np.dtype, top: float = 1.0) -> Array:
    """Uniform numbers from [0, top), for a power of two."""
    word, count = _UNIT_BITS[dtype]
    width = 8 * word.itemsize
    kept = bitwise_and(draw_bits(name, key, shape, word), (1 << width) - (1 << (width - count)))
    return mul(convert_element_type(kept, dtype), top * 2.0**-width)


def draw_gumbel(name: str, key: Any, shape: Shape, dtype: np.dtype, mode: str | None) -> Array:
    """Gumbel distributed numbers."""
    if mode in (None, "low"):
        return neg(log(neg(log(_positive(name, key, shape, dtype)))))
    if mode != "high":
        raise ArgumentError(f"{name}: mode must be 'low' or 'high', got {mode!r}")
    high, low = halves(draw_unit(name, key, (2, *shape), dtype))
    info = dtypes.finfo(dtype)
    finer = add(add(high, mul(low, 2.0**-info.nmant)), float(info.tiny))
    x = select(ge(high, 0.5), high, finer)
    return neg(log(neg(log1p(neg(x)))))


def _positive(name: str, key: Any, shape: Shape, dtype: np.dtype) -> Array:
    """Uniform numbers from (0, 1)."""
    return add(draw_unit(name, key, shape, dtype), float(dtypes.finfo(dtype).tiny))


def _symmetric(name: str, key: Any, shape: Shape, dtype: np.dtype) -> Array:
    """Uniform numbers from (-1, 1)."""
    return sub(draw_unit(name, key, shape, dtype, 2.0), 1 - float(dtypes.finfo(dtype).epsneg))


def _between(unit: Array, low: Array, high: Array) -> Array:
    """low + unit * (high - low), and never below `low`.

    In float32 it is rounded once, as by the fused multiply-add that compilers make of it, so that all agree on the
    bits.
    """
    dtype, wide = unit.dtype, dtypes.float64 if unit.dtype == dtypes.float32 else unit.dtype
    span, offset = (broadcast_to(convert_element_type(x, wide), unit.shape) for x in (sub(high, low), low))
    scaled = add(mul(convert_element_type(unit, wide), span), offset)
    return max(broadcast_to(low, unit.shape), convert_element_type(scaled, dtype))


@compiled_if_large
def _normal(name: str, key: Any, shape: Shape, dtype: np.dtype) -> Array:
    return mul(erf_inv(_symmetric(name, key, shape, dtype)), _SQRT2)


@compiled_if_large
def _exponential(name: str, key: Any, shape: Shape, dtype: np.dtype) -> Array:
    return neg(log1p(neg(draw_unit(name, key, shape, dtype))))


# Arguments


def float_dtype(name: str, dtype: Any, complex_too: bool = False) -> np.dtype:
    """The dtype to draw in."""
    dtype = dtypes.canonical_dtype(float if dtype is None else dtype)
    if dtype not in _UNIT_BITS and not (complex_too and dtypes.is_complex(dtype)):
        takes = ", ".join(d.name for d in (*_UNIT_BITS, *(dtypes.COMPLEX if complex_too else ())))
        raise DTypeError(
            f"{name}: dtype must be one of {takes}, got {dtype}", fix="convert the result with .astype(...)"
        )
    return dtype


def joint_shape(name: str, shape: Any, **values: Any) -> Shape:
    """The shape to draw: `shape`, or where it is None the one that the parameters broadcast to."""
    if shape is not None:
        return canonical_shape(shape)
    return broadcast_shapes(*(asarray(value, f"{name}: {what}").shape for what, value in values.items()))


def parameters(name: str, shape: Shape, dtype: np.dtype, **values: Any) -> list[Array]:
    """Real parameters as arrays of `shape` and `dtype`."""
    return [broadcast_to(_parameter(name, what, value, shape, dtype), shape) for what, value in values.items()]


def _limits(name: str, shape: Shape, dtype: np.dtype, **values: Any) -> list[Array]:
    """Real parameters as arrays of `dtype` and of one shape, which broadcasts to `shape`: there is less to compute."""
    limits = [_parameter(name, what, value, shape, dtype) for what, value in values.items()]
    together = broadcast_shapes(*(limit.shape for limit in limits))
    return [broadcast_to(limit, together) for limit in limits]


def _parameter(name: str, what: str, value: Any, shape: Shape, dtype: np.dtype) -> Array:
    """A real parameter as an array of `dtype`; it must broadcast to `shape`."""
    if type(value) in (int, float):
        value = scalar_array(value, dtype)  # not by way of the default float, which may be narrower
    array = asarray(value, f"{name}: {what}")
    if dtypes.is_complex(array.dtype):
        raise DTypeError(f"{name}: {what} must be real, got {array.aval}", fix="take its real part: x.real")
    check_fits(name, what, array.shape, shape)
    return convert_element_type(array, dtype)


def check_fits(name: str, what: str, have: Shape, shape: Shape) -> None:
    """Raise ShapeError unless the shape `have` of an argument broadcasts to that of the result."""
    try:
        fits = broadcast_shapes(have, shape) == shape
    except ShapeError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{name}: {what} has shape {show(have)}, which does not broadcast to the result's shape {show(shape)}",
            fix=f"let shape end with {show(have)}",
        )
