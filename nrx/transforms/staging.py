"""Staging: running a function on tracers that record every operation into a Program."""

import functools
import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array, ConcreteArray, asarray
from nrx.core.aval import Aval
from nrx.core.check import check_program
from nrx.core.config import config, rare
from nrx.core.dtypes import canonical_dtype, is_inexact
from nrx.core.errors import Source, blame, user_source
from nrx.core.program import Atom, Eqn, Literal, Program, Var, evaluate
from nrx.core.pytree import PyTreeDef, tree_flatten, tree_flatten_with_path, tree_unflatten
from nrx.core.shapes import Shape, canonical_shape, show
from nrx.core.trace import Trace, Tracer, current_trace, leaked, name_of, new_trace
from nrx.transforms.flatten import (
    FlatFunction,
    argnums_tuple,
    argument_name,
    check_function,
    fix_arguments,
    flatten_call,
)


class StagingTracer(Tracer):
    """A variable of the Program being recorded."""

    __slots__ = ("_source", "_var", "aval")
    _trace: "StagingTrace"

    def __init__(self, trace: "StagingTrace", var: Var, source: Source | None):
        self._trace = trace
        self._var = var
        self.aval = var.aval
        self._source = source

    @property
    def source(self) -> Source | None:
        return self._source

    @property
    def depends_on(self) -> tuple[str, ...]:
        return self._trace.arguments_of(self._var)


class StagingTrace(Trace):
    """Records operations as equations. Values from outside become literals (scalars) or constants.

    Args:
        parent, name: as for every trace.
        names: gives, for messages, the names of the arguments.
    """

    __slots__ = ("arguments", "constants", "eqns", "names")

    def __init__(self, parent: Trace | None, name: str, names: Callable[[], Sequence[str]] | None = None):
        super().__init__(parent, name)
        self.eqns: list[Eqn] = []
        self.constants: dict[int, tuple[Var, Array]] = {}
        self.arguments: list[Var] = []
        self.names = names

    def argument(self, aval: Aval) -> StagingTracer:
        """A new variable that the Program will take as an argument."""
        self.arguments.append(Var(aval))
        return StagingTracer(self, self.arguments[-1], None)

    def arguments_of(self, var: Var) -> tuple[str, ...]:
        """The names of the arguments that a variable depends on."""
        if self.names is None:
            return ()
        needed: set[Atom] = {var}
        for eqn in reversed(self.eqns):
            if not needed.isdisjoint(eqn.outs):
                needed.update(eqn.inputs)
        return tuple(name for name, argument in zip(self.names(), self.arguments, strict=True) if argument in needed)

    def atom(self, value: Array) -> Atom:
        """The variable or literal that stands for a value in the Program."""
        if isinstance(value, StagingTracer) and value._trace is self:
            return value._var
        if isinstance(value, Tracer) and not value._trace.alive:
            raise leaked(value)
        if isinstance(value, ConcreteArray) and not value.aval.shape and value._device.platform == "cpu":
            return Literal(value)
        if id(value) not in self.constants:
            self.constants[id(value)] = (Var(value.aval), value)
        return self.constants[id(value)][0]

    def process(self, prim: Any, args: tuple, params: dict[str, Any]) -> Any:
        if prim.stage is not None:
            args, params = prim.stage(args, params)
        inputs = [self.atom(arg) for arg in args]
        out_avals = prim.infer(tuple([atom.aval for atom in inputs]), params)
        source = user_source()
        outs = [Var(aval) for aval in (out_avals if prim.multiple_results else (out_avals,))]
        self.eqns.append(Eqn(prim, inputs, outs, params, source))
        tracers = [StagingTracer(self, var, source) for var in outs]
        return tracers if prim.multiple_results else tracers[0]

    def program(self, arguments: Sequence[StagingTracer], results: Sequence[Array], name: str) -> Program:
        """What was recorded, as a Program from `arguments` to `results`."""
        outs = [self.atom(result) for result in results]
        constvars = [var for var, _ in self.constants.values()]
        consts = [value for _, value in self.constants.values()]
        program = Program([a._var for a in arguments], self.eqns, outs, constvars, consts, name)
        if config.debug_checks:
            check_program(program)
        return program


