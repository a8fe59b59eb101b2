"""Help for testing functions of arrays."""

from nrx.testing.gradients import check_grads

__all__ = ["check_grads"]
