"""Numerical integrals, under the names of `scipy.integrate`, as in `jax.scipy.integrate`.

>>> nrx.scipy.integrate.trapezoid(jnp.array([1.0, 2.0, 3.0]))
Array(4., dtype=float32)
"""

from nrx.numpy.differences import trapezoid

__all__ = ["trapezoid"]
