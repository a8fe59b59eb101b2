"""What the training steps share: Adam, the state in the memory of the last one, and the check against float64.

Adam itself is checked by the losses of ten steps of `mlp`, whose gradients are by hand. The larger models have only a
forward pass in NumPy: it gives the loss, and its central difference along a random direction of all parameters is what
the first moments of Adam after one step, divided by 1 - B1, must give along it. That is the gradient at the full size,
by an independent formula; and the loss has to fall.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cpu.case import Task
from benchmarks.cpu.results import Work

RATE, B1, B2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
#: How many steps the check takes: its losses tell whether the steps before were right.
CHECKED = 10

NOTE = "PyTorch eager has the fused torch.optim.Adam; torch.compile compiles the whole step."


@dataclass(frozen=True)
class Model:
    """A loss of parameters, a batch and its labels, in each library.

    Fields:
        like_jax: takes `nrx` or `jax`, then a list of parameters, the batch and the labels.
        in_torch: the same for `torch`.
        layout: what makes an array of parameters into that of PyTorch.
        compiled: whether torch.compile takes part.
    """

    like_jax: Callable[..., Any]
    in_torch: Callable[..., Any]
    layout: Callable[[np.ndarray], np.ndarray] = np.asarray
    compiled: bool = True


@dataclass(frozen=True)
class Loop:
    """Training: one step, which returns the loss of the parameters before; and what has to be done with its state.

    Fields:
        step, finish, reset: as in `Task`.
        moments: the first moments of Adam.
        layout: that of its parameters.
    """

    step: Callable[[], Any]
    finish: Callable[[], None]
    reset: Callable[[], None]
    moments: Callable[[], Sequence[Any]]
    layout: Callable[[np.ndarray], np.ndarray] = np.asarray


def like_jax_cross_entropy(library: Any, logits: Any, labels: Any) -> Any:
    logs = library.nn.log_softmax(logits)
    return -library.numpy.take_along_axis(logs, labels[..., None], axis=-1).mean()


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> Any:
    """The mean over all labels, in NumPy."""
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -np.take_along_axis(logs, labels[..., None], -1).mean()


def work(products: float, parameters: float) -> Work:
    """Of a step, from the operations of the loss alone: both gradients of each product take as many again.

    Adam reads each parameter and its two moments, and writes them.
    """
    return Work(3 * products, 6 * 4.0 * parameters)


def parameters(rng: np.random.Generator, *shapes: tuple[int, ...] | int) -> list[np.ndarray]:
    """Kernels, whose variance keeps that of the data; for the shape of a vector ones, for a plain number zeros."""

    def made(shape: tuple[int, ...] | int) -> np.ndarray:
        if isinstance(shape, int):
            return np.zeros(shape)
        return np.ones(shape) if len(shape) == 1 else rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))

    return [made(shape).astype(np.float32) for shape in shapes]


# ---- the check -------------------------------------------------------------------------------------------------------


def losses(loop: Loop, initial: Sequence[np.ndarray]) -> np.ndarray:
    """Those of the first steps."""
    loop.reset()
    return np.array([float(loop.step()) for _ in range(CHECKED)])


def directions(initial: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A random direction of all parameters."""
    rng = np.random.default_rng(len(initial))
    return [rng.normal(size=array.shape) for array in initial]


def slope(loop: Loop, initial: Sequence[np.ndarray]) -> np.ndarray:
    """The first loss, its slope along the direction, and whether the steps made the loss smaller."""
    loop.reset()
    first = float(loop.step())
    moments = [np.asarray(moment, np.float64) for moment in loop.moments()]
    along = [np.vdot(m, loop.layout(u)) for m, u in zip(moments, directions(initial), strict=True)]
    for _ in range(CHECKED):
        last = float(loop.step())
    return np.array([first, sum(along) / (1 - B1), last < first])


def slope_reference(
    loss: Callable[..., Any], x: np.ndarray, labels: np.ndarray, *initial: np.ndarray, h: float = 1e-9
) -> Any:
    """What `slope` has to return, by central differences of a loss in NumPy, so close that few rectifiers switch."""
    x = x.astype(np.float64) if x.dtype == np.float32 else x
    values = [array.astype(np.float64) for array in initial]

    def at(t: float) -> float:
        moved = [value + t * u for value, u in zip(values, directions(initial), strict=True)]
        return loss(moved, x, labels)

    return np.array([at(0), (at(h) - at(-h)) / (2 * h), True])


# ---- the loops -------------------------------------------------------------------------------------------------------


def carried(library: Any, step: Callable, start: Callable, moments: Callable, *batch: np.ndarray) -> Loop:
    """The loop of a pure function of (state, x, labels) that returns the next state and the loss."""
    function = library.jit(step, donate_argnums=0)
    operands = [library.numpy.asarray(array) for array in batch]
    state: Any = None

    def run() -> Any:
        nonlocal state
        state, loss = function(state, *operands)
        return loss

    def reset() -> None:
        nonlocal state
        state = start()

    reset()
    return Loop(run, lambda: library.block_until_ready(state), reset, lambda: moments(state))


