"""Loops over few scalars: control flow whose values all fit into registers becomes one kernel.

A `scan` over a 3-vector is then one machine loop that carries three registers, with no call and no memory traffic but
its slices. `is_small` says which control flow qualifies.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.compiler.elements import Elements, Source, reduced_extents
from nrx.core import loops
from nrx.core.loops import Builder, Complex, Expr, Operand, Pointwise, Reduction, Repeat, Scan, Switch, Value
from nrx.core.program import Atom, Eqn, Program, Var
from nrx.core.shapes import Shape, size

_LARGEST = 32
_MOST_OPERATIONS = 3000

RuleOf = Callable[[Eqn], Any]
SimplifiedOf = Callable[[Program], Program]


def is_small(rule: Any, rule_of: RuleOf, simplified: SimplifiedOf) -> bool:
    """Whether a control-flow rule can be computed in registers."""
    return _operations(rule, rule_of, simplified, nested=False) <= _MOST_OPERATIONS


def _steps(rule: Any, rule_of: RuleOf, simplified: SimplifiedOf) -> float:
    """How often a rule's body runs, loops inside included."""
    if isinstance(rule, Repeat):
        return float("inf")
    bodies = [rule.body] if isinstance(rule, Scan) else rule.branches
    inner = [rule_of(eqn) for body in bodies for eqn in simplified(body).eqns]
    steps = [_steps(r, rule_of, simplified) for r in inner if isinstance(r, Scan | Repeat | Switch)]
    return (rule.length or 1 if isinstance(rule, Scan) else 1) * max(steps, default=1)


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
    small = simplified(program)
    if small.consts:
        return float("inf")
    total = 0.0
    for var in (*small.invars[carried_from:], *(v for v in small.outs if isinstance(v, Var))):
        if size(var.aval.shape) > _LARGEST:
            return float("inf")
    for eqn in small.eqns:
        rule = rule_of(eqn)
        count = max((size(var.aval.shape) for var in eqn.outs), default=0)
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
    b: Builder, rule: Any, operands: Sequence[Operand], results: Sequence[Operand], rule_of: RuleOf,
    simplified: SimplifiedOf,
) -> None:  # fmt: skip
    """Write the kernel of a small control-flow equation."""
    scalars = _Scalars(b, rule_of, simplified)
    b.kernel.cost = _steps(rule, rule_of, simplified) * _operations(rule, rule_of, simplified, nested=False)
    outs = scalars.control(rule, [_from_memory(x) for x in operands], [x.aval.shape for x in operands], results)
    for result, values in zip(results, outs, strict=True):
        for position, value in enumerate(values):
            result.put(loops.const(position, "i64"), value)


def _from_memory(x: Operand) -> Source:
    return lambda index: x(*index)


class _Scalars:
    """Evaluates Programs whose values are lists of scalars, one for each element."""

    def __init__(self, b: Builder, rule_of: RuleOf, simplified: SimplifiedOf):
        self.b, self.rule_of, self.simplified = b, rule_of, simplified
        # What a loop computed first could not be used after it, and registers have no index that is not known.
        b.most_unrolled = math.inf

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

        carry = inits.nested(self.b.loop(rule.length, inits.flat, body))
        return [*carry, *([] for _ in rule.body.outs[rule.carry :])]

    def _repeat(self, rule: Repeat, operands: list[Source], shapes: list[Shape]) -> list[list[Value]]:
        first = rule.cond_consts + rule.body_consts
        cond_consts, body_consts = operands[: rule.cond_consts], operands[rule.cond_consts : first]
        inits = _Flat(_elements(x, s) for x, s in zip(operands[first:], shapes[first:], strict=True))

        def carry(values: Sequence[Expr]) -> list[Source]:
            return [_from_list(v, s) for v, s in zip(inits.nested(values), shapes[first:], strict=True)]

        def condition(*values: Expr) -> Value:
            return self.run(rule.cond, [*cond_consts, *carry(values)])[0][0]

        def body(*values: Expr) -> list[Expr]:
            return _Flat(self.run(rule.body, [*body_consts, *carry(values)])).flat

        return inits.nested(self.b.while_(inits.flat, condition, body))

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
