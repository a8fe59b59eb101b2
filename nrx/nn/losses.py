"""Losses: how far predictions are from what is known. Those for classes take logits, the values before softmax."""

from typing import Any

import nrx.numpy as jnp
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.shapes import canonical_axis, show, without
from nrx.nn.activations import log_sigmoid, log_softmax
from nrx.numpy.promotion import promote_dtypes


def softmax_cross_entropy(logits: Any, labels: Any, axis: int = -1) -> Array:
    """-sum(labels * log_softmax(logits)): the cross-entropy between distributions over classes.

    Args:
        logits: a real array.
        labels: probabilities that sum to 1 along `axis`, for example from `one_hot`; they broadcast with the logits.
        axis: the axis of the classes.

    Returns:
        The loss of each example: an array of the shape of `logits` without `axis`, of their dtype.

    >>> import nrx
    >>> logits = nrx.numpy.array([[2.0, 0.0], [0.0, 0.0]])
    >>> nrx.nn.softmax_cross_entropy(logits, nrx.nn.one_hot(nrx.numpy.array([0, 1]), 2)).round(3)
    Array([0.127, 0.693], dtype=float32)
    """
    return -jnp.sum(labels * log_softmax(logits, axis), axis)


def softmax_cross_entropy_with_integer_labels(logits: Any, labels: Any, axis: int = -1) -> Array:
    """-log_softmax(logits)[label]: the cross-entropy where the class of each example is known.

    Args:
        logits: a real array.
        labels: an integer array of the shape of `logits` without `axis`, with classes from 0.
        axis: the axis of the classes.

    Returns:
        The loss of each example: an array of the shape of `labels`.

    Raises:
        IndexingError: a label is no class. (Under `jit`, where that cannot be seen, the loss is NaN.)
        DTypeError: the labels are no integers.
        ShapeError: the shapes do not fit.

    >>> import nrx
    >>> logits = nrx.numpy.array([[2.0, 0.0], [0.0, 0.0]])
    >>> nrx.nn.softmax_cross_entropy_with_integer_labels(logits, nrx.numpy.array([0, 1])).round(3)
    Array([0.127, 0.693], dtype=float32)
    """
    name = "softmax_cross_entropy_with_integer_labels"
    logits, labels = asarray(logits, f"{name}: logits"), asarray(labels, f"{name}: labels")
    axis = canonical_axis(axis, logits.ndim)
    if not dtypes.is_integer(labels.dtype):
        raise DTypeError(
            f"{name}: labels must be integers, got {labels.dtype}", fix="use softmax_cross_entropy for probabilities"
        )
    if labels.shape != without(logits.shape, (axis,)):
        raise ShapeError(
            f"{name}: logits of shape {show(logits.shape)} need labels of shape "
            f"{show(without(logits.shape, (axis,)))}, got {show(labels.shape)}"
        )
    logs = log_softmax(logits, axis)
    return -jnp.squeeze(jnp.take_along_axis(logs, jnp.expand_dims(labels, axis), axis), axis)


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Array:
    """-labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits)), for independent yes-or-no questions.

    Args:
        logits: a real array.
        labels: probabilities, or 0 and 1; they broadcast with the logits.

    Returns:
        The loss of each element: an array of the shape of both, in the dtype in which they meet.

    >>> import nrx
    >>> nrx.nn.sigmoid_binary_cross_entropy(nrx.numpy.array([0.0, 100.0]), nrx.numpy.array([1, 1])).round(3)
    Array([0.693, 0.   ], dtype=float32)
    """
    logits, labels = promote_dtypes("sigmoid_binary_cross_entropy", logits, labels)
    return -labels * log_sigmoid(logits) - (1 - labels) * log_sigmoid(-logits)


def mean_squared_error(predictions: Any, targets: Any) -> Array:
    """The mean of |predictions - targets|**2 over all elements.

    Args:
        predictions, targets: arrays of one shape.

    Returns:
        A real array of shape (), in the precision in which both meet.

    Raises:
        ShapeError: the shapes differ. (Broadcasting (n, 1) against (n,) is the classical mistake.)

    >>> import nrx
    >>> nrx.nn.mean_squared_error(nrx.numpy.array([1.0, 2.0]), nrx.numpy.array([0.0, 4.0]))
    Array(2.5, dtype=float32)
    """
    predictions, targets = asarray(predictions, "predictions"), asarray(targets, "targets")
    if predictions.shape != targets.shape:
        raise ShapeError(
            f"mean_squared_error needs arguments of one shape, got {show(predictions.shape)} and {show(targets.shape)}",
            fix="reshape one of them",
        )
    difference = predictions - targets
    return jnp.mean((difference * jnp.conj(difference)).real)
