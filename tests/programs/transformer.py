"""A block of a transformer: layer norm, causal attention with many heads, gelu; one step of Adam."""

import math

import jax
import jax.numpy as jnp
from jax import nn, random

HEADS, WIDTH, LENGTH, VOCABULARY = 2, 16, 10, 12


def init(key):
    shapes = {
        "embed": (VOCABULARY, WIDTH),
        "position": (LENGTH, WIDTH),
        "qkv": (WIDTH, 3 * WIDTH),
        "proj": (WIDTH, WIDTH),
        "up": (WIDTH, 4 * WIDTH),
        "down": (4 * WIDTH, WIDTH),
    }
    keys = dict(zip(shapes, random.split(key, len(shapes)), strict=True))
    params = {name: random.normal(keys[name], shape) / math.sqrt(shape[0]) for name, shape in shapes.items()}
    return {**params, "scale": jnp.ones((2, WIDTH)), "shift": jnp.zeros((2, WIDTH))}


def layer_norm(x, scale, shift):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.var(x, axis=-1, keepdims=True)
    return scale * (x - mean) * jax.lax.rsqrt(variance + 1e-5) + shift


def attention(params, x):
    q, k, v = jnp.split(jnp.einsum("td,de->te", x, params["qkv"]), 3, axis=-1)
    q, k, v = (part.reshape(LENGTH, HEADS, -1).swapaxes(0, 1) for part in (q, k, v))
    scores = jnp.einsum("htd,hsd->hts", q, k) / math.sqrt(q.shape[-1])
    mask = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))
    weights = nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min))
    return jnp.einsum("hts,hsd->thd", weights, v).reshape(LENGTH, WIDTH) @ params["proj"]


def logits(params, tokens):
    x = params["embed"][tokens] + params["position"]
    x = x + attention(params, layer_norm(x, params["scale"][0], params["shift"][0]))
    hidden = nn.gelu(layer_norm(x, params["scale"][1], params["shift"][1]) @ params["up"])
    return (x + hidden @ params["down"]) @ params["embed"].T


def loss(params, tokens):
    log_p = nn.log_softmax(jax.vmap(logits, (None, 0))(params, tokens)[:, :-1])
    return -jnp.mean(jnp.sum(log_p * nn.one_hot(tokens[:, 1:], VOCABULARY), -1))


@jax.jit
def adam(params, moments, t, tokens):
    value, g = jax.value_and_grad(loss)(params, tokens)
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], g)
    v = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g**2, moments[1], g)

    def move(p, m, v):
        return p - 0.02 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.99**t)) + 1e-6)

    return jax.tree.map(move, params, m, v), (m, v), value


def main():
    params = init(random.PRNGKey(0))
    tokens = (jnp.arange(LENGTH) + random.randint(random.PRNGKey(5), (8, 1), 0, VOCABULARY)) % VOCABULARY
    moments, losses = (jax.tree.map(jnp.zeros_like, params),) * 2, []
    before = logits(params, tokens[0])
    assert jnp.allclose(before[:4], logits(params, tokens[0].at[5:].set(0))[:4], atol=1e-5), "looks into the future"
    for t in range(1, 21):
        params, moments, value = adam(params, moments, t, tokens)
        losses.append(float(value))
    assert losses[-1] < losses[0] / 2
    return before, losses[:5]
