"""Runs the public array API conformance suite on nrx.numpy: `python -m tests.array_api PATH_OF_THE_SUITE [--jit]`.

The suite is https://github.com/data-apis/array-api-tests with its submodule, and wants what its requirements.txt lists.
It is no part of this repository. Options that are not named below go to pytest: `--max-examples 100`, `-k fft`.

Arrays are immutable, and three tests of the suite (test_setitem, test_setitem_masking, test_asarray_arrays) assign to
elements; they get an assignment made of `x.at[index].set(value)`. With `--strict` they fail, and nothing else may.
"""

import argparse
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, settings

import nrx
import nrx.numpy as jnp
from nrx.core.array import ConcreteArray
from nrx.numpy.indexing import getitem

#: Functions that jit has no meaning for: they return no arrays, have shapes that depend on values, or share memory.
EAGER = {
    "__array_namespace_info__", "argwhere", "asarray", "broadcast_shapes", "can_cast", "finfo", "from_dlpack", "iinfo",
    "isdtype", "nonzero", "result_type", "unique_all", "unique_counts", "unique_inverse", "unique_values",
}  # fmt: skip
OPERATORS = (
    "abs add and eq floordiv ge getitem gt invert le lshift lt matmul mod mul ne neg or pos pow radd rand rfloordiv"
    " rlshift rmatmul rmod rmul ror rpow rrshift rshift rsub rtruediv rxor sub truediv xor"
)


def assign(x: Any, index: Any, value: Any) -> None:
    """`x[index] = value`, which arrays do not have."""
    changed = x.at[index].set(value)
    x._raw, x._memory = changed._raw, changed._memory


def jitted(function: Callable) -> Callable:
    """`function`, compiled: arrays are traced, all other arguments are static."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = nrx.tree.flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, nrx.Array)]
        if not places or any(not isinstance(leaves[i], ConcreteArray) or is_mask(leaves, i) for i in places):
            return function(*args, **kwargs)

        def traced(*arrays: Any) -> Any:
            mixed = list(leaves)
            for i, array in zip(places, arrays, strict=True):
                mixed[i] = array
            args, kwargs = nrx.tree.unflatten(tree, mixed)
            return function(*args, **kwargs)

        return nrx.jit(traced)(*[leaves[i] for i in places])

    def is_mask(leaves: list, i: int) -> bool:
        """Whether the shape of the result depends on the values of an argument."""
        return i > 0 and (function is jnp.repeat or (function is getitem and leaves[i].dtype == bool))

    return call


def namespace(jit: bool = False, strict: bool = False) -> ModuleType:
    """nrx.numpy, perhaps with every function and operator compiled, and with assignment unless `strict`."""
    # How long drawing inputs takes is no matter of conformance. The suite's profile inherits from this one.
    settings.register_profile("patient", suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    if not strict:
        nrx.Array.__setitem__ = assign  # type: ignore[method-assign]
    if not jit:
        return jnp
    for name in OPERATORS.split():
        setattr(nrx.Array, f"__{name}__", jitted(getattr(nrx.Array, f"__{name}__")))
    return jitted_module(jnp)


def jitted_module(module: ModuleType) -> ModuleType:
    out = ModuleType(module.__name__, "Its functions compile themselves.")
    for name in {*vars(module), *module.__all__} - {"__name__", "__getattr__", "__dir__"}:
        value = getattr(module, name)
        if isinstance(value, ModuleType) and name in ("linalg", "fft"):
            value = jitted_module(value)
        elif callable(value) and not isinstance(value, type) and name not in EAGER and hasattr(value, "__code__"):
            value = jitted(value)
        setattr(out, name, value)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.array_api", description="The array API suite on nrx.numpy.")
    parser.add_argument("suite", type=Path, help="a checkout of data-apis/array-api-tests, with its submodule")
    parser.add_argument("--jit", action="store_true", help="compile every function and operator")
    parser.add_argument("--strict", action="store_true", help="leave arrays immutable in the tests that assign, too")
    parser.add_argument("--version", default=jnp.__array_api_version__, help="of the standard (%(default)s)")
    options, rest = parser.parse_known_args()
    here = Path(__file__).resolve().parent
    call = f"namespace(jit={options.jit}, strict={options.strict})"
    environment = {
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "ARRAY_API_TESTS_MODULE": f"exec('import array_api; xp = array_api.{call}')",
        "ARRAY_API_TESTS_VERSION": options.version,
    }
    pytest = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--disable-deadline", "--disable-warnings"]
    return subprocess.run([*pytest, *rest], cwd=options.suite, env=os.environ | environment).returncode


if __name__ == "__main__":
    sys.exit(main())
