"""JAX's transformations for many devices, on one: `pmap` and `shard_map`."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.pytree import tree_leaves, tree_map
from nrx.core.trace import name_of
from nrx.transforms.batching import vmap
from nrx.transforms.flatten import check_function, prefix_leaves
from nrx.transforms.jit import jit


def pmap(
    fun: Callable,
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Iterable[int] = (),
    devices: Any = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Iterable[int] = (),
) -> Callable:
    """`fun` on every device at once: on one, so that the mapped axes have length 1.

    Args:
        fun, axis_name, in_axes, out_axes, axis_size: as of `vmap`.
        static_broadcasted_argnums: arguments that are passed on as they are.
        devices, backend: make no difference.
        donate_argnums: accepted for JAX's sake.

    Returns:
        A jitted function.

    Raises:
        ShapeError: (when called) a mapped axis is longer than 1; `vmap` maps over any.

    >>> import nrx
    >>> nrx.pmap(lambda x: nrx.lax.psum(x, "i"), axis_name="i")(nrx.numpy.ones((1, 3)))
    Array([[1., 1., 1.]], dtype=float32)
    """
    check_function("pmap", fun)
    numbers = static_broadcasted_argnums
    static = (numbers,) if isinstance(numbers, int) else tuple(numbers)

    @functools.wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        moving = [i for i in range(len(args)) if i not in static]
        axes = tuple(in_axes[i] for i in moving) if isinstance(in_axes, tuple | list) else in_axes

        def inner(*given: Any, **named: Any) -> Any:
            full = dict(zip(moving, given, strict=True))
            return fun(*(full.get(i, arg) for i, arg in enumerate(args)), **named)

        given = tuple(args[i] for i in moving)
        _check_lengths(fun, axes, given)
        return vmap(inner, axes, out_axes, axis_name, axis_size)(*given, **kwargs)

    return jit(mapped, static_argnums=static)


def _check_lengths(fun: Callable, axes: Any, args: tuple) -> None:
    found = prefix_leaves(axes, args, f"pmap of {name_of(fun)}: the arguments do not fit in_axes") if args else []
    for axis, leaf in zip(found, tree_leaves(args), strict=True):
        if axis is not None and leaf.shape[axis : axis + 1 or None] != (1,):
            raise ShapeError(
                f"pmap of {name_of(fun)}: a mapped axis of shape {leaf.shape}, but there is one device",
                fix="map with nrx.vmap, or reshape the axis to length nrx.device_count()",
            )


def shard_map(
    f: Callable | None = None,
    *,
    mesh: Any = None,
    in_specs: Any = None,
    out_specs: Any = None,
    axis_names: Any = None,
    check_vma: bool = True,
    check_rep: bool = True,
) -> Callable:
    """`f` of the parts of arrays that lie on each device: on one device, of the arrays.

    Args:
        f: a function of pytrees of arrays; in it, collectives know the axes of the mesh, each of length 1. Left out,
            `shard_map(mesh=...)` is a decorator.
        mesh: a mesh of one device.
        in_specs, out_specs, check_vma, check_rep: make no difference.
        axis_names: those that collectives know; by default all.

    Returns:
        A function of the same arguments.

    Raises:
        ArgumentError: there is no mesh.

    >>> import nrx
    >>> mesh, P = nrx.make_mesh((1,), ("x",)), nrx.sharding.PartitionSpec
    >>> nrx.shard_map(lambda a: nrx.lax.psum(a, "x"), mesh=mesh, in_specs=P("x"), out_specs=P())(nrx.numpy.ones(2))
    Array([1., 1.], dtype=float32)
    """
    if f is None:
        return functools.partial(shard_map, mesh=mesh, axis_names=axis_names)
    if mesh is None:
        raise ArgumentError("shard_map needs a mesh", fix="mesh=nrx.make_mesh((1,), ('x',))")

    @functools.wraps(check_function("shard_map", f))
    def mapped(*args: Any) -> Any:
        function: Callable = functools.partial(f, *args)
        for name in reversed(mesh.axis_names if axis_names is None else sorted(axis_names)):
            function = functools.partial(_along, name, function)
        return function()

    return mapped


def _along(name: Any, function: Callable) -> Any:
    """The result of a function along an axis of length 1."""
    return tree_map(lambda leaf: leaf[0], vmap(lambda: function(), axis_name=name, axis_size=1)())
