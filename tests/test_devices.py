"""Devices and placement: on the CPU, and on the stand-in for CuPy that pretends to have two GPUs."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from fakes import cupy as fake

import nrx
import nrx.numpy as jnp
from nrx.core import backend
from nrx.core.errors import BackendMissingError, DeviceError


@pytest.fixture
def gpus(monkeypatch):
    fake.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    return nrx.devices("gpu")


def test_cpu():
    (cpu,) = nrx.devices("cpu")
    assert str(cpu) == "cpu:0"
    assert jnp.zeros(2).device is cpu
    assert pickle.loads(pickle.dumps(cpu)) is cpu


def test_cupy_is_imported_only_when_asked_for():
    code = "import sys, nrx; nrx.numpy.ones(2) + 1; assert 'cupy' not in sys.modules; nrx.devices('cpu')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    with pytest.raises(BackendMissingError, match=r"needs CuPy[\s\S]*pip install 'nrx\[gpu\]'"):
        nrx.devices("gpu")
    assert [d.platform for d in nrx.devices()] == ["cpu"]


def test_cupy_without_a_gpu(monkeypatch):
    fake.install(monkeypatch, devices=0)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    with pytest.raises(BackendMissingError, match="no GPU"):
        nrx.device_put(1.0, "gpu")


def test_names(gpus):
    assert list(map(str, gpus)) == ["gpu:0", "gpu:1"]
    assert list(map(str, nrx.devices())) == ["gpu:0", "gpu:1", "cpu:0"]
    for wrong in ("gpu:2", "tpu", "gpu:x", 3):
        with pytest.raises(DeviceError):
            nrx.device_put(1.0, wrong)


def test_device_put_places_a_tree(gpus):
    tree = nrx.device_put({"w": np.ones(3, "float32"), "b": 1.0}, gpus[1])
    assert {leaf.device for leaf in nrx.tree.leaves(tree)} == {gpus[1]}
    result = tree["w"] * tree["b"] + 1
    assert result.device is gpus[1]
    assert isinstance(result._data, fake.ndarray)
    np.testing.assert_array_equal(np.asarray(result), [2, 2, 2])
    back = nrx.device_put(result, "cpu")
    assert back.device.platform == "cpu"


def test_mixing_names_both_devices(gpus):
    a, b, c = (nrx.device_put(jnp.ones(2), d) for d in (*gpus, "cpu"))
    for x, y in ((a, b), (a, c), (c, a)):
        with pytest.raises(DeviceError) as caught:
            x + y
        assert str(x.device) in str(caught.value)
        assert str(y.device) in str(caught.value)
        assert "device_put" in str(caught.value)
        with pytest.raises(DeviceError):
            nrx.jit(lambda p, q: p * q)(x, y)


def test_uncommitted_arrays_follow(gpus):
    x = nrx.device_put(jnp.arange(3.0), gpus[0])
    for result in (x + jnp.ones(3), jnp.ones(3) + x, 2 * x, jnp.where(x > 1, x, 0)):
        assert result.device is gpus[0]


def test_default_device(gpus):
    with nrx.default_device("gpu:1"):
        x = jnp.zeros(3) + 1
        assert x.device is gpus[1]
        assert jnp.array([1, 2]).device is gpus[1]
    assert jnp.zeros(3).device.platform == "cpu"


def test_transformations_run_where_the_arguments_are(gpus):
    def loss(w, x):
        return jnp.sum(jnp.tanh(x @ w) ** 2) + jnp.mean(jnp.arange(3.0))

    w, x = np.ones((3, 2), "float32"), np.arange(6, dtype="float32").reshape(2, 3) / 6
    expected = nrx.grad(loss)(w, x)
    for transform in (nrx.grad(loss), nrx.jit(nrx.grad(loss)), nrx.grad(nrx.jit(loss))):
        got = transform(*nrx.device_put((w, x), gpus[0]))
        assert got.device is gpus[0]
        np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-6)
    rows = nrx.jit(nrx.vmap(lambda v: nrx.lax.scan(lambda c, a: (c + a, c * a), 0.0, v)))(nrx.device_put(x, gpus[1]))
    assert {leaf.device for leaf in nrx.tree.leaves(rows)} == {gpus[1]}


def test_a_pickle_from_a_gpu_opens_on_a_cpu(gpus, monkeypatch):
    x = nrx.device_put(jnp.arange(3.0), gpus[0])
    data = pickle.dumps({"x": x})
    assert copy.deepcopy(x).device is x.device
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert pickle.loads(data)["x"].device.platform == "cpu"
    assert b"cupy" not in data
