"""Rules shared by primitives that call a Program once: `jit` and `checkpoint`.

Each rule derives a new Program (the jvp, the linearization, the transpose, the batched form), remembered with the old
one, and calls that by the same primitive.
"""

from collections.abc import Sequence
from typing import Any

from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.backend import Raw, Runner
from nrx.core.errors import DifferentiationError
from nrx.core.primitive import Primitive
from nrx.core.program import Program, without_effects
from nrx.transforms.batching import Axis, batch_program
from nrx.transforms.forward import jvp_program, with_zeros
from nrx.transforms.linearize import linearize_program
from nrx.transforms.transpose import transpose_program


def present_tangents(tangents: Sequence[Any]) -> tuple[tuple[bool, ...], list[Array]]:
    """Which tangents are not zero, and those."""
    nonzero = tuple(not isinstance(t, Zero) for t in tangents)
    return nonzero, [t for t in tangents if not isinstance(t, Zero)]


def rerun(program: Program, what: str) -> Program:
    """The Program to be run a second time in a derivative, without the effects that the first run had."""
    quiet = without_effects(program)
    if quiet.has_effects:
        raise DifferentiationError(
            f"the derivative of {what} runs {program.name} again, whose results depend on an io_callback",
            fix="call io_callback outside, and pass its results as arguments",
        )
    return quiet


def call_primitive(name: str) -> Primitive:
    """A primitive that runs its `program` param, with all rules but `linearize`."""
    prim = Primitive(name, multiple_results=True, higher_order=True)
    prim.call_program = "program"

    def impl(
        runner: Runner,
        *raws: Raw,
        program: Program,
        donated: tuple[bool, ...] = (),
        constants: int = 0,
        **params: Any,
    ) -> list[Raw]:
        return runner.run(program, raws, donated, constants)

    def abstract(*avals: Aval, program: Program, **params: Any) -> tuple[Aval, ...]:
        return program.out_avals

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], *, program: Program, **params: Any) -> tuple[list, list]:
        nonzero, present = present_tangents(tangents)
        derived, out_nonzero = jvp_program(program, nonzero)
        outs = prim.bind(*primals, *present, program=derived, **params)
        count = len(program.outs)
        return outs[:count], with_zeros(outs[count:], out_nonzero, program.out_avals)

    def transpose(cts: Sequence[Any], *args: Any, program: Program, **params: Any) -> list[Any]:
        linear = tuple(isinstance(arg, Linear) for arg in args)
        nonzero, present = present_tangents(cts)
        derived, out_nonzero = transpose_program(program, linear, nonzero)
        known = [arg for arg in args if not isinstance(arg, Linear)]
        pulled = prim.bind(*known, *present, program=derived, **params)
        filled = iter(with_zeros(pulled, out_nonzero, [arg.aval for arg in args if isinstance(arg, Linear)]))
        return [next(filled) if is_linear else None for is_linear in linear]

    def batch(axis: Axis, args: Sequence[Array], dims: Sequence[Any], *, program: Program, **params: Any) -> Any:
        derived, out_dims = batch_program(program, axis, tuple(dims))
        return prim.bind(*args, program=derived, **params), list(out_dims)

    return prim.define(impl=impl, abstract=abstract, jvp=jvp, transpose=transpose, batch=batch)


def linearize_call(prim: Primitive) -> Any:
    """The linearize rule: one call for the values and residuals, one, recorded, for the tangents."""

    def linearize(
        primals: Sequence[Array], tangents: Sequence[Any], *, program: Program, **params: Any
    ) -> tuple[list, list]:
        nonzero, present = present_tangents(tangents)
        split = linearize_program(program, nonzero)
        outs = prim.bind(*primals, program=split.known, **params)
        residuals = split.residuals(primals, outs)
        out_tangents = prim.bind(*residuals, *present, program=split.linear, **params)
        return outs[: len(program.outs)], with_zeros(out_tangents, split.present, program.out_avals)

    return linearize
