"""How long an unrolled chain of elementwise operations takes to trace and compile. Each time it is another chain."""

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cpu.case import Case, Task

SIZE = 1000
LENGTHS = (400, 800)
#: Each keeps values near 1 and differences from growing, whatever comes before: a long chain stays comparable.
OPERATIONS: dict[str, Callable[[Any, Any, float], Any]] = {
    "add": lambda np, x, c: x + c,
    "sub": lambda np, x, c: c - x,
    "mul": lambda np, x, c: x * c,
    "div": lambda np, x, c: x / (1 + c),
    "sin": lambda np, x, c: np.sin(x),
    "cos": lambda np, x, c: np.cos(x),
    "tanh": lambda np, x, c: np.tanh(x),
    "exp": lambda np, x, c: np.exp(x),
    "maximum": lambda np, x, c: np.maximum(x, -c),
    "sqrt": lambda np, x, c: np.sqrt(x),
}
#: What is drawn: exp follows what bounds its argument, and sqrt what is positive.
DRAWN = [
    ["add"], ["sub"], ["mul"], ["div"], ["sin"], ["cos"], ["tanh"], ["maximum"],
    ["tanh", "exp"], ["sin", "exp", "sqrt"],
]  # fmt: skip


class Link(NamedTuple):
    """One operation of a chain, and its constant."""

    name: str
    constant: float


def chain(rng: np.random.Generator, length: int) -> list[Link]:
    links: list[Link] = []
    while len(links) < length:
        names = DRAWN[rng.integers(len(DRAWN))]
        links += [Link(name, float(rng.uniform(0.3, 0.9))) for name in names]
    return links[:length]


def chains(seed: int, length: int) -> Iterator[list[Link]]:
    """Chain after chain, the same for everyone who starts with the same seed."""
    return (chain(np.random.default_rng([seed, number]), length) for number in count())


def program(links: list[Link], np: Any, x: Any) -> Any:
    for link in links:
        x = OPERATIONS[link.name](np, x, link.constant)
    return x


def compilation(library: str, length: int, x: np.ndarray, seed: int) -> Task:
    """The task that traces and compiles the next chain, and runs it once."""
    module = importlib.import_module(library)
    operand = module.numpy.asarray(x)
    programs = chains(seed, length)

    def run() -> Any:
        function = module.jit(partial(program, next(programs), module.numpy))
        return module.block_until_ready(function(operand))

    return Task(run, calls=1)


def reference(length: int, x: np.ndarray, seed: int) -> np.ndarray:
    return program(next(chains(seed, length)), np, x.astype(np.float64))


def cases(lengths: tuple[int, ...] = LENGTHS) -> list[Case]:
    return [
        Case(
            name=f"chain-{length}",
            title=f"trace and compile a chain of {length} operations",
            inputs=lambda rng: (rng.normal(size=SIZE).astype(np.float32), int(rng.integers(1 << 30))),
            reference=partial(reference, length),
            tolerance=1e-4,
            tasks={library: partial(compilation, library, length) for library in ("nrx", "jax")},
            targets={"jax": 3.0} if length == max(lengths) else {},
            note="Each time another chain, so that nothing can come from a cache; running it once is included.",
        )
        for length in lengths
    ]
