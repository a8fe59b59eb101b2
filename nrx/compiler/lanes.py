"""Vector loops: how many lanes, whole vectors, and what is left over.

A loop over lanes becomes one over whole vectors and a tail. Where the target can leave lanes out cheaply, the tail is
one more vector under a mask, or, if the body is long, the whole loop is under a mask and there is no tail; elsewhere
the tail is a scalar loop.
"""

from nrx.compiler.code import Code
from nrx.compiler.lane_analysis import LaneAnalysis
from nrx.compiler.masks import MaskedControl
from nrx.compiler.scopes import Value, whole
from nrx.core.loops import Expr, Lanes

_SHORT_BODY = 12
_LONG_BODY = 60
_LONGEST_INTERLEAVED = 512
_FEWEST_INTERLEAVED = 512  # elements: below, compiling longer code costs more than it saves


class LaneLoops(MaskedControl):
    """Writes loops over lanes."""

    def __init__(self, code: Code):
        super().__init__(code)
        self.statements[Lanes] = self._lanes

    def _lanes(self, s: Lanes) -> None:
        if self.lane is None:
            body = LaneAnalysis(s, self.rewritten)
            extent = self.value(s.extent)
            lanes = 1 if body.in_order else self._width(s, body, extent.number)
            if lanes > 1:
                self.varying = body.varying
                self._vectors(s, body, extent, lanes)
                self.varying = set()
                return
        loop = self.rewritten.loop(s)
        if s in self.looks:
            self.looks[loop] = self.looks[s]
        self.block([loop])
        self.results[s] = self.results[loop]

    def _width(self, s: Lanes, body: LaneAnalysis, extent: int | None) -> int:
        """How many lanes: a few vectors, whose instructions then overlap and share constants; no more than needed."""
        native = self.code.target.vector_bits // body.bits
        lanes = native * self._interleaved(s, body, extent)
        while extent is not None and lanes > 1 and (lanes >= 2 * extent or max(native, extent) < lanes):
            lanes //= 2
        return lanes

    def _interleaved(self, s: Lanes, body: LaneAnalysis, extent: int | None) -> int:
        """How many vectors at a time."""
        target, is_short = self.code.target, body.cost <= _SHORT_BODY
        if body.cost <= 6 and target.masked_is_cheap:
            return 4
        is_worth_it = body.cost <= _LONGEST_INTERLEAVED and (extent is None or extent >= _FEWEST_INTERLEAVED)
        if is_worth_it and not is_short and target.has_fma and not body.parts:
            return 4
        return 2 if is_short or (s.inits and body.cost <= 40) else 1

    def _vectors(self, s: Lanes, body: LaneAnalysis, extent: Value, lanes: int) -> None:
        inits = self.values(s.inits)
        runs = None if extent.number is not None else self.compute("gt", "i64", [extent, whole(0)])
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
    Fields:
        native: the lanes of one vector register.
        masks: the tail is vectors under masks.
        predicated: everything is.
        prefetches: an iteration takes so long that the processor does not see ahead where the next ones will load.
        left, right, combined: what `combine` says, for placeholders.
    """

    def __init__(self, e: LaneLoops, s: Lanes, body: LaneAnalysis, lanes: int, inits: list[Value]):
        self.e, self.s, self.lanes, self.inits = e, s, lanes, inits
        self.bits = body.bits
        target = e.code.target
        self.native = target.vector_bits // body.bits
        self.masks = target.masked_is_cheap or (target.vector_bits >= 256 and body.memory_bits >= 32)
        self.predicated = target.masked_is_cheap and body.cost > _LONG_BODY and lanes <= self.native
        self.prefetches = body.cost > _SHORT_BODY
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
        rest = None if number is None else number % lanes
        short = number is not None and number < lanes
        if self.masks and rest != 0 and (self.predicated or short):
            return self._reduced(self._loop(whole(0), extent, totals, True), 1)
        full = e.arithmetic("and", extent, whole(-lanes)) if number is None else whole(number - number % lanes)
        totals = self._guarded(whole(0), full, totals, False)
        if not self.masks or rest == 1:
            return self._tail(full, extent, self._reduced(totals, 1))
        totals = self._reduced(totals, min(lanes, self.native))
        if rest and not totals:
            self.lanes = e.lanes = min(self.lanes, 1 << (rest - 1).bit_length())
        return self._reduced(self._guarded(full, extent, totals, True), 1)

    def _guarded(self, start: Value, stop: Value, totals: list[str], masked: bool) -> list[str]:
        """A loop that may have nothing to do."""
        e = self.e
        if start.number is not None and stop.number is not None:
            return self._loop(start, stop, totals, masked) if start.number < stop.number else totals
        runs = e.compute("lt", "i64", [start, stop])
        e.open(is_branch=True)
        after = self._loop(start, stop, totals, masked)
        types = [e.type_text(t, True) for t in self.types]
        return e.close_branch(runs, list(zip(types, after, totals, strict=True)))

    def _loop(self, start: Value, stop: Value, totals: list[str], masked: bool) -> list[str]:
        """Vectors from `start` to `stop`; at least one."""
        e, s, lanes = self.e, self.s, self.lanes
        once = start.number is not None and stop.number is not None and stop.number - start.number <= lanes
        if once:
            e.open_inline()
            index = Value(start.text, e.top, False, start.number)
            carried = totals
        else:
            e.open(is_branch=False)
            index = e.fresh()
            carried = [e.fresh(True).text for t in self.types]
        e.lane, e.lanes, e.induction = s.var, lanes, index
        e.prefetches = self.prefetches and not masked and not once
        if masked:
            e.mask = self._mask(index, stop)
        e.block(s.body)
        after = self._accumulate(carried)
        e.lane, e.mask, e.prefetches = None, None, False
        if once:
            e.close_inline()
            return after
        types = [e.type_text(t, True) for t in self.types]
        e.close_counting(s, index, start, lanes, stop, list(zip(carried, types, totals, after, strict=True)))
        return after

    def _mask(self, index: Value, stop: Value) -> Value:
        """Which lanes are below `stop`."""
        e, lanes = self.e, self.lanes
        left = e.arithmetic("min", e.arithmetic("sub", stop, index), whole(lanes))
        type = f"i{max(8 if lanes < 128 else 16, min(self.bits, 64))}"  # holds the number of lanes
        if left.number is not None:
            left = e.arithmetic("add", e.secret_zero(), left)
        text = left.text if type == "i64" else e.here().new(f"trunc i64 {left.text} to {type}")
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

    def _reduced(self, totals: list[str], to: int) -> list[str]:
        """The totals of all lanes combined to those of fewer, halves with halves."""
        e = self.e
        lanes, self.lanes = self.lanes, to
        while totals and lanes > to:
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
        e.lanes = to
        return totals

    def _tail(self, start: Value, stop: Value, totals: list[str]) -> list[str]:
        """What is left over, one by one."""
        e, s = self.e, self.s
        e.lanes, e.varying = 1, set()
        runs = None
        if start.number is not None and stop.number is not None:
            if start.number >= stop.number:
                return totals
        else:
            runs = e.compute("lt", "i64", [start, stop])
            e.open(is_branch=True)
        e.open(is_branch=False)
        index = e.fresh()
        e.define(s.var, index)
        carried = [e.fresh() for _ in self.types]
        e.block(s.body)
        after = [v.text for v in self._combined(carried, e.values(s.values))] if carried else []
        following, again = e.step(index, 1, stop)
        types = [e.type_text(t, False) for t in self.types]
        phis = list(zip([v.text for v in carried], types, totals, after, strict=True))
        e.close_loop([(index.text, "i64", start.text, following), *phis], again)
        return after if runs is None else e.close_branch(runs, list(zip(types, after, totals, strict=True)))
