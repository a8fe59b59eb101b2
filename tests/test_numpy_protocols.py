"""NumPy's own functions on our arrays, concrete and traced, against the same calls on NumPy arrays."""

import operator
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
_ROUGH = "sign floor ceil trunc rint fix isnan isinf isfinite signbit argmax argmin argsort any all"
_ROUGH += " count_nonzero zeros_like ones_like shape ndim size iscomplexobj isrealobj logical_not"
_ROUGH += " isposinf isneginf nanargmax nanargmin around round isreal iscomplex"
_PAIRS = "add subtract multiply divide true_divide power arctan2 hypot maximum minimum fmax fmin logaddexp logaddexp2"
_PAIRS += " copysign remainder mod fmod float_power heaviside greater greater_equal less less_equal equal not_equal"
_PAIRS += " logical_and logical_or logical_xor isclose allclose array_equal floor_divide nextafter"
_INTEGERS = "bitwise_and bitwise_or bitwise_xor left_shift right_shift gcd lcm"
_ALONE = {name: getattr(np, name) for name in (*_SMOOTH.split(), *_ROUGH.split())}
_CALLS: dict[str, tuple[Callable, tuple]] = {
    **{name: (function, (X,)) for name, function in _ALONE.items()},
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
    "angle": (np.angle, (X,)),
    "imag": (np.imag, (X,)),
    "i0": (np.i0, (V,)),
    "modf": (lambda x: np.modf(x)[0], (X * 3,)),
    "frexp": (lambda x: np.frexp(x)[0], (X,)),
    "ldexp": (lambda x: np.ldexp(x, 2), (X,)),
    "divmod": (lambda x: np.divmod(x, np.float32(0.25))[1], (X,)),
    "cumulative_sum": (lambda x: np.cumulative_sum(x, axis=1), (X,)),
    "cumulative_prod": (lambda x: np.cumulative_prod(x, axis=1), (X,)),
    "nancumsum": (np.nancumsum, (X,)),
    "nancumprod": (np.nancumprod, (X,)),
    "nanmedian": (np.nanmedian, (V,)),
    "nanquantile": (lambda x: np.nanquantile(x, 0.3), (V,)),
    "nanpercentile": (lambda x: np.nanpercentile(x, 30), (V,)),
    "block": (lambda x: np.block([[x, x]]), (X,)),
    "broadcast_arrays": (lambda x: np.broadcast_arrays(x, np.ones((2, 2, 3)))[0], (X,)),
    "diagflat": (np.diagflat, (V,)),
    "ediff1d": (np.ediff1d, (V,)),
    "hsplit": (lambda x: np.hsplit(x, 3)[2], (X,)),
    "vsplit": (lambda x: np.vsplit(x, 2)[1], (X,)),
    "unstack": (lambda x: np.unstack(x)[1], (X,)),
    "matrix_transpose": (np.matrix_transpose, (X,)),
    "permute_dims": (lambda x: np.permute_dims(x, (1, 0)), (X,)),
    "vecdot": (np.vecdot, (X, V)),
    "trapezoid": (np.trapezoid, (V,)),
    "corrcoef": (np.corrcoef, (N.astype(np.float32),)),
    "polyval": (lambda x: np.polyval(x, 0.5), (V,)),
    "polyder": (np.polyder, (V,)),
    "polyint": (np.polyint, (V,)),
    "polyadd": (np.polyadd, (V, V[::-1])),
    "polysub": (np.polysub, (V, V[::-1])),
    "vander": (np.vander, (V,)),
    "select": (lambda x: np.select([x > 0.5, x > 0.25], [x, 2 * x]), (X,)),
    "choose": (lambda x: np.choose(np.array([0, 1, 0]), [x, 2 * x]), (V,)),
    "compress": (lambda x: np.compress(np.array([True, False, True]), x), (V,)),
    "partition": (lambda x: np.partition(x, 1), (V,)),
    "argpartition": (lambda x: np.argpartition(x, 1)[1], (V,)),
    "lexsort": (lambda x: np.lexsort((x,)), (V,)),
    "digitize": (lambda x: np.digitize(x, np.array([0.2, 0.6])), (X,)),
    "isin": (lambda x: np.isin(x, N[0]), (N,)),
    "bitwise_count": (np.bitwise_count, (N,)),
    "array_equiv": (np.array_equiv, (X, X)),
    "resize": (lambda x: np.resize(x, (4, 2)), (X,)),
    "empty_like": (lambda x: np.empty_like(x) * 0, (X,)),
    "histogram": (lambda x: np.histogram(x, 4, (0, 1))[0], (X,)),
    "apply_along_axis": (lambda x: np.apply_along_axis(lambda row: row * 2, 1, x), (X,)),
    "linalg.eigvalsh": (lambda x: np.linalg.eigvalsh(x @ x.T), (M,)),
    "linalg.cholesky": (lambda x: np.linalg.cholesky(x @ x.T), (M,)),
    "linalg.svd": (lambda x: np.linalg.svd(x, compute_uv=False), (M,)),
    "linalg.slogdet": (lambda x: np.linalg.slogdet(x)[1], (M,)),
    "linalg.pinv": (np.linalg.pinv, (M,)),
    "linalg.qr": (lambda x: np.abs(np.linalg.qr(x)[1]), (M,)),
    "linalg.matrix_power": (lambda x: np.linalg.matrix_power(x, 3), (M,)),
    "linalg.eigh": (lambda x: np.linalg.eigh(x @ x.T)[0], (M,)),
    "linalg.matrix_rank": (np.linalg.matrix_rank, (M,)),
    "linalg.multi_dot": (lambda x: np.linalg.multi_dot([x, x, x]), (M,)),
    "linalg.lstsq": (lambda x: np.linalg.lstsq(x, np.ones(2, np.float32))[0], (M,)),
    "linalg.cond": (np.linalg.cond, (M,)),
    "fft.fft": (np.fft.fft, (V,)),
    "fft.ifft": (np.fft.ifft, (V,)),
    "fft.rfft": (np.fft.rfft, (V,)),
    "fft.irfft": (np.fft.irfft, (V,)),
    "fft.fft2": (np.fft.fft2, (X,)),
    "fft.fftn": (np.fft.fftn, (X,)),
    "fft.fftshift": (np.fft.fftshift, (X,)),
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


_DERIVED = "add subtract multiply divide power arctan2 hypot maximum minimum fmax fmin logaddexp logaddexp2"
_DERIVED += " remainder mod float_power where clip reshape concatenate stack vstack hstack dstack column_stack"
_DERIVED += " expand_dims swapaxes moveaxis rollaxis roll repeat tile pad broadcast_to take take_along_axis split"
_DERIVED += " array_split append delete insert dot matmul vdot inner outer tensordot kron cross einsum quantile"
_DERIVED += " percentile interp meshgrid convolve correlate gradient cov arccosh cumulative_sum cumulative_prod"
_DERIVED += " nancumsum nancumprod nanmedian nanquantile nanpercentile block diagflat ediff1d hsplit vsplit"
_DERIVED += " unstack matrix_transpose permute_dims vecdot trapezoid corrcoef polyval polyder polyint polyadd"
_DERIVED += " polysub vander select choose compress partition resize apply_along_axis i0 linalg.norm linalg.inv"
_DERIVED += " linalg.det linalg.solve linalg.eigvalsh linalg.cholesky linalg.slogdet linalg.pinv"
_DERIVED += " linalg.matrix_power linalg.multi_dot linalg.cond fft.irfft fft.fftshift"
_DIFFERENTIABLE = {
    *_SMOOTH.split(), *_DERIVED.split(), "modf", "ldexp", "broadcast_arrays", "linalg.qr", "linalg.svd", "linalg.lstsq",
}  # fmt: skip


def loss_of(name: str) -> tuple[Callable, np.ndarray]:
    """A weighted sum of the results of a function, and its first operand, in float64."""
    function, (first, *rest) = _CALLS[name]
    rest = [value.astype(np.float64) for value in rest]
    shape = np.shape(function(first, *rest))
    weights = np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)
    return lambda x: np.sum(function(x, *rest) * weights), first.astype(np.float64)


