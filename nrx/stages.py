"""The stages of `jit`, under the names of `jax.stages`: `jit(f).trace(...)`, `.lower(...)`, `.compile()`."""

from nrx.transforms.jit import JitFunction as Wrapped
from nrx.transforms.stages import Compiled, Lowered, Traced

__all__ = ["Compiled", "Lowered", "Traced", "Wrapped"]
