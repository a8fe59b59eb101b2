"""`scan`, a loop of known length that carries state and stacks results, and `map`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.control.bodies import Body, check_carry, check_same_tree, converted, settled_carry, trace_body
from nrx.core.array import Array, asarray
from nrx.core.aval import Aval, Linear
from nrx.core.backend import Raw, Runner
from nrx.core.check import check_operands
from nrx.core.config import config, rare
from nrx.core.dtypes import storage
from nrx.core.errors import ArgumentError, MissingRuleError, ShapeError, TreeError
from nrx.core.loops import Scan, ScanSizes
from nrx.core.primitive import Primitive
from nrx.core.program import Atom, Program, evaluate, has_effect, prune
from nrx.core.pytree import PyTreeDef, tree_map, tree_unflatten
from nrx.core.shapes import canonical_shape, without
from nrx.ops.arithmetic import add
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.slicing import concatenate, slice_in_dim
from nrx.ops.structural import full_like, instantiate, move_axis, reshape, spread
from nrx.transforms.batching import Axis, batch_program, vmap
from nrx.transforms.calls import present_tangents
from nrx.transforms.flatten import check_function, flatten_arrays, leaf_paths
from nrx.transforms.forward import jvp_program, with_zeros
from nrx.transforms.linearize import linearize_program
from nrx.transforms.staging import stage
from nrx.transforms.transpose import transpose_program

scan_p = Primitive("scan", multiple_results=True, higher_order=True)


# Public functions


def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
) -> tuple[Any, Any]:
    """A loop that carries a value and stacks results: `carry, y = f(carry, x)` for each slice `x` of `xs`.

    Args:
        f: a function of the carry and a slice, returning the new carry (same structure, shapes, dtypes) and a result.
        init: the first carry, a pytree of arrays.
        xs: a pytree of arrays, sliced along their first axis; None for a loop without slices.
        length: the number of steps; needed if `xs` has no arrays.
        reverse: run from the last slice to the first; results are stacked in the order of `xs`.
        unroll: how many steps a compiler may unroll; it does not change the result.

    Returns:
        The last carry, and the tree of results stacked along a new first axis.

    Raises:
        ShapeError: the arrays of `xs` differ in length, or the carry changes shape; the message names the leaf.
        TreeError: `f` does not return a pair, or a carry of another structure.

    >>> import nrx
    >>> nrx.lax.scan(lambda total, x: (total + x, total), 0, nrx.numpy.arange(4))
    (Array(6, dtype=int32), Array([0, 0, 1, 3], dtype=int32))
    """
    check_function("scan", f)
    carry, carry_tree = flatten_arrays(init, "scan: init")
    slices, xs_tree = flatten_arrays(xs, "scan: xs")
    steps = _length(slices, xs_tree, length)
    if rare and config.disable_jit and steps:
        return _in_python(f, init, slices, xs_tree, range(steps)[::-1] if reverse else range(steps))
    slice_avals = [x.aval.update(shape=x.shape[1:]) for x in slices]

    def trace(avals: Sequence[Aval]) -> tuple[Body, Sequence[Aval]]:
        body = trace_body(f, (init, xs), [*avals, *slice_avals], "scan")
        node, pair = body.out_tree.node_data(), body.out_tree.children()
        if node is None or not issubclass(node[0], tuple | list) or len(pair) != 2:
            raise TreeError(
                f"scan: the body must return a pair (carry, y), got {body.out_tree}", fix="return carry, None"
            )
        check_same_tree(carry_tree, pair[0], "scan: the body returns a carry of another structure than it got")
        return body, body.program.out_avals[: len(avals)]

    carry, body = settled_carry(carry, trace)
    avals = [x.aval for x in carry]
    check_carry("scan", carry_tree, avals, body.program.out_avals[: len(carry)])
    program = converted(body.program, [*avals, *body.program.out_avals[len(carry) :]])
    outs = scan_p.bind(
        *body.consts, *carry, *slices, body=program, length=steps, reverse=bool(reverse),
        sizes=ScanSizes(len(body.consts), len(carry)),
    )  # fmt: skip
    ys_tree = body.out_tree.children()[1]
    return tree_unflatten(carry_tree, outs[: len(carry)]), tree_unflatten(ys_tree, outs[len(carry) :])


def _in_python(f: Callable, carry: Any, slices: Sequence[Array], xs_tree: PyTreeDef, order: range) -> tuple[Any, Any]:
    """The loop as Python's, whose body sees values."""
    ys: dict[int, Any] = {}
    for step in order:
        x = [reshape(slice_in_dim(s, step, step + 1), s.shape[1:]) for s in slices]
        carry, ys[step] = f(carry, tree_unflatten(xs_tree, x))
    stacked = [ys[step] for step in sorted(ys)]
    return carry, tree_map(lambda *y: concatenate([spread(asarray(one), None, 1) for one in y], 0), *stacked)


