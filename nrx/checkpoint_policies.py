"""Policies for `checkpoint`, under the names of `jax.checkpoint_policies`."""

from nrx.transforms.checkpoint_policies import *  # noqa: F403
