"""nrx.numpy against NumPy (values) and, where it is installed, JAX (dtypes, weak types, gradients).

A case is an expression over `xp` (nrx.numpy, numpy or jax.numpy in turn) and the operands below.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from fakes import cupy as fake
from known_differences import GRADIENT_NOT_AS_JAX, NOT_AS_JAX

import nrx
import nrx.lax
import nrx.numpy as nnp
from nrx.core import backend
from nrx.core.dtypes import FP8

RNG = np.random.default_rng(20)

FLOATS = {
    "a": RNG.uniform(-2, 2, (3, 4)),
    "b": RNG.uniform(0.5, 2, (3, 4)),
    "v": RNG.uniform(-2, 2, 4),
    "w": RNG.uniform(-2, 2, 4),
    "s": np.asarray(0.75),
    "m": RNG.uniform(-2, 2, (4, 4)),
    "t": RNG.uniform(-2, 2, (2, 3, 4)),
    "u": RNG.uniform(-0.9, 0.9, (3, 4)),
    "k": RNG.uniform(-2, 2, (2, 4, 5)),
}
INTEGERS = {
    "i": RNG.integers(-5, 6, (3, 4)).astype(np.int32),
    "j": RNG.integers(1, 6, (3, 4)).astype(np.int32),
    "n": RNG.integers(0, 4, 6).astype(np.int32),
    "c": RNG.integers(0, 2, (3, 4)).astype(bool),
    "d": RNG.integers(0, 2, 4).astype(bool),
}
SPECIAL = {
    "x": np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.5, -2.5, 3.0]),
    "z": RNG.uniform(-2, 2, (3, 4)) + 1j * RNG.uniform(-2, 2, (3, 4)),
    "e": np.zeros((0, 4)),
}

#: Functions of one array that are smooth on (-0.9, 0.9), or on (0.5, 2).
UNARY = [
    "sin(u)", "cos(u)", "tan(u)", "arcsin(u)", "arccos(u)", "arctan(u)", "sinh(u)", "cosh(u)", "tanh(u)",
    "arcsinh(u)", "arccosh(b+1)", "arctanh(u)", "exp(u)", "exp2(u)", "expm1(u)", "log(b)", "log2(b)", "log10(b)",
    "log1p(b)", "sqrt(b)", "cbrt(b)", "square(u)", "reciprocal(b)", "abs(u)", "fabs(u)", "negative(u)", "positive(u)",
    "sign(u)", "deg2rad(u)", "rad2deg(u)", "sinc(u)", "floor(a)", "ceil(a)", "trunc(a)", "rint(a)", "round(a)",
    "real(a)", "imag(a)", "conjugate(a)", "angle(a)", "isnan(a)", "isfinite(a)", "isinf(a)", "logical_not(a)",
    "signbit(a)", "nan_to_num(a)",
]  # fmt: skip
BINARY = [
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "fmax", "fmin", "arctan2", "hypot",
    "logaddexp", "logaddexp2", "copysign", "heaviside", "remainder", "fmod", "floor_divide", "float_power", "equal",
    "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
    "nextafter",
]  # fmt: skip

ELEMENTWISE = [
    *(f"xp.{case}" for case in UNARY), *(f"xp.{name}(b, b[:1] + 0.1)" for name in BINARY), "a + b", "a - 1", "2 * a",
    "1 / b", "b ** 2", "b ** -1", "b ** 0.5", "2 ** a", "b ** v[:, None][:1]", "a // 0.5", "a % 0.75", "-a", "abs(a)",
    "a == a", "a != 0", "a < 0", "a @ m", "divmod(a, 0.75)[0]", "divmod(a, 0.75)[1]", "xp.clip(a, -1, 1)",
    "xp.clip(a, None, 1)", "xp.clip(a, -1, None)", "xp.clip(a, v, 1.5)", "xp.round(a, 2)", "xp.where(a > 0, a, 0)",
    "xp.where(a > 0, 1.0, b)", "xp.where(c, a, v)", "xp.where(a > 0, xp.sqrt(abs(a)), a)",
    "xp.select([a > 1, a > 0], [a, b], 7)", "xp.select([c, a > 0], [a, v])", "xp.modf(a)[0]", "xp.modf(a)[1]",
    "xp.isclose(a, a + 1e-9)", "xp.allclose(a, b)", "xp.array_equal(a, a)", "xp.array_equiv(v, v[None])", "xp.sin(z)",
    "xp.exp(z)", "xp.abs(z)", "xp.sqrt(z)", "xp.angle(z)", "z * z", "z / z", "z + a", "xp.conj(z)", "z.real",
    "z.imag", "xp.square(z)", "xp.isnan(z)", "z ** 2", "xp.reciprocal(z)", "xp.log(z)", "xp.round(z, 1)",
    "xp.angle(z, True)", "xp.sign(z)", "z == z", "xp.iscomplex(z)", "xp.isreal(z)", "z > 1", "z <= z.T.T",
]  # fmt: skip
INTEGER = [
    "i + j", "i - j", "i * j", "i / j", "i // j", "i % j", "i ** 2", "i ** j", "-i", "abs(i)", "i & j", "i | j",
    "i ^ j", "~i", "i << j", "i >> j", "~c", "c & d", "c | d", "c ^ d", "c + c", "c * d", "c + 1", "c * 2.5",
    "i + 2.5", "i < j", "i // 2", "i % 3", "-7 // j", "7 % j", "xp.sqrt(j)", "xp.sin(i)",
    "xp.maximum(i, 2)", "xp.sign(i)", "xp.floor(i)", "xp.round(i)", "xp.square(c)", "xp.left_shift(j, 2)",
    "xp.right_shift(i, 1)", "xp.bitwise_count(i)", "xp.logical_and(i, c)", "xp.where(c, i, j)", "xp.where(c, i, 2.5)",
    "xp.clip(i, 0, 3)", "xp.float_power(j, 2)", "xp.power(j, i % 4)", "xp.divide(i, j)", "xp.isnan(i)", "xp.abs(c)",
    "xp.heaviside(i, 0.5)", "xp.remainder(i, -j)", "xp.fmod(i, j)", "xp.copysign(i, -1)", "xp.signbit(i)",
    "xp.hypot(i, j)", "xp.invert(c)", "xp.reciprocal(i + 0.5)", "xp.isclose(i, j)", "xp.round(i, -1)", "xp.exp2(j)",
    "xp.nan_to_num(i)", "xp.sinc(i)", "xp.iscomplex(i)",
]  # fmt: skip
REDUCTIONS = [
    f"xp.{name}({args})"
    for name in ("sum", "prod", "mean", "var", "std", "max", "min", "all", "any", "ptp", "count_nonzero", "median")
    for args in ("a", "a, axis=0", "a, axis=-1, keepdims=True", "t, axis=(0, 2)", "i", "c * 1, axis=1")
] + [
    "xp.sum(c)", "xp.sum(i.astype('int8'), 0)", "xp.prod(i.astype('uint8'), 0)", "xp.sum(a, dtype='float16')",
    "xp.sum(a, where=c)", "xp.sum(a, initial=2.0)", "xp.prod(a, where=c, initial=2.0)",
    "xp.max(a, initial=0.5, where=c)", "xp.min(a, axis=1, initial=0.5, where=c)", "xp.mean(a, where=c)",
    "xp.mean(a, 1, where=c | (a > 0))", "xp.var(a, ddof=1)", "xp.std(a, axis=0, ddof=1)", "xp.var(a, where=c)",
    "xp.mean(z)", "xp.var(z)", "xp.std(z, 0)", "xp.sum(z, 1)", "xp.all(a > -9, axis=0)",
    "xp.any(c, axis=1, where=a > 0)", "xp.argmax(a)", "xp.argmax(a, axis=1)", "xp.argmin(a, axis=0, keepdims=True)",
    "xp.argmax(a, keepdims=True)", "xp.argmax(x)", "xp.max(x)", "xp.min(x)", "xp.cumsum(a)", "xp.cumsum(a, axis=1)",
    "xp.cumprod(a, axis=0)", "xp.cumsum(c, 0)", "xp.cumsum(i, axis=-1)", "xp.average(a, weights=b)",
    "xp.average(a, axis=1, weights=b[0])", "xp.average(a, axis=0)", "xp.average(i)", "xp.quantile(a, 0.3)",
    "xp.quantile(a, v * 0 + 0.25, axis=1)", "xp.percentile(a, 40, axis=0, keepdims=True)",
    "xp.quantile(a, 0.3, method='lower')", "xp.quantile(a, 0.3, method='higher')",
    "xp.quantile(a, 0.3, method='nearest')", "xp.quantile(a, 0.3, method='midpoint')", "xp.median(x)", "xp.sum(e)",
    "xp.sum(e, 0)", "xp.prod(e)", "xp.all(e)", "xp.any(e)", "xp.max(e, 1)", "xp.cumsum(e, 1)", "xp.mean(a, axis=())",
    "xp.sum(s)", "xp.max(s)", "xp.median(a, (0, 1))", "xp.mean(i.astype('float16'))",
    "xp.sum(a, axis=(), keepdims=True)", "xp.count_nonzero(c, axis=1)",
]  # fmt: skip
SHAPES = [
    "xp.reshape(a, (2, -1))", "a.reshape(4, 3)", "xp.reshape(a, -1)", "xp.reshape(a, (6, 2), order='F')",
    "xp.ravel(a)", "xp.ravel(a, order='F')", "a.flatten()", "xp.ravel(e)", "xp.reshape(e, (4, 0))", "a.T", "t.mT",
    "xp.transpose(t, (1, 2, 0))", "t.transpose(2, 0, 1)", "xp.permute_dims(t, (1, 0, 2))", "xp.swapaxes(t, 0, -1)",
    "xp.moveaxis(t, 0, -1)", "xp.moveaxis(t, (0, 1), (-1, 0))", "xp.rollaxis(t, 2)", "xp.rollaxis(t, 0, 3)",
    "xp.expand_dims(a, 1)", "xp.expand_dims(a, (0, -1))", "xp.squeeze(a[None, :, None])",
    "xp.squeeze(a[None, :, None], axis=0)", "s.squeeze()", "xp.broadcast_to(v, (3, 4))", "xp.broadcast_to(s, (2, 2))",
    "xp.broadcast_to(a[:, :1], (2, 3, 4))", "xp.broadcast_arrays(a, v)[1]", "xp.atleast_1d(s)", "xp.atleast_2d(v)",
    "xp.atleast_3d(v)", "xp.atleast_3d(a)", "xp.concatenate([a, b])", "xp.concatenate((a, b), axis=1)",
    "xp.concatenate([a, v], axis=None)", "xp.concatenate([a, i])", "xp.concatenate([a, e])", "xp.stack([a, b])",
    "xp.stack([v, w], axis=-1)", "xp.hstack([v, w])", "xp.hstack([a, b])", "xp.vstack([v, a])", "xp.dstack([a, b])",
    "xp.column_stack([v, w, m])", "xp.append(a, v)", "xp.append(a, b, 0)", "xp.split(a, 3)[1]",
    "xp.split(a, 2, axis=1)[1]", "xp.split(v, [1, 3])[1]", "xp.array_split(v, 3)[0]", "xp.array_split(v, 3)[2]",
    "xp.split(v, [1, 6])[2]", "xp.vsplit(a, 3)[0]", "xp.hsplit(a, 2)[1]", "xp.dsplit(t, 2)[1]", "xp.unstack(a)[2]",
    "xp.unstack(a, axis=1)[0]", "xp.tile(v, 3)", "xp.tile(a, (2, 1))", "xp.tile(v, (2, 1, 2))", "xp.tile(a, 0)",
    "xp.repeat(a, 2)", "xp.repeat(a, 2, axis=1)", "xp.repeat(v, np.array([0, 1, 2, 3]))",
    "xp.repeat(a, np.array([1, 0, 2]), axis=0)", "xp.flip(a)", "xp.flip(a, 1)", "xp.fliplr(a)", "xp.flipud(a)",
    "xp.rot90(a)", "xp.rot90(a, 2)", "xp.rot90(a, -1)", "xp.rot90(t, 1, (1, 2))", "xp.roll(a, 3)",
    "xp.roll(a, -1, axis=0)", "xp.roll(a, (1, 2), axis=(0, 1))", "xp.roll(v, 9)", "xp.pad(a, 1)",
    "xp.pad(a, ((1, 2), (0, 3)), constant_values=5)", "xp.pad(v, (2, 1), mode='edge')",
    "xp.pad(a, 2, mode='reflect')", "xp.pad(v, 7, mode='reflect')", "xp.pad(v, (9, 5), mode='symmetric')",
    "xp.pad(a, (3, 4), mode='wrap')", "xp.pad(a, ((1, 1), (2, 2)), mode='edge')",
    "xp.pad(a, 1, constant_values=((1, 2), (3, 4)))", "xp.pad(v, (0, 2), constant_values=(1, 2))",
    "a.astype('int32')", "xp.astype(a, 'float16')", "i.astype(bool)", "z.real.astype('int8')", "xp.tril(m)",
    "xp.triu(t, 1)", "xp.tril(a, -1)", "xp.diag(v)", "xp.diag(v, 2)", "xp.diag(m, -1)", "xp.diag(a, 1)",
    "xp.diag(a, 9)", "xp.diagonal(t, 1, 1, 2)", "xp.diagonal(t, -1, 0, 2)", "xp.diagflat(a[:2, :2], -1)",
    "xp.trace(m)", "xp.trace(t, 1, 1, 2)", "xp.trace(i)", "xp.sort(a)", "xp.sort(a, axis=0)", "xp.sort(a, axis=None)",
    "xp.sort(x)", "xp.sort(z, axis=0)", "xp.argsort(a)", "xp.argsort(v)", "xp.argsort(i, axis=0, stable=True)",
    "xp.argsort(x)", "xp.searchsorted(xp.sort(v), w)", "xp.searchsorted(xp.sort(n), n, side='right')",
    "xp.searchsorted(xp.sort(n), 2)", "xp.nonzero(a > 0)[0]", "xp.nonzero(i)[1]", "xp.argwhere(a > 0)",
    "xp.argwhere(s)", "xp.flatnonzero(i)", "xp.where(c)[0]", "xp.unique(i)", "xp.unique(i, return_counts=True)[1]",
    "xp.take(v, n % 4)", "xp.take(a, n % 3, axis=0)", "xp.take_along_axis(a, xp.argsort(a, 1), 1)",
    "xp.meshgrid(v, w[:2])[0]", "xp.meshgrid(v, w[:2], indexing='ij')[1]", "xp.meshgrid(v, w, v[:3], sparse=True)[2]",
    "v[n % 4]", "a[:, ::-1]", "a[1:, None, 2]", "a[a > 0]", "list(a)[1]", "xp.ones_like(i)",
    "xp.zeros_like(a, dtype='int8')", "xp.full_like(a, 3)", "xp.full((2, 4), v)", "xp.zeros_like(c)",
]  # fmt: skip
PRODUCTS = [
    "xp.dot(v, w)", "xp.dot(a, v)", "xp.dot(t, m)", "xp.dot(2.0, a)", "xp.dot(t, k.transpose(0, 1, 2))",
    "xp.matmul(a, m)", "xp.matmul(t, k)", "xp.matmul(v, k)", "xp.matmul(t, v)", "xp.matmul(m, k)",
    "xp.matmul(t[:, None], k)", "v @ w", "i @ i.T", "c @ c.T", "i @ m", "xp.vdot(a, b)", "xp.vdot(z, z)",
    "xp.inner(a, b)", "xp.inner(t, v)", "xp.outer(v, a)", "xp.kron(v, w)", "xp.kron(a, m)", "xp.kron(a, v)",
    "xp.tensordot(t, k, axes=([0, 2], [0, 1]))", "xp.tensordot(a, m, 1)", "xp.tensordot(v, w, 0)",
    "xp.tensordot(a, b)", "xp.vecdot(a, v)", "xp.vecdot(z, a)", "xp.vecdot(t, t, axis=1)", "xp.matvec(t, v)",
    "xp.vecmat(a, m)", "xp.cross(a[:, :3], b[:, 1:])", "xp.cross(a[:, :3].T, b[:, 1:].T, axis=0)",
    "xp.cross(v[:3], b[:, :3], axisc=0)", "xp.outer(d, d)", "xp.linalg.norm(a)", "xp.linalg.norm(v, 3)",
    "xp.linalg.norm(a, axis=1)", "xp.linalg.norm(a, 1)", "xp.linalg.norm(a, np.inf)",
    "xp.linalg.norm(a, -1, keepdims=True)", "xp.linalg.norm(v, np.inf)", "xp.linalg.norm(v, 0)",
    "xp.linalg.norm(v, 1)", "xp.linalg.norm(t, axis=(0, 2))", "xp.linalg.norm(z)",
    "xp.linalg.norm(t, -np.inf, axis=(1, 0))", "xp.linalg.vector_norm(t, axis=(0, 1))",
    "xp.linalg.norm(a, keepdims=True)", "xp.linalg.matrix_norm(t)", "xp.linalg.matrix_power(m, 5)",
    "xp.linalg.matrix_power(m, 0)", "xp.linalg.diagonal(t, offset=1)", "xp.linalg.trace(t)",
    "xp.linalg.matrix_transpose(t)",
]  # fmt: skip
EINSUMS = [
    f"xp.einsum({case})"
    for case in (
        "'ij->ji', a", "'ij', a", "'ji', a", "'ii', m", "'ii->i', m", "'ij->', a", "'ij->j', a", "'ij,jk', a, m",
        "'ij,ij->', a, b", "'ij,ij->ij', a, b", "'i,j->ij', v, w", "'i,i', v, w", "'bij,bjk->bik', t, k",
        "'bij,bjk->ikb', t, k", "'...ij,...jk', t, k", "'...ij,jk->...ik', t, m", "'...,...', a, v", "'...i->...', t",
        "'i...->...i', t", "'ij,jk,kl->il', a, m, m", "'ij,j,j,ij->i', a, v, w, b", "'iij->j', t[:, :2]",
        "'ii,ii', m, m", "'iji,j->i', t[:, :, :2], b[:, 0]", "'ij,kl->ijkl', a, m", "'a...,a...->...', t, t",
        "',ij->ij', s, a", "'i j, j k -> i k', a, m", "'ij,ij', c, c", "'ij,jk', i, i.T", "'ijk->kj', t",
        "'i,ij->', v[:3], a", "a, [0, 1], m, [1, 2], [0, 2]", "t, [..., 0], [...]", "'b...k,bkj->b...j', t, k",
        "'ij,ik->j', a, b",
    )
]  # fmt: skip
MADE = [
    "xp.arange(5)", "xp.arange(2, 9, 3)", "xp.arange(9, 2, -3)", "xp.arange(0.0, 1.0, 0.25)",
    "xp.arange(5, dtype='float32')", "xp.arange(3.5)", "xp.arange(5, 2)", "xp.linspace(0, 1, 7)",
    "xp.linspace(0, 1, 5, endpoint=False)", "xp.linspace(v, w, 3)", "xp.linspace(v, 2, 3, axis=1)",
    "xp.linspace(0, 10, 5, dtype='int32')", "xp.linspace(0, 1, 1)", "xp.linspace(0, 1, 0)",
    "xp.linspace(2, 8, 4, retstep=True)[1]", "xp.logspace(0, 2, 5)", "xp.logspace(0, 3, 4, base=2)",
    "xp.geomspace(1, 1000, 4)", "xp.geomspace(-1, -8, 4)", "xp.eye(3)", "xp.eye(3, 4, 1)",
    "xp.eye(2, 3, k=-1, dtype='int32')", "xp.identity(3)", "xp.tri(3)", "xp.tri(2, 4, 1)", "xp.indices((2, 3))[1]",
    "xp.indices((2, 3), sparse=True)[0]", "xp.zeros((2, 3))", "xp.ones(3, dtype='int8')", "xp.full((2,), 7)",
    "xp.full(3, 1.5)", "xp.full((2, 2), 1, dtype='float32')", "xp.array([1, 2])", "xp.array([[1, 2.5], [3, 4]])",
    "xp.array([True, False])", "xp.array([1 + 2j])", "xp.array([])", "xp.array([[], []])", "xp.array([True, 2])",
    "xp.array(3)", "xp.array(2.5)", "xp.array([1, 2], dtype='float32')", "xp.array([1.7, -1.7], dtype='int32')",
    "xp.array([v, w])", "xp.array([[s, 1.0], [2, s]])", "xp.asarray((1, 2, 3))", "xp.array([np.float32(1), 2])",
    "xp.array([[1, 2], [3, 4]], ndmin=3)", "xp.asarray(v)", "xp.array(range(4))", "xp.tril_indices(3)[0]",
    "xp.triu_indices(3, 1, 4)[1]", "xp.diag_indices(3)[1]",
    "xp.fromfunction(lambda i, j: i + 2 * j, (2, 3), dtype='float32')", "xp.frombuffer(b'abcd', dtype='uint8')",
    "xp.hstack([xp.zeros(2), xp.ones(1)])", "xp.asarray(c)", "xp.array([2**40, 1]) * 0 + 1",
]  # fmt: skip

ALL = [*ELEMENTWISE, *INTEGER, *REDUCTIONS, *SHAPES, *PRODUCTS, *EINSUMS, *MADE]
#: What depends on values in its shape, or takes no traced operands.
NOT_TRACED = ("nonzero", "argwhere", "unique", "where(c)", "a[a > 0]", "b'abcd'")


def operands(convert: Callable[[np.ndarray], Any], wide: bool = False) -> dict[str, Any]:
    """The operands in one precision: float32 (or float64) and what goes with it."""
    real, imaginary = (np.float64, np.complex128) if wide else (np.float32, np.complex64)
    narrow = {
        name: value.astype(real).astype(np.float64) for name, value in {**FLOATS, **SPECIAL}.items() if name != "z"
    }
    values = {name: value.astype(real) for name, value in narrow.items()}
    values["z"] = SPECIAL["z"].astype(np.complex64).astype(imaginary)
    return {name: convert(value) for name, value in {**values, **INTEGERS}.items()}


def evaluate(expression: str, xp: Any, values: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        return eval(expression, {"xp": xp, "np": np, **values})


def exact_operands() -> dict[str, Any]:
    """The float32 operands, in float64: NumPy's results on them are the truth."""
    values = operands(lambda value: value)
    wide = {np.dtype("float32"): np.float64, np.dtype("complex64"): np.complex128}
    return {name: value.astype(wide.get(value.dtype, value.dtype)) for name, value in values.items()}


