"""Rules of one's own for derivatives, under the names of `jax.custom_derivatives`."""

from nrx.transforms.custom import custom_jvp, custom_jvp_p, custom_vjp, custom_vjp_p
from nrx.transforms.custom_gradient import custom_gradient
from nrx.transforms.staging import closure_convert

custom_jvp_call_p, custom_vjp_call_p = custom_jvp_p, custom_vjp_p

__all__ = ["closure_convert", "custom_gradient", "custom_jvp", "custom_jvp_call_p", "custom_vjp", "custom_vjp_call_p"]
