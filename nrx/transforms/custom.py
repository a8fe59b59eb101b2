"""Functions with derivative rules of the user's: `custom_jvp`, `custom_vjp`; and `stop_gradient`.

A call binds a primitive whose params are flat Python functions. Evaluation runs them as they are; staging replaces the
function by its Program and keeps the rules as functions, which run when the Program is differentiated.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.core.array import Array, asarray
from nrx.core.aval import Aval, Zero
from nrx.core.backend import Raw, Runner
from nrx.core.dtypes import float0, is_inexact
from nrx.core.errors import ArgumentError, ArgumentTypeError, DifferentiationError, TreeError, blame
from nrx.core.primitive import Primitive
from nrx.core.program import Program
from nrx.core.pytree import PyTreeDef, structure_difference, tree_flatten, tree_leaves, tree_map, tree_unflatten
from nrx.core.trace import Tracer, name_of
from nrx.ops.common import MOVABLE, NOT_YET_LOWERED
from nrx.ops.rules import discrete, elementwise
from nrx.ops.structural import instantiate, move_axis, reduce_sum, spread
from nrx.transforms.batching import Axis, batch_flat
from nrx.transforms.flatten import (
    FlatFunction,
    argnums_tuple,
    check_function,
    describe,
    fix_arguments,
    flatten_arrays,
    flatten_call,
    named_parameters,
    positional_name,
    prefix_leaves,
)  # fmt: skip
from nrx.transforms.forward import checked_tangent, public_tangent
from nrx.transforms.staging import stage

custom_jvp_p = Primitive("custom_jvp", multiple_results=True, higher_order=True)
custom_vjp_p = Primitive("custom_vjp", multiple_results=True, higher_order=True)
custom_pullback_p = Primitive("custom_pullback", multiple_results=True, higher_order=True)
_INLINED = "compilers run its Program in its place"


# Custom forward rules. Params: `call` is a flat function or, once staged, a Program; `rule(primals, tangents)` gives
# the flat results and their tangents, with `Zero` for tangents of integers.


def _eager(args: Sequence[Array], params: dict[str, Any]) -> list[Array]:
    return params["call"](*args)


def _stage(args: Sequence[Array], params: dict[str, Any]) -> tuple[Sequence[Array], dict[str, Any]]:
    """The call with a Program. Traced arrays that the function closes over become operands, of which the rule knows
    nothing: it serves derivatives that are taken before the call is staged, as by `jit` of `grad`, not after."""
    if isinstance(params["call"], Program):
        return args, params
    program = stage(params["call"], [a.aval for a in args], params["name"], "custom derivative")
    if not any(isinstance(const, Tracer) for const in program.consts):
        return args, {**params, "call": program}
    opened, closed_over = program.closed()
    rule = "rule" if "rule" in params else "forward"
    return (*closed_over, *args), {**params, "call": opened, rule: _UnknownRule(params["name"])}


class _UnknownRule:
    """The rule of a staged function that closes over traced arrays."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, *args: Any) -> Any:
        raise DifferentiationError(
            f"{self.name} has a custom derivative and closes over a traced array, of which the rule knows nothing",
            fix="pass the array as an argument",
        )


def _impl(runner: Runner, *raws: Raw, call: Program, **params: Any) -> list[Raw]:
    return runner.interpret(call, raws)


def _abstract(*avals: Aval, call: Program, **params: Any) -> tuple[Aval, ...]:
    return call.out_avals


def _custom_jvp_jvp(
    primals: Sequence[Array], tangents: Sequence[Any], *, call: Any, rule: Callable, name: str
) -> tuple[list[Array], list[Any]]:
    with blame(None):
        return rule(primals, [t if t.aval.dtype == float0 else instantiate(t) for t in tangents])


