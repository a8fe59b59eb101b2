"""Random calls of nrx.numpy against NumPy, eager and jitted: einsum, reductions, reshaping.

NumPy computes in double precision from the same numbers. Indexing is in test_indexing.py.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ShapeError

#: How many examples run eagerly, and how many jitted, where each is compiled.
RUNS = [
    pytest.param(False, 500, id="eager"),
    pytest.param(True, 60, id="jit"),
    pytest.param(True, 500, id="jit-many", marks=pytest.mark.slow),
]


def randomly(check: Callable[[Any, bool], None], jitted: bool, examples: int) -> None:
    """Run `check(data, jitted)` with random data."""

    @settings(max_examples=examples, deadline=None)
    @given(st.data())
    def run(data: Any) -> None:
        with np.errstate(all="ignore"):
            check(data, jitted)

    run()


def called(function: Callable, args: Any, jitted: bool) -> list[np.ndarray]:
    """The results of a function of a list of arrays."""
    out = (nrx.jit(function) if jitted else function)([jnp.asarray(x) for x in args])
    outs = out if isinstance(out, list | tuple) else [out]
    for x in outs:
        assert isinstance(x, nrx.Array)
        assert not x.weak_type
    return [np.asarray(x) for x in outs]


def shapes(least: int = 0, most: int = 4, lengths: tuple[int, ...] = (0, 1, 2, 3, 4, 3, 2)) -> Any:
    return st.lists(st.sampled_from(lengths), min_size=least, max_size=most).map(tuple)


def drawn(data: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Small numbers, of which sums and products are exact in every dtype, or nearly."""
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    values = rng.integers(-2 if np.dtype(dtype).kind != "u" else 0, 3, shape)
    if dtype == "bool":
        return values > 0
    if np.dtype(dtype).kind == "c":
        return (values + 1j * rng.integers(-2, 3, shape)).astype(dtype)
    return np.asarray(values + 0.25 * rng.integers(0, 3, shape)).astype(dtype)


def doubled(x: np.ndarray) -> np.ndarray:
    """Floating and complex numbers in double precision."""
    return x.astype({"f": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype))


# --- Reductions -------------------------------------------------------------------------------------------------------

DTYPES = (
    "float32", "float64", "float16", "complex64", "complex128", "int8", "int32", "int64", "uint8", "uint32", "bool",
)  # fmt: skip
WITH_WHERE = {
    "sum", "prod", "mean", "var", "std", "max", "min", "all", "any", "nansum", "nanprod", "nanmean", "nanvar",
    "nanstd", "nanmax", "nanmin",
}  # fmt: skip
OF_RANKS = {"median", "nanmedian", "quantile", "percentile", "nanquantile", "nanpercentile"}
SEVERAL = sorted({*WITH_WHERE, *OF_RANKS, "ptp", "count_nonzero", "average"})
ONE = ["argmax", "argmin", "nanargmax", "nanargmin", "cumsum", "cumprod", "nancumsum", "nancumprod"]
REAL = re.compile("arg|max|min|ptp|median|quantile|percentile")
WITH_INITIAL = {"sum", "prod", "max", "min", "nansum", "nanprod", "nanmax", "nanmin"}
WITH_DTYPE = {"sum", "prod", "mean", "cumsum", "cumprod", "nansum", "nanprod", "nanmean", "var", "std"}


def some_axes(data: Any, ndim: int, several: bool) -> Any:
    """None, an axis, or a tuple of axes."""
    if not ndim or data.draw(st.booleans()):
        return None
    axes = data.draw(st.lists(st.integers(0, ndim - 1), unique=True, min_size=0 if several else 1, max_size=ndim))
    axes = [axis - ndim * data.draw(st.booleans()) for axis in axes]
    return axes[0] if not several or (len(axes) == 1 and data.draw(st.booleans())) else tuple(axes)


def options_of(data: Any, name: str, x: np.ndarray) -> dict[str, Any]:
    """Random keywords of a reduction."""
    options: dict[str, Any] = {}
    axis = some_axes(data, x.ndim, name in SEVERAL)
    if axis is not None or name == "average" or data.draw(st.booleans()):
        options["axis"] = axis
    if not name.endswith(("cumsum", "cumprod")):
        options["keepdims"] = data.draw(st.booleans())
    if name in WITH_WHERE and data.draw(st.booleans()):
        cut = data.draw(st.integers(0, x.ndim))
        shape = tuple(data.draw(st.sampled_from([1, n])) for n in x.shape[cut:])
        options["where"] = np.random.default_rng(data.draw(st.integers(0, 99))).random(shape) < 0.6
    extremum = name.endswith(("max", "min"))
    if name in WITH_INITIAL and ((extremum and "where" in options) or data.draw(st.booleans())):
        options["initial"] = data.draw(st.integers(0, 3))
    if name in WITH_DTYPE and x.dtype.kind in "fiu" and data.draw(st.integers(0, 3)) == 0:
        options["dtype"] = data.draw(st.sampled_from(["float32", "float64"]))
    if re.search("var|std", name):
        options["ddof"] = data.draw(st.sampled_from([0, 1, 2, 0.5]))
    if name == "average" and data.draw(st.booleans()):
        options["weights"] = np.abs(drawn(data, x.shape, "float32")) + 0.5
    return options


