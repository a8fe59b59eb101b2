"""Functions of the surface beside JAX and NumPy: see `benchmarks/surface`."""

import argparse
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from timeit import Timer
from typing import Any

import numpy as np

import nrx
from benchmarks.bursts import calls_in
from benchmarks.cpu import machine
from benchmarks.surface import arrays, matrices
from benchmarks.surface.case import Case
from benchmarks.surface.report import METHOD, Row, figures, line

try:
    import jax
except ImportError:
    jax = None

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "docs" / "benchmarks" / "surface.md"
REASONS = ROOT / "benchmarks" / "surface" / "reasons.toml"
SEED = 0
LEAST_BURSTS, ALLOWANCE = 3, 0.5  # after so many seconds a function has no more bursts


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks surface", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="TITLE", help="functions whose titles begin so; prints the table")
    parser.add_argument("--quick", action="store_true", help="few bursts; prints the table")
    parser.add_argument("--way", choices=("eager", "jit"), help="only so; prints the table")
    parser.add_argument("--dtype", help="only of this dtype; prints the table")
    return parser.parse_args(arguments)


def contestants(case: Case, way: str, data: tuple) -> dict[str, Callable[[], Any]]:
    """A call of each library without arguments."""
    calls: dict[str, Callable[[], Any]] = {}
    for library in filter(None, (nrx, jax)):
        program = partial(case.program, library)
        function = library.jit(program) if way == "jit" else program
        operands = [library.numpy.asarray(array) for array in data]
        calls[library.__name__] = lambda f=function, xs=operands, lib=library: lib.block_until_ready(f(*xs))
    if case.in_numpy is not None:
        calls["numpy"] = partial(case.in_numpy, *data)
    return calls


def measured(calls: dict[str, Callable[[], Any]], bursts: int, seconds: float) -> dict[str, list[float] | str]:
    """The seconds of a call in each burst, by turns; why, where one fails."""
    times: dict[str, list[float] | str] = {}
    timers = {}
    for library, call in calls.items():
        try:
            timer = Timer(call)
            timers[library] = timer, calls_in(seconds, timer)
            times[library] = []
        except Exception as failure:  # a row of the report, whatever it is
            times[library] = f"{type(failure).__name__}: {str(failure).splitlines()[0]}"
    for _ in range(bursts):
        for library, (timer, count) in timers.items():
            found = times[library]
            assert isinstance(found, list)
            if len(found) < LEAST_BURSTS or count * sum(found) < ALLOWANCE:
                found.append(timer.timeit(count) / count)
    return times


def rows_of(case: Case, options: argparse.Namespace) -> Iterator[Row]:
    plan = {"bursts": 5, "seconds": 0.002} if options.quick else {"bursts": 25, "seconds": 0.005}
    ways = [way for way, wanted in (("eager", case.eager), ("jit", case.jitted)) if wanted]
    for dtype in case.dtypes:
        if options.dtype not in (None, dtype):
            continue
        data = case.data(np.random.default_rng(SEED), dtype)
        with jax.enable_x64(dtype == "float64") if jax else nullcontext():
            for way in ways:
                if options.way in (None, way):
                    yield Row(case.title, dtype, way, measured(contestants(case, way, data), **plan))


def facts(seconds: float, disturbance: str) -> dict[str, str]:
    return {
        "Date": f"{date.today():%Y-%m-%d}; the run took {seconds / 60:.0f} minutes",
        "Processor": f"{machine.processor_name()}, {machine.processors()} processors, {machine.vector_extension()}",
        "Versions": ", ".join(f"{package} {number}" for package, number in machine.versions().items()),
        "Disturbance": disturbance,
    }


def main(arguments: Sequence[str] = ()) -> None:
    options = parsed(arguments)
    start, before = time.perf_counter(), machine.usage()
    rows: list[Row] = []
    for case in chain(arrays.cases(), matrices.cases()):
        if not options.only or case.title.startswith(tuple(options.only)):
            for row in rows_of(case, options):
                print(f"{time.perf_counter() - start:4.0f} s ", *line(row), file=sys.stderr, sep="  ", flush=True)
                rows.append(row)
    disturbance = machine.disturbance(before, machine.usage())
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    text = figures(rows, facts(time.perf_counter() - start, disturbance), reasons)
    if any((options.only, options.quick, options.way, options.dtype)) or jax is None:
        print(text)
        return
    REPORT.write_text(f"{METHOD}\n{text}", encoding="utf-8")
    print(f"written to {REPORT}")
