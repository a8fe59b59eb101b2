"""Linear algebra: three sizes, the smallest in a batch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.surface.case import Case

SIZES = {"10,000 × 3×3": (10_000, 3, 3), "100×100": (100, 100), "1000×1000": (1000, 1000)}


def general(shape: tuple[int, ...], *, positive: bool = False, right: int = 0) -> Callable:
    """Data: well-conditioned matrices, symmetric and positive definite or not, and perhaps `right` columns."""

    def data(rng: np.random.Generator, dtype: str) -> tuple:
        n = shape[-1]
        x = rng.normal(size=shape)
        x = x @ x.swapaxes(-1, -2) / n + np.eye(n) if positive else x + 2 * np.sqrt(n) * np.eye(n)
        b = [rng.normal(size=(*shape[:-1], right)).astype(dtype)] if right else []
        return (x.astype(dtype), *b)

    return data


def triangular_solve(lib: Any, a: Any, b: Any) -> Any:
    return lib.lax.linalg.triangular_solve(a, b, left_side=True, lower=True)


def cases() -> Iterator[Case]:
    for size, shape in SIZES.items():
        plain, positive, solved = general(shape), general(shape, positive=True), general(shape, right=8)
        functions = {
            "cholesky": (positive, lambda lib, x: lib.numpy.linalg.cholesky(x), np.linalg.cholesky),
            "lu": (plain, lambda lib, x: lib.lax.linalg.lu(x), None),
            "solve, 8 right sides": (solved, lambda lib, a, b: lib.numpy.linalg.solve(a, b), np.linalg.solve),
            "triangular_solve, 8 right sides": (solved, triangular_solve, None),
            "inv": (plain, lambda lib, x: lib.numpy.linalg.inv(x), np.linalg.inv),
            "det": (plain, lambda lib, x: lib.numpy.linalg.det(x), np.linalg.det),
            "qr": (plain, lambda lib, x: lib.numpy.linalg.qr(x), np.linalg.qr),
            "eigh": (positive, lambda lib, x: lib.numpy.linalg.eigh(x), np.linalg.eigh),
            "svd": (plain, lambda lib, x: lib.numpy.linalg.svd(x, full_matrices=False), _svd),
        }
        for name, (data, program, in_numpy) in functions.items():
            yield Case(f"{name}, {size}", data, program, in_numpy)


def _svd(x: np.ndarray) -> Any:
    return np.linalg.svd(x, full_matrices=False)
