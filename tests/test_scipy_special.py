"""`nrx.scipy.special` beside SciPy, in float64, with derivatives; other dtypes."""

from typing import Any

import numpy as np
import pytest
from scipy import special as reference

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, DTypeError
from nrx.scipy import special
from nrx.testing import check_grads

_RNG = np.random.default_rng(0)
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, np.inf, -np.inf, np.nan, 1e-300, 1e10])
REAL = np.concatenate([_RNG.normal(size=200) * scale for scale in (0.01, 0.3, 1, 5, 30)] + [SPECIAL])
OTHER = np.concatenate([_RNG.permutation(REAL[:1000]), _RNG.permutation(SPECIAL)])
POSITIVE, OTHER_POSITIVE = np.abs(REAL), np.abs(OTHER)
MODERATE, OTHER_MODERATE = POSITIVE[:1000], OTHER_POSITIVE[:1000]
UNIT = np.concatenate([_RNG.uniform(size=500), [0, 1, 0.5, 0.25, 0.75, 1e-10, 1e-300, 1 - 1e-12, -0.5, 1.5, np.nan]])
COUNTS = _RNG.integers(0, 40, (2, 200)).astype(float)

#: Arguments, and the relative error allowed: gamma functions are exponentials of logarithms, whose error grows.
CASES: dict[str, tuple[tuple, float]] = {
    "logit": ((UNIT,), 2e-15), "expit": ((REAL,), 2e-15), "xlogy": ((REAL, OTHER_POSITIVE), 2e-15),
    "xlog1py": ((REAL, OTHER_POSITIVE), 2e-15), "entr": ((REAL,), 2e-15), "rel_entr": ((REAL, OTHER), 1e-12),
    "kl_div": ((MODERATE, OTHER_MODERATE), 1e-11), "boxcox": ((MODERATE, OTHER[:1000] / 10), 1e-14),
    "boxcox1p": ((MODERATE, OTHER[:1000] / 10), 1e-14), "gammaln": ((POSITIVE,), 1e-12), "gammasgn": ((REAL,), 0.0),
    "gamma": ((REAL,), 1e-12), "loggamma": ((REAL,), 1e-12), "betaln": ((MODERATE, OTHER_MODERATE), 1e-11),
    "beta": ((REAL[:1000], OTHER[:1000]), 1e-11), "factorial": ((np.arange(-2.0, 30.0),), 1e-13),
    "comb": (tuple(COUNTS), 1e-14), "poch": ((MODERATE, OTHER_MODERATE / 5), 1e-12),
    "digamma": ((POSITIVE,), 1e-12), "zeta": ((1 + MODERATE, 1 + OTHER_MODERATE), 1e-13), "erf": ((REAL,), 2e-15),
    "erfc": ((REAL,), 2e-13), "erfinv": ((UNIT,), 2e-15), "erfcx": ((REAL,), 5e-15), "dawsn": ((REAL,), 5e-14),
    "ndtr": ((REAL,), 2e-13), "ndtri": ((UNIT,), 5e-15), "log_ndtr": ((REAL,), 2e-13),
    "fresnel": ((REAL[:1000],), 2e-14), "owens_t": ((REAL[:1000] / 6, OTHER[:1000]), 1e-12),
    "exp1": ((POSITIVE,), 2e-14), "expi": ((REAL[:1000],), 1e-12), "sici": ((POSITIVE,), 1e-12),
    "spence": ((MODERATE,), 1e-12), "gammainc": ((MODERATE, OTHER_MODERATE), 1e-11),
    "gammaincc": ((MODERATE, OTHER_MODERATE), 1e-11), "i0e": ((REAL,), 1e-13), "i1e": ((REAL,), 1e-13),
    "i0": ((REAL[:1000],), 1e-13), "i1": ((REAL[:1000],), 1e-13),
    "betainc": ((MODERATE, OTHER_MODERATE, _RNG.uniform(size=1000)), 1e-10),
    "wofz": ((REAL[:1000] + 1j * OTHER_MODERATE,), 1e-12),
}  # fmt: skip
WITH_GRADIENT = {
    "logit": (0.3,), "expit": (0.3,), "xlogy": (0.3, 1.7), "xlog1py": (0.3, 1.7), "entr": (0.3,),
    "rel_entr": (0.3, 0.8), "kl_div": (0.3, 0.8), "boxcox": (1.3, 0.4), "boxcox1p": (1.3, 0.4), "gammaln": (1.3,),
    "gamma": (2.3,), "betaln": (1.3, 0.7), "beta": (1.3, 0.7), "factorial": (2.5,), "poch": (1.3, 0.7),
    "digamma": (1.3,),
    "erf": (0.3,), "erfc": (0.3,), "erfinv": (0.3,), "erfcx": (0.3,), "dawsn": (0.3,), "ndtr": (0.3,), "ndtri": (0.1,),
    "exp1": (0.7,), "expi": (0.7,), "sici": (0.7,), "spence": (0.7,), "i0": (0.7,), "i1": (0.7,),
    "log_ndtr": (-1.3,), "fresnel": (0.3,), "owens_t": (0.3, 0.7), "logsumexp": (np.array([0.3, 0.7]),),
    "softmax": (np.array([0.3, 0.7]),), "log_softmax": (np.array([0.3, 0.7]),),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    args, rtol = CASES[name]
    with np.errstate(all="ignore"):
        ours, theirs = getattr(special, name)(*args), getattr(reference, name)(*args)
    assert_allclose(ours, theirs, rtol)
    assert_allclose(nrx.jit(nrx.vmap(getattr(special, name)))(*args), theirs, rtol)


def assert_allclose(ours: Any, theirs: Any, rtol: float) -> None:
    for x, y in zip(*((v if isinstance(v, tuple | list) else (v,)) for v in (ours, theirs)), strict=True):
        assert x.dtype == y.dtype
        finite = ~np.isinf(y) | np.isinf(np.asarray(x))  # near the largest number either may be infinite
        np.testing.assert_allclose(np.asarray(x)[finite], y[finite], rtol=rtol, atol=1e-290)
        assert (np.abs(np.asarray(x)[~finite]) > 1e307).all()


@pytest.mark.parametrize("name", WITH_GRADIENT)
def test_gradients(name: str) -> None:
    check_grads(getattr(special, name), tuple(map(np.float64, WITH_GRADIENT[name])), order=2)


def test_far_arguments() -> None:
    for name, x in (
        ("dawsn", [1e6, 1e200, -1e3]), ("erfcx", [1e6, 1e200, -25.0, 1e-300]),
        ("log_ndtr", -(10.0 ** np.arange(0, 100, 9))),
        ("ndtri", 10.0 ** -np.arange(0, 308, 13)), ("wofz", np.array([3 - 2j, -3 - 2j, 1e5 + 1j, -1e-9 + 1e-9j, 7j])),
    ):  # fmt: skip
        x = np.array(x)
        assert_allclose(getattr(special, name)(x), getattr(reference, name)(x), 1e-12)
    h, a = np.array([0.0, 1, np.inf, 2, 0.3]), np.array([np.inf, np.inf, 1.0, -np.inf, 0])
    assert_allclose(special.owens_t(h, a), reference.owens_t(h, a), 1e-13)


def test_wofz_is_holomorphic() -> None:
    slope = nrx.grad(special.wofz, holomorphic=True)(np.complex128(0.3 + 0.4j))
    step = 1e-5
    expected = (reference.wofz(0.3 + 0.4j + step) - reference.wofz(0.3 + 0.4j - step)) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-8)


