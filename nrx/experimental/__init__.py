"""What JAX keeps in `jax.experimental`."""

from nrx.experimental import checkify, ode
from nrx.transforms.callbacks import io_callback

__all__ = ["checkify", "io_callback", "ode"]
