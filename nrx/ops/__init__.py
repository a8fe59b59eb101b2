"""The primitives, one family a file, with all their rules; and the functions of `jax.ops`."""

from nrx.ops.segments import segment_max, segment_min, segment_prod, segment_sum

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]
