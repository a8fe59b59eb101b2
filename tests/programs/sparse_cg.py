"""Poisson's equation by conjugate gradients without a matrix, and its derivative with respect to the source."""

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import bicgstab, cg, gmres

SIZE = 8


def laplacian(u):
    padded = jnp.pad(u, 1)
    around = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
    return 4 * u - around


@jax.jit
def solve(source):
    return cg(laplacian, source, tol=1e-6)[0]


def main():
    ys, xs = jnp.meshgrid(*[jnp.linspace(-1, 1, SIZE)] * 2, indexing="ij")
    source = jnp.exp(-4 * (xs**2 + ys**2))
    u = solve(source)
    assert jnp.abs(laplacian(u) - source).max() < 1e-4
    dense = jax.vmap(lambda e: laplacian(e.reshape(SIZE, SIZE)).ravel())(jnp.eye(SIZE**2))
    assert jnp.allclose(u.ravel(), jnp.linalg.solve(dense, source.ravel()), atol=1e-4)
    slope = jax.grad(lambda s: solve(s)[3, 3])(source)
    tree, _ = cg(lambda t: {"a": 2 * t["a"], "b": 3 * t["b"]}, {"a": jnp.ones(2), "b": 3.0})
    matrix = jnp.array([[4.0, 1.0, 0.0], [0.5, 3.0, 1.0], [0.0, 0.2, 2.0]])
    others = bicgstab(matrix, jnp.arange(3.0))[0], gmres(matrix, jnp.arange(3.0))[0]
    return u, slope, tree, others
