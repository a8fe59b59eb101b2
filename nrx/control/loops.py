"""`while_loop` and `fori_loop`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.control.bodies import Body, check_carry, check_same_tree, converted, settled_carry, trace_body
from nrx.control.scan import element_by_element, scan
from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, asarray
from nrx.core.aval import Aval
from nrx.core.backend import Raw, Runner
from nrx.core.check import check_operands
from nrx.core.config import config, rare
from nrx.core.errors import ArgumentTypeError, MissingRuleError, TracerError
from nrx.core.loops import Repeat
from nrx.core.primitive import Primitive
from nrx.core.program import Program, evaluate, subprograms
from nrx.core.pytree import tree_unflatten
from nrx.ops.arithmetic import add
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.dynamic import dynamic_index_in_dim
from nrx.ops.logic import lt, select
from nrx.ops.reductions import argmax, reduce_or
from nrx.ops.structural import broadcast_in_dim, convert_element_type, full_like, instantiate, move_axis, spread
from nrx.transforms.batching import Axis, batch_program
from nrx.transforms.calls import present_tangents, rerun
from nrx.transforms.flatten import check_function, flatten_arrays
from nrx.transforms.forward import jvp_program, with_zeros
from nrx.transforms.staging import stage

while_p = Primitive("while", multiple_results=True, higher_order=True)


class Sizes(NamedTuple):
    """How the operands of a while loop are grouped: constants of the condition, of the body, and the carry."""

    cond: int
    body: int

    def split(self, items: Sequence[Any]) -> tuple[list, list, list]:
        """The three groups of the operands."""
        end = self.cond + self.body
        return list(items[: self.cond]), list(items[self.cond : end]), list(items[end:])


# Public functions


def while_loop(cond_fun: Callable, body_fun: Callable, init_val: Any) -> Any:
    """`val = body_fun(val)` as long as `cond_fun(val)`.

    Args:
        cond_fun: a function of the value with a boolean scalar as result.
        body_fun: a function from the value to one of the same structure, shapes and dtypes.
        init_val: the first value, a pytree of arrays.

    Returns:
        The last value. Forward-mode derivatives exist; for reverse mode the number of steps must be known: use `scan`,
        or `fori_loop` with Python integers as bounds.

    Raises:
        TreeError, ShapeError, DTypeError: the body changes the type of the value; the message names the leaf.

    >>> import nrx
    >>> nrx.lax.while_loop(lambda x: x < 100, lambda x: x * 2, 1)
    Array(128, dtype=int32, weak_type=True)
    """
    for function in (cond_fun, body_fun):
        check_function("while_loop", function)
    if rare and config.disable_jit:
        try:
            return _in_python(cond_fun, body_fun, init_val)
        except TracerError:  # a condition that only vmap or an explicit trace knows
            pass
    init, tree = flatten_arrays(init_val, "while_loop: init_val")

    def trace(avals: Sequence[Aval]) -> tuple[Body, Sequence[Aval]]:
        body = trace_body(body_fun, (init_val,), avals, "while_loop")
        check_same_tree(tree, body.out_tree, "while_loop: the body returns a value of another structure than it got")
        return body, body.program.out_avals

    init, body = settled_carry(init, trace)
    avals = [x.aval for x in init]
    check_carry("while_loop", tree, avals, body.program.out_avals)
    condition = trace_body(cond_fun, (init_val,), avals, "while_loop")
    if [(a.shape, a.dtype) for a in condition.program.out_avals] != [((), dtypes.bool_)]:
        raise ArgumentTypeError(
            f"while_loop: cond_fun must return a boolean scalar, it returned {condition.program.out_avals}",
            fix="compare (x < limit), or reduce with .any() or .all()",
        )
    outs = while_p.bind(
        *condition.consts, *body.consts, *init, cond=condition.program, body=converted(body.program, avals),
        sizes=Sizes(len(condition.consts), len(body.consts)),
    )  # fmt: skip
    return tree_unflatten(tree, outs)


def _in_python(cond_fun: Callable, body_fun: Callable, value: Any) -> Any:
    while cond_fun(value):
        value = body_fun(value)
    return value


def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any, *, unroll: int | bool | None = None) -> Any:
    """`val = body_fun(i, val)` for i from `lower` to `upper - 1`.

    Args:
        lower, upper: integer bounds.
        body_fun: a function of the counter and the value to a value of the same structure, shapes and dtypes.
        init_val: the first value, a pytree of arrays.
        unroll: how many steps a compiler may unroll; it does not change the result.

    Returns:
        The last value. With bounds that are known while tracing the loop is a `scan` and has reverse-mode derivatives.

    Raises:
        ArgumentTypeError: a bound is not an integer scalar.

    >>> import nrx
    >>> nrx.lax.fori_loop(0, 5, lambda i, total: total + i, 0)
    Array(10, dtype=int32, weak_type=True)
    """
    check_function("fori_loop", body_fun)
    bounds = [asarray(b, f"the {name} bound of fori_loop") for b, name in ((lower, "lower"), (upper, "upper"))]
    for bound in bounds:
        if bound.shape or not dtypes.is_integer(bound.dtype):
            raise ArgumentTypeError(
                f"fori_loop: the bounds must be integer scalars, got {bound.aval}", fix="convert them: int(n)"
            )
    dtype, _ = dtypes.promote_types(*((b.dtype, b.weak_type) for b in bounds))
    known = all(isinstance(b, ConcreteArray) for b in bounds)
    # A counter that is known is weakly typed, as a Python number: it adapts to what it is added to.
    weak = known or all(b.weak_type for b in bounds)
    first, last = (convert_element_type(b, dtype, weak) for b in bounds)
    if known:
        steps = max(0, int(bounds[1]) - int(bounds[0]))

        def step(carry: tuple, _: None) -> tuple[tuple, None]:
            i, value = carry
            return (add(i, full_like(i, 1)), body_fun(i, value)), None

        return scan(step, (first, init_val), None, length=steps)[0][1]
    return while_loop(
        lambda state: lt(state[0], last),
        lambda state: (add(state[0], full_like(state[0], 1)), body_fun(state[0], state[1])),
        (first, init_val),
    )[1]


# impl and abstract


def _impl(runner: Runner, *raws: Raw, cond: Program, body: Program, sizes: Sizes) -> list[Raw]:
    cond_consts, body_consts, carry = sizes.split(raws)
    while bool(runner.run(cond, [*cond_consts, *carry])[0]):
        carry = runner.run(body, [*body_consts, *carry])
    return carry


def _abstract(*avals: Aval, cond: Program, body: Program, sizes: Sizes) -> tuple[Aval, ...]:
    check_operands("the condition of while", cond, (*avals[: sizes.cond], *avals[sizes.cond + sizes.body :]))
    check_operands("the body of while", body, avals[sizes.cond :])
    return body.out_avals


# jvp: the loop carries the tangents along


def _jvp(primals: Sequence[Array], tangents: Sequence[Any], *, cond: Program, body: Program, sizes: Sizes) -> tuple:
    cond_consts, body_consts, carry = sizes.split(primals)
    _, const_tangents, carry_tangents = sizes.split(tangents)
    const_mask, const_present = present_tangents(const_tangents)
    carry_mask, _ = present_tangents(carry_tangents)
    while True:
        found = jvp_program(body, (*const_mask, *carry_mask))[1]
        grown = tuple(a or b for a, b in zip(carry_mask, found, strict=True))
        if grown == carry_mask:
            break
        carry_mask = grown
    carry_present = [instantiate(t) for t, some in zip(carry_tangents, carry_mask, strict=True) if some]
    looped = body.remember(
        ("while jvp", const_mask, carry_mask, sizes), lambda: _jvp_body(body, len(body_consts), const_mask, carry_mask)
    )
    outs = while_p.bind(
        *cond_consts, *body_consts, *const_present, *carry, *carry_present,
        cond=_ignoring(cond, [t.aval for t in carry_present]), body=looped,
        sizes=Sizes(sizes.cond, sizes.body + len(const_present)),
    )  # fmt: skip
    values = outs[: len(carry)]
    return values, with_zeros(outs[len(carry) :], carry_mask, [v.aval for v in values])


def _jvp_body(body: Program, consts: int, const_mask: tuple[bool, ...], carry_mask: tuple[bool, ...]) -> Program:
    """From constants, their tangents, the carry, its tangents to the carry and its tangents."""
    derived = jvp_program(body, (*const_mask, *carry_mask), carry_mask)[0]
    const_count, moving = sum(const_mask), sum(carry_mask)
    primal, carried = len(body.invars), len(body.outs)
    order = [
        *range(consts),
        *range(primal, primal + const_count),
        *range(consts, consts + carried),
        *range(primal + const_count, primal + const_count + moving),
    ]
    invars = [derived.invars[i] for i in order]
    return Program(invars, derived.eqns, derived.outs, derived.constvars, derived.consts, derived.name)


def _ignoring(program: Program, avals: Sequence[Aval]) -> Program:
    """The Program with further arguments that it does not use."""
    count = len(program.invars)
    return program.remember(
        ("ignoring", tuple(avals)),
        lambda: stage(lambda *args: evaluate(program, args[:count]), [*program.in_avals, *avals], program.name),
    )


def _linearize(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[list, list]:
    """The values by themselves; for the tangents the whole loop runs again, since its residuals cannot be counted."""
    again = {**params, "cond": rerun(params["cond"], "while_loop"), "body": rerun(params["body"], "while_loop")}
    return while_p.bind(*primals, **params), _jvp(primals, tangents, **again)[1]


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> Any:
    raise MissingRuleError(
        "reverse mode (grad, vjp) through a while_loop, or a fori_loop whose bounds are traced: the number of steps, "
        "and so of values to keep, is not known",
        fix="use nrx.lax.scan, or fori_loop with Python integers as bounds; or forward mode (jvp, jacfwd)",
    )


# batch: a lane that has finished keeps its value while the others go on


def _batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, cond: Program, body: Program, sizes: Sizes
) -> tuple[list[Array], list[int | None]]:
    cond_dims, body_dims, carry_dims = (tuple(0 if d is not None else None for d in g) for g in sizes.split(dims))
    while True:
        lanes = batch_program(cond, axis, (*cond_dims, *carry_dims))[1][0] is not None
        found = batch_program(body, axis, (*body_dims, *carry_dims))[1]
        grown = tuple(
            0 if lanes or a is not None or b is not None else None for a, b in zip(carry_dims, found, strict=True)
        )
        if grown == carry_dims:
            break
        carry_dims = grown
    if lanes and (cond.has_effects or body.has_effects):
        return element_by_element(while_p, axis, args, dims, {"cond": cond, "body": body, "sizes": sizes})
    forced = tuple(d is not None for d in carry_dims)
    test = batch_program(cond, axis, (*cond_dims, *carry_dims), (lanes,))[0]
    step = batch_program(body, axis, (*body_dims, *carry_dims), forced)[0]
    groups = sizes.split(list(zip(args, dims, strict=True)))
    cond_consts, body_consts = ([x if d is None else move_axis(x, d, 0) for x, d in group] for group in groups[:2])
    carry = [x if want is None else spread(x, d, axis.size) for (x, d), want in zip(groups[2], carry_dims, strict=True)]
    if not lanes:
        return while_p.bind(*cond_consts, *body_consts, *carry, cond=test, body=step, sizes=sizes), list(carry_dims)
    running, masked = test.remember(("masked", step, sizes), lambda: _masked(test, step, sizes))
    outs = while_p.bind(
        *cond_consts, *cond_consts, *body_consts, *carry, cond=running, body=masked,
        sizes=Sizes(sizes.cond, sizes.cond + sizes.body),
    )  # fmt: skip
    return outs, list(carry_dims)


def _masked(test: Program, step: Program, sizes: Sizes) -> tuple[Program, Program]:
    """Of a batched condition and body: whether any lane runs, and the body that changes only the lanes that do."""
    carry_avals = test.in_avals[sizes.cond :]
    guarded = has_while(step)

    def running(*args: Array) -> list[Array]:
        return [reduce_or(evaluate(test, args)[0], [0])]

    def masked(*args: Array) -> list[Array]:
        cond_consts, body_consts, carry = sizes.split(args)
        (lanes,) = evaluate(test, [*cond_consts, *carry])
        given = [of_running_lane(x, lanes) for x in carry] if guarded else carry
        outs = evaluate(step, [*body_consts, *given])
        return [_where_lane(lanes, new, old) for new, old in zip(outs, carry, strict=True)]

    body_avals = [*test.in_avals[: sizes.cond], *step.in_avals[: sizes.body], *carry_avals]
    return stage(running, test.in_avals, test.name), stage(masked, body_avals, step.name)


def _where_lane(lanes: Array, new: Array, old: Array) -> Array:
    return select(broadcast_in_dim(lanes, old.shape, (0,)), new, old)


def of_running_lane(x: Array, lanes: Array) -> Array:
    """`x` with the values of a running lane in the place of others.

    An inner loop started from another lane's values might never end; nobody looks at what comes of the stand-ins.
    """
    if not lanes.size:
        return x
    stand_in = dynamic_index_in_dim(x, argmax(lanes, 0, dtypes.int32), 0)
    return _where_lane(lanes, x, broadcast_in_dim(stand_in, x.shape, range(x.ndim)))


def has_while(program: Program) -> bool:
    """Whether a Program has a loop that might not end."""
    return any(
        eqn.prim is while_p or any(has_while(inner) for inner in subprograms(eqn.params)) for eqn in program.eqns
    )


# lower


def _lower(*avals: Aval, cond: Program, body: Program, sizes: Sizes) -> Repeat:
    return Repeat(cond, body, sizes.cond, sizes.body)


# Registration

while_p.define(
    impl=_impl, abstract=_abstract, jvp=_jvp, linearize=_linearize, transpose=_transpose, batch=_batch, lower=_lower
).refuse(onnx=NOT_YET_LOWERED)
