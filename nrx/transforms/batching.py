"""Batching: `vmap`, and the trace that carries one more axis through every operation."""

import functools
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, NamedTuple

from nrx.core.array import Array
from nrx.core.errors import AxisError, ShapeError, Source, TreeError
from nrx.core.program import Program
from nrx.core.pytree import PyTreeDef, tree_flatten, tree_flatten_with_path, tree_unflatten
from nrx.core.shapes import canonical_axis, inserted, show, without
from nrx.core.trace import (
    Trace,
    Tracer,
    bind_with,
    current_trace,
    describe_caller,
    is_ground,
    name_of,
    named_axis,
    new_trace,
    use_trace,
)
from nrx.ops.structural import move_axis, spread
from nrx.transforms.flatten import (
    FlatFunction,
    argument_name,
    arrays_of_call,
    check_function,
    leaf_paths,
    prefix_leaves,
)
from nrx.transforms.staging import stage

_NUMBERS = frozenset((bool, int, float, complex))


class Axis(NamedTuple):
    """The axis being mapped over: its name (None if it has none) and size.

    The object itself tells one mapping from another: a function that runs again under the same one (the rule of a
    custom derivative) finds the values it closed over mapped.
    """

    name: Any
    size: int


class BatchTracer(Tracer):
    """A value with a batch axis, which its aval does not show."""

    __slots__ = ("aval", "dim", "value")
    _trace: "BatchTrace"

    def __init__(self, trace: "BatchTrace", value: Array, dim: int):
        self._trace = trace
        self.value = value
        self.dim = dim
        self.aval = value.aval.update(shape=without(value.aval.shape, [dim]))

    @property
    def source(self) -> Source | None:
        return self.value.source if isinstance(self.value, Tracer) else None

    @property
    def depends_on(self) -> tuple[str, ...]:
        return self.value.depends_on if isinstance(self.value, Tracer) else ()


class BatchTrace(Trace):
    """Applies batch rules."""

    __slots__ = ("axis",)

    def __init__(self, parent: Trace, axis: Axis, name: str):
        super().__init__(parent, name)
        self.axis = axis

    def split(self, value: Array) -> tuple[Array, int | None]:
        """The value and where its batch axis is: None if it has none."""
        if isinstance(value, BatchTracer) and value._trace.axis is self.axis:
            return value.value, value.dim
        return value, None

    def join(self, value: Any, dim: int | None) -> Any:
        """A value with a batch axis at `dim`."""
        return value if dim is None else BatchTracer(self, value, dim)

    def may_vary(self, prim: Any, params: dict[str, Any]) -> bool:
        """Whether the result may have the axis though no operand does: the operation speaks of it by its name, or runs
        a Python function, which may close over values of this trace."""
        name = self.axis.name
        by_name = name is not None and (prim.higher_order or name in params.get("axis_name", ()))
        return by_name or prim.eager is not None

    def process(self, prim: Any, args: tuple, params: dict[str, Any]) -> Any:
        if prim.eager is not None and is_ground(self.parent):
            return prim.eager(args, params)
        pairs = [self.split(arg) for arg in args]
        values = [value for value, _ in pairs]
        dims = [dim for _, dim in pairs]
        if all(dim is None for dim in dims) and not self.may_vary(prim, params):
            return bind_with(self.parent, prim, values, params)
        with use_trace(self.parent):
            out, out_dim = prim.batch(self.axis, values, dims, **params)
        if prim.multiple_results:
            return [self.join(v, d) for v, d in zip(out, out_dim, strict=True)]
        return self.join(out, out_dim)


def batch_flat(
    function: Callable, axis: Axis, values: Sequence[Any], dims: Sequence[int | None], name: str = "vmap"
) -> tuple[list[Array], list[int | None]]:
    """A flat function over one more axis; says where the axis is in each result (None: nowhere)."""
    trace = BatchTrace(current_trace(), axis, name)
    with new_trace(trace), named_axis(axis.name, axis.size):
        outs = function(*[trace.join(v, d) for v, d in zip(values, dims, strict=True)])
    pairs = [trace.split(out) for out in outs]
    return [v for v, _ in pairs], [d for _, d in pairs]


