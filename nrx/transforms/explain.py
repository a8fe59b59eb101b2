"""Why a jitted function is traced again: which part of its key differs from those of the calls before."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

from nrx.core.aval import Aval
from nrx.core.config import config
from nrx.core.errors import user_source
from nrx.core.log import log
from nrx.core.pytree import PyTreeDef, structure_difference, tree_flatten_with_path, tree_unflatten
from nrx.core.trace import name_of
from nrx.transforms.flatten import argument_name, positional_name

#: The code of all functions that were traced while somebody asked why.
_seen: WeakSet[Any] = WeakSet()


class Key(NamedTuple):
    """What a traced function is remembered by: everything that its Program may depend on."""

    in_tree: PyTreeDef
    avals: tuple[Aval, ...]
    statics: tuple
    settings: tuple
    axes: tuple


def report(function: Callable, key: Key, known: Iterable[tuple], positions: Sequence[int]) -> None:
    """Log, as far as the settings want it, that a function is traced, and why."""
    if config.log_compiles:
        shown = ", ".join(map(str, key.avals)) or "no arrays"
        log(f"tracing {name_of(function)} for {shown} at {user_source()}")
    if config.explain_cache_misses:
        log(f"tracing {name_of(function)} at {user_source()}: {why(function, key, known, positions)}")


def why(function: Callable, key: Key, known: Iterable[tuple], positions: Sequence[int]) -> str:
    """What tells a call from the most similar one that was traced."""
    found = [_differences(function, Key(*old), key, positions) for old in known]
    if found:
        fewest: list[str] = min(found, key=len)
        return "; ".join(fewest)
    code = getattr(function, "__code__", None)
    if code is None or code not in _seen:
        if code is not None:
            _seen.add(code)
        return "it is called for the first time"
    return (
        "it is a new function, made by the same line as one that was traced before: call jit once, outside of the "
        "function or loop, and keep what it returns"
    )


def _differences(function: Callable, old: Key, new: Key, positions: Sequence[int]) -> list[str]:
    found = []
    if old.in_tree != new.in_tree:
        found.append(f"the structure of (args, kwargs) differs: {structure_difference(old.in_tree, new.in_tree)}")
    else:
        names = _names(function, new.in_tree, positions)
        pairs = zip(names, old.avals, new.avals, strict=True)
        found += [f"{name} was {_shown(a)}, is {_shown(b)}" for name, a, b in pairs if a != b]
    before, after = dict(old.statics), dict(new.statics)
    for where in dict.fromkeys([*before, *after]):
        if before.get(where) != after.get(where):
            name = where if isinstance(where, str) else positional_name(function, where)
            was, now = (repr(d[where].value) if where in d else "left out" for d in (before, after))
            found.append(f"static argument {name} was {was}, is {now}")
    settings = zip(config.tracing_names(), old.settings, new.settings, strict=False)
    found += [f"config.{name} was {a}, is {b}" for name, a, b in settings if a != b]
    if old.axes != new.axes:
        found.append(f"the named axes in scope were {list(old.axes)}, are {list(new.axes)}")
    return found


def _names(function: Callable, in_tree: PyTreeDef, positions: Sequence[int]) -> list[str]:
    numbered = tree_unflatten(in_tree, range(in_tree.num_leaves))
    return [argument_name(function, path, positions) for path, _ in tree_flatten_with_path(numbered)[0]]


def _shown(aval: Aval) -> str:
    shape = ",".join(map(str, aval.shape))
    return f"{aval.dtype.name}[{shape}]" + " (weakly typed, as of a Python number)" * aval.weak_type
