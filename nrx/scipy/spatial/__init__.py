"""The part of `scipy.spatial` that `jax.scipy.spatial` has: rotations."""

from nrx.scipy.spatial import transform

__all__ = ["transform"]
