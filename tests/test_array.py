"""The array itself: immutable, a good neighbour of NumPy, and with the methods and operators of `numpy.ndarray`."""

import array as buffers
import copy
import operator
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ImmutableError

ROOT = Path(__file__).parents[1]
DATA = np.array([[1.5, -2.0, 3.0], [0.0, 5.5, -6.0]], np.float32)


@pytest.fixture
def x() -> nrx.Array:
    return jnp.asarray(DATA)


# --- Immutability -----------------------------------------------------------------------------------------------------


def test_item_assignment_shows_the_way_out(x: nrx.Array) -> None:
    with pytest.raises(TypeError, match=r"x\.at\[index\]\.set\(value\)"):
        x[0] = 1
    with pytest.raises(TypeError, match="concatenate"):
        del x[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.fill(0), lambda x: x.put([0], 1), lambda x: x.itemset(0, 1), lambda x: x.resize((3, 2)),
        lambda x: x.partition(1), lambda x: x.setfield(0, "f4"), lambda x: x.setflags(write=True),
        lambda x: x.byteswap(),
    ],
)  # fmt: skip
def test_methods_that_change_an_array_are_explained(change: Callable, x: nrx.Array) -> None:
    with pytest.raises(ImmutableError) as caught:
        change(x)
    assert caught.value.fix


def test_augmented_assignment_makes_a_new_array(x: nrx.Array) -> None:
    y = x
    y += 1
    y *= 2
    assert y.tolist() == ((DATA + 1) * 2).tolist()
    assert x.tolist() == DATA.tolist()


def test_sort_returns_a_copy(x: nrx.Array) -> None:
    assert x.sort().tolist() == np.sort(DATA).tolist()
    assert x.tolist() == DATA.tolist()


@pytest.mark.parametrize("make", [jnp.array, jnp.asarray, lambda d: jnp.add(d, 0), nrx.device_put, jnp.from_dlpack])
def test_later_changes_of_numpy_data_do_not_show(make: Callable) -> None:
    data = DATA.copy()
    y = make(data)
    data[:] = 7
    assert y.tolist() == DATA.tolist()


def test_data_that_were_made_arrays_are_the_users(x: nrx.Array) -> None:
    data = DATA.copy()
    jnp.asarray(data)
    data[0] = 1  # still writeable


@pytest.mark.parametrize(
    "view",
    [np.asarray, lambda x: x.numpy(), lambda x: np.asarray(x).reshape(-1), lambda x: np.asarray(x.T), np.from_dlpack],
)
def test_views_are_read_only(view: Callable, x: nrx.Array) -> None:
    seen = view(x)
    with pytest.raises(ValueError, match="read-only"):
        seen[0] = 9
    with pytest.raises(ValueError, match="WRITEABLE"):
        seen.flags.writeable = True


def test_asarray_is_a_view_without_a_copy(x: nrx.Array) -> None:
    assert np.shares_memory(np.asarray(x), np.asarray(x))
    assert np.shares_memory(np.from_dlpack(x), np.asarray(x))
    assert not np.shares_memory(np.array(x), np.asarray(x))
    np.array(x)[0] = 1  # a copy is the user's


def test_results_of_vmap_and_jit_are_read_only_too(x: nrx.Array) -> None:
    for y in (nrx.jit(lambda v: v)(x), nrx.vmap(lambda v: v * 1)(x), x.reshape(6), x[0]):
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(y)[0] = 1


# --- Conversion -------------------------------------------------------------------------------------------------------


def test_array_conversion_takes_dtype_and_copy(x: nrx.Array) -> None:
    assert np.asarray(x, np.float64).dtype == np.float64
    assert np.array(x, copy=True).flags.writeable
    assert np.asarray(x, copy=False).dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, np.float64, copy=False)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float32"), (2, "int32"), (True, "bool"), (1j, "complex64"), (2**40, "int64"), (2**63, "uint64"),
        ([1, 2.5], "float32"), ([], "float32"), ([True, 2], "int32"), ([2**40, 1], "int64"), ([-1, 2**40], "int64"),
        (np.float64(1), "float64"), (np.int16(1), "int16"), ([np.float64(1), 2], "float64"),
        ([np.int8(1), 2.5], "float32"),
        (np.zeros(2, ml_dtypes.bfloat16), "bfloat16"), (np.zeros(2, ">f4"), "float32"), (memoryview(b"ab"), "uint8"),
        (bytearray(b"ab"), "uint8"), (buffers.array("d", [1, 2]), "float64"), (range(3), "int32"), ((1, 2), "int32"),
        ([np.zeros(2, "int8"), jnp.zeros(2)], "float32"), ([jnp.int8(1), 2], "int8"),
        ([[1], [jnp.float16(2)]], "float16"),
    ],
)  # fmt: skip
def test_dtype_of_data(data: Any, dtype: str) -> None:
    y = jnp.array(data)
    assert y.dtype == dtype
    assert y.weak_type == (type(data) in (int, float, complex))
    assert jnp.array(data, dtype="float32").dtype == "float32"


