"""Transposition: from a linear Program to the function that pulls cotangents back through it."""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import TreeError, blame
from nrx.core.program import Atom, Literal, Program, Var
from nrx.core.pytree import (
    Partial,
    keystr,
    structure_difference,
    tree_flatten,
    tree_flatten_with_path,
    tree_unflatten,
)
from nrx.core.trace import name_of
from nrx.ops.arithmetic import add
from nrx.transforms.flatten import check_function
from nrx.transforms.forward import checked_tangent, public_tangent, with_zeros
from nrx.transforms.staging import abstract_leaves, stage, stage_call
from nrx.transforms.strong_zeros import Masks


def backward(program: Program, args: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
    """Pull cotangents of the results back to the arguments in which the Program is linear.

    Args:
        program: linear in some of its arguments.
        args: its arguments, with `Linear` in the place of those it is linear in.
        cts: cotangents of the results; `Zero` where there is none.

    Returns:
        A cotangent (or `Zero`) for each `Linear` argument, None for the others.
    """
    env: dict[Var, Any] = dict(zip(program.constvars, program.consts, strict=True))
    linear = {var for var, arg in zip(program.invars, args, strict=True) if isinstance(arg, Linear)}
    env.update((var, arg) for var, arg in zip(program.invars, args, strict=True) if var not in linear)

    def read(atom: Atom) -> Any:
        if isinstance(atom, Literal):
            return atom.array
        return Linear(atom.aval) if atom in linear else env[atom]

    todo = []
    for eqn in program.eqns:  # what does not depend on a linear argument is computed, the rest is transposed below
        if linear.isdisjoint(eqn.inputs):
            with blame(eqn.source):
                out = eqn.prim.bind(*map(read, eqn.inputs), **eqn.params)
            env.update(zip(eqn.outs, out if eqn.prim.multiple_results else (out,), strict=True))
        else:
            linear.update(eqn.outs)
            todo.append(eqn)

    gathered: dict[Atom, Any] = {}
    masks = Masks()

    def accumulate(atom: Atom, ct: Any, mask: Array | None = None) -> None:
        if ct is not None and not isinstance(ct, Zero) and atom in linear:
            masks.add(atom, mask, atom not in gathered)
            gathered[atom] = add(gathered[atom], ct) if atom in gathered else ct

    for out, ct in zip(program.outs, cts, strict=True):
        accumulate(out, ct)
    for eqn in reversed(todo):
        if not gathered.keys() & eqn.outs:
            continue
        out_cts = [gathered.pop(var, None) for var in eqn.outs]
        out_cts = [Zero(v.aval) if ct is None else ct for ct, v in zip(out_cts, eqn.outs, strict=True)]
        with blame(eqn.source):
            operands = [read(atom) for atom in eqn.inputs]
            cts_in = eqn.prim.transpose(out_cts if eqn.prim.multiple_results else out_cts[0], *operands, **eqn.params)
            for atom, *pulled in zip(eqn.inputs, *masks.pulled(eqn, operands[0], cts_in), strict=True):
                accumulate(atom, *pulled)
    return [gathered.get(var, Zero(var.aval)) if var in linear else None for var in program.invars]


def transpose_program(
    program: Program, linear: tuple[bool, ...], nonzero: tuple[bool, ...], forced: bool = False
) -> tuple[Program, tuple[bool, ...]]:
    """The transpose of a Program as a Program.

    Args:
        program: without tracers among its constants.
        linear: which arguments it is linear in.
        nonzero: which results have a cotangent.
        forced: whether zero cotangents of the arguments are results too.

    Returns:
        A Program from the other arguments and the cotangents present to the cotangents, and which of those are present.
    """

    def derive() -> tuple[Program, tuple[bool, ...]]:
        present: list[bool] = []
        fixed = [a for a, is_linear in zip(program.in_avals, linear, strict=True) if not is_linear]

        def function(*values: Array) -> list[Array]:
            rest = iter(values[: len(fixed)])
            args = [
                Linear(a) if is_linear else next(rest) for a, is_linear in zip(program.in_avals, linear, strict=True)
            ]
            pulled = backward(program, args, with_zeros(values[len(fixed) :], nonzero, program.out_avals))
            cts = [ct for ct in pulled if ct is not None]
            present[:] = [forced or not isinstance(ct, Zero) for ct in cts]
            return [public_tangent(ct) for ct, some in zip(cts, present, strict=True) if some]

        ct_avals = [a.tangent for a, some in zip(program.out_avals, nonzero, strict=True) if some]
        return stage(function, [*fixed, *ct_avals], program.name, "transpose"), tuple(present)

    return program.remember(("transpose", linear, nonzero, forced), derive)


def flatten_cotangents(tree: Any, out_tree: Any, avals: Sequence[Aval], what: str) -> list[Any]:
    """The leaves of a cotangent given by the user, checked against the results they belong to."""
    leaves, given = tree_flatten(tree)
    if given != out_tree:
        raise TreeError(
            f"the cotangent of {what} has another structure than the result: {structure_difference(out_tree, given)}",
            fix="pass a tree like the result of the function",
        )
    paths = [keystr(path) for path, _ in tree_flatten_with_path(tree)[0]]
    return [
        checked_tangent(leaf, aval, f"the cotangent of {what}{path}")
        for leaf, aval, path in zip(leaves, avals, paths, strict=True)
    ]


def linear_transpose(fun: Callable, *primals: Any) -> Callable:
    """The transpose of a linear function.

    Args:
        fun: linear in all its arguments.
        *primals: arguments, or `ShapeDtypeStruct`s; only shapes and dtypes matter.

    Returns:
        A function from a cotangent of the result to a tuple of cotangents, one for each argument. It is a pytree of the
        values that it keeps: a jitted function may return it.

    Raises:
        MissingRuleError: `fun` is not linear; the message names the operation.

    >>> import nrx
    >>> transposed = nrx.linear_transpose(lambda x: 3 * x, 1.0)
    >>> transposed(2.0)
    (Array(6., dtype=float32, weak_type=True),)
    """
    avals, in_tree = abstract_leaves(check_function("linear_transpose", fun), primals, {})
    program, out_tree = stage_call(fun, avals, in_tree, "linear_transpose")
    closed, consts = program.closed()

    def transposed(consts: Sequence[Array], ct: Any) -> Any:
        cts = flatten_cotangents(ct, out_tree, closed.out_avals, name_of(fun))
        pulled = backward(closed, [*consts, *map(Linear, avals)], cts)[len(consts) :]
        return tree_unflatten(in_tree, [public_tangent(p) for p in pulled])[0]

    return Partial(transposed, consts)