def in_nrx(model: Model, x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Loop:
    nrx = importlib.import_module("nrx")
    adam = nrx.optim.adam(RATE, B1, B2, EPSILON)

    def step(state: Any, x: Any, labels: Any) -> Any:
        params, moments = state
        value, grads = nrx.value_and_grad(partial(model.like_jax, nrx))(params, x, labels)
        updates, moments = adam.update(grads, moments, params)
        return (nrx.optim.apply_updates(params, updates), moments), value

    def start() -> Any:
        params = [nrx.numpy.array(array) for array in initial]
        return params, adam.init(params)

    return carried(nrx, step, start, lambda state: state[1][0].mu, x, labels)


def in_jax(model: Model, x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Loop:
    """Plain JAX, with Adam by hand."""
    jax = importlib.import_module("jax")
    jnp, tree = jax.numpy, jax.tree

    def step(state: Any, x: Any, labels: Any) -> Any:
        params, first, second, count = state
        value, grads = jax.value_and_grad(partial(model.like_jax, jax))(params, x, labels)
        count = count + 1
        first = tree.map(lambda m, g: B1 * m + (1 - B1) * g, first, grads)
        second = tree.map(lambda v, g: B2 * v + (1 - B2) * g * g, second, grads)
        at1, at2 = 1 - B1**count, 1 - B2**count
        params = tree.map(lambda p, m, v: p - RATE * (m / at1) / (jnp.sqrt(v / at2) + EPSILON), params, first, second)
        return (params, first, second, count), value

    def start() -> Any:
        params = [jnp.array(array) for array in initial]
        return params, tree.map(jnp.zeros_like, params), tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32)

    return carried(jax, step, start, lambda state: state[1], x, labels)


def torch_operands(model: Model, x: np.ndarray, labels: np.ndarray, initial: Sequence[np.ndarray]) -> Any:
    """The batch, and what makes fresh tensors of the parameters."""
    import torch

    batch = torch.tensor(x if x.dtype == np.float32 else x.astype(np.int64)), torch.tensor(labels).long()
    return batch, lambda: [torch.tensor(np.ascontiguousarray(model.layout(array))) for array in initial]


def in_torch(model: Model, x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Loop:
    """Autograd and the fused Adam, PyTorch's fastest."""
    import torch

    batch, fresh = torch_operands(model, x, labels, initial)
    params: list[Any] = []
    optimizer: Any = None

    def reset() -> None:
        nonlocal optimizer
        params[:] = [tensor.requires_grad_() for tensor in fresh()]
        optimizer = torch.optim.Adam(params, RATE, (B1, B2), EPSILON, fused=True)

    def run() -> Any:
        optimizer.zero_grad()
        loss = model.in_torch(torch, params, *batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    reset()
    moments = lambda: [optimizer.state[param]["exp_avg"] for param in params]  # noqa: E731
    return Loop(run, lambda: None, reset, moments, model.layout)


def in_compiled_torch(model: Model, x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Loop:
    """The whole step as one graph, with Adam by hand: faster than compiling modules and torch.optim.Adam apart."""
    import torch

    batch, fresh = torch_operands(model, x, labels, initial)
    state: list[Any] = []

    @torch.compile(fullgraph=True)
    def step(params: Any, first: Any, second: Any, count: Any, x: Any, labels: Any) -> Any:
        grads, value = torch.func.grad_and_value(partial(model.in_torch, torch))(params, x, labels)
        count += 1
        at1, at2 = 1 - B1**count, 1 - B2**count
        for param, m, v, grad in zip(params, first, second, grads, strict=True):
            m.mul_(B1).add_(grad, alpha=1 - B1)
            v.mul_(B2).addcmul_(grad, grad, value=1 - B2)
            param.sub_(RATE * (m / at1) / (torch.sqrt(v / at2) + EPSILON))
        return value

    def reset() -> None:
        params = fresh()
        state[:] = params, [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params], torch.zeros(())

    @torch.no_grad()
    def run() -> Any:
        return step(*state, *batch)

    reset()
    return Loop(run, lambda: None, reset, lambda: state[1], model.layout)


LOOPS: dict[str, Callable[..., Loop]] = {
    "nrx": in_nrx,
    "jax": in_jax,
    "torch": in_torch,
    "torch.compile": in_compiled_torch,
}


def tasks(model: Model, check: Callable[..., Any] = slope) -> dict[str, Callable[..., Task]]:
    """Tasks that train a model, for each library; `check` gives what a reference has."""

    def task(peer: str, x: np.ndarray, labels: np.ndarray, *initial: np.ndarray) -> Task:
        loop = LOOPS[peer](model, x, labels, *initial)
        return Task(loop.step, lambda: check(loop, initial), loop.finish, loop.reset)

    return {peer: partial(task, peer) for peer in LOOPS if model.compiled or peer != "torch.compile"}
