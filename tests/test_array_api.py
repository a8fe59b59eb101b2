"""What the array API standard asks for where NumPy or C differ; `python -m tests.array_api` runs its whole suite."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core import errors
from nrx.ops.floored import floor_divide_p, remainder_p
from nrx.testing import check_grads

INF, NAN = np.inf, np.nan
NUMBERS = np.array([0.0, -0.0, 1, -1, 2.5, -7.5, 3, 1e-300, -1e300, INF, -INF, NAN])
PAIRS = [x.ravel() for x in np.meshgrid(NUMBERS, NUMBERS)]
eager_and_jitted = pytest.mark.parametrize("through", [lambda f: f, nrx.jit], ids=["eager", "jit"])


def assert_same_bits(got: nrx.Array, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(got), expected)
    held = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(np.asarray(got))[held], np.signbit(expected)[held])


@eager_and_jitted
def test_remainder_has_the_sign_of_the_divisor(through: Callable) -> None:
    with np.errstate(all="ignore"):
        assert_same_bits(through(jnp.remainder)(*map(jnp.array, PAIRS)), np.remainder(*PAIRS))


@eager_and_jitted
def test_floor_divide(through: Callable) -> None:
    """NumPy's for nonzero finite numbers, else floor(x / y), as the standard prefers it."""
    x, y = PAIRS
    ordinary = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    with np.errstate(all="ignore"):
        # Of -1 // -7.5 NumPy makes 0.0.
        expected = np.where(ordinary, np.floor_divide(x, y), np.floor(x / y))
        assert_same_bits(through(jnp.floor_divide)(jnp.array(x), jnp.array(y)), expected)


def test_division_rounded_down_by_an_array_module_other_than_numpy() -> None:
    """CuPy's own functions round x / y, and take x for the remainder modulo 0."""
    module = SimpleNamespace(**vars(np))
    integers = [x.ravel() for x in np.meshgrid(*2 * [np.array([0, 1, -1, 7, -128, 127], "int8")])]
    with np.errstate(all="ignore"):
        for pair in (PAIRS, integers):
            for prim in (remainder_p, floor_divide_p):
                assert_same_bits(prim.impl(module, *pair), prim.impl(np, *pair))
        assert_same_bits(remainder_p.impl(module, *PAIRS), np.remainder(*PAIRS))


def test_derivatives_where_there_is_no_remainder() -> None:
    x, y = jnp.array([6.0, -6.0, 6.0, 0.0]), jnp.array([3.0, 3.0, -3.0, 2.0])
    by_x, by_y = nrx.grad(lambda x, y: jnp.sum(jnp.remainder(x, y)), (0, 1))(x, y)
    assert by_x.tolist() == [1, 1, 1, 1]
    assert by_y.tolist() == [-2, 2, 2, 0]
    for x, y, slope in ((1.0, INF, 0.0), (-1.0, INF, 1.0), (-1e-30, 1.0, 1.0)):  # of x or x + y
        assert nrx.grad(jnp.remainder, 1)(x, y) == slope
    check_grads(jnp.remainder, (jnp.array([7.0, -7.5]), jnp.array([3.0, 2.0])), order=2)


@eager_and_jitted
def test_signs_of_zeros(through: Callable) -> None:
    assert_same_bits(through(jnp.sign)(jnp.array(NUMBERS)), np.sign(NUMBERS))
    for zero in (0j, -0.0 + 0j, complex(0.0, -0.0), complex(-0.0, -0.0)):
        out = np.asarray(through(jnp.sign)(jnp.array([zero])))
        assert_same_bits(jnp.array(out.view("float32")), np.zeros(2))
    out = np.asarray(through(jnp.expm1)(jnp.array([complex(-0.0, 0.0), complex(-0.0, -0.0)])))
    assert_same_bits(jnp.array(out.real), np.zeros(2))
    assert np.signbit(out.imag).tolist() == [False, True]


@eager_and_jitted
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_tanh_far_to_the_right(through: Callable, dtype: str) -> None:
    """C's imaginary zero has the sign of sin(2y), the standard's that of y."""
    heights = np.array([0.5, 1, 2, 3, 1e30, -0.5, -2, -1e30])
    z = np.empty(16, dtype)
    z.real, z.imag = np.repeat([INF, -INF], 8), np.tile(heights, 2)
    out = np.asarray(through(jnp.tanh)(jnp.array(z)))
    assert out.real.tolist() == [1] * 8 + [-1] * 8
    assert_same_bits(jnp.array(out.imag), np.copysign(0, z.imag))
    np.testing.assert_allclose(np.asarray(through(jnp.tanh)(jnp.array([1 + 2j], dtype))), np.tanh(1 + 2j), 1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"])
def test_limits_are_python_numbers(dtype: str) -> None:
    info = jnp.finfo(dtype)
    assert {type(getattr(info, name)) for name in ("eps", "max", "min", "smallest_normal", "tiny")} == {float}
    assert type(info.bits) is int
    if dtype != "bfloat16":
        theirs = np.finfo(dtype)
        for name in ("bits", "eps", "epsneg", "max", "min", "smallest_normal", "smallest_subnormal", "nmant", "dtype"):
            assert getattr(info, name) == getattr(theirs, name)


@pytest.mark.parametrize(("shape", "mask"), [
    ((1,), (0,)), ((2, 3), (0,)), ((2, 3), (2, 0)), ((2, 3), (0, 3)), ((2, 3), (0, 0)), ((2, 3, 4), (2, 0)),
])  # fmt: skip
def test_an_empty_axis_of_a_mask_fits_any(shape: tuple[int, ...], mask: tuple[int, ...]) -> None:
    x, held = np.ones(shape), np.zeros(mask, bool)
    assert jnp.array(x)[jnp.array(held)].shape == x[held].shape
    assert nrx.jit(lambda x: x[held])(jnp.array(x)).shape == x[held].shape
    assert jnp.array(x).at[held].set(5.0).tolist() == x.tolist()


def test_other_masks_do_not_fit() -> None:
    for mask in ((3,), (0, 4), (1, 3)):
        with pytest.raises(errors.IndexingError, match="does not fit"):
            jnp.ones((2, 3))[np.zeros(mask, bool)]


@pytest.mark.parametrize("k", [-(2**70), -(2**63), -(2**31), -3, -2, 2, 3, 2**31 - 1, 2**64])
def test_diagonals_far_outside(k: int) -> None:
    near = max(-9, min(k, 9))
    ones = np.ones((2, 3))
    assert jnp.eye(2, 3, k=k).tolist() == np.eye(2, 3, k=near).tolist()
    assert jnp.tri(2, 3, k).tolist() == np.tri(2, 3, near).tolist()
    assert jnp.tril(jnp.array(ones), k=k).tolist() == np.tril(ones, near).tolist()
    assert jnp.triu(jnp.array(ones), k=k).tolist() == np.triu(ones, near).tolist()
    assert jnp.eye(0, k=k).shape == (0, 0)
