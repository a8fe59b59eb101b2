"""Files: round trips, damage, atomic writing, and that loading runs no code."""

import collections
import ctypes.util
import dataclasses
import hashlib
import os
import pickle
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nrx
from nrx.core import dtypes
from nrx.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    DTypeError,
    FileFormatError,
    TracerArrayError,
    TreeError,
)
from nrx.io import load, load_pickle, save, save_pickle

jnp = nrx.numpy
FORMATS = [pytest.param(save, load, id="msgpack"), pytest.param(save_pickle, load_pickle, id="pickle")]


@nrx.tree_util.register_dataclass
@dataclasses.dataclass
class Affine:
    weight: Any
    bias: Any
    name: str = dataclasses.field(default="", metadata={"static": True})


class Pair(NamedTuple):
    first: Any
    second: Any


def bytes_of(x: Any) -> tuple[str, tuple[int, ...], bytes]:
    """Everything there is to an array: dtype, shape and bits."""
    x = np.asarray(x)
    return x.dtype.name, x.shape, x.tobytes()


def example() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "conv": {"kernel": jnp.asarray(rng.normal(size=(3, 3, 2, 4)).astype(np.float32)), "bias": jnp.zeros(4)},
        "half": jnp.asarray(rng.normal(size=(5, 7)).astype(ml_dtypes.bfloat16)),
        "steps": [1, (2.5, None, True, "ü", b"\x00x")],
    }


