"""Elementwise and structural primitives, what the case table cannot hold: scalars, weak types, refusals, messages."""

import inspect
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import nrx.backends  # noqa: F401 - registers NumPy's
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, AxisError, DifferentiationError, DTypeError, NrxError, ShapeError
from nrx.ops import arithmetic, elementary, logic, special, structural, zeta
from nrx.transforms import grad, jit, jvp, make_jaxpr

DTYPES = ("bool", "int8", "uint16", "int32", "float16", "bfloat16", "float32", "float64", "complex64", "complex128")


def array(value: Any, dtype: str = "float64") -> Array:
    return asarray(np.array(value).astype(np.dtype(dtype)))


# --- Scalars ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_integer_scalar_takes_dtype_and_shape_of_array(dtype: str) -> None:
    for got in (arithmetic.add(array([1, 2], dtype), 3), jit(lambda x: arithmetic.add(3, x))(array([1, 2], dtype))):
        assert (got.dtype, got.weak_type) == (np.dtype(dtype), False)
        np.testing.assert_array_equal(np.asarray(got).astype(complex), [4, 5])


def test_float_scalar_is_rounded_once() -> None:
    x = array([1.0, 2.0])
    for got in (
        arithmetic.mul(x, 0.1),
        jit(lambda x: arithmetic.mul(0.1, x))(x),
        logic.select(array(True, "bool"), 0.1, x),
    ):
        assert np.asarray(got)[0] == 0.1
    assert np.asarray(logic.clamp(0.1, array([0.0]), 0.2))[0] == 0.1
    assert np.asarray(structural.full((2,), 0.1, "float64"))[0] == 0.1
    assert np.asarray(structural.full_like(x, 0.1))[0] == 0.1
    assert np.asarray(structural.convert_element_type(0.1, "float64")) == 0.1
    assert np.asarray(structural.convert_element_type(0.1 + 0.2j, "complex128")) == 0.1 + 0.2j
    assert np.asarray(structural.convert_element_type(1e300, "float32")) == np.inf


def test_booleans_join_booleans() -> None:
    got = logic.bitwise_and(array([True, False], "bool"), True)
    assert got.dtype == bool
    assert np.asarray(got).tolist() == [True, False]


def test_weakly_typed_arrays_join_like_scalars() -> None:
    got = arithmetic.add(array([1.0, 2.0], "bfloat16"), asarray(0.5))
    assert got.dtype == ml_dtypes.bfloat16
    assert np.asarray(got).astype(float).tolist() == [1.5, 2.5]


def test_scalars_among_themselves_stay_weak() -> None:
    assert arithmetic.add(1.5, 2.5).weak_type
    assert not arithmetic.add(1.5, array(2.5)).weak_type


@pytest.mark.parametrize(
    ("function", "weak"),
    [
        (lambda: arithmetic.abs(1.5), True),
        (lambda: arithmetic.abs(1j), True),
        (lambda: arithmetic.real(1j), True),
        (lambda: arithmetic.complex(1.0, 2.0), True),
        (lambda: elementary.sin(1.0), True),
        (lambda: elementary.pow(2.0, 3), True),
        (lambda: elementary.pow(array(2.0), 3), False),
        (lambda: logic.lt(1.0, 2.0), False),
        (lambda: logic.select(array(True, "bool"), 1.0, 2.0), True),
        (lambda: structural.full((2,), 1.0), True),
        (lambda: structural.full((2,), 1.0, "float32"), False),
        (lambda: structural.full_like(asarray(1.0), 2), True),
        (lambda: structural.full_like(asarray(1.0), 2, "float32"), False),
        (lambda: structural.convert_element_type(asarray(1.0), "float32"), False),
        (lambda: structural.reshape(asarray(1.0), (1,)), True),
    ],
)
def test_weak_types(function: Callable, weak: bool) -> None:
    assert function().weak_type is weak


def test_integer_exponents_keep_their_dtype() -> None:
    text = str(make_jaxpr(lambda x: elementary.pow(x, 3))(array([1.0, 2.0])))
    assert "i32[2]" in text
    assert np.asarray(elementary.pow(2.0, array([1, 2, 3], "int8"))).tolist() == [2, 4, 8]


