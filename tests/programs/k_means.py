"""Clusters by k-means until nothing moves, and a mixture of Gaussians by expectation and maximisation."""

import jax
import jax.numpy as jnp
from jax import lax, random, vmap
from jax.scipy.special import logsumexp


def assign(points, centres):
    return jnp.argmin(vmap(lambda p: jnp.sum((p - centres) ** 2, -1))(points), axis=1)


def update(points, labels, old):
    k = old.shape[0]
    sums = jax.ops.segment_sum(points, labels, num_segments=k)
    counts = jnp.bincount(labels, length=k)
    return jnp.where(counts[:, None] > 0, sums / jnp.maximum(counts, 1)[:, None], old)


@jax.jit
def k_means(points, centres):
    def unfinished(state):
        old, new, count = state
        return jnp.any(jnp.abs(old - new) > 1e-5) & (count < 50)

    def step(state):
        _, centres, count = state
        return centres, update(points, assign(points, centres), centres), count + 1

    return lax.while_loop(unfinished, step, (centres + 1.0, centres, 0))[1:]


def em(points, state):
    means, weights = state
    log = -0.5 * jnp.sum((points[:, None] - means) ** 2, -1) / 0.25 + jnp.log(weights)
    posterior = jnp.exp(log - logsumexp(log, axis=1, keepdims=True))
    total = posterior.sum(0)
    return (posterior.T @ points) / total[:, None], total / len(points)


def main():
    key, subkey = random.split(random.PRNGKey(9))
    true = jnp.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    labels = random.categorical(key, jnp.log(jnp.array([0.5, 0.3, 0.2])), shape=(90,))
    points = true[labels] + 0.5 * random.normal(subkey, (90, 2))
    start = random.choice(random.PRNGKey(1), points, (3,), replace=False)
    centres, count = k_means(points, true + 0.8)
    means, weights = lax.fori_loop(0, 20, lambda _, s: em(points, s), (centres, jnp.ones(3) / 3))
    assert jnp.max(jnp.abs(jnp.sort(centres[:, 0]) - jnp.sort(true[:, 0]))) < 0.5
    order = jnp.lexsort((points[:, 1], assign(points, centres)))
    return start, centres, count, means, weights, points[order][:5], jnp.unique(labels, size=3)
