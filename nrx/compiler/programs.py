"""Compiled Programs: made by the passes, or found again in memory or on disk without running any of them."""

import importlib
import os
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from nrx.compiler import cache, llvm
from nrx.compiler.fingerprint import fingerprint, is_lasting
from nrx.compiler.generalize import generalized
from nrx.compiler.layout import Layout
from nrx.compiler.targets import Target
from nrx.core.config import config
from nrx.core.program import Program

_KEY_BYTES = 64  # of the name of the machine code, with which an entry on disk begins

_in_memory: "WeakValueDictionary[str, CompiledProgram]" = WeakValueDictionary()


def _passes() -> Any:
    # Importing the passes takes longer than all that is left to do where none of them has to run.
    return importlib.import_module("nrx.compiler.compile")


class CompiledProgram:
    """A Program as machine code.

    Args:
        program: a Program whose constants are arguments.
        target: the processor; that of this process.
        donated: see `compile_program`.
    Fields:
        layout: what running it takes besides the code.
        code: the machine code.
    """

    def __init__(self, program: Program, target: Target, donated: Sequence[bool]):
        self._target, self._donated = target, donated
        self._program, self._symbols = generalized(program) if config.dynamic_shapes else (program, None)
        name = self._name()
        if name is None or not self._find(name):
            text, self.layout = self._compile()
            self.code = cache.load(text, target)
            if name is not None and not self.layout.host_calls and is_lasting():
                cache.disk_cache().put(name, cache.key(text, target).encode() + self.layout.pack())
        if name is not None and not self.layout.host_calls:
            _in_memory[name] = self

    def text(self) -> str:
        """The LLVM IR."""
        return self._compile()[0]

    def simplified(self) -> Program:
        """The Program as it was compiled."""
        return _passes().simplified(self._program)

    def _find(self, name: str) -> bool:
        """Take what was made before; whether there is something."""
        same = _in_memory.get(name)
        if same is not None:
            self.layout, self.code = same.layout, same.code
            return True
        stored = cache.disk_cache().get(name)
        code = cache.find(stored[:_KEY_BYTES].decode()) if stored is not None else None
        if stored is None or code is None:
            return False
        self.layout, self.code = Layout.unpack(stored[_KEY_BYTES:]), code
        return True

    def _compile(self) -> tuple[str, Layout]:
        return _passes().compile_program(self._program, self._target, self._donated, self._symbols)

    def _name(self) -> str | None:
        """The name that it is kept under; None where the passes are to run in any case."""
        if config.debug_checks or os.environ.get("NRX_DUMP"):
            return None
        return fingerprint(self._program, llvm.version(), self._target, tuple(self._donated), self._symbols)
