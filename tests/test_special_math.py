"""The special functions against mpmath, in ulp of the exact value, and against SciPy for domains."""

from collections.abc import Callable, Iterable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special
from numpy.testing import assert_array_equal

from nrx.ops import special_math, zeta_math
from nrx.ops.element_math import ArrayMath

DIGITS = 50
EPSILON = 2.0**-52
UNARY = [special_math.erf, special_math.erfc, special_math.erf_inv, special_math.lgamma, special_math.digamma]


def binary(function: Callable) -> Callable:
    """A function of `zeta_math` of arrays that broadcast, in the dtype of the last."""

    def of_arrays(xp: Any, n: Any, x: Any) -> Any:
        wide = xp.broadcast_arrays(xp.asarray(n, xp.float64), xp.asarray(x, xp.float64))
        return xp.asarray(function(ArrayMath(xp), *wide)).astype(x.dtype)

    return of_arrays


zeta, polygamma = binary(zeta_math.zeta), binary(zeta_math.polygamma)
BINARY = [zeta, polygamma]
DTYPES = [np.float32, np.float64]


def call(function: Callable, *args: object) -> np.ndarray:
    with np.errstate(all="ignore"):
        return function(np, *args)


def exact_values(oracle: Callable, points: Iterable[float]) -> list:
    with mp.workdps(DIGITS):
        return [oracle(mp.mpf(float(x))) for x in points]


def ulp_errors(computed: np.ndarray, exact: list) -> np.ndarray:
    """The errors in units of the last place of the exact values; subnormals count in units of the least one."""
    info = np.finfo(computed.dtype)
    with mp.workdps(DIGITS):
        units = [mp.ldexp(1, max(int(mp.mag(w)) - 1, info.minexp) - info.nmant) if w else 1 for w in exact]
        return np.array([float(abs(mp.mpf(float(g)) - w) / u) for g, w, u in zip(computed, exact, units, strict=True)])


def absolute_errors(computed: np.ndarray, exact: list) -> np.ndarray:
    return np.array([float(abs(mp.mpf(float(g)) - w)) for g, w in zip(computed, exact, strict=True)])


def around(*centres: float) -> np.ndarray:
    """Each centre with its neighbours, near and far."""
    steps = np.concatenate([np.arange(5), np.logspace(1, 13, 25)]) * EPSILON
    return np.concatenate([c + sign * abs(c) * steps for c in centres for sign in (1, -1)])


def even(low: float, high: float, count: int = 800) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, count)


def decades(low: float, high: float, count: int = 400) -> np.ndarray:
    return 10.0 ** even(low, high, count)


def signed(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, -x])


# --- Accuracy ---------------------------------------------------------------------------------------------------------

TINY = decades(-323, -1)

# function, oracle, points, bound in ulp for float64
SWEEPS = {
    "erf": (special_math.erf, mp.erf, [signed(TINY), even(-1.5, 1.5), even(-6, 6), around(1, -1)], 1.5),
    "erfc left": (special_math.erfc, mp.erfc, [signed(TINY), even(-6, 0.47)], 2),
    "erfc right": (special_math.erfc, mp.erfc, [even(0.46, 2), even(1, 27), around(15 / 32, 1, 26.5, 27.2)], 3.5),
    "erf_inv centre": (special_math.erf_inv, mp.erfinv, [signed(TINY), even(-0.9, 0.9), around(0.75, -0.5)], 2),
    "lgamma zeros": (special_math.lgamma, mp.loggamma, [even(0.3, 4), around(0.7, 1, 2, 3.5)], 4),
    "lgamma large": (special_math.lgamma, mp.loggamma, [even(3.5, 12), even(10, 200), decades(2, 305.3)], 3.5),
    "lgamma small": (special_math.lgamma, mp.loggamma, [TINY, even(0, 0.7)], 2),
    "digamma zero": (special_math.digamma, mp.digamma, [even(0.5, 4), around(0.5, 1.4616321449683622, 4)], 3.1),
    "digamma large": (special_math.digamma, mp.digamma, [even(4, 20), decades(1, 308)], 2),
    "digamma small": (special_math.digamma, mp.digamma, [decades(-307, 0), even(0, 0.5)], 2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SWEEPS)
def test_error_in_ulp(name: str, dtype: type) -> None:
    function, oracle, sweeps, bound = SWEEPS[name]
    if dtype is np.float32:
        bound = 4 if function is special_math.erf_inv else 0.51
    with np.errstate(all="ignore"):
        points = np.concatenate(sweeps).astype(dtype)
    points = points[np.isfinite(points) & (points != 0)]
    exact = np.array(exact_values(oracle, points), dtype=object)
    inside = abs(exact) < float(np.finfo(dtype).max)
    errors = ulp_errors(call(function, points[inside]), exact[inside])
    worst = errors.argmax()
    assert errors[worst] <= bound, points[inside][worst]


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 2), (np.float32, 65)])
def test_erf_inv_next_to_one(dtype: type, bound: float) -> None:
    points = np.concatenate([even(0.9, 1, 200), 1 - decades(-15.9, -1, 200), [1 - EPSILON / 2, 1 - 2.0**-24]]).astype(
        dtype
    )
    points = points[points < 1]
    exact = exact_values(mp.erfinv, points)
    assert ulp_errors(call(special_math.erf_inv, points), exact).max() <= bound
    assert_array_equal(call(special_math.erf_inv, -points), -call(special_math.erf_inv, points))


