"""Format strings with arguments that are not known yet: whether they fit is found out before they are."""

import string
from collections.abc import Sequence
from typing import Any

from nrx.core.errors import ArgumentError


class _Formatter(string.Formatter):
    """Finds out whether a format string uses the arguments, all of them, and no others."""

    def __init__(self, name: str, all_used: bool) -> None:
        self.name, self.all_used = name, all_used
        self.used: set[int | str] = set()

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Any) -> Any:
        self.used.add(key)
        return super().get_value(key, args, kwargs)

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Any) -> Any:
        first = field_name.partition(".")[0].partition("[")[0]
        key: int | str = int(first) if first.isdecimal() else first
        return self.get_value(key, args, kwargs), key

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        return value

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""

    def check_unused_args(self, used_args: set[int | str], args: Sequence[Any], kwargs: Any) -> None:
        unused = [f"argument {i}" for i in range(len(args)) if i not in self.used]
        unused += [f"argument {name}" for name in kwargs if name not in self.used]
        if unused and self.all_used:
            raise ArgumentError(
                f"{self.name}: the format string does not use {', '.join(unused)}",
                fix="write a field for it: 'x = {x}' for x=x, with no f before the string",
            )


def check_format(name: str, fmt: Any, args: tuple, kwargs: dict[str, Any], *, all_used: bool = True) -> None:
    """Raise unless a format string of the function `name` has its arguments, and uses them if `all_used`."""
    if not isinstance(fmt, str):
        raise ArgumentError(
            f"{name}: the first argument must be a format string, got a {type(fmt).__name__}",
            fix="write '{}' for a value",
        )
    try:
        _Formatter(name, all_used).vformat(fmt, args, kwargs)
    except (IndexError, KeyError) as error:
        missing = f"{error} is not given"
        if isinstance(error, IndexError):
            missing = f"only {len(args)} argument{'s' * (len(args) != 1)} by position"
        raise ArgumentError(
            f"{name}: the format string {fmt!r} names an argument that is not given: {missing}",
            fix="pass it, or write {{ and }} for braces",
        ) from None
    except ValueError as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{name}: {fmt!r} is no format string: {error}", fix="write {} for a value") from None
