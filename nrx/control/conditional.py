"""`cond` and `switch`: one of several functions runs, as an index says."""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.control.bodies import Body, check_same_tree, converted, trace_body, with_common_consts
from nrx.control.loops import has_while, of_running_lane
from nrx.control.scan import element_by_element
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.aval import Aval, Linear
from nrx.core.backend import Raw, Runner
from nrx.core.check import check_operands
from nrx.core.config import config, rare
from nrx.core.errors import ArgumentTypeError, DTypeError, ShapeError
from nrx.core.loops import Switch
from nrx.core.primitive import Primitive
from nrx.core.program import Program, evaluate
from nrx.core.pytree import tree_unflatten
from nrx.core.shapes import show
from nrx.core.trace import Tracer
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.logic import clamp, eq, ne, select_n
from nrx.ops.reductions import reduce_or
from nrx.ops.structural import broadcast_in_dim, convert_element_type, full_like, move_axis, spread
from nrx.transforms.batching import Axis, batch_program
from nrx.transforms.calls import present_tangents
from nrx.transforms.flatten import flatten_arrays, leaf_paths
from nrx.transforms.forward import jvp_program, with_zeros
from nrx.transforms.linearize import SplitProgram, linearize_program
from nrx.transforms.staging import stage
from nrx.transforms.transpose import transpose_program

cond_p = Primitive("cond", multiple_results=True, higher_order=True)

_NONE_GIVEN: Any = object()


# Public functions


def switch(index: Any, branches: Sequence[Callable], *operands: Any, operand: Any = _NONE_GIVEN) -> Any:
    """The result of `branches[index](*operands)`; an index out of range is clamped.

    Args:
        index: an integer scalar.
        branches: functions of the same operands whose results have one structure, with equal shapes and dtypes.
        *operands: pytrees of arrays.
        operand: a single operand, by keyword, as older programs pass it.

    Returns:
        The result of the chosen branch. Under `vmap` with a batched index all branches run and results are selected.

    Raises:
        TreeError, ShapeError, DTypeError: the branches return different things; the message names the path.

    >>> import nrx
    >>> nrx.lax.switch(1, [lambda x: x + 1, lambda x: x * 10], 3)
    Array(30, dtype=int32, weak_type=True)
    """
    if operand is not _NONE_GIVEN:
        operands = (*operands, operand)
    functions = list(branches)
    if not functions or not all(map(callable, functions)):
        raise ArgumentTypeError(
            "switch: branches must be a non-empty sequence of functions", fix="pass a function for every branch"
        )
    which = asarray(index, "the index of switch")
    if which.shape or not dtypes.is_integer(which.dtype):
        raise ArgumentTypeError(
            f"switch: the index must be an integer scalar, got {which.aval}", fix="convert it: i.astype(int)"
        )
    last = min(len(functions) - 1, dtypes.iinfo(which.dtype).max)
    which = convert_element_type(clamp(full_like(which, 0), which, full_like(which, last)), dtypes.int32)
    return _choose("switch", which, functions, operands)


def cond(pred: Any, true_fun: Callable, false_fun: Callable, *operands: Any, operand: Any = _NONE_GIVEN) -> Any:
    """The result of `true_fun(*operands)` if `pred`, else of `false_fun(*operands)`.

    Args:
        pred: a boolean (or numeric) scalar.
        true_fun, false_fun: functions of the same operands whose results have one structure, shapes and dtypes.
        *operands: pytrees of arrays.
        operand: a single operand, by keyword, as older programs pass it.

    Returns:
        The result of the chosen branch. Only that one is computed, except under `vmap` with a batched predicate, where
        both are and the results selected.

    Raises:
        TreeError, ShapeError, DTypeError: the branches return different things; the message names the path.

    >>> import nrx
    >>> nrx.lax.cond(True, lambda x: x + 1, lambda x: x - 1, 5)
    Array(6, dtype=int32, weak_type=True)
    """
    if operand is not _NONE_GIVEN:
        operands = (*operands, operand)
    if not (callable(true_fun) and callable(false_fun)):
        raise ArgumentTypeError(
            "cond: true_fun and false_fun must be functions", fix="write cond(pred, true_fun, false_fun, *operands)"
        )
    which = asarray(pred, "the predicate of cond")
    if which.shape:
        raise ArgumentTypeError(
            f"cond: the predicate must be a scalar, got shape {show(which.shape)}",
            fix="reduce it (.any(), .all()), or choose element by element with nrx.numpy.where",
        )
    if not dtypes.is_bool(which.dtype):
        which = ne(which, full_like(which, 0))
    return _choose("cond", convert_element_type(which, dtypes.int32), [false_fun, true_fun], operands)


