"""Reductions over the axes of a matrix of 4096 × 1024 f32, each fused with what comes before and after it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from benchmarks.cpu.case import Case, pure
from benchmarks.cpu.results import Work

SHAPE = (4096, 1024)
TARGETS = {"jax": 1.5, "torch": 1.0}
TOLERANCE = 3e-5
EPSILON = 1e-5

# --- softmax(x·a + b)·c: a scaled and masked attention, say -----------------------------------------------------------


def softmax_like_jax(library: Any, x: Any, a: Any, b: Any, c: Any) -> Any:
    return library.nn.softmax(x * a + b, axis=1) * c


def softmax_in_torch(torch: Any, x: Any, a: Any, b: Any, c: Any) -> Any:
    return torch.softmax(x * a + b, 1) * c


def softmax_reference(x: Any, a: Any, b: Any, c: Any) -> Any:
    return special.softmax(x * a + b, axis=1) * c


# --- gelu of a layer normalization with scale and bias ----------------------------------------------------------------


def layernorm_like_jax(library: Any, x: Any, scale: Any, bias: Any) -> Any:
    return library.nn.gelu(library.nn.standardize(x, axis=1, epsilon=EPSILON) * scale + bias)


def layernorm_in_torch(torch: Any, x: Any, scale: Any, bias: Any) -> Any:
    functional = torch.nn.functional
    return functional.gelu(functional.layer_norm(x, x.shape[1:], scale, bias, EPSILON), approximate="tanh")


def layernorm_reference(x: Any, scale: Any, bias: Any) -> Any:
    y = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + EPSILON) * scale + bias
    return y / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))


# --- logsumexp(x·a + b) − target: a cross-entropy ---------------------------------------------------------------------


def logsumexp_like_jax(library: Any, x: Any, a: Any, b: Any, target: Any) -> Any:
    return library.nn.logsumexp(x * a + b, axis=1) - target


def logsumexp_in_torch(torch: Any, x: Any, a: Any, b: Any, target: Any) -> Any:
    return torch.logsumexp(x * a + b, 1) - target


def logsumexp_reference(x: Any, a: Any, b: Any, target: Any) -> Any:
    return special.logsumexp(x * a + b, axis=1) - target


# --- the mean over axis 0 of a product: the gradient of a scale -------------------------------------------------------


def sum0_like_jax(library: Any, x: Any, y: Any, a: Any) -> Any:
    return (x * y).sum(0) / x.shape[0] + a


def sum0_in_torch(torch: Any, x: Any, y: Any, a: Any) -> Any:
    return (x * y).sum(0) / x.shape[0] + a


def sum0_reference(x: Any, y: Any, a: Any) -> Any:
    return (x * y).mean(0) + a


# --- sqrt of the sum over axis 1 of a squared difference: distances ---------------------------------------------------


def sum1_like_jax(library: Any, x: Any, y: Any) -> Any:
    return library.numpy.sqrt(((x - y) ** 2).sum(1))


def sum1_in_torch(torch: Any, x: Any, y: Any) -> Any:
    return torch.sqrt(((x - y) ** 2).sum(1))


def sum1_reference(x: Any, y: Any) -> Any:
    return np.linalg.norm(x - y, axis=1)


def cases(shape: tuple[int, int] = SHAPE) -> list[Case]:
    m, n = shape

    def case(name: str, title: str, reference: Callable, programs: tuple[Callable, Callable], *others: tuple) -> Case:
        passes = 2 if name in ("softmax", "layernorm") or shape in others else 1
        return Case(
            name=name,
            title=f"{title}, {m}×{n} f32",
            inputs=lambda rng: tuple(np.asarray(rng.normal(size=size), np.float32) for size in (shape, *others)),
            reference=lambda *data: reference(*(array.astype(np.float64) for array in data)),
            tolerance=TOLERANCE,
            tasks=pure(*programs),
            targets=TARGETS,
            work=Work(0, 4.0 * m * n * passes),
        )

    softmax, layernorm = (softmax_like_jax, softmax_in_torch), (layernorm_like_jax, layernorm_in_torch)
    logsumexp = logsumexp_like_jax, logsumexp_in_torch
    sum0, sum1 = (sum0_like_jax, sum0_in_torch), (sum1_like_jax, sum1_in_torch)
    return [
        case("softmax", "softmax(x·a + b)·c", softmax_reference, softmax, (), (n,), (n,)),
        case("layernorm", "gelu(layernorm(x)·a + b)", layernorm_reference, layernorm, (n,), (n,)),
        case("logsumexp", "logsumexp(x·a + b) − c", logsumexp_reference, logsumexp, (), (n,), (m,)),
        case("sum0", "mean over axis 0 of x·y, + a", sum0_reference, sum0, shape, (n,)),
        case("sum1", "√ of the sum over axis 1 of (x − y)²", sum1_reference, sum1, shape),
    ]
