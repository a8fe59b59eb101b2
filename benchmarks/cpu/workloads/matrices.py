"""Products of 3 × 3 matrices in a long `scan`: a body that rotates by a fixed angle each step, say."""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case, pure

STEPS = 100_000


def program(steps: int, library: Any, start: Any, rotation: Any) -> Any:
    return library.lax.scan(lambda carry, _: (carry @ rotation, None), start, None, length=steps)[0]


def inputs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(3, 3)), np.linalg.qr(rng.normal(size=(3, 3)))[0]


def cases(steps: int = STEPS) -> list[Case]:
    return [
        Case(
            name="matrices",
            title=f"3×3 f64 matrices in a scan of {steps:,} steps",
            inputs=inputs,
            reference=lambda start, rotation: start @ np.linalg.matrix_power(rotation, steps),
            tolerance=1e-10,
            tasks=pure(partial(program, steps)),
            targets={"jax": 1.0},
            x64=True,
        )
    ]
