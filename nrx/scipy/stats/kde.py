"""Densities estimated from samples."""

import math
from collections.abc import Callable
from typing import Any

import nrx.numpy as jnp
from nrx import random
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import canonical_shape, show
from nrx.numpy import linalg
from nrx.numpy.promotion import promote_dtypes, reject_complex
from nrx.scipy.special import logsumexp, ndtr
from nrx.tree_util import register_pytree_node_class


@register_pytree_node_class
class gaussian_kde:  # noqa: N801 - SciPy's name
    """The density that is the mean of normal densities around the points of a sample.

    Args:
        dataset: the points, an array of shape (dimensions, points), or (points,) for one dimension.
        bw_method: the width of the densities, in standard deviations of the sample: "scott" (the default), "silverman",
            a number, or a function of the estimate that gives one.
        weights: the weights of the points, a real array of shape (points,); by default all are equal.

    Raises:
        ShapeError: there are fewer than two numbers, or the weights do not fit.
        ArgumentError: `bw_method` is none of those.

    >>> kde = nrx.scipy.stats.gaussian_kde(jnp.array([-1.0, 0.0, 1.0]))
    >>> kde(jnp.array([0.0])).round(3)
    Array([0.318], dtype=float32)
    """

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None) -> None:
        points = jnp.atleast_2d(asarray(dataset, "gaussian_kde: dataset"))
        if points.ndim != 2 or points.size < 2:
            raise ShapeError(
                f"gaussian_kde: dataset must be of shape (dimensions, points) and have more than one number, got "
                f"{show(points.shape)}"
            )
        dimensions, count = points.shape
        points, given = promote_dtypes("gaussian_kde", points, 1.0 if weights is None else weights, inexact=True)
        reject_complex("gaussian_kde", points, given)
        if weights is not None and given.shape != (count,):
            raise ShapeError(f"gaussian_kde: weights must be of shape ({count},), got {show(given.shape)}")
        shares = jnp.broadcast_to(given, (count,))
        self.dataset, self.weights = points, shares / jnp.sum(shares)
        self.neff = 1 / jnp.sum(self.weights**2)
        factor = _factor(self, bw_method, dimensions)
        centred = points - jnp.sum(points * self.weights, 1, keepdims=True)
        scatter = (centred * self.weights) @ centred.T / (1 - jnp.sum(self.weights**2))
        self.covariance = scatter * factor**2
        self.inv_cov = linalg.inv(scatter) / factor**2

    @property
    def d(self) -> int:
        """The number of dimensions."""
        return self.dataset.shape[0]

    @property
    def n(self) -> int:
        """The number of points."""
        return self.dataset.shape[1]

    def tree_flatten(self) -> tuple[tuple, None]:
        """The arrays it consists of."""
        return (self.neff, self.dataset, self.weights, self.covariance, self.inv_cov), None

    @classmethod
    def tree_unflatten(cls, aux_data: None, children: tuple) -> "gaussian_kde":
        """The estimate that consists of these arrays."""
        new = object.__new__(cls)
        new.neff, new.dataset, new.weights, new.covariance, new.inv_cov = children
        return new

    def logpdf(self, x: Any) -> Array:
        """The logarithms of the densities at points.

        Args:
            x: an array of shape (dimensions, m); or (m,) for one dimension, or (dimensions,) for one point.

        Returns:
            An array of shape (m,).

        Raises:
            ShapeError: the points have another number of dimensions.
        """
        points = jnp.atleast_2d(asarray(x, "gaussian_kde: points"))
        if points.shape == (1, self.d) and self.d != 1:
            points = points.T
        if points.ndim != 2 or points.shape[0] != self.d:
            raise ShapeError(f"gaussian_kde: points must be of shape ({self.d}, m), got {show(points.shape)}")
        gaps = points[:, :, None] - self.dataset[:, None, :]
        energies = jnp.sum(gaps * jnp.tensordot(self.inv_cov, gaps, 1), 0) / 2
        logs = logsumexp(-energies, -1, b=jnp.broadcast_to(self.weights, energies.shape))
        return logs - 0.5 * linalg.slogdet(2 * math.pi * self.covariance)[1]

    def evaluate(self, points: Any) -> Array:
        """The densities at points; arguments, result and errors as for `logpdf`."""
        return jnp.exp(self.logpdf(points))

    __call__ = pdf = evaluate

    def integrate_box_1d(self, low: Any, high: Any) -> Array:
        """The probability of numbers between two limits, in one dimension.

        Args:
            low, high: the limits, numbers.

        Returns:
            An array of shape ().

        Raises:
            ShapeError: there is more than one dimension.
        """
        if self.d != 1:
            raise ShapeError(f"gaussian_kde: integrate_box_1d needs one dimension, there are {self.d}")
        width = jnp.sqrt(self.covariance[0, 0])
        low, high = ((limit - self.dataset[0]) / width for limit in (low, high))
        return jnp.sum(self.weights * (ndtr(high) - ndtr(low)))

    def integrate_gaussian(self, mean: Any, cov: Any) -> Array:
        """The integral of the product with a normal density.

        Args:
            mean: its mean, an array of shape (dimensions,).
            cov: its covariance, an array of shape (dimensions, dimensions).

        Returns:
            An array of shape ().
        """
        mean = jnp.atleast_1d(asarray(mean, "gaussian_kde: mean")).reshape(self.d, 1)
        return jnp.sum(self.weights * self._normal(self.dataset - mean, self.covariance + jnp.atleast_2d(cov)))

    def integrate_kde(self, other: "gaussian_kde") -> Array:
        """The integral of the product with another estimate.

        Args:
            other: an estimate of as many dimensions.

        Returns:
            An array of shape ().

        Raises:
            ShapeError: it has another number of dimensions.
        """
        if other.d != self.d:
            raise ShapeError(f"gaussian_kde: estimates of {self.d} and of {other.d} dimensions have no product")
        gaps = (self.dataset[:, :, None] - other.dataset[:, None, :]).reshape(self.d, -1)
        values = self._normal(gaps, self.covariance + other.covariance).reshape(self.n, other.n)
        return self.weights @ values @ other.weights

    def resample(self, key: Any, shape: Any = ()) -> Array:
        """Points drawn from the estimated density.

        Args:
            key: a key of `nrx.random`.
            shape: how many points, a shape.

        Returns:
            An array of shape (dimensions, *shape).
        """
        key_point, key_noise = random.split(key)
        chosen = random.choice(key_point, self.n, canonical_shape(shape), p=self.weights)
        zero = jnp.zeros(self.d, self.dataset.dtype)
        noise = random.multivariate_normal(key_noise, zero, self.covariance, chosen.shape, self.dataset.dtype)
        return self.dataset[:, chosen] + jnp.moveaxis(noise, -1, 0)

    def _normal(self, gaps: Array, cov: Array) -> Array:
        """Normal densities at `gaps`, of shape (dimensions, m)."""
        energies = jnp.sum(gaps * linalg.solve(cov, gaps), 0) / 2
        return jnp.exp(-energies - 0.5 * linalg.slogdet(2 * math.pi * cov)[1])


def _factor(kde: gaussian_kde, method: str | float | Callable | None, dimensions: int) -> Any:
    if method in (None, "scott"):
        return kde.neff ** (-1 / (dimensions + 4))
    if method == "silverman":
        return (kde.neff * (dimensions + 2) / 4) ** (-1 / (dimensions + 4))
    if callable(method):
        return method(kde)
    if isinstance(method, str) or jnp.ndim(method):
        raise ArgumentError(
            f"gaussian_kde: bw_method must be 'scott', 'silverman', a number or a function, got {method!r}"
        )
    return method
