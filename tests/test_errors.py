"""What errors say: mistakes with arrays, shapes, dtypes, indices, trees, devices and settings.

`tests/test_errors_transforms.py` has those with transformations.
"""

import copy
import inspect
import pickle
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import cupy as fake
from mistakes import Mistake, Table, check

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core import backend, errors
from nrx.core.errors import (
    AmbiguousTruthError,
    ArgumentError,
    ArgumentTypeError,
    AxisError,
    BackendMissingError,
    ConfigError,
    ConversionError,
    DeviceError,
    DTypeError,
    ImmutableError,
    IndexingError,
    NrxError,
    ShapeError,
    Source,
    TreeError,
    UnhashableError,
    blame,
    user_source,
)

mistake = Table()
A, B, V = jnp.ones((2, 3)), jnp.ones((2, 4)), jnp.arange(3.0)
MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


# Shapes


@mistake(ShapeError, ValueError, r"matmul", r"\(2, 3\)", r"\(2, 4\)", fix="transpos")
def matmul():
    return A @ B  # here


@mistake(ShapeError, TypeError, r"\(2, 3\) and \(2, 4\)", "broadcast", fix=r"equal or 1.*x\[:, None\]")
def add():
    return A + B  # here


@mistake(ShapeError, TypeError, "add", r"\(2, 3\) and \(3,\)", fix="nrx.numpy")
def add_without_broadcasting():
    return lax.add(A, V)  # here


@mistake(ShapeError, ValueError, r"\(2, 3\) \(6 elements\)", r"\(4, 2\) \(8 elements\)", fix="-1")
def reshape():
    return A.reshape(4, 2)  # here


@mistake(ShapeError, ValueError, r"broadcast", r"\(2, 3\)", r"\(3, 3\)", fix="1")
def broadcast_to():
    return jnp.broadcast_to(A, (3, 3))  # here


@mistake(ShapeError, ValueError, "concatenate", "axis 0", r"\(2, 3\)", r"\(2, 4\)", fix="equal except along the axis")
def concatenate():
    return jnp.concatenate([A, B])  # here


@mistake(ShapeError, ValueError, "stack", r"\(2, 3\)", r"\(2, 4\)", fix="concatenate|broadcast")
def stack():
    return jnp.stack([A, B])  # here


@mistake(ShapeError, TypeError, "conv", r"\(1, 3, 8, 8\)", r"\(4, 2, 3, 3\)", "3 features", fix="feature_group_count")
def convolution():
    return lax.conv(jnp.ones((1, 3, 8, 8)), jnp.ones((4, 2, 3, 3)), (1, 1), "SAME")  # here


@mistake(ShapeError, ValueError, r"negative", r"\(2, -3\)", fix="not be negative|-1|positive")
def negative_shape():
    return jnp.zeros((2, -3))  # here


@mistake(ArgumentTypeError, TypeError, "shape", r"\(2\.5,\)", fix="int")
def fractional_shape():
    return jnp.zeros((2.5,))  # here


@mistake(ShapeError, ValueError, "length", fix="pad")
def ragged_lists():
    return jnp.array([[1, 2], [3]])  # here


# Dtypes


@mistake(DTypeError, TypeError, "float8_e4m3fn", "float8_e5m2", "no common dtype", fix="astype")
def no_common_dtype():
    return jnp.ones(3, "float8_e4m3fn") + jnp.ones(3, "float8_e5m2")  # here


@mistake(DTypeError, TypeError, "add", "float32, int32", fix=r"astype|promotes")
def add_without_promotion():
    return lax.add(jnp.ones(3), jnp.arange(3))  # here


@mistake(DTypeError, TypeError, "and", "float32", fix="astype")
def bitwise_on_floats():
    return V & V  # here


@mistake(DTypeError, TypeError, "'int33' is not a dtype", fix="int32")
def unknown_dtype():
    return jnp.zeros(3, "int33")  # here


@mistake(DTypeError, TypeError, "dtype object", fix="float32")
def array_of_objects():
    return jnp.asarray(np.array([object()]))  # here


