"""A multilayer perceptron on handwritten digits, batch after batch."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import grad, jit, random, vmap
from jax.scipy.special import logsumexp

SIZES = [64, 48, 10]


def init_layer(m, n, key, scale=0.1):
    w_key, b_key = random.split(key)
    return scale * random.normal(w_key, (n, m)), scale * random.normal(b_key, (n,))


def init_network(sizes, key):
    keys = random.split(key, len(sizes) - 1)
    return [init_layer(m, n, k) for m, n, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]


def predict(params, image):
    activations = image
    for w, b in params[:-1]:
        activations = jnp.maximum(0, jnp.dot(w, activations) + b)
    w, b = params[-1]
    logits = jnp.dot(w, activations) + b
    return logits - logsumexp(logits)


batched_predict = vmap(predict, in_axes=(None, 0))


def loss(params, images, targets):
    return -jnp.mean(jnp.sum(batched_predict(params, images) * targets, axis=1))


@partial(jit, static_argnames="step_size")
def update(params, x, y, step_size=0.5):
    grads = grad(loss)(params, x, y)
    return [(w - step_size * dw, b - step_size * db) for (w, b), (dw, db) in zip(params, grads, strict=True)]


def accuracy(params, images, labels):
    return jnp.mean(jnp.argmax(batched_predict(params, images), axis=1) == labels)


def main():
    file = np.load(Path(__file__).parents[2] / "nrx/data/datasets/digits.npz")
    images = file["images"].reshape(-1, 64).astype(np.float32) / 16
    labels = file["labels"].astype(np.int32)
    params = init_network(SIZES, random.PRNGKey(0))
    for _ in range(8):
        for start in range(0, 1536, 128):
            batch = slice(start, start + 128)
            params = update(params, images[batch], jax.nn.one_hot(labels[batch], 10))
    assert accuracy(params, images[1536:], labels[1536:]) > 0.8
    return params, loss(params, images[:128], jax.nn.one_hot(labels[:128], 10))
