"""`ravel_pytree` against concatenation by NumPy."""

from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core.errors import DTypeError, ShapeError
from nrx.flatten_util import ravel_pytree

TREE = {"a": np.arange(6.0).reshape(2, 3), "b": [np.float64(7), {"c": np.ones((0, 2))}], "d": np.full(2, 8.0)}


def test_there_and_back() -> None:
    vector, unravel = ravel_pytree(TREE)
    np.testing.assert_array_equal(vector, [0, 1, 2, 3, 4, 5, 7, 8, 8])
    back = unravel(2 * vector)
    np.testing.assert_array_equal(back["a"], 2 * TREE["a"])
    assert (back["b"][0].shape, back["b"][1]["c"].shape, back["d"].shape) == ((), (0, 2), (2,))
    assert unravel(vector.astype("float32"))["a"].dtype == np.float32


def test_dtypes_that_differ() -> None:
    tree = [jnp.ones(2, "int32"), np.ones(1), True, jnp.ones(1, "bfloat16")]
    vector, unravel = ravel_pytree(tree)
    assert vector.dtype == np.float64
    assert [x.dtype for x in unravel(vector)] == [np.int32, np.float64, bool, jnp.bfloat16]
    with pytest.raises(DTypeError, match="float64"):
        unravel(vector.astype("float32"))


@pytest.mark.parametrize("empty", [{}, [], None, ([], {})])
def test_without_leaves(empty: Any) -> None:
    vector, unravel = ravel_pytree(empty)
    assert (vector.shape, vector.dtype) == ((0,), np.float32)
    assert unravel(vector) == empty


def test_transformed() -> None:
    f = lambda tree: (ravel_pytree(tree)[0] * np.arange(9)).sum()
    gradient = nrx.jit(nrx.grad(f))(TREE)
    np.testing.assert_array_equal(gradient["d"], [7, 8])
    batched = nrx.vmap(lambda x, y: ravel_pytree((x, y))[0], in_axes=(0, None))(np.ones((3, 2)), np.zeros(1))
    np.testing.assert_array_equal(batched, [[1, 1, 0]] * 3)
    with pytest.raises(ShapeError, match=r"unravel takes a vector of shape \[9\]|\(9,\)"):
        ravel_pytree(TREE)[1](jnp.ones(8))
