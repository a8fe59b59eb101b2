"""A training step of a small network (784-128-10, batches of 32) with Adam, the step in the memory of the last one."""

import importlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case, Task

SIZES = (784, 128, 10)
BATCH = 32
RATE, B1, B2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
#: How many steps the check takes: its losses tell whether the steps before were right.
CHECKED = 10


def inputs(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Images, labels, and the parameters: kernel and bias of each layer."""
    x = rng.normal(size=(BATCH, SIZES[0])).astype(np.float32)
    labels = rng.integers(0, SIZES[-1], BATCH).astype(np.int32)
    params = []
    for before, after in pairwise(SIZES):
        params += [rng.normal(size=(before, after)) / np.sqrt(before), np.zeros(after)]
    return x, labels, *(param.astype(np.float32) for param in params)


def reference(x: np.ndarray, labels: np.ndarray, *params: np.ndarray, steps: int = CHECKED) -> list[float]:
    """The losses of the first steps, with gradients by hand."""
    x, rows = x.astype(np.float64), np.arange(len(x))
    values = [param.astype(np.float64) for param in params]
    first, second = [[np.zeros_like(value) for value in values] for _ in range(2)]
    losses = []
    for count in range(1, steps + 1):
        w1, b1, w2, b2 = values
        hidden = x @ w1 + b1
        active = np.maximum(hidden, 0)
        logits = active @ w2 + b2
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = exponentials / exponentials.sum(1, keepdims=True)
        losses.append(-np.log(probabilities[rows, labels]).mean())
        by_logits = probabilities
        by_logits[rows, labels] -= 1
        by_logits /= len(x)
        by_hidden = by_logits @ w2.T * (hidden > 0)
        grads = [x.T @ by_hidden, by_hidden.sum(0), active.T @ by_logits, by_logits.sum(0)]
        for i, grad in enumerate(grads):
            first[i] = B1 * first[i] + (1 - B1) * grad
            second[i] = B2 * second[i] + (1 - B2) * grad**2
            means = first[i] / (1 - B1**count), second[i] / (1 - B2**count)
            values[i] = values[i] - RATE * means[0] / (np.sqrt(means[1]) + EPSILON)
    return losses


def training(step: Callable[[], Any], finish: Callable[[], None], reset: Callable[[], None]) -> Task:
    """The task of a step that changes the parameters, and returns the loss of those before."""

    def result() -> list[Any]:
        reset()
        return [step() for _ in range(CHECKED)]

    return Task(step, result=result, finish=finish, reset=reset)


def carried(library: Any, step: Callable, start: Callable[[], Any], x: np.ndarray, labels: np.ndarray) -> Task:
    """The task of a jitted pure function of (state, x, labels) that returns the next state and the loss."""
    function = library.jit(step, donate_argnums=0)
    batch = library.numpy.asarray(x), library.numpy.asarray(labels)
    state: Any = None

    def run() -> Any:
        nonlocal state
        state, loss = function(state, *batch)
        return loss

    def reset() -> None:
        nonlocal state
        state = start()

    reset()
    return training(run, lambda: library.block_until_ready(state), reset)


def in_nrx(x: np.ndarray, labels: np.ndarray, w1: Any, b1: Any, w2: Any, b2: Any) -> Task:
    nrx = importlib.import_module("nrx")
    model = nrx.nn.sequential(nrx.nn.Dense(SIZES[1]), nrx.nn.Relu, nrx.nn.Dense(SIZES[2]))
    adam = nrx.optim.adam(RATE, B1, B2, EPSILON)

    def loss(params: Any, x: Any, labels: Any) -> Any:
        return nrx.nn.softmax_cross_entropy_with_integer_labels(model.apply(params, x), labels).mean()

    def step(state: Any, x: Any, labels: Any) -> Any:
        params, moments = state
        value, grads = nrx.value_and_grad(loss)(params, x, labels)
        updates, moments = adam.update(grads, moments, params)
        return (nrx.optim.apply_updates(params, updates), moments), value

    def start() -> Any:
        w1_, b1_, w2_, b2_ = (nrx.numpy.array(param) for param in (w1, b1, w2, b2))
        params = ({"kernel": w1_, "bias": b1_}, (), {"kernel": w2_, "bias": b2_})
        return params, adam.init(params)

    return carried(nrx, step, start, x, labels)


def in_jax(x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Task:
    """Plain JAX, with Adam by hand."""
    jax = importlib.import_module("jax")
    jnp, tree = jax.numpy, jax.tree

    def loss(params: Any, x: Any, labels: Any) -> Any:
        w1, b1, w2, b2 = params
        logs = jax.nn.log_softmax(jax.nn.relu(x @ w1 + b1) @ w2 + b2)
        return -jnp.take_along_axis(logs, labels[:, None], axis=1).mean()

    def step(state: Any, x: Any, labels: Any) -> Any:
        params, first, second, count = state
        value, grads = jax.value_and_grad(loss)(params, x, labels)
        count = count + 1
        first = tree.map(lambda m, g: B1 * m + (1 - B1) * g, first, grads)
        second = tree.map(lambda v, g: B2 * v + (1 - B2) * g * g, second, grads)
        at1, at2 = 1 - B1**count, 1 - B2**count
        params = tree.map(lambda p, m, v: p - RATE * (m / at1) / (jnp.sqrt(v / at2) + EPSILON), params, first, second)
        return (params, first, second, count), value

    def start() -> Any:
        params = [jnp.array(param) for param in initial]
        return params, tree.map(jnp.zeros_like, params), tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32)

    return carried(jax, step, start, x, labels)


def in_torch(x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Task:
    """Modules and the fused Adam, PyTorch's fastest."""
    import torch

    batch = torch.tensor(x), torch.tensor(labels).long()
    layers = [torch.nn.Linear(before, after) for before, after in pairwise(SIZES)]
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    optimizer: Any = None

    def reset() -> None:
        nonlocal optimizer
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), initial, strict=True):
                parameter.copy_(torch.tensor(value.T))
        optimizer = torch.optim.Adam(model.parameters(), RATE, (B1, B2), EPSILON, fused=True)

    def run() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    reset()
    return training(run, lambda: None, reset)


