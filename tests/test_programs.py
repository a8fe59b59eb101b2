"""Compiled Programs that are found again: without a pass when nothing has changed, and never when anything has."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler import cache, fingerprint, llvm, programs
from nrx.compiler.layout import Layout
from nrx.core import sources
from nrx.core.array import Array, wrap
from nrx.core.backend import Constant, Donated, Passed, Stored
from nrx.core.primitive import registry
from nrx.core.program import Eqn, Program, Var
from nrx.ops.common import FLOATING
from nrx.ops.rules import elementwise

pytest.importorskip("llvmlite")

X = np.random.default_rng(0).normal(size=(3, 4))


@pytest.fixture
def passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the Programs that go through the passes, with nothing in memory or on disk."""
    monkeypatch.setenv("NRX_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("NRX_CACHE", raising=False)
    monkeypatch.setattr(cache, "_kept", type(cache._kept)())
    monkeypatch.setattr(sources, "version", lambda: "these sources")  # which may be edited while tests run
    monkeypatch.setattr(fingerprint, "_version", sources.version)
    compiled: list[str] = []
    module = programs._passes()
    compile_program = module.compile_program

    def counted(program: Program, *args: Any) -> Any:
        compiled.append(program.name)
        return compile_program(program, *args)

    monkeypatch.setattr(module, "compile_program", counted)
    forget()
    yield compiled
    forget()


def forget() -> None:
    programs._in_memory.clear()
    cache._loaded.clear()
    cache._kept.clear()


def program_of(function: Callable, *args: Any) -> Program:
    return nrx.jit(function).trace(*args)


def name_of(function: Callable, *args: Any) -> str | None:
    return fingerprint.fingerprint(program_of(function, *args))


def typical(x: Any, w: Any) -> Any:
    """Calls, control flow, constants, gathers, reductions, random bits."""
    hidden = nrx.nn.gelu(x @ w)
    total, steps = lax.scan(lambda c, row: (c * 0.5 + row, c.sum()), jnp.zeros(w.shape[1], x.dtype), hidden)
    picked = jnp.where(steps[:1] > 0, total, hidden[1])
    return picked + nrx.random.uniform(nrx.random.key(1), (2,)), lax.fori_loop(0, 3, lambda i, c: c * i + 1, x.sum())


def typical_arguments() -> tuple[Array, Array]:
    return jnp.asarray(X), jnp.asarray(X.T[:, :2])


def test_a_program_is_found_in_memory(passes: list[str]) -> None:
    first, second = [nrx.jit(lambda *xs: typical(*xs)) for _ in range(2)]
    expected = first(*typical_arguments())
    assert len(passes) == 1
    for got, want in zip(second(*typical_arguments()), expected, strict=True):
        assert np.asarray(got).tobytes() == np.asarray(want).tobytes()
    assert len(passes) == 1


def test_a_program_is_found_on_disk(passes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nrx.jit(typical)(*typical_arguments())
    forget()
    monkeypatch.setattr(llvm, "assemble", None)
    again = nrx.jit(typical)
    for got, want in zip(again(*typical_arguments()), expected, strict=True):
        assert np.asarray(got).tobytes() == np.asarray(want).tobytes()
    assert len(passes) == 1
    compiled = again.lower(*typical_arguments()).compile()
    assert compiled.cost_analysis()["flops"] > 0
    assert compiled.memory_analysis().code_bytes > 0
    monkeypatch.undo()
    assert "ret" in compiled.as_text()


def test_another_process_needs_no_pass(tmp_path: Path) -> None:
    script = """
import sys
import numpy as np
import nrx
print(np.asarray(nrx.jit(lambda x: nrx.numpy.tanh(x).sum(0))(np.arange(6.0).reshape(2, 3))).tobytes().hex())
print(sorted(name for name in sys.modules if name in ("llvmlite", "nrx.compiler.compile", "nrx.compiler.emit")))
"""
    environment = {**os.environ, "NRX_CACHE_DIR": str(tmp_path)}
    environment.pop("NRX_CACHE", None)
    command = [sys.executable, "-c", script]
    first, second = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
        for _ in range(2)
    ]
    assert first[0] == second[0]
    assert (first[1], second[1]) == ("['llvmlite', 'nrx.compiler.compile', 'nrx.compiler.emit']", "[]")


def test_outputs_that_are_not_computed(passes: list[str]) -> None:
    def function(x: Any, y: Any) -> Any:
        return x, 2.5, jnp.int8(3), y + 1, jnp.arange(3) * 2

    expected = nrx.jit(function)(X, jnp.ones(2))
    forget()
    got = nrx.jit(function)(X, jnp.ones(2))
    assert len(passes) == 1
    for a, b in zip(got, expected, strict=True):
        assert (a.dtype, a.weak_type, a.tolist()) == (b.dtype, b.weak_type, b.tolist())


def test_donation_has_code_of_its_own(passes: list[str]) -> None:
    for donated in (None, 0, None, 0):
        function = nrx.jit(lambda x: x * 2, donate_argnums=donated)
        x = jnp.asarray(X) + 0
        assert function(x).tolist() == (X * 2).tolist()
        assert x.is_deleted() is (donated == 0)
    assert len(passes) == 2


def test_debugging_runs_the_passes(passes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        assert nrx.jit(lambda x: x + 1)(X).tolist() == (X + 1).tolist()

    run()
    with nrx.config.using(debug_checks=True):
        run()
    monkeypatch.setenv("NRX_DUMP", str(tmp_path / "dump"))
    run()
    assert len(passes) == 3
    assert list((tmp_path / "dump").iterdir())


def test_a_damaged_or_missing_part_is_made_again(passes: list[str]) -> None:
    folder = cache.disk_cache().status.folder
    assert folder is not None
    nrx.jit(lambda x: x + 1)(X)
    for number, path in enumerate(sorted(folder.rglob("*.o"))):
        content = path.read_bytes()
        path.unlink() if number % 2 else path.write_bytes(content[:-1])
        forget()
        assert nrx.jit(lambda x: x + 1)(X).tolist() == (X + 1).tolist()
    assert len(passes) >= 2


# ---- names ----------------------------------------------------------------------------------------------------------

DIFFERENT: dict[str, tuple[Callable, tuple]] = {
    "sin": (jnp.sin, (X,)),
    "cos": (jnp.cos, (X,)),
    "another shape": (jnp.sin, (X.T,)),
    "another dtype": (jnp.sin, (X.astype(np.float32),)),
    "a weak type": (jnp.sin, (1.0,)),
    "a strong one": (jnp.sin, (np.float32(1),)),
    "swapped": (lambda x, y: x - y, (X, X)),
    "not swapped": (lambda x, y: y - x, (X, X)),
    "one operand": (lambda x, y: x - x, (X, X)),
    "a literal": (lambda x: x * 2, (X,)),
    "another literal": (lambda x: x * 3, (X,)),
    "zero": (lambda x: x + 0.0, (X,)),
    "negative zero": (lambda x: x + -0.0, (X,)),
    "an axis": (lambda x: x.sum(0), (X,)),
    "another axis": (lambda x: x.sum(1), (X,)),
    "two results": (lambda x: (x.sum(0), x.sum(1)), (X,)),
    "in the other order": (lambda x: (x.sum(1), x.sum(0)), (X,)),
    "bfloat16": (lambda x: x.astype(ml_dtypes.bfloat16), (X,)),
    "float16": (lambda x: x.astype("float16"), (X,)),
    "a mode": (lambda x: x.at[9].add(1, mode="drop"), (X,)),
    "another mode": (lambda x: x.at[9].add(1, mode="clip"), (X,)),
    "a body": (lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x), (X,)),
    "another body": (lambda x: lax.scan(lambda c, r: (c - r, c), x[0], x), (X,)),
    "backwards": (lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x, reverse=True), (X,)),
    "a branch": (lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x), (X,)),
    "the branches swapped": (lambda x: lax.cond(x[0, 0] > 0, jnp.cos, jnp.sin, x), (X,)),
    "the same branch twice": (lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.sin, x), (X,)),
}


