"""A training step of a small residual network on 32×32 images: a stem and three stages of two blocks, NHWC.

Batches are normalised by their own mean and variance, which no state remembers.
The gradient jumps where a rectifier switches, which rounding to float32 may make some of them do: at the full size the
gradients of libraries were seen 0.3% apart. So the tolerance is wider there; small networks are checked more sharply.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.cpu.case import Case
from benchmarks.cpu.workloads import training
from benchmarks.cpu.workloads.training import Model

CLASSES = 10
EPSILON = 1e-5
BLOCKS = 2
NHWC = "NHWC", "HWIO", "NHWC"


def widths(channels: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Channels before and after each block."""
    before = channels[0]
    for after in channels:
        for _ in range(BLOCKS):
            yield before, after
            before = after


def inputs(rng: np.random.Generator, channels: tuple[int, ...], size: int, batch: int) -> tuple[np.ndarray, ...]:
    """Images, labels, and the parameters: of each convolution its kernel (HWIO), scale and shift; of the head."""
    x = rng.normal(size=(batch, size, size, 3)).astype(np.float32)
    labels = rng.integers(0, CLASSES, batch).astype(np.int32)
    shapes: list[Any] = [(3, 3, 3, channels[0]), (channels[0],), channels[0]]
    for before, after in widths(channels):
        shapes += [(3, 3, before, after), (after,), after, (3, 3, after, after), (after,), after]
        if before != after:
            shapes += [(1, 1, before, after), (after,), after]
    return x, labels, *training.parameters(rng, *shapes, (channels[-1], CLASSES), CLASSES)


def network(params: Any, x: Any, channels: tuple[int, ...], layer: Any, relu: Any) -> Any:
    """What comes out of the last block.

    Args:
        params: a list of all parameters.
        x: images.
        channels: of each stage.
        layer: a convolution and the normalisation of its result: takes images, its three parameters, and the stride.
        relu: the activation.
    """
    rest = iter(params)

    def triple() -> Any:
        return next(rest), next(rest), next(rest)

    x = relu(layer(x, *triple(), 1))
    for before, after in widths(channels):
        stride = 1 if before == after else 2
        y = layer(relu(layer(x, *triple(), stride)), *triple(), 1)
        x = relu(y + (x if before == after else layer(x, *triple(), stride)))
    return x


def numpy_layer(x: np.ndarray, kernel: np.ndarray, scale: np.ndarray, shift: np.ndarray, stride: int) -> np.ndarray:
    """The convolution is a sum over the taps of its window."""
    taps, reach = len(kernel), x.shape[1]
    x = np.pad(x, ((0, 0), (taps // 2,) * 2, (taps // 2,) * 2, (0, 0)))
    y = sum(
        x[:, i : i + reach : stride, j : j + reach : stride] @ kernel[i, j] for i in range(taps) for j in range(taps)
    )
    centred = y - y.mean((0, 1, 2))
    return centred / np.sqrt((centred**2).mean((0, 1, 2)) + EPSILON) * scale + shift


def in_numpy(params: Any, x: np.ndarray, labels: np.ndarray, channels: tuple[int, ...]) -> Any:
    y = network(params, x, channels, numpy_layer, lambda x: np.maximum(x, 0))
    return training.cross_entropy(y.mean((1, 2)) @ params[-2] + params[-1], labels)


def like_jax(library: Any, params: Any, x: Any, labels: Any, channels: tuple[int, ...]) -> Any:
    lax = library.lax

    def layer(x: Any, kernel: Any, scale: Any, shift: Any, stride: int) -> Any:
        y = lax.conv_general_dilated(x, kernel, (stride, stride), [(len(kernel) // 2,) * 2] * 2, dimension_numbers=NHWC)
        centred = y - y.mean((0, 1, 2))
        variance = (centred * centred).mean((0, 1, 2))
        return centred * (lax.rsqrt(variance + EPSILON) * scale) + shift

    y = network(params, x, channels, layer, library.nn.relu)
    return training.like_jax_cross_entropy(library, y.mean((1, 2)) @ params[-2] + params[-1], labels)


def in_torch(torch: Any, params: Any, x: Any, labels: Any, channels: tuple[int, ...]) -> Any:
    """Kernels lie so that their view is channels_last, as that of the images is."""
    functional = torch.nn.functional

    def layer(x: Any, kernel: Any, scale: Any, shift: Any, stride: int) -> Any:
        y = functional.conv2d(x, kernel.permute(0, 3, 1, 2), stride=stride, padding=kernel.shape[1] // 2)
        return functional.batch_norm(y, None, None, scale, shift, True, eps=EPSILON)

    y = network(params, x.permute(0, 3, 1, 2), channels, layer, functional.relu)
    return functional.cross_entropy(torch.addmm(params[-1], y.mean((2, 3)), params[-2]), labels)


def layout(array: np.ndarray) -> np.ndarray:
    return array.transpose(3, 0, 1, 2) if array.ndim == 4 else array


def cases(
    channels: tuple[int, ...] = (32, 64, 128), size: int = 32, batch: int = 64, tolerance: float = 2e-2
) -> list[Case]:
    taps, places, count = 9, size**2, 0.0
    products = 2.0 * batch * places * taps * 3 * channels[0]
    for before, after in widths(channels):
        places //= 1 if before == after else 4
        weights = taps * (before + after) * after + (0 if before == after else before * after)
        products, count = products + 2.0 * batch * places * weights, count + weights
    model = Model(partial(like_jax, channels=channels), partial(in_torch, channels=channels), layout)
    return [
        Case(
            name="resnet",
            title=f"ResNet training step with Adam, {size}×{size}, batch {batch}",
            inputs=partial(inputs, channels=channels, size=size, batch=batch),
            reference=partial(training.slope_reference, partial(in_numpy, channels=channels)),
            tolerance=tolerance,
            tasks=training.tasks(model),
            targets={"jax": 2.0, "torch": 1.0},
            note=training.NOTE,
            work=training.work(products, count),
            is_training=True,
        )
    ]
