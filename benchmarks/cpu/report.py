"""The report, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.cpu.case import Case
from benchmarks.cpu.peers import PEERS
from benchmarks.cpu.results import Growth, Outcome, Peak, Timing, Verdict, growths, verdicts

METHOD = """\
# The CPU, beside JAX and PyTorch

Written by `make bench`; do not edit. `python -m benchmarks cpu --only rk4 --quick` measures a few workloads and prints
them only, `--list` lists their names. Both want the packages of the extra `bench` (`pip install -e '.[bench]'`; `make
bench` has an environment of its own, with the peers); a peer that is missing is left out.

Every workload runs the same mathematical program in each library, written as that library wants it
(`benchmarks/cpu/workloads/`), in a process of its own, with the same number of threads and the same random data, fresh
in each run of the benchmarks. Before it is timed, its result is compared with NumPy's in float64. The processes take
turns in short bursts, with pauses in between. A sample is the mean over about a millisecond of calls, or one call.

A ratio is the peer's time over that of nrx: first that of the minima, then that of the 25th percentiles, and a target
is met when both reach it. PyTorch counts with the better of eager and `torch.compile`. Times are only comparable within
a run.

The share of the peak is the least time that the workload's products or bytes take at the rates of the machine, which
two kernels find in the same run (`benchmarks/cpu/roofline.py`), over that of nrx. Bytes are those of operands and
results, each once, as if they came from memory; what stays in a cache may have more than all.
"""


MEMORY = """\
What the process of a library has in memory during a training step at most, in MiB, beyond what it had after the import:
parameters, moments, data, generated code and all that the step computes with, but not the files of libraries.
"""


class Row(NamedTuple):
    """A workload and what became of each contestant."""

    case: Case
    outcomes: Mapping[str, Outcome]

    @property
    def verdicts(self) -> list[Verdict]:
        return verdicts(self.case.targets, self.outcomes)


def growths_of(rows: Sequence[Row]) -> list[Growth]:
    return growths({row.case.name: row.outcomes for row in rows})


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def microseconds(seconds: float) -> str:
    """With three digits, or all those before the point."""
    value = seconds * 1e6
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cell(outcome: Outcome | None) -> str:
    """The minimum, or that there is none: why is below the tables."""
    return microseconds(outcome.minimum) if isinstance(outcome, Timing) else "–" if outcome is None else "failed"


def judgement(met: bool) -> str:
    return "met" if met else "**missed**"


def judged(row: Row, against: str) -> list[str]:
    """Two cells: the ratios, and the target with whether it was met."""
    if against not in row.case.targets:
        return ["–", "–"]
    target = f"≥ {row.case.targets[against]:g}"
    for verdict in row.verdicts:
        if verdict.against == against:
            return [str(verdict.ratio or "–"), f"{target} {judgement(verdict.met)}"]
    return ["–", f"{target} unknown"]


def share(row: Row, peak: Peak | None) -> str:
    """How near nrx comes to what the machine can do, and which rate it is limited by."""
    ours = row.outcomes.get("nrx")
    if peak is None or row.case.work is None or not isinstance(ours, Timing):
        return "–"
    part, limit = peak.share(row.case.work, ours.minimum)
    return f"{part:.0%} of {limit}"


def memory(rows: Sequence[Row]) -> str:
    """The memory of each training step, in MiB, and whether ours is at most the smaller of the peers'."""
    head = ["workload", *(peer.title for peer in PEERS.values()), "target"]
    lines = []
    for row in rows:
        found = {peer: t.memory for peer, t in row.outcomes.items() if isinstance(t, Timing) and t.memory is not None}
        if row.case.is_training and "nrx" in found and len(found) > 1:
            met = found["nrx"] <= min(nbytes for peer, nbytes in found.items() if peer != "nrx")
            cells = [f"{found[peer] / (1 << 20):.0f}" if peer in found else "–" for peer in PEERS]
            lines.append([row.case.title, *cells, f"≤ the least {judgement(met)}"])
    return table(head, lines) if lines else ""


