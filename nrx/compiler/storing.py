"""What a group stores for others, who may compute again from less what can be computed element by element.

Of all values that the others could begin with, those are stored that take least time to write, to read and to compute
what follows them again: a minimal cut between what lies in memory and what is asked for (A. Chen et al. do the same for
PyTorch, "PyTorch 2", ASPLOS 2024, section 5.2; L. Ford and D. Fulkerson, "Maximal flow through a network", 1956).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nrx.compiler.accesses import Access, essential
from nrx.core.dims import capacity
from nrx.core.program import Eqn, Var
from nrx.core.shapes import size

_LARGE = 1 << 20
"""Bytes that are not in the nearest caches any more when they are read."""
_COSTS, _SMALL_COSTS = (24.0, 12.0), (2.0, 2.0)
"""Of writing and of reading four bytes, in elementary operations: at 35 GB/s and in vectors of 16 numbers."""
_ROW = 16
"""A value with so many times fewer elements costs nothing."""
_SOURCE, _SINK = "source", "sink"


class Choice(NamedTuple):
    """What is decided: the variables to store, and those that readers compute again, in no order."""

    stored: set[Var]
    repeated: set[Var]


def choose(
    eqns: Mapping[Var, Eqn],
    asked: Mapping[Var, float],
    is_stored: Callable[[Var], bool],
    is_read: Callable[[Var], bool],
    cost_of: Callable[[Eqn], float | None],
    reads_of: Callable[[Eqn], Sequence[Access]],
    point: tuple,
) -> Choice:
    """Choose what to store in place of the values that are asked for.

    Args:
        eqns: those of the group that have a value for each of its points, by variable.
        asked: the values that others read, and how often, all of one shape.
        is_stored: whether a variable lies in memory anyway.
        is_read: whether it is read anyway where others are asked for.
        cost_of: of an equation that is computed element by element; None: it is not.
        reads_of: what an equation reads.
        point: where it is read if it is read element by element, as `essential` gives it.
    """
    graph: dict[Any, dict[Any, float]] = {}

    def edge(start: Any, end: Any, capacity: float) -> None:
        graph.setdefault(start, {})[end] = graph.get(start, {}).get(end, 0.0) + capacity
        graph.setdefault(end, {}).setdefault(start, 0.0)

    times, count = max(asked.values()), _elements(next(iter(asked)))
    made_of: dict[Var, list[Var]] = {}
    seen: set[Var] = set()
    waiting = list(asked)
    for var in asked:
        edge((var, "out"), _SINK, math.inf)
    while waiting:
        var = waiting.pop()
        if var in seen:
            continue
        seen.add(var)
        writing, reading = costs(var)
        reads = asked[var] if var in asked else 0 if is_read(var) else times
        edge((var, "in"), (var, "out"), (0 if is_stored(var) else writing) + reading * reads)
        cost = cost_of(eqns[var]) if var in eqns and not is_stored(var) else None
        inputs = [] if cost is None else [r for r in reads_of(eqns[var]) if _elements(r.var) * _ROW > count]
        if cost is None or any(essential(read.at) != point for read in inputs):
            edge(_SOURCE, (var, "in"), math.inf)
            continue
        edge(_SOURCE, (var, "in"), cost * times)
        made_of[var] = [read.var for read in inputs]
        for other in made_of[var]:
            edge((other, "out"), (var, "in"), math.inf)
        waiting += made_of[var]
    near = _nearer(graph)
    choice, needed = Choice(set(), set()), list(asked)
    while needed:
        var = needed.pop()
        if (var, "in") in near:
            choice.stored.add(var)
        elif var not in choice.repeated:
            choice.repeated.add(var)
            needed += made_of[var]
    return choice


def costs(var: Var) -> tuple[float, float]:
    """Of writing an element and of reading it, in elementary operations."""
    nbytes = var.aval.dtype.itemsize
    writing, reading = _COSTS if _elements(var) * nbytes >= _LARGE else _SMALL_COSTS
    return writing * nbytes / 4, reading * nbytes / 4


def _elements(var: Var) -> int:
    return capacity(size(var.aval.shape))


def _nearer(graph: dict[Any, dict[Any, float]]) -> set[Any]:
    """The nodes on the side of the source of a minimal cut; `graph` has the capacity of each edge, and is used up."""
    while True:
        before: dict[Any, Any] = {_SOURCE: None}
        queue = [_SOURCE]
        for node in queue:
            for other, left in graph.get(node, {}).items():
                if left > 0 and other not in before:
                    before[other] = node
                    queue.append(other)
        if _SINK not in before:
            return set(before)
        path, node = [], _SINK
        while before[node] is not None:
            path.append((before[node], node))
            node = before[node]
        flow = min(graph[start][end] for start, end in path)
        for start, end in path:
            graph[start][end] -= flow
            graph[end][start] += flow
