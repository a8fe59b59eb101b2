"""The case table on a GPU: on a real one where there is one (marked `gpu`), and everywhere on a stand-in for CuPy.

On the stand-in the arithmetic is NumPy's; it shows that nothing leaves the device and that nothing is used which CuPy
does not have. On a real device the results are compared with the CPU's.
"""

import numpy as np
import pytest
from fakes import cupy as fake
from test_primitives import (
    assert_close,
    differentiable,
    draw,
    each_case,
    has_gradients,
    is_elementwise,
    of_positions,
    wide,
)

import nrx
from nrx.core import backend
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


def pull_back_ones(case, args):
    """The cotangents of the differentiable arguments for ones as cotangents of the results."""
    positions = differentiable(case, args)
    outs, pull_back = nrx.vjp(of_positions(case.function, args, positions), *[args[i] for i in positions])
    return pull_back([nrx.device_put(np.ones(out.shape, out.dtype), out.device) for out in outs])


def check(case, dtype, device, ulp):
    """Eager, jit and vjp: results stay on the device and are the CPU's. (Zeros never computed are uncommitted.)"""
    ways = [case.function, nrx.jit(case.function)]
    if has_gradients(case):
        ways.append(lambda *args: pull_back_ones(case, args))
    for way in ways:
        expected, outs = (nrx.tree.leaves(way(*nrx.device_put(draw(case, dtype), d))) for d in ("cpu", device))
        assert {out.device for out in outs if out.committed} <= {device}
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