def test_different_programs_have_different_names() -> None:
    names = {what: name_of(function, *args) for what, (function, args) in DIFFERENT.items()}
    assert None not in names.values()
    assert len(set(names.values())) == len(names)


def test_the_same_program_has_the_same_name() -> None:
    assert name_of(typical, *typical_arguments()) == name_of(lambda *xs: typical(*xs), *typical_arguments()) is not None
    assert name_of(jnp.sin, X) == name_of(lambda y: jnp.sin(y), X)


def test_custom_rules_do_not_matter_once_the_function_is_called() -> None:
    def with_rule(slope: float) -> Callable:
        function = nrx.custom_jvp(lambda x: x * 2)
        function.defjvp(lambda primals, tangents: (function(*primals), slope * tangents[0]))
        return function

    first, second = map(with_rule, (1.0, 5.0))
    assert name_of(first, X) == name_of(second, X) is not None
    assert name_of(nrx.grad(first), 1.0) != name_of(nrx.grad(second), 1.0)


def test_programs_that_share_variables() -> None:
    """All three had one name."""
    inner = program_of(lambda a, b: jnp.sin(a) + b, X, X)
    a, b = inner.invars
    call = registry["jit"]

    def outer(which: int) -> Program:
        c, x, y, first, second = (Var(a.aval) for _ in range(5))
        sharing = Program((a, b), [Eqn(registry["mul"], (a, b), [c], {})], [(a, b, c)[which]])
        calls = [Eqn(call, (x, y), [first], {"program": inner}), Eqn(call, (x, y), [second], {"program": sharing})]
        return Program((x, y), calls, [first, second])

    assert len({fingerprint.fingerprint(outer(which)) for which in range(3)}) == 3


