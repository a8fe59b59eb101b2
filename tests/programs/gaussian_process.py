"""Regression with a Gaussian process; its parameters learnt by the marginal likelihood."""

import jax
import jax.numpy as jnp
import jax.scipy as jsp
from jax import grad, jit, random, vmap


def softplus(x):
    return jnp.logaddexp(x, 0.0)


def kernel(params, x, y):
    return softplus(params["amplitude"]) * jnp.exp(-jnp.sum(((x - y) / softplus(params["length"])) ** 2))


def covariance(params, xs, ys):
    return vmap(lambda x: vmap(lambda y: kernel(params, x, y))(ys))(xs)


def posterior(params, x, y, new):
    noisy = covariance(params, x, x) + softplus(params["noise"]) * jnp.eye(len(x))
    factor = jsp.linalg.cho_factor(noisy, lower=True)
    cross = covariance(params, x, new)
    mean = cross.T @ jsp.linalg.cho_solve(factor, y)
    solved = jsp.linalg.solve_triangular(factor[0], cross, lower=True)
    return mean, covariance(params, new, new) - solved.T @ solved


def negative_log_likelihood(params, x, y):
    noisy = covariance(params, x, x) + softplus(params["noise"]) * jnp.eye(len(x))
    return -jsp.stats.multivariate_normal.logpdf(y, jnp.zeros(len(x)), noisy)


def main():
    x = random.uniform(random.PRNGKey(0), (25, 1), minval=-3, maxval=3)
    y = jnp.sin(2 * x[:, 0]) + 0.05 * random.normal(random.PRNGKey(1), (25,))
    params = {"amplitude": jnp.array(0.0), "length": jnp.array(0.5), "noise": jnp.array(-3.0)}
    slope = jit(grad(negative_log_likelihood))
    first = negative_log_likelihood(params, x, y)
    for _ in range(20):
        params = jax.tree_util.tree_map(lambda p, g: p - 0.01 * g, params, slope(params, x, y))
    new = jnp.linspace(-2, 2, 9)[:, None]
    mean, spread = posterior(params, x, y, new)
    assert jnp.max(jnp.abs(mean - jnp.sin(2 * new[:, 0]))) < 0.3
    return first, negative_log_likelihood(params, x, y), params, mean, jnp.diag(spread)