def vmap_flat(
    function: Callable, values: Sequence[Array], dims: Sequence[int | None], axis: Axis | None = None
) -> list:
    """`function` mapped over `dims`; the axis stands first in every result."""
    axis = axis or Axis(None, next(v.shape[d] for v, d in zip(values, dims, strict=True) if d is not None))
    outs, out_dims = batch_flat(function, axis, values, dims)
    return [spread(out, dim, axis.size) for out, dim in zip(outs, out_dims, strict=True)]


def batch_program(
    program: Program, axis: Axis, dims: tuple[int | None, ...], forced: tuple[bool, ...] | None = None
) -> tuple[Program, tuple[int | None, ...]]:
    """A Program over one more axis.

    Args:
        program: without tracers among its constants.
        axis: the axis.
        dims: where it is in the arguments.
        forced: which results must have it, and at 0.

    Returns:
        The Program, and where the axis is in its results.
    """

    def derive() -> tuple[Program, tuple[int | None, ...]]:
        out_dims: list[int | None] = []

        def function(*values: Array) -> list[Array]:
            outs, found = batch_flat(program, axis, values, dims)
            must = forced or (False,) * len(outs)
            out_dims[:] = [0 if force else dim for dim, force in zip(found, must, strict=True)]
            return [spread(v, d, axis.size) if force else v for v, d, force in zip(outs, found, must, strict=True)]

        avals = [
            a if d is None else a.update(shape=inserted(a.shape, d, axis.size))
            for a, d in zip(program.in_avals, dims, strict=True)
        ]
        return stage(function, avals, program.name, "vmap"), tuple(out_dims)

    return program.remember(("batch", axis, dims, forced), derive)


