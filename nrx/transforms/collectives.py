"""Collectives over named axes: `psum`, `pmean`, `pmax`, `pmin`, `all_gather`, `axis_index`, `axis_size`.

Their batch rules do the work: over the axis they name, they become reductions; over any other, they stay themselves.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.aval import Aval
from nrx.core.errors import ArgumentError
from nrx.core.primitive import Primitive
from nrx.core.pytree import tree_map
from nrx.core.shapes import canonical_axis, inserted
from nrx.core.trace import axis_size as named_axis_size
from nrx.ops.arithmetic import add, div, mul
from nrx.ops.common import NOT_YET_LOWERED, NUMBERS, REAL, check_dtype
from nrx.ops.logic import eq, select
from nrx.ops.reductions import reduce_max, reduce_min
from nrx.ops.rules import constant_jvp, elementwise_jvp
from nrx.ops.structural import (
    broadcast_in_dim,
    broadcasted_iota,
    convert_element_type,
    full_like,
    linear_jvp,
    reduce_sum,
    reshape,
    spread,
)
from nrx.transforms.batching import Axis

psum_p = Primitive("psum")
pmax_p = Primitive("pmax")
pmin_p = Primitive("pmin")
all_gather_p = Primitive("all_gather")
axis_index_p = Primitive("axis_index")


def _names(axis_name: Any) -> tuple:
    return axis_name if isinstance(axis_name, tuple) else (axis_name,)


def check_no_groups(name: str, groups: Any) -> None:
    if groups is not None:
        raise ArgumentError(
            f"{name}: axis_index_groups must be None", fix="split the axis in two with reshape, and name each by a vmap"
        )


# Public functions


def psum(x: Any, axis_name: Any, *, axis_index_groups: None = None) -> Any:
    """The sum over a named axis of every leaf of `x`, the same for all its positions.

    Args:
        x: a pytree of arrays.
        axis_name: the `axis_name` of an enclosing `vmap`, or a tuple of such.
        axis_index_groups: must be None.

    Returns:
        The tree of the sums. `psum(1, name)` is the size of the axis, a Python number.

    Raises:
        AxisNameError: no axis of that name is in scope.
        ArgumentError: `axis_index_groups` is given.

    Shapes and dtypes stay, but for booleans, which are counted in the default integer.

    >>> import nrx
    >>> nrx.vmap(lambda x: x / nrx.lax.psum(x, "i"), axis_name="i")(nrx.numpy.array([1.0, 3.0]))
    Array([0.25, 0.75], dtype=float32)
    """
    check_no_groups("psum", axis_index_groups)
    names = _names(axis_name)
    total = 1
    for name in names:
        total *= named_axis_size(name)

    def one(leaf: Any) -> Any:
        return leaf * total if type(leaf) in (int, float, complex) else psum_p.bind(_counted(leaf), axis_name=names)

    return tree_map(one, x)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: None = None) -> Any:
    """The mean over a named axis of every leaf of `x`; arguments as for `psum`.

    Shapes stay, and dtypes but for integers and booleans, which become the default float.

    >>> import nrx
    >>> nrx.vmap(lambda x: x - nrx.lax.pmean(x, "i"), axis_name="i")(nrx.numpy.array([2.0, 4.0]))
    Array([-1.,  1.], dtype=float32)
    """
    check_no_groups("pmean", axis_index_groups)
    count = psum(1, axis_name)
    return tree_map(lambda leaf: div(leaf, full_like(leaf, count)), tree_map(_inexact, psum(x, axis_name)))


def pmax(x: Any, axis_name: Any, *, axis_index_groups: None = None) -> Any:
    """The maximum over a named axis of every leaf of `x`; arguments as for `psum`.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.vmap(lambda x: nrx.lax.pmax(x, "i") - x, axis_name="i")(nrx.numpy.array([2.0, 4.0]))
    Array([2., 0.], dtype=float32)
    """
    check_no_groups("pmax", axis_index_groups)
    return _extremum(pmax_p, x, axis_name)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: None = None) -> Any:
    """The minimum over a named axis of every leaf of `x`; arguments as for `psum`.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.vmap(lambda x: x - nrx.lax.pmin(x, "i"), axis_name="i")(nrx.numpy.array([2.0, 4.0]))
    Array([0., 2.], dtype=float32)
    """
    check_no_groups("pmin", axis_index_groups)
    return _extremum(pmin_p, x, axis_name)


def all_gather(
    x: Any, axis_name: Any, *, axis: int = 0, tiled: bool = False, axis_index_groups: None = None, to: str = "varying"
) -> Any:
    """The values at all positions of a named axis, stacked along a new axis (or, `tiled`, along an existing one).

    Args:
        x: a pytree of arrays.
        axis_name: the `axis_name` of an enclosing `vmap`.
        axis: where the new axis stands in every leaf.
        tiled: concatenate along `axis` instead of stacking.
        axis_index_groups: must be None.
        to: accepted for JAX's sake.

    Returns:
        The tree of the gathered arrays, the same for all positions.

    Dtypes stay.

    >>> import nrx
    >>> nrx.vmap(lambda x: nrx.lax.all_gather(x, "i"), axis_name="i")(nrx.numpy.arange(2))
    Array([[0, 1],
           [0, 1]], dtype=int32)
    """
    check_no_groups("all_gather", axis_index_groups)

    def one(leaf: Any) -> Array:
        leaf = asarray(leaf)
        at, size = canonical_axis(axis, leaf.ndim + (not tiled)), named_axis_size(axis_name)
        stacked = all_gather_p.bind(leaf, axis_name=(axis_name,), size=size, at=at)
        if not tiled:
            return stacked
        return reshape(stacked, (*leaf.shape[:at], size * leaf.shape[at], *leaf.shape[at + 1 :]))

    return tree_map(one, x)


def axis_index(axis_name: Any) -> Array:
    """The position along the named axis `axis_name`, an int32 scalar.

    It has no axes of its own.

    >>> import nrx
    >>> nrx.vmap(lambda x: x * nrx.lax.axis_index("i"), axis_name="i")(nrx.numpy.ones(3))
    Array([0., 1., 2.], dtype=float32)
    """
    named_axis_size(axis_name)
    return axis_index_p.bind(axis_name=(axis_name,))


def axis_size(axis_name: Any) -> int:
    """The size of the named axis `axis_name`, a Python int.

    It is known while tracing, and has no shape or dtype.

    >>> import nrx
    >>> nrx.vmap(lambda x: x / nrx.lax.axis_size("i"), axis_name="i")(nrx.numpy.array([2.0, 4.0]))
    Array([1., 2.], dtype=float32)
    """
    return named_axis_size(axis_name)


def _counted(leaf: Any) -> Array:
    """The leaf as an array that can be added up: booleans as integers."""
    x = asarray(leaf)
    return convert_element_type(x, dtypes.scalar_dtype(int)) if x.dtype == bool else x


def _inexact(x: Array) -> Array:
    return convert_element_type(x, dtypes.inexact_dtype(x.dtype))


def _extremum(prim: Primitive, x: Any, axis_name: Any) -> Any:
    names = _names(axis_name)
    for name in names:
        named_axis_size(name)
    return tree_map(lambda leaf: prim.bind(asarray(leaf), axis_name=names), x)


# abstract


def _reduction_abstract(name: str, accepts: frozenset) -> Callable:
    def abstract(x: Aval, *, axis_name: tuple) -> Aval:
        check_dtype(name, x, accepts)
        return x

    return abstract


def _all_gather_abstract(x: Aval, *, axis_name: tuple, size: int, at: int) -> Aval:
    return x.update(shape=inserted(x.shape, at, size))


# jvp and transpose. A sum that every position receives pulls back to the sum of all positions' cotangents.


def _extremum_derivative(tangent: Array, out: Array, x: Array, *, axis_name: tuple) -> Array:
    chosen = select(eq(x, out), full_like(x, 1), full_like(x, 0))
    return div(psum_p.bind(mul(tangent, chosen), axis_name=axis_name), psum_p.bind(chosen, axis_name=axis_name))


def _psum_transpose(ct: Array, x: Any, *, axis_name: tuple) -> list[Array]:
    return [psum_p.bind(ct, axis_name=axis_name)]


def _all_gather_transpose(ct: Array, x: Any, *, axis_name: tuple, size: int, at: int) -> list[Array]:
    index = broadcast_in_dim(axis_index_p.bind(axis_name=axis_name), ct.shape, ())
    mine = eq(broadcasted_iota(dtypes.int32, ct.shape, at), index)
    return [reduce_sum(select(mine, psum_p.bind(ct, axis_name=axis_name), full_like(ct, 0)), [at])]


# batch


def _reduction_batch(prim: Primitive, reduce: Callable) -> Callable:
    def batch(axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, axis_name: tuple) -> tuple[Array, Any]:
        (x,), (dim,) = args, dims
        rest = tuple(name for name in axis_name if name != axis.name)
        if len(rest) < len(axis_name):
            x, dim = reduce(spread(x, dim, axis.size), [0]), None
        return prim.bind(x, axis_name=rest) if rest else x, dim

    return batch


def _all_gather_batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, axis_name: tuple, size: int, at: int
) -> tuple[Array, int | None]:
    (x,), (dim,) = args, dims
    if axis.name in axis_name:
        return spread(x, dim, axis.size, at), None
    x = spread(x, dim, axis.size)
    return all_gather_p.bind(x, axis_name=axis_name, size=size, at=at + 1), 0


def _axis_index_batch(axis: Axis, args: Sequence[Array], dims: Sequence[Any], *, axis_name: tuple) -> tuple[Array, int]:
    return broadcasted_iota(dtypes.int32, (axis.size,), 0), 0


# Registration

_NO_VMAP = "it has no meaning outside the vmap that names its axis"

psum_p.define(
    abstract=_reduction_abstract("psum", NUMBERS), jvp=linear_jvp(psum_p), transpose=_psum_transpose,
    batch=_reduction_batch(psum_p, reduce_sum),
)  # fmt: skip
for _prim, _reduce in ((pmax_p, reduce_max), (pmin_p, reduce_min)):
    _prim.define(
        abstract=_reduction_abstract(_prim.name, REAL), jvp=elementwise_jvp(_prim, add, _extremum_derivative),
        batch=_reduction_batch(_prim, _reduce),
    ).refuse(transpose="it is not linear; linearize replaces it by its derivative")  # fmt: skip
all_gather_p.define(
    abstract=_all_gather_abstract, jvp=linear_jvp(all_gather_p), transpose=_all_gather_transpose,
    batch=_all_gather_batch,
)  # fmt: skip
axis_index_p.define(
    abstract=lambda *, axis_name: Aval((), dtypes.int32), jvp=constant_jvp(axis_index_p), batch=_axis_index_batch
).refuse(transpose="it has no operand")
for _prim in (psum_p, pmax_p, pmin_p, all_gather_p, axis_index_p):
    _prim.refuse(impl=_NO_VMAP, lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)
