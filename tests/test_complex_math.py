"""Complex elementary functions of the loop IR: machine code against mpmath, and against NumPy at special values."""

from collections.abc import Callable
from typing import Any

import loop_machine
import mpmath as mp
import numpy as np
import pytest
from known_differences import sign_is_open
from loop_machine import LEVELS

import nrx
from nrx.core.dtypes import from_short_name
from nrx.core.loops import Builder, Complex, Expr
from nrx.ops import complex_math

pytest.importorskip("llvmlite")

INF, NAN = np.inf, np.nan
TYPES = ["c64", "c128"]
types = pytest.mark.parametrize("type", TYPES)


def evaluate(name: str, type: str, *operands: Any, level: str | None = None) -> np.ndarray:
    """A function of arrays, by machine code."""
    arrays = [np.ascontiguousarray(z, from_short_name(type)) for z in np.broadcast_arrays(*operands)]
    b = Builder(name)
    inputs, result = [b.buffer(f"z{n}", type, True) for n in range(len(arrays))], b.buffer("w", type)
    b.kernel.dims = [extent] = [Expr("dim", "i64")]

    def element(i: Expr) -> list[Expr]:
        w = complex_math.FUNCTIONS[name](*[Complex(b.load(z, i * 2), b.load(z, i * 2 + 1)) for z in inputs])
        b.store(result, i * 2, w.real)
        b.store(result, i * 2 + 1, w.imag)
        return []

    b.lanes(extent, element)
    out = np.empty_like(arrays[0])
    loop_machine.run(b.kernel, [*arrays, out], [out.size], level)
    return out


# --- Accuracy ---------------------------------------------------------------------------------------------------------

#: Functions, how mpmath says them, and the bounds of their errors in ulp: of each part, where no part is a difference
#: that may vanish; of the larger part.
FUNCTIONS: dict[str, tuple[Callable, float, float]] = {
    "exp": (mp.exp, 4, 3),
    "exp2": (lambda z: mp.exp(z * mp.log(2)), 4, 3),
    "expm1": (lambda z: mp.exp(z) - 1, INF, 4),
    "logistic": (lambda z: 1 / (1 + mp.exp(-z)), INF, 5),
    "sinh": (mp.sinh, 4, 3),
    "cosh": (mp.cosh, 4, 3),
    "tanh": (mp.tanh, 5, 4),
    "sin": (mp.sin, 4, 3),
    "cos": (mp.cos, 4, 3),
    "tan": (mp.tan, 5, 4),
    "sqrt": (mp.sqrt, 3, 2.5),
    "rsqrt": (lambda z: 1 / mp.sqrt(z), 4, 4),
    "log": (mp.log, 100, 2),
    "log1p": (lambda z: mp.log(1 + z), INF, 3),
    "asin": (mp.asin, 5, 3),
    "acos": (mp.acos, 5, 4),
    "atan": (mp.atan, 5, 3),
    "asinh": (mp.asinh, 5, 3),
    "acosh": (mp.acosh, 5, 4),
    "atanh": (mp.atanh, 5, 3),
}
PERIODIC = {"exp", "exp2", "expm1", "logistic", "sinh", "cosh", "tanh", "sin", "cos", "tan"}


def points(name: str, type: str, count: int) -> np.ndarray:
    """Near and far, near the unit circle, 1 and pi/2; for periodic functions none that overflow."""
    part = np.finfo(from_short_name(type))
    rng = np.random.default_rng(0)

    def spread(scale: float) -> np.ndarray:
        return rng.standard_normal(count) * scale

    def sizes(most: float) -> np.ndarray:
        return np.exp2(rng.uniform(-most, most, count)) * rng.choice([-1, 1], count)

    angle = rng.uniform(0, 2 * np.pi, count)
    parts = [
        (spread(1), spread(1)), (spread(10), spread(10)), (sizes(20), sizes(5)), (1 + spread(1e-3), spread(1e-3)),
        (spread(1e-3), np.pi / 2 + spread(1e-3)), (np.pi / 2 + spread(1e-3), spread(1e-3)),
        (np.cos(angle), np.sin(angle)), (spread(80), spread(80)),
    ]  # fmt: skip
    if name in PERIODIC:
        parts += [(spread(1), 0 * angle), (0 * angle, spread(1))]
    else:  # not on the axes, which are cuts
        parts.append((sizes(part.maxexp - 2), sizes(part.maxexp - 2)))
    z = np.concatenate([np.stack([x.astype(part.dtype), y.astype(part.dtype)], -1) for x, y in parts])
    return np.ascontiguousarray(z).view(from_short_name(type))[:, 0]


