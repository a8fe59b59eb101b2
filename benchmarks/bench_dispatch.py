"""What a call of a jitted function costs beside the computation, for all kinds of arguments, beside JAX's.

All run in short bursts by turns, and each counts with its fastest burst, so that a busy machine slows them alike.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

import nrx
from benchmarks.bursts import fastest

jax: Any = None
with suppress(ImportError):
    import jax

VECTOR = np.linspace(-1, 2, 4, dtype=np.float32)


def arrays(library: Any, count: int) -> list[Any]:
    return [library.numpy.asarray(VECTOR + i) for i in range(count)]


def doubled(library: Any) -> Callable:
    return library.jit(lambda *args, **kwargs: library.tree_util.tree_map(lambda x: x + x, (args, kwargs)))


def one(library: Any) -> Callable[[], Any]:
    f, (x,) = doubled(library), arrays(library, 1)
    return lambda: f(x)


def four(library: Any) -> Callable[[], Any]:
    f, tree = doubled(library), dict(zip("abcd", arrays(library, 4), strict=True))
    return lambda: f(tree)


def hundred(library: Any) -> Callable[[], Any]:
    leaves = arrays(library, 100)
    f, tree = doubled(library), [{"w": w, "b": b} for w, b in zip(leaves[::2], leaves[1::2], strict=True)]
    return lambda: f(tree)


def keywords(library: Any) -> Callable[[], Any]:
    f, (x, y) = doubled(library), arrays(library, 2)
    return lambda: f(x, scale=y)


def scalars(library: Any) -> Callable[[], Any]:
    f, (x,) = doubled(library), arrays(library, 1)
    return lambda: f(x, 0.5, 3)


def numpy_data(library: Any) -> Callable[[], Any]:
    f = doubled(library)
    return lambda: f(VECTOR)


def static(library: Any) -> Callable[[], Any]:
    f, (x,) = library.jit(lambda x, mode, n: x * n, static_argnums=(1, 2)), arrays(library, 1)
    return lambda: f(x, "train", 2)


def donated(library: Any) -> Callable[[], Any]:
    f = library.jit(lambda state: [x + 1 for x in state], donate_argnums=0)
    state = arrays(library, 4)

    def step() -> None:
        nonlocal state
        state = f(state)

    return step


def two_shapes(library: Any) -> Callable[[], Any]:
    f, (x, y) = doubled(library), arrays(library, 2)
    z = y.reshape(2, 2)
    return lambda: (f(x), f(z))


def ahead_of_time(library: Any) -> Callable[[], Any]:
    (x,) = arrays(library, 1)
    f = library.jit(lambda x: x + x).lower(x).compile()
    return lambda: f(x)


CALLS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "1 leaf": one,
    "4 leaves": four,
    "100 leaves": hundred,
    "a keyword argument": keywords,
    "Python scalars": scalars,
    "a NumPy array": numpy_data,
    "static arguments": static,
    "4 donated leaves": donated,
    "two shapes by turns": two_shapes,
    "ahead of time": ahead_of_time,
}


def main() -> None:
    libraries = [nrx] + ([jax] if jax else [])
    print(f"{'call':22} {'nrx':>9}" + f" {'jax':>9} {'jax over nrx':>13}" * bool(jax))
    for name, make in CALLS.items():
        times = [time * 1e6 for time in fastest(*map(make, libraries), bursts=100, seconds=0.001)]
        ratio = f" {times[-1] / times[0]:12.1f}×" if jax else ""
        print(f"{name:22}" + "".join(f" {time:6.2f} µs" for time in times) + ratio)


if __name__ == "__main__":
    main()
