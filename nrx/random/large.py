"""Large draws as compiled programs: op by op, each of their dozen operations would go through the whole memory."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.shapes import Shape, size
from nrx.core.trace import EvalTrace, Tracer, current_trace
from nrx.ops.structural import reshape
from nrx.transforms.jit import jit

#: Elements from which op by op takes longer than making a program for one more size.
_LARGE = 1 << 19


def compiled_if_large(draw: Callable[..., Array]) -> Callable[..., Array]:
    """`draw(name, key, shape, dtype, *options)`, which counts its elements through: it may draw them in one axis."""

    @functools.partial(jit, static_argnums=(0, 2, 3, 4))
    def program(name: str, key: Array, shape: Shape, dtype: np.dtype, options: tuple) -> Array:
        return draw(name, key, shape, dtype, *options)

    @functools.wraps(draw)
    def drawn(name: str, key: Any, shape: Shape, dtype: np.dtype, *options: Any) -> Array:
        count = size(shape)
        is_eager = type(current_trace()) is EvalTrace and isinstance(key, Array) and not isinstance(key, Tracer)
        if count < _LARGE or not is_eager:
            return draw(name, key, shape, dtype, *options)
        return reshape(program(name, key, (count,), dtype, options), shape)

    return drawn
