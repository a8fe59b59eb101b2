"""What the control-flow primitives share: tracing the functions they take, and the types of values they carry."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.dtypes import promote_types
from nrx.core.errors import DTypeError, ShapeError, TreeError
from nrx.core.program import Program, Var, evaluate, prune
from nrx.core.pytree import (
    PyTreeDef,
    structure_difference,
    tree_structure,
)
from nrx.ops.structural import convert_element_type
from nrx.transforms.flatten import leaf_paths
from nrx.transforms.staging import stage, stage_call


class Body(NamedTuple):
    """A traced function: the Program takes the closed-over values first."""

    program: Program
    consts: tuple
    out_tree: PyTreeDef


def trace_body(function: Callable, args: tuple, avals: Sequence[Aval], caller: str) -> Body:
    """Trace `function(*args)`, where `avals` are those of the leaves of `args`."""
    program, out_tree = stage_call(function, avals, tree_structure((args, {})), caller)
    closed, consts = prune(program).closed()
    return Body(closed, consts, out_tree)


def converted(program: Program, avals: Sequence[Aval]) -> Program:
    """The Program with its results converted to these avals, which differ in dtype or weak type only."""
    if tuple(avals) == program.out_avals:
        return program

    def function(*args: Array) -> list[Array]:
        outs = evaluate(program, args)
        return [convert_element_type(out, a.dtype, a.weak_type) for out, a in zip(outs, avals, strict=True)]

    return stage(function, program.in_avals, program.name)


def with_common_consts(bodies: Sequence[Body]) -> tuple[tuple[Program, ...], list[Array]]:
    """The Programs with the closed-over values of all as leading arguments."""
    values: dict[int, Array] = {id(const): const for body in bodies for const in body.consts}
    programs = []
    for program, consts, _ in bodies:
        own = dict(zip(map(id, consts), program.invars, strict=False))
        leading = [own.get(key) or Var(value.aval) for key, value in values.items()]
        rest = program.invars[len(consts) :]
        programs.append(Program((*leading, *rest), program.eqns, program.outs, program.constvars, program.consts,
                                program.name))  # fmt: skip
    return tuple(programs), list(values.values())


def check_same_tree(expected: PyTreeDef, got: PyTreeDef, message: str) -> None:
    """Raise TreeError with the path of the first difference."""
    if expected != got:
        raise TreeError(f"{message}: {structure_difference(expected, got)}", fix="return the same structure")


def check_carry(name: str, tree: PyTreeDef, carried: Sequence[Aval], returned: Sequence[Aval]) -> None:
    """Raise an error that lists every leaf of the carry whose type the body changes."""
    changed = [
        (path, before, after)
        for path, before, after in zip(leaf_paths(tree), carried, returned, strict=True)
        if (before.shape, before.dtype) != (after.shape, after.dtype)
    ]
    if changed:
        listed = "; ".join(f"carry{path} was {before} and is returned as {after}" for path, before, after in changed)
        kind = ShapeError if any(b.shape != a.shape for _, b, a in changed) else DTypeError
        raise kind(
            f"{name}: the body must return the carry with the types it got: {listed}",
            fix="give the initial value that type (nrx.numpy.zeros(shape, dtype)), or convert in the body (.astype)",
        )


def _grown(before: Aval, after: Aval) -> Aval:
    """The type a weakly typed carry must start with, so that the body's result for it fits."""
    if not before.weak_type or before.shape != after.shape:
        return before
    dtype, weak = promote_types((before.dtype, True), (after.dtype, after.weak_type))
    return before.update(dtype=dtype, weak_type=weak)


def settled_carry(init: Sequence[Array], trace: Callable[[Sequence[Aval]], tuple[Body, Sequence[Aval]]]) -> tuple:
    """The initial values, with weakly typed ones converted to what the body makes of them, and the traced body.

    `trace(avals)` traces the body for carries of these avals and gives it with the avals it returns for them.
    """
    while True:
        avals = [x.aval for x in init]
        body, returned = trace(avals)
        wanted = [_grown(before, after) for before, after in zip(avals, returned, strict=True)]
        if wanted == avals:
            return list(init), body
        init = [convert_element_type(x, a.dtype, a.weak_type) for x, a in zip(init, wanted, strict=True)]
