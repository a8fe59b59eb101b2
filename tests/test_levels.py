"""Compiled code on every level of this processor and with several threads: the bits of one are those of the other."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from cases.base import Case
from hypothesis import given, settings
from known_differences import AMPLIFIED
from loop_machine import fenced, fenced_block
from oracles import assert_as_eager
from test_primitives import draw, each_case, each_case_and_dtype, results
from test_random_programs import COMMON, PROGRAMS, RandomProgram, Step

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.backends import llvm_cpu
from nrx.backends.op_by_op import compile_op_by_op
from nrx.compiler import plan, programs
from nrx.compiler.targets import describe, host_levels
from nrx.core.array import asarray
from nrx.core.program import Program
from nrx.transforms.staging import stage

LEVELS = [level for level in host_levels() if level != "x86-64-v2"]  # the same vectors as x86-64
THREADS = (1, 2, 5)
DEVICE = nrx.devices()[0]


@pytest.fixture(autouse=True)
def eager_to_share(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Even the smallest kernel is shared between threads, one task at a time."""
    monkeypatch.setattr(plan, "_SERIAL_COST", 0.0)
    monkeypatch.setattr(plan, "_GRAIN_COSTS", (1.0,))
    monkeypatch.setattr(programs, "fingerprint", lambda *_: None)  # it knows nothing of these
    before = nrx.get_num_threads()
    yield
    nrx.set_num_threads(before)


