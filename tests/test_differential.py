"""Every public function that JAX has as well, beside JAX's: values, dtypes, weak types, derivatives, `vmap`.

The cases stand in `tests/differential`, the differences that are meant in `known_differences.py`: one that is not there
any more is a failure, and so is a public function without a case.
"""

import ast
import contextlib
import functools
import importlib
import types
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from differential import TABLES
from differential.base import COMPLEX, INTEGER, REAL, operands
from known_differences import DIFFERENTIAL, NOT_COMPARED
from known_differences import DIFFERENTIAL_UNITS as UNITS

import nrx

jax = pytest.importorskip("jax")

#: Quick compilation: what runs, runs once. Operands in half precision are rounded as written.
XLA = {
    "xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True, "xla_allow_excess_precision": False,
}  # fmt: skip
BATCH = 40
SINGLE, DOUBLE = ("float32", "int32"), ("float64", "int64")
#: What JAX has in its 64-bit mode only.
DOUBLE_ONLY = {
    "float64", "double", "float_", "int64", "int_", "uint64", "uint", "complex128", "complex_", "cdouble",
}  # fmt: skip

Key = tuple[str, str, str]
ALL = [(module, name, case) for module, table in TABLES.items() for name, cases in table.items() for case in cases]


def find(library: Any, path: str) -> Any:
    """A module or an object of one by its path, None if it is not there; `jax` and `nrx` alike."""
    try:
        return importlib.import_module(f"{library.__name__}.{path}")
    except ModuleNotFoundError:
        parent, _, name = path.rpartition(".")
        return getattr(find(library, parent), name, None)


def exists(module: str, name: str) -> bool:
    return hasattr(find(nrx, module), name) and hasattr(find(jax, module), name)


CASES = [case for case in ALL if exists(*case[:2])]


class Case:
    """One expression in one library: its free operands, and its value as a function of them."""

    def __init__(self, library: Any, module: str, name: str, case: str, values: dict[str, np.ndarray]) -> None:
        whole = any(isinstance(node, ast.Name) and node.id == "f" for node in ast.walk(ast.parse(f"g({case})")))
        text = case if whole else f"f({case})"
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        self.library = library
        self.code = compile(text, text, "eval")
        self.scope = {
            "f": getattr(find(library, module), name), "xp": library.numpy, "lax": library.lax, "np": np,
            "random": library.random, "library": library,
        }  # fmt: skip
        self.values = {name: value for name, value in values.items() if name in used}

    def __call__(self, given: dict[str, Any]) -> Any:
        return eval(self.code, {**self.scope, **given})

    def arrays(self) -> dict[str, Any]:
        return {name: self.library.numpy.asarray(value) for name, value in self.values.items()}

    def leaves(self, given: dict[str, Any]) -> list[Any]:
        """The arrays of the value."""
        return [leaf for leaf in self.library.tree_util.tree_leaves(self(given)) if is_array(leaf)]

    def derivatives(self, given: dict[str, Any]) -> list[Any]:
        """The tangents in the direction of the cosines, and the gradients of the sum weighted by them."""
        wrt = {name: value for name, value in given.items() if name in REAL or name in COMPLEX}

        def inexact(wrt: dict[str, Any]) -> list[Any]:
            return [leaf for leaf in self.leaves({**given, **wrt}) if is_inexact(leaf)]

        tangents = self.library.tree_util.tree_map(self.cosines, wrt)
        out, forward = self.library.jvp(inexact, (wrt,), (tangents,))
        backward = self.library.vjp(inexact, wrt)[1](self.library.tree_util.tree_map(self.cosines, out))[0]
        return [*forward, *(backward[name] for name in sorted(backward))]

    def cosines(self, x: Any) -> Any:
        weights = np.cos(np.arange(x.size, dtype=np.float64)).reshape(x.shape)
        return self.library.numpy.asarray(weights.astype(x.dtype))

    def batched(self, given: dict[str, Any]) -> list[Any]:
        """Over two examples of each operand that is numbers or a key."""
        mapped = {name: value for name, value in given.items() if name not in ("o", "d", "e", "x")}
        pairs = {name: self.library.numpy.stack([value, self.other(name, value)]) for name, value in mapped.items()}
        return self.library.vmap(lambda mapped: self.leaves({**given, **mapped}))(pairs)

    def other(self, name: str, value: Any) -> Any:
        if name == "key":
            return value + self.library.numpy.uint32(1)
        return value if name in INTEGER else (value * 0.9375).astype(value.dtype)


