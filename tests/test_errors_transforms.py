"""What errors say: mistakes with tracers and transformations; and which line is named."""

import math
from typing import Any

import numpy as np
import pytest
from mistakes import Mistake, Table, check, check_source

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.errors import (
    ArgumentTypeError,
    AxisError,
    AxisNameError,
    DifferentiationError,
    DTypeError,
    ImmutableError,
    IndexingError,
    LeakedTracerError,
    MissingRuleError,
    NonDifferentiableInputError,
    NonScalarLossError,
    NrxError,
    ShapeError,
    StaticArgumentError,
    TracerArrayError,
    TracerBoolError,
    TracerConversionError,
    TracerError,
    TracerIntegerError,
    TreeError,
    UnhashableError,
)

mistake = Table()
A, B, V, N = jnp.ones((2, 3)), jnp.ones((2, 4)), jnp.arange(3.0), jnp.arange(3)


# Values that are not known while tracing


@mistake(TracerBoolError, TypeError, r"bool\[\]", "jit of", "depends on x", fix=r"where.*cond.*static_argnums")
def python_if():
    @nrx.jit
    def f(x):
        if x > 0:  # here
            return x
        return -x

    f(1.0)


@mistake(TracerBoolError, TypeError, "depends on n", fix="while_loop")
def python_while():
    @nrx.jit
    def f(x, n):
        while n > 0:  # here
            x, n = x * 2, n - 1
        return x

    f(1.0, 3)


@mistake(TracerBoolError, TypeError, "depends on a, b", fix="&")
def python_and():
    nrx.jit(lambda a, b, c: (a + b > 0) and c)(1.0, 2.0, 3.0)  # here


@mistake(TracerBoolError, TypeError, "vmap of", fix="where")
def python_if_under_vmap():
    nrx.vmap(lambda x: 1 if x > 0 else 2)(V)  # here


@mistake(TracerConversionError, TypeError, r"float\(tracer\)", r"f32\[\]", fix="keep it an array")
def float_of_a_tracer():
    nrx.grad(lambda x: x * float(x))(1.0)  # here


@mistake(TracerConversionError, TypeError, r"int\(tracer\)", "depends on x", fix="static_argnums")
def int_of_a_tracer():
    nrx.jit(lambda x: int(x))(1.0)  # here


@mistake(TracerConversionError, TypeError, "make_jaxpr of", "depends on x;|depends on x\\)", fix="static_argnums")
def float_of_a_tracer_beside_static_arguments():
    nrx.make_jaxpr(lambda n, x: float(x + n), static_argnums=0)(3, 1.0)  # here


@mistake(TracerConversionError, TypeError, "float", fix="keep it an array")
def math_function_of_a_tracer():
    nrx.jit(lambda x: math.sin(x))(1.0)  # here


@mistake(TracerConversionError, TypeError, "item", fix="return it")
def item_of_a_tracer():
    nrx.jit(lambda x: x.sum().item())(V)  # here


@mistake(TracerConversionError, TypeError, "format", r"'\.3f'", fix="array")
def formatted_tracer():
    nrx.jit(lambda x: print(f"loss {x:.3f}"))(1.0)  # here


@mistake(TracerIntegerError, TypeError, "integer is needed", "depends on n", fix=r"fori_loop")
def range_of_a_tracer():
    nrx.jit(lambda x, n: sum(x for _ in range(n)))(1.0, 3)  # here


@mistake(TracerIntegerError, TypeError, "integer", "depends on n", fix=r"static_argnums.*x\.shape")
def tracer_as_a_shape():
    nrx.jit(lambda n: jnp.zeros((2, n)))(3)  # here


@mistake(TracerIntegerError, TypeError, "integer", fix=r"x\.shape")
def scalar_tracer_as_a_shape():
    nrx.jit(lambda n: jnp.zeros(n))(3)  # here


@mistake(TracerArrayError, TypeError, "NumPy cannot read", r"f32\[3\]", fix=r"nrx\.numpy")
def numpy_array_of_a_tracer():
    nrx.jit(lambda x: np.asarray(x) + 1)(V)  # here


@mistake(TracerArrayError, TypeError, "NumPy cannot read", fix=r"nrx\.numpy")
def scipy_style_function_of_a_tracer():
    nrx.grad(lambda x: np.random.default_rng(0).normal(np.array(x)).sum())(V)  # here


