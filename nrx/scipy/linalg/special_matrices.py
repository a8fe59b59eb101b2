"""Matrices of a special form."""

import itertools
import math
from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.shapes import show
from nrx.numpy.creation import zeros
from nrx.numpy.data import asarray
from nrx.numpy.joining import concatenate
from nrx.numpy.manipulation import atleast_1d
from nrx.numpy.padding import pad
from nrx.numpy.promotion import promote_dtypes
from nrx.ops.common import as_arrays


def block_diag(*arrs: Any) -> Array:
    """The matrix with the given matrices along its diagonal, zeros elsewhere.

    Args:
        arrs: matrices; vectors count as rows, numbers as 1 x 1.

    Returns:
        A matrix of the dtype in which they meet.

    Raises:
        ShapeError: one of them has more than two axes.

    >>> nrx.scipy.linalg.block_diag(jnp.array([[1.0, 2.0]]), 3.0)
    Array([[1., 2., 0.],
           [0., 0., 3.]], dtype=float32)
    """
    xs = promote_dtypes("block_diag", *arrs) if arrs else [zeros((1, 0))]
    for x in xs:
        if x.ndim > 2:
            raise ShapeError(f"block_diag takes matrices, got shape {show(x.shape)}")
    blocks = [x.reshape((1,) * (2 - x.ndim) + x.shape) for x in xs]
    columns, rows, before = sum(x.shape[1] for x in blocks), [], 0
    for x in blocks:
        rows.append(pad(x, ((0, 0), (before, columns - before - x.shape[1]))))
        before += x.shape[1]
    return concatenate(rows, 0)


def toeplitz(c: Any, r: Any = None) -> Array:
    """The matrices with constant diagonals: c is the first column, r the first row.

    Args:
        c: an array of shape (..., m).
        r: an array of shape (..., n), the first element of which is not used; by default the conjugate of c.

    Returns:
        An array of shape (..., m, n), of the dtype in which both meet.

    >>> nrx.scipy.linalg.toeplitz(jnp.array([1, 2, 3]))
    Array([[1, 2, 3],
           [2, 1, 2],
           [3, 2, 1]], dtype=int32)
    """
    (column,) = as_arrays("toeplitz", c)
    column, row = map(atleast_1d, promote_dtypes("toeplitz", column, column.conj() if r is None else r))
    rows, columns = column.shape[-1], row.shape[-1]
    places = np.subtract.outer(np.arange(rows), np.arange(columns)) + columns - 1
    return concatenate([row[..., :0:-1], column], -1)[..., places]


def hankel(c: Any, r: Any = None) -> Array:
    """The matrices with constant antidiagonals: c is the first column, r the last row.

    Args:
        c: an array of shape (..., m).
        r: an array of shape (..., n), the first element of which is not used; by default zeros, as many as c.

    Returns:
        An array of shape (..., m, n), of the dtype in which both meet.

    >>> nrx.scipy.linalg.hankel(jnp.array([1, 2, 3]))
    Array([[1, 2, 3],
           [2, 3, 0],
           [3, 0, 0]], dtype=int32)
    """
    (column,) = as_arrays("hankel", c)
    column, row = map(atleast_1d, promote_dtypes("hankel", column, column * 0 if r is None else r))
    places = np.add.outer(np.arange(column.shape[-1]), np.arange(row.shape[-1]))
    return concatenate([column, row[..., 1:]], -1)[..., places]


def circulant(c: Any) -> Array:
    """The matrices whose columns are c, each turned by one more place.

    Args:
        c: an array of shape (..., n).

    Returns:
        An array of shape (..., n, n), of the dtype of c.

    >>> nrx.scipy.linalg.circulant(jnp.array([1, 2, 3]))
    Array([[1, 3, 2],
           [2, 1, 3],
           [3, 2, 1]], dtype=int32)
    """
    x = atleast_1d(*as_arrays("circulant", c))
    n = x.shape[-1]
    return x[..., np.subtract.outer(np.arange(n), np.arange(n)) % max(n, 1)]


