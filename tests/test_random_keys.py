"""Typed keys: whatever is done with them gives what the same words give as raw keys."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import cupy as fake

import nrx
import nrx.numpy as jnp
from nrx import lax, random
from nrx.core import backend
from nrx.errors import ArgumentError, ConversionError, DTypeError, ShapeError

RAW = random.PRNGKey(42)
KEY = random.key(42)
MODES = {"eager": lambda f: f, "jit": nrx.jit}


def words(tree: Any) -> Any:
    """A tree with the words of its typed keys."""
    return nrx.tree.map(lambda x: random.key_data(x) if x.dtype == random.key_dtype() else x, tree)


def steps(key: Any, count: Any) -> Any:
    """A key after so many splits."""
    return lax.while_loop(lambda s: s[0] < count, lambda s: (s[0] + 1, random.split(s[1])[0]), (0, key))[1]


def walk(key: Any, _: Any) -> tuple[Any, Any]:
    key, subkey = random.split(key)
    return key, (random.uniform(subkey), subkey)


#: Functions of one key, and of an array of four.
OF_ONE: dict[str, Callable] = {
    "split": lambda k: random.split(k, 3),
    "split shape": lambda k: random.split(k, (2, 3)),
    "fold_in": lambda k: random.fold_in(k, 7),
    "clone": random.clone,
    "scan": lambda k: lax.scan(walk, k, None, length=4),
    "while": lambda k: steps(k, 3),
    "fori": lambda k: lax.fori_loop(0, 3, lambda i, c: random.fold_in(c, i), k),
    "cond": lambda k: lax.cond(k is not None, random.split, lambda k: random.split(random.fold_in(k, 1)), k),
    "grad": lambda k: nrx.grad(lambda x, k: (x * random.normal(k, x.shape)).sum())(jnp.ones(3), k),
    "grad of scan": lambda k: nrx.grad(lambda x: lax.scan(lambda c, _: (c, x * walk(c, 0)[1][0]), k, None, 3)[1].sum())(
        2.0
    ),
    "checkpoint": lambda k: nrx.grad(lambda x: nrx.checkpoint(lambda x, k: x * random.uniform(k))(x, k))(2.0),
    "stop_gradient": lax.stop_gradient,
    "loop over elements": lambda k: [random.uniform(each) for each in random.split(k)],
}
OF_MANY: dict[str, Callable] = {
    "vmap": lambda ks: nrx.vmap(lambda k: random.normal(k, (3,)))(ks),
    "vmap of split": lambda ks: nrx.vmap(random.split)(ks),
    "vmap of scan": lambda ks: nrx.vmap(lambda k: lax.scan(walk, k, None, length=2))(ks),
    "vmap of while": lambda ks: nrx.vmap(steps)(ks, jnp.arange(4)),
    "vmap of cond": lambda ks: nrx.vmap(lambda p, k: lax.cond(p, lambda: k, lambda: random.split(k)[0]))(
        jnp.arange(4) > 1, ks
    ),
    "scan over": lambda ks: lax.scan(lambda c, k: (c + random.uniform(k), random.fold_in(k, 1)), 0.0, ks),
    "map": lambda ks: lax.map(random.uniform, ks),
    "index": lambda ks: ks[2],
    "gather": lambda ks: ks[jnp.array([3, 0])],
    "slice": lambda ks: ks[1:3],
    "set": lambda ks: ks.at[1].set(ks[0]),
    "dynamic": lambda ks: lax.dynamic_index_in_dim(ks, jnp.asarray(2), keepdims=False),
    "reversed": lambda ks: ks[::-1],
    "concatenate": lambda ks: jnp.concatenate([ks, ks]),
    "stack": lambda ks: jnp.stack([ks[0], ks[3]]),
    "array of a list": lambda ks: jnp.array([ks[0], ks[3]]),
    "where": lambda ks: jnp.where(jnp.asarray(True), ks[0], ks[1]),
    "tree": lambda ks: nrx.tree.map(lambda a, b: jnp.where(jnp.asarray(False), a, b), {"k": ks[0]}, {"k": ks[1]}),
    "expand": lambda ks: jnp.squeeze(jnp.expand_dims(ks[0], 0), 0),
}
SAMPLERS: dict[str, Callable] = {
    **{name: getattr(random, name) for name in ("uniform", "normal", "exponential", "gumbel", "bits", "rademacher")},
    "gamma": lambda k: random.gamma(k, jnp.ones(3)),
    "poisson": lambda k: random.poisson(k, 3.0),
    "binomial": lambda k: random.binomial(k, 5.0, 0.5),
    "randint": lambda k: random.randint(k, (3,), 0, 10),
    "permutation": lambda k: random.permutation(k, 9),
    "choice": lambda k: random.choice(k, 9, (3,), replace=False),
    "categorical": lambda k: random.categorical(k, jnp.zeros(5)),
    "multivariate_normal": lambda k: random.multivariate_normal(k, jnp.zeros(2), jnp.eye(2)),
    "truncated_normal": lambda k: random.truncated_normal(k, -1.0, 1.0, (2,)),
    "initializer": lambda k: nrx.nn.initializers.glorot_normal()(k, (2, 3)),
    "ball": lambda k: random.ball(k, 3),
}


def check(function: Callable, typed: Any, raw: Any, mode: str) -> None:
    transform = MODES[mode]
    found, expected = words(transform(function)(typed)), transform(function)(raw)
    for x, y in zip(nrx.tree.leaves(found), nrx.tree.leaves(expected), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("function", OF_ONE.values(), ids=OF_ONE)
def test_one_key(function: Callable, mode: str) -> None:
    check(function, KEY, RAW, mode)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_samplers(sampler: Callable) -> None:
    check(sampler, KEY, RAW, "eager")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("function", OF_MANY.values(), ids=OF_MANY)
def test_many_keys(function: Callable, mode: str) -> None:
    check(function, random.split(KEY, 4), random.split(RAW, 4), mode)


def test_what_a_key_is() -> None:
    keys = random.split(KEY, (2, 3))
    assert (keys.shape, keys.ndim, keys.size, str(keys.dtype)) == ((2, 3), 2, 6, "key<fry>")
    assert isinstance(KEY, nrx.Array)
    assert nrx.tree.leaves({"k": KEY})[0] is KEY
    assert random.key_impl(KEY) == "threefry2x32"
    assert jnp.issubdtype(KEY.dtype, nrx.dtypes.prng_key)
    assert jnp.issubdtype(KEY.dtype, nrx.dtypes.extended)
    assert not jnp.issubdtype(RAW.dtype, nrx.dtypes.prng_key)
    assert nrx.eval_shape(random.key, 0) == nrx.ShapeDtypeStruct((), random.key_dtype())
    assert nrx.eval_shape(random.split, nrx.ShapeDtypeStruct((), KEY.dtype)).shape == (2,)
    np.testing.assert_array_equal(keys.reshape(6).T[:2] == keys[0, 0], [True, False])
    np.testing.assert_array_equal(keys.transpose()[2, 1] == keys[1, 2], True)
    np.testing.assert_array_equal(random.key_data(random.wrap_key_data(np.array([[1, 2]], np.uint32))), [[1, 2]])
    assert nrx.vmap(lambda k: k, in_axes=-1, out_axes=-1)(keys).shape == (2, 3)


def test_seeds_are_traced() -> None:
    np.testing.assert_array_equal(random.key_data(nrx.jit(random.key)(7)), [0, 7])
    np.testing.assert_array_equal(random.key_data(nrx.vmap(random.key)(jnp.arange(3)))[:, 1], [0, 1, 2])


def test_a_key_closed_over() -> None:
    expected = random.uniform(RAW)
    np.testing.assert_array_equal(nrx.jit(lambda x: x * random.uniform(KEY))(1.0), nrx.jit(random.uniform)(RAW))
    keys = random.split(KEY)
    np.testing.assert_array_equal(random.key_data(nrx.jit(lambda i: keys[i])(1)), random.split(RAW)[1])
    np.testing.assert_allclose(expected, nrx.jit(lambda: random.uniform(random.key(42)))(), rtol=1e-6)


def test_keys_are_kept(tmp_path: Any) -> None:
    keys = random.split(KEY, 3)
    nrx.io.save(tmp_path / "keys", {"k": keys})
    nrx.io.save_pickle(tmp_path / "pickle", keys)
    from_files = nrx.io.load(tmp_path / "keys")["k"], nrx.io.load_pickle(tmp_path / "pickle")
    for back in (pickle.loads(pickle.dumps(keys)), *from_files, nrx.device_put(keys)):
        assert back.dtype == KEY.dtype
        np.testing.assert_array_equal(random.key_data(back), random.key_data(keys))
    assert nrx.device_get(keys) is keys


def test_keys_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    keys = random.split(nrx.device_put(KEY, "gpu"), 3)
    assert (keys.device.platform, str(keys.dtype)) == ("gpu", "key<fry>")
    np.testing.assert_array_equal(nrx.device_get(random.key_data(keys[::-1])), random.split(RAW, 3)[::-1])
    last, (drawn, _) = nrx.jit(lambda k: lax.scan(walk, k, None, length=2))(keys[0])
    raw_last, (expected, _) = lax.scan(walk, random.split(RAW, 3)[0], None, length=2)
    np.testing.assert_array_equal(nrx.device_get(drawn), expected)
    np.testing.assert_array_equal(nrx.device_get(random.key_data(last)), raw_last)
    assert repr(nrx.device_put(keys, "cpu")) == repr(random.split(KEY, 3))


def test_programs_with_keys_are_checked() -> None:
    with nrx.config.using(debug_checks=True):
        nrx.jit(lambda k: lax.scan(walk, k, None, length=2))(random.key(1))
        random.split(random.key(1))


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda: KEY + 1, DTypeError),
        (lambda: KEY < KEY, DTypeError),
        (lambda: KEY.astype(jnp.uint32), DTypeError),
        (lambda: RAW.astype(KEY.dtype), DTypeError),
        (lambda: jnp.sort(random.split(KEY)), DTypeError),
        (lambda: jnp.sum(random.split(KEY)), DTypeError),
        (lambda: jnp.where(True, KEY, 0), DTypeError),
        (lambda: np.asarray(KEY), ConversionError),
        (lambda: float(KEY), ConversionError),
        (lambda: KEY.tolist(), ConversionError),
        (lambda: random.normal(random.split(KEY)), ShapeError),
        (lambda: random.key(0, impl="rbg"), ArgumentError),
        (lambda: nrx.jit(lambda k: k * 2)(KEY), DTypeError),
    ],
)
def test_mistakes(mistake: Callable, error: type[Exception]) -> None:
    with pytest.raises(error):
        mistake()


def test_arrays_filled_with_keys() -> None:
    """A number is each word of a key, as in JAX."""
    keys = random.split(random.key(3), 2)
    for got, word in (
        (jnp.zeros_like(keys), 0),
        (jnp.ones_like(keys), 1),
        (jnp.empty_like(keys), 0),
        (jnp.full_like(keys, 7), 7),
        (jnp.zeros((2,), keys.dtype), 0),
        (nrx.jit(lambda state: nrx.tree.map(jnp.zeros_like, state))({"key": keys})["key"], 0),
    ):
        assert got.dtype == keys.dtype
        assert random.key_data(got).tolist() == [[word, word]] * 2


@pytest.mark.parametrize("transform", [lambda f: f, nrx.jit], ids=["eager", "jit"])
def test_callbacks_get_keys(transform: Callable, capsys: pytest.CaptureFixture) -> None:
    keys, seen = random.split(random.key(3), 2), []
    words = random.key_data(keys).tolist()

    def draw(given: Any) -> Any:
        return np.asarray(random.key_data(given))

    def f(keys: Any) -> Any:
        nrx.debug.callback(lambda k, *, n: seen.append((random.key_data(k).tolist(), n)), keys, n=1)
        nrx.debug.print("{}", keys[0])
        return nrx.pure_callback(draw, nrx.ShapeDtypeStruct((2, 2), np.uint32), keys)

    assert transform(f)(keys).tolist() == words
    assert seen == [(words, 1)]
    assert "key<fry>" in capsys.readouterr().out
    one = nrx.ShapeDtypeStruct((2,), np.uint32)
    mapped = transform(nrx.vmap(lambda k: nrx.pure_callback(draw, one, k, vmap_method="sequential")))
    assert mapped(keys).tolist() == words
    with pytest.raises(DTypeError, match="a callback cannot return keys"):
        transform(lambda k: nrx.pure_callback(lambda k: k, nrx.ShapeDtypeStruct((), k.dtype), k))(keys[0])
