"""Reverse mode and what is built on it: `vjp`, `grad`, `value_and_grad`, `jacfwd`, `jacrev`, `hessian`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import NonDifferentiableInputError, NonScalarLossError
from nrx.core.pytree import Partial, PyTreeDef, tree_flatten_with_path, tree_unflatten
from nrx.core.shapes import show
from nrx.core.trace import describe_caller, name_of
from nrx.ops.logic import eq
from nrx.ops.structural import broadcasted_iota, convert_element_type, full_like, instantiate, reshape, transpose
from nrx.transforms.batching import vmap_flat
from nrx.transforms.flatten import (
    FlatFunction,
    argnums_tuple,
    argument_name,
    check_function,
    describe,
    fix_arguments,
    flatten_call,
)
from nrx.transforms.forward import public_tangent
from nrx.transforms.linearize import LinearFunction, linearize_flat
from nrx.transforms.transpose import backward, flatten_cotangents


def pull_back(linear: LinearFunction, cts: Sequence[Any], residuals: Sequence[Array] = ()) -> list[Any]:
    """The cotangents of the arguments `linear` was taken with respect to, from those of all results.

    `residuals` are the first arguments of the Program, if they are not its constants.
    """
    present = [ct for ct, some in zip(cts, linear.present, strict=True) if some]
    avals = linear.program.in_avals[len(residuals) :]
    return backward(linear.program, [*residuals, *map(Linear, avals)], present)[len(residuals) :]


def vjp(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """The value of `fun` and a function that pulls cotangents back through it (reverse mode).

    Args:
        fun: a function of pytrees of arrays.
        *primals: its positional arguments.
        has_aux: `fun` returns `(value, aux)`, where aux is passed through.

    Returns:
        `(value, f_vjp)`, or `(value, f_vjp, aux)`. `f_vjp(ct)` takes a cotangent like the value and gives a tuple of
        cotangents, one for each of the primals; it may be called many times. It is a pytree of the values that it
        keeps: a jitted function may return it.

    >>> import nrx
    >>> y, f_vjp = nrx.vjp(lambda x, y: x * y, 2.0, 5.0)
    >>> f_vjp(1.0)
    (Array(5., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    values, in_tree = flatten_call(check_function("vjp", fun), primals, {})
    flat = FlatFunction(fun, in_tree, has_aux)
    outs, linear = linearize_flat(flat, values, name=describe_caller("vjp", fun))
    program, residuals = linear.program.closed()
    opened = linear._replace(program=program)
    in_avals, out_tree, count, name = [v.aval for v in values], flat.out_tree, flat.count, name_of(fun)

    def pull(residuals: Sequence[Array], ct: Any) -> Any:
        cts = flatten_cotangents(ct, out_tree, opened.out_avals[:count], f"the result of {name}")
        cts += [_zero(a.tangent) for a in opened.out_avals[count:]]
        pulled = iter(pull_back(opened, cts, residuals))
        leaves = [
            public_tangent(next(pulled) if some else _zero(a)) for a, some in zip(in_avals, opened.wrt, strict=True)
        ]
        return tree_unflatten(in_tree, leaves)[0]

    result = (flat.result(outs), Partial(pull, residuals))
    return (*result, flat.aux(outs)) if has_aux else result


def value_and_grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable:
    """A function that gives the value of `fun` and its gradient.

    Args:
        fun: returns a real scalar (or `(scalar, aux)`).
        argnums: the position, or positions, of the arguments to differentiate with respect to; they may be pytrees.
        has_aux: `fun` returns `(scalar, aux)`.
        holomorphic: `fun` is complex-differentiable, with complex arguments and result.
        allow_int: accept integer leaves; their gradient has dtype `float0`.

    Returns:
        A function of the same arguments that returns `(value, gradient)`, where value is `(scalar, aux)` with
        `has_aux`. The gradient is like the argument, or a tuple of such if `argnums` is a sequence.

    Raises:
        NonScalarLossError: the result is not one real scalar.
        NonDifferentiableInputError: an argument has integer or boolean leaves.

    >>> import nrx
    >>> nrx.value_and_grad(lambda x: x**3)(2.0)
    (Array(8., dtype=float32, weak_type=True), Array(12., dtype=float32, weak_type=True))
    """

    @functools.wraps(check_function("value_and_grad", fun))
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        numbers = argnums_tuple(argnums, len(args))
        partial = fix_arguments(fun, args, numbers, kwargs)
        values, in_tree = flatten_call(fun, tuple(args[i] for i in numbers), {}, numbers)
        _check_inputs(fun, values, in_tree, numbers, holomorphic, allow_int)
        flat = FlatFunction(partial, in_tree, has_aux)
        outs, linear = linearize_flat(flat, values, name=describe_caller("grad", fun))
        _check_loss(fun, flat, outs, holomorphic)
        seed = full_like(outs[0].aval.tangent, 1)
        pulled = iter(pull_back(linear, [seed, *(_zero(a) for a in linear.out_avals[1:])]))
        leaves = [
            public_tangent(next(pulled) if some else _zero(v.aval)) for v, some in zip(values, linear.wrt, strict=True)
        ]
        gradients = tree_unflatten(in_tree, leaves)[0]
        value = (flat.result(outs), flat.aux(outs)) if has_aux else flat.result(outs)
        return value, gradients if isinstance(argnums, Sequence) else gradients[0]

    return value_and_gradient


def grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable:
    """A function that gives the gradient of `fun`, a function with a real scalar as result.

    Args:
        fun: returns a real scalar (or `(scalar, aux)`).
        argnums: the position, or positions, of the arguments to differentiate with respect to; they may be pytrees.
        has_aux: `fun` returns `(scalar, aux)`.
        holomorphic: `fun` is complex-differentiable, with complex arguments and result.
        allow_int: accept integer leaves; their gradient has dtype `float0`.

    Returns:
        A function of the same arguments that returns the gradient, or `(gradient, aux)`. The gradient is like the
        argument, or a tuple of such if `argnums` is a sequence.

    Raises:
        NonScalarLossError: the result is not one real scalar.
        NonDifferentiableInputError: an argument has integer or boolean leaves.

    >>> import nrx
    >>> nrx.grad(lambda x: x**3)(2.0)
    Array(12., dtype=float32, weak_type=True)
    """
    both = value_and_grad(check_function("grad", fun), argnums, has_aux, holomorphic, allow_int)

    @functools.wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def _zero(aval: Aval) -> Zero:
    return Zero(aval.tangent)


def _check_inputs(
    function: Callable,
    values: list[Array],
    in_tree: PyTreeDef,
    numbers: Sequence[int],
    holomorphic: bool,
    allow_int: bool,
) -> None:
    def name(position: int) -> str:
        paths = tree_flatten_with_path(tree_unflatten(in_tree, values))[0]
        return f"argument {argument_name(function, paths[position][0], numbers)} of {name_of(function)}"

    for position, value in enumerate(values):
        if holomorphic and not dtypes.is_complex(value.dtype):
            raise NonDifferentiableInputError(
                f"holomorphic=True, but {name(position)} has dtype {value.dtype}",
                fix="pass complex arguments, or leave holomorphic out",
            )
        if value.dtype is dtypes.key_dtype and not allow_int:
            raise NonDifferentiableInputError(
                f"the derivative with respect to {name(position)}, a random key: keys cannot vary",
                fix="choose other argnums",
            )
        if not dtypes.is_inexact(value.dtype) and not allow_int:
            raise NonDifferentiableInputError(
                f"the derivative with respect to {name(position)}, which has dtype {value.dtype}: "
                "integers and booleans cannot vary",
                fix="convert it (x.astype(float)), choose other argnums, or pass allow_int=True for float0 gradients",
            )


def _check_loss(function: Callable, flat: FlatFunction, outs: list[Array], holomorphic: bool) -> None:
    name = name_of(function)
    if flat.count != 1 or not _is_leaf(flat.out_tree):
        result = flat.result(outs)
        missing = "is a `return` missing? " if result is None else ""
        raise NonScalarLossError(
            f"grad needs a scalar result, but {name} returned {describe(result)}",
            fix=f"{missing}return one scalar; with has_aux=True return (scalar, aux); for several results use jacrev",
        )
    aval = outs[0].aval
    if aval.shape:
        raise NonScalarLossError(
            f"grad needs a scalar result, but {name} returned an array of shape {show(aval.shape)}",
            fix="reduce it (.sum() or .mean()), or use jacrev or jacfwd for the derivative of an array",
        )
    if not holomorphic and not dtypes.is_floating(aval.dtype):
        raise NonScalarLossError(
            f"grad needs a real floating result, but {name} returned {aval.dtype}",
            fix="take x.real or abs(x) of a complex result, or pass holomorphic=True; convert integers to float",
        )
    if holomorphic and not dtypes.is_complex(aval.dtype):
        raise NonScalarLossError(f"holomorphic=True, but {name} returned {aval.dtype}", fix="return a complex scalar")


def _is_leaf(tree: PyTreeDef) -> bool:
    return tree.num_leaves == 1 and tree.num_nodes == 1


# Jacobians


def _basis(aval: Aval) -> Array:
    """The unit directions of one leaf, stacked on a new first axis."""
    rows, columns = (broadcasted_iota(dtypes.int32, (aval.size, aval.size), axis) for axis in (0, 1))
    return reshape(convert_element_type(eq(rows, columns), aval.dtype, aval.weak_type), (aval.size, *aval.shape))


def _jacobian(
    function: Callable,
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
    allow_int: bool,
    columns: Callable,
) -> Callable:
    """The frame of jacfwd and jacrev. `columns(flat, values)` gives the results and the flat Jacobian, one list of
    blocks a result, one block an argument leaf, each of shape result.shape + leaf.shape."""

    @functools.wraps(function)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        numbers = argnums_tuple(argnums, len(args))
        partial = fix_arguments(function, args, numbers, kwargs)
        values, in_tree = flatten_call(function, tuple(args[i] for i in numbers), {}, numbers)
        _check_inputs(function, values, in_tree, numbers, holomorphic, allow_int)
        flat = FlatFunction(partial, in_tree, has_aux)
        outs, blocks = columns(flat, values, describe_caller("jacobian", function), holomorphic)
        rows = [tree_unflatten(in_tree, row)[0] for row in blocks]
        tree = tree_unflatten(flat.out_tree, [row if isinstance(argnums, Sequence) else row[0] for row in rows])
        return (tree, flat.aux(outs)) if has_aux else tree

    return jacobian


def _forward_columns(flat: FlatFunction, values: list[Array], name: str, holomorphic: bool) -> tuple[list, list]:
    for value in values:
        if dtypes.is_complex(value.dtype) and not holomorphic:
            raise NonDifferentiableInputError(f"jacfwd needs real arguments, got {value.aval}", fix=_HOLOMORPHIC)
    outs, linear = linearize_flat(flat, values, name=name)
    _check_results("jacfwd", "floating", [a for a in linear.out_avals[: flat.count] if not dtypes.is_inexact(a.dtype)])
    blocks: list[list[Any]] = [[] for _ in range(flat.count)]
    for position, value in enumerate(values):

        def pushed(direction: Array, position: int = position) -> list[Array]:
            tangents = [direction if i == position else full_like(v.aval.tangent, 0) for i, v in enumerate(values)]
            return [instantiate(t) for t in linear(tangents)[: flat.count]]

        for out, tangent, row in zip(outs, vmap_flat(pushed, [_basis(value.aval)], [0]), blocks, strict=False):
            moved = transpose(tangent, (*range(1, tangent.ndim), 0))
            row.append(reshape(moved, (*out.shape, *value.shape)))
    return outs, blocks


def _reverse_columns(flat: FlatFunction, values: list[Array], name: str, holomorphic: bool) -> tuple[list, list]:
    outs, linear = linearize_flat(flat, values, name=name)
    differentiable, needed = (dtypes.is_complex, "complex") if holomorphic else (dtypes.is_floating, "real floating")
    _check_results("jacrev", needed, [a for a in linear.out_avals[: flat.count] if not differentiable(a.dtype)])
    blocks = []
    for position, aval in enumerate(linear.out_avals[: flat.count]):

        def pulled(ct: Array, position: int = position) -> list[Array]:
            cts = [ct if i == position else _zero(a) for i, a in enumerate(linear.out_avals)]
            return [instantiate(x) for x in pull_back(linear, cts)]

        rows = iter(vmap_flat(pulled, [_basis(aval.tangent)], [0]))
        shapes = [(*aval.shape, *v.shape) for v in values]
        blocks.append([
            reshape(next(rows), shape) if some else np.zeros(shape, dtypes.float0)
            for shape, some in zip(shapes, linear.wrt, strict=True)
        ])  # fmt: skip
    return outs, blocks


_HOLOMORPHIC = "pass holomorphic=True for a complex-differentiable function, or take the real and imaginary parts"


def _check_results(caller: str, needed: str, rejected: list[Aval]) -> None:
    if rejected:
        fix = _HOLOMORPHIC if dtypes.is_complex(rejected[0].dtype) else "convert it to a float, or return it as aux"
        raise NonScalarLossError(f"{caller} needs {needed} results, got {rejected[0]}", fix=fix)


def jacfwd(
    fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable:
    """A function that gives the Jacobian of `fun`, column by column (forward mode): for few inputs.

    Args:
        fun: a function of pytrees of arrays.
        argnums: the position, or positions, of the arguments to differentiate with respect to.
        has_aux: `fun` returns `(value, aux)`.
        holomorphic: `fun` is complex-differentiable.

    Returns:
        A function of the same arguments; its result has the tree of the value, each leaf replaced by the tree of the
        argument, with leaves of shape `value_leaf.shape + argument_leaf.shape`.

    >>> import nrx
    >>> nrx.jacfwd(nrx.numpy.sin)(nrx.numpy.zeros(2))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    fun = check_function("jacfwd", fun)
    return _jacobian(fun, argnums, has_aux, holomorphic, False, _forward_columns)


def jacrev(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable:
    """A function that gives the Jacobian of `fun`, row by row (reverse mode): for few outputs.

    Args:
        fun: a function of pytrees of arrays.
        argnums: the position, or positions, of the arguments to differentiate with respect to.
        has_aux: `fun` returns `(value, aux)`.
        holomorphic: `fun` is complex-differentiable.
        allow_int: accept integer leaves.

    Returns:
        A function of the same arguments; its result has the tree of the value, each leaf replaced by the tree of the
        argument, with leaves of shape `value_leaf.shape + argument_leaf.shape`.

    >>> import nrx
    >>> nrx.jacrev(lambda x: x[:1] * x)(nrx.numpy.array([2.0, 3.0]))
    Array([[4., 0.],
           [3., 2.]], dtype=float32)
    """
    fun = check_function("jacrev", fun)
    return _jacobian(fun, argnums, has_aux, holomorphic, allow_int, _reverse_columns)


def hessian(
    fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable:
    """A function that gives the second derivatives of `fun` (forward over reverse mode).

    Args:
        fun: a function of pytrees of arrays, usually with a scalar as result.
        argnums: the position, or positions, of the arguments to differentiate with respect to.
        has_aux: `fun` returns `(value, aux)`.
        holomorphic: `fun` is complex-differentiable.

    Returns:
        A function of the same arguments; with a vector of n elements as argument its result has shape (n, n).

    >>> import nrx
    >>> nrx.hessian(lambda x: (x**3).sum())(nrx.numpy.array([1.0, 2.0]))
    Array([[ 6.,  0.],
           [ 0., 12.]], dtype=float32)
    """
    check_function("hessian", fun)
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


jacobian = jacrev