@pytest.mark.parametrize("expression", ALL)
def test_values_are_numpys(expression: str) -> None:
    ours = evaluate(expression, nnp, operands(nnp.asarray))
    truth = np.asarray(evaluate(expression, np, exact_operands()))
    assert isinstance(ours, nrx.Array)
    assert ours.shape == truth.shape
    assert (ours._data.shape, ours._data.dtype) == (ours.shape, ours.dtype)
    eps = 1e-3 if ours.dtype == np.float16 else 3e-6
    if "nextafter" in expression:
        truth = evaluate(expression, np, operands(np.asarray))
    np.testing.assert_allclose(np.asarray(ours, truth.dtype), truth, rtol=eps, atol=eps)


@pytest.mark.parametrize("expression", ALL)
def test_dtypes_and_weak_types_are_jaxs(expression: str) -> None:
    jax = pytest.importorskip("jax")
    if expression in NOT_AS_JAX:
        pytest.skip(NOT_AS_JAX[expression])
    ours = evaluate(expression, nnp, operands(nnp.asarray))
    theirs = evaluate(expression, jax.numpy, operands(jax.numpy.asarray))
    assert (str(ours.dtype), ours.weak_type) == (str(theirs.dtype), getattr(theirs, "weak_type", False))


TRACEABLE = [e for e in ALL if not any(part in e for part in NOT_TRACED)]


