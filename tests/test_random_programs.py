"""Programs drawn at random go through every transformation; they must agree with loops, differences and each other.

A program is a list of steps, each of which applies an operation to earlier values. An operation takes values of any
shape, fits its parameters to the shapes it finds, and keeps numbers of ordinary size at ordinary size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from known_differences import AMPLIFIED
from oracles import assert_same, leaves

import nrx
from nrx import lax
from nrx.core.check import check_program
from nrx.core.pretty import show

Value = Any


def total(x: Value) -> Value:
    return lax.reduce_sum(x, range(x.ndim))


def like(y: Value, x: Value) -> Value:
    """`y`, or its mean where the shape is another, in the shape of `x`."""
    if y.shape == x.shape:
        return y
    return lax.broadcast_in_dim(lax.div(total(y), float(max(y.size, 1))), x.shape, ())


def vector(x: Value) -> Value:
    return lax.reshape(x, (x.size,))


def above(x: Value, low: float) -> Value:
    """A smooth function with values from `low` to `low + 2`."""
    return lax.add(lax.sin(x), low + 1)


# Operations: functions of two values and an integer, from which they may take their parameters


@nrx.custom_jvp
def sine(x: Value) -> Value:
    return lax.sin(x)


@sine.defjvp
def _sine_jvp(primals: tuple, tangents: tuple) -> tuple:
    return sine(primals[0]), lax.mul(tangents[0], lax.cos(primals[0]))


ELEMENTWISE: dict[str, Callable] = {
    "sin": lambda x, y, n: lax.sin(x),
    "cos": lambda x, y, n: lax.cos(x),
    "tanh": lambda x, y, n: lax.tanh(x),
    "logistic": lambda x, y, n: lax.logistic(x),
    "atan": lambda x, y, n: lax.atan(x),
    "neg": lambda x, y, n: lax.neg(x),
    "abs": lambda x, y, n: lax.abs(x),
    "erf": lambda x, y, n: lax.erf(x),
    "exp": lambda x, y, n: lax.exp(lax.sin(x)),
    "log": lambda x, y, n: lax.log(above(x, 0.5)),
    "sqrt": lambda x, y, n: lax.sqrt(above(x, 0.5)),
    "integer_pow": lambda x, y, n: lax.integer_pow(lax.sin(x), n % 4),
    "add": lambda x, y, n: lax.mul(lax.add(x, like(y, x)), 0.6),
    "sub": lambda x, y, n: lax.sub(x, like(y, x)),
    "mul": lambda x, y, n: lax.mul(x, lax.sin(like(y, x))),
    "div": lambda x, y, n: lax.div(x, above(like(y, x), 1.0)),
    "atan2": lambda x, y, n: lax.atan2(x, above(like(y, x), 0.5)),
    "pow": lambda x, y, n: lax.pow(above(x, 0.5), lax.cos(like(y, x))),
    "max": lambda x, y, n: lax.max(x, like(y, x)),
    "min": lambda x, y, n: lax.min(x, like(y, x)),
    "clamp": lambda x, y, n: lax.clamp(-0.9, x, 0.8),
    "select": lambda x, y, n: lax.select(lax.gt(x, 0.0), lax.sin(x), x),
    "through_complex": lambda x, y, n: lax.abs(lax.complex(above(x, 0.5), like(y, x))),
    "custom_jvp": lambda x, y, n: sine(lax.mul(x, like(y, x))),
    "stop_gradient": lambda x, y, n: lax.add(x, lax.mul(lax.stop_gradient(like(y, x)), 0.0)),
}


def reshape(x: Value, y: Value, n: int) -> Value:
    return vector(x) if n % 2 else lax.reshape(x, (*x.shape, 1))


def transpose(x: Value, y: Value, n: int) -> Value:
    return lax.transpose(x, [int(axis) for axis in np.roll(range(x.ndim), n)])


def reduce(x: Value, y: Value, n: int) -> Value:
    kind = (lax.reduce_sum, lax.reduce_max, lax.reduce_min, lax.reduce_prod)[n % 4]
    return lax.sin(kind(x, [n // 4 % x.ndim]))


def broadcast(x: Value, y: Value, n: int) -> Value:
    return lax.broadcast_in_dim(x, (2, *x.shape), range(1, x.ndim + 1))


def reverse_and_pad(x: Value, y: Value, n: int) -> Value:
    axis = n % x.ndim
    config = [(n % 2, 1, n % 3) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    return lax.pad(lax.rev(x, [axis]), 0.25, config)


def slices(x: Value, y: Value, n: int) -> Value:
    axis = n % x.ndim
    return lax.slice_in_dim(x, 0, max(1, x.shape[axis] - n % 2), 1 + n % 2, axis)


def dynamic_slices(x: Value, y: Value, n: int) -> Value:
    x = vector(x)
    index = lax.convert_element_type(lax.mul(lax.abs(total(y)), 2.0), "int32")
    part = lax.dynamic_slice(x, [index], (max(1, x.size // 2),))
    return lax.dynamic_update_slice(x, lax.sin(part), [n % x.size])


def concatenate(x: Value, y: Value, n: int) -> Value:
    return lax.concatenate([vector(x), vector(y)], 0)


def cumulative(x: Value, y: Value, n: int) -> Value:
    kind = (lax.cumsum, lax.cumprod, lax.cummax, lax.cumlogsumexp)[n % 4]
    return lax.sin(kind(x, n % x.ndim, reverse=n % 3 == 0))


def sort(x: Value, y: Value, n: int) -> Value:
    return lax.sort(x, n % x.ndim)


def dot(x: Value, y: Value, n: int) -> Value:
    y = like(y, x)
    return lax.sin(lax.dot(vector(x), vector(y)) if n % 2 else lax.dot_general(x, y, (((0,), (0,)), ((), ()))))


def jit(x: Value, y: Value, n: int) -> Value:
    return nrx.jit(lambda x: lax.mul(lax.sin(x), like(y, x)))(x)


def checkpoint(x: Value, y: Value, n: int) -> Value:
    return nrx.checkpoint(lambda x: lax.sin(lax.mul(lax.cos(x), like(y, x))))(x)


def vmap(x: Value, y: Value, n: int) -> Value:
    return nrx.vmap(lambda row: lax.sin(lax.mul(row, like(y, row))), in_axes=n % x.ndim)(x)


def grad(x: Value, y: Value, n: int) -> Value:
    return nrx.grad(lambda x: total(lax.sin(lax.mul(x, like(y, x)))))(x)


def cond(x: Value, y: Value, n: int) -> Value:
    # Not 0: sums that cancel exactly would be decided by the order of summation.
    return lax.cond(lax.gt(total(y), 0.0618), lambda x: lax.sin(lax.mul(x, like(y, x))), lax.tanh, x)


def switch(x: Value, y: Value, n: int) -> Value:
    index = lax.convert_element_type(lax.mul(total(y), 2.0), "int32")
    return lax.switch(index, [lax.sin, lambda x: lax.mul(x, like(y, x)), lax.neg][: 1 + n % 3], x)


def scan(x: Value, y: Value, n: int) -> Value:
    def step(carry: Value, row: Value) -> tuple:
        return lax.sin(lax.add(lax.mul(carry, like(y, carry)), row)), lax.mul(carry, row)

    first = lax.cos(lax.index_in_dim(x, 0, 0, keepdims=False))
    last, rows = lax.scan(step, first, x, reverse=n % 2 == 0)
    return lax.add(rows, lax.broadcast_in_dim(last, rows.shape, range(1, rows.ndim)))


def fori_loop(x: Value, y: Value, n: int) -> Value:
    return lax.fori_loop(0, n % 4, lambda i, v: lax.sin(lax.add(v, like(y, v))), x)


def while_loop(x: Value, y: Value, n: int) -> Value:
    body = lambda s: (lax.add(s[0], 1), lax.mul(lax.sin(s[1]), above(like(y, x), 0.0)))
    limit = lax.convert_element_type(lax.mul(lax.abs(total(y)), 2.0), "int32")
    return lax.while_loop(lambda s: lax.lt(s[0], lax.min(limit, 5)), body, (np.int32(0), x))[1]


OPERATIONS = ELEMENTWISE | {
    function.__name__: function
    for function in (
        reshape, transpose, reduce, broadcast, reverse_and_pad, slices, dynamic_slices, concatenate, cumulative, sort,
        dot, jit, checkpoint, vmap, grad, cond, switch, scan, fori_loop, while_loop,
    )
}  # fmt: skip
FOR_ANY_SHAPE = {*ELEMENTWISE, "reshape", "jit", "checkpoint", "grad", "cond", "switch", "fori_loop", "while_loop"}
GROWING = {"broadcast", "reverse_and_pad", "concatenate", "dot"}


# Programs


@dataclass(frozen=True)
class Step:
    """One operation on the values numbered `x` and `y`, counted from the last."""

    name: str
    x: int
    y: int
    n: int

    def __call__(self, values: list[Value]) -> Value:
        x, y = values[-1 - self.x % len(values)], values[-1 - self.y % len(values)]
        fits = (x.ndim or self.name in FOR_ANY_SHAPE) and (x.size + y.size < 24 or self.name not in GROWING)
        return OPERATIONS[self.name](x, y, self.n) if fits else lax.sin(x)


@dataclass(frozen=True)
class RandomProgram:
    """Steps on two inputs; the results are the last value and the one before."""

    steps: tuple[Step, ...]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    seed: int

    def __call__(self, *inputs: Value) -> list[Value]:
        values = list(inputs)
        for step in self.steps:
            values.append(step(values))
        return values[-2:]

    @property
    def reversible(self) -> bool:
        return all(step.name != "while_loop" for step in self.steps)

    def draw(self, extra: tuple[int, ...] = ()) -> list[Value]:
        rng = np.random.default_rng(self.seed)
        return [nrx.numpy.asarray(rng.uniform(-1.5, 1.5, extra + shape)) for shape in self.shapes]


SHAPES = st.sampled_from([(), (3,), (1,), (2, 3), (3, 1), (2, 1, 2)])
STEPS = st.builds(Step, st.sampled_from(sorted(OPERATIONS)), st.integers(0, 3), st.integers(0, 5), st.integers(0, 11))
PROGRAMS = st.builds(
    RandomProgram, st.lists(STEPS, min_size=3, max_size=12).map(tuple), st.tuples(SHAPES, SHAPES), st.integers(0, 10**6)
)


def like_normal(rng: np.random.Generator, arrays: list[Value]) -> list[Value]:
    return [nrx.numpy.asarray(rng.standard_normal(x.shape)) for x in arrays]


def pairing(a: list[Value], b: list[Value]) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(leaves(a), leaves(b), strict=True)))


def slopes(program: RandomProgram, inputs: list[Value], direction: list[Value], u: list[Value]) -> list[float]:
    """Two estimates of the derivative of <u, program> along a direction, from differences at different distances."""

    def along(step: float) -> float:
        moved = [np.asarray(x) + step * np.asarray(d) for x, d in zip(inputs, direction, strict=True)]
        return pairing(u, program(*map(nrx.numpy.asarray, moved)))

    def central(h: float) -> float:
        return (along(h) - along(-h)) / (2 * h)

    return [(4 * central(h / 2) - central(h)) / 3 for h in (4e-4, 1e-4)]


def check_values(program: RandomProgram) -> None:
    inputs = program.draw()
    outs = program(*inputs)
    compiled = nrx.jit(program)(*inputs)
    for got, expected in zip(compiled, outs, strict=True):
        assert got.aval == expected.aval
        assert_same(got, expected, rtol=AMPLIFIED, atol=AMPLIFIED)
    recorded = nrx.make_jaxpr(program)(*inputs)
    check_program(recorded)
    assert str(recorded)
    assert show(recorded, color=True, source=True)
    batch = program.draw((3,))
    rows = [leaves(program(*(x[i] for x in batch))) for i in range(3)]
    for mapped in (nrx.vmap(program), nrx.jit(nrx.vmap(program))):
        assert_same(mapped(*batch), [np.stack(column) for column in zip(*rows, strict=True)], rtol=1e-9, atol=1e-11)


def check_derivatives(program: RandomProgram) -> None:
    inputs, rng = program.draw(), np.random.default_rng(program.seed + 1)
    tangents = like_normal(rng, inputs)
    outs, out_tangents = nrx.jvp(program, inputs, tangents)
    assert_same(outs, program(*inputs))
    u = like_normal(rng, outs)
    slope = pairing(u, out_tangents)
    _, pushed = nrx.linearize(program, *inputs)
    assert_same(pushed(*tangents), out_tangents)
    if program.reversible:
        _, pull = nrx.vjp(program, *inputs)
        pulled = pull(u)
        assert pairing(list(pulled), tangents) == pytest.approx(slope, rel=1e-10, abs=1e-10)
        gradient = nrx.grad(lambda inputs: sum(total(lax.mul(a, b)) for a, b in zip(u, program(*inputs), strict=True)))
        assert_same(nrx.jit(gradient)(inputs), pulled)
        check_program(nrx.make_jaxpr(gradient)(inputs))
        if sum(x.size for x in inputs) < 7:
            curvature = nrx.jvp(gradient, (inputs,), (tangents,))[1]
            assert_same(nrx.grad(lambda x: pairing_of(gradient(x), tangents))(inputs), curvature, rtol=1e-8, atol=1e-9)
    estimates = slopes(program, inputs, tangents, u)
    assume(abs(estimates[0] - estimates[1]) < 1e-7 * (1 + abs(slope)))  # else a kink is near
    assert estimates[1] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def pairing_of(a: list[Value], b: list[Value]) -> Value:
    return sum(total(lax.mul(x, y)) for x, y in zip(a, b, strict=True))


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=500, derandomize=True, **COMMON)
@given(PROGRAMS)
def test_values(program: RandomProgram) -> None:
    check_values(program)


#: Found by `test_many`: a kernel of the gradient read again what it had stored into its result.
FOUND = [("abs", 1, 0, 0), ("dynamic_slices", 0, 0, 0), ("dot", 0, 0, 0), ("custom_jvp", 0, 1, 0), ("abs", 0, 0, 0)]


@example(RandomProgram(tuple(Step(*step) for step in FOUND), ((1,), ()), 0))
@settings(max_examples=500, derandomize=True, **COMMON)
@given(PROGRAMS)
def test_derivatives(program: RandomProgram) -> None:
    check_derivatives(program)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=1000, **COMMON)
@given(PROGRAMS)
def test_many(program: RandomProgram) -> None:
    check_values(program)
    check_derivatives(program)
