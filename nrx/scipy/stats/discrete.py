"""Distributions of integers, one class each."""

import math
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.scipy.special import betaln, entr, gammaincc, gammaln, xlog1py, xlogy
from nrx.scipy.special.operands import real_operands
from nrx.scipy.stats.distributions import Countable, Discrete

_INF = math.inf


class Bernoulli(Countable):
    """One trial that succeeds with probability p: 1 or 0."""

    shapes, _safe = ("p",), (0.5,)

    def _proper(self, p: Array) -> Any:
        return (p >= 0) & (p <= 1)

    def _support(self, p: Array) -> tuple[Any, Any]:
        return 0, 1

    def _logpmf(self, k: Array, p: Array) -> Array:
        return xlogy(k, p) + xlog1py(1 - k, -p)

    def _cdf(self, k: Array, p: Array) -> Array:
        return 1 - p + 0 * k

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Array:
        """The least k that is not exceeded with probability q; arguments and result as for `logpmf`.

        >>> nrx.scipy.stats.bernoulli.ppf(jnp.array([0.5, 0.8]), 0.25)
        Array([0., 1.], dtype=float32)
        """
        q, p, loc = self._operands("ppf", q, args, kwargs)
        proper, (p,) = self._guarded([p])
        return jnp.where(proper & (q >= 0) & (q <= 1), loc + jnp.where(q <= 1 - p, 0, 1), jnp.nan)


class Binomial(Discrete):
    """How many of n trials succeed, when each does with probability p."""

    shapes, _safe = ("n", "p"), (1.0, 0.5)

    def _proper(self, n: Array, p: Array) -> Any:
        return _is_count(n) & (p >= 0) & (p <= 1)

    def _support(self, n: Array, p: Array) -> tuple[Any, Any]:
        return 0, n

    def _logpmf(self, k: Array, n: Array, p: Array) -> Array:
        return _log_choose(n, k) + xlogy(k, p) + xlog1py(n - k, -p)


class BetaBinomial(Discrete):
    """How many of n trials succeed, when the probability itself is beta distributed with parameters a and b."""

    shapes, _safe = ("n", "a", "b"), (1.0, 1.0, 1.0)

    def _proper(self, n: Array, a: Array, b: Array) -> Any:
        return _is_count(n) & (a > 0) & (b > 0)

    def _support(self, n: Array, a: Array, b: Array) -> tuple[Any, Any]:
        return 0, n

    def _logpmf(self, k: Array, n: Array, a: Array, b: Array) -> Array:
        return _log_choose(n, k) + betaln(k + a, n - k + b) - betaln(a, b)


class NegativeBinomial(Discrete):
    """How many trials fail before n have succeeded, when each does with probability p."""

    shapes, _safe = ("n", "p"), (1.0, 0.5)

    def _proper(self, n: Array, p: Array) -> Any:
        return (n > 0) & (p > 0) & (p <= 1)

    def _logpmf(self, k: Array, n: Array, p: Array) -> Array:
        return gammaln(k + n) - gammaln(n) - gammaln(k + 1) + xlogy(n, p) + xlog1py(k, -p)


class Geometric(Discrete):
    """How many trials it takes until one succeeds, when each does with probability p."""

    shapes, _safe = ("p",), (0.5,)

    def _proper(self, p: Array) -> Any:
        return (p > 0) & (p <= 1)

    def _support(self, p: Array) -> tuple[Any, Any]:
        return 1, _INF

    def _logpmf(self, k: Array, p: Array) -> Array:
        return jnp.log(p) + xlog1py(k - 1, -p)


class Poisson(Countable):
    """How many events happen, when mu are expected."""

    shapes, _safe = ("mu",), (1.0,)

    def _proper(self, mu: Array) -> Any:
        return mu >= 0

    def _logpmf(self, k: Array, mu: Array) -> Array:
        return xlogy(k, mu) - gammaln(k + 1) - mu

    def _cdf(self, k: Array, mu: Array) -> Array:
        return gammaincc(k + 1, mu)

    def entropy(self, mu: Any, loc: Any = 0) -> Array:
        """The entropy: minus the expectation of `logpmf`.

        Args:
            mu: the expectation, a real array.
            loc: an array that broadcasts with `mu`; the entropy does not depend on it.

        Returns:
            An array of the shape they have together, of their floating dtype.

        >>> nrx.scipy.stats.poisson.entropy(jnp.array([0.0, 1.0])).round(3)
        Array([0.   , 1.305], dtype=float32)
        """
        mu, _ = real_operands("poisson.entropy", mu, loc)
        few = jnp.minimum(mu, 100)
        k = lax.broadcasted_iota(mu.dtype, (*mu.shape, 250), mu.ndim)  # beyond, nothing is left for mu <= 100
        total = jnp.sum(entr(self.pmf(k, few[..., None])), -1)
        large = jnp.maximum(mu, 100)
        series = 0.5 * jnp.log(2 * math.pi * math.e * large) - (1 + (0.5 + 19 / 30 / large) / large) / (12 * large)
        return jnp.where(mu < 0, jnp.nan, jnp.where(mu > 100, series, total))


def _is_count(n: Array) -> Array:
    return (n >= 0) & (n == lax.floor(n))


def _log_choose(n: Array, k: Array) -> Array:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


bernoulli, binom, betabinom = Bernoulli("bernoulli"), Binomial("binom"), BetaBinomial("betabinom")
nbinom, geom, poisson = NegativeBinomial("nbinom"), Geometric("geom"), Poisson("poisson")
