"""Training steps of networks of dense layers with Adam, the step in the memory of the last one."""

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import training
from benchmarks.cpu.workloads.training import B1, B2, CHECKED, EPSILON, RATE, Model

SIZES = (784, 128, 10)
BATCH = 32


def inputs(rng: np.random.Generator, sizes: tuple[int, ...] = SIZES, batch: int = BATCH) -> tuple[np.ndarray, ...]:
    """Images, labels, and the parameters: kernel and bias of each layer."""
    x = rng.normal(size=(batch, sizes[0])).astype(np.float32)
    labels = rng.integers(0, sizes[-1], batch).astype(np.int32)
    shapes = [shape for layer in pairwise(sizes) for shape in (layer, layer[1])]
    return x, labels, *training.parameters(rng, *shapes)


def reference(x: np.ndarray, labels: np.ndarray, *params: np.ndarray, steps: int = CHECKED) -> np.ndarray:
    """The losses of the first steps, with gradients by hand."""
    x, rows = x.astype(np.float64), np.arange(len(x))
    values = [param.astype(np.float64) for param in params]
    first, second = [[np.zeros_like(value) for value in values] for _ in range(2)]
    losses = []
    for count in range(1, steps + 1):
        active = [x]
        for kernel, bias in zip(values[:-2:2], values[1:-2:2], strict=True):
            active.append(np.maximum(active[-1] @ kernel + bias, 0))
        logits = active[-1] @ values[-2] + values[-1]
        losses.append(training.cross_entropy(logits, labels))
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        by_output = exponentials / exponentials.sum(1, keepdims=True)
        by_output[rows, labels] -= 1
        by_output /= len(x)
        grads: list[np.ndarray] = []
        for kernel, before in zip(values[-2::-2], active[::-1], strict=True):
            grads = [before.T @ by_output, by_output.sum(0), *grads]
            by_output = by_output @ kernel.T * (before > 0)
        for i, grad in enumerate(grads):
            first[i] = B1 * first[i] + (1 - B1) * grad
            second[i] = B2 * second[i] + (1 - B2) * grad**2
            means = first[i] / (1 - B1**count), second[i] / (1 - B2**count)
            values[i] = values[i] - RATE * means[0] / (np.sqrt(means[1]) + EPSILON)
    return np.array(losses)


def like_jax(library: Any, params: Any, x: Any, labels: Any) -> Any:
    *hidden, kernel, bias = params
    for w, b in zip(hidden[::2], hidden[1::2], strict=True):
        x = library.nn.relu(x @ w + b)
    return training.like_jax_cross_entropy(library, x @ kernel + bias, labels)


def in_torch(torch: Any, params: Any, x: Any, labels: Any) -> Any:
    functional = torch.nn.functional
    *hidden, kernel, bias = params
    for w, b in zip(hidden[::2], hidden[1::2], strict=True):
        x = functional.relu(functional.linear(x, w, b))
    return functional.cross_entropy(functional.linear(x, kernel, bias), labels)


MODEL = Model(like_jax, in_torch, layout=np.transpose)
TASKS = training.tasks(MODEL, training.losses)


def of(name: str, sizes: tuple[int, ...], batch: int, targets: dict[str, float]) -> Case:
    matrices = sum(n * m for n, m in pairwise(sizes))
    return Case(
        name=name,
        title=f"MLP training step with Adam, {'-'.join(map(str, sizes))}, batch {batch}",
        inputs=partial(inputs, sizes=sizes, batch=batch),
        reference=reference,
        tolerance=1e-4,
        tasks=TASKS,
        targets=targets,
        note=training.NOTE,
        work=training.work(2.0 * batch * matrices, matrices),
        is_training=True,
    )


def cases(middle: int = 512, large: int = 1024) -> list[Case]:
    ahead = {"jax": 1.3, "torch": 1.2}
    return [
        of("mlp", SIZES, BATCH, {"jax": 1.5, "torch": 1.5}),
        of("mlp-middle", (784, middle, middle, 10), middle // 4, ahead),
        of("mlp-large", (784, large, large, 10), large // 2, ahead),
    ]