def test_what_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    own = elementwise("tests_own", lambda xp, x: x + 1, FLOATING, lambda x: x + 1)
    try:
        assert name_of(lambda x: own.bind(jnp.asarray(x)), X) is None
    finally:
        del registry["tests_own"]
    sine = registry["sin"]
    assert name_of(jnp.sin, X) is not None
    monkeypatch.setattr(sine, "lower", functools.partial(sine.lower))
    assert name_of(jnp.sin, X) is None


def test_sources_are_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = name_of(jnp.sin, X)
    monkeypatch.setattr(fingerprint, "_version", lambda: "others")
    assert name_of(jnp.sin, X) != before is not None


def test_sources_that_change_after_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(sources.__file__)
    assert (known := sources.version()) is not None
    monkeypatch.setattr(sources, "_IMPORTED", path.stat().st_ctime_ns)
    assert sources.version() is None
    assert not fingerprint.is_lasting()
    monkeypatch.setattr(sources, "_IMPORTED", path.stat().st_ctime_ns + 10**18)
    assert sources.version() == known


def test_layouts_are_read_as_they_were_written() -> None:
    weak = wrap(np.float32(2.5), weak_type=True)
    constants = (wrap(np.arange(3, dtype=np.int8)), wrap(np.array([1, 2], ml_dtypes.bfloat16)))
    outputs = (Stored(1, 64), Passed(3), Donated(0), Constant(weak))
    prepared = (("float32", (3, 4)), ("bfloat16", ()))
    layout = Layout((128, 0), outputs, 4096, constants, (), (7, 1 << 40), float("inf"), prepared)
    found = Layout.unpack(layout.pack())
    assert found.prepared == prepared
    assert (found.out_blocks, found.arena_bytes, found.symbols, found.cost) == ((128, 0), 4096, (7, 1 << 40), np.inf)
    assert (found.outputs[:3], found.host_calls) == (outputs[:3], ())
    (array,) = found.outputs[3]
    assert (array.dtype, array.weak_type, array.item()) == (np.float32, True, 2.5)
    for got, want in zip(found.constants, constants, strict=True):
        assert (got.dtype, got.tolist()) == (want.dtype, want.tolist())