@mistake(ArgumentTypeError, TypeError, "sin: argument 0 is a masked array", fix=r"x\.filled\(0\)")
def masked_array():
    return jnp.sin(MASKED)  # here


@mistake(ArgumentTypeError, TypeError, "argument x of", "masked array", fix=r"x\.filled\(0\)")
def masked_array_under_jit():
    return nrx.jit(lambda x: x + 1)(MASKED)  # here


@mistake(ArgumentTypeError, TypeError, "masked array", fix=r"x\.filled\(0\)")
def list_with_a_masked_array():
    return jnp.array([MASKED, np.ones(2)])  # here


@mistake(ArgumentTypeError, TypeError, "an index is a masked array", fix=r"x\.filled\(0\)")
def masked_index():
    return V[MASKED.astype(int)]  # here


@mistake(DTypeError, TypeError, "64 bits", fix="float")
def integer_too_large():
    return jnp.asarray(2**70)  # here


@mistake(ArgumentTypeError, TypeError, "sin", "str: 'x'", fix="array|number")
def function_of_a_string():
    return jnp.sin("x")  # here


@mistake(ArgumentTypeError, TypeError, "sin", r"list: \[1\.0, 2\.0\]", fix=r"nrx\.numpy\.asarray")
def function_of_a_list():
    return jnp.sin([1.0, 2.0])  # here


@mistake(ArgumentTypeError, TypeError, "cov: aweights", r"list: \[1, 2, 3\]", fix=r"nrx\.numpy\.asarray")
def weights_in_a_list():
    return jnp.cov(A, aweights=[1, 2, 3])  # here


@mistake(ArgumentTypeError, TypeError, "average: weights", "list", fix=r"nrx\.numpy\.asarray")
def weights_of_an_average_in_a_list():
    return jnp.average(A, weights=[1.0, 2.0, 3.0])  # here


@mistake(ArgumentTypeError, TypeError, "where=", "list", fix=r"nrx\.numpy\.asarray")
def condition_in_a_list():
    return jnp.sum(V, where=[True, False, True])  # here


@mistake(ArgumentTypeError, TypeError, r"\* of an array and a list", fix=r"nrx\.numpy\.array")
def list_times_a_number():
    return [1.0, 2.0] * jnp.array(2)  # here


@mistake(ArgumentTypeError, TypeError, r"\* of an array and a str", fix=r"nrx\.numpy\.array")
def array_times_a_word():
    return V * "a"  # here


@mistake(ArgumentTypeError, TypeError, "percentile: q", "list", fix=r"nrx\.numpy\.asarray")
def percentiles_in_a_list():
    return jnp.percentile(V, [5, 95])  # here


@mistake(ArgumentTypeError, TypeError, "insert: values", "list", fix=r"nrx\.numpy\.asarray")
def inserted_list():
    return jnp.insert(V, 1, [4, 5])  # here


@mistake(ArgumentTypeError, TypeError, "linspace: num", "integer", "2.5", fix="int")
def points_that_are_no_integer():
    return jnp.linspace(0, 1, num=2.5)  # here


@mistake(ArgumentTypeError, TypeError, "tile", "integer", "'a'", fix="int")
def repetitions_that_are_no_integer():
    return jnp.tile(V, "a")  # here


@mistake(ArgumentError, ValueError, "histogram", "ascend", fix="lowest, highest")
def range_upside_down():
    return jnp.histogram(V, range=(2, 1))  # here


@mistake(ArgumentError, ValueError, "histogram", "ascend", fix="sort")
def edges_out_of_order():
    return jnp.histogram(V, bins=jnp.array([1.0, 0.0]))  # here


@mistake(ImmutableError, TypeError, r"x\.at\[index\] = value", fix=r"\.set\(value\)")
def assignment_to_at():
    V.at[0] = 1.0  # here


@mistake(ArgumentError, ValueError, r"debug\.print", "only 1 argument by position", fix="pass it")
def too_few_arguments_of_a_format():
    nrx.debug.print("x {} {}", V)  # here


