"""More activation functions under the names of `jax.nn`: piecewise ones, gates, and attention."""

import math
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.shapes import canonical_axis, show
from nrx.nn.activations import relu6, softmax, softplus
from nrx.numpy.promotion import as_inexact
from nrx.scipy.special import logsumexp


def identity(x: Any) -> Array:
    """x, as it is.

    Args:
        x: an array.

    Returns:
        `x`, in its shape and dtype.

    >>> nrx.nn.identity(nrx.numpy.array([1.0]))
    Array([1.], dtype=float32)
    """
    return asarray(x, "identity: x")


def celu(x: Any, alpha: Any = 1.0) -> Array:
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0): an `elu` with a continuous derivative.

    Args:
        x: a real array.
        alpha: minus the limit for x to minus infinity, positive.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    Barron, "Continuously differentiable exponential linear units", 2017.

    >>> nrx.nn.celu(nrx.numpy.array([-1.0, 2.0])).round(3)
    Array([-0.632,  2.   ], dtype=float32)
    """
    x = as_inexact("celu", x)
    positive = x > 0
    return jnp.where(positive, x, alpha * lax.expm1(jnp.where(positive, 0, x) / alpha))


def soft_sign(x: Any) -> Array:
    """x / (1 + |x|).

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> nrx.nn.soft_sign(nrx.numpy.array([-1.0, 3.0]))
    Array([-0.5 ,  0.75], dtype=float32)
    """
    x = as_inexact("soft_sign", x)
    return x / (1 + jnp.abs(x))


def hard_tanh(x: Any) -> Array:
    """x, limited to [-1, 1], with the derivative 0 outside.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> nrx.nn.hard_tanh(nrx.numpy.array([-2.0, 0.5]))
    Array([-1. ,  0.5], dtype=float32)
    """
    x = asarray(x, "hard_tanh: x")
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


def hard_sigmoid(x: Any) -> Array:
    """relu6(x + 3) / 6, straight lines in place of the sigmoid.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> nrx.nn.hard_sigmoid(nrx.numpy.array([-4.0, 0.0, 3.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return relu6(as_inexact("hard_sigmoid", x) + 3) / 6


def hard_silu(x: Any) -> Array:
    """x * hard_sigmoid(x), also called hard swish.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    Howard et al., "Searching for MobileNetV3", 2019.

    >>> nrx.nn.hard_silu(nrx.numpy.array([-4.0, 0.0, 3.0])) + 0
    Array([0., 0., 3.], dtype=float32)
    """
    x = as_inexact("hard_silu", x)
    return x * hard_sigmoid(x)


def mish(x: Any) -> Array:
    """x * tanh(softplus(x)).

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    Misra, "Mish: a self regularized non-monotonic activation function", 2019.

    >>> nrx.nn.mish(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([0.   , 0.865], dtype=float32)
    """
    x = as_inexact("mish", x)
    return x * jnp.tanh(softplus(x))


def squareplus(x: Any, b: Any = 4) -> Array:
    """(x + sqrt(x**2 + b)) / 2, a smooth `relu`.

    Args:
        x: a real array.
        b: how smooth it is, not negative.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> nrx.nn.squareplus(nrx.numpy.array([0.0, 1.5]))
    Array([1., 2.], dtype=float32)
    """
    x = as_inexact("squareplus", x)
    return 0.5 * (x + jnp.sqrt(jnp.square(x) + b))


def sparse_plus(x: Any) -> Array:
    """0 below -1, (x + 1)**2 / 4 up to 1, then x.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> nrx.nn.sparse_plus(nrx.numpy.array([-2.0, 0.0, 3.0]))
    Array([0.  , 0.25, 3.  ], dtype=float32)
    """
    x = as_inexact("sparse_plus", x)
    return jnp.where(x <= -1, 0, jnp.where(x >= 1, x, (x + 1) ** 2 / 4))


def sparse_sigmoid(x: Any) -> Array:
    """(x + 1) / 2, limited to [0, 1]: the derivative of `sparse_plus`.

    Args:
        x: a real array.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    >>> nrx.nn.sparse_sigmoid(nrx.numpy.array([-2.0, 0.0, 3.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return 0.5 * jnp.clip(as_inexact("sparse_sigmoid", x) + 1, 0, 2)


def log1mexp(x: Any) -> Array:
    """log(1 - exp(-x)), without cancellation.

    Args:
        x: a real array, not negative.

    Returns:
        An array of the shape of `x`, of a floating dtype.

    Mächler, "Accurately computing log(1 - exp(-|a|))", 2012.

    >>> nrx.nn.log1mexp(nrx.numpy.array([0.0, 1.0])).round(3)
    Array([  -inf, -0.459], dtype=float32)
    """
    x = as_inexact("log1mexp", x)
    near = x < math.log(2)
    return jnp.where(near, jnp.log(-lax.expm1(-jnp.where(near, x, 1))), lax.log1p(-jnp.exp(-jnp.where(near, 1, x))))


def glu(x: Any, axis: int = -1) -> Array:
    """The first half of an array times the sigmoid of the second: a gated linear unit.

    Args:
        x: a real array whose length along the axis is even.
        axis: the axis that is halved.

    Returns:
        An array of half that length, of a floating dtype.

    Raises:
        ShapeError: the length is odd.
        AxisError: there is no such axis.

    >>> nrx.nn.glu(nrx.numpy.array([3.0, 0.0]))
    Array([1.5], dtype=float32)
    """
    x = as_inexact("glu", x)
    axis = canonical_axis(axis, x.ndim)
    if x.shape[axis] % 2:
        raise ShapeError(f"glu: the length of axis {axis} must be even, got shape {show(x.shape)}")
    value, gate = jnp.split(x, 2, axis)
    return value * lax.logistic(gate)


def logmeanexp(x: Any, axis: Any = None, where: Any = None, keepdims: bool = False) -> Array:
    """log(mean(exp(x))) along axes, without overflow.

    Args:
        x: a real array.
        axis: the axes; None for all.
        where: a boolean array that broadcasts to `x`: what counts.
        keepdims: whether to keep the axes, with length 1.

    Returns:
        An array of a floating dtype.

    >>> nrx.nn.logmeanexp(nrx.numpy.array([1000.0, 1000.0]))
    Array(1000., dtype=float32)
    """
    x = as_inexact("logmeanexp", x)
    total = logsumexp(x, axis, where=where, keepdims=keepdims)
    counted = jnp.ones(x.shape, bool) if where is None else jnp.broadcast_to(where, x.shape)
    return total - jnp.log(jnp.sum(counted, axis, keepdims=keepdims).astype(total.dtype))


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: Any = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """softmax(query @ key.T * scale + bias) @ value, for each head: scaled dot-product attention.

    Args:
        query: an array of shape (batch, T, heads, features), or without the batch.
        key, value: arrays of shape (batch, S, groups, features), or without the batch; the number of groups divides
            that of heads, and as many heads share a group.
        bias: what is added to the scores, an array that broadcasts to (batch, heads, T, S).
        mask: which scores count, a boolean array that broadcasts to (batch, heads, T, S).
        scale: the factor of the scores; by default 1 / sqrt(features).
        is_causal: whether a position sees only those up to itself.
        query_seq_lengths, key_value_seq_lengths: how many positions count, integer arrays of shape (batch,); beyond,
            the result is 0, and keys do not count.
        local_window_size: how many positions before and after itself a position sees; one number means both.
        implementation: None or "xla", which mean the same here.
        return_residual: whether to return the logarithms of the sums of exp(scores), too.

    Returns:
        An array of the shape and dtype of `query`; with `return_residual` a pair of it and an array of shape
        (batch, T, heads), or without the batch. Positions that see nothing get the mean of all values.

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: a mask that is not boolean, lengths that are not integers.
        ArgumentError: another implementation.

    Vaswani et al., "Attention is all you need", NeurIPS 2017.

    >>> x = nrx.numpy.ones((1, 4, 2, 8))
    >>> nrx.nn.dot_product_attention(x, x, x, is_causal=True).shape
    (1, 4, 2, 8)
    """
    if implementation not in (None, "xla"):
        raise ArgumentError(f"dot_product_attention: implementation must be None or 'xla', got {implementation!r}")
    q, k, v = (asarray(x, f"dot_product_attention: {n}") for n, x in (("query", query), ("key", key), ("value", value)))
    batched = q.ndim == 4
    if not batched:
        q, k, v = (x[None] for x in (q, k, v))
    _check_attention(q, k, v)
    heads, groups = q.shape[2], k.shape[2]
    k, v = (jnp.repeat(x, heads // groups, 2) if heads != groups else x for x in (k, v))
    scores = jnp.einsum("btnh,bsnh->bnts", q, k).astype(jnp.promote_types(q.dtype, jnp.float32))
    scores = scores * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    bias, mask = (_broadcasting(name, x, scores.shape) for name, x in (("bias", bias), ("mask", mask)))
    query_seq_lengths, key_value_seq_lengths = (
        _lengths(name, x, len(scores))
        for name, x in (("query_seq_lengths", query_seq_lengths), ("key_value_seq_lengths", key_value_seq_lengths))
    )
    if bias is not None:
        scores = scores + bias
    seen = _visible(scores.shape, mask, is_causal, local_window_size, query_seq_lengths, key_value_seq_lengths)
    if seen is not None:
        scores = jnp.where(seen, scores, 0.7 * float(jnp.finfo(scores.dtype).min))
    out = jnp.einsum("bnts,bsnh->btnh", softmax(scores).astype(v.dtype), v)
    if query_seq_lengths is not None:
        rows = jnp.arange(q.shape[1])[None, :] < query_seq_lengths[:, None]
        out = jnp.where(rows[:, :, None, None], out, 0)
    out = out.astype(q.dtype) if batched else out[0].astype(q.dtype)
    if not return_residual:
        return out
    sums = jnp.swapaxes(logsumexp(scores, -1), 1, 2).astype(q.dtype)
    return out, (sums if batched else sums[0])


def _check_attention(q: Array, k: Array, v: Array) -> None:
    """Raise ShapeError unless query, key and value, with a batch, fit together."""
    fits = q.ndim == k.ndim == v.ndim == 4 and k.shape == v.shape
    if not (
        fits and q.shape[0] == k.shape[0] and q.shape[3] == k.shape[3] and k.shape[2] and not q.shape[2] % k.shape[2]
    ):
        raise ShapeError(
            f"dot_product_attention: query must be of shape (batch, T, heads, features), key and value of shape "
            f"(batch, S, groups, features), where groups divides heads; got {show(q.shape)}, {show(k.shape)} and "
            f"{show(v.shape)}"
        )


def _broadcasting(name: str, value: Any, shape: tuple) -> Array | None:
    """A bias or a mask, if there is one, which broadcasts to the shape of the scores."""
    if value is None:
        return None
    array = asarray(value, f"dot_product_attention: {name}")
    if name == "mask" and array.dtype != bool:
        raise DTypeError(
            f"dot_product_attention: mask must be boolean, True for what counts, got {array.dtype}",
            fix="for numbers to be added to the scores, such as 0 and -inf, pass bias=; else mask=x != 0",
        )
    lengths = zip(array.shape[::-1], shape[::-1], strict=False)
    if array.ndim > len(shape) or any(n not in (1, m) for n, m in lengths):
        raise ShapeError(
            f"dot_product_attention: {name} must broadcast to (batch, heads, T, S) = {show(shape)}, got "
            f"{show(array.shape)}",
            fix=f"for one {name} an example, the same for all heads, pass {name}[:, None]",
        )
    return array


def _lengths(name: str, value: Any, batch: int) -> Array | None:
    """Numbers of positions, if there are such: one an example."""
    if value is None:
        return None
    array = asarray(value, f"dot_product_attention: {name}")
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise DTypeError(
            f"dot_product_attention: {name} must be integers, got {array.dtype}", fix="convert it: x.astype('int32')"
        )
    if array.shape != (batch,):
        raise ShapeError(
            f"dot_product_attention: {name} must be of shape (batch,) = {show((batch,))}, got {show(array.shape)}",
            fix="pass one number for each example",
        )
    return array


def _visible(
    shape: tuple, mask: Array | None, causal: bool, window: Any, queries: Array | None, keys: Array | None
) -> Array | None:
    """Which scores count, broadcasting to (batch, heads, T, S); None if all do."""
    row, column = jnp.arange(shape[2])[:, None], jnp.arange(shape[3])[None, :]
    parts = [] if mask is None else [mask]
    if causal:
        parts.append(column <= row)
    if window is not None:
        before, after = (window, window) if isinstance(window, int) else window
        parts.append((column >= row - before) & (column <= row + after))
    if queries is not None:
        parts.append(row < queries[:, None, None, None])
    if keys is not None:
        parts.append(column < keys[:, None, None, None])
    seen = None
    for part in parts:
        seen = part if seen is None else seen & part
    return seen


hard_swish = hard_silu
