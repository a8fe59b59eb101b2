"""What running a compiled Program takes besides its machine code, and how that is written down."""

from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from nrx.core.array import wrap
from nrx.core.backend import Constant, Donated, Passed, Stored
from nrx.core.dtypes import from_short_name, short_name
from nrx.core.program import Eqn

Output = Stored | Passed | Donated | Constant

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Stored, Passed, Donated)}


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What running a compiled Program takes besides its machine code.

    Fields:
        out_blocks, outputs, arena_bytes: see `NativeEntry`.
        constants: Arrays whose addresses the runtime table holds.
        host_calls: equations that run on the host, whose numbers follow in the runtime table.
        symbols: the values of the symbols, which follow these.
        cost: of everything, in elementary operations; infinite where a loop's length is not known.
        prepared: short names of the dtypes, and shapes, of what is computed of the constants once, and follows them as
            further inputs.
    """

    out_blocks: tuple[int, ...]
    outputs: tuple[Output, ...]
    arena_bytes: int
    constants: tuple[Any, ...]
    host_calls: tuple[Eqn, ...]
    symbols: tuple[int, ...]
    cost: float
    prepared: tuple[tuple[str, tuple[int, ...]], ...]

    def pack(self) -> bytes:
        """As bytes, for layouts without host calls."""
        arrays = list(map(_packed, self.constants))
        outputs = []
        for output in self.outputs:
            if isinstance(output, Constant):
                outputs.append(("Constant", len(arrays)))
                arrays.append(_packed(output.array))
            else:
                outputs.append((type(output).__name__, *output))
        return msgpack.packb(
            (
                self.out_blocks, outputs, self.arena_bytes, len(self.constants), arrays, self.symbols, self.cost,
                self.prepared,
            )
        )  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes) -> "Layout":
        """The layout that `pack` made these bytes of."""
        fields = msgpack.unpackb(data, use_list=False)
        out_blocks, outputs, arena_bytes, count, packed, symbols, cost, prepared = fields
        arrays = list(map(_unpacked, packed))
        return cls(
            out_blocks=out_blocks,
            outputs=tuple(Constant(arrays[n[0]]) if kind == "Constant" else _KINDS[kind](*n) for kind, *n in outputs),
            arena_bytes=arena_bytes,
            constants=tuple(arrays[:count]),
            host_calls=(),
            symbols=symbols,
            cost=cost,
            prepared=prepared,
        )


def _packed(array: Any) -> tuple:
    data = array.numpy()
    return short_name(data.dtype), array.shape, array.weak_type, data.tobytes()


def _unpacked(packed: tuple) -> Any:
    name, shape, weak_type, data = packed
    return wrap(np.frombuffer(data, from_short_name(name)).reshape(shape), weak_type)
