"""Random numbers, products, indexing, sorting, statistics and special functions."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.surface.case import FLOATS, Case, normal

MILLION = 1_000_000


def draws() -> Iterator[Case]:
    rng = np.random.Generator(np.random.Philox(0))  # counter-based, as threefry
    for dtype in FLOATS:
        kind = np.dtype(dtype)
        yield _draw("normal, 10⁶", dtype, _normal, lambda key, kind=kind: rng.standard_normal(MILLION, kind))
        yield _draw("uniform, 10⁶", dtype, _uniform, lambda key, kind=kind: rng.random(MILLION, kind))
        yield _draw("gamma, 10⁵", dtype, _gamma, lambda key, kind=kind: rng.standard_gamma(2.5, 100_000, kind))
    yield _draw("permutation, 10⁶", "int32", _permutation, lambda key: rng.permutation(MILLION))


def _draw(title: str, dtype: str, draw: Callable, in_numpy: Callable) -> Case:
    return Case(title, _key, lambda lib, key: draw(lib, key, dtype), in_numpy, (dtype,))


def _key(rng: np.random.Generator, dtype: str) -> tuple:
    return (np.array([0, 7], np.uint32),)


def _normal(lib: Any, key: Any, dtype: str) -> Any:
    return lib.random.normal(key, (MILLION,), dtype)


def _uniform(lib: Any, key: Any, dtype: str) -> Any:
    return lib.random.uniform(key, (MILLION,), dtype)


def _gamma(lib: Any, key: Any, dtype: str) -> Any:
    return lib.random.gamma(key, 2.5, (100_000,), dtype)


def _permutation(lib: Any, key: Any, dtype: str) -> Any:
    return lib.random.permutation(key, MILLION)


def products() -> Iterator[Case]:
    for text, *shapes in (
        ("ij,jk->ik", (300, 300), (300, 300)),
        ("bij,bjk->bik", (64, 64, 64), (64, 64, 64)),
        ("bhqd,bhkd->bhqk", (8, 8, 64, 32), (8, 8, 64, 32)),
        ("ij,jk,kl->il", (100, 400), (400, 20), (20, 400)),
        ("bi,ij,bj->b", (256, 100), (100, 100), (256, 100)),
        ("ii->", (1000, 1000)),
        ("bii->bi", (100, 100, 100)),
        ("ij->ji", (1000, 1000)),
    ):
        yield Case(
            f"einsum {text}",
            normal(*shapes),
            lambda lib, *xs, text=text: lib.numpy.einsum(text, *xs),
            lambda *xs, text=text: np.einsum(text, *xs, optimize=len(xs) > 1),
        )


def _indexed(rows: int, columns: int, count: int) -> Callable:
    def data(rng: np.random.Generator, dtype: str) -> tuple:
        x = rng.normal(size=(rows, columns)).astype(dtype)
        return x, rng.integers(0, rows, count).astype(np.int32), rng.integers(0, columns, count).astype(np.int32)

    return data


def _updates(rng: np.random.Generator, dtype: str) -> tuple:
    x, indices = rng.normal(size=100_000).astype(dtype), rng.integers(0, 100_000, 100_000).astype(np.int32)
    return x, indices, rng.normal(size=100_000).astype(dtype)


def _row_updates(rng: np.random.Generator, dtype: str) -> tuple:
    rows = rng.integers(0, 10_000, 5000).astype(np.int32)
    return rng.normal(size=(10_000, 64)).astype(dtype), rows, rng.normal(size=(5000, 64)).astype(dtype)


def _numpy_add(x: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
    out = x.copy()
    np.add.at(out, i, v)
    return out


def _numpy_set(x: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
    out = x.copy()
    out[i] = v
    return out


def _segments(rng: np.random.Generator, dtype: str) -> tuple:
    return rng.normal(size=MILLION).astype(dtype), rng.integers(0, 1000, MILLION).astype(np.int32)


def _numpy_segments(x: np.ndarray, segments: np.ndarray) -> np.ndarray:
    out = np.zeros(1000, x.dtype)
    np.add.at(out, segments, x)
    return out


def indexing() -> Iterator[Case]:
    rows = _indexed(10_000, 64, 50_000)
    yield Case("x[rows], 50,000 of 10,000×64", rows, lambda lib, x, i, j: x[i], lambda x, i, j: x[i])
    yield Case("x[i, j], 50,000 of 10,000×64", rows, lambda lib, x, i, j: x[i, j], lambda x, i, j: x[i, j])
    yield Case("x[x > 0], 10⁶", normal((MILLION,)), lambda lib, x: x[x > 0], lambda x: x[x > 0], jitted=False)
    yield Case("x[::-1, 2::3], 1000×1000", normal((1000, 1000)), lambda lib, x: x[::-1, 2::3], _numpy_slice)
    yield Case("x.at[i].add(v), 10⁵", _updates, lambda lib, x, i, v: x.at[i].add(v), _numpy_add)
    yield Case("x.at[i].set(v), 10⁵", _updates, lambda lib, x, i, v: x.at[i].set(v), _numpy_set)
    yield Case("x.at[rows].add(v), 5000×64", _row_updates, lambda lib, x, i, v: x.at[i].add(v), _numpy_add)
    yield Case("segment_sum, 10⁶ in 1000", _segments, _segment_sum, _numpy_segments)


def _segment_sum(lib: Any, x: Any, segments: Any) -> Any:
    return lib.ops.segment_sum(x, segments, num_segments=1000)


def _numpy_slice(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x[::-1, 2::3])


def transforms() -> Iterator[Case]:
    for shape, label in (((1 << 10,), "2¹⁰"), ((1 << 16,), "2¹⁶"), ((1 << 20,), "2²⁰"), ((1000, 1024), "1000 × 2¹⁰")):
        yield Case(f"rfft, {label}", normal(shape), lambda lib, x: lib.numpy.fft.rfft(x), np.fft.rfft)
        yield Case(f"fft, {label}", normal(shape), lambda lib, x: lib.numpy.fft.fft(x), np.fft.fft)
    for shape, label in (((100, 1000), "100 × 1000"), ((100, 999), "100 × 999"), ((100, 1009), "100 × 1009 (prime)")):
        yield Case(f"rfft, {label}", normal(shape), lambda lib, x: lib.numpy.fft.rfft(x), np.fft.rfft)
        yield Case(f"fft, {label}", normal(shape), lambda lib, x: lib.numpy.fft.fft(x), np.fft.fft)
        yield Case(f"irfft, {label}", normal(shape), lambda lib, x: lib.numpy.fft.irfft(x, x.shape[1]), _numpy_irfft)
    yield Case("fft2, 512×512", normal((512, 512)), lambda lib, x: lib.numpy.fft.fft2(x), np.fft.fft2)
    yield Case("ifft2, 512×512", normal((512, 512)), lambda lib, x: lib.numpy.fft.ifft2(x), np.fft.ifft2)


def _numpy_irfft(x: np.ndarray) -> np.ndarray:
    return np.fft.irfft(x, x.shape[1])


def ordering() -> Iterator[Case]:
    data = normal((MILLION,))
    rows = normal((1000, 1000))
    yield Case("sort, 10⁶", data, lambda lib, x: lib.numpy.sort(x), np.sort)
    yield Case("sort, 1000×1000 along rows", rows, lambda lib, x: lib.numpy.sort(x), np.sort)
    yield Case("sort, 1000×1000 along columns", rows, lambda lib, x: lib.numpy.sort(x, axis=0), _sort_columns)
    yield Case("argsort, 10⁶", data, lambda lib, x: lib.numpy.argsort(x), _stable_argsort)
    yield Case("argsort, 1000×1000", rows, lambda lib, x: lib.numpy.argsort(x), _stable_argsort)
    yield Case("top_k, 10 of 10⁶", data, lambda lib, x: lib.lax.top_k(x, 10))
    yield Case("top_k, 10 of each of 1000×1000", rows, lambda lib, x: lib.lax.top_k(x, 10))
    yield Case("unique, 10⁵ of 1000", _few, lambda lib, x: lib.numpy.unique(x), np.unique, ("int32",), jitted=False)
    yield Case("searchsorted, 10⁵ in 10⁵", _sorted, lambda lib, a, v: lib.numpy.searchsorted(a, v), np.searchsorted)


def _sort_columns(x: np.ndarray) -> np.ndarray:
    return np.sort(x, axis=0)


def _stable_argsort(x: np.ndarray) -> np.ndarray:
    return np.argsort(x, kind="stable")


def _few(rng: np.random.Generator, dtype: str) -> tuple:
    return (rng.integers(0, 1000, 100_000).astype(dtype),)


def _sorted(rng: np.random.Generator, dtype: str) -> tuple:
    return np.sort(rng.normal(size=100_000)).astype(dtype), rng.normal(size=100_000).astype(dtype)


def statistics() -> Iterator[Case]:
    data, rows = normal((MILLION,)), normal((1000, 1000))
    quarter = np.float32(0.25)
    yield Case("quantile, 10⁶", data, lambda lib, x: lib.numpy.quantile(x, quarter), lambda x: np.quantile(x, 0.25))
    yield Case("median, 10⁶", data, lambda lib, x: lib.numpy.median(x), np.median)
    yield Case("median, 1000×1000 along rows", rows, lambda lib, x: lib.numpy.median(x, axis=1), _row_medians)
    yield Case("percentile 5, 50, 95, 10⁶", data, _percentile, lambda x: np.percentile(x, [5, 50, 95]))
    yield Case("histogram, 10⁶ in 50", data, lambda lib, x: lib.numpy.histogram(x, 50), lambda x: np.histogram(x, 50))
    yield Case("bincount, 10⁶ in 1000", _counted, _bincount, lambda x: np.bincount(x, minlength=1000), ("int32",))
    yield Case("cumsum, 10⁶", data, lambda lib, x: lib.numpy.cumsum(x), np.cumsum)
    yield Case("cumsum, 1000×1000 along columns", rows, lambda lib, x: lib.numpy.cumsum(x, axis=0), _cumsum_columns)
    yield Case("convolve, 10⁵ with 100", normal((100_000,), (100,)), _convolve, np.convolve)
    yield Case("var, 10⁶", data, lambda lib, x: lib.numpy.var(x), np.var)


def _row_medians(x: np.ndarray) -> np.ndarray:
    return np.median(x, axis=1)


def _percentile(lib: Any, x: Any) -> Any:
    return lib.numpy.percentile(x, np.array([5, 50, 95], x.dtype))


def _counted(rng: np.random.Generator, dtype: str) -> tuple:
    return (rng.integers(0, 1000, MILLION).astype(dtype),)


def _bincount(lib: Any, x: Any) -> Any:
    return lib.numpy.bincount(x, length=1000)


def _cumsum_columns(x: np.ndarray) -> np.ndarray:
    return np.cumsum(x, axis=0)


def _convolve(lib: Any, x: Any, y: Any) -> Any:
    return lib.numpy.convolve(x, y)


def _positive(rng: np.random.Generator, dtype: str) -> tuple:
    return rng.uniform(0.5, 8, 100_000).astype(dtype), rng.uniform(0.5, 8, 100_000).astype(dtype)


def special() -> Iterator[Case]:
    yield Case("igamma, 10⁵", _positive, lambda lib, a, x: lib.lax.igamma(a, x))
    yield Case("polygamma of order 2, 10⁵", _positive, _polygamma)
    yield Case("lgamma, 10⁵", _positive, lambda lib, a, x: lib.lax.lgamma(a))


def _polygamma(lib: Any, a: Any, x: Any) -> Any:
    return lib.lax.polygamma(lib.numpy.full_like(a, 2), x)


def cases() -> Iterator[Case]:
    for family in (draws, products, indexing, transforms, ordering, statistics, special):
        yield from family()