def vmap(
    fun: Callable,
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Callable:
    """A function that applies `fun` to every slice of its arguments at once.

    Args:
        fun: a function of pytrees of arrays.
        in_axes: which axis of the arguments to map over: an int for all, None for an argument that is the same in
            every call, or a tuple with an entry (an int, None, or a pytree prefix of them) for each positional
            argument. Keyword arguments are mapped over axis 0. A Python number with None reaches `fun` as it is.
        out_axes: where the axis stands in the results: an int, None for a result that does not depend on the mapped
            arguments, or a pytree prefix.
        axis_name: a name by which `psum`, `pmean`, `axis_index` and other collectives inside can speak of the axis.
        axis_size: the length of the axis; only needed if no argument is mapped.
        spmd_axis_name: accepted for JAX's sake.

    Returns:
        A function of arguments with one more axis.

    Raises:
        AxisError: an argument does not have the axis it is to be mapped over.
        ShapeError: mapped axes of different lengths; the message lists every argument's.
        TreeError: in_axes or out_axes do not fit the arguments or the results.

    >>> import nrx
    >>> nrx.vmap(lambda row, w: (row * w).sum(), in_axes=(0, None))(nrx.numpy.ones((2, 3)), 2.0)
    Array([6., 6.], dtype=float32)
    """
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not isinstance(in_axes, int | tuple | NoneType):
        raise TreeError(
            f"vmap: in_axes must be an int, None or a tuple of one entry an argument, got {in_axes!r}",
            fix="write in_axes=0 for all arguments, in_axes=(0, None) for one mapped and one fixed",
        )

    @functools.wraps(check_function("vmap", fun))
    def mapped(*args: Any, **kwargs: Any) -> Any:
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise TreeError(
                f"vmap of {name_of(fun)}: in_axes has {len(in_axes)} entries, the call {len(args)} positional "
                f"argument{'s' * (len(args) != 1)}",
                fix="give in_axes an entry (an int or None) for every positional argument",
            )
        leaves, in_tree = tree_flatten((args, kwargs))
        values = arrays_of_call(fun, args, kwargs, leaves)
        names = _LeafNames(fun, in_tree, values)
        dims = _in_dims(fun, in_axes, args, kwargs, values, names)
        axis = Axis(axis_name, _mapped_size(fun, values, dims, axis_size, names))
        flat = FlatFunction(fun, in_tree)
        given = [
            leaf if dim is None and type(leaf) in _NUMBERS else value
            for leaf, value, dim in zip(leaves, values, dims, strict=True)
        ]
        outs, found = batch_flat(flat, axis, given, dims, describe_caller("vmap", fun))
        results = _results(fun, flat.out_tree, outs, found, out_axes, axis)
        return tree_unflatten(flat.out_tree, results)

    return mapped


class _LeafNames:
    """The leaves of a call by the names a user knows them by; found only when a message needs them."""

    def __init__(self, function: Callable, in_tree: PyTreeDef, values: Sequence[Array]):
        self.function, self.in_tree, self.values = function, in_tree, values

    def __getitem__(self, position: int) -> str:
        paths = tree_flatten_with_path(tree_unflatten(self.in_tree, self.values))[0]
        return argument_name(self.function, paths[position][0])


def _in_dims(
    function: Callable, in_axes: Any, args: tuple, kwargs: dict, values: list[Array], names: _LeafNames
) -> list[int | None]:
    axes = (
        prefix_leaves(in_axes, args, f"vmap of {name_of(function)}: the arguments do not fit in_axes") if args else []
    )
    axes += [0] * (len(values) - len(axes))
    dims: list[int | None] = []
    for position, (axis, value) in enumerate(zip(axes, values, strict=True)):
        if axis is not None and (not isinstance(axis, int) or not -value.ndim <= axis < value.ndim):
            raise AxisError(
                f"vmap of {name_of(function)} over axis {axis} of argument {names[position]}, "
                f"which has shape {show(value.shape)}",
                fix="map over an axis that exists, or pass None in in_axes for an argument that is not mapped",
            )
        dims.append(None if axis is None else axis % value.ndim)
    return dims


def _mapped_size(
    function: Callable, values: list[Array], dims: list[int | None], given: int | None, names: _LeafNames
) -> int:
    sizes = {p: v.shape[d] for p, (v, d) in enumerate(zip(values, dims, strict=True)) if d is not None}
    distinct = set(sizes.values()) | ({given} if given is not None else set())
    if not distinct:
        raise TreeError(
            f"vmap of {name_of(function)}: no argument is mapped", fix="map at least one (in_axes), or give axis_size"
        )
    if len(distinct) > 1:
        listed = ", ".join(f"{names[p]}: {size} (axis {dims[p]})" for p, size in sizes.items())
        raise ShapeError(
            f"vmap of {name_of(function)}: the mapped axes have different lengths: {listed}"
            + (f"; axis_size={given}" if given is not None else ""),
            fix="make them equal, or pass None in in_axes for arguments that are not mapped",
        )
    return distinct.pop()


def _results(
    function: Callable, tree: PyTreeDef, outs: list[Array], dims: list[int | None], out_axes: Any, axis: Axis
) -> list[Array]:
    """The leaves of the result with the batch axis where `out_axes` wants it."""
    what = f"vmap of {name_of(function)}: the result does not fit out_axes"
    wanted = prefix_leaves(out_axes, tree_unflatten(tree, outs), what)
    placed = []
    for position, (out, dim, want) in enumerate(zip(outs, dims, wanted, strict=True)):
        if want is None and dim is not None:
            raise AxisError(
                f"vmap of {name_of(function)}: out_axes is None for result{leaf_paths(tree)[position]}, "
                "which depends on the mapped arguments",
                fix="give out_axes an int for it, or reduce over the axis (nrx.lax.psum with axis_name)",
            )
        placed.append(out if want is None else _placed(out, dim, want, axis))
    return placed


def _placed(out: Array, dim: int | None, want: Any, axis: Axis) -> Array:
    at = canonical_axis(want, out.ndim + (dim is None), "out_axes")
    if dim is None:
        return spread(out, None, axis.size, at)
    return out if dim == at else move_axis(out, dim, at)
