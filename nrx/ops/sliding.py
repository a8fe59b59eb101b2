"""The geometry of sliding windows, which convolutions and windowed reductions share.

Along one axis: `size` elements are spread by `base_dilation` and padded on both sides, where negative padding crops; a
window of `window` elements, spread by `window_dilation`, stands at every `stride`-th position where it fits.
"""

from collections.abc import Sequence
from operator import index
from typing import Any

from nrx.core import loops
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.loops import Expr
from nrx.core.shapes import Shape, inverse_permutation
from nrx.ops.slicing import pad_p

Padding = tuple[tuple[int, int], ...]


def dilated(size: int, dilation: int) -> int:
    """The extent of `size` elements spread so that neighbours stand `dilation` apart."""
    return (size - 1) * dilation + 1 if size else 0


def window_count(size: int, window: int, stride: int, pads: tuple[int, int], base_dilation: int, dilation: int) -> int:
    """How many windows fit along one axis."""
    return max((dilated(size, base_dilation) + sum(pads) - dilated(window, dilation)) // stride + 1, 0)


def canonical_steps(name: str, steps: Any, ndim: int) -> tuple[int, ...]:
    """Strides, dilations or window lengths: one positive int an axis; None is 1 everywhere."""
    if steps is None:
        return (1,) * ndim
    try:
        result = tuple(index(step) for step in steps)
    except TypeError:
        raise ArgumentTypeError(f"{name} must be a sequence of ints, got {steps!r}") from None
    if len(result) != ndim:
        raise ShapeError(f"{name} {result} has {len(result)} entries for {ndim} axes", fix="give one number an axis")
    if any(step < 1 for step in result):
        raise ArgumentError(f"{name} must be positive, got {result}", fix="leave an axis alone with 1")
    return result


def canonical_padding(name: str, padding: Any, sizes: Shape, windows: Shape, strides: Shape) -> Padding:
    """Padding as one (low, high) pair an axis, where it may be given as 'VALID', 'SAME' or 'SAME_LOWER'.

    'SAME' makes ceil(size / stride) windows and puts the odd element at the end, 'SAME_LOWER' at the beginning.
    `windows` are the extents with dilation.
    """
    if isinstance(padding, str):
        return _padding_of_name(name, padding.upper(), sizes, windows, strides)
    try:
        pairs = tuple((index(low), index(high)) for low, high in padding)
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"{name}: padding must be 'SAME', 'SAME_LOWER', 'VALID' or (low, high) pairs of ints, got {padding!r}",
            fix=f"for example [(1, 1)] * {len(sizes)}",
        ) from None
    if len(pairs) != len(sizes):
        raise ShapeError(
            f"{name}: padding {pairs} has {len(pairs)} entries for {len(sizes)} axes", fix="give one pair an axis"
        )
    return pairs


def _padding_of_name(name: str, padding: str, sizes: Shape, windows: Shape, strides: Shape) -> Padding:
    if padding == "VALID":
        return ((0, 0),) * len(sizes)
    if padding not in ("SAME", "SAME_LOWER"):
        raise ArgumentError(f"{name}: unknown padding {padding!r}", fix="use 'SAME', 'SAME_LOWER' or 'VALID'")
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, windows, strides, strict=True)]
    halves = [(total // 2, total - total // 2) for total in totals]
    return tuple(pair if padding == "SAME" else pair[::-1] for pair in halves)


def input_padding(
    sizes: Shape,
    windows: Shape,
    counts: Shape,
    padding: Padding,
    base_dilation: Shape,
    window_dilation: Shape,
    strides: Shape,
) -> Padding:
    """The padding with which windows sliding over what came out (spread by `strides`) give back what went in.

    Together with strides `base_dilation` that is the transpose of a convolution, or windowed sum, in its input.
    """
    pairs = []
    for n, k, o, (low, _), a, b, s in zip(
        sizes, windows, counts, padding, base_dilation, window_dilation, strides, strict=True
    ):
        pairs.append((dilated(k, b) - 1 - low, dilated(n, a) - dilated(o, s) + low))
    return tuple(pairs)


# On raw arrays


def memory_order(x: Any) -> tuple[int, ...]:
    """The axes of `x` from the largest step in memory to the smallest."""
    return tuple(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


def padded(xp: Any, x: Any, padding: Padding, dilation: Shape, fill: Any) -> Any:
    """`x` spread by `dilation` and padded, or cropped, with `fill` in the gaps; the order in memory stays."""
    if not any(map(any, padding)) and all(d == 1 for d in dilation):
        return x
    order = memory_order(x)
    config = tuple((*padding[axis], dilation[axis] - 1) for axis in order)
    spread = pad_p.impl(xp, x.transpose(order), xp.asarray(fill, x.dtype), padding_config=config)
    return spread.transpose(inverse_permutation(order))


def windows_of(xp: Any, x: Any, counts: Shape, window: Shape, strides: Shape, dilation: Shape) -> Any:
    """A view of `x`, whose axes are first those of the windows' positions and then those inside a window."""
    across = tuple(step * s for step, s in zip(x.strides, strides, strict=True))
    inside = tuple(step * d for step, d in zip(x.strides, dilation, strict=True))
    return xp.lib.stride_tricks.as_strided(x, (*counts, *window), across + inside)


# In loop IR


def covered(
    places: Sequence[Any], taps: Sequence[Any], sizes: Shape, window_strides: Shape, padding: Padding,
    base_dilation: Shape, window_dilation: Shape,
) -> tuple[tuple, Expr | None]:  # fmt: skip
    """The index of the element that a tap of the window at a place covers, and whether it is one; None: always.

    The index is within bounds in any case. `sizes` must not be 0.
    """
    covers: Expr | None = None

    def require(condition: Expr) -> None:
        nonlocal covers
        covers = condition if covers is None else covers & condition

    found = []
    for place, tap, size, stride, (low, _), spread, dilation in zip(
        places, taps, sizes, window_strides, padding, base_dilation, window_dilation, strict=True
    ):
        at = loops.const(-low, "i64") + place * stride + tap * dilation
        last = (size - 1) * spread
        known = loops.bounds(at)
        if known[0] < 0:
            require(at >= 0)
        if known[1] > last:
            require(at <= last)
        at = loops.clamp(at, last)
        if spread > 1:
            require(loops.eq(loops.mod(at, spread), 0))
        found.append(loops.floordiv(at, spread))
    return tuple(found), covers
