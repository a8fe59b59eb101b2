"""A fixed point differentiated by the implicit function theorem, with custom_vjp."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax, vjp


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def fixed_point(f, a, start):
    def unfinished(state):
        before, now = state
        return jnp.max(jnp.abs(before - now)) > 1e-6

    _, found = lax.while_loop(unfinished, lambda state: (state[1], f(a, state[1])), (start, f(a, start)))
    return found


def fixed_point_forward(f, a, start):
    found = fixed_point(f, a, start)
    return found, (a, found)


def fixed_point_backward(f, residuals, cotangent):
    a, found = residuals
    _, vjp_a = vjp(lambda a: f(a, found), a)
    (a_bar,) = vjp_a(fixed_point(partial(step_back, f), (a, found, cotangent), cotangent))
    return a_bar, jnp.zeros_like(found)


def step_back(f, packed, u):
    a, found, cotangent = packed
    _, vjp_x = vjp(lambda x: f(a, x), found)
    return cotangent + vjp_x(u)[0]


fixed_point.defvjp(fixed_point_forward, fixed_point_backward)


def newton_root(a):
    return fixed_point(lambda a, x: 0.5 * (x + a / x), a, a)


def main():
    a = jnp.array([2.0, 3.0, 10.0])
    roots, slopes = newton_root(a), jax.grad(lambda a: newton_root(a).sum())(a)
    assert jnp.allclose(roots, jnp.sqrt(a))
    assert jnp.allclose(slopes, 0.5 / jnp.sqrt(a), rtol=1e-4)
    mapped = jax.vmap(jax.grad(newton_root))(a)
    weights = jnp.array([[0.3, -0.2], [0.1, 0.4]])
    layer = lambda w: fixed_point(lambda w, x: jnp.tanh(w @ x + 1.0), w, jnp.zeros(2)).sum()
    return roots, slopes, mapped, jax.jit(jax.value_and_grad(layer))(weights)
