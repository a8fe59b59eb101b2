"""Trees of arrays as one array, under the name of `jax.flatten_util`."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.aval import Aval
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.pytree import tree_flatten, tree_unflatten
from nrx.core.shapes import show
from nrx.numpy.creation import zeros
from nrx.numpy.joining import concatenate
from nrx.numpy.manipulation import ravel, reshape


def ravel_pytree(pytree: Any) -> tuple[Array, Callable[[Any], Any]]:
    """The leaves of a tree one after the other in one array, and the way back.

    Args:
        pytree: a tree of arrays and scalars.

    Returns:
        `(flat, unravel)`: an array of shape (n,) and of the dtype that the leaves have in common (of the default float
        if there are none), and a function that makes a tree like `pytree` of such an array, with the dtypes of the
        leaves.

    Raises:
        ArgumentTypeError: a leaf is no array.
        ShapeError, DTypeError: (`unravel`) the array has another shape, or another dtype where the leaves' differ.

    >>> import nrx
    >>> flat, unravel = nrx.flatten_util.ravel_pytree({"b": 0.5, "w": nrx.numpy.ones((2, 2))})
    >>> flat
    Array([0.5, 1. , 1. , 1. , 1. ], dtype=float32)
    >>> unravel(2 * flat)["w"]
    Array([[2., 2.],
           [2., 2.]], dtype=float32)
    """
    leaves, treedef = tree_flatten(pytree)
    arrays = [asarray(leaf, "a leaf of ravel_pytree's tree") for leaf in leaves]
    avals = [array.aval for array in arrays]
    dtype = dtypes.promote_types(*((a.dtype, a.weak_type) for a in avals))[0] if avals else dtypes.scalar_dtype(float)
    flat = concatenate([_raveled(array, dtype) for array in arrays]) if arrays else zeros(0, dtype)
    total, is_mixed = flat.size, any(a.dtype != dtype for a in avals)

    def unravel(array: Any) -> Any:
        array = asarray(array, "unravel: its argument")
        if array.shape != (total,):
            raise ShapeError(
                f"unravel needs an array of shape {show((total,))}, got {show(array.shape)}",
                fix="give it an array like the one that ravel_pytree returned",
            )
        if is_mixed and array.dtype != dtype:
            raise DTypeError(f"unravel needs {dtype}, got {array.dtype}", fix=f"convert it: x.astype({dtype.name!r})")
        return tree_unflatten(treedef, _parts(array, avals, is_mixed))

    return flat, unravel


def _raveled(array: Array, dtype: np.dtype) -> Array:
    return ravel(array if array.dtype == dtype else array.astype(dtype))


def _parts(array: Array, avals: list[Aval], is_mixed: bool) -> list[Array]:
    ends = np.cumsum([aval.size for aval in avals], dtype=int).tolist()
    pieces = [array[end - aval.size : end] for end, aval in zip(ends, avals, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a leaf of integers among floats, say, is rounded on purpose
        return [
            reshape(piece.astype(aval.dtype) if is_mixed else piece, aval.shape)
            for piece, aval in zip(pieces, avals, strict=True)
        ]
