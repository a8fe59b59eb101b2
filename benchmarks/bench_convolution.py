"""The choices inside convolution and windowed reduction, each beside the alternative that lost, and JAX.

All run in short bursts by turns, and each counts with its fastest burst, so that a busy machine slows all alike; ratios
above 1 say how many times as long the alternative takes. On a machine that is busy with other things, set
OPENBLAS_NUM_THREADS=1: waiting threads of BLAS would be all that is measured.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

import nrx
from benchmarks import bursts
from nrx.ops import convolution, windows
from nrx.ops.convolution import conv_general_dilated

try:
    import jax
except ImportError:
    jax = None

fastest = partial(bursts.fastest, bursts=15, seconds=0.004)

LAYOUTS = ("NHWC", "HWIO", "NHWC")

# name, lhs, rhs, stride, groups
PROBLEMS = [
    ("32×8×8×16 → 3×3×32", (32, 8, 8, 16), (3, 3, 16, 32), 1, 1),
    ("8×64×64×32 → 3×3×32", (8, 64, 64, 32), (3, 3, 32, 32), 1, 1),
    ("8×64×64×3 → 3×3×32", (8, 64, 64, 3), (3, 3, 3, 32), 1, 1),
    ("32×8×8×128 → 3×3×128", (32, 8, 8, 128), (3, 3, 128, 128), 1, 1),
    ("4×112×112×3 → 7×7×64 / 2", (4, 112, 112, 3), (7, 7, 3, 64), 2, 1),
    ("8×32×32×64 → 3×3×64 / 2", (8, 32, 32, 64), (3, 3, 64, 64), 2, 1),
    ("8×32×32×64, depthwise 3×3", (8, 32, 32, 64), (3, 3, 1, 64), 1, 64),
]


@contextmanager
def setting(name: str, value: Any) -> Iterator[None]:
    """Convolution with one of its choices made otherwise."""
    before = getattr(convolution, name)
    setattr(convolution, name, value)
    try:
        yield
    finally:
        setattr(convolution, name, before)


def otherwise(name: str, value: Any, function: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> None:
        with setting(name, value):
            function()

    return run


def tap_by_tap(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The convolution of padded NHWC data, stride 1, as the sum over the taps of the kernel of one product each."""
    height, width, inputs, outputs = w.shape
    places = (x.shape[0], x.shape[1] - height + 1, x.shape[2] - width + 1)
    total = np.zeros((np.prod(places), outputs), x.dtype)
    for i, j in np.ndindex(height, width):
        total += x[:, i : i + places[1], j : j + places[2]].reshape(-1, inputs) @ w[i, j]
    return total.reshape(*places, outputs)


def never(*args: Any) -> bool:
    return False


ALTERNATIVES = {
    "in one block": ("BLOCK_BYTES_CPU", 1 << 60),
    "no new layout": ("SHORT_RUN", 0),
    "no scattering": ("_is_better_scattered", never),
}


def convolutions() -> None:
    rng = np.random.default_rng(0)
    print(f"{'convolution':28}{'':4}{'time':>10}" + "".join(f"{name:>15}" for name in ALTERNATIVES) + f"{'JAX':>8}")
    for name, x_shape, w_shape, stride, groups in PROBLEMS:
        raw = [rng.normal(size=shape).astype(np.float32) for shape in (x_shape, w_shape)]
        options = {
            "window_strides": (stride, stride), "padding": "SAME", "dimension_numbers": LAYOUTS,
            "feature_group_count": groups,
        }  # fmt: skip
        runs = directions(nrx, lambda x, w, options=options: conv_general_dilated(x, w, **options), *raw)
        theirs: dict[str, Callable] = {}
        if jax is not None:
            theirs = directions(jax, lambda x, w, options=options: jax.lax.conv_general_dilated(x, w, **options), *raw)
        for direction, run in runs.items():
            others = [otherwise(*change, run) for change in ALTERNATIVES.values()]
            ours, *times = fastest(run, *others, *([theirs[direction]] if theirs else []))
            ratios = "".join(f"{time / ours:14.2f}x" for time in times[: len(others)])
            in_jax = f"{times[-1] / ours:7.2f}x" if theirs else ""
            print(f"{name:28}{direction:4}{ours * 1e3:7.2f} ms{ratios}{in_jax}")


