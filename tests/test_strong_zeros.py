"""Derivatives through `where` do not become NaN by the side that was not chosen; NaN of the chosen side stays."""

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp

FUNCTIONS = {
    "sqrt": (lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0), lambda x: 0.5 / np.sqrt(x)),
    "log": (lambda x: jnp.where(x > 0, jnp.log(x), 0.0), lambda x: 1 / x),
    "reciprocal": (lambda x: jnp.where(x > 0, 1 / x, 5.0), lambda x: -1 / x**2),
    "inside another": (
        lambda x: jnp.where(x > -1, jnp.where(x > 0, jnp.sqrt(x), 0.0) * 2, 1.0),
        lambda x: 1 / np.sqrt(x),
    ),
    "used twice": (lambda x: jnp.where(x > 0, jnp.sqrt(x) + jnp.log(x), 0.0), lambda x: 0.5 / np.sqrt(x) + 1 / x),
}
TRANSFORMS = {
    "grad": nrx.grad,
    "jit of grad": lambda f: nrx.jit(nrx.grad(f)),
    "grad of jit": lambda f: nrx.grad(nrx.jit(f)),
    "vmap": lambda f: lambda x: nrx.vmap(nrx.grad(f))(x[None])[0],
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize(("function", "slope"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_side_not_chosen(function, slope, transform):
    gradient = transform(function)
    assert float(gradient(jnp.array(0.0, "float64"))) == 0
    np.testing.assert_allclose(float(gradient(jnp.array(2.0, "float64"))), slope(2.0), rtol=1e-14)


def test_second_derivative():
    function = FUNCTIONS["sqrt"][0]
    assert float(nrx.grad(nrx.grad(function))(0.0)) == 0


def test_chosen_nan_stays():
    gradient = nrx.grad(lambda x: jnp.where(x < 0, jnp.sqrt(x), x))
    assert np.isnan(float(gradient(-1.0)))


def test_summed_contributions_stay():
    """An element masked in one contribution only keeps the other."""
    gradient = nrx.grad(lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0) + 3 * x))
    np.testing.assert_array_equal(np.asarray(gradient(jnp.array([0.0, 0.25]))), [3.0, 4.0])


def test_opt_out():
    gradient = nrx.jit(nrx.grad(FUNCTIONS["sqrt"][0]))
    assert float(gradient(0.0)) == 0
    with nrx.config.using(strong_zeros=False):
        assert np.isnan(float(gradient(0.0)))
