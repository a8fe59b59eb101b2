"""A variational autoencoder: the reparametrised gradient, on flat parameters."""

import jax
import jax.numpy as jnp
from jax import random
from jax.flatten_util import ravel_pytree

LATENT = 2


def dense(key, m, n):
    return {"w": random.normal(key, (m, n)) * jnp.sqrt(1 / m), "b": jnp.zeros((n,))}


def init(key):
    keys = random.split(key, 5)
    encoder = {"hidden": dense(keys[0], 12, 16), "mean": dense(keys[1], 16, LATENT), "log": dense(keys[2], 16, LATENT)}
    return {"encoder": encoder, "decoder": [dense(keys[3], LATENT, 16), dense(keys[4], 16, 12)]}


def linear(layer, x):
    return x @ layer["w"] + layer["b"]


def elbo(params, x, key):
    hidden = jnp.tanh(linear(params["encoder"]["hidden"], x))
    mean, log = linear(params["encoder"]["mean"], hidden), linear(params["encoder"]["log"], hidden)
    z = mean + jnp.exp(0.5 * log) * random.normal(key, mean.shape)
    first, second = params["decoder"]
    logits = linear(second, jax.nn.relu(linear(first, z)))
    likelihood = jnp.sum(x * jax.nn.log_sigmoid(logits) + (1 - x) * jax.nn.log_sigmoid(-logits), -1)
    divergence = 0.5 * jnp.sum(jnp.exp(log) + mean**2 - 1.0 - log, -1)
    return jnp.mean(likelihood - divergence)


def main():
    params = init(random.PRNGKey(7))
    flat, unravel = ravel_pytree(params)
    data_key, key = random.split(random.PRNGKey(8))
    pattern = random.bernoulli(data_key, 0.5, (2, 12))
    x = pattern[jnp.arange(32) % 2].astype(jnp.float32)

    @jax.jit
    def step(flat, key):
        value, slope = jax.value_and_grad(lambda flat: elbo(unravel(flat), x, key))(flat)
        return flat + 0.05 * slope, value

    values = []
    for k in random.split(key, 60):
        flat, value = step(flat, k)
        values.append(value)
    assert values[-1] > values[0] + 2
    return unravel(flat), jnp.array(values)
