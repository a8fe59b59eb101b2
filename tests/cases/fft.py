"""Cases of the Fourier transforms, against sums written out."""

from collections.abc import Callable

import numpy as np

from cases.base import COMPLEXES, FLOATS32_64, Case, arg
from nrx.ops.fft import transform

FACTORS = {"backward": lambda n, inverse: 1 / n if inverse else 1, "ortho": lambda n, inverse: n**-0.5}
FACTORS["forward"] = lambda n, inverse: FACTORS["backward"](n, not inverse)


def summed(x: np.ndarray, axis: int, inverse: bool, norm: str) -> np.ndarray:
    """The transform along an axis by its matrix."""
    n = x.shape[axis]
    matrix = np.exp((2j if inverse else -2j) * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    return np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis) * FACTORS[norm](n, inverse)


def whole(half: np.ndarray, n: int, axis: int) -> np.ndarray:
    """Both halves of a spectrum; at 0, and at n / 2, the real part."""
    half = np.moveaxis(half, axis, -1).copy()
    half[..., 0] = half[..., 0].real
    if n % 2 == 0:
        half[..., -1] = half[..., -1].real
    return np.moveaxis(np.concatenate([half, half[..., 1 : (n + 1) // 2][..., ::-1].conj()], -1), -1, axis)


def oracle(kind: str, lengths: tuple, axes: tuple, norm: str) -> Callable:
    def compute(x: np.ndarray) -> np.ndarray:
        for axis in axes[:-1] if kind == "irfft" else axes:
            x = summed(x, axis, kind.startswith("i"), norm)
        if kind == "irfft":
            return summed(whole(x, lengths[-1], axes[-1]), axes[-1], True, norm).real
        return np.take(x, range(lengths[-1] // 2 + 1), axes[-1]) if kind == "rfft" else x

    return compute


def case(kind: str, shape: tuple, lengths: tuple, axes: tuple, norm: str = "backward", jax: str = "") -> Case:
    def function(x):
        return transform(x, kind, lengths, axes, norm)

    name = f"fft-{kind}-{'x'.join(map(str, shape))}-{norm}-{''.join(map(str, axes))}"
    dtypes = FLOATS32_64 if kind == "rfft" else COMPLEXES
    return Case(name, "fft", function, [arg(*shape)], oracle(kind, lengths, axes, norm), dtypes=dtypes, jax=jax, ulp=16)


CASES = [
    case("fft", (2, 5), (5,), (1,), jax="lambda x: lax.fft(x, 'fft', (5,))"),
    case("fft", (4, 3), (4,), (0,), "ortho"),
    case("fft", (2, 3, 2), (2, 2), (2, 0), "forward"),
    case("fft", (0, 3), (3,), (1,)),
    case("ifft", (2, 3), (2, 3), (0, 1), jax="lambda x: lax.fft(x, 'ifft', (2, 3))"),
    case("ifft", (4,), (4,), (0,), "forward"),
    case("rfft", (2, 4), (4,), (1,), jax="lambda x: lax.fft(x, 'rfft', (4,))"),
    case("rfft", (5, 2), (5,), (0,), "ortho"),
    case("rfft", (3, 2, 2), (2, 3), (1, 0), "forward"),
    case("rfft", (2, 1), (1,), (1,)),
    case("irfft", (2, 3), (4,), (1,), jax="lambda x: lax.fft(x, 'irfft', (4,))"),
    case("irfft", (3, 2), (5,), (0,), "ortho"),
    case("irfft", (2, 3), (2, 5), (0, 1), "forward"),
    case("irfft", (1, 2), (1,), (0,)),
]
