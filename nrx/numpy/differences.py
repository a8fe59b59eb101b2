"""Differences, numerical integrals and interpolation, convolution, covariance."""

import math
from collections.abc import Sequence
from operator import index
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.shapes import canonical_axes, canonical_axis, show
from nrx.numpy import reductions, statistics
from nrx.numpy.arithmetic import clip, remainder
from nrx.numpy.indexing import take
from nrx.numpy.joining import concatenate
from nrx.numpy.logic import isfinite, logical_and, not_equal, where
from nrx.numpy.manipulation import broadcast_to, moveaxis
from nrx.numpy.parts import real
from nrx.numpy.products import contract
from nrx.numpy.promotion import as_inexact, convert, promote_dtypes
from nrx.numpy.searching import searchsorted
from nrx.ops.common import as_arrays


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """The differences of neighbours along an axis, n times over.

    Args:
        a: an array of at least 1 axis. Booleans give whether neighbours differ.
        n: how many times.
        axis: an axis.
        prepend: what to put before a first: a scalar, or an array of the other lengths of a.
        append: what to put behind a first.

    Returns:
        An array of the dtype of a, with its shape but for the axis, which is n shorter.

    Raises:
        ArgumentError: n is negative.
        ShapeError: a is a scalar.

    >>> jnp.diff(jnp.array([1, 4, 9, 16]))
    Array([3, 5, 7], dtype=int32)
    """
    if index(n) < 0:
        raise ArgumentError(f"diff: n must not be negative, got {n}")
    (x,) = as_arrays("diff", a)
    if not x.ndim:
        raise ShapeError("diff needs an array of at least 1 axis", fix="use x[None]")
    at = canonical_axis(axis, x.ndim)
    if not n:
        return x
    parts = promote_dtypes("diff", *(part for part in (prepend, x, append) if part is not None))
    edge = (*x.shape[:at], 1, *x.shape[at + 1 :])
    x = concatenate([part if part.ndim else broadcast_to(part, edge) for part in parts], at)
    for _ in range(min(n, x.shape[at])):
        after, before = lax.slice_in_dim(x, 1, None, axis=at), lax.slice_in_dim(x, 0, -1, axis=at)
        x = not_equal(after, before) if dtypes.is_bool(x.dtype) else after - before
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    """The differences of neighbours in the flat array.

    Args:
        ary: an array.
        to_end: what comes behind the differences, in the dtype of ary.
        to_begin: what comes before them.

    Returns:
        A vector, one shorter than ary with what comes before and behind, of the dtype of ary.

    >>> jnp.ediff1d(jnp.array([1, 4, 9]), to_begin=0)
    Array([0, 3, 5], dtype=int32)
    """
    (x,) = as_arrays("ediff1d", ary)
    steps = diff(x.reshape(-1))
    ends = [
        None if end is None else convert(f"ediff1d: {what}", end, x.dtype).reshape(-1)
        for what, end in (("to_begin", to_begin), ("to_end", to_end))
    ]
    return concatenate([part for part in (ends[0], steps, ends[1]) if part is not None])


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Derivatives of samples along axes: central differences inside, one-sided ones at the ends.

    Args:
        f: an array of samples, of at least 2 (3 for edge_order 2) along each axis.
        varargs: the distance of the samples (1 by default), or their places along the axis, a vector; one for all axes,
            or one an axis.
        axis: an axis or a tuple of axes; None means all.
        edge_order: 1 or 2: the order of the differences at the ends.

    Returns:
        An array of the shape of f, or, for several axes, a list of arrays; of the default float for integers.

    Raises:
        ArgumentError: neither one nor as many distances as axes, or another edge order.
        ShapeError: too few samples, or places that are not as many as the samples.

    >>> jnp.gradient(jnp.array([1.0, 2.0, 4.0, 7.0]))
    Array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    x = as_inexact("gradient", f)
    axes = canonical_axes(axis, x.ndim)
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient: edge_order is 1 or 2, got {edge_order}")
    if len(varargs) not in (0, 1, len(axes)):
        raise ArgumentError(f"gradient: {len(varargs)} distances for {len(axes)} axes")
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    for at in axes:
        if x.shape[at] < edge_order + 1:
            raise ShapeError(f"gradient: axis {at} of shape {show(x.shape)} has fewer than {edge_order + 1} samples")
    found = [_slopes(x, h, at, edge_order) for h, at in zip(spacings, axes, strict=True)]
    return found[0] if len(axes) == 1 else found