def test_orders() -> None:
    for n in (0, 1, 2, 3, 8, 50):
        x = np.array([0, 1e-5, 0.1, 0.7, 1, 1.4, 1.6, 3, 20, 300, -1, np.nan])
        np.testing.assert_allclose(special.expn(n, x), reference.expn(n, x), rtol=1e-13)
        check_grads(lambda x, n=n: special.expn(n, x), (np.float64(0.7),), order=2)
    with nrx.config.using(default_float="float64"):
        np.testing.assert_allclose(special.bernoulli(40), reference.bernoulli(40), rtol=1e-11)
    for n in (0, 1, 2, 5):
        np.testing.assert_allclose(special.polygamma(n, MODERATE), reference.polygamma(n, MODERATE), rtol=1e-11)
    for d in (1, 3):
        ours = special.multigammaln(2 + MODERATE, d)
        np.testing.assert_allclose(ours, reference.multigammaln(2 + MODERATE, d), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(special.zeta(np.array([2.0, 4.0])), np.pi ** np.array([2, 4]) / [6, 90], rtol=1e-14)
    np.testing.assert_allclose(special.comb(*COUNTS, repetition=True), reference.comb(*COUNTS, repetition=True), 1e-11)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int32", "bool"])
def test_dtypes(dtype: str) -> None:
    x = jnp.array([0, 1, 1]).astype(dtype)
    for name, (args, _) in CASES.items():
        out = getattr(special, name)(*[x] * len(args))
        expected = dtype if "float" in dtype else "float32"
        for part in out if isinstance(out, tuple) else (out,):
            assert str(part.dtype) == expected or part.dtype == jnp.complex64
            assert part.shape == (3,)
        assert getattr(special, name)(*[jnp.ones((0, 2))] * len(args)) is not None


def test_sums() -> None:
    x, b = REAL[:12].reshape(3, 4) * 100, OTHER[:12].reshape(3, 4)
    for axis in (None, 0, -1, (0, 1)):
        np.testing.assert_allclose(special.softmax(x, axis=axis), reference.softmax(x, axis=axis), rtol=1e-13)
        np.testing.assert_allclose(special.log_softmax(x, axis=axis), reference.log_softmax(x, axis=axis), rtol=1e-13)
        for keepdims in (False, True):
            ours = special.logsumexp(x, axis, b, keepdims, return_sign=True)
            theirs = reference.logsumexp(x, axis, b, keepdims, return_sign=True)
            for got, expected in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_mistakes() -> None:
    with pytest.raises(DTypeError, match="erfcx does not take complex"):
        special.erfcx(1j)
    with pytest.raises(ArgumentError, match="exact"):
        special.factorial(3, exact=True)
    with pytest.raises(ArgumentError, match="negative"):
        special.bernoulli(-1)
    with pytest.raises(ArgumentError, match="d must be"):
        special.multigammaln(3.0, 0)
