"""Printing, host functions and state outside: effects in compiled code."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

SEEN = []


def host_sort(x):
    return np.sort(x)


@jax.jit
def sorted_on_host(x):
    return jax.pure_callback(host_sort, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential")


@jax.jit
def traced(x):
    jax.debug.print("x = {x} and twice {twice}", x=x, twice=2 * x)
    jax.debug.callback(lambda value: SEEN.append(float(value)), x.sum())
    return x + 1


def counted(count):
    def next_number():
        count.append(len(count))
        return np.int32(len(count))

    def body(total, _):
        number = io_callback(next_number, jax.ShapeDtypeStruct((), jnp.int32), ordered=True)
        return total + number, number

    return jax.jit(lambda: jax.lax.scan(body, jnp.int32(0), None, length=4))()


def main():
    x = jnp.array([3.0, 1.0, 2.0])
    ordered = sorted_on_host(x)
    rows = jax.vmap(sorted_on_host)(jnp.stack([x, -x]))
    out = traced(x)
    jax.grad(lambda x: traced(x).sum())(x)
    total = counted([])
    jax.effects_barrier()
    assert SEEN == [6.0, 6.0]
    return ordered, rows, out, total
