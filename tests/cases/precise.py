"""Oracles made of mpmath's functions."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np


def precise(function: Callable) -> Callable:
    """An oracle that calls `function` element by element, in arithmetic of 50 digits, and rounds once."""

    def oracle(*xs: np.ndarray) -> np.ndarray:
        is_complex = any(x.dtype.kind == "c" for x in xs)
        with mpmath.workdps(50):
            points = zip(*(x.ravel().tolist() for x in xs), strict=True)
            results = [function(*map(mpmath.mpmathify, point)) for point in points]
        rounded = [complex(_float(r.real), _float(r.imag)) if is_complex else _float(r) for r in results]
        return np.array(rounded, complex if is_complex else float).reshape(xs[0].shape)

    return oracle


def _float(x: Any) -> float:
    try:
        return float(x)
    except OverflowError:
        return float("inf") if x > 0 else -float("inf")
