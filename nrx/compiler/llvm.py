"""LLVM IR text to machine code, through llvmlite, which is imported when the first text is compiled.

Only code generation runs, no optimisation passes: the text says already which vectors and loops it wants.
"""

import functools
import os
import re
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nrx.compiler import avx512
from nrx.compiler.targets import Target
from nrx.core.errors import BackendMissingError, CompilerError

_INTRINSICS = """
aarch64.get.fpcr aarch64.hint aarch64.set.fpcr abs assume bitreverse bswap canonicalize ceil copysign ctlz ctpop cttz
fabs floor fma fmuladd fptosi.sat fptoui.sat fshl fshr is.fpclass masked.compressstore masked.expandload masked.gather
masked.load masked.scatter masked.store maximum maximumnum maxnum memcpy memmove memset minimum minimumnum minnum
nearbyint prefetch read_register readcyclecounter rint round roundeven sadd.sat sadd.with.overflow smax smin
smul.with.overflow sqrt ssub.sat ssub.with.overflow stepvector trunc uadd.sat uadd.with.overflow umax umin
umul.with.overflow usub.sat usub.with.overflow vector.deinterleave2 vector.extract vector.insert vector.interleave2
vector.reduce.add vector.reduce.and vector.reduce.fadd vector.reduce.fmax vector.reduce.fmaximum vector.reduce.fmin
vector.reduce.fminimum vector.reduce.fmul vector.reduce.mul vector.reduce.or vector.reduce.smax vector.reduce.smin
vector.reduce.umax vector.reduce.umin vector.reduce.xor vector.reverse x86.sse.ldmxcsr x86.sse.stmxcsr x86.sse2.pause
"""
INTRINSICS = avx512.INTRINSICS | frozenset(_INTRINSICS.split())
"""LLVM stops the process when it meets an intrinsic that it cannot translate; these it can."""

_OPTIMIZATION = 2  # of code generation; 0 spills every value, and 1 to 3 take the same time

_INTRINSIC = re.compile(r"@llvm\.([\w.]+)")
_OVERLOAD = re.compile(r"(\.(p\d+|v\d+\w+|i\d+|f\d+|bf16))+$")
_DEFINED = re.compile(r"^(?:define [^@]*)?@([\w.]+)(?= =|\()", re.MULTILINE)
_ONCE = ("declare ", "@shared.")
_SHARED = re.compile(r"^define [^@\n]*@shared\..*?^}$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"<string>:(\d+):")
#: Held by whoever compiles or loads. A fork waits for it, lest the child find LLVM half way through something.
lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def is_available() -> bool:
    """Whether llvmlite is installed."""
    return find_spec("llvmlite") is not None


@functools.cache
def version() -> str:
    """The version of llvmlite, which is not imported for it; "" where it is missing."""
    spec = find_spec("llvmlite")
    if spec is None or spec.origin is None:
        return ""
    text = Path(spec.origin).with_name("_version.py").read_text(encoding="utf-8")  # importlib.metadata takes 15 ms
    found = re.search(r"""version\s*=\s*['"](.+?)['"]""", text)
    return found[1] if found else text


def assemble(text: str, target: Target) -> bytes:
    """The object file (ELF) of LLVM IR, for `loader.load`.

    Args:
        text: a module without triple and data layout.
        target: what it is for.
    Raises:
        CompilerError: LLVM does not accept the text; the message has the line. A defect of this package.
        BackendMissingError: llvmlite is missing.
    """
    return _generate(text, target, lambda machine, module: machine.emit_object(module))


def assembly(text: str, target: Target) -> str:
    """The assembly language of LLVM IR; arguments and errors as for `assemble`."""
    return _generate(text, target, lambda machine, module: machine.emit_assembly(module))


def link_texts(parts: Sequence[tuple[str, str]]) -> str:
    """One module of several.

    Args:
        parts: names and texts. A function that a text calls @kernel gets the name, and is private to the module; what
            else a text defines keeps its name if that is the one given, and is prefixed with it otherwise. Functions
            and constants named @shared.… are the same in every text: there will be one of each.
    Returns:
        The text, with each declaration once.
    """
    declarations: dict[str, None] = {}
    shared: dict[str, None] = {}
    bodies = []
    for name, text in parts:
        lines = text.splitlines()
        declarations.update(dict.fromkeys(line for line in lines if line.startswith(_ONCE)))
        body = "\n".join(line for line in lines if not line.startswith(_ONCE))
        shared.update(dict.fromkeys(_SHARED.findall(body)))
        body = _SHARED.sub("", body)
        for defined in _DEFINED.findall(body):
            if defined == "kernel":
                body = re.sub(r"^define (?=[^@]*@kernel\b)", "define internal ", body, flags=re.MULTILINE)
                body = re.sub(r"@kernel\b", f"@{name}", body)
            elif defined != name:
                body = re.sub(rf"@{re.escape(defined)}(?![\w.])", f"@{name}.{defined}", body)
        bodies.append(body)
    return "\n".join([*declarations, *shared, *bodies, ""])


def _generate(text: str, target: Target, emit: Callable[[Any, Any], Any]) -> Any:
    _check_intrinsics(text, target)
    # On the first line, so that the numbers of lines stay as they are.
    header = f'target datalayout = "{target.data_layout}" target triple = "{target.triple}" '
    with lock:
        binding, machine = _binding(), _machine(target)
        with binding.create_context() as context:  # one for each text: a context keeps every constant it has seen
            module = None
            try:
                module = binding.parse_assembly(header + text, context)
                module.verify()
                return emit(machine, module)
            except RuntimeError as error:
                raise _rejected(str(error), text) from None
            finally:
                if module is not None:
                    module.close()


def _check_intrinsics(text: str, target: Target) -> None:
    known = INTRINSICS | avx512.PAIRS if target.has_bf16_pairs else INTRINSICS
    for name in set(_INTRINSIC.findall(text)):
        if name not in known and _OVERLOAD.sub("", name) not in known:
            raise CompilerError(f"llvm.{name} is not an intrinsic that is known to have machine code everywhere")


def _rejected(message: str, text: str) -> CompilerError:
    place = _LINE.search(message)
    line = f"\n  in line {place[1]}: {text.splitlines()[int(place[1]) - 1].strip()}" if place else ""
    return CompilerError(f"LLVM rejects what this package has made: {message.strip()}{line}", fix="please report it")


@functools.cache
def _binding() -> Any:
    """llvmlite's interface to LLVM, ready for use."""
    try:
        import llvmlite.binding as binding
    except ImportError as error:
        raise BackendMissingError(f"llvmlite cannot be imported: {error}", fix="pip install llvmlite") from error
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding


@functools.cache
def _machine(target: Target) -> Any:
    """LLVM's code generator for a target."""
    description = _binding().Target.from_triple(target.triple)
    # The small code model reaches constants from the instruction, where the large one needs a register for each.
    return description.create_target_machine(
        cpu=target.cpu, features=target.features, opt=_OPTIMIZATION, reloc="pic", codemodel="small"
    )