class _Mapped:
    """A function over one more axis. It and its rules run under the same mapping, so that they find mapped what they
    close over; all their results have the axis in front, or none does: as the first run finds.

    Args:
        axis: the axis.
        dims: where it is in the arguments.
    """

    def __init__(self, axis: Axis, dims: Sequence[int | None], name: str):
        self.axis, self.dims, self.name = axis, tuple(dims), name
        self.varies = True if any(dim is not None for dim in dims) else None

    @property
    def dim(self) -> int | None:
        """Where the axis is in the results."""
        return 0 if self.varies else None

    def settle(self, values: Sequence[Array], dims: Sequence[int | None]) -> list[Array]:
        """Results of a run, with the axis at `dim`."""
        if self.varies is None:
            self.varies = any(dim is not None for dim in dims)
        if self.varies:
            return [spread(value, dim, self.axis.size) for value, dim in zip(values, dims, strict=True)]
        if any(dim is not None for dim in dims):
            raise DifferentiationError(
                f"a rule of {self.name} closes over a value that a vmap maps, and {self.name} itself does not",
                fix="pass the value as an argument",
            )
        return list(values)

    def call(self, function: Callable) -> Callable:
        """The function of the arguments with the axis."""
        return lambda *values: self.settle(*batch_flat(function, self.axis, values, self.dims))


def _custom_jvp_batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, call: Any, rule: Callable, name: str
) -> tuple[list[Array], list[int | None]]:
    mapped = _Mapped(axis, dims, name)

    def batched_rule(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[list[Array], list[Any]]:
        present = [not isinstance(t, Zero) for t in tangents]
        frame: list[Any] = []

        def flat(*values: Array) -> list[Array]:
            unbatched = [Zero(v.aval.tangent) for v in values[: len(args)]]
            rest = iter(values[len(args) :])
            given = [next(rest) if some else zero for some, zero in zip(present, unbatched, strict=True)]
            outs, out_tangents = rule(values[: len(args)], given)
            frame[:] = [len(outs), [isinstance(t, Zero) for t in out_tangents]]
            return [*outs, *(t for t in out_tangents if not isinstance(t, Zero))]

        tangent_dims = [d for d, some in zip(dims, present, strict=True) if some]
        values = [*primals, *(t for t in tangents if not isinstance(t, Zero))]
        results = mapped.settle(*batch_flat(flat, axis, values, [*dims, *tangent_dims]))
        count, zeros = frame
        rest = iter(results[count:])
        outs = results[:count]
        return outs, [Zero(o.aval.tangent) if zero else next(rest) for o, zero in zip(outs, zeros, strict=True)]

    outs = custom_jvp_p.bind(*args, call=mapped.call(call), rule=batched_rule, name=name)
    return outs, [mapped.dim] * len(outs)


# Custom reverse rules. Params: `call` as above; `forward(*args)` gives the flat results, the residuals and a function
# `pull(residuals, cts)` that gives the flat cotangents of the arguments, with `Zero` for those of integers.


def _custom_vjp_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, name: str, **params: Any) -> Any:
    raise DifferentiationError(
        f"forward mode (jvp, jacfwd, hessian) through {name}, which has a custom_vjp: a rule for reverse mode only",
        fix="use reverse mode (grad, vjp, jacrev), or define the function with custom_jvp, which serves both",
    )


def _custom_vjp_linearize(
    primals: Sequence[Array], tangents: Sequence[Any], *, call: Any, forward: Callable, name: str
) -> tuple[list[Array], list[Any]]:
    with blame(None):
        outs, residuals, pull = forward(*primals)
    nonzero = tuple(not isinstance(t, Zero) for t in tangents)
    varying = tuple(is_inexact(out.dtype) for out in outs)
    out_tangents = iter(
        custom_pullback_p.bind(
            *residuals,
            *(t for t in tangents if not isinstance(t, Zero)),
            pull=pull,
            nonzero=nonzero,
            varying=varying,
            out_avals=tuple(out.aval.tangent for out in outs),
            name=name,
        )
    )
    return outs, [next(out_tangents) if v else Zero(o.aval.tangent) for o, v in zip(outs, varying, strict=True)]


