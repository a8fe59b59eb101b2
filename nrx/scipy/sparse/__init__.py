"""The part of `scipy.sparse` that `jax.scipy.sparse` has: solvers of linear equations."""

from nrx.scipy.sparse import linalg

__all__ = ["linalg"]
