"""Policies for `checkpoint`, under the names of `jax.checkpoint_policies`."""

from nrx.transforms.checkpoint_policies import *  # noqa: F403
from nrx.transforms.checkpoint_policies import __all__  # noqa: F401
