"""The methods of universal functions against NumPy's: eager, under jit, differentiated."""

from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.core import errors
from nrx.testing import check_grads

RNG = np.random.default_rng(6)
FLOATS, INTEGERS = RNG.uniform(0.5, 2, (3, 4, 5)), RNG.integers(0, 7, (3, 4, 5))
BUILT_IN = [
    *((name, FLOATS) for name in ("add", "subtract", "multiply", "maximum", "minimum", "logaddexp", "logaddexp2")),
    *((f"bitwise_{name}", INTEGERS) for name in ("and", "or", "xor")),
    *((f"logical_{name}", INTEGERS) for name in ("and", "or", "xor")),
    *((name, INTEGERS) for name in ("add", "subtract", "multiply", "maximum")),
]
built_in = pytest.mark.parametrize(("name", "data"), BUILT_IN)


def assert_close(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(got), expected, 1e-12)
    assert got.shape == np.shape(expected)


@built_in
@pytest.mark.parametrize("axis", [0, -1])
def test_reduce_and_accumulate(name: str, data: np.ndarray, axis: int) -> None:
    ours, theirs = getattr(jnp, name), getattr(np, name)
    x, held = jnp.array(data), data > 1
    for options in ({}, {"keepdims": True}, {"initial": 3}, {"initial": 3, "where": held}):
        assert_close(ours.reduce(x, axis, **options), theirs.reduce(data, axis, **options))
        got = nrx.jit(lambda x, options=options: ours.reduce(x, axis, **options))(x)
        assert_close(got, theirs.reduce(data, axis, **options))
    assert_close(ours.accumulate(x, axis), theirs.accumulate(data, axis))
    assert_close(nrx.vmap(lambda x: ours.accumulate(x))(x), theirs.accumulate(data, 1))


@built_in
def test_reduceat_at_and_outer(name: str, data: np.ndarray) -> None:
    ours, theirs = getattr(jnp, name), getattr(np, name)
    x, starts = jnp.array(data), np.array([0, 3, 1, 2, 2])
    assert_close(ours.reduceat(x, starts, 1), theirs.reduceat(data, starts, 1))
    assert_close(nrx.jit(lambda x, i: ours.reduceat(x, i, axis=-1))(x, starts), theirs.reduceat(data, starts, -1))
    changed, values = data.copy(), data[:, 0, :1] + 1
    index = (np.array([0, 1, 0]), slice(None), 2)
    theirs.at(changed, index, values)
    assert_close(ours.at(x, index, values, inplace=False), changed.astype(data.dtype))
    assert_close(ours.outer(x[0], x[1, 0]), theirs.outer(data[0], data[1, 0]))


def test_axes_and_dtypes() -> None:
    x = jnp.array(FLOATS)
    assert_close(jnp.add.reduce(x, axis=None), FLOATS.sum())
    assert_close(jnp.logaddexp.reduce(x, axis=(0, 2)), np.logaddexp.reduce(FLOATS, axis=(0, 2)))
    assert jnp.maximum.reduce(x, dtype="float32").dtype == "float32"
    assert jnp.subtract.accumulate(x, dtype="float32").dtype == "float32"
    assert jnp.logical_xor.reduce(jnp.array(INTEGERS)).dtype == "bool"
    assert jnp.bitwise_xor.reduce(jnp.array(INTEGERS, "uint8")).dtype == "uint8"


def test_nothing() -> None:
    assert jnp.logaddexp.reduce(jnp.zeros((0, 2))).tolist() == [-np.inf, -np.inf]
    assert jnp.bitwise_and.reduce(jnp.zeros((0,), "int8")) == -1
    assert jnp.subtract.accumulate(jnp.zeros((2, 0)), 1).shape == (2, 0)
    assert jnp.add.reduceat(jnp.zeros(3), jnp.zeros(0, "int32")).shape == (0,)
    with pytest.raises(errors.ArgumentError, match=r"subtract.reduce has nothing to begin with"):
        jnp.subtract.reduce(jnp.zeros((0, 2)))
    with pytest.raises(errors.ArgumentError, match=r"initial="):
        jnp.subtract.reduce(jnp.zeros(2), where=np.array([True, False]))


def test_unary() -> None:
    changed = FLOATS.copy()
    np.negative.at(changed, [0, 2, 0])
    assert_close(jnp.negative.at(jnp.array(FLOATS), np.array([0, 2, 0]), inplace=False), changed)
    with pytest.raises(errors.ArgumentError, match=r"negative.reduce is for functions of 2 arrays"):
        jnp.negative.reduce(jnp.zeros(3))
    with pytest.raises(errors.ArgumentError, match=r"negative.at: a function of 1 arrays got 2"):
        jnp.negative.at(jnp.zeros(3), 0, 1.0, inplace=False)


def test_attributes() -> None:
    for name in dict(BUILT_IN):
        ours, theirs = getattr(jnp, name), getattr(np, name)
        assert (ours.nin, ours.nout, ours.nargs) == (theirs.nin, theirs.nout, theirs.nargs)
        assert ours.identity == theirs.identity


