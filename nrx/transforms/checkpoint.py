"""`checkpoint`: keep the inputs of a function instead of its residuals, and compute it again in the backward pass."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from nrx.core.array import Array
from nrx.core.program import Program, evaluate, prune
from nrx.core.pytree import tree_unflatten
from nrx.ops.common import NOT_YET_LOWERED
from nrx.transforms.calls import call_primitive, present_tangents, rerun
from nrx.transforms.flatten import argnums_tuple, check_function, fix_arguments, flatten_call
from nrx.transforms.forward import with_zeros
from nrx.transforms.linearize import linearize_program
from nrx.transforms.staging import stage, stage_call

checkpoint_p = call_primitive("checkpoint")


def _tangent_program(program: Program, nonzero: tuple[bool, ...]) -> tuple[Program, tuple[bool, ...]]:
    """From the arguments and tangents to the tangents of the results: what is transposed computes the values again."""

    def derive() -> tuple[Program, tuple[bool, ...]]:
        split = linearize_program(program, nonzero)
        known = rerun(split.known, "checkpoint")

        def function(*args: Array) -> list[Array]:
            primals, tangents = args[: len(nonzero)], args[len(nonzero) :]
            residuals = split.residuals(primals, evaluate(known, primals))
            return evaluate(split.linear, [*residuals, *tangents])

        tangent_avals = [a.tangent for a, some in zip(program.in_avals, nonzero, strict=True) if some]
        return prune(stage(function, [*program.in_avals, *tangent_avals], program.name, "checkpoint")), split.present

    return program.remember(("checkpoint", nonzero), derive)


def _linearize(primals: Sequence[Array], tangents: Sequence[Any], *, program: Program) -> tuple[list, list]:
    nonzero, present = present_tangents(tangents)
    derived, out_nonzero = _tangent_program(program, nonzero)
    outs = checkpoint_p.bind(*primals, program=program)
    return outs, with_zeros(checkpoint_p.bind(*primals, *present, program=derived), out_nonzero, program.out_avals)


def checkpoint(
    function: Callable, *, prevent_cse: bool = True, policy: Any = None, static_argnums: int | Sequence[int] = ()
) -> Callable:
    """`function` with less memory in reverse mode: it is computed again instead of its intermediate values being kept.

    Args:
        function: a pure function of pytrees of arrays.
        prevent_cse, policy: accepted for JAX's sake; only the inputs are kept, whatever the policy.
        static_argnums: positional arguments that are passed on as they are.

    Returns:
        A function with the same values and derivatives. Also called `remat`.

    >>> import nrx
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.sin(nrx.numpy.sin(x))))(0.0)
    Array(1., dtype=float32, weak_type=True)
    """

    @functools.wraps(check_function("checkpoint", function))
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        static = argnums_tuple(static_argnums, len(args), "static_argnums")
        dynamic = [i for i in range(len(args)) if i not in static]
        partial = fix_arguments(function, args, dynamic)
        leaves, in_tree = flatten_call(function, tuple(args[i] for i in dynamic), kwargs, dynamic)
        program, out_tree = stage_call(partial, [leaf.aval for leaf in leaves], in_tree, "checkpoint", dynamic)
        closed, consts = prune(program).closed()
        return tree_unflatten(out_tree, checkpoint_p.bind(*consts, *leaves, program=closed))

    return checkpointed


remat = checkpoint

checkpoint_p.define(linearize=_linearize).refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)
