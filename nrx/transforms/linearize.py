"""Linearization: run a function once and keep its derivative at that point as a linear Program.

`linearize` is forward mode in which tangents are recorded instead of computed. Every jvp rule runs under a `ForkTrace`:
what it does to values alone happens at once, in the enclosing trace; what touches a tangent is recorded. The record is
linear in the tangents, its constants are the residuals, and its transpose is reverse mode (`transforms.transpose`).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.core.array import Array, ConcreteArray
from nrx.core.aval import Aval, Zero
from nrx.core.dtypes import is_inexact
from nrx.core.program import Program, Var, evaluate, prune
from nrx.core.pytree import Partial, tree_unflatten
from nrx.core.trace import Trace, bind_with, current_trace, describe_caller, new_trace, use_trace
from nrx.transforms.flatten import FlatFunction, check_function, flatten_call
from nrx.transforms.forward import JVPTrace, flatten_tangents, public_tangent, with_zeros
from nrx.transforms.staging import StagingTrace, StagingTracer, stage


class ForkTrace(Trace):
    """Sends operations on tangents to be recorded, all others to the enclosing trace."""

    __slots__ = ("tangents",)

    def __init__(self, parent: Trace, tangents: StagingTrace):
        super().__init__(parent, parent.name)
        self.tangents = tangents

    def is_tangent(self, value: Any) -> bool:
        return isinstance(value, StagingTracer) and value._trace is self.tangents

    def process(self, prim: Any, args: tuple, params: dict[str, Any]) -> Any:
        if not any(map(self.is_tangent, args)):
            return bind_with(self.parent, prim, args, params)
        program = params[prim.call_program] if prim.call_program is not None else None
        if program is not None and (program.has_effects or not self._all_depend(program, args)):
            return evaluate(program, args)
        return bind_with(self.tangents, prim, args, params)

    def _all_depend(self, program: Program, args: tuple) -> bool:
        """Whether every result of a call depends on a tangent (else the call is forked equation by equation)."""
        dependent = {var for var, arg in zip(program.invars, args, strict=True) if self.is_tangent(arg)}
        for eqn in program.eqns:
            if not dependent.isdisjoint(eqn.inputs):
                dependent.update(eqn.outs)
        return all(out in dependent for out in program.outs)


class LinearizeTrace(JVPTrace):
    """Applies jvp rules, or linearize rules where there are any, under a fork."""

    __slots__ = ("fork",)

    def __init__(self, parent: Trace, tangents: StagingTrace, name: str):
        super().__init__(parent, name)
        self.fork = ForkTrace(parent, tangents)

    def apply(self, prim: Any, primals: list[Array], tangents: list[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        with use_trace(self.fork):
            out, tangent = (prim.linearize or prim.jvp)(primals, tangents, **params)
        if any(map(self.fork.is_tangent, out if prim.multiple_results else [out])):
            # A user's rule that takes values and tangents through one loop or branch: the values once more, alone.
            out = bind_with(self.parent, prim, primals, params)
        return out, tangent


class LinearFunction(NamedTuple):
    """A derivative: `program` maps the tangents of some arguments to those of some results.

    Fields:
        program: its constants are the residuals, values of the trace it was made under.
        wrt: which arguments it takes tangents of.
        present: which results have a tangent; the others' are zero.
        out_avals: the avals of all results.
    """

    program: Program
    wrt: tuple[bool, ...]
    present: tuple[bool, ...]
    out_avals: tuple[Aval, ...]

    def __call__(self, tangents: Sequence[Any]) -> list[Any]:
        """The tangents of all results from those of the arguments it takes (after residuals that are no constants)."""
        return with_zeros(evaluate(self.program, tangents), self.present, self.out_avals)


def linearize_flat(
    function: Callable, primals: Sequence[Array], wrt: Sequence[bool] | None = None, name: str = "linearize"
) -> tuple[list[Array], LinearFunction]:
    """The results of a flat function and its derivative with respect to the arguments `wrt` (all inexact ones)."""
    wrt = tuple(is_inexact(p.dtype) for p in primals) if wrt is None else tuple(wrt)
    parent = current_trace()
    tangents = StagingTrace(parent, name)
    trace = LinearizeTrace(parent, tangents, name)
    arguments = [tangents.argument(p.aval.tangent) for p, some in zip(primals, wrt, strict=True) if some]
    with new_trace(trace):
        inputs = with_zeros(arguments, wrt, [p.aval for p in primals])
        outs = function(*[trace.join(p, t) for p, t in zip(primals, inputs, strict=True)])
        pairs = [trace.split(out) for out in outs]
    tangents.alive = trace.fork.alive = False
    present = tuple(not isinstance(t, Zero) for _, t in pairs)
    program = prune(tangents.program(arguments, [t for _, t in pairs if not isinstance(t, Zero)], name))
    values = [p for p, _ in pairs]
    return values, LinearFunction(program, wrt, present, tuple(v.aval for v in values))


class SplitProgram(NamedTuple):
    """A Program linearized.

    Fields:
        known: from the arguments to the results and, after them, `saved` residuals.
        linear: from all residuals and the tangents of the arguments `wrt` to the tangents of the results `present`.
        sources: where each residual comes from: `("in", i)`, an argument, or `("out", i)`, a result of `known`.
        present: which results have tangents.
    """

    known: Program
    linear: Program
    sources: tuple[tuple[str, int], ...]
    present: tuple[bool, ...]

    def residuals(self, arguments: Sequence[Any], results: Sequence[Any]) -> list[Any]:
        """The residuals, from the arguments and all results of `known`."""
        return [(arguments if kind == "in" else results)[position] for kind, position in self.sources]


def linearize_program(program: Program, wrt: tuple[bool, ...], forced: tuple[bool, ...] | None = None) -> SplitProgram:
    """Split a Program (without tracers among its constants) into its values and its derivative.

    Args:
        program: what to linearize.
        wrt: which arguments have tangents.
        forced: which results must have tangents, be they zero.
    """
    return program.remember(("linearize", wrt, forced), _linearize_program, program, wrt, forced)


def _linearize_program(program: Program, wrt: tuple[bool, ...], forced: tuple[bool, ...] | None) -> SplitProgram:
    trace = StagingTrace(current_trace(), f"linearize of {program.name}")
    with new_trace(trace):
        primals = [trace.argument(aval) for aval in program.in_avals]
        outs, linear = linearize_flat(program.__call__, primals, wrt, program.name)
        residuals = [c for c in linear.program.consts if not isinstance(c, ConcreteArray)]
        known = trace.program(primals, outs + residuals, program.name)
    count = len(program.outs)
    sources = []
    kept = list(known.outs[:count])
    for atom in known.outs[count:]:
        if isinstance(atom, Var) and atom in known.invars:
            sources.append(("in", known.invars.index(atom)))
        else:
            sources.append(("out", len(kept)))
            kept.append(atom)
    known = prune(Program(known.invars, known.eqns, kept, known.constvars, known.consts, known.name))
    return SplitProgram(known, *_linear_part(linear, forced or (False,) * count, tuple(sources)))


def _linear_part(linear: LinearFunction, forced: tuple[bool, ...], sources: tuple) -> tuple[Program, tuple, tuple]:
    """The linear Program with its traced residuals as leading arguments and tangents for the results `forced`."""
    inner = linear.program
    fixed = [isinstance(c, ConcreteArray) for c in inner.consts]
    residual_vars = [v for v, concrete in zip(inner.constvars, fixed, strict=True) if not concrete]
    constvars = [v for v, concrete in zip(inner.constvars, fixed, strict=True) if concrete]
    consts = [c for c, concrete in zip(inner.consts, fixed, strict=True) if concrete]
    opened = Program((*residual_vars, *inner.invars), inner.eqns, inner.outs, constvars, consts, inner.name)
    present = tuple(some or force for some, force in zip(linear.present, forced, strict=True))
    if present == linear.present:
        return opened, sources, present

    def function(*args: Array) -> list[Array]:
        outs = with_zeros(evaluate(opened, args), linear.present, linear.out_avals)
        return [public_tangent(t) for t, some in zip(outs, present, strict=True) if some]

    return stage(function, opened.in_avals, opened.name, "linearize"), sources, present


def linearize(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """The value of `fun` at `primals` and a function that applies its derivative there.

    Args:
        fun: a function of pytrees of arrays.
        *primals: its positional arguments.
        has_aux: `fun` returns `(value, aux)`.

    Returns:
        `(value, f_jvp)` or `(value, f_jvp, aux)`. `f_jvp(*tangents)` gives the tangent of the value, of its shapes and
        dtypes; `fun` is not run again, so many directions at one point are cheaper than by `jvp`. It is a pytree of
        the values that it keeps: a jitted function may return it.

    >>> import nrx
    >>> y, f_jvp = nrx.linearize(lambda x: x * x, 3.0)
    >>> f_jvp(1.0)
    Array(6., dtype=float32, weak_type=True)
    """
    values, in_tree = flatten_call(check_function("linearize", fun), primals, {})
    flat = FlatFunction(fun, in_tree, has_aux)
    outs, linear = linearize_flat(flat, values, name=describe_caller("linearize", fun))

    program, residuals = linear.program.closed()
    opened = linear._replace(program=program)
    in_avals, out_tree, count = [v.aval for v in values], flat.out_tree, flat.count

    def push(residuals: Sequence[Array], *tangents: Any) -> Any:
        directions = flatten_tangents(fun, in_avals, in_tree, tangents)
        out = opened([*residuals, *(t for t, some in zip(directions, opened.wrt, strict=True) if some)])
        return tree_unflatten(out_tree, [public_tangent(t) for t in out[:count]])

    result = (flat.result(outs), Partial(push, residuals))
    return (*result, flat.aux(outs)) if has_aux else result
