"""From the start of a process to the end of its first training step, with empty caches on disk and with warm ones."""

import numpy as np

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import mlp

NOTE = {
    False: "JAX's cache on disk is off, as it is by default; those of nrx and torch.compile are new folders.",
    True: "JAX's cache on disk is on, for compilations of any length. PyTorch eager has none.",
}


def reference(*data: np.ndarray) -> float:
    return mlp.reference(*data, steps=1)[0]


def cases() -> list[Case]:
    return [
        Case(
            name=f"start-{'warm' if warm else 'cold'}",
            title=f"process start to first training step, {'warm' if warm else 'empty'} cache: MLP",
            inputs=mlp.inputs,
            reference=reference,
            tolerance=1e-4,
            tasks=mlp.TASKS,
            targets={"jax": 5.0 if warm else 3.0, "torch": 10.0},
            warm=warm,
            note=NOTE[warm],
        )
        for warm in (False, True)
    ]
