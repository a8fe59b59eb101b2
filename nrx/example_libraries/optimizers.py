"""Optimizers as triples of functions, under the names of `jax.example_libraries.optimizers`.

`init(params)` gives a state, `update(step, gradients, state)` the next one, `params(state)` the parameters. `nrx.optim`
has the protocol of optax instead.

>>> import nrx
>>> from nrx.example_libraries import optimizers
>>> init, update, params = optimizers.momentum(0.05, mass=0.9)
>>> state = init({"x": nrx.numpy.array([3.0, -2.0])})
>>> for step in range(200):
...     state = update(step, nrx.grad(lambda p: (p["x"] ** 2).sum())(params(state)), state)
>>> bool(abs(params(state)["x"]).max() < 1e-2)
True
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx import numpy as jnp
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, TreeError
from nrx.core.pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten
from nrx.core.treedef import PyTreeDef
from nrx.tree_util import register_pytree_node

Schedule = Callable[[Any], Any]
Triple = tuple[Callable, Callable, Callable]
"""The functions of one leaf: `init(x)`, `update(step, gradient, state)`, `params(state)`."""


class Optimizer(NamedTuple):
    """The functions of a tree: `init_fn(params)`, `update_fn(step, gradients, state)`, `params_fn(state)`."""

    init_fn: Callable
    update_fn: Callable
    params_fn: Callable


class OptimizerState(NamedTuple):
    """The states of all leaves, flat, and the structures of the parameters and of each state."""

    packed_state: tuple
    tree_def: PyTreeDef
    subtree_defs: tuple[PyTreeDef, ...]


register_pytree_node(
    OptimizerState,
    lambda state: (state.packed_state, (state.tree_def, state.subtree_defs)),
    lambda trees, packed: OptimizerState(tuple(packed), *trees),
)


def _packed(states: Sequence[Any], tree: PyTreeDef) -> OptimizerState:
    pairs = [tree_flatten(state) for state in states]
    return OptimizerState(tuple(tuple(leaves) for leaves, _ in pairs), tree, tuple(subtree for _, subtree in pairs))


def _states(state: OptimizerState) -> list[Any]:
    return [tree_unflatten(d, leaves) for d, leaves in zip(state.subtree_defs, state.packed_state, strict=True)]


def optimizer(opt_maker: Callable[..., Triple]) -> Callable[..., Optimizer]:
    """A decorator that makes an optimizer of trees of one of single arrays.

    Args:
        opt_maker: returns a `Triple` of functions of one array.

    Returns:
        A function of the same arguments that returns an `Optimizer`.

    Raises:
        TreeError: the function of an Optimizer gets gradients of another structure than its state has.

    >>> from nrx.example_libraries import optimizers
    >>> @optimizers.optimizer
    ... def descent(rate):
    ...     return lambda x: x, lambda step, g, x: x - rate * g, lambda x: x
    >>> init, update, params = descent(0.5)
    >>> params(update(0, (2.0, 4.0), init((1.0, 1.0))))
    (0.0, -1.0)
    """

    @functools.wraps(opt_maker)
    def made(*args: Any, **kwargs: Any) -> Optimizer:
        init, update, params = opt_maker(*args, **kwargs)

        def tree_init(tree: Any) -> OptimizerState:
            leaves, treedef = tree_flatten(tree)
            return _packed([init(leaf) for leaf in leaves], treedef)

        def tree_update(step: Any, gradients: Any, state: OptimizerState) -> OptimizerState:
            leaves, treedef = tree_flatten(gradients)
            if treedef != state.tree_def:
                raise TreeError(
                    f"the gradients have the structure {treedef}, the parameters {state.tree_def}",
                    fix="take the gradient with respect to the parameters",
                )
            return _packed([update(step, g, s) for g, s in zip(leaves, _states(state), strict=True)], treedef)

        def tree_params(state: OptimizerState) -> Any:
            return tree_unflatten(state.tree_def, map(params, _states(state)))

        return Optimizer(tree_init, tree_update, tree_params)

    return made


class JoinPoint:
    """Where the state of one array begins in a tree of `unpack_optimizer_state`: a leaf that holds it."""

    def __init__(self, subtree: Any):
        self.subtree = subtree

    def __iter__(self) -> Any:
        yield self.subtree


def unpack_optimizer_state(opt_state: OptimizerState) -> Any:
    """A tree like the parameters, with the state of each in a `JoinPoint`: to be saved.

    Args:
        opt_state: what an optimizer's `init` or `update` gives.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> state = optimizers.momentum(0.1, 0.9)[0]({"w": nrx.numpy.ones(2)})
    >>> optimizers.unpack_optimizer_state(state).keys()
    dict_keys(['w'])
    """
    return tree_unflatten(opt_state.tree_def, map(JoinPoint, _states(opt_state)))


def pack_optimizer_state(marked_pytree: Any) -> OptimizerState:
    """The inverse of `unpack_optimizer_state`.

    Args:
        marked_pytree: what that gives.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.momentum(0.1, 0.9)
    >>> saved = optimizers.unpack_optimizer_state(init({"w": nrx.numpy.ones(2)}))
    >>> params(optimizers.pack_optimizer_state(saved))
    {'w': Array([1., 1.], dtype=float32)}
    """
    points, treedef = tree_flatten(marked_pytree)
    return _packed([point.subtree for point in points], treedef)


# Optimizers


@optimizer
def sgd(step_size: Any) -> Triple:
    """Gradient descent.

    Args:
        step_size: a number or a function of the step.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.sgd(0.5)
    >>> params(update(0, 4.0, init(1.0)))
    -1.0
    """
    rate = make_schedule(step_size)
    return lambda x: x, lambda i, g, x: x - rate(i) * g, lambda x: x


@optimizer
def momentum(step_size: Any, mass: Any) -> Triple:
    """Gradient descent with momentum: `mass` of the old velocity stays.

    `step_size` is as of `sgd`.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.momentum(0.5, mass=0.5)
    >>> params(update(1, 4.0, update(0, 4.0, init(1.0)))).item()
    -4.0
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, velocity = state
        velocity = mass * velocity + g
        return x - rate(i) * velocity, velocity

    return lambda x: (x, jnp.zeros_like(x)), update, lambda state: state[0]


