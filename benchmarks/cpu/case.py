"""What is measured: a `Case` is one workload, and makes one `Task` for each library that takes part.

Nothing here imports a library under test: a worker imports the one it runs.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cpu.results import Work


def nothing() -> None:
    """What a task has to do beyond its call, mostly."""


@dataclass
class Task:
    """One workload in one library, ready to be timed.

    Fields:
        run: one call, which returns its result.
        result: the result to be checked; by default `run` gives it.
        finish: wait for the calls made so far. Where `run` waits by itself there is nothing to do.
        reset: go back to the initial state; called before each burst.
        scale: how many times the work of one call the workload asks for.
        calls: how many calls to time at once; by default so many that their time can be read off the clock.
    """

    run: Callable[[], Any]
    result: Callable[[], Any] | None = None
    finish: Callable[[], None] = nothing
    reset: Callable[[], None] = nothing
    scale: float = 1.0
    calls: int | None = None


@dataclass(frozen=True)
class Case:
    """A workload: a row of the report.

    Fields:
        name: what it is called on the command line and in `reasons.toml`.
        title: what it is called in the report.
        inputs: makes fresh data, a tuple, with a random generator.
        reference: the right result of these data in float64, computed by NumPy.
        tolerance: how far results may be from the reference, relative to its largest element.
        tasks: what makes a `Task` of the data, for each that takes part (a key of `peers.PEERS`).
        targets: at least how many times our time a peer shall take, "torch" standing for the better of its two modes.
        x64: whether JAX runs with 64-bit types.
        warm: None for what is called in a running process. Otherwise what counts is a process from its start to the end
            of its first call, and this says whether it finds what earlier ones left on disk.
        note: what a reader of the figures should know.
        work: the least that it has to do, if that is known.
        is_training: whether its memory is compared, too.
    """

    name: str
    title: str
    inputs: Callable[[np.random.Generator], tuple]
    reference: Callable[..., Any]
    tolerance: float
    tasks: Mapping[str, Callable[..., Task]]
    targets: Mapping[str, float]
    x64: bool = False
    warm: bool | None = None
    note: str = ""
    work: Work | None = None
    is_training: bool = False


def arrays(result: Any) -> list[np.ndarray]:
    """The arrays of a result, any library's, in float64."""
    if isinstance(result, Mapping):
        return arrays(result.values())
    if isinstance(result, Iterable) and not hasattr(result, "dtype"):
        return [array for part in result for array in arrays(part)]
    return [np.asarray(result).astype(np.float64)]


def error(result: Any, reference: Any) -> float:
    """The largest difference of a result from the reference, relative to the largest element of each array."""
    pairs = list(zip(arrays(result), arrays(reference), strict=True))
    if any(got.shape != right.shape for got, right in pairs):
        return np.inf
    errors = [np.abs(got - right).max() / (np.abs(right).max() or 1.0) for got, right in pairs]
    return np.inf if np.isnan(errors).any() else float(max(errors))


def pure(like_jax: Callable[..., Any], in_torch: Callable[..., Any] | None = None) -> dict[str, Callable[..., Task]]:
    """Tasks that call a compiled pure function of arrays.

    Args:
        like_jax: takes `nrx` or `jax`, then the arrays.
        in_torch: takes `torch`, then the tensors; left out, PyTorch does not take part.

    Returns:
        What makes the task, for each library.
    """
    tasks: dict[str, Callable[..., Task]] = {library: partial(jitted, library, like_jax) for library in ("nrx", "jax")}
    if in_torch is not None:
        tasks["torch"] = partial(torch_inference, in_torch, False)
        tasks["torch.compile"] = partial(torch_inference, in_torch, True)
    return tasks


def jitted(library: str, program: Callable[..., Any], *data: np.ndarray) -> Task:
    """A call of `jit` of a program that takes `nrx` or `jax`, then arrays."""
    module = importlib.import_module(library)
    function = module.jit(partial(program, module))
    operands = [module.numpy.asarray(array) for array in data]
    return Task(lambda: module.block_until_ready(function(*operands)))


def torch_inference(program: Callable[..., Any], compiled: bool, *data: np.ndarray) -> Task:
    """A call of a program that takes `torch`, then tensors, of which no gradient is needed."""
    import torch

    def function(*tensors: Any) -> Any:
        return program(torch, *tensors)

    if compiled:
        function = torch.compile(function, fullgraph=True)
    operands = [torch.tensor(array) for array in data]

    @torch.inference_mode()
    def run() -> Any:
        return function(*operands)

    return Task(run)
