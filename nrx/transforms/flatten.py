"""Between functions of pytrees, as users write them, and flat functions of arrays, as transformations need them."""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentTypeError, NrxError, StaticArgumentError, TreeError
from nrx.core.pytree import PyTreeDef, broadcast_prefix, keystr, tree_flatten, tree_flatten_with_path, tree_unflatten
from nrx.core.trace import name_of


class FlatFunction:
    """`function` as one of flat arrays; after a call `out_tree` holds the structure of its result.

    Args:
        function: takes the trees that `in_tree` describes: a tuple `(args, kwargs)`.
        in_tree: their structure.
        has_aux: the function returns `(result, aux)`. The arrays of aux follow the leaves of the result, `count` says
            from where, and `aux` puts them back; its other leaves pass by untouched.
    """

    def __init__(self, function: Callable, in_tree: PyTreeDef, has_aux: bool = False):
        self.function = function
        self.in_tree = in_tree
        self.has_aux = has_aux
        self.out_tree: PyTreeDef
        self.count: int

    def __call__(self, *leaves: Any) -> list[Array]:
        args, kwargs = tree_unflatten(self.in_tree, leaves)
        result, aux = self.function(*args, **kwargs), None
        if self.has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TreeError(
                    f"has_aux=True, but {name_of(self.function)} returned {describe(result)}",
                    fix="return a pair: (result, aux)",
                )
            result, aux = result
        out, self.out_tree = flatten_arrays(result, f"the result of {name_of(self.function)}", "return")
        self.count = len(out)
        self._aux_leaves, self._aux_tree = tree_flatten(aux)
        return out + [leaf for leaf in self._aux_leaves if isinstance(leaf, Array)]

    def result(self, leaves: Sequence[Any]) -> Any:
        """The tree of the result from its leaves (and, ignored, those of aux)."""
        return tree_unflatten(self.out_tree, leaves[: self.count])

    def aux(self, leaves: Sequence[Any]) -> Any:
        """The tree of aux from all leaves that the call returned."""
        arrays = iter(leaves[self.count :])
        filled = [next(arrays) if isinstance(leaf, Array) else leaf for leaf in self._aux_leaves]
        return tree_unflatten(self._aux_tree, filled)


def describe(value: Any) -> str:
    """What a function returned, in words."""
    if isinstance(value, Array):
        return f"an array {value.aval}"
    kind = type(value).__name__
    kind = f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
    if isinstance(value, tuple | list | dict):
        return f"{kind} of length {len(value)}"
    return "None" if value is None else kind


def check_function(caller: str, function: Any) -> Callable:
    """`function`, if it is one."""
    if not callable(function):
        fix = (
            "pass the function itself, not what it returned" if isinstance(function, Array) else "pass a function first"
        )
        raise ArgumentTypeError(f"{caller} needs a function, got {describe(function)}", fix=fix)
    return function


def flatten_arrays(tree: Any, what: str, verb: str = "pass") -> tuple[list[Array], PyTreeDef]:
    """The leaves of a tree as Arrays; a leaf that cannot be one is an error that names its path, and what to `verb`."""
    leaves, treedef = tree_flatten(tree)
    return _as_arrays(leaves, lambda i: f"{what}{keystr(tree_flatten_with_path(tree)[0][i][0])}", verb=verb), treedef


def flatten_call(
    function: Callable, args: tuple, kwargs: dict, positions: Sequence[int] | None = None
) -> tuple[list[Array], PyTreeDef]:
    """The leaves of a call's arguments as Arrays, and the structure of `(args, kwargs)`.

    `positions` says, for messages, where `args` stand in the call, if they are not all of its arguments.
    """
    leaves, treedef = tree_flatten((args, kwargs))
    return arrays_of_call(function, args, kwargs, leaves, positions), treedef


def arrays_of_call(
    function: Callable, args: tuple, kwargs: dict, leaves: Sequence[Any], positions: Sequence[int] | None = None
) -> list[Array]:
    """`flatten_call` where the leaves are at hand."""

    def name(position: int) -> str:
        path = tree_flatten_with_path((args, kwargs))[0][position][0]
        return f"argument {argument_name(function, path, positions)} of {name_of(function)}"

    return _as_arrays(leaves, name, "; under jit, make it static (static_argnums)")


def _as_arrays(leaves: Sequence[Any], name: Callable[[int], str], hint: str = "", verb: str = "pass") -> list[Array]:
    """Leaves as Arrays; `name` says, for messages, which leaf the one at a position is."""
    arrays = list(leaves)
    for position, leaf in enumerate(leaves):
        if not isinstance(leaf, Array):
            try:
                arrays[position] = asarray(leaf, "it")
            except NrxError as error:
                fix = (error.fix or "").replace("pass", verb, 1)
                raise type(error)(f"{name(position)}: {error.message}", fix=f"{fix}{hint}") from None
    return arrays


