"""Polynomials as vectors of coefficients, the highest power first."""

from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import as_int, show
from nrx.numpy import linalg
from nrx.numpy.creation import zeros
from nrx.numpy.data import cast
from nrx.numpy.differences import convolve
from nrx.numpy.joining import concatenate
from nrx.numpy.known import constant
from nrx.numpy.promotion import as_inexact, broadcast, promote_dtypes
from nrx.ops.common import as_arrays


def _coefficients(name: str, *values: Any, inexact: bool = False) -> list[Array]:
    """Vectors of coefficients of one dtype; a scalar is a vector of one."""
    arrays = promote_dtypes(name, *values, inexact=inexact)
    for x in arrays:
        if x.ndim > 1:
            raise ShapeError(f"{name}: coefficients are a vector, got shape {show(x.shape)}")
    return [lax.reshape(x, (x.size,)) for x in arrays]


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Array:
    """The value of a polynomial.

    Args:
        p: coefficients, a vector, or an array of such along axis 0; the highest power first.
        x: where, an array.
        unroll: without effect.

    Returns:
        An array of the shape of x (with the other axes of p before), in the dtype in which both meet.

    Raises:
        ShapeError: p is a scalar.

    >>> jnp.polyval(jnp.array([1, 0, 2]), jnp.array([1, 3]))
    Array([ 3, 11], dtype=int32)
    """
    p, x = promote_dtypes("polyval", p, x)
    if not p.ndim:
        raise ShapeError("polyval: the coefficients are a vector, got a scalar", fix="use p[None]")
    total = lax.full_like(x, 0, shape=broadcast([x, lax.full_like(p, 0, shape=p.shape[1:])])[0].shape)
    for k in range(p.shape[0]):
        total = total * x + p[k]
    return total


def polyadd(a1: Any, a2: Any) -> Array:
    """The sum of two polynomials.

    Args:
        a1: a vector of coefficients.
        a2: a vector of coefficients.

    Returns:
        An array of one axis as long as the longer one, of the dtype in which both meet.

    >>> jnp.polyadd(jnp.array([1, 2]), jnp.array([3, 0, 0]))
    Array([3, 1, 2], dtype=int32)
    """
    a, b = _coefficients("polyadd", a1, a2)
    n = max(a.size, b.size)
    return _longer(a, n) + _longer(b, n)


def polysub(a1: Any, a2: Any) -> Array:
    """The difference of two polynomials.

    Args:
        a1: a vector of coefficients.
        a2: a vector of coefficients.

    Returns:
        An array of one axis as long as the longer one, of the dtype in which both meet.

    >>> jnp.polysub(jnp.array([1, 2]), jnp.array([3, 0, 0]))
    Array([-3,  1,  2], dtype=int32)
    """
    a, b = promote_dtypes("polysub", a1, a2)
    return polyadd(a, lax.neg(b))


def _longer(x: Array, n: int) -> Array:
    """Coefficients with zeros before them."""
    return lax.pad(x, lax.full_like(x, 0, shape=()), [(n - x.size, 0, 0)])


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Array:
    """The product of two polynomials.

    Args:
        a1: a vector of coefficients.
        a2: a vector of coefficients.
        trim_leading_zeros: whether zeros are cut off the front first, as NumPy does; not for traced coefficients.

    Returns:
        A vector of `len(a1) + len(a2) - 1` coefficients, of the dtype in which both meet.

    >>> jnp.polymul(jnp.array([1, 2]), jnp.array([1, -2]))
    Array([ 1,  0, -4], dtype=int32)
    """
    a, b = _coefficients("polymul", a1, a2)
    if trim_leading_zeros:
        a, b = (x[len(x) - len(np.trim_zeros(constant("polymul", x), "f")) :] if x.size else x for x in (a, b))
    one = lax.full_like(a, 0, shape=(1,))
    return convolve(a if a.size else one, b if b.size else one)


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Array, Array]:
    """The quotient and remainder of two polynomials.

    Args:
        u: the coefficients of the dividend.
        v: the coefficients of the divisor; the first must not be 0.
        trim_leading_zeros: whether zeros are cut off the front of the remainder, as NumPy does; not when traced.

    Returns:
        Two vectors of floating or complex coefficients. Without trimming the remainder is as long as the dividend.

    Raises:
        ShapeError: a vector is empty.

    >>> jnp.polydiv(jnp.array([1.0, 0.0, -4.0]), jnp.array([1.0, 2.0]))
    (Array([ 1., -2.], dtype=float32), Array([0., 0., 0.], dtype=float32))
    """
    a, b = _coefficients("polydiv", u, v, inexact=True)
    if not a.size or not b.size:
        raise ShapeError("polydiv: a polynomial has at least one coefficient")
    steps = max(a.size - b.size + 1, 1)
    quotient = []
    for k in range(steps if a.size >= b.size else 0):
        factor = a[k] / b[0]
        quotient.append(factor)
        a = a.at[k : k + b.size].add(-factor * b).at[k].set(0)
    found = concatenate([q[None] for q in quotient]) if quotient else lax.full_like(a, 0, shape=(1,))
    if trim_leading_zeros:
        values = constant("polydiv", a)
        a = a[min(len(values) - len(np.trim_zeros(values, "f")), len(values) - 1) :]
    return found, a


