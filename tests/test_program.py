"""Programs: how they print, what the type checker rejects, evaluation and pruning."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.core.check import check_program
from nrx.core.errors import MissingRuleError, ProgramError
from nrx.core.pretty import show
from nrx.core.primitive import Primitive, registry
from nrx.core.program import Eqn, Literal, Program, Var, evaluate, prune, subprograms
from nrx.ops.arithmetic import add_p, mul_p
from nrx.ops.elementary import sin_p
from nrx.ops.sorting import sort_p

X = jnp.asarray(np.linspace(0.3, 1.1, 4))
F64 = Aval((4,), np.dtype("float64"))
F32 = Aval((4,), np.dtype("float32"))


# Printing


def test_a_program_prints_types_params_and_results() -> None:
    program = nrx.make_jaxpr(lambda x, n: (lax.reduce_sum(lax.mul(lax.sin(x), x), [0]), n, 2.5))(X, 3)
    assert str(program) == repr(program)
    assert str(program) == (
        "{ lambda  ; a:f64[4] b:i32[]* . let\n"
        "    c:f64[4] = sin a\n"
        "    d:f64[4] = mul c a\n"
        "    e:f64[] = reduce_sum[axes=(0,)] d\n"
        "  in (e, b, 2.5:f32[]*) }"
    )


def test_constants_stand_before_the_arguments() -> None:
    program = nrx.make_jaxpr(lambda x: lax.add(x, X))(X)
    assert str(program) == "{ lambda a:f64[4] ; b:f64[4] . let\n    c:f64[4] = add b a\n  in (c,) }"
    assert program.consts[0] is X


def test_inner_programs_are_indented() -> None:
    text = str(nrx.make_jaxpr(lambda x: lax.cond(True, nrx.jit(lax.sin), lax.cos, x))(X))
    depths = {line.strip(): len(line) - len(line.lstrip()) for line in text.splitlines()}
    outer = next(depth for line, depth in depths.items() if "= cond" in line)
    inner = next(depth for line, depth in depths.items() if "= jit" in line)
    innermost = next(depth for line, depth in depths.items() if "= sin" in line)
    assert outer < inner < innermost
    assert text.count("lambda") == 4


def test_every_dtype_has_a_short_name() -> None:
    arrays = [
        jnp.zeros(2, d)
        for d in ("bfloat16", "float16", "float64", "complex64", "uint8", "int64", "bool", "float8_e4m3fn")
    ]
    text = str(nrx.make_jaxpr(lambda *xs: xs)(*arrays))
    assert re.findall(r"\w+:(\S+)\[2\]", text) == ["bf16", "f16", "f64", "c64", "u8", "i64", "bool", "f8_e4m3fn"]


def test_source_lines_name_file_line_and_function() -> None:
    def f(x: Any) -> Any:
        y = lax.sin(x)
        return lax.mul(y, y)

    first = f.__code__.co_firstlineno
    lines = show(nrx.make_jaxpr(f)(X), source=True, color=False).splitlines()
    function = "test_source_lines_name_file_line_and_function.<locals>.f"
    assert lines[1].endswith(f"  # test_program.py:{first + 1} ({function})")
    assert lines[2].endswith(f"  # test_program.py:{first + 2} ({function})")
    again = show(nrx.make_jaxpr(nrx.jit(nrx.grad(lambda x: jnp.sum(f(x)))))(X), source=True, color=False)
    named = [line for line in again.splitlines() if re.search(r"= (sin|cos|mul)\b", line)]
    assert len(named) > 3
    assert all("test_program.py" in line for line in named)


def test_colours_change_nothing_but_the_colours() -> None:
    program = nrx.make_jaxpr(lambda x: lax.scan(lambda c, x: (lax.mul(c, x), c), 1.0, x))(jnp.ones(3))
    coloured = show(program, color=True, source=True)
    assert "\033[" in coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == show(program, color=False, source=True)
    assert "\033[" not in str(program)


def test_more_than_26_names() -> None:
    program = nrx.make_jaxpr(lambda x: [x := lax.sin(x) for _ in range(60)][-1])(X)
    names = re.findall(r"(\w+):f64\[4\] = sin", str(program))
    assert len(set(names)) == 60
    assert {"z", "ba", "bb"} <= set(names)


def test_programs_of_everything_can_be_printed() -> None:
    f = nrx.custom_jvp(lambda x: jnp.sin(x))
    f.defjvp(lambda p, t: (f(*p), t[0]))
    g = nrx.custom_vjp(lambda x: jnp.sin(x))
    g.defvjp(lambda x: (g(x), x), lambda x, ct: (ct,))
    everything = lambda x: nrx.checkpoint(lambda x: g(f(x)))(
        lax.map(f, lax.fori_loop(0, jnp.argmax(x), lambda i, v: v, x))
    )
    text = str(nrx.make_jaxpr(everything)(X))
    assert {"custom_vjp", "custom_jvp", "checkpoint", "scan", "while"} <= set(re.findall(r"= (\w+)", text))
    assert " at 0x" not in text


# The checker


def broken_programs() -> Iterator[tuple[str, str, Program]]:
    a, b, c = Var(F64), Var(F64), Var(F64)
    sin = Eqn(sin_p, [a], [b], {})
    yield "result of another type", "the variable is f32", Program([a], [Eqn(sin_p, [a], [v := Var(F32)], {})], [v])
    yield (
        "result of another shape",
        r"f64\[\].*f64\[4\]",
        Program([a], [Eqn(sin_p, [a], [v := Var(Aval((), F64.dtype))], {})], [v]),
    )
    yield "undefined operand", "used before it is defined", Program([a], [Eqn(add_p, [a, c], [b], {})], [b])
    yield "wrong order", "used before it is defined", Program([a], [Eqn(sin_p, [b], [c], {}), sin], [c])
    yield "undefined result", "the results: variable", Program([a], [sin], [c])
    yield "defined twice", "defined twice", Program([a], [sin, sin], [b])
    yield "argument twice", "defined twice", Program([a, a], [], [a])
    yield "argument defined again", "defined twice", Program([a], [Eqn(sin_p, [a], [a], {})], [a])
    yield "too many results", "2 results written, 1 inferred", Program([a], [Eqn(sin_p, [a], [b, c], {})], [b])
    yield (
        "too few results",
        "1 results written, 2 inferred",
        Program([a, b], [Eqn(sort_p, [a, b], [c], {"dimension": 0, "is_stable": True, "num_keys": 1})], [c]),
    )
    yield "operands that do not fit", "equation 0.*mul", Program([a, w := Var(F32)], [Eqn(mul_p, [a, w], [b], {})], [b])
    yield "constants missing", "1 constant variables, 0 constants", Program([a], [sin], [b], [c], [])
    yield "constant of another type", "a constant", Program([a], [sin], [b], [Var(F32)], [X])
    inner = Program([v := Var(F32)], [], [v])
    call = lambda prim, params: Program([a], [Eqn(registry[prim], [a], [b], params)], [b])
    yield "call of another type", "f32.*f64", call("jit", {"program": inner})
    bad = Program([v := Var(F64)], [Eqn(sin_p, [v], [w := Var(F32)], {})], [w])
    yield "broken inner program", "the variable is f32", call("checkpoint", {"program": bad})
    index = Var(Aval((), np.dtype("int32")))
    yield (
        "branch of another type",
        "cond",
        Program([index, a], [Eqn(registry["cond"], [index, a], [b], {"branches": (inner,)})], [b]),
    )


BROKEN = {name: (message, program) for name, message, program in broken_programs()}


@pytest.mark.parametrize("name", BROKEN)
def test_the_checker_rejects(name: str) -> None:
    message, program = BROKEN[name]
    with pytest.raises(ProgramError, match=message):
        check_program(program)


def test_the_checker_accepts_what_is_traced() -> None:
    def f(x: Any) -> Any:
        step = lambda c, t: (lax.cond(t[0] > 0, jnp.sin, jnp.cos, c) * t, (c, 1))
        return lax.scan(step, x, jnp.outer(x, x))

    total = lambda x: jnp.sum(f(x)[0]) + jnp.sum(f(x)[1][0])
    for g in (
        f,
        nrx.grad(total),
        nrx.hessian(total),
        nrx.vmap(lambda s: total(s * X)),
        nrx.jit(nrx.jacfwd(nrx.grad(total))),
    ):
        check_program(nrx.make_jaxpr(g)(X))


def test_debug_checks_check_every_program() -> None:
    prim = Primitive("test_undecided", multiple_results=True, higher_order=True)
    try:
        prim.define(abstract=lambda x: [next(answers)])
        trace = nrx.make_jaxpr(lambda x: prim.bind(x)[0])
        answers = iter([F64])
        trace(X)
        answers = iter([F64, F32])
        with nrx.config.using(debug_checks=True), pytest.raises(ProgramError, match="test_undecided"):
            trace(X)
    finally:
        del registry["test_undecided"]


@pytest.mark.parametrize("wrong", [lambda x: x.astype(np.float32), lambda x: x[:2], lambda x: x[None]])
def test_debug_checks_catch_a_wrong_impl(wrong: Callable) -> None:
    prim = Primitive("test_wrong_impl")
    try:
        prim.define(impl=lambda xp, x: wrong(x), abstract=lambda x: x)
        prim.bind(X)
        with (
            nrx.config.using(debug_checks=True),
            pytest.raises(ProgramError, match=r"test_wrong_impl: impl gave .*promised f64\[4\]"),
        ):
            prim.bind(X)
    finally:
        del registry["test_wrong_impl"]


def test_a_primitive_says_which_rule_it_lacks_and_why() -> None:
    prim = Primitive("test_without_rules").refuse(jvp="it is a test")
    try:
        prim.define(impl=lambda xp, x: x, abstract=lambda x: x)
        assert prim.has("impl")
        assert not prim.has("jvp")
        with pytest.raises(MissingRuleError, match="'test_without_rules' has no 'jvp' rule: it is a test"):
            nrx.grad(lambda x: prim.bind(x))(1.0)
        with pytest.raises(MissingRuleError, match="no 'batch' rule: none was written"):
            nrx.vmap(prim.bind)(X)
        with pytest.raises(ValueError, match="exists already"):
            Primitive("test_without_rules")
        with pytest.raises(ValueError, match="no rule slot 'implementation'"):
            prim.define(implementation=lambda: None)
    finally:
        del registry["test_without_rules"]


# Making, evaluating, pruning


def test_make_jaxpr_takes_shapes_in_place_of_arrays() -> None:
    f = lambda t, n, k: {"y": t["x"] @ t["w"] * n, "k": k}
    shapes = {"x": nrx.ShapeDtypeStruct((2, 3), "float32"), "w": nrx.ShapeDtypeStruct((3, 5), np.float32)}
    program = nrx.make_jaxpr(f, static_argnums=1)(shapes, 3, k=X)
    assert [str(a) for a in program.in_avals] == ["f32[3,5]", "f32[2,3]", "f64[4]"]
    assert [str(a) for a in program.out_avals] == ["f64[4]", "f32[2,5]"]


def test_eval_shape() -> None:
    out = nrx.eval_shape(
        lambda t, s: {"y": t["x"].T, "none": None, "s": s}, {"x": nrx.ShapeDtypeStruct((2, 3), "bfloat16")}, 1.0
    )
    assert out == {
        "y": nrx.ShapeDtypeStruct((3, 2), "bfloat16"),
        "none": None,
        "s": nrx.ShapeDtypeStruct((), "float32", weak_type=True),
    }
    y = out["y"]
    assert (y.shape, y.dtype.name, y.ndim, y.size, y.weak_type) == ((3, 2), "bfloat16", 2, 6, False)
    assert repr(y) == "ShapeDtypeStruct(shape=(3, 2), dtype=bfloat16)"
    assert len({y, nrx.ShapeDtypeStruct((3, 2), "bfloat16")}) == 1
    assert nrx.eval_shape(lambda x: jnp.linalg.norm(x), np.zeros((10**6, 1), "int8")).shape == ()


def test_a_program_is_called_on_flat_arguments() -> None:
    program = nrx.make_jaxpr(lambda t: {"b": t["y"] * 2, "a": jnp.sin(t["x"])})({"x": X, "y": X})
    assert_same(program(X, 3 * X), [np.sin(X), 6 * X])
    rows = jnp.stack([X, 2 * X])
    assert_same(nrx.vmap(program)(rows, rows), [np.sin(rows), 2 * rows])
    assert_same(nrx.jit(program)(X, X), evaluate(program, [X, X]))
    assert_same(nrx.grad(lambda x: jnp.sum(program(x, x)[0]))(X), np.cos(X))


def test_literals_and_arguments_as_results() -> None:
    program = nrx.make_jaxpr(lambda x: (x, 2, x, 2.5))(X)
    assert not program.eqns
    assert isinstance(program.outs[1], Literal)
    out = program(X)
    assert out[0] is X
    assert_same(out, [X, 2, X, np.float32(2.5)])


def test_large_constants_are_not_copied_into_programs() -> None:
    program = nrx.make_jaxpr(lambda x: x * X + X)(X)
    assert len(program.consts) == 1
    closed, consts = program.closed()
    assert not closed.constvars
    assert_same(closed(*consts, X), program(X))
    assert program.closed()[0] is closed


def test_prune_drops_what_nothing_depends_on() -> None:
    def f(x: Any, y: Any) -> Any:
        unused = jnp.exp(y * X)
        return jnp.sin(x), jnp.cos(y), unused

    program = nrx.make_jaxpr(f)(X, X)
    kept = prune(program, [True, False, False])
    assert [eqn.prim.name for eqn in kept.eqns] == ["sin"]
    assert (len(kept.invars), len(kept.consts), len(kept.outs)) == (2, 0, 1)
    assert_same(kept(X, X), [np.sin(X)])
    assert [eqn.prim.name for eqn in prune(program).eqns] == [eqn.prim.name for eqn in program.eqns]
    check_program(kept)


def test_subprograms_are_found_in_tuples_too() -> None:
    program = nrx.make_jaxpr(lambda x: lax.switch(1, [jnp.sin, jnp.cos, jnp.tanh], x))(X)
    (eqn,) = [eqn for eqn in program.eqns if eqn.prim.name == "cond"]
    assert [inner.eqns[0].prim.name for inner in subprograms(eqn.params)] == ["sin", "cos", "tanh"]


def test_what_is_derived_is_remembered() -> None:
    program = Program([v := Var(F64)], [], [v])
    made = []
    for _ in range(3):
        program.remember("key", lambda: made.append(1))
    assert made == [1]


def test_reprs_of_the_parts() -> None:
    v, w = Var(F64), Literal(asarray(2.0))
    assert repr(v) == "Var(f64[4])"
    assert repr(w) == "2.0:f32[]*"
    assert repr(Eqn(mul_p, [v, w], [v], {})) == "Var(f64[4]) = mul Var(f64[4]), 2.0:f32[]*"
