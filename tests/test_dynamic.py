"""One compilation for many sizes: how few there are, and that every size gives what NumPy gives."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import nrx
import nrx.numpy as jnp
from nrx.compiler import cache, generalize
from nrx.core import loops
from nrx.core.aval import Aval
from nrx.core.dims import Dim, Symbols, capacity, identity, room, typical
from nrx.core.dtypes import float32
from nrx.core.loops import Expr
from nrx.ops.structural import broadcast_in_dim_p

#: Around the powers of 4 and of 2, primes, multiples of the lanes of a vector, and what the functions below have fixed.
SIZES = [5, 3, 1, 2, 4, 6, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 255, 256, 257, 499, 640, 1000]


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The different texts that programs are compiled from."""
    found: set[str] = set()
    load = cache.load

    def loading(text: str, *rest: Any) -> Any:
        if "@entry" in text:  # the others are the runtime's own
            found.add(text)
        return load(text, *rest)

    monkeypatch.setattr(cache, "load", loading)
    monkeypatch.setenv("NRX_CACHE", "0")
    generalize.forget_references()
    return found


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# Dims

VALUES = st.integers(0, 40)


@st.composite
def numbers(draw: Callable, symbols: Symbols) -> int:
    """An int that follows from symbols in many ways."""
    found: list[int] = [symbols.dim(number) for number in range(len(symbols.given))]
    for _ in range(draw(st.integers(1, 6))):
        x, y = draw(st.sampled_from(found)), draw(st.sampled_from([*found, 1, 2, 3, 16, 64]))
        operations = [x + y, x - y, y - x, x * y, -x, *([x // y, -(-x // y), x % y] if y else []), y // x if x else x]
        found.append(draw(st.sampled_from(operations)))
    return found[-1]


@settings(max_examples=300, deadline=None)
@given(st.data(), VALUES, VALUES)
def test_dims_are_what_their_polynomials_say(data: st.DataObject, n: int, m: int) -> None:
    symbols = Symbols([n, m])
    x = data.draw(numbers(symbols))
    if isinstance(x, Dim):
        value = sum(c * math.prod(symbols.values[k] for k in monomial) for monomial, c in x.terms.items())
        assert int(x) == value
        assert capacity(x) >= x
        assert room(x) >= x


def test_the_quotient_of_two_negative_numbers_has_room() -> None:
    symbols = Symbols([0, 1])
    n, m = symbols.dim(0), symbols.dim(1)
    quotient = (n - 3 * m) // (n - m)
    assert int(quotient) == 3
    assert capacity(quotient) >= 3


def test_numbers_of_one_class_decide_alike() -> None:
    for function in (lambda n: n, lambda n: 3 * n + 5, lambda n: -(-n // 8), lambda n: n * n, lambda n: n // 3 * n):
        for sizes in ((17, 18, 40, 64), (257, 1000, 1024)):
            dims = [function(Symbols([size]).dim(0)) for size in sizes]
            assert len({(capacity(x), typical(x), identity(x)) for x in dims}) == 1


def test_what_is_equal_by_chance_is_told_apart() -> None:
    symbols = Symbols([16, 16])
    n, m = symbols.dim(0), symbols.dim(1)
    assert n == m == 16
    assert len({identity(n), identity(m), identity(16)}) == 3
    assert identity(n * m // m) == identity(n)
    assert identity(-(-n // 5)) == identity(-(-n // 5)) != identity(-(-m // 5))


def test_the_number_of_words_does_not_matter_to_symbols() -> None:
    symbols = Symbols([7])
    symbols.word(100)
    assert int(symbols.word(64)) == 64
    assert symbols.words == [100, 64]
    assert symbols.values == [7]
    symbols.restart()
    assert (symbols.words, symbols.values) == ([], [7])


def test_a_remembered_type_has_no_dims() -> None:
    n = Symbols([12345]).dim(0)
    scalar = (Aval((), float32),)
    broadcast_in_dim_p.infer(scalar, {"shape": (n,), "placement": ()})
    assert type(broadcast_in_dim_p.infer(scalar, {"shape": (12345,), "placement": ()}).shape[0]) is int


def value(x: Any, env: dict[Expr, int], symbols: Symbols) -> int:
    """A position as a Python integer."""
    if not isinstance(x, Expr):
        return int(x)
    if x in env:
        return env[x]
    args = [value(a, env, symbols) for a in x.args]
    if x.op == "dim":
        return symbols.values[x.attr]
    if x.op in ("floordiv", "mod"):
        return args[0] // x.attr if x.op == "floordiv" else args[0] % x.attr
    if x.op == "linear":
        return x.attr[0] + sum(c * a for c, a in zip(x.attr[1], args, strict=True))
    if x.op == "div":
        assert args[0] >= 0
        return args[0] // args[1]
    return {"const": lambda: int(x.attr), "mul": lambda: math.prod(args)}[x.op]()


@settings(max_examples=300, deadline=None)
@given(st.data(), st.lists(st.integers(1, 9), min_size=2, max_size=2), st.integers(1, 9))
def test_positions_divide_by_open_lengths(data: st.DataObject, sizes: list[int], other: int) -> None:
    symbols = Symbols(sizes)
    n, m = symbols.dim(0), symbols.dim(1)
    lengths = [n, m, other, n * 2, n + 3, 14 - m, n * 2 - 1]
    shape = data.draw(st.lists(st.sampled_from(lengths), min_size=4, max_size=4))
    env = {Expr("var", "i64", (), loops.Var("loop", extent)): data.draw(st.integers(0, extent - 1)) for extent in shape}
    position = loops.row_major(list(env), shape)
    strides = [math.prod(map(int, shape[k + 1 :])) for k in range(4)]
    at = sum(i * stride for i, stride in zip(env.values(), strides, strict=True))
    assert value(position, env, symbols) == at
    a, b, c, d = data.draw(st.permutations(shape))
    for target in (shape, [a, b, c, d], [a * b, c * d], [a * b * c, d]):
        want = np.unravel_index(at, tuple(map(int, target)))
        index = loops.unravel(position, target)
        assert [value(i, env, symbols) for i in index] == list(want)
        assert value(loops.row_major(index, target), env, symbols) == at


def test_an_index_is_found_again_without_dividing() -> None:
    n = Symbols([7]).dim(0)
    i, j = (Expr("var", "i64", (), loops.Var("loop", extent)) for extent in (5, n))
    assert loops.unravel(loops.row_major([i, j], (5, n)), (5, n)) == (i, j)


# Compilations

Case = tuple[Callable, Callable[[int], tuple], Callable, int]


def softmax(x: Any) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def attention(q: Any, k: Any, v: Any) -> Any:
    return nrx.nn.softmax(q @ k.T / 8) @ v


def convolution(x: Any, w: Any) -> Any:
    return nrx.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def convolved(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    out = [[signal.correlate(image, w[..., k], "same")[..., 1] for k in range(w.shape[-1])] for image in x]
    return np.moveaxis(np.array(out), 1, -1)


CASES: dict[str, Case] = {
    "elementwise": (lambda x: jnp.tanh(x * 2) * x, lambda n: (random(n, n, 64),), lambda x: np.tanh(x * 2) * x, 4),
    "softmax": (nrx.nn.softmax, lambda n: (random(n, n, 100),), softmax, 3),
    "columns": (lambda x: x.sum(0), lambda n: (random(n, n, 64),), lambda x: x.sum(0), 3),
    "variance": (lambda x: x.var(), lambda n: (random(n, n, 9),), lambda x: x.var(), 3),
    "x @ w": (lambda x, w: x @ w, lambda n: (random(n, n, 128), random(1, 128, 128)), lambda x, w: x @ w, 6),
    "x.T @ x": (lambda x: x.T @ x, lambda n: (random(n, n, 33),), lambda x: x.T @ x, 6),
    "x @ x.T": (lambda x: x @ x.T, lambda n: (random(n, n, 32),), lambda x: x @ x.T, 6),
    "transposed": (lambda x: jnp.transpose(x, (2, 1, 0)) + 1, lambda n: (random(n, n, 60, 5),), lambda x: x.T + 1, 6),
    "joined": (lambda x, y: jnp.concatenate([x, y]), lambda n: (random(n, n, 8), random(n, 2 * n + 1, 8)),
        lambda x, y: np.concatenate([x, y]), 4),
    "differences": (lambda x: x[1:] - x[:-1], lambda n: (random(n, n + 2, 9),), lambda x: np.diff(x, axis=0), 4),
    "products": (lambda a, b: a @ b, lambda n: (random(n, n, 30, 40), random(n, n, 40, 20)), lambda a, b: a @ b, 4),
    "two lengths": (attention, lambda n: (random(n, n, 32), *random(1, 2, 1 + 7 * n % 211, 32)),
        lambda q, k, v: softmax(q @ k.T / 8) @ v, 8),
    "running sums": (lambda x: nrx.lax.scan(lambda c, row: (c * 0.9 + row, c), jnp.zeros(20, x.dtype), x)[0],
        lambda n: (random(n, n, 20),), lambda x: (x * 0.9 ** np.arange(len(x))[::-1, None]).sum(0), 3),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_few_compilations(name: str, texts: set[str]) -> None:
    function, arguments, oracle, most = CASES[name]
    jitted = nrx.jit(function)
    for size in SIZES:
        args = arguments(size)
        np.testing.assert_allclose(jitted(*args), oracle(*args), rtol=1e-10, atol=1e-10, err_msg=f"size {size}")
    assert len(texts) <= most


def test_convolutions_of_many_batches(texts: set[str]) -> None:
    w, jitted = random(0, 3, 3, 3, 2), nrx.jit(convolution)
    for size in (5, 1, 2, 3, 4, 8, 17, 33, 64, 100, 150, 200):
        x = random(size, size, 6, 5, 3)
        np.testing.assert_allclose(jitted(x, w), convolved(x, w), atol=1e-12, err_msg=f"size {size}")
    assert len(texts) <= 4


def adam(params: dict, means: dict, squares: dict, gradient: dict) -> tuple[dict, dict, dict]:
    """The first step."""
    means = {k: 0.9 * means[k] + 0.1 * g for k, g in gradient.items()}
    squares = {k: 0.999 * squares[k] + 0.001 * g * g for k, g in gradient.items()}
    new = {k: p - 0.01 * (means[k] / 0.1) / (np.sqrt(squares[k] / 0.001) + 1e-8) for k, p in params.items()}
    return new, means, squares


def training(sizes: Any) -> None:
    """A step of training for every size, beside one that is written out."""
    optimizer = nrx.optim.adam(0.01)
    params = {"w1": random(1, 50, 64) / 7, "b1": random(2, 64) / 9, "w2": random(3, 64, 10) / 8}

    def loss(p: Any, x: Any, y: Any) -> Any:
        return ((jnp.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] - y) ** 2).mean()

    @nrx.jit
    def step(p: Any, state: Any, x: Any, y: Any) -> Any:
        value, gradient = nrx.value_and_grad(loss)(p, x, y)
        updates, state = optimizer.update(gradient, state, p)
        return nrx.optim.apply_updates(p, updates), gradient, value

    state = optimizer.init(params)
    zeros = {k: np.zeros_like(p) for k, p in params.items()}
    for size in sizes:
        x, y = random(size, size, 50), random(size + 1, size, 10)
        hidden = np.tanh(x @ params["w1"] + params["b1"])
        rest = hidden @ params["w2"] - y
        ct = 2 * rest / rest.size
        inner = ct @ params["w2"].T * (1 - hidden**2)
        want = {"w1": x.T @ inner, "b1": inner.sum(0), "w2": hidden.T @ ct}
        new, gradient, value = step(params, state, x, y)
        np.testing.assert_allclose(value, (rest**2).mean(), rtol=1e-10)
        for k, expected in adam(params, zeros, zeros, want)[0].items():
            np.testing.assert_allclose(gradient[k], want[k], rtol=1e-8, atol=1e-12, err_msg=f"size {size}")
            np.testing.assert_allclose(new[k], expected, rtol=1e-5, err_msg=f"size {size}")


def test_training_with_many_batch_sizes(texts: set[str]) -> None:
    training(SIZES)
    assert len(texts) <= 6


@pytest.mark.slow
def test_training_with_hundreds_of_batch_sizes(texts: set[str]) -> None:
    training(range(1, 1001, 3))
    assert len(texts) <= 6


# Chance

LENGTHS = st.one_of(st.sampled_from([0, 1, 2, 3, 7, 8, 13, 16, 31, 32, 64, 97, 128]), st.integers(0, 140))

_meeting = nrx.jit(
    lambda x, y, v: (x @ y.T, (v[:, None] + y[None, :, 0]).sum(0), jnp.concatenate([x, y]) * 2, x.sum(1))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LENGTHS, LENGTHS), min_size=1, max_size=4), st.booleans())
def test_lengths_that_meet_by_chance(pairs: list[tuple[int, int]], checked: bool) -> None:
    """Also n = m, n = what is fixed, and 0 and 1; each after all that other examples have left."""
    with nrx.config.using(debug_checks=checked):
        for n, m in [*pairs, (pairs[0][0], pairs[0][0]), pairs[0]]:
            x, y, v = random(n, n, 16), random(m + 1, m, 16), random(n + 2, n)
            want = x @ y.T, (v[:, None] + y[None, :, 0]).sum(0), np.concatenate([x, y]) * 2, x.sum(1)
            for got, expected in zip(_meeting(x, y, v), want, strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10, err_msg=f"{n}, {m}")


def test_equal_lengths_do_not_stay_equal(texts: set[str]) -> None:
    outer = nrx.jit(lambda x, y: x[:, None] * y + 1)
    for n, m in [
        (4, 4),
        (5, 5),
        (6, 6),
        (5, 7),
        (7, 5),
        (4, 9),
        (9, 4),
        (4, 4),
        (20, 20),
        (20, 21),
        (64, 64),
        (63, 64),
    ]:
        x, y = random(n, n), random(m + 100, m)
        np.testing.assert_allclose(outer(x, y), np.multiply.outer(x, y) + 1, rtol=1e-14)
    assert len(texts) <= 8


def test_memory_is_as_large_as_needed() -> None:
    function = nrx.jit(lambda x: jnp.sort(x + 1) * 2)
    for size in (1000, 1025, 1100):
        function(np.zeros(size, np.float32))
    analysis = function.lower(np.zeros(1030, np.float32)).compile().memory_analysis()
    assert analysis.output_bytes == 1030 * 4
    assert analysis.temporary_bytes <= 2 * (1030 * 4 + 64)


def test_many_values_of_long_rows_are_computed_again() -> None:
    """More of them than scratch memory holds."""
    factors = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

    def shares(library: Any, x: Any) -> Any:
        powers = [library.exp(x * k) for k in factors]
        total = sum(p.sum(1, keepdims=True) for p in powers)
        return sum(p / total for p in powers)

    jitted = nrx.jit(lambda x: shares(jnp, x))
    for length in (4096, 1100):
        for size in (9, 10):
            x = random(size, size, length)
            np.testing.assert_allclose(jitted(x), shares(np, x), rtol=1e-12)


@pytest.mark.parametrize(
    "factor",
    [
        lambda n: 2.0**62 * n,
        lambda n: 2.0**100 * n,
        lambda n: float(n - 6),
        lambda n: -float(n - 6),
        lambda n: np.inf if n > 5 else 1.0,
        lambda n: np.nan if n > 5 else 1.0,
        lambda n: 2.0**31 * n * n,
        lambda n: (1 << 53) + n,
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_literals_that_differ(factor: Callable, dtype: type, texts: set[str]) -> None:
    """Large ones wrapped around, infinite ones did not compile, and -0.0 became 0.0."""
    function = nrx.jit(lambda x: 1 / (x * dtype(factor(x.shape[0]))))
    for n in (4, 5, 6, 1, 2, 3, 7, 9):
        with np.errstate(all="ignore"):
            want = 1 / (np.full(n, 3, dtype) * dtype(factor(n)))
        assert np.asarray(function(np.full(n, 3, dtype))).tobytes() == want.astype(dtype).tobytes()


def test_infinities_of_half_precision(texts: set[str]) -> None:
    """The bound of what is taken for an integer is itself an infinity there."""
    function = nrx.jit(lambda x: jnp.minimum(x, np.float16(np.inf)))
    for n in (3, 4, 5):
        x = np.arange(n).astype(np.float16)
        np.testing.assert_array_equal(np.asarray(function(x)), x)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x, w: x @ w.T, lambda n: ((8, 16), (n, 16))),
        (lambda x, w: jnp.tanh(nrx.jit(jnp.dot)(x, w.T)), lambda n: ((8, 16), (n, 16))),
        (lambda x, w: nrx.lax.conv(x, w, (1, 1), "SAME"), lambda n: ((2, 4, 8, 8), (n, 4, 3, 3))),
    ],
)
def test_lengths_of_parameters_stay_closed(function: Callable, shapes: Callable) -> None:
    """Tiles of many columns would be slow for few."""
    generalize.forget_references()
    for n in (20, 3, 5):
        program = nrx.jit(function).trace(*(jnp.ones(shape) for shape in shapes(n)))
        assert generalize.generalized(program) == (program, None)
    generalize.forget_references()
    for n in (20, 3):
        program = nrx.jit(lambda x, w: x @ w).trace(jnp.ones((n, 16)), jnp.ones((16, 8)))
        _, symbols = generalize.generalized(program)
    assert symbols is not None


def test_strips_have_the_size_that_they_need() -> None:
    """Of scores of 128 MiB and more, though the batch is another one."""
    generalize.forget_references()
    for batch in (2, 3):
        q = nrx.ShapeDtypeStruct((batch, 6000, 1, 16), "float32")
        compiled = nrx.jit(lambda q: nrx.nn.dot_product_attention(q, q, q)).lower(q).compile()
        assert compiled.memory_analysis().temporary_bytes < batch * 6000 * 6000 * 4 // 2
