"""Continuous distributions, one class each; the functions for the standard case are those of the literature."""

import math
from typing import Any

import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import Array
from nrx.scipy.special import (
    betainc,
    betaln,
    gammainc,
    gammaincc,
    gammaln,
    i0e,
    log_ndtr,
    ndtr,
    ndtri,
    xlog1py,
    xlogy,
)
from nrx.scipy.stats.distributions import Continuous, Density, Invertible

_INF = math.inf
_LOG_2PI = math.log(2 * math.pi)


class Normal(Invertible):
    """The normal distribution: the density is exp(-x**2 / 2) / sqrt(2 * pi)."""

    def _logpdf(self, y: Array) -> Array:
        return -0.5 * (y * y + _LOG_2PI)

    def _cdf(self, y: Array) -> Array:
        return ndtr(y)

    def _sf(self, y: Array) -> Array:
        return ndtr(-y)

    def _logcdf(self, y: Array) -> Array:
        return log_ndtr(y)

    def _logsf(self, y: Array) -> Array:
        return log_ndtr(-y)

    def _ppf(self, q: Array) -> Array:
        return ndtri(q)

    def _isf(self, q: Array) -> Array:
        return -ndtri(q)


class Uniform(Invertible):
    """The uniform distribution on [0, 1]."""

    def _support(self) -> tuple[Any, Any]:
        return 0, 1

    def _logpdf(self, y: Array) -> Array:
        return jnp.zeros_like(y) * y

    def _cdf(self, y: Array) -> Array:
        return y

    def _ppf(self, q: Array) -> Array:
        return q


class Exponential(Invertible):
    """The exponential distribution: the density is exp(-x) for x >= 0."""

    def _support(self) -> tuple[Any, Any]:
        return 0, _INF

    def _logpdf(self, y: Array) -> Array:
        return -y

    def _cdf(self, y: Array) -> Array:
        return -lax.expm1(-y)

    def _sf(self, y: Array) -> Array:
        return jnp.exp(-y)

    def _logcdf(self, y: Array) -> Array:
        return _log1mexp(y)

    def _logsf(self, y: Array) -> Array:
        return -y

    def _ppf(self, q: Array) -> Array:
        return -lax.log1p(-q)

    def _isf(self, q: Array) -> Array:
        return -jnp.log(q)


class Cauchy(Invertible):
    """The Cauchy distribution: the density is 1 / (pi * (1 + x**2))."""

    def _logpdf(self, y: Array) -> Array:
        return -math.log(math.pi) - 2 * jnp.log(jnp.hypot(y, 1))

    def _cdf(self, y: Array) -> Array:
        return lax.atan2(jnp.ones_like(y), -y) / math.pi

    def _sf(self, y: Array) -> Array:
        return self._cdf(-y)

    def _ppf(self, q: Array) -> Array:
        # The tangent is taken of small numbers, so that tails are exact.
        tail = 1 / jnp.tan(math.pi * jnp.minimum(q, 1 - q))
        return jnp.where(q < 0.5, -tail, tail)

    def _isf(self, q: Array) -> Array:
        return -self._ppf(q)


class Laplace(Invertible):
    """The Laplace distribution: the density is exp(-|x|) / 2."""

    def _logpdf(self, y: Array) -> Array:
        return -jnp.abs(y) - math.log(2)

    def _cdf(self, y: Array) -> Array:
        tail = 0.5 * jnp.exp(-jnp.abs(y))
        return jnp.where(y < 0, tail, 1 - tail)

    def _sf(self, y: Array) -> Array:
        return self._cdf(-y)

    def _logcdf(self, y: Array) -> Array:
        return jnp.where(y < 0, y - math.log(2), lax.log1p(-0.5 * jnp.exp(-jnp.abs(y))))

    def _logsf(self, y: Array) -> Array:
        return self._logcdf(-y)

    def _ppf(self, q: Array) -> Array:
        tail = jnp.log(2 * jnp.minimum(q, 1 - q))
        return jnp.where(q < 0.5, tail, -tail)

    def _isf(self, q: Array) -> Array:
        return -self._ppf(q)


