"""Kernels made once: steps of a program that do the same with other variables share theirs.

The layers of a network differ in the memory they work on, and so do two activations of one shape. A step is written
down with numbers in place of variables, as far as to what lies in memory; where that is the same, so is the kernel.
"""

from collections.abc import Callable, Hashable
from typing import Any

from nrx.compiler.fuse import Alias, Finished, Fused, Step
from nrx.compiler.schedule import Launch
from nrx.core.program import Atom, Eqn, Literal, Var


class Kernels:
    """The kernels of the steps that were met so far."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[list[Var], list[Launch]]] = {}

    def launches(self, step: Step, fused: Fused, make: Callable[[], list[Launch]]) -> list[Launch]:
        """What `make` gives for a step, or the same kernels as for a step like it."""
        writer = _Writer(fused, step)
        try:
            key = writer.written()
            found = self._known.get(key)
        except TypeError:  # a param that cannot be compared
            return make()
        if found is None:
            made = make()
            self._known[key] = writer.variables, made
            return made
        others, launches = found
        now = dict(zip(others, writer.variables, strict=True))
        return [_with(launch, now) for launch in launches]


def _with(launch: Launch, now: dict[Var, Var]) -> Launch:
    """A launch with other variables; those that nobody knows, such as partial results, are made anew."""

    def other(atom: Atom) -> Any:
        return now.setdefault(atom, Var(atom.aval)) if isinstance(atom, Var) else atom

    return Launch(
        launch.kernel,
        [other(atom) for atom in launch.arguments],
        {other(var) for var in launch.writes},
        {other(var) for var in launch.in_place},
        None if launch.early is None else other(launch.early),
    )


class _Writer:
    """Writes a step down.

    Fields:
        variables: in the order of their numbers.
    """

    def __init__(self, fused: Fused, step: Step):
        self.fused, self.step = fused, step
        self.variables: list[Var] = []
        self._numbers: dict[Var, int] = {}
        self._lines: list[Hashable] = []

    def written(self) -> Hashable:
        """Equal for steps with the same kernels."""
        step = self.step
        if isinstance(step, Eqn):
            self._equation(step, in_full=False)
            return "eqn", tuple(self._lines)
        assert not isinstance(step, Alias)
        group, taken = (step.group, step.eqn) if isinstance(step, Finished) else (step, None)
        own = {var for eqn in group.eqns for var in eqn.outs}
        if taken is not None:
            self._equation(taken, in_full=False)
            own.update(taken.outs)
        for eqn in group.eqns:
            self._equation(eqn, in_full=True, own=own)
        points = [(self._numbers[var], var in group.full, var in group.rows, var in group.late) for var in group.outs]
        kinds = [tuple((var in group.full, var in group.rows) for var in eqn.outs) for eqn in group.eqns]
        return type(step).__name__, group.space, tuple(self._lines), tuple(points), tuple(kinds)

    def _equation(self, eqn: Eqn, in_full: bool, own: Any = ()) -> None:
        """Write an equation, after what it reads that is not in memory."""
        inputs = tuple([self._atom(atom, in_full, own) for atom in eqn.inputs])
        outs = tuple([self._number(var) for var in eqn.outs])
        self._lines.append((eqn.prim, inputs, outs, tuple(var.aval for var in eqn.outs), tuple(eqn.params.items())))

    def _atom(self, atom: Atom, in_full: bool, own: Any) -> Hashable:
        if isinstance(atom, Literal):
            return atom.aval, atom.value.tobytes()
        if atom in self._numbers:
            return self._numbers[atom]
        if in_full and atom not in own and not self.fused.in_memory(atom, own):
            self._equation(self.fused.made_by[atom], in_full, own)
            return self._numbers[atom]
        number, owner = self._number(atom), self.fused.owner(atom)
        self._lines.append((number, atom.aval, self._number(owner)))
        return number

    def _number(self, var: Var) -> int:
        if var not in self._numbers:
            self._numbers[var] = len(self.variables)
            self.variables.append(var)
        return self._numbers[var]
