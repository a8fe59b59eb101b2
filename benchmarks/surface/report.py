"""The report, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.cpu.report import microseconds, table

METHOD = """\
# Functions one by one, beside JAX and NumPy

Written by `python -m benchmarks surface`; do not edit. With `--only lu qr --quick` it measures a few functions, and
prints their table only.

Each function runs in one process in nrx, JAX and NumPy by turns, in short bursts, on the same data; a time is the
minimum over the bursts, in µs. Eager calls are compared with JAX's eager calls and NumPy's, jitted ones with JAX's
jitted ones and NumPy's. The ratio is our time over that of the faster peer: at most 1.1 is the target. The spread is
how far the median of our bursts lies above their minimum. Each library has the threads that it takes by default.
"""

LIMIT = 1.1


class Row(NamedTuple):
    """A function on data of one dtype, eager or jitted.

    Fields:
        times: of each library, the seconds of a call in each burst; a text if it failed.
    """

    title: str
    dtype: str
    way: str
    times: Mapping[str, Sequence[float] | str]

    @property
    def ratio(self) -> float | None:
        """Our time over the least of the others."""
        best = {library: min(times) for library, times in self.times.items() if not isinstance(times, str)}
        ours = best.pop("nrx", None)
        return None if ours is None or not best else ours / min(best.values())

    @property
    def is_missed(self) -> bool:
        return self.ratio is None or self.ratio > LIMIT


def line(row: Row) -> list[str]:
    cells = []
    for library in ("nrx", "jax", "numpy"):
        times = row.times.get(library)
        cells.append("–" if times is None else "failed" if isinstance(times, str) else microseconds(min(times)))
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
    return [row.title, row.dtype, row.way, *cells, f"**{ratio}**" if row.is_missed else ratio, spread(row)]


def spread(row: Row) -> str:
    times = row.times["nrx"]
    if isinstance(times, str):
        return "–"
    return f"{sorted(times)[len(times) // 2] / min(times) - 1:.0%}"


def summary(rows: Sequence[Row]) -> str:
    return table(["function", "dtype", "way", "nrx", "JAX", "NumPy", "ratio", "spread"], map(line, rows))


def misses(rows: Sequence[Row], reasons: Mapping[str, str]) -> str:
    """Why functions are slower than allowed, one line each."""
    missed: dict[str, list[str]] = {}
    for row in rows:
        if row.is_missed:
            ratio = "failed" if row.ratio is None else f"{row.ratio:.2f}"
            missed.setdefault(row.title, []).append(f"{row.dtype} {row.way} {ratio}")
    lines = []
    for title, found in missed.items():
        known = [reason for start, reason in reasons.items() if title.startswith(start)]
        reason = known[0] if known else "no reason is written down yet (`benchmarks/surface/reasons.toml`)."
        lines.append(f"- **{title}** ({'; '.join(found)}): {reason}")
    return "\n".join(lines) + "\n" if lines else "None of those that were measured.\n"


def failures(rows: Sequence[Row]) -> list[str]:
    return [
        f"- {row.title}, {row.dtype}, {row.way}: {library} failed: {times}"
        for row in rows
        for library, times in row.times.items()
        if isinstance(times, str)
    ]


def figures(rows: Sequence[Row], machine: Mapping[str, str], reasons: Mapping[str, str]) -> str:
    """The report without the introduction: `METHOD`."""
    sections = {
        "## Results": summary(rows),
        "## Slower than the faster peer by more than a tenth": misses(rows, reasons),
        "## Remarks": "\n".join(failures(rows)),
        "## Machine": "\n".join(f"- {name}: {fact}" for name, fact in machine.items()) + "\n",
    }
    return "\n".join(f"{title}\n\n{text}" for title, text in sections.items() if text)
