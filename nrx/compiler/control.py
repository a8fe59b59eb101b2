"""Statements as basic blocks: loops, conditionals, stores."""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.compiler.code import Code
from nrx.compiler.memory import Memory
from nrx.compiler.scopes import Phi, Scope, Value, whole
from nrx.core import loops
from nrx.core.loops import Expr, If, Lanes, Let, Loop, Store, While

_MOST_UNROLLED = 4
_COMPLEX = ("c64", "c128")
_RUNTIME_POOL, _RUNTIME_LOOK = 1, 7  # see `compiler.runtime`


class Control(Memory):
    """Writes statements. `varying` is what `LaneAnalysis` says of the loop over lanes that is being written.

    Fields:
        looks: after how many of its iterations each long loop looks whether it should go on.
        watch: the number of the argument that it passes then.
    """

    def __init__(self, code: Code):
        super().__init__(code)
        self.looks: dict[Any, int] = {}
        self.watch = 0
        self.statements: dict[type, Callable[[Any], None]] = {
            Store: self._store,
            Let: self._let,
            Loop: self.loop,
            While: self.while_,
            If: self.if_,
        }

    def word(self, table: str, number: int, type: str = "ptr") -> str:
        """A word of a table."""
        address = self.code.new(f"getelementptr i64, ptr {table}, i64 {number}")
        return self.code.new(f"load {type}, ptr {address}")

    def block(self, statements: Sequence[Any]) -> None:
        """Write statements at this point."""
        before: Any = None
        for s in statements:
            if before is not None:
                pair, before = before, None
                if self._are_parts(pair, s) and self.store_parts(s.buffer, pair.position, pair.value, s.value):
                    continue
                self.store(pair.buffer, pair.position, pair.value)
            if isinstance(s, Store) and s.buffer.type in _COMPLEX and self.lane is not None:
                before = s
                continue
            self.statements[type(s)](s)
        if before is not None:
            self.store(before.buffer, before.position, before.value)

    def _are_parts(self, real: Store, imag: Any) -> bool:
        """Whether two statements store the real and the imaginary part of one number."""
        if not isinstance(imag, Store) or real.buffer is not imag.buffer:
            return False
        (x, terms), (y, others) = loops.linear_terms(real.position), loops.linear_terms(imag.position)
        return y == x + 1 and terms == others

    def _store(self, s: Store) -> None:
        self.store(s.buffer, s.position, s.value)

    def _let(self, s: Let) -> None:
        self.define(s.value, self.load(s.value, self.top))

    # Loops

    def loop(self, s: Loop) -> None:
        extent, inits = self.value(s.extent), self.values(s.inits)
        if extent.number is not None and extent.number <= (_MOST_UNROLLED if self._is_simple(s) else 1):
            self._unrolled(s, extent.number, inits)
            return
        if self.is_guarded and extent.number is None:  # it may be nonsense, if no lane is here
            extent = self.choose("i64", self.any_lane(), extent, whole(0))
        wide = [v.wide or c in self.varying for v, c in zip(inits, s.carried, strict=True)]
        types = [(x.type, self.type_text(x.type, w), w) for x, w in zip(s.inits, wide, strict=True)]
        starts = [self.text(v, t, w) for v, (t, _, w) in zip(inits, types, strict=True)]
        runs = None if extent.number is not None else self.compute("gt", "i64", [extent, whole(0)])
        if runs is not None:
            self.open(is_branch=True)
        self.open(is_branch=False)
        index = self.fresh()
        self.define(s.var, index)
        carried = [self.fresh(w) for _, _, w in types]
        for c, v in zip(s.carried, carried, strict=True):
            self.define(c, v)
        self.block(s.body)
        finals = [self.text(v, t, w) for v, (t, _, w) in zip(self.values(s.finals), types, strict=True)]
        phis = [(v.text, t, x, y) for v, (_, t, _), x, y in zip(carried, types, starts, finals, strict=True)]
        self.close_counting(s, index, whole(0), 1, extent, phis)
        if runs is not None:
            merged = [(t, x, y) for (_, t, _), x, y in zip(types, finals, starts, strict=True)]
            finals = self.close_branch(runs, merged)
        self.results[s] = [Value(x, self.top, w) for x, w in zip(finals, wide, strict=True)]

    def _is_simple(self, s: Loop) -> bool:
        """Whether it may be written out: it is inside lanes, or has no loops inside, whose code is long."""
        return self.lane is not None or not any(isinstance(t, Loop | Lanes | While) for t in s.body)

    def _unrolled(self, s: Loop, count: int, values: list[Value]) -> None:
        for index in range(count):
            self.open_inline()
            self.define(s.var, Value(str(index), self.top, False, index))
            for c, v in zip(s.carried, values, strict=True):
                self.define(c, Value(v.text, self.top, v.wide, v.number))
            self.block(s.body)
            finals = self.values(s.finals)
            self.close_inline()
            values = [Value(v.text, min(v.level, self.top), v.wide, v.number) for v in finals]
        self.results[s] = values

    def while_(self, s: While) -> None:
        inits = self.values(s.inits)
        wide = [v.wide or c in self.varying for v, c in zip(inits, s.carried, strict=True)]
        types = [(x.type, self.type_text(x.type, w), w) for x, w in zip(s.inits, wide, strict=True)]
        starts = [self.text(v, t, w) for v, (t, _, w) in zip(inits, types, strict=True)]
        head = self.open(is_branch=False)
        carried = [self.fresh(w) for _, _, w in types]
        for c, v in zip(s.carried, carried, strict=True):
            self.define(c, v)
        self.block(s.head)
        assert s.condition is not None
        condition = self.value(s.condition)
        body = self.open(is_branch=True)
        self.block(s.body)
        finals = [self.text(v, t, w) for v, (t, _, w) in zip(self.values(s.finals), types, strict=True)]
        phis = [(v.text, t, x, y) for v, (_, t, _), x, y in zip(carried, types, starts, finals, strict=True)]
        if s in self.looks:
            phis.append(self._count_and_look(self.looks[s]))
        self.close_while(head, body, condition.text, phis)
        self.results[s] = [Value(v.text, self.top, w) for v, w in zip(carried, wide, strict=True)]

    def close_counting(self, s: Any, index: Value, start: Value, by: int, stop: Value, phis: Sequence[Phi]) -> None:
        """End a loop whose index runs from `start` to `stop`; if it is long, it runs in blocks and looks after each."""
        limit = Value(self.code.name(), self.top) if s in self.looks else stop
        following, again = self.step(index, by, limit)
        phis = [(index.text, "i64", start.text, following), *phis]
        if s not in self.looks:
            self.close_loop(phis, again)
            return
        inner = self.close()
        code, before = self.here(), self.scopes[-1].label
        outer, latch, end = code.label(), code.label(), code.label()
        names = [code.name() for _ in phis]
        code.lines += [f"br label %{outer}", f"{outer}:"]
        for name, (_, type, first, then) in zip(names, phis, strict=True):
            code.lines.append(f"{name} = phi {type} [{first}, %{before}], [{then}, %{latch}]")
        block = code.binary("add", "i64", names[0], str(max(self.looks[s], by)))
        is_last = code.new(f"icmp sge i64 {block}, {stop.text}")
        code.lines += [f"{limit.text} = select i1 {is_last}, i64 {stop.text}, i64 {block}", f"br label %{inner.first}"]
        code.lines.append(f"{inner.first}:")
        for name, (own, type, _, then) in zip(names, phis, strict=True):
            code.lines.append(f"{own} = phi {type} [{name}, %{outer}], [{then}, %{inner.label}]")
        looking = code.label()
        code.lines += [*inner.lines, f"br i1 {again}, label %{inner.first}, label %{looking}", f"{looking}:"]
        self._look(latch)
        more = code.new(f"icmp slt i64 {following}, {stop.text}")
        code.lines += [f"br i1 {more}, label %{outer}, label %{end}", f"{end}:"]
        self.scopes[-1].label = end

    def _count_and_look(self, every: int) -> Phi:
        """Look at the end of every so manyth iteration; the count."""
        count, code = self.code.name(), self.here()
        following = code.new(f"add i64 {count}, 1")
        low = code.new(f"and i64 {following}, {every - 1}")
        is_time = Value(code.new(f"icmp eq i64 {low}, 0"), self.top)
        self.open(is_branch=True)
        self._look(self.code.label())
        self.close_branch(is_time, [])
        return count, "i64", "0", following

    def _look(self, after: str) -> None:
        """Return if the program is to stop; else go on in a new basic block."""
        code, stop = self.here(), self.code.label()
        runtime, watch = self.word("%arguments", 0), self.word("%arguments", self.watch)
        look, pool = self.word(runtime, _RUNTIME_LOOK), self.word(runtime, _RUNTIME_POOL)
        status = code.new(f"call i64 {look}(ptr {pool}, ptr {watch}, i64 %thread)")
        is_stopped = code.new(f"icmp ne i64 {status}, 0")
        code.lines += [f"br i1 {is_stopped}, label %{stop}, label %{after}", f"{stop}:", "ret void", f"{after}:"]
        self.scopes[-1].label = after

    def if_(self, s: If) -> None:
        condition = self.value(s.condition)
        wide = [(s, number) in self.varying for number in range(len(s.then_values))]
        then, then_texts = self._branch(s.then, s.then_values, wide)
        otherwise, otherwise_texts = self._branch(s.otherwise, s.otherwise_values, wide)
        lines = self.scopes[-1].lines
        end = self.code.label()
        lines.append(f"br i1 {condition.text}, label %{then.first}, label %{otherwise.first}")
        for scope in (then, otherwise):
            lines += [f"{scope.first}:", *scope.lines, f"br label %{end}"]
        lines.append(f"{end}:")
        self.scopes[-1].label = end
        code = self.here()
        self.results[s] = [
            Value(code.new(f"phi {t} [{x}, %{then.label}], [{y}, %{otherwise.label}]"), self.top, w)
            for t, x, y, w in zip(
                [self.type_text(x.type, w) for x, w in zip(s.then_values, wide, strict=True)],
                then_texts, otherwise_texts, wide, strict=True,
            )
        ]  # fmt: skip

    def _branch(self, statements: Sequence[Any], results: Sequence[Expr], wide: list[bool]) -> tuple[Scope, list[str]]:
        self.open(is_branch=True)
        self.block(statements)
        texts = [self.text(self.value(x), x.type, w) for x, w in zip(results, wide, strict=True)]
        return self.close(), texts
