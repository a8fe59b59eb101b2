"""The terms in which numerics are written once, for whole arrays of float64 and for one element in loop IR.

Operators work on both; `where` selects, so that there are no branches on values but for `rarely` and `iterate`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from nrx.core import loops
from nrx.core.loops import Builder, Expr
from nrx.ops import special_math


class ArrayMath:
    """Functions of arrays of an array module."""

    def __init__(self, xp: Any):
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def lgamma(self, x: Any) -> Any:
        return special_math.lgamma(self._xp, x)

    def digamma(self, x: Any) -> Any:
        return special_math.digamma(self._xp, x)

    def rarely(self, condition: Any, slow: Callable, fast: Any) -> Any:
        """`slow()` where the condition holds."""
        return self._xp.where(condition, slow(), fast)

    def table(self, index: Any, values: Sequence[float]) -> Any:
        """The number of a tuple at each position."""
        return self._xp.asarray(values)[index.astype(int)]

    def call(self, function: Callable, *xs: Any) -> Any:
        """`function(math, *xs)`."""
        return function(self, *xs)

    def iterate(self, state: Sequence[Any], active: Callable, step: Callable) -> Sequence[Any]:
        """`step(*state)` as long as `active(*state)`, each element by itself."""
        while (going := active(*state)).any():
            state = [self._xp.where(going, new, old) for new, old in zip(step(*state), state, strict=True)]
        return state


class LoopMath:
    """Functions of elements in loop IR."""

    def __init__(self, builder: Builder | None = None):
        self._builder = builder

    where = staticmethod(loops.select)
    equal = staticmethod(loops.eq)

    def __getattr__(self, name: str) -> Callable:
        return lambda *xs: loops.apply(name, *xs)

    def rarely(self, condition: Expr, slow: Callable, fast: Expr) -> Expr:
        """`slow()` where the condition holds: computed only if it does for some element."""
        return loops.rarely(condition, slow(), fast)

    def table(self, index: Expr, values: Sequence[float]) -> Expr:
        """The number of a tuple at a position."""
        return loops.table(loops.convert(index, "u32"), tuple(values), "f64")

    def call(self, function: Callable, *xs: Any) -> Expr:
        """`function(math, *xs)`, compiled once for all calls."""
        return loops.call(_of_elements(function), *xs)

    def iterate(self, state: Sequence[Any], active: Callable, step: Callable) -> Sequence[Any]:
        """`step(*state)` as long as `active(*state)`."""
        assert self._builder is not None
        return self._builder.while_(list(state), active, step)


@functools.cache
def _of_elements(function: Callable) -> Callable[..., Expr]:
    """A function of a `Math` and elements as one of elements, the same for equal functions."""

    @functools.wraps(function)
    def of_elements(*xs: Expr) -> Expr:
        return function(LoopMath(), *xs)

    return of_elements


Math = ArrayMath | LoopMath


def array_impl(function: Callable) -> Callable:
    """The impl of a primitive whose elements are `function(math, *xs)`, in float64."""

    def impl(xp: Any, *xs: Any) -> Any:
        wide = [xp.asarray(x, dtype=xp.float64) for x in xs]
        return xp.asarray(function(ArrayMath(xp), *wide)).astype(xs[0].dtype)

    return impl


def element(function: Callable) -> Callable[..., Expr]:
    """`function(math, *xs)` of elements of any floating type, in float64."""

    def in_float64(*xs: Expr) -> Expr:
        return loops.convert(function(LoopMath(), *(loops.convert(x, "f64") for x in xs)), xs[0].type)

    return in_float64
