"""`check`: a condition on values that must hold when the transformed program gets there."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array, asarray
from nrx.core.aval import Aval
from nrx.core.backend import Raw, Runner
from nrx.core.dtypes import is_bool
from nrx.core.errors import ArgumentTypeError, CheckError, NrxError, Source, user_source
from nrx.core.primitive import Primitive
from nrx.core.pytree import tree_flatten, tree_unflatten
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.structural import move_axis, spread
from nrx.transforms.batching import Axis
from nrx.transforms.formats import check_format

Fill = Callable[[Sequence[Any]], tuple[Sequence[Any], dict[str, Any]]]


class Message:
    """What a failed check says; equal to itself only.

    Args:
        fmt: a format string.
        source: the line of the check.
        avals: those of the values that it needs.
        fill: the arguments of the format string from these values; by default they are the values.
        is_debug: whether the check counts only where `checkify` looks at it.
    """

    __name__ = "check"

    def __init__(
        self,
        fmt: str,
        source: Source | None,
        avals: Sequence[Aval] = (),
        fill: Fill | None = None,
        is_debug: bool = False,
    ):
        self.fmt, self.source, self.avals, self.is_debug = fmt, source, tuple(avals), is_debug
        self._fill = fill or (lambda values: (values, {}))

    def error(self, values: Sequence[Any]) -> NrxError:
        """The error, with these values."""
        args, kwargs = self._fill(values)
        return CheckError(self.fmt.format(*args, **kwargs), source=self.source)


def check(pred: Any, msg: str, *fmt_args: Any, debug: bool = False, **fmt_kwargs: Any) -> None:
    """Say that a condition holds.

    Args:
        pred: a boolean scalar.
        msg: what to say if it does not: a format string.
        fmt_args, fmt_kwargs: arrays, and anything else, that `msg` formats.
        debug: whether the check does nothing outside of `checkify`.

    Raises:
        CheckError: the condition does not hold; raised when the program gets there, jitted or not, unless `checkify`
            turns the error into a value.
        ArgumentTypeError: `pred` is no boolean scalar.
        ArgumentError: `msg` names an argument that is not given.

    >>> import nrx
    >>> from nrx.experimental import checkify
    >>> def root(x):
    ...     checkify.check(x >= 0, "x must not be negative, got {x}", x=x)
    ...     return nrx.numpy.sqrt(x)
    >>> err, y = nrx.jit(checkify.checkify(root))(-4.0)
    >>> print(err.get())
    x must not be negative, got -4.0
    """
    ok = asarray(pred, "the condition of check")
    if ok.shape or not is_bool(ok.dtype):
        raise ArgumentTypeError(
            f"check: the condition must be a boolean scalar, got {ok.aval}", fix="reduce it: .all()"
        )
    if not isinstance(msg, str):
        raise ArgumentTypeError(
            f"check: the message must be a string, got {type(msg).__name__}", fix="pass a format string"
        )
    check_format("check", msg, fmt_args, fmt_kwargs, all_used=False)
    leaves, tree = tree_flatten((fmt_args, fmt_kwargs))
    dynamic = [isinstance(leaf, Array | np.ndarray) for leaf in leaves]
    arrays = [asarray(leaf) for leaf, is_array in zip(leaves, dynamic, strict=True) if is_array]
    static = [None if is_array else leaf for leaf, is_array in zip(leaves, dynamic, strict=True)]

    def fill(values: Sequence[Any]) -> Any:
        given = iter(values)
        return tree_unflatten(tree, [next(given) if d else x for x, d in zip(static, dynamic, strict=True)])

    check_p.bind(ok, *arrays, message=Message(msg, user_source(), [x.aval for x in arrays], fill, debug))


def first_failure(ok: np.ndarray, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The elements of arrays, whose first axes are those of `ok`, at the first place where it is false."""
    where = np.unravel_index(int(np.argmin(ok)), ok.shape) if ok.ndim else ()
    return [np.asarray(array[where]) for array in arrays]


def _impl(runner: Runner, ok: Raw, *raws: Raw, message: Any) -> list[Raw]:
    if message.is_debug:
        return []
    host = [np.array(runner.device.backend.to_numpy(raw)) for raw in (ok, *raws)]
    if not host[0].all():
        raise message.error(first_failure(host[0], host[1:]))
    return []


def _abstract(*avals: Aval, message: Any) -> tuple[Aval, ...]:
    return ()


def _jvp(primals: Sequence[Array], tangents: Sequence[Any], *, message: Any) -> tuple[list, list]:
    return check_p.bind(*primals, message=message), []


def _batch(axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, message: Any) -> tuple[list, list]:
    if all(dim is None for dim in dims):
        return check_p.bind(*args, message=message), []
    moved = [spread(x, d, axis.size) if d is None else move_axis(x, d, 0) for x, d in zip(args, dims, strict=True)]
    return check_p.bind(*moved, message=message), []


check_p = Primitive("check", multiple_results=True, higher_order=True, effect=True)
check_p.define(impl=_impl, abstract=_abstract, jvp=_jvp, batch=_batch).refuse(
    transpose="a condition is not linear", lower="it is Python that raises", onnx=NOT_YET_LOWERED
)
