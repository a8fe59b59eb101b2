"""`shard_map`, where it was before it became `jax.shard_map`."""

from nrx.transforms.one_device import shard_map

__all__ = ["shard_map"]
