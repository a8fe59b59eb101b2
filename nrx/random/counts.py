"""Draws of numbers of events: binomial, multinomial and Poisson.

Small expectations count waiting times until they exceed the limit (Devroye, "Non-Uniform Random Variate Generation",
1986, chapter X); large ones accept or reject (Hörmann, "The transformed rejection method for generating Poisson random
variables", 1993, and "The generation of binomial random variates", 1993).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import nrx.numpy as jnp
from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.shapes import canonical_shape
from nrx.random.continuous import float_dtype, joint_shape, parameters, uniform
from nrx.random.keys import split, two_keys
from nrx.transforms import jit

#: The expectation from which on numbers are accepted or rejected.
_LARGE = 10
#: log(k!) less Stirling's formula, for k = 0, 1, …, 9.
_STIRLING_TAIL = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.010411265261972, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def poisson(key: Any, lam: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Poisson distributed integers: how many events happen if `lam` are expected.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        lam: expectations, an array or a number; it is computed with in float32.
        shape: the shape of the result, to which `lam` broadcasts; by default the shape of `lam`.
        dtype: an integer dtype; by default the default integer.

    Returns:
        An array of that shape and dtype; -1 where `lam` is NaN.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no integer, or `lam` does not fit `shape`.

    >>> import nrx
    >>> x = nrx.random.poisson(nrx.random.PRNGKey(0), 4.0, (2000,))
    >>> bool(abs(x.mean() - 4) < 0.2)
    True
    """
    dtype = dtypes.canonical_dtype(int if dtype is None else dtype)
    if not dtypes.is_integer(dtype):
        raise DTypeError(f"poisson: dtype must be an integer, got {dtype}", fix="convert the result with .astype(...)")
    shape = joint_shape("poisson", shape, lam=lam)
    (lam,) = parameters("poisson", shape, dtypes.float32, lam=lam)
    two_keys("poisson", key)  # finds out whether it is a key
    return _poisson(key, lax.stop_gradient(lam), dtype)


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Binomially distributed numbers: how many of `n` trials succeed, when each does with probability `p`.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        n: how many trials, an array or a number.
        p: probabilities, a floating array or a number; its dtype is computed with.
        shape: the shape of the result, to which `n` and `p` broadcast; by default the shape they have together.
        dtype: float16, bfloat16, float32 or float64; by default the default float.

    Returns:
        An array of that shape and dtype; NaN where `p` is no probability or `n` is negative or NaN.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `n` or `p` does not fit.

    >>> import nrx
    >>> x = nrx.random.binomial(nrx.random.PRNGKey(0), 10, 0.3, (2000,))
    >>> bool(abs(x.mean() - 3) < 0.2)
    True
    """
    dtype, shape = float_dtype("binomial", dtype), joint_shape("binomial", shape, n=n, p=p)
    inner = float_dtype("binomial", dtypes.inexact_dtype(asarray(p, "binomial: p").dtype))
    n, p = parameters("binomial", shape, inner, n=n, p=p)
    two_keys("binomial", key)  # finds out whether it is a key
    return lax.convert_element_type(_binomial(key, lax.stop_gradient(n), lax.stop_gradient(p)), dtype)


def multinomial(key: Any, n: Any, p: Any, *, shape: Any = None, dtype: Any = None, unroll: int | bool = 1) -> Array:
    """Multinomially distributed vectors: how many of `n` trials have each of several outcomes.

    Args:
        key: a key of `nrx.random.key` (a scalar of dtype `key<fry>`) or of `PRNGKey` (a uint32 array of shape (2,)).
        n: how many trials, an array that broadcasts to the shape less its last axis, or a number.
        p: the probabilities of the outcomes, an array of shape (..., outcomes); they need not sum to 1.
        shape: the shape of the result, to which `p` broadcasts; by default the shape of `p`.
        dtype: float16, bfloat16, float32 or float64; by default the default float.
        unroll: for the `scan` over the outcomes.

    Returns:
        An array of that shape and dtype, which sums to `n` along its last axis.

    Raises:
        ArgumentTypeError, DTypeError, ShapeError: `key` is no key, `dtype` no float, or `n` or `p` does not fit.

    >>> import nrx
    >>> x = nrx.random.multinomial(nrx.random.PRNGKey(0), 20, nrx.numpy.array([0.5, 0.2, 0.3]))
    >>> float(x.sum())
    20.0
    """
    dtype, p = float_dtype("multinomial", dtype), asarray(p, "multinomial: p")
    shape = p.shape if shape is None else canonical_shape(shape)
    if not p.ndim or not shape:
        raise ShapeError("multinomial: p must have an axis, the last one, for the outcomes", fix="use binomial")
    n, inner = asarray(n, "multinomial: n"), dtypes.inexact_dtype(jnp.result_type(n, p))
    (n,), (p,) = parameters("multinomial", shape[:-1], inner, n=n), parameters("multinomial", shape, inner, p=p)
    p = jnp.moveaxis(p, -1, 0)
    left = lax.cumsum(p, 0, reverse=True)
    ratios = jnp.clip(p / jnp.where(left == 0, 1, left), 0, 1)

    def one(remainder: Array, ratio_and_key: tuple) -> tuple:
        ratio, subkey = ratio_and_key
        count = binomial(subkey, remainder, ratio, dtype=inner)
        return remainder - count, count

    counts = lax.scan(one, n, (ratios, split(key, len(p))), unroll=unroll)[1]
    return lax.convert_element_type(jnp.moveaxis(counts, 0, -1), dtype)


# Poisson


@partial(jit, static_argnums=2)
def _poisson(key: Array, lam: Array, dtype: np.dtype) -> Array:
    most = min(np.iinfo(dtype).max, np.iinfo(np.int32).max)
    small = jnp.isnan(lam) | (lam < _LARGE)
    few = _poisson_by_waiting(key, jnp.where(small, lam, 0), dtype, most)
    many = _poisson_by_rejection(key, jnp.where(small, 1e5, lam), most).astype(dtype)
    return jnp.where(lam == 0, 0, jnp.where(small, few, many))


def _poisson_by_waiting(key: Array, lam: Array, dtype: np.dtype, most: int) -> Array:
    """Count how many factors, uniform in [0, 1), it takes until the product is below exp(-lam)."""

    def step(state: tuple) -> tuple:
        i, count, key, log_product = state
        key, subkey = split(key)
        count = jnp.where(log_product > -lam, count + 1, count)
        return i + 1, count, key, log_product + jnp.log(uniform(subkey, lam.shape, lam.dtype))

    start = 0, jnp.zeros(lam.shape, dtype), key, jnp.zeros_like(lam)
    return lax.while_loop(lambda s: jnp.any(s[3] > -lam) & (s[0] < most), step, start)[1] - 1


def _poisson_by_rejection(key: Array, lam: Array, most: int) -> Array:
    log_lam, b = jnp.log(lam), 0.931 + 2.53 * jnp.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)

    def propose(key_u: Array, key_v: Array) -> tuple[Array, Array]:
        u, v = uniform(key_u, lam.shape, lam.dtype) - 0.5, uniform(key_v, lam.shape, lam.dtype)
        edge = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / edge + b) * u + lam + 0.43)
        s = jnp.log(v * inverse_alpha / (a / (edge * edge) + b))
        inside = (edge >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        outside = (k < 0) | ((edge < 0.013) & (v > edge))
        return k, inside | (~outside & (s <= -lam + k * log_lam - lax.lgamma(k + 1)))

    return _until_accepted(propose, key, jnp.full_like(lam, -1), most)


def _until_accepted(propose: Callable, key: Array, start: Array, most: int) -> Array:
    """The first proposal for each element that is accepted: `propose` takes two keys, and says which ones are."""

    def step(state: tuple) -> tuple:
        i, result, accepted, key = state
        key, *keys = split(key, 3)
        proposal, accept = propose(*keys)
        return i + 1, jnp.where(accept, proposal, result), accepted | accept, key

    state = 0, start, jnp.zeros(start.shape, bool), key
    return lax.while_loop(lambda s: ~jnp.all(s[2]) & (s[0] < most), step, state)[1]


# Binomial


@jit
def _binomial(key: Array, n: Array, p: Array) -> Array:
    most = np.iinfo(np.int32).max
    rare = p < 0.5
    q = jnp.where(rare, p, 1 - p)
    no_count, endless = jnp.isnan(n) | (n < 0), jnp.isinf(n)
    invalid = no_count | jnp.isnan(q) | (q < 0)
    q = jnp.where(jnp.isnan(q) | (q < 0), 0.01, q)
    small = no_count | (n * q <= _LARGE)
    whole = jnp.floor(n)
    few = _binomial_by_waiting(key, jnp.where(small, whole, 0), q, most)
    # An infinite number of trials would be rejected for ever.
    many = _binomial_by_rejection(key, jnp.where(small | endless, 1e4, whole), jnp.where(small, 0.5, q), most)
    count = jnp.where(small, few, many)
    count = jnp.where(invalid, jnp.nan, jnp.where(endless, jnp.inf, count))
    return jnp.where(rare | invalid | endless, count, whole - count)


def _binomial_by_waiting(key: Array, n: Array, p: Array, most: int) -> Array:
    """Count how many waiting times for a success, in trials, it takes until their sum exceeds n."""
    scale = jnp.log1p(-p)

    def step(state: tuple) -> tuple:
        i, count, total, key = state
        subkey, key = split(key)
        count = jnp.where(total <= n, count + 1, count)
        return i + 1, count, total + jnp.ceil(jnp.log(uniform(subkey, p.shape, p.dtype)) / scale), key

    start = 0, jnp.zeros_like(p), jnp.zeros_like(p), key
    return lax.while_loop(lambda s: jnp.any(s[2] <= n) & (s[0] < most), step, start)[1] - 1


def _binomial_by_rejection(key: Array, n: Array, p: Array, most: int) -> Array:
    deviation = jnp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    odds = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = jnp.floor((n + 1) * p)

    def propose(key_u: Array, key_v: Array) -> tuple[Array, Array]:
        u, v = uniform(key_u, p.shape, p.dtype) - 0.5, uniform(key_v, p.shape, p.dtype)
        edge = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / edge + b) * u + (n * p + 0.5))
        bound = (
            (mode + 0.5) * jnp.log((mode + 1) / (odds * (n - mode + 1)))
            + (n + 1) * jnp.log((n - mode + 1) / (n - k + 1))
            + (k + 0.5) * jnp.log(odds * (n - k + 1) / (k + 1))
            + (_stirling_tail(mode) + _stirling_tail(n - mode) - _stirling_tail(k) - _stirling_tail(n - k))
        )
        inside = (edge >= 0.07) & (v <= 0.92 - 4.2 / b)
        outside = (k < 0) | (k > n)
        return k, inside | (~outside & (jnp.log(v * alpha / (a / (edge * edge) + b)) <= bound))

    return _until_accepted(propose, key, jnp.full_like(p, -1), most)


def _stirling_tail(k: Array) -> Array:
    """log(k!) less Stirling's formula; from 9 on that of 9, as in JAX."""
    table = jnp.array(np.array(_STIRLING_TAIL)).astype(k.dtype)
    return table[jnp.clip(k, 0, len(_STIRLING_TAIL) - 1).astype(dtypes.int32)]
