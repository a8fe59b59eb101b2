"""Printing Programs: types, params, source lines, and colours in a terminal."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.program import Atom, Eqn, Literal, Program, Var, subprograms

_COLOURS = {"keyword": "\033[1;34m", "type": "\033[35m", "prim": "\033[1m", "source": "\033[2m", "off": "\033[0m"}


def show(program: Program, *, color: bool | None = None, source: bool = False) -> str:
    """The Program as text.

    Args:
        program: what to print.
        color: with terminal colours; by default if standard output is a terminal.
        source: end every equation with the user's line that caused it.
    """
    return "\n".join(_Printer(sys.stdout.isatty() if color is None else color, source).program(program))


def namer(program: Program) -> tuple[Callable[[Var], str], Callable[[Eqn], str]]:
    """Functions that write a variable and an equation of a Program with the names that `show` gives them."""
    printer = _Printer(color=False, source=False)
    list(printer.program(program))
    return printer.name, lambda eqn: "\n".join(printer.equation(eqn))


class _Printer:
    def __init__(self, color: bool, source: bool):
        self.color = color
        self.source = source
        self.names: dict[Var, str] = {}

    def paint(self, kind: str, text: str) -> str:
        return f"{_COLOURS[kind]}{text}{_COLOURS['off']}" if self.color else text

    def name(self, var: Var) -> str:
        if var not in self.names:
            self.names[var] = _letters(len(self.names))
        return self.names[var]

    def typed(self, var: Var) -> str:
        return f"{self.name(var)}:{self.paint('type', str(var.aval))}"

    def atom(self, atom: Atom) -> str:
        if isinstance(atom, Literal):
            return f"{atom.array.item()}:{self.paint('type', str(atom.aval))}"
        return self.name(atom)

    def program(self, program: Program) -> Iterator[str]:
        heads = [" ".join(map(self.typed, group)) for group in (program.constvars, program.invars)]
        yield f"{{ {self.paint('keyword', 'lambda')} {heads[0]} ; {heads[1]} . {self.paint('keyword', 'let')}"
        for eqn in program.eqns:
            for line in self.equation(eqn):
                yield "    " + line
        outs = ", ".join(map(self.atom, program.outs)) + ("," if len(program.outs) == 1 else "")
        yield f"  {self.paint('keyword', 'in')} ({outs}) }}"

    def equation(self, eqn: Eqn) -> Iterator[str]:
        outs = " ".join(map(self.typed, eqn.outs))
        inner = subprograms(eqn.params)
        plain = {k: v for k, v in sorted(eqn.params.items()) if not (inner and subprograms({k: v}))}
        params = " ".join(f"{key}={_param(value)}" for key, value in plain.items())
        head = f"{outs} = {self.paint('prim', eqn.prim.name)}" + (f"[{params}]" if params else "")
        line = " ".join([head, *map(self.atom, eqn.inputs)])
        if self.source and eqn.source is not None:
            line += "  " + self.paint("source", f"# {eqn.source.short}")
        yield line
        for program in inner:
            for text in self.program(program):
                yield "  " + text


def _param(value: Any) -> str:
    if isinstance(value, np.dtype | dtypes.KeyDtype):
        return dtypes.short_name(value)  # type: ignore[arg-type]
    return getattr(value, "__name__", None) or str(value)


def _letters(number: int) -> str:
    """a, b, …, z, ba, bb, …"""
    letters = ""
    while True:
        number, digit = divmod(number, 26)
        letters = chr(ord("a") + digit) + letters
        if not number:
            return letters


def _to_text(program: Program) -> str:
    return show(program, color=False)


# Installed from here because the IR itself knows nothing of printing.
Program.__str__ = _to_text  # type: ignore[method-assign, assignment]
Program.__repr__ = _to_text  # type: ignore[method-assign, assignment]
