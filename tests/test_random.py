"""Random numbers: known answers, JAX's values, the distributions themselves, transformations, the error messages."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import assert_as_eager
from scipy import stats

import nrx
import nrx.random as random
from nrx.core import dtypes
from nrx.core.config import config
from nrx.core.errors import ArgumentError, ArgumentTypeError, AxisError, DTypeError, NrxError, ShapeError
from nrx.ops.threefry import threefry2x32
from nrx.testing import check_grads
from nrx.transforms import grad, jit, vmap

KEY = random.PRNGKey(42)
WEIGHTS = np.array([0.5, 0.125, 0.25, 0.125], np.float32)
TABLE = np.arange(15).reshape(3, 5)


def hexes(*numbers: str) -> list[float]:
    return [float.fromhex(number) for number in numbers]


# --- The cipher -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 9, 40_000])
@pytest.mark.parametrize(
    ("key", "counter", "answer"),
    [  # the known answers published with Random123, for 20 rounds
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(key: Any, counter: Any, answer: Any, count: int) -> None:
    words = [np.full(count, word, np.uint32) for word in (*key, *counter)]
    for got, expected in zip(threefry2x32(*words), answer, strict=True):
        np.testing.assert_array_equal(got, np.full(count, expected, np.uint32))


# --- Values recorded from JAX 0.10 (jax_threefry_partitionable, 64-bit dtypes enabled) --------------------------------

EXACT = {
    "seed-negative": (lambda: random.PRNGKey(-1), [4294967295, 4294967295]),
    "seed-64-bit": (lambda: random.PRNGKey(2**40 + 5), [256, 5]),
    "seed-lowest": (lambda: random.PRNGKey(-(2**63)), [2147483648, 0]),
    "seed-int32": (lambda: random.PRNGKey(np.int32(-5)), [0, 4294967291]),
    "seed-int64": (lambda: random.key_data(random.key(np.int64(-5))), [4294967295, 4294967291]),
    "seed-bool": (lambda: random.PRNGKey(True), [0, 1]),
    "split": (lambda: random.split(KEY, 3), [[1832780943, 270669613], [64467757, 2916123636], [2465931498, 255383827]]),
    "split-shape": (
        lambda: random.split(KEY, (2, 2)),
        [[[1832780943, 270669613], [64467757, 2916123636]], [[2465931498, 255383827], [3134548294, 894150801]]],
    ),
    "fold_in": (lambda: random.fold_in(KEY, 1234), [1356445167, 2917756949]),
    "fold_in-largest": (lambda: random.fold_in(KEY, 2**32 - 1), [2398536845, 3890976714]),
    "fold_in-int64": (lambda: random.fold_in(KEY, np.int64(-1)), [2398536845, 3890976714]),
    "bits-8": (lambda: random.bits(KEY, (4,), "uint8"), [162, 217, 249, 215]),
    "bits-16": (lambda: random.bits(KEY, (4,), "uint16"), [5026, 12505, 63993, 49623]),
    "bits-32": (lambda: random.bits(KEY, (4,)), [2098992034, 2919706841, 2646866425, 2409546199]),
    "bits-of-many": (
        lambda: np.asarray(random.bits(KEY, (100_000,)))[-3:], [2586051666, 3449018246, 1293837344],
    ),
    "bits-64": (
        lambda: random.bits(KEY, (2, 2), "uint64"),
        [[7871734211187709741, 276886910877598708], [10591095138341673235, 13462782411356743825]],
    ),
    "uniform-float16": (
        lambda: random.uniform(KEY, (4,), "float16"), hexes("0x1.38p-4", "0x1.86p-3", "0x1.f38p-1", "0x1.838p-1"),
    ),
    "uniform-bfloat16": (
        lambda: random.uniform(KEY, (4,), "bfloat16"), hexes("0x1.44p-1", "0x1.bp-1", "0x1.fp-1", "0x1.acp-1"),
    ),
    "uniform-float32": (
        lambda: random.uniform(KEY, (4,)),
        hexes("0x1.f470480p-2", "0x1.5c0e600p-1", "0x1.3b87f00p-1", "0x1.1f3d800p-1"),
    ),
    "uniform-float64": (
        lambda: random.uniform(KEY, (4,), "float64"),
        hexes("0x1.b4f8123c40884p-2", "0x1.ebd996d6e84p-7", "0x1.25f641d41e71ap-1", "0x1.75aad28c6a974p-1"),
    ),
    "uniform-limits": (
        lambda: random.uniform(KEY, (4,), minval=-3.0, maxval=5.3),
        hexes("0x1.0e68fe0p+0", "0x1.52376e0p+1", "0x1.0eba120p+1", "0x1.a80c080p+0"),
    ),
    "randint-8": (lambda: random.randint(KEY, (6,), 3, 90, "int8"), [21, 24, 81, 58, 65, 33]),
    "randint-16": (lambda: random.randint(KEY, (6,), 3, 90, "uint16"), [21, 24, 81, 58, 65, 33]),
    "randint-32": (lambda: random.randint(KEY, (6,), 3, 90), [21, 24, 81, 58, 65, 33]),
    "randint-64": (lambda: random.randint(KEY, (6,), 3, 90, "uint64"), [36, 70, 78, 7, 37, 84]),
    "randint-wide": (
        lambda: random.randint(KEY, (3,), -(2**62), 2**62, "int64"),
        [-145378591231461835, -3741815450302687554, -3506958169482507113],
    ),
    "permutation": (lambda: random.permutation(KEY, 10), [7, 4, 2, 5, 3, 6, 8, 9, 0, 1]),
    "permutation-two-rounds": (
        lambda: np.asarray(random.permutation(KEY, 3000))[:6], [2629, 116, 2048, 2566, 2509, 255],
    ),
    "permutation-axis": (
        lambda: random.permutation(KEY, TABLE, 1), [[4, 2, 3, 0, 1], [9, 7, 8, 5, 6], [14, 12, 13, 10, 11]],
    ),
    "permutation-independent": (
        lambda: random.permutation(KEY, TABLE, 1, independent=True),
        [[4, 2, 3, 0, 1], [7, 5, 6, 8, 9], [10, 11, 13, 14, 12]],
    ),
    "choice": (lambda: random.choice(KEY, 10, (4,)), [4, 4, 1, 9]),
    "choice-distinct": (lambda: random.choice(KEY, 10, (4,), replace=False), [7, 4, 2, 5]),
    "choice-weighted": (lambda: random.choice(KEY, 4, (8,), p=WEIGHTS), [1, 0, 0, 0, 1, 0, 3, 0]),
    "choice-weighted-distinct": (lambda: random.choice(KEY, 4, (3,), False, WEIGHTS), [0, 2, 1]),
    "categorical": (lambda: random.categorical(KEY, np.log(WEIGHTS), shape=(8,)), [0, 0, 0, 0, 0, 0, 1, 1]),
    "bernoulli": (lambda: random.bernoulli(KEY, 0.4, (8,)), [False] * 6 + [True, False]),
    "rademacher": (lambda: random.rademacher(KEY, (8,)), [1, -1, -1, -1, 1, -1, 1, -1]),
    "geometric": (lambda: random.geometric(KEY, 0.2, (8,)), [4, 2, 3, 3, 4, 3, 12, 2]),
}  # fmt: skip

ROUNDED = {
    "normal-float64": (
        lambda: random.normal(KEY, (4,), "float64"),
        [-0.18471174528191162, -2.169824560397754, 0.18693555179382582, 0.6122653570510959],
    ),
    "normal": (
        lambda: random.normal(KEY, (4,)),
        [-0.02830461598932743, 0.4671318531036377, 0.2957029640674591, 0.15354591608047485],
    ),
    "normal-complex": (
        lambda: random.normal(KEY, (2,), "complex64"),
        [0.05368746072053909 + 0.4283398389816284j, -0.34389618039131165 + 0.5650094747543335j],
    ),
    "exponential": (
        lambda: random.exponential(KEY, (3,)), [0.670817494392395, 1.1388006210327148, 0.9578199982643127],
    ),
    "gumbel": (lambda: random.gumbel(KEY, (3,)), [0.3340933918952942, 0.952019453048706, 0.7255305647850037]),
    "gumbel-high": (
        lambda: random.gumbel(KEY, (3,), mode="high"), [0.39925798773765564, -0.12997561693191528, 0.043095413595438],
    ),
    "laplace": (lambda: random.laplace(KEY, (3,)), [0.022839652374386787, -0.4456535577774048, -0.2646729052066803]),
    "logistic": (lambda: random.logistic(KEY, (3,)), [-0.0451694130897522, 0.7528398036956787, 0.47375231981277466]),
    "cauchy": (lambda: random.cauchy(KEY, (3,)), [-0.03548463061451912, 0.6337261199951172, 0.38244056701660156]),
    "truncated_normal": (
        lambda: random.truncated_normal(KEY, -1.0, 2.0, (3,)),
        [0.14770005643367767, 0.5684449076652527, 0.42102551460266113],
    ),
    "lognormal": (
        lambda: random.lognormal(KEY, 0.5, (3,)), [0.9859473705291748, 1.2630960941314697, 1.159340739250183],
    ),
    "pareto": (lambda: random.pareto(KEY, 2.5, (3,)), [1.3077747821807861, 1.5769935846328735, 1.4668657779693604]),
    "rayleigh": (
        lambda: random.rayleigh(KEY, 2.0, (3,)), [2.3933022022247314, 1.7571814060211182, 1.9678773880004883],
    ),
    "triangular": (
        lambda: random.triangular(KEY, -1.0, 0.5, 2.0, (3,)),
        [0.4829676151275635, 0.7996197938919067, 0.685930609703064],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_recorded_values(name: str) -> None:
    draw, recorded = EXACT[name]
    got = np.asarray(draw())
    np.testing.assert_array_equal(got, np.array(recorded, got.dtype))


@pytest.mark.parametrize("name", ROUNDED)
def test_recorded_values_up_to_rounding(name: str) -> None:
    draw, recorded = ROUNDED[name]
    got = np.asarray(draw())
    rtol = 1e-12 if got.dtype == np.float64 else 2e-6
    np.testing.assert_allclose(got, recorded, rtol=rtol, atol=1e-7 if got.dtype != np.float64 else 0)


# --- Distributions ----------------------------------------------------------------------------------------------------

#: A draw of n numbers in a dtype, and the distribution it must have.
CONTINUOUS: dict[str, tuple[Callable, Any]] = {
    "uniform": (lambda key, n, d: random.uniform(key, (n,), d, -2.0, 3.0), stats.uniform(-2, 5)),
    "normal": (lambda key, n, d: random.normal(key, (n,), d), stats.norm),
    "truncated_normal": (lambda key, n, d: random.truncated_normal(key, -0.5, 2.0, (n,), d), stats.truncnorm(-0.5, 2)),
    "exponential": (lambda key, n, d: random.exponential(key, (n,), d), stats.expon),
    "gumbel": (lambda key, n, d: random.gumbel(key, (n,), d), stats.gumbel_r),
    "gumbel-high": (lambda key, n, d: random.gumbel(key, (n,), d, "high"), stats.gumbel_r),
    "laplace": (lambda key, n, d: random.laplace(key, (n,), d), stats.laplace),
    "logistic": (lambda key, n, d: random.logistic(key, (n,), d), stats.logistic),
    "cauchy": (lambda key, n, d: random.cauchy(key, (n,), d), stats.cauchy),
    "lognormal": (lambda key, n, d: random.lognormal(key, 0.5, (n,), d), stats.lognorm(0.5)),
    "pareto": (lambda key, n, d: random.pareto(key, 2.5, (n,), d), stats.pareto(2.5)),
    "rayleigh": (lambda key, n, d: random.rayleigh(key, 2.0, (n,), d), stats.rayleigh(scale=2)),
    "triangular": (lambda key, n, d: random.triangular(key, -1.0, 0.5, 2.0, (n,), d), stats.triang(0.5, -1, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution(name: str, dtype: str) -> None:
    draw, law = CONTINUOUS[name]
    drawn = draw(random.PRNGKey(2024), 50_000, dtype)
    assert drawn.dtype == dtype
    assert stats.kstest(np.asarray(drawn), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution_of_narrow_dtypes(name: str, dtype: str) -> None:
    draw, law = CONTINUOUS[name]
    drawn = draw(random.PRNGKey(2024), 5_000, dtype)
    assert drawn.dtype == dtypes.canonical_dtype(dtype)
    # No more than the coarse grid of values allows: 128 of them in bfloat16.
    assert stats.kstest(np.asarray(drawn).astype(np.float64), law.cdf).statistic < 0.04


def test_complex_normal_has_independent_parts_of_variance_one_half() -> None:
    z = np.asarray(random.normal(random.PRNGKey(3), (50_000,), "complex128"))
    for part in (z.real, z.imag, (z.real + z.imag) / np.sqrt(2)):
        assert stats.kstest(part * np.sqrt(2), stats.norm.cdf).pvalue > 1e-3


def frequencies_fit(drawn: Any, probabilities: Any) -> bool:
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=len(probabilities))
    probabilities = np.asarray(probabilities, np.float64)
    return stats.chisquare(counts, probabilities * (counts.sum() / probabilities.sum())).pvalue > 1e-3


def test_frequencies() -> None:
    key, n = random.PRNGKey(11), 60_000
    p = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    sixths, logits = np.full(6, 1 / 6), np.log(p)
    assert frequencies_fit(random.randint(key, (n,), 0, 6), sixths)
    assert frequencies_fit(random.randint(key, (n,), 0, 6, "uint8"), sixths)
    assert frequencies_fit(random.choice(key, 6, (n,)), sixths)
    assert frequencies_fit(random.choice(key, 4, (n,), p=3 * p), p)
    assert frequencies_fit(random.categorical(key, logits, shape=(n,)), p)
    assert frequencies_fit(random.categorical(key, logits[:, None], axis=0, shape=(n, 1), mode="high"), p)
    assert frequencies_fit(random.bits(key, (n,), "uint8"), np.full(256, 1 / 256))
    assert frequencies_fit(np.asarray(random.rademacher(key, (n,))) == 1, [0.5, 0.5])
    for mode in ("low", "high"):
        assert frequencies_fit(random.bernoulli(key, 0.3, (n,), mode), [0.7, 0.3])
    geometric = np.minimum(np.asarray(random.geometric(key, 0.25, (n,))), 12)
    assert frequencies_fit(geometric - 1, [0.25 * 0.75**k for k in range(11)] + [0.75**11])


def test_draws_without_replacement_have_the_right_order_of_probabilities() -> None:
    p = np.array([0.5, 0.3, 0.2])
    keys = random.split(random.PRNGKey(1), 30_000)
    logits = np.log(p)
    for draw in (
        lambda key: random.choice(key, 3, (2,), False, p),
        lambda key: random.categorical(key, logits, shape=(2,), replace=False),
    ):
        pairs = np.asarray(vmap(draw)(keys))
        expected = [p[i] * p[j] / (1 - p[i]) if i != j else 0 for i, j in itertools.product(range(3), repeat=2)]
        observed = pairs[:, 0] * 3 + pairs[:, 1]
        possible = [i for i in range(9) if expected[i]]
        assert set(np.unique(observed)) == set(possible)
        assert frequencies_fit(np.searchsorted(possible, observed), [expected[i] for i in possible])


def test_every_permutation_is_equally_likely() -> None:
    orders = np.asarray(vmap(lambda key: random.permutation(key, 4))(random.split(random.PRNGKey(5), 24_000)))
    numbers = {order: number for number, order in enumerate(itertools.permutations(range(4)))}
    assert frequencies_fit([numbers[tuple(order)] for order in orders.tolist()], np.full(24, 1 / 24))


def test_streams_are_independent() -> None:
    a, b = (np.asarray(random.normal(key, (50_000,), "float64")) for key in random.split(KEY).numpy())
    c = np.asarray(random.normal(random.fold_in(KEY, 2**20), (50_000,), "float64"))
    for x, y in itertools.combinations((a, b, c, np.roll(a, 1)), 2):
        assert abs(np.corrcoef(x, y)[0, 1]) < 4 / np.sqrt(50_000)
    words = np.asarray(random.bits(KEY, (50_000,), "uint64"))
    ones = [int(((words >> np.uint64(bit)) & np.uint64(1)).sum()) for bit in range(64)]
    assert stats.chisquare(ones, np.full(64, np.mean(ones))).pvalue > 1e-3
    assert max(abs(count - 25_000) for count in ones) < 5 * np.sqrt(50_000) / 2


# --- Ranges, shapes, dtypes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", dtypes.FLOATS, ids=str)
def test_ranges(dtype: Any) -> None:
    u = np.asarray(random.uniform(KEY, (100_000,), dtype))
    assert u.min() >= 0
    assert u.max() < 1
    steps = u.astype(np.float64) * 2.0 ** dtypes.finfo(dtype).nmant
    assert (steps == np.rint(steps)).all()
    for name in ("normal", "gumbel", "logistic", "cauchy", "laplace", "exponential"):
        assert np.isfinite(np.asarray(getattr(random, name)(KEY, (100_000,), dtype)).astype(np.float64)).all(), name
    assert (np.asarray(random.uniform(KEY, (100,), dtype, 2.0, -1.0)) == 2).all()
    assert np.asarray(random.geometric(KEY, np.array(0.5, dtype), (20_000,))).max() < 30
    low, high = np.array([-1, 0, 3], dtype), np.array([-0.5, 0.25, 3.5], dtype)
    x = np.asarray(random.truncated_normal(KEY, low, high, (10_000, 3), dtype))
    assert ((low < x) & (x < high)).all()


def test_integer_ranges() -> None:
    for dtype in dtypes.INTEGERS:
        info = np.iinfo(dtype)
        drawn = np.asarray(random.randint(KEY, (20_000,), int(info.min), int(info.max), dtype)).astype(np.float64)
        span = float(info.max) - float(info.min)
        assert drawn.min() < info.min + span / 100
        assert drawn.max() > info.max - span / 100
    assert set(np.asarray(random.randint(KEY, (5_000,), 0, 256, "uint8")).tolist()) == set(range(256))
    assert set(np.asarray(random.randint(KEY, (500,), -1, 2)).tolist()) == {-1, 0, 1}
    top = 2**31 - 1
    assert set(np.asarray(random.randint(KEY, (100,), top - 1, top + 1, "int32")).tolist()) == {top - 1, top}
    assert np.asarray(random.randint(KEY, (5,), 9, 3)).tolist() == [9] * 5
    assert np.asarray(random.randint(KEY, (5,), 300, 500, "uint8")).tolist() == [255] * 5
    assert np.asarray(random.randint(KEY, (5,), 2**33, 2**33 + 1, "int64")).tolist() == [2**33] * 5


def test_values_do_not_depend_on_the_shape() -> None:
    flat = np.asarray(random.normal(KEY, (60,)))
    np.testing.assert_array_equal(random.normal(KEY, (3, 4, 5)), flat.reshape(3, 4, 5))
    np.testing.assert_array_equal(random.normal(KEY, 7), flat[:7])
    assert float(random.normal(KEY)) == flat[0]
    long = np.asarray(random.bits(KEY, (100_000,)))
    np.testing.assert_array_equal(random.bits(KEY, (8,)), long[:8])
    np.testing.assert_array_equal(random.bits(KEY, (40_000,)), long[:40_000])


def test_empty_and_scalar_shapes() -> None:
    for name, (draw, _) in CONTINUOUS.items():
        assert draw(KEY, 0, "float32").shape == (0,), name
    assert random.split(KEY, 0).shape == (0, 2)
    assert random.split(KEY, ()).shape == (2,)
    assert random.randint(KEY, (2, 0), 0, 5).shape == (2, 0)
    assert random.permutation(KEY, 0).shape == (0,)
    assert random.permutation(KEY, np.zeros((3, 0)), 1).shape == (3, 0)
    assert random.choice(KEY, 0, (0, 4)).shape == (0, 4)
    assert random.choice(KEY, np.zeros((3, 5)), (0,), axis=1).shape == (3, 0)
    assert random.choice(KEY, 5).shape == ()
    assert random.categorical(KEY, np.zeros(3, np.float32)).shape == ()
    assert random.categorical(KEY, np.zeros((4, 3), np.float32), 0).shape == (3,)
    assert random.truncated_normal(KEY, np.zeros((3, 1)), np.ones(2)).shape == (3, 2)


def test_default_dtypes() -> None:
    assert random.bits(KEY).dtype == np.uint32
    assert (random.uniform(KEY).dtype, random.randint(KEY, (), 0, 5).dtype) == (np.float32, np.int32)
    with config.using(default_float="float64", default_int="int64"):
        assert random.bits(KEY).dtype == np.uint64
        assert (random.normal(KEY).dtype, random.permutation(KEY, 3).dtype) == (np.float64, np.int64)
        assert random.categorical(KEY, np.zeros(3)).dtype == np.int64
    assert random.bernoulli(KEY, np.float64(0.5)).dtype == np.bool_
    for name, (draw, _) in CONTINUOUS.items():
        assert not draw(KEY, 3, "float32").weak_type, name


def test_python_numbers_keep_their_precision() -> None:
    x = np.asarray(random.uniform(KEY, (100,), "float64", 0.1, 0.1 + 1e-12))
    assert 0.1 <= x.min() < x.max() <= 0.1 + 1e-12


def test_permutation_moves_slices() -> None:
    table = np.arange(28).reshape(4, 7)
    columns = np.asarray(random.permutation(KEY, table, axis=1))
    assert sorted(map(tuple, columns.T.tolist())) == sorted(map(tuple, table.T.tolist()))
    mixed = np.asarray(random.permutation(KEY, table, axis=1, independent=True))
    np.testing.assert_array_equal(np.sort(mixed, axis=1), table)
    assert sorted(map(tuple, mixed.T.tolist())) != sorted(map(tuple, table.T.tolist()))


def test_choice_picks_along_the_axis() -> None:
    table = np.arange(28).reshape(4, 7)
    chosen = np.asarray(random.choice(KEY, table, (5,), replace=False, axis=1))
    assert chosen.shape == (4, 5)
    assert len(set(chosen[0].tolist())) == 5
    np.testing.assert_array_equal(chosen - chosen[0], np.arange(4)[:, None] * 7 + np.zeros((4, 5), int))
    assert set(np.asarray(random.choice(KEY, 4, (1000,), p=np.array([0, 1.0, 0, 1.0]))).tolist()) == {1, 3}
    assert np.asarray(random.choice(KEY, 4, (2,), False, np.array([0, 1.0, 0, 1.0]))).tolist() in ([1, 3], [3, 1])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 100])
def test_choice_inverts_the_distribution_function(count: int) -> None:
    # float16 has so few values that the bounds are hit exactly.
    weights = np.random.default_rng(count).integers(0, 3, count).astype(np.float16) + np.float16(count == 1)
    bounds, u = np.cumsum(weights), np.asarray(random.uniform(KEY, (20_000,), "float16"))
    expected = np.searchsorted(bounds, bounds[-1] * (1 - u))
    np.testing.assert_array_equal(random.choice(KEY, count, (20_000,), p=weights), expected)


def test_a_key_may_be_wrapped_or_not() -> None:
    key = random.key(42)
    np.testing.assert_array_equal(random.key_data(key), KEY)
    assert random.wrap_key_data(np.asarray(random.key_data(key)), impl="threefry2x32") == key
    assert random.clone(key) is key
    assert random.key_impl(random.split(key, 3)) == "threefry2x32"


# --- Transformations --------------------------------------------------------------------------------------------------

DRAWS: dict[str, Callable] = {
    **{name: (lambda key, draw=draw: draw(key, 6, "float32")) for name, (draw, _) in CONTINUOUS.items()},
    "split": lambda key: random.split(key, (2, 3)),
    "fold_in": lambda key: random.fold_in(key, 3),
    "bits-8": lambda key: random.bits(key, (3, 2), "uint8"),
    "bits-64": lambda key: random.bits(key, (), "uint64"),
    "uniform-default": lambda key: random.uniform(key, (3, 2)),
    "normal-bfloat16": lambda key: random.normal(key, (5,), "bfloat16"),
    "normal-complex": lambda key: random.normal(key, (2, 2), "complex64"),
    "randint": lambda key: random.randint(key, (3, 2), 0, np.array([10, 1000])),
    "rademacher": lambda key: random.rademacher(key, (4,)),
    "bernoulli": lambda key: random.bernoulli(key, WEIGHTS),
    "bernoulli-high": lambda key: random.bernoulli(key, WEIGHTS, (3, 4), "high"),
    "geometric": lambda key: random.geometric(key, WEIGHTS),
    "permutation": lambda key: random.permutation(key, 7),
    "permutation-axis": lambda key: random.permutation(key, TABLE, 1),
    "permutation-independent": lambda key: random.permutation(key, TABLE, 0, True),
    "choice": lambda key: random.choice(key, TABLE, (4,), axis=1),
    "choice-distinct": lambda key: random.choice(key, TABLE, (2, 2), False, axis=1),
    "choice-weighted": lambda key: random.choice(key, 4, (5,), True, WEIGHTS),
    "choice-weighted-distinct": lambda key: random.choice(key, 4, (3,), False, WEIGHTS),
    "categorical": lambda key: random.categorical(key, np.log(WEIGHTS), shape=(3,)),
    "categorical-distinct": lambda key: random.categorical(key, np.log(WEIGHTS), shape=(3,), replace=False),
}


@pytest.mark.parametrize("name", DRAWS)
def test_jit_and_vmap_over_keys(name: str) -> None:
    draw = DRAWS[name]
    keys = random.split(random.PRNGKey(8), 4)
    looped = [draw(key) for key in keys.numpy()]
    stacked = np.stack([np.asarray(x) for x in looped])
    compiled = jit(draw)(keys.numpy()[0])
    assert compiled.aval == looped[0].aval
    program = jit(draw).trace(keys.numpy()[0])
    assert_as_eager(program, np.asarray(compiled), stacked[0])
    mapped = vmap(draw)(keys)
    assert mapped.dtype == stacked.dtype
    np.testing.assert_array_equal(mapped, stacked)
    last = vmap(draw, in_axes=1, out_axes=-1)(keys.numpy().T)
    np.testing.assert_array_equal(np.moveaxis(np.asarray(last), -1, 0), stacked)
    nested = jit(vmap(vmap(draw)))(keys.numpy().reshape(2, 2, 2))
    assert_as_eager(program, np.asarray(nested).reshape(stacked.shape), stacked)


def test_vmap_over_seeds_data_and_parameters() -> None:
    seeds = np.arange(5)
    np.testing.assert_array_equal(vmap(random.PRNGKey)(seeds), np.stack([random.PRNGKey(int(s)) for s in seeds]))
    np.testing.assert_array_equal(jit(random.PRNGKey)(np.int64(-7)), random.PRNGKey(-7))
    folded = vmap(lambda i: random.fold_in(KEY, i))(seeds)
    np.testing.assert_array_equal(folded, np.stack([random.fold_in(KEY, int(i)) for i in seeds]))
    lows = np.array([-5.0, 0.0, 7.0], np.float32)
    drawn = vmap(lambda low: random.uniform(KEY, (4,), minval=low, maxval=8.0))(lows)
    np.testing.assert_array_equal(
        drawn, np.stack([random.uniform(KEY, (4,), minval=float(low), maxval=8.0) for low in lows])
    )


@pytest.mark.parametrize(
    ("draw", "at"),
    [
        (lambda low, high: random.uniform(KEY, (5,), "float64", low, high), (-1.0, 2.0)),
        (lambda low, high: random.truncated_normal(KEY, low, high, (5,), "float64"), (-0.5, 1.5)),
        (lambda sigma: random.lognormal(KEY, sigma, (5,), "float64"), (0.5,)),
        (lambda b: random.pareto(KEY, b, (5,), "float64"), (2.5,)),
        (lambda scale: random.rayleigh(KEY, scale, (5,), "float64"), (1.5,)),
        (lambda *corners: random.triangular(KEY, *corners, (5,), "float64"), (-1.0, 0.5, 2.0)),
        (lambda a: random.permutation(KEY, a, 1), (np.arange(6.0).reshape(2, 3),)),
        (lambda a: random.choice(KEY, a, (4,), p=np.array([0.2, 0.8])), (np.arange(6.0).reshape(2, 3),)),
    ],
    ids=["uniform", "truncated_normal", "lognormal", "pareto", "rayleigh", "triangular", "permutation", "choice"],
)
def test_derivatives_in_parameters(draw: Callable, at: tuple) -> None:
    check_grads(draw, [np.asarray(x, np.float64) for x in at], order=2)


def test_gradient_of_a_float32_draw() -> None:
    def last(high: Any) -> Any:
        return random.uniform(KEY, (), "float32", 0.0, high)

    slope = grad(last)(np.float32(3.0))
    assert slope.dtype == np.float32
    np.testing.assert_allclose(slope, random.uniform(KEY), rtol=1e-6)


# --- Errors -----------------------------------------------------------------------------------------------------------

TAKES_A_KEY: list[Callable] = [
    random.split, random.bits, random.uniform, random.normal, random.exponential, random.key_data, random.clone,
    lambda key: random.fold_in(key, 1), lambda key: random.permutation(key, 5), lambda key: random.choice(key, 5),
    lambda key: random.randint(key, (), 0, 5), lambda key: random.categorical(key, WEIGHTS), random.wrap_key_data,
]  # fmt: skip


@pytest.mark.parametrize("function", TAKES_A_KEY)
@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        (0, ArgumentTypeError, "got int"),
        ([0, 42], ArgumentTypeError, "got list"),
        (np.array([0, 42], np.int32), DTypeError, r"got i32\[2\]"),
        (np.uint32(7) * np.ones((), np.uint32), NrxError, "a uint32 array of shape"),
        (np.zeros(3, np.uint32), ShapeError, r"\(3,\)"),
    ],
)
def test_bad_keys(function: Callable, key: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        function(key)
    assert "random.key(0)" in str(raised.value)


def test_an_array_of_keys_is_no_key() -> None:
    with pytest.raises(ShapeError, match=r"normal: one key of shape \(2,\) is needed.*\(3, 2\)") as raised:
        random.normal(random.split(KEY, 3))
    assert "vmap" in str(raised.value)


LOGITS = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: random.PRNGKey(1.5), ArgumentTypeError, "the seed must be an integer"),
        (lambda: random.PRNGKey("seed"), ArgumentTypeError, "the seed must be an array or a number"),
        (lambda: random.PRNGKey(2**64), ArgumentError, "does not fit into 64 bits"),
        (lambda: random.PRNGKey(np.arange(3)), ShapeError, "must be a scalar"),
        (lambda: random.PRNGKey(0, impl="rbg"), ArgumentError, "no random number generator 'rbg'"),
        (lambda: random.key(0, dtype="unsafe_rbg"), ArgumentError, "unsafe_rbg"),
        (lambda: random.fold_in(KEY, -1), ArgumentError, r"from 0 to 2\*\*32 - 1, got -1"),
        (lambda: random.fold_in(KEY, 0.5), ArgumentTypeError, "data must be an integer"),
        (lambda: random.split(KEY, -1), ShapeError, "negative"),
        (lambda: random.split(KEY, 1.5), ArgumentTypeError, "a shape is"),
        (lambda: random.bits(KEY, (2**17, 2**16)), ShapeError, r"2\*\*32"),
        (lambda: random.bits(KEY, (2,), "int32"), DTypeError, "unsigned"),
        (lambda: random.uniform(KEY, (2,), "int32"), DTypeError, "uniform: dtype must be one of float16.*int32"),
        (lambda: random.uniform(KEY, (2,), "complex64"), DTypeError, "got complex64"),
        (lambda: random.uniform(KEY, (2,), "float8_e5m2"), DTypeError, "got float8_e5m2"),
        (lambda: random.uniform(KEY, (-2,)), ShapeError, "negative"),
        (lambda: random.uniform(KEY, (2,), minval=np.zeros(3)), ShapeError, r"minval has shape \(3,\)"),
        (lambda: random.uniform(KEY, (2,), maxval=1j), DTypeError, "maxval must be real"),
        (lambda: random.normal(KEY, (2,), "bool"), DTypeError, "complex128"),
        (lambda: random.truncated_normal(KEY, np.zeros(3), np.ones(2)), ShapeError, "broadcast"),
        (lambda: random.gumbel(KEY, (2,), mode="highest"), ArgumentError, "'low' or 'high'"),
        (lambda: random.lognormal(KEY, np.ones((2, 1)), (3,)), ShapeError, "sigma has shape"),
        (lambda: random.randint(KEY, (2,), 0, 5, "float32"), DTypeError, "an integer"),
        (lambda: random.randint(KEY, (2,), 0, 1j), DTypeError, "maxval must be an integer"),
        (lambda: random.randint(KEY, (2,), np.zeros(3, int), 5), ShapeError, "minval has shape"),
        (lambda: random.bernoulli(KEY, 1), DTypeError, "p must be floating"),
        (lambda: random.bernoulli(KEY, 0.5, mode="middle"), ArgumentError, "middle"),
        (lambda: random.rademacher(KEY, (2,), "uint8"), DTypeError, "no -1"),
        (lambda: random.permutation(KEY, 2.5), ArgumentTypeError, "an int is needed"),
        (lambda: random.permutation(KEY, -1), ArgumentError, "negative"),
        (lambda: random.permutation(KEY, TABLE, 2), AxisError, "out of range"),
        (lambda: random.permutation(KEY, [1, 2, 3]), ArgumentTypeError, "list"),
        (lambda: random.choice(KEY, 0, (2,)), ArgumentError, "nothing to choose"),
        (lambda: random.choice(KEY, 3, (4,), replace=False), ArgumentError, "4 draws without replacement from 3"),
        (lambda: random.choice(KEY, 3, (2,), p=np.ones(4)), ShapeError, r"\(4,\)"),
        (lambda: random.choice(KEY, 3, (2,), p=np.array([1.0, -1.0, 1.0])), ArgumentError, "negative or NaN"),
        (lambda: random.choice(KEY, 3, (2,), p=np.array([1.0, np.nan, 1.0])), ArgumentError, "negative or NaN"),
        (lambda: random.choice(KEY, 3, (2,), p=np.zeros(3)), ArgumentError, "only 0 elements of p are positive"),
        (lambda: random.choice(KEY, 3, (2,), False, np.array([1.0, 0, 0])), ArgumentError, "2 draws, but only 1"),
        (lambda: random.categorical(KEY, np.zeros(3, int)), DTypeError, "logits must be floating"),
        (lambda: random.categorical(KEY, LOGITS, shape=(5,)), ShapeError, r"does not broadcast"),
        (lambda: random.categorical(KEY, LOGITS[:1], shape=(5, 4), replace=False), ShapeError, "must end with"),
        (lambda: random.categorical(KEY, LOGITS, shape=(4, 2), replace=False), ArgumentError, "4 draws"),
        (lambda: random.categorical(KEY, LOGITS, axis=2), AxisError, "out of range"),
    ],
)
def test_bad_arguments(call: Callable, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_shape_must_be_static() -> None:
    with pytest.raises(NrxError, match="static"):
        jit(lambda n: random.permutation(KEY, n))(5)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8"])
def test_geometric_without_successes(dtype: str) -> None:
    """More trials than the dtype can count are as many as it can."""
    for draw in (random.geometric, nrx.jit(random.geometric, static_argnames=("dtype",))):
        got = draw(KEY, np.array([0.0, 1e-30, 1.0]), dtype=dtype)
        assert got.tolist() == [np.iinfo(dtype).max, np.iinfo(dtype).max, 1]


def test_choice_of_a_number_has_no_axis() -> None:
    weights = np.ones(5) / 5
    for options in ({}, {"p": weights}, {"p": weights, "replace": False}, {"replace": False}):
        got = random.choice(KEY, 5, (2,), axis=1, **options)
        assert got.tolist() == random.choice(KEY, 5, (2,), **options).tolist()
