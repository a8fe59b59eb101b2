"""Transformations nested in one another, against JAX.

A program is a function of a namespace (`nrx` or `jax`) and arrays; both must give the same tree of the same numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import agrees_with_jax

PROGRAMS: list[Any] = []

X = np.linspace(0.3, 1.1, 4)
Y = np.linspace(-1.2, 0.9, 4)
M = np.sin(np.arange(12.0)).reshape(4, 3)
SQUARE = np.cos(np.arange(16.0)).reshape(4, 4) / 2
Z = X + 1j * Y
COUNTS = np.array([3, 0, 5, 1])


def program(*args: Any, rtol: float = 1e-10) -> Callable[[Callable], Callable]:
    """Enter a function of the namespace and `args` into the table."""

    def register(function: Callable) -> Callable:
        PROGRAMS.append(pytest.param(function, args, rtol, id=function.__name__))
        return function

    return register


# Derivatives of derivatives


@program(0.7)
def third_derivative(J, x):
    f = lambda x: J.numpy.sin(x) * J.numpy.exp(x * x)
    return J.grad(J.grad(J.grad(f)))(x)


@program(0.7)
def fourth_derivative_of_mixed_modes(J, x):
    f = lambda x: J.numpy.tanh(x) * x
    forward = lambda g: lambda x: J.jvp(g, (x,), (J.numpy.ones_like(x),))[1]
    return J.grad(forward(J.grad(forward(f))))(x)


@program(X)
def reverse_over_forward(J, x):
    f = lambda x: J.numpy.sum(J.numpy.sin(x) * J.numpy.cumsum(x * x))
    return J.grad(lambda x: J.jvp(f, (x,), (J.numpy.cos(x),))[1])(x)


@program(X)
def forward_over_reverse(J, x):
    f = lambda x: J.numpy.sum(J.numpy.tanh(x) ** 3)
    return J.jvp(J.grad(f), (x,), (J.numpy.ones_like(x),))


@program(X)
def hessians_four_ways(J, x):
    f = lambda x: J.numpy.prod(J.numpy.sin(x)) + J.numpy.sum(x**3)
    modes = J.jacfwd, J.jacrev
    return [outer(inner(f))(x) for outer in modes for inner in modes]


@program(X)
def third_order_tensor(J, x):
    f = lambda x: J.numpy.sum(J.numpy.exp(x[0] * x) * x)
    return J.jacfwd(J.jacrev(J.jacfwd(f)))(x)


@program({"w": M, "b": X[:3]}, X)
def hessian_of_trees(J, params, x):
    def f(params):
        y = J.numpy.tanh(x @ params["w"] + params["b"])
        return {"loss": J.numpy.sum(y * y), "extra": (y[0] * y[1],)}

    return J.hessian(f)(params)


@program(X, Y)
def jacobians_of_several_arguments(J, x, y):
    f = lambda x, y: (J.numpy.sin(x) * y, [J.numpy.sum(x * y)])
    return J.jacfwd(f, argnums=(1, 0))(x, y), J.jacrev(f, argnums=(0, 1))(x, y)


@program(1.3, 0.4)
def perturbation_confusion(J, x, y):
    return J.grad(lambda x: x * J.grad(lambda y: x * y + x * x * y)(y))(x)


@program(0.9)
def nested_jvp_with_closure(J, x):
    one = J.numpy.ones_like(x)
    outer = lambda x: J.jvp(lambda y: J.numpy.sin(x * y) * y, (x,), (one,))[1] * x
    return J.jvp(outer, (x,), (one,))


@program(X, Y)
def gradient_through_a_pulled_back_cotangent(J, x, y):
    def f(ct):
        _, pull = J.vjp(lambda x: J.numpy.sin(x) * x, x)
        return J.numpy.sum(pull(ct)[0] ** 2)

    return J.grad(f)(y)


@program(X)
def linearized_function_differentiated_by_its_tangent(J, x):
    _, f_jvp = J.linearize(lambda x: J.numpy.sin(x) ** 2, x)
    return J.grad(lambda t: J.numpy.sum(f_jvp(t) ** 2))(x), J.vmap(f_jvp)(J.numpy.stack([x, 2 * x]))


# Batching and derivatives


@program(M, X[:3])
def per_example_gradients(J, rows, w):
    loss = lambda w, row: J.numpy.tanh(J.numpy.dot(w, row)) ** 2
    return J.vmap(J.grad(loss), in_axes=(None, 0))(w, rows)


@program(M)
def jacobian_inside_vmap_inside_jit(J, rows):
    return J.jit(J.vmap(J.jacrev(lambda r: J.numpy.sin(r) * J.numpy.sum(r))))(rows)


@program(M)
def hessian_inside_vmap(J, rows):
    return J.vmap(J.hessian(lambda r: J.numpy.sum(r**3) * J.numpy.prod(r)), in_axes=1, out_axes=-1)(rows)


@program(M, SQUARE)
def gradient_of_nested_vmaps(J, a, b):
    inner = lambda row, col: J.numpy.sin(J.numpy.sum(row * col))
    table = lambda a: J.vmap(J.vmap(inner, (None, 1)), (1, None))(a, b)
    return J.grad(lambda a: J.numpy.sum(table(a) ** 2))(a)


@program(X, Y)
def vmap_of_jvp_of_grad(J, x, t):
    f = lambda x: J.numpy.exp(J.numpy.sin(x)) * x
    return J.vmap(lambda x, t: J.jvp(J.grad(f), (x,), (t,)))(x, t)


@program(M)
def gradients_through_collectives(J, rows):
    def normalized(row):
        centred = row - J.lax.pmean(row, "batch")
        return centred / J.numpy.sqrt(J.lax.pmean(centred * centred, "batch") + 1e-3)

    loss = lambda rows: J.numpy.sum(J.vmap(normalized, axis_name="batch")(rows) ** 3)
    return J.value_and_grad(loss)(rows)


@program(M)
def gradient_inside_a_named_axis(J, rows):
    loss = lambda row: J.numpy.sum(J.lax.psum(J.numpy.sin(row), "i") * row)
    return J.vmap(J.grad(loss), axis_name="i")(rows)


@program(M)
def extrema_and_gather_of_a_named_axis(J, rows):
    def f(row):
        gathered = J.lax.all_gather(row * row, "i")
        weight = 1.0 + J.lax.axis_index("i")
        return J.numpy.sum(gathered * row[0]) * weight

    out, extrema = J.vmap(f, axis_name="i"), J.vmap(lambda x: (J.lax.pmax(x, "i"), J.lax.pmin(x, "i")), axis_name="i")
    return out(rows), J.grad(lambda rows: J.numpy.sum(out(rows) ** 2))(rows), extrema(rows)


@program(SQUARE)
def two_named_axes(J, m):
    f = lambda x: J.lax.psum(x, "row") * x + J.lax.pmean(x * x, ("row", "column")) - J.lax.psum(x, "column")
    g = J.vmap(J.vmap(f, axis_name="column"), axis_name="row")
    return g(m), J.jit(J.grad(lambda m: J.numpy.sum(g(m) ** 2)))(m)


@program(X)
def collectives_inside_jit_and_scan(J, x):
    def f(x):
        step = lambda c, _: (c + J.lax.axis_index("i") + J.lax.psum(1.0, "i"), J.jit(lambda: J.lax.axis_index("i"))())
        return J.jit(lambda x: x * J.lax.psum(x, "i"))(x), J.lax.scan(step, 0.0, None, length=2)

    return J.vmap(f, axis_name="i")(x)


# jit


@program(X, Y)
def gradient_of_jit_of_gradient(J, x, y):
    f = J.jit(lambda x, y: J.numpy.sum(J.numpy.sin(x * y)))
    inner = J.jit(lambda x, y: J.numpy.sum(J.grad(f)(x, y) * y))
    return J.grad(inner, argnums=(0, 1))(x, y)


@program(X)
def jit_that_closes_over_an_outer_tracer(J, x):
    def f(x):
        g = J.jit(lambda y: y * x + J.numpy.sum(x))
        return J.numpy.sum(g(J.numpy.sin(x)) * g(x))

    return J.grad(f)(x), J.hessian(f)(x), J.vmap(J.grad(lambda s: f(s * x)))(x)


@program(X)
def jit_of_grad_of_vmap_of_scan(J, x):
    def f(x):
        step = lambda c, t: (J.numpy.sin(c) * t + x, c)
        carry, ys = J.lax.scan(step, x, J.numpy.arange(5.0) / 3)
        return carry + J.numpy.sum(ys * ys)

    return J.jit(J.value_and_grad(lambda x: J.numpy.sum(J.vmap(f)(x))))(x)


@program(X)
def checkpoints_in_every_place(J, x):
    g = J.checkpoint(lambda x: J.numpy.sin(J.numpy.sin(x) * x))
    f = lambda x: J.numpy.sum(J.checkpoint(lambda x: g(x) * g(2 * x))(x))
    step = J.checkpoint(lambda c, t: (g(c) * t, g(c)))
    scanned = lambda x: J.numpy.sum(J.lax.scan(step, x, x)[0])
    return J.grad(f)(x), J.hessian(f)(x), J.jit(J.grad(scanned))(x), J.vmap(J.grad(g))(x), J.jacfwd(J.grad(scanned))(x)


# Control flow


@program(X, Y)
def conditions_with_batched_predicates(J, x, y):
    f = lambda x, y: J.lax.cond(y > 0, lambda x: J.numpy.sin(x) * y, lambda x: x * x, x)
    return J.vmap(J.value_and_grad(f, (0, 1)))(x, y), J.grad(lambda x: J.numpy.sum(J.vmap(f)(x, y)))(x)


@program(X, 2)
def switch_under_every_transformation(J, x, index):
    branches = [lambda x: J.numpy.sin(x), lambda x: x**3, lambda x: J.numpy.ones_like(x), lambda x: x[0] * x]
    f = lambda i, x: J.numpy.sum(J.lax.switch(i, branches, x) * x)
    each = J.numpy.arange(-1, 5)
    return [
        J.grad(f, 1)(index, x),
        J.jit(J.hessian(f, 1))(index, x),
        J.vmap(J.grad(f, 1), (0, None))(each, x),
        J.vmap(f, (None, 0))(index, J.numpy.stack([x, -x])),
        J.jacfwd(J.grad(lambda x: J.numpy.sum(J.vmap(f, (0, None))(each, x))))(x),
    ]


@program(0.6)
def branches_close_over_tracers_of_several_transformations(J, x):
    def f(x):
        def g(y):
            def h(z):
                return J.lax.cond(z > 0.5, lambda a: a * x * y * z, lambda a: a + x - y, J.numpy.sin(z * y))

            return J.jit(J.grad(h))(y * x)

        return J.jvp(g, (x,), (x,))[1]

    return J.grad(f)(x)


@program(X, COUNTS)
def while_loops_of_different_lengths(J, x, n):
    def f(x, n):
        return J.lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, J.numpy.sin(s[1]) + x), (0, x))[1]

    tangents = J.vmap(lambda x, n: J.jvp(lambda x: f(x, n), (x,), (1.0,)))
    return J.vmap(f)(x, n), tangents(x, n), J.vmap(f, (0, None))(x, 3)


@program(X, COUNTS)
def nested_while_loops(J, x, n):
    def inner(limit, y):
        return J.lax.while_loop(lambda s: s[0] > 0, lambda s: (s[0] - 1, s[1] * 1.1 + x[0]), (limit, y))[1]

    def f(n, x):
        return J.lax.while_loop(lambda s: s[0] != 0, lambda s: (s[0] - 1, inner(s[0], s[1])), (n, x))[1]

    return J.vmap(f)(n, x), J.jit(J.vmap(J.vmap(f, (None, 0)), (0, None)))(n, x)


@program(X)
def jacfwd_through_while(J, x):
    def f(x):
        body = lambda s: (s[0] + 1, J.numpy.sin(s[1]) * x[0] + x)
        return J.lax.while_loop(lambda s: s[0] < 3, body, (0, x))[1]

    return J.jacfwd(f)(x), J.jacfwd(J.jacfwd(f))(x)


@program(X)
def scan_that_carries_a_tree_and_integers(J, x):
    def f(w):
        def step(carry, xs):
            n, state = carry
            state = {"a": state["a"] * xs["u"] + w, "b": J.numpy.sin(state["a"]) + n}
            return (n + 1, state), (n, state["b"] * xs["u"])

        init = (0, {"a": w, "b": J.numpy.zeros_like(w)})
        (n, state), (ns, ys) = J.lax.scan(step, init, {"u": x, "k": J.numpy.arange(4)}, reverse=True)
        return J.numpy.sum(state["a"] + state["b"]) + J.numpy.sum(ys) + n + J.numpy.sum(ns)

    return f(x), J.grad(f)(x), J.hessian(f)(x)


@program(SQUARE, X)
def recurrent_network(J, w, x):
    def loss(w, x):
        step = lambda h, t: (J.numpy.tanh(w @ h + t * x), h)
        h, hs = J.lax.scan(step, x, J.numpy.arange(3.0))
        return J.numpy.sum(h * h) + J.numpy.sum(hs)

    batch = J.numpy.stack([x, 2 * x])
    return [
        J.grad(loss, (0, 1))(w, x),
        J.vmap(J.grad(loss), (None, 0))(w, batch),
        J.jit(J.vmap(J.jacfwd(J.grad(loss, 1), 1), (None, 0)))(w, batch),
        J.jvp(J.grad(loss), (w, x), (w, x)),
    ]


@program(X)
def scans_in_scans(J, x):
    def f(x):
        def outer(c, a):
            inner = lambda d, b: (d * b + J.numpy.sin(c), d * a)
            d, ys = J.lax.scan(inner, c + a, x)
            return d, J.numpy.sum(ys)

        c, ys = J.lax.scan(outer, 0.5, x)
        return c + J.numpy.sum(ys**2)

    return J.grad(f)(x), J.jit(J.hessian(f))(x), J.vmap(J.grad(f))(J.numpy.stack([x, -x]))


@program(X)
def scan_whose_carry_starts_without_a_tangent(J, x):
    f = lambda x: J.lax.scan(lambda c, t: ((c[1], c[0] + t, c[2] * x[0]), c[1]), (0.0, 0.0, J.numpy.ones(3)), x)
    return J.jacrev(f)(x), J.jacfwd(f)(x)


@program(X)
def loops_of_fixed_length(J, x):
    f = lambda x: J.lax.fori_loop(1, 4, lambda i, v: J.numpy.sin(v) * i + x, x)
    return J.jacrev(f)(x), J.hessian(lambda x: J.numpy.sum(f(x)))(x), J.lax.map(J.grad(lambda s: s**3), x)


@program(X, COUNTS)
def conditions_inside_scans_inside_vmap(J, x, n):
    def f(x, n):
        def step(c, i):
            return J.lax.cond(i < n, lambda c: J.numpy.sin(c) * x, lambda c: c, c), c

        c, ys = J.lax.scan(step, x, J.numpy.arange(4))
        return c + J.numpy.sum(ys)

    return J.vmap(J.value_and_grad(f))(x, n), J.jit(J.jacfwd(J.grad(lambda x: J.numpy.sum(J.vmap(f)(x, n)))))(x)


# Custom derivatives


def _custom_jvp(J):
    f = J.custom_jvp(lambda x, y: J.numpy.sin(x) * y)

    @f.defjvp
    def rule(primals, tangents):
        (x, y), (tx, ty) = primals, tangents
        return f(x, y), 2 * J.numpy.cos(x) * y * tx + J.numpy.sin(x) * ty

    return f


def _custom_vjp(J):
    f = J.custom_vjp(lambda x, y: J.numpy.sin(x) * y)
    f.defvjp(lambda x, y: (J.numpy.sin(x) * y, (x, y)), lambda r, ct: (3 * ct * J.numpy.cos(r[0]) * r[1], ct * r[0]))
    return f


@program(X, Y)
def custom_jvp_everywhere(J, x, y):
    f = _custom_jvp(J)
    scanned = lambda x: J.numpy.sum(J.lax.scan(lambda c, t: (f(c, t), c), x[0], x)[1])
    return [
        J.jvp(f, (x, y), (y, x)),
        J.vmap(J.grad(f, (0, 1)))(x, y),
        J.grad(lambda x: J.numpy.sum(J.jit(J.vmap(f, (0, None)))(x, 2.0)))(x),
        J.hessian(lambda x: J.numpy.sum(f(x, y)))(x),
        J.jit(J.grad(scanned))(x),
        J.grad(lambda x: J.lax.cond(x > 0, lambda x: f(x, 2.0), lambda x: x, x))(0.5),
    ]


@program(X, Y)
def custom_vjp_everywhere(J, x, y):
    f = _custom_vjp(J)
    scanned = lambda x: J.numpy.sum(J.lax.scan(lambda c, t: (f(c, t), c), x[0], x)[1])
    return [
        J.vmap(J.grad(f, (0, 1)))(x, y),
        J.grad(lambda x: J.numpy.sum(J.jit(J.vmap(f, (0, None)))(x, 2.0)))(x),
        J.grad(lambda y: J.numpy.sum(J.vmap(f, (0, None))(x, y)))(2.0),
        J.grad(J.grad(lambda x: f(x, 2.0)))(0.5),
        J.hessian(lambda x: J.numpy.sum(f(x, y)))(x),
        J.jit(J.grad(scanned))(x),
        J.jacrev(J.grad(scanned))(x),
        J.grad(lambda x: J.lax.cond(x > 0, lambda x: f(x, 2.0), lambda x: x, x))(0.5),
        J.jacrev(J.checkpoint(f))(x, y),
    ]


@program(X)
def stopped_gradients(J, x):
    f = lambda x: J.numpy.sum(x * J.lax.stop_gradient(J.numpy.sin(x)) + J.lax.stop_gradient({"a": x})["a"])
    return J.grad(f)(x), J.hessian(f)(x), J.jvp(f, (x,), (x,)), J.jit(J.vmap(J.grad(lambda s: f(s * x))))(x)


# Complex numbers and integers


@program(Z)
def complex_derivatives(J, z):
    loss = lambda z: J.numpy.sum(J.numpy.abs(J.numpy.sin(z) * z) ** 2)
    holomorphic = lambda z: J.numpy.sin(z[0]) * z[1] ** 3
    return [
        J.grad(loss)(z),
        J.grad(holomorphic, holomorphic=True)(z),
        J.jacfwd(lambda z: J.numpy.exp(z) * z[0], holomorphic=True)(z),
        J.jacrev(lambda z: J.numpy.exp(z) * z[0], holomorphic=True)(z),
        J.vjp(lambda z: J.numpy.conj(z) * z, z)[1](z),
        J.jvp(J.grad(loss), (z,), (z,)),
        J.jit(J.vmap(J.grad(lambda z: J.numpy.real(z * z * J.numpy.conj(z)))))(z),
    ]


@program(X)
def complex_scan(J, x):
    def f(x):
        c, ys = J.lax.scan(lambda c, t: (c * (t + 0.5j), J.numpy.abs(c)), 1.0 + 0.0j, x)
        return J.numpy.real(c) + J.numpy.sum(ys)

    return J.grad(f)(x), J.hessian(f)(x)


@program({"x": X, "n": COUNTS}, COUNTS)
def integers_beside_floats(J, tree, n):
    f = lambda tree, n: J.numpy.sum(tree["x"] * tree["n"] + n)
    gradients = J.grad(f, allow_int=True)(tree, n)
    return gradients["x"], J.vjp(f, tree, n)[1](J.numpy.ones_like(tree["x"][0]))[0]["x"]


@program(X, COUNTS)
def jacobian_with_integers(J, x, n):
    return J.jacrev(lambda x, n: x * x * n, argnums=(0, 1), allow_int=True)(x, n)[0]


@program(X)
def aux_beside_derivatives(J, x):
    f = lambda x: (J.numpy.sum(x**3), {"x2": x * x, "n": J.numpy.arange(3)})
    g = lambda x: (x**3, {"x2": x * x, "n": J.numpy.arange(3)})
    return [
        J.value_and_grad(f, has_aux=True)(x),
        J.jacfwd(g, has_aux=True)(x),
        J.jacrev(g, has_aux=True)(x),
        J.hessian(f, has_aux=True)(x),
        J.jvp(g, (x,), (x,), has_aux=True),
        J.vmap(J.grad(lambda s: (s**2, s), has_aux=True))(x),
    ]


@program(X)
def linear_transposes(J, x):
    f = lambda t: (t[0] * x, J.numpy.cumsum(t[1]), 3 * t[1])
    shapes = (J.ShapeDtypeStruct((), x.dtype), J.ShapeDtypeStruct((4,), x.dtype))
    return J.linear_transpose(f, shapes)((x, 2 * x, x)), J.jit(J.linear_transpose(f, shapes))((x, x, x))


@program(np.zeros((0, 3)), X[:3])
def arrays_without_elements(J, empty, x):
    f = lambda e, x: J.numpy.sum(e * x) + J.numpy.sum(x)
    return [
        J.grad(f, (0, 1))(empty, x),
        J.jacfwd(lambda e: J.numpy.sum(e, 0))(empty),
        J.jacrev(lambda e: J.numpy.sum(e, 0))(empty),
        J.jacrev(lambda x: empty * x)(x),
        J.vmap(J.grad(lambda r: J.numpy.sum(r * r)))(empty),
        J.lax.scan(lambda c, r: (c * r[0], J.numpy.sin(r)), x, empty),
        J.grad(lambda x: J.numpy.sum(J.lax.scan(lambda c, r: (c * r, c), x, empty)[0]))(x),
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("function", "args", "rtol"), PROGRAMS)
def test_composition(function: Callable, args: tuple, rtol: float) -> None:
    agrees_with_jax(function, *args, rtol=rtol)
