"""The names of JAX that are not arrays: settings, errors, devices, meshes, profiles, and modules by either import."""

import importlib
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core import jax_flags
from nrx.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConfigError,
    DeviceError,
    DTypeError,
    NoEffectWarning,
    ShapeError,
    TreeError,
)

P = nrx.sharding.PartitionSpec
MODULES = [*nrx._LAZY, "numpy", "lax", "tree", "tree_util", "errors", "nn.initializers", "scipy.special"]
LISTED = ["dtypes", "typing", "sharding", "stages", "ad_checkpoint", "profiler", "extend.core"]


# Modules


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_attributes_and_can_be_imported(name: str) -> None:
    code = f"import nrx\na = nrx.{name}\nimport nrx.{name} as b\nassert a is b"
    exec(code, {})
    assert importlib.import_module(f"nrx.{name}").__doc__


def test_each_name_is_there() -> None:
    for name in nrx.__all__:
        assert getattr(nrx, name) is not None
        assert name in dir(nrx)
    with pytest.raises(AttributeError):
        _ = nrx.no_such_name


@pytest.mark.parametrize("module", LISTED)
def test_what_a_module_lists_is_there(module: str) -> None:
    found = importlib.import_module(f"nrx.{module}")
    for name in found.__all__:
        getattr(found, name)


def test_jax_names() -> None:
    """The public names of JAX's small modules, but for those of many devices, XLA, and typing."""
    pytest.importorskip("jax")
    left_out = {
        "core": {"ParamDict", "Value", "ensure_compile_time_eval", "eval_context", "max_dim", "min_dim"},
        "tree_util": {"default_registry"},
        "errors": {"InconclusiveDimensionOperation", "KeyReuseError"},
        "ad_checkpoint": {"Offloadable", "Recompute", "Saveable", "print_saved_residuals"},
        "random": {"random_gamma_p"},
        "stages": {"ArgInfo", "CompilerOptions"},
        "tree": set(), "dtypes": set(), "typing": set(), "ops": set(), "flatten_util": set(), "custom_batching": set(),
        "checkpoint_policies": set(), "monitoring": set(), "distributed": set(), "dlpack": set(),
    }  # fmt: skip
    for module, without in left_out.items():
        theirs: Any = importlib.import_module("jax")
        for part in module.split("."):
            theirs = getattr(theirs, part, None) or importlib.import_module(f"jax.{module}")
        names = getattr(theirs, "__all__", None) or [n for n in dir(theirs) if not n.startswith("_")]
        ours = importlib.import_module(f"nrx.{module}")
        assert {n for n in names if not hasattr(ours, n)} == without, module


# Settings


@pytest.fixture
def fresh_flags() -> Any:
    yield
    nrx.config._ignored.clear()
    nrx.config.update("jax_enable_x64", False)
    nrx.config.update("jax_platform_name", None)


def test_64_bits(fresh_flags: Any) -> None:
    assert nrx.config.jax_enable_x64 is False
    nrx.config.update("jax_enable_x64", True)
    assert nrx.config.jax_enable_x64 is nrx.config.read("jax_enable_x64") is True
    assert (jnp.zeros(1).dtype, jnp.arange(1).dtype, jnp.asarray(1j).dtype) == ("float64", "int64", "complex128")
    with nrx.enable_x64(False):
        assert nrx.config.jax_enable_x64 is False
        assert jnp.zeros(1).dtype == "float32"


def test_translated_flags(fresh_flags: Any) -> None:
    nrx.config.update("jax_platform_name", "cpu")
    assert (nrx.config.jax_platform_name, nrx.default_backend()) == ("cpu", "cpu")
    nrx.config.update("jax_platforms", "cpu,gpu")
    assert nrx.config.jax_platforms == "cpu"
    nrx.config.update("jax_platforms", None)
    assert nrx.config.default_device is None
    nrx.config.update("jax_enable_checks", True)
    assert nrx.config.debug_checks is nrx.config.jax_enable_checks is True
    nrx.config.update("jax_enable_checks", False)
    for name in ("debug_nans", "disable_jit", "log_compiles", "explain_cache_misses", "check_tracer_leaks"):
        nrx.config.update(f"jax_{name}", False)
        assert getattr(nrx.config, f"jax_{name}") is False
    for name, value in (("jax_numpy_dtype_promotion", "standard"), ("jax_numpy_rank_promotion", "allow")):
        nrx.config.update(name, value)
        assert getattr(nrx.config, name) == value