def test_default_dtypes_are_a_setting() -> None:
    with nrx.config.using(default_float="float64", default_int="int64"):
        assert jnp.array([1.5]).dtype == jnp.zeros(1).dtype == jnp.linspace(0, 1, 3).dtype == "float64"
        assert jnp.array([1]).dtype == jnp.arange(3).dtype == jnp.argmax(jnp.ones(3)).dtype == "int64"


def test_conversion_of_what_does_not_fit() -> None:
    wild = [np.nan, np.inf, -np.inf, 1e20, -3.7]
    assert jnp.array(wild, "int32").tolist() == [0, 2**31 - 1, -(2**31), 2**31 - 1, -3]
    assert jnp.array(np.array(wild)).astype("uint8").tolist() == [0, 255, 0, 255, 0]
    assert jnp.array([300, -1], "uint8").tolist() == [44, 255]
    assert jnp.array([1 + 2j]).astype("float32").tolist() == [1.0]


def test_nested_lists_of_traced_arrays() -> None:
    def f(a: nrx.Array) -> nrx.Array:
        return jnp.array([[a, 2.0], [a * a, np.float32(1)]])

    assert f(jnp.float32(3)).tolist() == nrx.jit(f)(3.0).tolist() == [[3, 2], [9, 1]]
    assert nrx.grad(lambda a: f(a).sum())(3.0).tolist() == 7
    assert nrx.vmap(f)(jnp.arange(2.0)).shape == (2, 2, 2)


def test_objects_of_other_libraries() -> None:
    class Foreign:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return DATA

    assert jnp.asarray(Foreign()).tolist() == DATA.tolist()
    assert jnp.array([Foreign(), Foreign()]).shape == (2, 2, 3)


def test_dlpack_round_trips(x: nrx.Array) -> None:
    assert jnp.from_dlpack(np.from_dlpack(x)).tolist() == DATA.tolist()
    assert jnp.from_dlpack(x) is x
    with pytest.raises(TypeError, match="bfloat16 has no DLPack form"):
        np.from_dlpack(x.astype("bfloat16"))


def test_torch_round_trip(x: nrx.Array) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_dlpack(x)
    tensor += 1  # torch cannot be told that data are read-only: it has a copy
    assert x.tolist() == DATA.tolist()
    assert jnp.from_dlpack(tensor).tolist() == jnp.asarray(tensor).tolist() == (DATA + 1).tolist()


def test_jax_round_trip(x: nrx.Array) -> None:
    jax = pytest.importorskip("jax")
    assert jnp.asarray(jax.numpy.asarray(np.asarray(x))).tolist() == DATA.tolist()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "complex64"])
def test_pickle(dtype: str, protocol: int) -> None:
    y = jnp.ones((2, 3), dtype)
    z = pickle.loads(pickle.dumps(y, protocol))
    assert (z.dtype, z.tolist()) == (y.dtype, y.tolist())
    assert pickle.loads(pickle.dumps(jnp.asarray(1.0), protocol)).weak_type


def test_copies_share_the_data(x: nrx.Array) -> None:
    for same in (copy.copy(x), copy.deepcopy({"x": x})["x"], x.copy(), jnp.array(x), jnp.copy(x)):
        assert same is not x  # so that one survives when the other's memory is given away
        assert np.shares_memory(same.numpy(), x.numpy())
        assert (same.aval, same.device, same.committed) == (x.aval, x.device, x.committed)
    assert jnp.asarray(x) is x


def test_arrays_cannot_be_hashed(x: nrx.Array) -> None:
    with pytest.raises(TypeError, match="tolist"):
        hash(x)
    with pytest.raises(TypeError, match="tolist"):
        assert {x: 1}