def check_reduction(data: Any, jitted: bool) -> None:
    name = data.draw(st.sampled_from(SEVERAL + ONE))
    dtype = data.draw(st.sampled_from([d for d in DTYPES if not (REAL.search(name) and "complex" in d)]))
    if dtype == "bool" and re.search("ptp|quantile|percentile", name):
        dtype = "int8"  # NumPy has no difference of booleans
    of_ranks = name in OF_RANKS  # which are errors along empty axes
    x = drawn(data, data.draw(shapes(lengths=(1, 2, 3, 4)) if of_ranks else shapes()), dtype)
    if name.startswith("nan") and x.dtype.kind in "fc":
        gone = np.random.default_rng(data.draw(st.integers(0, 99))).random(x.shape) < 0.25
        x = np.where(gone, x.dtype.type(np.nan), x)
    options, extra = options_of(data, name, x), ()
    if "quantile" in name or "percentile" in name:
        whole = 100 if "percentile" in name else 1
        extra = (np.array(data.draw(st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), max_size=2))) * whole,)
        options["method"] = data.draw(st.sampled_from(["linear", "lower", "higher", "midpoint", "nearest"]))
    wide = {**options, "dtype": "float64"} if "dtype" in options else options
    try:
        expected = np.asarray(getattr(np, name)(doubled(x), *extra, **wide))
    except ZeroDivisionError:  # an average of nothing, which is NaN here, or has no elements
        return
    except (ValueError, IndexError) as error:  # nothing to reduce
        if "All-NaN" in str(error):
            return  # -1 here, since an error would depend on values
        with pytest.raises((ShapeError, ArgumentError)):
            called(lambda args: getattr(jnp, name)(*args, **options), [x, *extra], jitted)
        return
    (out,) = called(lambda args: getattr(jnp, name)(*args, **options), [x, *extra], jitted)
    if "dtype" in options:
        assert out.dtype == options["dtype"]
    else:
        assert out.dtype.kind == ("f" if of_ranks else expected.dtype.kind)
    half = x.dtype == np.float16 and "dtype" not in options
    expected = expected.astype(np.complex128) if out.dtype.kind == "c" else expected
    rtol = 4e-3 if half else 1e-12 if out.dtype in (np.float64, np.complex128) else 2e-5
    if out.dtype.kind in "iu":
        expected = expected.astype(out.dtype)  # sums of narrow integers wrap at another width
    np.testing.assert_allclose(out, expected, rtol=rtol, atol=rtol, strict=out.dtype == expected.dtype)
    assert out.shape == expected.shape


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy's
@pytest.mark.parametrize(("jitted", "examples"), RUNS)
def test_reductions(jitted: bool, examples: int) -> None:
    randomly(check_reduction, jitted, examples)


# --- Einsum -----------------------------------------------------------------------------------------------------------


def check_einsum(data: Any, jitted: bool) -> None:
    dtype = data.draw(st.sampled_from(["float64", "float32", "complex128", "int32"]))
    labels = "abcdeXY"[: data.draw(st.integers(1, 7))]
    lengths = {label: data.draw(st.sampled_from([0, 1, 2, 3, 2, 3])) for label in labels}
    ellipsis = data.draw(shapes(most=2, lengths=(1, 2, 3)))
    inputs, arrays = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        term = data.draw(st.lists(st.sampled_from(labels), max_size=3, unique=data.draw(st.booleans())))
        shape = [lengths[c] for c in term]
        if data.draw(st.booleans()):
            place = data.draw(st.integers(0, len(term)))
            own = ellipsis[data.draw(st.integers(0, len(ellipsis))) :]
            shape[place:place] = [data.draw(st.sampled_from([n, 1])) for n in own]
            term.insert(place, "...")
        inputs.append("".join(term))
        arrays.append(drawn(data, tuple(shape), dtype))
    named = sorted(set("".join(inputs)) - {"."})
    text = ",".join(inputs)
    if data.draw(st.booleans()):
        out = data.draw(st.lists(st.sampled_from(named), unique=True)) if named else []
        out.insert(data.draw(st.integers(0, len(out))), "..." if "..." in text else "")
        text += "->" + "".join(out)
    expected = np.einsum(text, *map(doubled, arrays))
    optimize = data.draw(st.sampled_from([True, False, "optimal", "greedy", "auto"]))
    if data.draw(st.booleans()):
        optimize = np.einsum_path(text, *arrays, optimize="greedy")[0]
    (out,) = called(lambda args: jnp.einsum(text, *args, optimize=optimize), arrays, jitted)
    assert out.dtype == arrays[0].dtype
    assert out.shape == np.shape(expected)
    np.testing.assert_allclose(out, expected, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-5)


