"""What is measured: a `Case` is one function on data of one kind."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """A function, measured eagerly and jitted, for each dtype: the rows of the report.

    Fields:
        title: what it is called in the report, on the command line and in `reasons.toml`.
        data: makes the arrays, with a random generator and a dtype.
        program: takes `nrx` or `jax`, then the arrays.
        in_numpy: takes the arrays; None where NumPy has no such function.
        dtypes: of the data.
        eager, jitted: in which ways it is measured.
    """

    title: str
    data: Callable[[np.random.Generator, str], tuple]
    program: Callable[..., Any]
    in_numpy: Callable[..., Any] | None = None
    dtypes: tuple[str, ...] = FLOATS
    eager: bool = True
    jitted: bool = True


def normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator, str], tuple]:
    """Data: arrays of normal numbers."""
    return lambda rng, dtype: tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)
