"""Python's numbers and types beside 64-bit arrays: 0.1 is not rounded to 32 bits first, `float` does not narrow."""

from collections.abc import Callable

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.errors import ArgumentError
from nrx.scipy.ndimage import map_coordinates
from nrx.scipy.signal import convolve2d

D = np.array([0.1, 0.2, 0.3, 0.4])
_TENTH: dict[str, Callable] = {
    "histogram range": lambda x, t: jnp.histogram(x, bins=3, range=(t, 4 * t)),
    "histogram2d": lambda x, t: jnp.histogram2d(x, x, bins=3, range=((t, 4 * t), (t, 0.5))),
    "histogramdd": lambda x, t: jnp.histogramdd(x[:, None], bins=3, range=((t, 4 * t),)),
    "gradient": lambda x, t: jnp.gradient(x, t),
    "diff": lambda x, t: jnp.diff(x, prepend=t, append=t),
    "ediff1d": lambda x, t: jnp.ediff1d(x, to_begin=t, to_end=t),
    "stack": lambda x, t: jnp.stack([x[0], t]),
    "hstack": lambda x, t: jnp.hstack([x, t]),
    "vstack": lambda x, t: jnp.vstack([x[0], t]),
    "dstack": lambda x, t: jnp.dstack([x[0], t]),
    "column_stack": lambda x, t: jnp.column_stack([x[0], t]),
    "block": lambda x, t: jnp.block([[x, t]]),
    "append": lambda x, t: jnp.append(x[:1], x[0] + t),
    "clip": lambda x, t: jnp.clip(t, None, x),
    "polysub": lambda x, t: jnp.polysub(x, t * jnp.ones(1, x.dtype)),
    "map_coordinates": lambda x, t: map_coordinates(x, [jnp.array([-5.0])], 1, cval=t),
    "convolve2d": lambda x, t: convolve2d(x[None], x[None], fillvalue=t),
    "standardize": lambda x, t: nrx.nn.standardize(x, mean=t, variance=t),
    "cross entropy": lambda x, t: nrx.nn.sigmoid_binary_cross_entropy(x, t),
    "vmap": lambda x, t: nrx.vmap(lambda a, b: a * b, (0, None))(x, t),
    "vmap of vmap": lambda x, t: nrx.vmap(nrx.vmap(lambda a, b: a * b["t"], (0, None)), (0, None))(x[None], {"t": t}),
}


@pytest.mark.parametrize("name", _TENTH)
def test_python_numbers_keep_their_value_beside_float64(name: str) -> None:
    found, expected = (nrx.tree_util.tree_leaves(_TENTH[name](jnp.asarray(D), t)) for t in (0.1, np.float64(0.1)))
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, b.dtype) == (np.float64, np.float64)
        np.testing.assert_array_equal(a, b)


def test_bins_are_numbers_beside_the_data() -> None:
    edges = [0.1, 0.2, 0.3, 0.4]
    for kind in (jnp.asarray, lambda x: x):
        counts, found = jnp.histogram(kind(D), bins=edges)
        np.testing.assert_array_equal(counts, np.histogram(D, edges)[0])
        np.testing.assert_array_equal(found, edges)
    counts, found = jnp.histogram2d(D, D, bins=[edges, 2], range=(None, (0.1, 0.4)))[:2]
    np.testing.assert_array_equal(counts, np.histogram2d(D, D, [edges, 2], (None, (0.1, 0.4)))[0])
    np.testing.assert_array_equal(jnp.linspace(D[:2], [0.1, 0.7], 3), np.linspace(D[:2], [0.1, 0.7], 3))
    assert jnp.histogram(D.astype(np.float32), bins=edges)[1].dtype == np.float32


def test_vmap_hands_python_numbers_through() -> None:
    seen = []
    nrx.vmap(lambda x, *rest: seen.extend(rest) or x, (0, None, None, None))(jnp.ones(2), 2, 0.5, np.float32(1))
    assert [type(x) for x in seen[:2]] == [int, float]
    assert isinstance(seen[2], nrx.Array)


