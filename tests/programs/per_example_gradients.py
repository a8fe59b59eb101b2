"""Gradients of each example, clipped, summed and made noisy: private learning."""

import jax
import jax.numpy as jnp
from jax import random, tree_util


def loss(params, x, y):
    logits = jnp.dot(x, params["w"]) + params["b"]
    return jnp.logaddexp(0.0, -y * logits)


def clipped(params, x, y, bound):
    slope = jax.grad(loss)(params, x, y)
    leaves, treedef = tree_util.tree_flatten(slope)
    norm = jnp.linalg.norm(jnp.array([jnp.linalg.norm(leaf.ravel()) for leaf in leaves]))
    return tree_util.tree_unflatten(treedef, [leaf / jnp.maximum(norm / bound, 1.0) for leaf in leaves]), norm


def private_gradient(params, xs, ys, key, bound, noise):
    slopes, norms = jax.vmap(clipped, in_axes=(None, 0, 0, None))(params, xs, ys, bound)
    summed = tree_util.tree_map(lambda g: g.sum(0), slopes)
    leaves, treedef = jax.tree.flatten(summed)
    keys = random.split(key, len(leaves))
    noisy = [leaf + bound * noise * random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(treedef, [leaf / len(xs) for leaf in noisy]), norms


def main():
    key = random.PRNGKey(3)
    xs = random.normal(key, (40, 5))
    ys = jnp.sign(xs @ jnp.arange(-2.0, 3.0))
    params = {"w": jnp.zeros(5), "b": jnp.zeros(())}
    step = jax.jit(private_gradient)
    for i in range(25):
        slope, norms = step(params, xs, ys, random.fold_in(key, i), 1.0, 0.1)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, slope)
    right = jnp.mean(jnp.sign(xs @ params["w"] + params["b"]) == ys)
    assert right > 0.9
    return params, norms
