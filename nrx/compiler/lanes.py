"""Vector loops: how many lanes, whole vectors, and what is left over.

A loop over lanes becomes one over whole vectors and a tail. Where the target can leave lanes out cheaply, the tail is
one more vector under a mask, or, if the body is long, the whole loop is under a mask and there is no tail; elsewhere
the tail is a scalar loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nrx.compiler.code import MEMORY_BITS, Code
from nrx.compiler.control import Control
from nrx.compiler.values import Value, element_type, whole
from nrx.core import loops
from nrx.core.loops import MATH, Copy, Expr, Gemm, If, Lanes, Let, Loop, Store, While

_MATH_COST = 20
_LONG_BODY = 60


@dataclass
class _Body:
    """What is in a vector loop.

    Fields:
        varying: the Exprs that depend on the lane, and (If, number) of results that do.
        bits: of the widest type that is computed in lanes.
        memory_bits: of the narrowest type loaded or stored in lanes.
        cost: operations of one iteration.
        diverges: lanes may take different ways through it, or it calls something: it must run in order.
    """

    varying: set[Any] = field(default_factory=set)
    bits: int = 8
    memory_bits: int = 64
    cost: int = 0
    diverges: bool = False
    seen: set[Expr] = field(default_factory=set)

    def varies(self, root: Expr) -> bool:
        """Whether an expression depends on the lane; counts what it consists of."""
        seen, varying = self.seen, self.varying
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
            if e in seen:
                continue
            seen.add(e)
            self._visit(e)
        return root in varying

    def _visit(self, e: Expr) -> None:
        varying = self.varying
        if e.op == "result":
            if e.attr in varying:
                varying.add(e)
        elif any(a in varying for a in e.args):
            varying.add(e)
            if e.op == "load":
                self.memory_bits = min(self.memory_bits, MEMORY_BITS[e.type])
                self.bits = max(self.bits, MEMORY_BITS[e.type])
            elif e.type != "i64":
                self.bits = max(self.bits, MEMORY_BITS[e.type])
            self.cost += _MATH_COST if e.op in MATH else 1

    def block(self, statements: Sequence[Any]) -> None:
        for s in statements:
            if isinstance(s, Store):
                self.varies(s.position)
                self.varies(s.value)
                bits = MEMORY_BITS[element_type(s.buffer)]
                self.bits, self.memory_bits = max(self.bits, bits), min(self.memory_bits, bits)
            elif isinstance(s, Let):
                self.varies(s.value)
            elif isinstance(s, Loop | Lanes):
                self._loop(s)
            elif isinstance(s, If):
                self.diverges |= self.varies(s.condition)
                self.block(s.then)
                self.block(s.otherwise)
                for number, (x, y) in enumerate(zip(s.then_values, s.otherwise_values, strict=True)):
                    if self.varies(x) | self.varies(y):
                        self.varying.add((s, number))
            elif isinstance(s, While):
                self._carried(s, s.carried, [*s.head, *s.body], lambda s=s: s.finals)
                self.diverges |= self.varies(s.condition)  # type: ignore[arg-type]
            else:
                assert isinstance(s, Gemm | Copy)
                self.diverges = True

    def _loop(self, s: Any) -> None:
        self.diverges |= self.varies(s.extent)
        if isinstance(s, Lanes):
            carried, results = in_order(s)
            self._carried(s, carried, s.body, lambda: results)
        else:
            self._carried(s, s.carried, s.body, lambda: s.finals)

    def _carried(self, s: Any, carried: list[Expr], body: list, finals: Any) -> None:
        """Carried values vary if they begin so or become so; found by trying until nothing changes."""
        for c, x in zip(carried, s.inits, strict=True):
            if self.varies(x):
                self.varying.add(c)
        while True:
            before = set(self.varying), set(self.seen)
            self.block(body)
            found = {c for c, x in zip(carried, finals(), strict=True) if self.varies(x)}
            if found <= self.varying:
                break
            self.varying, self.seen = before[0] | found, before[1]
        for number, c in enumerate(carried):
            if c in self.varying:
                self.varying.add((s, number))


def in_order(s: Lanes) -> tuple[list[Expr], list[Expr]]:
    """A loop over lanes as one in order: the carried Exprs and their next values."""
    carried = [Expr("carried", x.type) for x in s.inits]
    return carried, list(s.combine(carried, s.values)) if s.combine else []


class LaneLoops(Control):
    """Writes loops over lanes."""

    def __init__(self, code: Code, name: str):
        super().__init__(code, name)
        self.statements[Lanes] = self._lanes

    def _lanes(self, s: Lanes) -> None:
        if self.lane is None:
            body = _Body(varying={s.var})
            body.seen.add(s.var)
            body.block(s.body)
            for x in s.values:
                body.varies(x)
                body.bits = max(body.bits, MEMORY_BITS[x.type])
            extent = self.value(s.extent)
            lanes = 1 if body.diverges else self._width(s, body, extent.number)
            if lanes > 1:
                self.varying = body.varying
                self._vectors(s, body, extent, lanes)
                self.varying = set()
                return
        self._in_order(s)

    def _in_order(self, s: Lanes) -> None:
        carried, finals = in_order(s)
        loop = Loop(s.var, s.extent, s.inits, carried)
        loop.body, loop.finals = s.body, finals
        self.loop(loop)
        self.results[s] = self.results[loop]

    def _width(self, s: Lanes, body: _Body, extent: int | None) -> int:
        """How many lanes: a few vectors for short bodies, whose instructions then overlap, and no more than needed."""
        lanes = self.code.target.vector_bits // body.bits
        if body.cost <= 12 or (s.inits and body.cost <= 40):
            lanes *= 4 if body.cost <= 6 and self.code.target.masked_is_cheap else 2
        while extent is not None and lanes >= 2 * extent and lanes > 1:
            lanes //= 2
        return lanes

    def _vectors(self, s: Lanes, body: _Body, extent: Value, lanes: int) -> None:
        inits = self.values(s.inits)
        runs = None if extent.number is not None else self._operation("gt", "i64", [extent, whole(0)])
        if runs is not None:
            self.open(is_branch=True)
        vectors = _Vectors(self, s, body, lanes, inits)
        results = vectors.write(extent)
        if runs is not None:
            merged = [
                (self.type_text(x.type, False), r, v.text) for x, r, v in zip(s.inits, results, inits, strict=True)
            ]
            results = self.close_branch(runs, merged)
        self.results[s] = [Value(r, self.top) for r in results]


class _Vectors:
    """One loop over lanes as vectors.

    Args:
        e: writes it.
        s: the loop.
        body: what is in it.
        lanes: how many.
        inits: of what is accumulated.
    """

    def __init__(self, e: LaneLoops, s: Lanes, body: _Body, lanes: int, inits: list[Value]):
        self.e, self.s, self.lanes, self.inits = e, s, lanes, inits
        self.bits = body.bits
        target = e.code.target
        self.masks = target.masked_is_cheap or (target.vector_bits >= 256 and body.memory_bits >= 32)
        self.predicated = target.masked_is_cheap and body.cost > _LONG_BODY
        self.left = [Expr("carried", x.type) for x in s.inits]
        self.right = [Expr("carried", x.type) for x in s.inits]
        self.combined = list(s.combine(self.left, self.right)) if s.combine else []
        self.types = [x.type for x in s.inits]

    def write(self, extent: Value) -> list[str]:
        """The loop for an extent above 0; the accumulated scalars."""
        e, lanes = self.e, self.lanes
        number = extent.number
        if number is not None and number <= 0:
            return [v.text for v in self.inits]
        e.lanes = lanes
        totals = [e.spread(v, t) for v, t in zip(self.inits, self.types, strict=True)]
        if self.masks and (number is None or number % lanes) and (self.predicated or (number or lanes) < lanes):
            totals = self._loop(whole(0), extent, totals, True)
            return self._reduced(totals)
        full = e.arithmetic("and", extent, whole(-lanes)) if number is None else whole(number - number % lanes)
        totals = self._guarded(whole(0), full, totals, False)
        if self.masks:
            totals = self._guarded(full, extent, totals, True)
            return self._reduced(totals)
        return self._tail(full, extent, self._reduced(totals))

    def _guarded(self, start: Value, stop: Value, totals: list[str], masked: bool) -> list[str]:
        """A loop that may have nothing to do."""
        e = self.e
        if start.number is not None and stop.number is not None:
            return self._loop(start, stop, totals, masked) if start.number < stop.number else totals
        runs = e._operation("lt", "i64", [start, stop])
        e.open(is_branch=True)
        after = self._loop(start, stop, totals, masked)
        types = [e.type_text(t, True) for t in self.types]
        return e.close_branch(runs, list(zip(types, after, totals, strict=True)))

    def _loop(self, start: Value, stop: Value, totals: list[str], masked: bool) -> list[str]:
        """Vectors from `start` to `stop`; at least one."""
        e, s, lanes = self.e, self.s, self.lanes
        once = (masked and not self.predicated) or (
            start.number is not None and stop.number is not None and stop.number - start.number <= lanes
        )
        if once:
            e.open_inline()
            index = Value(start.text, e.top, False, start.number)
            carried = totals
        else:
            e.open(is_branch=False)
            index = e.fresh("i64")
            carried = [e.fresh(t, True).text for t in self.types]
        e.lane, e.lanes, e.induction = s.var, lanes, index
        if masked:
            e.mask = self._mask(index, stop)
        e.block(s.body)
        after = self._accumulate(carried)
        e.lane, e.mask = None, None
        if once:
            e.close_inline()
            return after
        following, again = e.step(index, lanes, stop)
        types = [e.type_text(t, True) for t in self.types]
        e.close_loop(
            [(index.text, "i64", start.text, following), *zip(carried, types, totals, after, strict=True)], again
        )
        return after

    def _mask(self, index: Value, stop: Value) -> Value:
        """Which lanes are below `stop`."""
        e, lanes = self.e, self.lanes
        left = e.arithmetic("min", e.arithmetic("sub", stop, index), whole(lanes))
        type = f"i{max(8, min(self.bits, 64))}"
        code = e.here()
        text = left.text
        if type != "i64":
            text = code.new(f"trunc i64 {text} to {type}") if left.number is None else text
        limit = e.spread(Value(text, e.top), type)
        code = e.here(lanes)
        iota = "<" + ", ".join([f"{type} {n}" for n in range(lanes)]) + ">"
        return Value(code.binary("icmp slt", type, iota, limit), e.top, True)

    def _accumulate(self, totals: list[str]) -> list[str]:
        """The totals combined with the values of the body, in the lanes that take part."""
        if not totals:
            return []
        e = self.e
        values = e.values(self.s.values)
        left = [Value(t, e.top, True) for t in totals]
        combined = self._combined(left, values)
        if e.mask is not None:
            mask = e.mask
            combined = [
                e.choose(type, mask, new, old) for type, new, old in zip(self.types, combined, left, strict=True)
            ]
        return [e.spread(v, t) for v, t in zip(combined, self.types, strict=True)]

    def _combined(self, left: list[Value], right: list[Value]) -> list[Value]:
        e = self.e
        e.open_inline()
        for name, value in zip([*self.left, *self.right], [*left, *right], strict=True):
            e.define(name, Value(value.text, e.top, value.wide, value.number))
        combined = e.values(self.combined)
        e.close_inline()
        return [Value(v.text, min(v.level, e.top), v.wide, v.number) for v in combined]

    def _reduced(self, totals: list[str]) -> list[str]:
        """The totals of all lanes combined, halves with halves."""
        e = self.e
        if not totals:
            return []
        lanes = self.lanes
        while lanes > 1:
            half = lanes // 2
            halves: list[list[Value]] = [[], []]
            for number, side in enumerate(halves):
                for text, type in zip(totals, self.types, strict=True):
                    vector = e.here(lanes).types[type]
                    if half == 1:
                        part = e.code.new(f"extractelement {vector} {text}, i64 {number}")
                    else:
                        order = ", ".join([f"i32 {number * half + k}" for k in range(half)])
                        part = e.code.new(f"shufflevector {vector} {text}, {vector} poison, <{half} x i32> <{order}>")
                    side.append(Value(part, e.top, half > 1))
            lanes = e.lanes = half
            combined = self._combined(*halves)
            totals = [v.text if half == 1 else e.spread(v, t) for v, t in zip(combined, self.types, strict=True)]
        e.lanes = 1
        return totals

    def _tail(self, start: Value, stop: Value, totals: list[str]) -> list[str]:
        """What is left over, one by one."""
        e, s = self.e, self.s
        e.lanes = 1
        runs = None
        if start.number is not None and stop.number is not None:
            if start.number >= stop.number:
                return totals
        else:
            runs = e._operation("lt", "i64", [start, stop])
            e.open(is_branch=True)
        e.open(is_branch=False)
        index = e.fresh("i64")
        e.define(s.var, index)
        carried = [e.fresh(t) for t in self.types]
        e.block(s.body)
        after = [v.text for v in self._combined(carried, e.values(s.values))] if carried else []
        following, again = e.step(index, 1, stop)
        types = [e.type_text(t, False) for t in self.types]
        phis = list(zip([v.text for v in carried], types, totals, after, strict=True))
        e.close_loop([(index.text, "i64", start.text, following), *phis], again)
        return after if runs is None else e.close_branch(runs, list(zip(types, after, totals, strict=True)))


__all__ = ["LaneLoops", "loops"]