@pytest.mark.slow
def test_erf_inv_in_float32_is_that_of_jax() -> None:
    lax = pytest.importorskip("jax.lax")
    points = even(-1, 1, 100_000).astype(np.float32)
    computed, expected = call(special_math.erf_inv, points), np.asarray(lax.erf_inv(points))
    assert np.all(abs(computed - expected) <= 2 * np.spacing(abs(expected)))


# Where the zeros are ill-conditioned, the error is measured against the terms that cancel there.
NEGATIVE = -np.concatenate([even(0.3, 6), even(6, 170), decades(-0.5, 12), np.arange(1, 30) + decades(-12, -1, 29)])


def test_lgamma_of_negative_numbers() -> None:
    def log_sine(x: mp.mpf) -> mp.mpf:
        return mp.log(abs(mp.sinpi(x)))

    exact = exact_values(lambda x: mp.log(mp.pi) - log_sine(x) - mp.loggamma(1 - x), NEGATIVE)
    scale = np.array(exact_values(lambda x: 1 + mp.loggamma(1 - x) + abs(log_sine(x)), NEGATIVE), dtype=float)
    assert np.all(absolute_errors(call(special_math.lgamma, NEGATIVE), exact) <= 2.5 * EPSILON * scale)


def test_digamma_of_negative_numbers() -> None:
    points = np.concatenate([NEGATIVE, even(-0.5, 0)])

    def cotangent(x: mp.mpf) -> mp.mpf:
        return mp.pi * mp.cospi(x) / mp.sinpi(x)

    exact = exact_values(lambda x: mp.digamma(1 - x) - cotangent(x), points)
    scale = np.array(exact_values(lambda x: 1 + mp.digamma(1 - x) + abs(cotangent(x)), points), dtype=float)
    assert np.all(absolute_errors(call(special_math.digamma, points), exact) <= 3.5 * EPSILON * scale)


def hurwitz(s: float, q: float) -> mp.mpf:
    """mpmath sums zeta to an absolute error, and the value is about q^(1 - s)."""
    with mp.workdps(DIGITS + int(s * max(0, np.log10(q)))):
        return mp.zeta(mp.mpf(s), mp.mpf(q))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("s", [1 + 2.0**-40, 1.5, 2, 3, 5, 10.5, 31, 64])
def test_error_of_zeta_in_ulp(s: float, dtype: type) -> None:
    # Beyond 10^±(range/s) the value overflows or underflows.
    extent = np.log10(float(np.finfo(dtype).max)) / s
    points = np.concatenate([even(0.2, 1, 40), even(1, 40, 80), decades(-extent, min(extent, 12), 60)]).astype(dtype)
    exact = np.array([hurwitz(s, float(q)) for q in points])
    inside = exact < float(np.finfo(dtype).max)
    bound = 0.51 if dtype is np.float32 else 3 + s / 3
    assert ulp_errors(call(zeta, s, points[inside]), exact[inside]).max() <= bound


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_error_of_polygamma_in_ulp(n: int) -> None:
    points = np.concatenate([even(0, 1, 40), even(1, 30, 80), decades(-20, 6, 80)])
    exact = [(-1) ** (n + 1) * mp.factorial(n) * hurwitz(n + 1, float(x)) for x in points]
    assert ulp_errors(call(polygamma, n, points), exact).max() <= 4 + (n + 1) / 3


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_polygamma_of_negative_numbers(n: int) -> None:
    points = -np.concatenate([even(0, 2, 80), even(2, 30, 40), 10 + decades(-12, -1, 20)])
    exact = exact_values(lambda x: mp.psi(n, x), points)
    gaps = np.stack([points - np.floor(points), np.ceil(points) - points])  # from the poles on either side
    scale = [mp.factorial(n) * (hurwitz(n + 1, left) + hurwitz(n + 1, right)) for left, right in gaps.T.tolist()]
    errors = absolute_errors(call(polygamma, n, points), exact)
    assert np.all(errors <= 4 * EPSILON * np.array(scale, dtype=float))


