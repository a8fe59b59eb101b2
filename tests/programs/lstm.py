"""An LSTM over time with scan, trained to remember the first input."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax, random


class State(NamedTuple):
    hidden: jax.Array
    cell: jax.Array


def init(key, inputs, hidden):
    k1, k2 = random.split(key)
    return {
        "kernel": random.normal(k1, (inputs + hidden, 4 * hidden)) / jnp.sqrt(inputs + hidden),
        "bias": jnp.zeros(4 * hidden),
        "out": random.normal(k2, (hidden, 1)) * 0.1,
    }


def cell(params, state, x):
    gates = jnp.concatenate([x, state.hidden], axis=-1) @ params["kernel"] + params["bias"]
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    c = jax.nn.sigmoid(f + 1) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return State(h, c), h


def run(params, xs):
    zeros = jnp.zeros((xs.shape[1], params["out"].shape[0]))
    last, outputs = lax.scan(lambda s, x: cell(params, s, x), State(zeros, zeros), xs)
    return last.hidden @ params["out"], outputs


def loss(params, xs):
    return jnp.mean((run(params, xs)[0] - xs[0]) ** 2)


@jax.jit
def train(params, xs):
    def step(params, _):
        value, grads = jax.value_and_grad(loss)(params, xs)
        return jax.tree_util.tree_map(lambda p, g: p - 0.5 * g, params, grads), value

    return lax.scan(step, params, None, length=30)


def main():
    key = random.PRNGKey(1)
    xs = random.uniform(key, (7, 16, 1), minval=-1.0, maxval=1.0)
    params, losses = train(init(key, 1, 8), xs)
    assert losses[-1] < losses[0]
    return params, losses, run(params, xs)