@mistake(TreeError, TypeError, "optimizer's state", "tuple of 2", fix="init")
def state_of_another_optimizer():
    nrx.optim.adam(0.1).update(V, ())  # here


@mistake(ArgumentError, ValueError, "eye: N", "-1", fix="0 or more")
def negative_size_of_a_matrix():
    return jnp.eye(-1)  # here


@mistake(ArgumentError, ValueError, "tri: M", "-2", fix="0 or more")
def negative_width_of_a_matrix():
    return jnp.tri(2, -2)  # here


@mistake(ArgumentError, ValueError, "repeat: repeats", "-1", fix="0")
def negative_repetitions():
    return jnp.repeat(V, -1)  # here


@mistake(ShapeError, ValueError, r"\(2, 3\)", "without axes of space", fix=r"3 axes.*x\[None, None\]")
def convolution_of_matrices():
    return lax.conv(A, A, (1, 1), "SAME")  # here


@mistake(DTypeError, TypeError, "keys are no numbers", "float32", "key<fry>", fix=r"nrx\.random\.normal")
def sine_of_a_key():
    return jnp.sin(nrx.random.key(0))  # here


@mistake(DTypeError, TypeError, "keys are no numbers", "a Python int", fix="key_data")
def key_plus_one():
    return nrx.random.key(0) + 1  # here


@mistake(ArgumentTypeError, TypeError, "^key: the seed", "f32", fix="int")
def fractional_seed():
    return nrx.random.key(1.5)  # here


@mistake(ArgumentError, ValueError, "nanquantile", "'middle'", fix="use one of linear, lower")
def unknown_method_of_nanquantile():
    return jnp.nanquantile(A, 0.5, method="middle")  # here


# Axes and indices


@mistake(AxisError, IndexError, "expand_dims: axis 5", "result of 3 dimensions", fix="from -3 to 2")
def new_axis_out_of_range():
    return jnp.expand_dims(A, 5)  # here


@mistake(AxisError, IndexError, "axis 2 is out of range", "2 dimensions", fix="from -2 to 1")
def axis_out_of_range():
    return jnp.sum(A, axis=2)  # here


@mistake(AxisError, ValueError, r"\(0, -2\)", "twice", fix="once")
def axis_twice():
    return jnp.sum(A, axis=(0, -2))  # here


@mistake(AxisError, IndexError, "0-d|0 dimensions", fix="no axes")
def axis_of_a_scalar():
    return jnp.sum(jnp.asarray(1.0), axis=0)  # here


@mistake(ArgumentTypeError, TypeError, "axis must be an integer", "'rows'", fix="number the axes")
def axis_by_name():
    return jnp.sum(A, axis="rows")  # here


@mistake(IndexingError, IndexError, "1.5", "float", fix="integers, slices")
def float_index():
    return V[1.5]  # here


@mistake(IndexingError, IndexError, "float32", fix=r"astype\(int\)")
def float_array_index():
    return V[V]  # here


@mistake(IndexingError, IndexError, "index 5", "axis 0", r"\(3,\)", fix="from -3 to 2")
def index_out_of_bounds():
    return V[5]  # here


@mistake(IndexingError, IndexError, "too many indices: 3", r"\(2, 3\)", fix="leave some out")
def too_many_indices():
    return A[0, 0, 0]  # here


@mistake(IndexingError, IndexError, "step is 0", fix="-1")
def step_of_zero():
    return V[::0]  # here


@mistake(ArgumentError, ValueError, "arange: the step is 0", fix="-1")
def range_with_a_step_of_zero():
    return jnp.arange(0, 3, 0)  # here


@mistake(ShapeError, ValueError, "dynamic_slice", r"\(5,\)", r"\(3,\)", fix="none longer than the axis")
def slice_longer_than_the_axis():
    return lax.dynamic_slice(V, [0], (5,))  # here


@mistake(IndexingError, IndexError, "'w'", "str", fix="integers")
def index_by_name():
    return A["w"]  # here


# Arrays as Python values


@mistake(AmbiguousTruthError, ValueError, r"truth value", r"\(3,\)", fix=r"any\(\)")
def ambiguous_truth():
    if V > 1:  # here
        pass


