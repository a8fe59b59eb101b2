"""Settings for debugging: NaNs and infinities by line, no jit, leaks, why something is traced again; JAX's contexts."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.errors import (
    ArgumentTypeError,
    ConfigError,
    DTypeError,
    LeakedTracerError,
    NonFiniteError,
    ShapeError,
    TracerConversionError,
)

X = jnp.asarray(np.array([4.0, 2.0, 1.0], np.float32))


def logarithm(x: Any) -> Any:
    y = x - 3
    z = jnp.log(y)  # here
    return z * 2


def scanned(x: Any) -> Any:
    def step(c: Any, _: None) -> tuple:
        c = c - 1
        return jnp.sqrt(c), None  # here

    return lax.scan(step, x, None, length=3)[0]


def repeated(x: Any) -> Any:
    return lax.while_loop(lambda c: c > -1, lambda c: jnp.log(c), x)  # here


def chosen(x: Any) -> Any:
    return lax.cond((x > 0).all(), lambda x: jnp.arccosh(x - 2), lambda x: x, x)  # here


TRANSFORMED: list[Callable] = [
    lambda f: f,
    nrx.jit,
    lambda f: nrx.jit(nrx.jit(f)),
    lambda f: nrx.jit(nrx.checkpoint(f)),
    lambda f: nrx.jit(lambda x: nrx.jvp(f, (x,), (jnp.ones_like(x),))),
    lambda f: nrx.jit(f, donate_argnums=0),
]


@pytest.mark.parametrize("transform", TRANSFORMED)
@pytest.mark.parametrize(
    ("function", "x", "prim"),
    [(logarithm, 2.0, "log"), (scanned, 1.5, "sqrt"), (repeated, 0.5, "log"), (chosen, 2.5, "arccosh|acosh")],
)
def test_nans_by_the_line(function: Callable, x: float, prim: str, transform: Callable) -> None:
    f = transform(function)
    with nrx.debug_nans():
        with pytest.raises(NonFiniteError, match=rf"^({prim})\b.* gave nan") as caught:
            f(jnp.float32(x))
        assert caught.value.source is not None
        assert "# here" in caught.value.source.code
        assert isinstance(caught.value, FloatingPointError)
        f(jnp.float32(4.0)) if function is logarithm else None
    f(jnp.float32(x))  # no longer


def test_nans_of_operators_batches_and_warm_functions() -> None:
    zeros = jnp.zeros(3)
    zeros / zeros
    f = nrx.jit(nrx.vmap(logarithm))
    for _ in range(3):
        f(X)
    with nrx.debug_nans(True):
        with pytest.raises(NonFiniteError, match=r"div gave nan in 3 of 3 elements, first at index \(0,\)"):
            zeros / zeros
        for _ in range(2):
            with pytest.raises(NonFiniteError, match=r"log gave nan in 2 of 3 elements, first at index \(1,\)"):
                f(X)
        for _ in range(4):
            f(X + 5)
        assert_same(jnp.where(X > 1, X, 0 * X), np.array([4, 2, 0], np.float32))


def test_infinities() -> None:
    with nrx.debug_infs():
        with pytest.raises(NonFiniteError, match="log gave inf"):
            nrx.jit(logarithm)(3.0)
        assert np.isnan(float(nrx.jit(logarithm)(2.0)))
    assert float(nrx.jit(logarithm)(3.0)) == -np.inf


def test_effects_are_not_repeated_by_the_search() -> None:
    seen: list[float] = []

    @nrx.jit
    def f(x: Any) -> Any:
        nrx.debug.callback(lambda v: seen.append(float(v)), x)
        return jnp.log(x)

    with nrx.debug_nans(), pytest.raises(NonFiniteError, match="log gave nan"):
        f(-1.0)
    assert seen == [-1.0]


def test_disable_jit() -> None:
    seen: list[float] = []

    def step(carry: Any, x: Any) -> tuple:
        seen.append(float(carry))
        return carry + x, carry

    @nrx.jit
    def f(x: Any) -> Any:
        seen.append(float(x))
        return x * 2

    f_in_vain = pytest.raises(TracerConversionError)
    with f_in_vain:
        f(1.0)
    with nrx.disable_jit():
        assert float(f(1.0)) == 2.0
        last, before = lax.scan(step, 0.0, jnp.arange(4.0))
        assert (float(last), seen) == (6.0, [1.0, 0.0, 0.0, 1.0, 3.0])
        assert_same(before, np.array([0, 0, 1, 3], np.float32))
        assert_same(lax.scan(step, 0.0, jnp.arange(4.0), reverse=True)[1], np.array([6, 5, 3, 0], np.float32))
        assert int(lax.while_loop(lambda x: bool(x < 100), lambda x: x * 2, 1)) == 128
        assert lax.cond(jnp.array(True), float, lambda x: x, jnp.float32(3)) == 3.0
        assert int(lax.fori_loop(0, 5, lambda i, total: total + int(i), 0)) == 10
        gradient = nrx.grad(lambda x: lax.scan(lambda c, _: (c * x, None), 1.0, None, length=3)[0])(2.0)
        assert float(gradient) == 12.0
        doubled = nrx.vmap(lambda n: lax.while_loop(lambda x: x < 10, lambda x: x * 2, n))(jnp.array([1, 3]))
        assert_same(doubled, np.array([16, 12], np.int32))
    with f_in_vain:
        f(1.0)


def test_leaks() -> None:
    kept: list[Any] = []

    def leaky(x: Any) -> Any:
        kept.append(x * 2)
        return x

    nrx.jit(leaky)(1.0)
    with nrx.checking_leaks():
        with pytest.raises(LeakedTracerError, match="leaked") as caught:
            nrx.jit(leaky)(1.0)
        assert "x * 2" in str(caught.value)
        kept.clear()
        nrx.jit(lambda x: lax.scan(lambda c, _: (c * 2, c), x, None, length=2))(1.0)
        nrx.jit(nrx.grad(logarithm))(4.0)


def test_why_traced_again() -> None:
    f = nrx.jit(lambda x, n=1, **more: x, static_argnums=1)
    f(X, 2)
    f(X, 2)
    for args, kwargs, reason in (
        ((X, 2), {}, None),
        ((X[:2], 2), {}, "x was float32[3], is float32[2]"),
        ((X.astype("float64"), 2), {}, "x was float32[3], is float64[3]"),
        ((1.0, 2), {}, "x was float32[3], is float32[] (weakly typed"),
        ((X, 3), {}, "static argument n was 2, is 3"),
        ((X,), {}, "static argument n was 2, is left out"),
        (([X], 2), {}, "the structure of (args, kwargs) differs"),
        ((X, 2), {"y": X}, "the structure of (args, kwargs) differs"),
    ):
        found = nrx.explain_recompile(f, *args, **kwargs)
        assert (found is None) if reason is None else (found is not None and found.startswith(reason))
    with nrx.enable_x64():
        assert "config.default_float was float32, is float64" in str(nrx.explain_recompile(f, X, 2))
    assert f.trace_count == 1
    with pytest.raises(ArgumentTypeError, match="jit made"):
        nrx.explain_recompile(abs, 1.0)


def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nrx"), nrx.explain_cache_misses(), nrx.log_compiles():
        f = nrx.jit(lambda x: x + 1)
        f(X)
        f(X)
        f(X[:2])
        for _ in range(2):
            nrx.jit(lambda x: x + 2)(X)
    lines = [record.getMessage() for record in caplog.records]
    reasons = [line.partition(": ")[2] for line in lines if " at " in line and ": " in line]
    assert [reason for reason in reasons if reason.startswith("x was")] == ["x was float32[3], is float32[2]"]
    assert sum("for the first time" in reason for reason in reasons) == 2
    assert sum("call jit once" in reason for reason in reasons) == 1
    assert sum(line.startswith("tracing <lambda> for f32[3] at ") for line in lines) == 3
    assert sum(line.startswith("compiled <lambda> for cpu:0 in ") for line in lines) == 4
    assert all(__file__ in line for line in lines if line.startswith("tracing"))


def test_contexts_that_change_results() -> None:
    with nrx.enable_x64():
        assert (jnp.zeros(1).dtype, jnp.arange(1).dtype) == (np.float64, np.int64)
        with nrx.enable_x64(False):
            assert jnp.zeros(1).dtype == np.float32
    with nrx.numpy_rank_promotion("raise"):
        with pytest.raises(ShapeError, match="differ in rank"):
            jnp.ones((2, 3)) + X
        with pytest.raises(ShapeError, match="differ in rank"):
            nrx.jit(lambda x: jnp.ones((2, 3)) + x)(X)
        jnp.ones((2, 3)) * 2 + jnp.ones((1, 3))
    with nrx.numpy_rank_promotion("warn"), pytest.warns(UserWarning, match="differ in rank"):
        jnp.ones((2, 3)) + X
    with nrx.numpy_dtype_promotion("strict"):
        with pytest.raises(DTypeError, match="strict"):
            jnp.ones(3, "float16") + X
        X * 2 + 1.0
    jnp.ones((2, 3), "float16") + X
    with pytest.raises(ConfigError, match="numpy_rank_promotion"), nrx.numpy_rank_promotion("never"):
        pass


def test_contexts_without_effect_say_so() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with nrx.default_matmul_precision("highest"), nrx.transfer_guard("allow"), nrx.named_scope("s"):
            pass
    for context in (nrx.default_matmul_precision("bfloat16"), nrx.transfer_guard("disallow")):
        with pytest.warns(UserWarning, match="has no effect"), context:
            pass


def test_ensure_compile_time_eval() -> None:
    @nrx.jit
    def f(x: Any) -> Any:
        with nrx.ensure_compile_time_eval():
            n = int(jnp.sqrt(jnp.float32(9.0)))
            traced = x * 2
        return traced * n

    assert float(f(2.0)) == 12.0
    assert [eqn.prim.name for eqn in f.trace(2.0).eqns] == ["mul", "mul"]
    assert float(nrx.grad(f)(2.0)) == 6.0


def test_closure_convert() -> None:
    def outer(x: Any, n: Any) -> Any:
        def inner(y: Any) -> Any:
            return jnp.sin(x * y) * n * X.sum()

        converted, consts = nrx.closure_convert(inner, 1.0)
        assert len(consts) == 1  # not the integer, and not the array that is known
        return converted(2.0, *consts)

    expected = 2 * np.cos(2 * 0.7) * 3 * 7
    np.testing.assert_allclose(float(nrx.jit(nrx.grad(outer))(0.7, 3)), expected, rtol=1e-5)


def test_make_jaxpr_and_names() -> None:
    program, shape = nrx.make_jaxpr(lambda x: {"y": x[:2]}, return_shape=True)(X)
    assert shape == {"y": nrx.ShapeDtypeStruct(2, "float32")}
    (eqn,) = program.jaxpr.eqns
    assert (eqn.primitive.name, eqn.invars, eqn.outvars) == ("slice", program.invars, program.outvars)
    assert nrx.named_call(logarithm, name="other").__name__ == "other"


def test_clear_caches_and_live_arrays() -> None:
    f = nrx.jit(lambda x: x + 1)
    f(X)
    f(X)
    nrx.clear_caches()
    assert_same(f(X), np.asarray(X) + 1)
    assert f.trace_count == 2
    mine = jnp.ones(17)
    assert any(x is mine for x in nrx.live_arrays())
    assert not nrx.live_arrays("nowhere")


def test_settings_under_jaxs_names() -> None:
    nrx.config.update("jax_debug_nans", True)
    try:
        assert nrx.config.debug_nans is nrx.config.jax_debug_nans is True
    finally:
        nrx.config.update("jax_debug_nans", False)
