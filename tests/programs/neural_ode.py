"""A differential equation with a network as its slope, fitted to a spiral through the adjoint of odeint."""

import jax
import jax.numpy as jnp
from jax import random
from jax.experimental.ode import odeint


def slope(state, t, params):
    hidden = jnp.tanh(state @ params["w1"] + params["b1"])
    return hidden @ params["w2"]


def spiral(state, t, rate, speed):
    return jnp.array([[-rate, speed], [-speed, -rate]]) @ state


def main():
    times = jnp.linspace(0.0, 2.0, 9)
    start = jnp.array([1.0, 0.0])
    truth = odeint(spiral, start, times, 0.3, 2.0, rtol=1e-6, atol=1e-6)
    exact = jnp.exp(-0.3 * times) * jnp.cos(2 * times)
    assert jnp.allclose(truth[:, 0], exact, atol=1e-3)
    k1, k2 = random.split(random.PRNGKey(0))
    params = {"w1": random.normal(k1, (2, 8)), "b1": jnp.zeros(8), "w2": 0.1 * random.normal(k2, (8, 2))}
    loss = lambda params: jnp.mean((odeint(slope, start, times, params) - truth) ** 2)
    step = jax.jit(jax.value_and_grad(loss))
    values = []
    for _ in range(15):
        value, gradient = step(params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
        values.append(value)
    assert values[-1] < values[0]
    exact_rate = jax.grad(lambda rate: odeint(spiral, start, times, rate, 2.0)[-1, 0])(0.3)
    assert jnp.allclose(exact_rate, -2.0 * exact[-1], atol=1e-2)
    return truth, params, jnp.stack(values), exact_rate
