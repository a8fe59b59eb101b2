"""Kernels whose results a group takes as they come: activations, updates and conversions of products, without a sweep.

A Native rule with a `width` gives each element of its result to `TakenResult.finish`, which computes those of the group
at the same place. Sums that have to wait do so in the memory of one of the group's results.
"""

from typing import Any

from nrx.compiler.fuse import Finished, Fused, columns_of
from nrx.compiler.schedule import KernelElements, Launch, Plan, Sweeper
from nrx.core import loops
from nrx.core.loops import Builder, Expr, Native, Operand, Registers
from nrx.core.program import Var


def finished(step: Finished, fused: Fused, registers: Registers) -> Launch:
    """The kernel of an equation and the group that takes its result."""
    eqn, group = step.eqn, step.group
    plan = Plan(group, fused, eqn.outs)
    read_whole = {fused.owner(atom) for atom in eqn.inputs if isinstance(atom, Var)}
    in_place = {var for var in plan.in_place if fused.owner(var) not in read_whole}
    b = Builder(f"{eqn.prim.name}_{plan.name}", registers)
    elements = KernelElements(b, fused, plan.own, in_place if len(group.outs) > 1 else ())
    sweeper = Sweeper(plan, b, elements)
    rule = fused.rule_of(eqn)
    assert isinstance(rule, Native)
    result = TakenResult(plan, sweeper, eqn.outs[0], rule.width)
    rule.build(b, [elements.argument(atom, readonly=True) for atom in eqn.inputs], [result], **eqn.params)
    return Launch(b.kernel, elements.arguments, set(group.outs), in_place, result.early)


class TakenResult:
    """What a Native rule has in place of the memory of its result; see `loops.Operand`.

    Fields:
        early: the variable in whose memory sums wait.
    """

    def __init__(self, plan: Plan, sweeper: Sweeper, var: Var, width: Any):
        self.plan, self.sweeper, self.var, self.width = plan, sweeper, var, width
        self.aval, self.type = var.aval, loops.type_of(var.aval.dtype)
        self.early: Var | None = None
        self.first_column = columns_of(var.aval.shape, width)

    def can_wait(self, type: str) -> bool:
        return any(loops.type_of(var.aval.dtype) == type for var in self.plan.group.outs)

    def waiting(self, type: str) -> Operand:
        """The memory of a result of that type, the rule's own if it is stored."""
        outs = [var for var in self.plan.group.outs if loops.type_of(var.aval.dtype) == type]
        self.early = self.var if self.var in outs else outs[0]
        return self.sweeper.elements.argument(self.early)

    def finish(self, start: Any, column: Any, value: Expr) -> None:
        """Compute what the group makes of an element."""
        shape = self.aval.shape
        outer = loops.unravel(loops.floordiv(start, self.width), shape[: self.first_column])
        index = (*outer, *loops.unravel(column, shape[self.first_column :]))
        known = loops.convert(value, self.type)
        self.sweeper.elements.sources[self.var] = lambda index: known
        points = iter([at for at, extent in zip(index, shape, strict=True) if extent != 1])
        kept = {axis: next(points) for axis, extent in enumerate(self.plan.space.shape) if extent != 1}
        self.sweeper.point(0, kept, {})
