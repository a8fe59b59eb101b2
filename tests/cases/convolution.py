"""Cases of convolution. The oracle goes over every place of the kernel and every tap, in plain loops."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from cases.base import COMPLEXES, Case, arg
from nrx.ops import convolution

Terms = Iterator[tuple[tuple, tuple, tuple]]


def terms(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    counts: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    feature_groups: int,
    batch_groups: int,
) -> Terms:
    """Indices (of x, w, out) such that out[…] is the sum of all x[…] @ w[…].T; layouts are NC…, OI… and NC…."""
    groups = feature_groups * batch_groups
    batch, inputs, outputs = x_shape[0] // batch_groups, w_shape[1], w_shape[0] // groups
    for group, place, tap in product(range(groups), np.ndindex(*counts), np.ndindex(*w_shape[2:])):
        axes = zip(place, strides, tap, rhs_dilation, padding, strict=True)
        at = [y * s + t * d - low for y, s, t, d, (low, _) in axes]
        if all(p % d == 0 and 0 <= p // d < n for p, d, n in zip(at, lhs_dilation, x_shape[2:], strict=True)):
            own = tuple(p // d for p, d in zip(at, lhs_dilation, strict=True))
            by_batch, by_feature = (group, 0) if batch_groups > 1 else (0, group)
            rows = slice(by_batch * batch, (by_batch + 1) * batch)
            columns = slice(by_feature * inputs, (by_feature + 1) * inputs)
            made = slice(group * outputs, (group + 1) * outputs)
            yield (rows, columns, *own), (made, slice(None), *tap), (slice(None), made, *place)


def output_counts(
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
) -> list[int]:
    """How often the spread kernel fits into the spread and padded input, found by trying."""
    counts = []
    for n, k, s, (low, high), a, b in zip(sizes, window, strides, padding, lhs_dilation, rhs_dilation, strict=True):
        length = len(range(0, n * a, a)) and (n - 1) * a + 1
        extent = k and (k - 1) * b + 1
        starts = range(0, low + length + high + 1, s)
        counts.append(sum(start + extent <= low + length + high for start in starts))
    return counts


def loops(x: np.ndarray, w: np.ndarray, **geometry: Any) -> np.ndarray:
    """The convolution of NC… with OI…, padding given as pairs."""
    names = ("strides", "padding", "lhs_dilation", "rhs_dilation")
    counts = output_counts(x.shape[2:], w.shape[2:], *(geometry[name] for name in names))
    out = np.zeros((x.shape[0] // geometry["batch_groups"], w.shape[0], *counts), x.dtype)
    for x_at, w_at, out_at in terms(x.shape, w.shape, counts, **geometry):
        out[out_at] += x[x_at] @ w[w_at].T
    return out


def loop_gradients(x: np.ndarray, w: np.ndarray, ct: np.ndarray, **geometry: Any) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of sum(ct * convolution) by x and by w."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for x_at, w_at, out_at in terms(x.shape, w.shape, ct.shape[2:], **geometry):
        dx[x_at] += ct[out_at] @ w[w_at]
        dw[w_at] += ct[out_at].T @ x[x_at]
    return dx, dw


def same(sizes: Sequence[int], extents: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """The padding 'SAME': out = ceil(size / stride), the odd element at the end."""
    pairs = []
    for n, k, s in zip(sizes, extents, strides, strict=True):
        total = max((int(np.ceil(n / s)) - 1) * s + k - n, 0)
        pairs.append((total // 2, total - total // 2))
    return pairs


def permuted(array: np.ndarray, source: str, target: str) -> np.ndarray:
    return array.transpose([source.index(letter) for letter in target])


def _geometry(
    strides: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any, feature_groups: int = 1, batch_groups: int = 1
) -> dict[str, Any]:
    return {
        "strides": strides, "padding": padding, "lhs_dilation": lhs_dilation, "rhs_dilation": rhs_dilation,
        "feature_groups": feature_groups, "batch_groups": batch_groups,
    }  # fmt: skip


def special(
    name: str, function: Callable, strides: Any, padding: Any, a: Any, b: Any, jax: str, **options: Any
) -> Case:
    """A case of one of the functions without groups, for arrays (2, 3, 6) and (2, 3, 3)."""
    geometry = _geometry(strides, padding, a, b)
    options = {"dtypes": ("float64",), "order": 1} | options
    return Case(
        name, "conv_general_dilated", function, [arg(2, 3, 6), arg(2, 3, 3)], lambda x, w: loops(x, w, **geometry),
        jax=jax, **options,
    )  # fmt: skip


def conv(
    name: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    padding: Any = "VALID",
    pads: Sequence[tuple[int, int]] | None = None,
    lhs_dilation: tuple[int, ...] | None = None,
    rhs_dilation: tuple[int, ...] | None = None,
    layouts: tuple[str, str, str] | None = None,
    feature_groups: int = 1,
    batch_groups: int = 1,
    dtypes: tuple[str, ...] = ("float64", "float32"),
    order: int = 2,
    in_jax: bool = True,
) -> Case:
    """A case; `pads` is what `padding` means where that is a name other than VALID."""
    ndim = len(x) - 2
    ones = (1,) * ndim
    strides = strides or ones
    space = "XYZ"[:ndim]
    lhs, rhs, out = layouts or ("NC" + space, "OI" + space, "NC" + space)
    space = rhs.replace("O", "").replace("I", "")
    geometry = _geometry(
        strides, pads or (((0, 0),) * ndim if padding == "VALID" else padding), lhs_dilation or ones,
        rhs_dilation or ones, feature_groups, batch_groups,
    )  # fmt: skip
    params = {
        "window_strides": strides, "padding": padding, "lhs_dilation": lhs_dilation, "rhs_dilation": rhs_dilation,
        "dimension_numbers": layouts, "feature_group_count": feature_groups, "batch_group_count": batch_groups,
    }  # fmt: skip

    def oracle(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        result = loops(permuted(x, lhs, "NC" + space), permuted(w, rhs, "OI" + space), **geometry)
        return permuted(result, "NC" + space, out)

    text = f"lambda x, w: lax.conv_general_dilated(x, w, **{params!r}, precision='highest')"
    return Case(
        name, "conv_general_dilated", lambda x, w: convolution.conv_general_dilated(x, w, **params), [arg(*x), arg(*w)],
        oracle, dtypes, order, jax=text if in_jax else "",
    )  # fmt: skip


def transposed(
    name: str, n: int, k: int, stride: int, padding: str, size: int, pads: tuple[int, int], dilation: int = 1
) -> Case:
    """A case of conv_transpose: the gradient of the convolution of an input of `size` by `pads` to one of `n`."""
    geometry = _geometry((stride,), (pads,), (1,), (dilation,))

    def oracle(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        ct, kernel = permuted(x, "NXC", "NCX"), permuted(w, "XIO", "OIX")
        before = np.zeros((x.shape[0], kernel.shape[1], size), x.dtype)
        return permuted(loop_gradients(before, kernel, ct, **geometry)[0], "NCX", "NXC")

    params = f"x, w, ({stride},), {padding!r}, ({dilation},), transpose_kernel=True"
    return Case(
        name, "conv_general_dilated",
        lambda x, w: convolution.conv_transpose(x, w, (stride,), padding, (dilation,), transpose_kernel=True),
        [arg(2, n, 3), arg(k, 2, 3)], oracle, ("float64",), jax=f"lambda x, w: lax.conv_transpose({params})",
    )  # fmt: skip


NHWC = ("NHWC", "HWIO", "NHWC")
WIDE = ("float64", "float32", "float16", "bfloat16", *COMPLEXES, "int32", "int8", "uint8")

CASES = [
    conv("plain", (2, 3, 5, 4), (2, 3, 3, 2), dtypes=WIDE),
    conv("no-space", (3, 4), (2, 4)),
    conv("one-dimensional", (2, 2, 7), (3, 2, 3), (2,), [(1, 0)]),
    conv("three-dimensional", (1, 2, 3, 4, 3), (2, 2, 2, 1, 2), (1, 2, 1), [(0, 1), (1, 0), (0, 0)], order=1),
    conv("same", (2, 2, 5, 6), (3, 2, 3, 2), (2, 2), "SAME", same((5, 6), (3, 2), (2, 2))),
    conv("same-lower", (1, 2, 5, 6), (3, 2, 2, 4), (2, 1), "SAME_LOWER",
         [pair[::-1] for pair in same((5, 6), (2, 4), (2, 1))]),
    conv("same-dilated", (1, 2, 6), (2, 2, 3), (2,), "SAME", same((6,), (5,), (2,)), rhs_dilation=(2,)),
    conv("strided-with-rest", (1, 2, 7, 8), (2, 2, 2, 3), (3, 2)),
    conv("negative-padding", (2, 2, 6, 5), (3, 2, 2, 2), None, [(-1, 0), (-2, 3)]),
    conv("negative-gradient-padding", (2, 1, 4), (1, 1, 2), None, [(3, 3)]),
    conv("lhs-dilated", (2, 2, 3, 3), (2, 2, 3, 2), (1, 2), [(2, 1), (0, 1)], lhs_dilation=(2, 3)),
    conv("rhs-dilated", (2, 2, 6, 5), (2, 2, 3, 2), (2, 1), [(1, 1), (0, 2)], rhs_dilation=(2, 3)),
    conv("everything-dilated", (1, 2, 4), (2, 1, 2), (2,), [(3, -1)], None, (3,), (2,), feature_groups=2),
    conv("pointwise-strided", (2, 3, 5, 5), (2, 3, 1, 1), (2, 2)),
    conv("grouped", (2, 4, 4, 3), (6, 2, 2, 2), None, [(1, 0), (0, 1)], feature_groups=2, dtypes=WIDE),
    conv("depthwise", (2, 3, 5, 4), (3, 1, 2, 3), (2, 1), "SAME", same((5, 4), (2, 3), (2, 1)), feature_groups=3,
         dtypes=WIDE),
    conv("depthwise-multiplied", (2, 3, 4, 4), (6, 1, 2, 2), feature_groups=3),
    conv("batch-grouped", (4, 2, 4), (6, 2, 2), None, [(1, 0)], batch_groups=2),
    conv("batch-depthwise", (3, 1, 5), (3, 1, 2), batch_groups=3),
    conv("channels-last", (2, 5, 4, 3), (3, 2, 3, 2), (2, 1), "SAME", same((5, 4), (3, 2), (2, 1)), layouts=NHWC,
         dtypes=WIDE),
    conv("channels-last-wide", (2, 5, 5, 9), (3, 3, 9, 2), layouts=NHWC),
    conv("depthwise-channels-last", (2, 5, 4, 3), (2, 3, 1, 3), None, [(1, 0), (0, 2)], layouts=NHWC, feature_groups=3),
    conv("exotic-layout", (5, 2, 4, 3), (2, 3, 3, 2), (2, 1), [(1, 1), (0, 1)], layouts=("HNWC", "OWIH", "CWHN")),
    conv("exotic-grouped", (4, 4, 2), (2, 3, 4), layouts=("CXN", "IXO", "XNC"), feature_groups=2),
    conv("kernel-larger", (2, 2, 2), (3, 2, 4)),
    conv("no-batch", (0, 2, 4), (3, 2, 2)),
    conv("no-inputs", (2, 0, 4), (3, 0, 2)),
    conv("no-outputs", (2, 2, 4), (0, 2, 2)),
    conv("no-elements-padded", (2, 2, 0), (3, 2, 2), None, [(2, 1)]),
    conv("no-taps", (2, 2, 3), (3, 2, 0), in_jax=False),
    transposed("transpose-same", 4, 3, 2, "SAME", 8, *same((8,), (3,), (2,))),
    transposed("transpose-same-odd", 3, 4, 1, "SAME", 3, *same((3,), (4,), (1,))),
    transposed("transpose-same-sparse", 3, 2, 4, "SAME", 12, *same((12,), (2,), (4,))),
    transposed("transpose-valid", 3, 4, 2, "VALID", 8, (0, 0)),
    transposed("transpose-valid-sparse", 3, 2, 3, "VALID", 9, (0, 0)),
    transposed("transpose-dilated", 4, 2, 2, "SAME", 8, *same((8,), (3,), (2,)), dilation=2),
    special(
        "conv", lambda x, w: convolution.conv(x, w, (2,), "VALID"), (2,), ((0, 0),), (1,), (1,),
        "lambda x, w: lax.conv(x, w, (2,), 'VALID')",
    ),
    special(
        "conv_with_general_padding",
        lambda x, w: convolution.conv_with_general_padding(x, w, (2,), [(2, 1)], (2,), (3,)),
        (2,), ((2, 1),), (2,), (3,), "lambda x, w: lax.conv_with_general_padding(x, w, (2,), [(2, 1)], (2,), (3,))",
    ),
    special(
        "narrow-as-float32",
        lambda x, w: convolution.conv_general_dilated(x, w, (1,), "VALID", preferred_element_type="float32"),
        (1,), ((0, 0),), (1,), (1,), "", dtypes=("bfloat16", "float16"), order=0,
    ),
]  # fmt: skip
