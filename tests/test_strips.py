"""Attention without matrices of scores in memory: which Programs are divided, and that the results are NumPy's."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler import strips
from nrx.compiler.plan import Shared
from nrx.core.dtypes import bfloat16
from nrx.core.program import Program, subprograms


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Small values count as large, and code made so is not found by others."""
    monkeypatch.setattr(strips, "_LARGE", 2000)
    monkeypatch.setattr(strips, "_STRIP", 1000)
    monkeypatch.setattr(strips, "_FEWEST_ROWS", 2)
    monkeypatch.setattr(strips, "_GAIN", 1)
    monkeypatch.setenv("NRX_CACHE_DIR", str(tmp_path))
    nrx.clear_caches()


def draw(*shapes: tuple[int, ...], dtype: Any = np.float64) -> list[np.ndarray]:
    rng = np.random.default_rng(len(shapes))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def lengths(program: Program) -> list[int]:
    """Of the loops in a divided Program, and of those in these."""
    found = []
    for eqn in program.eqns:
        if eqn.prim.name == "scan":
            found.append(eqn.params["length"])
        for inner in subprograms(eqn.params):
            found += lengths(Shared().simplified(inner))
    return found


def divided(function: Callable, *args: Any) -> list[int]:
    return lengths(Shared().simplified(nrx.jit(function).trace(*map(jnp.asarray, args))))