# ---- round trips ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "read"), FORMATS)
@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (7,), (2, 3, 4)])
def test_every_dtype_and_shape(write: Callable, read: Callable, dtype: Any, shape: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.frombuffer(rng.bytes(size), dtypes.uint8)  # every bit pattern: NaNs with payloads, subnormals
    data = (raw % 2 if dtype == dtypes.bool_ else raw).view(dtype).reshape(shape)
    write(tmp_path / "x", {"x": nrx.numpy.asarray(data)})
    result = read(tmp_path / "x")["x"]
    assert isinstance(result, nrx.Array)
    assert (result.dtype.name, result.shape, np.asarray(result).tobytes()) == (dtype.name, shape, data.tobytes())


@pytest.mark.parametrize(("write", "read"), FORMATS)
@pytest.mark.parametrize(
    "tree",
    [
        None, True, 0, -(2**63), 2**64 - 1, 1.5, -0.0, float("inf"), "", "ünïcode", b"", b"\xff", [], (), {},
        [None, (), [], {}], ((1,), [(2, [3])]), {"b": 1, "a": (2,)},
        {1: "x", None: 2, False: 3, (1, ("a", b"b")): 4, 2.5: 5},
    ],
    ids=repr,
)  # fmt: skip
def test_plain_trees(write: Callable, read: Callable, tree: Any, tmp_path: Path) -> None:
    write(tmp_path / "x", tree)
    result = read(tmp_path / "x")
    assert repr(result) == repr(tree)  # types and the order of keys as well


plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
trees = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(trees)
def test_any_plain_tree(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "tree"
    save(path, tree)
    assert repr(load(path)) == repr(tree)


def test_numpy_data_and_views(tmp_path: Path) -> None:
    x = np.arange(24, dtype=">f8").reshape(4, 6)
    tree = {"big endian": x, "transposed": x.T, "strided": x[::2, ::-3], "scalar": np.float16(1.5), "0-d": np.array(3)}
    save(tmp_path / "x", tree)
    result = load(tmp_path / "x")
    for name, value in tree.items():
        assert isinstance(result[name], nrx.Array)
        assert result[name].dtype.name == value.dtype.name
        np.testing.assert_array_equal(np.asarray(result[name]), value)


def test_weak_types_are_dropped(tmp_path: Path) -> None:
    weak = nrx.jit(lambda: 1.0)()
    assert weak.weak_type
    save(tmp_path / "x", weak)
    assert not load(tmp_path / "x").weak_type


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    data = np.arange(3, dtype=np.int16)
    save(tmp_path / "x", {"a": (jnp.asarray(data), 7)})
    array = msgpack.ExtType(2, msgpack.packb(["int16", [3]]))
    tree = msgpack.packb({"a": [msgpack.ExtType(1, b""), array, 7]})
    raw = struct.pack("<3h", 0, 1, 2)
    expected = b"\x89NRX\r\n\x1a\n" + struct.pack("<IQ", 1, len(tree)) + hashlib.sha256(tree).digest() + tree
    assert (tmp_path / "x").read_bytes() == expected + raw + hashlib.sha256(raw).digest()


def test_a_model_predicts_the_same(tmp_path: Path) -> None:
    model = nrx.nn.sequential(nrx.nn.Dense(5), nrx.nn.Tanh, nrx.nn.Dense(2))
    params = model.init(nrx.random.PRNGKey(0), (1, 3))
    x = jnp.ones((4, 3))
    for write, read in ((save, load), (save_pickle, load_pickle)):
        write(tmp_path / "model", params)
        loaded = read(tmp_path / "model")
        assert nrx.tree.structure(loaded) == nrx.tree.structure(params)
        assert bytes_of(model.apply(loaded, x)) == bytes_of(model.apply(params, x))


# ---- containers of other kinds, and `like` --------------------------------------------------------------------------


def other_containers() -> dict[str, Any]:
    return {
        "named": Pair(jnp.ones(2), (1,)),
        "dataclass": Affine(jnp.ones((2, 2)), None, "first"),
        "ordered": collections.OrderedDict(b=1, a=jnp.zeros(1)),
        "default": collections.defaultdict(list, x=[1, 2]),
        "adam": nrx.optim.adam(0.1).init({"w": jnp.zeros(3)}),
    }


def test_other_containers_come_back_as_dicts(tmp_path: Path) -> None:
    save(tmp_path / "x", other_containers())
    result = load(tmp_path / "x")
    assert list(result["named"]) == ["first", "second"]
    assert list(result["dataclass"]) == ["weight", "bias"]
    assert type(result["ordered"]) is type(result["default"]) is dict
    assert sorted(result["adam"][0]) == ["count", "mu", "nu"]


def test_like_restores_containers(tmp_path: Path) -> None:
    tree = other_containers()
    save(tmp_path / "x", tree)
    result = load(tmp_path / "x", like=tree)
    assert nrx.tree.structure(result) == nrx.tree.structure(tree)
    assert result["dataclass"].name == "first"
    assert result["default"].default_factory is list
    for got, expected in zip(nrx.tree.leaves(result), nrx.tree.leaves(tree), strict=True):
        assert bytes_of(got) == bytes_of(expected)
    structs = nrx.tree.map(lambda x: nrx.ShapeDtypeStruct(x.shape, x.dtype) if isinstance(x, nrx.Array) else x, tree)
    assert nrx.tree.structure(load(tmp_path / "x", like=structs)) == nrx.tree.structure(tree)


@pytest.mark.parametrize(
    ("tree", "like", "message"),
    [
        ({"a": 1}, {"b": 1}, r"lacks \['b'\] and has \['a'\]"),
        ({"a": [1, 2]}, {"a": [1]}, r"tree\['a'\] lacks \[\] and has \[1\]"),
        ({"a": [1]}, {"a": (1,)}, r"tree\['a'\] is of type list, where `like` has of type tuple"),
        ({"a": 1}, {"a": None}, r"tree\['a'\] is of type int, where `like` has None"),
        ({"a": None}, {"a": 1}, r"tree\['a'\] is None, where `like` has of type int"),
        ({"a": np.ones(2)}, {"a": np.ones(3)}, r"an array float64\(2,\), where `like` has an array float64\(3,\)"),
        (
            {"a": np.ones(2)},
            {"a": np.ones(2, "f4")},
            r"an array float64\(2,\), where `like` has an array float32\(2,\)",
        ),
        ({"a": 1.0}, {"a": np.ones(2)}, r"is of type float, where `like` has an array float64\(2,\)"),
        (Pair(1, [2]), Pair(1, (2,)), r"tree\.second is of type list"),
    ],
)
def test_like_that_does_not_fit(tree: Any, like: Any, message: str, tmp_path: Path) -> None:
    save(tmp_path / "model.nrx", tree)
    with pytest.raises(TreeError, match=message) as error:
        load(tmp_path / "model.nrx", like=like)
    assert "model.nrx" in str(error.value)


# ---- what cannot be saved -------------------------------------------------------------------------------------------


def cyclic() -> list[Any]:
    tree: list[Any] = []
    tree.append(tree)
    return tree


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        ({"a": [object()]}, ArgumentTypeError, r"tree\['a'\]\[0\] is of type object"),
        ({"f": len}, ArgumentTypeError, r"tree\['f'\] is of type builtin_function"),
        ({"c": 1j}, ArgumentTypeError, "complex"),
        ({frozenset(): 1}, ArgumentTypeError, "a key of tree is of type frozenset"),
        ({(1, frozenset()): 1}, ArgumentTypeError, "a key of tree is of type frozenset"),
        ({"a": np.array(["x"])}, DTypeError, r"tree\['a'\] has dtype <U1"),
        ({"a": np.array([None])}, DTypeError, r"tree\['a'\] has dtype object"),
        (2**64, ArgumentError, "out of range"),
        ("\ud800", ArgumentError, "surrogates"),
        (cyclic(), ArgumentError, "nested more than 250 deep, or contains itself"),
    ],
)
def test_refusals(tree: Any, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        save(tmp_path / "x", tree)
    assert not list(tmp_path.iterdir())


def test_deepest_tree(tmp_path: Path) -> None:
    for make in (lambda tree: [tree], lambda tree: (tree,), lambda tree: {"a": tree}):
        tree: Any = 1
        for _ in range(250):
            tree = make(tree)
        save(tmp_path / "x", tree)
        assert load(tmp_path / "x") == tree


@pytest.mark.parametrize("write", [save, save_pickle])
def test_tracers_are_refused(write: Callable, tmp_path: Path) -> None:
    with pytest.raises(TracerArrayError):
        nrx.jit(lambda x: write(tmp_path / "x", {"x": x}))(1.0)
    assert not list(tmp_path.iterdir())


def test_pickle_refuses_functions_of_the_moment(tmp_path: Path) -> None:
    with pytest.raises(ArgumentTypeError, match=r"save_pickle: .*lambda"):
        save_pickle(tmp_path / "x", {"f": lambda x: x})
    assert not list(tmp_path.iterdir())


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_truncation_is_noticed(write: Callable, read: Callable, tmp_path: Path) -> None:
    write(tmp_path / "whole", example())
    whole = (tmp_path / "whole").read_bytes()
    if write is save_pickle:
        whole = whole[: whole.rindex(b"NRXSHA")]  # without the checksum there is nothing wrong with a pickle yet
    for length in {*range(0, len(whole), 100), *range(60), *range(len(whole) - 60, len(whole))}:
        (tmp_path / "part").write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match="part: "):
            read(tmp_path / "part")


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_flipped_bits_are_noticed(write: Callable, read: Callable, tmp_path: Path) -> None:
    tree = example()
    write(tmp_path / "whole", tree)
    whole = bytearray((tmp_path / "whole").read_bytes())
    rng = np.random.default_rng(1)
    mark = range(whole.rindex(b"NRXSHA"), len(whole) - 32) if write is save_pickle else ()
    for position in rng.choice(len(whole), 400, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "damaged").write_bytes(damaged)
        if position in mark:  # the pickle is sound, and only no longer known to be
            assert str(read(tmp_path / "damaged")) == str(tree)
            continue
        with pytest.raises(FileFormatError, match="damaged: "):
            read(tmp_path / "damaged")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated"),
        (b"\x89NR", "truncated"),
        (b"hello, world", "not a file of nrx.io.save: it begins with b'hello, w'"),
        (pickle.dumps([1]), r"(?s)not a file.*load_pickle"),
        (b"PK\x03\x04", r"(?s)not a file.*numpy.load"),
        (b"\x89NRX\r\n\x1a\n" + struct.pack("<IQ32s", 2, 0, bytes(32)), "version 2 of the format"),
        (b"\x89NRX\r\n\x1a\n" + struct.pack("<IQ32s", 1, 2**63, bytes(32)), "truncated: .* bytes or more"),
    ],
)
def test_foreign_files(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.nrx").write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as error:
        load(tmp_path / "x.nrx")
    assert "x.nrx" in str(error.value)


def sealed(tree: bytes, rest: bytes = b"") -> bytes:
    return b"\x89NRX\r\n\x1a\n" + struct.pack("<IQ", 1, len(tree)) + hashlib.sha256(tree).digest() + tree + rest


@pytest.mark.parametrize(
    "content",
    [
        sealed(b""),
        sealed(b"\xc1"),
        sealed(msgpack.packb(1) + b"\x00"),
        sealed(msgpack.packb(1), b"extra"),
        sealed(msgpack.packb({"k": msgpack.ExtType(99, b"")})),
        sealed(msgpack.packb(msgpack.ExtType(1, b""))),
        sealed(msgpack.packb([7, msgpack.ExtType(1, b"")])),
        sealed(msgpack.packb([msgpack.ExtType(1, b"x")])),
        sealed(msgpack.packb(msgpack.ExtType(2, msgpack.packb(["float32"])))),
        sealed(msgpack.packb(msgpack.ExtType(2, msgpack.packb(["object", [1]]))), bytes(40)),
        sealed(msgpack.packb(msgpack.ExtType(2, msgpack.packb(["float3", [1]]))), bytes(40)),
        sealed(msgpack.packb(msgpack.ExtType(2, msgpack.packb(["float32", [-1]]))), bytes(40)),
        sealed(msgpack.packb(msgpack.ExtType(2, msgpack.packb(["float32", [2**62]]))), bytes(40)),
        sealed(
            msgpack.packb(msgpack.ExtType(2, msgpack.packb(["float32", [2**64 - 1, 0]]))), hashlib.sha256().digest()
        ),
        sealed(msgpack.packb(msgpack.ExtType(2, msgpack.packb(["float32", "ab"]))), bytes(40)),
        sealed(msgpack.packb(msgpack.ExtType(2, msgpack.packb(["float32", [1] * 100]))), bytes(40)),
        sealed(b"\x91" * 100_000 + b"\x01"),
        sealed(b"\x81\x90\x01"),  # a list as a key
    ],
    ids=range(18),
)
def test_forged_files(content: bytes, tmp_path: Path) -> None:
    """With right checksums, and nonsense behind them."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FileFormatError):
        load(tmp_path / "x")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for read in (load, load_pickle):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "nothing")
    for write in (save, save_pickle):
        with pytest.raises(FileNotFoundError):
            write(tmp_path / "no folder" / "x", 1)


# ---- no code is run -------------------------------------------------------------------------------------------------


class Malice:
    def __init__(self, function: Any, *args: Any):
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "payload",
    [
        Malice(os.system, "touch {}"),
        Malice(eval, "open('{}', 'w')"),
        Malice(exec, "open('{}', 'w')"),
        Malice(open, "{}", "w"),
        Malice(subprocess.Popen, ["touch", "{}"]),
        Malice(getattr, os, "system"),
        Malice(ctypes.util.find_library, "c"),
        Malice(nrx.io.save, "{}", 1),
        Malice(np.save, "{}", 1),
    ],
    ids=lambda payload: payload.call[0].__name__,
)
def test_malicious_pickles_are_refused(payload: Malice, tmp_path: Path) -> None:
    target = str(tmp_path / "traces")

    def aim(part: Any) -> Any:
        return (
            part.format(target) if isinstance(part, str) else [aim(p) for p in part] if isinstance(part, list) else part
        )

    payload.call = payload.call[0], tuple(aim(part) for part in payload.call[1])
    (tmp_path / "x.pkl").write_bytes(
        pickle.dumps({"weights": [payload]}, 4) if payload.call[1][0] is not os else b"\x80\x04cposix\nsystem\n."
    )
    with pytest.raises(FileFormatError, match=r"(?s)x\.pkl: it asks for .*allow=\["):
        load_pickle(tmp_path / "x.pkl")
    time.sleep(0.05)
    assert not Path(target).exists()


def test_names_with_dots_do_not_get_around(tmp_path: Path) -> None:
    for module, name in (("nrx.io.pickled", "os.system"), ("numpy", "ndarray.tofile"), ("builtins", "str.format")):
        stream = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module, name)) + b"\x93."
        assert callable(pickle.loads(stream))
        (tmp_path / "x").write_bytes(stream)
        with pytest.raises(FileFormatError, match="it asks for"):
            load_pickle(tmp_path / "x")


def test_allowing_classes(tmp_path: Path) -> None:
    tree = {"layer": Affine(jnp.ones(2), None, "a"), "rate": Fraction(1, 3), "pair": Pair(1, 2)}
    save_pickle(tmp_path / "x", tree)
    with pytest.raises(FileFormatError, match="Affine"):
        load_pickle(tmp_path / "x")
    with pytest.raises(FileFormatError, match="Fraction"):
        load_pickle(tmp_path / "x", allow=[Affine, Pair])
    result = load_pickle(tmp_path / "x", allow=[Affine, Fraction, Pair])
    assert isinstance(result["layer"], Affine)
    assert result["rate"] == Fraction(1, 3)
    assert result["pair"] == Pair(1, 2)
    with pytest.raises(ArgumentTypeError, match="no class or function"):
        load_pickle(tmp_path / "x", allow=[1])


def test_pickles_of_others(tmp_path: Path) -> None:
    tree = {"a": np.arange(3), "b": (np.float32(2), {1, 2}), "c": collections.OrderedDict(x=1), "d": jnp.ones(2)}
    for protocol in (3, 4, 5):
        (tmp_path / "x").write_bytes(pickle.dumps(tree, protocol))
        result = load_pickle(tmp_path / "x")
        assert repr(result) == repr(tree)


def test_optimizer_states_need_no_permission(tmp_path: Path) -> None:
    state = nrx.optim.adam(nrx.optim.constant_schedule(0.1)).init({"w": jnp.zeros(3)})
    position = nrx.data.batches(jnp.arange(5), 2).state
    save_pickle(tmp_path / "x", (state, position))
    assert repr(load_pickle(tmp_path / "x")) == repr((state, position))


def test_pickles_open_without_nrx_io(tmp_path: Path) -> None:
    save_pickle(tmp_path / "x", [jnp.arange(3)])
    with open(tmp_path / "x", "rb") as file:
        assert repr(pickle.load(file)) == "[Array([0, 1, 2], dtype=int32)]"


def test_no_pickle_at_all(tmp_path: Path) -> None:
    save(tmp_path / "x", [1])
    with pytest.raises(FileFormatError, match=r"(?s)not a pickle.*read by nrx.io.load"):
        load_pickle(tmp_path / "x")


# ---- devices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_device(write: Callable, read: Callable, tmp_path: Path) -> None:
    write(tmp_path / "x", {"a": jnp.arange(3), "b": 1})
    assert not read(tmp_path / "x")["a"].committed
    for device in ("cpu", "cpu:0", nrx.devices("cpu")[0]):
        placed = read(tmp_path / "x", device=device)
        assert placed["a"].committed
        assert str(placed["a"].device) == "cpu:0"
        assert placed["b"] == 1
    with pytest.raises(DeviceError, match="cpu:99"):
        read(tmp_path / "x", device="cpu:99")


# ---- atomic writing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_failure_leaves_the_old_file(write: Callable, read: Callable, tmp_path: Path, monkeypatch: Any) -> None:
    write(tmp_path / "x", "old")

    def no_space(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, no_space)
            with pytest.raises(OSError, match="No space"):
                write(tmp_path / "x", "new")
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
        assert read(tmp_path / "x") == "old"


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "real"
    save(target, 1)
    reference = tmp_path / "reference"
    reference.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(reference.stat().st_mode)
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    save(tmp_path / "link", 2)
    assert (tmp_path / "link").is_symlink()
    assert load(target) == 2
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


KILLED = """
import sys, numpy, nrx
path, write = sys.argv[1], getattr(nrx.io, sys.argv[2])
for number in range(1, 1_000_000):
    write(path, {"number": number, "data": numpy.full(200_000, number)})
    print(number, flush=True)
"""


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_killing_the_writer_never_destroys_the_file(write: Callable, read: Callable, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for attempt in range(3):
        path = tmp_path / str(attempt) / "x"
        path.parent.mkdir()
        command = [sys.executable, "-c", KILLED, str(path), write.__name__]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            written = [1, *map(int, process.stdout.read().split())]
        tree = read(path)
        assert tree["number"] in (written[-1], written[-1] + 1)
        assert set(np.asarray(tree["data"]).tolist()) == {tree["number"]}
        shutil.rmtree(path.parent)


# ---- memory ---------------------------------------------------------------------------------------------------------

PEAK = """
import resource, sys, numpy, nrx
path, size = sys.argv[1], int(sys.argv[2])
tree = {"x": nrx.core.array.wrap(numpy.ones(size, "uint8"))}
peak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
nrx.io.save(path, tree)
saved = peak()
del tree
loaded = nrx.io.load(path)
print(saved - before, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_large_arrays_are_not_copied(tmp_path: Path) -> None:
    size = 100 << 20
    command = [sys.executable, "-c", PEAK, str(tmp_path / "x"), str(size)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    saving, loading = map(int, result.stdout.split())
    assert saving < size // 4
    assert loading < size // 4
