"""Slopes beside elements that are large or not finite, and angles along an empty axis, against NumPy."""

import numpy as np
import pytest

import nrx.numpy as jnp


@pytest.mark.parametrize("spacing", [(), (0.5,), (np.arange(6.0),), (np.array([0.0, 1.0, 2.0, 4.0, 6.5, 7.0]),)])
@pytest.mark.parametrize("x", [[1, 1e9, 2, 5, 3, 1], [1, np.inf, 2, 4, 7, 9], [1, 2, np.nan, 4, 7, 9]])
def test_the_middle_element_does_not_enter_a_central_slope(x, spacing):
    x = np.array(x, np.float64)
    with np.errstate(invalid="ignore"):
        want = np.gradient(x, *spacing)
    np.testing.assert_allclose(np.asarray(jnp.gradient(x, *spacing)), want, rtol=1e-12)


def test_a_large_middle_element_leaves_a_float32_slope():
    x = np.array([1, 1e9, 2, 5], np.float32)
    assert float(jnp.gradient(x)[1]) == 0.5


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_unwrap_of_no_elements(shape):
    x = np.zeros(shape, np.float32)
    assert jnp.unwrap(x).shape == np.unwrap(x).shape