def _custom_vjp_batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, call: Any, forward: Callable, name: str
) -> tuple[list[Array], list[int | None]]:
    mapped = _Mapped(axis, dims, name)

    def batched_forward(*values: Array) -> tuple[list[Array], list[Array], Callable]:
        frame: list[Any] = []

        def flat(*inner: Array) -> list[Array]:
            outs, residuals, pull = forward(*inner)
            frame[:] = [len(outs), pull]
            return [*outs, *residuals]

        results, found = batch_flat(flat, axis, values, dims)
        count, pull = frame
        outs = mapped.settle(results[:count], found[:count])
        return outs, results[count:], functools.partial(_batched_pull, pull, mapped, found[count:])

    outs = custom_vjp_p.bind(*args, call=mapped.call(call), forward=batched_forward, name=name)
    return outs, [mapped.dim] * len(outs)


def _batched_pull(
    pull: Callable, mapped: _Mapped, residual_dims: Sequence[int | None], residuals: Sequence[Array], cts: Sequence[Any]
) -> list[Any]:
    """`pull` over the batch; the cotangent of an argument that was not batched is the sum."""
    varying: list[bool] = []
    present = [ct for ct in cts if not isinstance(ct, Zero)]
    unbatched = [ct.aval.update(shape=ct.aval.shape[1:]) if mapped.varies else ct.aval for ct in cts]

    def flat(*values: Array) -> list[Array]:
        rest = iter(values[len(residuals) :])
        given = [Zero(a) if isinstance(ct, Zero) else next(rest) for ct, a in zip(cts, unbatched, strict=True)]
        pulled = pull(values[: len(residuals)], given)
        varying[:] = [not isinstance(ct, Zero) for ct in pulled]
        return [ct for ct in pulled if not isinstance(ct, Zero)]

    dims = [*residual_dims, *([mapped.dim] * len(present))]
    results = iter(mapped.settle(*batch_flat(flat, mapped.axis, [*residuals, *present], dims)))
    pulled: list[Any] = []
    for dim, varies in zip(mapped.dims, varying, strict=True):
        ct = next(results) if varies else None
        if ct is not None and mapped.varies:
            ct = reduce_sum(ct, [0]) if dim is None else move_axis(ct, 0, dim)
        pulled.append(ct)
    return pulled


def _pullback_abstract(
    *avals: Aval, varying: tuple[bool, ...], out_avals: tuple[Aval, ...], **params: Any
) -> list[Aval]:
    return [aval for aval, varies in zip(out_avals, varying, strict=True) if varies]


def _pullback_transpose(
    cts: Sequence[Any],
    *args: Any,
    pull: Callable,
    nonzero: tuple[bool, ...],
    varying: tuple[bool, ...],
    out_avals: tuple[Aval, ...],
    name: str,
) -> list[Any]:
    residuals = args[: len(args) - sum(nonzero)]
    given = iter(cts)
    filled = [instantiate(next(given)) if varies else Zero(a) for a, varies in zip(out_avals, varying, strict=True)]
    with blame(None):
        pulled = pull(residuals, filled)
    return [None] * len(residuals) + [ct for ct, some in zip(pulled, nonzero, strict=True) if some]


def _forward_only(*args: Any, name: str, **params: Any) -> Any:
    return _custom_vjp_jvp((), (), name=name)


# Public


class _Call(NamedTuple):
    """A call of a function with a custom derivative: its arguments, by position, and the leaves that may vary.

    Fields:
        args: all arguments.
        static: the values of those that are passed on as they are.
        dynamic: the positions of the others.
        leaves, in_tree: the leaves and the structure of the others.
    """

    args: tuple
    static: list[Any]
    dynamic: list[int]
    leaves: list[Array]
    in_tree: PyTreeDef

    def of_dynamic(self, function: Callable) -> Callable:
        """`function` of the dynamic arguments alone."""
        return fix_arguments(function, self.args, self.dynamic)


