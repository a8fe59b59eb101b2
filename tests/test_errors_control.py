"""What errors say: mistakes with control flow and custom derivatives."""

from typing import Any

from mistakes import Mistake, Table, check

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DifferentiationError,
    DTypeError,
    ShapeError,
    TracerIntegerError,
    TreeError,
)

mistake = Table()
A, V, N = jnp.ones((2, 3)), jnp.arange(3.0), jnp.arange(3)


# Control flow


@mistake(ArgumentTypeError, TypeError, "predicate", r"\(3,\)", fix="any.*where")
def condition_on_an_array():
    lax.cond(V > 1, lambda: 1, lambda: 2)  # here


@mistake(ArgumentTypeError, TypeError, "functions", fix=r"cond\(pred, true_fun, false_fun, \*operands\)")
def values_for_branches():
    lax.cond(True, 1.0, 2.0)  # here


@mistake(
    TreeError, ValueError, "true_fun returns another structure than false_fun", r"got a tuple of length 2", fix="same"
)
def branches_of_different_structures():
    lax.cond(True, lambda x: (x, x), lambda x: x, V)  # here


@mistake(
    ShapeError,
    ValueError,
    r"false_fun returns f32\[2,3\] at result\['h'\], true_fun returns f32\[3\]",
    fix="equal shapes",
)
def branches_of_different_shapes():
    lax.cond(True, lambda x: {"h": x}, lambda x: {"h": A}, V)  # here


@mistake(DTypeError, TypeError, r"branch 0 returns f32\[3\] at result, branch 2 returns i32\[3\]", fix="astype")
def branches_of_different_dtypes():
    lax.switch(0, [lambda x: x, lambda x: -x, lambda x: N], V)  # here


@mistake(ArgumentTypeError, TypeError, "index must be an integer", r"f32\[\]", fix="int")
def fractional_branch_index():
    lax.switch(1.5, [jnp.sin, jnp.cos], V)  # here


@mistake(ArgumentTypeError, TypeError, "non-empty", fix="branch")
def no_branches():
    lax.switch(0, [], V)  # here


@mistake(TreeError, ValueError, r"pair \(carry, y\)", fix="return carry, None")
def scan_body_without_a_pair():
    lax.scan(lambda c, x: c + x, 0.0, V)  # here


@mistake(TreeError, ValueError, r"pair \(carry, y\)", "'carry'", fix="return carry, None")
def scan_body_with_a_dictionary():
    lax.scan(lambda c, x: {"carry": c, "y": x}, 0.0, V)  # here


@mistake(
    TreeError,
    ValueError,
    "carry of another structure",
    "expected a leaf, got a tuple of length 2",
    fix="same structure",
)
def carry_that_grows():
    lax.scan(lambda c, x: ((c, x), None), 0.0, V)  # here


@mistake(ShapeError, ValueError, r"carry\['h'\] was f32\[3\] and is returned as f32\[2,3\]", fix="zeros")
def carry_that_changes_shape():
    lax.scan(lambda c, x: ({"h": c["h"] + A, "n": c["n"]}, None), {"h": V, "n": 0}, V)  # here


@mistake(DTypeError, TypeError, r"carry\[1\] was f32\[3\] and is returned as f16\[3\]", fix="astype")
def carry_that_changes_dtype():
    lax.scan(lambda c, x: ((c[0], c[1].astype("float16")), None), (0, V), V)  # here


@mistake(ShapeError, ValueError, r"xs\['a'\]: 3, xs\['b'\]: 2", fix="equal")
def slices_of_different_lengths():
    lax.scan(lambda c, x: (c, None), 0.0, {"a": V, "b": A})  # here


@mistake(ShapeError, ValueError, "xs: 3, length=4", fix="equal")
def length_that_is_not_that_of_xs():
    lax.scan(lambda c, x: (c, None), 0.0, V, length=4)  # here


@mistake(ShapeError, ValueError, r"xs\[1\] is a scalar", fix="close over")
def scan_over_a_scalar():
    lax.scan(lambda c, x: (c, None), 0.0, (V, 1.0))  # here


@mistake(ArgumentError, ValueError, "number of steps", fix="length=")
def scan_of_unknown_length():
    lax.scan(lambda c, x: (c, None), 0.0)  # here


@mistake(TracerIntegerError, TypeError, "integer", "depends on n", fix="static_argnums")
def scan_of_traced_length():
    nrx.jit(lambda n: lax.scan(lambda c, x: (c, None), 0.0, None, length=n))(3)  # here


@mistake(ArgumentTypeError, TypeError, r"scan: init\['h'\]", "str: 'zeros'", fix="array")
def carry_that_is_a_string():
    lax.scan(lambda c, x: (c, None), {"h": "zeros"}, V)  # here


@mistake(ArgumentTypeError, TypeError, "scan needs a function", fix="itself")
def scan_of_no_function():
    lax.scan(V, 0.0, V)  # here


@mistake(ArgumentTypeError, TypeError, "cond_fun must return a boolean scalar", r"bool\[3\]", fix=r"any\(\)")
def while_condition_that_is_an_array():
    lax.while_loop(lambda x: x > 0, lambda x: x, V)  # here


