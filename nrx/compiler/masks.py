"""Conditionals and loops in which lanes go different ways: all of them go every way, each taking part in its own.

What a lane computes on a way that is not its own does no harm and goes nowhere: its loads and stores are masked, its
values are not selected.
"""

from collections.abc import Sequence
from typing import Any

from nrx.compiler.code import Code
from nrx.compiler.control import Control
from nrx.compiler.lane_analysis import Rewritten
from nrx.compiler.scopes import Value, whole
from nrx.core.loops import Expr, If, Loop, While


class MaskedControl(Control):
    """Writes If, Loop and While where their conditions are wide."""

    def __init__(self, code: Code):
        super().__init__(code)
        self.rewritten = Rewritten()
        self.statements[If] = self._if_or_masked
        self.statements[Loop] = self._loop_or_masked
        self.statements[While] = self._while_or_masked

    def _if_or_masked(self, s: If) -> None:
        (self._masked_if if s in self.varying else self.if_)(s)

    def _loop_or_masked(self, s: Loop) -> None:
        if s not in self.varying:
            self.loop(s)
            return
        loop = self.rewritten.while_(s)
        self._masked_while(loop)
        self.results[s] = self.results[loop][1:]

    def _while_or_masked(self, s: While) -> None:
        (self._masked_while if s in self.varying else self.while_)(s)

    def _masked_if(self, s: If) -> None:
        condition = self.value(s.condition)
        opposite = self.compute("not", "bool", [condition])
        then = self._masked_block(condition, s.then, s.then_values)
        otherwise = self._masked_block(opposite, s.otherwise, s.otherwise_values)
        self.results[s] = [
            self.choose(x.type, condition, Value(a, self.top, True), Value(b, self.top, True))
            for x, a, b in zip(s.then_values, then, otherwise, strict=True)
        ]

    def _masked_block(self, condition: Value, statements: Sequence[Any], results: Sequence[Expr]) -> list[str]:
        """Write statements for the lanes in which a condition holds; the results, one a lane."""
        self.open_inline()
        before = self.mask, self.is_guarded
        self.mask, self.is_guarded = self._both(condition), True
        self.block(statements)
        texts = [self.spread(self.value(x), x.type) for x in results]
        self.mask, self.is_guarded = before
        self.close_inline()
        return texts

    def _both(self, condition: Value) -> Value:
        """The mask of the lanes that take part and in which a condition holds; it belongs to the innermost scope."""
        text = self.spread(condition, "bool")
        if self.induction.number is not None:
            secret = self.compute("eq", "i64", (self.secret_zero(), whole(0)))
            text = self.here(self.lanes).binary("and", "bool", text, self.spread(secret, "bool"))
        if self.mask is not None:
            text = self.here(self.lanes).binary("and", "bool", text, self.mask.text)
        return Value(text, self.top, True)

    def _masked_while(self, s: While) -> None:
        """Iterations until no lane is left; a lane that has left keeps its values."""
        starts = [self.spread(self.value(x), x.type) for x in s.inits]
        types = [self.type_text(x.type, True) for x in s.inits]
        bools = self.type_text("bool", True)
        start = self.mask.text if self.mask is not None else "splat (i1 true)"
        before = self.mask, self.is_guarded
        head = self.open(is_branch=False)
        carried = [self.fresh(True) for _ in s.carried]
        for c, v in zip(s.carried, carried, strict=True):
            self.define(c, v)
        self.mask, self.is_guarded = self.fresh(True), True
        active = self.mask
        self.block(s.head)
        assert s.condition is not None
        self.mask = self._both(self.value(s.condition))
        some = self.any_lane()
        body = self.open(is_branch=True)
        self.mask = Value(self.mask.text, self.top, True)
        self.block(s.body)
        finals = [
            self.spread(self.choose(x.type, self.mask, self.value(x), v), x.type)
            for x, v in zip(s.finals, carried, strict=True)
        ]
        still = self.mask.text
        self.mask, self.is_guarded = before
        phis = [(active.text, bools, start, still)]
        phis += zip([v.text for v in carried], types, starts, finals, strict=True)
        self.close_while(head, body, some.text, phis)
        self.results[s] = [Value(v.text, self.top, True) for v in carried]
