"""Tracers, traces and the current trace.

There is one current trace per context (thread or asyncio task). `Primitive.bind` hands every operation to it:
`EvalTrace`, the ground floor, runs it; a transformation's trace rewrites it into operations for its `parent` trace.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import get_ident
from typing import Any

from nrx.core.array import Array, ConcreteArray, move
from nrx.core.backend import Device, default_device
from nrx.core.config import config, rare
from nrx.core.dtypes import storage
from nrx.core.errors import (
    ArgumentTypeError,
    AxisNameError,
    DeviceError,
    LeakedTracerError,
    NrxError,
    ProgramError,
    Source,
    TracerArrayError,
    TracerBoolError,
    TracerConversionError,
    TracerError,
    TracerIntegerError,
)


class Trace:
    """How operations are treated while a transformation runs.

    Args:
        parent: the trace that was current when this one started; None for evaluation, which is its own.
        name: what the user called, for messages: `"jit of loss"`.
    """

    __slots__ = ("alive", "name", "parent", "thread")
    parent: "Trace"

    def __init__(self, parent: "Trace | None", name: str):
        self.parent = parent or self
        self.name = name
        self.alive = True
        self.thread = get_ident()

    def process(self, prim: Any, args: tuple, params: dict[str, Any]) -> Any:
        raise NotImplementedError


class Tracer(Array):
    """An array whose values are not known yet; it lives as long as its trace."""

    __slots__ = ("_trace",)
    _trace: Trace

    @property
    def source(self) -> Source | None:
        """The user's line that made it, where that is known."""
        return None

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The arguments of the traced function from which it was made, where that is known."""
        return ()

    def _explain(self) -> str:
        known = [self._trace.name]
        if self.depends_on:
            known.append("depends on " + ", ".join(self.depends_on))
        if self.source:
            known.append(f"made at {self.source}")
        return f"a traced array {self.aval} ({'; '.join(known)})"

    def __repr__(self) -> str:
        return f"Traced<{self.aval}>({self._trace.name})"

    def __format__(self, spec: str) -> str:
        if spec:
            self._no_number(f"format(tracer, {spec!r})")
        return repr(self)

    def _unknown(self, kind: type[TracerError], message: str, fix: str) -> Any:
        raise kind(message, fix=fix) if self._trace.alive else leaked(self)

    def __bool__(self) -> bool:
        return self._unknown(
            TracerBoolError,
            f"the truth value of {self._explain()} is not known while tracing",
            "use nrx.numpy.where or nrx.lax.cond instead of `if`, nrx.lax.while_loop instead of `while`, & | ~ "
            "instead of and/or/not; or make the argument static (static_argnums)",
        )

    def __index__(self) -> int:
        return self._unknown(
            TracerIntegerError,
            f"an integer is needed here, and the value of {self._explain()} is not known while tracing",
            "make the argument static (static_argnums), use x.shape (always known), or nrx.lax.fori_loop",
        )

    def _no_number(self, call: str) -> Any:
        return self._unknown(
            TracerConversionError,
            f"{call}: the value of {self._explain()} is not known while tracing",
            "keep it an array (x.astype(...)), return it, or make the argument static (static_argnums)",
        )

    def __int__(self) -> int:
        return self._no_number("int(tracer)")

    def __float__(self) -> float:
        return self._no_number("float(tracer)")

    def __complex__(self) -> complex:
        return self._no_number("complex(tracer)")

    def item(self, *index: int) -> Any:
        return self._no_number("tracer.item()")

    def tolist(self) -> Any:
        return self._no_number("tracer.tolist()")

    def tobytes(self, order: Any = "C") -> Any:
        return self._no_number("tracer.tobytes()")

    def numpy(self) -> Any:
        return self.__array__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._unknown(
            TracerArrayError,
            f"NumPy cannot read {self._explain()}: its values are not known while tracing",
            "use the function of the same name in nrx.numpy or nrx.scipy",
        )

    def __reduce__(self):
        raise TracerArrayError(f"{self._explain()} cannot be pickled", fix="return it from the function first")


class EvalTrace(Trace):
    """The ground floor: operations run at once, op by op, on the device of their operands."""

    __slots__ = ()

    def process(self, prim: Any, args: tuple, params: dict[str, Any]) -> Any:
        try:
            avals = tuple([arg.aval for arg in args])
            device, committed = common_device(args)
        except AttributeError:
            if (error := _refusal(prim, args)) is None:
                raise
            raise error from None
        if prim.eager is not None:
            return prim.eager(args, params)
        out_aval = prim.infer(avals, params)
        raws = [arg._data if arg._device is device else move(arg, device) for arg in args]
        with device.backend.active(device):
            out = device.backend.call(prim, raws, params, device)
        if not prim.multiple_results:
            out, out_aval = (out,), (out_aval,)
        results = [ConcreteArray(raw, aval, device, committed) for raw, aval in zip(out, out_aval, strict=True)]
        if rare:
            _check_results(prim, raws, params, results)
        return results if prim.multiple_results else results[0]


def common_device(args: tuple) -> tuple[Device, bool]:
    """The device where `args` meet: that of the committed ones, else of the first that is not a scalar."""
    if not args:
        return default_device(), False
    device, committed = args[0]._device, args[0]._committed
    for arg in args[1:]:
        if arg._device is device:
            committed = committed or arg._committed
        elif committed and arg._committed:
            raise DeviceError(
                f"arrays on different devices: one is on {device}, another on {arg._device}",
                fix=f"move one of them: nrx.device_put(x, {str(device)!r})",
            )
        elif arg._committed or (not committed and arg.aval.shape and not args[0].aval.shape):
            device, committed = arg._device, arg._committed
    return device, committed


def _refusal(prim: Any, args: tuple) -> NrxError | None:
    """Why `args` are not all concrete arrays: the error to raise."""
    for position, arg in enumerate(args):
        if isinstance(arg, Tracer):
            return leaked(arg)
        if not isinstance(arg, Array):
            return ArgumentTypeError(
                f"{prim.name}: argument {position} must be an array, got {type(arg).__name__}",
                fix="convert it with nrx.numpy.asarray(...)",
            )
    return None


def leaked(tracer: Tracer) -> LeakedTracerError:
    """The error for a tracer used outside the transformation that made it."""
    if tracer._trace.alive:
        return LeakedTracerError(
            f"{tracer._explain()} is used where its transformation does not see it: by a function with a custom "
            "derivative that closes over it, or in another thread",
            fix="pass the array as an argument",
        )
    return LeakedTracerError(
        f"{tracer._explain()} is used after its transformation ended: it leaked through a global, an attribute or a "
        "list filled inside the function",
        fix="return the value from the transformed function instead of storing it",
    )


#: More to look at in the results of an operation, while a `rare` setting is in use: `check(prim, raws, params,
#: results)`.
result_checks: list[Callable[[Any, Sequence[Any], dict[str, Any], Sequence[ConcreteArray]], None]] = []


def _check_results(prim: Any, raws: list[Any], params: dict[str, Any], results: list[ConcreteArray]) -> None:
    for check in result_checks:
        check(prim, raws, params, results)
    for result in results if config.debug_checks else ():
        if (result._data.shape, result._data.dtype) != (result.aval.shape, storage(result.aval.dtype)):
            got = f"{result._data.dtype}{result._data.shape}"
            raise ProgramError(f"{prim.name}: impl gave {got}, abstract promised {result.aval}")


_EVAL = EvalTrace(None, "evaluation")
_CURRENT: ContextVar[Trace] = ContextVar("nrx_trace", default=_EVAL)


def current_trace() -> Trace:
    """The current trace of this thread or asyncio task.

    A context copied while tracing (by a task, or for another thread) carries a trace that is over or not this thread's;
    there, operations are evaluated.
    """
    trace = _CURRENT.get()
    if trace is _EVAL or (trace.alive and trace.thread == get_ident()):
        return trace
    return _EVAL


def is_evaluating() -> bool:
    """Whether operations run at once (no transformation is tracing)."""
    return _CURRENT.get() is _EVAL or current_trace() is _EVAL


def is_plain() -> bool:
    """Whether operations run at once and no axis is named: for code that asks on every call, a sure no else."""
    return _CURRENT.get() is _EVAL and not _AXES.get()


def is_ground(trace: Trace) -> bool:
    """Whether operations handed to `trace` run at once."""
    return trace is _EVAL


class use_trace:  # noqa: N801 - a context manager, named as the verb it is
    """`with use_trace(trace):` makes it current inside the block. (A class: twice as fast as a generator.)"""

    __slots__ = ("_token", "_trace")

    def __init__(self, trace: Trace):
        self._trace = trace

    def __enter__(self) -> Trace:
        self._token = _CURRENT.set(self._trace)
        return self._trace

    def __exit__(self, *exc: object) -> None:
        _CURRENT.reset(self._token)


@contextmanager
def new_trace(trace: Trace) -> Iterator[Trace]:
    """`use_trace` for the trace's whole life: afterwards its tracers are dead."""
    with use_trace(trace):
        try:
            yield trace
        finally:
            trace.alive = False


