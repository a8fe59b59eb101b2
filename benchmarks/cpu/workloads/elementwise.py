"""Elementwise operations in one pass: gelu(x)·exp(x) + sin(x) on four million elements."""

from typing import Any

import numpy as np
from scipy import special

from benchmarks.cpu.case import Case, pure
from benchmarks.cpu.results import Work

#: Not 1 << 22: in f64 that is where the C library begins to ask the system for fresh memory on each call, whose cost
#: varies with what else the machine does, and hides that of the computation.
SIZE = 4_000_000
TARGETS = {"jax": 6.0, "torch": 2.0}
TOLERANCES = {"float32": 1e-5, "float64": 1e-13}


def like_jax(library: Any, x: Any) -> Any:
    jnp = library.numpy
    return library.nn.gelu(x) * jnp.exp(x) + jnp.sin(x)


def in_torch(torch: Any, x: Any) -> Any:
    return torch.nn.functional.gelu(x, approximate="tanh") * torch.exp(x) + torch.sin(x)


def reference(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    gelu = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return gelu * np.exp(x) + np.sin(x)


def like_jax_by_erf(library: Any, x: Any) -> Any:
    jnp = library.numpy
    return library.nn.gelu(x, approximate=False) * jnp.exp(x) + jnp.sin(x)


def in_torch_by_erf(torch: Any, x: Any) -> Any:
    return torch.nn.functional.gelu(x) * torch.exp(x) + torch.sin(x)


def reference_by_erf(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x * special.ndtr(x) * np.exp(x) + np.sin(x)


def cases(size: int = SIZE) -> list[Case]:
    return [case(size, dtype, by_erf) for by_erf in (False, True) for dtype in TOLERANCES]


def case(size: int, dtype: str, by_erf: bool) -> Case:
    form = "erf" if by_erf else "tanh"
    programs = (like_jax_by_erf, in_torch_by_erf) if by_erf else (like_jax, in_torch)
    return Case(
        name=f"gelu-{form}-f{dtype[-2:]}",
        title=f"gelu({form})·exp + sin, 4M f{dtype[-2:]}",
        inputs=lambda rng: (rng.normal(size=size).astype(dtype),),
        reference=reference_by_erf if by_erf else reference,
        tolerance=TOLERANCES[dtype],
        tasks=pure(*programs),
        targets=TARGETS,
        x64=dtype == "float64",
        work=Work(0, 2.0 * size * np.dtype(dtype).itemsize),
    )
