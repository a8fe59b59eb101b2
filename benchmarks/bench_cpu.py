"""nrx on the CPU beside JAX and PyTorch, in ratios, with targets: see `benchmarks/cpu`."""

import argparse
import secrets
import sys
import time
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from benchmarks.cpu import machine
from benchmarks.cpu.case import Case
from benchmarks.cpu.catalogue import all_cases
from benchmarks.cpu.peers import PEERS, installed
from benchmarks.cpu.processes import PeerError, contestant, peak
from benchmarks.cpu.report import METHOD, Row, figures, summary
from benchmarks.cpu.results import Outcome, Timing
from benchmarks.cpu.rounds import FULL, QUICK, STARTS, Plan, measure

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "docs" / "benchmarks" / "cpu.md"
REASONS = ROOT / "benchmarks" / "cpu" / "reasons.toml"


def parsed(arguments: Sequence[str], names: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks cpu", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="workloads whose names begin so; prints their table")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=installed(), help="who takes part")
    parser.add_argument("--quick", action="store_true", help="few and short bursts; prints the table")
    parser.add_argument("--threads", type=int, default=machine.processors(), help="for each library (default: all)")
    parser.add_argument("--seed", type=int, default=secrets.randbits(31), help="of the random data (default: fresh)")
    parser.add_argument(
        "--output", type=Path, help="write the report here (default: of a full run, docs/benchmarks/cpu.md)"
    )
    parser.add_argument("--list", action="store_true", help="list the workloads and run none")
    options = parser.parse_args(arguments)
    options.names = [name for name in names if not options.only or name.startswith(tuple(options.only))]
    if not options.names:
        parser.error(f"no workload begins with {' or '.join(options.only)}: there are {', '.join(names)}")
    if options.output is None and not (options.only or options.quick) and set(options.peers) == set(PEERS):
        options.output = REPORT
    return options


def run(case: Case, peers: Sequence[str], plan: Plan, seed: int, threads: int) -> dict[str, Outcome]:
    """Measure one workload."""
    with ExitStack() as stack:
        contestants = {
            peer: stack.enter_context(contestant(case, peer, seed, threads, plan.limit))
            for peer in peers
            if peer in case.tasks
        }
        outcomes = measure(contestants, plan)
        return {
            peer: str(outcome)
            if isinstance(outcome, PeerError)
            else Timing(outcome, contestants[peer].busy, contestants[peer].memory)
            for peer, outcome in outcomes.items()
        }


def facts(options: argparse.Namespace, seconds: float, disturbance: str) -> dict[str, str]:
    return {
        "Date": f"{date.today():%Y-%m-%d}; the run took {seconds / 60:.0f} minutes",
        "Processor": f"{machine.processor_name()}, {machine.processors()} processors, {machine.vector_extension()}",
        "Threads": f"{options.threads} for each library",
        "Versions": ", ".join(f"{package} {number}" for package, number in machine.versions().items()),
        "Disturbance": disturbance,
        "Seed": str(options.seed),
    }


def main(arguments: Sequence[str] = ()) -> None:
    cases = all_cases()
    options = parsed(arguments, list(cases))
    if options.list:
        print("\n".join(f"{name:16} {cases[name].title}" for name in options.names))
        return
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    start, before = time.perf_counter(), machine.usage()
    most = peak(options.threads, FULL.limit)
    rows = []
    for name in options.names:
        print(f"{time.perf_counter() - start:5.0f} s  {cases[name].title}", file=sys.stderr, flush=True)
        plan = QUICK if options.quick else FULL if cases[name].warm is None else STARTS
        rows.append(Row(cases[name], run(cases[name], options.peers, plan, options.seed, options.threads)))
    disturbance = machine.disturbance(before, machine.usage())
    text = figures(rows, facts(options, time.perf_counter() - start, disturbance), reasons, most)
    if options.output is None:
        print(text)
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(f"{METHOD}\n{text}", encoding="utf-8")
    print(summary(rows, most))
    print(f"written to {options.output}")