_TYPED: dict[str, Callable] = {
    "astype": lambda x, t: x.astype(t), "convert_element_type": nrx.lax.convert_element_type,
    "asarray": jnp.asarray, "array of a list": lambda x, t: jnp.array([x[0], 2], t),
    "full": lambda x, t: jnp.full(3, x[0], t),
    "zeros_like": jnp.zeros_like, "ones_like": jnp.ones_like, "lax.full_like": lambda x, t: nrx.lax.full_like(x, 1, t),
    "full_like": lambda x, t: jnp.full_like(x, 1, t), "sum": lambda x, t: jnp.sum(x, dtype=t),
    "prod": lambda x, t: jnp.prod(x, dtype=t), "cumsum": lambda x, t: jnp.cumsum(x, dtype=t),
    "cumulative_sum": lambda x, t: jnp.cumulative_sum(x, dtype=t), "nansum": lambda x, t: jnp.nansum(x, dtype=t),
    "trace": lambda x, t: jnp.trace(jnp.diag(x), dtype=t), "np.sum": lambda x, t: np.sum(x, dtype=t),
    "concatenate": lambda x, t: jnp.concatenate([x, x], dtype=t), "add.reduce": lambda x, t: jnp.add.reduce(x, dtype=t),
    "subtract.reduce": lambda x, t: jnp.subtract.reduce(x, dtype=t), "np.add": lambda x, t: np.add(x, x, dtype=t),
    "einsum": lambda x, t: jnp.einsum("i,i", x, x, preferred_element_type=t),
    "dot": lambda x, t: jnp.dot(x, x, preferred_element_type=t),
}  # fmt: skip


@pytest.mark.parametrize("name", _TYPED)
def test_python_types_keep_the_width_of_an_operand(name: str) -> None:
    """64-bit operands keep their width, as in NumPy; what has 32 bits or less is JAX's."""
    kept = [(np.float64, float), (np.int64, int), (np.complex128, complex)]
    given = [(np.float32, float), (np.int32, int), (np.complex64, complex), (np.float16, float), (np.int8, int)]
    if name not in ("einsum", "dot"):  # which do not take the dtypes
        given += [(np.int32, float), (np.int32, complex)]
    for dtype, kind in kept:
        for call in (_TYPED[name], nrx.jit(_TYPED[name], static_argnums=1)):
            assert call(jnp.asarray(np.arange(3).astype(dtype)), kind).dtype == dtype
    for dtype, kind in given:
        default = {float: np.float32, int: np.int32, complex: np.complex64}[kind]
        assert _TYPED[name](jnp.asarray(np.arange(3).astype(dtype)), kind).dtype == default


def test_python_types_without_an_operand_are_the_defaults() -> None:
    assert jnp.zeros(3, float).dtype == jnp.array([0.1], float).dtype == jnp.array(0.1, dtype=float).dtype == np.float32
    x = jnp.asarray(D)
    assert x.astype(int).dtype == np.int32
    assert x.astype(complex).dtype == jnp.asarray(D + 0j, complex).dtype == np.complex128
    assert jnp.asarray(D, float).dtype == np.float64
    assert x.astype("int64").astype(float).dtype == np.float32
    assert x.astype("uint64").astype(int).dtype == np.int64
    assert jnp.mean(x, dtype=float).dtype == jnp.var(x.astype(complex), dtype=float).dtype == np.float64
    with nrx.config.using(default_float="float64"):
        assert jnp.ones(3, "float32").astype(float).dtype == jnp.zeros(3, float).dtype == np.float64


def test_rules_of_bins_for_integers() -> None:
    """Bins of integers that a rule chooses are at least 1 wide."""
    for x in (np.array([0, 1, 1, 2, 2, 2, 3]), np.array([-4, -1, 0, -2])):
        for rule in ("auto", "sturges", "fd"):
            counts, edges = jnp.histogram(x, bins=rule)
            expected = np.histogram(x, rule)
            np.testing.assert_array_equal(counts, expected[0])
            np.testing.assert_allclose(edges, expected[1], rtol=1e-6)
    with pytest.raises(ArgumentError, match="histogram: bins='auto' with weights"):
        jnp.histogram(np.arange(3), bins="auto", weights=np.ones(3))
