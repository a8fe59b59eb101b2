"""Draws from the gamma distribution and from those that are made of it, differentiable in their parameters.

Numbers are accepted or rejected (Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26,
2000), each with a key of its own. The derivative in the shape parameter is that of the inverse distribution function at
the number drawn (Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018).
"""

from functools import cache, partial
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ShapeError
from nrx.core.shapes import size
from nrx.random.continuous import exponential, float_dtype, joint_shape, normal, parameters, uniform
from nrx.random.keys import split, two_keys
from nrx.transforms import custom_jvp, jit, vmap


def gamma(key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Gamma distributed numbers of scale 1: the density is x**(a - 1) * exp(-x) / gamma(a) for x > 0.

    Where `a` is small the numbers may underflow to 0: `loggamma` gives their logarithms. The draw is differentiable in
    `a`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        a: the shape parameter, positive, an array or a number.
        shape: the shape of the result, to which `a` broadcasts; by default the shape of `a`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `a` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.gamma(nrx.random.PRNGKey(0), 3.0, (2,)).round(3)
    Array([2.569, 2.784], dtype=float32)
    """
    return _gamma("gamma", key, a, shape, dtype, in_logs=False)


def loggamma(key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Logarithms of gamma distributed numbers, also where the numbers themselves would underflow.

    They are not the logarithms of what `gamma` draws with the same key. The draw is differentiable in `a`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        a: the shape parameter, positive, an array or a number.
        shape: the shape of the result, to which `a` broadcasts; by default the shape of `a`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `a` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.loggamma(nrx.random.PRNGKey(0), 1e-3, (2,)).round(1)
    Array([-110.6,  -95.5], dtype=float32)
    """
    return _gamma("loggamma", key, a, shape, dtype, in_logs=True)


def beta(key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Beta distributed numbers: the density is proportional to x**(a - 1) * (1 - x)**(b - 1) for 0 < x < 1.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        a, b: the parameters, positive, arrays or numbers; the draw is differentiable in them.
        shape: the shape of the result, to which they broadcast; by default the shape they have together.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or a parameter does not fit.

    >>> import nrx
    >>> x = nrx.random.beta(nrx.random.PRNGKey(0), 2.0, 6.0, (1000,))
    >>> bool(abs(x.mean() - 0.25) < 0.02)
    True
    """
    dtype, shape = float_dtype("beta", dtype), joint_shape("beta", shape, a=a, b=b)
    a, b = parameters("beta", shape, dtype, a=a, b=b)
    keys = two_keys("beta", key)
    first, second = (loggamma(k, x, shape, dtype) for k, x in zip(keys, (a, b), strict=True))
    top = lax.max(first, second)
    first, second = jnp.exp(first - top), jnp.exp(second - top)
    return first / (first + second)


def dirichlet(key: Any, alpha: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Dirichlet distributed vectors: positive numbers that sum to 1.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        alpha: the concentrations, positive, an array of shape (..., n); the draw is differentiable in them.
        shape: the shape of the result less its last axis, to which that of `alpha` broadcasts; by default the latter.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of shape (*shape, n) and that dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, `alpha` a scalar, or it does not
            fit `shape`.

    >>> import nrx
    >>> x = nrx.random.dirichlet(nrx.random.PRNGKey(0), nrx.numpy.array([1.0, 2.0, 7.0]), (1000,))
    >>> x.mean(0).round(1)
    Array([0.1, 0.2, 0.7], dtype=float32)
    """
    dtype, alpha = float_dtype("dirichlet", dtype), asarray(alpha, "dirichlet: alpha")
    if not alpha.ndim:
        raise ShapeError("dirichlet: alpha must have an axis, got a scalar", fix="pass a vector of concentrations")
    shape = joint_shape("dirichlet", shape, alpha=alpha[..., 0] if alpha.shape[-1] else jnp.sum(alpha, -1))
    logs = _gamma("dirichlet", key, alpha, (*shape, alpha.shape[-1]), dtype, in_logs=True)
    parts = jnp.exp(logs - lax.stop_gradient(jnp.max(logs, -1, keepdims=True, initial=-jnp.inf)))
    return parts / jnp.sum(parts, -1, keepdims=True)


def chisquare(key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Chi-squared distributed numbers: sums of `df` squares of normal numbers.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        df: the degrees of freedom, positive, an array or a number; the draw is differentiable in them.
        shape: the shape of the result, to which `df` broadcasts; by default the shape of `df`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `df` does not fit `shape`.

    >>> import nrx
    >>> x = nrx.random.chisquare(nrx.random.PRNGKey(0), 5.0, (2000,))
    >>> bool(abs(x.mean() - 5) < 0.2)
    True
    """
    dtype, shape = float_dtype("chisquare", dtype), joint_shape("chisquare", shape, df=df)
    (df,) = parameters("chisquare", shape, dtype, df=df)
    return jnp.exp(_gamma("chisquare", key, df / 2, shape, dtype, in_logs=True)) * 2


def f(key: Any, dfnum: Any, dfden: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """F distributed numbers: quotients of chi-squared numbers, each divided by its degrees of freedom.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        dfnum, dfden: the degrees of freedom, positive, arrays or numbers; the draw is differentiable in them.
        shape: the shape of the result, to which they broadcast; by default the shape they have together.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or a parameter does not fit.

    >>> import nrx
    >>> x = nrx.random.f(nrx.random.PRNGKey(0), 5.0, 20.0, (2000,))
    >>> bool(abs(x.mean() - 20 / 18) < 0.1)
    True
    """
    dtype, shape = float_dtype("f", dtype), joint_shape("f", shape, dfnum=dfnum, dfden=dfden)
    dfnum, dfden = parameters("f", shape, dtype, dfnum=dfnum, dfden=dfden)
    below, above = two_keys("f", key)
    return (chisquare(above, dfnum, shape, dtype) / dfnum) / (chisquare(below, dfden, shape, dtype) / dfden)


def t(key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Numbers of Student's t distribution.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        df: the degrees of freedom, positive, an array or a number; the draw is differentiable in them.
        shape: the shape of the result, to which `df` broadcasts; by default the shape of `df`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `df` does not fit `shape`.

    >>> import nrx
    >>> nrx.random.t(nrx.random.PRNGKey(0), 5.0, (2,)).shape
    (2,)
    """
    dtype, shape = float_dtype("t", dtype), joint_shape("t", shape, df=df)
    (df,) = parameters("t", shape, dtype, df=df)
    key_normal, key_gamma = two_keys("t", key)
    half = df / 2
    return normal(key_normal, shape, dtype) * jnp.sqrt(half / gamma(key_gamma, half, shape, dtype))


# The method


def _gamma(name: str, key: Any, a: Any, shape: Any, dtype: Any, in_logs: bool) -> Array:
    dtype, shape = float_dtype(name, dtype), joint_shape(name, shape, a=a)
    (a,) = parameters(name, shape, dtype, a=a)
    two_keys(name, key)  # finds out whether it is a key, in the name of the caller
    return lax.reshape(_draws(in_logs)(key, lax.reshape(a, (size(shape),))), shape)


@cache
def _draws(in_logs: bool) -> Any:
    """The function of a key and a vector of parameters that draws a number for each of them."""

    def draw(key: Array, a: Array) -> Array:
        return vmap(partial(_draw_one, in_logs))(split(key, a.shape[0]), a)

    draw = custom_jvp(jit(draw))

    @draw.defjvp
    def derivative(primals: tuple, tangents: tuple) -> tuple:
        key, a = primals
        drawn = draw(key, a)
        sample = lax.max(jnp.exp(drawn), lax.full_like(drawn, dtypes.finfo(drawn.dtype).tiny)) if in_logs else drawn
        slope = lax.random_gamma_grad(a, sample)
        return drawn, tangents[1] * (slope / sample if in_logs else slope)

    return draw


def _draw_one(in_logs: bool, key: Array, a: Array) -> Array:
    """A gamma distributed number, or its logarithm."""
    dtype = a.dtype
    boosted = a < 1
    d = lax.select(boosted, a + 1, a) - 1 / 3
    c = 1 / 3 / jnp.sqrt(d)
    number = partial(lax.full, (), dtype=dtype)

    def rejected(state: tuple) -> Array:
        _, x, v, u = state
        return (u >= 1 - 0.0331 * (x * x)) & (jnp.log(u) >= x * 0.5 + d * (1 - v + jnp.log(v)))

    def propose(state: tuple) -> tuple:
        key, key_normal, key_uniform = split(state[0], 3)
        x, v = _positive_cube_root(key_normal, c)
        return key, x * x, v * v * v, uniform(key_uniform, (), dtype)

    key, last = split(key)
    v = lax.while_loop(rejected, propose, (key, number(fill_value=0), number(fill_value=1), number(fill_value=2)))[2]
    if in_logs:
        boost = -exponential(last, (), dtype)
        return jnp.log(d) + jnp.log(v) + lax.select(boosted & (boost != 0), boost / a, number(fill_value=0))
    boost = lax.pow(1 - uniform(last, (), dtype), 1 / a)
    return d * v * lax.select(boosted, boost, number(fill_value=1))


def _positive_cube_root(key: Array, c: Array) -> tuple[Array, Array]:
    """A normal number x with 1 + c * x > 0, and this."""

    def again(state: tuple) -> tuple:
        key, subkey = split(state[0])
        x = normal(subkey, (), c.dtype)
        return key, x, 1 + x * c

    start = key, lax.full_like(c, 0), lax.full_like(c, -1)
    return lax.while_loop(lambda state: state[2] <= 0, again, start)[1:]
