"""The case table: one entry a way of calling a primitive. `tests/test_primitives.py` puts it through everything.

A family's cases stand in `tests/cases/<family>.py` as `CASES`, a list of `Case`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

REALS = ("float32", "float64", "float16", "bfloat16")
COMPLEXES = ("complex64", "complex128")
INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS32_64 = ("float32", "float64")
FP8 = ("float8_e4m3fn", "float8_e5m2")
EVERY = (*REALS, *COMPLEXES, *INTS, "bool", *FP8)


@dataclass(frozen=True)
class Arg:
    """How to draw one argument: `draw(rng, shape, dtype) -> numpy array`.

    Args:
        shape: its shape.
        draw: the generator.
        dtype: fixed dtype, or None for the dtype being swept.
        differentiable: whether derivatives with respect to it are checked (where its dtype has any).
        batchable: whether vmap over it is checked.
    """

    shape: tuple[int, ...]
    draw: Callable[[np.random.Generator, tuple[int, ...], np.dtype], np.ndarray]
    dtype: str | None = None
    differentiable: bool = True
    batchable: bool = True

    def make(self, rng: np.random.Generator, dtype: Any, extra: tuple[int, ...] = ()) -> np.ndarray:
        chosen = np.dtype(self.dtype or dtype)
        with np.errstate(all="ignore"):  # 1e10 is inf in float16
            return np.asarray(self.draw(rng, extra + self.shape, chosen)).astype(chosen)


def uniform(low: float, high: float) -> Callable:
    """Draw from [low, high): integers for integer dtypes, both parts for complex ones."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if dtype.kind == "b":
            return rng.integers(0, 2, shape)
        if dtype.kind in "iu":
            return rng.integers(max(int(low), 0) if dtype.kind == "u" else int(low), int(high), shape)
        if dtype.kind == "c":
            return rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)
        return rng.uniform(low, high, shape)

    return draw


def distinct(gap: float = 0.1) -> Callable:
    """Values that differ from each other by at least `gap`, shuffled: no ties for max, sort and median."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        count = int(np.prod(shape))
        values = rng.permutation(count) - count // 2
        return (values if dtype.kind in "iub" else gap * values + gap / 4).reshape(shape)

    return draw


def label(shape: tuple[int, ...]) -> str:
    """A shape as part of a case's name."""
    return "x".join(map(str, shape)) or "scalar"


def arg(*shape: int, low: float = -2.0, high: float = 2.0, **options: Any) -> Arg:
    """An argument drawn uniformly from [low, high)."""
    return Arg(shape, uniform(low, high), **options)


def positive(*shape: int, low: float = 0.2, high: float = 3.0, **options: Any) -> Arg:
    """An argument of positive numbers (integers from 1)."""
    return Arg(shape, lambda rng, s, d: uniform(max(low, 1) if d.kind in "iu" else low, high)(rng, s, d), **options)


def separated(*shape: int, **options: Any) -> Arg:
    """An argument without ties."""
    return Arg(shape, distinct(), **options)


def values(*numbers: Any, **options: Any) -> Arg:
    """An argument that holds just these numbers: boundaries, signed zeros, infinities."""
    return Arg((len(numbers),), lambda rng, shape, dtype: np.broadcast_to(np.asarray(numbers), shape), **options)


def integers(*shape: int, low: int, high: int, dtype: str = "int32", **options: Any) -> Arg:
    """Indices and the like: a fixed integer dtype, not differentiable."""
    return Arg(shape, uniform(low, high), dtype=dtype, differentiable=False, **options)


@dataclass(frozen=True)
class Case:
    """One way of calling a primitive.

    Args:
        name: unique in the table.
        primitive: the name of the primitive it exercises.
        function: a function of Arrays (params bound), e.g. a function of `nrx.ops` or `nrx.lax`.
        args: how to draw the arguments.
        oracle: the same in NumPy/SciPy on NumPy arrays (float64/complex128 or the integer dtype); not nrx code.
        dtypes: dtypes to sweep in the forward check. Derivatives are checked in float64 (or complex128).
        order: highest order of derivative checked (0: none).
        smooth: False where the arguments stand on a kink: the gradient is compared with JAX's, not with differences.
        vmap: whether vmap is checked (each axis, each operand).
        ulp: allowed distance to the oracle, in units of the dtype's eps relative to the largest magnitude; 0 is exact.
        tolerance: allowed relative error of derivatives against finite differences.
        jax: the same in JAX as a string of an expression over `jax, jnp, lax` giving a function, or "" for none.
        jax_gradient: False where JAX has no derivative, or a wrong one: only values are compared.
    """

    name: str
    primitive: str
    function: Callable
    args: Sequence[Arg]
    oracle: Callable | None
    dtypes: tuple[str, ...] = REALS
    order: int = 2
    smooth: bool = True
    vmap: bool = True
    ulp: float = 8
    tolerance: float = 1e-6
    jax: str = ""
    jax_gradient: bool = True
    marks: tuple = field(default=())
