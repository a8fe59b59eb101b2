"""The type checker of Programs."""

from nrx.core.aval import Aval
from nrx.core.dtypes import storage
from nrx.core.errors import NrxError, ProgramError
from nrx.core.program import Atom, Eqn, Literal, Program, Var, subprograms


def check_program(program: Program) -> None:
    """Raise ProgramError unless every variable is defined once, before use, with the type its equation infers."""
    defined: set[Var] = set()
    if len(program.constvars) != len(program.consts):
        raise ProgramError(f"{len(program.constvars)} constant variables, {len(program.consts)} constants")
    for var, value in zip(program.constvars, program.consts, strict=True):
        _same(var.aval, value.aval, "a constant")
    for var in (*program.constvars, *program.invars):
        _define(var, defined, "the arguments")
    for number, eqn in enumerate(program.eqns):
        where = f"equation {number} ({eqn.prim.name})"
        for atom in eqn.inputs:
            _use(atom, defined, where)
        for inner in subprograms(eqn.params):
            check_program(inner)
        _check_types(eqn, where)
        for var in eqn.outs:
            _define(var, defined, where)
    for atom in program.outs:
        _use(atom, defined, "the results")


def check_operands(where: str, program: Program, given: tuple[Aval, ...]) -> None:
    """Raise ProgramError unless `program` can be called with arguments of these types."""
    if len(given) != len(program.invars):
        raise ProgramError(f"{where}: {len(given)} operands for {len(program.invars)} arguments of {program.name}")
    for aval, var in zip(given, program.invars, strict=True):
        _same(var.aval, aval, where)


def _check_types(eqn: Eqn, where: str) -> None:
    given = tuple(atom.aval for atom in eqn.inputs)
    if eqn.prim.call_program is not None:
        check_operands(where, eqn.params[eqn.prim.call_program], given)
    try:
        inferred = eqn.prim.infer(given, eqn.params)
    except NrxError as error:
        raise ProgramError(f"{where}: {error.message}", source=eqn.source) from error
    expected = inferred if eqn.prim.multiple_results else (inferred,)
    if len(expected) != len(eqn.outs):
        raise ProgramError(f"{where}: {len(eqn.outs)} results written, {len(expected)} inferred")
    for var, aval in zip(eqn.outs, expected, strict=True):
        _same(var.aval, aval, where)


def _same(written: Aval, inferred: Aval, where: str) -> None:
    # As they are held: backends, which see raw arrays only, do not tell keys from uint64.
    if (written.shape, storage(written.dtype)) != (inferred.shape, storage(inferred.dtype)):
        raise ProgramError(f"{where}: the variable is {written}, the value {inferred}")


def _define(var: Var, defined: set[Var], where: str) -> None:
    if var in defined:
        raise ProgramError(f"{where}: variable {var!r} is defined twice")
    defined.add(var)


def _use(atom: Atom, defined: set[Var], where: str) -> None:
    if not isinstance(atom, Literal) and atom not in defined:
        raise ProgramError(f"{where}: variable {atom!r} is used before it is defined")
