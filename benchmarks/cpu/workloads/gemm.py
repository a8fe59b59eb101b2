"""Products of matrices: alone, batched, with bias and gelu, and of bfloat16."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from benchmarks.cpu.case import Case, Task, jitted, pure
from benchmarks.cpu.results import Work

#: Rows, terms of each sum, columns.
SIZES = ((32, 784, 128), (128, 784, 512), (512, 1024, 1024), (1024, 1024, 1024))
BATCHED = (96, 128, 64, 128)
LAYERS = ((128, 784, 512), (512, 1024, 1024))
NARROW_SIZES = ((1024, 1024, 1024), (4096, 1024, 1024))
TARGETS = {"jax": 1.1, "torch": 1.0}
NARROW_TARGETS = {"jax": 1.0, "torch": 1.0}
#: What rounding the result to bfloat16 may cost is 2⁻⁸ of the largest element, 3.9e-3.
TOLERANCES = {"float32": 1e-5, "float64": 1e-14, "bfloat16": 4e-3}


def product(library: Any, a: Any, b: Any) -> Any:
    return a @ b


def draw(dtype: str, rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


def doubles(*data: np.ndarray) -> list[np.ndarray]:
    return [array.astype(np.float64) for array in data]


def work(size: tuple[int, ...], dtype: str) -> Work:
    """Of a product, or of a batch of them."""
    *batch, m, k, n = size
    count = math.prod(batch)
    nbytes = (m * k + k * n + m * n) * (2 if dtype == "bfloat16" else np.dtype(dtype).itemsize)
    return Work(2.0 * count * m * k * n, float(count * nbytes), dtype)


def text(size: tuple[int, ...]) -> str:
    """A size as the report writes it: that of one product of a batch is in parentheses."""
    *batch, m, k, n = size
    matrices = f"{m}×{k}×{n}"
    return f"{batch[0]}×({matrices})" if batch else matrices


def short(size: tuple[int, ...]) -> str:
    if len(size) == 4:
        return "batched"
    return str(size[0]) if len(set(size)) == 1 else "x".join(map(str, size))


# --- a·b --------------------------------------------------------------------------------------------------------------


def plain(size: tuple[int, ...], dtype: str) -> Case:
    *batch, m, k, n = size
    return Case(
        name=f"gemm-{short(size)}-f{dtype[-2:]}",
        title=f"GEMM {text(size)} f{dtype[-2:]}",
        inputs=lambda rng: draw(dtype, rng, (*batch, m, k), (*batch, k, n)),
        reference=lambda *data: np.matmul(*doubles(*data)),
        tolerance=TOLERANCES[dtype],
        tasks=pure(product, product),
        targets=TARGETS,
        x64=dtype == "float64",
        work=work(size, dtype),
    )


# --- gelu(a·b + c): a layer of a network ------------------------------------------------------------------------------


def layer_like_jax(library: Any, a: Any, b: Any, c: Any) -> Any:
    return library.nn.gelu(a @ b + c)


def layer_in_torch(torch: Any, a: Any, b: Any, c: Any) -> Any:
    return torch.nn.functional.gelu(torch.addmm(c, a, b), approximate="tanh")


def layer_reference(*data: np.ndarray) -> np.ndarray:
    a, b, c = doubles(*data)
    y = a @ b + c
    return y / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))


def layer(size: tuple[int, int, int]) -> Case:
    m, k, n = size

    def inputs(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        a, b, c = draw("float32", rng, (m, k), (k, n), (n,))
        return a, b / np.float32(k**0.5), c

    return Case(
        name=f"gemm-gelu-{short(size)}",
        title=f"gelu(GEMM {text(size)} + bias) f32",
        inputs=inputs,
        reference=layer_reference,
        tolerance=TOLERANCES["float32"],
        tasks=pure(layer_like_jax, layer_in_torch),
        targets=TARGETS,
        work=work(size, "float32"),
    )


# --- a·b of bfloat16, rounded to bfloat16 -----------------------------------------------------------------------------


def narrow_in_jax(jax: Any, a: Any, b: Any) -> Any:
    """Rounded by hand: `a @ b` takes up to three times as long."""
    return jax.numpy.matmul(a, b, preferred_element_type=np.float32).astype(a.dtype)


def narrow_in_torch(compiled: bool, *data: np.ndarray) -> Task:
    import torch

    multiply: Callable[..., Any] = torch.compile(torch.matmul, fullgraph=True) if compiled else torch.matmul
    operands = [torch.tensor(array.astype(np.float32)).bfloat16() for array in data]  # it reads no ml_dtypes

    @torch.inference_mode()
    def run() -> Any:
        return multiply(*operands)

    return Task(run, result=lambda: run().float())


def narrow(size: tuple[int, int, int]) -> Case:
    m, k, n = size
    return Case(
        name=f"gemm-bf16-{short(size)}",
        title=f"GEMM {text(size)} bf16",
        inputs=lambda rng: tuple(array.astype(ml_dtypes.bfloat16) for array in draw("float32", rng, (m, k), (k, n))),
        reference=lambda *data: np.matmul(*doubles(*data)),
        tolerance=TOLERANCES["bfloat16"],
        tasks={
            **pure(product),
            "jax": partial(jitted, "jax", narrow_in_jax),
            "torch": partial(narrow_in_torch, False),
            "torch.compile": partial(narrow_in_torch, True),
        },
        targets=NARROW_TARGETS,
        work=work(size, "bfloat16"),
    )


def cases(
    sizes: tuple[tuple[int, int, int], ...] = SIZES,
    batched: tuple[int, int, int, int] = BATCHED,
    layers: tuple[tuple[int, int, int], ...] = LAYERS,
    narrow_sizes: tuple[tuple[int, int, int], ...] = NARROW_SIZES,
) -> list[Case]:
    everywhere = [plain(size, dtype) for dtype in ("float32", "float64") for size in (*sizes, batched)]
    return everywhere + [layer(size) for size in layers] + [narrow(size) for size in narrow_sizes]