@pytest.mark.parametrize("expression", TRACEABLE)
def test_jit_agrees(expression: str) -> None:
    eager = [evaluate(expression, nnp, operands(nnp.asarray)) for _ in range(3)][-1]  # the third runs from a plan
    jitted = nrx.jit(lambda values: evaluate(expression, nnp, values))(operands(nnp.asarray))
    assert eager.aval == jitted.aval
    np.testing.assert_allclose(np.asarray(eager), np.asarray(jitted), rtol=1e-6, atol=1e-6)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A device of a stand-in for CuPy."""
    fake.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    return backend.find_device("gpu:0")


#: What makes an array of NumPy data, which is the CPU's.
ON_THE_HOST = ("nonzero", "argwhere", "unique", "where(c)", "xp.array(", "xp.asarray(")


@pytest.mark.parametrize("expression", [e for e in ALL if e not in MADE and not any(n in e for n in ON_THE_HOST)])
def test_a_gpu_agrees(expression: str, gpu: Any) -> None:
    expected = evaluate(expression, nnp, operands(nnp.asarray))
    for _ in range(3):
        out = evaluate(expression, nnp, operands(lambda value: nrx.device_put(value, gpu)))
        assert out.aval == expected.aval
        assert out.device is gpu
        np.testing.assert_allclose(np.asarray(out), np.asarray(expected), rtol=1e-6)


@pytest.mark.parametrize("expression", [e for e in MADE if not re.search(r"\b[vwsc]\b", e)])
def test_new_arrays_are_made_on_the_default_device(expression: str, gpu: Any) -> None:
    with nrx.default_device(gpu):
        assert evaluate(expression, nnp, {}).device is gpu
    out = evaluate(expression, nnp, {})
    assert out.device is not gpu


@pytest.mark.parametrize("make", [
    lambda device: nnp.array([1, 2], device=device), lambda device: nnp.asarray(2.0, device=device),
    lambda device: nnp.zeros(3, device=device), lambda device: nnp.full_like(nnp.ones(3), 2, device=device),
    lambda device: nnp.arange(3, device=device), lambda device: nnp.linspace(0, 1, 3, device=device),
    lambda device: nnp.eye(2, device=device), lambda device: nnp.ones(3).astype(int, device=device),
    lambda device: nnp.ones(3).to_device(device), lambda device: nnp.from_dlpack(np.ones(3), device=device),
    lambda device: nnp.zeros_like(nnp.ones(3, device=device)),
    lambda device: nnp.array([nnp.ones((), device=device), 2]),
])  # fmt: skip
def test_device_arguments_commit(make: Callable, gpu: Any) -> None:
    out = make(gpu)
    assert (out.device, out.committed) == (gpu, True)


@pytest.mark.slow
@pytest.mark.parametrize("expression", TRACEABLE)
def test_gradients_are_jaxs(expression: str) -> None:
    jax = pytest.importorskip("jax")
    for part, reason in GRADIENT_NOT_AS_JAX.items():
        if part in expression:
            pytest.skip(reason)
    names = [*FLOATS, "z"]

    def gradients(library: Any, xp: Any) -> dict[str, Any]:
        def loss(wrt: dict[str, Any]) -> Any:
            out = xp.real(evaluate(expression, xp, {**values, **wrt}))
            return xp.sum(out * np.cos(np.arange(out.size)).reshape(out.shape).astype(np.float32))

        values = operands(xp.asarray)
        return library.grad(loss)({name: values[name] for name in names})

    if evaluate(expression, nnp, operands(nnp.asarray)).dtype.kind not in "fc":
        pytest.skip("discrete")
    ours, theirs = gradients(nrx, nnp), gradients(jax, jax.numpy)
    for name in names:
        np.testing.assert_allclose(np.asarray(ours[name]), np.asarray(theirs[name]), rtol=2e-4, atol=2e-5, err_msg=name)


# --- What is said in words, or differs from NumPy ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nnp.max(nnp.zeros((2, 0)), 1), ValueError, "over an empty axis, of shape (2, 0)"),
        (lambda: nnp.argmin(nnp.zeros(0)), ValueError, "empty axis"),
        (lambda: nnp.median(nnp.zeros(0)), ValueError, "empty axis"),
        (lambda: nnp.max(nnp.ones(3), where=nnp.ones(3) > 0), ValueError, "needs `initial`"),
        (lambda: nnp.add([1], [2]), TypeError, "nrx.numpy.asarray"),
        (lambda: nnp.ones(3) + nnp.ones(4), ValueError, "shapes (3,) and (4,) cannot be broadcast"),
        (lambda: nnp.ones((2, 3)) @ nnp.ones((2, 3)), ValueError, "shapes (2, 3) and (2, 3) do not fit"),
        (lambda: nnp.matmul(nnp.ones(3), 2.0), ValueError, "no scalars"),
        (lambda: nnp.reshape(nnp.ones(6), (4, -1)), ValueError, "does not fit into shape (4, -1)"),
        (lambda: nnp.reshape(nnp.ones(6), (4,)), ValueError, "(4,)"),
        (lambda: nnp.reshape(nnp.ones(6), (-1, -1)), ValueError, "only one"),
        (lambda: nnp.broadcast_to(nnp.ones(3), (3, 2)), ValueError, "cannot broadcast shape (3,) to (3, 2)"),
        (lambda: nnp.stack([nnp.ones(3), nnp.ones(2)]), ValueError, "(2,) and (3,)"),
        (lambda: nnp.concatenate([]), ValueError, "at least one array"),
        (lambda: nnp.concatenate([nnp.float32(1)]), ValueError, "use stack"),
        (lambda: nnp.split(nnp.ones(5), 2), ValueError, "array_split"),
        (lambda: nnp.sum(nnp.ones(3), axis=1), IndexError, "axis 1 is out of range"),
        (lambda: nnp.sum(nnp.ones(3), out=np.ones(())), ValueError, "immutable"),
        (lambda: nnp.array([[1], [2, 3]]), ValueError, "different lengths"),
        (lambda: nnp.array(None), TypeError, "NoneType"),
        (lambda: nnp.array("text"), TypeError, "str"),
        (lambda: nnp.array({"a": 1}), TypeError, "dict"),
        (lambda: nnp.array(x for x in [1, 2]), TypeError, "array(list(x))"),
        (lambda: nnp.array(["a"]), TypeError, "str"),
        (lambda: nnp.array(np.array(["a"])), TypeError, "not supported"),
        (lambda: nnp.array([2**70]), TypeError, "64 bits"),
        (lambda: nnp.power(nnp.arange(3), -1), TypeError, "power -1"),
        (lambda: nnp.arange(3, dtype="int8") + 2**40, TypeError, "does not fit into the int8"),
        (lambda: nnp.where(nnp.ones(2), nnp.ones(2)), ValueError, "both x and y"),
        (lambda: nnp.einsum("ij,jk->ik", nnp.ones((2, 3)), nnp.ones((2, 3))), ValueError, "'j' has lengths 3 and 2"),
        (lambda: nnp.einsum("ij->ijk", nnp.ones((2, 3))), ValueError, "no operand has"),
        (lambda: nnp.einsum("ij", nnp.ones(3)), ValueError, "does not name the axes"),
        (lambda: nnp.pad(nnp.ones(3), 1, mode="mirror"), ValueError, "unknown mode"),
        (lambda: nnp.pad(nnp.ones(3), -1), ValueError, "nrx.lax.pad"),
        (lambda: nnp.quantile(nnp.ones(3), 0.5, method="cubic"), ValueError, "unknown method"),
        (lambda: nnp.linspace(0, 1, -1), ValueError, "negative"),
        (lambda: nnp.arange(0, 3, 0), ValueError, "step is 0"),
        (lambda: nnp.zeros((-1, 2)), ValueError, "negative"),
        (lambda: nnp.zeros(3, dtype="float33"), TypeError, "float33"),
        (lambda: nrx.jit(nnp.arange)(3), TypeError, "static"),
        (lambda: nrx.jit(nnp.nonzero)(nnp.ones(3)), TypeError, "size=n"),
        (lambda: nrx.jit(nnp.unique)(nnp.ones(3)), TypeError, "outside of jit"),
        (lambda: nrx.jit(lambda x: nnp.repeat(x, x))(nnp.arange(3)), TypeError, "total_repeat_length"),
        (lambda: nnp.linalg.norm(nnp.ones((2, 2)), 3), ValueError, "no matrix norm"),
        (lambda: nnp.clip(nnp.array([1j]), 0, 1), TypeError, "complex"),
        (lambda: nnp.promote_types("float8_e4m3fn", "float8_e5m2"), TypeError, "no common dtype"),
    ],
)  # fmt: skip
def test_errors_teach(call: Callable, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_sized_nonzero_under_jit() -> None:
    x = nnp.array([[0, 3, 0], [4, 0, 5]])
    found = nrx.jit(lambda x: nnp.nonzero(x, size=4, fill_value=-1))(x)
    assert [i.tolist() for i in found] == [[0, 1, 1, -1], [1, 0, 2, -1]]
    assert nrx.jit(lambda x: nnp.argwhere(x, size=2))(x).tolist() == [[0, 1], [1, 0]]
    assert nrx.jit(lambda x: nnp.flatnonzero(x, size=2))(x).tolist() == [1, 3]


def test_repeat_by_traced_counts() -> None:
    counts = nnp.array([2, 0, 1])
    repeat = nrx.jit(lambda x, n: nnp.repeat(x, n, total_repeat_length=5))
    assert repeat(nnp.array([7.0, 8.0, 9.0]), counts).tolist() == [7, 7, 9, 9, 9]
    assert nnp.repeat(nnp.arange(3), counts, total_repeat_length=2).tolist() == [0, 0]


def test_roll_by_a_traced_shift() -> None:
    roll = nrx.jit(lambda x, n: nnp.roll(x, n, axis=1))
    x = np.arange(8).reshape(2, 4)
    for shift in (-5, -1, 0, 3, 9):
        assert roll(nnp.asarray(x), nnp.asarray(shift)).tolist() == np.roll(x, shift, 1).tolist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_are_summed_in_float32(dtype: str) -> None:
    x = nnp.full((4096,), 1, dtype)  # summed in bfloat16, it would stay at 256
    assert float(nnp.sum(x)) == 4096
    assert float(nnp.mean(x)) == 1
    assert float(nnp.var(nnp.concatenate([x, -x]))) == 1
    assert nnp.sum(x).dtype == nnp.mean(x).dtype == nnp.dtype(dtype)


@pytest.mark.parametrize("value", [0.3, [0.3, -2.0], np.array([0.3, 1e-3]), np.float32(0.3)])
def test_arrays_of_every_fp8(value: Any) -> None:
    """From numbers, which have no common dtype with most of them."""
    for dtype in FP8:
        made = nnp.array(value, dtype)
        assert made.dtype == dtype
        expected = np.asarray(value, np.float32).astype(dtype)
        np.testing.assert_array_equal(np.asarray(made).astype(np.float32), expected.astype(np.float32))


@pytest.mark.parametrize("values", [(np.nan, 0.0), (0.0, np.nan), (-0.0, np.nan), (np.inf, np.nan), (3.0, -4.0)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_hypot_of_special_values(values: tuple[float, float], dtype: str) -> None:
    x, y = (np.asarray(value, dtype) for value in values)
    for function in (nnp.hypot, nrx.jit(nnp.hypot)):
        np.testing.assert_array_equal(np.asarray(function(x, y)), np.hypot(x, y))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e5m2"])
def test_narrow_floats_are_unique_beside_nan(dtype: str) -> None:
    x = np.array([3, np.nan, -np.inf, 1.5, 3, np.nan, 0], np.float32)
    values, counts = nnp.unique(nnp.asarray(x).astype(dtype), return_counts=True)
    expected = np.unique(x, return_counts=True)
    assert values.dtype == nnp.dtype(dtype)
    np.testing.assert_array_equal(np.asarray(values).astype(np.float32), expected[0])
    np.testing.assert_array_equal(np.asarray(counts), expected[1])


def test_every_function_is_documented() -> None:
    for space in (nnp, nnp.linalg, nrx.lax):
        for name in space.__all__:
            if callable(getattr(space, name)):
                assert getattr(space, name).__doc__, name


def test_lax_and_numpy_names_are_jaxs() -> None:
    jax = pytest.importorskip("jax")
    assert set(nrx.lax.__all__) <= set(dir(jax.lax)) | {
        "reduce_window_max", "reduce_window_min", "reduce_window_sum",
    }  # fmt: skip
    own = {"ScalarType", "fix", "amax", "amin", "bitwise_invert", *nnp.scalar_types.fp8}
    assert set(nnp.__all__) <= set(dir(jax.numpy)) | own
    assert set(nnp.linalg.__all__) <= set(dir(jax.numpy.linalg))
    assert {name for name in nrx.__all__ if name not in dir(jax) and not find_spec(f"jax.{name}")} <= {
        "Device", "data", "errors", "explain_recompile", "io", "nn", "optim", "testing", "float0", "jacobian", "lax",
        "numpy", "random", "get_num_threads", "set_num_threads", "tree", "tree_util",
    }  # fmt: skip
