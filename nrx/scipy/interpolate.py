"""Interpolation, under the names of `scipy.interpolate`, as in `jax.scipy.interpolate`."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import nrx.numpy as jnp
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.core.pytree import register_pytree_node
from nrx.core.shapes import show
from nrx.core.trace import Tracer
from nrx.numpy.promotion import as_inexact, promote_dtypes

__all__ = ["RegularGridInterpolator"]


class RegularGridInterpolator:
    """A function of n variables from its values at the points of a grid; a pytree.

    Args:
        points: n vectors, the places along each axis, strictly increasing (traced ones are not checked), each of at
            least 2.
        values: the values there, an array whose first n axes have the lengths of the points; further axes make the
            function one with arrays as values.
        method: "linear" or "nearest".
        bounds_error: False; places beyond the grid cannot be an error in jitted code.
        fill_value: the value beyond the grid, NaN by default; None: that of the cells at the edge, continued.

    Raises:
        ArgumentError: another method, bounds_error, or points that are not strictly increasing.
        ShapeError: points that do not fit the values.
        ArgumentTypeError: points are neither a sequence nor an array.
        DTypeError: complex points, or a complex fill_value for real values.

    >>> grid = jnp.array([0.0, 1.0, 3.0])
    >>> f = nrx.scipy.interpolate.RegularGridInterpolator((grid,), grid**2)
    >>> f(jnp.array([0.5, 2.0, 4.0]))
    Array([0.5, 5. , nan], dtype=float32)
    """

    def __init__(
        self, points: Sequence[Any], values: Any, method: str = "linear", bounds_error: bool = False,
        fill_value: Any = np.nan,
    ):  # fmt: skip
        self.method = _checked_method(method)
        self.bounds_error = bounds_error
        if bounds_error:
            raise ArgumentError("RegularGridInterpolator: bounds_error is not there", fix="give a fill_value")
        self.values = as_inexact("RegularGridInterpolator", asarray(values, "RegularGridInterpolator: values"))
        if not isinstance(points, Iterable):
            raise ArgumentTypeError(f"RegularGridInterpolator: points must be a sequence of vectors, got {points!r}")
        self.grid = tuple(as_inexact("RegularGridInterpolator", p) for p in points)
        lengths = self.values.shape[: len(self.grid)]
        if [g.shape for g in self.grid] != [(n,) for n in lengths] or min(lengths, default=0) < 2:
            raise ShapeError(
                f"RegularGridInterpolator: points of shapes {', '.join(show(g.shape) for g in self.grid)} do not go "
                f"with values of shape {show(self.values.shape)}",
                fix="pass a vector of the length of each axis, at least 2",
            )
        self.fill_value = None if fill_value is None else jnp.asarray(fill_value)
        fill_is_complex = self.fill_value is not None and dtypes.is_complex(self.fill_value.dtype)
        if fill_is_complex and not dtypes.is_complex(self.values.dtype):
            raise DTypeError("RegularGridInterpolator: a complex fill_value for real values")
        if any(dtypes.is_complex(g.dtype) for g in self.grid):
            raise DTypeError("RegularGridInterpolator: points must be real")
        if not all(isinstance(g, Tracer) or (np.diff(np.asarray(g)) > 0).all() for g in self.grid):
            raise ArgumentError("RegularGridInterpolator: points must be strictly increasing",
                                fix="sort them, and the values along their axis")  # fmt: skip

    def __call__(self, xi: Any, method: str | None = None) -> Array:
        """The function at places `xi`.

        Args:
            xi: an array of shape (..., n), or a tuple of n arrays that broadcast together. A vector holds the
                coordinates of one place after the other.
            method: another one than that of the object.

        Returns:
            An array of the shape (...) and of the further axes of the values, NaN where a coordinate is. It has
            derivatives in the values, and for "linear" in the places and the grid.

        Raises:
            ShapeError: the places have another number of coordinates.
            ArgumentError: another method.

        >>> f = nrx.scipy.interpolate.RegularGridInterpolator((jnp.arange(3), jnp.arange(2)), jnp.ones((3, 2)))
        >>> f((jnp.array([0.5, 1.5]), 0.25))
        Array([1., 1.], dtype=float32)
        """
        method = _checked_method(self.method if method is None else method)
        places = self._coordinates(xi)
        cells = [_cell(grid, x) for grid, x in zip(self.grid, places, strict=True)]
        if method == "nearest":
            out = self.values[tuple(jnp.where(t <= 0.5, i, i + 1) for i, t in cells)]
        else:
            corners = itertools.product(*[((i, 1 - t), (i + 1, t)) for i, t in cells])
            out = sum((self._weighted(corner) for corner in corners), jnp.zeros((), self.values.dtype))
        if self.fill_value is not None:
            beyond = [(x < g[0]) | (x > g[-1]) for g, x in zip(self.grid, places, strict=True)]
            outside = self._spread(jnp.stack(beyond).any(0))
            out = jnp.where(outside, self.fill_value.astype(out.dtype), out)
        return jnp.where(self._spread(jnp.isnan(jnp.stack(places)).any(0)), np.nan, out)

    def _coordinates(self, xi: Any) -> list[Array]:
        count = len(self.grid)
        if isinstance(xi, tuple) and len(xi) > 1:
            given = jnp.broadcast_arrays(*promote_dtypes("RegularGridInterpolator", *xi, inexact=True))
        else:
            x = as_inexact("RegularGridInterpolator", xi[0] if isinstance(xi, tuple) else xi)
            if x.ndim <= 1:
                x = x.reshape(-1, count if x.size % count == 0 else 1)
            given = [x[..., i] for i in range(x.shape[-1])]
        if len(given) != count:
            raise ShapeError(
                f"RegularGridInterpolator: places with {len(given)} coordinates for a grid of {count} axes",
                fix="pass an array of shape (..., n), or a tuple of n arrays",
            )
        return given

    def _spread(self, x: Array) -> Array:
        """A value for each place, beside those of the function, which may have further axes."""
        return x.reshape(*x.shape, *(1,) * (self.values.ndim - len(self.grid)))

    def _weighted(self, corner: Sequence[tuple[Array, Array]]) -> Array:
        weight = math.prod([w for _, w in corner][1:], start=corner[0][1])
        return self.values[tuple(i for i, _ in corner)] * self._spread(weight)


def _checked_method(method: str) -> str:
    if method not in ("linear", "nearest"):
        raise ArgumentError(f"RegularGridInterpolator: unknown method {method!r}", fix='use "linear" or "nearest"')
    return method


def _cell(grid: Array, x: Array) -> tuple[Array, Array]:
    """The cell where each place is, and how far in it: 0 to 1 inside of the grid."""
    i = (jnp.searchsorted(grid, x) - 1).clip(0, grid.size - 2)
    return i, (x - grid[i]) / (grid[i + 1] - grid[i])


def _flatten(f: RegularGridInterpolator) -> tuple[tuple, tuple]:
    return (f.grid, f.values, f.fill_value), (f.method, f.bounds_error)


def _unflatten(settings: tuple, children: tuple) -> RegularGridInterpolator:
    f = object.__new__(RegularGridInterpolator)
    f.grid, f.values, f.fill_value = children
    f.method, f.bounds_error = settings
    return f


register_pytree_node(RegularGridInterpolator, _flatten, _unflatten)