@pytest.mark.parametrize(("jitted", "examples"), RUNS)
def test_einsum(jitted: bool, examples: int) -> None:
    randomly(check_einsum, jitted, examples)


# --- Reshaping --------------------------------------------------------------------------------------------------------


def _reshape(data: Any, x: np.ndarray) -> tuple:
    kept = [n for n in x.shape if n != 1]
    shape = list(data.draw(st.permutations(kept)))
    for _ in range(data.draw(st.integers(0, 2))):
        shape.insert(data.draw(st.integers(0, len(shape))), 1)
    if shape and 0 not in shape and data.draw(st.booleans()):
        shape[data.draw(st.integers(0, len(shape) - 1))] = -1
    return "reshape", (tuple(shape),), {"order": data.draw(st.sampled_from("CFA"))}


def _axis(data: Any, ndim: int) -> int:
    return data.draw(st.integers(-ndim, ndim - 1))


def _axes(data: Any, ndim: int) -> tuple[int, ...]:
    axes = data.draw(st.lists(st.integers(0, ndim - 1), unique=True, max_size=ndim)) if ndim else []
    return tuple(axis - ndim * data.draw(st.booleans()) for axis in axes)


def _moved(data: Any, x: np.ndarray) -> tuple:
    source, count = _axes(data, x.ndim), x.ndim
    return "moveaxis", (source, tuple(data.draw(st.permutations(range(count)))[: len(source)])), {}


def _widths(data: Any, ndim: int, most: int) -> Any:
    width = st.integers(0, most)
    kind = data.draw(st.sampled_from(["one", "pair", "each"] if ndim else ["one"]))
    if kind == "one":
        return data.draw(width)
    if kind == "pair":
        return (data.draw(width), data.draw(width))
    return tuple((data.draw(width), data.draw(width)) for _ in range(ndim))


def _pad(data: Any, x: np.ndarray) -> tuple:
    modes = ["constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp", "maximum", "minimum", "mean"]
    modes += ["empty"] + ["median"] * (x.dtype.kind != "c")
    mode, options = data.draw(st.sampled_from(modes)), {}
    widths = _widths(data, x.ndim, 5)
    if mode == "constant" and data.draw(st.booleans()):
        options["constant_values"] = _widths(data, x.ndim, 3)
    if mode == "linear_ramp" and data.draw(st.booleans()):
        options["end_values"] = _widths(data, x.ndim, 3)
    if mode in ("reflect", "symmetric") and data.draw(st.booleans()):
        options["reflect_type"] = data.draw(st.sampled_from(["even", "odd"]))
    if mode in ("maximum", "minimum", "mean", "median") and data.draw(st.booleans()):
        options["stat_length"] = data.draw(st.integers(1, 4))
    return "pad", (widths, mode), options


def _roll(data: Any, x: np.ndarray) -> tuple:
    shift = st.integers(-7, 7)
    axes = _axes(data, x.ndim)
    if not axes or data.draw(st.booleans()):
        return "roll", (data.draw(shift),), {}
    if len(axes) == 1 or data.draw(st.booleans()):
        return "roll", (data.draw(shift), axes), {}
    return "roll", (tuple(data.draw(shift) for _ in axes), axes), {}


def _repeat(data: Any, x: np.ndarray) -> tuple:
    axis = _axis(data, x.ndim) if x.ndim and data.draw(st.booleans()) else None
    length = x.size if axis is None else x.shape[axis]
    count = st.integers(0, 3)
    if data.draw(st.booleans()):
        return "repeat", (data.draw(count),), {"axis": axis}
    return "repeat", (np.array([data.draw(count) for _ in range(length)], int),), {"axis": axis}


def _split(data: Any, x: np.ndarray) -> tuple:
    axis = _axis(data, x.ndim)
    if data.draw(st.booleans()):
        return "array_split", (data.draw(st.integers(1, 4)),), {"axis": axis}
    return "split", (sorted(data.draw(st.lists(st.integers(0, 5), max_size=3))),), {"axis": axis}


def _broadcast_to(data: Any, x: np.ndarray) -> tuple:
    new = data.draw(shapes(most=2))
    return "broadcast_to", (new + tuple(data.draw(st.sampled_from([0, 2, 3])) if n == 1 else n for n in x.shape),), {}


