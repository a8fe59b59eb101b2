"""All workloads, in the order of the report."""

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import (
    chain,
    derivatives,
    dispatch,
    elementwise,
    lorenz,
    matrices,
    mlp,
    movement,
    rows,
    start,
)

MODULES = (elementwise, rows, lorenz, matrices, mlp, movement, derivatives, dispatch, start, chain)


def all_cases() -> dict[str, Case]:
    return {case.name: case for module in MODULES for case in module.cases()}