@optimizer
def nesterov(step_size: Any, mass: Any) -> Triple:
    """Gradient descent with Nesterov's momentum.

    Arguments as of `momentum`.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.nesterov(0.5, mass=0.5)
    >>> params(update(0, 4.0, init(1.0))).item()
    -2.0
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, velocity = state
        velocity = mass * velocity + g
        return x - rate(i) * (mass * velocity + g), velocity

    return lambda x: (x, jnp.zeros_like(x)), update, lambda state: state[0]


@optimizer
def adagrad(step_size: Any, momentum: Any = 0.9) -> Triple:
    """Adagrad: step sizes shrink with the sum of the squared gradients. Duchi et al., JMLR 2011.

    Args:
        step_size: a number or a function of the step.
        momentum: how much of the mean direction of the steps stays.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.adagrad(0.5, momentum=0.0)
    >>> params(update(0, 4.0, init(1.0))).item()
    0.5
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, squares, mean = state
        squares = squares + jnp.square(g)
        scale = jnp.where(squares > 0, 1.0 / jnp.sqrt(squares), 0.0)
        mean = (1.0 - momentum) * (g * scale) + momentum * mean
        return x - rate(i) * mean, squares, mean

    return lambda x: (x, jnp.zeros_like(x), jnp.zeros_like(x)), update, lambda state: state[0]