def leaf_paths(tree: PyTreeDef) -> list[str]:
    """The paths of the leaves, as they are written after a name: `['w'][0]`."""
    numbered = tree_unflatten(tree, range(tree.num_leaves))
    return [keystr(path) for path, _ in tree_flatten_with_path(numbered)[0]]


def prefix_leaves(prefix: Any, tree: Any, what: str) -> list[Any]:
    """The leaves of a prefix of `tree`, None being one, each repeated for the leaves of the subtree it stands for.

    An error says that `what`, the tree, does not fit the prefix.
    """
    return broadcast_prefix(prefix, tree, is_leaf=lambda x: x is None, what=what)


def argument_name(function: Callable, path: Sequence[Any], positions: Sequence[int] | None = None) -> str:
    """How the user would write the leaf at `path` of `(args, kwargs)`: `params['w'][0]`."""
    where, which, *rest = path
    if where.idx == 1:
        return f"{which.key}{keystr(tuple(rest))}"
    position = which.idx if positions is None else positions[which.idx]
    return f"{positional_name(function, position)}{keystr(tuple(rest))}"


def positional_name(function: Callable, position: int) -> str:
    """The name of a positional parameter, or its number where the signature is not to be had."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return str(position)
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variable = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    if position < len(plain):
        return plain[position]
    return f"{variable[0]}[{position - len(plain)}]" if variable else str(position)


def argnums_tuple(argnums: int | Sequence[int], count: int, what: str = "argnums") -> tuple[int, ...]:
    """`argnums` as a tuple of positions from the front, checked against the number of positional arguments."""
    given = tuple(argnums) if isinstance(argnums, Sequence) else (argnums,)
    for number in given:
        if not isinstance(number, int | np.integer) or isinstance(number, bool) or not -count <= number < count:
            raise StaticArgumentError(
                f"{what}={argnums!r} but the function was called with {count} positional argument{'s' * (count != 1)}",
                fix="number the positional arguments from 0; pass the argument by position, not by keyword",
            )
    result = tuple(int(number) % count for number in given)
    if len(set(result)) != len(result):
        raise StaticArgumentError(f"{what}={argnums!r} names an argument twice", fix="name each argument once")
    return result


def fix_arguments(
    function: Callable, args: Sequence[Any], dynamic: Sequence[int], kwargs: dict[str, Any] | None = None
) -> Callable:
    """`function` of its arguments at `dynamic` only; the others are held at their values in `args` and `kwargs`."""
    held = kwargs or {}

    def partial(*changing: Any, **more: Any) -> Any:
        full = list(args)
        for position, value in zip(dynamic, changing, strict=True):
            full[position] = value
        return function(*full, **held, **more)

    partial.__name__ = name_of(function)
    partial.__wrapped__ = function  # type: ignore[attr-defined]  # messages name its parameters
    return partial


def named_parameters(
    caller: str,
    function: Callable,
    what: str,
    argnums: int | Sequence[int] | None,
    argnames: str | Iterable[str] | None,
) -> tuple[tuple[int, ...], frozenset[str]]:
    """Positions and names of the parameters meant, each completed from the other by the signature."""
    numbers = () if argnums is None else (argnums,) if isinstance(argnums, int) else tuple(argnums)
    names = () if argnames is None else (argnames,) if isinstance(argnames, str) else tuple(argnames)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return numbers, frozenset(names)
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for number in numbers:
        if not -len(positional) <= number < (math.inf if open_ended else len(positional)):
            raise StaticArgumentError(
                f"{caller} of {name_of(function)}: {what}_argnums={argnums!r}, but it takes {len(positional)} "
                f"positional argument{'s' * (len(positional) != 1)}" + " and more of no fixed number" * open_ended,
                fix="number them from 0",
            )
    for name in names:
        if not takes_any and name not in {p.name for p in parameters}:
            raise StaticArgumentError(
                f"{caller} of {name_of(function)}: {what}_argnames={argnames!r}, but it has no parameter {name!r}",
                fix=f"its parameters are {', '.join(p.name for p in parameters)}",
            )
    counted = [n + len(positional) if n < 0 else n for n in numbers]
    all_names = {*names, *(positional[n] for n in counted if n < len(positional))}
    all_numbers = {*counted, *(positional.index(n) for n in names if n in positional)}
    return tuple(sorted(all_numbers)), frozenset(all_names)