class _CustomFunction:
    """What custom_jvp and custom_vjp objects have in common: the split into static and differentiable arguments."""

    def __init__(
        self, fun: Callable, nondiff_argnums: int | Sequence[int] = (), nondiff_argnames: str | Sequence[str] = ()
    ):
        functools.update_wrapper(self, check_function(type(self).__name__, fun))
        self._function = fun
        self._nondiff, _ = named_parameters(type(self).__name__, fun, "nondiff", nondiff_argnums, nondiff_argnames)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {name_of(self._function)}>"

    def _split(self, args: tuple, kwargs: dict) -> _Call:
        args = _positional(self._function, args, kwargs)
        static = argnums_tuple(self._nondiff, len(args), "nondiff_argnums")
        for position in static:
            if any(isinstance(leaf, Tracer) for leaf in tree_leaves(args[position])):
                raise ArgumentTypeError(
                    f"argument {positional_name(self._function, position)} of {name_of(self._function)} is one of "
                    f"nondiff_argnums={self._nondiff} and holds a traced array",
                    fix="leave it out of nondiff_argnums; its derivative may be zero (a cotangent None)",
                )
        dynamic = [i for i in range(len(args)) if i not in static]
        leaves, in_tree = flatten_call(self._function, tuple(args[i] for i in dynamic), {}, dynamic)
        return _Call(args, [args[i] for i in static], dynamic, leaves, in_tree)

    def _missing(self, definition: str) -> DifferentiationError:
        return DifferentiationError(
            f"{name_of(self._function)} was called before its derivative was defined", fix=f"call {definition} first"
        )


