"""What `checkpoint` keeps, under the names of `jax.ad_checkpoint`."""

from nrx.transforms import checkpoint_policies
from nrx.transforms.checkpoint import checkpoint, remat
from nrx.transforms.checkpoint_policies import checkpoint_name

__all__ = ["checkpoint", "checkpoint_name", "checkpoint_policies", "remat"]
