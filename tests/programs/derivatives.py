"""Jacobians and Hessians every way: forward, reverse, mixed, by products, by hand."""

import jax
import jax.numpy as jnp
from jax import grad, hessian, jacfwd, jacrev, jit, jvp, linearize, random, vjp, vmap


def f(x):
    return jnp.stack([jnp.sin(x[0]) * x[1], x[2] ** 2 + x[0], jnp.exp(x[1] * x[2]), x.prod()])


def g(x):
    return jnp.log1p(jnp.sum(f(x) ** 2))


def hvp(f, x, v):
    return jvp(grad(f), (x,), (v,))[1]


def main():
    x = random.normal(random.PRNGKey(0), (3,))
    forward, reverse = jit(jacfwd(f))(x), jacrev(f)(x)
    out, pullback = vjp(f, x)
    (rows,) = vmap(pullback)(jnp.eye(4))
    _, push = linearize(f, x)
    columns = vmap(push, out_axes=1)(jnp.eye(3))
    for other in (reverse, rows, columns):
        assert jnp.allclose(forward, other, rtol=1e-5, atol=1e-6)
    whole = jit(hessian(g))(x)
    products = vmap(lambda v: hvp(g, x, v))(jnp.eye(3))
    mixed = jacrev(jacfwd(g))(x)
    assert jnp.allclose(whole, products, rtol=1e-3, atol=1e-4)
    third = jacfwd(hessian(lambda x: jnp.sum(x**4)))(x)
    tree = jax.jacobian(lambda d: {"sum": d["a"] * d["b"], "a": d["a"] ** 2})({"a": x, "b": 2.0})
    complex_slope = grad(lambda z: jnp.real(z * z * 1j), holomorphic=False)(1.0 + 2.0j)
    holomorphic = grad(lambda z: jnp.sin(z), holomorphic=True)(1.0 + 2.0j)
    newton = x - jnp.linalg.solve(whole + 5 * jnp.eye(3), grad(g)(x))
    assert g(newton) < g(x)
    value, auxiliary = grad(lambda x: (g(x), {"norm": jnp.linalg.norm(x)}), has_aux=True)(x)
    print(jax.make_jaxpr(grad(g))(x) is not None)
    return forward, out, whole, mixed, third, tree, complex_slope, holomorphic, newton, value, auxiliary