def test_flags_without_effect_say_so_once(fresh_flags: Any) -> None:
    with pytest.warns(NoEffectWarning, match="jax_optimization_level.*test_names.py"):
        nrx.config.update("jax_optimization_level", "O2")
    nrx.config.update("jax_optimization_level", "O1")
    assert nrx.config.jax_optimization_level == "O1"
    nrx.config.update("jax_threefry_partitionable", True)  # as it is anyway: nothing to say
    nrx.config.update("jax_default_matmul_precision", "highest")
    with pytest.warns(NoEffectWarning):
        nrx.config.update("jax_default_prng_impl", "rbg")


def test_unknown_flags() -> None:
    for use in (
        lambda: nrx.config.update("jax_no_such_flag", 1),
        lambda: nrx.config.jax_no_such_flag,
        lambda: nrx.config.update("jax_debug_nans", 3),
        lambda: nrx.config.update("jax_enable_checks", "yes"),
    ):
        with pytest.raises(ConfigError):
            use()


def test_all_flags_of_jax_are_known() -> None:
    jax = pytest.importorskip("jax")
    known = {*jax_flags.IGNORED, *jax_flags.TRANSLATED, *(f"jax_{name}" for name in nrx.config._settings)}
    assert {name for name in jax.config.values if name.startswith("jax")} <= known


def test_contexts() -> None:
    with nrx.enable_checks(), nrx.check_tracer_leaks(), nrx.threefry_partitionable(True):
        assert nrx.config.debug_checks
        assert nrx.config.check_tracer_leaks
    with pytest.warns(NoEffectWarning, match="rbg"), nrx.default_prng_impl("rbg"):
        pass
    with pytest.warns(NoEffectWarning), nrx.threefry_partitionable(False):
        pass


# Errors


def test_errors_by_jax_names() -> None:
    errors = nrx.errors
    cases = [
        (errors.TracerBoolConversionError, lambda: nrx.jit(lambda x: 1 if x else 2)(1.0)),
        (errors.ConcretizationTypeError, lambda: nrx.jit(lambda x: 1 if x else 2)(1.0)),
        (errors.ConcretizationTypeError, lambda: nrx.jit(float)(1.0)),
        (errors.TracerArrayConversionError, lambda: nrx.jit(lambda x: np.asarray(x))(1.0)),
        (errors.TracerIntegerConversionError, lambda: nrx.jit(lambda n: range(n))(3)),
        (errors.NonConcreteBooleanIndexError, lambda: nrx.jit(lambda x: x[x > 0])(jnp.ones(3))),
        (errors.JaxRuntimeError, lambda: nrx.jit(lambda x: x, donate_argnums=0)(x := jnp.ones(3)) is x + 1),
    ]
    for kind, mistake in cases:
        with pytest.raises(kind):
            mistake()
    kept = []
    nrx.jit(lambda x: kept.append(x))(1.0)
    with pytest.raises(errors.UnexpectedTracerError):
        kept[0] + 1


# Trees


def test_trees_by_one_level() -> None:
    assert nrx.tree_util.flatten_one_level((1, [2]))[0] == (1, [2])
    assert [str(k) for k, _ in nrx.tree_util.flatten_one_level_with_keys({"a": 1})[0]] == ["['a']"]
    with pytest.raises(TreeError, match="leaf"):
        nrx.tree_util.flatten_one_level(3)
    assert nrx.tree_util.is_tree_node(nrx.tree_util.Partial)
    assert nrx.tree.reduce_associative(lambda a, b: a + b, [[1], (2, {"a": 3})]) == 6
    assert nrx.tree.reduce_associative(max, (), identity=0) == 0
    with pytest.raises(TreeError, match="identity"):
        nrx.tree.reduce_associative(max, ())

    @nrx.tree_util.register_dataclass
    @dataclass
    class Layer:
        weight: Any
        name: str = nrx.tree.static(default="dense", metadata={"unit": "none"})

    leaves, treedef = nrx.tree.flatten(Layer(1.0, "a"))
    assert leaves == [1.0]
    assert nrx.tree.unflatten(treedef, [2.0]) == Layer(2.0, "a")