@mistake(IndexingError, IndexError, "boolean", r"bool\[3\]", fix="where")
def boolean_mask_of_a_tracer():
    nrx.jit(lambda x: x[x > 0])(V)  # here


@mistake(IndexingError, IndexError, "slice", fix="dynamic_slice.*static")
def slice_up_to_a_tracer():
    nrx.jit(lambda x, n: x[:n])(V, 2)  # here


@mistake(ImmutableError, TypeError, "item assignment", fix=r"\.at\[")
def item_assignment_in_a_function():
    def f(x):
        x[0] = 1.0  # here
        return x

    nrx.jit(f)(V)


@mistake(UnhashableError, TypeError, "hashed", fix="Python value")
def tracer_in_a_set():
    nrx.jit(lambda x: {x})(V)  # here


# Leaks

KEPT: list[Any] = []


@mistake(LeakedTracerError, TypeError, r"f32\[\]", "jit of f", "depends on x", "ended.*leaked", fix="return the value")
def tracer_in_a_global_list():
    @nrx.jit
    def f(x):
        KEPT.append(x * 2)
        return x

    f(1.0)
    KEPT[-1] + 1  # here


@mistake(LeakedTracerError, TypeError, "grad of f", "leaked", fix="return the value")
def tracer_in_an_attribute_after_grad():
    class Model:
        def loss(self, x):
            self.activation = x * x
            return self.activation

    model = Model()
    f = lambda x: model.loss(x)
    f.__name__ = "f"
    nrx.grad(f)(2.0)
    jnp.sin(model.activation)  # here


@mistake(LeakedTracerError, TypeError, "vmap of", "leaked", fix="return the value")
def tracer_after_vmap_into_jit():
    @nrx.jit
    def f(y):
        return y + KEPT[-1]  # here

    nrx.vmap(lambda x: (KEPT.append(x), x)[1])(V)
    f(1.0)


@mistake(LeakedTracerError, TypeError, "leaked", fix="return the value")
def number_of_a_leaked_tracer():
    nrx.jit(lambda x: KEPT.append(x.sum()))(V)
    print(float(KEPT[-1]))  # here


@mistake(LeakedTracerError, TypeError, "leaked", fix="return the value")
def leaked_from_a_scan():
    lax.scan(lambda c, x: (c + x, KEPT.append(c)), 0.0, V)
    KEPT[-1] * 2  # here


# grad and its kin


@mistake(NonDifferentiableInputError, TypeError, "argument x of <lambda>", "int32", fix="astype.*allow_int")
def gradient_by_an_integer():
    nrx.grad(lambda x: x * 2.0)(3)  # here


@mistake(NonDifferentiableInputError, TypeError, r"argument params\['n'\]\[1\]", "bool", fix="argnums")
def gradient_by_a_boolean_in_a_tree():
    nrx.grad(lambda x, params: x, argnums=1)(1.0, {"n": [1.0, True]})  # here


@mistake(NonScalarLossError, TypeError, "scalar", "<lambda>", r"shape \(3,\)", fix=r"sum\(\).*jacrev")
def loss_that_is_a_vector():
    nrx.grad(lambda x: x * 2)(V)  # here


@mistake(NonScalarLossError, TypeError, "tuple of length 2", fix="has_aux=True")
def loss_that_is_a_pair():
    nrx.grad(lambda x: (x, x))(1.0)  # here


@mistake(NonScalarLossError, TypeError, "returned None", fix="`return` missing")
def loss_that_is_nothing():
    nrx.value_and_grad(lambda x: None)(1.0)  # here


@mistake(NonScalarLossError, TypeError, "real", "complex64", fix=r"real.*holomorphic=True")
def loss_that_is_complex():
    nrx.grad(lambda x: x * 1j)(1.0)  # here


@mistake(NonScalarLossError, TypeError, "int32", fix="float")
def loss_that_is_an_integer():
    nrx.grad(lambda x: x.astype(int))(1.0)  # here


@mistake(NonScalarLossError, TypeError, "jacrev", r"i32\[3\]", fix="float|aux")
def jacobian_of_integers():
    nrx.jacrev(lambda x: x.astype(int))(V)  # here


@mistake(NonScalarLossError, TypeError, "jacrev needs real", r"c64\[3\]", fix="holomorphic=True")
def jacobian_of_complex_results():
    nrx.jacrev(lambda x: x * 1j)(V)  # here