def _length(slices: Sequence[Array], tree: PyTreeDef, given: int | None) -> int:
    names = [f"xs{path}" for path in leaf_paths(tree)]
    scalars = [name for name, x in zip(names, slices, strict=True) if not x.ndim]
    if scalars:
        raise ShapeError(f"scan: {', '.join(scalars)} is a scalar and has no axis to scan over", fix="close over it")
    if given is not None:
        (given,) = canonical_shape(given)
    lengths = {x.shape[0] for x in slices} | ({given} if given is not None else set())
    if not lengths:
        raise ArgumentError("scan: the number of steps is not known", fix="pass length=, or arrays as xs")
    if len(lengths) > 1:
        listed = ", ".join(f"{name}: {x.shape[0]}" for name, x in zip(names, slices, strict=True))
        raise ShapeError(
            f"scan: the first axes differ in length: {listed}" + (f", length={given}" if given is not None else ""),
            fix="make them equal",
        )
    return lengths.pop()


def map(f: Callable, xs: Any, *, batch_size: int | None = None) -> Any:
    """`f` applied to each slice of `xs` along the first axis, one after the other, and the results stacked.

    Args:
        f: a function of a slice.
        xs: a pytree of arrays.
        batch_size: apply `vmap(f)` to this many slices at a time instead of one.

    Returns:
        The tree of stacked results. Dtypes stay.

    Raises:
        ArgumentError: `batch_size` is not positive.

    >>> import nrx
    >>> nrx.lax.map(lambda x: x * x, nrx.numpy.arange(3))
    Array([0, 1, 4], dtype=int32)
    """
    check_function("map", f)
    if batch_size is None:
        return scan(lambda _, x: ((), f(x)), (), xs)[1]
    if batch_size < 1:
        raise ArgumentError(f"map: batch_size must be positive, got {batch_size}", fix="leave it out for one at a time")
    leaves, tree = flatten_arrays(xs, "map: xs")
    total = _length(leaves, tree, None)
    whole = total - total % batch_size
    full = [_batches(x, whole, batch_size) for x in leaves]
    stacked = map(vmap(f), tree_unflatten(tree, full))
    result = tree_map(lambda y: reshape(y, (whole, *y.shape[2:])), stacked)
    if whole == total:
        return result
    rest = vmap(f)(tree_unflatten(tree, [slice_in_dim(x, whole, total) for x in leaves]))
    return tree_map(lambda a, b: concatenate([a, b], 0), result, rest)


