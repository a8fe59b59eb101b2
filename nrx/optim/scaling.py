"""The parts that optimizers are made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import nrx.numpy as jnp
from nrx.core.array import Array
from nrx.core.errors import ArgumentError
from nrx.core.pytree import tree_broadcast, tree_map
from nrx.optim.clipping import abs_square
from nrx.optim.schedules import Schedule
from nrx.optim.transformation import GradientTransformation, stateless


class TraceState(NamedTuple):
    """The accumulated gradients."""

    trace: Any


class ScaleByAdamState(NamedTuple):
    """The number of updates so far, and the running averages of the gradients and of their squares."""

    count: Array  # type: ignore[assignment] # hides tuple.count
    mu: Any
    nu: Any


class ScaleByScheduleState(NamedTuple):
    """The number of updates so far."""

    count: Array  # type: ignore[assignment] # hides tuple.count


def scale(step_size: Any) -> GradientTransformation:
    """Multiply updates by a number.

    Args:
        step_size: the number, or an array of shape ().

    Returns:
        A `GradientTransformation` without state.

    >>> import nrx
    >>> half = nrx.optim.scale(0.5)
    >>> half.update(nrx.numpy.array([2.0, 4.0]), half.init(None))[0]
    Array([1., 2.], dtype=float32)
    """
    return stateless(lambda updates, params: tree_map(lambda u: step_size * u, updates))


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Multiply updates by what a schedule gives for the number of updates before.

    Args:
        step_size_fn: a function from the step, an int32 array of shape () that starts at 0, to a number.

    Returns:
        A `GradientTransformation` with `ScaleByScheduleState`.

    >>> import nrx
    >>> warm = nrx.optim.scale_by_schedule(nrx.optim.linear_schedule(0.0, 1.0, 4))
    >>> updates, state = warm.update(nrx.numpy.array([8.0]), warm.init(None))
    >>> warm.update(nrx.numpy.array([8.0]), state)
    (Array([2.], dtype=float32), ScaleByScheduleState(count=Array(2, dtype=int32)))
    """

    def init(params: Any) -> ScaleByScheduleState:
        return ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(updates: Any, state: ScaleByScheduleState, params: Any = None) -> tuple[Any, ScaleByScheduleState]:
        step_size = step_size_fn(state.count)
        scaled = tree_map(lambda u: jnp.asarray(step_size, u.dtype) * u, updates)
        return scaled, ScaleByScheduleState(_increment(state.count))

    return GradientTransformation(init, update)


def scale_by_learning_rate(learning_rate: Any, *, flip_sign: bool = True) -> GradientTransformation:
    """Multiply updates by the negative learning rate: the last part of most optimizers.

    Args:
        learning_rate: a number, an array of shape (), or a schedule (a function of the step).
        flip_sign: whether to change the sign, so that adding the updates goes down the gradient.

    Returns:
        A `GradientTransformation`; it has `ScaleByScheduleState` if the learning rate is a schedule.

    >>> import nrx
    >>> step = nrx.optim.scale_by_learning_rate(0.1)
    >>> step.update(nrx.numpy.array([1.0]), step.init(None))[0]
    Array([-0.1], dtype=float32)
    """
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        return scale_by_schedule(lambda step: sign * learning_rate(step))
    return scale(sign * learning_rate)


def trace(decay: Any, nesterov: bool = False) -> GradientTransformation:
    """Momentum: add up gradients, where older ones count less.

    `t = g + decay * t` becomes the update; with Nesterov's variant it is `g + decay * t`.

    Args:
        decay: what an old gradient counts after one more step.
        nesterov: whether to look one step ahead.

    Returns:
        A `GradientTransformation` with `TraceState`, which has the dtypes of the parameters.

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever, Martens, Dahl and
    Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013.

    >>> import nrx
    >>> momentum = nrx.optim.trace(0.5)
    >>> updates, state = momentum.update(nrx.numpy.array([1.0]), momentum.init(nrx.numpy.zeros(1)))
    >>> momentum.update(nrx.numpy.array([1.0]), state)[0]
    Array([1.5], dtype=float32)
    """

    def init(params: Any) -> TraceState:
        return TraceState(tree_map(jnp.zeros_like, params))

    def update(updates: Any, state: TraceState, params: Any = None) -> tuple[Any, TraceState]:
        def accumulate(g: Any, t: Any) -> Any:
            return (g + decay * t).astype(t.dtype)

        new_trace = tree_map(accumulate, updates, state.trace)
        return (tree_map(accumulate, updates, new_trace) if nesterov else new_trace), TraceState(new_trace)

    return GradientTransformation(init, update)


