"""What follows from constants alone is computed once, not in each call: other layouts and types of parameters.

A function that closes over the parameters of a model has them as constants. The passes may want a kernel with its
features last, or in bfloat16; such values are split off into a Program of the constants, and come to the rest as
further arguments.
"""

from collections.abc import Iterable
from typing import Any

from nrx.compiler.generalize import OpenLiteral
from nrx.core.dims import Dim
from nrx.core.program import Eqn, Literal, Program, Var, has_effect, prune
from nrx.core.shapes import size

#: Bytes of a value that is worth an argument.
_LEAST = 1024


def split_off(program: Program, count: int) -> tuple[Program, Program] | None:
    """A simplified Program as two: of what to prepare, and of the rest.

    Args:
        program: its first `count` arguments are constants.
        count: how many.

    Returns:
        A Program of the constants whose results are what is prepared, and one of the constants, of these, and of the
        other arguments. None if there is nothing to prepare.
    """
    prepared = _Finder(program, count).prepared()
    if not prepared:
        return None
    constants, arguments = program.invars[:count], program.invars[count:]
    own = set(prepared)
    rest = [eqn for eqn in program.eqns if own.isdisjoint(eqn.outs)]
    return (
        prune(Program(constants, program.eqns, prepared, name=f"{program.name}_constants"), keep_effects=False),
        prune(Program((*constants, *prepared, *arguments), rest, program.outs, name=program.name)),
    )


class _Finder:
    """Finds the values to prepare, of those that follow from constants.

    No more memory is taken than the constants have: what is smaller in another form, such as numbers of eight bits
    that become floats, keeps it.
    """

    def __init__(self, program: Program, count: int):
        self.program = program
        self.made_by: dict[Var, Eqn] = {}
        #: The constants that a value follows from.
        self.sources: dict[Var, frozenset[Var]] = {var: frozenset([var]) for var in program.invars[:count]}
        for eqn in program.eqns:
            variables = [atom for atom in eqn.inputs if isinstance(atom, Var)]
            follows = bool(variables) and all(var in self.sources for var in variables)
            if follows and not has_effect(eqn) and not _is_open(eqn):
                sources = frozenset().union(*(self.sources[var] for var in variables))
                self.sources.update(dict.fromkeys(eqn.outs, sources))
                self.made_by.update(dict.fromkeys(eqn.outs, eqn))

    def prepared(self) -> list[Var]:
        """In the order of the Program."""
        asked = [atom for atom in self.program.outs if atom in self.made_by]
        for eqn in self.program.eqns:
            if not self.made_by.keys() >= {*eqn.outs} or not eqn.outs:
                asked += [atom for atom in eqn.inputs if atom in self.made_by]
        found, seen = set(), set()
        while asked:
            var = asked.pop()
            if var in seen or var not in self.made_by:
                continue
            seen.add(var)
            if self._is_worth_it(var):
                found.add(var)
            else:
                asked += [atom for atom in self.made_by[var].inputs if isinstance(atom, Var)]
        return [var for eqn in self.program.eqns for var in eqn.outs if var in found]

    def _is_worth_it(self, var: Var) -> bool:
        eqn = self.made_by[var]
        if eqn.prim.name == "reshape" or len(eqn.outs) != 1:
            return False
        return _LEAST <= _nbytes([var]) <= _nbytes(self.sources[var])


def _is_open(value: Any) -> bool:
    """Whether code for it would depend on symbols."""
    if isinstance(value, Eqn):
        return any(map(_is_open, (*value.inputs, *value.outs, *value.params.values())))
    if isinstance(value, Program):
        return any(map(_is_open, (*value.invars, *value.eqns)))
    if isinstance(value, Var | Literal):
        return isinstance(value, OpenLiteral) or any(map(_is_open, value.aval.shape))
    return any(map(_is_open, value)) if isinstance(value, tuple) else isinstance(value, Dim)


def _nbytes(values: Iterable[Var]) -> int:
    return sum(size(var.aval.shape) * var.aval.dtype.itemsize for var in values)
