"""Help for tests, under the name of `jax.test_util`."""

from nrx.testing import check_grads

__all__ = ["check_grads"]
