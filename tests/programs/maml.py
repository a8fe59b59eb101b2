"""Learning to learn: gradients through gradient steps, for a batch of tasks."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import grad, jit, random, vmap


def network(params, x):
    hidden = jnp.tanh(jnp.dot(x, params["w1"]) + params["b1"])
    return jnp.dot(hidden, params["w2"]) + params["b2"]


def loss(params, x, y):
    return jnp.mean((network(params, x) - y) ** 2)


def adapt(params, x, y, rate=0.1):
    return jax.tree_util.tree_map(lambda p, g: p - rate * g, params, grad(loss)(params, x, y))


def meta_loss(params, x, y, x_new, y_new):
    return loss(adapt(params, x, y), x_new, y_new)


def batch_loss(params, tasks):
    return jnp.mean(vmap(partial(meta_loss, params))(*tasks))


def sample_tasks(key, tasks=6, points=10):
    keys = random.split(key, 3)
    amplitude = random.uniform(keys[0], (tasks, 1, 1), minval=0.5, maxval=2.0)
    x = random.uniform(keys[1], (2, tasks, points, 1), minval=-3.0, maxval=3.0)
    y = amplitude * jnp.sin(x)
    return x[0], y[0], x[1], y[1]


def main():
    k1, k2, key = random.split(random.PRNGKey(2), 3)
    params = {"w1": random.normal(k1, (1, 12)), "w2": random.normal(k2, (12, 1)) / 4}
    params = {**params, "b1": jnp.zeros(12), "b2": jnp.zeros(1)}
    step = jit(lambda params, tasks: adapt_meta(params, tasks))
    values = []
    for k in random.split(key, 40):
        params, value = step(params, sample_tasks(k))
        values.append(value)
    assert jnp.mean(jnp.array(values[-5:])) < jnp.mean(jnp.array(values[:5]))
    return params, jnp.stack(values)


def adapt_meta(params, tasks):
    value, slope = jax.value_and_grad(batch_loss)(params, tasks)
    return jax.tree_util.tree_map(lambda p, g: p - 0.05 * g, params, slope), value