@mistake(AmbiguousTruthError, ValueError, r"\(3,\)", fix="where")
def ambiguous_and():
    return V and V  # here


@mistake(ConversionError, TypeError, "float", r"\(3,\)", fix="tolist")
def float_of_many():
    return float(V)  # here


@mistake(ConversionError, TypeError, "complex", fix="real|abs")
def float_of_complex():
    return float(jnp.asarray(1j))  # here


@mistake(ConversionError, TypeError, "index", r"f32\[\]", fix=r"int\(x\)")
def range_of_a_float():
    return range(jnp.asarray(2.0))  # here


@mistake(ConversionError, TypeError, "0-d array", fix=r"x\[None\]|item")
def iteration_over_a_scalar():
    for _ in jnp.asarray(1.0):  # here
        pass


@mistake(ConversionError, TypeError, "0-d array has no length", fix="size")
def length_of_a_scalar():
    return len(jnp.asarray(1.0))  # here


@mistake(UnhashableError, TypeError, "hashed", fix="item")
def array_as_a_key():
    return {V: 1}  # here


@mistake(ImmutableError, TypeError, "item assignment", fix=r"x\.at\[index\]\.set\(value\)")
def item_assignment():
    x = V + 0
    x[0] = 1.0  # here


@mistake(ImmutableError, ValueError, "item deletion", fix="concatenate")
def item_deletion():
    x = V + 0
    del x[0]  # here


# Trees


@mistake(TreeError, ValueError, "tree_map", r"missing \['w'\]; extra \['v'\]", fix="same structure")
def tree_map_of_different_keys():
    return nrx.tree.map(lambda a, b: a, {"w": 1}, {"v": 1})  # here


@mistake(
    TreeError, TypeError, r"at \['layers'\]\[1\]", "expected a leaf|got a tuple|tuple of length 2", fix="same structure"
)
def update_of_another_structure():
    params = {"layers": [V, (V, V)]}
    gradients = {"layers": [V, V]}
    return nrx.tree.map(lambda p, g: p - 0.1 * g, params, gradients)  # here


# Devices


@mistake(DeviceError, ValueError, "'tpu'", fix="cpu.*gpu")
def unknown_platform():
    return nrx.device_put(V, "tpu")  # here


@mistake(DeviceError, RuntimeError, "'cpu:7'", fix="cpu:0")
def device_that_is_not_there():
    return nrx.device_put(V, "cpu:7")  # here


@mistake(DeviceError, ValueError, "different devices", "gpu:0", "gpu:1", fix=r"nrx\.device_put\(x, 'gpu:0'\)")
def arrays_on_two_devices():
    x, y = nrx.device_put(V, "gpu:0"), nrx.device_put(V, "gpu:1")
    return x + y  # here


@mistake(DeviceError, ValueError, "different devices", fix="device_put")
def arrays_on_two_devices_under_jit():
    x, y = nrx.device_put(V, "gpu:0"), nrx.device_put(V, "cpu")
    return nrx.jit(lambda x, y: x * y)(x, y)  # here


# Settings


@mistake(ConfigError, AttributeError, "no setting named 'precision'", fix="default_float")
def unknown_setting():
    return nrx.config.precision  # here


@mistake(ConfigError, ValueError, "no setting named 'precision'", fix="default_float")
def unknown_setting_in_a_block():
    with nrx.config.using(precision="high"):  # here
        pass


@mistake(ConfigError, ValueError, "default_float: got int32", fix="float16, float32 or float64")
def setting_of_a_wrong_value():
    nrx.config.update("default_float", "int32")  # here