def attention(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    scores = jnp.einsum("...qhd,...khd->...hqk", q, k) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = jnp.where(mask, scores, -1e30)
    return jnp.einsum("...hqk,...khd->...qhd", nrx.nn.softmax(scores, -1), v)


def right(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: Any = True) -> np.ndarray:
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    scores = np.einsum("...qhd,...khd->...hqk", q, k) / np.sqrt(q.shape[-1])
    return np.einsum("...hqk,...khd->...qhd", special.softmax(np.where(mask, scores, -1e30), axis=-1), v)


def right_gradients(q: np.ndarray, k: np.ndarray, v: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    """Those of the sum of the result times w, by the formulas of softmax."""
    p = special.softmax(np.einsum("...qhd,...khd->...hqk", q, k) / np.sqrt(q.shape[-1]), axis=-1)
    by_p = np.einsum("...qhd,...khd->...hqk", w, v)
    by_s = p * (by_p - (p * by_p).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return [
        np.einsum("...hqk,...khd->...qhd", by_s, k), np.einsum("...hqk,...qhd->...khd", by_s, q),
        np.einsum("...hqk,...qhd->...khd", p, w),
    ]  # fmt: skip


def gradients(q: Any, k: Any, v: Any, w: Any) -> Any:
    return nrx.grad(lambda *args: (attention(*args) * w).sum(), (0, 1, 2))(q, k, v)


SHAPES = [(24, 1, 4), (24, 2, 4), (3, 24, 2, 4), (2, 16, 1, 8), (30, 3, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_and_its_gradient(shape: tuple[int, ...]) -> None:
    q, k, v, w = draw(shape, shape, shape, shape)
    assert divided(attention, q, k, v)
    assert divided(gradients, q, k, v, w)
    np.testing.assert_allclose(nrx.jit(attention)(q, k, v), right(q, k, v), atol=1e-12)
    for got, want in zip(nrx.jit(gradients)(q, k, v, w), right_gradients(q, k, v, w), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(4, 40), st.integers(4, 40), st.integers(1, 3), st.integers(1, 9), st.sampled_from([(), (2,), (3, 2)])
)
def test_all_lengths(queries: int, keys: int, heads: int, features: int, batch: tuple[int, ...]) -> None:
    nrx.clear_caches()
    q, k, v, w = draw(*((*batch, n, heads, features) for n in (queries, keys, keys, queries)))
    np.testing.assert_allclose(nrx.jit(attention)(q, k, v), right(q, k, v), atol=1e-12)
    for got, want in zip(nrx.jit(gradients)(q, k, v, w), right_gradients(q, k, v, w), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_a_batch_comes_first_and_rows_of_what_is_still_large() -> None:
    q, k, v = draw(*[(2, 64, 3, 4)] * 3)
    outer, inner, *_ = divided(attention, q, k, v)
    assert outer == 2  # of 98,304 bytes of scores, 49,152 each
    assert inner == 3  # heads, of 16,384 bytes
    assert divided(attention, *draw(*[(64, 1, 4)] * 3)) == [32]  # 32,768 bytes in strips of two rows


@pytest.mark.parametrize("is_array", [False, True])
def test_masks(is_array: bool) -> None:
    q, k, v = draw(*[(2, 24, 2, 4)] * 3)
    mask = np.tril(np.ones((24, 24), bool))

    def causal(q: Any, k: Any, v: Any, given: Any) -> Any:
        rows, columns = (lax.broadcasted_iota(jnp.int32, (24, 24), axis) for axis in range(2))
        return attention(q, k, v, given if is_array else columns <= rows)

    assert divided(causal, q, k, v, mask)
    np.testing.assert_allclose(nrx.jit(causal)(q, k, v, mask), right(q, k, v, mask), atol=1e-12)
    got = nrx.jit(lambda *args: nrx.nn.dot_product_attention(*args, is_causal=True))(q, k, v)
    np.testing.assert_allclose(got, right(q, k, v, mask), atol=1e-6)


def test_narrow_numbers_are_summed_in_float32() -> None:
    q, k, v, w = draw(*[(48, 2, 8)] * 4, dtype=bfloat16)
    assert divided(gradients, q, k, v, w)
    wide = [x.astype(np.float64) for x in (q, k, v, w)]
    for got, want in zip(nrx.jit(gradients)(q, k, v, w), right_gradients(*wide), strict=True):
        assert got.dtype == bfloat16
        np.testing.assert_allclose(np.asarray(got).astype(np.float64), want, atol=0.03 * np.abs(want).max())


def test_second_derivatives() -> None:
    q, k, v, w = draw(*[(20, 1, 3)] * 4)
    direction = draw((20, 1, 3), (1,))[0]
    second = nrx.jit(lambda q: nrx.jvp(lambda q: gradients(q, k, v, w)[0], (q,), (direction,))[1])(q)
    ahead, behind = (right_gradients(q + s * direction, k, v, w)[0] for s in (1e-5, -1e-5))
    np.testing.assert_allclose(second, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)


def test_layers_in_a_loop_and_a_batch() -> None:
    q, k, v = draw(*[(3, 24, 2, 4)] * 3)

    def layers(q: Any, k: Any, v: Any) -> Any:
        return lax.scan(lambda x, _: (attention(x, k, v), None), q, None, length=2)[0]

    want = right(right(q, k, v), k, v)
    np.testing.assert_allclose(nrx.jit(layers)(q, k, v), want, atol=1e-12)
    np.testing.assert_allclose(nrx.jit(nrx.vmap(layers))(q, k, v), want, atol=1e-12)


def test_programs_that_need_something_large_stay_whole() -> None:
    q, k, v = draw(*[(24, 2, 4)] * 3)

    def scores(q: Any, k: Any) -> Any:
        return jnp.einsum("qhd,khd->hqk", q, k)

    def returned(q: Any, k: Any, v: Any) -> Any:
        return attention(q, k, v), scores(q, k)

    def sorted_(q: Any, k: Any, v: Any) -> Any:
        return jnp.einsum("hqk,khd->qhd", jnp.sort(scores(q, k), -1), v)

    def over_both(q: Any, k: Any, v: Any) -> Any:
        s = scores(q, k)
        return jnp.einsum("hqk,khd->qhd", s / s.max((1, 2), keepdims=True), v)

    plain = np.einsum("qhd,khd->hqk", q, k)
    both = plain / plain.max((1, 2), keepdims=True)
    for function, want in (
        (returned, (right(q, k, v), plain)),
        (sorted_, np.einsum("hqk,khd->qhd", np.sort(plain, -1), v)),
        (over_both, np.einsum("hqk,khd->qhd", both, v)),
    ):
        if function is not over_both:
            assert not divided(function, q, k, v)
        nrx.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), nrx.jit(function)(q, k, v), want)


def test_linear_attention_is_divided_too() -> None:
    """No softmax: any row may be computed alone; and a sum of two, over different axes."""
    q, k, v = draw(*[(32, 4)] * 3)

    def function(q: Any, k: Any, v: Any) -> Any:
        s = jnp.tanh(q @ k.T)
        return s @ v, s.T @ v

    s = np.tanh(q @ k.T)
    assert len(divided(function, q, k, v)) == 1
    for got, want in zip(nrx.jit(function)(q, k, v), (s @ v, s.T @ v), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


MEMORY = """
import numpy as np, nrx, nrx.numpy as jnp
rng = np.random.default_rng(0)
q, k, v = (jnp.asarray(rng.normal(size=(1, 4096, 4, 16)).astype(np.float32)) for _ in range(3))
step = nrx.jit(nrx.value_and_grad(lambda *args: (nrx.nn.dot_product_attention(*args) ** 2).sum(), (0, 1, 2)))
step(q, k, v)
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_scores_of_long_sequences_are_not_in_memory() -> None:
    """Of 256 MiB for a matrix of scores, of which there would be four and more."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 600
