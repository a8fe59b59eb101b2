"""Trading time for memory with checkpoint, and functions with derivatives of their own."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name


@jax.custom_jvp
def log1pexp(x):
    return jnp.log(1.0 + jnp.exp(x))


@log1pexp.defjvp
def log1pexp_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return log1pexp(x), (1 - 1 / (1 + jnp.exp(x))) * t


@jax.custom_vjp
def clip_gradient(low, high, x):
    return x


clip_gradient.defvjp(lambda low, high, x: (x, (low, high)), lambda r, g: (None, None, jnp.clip(g, *r)))


@jax.custom_gradient
def halved(x):
    return jnp.sum(x**2), lambda g: (g * x,)


@functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.save_only_these_names("hidden"))
def layer(w, x):
    hidden = checkpoint_name(jnp.tanh(w @ x), "hidden")
    return jnp.sin(hidden) + x


@jax.remat
def block(x, w):
    return layer(w, x), None


def network(ws, x):
    return lax.scan(block, x, ws)[0].sum()


def main():
    ws = jnp.linspace(-1, 1, 36).reshape(4, 3, 3)
    x = jnp.array([0.5, -1.0, 2.0])
    kept = jax.jit(jax.grad(network))(ws, x)
    plain = jax.grad(lambda ws: sum_plain(ws, x))(ws)
    assert jnp.allclose(kept, plain, rtol=1e-4, atol=1e-5)
    dots = jax.checkpoint(lambda w: jnp.sin(w @ w).sum(), policy=jax.checkpoint_policies.dots_saveable)
    large = jax.grad(log1pexp)(100.0), jax.vmap(jax.grad(jax.grad(log1pexp)))(x)
    clipped = jax.grad(lambda x: clip_gradient(-1.0, 1.0, x**3).sum())(x)
    return kept, jax.grad(dots)(ws[0]), large, clipped, jax.grad(halved)(x)


def sum_plain(ws, x):
    for w in ws:
        x = jnp.sin(jnp.tanh(w @ x)) + x
    return x.sum()
