"""What a call costs beside the computation: an eager operation, and jitted functions of trees of small arrays."""

import importlib
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case, Task

TARGETS = {"jax": 2.0}
PER_BRANCH = 10


def tree_of(leaves: list[Any]) -> Any:
    """An array alone, a dict of a few, or dicts of ten, as parameters are kept."""
    if len(leaves) == 1:
        return leaves[0]
    if len(leaves) <= PER_BRANCH:
        return {f"w{i}": leaf for i, leaf in enumerate(leaves)}
    branches = [leaves[i : i + PER_BRANCH] for i in range(0, len(leaves), PER_BRANCH)]
    return {f"layer{i}": tree_of(branch) for i, branch in enumerate(branches)}


def eager(library: str, x: np.ndarray) -> Task:
    module = importlib.import_module(library)
    operand = module.numpy.asarray(x)
    return Task(lambda: operand + operand, finish=lambda: module.block_until_ready(operand + operand))


def call(library: str, *leaves: np.ndarray) -> Task:
    module = importlib.import_module(library)
    function = module.jit(lambda tree: module.tree.map(lambda leaf: leaf * 2 + 1, tree))
    tree = tree_of([module.numpy.asarray(leaf) for leaf in leaves])
    return Task(lambda: function(tree), finish=lambda: module.block_until_ready(function(tree)))


def cases(counts: tuple[int, ...] = (1, 4, 100)) -> list[Case]:
    def case(name: str, title: str, make: Any, reference: Any, count: int) -> Case:
        return Case(
            name=name,
            title=title,
            inputs=lambda rng: tuple(rng.normal(size=(count, 4)).astype(np.float32)),
            reference=lambda *leaves: reference([leaf.astype(np.float64) for leaf in leaves]),
            tolerance=1e-6,
            tasks={library: lambda *data, library=library: make(library, *data) for library in ("nrx", "jax")},
            targets=TARGETS,
        )

    eager_case = case("eager", "eager x + x on 4 elements", eager, lambda leaves: leaves[0] + leaves[0], 1)
    calls = [
        case(
            f"call-{count}",
            f"jitted call with {count} lea{'f' if count == 1 else 'ves'}",
            call,
            lambda leaves: tree_of([leaf * 2 + 1 for leaf in leaves]),
            count,
        )
        for count in counts
    ]
    return [eager_case, *calls]
