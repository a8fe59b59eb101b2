"""Elementwise primitives at zeros, infinities, NaN and the ends of the range, eager and compiled, by NumPy and C."""

import ctypes
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from known_differences import kinds, sign_is_open
from scipy import special

import nrx
from nrx.core import dtypes
from nrx.core.primitive import primitive_named

INF, NAN = math.inf, math.nan
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def evaluations(name: str, operands: list[np.ndarray], **params: Any) -> list[np.ndarray]:
    """The results of a primitive, eager and compiled."""
    primitive = primitive_named(name)
    function = lambda *xs: primitive.bind(*xs, **params)
    arrays = [nrx.numpy.asarray(x) for x in operands]
    return [np.asarray(function(*arrays)), np.asarray(nrx.jit(function)(*arrays))]


# --- Real numbers -----------------------------------------------------------------------------------------------------


def of_the_c_library(name: str) -> Callable:
    function = getattr(ctypes.CDLL(None), name)
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return np.vectorize(function, otypes=[np.float64])


#: Exact, or rounded from what is.
EXACT: dict[str, Callable] = {
    "neg": np.negative, "sign": lambda x: np.where(x == 0, x, np.sign(x)), "floor": np.floor, "ceil": np.ceil,
    "abs": np.abs, "sqrt": np.sqrt, "is_finite": np.isfinite, "add": np.add, "sub": np.subtract, "mul": np.multiply,
    "div": np.divide, "rem": np.fmod, "max": np.maximum, "min": np.minimum, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
ROUNDED: dict[str, Callable] = {
    **{name: getattr(np, name) for name in ("exp", "exp2", "log", "expm1", "log1p", "cbrt")},
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"a{name}": getattr(np, f"arc{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "rsqrt": lambda x: 1 / np.sqrt(x), "logistic": lambda x: 1 / (1 + np.exp(-x)), "pow": np.power,
    "erf": special.erf, "erfc": special.erfc, "erf_inv": lambda x: np.copysign(special.erfinv(x), x),
    "lgamma": of_the_c_library("lgamma"), "digamma": special.psi,
}  # fmt: skip
BINARY = {"add", "sub", "mul", "div", "rem", "max", "min", "eq", "ne", "lt", "le", "gt", "ge", "atan2", "pow"}


def special_numbers(dtype: str) -> np.ndarray:
    info = dtypes.finfo(dtypes.canonical_dtype(dtype))
    tiny, normal, largest, eps = (float(x) for x in (info.smallest_subnormal, info.tiny, info.max, info.eps))
    sizes = [0.0, tiny, 3 * tiny, normal, 0.5, 1.0, 1 + eps, 2.0, 3.0, 4.0, 7.0, 10.0, largest, INF]
    return np.array([sign * size for size in sizes for sign in (1, -1)] + [NAN]).astype(dtypes.canonical_dtype(dtype))


def operands_of(name: str, numbers: np.ndarray) -> list[np.ndarray]:
    return [x.ravel() for x in np.meshgrid(numbers, numbers)] if name in BINARY else [numbers]


def same_bits(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Where they are equal, zeros with their signs; NaN equals NaN."""
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    both_nan = np.isnan(got) & np.isnan(expected)
    return both_nan | (got == expected) & (np.signbit(got) == np.signbit(expected))


def differences(operands: list[np.ndarray], got: np.ndarray, expected: np.ndarray, alike: np.ndarray) -> list[tuple]:
    return [tuple(x[i].item() for x in (*operands, got, expected)) for i in np.flatnonzero(~alike)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*EXACT, *ROUNDED])
def test_real(name: str, dtype: str) -> None:
    """Exact functions bit by bit; of the others zeros, infinities and NaN."""
    operands = operands_of(name, special_numbers(dtype))
    with np.errstate(all="ignore"):
        native = name in EXACT and dtype != "bfloat16"  # of two zeros NumPy's maximum depends on the dtype
        expected = {**EXACT, **ROUNDED}[name](*[x if native else x.astype(np.float64) for x in operands])
        for got in evaluations(name, operands):
            rounded = expected.astype(got.dtype)
            given = (rounded == 0) | ~np.isfinite(rounded) | (got == 0) | ~np.isfinite(got)
            alike = same_bits(got, rounded) | (~given if name in ROUNDED else False)
            assert not differences(operands, got, rounded, alike)


@pytest.mark.parametrize("dtype", FLOATS)
def test_nextafter(dtype: str) -> None:
    """NumPy's in float16, float32 and float64; in bfloat16 the neighbour by the bits, where the sign is in the way."""
    operands = [x.ravel() for x in np.meshgrid(*[special_numbers(dtype)] * 2)]
    if dtype == "bfloat16":
        expected = np.array([neighbour(x, y) for x, y in zip(*operands, strict=True)], operands[0].dtype)
    else:
        with np.errstate(all="ignore"):
            expected = np.nextafter(*operands)
    for got in evaluations("nextafter", operands):
        assert not differences(operands, got, expected, same_bits(got, expected))


def neighbour(x: Any, y: Any) -> Any:
    """The bfloat16 next to x on the way to y."""
    if np.isnan(x) or np.isnan(y) or x == y:
        return x + y if x != y else y
    if x == 0:
        return np.uint16(1 | (0x8000 if y < 0 else 0)).view(x.dtype)
    outwards = (y > x) == (x > 0)
    return np.uint16(int(x.view(np.uint16)) + (1 if outwards else -1)).view(x.dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_round(dtype: str) -> None:
    x = special_numbers(dtype)
    wide = x.astype(np.float64)
    away = np.copysign(np.floor(np.abs(wide) + 0.5), wide)
    for to_even, expected in ((False, away), (True, np.rint(wide))):
        for got in evaluations("round", [x], to_even=to_even):
            assert not differences([x], got, expected.astype(x.dtype), same_bits(got, expected.astype(x.dtype)))


# --- Complex numbers --------------------------------------------------------------------------------------------------

PLANE = np.array([complex(*parts) for parts in itertools.product([0.0, -0.0, 1, -1, INF, -INF, NAN], repeat=2)])


def of_parts(real: Any, imag: Any) -> np.ndarray:
    out = np.empty(np.shape(real), np.complex128)
    out.real, out.imag = real, imag
    return out


def expm1(z: np.ndarray) -> np.ndarray:
    real = np.where(np.isfinite(z), np.expm1(z).real, np.exp(z).real - 1)
    return of_parts(real, np.exp(z).imag)


def rsqrt(z: np.ndarray) -> np.ndarray:
    """The conjugate of the root over the size; at infinity 0, at 0 infinity without a direction."""
    root, size = np.sqrt(z), np.abs(z)
    real = np.where(np.isinf(size), 0, np.where(size == 0, INF, root.real / size))
    imag = np.where(np.isinf(size), 0, np.where(size == 0, NAN, root.imag / size))
    return of_parts(real, np.copysign(imag, -z.imag))


def logistic(z: np.ndarray) -> np.ndarray:
    """In the far right 1, in the far left 0, both with the sign of sin(y)."""
    direction = np.sin(np.where(np.isfinite(z.imag), z.imag, 0))
    power = np.exp(-z)
    near = 1 / (1 + power)
    far = np.isinf(z.real)
    real = np.where(far, z.real > 0, near.real)
    return of_parts(real, np.copysign(np.where(far, 0, near.imag), direction))


COMPLEX: dict[str, Callable] = {
    **{name: getattr(np, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"a{name}": getattr(np, f"arc{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "exp2": lambda z: np.exp(of_parts(z.real * np.log(2), z.imag * np.log(2))),
    "log1p": lambda z: np.log(of_parts(1 + z.real, z.imag)),
    "expm1": expm1, "rsqrt": rsqrt, "logistic": logistic,
    "neg": np.negative, "conj": np.conj, "abs": np.abs, "real": np.real, "imag": np.imag,
}  # fmt: skip


def parts_of(z: np.ndarray) -> list[np.ndarray]:
    return [z.real, z.imag] if z.dtype.kind == "c" else [z]


def unlike(operands: list[np.ndarray], got: np.ndarray, expected: np.ndarray) -> list[tuple]:
    """Where parts differ in more than rounding and the signs that C leaves open."""
    alike = np.ones(got.shape, bool)
    for this, want, others in zip(parts_of(got), parts_of(expected), parts_of(expected)[::-1], strict=True):
        is_open = np.logical_or.reduce([sign_is_open(z, want, others) for z in operands])
        close = np.isclose(np.abs(this), np.abs(want), 1e-5, 1e-6, equal_nan=True)
        alike &= close & (np.isnan(want) | is_open | (np.signbit(this) == np.signbit(want)))
    return differences(operands, got, expected, alike)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str, dtype: str) -> None:
    z = PLANE.astype(dtype)
    with np.errstate(all="ignore"):
        expected = COMPLEX[name](z.astype(np.complex128))
    for got in evaluations(name, [z]):
        assert not unlike([z], got, expected)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_complex_arithmetic(name: str, dtype: str) -> None:
    """NumPy's, whose products and quotients are without Annex G's recovery of infinities."""
    operands = [x.ravel() for x in np.meshgrid(*[PLANE.astype(dtype)] * 2)]
    with np.errstate(all="ignore"):
        expected = EXACT[name](*operands)
    for got in evaluations(name, operands):
        assert all(same_bits(*pair).all() for pair in zip(parts_of(got), parts_of(expected), strict=True))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_atan2(dtype: str) -> None:
    """-i log((x + i y) / sqrt(x² + y²)); at the poles, where the root is zero, and at infinity eager is compiled."""
    operands = [x.ravel() for x in np.meshgrid(*[PLANE.astype(dtype)] * 2)]
    eager, compiled = evaluations("atan2", operands)
    assert not unlike(operands, compiled, eager)
    y, x = (z.real for z in operands)
    real = np.logical_and.reduce([np.isfinite(z) & (z.imag == 0) & (z.real != 0) for z in operands])
    np.testing.assert_allclose(eager[real], np.arctan2(y, x)[real], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_pow(dtype: str) -> None:
    """NumPy's, but that infinity to a negative power is 0."""
    z, w = operands = [x.ravel() for x in np.meshgrid(*[PLANE.astype(dtype)] * 2)]
    with np.errstate(all="ignore"):
        infinite = np.isinf(z.real) | np.isinf(z.imag)
        expected = np.where(infinite & (w.real < 0) & (w.imag == 0), 0, np.power(z, w))
    for got in evaluations("pow", operands):
        assert not differences(operands, got, expected, kinds(got) == kinds(expected))
        other = kinds(expected) == "other"
        np.testing.assert_allclose(got[other], expected[other], rtol=1e-6, atol=1e-6)
