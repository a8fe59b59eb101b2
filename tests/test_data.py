"""The bundled data set, splitting, batches with a position, and the background thread."""

import gc
import itertools
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nrx
from nrx.core.errors import ArgumentError, ArgumentTypeError, ConversionError, ShapeError
from nrx.data import BatchState, batches, load_digits, prefetch, shuffle, split

jnp = nrx.numpy
KEY = nrx.random.PRNGKey(7)


def dataset(count: int = 11) -> dict[str, Any]:
    """Leaf "y" says which example it is, so that "x" can be compared with it."""
    y = np.arange(count)
    return {"x": jnp.asarray(np.stack([y, y**2], 1).astype(np.float32)), "y": y}


def examples_of(tree: dict[str, Any]) -> list[int]:
    """The numbers of the examples in a part of `dataset()`, whose arrays must belong together."""
    assert isinstance(tree["x"], nrx.Array)
    assert isinstance(tree["y"], np.ndarray)
    numbers = tree["y"]
    np.testing.assert_array_equal(np.asarray(tree["x"]), np.stack([numbers, numbers**2], 1))
    return numbers.tolist()


# ---- the digits -----------------------------------------------------------------------------------------------------


def test_digits() -> None:
    images, labels = digits = load_digits()
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((1797, 8, 8, 1), "float32", (1797,), "int32")
    with np.load(Path(nrx.__file__).parent / "data" / "datasets" / "digits.npz") as raw:
        np.testing.assert_array_equal(np.asarray(images)[..., 0] * 16, raw["images"])
        np.testing.assert_array_equal(np.asarray(labels), raw["labels"])
    assert nrx.tree.leaves(digits)[0] is digits.images


# ---- shuffle and split ----------------------------------------------------------------------------------------------


def test_shuffle() -> None:
    order = examples_of(shuffle(dataset(), KEY))
    assert sorted(order) == list(range(11))
    assert order != list(range(11))
    assert examples_of(shuffle(dataset(), KEY)) == order
    assert examples_of(shuffle(dataset(), nrx.random.PRNGKey(8))) != order


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (0.8, [9, 2]), (0.0, [0, 11]), (1.0, [11, 0]), (4, [4, 7]), (0, [0, 11]), (11, [11, 0]),
        ((0.5, 0.25, 0.25), [6, 2, 3]), ([1, 2, 8], [1, 2, 8]), ((11,), [11]),
        ((0.1,) * 10, [1, 1, 1, 1, 2, 1, 1, 1, 1, 1]),
    ],
)  # fmt: skip
def test_split(sizes: Any, expected: list[int]) -> None:
    parts = [examples_of(part) for part in split(dataset(), sizes)]
    assert [len(part) for part in parts] == expected
    assert list(itertools.chain(*parts)) == list(range(11))
    shuffled = [examples_of(part) for part in split(dataset(), sizes, key=KEY)]
    assert [len(part) for part in shuffled] == expected
    assert list(itertools.chain(*shuffled)) == examples_of(shuffle(dataset(), KEY))


@pytest.mark.parametrize("sizes", [1.5, -0.5, 12, -1, (5, 5), (0.5, 0.4), (0.5, -0.5, 1.0), (), (12, -1)])
def test_sizes_that_do_not_fit(sizes: Any) -> None:
    with pytest.raises(ArgumentError, match="do not divide 11 examples"):
        split(dataset(), sizes)


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        ({}, ArgumentError, "holds no arrays"),
        ({"a": [1, 2]}, ArgumentTypeError, r"tree\['a'\]\[0\] must be an array, got int"),
        ({"a": jnp.ones(3), "b": jnp.ones(4)}, ShapeError, r"tree\['a'\]: \(3,\), tree\['b'\]: \(4,\)"),
        (jnp.asarray(1.0), ShapeError, "first axis"),
    ],
)
def test_trees_that_are_no_data_sets(tree: Any, error: type[Exception], message: str) -> None:
    for function in (lambda: shuffle(tree, KEY), lambda: split(tree, 0.5), lambda: batches(tree, 1)):
        with pytest.raises(error, match=message):
            function()


# ---- batches --------------------------------------------------------------------------------------------------------


def test_batches_in_order() -> None:
    assert [examples_of(batch) for batch in batches(dataset(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [examples_of(batch) for batch in batches(dataset(5), 2, drop_remainder=True)] == [[0, 1], [2, 3]]
    assert [examples_of(batch) for batch in batches(dataset(4), 4, epochs=2)] == [[0, 1, 2, 3]] * 2
    assert [examples_of(batch) for batch in batches(dataset(3), 10)] == [[0, 1, 2]]
    assert not list(batches(dataset(3), 1, epochs=0))
    assert list(map(np.ndarray.tolist, batches(np.arange(3), 2))) == [[0, 1], [2]]


def test_batches_are_shuffled_by_the_key() -> None:
    def epochs(key: Any) -> list[list[int]]:
        flat = [number for batch in batches(dataset(), 3, key=key, epochs=3) for number in examples_of(batch)]
        return [flat[i : i + 11] for i in (0, 11, 22)]

    first = epochs(KEY)
    assert all(sorted(epoch) == list(range(11)) for epoch in first)
    assert len({tuple(epoch) for epoch in first}) == 3
    assert epochs(KEY) == first
    assert epochs(nrx.random.PRNGKey(8)) != first


@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize("key", [None, KEY], ids=["in order", "shuffled"])
@pytest.mark.parametrize("size", [1, 3, 11, 4])
def test_resuming_gives_the_remaining_batches(drop_remainder: bool, key: Any, size: int, tmp_path: Path) -> None:
    def iterate(start: BatchState) -> Any:
        return batches(dataset(), size, key=key, epochs=3, drop_remainder=drop_remainder, start=start)

    whole = [examples_of(batch) for batch in iterate(BatchState())]
    assert len(whole) == len(iterate(BatchState()))
    running = iterate(BatchState())
    for done in range(len(whole) + 1):
        state = running.state
        assert len(running) == len(whole) - done
        nrx.io.save(tmp_path / "state", state)
        for restored in (state, pickle.loads(pickle.dumps(state)), nrx.io.load(tmp_path / "state", like=BatchState())):
            again = iterate(restored)
            assert again.state == state
            assert len(again) == len(whole) - done
            assert [examples_of(batch) for batch in again] == whole[done:]
        next(running, None)
    assert running.state == BatchState(epoch=3)


def test_endless_batches() -> None:
    endless = batches(dataset(3), 2, epochs=None)
    assert [examples_of(batch) for batch in itertools.islice(endless, 5)] == [[0, 1], [2], [0, 1], [2], [0, 1]]
    with pytest.raises(ConversionError, match="never ends"):
        len(endless)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0}, {"batch_size": 1, "epochs": -1}, {"batch_size": 12, "drop_remainder": True},
        {"batch_size": 1, "start": BatchState(0, 11)}, {"batch_size": 1, "start": BatchState(0, 15)},
        {"batch_size": 1, "start": BatchState(0, -1)}, {"batch_size": 1, "start": BatchState(-1, 0)},
        {"batch_size": 4, "start": BatchState(0, 8), "drop_remainder": True},
    ],
)  # fmt: skip
def test_options_that_do_not_fit(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="batches:"):
        batches(dataset(), **options)


