"""Optimizers, each made of a few parts."""

from collections.abc import Callable
from typing import Any

from nrx.optim.scaling import add_decayed_weights, scale_by_adam, scale_by_learning_rate, trace
from nrx.optim.transformation import GradientTransformation, chain, identity


def sgd(learning_rate: Any, momentum: Any = None, nesterov: bool = False) -> GradientTransformation:
    """Stochastic gradient descent.

    Args:
        learning_rate: a number, an array of shape (), or a schedule (a function of the step).
        momentum: what an old gradient counts after one more step; by default there is no momentum, and no state.
        nesterov: whether to use Nesterov's variant of momentum.

    Returns:
        A `GradientTransformation`.

    Momentum: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013.

    >>> import nrx
    >>> optimizer = nrx.optim.sgd(0.1)
    >>> params = nrx.numpy.array([1.0, 2.0])
    >>> updates, state = optimizer.update(nrx.numpy.array([1.0, -1.0]), optimizer.init(params))
    >>> nrx.optim.apply_updates(params, updates)
    Array([0.9, 2.1], dtype=float32)
    """
    accumulate = identity() if momentum is None else trace(momentum, nesterov)
    return chain(accumulate, scale_by_learning_rate(learning_rate))


def adam(
    learning_rate: Any, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0
) -> GradientTransformation:
    """Adam: every parameter has its own step size, from running averages of its gradients.

    Args:
        learning_rate: a number, an array of shape (), or a schedule (a function of the step).
        b1, b2: what the averages of the gradients and of their squares keep at each step.
        eps, eps_root: keep the divisor away from 0, outside and inside of the root.

    Returns:
        A `GradientTransformation`; its averages have the dtypes of the parameters.

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, https://arxiv.org/abs/1412.6980.

    >>> import nrx
    >>> optimizer = nrx.optim.adam(0.1)
    >>> params = nrx.numpy.array([1.0, 2.0])
    >>> updates, state = optimizer.update(nrx.numpy.array([5.0, -0.01]), optimizer.init(params))
    >>> nrx.optim.apply_updates(params, updates).round(3)
    Array([0.9, 2.1], dtype=float32)
    """
    return chain(scale_by_adam(b1, b2, eps, eps_root), scale_by_learning_rate(learning_rate))


def adamw(
    learning_rate: Any,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    weight_decay: Any = 1e-4,
    mask: Any | Callable[[Any], Any] | None = None,
) -> GradientTransformation:
    """Adam with weight decay that is not rescaled by the averages. `update` needs `params`.

    Args:
        learning_rate: a number, an array of shape (), or a schedule (a function of the step).
        b1, b2: what the averages of the gradients and of their squares keep at each step.
        eps, eps_root: keep the divisor away from 0, outside and inside of the root.
        weight_decay: how strongly parameters are pulled towards 0; the learning rate multiplies it.
        mask: which parameters decay: a tree of bools of the structure of the parameters, or of a prefix of it, or a
            function from the parameters to such a tree; by default all.

    Returns:
        A `GradientTransformation`; its averages have the dtypes of the parameters.

    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, https://arxiv.org/abs/1711.05101.

    >>> import nrx
    >>> optimizer = nrx.optim.adamw(0.1, weight_decay=0.5)
    >>> params = nrx.numpy.array([1.0, 2.0])
    >>> updates, state = optimizer.update(nrx.numpy.array([5.0, -0.01]), optimizer.init(params), params)
    >>> nrx.optim.apply_updates(params, updates).round(3)
    Array([0.85, 2.  ], dtype=float32)
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
