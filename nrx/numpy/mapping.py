"""Functions applied along axes, to pieces, or element by element."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nrx import lax
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import broadcast_shapes, canonical_axes, canonical_axis, show
from nrx.numpy.logic import as_condition, where
from nrx.numpy.manipulation import broadcast_to, expand_dims
from nrx.ops.common import as_arrays
from nrx.transforms import vmap


def apply_along_axis(func1d: Callable, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Array:
    """A function of vectors applied to the lines along an axis.

    Args:
        func1d: `func1d(vector, *args, **kwargs)`, traced once for all lines.
        axis: an axis.
        arr: an array.
        args: passed on.
        kwargs: passed on.

    Returns:
        An array with the axes of the results in place of the axis, of their dtype.

    >>> jnp.apply_along_axis(jnp.sum, 0, jnp.array([[1, 2], [3, 4]]))
    Array([4, 6], dtype=int32)
    """
    (x,) = as_arrays("apply_along_axis", arr)
    at = canonical_axis(axis, x.ndim)

    def function(line: Array) -> Any:
        return func1d(line, *args, **kwargs)

    apply: Callable = function
    for _ in range(x.ndim - at - 1):
        apply = vmap(apply, in_axes=-1, out_axes=-1)
    for _ in range(at):
        apply = vmap(apply)
    return apply(x)


def apply_over_axes(func: Callable, a: Any, axes: Any) -> Array:
    """A function applied over several axes, one after the other.

    Args:
        func: `func(array, axis)`, which removes the axis or keeps it.
        a: an array.
        axes: an axis or a tuple of axes.

    Returns:
        An array of as many axes as a, of the dtype that the function returns.

    Raises:
        ShapeError: the function returns another number of axes.

    >>> jnp.apply_over_axes(jnp.sum, jnp.array([[1, 2], [3, 4]]), (0, 1))
    Array([[10]], dtype=int32)
    """
    (x,) = as_arrays("apply_over_axes", a)
    for axis in canonical_axes(axes, x.ndim):
        out = func(x, axis)
        if out.ndim == x.ndim - 1:
            out = expand_dims(out, axis)
        if out.ndim != x.ndim:
            raise ShapeError(f"apply_over_axes: the function made shape {show(out.shape)} of {show(x.shape)}")
        x = out
    return x


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Array:
    """Functions by cases: for each element the function of the last condition that holds.

    Args:
        x: an array.
        condlist: a sequence of boolean arrays of the shape of x, or one of them.
        funclist: as many functions or values, or one more, the last, for where none holds (0 by default). Each function
            is evaluated everywhere.
        args: passed on to the functions.
        kw: passed on to the functions.

    Returns:
        An array of the shape and dtype of x.

    Raises:
        ArgumentError: neither as many functions as conditions, nor one more.

    >>> x = jnp.array([-2.0, 3.0])
    >>> jnp.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: 10 * v])
    Array([ 2., 30.], dtype=float32)
    """
    (x,) = as_arrays("piecewise", x)
    conditions = list(condlist) if isinstance(condlist, list | tuple) or condlist.ndim > x.ndim else [condlist]
    held = [as_condition("piecewise", c) for c in conditions]
    if len(funclist) == len(held):
        pieces = [0, *funclist]
    elif len(funclist) == len(held) + 1:
        pieces = [funclist[-1], *funclist[:-1]]
    else:
        raise ArgumentError(f"piecewise: {len(held)} conditions and {len(funclist)} functions")
    values = [lax.convert_element_type(f(x, *args, **kw) if callable(f) else f, x.dtype) for f in pieces]
    out = broadcast_to(values[0], x.shape)
    for condition, value in zip(held, values[1:], strict=True):
        out = where(condition, value, out)
    return out


_ARGUMENT = r"\((?:\s*\w+\s*(?:,\s*\w+\s*)*)?\)"
_SIGNATURE = rf"^\s*({_ARGUMENT}(?:\s*,\s*{_ARGUMENT})*)?\s*->\s*({_ARGUMENT}(?:\s*,\s*{_ARGUMENT})*)\s*$"


def vectorize(
    pyfunc: Callable, *, excluded: Iterable[int | str] = frozenset(), signature: str | None = None
) -> Callable:
    """A function of scalars, or of arrays of few axes, made one of arrays that broadcast.

    Args:
        pyfunc: the function. It is traced by `vmap`, not called for each element.
        excluded: positions and names of arguments that are passed as they are.
        signature: the axes that the function itself works on, as in "(n,m),(m)->(n)"; by default none.

    Returns:
        A function of arrays: its results have the shape in which the arguments broadcast, and the dtype that `pyfunc`
        gives. NumPy's calls the function for each element, and has `otypes`, `doc` and `cache`, which are not needed
        here.

    Raises:
        ArgumentError: the signature cannot be read, or does not fit the call.
        ShapeError: arguments that do not fit the signature.

    >>> larger = jnp.vectorize(lambda a, b: jnp.where(a > b, a, b))
    >>> larger(jnp.array([1, 5]), 3)
    Array([3, 5], dtype=int32)
    >>> jnp.vectorize(jnp.dot, signature="(n),(n)->()")(jnp.ones((4, 3)), jnp.ones(3)).shape
    (4,)
    """
    skipped = set(excluded)
    cores = None if signature is None else _parsed(signature)

    @functools.wraps(pyfunc)
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        mapped = [i for i in range(len(args)) if i not in skipped]
        names = [name for name in kwargs if name not in skipped]
        arrays = as_arrays(getattr(pyfunc, "__name__", "vectorize"), *(args[i] for i in mapped),
                           *(kwargs[name] for name in names))  # fmt: skip
        inputs = [()] * len(arrays) if cores is None else cores
        if len(inputs) != len(arrays):
            raise ArgumentError(
                f"vectorize: the signature {signature!r} has {len(inputs)} arguments, not {len(arrays)}"
            )

        def call(*values: Any) -> Any:
            positional, named = list(args), dict(kwargs)
            for i, value in zip(mapped, values[: len(mapped)], strict=True):
                positional[i] = value
            named.update(zip(names, values[len(mapped) :], strict=True))
            return pyfunc(*positional, **named)

        return _batched(call, arrays, inputs, signature)

    return vectorized


def _parsed(signature: str) -> list[tuple[str, ...]]:
    """The axes of each argument of a signature."""
    found = re.match(_SIGNATURE, signature)
    if not found:
        raise ArgumentError(f"vectorize: {signature!r} is not a signature", fix='write one as "(n,m),(m)->(n)"')
    return [tuple(re.findall(r"\w+", part)) for part in re.findall(_ARGUMENT, found[1] or "")]


def _batched(call: Callable, arrays: list[Array], cores: Sequence[tuple[str, ...]], signature: Any) -> Any:
    """The function mapped over the axes before those of the signature, which broadcast."""
    lengths: dict[str, int] = {}
    for x, core in zip(arrays, cores, strict=True):
        if x.ndim < len(core):
            raise ShapeError(f"vectorize: an argument of shape {show(x.shape)} for {signature!r}")
        for label, n in zip(core, x.shape[x.ndim - len(core) :], strict=True):
            if lengths.setdefault(label, n) != n:
                raise ShapeError(f"vectorize: axis {label!r} of {signature!r} has lengths {lengths[label]} and {n}")
    outer = [x.shape[: x.ndim - len(core)] for x, core in zip(arrays, cores, strict=True)]
    shape = broadcast_shapes(*outer)
    # An axis that an argument lacks, or has with length 1, is not mapped over.
    squeezed = [
        x.reshape(tuple(n for n, full in zip(own, shape[len(shape) - len(own) :], strict=True) if n == full)
                  + x.shape[len(own) :])
        for x, own in zip(arrays, outer, strict=True)
    ]  # fmt: skip
    for place in range(1, len(shape) + 1):
        axes = [0 if len(own) >= place and own[-place] == shape[-place] else None for own in outer]
        if any(axis == 0 for axis in axes):
            call = vmap(call, in_axes=tuple(axes))
    return call(*squeezed)
