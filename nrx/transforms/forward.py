"""Forward mode: `jvp`, and the trace that pairs every value with its tangent."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array, asarray
from nrx.core.aval import Aval, Zero
from nrx.core.dtypes import float0
from nrx.core.errors import DTypeError, ShapeError, Source, TracerConversionError, TreeError
from nrx.core.program import Program
from nrx.core.pytree import PyTreeDef, structure_difference, tree_flatten, tree_flatten_with_path
from nrx.core.shapes import show
from nrx.core.trace import (
    Trace,
    Tracer,
    bind_with,
    current_trace,
    describe_caller,
    leaked,
    name_of,
    new_trace,
    use_trace,
)
from nrx.ops.structural import convert_element_type, instantiate
from nrx.transforms.flatten import FlatFunction, argument_name, check_function, describe, flatten_call
from nrx.transforms.staging import stage


class JVPTracer(Tracer):
    """A value with its tangent."""

    __slots__ = ("aval", "primal", "tangent")

    def __init__(self, trace: "JVPTrace", primal: Array, tangent: Array):
        self._trace = trace
        self.aval = primal.aval
        self.primal = primal
        self.tangent = tangent

    def __repr__(self) -> str:
        return f"{super().__repr__()} of {self.primal!r}"

    # Truth values and integers do not vary, so the primal's are right; a float would lose its derivative unseen.
    def __bool__(self) -> bool:
        return self._living().__bool__()

    def __int__(self) -> int:
        return self._living().__int__()

    def __index__(self) -> int:
        return self._living().__index__()

    def _living(self) -> Any:
        if not self._trace.alive:
            raise leaked(self)
        return self.primal

    def _no_number(self, call: str) -> Any:
        return self._unknown(
            TracerConversionError,
            f"{call} would lose the derivative of {self._explain()}",
            "keep it an array, or say that its derivative is not wanted: nrx.lax.stop_gradient(x)",
        )

    @property
    def source(self) -> Source | None:
        return self.primal.source if isinstance(self.primal, Tracer) else None

    @property
    def depends_on(self) -> tuple[str, ...]:
        return self.primal.depends_on if isinstance(self.primal, Tracer) else ()


class JVPTrace(Trace):
    """Applies jvp rules."""

    __slots__ = ()

    def split(self, value: Array) -> tuple[Array, Any]:
        """The primal and the tangent of a value."""
        if isinstance(value, JVPTracer) and value._trace is self:
            return value.primal, value.tangent
        return value, Zero(value.aval.tangent)

    def join(self, primal: Array, tangent: Any) -> Array:
        """A value with its tangent; a zero tangent needs no tracer."""
        return primal if isinstance(tangent, Zero) else JVPTracer(self, primal, tangent)

    def process(self, prim: Any, args: tuple, params: dict[str, Any]) -> Any:
        pairs = [self.split(arg) for arg in args]
        primals = [primal for primal, _ in pairs]
        tangents = [tangent for _, tangent in pairs]
        if all(isinstance(t, Zero) for t in tangents):
            return bind_with(self.parent, prim, primals, params)
        out, tangent = self.apply(prim, primals, tangents, params)
        if prim.multiple_results:
            return [self.join(p, t) for p, t in zip(out, tangent, strict=True)]
        return self.join(out, tangent)

    def apply(self, prim: Any, primals: list[Array], tangents: list[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """The results of a primitive, and their tangents."""
        with use_trace(self.parent):
            return prim.jvp(primals, tangents, **params)


def jvp_flat(
    function: Callable, primals: Sequence[Array], tangents: Sequence[Any], name: str = "jvp"
) -> tuple[list[Array], list[Any]]:
    """jvp of a flat function; tangents, given and returned, may be `Zero`."""
    trace = JVPTrace(current_trace(), name)
    with new_trace(trace):
        outs = function(*[trace.join(p, t) for p, t in zip(primals, tangents, strict=True)])
    pairs = [trace.split(out) for out in outs]
    return [p for p, _ in pairs], [t for _, t in pairs]


def jvp_program(
    program: Program, nonzero: tuple[bool, ...], forced: tuple[bool, ...] | None = None
) -> tuple[Program, tuple[bool, ...]]:
    """The jvp of a Program as a Program.

    Args:
        program: without tracers among its constants.
        nonzero: which arguments have tangents.
        forced: which results must have tangents even if they are zero.

    Returns:
        A Program from the arguments and the tangents present to the results and the tangents present, and which are.
    """

    def derive() -> tuple[Program, tuple[bool, ...]]:
        present: list[bool] = []

        def function(*args: Array) -> list[Array]:
            primals = args[: len(nonzero)]
            tangents = with_zeros(args[len(nonzero) :], nonzero, program.in_avals)
            outs, out_tangents = jvp_flat(program, primals, tangents)
            must = forced or (False,) * len(outs)
            present[:] = [force or not isinstance(t, Zero) for t, force in zip(out_tangents, must, strict=True)]
            return outs + [instantiate(t) for t, some in zip(out_tangents, present, strict=True) if some]

        tangent_avals = [a.tangent for a, some in zip(program.in_avals, nonzero, strict=True) if some]
        return stage(function, [*program.in_avals, *tangent_avals], program.name, "jvp"), tuple(present)

    return program.remember(("jvp", nonzero, forced), derive)


def with_zeros(values: Sequence[Any], present: Sequence[bool], avals: Sequence[Aval]) -> list[Any]:
    """The tangents that are present, with `Zero` in the other places."""
    rest = iter(values)
    return [next(rest) if some else Zero(aval.tangent) for some, aval in zip(present, avals, strict=True)]


def jvp(fun: Callable, primals: Any, tangents: Any, has_aux: bool = False) -> tuple:
    """The value of `fun` and its derivative in the direction `tangents` (forward mode).

    Args:
        fun: a function of pytrees of arrays.
        primals: a tuple or list of its positional arguments.
        tangents: as `primals`; leaves of the same shapes and dtypes. For integer and boolean leaves the tangent has
            dtype `float0` (and no information).
        has_aux: `fun` returns `(value, aux)`, where aux is passed through.

    Returns:
        `(value, tangent)`, or `(value, tangent, aux)`.

    Raises:
        TreeError: primals and tangents differ in structure.
        ShapeError, DTypeError: a tangent does not fit its primal; the message names the argument.

    >>> import nrx
    >>> nrx.jvp(lambda x: x * x, (3.0,), (1.0,))
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    for what, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise TreeError(
                f"jvp: {what} must be a tuple or list of arguments, got {describe(given)}",
                fix="write jvp(f, (x,), (t,)) for one argument",
            )
    values, in_tree = flatten_call(check_function("jvp", fun), tuple(primals), {})
    directions = flatten_tangents(fun, [v.aval for v in values], in_tree, tuple(tangents))
    flat = FlatFunction(fun, in_tree, has_aux)
    outs, out_tangents = jvp_flat(flat, values, directions, describe_caller("jvp", fun))
    result = flat.result(outs), flat.result([public_tangent(t) for t in out_tangents])
    return (*result, flat.aux(outs)) if has_aux else result


