"""Nested transformations of small networks: the gradient of each example, a Jacobian, a Hessian."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import special

from benchmarks.cpu.case import Case, pure
from benchmarks.cpu.workloads.movement import LARGE_RESULT

SIZES, BATCH = (784, 256, 10), 64
FIELD_SIZES = (64, 64, 32)
LOSS_SIZES = (8, 16, 16, 1)
TARGETS = {"jax": 1.2, "torch": 1.0}


def parameters(rng: np.random.Generator, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Kernel and bias of each layer."""
    params = []
    for before, after in pairwise(sizes):
        params += [rng.normal(size=(before, after)) / np.sqrt(before), rng.normal(size=after) / 10]
    return [param.astype(np.float32) for param in params]


# --- the gradients of a loss by the parameters, one for each example --------------------------------------------------


def gradients_like_jax(library: Any, x: Any, labels: Any, *params: Any) -> Any:
    def loss(params: Any, x: Any, label: Any) -> Any:
        w1, b1, w2, b2 = params
        return -library.nn.log_softmax(library.nn.relu(x @ w1 + b1) @ w2 + b2)[label]

    return library.vmap(library.grad(loss), in_axes=(None, 0, 0))(params, x, labels)


def gradients_in_torch(torch: Any, x: Any, labels: Any, *params: Any) -> Any:
    functional = torch.nn.functional

    def loss(params: Any, x: Any, label: Any) -> Any:
        w1, b1, w2, b2 = params
        return functional.cross_entropy(functional.relu(x @ w1 + b1) @ w2 + b2, label)

    return torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(params, x, labels.long())


def gradients_reference(x: np.ndarray, labels: np.ndarray, *params: np.ndarray) -> list[np.ndarray]:
    x, w1, b1, w2, b2 = (array.astype(np.float64) for array in (x, *params))
    hidden = x @ w1 + b1
    active = np.maximum(hidden, 0)
    by_logits = special.softmax(active @ w2 + b2, axis=1) - np.eye(len(b2))[labels]
    by_hidden = by_logits @ w2.T * (hidden > 0)
    return [x[:, :, None] * by_hidden[:, None], by_hidden, active[:, :, None] * by_logits[:, None], by_logits]


def gradients(sizes: tuple[int, ...], batch: int) -> Case:
    def inputs(rng: np.random.Generator) -> tuple:
        x = rng.normal(size=(batch, sizes[0])).astype(np.float32)
        return x, rng.integers(0, sizes[-1], batch).astype(np.int32), *parameters(rng, sizes)

    return Case(
        name="per-example",
        title=f"per-example gradients, MLP {'-'.join(map(str, sizes))}, batch {batch}",
        inputs=inputs,
        reference=gradients_reference,
        tolerance=1e-5,
        tasks=pure(gradients_like_jax, gradients_in_torch),
        targets=TARGETS,
        note=LARGE_RESULT,
    )


# --- the Jacobian of a network by its input, at each point of a batch -------------------------------------------------


def field(tanh: Callable, params: Any, x: Any) -> Any:
    w1, b1, w2, b2 = params
    return tanh(x @ w1 + b1) @ w2 + b2


def jacobian_like_jax(library: Any, x: Any, *params: Any) -> Any:
    return library.vmap(library.jacrev(lambda point: field(library.numpy.tanh, params, point)))(x)


def jacobian_in_torch(torch: Any, x: Any, *params: Any) -> Any:
    return torch.func.vmap(torch.func.jacrev(lambda point: field(torch.tanh, params, point)))(x)


def jacobian_reference(*data: np.ndarray) -> np.ndarray:
    x, w1, b1, w2, _ = (array.astype(np.float64) for array in data)
    return np.einsum("ih,ph,ho->poi", w1, np.cosh(x @ w1 + b1) ** -2, w2, optimize=True)


