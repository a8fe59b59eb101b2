"""Transformations of pure functions: staging, forward and reverse mode, batching, compilation, custom rules."""

from nrx.transforms.batching import vmap
from nrx.transforms.callbacks import pure_callback
from nrx.transforms.checkpoint import checkpoint, remat
from nrx.transforms.custom import custom_jvp, custom_vjp, stop_gradient
from nrx.transforms.derivatives import grad, hessian, jacfwd, jacobian, jacrev, value_and_grad, vjp
from nrx.transforms.forward import jvp
from nrx.transforms.jit import jit
from nrx.transforms.linearize import linearize
from nrx.transforms.staging import ShapeDtypeStruct, eval_shape, make_jaxpr
from nrx.transforms.transpose import linear_transpose

__all__ = [
    "ShapeDtypeStruct",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "eval_shape",
    "grad",
    "hessian",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linear_transpose",
    "linearize",
    "make_jaxpr",
    "pure_callback",
    "remat",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]
