"""The arguments that NumPy's universal functions have beside their operands: defaults are taken, others refused."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from nrx.core.errors import ArgumentTypeError

_Function = TypeVar("_Function", bound=Callable[..., Any])
#: For each argument the values that say nothing, and what to do instead of others.
_OPTIONS: dict[str, tuple[tuple[Any, ...], str]] = {
    "out": ((None,), "use the result: arrays are immutable"),
    "where": ((None, True), "choose afterwards: jnp.where(mask, jnp.{name}(...), x)"),
    "dtype": ((None,), "convert the operands first: x.astype(dtype)"),
    "signature": ((None,), "convert the operands first: x.astype(dtype)"),
    "casting": ((None, "same_kind"), "convert the operands first: x.astype(dtype)"),
    "order": ((None, "K"), "leave it out: arrays are always in row-major order"),
    "subok": ((None, True), "leave it out: the result is always an Array"),
}


def check_options(name: str, options: dict[str, Any]) -> None:
    """Raise ArgumentTypeError for keyword arguments of a universal function that would change what it does."""
    for option, value in options.items():
        if option not in _OPTIONS:
            raise ArgumentTypeError(f"{name} has no argument {option!r}", fix="pass its operands by position")
        neutral, advice = _OPTIONS[option]
        if not any(value is one or (isinstance(value, str) and value == one) for one in neutral):
            raise ArgumentTypeError(f"{name} has no {option}=", fix=advice.format(name=name))


def universal(function: _Function) -> _Function:
    """Decorates a function that NumPy has as a universal one, to look at arguments that it does not have."""
    name, code = function.__name__, function.__code__
    own = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]

    @functools.wraps(function)
    def unary(x: Any, /, **options: Any) -> Any:
        if options:
            check_options(name, options)
        return function(x)

    @functools.wraps(function)
    def binary(x: Any, y: Any, /, **options: Any) -> Any:
        if options:
            check_options(name, options)
        return function(x, y)

    @functools.wraps(function)
    def named(*operands: Any, **options: Any) -> Any:
        check_options(name, {option: value for option, value in options.items() if option not in own})
        return function(*operands, **{option: value for option, value in options.items() if option in own})

    return named if own else {1: unary, 2: binary}[code.co_argcount]  # type: ignore[return-value]