def _choose(name: str, which: Array, functions: Sequence[Callable], operands: tuple) -> Any:
    if rare and config.disable_jit and not isinstance(which, Tracer):
        return functions[int(which)](*operands)
    leaves, _ = flatten_arrays(operands, f"{name}: operands")
    avals = [leaf.aval for leaf in leaves]
    bodies = [trace_body(function, operands, avals, name) for function in functions]
    first = bodies[0]
    labels = ["false_fun", "true_fun"] if name == "cond" else [f"branch {number}" for number in range(len(bodies))]
    for label, body in zip(labels[1:], bodies[1:], strict=True):
        message = f"{name}: {label} returns another structure than {labels[0]}"
        check_same_tree(first.out_tree, body.out_tree, message)
        _check_same_types(name, (labels[0], label), first, body)
    joined = [_joined_aval(avals) for avals in zip(*(b.program.out_avals for b in bodies), strict=True)]
    programs, consts = with_common_consts([b._replace(program=converted(b.program, joined)) for b in bodies])
    return tree_unflatten(first.out_tree, cond_p.bind(which, *consts, *leaves, branches=programs))


def _check_same_types(name: str, labels: tuple[str, str], first: Body, second: Body) -> None:
    for path, a, b in zip(leaf_paths(first.out_tree), first.program.out_avals, second.program.out_avals, strict=True):
        message = f"{name}: {labels[0]} returns {a} at result{path}, {labels[1]} returns {b}"
        if a.shape != b.shape:
            raise ShapeError(message, fix="return equal shapes")
        if a.dtype != b.dtype and not (a.weak_type or b.weak_type):
            raise DTypeError(message, fix="return equal dtypes: convert one with .astype")


def _joined_aval(avals: Sequence[Aval]) -> Aval:
    dtype, weak = dtypes.promote_types(*((a.dtype, a.weak_type) for a in avals))
    return Aval(avals[0].shape, dtype, weak)


# impl and abstract


def _impl(runner: Runner, index: Raw, *args: Raw, branches: tuple[Program, ...]) -> list[Raw]:
    return runner.run(branches[int(index)], args)


def _abstract(index: Aval, *args: Aval, branches: tuple[Program, ...]) -> tuple[Aval, ...]:
    for branch in branches:
        check_operands("cond", branch, args)
    return branches[0].out_avals


# jvp


def _any_present(masks: Sequence[Sequence[bool]]) -> tuple[bool, ...]:
    return tuple(map(any, zip(*masks, strict=True)))


def _jvp(primals: Sequence[Array], tangents: Sequence[Any], *, branches: tuple[Program, ...]) -> tuple[list, list]:
    nonzero, present = present_tangents(tangents[1:])
    forced = _any_present([jvp_program(b, nonzero)[1] for b in branches])
    derived = tuple(jvp_program(b, nonzero, forced)[0] for b in branches)
    outs = cond_p.bind(*primals, *present, branches=derived)
    count = len(branches[0].outs)
    return outs[:count], with_zeros(outs[count:], forced, branches[0].out_avals)


def _linearize(
    primals: Sequence[Array], tangents: Sequence[Any], *, branches: tuple[Program, ...]
) -> tuple[list, list]:
    """Residuals of different branches share slots of one type; a branch fills those it does not use with zeros."""
    index, *args = primals
    nonzero, present = present_tangents(tangents[1:])
    forced = _any_present([linearize_program(b, nonzero).present for b in branches])
    splits = [linearize_program(b, nonzero, forced) for b in branches]
    slots: list[Aval] = []
    places = [_allotted(split, slots, len(branches[0].outs)) for split in splits]
    known = tuple(
        _filling(split, place, slots, len(branches[0].outs)) for split, place in zip(splits, places, strict=True)
    )
    outs = cond_p.bind(index, *args, branches=known)
    count = len(branches[0].outs)
    linear = tuple(
        _reading(split, place, [a.aval for a in args], slots) for split, place in zip(splits, places, strict=True)
    )
    out_tangents = cond_p.bind(index, *args, *outs[count:], *present, branches=linear)
    return outs[:count], with_zeros(out_tangents, forced, branches[0].out_avals)