def stage(
    function: Callable[..., Sequence[Array]],
    avals: Sequence[Aval],
    name: str,
    caller: str = "jit",
    names: Callable[[], Sequence[str]] | None = None,
) -> Program:
    """Record a flat function of arrays of these avals as a Program; what it closes over become the constants."""
    trace = StagingTrace(current_trace(), f"{caller} of {name}", names)
    with new_trace(trace):
        arguments = [trace.argument(aval) for aval in avals]
        program = trace.program(arguments, function(*arguments), name)
    if rare and config.check_tracer_leaks:
        del arguments
        _check_leaks(trace)
    return program


def _check_leaks(trace: StagingTrace) -> None:
    """Raise LeakedTracerError for a tracer that somebody still holds, with the line that made it."""
    trace.constants.clear()
    gc.collect()
    for tracer in gc.get_objects():
        if type(tracer) is StagingTracer and tracer._trace is trace:
            with blame(tracer.source):
                raise leaked(tracer)


def stage_call(
    function: Callable,
    avals: Sequence[Aval],
    in_tree: PyTreeDef,
    caller: str,
    positions: Sequence[int] | None = None,
) -> tuple[Program, PyTreeDef]:
    """Record a function of pytrees; returns the Program and the structure of the result.

    `positions` says, for messages, where the arguments stand in the user's call, if there are others.
    """
    flat = FlatFunction(function, in_tree)

    def names() -> list[str]:
        numbered = tree_unflatten(in_tree, range(in_tree.num_leaves))
        return [argument_name(function, path, positions) for path, _ in tree_flatten_with_path(numbered)[0]]

    return stage(flat.__call__, avals, name_of(function), caller, names), flat.out_tree


class ShapeDtypeStruct:
    """The shape and dtype of an array without its values, as `eval_shape` gives and takes them.

    Args:
        shape: an int or a tuple of ints.
        dtype: anything that names a dtype.
        weak_type: whether it stands for Python scalars.

    >>> import nrx
    >>> nrx.eval_shape(nrx.numpy.sum, nrx.ShapeDtypeStruct((3, 2), "float32"))
    ShapeDtypeStruct(shape=(), dtype=float32)
    """

    __slots__ = ("aval",)

    def __init__(self, shape: Any, dtype: Any, weak_type: bool = False):
        self.aval = Aval(canonical_shape(shape), canonical_dtype(dtype), weak_type)

    @property
    def shape(self) -> Shape:
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        return self.aval.dtype

    @property
    def weak_type(self) -> bool:
        return self.aval.weak_type

    @property
    def ndim(self) -> int:
        return self.aval.ndim

    @property
    def size(self) -> int:
        return self.aval.size

    def __repr__(self) -> str:
        weak = ", weak_type=True" * self.weak_type
        return f"ShapeDtypeStruct(shape={show(self.shape)}, dtype={self.dtype.name}{weak})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and self.aval == other.aval

    def __hash__(self) -> int:
        return hash(self.aval)


def abstract_leaves(
    function: Callable, args: tuple, kwargs: dict, positions: Sequence[int] | None = None
) -> tuple[list[Aval], PyTreeDef]:
    """`flatten_call` for arguments that may be ShapeDtypeStructs; their avals."""
    leaves, in_tree = tree_flatten((args, kwargs))
    if all(isinstance(leaf, Array | ShapeDtypeStruct) for leaf in leaves):
        return [leaf.aval for leaf in leaves], in_tree
    stand_ins = [_StandIn(leaf.aval) if isinstance(leaf, ShapeDtypeStruct) else leaf for leaf in leaves]
    args, kwargs = tree_unflatten(in_tree, stand_ins)
    arrays, in_tree = flatten_call(function, args, kwargs, positions)
    return [array.aval for array in arrays], in_tree


class _StandIn(Array):
    __slots__ = ("aval",)

    def __init__(self, aval: Aval):
        self.aval = aval


