"""The Ising model on a checkerboard, by Metropolis updates, and the game of life beside it."""

import jax
import jax.numpy as jnp
from jax import lax, random

SIZE = 16


def neighbours(spins):
    return sum(jnp.roll(spins, shift, axis) for shift in (1, -1) for axis in (0, 1))


def sweep(spins, key, beta):
    colours = jnp.indices(spins.shape).sum(0) % 2
    for colour in (0, 1):
        key, subkey = random.split(key)
        cost = 2 * spins * neighbours(spins)
        flip = random.uniform(subkey, spins.shape) < jnp.exp(-beta * cost)
        spins = jnp.where(flip & (colours == colour), -spins, spins)
    return spins, jnp.abs(jnp.mean(spins))


@jax.jit
def magnetisation(key, beta):
    spins = jnp.ones((SIZE, SIZE), jnp.int32)
    spins, history = lax.scan(lambda s, k: sweep(s, k, beta), spins, random.split(key, 60))
    return spins, history


def live(board, _):
    around = sum(jnp.roll(board, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) - board
    return ((around == 3) | (board & (around == 2))).astype(board.dtype), board.sum()


def main():
    betas = jnp.array([0.2, 0.7])
    spins, history = jax.vmap(magnetisation, in_axes=(None, 0))(random.PRNGKey(4), betas)
    assert history[0, -1] < 0.5 < history[1, -1]
    glider = jnp.zeros((8, 8), jnp.int32).at[jnp.array([0, 1, 2, 2, 2]), jnp.array([1, 2, 0, 1, 2])].set(1)
    board, population = lax.scan(live, glider, None, length=4)
    assert (board == jnp.roll(glider, (1, 1), (0, 1))).all()
    return spins, history, board, population
