"""Planets: forces as the gradient of the energy, a symplectic integrator in scan, energy conserved."""

import jax
import jax.numpy as jnp
from jax import lax


def potential(positions, masses):
    i, j = jnp.triu_indices(len(masses), 1)
    distances = jnp.linalg.norm(positions[i] - positions[j], axis=-1)
    return -jnp.sum(masses[i] * masses[j] / distances)


def kinetic(velocities, masses):
    return 0.5 * jnp.sum(masses[:, None] * velocities**2)


@jax.jit
def simulate(positions, velocities, masses, dt):
    acceleration = lambda x: -jax.grad(potential)(x, masses) / masses[:, None]

    def step(state, _):
        x, v = state
        v = v + 0.5 * dt * acceleration(x)
        x = x + dt * v
        v = v + 0.5 * dt * acceleration(x)
        return (x, v), {"x": x, "energy": potential(x, masses) + kinetic(v, masses)}

    return lax.scan(step, (positions, velocities), length=200)


def main():
    masses = jnp.array([1.0, 1e-3, 5e-4])
    positions = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    velocities = jnp.array([[0.0, 0.0], [0.0, 1.0], [-0.7, 0.0]])
    (x, v), history = simulate(positions, velocities, masses, 0.01)
    energy = history["energy"]
    assert jnp.ptp(energy) < 1e-3 * jnp.abs(energy[0])
    aim = jax.grad(lambda v: simulate(positions, v, masses, 0.01)[0][0][1, 0])(velocities)
    return x, v, history["x"][::50], aim
