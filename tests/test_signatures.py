"""The arguments of every public function are JAX's: names, order, kinds and defaults, as the caller meets them.

Ours may take more. What differs on purpose stands in `known_differences.SIGNATURES`.
"""

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from known_differences import SIGNATURES
from test_names_left_out import DISTRIBUTIONS, MODULES

jax = pytest.importorskip("jax")

Parameters = Mapping[str, inspect.Parameter]
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def parameters(function: Any) -> Parameters | None:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None


def pairs() -> Iterator[tuple[str, Callable, Callable]]:
    """(path, JAX's function, ours) of every public function that both have."""
    for place in MODULES:
        if place.rpartition(".")[2] in DISTRIBUTIONS.split():  # methods; their parameters are tested below
            continue
        theirs, ours = importlib.import_module(place), importlib.import_module("nrx" + place.removeprefix("jax"))
        for name in sorted({*dir(theirs), *getattr(theirs, "__all__", ())}):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated names
                f, g = getattr(theirs, name, None), getattr(ours, name, None)
            if name.startswith("_") or isinstance(f, type) or not callable(f) or g is None:
                continue
            if says_something(parameters(f)) and parameters(g) is not None:
                yield f"{place}.{name}", f, g


def says_something(found: Parameters | None) -> bool:
    """Not just `*args, **kwargs`, which are handed on."""
    return found is not None and not found.keys() <= {"args", "kwargs"}


PAIRS = {path: (f, g) for path, f, g in pairs()} if jax.__version__.startswith("0.10.") else {}


def of_kind(found: Parameters, *kinds: Any) -> list[inspect.Parameter]:
    return [p for p in found.values() if p.kind in kinds]


def same_default(a: Any, b: Any) -> bool:
    """Equal as values; markers of what is not given, functions and dtypes differ in spelling only."""
    empty = inspect.Parameter.empty
    if a is empty or "NoDefault" in repr(a):
        return True
    if b is empty:
        return False
    if all(value is None or value is False for value in (a, b)):
        return True
    simple = (type(None), bool, int, float, complex, str, tuple)
    if isinstance(a, simple) and isinstance(b, simple):
        return a == b
    return True


def faults(theirs: Parameters, ours: Parameters) -> Iterator[str]:
    """What JAX's callers can write that means something else here, or nothing."""
    any_name = bool(of_kind(ours, inspect.Parameter.VAR_KEYWORD))
    if of_kind(theirs, inspect.Parameter.VAR_POSITIONAL) and not of_kind(ours, inspect.Parameter.VAR_POSITIONAL):
        yield "*args"
    if of_kind(theirs, inspect.Parameter.VAR_KEYWORD) and not any_name:
        yield "**kwargs"
    for p, q in zip(of_kind(theirs, *BY_PLACE), [*of_kind(ours, *BY_PLACE), None], strict=False):
        if q is None:
            break
        if p.kind in NAMED and p.name != q.name:
            yield f"{p.name} is {q.name}"
    for p in of_kind(theirs, *NAMED):
        q = ours.get(p.name)
        if q is None or q.kind not in NAMED:
            if not any_name:
                yield f"no argument {p.name}"
        elif p.kind in BY_PLACE and q.kind not in BY_PLACE:
            yield f"{p.name} only by name"
        elif not same_default(p.default, q.default):
            yield f"{p.name}={p.default!r} is {q.default!r}"


def is_ufunc(path: str, function: Any) -> bool:
    """Functions of NumPy whose operands have no names, and neither have ours."""
    operands = [p for p in (parameters(function) or {}).values() if p.kind is inspect.Parameter.POSITIONAL_ONLY]
    return path.startswith("jax.numpy.") and isinstance(getattr(np, path[10:], None), np.ufunc) and bool(operands)


@pytest.mark.skipif(not PAIRS, reason="another version of JAX")
def test_functions_are_found() -> None:
    assert len(PAIRS) > 900


@pytest.mark.parametrize("path", PAIRS)
def test_the_arguments_are_those_of_jax(path: str) -> None:
    f, g = PAIRS[path]
    theirs, ours = parameters(f), parameters(g)
    assert theirs is not None
    assert ours is not None
    if is_ufunc(path, g):
        assert len(of_kind(ours, inspect.Parameter.POSITIONAL_ONLY)) == getattr(np, path[10:]).nin
        return
    assert {fault for fault in faults(theirs, ours) if not known(path, fault)} == set()


def known(path: str, fault: str) -> bool:
    return fault in SIGNATURES.get(path, {})


@pytest.mark.parametrize("path", SIGNATURES)
def test_what_is_known_differs(path: str) -> None:
    if not PAIRS:
        pytest.skip("another version of JAX")
    theirs, ours = map(parameters, PAIRS[path])
    assert theirs is not None
    assert ours is not None
    assert SIGNATURES[path].keys() <= set(faults(theirs, ours))


@pytest.mark.parametrize("name", DISTRIBUTIONS.split())
def test_the_parameters_of_distributions(name: str) -> None:
    theirs = importlib.import_module(f"jax.scipy.stats.{name}")
    ours = getattr(importlib.import_module("nrx.scipy.stats"), name)
    for method in [m for m in ("pdf", "logpdf", "pmf", "logpmf", "cdf", "logcdf", "sf", "ppf") if hasattr(theirs, m)]:
        meant = parameters(getattr(theirs, method))
        found = parameters(getattr(ours, method))
        assert meant is not None
        assert found is not None
        if "args" not in found:
            assert list(meant) == list(found)[: len(meant)]
            continue
        names = (*ours.shapes, *ours._further)
        assert tuple(list(meant)[1:]) == names[: len(meant) - 1]
        defaults = {key: p.default for key, p in meant.items() if p.default is not inspect.Parameter.empty}
        assert defaults == {key: ours._further[key] for key in defaults}