def polyder(p: Any, m: int = 1) -> Array:
    """The derivative of a polynomial.

    Args:
        p: a vector of coefficients.
        m: the order of the derivative.

    Returns:
        An array of one axis, m shorter, of the dtype of p.

    Raises:
        ArgumentError: m is negative.

    >>> jnp.polyder(jnp.array([1, 0, 5]))
    Array([2, 0], dtype=int32)
    """
    if as_int(m, "the order") < 0:
        raise ArgumentError(f"polyder: the order must not be negative, got {m}")
    (x,) = _coefficients("polyder", p)
    for _ in range(m):
        x = x[:-1] * cast(np.arange(max(x.size - 1, 0), 0, -1), x.dtype)
    return x


def polyint(p: Any, m: int = 1, k: Any = None) -> Array:
    """The antiderivative of a polynomial.

    Args:
        p: a vector of coefficients.
        m: the order.
        k: the constants of integration, a scalar or a vector of m; by default 0.

    Returns:
        A vector of floating or complex coefficients, m longer.

    Raises:
        ArgumentError: m is negative.
        ShapeError: there are not m constants.

    >>> jnp.polyint(jnp.array([2.0, 0.0]))
    Array([1., 0., 0.], dtype=float32)
    """
    if as_int(m, "the order") < 0:
        raise ArgumentError(f"polyint: the order must not be negative, got {m}")
    x, constants = _coefficients("polyint", p, 0 if k is None else k, inexact=True)
    if constants.size not in (1, m):
        raise ShapeError(f"polyint: k must be a scalar or a vector of {m}, got shape {show(constants.shape)}")
    constants = lax.broadcast_in_dim(constants, (m,), (0,)) if constants.size != m else constants
    for step in range(m):
        x = concatenate([x / cast(np.arange(x.size, 0, -1), x.dtype), constants[step][None]])
    return x


def poly(seq_of_zeros: Any) -> Array:
    """The coefficients of the polynomial with given roots, the first of which is 1.

    Args:
        seq_of_zeros: a vector of roots, or a square matrix, whose eigenvalues are taken.

    Returns:
        A vector; for a matrix it is complex (NumPy gives real ones where they are).

    Raises:
        ShapeError: neither a vector nor a square matrix.

    >>> jnp.poly(jnp.array([1.0, -2.0]))
    Array([ 1.,  1., -2.], dtype=float32)
    """
    zs = as_inexact("poly", seq_of_zeros)
    if zs.ndim == 2 and zs.shape[0] == zs.shape[1]:
        zs = linalg.eigvals(zs)
    if zs.ndim > 1:
        raise ShapeError(f"poly takes a vector of roots or a square matrix, got shape {show(zs.shape)}")
    out = lax.full_like(zs, 1, shape=(1,))
    for k in range(zs.size):
        out = convolve(out, concatenate([lax.full_like(zs, 1, shape=(1,)), -zs.reshape(-1)[k][None]]))
    return out


