"""Every public name of JAX is here, or in docs/api/left-out.md with its reason.

The names of JAX stand in jax_names.txt, a module a paragraph, and the public modules in the first one;
`python tests/test_names_left_out.py` writes them anew.
"""

import importlib
import re
import textwrap
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nrx

STORED = Path(__file__).parent / "jax_names.txt"
TABLE = Path(__file__).parent.parent / "docs" / "api" / "left-out.md"
MODULES = [
    "jax", "jax.ad_checkpoint", "jax.core", "jax.custom_batching", "jax.custom_derivatives", "jax.debug", "jax.dtypes",
    "jax.distributed", "jax.dlpack", "jax.errors", "jax.example_libraries.optimizers", "jax.example_libraries.stax",
    "jax.experimental", "jax.experimental.checkify", "jax.experimental.mesh_utils", "jax.experimental.multihost_utils",
    "jax.experimental.ode", "jax.experimental.pjit", "jax.experimental.shard_map", "jax.extend", "jax.extend.core",
    "jax.flatten_util", "jax.image", "jax.lax", "jax.lax.linalg", "jax.monitoring", "jax.nn", "jax.nn.initializers",
    "jax.numpy", "jax.numpy.fft", "jax.numpy.linalg", "jax.ops", "jax.profiler", "jax.random", "jax.scipy",
    "jax.scipy.cluster",
    "jax.scipy.cluster.vq", "jax.scipy.fft", "jax.scipy.integrate", "jax.scipy.interpolate", "jax.scipy.linalg",
    "jax.scipy.ndimage", "jax.scipy.optimize", "jax.scipy.signal", "jax.scipy.sparse", "jax.scipy.sparse.linalg",
    "jax.scipy.spatial", "jax.scipy.spatial.transform", "jax.scipy.special", "jax.scipy.stats", "jax.sharding",
    "jax.stages", "jax.test_util", "jax.tree", "jax.tree_util", "jax.typing",
]  # fmt: skip
DISTRIBUTIONS = (
    "bernoulli beta betabinom binom cauchy chi2 dirichlet expon gamma gennorm geom gumbel_l gumbel_r laplace logistic"
    " multinomial multivariate_normal nbinom norm pareto poisson t truncnorm uniform vonmises wrapcauchy"
)
MODULES += [f"jax.scipy.stats.{name}" for name in DISTRIBUTIONS.split()]
#: Modules that show what they import and their helpers, too.
OPEN = {
    "jax.experimental.ode": {"odeint"},
    "jax.experimental.multihost_utils": {
        "assert_equal", "broadcast_one_to_all", "global_array_to_host_local_array", "host_local_array_to_global_array",
        "live_devices", "process_allgather", "reached_preemption_sync_point", "sync_global_devices",
    },
}  # fmt: skip


def names_of(module: ModuleType) -> list[str]:
    """The public names of a module of JAX: without modules of others, and what comes from typing."""
    return sorted(name for name in {*dir(module), *getattr(module, "__all__", ())} if is_public(module, name))


def is_public(module: ModuleType, name: str) -> bool:
    if name.startswith("_") or name in ("annotations", "TYPE_CHECKING"):
        return False
    if module.__name__ in OPEN:
        return name in OPEN[module.__name__]
    try:
        value = getattr(module, name)
    except AttributeError:  # names that JAX has removed
        return False
    if isinstance(value, ModuleType):
        return value.__name__ == f"{module.__name__}.{name}"
    origin = getattr(value, "__module__", None) or ""
    if "example_libraries" in module.__name__:
        return origin in (module.__name__, "")
    return origin not in ("typing", "collections.abc", "__future__")


def stored() -> dict[str, list[str]]:
    paragraphs = STORED.read_text().strip().split("\n\n")
    return {module: names.split() for module, names in (text.split(":", 1) for text in paragraphs)}


def left_out() -> list[tuple[str, str]]:
    """(module, name or pattern) of the table."""
    rows = [line.split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    return [(row[0].strip("| `"), name.strip("`")) for row in rows for name in row[1].split()]


def has(module: str, name: str) -> bool:
    try:
        found = importlib.import_module("nrx" + (name if module == "modules" else module).removeprefix("jax"))
    except ModuleNotFoundError:
        return False
    return module == "modules" or hasattr(found, name)


@pytest.mark.parametrize("module", ["modules", *MODULES])
def test_every_name_is_here_or_left_out(module: str) -> None:
    patterns = [pattern for place, pattern in left_out() if place == module]
    absent = {name for name in stored()[module] if not has(module, name)}
    assert not {name for name in absent if not any(fnmatchcase(name, pattern) for pattern in patterns)}


def test_the_names_of_every_module_are_looked_at() -> None:
    empty = {"jax.example_libraries", "jax.version"}
    assert {name for name in stored()["modules"] if has("modules", name)} - empty == set(MODULES)


@pytest.mark.parametrize(("module", "pattern"), left_out())
def test_no_name_that_is_left_out_exists(module: str, pattern: str) -> None:
    meant = [name for name in stored()[module] if fnmatchcase(name, pattern)]
    assert meant
    assert not [name for name in meant if has(module, name)]


def test_every_name_of_numpy_is_here_or_left_out() -> None:
    named = set(re.findall(r"`([\w.]+)`", TABLE.read_text().partition("## Names of NumPy")[2]))
    absent = {name for name in np.__all__ if not hasattr(nrx.numpy, name)} - {"__version__"}
    absent |= {f"linalg.{name}" for name in np.linalg.__all__ if not hasattr(nrx.numpy.linalg, name)}
    absent |= {f"fft.{name}" for name in np.fft.__all__ if not hasattr(nrx.numpy.fft, name)}
    assert absent <= named


def test_every_attribute_of_arrays_is_here_or_left_out() -> None:
    jax = pytest.importorskip("jax")
    text = TABLE.read_text().partition("## Attributes of arrays")[2]
    theirs = {name for kind in (jax.numpy.zeros(2), np.zeros(2)) for name in dir(kind) if not name.startswith("_")}
    absent = {name for name in theirs if not hasattr(nrx.numpy.zeros((2, 2)), name)}
    named = set(text.replace("`", " ").replace(",", " ").replace(".", " ").split())
    assert absent <= named


def test_the_stored_names_are_those_of_jax() -> None:
    jax = pytest.importorskip("jax")
    if not jax.__version__.startswith("0.10."):
        pytest.skip("another version of JAX")
    assert stored() == current()


def current() -> dict[str, list[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated names
        loaded = {module: importlib.import_module(module) for module in MODULES}
        return {"modules": public_modules()} | {module: names_of(value) for module, value in loaded.items()}


def public_modules() -> list[str]:
    """The modules of JAX without an underscore, by their files: many need what is not installed."""
    root = Path(importlib.import_module("jax").__file__ or "").parent
    paths = [file.relative_to(root.parent).with_suffix("").parts for file in root.rglob("*.py")]
    names = {".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in paths}
    return sorted(name for name in names if "._" not in name)


if __name__ == "__main__":
    texts = [textwrap.fill(f"{module}: {' '.join(names)}", 120) for module, names in current().items()]
    STORED.write_text("\n\n".join(texts) + "\n")