def bind_with(trace: Trace, prim: Any, args: Any, params: dict[str, Any]) -> Any:
    """Apply a primitive as if `trace` were current."""
    with use_trace(trace):
        return trace.process(prim, tuple(args), params)


def bind_now(prim: Any, *args: Any, **params: Any) -> Any:
    """Apply a primitive to concrete arrays at once, whatever is being traced: for constants."""
    return bind_with(_EVAL, prim, args, params)


# Named axes: those of the vmaps around the current code, innermost last.
_AXES: ContextVar[tuple[tuple[str, int], ...]] = ContextVar("nrx_axes", default=())


def named_axes() -> tuple[tuple[str, int], ...]:
    """The (name, size) of the axes in scope; part of every key under which a traced function is remembered."""
    return _AXES.get()


@contextmanager
def named_axis(name: Any, size: int) -> Iterator[None]:
    """Bring an axis into scope; `name` None is no name."""
    token = _AXES.set(_AXES.get() if name is None else (*_AXES.get(), (name, size)))
    try:
        yield
    finally:
        _AXES.reset(token)


def axis_size(name: Any) -> int:
    """The size of the innermost axis in scope with that name."""
    for known, size in reversed(_AXES.get()):
        if known == name:
            return size
    raise AxisNameError(
        f"no axis named {name!r} is in scope here",
        fix=f"name one: nrx.vmap(f, axis_name={name!r}); in scope now: {[n for n, _ in _AXES.get()]}",
    )


def name_of(function: Any) -> str:
    """What to call a function in messages."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


def describe_caller(transformation: str, function: Any) -> str:
    """`"jit of loss"`."""
    return f"{transformation} of {name_of(function)}"
