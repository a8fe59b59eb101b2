"""Looking into transformed code while it runs: `print`, `callback` and `breakpoint`.

They run under every transformation, in the order of the program and as often as it says: once for each element under
`vmap`, and not again where a derivative computes values a second time.
"""

import builtins
import code
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.errors import user_frame, user_source
from nrx.transforms.callbacks import call_for_effect
from nrx.transforms.flatten import check_function
from nrx.transforms.formats import check_format

__all__ = ["breakpoint", "callback", "print"]


def callback(
    callback: Callable[..., Any], *args: Any, ordered: bool = False, partitioned: bool = False, **kwargs: Any
) -> None:
    """Call a Python function whenever the transformed program gets here; what it returns is ignored.

    Args:
        callback: a function.
        args, kwargs: its arguments: trees, in which arrays become NumPy arrays; other leaves are passed as they are.
        ordered, partitioned: accepted for JAX's sake; callbacks always run in the order of the program.

    Raises:
        ArgumentTypeError: `callback` is no function. What it raises itself is raised by the transformed function.

    >>> import nrx
    >>> seen = []
    >>> def f(x):
    ...     nrx.debug.callback(lambda y: seen.append(float(y)), x)
    ...     return x * x
    >>> nrx.vmap(nrx.grad(f))(nrx.numpy.arange(3.0)), seen
    (Array([0., 2., 4.], dtype=float32), [0.0, 1.0, 2.0])
    """
    call_for_effect(check_function("debug.callback", callback), args, kwargs)


def print(
    fmt: str,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    **kwargs: Any,
) -> None:
    """Print a line with the values of arrays, whenever the transformed program gets here.

    Args:
        fmt: a format string as of `str.format`. (An f-string would show tracers.)
        args, kwargs: what it formats: arrays, or anything else.
        ordered, partitioned: accepted for JAX's sake; lines always come in the order of the program.
        skip_format_check: leave mistakes of the format string to the time when the line is printed.

    Raises:
        ArgumentError: the format string does not fit the arguments; raised while tracing.

    >>> import nrx
    >>> _ = nrx.jit(lambda x: nrx.debug.print("x = {:.1f}, {y}", x, y=x + 1))(1.0)
    x = 1.0, 2.0
    """
    if not skip_format_check:
        check_format("debug.print", fmt, args, kwargs)
    call_for_effect(_Line(fmt), args, kwargs)


def breakpoint(
    *,
    backend: str | None = None,
    num_frames: int | None = None,
    ordered: bool = False,
    filter_frames: bool = True,
    token: Any = None,
    **kwargs: Any,
) -> None:
    """Stop here, whenever the transformed program gets here, with a Python prompt.

    The names at the prompt are the local variables of the function that called this one, with the values of arrays.
    The end of the input (Ctrl-D) or `exit()` goes on.

    Args:
        backend, num_frames, ordered, filter_frames, token, kwargs: accepted for JAX's sake.

    >>> import nrx
    >>> def step(x):
    ...     nrx.debug.breakpoint()
    ...     return x + 1
    >>> nrx.jit(step)(1.0)  # doctest: +SKIP
    """
    frame = user_frame()
    names = dict(frame.f_locals) if frame is not None else {}
    scope = frame.f_globals if frame is not None else {}
    arrays = {name: value for name, value in names.items() if isinstance(value, Array | np.ndarray)}
    others = {name: value for name, value in names.items() if name not in arrays}
    where = user_source()

    def stop(**values: Any) -> None:
        banner = f"nrx.debug.breakpoint at {where}; values: {', '.join([*values, *others]) or 'none'}"
        try:
            code.interact(banner, local={**scope, **others, **values}, exitmsg="")
        except SystemExit:
            sys.stdout.flush()

    call_for_effect(stop, (), arrays)


class _Line:
    __name__ = "print"

    def __init__(self, fmt: str):
        self.fmt = fmt

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        builtins.print(self.fmt.format(*args, **kwargs), flush=True)
