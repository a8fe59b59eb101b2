"""A convolutional network written with lax: convolution, pooling, softmax; its gradient step."""

import jax
import jax.numpy as jnp
from jax import lax, nn, random

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def init(key):
    keys = random.split(key, 3)
    he = nn.initializers.he_normal()
    glorot = nn.initializers.glorot_uniform()
    return {
        "conv1": {"w": he(keys[0], (3, 3, 1, 4)), "b": jnp.zeros(4)},
        "conv2": {"w": he(keys[1], (3, 3, 4, 8)), "b": jnp.zeros(8)},
        "dense": {"w": glorot(keys[2], (32, 3)), "b": jnp.zeros(3)},
    }


def conv(params, x):
    out = lax.conv_general_dilated(x, params["w"], (1, 1), "SAME", dimension_numbers=DIMENSIONS)
    return nn.relu(out + params["b"])


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def apply(params, x):
    x = pool(conv(params["conv1"], x))
    x = pool(conv(params["conv2"], x))
    x = x.reshape(x.shape[0], -1)
    return x @ params["dense"]["w"] + params["dense"]["b"]


def loss(params, x, y):
    log_probs = nn.log_softmax(apply(params, x))
    return -jnp.take_along_axis(log_probs, y[:, None], axis=1).mean()


@jax.jit
def step(params, x, y):
    value, grads = jax.value_and_grad(loss)(params, x, y)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), value


def main():
    key = random.key(3)
    x_key, y_key, p_key = random.split(key, 3)
    labels = random.randint(y_key, (24,), 0, 3)
    rows = jnp.arange(8)[None, :, None, None]
    x = 0.1 * random.normal(x_key, (24, 8, 8, 1)) + (rows // 3 == labels[:, None, None, None])
    params, losses = init(p_key), []
    for _ in range(12):
        params, value = step(params, x, labels)
        losses.append(value)
    assert losses[-1] < 0.7 * losses[0]
    return params, jnp.stack(losses)
