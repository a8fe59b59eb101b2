"""The part of `scipy.cluster` that `jax.scipy.cluster` has: vector quantization."""

from nrx.scipy.cluster import vq

__all__ = ["vq"]
