"""Arrays of more than 2^31 elements: positions do not fit into 32 bits. Each test takes up to 8 GB, one at a time."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core.array import Array

fcntl = pytest.importorskip("fcntl", reason="file locks of Unix")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

COUNT = 2**31 + 1000
#: Before, at and behind the end of 32 bits, signed, and the last one.
PLACES = np.array([0, 1, 7, 2**31 - 2, 2**31 - 1, 2**31, 2**31 + 1, 2**31 + 77, COUNT - 1])
#: What is there; elsewhere there are zeros.
MARKS = np.array([5, -3, 11, 100, -7, 9, 13, 127, -100], np.int8)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Whatever the number of workers: two of these tests at once may be more than there is memory."""
    with open(Path(tempfile.gettempdir()) / "nrx-tests-huge.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def x(alone: None) -> Array:
    data = np.zeros(COUNT, np.int8)
    data[PLACES] = MARKS
    return jnp.asarray(data)


def at(array: Any, places: np.ndarray = PLACES) -> np.ndarray:
    """The elements at some places, read through NumPy."""
    return np.asarray(array)[places]


WAYS = pytest.mark.parametrize("way", [lambda f: f, nrx.jit], ids=["eager", "jit"])


@WAYS
def test_elementwise(way: Callable, x: Array) -> None:
    out = way(lambda x: x ^ 3)(x)
    assert out.shape == (COUNT,)
    np.testing.assert_array_equal(at(out), MARKS ^ np.int8(3))
    assert np.count_nonzero(np.asarray(out) == 3) == COUNT - len(PLACES)


def test_sums(x: Array) -> None:
    """Compiled only: eager sums hold their operand in the dtype of the sum, which is 17 GB."""
    assert int(nrx.jit(lambda x: jnp.sum(x, dtype="int32"))(x)) == MARKS.sum(dtype=int)
    assert int(nrx.jit(lambda x: jnp.sum(x == 0, dtype="int64"))(x)) == COUNT - len(PLACES)


@WAYS
def test_extremes(way: Callable, x: Array) -> None:
    assert (int(way(jnp.max)(x)), int(way(jnp.min)(x))) == (127, -100)
    assert (bool(way(jnp.all)(x)), bool(way(jnp.any)(x))) == (False, True)


@WAYS
def test_argmax(way: Callable, x: Array) -> None:
    with nrx.config.using(default_int="int64"):
        assert int(way(jnp.argmax)(x)) == PLACES[np.argmax(MARKS)]
        assert int(way(jnp.argmin)(x)) == PLACES[np.argmin(MARKS)]


@WAYS
def test_gather_and_slices(way: Callable, x: Array) -> None:
    np.testing.assert_array_equal(way(lambda x, i: x[i])(x, PLACES), MARKS)
    np.testing.assert_array_equal(way(lambda x: x[2**31 :])(x)[jnp.asarray(PLACES[5:] - 2**31)], MARKS[5:])
    np.testing.assert_array_equal(way(lambda x, i: nrx.lax.dynamic_slice(x, [i], (2,)))(x, 2**31), MARKS[5:7])
    np.testing.assert_array_equal(way(lambda x: x[COUNT - 1 : 2**31 - 3 : -1])(x)[-2:], MARKS[[4, 3]])


@WAYS
def test_scatter(way: Callable, x: Array) -> None:
    places = np.array([3, 2**31 + 5, COUNT - 1])
    out = way(lambda x, i: x.at[i].add(1))(x, places)
    np.testing.assert_array_equal(at(out, places), [1, 1, -99])
    assert np.count_nonzero(np.asarray(out)) == len(PLACES) + 2


@WAYS
def test_cumsum(way: Callable, x: Array) -> None:
    out = way(lambda x: jnp.cumsum(x, dtype="int8"))(x)
    np.testing.assert_array_equal(at(out), np.cumsum(MARKS, dtype=np.int8))
    np.testing.assert_array_equal(at(out, np.array([2**30, 2**31 + 50])), np.cumsum(MARKS, dtype=np.int8)[[2, 6]])


@WAYS
def test_concatenate(way: Callable, x: Array) -> None:
    out = way(lambda x: jnp.concatenate([x[-5:], x, x[:3]]))(x)
    assert out.shape == (COUNT + 8,)
    np.testing.assert_array_equal(at(out, PLACES + 5), MARKS)
    np.testing.assert_array_equal(at(out, np.array([4, COUNT + 5, COUNT + 6])), [-100, 5, -3])


@WAYS
def test_broadcast_and_transpose(way: Callable) -> None:
    """The result alone is large."""
    rows = np.arange(47_000, dtype=np.int8)
    out = np.asarray(way(lambda r: (r[:, None] - r[None, :]).T)(rows))
    assert out.size > 2**31
    for i, j in ((0, 0), (46_999, 46_998), (46_000, 3)):
        assert out[i, j] == rows[j] - rows[i]
