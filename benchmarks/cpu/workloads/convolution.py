"""Convolutions and their gradients: layers of a ResNet-18, one with 32 features, one depthwise, one of vectors.

The gradients are those by both operands, of the sum of the result times fixed numbers; of the first layer only that by
the kernel, which is all that training needs.
"""

import math
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cpu.case import Case, Task, pure
from benchmarks.cpu.results import Work

TARGETS = {"jax": 1.5, "torch": 1.0}
TOLERANCE = 3e-5
"""The gradient by the kernel of the first layer sums 100,352 products in float32."""


class Layer(NamedTuple):
    """A convolution.

    Fields:
        name: for the command line.
        batch, space, inputs: of lhs.
        window, features, stride: of the kernel; half a window is padded at each end.
        groups: 1, or as many as inputs and features.
        is_channels_last: whether features come last in the source, or behind the batch.
    """

    name: str
    batch: int
    space: tuple[int, ...]
    inputs: int
    window: int
    features: int
    stride: int = 1
    groups: int = 1
    is_channels_last: bool = True

    @property
    def is_first(self) -> bool:
        return self.inputs == 3

    @property
    def padding(self) -> list[tuple[int, int]]:
        return [(self.window // 2, self.window // 2)] * len(self.space)

    @property
    def title(self) -> str:
        size = "×".join(map(str, (self.batch, *self.space, self.inputs)))
        window = "×".join([str(self.window)] * len(self.space))
        stride = f" / {self.stride}" if self.stride > 1 else ""
        kind = " depthwise" if self.groups > 1 else ""
        return f"{size} by {window}×{self.features}{stride}{kind}{'' if self.is_channels_last else ' (NCHW)'}"

    @property
    def places(self) -> tuple[int, ...]:
        """Of the result."""
        ahead = self.window // 2 * 2 - self.window
        return tuple((n + ahead) // self.stride + 1 for n in self.space)

    def work(self, with_gradients: bool) -> Work:
        """Of the result, or of the gradients."""
        results = self.batch * math.prod(self.places) * self.features
        taps = self.window ** len(self.space) * self.inputs // self.groups
        operands = self.batch * math.prod(self.space) * self.inputs + taps * self.features
        times = (1 if self.is_first else 2) if with_gradients else 1
        return Work(2.0 * times * results * taps, 4.0 * (results + operands * (1 + with_gradients)))

    @property
    def layouts(self) -> tuple[str, str, str]:
        space = "DHW"[-len(self.space) :]
        last = (f"N{space}C", f"{space}IO", f"N{space}C")
        return last if self.is_channels_last else (f"NC{space}", f"OI{space}", f"NC{space}")


LAYERS = (
    Layer("stem", 8, (224, 224), 3, 7, 64, stride=2),
    Layer("64", 8, (56, 56), 64, 3, 64),
    Layer("128-stride", 8, (56, 56), 64, 3, 128, stride=2),
    Layer("128", 8, (28, 28), 128, 3, 128),
    Layer("128-nchw", 8, (28, 28), 128, 3, 128, is_channels_last=False),
    Layer("256", 8, (14, 14), 256, 3, 256),
    Layer("512", 8, (7, 7), 512, 3, 512),
    Layer("1x1-stride", 8, (56, 56), 64, 1, 128, stride=2),
    Layer("32", 8, (64, 64), 32, 3, 32),
    Layer("depthwise", 8, (56, 56), 128, 3, 128, groups=128),
    Layer("vectors", 8, (4096,), 64, 9, 64),
)


# --- data and reference -----------------------------------------------------------------------------------------------


def draw(layer: Layer, with_weights: bool, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """lhs, kernel and, for gradients, what the result is weighted with, laid out as the source has them."""
    kernel = (*[layer.window] * len(layer.space), layer.inputs // layer.groups, layer.features)
    shapes = [(layer.batch, *layer.space, layer.inputs), kernel, (layer.batch, *layer.places, layer.features)]
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes[: 2 + with_weights]]
    return tuple(arrays) if layer.is_channels_last else tuple(map(channels_first, arrays, (False, True, False)))


def channels_first(array: np.ndarray, is_kernel: bool) -> np.ndarray:
    order = (-1, -2, *range(array.ndim - 2)) if is_kernel else (0, -1, *range(1, array.ndim - 1))
    return np.ascontiguousarray(array.transpose(*(axis % array.ndim for axis in order)))


def channels_last(array: np.ndarray, is_kernel: bool) -> np.ndarray:
    return array.transpose(*range(2, array.ndim), 1, 0) if is_kernel else np.moveaxis(array, 1, -1)


def taps(layer: Layer, places: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each element of the window, and where in the padded lhs it meets elements."""
    for tap in product(range(layer.window), repeat=len(places)):
        ends = [t + (n - 1) * layer.stride + 1 for t, n in zip(tap, places, strict=True)]
        yield tap, tuple(slice(t, end, layer.stride) for t, end in zip(tap, ends, strict=True))


def reference(layer: Layer, *data: np.ndarray) -> Any:
    """The result, or with weights the gradients, tap by tap."""
    arrays = [array.astype(np.float64) for array in data]
    if not layer.is_channels_last:
        arrays = list(map(channels_last, arrays, (False, True, False)))
    x, kernel, *weights = arrays
    x = np.pad(x, [(0, 0), *layer.padding, (0, 0)])
    times = np.multiply if layer.groups > 1 else np.matmul
    if not weights:
        places = tuple((n - layer.window) // layer.stride + 1 for n in x.shape[1:-1])
        out = sum(times(x[:, *where], kernel[tap]) for tap, where in taps(layer, places))
        return out if layer.is_channels_last else channels_first(out, False)
    (ct,), by_x, by_kernel = weights, np.zeros_like(x), np.zeros_like(kernel)
    for tap, where in taps(layer, ct.shape[1:-1]):
        part = x[:, *where]
        if layer.groups > 1:
            by_x[:, *where] += ct * kernel[tap]
            by_kernel[tap] = (part * ct).sum(tuple(range(ct.ndim - 1)))
        else:
            by_x[:, *where] += ct @ kernel[tap].T
            by_kernel[tap] = part.reshape(-1, part.shape[-1]).T @ ct.reshape(-1, ct.shape[-1])
    inner = tuple(slice(low, n - high) for n, (low, high) in zip(x.shape[1:-1], layer.padding, strict=True))
    found = [by_kernel] if layer.is_first else [by_x[:, *inner], by_kernel]
    if layer.is_channels_last:
        return found
    return [channels_first(array, position == len(found) - 1) for position, array in enumerate(found)]


# --- programs ---------------------------------------------------------------------------------------------------------


def like_jax(layer: Layer, library: Any, x: Any, kernel: Any) -> Any:
    return library.lax.conv_general_dilated(
        x, kernel, (layer.stride,) * len(layer.space), layer.padding, dimension_numbers=layer.layouts,
        feature_group_count=layer.groups,
    )  # fmt: skip


def gradients_like_jax(layer: Layer, library: Any, x: Any, kernel: Any, ct: Any) -> Any:
    if layer.is_first:
        return library.vjp(lambda kernel: like_jax(layer, library, x, kernel), kernel)[1](ct)
    return library.vjp(lambda *operands: like_jax(layer, library, *operands), x, kernel)[1](ct)


def in_torch(layer: Layer, compiled: bool, *data: np.ndarray) -> Task:
    """Features come last in memory where they do in the source; PyTorch's axes have them behind the batch."""
    import torch

    rank, is_last = len(layer.space), layer.is_channels_last
    to_first = (0, rank + 1, *range(1, rank + 1))
    kernel_to_first = (rank + 1, rank, *range(rank))
    x, kernel, *weights = map(torch.tensor, data)
    if is_last:
        best = torch.channels_last if rank == 2 else torch.contiguous_format
        kernel = kernel.permute(kernel_to_first).contiguous(memory_format=best)
        x, *weights = (array.permute(to_first).contiguous(memory_format=best) for array in (x, *weights))
    convolution = getattr(torch.nn.functional, f"conv{rank}d")
    steps, pads, ones = [layer.stride] * rank, [layer.window // 2] * rank, [1] * rank

    def function(x: Any, kernel: Any, *weights: Any) -> Any:
        if not weights:
            return (convolution(x, kernel, stride=steps, padding=pads, groups=layer.groups),)
        wanted = [not layer.is_first, True, False]
        return torch.ops.aten.convolution_backward(
            weights[0], x, kernel, None, steps, pads, ones, False, [0] * rank, layer.groups, wanted
        )

    if compiled:
        function = torch.compile(function, fullgraph=True)

    @torch.inference_mode()
    def run() -> Any:
        return function(x, kernel, *weights)

    def result() -> Any:
        found = [tensor for tensor in run() if tensor is not None]
        if not is_last:
            return found if weights else found[0]
        to_last = (0, *range(2, rank + 2), 1)
        if not weights:
            return found[0].permute(to_last)
        *by_x, by_kernel = found
        return [*(tensor.permute(to_last) for tensor in by_x), by_kernel.permute(*range(2, rank + 2), 1, 0)]

    return Task(run, result)


def cases(layers: tuple[Layer, ...] = LAYERS) -> list[Case]:
    found = []
    for layer in layers:
        for with_gradients in (False, True):
            program = partial(gradients_like_jax if with_gradients else like_jax, layer)
            tasks = pure(program)
            tasks |= {"torch": partial(in_torch, layer, False), "torch.compile": partial(in_torch, layer, True)}
            found.append(
                Case(
                    name=f"conv-{layer.name}{'-grad' * with_gradients}",
                    title=f"{'gradients of ' * with_gradients}convolution {layer.title}",
                    inputs=partial(draw, layer, with_gradients),
                    reference=partial(reference, layer),
                    tolerance=TOLERANCE,
                    tasks=tasks,
                    targets=TARGETS,
                    work=layer.work(with_gradients),
                )
            )
    return found
