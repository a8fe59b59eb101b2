"""NumPy's own functions on our arrays, concrete and traced, against the same calls on NumPy arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core.errors import DTypeError, ImmutableError, TracerArrayError

X = np.array([[0.3, 0.7, 0.2], [0.6, 0.1, 0.9]], np.float32)
V = np.array([0.4, 0.1, 0.8], np.float32)
M = np.array([[3.0, 0.5], [0.25, 2.0]], np.float32)
N = np.array([[5, 3, 6], [1, 7, 2]], np.int32)

_SMOOTH = "sin cos tan exp exp2 expm1 log log2 log10 log1p sqrt square cbrt sinh cosh tanh arcsin arccos arctan arcsinh"
_SMOOTH += " arctanh reciprocal negative positive absolute fabs abs deg2rad rad2deg degrees radians sinc sum prod mean"
_SMOOTH += " std var max min amax amin ptp nansum nanprod nanmean nanstd nanvar nanmax nanmin median cumsum cumprod"
_SMOOTH += " ravel transpose fliplr flipud flip rot90 squeeze sort diff trace diagonal diag copy real nan_to_num"
_SMOOTH += " atleast_1d atleast_2d atleast_3d tril triu conjugate conj average"
_ROUGH = "sign floor ceil trunc rint fix isnan isinf isfinite signbit argmax argmin argsort any all nonzero_count"
_ROUGH += " count_nonzero zeros_like ones_like empty_shape shape ndim size iscomplexobj isrealobj logical_not"
_ROUGH += " isposinf isneginf nanargmax nanargmin around round isreal iscomplex"
_PAIRS = "add subtract multiply divide true_divide power arctan2 hypot maximum minimum fmax fmin logaddexp logaddexp2"
_PAIRS += " copysign remainder mod fmod float_power heaviside greater greater_equal less less_equal equal not_equal"
_PAIRS += " logical_and logical_or logical_xor isclose allclose array_equal floor_divide nextafter"
_INTEGERS = "bitwise_and bitwise_or bitwise_xor left_shift right_shift gcd lcm"
_SPECIAL = {
    name: getattr(np, name)
    for name in (*_SMOOTH.split(), *_ROUGH.split()) if hasattr(np, name)
}  # fmt: skip
_CALLS: dict[str, tuple[Callable, tuple]] = {
    **{name: (function, (X,)) for name, function in _SPECIAL.items()},
    **{name: (getattr(np, name), (X, X[::-1] + np.float32(0.05))) for name in _PAIRS.split()},
    **{name: (getattr(np, name), (N, N[::-1])) for name in _INTEGERS.split()},
    "arccosh": (np.arccosh, (X + 1,)),
    "bitwise_not": (np.bitwise_not, (N,)),
    "invert": (np.invert, (N,)),
    "where": (lambda x: np.where(x > 0.25, x, x * 2), (X,)),
    "clip": (lambda x: np.clip(x, 0.25, 0.65), (X,)),
    "reshape": (lambda x: np.reshape(x, (3, 2)), (X,)),
    "concatenate": (lambda x: np.concatenate([x, x * 2]), (X,)),
    "stack": (lambda x: np.stack([x, x * 2], axis=-1), (X,)),
    "vstack": (lambda x: np.vstack([x, x]), (X,)),
    "hstack": (lambda x: np.hstack([x, x]), (X,)),
    "dstack": (lambda x: np.dstack([x, x]), (X,)),
    "column_stack": (lambda x: np.column_stack([x, x]), (V,)),
    "expand_dims": (lambda x: np.expand_dims(x, 1), (X,)),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 1), (X,)),
    "moveaxis": (lambda x: np.moveaxis(x, 0, 1), (X,)),
    "rollaxis": (lambda x: np.rollaxis(x, 1), (X,)),
    "roll": (lambda x: np.roll(x, 1, axis=1), (X,)),
    "repeat": (lambda x: np.repeat(x, 2, axis=0), (X,)),
    "tile": (lambda x: np.tile(x, (2, 1)), (X,)),
    "pad": (lambda x: np.pad(x, 1), (X,)),
    "broadcast_to": (lambda x: np.broadcast_to(x, (2, 2, 3)), (X,)),
    "take": (lambda x: np.take(x, np.array([0, 2]), axis=1), (X,)),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.array([[0], [2]]), 1), (X,)),
    "split": (lambda x: np.split(x, 3, axis=1)[1], (X,)),
    "array_split": (lambda x: np.array_split(x, 2, axis=1)[0], (X,)),
    "append": (lambda x: np.append(x, x), (X,)),
    "delete": (lambda x: np.delete(x, 1), (V,)),
    "insert": (lambda x: np.insert(x, 1, 5.0), (V,)),
    "dot": (np.dot, (M, M)),
    "matmul": (np.matmul, (M, M)),
    "vdot": (np.vdot, (V, V[::-1])),
    "inner": (np.inner, (X, V)),
    "outer": (np.outer, (V, V)),
    "tensordot": (np.tensordot, (M, M)),
    "kron": (np.kron, (M, M)),
    "cross": (np.cross, (V, V[::-1])),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x), (X,)),
    "quantile": (lambda x: np.quantile(x, 0.3), (V,)),
    "percentile": (lambda x: np.percentile(x, 30), (V,)),
    "interp": (lambda x: np.interp(x, np.arange(3.0), V), (V,)),
    "searchsorted": (lambda x: np.searchsorted(x, 0.5), (np.sort(V),)),
    "meshgrid": (lambda x: np.meshgrid(x, x)[0], (V,)),
    "convolve": (np.convolve, (V, V)),
    "correlate": (np.correlate, (V, V)),
    "gradient": (np.gradient, (V,)),
    "cov": (np.cov, (X,)),
    "full_like": (lambda x: np.full_like(x, 2), (X,)),
    "add.reduce": (np.add.reduce, (X,)),
    "multiply.reduce": (np.multiply.reduce, (X,)),
    "maximum.reduce": (lambda x: np.maximum.reduce(x, axis=1), (X,)),
    "minimum.reduce": (lambda x: np.minimum.reduce(x, axis=None), (X,)),
    "add.accumulate": (np.add.accumulate, (X,)),
    "multiply.accumulate": (lambda x: np.multiply.accumulate(x, axis=1), (X,)),
    "subtract.outer": (np.subtract.outer, (V, X)),
    "linalg.norm": (np.linalg.norm, (M,)),
    "linalg.inv": (np.linalg.inv, (M,)),
    "linalg.det": (np.linalg.det, (M,)),
    "linalg.solve": (np.linalg.solve, (M, M)),
}


@pytest.mark.parametrize("name", sorted(_CALLS))
def test_same_values_as_on_ndarrays(name: str) -> None:
    function, arguments = _CALLS[name]
    expected = function(*arguments)
    arrays = [jnp.asarray(value) for value in arguments]
    for call in (function, nrx.jit(function)):
        if name in ("shape", "iscomplexobj", "isrealobj") and call is not function:
            continue  # not arrays: nothing to return from jit
        result: Any = call(*arrays)
        if name in ("shape",):
            assert tuple(result) == expected
        else:
            assert np.shape(result) == np.shape(expected)
            np.testing.assert_allclose(np.asarray(result), expected, rtol=2e-5, atol=2e-6)


_DIFFERENTIABLE = sorted({*_SMOOTH.split(), "where", "einsum", "concatenate", "linalg.inv", "linalg.det", "matmul"})


@pytest.mark.parametrize("name", _DIFFERENTIABLE)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    function, (first, *rest) = _CALLS[name]
    weights = np.linspace(0.5, 1.5, np.size(function(first, *rest))).reshape(np.shape(function(first, *rest)))

    def loss(x: Any) -> Any:
        return np.sum(function(x, *rest) * weights.astype(np.float32))

    wide, step = first.astype(np.float64), 1e-6
    expected = np.zeros_like(wide)
    for index in np.ndindex(wide.shape):
        up, down = wide.copy(), wide.copy()
        up[index] += step
        down[index] -= step
        expected[index] = (loss(up) - loss(down)) / (2 * step)
    np.testing.assert_allclose(np.asarray(nrx.grad(loss)(jnp.asarray(first))), expected, rtol=2e-3, atol=2e-4)


def test_two_hundred_functions() -> None:
    assert len(_CALLS) >= 200


def test_dtype_where_and_casting() -> None:
    x = jnp.asarray(X)
    assert np.add(jnp.asarray(N), 1, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(np.add(x, x, where=X > 0.5)), np.where(X > 0.5, X + X, 0))
    with pytest.raises(DTypeError, match="casting"):
        np.add(x, x, dtype=np.int32)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: np.add(x, x, out=np.ones((2, 3))), lambda x: np.add(x, x, out=x), lambda x: np.sum(x, out=x),
        lambda x: np.add.at(np.ones(3), 0, x[0, 0]), lambda x: np.ones((2, 3)).__iadd__(x),
    ],
)  # fmt: skip
def test_writing_says_what_to_do(write: Callable) -> None:
    with pytest.raises(ImmutableError, match=r"fix: .*(use|write)"):
        nrx.jit(write)(X)


def test_concrete_values_are_written_and_read() -> None:
    a = np.ones((2, 3), np.float32)
    a += jnp.asarray(X)
    np.testing.assert_array_equal(a, 1 + X)
    np.testing.assert_array_equal(np.subtract.reduce(jnp.asarray(X)), np.subtract.reduce(X))
    with pytest.raises(TracerArrayError):
        nrx.jit(lambda x: np.subtract.reduce(x))(X)