def make_jaxpr(
    fun: Callable, static_argnums: int | Sequence[int] = (), *, return_shape: bool = False
) -> Callable[..., Any]:
    """A function that traces `fun` and returns the Program instead of running it.

    Args:
        fun: a function of pytrees of arrays.
        static_argnums: positional arguments to pass on as they are.
        return_shape: return a pair: the Program, and the tree of the result as `eval_shape` gives it.

    Returns:
        A function of the same arguments (arrays, or `ShapeDtypeStruct`s); print its result to read the Program.

    >>> import nrx
    >>> print(nrx.make_jaxpr(nrx.numpy.sin)(1.0))
    { lambda  ; a:f32[]* . let
        b:f32[]* = sin a
      in (b,) }
    """

    @functools.wraps(check_function("make_jaxpr", fun))
    def make(*args: Any, **kwargs: Any) -> Any:
        static = argnums_tuple(static_argnums, len(args), "static_argnums")
        dynamic = [i for i in range(len(args)) if i not in static]
        partial = fix_arguments(fun, args, dynamic)
        avals, in_tree = abstract_leaves(fun, tuple(args[i] for i in dynamic), kwargs, dynamic)
        program, out_tree = stage_call(partial, avals, in_tree, "make_jaxpr", dynamic)
        return (program, _structs(program, out_tree)) if return_shape else program

    return make


def _structs(program: Program, out_tree: PyTreeDef) -> Any:
    return tree_unflatten(out_tree, [ShapeDtypeStruct(a.shape, a.dtype, a.weak_type) for a in program.out_avals])


def eval_shape(fun: Callable, *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes of `function(*args, **kwargs)`, without computing anything.

    Args:
        fun: a function of pytrees of arrays.
        args, kwargs: its arguments: arrays, scalars or `ShapeDtypeStruct`s.

    Returns:
        The tree of the result with `ShapeDtypeStruct` leaves.

    >>> import nrx
    >>> nrx.eval_shape(lambda x: x @ x.T, nrx.ShapeDtypeStruct((3, 4), "float32"))
    ShapeDtypeStruct(shape=(3, 3), dtype=float32)
    """
    avals, in_tree = abstract_leaves(check_function("eval_shape", fun), args, kwargs)
    return _structs(*stage_call(fun, avals, in_tree, "eval_shape"))


def typeof(x: Any) -> Aval:
    """The shape, dtype and weak type of an array or number.

    Args:
        x: an array or a number.

    Returns:
        An aval, printed as in Programs.

    >>> import nrx
    >>> nrx.typeof(nrx.numpy.ones(3)), nrx.typeof(1.0)
    (f32[3], f32[]*)
    """
    return asarray(x).aval


def closure_convert(fun: Callable, *example_args: Any) -> tuple[Callable, list[Array]]:
    """`fun` without the traced values that it closes over, which become arguments.

    Args:
        fun: a function of pytrees of arrays; for functions with a `custom_vjp` that get it as an argument.
        *example_args: arguments (arrays or `ShapeDtypeStruct`s) for which it is traced.

    Returns:
        `(converted, consts)`: `converted(*args, *consts)` is `function(*args)` for arguments of these types. `consts`
        are the floating or complex values that an enclosing transformation traces.

    >>> import nrx
    >>> def f(x):
    ...     converted, consts = nrx.closure_convert(lambda y: x * y, 1.0)
    ...     return converted(2.0, *consts) + len(consts)
    >>> nrx.grad(f)(3.0)
    Array(2., dtype=float32, weak_type=True)
    """
    avals, in_tree = abstract_leaves(check_function("closure_convert", fun), example_args, {})
    program, out_tree = stage_call(fun, avals, in_tree, "closure_convert")
    hoisted = [isinstance(c, Tracer) and is_inexact(c.dtype) for c in program.consts]
    consts = [c for c, is_hoisted in zip(program.consts, hoisted, strict=True) if is_hoisted]

    @functools.wraps(fun)
    def converted(*args_and_consts: Any) -> Any:
        count = len(args_and_consts) - len(consts)
        leaves, _ = flatten_call(fun, args_and_consts[:count], {})
        given = iter(args_and_consts[count:])
        values = [next(given) if h else c for c, h in zip(program.consts, hoisted, strict=True)]
        opened = Program((*program.constvars, *program.invars), program.eqns, program.outs, name=program.name)
        return tree_unflatten(out_tree, evaluate(opened, [*values, *leaves]))

    return converted, consts