def companion(a: Any) -> Array:
    """The matrix whose characteristic polynomial has these coefficients.

    Args:
        a: at least two coefficients (..., n), highest power first.

    Returns:
        An array of shape (..., n - 1, n - 1), of the dtype of a, integers as the default float.

    Raises:
        ShapeError: fewer than two coefficients.

    >>> nrx.scipy.linalg.companion(jnp.array([1.0, -3.0, 2.0]))
    Array([[ 3., -2.],
           [ 1.,  0.]], dtype=float32)
    """
    (x,) = promote_dtypes("companion", a, inexact=True)
    n = x.shape[-1] if x.ndim else 0
    if n < 2:
        raise ShapeError(f"companion needs at least two coefficients, got shape {show(x.shape)}")
    out = zeros((*x.shape[:-1], n - 1, n - 1), x.dtype)
    below = np.arange(n - 2)
    return out.at[..., 0, :].set(-x[..., 1:] / x[..., :1]).at[..., below + 1, below].set(1)


def fiedler(a: Any) -> Array:
    """The matrices of the distances of numbers from each other.

    Args:
        a: an array of shape (..., n).

    Returns:
        An array of shape (..., n, n), of the dtype of a.

    >>> nrx.scipy.linalg.fiedler(jnp.array([1, 4]))
    Array([[0, 3],
           [3, 0]], dtype=int32)
    """
    x = atleast_1d(*as_arrays("fiedler", a))
    return abs(x[..., :, None] - x[..., None, :])


