"""Loops over few scalars: control flow whose values all fit into registers becomes one kernel.

A `scan` over a 3-vector is then one machine loop that carries three registers, with no call and no memory traffic but
its slices. `is_small` says which control flow qualifies.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.compiler.elements import Elements, Source, reduced_extents
from nrx.core import loops
from nrx.core.loops import Buffer, Builder, Complex, Expr, Operand, Pointwise, Reduction, Repeat, Scan, Switch, Value
from nrx.core.program import Atom, Eqn, Program, Var
from nrx.core.shapes import Shape, size

_LARGEST = 32
_MOST_OPERATIONS = 3000
_STEPS = 1 << 16  # between two looks at what interrupts: a power of 2

RuleOf = Callable[[Eqn], Any]
SimplifiedOf = Callable[[Program], Program]


def is_small(rule: Any, rule_of: RuleOf, simplified: SimplifiedOf) -> bool:
    """Whether a control-flow rule can be computed in registers."""
    return _operations(rule, rule_of, simplified, nested=False) <= _MOST_OPERATIONS


def _steps(rule: Any) -> float:
    """How often a rule's body runs."""
    return float("inf") if isinstance(rule, Repeat) else rule.length if isinstance(rule, Scan) else 1


def _operations(rule: Any, rule_of: RuleOf, simplified: SimplifiedOf, nested: bool) -> float:
    """Elementary operations of one step, infinite if something does not fit."""
    if isinstance(rule, Scan):
        has_slices = len(rule.body.invars) > rule.consts + rule.carry or len(rule.body.outs) > rule.carry
        if nested and has_slices:
            return float("inf")
        return _program_operations(rule.body, rule_of, simplified, carried_from=rule.consts)
    if isinstance(rule, Repeat):
        return _program_operations(rule.cond, rule_of, simplified, rule.cond_consts) + _program_operations(
            rule.body, rule_of, simplified, rule.body_consts
        )
    return sum(_program_operations(branch, rule_of, simplified, len(branch.invars)) for branch in rule.branches)


def _program_operations(program: Program, rule_of: RuleOf, simplified: SimplifiedOf, carried_from: int) -> float:
    if program.consts:
        return float("inf")
    small = simplified(program)
    total = 0.0
    for var in (*small.invars[carried_from:], *(v for v in small.outs if isinstance(v, Var))):
        if size(var.aval.shape) > _LARGEST:
            return float("inf")
    for eqn in small.eqns:
        rule = rule_of(eqn)
        count = max(size(var.aval.shape) for var in eqn.outs)
        if count > _LARGEST:
            return float("inf")
        if isinstance(rule, Reduction):
            total += count * size(reduced_extents(eqn, rule))
        elif isinstance(rule, Pointwise):
            total += count * max(rule.cost, 1)
        elif isinstance(rule, Scan | Repeat | Switch):
            total += _operations(rule, rule_of, simplified, nested=True)
        else:
            return float("inf")
    return total


def build(
    b: Builder, rule: Any, operands: Sequence[Operand], results: Sequence[Operand], status: Buffer, rule_of: RuleOf,
    simplified: SimplifiedOf,
) -> None:  # fmt: skip
    """Write the kernel of a small control-flow equation; `status` is not 0 afterwards if it was interrupted."""
    scalars = _Scalars(b, status, rule_of, simplified)
    b.kernel.cost = _steps(rule) * _operations(rule, rule_of, simplified, nested=False)
    outs = scalars.control(rule, [_from_memory(x) for x in operands], [x.aval.shape for x in operands], results)
    for result, values in zip(results, outs, strict=True):
        for position, value in enumerate(values):
            result.put(loops.const(position, "i64"), value)


def _from_memory(x: Operand) -> Source:
    return lambda index: x(*index)


