"""NumPy's own functions on our arrays: `np.sin(x)` is `nrx.numpy.sin(x)`, so that code written with NumPy is traced.

Functions are found in `nrx.numpy`, `nrx.numpy.linalg` and `nrx.numpy.fft` by name when they are called. What is not
there, and what writes into a NumPy array, takes the values of concrete arrays; traced arrays refuse, with a reason.
Lists of numbers, which NumPy's functions take for arrays, become arrays first.
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.errors import DTypeError, ImmutableError
from nrx.core.trace import Tracer
from nrx.numpy import logic, manipulation, ufuncs
from nrx.numpy.data import asarray, asked_dtype, beside

#: Parameters whose lists of integers are no arrays.
_LISTS = frozenset((
    "axes", "axis", "axisa", "axisb", "axisc", "args", "deg", "destination", "dimensions", "dims", "funclist",
    "indices_or_sections", "kth", "new_shape", "operands", "optimize", "pad_width", "reps", "s", "shape", "shapes",
    "shift", "source", "subscripts",
))  # fmt: skip
#: Names that arguments have in NumPy only.
_RENAMED = {np.clip: {"a_min": "min", "a_max": "max"}}
#: What the methods of universal functions take beside arrays, in NumPy's order.
_OPTIONS = ("axis", "dtype")
_UPDATES = {"minimum": "min", "maximum": "max"}
_FOREIGN = "OSUmMT"
#: Functions that make NumPy's arrays of what is given to them, as np.asarray does: SciPy passes the results to C.
_CONVERSIONS = frozenset((np.atleast_1d, np.atleast_2d, np.atleast_3d))
#: Functions that write into their first argument, and what does the same to an array of nrx.
_WRITERS = {
    np.copyto: "x = jnp.where(where, values, x)", np.put: "x = jnp.put(x, indices, values, inplace=False)",
    np.place: "x = jnp.place(x, mask, values, inplace=False)", np.putmask: "x = jnp.where(mask, values, x)",
    np.fill_diagonal: "x = jnp.fill_diagonal(x, values, inplace=False)",
    np.put_along_axis: "x = jnp.put_along_axis(x, indices, values, axis, inplace=False)",
}  # fmt: skip


def array_ufunc(self: Array, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """`Array.__array_ufunc__`: a universal function of NumPy, or one of its methods.

    Raises:
        ImmutableError: the result is to be written into one of our arrays, or a traced one into any array.
    """
    if method == "at":
        return _at(ufunc, *inputs)
    out = options.pop("out", None)
    if out is not None and any(value is not None for value in out):
        return _write(ufunc.__name__, getattr(ufunc, method), inputs, options, out)
    function = _named("nrx.numpy", ufunc.__name__)
    known = all(value.dtype.kind not in _FOREIGN for value in inputs if isinstance(value, np.ndarray | np.generic))
    if function is None or not known:
        return getattr(ufunc, method)(*_values(inputs), **_values(options))
    held = _arrays((inputs, options))
    inputs = tuple(_operand(value, held) for value in inputs)
    if "where" in options:
        options["where"] = _operand(options["where"], held)
    if method == "__call__":
        return _call(function, ufunc.__name__, inputs, **options)
    if method == "outer":
        return _outer(function, ufunc.__name__, *inputs, **options)
    return _joined(function, ufunc, method, inputs, options)


def array_function(self: Array, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
    """`Array.__array_function__`: a function of NumPy that is not a universal one.

    Raises:
        ImmutableError: the result is to be written into one of our arrays, or a traced one into any array.
    """
    if not all(issubclass(kind, Array | np.ndarray) for kind in types):
        return NotImplemented
    if (out := kwargs.get("out")) is not None:
        rest = {name: value for name, value in kwargs.items() if name != "out"}
        return _write(function.__name__, function, args, rest, out if isinstance(out, tuple) else (out,))
    if function in _WRITERS:
        return _write_first(function, args, kwargs)
    if function in _CONVERSIONS and not any(isinstance(x, Tracer) for x in _arrays((args, kwargs))):
        return function(*_values(args), **_values(kwargs))
    module = function.__module__ or ""
    ours = None
    if module in ("numpy", "numpy.linalg", "numpy.fft"):
        ours = _named("nrx." + module, function.__name__)
    if ours is not None:
        renamed = _RENAMED.get(function, {})
        kwargs = {renamed.get(name, name): value for name, value in kwargs.items()}
        args, kwargs = _with_arrays(ours, args, kwargs)
        return ours(*args, **kwargs)
    return function(*_values(args), **_values(kwargs))


def _named(module: str, name: str) -> Callable | None:
    try:
        return getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        return None


def _call(function: Callable, name: str, inputs: tuple, *, where: Any = True, dtype: Any = None,
          casting: str = "same_kind", order: str = "K", subok: bool = True, **options: Any) -> Any:  # fmt: skip
    """`where` leaves zeros where NumPy leaves memory as it found it; `order` and `subok` mean nothing here."""
    if dtype is not None:
        dtype = asked_dtype(inputs, dtype)
        for value in map(asarray, inputs):
            if not (value.weak_type or np.can_cast(value.dtype, dtype, casting=casting)):  # type: ignore[arg-type]
                raise DTypeError(
                    f"{name}: {value.dtype} does not become {dtype} under casting={casting!r}",
                    fix="convert with .astype first",
                )
        inputs = tuple(manipulation.astype(value, dtype) for value in inputs)
    result = function(*inputs, **options)
    if where is True:
        return result
    if isinstance(result, tuple):
        return tuple(logic.where(where, part, 0) for part in result)
    return logic.where(where, result, 0)


def _outer(function: Callable, name: str, a: Any, b: Any, **options: Any) -> Any:
    a, b = asarray(a), asarray(b)
    return _call(function, name, (a.reshape(a.shape + (1,) * b.ndim), b), **options)


def _joined(function: Callable, ufunc: np.ufunc, method: str, inputs: tuple, options: dict) -> Any:
    """A reduction or accumulation; NumPy's `where=True` is none."""
    count = 2 if method == "reduceat" else 1
    given = dict(zip(_OPTIONS, inputs[count:], strict=False)) | options
    given = {name: value for name, value in given.items() if not (name == "where" and value is True)}
    made = ufuncs.ufunc(function, ufunc.nin, ufunc.nout, name=ufunc.__name__, identity=ufunc.identity, call=function)
    return getattr(function, method, getattr(made, method))(*inputs[:count], **given)


