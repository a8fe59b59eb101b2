"""Profiles, under the names of `jax.profiler`: what Python spends its time on, by `cProfile`.

A trace is the file `nrx.prof` in the folder that was named; `python -m pstats` and other viewers read it. Kernels of
jitted functions appear as the calls that run them.
"""

import contextlib
import cProfile
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

from nrx.core.errors import ArgumentError

__all__ = ["StepTraceAnnotation", "TraceAnnotation", "annotate_function", "start_trace", "stop_trace", "trace"]

#: The profile being taken, and the folder it goes to.
_running: list[tuple[cProfile.Profile, str]] = []


def start_trace(log_dir: str | os.PathLike[str], **_: Any) -> None:
    """Begin a profile of this thread.

    Args:
        log_dir: the folder for `nrx.prof`; made when the trace stops.

    Raises:
        ArgumentError: one is being taken already.

    >>> import nrx
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nrx.profiler.start_trace(folder)
    ...     nrx.profiler.stop_trace()
    """
    if _running:
        raise ArgumentError("start_trace: a trace is running already", fix="call stop_trace first")
    _running.append((cProfile.Profile(), os.fspath(log_dir)))
    _running[-1][0].enable()


def stop_trace() -> None:
    """End the profile and write it.

    Raises:
        ArgumentError: none is being taken.

    >>> import nrx
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nrx.profiler.start_trace(folder)
    ...     nrx.profiler.stop_trace()
    """
    if not _running:
        raise ArgumentError("stop_trace: no trace is running", fix="call start_trace first")
    profile, folder = _running.pop()
    profile.disable()
    os.makedirs(folder, exist_ok=True)
    profile.dump_stats(os.path.join(folder, "nrx.prof"))


@contextlib.contextmanager
def trace(log_dir: str | os.PathLike[str], **options: Any) -> Iterator[None]:
    """A context manager that takes a profile of its block.

    Args:
        log_dir: the folder for `nrx.prof`.
        options: what JAX takes; makes no difference.

    >>> import nrx
    >>> import os
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with nrx.profiler.trace(folder):
    ...     x = nrx.numpy.ones(3) + 1
    >>> os.listdir(folder)
    ['nrx.prof']
    """
    start_trace(log_dir, **options)
    try:
        yield
    finally:
        stop_trace()


class TraceAnnotation(contextlib.ContextDecorator):
    """A name for a block, which JAX shows in its profiles; those of nrx show functions and lines instead.

    Args:
        name: the name.
        kwargs: further facts.
    """

    def __init__(self, name: str, **kwargs: Any):
        self.name = name

    def __enter__(self) -> "TraceAnnotation":
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class StepTraceAnnotation(TraceAnnotation):
    """`TraceAnnotation` for a step of training."""


def annotate_function(func: Callable, name: str | None = None, **kwargs: Any) -> Callable:
    """`func` under a name: that of the function, in profiles.

    Args:
        func: a function.
        name: another name.
        kwargs: further facts.

    Returns:
        A function that does the same.

    >>> import nrx
    >>> nrx.profiler.annotate_function(abs, name="size")(-1)
    1
    """

    @functools.wraps(func)
    def annotated(*args: Any, **given: Any) -> Any:
        return func(*args, **given)

    annotated.__name__ = name or annotated.__name__
    return annotated
