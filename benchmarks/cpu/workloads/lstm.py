"""A training step of an LSTM by `scan`, with a dense layer on its last state."""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import training
from benchmarks.cpu.workloads.training import Model

CLASSES = 10


def inputs(rng: np.random.Generator, steps: int, batch: int, features: int, units: int) -> tuple[np.ndarray, ...]:
    """Sequences (time first), labels, and the parameters; the gates in PyTorch's order: input, forget, cell, output."""
    x = rng.normal(size=(steps, batch, features)).astype(np.float32)
    labels = rng.integers(0, CLASSES, batch).astype(np.int32)
    shapes = (features, 4 * units), (units, 4 * units), 4 * units, (units, CLASSES), CLASSES
    return x, labels, *training.parameters(rng, *shapes)


def in_numpy(params: Any, x: np.ndarray, labels: np.ndarray) -> Any:
    by_input, by_state, bias, kernel, head_bias = params
    h = c = np.zeros((x.shape[1], len(by_state)))
    for now in x:
        i, f, g, o = np.split(now @ by_input + h @ by_state + bias, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
    return training.cross_entropy(h @ kernel + head_bias, labels)


def like_jax(library: Any, params: Any, x: Any, labels: Any) -> Any:
    """The products by the inputs of all steps are one, before the loop."""
    by_input, by_state, bias, kernel, head_bias = params
    nn, jnp = library.nn, library.numpy

    def step(state: Any, now: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(now + h @ by_state, 4, axis=1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        return (nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((x.shape[1], len(by_state)), x.dtype)
    (h, _), _ = library.lax.scan(step, (zeros, zeros), x @ by_input + bias)
    return training.like_jax_cross_entropy(library, h @ kernel + head_bias, labels)


def in_torch(torch: Any, params: Any, x: Any, labels: Any) -> Any:
    """`torch.lstm` is what torch.nn.LSTM calls; its second bias is constant."""
    by_input, by_state, bias, kernel, head_bias = params
    zeros = x.new_zeros(1, x.shape[1], by_state.shape[1])
    weights = [by_input, by_state, bias, torch.zeros_like(bias)]
    _, h, _ = torch.lstm(x, (zeros, zeros), weights, True, 1, 0.0, True, False, False)
    functional = torch.nn.functional
    return functional.cross_entropy(functional.linear(h[0], kernel, head_bias), labels)


MODEL = Model(like_jax, in_torch, layout=np.transpose, compiled=False)


def cases(steps: int = 128, batch: int = 32, features: int = 64, units: int = 256) -> list[Case]:
    matrices = (features + units) * 4 * units
    return [
        Case(
            name="lstm",
            title=f"LSTM training step with Adam, {steps} steps, {units} units, batch {batch}",
            inputs=partial(inputs, steps=steps, batch=batch, features=features, units=units),
            reference=partial(training.slope_reference, in_numpy),
            tolerance=1e-4,
            tasks=training.tasks(MODEL),
            targets={"jax": 1.5, "torch": 1.0},
            note="PyTorch eager has the fused torch.optim.Adam. torch.compile leaves an LSTM as it is.",
            is_training=True,
            work=training.work(2.0 * steps * batch * matrices, matrices),
        )
    ]