@mistake(NonDifferentiableInputError, TypeError, "jacfwd needs real arguments", r"c64\[3\]", fix="holomorphic=True")
def jacobian_by_complex_arguments():
    nrx.jacfwd(lambda x: x * 2)(V + 0j)  # here


@mistake(NonDifferentiableInputError, TypeError, "holomorphic=True", "argument x", "float32", fix="complex")
def holomorphic_with_real_arguments():
    nrx.grad(lambda x: x, holomorphic=True)(1.0)  # here


@mistake(TreeError, ValueError, "has_aux=True", r"an array f32\[\]", fix=r"\(result, aux\)")
def aux_that_is_missing():
    nrx.value_and_grad(lambda x: x * x, has_aux=True)(1.0)  # here


@mistake(NonDifferentiableInputError, TypeError, "argument key", "random key", fix="argnums")
def derivative_with_respect_to_a_key():
    nrx.grad(lambda key: 1.0)(nrx.random.key(0))  # here


@mistake(ArgumentTypeError, TypeError, "the result of <lambda>", "str: 'a'", fix="^return an array")
def result_that_is_a_string():
    nrx.grad(lambda x: "a")(1.0)  # here


@mistake(ArgumentTypeError, TypeError, "got an int$", fix="pass a function")
def a_number_for_a_function():
    nrx.jit(3)  # here


@mistake(StaticArgumentError, ValueError, "argnums=2", "2 positional arguments", fix="from 0")
def argnums_out_of_range():
    nrx.grad(lambda x, y: x, argnums=2)(1.0, 2.0)  # here


@mistake(StaticArgumentError, ValueError, "argnums=0", "0 positional arguments", fix="by position, not by keyword")
def argument_by_keyword():
    nrx.grad(lambda x: x)(x=1.0)  # here


@mistake(StaticArgumentError, ValueError, r"\(0, -2\)", "twice", fix="once")
def argnums_twice():
    nrx.grad(lambda x, y: x, argnums=(0, -2))(1.0, 2.0)  # here


@mistake(ArgumentTypeError, TypeError, r"argument y\['name'\] of <lambda>", "str: 'a'", fix="number|static")
def gradient_by_a_string():
    nrx.grad(lambda x, y: x, argnums=1)(1.0, {"name": "a"})  # here


@mistake(
    ArgumentTypeError,
    TypeError,
    "grad needs a function",
    r"an array f32\[\]",
    fix="the function itself, not what it returned",
)
def gradient_of_a_value():
    nrx.grad(jnp.sum(V))  # here


@mistake(TreeError, TypeError, "primals must be a tuple", r"f32\[3\]", fix=r"jvp\(f, \(x,\), \(t,\)\)")
def jvp_without_tuples():
    nrx.jvp(jnp.sin, V, V)  # here


@mistake(
    TreeError,
    ValueError,
    r"at \[0\]\['w'\]",
    "expected a tuple of length 2, got a leaf",
    fix="one tangent for every primal",
)
def tangents_of_another_structure():
    nrx.jvp(lambda p: p["w"][0], ({"w": (V, V)},), ({"w": V},))  # here


@mistake(ShapeError, ValueError, r"tangent of params\['w'\]", r"\(2, 3\)", r"\(3,\)", fix="equal")
def tangent_of_another_shape():
    nrx.jvp(lambda params: params["w"], ({"w": V},), ({"w": A},))  # here


@mistake(DTypeError, TypeError, "tangent of x", "int32", "float32", fix="astype")
def tangent_of_another_dtype():
    nrx.jvp(jnp.sin, (V,), (N,))  # here


@mistake(DTypeError, TypeError, "float0", r"i32\[3\]", fix="float0")
def tangent_of_an_integer():
    nrx.jvp(lambda x: x, (N,), (V,))  # here


@mistake(ShapeError, ValueError, r"cotangent of the result of <lambda>\['y'\]", r"\(2, 3\)", r"\(3,\)", fix="equal")
def cotangent_of_another_shape():
    nrx.vjp(lambda x: {"y": x}, V)[1]({"y": A})  # here


@mistake(
    TreeError, ValueError, "cotangent of the result", "expected a tuple of length 2, got a leaf", fix="like the result"
)
def cotangent_of_another_structure():
    nrx.vjp(lambda x: (x, x), V)[1](V)  # here


@mistake(DifferentiationError, TypeError, "not linear", fix="vjp")
def transpose_of_a_square():
    nrx.linear_transpose(lambda x: x * x, V)(V)  # here