def test_truth_value() -> None:
    assert jnp.array(True)
    assert not jnp.array([[0.0]])
    with pytest.raises(ValueError, match=r"x\.any\(\)"):
        bool(jnp.ones(2))
    with pytest.raises(ValueError, match=r"x\.any\(\)"):
        bool(jnp.ones(0))


def test_python_scalars() -> None:
    assert (int(jnp.array(2.7)), float(jnp.array([1])), complex(jnp.array(1j))) == (2, 1.0, 1j)
    assert operator.index(jnp.array(3)) == 3
    assert list(range(5))[jnp.array(3)] == 3
    assert f"{jnp.array(1.23456):.2f}" == "1.23"
    assert (jnp.array([[1, 2]]).item(0, 1), jnp.float16(0.5).item(), jnp.bfloat16(0.5).item()) == (2, 0.5, 0.5)
    with pytest.raises(TypeError, match="0-d integer"):
        operator.index(jnp.array(3.0))
    with pytest.raises(TypeError, match="one element"):
        float(jnp.ones(2))
    with pytest.raises(TypeError, match=r"x\.real"):
        float(jnp.array(1j))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: jnp.array([1.0, 2.0]), "Array([1., 2.], dtype=float32)"),
        (lambda: jnp.asarray(1.0), "Array(1., dtype=float32, weak_type=True)"),
        (lambda: jnp.zeros((0, 3)), "Array([], shape=(0, 3), dtype=float32)"),
        (lambda: jnp.array([1, 2], "bfloat16"), "Array([1, 2], dtype=bfloat16)"),
        (lambda: jnp.array(True), "Array(True, dtype=bool)"),
    ],
)
def test_repr(made: Callable, text: str) -> None:
    assert repr(made()) == text


def test_length_and_iteration(x: nrx.Array) -> None:
    assert len(x) == 2
    assert [row.tolist() for row in x] == DATA.tolist()
    assert list(jnp.zeros((0, 2))) == []
    _, second = x
    assert second.tolist() == DATA[1].tolist()
    assert (5.5 in x, 7 in x) == (True, False)
    for call in (len, iter):
        with pytest.raises(TypeError, match="0-d"):
            call(jnp.array(1))


# --- Operators --------------------------------------------------------------------------------------------------------

ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
COMPARISON = ["eq", "ne", "lt", "le", "gt", "ge"]
OTHERS = [2, 2.5, np.float32(2), np.float64(2.5), np.full((2, 3), 2, np.float32), np.array([1.0, 2.0, 4.0], np.float32)]


@pytest.mark.parametrize("name", [*ARITHMETIC, *COMPARISON])
@pytest.mark.parametrize("other", OTHERS, ids=lambda o: type(o).__name__)
def test_operators_with_numbers_and_numpy_on_both_sides(name: str, other: Any, x: nrx.Array) -> None:
    function = getattr(operator, name)
    positive, data = abs(x) + 1, np.abs(DATA) + 1
    for ours, truth in (
        (function(positive, other), function(data, other)),
        (function(other, positive), function(other, data)),
    ):
        assert isinstance(ours, nrx.Array)
        np.testing.assert_allclose(np.asarray(ours, truth.dtype), truth, rtol=1e-5)


def test_integer_operators_on_both_sides() -> None:
    data = np.array([6, 3, 12], np.int32)
    for name in ("and_", "or_", "xor", "lshift", "rshift"):
        function = getattr(operator, name)
        assert function(jnp.asarray(data), 2).tolist() == function(data, 2).tolist()
        assert function(25, jnp.asarray(data)).tolist() == function(25, data).tolist()
        assert function(data, jnp.asarray(data)).tolist() == function(data, data).tolist()
    assert (~jnp.asarray(data)).tolist() == (~data).tolist()
    assert [part.tolist() for part in divmod(17, jnp.asarray(data))] == [part.tolist() for part in divmod(17, data)]


def test_matmul_with_numpy_on_either_side(x: nrx.Array) -> None:
    for product in (x @ DATA.T, DATA @ x.T, x @ x.T):
        assert isinstance(product, nrx.Array)
        np.testing.assert_allclose(np.asarray(product), DATA @ DATA.T, rtol=1e-6)