def _with_arrays(function: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a function of ours, with arrays for lists of numbers where it takes arrays."""
    if function.__name__ == "block" or not any(type(v) in (list, tuple) for v in (*args, *kwargs.values())):
        return args, kwargs
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:  # the call itself says what is wrong
        return args, kwargs
    held = _arrays((args, kwargs))
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if name in _LISTS or kind is inspect.Parameter.VAR_KEYWORD:
            continue
        several = kind is inspect.Parameter.VAR_POSITIONAL
        bound.arguments[name] = tuple(_operand(v, held) for v in value) if several else _operand(value, held)
    return bound.args, bound.kwargs


def _arrays(value: Any) -> list[Any]:
    return [leaf for leaf in _leaves(value) if isinstance(leaf, Array | np.ndarray | np.generic)]


def _operand(value: Any, held: list[Any]) -> Any:
    """A list of numbers as an array that meets those held as the numbers would; in other lists, each such part."""
    if type(value) not in (list, tuple):
        return value
    out = beside(value, *held)
    return type(value)(_operand(part, held) for part in value) if out is value else out


def _at(ufunc: np.ufunc, target: Any, index: Any, *values: Any) -> None:
    if isinstance(target, Array) or any(isinstance(value, Tracer) for value in (index, *values)):
        update = _UPDATES.get(ufunc.__name__, ufunc.__name__)
        raise ImmutableError(
            f"np.{ufunc.__name__}.at would change an array in place",
            fix=f"use `x = x.at[index].{update}(values)` on an array of nrx" if values
            else f"use `x = x.at[index].apply(nrx.numpy.{update})` on an array of nrx",
        )  # fmt: skip
    ufunc.at(target, *_values((index, *values)))


def _write(name: str, function: Callable, inputs: tuple, options: dict, out: tuple) -> Any:
    """With `out=`: into NumPy arrays from concrete values only."""
    if any(isinstance(value, Array) for value in out):
        raise ImmutableError(
            f"out= of np.{name} is an array of nrx, which cannot change", fix=f"use the result: `x = np.{name}(...)`"
        )
    if any(isinstance(value, Tracer) for value in _leaves((inputs, options))):
        raise ImmutableError(
            f"np.{name} would write a traced array into a NumPy array, which holds values only",
            fix="leave out= away and use the result; instead of `a += x` write `a = a + x`",
        )
    return function(*_values(inputs), **_values(options), out=out if len(out) > 1 else out[0])


def _write_first(function: Callable, args: tuple, kwargs: dict) -> None:
    """A function that writes into its first argument: a NumPy array, from concrete values only."""
    target, *values = _leaves((args, kwargs))
    if isinstance(target, Array) or any(isinstance(value, Tracer) for value in values):
        raise ImmutableError(
            f"np.{function.__name__} would change an array in place, or write a traced one into a NumPy array",
            fix=f"use an array of nrx and its changed copy, `{_WRITERS[function]}`",
        )
    function(*(args[:1] if args else ()), *_values(args[1:]), **_values(kwargs))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return _leaves(list(value.values())) if isinstance(value, dict) else [value]


def _values(value: Any) -> Any:
    """The same arguments with NumPy arrays for ours; a traced array says that it has no values."""
    if isinstance(value, Array):
        return np.asarray(value)
    if type(value) in (list, tuple):
        return type(value)(map(_values, value))
    return {name: _values(part) for name, part in value.items()} if type(value) is dict else value
