"""In which order an einsum multiplies its arrays: the cheapest of all orders for few arrays, a greedy one for many.

A path is a sequence of products, as in NumPy: positions in the list of arrays, from which those multiplied are taken
out and to whose end the product is added. The cost of a product is the number of its multiplications, and as many
additions if it sums over an axis.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations
from math import prod
from typing import Any

from nrx.core.errors import ArgumentError

Path = tuple[tuple[int, ...], ...]

#: The search for the cheapest order takes about 3**n steps: some hundredths of a second for ten arrays.
_MOST_OPTIMAL = 10
_METHODS: dict[str | bool, str] = {
    **dict.fromkeys((True, "auto", "auto-hq", "optimal", "dp", "branch-all"), "optimal"),
    **dict.fromkeys(("greedy", "random-greedy", "branch-1", "branch-2", "eager", "opportunistic"), "greedy"),
    False: "in order",
}


def method_of(optimize: Any) -> str | Path:
    """What an argument `optimize` asks for: "optimal", "greedy", "in order" or an explicit path."""
    if isinstance(optimize, str | bool) and optimize in _METHODS:
        return _METHODS[optimize]
    if isinstance(optimize, list | tuple) and optimize:
        if isinstance(optimize[0], str) and optimize[0] != "einsum_path":
            return method_of(optimize[0])  # what follows is NumPy's limit of memory
        steps = optimize[1:] if isinstance(optimize[0], str) else optimize
        if all(isinstance(step, list | tuple) and all(isinstance(i, int) for i in step) for step in steps):
            return tuple(map(tuple, steps))
    raise ArgumentError(
        f"einsum: optimize={optimize!r} is no order of products",
        fix="use True, False, 'optimal', 'greedy', or the first result of einsum_path",
    )


@lru_cache(1024)
def path_of(method: str | Path, terms: tuple[str, ...], output: str, sizes: tuple[tuple[str, int], ...]) -> Path:
    """The path for arrays with these labels.

    Args:
        method: what `method_of` gave.
        terms: the labels of each array, those that it broadcasts left out.
        output: the labels of the result.
        sizes: the length of each label.

    Raises:
        ArgumentError: an explicit path that does not fit the arrays.
    """
    count = len(terms)
    if not isinstance(method, str):
        return _checked(method, count)
    if method == "in order" or count < 3:
        return (tuple(range(count)),)
    problem = _Problem(terms, output, dict(sizes))
    if method == "optimal" and count <= _MOST_OPTIMAL:
        return problem.optimal()
    return min((problem.greedy(score) for score in (_least_work, _least_growth)), key=problem.cost)


def in_pairs(path: Path, count: int) -> Path:
    """A path for `count` arrays in which a step of several arrays is one product after the other."""
    pairs: list[tuple[int, ...]] = []
    for step in path:
        first, *others = sorted(step)
        if not others:
            pairs.append((first,))
        for taken, position in enumerate(others):
            pairs.append((position - taken - 1, count - taken - 1) if taken else (first, position))
        count -= len(others)
    return tuple(pairs)


def cost_of(path: Path, terms: Sequence[str], output: str, sizes: dict[str, int]) -> tuple[int, int]:
    """The operations of a path, and the most elements of a product."""
    problem = _Problem(terms, output, sizes)
    return problem.cost(path), problem.largest(path)


def _checked(path: Path, count: int) -> Path:
    left = count
    for step in path:
        if not step or len(set(step)) != len(step) or not all(0 <= i < left for i in step):
            raise ArgumentError(
                f"einsum: step {step} of the path {list(path)} does not fit {left} arrays",
                fix="each step names positions of arrays that are left; their product is added at the end",
            )
        left += 1 - len(step)
    if left != 1:
        raise ArgumentError(f"einsum: the path {list(path)} leaves {left} of {count} arrays", fix="add steps to it")
    return path


def _least_work(work: int, result: int, first: int, second: int) -> tuple[int, int]:
    return work, result


def _least_growth(work: int, result: int, first: int, second: int) -> tuple[int, int]:
    return result - first - second, work


class _Problem:
    """Arrays and a result as sets of labels: bits of integers."""

    def __init__(self, terms: Sequence[str], output: str, sizes: dict[str, int]):
        bits = {label: 1 << i for i, label in enumerate(sizes)}
        self.lengths = list(sizes.values())
        self.terms = [sum(bits[label] for label in labels) for labels in terms]
        self.output = sum(bits[label] for label in output)
        self.sizes: dict[int, int] = {}

    def size(self, labels: int) -> int:
        """The number of elements of an array with these labels."""
        found = self.sizes.get(labels)
        if found is None:
            found = prod(n for i, n in enumerate(self.lengths) if labels >> i & 1)
            self.sizes[labels] = found
        return found

    def optimal(self) -> Path:
        """The cheapest path, by dynamic programming over the sets of arrays multiplied."""
        everything = (1 << len(self.terms)) - 1
        labels = [0] * (everything + 1)
        for group in range(1, everything + 1):
            lowest = group & -group
            labels[group] = labels[group ^ lowest] | self.terms[lowest.bit_length() - 1]
        kept = [found & (self.output | labels[everything ^ group]) for group, found in enumerate(labels)]
        costs, splits = [0] * (everything + 1), [0] * (everything + 1)
        for group in range(1, everything + 1):
            lowest = group & -group
            rest = part = group ^ lowest
            best = None
            while part:  # every part of the group without its lowest array
                other = group ^ part
                cost = costs[part] + costs[other]
                if best is None or cost < best:
                    cost += self._product(kept[part] | kept[other], kept[group])
                    if best is None or cost < best:
                        best, splits[group] = cost, part
                part = part - 1 & rest
            costs[group] = best or 0
        return _steps(splits, everything)

    def greedy(self, score: Callable[[int, int, int, int], tuple[int, int]]) -> Path:
        """The path that takes the pair of the lowest score each time."""
        terms, path = list(self.terms), []

        def rated(pair: tuple[int, int]) -> tuple[int, int]:
            first, second = (terms[i] for i in pair)
            result = self._result(terms, pair)
            return score(self.size(first | second), self.size(result), self.size(first), self.size(second))

        while len(terms) > 1:
            pair = min(combinations(range(len(terms)), 2), key=rated)
            path.append(pair)
            self._multiply(terms, pair)
        return tuple(path)

    def cost(self, path: Path) -> int:
        """The operations of a path."""
        terms, total = list(self.terms), 0
        for step in in_pairs(path, len(terms)):
            if len(step) == 2:
                total += self._product(terms[step[0]] | terms[step[1]], self._result(terms, step))
            self._multiply(terms, step)
        return total

    def largest(self, path: Path) -> int:
        """The most elements of a product."""
        terms, most = list(self.terms), 1
        for step in in_pairs(path, len(terms)):
            self._multiply(terms, step)
            most = max(most, self.size(terms[-1]))
        return most

    def _product(self, both: int, result: int) -> int:
        return self.size(both) * (1 if both == result else 2)

    def _result(self, terms: Sequence[int], step: tuple[int, ...]) -> int:
        """The labels of a product: those that the result or an array that is left has, too."""
        needed, found = self.output, 0
        for k, labels in enumerate(terms):
            if k in step:
                found |= labels
            else:
                needed |= labels
        return found & needed

    def _multiply(self, terms: list[int], step: tuple[int, ...]) -> None:
        product = self._result(terms, step)
        terms[:] = [*(labels for k, labels in enumerate(terms) if k not in step), product]


def _steps(splits: Sequence[int], everything: int) -> Path:
    """The path for a tree of splits, its leaves first."""
    left = [1 << i for i in range(everything.bit_length())]
    path = []

    def multiply(group: int) -> None:
        parts = splits[group], group ^ splits[group]
        if not parts[0]:
            return
        for part in parts:
            multiply(part)
        path.append(tuple(sorted(left.index(part) for part in parts)))
        for part in parts:
            left.remove(part)
        left.append(group)

    multiply(everything)
    return tuple(path)
