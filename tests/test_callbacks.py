"""Callbacks run exactly as often as the program says, in its order, under every transformation."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler.fingerprint import fingerprint
from nrx.core.errors import ArgumentError, ArgumentTypeError, DifferentiationError, DTypeError, ShapeError, TreeError
from nrx.experimental import io_callback

SCALAR = nrx.ShapeDtypeStruct((), "float32")
VECTOR = jnp.asarray(np.array([1.0, -2.0, 3.0], np.float32))


class Log(list):
    """What callbacks saw: `log(tag, x)` records it when the program runs."""

    def __call__(self, tag: str, x: Any) -> None:
        nrx.debug.callback(lambda value: self.append((tag, float(value))), x)

    def take(self) -> list:
        seen = list(self)
        self.clear()
        return seen


def straight(log: Log) -> Callable:
    def f(x: Any) -> Any:
        log("a", x)
        y = x * x
        log("b", y)
        return y * x

    return f


def looped(log: Log) -> Callable:
    def f(x: Any) -> Any:
        def step(carry: Any, factor: Any) -> tuple:
            log("step", carry)
            return carry * factor, None

        return lax.scan(step, x, jnp.array([1.0, 2.0, 3.0]))[0]

    return f


def chosen(log: Log) -> Callable:
    def positive(x: Any) -> Any:
        log("positive", x)
        return 3 * x

    def negative(x: Any) -> Any:
        log("negative", x)
        return -x

    return lambda x: lax.cond(x > 0, positive, negative, x)


def repeated(log: Log) -> Callable:
    def body(x: Any) -> Any:
        log("body", x)
        return x * 2

    return lambda x: lax.while_loop(lambda x: x < 10, body, x)


#: A function, and what it logs for 2.0.
FUNCTIONS = {
    "straight": (straight, [("a", 2.0), ("b", 4.0)]),
    "scan": (looped, [("step", 2.0), ("step", 2.0), ("step", 4.0)]),
    "cond": (chosen, [("positive", 2.0)]),
    "while": (repeated, [("body", 2.0), ("body", 4.0), ("body", 8.0)]),
}
TRANSFORMATIONS: dict[str, Callable] = {
    "eager": lambda f: f,
    "jit": nrx.jit,
    "jit of jit": lambda f: nrx.jit(nrx.jit(f)),
    "jvp": lambda f: lambda x: nrx.jvp(f, (x,), (1.0,)),
    "jit of jvp": lambda f: nrx.jit(lambda x: nrx.jvp(f, (x,), (1.0,))),
    "linearize": lambda f: lambda x: nrx.linearize(f, x)[1](1.0),
    "checkpoint": nrx.checkpoint,
    "jacfwd of jacfwd": lambda f: nrx.jacfwd(nrx.jacfwd(f)),
}
REVERSE: dict[str, Callable] = {
    "grad": nrx.grad,
    "jit of grad": lambda f: nrx.jit(nrx.grad(f)),
    "grad of jit": lambda f: nrx.grad(nrx.jit(f)),
    "grad of checkpoint": lambda f: nrx.grad(nrx.checkpoint(f)),
    "jit of grad of checkpoint": lambda f: nrx.jit(nrx.grad(nrx.checkpoint(f))),
    "grad of grad": lambda f: nrx.grad(nrx.grad(f)),
    "hessian": nrx.hessian,
}
ALL = [
    pytest.param(name, transform, id=f"{name}-{label}")
    for name in FUNCTIONS
    for label, transform in {**TRANSFORMATIONS, **({} if name == "while" else REVERSE)}.items()
]


@pytest.mark.parametrize(("name", "transform"), ALL)
def test_as_often_and_in_order(name: str, transform: Callable) -> None:
    make, expected = FUNCTIONS[name]
    log = Log()
    f = transform(make(log))
    for _ in range(3):  # the third call of a jitted function takes the shortest way
        f(2.0)
        assert log.take() == expected


@pytest.mark.parametrize("transform", [lambda f: f, nrx.jit], ids=["eager", "jit"])
def test_under_vmap_once_an_element(transform: Callable) -> None:
    log = Log()
    transform(nrx.vmap(straight(log)))(jnp.array([1.0, 2.0]))
    assert log.take() == [("a", 1.0), ("a", 2.0), ("b", 1.0), ("b", 4.0)]
    transform(nrx.vmap(nrx.vmap(straight(log))))(jnp.array([[1.0, 2.0]]))
    assert log.take() == [("a", 1.0), ("a", 2.0), ("b", 1.0), ("b", 4.0)]
    out = transform(nrx.vmap(chosen(log)))(VECTOR)
    assert_same(out, np.array([3.0, 2.0, 9.0], np.float32))
    assert log.take() == [("positive", 1.0), ("negative", -2.0), ("positive", 3.0)]  # no branch that is not taken
    out = transform(nrx.vmap(nrx.grad(chosen(log))))(VECTOR)
    assert_same(out, np.array([3.0, -1.0, 3.0], np.float32))
    assert log.take() == [("positive", 1.0), ("negative", -2.0), ("positive", 3.0)]
    out = transform(nrx.vmap(repeated(log)))(jnp.array([6.0, 12.0, 3.0]))
    assert_same(out, np.array([12.0, 12.0, 12.0], np.float32))
    assert log.take() == [("body", 6.0), ("body", 3.0), ("body", 6.0)]  # no step after the last
    transform(nrx.vmap(straight(log), axis_name="i"))(jnp.zeros((0,)))
    assert log.take() == []
    transform(nrx.vmap(lambda x: (log("fixed", jnp.float32(5)), x)[1], axis_name="i"))(VECTOR)
    assert log.take() == [("fixed", 5.0)]


def test_nothing_but_effects() -> None:
    seen: list[str] = []

    def f(x: Any) -> None:
        lax.cond(x > 0, lambda: nrx.debug.callback(seen.append, "positive"), lambda: None)
        lax.scan(lambda c, _: (c, nrx.debug.callback(seen.append, "step")), None, None, length=2)
        nrx.debug.callback(seen.append, "end")

    for g in (f, nrx.jit(f)):
        g(1.0)
        g(-1.0)
        assert seen == ["positive", "step", "step", "end", "step", "step", "end"]
        seen.clear()


class Counter:
    """A function that gives 1.0, 2.0, …"""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *ignored: Any) -> np.float32:
        self.count += 1
        return np.float32(self.count)


@pytest.mark.parametrize("transform", [lambda f: f, nrx.jit], ids=["eager", "jit"])
def test_io_callbacks_in_order_whatever_depends_on_what(transform: Callable) -> None:
    counter, log = Counter(), Log()

    def f(x: Any) -> tuple:
        first = io_callback(counter, SCALAR)  # equal calls are two
        second = io_callback(counter, SCALAR, ordered=True)
        late = jnp.sin(x) + second
        log("between", first + 0 * late.sum())
        third = io_callback(counter, SCALAR, late)
        return second * x, third + late.max(), first

    for _ in range(3):
        counter.count = 0
        scaled, _, first = transform(f)(VECTOR)
        assert_same(scaled, 2 * np.asarray(VECTOR))
        assert (float(first), counter.count, log.take()) == (1.0, 3, [("between", 1.0)])


@pytest.mark.parametrize("seed", range(1026, 1038))  # half of them need the order that fusion keeps
def test_random_programs_keep_the_order(seed: int) -> None:
    """Fusion may move everything but effects: eager code, which runs line by line, is the oracle."""
    log: list[float] = []

    def record(x: np.ndarray) -> np.ndarray:
        log.append(float(x.sum()))
        return x + 1

    def f(x: Any) -> list:
        rng = np.random.default_rng(seed)
        values = [x, x + 1]
        for _ in range(14):
            a, b = (values[i] for i in rng.integers(len(values), size=2))
            kind = rng.integers(4)
            if kind == 0:
                values.append(a * 0.5 + b)
            elif kind == 1:
                values.append(a - b.max(-1, keepdims=True))
            elif kind == 2:
                values.append(io_callback(record, nrx.ShapeDtypeStruct(a.shape, a.dtype), a))
            else:
                nrx.debug.callback(lambda v: log.append(float(v.sum())), b)
        return values[int(rng.integers(len(values))) :]

    x = jnp.asarray(np.random.default_rng(seed).random((4, 8)))
    outs = f(x)
    expected = list(log)
    log.clear()
    compiled = nrx.jit(f)(x)
    np.testing.assert_allclose(log, expected, rtol=1e-12)
    for out, wanted in zip(compiled, outs, strict=True):
        np.testing.assert_allclose(np.asarray(out), np.asarray(wanted), rtol=1e-12)


def test_io_callback_in_loops_and_derivatives() -> None:
    counter = Counter()

    def f(x: Any) -> tuple:
        def step(carry: Any, _: None) -> tuple:
            read = io_callback(counter, SCALAR)
            return carry * x + read, read

        return lax.scan(step, 0.0, None, length=3)

    last, read = nrx.jit(f)(2.0)
    assert float(last) == ((1 * 2) + 2) * 2 + 3
    assert_same(read, np.array([1, 2, 3], np.float32))
    counter.count = 0
    assert float(nrx.grad(lambda x: f(x)[0])(2.0)) == 2 * 2 + 2  # of x² + 2x + 3
    assert counter.count == 3
    with pytest.raises(DifferentiationError, match=r"runs .* again"):
        nrx.grad(nrx.checkpoint(lambda x: jnp.sin(x * io_callback(counter, SCALAR))))(2.0)
    with pytest.raises(DifferentiationError, match="io_callback has no derivative"):
        nrx.grad(lambda x: io_callback(counter, SCALAR, x))(2.0)


def test_unused_results_and_dead_code() -> None:
    counter = Counter()

    @nrx.jit
    def f(x: Any) -> Any:
        io_callback(counter, SCALAR, x)
        nrx.pure_callback(counter, SCALAR, x)  # nobody needs it
        return x

    f(1.0)
    assert counter.count == 1


def test_custom_rules() -> None:
    log = Log()

    @nrx.custom_jvp
    def f(x: Any) -> Any:
        log("value", x)
        return x * x

    @f.defjvp
    def rule(primals: tuple, tangents: tuple) -> tuple:
        log("rule", primals[0])
        return f(primals[0]), 2 * primals[0] * tangents[0]

    @nrx.custom_vjp
    def g(x: Any) -> Any:
        log("g", x)
        return x * x

    def forward(x: Any) -> tuple:
        log("forward", x)
        return x * x, x

    def backward(x: Any, ct: Any) -> tuple:
        log("backward", ct)
        return (2 * x * ct,)

    g.defvjp(forward, backward)
    for transform in (lambda f: f, nrx.jit):
        transform(f)(3.0)
        assert log.take() == [("value", 3.0)]
        assert float(transform(nrx.grad(f))(3.0)) == 6.0
        assert log.take() == [("rule", 3.0), ("value", 3.0)]
        transform(g)(3.0)
        assert log.take() == [("g", 3.0)]
        assert float(transform(nrx.grad(g))(3.0)) == 6.0
        assert log.take() == [("forward", 3.0), ("backward", 1.0)]


def test_pure_callback_vmap_methods() -> None:
    shapes: list[tuple] = []

    def host(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        shapes.append((x.shape, y.shape))
        return np.hypot(x, y).sum(-1, dtype="float32")

    rng = np.random.default_rng(0)
    x, y = rng.random((3, 4), "float32"), rng.random(4, "float32")
    seen = {
        "sequential": [((4,), (4,))] * 3,
        "sequential_unrolled": [((4,), (4,))] * 3,
        "expand_dims": [((3, 4), (1, 4))],
        "broadcast_all": [((3, 4), (3, 4))],
        "legacy_vectorized": [((3, 4), (4,))],
    }
    for method, expected in seen.items():

        def f(x: Any, y: Any, method: str = method) -> Any:
            return nrx.pure_callback(host, SCALAR, x, y, vmap_method=method)

        for transform in (lambda f: f, nrx.jit):
            shapes.clear()
            out = transform(nrx.vmap(f, in_axes=(0, None)))(x, y)
            np.testing.assert_allclose(np.asarray(out), np.hypot(x.astype(float), y).sum(-1), rtol=1e-6)
            assert shapes == expected
    with pytest.raises(ArgumentError, match="vmap_method"):
        nrx.vmap(lambda x: nrx.pure_callback(np.sum, SCALAR, x))(x)
    with pytest.raises(ArgumentError, match="vmap_method must be one of"):
        nrx.pure_callback(np.sum, SCALAR, x, vmap_method="parallel")


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "bfloat16", "float64", "complex64"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_dtypes_and_shapes(dtype: str, shape: tuple) -> None:
    x = jnp.ones(shape, dtype)
    f = nrx.jit(lambda x: nrx.pure_callback(lambda v: {"out": v[..., None]}, {"out": y}, x)["out"])
    y = nrx.ShapeDtypeStruct((*shape, 1), dtype)
    assert_same(f(x), np.ones((*shape, 1), x.dtype))


def test_the_function_may_keep_and_change_what_it_gets() -> None:
    kept: list[np.ndarray] = []

    def host(x: np.ndarray) -> np.ndarray:
        kept.append(x)
        x *= 2
        return x

    f = nrx.jit(lambda x: (x + 1, nrx.pure_callback(host, nrx.ShapeDtypeStruct(3, "float32"), x + 1)))
    one_more, doubled = f(VECTOR)
    f(10 * VECTOR)
    assert_same(one_more, np.array([2.0, -1.0, 4.0], np.float32))
    assert_same(doubled, np.array([4.0, -2.0, 8.0], np.float32))
    assert_same(jnp.asarray(kept[0]), np.array([4.0, -2.0, 8.0], np.float32))


@pytest.mark.parametrize("transform", [lambda f: f, nrx.jit, lambda f: nrx.jit(nrx.vmap(f, axis_size=2, in_axes=None))])
def test_mistakes(transform: Callable) -> None:
    def call(result: Any, *given: Any) -> Any:
        return transform(lambda x: nrx.pure_callback(lambda v: result, *given, x))(1.0)

    for result, error, text in (
        (np.zeros(2, "float32"), ShapeError, r"returned shape \(2,\)"),
        (np.zeros(()), DTypeError, "returned dtype float64"),
        ((1.0, 2.0), TreeError, "another structure"),
    ):
        with pytest.raises(error, match=text):
            call(result, SCALAR)
    with pytest.raises(ArgumentTypeError, match="result_shape_dtypes holds a str"):
        call(1.0, "float32")
    with pytest.raises(ZeroDivisionError):
        transform(lambda x: nrx.pure_callback(lambda v: 1 / 0, SCALAR, x))(1.0)
    with pytest.raises(DifferentiationError, match="pure_callback is not known") as caught:
        nrx.grad(lambda x: nrx.pure_callback(np.sin, SCALAR, x))(1.0)
    assert "custom_jvp" in str(caught.value)


def test_interrupt_in_a_callback() -> None:
    def host(x: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nrx.jit(lambda x: io_callback(host, None, x))(1.0)
    assert float(nrx.jit(lambda x: x + 1)(1.0)) == 2.0


def test_jitted_functions_inside_and_threads() -> None:
    inner = nrx.jit(lambda x: jnp.sin(x).sum())
    f = nrx.jit(lambda x: nrx.pure_callback(inner, SCALAR, x) + x.sum())
    x = np.linspace(0, 1, 5000, dtype="float32")
    expected = np.sin(x.astype(float)).sum() + x.sum(dtype=float)
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.extend(float(f(x)) for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(found, [expected] * 40, rtol=1e-5)


def test_not_answered_from_the_cache() -> None:
    def calling(host: Callable) -> Any:
        return nrx.jit(lambda x: nrx.pure_callback(host, SCALAR, x))

    assert fingerprint(calling(np.sin).trace(1.0)) is None
    assert [float(calling(host)(4.0)) for host in (np.sqrt, np.square)] == [2.0, 16.0]


def test_print(capsys: pytest.CaptureFixture) -> None:
    def f(x: Any) -> Any:
        nrx.debug.print("x = {:.2f}, {name}: {y[0]} {{}}", x, name="y", y=jnp.stack([x, x]))
        return x

    nrx.jit(f)(1.0)
    nrx.vmap(nrx.grad(f))(jnp.array([0.5, 1.5]))
    expected = [f"x = {x:.2f}, y: {x} {{}}" for x in (1.0, 0.5, 1.5)]
    assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize("fmt", ["no field", "{} {}", "{name}", "{", 3])
def test_bad_format_strings(fmt: Any) -> None:
    with pytest.raises(ArgumentError, match="format string"):
        nrx.jit(lambda x: nrx.debug.print(fmt, x))(1.0)


def test_breakpoint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    typed = iter(["print('x is', x, 'and', label)", "exit()"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(typed))

    @nrx.jit
    def f(x: Any) -> Any:
        label = "text"
        nrx.debug.breakpoint()
        return x + len(label)

    assert float(f(1.5)) == 5.5
    captured = capsys.readouterr()
    assert "x is 1.5 and text" in captured.out
    assert "test_callbacks.py" in captured.err
