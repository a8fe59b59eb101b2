"""The IR: a Program is a typed, straight-line list of equations over primitives.

    { lambda ; a:f32[3] . let b:f32[3] = sin a ; c:f32[] = reduce_sum[axes=(0,)] b in (c,) }

Variables are written once. `constvars` are the values a traced function closed over: arrays, or tracers of enclosing
transformations. Higher-order primitives carry Programs in their params.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nrx.core.aval import Aval
from nrx.core.config import config
from nrx.core.errors import Source, blame
from nrx.core.once import making
from nrx.core.primitive import Primitive


class Var:
    """A variable of a Program; compared by identity."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval):
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var({self.aval})"


class Literal:
    """A scalar constant written into an equation; `array` is a 0-d concrete Array."""

    __slots__ = ("array", "aval")

    def __init__(self, array: Any):
        self.array = array
        self.aval: Aval = array.aval

    @property
    def value(self) -> np.ndarray:
        return self.array.numpy()

    def __repr__(self) -> str:
        return f"{self.array.item()}:{self.aval}"


Atom = Var | Literal


class Eqn:
    """One equation: `outs = prim[params] inputs`, with the user's line that caused it."""

    __slots__ = ("inputs", "outs", "params", "prim", "source")

    def __init__(
        self,
        prim: Primitive,
        inputs: Sequence[Atom],
        outs: Sequence[Var],
        params: dict[str, Any],
        source: Source | None = None,
    ):
        self.prim = prim
        self.inputs = tuple(inputs)
        self.outs = tuple(outs)
        self.params = params
        self.source = source

    # JAX's names, for those who walk through a Program.
    primitive = property(lambda self: self.prim)
    invars = property(lambda self: self.inputs)
    outvars = property(lambda self: self.outs)

    def __repr__(self) -> str:
        return f"{', '.join(map(repr, self.outs))} = {self.prim.name} {', '.join(map(repr, self.inputs))}"


class Program:
    """A traced function.

    Args:
        invars: the variables of the arguments.
        eqns: the equations, in an order in which they can run.
        outs: the results: variables or literals.
        constvars, consts: closed-over variables and their values.
        name: the traced function's name.
    """

    __slots__ = ("__weakref__", "_has_effects", "consts", "constvars", "derived", "eqns", "invars", "name", "outs")

    def __init__(
        self,
        invars: Sequence[Var],
        eqns: Sequence[Eqn],
        outs: Sequence[Atom],
        constvars: Sequence[Var] = (),
        consts: Sequence[Any] = (),
        name: str = "program",
    ):
        self.invars = tuple(invars)
        self.eqns = tuple(eqns)
        self.outs = tuple(outs)
        self.constvars = tuple(constvars)
        self.consts = tuple(consts)
        self.name = name
        self._has_effects: bool | None = None
        #: What was derived from this Program (its jvp, its executable, …), remembered as long as it lives.
        self.derived: dict[Any, Any] = {}

    # JAX's names, for those who walk through a Program.
    jaxpr = property(lambda self: self)
    outvars = property(lambda self: self.outs)

    @property
    def in_avals(self) -> tuple[Aval, ...]:
        return tuple(var.aval for var in self.invars)

    @property
    def out_avals(self) -> tuple[Aval, ...]:
        return tuple(atom.aval for atom in self.outs)

    @property
    def has_effects(self) -> bool:
        """Whether running it does something besides giving results."""
        if self._has_effects is None:
            self._has_effects = any(map(has_effect, self.eqns))
        return self._has_effects

    def remember(self, key: Any, make: Callable[..., Any], *args: Any) -> Any:
        """What was derived under `key` and the present settings: `make(*args)`, called on first use, in one thread."""
        key = (key, config.tracing_key())
        if key not in self.derived:
            with making((id(self), key)):
                if key not in self.derived:
                    self.derived[key] = make(*args)
        return self.derived[key]

    def __reduce__(self):
        # What was derived stays behind: executables do not pickle, and all of it can be made again.
        return Program, (self.invars, self.eqns, self.outs, self.constvars, self.consts, self.name)

    def closed(self) -> "tuple[Program, tuple]":
        """The Program with its constants as leading arguments, and those constants."""
        if not self.constvars:
            return self, ()
        invars = (*self.constvars, *self.invars)
        return self.remember("closed", lambda: Program(invars, self.eqns, self.outs, name=self.name)), self.consts

    def __call__(self, *args: Any) -> list[Any]:
        """Run, or retrace, the Program on flat arguments under the current trace."""
        return evaluate(self, args)


def evaluate(program: Program, args: Iterable[Any]) -> list[Any]:
    """Bind every equation under the current trace; errors name the line that recorded the equation."""
    env: dict[Var, Any] = dict(zip(program.constvars, program.consts, strict=True))
    env.update(zip(program.invars, args, strict=True))

    def read(atom: Atom) -> Any:
        return atom.array if isinstance(atom, Literal) else env[atom]

    for eqn in program.eqns:
        with blame(eqn.source):
            out = eqn.prim.bind(*map(read, eqn.inputs), **eqn.params)
        env.update(zip(eqn.outs, out if eqn.prim.multiple_results else (out,), strict=True))
    return [read(atom) for atom in program.outs]


def prune(program: Program, used: Sequence[bool] | None = None, *, keep_effects: bool = True) -> Program:
    """Drop the equations and constants that no (used) result depends on; the arguments stay as they are.

    Equations with effects stay, unless `keep_effects` is False: they run for somebody else.
    """
    outs = [out for out, keep in zip(program.outs, used or [True] * len(program.outs), strict=True) if keep]
    needed = {atom for atom in outs if isinstance(atom, Var)}
    eqns = []
    for eqn in reversed(program.eqns):
        if not needed.isdisjoint(eqn.outs) or (keep_effects and has_effect(eqn)):
            eqns.append(eqn)
            needed.update(atom for atom in eqn.inputs if isinstance(atom, Var))
    kept = [(var, value) for var, value in zip(program.constvars, program.consts, strict=True) if var in needed]
    constvars, consts = zip(*kept, strict=True) if kept else ((), ())
    return Program(program.invars, eqns[::-1], outs, constvars, consts, program.name)


def has_effect(eqn: Eqn) -> bool:
    """Whether an equation, or one inside it, does something besides giving results."""
    prim = eqn.prim
    return prim.effect or (prim.higher_order and any(inner.has_effects for inner in subprograms(eqn.params)))


def without_effects(program: Program) -> Program:
    """The Program without what gives no results, inside loops and branches too: for a second run of what has run."""
    if not program.has_effects:
        return program
    return program.remember("without effects", _without_effects, program)


def _without_effects(program: Program) -> Program:
    def quiet(value: Any) -> Any:
        if isinstance(value, Program):
            return without_effects(value)
        is_plain = type(value) is tuple and any(isinstance(item, Program) for item in value)
        return tuple(map(quiet, value)) if is_plain else value

    eqns = [
        Eqn(eqn.prim, eqn.inputs, eqn.outs, {name: quiet(value) for name, value in eqn.params.items()}, eqn.source)
        for eqn in program.eqns
        if eqn.outs
    ]
    return Program(program.invars, eqns, program.outs, program.constvars, program.consts, program.name)


def subprograms(params: dict[str, Any]) -> list[Program]:
    """The Programs among an equation's params, those in tuples included."""
    found = []
    for value in params.values():
        found += [item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, Program)]
    return found
