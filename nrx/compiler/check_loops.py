"""Checks that a kernel of the loop IR is well formed: operand types agree, and values are used where they are known."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nrx.compiler.code import FP8_TYPES, MEMORY_BITS
from nrx.compiler.instructions import PLAIN
from nrx.compiler.memory import element_type
from nrx.core import loops
from nrx.core.errors import CompilerError
from nrx.core.loops import (
    ARITHMETIC,
    COMPARISONS,
    MATH,
    Buffer,
    Copy,
    Expr,
    If,
    Kernel,
    Lanes,
    Let,
    Loop,
    Products,
    Rows,
    Store,
    Transpose,
    While,
)

_TYPES = frozenset(MEMORY_BITS)
_ARITIES = {
    **dict.fromkeys(("neg", "abs", "sqrt", "floor", "ceil", "rint", "trunc", "not", "popcount", "clz"), 1),
    "fma": 3,
    "muladd": 3,
    "ldexp": 2,
}
_FLOATS_ONLY = frozenset(("sqrt", "floor", "ceil", "rint", "trunc", "copysign", "fma", "muladd")) | MATH
_INTS_ONLY = frozenset(("rem", "shl", "lshr", "ashr", "popcount", "clz"))
_BITS_ONLY = frozenset(("and", "or", "xor", "not"))


def check_kernel(kernel: Kernel) -> None:
    """Check a kernel.

    Raises:
        CompilerError: it is not well formed; the message says where.
    """
    _Checker(kernel).check()


class _Checker:
    """Fields: known: what has a value at this point; checked: Exprs that are well formed here."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.known: set[Any] = {kernel.task, *kernel.dims}
        self.checked: set[Expr] = set()

    def check(self) -> None:
        if isinstance(self.kernel.tasks, Expr):
            self.position(self.kernel.tasks)
        self.block(self.kernel.body)

    def fail(self, message: str) -> None:
        raise CompilerError(f"kernel {self.kernel.name}: {message}")

    def need(self, condition: bool, message: str, *about: Any) -> None:
        if not condition:
            self.fail(message.format(*about))

    @contextmanager
    def scope(self, *known: Any) -> Iterator[None]:
        """What becomes known inside is unknown afterwards."""
        before = set(self.known), set(self.checked)
        self.known.update(known)
        yield
        self.known, self.checked = before

    # Expressions

    def expression(self, root: Any) -> str:
        """Check an expression; its type."""
        self.need(isinstance(root, Expr), "{!r} is not an Expr", root)
        stack = [root]
        while stack:
            e = stack[-1]
            missing = [] if e in self.known else [a for a in e.args if a not in self.checked]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if e not in self.checked:
                self.node(e)
                self.checked.add(e)
        return root.type

    def position(self, e: Any) -> None:
        self.need(self.expression(e) == "i64", "{} is not an i64", e)

    def node(self, e: Expr) -> None:
        types = [a.type for a in e.args]
        self.need(e.type in _TYPES, "{} has an unknown type", e)
        if e in self.known or (e.op == "result" and e.attr in self.known):
            return
        if e.op in ARITHMETIC or e.op in MATH or e.op in COMPARISONS:
            self.operation(e, types)
            return
        check = {
            "const": lambda: not types,
            "linear": lambda: e.type == "i64" and set(types) <= {"i64"} and len(types) == len(e.attr[1]),
            "floordiv": lambda: (e.type, types) == ("i64", ["i64"]) and e.attr > 0,
            "mod": lambda: (e.type, types) == ("i64", ["i64"]) and e.attr > 0,
            "select": lambda: types == ["bool", e.type, e.type],
            "rarely": lambda: types == ["bool", e.type, e.type],
            "call": lambda: bool(types) and set(types) == {e.type},
            "table": lambda: len(types) == 1 and types[0] in loops.UNSIGNED_TYPES and len(e.attr) > 0,
            "convert": lambda: len(types) == 1,
            "bitcast": lambda: len(types) == 1 and MEMORY_BITS[types[0]] == MEMORY_BITS[e.type],
            "load": lambda: e.attr.readonly and self.access(e.attr, e.args[0]) == e.type,
        }.get(e.op)
        self.need(check is not None, "{} has no value here", e)
        self.need(bool(check and check()), "{} is not well formed", e)

    def operation(self, e: Expr, types: list[str]) -> None:
        default = 2 if e.op in ARITHMETIC or e.op in COMPARISONS or e.op in ("pow", "atan2") else 1
        self.need(len(types) == _ARITIES.get(e.op, default), "{} has {} operands", e, len(types))
        self.need(len(set(types)) == 1, "the operands of {} differ in type", e)
        type = types[0]
        self.need(e.type == ("bool" if e.op in COMPARISONS else type), "{} has not the type of its operands", e)
        self.need(type not in FP8_TYPES or e.op in COMPARISONS, "{} computes in fp8", e)
        is_float = loops.is_float(type)
        self.need(is_float or e.op not in _FLOATS_ONLY, "{} is for floats", e)
        self.need(not is_float or e.op not in _INTS_ONLY | _BITS_ONLY, "{} is not for floats", e)
        self.need(type != "bool" or (e.op, type) in PLAIN or e.op in _BITS_ONLY, "{} is not for bools", e)

    def access(self, buffer: Buffer, position: Expr) -> str:
        """Check an access to memory; the type of the element."""
        self.need(buffer in self.kernel.buffers or buffer.size is not None, "{} is not an argument", buffer)
        self.position(position)
        return element_type(buffer)

    # Statements

    def block(self, statements: Sequence[Any], results: Sequence[Expr] = ()) -> list[str]:
        """Check statements, and expressions at their end; the types of these."""
        for s in statements:
            getattr(self, f"_{type(s).__name__.lower()}")(s)
        return [self.expression(x) for x in results]

    def give(self, s: Any, count: int) -> None:
        self.known.update((s, number) for number in range(count))

    def types(self, expressions: Sequence[Expr]) -> list[str]:
        return [self.expression(x) for x in expressions]

    def _store(self, s: Store) -> None:
        self.need(not s.buffer.readonly, "a store to the readonly buffer {}", s.buffer)
        type = self.access(s.buffer, s.position)
        self.need(self.expression(s.value) == type, "{} is stored as {}", s.value, type)

    def _let(self, s: Let) -> None:
        self.need(s.value.op == "load", "{} is not a load", s.value)
        type = self.access(s.value.attr, s.value.args[0])
        self.need(s.value.type == type, "{} loads {}", s.value, type)
        self.known.add(s.value)

    def _loop(self, s: Loop) -> None:
        self.position(s.extent)
        inits = self.types(s.inits)
        self.need([c.type for c in s.carried] == inits, "a loop over {} carries other types than it starts with", s.var)
        with self.scope(s.var, *s.carried):
            finals = self.block(s.body, s.finals)
        self.need(finals == inits, "a loop over {} goes from {} to {}", s.var, inits, finals)
        self.give(s, len(inits))

    def _lanes(self, s: Lanes) -> None:
        self.position(s.extent)
        inits = self.types(s.inits)
        with self.scope(s.var):
            values = self.block(s.body, s.values)
        self.need(values == inits, "a loop over {} accumulates {} in {}", s.var, values, inits)
        self.need((s.combine is not None) == bool(inits), "a loop over {} lacks a function or values", s.var)
        if s.combine is not None:
            sides = [[Expr("carried", t) for t in inits] for _ in range(2)]
            with self.scope(*sides[0], *sides[1]):
                self.need(self.types(list(s.combine(*sides))) == inits, "a loop over {} changes types", s.var)
        self.give(s, len(inits))

    def _while(self, s: While) -> None:
        inits = self.types(s.inits)
        self.need([c.type for c in s.carried] == inits, "a while loop carries other types than it starts with")
        with self.scope(*s.carried):
            self.block(s.head)
            self.need(self.expression(s.condition) == "bool", "{} is not a bool", s.condition)
            with self.scope():
                self.need(self.block(s.body, s.finals) == inits, "a while loop changes types")
        self.give(s, len(inits))

    def _if(self, s: If) -> None:
        self.need(self.expression(s.condition) == "bool", "{} is not a bool", s.condition)
        with self.scope():
            then = self.block(s.then, s.then_values)
        with self.scope():
            otherwise = self.block(s.otherwise, s.otherwise_values)
        self.need(then == otherwise, "branches of {} and {}", then, otherwise)
        self.give(s, len(then))

    def _copy(self, s: Copy) -> None:
        self.need(not s.target.readonly, "a copy to the readonly buffer {}", s.target)
        self.access(s.target, s.target_position)
        self.access(s.source, s.source_position)
        self.position(s.count)
        self.need(s.target.type == s.source.type, "a copy from {} to {}", s.source.type, s.target.type)

    def _transpose(self, s: Transpose) -> None:
        self.need(not s.target.readonly, "a transposition into the readonly buffer {}", s.target)
        self.access(s.target, s.target_position)
        self.access(s.source, s.source_position)
        for x in (s.target_step, s.source_step, s.rows, s.columns):
            self.position(x)
        of_pairs = (s.source.type, s.target.type) == ("bf16", "u32")
        is_allowed = of_pairs or s.target.type == s.source.type
        self.need(is_allowed, "a transposition from {} to {}", s.source.type, s.target.type)

    def _products(self, s: Products) -> None:
        matrices = (s.sums, s.left, s.right)
        self.need(not s.sums.buffer.readonly, "sums of products in the readonly buffer {}", s.sums.buffer)
        types = [self.access(m.buffer, m.position) for m in matrices]
        is_real = not {m.buffer.type for m in matrices} & set(loops.REAL_TYPE)
        is_allowed = len(set(types)) == 1 or types in (["f32", "u32", "u32"], ["f32", "bf16", "u32"])
        self.need(is_allowed and is_real, "products of {}", types)
        self.position(s.sums.row_step)
        self.position(s.depth)
        if isinstance(s.left, Rows):
            self.need(self.access(s.left.table, s.left.first) == "i64", "a table of rows in {}", s.left.table)
            self.position(s.left.runs)
        self.need(self.expression(s.fresh) == "bool", "{} is not a bool", s.fresh)
        self.need(
            (s.sums.step, s.right.step) == (1, 1), "columns of products are {} apart", (s.sums.step, s.right.step)
        )
        self.need(s.rows > 0 and s.columns > 0, "a tile of {} x {}", s.rows, s.columns)