@mistake(MissingRuleError, NotImplementedError, "while_loop", "number of steps", fix="scan.*jvp")
def reverse_mode_through_while():
    loop = lambda x: lax.while_loop(lambda v: v < 10, lambda v: v * 2, x)  # here
    nrx.grad(loop)(1.0)


# jit


@mistake(ArgumentTypeError, TypeError, "argument mode of <lambda>", "str: 'train'", fix=r"static_argnums")
def string_argument():
    nrx.jit(lambda x, mode: x)(V, "train")  # here


@mistake(ArgumentTypeError, TypeError, r"argument batch\['files'\]\[0\] of <lambda>", "object", fix="static")
def object_in_a_tree():
    nrx.jit(lambda batch: 0)({"files": [object()], "x": V})  # here


@mistake(ArgumentTypeError, TypeError, r"the result of <lambda>\['name'\]", "str: 'a'", fix="array")
def string_result():
    nrx.jit(lambda x: {"name": "a"})(V)  # here


@mistake(UnhashableError, TypeError, "static argument sizes of <lambda>", "list", fix="tuple")
def static_list():
    nrx.jit(lambda x, sizes: x, static_argnums=1)(V, [1, 2])  # here


@mistake(UnhashableError, TypeError, "static argument x", fix="not make the argument static")
def static_array():
    nrx.jit(lambda x: x, static_argnames="x")(V)  # here


@mistake(StaticArgumentError, ValueError, "static_argnums=2", "2 positional arguments", fix="from 0")
def static_argnums_out_of_range():
    nrx.jit(lambda x, n: x, static_argnums=2)  # here


@mistake(StaticArgumentError, ValueError, "static_argnums=-1", "0 positional", fix="from 0")
def negative_static_argnums_of_open_signatures():
    nrx.jit(lambda *xs: xs, static_argnums=-1)  # here


@mistake(StaticArgumentError, ValueError, "no parameter 'm'", fix="x, n")
def unknown_static_argname():
    nrx.jit(lambda x, n: x, static_argnames="m")  # here


@mistake(StaticArgumentError, ValueError, "n cannot be both static and donated", fix="donate_argnums")
def static_and_donated():
    nrx.jit(lambda x, n: x, static_argnames="n", donate_argnums=1)  # here


# vmap


@mistake(ShapeError, ValueError, r"x\['a'\]: 3 \(axis 0\), y: 2 \(axis 1\)", fix="None in in_axes")
def mapped_axes_of_different_lengths():
    nrx.vmap(lambda x, y: x, in_axes=(0, 1))({"a": V}, A.T)  # here


@mistake(AxisError, IndexError, r"axis 2 of argument x", r"\(2, 3\)", fix="None")
def mapped_axis_out_of_range():
    nrx.vmap(lambda x: x, in_axes=2)(A)  # here


@mistake(AxisError, ValueError, r"axis 0 of argument scale", r"\(\)", fix="None in in_axes")
def mapping_over_a_scalar():
    nrx.vmap(lambda x, scale: x * scale)(V, 2.0)  # here


@mistake(TreeError, ValueError, "1 entr", "2 positional arguments", fix="every positional argument")
def in_axes_of_another_length():
    nrx.vmap(lambda x, y: x, in_axes=(0,))(V, V)  # here


@mistake(TreeError, ValueError, "the arguments do not fit in_axes", r"missing \['w'\]; extra \['v'\]", fix="structure")
def in_axes_of_another_structure():
    nrx.vmap(lambda params: params["v"], in_axes=({"w": 0},))({"v": V})  # here


@mistake(TreeError, TypeError, "in_axes must be", "'rows'", fix="in_axes=")
def in_axes_by_name():
    nrx.vmap(lambda x: x, in_axes="rows")  # here


@mistake(TreeError, ValueError, "no argument is mapped", fix="axis_size")
def nothing_mapped():
    nrx.vmap(lambda x: x, in_axes=None)(V)  # here


@mistake(AxisError, ValueError, "out_axes is None", r"\['y'\]", fix="psum")
def out_axes_none_for_a_mapped_result():
    nrx.vmap(lambda x: {"y": x}, out_axes=None)(V)  # here


@mistake(AxisError, IndexError, "out_axes 3", fix="from -2 to 1")
def out_axes_out_of_range():
    nrx.vmap(lambda x: x, out_axes=3)(A)  # here