def scale_by_adam(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0) -> GradientTransformation:
    """Divide a running average of the gradients by the root of a running average of their squares.

    m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) |g|^2,  the update is (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t) +
    eps_root) + eps) at step t = 1, 2, …: the divisions undo the bias of averages that start at 0.

    Args:
        b1, b2: what the averages keep at each step, in [0, 1).
        eps: keeps the divisor away from 0.
        eps_root: the same inside of the root, for those who differentiate through the update.

    Returns:
        A `GradientTransformation` with `ScaleByAdamState`; its averages have the dtypes of the parameters.

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, https://arxiv.org/abs/1412.6980.

    >>> import nrx
    >>> rescale = nrx.optim.scale_by_adam()
    >>> updates, state = rescale.update(nrx.numpy.array([10.0, -0.1]), rescale.init(nrx.numpy.zeros(2)))
    >>> updates.round(3), state.count
    (Array([ 1., -1.], dtype=float32), Array(1, dtype=int32))
    """

    def init(params: Any) -> ScaleByAdamState:
        return ScaleByAdamState(
            jnp.zeros((), jnp.int32), tree_map(jnp.zeros_like, params), tree_map(jnp.zeros_like, params)
        )

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> tuple[Any, ScaleByAdamState]:
        count = _increment(state.count)
        mu = tree_map(lambda g, m: ((1 - b1) * g + b1 * m).astype(m.dtype), updates, state.mu)
        nu = tree_map(lambda g, v: ((1 - b2) * abs_square(g) + b2 * v).astype(v.dtype), updates, state.nu)
        steps = count.astype(jnp.float64)  # in float32, 1 - 0.999**t would have three digits less
        mu_share, nu_share = 1 - b1**steps, 1 - b2**steps

        def rescale(m: Any, v: Any) -> Any:
            m, v = m / mu_share.astype(m.dtype), v / nu_share.astype(v.dtype)
            return m / (jnp.sqrt(v + eps_root) + eps)

        return tree_map(rescale, mu, nu), ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


def add_decayed_weights(
    weight_decay: Any = 0.0, mask: Any | Callable[[Any], Any] | None = None
) -> GradientTransformation:
    """Add a multiple of the parameters to the updates, which then pull them towards 0.

    Args:
        weight_decay: the factor, a number or an array of shape ().
        mask: which parameters decay: a tree of bools of the structure of the parameters, or of a prefix of it, or a
            function from the parameters to such a tree; by default all.

    Returns:
        A `GradientTransformation` without state; its `update` needs `params`.

    Raises:
        ArgumentError: (by `update`) the parameters were not passed.

    >>> import nrx
    >>> decay = nrx.optim.add_decayed_weights(0.1, mask={"kernel": True, "bias": False})
    >>> params = {"kernel": nrx.numpy.array([5.0]), "bias": nrx.numpy.array([5.0])}
    >>> decay.update(params, decay.init(params), params)[0]
    {'bias': Array([5.], dtype=float32), 'kernel': Array([5.5], dtype=float32)}
    """

    def decay(updates: Any, params: Any) -> Any:
        if params is None:
            raise ArgumentError(
                "add_decayed_weights: update needs the parameters", fix="optimizer.update(grads, state, params)"
            )
        chosen = mask(params) if callable(mask) else mask
        decays = tree_broadcast(True if chosen is None else chosen, params)
        return tree_map(lambda u, p, decays: u + weight_decay * p if decays else u, updates, params, decays)

    return stateless(decay)


def _increment(count: Array) -> Array:
    """count + 1, or the largest integer, where it stays."""
    return count + (count < jnp.iinfo(count.dtype).max)
