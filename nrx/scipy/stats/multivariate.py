"""Distributions of vectors, one class each."""

import math
from typing import Any

import nrx.numpy as jnp
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import show
from nrx.numpy import linalg
from nrx.numpy.promotion import promote_dtypes, reject_complex
from nrx.scipy.special import gammaln, xlogy


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"nrx.scipy.stats.{self.name}"


class Dirichlet(_Named):
    """The Dirichlet distribution of positive numbers that sum to 1."""

    def logpdf(self, x: Any, alpha: Any) -> Array:
        """The logarithm of the density.

        Args:
            x: an array of shape (n, ...): the numbers stand along the first axis. With n - 1 of them, the last one is
                what is missing to 1.
            alpha: the concentrations, a vector of length n.

        Returns:
            An array of shape (...), of a floating dtype; minus infinity where the numbers are not positive or do not
            sum to 1, and NaN if a concentration is not positive.

        Raises:
            ShapeError: the shapes do not fit.

        >>> nrx.scipy.stats.dirichlet.logpdf(jnp.array([0.2, 0.8]), jnp.array([2.0, 3.0])).round(3)
        Array(0.429, dtype=float32)
        """
        x, alpha = _real("dirichlet.logpdf", x, alpha)
        if alpha.ndim != 1 or not x.ndim or x.shape[0] not in (alpha.shape[0], alpha.shape[0] - 1):
            raise ShapeError(
                f"dirichlet.logpdf: alpha must be a vector, and x have as many numbers along its first axis or one "
                f"fewer; got {show(alpha.shape)} and {show(x.shape)}"
            )
        if x.shape[0] < alpha.shape[0]:
            x = jnp.concatenate([x, 1 - jnp.sum(x, 0, keepdims=True)], 0)
        proper = jnp.all(alpha > 0)
        alpha = jnp.where(proper, alpha, 1)
        along = alpha.reshape(-1, *(1 for _ in x.shape[1:]))
        value = jnp.sum(xlogy(along - 1, x), 0) + gammaln(jnp.sum(alpha)) - jnp.sum(gammaln(alpha))
        inside = jnp.all(x > 0, 0) & (jnp.abs(jnp.sum(x, 0) - 1) < 1e-6)
        return jnp.where(proper, jnp.where(inside, value, -jnp.inf), jnp.nan)

    def pdf(self, x: Any, alpha: Any) -> Array:
        """The density; arguments, result and errors as for `logpdf`.

        >>> nrx.scipy.stats.dirichlet.pdf(jnp.array([0.2, 0.8]), jnp.array([2.0, 3.0])).round(3)
        Array(1.536, dtype=float32)
        """
        return jnp.exp(self.logpdf(x, alpha))


class Multinomial(_Named):
    """How many of n trials have each of several outcomes."""

    def logpmf(self, x: Any, n: Any, p: Any) -> Array:
        """The logarithm of the probability.

        Args:
            x: how many trials have which outcome, an array of shape (..., outcomes).
            n: how many trials, an array that broadcasts to (...).
            p: the probabilities of the outcomes, an array of shape (..., outcomes).

        Returns:
            An array of shape (...), of a floating dtype; minus infinity where `x` does not sum to `n`, and NaN
            where `n` is negative or a probability not in [0, 1].

        >>> nrx.scipy.stats.multinomial.logpmf(jnp.array([1.0, 1.0]), 2, jnp.array([0.5, 0.5])).round(3)
        Array(-0.693, dtype=float32)
        """
        x, n, p = _real("multinomial.logpmf", x, n, p)
        proper = (n >= 0) & jnp.all((p >= 0) & (p <= 1), -1)
        n, p = jnp.where(proper, n, 1), jnp.where(proper[..., None], p, 0.5)
        value = gammaln(n + 1) + jnp.sum(xlogy(x, p) - gammaln(x + 1), -1)
        possible = (jnp.sum(x, -1) == n) & jnp.all((x >= 0) & (x == jnp.floor(x)), -1)
        return jnp.where(proper, jnp.where(possible, value, -jnp.inf), jnp.nan)

    def pmf(self, x: Any, n: Any, p: Any) -> Array:
        """The probability; arguments and result as for `logpmf`.

        >>> nrx.scipy.stats.multinomial.pmf(jnp.array([1.0, 1.0]), 2, jnp.array([0.5, 0.5])).round(3)
        Array(0.5, dtype=float32)
        """
        return jnp.exp(self.logpmf(x, n, p))


class MultivariateNormal(_Named):
    """The normal distribution of vectors."""

    def logpdf(self, x: Any, mean: Any, cov: Any, allow_singular: None = None) -> Array:
        """The logarithm of the density.

        Args:
            x: an array of shape (..., n).
            mean: the means, an array of shape (..., n); or a scalar, where `x` and `cov` hold numbers.
            cov: the covariances, positive definite, an array of shape (..., n, n); or one variance, a scalar.
            allow_singular: must be None: matrices that are only semidefinite are not taken.

        Returns:
            An array of shape (...), of a floating dtype.

        Raises:
            ShapeError: the shapes do not fit.
            ArgumentError: `allow_singular` is given.

        >>> nrx.scipy.stats.multivariate_normal.logpdf(jnp.zeros(2), jnp.zeros(2), 1.0).round(3)
        Array(-1.838, dtype=float32)
        """
        if allow_singular is not None:
            raise ArgumentError("multivariate_normal.logpdf: allow_singular is not supported", fix="leave it out")
        x, mean, cov = _real("multivariate_normal.logpdf", x, mean, cov)
        if not mean.ndim:
            return -0.5 * (jnp.square(x - mean) / cov + jnp.log(2 * math.pi * cov))
        n, y = mean.shape[-1], x - mean
        if not cov.ndim:
            return -0.5 * (jnp.sum(y * y, -1) / cov + n * jnp.log(2 * math.pi * cov))
        if cov.ndim < 2 or cov.shape[-2:] != (n, n):
            raise ShapeError(
                f"multivariate_normal.logpdf: cov must be of shape (..., {n}, {n}), as mean has {n}; got "
                f"{show(cov.shape)}"
            )
        root = linalg.cholesky(cov)
        white = linalg.solve(root, y[..., None])[..., 0]
        determinant = jnp.sum(jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)), -1)
        return -0.5 * (jnp.sum(white * white, -1) + n * math.log(2 * math.pi)) - determinant

    def pdf(self, x: Any, mean: Any, cov: Any) -> Array:
        """The density; arguments, result and errors as for `logpdf`.

        >>> nrx.scipy.stats.multivariate_normal.pdf(jnp.zeros(2), jnp.zeros(2), 1.0).round(3)
        Array(0.159, dtype=float32)
        """
        return jnp.exp(self.logpdf(x, mean, cov))


def _real(name: str, *values: Any) -> list[Array]:
    arrays = promote_dtypes(name, *values, inexact=True)
    reject_complex(name, *arrays)
    return arrays


dirichlet, multinomial = Dirichlet("dirichlet"), Multinomial("multinomial")
multivariate_normal = MultivariateNormal("multivariate_normal")