class Logistic(Invertible):
    """The logistic distribution: the density is exp(-x) / (1 + exp(-x))**2."""

    def _logpdf(self, y: Array) -> Array:
        return -jnp.abs(y) - 2 * lax.log1p(jnp.exp(-jnp.abs(y)))

    def _cdf(self, y: Array) -> Array:
        return lax.logistic(y)

    def _sf(self, y: Array) -> Array:
        return lax.logistic(-y)

    def _logcdf(self, y: Array) -> Array:
        return -jnp.logaddexp(-y, 0)

    def _logsf(self, y: Array) -> Array:
        return -jnp.logaddexp(y, 0)

    def _ppf(self, q: Array) -> Array:
        return jnp.log(q) - lax.log1p(-q)

    def _isf(self, q: Array) -> Array:
        return -self._ppf(q)


class GumbelRight(Invertible):
    """The distribution of maxima: the density is exp(-x - exp(-x))."""

    def _logpdf(self, y: Array) -> Array:
        return -y - jnp.exp(-y)

    def _cdf(self, y: Array) -> Array:
        return jnp.exp(-jnp.exp(-y))

    def _sf(self, y: Array) -> Array:
        return -lax.expm1(-jnp.exp(-y))

    def _logcdf(self, y: Array) -> Array:
        return -jnp.exp(-y)

    def _logsf(self, y: Array) -> Array:
        # The argument underflows long after the logarithm is -y.
        return jnp.where(y > 40, -y, _log1mexp(jnp.exp(-jnp.minimum(y, 40))))

    def _ppf(self, q: Array) -> Array:
        return -jnp.log(-jnp.log(q))

    def _isf(self, q: Array) -> Array:
        return -jnp.log(-lax.log1p(-q))


class GumbelLeft(GumbelRight):
    """The distribution of minima: the density is exp(x - exp(x))."""

    def _logpdf(self, y: Array) -> Array:
        return super()._logpdf(-y)

    def _cdf(self, y: Array) -> Array:
        return super()._sf(-y)

    def _sf(self, y: Array) -> Array:
        return super()._cdf(-y)

    def _logcdf(self, y: Array) -> Array:
        return super()._logsf(-y)

    def _logsf(self, y: Array) -> Array:
        return super()._logcdf(-y)

    def _ppf(self, q: Array) -> Array:
        return -super()._isf(q)

    def _isf(self, q: Array) -> Array:
        return -super()._ppf(q)


class Pareto(Invertible):
    """The Pareto distribution with exponent b: the density is b / x**(b + 1) for x >= 1."""

    shapes, _safe = ("b",), (1.0,)

    def _support(self, b: Array) -> tuple[Any, Any]:
        return 1, _INF

    def _inner(self, b: Array) -> Any:
        return 1.5

    def _logpdf(self, y: Array, b: Array) -> Array:
        return jnp.log(b) - (b + 1) * jnp.log(y)

    def _cdf(self, y: Array, b: Array) -> Array:
        return -lax.expm1(-b * jnp.log(y))

    def _sf(self, y: Array, b: Array) -> Array:
        return y**-b

    def _logcdf(self, y: Array, b: Array) -> Array:
        return _log1mexp(b * jnp.log(y))

    def _logsf(self, y: Array, b: Array) -> Array:
        return -b * jnp.log(y)

    def _ppf(self, q: Array, b: Array) -> Array:
        return jnp.exp(-lax.log1p(-q) / b)

    def _isf(self, q: Array, b: Array) -> Array:
        return q ** (-1 / b)


class Gamma(Continuous):
    """The gamma distribution with shape a: the density is x**(a - 1) * exp(-x) / gamma(a) for x >= 0."""

    shapes, _safe = ("a",), (1.0,)

    def _support(self, a: Array) -> tuple[Any, Any]:
        return 0, _INF

    def _logpdf(self, y: Array, a: Array) -> Array:
        return xlogy(a - 1, y) - y - gammaln(a)

    def _cdf(self, y: Array, a: Array) -> Array:
        return gammainc(a, y)

    def _sf(self, y: Array, a: Array) -> Array:
        return gammaincc(a, y)


class ChiSquared(Continuous):
    """The chi-squared distribution with df degrees of freedom: that of a sum of df squares of normal numbers."""

    shapes, _safe = ("df",), (1.0,)

    def _support(self, df: Array) -> tuple[Any, Any]:
        return 0, _INF

    def _logpdf(self, y: Array, df: Array) -> Array:
        return xlogy(df / 2 - 1, y) - y / 2 - gammaln(df / 2) - df / 2 * math.log(2)

    def _cdf(self, y: Array, df: Array) -> Array:
        return gammainc(df / 2, y / 2)

    def _sf(self, y: Array, df: Array) -> Array:
        return gammaincc(df / 2, y / 2)


