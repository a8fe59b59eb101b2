"""`pjit`, another name of `jit`."""

from nrx.transforms.jit import jit as pjit

__all__ = ["pjit"]