def flatten_tangents(function: Callable, primals: Sequence[Aval], in_tree: PyTreeDef, tangents: tuple) -> list[Any]:
    """The leaves of a tuple of tangents, checked against the avals of the primals they belong to."""
    leaves, tree = tree_flatten((tangents, {}))
    if tree != in_tree:
        raise TreeError(
            f"primals and tangents of {name_of(function)} differ: "
            f"{structure_difference(in_tree.children()[0], tree.children()[0])}",
            fix="pass one tangent for every primal",
        )
    paths = [path for path, _ in tree_flatten_with_path((tangents, {}))[0]]
    return [
        checked_tangent(leaf, primal, f"the tangent of {argument_name(function, path)}")
        for leaf, primal, path in zip(leaves, primals, paths, strict=True)
    ]


def checked_tangent(tangent: Any, primal: Aval, what: str) -> Any:
    """A tangent or cotangent given by the user, as an Array or Zero that fits `primal`."""
    expected = primal.tangent
    if expected.dtype == float0:
        if getattr(tangent, "dtype", None) != float0:
            raise DTypeError(
                f"{what} must have dtype float0, since {primal} cannot vary", fix="pass numpy.zeros(shape, nrx.float0)"
            )
        return Zero(expected)
    array = asarray(tangent, what)
    if array.shape != expected.shape:
        raise ShapeError(
            f"{what} has shape {show(array.shape)}, the value has shape {show(primal.shape)}", fix="make them equal"
        )
    if array.dtype != expected.dtype:
        if not (array.weak_type or primal.weak_type):
            raise DTypeError(f"{what} has dtype {array.dtype}, the value {primal.dtype}", fix="convert it with .astype")
        array = convert_element_type(array, expected.dtype, expected.weak_type)
    return array


def public_tangent(tangent: Any) -> Any:
    """A tangent as users see it: zeros are arrays, those of integers of dtype float0."""
    if isinstance(tangent, Zero) and tangent.aval.dtype == float0:
        return np.zeros(tangent.aval.shape, float0)
    return instantiate(tangent)
