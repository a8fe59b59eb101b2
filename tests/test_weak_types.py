"""Weak types: what comes of Python numbers adapts to what it meets, through every transformation, as in JAX."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from known_differences import WEAK_TYPES

import nrx
import nrx.numpy

jax = pytest.importorskip("jax")


def cube(x: Any) -> Any:
    return x * x * x


def derivatives(jx: Any, jnp: Any) -> dict[str, Callable]:
    def both(pair: tuple) -> tuple:
        return pair[0], pair[1](1.0)

    return {
        "grad": lambda: jx.grad(cube)(2.0),
        "grad of grad": lambda: jx.grad(jx.grad(cube))(2.0),
        "grad of a power": lambda: jx.grad(lambda x: x**2.0)(3.0),
        "grad of a broadcast": lambda: jx.grad(lambda x: jnp.broadcast_to(x, (2,)).sum())(2.0),
        "value_and_grad": lambda: jx.value_and_grad(cube)(2.0),
        "jacfwd": lambda: jx.jacfwd(cube)(2.0),
        "jacrev": lambda: jx.jacrev(jnp.sin)(2.0),
        "jacrev of two": lambda: jx.jacrev(lambda x: (x, jnp.ones(2) * x))(2.0),
        "hessian": lambda: jx.hessian(cube)(2.0),
        "hessian, strong": lambda: jx.hessian(cube)(jnp.float32(2.0)),
        "jvp": lambda: jx.jvp(cube, (2.0,), (1.0,)),
        "vjp": lambda: both(jx.vjp(cube, 2.0)),
        "linearize": lambda: both(jx.linearize(cube, 2.0)),
        "linear_transpose": lambda: jx.linear_transpose(lambda x: 3 * x, 1.0)(2.0),
        "checkpoint": lambda: jx.grad(jx.checkpoint(jnp.sin))(2.0),
        "vmap of grad": lambda: jx.vmap(jx.grad(cube))(jnp.arange(3.0)),
    }


def control_flow(jx: Any, jnp: Any) -> dict[str, Callable]:
    lax = jx.lax
    return {
        "scan": lambda: lax.scan(lambda c, _: (c * 1, c * 2), jnp.asarray(1.0), None, length=3),
        "scan, numbers stacked": lambda: lax.scan(lambda c, _: (c, 1.0), jnp.ones(()), None, length=3),
        "scan, carry widens": lambda: lax.scan(lambda c, x: (c + x, c), 1.0, jnp.arange(3.0)),
        "scan, integers": lambda: lax.scan(lambda c, x: (c + 1, c), 0, jnp.arange(3)),
        "while": lambda: lax.while_loop(lambda c: c < 5, lambda c: c + 1, 0),
        "while, one becomes strong": lambda: lax.while_loop(
            lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * jnp.float32(2)), (0, 1.0)
        ),
        "fori": lambda: lax.fori_loop(0, 3, lambda i, c: c + i, 0),
        "fori, int8": lambda: lax.fori_loop(0, 3, lambda i, c: c + i, jnp.int8(0)),
        "fori, known bounds": lambda: lax.fori_loop(np.int32(0), np.int32(3), lambda i, c: c + i, jnp.int8(0)),
        "cond": lambda: lax.cond(True, lambda x: x, lambda x: x * 2, 1.0),
        "cond, strong": lambda: lax.cond(True, lambda x: x, lambda x: jnp.float32(2), 1.0),
        "cond, numbers": lambda: lax.cond(True, lambda: 1.0, lambda: 2.0),
        "switch": lambda: lax.switch(1, [lambda x: x, lambda x: jnp.sin(x)], 1.0),
        "map": lambda: lax.map(lambda x: 1.0, jnp.arange(3)),
        "vmap, a number": lambda: jx.vmap(lambda x: 1.0)(jnp.arange(3.0)),
        "vmap, not mapped": lambda: jx.vmap(lambda x, y: y * 2, in_axes=(0, None))(jnp.arange(3.0), 2.0),
        "jit": lambda: jx.jit(cube)(2.0),
        "jit, a number": lambda: jx.jit(lambda: 1.0)(),
        "custom_root": lambda: lax.custom_root(
            lambda x: x * x - 2, 1.0, lambda f, x: lax.fori_loop(0, 9, lambda i, x: x - f(x) / (2 * x), x),
            lambda g, y: y / g(1.0),
        ),
    }  # fmt: skip


def functions(jx: Any, jnp: Any) -> dict[str, Callable]:
    weak = jnp.broadcast_to(2.0, (2, 2))
    return {
        "dot": lambda: jnp.dot(2.0, 3.0),
        "matmul": lambda: weak @ weak,
        "matmul, strong": lambda: weak @ jnp.ones((2, 2)),
        "tensordot": lambda: jnp.tensordot(weak, weak),
        "inner": lambda: jnp.inner(weak, weak),
        "einsum": lambda: jnp.einsum("ij,jk", weak, weak),
        "index": lambda: weak[0],
        "concatenate": lambda: jnp.concatenate([weak, weak]),
        "sort": lambda: jnp.sort(weak),
        "where": lambda: jnp.where(True, 1.0, 2.0),
        "stack": lambda: jnp.stack([1.0, 2.0]),
        "array": lambda: jnp.array(1.0),
        "full_like": lambda: jnp.full_like(2.0, 1.0),
        "cumsum": lambda: jnp.cumsum(weak),
        "clip": lambda: jnp.clip(2.0, 0, 1),
        "astype": lambda: jnp.asarray(2.0).astype(float),
        "at": lambda: jnp.asarray(2.0).at[()].set(3.0),
        "custom_jvp": lambda: jx.grad(jx.nn.relu)(2.0),
    }


TABLES = (derivatives, control_flow, functions)
NAMES = [(table, name) for table in TABLES for name in table(nrx, nrx.numpy)]


def kinds(tree: Any) -> list[tuple]:
    return [(str(leaf.dtype), leaf.shape, leaf.weak_type) for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize(("table", "name"), NAMES, ids=[name for _, name in NAMES])
def test_weak_types_are_those_of_jax(table: Callable, name: str) -> None:
    ours, theirs = (kinds(table(jx, jnp)[name]()) for jx, jnp in ((nrx, nrx.numpy), (jax, jax.numpy)))
    assert (ours == theirs) == (name not in WEAK_TYPES)
