"""Calls of Python functions from transformed code: `pure_callback`, and the primitives behind `io_callback` and
`nrx.debug`.

Operations with effects run as often as the program says and in its order, whether it is compiled or not; under `vmap`
they run for one element after the other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array, asarray, stored_keys
from nrx.core.aval import Aval, Zero
from nrx.core.backend import Raw, Runner
from nrx.core.dtypes import is_inexact, key_dtype
from nrx.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DifferentiationError,
    DTypeError,
    ShapeError,
    TreeError,
    blame,
)
from nrx.core.primitive import Primitive
from nrx.core.pytree import PyTreeDef, structure_difference, tree_flatten, tree_unflatten
from nrx.core.shapes import canonical_shape, inserted, show
from nrx.core.trace import name_of
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.structural import move_axis, spread
from nrx.transforms.batching import Axis
from nrx.transforms.flatten import check_function, flatten_arrays

_VMAP_METHODS = ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized")


# Public


def pure_callback(
    callback: Callable, result_shape_dtypes: Any, *args: Any, sharding: Any = None, vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """The result of a Python function without side effects, called whenever the transformed program gets there.

    Args:
        callback: a function of trees of NumPy arrays. Calls whose result nobody needs are left out, and equal ones may
            become one.
        result_shape_dtypes: what it returns: a tree of `ShapeDtypeStruct`s (anything with `shape` and `dtype`).
        args, kwargs: its arguments, trees of arrays.
        sharding: accepted for JAX's sake.
        vmap_method: what `vmap` makes of it. "sequential": a call for each element; "expand_dims" and "broadcast_all":
            one call with one more leading axis, which arguments that are not mapped get with length 1, or in full;
            "legacy_vectorized": these stay as they are.

    Returns:
        A tree of arrays of these shapes and dtypes.

    Raises:
        ShapeError, DTypeError, TreeError: (when called) the function returned something else.
        DifferentiationError: a derivative is needed: give the function one with `custom_jvp`.

    >>> import numpy as np, nrx
    >>> double = lambda x: nrx.pure_callback(np.add, nrx.ShapeDtypeStruct(x.shape, x.dtype), x, x)
    >>> nrx.jit(double)(nrx.numpy.arange(3.0))
    Array([0., 2., 4.], dtype=float32)
    """
    if vmap_method is not None and vmap_method not in _VMAP_METHODS:
        raise ArgumentError(
            f"pure_callback: vmap_method must be one of {', '.join(_VMAP_METHODS)} or None, got {vmap_method!r}",
            fix="'sequential' always works",
        )
    return _call_back(
        "pure_callback", pure_callback_p, callback, result_shape_dtypes, args, kwargs, vmap_method=vmap_method
    )


def io_callback(
    callback: Callable, result_shape_dtypes: Any, *args: Any, sharding: Any = None, ordered: bool = False, **kwargs: Any
) -> Any:
    """The result of a Python function with side effects, called exactly as often as the program says.

    Args:
        callback: a function of trees of NumPy arrays.
        result_shape_dtypes: what it returns: a tree of `ShapeDtypeStruct`s (anything with `shape` and `dtype`).
        args, kwargs: its arguments, trees of arrays.
        sharding, ordered: accepted for JAX's sake; callbacks always run in the order of the program.

    Returns:
        A tree of arrays of these shapes and dtypes. Under `vmap` there is a call for each element, one after the other.

    Raises:
        ShapeError, DTypeError, TreeError: (when called) the function returned something else.
        DifferentiationError: a derivative is needed.

    >>> import numpy as np, nrx
    >>> log = []
    >>> record = lambda x: nrx.experimental.io_callback(log.append, None, x)
    >>> nrx.jit(lambda x: record(x * 2))(3.0)
    >>> log
    [array(6., dtype=float32)]
    """
    return _call_back("io_callback", io_callback_p, callback, result_shape_dtypes, args, kwargs)


def call_for_effect(callback: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
    """Call a function that returns nothing; leaves that are no arrays are passed as they are."""
    leaves, in_tree = tree_flatten((args, kwargs))
    is_array = [isinstance(leaf, Array | np.ndarray) for leaf in leaves]
    arrays = [asarray(leaf) for leaf, dynamic in zip(leaves, is_array, strict=True) if dynamic]
    static = [None if dynamic else leaf for leaf, dynamic in zip(leaves, is_array, strict=True)]

    dtypes = [array.dtype for array in arrays]

    def flat(given: Sequence[np.ndarray]) -> list:
        values = map(_handed_over, given, dtypes)
        filled = [next(values) if dynamic else x for x, dynamic in zip(static, is_array, strict=True)]
        args, kwargs = tree_unflatten(in_tree, filled)
        callback(*args, **kwargs)
        return []

    debug_callback_p.bind(*arrays, callback=_Named(flat, name_of(callback)), out_avals=())


# The functions that are called: from a list of NumPy arrays to one


def _handed_over(array: np.ndarray, dtype: np.dtype) -> Any:
    """What a callback gets for an array of a dtype."""
    return stored_keys(array) if dtype is key_dtype else array


class _Named:
    """A function of lists under the name that Programs show; equal to itself only."""

    def __init__(self, function: Callable[[Sequence[np.ndarray]], list[np.ndarray]], name: str):
        self.__name__ = name
        self._function = function

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._function(arrays)


def _call_back(
    what: str, prim: Primitive, callback: Callable, results: Any, args: tuple, kwargs: dict[str, Any], **params: Any
) -> Any:
    check_function(what, callback)
    leaves, in_tree = flatten_arrays((args, kwargs), f"{what}: arguments")
    out_avals, out_tree = _result_avals(what, results)
    checked = _checked(what, callback, in_tree, [leaf.dtype for leaf in leaves], out_tree, out_avals)
    flat = _Named(checked, name_of(callback))
    return tree_unflatten(out_tree, prim.bind(*leaves, callback=flat, out_avals=out_avals, **params))


def _result_avals(what: str, results: Any) -> tuple[tuple[Aval, ...], PyTreeDef]:
    leaves, tree = tree_flatten(results)
    for leaf in leaves:
        if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            raise ArgumentTypeError(
                f"{what}: result_shape_dtypes holds a {type(leaf).__name__}, which has no shape and dtype",
                fix="say what the callback returns: nrx.ShapeDtypeStruct(shape, dtype)",
            )
        if leaf.dtype is key_dtype:
            raise DTypeError(
                f"{what}: a callback cannot return keys, as result_shape_dtypes says",
                fix="return their words, uint32, and use nrx.random.wrap_key_data",
            )
    return tuple(Aval(canonical_shape(leaf.shape), np.dtype(leaf.dtype)) for leaf in leaves), tree


def _checked(
    what: str,
    callback: Callable,
    in_tree: PyTreeDef,
    dtypes: Sequence[np.dtype],
    out_tree: PyTreeDef,
    avals: Sequence[Aval],
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """The function on lists, with its results checked. (Their leading axes may be those of a vmap.)"""

    def flat(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        args, kwargs = tree_unflatten(in_tree, list(map(_handed_over, arrays, dtypes)))
        leaves, tree = tree_flatten(callback(*args, **kwargs))
        if tree != out_tree:
            raise TreeError(
                f"{what}: {name_of(callback)} returned another structure than result_shape_dtypes: "
                f"{structure_difference(out_tree, tree)}",
                fix="return what result_shape_dtypes says (None: nothing)",
            )
        return [_as_promised(what, callback, leaf, aval) for leaf, aval in zip(leaves, avals, strict=True)]

    return flat


def _as_promised(what: str, callback: Callable, leaf: Any, aval: Aval) -> np.ndarray:
    out = np.asarray(leaf, aval.dtype if isinstance(leaf, bool | int | float | complex) else None)
    if out.dtype != aval.dtype:
        raise DTypeError(
            f"{what}: {name_of(callback)} returned dtype {out.dtype}, result_shape_dtypes says {aval.dtype}",
            fix="convert the result: .astype(...)",
        )
    return out


def _each_element(
    callback: Callable, size: int, dims: Sequence[int | None], out_avals: Sequence[Aval]
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """The function over one more axis of its arguments, called for one element after the other."""

    def flat(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        mapped = [a if d is None else np.moveaxis(a, d, 0) for a, d in zip(arrays, dims, strict=True)]
        stacked = [np.empty((size, *aval.shape), aval.dtype) for aval in out_avals]
        for i in range(size):
            outs = callback([a if d is None else np.array(a[i]) for a, d in zip(mapped, dims, strict=True)])
            for stack, out, aval in zip(stacked, outs, out_avals, strict=True):
                stack[i] = _of_shape(callback, out, aval)
        return stacked

    return flat


def _of_shape(callback: Callable, out: np.ndarray, aval: Aval) -> np.ndarray:
    if out.shape != aval.shape:
        raise ShapeError(
            f"{name_of(callback)}, a callback, returned shape {show(out.shape)}, where {show(aval.shape)} is expected",
            fix="return what result_shape_dtypes says, under vmap_method 'expand_dims' with the batch axis first",
        )
    return out


# Rules


def _impl(runner: Runner, *raws: Raw, callback: Callable, out_avals: tuple[Aval, ...], **params: Any) -> list[Raw]:
    backend, device = runner.device.backend, runner.device
    given = [np.array(backend.to_numpy(raw)) for raw in raws]  # whoever is called may keep them, and change them
    with blame(None):
        outs = callback(given)
        checked = [_of_shape(callback, out, aval) for out, aval in zip(outs, out_avals, strict=True)]
    return [backend.from_numpy(out, device) for out in checked]


def _abstract(*avals: Aval, out_avals: tuple[Aval, ...], **params: Any) -> tuple[Aval, ...]:
    return out_avals


def _refusing_jvp(prim: Primitive, message: str, fix: str) -> Callable:
    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[list, list]:
        if any(is_inexact(aval.dtype) for aval in params["out_avals"]):
            raise DifferentiationError(f"{message} ({params['callback'].__name__})", fix=fix)
        outs = prim.bind(*primals, **params)
        return outs, [Zero(out.aval.tangent) for out in outs]

    return jvp


def _batch_sequentially(prim: Primitive) -> Callable:
    def batch(
        axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, callback: Any, out_avals: tuple, **params: Any
    ) -> tuple[list[Array], list[int | None]]:
        if all(dim is None for dim in dims):
            return prim.bind(*args, callback=callback, out_avals=out_avals, **params), [None] * len(out_avals)
        elements = _Named(_each_element(callback, axis.size, dims, out_avals), callback.__name__)
        return prim.bind(*args, callback=elements, out_avals=_with_axis(out_avals, axis), **params), [0] * len(
            out_avals
        )

    return batch


def _with_axis(avals: Sequence[Aval], axis: Axis) -> tuple[Aval, ...]:
    return tuple(aval.update(shape=inserted(aval.shape, 0, axis.size)) for aval in avals)


def _pure_batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, vmap_method: str | None, **params: Any
) -> tuple[list[Array], list[int | None]]:
    if vmap_method is None:
        raise ArgumentError(
            f"vmap of pure_callback ({params['callback'].__name__}), which does not say how it is mapped",
            fix="pass vmap_method='sequential' (a call for each element), or 'expand_dims' if it takes leading axes",
        )
    if vmap_method.startswith("sequential") or all(dim is None for dim in dims):
        return _batch_sequentially(pure_callback_p)(axis, args, dims, vmap_method=vmap_method, **params)
    sizes = {"expand_dims": 1, "broadcast_all": axis.size}
    given = [
        move_axis(arg, dim, 0) if dim is not None else spread(arg, None, sizes[vmap_method]) if vmap_method in sizes
        else arg
        for arg, dim in zip(args, dims, strict=True)
    ]  # fmt: skip
    out_avals = _with_axis(params.pop("out_avals"), axis)
    outs = pure_callback_p.bind(*given, vmap_method=vmap_method, out_avals=out_avals, **params)
    return outs, [0] * len(outs)


def _debug_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[list, list]:
    return debug_callback_p.bind(*primals, **params), []


# Registration


def _callback_primitive(name: str, effect: bool) -> Primitive:
    prim = Primitive(name, multiple_results=True, higher_order=True, effect=effect)
    prim.define(impl=_impl, abstract=_abstract, batch=_batch_sequentially(prim))
    nonlinear = "a Python function is not known to be linear"
    return prim.refuse(transpose=nonlinear, lower="it is Python's", onnx=NOT_YET_LOWERED)


pure_callback_p = _callback_primitive("pure_callback", effect=False)
io_callback_p = _callback_primitive("io_callback", effect=True)
debug_callback_p = _callback_primitive("debug_callback", effect=True)

_OF_PURE = "the derivative of a pure_callback is not known"
_OF_IO = "an io_callback has no derivative"
pure_callback_p.define(
    batch=_pure_batch, jvp=_refusing_jvp(pure_callback_p, _OF_PURE, "give the function around it a custom_jvp")
)
io_callback_p.define(
    jvp=_refusing_jvp(io_callback_p, _OF_IO, "pass it nrx.lax.stop_gradient(x), or put a custom_jvp around it")
)
debug_callback_p.define(jvp=_debug_jvp)
