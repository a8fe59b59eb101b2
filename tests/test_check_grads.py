"""`nrx.testing.check_grads`: it accepts right derivatives, and finds wrong ones in every mode and order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nrx
from nrx import numpy as jnp
from nrx.testing import check_grads

X = np.array([0.3, -0.8, 1.2])


def sine(rule: Callable[[Any, Any], Any]) -> Callable:
    """sin with `rule(x, t)` for its tangent."""
    function = nrx.custom_jvp(jnp.sin)
    function.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), rule(primals[0], tangents[0])))
    return function


def test_accepts_trees_integers_and_several_results() -> None:
    def function(parameters: dict, count: Any) -> Any:
        return {"a": jnp.sin(parameters["w"]) * count, "b": (parameters["z"] ** 2, count + 1)}

    check_grads(function, ({"w": X, "z": 1 + X * 1j}, np.int32(3)), order=2)


@pytest.mark.parametrize("function", [jnp.abs, jnp.real, jnp.conj, lambda z: jnp.imag(z * z)])
def test_accepts_functions_that_are_not_holomorphic(function: Callable) -> None:
    check_grads(function, (X + 1j * X[::-1],), order=2)


def test_takes_float32_in_float64() -> None:
    check_grads(jnp.exp, (X.astype(np.float32),), order=3)


@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_finds_a_wrong_derivative(mode: str) -> None:
    wrong = sine(lambda x, t: t * jnp.cos(x) * 1.0001)
    with pytest.raises(AssertionError, match="jvp" if mode == "fwd" else "vjp"):
        check_grads(wrong, (X,), 1, modes=(mode,))


def test_finds_a_wrong_element() -> None:
    wrong = sine(lambda x, t: t * jnp.where(x > 1, 0.0, jnp.cos(x)))
    with pytest.raises(AssertionError, match="finite differences"):
        check_grads(wrong, (X,), 1)


@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_finds_a_wrong_second_derivative(mode: str) -> None:
    wrong = sine(lambda x, t: t * nrx.lax.stop_gradient(jnp.cos(x)))
    check_grads(wrong, (X,), 1, modes=mode)
    with pytest.raises(AssertionError, match=r"jvp of jvp" if mode == "fwd" else r"vjp of vjp"):
        check_grads(wrong, (X,), 2, modes=mode)


def test_finds_a_wrong_vjp_alone() -> None:
    square = nrx.custom_vjp(jnp.square)
    square.defvjp(lambda x: (jnp.square(x), x), lambda x, ct: (3 * x * ct,))
    with pytest.raises(AssertionError, match="vjp"):
        check_grads(square, (X,), 1, modes="rev")


def test_finds_a_value_that_differs() -> None:
    function = nrx.custom_jvp(jnp.sin)
    function.defjvp(lambda primals, tangents: (jnp.cos(primals[0]), tangents[0] * jnp.cos(primals[0])))
    with pytest.raises(AssertionError, match="the value that jvp"):
        check_grads(function, (X,), 1, modes="fwd")


def test_finds_a_missing_conjugation() -> None:
    modulus = nrx.custom_jvp(lambda z: jnp.real(z * jnp.conj(z)))
    modulus.defjvp(lambda p, t: (jnp.real(p[0] * jnp.conj(p[0])), 2 * jnp.real(p[0] * t[0])))
    with pytest.raises(AssertionError, match="jvp"):
        check_grads(modulus, (X + 0.5j,), 1)


def test_rejects_unknown_modes() -> None:
    with pytest.raises(nrx.errors.ArgumentError, match="forward"):
        check_grads(jnp.sin, (X,), 1, modes=("forward",))
