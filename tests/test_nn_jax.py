"""`nrx.nn` beside the installed JAX: the activation functions and attention."""

from typing import Any

import numpy as np
import pytest

import nrx
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.testing import check_grads

jax = pytest.importorskip("jax")

X = np.concatenate([np.linspace(-8, 8, 41), [-1e4, 1e4, np.inf, -np.inf, np.nan]])
NAMES = (
    "celu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "log1mexp", "logmeanexp", "mish",
    "soft_sign", "sparse_plus", "sparse_sigmoid", "squareplus", "logsumexp", "softmax", "log_softmax",
)  # fmt: skip


def both(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    with jax.enable_x64(True):
        theirs = jax.tree.map(np.asarray, getattr(jax.nn, name)(*args, **options))
    return getattr(nrx.nn, name)(*args, **options), theirs


@pytest.mark.parametrize("name", NAMES)
def test_activation(name: str) -> None:
    x = np.abs(X) if name == "log1mexp" else X[:-3] if "exp" in name or "softmax" in name else X
    for given in (x, x[1:41].reshape(4, 10)):
        ours, theirs = both(name, given)
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15)
    check_grads(getattr(nrx.nn, name), (np.array([0.3, 0.7, 2.3, 0.2]),), order=2)
    assert getattr(nrx.nn, name)(np.ones(2, "float32")).dtype == np.float32
    assert getattr(nrx.nn, name)(nrx.numpy.ones(2, "bfloat16")).dtype == nrx.numpy.bfloat16


def test_options() -> None:
    for name, args, options in (
        ("celu", (X, 0.5), {}), ("squareplus", (X, 1.0), {}), ("glu", (X[:40].reshape(4, 10), 0), {}),
        ("logmeanexp", (X[:40].reshape(4, 10), 1), {"where": np.arange(10) < 4, "keepdims": True}),
    ):  # fmt: skip
        ours, theirs = both(name, *args, **options)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15)
    with pytest.raises(ShapeError, match="glu"):
        nrx.nn.glu(X[:5])


def tensors(heads: int = 4, groups: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(2, length, n, 8)) for length, n in ((5, heads), (7, groups), (7, groups))]


@pytest.mark.parametrize(
    "options",
    [
        {}, {"scale": 0.3}, {"is_causal": True}, {"local_window_size": (2, 1)}, {"local_window_size": 1},
        {"bias": np.linspace(-1, 1, 35).reshape(1, 1, 5, 7)}, {"mask": np.arange(7)[None, None, None] != 2},
        {"query_seq_lengths": np.array([3, 5], "int32"), "key_value_seq_lengths": np.array([7, 4], "int32")},
    ],
)  # fmt: skip
def test_attention(options: dict) -> None:
    for groups in (4, 2):
        ours, theirs = both("dot_product_attention", *tensors(4, groups), **options)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)  # JAX's scores are float32
    single = [x[0] for x in tensors()]
    if "query_seq_lengths" not in options:
        ours, theirs = both("dot_product_attention", *single, **options)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_attention_is_the_formula() -> None:
    q, k, v = (x[0, :, 0] for x in tensors())
    powers = np.exp(q @ k.T / np.sqrt(8))
    expected = powers @ v / powers.sum(1, keepdims=True)
    out, sums = nrx.nn.dot_product_attention(*(x[:, None] for x in (q, k, v)), return_residual=True)
    np.testing.assert_allclose(out[:, 0], expected, rtol=1e-13)
    np.testing.assert_allclose(sums[:, 0], np.log(powers.sum(1)), rtol=1e-13)


def test_attention_mistakes() -> None:
    q, k, v = tensors()
    with pytest.raises(ShapeError, match="groups"):
        nrx.nn.dot_product_attention(q, k[:, :, :3], v[:, :, :3])
    with pytest.raises(ArgumentError, match="implementation"):
        nrx.nn.dot_product_attention(q, k, v, implementation="cudnn")
    for name, value in (
        ("mask", np.where(np.tril(np.ones((5, 7))), 0, -1e9)), ("query_seq_lengths", np.array([1.0, 2])),
    ):  # fmt: skip
        with pytest.raises(DTypeError, match=name):
            nrx.nn.dot_product_attention(q, k, v, **{name: value})
    for name, value in (
        ("mask", np.ones((2, 5, 7), bool)), ("mask", np.ones((3, 1, 5, 7), bool)), ("bias", np.ones((2, 5, 7))),
        ("key_value_seq_lengths", np.array([1, 2, 3])), ("query_seq_lengths", np.array(1)),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match=name):
            nrx.nn.dot_product_attention(q, k, v, **{name: value})
    check_grads(lambda *xs: nrx.nn.dot_product_attention(*xs, is_causal=True), [x[0, :3, :1, :2] for x in (q, k, v)], 2)


@pytest.mark.parametrize(
    ("name", "shape"), [("orthogonal", (4, 3)), ("orthogonal", (2, 3, 8)), ("delta_orthogonal", (3, 3, 2, 4))]
)
def test_orthogonal_initializers(name: str, shape: tuple[int, ...]) -> None:
    for axis in (-1, 0):
        ours = getattr(nrx.nn.initializers, name)(1.5, axis)(nrx.random.PRNGKey(0), shape, "float64")
        with jax.enable_x64(True):
            theirs = getattr(jax.nn.initializers, name)(1.5, axis)(jax.random.PRNGKey(0), shape, "float64")
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    with pytest.raises(ShapeError, match=name):
        getattr(nrx.nn.initializers, name)()(nrx.random.PRNGKey(0), (3,))
