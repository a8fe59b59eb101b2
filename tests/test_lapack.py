"""LU decompositions and triangular systems of all sizes, with LAPACK's routines and without, against SciPy."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import scipy.linalg

import nrx
from nrx.core import threads
from nrx.lax import linalg
from nrx.ops.linalg import lapack

RNG = np.random.default_rng(11)
DTYPES = ("float32", "float64", "complex64", "complex128")
SHAPES = ((1, 1), (3, 3), (2, 7, 5), (70, 70), (40, 90), (90, 40), (2, 3, 33, 33), (100, 5, 5), (0, 4, 4), (3, 0, 2))


@pytest.fixture(params=["LAPACK", "without"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(lapack, "routine", lambda name, dtype: None)


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    x = RNG.normal(size=shape)
    return (x + 1j * RNG.normal(size=shape) if dtype.startswith("c") else x).astype(dtype)


def tolerance(dtype: str) -> float:
    return 2e-3 if dtype in ("float32", "complex64") else 1e-11


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_lu(shape: tuple[int, ...], dtype: str, library: None) -> None:
    x = numbers(shape, dtype)
    for function in (linalg.lu, nrx.jit(linalg.lu))[: 2 if shape == (3, 3) else 1]:
        packed, pivots, permutation = map(np.asarray, function(x))
        assert (packed.dtype, pivots.dtype, permutation.dtype) == (x.dtype, np.int32, np.int32)
        for place in np.ndindex(shape[:-2]):
            if x[place].size:
                expected, exchanges = scipy.linalg.lu_factor(x[place].astype("complex128" if dtype[0] == "c" else "f8"))
                np.testing.assert_array_equal(pivots[place], exchanges)
                np.testing.assert_allclose(packed[place], expected, rtol=0, atol=tolerance(dtype) * abs(expected).max())
            order = list(range(shape[-2]))
            for i, j in enumerate(pivots[place]):
                order[i], order[j] = order[j], order[i]
            assert permutation[place].tolist() == order


@pytest.mark.parametrize("size", [3, 40])
def test_lu_of_singular_matrices(size: int, library: None) -> None:
    packed, pivots, _ = linalg.lu(np.zeros((size, size)))
    assert not np.any(packed)
    assert pivots.tolist() == list(range(size))
    x = RNG.normal(size=(2, size, size))
    x[0, :, 1] = np.nan
    packed, pivots, permutation = map(np.asarray, linalg.lu(x))
    assert np.isnan(packed[0]).any()
    np.testing.assert_allclose(packed[1], scipy.linalg.lu_factor(x[1])[0], rtol=1e-9, atol=1e-12)
    assert sorted(permutation[0]) == list(range(size))
    assert (pivots[0] >= np.arange(size)).all()
    assert (pivots[0] < size).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (100, 4, 4), (2, 70, 70)], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular_solve(lower: bool, transposed: bool, shape: tuple[int, ...], dtype: str, library: None) -> None:
    a = numbers(shape, dtype) / shape[-1] + 2 * np.eye(shape[-1], dtype=dtype)  # what is not read is no zero
    b = numbers((*shape[:-1], 3), dtype)
    for unit in (False, True):
        got = np.asarray(
            linalg.triangular_solve(a, b, left_side=True, lower=lower, transpose_a=transposed, unit_diagonal=unit)
        )
        for place in np.ndindex(shape[:-2]):
            expected = scipy.linalg.solve_triangular(
                a[place].astype("complex128"), b[place], trans=int(transposed), lower=lower, unit_diagonal=unit
            )
            np.testing.assert_allclose(got[place], expected, rtol=0, atol=tolerance(dtype) * abs(expected).max())


@pytest.mark.parametrize("size", [4, 70])
def test_triangular_solve_of_singular_matrices(size: int, library: None) -> None:
    a = np.tril(RNG.normal(size=(2, size, size))) / size + np.eye(size)
    a[0, 2, 2] = 0
    out = np.asarray(linalg.triangular_solve(a, np.ones((2, size, 2)), left_side=True, lower=True))
    assert np.isnan(out[0]).all()
    np.testing.assert_allclose(a[1] @ out[1], 1, rtol=1e-9)


def test_operands_stay_as_they_are(library: None) -> None:
    a, b = np.tril(RNG.normal(size=(20, 20))) + 5 * np.eye(20), RNG.normal(size=(20, 2))
    copies = a.copy(), b.copy()
    linalg.lu(a)
    linalg.triangular_solve(a, b, left_side=True, lower=True)
    np.testing.assert_array_equal(a, copies[0])
    np.testing.assert_array_equal(b, copies[1])


def test_threads_of_the_library_come_back() -> None:
    library = lapack._threads()
    if library is None:
        pytest.skip("NumPy brings another library")
    before = library._get()
    small, large = (lapack.threads_for(np.zeros((2, n, n))) for n in (3, 300))
    with small:
        assert library._get() == 1
    assert library._get() == before
    with large:
        assert library._get() == before
    with pytest.raises(ZeroDivisionError), small:
        1 / 0  # noqa: B018
    assert library._get() == before


@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (8000, 3, 3), (0, 2, 2), (4, 4)], ids=str)
def test_determinants(shape: tuple[int, ...], dtype: str) -> None:
    x = numbers(shape, dtype)
    expected = np.linalg.det(x.astype("complex128"))
    for function in (nrx.numpy.linalg.det, nrx.jit(nrx.numpy.linalg.det)):
        got = np.asarray(function(x))
        assert got.dtype == x.dtype
        size = 1 if not got.size else abs(expected).max()
        np.testing.assert_allclose(
            got, expected, rtol=0, atol=(2e-2 if dtype == "float16" else tolerance(dtype)) * size
        )


def test_no_routine_of_other_dtypes() -> None:
    assert lapack.routine("getrf", np.dtype(np.int32)) is None
    assert lapack.routine("no_such", np.dtype(np.float64)) is None


def well_conditioned(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return numbers(shape, dtype) / shape[-1] ** 0.5 + 3 * np.eye(shape[-1], dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (9, 2, 2), (40, 3, 3), (20, 4, 4), (6, 6), (2, 50, 50), (300, 300)], ids=str)
def test_systems_of_all_sizes(shape: tuple[int, ...], dtype: str, library: None) -> None:
    x = well_conditioned(shape, dtype)
    wide = x.astype("complex128" if dtype[0] == "c" else "float64")
    b = numbers((*shape[:-1], 3), dtype)
    products = wide @ wide.conj().swapaxes(-1, -2)
    factor = nrx.numpy.linalg.cholesky(products.astype(dtype))
    sign, logarithm = nrx.numpy.linalg.slogdet(x)
    expected_sign, expected_logarithm = np.linalg.slogdet(wide)
    for got, expected in (
        (nrx.numpy.linalg.solve(x, b), np.linalg.solve(wide, b)),
        (nrx.numpy.linalg.inv(x), np.linalg.inv(wide)),
        (factor, np.linalg.cholesky(products)),
        (sign, expected_sign),
        (logarithm, expected_logarithm),
        (nrx.numpy.linalg.det(x / 3), np.linalg.det(wide / 3)),
    ):
        assert got.dtype == (x.real.dtype if got is logarithm else x.dtype)
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance(dtype) / 10 * abs(expected).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 40, 210])
def test_matrices_that_fail_are_nan_alone(n: int, dtype: str, library: None) -> None:
    good = well_conditioned((n, n), dtype)
    good = good @ good.conj().T
    stack = np.stack([good, -good, good, 0 * good, np.where(np.eye(n) > 0, np.nan, good)] + [good] * 4)
    factors, solutions = nrx.numpy.linalg.cholesky(stack), nrx.numpy.linalg.solve(stack, stack)
    determinants = nrx.numpy.linalg.det(stack)
    for place in (1, 3, 4):
        assert np.isnan(factors[place]).all()
    assert np.isnan(solutions[4]).any()
    assert determinants[3] == 0
    assert np.isnan(determinants[4])
    for place in (0, 2, 5, 8):
        np.testing.assert_allclose(factors[place], np.linalg.cholesky(good), rtol=0, atol=2e-5 * abs(good).max())
        np.testing.assert_allclose(solutions[place], np.eye(n), rtol=0, atol=2e-4)


@pytest.mark.parametrize("function", ["qr", "svd", "eigh", "eig"])
def test_parts_of_a_batch_give_the_same_bits(function: str) -> None:
    x = RNG.normal(size=(2, 2500, 3, 3))
    x[1, 7] = np.nan
    before, results = nrx.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            nrx.set_num_threads(count)
            results.append([np.asarray(out) for out in getattr(nrx.numpy.linalg, function)(x)])
    finally:
        nrx.set_num_threads(before)
    for outs in results[1:]:
        for out, first in zip(outs, results[0], strict=True):
            assert out.tobytes() == first.tobytes()
    assert np.isnan(results[0][0][1, 7]).any()
    assert np.isfinite(results[0][0][1, 8:]).all()


def test_failures_of_parts_reach_the_caller() -> None:
    def fails(x: np.ndarray) -> list[np.ndarray]:
        if x[-1, 0] > 0:
            raise ValueError("the last part")
        return [x]

    x = np.zeros((1 << 12, 16))
    x[-1] = 1
    with pytest.raises(ValueError, match="the last part"):
        threads.in_parts(fails, [x], 1 << 14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_right_sides(dtype: str) -> None:
    for shape in ((40, 0), (2, 40, 0), (0, 40, 3)):
        a = np.broadcast_to(np.eye(40, dtype=dtype), (*shape[:-2], 40, 40))
        assert nrx.numpy.linalg.solve(a, np.zeros(shape, dtype)).shape == shape


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sign_of_an_infinite_determinant(dtype: str) -> None:
    for first in (np.inf, -np.inf):
        sign, logarithm = nrx.numpy.linalg.slogdet(np.diag([first] + [1.0] * 39).astype(dtype))
        assert (sign, logarithm) == (np.sign(first), np.inf)


def test_bits_do_not_depend_on_other_threads() -> None:
    """The library's number of threads is one for the process: decompositions of both kinds wait for each other."""
    x, small = np.eye(300) * 2 + 0.1, RNG.normal(size=(50, 60, 60))
    alone = np.asarray(nrx.numpy.linalg.cholesky(x)).tobytes()
    stop = Event()

    def others() -> None:
        while not stop.is_set():
            nrx.numpy.linalg.svd(small)

    with ThreadPoolExecutor() as pool:
        done = pool.submit(others)
        try:
            found = {np.asarray(nrx.numpy.linalg.cholesky(x)).tobytes() for _ in range(8)}
        finally:
            stop.set()
        done.result()
    assert found == {alone}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_inside_restores_the_number_of_threads() -> None:
    code = """if True:
        import os
        import numpy as np
        from nrx.ops.linalg import lapack
        x, threads = np.ones((2, 60, 60)), lapack._threads()
        usual = threads._get() if threads else None
        with lapack.threads_for(x):
            if (child := os.fork()) == 0:
                with lapack.threads_for(x):
                    pass
                os._exit(threads is not None and threads._get() != usual)
            assert os.waitpid(child, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)