@pytest.mark.parametrize("name", sorted(_DIFFERENTIABLE))
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    loss, x = loss_of(name)
    step, expected = 1e-6, np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        expected[index] = (loss(up) - loss(down)) / (2 * step)
    np.testing.assert_allclose(nrx.grad(loss)(jnp.asarray(x)), expected, rtol=1e-6, atol=1e-7)
    tangent = np.cos(np.arange(x.size)).reshape(x.shape)
    forward = nrx.jvp(loss, (jnp.asarray(x),), (jnp.asarray(tangent),))[1]
    np.testing.assert_allclose(forward, np.sum(expected * tangent), rtol=1e-6, atol=1e-7)


_TWICE = "sin exp log sqrt tanh arcsinh square sinc logaddexp power arctan2 hypot einsum prod var cumprod convolve"
_TWICE += " corrcoef linalg.inv linalg.det linalg.cholesky linalg.norm linalg.slogdet"


@pytest.mark.parametrize("name", _TWICE.split())
def test_second_derivatives(name: str) -> None:
    loss, x = loss_of(name)
    gradient, step = nrx.grad(loss), 1e-5
    tangent = np.cos(np.arange(x.size)).reshape(x.shape)
    up, down = (np.asarray(gradient(jnp.asarray(x + sign * step * tangent))) for sign in (1, -1))
    second = nrx.jvp(gradient, (jnp.asarray(x),), (jnp.asarray(tangent),))[1]
    np.testing.assert_allclose(second, (up - down) / (2 * step), rtol=1e-6, atol=1e-6)