def test_ravel_pytree() -> None:
    tree = {"a": jnp.arange(3), "b": (1.5, jnp.ones((2, 2), "complex64")), "c": jnp.ones(2, "bfloat16"), "d": []}
    flat, unravel = nrx.flatten_util.ravel_pytree(tree)
    assert (flat.shape, flat.dtype) == ((10,), "complex64")
    back = unravel(flat)
    assert nrx.tree.map(lambda x: x.dtype, back) == nrx.tree.map(lambda x: jnp.asarray(x).dtype, tree)
    np.testing.assert_array_equal(back["b"][1], tree["b"][1])
    assert nrx.tree.leaves(nrx.flatten_util.ravel_pytree(())[1](jnp.zeros(0))) == []
    with pytest.raises(ShapeError, match="unravel"):
        unravel(flat[1:])
    with pytest.raises(DTypeError, match="unravel"):
        unravel(jnp.zeros(10))
    weights, unravel = nrx.flatten_util.ravel_pytree({"w": jnp.ones((2, 2)), "b": jnp.zeros(2)})
    loss = nrx.jit(lambda v: (unravel(v)["w"] ** 3).sum())
    np.testing.assert_array_equal(nrx.hessian(loss)(weights), np.diag([0, 0, 6, 6, 6, 6]))
    assert nrx.vmap(lambda v: unravel(v)["w"])(jnp.ones((5, 6))).shape == (5, 2, 2)


# Dtypes and types


def test_dtypes() -> None:
    dtypes = nrx.dtypes
    assert dtypes.canonicalize_dtype(int) == "int32"
    assert dtypes.result_type(jnp.int32(1), 1.5) == "float32"
    assert [dtypes.scalar_type_of(x) for x in (True, 1, 1.5, 1j, jnp.ones(1, "bfloat16"), np.uint8(3))] == [
        bool, int, float, complex, float, int,
    ]  # fmt: skip
    assert dtypes.itemsize_bits("complex64") == 64
    with pytest.raises(DTypeError, match="extended"):
        dtypes.canonicalize_dtype(nrx.random.key_dtype())
    assert dtypes.canonicalize_dtype(nrx.random.key_dtype(), allow_extended_dtype=True).name == "key<fry>"
    with pytest.raises(dtypes.TypePromotionError):
        nrx.random.key(0) + 1


def test_arrays_and_tracers_are_arrays() -> None:
    seen = []
    nrx.jit(lambda x: seen.append((isinstance(x, nrx.Array), isinstance(x, nrx.core.Tracer))))(1.0)
    assert seen == [(True, True)]
    assert isinstance(jnp.ones(1), nrx.typing.ArrayLike)
    assert not isinstance(jnp.ones(1), nrx.core.Tracer)
    assert nrx.typeof(jnp.ones(2)) == nrx.core.ShapedArray((2,), np.dtype("float32"))
    program, shape = nrx.make_jaxpr(lambda x: {"y": x @ x}, return_shape=True)(jnp.ones(3))
    assert shape == {"y": nrx.ShapeDtypeStruct((), "float32")}
    np.testing.assert_array_equal(nrx.core.eval_jaxpr(program.jaxpr, program.consts, jnp.ones(3))[0], 3.0)


# Devices


def test_counts() -> None:
    assert nrx.device_count() == nrx.local_device_count("cpu") == len(nrx.local_devices()) == 1
    assert (nrx.process_index(), nrx.process_count(), nrx.host_id(), nrx.host_count()) == (0, 1, 0, 1)
    assert nrx.process_indices() == nrx.host_ids() == [0]
    with pytest.raises(ArgumentError, match="process"):
        nrx.local_devices(process_index=1)
    device = nrx.devices()[0]
    assert (device.platform, device.device_kind, device.process_index) == ("cpu", "cpu", 0)
    nrx.effects_barrier()
    assert "numpy" in nrx.print_environment_info(return_string=True)


def test_shardings_of_one_device() -> None:
    mesh = nrx.make_mesh((1, 1), ("x", "y"))
    sharding = nrx.sharding.NamedSharding(mesh, P(("x", "y"), None))
    x = nrx.device_put(np.ones((2, 2)), sharding)
    assert x.committed
    assert x.sharding == sharding == nrx.sharding.SingleDeviceSharding(nrx.devices()[0])
    assert x.sharding.device_set == {nrx.devices()[0]}
    assert sharding.shard_shape((2, 2)) == (2, 2)
    assert mesh.shape == {"x": 1, "y": 1}
    assert pickle.loads(pickle.dumps(P("x", None))) == P("x", None) == ("x", None)
    assert nrx.sharding.Mesh(np.array(nrx.devices()), "x") == nrx.sharding.Mesh(nrx.devices(), ("x",))
    put = nrx.device_put({"a": 1.0, "b": (2.0, 3.0)}, {"a": sharding, "b": None})
    assert (put["a"].committed, put["b"][1].committed) == (True, False)
    doubled = nrx.jit(lambda x: 2 * x, in_shardings=sharding, out_shardings=sharding, keep_unused=True)
    with mesh, nrx.set_mesh(mesh):
        np.testing.assert_array_equal(doubled(x), 2 * np.ones((2, 2)))
    for mistake in (
        lambda: nrx.make_mesh((2,), ("x",)),
        lambda: nrx.sharding.NamedSharding(mesh, P("z")),
        lambda: nrx.sharding.Mesh(nrx.devices() * 2, ("x",)),
        lambda: nrx.sharding.Mesh(nrx.devices(), ("x", "y")),
    ):
        with pytest.raises(ArgumentError):
            mistake()
    with pytest.raises(DeviceError):
        nrx.device_put(1.0, 3)
    with pytest.raises(ArgumentTypeError, match="no_such"):
        nrx.jit(lambda x: x, no_such=1)


