"""Names for Programs: two of the same name compile to the same code, in this process or another.

A name covers all that the compiler reads: the equations with their parameters, shapes and dtypes, constants, and the
sources of this package. A Program in which something has no name of its own (a Python function, a primitive whose
rules are not those of this package) has none, and is compiled anew each time.
"""

import functools
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import ml_dtypes
import numpy as np

from nrx.compiler.generalize import OpenLiteral
from nrx.core import sources
from nrx.core.aval import Aval
from nrx.core.dims import Dim
from nrx.core.dtypes import KeyDtype
from nrx.core.errors import CompilerError
from nrx.core.program import Atom, Eqn, Literal, Program, Var

_MOST_BYTES = 1 << 16  # of constants
_PLAIN = (int, bool, float, complex, str, bytes, type(None), slice)


class _NamelessError(CompilerError):
    """Something in a Program has no name."""


def fingerprint(program: Program, *more: Any) -> str | None:
    """The name of a Program, and of whatever else determines its code; None if it has none.

    Args:
        program: the Program; its own name and the users' lines do not count.
        more: plain values.
    """
    version = _version()
    if version is None:
        return None
    writer = _Writer()
    try:
        writer.program(program)
    except _NamelessError:
        return None
    writer.write(repr((more, version, np.__version__, ml_dtypes.__version__)))  # they fold constants
    return hashlib.sha256("\0".join(writer.parts).encode()).hexdigest()


def is_lasting() -> bool:
    """Whether names are still right: the sources are those that this process runs."""
    return _version() == sources.version() is not None


class _Writer:
    """Writes all of a Program down, so that different ones come out different."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.write = self.parts.append
        self._vars: dict[Var, int] = {}
        self._numbers = itertools.count()
        self._programs: dict[int, int] = {}

    def program(self, program: Program) -> None:
        if id(program) in self._programs:
            self.write(f"again {self._programs[id(program)]}")
            return
        self._programs[id(program)] = len(self._programs)
        self.write(f"program {len(program.constvars)} {len(program.invars)} {len(program.eqns)} {len(program.outs)}")
        self._define((*program.constvars, *program.invars))
        for value in program.consts:
            self._array(value)
        for eqn in program.eqns:
            self._eqn(eqn)
        for atom in program.outs:
            self._atom(atom)

    def _eqn(self, eqn: Eqn) -> None:
        called = eqn.prim.call_program or eqn.prim.value_program
        if called:  # what it is called by makes no difference
            self.write(f"call {len(eqn.inputs)} {len(eqn.outs)}")
            self.program(eqn.params[called])
        else:
            if not eqn.prim.is_built_in:
                raise _NamelessError(eqn.prim.name)
            self.write(f"{eqn.prim.name} {len(eqn.inputs)} {len(eqn.outs)} {len(eqn.params)}")
            for name, value in eqn.params.items():
                self.write(name)
                self._value(value)
        for atom in eqn.inputs:
            self._atom(atom)
        self._define(eqn.outs)

    def _define(self, variables: Sequence[Var]) -> None:
        for var in variables:
            self._vars[var] = next(self._numbers)  # Programs may share variables
            self._aval(var.aval)

    def _aval(self, aval: Aval) -> None:
        self.write(f"{aval.dtype.name}{'*' * aval.weak_type} {len(aval.shape)}")
        for extent in aval.shape:
            self._value(extent)

    def _atom(self, atom: Atom) -> None:
        if isinstance(atom, Var):
            self.write(f"%{self._vars[atom]}")
            return
        self._array(atom.array)
        if isinstance(atom, OpenLiteral):
            self._value(atom.dim)

    def _array(self, array: Any) -> None:
        if array.nbytes > _MOST_BYTES:
            raise _NamelessError("a large constant")
        self._aval(array.aval)
        self.write(array.numpy().tobytes().hex())

    def _value(self, value: Any) -> None:
        """A parameter."""
        kind = type(value)
        if kind in _PLAIN:
            self.write(f"{kind.__name__} {value!r}")
        elif kind is Dim:
            self.write(f"dim {int(value)} {sorted(value.terms.items())}")
        elif isinstance(value, tuple | list) or is_dataclass(value):
            items = value if isinstance(value, tuple | list) else [getattr(value, f.name) for f in fields(value)]
            self.write(f"{kind.__module__}.{kind.__qualname__} {len(items)}")
            for item in items:
                self._value(item)
        elif isinstance(value, np.dtype | KeyDtype):
            self.write(f"dtype {value.name}")
        elif isinstance(value, Enum):
            self.write(f"{kind.__module__}.{kind.__qualname__}.{value.name}")
        elif isinstance(value, Program):
            self.program(value)
        elif isinstance(value, Literal):
            self._atom(value)
        elif isinstance(value, Aval):
            self._aval(value)
        else:
            raise _NamelessError(kind.__name__)


@functools.cache
def _version() -> str | None:
    return sources.version()
