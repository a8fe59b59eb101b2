"""Convolution of raw arrays, by matrix products.

As a rule, the windows of lhs are copied into the rows of a matrix, which the kernels, as another one, multiply. Where
that copies much for a small result, as in gradients of strided convolutions, every element of lhs is multiplied by all
taps of the kernels instead, and the products are added up where they belong. Both go in blocks, so that the large
matrix stays in the cache (on a GPU: fits into the memory).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core.shapes import Shape, inverse_permutation, size
from nrx.ops.convolution_geometry import ConvParams
from nrx.ops.dot import accumulated
from nrx.ops.sliding import memory_order, padded, windows_of

BLOCK_BYTES_CPU = 4 << 20
BLOCK_BYTES_GPU = 256 << 20
SHORT_RUN = 16


def convolved(xp: Any, x: Any, kernel: Any, **params: Any) -> Any:
    p = ConvParams(**params)
    (lhs_spec, rhs_spec, out_spec), counts = p.dimension_numbers, p.counts(x, kernel)
    dtype, is_of_vectors = p.preferred_element_type or x.dtype, p.is_of_vectors(kernel)
    x, kernel = accumulated(dtype, x.transpose(lhs_spec), kernel.transpose(rhs_spec))
    batch, outputs = x.shape[0] // p.batch_group_count, kernel.shape[0]
    if any(step < 0 for step in kernel.strides):
        kernel = xp.ascontiguousarray(kernel)  # BLAS does not go backwards, and a flipped kernel is small
    kernel = kernel.reshape((p.groups, outputs // p.groups, *kernel.shape[1:]))
    if 0 in (batch, outputs, *counts, x.size, kernel.size):
        product = xp.zeros((p.groups, batch, *counts, outputs // p.groups), x.dtype)
    elif xp is np and p.is_padded and is_of_vectors and not np.isfinite(kernel).all():
        product = _scattered(np, _grouped(np, x, p), kernel, counts, p)  # which has no products of padding
    elif xp is np and len(counts) == 1 == x.shape[1] == outputs == p.groups == p.window_strides[0] == p.rhs_dilation[0]:
        product = _correlated(x, kernel, p)
    elif _is_better_scattered(x.shape, kernel.shape, counts, p):
        product = _scattered(xp, _grouped(xp, x, p), kernel, counts, p)
    else:
        product = _gathered(xp, x, kernel, counts, p)
    result = xp.moveaxis(product, 0, -2).reshape((batch, *counts, outputs)).astype(dtype, copy=False)
    return result.transpose(inverse_permutation((out_spec[0], *out_spec[2:], out_spec[1])))


def _correlated(x: np.ndarray, kernel: np.ndarray, p: ConvParams) -> np.ndarray:
    """Signals of one feature (batch, 1, size) with one window, which NumPy needs no copies for."""
    rows = padded(np, x, ((0, 0), (0, 0), *p.padding), (1, 1, *p.lhs_dilation), 0)[:, 0]
    window = kernel.reshape(-1).conj()  # NumPy conjugates it
    return np.stack([np.correlate(row, window, "valid") for row in rows])[None, ..., None]


def _is_better_scattered(x: Shape, kernel: Shape, counts: Shape, p: ConvParams) -> bool:
    outputs, inputs = kernel[1:3]
    return all(s == 1 for s in p.window_strides) and 3 * size(x[2:]) * outputs <= size(counts) * inputs


def _grouped(xp: Any, x: Any, p: ConvParams) -> Any:
    """(all batches, all features, …) as (groups, batch, inputs, …), a view."""
    batch, features, *rest = x.shape
    by_batch, by_features = p.batch_group_count, p.feature_group_count
    split = x.reshape((by_batch, batch // by_batch, by_features, features // by_features, *rest))
    return xp.moveaxis(split, 2, 1).reshape((p.groups, batch // by_batch, features // by_features, *rest))


def _gathered(xp: Any, x: Any, kernel: Any, counts: Shape, p: ConvParams) -> Any:
    """(batch, features, *sizes) with kernels (groups, outputs, inputs, *window): (groups, batch, *counts, outputs)."""
    groups, outputs, inputs, *window = kernel.shape
    x = _with_long_runs(xp, x, kernel, counts, p)
    x = padded(xp, x, ((0, 0), (0, 0), *p.padding), (1, 1, *p.lhs_dilation), 0)
    windows = windows_of(
        xp, x, (*x.shape[:2], *counts), (1, 1, *window), (1, 1, *p.window_strides), (1, 1, *p.rhs_dilation)
    )
    windows = _grouped(xp, windows.reshape((*x.shape[:2], *counts, *window)), p)
    windows = xp.moveaxis(windows, 2, 2 + len(counts))
    # Rows and columns in the order of memory make the copy fast, whatever the layout is.
    rank = 1 + len(counts)
    order = memory_order(windows)
    rows, taps = [a for a in order if 0 < a <= rank], [a for a in order if a > rank]
    matrix = kernel.transpose((0, *(a + 1 - rank for a in taps), 1)).reshape((groups, inputs * size(window), outputs))
    product = _in_blocks(xp, windows.transpose((0, *rows, *taps)), matrix, rank)
    return product.transpose((0, *(1 + a for a in inverse_permutation([a - 1 for a in rows])), 1 + rank))


def _with_long_runs(xp: Any, x: Any, kernel: Any, counts: Shape, p: ConvParams) -> Any:
    """`x` laid out in memory so that copying windows does not go by tiny steps: if need be, a longer axis last."""
    inputs, *window = kernel.shape[2:]
    together = inputs * window[-1] if window else inputs  # features are copied along with the last axis of the window
    runs = [x.shape[0] // p.batch_group_count, together, *map(max, counts, window)]
    longest = max((x.ndim - 1, 1, 0), key=runs.__getitem__)
    if runs[memory_order(x)[-1]] >= min(SHORT_RUN, runs[longest]):
        return x
    return xp.moveaxis(xp.ascontiguousarray(xp.moveaxis(x, longest, -1)), -1, longest)


def _in_blocks(xp: Any, windows: Any, matrix: Any, rank: int) -> Any:
    """Windows (groups, *rows, *taps), `rank` axes of rows, by (groups, taps, outputs): (groups, *rows, outputs)."""
    groups, *rows = windows.shape[: 1 + rank]
    limit = BLOCK_BYTES_CPU if xp is np else BLOCK_BYTES_GPU
    long = next((axis for axis, length in enumerate(rows, 1) if length > 1), None)
    if windows.nbytes > limit and long and not windows.flags.c_contiguous:
        step = max(windows.shape[long] * limit // windows.nbytes, 1)
        before = (slice(None),) * long
        parts = [windows[(*before, slice(i, i + step))] for i in range(0, windows.shape[long], step)]
        return xp.concatenate([_in_blocks(xp, part, matrix, rank) for part in parts], axis=long)
    if _inner_run(windows, range(1 + rank, windows.ndim)) < _inner_run(windows, range(1, 1 + rank)):
        columns = windows.reshape((groups, size(rows), matrix.shape[1]))
    else:
        taps_first = windows.transpose((0, *range(1 + rank, windows.ndim), *range(1, 1 + rank)))
        columns = taps_first.reshape((groups, matrix.shape[1], size(rows))).swapaxes(1, 2)
    return xp.matmul(columns, matrix).reshape((groups, *rows, matrix.shape[2]))


def _inner_run(x: Any, axes: Sequence[int]) -> tuple[float, int]:
    """The step and the negative length of the best run in memory along one of `axes`; small steps are all alike."""
    small = 4 * x.itemsize
    return min(
        ((max(abs(x.strides[a]), small), -x.shape[a]) for a in axes if x.shape[a] > 1), default=(float("inf"), 0)
    )


def _scattered(xp: Any, x: Any, kernel: Any, counts: Shape, p: ConvParams) -> Any:
    """lhs (groups, batch, inputs, *sizes) with kernels (groups, outputs, inputs, *window) for strides of 1."""
    (groups, batch, inputs, *sizes), (_, outputs, _, *window) = x.shape, kernel.shape
    limit = BLOCK_BYTES_CPU if xp is np else BLOCK_BYTES_GPU
    bytes_each = groups * outputs * size(window) * size(sizes) * x.dtype.itemsize
    step = max(limit // max(bytes_each, 1), 1)
    if step < batch:
        parts = [x[:, i : i + step] for i in range(0, batch, step)]
        return xp.concatenate([_scattered(xp, part, kernel, counts, p) for part in parts], axis=1)
    taps = xp.moveaxis(kernel, (1, 2), (-2, -1)).reshape((groups, size(window) * outputs, inputs))
    products = xp.matmul(taps, xp.moveaxis(x, 2, 1).reshape((groups, inputs, batch * size(sizes))))
    products = products.reshape((groups, *window, outputs, batch, *sizes))
    out = xp.zeros((groups, outputs, batch, *counts), x.dtype)
    for tap in np.ndindex(*window):
        offsets = [low - t * d for t, d, (low, _) in zip(tap, p.rhs_dilation, p.padding, strict=True)]
        pairs = list(map(_overlap, sizes, counts, p.lhs_dilation, offsets))
        sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
        out[(..., *targets)] += products[(slice(None), *tap, ..., *sources)]
    return xp.moveaxis(out, 1, -1)


def _overlap(length: int, count: int, dilation: int, offset: int) -> tuple[slice, slice]:
    """The i of `length` whose offset + i * dilation lies within `count`, and those places."""
    first = max(-(offset // dilation), 0)
    stop = max(min((count - 1 - offset) // dilation + 1, length), first)
    return slice(first, stop), slice(offset + first * dilation, offset + stop * dilation, dilation)