@optimizer
def rmsprop(step_size: Any, gamma: Any = 0.9, eps: Any = 1e-8) -> Triple:
    """RMSProp: gradients are divided by the root of a running mean of their squares.

    Args:
        step_size: a number or a function of the step.
        gamma: how much of the running mean stays.
        eps: a small number that keeps the quotient finite.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.rmsprop(0.5, gamma=0.75)
    >>> params(update(0, 4.0, init(1.0))).round(3)
    Array(0., dtype=float32, weak_type=True)
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, squares = state
        squares = squares * gamma + jnp.square(g) * (1.0 - gamma)
        return x - rate(i) * g / jnp.sqrt(squares + eps), squares

    return lambda x: (x, jnp.zeros_like(x)), update, lambda state: state[0]


@optimizer
def rmsprop_momentum(step_size: Any, gamma: Any = 0.9, eps: Any = 1e-8, momentum: Any = 0.9) -> Triple:
    """RMSProp with momentum.

    The other arguments are as of `rmsprop`; `momentum` of the old velocity stays.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.rmsprop_momentum(0.5, gamma=0.75)
    >>> params(update(0, 4.0, init(1.0))).round(3)
    Array(0., dtype=float32, weak_type=True)
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, squares, velocity = state
        squares = squares * gamma + jnp.square(g) * (1.0 - gamma)
        velocity = momentum * velocity + rate(i) * g / jnp.sqrt(squares + eps)
        return x - velocity, squares, velocity

    return lambda x: (x, jnp.zeros_like(x), jnp.zeros_like(x)), update, lambda state: state[0]


