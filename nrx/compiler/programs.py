"""Compiled Programs: made by the passes, or found again in memory or on disk without running any of them."""

import importlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from nrx.compiler import cache, llvm
from nrx.compiler.fingerprint import fingerprint, is_lasting
from nrx.compiler.generalize import generalized
from nrx.compiler.layout import Layout
from nrx.compiler.loader import Loaded
from nrx.compiler.targets import Target
from nrx.core.config import config
from nrx.core.program import Program

_KEY_BYTES = 64  # of the name of the machine code, with which an entry on disk begins
_PREPARATION = "-constants"  # added to a name

_in_memory: "WeakValueDictionary[str, CompiledProgram]" = WeakValueDictionary()


def _passes() -> Any:
    # Importing the passes takes longer than all that is left to do where none of them has to run.
    return importlib.import_module("nrx.compiler.compile")


class Made(NamedTuple):
    """What a Program was compiled to.

    Fields:
        layout: what running it takes besides the code.
        code: the machine code.
    """

    layout: Layout
    code: Loaded


class CompiledProgram:
    """A Program as machine code.

    Args:
        program: a Program whose constants are arguments.
        target: the processor; that of this process.
        donated, constants: see `compile_program`.
    Fields:
        layout, code: of the Program.
        preparation: what gives `layout.prepared`, of the constants; None if nothing is.
    """

    layout: Layout
    code: Loaded
    preparation: Made | None

    def __init__(self, program: Program, target: Target, donated: Sequence[bool] = (), constants: int = 0):
        self._target, self._donated, self._constants = target, donated, constants
        self._program, self._symbols = generalized(program) if config.dynamic_shapes else (program, None)
        name = self._name()
        if name is None or not self._find(name):
            self._make(name)
        if name is not None and not self.layout.host_calls:
            _in_memory[name] = self

    def text(self) -> str:
        """The LLVM IR."""
        return self._compile().text

    def simplified(self) -> Program:
        """The Program as it was compiled."""
        return _passes().simplified(self._program)

    def _find(self, name: str) -> bool:
        """Take what was made before; whether there is something."""
        same = _in_memory.get(name)
        if same is not None:
            self.layout, self.code, self.preparation = same.layout, same.code, same.preparation
            return True
        main = _stored(name)
        preparation = _stored(name + _PREPARATION) if main is not None and main.layout.prepared else None
        if main is None or (main.layout.prepared and preparation is None):
            return False
        self.layout, self.code = main
        self.preparation = preparation
        return True

    def _make(self, name: str | None) -> None:
        """Run the passes, and keep what comes of it under a name."""
        text, self.layout, program = self._compile()
        self.preparation = None
        if program is not None:
            first = _passes().compile_program(program, self._target)
            name = None if first.layout.host_calls else name
            self.preparation = self._kept(name and name + _PREPARATION, first.text, first.layout)
        self.code = self._kept(name, text, self.layout).code

    def _kept(self, name: str | None, text: str, layout: Layout) -> Made:
        code = cache.load(text, self._target)
        if name is not None and not layout.host_calls and is_lasting():
            cache.disk_cache().put(name, cache.key(text, self._target).encode() + layout.pack())
        return Made(layout, code)

    def _compile(self) -> Any:
        return _passes().compile_program(self._program, self._target, self._donated, self._symbols, self._constants)

    def _name(self) -> str | None:
        """The name that it is kept under; None where the passes are to run in any case."""
        if config.debug_checks or os.environ.get("NRX_DUMP"):
            return None
        more = self._target, tuple(self._donated), self._symbols, self._constants
        return fingerprint(self._program, llvm.version(), *more)


def _stored(name: str) -> Made | None:
    """What is on disk under a name."""
    stored = cache.disk_cache().get(name)
    code = cache.find(stored[:_KEY_BYTES].decode()) if stored is not None else None
    return None if stored is None or code is None else Made(Layout.unpack(stored[_KEY_BYTES:]), code)
