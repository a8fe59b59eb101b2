"""From the start of a process to the end of its first training step, with empty caches on disk and with warm ones."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import mlp, resnet, transformer

NOTE = {
    False: "JAX's cache on disk is off, as it is by default; those of nrx and torch.compile are new folders.",
    True: "JAX's cache on disk is on, for compilations of any length. PyTorch eager has none.",
}


def of(training: Case, name: str, warm: bool, jax: float) -> Case:
    """The start of a training case; of its reference the first loss is what counts."""
    return replace(
        training,
        name=name,
        title=f"process start to first training step, {'warm' if warm else 'empty'} cache: {training.title}",
        reference=lambda *data: training.reference(*data)[0],
        targets={"jax": jax, "torch": 10.0},
        tolerance=1e-4,
        warm=warm,
        note=NOTE[warm],
    )


def cases(larger: Sequence[Case] = (*transformer.cases(), *resnet.cases())) -> list[Case]:
    network = mlp.cases()[0]
    return [
        of(network, "start-cold", False, 3.0),
        of(network, "start-warm", True, 5.0),
        *(of(case, f"start-{case.name}", False, 3.0) for case in larger),
    ]


def first_loss(name: str, peer: str, seed: int) -> float:
    """The loss of a process's first step: what a case waits for."""
    (case,) = (case for case in cases() if case.name == name)
    task = case.tasks[peer](*case.inputs(np.random.default_rng(seed)))
    loss = float(task.run())
    task.finish()
    return loss
