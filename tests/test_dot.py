"""dot_general: random contractions against einsum, gradients of mixed dtypes, errors."""

import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, AxisError, DTypeError, ShapeError
from nrx.ops.dot import Precision, batch_matmul, canonical_precision, dot, dot_general
from nrx.transforms import vjp


@st.composite
def contractions(draw: st.DrawFn) -> tuple[str, str, str, Any, dict[str, int]]:
    """The axes of both operands and of the result as letters, the dimension numbers, and the sizes."""
    letters = iter(string.ascii_letters)
    batch, contract, left, right = ("".join(next(letters) for _ in range(draw(st.integers(0, 2)))) for _ in range(4))
    x, y = ("".join(draw(st.permutations(own + contract + batch))) for own in (left, right))
    out = batch + "".join(a for a in x if a in left) + "".join(a for a in y if a in right)
    numbers = tuple(([x.index(a) for a in axes], [y.index(a) for a in axes]) for axes in (contract, batch))
    return x, y, out, numbers, {a: draw(st.integers(0, 3)) for a in batch + contract + left + right}


@settings(max_examples=200, deadline=None)
@given(contractions())
def test_values_and_gradients_are_those_of_einsum(problem: Any) -> None:
    x_axes, y_axes, out_axes, numbers, sizes = problem
    rng = np.random.default_rng(0)
    x, y, ct = (rng.normal(size=[sizes[a] for a in axes]) for axes in (x_axes, y_axes, out_axes))
    xs = asarray(x)
    out, pull_back = vjp(lambda x, y: dot_general(x, y, numbers), xs, asarray(y))
    np.testing.assert_allclose(np.asarray(out), np.einsum(f"{x_axes},{y_axes}->{out_axes}", x, y), atol=1e-12)
    dx, dy = pull_back(asarray(ct))
    np.testing.assert_allclose(np.asarray(dx), np.einsum(f"{out_axes},{y_axes}->{x_axes}", ct, y), atol=1e-12)
    np.testing.assert_allclose(np.asarray(dy), np.einsum(f"{out_axes},{x_axes}->{y_axes}", ct, x), atol=1e-12)


MATRICES = (((1,), (0,)), ((), ()))


@pytest.mark.parametrize(
    ("x", "y", "wide"),
    [
        ("bfloat16", "bfloat16", "float32"), ("float16", "float16", "float64"), ("bfloat16", "float32", "float32"),
        ("float8_e4m3fn", "float8_e5m2", "float32"), ("float64", "float64", "float32"),
    ],
)  # fmt: skip
def test_gradients_with_a_preferred_type(x: str, y: str, wide: str) -> None:
    """The result has the preferred dtype, and a gradient that of its operand."""
    rng = np.random.default_rng(0)
    lhs, rhs = asarray(rng.normal(size=(3, 5))).astype(x), asarray(rng.normal(size=(5, 4))).astype(y)
    out, pull_back = vjp(lambda x, y: dot_general(x, y, MATRICES, None, wide), lhs, rhs)
    assert out.dtype == wide
    exact = [np.asarray(v).astype(np.float64) for v in (lhs, rhs)]
    np.testing.assert_allclose(np.asarray(out), exact[0] @ exact[1], rtol=1e-6, atol=1e-6)
    ct = rng.normal(size=(3, 4)).astype(wide)
    expected = (ct @ exact[1].T, exact[0].T @ ct)
    for got, answer, operand in zip(pull_back(asarray(ct)), expected, (lhs, rhs), strict=True):
        assert got.dtype == operand.dtype
        eps = float(dtypes.finfo(operand.dtype).eps)
        np.testing.assert_allclose(np.asarray(got).astype(np.float64), answer, rtol=eps, atol=4 * eps)


def test_narrow_sums_are_exact_in_float32() -> None:
    """4096 ones in bfloat16: adding one by one in bfloat16 would stop at 256."""
    ones = asarray(np.ones((1, 4096), np.float32)).astype("bfloat16")
    assert dot_general(ones, ones, (((1,), (1,)), ((), ()))).item() == 4096


def test_precision_is_checked() -> None:
    assert canonical_precision("highest") is Precision.HIGHEST
    assert canonical_precision(("default", Precision.HIGH)) == (Precision.DEFAULT, Precision.HIGH)
    assert canonical_precision(None) is None
    x = asarray(np.eye(2))
    assert dot(x, x, precision="high").tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ArgumentError, match="unknown precision 'low'"):
        dot(x, x, precision="low")


def zeros(*shape: int, dtype: str = "float32") -> Array:
    return asarray(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("error", "text", "x", "y", "numbers", "options"),
    [
        (ShapeError, r"\(2, 3\) and \(4, 3\): contracting axes \(1,\).*\(3,\).*\(0,\).*\(4,\)", zeros(2, 3),
         zeros(4, 3), MATRICES, {}),
        (ShapeError, "batch axes", zeros(2, 3), zeros(4, 3), (((1,), (1,)), ((0,), (0,))), {}),
        (ShapeError, "do not pair", zeros(2, 3), zeros(4, 3), (((0, 1), (1,)), ((), ())), {}),
        (AxisError, "both contracting and batch", zeros(2, 2), zeros(2, 2), (((0,), (0,)), ((0,), (1,))), {}),
        (AxisError, "twice", zeros(2, 2), zeros(2, 2), (((0, 0), (0, 1)), ((), ())), {}),
        (AxisError, "lhs contracting axis 2 is out of range", zeros(2, 2), zeros(2, 2), (((2,), (0,)), ((), ())), {}),
        (ArgumentTypeError, "two pairs", zeros(2, 2), zeros(2, 2), ((1,), (0,)), {}),
        (DTypeError, "float32.*float64", zeros(2, 2), zeros(2, 2, dtype="float64"), MATRICES, {}),
        (DTypeError, "float32.*int32", zeros(2, 2), zeros(2, 2, dtype="int32"), MATRICES,
         {"preferred_element_type": "float32"}),
        (DTypeError, "does not take bool", zeros(2, 2, dtype="bool"), zeros(2, 2, dtype="bool"), MATRICES, {}),
        (DTypeError, "cannot be given as int32", zeros(2, 2), zeros(2, 2), MATRICES,
         {"preferred_element_type": "int32"}),
        (DTypeError, "cannot be given as float32", zeros(2, 2, dtype="complex64"), zeros(2, 2, dtype="complex64"),
         MATRICES, {"preferred_element_type": "float32"}),
    ],
)  # fmt: skip
def test_errors(error: type[Exception], text: str, x: Array, y: Array, numbers: Any, options: dict[str, Any]) -> None:
    with pytest.raises(error, match=f"(?s){text}"):
        dot_general(x, y, numbers, **options)


def test_dot_with_dimension_numbers_is_dot_general() -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)
    product = dot(x, y, dimension_numbers=(((1,), (1,)), ((), ())))
    np.testing.assert_array_equal(product, x @ y.T)


def test_errors_of_dot_and_batch_matmul() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(2, 3\)(?s:.*)transpose one"):
        dot(zeros(2, 3), zeros(2, 3))
    with pytest.raises(ShapeError, match="vectors and matrices"):
        dot(zeros(1, 2, 3), zeros(3))
    with pytest.raises(ShapeError, match="one rank"):
        batch_matmul(zeros(2, 2, 3), zeros(3, 2))