def test_unary_operators(x: nrx.Array) -> None:
    assert (-x).tolist() == (-DATA).tolist()
    assert +x is x
    assert abs(x).tolist() == np.abs(DATA).tolist()
    assert round(jnp.array(2.567), 2).item() == pytest.approx(2.57)
    assert round(jnp.array([0.5, 1.5])).tolist() == [0, 2]


@pytest.mark.parametrize(
    "other", [None, "text", [1.0, 2.0, 3.0], {}, object(), np.array(["a"])], ids=lambda o: type(o).__name__
)
def test_foreign_operands(other: Any, x: nrx.Array) -> None:
    for function in (operator.add, operator.lt, operator.matmul):
        for operands in ((x, other), (other, x)):
            with pytest.raises(TypeError):
                function(*operands)
    if isinstance(other, list):  # Python's False would pass unnoticed
        with pytest.raises(TypeError, match=r"nrx\.numpy\.array"):
            assert x == other
    elif not isinstance(other, np.ndarray):
        assert (x == other) is False
        assert (x != other) is True


def test_foreign_reflected_operators_get_their_chance(x: nrx.Array) -> None:
    class Friend:
        def __radd__(self, other: Any) -> str:
            return "theirs"

        def __gt__(self, other: Any) -> str:
            return "theirs, too"

    assert x + Friend() == "theirs"
    assert (x < Friend()) == "theirs, too"


def test_operators_keep_tracers(x: nrx.Array) -> None:
    def f(v: nrx.Array) -> nrx.Array:
        return (DATA * v + v / 2 - np.float32(1) * v).sum()

    np.testing.assert_allclose(np.asarray(nrx.grad(f)(x)), DATA - 0.5, rtol=1e-6)


# --- Methods and attributes -------------------------------------------------------------------------------------------


def test_every_method_of_ndarray_is_there_or_explained(x: nrx.Array) -> None:
    absent = {
        "base", "ctypes", "data", "flags", "strides",  # memory, which has no fixed place
        "dump", "dumps", "getfield", "tofile",
    }  # fmt: skip
    public = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert {name for name in public if not hasattr(x, name)} == absent
    operators = {
        f"__{name}__"
        for name in dir(np.ndarray)
        if name.startswith("__r") or name.strip("_") in (*ARITHMETIC, *COMPARISON)
    }
    assert operators


def test_attributes(x: nrx.Array) -> None:
    assert (x.shape, x.ndim, x.size, x.dtype, x.itemsize, x.nbytes) == ((2, 3), 2, 6, np.float32, 4, 24)
    assert x.T.shape == x.mT.shape == (3, 2)
    assert x.flat.tolist() == DATA.ravel().tolist()
    assert (x.real is x, x.imag.tolist()) == (True, np.zeros((2, 3)).tolist())
    assert x.device == nrx.devices("cpu")[0]
    assert x.devices() == {x.device}
    assert not x.committed
    assert nrx.device_put(x, "cpu").committed
    assert x.to_device("cpu").committed
    assert x.block_until_ready() is x
    assert x.__array_namespace__() is jnp
    assert x.tobytes() == DATA.tobytes()