def _slopes(x: Array, spacing: Any, axis: int, edge_order: int) -> Array:
    """Derivatives along an axis, by the differences of second order for unequal steps."""
    h = promote_dtypes("gradient", x, spacing)[1]
    if h.ndim > 1 or (h.ndim and h.size != x.shape[axis]):
        raise ShapeError(f"gradient: places of shape {show(h.shape)} for {x.shape[axis]} samples along axis {axis}")
    line = moveaxis(x, axis, -1)
    steps = diff(h) if h.ndim else broadcast_to(h, (x.shape[axis] - 1,))
    slopes = diff(line) / steps
    left, right = steps[:-1], steps[1:]
    before, middle, after = line[..., :-2], line[..., 1:-1], line[..., 2:]
    if h.ndim:
        # Where all steps are equal the middle weighs nothing, even where it is not finite.
        weighted = where(
            logical_and(reductions.all(left == right), ~isfinite(middle)), 0, middle * ((right - left) / (left * right))
        )
        inner = weighted + (after * (left / right) - before * (right / left)) / (left + right)
    else:
        inner = (after - before) / (2 * h)
    first, last = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:
        # The parabola through three points, at its ends.
        first = first + (first - slopes[..., 1:2]) * (steps[0] / (steps[0] + steps[1]))
        last = last + (last - slopes[..., -2:-1]) * (steps[-1] / (steps[-1] + steps[-2]))
    return moveaxis(concatenate([first, inner, last], -1), -1, axis)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """The integral of samples along an axis, by the trapezoidal rule.

    Args:
        y: an array of samples.
        x: their places, a vector or an array of the shape of y.
        dx: the distance of the samples where there are no places.
        axis: an axis.

    Returns:
        An array without the axis, of a floating or complex dtype.

    >>> jnp.trapezoid(jnp.array([1.0, 2.0, 3.0]))
    Array(4., dtype=float32)
    """
    if x is None:
        y, step = promote_dtypes("trapezoid", y, dx, inexact=True)
        line = moveaxis(y, axis, -1)
    else:
        y, places = promote_dtypes("trapezoid", y, x, inexact=True)
        line = moveaxis(y, axis, -1)
        step = diff(places) if places.ndim == 1 else diff(moveaxis(places, axis, -1))
    return 0.5 * (step * (line[..., 1:] + line[..., :-1])).sum(-1)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Array:
    """Straight lines between given points.

    Args:
        x: where, a real array.
        xp: the places of the points, a vector in ascending order (in any order with a period).
        fp: their values, a vector, real or complex.
        left: the value before the first place, or "extrapolate"; by default the first value.
        right: the value behind the last place, or "extrapolate"; by default the last value.
        period: the period of x and xp.

    Returns:
        An array of the shape of x, of a floating or complex dtype.

    Raises:
        ShapeError: xp and fp are not vectors of one length, or empty.
        ArgumentError: the period is 0.

    >>> jnp.interp(jnp.array([0.5, 3.0]), jnp.array([0.0, 1.0, 2.0]), jnp.array([10.0, 20.0, 0.0]))
    Array([15.,  0.], dtype=float32)
    """
    x, xp = promote_dtypes("interp", x, xp, inexact=True)
    fp = promote_dtypes("interp", fp, x)[0]
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise ShapeError(f"interp: xp {show(xp.shape)} and fp {show(fp.shape)} must be vectors of one length above 0")
    if dtypes.is_complex(x.dtype):
        raise DTypeError("interp: x and xp must be real")
    if period is not None:
        if isinstance(period, int | float) and not period:
            raise ArgumentError("interp: the period must not be 0")
        period = lax.abs(as_arrays("interp", period)[0].astype(x.dtype))
        x, xp = remainder(x, period), remainder(xp, period)
        order = lax.sort_key_val(xp, lax.iota(dtypes.int32, xp.size), 0)[1]
        xp, fp = xp[order], fp[order]
        xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = concatenate([fp[-1:], fp, fp[:1]])
    if xp.size == 1:
        inside = broadcast_to(fp[0], x.shape)
    else:
        i = clip(searchsorted(xp, x, "right"), 1, xp.size - 1)
        start, end, low, high = (take(v, k, mode="clip") for v, k in ((xp, i - 1), (xp, i), (fp, i - 1), (fp, i)))
        width = end - start
        flat = width == 0
        inside = where(flat, low, low + (x - start) / where(flat, lax.full_like(width, 1), width) * (high - low))
    if period is not None:
        return inside
    for side, outside, edge in ((left, x < xp[0], fp[0]), (right, x > xp[-1], fp[-1])):
        if not (isinstance(side, str) and side == "extrapolate"):
            inside = where(outside, (edge if side is None else side), inside).astype(inside.dtype)
    return where(x == xp[-1], fp[-1], inside) if xp.size > 1 else inside


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * math.pi) -> Array:
    """Angles along an axis without their jumps: each differs from the one before by at most half a period.

    Args:
        p: a real array.
        discont: the least step that counts as a jump; by default half a period.
        axis: an axis.
        period: the period.

    Returns:
        An array of the shape of p, in the dtype in which p and the period meet, integers with a float in the default
        float.

    >>> jnp.unwrap(jnp.array([0, 3, 6, 1, 4]), period=7)
    Array([ 0.,  3.,  6.,  8., 11.], dtype=float32)
    """
    (x,) = as_arrays("unwrap", p)
    (x,) = (x,) if isinstance(period, int) and dtypes.is_integer(x.dtype) else (as_inexact("unwrap", x),)
    at = canonical_axis(axis, x.ndim)
    if not x.shape[at]:
        return x
    steps = diff(x, axis=at)
    whole = lax.full_like(steps, 0) + period
    half = whole / 2
    least = -half
    moved = remainder(steps - least, whole) + least
    moved = where(logical_and(moved == least, steps > 0), half, moved)
    jumps = where(lax.abs(steps) < (half if discont is None else discont), 0, moved - steps)
    rest = lax.slice_in_dim(x, 1, None, axis=at) + reductions.cumsum(jumps, at)
    return concatenate([lax.slice_in_dim(x, 0, min(1, x.shape[at]), axis=at).astype(rest.dtype), rest], at)