def directions(library: Any, function: Callable, x: np.ndarray, w: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The convolution and its gradients by x and by w as calls without arguments."""
    x, w = library.numpy.asarray(x), library.numpy.asarray(w)
    compiled = (lambda f: f) if library is nrx else library.jit
    forward = compiled(function)
    ct = forward(x, w)
    by_x = compiled(library.vjp(lambda x: function(x, w), x)[1])
    by_w = compiled(library.vjp(lambda w: function(x, w), w)[1])
    return {
        "": lambda: forward(x, w).block_until_ready(),
        "dx": lambda: by_x(ct)[0].block_until_ready(),
        "dw": lambda: by_w(ct)[0].block_until_ready(),
    }


def taps() -> None:
    """Windows copied into one matrix against one product a tap."""
    rng = np.random.default_rng(0)
    for name, x_shape, w_shape, _, _ in PROBLEMS[:4]:
        x, w = (rng.normal(size=shape).astype(np.float32) for shape in (x_shape, w_shape))
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x, w = nrx.numpy.asarray(padded), nrx.numpy.asarray(w)
        raw = x.numpy(), w.numpy()
        ours, theirs = fastest(
            lambda x=x, w=w: conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=LAYOUTS),
            lambda raw=raw: tap_by_tap(*raw),
        )
        print(f"{name:28}{'':4}{ours * 1e3:7.2f} ms, tap by tap {theirs / ours:5.2f}x")


def pooling() -> None:
    """Reduction along one axis after the other against NumPy's reduction of a view of all windows, and JAX."""
    for shape, window, strides in [
        ((8, 64, 64, 32), (1, 2, 2, 1), (1, 2, 2, 1)),
        ((8, 64, 64, 32), (1, 3, 3, 1), (1, 2, 2, 1)),
        ((8, 32, 64, 64), (1, 1, 2, 2), (1, 1, 2, 2)),
        ((32, 7, 7, 512), (1, 7, 7, 1), (1, 7, 7, 1)),
    ]:
        data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        x = nrx.numpy.asarray(data)
        view = np.lib.stride_tricks.sliding_window_view(data, window)[tuple(slice(None, None, s) for s in strides)]
        axes = tuple(range(len(shape), 2 * len(shape)))
        out = windows.reduce_window_max(x, window, strides)
        runs = [
            lambda x=x, w=window, s=strides: windows.reduce_window_max(x, w, s),
            lambda view=view, axes=axes: view.max(axes),
            lambda x=x, w=window, s=strides, ct=out: nrx.vjp(lambda x: windows.reduce_window_max(x, w, s), x)[1](ct),
        ]
        if jax is not None:
            runs += jax_pooling(data, window, strides, out.numpy())
        ours, reduced, gradient, *theirs = fastest(*runs)
        text = f"max of {window} / {strides} over {shape}: {ours * 1e3:.2f} ms, view {reduced / ours:.1f}x"
        if theirs:
            text += (
                f", JAX {theirs[0] / ours:.1f}x; with gradient {gradient * 1e3:.2f} ms, JAX {theirs[1] / gradient:.1f}x"
            )
        print(text)


def jax_pooling(data: np.ndarray, window: tuple, strides: tuple, ct: np.ndarray) -> list[Callable[[], Any]]:
    def pool(x: Any) -> Any:
        return jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, strides, "VALID")

    forward, both = jax.jit(pool), jax.jit(lambda x, ct: (pool(x), jax.vjp(pool, x)[1](ct)))
    x = jax.numpy.asarray(data)
    return [lambda: jax.block_until_ready(forward(x)), lambda: jax.block_until_ready(both(x, ct))]


def main() -> None:
    taps()
    convolutions()
    pooling()


if __name__ == "__main__":
    main()
