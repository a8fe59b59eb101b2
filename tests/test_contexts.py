"""Contexts copied while tracing: in another task or thread, or later, operations are evaluated and not recorded."""

import asyncio
import contextvars
import pickle
import threading
from enum import IntEnum

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp

TRANSFORMS = {
    "jit": nrx.jit,
    "vmap": nrx.vmap,
    "grad": lambda f: nrx.grad(lambda x: f(x).sum()),
    "jit of grad": lambda f: nrx.jit(nrx.grad(lambda x: f(x).sum())),
    "scan": lambda f: lambda x: nrx.lax.scan(lambda c, _: (f(c), None), x, None, length=2),
}


def evaluated(result) -> None:
    np.testing.assert_array_equal(np.asarray(result), [2, 2])


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_context_outlives_its_trace(transform):
    kept = []
    transform(lambda x: (kept.append(contextvars.copy_context()), x)[1])(jnp.ones(2))
    evaluated(kept[0].run(lambda: jnp.ones(2) + 1))


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_thread_in_a_copied_context(transform):
    results = []

    def traced(x):
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: results.append(jnp.ones(2) + 1),))
        thread.start()
        thread.join()
        return x * 1.0

    transform(traced)(jnp.ones(2))
    evaluated(results[0])


def test_a_task_made_while_tracing():
    async def background():
        await asyncio.sleep(0)
        return jnp.ones(2) + 1

    async def main():
        tasks = []
        nrx.jit(lambda x: (tasks.append(asyncio.ensure_future(background())), x)[1])(jnp.ones(2))
        return await tasks[0]

    evaluated(asyncio.run(main()))


def test_prefetch_made_while_tracing():
    seen = []

    def traced(x):
        seen.extend(nrx.data.prefetch(jnp.ones(2) + i for i in range(2)))
        return x

    program = nrx.make_jaxpr(traced)(jnp.ones(2))
    assert len(program.eqns) == 0
    evaluated(seen[1])


def test_settings_are_part_of_what_is_remembered():
    """A derivative taken under other settings leaves no trace."""

    def root(c):
        return jnp.where(c > 0, jnp.sqrt(c), 0.0)

    function = nrx.jit(lambda a: nrx.lax.scan(lambda c, _: (root(c), None), a, None, length=1)[0])
    with nrx.config.using(strong_zeros=False):
        assert np.isnan(float(nrx.vjp(function, 0.0)[1](1.0)[0]))
    assert float(nrx.vjp(function, 0.0)[1](1.0)[0]) == 0


def test_programs_and_primitives_pickle():
    program = nrx.make_jaxpr(nrx.jit(lambda x: jnp.sin(x) * np.ones(2)))(1.0)
    program(jnp.array(1.0))
    copy = pickle.loads(pickle.dumps(program))
    assert str(copy) == str(program)
    np.testing.assert_allclose(np.asarray(copy(jnp.array(1.0))[0]), np.sin([1.0, 1.0]), rtol=1e-6)
    assert copy.eqns[-1].prim is program.eqns[-1].prim


def test_static_arguments_are_told_apart():
    scale = nrx.jit(lambda a, n: a * n[0], static_argnums=1)
    assert [scale(jnp.array([1]), n).dtype for n in ((2,), (2.0,), (True,))] == ["int32", "float32", "int32"]
    sign = nrx.jit(lambda a, n: jnp.copysign(a, n), static_argnums=1)
    assert [float(sign(1.0, n)) for n in (0.0, -0.0)] == [1, -1]


def test_what_is_traced_is_bounded():
    function = nrx.jit(lambda x, n: x + n, static_argnums=1)
    for n in range(1100):
        function(1.0, n)
    assert len(function._traced) <= 1024


def test_subclasses_of_numbers():
    class Colour(IntEnum):
        RED = 2

    class Metres(float):
        pass

    assert (jnp.arange(2) + Colour.RED).tolist() == [2, 3]
    assert nrx.jit(lambda x, m: x * m)(jnp.ones(1), Metres(1.5)).tolist() == [1.5]


@pytest.mark.parametrize("kind", [nrx.custom_jvp, nrx.custom_vjp])
def test_custom_functions_close_over_mapped_values(kind):
    def outer(a):
        function = kind(lambda b: b * a)
        if kind is nrx.custom_jvp:
            function.defjvp(lambda primals, tangents: (primals[0] * a, tangents[0] * a))
        else:
            function.defvjp(lambda b: (b * a, None), lambda _, ct: (ct * a,))
        return function(2.0), nrx.grad(function)(2.0)

    values, slopes = nrx.vmap(outer)(jnp.arange(3.0))
    assert (values.tolist(), slopes.tolist()) == ([0, 2, 4], [0, 1, 2])


def test_rules_that_mix_values_and_tangents_in_a_branch():
    """The values are computed alone where a rule takes them through one operation with the tangents."""

    @nrx.custom_jvp
    def function(x):
        return jnp.sin(x)

    @function.defjvp
    def rule(primals, tangents):
        def branch(x, t):
            return jnp.sin(x), 2 * jnp.cos(x) * t

        return nrx.lax.cond(primals[0] > 0, branch, branch, primals[0], tangents[0])

    for way in (nrx.value_and_grad(function), nrx.jit(nrx.value_and_grad(function))):
        np.testing.assert_allclose([float(v) for v in way(1.0)], [np.sin(1), 2 * np.cos(1)], rtol=1e-6)
