"""The case table on a GPU: on a real one where there is one (marked `gpu`), and everywhere on a stand-in for CuPy.

On the stand-in the arithmetic is NumPy's; it shows that nothing leaves the device and that nothing is used which CuPy
does not have. On a real device the results are compared with the CPU's.
"""

import numpy as np
import pytest
from fakes import cupy as fake
from test_primitives import assert_close, draw, each_case, is_elementwise, wide

import nrx
from nrx.core import backend, dtypes
from nrx.core.errors import BackendMissingError


@pytest.fixture
def stand_in(monkeypatch):
    fake.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    return backend.find_device("gpu:1")


@pytest.fixture(scope="module")
def gpu():
    try:
        return backend.find_device("gpu:0")
    except BackendMissingError as error:
        pytest.skip(f"no GPU here: {error.message}")


def inexact(function):
    """`function` with the results that can vary, as a list."""
    return lambda *args: [out for out in nrx.tree.leaves(function(*args)) if dtypes.is_inexact(out.dtype)]


def pulled_back(function, args):
    """The cotangents of all arguments for ones as cotangents of the results."""
    outs, pull_back = nrx.vjp(inexact(function), *args)
    cts = [nrx.device_put(np.ones(out.shape, out.dtype), out.device) for out in outs]
    return [ct for ct in pull_back(cts) if ct.dtype != dtypes.float0]


def check(case, dtype, device, ulp):
    """Eager, jit, vmap and vjp: the results stay on the device and are the CPU's."""
    host = draw(case, dtype)
    args = nrx.device_put(host, device)
    ways = [case.function, nrx.jit(case.function)]
    if case.order > 0 and any(dtypes.is_inexact(x.dtype) for x in host):
        ways.append(lambda *xs: pulled_back(case.function, xs))
    for way in ways:
        expected = nrx.tree.leaves(way(*nrx.device_put(host, "cpu")))
        outs = nrx.tree.leaves(way(*args))
        assert {out.device for out in outs if host} <= {device}
        for out, answer in zip(outs, expected, strict=True):
            assert out.dtype == answer.dtype
            assert_close(out, wide(np.asarray(answer)), ulp, is_elementwise(case), case.name)


@each_case(lambda case: bool(case.args))
def test_on_a_stand_in(case, stand_in):
    check(case, case.dtypes[0], stand_in, ulp=4)


@pytest.mark.gpu
@each_case(lambda case: bool(case.args))
def test_on_a_gpu(case, gpu):
    for dtype in case.dtypes:
        check(case, dtype, gpu, ulp=max(case.ulp, 8))
