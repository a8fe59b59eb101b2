"""Hamiltonian Monte Carlo: many chains by vmap, samples by scan."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax, random
from jax.scipy.stats import norm


def log_density(x):
    return norm.logpdf(x[0], 1.0, 2.0) + norm.logpdf(x[1], 0.5 * x[0], 0.5)


def leapfrog(x, momentum, step, count):
    slope = jax.grad(log_density)

    def body(_, state):
        x, p = state
        p = p + 0.5 * step * slope(x)
        x = x + step * p
        return x, p + 0.5 * step * slope(x)

    return lax.fori_loop(0, count, body, (x, momentum))


def sample(x, key, step=0.4, count=8):
    momentum_key, accept_key = random.split(key)
    momentum = random.normal(momentum_key, x.shape)
    proposal, final = leapfrog(x, momentum, step, count)
    before = log_density(x) - 0.5 * momentum @ momentum
    after = log_density(proposal) - 0.5 * final @ final
    accept = jnp.log(random.uniform(accept_key)) < after - before
    x = lax.cond(accept, lambda: proposal, lambda: x)
    return x, (x, accept)


@partial(jax.jit, static_argnums=1)
def chain(key, length):
    start_key, key = random.split(key)
    start = random.normal(start_key, (2,))
    return lax.scan(sample, start, random.split(key, length))[1]


def main():
    samples, accepted = jax.vmap(lambda key: chain(key, 200))(random.split(random.PRNGKey(0), 4))
    assert samples.shape == (4, 200, 2)
    assert accepted.mean() > 0.5
    assert abs(samples.mean((0, 1))[0] - 1.0) < 0.7
    return samples[:, :5], accepted[:, :5]
