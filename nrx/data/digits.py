"""The bundled data set of handwritten digits."""

from importlib.resources import files
from typing import NamedTuple

import numpy as np

from nrx.core.array import Array, wrap

_INK = 16


class Digits(NamedTuple):
    """Images: float32 of shape (n, 8, 8, 1), from 0 (background) to 1 (ink). Labels: int32 of shape (n,), 0 to 9."""

    images: Array
    labels: Array


def load_digits() -> Digits:
    """1,797 handwritten digits of 8x8 pixels; loading them needs no network.

    They are the test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine
    Learning Repository, 1998 (https://doi.org/10.24432/C50P49), under the licence CC BY 4.0. 13 people wrote them. A
    pixel counts the inked points of a block of 4x4 points, here divided by 16; details stand in
    `nrx/data/datasets/digits.md`.

    Returns:
        `(images, labels)`: float32 of shape (1797, 8, 8, 1), in [0, 1], with one channel in the last axis; and int32
        of shape (1797,). The order is that of the source: shuffle before you split.

    >>> import nrx
    >>> images, labels = nrx.data.load_digits()
    >>> images.shape, labels[:5]
    ((1797, 8, 8, 1), Array([0, 1, 2, 3, 4], dtype=int32))
    """
    with (files("nrx.data") / "datasets" / "digits.npz").open("rb") as file, np.load(file) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    return Digits(wrap(images[..., None].astype(np.float32) / _INK), wrap(labels.astype(np.int32)))