def _allotted(split: SplitProgram, slots: list[Aval], count: int) -> list[int]:
    """A slot for each residual that `known` computes; `slots` grows where none of the type is free."""
    free = list(range(len(slots)))
    places = []
    for atom in split.known.outs[count:]:
        place = next((i for i in free if slots[i] == atom.aval), None)
        if place is None:
            slots.append(atom.aval)
            place = len(slots) - 1
        else:
            free.remove(place)
        places.append(place)
    return places


def _filling(split: SplitProgram, places: list[int], slots: list[Aval], count: int) -> Program:
    """`known` with its residuals in their slots."""

    def function(*args: Array) -> list[Array]:
        outs = evaluate(split.known, args)
        filled = dict(zip(places, outs[count:], strict=True))
        return outs[:count] + [filled[i] if i in filled else full_like(aval, 0) for i, aval in enumerate(slots)]

    return stage(function, split.known.in_avals, split.known.name)


def _reading(split: SplitProgram, places: list[int], in_avals: list[Aval], slots: list[Aval]) -> Program:
    """`linear` as a function of the branch's arguments, all slots and the tangents."""
    tangent_avals = split.linear.in_avals[len(split.sources) :]

    def function(*values: Array) -> list[Array]:
        args, rest = values[: len(in_avals)], values[len(in_avals) :]
        saved, tangents = rest[: len(slots)], rest[len(slots) :]
        first = len(split.known.outs) - len(places)
        results = [None] * first + [saved[i] for i in places]
        return evaluate(split.linear, [*split.residuals(args, results), *tangents])

    return stage(function, [*in_avals, *slots, *tangent_avals], split.linear.name)


# transpose


def _transpose(cts: Sequence[Any], index: Array, *args: Any, branches: tuple[Program, ...]) -> list[Any]:
    linear = tuple(isinstance(arg, Linear) for arg in args)
    nonzero, present = present_tangents(cts)
    derived = tuple(transpose_program(b, linear, nonzero, forced=True)[0] for b in branches)
    known = [arg for arg in args if not isinstance(arg, Linear)]
    pulled = iter(cond_p.bind(index, *known, *present, branches=derived))
    return [None] + [next(pulled) if is_linear else None for is_linear in linear]


# batch


def _batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, branches: tuple[Program, ...]
) -> tuple[list[Array], list[int | None]]:
    index, *rest = args
    inner = tuple(dims[1:])
    if dims[0] is None:
        found = [batch_program(b, axis, inner)[1] for b in branches]
        forced = tuple(any(d is not None for d in ds) for ds in zip(*found, strict=True))
        derived = tuple(batch_program(b, axis, inner, forced)[0] for b in branches)
        return cond_p.bind(index, *rest, branches=derived), [0 if force else None for force in forced]
    if any(branch.has_effects for branch in branches):
        return element_by_element(cond_p, axis, args, dims, {"branches": branches})
    which = spread(index, dims[0], axis.size)
    rest = [x if d is None else move_axis(x, d, 0) for x, d in zip(rest, inner, strict=True)]
    inner = tuple(None if d is None else 0 for d in inner)
    batched = [batch_program(b, axis, inner, (True,) * len(b.outs))[0] for b in branches]
    results = [
        _for_lanes(eq(which, number), b, rest, inner) if has_while(b) else evaluate(b, rest)
        for number, b in enumerate(batched)
    ]
    outs = [select_n(broadcast_in_dim(which, cases[0].shape, (0,)), *cases) for cases in zip(*results, strict=True)]
    return outs, [0] * len(outs)


def _for_lanes(chosen: Array, branch: Program, args: Sequence[Array], dims: Sequence[int | None]) -> list[Array]:
    """A batched branch that might not end for the values of other lanes than those that chose it."""
    given = [x if d is None else of_running_lane(x, chosen) for x, d in zip(args, dims, strict=True)]
    skipped = stage(lambda *_: [full_like(a, 0) for a in branch.out_avals], branch.in_avals, branch.name)
    return cond_p.bind(convert_element_type(reduce_or(chosen, [0]), dtypes.int32), *given, branches=(skipped, branch))


# lower


def _lower(*avals: Aval, branches: tuple[Program, ...]) -> Switch:
    return Switch(branches)


# Registration

cond_p.define(
    impl=_impl, abstract=_abstract, jvp=_jvp, linearize=_linearize, transpose=_transpose, batch=_batch, lower=_lower
).refuse(onnx=NOT_YET_LOWERED)