def fiedler_companion(a: Any) -> Array:
    """The matrices of five diagonals whose characteristic polynomials have these coefficients.

    Args:
        a: at least one coefficient (..., n), highest power first; the first must not be zero.

    Returns:
        An array of shape (..., n - 1, n - 1), of the dtype of a, integers as the default float.

    Raises:
        ShapeError: no coefficient.

    >>> nrx.scipy.linalg.fiedler_companion(jnp.array([1.0, -3.0, 2.0]))
    Array([[ 3., -2.],
           [ 1.,  0.]], dtype=float32)
    """
    (x,) = promote_dtypes("fiedler_companion", a, inexact=True)
    x = x.reshape(1) if x.ndim == 0 else x
    n = x.shape[-1] - 1
    if n < 0:
        raise ShapeError(f"fiedler_companion needs a coefficient, got shape {show(x.shape)}")
    scaled = -x / x[..., :1]
    out = zeros((*x.shape[:-1], n, n), x.dtype).at[..., :1, :1].set(scaled[..., None, 1:2])
    even, odd = np.arange(0, n - 1, 2), np.arange(2, n, 2)
    out = out.at[..., even, even + 1].set(scaled[..., 2::2]).at[..., odd, odd - 1].set(scaled[..., 3::2])
    ones = np.arange(0, n - 2, 2), np.arange(3, n, 2)
    out = out.at[..., ones[0], ones[0] + 2].set(1).at[..., ones[1], ones[1] - 2].set(1)
    return out.at[..., 1:2, :1].set(1)


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Array:
    """The matrices A for which `A @ v` is `convolve(a, v, mode)`.

    Args:
        a: an array of shape (..., m) with m at least 1.
        n: the length of `v`, at least 1.
        mode: "full", "same" or "valid", as of `nrx.numpy.convolve`.

    Returns:
        An array of shape (..., k, n), with k m + n - 1, the greater of m and n, or their difference and 1. It has the
        dtype of a.

    Raises:
        ArgumentError: another mode, or n is less than 1.
        ArgumentTypeError: n is not an integer.
        ShapeError: `a` has no element.

    >>> nrx.scipy.linalg.convolution_matrix(jnp.array([1, 2]), 2)
    Array([[1, 0],
           [2, 1],
           [0, 2]], dtype=int32)
    """
    (x,) = as_arrays("convolution_matrix", a)
    n = _size("convolution_matrix", n)
    if mode not in ("full", "same", "valid"):
        raise ArgumentError(f"convolution_matrix: unknown mode {mode!r}", fix='use "full", "same" or "valid"')
    if n < 1:
        raise ArgumentError(f"convolution_matrix: n is {n}", fix="give at least one column")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ShapeError(f"convolution_matrix: a has shape {show(x.shape)}", fix="give at least one element")
    m = x.shape[-1]
    cut = {"full": 0, "same": min(m, n) - 1, "valid": 2 * (min(m, n) - 1)}[mode]
    rows = np.arange(m + n - 1)[cut // 2 : m + n - 1 - (cut - cut // 2)]
    places = np.subtract.outer(rows, np.arange(n))
    padded = concatenate([x, zeros((*x.shape[:-1], 1), x.dtype)], -1)
    return padded[..., np.where((places >= 0) & (places < m), places, m)]


def leslie(f: Any, s: Any) -> Array:
    """The matrix of a population: fecundities in the first row, survival below the diagonal.

    Args:
        f: n fecundities.
        s: n - 1 parts that survive.

    Returns:
        An n x n matrix of the dtype in which both meet.

    Raises:
        ShapeError: the lengths do not go together.

    >>> nrx.scipy.linalg.leslie(jnp.array([1.0, 2.0]), jnp.array([0.5]))
    Array([[1. , 2. ],
           [0.5, 0. ]], dtype=float32)
    """
    first, below = promote_dtypes("leslie", f, s)
    if first.ndim != 1 or below.shape != (first.shape[0] - 1,):
        raise ShapeError(f"leslie: {show(first.shape)} fecundities do not go with {show(below.shape)} rates")
    places = np.arange(below.shape[0])
    return zeros((first.shape[0],) * 2, first.dtype).at[0].set(first).at[places + 1, places].set(below)


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Array:
    """The matrix of the discrete Fourier transform.

    Args:
        n: its size.
        scale: None, "sqrtn" or "n": what it is divided by.
        dtype: the dtype of the result; by default the complex default.

    Returns:
        An n x n matrix.

    Raises:
        ArgumentError: another scale, or n is negative.
        ArgumentTypeError: n is not an integer.

    >>> nrx.scipy.linalg.dft(2).real
    Array([[ 1.,  1.],
           [ 1., -1.]], dtype=float32)
    """
    if scale not in (None, "sqrtn", "n"):
        raise ArgumentError(f"dft: unknown scale {scale!r}", fix='use None, "sqrtn" or "n"')
    n = _size("dft", n)
    places = np.outer(np.arange(n), np.arange(n)) % max(n, 1)
    divisor = {None: 1, "sqrtn": math.sqrt(n), "n": n}[scale]
    return _made(np.exp(-2j * np.pi * places / max(n, 1)) / divisor, complex, dtype)


def hadamard(n: int, dtype: Any = int) -> Array:
    """Sylvester's n x n Hadamard matrix: orthogonal rows of 1 and -1.

    Args:
        n: a power of 2.
        dtype: the dtype of the result.

    Returns:
        An n x n matrix.

    Raises:
        ArgumentError: n is no power of 2.
        ArgumentTypeError: n is not an integer.

    >>> nrx.scipy.linalg.hadamard(2)
    Array([[ 1,  1],
           [ 1, -1]], dtype=int32)
    """
    n = _size("hadamard", n)
    if n < 1 or n & (n - 1):
        raise ArgumentError(f"hadamard: n must be a power of 2, got {n}")
    out = np.ones((1, 1))
    while len(out) < n:
        out = np.block([[out, out], [out, -out]])
    return _made(out, float, dtype)


def hilbert(n: int) -> Array:
    """The n x n Hilbert matrix: 1 / (i + j + 1).

    Args:
        n: its size.

    Returns:
        An n x n matrix of the default float.

    Raises:
        ArgumentError: n is negative.
        ArgumentTypeError: n is not an integer.

    >>> nrx.scipy.linalg.hilbert(2).round(2)
    Array([[1.  , 0.5 ],
           [0.5 , 0.33]], dtype=float32)
    """
    n = _size("hilbert", n)
    return _made(1 / (np.add.outer(np.arange(n), np.arange(n)) + 1.0), float, None)


def invhilbert(n: int) -> Array:
    """The inverse of the n x n Hilbert matrix: integers, exact before they are rounded to the default float.

    Args:
        n: its size.

    Returns:
        An n x n matrix.

    Raises:
        ArgumentError: n is negative.
        ArgumentTypeError: n is not an integer.

    >>> nrx.scipy.linalg.invhilbert(2)
    Array([[ 4., -6.],
           [-6., 12.]], dtype=float32)
    """
    n, comb = _size("invhilbert", n), math.comb

    def element(i: int, j: int) -> int:
        size = (i + j + 1) * comb(n + i, n - j - 1) * comb(n + j, n - i - 1) * comb(i + j, i) ** 2
        return -size if (i + j) % 2 else size

    return _made(_filled(n, element), float, None)


def helmert(n: int, full: bool = False) -> Array:
    """The Helmert matrix: orthonormal rows, each the contrast of an element with those before it.

    Args:
        n: its size, at least 1.
        full: whether the first row, of equal elements, is wanted as well.

    Returns:
        A matrix of shape (n - 1, n), or (n, n), of the default float.

    Raises:
        ArgumentError: n is less than 1.
        ArgumentTypeError: n is not an integer.

    >>> nrx.scipy.linalg.helmert(2).round(3)
    Array([[ 0.707, -0.707]], dtype=float32)
    """
    n = _size("helmert", n)
    if n < 1:
        raise ArgumentError(f"helmert: n is {n}", fix="give at least one column")
    rows = np.tril(np.ones((n, n)), -1) - np.diag(np.arange(n))
    rows[0] = 1
    return _made((rows / np.linalg.norm(rows, axis=1, keepdims=True))[0 if full else 1 :], float, None)


def invpascal(n: int, kind: str | None = None) -> Array:
    """The inverse of `pascal(n, kind)`: integers, exact before they are rounded to the default float.

    Args:
        n: its size.
        kind: "symmetric" (the default), "lower" or "upper".

    Returns:
        An n x n matrix.

    Raises:
        ArgumentError: another kind, or n is negative.
        ArgumentTypeError: n is not an integer.

    >>> nrx.scipy.linalg.invpascal(3, "lower")
    Array([[ 1.,  0.,  0.],
           [-1.,  1.,  0.],
           [ 1., -2.,  1.]], dtype=float32)
    """
    if kind not in (None, "symmetric", "lower", "upper"):
        raise ArgumentError(f"invpascal: unknown kind {kind!r}", fix='use "symmetric", "lower" or "upper"')
    n = _size("invpascal", n)

    def lower(i: int, j: int) -> int:
        return (-1) ** (i + j) * math.comb(i, j)

    def symmetric(i: int, j: int) -> int:
        return (-1) ** (i + j) * sum(math.comb(k, i) * math.comb(k, j) for k in range(max(i, j), n))

    elements = {"lower": lower, "upper": lambda i, j: lower(j, i)}.get(kind or "", symmetric)
    return _made(_filled(n, elements), float, None)


def pascal(n: int, kind: str | None = None) -> Array:
    """The n x n matrix of binomial coefficients.

    Args:
        n: its size.
        kind: "symmetric" (the default), "lower" or "upper".

    Returns:
        An n x n matrix of the default float.

    Raises:
        ArgumentError: another kind, or n is negative.
        ArgumentTypeError: n is not an integer.

    >>> nrx.scipy.linalg.pascal(3, "lower")
    Array([[1., 0., 0.],
           [1., 1., 0.],
           [1., 2., 1.]], dtype=float32)
    """
    if kind not in (None, "symmetric", "lower", "upper"):
        raise ArgumentError(f"pascal: unknown kind {kind!r}", fix='use "symmetric", "lower" or "upper"')
    n = _size("pascal", n)
    if kind in ("lower", "upper"):
        lower = _filled(n, math.comb)
        return _made(lower if kind == "lower" else lower.T, float, None)
    with np.errstate(over="ignore"):
        rows = list(itertools.accumulate(range(n - 1), lambda row, _: np.cumsum(row), initial=np.ones(n)))
    return _made(np.array(rows[:n]).reshape(n, n), float, None)


def _size(name: str, n: int) -> int:
    """The checked size of a matrix."""
    if not hasattr(n, "__index__"):
        raise ArgumentTypeError(f"{name}: n must be an integer, got {n!r}")
    if index(n) < 0:
        raise ArgumentError(f"{name}: n must not be negative, got {n}")
    return index(n)


def _filled(n: int, element: Callable[[int, int], int]) -> np.ndarray:
    """The n x n matrix of the integers `element(i, j)`, each rounded once."""
    return np.array([[_rounded(element(i, j)) for j in range(n)] for i in range(n)]).reshape(n, n)


def _rounded(integer: int) -> float:
    try:
        return float(integer)
    except OverflowError:
        return math.inf if integer > 0 else -math.inf


def _made(values: np.ndarray, kind: type, dtype: Any) -> Array:
    """An array of host values, in the dtype wanted or the default one."""
    wanted = dtypes.scalar_dtype(kind) if dtype is None else dtypes.canonical_dtype(dtype)
    with np.errstate(over="ignore"):
        return asarray(values.astype(wanted))
