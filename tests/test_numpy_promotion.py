"""Promotion and broadcasting of nrx.numpy: JAX's table of dtypes and weak types, NumPy's values and shapes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_differences import PROMOTION_NOT_AS_JAX

import nrx
import nrx.numpy as nnp
from nrx.core import dtypes
from nrx.numpy.planning import Planned
from nrx.numpy.promotion import _MOST_PLANS, Elementwise
from nrx.ops.arithmetic import add_p

BINARY = [
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "fmod", "divmod", "power", "float_power",
    "maximum", "minimum", "fmax", "fmin", "arctan2", "hypot", "logaddexp", "copysign", "heaviside", "nextafter",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_xor", "bitwise_and",
    "bitwise_or", "left_shift", "right_shift", "isclose", "outer", "matmul",
]  # fmt: skip
UNARY = [
    "abs", "fabs", "negative", "positive", "sign", "square", "reciprocal", "sqrt", "exp", "log1p", "sin", "tanh",
    "floor", "round", "rint", "trunc", "signbit", "isnan", "isfinite", "logical_not", "invert", "real", "imag",
    "conj", "angle",
    "sum", "prod", "mean", "var", "std", "max", "argmax", "all", "cumsum", "cumprod", "median", "sort",
    "count_nonzero", "ptp", "nan_to_num", "sinc", "deg2rad", "zeros_like", "trace", "diag", "average", "linalg.norm",
]  # fmt: skip
DTYPES = [*dtypes.SIGNED, *dtypes.UNSIGNED, *dtypes.FLOATS, *dtypes.COMPLEX, dtypes.bool_]
#: Those that JAX has without its 64-bit mode, less uint32, which joins signed integers in int64.
NARROW = [d for d in DTYPES if np.asarray(0, d).real.itemsize <= 4 and d != dtypes.uint32]
WEAK = [int, float, complex]

#: What computes in floating point: in JAX's 64-bit mode, narrow integers become float32, and not the default float.
INEXACT = frozenset((
    "divide", "float_power", "arctan2", "hypot", "logaddexp", "copysign", "heaviside", "nextafter", "fabs",
    "reciprocal", "sqrt", "exp", "log1p", "sin", "tanh", "rint", "mean", "var", "std", "median", "sinc", "deg2rad",
    "average", "angle",
    "linalg.norm",
))  # fmt: skip


@pytest.fixture
def jax() -> Any:
    return pytest.importorskip("jax")


@pytest.fixture
def wide_jax(jax: Any) -> Iterator[Any]:
    """JAX with 64-bit types, and nrx with 64-bit defaults."""
    with jax.enable_x64(True), nrx.config.using(default_float="float64", default_int="int64"):
        yield jax


def operand(library: Any, kind: Any, shape: tuple[int, ...] = (2, 2)) -> Any:
    """Ones of a dtype, or a weakly typed Python one."""
    return kind(1) if isinstance(kind, type) else library.numpy.asarray(np.ones(shape, kind))


def signature(library: Any, name: str, *kinds: Any) -> Any:
    """Dtype and weak type of the result, or the kind of error."""
    function: Any = library.numpy
    for part in name.split("."):
        function = getattr(function, part)
    values = [operand(library, kind) for kind in kinds]
    try:
        out = library.eval_shape(lambda *arrays: function(*fill(values, arrays)), *[v for v in values if is_array(v)])
    except (TypeError, ValueError):
        return "error"
    leaves = out if isinstance(out, tuple | list) else [out]
    return [(str(leaf.dtype), leaf.weak_type and leaf.dtype != bool) for leaf in leaves]  # weak booleans mean nothing


def is_array(value: Any) -> bool:
    return hasattr(value, "dtype")


def fill(values: list[Any], arrays: tuple) -> list[Any]:
    left = iter(arrays)
    return [next(left) if is_array(v) else v for v in values]


def differences(jax: Any, name: str, combinations: list[tuple]) -> list[tuple]:
    """The combinations of operands for which nrx and JAX disagree, but for those where they should."""
    found = []
    for kinds in combinations:
        expected = any((name, np.dtype(kind).kind) in PROMOTION_NOT_AS_JAX for kind in kinds)
        if not expected and (ours := signature(nrx, name, *kinds)) != (theirs := signature(jax, name, *kinds)):
            found.append((*kinds, ours, theirs))
    return found


def pairs(kinds: list[np.dtype]) -> list[tuple]:
    every = [(a, b) for a in [*kinds, *WEAK] for b in [*kinds, *WEAK]]
    return [(a, b) for a, b in every if not isinstance(a, type) or not isinstance(b, type)]


def is_lossless(a: Any, b: Any) -> bool:
    """False for a signed integer that meets uint64: float64 in both libraries, but in JAX a weak one."""
    return not (dtypes.uint64 in (a, b) and any(kind in dtypes.SIGNED for kind in (a, b) if not isinstance(kind, type)))


@pytest.mark.parametrize("name", BINARY)
def test_binary_dtypes_are_jaxs(name: str, jax: Any) -> None:
    assert not differences(jax, name, pairs(NARROW))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BINARY if name not in INEXACT])
def test_wide_binary_dtypes_are_jaxs(name: str, wide_jax: Any) -> None:
    combinations = [(a, b) for a, b in pairs(DTYPES) if is_lossless(a, b) and dtypes.bool_ not in (a, b)]
    assert not differences(wide_jax, name, combinations)


@pytest.mark.parametrize("name", UNARY)
def test_unary_dtypes_are_jaxs(name: str, jax: Any) -> None:
    assert not differences(jax, name, [(d,) for d in NARROW])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in UNARY if name not in INEXACT])
def test_wide_unary_dtypes_are_jaxs(name: str, wide_jax: Any) -> None:
    assert not differences(wide_jax, name, [(d,) for d in DTYPES if d != dtypes.bool_])


def test_where_dtypes_are_jaxs(wide_jax: Any) -> None:
    def where(library: Any, *kinds: Any) -> Any:
        x, y = (operand(library, kind) for kind in kinds)
        return library.eval_shape(lambda c: library.numpy.where(c, x, y), operand(library, bool))

    for a, b in pairs(DTYPES):
        ours, theirs = where(nrx, a, b), where(wide_jax, a, b)
        assert (str(ours.dtype), ours.weak_type and is_lossless(a, b)) == (
            str(theirs.dtype), theirs.weak_type and is_lossless(a, b),
        ), (a, b)  # fmt: skip


@pytest.mark.parametrize("name", ["add", "divide", "maximum", "less", "power", "remainder", "arctan2"])
def test_eager_plans_keep_the_dtypes(name: str) -> None:
    function = getattr(nnp, name)
    for a in DTYPES[:-3]:
        for b in [*DTYPES[:-3], *WEAK[:2]]:
            x, y = operand(nrx, a), operand(nrx, b, (2,))
            staged = nrx.eval_shape(lambda x, y=y: function(x, y), x)
            for _ in range(3):
                out = function(x, y)
                assert (out.dtype, out.weak_type, out.shape) == (staged.dtype, staged.weak_type, (2, 2))
                assert (out._data.dtype, out._data.shape) == (out.dtype, out.shape)


def test_plans_follow_the_default_dtypes() -> None:
    x = nnp.array([1, 2])
    for _ in range(3):
        assert nnp.mean(x).dtype == (x / x).dtype == "float32"
        with nrx.config.using(default_float="float64"):
            assert nnp.mean(x).dtype == (x / x).dtype == "float64"
        assert nnp.sum(x.astype("int8")).dtype == "int32"
        with nrx.config.using(default_int="int64"):
            assert nnp.sum(x.astype("int8")).dtype == "int64"


def test_plans_are_bounded() -> None:
    add = Elementwise("add", add_p)
    one = nnp.ones(())
    for size in range(_MOST_PLANS + 10):
        add(nnp.asarray(np.broadcast_to(np.float32(0), size)), one)
    assert len(add._plans) <= _MOST_PLANS


def test_planned_functions_are_recorded_once() -> None:
    calls = []

    @Planned
    def scaled(x: Any, factor: Any, *, axis: Any) -> nrx.Array:
        calls.append((factor, axis))
        return nnp.sum(x, axis) * factor

    x = nnp.ones((2, 3))
    for _ in range(5):
        assert scaled(x, 2, axis=0).tolist() == [4, 4, 4]
    assert calls == [(2, 0)] * 2  # once to run, once to record
    assert scaled(x, 3, axis=0).tolist() == [6, 6, 6]
    assert scaled(x, 2, axis=1).tolist() == [6, 6]
    assert scaled(x, x[0], axis=[0]).tolist() == [2, 2, 2]
    assert len(calls) == 5
    assert nrx.vmap(lambda v: scaled(v, 2, axis=0))(x).tolist() == [6, 6]
    assert nrx.jit(lambda v: scaled(v, 2, axis=0))(x).tolist() == [4, 4, 4]
    assert nrx.grad(lambda v: scaled(v, 2, axis=None))(x).tolist() == [[2, 2, 2]] * 2
    assert scaled(np.ones((1, 2), np.float32), 2, axis=0).tolist() == [2, 2]
    assert len(calls) == 9


def test_plans_are_shared_by_threads() -> None:
    x = [nnp.full((4,), float(i)) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda i: [float(nnp.mean(x[i])) for _ in range(50)], range(8)))
    assert sums == [[float(i)] * 50 for i in range(8)]


def test_scalars_are_rounded_once() -> None:
    x = nnp.asarray(np.ones(1, np.float64))
    assert (x * 0.1)[0].item() == 0.1  # not the float32 nearest to it
    assert (0.1 * x)[0].item() == 0.1
    assert nnp.maximum(x * 0, 0.1)[0].item() == 0.1
    assert nnp.where(x > 0, 0.1, x)[0].item() == 0.1


def test_signed_zeros_have_plans_of_their_own() -> None:
    x = nnp.array([-1.0])
    for _ in range(3):
        assert np.signbit(np.asarray(nnp.clip(x, 0.0, None))).tolist() == [False]
        assert np.signbit(np.asarray(nnp.clip(x, -0.0, None))).tolist() == [True]
        assert float(nnp.floor_divide(x, 0.0)[0]) == -np.inf
        assert float(nnp.floor_divide(x, -0.0)[0]) == np.inf


def test_integers_that_do_not_fit_wrap_or_are_refused() -> None:
    assert (nnp.zeros(1, "int8") + 300).tolist() == [44]  # as in JAX
    assert (nnp.ones(1, "uint32") - 2).tolist() == [2**32 - 1]
    with pytest.raises(TypeError, match="does not fit"):
        nnp.zeros(1, "int32") + 2**40


def test_result_type_and_its_kin() -> None:
    assert nnp.result_type(nnp.int32, 1.5) == "float32"
    assert nnp.result_type("int8", nnp.float16) == "float16"
    assert nnp.promote_types("int64", "uint64") == "float64"
    assert nnp.promote_types(nnp.bfloat16, "float16") == "float32"
    assert nnp.issubdtype(nnp.bfloat16, nnp.floating)
    assert nnp.issubdtype("int32", nnp.integer)
    assert not nnp.issubdtype("uint8", nnp.signedinteger)
    assert nnp.issubdtype(nnp.floating, nnp.inexact)
    assert nnp.issubdtype(np.float32, np.float32)
    assert not nnp.issubdtype(nnp.float32, nnp.float64)
    assert nnp.isdtype("uint8", ("bool", "unsigned integer"))
    assert nnp.can_cast("int8", "int32")
    assert not nnp.can_cast("float32", "float16")
    assert nnp.finfo(nnp.bfloat16).bits == 16
    assert nnp.iinfo("int8").max == 127


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int8", "bool_", "complex64", "float8_e4m3fn"])
def test_scalar_types(name: str) -> None:
    kind = getattr(nnp, name)
    dtype = dtypes.bool_ if name == "bool_" else nnp.dtype(name)
    assert np.dtype(kind) == dtype
    assert kind == dtype
    assert dtype == kind
    assert {dtype: 1}[kind] == 1
    assert kind(1).dtype == dtype
    assert kind(1).shape == ()
    assert not kind(1).weak_type
    assert kind([1, 0]).shape == (2,)
    assert nnp.zeros(2, kind).dtype == dtype
    assert nnp.ones(2).astype(kind).dtype == dtype
    assert np.zeros(2, kind).dtype == dtype
    assert repr(kind) == f"nrx.numpy.{dtype.name}"
    assert kind != nnp.float64


# --- Values and shapes, drawn at random -------------------------------------------------------------------------------

SHAPE = st.lists(st.sampled_from([0, 1, 2, 3]), max_size=3).map(tuple)


def floor_divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """NumPy's but for infinities and zeros, where the array API standard has floor(x / y)."""
    if x.dtype.kind != "f":
        return np.floor_divide(x, y)
    ordinary = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    return np.where(ordinary, np.floor_divide(x, y), np.floor(x / y))