def test_two_hundred_functions() -> None:
    methods = (".reduce", ".accumulate", ".outer")
    functions = {operator.attrgetter(name)(np) for name in _CALLS if not name.endswith(methods)}
    assert len(functions) >= 200


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
        lambda x: np.copyto(x, 1.0), lambda x: np.copyto(np.ones((2, 3)), x), lambda x: np.put(x, 0, 1.0),
        lambda x: np.put(np.ones(3), 0, x[0, 0]), lambda x: np.place(x, X > 0.5, 1.0),
        lambda x: np.place(np.ones((2, 3)), X > 0.5, x), lambda x: np.putmask(x, X > 0.5, 1.0),
        lambda x: np.fill_diagonal(x, 1.0),
        lambda x: np.put_along_axis(x, N[:, :1] * 0, 1.0, 1),
    ],
)  # fmt: skip
def test_writing_says_what_to_do(write: Callable) -> None:
    with pytest.raises(ImmutableError, match=r"fix: .*(use|write)"):
        nrx.jit(write)(X)


def test_concrete_values_are_written_into_ndarrays() -> None:
    out = np.zeros((2, 3))
    np.copyto(out, jnp.asarray(X))
    np.testing.assert_array_equal(out, X)
    np.put(out, jnp.asarray([0]), jnp.asarray([5.0]))
    np.place(out, jnp.asarray(X < 0.3), jnp.asarray([7.0]))
    expected = X.astype(np.float64)
    np.put(expected, [0], [5.0])
    np.place(expected, X < 0.3, [7.0])
    np.testing.assert_array_equal(out, expected)
    for write in (lambda x: np.copyto(x, 1.0), lambda x: np.fill_diagonal(x, 1.0)):
        with pytest.raises(ImmutableError, match="fix: use"):
            write(jnp.asarray(X))


def test_assigning_a_traced_array_to_an_ndarray() -> None:
    for write in (lambda x: np.ones((2, 3)).__setitem__(..., x), lambda x: np.fill_diagonal(np.ones((3, 3)), x[0])):
        with pytest.raises(TracerArrayError, match="fix: use"):
            nrx.jit(write)(X)


def test_concrete_values_are_written_and_read() -> None:
    a = np.ones((2, 3), np.float32)
    a += jnp.asarray(X)
    np.testing.assert_array_equal(a, 1 + X)
    np.testing.assert_array_equal(np.subtract.reduce(jnp.asarray(X)), np.subtract.reduce(X))


# Lists of numbers, as NumPy takes them for arrays

W = [0.1, 0.3, 0.6]
_LISTED: dict[str, Callable] = {
    "dot": lambda x: np.dot(x, W), "average": lambda x: np.average(x, weights=W),
    "append": lambda x: np.append(x, [0.1]), "quantile": lambda x: np.quantile(x, [0.1, 0.7]),
    "percentile": lambda x: np.percentile(x, (10, 50)), "concatenate": lambda x: np.concatenate([x, [0.1]]),
    "stack": lambda x: np.stack([x, W]), "add": lambda x: np.add(x, [1, 2, 3]), "add float": lambda x: np.add(W, x),
    "maximum": lambda x: np.maximum(x, W), "add where": lambda x: np.add.reduce(x, where=[True, False, True]),
    "outer": lambda x: np.multiply.outer(x, W), "where": lambda x: np.where([True, False], x[:2], 0),
    "searchsorted": lambda x: np.searchsorted([0.15, 0.25, 0.6], x), "digitize": lambda x: np.digitize(x, [0.2, 0.3]),
    "interp": lambda x: np.interp([0.5], [0.0, 1.0], x[:2]), "isin": lambda x: np.isin(x, [0.4, 2]),
    "allclose": lambda x: np.allclose(x, [0.4, 0.1, 0.8]), "compress": lambda x: np.compress([True, False, True], x),
    "choose": lambda x: np.choose([0, 1, 0], [x, x + 1]), "sum where": lambda x: np.sum(x, where=[True, False, True]),
    "cov": lambda x: np.cov(x, aweights=W), "bincount": lambda x: np.bincount([0, 1, 1], weights=x),
    "take": lambda x: np.take(x, [0, 2]), "histogram": lambda x: np.histogram(x, bins=[0.0, 0.25, 0.9])[0],
    "gradient": lambda x: np.gradient(x, [0.0, 0.1, 0.3]),
    "solve": lambda x: np.linalg.solve([[0.1, 0, 0], [0, 1, 0], [0, 0, 0.3]], x),
    "roll": lambda x: np.roll(x, [1], axis=[0]), "reshape": lambda x: np.reshape(x, [3, 1]),
    "pad": lambda x: np.pad(x, [(1, 1)]), "tile": lambda x: np.tile(x, [2, 1]),
    "clip": lambda x: np.clip(x, a_min=0.25, a_max=0.5), "block": lambda x: np.block([[1, 2], [x[:2]]]),
}  # fmt: skip


