"""The protocol of optimizers, and how they are combined and applied."""

from collections.abc import Callable
from typing import Any, NamedTuple

import nrx.numpy as jnp
from nrx.core.errors import TreeError
from nrx.core.pytree import tree_map
from nrx.transforms.flatten import describe


class GradientTransformation(NamedTuple):
    """A pair of pure functions that turns gradients into updates.

    `init(params) -> state`, and `update(updates, state, params=None) -> (updates, state)`, where `updates` are the
    gradients, or what an earlier transformation made of them: a tree of the structure of `params`.

    >>> import nrx
    >>> init, update = nrx.optim.sgd(0.5)
    >>> update([1.0], init([3.0]))[0]
    [-0.5]
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class EmptyState(NamedTuple):
    """The state of a transformation that has none."""


def stateless(function: Callable[[Any, Any], Any]) -> GradientTransformation:
    """The transformation `updates -> function(updates, params)`."""
    return GradientTransformation(
        lambda params: EmptyState(),
        lambda updates, state, params=None: (function(updates, params), state),
    )


def identity() -> GradientTransformation:
    """The transformation that leaves updates as they are.

    Returns:
        A `GradientTransformation` without state.

    >>> import nrx
    >>> nothing = nrx.optim.identity()
    >>> nothing.update({"w": 1.0}, nothing.init({"w": 0.0}))
    ({'w': 1.0}, EmptyState())
    """
    return stateless(lambda updates, params: updates)


def chain(*transformations: GradientTransformation) -> GradientTransformation:
    """Transformations one after the other.

    Args:
        transformations: the first gets the gradients, each of the others what the one before it returns.

    Returns:
        A `GradientTransformation` whose state is the tuple of their states.

    Raises:
        TreeError: its `update` gets a state that is no such tuple.

    >>> import nrx
    >>> clipped = nrx.optim.chain(nrx.optim.clip_by_global_norm(1.0), nrx.optim.sgd(0.5))
    >>> updates, state = clipped.update(nrx.numpy.array([3.0, 4.0]), clipped.init(nrx.numpy.zeros(2)))
    >>> updates
    Array([-0.3, -0.4], dtype=float32)
    """

    def init(params: Any) -> tuple[Any, ...]:
        return tuple(transformation.init(params) for transformation in transformations)

    def update(updates: Any, state: tuple[Any, ...], params: Any = None) -> tuple[Any, tuple[Any, ...]]:
        if not isinstance(state, tuple) or len(state) != len(transformations):
            raise TreeError(
                f"the optimizer's state must be a tuple of {len(transformations)}, got {describe(state)}",
                fix="pass what `init` or the last `update` of the same optimizer returned",
            )
        new_state = []
        for transformation, old in zip(transformations, state, strict=True):
            updates, new = transformation.update(updates, old, params)
            new_state.append(new)
        return updates, tuple(new_state)

    return GradientTransformation(init, update)


def apply_updates(params: Any, updates: Any) -> Any:
    """Parameters plus updates.

    Args:
        params: a tree of arrays.
        updates: a tree of the same structure; the shapes agree, or broadcast.

    Returns:
        The sum, in the dtypes of `params`.

    Raises:
        TreeError: the structures differ.

    >>> import nrx
    >>> nrx.optim.apply_updates({"w": nrx.numpy.array([1.0, 2.0])}, {"w": nrx.numpy.array([-0.5, 0.5])})
    {'w': Array([0.5, 2.5], dtype=float32)}
    """
    return tree_map(lambda p, u: jnp.asarray(p + u, dtype=jnp.asarray(p).dtype), params, updates)
