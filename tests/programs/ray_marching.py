"""A picture of two spheres over a plane: rays march along a distance field, light comes from its gradient."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import grad, jit, lax, vmap


def norm(v):
    return jnp.sqrt(jnp.sum(v**2, axis=-1))


def normalize(v):
    return v / norm(v)


def distance(p):
    balls = [norm(p - jnp.array(c)) - r for c, r in (([0.0, 0.0, 0.0], 1.0), ([1.2, 0.5, -0.4], 0.6))]
    return jnp.min(jnp.stack([*balls, p[1] + 1.0]))


def march(origin, direction):
    def unfinished(state):
        count, _, last = state
        return (count < 40) & (last > 1e-3)

    def step(state):
        count, p, last = state
        last = distance(p)
        return count + 1, p + direction * last, last

    return lax.while_loop(unfinished, step, (0, origin, jnp.inf))[1]


def shade(light, p):
    normal = grad(distance)(p)
    lit = jnp.clip(normal @ light, 0.0, 1.0)
    hidden = lax.fori_loop(0, 8, lambda i, h: jnp.minimum(h, distance(p + light * (0.1 + 0.2 * i))), 1.0) < 0.02
    return jnp.where(hidden, 0.1, 0.1 + 0.9 * lit)


@partial(jit, static_argnames=("width", "height"))
def picture(eye, light, width=12, height=9):
    ys, xs = jnp.mgrid[1.0 : -1.0 : height * 1j, -1.2 : 1.2 : width * 1j]
    rays = jnp.stack([xs.ravel(), ys.ravel() - 0.2, jnp.full(width * height, -1.5)], -1)
    points = vmap(partial(march, eye))(vmap(normalize)(rays))
    return vmap(partial(shade, normalize(light)))(points).reshape(height, width), points


def main():
    eye, light = jnp.array([0.0, 0.3, 4.0]), jnp.array([1.0, 2.0, 1.0])
    image, points = picture(eye, light)
    assert image.shape == (9, 12)
    assert 0.05 < image.min() < image.max() <= 1.001
    slope = jax.grad(lambda light: vmap(partial(shade, light))(points[::7]).sum())(normalize(light))
    return points[jnp.abs(points[:, 2]) < 2], image[4], slope
