"""Q-learning on a pole on a cart: a replay buffer that is a pytree, everything in one scan."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax, random

CAPACITY, BATCH = 64, 16


class Buffer(NamedTuple):
    states: jax.Array
    actions: jax.Array
    rewards: jax.Array
    following: jax.Array
    size: jax.Array


def physics(state, action):
    x, v, angle, spin = state
    force = jnp.where(action == 1, 10.0, -10.0)
    push = (force + 0.05 * spin**2 * jnp.sin(angle)) / 1.1
    turn = (9.8 * jnp.sin(angle) - jnp.cos(angle) * push) / (0.5 * (4 / 3 - 0.1 * jnp.cos(angle) ** 2 / 1.1))
    shift = push - 0.05 * turn * jnp.cos(angle) / 1.1
    state = jnp.array([x + 0.02 * v, v + 0.02 * shift, angle + 0.02 * spin, spin + 0.02 * turn])
    return state, jnp.abs(state[2]) > 0.2


def q(params, state):
    return jnp.tanh(state @ params["w"] + params["b"]) @ params["v"]


def td_loss(params, target, batch):
    chosen = jnp.take_along_axis(q(params, batch.states), batch.actions[:, None], 1)[:, 0]
    best = batch.rewards + 0.9 * jnp.max(q(target, batch.following), axis=1) * (batch.rewards > 0)
    return jnp.mean(jnp.square(chosen - lax.stop_gradient(best)))


def remember(buffer, state, action, reward, following):
    at = buffer.size % CAPACITY
    return Buffer(buffer.states.at[at].set(state), buffer.actions.at[at].set(action), buffer.rewards.at[at].set(reward),
                  buffer.following.at[at].set(following), buffer.size + 1)  # fmt: skip


def step(carry, key):
    params, target, buffer, state, count = carry
    explore, pick, draw, restart = random.split(key, 4)
    anything, best = (lambda: random.randint(pick, (), 0, 2)), (lambda: jnp.argmax(q(params, state)))
    action = lax.cond(random.bernoulli(explore, 0.2), anything, best)
    following, done = physics(state, action)
    buffer = remember(buffer, state, action, 1.0 - done, following)
    rows = random.randint(draw, (BATCH,), 0, jnp.minimum(buffer.size, CAPACITY))
    batch = jax.tree_util.tree_map(lambda x: x[rows] if x.ndim else x, buffer)
    params = jax.tree_util.tree_map(lambda p, g: p - 0.05 * g, params, jax.grad(td_loss)(params, target, batch))
    target = lax.cond(count % 20 == 0, lambda: params, lambda: target)
    state = jnp.where(done, random.uniform(restart, (4,), minval=-0.05, maxval=0.05), following)
    return (params, target, buffer, state, count + 1), (done, action)


@partial(jax.jit, donate_argnums=(1,))
def train(params, buffer, keys):
    return lax.scan(step, (params, params, buffer, jnp.zeros(4), 0), keys)


def main():
    k1, k2, key = random.split(random.PRNGKey(5), 3)
    params = {"w": random.normal(k1, (4, 8)), "b": jnp.zeros(8), "v": 0.1 * random.normal(k2, (8, 2))}
    rows, column = (CAPACITY, 4), (CAPACITY,)
    empty = Buffer(jnp.zeros(rows), jnp.zeros(column, int), jnp.zeros(column), jnp.zeros(rows), jnp.array(0))
    carry, (done, actions) = train(params, empty, random.split(key, 60))
    assert carry[2].size == 60
    return actions[:20], done[:20], carry[2].states[:20]