def convolve(a: Any, v: Any, mode: str = "full", *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The convolution of two vectors.

    Args:
        a: a vector.
        v: a vector.
        mode: "full": wherever they overlap; "same": as long as the longer one; "valid": where they overlap wholly.
        precision: how exactly an accelerator multiplies float32.
        preferred_element_type: the dtype of the products and the result; by default the common one.

    Returns:
        A vector.

    Raises:
        ArgumentError: another mode.
        DTypeError: a preferred_element_type of another kind, such as an integer for floats.
        ShapeError: not two vectors with elements.

    >>> jnp.convolve(jnp.array([1, 2, 3]), jnp.array([1, 1]))
    Array([1, 3, 5, 3], dtype=int32)
    """
    x, y = _vectors("convolve", a, v, mode)
    if x.size < y.size:
        x, y = y, x
    return _slid(x, lax.rev(y, [0]), mode, precision, preferred_element_type)


def correlate(
    a: Any, v: Any, mode: str = "valid", *, precision: Any = None, preferred_element_type: Any = None
) -> Array:
    """The cross-correlation of two vectors: sums of a[n + k] * conj(v[n]).

    Args:
        a: a vector.
        v: a vector.
        mode: as for convolve.
        precision: how exactly an accelerator multiplies float32.
        preferred_element_type: the dtype of the products and the result; by default the common one.

    Returns:
        A vector.

    Raises:
        ArgumentError: another mode.
        DTypeError: a preferred_element_type of another kind, such as an integer for floats.
        ShapeError: not two vectors with elements.

    >>> jnp.correlate(jnp.array([1, 2, 3]), jnp.array([0, 1]))
    Array([2, 3], dtype=int32)
    """
    x, y = _vectors("correlate", a, v, mode)
    y = lax.conj(y) if dtypes.is_complex(y.dtype) else y
    if x.size >= y.size:
        return _slid(x, y, mode, precision, preferred_element_type)
    # NumPy's results for the shorter vector in front come in the opposite order.
    return lax.rev(_slid(y, x, mode, precision, preferred_element_type), [0])


def _vectors(name: str, a: Any, v: Any, mode: str) -> list[Array]:
    if mode not in ("full", "same", "valid"):
        raise ArgumentError(f"{name}: mode is 'full', 'same' or 'valid', got {mode!r}")
    arrays = promote_dtypes(name, a, v)
    if any(x.ndim != 1 or not x.size for x in arrays):
        shapes = " and ".join(show(x.shape) for x in arrays)
        raise ShapeError(f"{name} takes two vectors that are not empty, got shapes {shapes}")
    return arrays


def _slid(x: Array, y: Array, mode: str, precision: Any, preferred: Any) -> Array:
    """Sums of x[n + k] * y[n], for the places k that the mode asks for; x is not shorter than y."""
    n = y.size
    padding = {"full": (n - 1, n - 1), "same": (n // 2, n - 1 - n // 2), "valid": (0, 0)}[mode]
    if dtypes.is_bool(x.dtype):
        counts = _slid(x.astype(dtypes.int32), y.astype(dtypes.int32), mode, precision, None)
        return counts.astype(x.dtype if preferred is None else preferred)
    image, kernel = (lax.reshape(v, (1, 1, v.size)) for v in (x, y))
    out = lax.conv_general_dilated(
        image, kernel, (1,), [padding], precision=precision, preferred_element_type=preferred
    )
    return out.reshape(-1)


def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
    aweights: Any = None, dtype: Any = None,
) -> Array:  # fmt: skip
    """The covariance matrix of variables.

    Args:
        m: variables in rows, observations in columns; a vector is one variable.
        y: further variables.
        rowvar: False: variables stand in columns.
        bias: whether to divide by the number of observations N, rather than N - 1.
        ddof: divide by N - ddof.
        fweights: how often each observation counts, a vector of integers.
        aweights: how much each observation counts, a vector.
        dtype: the dtype to compute in and of the result; by default that of m and y, or the default float for integers.

    Returns:
        A matrix, or a scalar for a single variable.

    Raises:
        ShapeError: more than 2 axes, or weights that do not fit.

    >>> jnp.cov(jnp.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    x = _variables(promote_dtypes("cov", m, *([] if y is None else [y]), inexact=True), rowvar)
    if dtype is not None:
        x = x.astype(dtypes.inexact_dtype(dtypes.canonical_dtype(dtype, x.dtype)))
    ddof = (0 if bias else 1) if ddof is None else index(ddof)
    weights = None
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is not None:
            w = asarray(w, f"cov: {name}")
            if w.shape != x.shape[1:]:
                raise ShapeError(f"cov: {name} of shape {show(w.shape)} for {x.shape[1]} observations")
            weights = w if weights is None else weights * w
    if weights is None:
        x = x - statistics.mean(x, 1, keepdims=True)
        factor, scaled = max(x.shape[1] - ddof, 0), x
    else:
        weights = weights.astype(dtypes.real_part_dtype(x.dtype))
        total = weights.sum()
        x = x - (x * weights).sum(1, keepdims=True) / total
        taken = ddof if aweights is None else ddof * (weights * aweights).sum() / total
        factor, scaled = total - taken, x * weights
    products = contract(x, lax.conj(scaled) if dtypes.is_complex(x.dtype) else scaled, ((1,), (1,)), ((), ()))
    return (products / factor).squeeze()


def _variables(arrays: Sequence[Array], rowvar: bool) -> Array:
    """Variables as rows of one matrix."""
    rows = []
    for x in arrays:
        if x.ndim > 2:
            raise ShapeError(f"cov: variables are a matrix or a vector, got shape {show(x.shape)}")
        x = x.reshape(1, -1) if x.ndim < 2 else x
        rows.append(x.T if not rowvar and x.shape[0] != 1 else x)
    if any(x.shape[1] != rows[0].shape[1] for x in rows):
        raise ShapeError(f"cov: {' and '.join(show(x.shape) for x in rows)}: not as many observations each")
    return concatenate(rows)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Array:
    """The correlation coefficients of variables: covariances over the product of the standard deviations.

    Args:
        x: variables in rows, observations in columns; a vector is one variable.
        y: further variables.
        rowvar: False: variables stand in columns.
        dtype: as for cov.

    Returns:
        A matrix, or a scalar for a single variable.

    >>> jnp.corrcoef(jnp.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    spread = lax.sqrt(real(c.diagonal()))
    c = c / spread[:, None] / spread
    if dtypes.is_complex(c.dtype):
        return lax.complex(clip(lax.real(c), -1, 1), clip(lax.imag(c), -1, 1))
    return clip(c, -1, 1)


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """The sums of the elements so far along an axis, as the array API standard defines them.

    Args:
        x: an array of at least 1 axis.
        axis: an axis, needed unless there is just one.
        dtype: the dtype of the result; by default as for sum.
        include_initial: whether a 0 comes first.

    Returns:
        An array of the shape of x, or one longer along the axis.

    Raises:
        ArgumentError: the axis is missing.

    >>> jnp.cumulative_sum(jnp.array([1, 2, 3]), include_initial=True)
    Array([0, 1, 3, 6], dtype=int32)
    """
    return _cumulative("cumulative_sum", lax.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """The products of the elements so far along an axis, as the array API standard defines them.

    Args:
        x: an array of at least 1 axis.
        axis: an axis, needed unless there is just one.
        dtype: the dtype of the result; by default as for prod.
        include_initial: whether a 1 comes first.

    Returns:
        An array of the shape of x, or one longer along the axis.

    Raises:
        ArgumentError: the axis is missing.

    >>> jnp.cumulative_prod(jnp.array([1, 2, 3]))
    Array([1, 2, 6], dtype=int32)
    """
    return _cumulative("cumulative_prod", lax.cumprod, 1, x, axis, dtype, include_initial)


def _cumulative(name: str, cumulate: Any, neutral: int, a: Any, axis: Any, dtype: Any, initial: bool) -> Array:
    (x,) = as_arrays(name, a)
    if not x.ndim:
        raise ShapeError(f"{name} needs an array of at least 1 axis", fix="use x[None]")
    if axis is None and x.ndim > 1:
        raise ArgumentError(f"{name} of an array of shape {show(x.shape)} needs an axis", fix="pass axis=...")
    at = canonical_axis(0 if axis is None else axis, x.ndim)
    target = reductions.summed_dtype(x.dtype) if dtype is None else canonical_dtype(dtype, x.dtype)
    out = cumulate(lax.convert_element_type(x, target), at)
    if not initial:
        return out
    return concatenate([lax.full_like(out, neutral, shape=(*x.shape[:at], 1, *x.shape[at + 1 :])), out], at)
