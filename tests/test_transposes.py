"""Transposes folded into what reads them: the same numbers from fewer equations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nrx.backends  # noqa: F401
from nrx.compiler.inline import inline
from nrx.compiler.transposes import fold_transposes
from nrx.core.array import asarray
from nrx.core.check import check_program
from nrx.core.program import Program, evaluate
from nrx.core.shapes import inserted
from nrx.ops.dot import dot_general
from nrx.ops.elementary import sin
from nrx.ops.reductions import reduce_max
from nrx.ops.structural import broadcast_in_dim, reduce_sum, transpose
from nrx.transforms import grad, jit

quick = settings(max_examples=200, deadline=None)


def numbers(*shape: int) -> np.ndarray:
    """Integers, whose sums are exact in any order."""
    return np.random.default_rng(len(shape)).integers(-9, 9, shape).astype(np.float64)


def folded(function: Callable, *args: np.ndarray) -> Program:
    """The Program of a function without transposes that can go; it is checked, and gives the same."""
    arrays = [asarray(x) for x in args]
    program = inline(jit(function).trace(*arrays))
    new = fold_transposes(program)
    check_program(new)
    for got, expected in zip(evaluate(new, arrays), evaluate(program, arrays), strict=True):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected), strict=True)
    return new


def names(program: Program) -> list[str]:
    return [eqn.prim.name for eqn in program.eqns]


@pytest.mark.parametrize(
    ("function", "shapes", "left"),
    [
        (lambda x: transpose(transpose(x, (1, 2, 0)), (1, 2, 0)), [(2, 3, 4)], ["transpose"]),
        (lambda x: reduce_sum(transpose(x, (1, 0)), (0,)), [(2, 3)], ["reduce_sum"]),
        (lambda x: reduce_max(transpose(x, (2, 1, 0)), (1,)), [(2, 3, 4)], ["reduce_max", "transpose"]),
        (lambda x: transpose(broadcast_in_dim(x, (4, 2, 3), (1, 2)), (2, 0, 1)), [(2, 3)], ["broadcast_in_dim"]),
        (lambda x: broadcast_in_dim(transpose(x, (1, 0)), (3, 4, 2), (0, 2)), [(2, 3)], ["broadcast_in_dim"]),
        (
            lambda x, y: transpose(dot_general(x, y, (((1,), (0,)), ((), ()))), (1, 0)),
            [(2, 3), (3, 4)], ["dot_general"],
        ),
        (
            lambda x, y: transpose(dot_general(x, y, (((2,), (1,)), ((0,), (0,)))), (0, 2, 1)),
            [(5, 2, 3), (5, 3, 4)], ["dot_general"],
        ),
        (
            lambda x, y: dot_general(transpose(x, (1, 0)), transpose(y, (1, 0)), (((1,), (0,)), ((), ()))),
            [(3, 2), (4, 3)], ["dot_general"],
        ),
        (
            lambda x, y: dot_general(transpose(x, (2, 0, 1)), y, (((2,), (0,)), ((), ()))),
            [(2, 3, 4), (3, 5)], ["transpose", "dot_general"],
        ),
        (lambda x: sin(transpose(x, (1, 0))), [(2, 3)], ["transpose", "sin"]),
    ],
)  # fmt: skip
def test_what_is_left(function: Callable, shapes: list, left: list[str]) -> None:
    assert names(folded(function, *[numbers(*shape) for shape in shapes])) == left


def test_a_dot_that_others_need_is_computed_once() -> None:
    def function(x: Any, y: Any) -> Any:
        product = dot_general(x, y, (((1,), (0,)), ((), ())))
        return product, transpose(product, (1, 0))

    assert names(folded(function, numbers(2, 3), numbers(3, 4))) == ["dot_general", "transpose"]


def test_gradients_of_a_layer_need_no_transpose() -> None:
    def loss(w: Any, x: Any) -> Any:
        return reduce_sum(dot_general(x, w, (((1,), (0,)), ((), ()))), (0, 1))

    assert "transpose" not in names(folded(grad(loss), numbers(3, 4), numbers(5, 3)))


@quick
@given(st.data())
def test_chains(data: Any) -> None:
    """Random transposes, broadcasts, reductions and products, one after the other."""

    def function(x: Any, y: Any) -> Any:
        for _ in range(data.draw(st.integers(1, 6))):
            step = data.draw(st.sampled_from(["transpose", "transpose", "reduce", "broadcast", "dot"]))
            axis = data.draw(st.integers(0, x.ndim - 1)) if x.ndim else 0
            if step == "transpose" and x.ndim:
                x = transpose(x, data.draw(st.permutations(range(x.ndim))))
            elif step == "reduce" and x.ndim:
                x = reduce_sum(x, (axis,))
            elif step == "broadcast" and x.ndim < 4:
                at = data.draw(st.integers(0, x.ndim))
                placement = data.draw(st.permutations([d for d in range(x.ndim + 1) if d != at]))
                shape = [2] * (x.ndim + 1)
                for length, place in zip(x.shape, placement, strict=True):
                    shape[place] = length
                x = broadcast_in_dim(x, tuple(shape), placement)
            elif step == "dot" and x.ndim and x.shape[axis] == 2:
                pair = (x, y) if data.draw(st.booleans()) else (y, x)
                summed = ((axis,), (0,)) if pair[0] is x else ((0,), (axis,))
                x = dot_general(*pair, (summed, ((), ())))
        return x

    folded(function, numbers(2, 3, 2), numbers(*inserted((3,), 0, 2)))