def is_array(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and hasattr(leaf, "weak_type")


def is_inexact(leaf: Any) -> bool:
    return leaf.dtype.kind in "fc" or leaf.dtype.name.startswith(("bfloat16", "float8"))


@contextlib.contextmanager
def default_dtypes(real: str) -> Iterator[None]:
    """With float64 operands, both libraries make 64-bit arrays."""
    if real != "float64":
        yield
        return
    with jax.enable_x64(True), nrx.config.using(default_float="float64", default_int="int64"):
        yield


@functools.lru_cache(maxsize=4)
def answers_of_jax(batch: int, what: str, kinds: tuple[str, str]) -> dict[Key, Any]:
    """JAX's answers for the cases of a batch: those that can be traced compiled at once, which is quicker by far."""
    cases = {key: Case(jax, *key, operands(*kinds)) for key in CASES[batch * BATCH : (batch + 1) * BATCH]}
    found: dict[Key, Any] = {}
    for key, case in cases.items():
        try:
            jax.eval_shape(getattr(case, what), case.arrays())
        except Exception:
            found[key] = attempt(case, what)
    traced = {key: case for key, case in cases.items() if key not in found}
    given = [case.arrays() for case in traced.values()]

    def every(given: list[dict[str, Any]]) -> list[Any]:
        return [getattr(case, what)(arrays) for case, arrays in zip(traced.values(), given, strict=True)]

    try:
        answers = jax.jit(every, compiler_options=XLA)(given)
    except Exception:  # XLA lacks one of them in this dtype
        answers = [attempt(case, what) for case in traced.values()]
    return {**found, **dict(zip(traced, answers, strict=True))}


def attempt(case: Case, what: str) -> Any:
    """The value, or the error."""
    try:
        return getattr(case, what)(case.arrays())
    except Exception as error:
        return error


def compare(ours: list[Any], theirs: list[Any], units: float) -> None:
    """The same shapes, dtypes, infinities and NaN; numbers within `units` last places of the largest.

    In single precision these are at least as many as in `test_values`, whatever the operands.
    """
    assert len(ours) == len(theirs)
    for got, expected in zip(ours, theirs, strict=True):
        assert (got.shape, str(got.dtype)) == (expected.shape, str(expected.dtype))
        if not is_inexact(got):
            np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
            continue
        kind = np.complex128 if got.dtype.kind == "c" else np.float64
        value, truth = np.asarray(got).astype(kind), np.asarray(expected).astype(kind)
        allowed = units if got.dtype.itemsize == 2 else max(units, UNITS)
        bound = allowed * float(nrx.numpy.finfo(got.dtype).eps)
        largest = np.abs(truth[np.isfinite(truth)]).max(initial=0.0)
        np.testing.assert_allclose(value, truth, rtol=bound, atol=bound * largest)


def differences(key: Key, what: str, kinds: tuple[str, str], units: float) -> str:
    """How the two libraries differ, "" if they do not or if JAX has no answer to the derivative or `vmap`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = answers_of_jax(CASES.index(key) // BATCH, what, kinds)[key]
    if isinstance(expected, Exception):
        return f"JAX raises {expected!r}" if what == "leaves" and kinds == SINGLE else ""
    ours = Case(nrx, *key, operands(*kinds))
    try:
        got = getattr(ours, what)(ours.arrays())
        compare(got, expected, units)
        if what == "leaves":
            compare_rest(ours, Case(jax, *key, operands(*kinds)))
            weak = [[leaf.weak_type and leaf.dtype != bool for leaf in leaves] for leaves in (got, expected)]
            assert weak[0] == weak[1], "weak types"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def compare_rest(ours: Case, theirs: Case) -> None:
    """The leaves that are no arrays: numbers, names, dtypes."""
    rest = [str(leaf) for leaf in nrx.tree_util.tree_leaves(ours(ours.arrays())) if not is_array(leaf)]
    if rest:
        assert rest == [str(leaf) for leaf in jax.tree_util.tree_leaves(theirs(theirs.arrays())) if not is_array(leaf)]


def reason_of(key: Key, table: str) -> str | None:
    module, name, case = key
    return DIFFERENTIAL[table].get(f"{module}.{name}: {case}")


def check(key: Key, what: str, units: float) -> None:
    """Single precision agrees, or is known not to."""
    kinds = DOUBLE if key[1] in DOUBLE_ONLY else SINGLE
    with default_dtypes(kinds[0]):
        found = differences(key, what, kinds, units)
    reason = reason_of(key, what)
    assert bool(found) == bool(reason), found or f"no difference any more: {reason}"


@pytest.mark.parametrize("key", CASES, ids=": ".join)
def test_values(key: Key) -> None:
    check(key, "leaves", UNITS)


#: The operands whose dtypes are varied.
TYPED = {*REAL, *COMPLEX, *INTEGER, "x", "e"}


def uses(key: Key, names: Iterable[str]) -> bool:
    """Whether a case has one of these operands."""
    return not set(names).isdisjoint(Case(nrx, *key, operands(*SINGLE)).values)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "units"), [("derivatives", 10 * UNITS), ("batched", UNITS)])
@pytest.mark.parametrize("key", [key for key in CASES if uses(key, {*REAL, *COMPLEX})], ids=": ".join)
def test_transformed(key: Key, what: str, units: float) -> None:
    check(key, what, units)


@pytest.mark.slow
@pytest.mark.parametrize(("real", "integer", "units"), [("float64", "int64", 1e4), ("bfloat16", "int8", 4),
                                                        ("float16", "uint8", 8)])  # fmt: skip
@pytest.mark.parametrize("key", [key for key in CASES if uses(key, TYPED)], ids=": ".join)
def test_other_dtypes(key: Key, real: str, integer: str, units: float) -> None:
    if reason_of(key, "leaves"):
        pytest.skip("differs in single precision")
    with default_dtypes(real):
        found = differences(key, "leaves", (real, integer), units)
    reason = reason_of(key, real)
    assert bool(found) == bool(reason), found or f"no difference any more: {reason}"


def test_every_known_difference_is_of_a_case() -> None:
    """One of no case, or of a case that is not compared in its dtype, would never be seen to be gone."""
    cases = {f"{module}.{name}: {case}" for module, name, case in CASES}
    for table, entries in DIFFERENTIAL.items():
        assert set(entries) - cases == set(), table
        if table not in ("leaves", "derivatives", "batched"):
            assert set(entries) & set(DIFFERENTIAL["leaves"]) == set(), table


#: The modules that have JAX's names.
MODULES = [
    "numpy", "numpy.linalg", "numpy.fft", "lax", "lax.linalg", "nn", "nn.initializers", "random", "ops",
    "scipy.cluster.vq", "scipy.fft", "scipy.integrate", "scipy.interpolate", "scipy.linalg", "scipy.ndimage",
    "scipy.optimize", "scipy.signal", "scipy.sparse.linalg", "scipy.spatial.transform", "scipy.special", "scipy.stats",
]  # fmt: skip
DISTRIBUTIONS = [name for name in TABLES if name.startswith("scipy.stats.")]


def public(library: Any, module: str) -> set[str]:
    names = {name for name in dir(find(library, module)) if not name.startswith("_")}
    return {name for name in names if not isinstance(getattr(find(library, module), name), types.ModuleType)}


@pytest.mark.parametrize("module", [*MODULES, *DISTRIBUTIONS])
def test_every_public_function_has_a_case(module: str) -> None:
    common = public(nrx, module) & public(jax, module)
    objects = {path.rpartition(".")[2] for path in DISTRIBUTIONS} if module == "scipy.stats" else set()
    excepted = {name.rpartition(".")[2] for name in NOT_COMPARED if name.rpartition(".")[0] == module}
    cases = set(TABLES.get(module, {}))
    assert common - cases - objects - excepted == set()
    assert module in DISTRIBUTIONS or not common or cases <= common
