"""Every public function that JAX has as well, beside JAX's: values, dtypes, weak types, derivatives, `vmap`.

The cases stand in `tests/differential`, the differences that are meant in `known_differences.py`: one that is not there
any more is a failure, and so is a public function without a case.
"""

import ast
import functools
import importlib
import warnings
from typing import Any

import numpy as np
import pytest
from differential import TABLES
from differential.base import COMPLEX, INTEGER, OTHER, REAL, operands
from known_differences import DIFFERENTIAL, NOT_COMPARED

import nrx

jax = pytest.importorskip("jax")

#: Quick compilation: what runs, runs once.
XLA = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
BATCH = 20

Key = tuple[str, str, str]
ALL = [(module, name, case) for module, table in TABLES.items() for name, cases in table.items() for case in cases]


def find(library: Any, path: str) -> Any:
    """A module or an object of one by its path; `jax` and `nrx` alike."""
    try:
        return importlib.import_module(f"{library.__name__}.{path}")
    except ModuleNotFoundError:
        parent, _, name = path.rpartition(".")
        return getattr(find(library, parent), name)


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


@functools.lru_cache(maxsize=8)
def answers_of_jax(batch: int, what: str, real: str, integer: str) -> dict[Key, Any]:
    """JAX's answers for the cases of a batch: those that can be traced compiled at once, which is quicker by far."""
    cases = {key: Case(jax, *key, operands(real, integer)) for key in CASES[batch * BATCH : (batch + 1) * BATCH]}
    found: dict[Key, Any] = {}
    for key, case in cases.items():
        try:
            jax.eval_shape(getattr(case, what), case.arrays())
        except Exception:
            found[key] = attempt(case, what)
    traced = {key: case for key, case in cases.items() if key not in found}
    compute = jax.jit(lambda given: [getattr(case, what)(given[key]) for key, case in traced.items()],
                      compiler_options=XLA)  # fmt: skip
    return {**found, **dict(zip(traced, compute({key: case.arrays() for key, case in traced.items()}), strict=True))}


def attempt(case: Case, what: str) -> Any:
    try:
        return getattr(case, what)(case.arrays())
    except Exception as error:
        return error


def assert_close(ours: Any, theirs: Any, tolerance: float) -> None:
    """Within `tolerance` of the largest magnitude, where finite; the same infinities and NaN."""
    assert ours.shape == theirs.shape
    assert str(ours.dtype) == str(theirs.dtype)
    kind = np.complex128 if ours.dtype.kind == "c" else np.float64
    if ours.dtype.kind in "biu":
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
        return
    got, expected = np.asarray(ours).astype(kind), np.asarray(theirs).astype(kind)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * largest)


def tolerance_of(leaf: Any, units: float) -> float:
    return units * float(nrx.numpy.finfo(leaf.dtype).eps) if is_inexact(leaf) else 0.0


def compare(ours: list[Any], theirs: list[Any], units: float) -> None:
    assert len(ours) == len(theirs)
    for got, expected in zip(ours, theirs, strict=True):
        assert_close(got, expected, tolerance_of(got, units))


def differences(key: Key, what: str, real: str, integer: str) -> str:
    """How the two libraries differ, "" if they do not or if JAX has no answer to the derivative or `vmap`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = answers_of_jax(CASES.index(key) // BATCH, what, real, integer)[key]
    if isinstance(expected, Exception):
        return f"JAX raises {expected!r}" if what == "leaves" else ""
    ours = Case(nrx, *key, operands(real, integer))
    try:
        got = getattr(ours, what)(ours.arrays())
        compare(got, expected, 1000 if what == "derivatives" else 100)
        if what == "leaves":
            compare_rest(ours, Case(jax, *key, operands(real, integer)))
            assert [leaf.weak_type for leaf in got] == [leaf.weak_type for leaf in expected], "weak types"
    except (AssertionError, TypeError, ValueError, ArithmeticError, LookupError, NotImplementedError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def compare_rest(ours: Case, theirs: Case) -> None:
    """The leaves that are no arrays: numbers, names, dtypes."""
    rest = [str(leaf) for leaf in nrx.tree_util.tree_leaves(ours(ours.arrays())) if not is_array(leaf)]
    if rest:
        assert rest == [str(leaf) for leaf in jax.tree_util.tree_leaves(theirs(theirs.arrays())) if not is_array(leaf)]


def check(key: Key, what: str, real: str, integer: str) -> None:
    module, name, case = key
    found = differences(key, what, real, integer)
    reason = DIFFERENTIAL[what].get(f"{module}.{name}: {case}")
    assert bool(found) == bool(reason), found or f"no difference any more: {reason}"


@pytest.mark.parametrize("key", CASES, ids=": ".join)
def test_values(key: Key) -> None:
    check(key, "leaves", "float32", "int32")


def is_traceable(key: Key) -> bool:
    names = Case(nrx, *key, operands("float32", "int32")).values
    return any(name in REAL or name in COMPLEX for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["derivatives", "batched"])
@pytest.mark.parametrize("key", [key for key in CASES if is_traceable(key)], ids=": ".join)
def test_transformed(key: Key, what: str) -> None:
    check(key, what, "float32", "int32")