@mistake(TreeError, ValueError, "the result does not fit out_axes", "tuple of length 2", fix="structure")
def out_axes_of_another_structure():
    nrx.vmap(lambda x: x, out_axes=(0, 0))(V)  # here


@mistake(AxisNameError, NameError, "no axis named 'batch'", fix=r"axis_name='batch'.*\['i'\]")
def unknown_axis_name():
    nrx.vmap(lambda x: lax.psum(x, "batch"), axis_name="i")(V)  # here


@mistake(AxisNameError, TypeError, "no axis named 'i'", fix=r"vmap\(f, axis_name='i'\)")
def axis_name_without_vmap():
    lax.axis_index("i")  # here


@mistake.parametrize()
def test_mistake(mistake: Mistake) -> None:
    KEPT.clear()
    check(mistake)


# The line to blame


def caught(function: Any) -> NrxError:
    with pytest.raises(NrxError) as error:
        function()
    return error.value


TRANSFORMS = {
    "plain": lambda f: f,
    "jit": nrx.jit,
    "grad": lambda f: nrx.grad(lambda x: jnp.sum(f(x))),
    "jit of grad": lambda f: nrx.jit(nrx.grad(lambda x: jnp.sum(f(x)))),
    "vmap": lambda f: lambda x: nrx.vmap(f)(x[None]),
    "hessian": lambda f: nrx.hessian(lambda x: jnp.sum(f(x))),
    "checkpoint": nrx.checkpoint,
    "cond": lambda f: lambda x: lax.cond(True, f, f, x),
    "scan": lambda f: lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=2),
    "while": lambda f: lambda x: lax.while_loop(lambda v: True, f, x),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_the_line_inside_a_transformed_function(transform: Any) -> None:
    def layer(x: Any) -> Any:
        y = jnp.sin(x)
        return y + jnp.ones(4)  # here

    error = caught(lambda: transform(layer)(V))
    line = layer.__code__.co_firstlineno + 2
    assert (error.source.line, error.source.file, error.source.code) == (
        line,
        __file__,
        "return y + jnp.ones(4)  # here",
    )
    assert error.source.function.endswith("layer")


@pytest.mark.parametrize(
    "wrap", [lambda f: f, nrx.jit, nrx.vmap, nrx.checkpoint], ids=["plain", "jit", "vmap", "checkpoint"]
)
def test_the_backward_pass_names_the_line_of_the_forward_pass(wrap: Any) -> None:
    def loss(x: Any) -> Any:
        y = jnp.sin(x)
        z = lax.while_loop(lambda v: jnp.all(v < 5.0), lambda v: v * 2.0, y)  # here
        return jnp.sum(z * z)

    def step() -> Any:
        return nrx.grad(lambda x: jnp.sum(wrap(loss)(x)))(A if wrap is nrx.vmap else V)

    error = caught(step)
    assert isinstance(error, MissingRuleError)
    check_source(error, loss, loss.__code__.co_firstlineno + 2)


def test_a_rule_of_the_users_is_blamed_itself() -> None:
    f = nrx.custom_vjp(lambda x: x)

    def bwd(_: None, ct: Any) -> Any:
        return (ct + jnp.ones(4),)  # here

    f.defvjp(lambda x: (x, None), bwd)
    for transform in (lambda f: f, nrx.jit):
        error = caught(lambda transform=transform: nrx.grad(transform(lambda x: jnp.sum(f(x))))(V))
        check_source(error, bwd, bwd.__code__.co_firstlineno + 1)


def test_a_tracer_knows_where_it_was_made() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        if y > 0:
            return y
        return x

    error = caught(lambda: nrx.jit(f)(1.0))
    assert f"made at {__file__}:{f.__code__.co_firstlineno + 2}" in error.message
    assert error.source.line == f.__code__.co_firstlineno + 2


def test_a_transformation_ends_with_its_error() -> None:
    for transform in TRANSFORMS.values():
        caught(lambda transform=transform: transform(lambda x: x + jnp.ones(4))(V))
        assert nrx.core.trace.is_evaluating()
    assert not nrx.core.trace.named_axes()


def test_all_tracer_errors_have_one_base() -> None:
    kinds = TracerBoolError, TracerIntegerError, TracerConversionError, TracerArrayError, LeakedTracerError
    assert all(issubclass(kind, TracerError) for kind in kinds)
