"""Expressions as instructions: what is computed where, and once.

A kernel is written scope by scope: each loop body and each branch is a scope, a list of lines that stays open until it
ends. An expression goes into the outermost scope in which its operands are defined, which takes what does not change
out of loops. It does not leave a branch for the code around it, though: what the branch would skip would be computed.

Inside a vector loop a value is *wide*, one number a lane, if it depends on the loop's variable, else *uniform*, a
scalar, which is spread over the lanes where it meets a wide one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.compiler import mathlib
from nrx.compiler.code import MEMORY_BITS, Code, constant, llvm_types, memory_types, suffixes
from nrx.compiler.conversions import convert
from nrx.compiler.instructions import PLAIN, operation
from nrx.core import loops
from nrx.core.loops import MATH, Buffer, Expr

_MOST_INLINED = 6


class Value:
    """An expression's value in the code.

    Fields:
        text: its name, or a constant.
        level: the scope that defines it, counted from outside.
        wide: one number a lane.
        number: the number, of an integer constant.
    """

    __slots__ = ("level", "number", "text", "wide")

    def __init__(self, text: str, level: int, wide: bool = False, number: int | None = None):
        self.text, self.level, self.wide, self.number = text, level, wide, number


def whole(number: int) -> Value:
    """An i64 constant."""
    return Value(str(number), 0, False, number)


class Scope:
    """A loop's body or a branch while it is written.

    Args:
        is_branch: it may not run at all, while the code around it does.
        label: of its first basic block.
    """

    __slots__ = ("expressions", "first", "is_branch", "keys", "label", "lines")

    def __init__(self, is_branch: bool, label: str):
        self.is_branch = is_branch
        self.first = self.label = label
        self.lines: list[str] = []
        self.expressions: list[Expr] = []
        self.keys: list[Any] = []


class Values:
    """Computes expressions.

    Args:
        code: writes the instructions.
        pointers: where the buffers are.
        name: prefix of the names of functions.

    Fields:
        lane: the variable of the vector loop being written, or None.
        lanes: how many lanes wide values have.
        induction: the first lane's number in the current iteration.
        mask: which lanes take part; None: all.
    """

    def __init__(self, code: Code, name: str):
        self.code = code
        self.name = name
        self.scopes: list[Scope] = []
        self.pointers: dict[Buffer, Value] = {}
        self.known: dict[Expr, Value] = {}
        self.results: dict[Any, list[Value]] = {}
        self.functions: dict[Any, str] = {}
        self.lane: Expr | None = None
        self.lanes = 1
        self.induction = whole(0)
        self.mask: Value | None = None
        self.is_guarded = False
        self._numbered: dict[Any, Value] = {}
        self._placed: list[int] = []
        self._branch_level = 0
        self._expansions: dict[Expr, Expr] = {}
        self._uses: dict[Any, int] = {}
        self._special = {
            "const": self._const,
            "linear": self._linear,
            "load": self._load,
            "select": self._select,
            "convert": self._convert,
            "bitcast": self._bitcast,
            "floordiv": self._quotient,
            "mod": self._quotient,
            "var": self._lane_numbers,
            "result": self._result,
        }

    # Scopes

    def open(self, is_branch: bool) -> Scope:
        """Begin a scope."""
        scope = Scope(is_branch, self.code.label())
        self.scopes.append(scope)
        self._place()
        return scope

    def close(self) -> Scope:
        """End the innermost scope and forget what it defined."""
        scope = self.scopes.pop()
        known, numbered = self.known, self._numbered
        for e in scope.expressions:
            del known[e]
        for key in scope.keys:
            del numbered[key]
        self._place()
        return scope

    def _place(self) -> None:
        """For each level, the level where an expression of operands of that level is computed."""
        self._placed = placed = list(range(len(self.scopes)))
        self._branch_level = 0
        for level in range(len(placed) - 2, -1, -1):
            if self.scopes[level + 1].is_branch:
                placed[level] = placed[level + 1]
                self._branch_level = max(self._branch_level, level + 1)

    @property
    def top(self) -> int:
        return len(self.scopes) - 1

    def here(self, lanes: int = 1) -> Code:
        """The code at this point, for values of that many lanes."""
        self.code.lines = self.scopes[-1].lines
        self.code.shape(lanes)
        return self.code

    def define(self, e: Expr, value: Value) -> None:
        """Say what the value of an expression is, as long as the scope of the value is open."""
        self.known[e] = value
        self.scopes[value.level].expressions.append(e)

    # Values

    def value(self, e: Expr) -> Value:
        """The value of an expression, computed now unless it is known. Iterative: expressions may be deep."""
        known = self.known
        found = known.get(e)
        if found is not None:
            return found
        stack = [e]
        scopes = self.scopes
        special = self._special
        while stack:
            x = stack[-1]
            if x in known:
                stack.pop()
                continue
            op = x.op
            missing = False
            depth = 0
            for a in self._atoms(x) if op == "load" else x.args:
                v = known.get(a)
                if v is None:
                    stack.append(a)
                    missing = True
                elif v.level > depth:
                    depth = v.level
            if missing:
                continue
            if op in special:
                value = special[op](x)
            elif op in MATH:
                if (function := self._function(x)) is None:
                    expanded = self._expanded(x)
                    if expanded not in known:
                        stack.append(expanded)
                        continue
                    function = known[expanded]
                value = function
            else:
                value = self._operation(op, x.args[0].type, [known[a] for a in x.args])
            stack.pop()
            if value.level < depth:  # the same value has been computed further out, but here `x` means it only in here
                value = Value(value.text, depth, value.wide, value.number)
            known[x] = value
            scopes[value.level].expressions.append(x)
        return known[e]

    def values(self, expressions: Sequence[Expr]) -> list[Value]:
        return [self.value(e) for e in expressions]

    def spread(self, value: Value, type: str) -> str:
        """The text of a value as one number a lane."""
        if value.wide:
            return value.text
        scalar = llvm_types(1)[type]
        if value.text[0] != "%":
            return f"splat ({scalar} {value.text})"
        key = ("spread", value.text, self.lanes)
        found = self._numbered.get(key)
        if found is None:
            vector = llvm_types(self.lanes)[type]
            with_first = f"insertelement {vector} poison, {scalar} {value.text}, i64 0"
            level = self._placed[value.level]
            self.code.lines = self.scopes[level].lines
            first = self.code.new(with_first)
            zeros = f"<{self.lanes} x i32> zeroinitializer"
            found = self._number(
                key, self.code.new(f"shufflevector {vector} {first}, {vector} poison, {zeros}"), level, True
            )
        return found.text

    def _number(self, key: Any, text: str, level: int, wide: bool) -> Value:
        value = self._numbered[key] = Value(text, level, wide)
        self.scopes[level].keys.append(key)
        return value

    def _prepare(self, operands: Sequence[Value], level: int = 0) -> tuple[int, bool]:
        """The level at which something of these operands is computed, and whether it is wide."""
        wide = False
        for v in operands:
            if v.level > level:
                level = v.level
            if v.wide:
                wide = True
        return self._placed[level], wide

    def _begin(self, level: int, wide: bool) -> Code:
        code = self.code
        code.lines = self.scopes[level].lines
        lanes = self.lanes if wide else 1
        if code.lanes != lanes:
            code.shape(lanes)
        return code

    def _operation(self, op: str, type: str, operands: list[Value]) -> Value:
        level, wide = self._prepare(operands)
        texts = [self.spread(v, type) if wide else v.text for v in operands]
        key = (op, type, *texts)
        found = self._numbered.get(key)
        if found is not None:
            return found
        code = self._begin(level, wide)
        word = PLAIN.get((op, type))
        if word is not None:
            text = code.new(f"{word} {code.types[type]} {texts[0]}, {texts[1]}")
        else:
            text = operation(code, op, type, texts)
        return self._number(key, text, level, wide)

    def arithmetic(self, op: str, x: Value, y: Value, type: str = "i64") -> Value:
        """An operation on two values, by default i64 ones; of numbers, a number."""
        if x.number is not None and y.number is not None and op in _ON_NUMBERS:
            return whole(_ON_NUMBERS[op](x.number, y.number))
        return self._operation(op, type, [x, y])

    # The operations that are not one instruction each

    def _const(self, e: Expr) -> Value:
        number = int(e.attr) if e.type == "i64" else None
        return Value(constant(e.attr, e.type), 0, False, number)

    def _result(self, e: Expr) -> Value:
        statement, number = e.attr
        return self.results[statement][number]

    def _lane_numbers(self, e: Expr) -> Value:
        """The variable of the vector loop as a value: the lanes' numbers."""
        assert e is self.lane, f"{e} is used outside its loop"
        iota = "<" + ", ".join([f"i64 {n}" for n in range(self.lanes)]) + ">"
        first = self.induction
        if first.number == 0:
            return Value(iota, first.level, True)
        return self._operation("add", "i64", [first, Value(iota, first.level, True)])

    def _linear(self, e: Expr) -> Value:
        known = self.known
        return self.sum(e.attr[0], [(known[a], c) for a, c in zip(e.args, e.attr[1], strict=True)])

    def sum(self, number: int, terms: list[tuple[Value, int]]) -> Value:
        """number + the sum of value * coefficient; outer values first, so that their sums stay outside."""
        total: Value | None = None
        for v, coefficient in sorted(terms, key=_level_of_term):
            if v.number is not None:
                number += v.number * coefficient
                continue
            term = v if coefficient == 1 else self._operation("mul", "i64", [v, whole(coefficient)])
            total = term if total is None else self._operation("add", "i64", [total, term])
        if total is None:
            return whole(number)
        return self._operation("add", "i64", [total, whole(number)]) if number else total

    def _quotient(self, e: Expr) -> Value:
        x = self.known[e.args[0]]
        if x.number is not None:
            return whole(x.number // e.attr if e.op == "floordiv" else x.number % e.attr)
        level, wide = self._prepare([x])
        code = self._begin(level, wide)
        key = (e.op, x.text, e.attr)
        word = "udiv" if e.op == "floordiv" else "urem"
        return self._numbered.get(key) or self._number(
            key, code.binary(word, "i64", x.text, code.constant(e.attr, "i64")), level, wide
        )

    def _select(self, e: Expr) -> Value:
        operands = [self.known[a] for a in e.args]
        return self.choose(e.type, *operands)

    def choose(self, type: str, condition: Value, x: Value, y: Value) -> Value:
        """A select on values."""
        level, wide = self._prepare((condition, x, y))
        texts = [condition.text, x.text, y.text]
        if wide:
            texts = [self.spread(condition, "bool"), self.spread(x, type), self.spread(y, type)]
        key = ("select", type, *texts)
        found = self._numbered.get(key)
        if found is not None:
            return found
        code = self._begin(level, wide)
        return self._number(key, code.select(texts[0], type, texts[1], texts[2]), level, wide)

    def _convert(self, e: Expr) -> Value:
        return self._cast("convert", e)

    def _bitcast(self, e: Expr) -> Value:
        # A bool has no bits of its own outside memory.
        is_value = "bool" in (e.type, e.args[0].type)
        return self._cast("convert" if is_value else "bitcast", e)

    def _cast(self, op: str, e: Expr) -> Value:
        operand, source = self.known[e.args[0]], e.args[0].type
        key = (op, source, e.type, operand.text)
        found = self._numbered.get(key)
        if found is not None:
            return found
        level, wide = self._prepare((operand,))
        code = self._begin(level, wide)
        if op == "bitcast":
            text = code.cast(op, operand.text, source, e.type)
        else:
            text = convert(code, operand.text, source, e.type)
        return self._number(key, text, level, wide)

    # Functions of the math library

    def _expanded(self, e: Expr) -> Expr:
        found = self._expansions.get(e)
        if found is None:
            if loops.is_narrow(e.type):
                wide = Expr(e.op, "f32", tuple(loops.convert(a, "f32") for a in e.args))
                found = loops.convert(wide, e.type)
            else:
                found = mathlib.expand(e)
            self._expansions[e] = found
        return found

    def _function(self, e: Expr) -> Value | None:
        """A call, where the kernel has the same function with the same type many times."""
        operands = [self.known[a] for a in e.args]
        level, wide = self._prepare(operands)
        kind = (e.op, e.type, self.lanes if wide else 1)
        if e not in self._expansions:
            self._uses[kind] = self._uses.get(kind, 0) + 1
        if self._uses.get(kind, 0) <= _MOST_INLINED or loops.is_narrow(e.type):
            return None
        texts = [self.spread(v, e.type) if wide else v.text for v in operands]
        key = (e.op, e.type, *texts)
        found = self._numbered.get(key)
        if found is not None:
            return found
        name = f"{self.name}.{e.op}.{suffixes(kind[2])[e.type]}"
        if kind not in self.functions:
            self.functions[kind] = self._body(e, name, kind[2])
        code = self._begin(level, wide)
        t = code.types[e.type]
        return self._number(key, code.new(f"call {t} @{name}({', '.join([f'{t} {x}' for x in texts])})"), level, wide)

    def _body(self, e: Expr, name: str, lanes: int) -> str:
        """The text of a function that computes `e` of its parameters."""
        inner = Values(Code(self.code.target), name)
        inner.code.declared = self.code.declared
        inner.lanes = lanes
        inner.open(False)
        parameters = [Expr("parameter", e.type) for _ in e.args]
        for number, parameter in enumerate(parameters):
            inner.define(parameter, Value(f"%x{number}", 0, lanes > 1))
        result = inner.value(mathlib.expand(Expr(e.op, e.type, tuple(parameters))))
        t = llvm_types(lanes)[e.type]
        text = inner.spread(result, e.type) if lanes > 1 else result.text
        heads = ", ".join(f"{t} %x{number}" for number in range(len(parameters)))
        lines = "\n".join(inner.scopes[0].lines)
        attributes = f'noinline nounwind "prefer-vector-width"="{self.code.target.vector_bits}"'
        return f"define internal {t} @{name}({heads}) {attributes} {{\n{lines}\nret {t} {text}\n}}\n"

    # Memory

    def _atoms(self, e: Expr) -> list[Expr]:
        """What has to be known for the position of a load or store."""
        position = e.args[0]
        if position.op == "linear":
            return [a for a in position.args if a is not self.lane]
        return [] if position is self.lane or position.op == "const" else [position]

    def position(self, position: Expr) -> "Position":
        """Analyse a position, whose atoms are known."""
        number, atoms = loops.linear_terms(position)
        stride = atoms.pop(self.lane, 0) if self.lane is not None else 0
        terms = [(self.known[a], c) for a, c in atoms.items()]
        wide = [term for term in terms if term[0].wide]
        if wide and stride:
            assert self.lane is not None
            wide.append((self.value(self.lane), stride))
            stride = 0
        return Position(number, [term for term in terms if not term[0].wide], wide, stride)

    def pointer(self, buffer: Buffer, number: int, terms: list[tuple[Value, int]]) -> Value:
        """The address of an element at a uniform position; what is constant is added last."""
        pointer = self.pointers.get(buffer) or self._scratch(buffer)
        by_level: dict[int, list[tuple[Value, int]]] = {}
        for term in terms:
            if term[0].number is not None:
                number += term[0].number * term[1]
            else:
                by_level.setdefault(term[0].level, []).append(term)
        for level in sorted(by_level):
            pointer = self._offset(buffer, pointer, self.sum(0, by_level[level]))
        return self._offset(buffer, pointer, whole(number)) if number else pointer

    def _offset(self, buffer: Buffer, pointer: Value, count: Value) -> Value:
        key = ("pointer", pointer.text, buffer.type, count.text)
        found = self._numbered.get(key)
        if found is not None:
            return found
        level = self._placed[max(pointer.level, count.level)]
        code = self._begin(level, count.wide)
        element = memory_types(1)[element_type(buffer)]
        index = f"<{self.lanes} x i64>" if count.wide else "i64"
        text = code.new(f"getelementptr {element}, ptr {pointer.text}, {index} {count.text}")
        return self._number(key, text, level, count.wide)

    def _scratch(self, buffer: Buffer) -> Value:
        raise NotImplementedError

    def _load(self, e: Expr) -> Value:
        assert e.attr.readonly, f"{e} is not at its place among the statements"
        return self.load(e, 0)

    def load(self, e: Expr, level: int) -> Value:
        """A load in a scope not further out than `level`."""
        buffer = e.attr
        at = self.position(e.args[0])
        if at.wide or at.stride not in (0, 1, -1):
            return self._gather(buffer, at, level)
        terms = at.terms if not at.stride else [*at.terms, (self.induction, at.stride)]
        pointer = self.pointer(buffer, at.number + (1 - self.lanes if at.stride < 0 else 0), terms)
        lanes = self.lanes if at.stride else 1
        mask = self.mask if at.stride else None
        if self.is_guarded and not at.stride:  # where no lane is here, the address may be nonsense
            pointer = self.choose_pointer(self.any_lane(), pointer)
        key = ("load", buffer, pointer.text, lanes, mask and mask.text, at.stride)
        found = self._numbered.get(key) if buffer.readonly else None
        if found is not None:
            return found
        inside = self.induction.level if at.stride else 0
        level = self._placed[max(level, pointer.level, self._branch_level, inside, mask.level if mask else 0)]
        code = self._begin(level, at.stride != 0)
        type = element_type(buffer)
        memory = memory_types(lanes)[type]
        align = MEMORY_BITS[type] // 8
        if mask is None:
            text = code.new(f"load {memory}, ptr {pointer.text}, align {align}")
        else:
            bools = mask.text if at.stride > 0 else self._reversed(mask.text, code.types["bool"])
            text = code.call(
                f"llvm.masked.load.{_memory_suffix(type, lanes)}.p0", memory, (f"ptr align {align}", pointer.text),
                (code.types["bool"], bools), (memory, "zeroinitializer"),
            )  # fmt: skip
        if at.stride < 0:
            text = self._reversed(text, memory)
        if type == "bool":
            text = code.new(f"icmp ne {memory} {text}, {'zeroinitializer' if lanes > 1 else '0'}")
        if buffer.readonly:
            return self._number(key, text, level, lanes > 1)
        return Value(text, level, lanes > 1)

    def any_lane(self) -> Value:
        """Whether the mask leaves any lane in."""
        assert self.mask is not None
        key = ("any", self.mask.text)
        found = self._numbered.get(key)
        if found is None:
            code = self._begin(self.mask.level, True)
            bits = code.new(f"bitcast {code.types['bool']} {self.mask.text} to i{self.lanes}")
            found = self._number(key, code.new(f"icmp ne i{self.lanes} {bits}, 0"), self.mask.level, False)
        return found

    def choose_pointer(self, condition: Value, pointer: Value) -> Value:
        """The pointer where a condition holds, else one to memory that can be read."""
        key = ("select", condition.text, pointer.text)
        found = self._numbered.get(key)
        if found is None:
            level = self._placed[max(condition.level, pointer.level)]
            code = self._begin(level, False)
            text = code.new(f"select i1 {condition.text}, ptr {pointer.text}, ptr %arguments")
            found = self._number(key, text, level, False)
        return found

    def _reversed(self, text: str, vector: str) -> str:
        order = ", ".join([f"i32 {n}" for n in range(self.lanes - 1, -1, -1)])
        return self.code.new(f"shufflevector {vector} {text}, {vector} poison, <{self.lanes} x i32> <{order}>")

    def addresses(self, buffer: Buffer, at: "Position") -> Value:
        """The addresses of the lanes' elements."""
        pointer = self.pointer(buffer, at.number, at.terms)
        wide = at.wide
        if not wide:
            assert self.lane is not None
            wide = [(self.value(self.lane), at.stride)] if at.stride else [(_ZEROS, 1)]
        count = self.sum(0, wide)
        return self._offset(buffer, pointer, count)

    def _gather(self, buffer: Buffer, at: "Position", level: int) -> Value:
        addresses = self.addresses(buffer, at)
        mask = self.mask
        level = self._placed[max(level, addresses.level, self._branch_level, mask.level if mask else 0)]
        code = self._begin(level, True)
        type = element_type(buffer)
        memory = memory_types(self.lanes)[type]
        text = code.call(
            f"llvm.masked.gather.{_memory_suffix(type, self.lanes)}.v{self.lanes}p0", memory,
            (f"<{self.lanes} x ptr> align {MEMORY_BITS[type] // 8}", addresses.text),
            (code.types["bool"], mask.text if mask else "splat (i1 true)"), (memory, "zeroinitializer"),
        )  # fmt: skip
        if type == "bool":
            text = code.new(f"icmp ne {memory} {text}, zeroinitializer")
        return Value(text, level, True)

    def store(self, buffer: Buffer, position: Expr, value: Expr) -> None:
        """A store, at this point."""
        v = self.value(value)
        for atom in self._atoms(Expr("load", buffer.type, (position,))):
            self.value(atom)
        at = self.position(position)
        uniform = not at.stride and not v.wide and not self.is_guarded
        if at.wide or at.stride not in (0, 1) or not (at.stride or uniform):
            self._scatter(buffer, at, v)
            return
        terms = at.terms if not at.stride else [*at.terms, (self.induction, 1)]
        pointer = self.pointer(buffer, at.number, terms)
        type = element_type(buffer)
        align = MEMORY_BITS[type] // 8
        text = self.spread(v, type) if at.stride else v.text
        code = self.here(self.lanes if at.stride else 1)
        if type == "bool":
            text = code.cast("zext", text, "bool", "u8")
        memory = memory_types(code.lanes)[type]
        if self.mask is None or not at.stride:
            code.lines.append(f"store {memory} {text}, ptr {pointer.text}, align {align}")
        else:
            code.do(
                f"llvm.masked.store.{_memory_suffix(type, self.lanes)}.p0", (memory, text),
                (f"ptr align {align}", pointer.text), (code.types["bool"], self.mask.text),
            )  # fmt: skip

    def _scatter(self, buffer: Buffer, at: "Position", v: Value) -> None:
        addresses = self.addresses(buffer, at)
        type = element_type(buffer)
        text = self.spread(v, type)
        code = self.here(self.lanes)
        if type == "bool":
            text = code.cast("zext", text, "bool", "u8")
        code.do(
            f"llvm.masked.scatter.{_memory_suffix(type, self.lanes)}.v{self.lanes}p0",
            (memory_types(self.lanes)[type], text),
            (f"<{self.lanes} x ptr> align {MEMORY_BITS[type] // 8}", addresses.text),
            (code.types["bool"], self.mask.text if self.mask else "splat (i1 true)"),
        )  # fmt: skip


class Position:
    """number + terms, which are uniform, + wide terms + the lane's number * stride."""

    __slots__ = ("number", "stride", "terms", "wide")

    def __init__(self, number: int, terms: list, wide: list, stride: int):
        self.number, self.terms, self.wide, self.stride = number, terms, wide, stride


_ZEROS = Value("zeroinitializer", 0, True)
_ON_NUMBERS: dict[str, Callable[[int, int], int]] = {
    "add": int.__add__, "sub": int.__sub__, "mul": int.__mul__, "min": min, "max": max,
}  # fmt: skip


def _level_of_term(term: tuple[Value, int]) -> int:
    return term[0].level + (1000 if term[0].wide else 0)


def element_type(buffer: Buffer) -> str:
    """The type of what a position addresses: the parts of complex numbers."""
    return {"c64": "f32", "c128": "f64"}.get(buffer.type, buffer.type)


def _memory_suffix(type: str, lanes: int) -> str:
    return suffixes(lanes)["u8" if type == "bool" else type]
