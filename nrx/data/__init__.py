"""Examples for learning: a bundled data set, and iterators over batches of trees of arrays.

A data set is a tree of arrays that agree in the length of their first axis: `(images, labels)`, `{"x": x, "y": y}`, a
single array.

>>> import nrx
>>> digits = nrx.data.load_digits()
>>> train, test = nrx.data.split(digits, 0.8, key=nrx.random.PRNGKey(0))
>>> for batch in nrx.data.batches(train, 64, key=nrx.random.PRNGKey(1)):
...     images, labels = batch
>>> images.shape, labels.shape
((30, 8, 8, 1), (30,))
"""

from nrx.data.batching import Batches, BatchState, batches
from nrx.data.digits import Digits, load_digits
from nrx.data.examples import shuffle, split
from nrx.data.prefetching import Prefetch, prefetch

__all__ = [
    # data sets
    "load_digits", "Digits",
    # their examples
    "shuffle", "split",
    # batches
    "batches", "Batches", "BatchState", "prefetch", "Prefetch",
]  # fmt: skip
