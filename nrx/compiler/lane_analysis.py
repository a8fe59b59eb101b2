"""What happens in a loop over lanes: which values depend on the lane, where lanes go different ways."""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.compiler.code import MEMORY_BITS
from nrx.compiler.memory import element_type
from nrx.core import loops
from nrx.core.loops import MATH, Copy, Expr, If, Lanes, Let, Loop, Products, Store, Transpose, While

_MATH_COST = 20
_SCATTERED_COST = 8


class Rewritten:
    """Statements that are written as others: the analysis and the code have to mean the same ones."""

    def __init__(self) -> None:
        self._loops: dict[Lanes, Loop] = {}
        self._whiles: dict[Loop, While] = {}

    def loop(self, s: Lanes) -> Loop:
        """A loop over lanes as one in order."""
        if s not in self._loops:
            loop = self._loops[s] = Loop(s.var, s.extent, s.inits, [Expr("carried", x.type) for x in s.inits])
            loop.body = s.body
            loop.finals = list(s.combine(loop.carried, s.values)) if s.combine else []
        return self._loops[s]

    def while_(self, s: Loop) -> While:
        """A loop as one that carries its variable first and has a condition."""
        if s not in self._whiles:
            loop = self._whiles[s] = While([loops.const(0, "i64"), *s.inits], [s.var, *s.carried])
            loop.condition = s.var < s.extent
            loop.body, loop.finals = s.body, [s.var + 1, *s.finals]
        return self._whiles[s]


class LaneAnalysis:
    """Analyses a loop over lanes.

    Fields:
        varying: what is wide: the Exprs that depend on the lane, (statement, number) of such results, and the
            conditionals and loops whose lanes go different ways.
        bits: of the widest type that is computed in lanes.
        memory_bits: of the narrowest type that is loaded or stored in lanes.
        cost: operations of one iteration.
        in_order: there are calls inside, so that there can be no lanes.
    """

    def __init__(self, s: Lanes, rewritten: Rewritten):
        self.varying: set[Any] = {s.var}
        self.bits = 8
        self.memory_bits = 64
        self.cost = 0
        self.in_order = False
        self._rewritten = rewritten
        self._seen: set[Expr] = {s.var}
        self._lane = s.var
        self._parted = 0  # conditionals around, whose lanes go different ways
        self._block(s.body)
        for x in s.values:
            self._varies(x)
            self.bits = max(self.bits, MEMORY_BITS[x.type])

    @property
    def parts(self) -> bool:
        """Whether lanes go different ways anywhere."""
        return any(isinstance(s, If | Loop | While) for s in self.varying)

    def _varies(self, root: Expr) -> bool:
        """Whether an expression depends on the lane; counts what it consists of."""
        seen, varying = self._seen, self.varying
        if root in seen:
            return root in varying
        stack = [root]
        while stack:
            e = stack[-1]
            missing = [a for a in e.args if a not in seen]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if e not in seen:
                seen.add(e)
                self._visit(e)
        return root in varying

    def _visit(self, e: Expr) -> None:
        varying = self.varying
        if e.op == "result":
            if e.attr in varying:
                varying.add(e)
            return
        for a in e.args:
            if a in varying:
                break
        else:
            return
        varying.add(e)
        bits = MEMORY_BITS[e.type]
        if e.op == "load":
            self._access(e.args[0], bits)
        elif e.type != "i64":
            self.bits = max(self.bits, bits)
        self.cost += _MATH_COST if e.op in MATH else 1

    def _access(self, position: Expr, bits: int) -> None:
        """A load or store."""
        self.bits, self.memory_bits = max(self.bits, bits), min(self.memory_bits, bits)
        wide = {atom: c for atom, c in loops.linear_terms(position)[1].items() if atom in self.varying}
        if wide and wide != {self._lane: 1}:
            self.cost += _SCATTERED_COST

    def _block(self, statements: Sequence[Any]) -> None:
        for s in statements:
            if isinstance(s, Store):
                self._varies(s.position)
                self._varies(s.value)
                self._access(s.position, MEMORY_BITS[element_type(s.buffer)])
            elif isinstance(s, Let):
                self._varies(s.value)
            elif isinstance(s, Lanes):
                loop = self._rewritten.loop(s)
                self._loop(loop)
                self._same_results(s, loop, 0)
            elif isinstance(s, Loop):
                self._loop(s)
            elif isinstance(s, If):
                self._if(s)
            elif isinstance(s, While):
                self._while(s)
            else:
                assert isinstance(s, Copy | Products | Transpose)
                self.in_order = True

    def _same_results(self, s: Any, other: Any, first: int) -> None:
        """The results of a statement that is written as another, where they come after `first` more."""
        self.varying.update((s, number) for number in range(len(s.inits)) if (other, first + number) in self.varying)

    def _if(self, s: If) -> None:
        parts = self._varies(s.condition)
        self._parted += parts
        self._block(s.then)
        self._block(s.otherwise)
        for number, (x, y) in enumerate(zip(s.then_values, s.otherwise_values, strict=True)):
            if self._varies(x) | self._varies(y) | parts:
                self.varying.add((s, number))
        self._parted -= parts
        if parts:
            self.varying.add(s)

    def _loop(self, s: Loop) -> None:
        if self._varies(s.extent):
            loop = self._rewritten.while_(s)
            self._while(loop)
            self.varying.add(s)
            self._same_results(s, loop, 1)
        else:
            self._carried(s, lambda: self._block(s.body))

    def _while(self, s: While) -> None:
        def body() -> None:
            self._block(s.head)
            assert s.condition is not None
            # Where lanes have parted, one that is not there must not keep the others waiting.
            if self._varies(s.condition) or self._parted:
                self.varying.add(s)
            self._parted += s in self.varying
            self._block(s.body)
            self._parted -= s in self.varying

        self._carried(s, body)

    def _carried(self, s: Loop | While, body: Callable[[], None]) -> None:
        """Carried values vary if they begin so or become so, which is found by trying until nothing changes."""
        self.varying.update(c for c, x in zip(s.carried, s.inits, strict=True) if self._varies(x))
        while True:
            varying, seen = set(self.varying), set(self._seen)
            body()
            found = {c for c, x in zip(s.carried, s.finals, strict=True) if self._varies(x)}
            if s in self.varying:
                found, varying = set(s.carried), varying | {s}
            if found <= self.varying:
                break
            self.varying, self._seen = varying | found, seen
        self.varying.update((s, number) for number, c in enumerate(s.carried) if c in self.varying)