def errors(computed: np.ndarray, expected: list) -> tuple[np.ndarray, np.ndarray]:
    """In ulp of each part, and of the larger part; what is beyond the largest number must be infinite."""
    info = np.finfo(computed.dtype)
    least, largest = info.minexp - info.nmant, float(info.max)

    def unit(x: Any) -> Any:
        return mp.ldexp(1, max(int(mp.mag(x)) - 1 - info.nmant, least) if x else least)

    each, whole = [], []
    for got, want in zip(computed.tolist(), expected, strict=True):
        parts = [(got.real, mp.re(want)), (got.imag, mp.im(want))]
        size = unit(max(abs(w) for _, w in parts))
        off = [0.0 if np.isinf(g) and abs(w) > largest else abs(mp.mpf(g) - w) for g, w in parts]
        each.append(float(max(e / unit(w) for e, (_, w) in zip(off, parts, strict=True))))
        whole.append(float(max(off) / size))
    return np.array(each), np.array(whole)


@types
@pytest.mark.parametrize("count", [15, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_ulp(name: str, type: str, count: int) -> None:
    oracle, bound, whole_bound = FUNCTIONS[name]
    z = points(name, type, count)
    with mp.workprec(5000 if np.abs(z).max() > 1e30 else 300):
        expected = [mp.mpc(oracle(mp.mpc(number))) for number in z.tolist()]
        each, whole = errors(evaluate(name, type, z), expected)
    assert each.max() <= bound, z[np.argmax(each)]
    assert whole.max() <= whole_bound, z[np.argmax(whole)]


@types
@pytest.mark.parametrize(
    ("name", "oracle"),
    [("pow", mp.power), ("atan2", lambda x, y: -1j * mp.log((y + 1j * x) / mp.sqrt(x * x + y * y)))],
)
def test_error_of_two_operands(name: str, oracle: Callable, type: str) -> None:
    rng = np.random.default_rng(0)
    z, w = (np.array([1, 1j]) @ rng.standard_normal((2, 200)) for _ in range(2))
    z, w = (x.astype(from_short_name(type)) for x in (z, w))
    with mp.workprec(200):
        expected = [mp.mpc(oracle(mp.mpc(x), mp.mpc(y))) for x, y in zip(z.tolist(), w.tolist(), strict=True)]
        assert errors(evaluate(name, type, z, w), expected)[1].max() <= 20


@types
def test_overflow_comes_with_the_result(type: str) -> None:
    """exp(x) is too large and exp(x) cos(y) is not, and the like."""
    x = {"c64": 89.0, "c128": 710.0}[type]
    quarter = float(np.arccos(0.1))
    for name in ("exp", "expm1", "sinh", "cosh"):
        assert np.isfinite(evaluate(name, type, [complex(x, quarter)])[0].real), name
    for name in ("sin", "cos"):
        assert np.isfinite(
            evaluate(name, type, [complex(quarter, x)]).view(float if type == "c128" else np.float32)
        ).any()
    large = float(np.finfo(from_short_name(type)).max)
    for name in ("sqrt", "log", "asin", "acos", "asinh", "acosh", "atan", "atanh"):
        for z in (complex(large, large), complex(large, 1), complex(-1, large)):
            assert np.isfinite(evaluate(name, type, [z])[0]), (name, z)


# --- Special values ---------------------------------------------------------------------------------------------------

NUMBERS = [0.0, -0.0, 1, -1, 0.5, 2, -3, 80, -80, INF, -INF, NAN]
PLANE = np.array([complex(x, y) for x in NUMBERS for y in NUMBERS])
BY_NUMPY: dict[str, Callable] = {
    **{name: getattr(np, name) for name in ("exp", "sinh", "cosh", "tanh", "sin", "cos", "tan", "sqrt", "log")},
    **{f"a{name}": getattr(np, f"arc{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
}


@types
@pytest.mark.parametrize("name", BY_NUMPY)
def test_special_values(name: str, type: str) -> None:
    """Cuts, poles, infinities; the signs of zeros, but for those that C leaves open."""
    with np.errstate(all="ignore"):
        expected = BY_NUMPY[name](PLANE.astype(from_short_name(type)))
    got = evaluate(name, type, PLANE)
    wrong = []
    for z, g, w in zip(PLANE.tolist(), got.tolist(), expected.tolist(), strict=True):
        for this, other, want in ((g.real, g.imag, w.real), (g.imag, g.real, w.imag)):
            is_open = sign_is_open(np.asarray(z), np.asarray(want), np.asarray(other))
            close = np.isclose(abs(this), abs(want), 1e-5 if type == "c64" else 1e-14, 0, equal_nan=True)
            if not close or (np.signbit(this) != np.signbit(want) and not is_open and not np.isnan(want)):
                wrong.append((z, g, w))
    assert not wrong


@types
def test_special_values_of_what_numpy_lacks(type: str) -> None:
    undirected = complex(-INF, INF)
    assert evaluate("expm1", type, [undirected, INF]).tolist() == [-1, INF]
    assert evaluate("exp2", type, [undirected, INF, 3]).tolist() == [0, INF, 8]
    assert evaluate("logistic", type, [undirected, complex(INF, INF), 0]).tolist() == [0, 1, 0.5]
    assert evaluate("log1p", type, [-1.0, INF, 0.0]).tolist() == [-INF, INF, 0]
    assert evaluate("rsqrt", type, [INF, complex(0, INF), 4]).tolist() == [0, 0, 0.5]
    base, exponent = [0, 0, 2, 0, 0, -1], [0, 2, 0, -1, 1j, 0]
    power = evaluate("pow", type, base, exponent)
    assert power[[0, 1, 2, 5]].tolist() == [1, 0, 1, 1]
    assert np.isnan(power[3:5]).all()


@types
@pytest.mark.parametrize("name", FUNCTIONS)
def test_conjugates_of_conjugates(name: str, type: str) -> None:
    """On the cuts too, where the sign of a zero says from which side."""
    z = np.concatenate([PLANE[np.isfinite(PLANE)].astype(from_short_name(type)), points(name, type, 10)])
    got, mirrored = evaluate(name, type, z), evaluate(name, type, z.conj()).conj()
    pairs = [(got.real, mirrored.real), (got.imag, mirrored.imag)]
    defined = ~(np.isnan(got.real) | np.isnan(got.imag))
    assert all(np.all((a == b) & (np.signbit(a) == np.signbit(b)) | ~defined) for a, b in pairs)


@types
@pytest.mark.parametrize("name", [*FUNCTIONS, "pow", "atan2"])
def test_every_level_gives_the_same_bits(name: str, type: str) -> None:
    z = np.concatenate([PLANE.astype(from_short_name(type)), points(name, type, 10)])
    operands = [z, z[::-1]] if name in ("pow", "atan2") else [z]
    results = [evaluate(name, type, *operands, level=level) for level in LEVELS]
    assert all(np.array_equal(results[0], result, equal_nan=True) for result in results[1:])


@pytest.mark.parametrize("name", ["log2", "log10"])
def test_logarithms_to_a_base_of_infinities_keep_the_angle(name: str) -> None:
    x = np.array([complex(-np.inf, 0.2), complex(np.inf, np.inf), complex(1, np.inf), 2 + 3j])
    f = getattr(nrx.numpy, name)
    slope = 1 / (x[3] * np.log({"log2": 2, "log10": 10}[name]))
    for g in (f, nrx.jit(f)):
        found = np.asarray(g(x.astype("complex64")))
        np.testing.assert_allclose(found.view("float32"), getattr(np, name)(x).view("float64"), rtol=1e-6)
        np.testing.assert_allclose(nrx.jvp(g, (x[3],), (1 + 0j,))[1], slope, rtol=1e-6)
        np.testing.assert_allclose(nrx.grad(g, holomorphic=True)(x[3]), slope, rtol=1e-6)
