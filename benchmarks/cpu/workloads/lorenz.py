"""The Lorenz system by the classical Runge–Kutta method in a `scan`: the state after many steps, and its gradient.

The interval is short enough for the error of rounding, which the system multiplies by e for every unit of time, to
stay small.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case, Task, pure

STEPS = 10_000
STEP = 1e-3
#: What PyTorch takes for the eager figures, times how often the steps asked for contain these.
EAGER_STEPS = 250
#: What `torch.compile` unrolls: it compiles loops by unrolling them, and in a time that grows faster than their length.
UNROLLED = 10
NOTE = (
    "PyTorch has no loop to compile: eager runs {eager} steps of a Python loop, and its time counts {scale:g} times; "
    "torch.compile runs a Python loop over {unrolled} unrolled steps."
)


def slope(state: Any, parameters: Any) -> Any:
    (x, y, z), (sigma, rho, beta) = state, parameters
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def step(state: Any, parameters: Any) -> Any:
    """One step of the method for a tuple of three numbers, those of any library."""

    def ahead(slopes: Any, length: float) -> Any:
        return tuple(value + length * rate for value, rate in zip(state, slopes, strict=True))

    k1 = slope(state, parameters)
    k2 = slope(ahead(k1, STEP / 2), parameters)
    k3 = slope(ahead(k2, STEP / 2), parameters)
    k4 = slope(ahead(k3, STEP), parameters)
    means = tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
    return ahead(means, STEP)


def value(steps: int, library: Any, state: Any, parameters: Any) -> Any:
    """The sum of squares of the last state."""
    parameters = tuple(parameters)
    last, _ = library.lax.scan(lambda carry, _: (step(carry, parameters), None), tuple(state), None, length=steps)
    return sum(component * component for component in last)


def gradient(steps: int, library: Any, state: Any, parameters: Any) -> Any:
    return library.grad(partial(value, steps, library), argnums=(0, 1))(state, parameters)


def torch_tasks(steps: int, with_gradient: bool, compiled: bool, *data: np.ndarray) -> Task:
    import torch

    def several(state: Any, parameters: Any, count: int) -> Any:
        components, constants = state.unbind(), parameters.unbind()
        for _ in range(count):
            components = step(components, constants)
        return torch.stack(components)

    chunk = torch.compile(several, fullgraph=True) if compiled else several
    unrolled = UNROLLED if compiled else 1

    def run(count: int) -> Any:
        state, parameters = (torch.tensor(array, requires_grad=with_gradient) for array in data)
        last = state
        for _ in range(count // unrolled):
            last = chunk(last, parameters, unrolled)
        loss = (last * last).sum()
        return torch.autograd.grad(loss, (state, parameters)) if with_gradient else loss

    if not with_gradient:
        run = torch.inference_mode()(run)
    timed = steps if compiled else min(steps, EAGER_STEPS)
    return Task(lambda: run(timed), result=lambda: run(steps), scale=steps / timed)


def reference(steps: int, state: np.ndarray, parameters: np.ndarray) -> Any:
    """The value, and the gradient by complex steps, as exact as the value.

    W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40, 1998.
    """
    tiny = 1e-100
    inputs = np.concatenate([state, parameters]).astype(complex)[:, None] + 1j * tiny * np.eye(6)
    last, constants = tuple(inputs[:3]), tuple(inputs[3:])
    for _ in range(steps):
        last = step(last, constants)
    loss = sum(component * component for component in last)
    return loss.real[0], (loss.imag[:3] / tiny, loss.imag[3:] / tiny)


def inputs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A state near the attractor, and parameters near the classical ones."""
    state = np.array([1.0, 1.0, 25.0]) + rng.normal(size=3)
    parameters = np.array([10.0, 28.0, 8 / 3]) * rng.uniform(0.95, 1.05, size=3)
    return state, parameters


def cases(steps: int = STEPS) -> list[Case]:
    note = NOTE.format(eager=min(steps, EAGER_STEPS), scale=max(1, steps / EAGER_STEPS), unrolled=UNROLLED)

    def case(name: str, program: Callable, part: int, target: float) -> Case:
        with_gradient = bool(part)
        torch = {
            mode: partial(torch_tasks, steps, with_gradient, mode == "torch.compile")
            for mode in ("torch", "torch.compile")
        }
        return Case(
            name=f"rk4-{name}",
            title=f"RK4 Lorenz in a scan, {steps:,} steps f64: {name}",
            inputs=inputs,
            reference=lambda *data: reference(steps, *data)[part],
            tolerance=1e-8,
            tasks={**pure(partial(program, steps)), **torch},
            targets={"jax": target, "torch": 20.0},
            x64=True,
            note=note,
        )

    return [case("value", value, 0, 1.0), case("gradient", gradient, 1, 5.0)]