def _positional(function: Callable, args: tuple, kwargs: dict) -> tuple:
    """All arguments by position, defaults included."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except ValueError:
        return args
    bound.apply_defaults()
    if bound.kwargs:
        raise ArgumentError(
            f"{name_of(function)} has a custom derivative and takes no keyword-only arguments: {sorted(bound.kwargs)}",
            fix="make them positional",
        )
    return bound.args


class custom_jvp(_CustomFunction):  # noqa: N801 - a decorator
    """A decorator that gives a function a derivative rule for forward mode, from which reverse mode follows.

    Args:
        fun: a function of pytrees of arrays.
        nondiff_argnums: positions of arguments that are passed on as they are (functions, settings).
        nondiff_argnames: the names of such arguments.

    The rule is defined with `defjvp`: `rule(*nondiff_args, primals, tangents)` returns `(value, tangent)`, the tangent
    linear in `tangents`. It is ordinary code: transformed and differentiated again like any other.

    >>> import nrx
    >>> @nrx.custom_jvp
    ... def safe_sqrt(x):
    ...     return nrx.numpy.sqrt(x)
    >>> @safe_sqrt.defjvp
    ... def safe_sqrt_jvp(primals, tangents):
    ...     y = safe_sqrt(primals[0])
    ...     return y, tangents[0] / (2 * y + 1e-6)
    >>> bool(nrx.grad(safe_sqrt)(0.0) > 1e5)
    True
    """

    def __init__(
        self, fun: Callable, nondiff_argnums: int | Sequence[int] = (), nondiff_argnames: str | Sequence[str] = ()
    ):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self._rule: Callable | None = None

    def defjvp(self, rule: Callable, symbolic_zeros: bool = False) -> Callable:
        """Set the rule; usable as a decorator."""
        if symbolic_zeros:
            raise ArgumentError("symbolic_zeros are not passed to rules", fix="tangents that are zero arrive as zeros")
        self._rule = rule
        return rule

    def defjvps(self, *rules: Callable | None) -> None:
        """Set one rule an argument, `rule(tangent, value, *args)`; None: the value does not vary with it."""

        def rule(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
            value = self(*primals)
            parts = [r(t, value, *primals) for r, t in zip(rules, tangents, strict=True) if r is not None]
            return value, functools.reduce(lambda a, b: tree_map(lambda x, y: x + y, a, b), parts)

        self._rule = rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._rule is None:
            raise self._missing(f"{name_of(self._function)}.defjvp")
        call = self._split(args, kwargs)
        flat = FlatFunction(call.of_dynamic(self._function), call.in_tree)
        rule = _FlatJVPRule(self._rule, call.static, call.in_tree, name_of(self._function))
        outs = custom_jvp_p.bind(*call.leaves, call=flat, rule=rule, name=name_of(self._function))
        tree = flat.out_tree if hasattr(flat, "out_tree") else rule.out_tree
        return tree_unflatten(tree, outs)


class _FlatJVPRule:
    """The user's rule on flat lists."""

    def __init__(self, rule: Callable, static: Sequence[Any], in_tree: PyTreeDef, name: str):
        self.rule, self.static, self.in_tree, self.name = rule, static, in_tree, name
        self.__name__ = name_of(rule)
        self.out_tree: PyTreeDef

    def __call__(self, primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[list[Array], list[Any]]:
        trees = [tree_unflatten(self.in_tree, leaves)[0] for leaves in (primals, [public_tangent(t) for t in tangents])]
        pair = self.rule(*self.static, *trees)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TreeError(
                f"the jvp rule of {self.name} must return a pair (value, tangent)", fix="return value, tangent"
            )
        outs, self.out_tree = flatten_arrays(pair[0], f"the value of the jvp rule of {self.name}")
        leaves, tree = tree_flatten(pair[1])
        if tree != self.out_tree:
            raise TreeError(
                f"the jvp rule of {self.name} returned a value and a tangent of different structure: "
                f"{structure_difference(self.out_tree, tree)}",
                fix="return a tangent like the value",
            )
        what = f"the tangent that the jvp rule of {self.name} returned"
        return outs, [checked_tangent(t, out.aval, what) for t, out in zip(leaves, outs, strict=True)]


class custom_vjp(_CustomFunction):  # noqa: N801 - a decorator
    """A decorator that gives a function a derivative rule for reverse mode.

    Args:
        fun: a function of pytrees of arrays.
        nondiff_argnums: positions of arguments that are passed on as they are (functions, settings).
        nondiff_argnames: the names of such arguments.

    The rule is defined with `defvjp(fwd, bwd)`: `fwd(*args)` returns `(value, residuals)`, and
    `bwd(*nondiff_args, residuals, ct)` a tuple of cotangents, one for each differentiable argument (None for zero).

    >>> import nrx
    >>> @nrx.custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (nrx.numpy.clip(ct, -1, 1),))
    >>> nrx.grad(lambda x: 10 * clip_gradient(x))(1.0)
    Array(1., dtype=float32, weak_type=True)
    """

    def __init__(
        self, fun: Callable, nondiff_argnums: int | Sequence[int] = (), nondiff_argnames: str | Sequence[str] = ()
    ):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self._rules: tuple[Callable, Callable] | None = None

    def defvjp(self, fwd: Callable, bwd: Callable, symbolic_zeros: bool = False, optimize_remat: bool = False) -> None:
        """Set the rule."""
        if symbolic_zeros:
            raise ArgumentError(
                "symbolic_zeros are not passed to rules", fix="cotangents that are zero arrive as zeros"
            )
        self._rules = fwd, bwd

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._rules is None:
            raise self._missing(f"{name_of(self._function)}.defvjp")
        call = self._split(args, kwargs)
        flat = FlatFunction(call.of_dynamic(self._function), call.in_tree)
        forward = _FlatVJPRule(self._function, *self._rules, call)
        outs = custom_vjp_p.bind(*call.leaves, call=flat, forward=forward, name=name_of(self._function))
        tree = flat.out_tree if hasattr(flat, "out_tree") else forward.out_tree
        return tree_unflatten(tree, outs)


class _FlatVJPRule:
    """The user's pair of rules on flat lists: `forward(*args) -> (outs, residuals, pull)`."""

    def __init__(self, function: Callable, fwd: Callable, bwd: Callable, call: _Call):
        self.function, self.name, self.__name__ = function, name_of(function), name_of(fwd)
        self.fwd, self.bwd, self.static = call.of_dynamic(fwd), bwd, call.static
        self.dynamic, self.in_tree = call.dynamic, call.in_tree
        self.out_tree: PyTreeDef

    def __call__(self, *leaves: Array) -> tuple[list[Array], list[Array], Callable]:
        pair = self.fwd(*tree_unflatten(self.in_tree, leaves)[0])
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TreeError(
                f"the fwd rule of {self.name} must return (value, residuals)", fix="return value, residuals"
            )
        outs, self.out_tree = flatten_arrays(pair[0], f"the value of the fwd rule of {self.name}")
        residuals, residual_tree = tree_flatten(pair[1])
        moving = [isinstance(r, Array) for r in residuals]
        fixed = [None if moves else r for r, moves in zip(residuals, moving, strict=True)]
        in_avals = [leaf.aval for leaf in leaves]

        def pull(arrays: Sequence[Array], cts: Sequence[Any]) -> list[Any]:
            rest = iter(arrays)
            tree = [next(rest) if moves else value for moves, value in zip(moving, fixed, strict=True)]
            ct = tree_unflatten(self.out_tree, [public_tangent(c) for c in cts])
            return self._flat_cotangents(self.bwd(*self.static, tree_unflatten(residual_tree, tree), ct), in_avals)

        return outs, [r for r, moves in zip(residuals, moving, strict=True) if moves], pull

    def _flat_cotangents(self, cts: Any, avals: Sequence[Aval]) -> list[Any]:
        trees = self.in_tree.children()[0].children()
        if not isinstance(cts, tuple | list) or len(cts) != len(trees):
            raise TreeError(
                f"the bwd rule of {self.name} must return a tuple of {len(trees)} cotangents, one for each argument, "
                f"it returned {describe(cts)}",
                fix="return (ct,) for one argument, None for a cotangent that is zero",
            )
        flat: list[Any] = []
        for position, ct, tree in zip(self.dynamic, cts, trees, strict=True):
            expected = avals[len(flat) : len(flat) + tree.num_leaves]
            name = positional_name(self.function, position)
            what = f"the cotangent of {name} that the bwd rule of {self.name} returned"
            numbered = tree_unflatten(tree, range(tree.num_leaves))
            leaves = prefix_leaves(ct, numbered, f"argument {name} does not fit {what}")
            flat += [_cotangent(leaf, aval, what) for leaf, aval in zip(leaves, expected, strict=True)]
        return flat


def _cotangent(leaf: Any, aval: Aval, what: str) -> Any:
    return Zero(aval.tangent) if leaf is None or not is_inexact(aval.dtype) else checked_tangent(leaf, aval, what)


def stop_gradient(x: Any) -> Any:
    """The values of a pytree as constants: no derivative goes through.

    Args:
        x: a pytree of arrays.

    Returns:
        The same tree, in shapes and dtypes too.

    >>> import nrx
    >>> nrx.grad(lambda x: x * nrx.lax.stop_gradient(x))(3.0)
    Array(3., dtype=float32, weak_type=True)
    """
    return tree_map(lambda leaf: stop_gradient_p.bind(asarray(leaf)), x)


# Registration

custom_jvp_p.value_program = custom_vjp_p.value_program = "call"
custom_jvp_p.define(
    eager=_eager, stage=_stage, impl=_impl, abstract=_abstract, jvp=_custom_jvp_jvp, batch=_custom_jvp_batch
).refuse(transpose="linearize replaces it by its rule", lower=_INLINED, onnx=NOT_YET_LOWERED)
custom_vjp_p.define(
    eager=_eager, stage=_stage, impl=_impl, abstract=_abstract, jvp=_custom_vjp_jvp, batch=_custom_vjp_batch,
    linearize=_custom_vjp_linearize,
).refuse(transpose="linearize replaces it by its pullback", lower=_INLINED, onnx=NOT_YET_LOWERED)  # fmt: skip
custom_pullback_p.define(
    abstract=_pullback_abstract,
    transpose=_pullback_transpose,
    impl=_forward_only,
    jvp=_forward_only,
    batch=_forward_only,
).refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)
stop_gradient_p = discrete(elementwise("stop_gradient", lambda xp, x: x, MOVABLE, lambda x: x, cost=0, narrow=True))