def in_compiled_torch(x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Task:
    """The whole step as one graph, with Adam by hand: faster than compiling modules and torch.optim.Adam apart."""
    import torch

    functional = torch.nn.functional
    batch = torch.tensor(x), torch.tensor(labels).long()
    state: list[Any] = []

    def loss(params: Any, x: Any, labels: Any) -> Any:
        w1, b1, w2, b2 = params
        return functional.cross_entropy(functional.relu(x @ w1 + b1) @ w2 + b2, labels)

    @torch.compile(fullgraph=True)
    def step(params: Any, first: Any, second: Any, count: Any, x: Any, labels: Any) -> Any:
        grads, value = torch.func.grad_and_value(loss)(params, x, labels)
        count += 1
        at1, at2 = 1 - B1**count, 1 - B2**count
        for param, m, v, grad in zip(params, first, second, grads, strict=True):
            m.mul_(B1).add_(grad, alpha=1 - B1)
            v.mul_(B2).addcmul_(grad, grad, value=1 - B2)
            param.sub_(RATE * (m / at1) / (torch.sqrt(v / at2) + EPSILON))
        return value

    def reset() -> None:
        params = [torch.tensor(value) for value in initial]
        state[:] = params, [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params], torch.zeros(())

    @torch.no_grad()
    def run() -> Any:
        return step(*state, *batch)

    reset()
    return training(run, lambda: None, reset)


TASKS: dict[str, Callable[..., Task]] = {
    "nrx": in_nrx,
    "jax": in_jax,
    "torch": in_torch,
    "torch.compile": in_compiled_torch,
}


def first_loss(peer: str, seed: int) -> float:
    """The loss of a process's first step: what `start` waits for."""
    task = TASKS[peer](*inputs(np.random.default_rng(seed)))
    loss = float(task.run())
    task.finish()
    return loss


def cases() -> list[Case]:
    return [
        Case(
            name="mlp",
            title="MLP training step with Adam, 784-128-10, batch 32",
            inputs=inputs,
            reference=reference,
            tolerance=1e-4,
            tasks=TASKS,
            targets={"jax": 1.5, "torch": 1.5},
            note="PyTorch eager is torch.nn with the fused torch.optim.Adam; torch.compile compiles the whole step.",
        )
    ]
