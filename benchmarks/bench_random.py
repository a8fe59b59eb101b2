"""How long random numbers take, beside NumPy's Philox generator (also counter-based) and JAX (the same numbers).

All run in short bursts by turns, and each counts with its fastest burst, so that a busy machine slows all alike.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import nrx.backends
import nrx.random
from benchmarks.bursts import fastest

try:
    import jax
except ImportError:
    jax = None

COUNT = 1_000_000
BURSTS = {"bursts": 30, "seconds": 0.001}


def draws(random: Any, key: Any) -> dict[str, Callable[[], Any]]:
    """The same draws with `nrx.random` or `jax.random`."""
    return {
        "bits, uint32": lambda: random.bits(key, (COUNT,), "uint32").block_until_ready(),
        "uniform, float32": lambda: random.uniform(key, (COUNT,)).block_until_ready(),
        "uniform in [2, 5)": lambda: random.uniform(key, (COUNT,), minval=2.0, maxval=5.0).block_until_ready(),
        "normal, float32": lambda: random.normal(key, (COUNT,)).block_until_ready(),
        "randint of 1000": lambda: random.randint(key, (COUNT,), 0, 1000).block_until_ready(),
        "permutation": lambda: random.permutation(key, COUNT).block_until_ready(),
    }


def numpy_draws() -> dict[str, Callable[[], Any]]:
    rng = np.random.Generator(np.random.Philox(0))
    return {
        "bits, uint32": lambda: rng.integers(0, 1 << 32, COUNT, np.uint32),
        "uniform, float32": lambda: rng.random(COUNT, np.float32),
        "uniform in [2, 5)": lambda: rng.uniform(2.0, 5.0, COUNT),
        "normal, float32": lambda: rng.standard_normal(COUNT, np.float32),
        "randint of 1000": lambda: rng.integers(0, 1000, COUNT, np.int32),
        "permutation": lambda: rng.permutation(COUNT),
    }


def small(random: Any, key: Any) -> dict[str, Callable[[], Any]]:
    """What a training loop does once a step."""
    return {
        "split into 2": lambda: random.split(key).block_until_ready(),
        "fold_in": lambda: random.fold_in(key, 7).block_until_ready(),
        "one normal": lambda: random.normal(key).block_until_ready(),
    }


def report(name: str, times: list[float], unit: float, suffix: str, others: list[str]) -> None:
    columns = [f"{times[0] / unit:8.2f} {suffix}"]
    columns += [
        f"{time / unit:8.2f} {suffix} ({times[0] / time:4.1f}x {other})"
        for time, other in zip(times[1:], others, strict=True)
    ]
    print(f"{name:20}" + "  ".join(columns))


def main() -> None:
    ours, key = draws(nrx.random, nrx.random.PRNGKey(0)), nrx.random.PRNGKey(0)
    peers = {"numpy": numpy_draws()}
    if jax is not None:
        peers["jax"] = draws(jax.random, jax.random.PRNGKey(0))
    print(f"draws of {COUNT} numbers: nrx, then the others with the time of nrx over theirs")
    for name, draw in ours.items():
        functions = [draw, *(peer[name] for peer in peers.values())]
        report(name, fastest(*functions, **BURSTS), 1e-3, "ms", list(peers))
    if jax is None:
        return
    theirs = small(jax.random, jax.random.PRNGKey(0))
    for name, draw in small(nrx.random, key).items():
        report(name, fastest(draw, theirs[name], **BURSTS), 1e-6, "µs", ["jax"])


if __name__ == "__main__":
    main()
