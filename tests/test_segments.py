"""`nrx.ops.segment_*` against loops over the segments in NumPy."""

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(0)
IDS = np.array([2, 0, 2, 5, 0, 2, -1, 9])
FUNCTIONS = {
    "sum": (nrx.ops.segment_sum, np.add, lambda d: 0),
    "prod": (nrx.ops.segment_prod, np.multiply, lambda d: 1),
    "max": (nrx.ops.segment_max, np.maximum, lambda d: -np.inf if d.kind == "f" else np.iinfo(d).min),
    "min": (nrx.ops.segment_min, np.minimum, lambda d: np.inf if d.kind == "f" else np.iinfo(d).max),
}
MODES = {"eager": lambda f: f, "jit": nrx.jit}


def reference(data: np.ndarray, ids: np.ndarray, count: int, combine: np.ufunc, initial: object) -> np.ndarray:
    out = np.full((count, *data.shape[1:]), initial, data.dtype)
    for row, number in zip(data, ids, strict=True):
        if 0 <= number < count:
            out[number] = combine(out[number], row)
    return out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str, dtype: str, mode: str) -> None:
    function, combine, initial = FUNCTIONS[name]
    for shape in ((8,), (8, 3), (8, 0)):
        data = RNG.integers(1, 4, shape).astype(dtype)
        expected = reference(data, IDS, 7, combine, initial(data.dtype))
        got = MODES[mode](lambda d, i: function(d, i, 7))(jnp.asarray(data), IDS)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)


def test_how_many_segments() -> None:
    data = jnp.arange(4.0)
    assert nrx.ops.segment_sum(data, np.array([0, 3, 3, 1])).shape == (4,)
    assert nrx.ops.segment_sum(data, np.array([-2, -1, -1, -3])).shape == (0,)
    assert nrx.ops.segment_sum(data[:0], np.array([], int)).shape == (0,)
    assert nrx.ops.segment_sum(data, np.array([0, 1, 2, 3]), 0).shape == (0,)


def test_promises_and_modes() -> None:
    data, ids = jnp.arange(1.0, 5.0), np.array([0, 1, 1, 5])
    options = {"num_segments": 3, "indices_are_sorted": True, "bucket_size": 2}
    np.testing.assert_array_equal(nrx.ops.segment_sum(data, ids, **options), [1, 5, 0])
    np.testing.assert_array_equal(nrx.ops.segment_sum(data, ids, 3, mode="clip"), [1, 5, 4])
    np.testing.assert_array_equal(
        nrx.ops.segment_sum(data, np.array([3, 1, 0, 2]), 4, unique_indices=True), [3, 2, 4, 1]
    )
    grid = jnp.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(nrx.ops.segment_sum(grid, np.array([[0, 1], [1, 0]])), [[9, 11, 13], [9, 11, 13]])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name: str) -> None:
    function = FUNCTIONS[name][0]
    data = RNG.uniform(1.0, 2.0, 8)
    weights = RNG.standard_normal(6)
    loss = lambda d: jnp.sum(jnp.where(jnp.isfinite(out := function(d, IDS, 6)), out, 0.0) * weights)
    nrx.testing.check_grads(loss, (data,), order=2, atol=1e-5, rtol=1e-5)
    mapped = nrx.vmap(lambda d: function(d, IDS, 6))(np.stack([data, 2 * data]))
    np.testing.assert_allclose(mapped[1], function(2 * data, IDS, 6), rtol=1e-14)


def test_mistakes() -> None:
    data = jnp.arange(4.0)
    with pytest.raises(DTypeError, match="segment_ids"):
        nrx.ops.segment_sum(data, np.ones(4))
    with pytest.raises(ShapeError, match="segment_ids"):
        nrx.ops.segment_max(data, np.array([0, 1]))
    with pytest.raises(ArgumentError, match="num_segments"):
        nrx.jit(nrx.ops.segment_prod)(data, np.array([0, 0, 1, 1]))
    with pytest.raises(ArgumentError, match="num_segments"):
        nrx.ops.segment_min(data, np.array([0, 0, 1, 1]), -1)
    with pytest.raises(ArgumentError, match="bucket_size"):
        nrx.ops.segment_min(data, np.array([0, 0, 1, 1]), bucket_size=0)
