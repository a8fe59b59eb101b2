"""`nrx.experimental.ode.odeint` beside SciPy, closed forms, finite differences and JAX."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentTypeError, DifferentiationError, DTypeError, ShapeError, TreeError
from nrx.experimental.ode import odeint
from nrx.testing import check_grads

EXACT = {"rtol": 1e-11, "atol": 1e-11}
TIMES = np.array([0.0, 0.3, 1.1, 2.5])


def van_der_pol(y: Any, t: Any, mu: Any) -> Any:
    return jnp.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])


def pendulum(y: Any, t: Any, args: Any) -> Any:
    """Driven and damped; the state and the arguments are trees."""
    force = args["drive"] * jnp.cos(args["omega"] * t)
    return {"angle": y["speed"], "speed": force - jnp.sin(y["angle"]) - 0.1 * y["speed"]}


def forced(y: Any, t: Any, a: Any) -> Any:
    return a * jnp.cos(t) - y**2


def by_scipy(function: Callable, y0: Any, t: Any, *args: Any) -> np.ndarray:
    """The same equation, solved to 12 digits."""
    slope = lambda t, y: np.asarray(function(y, t, *args))
    found = scipy.integrate.solve_ivp(slope, (t[0], t[-1]), y0, method="DOP853", t_eval=t, rtol=1e-12, atol=1e-13)
    return found.y.T


@pytest.mark.parametrize("transform", [lambda f: f, nrx.jit])
@pytest.mark.parametrize(
    ("function", "y0", "args", "t"),
    [
        (van_der_pol, [2.0, 0.0], (np.float64(2),), np.linspace(0, 10, 11)),
        (van_der_pol, [2.0, 0.0], (np.float64(2),), np.array([3.0, 2.0, 0.5, -1.0])),
        (forced, [0.3, -0.2, 1.0], (np.float64(1.5),), TIMES),
    ],
)
def test_as_scipy(function: Callable, y0: list, args: tuple, t: np.ndarray, transform: Callable) -> None:
    expected = by_scipy(function, y0, t, *args)
    for options, tolerance in (({}, 1e-6), (EXACT, 2e-9)):
        solve = transform(lambda y0, t, args, options=options: odeint(function, y0, t, *args, **options))
        ys = solve(np.array(y0), t, args)
        np.testing.assert_allclose(ys, expected, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(ys[0], y0)


def test_closed_forms() -> None:
    """Of an oscillation in the complex plane, of a function of t alone, and of times at which nothing moves."""
    ys = odeint(lambda y, t: 1j * y, np.complex128(1 + 0j), TIMES, **EXACT)
    np.testing.assert_allclose(ys, np.exp(1j * TIMES), rtol=1e-9)
    ys = odeint(lambda y, t: 5 * t**4 + 0 * y, np.float64(1), TIMES, **EXACT)
    np.testing.assert_allclose(ys, 1 + TIMES**5, rtol=1e-9)
    ys = odeint(lambda y, t: y, np.float64(1), np.array([0.0, 1.0, 1.0, 2.0]), **EXACT)
    np.testing.assert_allclose(ys, np.exp([0, 1, 1, 2]), rtol=1e-9)
    assert odeint(lambda y, t: y, np.ones((2, 3)), np.array([1.5])).shape == (1, 2, 3)
    np.testing.assert_array_equal(odeint(lambda y, t: 0 * y, np.ones(2), TIMES), np.ones((4, 2)))
    assert odeint(lambda y, t: y, np.ones((0, 3)), TIMES).shape == (4, 0, 3)
    assert odeint(lambda y, t: y, {}, TIMES) == {}


def test_the_function_is_not_called_beyond_the_end() -> None:
    ys = odeint(lambda y, t: jnp.sqrt(4 - t**2) + 0 * y, np.float64(0), np.array([0.0, 2.0]), **EXACT)
    np.testing.assert_allclose(ys[1], np.pi, rtol=1e-6)


def test_dtypes_and_trees() -> None:
    ys = odeint(pendulum, {"angle": 1.0, "speed": 0.0}, jnp.linspace(0, 1, 3), {"drive": 1, "omega": 2.0})
    assert ys["angle"].dtype == ys["speed"].dtype == jnp.float32
    assert ys["angle"].shape == (3,)
    assert odeint(lambda y, t: -y, 1, np.arange(3)).dtype == jnp.float32  # integers
    assert odeint(lambda y, t: -y * t, jnp.ones(2), TIMES).dtype == jnp.float32  # times in float64
    # float32 times are no reason for an error of 1e-7
    ys = odeint(lambda y, t: -y, np.float64(1), jnp.array([0.0, 1.0]), **EXACT)
    np.testing.assert_allclose(ys[1], np.exp(-1), rtol=1e-10)
    mixed = odeint(lambda y, t: (-y[0], -y[1]), (jnp.ones(2), np.ones(3)), TIMES)
    assert (mixed[0].dtype, mixed[1].dtype) == (jnp.float32, np.float64)


@pytest.mark.parametrize("transform", [lambda f: f, nrx.jit])
def test_derivatives(transform: Callable) -> None:
    """In y0, in all times and in the parameters."""
    f = transform(lambda y0, t, a: odeint(forced, y0, t, a, **EXACT))
    check_grads(f, (np.array([0.3, -0.2]), TIMES[:3], np.float64(1.5)), order=1, modes="rev")


def test_derivatives_back_in_time_of_trees_and_closures() -> None:
    def f(y0: Any, t: Any, args: Any, damping: Any) -> Any:
        slope = lambda y, t, args: {**pendulum(y, t, args), "angle": y["speed"] * damping}
        return odeint(slope, y0, t, args, **EXACT)

    args = {"drive": np.float64(0.7), "omega": np.float64(1.5), "unused": np.int32(3)}
    y0 = {"angle": np.float64(0.4), "speed": np.float64(0.1)}
    check_grads(nrx.jit(f), (y0, np.array([1.0, 0.2]), args, np.float64(0.9)), order=1, modes="rev")


def test_second_derivatives() -> None:
    f = nrx.jit(lambda y0, a: odeint(forced, y0, np.array([0.0, 0.7]), a, **EXACT)[1])
    check_grads(f, (np.float64(0.3), np.float64(1.5)), order=2, modes="rev")


def test_complex_derivatives() -> None:
    f = lambda y0, a: odeint(lambda y, t, a: a * y + t, y0, np.array([0.0, 0.7]), a, **EXACT)[1]
    check_grads(nrx.jit(f), (np.complex128(1 - 2j), np.complex128(0.3 + 1j)), order=1, modes="rev")


def test_integers_that_are_closed_over() -> None:
    f = nrx.jit(lambda n, y: odeint(lambda y, t: -n * y, y, np.array([0.0, 1.0]), **EXACT)[1])
    np.testing.assert_allclose(f(2, np.float64(1)), np.exp(-2), rtol=1e-9)
    np.testing.assert_allclose(nrx.grad(f, 1)(2, np.float64(1)), np.exp(-2), rtol=1e-9)


def test_many_at_once() -> None:
    y0, a = np.array([[0.3, -0.2], [1.0, 2.0], [0.0, 0.1]]), np.array([1.5, 0.2, -0.3])
    solve = lambda y0, a: odeint(forced, y0, TIMES, a, rtol=1e-9, atol=1e-9)
    both = nrx.jit(nrx.vmap(solve))(y0, a)
    np.testing.assert_allclose(both, [solve(*pair) for pair in zip(y0, a, strict=True)], rtol=1e-12)
    loss = lambda y0, a: solve(y0, a)[-1].sum()
    slopes = nrx.jit(nrx.vmap(nrx.grad(loss, (0, 1))))(y0, a)
    for i in range(3):
        for ours, alone in zip(slopes, nrx.grad(loss, (0, 1))(y0[i], a[i]), strict=True):
            np.testing.assert_allclose(ours[i], alone, rtol=1e-8)
    shared = nrx.grad(lambda a: nrx.vmap(solve, in_axes=(0, None))(y0, a)[:, -1].sum())(np.float64(0.5))
    np.testing.assert_allclose(shared, sum(nrx.grad(loss, 1)(row, np.float64(0.5)) for row in y0), rtol=1e-7)


def test_limits() -> None:
    ys = odeint(van_der_pol, np.array([2.0, 0.0]), np.array([0.0, 0.01, 10.0]), 2.0, mxstep=20)
    assert np.isfinite(ys[1]).all()
    assert np.isnan(ys[2]).all()
    ys = odeint(lambda y, t: y**2, np.float64(1), np.array([0.0, 0.9, 1.5]))  # infinite at 1
    np.testing.assert_allclose(ys[1], 10, rtol=1e-5)
    assert np.isnan(ys[2])
    # A pulse that long steps miss.
    pulse = lambda y, t: jnp.where((t > 5) & (t < 5.1), 10.0, 0.0) + 0 * y
    ends = np.array([0.0, 10.0])
    assert abs(float(odeint(pulse, np.float64(0), ends, hmax=0.02)[1]) - 1) < 1e-4
    assert np.isnan(odeint(lambda y, t: y * jnp.nan, np.float64(1), ends)[1])


@pytest.mark.slow
def test_as_jax() -> None:
    jax = pytest.importorskip("jax")
    from jax.experimental.ode import odeint as theirs

    def loss(odeint: Any, np_: Any) -> Callable:
        def slope(y: Any, t: Any, w: Any) -> Any:
            return np_.tanh(w @ y) - 0.1 * y * t

        return lambda w, y0, t: (odeint(slope, y0, t, w, rtol=1e-10, atol=1e-10) ** 2).sum()

    rng = np.random.default_rng(0)
    args = rng.normal(size=(3, 3)), rng.normal(size=3), TIMES
    ours = nrx.jit(nrx.value_and_grad(loss(odeint, jnp), (0, 1, 2)))(*args)
    with jax.enable_x64(True):
        expected = jax.value_and_grad(loss(theirs, jax.numpy), (0, 1, 2))(*map(jax.numpy.asarray, args))
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-8)
    for a, b in zip(ours[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_mistakes() -> None:
    y = jnp.ones(2)
    with pytest.raises(ArgumentTypeError, match="odeint needs a function"):
        odeint(3.0, y, TIMES)
    with pytest.raises(ShapeError, match="t must be a vector"):
        odeint(lambda y, t: y, y, 1.0)
    with pytest.raises(ShapeError, match="t must be a vector"):
        odeint(lambda y, t: y, y, TIMES * 1j)
    with pytest.raises(TreeError, match="func returns another structure"):
        odeint(lambda y, t: (y,), y, TIMES)
    with pytest.raises(ShapeError, match="func returns"):
        odeint(lambda y, t: y[1:], y, TIMES)
    with pytest.raises(DTypeError, match="complex y0"):
        odeint(lambda y, t: 1j * y, y, TIMES)
    with pytest.raises(ArgumentTypeError, match="odeint: args"):
        odeint(lambda y, t, a: y, y, TIMES, "a")
    with pytest.raises(DifferentiationError, match="forward mode"):
        nrx.jvp(lambda y: odeint(lambda y, t: y, y, TIMES), (y,), (y,))
