"""What one compilation for many batch sizes costs: in the running code, in compilations, and for each new size.

The code for any size and that for one size run in short bursts by turns in one process, and each counts with its
fastest burst, so that a busy machine slows them alike.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any
from unittest import mock

import numpy as np

import nrx
import nrx.numpy as jnp
from benchmarks.bursts import fastest
from nrx.compiler import cache, generalize

SIZES = [1, 4, 13, 32, 100, 256, 1000, 4096]
FEATURES, CLASSES = 64, 10
MANY = range(1, 1001)
LIMIT = 1.15

Arguments = tuple[Any, ...]


def rows(size: int, columns: int = FEATURES) -> np.ndarray:
    return np.random.default_rng(size).normal(size=(size, columns)).astype(np.float32)


PARAMS = {"w1": rows(FEATURES, 128) / 8, "b1": rows(1, 128)[0], "w2": rows(128, CLASSES) / 8}
OPTIMIZER = nrx.optim.adam(1e-3)


def elementwise(x: Any) -> Any:
    return jnp.tanh(x * 2 + 1) * x


def normalized(x: Any) -> Any:
    centred = x - x.mean(1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)


def forward(params: Any, x: Any) -> Any:
    return jnp.maximum(x @ params["w1"] + params["b1"], 0) @ params["w2"]


def loss(params: Any, x: Any, y: Any) -> Any:
    return -(nrx.nn.log_softmax(forward(params, x)) * y).sum(1).mean()


def descent(params: Any, x: Any, y: Any) -> Any:
    gradient = nrx.grad(loss)(params, x, y)
    return {name: params[name] - 0.1 * gradient[name] for name in params}


def training_step(params: Any, state: Any, x: Any, y: Any) -> Any:
    value, gradient = nrx.value_and_grad(loss)(params, x, y)
    updates, state = OPTIMIZER.update(gradient, state, params)
    return nrx.optim.apply_updates(params, updates), state, value


def attention(query: Any, key: Any, value: Any) -> Any:
    return nrx.nn.softmax(query @ key.T / 8) @ value


def convolution(x: Any, kernel: Any) -> Any:
    return nrx.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


KERNELS: dict[str, tuple[Callable, Callable[[int], Arguments]]] = {
    "elementwise": (elementwise, lambda n: (rows(n),)),
    "softmax of rows": (nrx.nn.softmax, lambda n: (rows(n),)),
    "layer norm": (normalized, lambda n: (rows(n),)),
    "sum over axis 0": (lambda x: x.sum(0), lambda n: (rows(n),)),
    "x @ w": (lambda x, w: x @ w, lambda n: (rows(n, 128), rows(128, 128))),
    "MLP forward": (forward, lambda n: (PARAMS, rows(n))),
    "MLP gradient and SGD": (descent, lambda n: (PARAMS, rows(n), rows(n, CLASSES))),
}
COUNTED: dict[str, tuple[Callable, Callable[[int], Arguments], range]] = {
    **{name: (*KERNELS[name], MANY) for name in ("elementwise", "softmax of rows", "x @ w")},
    "MLP step with Adam": (
        training_step, lambda n: (PARAMS, OPTIMIZER.init(PARAMS), rows(n), rows(n, CLASSES)), MANY,
    ),
    "x @ x.T": (lambda x: x @ x.T, lambda n: (rows(n),), range(1, 201)),
    "convolution": (
        convolution, lambda n: (rows(n, 256).reshape(n, 8, 8, 4), rows(288, 1).reshape(3, 3, 4, 8)), range(1, 201),
    ),
    "attention, two lengths": (
        attention, lambda n: (rows(n), rows(1 + 7 * n % 211), rows(1 + 7 * n % 211)), range(1, 201),
    ),
}  # fmt: skip


def ratio(function: Callable, arguments: Callable[[int], Arguments], size: int) -> float:
    """The time of the code for any size over that of the code for this one, both in one thread."""
    args = arguments(size)
    static, dynamic = nrx.jit(function), nrx.jit(function)
    with nrx.config.using(dynamic_shapes=False):
        static(*args)
    dynamic(*arguments(size + 3))
    times = fastest(lambda: dynamic(*args), lambda: static(*args), bursts=40, seconds=0.004)
    return times[0] / times[1]


def compilations(function: Callable, arguments: Callable[[int], Arguments], sizes: range) -> tuple[int, float, float]:
    """How many sizes were compiled, and the seconds that a new size and a known one took of those that were not."""
    texts: set[str] = set()
    new, known = [], []
    jitted, load = nrx.jit(function), cache.load
    for size in sizes:
        args = arguments(size)
        with mock.patch.object(cache, "load", side_effect=load) as loading:
            times = [time.perf_counter()]
            for _ in range(3):
                jitted(*args)
                times.append(time.perf_counter())
        text = loading.call_args.args[0]
        if text in texts:
            new.append(times[1] - times[0])
            known.append(times[3] - times[2])
        texts.add(text)
    return len(texts), median(new), median(known)


def main() -> None:
    threads = nrx.get_num_threads()
    nrx.set_num_threads(1)  # what the threads of a busy machine do would hide the difference
    with mock.patch.dict("os.environ", NRX_CACHE="0"):
        print(f"time over that of code for one size{'':9}" + "".join(f"{size:>7}" for size in SIZES))
        for name, (function, arguments) in KERNELS.items():
            ratios = [ratio(function, arguments, size) for size in SIZES]
            print(f"{name:44}" + "".join(f"{r:6.2f}{'!' if r > LIMIT else ' '}" for r in ratios), flush=True)
        print(f"\n{'':32}{'sizes':>6} {'compiled':>9} {'a new size':>12} {'a known one':>12}")
        for name, (function, arguments, sizes) in COUNTED.items():
            generalize.forget_references()
            count, new, known = compilations(function, arguments, sizes)
            print(f"{name:32}{len(sizes):6} {count:9} {new * 1e3:9.1f} ms {known * 1e6:9.1f} µs", flush=True)
    nrx.set_num_threads(threads)


if __name__ == "__main__":
    main()