def jacobian(sizes: tuple[int, ...], points: int) -> Case:
    return Case(
        name="jacobian",
        title=f"Jacobian of an MLP {'-'.join(map(str, sizes))} by its input, {points} points",
        inputs=lambda rng: (rng.normal(size=(points, sizes[0])).astype(np.float32), *parameters(rng, sizes)),
        reference=jacobian_reference,
        tolerance=1e-5,
        tasks=pure(jacobian_like_jax, jacobian_in_torch),
        targets=TARGETS,
    )


# --- the Hessian of a loss by all parameters, laid end to end ---------------------------------------------------------


def layers(sizes: tuple[int, ...], flat: Any) -> list[tuple[Any, Any]]:
    """Kernel and bias of each layer, parts of a vector."""
    found, start = [], 0
    for before, after in pairwise(sizes):
        middle, end = start + before * after, start + (before + 1) * after
        found.append((flat[start:middle].reshape(before, after), flat[middle:end]))
        start = end
    return found


def loss(sizes: tuple[int, ...], tanh: Callable, x: Any, y: Any, flat: Any) -> Any:
    """The mean squared error."""
    *hidden, (kernel, bias) = layers(sizes, flat)
    for weights, shift in hidden:
        x = tanh(x @ weights + shift)
    return ((x @ kernel + bias - y) ** 2).mean()


def hessian_like_jax(sizes: tuple[int, ...], library: Any, x: Any, y: Any, flat: Any) -> Any:
    return library.hessian(lambda flat: loss(sizes, library.numpy.tanh, x, y, flat))(flat)


def hessian_in_torch(sizes: tuple[int, ...], torch: Any, x: Any, y: Any, flat: Any) -> Any:
    return torch.func.hessian(lambda flat: loss(sizes, torch.tanh, x, y, flat))(flat)


def slope(sizes: tuple[int, ...], x: np.ndarray, y: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """The gradient of the loss, by hand, of real or complex parameters."""
    parts, values = layers(sizes, flat), [x]
    for kernel, bias in parts[:-1]:
        values.append(np.tanh(values[-1] @ kernel + bias))
    by_output = 2 * (values[-1] @ parts[-1][0] + parts[-1][1] - y) / y.size
    found: list[np.ndarray] = []
    for (kernel, _), value in zip(parts[::-1], values[::-1], strict=True):
        found = [(value.T @ by_output).ravel(), by_output.sum(0), *found]
        by_output = by_output @ kernel.T * (1 - value**2)
    return np.concatenate(found)


def hessian_reference(sizes: tuple[int, ...], *data: np.ndarray) -> np.ndarray:
    """By complex steps, as `lorenz.reference`."""
    x, y, flat = (array.astype(np.float64) for array in data)
    tiny = 1e-100
    return np.array([slope(sizes, x, y, flat + 1j * tiny * unit).imag / tiny for unit in np.eye(flat.size)])


def hessian(sizes: tuple[int, ...], batch: int) -> Case:
    def inputs(rng: np.random.Generator) -> tuple:
        x, y = (rng.normal(size=(batch, size)).astype(np.float32) for size in (sizes[0], sizes[-1]))
        return x, y, np.concatenate([param.ravel() for param in parameters(rng, sizes)])

    count = sum((before + 1) * after for before, after in pairwise(sizes))
    return Case(
        name="hessian",
        title=f"Hessian of the loss of an MLP {'-'.join(map(str, sizes))} ({count} parameters), batch {batch}",
        inputs=inputs,
        reference=partial(hessian_reference, sizes),
        tolerance=1e-5,
        tasks=pure(partial(hessian_like_jax, sizes), partial(hessian_in_torch, sizes)),
        targets=TARGETS,
    )


def cases(sizes: tuple[int, ...] = SIZES, field_sizes: tuple[int, ...] = FIELD_SIZES, batch: int = BATCH) -> list[Case]:
    return [gradients(sizes, batch), jacobian(field_sizes, 2 * batch), hessian(LOSS_SIZES, batch)]