@mistake(ShapeError, ValueError, "while_loop", r"was f32\[\]\* and is returned as f32\[3\]", fix="zeros")
def while_body_that_changes_shape():
    lax.while_loop(lambda x: True, lambda x: x + V, 0.0)  # here


@mistake(ArgumentTypeError, TypeError, "bounds must be integer", r"f32\[\]", fix="int")
def fractional_bound():
    lax.fori_loop(0, 2.5, lambda i, x: x, V)  # here


@mistake(ArgumentError, ValueError, "batch_size must be positive", "0", fix="leave it out")
def map_in_batches_of_none():
    lax.map(jnp.sin, V, batch_size=0)  # here


# Custom derivatives


@mistake(DifferentiationError, TypeError, "f was called before its derivative was defined", fix=r"f\.defjvp")
def jvp_rule_that_is_missing():
    @nrx.custom_jvp
    def f(x):
        return x

    f(1.0)  # here


@mistake(DifferentiationError, TypeError, "before its derivative was defined", fix=r"defvjp")
def vjp_rule_that_is_missing():
    nrx.custom_vjp(lambda x: x)(1.0)  # here


def with_jvp(rule: Any) -> Any:
    f = nrx.custom_jvp(lambda x: x * 2)
    f.__name__ = f._function.__name__ = "f"
    f.defjvp(rule)
    return f


def with_vjp(fwd: Any, bwd: Any) -> Any:
    f = nrx.custom_vjp(lambda x, y: x["a"] * y)
    f.__name__ = f._function.__name__ = "f"
    f.defvjp(fwd, bwd)
    return f


@mistake(TreeError, ValueError, "jvp rule of f", "pair", fix="return value, tangent")
def jvp_rule_without_a_pair():
    nrx.grad(with_jvp(lambda p, t: t[0]))(1.0)  # here


@mistake(TreeError, ValueError, "jvp rule of f", "different structure", fix="like the value")
def jvp_rule_with_another_structure():
    nrx.grad(with_jvp(lambda p, t: (p[0], (t[0], t[0]))))(1.0)  # here


@mistake(ShapeError, ValueError, "tangent that the jvp rule of f returned", r"\(3,\)", r"\(\)", fix="equal")
def jvp_rule_with_another_shape():
    nrx.grad(with_jvp(lambda p, t: (p[0], t[0] * V)))(1.0)  # here


ARGS = {"a": V}, 2.0


@mistake(TreeError, ValueError, "fwd rule of f", "residuals", fix="return value, residuals")
def fwd_rule_without_residuals():
    nrx.grad(lambda y: jnp.sum(with_vjp(lambda x, y: y, None)({"a": V}, y)))(2.0)  # here


@mistake(TreeError, ValueError, "bwd rule of f", "tuple of 2 cotangents", "an array", fix=r"\(ct,\)")
def bwd_rule_without_a_tuple():
    f = with_vjp(lambda x, y: (x["a"] * y, None), lambda _, ct: ct)
    nrx.grad(lambda x, y: jnp.sum(f(x, y)))(*ARGS)


@mistake(
    TreeError,
    ValueError,
    "the cotangent of x that the bwd rule of f returned",
    r"missing \['b'\]; extra \['a'\]",
    fix="structure",
)
def bwd_rule_with_another_structure():
    f = with_vjp(lambda x, y: (x["a"] * y, None), lambda _, ct: ({"b": ct}, None))
    nrx.grad(lambda x, y: jnp.sum(f(x, y)))(*ARGS)


@mistake(ShapeError, ValueError, "the cotangent of y that the bwd rule of f returned", r"\(3,\)", r"\(\)", fix="equal")
def bwd_rule_with_another_shape():
    f = with_vjp(lambda x, y: (x["a"] * y, None), lambda _, ct: (None, ct))
    nrx.grad(lambda x, y: jnp.sum(f(x, y)), argnums=1)(*ARGS)


@mistake(DifferentiationError, TypeError, "forward mode", "custom_vjp", fix="custom_jvp")
def forward_mode_through_custom_vjp():
    f = with_vjp(lambda x, y: (x["a"] * y, None), lambda _, ct: (None, None))
    nrx.jvp(lambda y: f({"a": V}, y), (2.0,), (1.0,))  # here


@mistake(DifferentiationError, TypeError, "forward mode", "custom_vjp", fix="reverse mode")
def jacfwd_through_custom_vjp():
    f = with_vjp(lambda x, y: (x["a"] * y, None), lambda _, ct: (None, None))
    nrx.jacfwd(lambda y: f({"a": V}, y))(2.0)  # here


@mistake(ArgumentTypeError, TypeError, "argument power of <lambda>", "nondiff_argnums", fix="leave it out")
def traced_nondiff_argument():
    f = nrx.custom_jvp(lambda x, power: x**power, nondiff_argnums=1)
    f.defjvp(lambda power, p, t: (p[0], t[0]))
    nrx.jit(lambda x, n: f(x, n))(2.0, 3)  # here


@mistake(ArgumentError, ValueError, "keyword-only", "'scale'", fix="positional")
def keyword_only_argument_of_a_custom_function():
    f = nrx.custom_jvp(lambda x, *, scale: x * scale)
    f.defjvp(lambda p, t: (p[0], t[0]))
    f(1.0, scale=2.0)  # here


@mistake.parametrize()
def test_mistake(mistake: Mistake) -> None:
    check(mistake)
