"""Programs for JAX run unchanged: those of `tests/programs` import jax, get nrx, and give what they give with JAX.

Each program's `main` asserts what must be true of its results, and returns them.
"""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nrx

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))

#: Beyond what single precision lets drift apart in a few steps: the default relative error.
DRIFT = 2e-3


def run(path: Path, package: str) -> Any:
    """The results of a program whose imports from jax come from `package`."""

    def import_module(name: str, *args: Any) -> Any:
        if name.split(".")[0] == "jax":
            name = package + name.removeprefix("jax")
        return builtins.__import__(name, *args)

    own_builtins = {**vars(builtins), "__import__": import_module}
    scope = {"__name__": path.stem, "__file__": str(path), "__builtins__": own_builtins}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), scope)
    return scope["main"]()


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_runs(path: Path) -> None:
    run(path, "nrx")


@pytest.mark.slow
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_gives_what_jax_gives(path: Path) -> None:
    jax = pytest.importorskip("jax")
    ours, theirs = nrx.tree_util.tree_leaves(run(path, "nrx")), jax.tree_util.tree_leaves(run(path, "jax"))
    assert len(ours) == len(theirs)
    for got, expected in zip(ours, theirs, strict=True):
        if isinstance(expected, str):
            assert got == expected
            continue
        got, expected = np.asarray(got), np.asarray(expected)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        largest = np.abs(expected).max(initial=0)
        np.testing.assert_allclose(got, expected, rtol=DRIFT, atol=DRIFT * float(largest))