class _Scalars:
    """Evaluates Programs whose values are lists of scalars, one for each element."""

    def __init__(self, b: Builder, status: Buffer, rule_of: RuleOf, simplified: SimplifiedOf):
        self.b, self.status, self.rule_of, self.simplified = b, status, rule_of, simplified

    def run(self, program: Program, sources: Sequence[Source]) -> list[list[Value]]:
        """The elements of the results of a Program."""
        small = self.simplified(program)
        elements = _ScalarElements(self, small)
        elements.sources.update(zip(small.invars, sources, strict=True))
        return [self.all_of(elements.at, atom) for atom in small.outs]

    def all_of(self, at: Callable[[Atom, tuple], Value], atom: Atom) -> list[Value]:
        shape = atom.aval.shape
        return [at(atom, index) for index in np.ndindex(*shape)]

    def control(
        self, rule: Any, operands: list[Source], shapes: list[Shape], results: Sequence[Operand] | None
    ) -> list[list[Value]]:
        """The elements of the results of control flow; a scan's slices go to `results` and are not among them."""
        if isinstance(rule, Scan):
            return self._scan(rule, operands, shapes, results)
        if isinstance(rule, Repeat):
            return self._repeat(rule, operands, shapes)
        return self._switch(rule, operands)

    def _scan(
        self, rule: Scan, operands: list[Source], shapes: list[Shape], results: Sequence[Operand] | None
    ) -> list[list[Value]]:
        first_slice = rule.consts + rule.carry
        consts, slices = operands[: rule.consts], operands[first_slice:]
        inits = _Flat(
            _elements(x, s)
            for x, s in zip(operands[rule.consts : first_slice], shapes[rule.consts : first_slice], strict=True)
        )

        def body(i: Expr, *carried: Expr) -> list[Expr]:
            step = loops.const(rule.length - 1, "i64") - i if rule.reverse else i
            carry = [_from_list(v, s) for v, s in zip(inits.nested(carried), shapes[rule.consts :], strict=False)]
            outs = self.run(rule.body, [*consts, *carry, *(_slice(x, step) for x in slices)])
            for result, values in zip((results or ())[rule.carry :], outs[rule.carry :], strict=False):
                for position, value in enumerate(values):
                    result.put(step * len(values) + position, value)
            return _Flat(outs[: rule.carry]).flat

        carry = inits.nested(self._loop(rule.length, inits.flat, body, self._has_loops(rule.body)))
        return [*carry, *([] for _ in rule.body.outs[rule.carry :])]

    def _loop(self, length: Any, inits: list[Expr], body: Callable[..., list[Expr]], has_loops: bool) -> list[Expr]:
        """A loop that can be interrupted, if it is long or has others inside."""
        zero = loops.const(0, "i64")
        if has_loops:

            def step(i: Expr, status: Expr, *carried: Expr) -> list[Expr]:
                outs = body(i, *carried)
                return [i + 1, self._status(i), *outs]

            _, _, *outs = self.b.while_(
                [zero, zero, *inits], lambda i, status, *_: (i < length) & loops.eq(status, 0), step
            )
            return outs
        if length <= _STEPS:
            return self.b.loop(length, inits, body)

        def steps(start: Expr, status: Expr, *carried: Expr) -> list[Expr]:
            count = loops.apply("min", loops.const(length, "i64") - start, _STEPS)
            outs = self.b.loop(count, carried, lambda i, *values: body(start + i, *values))
            return [start + count, self._poll(), *outs]

        _, _, *outs = self.b.while_(
            [zero, zero, *inits], lambda i, status, *_: (i < length) & loops.eq(status, 0), steps
        )
        return outs

    def _poll(self) -> Expr:
        status = self.b.poll()
        self.b.if_(loops.ne(status, 0), lambda: self.b.store(self.status, 0, status))
        return status

    def _status(self, step: Expr) -> Expr:
        """The status after a step: what loops inside have been told counts, and once in many steps Python is asked."""
        is_time = loops.eq(step & (_STEPS - 1), _STEPS - 1)
        self.b.if_(is_time, lambda: [self._poll()], lambda: [loops.const(0, "i64")])
        return self.b.load(self.status, 0)

    def _has_loops(self, program: Program) -> bool:
        """Whether there is control flow in a Program."""
        return any(isinstance(self.rule_of(eqn), Scan | Repeat | Switch) for eqn in self.simplified(program).eqns)

    def _repeat(self, rule: Repeat, operands: list[Source], shapes: list[Shape]) -> list[list[Value]]:
        first = rule.cond_consts + rule.body_consts
        cond_consts, body_consts = operands[: rule.cond_consts], operands[rule.cond_consts : first]
        inits = _Flat(_elements(x, s) for x, s in zip(operands[first:], shapes[first:], strict=True))

        def carry(values: Sequence[Expr]) -> list[Source]:
            return [_from_list(v, s) for v, s in zip(inits.nested(values), shapes[first:], strict=True)]

        def condition(step: Expr, status: Expr, *values: Expr) -> Expr:
            wanted: Any = self.run(rule.cond, [*cond_consts, *carry(values)])[0][0]
            return wanted & loops.eq(status, 0)

        def body(step: Expr, status: Expr, *values: Expr) -> list[Expr]:
            outs = _Flat(self.run(rule.body, [*body_consts, *carry(values)])).flat
            return [step + 1, self._status(step), *outs]

        zero = loops.const(0, "i64")
        _, _, *outs = self.b.while_([zero, zero, *inits.flat], condition, body)
        return inits.nested(outs)

    def _switch(self, rule: Switch, operands: list[Source]) -> list[list[Value]]:
        which, *rest = operands
        number: Any = which(())
        layout: list[_Flat] = []

        def branch(k: int) -> Sequence[Expr]:
            def taken() -> Sequence[Expr]:
                layout.append(_Flat(self.run(rule.branches[k], rest)))
                return layout[-1].flat

            if k == len(rule.branches) - 1:
                return taken()
            return self.b.if_(number <= k, taken, lambda: branch(k + 1))

        values = branch(0)
        return layout[0].nested(values)


