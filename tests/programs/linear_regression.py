"""Least squares by gradient descent, against the normal equations."""

import jax
import jax.numpy as jnp
from jax import grad, jit, random


def predict(params, x):
    w, b = params
    return x @ w + b


@jit
def loss(params, x, y):
    return jnp.mean((predict(params, x) - y) ** 2)


@jit
def update(params, x, y):
    gradients = grad(loss)(params, x, y)
    return jax.tree_util.tree_map(lambda p, g: p - 0.1 * g, params, gradients)


def main():
    key_x, key_noise = random.split(random.PRNGKey(0))
    x = random.normal(key_x, (100, 3))
    y = x @ jnp.array([1.0, -2.0, 0.5]) + 0.7 + 0.1 * random.normal(key_noise, (100,))
    params = (jnp.zeros(3), 0.0)
    for _ in range(300):
        params = update(params, x, y)
    design = jnp.concatenate([x, jnp.ones((100, 1))], axis=1)
    exact = jnp.linalg.lstsq(design, y)[0]
    assert jnp.allclose(jnp.append(params[0], params[1]), exact, atol=1e-3)
    return params, exact, loss(params, x, y)
