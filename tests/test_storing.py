"""What groups store for others: the cheapest choice, compared with all there are, and no value without its place."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import nrx
import nrx.numpy as jnp
from nrx.compiler.accesses import Access
from nrx.compiler.compile import simplified
from nrx.compiler.fuse import Finished, Group, fuse
from nrx.compiler.plan import Shared
from nrx.compiler.storing import choose, costs
from nrx.core.aval import Aval
from nrx.core.program import Var

quick = settings(max_examples=300, deadline=None)

AVAL = Aval((1 << 20,), np.dtype(np.float32))
WRITING, READING = costs(Var(AVAL))


class Graph:
    """Values made of earlier ones.

    Args:
        costs: of each value's equation; None: it cannot be repeated.
        inputs: for each value, the numbers of those that it is made of.
        asked: numbers of the values that others read, and how often.
        stored, read: numbers of values that lie in memory anyway, and that are read anyway.
    """

    def __init__(self, costs: Sequence, inputs: Sequence, asked: dict, stored: set, read: set):
        self.costs, self.inputs, self.asked, self.stored, self.read = costs, inputs, asked, stored, read
        self.vars = [Var(AVAL) for _ in costs]

    def chosen(self) -> tuple[set[int], set[int]]:
        number = {var: i for i, var in enumerate(self.vars)}
        choice = choose(
            {var: var for var in self.vars},  # type: ignore[arg-type]
            {self.vars[i]: times for i, times in self.asked.items()},
            lambda var: number[var] in self.stored,
            lambda var: number[var] in self.read,
            lambda var: self.costs[number[var]],  # type: ignore[index]
            lambda var: [Access(self.vars[i], ()) for i in self.inputs[number[var]]],  # type: ignore[index]
            (),
        )
        return {number[v] for v in choice.stored}, {number[v] for v in choice.repeated}

    def cost(self, repeated: set[int]) -> float:
        """Of reading what is asked for where some values are computed again by those who need them."""
        needed, waiting = set(), list(self.asked)
        while waiting:
            i = waiting.pop()
            if i not in needed:
                needed.add(i)
                waiting += self.inputs[i] if i in repeated else []
        times = max(self.asked.values())
        total = 0.0
        for i in needed:
            if i in repeated:
                total += self.costs[i] * times if self.costs[i] is not None and i not in self.stored else np.inf
            else:
                reads = self.asked.get(i, 0 if i in self.read else times)
                total += (0 if i in self.stored else WRITING) + READING * reads
        return total


@st.composite
def graphs(draw: Any) -> Graph:
    count = draw(st.integers(1, 7))
    numbers = range(count)
    inputs = [draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set() for i in numbers]
    equations = [draw(st.sampled_from([None, 0, 1, 3, 12, 20, 40])) if inputs[i] else None for i in numbers]
    asked = draw(st.dictionaries(st.integers(0, count - 1), st.sampled_from([1, 2]), min_size=1))
    some = st.sets(st.integers(0, count - 1), max_size=2)
    return Graph(equations, inputs, asked, draw(some), draw(some))


@quick
@given(graphs())
def test_no_other_choice_is_cheaper(graph: Graph) -> None:
    stored, repeated = graph.chosen()
    everyone = range(len(graph.costs))
    subsets = itertools.chain.from_iterable(itertools.combinations(everyone, n) for n in range(len(graph.costs) + 1))
    assert graph.cost(repeated) == min(graph.cost(set(subset)) for subset in subsets)
    assert not stored & repeated
    assert set(graph.asked) <= stored | repeated
    made_of_repeated = set().union(*(graph.inputs[i] for i in repeated))
    assert stored | repeated == set(graph.asked) | made_of_repeated


def stored_of(function: Any, *args: Any) -> list[list[tuple]]:
    """The shapes that each group of the compiled function stores."""
    shared = Shared()
    fused = fuse(simplified(nrx.jit(function).trace(*nrx.tree.map(jnp.asarray, args))), shared.rule_of)
    groups = [step.group if isinstance(step, Finished) else step for step in fused.steps]
    return [[var.aval.shape for var in group.outs] for group in groups if isinstance(group, Group)]


def test_a_derivative_keeps_what_goes_into_the_activation_only() -> None:
    def loss(w: Any, x: Any) -> Any:
        return jnp.tanh(nrx.nn.gelu(x @ w[0]) @ w[1]).sum()

    x, w = np.ones((512, 64), np.float32), [np.ones((64, 1024), np.float32), np.ones((1024, 32), np.float32)]
    forward = next(shapes for shapes in stored_of(nrx.grad(loss), w, x) if (512, 1024) in shapes)
    assert forward == [(512, 1024)] * 2  # what goes in, and what comes out, which the next product reads


def test_values_that_were_computed_again() -> None:
    """Long chains of cheap steps, of which others read several, against float64 NumPy."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 1000)), rng.normal(size=1000)

    def function(x: Any, y: Any) -> Any:
        a = x * 2 + y
        b = a * a - x
        rows = b.sum(1)
        c = (b - rows[:, None]) * a
        return c.sum(0), (b * c.T[:1].T).max(1), jnp.sort(c, 1)[:, ::100]

    a = x * 2 + y
    b = a * a - x
    c = (b - b.sum(1)[:, None]) * a
    expected = c.sum(0), (b * c[:, :1]).max(1), np.sort(c, 1)[:, ::100]
    for got, wanted in zip(nrx.jit(function)(jnp.asarray(x), jnp.asarray(y)), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-7)
