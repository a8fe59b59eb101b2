"""Composable transformations (grad, vjp, jvp, vmap, jit, …) of pure functions over immutable arrays, under JAX's names.

>>> import nrx
>>> import nrx.numpy as jnp
>>> loss = lambda w: jnp.sum((w - 3.0) ** 2)
>>> nrx.grad(loss)(jnp.array([1.0, 5.0]))
Array([-4.,  4.], dtype=float32)
"""

import gc
import importlib
from typing import Any

import ml_dtypes as _  # noqa: F401  with NumPy, which takes a fifth longer where other modules import it

_collecting = gc.isenabled()
gc.disable()  # All that is imported stays: to look for garbage in it would take a fifth of the time.
try:
    from nrx import errors, lax, numpy, tree, tree_util
    from nrx.backends import block_until_ready, default_device, device_get, device_put, devices
    from nrx.core.array import Array
    from nrx.core.backend import Device
    from nrx.core.config import config
    from nrx.core.dtypes import float0
    from nrx.core.primitive import mark_built_in
    from nrx.ops import threefry  # noqa: F401  so that all primitives are registered
    from nrx.transforms import (
        ShapeDtypeStruct,
        checkpoint,
        custom_jvp,
        custom_vjp,
        eval_shape,
        grad,
        hessian,
        jacfwd,
        jacobian,
        jacrev,
        jit,
        jvp,
        linear_transpose,
        linearize,
        make_jaxpr,
        pure_callback,
        remat,
        value_and_grad,
        vjp,
        vmap,
    )  # fmt: skip
    from nrx.version import __version__, __version_info__
finally:
    if _collecting:
        gc.enable()

mark_built_in()

#: Imported when they are first used, so that `import nrx` stays quick.
_LAZY = (
    "ad_checkpoint", "checkpoint_policies", "core", "custom_batching", "custom_derivatives", "data", "debug",
    "distributed", "dlpack", "dtypes", "example_libraries", "experimental", "extend", "flatten_util", "image", "io",
    "monitoring", "nn", "ops", "optim", "profiler", "random", "scipy", "sharding", "stages", "test_util", "testing",
    "typing", "version",
)  # fmt: skip
_LAZY_FUNCTIONS = {
    "get_num_threads": "nrx.core.threads",
    "set_num_threads": "nrx.compiler.pool",
    **dict.fromkeys(
        (
            "check_tracer_leaks", "checking_leaks", "debug_infs", "debug_nans", "default_matmul_precision",
            "default_prng_impl", "disable_jit", "enable_checks", "enable_x64", "ensure_compile_time_eval",
            "explain_cache_misses", "log_compiles", "named_call", "named_scope", "numpy_dtype_promotion",
            "numpy_rank_promotion", "threefry_partitionable", "transfer_guard", "transfer_guard_device_to_device",
            "transfer_guard_device_to_host", "transfer_guard_host_to_device",
        ),
        "nrx.transforms.contexts",
    ),
    **dict.fromkeys(("clear_caches", "explain_recompile"), "nrx.transforms.jit"),
    **dict.fromkeys(("custom_gradient", "fwd_and_bwd"), "nrx.transforms.custom_gradient"),
    **dict.fromkeys(("pmap", "shard_map"), "nrx.transforms.one_device"),
    **dict.fromkeys(("NamedSharding", "P", "make_mesh", "set_mesh"), "nrx.sharding"),
    **dict.fromkeys(
        (
            "default_backend", "device_count", "effects_barrier", "host_count", "host_id", "host_ids", "live_arrays",
            "local_device_count", "local_devices", "process_count", "process_index", "process_indices",
        ),
        "nrx.backends.placement",
    ),
    "closure_convert": "nrx.transforms.staging",
    "print_environment_info": "nrx.environment",
    "typeof": "nrx.transforms.staging",
}  # fmt: skip

__all__ = [
    # transformations
    "jit", "grad", "value_and_grad", "vjp", "jvp", "linearize", "linear_transpose", "jacfwd", "jacrev", "jacobian",
    "hessian", "vmap", "checkpoint", "remat", "custom_jvp", "custom_vjp", "pure_callback", "make_jaxpr",
    "eval_shape", "ShapeDtypeStruct",
    # arrays and devices
    "Array", "Device", "devices", "device_put", "device_get", "default_device", "block_until_ready", "float0",
    "__version__", "__version_info__",
    # threads, settings and what is rarely needed
    *_LAZY_FUNCTIONS,
    # modules
    "numpy", "lax", "tree", "tree_util", "errors", "config", *_LAZY,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"nrx.{name}")
    if name in _LAZY_FUNCTIONS:
        return getattr(importlib.import_module(_LAZY_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'nrx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_FUNCTIONS})
