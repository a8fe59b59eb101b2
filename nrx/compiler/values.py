"""Expressions as instructions, each computed once."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from nrx.compiler import avx512, mathlib
from nrx.compiler.code import Code, constant, llvm_types, suffixes
from nrx.compiler.conversions import convert
from nrx.compiler.instructions import PLAIN, operation
from nrx.compiler.scopes import Scopes, Value, whole
from nrx.compiler.targets import Target
from nrx.core import loops
from nrx.core.loops import COMPARISONS, INT_TYPES, MATH, Expr

_MOST_INLINED = 6
_SOME_OPERANDS = frozenset(("load", "rarely"))


class Values(Scopes):
    """Computes expressions.

    Args:
        code: writes the instructions.
    Fields:
        lane: the variable of the vector loop being written, or None.
        induction: the first lane's number in the current iteration.
        varying: what is wide in that loop, as `LaneAnalysis` says.
        results: of statements.
        functions: the texts of the functions and tables that the code needs, by name.
    """

    def __init__(self, code: Code):
        super().__init__(code)
        self.lane: Expr | None = None
        self.induction = whole(0)
        self.varying: set[Any] = set()
        self.results: dict[Any, list[Value]] = {}
        self.functions: dict[str, str] = {}
        self._expansions: dict[Expr, Expr] = {}
        self._uses: dict[Any, int] = {}
        self.special: dict[str, Callable[[Expr], Value]] = {
            "const": self._const,
            "linear": self._linear,
            "select": self._select,
            "convert": self._convert,
            "bitcast": self._bitcast,
            "floordiv": self._quotient,
            "mod": self._quotient,
            "var": self._lane_numbers,
            "result": self._result,
            "rarely": self._rarely,
            "call": self._call,
            "table": self._table,
        }

    def operands(self, e: Expr) -> Sequence[Expr]:
        """The Exprs whose values have to be known for that of `e`, a load or `rarely`."""
        return (e.args[0], e.args[2])

    def value(self, e: Expr) -> Value:
        """The value of an expression, computed now unless it is known. Iterative: expressions may be deep."""
        known = self.known
        found = known.get(e)
        if found is not None:
            return found
        stack = [e]
        scopes = self.scopes
        special = self.special
        while stack:
            x = stack[-1]
            if x in known:
                stack.pop()
                continue
            op = x.op
            height = len(stack)
            depth = 0
            for a in self.operands(x) if op in _SOME_OPERANDS else x.args:
                v = known.get(a)
                if v is None:
                    stack.append(a)
                elif v.level > depth:
                    depth = v.level
            if len(stack) > height:
                if x not in self.varying or (small := self._small(x)) is None:
                    continue
                del stack[height:]
                value = small
            elif op in special:
                value = special[op](x)
            elif op in MATH:
                function = self._instruction(x) or self._function(x)
                if function is None:
                    expanded = self._expanded(x)
                    if expanded not in known:
                        stack.append(expanded)
                        continue
                    function = known[expanded]
                value = function
            else:
                value = self.compute(op, x.args[0].type, [known[a] for a in x.args])
            stack.pop()
            if value.level < depth:
                value = value.at(depth)
            known[x] = value
            scopes[value.level].expressions.append(x)
        return known[e]

    def values(self, expressions: Sequence[Expr]) -> list[Value]:
        return [self.value(e) for e in expressions]

    def compute(self, op: str, type: str, operands: Sequence[Value]) -> Value:
        """An operation of ARITHMETIC or COMPARISONS on operands of a type."""
        level, wide = self.place(operands)
        texts = [self.spread(v, type) if wide else v.text for v in operands]
        key = (op, type, *texts)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        code = self.begin(level, wide)
        word = PLAIN.get((op, type))
        if word is not None:
            text = code.new(f"{word} {code.types[type]} {texts[0]}, {texts[1]}")
        else:
            text = operation(code, op, type, texts)
        return self.number(key, text, level, wide)

    def arithmetic(self, op: str, x: Value, y: Value) -> Value:
        """An operation on two i64 values; of numbers, a number."""
        if x.number is not None and y.number is not None and op in _ON_NUMBERS:
            return whole(_ON_NUMBERS[op](x.number, y.number))
        return self.compute(op, "i64", (x, y))

    # The operations that are not one instruction each

    def _const(self, e: Expr) -> Value:
        return Value(constant(e.attr, e.type), 0, False, int(e.attr) if e.type == "i64" else None)

    def _result(self, e: Expr) -> Value:
        statement, number = e.attr
        return self.results[statement][number]

    def _lane_numbers(self, e: Expr) -> Value:
        """The variable of the vector loop as a value: the lanes' numbers."""
        assert e is self.lane, f"{e} is used outside its loop"
        iota = Value(_iota("i64", self.lanes), self.induction.level, True)
        return iota if self.induction.number == 0 else self.compute("add", "i64", (self.induction, iota))

    def _linear(self, e: Expr) -> Value:
        known = self.known
        return self.sum(e.attr[0], [(known[a], c) for a, c in zip(e.args, e.attr[1], strict=True)])

    def sum(self, number: int, terms: Sequence[tuple[Value, int]], type: str = "i64") -> Value:
        """number + the sum of value * coefficient; outer values first, so that their sums stay outside."""
        total: Value | None = None
        depth = 0
        for v, coefficient in sorted(terms, key=_level_of_term):
            if v.number is not None:
                number += v.number * coefficient
                depth = max(depth, v.level)
                continue
            term = v if coefficient == 1 else self.compute("mul", type, (v, integer(coefficient, type)))
            total = term if total is None else self.compute("add", type, (total, term))
        if total is None:
            return integer(number, type).at(depth)
        if number:
            total = self.compute("add", type, (total, integer(number, type)))
        return total.at(depth)

    def _quotient(self, e: Expr) -> Value:
        x = self.known[e.args[0]]
        if x.number is not None:
            return whole(x.number // e.attr if e.op == "floordiv" else x.number % e.attr)
        return self._divided(e.op, "u64", x, e.attr)

    def _divided(self, op: str, type: str, x: Value, divisor: int) -> Value:
        level, wide = self.place((x,))
        key = (op, type, x.text, divisor)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        code = self.begin(level, wide)
        word = "udiv" if op == "floordiv" else "urem"
        return self.number(key, code.binary(word, type, x.text, code.constant(divisor, type)), level, wide)

    def _select(self, e: Expr) -> Value:
        condition, x, y = e.args
        return self.choose(e.type, self.known[condition], self.known[x], self.known[y])

    def choose(self, type: str, condition: Value, x: Value, y: Value) -> Value:
        """A select on values of a type."""
        level, wide = self.place((condition, x, y))
        texts = [condition.text, x.text, y.text]
        if wide:
            texts = [self.spread(condition, "bool"), self.spread(x, type), self.spread(y, type)]
        key = ("select", type, *texts)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        return self.number(key, self.begin(level, wide).select(texts[0], type, texts[1], texts[2]), level, wide)

    def _convert(self, e: Expr) -> Value:
        return self.cast("convert", self.known[e.args[0]], e.args[0].type, e.type)

    def _bitcast(self, e: Expr) -> Value:
        source = e.args[0].type
        # A bool has no bits of its own outside memory.
        return self.cast("convert" if "bool" in (source, e.type) else "bitcast", self.known[e.args[0]], source, e.type)

    def cast(self, op: str, x: Value, source: str, target: str) -> Value:
        """A value converted, or its bits read, as another type."""
        level, wide = self.place((x,))
        key = (op, source, target, x.text)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        code = self.begin(level, wide)
        text = code.cast(op, x.text, source, target) if op == "bitcast" else convert(code, x.text, source, target)
        return self.number(key, text, level, wide)

    # Positions in 32 bits: vectors of i64 take twice the registers, and lack half of the instructions

    def _small(self, e: Expr) -> Value | None:
        """A conversion or comparison of positions that are small in every lane; None if it is something else."""
        if e.op != "convert" and e.op not in COMPARISONS:
            return None
        if e.args[0].type != "i64":
            return None
        operands = [self.small(a) for a in e.args]
        if None in operands:
            return None
        if e.op == "convert":
            return self.cast("convert", operands[0], "i32", e.type)  # type: ignore[arg-type]
        return self.compute(e.op, "i32", operands)  # type: ignore[arg-type]

    def small(self, e: Expr) -> Value | None:
        """An i64 expression as i32, if it is known to fit."""
        low, high = loops.bounds(e)
        if low < -(2**31) or high >= 2**31:
            return None
        return self._low(e)

    def _low(self, e: Expr) -> Value | None:
        """The lower 32 bits of an i64 expression; None where they would not be cheaper than all of them."""
        if e not in self.varying:
            return self._low_of(self.value(e))
        key = ("low", e)
        found = self.numbered.get(key)
        if found is not None:
            return found
        found = self._computed_low(e)
        if found is not None:
            found = self.number(key, found.text, max(found.level, self.induction.level), found.wide)
        return found

    def _computed_low(self, e: Expr) -> Value | None:
        if e is self.lane:
            iota = Value(_iota("i32", self.lanes), self.induction.level, True)
            first = self._low_of(self.induction)
            return iota if first.text == "0" else self.compute("add", "i32", (first, iota))
        if e.op == "convert" and e.args[0].type in INT_TYPES:
            return self.cast("convert", self.value(e.args[0]), e.args[0].type, "i32")
        if e.op == "select":
            x, y = self._low(e.args[1]), self._low(e.args[2])
            return None if x is None or y is None else self.choose("i32", self.value(e.args[0]), x, y)
        if e.op not in ("linear", "mul", "floordiv", "mod", "min", "max"):
            return None
        exact = e.op not in ("linear", "mul")  # otherwise the lower bits come from lower bits alone
        operands = [self.small(a) if exact else self._low(a) for a in e.args]
        if None in operands:
            return None
        if e.op == "linear":
            return self.sum(e.attr[0], list(zip(operands, e.attr[1], strict=True)), "i32")  # type: ignore[arg-type]
        if e.op in ("floordiv", "mod"):
            return self._divided(e.op, "u32", operands[0], e.attr)  # type: ignore[arg-type]
        return self.compute(e.op, "i32", operands)  # type: ignore[arg-type]

    def _low_of(self, v: Value) -> Value:
        if v.number is not None:
            return integer(v.number, "i32").at(v.level)
        return self.cast("convert", v, "i64", "i32")

    # What is needed rarely, and numbers by an index

    def _rarely(self, e: Expr) -> Value:
        condition, slow, fast = self.known[e.args[0]], e.args[1], self.known[e.args[2]]
        level, wide = self.place((condition, fast, *self._leaves(slow)))
        with self.further_out(level):
            usual = self.spread(fast, e.type) if wide else fast.text
            some = self.any_of(condition)
            self.open(is_branch=True)
            chosen = self.choose(e.type, condition, self.value(slow), fast)
            text = self.spread(chosen, e.type) if wide else chosen.text
            (merged,) = self.close_branch(some, [(self.type_text(e.type, wide), text, usual)])
        return Value(merged, level, wide)

    def _leaves(self, root: Expr) -> Sequence[Value]:
        """The values that are known already, or depend on the place, of those an expression consists of."""
        found, stack, seen = [], [root], set()
        while stack:
            e = stack.pop()
            if e in seen:
                continue
            seen.add(e)
            if e in self.known:
                found.append(self.known[e])
            elif e.op == "load" or e in self.varying or e.op == "result":
                found.append(Value("", self.top))
            else:
                stack.extend(e.args)
        return found

    def any_of(self, condition: Value) -> Value:
        """Whether a condition holds in any lane."""
        if not condition.wide:
            return condition
        key = ("any", condition.text)
        found = self.numbered.get(key)
        if found is None:
            code = self.begin(condition.level, True)
            bits = code.new(f"bitcast {code.types['bool']} {condition.text} to i{self.lanes}")
            found = self.number(key, code.new(f"icmp ne i{self.lanes} {bits}, 0"), condition.level, False)
        return found

    def _table(self, e: Expr) -> Value:
        index = self.cast("convert", self.known[e.args[0]], e.args[0].type, "i32")
        element = llvm_types(1)[e.type]
        numbers = ", ".join([f"{element} {constant(number, e.type)}" for number in e.attr])
        contents = f"[{len(e.attr)} x {element}] [{numbers}]"
        name = f"shared.table{hashlib.sha256(contents.encode()).hexdigest()[:16]}"
        self.functions[name] = f"@{name} = internal constant {contents}\n"
        level, wide = self.place((index,))
        key = (name, index.text)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        code = self.begin(level, wide)
        address = code.new(f"getelementptr {element}, ptr @{name}, {code.types['i32']} {index.text}")
        t = code.types[e.type]
        if not wide:
            return self.number(key, code.new(f"load {t}, ptr {address}"), level, False)
        text = code.call(
            f"llvm.masked.gather.{code.suffixes[e.type]}.v{self.lanes}p0", t,
            (f"<{self.lanes} x ptr> align 4", address), (code.types["bool"], "splat (i1 true)"), (t, "zeroinitializer"),
        )  # fmt: skip
        return self.number(key, text, level, True)

    # Functions of the math library

    def _instruction(self, e: Expr) -> Value | None:
        """A function that the target has an instruction for."""
        operands = [self.known[a] for a in e.args]
        level, wide = self.place(operands)
        if not wide or not avx512.has(self.code.target, e.op, e.type, self.lanes):
            return None
        texts = [self.spread(v, e.type) for v in operands]
        key = (e.op, e.type, *texts)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        return self.number(key, avx512.operation(self.begin(level, True), e.op, e.type, texts), level, True)

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
        _, wide = self.place([self.known[a] for a in e.args])
        kind = (e.op, e.type, self.lanes if wide else 1)
        if e not in self._expansions:
            self._uses[kind] = self._uses.get(kind, 0) + 1
        if self._uses.get(kind, 0) <= _MOST_INLINED or loops.is_narrow(e.type):
            return None
        return self._subroutine(e, e.op, None)

    def _call(self, e: Expr) -> Value:
        return self._subroutine(e, f"{e.attr.__module__.rpartition('.')[2]}.{e.attr.__name__}", e.attr)

    def _subroutine(self, e: Expr, name: str, function: Callable[..., Expr] | None) -> Value:
        """A call of a function of Exprs, by default of the math library's."""
        operands = [self.known[a] for a in e.args]
        level, wide = self.place(operands)
        lanes = self.lanes if wide else 1
        texts = [self.spread(v, e.type) if wide else v.text for v in operands]
        key = (name, e.type, *texts)
        found = self.numbered.get(key)
        if found is not None:
            return found.at(level)
        name = f"shared.{name}.{suffixes(lanes)[e.type]}"
        functions, declared = _function_text(name, function or e.op, e.type, len(e.args), lanes, self.code.target)
        self.functions.update(functions)
        self.code.declared.update(declared)
        code = self.begin(level, wide)
        t = code.types[e.type]
        return self.number(key, code.new(f"call {t} @{name}({', '.join([f'{t} {x}' for x in texts])})"), level, wide)


@functools.cache
def _function_text(
    name: str, function: str | Callable[..., Expr], type: str, arity: int, lanes: int, target: Target
) -> tuple[dict, dict]:
    """The text of a function, by name one of the math library, with what it needs, and what it declares."""
    inner = Values(Code(target))
    inner.lanes = lanes
    entry = inner.open(is_branch=False)
    parameters = [Expr("parameter", type) for _ in range(arity)]
    for number, parameter in enumerate(parameters):
        inner.define(parameter, Value(f"%x{number}", 0, lanes > 1))
    if isinstance(function, str):
        body = mathlib.expand(Expr(function, type, tuple(parameters)))
    else:
        body = function(*parameters)
    result = inner.value(body)
    t = llvm_types(lanes)[type]
    text = inner.spread(result, type) if lanes > 1 else result.text
    heads = ", ".join(f"{t} %x{number}" for number in range(arity))
    lines = "\n".join([f"{entry.first}:", *entry.lines])
    attributes = f'noinline nounwind "prefer-vector-width"="{target.vector_bits}"'
    definition = f"define internal {t} @{name}({heads}) {attributes} {{\n{lines}\nret {t} {text}\n}}\n"
    return {**inner.functions, name: definition}, inner.code.declared


_ON_NUMBERS: dict[str, Callable[[int, int], int]] = {
    "add": int.__add__, "sub": int.__sub__, "mul": int.__mul__, "min": min, "max": max,
}  # fmt: skip


def integer(number: int, type: str) -> Value:
    """A constant of an integer type."""
    return whole(number) if type == "i64" else Value(constant(number, type), 0)


def _iota(type: str, lanes: int) -> str:
    return "<" + ", ".join([f"{type} {n}" for n in range(lanes)]) + ">"


def _level_of_term(term: tuple[Value, int]) -> int:
    return term[0].level + (1000 if term[0].wide else 0)