OPERATIONS = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum,
    "floor_divide": floor_divide, "remainder": np.remainder, "fmod": np.fmod, "less": np.less, "equal": np.equal,
    "bitwise_and": np.bitwise_and, "bitwise_xor": np.bitwise_xor,
}  # fmt: skip


@st.composite
def arrays(draw: Callable, shape: tuple[int, ...], kinds: list[str]) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(kinds)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "f":
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -2.5, 1e30, 1e-30])
        return (
            rng.choice(special, shape).astype(dtype) if draw(st.booleans()) else rng.normal(0, 3, shape).astype(dtype)
        )
    limits = np.iinfo(dtype)
    wild = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return wild if draw(st.booleans()) else rng.integers(0, 4, shape).astype(dtype)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_binary_functions_are_numpys(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(OPERATIONS)))
    kinds = ["int8", "int32", "uint8", "uint32", "int64"] + ["float32", "float64"] * ("bitwise" not in name)
    target = np.dtype(data.draw(st.sampled_from(kinds)))
    x, y = (data.draw(arrays(data.draw(SHAPE), [target.name])) for _ in range(2))
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        with pytest.raises(ValueError, match="broadcast"):
            getattr(nnp, name)(nnp.asarray(x), nnp.asarray(y))
        return
    with np.errstate(all="ignore"):
        truth = OPERATIONS[name](x, y)
    for _ in range(3):
        ours = getattr(nnp, name)(nnp.asarray(x), nnp.asarray(y))
        assert (ours.shape, ours.dtype) == (shape, truth.dtype)
        np.testing.assert_array_equal(np.asarray(ours), truth)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reductions_are_numpys(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["sum", "prod", "max", "min", "all", "any", "mean", "argmax", "count_nonzero"]))
    x = data.draw(arrays(data.draw(SHAPE), ["int32", "uint8", "float64", "float32"]))
    if name in ("sum", "prod", "mean"):
        x = np.nan_to_num(np.clip(x, -3, 3))
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1) if x.ndim else st.none())
    keepdims = data.draw(st.booleans())
    try:
        with np.errstate(all="ignore"):
            truth = getattr(np, name)(x.astype("float64") if name == "mean" else x, axis=axis, keepdims=keepdims)
    except ValueError:
        with pytest.raises(ValueError, match="empty axis"):
            getattr(nnp, name)(nnp.asarray(x), axis=axis, keepdims=keepdims)
        return
    except RuntimeWarning:
        truth = np.full(np.sum(x, axis=axis, keepdims=keepdims).shape, np.nan)  # the mean of nothing
    for _ in range(3):
        ours = getattr(nnp, name)(nnp.asarray(x), axis=axis, keepdims=keepdims)
        np.testing.assert_allclose(np.asarray(ours), truth, rtol=1e-5, atol=1e-5)
        assert ours.shape == np.shape(truth)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_vmap_is_a_loop(data: st.DataObject) -> None:
    functions = [nnp.sum, nnp.cumsum, nnp.sort, nnp.median, lambda v: v * 2.0 + v[0], lambda v: nnp.where(v > 0, v, 1)]
    function = data.draw(st.sampled_from(functions))
    x = nnp.asarray(data.draw(arrays((3, 4), ["float32", "int32"])))
    np.testing.assert_array_equal(
        np.asarray(nrx.vmap(function)(x)), np.asarray(nnp.stack([function(row) for row in x])), strict=True
    )


def test_bfloat16_elementwise_is_rounded_float32() -> None:
    x = np.linspace(-3, 3, 50).astype(ml_dtypes.bfloat16)
    for name in ("sin", "exp", "tanh", "square", "abs", "floor"):
        ours = np.asarray(getattr(nnp, name)(nnp.asarray(x)))
        assert ours.dtype == ml_dtypes.bfloat16
        truth = getattr(np, name)(x.astype(np.float64)).astype(ml_dtypes.bfloat16)
        np.testing.assert_allclose(ours.astype(float), truth.astype(float), rtol=2**-7)


def test_integers_beyond_64_bits_meet_floats_as_floats() -> None:
    """Fresh, from a remembered plan, and traced alike; integers have no room for them."""
    x = nrx.numpy.ones(2)
    expected = np.full(2, 2.0**70, "float32")
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(x + 2**70), expected)
        np.testing.assert_array_equal(np.asarray(nrx.jit(lambda v: v + 2**70)(x)), expected)
        _ = x + 1
    with pytest.raises(nrx.errors.DTypeError):
        nrx.numpy.arange(2) + 2**70