@pytest.mark.parametrize(
    ("call", "truth"),
    [
        (lambda x: x.reshape(3, -1), lambda d: d.reshape(3, -1)),
        (lambda x: x.reshape((6,)), lambda d: d.reshape(6)),
        (lambda x: x.reshape(-1, order="F"), lambda d: d.reshape(-1, order="F")),
        (lambda x: x.transpose(), lambda d: d.T),
        (lambda x: x.transpose(1, 0), lambda d: d.T),
        (lambda x: x.transpose((0, 1)), lambda d: d),
        (lambda x: x.transpose(None), lambda d: d.T),
        (lambda x: x.swapaxes(0, 1), lambda d: d.T),
        (lambda x: x[None].squeeze(0), lambda d: d),
        (lambda x: x.ravel(), lambda d: d.ravel()),
        (lambda x: x.flatten("F"), lambda d: d.flatten("F")),
        (lambda x: x.sum(0, keepdims=True), lambda d: d.sum(0, keepdims=True)),
        (lambda x: x.prod(), lambda d: d.prod()),
        (lambda x: x.mean(axis=1), lambda d: d.mean(axis=1)),
        (lambda x: x.var(ddof=1), lambda d: d.var(ddof=1)),
        (lambda x: x.std(0), lambda d: d.std(0)),
        (lambda x: x.min(1), lambda d: d.min(1)),
        (lambda x: x.max(), lambda d: d.max()),
        (lambda x: x.ptp(), lambda d: np.ptp(d)),
        (lambda x: x.argmin(1), lambda d: d.argmin(1)),
        (lambda x: x.argmax(), lambda d: d.argmax()),
        (lambda x: x.all(1), lambda d: d.all(1)),
        (lambda x: x.any(), lambda d: d.any()),
        (lambda x: x.cumsum(1), lambda d: d.cumsum(1)),
        (lambda x: x.cumprod(), lambda d: d.cumprod()),
        (lambda x: x.dot(x.T), lambda d: d.dot(d.T)),
        (lambda x: x.clip(-1, 2), lambda d: d.clip(-1, 2)),
        (lambda x: x.clip(min=0), lambda d: d.clip(min=0)),
        (lambda x: x.round(0), lambda d: d.round(0)),
        (lambda x: x.argsort(), lambda d: d.argsort()),
        (lambda x: x.sort(0), lambda d: np.sort(d, 0)),
        (lambda x: x.take(jnp.array([0, 4])), lambda d: d.take([0, 4])),
        (lambda x: x.take([2, 0], 1), lambda d: d.take([2, 0], 1)),
        (lambda x: x.compress(np.array([False, True, True]), 1), lambda d: d.compress([False, True, True], 1)),
        (lambda x: x[0] + x[0].argpartition(1)[1], lambda d: d[0] + np.argsort(d[0])[1]),
        (lambda x: (x > 0).astype(int).choose([x, -x], mode="clip"), lambda d: (d > 0).astype(int).choose([d, -d])),
        (lambda x: x.reshape(3, 2, out_sharding=None), lambda d: d.reshape(3, 2)),
        (lambda x: x.repeat(2, 1), lambda d: d.repeat(2, 1)),
        (lambda x: x.trace(), lambda d: d.trace()),
        (lambda x: x.diagonal(1), lambda d: d.diagonal(1)),
        (lambda x: x.nonzero()[1], lambda d: d.nonzero()[1]),
        (lambda x: x[0].sort().searchsorted(1.0), lambda d: np.sort(d[0]).searchsorted(1.0)),
        (lambda x: x.conj() + x.conjugate(), lambda d: 2 * d),
        (lambda x: x.astype(jnp.int32), lambda d: d.astype(int)),
        (lambda x: x.astype("float16").astype(float), lambda d: d),
        (lambda x: x.view("int32"), lambda d: d.view("int32")),
        (lambda x: x[:, :2].view("int64"), lambda d: d[:, :2].copy().view("int64")),
        (lambda x: x.view("uint8"), lambda d: d.view("uint8")),
        (lambda x: x.at[0, 1].set(9), lambda d: np.where(np.arange(6).reshape(2, 3) == 1, 9, d)),
        (lambda x: x[1, ::-1], lambda d: d[1, ::-1]),
    ],
)
def test_methods_are_numpys(call: Callable, truth: Callable, x: nrx.Array) -> None:
    np.testing.assert_allclose(np.asarray(call(x)), truth(DATA), rtol=1e-5)
    if "nonzero" not in call.__code__.co_names:
        np.testing.assert_allclose(np.asarray(nrx.jit(call)(x)), truth(DATA), rtol=1e-5)


def test_tracers_have_the_same_attributes(x: nrx.Array) -> None:
    concrete = ("committed", "device", "devices", "block_until_ready", "delete", "is_deleted", "tobytes", "sharding")
    concrete += ("is_fully_addressable", "is_fully_replicated")
    kinds = {name: type(getattr(x, name)) for name in dir(x) if not name.startswith("_") and name not in concrete}

    def check(v: nrx.Array) -> nrx.Array:
        for name, kind in kinds.items():
            assert callable(getattr(v, name)) == (kind in (type(x.sum), type(v.sum))), name
        return v.sum()

    nrx.jit(check)(x)
    nrx.grad(check)(x)
    nrx.vmap(check)(x[None])
    nrx.jvp(check, (x,), (x,))
    nrx.grad(nrx.jit(check))(x)


def test_libraries_are_imported_when_they_are_used() -> None:
    code = "import sys, nrx; print([m for m in ('nrx.nn', 'nrx.data', 'jax') if m in sys.modules], nrx.nn.__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[] nrx.nn"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        nrx.nothing  # noqa: B018
    assert {"nn", "optim", "numpy"} <= set(dir(nrx))