def roots(p: Any, *, strip_zeros: bool = True) -> Array:
    """The roots of a polynomial.

    Args:
        p: a vector of coefficients.
        strip_zeros: whether zeros at the ends are cut off first; the coefficients must then be known, not traced.

    Returns:
        A complex vector, as many as the degree: an array of one axis.

    Raises:
        ArgumentTypeError: the coefficients are traced, and zeros are to be stripped.

    >>> jnp.sort(jnp.roots(jnp.array([1.0, 1.0, -2.0])).real)
    Array([-2.,  1.], dtype=float32)
    """
    x = _coefficients("roots", p, inexact=True)[0]
    count = 0
    if strip_zeros:
        places = np.flatnonzero(constant("roots", x, "pass strip_zeros=False"))
        first, last = (places[0], places[-1] + 1) if places.size else (0, 0)
        count = x.size - int(last) if places.size else 0
        x = x[int(first) : int(last)]
    dtype = dtypes.complex_dtype(x.dtype)
    if x.size < 2:
        return zeros(count, dtype)
    companion = lax.concatenate([(-x[1:] / x[0])[None], cast(np.eye(x.size - 2, x.size - 1), x.dtype)], 0)
    return concatenate([linalg.eigvals(companion).astype(dtype), zeros(count, dtype)])


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:
    """The matrix of the powers of a vector.

    Args:
        x: a vector.
        N: the number of columns; by default as many as x is long.
        increasing: whether the powers grow from left to right.

    Returns:
        A matrix of the dtype of x.

    Raises:
        ShapeError: x is not a vector.

    >>> jnp.vander(jnp.array([2, 3]), 3)
    Array([[4, 2, 1],
           [9, 3, 1]], dtype=int32)
    """
    (x,) = as_arrays("vander", x)
    if x.ndim != 1:
        raise ShapeError(f"vander takes a vector, got shape {show(x.shape)}")
    count = x.size if N is None else index(N)
    if count < 0:
        raise ArgumentError(f"vander: N must not be negative, got {N}")
    ones = lax.full_like(x, 1, shape=(x.size, min(count, 1)))
    steps = lax.broadcast_in_dim(x, (x.size, max(count - 1, 0)), (0,))
    powers = lax.cumprod(concatenate([ones, steps], 1), 1)
    return powers if increasing else lax.rev(powers, [1])


def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """The polynomial of a degree that is nearest to points, by least squares.

    Args:
        x: a vector of M places.
        y: a vector of M values, or a matrix of M rows, each column fitted on its own.
        deg: the degree.
        rcond: smaller singular values, relative to the largest, count as 0.
        full: whether to return (coefficients, residuals, rank, singular values, rcond).
        w: a vector of weights of the points.
        cov: whether to return (coefficients, their covariance); "unscaled" leaves the variance of the points out.

    Returns:
        `deg + 1` coefficients, the highest power first (columns, for a matrix), in the dtype in which x and y meet,
        integers as the default float; or a tuple.

    Raises:
        ArgumentError: a negative degree.
        ShapeError: shapes that do not go together.

    >>> jnp.polyfit(jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 3.0, 5.0]), 1).round(3)
    Array([2., 1.], dtype=float32)
    """
    if index(deg) < 0:
        raise ArgumentError(f"polyfit: the degree must not be negative, got {deg}")
    x, y = promote_dtypes("polyfit", x, y, inexact=True)
    if x.ndim != 1 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0] or not x.size:
        raise ShapeError(f"polyfit: x of shape {show(x.shape)} and y of shape {show(y.shape)} do not go together")
    rcond = x.size * float(dtypes.finfo(x.dtype).eps) if rcond is None else rcond
    left, right = vander(x, deg + 1), y
    if w is not None:
        weights = promote_dtypes("polyfit", w, x)[0]
        if weights.shape != x.shape:
            raise ShapeError(f"polyfit: weights of shape {show(weights.shape)} for {x.size} points")
        left = left * weights[:, None]
        right = right * (weights if y.ndim == 1 else weights[:, None])
    scale = lax.sqrt((left * left).sum(0))
    scaled = left / scale
    found, residuals, rank, singular = linalg.lstsq(scaled, right, rcond)
    found = (found.T / scale).T
    if full:
        return found, residuals, rank, singular, rcond
    if not cov:
        return found
    base = linalg.inv(scaled.T @ scaled) / (scale[:, None] * scale)
    if cov == "unscaled":
        return found, base
    if x.size <= deg + 1:
        raise ArgumentError("polyfit: the covariance needs more points than coefficients", fix='use cov="unscaled"')
    base = base if y.ndim == 1 else base[:, :, None]
    return found, base * (residuals / (x.size - (deg + 1)))
