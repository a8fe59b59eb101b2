"""Attention, softmax(q·kᵀ/√d)·v in each head, and the gradient of a weighted sum of it by q, k and v."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from benchmarks.cpu.case import Case, Task, jitted, pure
from benchmarks.cpu.results import Work

#: Batch, positions, heads, features.
SHAPES = ((4, 128, 8, 64), (4, 1024, 8, 64), (1, 4096, 8, 64))
TARGETS = {"jax": 1.5, "torch": 1.0}
TOLERANCE = 1e-5

# --- the result -------------------------------------------------------------------------------------------------------


def in_nrx(nrx: Any, q: Any, k: Any, v: Any) -> Any:
    return nrx.nn.dot_product_attention(q, k, v)


def in_jax(jax: Any, q: Any, k: Any, v: Any) -> Any:
    """By hand: `jax.nn.dot_product_attention` takes up to twice as long."""
    q, k, v = (array.swapaxes(1, 2) for array in (q, k, v))
    scores = q @ k.swapaxes(2, 3) / q.shape[3] ** 0.5
    return (jax.nn.softmax(scores) @ v).swapaxes(1, 2)


def in_torch(torch: Any, q: Any, k: Any, v: Any) -> Any:
    """Positions go after heads there; the transposes move nothing."""
    q, k, v = (array.transpose(1, 2) for array in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def head(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One head's softmax and result."""
    probabilities = special.softmax(q @ k.T / np.sqrt(q.shape[1]), axis=1)
    return probabilities, probabilities @ v


def reference(*data: np.ndarray) -> np.ndarray:
    return by_heads(lambda *parts: head(*parts)[1:], *data)[0]


def by_heads(function: Any, *data: np.ndarray) -> list[np.ndarray]:
    """The results of a function of one head at a time, whose T×T matrices would be too many together."""
    batch, _, heads, _ = data[0].shape
    every = [[function(*(x[i, :, j].astype(np.float64) for x in data)) for j in range(heads)] for i in range(batch)]
    return [np.array([[one[part] for one in row] for row in every]).swapaxes(1, 2) for part in range(len(every[0][0]))]


# --- the weighted sum of the result and its gradient ------------------------------------------------------------------


def gradient_like_jax(attend: Callable, library: Any, q: Any, k: Any, v: Any, weights: Any) -> Any:
    def total(q: Any, k: Any, v: Any) -> Any:
        return (attend(library, q, k, v) * weights).sum()

    return library.value_and_grad(total, argnums=(0, 1, 2))(q, k, v)


def gradient_in_torch(compiled: bool, *data: np.ndarray) -> Task:
    import torch

    def total(q: Any, k: Any, v: Any, weights: Any) -> Any:
        return (in_torch(torch, q, k, v) * weights).sum()

    function = torch.compile(total, fullgraph=True) if compiled else total
    variables, weights = [torch.tensor(array, requires_grad=True) for array in data[:3]], torch.tensor(data[3])

    def run() -> Any:
        value = function(*variables, weights)
        return value.detach(), torch.autograd.grad(value, variables)

    return Task(run)


def head_gradient(q: np.ndarray, k: np.ndarray, v: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """One head's weighted result and the gradients by q, k and v."""
    probabilities, result = head(q, k, v)
    by_scores = probabilities * (weights @ v.T - (weights * result).sum(1, keepdims=True)) / np.sqrt(q.shape[1])
    return weights * result, by_scores @ k, by_scores.T @ q, probabilities.T @ weights


def gradient_reference(*data: np.ndarray) -> tuple[np.ndarray, ...]:
    weighted, *gradients = by_heads(head_gradient, *data)
    return weighted.sum(), *gradients


# --- the cases --------------------------------------------------------------------------------------------------------


def inputs(shape: tuple[int, ...], count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """q and k, then v and the weights, which tend to be positive: no sum shall be a small difference of large ones."""
    drawn = [rng.normal(size=shape) for _ in "qk"] + [rng.normal(0.25, 1, shape) for _ in range(count - 2)]
    return tuple(array.astype(np.float32) for array in drawn)


def pair(shape: tuple[int, int, int, int]) -> list[Case]:
    batch, positions, heads, features = shape
    title = f"attention, T {positions:,}, {batch}×{heads} heads of {features}, f32"
    count = 4.0 * batch * heads * positions**2 * features
    nbytes = 4.0 * batch * heads * positions * features
    likes = {"nrx": in_nrx, "jax": in_jax}
    forward = Case(
        name=f"attention-{positions}",
        title=title,
        inputs=partial(inputs, shape, 3),
        reference=reference,
        tolerance=TOLERANCE,
        tasks={**pure(in_nrx, in_torch), "jax": partial(jitted, "jax", in_jax)},
        targets=TARGETS,
        work=Work(count, 4 * nbytes),
    )
    gradient = Case(
        name=f"attention-{positions}-grad",
        title=f"value and gradient of {title}",
        inputs=partial(inputs, shape, 4),
        reference=gradient_reference,
        tolerance=TOLERANCE,
        tasks={
            **{name: partial(jitted, name, partial(gradient_like_jax, attend)) for name, attend in likes.items()},
            "torch": partial(gradient_in_torch, False),
            "torch.compile": partial(gradient_in_torch, True),
        },
        targets=TARGETS,
        work=Work(3 * count, 8 * nbytes),
    )
    return [forward, gradient]


def cases(shapes: tuple[tuple[int, int, int, int], ...] = SHAPES) -> list[Case]:
    return [case for shape in shapes for case in pair(shape)]