def test_complex_sign_has_derivative_zero_at_zero() -> None:
    _, tangent = jvp(arithmetic.sign, (array([0j, 2.0], "complex128"),), (array([1.0, 1j], "complex128"),))
    assert np.asarray(tangent).tolist() == [0, 0.5j]


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("add", ("bool",)), ("sub", ("bool",)), ("mul", ("bool",)), ("div", ("bool",)), ("neg", ("bool",)),
        ("rem", ("bool", "complex64")), ("sign", ("bool",)), ("integer_pow", ("bool",)),
        ("abs", ("bool", "uint8", "uint64")), ("floor", ("int32", "bool", "complex64")), ("ceil", ("int8",)),
        ("round", ("int32", "complex64")), ("nextafter", ("int32", "complex64")), ("real", ("float32",)),
        ("imag", ("float64",)), ("conj", ("int32", "float16")), ("complex", ("float16", "int32", "complex64")),
        ("lt", ("complex64",)), ("le", ("complex128",)), ("gt", ("complex64",)), ("ge", ("complex64",)),
        ("is_finite", ("int32", "bool", "complex64")), ("clamp", ("complex64",)),
        ("bitwise_not", ("float32",)), ("bitwise_and", ("float32", "complex64")), ("shift_left", ("bool", "float32")),
        ("population_count", ("bool", "float32")), ("clz", ("bool", "float64")),
        ("sin", ("int32", "bool")), ("exp", ("uint8",)), ("pow", ("int32", "bool")), ("cbrt", ("complex64",)),
        ("logistic", ("int32",)), ("erf", ("complex64", "int32")), ("lgamma", ("complex128",)), ("zeta", ("int32",)),
        ("reduce_sum", ("bool",)),
    ],
)  # fmt: skip
def test_refused_dtypes(name: str, refused: tuple[str, ...]) -> None:
    modules = (arithmetic, logic, elementary, special, structural, zeta)
    function = next(getattr(m, name) for m in modules if hasattr(m, name))
    last = {"integer_pow": [2], "reduce_sum": [(0,)]}.get(name, [])
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    for dtype in refused:
        with pytest.raises(DTypeError) as caught:
            function(*[array([1, 1], dtype)] * (len(needed) - len(last)), *last)
        assert dtype in caught.value.message
        assert caught.value.fix


X, N = array([1.0, 2.0]), array([1, 2], "int32")


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: arithmetic.add(X, N), DTypeError, "float64"),
        (lambda: arithmetic.add(N, 1.5), DTypeError, "int32"),
        (lambda: arithmetic.add(X, array([1.0, 2.0], "float32")), DTypeError, "float32"),
        (lambda: arithmetic.add(X, array([1.0])), ShapeError, "(1,)"),
        (lambda: arithmetic.add(X, array(1.0)), ShapeError, "()"),
        (lambda: arithmetic.integer_pow(X, 2.0), ArgumentError, "2.0"),
        (lambda: arithmetic.integer_pow(N, -1), DTypeError, "power -1"),
        (lambda: arithmetic.round(X, 2), ArgumentError, "method"),
        (lambda: elementary.pow(N, 2), DTypeError, "int32"),
        (lambda: elementary.pow(X, array([1.0, 2.0], "float32")), DTypeError, "float32"),
        (lambda: elementary.pow(X, array([1, 2, 3], "int32")), ShapeError, "(3,)"),
        (lambda: logic.select_n(N), ShapeError, "at least one"),
        (lambda: logic.select_n(X, X, X), DTypeError, "bool or int32"),
        (lambda: logic.select_n(array([True, True], "bool"), X, X, X), DTypeError, "2 cases"),
        (lambda: logic.select_n(array([True], "bool"), X, X), ShapeError, "(1,)"),
        (lambda: structural.reshape(X, (3,)), ShapeError, "2 elements"),
        (lambda: structural.reshape(X, (-1,)), ShapeError, "negative"),
        (lambda: structural.transpose(X, (0, 1)), AxisError, "1"),
        (lambda: structural.transpose(array(np.ones((2, 3))), (0, 0)), AxisError, "twice"),
        (lambda: structural.transpose(array(np.ones((2, 3))), (0,)), AxisError, "permutation"),
        (lambda: structural.rev(X, (1,)), AxisError, "dimensions"),
        (lambda: structural.broadcast_in_dim(X, (3,), (0,)), ShapeError, "(3,)"),
        (lambda: structural.broadcast_in_dim(X, (2, 2), (2,)), AxisError, "(2,)"),
        (lambda: structural.broadcast_in_dim(X, (2, 2), ()), AxisError, "()"),
        (lambda: structural.broadcast_to(X, ()), ShapeError, "fewer axes"),
        (lambda: structural.squeeze(X, (0,)), ShapeError, "squeeze"),
        (lambda: structural.bitcast_convert_type(X, "bool"), DTypeError, "bool"),
        (lambda: structural.bitcast_convert_type(X, "complex64"), DTypeError, "complex64"),
        (lambda: structural.bitcast_convert_type(array([1, 2, 3], "uint8"), "uint32"), ShapeError, "length 4"),
        (lambda: structural.iota("bool", 3), DTypeError, "bool"),
        (lambda: structural.full((2,), X), ShapeError, "scalar"),
        (lambda: grad(lambda m: zeta.polygamma(m, array(2.0)))(array(1.0)), DifferentiationError, "order m"),
        (lambda: grad(lambda x: zeta.zeta(x, array(2.0)))(array(3.0)), DifferentiationError, "exponent x"),
    ],
)
def test_messages(call: Callable, error: type[NrxError], says: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert says in caught.value.message
