"""`checkpoint`: keep the inputs of a function instead of its residuals, and compute it again in the backward pass.

A policy may have more kept. It is asked about the equations of the forward pass, jitted calls inlined: the results of
those it wants are computed once, returned beside the function's own, and taken from there when the rest is computed
again.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from nrx.core.array import Array
from nrx.core.program import Eqn, Program, Var, evaluate, prune
from nrx.core.pytree import tree_unflatten
from nrx.ops.common import MOVABLE, NOT_YET_LOWERED
from nrx.ops.rules import elementwise, nonlinear
from nrx.transforms.calls import call_primitive, present_tangents, rerun
from nrx.transforms.flatten import check_function, fix_arguments, flatten_call, named_parameters
from nrx.transforms.forward import with_zeros
from nrx.transforms.linearize import linearize_program
from nrx.transforms.stages import jit_p
from nrx.transforms.staging import stage, stage_call

Policy = Callable[..., Any]
"""Whether to keep the results of an equation, from the primitive, the avals of its operands, and its params."""

checkpoint_p = call_primitive("checkpoint")


class _Derived(NamedTuple):
    """A Program to be differentiated.

    Fields:
        forward: from the arguments to the results and what is kept.
        tangents: from the arguments, what is kept, and the tangents of arguments, to those of the results; what is
            transposed computes the other residuals again.
        present: which results have tangents.
    """

    forward: Program
    tangents: Program
    present: tuple[bool, ...]


def _derived(program: Program, nonzero: tuple[bool, ...], policy: Policy | None) -> _Derived:
    return program.remember(("checkpoint", nonzero, policy), _derive, program, nonzero, policy)


def _derive(program: Program, nonzero: tuple[bool, ...], policy: Policy | None) -> _Derived:
    split = linearize_program(program, nonzero)
    count = len(program.outs)
    forward, again = program, rerun(split.known, "checkpoint")
    kept: tuple[Var, ...] = ()
    if policy is not None:
        flat = _inlined(split.known)
        kept = _kept(flat, policy)
        forward = prune(
            Program(flat.invars, flat.eqns, (*flat.outs[:count], *kept), flat.constvars, flat.consts, flat.name)
        )
        again = rerun(_continued(flat, kept), "checkpoint")

    def function(*args: Array) -> list[Array]:
        known, tangents = args[: len(nonzero) + len(kept)], args[len(nonzero) + len(kept) :]
        residuals = split.residuals(known[: len(nonzero)], evaluate(again, known))
        return evaluate(split.linear, [*residuals, *tangents])

    tangent_avals = [a.tangent for a, some in zip(program.in_avals, nonzero, strict=True) if some]
    avals = [*program.in_avals, *(var.aval for var in kept), *tangent_avals]
    return _Derived(forward, prune(stage(function, avals, program.name, "checkpoint")), split.present)


def _inlined(program: Program) -> Program:
    """The Program with the equations of the functions that it calls in the place of the calls."""
    eqns: list[Eqn] = []
    known: dict[Any, Any] = {}

    def walk(inner: Program) -> None:
        for eqn in inner.eqns:
            inputs = [known.get(atom, atom) for atom in eqn.inputs]
            if eqn.prim is not jit_p:
                eqns.append(Eqn(eqn.prim, inputs, eqn.outs, eqn.params, eqn.source))
                continue
            called = _renamed(eqn.params["program"])
            known.update(zip(called.invars, inputs, strict=True))
            consts.extend(zip(called.constvars, called.consts, strict=True))
            walk(called)
            known.update(zip(eqn.outs, [known.get(out, out) for out in called.outs], strict=True))

    consts = list(zip(program.constvars, program.consts, strict=True))
    walk(program)
    outs = [known.get(out, out) for out in program.outs]
    return Program(program.invars, eqns, outs, [v for v, _ in consts], [c for _, c in consts], program.name)


def _renamed(program: Program) -> Program:
    """The Program with variables of its own: it may be called twice."""
    return stage(program.__call__, program.in_avals, program.name, "checkpoint")


def _kept(program: Program, policy: Policy) -> tuple[Var, ...]:
    """What the policy wants to be kept, as far as the rest cannot do without it."""
    wanted: dict[Var, None] = {
        var: None
        for eqn in program.eqns
        if policy(eqn.prim, *(atom.aval for atom in eqn.inputs), **eqn.params)
        for var in _values(eqn, program)
    }
    rest = _continued(program, tuple(wanted))
    used = {atom for eqn in rest.eqns for atom in eqn.inputs} | set(rest.outs)
    return tuple(var for var in wanted if var in used)


def _values(eqn: Eqn, program: Program) -> Sequence[Var]:
    """What is kept of an equation: its results; of a name what it names, so that derivatives find it too."""
    if eqn.prim is not name_p:
        return eqn.outs
    return [atom for atom in eqn.inputs if isinstance(atom, Var) and atom not in (*program.invars, *program.constvars)]


def _continued(program: Program, kept: tuple[Var, ...]) -> Program:
    """The Program with variables that are known already as further arguments."""
    known = set(kept)
    eqns = [eqn for eqn in program.eqns if not known.issuperset(eqn.outs) or not eqn.outs]
    renamed = [
        Eqn(e.prim, e.inputs, [Var(v.aval) if v in known else v for v in e.outs], e.params, e.source) for e in eqns
    ]
    return prune(
        Program((*program.invars, *kept), renamed, program.outs, program.constvars, program.consts, program.name)
    )


def _linearize(
    primals: Sequence[Array], tangents: Sequence[Any], *, program: Program, policy: Policy | None = None
) -> tuple[list, list]:
    nonzero, present = present_tangents(tangents)
    derived = _derived(program, nonzero, policy)
    params = {} if policy is None else {"policy": policy}
    outs = checkpoint_p.bind(*primals, program=derived.forward, **params)
    count = len(program.outs)
    out_tangents = checkpoint_p.bind(*primals, *outs[count:], *present, program=derived.tangents, **params)
    return outs[:count], with_zeros(out_tangents, derived.present, program.out_avals)


def checkpoint(
    fun: Callable,
    *,
    prevent_cse: bool = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Iterable[str] = (),
) -> Callable:
    """`fun` with less memory in reverse mode: it is computed again instead of its intermediate values being kept.

    Args:
        fun: a pure function of pytrees of arrays.
        prevent_cse: accepted for JAX's sake.
        policy: what is kept beside the inputs: one of `checkpoint_policies`, or a function of the same kind. By default
            nothing is.
        static_argnums: positional arguments that are passed on as they are.
        static_argnames: names of arguments that are passed on as they are.

    Returns:
        A function with the same values and derivatives. Also called `remat`.

    >>> import nrx
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.sin(nrx.numpy.sin(x))))(0.0)
    Array(1., dtype=float32, weak_type=True)
    """

    check_function("checkpoint", fun)
    static, static_names = named_parameters("checkpoint", fun, "static", static_argnums, static_argnames)

    @functools.wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        dynamic = [i for i in range(len(args)) if i not in static]
        fixed = {name: value for name, value in kwargs.items() if name in static_names}
        partial = fix_arguments(fun, args, dynamic, fixed)
        varying = {name: value for name, value in kwargs.items() if name not in static_names}
        leaves, in_tree = flatten_call(fun, tuple(args[i] for i in dynamic), varying, dynamic)
        program, out_tree = stage_call(partial, [leaf.aval for leaf in leaves], in_tree, "checkpoint", dynamic)
        closed, consts = prune(program).closed()
        params = {} if policy is None else {"policy": policy}
        return tree_unflatten(out_tree, checkpoint_p.bind(*consts, *leaves, program=closed, **params))

    return checkpointed


remat = checkpoint


def _name_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, name: str) -> tuple[Array, Any]:
    return name_p.bind(*primals, name=name), tangents[0]


name_p = elementwise("name", lambda xp, x, name: x, MOVABLE, lambda x, name: x, cost=0, narrow=True)
nonlinear(name_p, _name_jvp)
checkpoint_p.define(linearize=_linearize).refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)
