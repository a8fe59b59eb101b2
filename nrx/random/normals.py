"""Draws that are made of normal numbers: lengths and directions, correlated vectors, orthogonal matrices."""

from operator import index
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import broadcast_shapes, canonical_shape, show
from nrx.numpy import linalg
from nrx.random.continuous import check_fits, exponential, float_dtype, joint_shape, normal, parameters, uniform
from nrx.random.discrete import rademacher
from nrx.random.gammas import gamma
from nrx.random.keys import two_keys


def maxwell(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Maxwell distributed numbers of scale 1: lengths of vectors of three normal numbers.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `shape` no shape.

    >>> import nrx
    >>> x = nrx.random.maxwell(nrx.random.PRNGKey(0), (2000,))
    >>> bool(abs(x.mean() - (8 / nrx.numpy.pi) ** 0.5) < 0.05)
    True
    """
    vectors = normal(key, (*canonical_shape(shape), 3), float_dtype("maxwell", dtype))
    return jnp.sqrt(jnp.sum(vectors * vectors, -1))


def double_sided_maxwell(key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None) -> Array:
    """Maxwell distributed numbers with random signs, times `scale`, plus `loc`.

    The shape of the parameters comes after `shape`, as in JAX (which repeats it if `shape` is empty).

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        loc, scale: the centre and the scale, arrays or numbers; the draw is differentiable in them.
        shape: how many numbers to draw for each element of the parameters.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of shape (*shape, *shape of the parameters) and that dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or the parameters do not fit
            together.

    >>> import nrx
    >>> x = nrx.random.double_sided_maxwell(nrx.random.PRNGKey(0), 10.0, 2.0, (2000,))
    >>> bool(abs(x.mean() - 10) < 0.2)
    True
    """
    name, dtype = "double_sided_maxwell", float_dtype("double_sided_maxwell", dtype)
    shape = (*canonical_shape(shape), *joint_shape(name, None, loc=loc, scale=scale))
    loc, scale = parameters(name, shape, dtype, loc=loc, scale=scale)
    key_length, key_sign = two_keys(name, key)
    return rademacher(key_sign, shape, dtype) * maxwell(key_length, shape, dtype) * scale + loc


def wald(key: Any, mean: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Wald (inverse Gaussian) distributed numbers of scale 1: times at which a random walk with drift first reaches 1.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        mean: the mean, positive, an array or a number. The derivative of a draw leaves out that the choice between two
            roots depends on it, as in JAX: its mean is not the derivative of the mean.
        shape: the shape of the result, to which `mean` broadcasts; by default the shape of `mean`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `mean` does not fit `shape`.

    Michael, Schucany and Haas, "Generating random variates using transformations with multiple roots", 1976.

    >>> import nrx
    >>> x = nrx.random.wald(nrx.random.PRNGKey(0), 0.5, (2000,))
    >>> bool(abs(x.mean() - 0.5) < 0.03)
    True
    """
    dtype, shape = float_dtype("wald", dtype), joint_shape("wald", shape, mean=mean)
    (mean,) = parameters("wald", shape, dtype, mean=mean)
    key_normal, key_uniform = two_keys("wald", key)
    squares = jnp.square(normal(key_normal, shape, dtype))
    root = jnp.sqrt(4 * mean * squares + mean * mean * squares * squares)
    x = mean + mean * mean * squares / 2 - mean / 2 * root
    return jnp.where(uniform(key_uniform, shape, dtype) <= mean / (mean + x), x, mean * mean / x)


def generalized_normal(key: Any, p: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Numbers of the generalised normal distribution: the density is proportional to exp(-|x|**p).

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        p: the exponent, positive, an array that broadcasts to `shape`, or a number; the draw is differentiable in it.
        shape: the shape of the result.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `p` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.generalized_normal(nrx.random.PRNGKey(0), 4.0, (2,)).shape
    (2,)
    """
    name, dtype, shape = "generalized_normal", float_dtype("generalized_normal", dtype), canonical_shape(shape)
    (p,) = parameters(name, shape, dtype, p=p)
    key_size, key_sign = two_keys(name, key)
    return rademacher(key_sign, shape, dtype) * gamma(key_size, 1 / p, shape, dtype) ** (1 / p)


def ball(key: Any, d: int, p: Any = 2, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Vectors that are uniformly distributed in the unit ball of the p-norm.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        d: the length of the vectors, an int.
        p: the exponent of the norm, a positive number.
        shape: the shape of the result less its last axis.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of shape (*shape, d) and that dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `p` no scalar.

    Barthe, Guédon, Mendelson and Naor, "A probabilistic approach to the geometry of the l_p^n-ball", 2005.

    >>> import nrx
    >>> x = nrx.random.ball(nrx.random.PRNGKey(0), 3, shape=(5,))
    >>> bool((nrx.numpy.linalg.norm(x, axis=-1) < 1).all())
    True
    """
    dtype, shape = float_dtype("ball", dtype), canonical_shape(shape)
    (p,) = parameters("ball", (), dtype, p=p)
    key_direction, key_length = two_keys("ball", key)
    vectors = generalized_normal(key_direction, p, (*shape, index(d)), dtype)
    powers = jnp.sum(jnp.abs(vectors) ** p, -1) + exponential(key_length, shape, dtype)
    return vectors / (powers ** (1 / p))[..., None]


def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Any = None,
    dtype: Any = None,
    method: str = "cholesky",
    *,
    out_sharding: Any = None,
) -> Array:
    """Normally distributed vectors of a given mean and covariance; differentiable in both.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        mean: the means, an array of shape (..., n).
        cov: the covariances, symmetric, an array of shape (..., n, n): positive definite for "cholesky", else positive
            semidefinite.
        shape: the shape of the result less its last axis, to which those of `mean` and `cov` broadcast; by default the
            shape they have together.
        dtype: float16, bfloat16, float32 or float64; by default the one of `mean` and `cov`.
        method: how the root of `cov` is found: "cholesky", "eigh" or "svd".

    Returns:
        An array of shape (*shape, n) and that dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or the shapes do not fit.
        ArgumentError: the method is none of those.

    >>> import nrx
    >>> cov = nrx.numpy.array([[2.0, 1.0], [1.0, 3.0]])
    >>> nrx.random.multivariate_normal(nrx.random.PRNGKey(0), nrx.numpy.zeros(2), cov, (5,)).shape
    (5, 2)
    """
    name, (mean, cov) = "multivariate_normal", (asarray(mean, "mean"), asarray(cov, "cov"))
    inexact = dtypes.inexact_dtype(jnp.result_type(mean, cov))
    dtype = float_dtype(name, inexact if dtype is None else dtype)
    if not mean.ndim:
        raise ShapeError(f"{name}: mean must have an axis, got a scalar", fix="use normal")
    n = mean.shape[-1]
    if cov.ndim < 2 or cov.shape[-2:] != (n, n):
        raise ShapeError(f"{name}: cov must be of shape (..., {n}, {n}), as mean has {n}; got {show(cov.shape)}")
    batches = mean.shape[:-1], cov.shape[:-2]
    shape = broadcast_shapes(*batches) if shape is None else canonical_shape(shape)
    for what, batch in zip(("mean without its last axis", "cov without its last two axes"), batches, strict=True):
        check_fits(name, what, batch, shape)
    root = _root(lax.convert_element_type(cov, inexact), method)
    drawn = normal(key, (*shape, n), dtype)
    return lax.convert_element_type(mean + jnp.matmul(root, drawn[..., None])[..., 0], dtype)


def _root(cov: Array, method: str) -> Array:
    """A matrix that times its transpose is `cov`."""
    if method == "cholesky":
        return linalg.cholesky(cov)
    if method == "eigh":
        values, vectors = linalg.eigh(cov)
    elif method == "svd":
        vectors, values, _ = linalg.svd(cov)
    else:
        raise ArgumentError(f"multivariate_normal: method must be 'cholesky', 'eigh' or 'svd', got {method!r}")
    return vectors * jnp.sqrt(values)[..., None, :]


def orthogonal(
    key: Any, n: int, shape: Any = (), dtype: Any = None, m: int | None = None, *, out_sharding: Any = None
) -> Array:
    """Orthogonal (unitary) matrices, uniformly distributed; or with orthonormal columns or rows.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        n: the number of rows, an int.
        shape: the shape of the result less its last two axes.
        dtype: a floating or complex dtype; by default the default float.
        m: the number of columns; by default `n`.

    Returns:
        An array of shape (*shape, n, m) and that dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` neither float nor complex, or `shape` no
            shape.

    Mezzadri, "How to generate random matrices from the classical compact groups", 2007.

    >>> import nrx
    >>> x = nrx.random.orthogonal(nrx.random.PRNGKey(0), 3)
    >>> bool(abs(x @ x.T - nrx.numpy.eye(3)).max() < 1e-6)
    True
    """
    n = index(n)
    columns = n if m is None else index(m)
    tall = (*canonical_shape(shape), max(n, columns), min(n, columns))
    q, r = linalg.qr(normal(key, tall, float_dtype("orthogonal", dtype, complex_too=True)))
    q = q * jnp.sign(jnp.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    return jnp.matrix_transpose(q) if n < columns else q