class Beta(Continuous):
    """The beta distribution: the density is proportional to x**(a - 1) * (1 - x)**(b - 1) for 0 <= x <= 1."""

    shapes, _safe = ("a", "b"), (1.0, 1.0)

    def _support(self, a: Array, b: Array) -> tuple[Any, Any]:
        return 0, 1

    def _logpdf(self, y: Array, a: Array, b: Array) -> Array:
        return xlogy(a - 1, y) + xlog1py(b - 1, -y) - betaln(a, b)

    def _cdf(self, y: Array, a: Array, b: Array) -> Array:
        return betainc(a, b, y)

    def _sf(self, y: Array, a: Array, b: Array) -> Array:
        below, above = betainc(a, b, y), betainc(b, a, 1 - y)
        return jnp.where(below < 0.9, 1 - below, above)  # 1 - y loses the digits of a small y


class Symmetric(Continuous):
    """A distribution around 0 that knows the probability of more than y for y > 0, in `_tail`."""

    def _tail(self, *args: Any, **kwargs: Any) -> Array:
        raise NotImplementedError

    def _cdf(self, y: Array, *shapes: Array) -> Array:
        middle = y == 0  # where the formulas for the tail have no derivative
        tail = self._tail(jnp.where(middle, 1, jnp.abs(y)), *shapes)
        near = 0.5 + y * jnp.exp(self._logpdf(jnp.zeros_like(y), *shapes))
        return jnp.where(middle, near, jnp.where(y < 0, tail, 1 - tail))

    def _sf(self, y: Array, *shapes: Array) -> Array:
        return self._cdf(-y, *shapes)


class StudentT(Symmetric):
    """Student's t distribution with df degrees of freedom: the density goes with (1 + x**2 / df)**(-(df + 1) / 2).

    With infinitely many it is the normal distribution.
    """

    shapes, _safe = ("df",), (1.0,)

    def _logpdf(self, y: Array, df: Array) -> Array:
        finite, few = _finite(df)
        power = jnp.where(finite, (few + 1) / 2 * lax.log1p(y * y / few), 0.5 * y * y)
        return _log_student(df) - power

    def _tail(self, y: Array, df: Array) -> Array:
        finite, df = _finite(df)
        square, half = y * y, jnp.full_like(df, 0.5)
        tail, centre = betainc(df / 2, half, df / (df + square)), betainc(half, df / 2, square / (df + square))
        # The first argument is near 1 with many degrees of freedom, and loses more digits than the difference.
        tail = 0.5 * jnp.where((1 - centre) * df > 2, 1 - centre, tail)
        return jnp.where(finite, tail, ndtr(-y))


class GeneralizedNormal(Symmetric):
    """The generalised normal distribution: the density is proportional to exp(-|x|**beta)."""

    shapes, _safe = ("beta",), (2.0,)

    def _logpdf(self, y: Array, beta: Array) -> Array:
        return jnp.log(beta / 2) - gammaln(1 / beta) - jnp.abs(y) ** beta

    def _tail(self, y: Array, beta: Array) -> Array:
        return 0.5 * gammaincc(1 / beta, y**beta)


class TruncatedNormal(Continuous):
    """The normal distribution, given that the number lies between a and b."""

    shapes, _safe = ("a", "b"), (0.0, 1.0)

    def _proper(self, a: Array, b: Array) -> Any:
        return a < b

    def _support(self, a: Array, b: Array) -> tuple[Any, Any]:
        return a, b

    def _inner(self, a: Array, b: Array) -> Any:
        return (jnp.maximum(a, jnp.minimum(b, 0) - 1) + jnp.minimum(b, jnp.maximum(a, 0) + 1)) / 2

    def _logpdf(self, y: Array, a: Array, b: Array) -> Array:
        return -0.5 * (y * y + _LOG_2PI) - _log_mass(a, b)

    def _cdf(self, y: Array, a: Array, b: Array) -> Array:
        return jnp.exp(self._logcdf(y, a, b))

    def _sf(self, y: Array, a: Array, b: Array) -> Array:
        return jnp.exp(self._logsf(y, a, b))

    def _logcdf(self, y: Array, a: Array, b: Array) -> Array:
        return _log_share(_log_mass(a, y), _log_mass(y, b), _log_mass(a, b))

    def _logsf(self, y: Array, a: Array, b: Array) -> Array:
        return _log_share(_log_mass(y, b), _log_mass(a, y), _log_mass(a, b))


