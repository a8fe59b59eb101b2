"""Optimizers: pure functions of gradients, state and parameters, in the protocol of optax.

An optimizer is a pair `(init, update)`. It does not change parameters: `update` turns gradients into updates, which
`apply_updates` adds. State is a tree of arrays, to be jitted, mapped over, saved and loaded like any other.

>>> import nrx
>>> params = {"x": nrx.numpy.array([3.0, -2.0])}
>>> optimizer = nrx.optim.adam(learning_rate=0.5)
>>> state = optimizer.init(params)
>>> for _ in range(100):
...     grads = nrx.grad(lambda p: (p["x"] ** 2).sum())(params)
...     updates, state = optimizer.update(grads, state, params)
...     params = nrx.optim.apply_updates(params, updates)
>>> bool(abs(params["x"]).max() < 0.1)
True
"""

from nrx.optim.clipping import clip_by_global_norm, global_norm
from nrx.optim.optimizers import adam, adamw, sgd
from nrx.optim.scaling import (
    ScaleByAdamState,
    ScaleByScheduleState,
    TraceState,
    add_decayed_weights,
    scale,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_schedule,
    trace,
)
from nrx.optim.schedules import (
    constant_schedule,
    cosine_decay_schedule,
    join_schedules,
    linear_schedule,
    warmup_cosine_decay_schedule,
)
from nrx.optim.transformation import EmptyState, GradientTransformation, apply_updates, chain, identity

__all__ = [
    # the protocol
    "GradientTransformation", "apply_updates", "chain", "identity", "EmptyState",
    # optimizers
    "sgd", "adam", "adamw",
    # what they are made of
    "scale", "scale_by_adam", "scale_by_learning_rate", "scale_by_schedule", "trace", "add_decayed_weights",
    "clip_by_global_norm", "global_norm",
    "ScaleByAdamState", "ScaleByScheduleState", "TraceState",
    # schedules
    "constant_schedule", "linear_schedule", "cosine_decay_schedule", "warmup_cosine_decay_schedule", "join_schedules",
]  # fmt: skip
