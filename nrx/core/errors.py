"""Every exception of nrx, and the user's line that each message names.

All errors derive from `NrxError` and from the built-in exception that a NumPy or JAX program would expect to catch.
A message says what went wrong, where in the user's code, and the way out.
"""

import contextlib
import functools
import linecache
import os.path
import sys
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType

import numpy as np

#: Beginnings of the file names of frames that are not the user's: nrx, and what calls nrx on the user's behalf.
_NEVER_USERS = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep, os.path.dirname(np.__file__) + os.sep,
    "<frozen ", "<nrx ", "<__array_function__ ", contextlib.__file__, functools.__file__,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A line of the user's code: file, line number, function name."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}, in {self.function}"

    @property
    def short(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line} ({self.function})"

    @property
    def code(self) -> str:
        """The text of the line, or '' where the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()


#: Set while a recorded operation is replayed: the line that recorded it is the one to blame.
_replayed: ContextVar[Source | None] = ContextVar("nrx_replayed_source", default=None)


@contextlib.contextmanager
def blame(source: Source | None) -> Iterator[None]:
    """Inside the block, `user_source` answers `source` (None: look at the stack again)."""
    token = _replayed.set(source)
    try:
        yield
    finally:
        _replayed.reset(token)


def user_source() -> Source | None:
    """The user's line being run: the one `blame` names, or the innermost on the stack that is not nrx's own."""
    replayed = _replayed.get()
    if replayed is not None:
        return replayed
    frame = user_frame()
    return None if frame is None else Source(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def user_frame() -> FrameType | None:
    """The innermost frame on the stack that is not nrx's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_NEVER_USERS):
        frame = frame.f_back
    return frame


class NrxError(Exception):
    """Base of all nrx errors.

    Args:
        message: what went wrong, with the shapes, dtypes and paths involved.
        fix: the way out, one sentence or a line of code.
        source: the line to blame; by default the innermost line of the user's code on the stack.
    """

    def __init__(self, message: str, *, fix: str | None = None, source: Source | None = None):
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.source = source or user_source()

    def __str__(self) -> str:
        parts = [self.message]
        if self.source is not None:
            parts.append(f"  at {self.source}" + (f"\n      {self.source.code}" if self.source.code else ""))
        if self.fix:
            parts.append(f"  fix: {self.fix}")
        return "\n".join(parts)

    def __reduce__(self):
        return _rebuild, (type(self), self.message, self.fix, self.source)


def _rebuild(cls: type[NrxError], message: str, fix: str | None, source: Source | None) -> NrxError:
    return cls(message, fix=fix, source=source)


class ShapeError(NrxError, ValueError, TypeError):
    """Shapes that do not fit the operation. (NumPy raises ValueError for it, JAX TypeError; both catch it.)"""


class DTypeError(NrxError, TypeError):
    """A dtype the operation does not take, or dtypes without a common type."""


class AxisError(ShapeError, IndexError):
    """An axis out of range, or given twice."""


class IndexingError(NrxError, IndexError):
    """An index that is out of bounds or of a kind arrays cannot be indexed with."""


class TreeError(NrxError, ValueError, TypeError):
    """Pytrees whose structures differ, or a node that cannot be flattened."""


class ArgumentError(NrxError, ValueError):
    """An argument with a value the function does not take."""


class ArgumentTypeError(NrxError, TypeError):
    """An argument of a type the function does not take (for example a leaf that is not an array)."""


class AxisNameError(ArgumentTypeError, NameError):
    """The name of an axis that no enclosing `vmap` has."""


class DeviceError(NrxError, ValueError, RuntimeError):
    """Arrays on different devices, or a device that does not exist."""


class BackendMissingError(NrxError, ImportError, RuntimeError):
    """A backend whose package is not installed or that finds no hardware."""


class ImmutableError(NrxError, TypeError, ValueError):
    """An attempt to change an array in place."""


class UnhashableError(NrxError, TypeError):
    """An attempt to hash an array, or a static argument without a hash."""


class AmbiguousTruthError(NrxError, ValueError):
    """The truth value of an array of more or less than one element."""


class ConversionError(NrxError, TypeError, ValueError):
    """An array that cannot become the Python scalar asked for."""


class TracerError(NrxError, TypeError):
    """Base of the errors about values that are not known while a function is being traced."""


class TracerBoolError(TracerError):
    """`if`, `while`, `and`, `or`, `not` on a tracer."""


class TracerIntegerError(TracerError):
    """A tracer where Python needs an integer (a shape, a range, an index of a list)."""


class TracerConversionError(TracerError):
    """`float(tracer)`, `.item()`, `.tolist()`: a number asked of a tracer."""


class TracerArrayError(TracerError):
    """`numpy.asarray(tracer)`, or a NumPy function called on a tracer."""


class LeakedTracerError(TracerError):
    """A tracer used after the transformation that made it has ended."""


class DifferentiationError(NrxError, TypeError):
    """An operation, or a mode of differentiation, that has no derivative."""


class NonDifferentiableInputError(DifferentiationError):
    """A derivative with respect to an input that is not of a floating dtype."""


class NonScalarLossError(DifferentiationError):
    """`grad` of a function whose output is not one real scalar."""


class MissingRuleError(DifferentiationError, NotImplementedError):
    """A primitive without the rule that a transformation needs; the message gives the written reason."""


class ProgramError(NrxError, AssertionError):
    """A Program that the type checker rejects: a defect of nrx, not of the user."""


class CompilerError(NrxError, RuntimeError):
    """Code that LLVM rejects, or machine code that cannot be loaded: a defect of nrx, not of the user."""


class StaticArgumentError(NrxError, ValueError):
    """`static_argnums`, `argnums`, `donate_argnums` that do not fit the function or the call."""


class ConfigError(NrxError, ValueError, AttributeError):
    """A setting that does not exist or a value it does not take."""


class DeletedArrayError(NrxError, RuntimeError):
    """The use of an array whose memory was given away: donated to a jitted function, or deleted."""


class NestingError(NrxError, RecursionError):
    """Transformed functions that call each other deeper than Python's recursion limit allows."""


class OutOfMemoryError(NrxError, MemoryError):
    """The system has no memory for the arrays of a computation."""


class NonFiniteError(NrxError, FloatingPointError):
    """A NaN or an infinity, where `config.debug_nans` or `config.debug_infs` forbids it."""


class CheckError(NrxError, ValueError):
    """What a `checkify.check` says that failed, or a check that `checkify` put in."""


class FileFormatError(NrxError, ValueError):
    """A file that is damaged, truncated or not of the format asked for."""


class NoEffectWarning(UserWarning):
    """Something that is accepted for JAX's sake and has no effect here."""


def nesting_error(error: RecursionError, what: str) -> RecursionError:
    """A `NestingError` for a call of `what`, if it is nrx that recurs; `error` itself if it is the user's function."""
    codes = []
    frame: FrameType | None = sys._getframe()
    raised = error.__traceback__
    while frame:
        codes.append(frame.f_code)
        frame = frame.f_back
    while raised:
        codes.append(raised.tb_frame.f_code)
        raised = raised.tb_next
    ours = Counter(code for code in codes if code.co_filename.startswith(_NEVER_USERS[0]))
    limit = sys.getrecursionlimit()
    if isinstance(error, NrxError) or max(ours.values(), default=0) < limit // 20:
        return error
    return NestingError(
        f"{what}: transformed functions call each other too deep for Python's recursion limit of {limit}",
        fix="jit the outermost function alone, repeat with nrx.lax.fori_loop or scan, or raise sys.setrecursionlimit",
    )
