"""Batches: an iterator over parts of a data set, whose position can be saved."""

from typing import Any, NamedTuple

import numpy as np

from nrx.core.errors import ArgumentError, ConversionError
from nrx.data.examples import count_examples, random_order, take
from nrx.random import fold_in


class BatchState(NamedTuple):
    """A position in `batches`: epochs that are complete, and examples seen in the one under way. A tree of two ints."""

    epoch: int = 0
    example: int = 0


def batches(
    tree: Any,
    batch_size: int,
    *,
    key: Any = None,
    epochs: int | None = 1,
    drop_remainder: bool = False,
    start: BatchState = BatchState(),  # noqa: B008 - a constant
) -> "Batches":
    """Go through a data set in batches.

    The iterator's `state` is its position. Passed as `start` to a new iterator over the same data, with the same key,
    it gives exactly the batches that were left; so a training that was interrupted goes on where it was.

    Args:
        tree: a tree of arrays (nrx's or NumPy's) that agree in the length n of their first axis.
        batch_size: examples in a batch.
        key: a key of `nrx.random`, which shuffles every epoch differently; by default the order is that of the arrays.
        epochs: how often to go through the data; None for ever.
        drop_remainder: leave out a last, smaller batch at the end of an epoch, so that all shapes are the same.
        start: where to begin.

    Returns:
        An iterator over trees of the structure of `tree`, with arrays of length `batch_size` (or less, at the end of an
        epoch). Its `len` is the number of batches still to come.

    Raises:
        ArgumentError: `batch_size` or `epochs` is not positive, `start` lies outside of the data, or there is no
            batch at all.
        ArgumentTypeError, ShapeError: a leaf is no array, or the lengths differ.

    >>> import nrx
    >>> data = nrx.data.batches(nrx.numpy.arange(5), 2)
    >>> next(data), data.state, len(data)
    (Array([0, 1], dtype=int32), BatchState(epoch=0, example=2), 2)
    >>> list(nrx.data.batches(nrx.numpy.arange(5), 2, start=data.state))
    [Array([2, 3], dtype=int32), Array([4], dtype=int32)]
    """
    return Batches(tree, batch_size, key, epochs, drop_remainder, start)


class Batches:
    """What `batches` returns: an iterator with a position."""

    def __init__(
        self, tree: Any, batch_size: int, key: Any, epochs: int | None, drop_remainder: bool, start: BatchState
    ):
        self._tree = tree
        self._examples = count_examples("batches", tree)
        self._batch_size = batch_size
        self._key = key
        self._epochs = epochs
        self._drop_remainder = drop_remainder
        self._epoch, self._example = map(int, start)
        self._order: tuple[int, np.ndarray] | None = None
        self._check()

    @property
    def state(self) -> BatchState:
        """The position: what has been given out so far."""
        return BatchState(self._epoch, self._example)

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> Any:
        if self._epochs is not None and self._epoch >= self._epochs:
            raise StopIteration
        end = min(self._example + self._batch_size, self._examples)
        batch = take(self._tree, self._which(self._example, end))
        if self._left(end):
            self._example = end
        else:
            self._epoch, self._example = self._epoch + 1, 0
        return batch

    def __len__(self) -> int:
        if self._epochs is None:
            raise ConversionError("batches(..., epochs=None) has no length: it never ends")
        whole = self._epochs - self._epoch
        return 0 if whole <= 0 else self._left(self._example) + (whole - 1) * self._left(0)

    def _left(self, example: int) -> int:
        """The number of batches of an epoch from `example` on."""
        left = self._examples - example
        return left // self._batch_size if self._drop_remainder else -(-left // self._batch_size)

    def _which(self, start: int, end: int) -> slice | np.ndarray:
        if self._key is None:
            return slice(start, end)
        if self._order is None or self._order[0] != self._epoch:
            self._order = self._epoch, random_order(fold_in(self._key, self._epoch), self._examples)
        return self._order[1][start:end]

    def _check(self) -> None:
        if self._batch_size < 1 or (self._epochs is not None and self._epochs < 0):
            raise ArgumentError(
                f"batches: batch_size must be at least 1 and epochs at least 0, got {self._batch_size}, {self._epochs}"
            )
        if not self._left(0):
            raise ArgumentError(
                f"batches: {self._examples} examples make no batch of {self._batch_size}",
                fix="take a smaller batch_size, or drop_remainder=False",
            )
        if self._epoch < 0 or self._example < 0 or self._left(self._example) < 1:
            raise ArgumentError(
                f"batches: no batch starts at {self.state}: the data set has {self._examples} examples",
                fix="start with the state of an iterator over the same data",
            )
