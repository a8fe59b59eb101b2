"""What distributions have in common: operands, location and scale, support, and functions that follow from others.

A distribution says in methods with an underscore what it knows of the standard case (location 0, scale 1), inside of
its support; what it does not say follows from the rest. Their arguments are `*args` here, so that each may name its
own.

Parameters that describe no distribution give NaN, as SciPy's. The formulas then see others that do (`_safe`) and a
number inside of the support (`_inner`), so that nothing infinite gets into the derivatives of the elements beside them.
"""

import functools
import operator
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.core.errors import ArgumentTypeError
from nrx.scipy.special.operands import real_operands

_INFINITE = (-float("inf"), float("inf"))


class Distribution:
    """A distribution of numbers with parameters.

    Attributes:
        name: the name under which `nrx.scipy.stats` has it.
        shapes: the names of the parameters that are no location or scale.
    """

    shapes: tuple[str, ...] = ()
    _safe: tuple[float, ...] = ()
    _further: dict[str, float]

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"nrx.scipy.stats.{self.name}"

    def _support(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return _INFINITE

    def _proper(self, *args: Any, **kwargs: Any) -> Any:
        """Where the shape parameters describe a distribution: here, where all are positive."""
        return functools.reduce(operator.and_, (shape > 0 for shape in args))

    def _inner(self, *args: Any, **kwargs: Any) -> Any:
        """A number inside of the support."""
        return 0.5

    def _guarded(self, shapes: list[Array], *scales: Array) -> tuple[Any, ...]:
        """Where the parameters describe a distribution; and shapes and scale, with safe ones put in elsewhere."""
        conditions = [scale > 0 for scale in scales]
        if shapes:
            conditions.append(self._proper(*shapes))
        proper = functools.reduce(operator.and_, conditions)
        shapes = [jnp.where(proper, shape, safe) for shape, safe in zip(shapes, self._safe, strict=True)]
        return proper, shapes, *(jnp.where(proper, scale, 1) for scale in scales)

    def _operands(self, method: str, x: Any, args: tuple, kwargs: dict[str, Any]) -> list[Array]:
        """The first operand and all parameters, floating and of one shape."""
        name, names = f"{self.name}.{method}", (*self.shapes, *self._further)
        given = dict(zip(names, args, strict=False))
        for repeated in [n for n in kwargs if n in given or n not in names] or names[len(names) : len(args)]:
            raise ArgumentTypeError(f"{name}: unexpected argument {repeated!r}; its parameters are {', '.join(names)}")
        if len(args) > len(names):
            raise ArgumentTypeError(f"{name}: {len(args)} parameters, but it has {len(names)}: {', '.join(names)}")
        given = {**self._further, **given, **kwargs}
        if missing := [n for n in self.shapes if n not in given]:
            raise ArgumentTypeError(f"{name}: the parameter {missing[0]!r} is missing")
        return real_operands(name, x, *(given[n] for n in names))


class Density(Distribution):
    """A continuous distribution of which the density is known."""

    _further = {"loc": 0, "scale": 1}  # noqa: RUF012 - constant

    def _logpdf(self, *args: Any, **kwargs: Any) -> Array:
        raise NotImplementedError

    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """The logarithm of the density.

        Args:
            x: a real array.
            args, kwargs: the parameters, real arrays that broadcast with `x`: those of the distribution, `loc` (0 by
                default) and `scale` (1 by default).

        Returns:
            An array of the shape they have together, of their floating dtype; minus infinity outside of the support,
            NaN where the parameters describe no distribution.

        Raises:
            ArgumentTypeError: a parameter is missing or unknown.

        >>> nrx.scipy.stats.norm.logpdf(jnp.array([0.0, 1.0])).round(3)
        Array([-0.919, -1.419], dtype=float32)
        """
        proper, y, shapes, scale = self._standard("logpdf", x, args, kwargs)
        support = self._support(*shapes)
        if support is _INFINITE:
            return jnp.where(proper, self._logpdf(y, *shapes) - jnp.log(scale), jnp.nan)
        outside = (y < support[0]) | (y > support[1])
        y = jnp.where(outside | ~proper, self._inner(*shapes), y)
        value = self._logpdf(y, *shapes) - jnp.log(scale)
        return jnp.where(proper, jnp.where(outside, -jnp.inf, value), jnp.nan)

    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """The density; arguments, result and errors as for `logpdf`.

        >>> nrx.scipy.stats.norm.pdf(jnp.array([0.0, 1.0])).round(3)
        Array([0.399, 0.242], dtype=float32)
        """
        return jnp.exp(self.logpdf(x, *args, **kwargs))

    def _standard(self, method: str, x: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Where the parameters are proper, (x - loc) / scale, and safe shapes and scale."""
        x, *shapes, loc, scale = self._operands(method, x, args, kwargs)
        proper, shapes, scale = self._guarded(shapes, scale)
        return proper, (x - loc) / scale, shapes, scale


class Continuous(Density):
    """A continuous distribution of which the distribution function is known, too."""

    def _cdf(self, *args: Any, **kwargs: Any) -> Array:
        raise NotImplementedError

    def _sf(self, *args: Any, **kwargs: Any) -> Array:
        return 1 - self._cdf(*args)

    def _logcdf(self, *args: Any, **kwargs: Any) -> Array:
        return _log(self._cdf(*args), self._sf(*args))

    def _logsf(self, *args: Any, **kwargs: Any) -> Array:
        return _log(self._sf(*args), self._cdf(*args))

    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """The probability of at most x; arguments, result and errors as for `logpdf`.

        >>> nrx.scipy.stats.norm.cdf(jnp.array([0.0, 1.0])).round(3)
        Array([0.5  , 0.841], dtype=float32)
        """
        return self._between("cdf", self._cdf, 0, 1, x, args, kwargs)

    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """The logarithm of the probability of at most x; arguments, result and errors as for `logpdf`.

        >>> nrx.scipy.stats.norm.logcdf(jnp.array([0.0, -100.0])).round(2)
        Array([-6.90000e-01, -5.00552e+03], dtype=float32)
        """
        return self._between("logcdf", self._logcdf, -jnp.inf, 0, x, args, kwargs)

    def sf(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """The probability of more than x (the survival function); arguments, result and errors as for `logpdf`.

        >>> nrx.scipy.stats.norm.sf(jnp.array([0.0, 1.0])).round(3)
        Array([0.5  , 0.159], dtype=float32)
        """
        return self._between("sf", self._sf, 1, 0, x, args, kwargs)

    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> Array:
        """The logarithm of the probability of more than x; arguments, result and errors as for `logpdf`.

        >>> nrx.scipy.stats.expon.logsf(jnp.array([0.0, 100.0]))
        Array([   0., -100.], dtype=float32)
        """
        return self._between("logsf", self._logsf, 0, -jnp.inf, x, args, kwargs)

    def _between(self, method: str, function: Any, below: float, above: float, x: Any, args: Any, kwargs: Any) -> Array:
        """A function that is constant beyond the ends of the support."""
        proper, y, shapes, _ = self._standard(method, x, args, kwargs)
        support = self._support(*shapes)
        under, over = y <= support[0], y >= support[1]
        if support is not _INFINITE:
            y = jnp.where(under | over | ~proper, self._inner(*shapes), y)
        value = jnp.where(under, below, jnp.where(over, above, function(y, *shapes)))
        return jnp.where(proper, value, jnp.nan)


class Invertible(Continuous):
    """A continuous distribution of which the inverse of the distribution function is known, too."""

    def _ppf(self, *args: Any, **kwargs: Any) -> Array:
        raise NotImplementedError

    def _isf(self, *args: Any, **kwargs: Any) -> Array:
        return self._ppf(1 - args[0], *args[1:])

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Array:
        """The number not exceeded with probability q (the inverse of `cdf`); arguments and result as for `logpdf`.

        >>> nrx.scipy.stats.norm.ppf(jnp.array([0.5, 0.9])).round(3) + 0
        Array([0.   , 1.282], dtype=float32)
        """
        return self._inverse("ppf", self._ppf, q, args, kwargs)

    def isf(self, q: Any, *args: Any, **kwargs: Any) -> Array:
        """The number that is exceeded with probability q (the inverse of `sf`); arguments and result as for `logpdf`.

        >>> nrx.scipy.stats.norm.isf(jnp.array([0.5, 0.1])).round(3) + 0
        Array([0.   , 1.282], dtype=float32)
        """
        return self._inverse("isf", self._isf, q, args, kwargs)

    def _inverse(self, method: str, function: Any, q: Any, args: Any, kwargs: Any) -> Array:
        q, *shapes, loc, scale = self._operands(method, q, args, kwargs)
        proper, shapes, scale = self._guarded(shapes, scale)
        proper = proper & (q >= 0) & (q <= 1)
        return jnp.where(proper, loc + scale * function(jnp.where(proper, q, 0.5), *shapes), jnp.nan)


class Discrete(Distribution):
    """A distribution of integers."""

    _further = {"loc": 0}  # noqa: RUF012 - constant

    def _logpmf(self, *args: Any, **kwargs: Any) -> Array:
        raise NotImplementedError

    def _support(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return 0, _INFINITE[1]

    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> Array:
        """The logarithm of the probability.

        Args:
            k: a real array.
            args, kwargs: the parameters, real arrays that broadcast with `k`: those of the distribution, and `loc` (0
                by default).

        Returns:
            An array of the shape they have together, of their floating dtype; minus infinity where `k - loc` is not in
            the support, or not a whole number, NaN where the parameters describe no distribution.

        Raises:
            ArgumentTypeError: a parameter is missing or unknown.

        >>> nrx.scipy.stats.poisson.logpmf(jnp.array([0, 2]), 2.0).round(3)
        Array([-2.   , -1.307], dtype=float32, weak_type=True)
        """
        k, *shapes, loc = self._operands("logpmf", k, args, kwargs)
        proper, shapes = self._guarded(shapes)
        k, (low, high) = k - loc, self._support(*shapes)
        impossible = (k < low) | (k > high) | (k > lax.floor(k))  # NaN is none of these
        value = self._logpmf(jnp.where(impossible | ~proper, low, k), *shapes)
        return jnp.where(proper, jnp.where(impossible, -jnp.inf, value), jnp.nan)

    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> Array:
        """The probability; arguments, result and errors as for `logpmf`.

        >>> nrx.scipy.stats.poisson.pmf(jnp.array([0, 2]), 2.0).round(3)
        Array([0.135, 0.271], dtype=float32, weak_type=True)
        """
        return jnp.exp(self.logpmf(k, *args, **kwargs))


class Countable(Discrete):
    """A distribution of integers of which the distribution function is known, too."""

    def _cdf(self, *args: Any, **kwargs: Any) -> Array:
        raise NotImplementedError

    def cdf(self, k: Any, *args: Any, **kwargs: Any) -> Array:
        """The probability of at most k; arguments, result and errors as for `logpmf`.

        >>> nrx.scipy.stats.bernoulli.cdf(jnp.array([-1, 0, 1]), 0.25)
        Array([0.  , 0.75, 1.  ], dtype=float32, weak_type=True)
        """
        k, *shapes, loc = self._operands("cdf", k, args, kwargs)
        proper, shapes = self._guarded(shapes)
        k, (low, high) = lax.floor(k - loc), self._support(*shapes)
        under, over = k < low, k >= high
        value = self._cdf(jnp.where(under | over | ~proper, low, k), *shapes)
        return jnp.where(proper, jnp.where(under, 0, jnp.where(over, 1, value)), jnp.nan)


def _log(share: Array, rest: Array) -> Array:
    """The logarithm of a probability: of one that is nearly 1, from the probability of the rest."""
    likely = rest < 0.5
    return jnp.where(likely, lax.log1p(-jnp.where(likely, rest, 0)), jnp.log(share))
