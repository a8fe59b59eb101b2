"""Means, variances and quantiles. Integers are converted to the default float; floats of 16 bits and less are averaged in
float32.
"""

# Statistics


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Array:
    """The mean over axes; integers are averaged in the default float, narrow floats in float32."""
    reject_out("mean", out)
    (x,) = as_arrays("mean", a)
    axes = canonical_axes(axis, x.ndim)
    target = dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype)
    total = sum(lax.convert_element_type(x, _computed(target)), axes, keepdims=keepdims, where=where)
    return lax.convert_element_type(lax.div(total, _count(x, axes, where, keepdims, total.aval)), target)


def _computed(dtype: np.dtype) -> np.dtype:
    """The dtype to compute a statistic of `dtype` in."""
    return dtypes.float32 if dtypes.is_narrow(dtype) else dtypes.inexact_dtype(dtype)


def _count(x: Array, axes: tuple[int, ...], where: Any, keepdims: bool, like: Any) -> Array:
    """The number of elements that are reduced, as an array like `like`."""
    if where is None:
        return lax.full_like(like, size(tuple(x.shape[i] for i in axes)))
    held = select_where(where, lax.full_like(x, 1, like.dtype), lax.full_like(x, 0, like.dtype))
    return sum(held, axes, keepdims=keepdims)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The weighted mean over axes."""
    if weights is None:
        (x,) = as_arrays("average", a)
        out = mean(x, axis, keepdims=keepdims)
        total = lax.full_like(out, size(tuple(x.shape[i] for i in canonical_axes(axis, x.ndim))))
        return (out, total) if returned else out
    x, w = promote_dtypes("average", a, weights, inexact=True)
    axes = canonical_axes(axis, x.ndim)
    if w.shape != x.shape:
        if axis is None or w.shape != tuple(x.shape[i] for i in axes):
            raise ShapeError(
                f"average: weights of shape {show(w.shape)} for an array of shape {show(x.shape)} over axis {axis}",
                fix="weights have the shape of the array, or that of the axes averaged over",
            )
        w = lax.broadcast_in_dim(w, x.shape, axes)
    total = sum(w, axes, keepdims=keepdims)
    out = lax.div(sum(lax.mul(x, w), axes, keepdims=keepdims), total)
    return (out, total) if returned else out


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The variance over axes: the mean square distance from the mean, the number of elements lowered by `ddof`."""
    reject_out("var", out)
    ddof = ddof if correction is None else correction
    (x,) = as_arrays("var", a)
    axes = canonical_axes(axis, x.ndim)
    target = dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype)
    target = dtypes.real_part_dtype(target)
    computed = _computed(dtypes.complex_dtype(target) if dtypes.is_complex(x.dtype) else target)
    x = lax.convert_element_type(x, computed)
    centre = mean(x, axes, keepdims=True, where=where)
    gap = lax.sub(x, lax.broadcast_in_dim(centre, x.shape, range(x.ndim)))
    square = lax.real(lax.mul(gap, lax.conj(gap))) if dtypes.is_complex(gap.dtype) else lax.mul(gap, gap)
    total = sum(square, axes, keepdims=keepdims, where=where)
    count = lax.sub(_count(square, axes, where, keepdims, total.aval), lax.full_like(total, ddof))
    return lax.convert_element_type(lax.div(total, count), target)


def std(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The standard deviation over axes: the root of the variance."""
    (x,) = as_arrays("std", a)
    target = dtypes.real_part_dtype(dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype))
    variance = var(x, axis, _computed(target), out, ddof, keepdims, where=where, correction=correction)
    return lax.convert_element_type(lax.sqrt(variance), target)


def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """The middle of the sorted elements over axes, or the mean of the two in the middle; NaN if there is one."""
    return quantile(a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


def percentile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False,
) -> Array:  # fmt: skip
    """The q-th percentiles over axes: `quantile(a, q / 100)`."""
    (q,) = promote_dtypes("percentile", q, inexact=True)
    return quantile(a, lax.div(q, 100), axis, out, overwrite_input, method, keepdims)


_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


def quantile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False,
) -> Array:  # fmt: skip
    """The q-th quantiles over axes; NaN if an element is."""
    reject_out("quantile", out)
    if method not in _METHODS:
        raise ArgumentError(f"quantile: unknown method {method!r}", fix=f"use one of {', '.join(_METHODS)}")
    (x,) = promote_dtypes("quantile", a, inexact=True)
    (q,) = as_arrays("quantile", q)
    if q.ndim > 1:
        raise ShapeError(f"quantile: q must be a scalar or a vector, got shape {show(q.shape)}")
    q = lax.convert_element_type(q, _computed(x.dtype))
    axes = canonical_axes(axis, x.ndim)
    rest = without(range(x.ndim), axes)
    # The reduced axes as one, sorted, last.
    lines = lax.reshape(
        lax.transpose(x, (*rest, *axes)), (*(x.shape[i] for i in rest), size(tuple(x.shape[i] for i in axes)))
    )
    if not lines.shape[-1]:
        raise ShapeError(f"quantile over an empty axis, of shape {show(x.shape)}, has no value")
    values = _interpolated(lax.sort(lines), q, method)
    values = lax.transpose(values, (values.ndim - 1, *range(values.ndim - 1))) if q.ndim else lax.squeeze(values, [-1])
    if keepdims:
        values = lax.reshape(values, (*q.shape, *(1 if i in axes else n for i, n in enumerate(x.shape))))
    return lax.convert_element_type(values, x.dtype)


def _interpolated(lines: Array, q: Array, method: str) -> Array:
    """The quantiles of sorted lines along their last axis, which they replace."""
    count = lines.shape[-1]
    place = lax.mul(lax.reshape(q, (q.size,)), count - 1)
    low, high = lax.floor(place), lax.ceil(place)
    if method == "nearest":
        low = high = lax.round(place, 1)
    elif method in ("lower", "higher"):
        low = high = low if method == "lower" else high
    below, above = (_elements(lines, lax.convert_element_type(p, dtypes.int32)) for p in (low, high))
    below, above = (lax.convert_element_type(v, q.dtype) for v in (below, above))
    part = lax.full_like(place, 0.5) if method == "midpoint" else lax.sub(place, low)
    part = lax.broadcast_in_dim(part, below.shape, (below.ndim - 1,))
    exact = lax.broadcast_in_dim(lax.eq(low, high), below.shape, (below.ndim - 1,))
    between = lax.add(below, lax.mul(lax.sub(above, below), part))
    values = lax.select(exact, below, between)
    last = lax.broadcast_in_dim(lax.slice_in_dim(lines, count - 1, count, axis=-1), values.shape, range(values.ndim))
    last = lax.convert_element_type(last, values.dtype)
    return lax.select(lax.ne(last, last), last, values)  # NaN sorts last


def _elements(lines: Array, positions: Array) -> Array:
    """The elements of lines along their last axis at positions."""
    batch = lines.ndim - 1
    numbers = lax.GatherDimensionNumbers(tuple(range(batch)), (batch,), (batch,))
    indices = lax.reshape(positions, (*positions.shape, 1))
    return lax.gather(lines, indices, numbers, (*lines.shape[:-1], 1), mode="clip")
