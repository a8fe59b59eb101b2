"""Running Programs op by op: what every backend does that has no compiler."""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.core.backend import Device, Raw
from nrx.core.program import Atom, Literal, Program, Var


def compile_op_by_op(program: Program, device: Device) -> Callable[[Sequence[Raw]], list[Raw]]:
    """A function from raw inputs to raw outputs that runs one primitive after the other.

    Values live in numbered slots; a slot is cleared after its last use, so that memory is freed as early as it can be.
    """
    slots: dict[Var, int] = {}
    backend = device.backend
    template: list[Any] = []

    def slot(var: Var) -> int:
        if var not in slots:
            slots[var] = len(template)
            template.append(None)
        return slots[var]

    def read_slot(atom: Atom) -> int:
        if not isinstance(atom, Literal):
            return slot(atom)
        template.append(backend.from_numpy(atom.value, device))
        return len(template) - 1

    for var, value in zip(program.constvars, program.consts, strict=True):
        template[slot(var)] = backend.from_numpy(value.numpy(), device)
    in_slots = [slot(var) for var in program.invars]
    reads = [[read_slot(atom) for atom in eqn.inputs] for eqn in program.eqns]
    writes = [[slot(var) for var in eqn.outs] for eqn in program.eqns]
    out_slots = [read_slot(atom) for atom in program.outs]
    dying = _last_uses([r + w for r, w in zip(reads, writes, strict=True)], keep=set(out_slots))
    plan = [(eqn.prim, eqn.params, r, w, d) for eqn, r, w, d in zip(program.eqns, reads, writes, dying, strict=True)]
    call = backend.call

    def run(inputs: Sequence[Raw]) -> list[Raw]:
        values = template.copy()
        for position, raw in zip(in_slots, inputs, strict=True):
            values[position] = raw
        for prim, params, read, write, dead in plan:
            out = call(prim, [values[i] for i in read], params, device)
            if prim.multiple_results:
                for position, raw in zip(write, out, strict=True):
                    values[position] = raw
            else:
                values[write[0]] = out
            for position in dead:
                values[position] = None
        return [values[i] for i in out_slots]

    return run


def _last_uses(touched: list[list[int]], keep: set[int]) -> list[list[int]]:
    """For each step, the slots that no later step touches."""
    seen = set(keep)
    dead = []
    for slots in reversed(touched):
        fresh = set(slots) - seen
        seen |= fresh
        dead.append(sorted(fresh))
    return dead[::-1]