def test_pmap_on_one_device() -> None:
    x = jnp.arange(3.0)[None]
    f = nrx.pmap(lambda x, n, y: nrx.lax.pmean(x * n + y, "i"), axis_name="i", in_axes=(0, None, None),
                 static_broadcasted_argnums=1)  # fmt: skip
    np.testing.assert_array_equal(f(x, 2, 1.0), 2 * np.arange(3.0)[None] + 1)
    np.testing.assert_array_equal(nrx.grad(lambda x: nrx.pmap(jnp.sin)(x).sum())(x), np.cos(x))
    with pytest.raises(ShapeError, match="one device"):
        nrx.pmap(jnp.sin)(jnp.ones((2, 3)))


def test_shard_map_on_one_device() -> None:
    mesh = nrx.make_mesh((1, 1), ("x", "y"))

    @nrx.jit
    def f(a, b):
        body = lambda a, b: (nrx.lax.psum(a @ b, ("x", "y")), a)
        return nrx.shard_map(body, mesh=mesh, in_specs=(P("x"), P()), out_specs=(P(), P("x")))(a, b)

    a, b = np.ones((2, 3)), np.arange(3.0)
    np.testing.assert_array_equal(f(a, b)[0], a @ b)
    np.testing.assert_array_equal(f(a, b)[1], a)
    index = nrx.shard_map(lambda x: x + nrx.lax.axis_index("y"), mesh=mesh, in_specs=P(), out_specs=P())
    np.testing.assert_array_equal(index(jnp.ones(2)), [1, 1])
    with pytest.raises(ArgumentError, match="mesh"):
        nrx.shard_map(lambda x: x)


def test_distributed_is_one_process() -> None:
    nrx.distributed.initialize("localhost:1", 1, 0)
    nrx.distributed.shutdown()
    assert not nrx.distributed.is_initialized()
    with pytest.raises(ArgumentError):
        nrx.distributed.initialize(num_processes=2)


# Looking on


def test_profiles(tmp_path: Path) -> None:
    with nrx.profiler.trace(tmp_path / "a"), nrx.profiler.TraceAnnotation("step"):
        nrx.profiler.annotate_function(sum)([1, 2])
    assert (tmp_path / "a" / "nrx.prof").stat().st_size
    nrx.profiler.start_trace(str(tmp_path / "b"))
    with pytest.raises(ArgumentError, match="already"):
        nrx.profiler.start_trace(str(tmp_path))
    with nrx.profiler.StepTraceAnnotation("train", step_num=1):
        pass
    nrx.profiler.stop_trace()
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["nrx.prof"]
    with pytest.raises(ArgumentError, match="no trace"):
        nrx.profiler.stop_trace()


def test_events() -> None:
    monitoring, seen = nrx.monitoring, []
    listeners = {
        "": lambda event, **facts: seen.append((event, facts)),
        "_duration_secs": lambda event, seconds, **facts: seen.append((event, seconds, facts)),
    }
    for kind, listener in listeners.items():
        getattr(monitoring, f"register_event{kind}_listener")(listener)
    monitoring.record_event("/a", x=1)
    monitoring.record_event_duration_secs("/b", 2.0, y=1)
    assert seen == [("/a", {"x": 1}), ("/b", 2.0, {"y": 1})]
    monitoring.unregister_event_listener(listeners[""])
    monitoring.clear_event_listeners()
    monitoring.record_event("/a")
    assert len(seen) == 2


def test_environment_variables_of_jax_are_not_read() -> None:
    code = "import nrx; print(nrx.numpy.zeros(1).dtype, nrx.config.debug_nans)"
    environment = {"JAX_ENABLE_X64": "1", "JAX_DEBUG_NANS": "1", "PATH": ""}
    root = str(Path(nrx.__file__).parents[1])
    found = subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True)
    assert found.stdout.split() == ["float32", "False"], found.stderr