def summary(rows: Sequence[Row], peak: Peak | None = None) -> str:
    head = [
        "workload (minima in µs)",
        *(peer.title for peer in PEERS.values()),
        "JAX / nrx",
        "target",
        "PyTorch / nrx",
        "target",
        "share of the peak",
    ]
    lines = [
        [
            row.case.title, *(cell(row.outcomes.get(peer)) for peer in PEERS), *judged(row, "jax"),
            *judged(row, "torch"), share(row, peak),
        ]
        for row in rows
    ]  # fmt: skip
    return table(head, lines)


def growth_text(growths: Sequence[Growth]) -> str:
    """A sentence for each."""
    sentences = []
    for growth in growths:
        shown = ", ".join(f"{PEERS[peer].title} × {ratio}" for peer, ratio in growth.ratios.items())
        target = f"≤ {growth.law.target:g} {judgement(growth.met)}"
        sentences.append(f"Growth of {growth.law.title}: {shown}; target {target}.\n")
    return "\n".join(sentences)


def details(rows: Sequence[Row]) -> str:
    head = ["workload", "library", "minimum", "25 %", "median", "spread", "samples", "busy in pauses"]
    lines = []
    for row in rows:
        for peer, timing in row.outcomes.items():
            if isinstance(timing, Timing):
                times = [microseconds(time) for time in (timing.minimum, timing.quartile, timing.median)]
                share = [f"{timing.spread:.0%}", f"{len(timing.samples):,}", f"{timing.busy:.1%}"]
                lines.append([row.case.title, PEERS[peer].title, *times, *share])
    return table(head, lines)


def missed(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The workload and the key of each target that is missed, as in `reasons.toml`."""
    found = [(row.case.name, verdict.against) for row in rows for verdict in row.verdicts if not verdict.met]
    return found + [(growth.law.large, "growth") for growth in growths_of(rows) if not growth.met]


def misses(rows: Sequence[Row], reasons: Mapping[str, Mapping[str, str]]) -> str:
    """Each miss with its reason."""
    titles = {row.case.name: row.case.title for row in rows}
    whom = {"jax": "against JAX", "torch": "against PyTorch", "growth": "growth"}
    lines = []
    for name, key in missed(rows):
        reason = reasons.get(name, {}).get(key, "no reason is written down yet (`benchmarks/cpu/reasons.toml`).")
        lines.append(f"- **{titles[name]}**, {whom[key]}: {reason}")
    return "\n".join(lines) + "\n" if lines else "None of those that were measured.\n"


def remarks(rows: Sequence[Row]) -> str:
    """What to know of a workload, and why a contestant has no times."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        if row.case.note:
            notes.setdefault(row.case.note, []).append(row.case.title)
    lines = [f"- {'; '.join(titles)}: {note}" for note, titles in notes.items()]
    for row in rows:
        for peer, outcome in row.outcomes.items():
            if isinstance(outcome, str):
                lines.append(f"- {row.case.title}: {PEERS[peer].title} failed: {outcome}")
    return "\n".join(lines) + "\n" if lines else ""


def figures(
    rows: Sequence[Row], machine: Mapping[str, str], reasons: Mapping[str, Mapping[str, str]], peak: Peak | None = None
) -> str:
    """The report without the introduction: `METHOD`.

    Args:
        rows: the workloads in order.
        machine: facts to be listed.
        reasons: workload -> key of the target -> why it is missed, and what was tried.
        peak: what the machine can do.

    Returns:
        Markdown.
    """
    if peak is not None:
        rates = ", ".join(f"{flops / 1e9:,.0f} GFLOP/s in {dtype}" for dtype, flops in peak.flops.items())
        machine = {**machine, "Peak": f"{rates}, {peak.nbytes / 1e9:.1f} GB/s"}
    sections = {
        "## Results": "\n".join(filter(None, [summary(rows, peak), growth_text(growths_of(rows))])),
        "## Memory": memory(rows) and f"{MEMORY}\n{memory(rows)}",
        "## Missed targets": misses(rows, reasons),
        "## Remarks": remarks(rows),
        "## Machine": "\n".join(f"- {name}: {fact}" for name, fact in machine.items()) + "\n",
        "## Times": "In µs. The spread is the distance of the quartiles, relative to the median.\n\n" + details(rows),
    }
    return "\n".join(f"{title}\n\n{text}" for title, text in sections.items() if text)
