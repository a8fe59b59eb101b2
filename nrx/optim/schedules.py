"""Learning rates that change: functions from the number of the step (from 0) to a value."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import nrx.numpy as jnp
from nrx.core.errors import ArgumentError

Schedule = Callable[[Any], Any]


def constant_schedule(value: Any) -> Schedule:
    """The same value at every step.

    Args:
        value: a number or an array of shape ().

    Returns:
        A function `step -> value`.

    >>> import nrx
    >>> nrx.optim.constant_schedule(0.1)(1000)
    0.1
    """
    return lambda step: value


def linear_schedule(init_value: Any, end_value: Any, transition_steps: int, transition_begin: int = 0) -> Schedule:
    """A straight line from `init_value` to `end_value`, and constant before and after.

    Args:
        init_value, end_value: numbers, or arrays of shape ().
        transition_steps: how long the line is, at least 1.
        transition_begin: the step at which it begins.

    Returns:
        A function from a step, a number or an integer array, to an array of its shape.

    Raises:
        ArgumentError: `transition_steps` is less than 1 or `transition_begin` negative.

    >>> import nrx
    >>> nrx.optim.linear_schedule(1.0, 0.0, 4)(nrx.numpy.arange(6))
    Array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ], dtype=float32)
    """
    _check_positive("linear_schedule", "transition_steps", transition_steps)
    if transition_begin < 0:
        raise ArgumentError(f"linear_schedule: transition_begin must not be negative, got {transition_begin}")

    def schedule(step: Any) -> Any:
        left = 1 - jnp.clip(step - transition_begin, 0, transition_steps) / transition_steps
        return (init_value - end_value) * left + end_value

    return schedule


def cosine_decay_schedule(init_value: Any, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0) -> Schedule:
    """Half a period of a cosine, from `init_value` down to `alpha * init_value`, where it stays.

    Args:
        init_value: the first value, a number or an array of shape ().
        decay_steps: how long the decay takes, at least 1.
        alpha: the last value as a fraction of the first.
        exponent: a power to which the cosine, from 1 to 0, is raised.

    Returns:
        A function from a step, a number or an integer array, to an array of its shape.

    Raises:
        ArgumentError: `decay_steps` is less than 1.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, without the restarts.

    >>> import nrx
    >>> nrx.optim.cosine_decay_schedule(1.0, 4)(nrx.numpy.arange(6)).round(3)
    Array([1.   , 0.854, 0.5  , 0.146, 0.   , 0.   ], dtype=float32)
    """
    _check_positive("cosine_decay_schedule", "decay_steps", decay_steps)

    def schedule(step: Any) -> Any:
        done = jnp.minimum(step, decay_steps) / decay_steps
        decay = (0.5 * (1 + jnp.cos(math.pi * done))) ** exponent
        return init_value * ((1 - alpha) * decay + alpha)

    return schedule


def warmup_cosine_decay_schedule(
    init_value: Any, peak_value: Any, warmup_steps: int, decay_steps: int, end_value: Any = 0.0, exponent: float = 1.0
) -> Schedule:
    """A straight line up, then a cosine down.

    Args:
        init_value: the first value.
        peak_value: the highest value, reached after the warm-up; positive.
        warmup_steps: how long the line is, at least 1.
        decay_steps: how long everything takes, warm-up included.
        end_value: the last value.
        exponent: a power to which the cosine is raised.

    Returns:
        A function from a step, a number or an integer array, to an array of its shape.

    Raises:
        ArgumentError: `warmup_steps` is less than 1, or `decay_steps` is not greater.

    >>> import nrx
    >>> nrx.optim.warmup_cosine_decay_schedule(0.0, 1.0, 2, 6)(nrx.numpy.arange(7)).round(3)
    Array([0.   , 0.5  , 1.   , 0.854, 0.5  , 0.146, 0.   ], dtype=float32)
    """
    rise = linear_schedule(init_value, peak_value, warmup_steps)
    fall = cosine_decay_schedule(peak_value, decay_steps - warmup_steps, end_value / peak_value, exponent)
    return join_schedules([rise, fall], [warmup_steps])


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """Schedules one after the other; each counts its steps from its own beginning.

    Args:
        schedules: one or more schedules.
        boundaries: the steps at which the second, third, … of them begin.

    Returns:
        A function from a step, a number or an integer array, to an array of its shape.

    Raises:
        ArgumentError: there is not one boundary less than there are schedules.

    >>> import nrx
    >>> steps = nrx.optim.join_schedules([nrx.optim.constant_schedule(v) for v in (1.0, 0.1)], [2])
    >>> [round(float(steps(step)), 3) for step in range(4)]
    [1.0, 1.0, 0.1, 0.1]
    """
    if len(schedules) != len(boundaries) + 1:
        raise ArgumentError(
            f"join_schedules: {len(schedules)} schedules need {len(schedules) - 1} boundaries, got {len(boundaries)}"
        )

    def schedule(step: Any) -> Any:
        value = schedules[0](step)
        for boundary, later in zip(boundaries, schedules[1:], strict=True):
            value = jnp.where(jnp.less(step, boundary), value, later(step - boundary))
        return value

    return schedule


def _check_positive(name: str, what: str, value: int) -> None:
    if value < 1:
        raise ArgumentError(f"{name}: {what} must be at least 1, got {value}")