def _batches(x: Array, count: int, batch_size: int) -> Array:
    return reshape(slice_in_dim(x, 0, count), (count // batch_size, batch_size, *x.shape[1:]))


# impl and abstract


def _impl(runner: Runner, *raws: Raw, body: Program, length: int, reverse: bool, sizes: ScanSizes) -> list[Raw]:
    consts, carry, xs = sizes.split(raws)
    ys = [runner.xp.empty((length, *a.shape), storage(a.dtype)) for a in body.out_avals[sizes.carry :]]
    for step in reversed(range(length)) if reverse else range(length):
        outs = runner.run(body, [*consts, *carry, *(x[step] for x in xs)])
        carry = outs[: sizes.carry]
        for stack, y in zip(ys, outs[sizes.carry :], strict=True):
            stack[step] = y
    return [*carry, *ys]


def _abstract(*avals: Aval, body: Program, length: int, reverse: bool, sizes: ScanSizes) -> list[Aval]:
    consts, carry, xs = sizes.split(avals)
    check_operands("the body of scan", body, (*consts, *carry, *(x.update(shape=x.shape[1:]) for x in xs)))
    ys = body.out_avals[sizes.carry :]
    return [*body.out_avals[: sizes.carry], *(y.update(shape=(length, *y.shape)) for y in ys)]


# Derivatives. Operands and results with tangents keep their groups: constants, carry, slices.


def _interleave(first: Sequence[Sequence], second: Sequence[Sequence]) -> list:
    """The groups of `first`, each followed by the same group of `second`, in one list."""
    return [item for a, b in zip(first, second, strict=True) for item in (*a, *b)]


def _settled_tangents(
    sizes: ScanSizes, nonzero: Sequence[bool], present: Callable[[tuple[bool, ...]], Sequence[bool]]
) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Which operands have tangents once the carry's have settled, and which results. `present` derives the body."""
    consts, carry, xs = sizes.split(nonzero)
    while True:
        mask = (*consts, *carry, *xs)
        found = present(mask)
        grown = [a or b for a, b in zip(carry, found[: sizes.carry], strict=True)]
        if grown == carry:
            return mask, (*carry, *found[sizes.carry :])
        carry = grown


def _present(items: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    return [item for item, some in zip(items, mask, strict=True) if some]


def _reordered(program: Program, in_order: Sequence[int], out_order: Sequence[int]) -> Program:
    """The Program with its arguments and results in another order."""
    key = ("reordered", tuple(in_order), tuple(out_order))
    invars, outs = [program.invars[i] for i in in_order], [program.outs[i] for i in out_order]
    return program.remember(
        key, lambda: Program(invars, program.eqns, outs, program.constvars, program.consts, program.name)
    )


def _tangent_groups(sizes: ScanSizes, tangents: Sequence[Any], mask: Sequence[bool]) -> list[list[Array]]:
    """The tangents that the loop takes, in their groups; zeros where the carry's first is zero but a later is not."""
    chosen = [instantiate(t) if some else None for t, some in zip(tangents, mask, strict=True)]
    return [_present(group, some) for group, some in zip(sizes.split(chosen), sizes.split(mask), strict=True)]


def _jvp(
    primals: Sequence[Array], tangents: Sequence[Any], *, body: Program, length: int, reverse: bool, sizes: ScanSizes
) -> tuple[list, list]:
    nonzero, _ = present_tangents(tangents)
    mask, out_mask = _settled_tangents(sizes, nonzero, lambda m: jvp_program(body, m)[1])
    derived, _ = jvp_program(body, mask, out_mask)
    groups = _tangent_groups(sizes, tangents, mask)
    counts, outs_count, moving = len(body.invars), len(body.outs), sum(out_mask[: sizes.carry])
    starts = [0, len(groups[0]), len(groups[0]) + len(groups[1])]
    tangent_order = [[counts + s + i for i in range(len(g))] for s, g in zip(starts, groups, strict=True)]
    out_groups = [range(sizes.carry), range(sizes.carry, outs_count)]
    out_tangents = [
        range(outs_count, outs_count + moving), range(outs_count + moving, outs_count + sum(out_mask))
    ]  # fmt: skip
    ordered = _reordered(
        derived, _interleave(sizes.split(range(counts)), tangent_order), _interleave(out_groups, out_tangents)
    )
    outs = scan_p.bind(
        *_interleave(sizes.split(primals), groups), body=ordered, length=length, reverse=reverse,
        sizes=ScanSizes(sizes.consts + len(groups[0]), sizes.carry + moving),
    )  # fmt: skip
    carry, carry_t = outs[: sizes.carry], outs[sizes.carry : sizes.carry + moving]
    ys, ys_t = outs[sizes.carry + moving :][: outs_count - sizes.carry], outs[moving + outs_count :]
    avals = [x.aval for x in (*carry, *ys)]
    return [*carry, *ys], with_zeros([*carry_t, *ys_t], out_mask, avals)


def _linearize(
    primals: Sequence[Array], tangents: Sequence[Any], *, body: Program, length: int, reverse: bool, sizes: ScanSizes
) -> tuple[list, list]:
    nonzero, _ = present_tangents(tangents)
    mask, out_mask = _settled_tangents(sizes, nonzero, lambda m: linearize_program(body, m).present)
    saving = body.remember(("scan residuals", mask, out_mask), lambda: _saving(body, sizes, mask, out_mask))
    outs = scan_p.bind(*primals, body=saving.known, length=length, reverse=reverse, sizes=sizes)
    consts, _, xs = sizes.split(primals)
    once = evaluate(saving.once, consts)
    stacked = [xs[i] for i in saving.sliced] + outs[len(body.outs) :]
    groups = _tangent_groups(sizes, tangents, mask)
    out_tangents = scan_p.bind(
        *once, *groups[0], *groups[1], *stacked, *groups[2], body=saving.linear, length=length, reverse=reverse,
        sizes=ScanSizes(len(once) + len(groups[0]), len(groups[1]), tangents=True),
    )  # fmt: skip
    results = outs[: len(body.outs)]
    return results, with_zeros(out_tangents, out_mask, [x.aval for x in results])


class _Saving(NamedTuple):
    """A linearized body.

    Fields:
        known: the body, with the residuals that change from step to step as further results.
        once: from the constants to the residuals that do not change.
        sliced: which of xs are residuals as they are.
        linear: the loop of the tangents: constants are the residuals of `once` and tangents, slices those of `sliced`,
            the residuals that `known` saved, and tangents.
    """

    known: Program
    once: Program
    sliced: tuple[int, ...]
    linear: Program


def _saving(body: Program, sizes: ScanSizes, mask: tuple[bool, ...], out_mask: tuple[bool, ...]) -> _Saving:
    split = linearize_program(body, mask, out_mask)
    known, first_x = split.known, sizes.consts + sizes.carry
    varying = set(known.invars[sizes.consts :])
    for eqn in known.eqns:
        if has_effect(eqn) or not varying.isdisjoint(eqn.inputs):
            varying.update(eqn.outs)
    atoms = [(known.invars if kind == "in" else known.outs)[i] for kind, i in split.sources]
    sliced_at: dict[Atom, int] = {
        atom: known.invars.index(atom) - first_x for atom in atoms if atom in known.invars[first_x:]
    }
    fixed = [i for i, atom in enumerate(atoms) if atom not in varying]
    sliced = [i for i, atom in enumerate(atoms) if atom in sliced_at]
    saved = [i for i in range(len(atoms)) if i not in fixed and i not in sliced]
    constants = (known.constvars, known.consts, known.name)
    outs = [*known.outs[: len(body.outs)], *(atoms[i] for i in saved)]
    tangent_count = [sum(group) for group in sizes.split(mask)]
    starts = [len(atoms), len(atoms) + tangent_count[0], len(atoms) + tangent_count[0] + tangent_count[1]]
    tangent_order = [range(s, s + n) for s, n in zip(starts, tangent_count, strict=True)]
    return _Saving(
        known=prune(Program(known.invars, known.eqns, outs, *constants)),
        once=prune(
            Program(known.invars[: sizes.consts], known.eqns, [atoms[i] for i in fixed], *constants),
            keep_effects=False,
        ),
        sliced=tuple(sliced_at[atoms[i]] for i in sliced),
        linear=_reordered(
            split.linear,
            [*fixed, *tangent_order[0], *tangent_order[1], *sliced, *saved, *tangent_order[2]],
            range(len(split.linear.outs)),
        ),
    )


# transpose: the loop runs backwards, carries the cotangents of the carry and adds up those of the constants


def _transpose(
    cts: Sequence[Any], *args: Any, body: Program, length: int, reverse: bool, sizes: ScanSizes
) -> list[Any]:
    linear = tuple(isinstance(arg, Linear) for arg in args)
    consts_linear, carry_linear, xs_linear = sizes.split(linear)
    if not all(carry_linear) and not sizes.tangents:
        raise MissingRuleError(
            "the transpose of a scan whose carry is linear only in part is not defined",
            fix="use vjp or grad, which separate the two, or carry the other values through a scan of their own",
        )
    taken = (*consts_linear, *(True for _ in carry_linear), *xs_linear)
    backward = body.remember(("scan transpose", taken, sizes), lambda: _backward_body(body, sizes, taken))
    consts, _, xs = sizes.split(args)
    totals = [full_like(c.aval.tangent, 0) for c in consts if isinstance(c, Linear)]
    carry_cts = [instantiate(ct) for ct in cts[: sizes.carry]]
    outs = scan_p.bind(
        *(c for c in consts if not isinstance(c, Linear)),
        *totals,
        *carry_cts,
        *(x for x in xs if not isinstance(x, Linear)),
        *(instantiate(ct) for ct in cts[sizes.carry :]),
        body=backward, length=length, reverse=not reverse,
        sizes=ScanSizes(consts_linear.count(False), len(totals) + len(carry_cts), tangents=True),
    )  # fmt: skip
    pulled = iter(outs)
    all_cts = [next(pulled) if some else None for some in taken]
    return [ct if is_linear else None for ct, is_linear in zip(all_cts, linear, strict=True)]


def _backward_body(body: Program, sizes: ScanSizes, linear: tuple[bool, ...]) -> Program:
    """From residuals, sums, cotangents of the carry, residual slices, cotangents of results to sums, carry, slices."""
    derived, _ = transpose_program(body, linear, (True,) * len(body.outs), forced=True)
    consts, _, xs = sizes.split(list(zip(body.in_avals, linear, strict=True)))
    fixed = [a for a, is_linear in consts if not is_linear]
    summed = [a.tangent for a, is_linear in consts if is_linear]
    sliced = [a for a, is_linear in xs if not is_linear]
    out_tangents = [a.tangent for a in body.out_avals]
    carry_cts, y_cts = out_tangents[: sizes.carry], out_tangents[sizes.carry :]
    groups = [fixed, summed, carry_cts, sliced, y_cts]

    def function(*values: Array) -> list[Array]:
        rest = iter(values)
        residuals, totals, k_cts, x_residuals, cts = [[next(rest) for _ in group] for group in groups]
        outs = evaluate(derived, [*residuals, *x_residuals, *k_cts, *cts])
        return [add(total, ct) for total, ct in zip(totals, outs, strict=False)] + outs[len(totals) :]

    avals = [a for group in groups for a in group]
    program = stage(function, avals, body.name)
    return converted(program, [*summed, *carry_cts, *program.out_avals[len(summed) + len(carry_cts) :]])


# batch


def _batch(
    axis: Axis,
    args: Sequence[Array],
    dims: Sequence[int | None],
    *,
    body: Program,
    length: int,
    reverse: bool,
    sizes: ScanSizes,
) -> tuple[list[Array], list[int | None]]:
    consts, carry, xs = sizes.split(args)
    const_dims, carry_dims, xs_dims = sizes.split([None if d is None else 0 for d in dims])
    while True:
        inner = (*const_dims, *carry_dims, *xs_dims)
        found = batch_program(body, axis, inner)[1]
        grown = [a if a is not None or b is None else 0 for a, b in zip(carry_dims, found[: sizes.carry], strict=True)]
        if grown == carry_dims:
            break
        carry_dims = grown
    forced = tuple(d is not None for d in (*carry_dims, *found[sizes.carry :]))
    derived = batch_program(body, axis, inner, forced)[0]
    given = sizes.split(dims)
    consts = [x if d is None else move_axis(x, d, 0) for x, d in zip(consts, given[0], strict=True)]
    carry = [
        x if want is None else spread(x, d, axis.size) for x, d, want in zip(carry, given[1], carry_dims, strict=True)
    ]
    xs = [x if d is None else move_axis(x, d, 1) for x, d in zip(xs, given[2], strict=True)]
    outs = scan_p.bind(*consts, *carry, *xs, body=derived, length=length, reverse=reverse, sizes=sizes)
    out_dims = [(0 if number < sizes.carry else 1) if force else None for number, force in enumerate(forced)]
    return outs, out_dims


def element_by_element(
    prim: Primitive, axis: Axis, args: Sequence[Array], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Array], list[int | None]]:
    """Batching of what has effects and takes another course for every element: one element after the other."""
    fixed = [i for i, d in enumerate(dims) if d is None]
    mapped = [(i, d) for i, d in enumerate(dims) if d is not None]
    order = [*fixed, *(i for i, _ in mapped)]

    def function(*values: Array) -> list[Array]:
        given = dict(zip(order, values, strict=True))
        return prim.bind(*(given[i] for i in range(len(args))), **params)

    avals = [args[i].aval for i in fixed]
    avals += [args[i].aval.update(shape=without(args[i].aval.shape, [d])) for i, d in mapped]
    outs = scan_p.bind(
        *(args[i] for i in fixed), *(move_axis(args[i], d, 0) for i, d in mapped),
        body=stage(function, avals, prim.name, "vmap"), length=axis.size, reverse=False, sizes=ScanSizes(len(fixed), 0),
    )  # fmt: skip
    return outs, [0] * len(outs)


# lower


def _lower(*avals: Aval, body: Program, length: int, reverse: bool, sizes: ScanSizes) -> Scan:
    return Scan(body, length, reverse, sizes.consts, sizes.carry)


# Registration

scan_p.define(
    impl=_impl, abstract=_abstract, jvp=_jvp, linearize=_linearize, transpose=_transpose, batch=_batch, lower=_lower
).refuse(onnx=NOT_YET_LOWERED)
