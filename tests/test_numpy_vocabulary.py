"""The rest of NumPy's names in nrx.numpy against NumPy: eager, under jit, under vmap, and derivatives.

A case is an expression over `xp` (nrx.numpy or numpy), `np` (for indices) and the operands below.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx.core import errors
from nrx.testing import check_grads

RNG = np.random.default_rng(4)
OPERANDS = {
    "a": RNG.normal(size=(4, 6)),
    "b": RNG.normal(size=(4, 6)),
    "t": RNG.normal(size=(2, 3, 4)),
    "v": RNG.normal(size=7),
    "w": RNG.normal(size=3),
    "u": RNG.uniform(0.5, 1.5, 6),
    "g": np.cumsum(RNG.uniform(0.5, 1, 6)),
    "h": np.cumsum(RNG.uniform(0.5, 1, 6))[::-1],
    "q": RNG.uniform(-1, 7, 30),
    "z": RNG.normal(size=7) + 1j * RNG.normal(size=7),
    "p": RNG.normal(size=(50, 2)),
    "n": np.where(RNG.uniform(size=(3, 4, 5)) < 0.3, np.nan, RNG.normal(size=(3, 4, 5))),
    "i": RNG.integers(-40, 40, 30),
    "j": RNG.integers(-40, 40, 30),
    "k": RNG.integers(0, 6, 20),
    "l": RNG.integers(3, 9, 15),
    "m": RNG.integers(0, 2, (6, 3)),
    "f": np.array([0.0, 1.0, -3.7, 1e-7, 6e4, 5e-324, 1.7e308]),
}
OPERANDS["n"][1, 2] = np.nan

#: Expressions that also run under jit.
TRACED = [
    # NaN left out
    *(f"nan{f}(n, axis={axis})" for f in ("sum", "prod", "max", "min", "mean", "var", "std", "median")
      for axis in (None, 0, -1, (0, 2))),
    *(f"nanquantile(n, np.array([0.1, 0.5, 0.97]), axis=1, method={m!r})"
      for m in ("linear", "lower", "higher", "nearest", "midpoint")),
    "nansum(n, axis=1, keepdims=True)", "nanmedian(n, axis=(0, 2), keepdims=True)", "nanpercentile(n, 30.0)",
    "nancumsum(n, axis=1)", "nancumprod(n)", "nanargmax(n[0], axis=0)", "nanargmin(n[0], axis=0)",
    "nanmax(n, axis=2, initial=0.0)", "nanvar(n, axis=2, ddof=4)", "nansum(i)", "nanmax(i)",
    "percentile(v, 30.0)", "quantile(v, 0.3)", "nanquantile(v, 0.3)",
    # differences, integrals, interpolation
    "diff(a)", "diff(a, 2, 0)", "diff(a, 9)", "diff(a, 0)", "diff(a, 1, 1, 0.0, b[:, :2])", "diff(a > 0)",
    "ediff1d(a, 9.0, 1.0)", "gradient(a, 2.0, axis=0)", "gradient(a, g, axis=1)", "gradient(v, edge_order=2)",
    "gradient(a, g, axis=1, edge_order=2)", "trapezoid(a, g)", "trapezoid(a, dx=0.5, axis=0)",
    "interp(q, g, u)", "interp(g, g, u)", "interp(q, g, u, -1.0, 5.0)", "interp(q, h, u, period=2.5)",
    "unwrap(a * 9, axis=0)", "unwrap(i, period=7)", "cumulative_sum(a, axis=1, include_initial=True)",
    "cumulative_prod(v)",
    *(f"{f}({x}, {y}, {mode!r})" for f in ("convolve", "correlate") for mode in ("full", "same", "valid")
      for x, y in (("v", "w"), ("w", "v"), ("z", "w"), ("w", "z"), ("k", "l"), ("u", "g"))),
    "cov(a)", "cov(v)", "cov(a, b, bias=True)", "cov(a, rowvar=False)", "cov(a, fweights=np.array([1, 2, 1, 3, 1, 1]))",
    "cov(a, aweights=u)", "cov(z.reshape(1, 7))", "corrcoef(a, b)", "corrcoef(v)",
    # polynomials, windows
    "polyval(v, a)", "polyadd(v, w)", "polysub(w, v)", "polymul(v, w)", "polydiv(v, w)[0]", "polyder(v, 2)",
    "polyint(v, 2, np.array([1.0, 2.0]))", "poly(v)", "vander(v, 4)", "vander(w, increasing=True)", "vander(w, 0)",
    "polyfit(g, u, 2)", "polyfit(g, u, 2, w=u)", "polyfit(g, u, 2, cov=True)[1]", "i0(a)", "kaiser(7, 5.0 + 0 * v[0])",
    # counting
    "digitize(q, g)", "digitize(g, g, True)", "digitize(q, g[::-1])", "digitize(g, g[::-1], True)",
    "histogram(v, 5)[0]", "histogram(q, g, density=True)[0]", "histogram(v, 3, weights=abs(v))[0]",
    "histogram(v, 4, (-1.0, 1.0))[1]", "histogram2d(p[:, 0], p[:, 1], bins=4, density=True)[0]",
    "histogramdd(p, [3, 5])[0]",
    # grids and indices
    "mgrid[0:3, 1:5:2]", "r_[v, 0, 1:3]", "r_['0,2', v, v]", "r_['1,2,0', v, v]", "c_[v, v]", "c_[a, a]",
    "unravel_index(k, (3, 4))[0]", "ravel_multi_index((i, j), (3, 4), 'wrap')",
    "ravel_multi_index((i, j), (3, 4), ('clip', 'wrap'), 'F')", "lexsort((i, j))", "lexsort(m, 0)", "lexsort(m)",
    "tril_indices_from(a, 1)[1]", "triu_indices_from(a)[0]",
    # changed copies
    "delete(a, 1, 1)", "delete(a, slice(0, 3, 2), 0)", "delete(v, np.array([0, 2, 2]))", "insert(a, 1, 9.0)",
    "insert(a, 1, u, 0)", "insert(a, np.array([1]), u[None], 0)", "insert(v, np.array([0, 3, 1]), w)",
    "insert(v, slice(0, 3), w)", "insert(v, 7, 5.0)", "insert(v, 3, w)", "resize(a, (3, 11))",
    "choose(m, [a[0, 0], 2.0 * m], mode='clip')", "choose(i, [v[:1], v[1:2], v[2:3]], mode='wrap')",
    "block([[a, b], [b, a]])",
    "block([v, 1.0])", "block([[a, xp.ones((4, 1))], [xp.zeros((1, 7))]])", "sort_complex(z)",
    # mapping
    "apply_along_axis(xp.cumsum, 1, t)", "apply_along_axis(xp.diag, 0, t)", "apply_along_axis(xp.sum, -1, t)",
    "apply_over_axes(xp.sum, t, (0, 2))", "piecewise(v, [v < -1, v > 1], [lambda x: -x, 3.0, lambda x: x * x])",
    # integers and bits
    "gcd(i, j)", "lcm(i, j)", "frexp(f)[0]", "frexp(f)[1]", "ldexp(f, -1060)", "ldexp(f, 3)", "ldexp(f, 2100)",
    "spacing(f)", "packbits(m, 0)", "packbits(m, bitorder='little')", "unpackbits(xp.packbits(m), count=-3)",
    "unpackbits(xp.packbits(m, 0), 0, 10, 'little')", "isin(k, l)", "isin(k, l, invert=True)",
]  # fmt: skip
ROWS = [[0, 0, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]]
#: Expressions whose shapes depend on values: eager only.
KNOWN = [
    *(f"{f}(k, l)" for f in ("union1d", "intersect1d", "setdiff1d", "setxor1d")), "unique(k, True, True, True)[2]",
    "unique(m, axis=0)", "unique_all(n)[0]", "unique_counts(k)[1]", "unique_inverse(k)[1]",
    "bincount(k)", "bincount(k, minlength=9)", "bincount(k, np.arange(20.0))", "histogram(v, 'auto')[1]",
    "trim_zeros(k)", *(f"trim_zeros(np.array({ROWS}), {rest})" for rest in ("'fb'", "'f'", "'b', 0", "axis=(1,)")),
    "trim_zeros(np.zeros((2, 3)), 'f')", "extract(v > 0, v)", "compress(np.array([True, False]), a, 1)",
    "intersect1d(k, l, False, True)[1]",
    "delete(k, np.array([True] * 3 + [False] * 17))", "ix_(np.array([0, 1]), np.array([True, False, True]))[1]",
    "mask_indices(3, xp.triu, 1)[0]", "mgrid[0:1:5j]", "ogrid[0:3, 1:5:2][1]", "bartlett(7)", "blackman(7)",
    "bartlett(-1)", "hamming(1)", "hanning(0)", "kaiser(7, 5.0)",
    "diag_indices_from(np.ones((3, 3)))[1]", "polymul(w, v)", "choose(m, [k[0], k[1]])",
]  # fmt: skip


def _evaluate(case: str, xp: Any, operands: dict) -> Any:
    return eval(f"xp.{case}", {"xp": xp, "np": np, **operands})


def _names(case: str) -> list[str]:
    code = compile(case, case, "eval")
    return [name for name in code.co_names if name in OPERANDS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", TRACED + KNOWN)
def test_values(case: str) -> None:
    expected = np.asarray(_evaluate(case, np, OPERANDS))
    rtol = 1e-6 if expected.dtype.kind == "f" and not _names(case) else 1e-9
    got = _evaluate(case, jnp, {name: jnp.asarray(x) for name, x in OPERANDS.items()})
    assert got.shape == expected.shape
    assert_same(got, expected, rtol=rtol, atol=rtol * 1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", TRACED)
def test_compiled_values(case: str) -> None:
    names = _names(case)
    run = nrx.jit(lambda *args: _evaluate(case, jnp, {**OPERANDS, **dict(zip(names, args, strict=True))}))
    assert_same(run(*(OPERANDS[name] for name in names)), _evaluate(case, np, OPERANDS), rtol=1e-9, atol=1e-12)


SMOOTH = [
    "diff(a, 2)", "gradient(a, g, axis=1, edge_order=2)", "trapezoid(a, g)", "interp(u, g, b[0])", "unwrap(a, axis=0)",
    "convolve(v, w)", "correlate(w, v, 'full')", "cov(a)", "corrcoef(a)", "polyval(v, w)", "polymul(v, w)",
    "polydiv(v, w)[1]", "polyder(v)", "polyint(v)", "vander(w, 4)", "i0(u)", "kaiser(5, u[0])", "nanvar(n, axis=2)",
    "nanmax(n[0], axis=1)", "nanquantile(n[0], 0.3, axis=1)", "insert(v, 1, w[0])", "delete(v, 2)", "resize(w, (2, 4))",
    "block([[a], [b]])", "ldexp(v, 3)", "frexp(v)[0]", "apply_along_axis(xp.cumsum, 1, t)",
    "put(v, k[:2], w, inplace=False)",
    "fill_diagonal(a, w, inplace=False)", "vectorize(lambda x, y: x * y)(a, u)", "histogram(u, 3, weights=g)[0]",
]  # fmt: skip


@pytest.mark.parametrize("case", SMOOTH)
def test_derivatives(case: str) -> None:
    names = _names(case)
    names = [name for name in names if OPERANDS[name].dtype == np.float64 and not (name == "u" and "weights" in case)]
    values = [np.where(np.isnan(x), 0.1 * RNG.normal(size=x.shape), x) for x in map(OPERANDS.__getitem__, names)]

    def function(*args: Any) -> Any:
        return _evaluate(case, jnp, {**OPERANDS, **dict(zip(names, args, strict=True))})

    check_grads(function, values, order=2, rtol=1e-3, atol=1e-3)


def test_second_derivatives_of_hypot() -> None:
    for a, b in ((1.0, 0.0), (0.0, -2.0), (3.0, 4.0), (2.0, -2.0), (1.0, 1e-9), (-1e-9, 1.0)):
        r = np.hypot(a, b)
        expected = np.array([[b * b, -a * b], [-a * b, a * a]]) / r**3
        for hessian in (nrx.hessian(lambda v: jnp.hypot(*v)), nrx.jacrev(nrx.jacrev(lambda v: jnp.hypot(*v)))):
            np.testing.assert_allclose(hessian(np.array([a, b])), expected, rtol=1e-12, atol=1e-30)
    assert nrx.grad(lambda v: jnp.hypot(*v))(np.zeros(2)).tolist() == [0, 0]


def test_gradients_pass_by_nan() -> None:
    gradient = nrx.grad(lambda x: jnp.nansum(x**2) + jnp.nanmean(x))(jnp.array([1.0, np.nan, 3.0]))
    assert gradient.tolist() == [2.5, 0.0, 6.5]


@pytest.mark.parametrize("name", ["gcd", "convolve", "digitize", "isin", "polyval", "interp"])
def test_batched(name: str) -> None:
    function: Callable = getattr(jnp, name)
    x, y = RNG.integers(1, 9, (3, 5)), np.sort(RNG.integers(1, 9, (3, 5)), 1)
    extra = (RNG.normal(size=5),) if name == "interp" else ()
    rows = [getattr(np, name)(a, b, *extra) for a, b in zip(x, y, strict=True)]
    assert_same(nrx.vmap(lambda a, b: function(a, b, *extra))(x, y), np.stack(rows), rtol=1e-6)


@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
def test_sets_of_a_size(name: str) -> None:
    k, ell = OPERANDS["k"], OPERANDS["l"]
    expected = getattr(np, name)(k, ell)
    full = nrx.jit(lambda x, y: getattr(jnp, name)(x, y, size=12, fill_value=-1))(k, ell)
    assert full.tolist() == [*expected, *[-1] * (12 - len(expected))]
    assert nrx.jit(lambda x, y: getattr(jnp, name)(x, y, size=2))(k, ell).tolist() == expected[:2].tolist()
    with pytest.raises(errors.ArgumentTypeError, match="size=n"):
        nrx.jit(getattr(jnp, name))(k, ell)


SETS = {
    "unique": lambda xp, x, y: xp.unique(x),
    "unique with counts": lambda xp, x, y: xp.unique(x, return_counts=True)[0],
    "rows": lambda xp, x, y: xp.unique(x.reshape(3, 2), axis=0),
    "union1d": lambda xp, x, y: xp.union1d(x, y),
    "intersect1d": lambda xp, x, y: xp.intersect1d(x, y),
    "intersect1d with indices": lambda xp, x, y: xp.intersect1d(x, y, return_indices=True)[0],
    "setdiff1d": lambda xp, x, y: xp.setdiff1d(x, y),
    "setdiff1d in order": lambda xp, x, y: xp.setdiff1d(x, y, assume_unique=True),
    "setxor1d": lambda xp, x, y: xp.setxor1d(x, y),
    "trim_zeros": lambda xp, x, y: xp.trim_zeros(x),
}


@pytest.mark.parametrize("name", SETS)
def test_derivatives_of_distinct_elements(name: str) -> None:
    """What comes out are elements of the operand: each passes its derivative to that element, and nothing to others."""
    x, y = np.array([3.0, 0.5, -1.0, 2.0, 7.0, 0.0]), np.array([0.0, 2.0, 5.0])
    out = SETS[name](np, x, y)
    weights = np.arange(1.0, out.size + 1).reshape(out.shape)
    loss = lambda x: (weights * jnp.sin(SETS[name](jnp, x, y))).sum()
    share = np.array([(weights * (out == v)).sum() for v in x])
    assert share.any()
    np.testing.assert_allclose(nrx.grad(loss)(x), share * np.cos(x))
    np.testing.assert_allclose(nrx.grad(lambda x: nrx.grad(loss)(x).sum())(x), -share * np.sin(x))
    np.testing.assert_allclose(nrx.jvp(loss, (x,), (np.ones(6),))[1], (share * np.cos(x)).sum())


def test_derivatives_of_equal_elements_go_to_the_first() -> None:
    x = np.array([3.0, np.nan, 3.0, 1.0, np.nan])
    weights = np.array([1.0, 10.0, 100.0])
    for values in (x, x.astype("float32"), jnp.asarray(x).astype("bfloat16")):
        gradient = nrx.grad(lambda x: (weights * jnp.unique(x)).sum().astype(float))(values)
        assert gradient.tolist() == [10, 100, 0, 1, 0]
    assert nrx.grad(lambda x: jnp.setdiff1d(x, 1.0, assume_unique=True)[2])(x).tolist() == [1, 0, 0, 0, 0]
    assert nrx.grad(lambda x: jnp.unique(jnp.array([]) * x).sum())(2.0) == 0
    with pytest.raises(errors.ArgumentTypeError, match="outside of jit"):
        nrx.grad(nrx.jit(lambda x: jnp.unique(x).sum()))(x)
    with pytest.raises(errors.ArgumentTypeError, match="size"):
        nrx.vmap(nrx.grad(lambda x: jnp.setxor1d(x, x).sum()))(x[None])


def test_derivatives_of_polynomials_without_their_zeros() -> None:
    p, q = np.array([0.0, 2.0, 3.0]), np.array([0.0, 1.0, 4.0])
    product = lambda p: jnp.polymul(p, q, trim_leading_zeros=True)
    np.testing.assert_array_equal(nrx.jacobian(product)(p), [[0, 1, 0], [0, 4, 1], [0, 0, 4]])
    rest = lambda p: jnp.polydiv(p, q[1:], trim_leading_zeros=True)[1]
    np.testing.assert_array_equal(nrx.jacobian(rest)(p), [[16, -4, 1]])
    roots = nrx.jacobian(lambda p: jnp.sort(jnp.roots(p).real))(np.array([0.0, 1.0, -1.0, -2.0]))
    np.testing.assert_allclose(roots[:, 1:], [[1 / 3, -1 / 3, 1 / 3], [-4 / 3, -2 / 3, -1 / 3]], rtol=1e-12)


def test_unique_of_a_size() -> None:
    k = OPERANDS["k"]
    values, first, inverse, counts = np.unique(k, True, True, True)
    got = nrx.jit(lambda x: jnp.unique(x, True, True, True, size=8, fill_value=-1))(k)
    missing = 8 - len(values)
    assert got[0].tolist() == [*values, *[-1] * missing]
    assert got[1].tolist() == [*first, *[first[0]] * missing]
    assert got[2].tolist() == inverse.tolist()
    assert got[3].tolist() == [*counts, *[0] * missing]
    rows, counts = np.unique(OPERANDS["m"], return_counts=True, axis=0)
    sized = jnp.unique(OPERANDS["m"], return_counts=True, axis=0, size=len(rows))
    assert sized[0].tolist() == rows.tolist()
    assert sized[1].tolist() == counts.tolist()
    assert jnp.unique(jnp.zeros(0), size=2, fill_value=3).tolist() == [3, 3]
    assert jnp.unique(jnp.array([np.nan, 1.0, np.nan]), size=2).tolist()[0] == 1


def test_sizes_under_jit() -> None:
    v, k = OPERANDS["v"], OPERANDS["k"]
    assert nrx.jit(lambda x: jnp.bincount(x, length=4))(k).tolist() == np.bincount(k)[:4].tolist()
    found = nrx.jit(lambda x: jnp.extract(x > 0, x, size=9, fill_value=7))(v)
    assert found.tolist() == [*v[v > 0], *[7] * (9 - (v > 0).sum())]
    assert nrx.jit(lambda x, i: jnp.delete(x, i))(v, 2).tolist() == np.delete(v, 2).tolist()
    places = np.array([5, -7])
    deleted = nrx.jit(lambda x, i: jnp.delete(x, i, assume_unique_indices=True))(v, places)
    assert deleted.tolist() == np.delete(v, places).tolist()


def test_replacing() -> None:
    a = OPERANDS["a"]
    for function, args in (
        ("place", (a > 0, np.array([7.0, 8, 9]))),
        ("put", (np.array([0, -1, 2]), np.array([7.0, 8]))),
        ("put_along_axis", (np.array([[2], [0], [1], [5]]), 9.0, 1)),
        ("fill_diagonal", (np.array([1.0, 2]),)),
    ):
        expected = a.copy()
        getattr(np, function)(expected, *args)
        assert getattr(jnp, function)(a, *args, inplace=False).tolist() == expected.tolist()
        with pytest.raises(errors.ImmutableError):
            getattr(jnp, function)(a, *args)


def test_vectorize() -> None:
    t = OPERANDS["t"]
    product = jnp.vectorize(jnp.dot, signature="(n,m),(m)->(n)")
    assert_same(product(t[:, None], t[None, :, 0]), np.einsum("bnm,cm->bcn", t, t[:, 0]))
    plus = jnp.vectorize(lambda x, y, n: x + y * n, excluded={2})
    assert_same(plus(t, t[:, :1], 3), t + 3 * t[:, :1])
    with pytest.raises(errors.ShapeError, match="'m'"):
        product(t, np.ones(3))
    with pytest.raises(errors.ArgumentError, match="not a signature"):
        jnp.vectorize(jnp.dot, signature="n->m")


def test_roots() -> None:
    p = np.array([0, 0, 1.0, 1, -2, 3, 0])
    assert_same(np.sort_complex(np.asarray(jnp.roots(p))), np.sort_complex(np.roots(p)), rtol=1e-9, atol=1e-12)
    assert jnp.roots(jnp.zeros(3)).shape == (0,)


@pytest.mark.filterwarnings("ignore:overflow encountered in ldexp")
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_mantissas_and_exponents(dtype: type) -> None:
    info = np.finfo(dtype)
    x = np.array([0, 1, -3.7, np.inf, np.nan, info.smallest_subnormal * 3, info.max], dtype)
    mantissa, exponent = jnp.frexp(x)
    expected, power = np.frexp(x)
    np.testing.assert_array_equal(mantissa, expected)
    assert exponent.tolist() == np.where(np.isfinite(x), power, 0).tolist()
    for n in (-30, -9, 5):
        np.testing.assert_array_equal(jnp.ldexp(x, n), np.ldexp(x, n))


MISTAKES = [
    ("diff(a, -1)", errors.ArgumentError), ("gradient(a, 1.0, 2.0, 3.0)", errors.ArgumentError),
    ("gradient(a[:, :1], axis=1)", errors.ShapeError), ("interp(q, g, w)", errors.ShapeError),
    ("convolve(a, v)", errors.ShapeError), ("convolve(v, w, 'all')", errors.ArgumentError),
    ("cov(t)", errors.ShapeError), ("polyder(v, -1)", errors.ArgumentError),
    ("bincount(i)", errors.ArgumentError), ("bincount(v)", errors.DTypeError),
    ("histogram(v, 0)", errors.ArgumentError),
    ("ravel_multi_index((i, j), (3, 4))", errors.IndexingError), ("delete(v, 9)", errors.IndexingError),
    ("insert(v, 9, 1.0)", errors.IndexingError), ("choose(i, [v[0]])", errors.IndexingError),
    ("block([v, [w]])", errors.ArgumentError), ("partition(v, 7)", errors.IndexingError),
    ("gcd(v, w)", errors.DTypeError), ("packbits(v)", errors.DTypeError),
    ("nanquantile(v, 0.5, method='x')", errors.ArgumentError), ("cumulative_sum(a)", errors.ArgumentError),
    ("trim_zeros(a, axis=2)", errors.AxisError), ("argsort(a, dtype=float)", errors.DTypeError),
    ("r_['x', v]", errors.ArgumentError), ("ldexp(v, v)", errors.DTypeError),
    ("put_along_axis(a, i, 0, 1, inplace=False)", errors.ShapeError),
    ("piecewise(v, [v > 0], [])", errors.ArgumentError),
    ("nansum(v, out=v)", errors.ArgumentError),
]  # fmt: skip


@pytest.mark.parametrize(("case", "error"), MISTAKES)
def test_mistakes(case: str, error: type) -> None:
    with pytest.raises(error):
        _evaluate(case, jnp, OPERANDS)


def test_default_dtypes_have_names() -> None:
    assert jnp.int_ == jnp.dtype(int)
    assert jnp.uint == "uint32"
    with nrx.config.using(default_int="int64"):
        assert jnp.int_ == "int64"
        assert jnp.uint == "uint64"


def test_array_api() -> None:
    info = jnp.ones(3).__array_namespace__().__array_namespace_info__()
    assert jnp.__array_api_version__ == "2024.12"
    assert set(info.dtypes(kind=("bool", "complex floating"))) == {"bool", "complex64", "complex128"}
    assert info.default_dtypes()["real floating"] == jnp.ones(3).dtype
    assert info.default_device() in info.devices()
    with pytest.raises(errors.ArgumentError, match="unknown kind"):
        info.dtypes(kind="text")


def test_dtypes_of_positions() -> None:
    x, at = np.array([3.0, 1.0, 2.0]), (np.array([100, 1], "int8"), np.array([3, 50], "int8"))
    for dtype in ("int64", "uint8"):
        got = jnp.argsort(x, dtype=dtype, descending=True)
        assert (got.dtype, got.tolist()) == (dtype, [0, 2, 1])
    assert jnp.ravel_multi_index(at, (200, 60)).tolist() == np.ravel_multi_index(at, (200, 60)).tolist()
    wide = jnp.ravel_multi_index(at, (200, 60), dtype="int64")
    assert (wide.dtype, wide.tolist()) == ("int64", np.ravel_multi_index(at, (200, 60)).tolist())
    ignoring = nrx.jit(lambda *i: jnp.ravel_multi_index(i, (200, 60), "ignore", dtype="int32"))
    assert ignoring(*at).tolist() == wide.tolist()
