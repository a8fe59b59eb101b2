"""What JAX keeps in `jax.extend`."""

from nrx.extend import core

__all__ = ["core"]