def test_no_examples() -> None:
    with pytest.raises(ArgumentError, match="0 examples make no batch"):
        batches(np.zeros((0, 3)), 2)


# ---- prefetch -------------------------------------------------------------------------------------------------------


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nrx-prefetch"]


def wait_until(condition: Callable[[], bool]) -> bool:
    limit = time.monotonic() + 10
    while not condition() and time.monotonic() < limit:
        time.sleep(0.005)
    return condition()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert wait_until(lambda: not threads())


@pytest.mark.parametrize("size", [1, 2, 100])
def test_prefetch_changes_nothing(size: int) -> None:
    expected = [examples_of(batch) for batch in batches(dataset(), 3, key=KEY, epochs=2)]
    ahead = prefetch(batches(dataset(), 3, key=KEY, epochs=2), size)
    assert [examples_of(batch) for batch in ahead] == expected
    assert next(ahead, "the end") == "the end"  # and so it stays
    assert list(prefetch([], size)) == []


def test_prefetch_works_ahead_but_not_further() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = prefetch(source(), 3)
    assert wait_until(lambda: len(made) == 3)
    assert next(ahead) == 0
    assert wait_until(lambda: len(made) == 4)
    time.sleep(0.05)
    assert len(made) == 4
    ahead.close()


def test_prefetch_overlaps_work() -> None:
    def source() -> Iterator[int]:
        for number in range(10):
            time.sleep(0.02)
            yield number

    start = time.monotonic()
    for _ in prefetch(source()):
        time.sleep(0.02)
    assert time.monotonic() - start < 0.35  # and not 0.4


def test_prefetch_has_the_state_of_what_was_given_out() -> None:
    source = batches(dataset(), 3, key=KEY)
    plain = batches(dataset(), 3, key=KEY)
    with prefetch(source, 2) as ahead:
        assert wait_until(lambda: source.state != BatchState())
        while True:
            assert ahead.state == plain.state
            if next(ahead, None) is None:
                break
            next(plain)
    assert ahead.state == BatchState(epoch=1)
    with prefetch([1]) as stateless:
        assert stateless.state is None


def test_exceptions_come_at_their_place_with_their_traceback() -> None:
    def source_that_fails() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("broken")

    ahead = prefetch(source_that_fails())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(KeyError, match="broken") as error:
        next(ahead)
    assert "source_that_fails" in [frame.name for frame in traceback.extract_tb(error.tb)]
    assert next(ahead, "the end") == "the end"


def test_the_thread_ends_with_the_iterator() -> None:
    closed: list[bool] = []

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    ahead = prefetch(endless())
    next(ahead)
    assert threads()
    del ahead  # abandoned
    assert wait_until(lambda: not threads())
    assert closed == [True]

    ahead = prefetch(endless())
    next(ahead)
    ahead.close()
    assert not threads()
    assert next(ahead, "the end") == "the end"
    ahead.close()
    assert closed == [True, True]

    for number in prefetch(endless()):  # left by break
        if number == 5:
            break
    assert wait_until(lambda: not threads())


def test_settings_reach_the_thread() -> None:
    def source() -> Iterator[Any]:
        yield jnp.zeros(1).dtype

    with nrx.config.using(default_float="float64"):
        assert list(prefetch(source())) == ["float64"]


def test_prefetch_needs_room() -> None:
    with pytest.raises(ArgumentError, match="at least 1"):
        prefetch([1], 0)


EXITS = {
    "at the end": "ahead = nrx.data.prefetch(itertools.count()); next(ahead)",
    "in the middle of an item": "ahead = nrx.data.prefetch(map(time.sleep, itertools.repeat(100)))",
    "by sys.exit": "ahead = nrx.data.prefetch(itertools.count()); next(ahead); sys.exit(0)",
    "by an interrupt while waiting": """
ahead = nrx.data.prefetch(map(time.sleep, itertools.repeat(100)))
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    next(ahead)
except KeyboardInterrupt:
    print("interrupted")
""",
}


@pytest.mark.parametrize("way", EXITS)
def test_the_program_can_end(way: str) -> None:
    code = "import itertools, os, signal, sys, threading, time, nrx\n" + EXITS[way]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == ("interrupted\n" if "interrupt" in way else "")
