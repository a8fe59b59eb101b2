"""`nrx.scipy.optimize.minimize` beside SciPy, in float64."""

from typing import Any

import numpy as np
import pytest
import scipy.optimize as reference

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ArgumentTypeError, MissingRuleError, ShapeError
from nrx.scipy.optimize import OptimizeResults, minimize

METHODS = ["BFGS", "L-BFGS"]


def rosenbrock(x: Any) -> Any:
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(x: Any) -> Any:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def matyas(x: Any) -> Any:
    return 0.26 * (x[0] ** 2 + x[1] ** 2) - 0.48 * x[0] * x[1]


def eggholder(x: Any) -> Any:
    return -(x[1] + 47) * jnp.sin(jnp.sqrt(jnp.abs(x[0] / 2 + x[1] + 47))) - x[0] * jnp.sin(
        jnp.sqrt(jnp.abs(x[0] - (x[1] + 47)))
    )


CASES = [
    (rosenbrock, [-1.2, 1.0]), (rosenbrock, [0.5, -0.3, 0.7, 1.2, 0.1]), (himmelblau, [1.0, 1.0]),
    (himmelblau, [-2.0, 3.0]), (matyas, [2.0, 3.0]), (eggholder, [100.0, 100.0]),
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("fun", "start"), CASES)
def test_minima(fun: Any, start: list, method: str) -> None:
    """Where SciPy ends, in about as many evaluations."""
    x0 = np.array(start)
    found = nrx.jit(lambda x: minimize(fun, x, method=method, options={"gtol": 1e-6}))(x0)
    name = "BFGS" if method == "BFGS" else "L-BFGS-B"
    gradient = lambda x: np.asarray(nrx.grad(fun)(x))
    theirs = reference.minimize(lambda x: float(fun(x)), x0, jac=gradient, method=name, options={"gtol": 1e-6})
    assert found.success
    assert found.status == 0
    np.testing.assert_allclose(found.x, theirs.x, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(found.fun, theirs.fun, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.jac, gradient(np.asarray(found.x)), rtol=1e-9, atol=1e-12)
    assert found.nfev <= 2 * theirs.nfev + 10
    assert found.nit <= found.nfev == found.njev
    assert found.x.dtype == np.float64


@pytest.mark.parametrize("method", METHODS)
def test_quadratic(method: str) -> None:
    """The minimum of a quadratic form, with arguments; BFGS finds the Hessian as well."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 5)), rng.normal(size=5)
    a = a @ a.T + np.eye(5)
    fun = lambda x, a, more: x @ a @ x / 2 - more["b"] @ x
    found = minimize(fun, np.zeros(5), (a, {"b": b}), method=method, tol=1e-9)
    np.testing.assert_allclose(found.x, np.linalg.solve(a, b), rtol=1e-5, atol=1e-6)
    if method == "BFGS":
        np.testing.assert_allclose(found.hess_inv, np.linalg.inv(a), atol=0.05)
    else:
        assert found.hess_inv is None


@pytest.mark.parametrize("method", [*METHODS, "bfgs", "l-bfgs-experimental-do-not-rely-on-this"])
def test_float32_and_eagerly(method: str) -> None:
    found = minimize(himmelblau, jnp.array([1.0, 1.0]), method=method, options={"gtol": 1e-2})
    assert found.success
    assert found.x.dtype == found.fun.dtype == jnp.float32
    np.testing.assert_allclose(found.x, [3, 2], atol=1e-4)
    assert minimize(matyas, np.array([1, 2]), method=method).x.dtype == jnp.float32


@pytest.mark.parametrize("method", METHODS)
def test_many_at_once(method: str) -> None:
    starts = np.array([[1.0, 1.0], [-2.0, 3.0], [-3.0, -3.0], [3.0, 2.0]])
    found = nrx.jit(nrx.vmap(lambda x: minimize(himmelblau, x, method=method)))(starts)
    assert isinstance(found, OptimizeResults)
    for i, start in enumerate(starts):
        alone = minimize(himmelblau, start, method=method)
        np.testing.assert_allclose(found.x[i], alone.x, rtol=1e-6)
        assert (found.nit[i], found.nfev[i], found.status[i]) == (alone.nit, alone.nfev, alone.status)
    assert found.nit[3] == 0


@pytest.mark.parametrize("method", METHODS)
def test_complex(method: str) -> None:
    """|z^2 - c|^2 summed up, whose minima are square roots."""
    c = np.array([1 + 2j, -3 + 0.5j, -1j])
    fun = lambda z: jnp.sum(jnp.abs(z**2 - c) ** 2)
    found = minimize(fun, np.ones(3, complex), method=method)
    assert found.success
    np.testing.assert_allclose(np.asarray(found.x) ** 2, c, atol=1e-5)
    np.testing.assert_allclose(found.jac, nrx.grad(fun)(found.x), atol=1e-10)


def test_forward_derivatives() -> None:
    """Those of the steps, which are those of the minimum where it is exact."""
    f = lambda a: minimize(lambda x: jnp.sum((x - a) ** 2), np.zeros(2)).x
    np.testing.assert_allclose(nrx.jacfwd(f)(np.array([1.0, 2.0])), np.eye(2), atol=1e-6)
    with pytest.raises(MissingRuleError, match="reverse mode"):
        nrx.jacrev(f)(np.array([1.0, 2.0]))


@pytest.mark.parametrize("method", METHODS)
def test_status(method: str) -> None:
    few = {"maxiter": 3}
    assert minimize(rosenbrock, np.array([-1.2, 1.0]), method=method, options=few)[1:3] == (False, 1)
    assert minimize(rosenbrock, np.array([-1.2, 1.0]), method=method, options=few).nit == 3
    assert minimize(rosenbrock, np.array([-1.2, 1.0]), method=method, options={"maxiter": 0}).nfev == 1
    assert minimize(lambda x: x.sum() * jnp.nan, np.ones(2), method=method).status == -1
    assert minimize(lambda x: jnp.sqrt(x.sum()), np.zeros(2), method=method).status == -1  # an infinite gradient
    assert minimize(lambda x: x.sum(), np.ones(2), method=method).status == 5  # no minimum on the line
    exact = {} if method == "BFGS" else {"ftol": 0}
    # Steps where the function is not finite are too long.
    start = np.array([1e-3, 30.0])
    found = minimize(lambda x: jnp.sum(x - jnp.log(x)), start, method=method, options={"gtol": 1e-6, **exact})
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_begun_at_the_minimum(method: str) -> None:
    found = minimize(lambda x: jnp.sum((x - 3) ** 2), np.full(2, 3.0), method=method, options={"gtol": 0})
    assert found[1:3] == (True, 0)
    assert (found.nit, found.nfev) == (0, 1)


def test_limits_of_lbfgs() -> None:
    x = np.array([-1.2, 1.0])
    for option in ("maxfun", "maxgrad"):
        found = minimize(rosenbrock, x, method="L-BFGS", options={option: 8})
        assert found.status == 2
        assert 8 <= found.nfev <= 38
    loose = minimize(rosenbrock, x, method="L-BFGS", options={"ftol": 0.5, "gtol": 0})
    assert loose.success
    assert loose.nit < minimize(rosenbrock, x, method="L-BFGS").nit
    assert minimize(rosenbrock, x, method="L-BFGS", options={"maxcor": 2}).success


def test_mistakes() -> None:
    x = jnp.ones(2)
    for method in ("newton", None):
        with pytest.raises(ArgumentError, match=f"method {method!r}"):
            minimize(himmelblau, x, method=method)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="options must be a mapping"):
        minimize(himmelblau, x, options=[("gtol", 1)])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="no option 'maxls'"):
        minimize(himmelblau, x, options={"maxls": 3})
    with pytest.raises(ArgumentTypeError, match="args must be a tuple"):
        minimize(himmelblau, x, 3.0)
    with pytest.raises(ShapeError, match="x0 must be a vector"):
        minimize(himmelblau, jnp.ones((2, 2)))
    with pytest.raises(ShapeError, match="at least 1"):
        minimize(himmelblau, jnp.ones(0))
    with pytest.raises(ShapeError, match="real scalar"):
        minimize(lambda x: x, x)
    with pytest.raises(ArgumentTypeError, match="function"):
        minimize(3.0, x)
