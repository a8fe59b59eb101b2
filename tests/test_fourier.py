"""Fourier transforms in native code, beside their definition in extended precision; see also test_fft.py."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_levels import LEVELS, THREADS, compiled_results, eager_to_share  # noqa: F401

import nrx
import nrx.numpy as jnp
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.ops import fourier_steps
from nrx.ops.fft import fft_p
from nrx.transforms.staging import stage

RNG = np.random.default_rng(0)
KINDS = ("fft", "ifft", "rfft", "irfft")
REAL = ("float32", "float64")
COMPLEX_OF = {"float32": "complex64", "float64": "complex128"}
#: Units in the last place of the largest result, for each factor of two in the length, and one more.
UNITS = 1.0


def turned(length: int, points: Any, sign: int) -> np.ndarray:
    """The matrix of a transform."""
    circle = 8 * np.arctan(np.longdouble(1))
    angles = sign * circle * (np.multiply.outer(points, np.arange(length)) % length) / length
    return np.cos(angles) + 1j * np.sin(angles)


def defined(kind: str, x: np.ndarray, length: int) -> np.ndarray:
    """The transform along the last axis, as it is defined, in extended precision."""
    x = x.astype(np.clongdouble)
    if kind == "irfft":
        x[..., 0] = x[..., 0].real
        if length % 2 == 0:
            x[..., -1] = x[..., -1].real
        x = np.concatenate([x, x[..., 1 : (length + 1) // 2][..., ::-1].conj()], -1)
    points = np.arange(length // 2 + 1 if kind == "rfft" else length)
    out = x @ turned(length, points, 1 if kind in ("ifft", "irfft") else -1).T
    out = out / length if kind in ("ifft", "irfft") else out
    return out.real if kind == "irfft" else out


def drawn(kind: str, dtype: str, *shape: int) -> np.ndarray:
    """An operand for a result of that many points along the last axis."""
    if kind == "rfft":
        return RNG.normal(size=shape).astype(dtype)
    if kind == "irfft":
        shape = (*shape[:-1], shape[-1] // 2 + 1)
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(COMPLEX_OF[dtype])


def transform(kind: str, length: int, axis: int = -1, norm: str = "backward") -> Callable:
    options = {"n": length} if kind == "irfft" else {}
    return lambda x: getattr(jnp.fft, kind)(x, axis=axis, norm=norm, **options)


def check(got: Any, expected: np.ndarray, length: int, dtype: str) -> None:
    """The result is as exact as that of a good algorithm: errors grow with the logarithm of the length."""
    got = np.asarray(got)
    assert got.shape == expected.shape
    assert got.dtype == (COMPLEX_OF[dtype] if expected.dtype.kind == "c" else dtype)
    largest = np.abs(expected).max(initial=0)
    bound = UNITS * np.finfo(dtype).eps * (1 + np.log2(length)) * largest
    assert np.abs(got - expected).max(initial=0) <= bound


def check_along(kind: str, shape: tuple[int, ...], axis: int, dtype: str, norm: str = "backward") -> None:
    """A transform along any axis, compiled."""
    length = shape[axis]
    x = drawn(kind, dtype, *np.delete(shape, axis), length)
    factor = {"backward": 1, "ortho": length**-0.5, "forward": 1 / length}[norm]
    expected = defined(kind, x, length) * (1 / factor if kind in ("ifft", "irfft") else factor)
    got = nrx.jit(transform(kind, length, axis, norm))(np.moveaxis(x, -1, axis))
    check(got, np.moveaxis(expected, -1, axis), length, dtype)


OTHERS = st.lists(st.integers(1, 9), max_size=1)


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(OTHERS, st.integers(1, 200), OTHERS),
    st.sampled_from(KINDS),
    st.sampled_from(REAL),
    st.sampled_from(["backward", "ortho", "forward"]),
)
def test_any_shape(shape: tuple, kind: str, dtype: str, norm: str) -> None:
    outer, length, inner = shape
    check_along(kind, (*outer, length, *inner), len(outer), dtype, norm)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", REAL)
def test_every_length(kind: str, dtype: str) -> None:
    for length in range(1, 201):
        check_along(kind, (3, length), 1, dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", REAL)
def test_long(kind: str, dtype: str) -> None:
    """Several steps; beside NumPy's in double precision, which is exact enough for single precision."""
    for shape in ((1 << 15,), (2, 30030), (4096, 3), (3000, 20)):
        axis = 0 if shape[-1] < 100 else -1
        x = np.moveaxis(drawn(kind, dtype, *np.delete(shape, axis), shape[axis]), -1, axis)
        wide = x.astype("complex128" if kind != "rfft" else "float64")
        expected = getattr(np.fft, kind)(wide, axis=axis)
        check(nrx.jit(transform(kind, shape[axis], axis))(x), expected, shape[axis], dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", [(2, 480), (2, 450), (2, 60, 3), (240, 40)])
def test_steps(kind: str, level: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """So little scratch memory that even these take two or three steps; the same bits for every number of threads."""
    monkeypatch.setattr(fourier_steps, "SCRATCH_BYTES", 1 << 10)
    axis, dtype = 0 if len(shape) == 2 and shape[1] < shape[0] else 1, "float32"
    length = shape[axis]
    x = np.ascontiguousarray(np.moveaxis(drawn(kind, dtype, *np.delete(shape, axis), length), -1, axis))
    closed, consts = stage(lambda x: [transform(kind, length, axis)(x)], [asarray(x).aval], "steps").closed()
    (got,) = compiled_results(closed, [*map(np.asarray, consts), x], level)
    check(got, np.moveaxis(defined(kind, np.moveaxis(x, axis, -1), length), -1, axis), length, dtype)


@pytest.mark.parametrize("kind", ["fft2", "ifft2", "rfft2", "irfft2"])
def test_over_two_axes(kind: str) -> None:
    for dtype in REAL:
        x = drawn("rfft" if kind == "rfft2" else "fft", dtype, 3, 24, 40)
        wide = x.astype("float64" if kind == "rfft2" else "complex128")
        check(nrx.jit(getattr(jnp.fft, kind))(x), getattr(np.fft, kind)(wide), 24 * 40, dtype)
        ours = nrx.jit(lambda x: getattr(jnp.fft, kind)(x, axes=(0, 1), norm="ortho"))(x)
        check(ours, getattr(np.fft, kind)(wide, axes=(0, 1), norm="ortho"), 3 * 24, dtype)


def test_no_less_exact_than_numpy() -> None:
    """In the same precision: NumPy's forward transforms of single precision are computed in double."""
    for length in (64, 100, 1000, 1024, 8192, 1 << 15):
        x = drawn("ifft", "float32", 4, length)
        reference = np.fft.ifft(x.astype("complex128"))
        ours, theirs = (np.linalg.norm(np.asarray(y) - reference) for y in (nrx.jit(jnp.fft.ifft)(x), np.fft.ifft(x)))
        assert ours <= 2 * theirs
    x = drawn("fft", "float64", 4, 960)
    reference = defined("fft", x, 960)
    errors = [np.asarray(y) - reference for y in (nrx.jit(jnp.fft.fft)(x), np.fft.fft(x))]
    ours, theirs = (np.linalg.norm(y.astype("complex128")) for y in errors)
    assert ours <= 2 * theirs


def test_lengths_of_all_kinds_are_native() -> None:
    def program(kind: str, length: int, shape: tuple[int, ...] | None = None) -> Any:
        aval = Aval(shape or (length,), np.dtype("float32" if kind == "rfft" else "complex64"))
        return fft_p.lower(aval, kind=kind, lengths=(length,), axes=(0,), norm="backward")

    def is_direct(*args: Any) -> bool:
        return {eqn.prim.name for eqn in program(*args).eqns} == {"fft_step"}

    assert all(is_direct("fft", n) for n in (1, 2, 13, 31, 34, 360, 1 << 20, 1 << 24))
    assert not any(is_direct("fft", n) for n in (37, 1009))
    assert is_direct("rfft", 10)
    assert is_direct("irfft", 10, (6,))
    assert not is_direct("rfft", 9)
    assert not is_direct("irfft", 9, (5,))
    assert program("fft", 4, (4, 0)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", REAL)
def test_large_prime_factors(kind: str, dtype: str) -> None:
    """Beside NumPy's in double precision; in double precision as exact as that."""
    for shape, axis in (((1009,), 0), ((3, 10007), 1), ((962, 4), 0), ((2, 1369, 3), 1)):
        length = shape[axis]
        x = np.moveaxis(drawn(kind, dtype, *np.delete(shape, axis), length), -1, axis)
        options = {"n": length} if kind == "irfft" else {}
        wide = x.astype("complex128" if kind != "rfft" else "float64")
        check(
            nrx.jit(transform(kind, length, axis))(x), getattr(np.fft, kind)(wide, axis=axis, **options), length, dtype
        )
    for length in (962, 1009):
        x = drawn(kind, "float64", 4, length)
        errors = [np.asarray(f(x)) - defined(kind, x, length) for f in (
            nrx.jit(transform(kind, length)), functools.partial(getattr(np.fft, kind), n=length),
        )]  # fmt: skip
        ours, theirs = (np.linalg.norm(e.astype("complex128")) for e in errors)
        assert ours <= 2 * theirs


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_over_axes_of_any_length(norm: str) -> None:
    x = drawn("rfft", "float64", 37, 3, 41)
    for kind in ("fftn", "ifftn", "rfftn"):
        for axes in ((0, 2), (2, 0), (0, 1, 2)):
            ours = nrx.jit(functools.partial(getattr(jnp.fft, kind), axes=axes, norm=norm))(x)
            np.testing.assert_allclose(ours, getattr(np.fft, kind)(x, axes=axes, norm=norm), atol=1e-10)
    half = np.fft.rfftn(x, axes=(2, 0), norm=norm)
    back = nrx.jit(lambda h: jnp.fft.irfftn(h, s=(41, 37), axes=(2, 0), norm=norm))(half)
    np.testing.assert_allclose(back, x, atol=1e-12)


@pytest.mark.parametrize("length", [256, 1 << 14])
def test_numbers_that_are_not_finite(length: int) -> None:
    """They spoil their own row only."""
    for value in (np.nan, np.inf, -np.inf):
        x = drawn("fft", "float32", 3, length)
        clean = np.asarray(nrx.jit(jnp.fft.fft)(x))
        x[1, 5] = value
        for axis in (1, 0):
            rows = np.asarray(nrx.jit(lambda x, axis=axis: jnp.fft.fft(x, axis=axis))(x if axis else x.T.copy()))
            rows = rows if axis else rows.T
            assert not np.isfinite(rows[1]).any()
            np.testing.assert_allclose(rows[[0, 2]], clean[[0, 2]], atol=1e-3)


def test_large_arrays_eagerly() -> None:
    """In memory of any order."""
    x = drawn("fft", "float64", 300, 512)
    check(jnp.fft.fft(x), np.fft.fft(x), 512, "float64")
    check(jnp.fft.ifft(x.T), np.fft.ifft(x.T), 300, "float64")
    check(jnp.fft.fft(x[::-1, ::2]), np.fft.fft(x[::-1, ::2]), 256, "float64")
    check(jnp.fft.rfft(x.real), np.fft.rfft(x.real), 512, "float64")
    check(
        jnp.fft.fft(jnp.broadcast_to(x[0], (200, 512))), np.fft.fft(np.broadcast_to(x[0], (200, 512))), 512, "float64"
    )


def test_many_sizes() -> None:
    """What is compiled once for many sizes of a batch, or of what is transformed, fits them."""
    for axis in (0, 1):
        ours = nrx.jit(lambda x, axis=axis: jnp.fft.fft(x, axis=axis) * 2)
        real = nrx.jit(lambda x, axis=axis: jnp.fft.rfft(x, axis=axis) + 1)
        for size in (4, 6, 10, 12, 17, 33, 64):
            x = drawn("fft", "float64", size, 8)
            check(ours(x), 2 * np.fft.fft(x, axis=axis), 64, "float64")
            check(real(x.real), 1 + np.fft.rfft(x.real, axis=axis), 64, "float64")


def test_threads_give_the_same_bits() -> None:
    x = drawn("fft", "float32", 1 << 16)
    ours, before = nrx.jit(jnp.fft.fft), nrx.get_num_threads()
    try:
        answers = set()
        for count in THREADS:
            nrx.set_num_threads(count)
            answers.add(np.asarray(ours(x)).tobytes())
    finally:
        nrx.set_num_threads(before)
    assert len(answers) == 1
