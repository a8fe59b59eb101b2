"""Inlining: equations that call a Program, or are lowered to one, are replaced by that Program's equations."""

from collections.abc import Sequence

from nrx.core.program import Atom, Eqn, Literal, Program, Var


def inline(program: Program, lowers: bool = True) -> Program:
    """The Program without calls. Closed-over constants of called Programs become constants of the result.

    Args:
        program: a Program.
        lowers: False: equations that are lowered to a Program stay.
    """
    flat = _Flat(lowers)
    outs = flat.run(program, {})
    constvars = (*program.constvars, *flat.constvars)
    return Program(program.invars, flat.eqns, outs, constvars, (*program.consts, *flat.consts), program.name)


class _Flat:
    """Equations gathered from nested calls; every called Program gets variables of its own."""

    def __init__(self, lowers: bool) -> None:
        self.lowers = lowers
        self.eqns: list[Eqn] = []
        self.constvars: list[Var] = []
        self.consts: list = []

    def run(self, program: Program, env: dict[Var, Atom]) -> list[Atom]:
        """Append the equations of `program`, with the variables in `env` replaced; the atoms of its results."""

        def read(atom: Atom) -> Atom:
            return atom if isinstance(atom, Literal) else env.get(atom, atom)

        for eqn in program.eqns:
            inputs = [read(atom) for atom in eqn.inputs]
            called = _called(eqn, inputs, self.lowers)
            if called is None:
                outs = [Var(var.aval) for var in eqn.outs]
                env.update(zip(eqn.outs, outs, strict=True))
                self.eqns.append(Eqn(eqn.prim, inputs, outs, eqn.params, eqn.source))
                continue
            inner: dict[Var, Atom] = dict(zip(called.invars, inputs, strict=True))
            for var, value in zip(called.constvars, called.consts, strict=True):
                inner[var] = Var(var.aval)
                self.constvars.append(inner[var])  # type: ignore[arg-type]
                self.consts.append(value)
            env.update(zip(eqn.outs, self.run(called, inner), strict=True))
        return [read(atom) for atom in program.outs]


def _called(eqn: Eqn, inputs: Sequence[Atom], lowers: bool) -> Program | None:
    """The Program to run in place of an equation, if there is one."""
    named = eqn.prim.call_program or eqn.prim.value_program
    if named:
        return eqn.params[named]
    if not lowers or eqn.prim.higher_order or not eqn.prim.has("lower"):
        return None
    rule = eqn.prim.lower(*(atom.aval for atom in inputs), **eqn.params)
    return rule if isinstance(rule, Program) else None