@mistake(ConfigError, AttributeError, "default_float cannot be assigned", fix=r"config\.update\('default_float'")
def assignment_to_a_setting():
    nrx.config.default_float = "float64"  # here


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pretended GPUs beside the CPU."""
    fake.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})


@mistake.parametrize()
def test_mistake(mistake: Mistake) -> None:
    check(mistake)


def test_gpu_without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)

    def no_cupy() -> Any:
        return nrx.device_put(V, "gpu")  # here

    check(Mistake(no_cupy, BackendMissingError, ImportError, ["needs CuPy"], r"pip install 'nrx\[gpu\]'"))


# The errors themselves

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, NrxError)]


def test_every_error_is_also_a_builtin_one() -> None:
    for cls in CLASSES:
        builtin = [
            base
            for base in cls.__mro__
            if base.__module__ == "builtins" and base not in (Exception, BaseException, object)
        ]
        assert builtin or cls is NrxError, cls


def test_every_error_occurs_in_a_test() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    raised = set(re.findall(r"\w+Error", tests))
    abstract = {"NrxError", "TracerError"}
    assert {c.__name__ for c in CLASSES} - abstract - raised == set()


def test_errors_survive_pickling_and_copying() -> None:
    for cls in CLASSES:
        error = cls("message", fix="fix", source=Source("file.py", 3, "f"))
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (type(again), again.message, again.fix, again.source) == (cls, "message", "fix", error.source)
        assert str(error) == "message\n  at file.py:3, in f\n  fix: fix"


def test_missing_attributes_of_arrays() -> None:
    def attribute(x: Any) -> Any:
        with pytest.raises(AttributeError, match=r"^'Array' object has no attribute 'shpe'$") as caught:
            x.shpe  # noqa: B018
        assert caught.value.name == "shpe"
        assert caught.value.obj is x
        return x

    nrx.jit(attribute)(attribute(V))
    nrx.grad(attribute)(1.0)
    assert not hasattr(V, "__array_interface__")
    with pytest.raises(AttributeError, match=r"x\.at\[index\] has no method 'st'; it has set"):
        V.at[0].st(1)


def test_an_error_without_fix_or_source() -> None:
    error = NrxError("message")
    error.source = None
    assert str(error) == "message"


def test_no_user_line_where_there_is_no_user() -> None:
    with blame(Source("a.py", 1, "f")):
        assert user_source() == Source("a.py", 1, "f")
        with blame(None):
            assert user_source().file == __file__
    assert Source("/home/me/a.py", 7, "f").short == "a.py:7 (f)"
    assert Source("/no/such/file.py", 7, "f").code == ""


def test_standard_library_and_numpy_are_not_the_user() -> None:
    def through_numpy() -> Any:
        return nrx.jit(lambda x: np.linalg.norm(np.asarray(x)))(V)  # here

    def through_sorted() -> Any:
        return sorted([V, V])  # here

    for function in (through_numpy, through_sorted):
        with pytest.raises(NrxError) as caught:
            function()
        assert caught.value.source.file == __file__


@pytest.fixture
def cell() -> Iterator[Any]:
    """Runs source code as a notebook does: under a made-up file name that only linecache knows."""
    import linecache

    name = "<ipython-input-1-0123456789ab>"

    def run(source: str, **names: Any) -> dict:
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        names |= {"nrx": nrx, "jnp": jnp, "lax": lax}
        exec(compile(source, name, "exec"), names)
        return names

    yield run
    del linecache.cache[name]


@pytest.mark.parametrize(
    "call",
    ["f(jnp.ones(3))", "nrx.jit(f)(jnp.ones(3))", "nrx.grad(f)(jnp.ones(3))", "nrx.vmap(f)(jnp.ones((2, 3)))"],
)
def test_cells_of_notebooks(cell: Any, call: str) -> None:
    source = f"def f(x):\n    y = jnp.sin(x)\n    return jnp.sum(y + jnp.ones(4))\n\n\n{call}\n"
    with pytest.raises(ShapeError) as caught:
        cell(source)
    assert caught.value.source == Source("<ipython-input-1-0123456789ab>", 3, "f")
    assert "\n      return jnp.sum(y + jnp.ones(4))\n" in str(caught.value)


@dataclass
class Unregistered:
    weight: float


def test_a_dataclass_that_is_no_pytree() -> None:
    with pytest.raises(ArgumentTypeError, match=r"register_dataclass\(Unregistered\)"):
        nrx.jit(lambda p: p.weight)(Unregistered(1.0))
