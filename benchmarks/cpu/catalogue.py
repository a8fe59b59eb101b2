"""All workloads, in the order of the report."""

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import (
    attention,
    chain,
    convolution,
    derivatives,
    dispatch,
    elementwise,
    gemm,
    lorenz,
    lstm,
    matrices,
    mlp,
    movement,
    resnet,
    rows,
    start,
    transformer,
)

MODULES = (
    elementwise,
    rows,
    lorenz,
    matrices,
    mlp,
    lstm,
    transformer,
    resnet,
    gemm,
    convolution,
    attention,
    movement,
    derivatives,
    dispatch,
    start,
    chain,
)


def all_cases() -> dict[str, Case]:
    return {case.name: case for module in MODULES for case in module.cases()}
