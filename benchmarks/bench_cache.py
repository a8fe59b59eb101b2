"""What it costs to compile a training step, and to find it again on each level of the cache."""

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

import nrx
from benchmarks.bursts import fastest
from benchmarks.cpu.workloads import mlp
from nrx.compiler import cache, llvm, programs
from nrx.compiler.compile import compile_program
from nrx.compiler.fingerprint import fingerprint
from nrx.compiler.loader import Loaded
from nrx.compiler.targets import host
from nrx.core.program import Program


def training_step() -> Program:
    """The gradient of the loss of the network of `mlp`."""
    x, labels, *_ = mlp.inputs(np.random.default_rng(0))
    model = nrx.nn.sequential(nrx.nn.Dense(mlp.SIZES[1]), nrx.nn.Relu, nrx.nn.Dense(mlp.SIZES[2]))
    tree = model.init(nrx.random.key(0), x)

    def loss(params: Any, x: Any, labels: Any) -> Any:
        return nrx.nn.softmax_cross_entropy_with_integer_labels(model.apply(params, x), labels).mean()

    return nrx.jit(nrx.value_and_grad(loss)).trace(tree, x, labels)


def forgetting(function: Callable[[], Any]) -> Callable[[], Any]:
    """The function with nothing in memory."""

    def run() -> None:
        programs._in_memory.clear()
        cache._loaded.clear()
        cache._kept.clear()
        function()

    return run


def main() -> None:
    program, target = training_step(), host()
    text = compile_program(program, target).text
    data = llvm.assemble(text, target)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NRX_CACHE_DIR"] = folder
        kept = programs.CompiledProgram(program, target, ())
        rows: dict[str, Callable[[], Any]] = {
            "the passes": lambda: compile_program(program, target),
            "LLVM": lambda: llvm.assemble(text, target),
            "the name of a Program": lambda: fingerprint(program),
            "found in memory": lambda: programs.CompiledProgram(program, target, ()),
            "found on disk": forgetting(lambda: programs.CompiledProgram(program, target, ())),
            "loading the object": lambda: Loaded(data),
        }
        print(
            f"{len(program.eqns)} equations, {text.count(chr(10))} lines, {len(data)} bytes of {kept.code.size} in use"
        )
        for name, time in zip(rows, fastest(*rows.values(), bursts=10, seconds=0.02), strict=True):
            print(f"{name:22} {time * 1e3:8.3f} ms")


if __name__ == "__main__":
    main()
