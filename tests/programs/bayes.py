"""Logistic regression with a posterior: Laplace's approximation, Metropolis, predictive checks."""

import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
from jax import lax, random
from jax.nn import sigmoid


def log_posterior(w, x, y):
    prior = stats.norm.logpdf(w, 0.0, 2.0).sum()
    return prior + stats.bernoulli.logpmf(y, sigmoid(x @ w)).sum()


def newton(w, x, y):
    slope = jax.grad(log_posterior)(w, x, y)
    return w - jnp.linalg.solve(jax.hessian(log_posterior)(w, x, y), slope)


def metropolis(key, w, x, y, covariance):
    def step(state, key):
        w, log_p = state
        move, accept = random.split(key)
        proposal = random.multivariate_normal(move, w, covariance)
        new = log_posterior(proposal, x, y)
        take = jnp.log(random.uniform(accept)) < new - log_p
        state = jax.tree.map(lambda a, b: jnp.where(take, a, b), (proposal, new), (w, log_p))
        return state, state[0]

    return lax.scan(step, (w, log_posterior(w, x, y)), random.split(key, 150))[1]


def main():
    keys = random.split(random.PRNGKey(21), 3)
    x = jnp.concatenate([random.normal(keys[0], (60, 2)), jnp.ones((60, 1))], 1)
    y = random.bernoulli(keys[1], sigmoid(x @ jnp.array([1.5, -1.0, 0.3]))).astype(jnp.int32)
    w = lax.fori_loop(0, 8, lambda _, w: newton(w, x, y), jnp.zeros(3))
    assert jnp.abs(jax.grad(log_posterior)(w, x, y)).max() < 1e-3
    covariance = -jnp.linalg.inv(jax.hessian(log_posterior)(w, x, y))
    samples = jax.jit(metropolis)(keys[2], w, x, y, covariance)
    assert jnp.abs(samples.mean(0) - w).max() < 1.0
    lower, upper = jnp.percentile(samples, jnp.array([5.0, 95.0]), axis=0)
    assert (lower < upper).all()
    beta = stats.beta.cdf(jnp.array([0.2, 0.5]), 2.0, 3.0), stats.t.logpdf(1.0, 3.0), stats.poisson.pmf(3, 2.5)
    return w, covariance, samples[:5], beta