class VonMises(Density):
    """The von Mises distribution on a circle: the density is proportional to exp(kappa * cos(x))."""

    shapes, _safe = ("kappa",), (1.0,)

    def _proper(self, kappa: Array) -> Any:
        return kappa >= 0

    def _logpdf(self, y: Array, kappa: Array) -> Array:
        return -2 * kappa * jnp.square(jnp.sin(y / 2)) - jnp.log(2 * math.pi * i0e(kappa))


class WrappedCauchy(Density):
    """The Cauchy distribution wrapped around a circle, for 0 < c < 1 and 0 <= x <= 2 * pi."""

    shapes, _safe = ("c",), (0.5,)

    def _proper(self, c: Array) -> Any:
        return (c > 0) & (c < 1)

    def _support(self, c: Array) -> tuple[Any, Any]:
        return 0, 2 * math.pi

    def _logpdf(self, y: Array, c: Array) -> Array:
        distance = jnp.square(1 - c) + 4 * c * jnp.square(jnp.sin(y / 2))  # 1 + c**2 - 2 * c * cos(y)
        return jnp.log((1 - c) * (1 + c) / (2 * math.pi * distance))


def _finite(x: Array) -> tuple[Array, Array]:
    """Where x is not infinite, and x with something finite in the place of what is."""
    finite = x < _INF
    return finite, jnp.where(finite, x, 1)


def _log_student(df: Array) -> Array:
    """The logarithm of the density of Student's t at 0; for large df by a series, as the functions cancel."""
    near = df < 30
    few, inverse = jnp.where(near, df, 1), 2 / jnp.where(near, 30, df)
    exact = gammaln((few + 1) / 2) - gammaln(few / 2) - 0.5 * jnp.log(math.pi * few)
    square = inverse * inverse
    series = 1 / 8 - square * (1 / 192 - square * (1 / 640 - square * (17 / 14336 - square * 31 / 18432)))
    return jnp.where(near, exact, -0.5 * _LOG_2PI - inverse * series)


def _log1mexp(y: Array) -> Array:
    """log(1 - exp(-y)) for y >= 0, by the form that loses no digits (M. Mächler, 2012)."""
    near = y < math.log(2)
    return jnp.where(near, jnp.log(-lax.expm1(-jnp.where(near, y, 1))), lax.log1p(-jnp.exp(-jnp.where(near, 1, y))))


def _log_mass(a: Array, b: Array) -> Array:
    """log(ndtr(b) - ndtr(a)) for a <= b."""
    right = a > 0
    low, high = jnp.where(right, -b, a), jnp.where(right, -a, b)
    upper, lower = log_ndtr(high), log_ndtr(low)
    tail = upper + _log1mexp(jnp.where(upper == lower, 0, upper - lower))
    return jnp.where(high <= 0, tail, lax.log1p(-ndtr(low) - ndtr(-high)))


def _log_share(part: Array, rest: Array, whole: Array) -> Array:
    """log(part / whole): where it is nearly 0, from the rest."""
    share = part - whole
    return jnp.where(share > -0.1, lax.log1p(-jnp.exp(jnp.where(share > -0.1, rest - whole, -1))), share)


norm, uniform, expon = Normal("norm"), Uniform("uniform"), Exponential("expon")
cauchy, laplace, logistic = Cauchy("cauchy"), Laplace("laplace"), Logistic("logistic")
gumbel_r, gumbel_l, pareto = GumbelRight("gumbel_r"), GumbelLeft("gumbel_l"), Pareto("pareto")
gamma, chi2, beta, t = Gamma("gamma"), ChiSquared("chi2"), Beta("beta"), StudentT("t")
gennorm, truncnorm = GeneralizedNormal("gennorm"), TruncatedNormal("truncnorm")
vonmises, wrapcauchy = VonMises("vonmises"), WrappedCauchy("wrapcauchy")
