"""Compiling a Program: all passes in a row."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nrx.compiler import llvm
from nrx.compiler.check_loops import check_kernel
from nrx.compiler.constants import split_off
from nrx.compiler.driver import DECLARATIONS, emit_entry
from nrx.compiler.dump import Dump
from nrx.compiler.emit import emit_kernel
from nrx.compiler.layout import Layout, Output
from nrx.compiler.plan import Action, Block, Control, Run, Shared, nbytes
from nrx.compiler.targets import Target
from nrx.core.backend import Constant, Donated, Passed, place_outputs
from nrx.core.config import config
from nrx.core.dims import Symbols
from nrx.core.dtypes import short_name
from nrx.core.loops import Kernel, Registers, Repeat
from nrx.core.program import Literal, Program, Var


def _registers(target: Target) -> Registers:
    """Of a processor; without instructions that multiply and add, one is for what has been multiplied."""
    return Registers(target.vector_bits, target.registers - (not target.has_fma), target.has_bf16_pairs)


class Compilation(NamedTuple):
    """A Program compiled.

    Fields:
        text: LLVM IR, all kernels and the entry.
        layout: what running it takes besides.
        preparation: the Program that gives `layout.prepared`, if there are such.
    """

    text: str
    layout: Layout
    preparation: Program | None


def compile_program(
    program: Program,
    target: Target,
    donated: Sequence[bool] = (),
    symbols: Symbols | None = None,
    constants: int = 0,
) -> Compilation:
    """LLVM IR for a Program, and what running it takes besides.

    Args:
        program: a Program whose constants are arguments, as `generalized` gives it.
        target: the processor.
        donated: for each argument, whether a result may take over its memory; () for none.
        symbols: those of the Program's Dims.
        constants: how many of the arguments, the first ones, are the same in every call.
    """
    dump = Dump(program.name)
    shared = Shared(dump, symbols, _registers(target))
    simple, preparation = shared.simplified(program), None
    if (split := split_off(simple, constants)) is not None:
        preparation, simple = split
        unchanged = [False] * (len(preparation.outs) * bool(donated))
        donated = [*donated[:constants], *unchanged, *donated[constants:]]
    outputs: list[Output | None] = [_without_computing(simple, out, donated) for out in simple.outs]
    computed = [out for out, known in zip(simple.outs, outputs, strict=True) if known is None]
    core = Program(simple.invars, simple.eqns, computed, simple.constvars, simple.consts, simple.name)
    shared.adopt(core)
    block = shared.block(core, _pairs(core, donated))
    sizes = [0 if k in block.overwrites else int(nbytes(out)) for k, out in enumerate(computed)]
    out_blocks, places = place_outputs(sizes)
    kernels = _Kernels(target, dump)
    entry = emit_entry(block, shared.out_places(places, len(core.invars)), shared.own_words(), kernels.name_of)
    text = kernels.module(entry)
    dump.write("llvm", lambda: text)
    stored = iter(enumerate(places))
    for k, known in enumerate(outputs):
        if known is None:
            number, place = next(stored)
            outputs[k] = Donated(block.overwrites[number]) if number in block.overwrites else place
    layout = Layout(
        prepared=() if preparation is None else tuple([(short_name(a.dtype), a.shape) for a in preparation.out_avals]),
        out_blocks=out_blocks,
        outputs=tuple(output for output in outputs if output is not None),
        arena_bytes=block.temporary_bytes,
        constants=tuple(shared.constants),
        host_calls=tuple(shared.host_calls),
        symbols=shared.symbol_words(),
        cost=_cost(block),
    )
    return Compilation(text, layout, preparation)


def simplified(program: Program) -> Program:
    """The Program as it is compiled: inlined and simplified."""
    return Shared().simplified(program)


def _without_computing(program: Program, out: Any, donated: Sequence[bool]) -> Output | None:
    """Where a result is that is a constant, or an argument that the caller keeps."""
    if isinstance(out, Literal):
        return Constant(out.array)
    if out in program.invars:
        number = program.invars.index(out)
        return None if donated and donated[number] else Passed(number)
    if out in program.constvars:
        return Constant(program.consts[program.constvars.index(out)])
    return None


def _pairs(program: Program, donated: Sequence[bool]) -> dict[int, int]:
    """For donated arguments the results that may take over their memory: the first of the same type that is free."""
    pairs: dict[int, int] = {}
    seen: set[Var] = set()
    for argument, is_donated in enumerate(donated):
        if not is_donated:
            continue
        for number, out in enumerate(program.outs):
            same = out.aval.strong == program.invars[argument].aval.strong
            if same and number not in pairs.values() and isinstance(out, Var) and out not in seen:
                pairs[argument] = number
                seen.add(out)
                break
    return pairs


class _Kernels:
    """The kernels of a module; equal ones are one."""

    def __init__(self, target: Target, dump: Dump):
        self.target, self.dump = target, dump
        self.names: dict[str, str] = {}
        self._text_of: dict[Kernel, str] = {}

    def name_of(self, kernel: Kernel) -> str:
        text = self._text_of.get(kernel)
        if text is None:
            if config.debug_checks:
                check_kernel(kernel)
            text = self._text_of[kernel] = emit_kernel(kernel, "kernel", self.target)
        if text not in self.names:
            self.names[text] = f"kernel{len(self.names)}"
            self.dump.write_kernel(self.names[text], kernel)
        return self.names[text]

    def module(self, entry: str) -> str:
        """The LLVM IR of the kernels and the entry."""
        return llvm.link_texts([*((name, text) for text, name in self.names.items()), ("entry", DECLARATIONS + entry)])


def _cost(block: Block) -> float:
    return sum(map(_action_cost, block.actions), 10.0)


def _action_cost(action: Action) -> float:
    if isinstance(action, Run):
        tasks = action.kernel.tasks
        return tasks * action.kernel.cost if isinstance(tasks, int) else float("inf")
    if isinstance(action, Control):
        steps = float("inf") if isinstance(action.rule, Repeat) else getattr(action.rule, "length", 1)
        return steps * sum(map(_cost, action.blocks))
    return 10.0