@optimizer
def adam(step_size: Any, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Triple:
    """Adam. Kingma and Ba, ICLR 2015.

    Args:
        step_size: a number or a function of the step.
        b1, b2: how much of the running means of the gradients and of their squares stays.
        eps: a small number that keeps the quotient finite.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.adam(0.5)
    >>> params(update(0, 4.0, init(1.0))).round(3)
    Array(0.5, dtype=float32)
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, mean, squares = state
        mean = (1 - b1) * g + b1 * mean
        squares = (1 - b2) * jnp.square(g) + b2 * squares
        corrected = [
            moment / (1 - jnp.asarray(b, moment.dtype) ** (i + 1)) for moment, b in ((mean, b1), (squares, b2))
        ]
        return x - rate(i) * corrected[0] / (jnp.sqrt(corrected[1]) + eps), mean, squares

    return lambda x: (x, jnp.zeros_like(x), jnp.zeros_like(x)), update, lambda state: state[0]


@optimizer
def adamax(step_size: Any, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Triple:
    """Adamax: Adam with the largest gradient of late in place of the root of the mean square.

    Arguments as of `adam`.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.adamax(0.5)
    >>> params(update(0, 4.0, init(1.0))).round(3)
    Array(0.5, dtype=float32)
    """
    rate = make_schedule(step_size)

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, mean, largest = state
        mean = (1 - b1) * g + b1 * mean
        largest = jnp.maximum(b2 * largest, jnp.abs(g))
        correction = 1 - jnp.asarray(b1, mean.dtype) ** (i + 1)
        return x - (rate(i) / correction) * mean / (largest + eps), mean, largest

    return lambda x: (x, jnp.zeros_like(x), jnp.zeros_like(x)), update, lambda state: state[0]


@optimizer
def sm3(step_size: Any, momentum: Any = 0.9) -> Triple:
    """SM3: Adagrad with memory for each row and column only. Anil et al., NeurIPS 2019.

    Arguments as of `adagrad`.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> init, update, params = optimizers.sm3(0.5, momentum=0.0)
    >>> params(update(0, nrx.numpy.array([4.0, -2.0]), init(nrx.numpy.ones(2))))
    Array([0.5, 1.5], dtype=float32)
    """
    rate = make_schedule(step_size)

    def init(x: Any) -> tuple:
        x = jnp.asarray(x)
        return x, jnp.zeros_like(x), [jnp.zeros(n, x.dtype) for n in x.shape] or [jnp.zeros_like(x)]

    def update(i: Any, g: Any, state: tuple) -> tuple:
        x, mean, sums = state
        along = [s.reshape([-1 if axis == k else 1 for axis in range(x.ndim)]) for k, s in enumerate(sums)]
        total = functools.reduce(jnp.minimum, along) + jnp.square(g)
        scale = jnp.where(total > 0, 1.0 / jnp.sqrt(total), 0.0)
        mean = (1.0 - momentum) * (g * scale) + momentum * mean
        sums = [total.max(tuple(axis for axis in range(x.ndim) if axis != k)) for k in range(len(sums))]
        return x - rate(i) * mean, mean, sums

    return init, update, lambda state: state[0]


# Step sizes


def constant(step_size: Any) -> Schedule:
    """The same `step_size` in every step.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> optimizers.constant(0.5)(7)
    0.5
    """
    return lambda i: step_size


def exponential_decay(step_size: Any, decay_steps: Any, decay_rate: Any) -> Schedule:
    """A `step_size` that `decay_rate` multiplies every `decay_steps` steps, gradually.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> optimizers.exponential_decay(8.0, decay_steps=10, decay_rate=0.5)(20)
    2.0
    """
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(step_size: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False) -> Schedule:
    """A `step_size` divided by 1 + `decay_rate` · i / `decay_steps`, which `staircase` rounds down.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> optimizers.inverse_time_decay(8.0, decay_steps=10, decay_rate=1)(10)
    4.0
    """
    return lambda i: step_size / (1 + decay_rate * (jnp.floor(i / decay_steps) if staircase else i / decay_steps))


def polynomial_decay(step_size: Any, decay_steps: Any, final_step_size: Any, power: Any = 1.0) -> Schedule:
    """A `step_size` that falls to `final_step_size` within `decay_steps` steps, by a `power` of the time left.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> optimizers.polynomial_decay(8.0, decay_steps=10, final_step_size=0.0, power=2)(5).item()
    2.0
    """

    def schedule(i: Any) -> Any:
        left = 1 - jnp.minimum(i, decay_steps) / decay_steps
        return left**power * (step_size - final_step_size) + final_step_size

    return schedule


def piecewise_constant(boundaries: Any, values: Any) -> Schedule:
    """`values[k]` until step `boundaries[k]` is over.

    Raises:
        ArgumentError: there is not one value more than boundaries.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> optimizers.piecewise_constant([10, 20], [4.0, 2.0, 1.0])(15).item()
    2.0
    """
    limits, sizes = jnp.asarray(boundaries), jnp.asarray(values)
    if limits.ndim != 1 or sizes.shape != (limits.size + 1,):
        raise ArgumentError("piecewise_constant needs one value more than boundaries", fix="give n and n + 1")
    return lambda i: sizes[jnp.sum(i > limits)]


def make_schedule(scalar_or_schedule: Any) -> Schedule:
    """A function of the step: `scalar_or_schedule` if it is one, or else one that gives the number.

    Raises:
        ArgumentError: it is neither.

    >>> import nrx
    >>> from nrx.example_libraries import optimizers
    >>> optimizers.make_schedule(0.5)(7)
    0.5
    """
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if jnp.ndim(scalar_or_schedule) == 0:
        return constant(scalar_or_schedule)
    raise ArgumentError(f"not a step size: {scalar_or_schedule!r}", fix="give a number or a function of the step")


# Gradients


def l2_norm(tree: Any) -> Array:
    """The Euclidean norm of all leaves of a `tree` together.

    A scalar, of the dtype in which the leaves meet.

    >>> from nrx.example_libraries import optimizers
    >>> optimizers.l2_norm((3.0, 4.0))
    Array(5., dtype=float32, weak_type=True)
    """
    return jnp.sqrt(sum(jnp.vdot(x, x) for x in tree_leaves(tree)))


def clip_grads(grad_tree: Any, max_norm: Any) -> Any:
    """The tree `grad_tree`, made shorter if its norm is above `max_norm`.

    >>> from nrx.example_libraries import optimizers
    >>> optimizers.clip_grads((3.0, 4.0), 1.0)
    (Array(0.6, dtype=float32, weak_type=True), Array(0.8, dtype=float32, weak_type=True))
    """
    norm = l2_norm(grad_tree)
    return tree_map(lambda g: jnp.where(norm < max_norm, g, g * (max_norm / norm)), grad_tree)
