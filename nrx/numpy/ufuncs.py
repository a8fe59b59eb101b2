"""Universal functions: elementwise functions with reductions, accumulations, outer products and updates of their own.

`frompyfunc` makes them. NumPy's binary functions that have a use for these methods (`jnp.add.reduce`) stay plain
functions, which cost nothing more to call, and carry the methods as attributes: `install` puts them there.
"""

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ImmutableError, ShapeError
from nrx.core.shapes import canonical_axes, canonical_axis, show, size
from nrx.numpy import arithmetic, elementary, logic, reductions
from nrx.numpy.indexing import take
from nrx.numpy.mapping import vectorize
from nrx.numpy.universal import check_options
from nrx.ops.common import as_arrays
from nrx.ops.structural import broadcast_to
from nrx.transforms import eval_shape


class _Forms(NamedTuple):
    """What a built-in function has for the methods: a reduction and the options it takes, a cumulation, an update."""

    reduce: Callable | None = None
    options: frozenset[str] = frozenset()
    accumulate: Callable | None = None
    update: str = ""


class ufunc:  # noqa: N801  NumPy's name
    """An elementwise function and its methods.

    Args:
        func: a function of `nin` scalars that gives `nout` scalars.
        nin: the number of operands.
        nout: the number of results.
        name: its name in messages; by default that of the function.
        identity: what a reduction of nothing gives; None if there is none.
        call: the same function on arrays; by default `func`, vectorized.
        forms: for built-in functions, faster ways to do what the methods do.

    >>> larger = jnp.frompyfunc(lambda x, y: jnp.where(x > y, x, y), 2, 1)
    >>> larger.accumulate(jnp.array([1, 3, 2, 5]))
    Array([1, 3, 3, 5], dtype=int32)
    """

    def __init__(
        self, func: Callable, /, nin: int, nout: int, *, name: str | None = None, identity: Any = None,
        call: Callable | None = None, forms: _Forms | None = None,
    ):  # fmt: skip
        self.__doc__ = func.__doc__
        self.__name__ = name or getattr(func, "__name__", "ufunc")
        self.nin, self.nout, self.identity = operator.index(nin), operator.index(nout), identity
        self.nargs = self.nin + self.nout
        self._call, self._forms = call or vectorize(func), forms or _Forms()

    def __repr__(self) -> str:
        return f"<nrx.numpy.ufunc {self.__name__!r}>"

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The function of arrays that broadcast together; NumPy's other arguments must have their defaults."""
        check_options(str(self.__name__), options)
        if len(args) != self.nin:
            raise ArgumentError(f"{self.__name__} takes {self.nin} arrays, got {len(args)}")
        return self._call(*args)

    def reduce(
        self, a: Any, axis: Any = 0, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
        where: Any = None,
    ) -> Array:  # fmt: skip
        """The elements along axes joined by the function, from the first to the last.

        Args:
            a: an array.
            axis: an axis or a tuple of axes; None means all.
            dtype: the dtype of the result; by default that of the function.
            out: must be None.
            keepdims: whether the reduced axes stay, with length 1.
            initial: what to begin with; by default the first element.
            where: a condition that broadcasts with a; only elements where it holds count.

        Returns:
            An array without the reduced axes.

        Raises:
            ArgumentError: the function is not binary, or there is nothing to begin with.

        >>> jnp.subtract.reduce(jnp.array([[9, 5], [2, 1]]))
        Array([7, 4], dtype=int32)
        """
        x = self._operand("reduce", a, out)
        axes = canonical_axes(axis, x.ndim)
        options = {"where": where, "initial": initial, "dtype": dtype}
        given = {name: value for name, value in options.items() if value is not None}
        if self._forms.reduce is not None and self._forms.options >= set(given):
            return self._forms.reduce(x, axes, keepdims=keepdims, **given)
        kept = [i for i in range(x.ndim) if i not in axes]
        rest = tuple(x.shape[i] for i in kept)
        lines = lax.reshape(lax.transpose(x, (*axes, *kept)), (size(tuple(x.shape[i] for i in axes)), *rest))
        held = None
        if where is not None:
            held = logic.logical_and(where, lax.full_like(x, True, dtypes.bool_))
            held = lax.reshape(lax.transpose(held, (*axes, *kept)), lines.shape)
        result = self._folded(lines, held, initial, self._dtype(x, dtype))
        return lax.expand_dims(result, axes) if keepdims else result

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """The reductions of the first element, the first two, … along an axis.

        Args:
            a: an array of one axis or more.
            axis: an axis.
            dtype: the dtype of the result; by default that of the function.
            out: must be None.

        Returns:
            An array of the shape of a.

        >>> jnp.multiply.accumulate(jnp.array([1, 2, 3, 4]))
        Array([ 1,  2,  6, 24], dtype=int32)
        """
        x = self._operand("accumulate", a, out)
        axis = canonical_axis(axis, x.ndim)
        if self._forms.accumulate is not None:
            return self._forms.accumulate(x, axis, dtype)
        lines = lax.convert_element_type(_first(x, axis), self._dtype(x, dtype))
        if not x.shape[axis]:
            return lax.reshape(lines, x.shape)

        def step(carry: Array, line: Array) -> tuple[Array, Array]:
            carry = lax.convert_element_type(self(carry, line), lines.dtype)
            return carry, carry

        later = lax.scan(step, lines[0], lines[1:])[1]
        return _back(lax.concatenate([lines[:1], later], 0), axis)

    def reduceat(self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """The reductions of slices along an axis, from each index to the next one; the last goes to the end.

        Where an index is not below the next one, the element there is the result. The function is applied once for
        each element and slice.

        Args:
            a: an array of one axis or more.
            indices: a vector of integers; of traced ones that are out of bounds, the nearest position counts.
            axis: an axis.
            dtype: the dtype of the result; by default that of the function.
            out: must be None.

        Returns:
            An array with as many elements along the axis as there are indices.

        >>> jnp.add.reduceat(jnp.arange(8), jnp.array([0, 4, 1, 5]))
        Array([ 6,  4, 10, 18], dtype=int32)
        """
        x = self._operand("reduceat", a, out)
        axis = canonical_axis(axis, x.ndim)
        starts = asarray(indices, f"{self.__name__}.reduceat: indices")
        if starts.ndim != 1:
            raise ShapeError(f"{self.__name__}.reduceat needs a vector of indices, got shape {show(starts.shape)}")
        starts = lax.convert_element_type(starts, dtypes.scalar_dtype(int))
        target = self._dtype(x, dtype)
        lines = lax.convert_element_type(_first(x, axis), target)
        n = lines.shape[0]
        ends = lax.concatenate([starts[1:], lax.full_like(starts[:1], n)], 0)

        def step(carry: Array, line: tuple[Array, Array]) -> tuple[Array, None]:
            position, value = line
            inside = logic.logical_and(logic.less(starts, position), logic.less(position, ends))
            inside = lax.reshape(inside, (inside.size,) + (1,) * value.ndim)
            joined = lax.convert_element_type(self(carry, value), target)
            return logic.where(inside, joined, carry), None

        positions = lax.iota(starts.dtype, n)
        return _back(lax.scan(step, take(lines, starts, 0), (positions, lines))[0], axis)

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Array:
        """A copy with the function applied to the elements at an index, as often as they occur there.

        Args:
            a: an array.
            indices: an index, as in `a[indices]`.
            b: the second operand of a binary function; broadcasts with `a[indices]`.
            inplace: must be False, as arrays are immutable.

        Returns:
            An array of the shape and dtype of a.

        >>> jnp.add.at(jnp.zeros(3), jnp.array([0, 0, 2]), 1.0, inplace=False)
        Array([2., 0., 1.], dtype=float32)
        """
        name = f"{self.__name__}.at"
        if inplace:
            raise ImmutableError(f"{name} would change an array in place", fix="with inplace=False it makes a copy")
        values = () if b is None else (b,)
        if (self.nin, self.nout) != (1 + len(values), 1):
            raise ArgumentError(f"{name}: a function of {self.nin} arrays got {1 + len(values)}")
        (x,) = as_arrays(name, a)
        if self._forms.update:
            return getattr(x.at[indices], self._forms.update)(b)
        places = lax.reshape(lax.iota(dtypes.scalar_dtype(int), x.size), x.shape)[indices]
        others = [lax.reshape(broadcast_to(y, places.shape), (places.size,)) for y in as_arrays(name, *values)]

        def step(carry: Array, item: tuple[Array, ...]) -> tuple[Array, None]:
            place, *other = item
            return carry.at[place].set(lax.convert_element_type(self(carry[place], *other), x.dtype)), None

        flat = lax.scan(step, lax.reshape(x, (x.size,)), (lax.reshape(places, (places.size,)), *others))[0]
        return lax.reshape(flat, x.shape)

    def outer(self, A: Any, B: Any, /) -> Array:
        """The function of all pairs of elements.

        Args:
            A: an array.
            B: an array.

        Returns:
            An array with the axes of A and those of B.

        >>> jnp.multiply.outer(jnp.array([1, 2]), jnp.array([3, 4, 5]))
        Array([[ 3,  4,  5],
               [ 6,  8, 10]], dtype=int32)
        """
        if self.nin != 2:
            raise ArgumentError(f"{self.__name__}.outer: the function takes {self.nin} arrays, not 2")
        x, y = as_arrays(f"{self.__name__}.outer", A, B)
        return self(lax.reshape(x, x.shape + (1,) * y.ndim), y)

    def _operand(self, method: str, a: Any, out: None) -> Array:
        reductions.reject_out(f"{self.__name__}.{method}", out)
        if (self.nin, self.nout) != (2, 1):
            raise ArgumentError(f"{self.__name__}.{method} is for functions of 2 arrays that give 1")
        return as_arrays(f"{self.__name__}.{method}", a)[0]

    def _dtype(self, x: Array, dtype: Any) -> Any:
        """The dtype of results: that asked for, or that of the function of two elements."""
        if dtype is not None:
            return canonical_dtype(dtype, x.dtype)
        element = lax.full_like(x, 1, shape=())
        return cast(Any, eval_shape(self, element, element)).dtype

    def _folded(self, lines: Array, held: Array | None, initial: Any, dtype: Any) -> Array:
        """The reduction over the first axis of the elements that are held."""
        begin = self.identity if initial is None else initial
        if begin is None and (held is not None or not lines.shape[0]):
            raise ArgumentError(
                f"{self.__name__}.reduce has nothing to begin with: the function has no identity",
                fix="pass initial=...",
            )
        lines = lax.convert_element_type(lines, dtype)
        if initial is None and held is None and lines.shape[0]:
            carry, lines = lines[0], lines[1:]
        else:
            carry = broadcast_to(lax.convert_element_type(begin, dtype), lines.shape[1:])

        def step(carry: Array, item: tuple[Array, ...]) -> tuple[Array, None]:
            line, *hold = item
            joined = lax.convert_element_type(self(carry, line), dtype)
            return logic.where(hold[0], joined, carry) if hold else joined, None

        return lax.scan(step, carry, (lines,) if held is None else (lines, held))[0]


def frompyfunc(func: Callable, /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A universal function of a function of scalars.

    Args:
        func: a function of `nin` scalars that gives `nout` scalars; it is traced, once for all elements.
        nin: the number of operands.
        nout: the number of results.
        identity: what a reduction of nothing gives; None if there is none.

    Returns:
        A `ufunc`. (NumPy's results have the dtype object, these the dtypes of the function.)

    >>> clipped = jnp.frompyfunc(lambda x, y: jnp.minimum(x + y, 10), 2, 1, identity=0)
    >>> clipped.reduce(jnp.array([4, 5, 6])), clipped.outer(jnp.array([1, 9]), jnp.array([0, 8]))
    (Array(10, dtype=int32), Array([[ 1,  9],
           [ 9, 10]], dtype=int32))
    """
    return ufunc(func, nin, nout, identity=identity)


def _first(x: Array, axis: int) -> Array:
    return lax.transpose(x, (axis, *(i for i in range(x.ndim) if i != axis)))


def _back(x: Array, axis: int) -> Array:
    return lax.transpose(x, (*range(1, axis + 1), 0, *range(axis + 1, x.ndim)))


_IDENTITIES: dict[Callable, Any] = {
    arithmetic.add: 0, arithmetic.multiply: 1, arithmetic.subtract: None, arithmetic.negative: None,
    arithmetic.maximum: None, arithmetic.minimum: None,
    elementary.logaddexp: -math.inf, elementary.logaddexp2: -math.inf,
    logic.bitwise_and: -1, logic.bitwise_or: 0, logic.bitwise_xor: 0,
    logic.logical_and: True, logic.logical_or: False, logic.logical_xor: False,
}  # fmt: skip
_ALL_OPTIONS = frozenset(("where", "initial", "dtype"))
_FORMS = {
    arithmetic.add: _Forms(reductions.sum, _ALL_OPTIONS, reductions.cumsum, "add"),
    arithmetic.multiply: _Forms(reductions.prod, _ALL_OPTIONS, reductions.cumprod, "multiply"),
    arithmetic.subtract: _Forms(update="subtract"),
    arithmetic.maximum: _Forms(reductions.max, _ALL_OPTIONS - {"dtype"}, update="max"),
    arithmetic.minimum: _Forms(reductions.min, _ALL_OPTIONS - {"dtype"}, update="min"),
    logic.logical_and: _Forms(reductions.all, frozenset(("where",))),
    logic.logical_or: _Forms(reductions.any, frozenset(("where",))),
}


def install() -> None:
    """Give the built-in functions the methods and attributes of a `ufunc`."""
    for function, identity in _IDENTITIES.items():
        operands = 1 if function is arithmetic.negative else 2
        made = ufunc(function, operands, 1, identity=identity, call=function, forms=_FORMS.get(function))
        for attribute in ("reduce", "accumulate", "reduceat", "at", "outer", "nin", "nout", "nargs", "identity"):
            setattr(function, attribute, getattr(made, attribute))