def compiled_results(program: Program, arrays: Sequence[np.ndarray], level: str) -> list[np.ndarray]:
    """The results on a level, which are the same for each number of threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llvm_cpu, "host", lambda: describe(level))
        patch.setattr(llvm_cpu, "allocate", fenced_block)
        executable = llvm_cpu.compile_native(program, DEVICE)
        answers = []
        for count in THREADS:
            nrx.set_num_threads(count)
            answers.append([np.array(x) for x in executable(arrays)])
    for other in answers[1:]:
        assert [x.tobytes() for x in other] == [x.tobytes() for x in answers[0]]
    return answers[0]


def check(program: Program, arrays: Sequence[np.ndarray], levels: Sequence[str] = LEVELS) -> None:
    with np.errstate(all="ignore"):
        eager = compile_op_by_op(program, DEVICE)(arrays)
    for level in levels:
        for got, expected in zip(compiled_results(program, arrays, level), eager, strict=True):
            assert_as_eager(program, got, np.asarray(expected))


def check_case(case: Case, dtype: str) -> None:
    args = [asarray(x) for x in draw(case, dtype)]
    program = stage(lambda *xs: results(case.function(*xs)), [x.aval for x in args], case.name)
    closed, consts = program.closed()
    check(closed, [np.asarray(x) for x in (*consts, *args)])


@each_case(lambda case: not case.marks)
def test_case(case: Case) -> None:
    check_case(case, case.dtypes[0])


@pytest.mark.slow
@each_case_and_dtype()
def test_case_in_every_dtype(case: Case, dtype: str) -> None:
    check_case(case, dtype)


def programs_of(program: RandomProgram) -> list[tuple[Program, list[np.ndarray]]]:
    """A random program, and the gradient of one, with arguments."""
    values = program.draw()
    avals = [asarray(x).aval for x in values]

    def gradient(*inputs: Any) -> Any:
        out, pull = nrx.vjp(lambda *xs: program(*xs), *inputs)
        return pull(out)

    functions = [lambda *xs: program(*xs), *([gradient] if program.reversible else [])]
    found = []
    for function in functions:
        closed, consts = stage(function, avals, "random").closed()
        found.append((closed, [np.asarray(x) for x in (*consts, *values)]))
    return found


def check_program(program: RandomProgram, levels: Sequence[str]) -> None:
    """Like eager evaluation, but for roundings that are amplified by what follows."""
    for staged, arrays in programs_of(program):
        with np.errstate(all="ignore"):
            eager = compile_op_by_op(staged, DEVICE)(arrays)
        for level in levels:
            for got, expected in zip(compiled_results(staged, arrays, level), eager, strict=True):
                assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
                size = np.abs(expected[np.isfinite(expected)]).max(initial=0)
                np.testing.assert_allclose(got, expected, rtol=AMPLIFIED, atol=AMPLIFIED * (1 + size))


@settings(max_examples=40, derandomize=True, **COMMON)
@given(PROGRAMS)
def test_random_programs(program: RandomProgram) -> None:
    check_program(program, LEVELS)


def test_results_beside_aliases_of_what_they_overwrite() -> None:
    """Found by the soak: a result took over memory that the same kernel read through a view, after the store."""
    names = [("abs", 1, 0, 0), ("transpose", 0, 0, 1), ("abs", 0, 0, 0), ("cumulative", 1, 0, 3)]
    check_program(RandomProgram(tuple(Step(*step) for step in names), ((3, 1), ()), 0), LEVELS[-1:])


def test_what_costs_nothing_is_not_computed_again_for_nobody() -> None:
    """Found by the soak: a stop_gradient was to be repeated by the readers of a value that was stored."""
    steps = (Step("abs", 0, 0, 0), Step("stop_gradient", 0, 1, 0), Step("sort", 1, 0, 0))
    check_program(RandomProgram(steps, ((), (3,)), 0), LEVELS[-1:])


def test_padding_is_no_alias_of_what_is_padded() -> None:
    """Found by the soak: a slice of one element, which is padding, was taken for the only element of the operand."""
    steps = (Step("reverse_and_pad", 0, 0, 1), Step("abs", 0, 0, 0), Step("slices", 1, 0, 1))
    check_program(RandomProgram(steps, ((), (1,)), 0), LEVELS[-1:])


def test_products_that_sum_nothing_beside_sums() -> None:
    """Found by the soak: an outer product of one element was summed as often as a row that was summed beside it."""
    names = [("abs", 1, 0, 0)] * 3 + [("abs", 0, 0, 0), ("dot", 2, 0, 0), ("add", 1, 0, 0)]
    check_program(RandomProgram(tuple(Step(*step) for step in names), ((3,), (1,)), 0), LEVELS[-1:])


FENCED: dict[str, Callable] = {
    "transposed": lambda x: x.T + 1,
    "every second row, every third column": lambda x: x[::2, 1::3] * 2,
    "backwards": lambda x: x[::-1, ::-2] * 2,
    "sorted": lambda x: jnp.sort(x, axis=0),
    "summed": lambda x: (x.sum(0), x.sum(1), x.T.cumsum(1)),
    "gathered": lambda x: x[:, np.array([0, -1])] + x[-1:, :1],
    "padded": lambda x: jnp.pad(x, 1) + 1,
    "scanned": lambda x: lax.scan(lambda c, row: (c + row.sum(), row * 2), 0, x.T),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("what", FENCED)
def test_nothing_is_read_behind_an_argument(what: str, level: str) -> None:
    """Every fourth of two elements was loaded by a vector that reached one element too far."""
    for dtype in ("float32", "float64", "int8"):
        for shape in [(2, 4), (3, 2), (4, 4), (4, 2), (1, 5), (5, 3), (8, 7), (16, 4), (17, 33)]:
            x = fenced(np.arange(np.prod(shape)).reshape(shape).astype(dtype))
            program = stage(lambda x: nrx.tree.leaves(FENCED[what](x)), [asarray(x).aval], "fenced")
            closed, consts = program.closed()
            check(closed, [*map(np.asarray, consts), x], [level])


def resident() -> int:
    """Bytes of memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_soak() -> None:
    """2,000 programs and their gradients in one process: memory stays bounded, nothing crashes."""
    before = resident()
    grown: list[int] = []

    @settings(max_examples=2000, **COMMON)
    @given(PROGRAMS)
    def soak(program: RandomProgram) -> None:
        check_program(program, LEVELS[-1:])
        grown.append((resident() - before) >> 20)

    soak()
    first, second = max(grown[: len(grown) // 2]), max(grown[len(grown) // 2 :])
    print(f"{len(grown)} programs, grown by {first} MiB in the first half and {second - first} in the second")
    assert second < 1024
    assert second - first < 128


def test_code_is_freed() -> None:
    """Compiling function after function does not keep their code."""

    def compile_some(first: int) -> None:
        for number in range(first, first + 100):
            nrx.jit(lambda x, n=number: x * n + nrx.numpy.sin(x))(np.arange(8.0))
        gc.collect()

    compile_some(0)
    before = resident()
    compile_some(1000)
    compile_some(2000)
    assert resident() - before < 16 << 20
