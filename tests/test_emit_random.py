"""Random kernels of the loop IR as machine code, against an interpreter, bit for bit."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_machine import LEVELS, check

from nrx.core import loops
from nrx.core.loops import Builder, Expr

pytest.importorskip("llvmlite")


class RandomKernel:
    """Nested loops, conditionals and lanes over f32 and i32 values, drawn at random.

    What lanes store goes to places of their own, so that their order does not matter.
    """

    ROOM = 40

    def __init__(self, draw: Callable[[int], int], stores: int = 12):
        self.draw, self.stores = draw, stores

    def __call__(self, b: Builder, buffers: list) -> None:
        self.b, (self.x, self.k, self.y, *self.dims) = b, buffers
        self.lane: Expr | None = None
        self.block([b.load(self.x, 0), b.load(self.k, 1)], [], 0)

    def position(self, vars: list[Expr]) -> Any:
        """Somewhere in x or k."""
        position: Any = self.draw(self.ROOM)
        for var in vars[-2:]:
            position = position + var * (1, 1, 2, 3, -1)[self.draw(5)]
        return loops.clamp(position, self.ROOM - 1)

    def expression(self, values: list[Expr], vars: list[Expr]) -> Expr:
        kind = self.draw(6)
        x = values[self.draw(len(values))]
        peers = [v for v in values if v.type == x.type]
        y = peers[self.draw(len(peers))]
        if kind == 0:
            return self.b.load((self.x, self.k)[self.draw(2)], self.position(vars))
        if kind == 1 and vars:
            return loops.convert(vars[-1] + self.draw(9), ("f32", "i32")[self.draw(2)])
        if kind == 2:
            return loops.select(self.condition(values), x, y)
        if kind == 3:
            index = loops.clamp(loops.convert(next(v for v in values if v.type == "i32"), "i64"), self.ROOM - 1)
            return self.b.load(self.x, index)
        return (x + y, x * y, x - y)[self.draw(3)]

    def condition(self, values: list[Expr]) -> Expr:
        x = values[self.draw(len(values))]
        peers = [v for v in values if v.type == x.type]
        return x < peers[self.draw(len(peers))]

    def block(self, values: list[Expr], vars: list[Expr], depth: int) -> list[Expr]:
        """Statements; the last f32 and the last i32 value."""
        values = list(values)
        for _ in range(1 + self.draw(3)):
            values.append(self.expression(values, vars))
            if depth < 3:
                values += self.statement(values, vars, depth + 1)
        self.store(values[-1])
        return [[v for v in values if v.type == t][-1] for t in ("f32", "i32")]

    def store(self, value: Expr) -> None:
        if self.stores:
            self.stores -= 1
            at = self.stores * self.ROOM
            self.b.store(self.y, at if self.lane is None else self.lane + at, loops.convert(value, "f32"))

    def extent(self) -> Any:
        return self.dims[0] if self.draw(3) == 0 else (0, 1, 3, 5, 20, 37)[self.draw(4 if self.lane is not None else 6)]

    def statement(self, values: list[Expr], vars: list[Expr], depth: int) -> list[Expr]:
        b, kind = self.b, self.draw(6)
        inits = [[v for v in values if v.type == t][-1] for t in ("f32", "i32")]
        if kind == 0:
            return b.loop(self.extent(), inits, lambda i, *c: self.block([*values, *c], [*vars, i], depth))
        if kind == 1:
            then, other = [lambda: self.block(values, vars, depth)] * 2
            return b.if_(self.condition(values), then, other if self.draw(2) else lambda: inits)
        if kind == 2:
            limit = loops.convert(values[self.draw(len(values))], "i32") & 7
            start = b.const(0, "i32")
            return b.while_(
                [start, *inits], lambda n, *c: n < limit,
                lambda n, *c: [n + 1, *self.block([*values, *c], vars, depth)],
            )[1:]  # fmt: skip
        if kind == 3:
            extent = loops.mod(loops.convert(loops.convert(inits[1], "u8"), "i64"), 4)
            return b.loop(extent, inits, lambda i, *c: self.block([*values, *c], [*vars, i], depth))
        if kind in (4, 5) and self.lane is None:

            def body(i: Expr) -> list[Expr]:
                self.lane = i
                out = self.block(values, [*vars, i], depth)
                self.lane = None
                return [out[1], out[1]]

            def combine(x: Sequence[Expr], y: Sequence[Expr]) -> list[Expr]:
                return [x[0] + y[0], loops.apply("max", x[1], y[1])]

            return b.lanes(self.extent(), body, [b.const(0, "i32"), b.const(-(2**31), "i32")], combine)
        if kind == 4:
            stores, self.stores = self.stores, 0
            inner = b.lanes(
                self.extent(), lambda i: [self.block(values, [*vars, i], depth)[1]], [b.const(0, "i32")],
                lambda x, y: [x[0] ^ y[0]],
            )  # fmt: skip
            self.stores = stores
            return inner
        return []


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 40), st.sampled_from(LEVELS))
def test_random_kernels(random: Any, extent: int, level: str) -> None:
    rng = np.random.default_rng(extent)
    memory = [
        rng.integers(-5, 5, 40).astype("f4") / 2, rng.integers(-9, 50, 40).astype("i4"), np.zeros(12 * 40, "f4")
    ]  # fmt: skip
    check(RandomKernel(random.randrange), memory, 1, level, [extent])