def test_in_place_is_refused() -> None:
    with pytest.raises(errors.ImmutableError, match="inplace=False"):
        jnp.add.at(jnp.zeros(3), 0, 1.0)
    with pytest.raises(errors.ArgumentError, match="out"):
        jnp.add.reduce(jnp.zeros(3), out=jnp.zeros(()))


def test_indices_are_checked() -> None:
    with pytest.raises(IndexError):
        jnp.add.reduceat(jnp.zeros(3), np.array([0, 3]))
    with pytest.raises(errors.ShapeError, match="vector of indices"):
        jnp.add.reduceat(jnp.zeros(3), np.zeros((1, 1), int))
    assert_close(jnp.add.reduceat(jnp.ones(300), np.array([0, 100], np.int8)), [100, 200])


def test_derivatives() -> None:
    x = jnp.array(FLOATS[0])
    for function in (
        lambda x: jnp.subtract.reduce(x * x),
        lambda x: jnp.logaddexp.accumulate(x),
        lambda x: jnp.multiply.reduceat(x, np.array([0, 2, 1])),
        lambda x: jnp.logaddexp.at(x, np.array([0, 1, 0]), x[:3] * x[:3], inplace=False),
        lambda x: jnp.multiply.outer(x, x[0]),
    ):
        check_grads(function, (x,), order=2)


def test_frompyfunc() -> None:
    def function(x: Any, y: Any) -> Any:
        return jnp.where(x > y, x - y, 2 * x)

    ours = jnp.frompyfunc(function, 2, 1)
    theirs = np.frompyfunc(lambda x, y: x - y if x > y else 2 * x, 2, 1)
    for got, expected in (
        (ours(jnp.array(FLOATS), FLOATS[0]), theirs(FLOATS, FLOATS[0])),
        (ours.reduce(jnp.array(FLOATS), axis=1), theirs.reduce(FLOATS, axis=1)),
        (ours.accumulate(jnp.array(FLOATS)), theirs.accumulate(FLOATS)),
        (ours.outer(jnp.array(FLOATS[0]), FLOATS[1]), theirs.outer(FLOATS[0], FLOATS[1])),
    ):
        assert_close(got, np.asarray(expected, float))
    both = jnp.frompyfunc(lambda x: (x + 1, x * 2), 1, 2)
    assert [part.tolist() for part in both(jnp.arange(2))] == [[1, 2], [0, 2]]
    assert isinstance(ours, jnp.ufunc)
    assert repr(ours) == "<nrx.numpy.ufunc 'function'>"
    with pytest.raises(errors.ArgumentError, match="function takes 2 arrays, got 1"):
        ours(jnp.zeros(3))
    with pytest.raises(errors.ArgumentError, match="functions of 2 arrays that give 1"):
        both.accumulate(jnp.zeros(3))


ELEMENTWISE = sorted(
    name
    for name, value in vars(np).items()
    if isinstance(value, np.ufunc) and value.signature is None and name != "isnat"
)
DEFAULTS = {"out": None, "where": True, "dtype": None, "casting": "same_kind", "order": "K", "subok": True}
OTHERS = {"out": np.zeros(3), "where": np.array([True, False, True]), "dtype": "float32", "casting": "unsafe",
          "order": "F", "subok": False}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_arguments_of_universal_functions(name: str) -> None:
    function, operands = getattr(jnp, name), [jnp.array([1, 2, 3])] * getattr(np, name).nin
    expected = function(*operands)
    for got, value in zip(nrx.tree.leaves(function(*operands, **DEFAULTS)), nrx.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(got, value)
    for option, value in OTHERS.items():
        with pytest.raises(errors.ArgumentTypeError, match=f"{function.__name__} has no {option}="):
            function(*operands, **{option: value})
    with pytest.raises(errors.ArgumentTypeError, match=f"{function.__name__} has no argument 'X'"):
        function(*operands, X=1)


def test_arguments_of_functions_that_are_made() -> None:
    add = jnp.frompyfunc(lambda x, y: x + y, 2, 1)
    assert add(1, 2, out=None, where=True) == 3
    with pytest.raises(errors.ArgumentTypeError, match="has no where="):
        add(1, 2, where=False)


def test_names_of_operands_and_options_stay() -> None:
    assert jnp.gcd(x1=4, x2=6, out=None) == 2
    x = jnp.asarray(FLOATS)
    assert_close(jnp.vecdot(x, x, axis=0, where=None), (FLOATS * FLOATS).sum(0))
    with pytest.raises(errors.ArgumentTypeError, match="matmul has no out="):
        jnp.matmul(x, x[..., :5], out=x)


def test_the_advice_for_conditions_does_what_numpy_does() -> None:
    x, y, held = FLOATS, FLOATS[::-1], FLOATS > 1
    with pytest.raises(errors.ArgumentTypeError) as caught:
        jnp.add(x, y, where=held)
    assert "jnp.where(mask, jnp.add(...), x)" in str(caught.value)
    assert_close(jnp.where(held, jnp.add(x, y), x), np.add(x, y, where=held, out=x.copy()))
