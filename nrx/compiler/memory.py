"""Loads and stores: which are vectors, which single elements, which gather and scatter."""

from collections.abc import Sequence

from nrx.compiler.code import MEMORY_BITS, Code, memory_types, suffixes
from nrx.compiler.scopes import Value, whole
from nrx.compiler.values import Values, integer
from nrx.core import loops
from nrx.core.loops import Buffer, Expr

_COMPLEX = ("c64", "c128")
_WIDEST_STRIDE = 4
_LINE_BYTES = 64
_BYTES_AHEAD = 4096


class Position:
    """number + terms, which are uniform, + the lane's number * stride; or with `wide`, its lanes' part as an index.

    Fields:
        terms: (value, coefficient).
        index: a wide expression, in place of the stride.
    """

    __slots__ = ("index", "number", "stride", "terms")

    def __init__(self, number: int, terms: list[tuple[Value, int]], stride: int, index: Expr | None):
        self.number, self.terms, self.stride, self.index = number, terms, stride, index


class Memory(Values):
    """Accesses to buffers.

    Fields:
        pointers: where they are.
        mask: which lanes take part; None: all.
        is_guarded: whether it may be that no lane does.
        prefetches: whether what later iterations of the vector loop load is asked for now.
    """

    def __init__(self, code: Code):
        super().__init__(code)
        self.pointers: dict[Buffer, Value] = {}
        self.mask: Value | None = None
        self.is_guarded = False
        self.prefetches = False
        self.special["load"] = self._load

    # Positions

    def operands(self, e: Expr) -> Sequence[Expr]:
        """As there; of a load, the uniform parts of its position."""
        if e.op != "load":
            return super().operands(e)
        return [a for a in loops.linear_terms(e.args[0])[1] if a not in self.varying]

    def position(self, position: Expr) -> Position:
        """Analyse a position."""
        number, atoms = loops.linear_terms(position)
        varying = self.varying
        terms = [(self.value(a), c) for a, c in atoms.items() if a not in varying]
        wide = {a: c for a, c in atoms.items() if a in varying}
        if not wide:
            return Position(number, terms, 0, None)
        if len(wide) == 1 and self.lane in wide:
            return Position(number, terms, wide[self.lane], None)
        return Position(number, terms, 0, loops.linear(0, wide))

    def pointer(self, buffer: Buffer, number: int, terms: list[tuple[Value, int]]) -> Value:
        """The address of an element at a uniform position; what is constant is added last."""
        pointer = self.pointers.get(buffer) or self.scratch(buffer)
        by_level: dict[int, list[tuple[Value, int]]] = {}
        for term in terms:
            if term[0].number is not None:
                number += term[0].number * term[1]
            else:
                by_level.setdefault(term[0].level, []).append(term)
        for level in sorted(by_level):
            pointer = self._offset(buffer, pointer, self.sum(0, by_level[level]), "i64")
        return self._offset(buffer, pointer, whole(number), "i64") if number else pointer

    def scratch(self, buffer: Buffer) -> Value:
        """The address of a buffer that is no argument."""
        raise NotImplementedError

    def _offset(self, buffer: Buffer, pointer: Value, count: Value, type: str) -> Value:
        level, wide = self.place((pointer, count))
        key = ("pointer", pointer.text, buffer.type, count.text)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        code = self.begin(level, wide)
        element = memory_types(1)[element_type(buffer)]
        text = code.new(f"getelementptr {element}, ptr {pointer.text}, {code.types[type]} {count.text}")
        return self.number(key, text, level, wide)

    def addresses(self, buffer: Buffer, at: Position) -> Value:
        """The addresses of the lanes' elements."""
        pointer = self.pointer(buffer, at.number, at.terms)
        index = at.index
        if index is None:
            assert self.lane is not None
            index = loops.linear(0, {self.lane: at.stride})
        if (small := self.small(index)) is not None:
            return self._offset(buffer, pointer, self._wide(small), "i32")
        return self._offset(buffer, pointer, self._wide(self.value(index)), "i64")

    def _wide(self, index: Value) -> Value:
        """An index as one a lane; if it is uniform, it is 0."""
        return index if index.wide else Value("zeroinitializer", index.level, True)

    # Lanes that take part

    def secret_zero(self) -> Value:
        """An i64 0 of which LLVM does not know that it is one: the arguments are words.

        LLVM 22 writes all bits of a number that a masked store narrows if the mask is a constant with one lane, so no
        mask must be a constant.
        """
        code = self.here()
        return Value(code.new(f"and i64 {code.new('ptrtoint ptr %arguments to i64')}, 7"), self.top)

    def any_lane(self) -> Value:
        """Whether the mask leaves any lane in."""
        assert self.mask is not None
        return self.any_of(self.mask)

    def _readable(self, pointer: Value) -> Value:
        """The pointer if any lane takes part, else one to memory that can be read."""
        some = self.any_lane()
        key = ("select", some.text, pointer.text)
        found = self.numbered.get(key)
        if found is None:
            level, _ = self.place((some, pointer))
            text = self.begin(level, False).new(f"select i1 {some.text}, ptr {pointer.text}, ptr %arguments")
            found = self.number(key, text, level, False)
        return found

    # Loads

    def _load(self, e: Expr) -> Value:
        assert e.attr.readonly, f"{e} is not at its place among the statements"
        return self.load(e, 0)

    def load(self, e: Expr, level: int) -> Value:
        """A load in a scope not further out than `level`."""
        buffer = e.attr
        at = self.position(e.args[0])
        level = max(level, self.branch_level)
        if at.index is None and at.stride == 0:
            return self._load_one(buffer, at, level)
        level = max(level, self.induction.level, self.mask.level if self.mask else 0)
        if at.index is not None:
            return self._load_clamped(buffer, at, level) or self._gather(buffer, at, level)
        if abs(at.stride) == 1:
            return self._load_vector(buffer, at, level)
        if at.stride == 2 and buffer.type in _COMPLEX:
            return self._load_part(buffer, at, level)
        if 2 <= at.stride <= _WIDEST_STRIDE and self.mask is None:
            return self._load_strided(buffer, at, level)
        return self._gather(buffer, at, level)

    def _load_one(self, buffer: Buffer, at: Position, level: int) -> Value:
        pointer = self.pointer(buffer, at.number, at.terms)
        if self.is_guarded:
            pointer = self._readable(pointer)
        key = ("load", buffer, pointer.text)
        found = self.numbered.get(key)
        if found is not None:
            return found
        level = self.placed[max(level, pointer.level)]
        code = self.begin(level, False)
        text = self._from_memory(buffer, code, self._plain_load(buffer, code, pointer))
        return self.number(key, text, level, False) if buffer.readonly else Value(text, level)

    def _load_vector(self, buffer: Buffer, at: Position, level: int) -> Value:
        """Neighbouring elements, forwards or backwards."""
        back = at.stride < 0
        number = at.number + (1 - self.lanes if back else 0)
        pointer = self.pointer(buffer, number, [*at.terms, (self.induction, at.stride)])
        key = ("load", buffer, pointer.text, self.lanes, self.mask and self.mask.text, back)
        found = self.numbered.get(key)
        if found is not None:
            return found
        level = self.placed[max(level, pointer.level)]
        if self.prefetches and not back and level == self.induction.level and buffer.size is None:
            self._prefetch(buffer, at, pointer)
        code = self.begin(level, True)
        if self.mask is None:
            text = self._plain_load(buffer, code, pointer)
        else:
            mask = self._reversed(self.mask.text, code.types["bool"]) if back else self.mask.text
            text = self._masked_load(buffer, code, pointer, mask)
        if back:
            text = self._reversed(text, memory_types(self.lanes)[element_type(buffer)])
        text = self._from_memory(buffer, code, text)
        return self.number(key, text, level, True) if buffer.readonly else Value(text, level, True)

    def _prefetch(self, buffer: Buffer, at: Position, pointer: Value) -> None:
        """Ask for the cache lines that lie ahead of a vector; once for all that are loaded from about there."""
        key = ("prefetch", buffer, *[(v.text, c) for v, c in at.terms])
        if key in self.numbered:
            return
        self.number(key, "", pointer.level, False)
        size = MEMORY_BITS[element_type(buffer)] // 8
        for first in range(_BYTES_AHEAD, _BYTES_AHEAD + self.lanes * size, _LINE_BYTES):
            ahead = self._offset(buffer, pointer, whole(first // size), "i64")
            code = self.begin(pointer.level, False)
            code.do("llvm.prefetch.p0", ("ptr", ahead.text), ("i32", "0"), ("i32", "3"), ("i32", "1"))

    def _plain_load(self, buffer: Buffer, code: Code, pointer: Value) -> str:
        type = element_type(buffer)
        return code.new(f"load {memory_types(code.lanes)[type]}, ptr {pointer.text}, align {MEMORY_BITS[type] // 8}")

    def _masked_load(self, buffer: Buffer, code: Code, pointer: Value, mask: str) -> str:
        type = element_type(buffer)
        memory = memory_types(code.lanes)[type]
        return code.call(
            f"llvm.masked.load.{_suffix(type, code.lanes)}.p0", memory,
            (f"ptr align {MEMORY_BITS[type] // 8}", pointer.text), (code.types["bool"], mask),
            (memory, "zeroinitializer"),
        )  # fmt: skip

    def _from_memory(self, buffer: Buffer, code: Code, text: str) -> str:
        """A bool is a byte in memory."""
        return code.binary("icmp ne", "u8", text, code.constant(0, "u8")) if buffer.type == "bool" else text

    def _reversed(self, text: str, vector: str) -> str:
        order = range(self.lanes - 1, -1, -1)
        return self.code.new(f"shufflevector {vector} {text}, {vector} poison, {_order(order)}")

    def _load_part(self, buffer: Buffer, at: Position, level: int) -> Value:
        """The real or imaginary parts of complex numbers, with the others, which are shared."""
        if any(c % 2 for _, c in at.terms):
            return self._gather(buffer, at, level)
        part = at.number % 2
        pointer = self.pointer(buffer, at.number - part, [*at.terms, (self.induction, 2)])
        level = self.placed[max(level, pointer.level)]
        key = ("both", buffer, pointer.text, self.lanes, self.mask and self.mask.text)
        both = self.numbered.get(key)
        if both is None:
            code, mask = self.begin(level, True), self._twice_mask()
            code.shape(2 * self.lanes)
            text = self._masked_load(buffer, code, pointer, mask) if mask else self._plain_load(buffer, code, pointer)
            both = self.number(key, text, level, True) if buffer.readonly else Value(text, level, True)
        vector = memory_types(2 * self.lanes)[element_type(buffer)]
        order = _order(range(part, 2 * self.lanes, 2))
        text = self.begin(level, True).new(f"shufflevector {vector} {both.text}, {vector} poison, {order}")
        return Value(text, level, True)

    def _load_strided(self, buffer: Buffer, at: Position, level: int) -> Value:
        """Every second, third or fourth element, out of vectors that reach from the first to the last one."""
        lanes, stride = self.lanes, at.stride
        last = (stride - 1) * (lanes - 1)
        starts = sorted({min(start, last) for start in range(0, stride * lanes, lanes)})
        pointers = [self.pointer(buffer, at.number + n, [*at.terms, (self.induction, stride)]) for n in starts]
        key = ("strided", buffer, *[pointer.text for pointer in pointers], lanes)
        found = self.numbered.get(key)
        if found is not None:
            return found
        level = self.placed[max(level, *[pointer.level for pointer in pointers])]
        code = self.begin(level, True)
        vector = memory_types(lanes)[element_type(buffer)]
        text, *others = [self._plain_load(buffer, code, pointer) for pointer in pointers]
        wanted = range(0, stride * lanes, stride)
        known = [at if at < lanes else None for at in wanted]
        for start, before, other in zip(starts[1:], starts, others, strict=False):
            order = [
                lanes + at - start if before + lanes <= at < start + lanes else old
                for at, old in zip(wanted, known, strict=True)
            ]
            text = code.new(f"shufflevector {vector} {text}, {vector} {other}, {_order(order)}")
            known = [None if at is None else k for k, at in enumerate(order)]
        text = self._from_memory(buffer, code, text)
        return self.number(key, text, level, True) if buffer.readonly else Value(text, level, True)

    def _twice_mask(self) -> str | None:
        """The mask for two elements a lane, or None."""
        if self.mask is None:
            return None
        bools = self.code.types["bool"]
        order = _order([k // 2 for k in range(2 * self.lanes)])
        return self.code.new(f"shufflevector {bools} {self.mask.text}, {bools} poison, {order}")

    def _load_clamped(self, buffer: Buffer, at: Position, level: int) -> Value | None:
        """Neighbouring elements, and the first or last one where the position lies before or behind it."""
        target, type = self.code.target, element_type(buffer)
        if at.index is None or not (target.masked_is_cheap or (target.vector_bits >= 256 and MEMORY_BITS[type] >= 32)):
            return None
        inner, limits = _unclamped(at.index)
        where = self.position(inner)
        if (
            not limits
            or where.index is not None
            or where.stride != 1
            or limits.get("max", 0) > limits.get("min", 2**62)
        ):
            return None
        small = self.small(inner) if max(map(abs, limits.values())) < 2**31 else None
        positions, kind = (self.value(inner), "i64") if small is None else (small, "i32")
        edges = [
            (
                self.compute("gt" if op == "min" else "lt", kind, (positions, integer(limit, kind))),
                self._load_one(buffer, Position(at.number + limit, at.terms, 0, None), self.branch_level),
            )
            for op, limit in limits.items()
        ]
        mask, before = self.mask, self.mask
        for outside, _ in edges:
            others = self.compute("not", "bool", (outside,))
            mask = others if mask is None else self.compute("and", "bool", (mask, others))
        assert mask is not None
        self.mask = mask
        terms = [*at.terms, *where.terms]
        value = self._load_vector(buffer, Position(at.number + where.number, terms, 1, None), max(level, mask.level))
        self.mask = before
        for outside, edge in edges:
            value = self.choose(type, outside, edge, value)
        return value

    def _gather(self, buffer: Buffer, at: Position, level: int) -> Value:
        addresses = self.addresses(buffer, at)
        level = self.placed[max(level, addresses.level)]
        code = self.begin(level, True)
        type = element_type(buffer)
        memory = memory_types(self.lanes)[type]
        text = code.call(
            f"llvm.masked.gather.{_suffix(type, self.lanes)}.v{self.lanes}p0", memory,
            (f"<{self.lanes} x ptr> align {MEMORY_BITS[type] // 8}", addresses.text),
            (code.types["bool"], self._mask_text()), (memory, "zeroinitializer"),
        )  # fmt: skip
        return Value(self._from_memory(buffer, code, text), level, True)

    def _mask_text(self) -> str:
        return self.mask.text if self.mask is not None else "splat (i1 true)"

    # Stores

    def store(self, buffer: Buffer, position: Expr, value: Expr) -> None:
        """A store, at this point."""
        v = self.value(value)
        at = self.position(position)
        if at.index is not None or at.stride not in (0, 1) or (not at.stride and (v.wide or self.is_guarded)):
            self._scatter(buffer, at, v)
            return
        type = element_type(buffer)
        pointer = self.pointer(buffer, at.number, [*at.terms, (self.induction, 1)] if at.stride else at.terms)
        text = self.spread(v, type) if at.stride else v.text
        code = self.here(self.lanes if at.stride else 1)
        self._store_vector(buffer, code, text, pointer, self._mask_text() if self.mask and at.stride else None)

    def _store_vector(self, buffer: Buffer, code: Code, text: str, pointer: Value, mask: str | None) -> None:
        type = element_type(buffer)
        if type == "bool":
            text = code.cast("zext", text, "bool", "u8")
        memory, align = memory_types(code.lanes)[type], MEMORY_BITS[type] // 8
        if mask is None:
            code.lines.append(f"store {memory} {text}, ptr {pointer.text}, align {align}")
        else:
            code.do(
                f"llvm.masked.store.{_suffix(type, code.lanes)}.p0", (memory, text),
                (f"ptr align {align}", pointer.text), (code.types["bool"], mask),
            )  # fmt: skip

    def _scatter(self, buffer: Buffer, at: Position, v: Value) -> None:
        addresses = self.addresses(buffer, at)
        type = element_type(buffer)
        text = self.spread(v, type)
        code = self.here(self.lanes)
        if type == "bool":
            text = code.cast("zext", text, "bool", "u8")
        code.do(
            f"llvm.masked.scatter.{_suffix(type, self.lanes)}.v{self.lanes}p0",
            (memory_types(self.lanes)[type], text),
            (f"<{self.lanes} x ptr> align {MEMORY_BITS[type] // 8}", addresses.text),
            (code.types["bool"], self._mask_text()),
        )  # fmt: skip

    def store_parts(self, buffer: Buffer, position: Expr, real: Expr, imag: Expr) -> bool:
        """The real and imaginary parts of complex numbers in one store; whether that was possible."""
        at = self.position(position)
        if at.index is not None or at.stride != 2:
            return False
        type, lanes = element_type(buffer), self.lanes
        parts = [self.spread(v, type) for v in self.values((real, imag))]
        pointer = self.pointer(buffer, at.number, [*at.terms, (self.induction, 2)])
        code = self.here(lanes)
        order = _order([k // 2 + lanes * (k % 2) for k in range(2 * lanes)])
        vector = memory_types(lanes)[type]
        both = code.new(f"shufflevector {vector} {parts[0]}, {vector} {parts[1]}, {order}")
        mask = self._twice_mask()
        self._store_vector(buffer, self.here(2 * lanes), both, pointer, mask)
        return True


def _unclamped(x: Expr) -> tuple[Expr, dict[str, int]]:
    """What a position is before it is moved between constant limits, and these: min from above, max from below."""
    limits: dict[str, int] = {}
    while x.op in ("min", "max") and x.op not in limits and x.args[1].op == "const":
        limits[x.op] = int(x.args[1].attr)
        x = x.args[0]
    return x, limits


def element_type(buffer: Buffer) -> str:
    """The type of what a position addresses: the parts of complex numbers."""
    return {"c64": "f32", "c128": "f64"}.get(buffer.type, buffer.type)


def _suffix(type: str, lanes: int) -> str:
    return suffixes(lanes)["u8" if type == "bool" else type]


def _order(lanes: Sequence[int | None]) -> str:
    """The mask of a shufflevector; None: whatever."""
    return f"<{len(lanes)} x i32> <{', '.join(['i32 poison' if k is None else f'i32 {k}' for k in lanes])}>"