def _expand(data: Any, x: np.ndarray) -> tuple:
    count = x.ndim + data.draw(st.integers(1, 2))
    axes = data.draw(st.permutations(range(count)))[: count - x.ndim]
    return "expand_dims", (tuple(axis - count * data.draw(st.booleans()) for axis in axes),), {}


def _squeeze(data: Any, x: np.ndarray) -> tuple:
    ones = [i for i, n in enumerate(x.shape) if n == 1]
    if not ones or data.draw(st.booleans()):
        return "squeeze", (), {}
    return "squeeze", (tuple(data.draw(st.lists(st.sampled_from(ones), unique=True))),), {}


def _optional_axes(name: str) -> Callable:
    def make(data: Any, x: np.ndarray) -> tuple:
        return name, (data.draw(st.sampled_from([None, _axes(data, x.ndim)])),), {}

    return make


CALLS: list[Callable] = [
    _reshape,
    _moved,
    _pad,
    _pad,
    _roll,
    _repeat,
    _broadcast_to,
    _expand,
    _squeeze,
    _optional_axes("flip"),
    lambda data, x: ("transpose", (data.draw(st.sampled_from([None, data.draw(st.permutations(range(x.ndim)))])),), {}),
    lambda data, x: ("ravel", (), {"order": data.draw(st.sampled_from("CFA"))}),
    lambda data, x: ("tile", (data.draw(shapes(most=3, lengths=(0, 1, 2, 3))),), {}),
]
WITH_AXES: list[Callable] = [
    _split,
    lambda data, x: ("swapaxes", (_axis(data, x.ndim), _axis(data, x.ndim)), {}),
    lambda data, x: ("rollaxis", (_axis(data, x.ndim), data.draw(st.integers(-x.ndim, x.ndim))), {}),
]
PLANES: list[Callable] = [
    lambda data, x: ("rot90", (data.draw(st.integers(-5, 5)), data.draw(st.permutations(range(x.ndim)))[:2]), {}),
]


def check_reshaping(data: Any, jitted: bool) -> None:
    x = drawn(data, data.draw(shapes()), data.draw(st.sampled_from(DTYPES)))
    choices = CALLS + WITH_AXES * (x.ndim > 0) + PLANES * (x.ndim > 1)
    name, args, options = data.draw(st.sampled_from(choices))(data, x)
    if name == "pad" and x.dtype == bool:
        x = x.astype("int8")  # NumPy does arithmetic with it
    try:
        expected = getattr(np, name)(x, *args, **options)
    except (ValueError, IndexError):
        with pytest.raises((ShapeError, ArgumentError)):
            called(lambda given: getattr(jnp, name)(*given, *args, **options), [x], jitted)
        return
    got = called(lambda given: getattr(jnp, name)(*given, *args, **options), [x], jitted)
    rtol = 2e-3 if x.dtype == np.float16 else 1e-6
    # A ramp comes near 0 by steps that are as far off as its largest element allows.
    atol = rtol * np.abs(expected).max(initial=0) if name == "pad" and args[1] == "linear_ramp" else 0
    assert_equal(got, expected, rtol, name == "pad" and args[1] == "empty", atol)


def assert_equal(got: list[np.ndarray], expected: Any, rtol: float, only_shapes: bool = False, atol: float = 0) -> None:
    expected = expected if isinstance(expected, list | tuple) else [expected]
    assert [(x.shape, x.dtype) for x in got] == [(x.shape, x.dtype) for x in map(np.asarray, expected)]
    for ours, theirs in zip(got, expected, strict=True):
        if not only_shapes:
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("jitted", "examples"), RUNS)
def test_reshaping(jitted: bool, examples: int) -> None:
    randomly(check_reshaping, jitted, examples)


def check_joining(data: Any, jitted: bool) -> None:
    name = data.draw(st.sampled_from(["concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "append"]))
    shape, dtype = data.draw(shapes(least=1)), data.draw(st.sampled_from(DTYPES))
    axis = _axis(data, len(shape))
    arrays = []
    for _ in range(2 if name == "append" else data.draw(st.integers(1, 3))):
        own = list(shape)
        if name in ("concatenate", "append"):
            own[axis] = data.draw(st.integers(0, 3))
        arrays.append(drawn(data, tuple(own), dtype))
    if name in ("concatenate", "append"):
        axis = data.draw(st.sampled_from([axis, None]))
    options = {"axis": axis} if name in ("concatenate", "stack", "append") else {}

    def joined(xp: Any, given: list) -> Any:
        return getattr(xp, name)(*(given if name == "append" else [given]), **options)

    assert_equal(called(lambda given: joined(jnp, given), arrays, jitted), joined(np, arrays), 0)


@pytest.mark.parametrize(("jitted", "examples"), RUNS)
def test_joining(jitted: bool, examples: int) -> None:
    randomly(check_joining, jitted, examples)
