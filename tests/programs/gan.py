"""Two players: a generator of numbers, and a critic that tells them from a normal distribution's."""

import jax
import jax.numpy as jnp
from jax import random
from jax.nn import initializers, softplus


def mlp(params, x):
    for w, b in params[:-1]:
        x = jax.nn.leaky_relu(x @ w + b, 0.1)
    w, b = params[-1]
    return x @ w + b


def init(key, sizes):
    keys = random.split(key, len(sizes) - 1)
    shape = initializers.lecun_normal()
    return [(shape(k, (m, n), jnp.float32), jnp.zeros(n)) for k, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def critic_loss(critic, generator, noise, real):
    fake = mlp(generator, noise)
    return jnp.mean(softplus(mlp(critic, fake)) + softplus(-mlp(critic, real)))


def generator_loss(generator, critic, noise):
    return jnp.mean(softplus(-mlp(critic, mlp(generator, noise))))


def descend(params, grads, rate):
    return jax.tree_util.tree_map(lambda p, g: p - rate * g, params, grads)


@jax.jit
def round_of(players, key):
    generator, critic = players
    noise_key, real_key = random.split(key)
    noise = random.normal(noise_key, (64, 2))
    real = 2.0 + 0.5 * random.normal(real_key, (64, 1))
    critic = descend(critic, jax.grad(critic_loss)(critic, generator, noise, real), 0.1)
    generator = descend(generator, jax.grad(generator_loss)(generator, critic, noise), 0.1)
    return (generator, critic), mlp(generator, noise).mean()


def main():
    key_g, key_c, key = random.split(random.key(11), 3)
    players = init(key_g, [2, 8, 1]), init(key_c, [1, 8, 1])
    _, means = jax.lax.scan(round_of, players, random.split(key, 60))
    assert abs(means[-1] - 2.0) < 1.5
    return means[:20]