# --- Special values ---------------------------------------------------------------------------------------------------

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("function", "points", "expected"),
    [
        (special_math.erf, [0.0, -0.0, INF, -INF, 1e30, -1e30, NAN], [0.0, -0.0, 1, -1, 1, -1, NAN]),
        (special_math.erfc, [0.0, -0.0, INF, -INF, 28, 1e30, -1e30, NAN], [1, 1, 0, 2, 0, 0, 2, NAN]),
        (special_math.erf_inv, [0.0, -0.0, 1, -1, 1.5, -2, INF, NAN], [0.0, -0.0, INF, -INF, NAN, NAN, NAN, NAN]),
        (special_math.lgamma, [1, 2, 0.0, -0.0, -1, -1e20, INF, -INF, NAN], [0, 0, *[INF] * 6, NAN]),
        (special_math.digamma, [0.0, -0.0, -1, -1e20, INF, -INF, NAN], [-INF, INF, NAN, NAN, INF, NAN, NAN]),
    ],
)
def test_special_values(function: Callable, points: list, expected: list, dtype: type) -> None:
    computed = call(function, np.array(points, dtype))
    assert_array_equal(computed, np.array(expected, dtype))
    zeros = np.array(expected) == 0
    if function is not special_math.lgamma:
        assert_array_equal(np.signbit(computed[zeros]), np.signbit(np.array(expected)[zeros]))


def test_gradual_underflow() -> None:
    points = even(26.5, 27.3)
    computed = call(special_math.erfc, points)
    assert ulp_errors(computed, exact_values(mp.erfc, points)).max() <= 3.5
    assert np.any((computed > 0) & (computed < np.finfo(float).tiny))


def test_lgamma_overflows_where_its_value_does() -> None:
    points = even(2.55e305, 2.57e305)
    too_large = np.array(exact_values(mp.loggamma, points)) > np.finfo(float).max
    assert 0 < np.count_nonzero(too_large) < len(points)
    assert_array_equal(np.isposinf(call(special_math.lgamma, points)), too_large)


ZETA_DOMAIN = [
    (1, 2), (1, -1), (1, -0.5), (0.5, 2), (0.5, -1), (-1, 2), (2, 0), (2, -0.0), (2, -1), (2.5, 0), (2.5, -1),
    (2.5, -0.5), (2, -0.5), (3, -0.5), (3, -7.25), (2, -100.125), (2, INF), (2, -INF), (2, NAN), (NAN, 2), (INF, 1),
    (INF, 0.5), (300, 0.05), (300, 20), (2.5, 1e300), (1.001, 1e10),
]  # fmt: skip
POLYGAMMA_DOMAIN = [
    (0, 1.5), (0, -1), (0, -0.5), (1, 0), (2, 0), (1, -1), (2, -1), (1, INF), (1, -INF), (1, NAN), (-1, 2), (1.5, 2),
    (NAN, 2), (170, 30.5), (171, 0.5), (1, 1e-200), (1, -3e5 - 0.5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "oracle", "pairs"),
    [
        (zeta, scipy.special.zeta, ZETA_DOMAIN),
        (polygamma, scipy.special.polygamma, POLYGAMMA_DOMAIN),
    ],
)
def test_domain_is_that_of_scipy(function: Callable, oracle: Callable, pairs: list) -> None:
    first, second = np.array(pairs, float).T
    with np.errstate(all="ignore"):
        expected = oracle(first, second)
    np.testing.assert_allclose(call(function, first, second), expected, rtol=1e-13)


# --- Shapes and dtypes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 1, 3)])
@pytest.mark.parametrize("function", UNARY)
def test_shape_and_dtype_are_kept(function: Callable, shape: tuple[int, ...], dtype: type) -> None:
    x = np.full(shape, 0.75, dtype)
    result = call(function, x)
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.dtype) == (shape, dtype)
    assert np.all(x == 0.75)
    assert_array_equal(result, np.full(shape, call(function, np.array([0.75], dtype))))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shapes", "expected"), [(((), ()), ()), (((3,), (0, 1)), (0, 3)), (((2, 1), (3,)), (2, 3))])
@pytest.mark.parametrize("function", BINARY)
def test_arguments_broadcast(function: Callable, shapes: tuple, expected: tuple[int, ...], dtype: type) -> None:
    second = np.full(shapes[1], 0.75, dtype)
    for first, shape in [
        (np.full(shapes[0], 2), expected),
        (np.full(shapes[0], 2, dtype), expected),
        (2, shapes[1]),
    ]:
        result = call(function, first, second)
        assert isinstance(result, np.ndarray)
        assert (result.shape, result.dtype) == (shape, dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [*UNARY, *BINARY])
def test_cupy_agrees_with_numpy(function: Callable, dtype: type) -> None:
    cupy = pytest.importorskip("cupy")
    order = [2] if function in BINARY else []
    for x in (even(-1.2, 1.2).astype(dtype), even(-6, 20).astype(dtype), np.array(0.75, dtype)):
        result = function(cupy, *order, cupy.asarray(x))
        assert isinstance(result, cupy.ndarray)
        assert (result.shape, result.dtype) == (x.shape, dtype)
        epsilon = np.finfo(dtype).eps
        np.testing.assert_allclose(
            result.get(), call(function, *order, x), rtol=80 * epsilon, atol=80 * epsilon, equal_nan=True
        )
