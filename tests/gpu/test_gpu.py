"""The case table on a GPU: a real one where there is one (marked `gpu`), and everywhere a stand-in for CuPy.

On the stand-in the arithmetic is NumPy's, so results are equal to the bit; it shows that nothing leaves the device and
that nothing is used which CuPy does not have. On a real device the case's own tolerance applies.
"""

import numpy as np
import pytest

import nrx
from nrx.core import backend
from nrx.core.errors import BackendMissingError
from tests.cases.table import ALL_CASES
from tests.fakes import cupy as fake


@pytest.fixture
def fake_gpu(monkeypatch):
    fake.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    return backend.find_device("gpu:0")


@pytest.fixture(scope="module")
def real_gpu():
    try:
        return backend.find_device("gpu:0")
    except BackendMissingError as error:
        pytest.skip(f"no GPU: {error.message}")


def _arguments(case, dtype):
    rng = np.random.default_rng(7)
    return [arg.make(rng, dtype) for arg in case.args]


def _on(device, case, arguments, transform=lambda f: f):
    placed = nrx.device_put(arguments, device)
    return nrx.tree.leaves(transform(case.function)(*placed))
