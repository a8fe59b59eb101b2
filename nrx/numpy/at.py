"""`x.at[index].set(value)` and its kin: changed copies of immutable arrays.

The result has the dtype of `x`: a value of a wider kind (floating into integer, complex into real) is refused with a
DTypeError, where JAX warns and truncates. Within a kind the value is converted (float64 into float32). Where an element
is meant several times, each `add`, `multiply`, `divide`, `power`, `min`, `max` and `apply` counts; of `set` the last
does.
"""

from collections.abc import Callable
from typing import Any

from nrx.control.loops import while_loop
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import DTypeError, ImmutableError
from nrx.core.trace import Tracer
from nrx.numpy.arithmetic import power
from nrx.numpy.indexing import converted, getitem, repeats, updated
from nrx.numpy.logic import where
from nrx.ops.arithmetic import div, neg
from nrx.ops.dimension_numbers import GatherScatterMode
from nrx.ops.reductions import reduce_max
from nrx.ops.structural import full_like

Mode = str | GatherScatterMode | None


class IndexUpdateHelper:
    """What `x.at` is: index it to say which elements to update."""

    __slots__ = ("array",)

    def __init__(self, array: Array):
        self.array = array

    def __getitem__(self, index: Any) -> "IndexUpdateRef":
        return IndexUpdateRef(self.array, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise ImmutableError(
            "x.at[index] = value would change an array in place", fix="write x = x.at[index].set(value)"
        )

    def __repr__(self) -> str:
        return f"IndexUpdateHelper({self.array!r})"


class IndexUpdateRef:
    """What `x.at[index]` is: the elements `x[index]`, to be updated in a copy of `x`.

    All methods take the keywords `mode`, `indices_are_sorted`, `unique_indices`, `wrap_negative_indices` and
    `out_sharding` (None), see `nrx.numpy.indexing.updated`. The default mode raises where a known index is out of
    bounds, and drops the update where a traced one is.

    >>> import nrx.numpy as jnp
    >>> x = jnp.zeros(4)
    >>> x.at[1:3].set(5.0)
    Array([0., 5., 5., 0.], dtype=float32)
    >>> x.at[jnp.array([0, 0])].add(1.0)
    Array([2., 0., 0., 0.], dtype=float32)
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Array, index: Any):
        self.array = array
        self.index = index

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"x.at[index] has no method {name!r}; it has set, add, get, …", name=name, obj=self)

    def __repr__(self) -> str:
        return f"IndexUpdateRef({self.array!r}, {self.index!r})"

    def get(self, *, mode: Mode = None, fill_value: Any = None, **options: Any) -> Array:
        """`x[index]`, with a choice of what is read out of bounds: see `nrx.numpy.indexing.getitem`."""
        return getitem(self.array, self.index, mode=mode, fill_value=fill_value, **options)

    def set(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] = values`."""
        return updated(self.array, self.index, values, "set", **options)

    def add(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] += values`."""
        return updated(self.array, self.index, values, "add", **options)

    def subtract(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] -= values`."""
        return updated(self.array, self.index, neg(converted(values, self.array)), "add", **options)

    def multiply(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] *= values`."""
        return updated(self.array, self.index, values, "mul", **options)

    mul = multiply

    def divide(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] /= values`; `x` must be floating or complex."""
        if not dtypes.is_inexact(self.array.dtype):
            raise DTypeError(
                f"x.at[...].divide needs a floating or complex array, which keeps its dtype; x has {self.array.dtype}",
                fix="convert the array first: x.astype(float)",
            )
        return div(self.array, self._product(values, options))

    def power(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] **= values`."""
        exponents = IndexUpdateRef(self._product(values, options), self.index)._read(options)
        return self.set(power(self._read(options), exponents), **options)

    def min(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] = minimum(x[index], values)`."""
        return updated(self.array, self.index, values, "min", **options)

    def max(self, values: Any, **options: Any) -> Array:
        """`x` with `x[index] = maximum(x[index], values)`."""
        return updated(self.array, self.index, values, "max", **options)

    def apply(self, func: Callable[[Array], Any], **options: Any) -> Array:
        """`x` with `x[index] = func(x[index])`, for an elementwise function.

        Where traced positions may repeat, which `unique_indices` excludes, only forward mode differentiates.
        """

        def applied(x: Array) -> Array:
            return updated(x, self.index, func(getitem(x, self.index, **options)), "set", **options)

        def again(step: tuple[Any, Array]) -> tuple[Any, Array]:
            count, x = step
            return count + 1, where(counts > count, applied(x), x)

        counts, out = repeats(self.array, self.index, **options), applied(self.array)
        if counts is None or not counts.size:
            return out
        most = reduce_max(counts, range(counts.ndim))
        if isinstance(most, Tracer):
            return while_loop(lambda step: step[0] < most, again, (1, out))[1]
        for count in range(1, int(most)):
            _, out = again((count, out))
        return out

    def _read(self, options: dict[str, Any]) -> Array:
        return getitem(self.array, self.index, **options)

    def _product(self, values: Any, options: dict[str, Any]) -> Array:
        """An array of ones with `values` multiplied into the elements: repeated ones count each time."""
        return updated(full_like(self.array, 1), self.index, converted(values, self.array), "mul", **options)
