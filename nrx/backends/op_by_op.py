"""Running Programs op by op: what every backend does that has no compiler."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nrx.core.backend import Device, MemoryAnalysis, Raw
from nrx.core.cost import nbytes, program_cost
from nrx.core.program import Atom, Literal, Program, Var

Slot = TypeVar("Slot")


class OpByOp:
    """An Executable that is `run`, a function of raw arrays; donated arguments are arguments like others to it."""

    __slots__ = ("_program", "_run")
    native = None

    def __init__(self, program: Program, run: Callable[[Sequence[Raw]], list[Raw]]):
        self._program = program
        self._run = run

    def __call__(self, raws: Sequence[Raw]) -> list[Raw]:
        return self._run(raws)

    def prepared(self, constants: Sequence[Raw]) -> list[Raw]:
        """Nothing: there is no native code."""
        return []

    def as_text(self) -> str:
        """The Program: that is what is run."""
        return str(self._program)

    def cost_analysis(self) -> dict[str, float]:
        """Work of one call, counted from the Program."""
        return program_cost(self._program)

    def memory_analysis(self) -> MemoryAnalysis:
        """Memory of one call; a value is freed after its last use, and temporaries within primitives are not known."""
        eqns = self._program.eqns
        touched = [[*eqn.outs, *(atom for atom in eqn.inputs if isinstance(atom, Var))] for eqn in eqns]
        held = {var for var in self._program.outs if isinstance(var, Var)}
        arguments = {*self._program.invars, *self._program.constvars}
        alive = most = 0
        for eqn, dying in zip(eqns, _last_uses(touched, keep=held), strict=True):
            alive += sum(nbytes(var.aval) for var in eqn.outs if var not in held)
            most = max(most, alive)
            alive -= sum(nbytes(var.aval) for var in dying if var not in arguments)
        return MemoryAnalysis(
            argument_bytes=sum(map(nbytes, self._program.in_avals)),
            output_bytes=sum(map(nbytes, self._program.out_avals)),
            temporary_bytes=most,
            alias_bytes=0,
            code_bytes=0,
        )


def compile_op_by_op(program: Program, device: Device) -> OpByOp:
    """A Program to be run one primitive after the other."""
    return OpByOp(program, interpret(program, device))


def interpret(program: Program, device: Device) -> Callable[[Sequence[Raw]], list[Raw]]:
    """A function from raw inputs to raw outputs that runs one primitive after the other.

    Values live in numbered slots; a slot is cleared after its last use, so that memory is freed as early as it can be.
    """
    if _is_single(program):
        (eqn,) = program.eqns
        return lambda raws: [device.backend.call(eqn.prim, raws, eqn.params, device)]
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
    eqns = []
    for eqn in program.eqns:
        if eqn.prim.name == "broadcast_in_dim" and isinstance(eqn.inputs[0], Literal):  # once for all: it is a view
            with backend.active(device):
                template[slot(eqn.outs[0])] = backend.call(
                    eqn.prim, [template[read_slot(eqn.inputs[0])]], eqn.params, device
                )
        else:
            eqns.append(eqn)
    reads = [[read_slot(atom) for atom in eqn.inputs] for eqn in eqns]
    writes = [[slot(var) for var in eqn.outs] for eqn in eqns]
    out_slots = [read_slot(atom) for atom in program.outs]
    dying = _last_uses([r + w for r, w in zip(reads, writes, strict=True)], keep=set(out_slots))
    plan = [(eqn.prim, eqn.params, r, w, d) for eqn, r, w, d in zip(eqns, reads, writes, dying, strict=True)]
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


def _is_single(program: Program) -> bool:
    """Whether it is one primitive with one result, applied to the arguments as they come."""
    if len(program.eqns) != 1 or program.constvars:
        return False
    (eqn,) = program.eqns
    return not eqn.prim.multiple_results and eqn.inputs == program.invars and eqn.outs == program.outs


def _last_uses(touched: Sequence[Sequence[Slot]], keep: set[Slot]) -> list[list[Slot]]:
    """For each step, the slots that no later step touches."""
    seen = set(keep)
    dead = []
    for slots in reversed(touched):
        fresh = set(slots) - seen
        seen |= fresh
        dead.append(list(fresh))
    return dead[::-1]
