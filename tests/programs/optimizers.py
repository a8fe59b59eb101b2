"""Optimisers: by hand as pure functions, those of example_libraries, and BFGS."""

import jax
import jax.numpy as jnp
from jax.example_libraries import optimizers, stax
from jax.example_libraries.stax import Dense, LogSoftmax, Relu
from jax.scipy.optimize import minimize


def rosenbrock(x):
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def momentum(rate, mass):
    def init(params):
        return params, jax.tree.map(jnp.zeros_like, params)

    def update(gradient, state):
        params, velocity = state
        velocity = jax.tree.map(lambda v, g: mass * v - rate * g, velocity, gradient)
        return jax.tree.map(jnp.add, params, velocity), velocity

    return init, update


def by_hand(x):
    init, update = momentum(1e-3, 0.8)
    slope = jax.grad(rosenbrock)
    return jax.lax.fori_loop(0, 100, lambda _, state: update(slope(state[0]), state), init(x))[0]


def with_library(x):
    init_params, predict = stax.serial(Dense(16), Relu, Dense(3), LogSoftmax)
    _, params = init_params(jax.random.PRNGKey(0), (-1, 2))
    init, update, get_params = optimizers.adam(optimizers.exponential_decay(1e-2, 10, 0.9))
    labels = jnp.argmax(jnp.concatenate([x, -x.sum(1, keepdims=True)], 1), 1)

    def loss(params):
        return -jnp.mean(predict(params, x)[jnp.arange(len(x)), labels])

    @jax.jit
    def step(i, state):
        value, gradient = jax.value_and_grad(loss)(get_params(state))
        return update(i, optimizers.clip_grads(gradient, 1.0), state), value

    state, values = init(params), []
    for i in range(20):
        state, value = step(i, state)
        values.append(value)
    assert values[-1] < values[0]
    return values


def main():
    x = jnp.array([-1.0, 0.5, 1.2])
    found = minimize(lambda x: jnp.sum((x - 1.0) ** 2 + 0.1 * x**4), x, method="BFGS")
    assert jnp.allclose(2 * (found.x - 1) + 0.4 * found.x**3, 0.0, atol=1e-3)
    points = jax.random.normal(jax.random.PRNGKey(1), (30, 2))
    assert rosenbrock(by_hand(x)) < rosenbrock(x)
    return by_hand(x), with_library(points), found.x