@pytest.mark.parametrize("name", _LISTED)
def test_lists_are_arrays(name: str) -> None:
    for x in (V.astype(np.float64), V, np.array([3, 7, 2], np.int32)):
        expected = np.asarray(_LISTED[name](x))
        found = _LISTED[name](jnp.asarray(x))
        rtol = 1e-15 if x.dtype == np.float64 else 1e-6
        if name != "isin" or x.dtype != np.float32:  # the numbers in the list are rounded to float32
            np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol)
        if name not in ("isin", "allclose", "bincount", "compress", "histogram"):
            np.testing.assert_allclose(nrx.jit(_LISTED[name])(x), expected, rtol=rtol)


def test_numbers_in_lists_are_weak() -> None:
    kinds = {np.float16: np.float16, np.float32: np.float32, np.float64: np.float64, np.int8: np.float32}
    for dtype, expected in kinds.items():
        assert np.add(jnp.ones(3, dtype), W).dtype == expected
        assert np.stack([jnp.ones(3, dtype), W]).dtype == expected
    assert np.add(jnp.ones(3, np.int8), [1, 2, 3]).dtype == np.int8
    assert np.add(jnp.ones(3, np.float64), [1j, 2, 3]).dtype == np.complex128
    for refused in (lambda x: x + W, lambda x: W * x, lambda x: jnp.add(x, W), lambda x: jnp.concatenate([x, [1.0]])):
        with pytest.raises(TypeError):
            refused(jnp.ones(3))


@pytest.mark.parametrize("name", ["logaddexp", "subtract", "hypot", "multiply", "maximum"])
def test_methods_of_universal_functions_are_traced(name: str) -> None:
    x, function = X.astype(np.float64), getattr(np, name)
    for call in (
        lambda x: function.reduce(x), lambda x: function.reduce(x, axis=1, keepdims=True),
        lambda x: function.accumulate(x, 1), lambda x: function.outer(x, x[0]),
        lambda x: function.reduceat(x, [0, 2], 1),
    ):  # fmt: skip
        for found in (call(jnp.asarray(x)), nrx.jit(call)(x)):
            np.testing.assert_allclose(np.asarray(found), call(x), rtol=1e-14)


def test_optimizers_of_scipy_take_derivatives() -> None:
    """Those that hand arrays on to C and Fortran."""
    optimize = pytest.importorskip("scipy.optimize")
    target = np.arange(3.0)
    loss = lambda w: jnp.sum((w - target) ** 2)
    limit = lambda w: w[0] + w[1] - 0.5
    limited = {"type": "eq", "fun": limit, "jac": nrx.grad(limit)}
    found = optimize.minimize(loss, np.ones(3), jac=nrx.grad(loss), method="SLSQP", constraints=[limited])
    np.testing.assert_allclose(found.x, [-0.25, 0.75, 2.0], atol=1e-3)
    rest = lambda w: jnp.stack([w[0] - 1, 10 * (w[1] - w[0] ** 2)])
    for method in ("trf", "dogbox", "lm"):
        found = optimize.least_squares(rest, np.array([-1.0, 2.0]), jac=nrx.jacfwd(rest), method=method)
        np.testing.assert_allclose(found.x, [1, 1], atol=1e-6)
    within = optimize.NonlinearConstraint(limit, -np.inf, 0.0, jac=nrx.grad(limit), hess=lambda w, v: np.zeros((3, 3)))
    found = optimize.minimize(
        loss, np.zeros(3), jac=nrx.grad(loss), hess=nrx.hessian(loss), method="trust-constr", constraints=[within]
    )
    np.testing.assert_allclose(found.x, [-0.25, 0.75, 2.0], atol=1e-3)
    assert isinstance(np.atleast_2d(jnp.ones(2)), np.ndarray)
