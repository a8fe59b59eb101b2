"""Where an instruction goes, and what has been computed already.

A kernel is written scope by scope: each loop body and each branch is a scope, a list of lines that stays open until it
ends. An expression goes into the outermost scope in which its operands are defined, which takes what does not change
out of loops. It does not leave a branch for the code around it, though: what the branch would skip would be computed.

Inside a vector loop a value is *wide*, one number a lane, if it depends on the loop's variable, else *uniform*, a
scalar, which is spread over the lanes where it meets a wide one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nrx.compiler.code import Code, llvm_types
from nrx.core.loops import Expr

Merged = tuple[str, str, str]
"""What a name stands for after two blocks meet: LLVM type, and the value from each."""

Phi = tuple[str, str, str, str]
"""What a name stands for in a loop: name, LLVM type, first value, next value."""


class Value:
    """What stands for an expression in the code.

    Fields:
        text: its name, or a constant.
        level: the scope that defines it, counted from outside.
        wide: one number a lane.
        number: the number, of an i64 constant.
    """

    __slots__ = ("level", "number", "text", "wide")

    def __init__(self, text: str, level: int, wide: bool = False, number: int | None = None):
        self.text, self.level, self.wide, self.number = text, level, wide, number

    def at(self, level: int) -> "Value":
        """The same for what is meant in a scope only, though the value may have been computed further out."""
        return self if self.level >= level else Value(self.text, level, self.wide, self.number)


def whole(number: int) -> Value:
    """An i64 constant."""
    return Value(str(number), 0, False, number)


class Scope:
    """A loop's body or a branch while it is written.

    Args:
        is_branch: it may not run at all, while the code around it does.
        label: of its first basic block.
    Fields:
        label: of the basic block that is being written.
        lines: of code.
        expressions, keys: what is known and numbered because of it.
    """

    __slots__ = ("expressions", "first", "is_branch", "keys", "label", "lines")

    def __init__(self, is_branch: bool, label: str):
        self.is_branch = is_branch
        self.first = self.label = label
        self.lines: list[str] = []
        self.expressions: list[Expr] = []
        self.keys: list[Any] = []


class Scopes:
    """The scopes that are open.

    Args:
        code: writes the instructions.
    Fields:
        known: the values of Exprs, which mean something in this place.
        numbered: values by what was done to which others; names never change their meaning.
        lanes: how many lanes wide values have.
        branch_level: the innermost branch.
    """

    def __init__(self, code: Code):
        self.code = code
        self.scopes: list[Scope] = []
        self.known: dict[Expr, Value] = {}
        self.numbered: dict[Any, Value] = {}
        self.lanes = 1
        self.branch_level = 0
        self.placed: list[int] = []  # for each level, where an operation on operands of that level is computed

    def open(self, is_branch: bool) -> Scope:
        """Begin a scope."""
        scope = Scope(is_branch, self.code.label())
        self.scopes.append(scope)
        self._place()
        return scope

    def close(self) -> Scope:
        """End the innermost scope and forget what it defined."""
        scope = self.scopes.pop()
        known, numbered = self.known, self.numbered
        for e in scope.expressions:
            del known[e]
        for key in scope.keys:
            del numbered[key]
        self._place()
        return scope

    def _place(self) -> None:
        self.placed = placed = list(range(len(self.scopes)))
        self.branch_level = 0
        for level in range(len(placed) - 2, -1, -1):
            if self.scopes[level + 1].is_branch:
                placed[level] = placed[level + 1]
                self.branch_level = max(self.branch_level, level + 1)

    def open_inline(self) -> None:
        """Begin a scope that runs once, in a basic block of its own: what is moved in front of it may end the last."""
        self.open(is_branch=False)

    def close_inline(self) -> None:
        """End it: its lines join those around it."""
        scope = self.close()
        self.scopes[-1].lines += [f"br label %{scope.first}", f"{scope.first}:", *scope.lines]
        self.scopes[-1].label = scope.label

    @contextmanager
    def further_out(self, level: int) -> Iterator[None]:
        """Inside, the scope of that level is the innermost one, and what the others know is not known."""
        inner = self.scopes[level + 1 :]
        hidden = [
            ({key: self.numbered.pop(key) for key in s.keys}, {e: self.known.pop(e) for e in s.expressions})
            for s in inner
        ]
        del self.scopes[level + 1 :]
        self._place()
        yield
        for s, (numbered, known) in zip(inner, hidden, strict=True):
            s.keys = [key for key in numbered if key not in self.numbered]
            s.expressions = [e for e in known if e not in self.known]
            self.numbered.update((key, numbered[key]) for key in s.keys)
            self.known.update((e, known[e]) for e in s.expressions)
        self.scopes += inner
        self._place()

    @property
    def top(self) -> int:
        """The level of the innermost scope."""
        return len(self.scopes) - 1

    def here(self, lanes: int = 1) -> Code:
        """The code at this point, for values of that many lanes."""
        self.code.lines = self.scopes[-1].lines
        self.code.shape(lanes)
        return self.code

    def begin(self, level: int, wide: bool) -> Code:
        """The code at the end of a scope, for wide or uniform values."""
        code = self.code
        code.lines = self.scopes[level].lines
        lanes = self.lanes if wide else 1
        if code.lanes != lanes:
            code.shape(lanes)
        return code

    def place(self, operands: Sequence[Value]) -> tuple[int, bool]:
        """The level at which something of these operands is computed, and whether it is wide."""
        level, wide = 0, False
        for v in operands:
            if v.level > level:
                level = v.level
            if v.wide:
                wide = True
        return self.placed[level], wide

    def define(self, e: Expr, value: Value) -> None:
        """Say what the value of an expression is, as long as the scope of the value is open."""
        self.known[e] = value
        self.scopes[value.level].expressions.append(e)

    def number(self, key: Any, text: str, level: int, wide: bool) -> Value:
        """A value that is found again by its key."""
        value = self.numbered[key] = Value(text, level, wide)
        self.scopes[level].keys.append(key)
        return value

    def fresh(self, wide: bool = False) -> Value:
        """A name that a phi of the innermost scope will define."""
        return Value(self.code.name(), self.top, wide)

    def spread(self, value: Value, type: str) -> str:
        """The text of a value as one number a lane."""
        if value.wide:
            return value.text
        scalar = llvm_types(1)[type]
        if value.text[0] != "%":
            return f"splat ({scalar} {value.text})"
        key, level = ("spread", value.text, self.lanes), self.placed[value.level]
        found = self.numbered.get(key)
        if found is not None and found.level > level:  # of the same value, meant further in only: it is not there yet
            self.scopes[found.level].keys.remove(key)
            found = None
        if found is None:
            code = self.begin(level, True)
            t = code.types[type]
            first = code.new(f"insertelement {t} poison, {scalar} {value.text}, i64 0")
            text = code.new(f"shufflevector {t} {first}, {t} poison, <{self.lanes} x i32> zeroinitializer")
            found = self.number(key, text, level, True)
        return found.text

    # Basic blocks

    def type_text(self, type: str, wide: bool) -> str:
        return llvm_types(self.lanes if wide else 1)[type]

    def text(self, value: Value, type: str, wide: bool) -> str:
        return self.spread(value, type) if wide else value.text

    def close_branch(self, condition: Value, merged: Sequence[Merged]) -> list[str]:
        """End a branch that runs if a condition holds; (type, from the branch, from before it) by name."""
        scope = self.close()
        lines, before = self.scopes[-1].lines, self.scopes[-1].label
        end = self.code.label()
        lines.append(f"br i1 {condition.text}, label %{scope.first}, label %{end}")
        lines.append(f"{scope.first}:")
        lines += scope.lines
        lines += [f"br label %{end}", f"{end}:"]
        self.scopes[-1].label = end
        self.code.lines = lines
        return [self.code.new(f"phi {t} [{x}, %{scope.label}], [{y}, %{before}]") for t, x, y in merged]

    def close_loop(self, phis: Sequence[Phi], again: str) -> None:
        """End a loop that runs once, and once more whenever `again`; phis are (name, type, first, next)."""
        scope = self.close()
        lines, before = self.scopes[-1].lines, self.scopes[-1].label
        end = self.code.label()
        lines += [f"br label %{scope.first}", f"{scope.first}:"]
        lines += [f"{n} = phi {t} [{x}, %{before}], [{y}, %{scope.label}]" for n, t, x, y in phis]
        lines += scope.lines
        lines += [f"br i1 {again}, label %{scope.first}, label %{end}", f"{end}:"]
        self.scopes[-1].label = end

    def close_while(self, head: Scope, body: Scope, goes_on: str, phis: Sequence[Phi]) -> None:
        """End a loop of a head, which decides whether it goes on, and a body."""
        self.close()
        self.close()
        lines, before = self.scopes[-1].lines, self.scopes[-1].label
        end = self.code.label()
        lines += [f"br label %{head.first}", f"{head.first}:"]
        lines += [f"{n} = phi {t} [{x}, %{before}], [{y}, %{body.label}]" for n, t, x, y in phis]
        lines += [*head.lines, f"br i1 {goes_on}, label %{body.first}, label %{end}", f"{body.first}:"]
        lines += [*body.lines, f"br label %{head.first}", f"{end}:"]
        self.scopes[-1].label = end

    def step(self, index: Value, by: int, stop: Value) -> tuple[str, str]:
        """The next index, and whether it is below `stop`; at the end of a loop."""
        code = self.here()
        following = code.new(f"add i64 {index.text}, {by}")
        return following, code.new(f"icmp slt i64 {following}, {stop.text}")
