"""Arithmetic of positions in loop IR: it is exact, and it finds what is contiguous."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrx.core import loops
from nrx.core.loops import Expr

quick = settings(max_examples=300, deadline=None)


def variable(extent: Any) -> Expr:
    return Expr("var", "i64", (), loops.Var("loop", extent))


def value(x: Any, env: dict[Expr, int]) -> int:
    """A position as a Python integer; divisions must be of what is not negative."""
    if not isinstance(x, Expr):
        return x
    if x in env:
        return env[x]
    args = [value(a, env) for a in x.args]
    if x.op in ("floordiv", "mod"):
        assert args[0] >= 0
        return args[0] // x.attr if x.op == "floordiv" else args[0] % x.attr
    if x.op == "linear":
        return x.attr[0] + sum(c * a for c, a in zip(x.attr[1], args, strict=True))
    functions: dict[str, Callable] = {"const": lambda: int(x.attr), "mul": math.prod, "min": min, "max": max}
    return functions[x.op](args) if x.op == "mul" else functions[x.op](*args)


def counters(*extents: int) -> list[Expr]:
    return [variable(extent) for extent in extents]


def same(x: Any, y: Any) -> bool:
    return loops.position_key(x) == loops.position_key(y)


@st.composite
def positions(draw: Callable) -> tuple[Expr, dict[Expr, int], int]:
    """A position that is not negative, its variables with values, and what it is."""
    env = {variable(n): draw(st.integers(0, n - 1)) for n in draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))}
    x = loops.const(0, "i64")
    for v in env:
        x = x + v * draw(st.integers(-6, 12))
    for _ in range(draw(st.integers(0, 4))):
        x = x - min(0, int(loops.bounds(x)[0]))
        divisor = draw(st.integers(1, 12))
        quotient, rest = loops.floordiv(x, divisor), loops.mod(x, divisor)
        x = draw(st.sampled_from([quotient, rest, quotient * divisor + rest, quotient * 3 + rest * 4]))
    x = x - min(0, int(loops.bounds(x)[0]))
    return x, env, value(x, env)


@quick
@given(positions(), st.integers(1, 24))
def test_quotient_and_rest_are_those_of_integers(position: tuple, divisor: int) -> None:
    x, env, n = position
    low, high = loops.bounds(x)
    assert low <= n <= high
    quotient, rest = loops.floordiv(x, divisor), loops.mod(x, divisor)
    assert (value(quotient, env), value(rest, env)) == (n // divisor, n % divisor)
    assert value(quotient * divisor + rest, env) == n
    assert same(quotient * divisor + rest, x)


def test_digits_of_digits_are_put_together() -> None:
    a, b = counters(7, 7)
    x = loops.mod(loops.mod(a + b, 10), 4)
    assert same(loops.floordiv(x, 2) * 2 + loops.mod(x, 2), x)


@quick
@given(positions(), st.integers(-3, 9), st.integers(0, 12))
def test_clamp(position: tuple, shift: int, high: int) -> None:
    x, env, n = position
    assert value(loops.clamp(x + shift, high), env) == min(max(n + shift, 0), high)


@st.composite
def two_shapes(draw: Callable) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of equally many elements."""
    factors = draw(st.lists(st.integers(1, 5), max_size=5))

    def grouped(factors: list[int]) -> tuple[int, ...]:
        shape = []
        for factor in factors:
            if shape and draw(st.booleans()):
                shape[-1] *= factor
            else:
                shape.append(factor)
        for _ in range(draw(st.integers(0, 2))):
            shape.insert(draw(st.integers(0, len(shape))), 1)
        return tuple(shape)

    return grouped(factors), grouped(draw(st.permutations(factors)))


@quick
@given(two_shapes(), st.data())
def test_reshaped_keeps_the_row_major_order(shapes: tuple, data: Any) -> None:
    shape, target = shapes
    env: dict[Any, int] = {}
    point = []
    for n in shape:
        point.append(0 if n == 1 else variable(n))
        env[point[-1]] = data.draw(st.integers(0, n - 1))
    index = loops.reshaped(point, shape, target)
    assert len(index) == len(target)
    assert all(0 <= value(i, env) < n for i, n in zip(index, target, strict=True))
    assert value(loops.row_major(index, target), env) == value(loops.row_major(point, shape), env)
    assert same(loops.row_major(index, target), loops.row_major(point, shape))
    numbers = loops.reshaped([env[i] for i in point], shape, target)
    assert [value(i, {}) for i in numbers] == [value(i, env) for i in index]


def test_reshaped_passes_on_what_stays() -> None:
    i, j, k = counters(4, 6, 5)
    assert loops.reshaped((i, j, k), (4, 6, 5), (4, 1, 6, 5)) == (i, 0, j, k)
    assert loops.reshaped((i, 0, j, k), (4, 1, 6, 5), (4, 6, 5)) == (i, j, k)
    split = loops.reshaped((i, j, k), (4, 6, 5), (4, 2, 3, 5))
    assert (split[0], split[3]) == (i, k)
    merged = loops.reshaped(split, (4, 2, 3, 5), (24, 5))
    assert same(merged[0], i * 6 + j)
    assert merged[1] is k


def test_reshaped_of_nothing() -> None:
    assert loops.reshaped((0, 0), (0, 3), (5, 0)) == (0, 0)
    assert loops.reshaped((), (), (1, 1)) == (0, 0)


def test_what_was_split_comes_together_again() -> None:
    (k,) = counters(120)
    for shape in [(120,), (2, 60), (4, 5, 6), (2, 3, 4, 5), (5, 1, 4, 3, 2)]:
        assert loops.row_major(loops.unravel(k, shape), shape) is k


def test_equal_divisions_are_one() -> None:
    (k,) = counters(120)
    assert loops.floordiv(k, 7) is loops.floordiv(k + 0, 7)
    assert loops.mod(k * 2 + 1, 7) is loops.mod(1 + k * 2, 7)
    assert loops.floordiv(loops.floordiv(k, 4), 3) is loops.floordiv(k, 12)
    assert loops.mod(loops.mod(k, 12), 4) is loops.mod(k, 4)
    assert loops.floordiv(loops.mod(k, 12), 4) is loops.mod(loops.floordiv(k, 4), 3)


def test_divisions_leave_contiguous_parts_alone() -> None:
    i, j = counters(10, 3)
    assert same(loops.mod(i * 3 + j, 6), loops.mod(i, 2) * 3 + j)
    assert loops.floordiv(i * 3 + j, 6) is loops.floordiv(i, 2)
    assert same(loops.floordiv(i * 12 + j, 4), i * 3)


def test_divisions_of_what_counts_down() -> None:
    (i,) = counters(12)
    for n in range(12):
        x = 11 - i
        assert value(loops.floordiv(x, 5), {i: n}) == (11 - n) // 5
        assert value(loops.mod(x, 5), {i: n}) == (11 - n) % 5


@pytest.mark.parametrize("type", ["i8", "u8", "i16", "u32", "i64", "u64"])
def test_bounds_of_what_is_loaded(type: str) -> None:
    loaded = loops.convert(Expr("load", type), "i64")
    low, high = loops.bounds(loops.clamp(loaded, 9))
    assert (low, high) == (0, 9)
    if type == "u8":
        assert loops.clamp(loaded, 255) is loaded


def test_bounds_of_unknown_extents() -> None:
    (i,) = counters(Expr("dim", "i64"))  # type: ignore[arg-type]
    assert loops.bounds(i) == (0, math.inf)
    assert loops.bounds(loops.floordiv(i, 3)) == (0, math.inf)
    assert loops.bounds(loops.mod(i, 3)) == (0, 2)
