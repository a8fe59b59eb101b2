"""Ranks, the most frequent value, and the standard error of the mean."""

from typing import Any, NamedTuple

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError
from nrx.core.shapes import canonical_axis
from nrx.numpy.promotion import as_inexact


class ModeResult(NamedTuple):
    """What `mode` returns: the most frequent values, and how often they occur."""

    mode: Array
    count: Array  # type: ignore[assignment]  # SciPy's name hides the method of tuples


def mode(a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False) -> ModeResult:
    """The most frequent value along an axis; of several the least.

    Args:
        a: a real array.
        axis: the axis; None for all elements.
        nan_policy: "propagate", the only policy: NaN is a value like others.
        keepdims: whether the axis stays, with length 1.

    Returns:
        The values, in the dtype of a, and how often each occurs; both without the axis. Along an axis of length 0 they
        are NaN and 0.

    Raises:
        ArgumentError: another policy.
        AxisError: there is no such axis.

    >>> nrx.scipy.stats.mode(jnp.array([3, 1, 1, 3, 2])).mode
    Array(1, dtype=int32)
    """
    _check_policy("mode", nan_policy, ("propagate",))
    x = asarray(a, "mode: a")
    kept = tuple(1 for _ in x.shape) if axis is None else None
    x = jnp.atleast_1d(x.reshape(-1) if axis is None else x)
    at = 0 if axis is None else canonical_axis(axis, x.ndim)
    rows = jnp.moveaxis(x, at, -1)
    if rows.shape[-1]:
        rows = jnp.sort(rows, -1)
        first, _ = _runs(rows)
        counts = (lax.broadcasted_iota(first.dtype, rows.shape, rows.ndim - 1) - first + 1).astype(int)
        best = jnp.argmax(counts, -1, keepdims=True)
        value, count = (jnp.take_along_axis(y, best, -1) for y in (rows, counts))
    else:
        value, count = (jnp.full((*rows.shape[:-1], 1), y, float) for y in (jnp.nan, 0))
    value, count = jnp.moveaxis(value, -1, at), jnp.moveaxis(count, -1, at)
    if not keepdims:
        return ModeResult(jnp.squeeze(value, at), jnp.squeeze(count, at))
    return ModeResult(value, count) if kept is None else ModeResult(value.reshape(kept), count.reshape(kept))


def rankdata(a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate") -> Array:
    """The ranks of elements, from 1.

    Args:
        a: a real array.
        method: what equal elements get: the "average" of their ranks, the least ("min") or greatest ("max") of them,
            one rank for all and the next one for the next value ("dense"), or ranks in the order they stand in
            ("ordinal").
        axis: the axis along which is ranked; None ranks all elements, as one vector.
        nan_policy: "propagate", the only policy: with a NaN among them all ranks are NaN.

    Returns:
        An array of the default float, of the shape of `a`, or of one axis if `axis` is None.

    Raises:
        ArgumentError: the method or the policy is none of those.
        AxisError: there is no such axis.

    >>> nrx.scipy.stats.rankdata(jnp.array([10.0, 30.0, 10.0, 20.0]))
    Array([1.5, 4. , 1.5, 3. ], dtype=float32)
    """
    _check_policy("rankdata", nan_policy, ("propagate",))
    methods = ("average", "min", "max", "dense", "ordinal")
    if method not in methods:
        raise ArgumentError(f"rankdata: method must be one of {', '.join(methods)}, got {method!r}")
    x = asarray(a, "rankdata: a")
    rows = x.reshape(-1) if axis is None else jnp.moveaxis(x, canonical_axis(axis, x.ndim), -1)
    if not rows.size:
        ranks = jnp.zeros(rows.shape, float)
    else:
        order = jnp.argsort(rows, -1, stable=True)
        rows_in_order = jnp.take_along_axis(rows, order, -1)
        first, last = _runs(rows_in_order)
        place = lax.broadcasted_iota(first.dtype, rows.shape, rows.ndim - 1)
        number = {
            "average": lambda: (first + last).astype(float) / 2,
            "min": lambda: first,
            "max": lambda: last,
            "dense": lambda: jnp.cumsum((first == place).astype(first.dtype), -1) - 1,
            "ordinal": lambda: place,
        }[method]()
        ranks = jnp.take_along_axis(number, jnp.argsort(order, -1, stable=True), -1).astype(float) + 1
        ranks = jnp.where(jnp.any(rows != rows, -1, keepdims=True), jnp.nan, ranks)
    return ranks if axis is None else jnp.moveaxis(ranks, -1, axis)


def sem(a: Any, axis: int | None = 0, ddof: int = 1, nan_policy: str = "propagate", *, keepdims: bool = False) -> Array:
    """The standard error of the mean: the standard deviation over the square root of the number.

    Args:
        a: an array.
        axis: the axis; None for all elements.
        ddof: what is subtracted from the number of elements in the divisor of the variance.
        nan_policy: "propagate", or "omit" to leave NaN out.
        keepdims: whether the axis stays, with length 1.

    Returns:
        A real array without the axis; integers become the default float.

    Raises:
        ArgumentError: another policy.
        AxisError: there is no such axis.

    >>> nrx.scipy.stats.sem(jnp.array([1.0, 2.0, 3.0, 4.0])).round(4)
    Array(0.6455, dtype=float32)
    """
    _check_policy("sem", nan_policy, ("propagate", "omit"))
    x = as_inexact("sem", a)
    counted = jnp.isfinite(x) | jnp.isinf(x) if nan_policy == "omit" else None
    deviation = jnp.std(x, axis, ddof=ddof, keepdims=keepdims, where=counted)
    ones = jnp.ones(x.shape, deviation.dtype) if counted is None else counted.astype(deviation.dtype)
    return deviation / jnp.sqrt(jnp.sum(ones, axis, keepdims=keepdims))


def _runs(rows: Array) -> tuple[Array, Array]:
    """For each element of sorted rows the places of the first and of the last of those that equal it."""
    count, axis = rows.shape[-1], rows.ndim - 1
    place = lax.broadcasted_iota("int32", rows.shape, axis)
    changes = rows[..., 1:] != rows[..., :-1]
    if jnp.issubdtype(rows.dtype, jnp.floating):
        changes &= ~(jnp.isnan(rows[..., 1:]) & jnp.isnan(rows[..., :-1]))
    end = jnp.ones((*rows.shape[:-1], 1), bool)
    first = lax.cummax(jnp.where(jnp.concatenate([end, changes], -1), place, 0), axis)
    last = lax.cummin(jnp.where(jnp.concatenate([changes, end], -1), place, count - 1), axis, reverse=True)
    return first, last


def _check_policy(name: str, nan_policy: str, known: tuple[str, ...]) -> None:
    if nan_policy not in known:
        raise ArgumentError(f"{name}: nan_policy must be {' or '.join(map(repr, known))}, got {nan_policy!r}")