class _ScalarElements(Elements):
    """Elements of a Program's variables; control flow inside is computed whole when it is first needed."""

    def __init__(self, scalars: _Scalars, program: Program):
        super().__init__(scalars.b, {var: eqn for eqn in program.eqns for var in eqn.outs}, scalars.rule_of)
        self._scalars = scalars

    def _compute(self, var: Var, index: tuple) -> Value:
        if var not in self.sources:
            eqn = self.made_by[var]
            rule = self.rule_of(eqn)
            if isinstance(rule, Scan | Repeat | Switch):
                shapes = [atom.aval.shape for atom in eqn.inputs]
                lists = [self._scalars.all_of(self.at, atom) for atom in eqn.inputs]
                operands = [_from_list(v, s) for v, s in zip(lists, shapes, strict=True)]
                outs = self._scalars.control(rule, operands, shapes, None)
                for out, values in zip(eqn.outs, outs, strict=True):
                    self.sources[out] = _from_list(values, out.aval.shape)
        return super()._compute(var, index)


def _elements(source: Source, shape: Shape) -> list[Value]:
    return [source(index) for index in np.ndindex(*shape)]


def _slice(source: Source, step: Any) -> Source:
    return lambda index: source((step, *index))


def _from_list(values: Sequence[Value], shape: Shape) -> Source:
    """Elements out of a list, by index; one that is not known yet chooses with a chain of selects."""

    def source(index: tuple) -> Value:
        position = loops.row_major(index, shape)
        if position.op == "const":
            return values[int(position.attr)]
        chosen = values[-1]
        for number in reversed(range(len(values) - 1)):
            chosen = loops.select(position <= number, values[number], chosen)
        return chosen

    return source


class _Flat:
    """Lists of values as one list of real Exprs, and back."""

    def __init__(self, lists: Any):
        self._lists = [list(values) for values in lists]

    @property
    def flat(self) -> list[Expr]:
        parts: list[Expr] = []
        for values in self._lists:
            for value in values:
                parts += (value.real, value.imag) if isinstance(value, Complex) else (value,)
        return parts

    def nested(self, flat: Sequence[Expr]) -> list[list[Value]]:
        """The same lists with other Exprs in them."""
        rest = iter(flat)
        return [
            [Complex(next(rest), next(rest)) if isinstance(value, Complex) else next(rest) for value in values]
            for values in self._lists
        ]
