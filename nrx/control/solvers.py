"""`custom_linear_solve` and `custom_root`: solvers of the user's, differentiated at the solution."""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.control.bodies import Body, check_same_tree, converted, trace_body, with_common_consts
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.backend import Raw, Runner
from nrx.core.check import check_operands
from nrx.core.errors import DifferentiationError, DTypeError, ShapeError, TreeError
from nrx.core.primitive import Primitive
from nrx.core.program import Program, evaluate
from nrx.core.pytree import tree_unflatten
from nrx.ops.arithmetic import neg, sub
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.structural import convert_element_type, instantiate, move_axis, spread
from nrx.transforms.batching import Axis, batch_program
from nrx.transforms.calls import present_tangents
from nrx.transforms.custom import custom_jvp
from nrx.transforms.flatten import check_function, flatten_arrays, leaf_paths
from nrx.transforms.forward import checked_tangent, jvp, public_tangent, with_zeros
from nrx.transforms.linearize import linearize, linearize_program
from nrx.transforms.transpose import transpose_program

# The Programs of a linear_solve take the same constants, and then the leaves of a vector. `solve` and `transpose_solve`
# may give more results than the vector, `vecmat` and `transpose_solve` are None if there is no transpose.
linear_solve_p = Primitive("linear_solve", multiple_results=True, higher_order=True)
linear_solve_p.value_program = "solve"


# Public functions


def custom_linear_solve(
    matvec: Callable,
    b: Any,
    solve: Callable,
    transpose_solve: Callable | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """The result of `solve(matvec, b)`, differentiated as the solution x of `matvec(x) == b`.

    Args:
        matvec: a linear function from pytrees like b to pytrees like b.
        b: a pytree of floating or complex arrays.
        solve: `solve(matvec, b)` gives x; it need not be differentiable.
        transpose_solve: `transpose_solve(vecmat, b)` solves the transposed equation; reverse mode needs it.
        symmetric: matvec is its own transpose, and `solve` serves for both.
        has_aux: the solvers return `(x, aux)`, where aux is a pytree of arrays that have no derivative.

    Returns:
        x, or `(x, aux)`. Derivatives of any order exist in b and in what `matvec` closes over: each is another solution
        by the same solvers.

    Raises:
        TreeError, ShapeError, DTypeError: a function returns something else than a vector like b.

    >>> import nrx
    >>> import nrx.numpy as jnp
    >>> def f(a):
    ...     return nrx.lax.custom_linear_solve(lambda x: a * x, 6.0, lambda matvec, b: b / matvec(1.0), symmetric=True)
    >>> f(2.0), nrx.grad(f)(2.0)
    (Array(3., dtype=float32), Array(-1.5, dtype=float32, weak_type=True))
    """
    vectors = _Vectors("custom_linear_solve", b, "b")
    forward = vectors.traced(matvec, "matvec")
    solver = vectors.traced(lambda v: solve(matvec, v), "solve", has_aux)
    bodies = [forward, solver]
    if symmetric or transpose_solve is not None:
        back = forward if symmetric else _transposed(forward)
        vecmat = matvec if symmetric else vectors.function(back, "vecmat")
        back_solve = solve if transpose_solve is None else transpose_solve
        bodies += [back, vectors.traced(lambda v: back_solve(vecmat, v), "transpose_solve", has_aux)]
    programs, consts = with_common_consts(bodies)
    names = ("matvec", "solve", "vecmat", "transpose_solve")
    params = dict(zip(names, (*programs, None, None), strict=False))
    return tree_unflatten(solver.out_tree, linear_solve_p.bind(*consts, *vectors.leaves, **params))


def custom_root(
    f: Callable, initial_guess: Any, solve: Callable, tangent_solve: Callable, has_aux: bool = False
) -> Any:
    """The result of `solve(f, initial_guess)`, differentiated as the root x of `f(x) == 0`.

    Args:
        f: a function from pytrees like the guess to pytrees like the guess.
        initial_guess: a pytree of floating or complex arrays.
        solve: `solve(f, initial_guess)` gives x; it need not be differentiable.
        tangent_solve: `tangent_solve(g, y)` gives x such that g(x) = y, for the linear function g that f is near its
            root: `lambda g, y: y / g(1.0)` for scalars.
        has_aux: `solve` returns `(x, aux)`, where aux is a pytree of arrays that have no derivative.

    Returns:
        x, or `(x, aux)`. Derivatives of any order exist in what f closes over, by the implicit function theorem; the
        guess has none.

    Raises:
        TreeError, ShapeError, DTypeError: a function returns something else than a vector like the guess.

    >>> import nrx
    >>> def square_root(a):
    ...     newton = lambda f, x: nrx.lax.fori_loop(0, 6, lambda _, x: x - f(x) / (2 * x), x)
    ...     return nrx.lax.custom_root(lambda x: x * x - a, 1.0, newton, lambda g, y: y / g(1.0))
    >>> square_root(4.0), nrx.grad(square_root)(4.0)
    (Array(2., dtype=float32), Array(0.25, dtype=float32, weak_type=True))
    """
    vectors = _Vectors("custom_root", initial_guess, "initial_guess")
    function = vectors.traced(f, "f")
    solver = vectors.traced(lambda x: solve(f, x), "solve", has_aux)
    direction = vectors.traced(lambda x, y: tangent_solve(linearize(f, x)[1], y), "tangent_solve", vectors=2)
    (equation, find, step), consts = with_common_consts([function, solver, direction])
    count = len(vectors.leaves)

    @custom_jvp
    def root(consts: list, guess: list) -> list:
        return evaluate(find, [*consts, *guess])

    @root.defjvp
    def root_jvp(primals: tuple, tangents: tuple) -> tuple[list, list]:
        consts, guess = primals
        outs = root(consts, guess)
        x, aux = outs[:count], outs[count:]
        _, slopes = jvp(lambda consts: evaluate(equation, [*consts, *x]), (consts,), (tangents[0],))
        # f(x; c) = 0 along the way: f' dx = -df.
        steps = evaluate(step, [*consts, *x, *map(neg, slopes)])
        return outs, [*steps, *(public_tangent(Zero(x.aval.tangent)) for x in aux)]

    return tree_unflatten(solver.out_tree, root(consts, vectors.leaves))


class _Vectors:
    """The vectors that are like one that the user gave, and the functions of them.

    Args:
        caller: the public function, for messages.
        vector: a pytree of floating or complex arrays.
        name: how the caller calls it.
    """

    def __init__(self, caller: str, vector: Any, name: str):
        leaves, self.tree = flatten_arrays(vector, f"{caller}: {name}")
        for path, x in zip(leaf_paths(self.tree), leaves, strict=True):
            if not dtypes.is_inexact(x.dtype):
                raise DTypeError(
                    f"{caller}: {name}{path} must be floating or complex, got {x.aval}",
                    fix="convert it: x.astype(float)",
                )
        self.caller, self.name, self.vector = caller, name, vector
        self.leaves = [convert_element_type(x, x.dtype) for x in leaves]
        self.avals = [x.aval for x in self.leaves]

    def traced(self, function: Callable, name: str, has_aux: bool = False, vectors: int = 1) -> Body:
        """A function of vectors that gives one, or with `has_aux` a pair `(vector, aux)`, traced."""
        what = f"{self.caller}: {name}"
        check_function(what, function)
        body = trace_body(function, (self.vector,) * vectors, self.avals * vectors, self.caller)
        tree = body.out_tree
        if has_aux:
            pair = tree_unflatten(tree, range(tree.num_leaves))
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TreeError(f"{what} must return a pair (x, aux), as has_aux=True says", fix="return x, aux")
            tree = tree.children()[0]
        check_same_tree(self.tree, tree, f"{what} returns another structure than {self.name} has")
        self._check_types(what, body.program.out_avals)
        avals = [*self.avals, *body.program.out_avals[len(self.avals) :]]
        return body._replace(program=converted(body.program, avals))

    def _check_types(self, what: str, returned: Sequence[Aval]) -> None:
        for path, expected, aval in zip(leaf_paths(self.tree), self.avals, returned, strict=False):
            if (expected.shape, expected.dtype) != (aval.shape, aval.dtype):
                kind = ShapeError if expected.shape != aval.shape else DTypeError
                raise kind(f"{what} returns {aval} at {path or 'its result'}, but {self.name}{path} is {expected}",
                           fix=f"return arrays like those of {self.name}")  # fmt: skip

    def function(self, body: Body, name: str) -> Callable:
        """A traced function of a vector, to be called with pytrees."""

        def function(vector: Any) -> Any:
            what = f"{self.caller}: the argument of {name}"
            leaves, tree = flatten_arrays(vector, what)
            check_same_tree(self.tree, tree, f"{what} has another structure than {self.name}")
            given = [checked_tangent(x, aval, what) for x, aval in zip(leaves, self.avals, strict=True)]
            return tree_unflatten(self.tree, evaluate(body.program, [*body.consts, *given]))

        return function


def _transposed(body: Body) -> Body:
    """The transpose of a linear function."""
    given = len(body.consts)
    linear = (False,) * given + (True,) * len(body.program.outs)
    program, _ = transpose_program(body.program, linear, (True,) * len(body.program.outs), forced=True)
    return body._replace(program=program)


# Rules


def _impl(runner: Runner, *raws: Raw, solve: Program, **params: Any) -> list[Raw]:
    return runner.run(solve, raws)


def _abstract(*avals: Aval, solve: Program, **params: Any) -> tuple[Aval, ...]:
    for program in (solve, *params.values()):
        if program is not None:
            check_operands("linear_solve", program, avals)
    return solve.out_avals


def _jvp(
    primals: Sequence[Array], tangents: Sequence[Any], *, matvec: Program, **params: Any
) -> tuple[list[Array], list[Any]]:
    """A x = b along the way: A dx = db - dA x."""
    outs = linear_solve_p.bind(*primals, matvec=matvec, **params)
    (consts, _), (const_tangents, b_tangents) = _split(matvec, primals), _split(matvec, tangents)
    count = len(matvec.outs)
    slopes = _slopes(matvec, consts, const_tangents, outs[:count])
    change = [_difference(db, slope) for db, slope in zip(b_tangents, slopes, strict=True)]
    zeros = [Zero(out.aval.tangent) for out in outs]
    if all(isinstance(t, Zero) for t in change):
        return outs, zeros
    moved = linear_solve_p.bind(*consts, *map(instantiate, change), matvec=matvec, **params)
    return outs, [*moved[:count], *zeros[count:]]


def _split(matvec: Program, operands: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The constants and the vector."""
    at = len(operands) - len(matvec.outs)
    return operands[:at], operands[at:]


def _slopes(matvec: Program, consts: Sequence[Array], tangents: Sequence[Any], x: Sequence[Array]) -> list[Any]:
    """dA x, by equations that do not mix values and tangents."""
    nonzero, present = present_tangents(tangents)
    split = linearize_program(matvec, (*nonzero, *(False,) * len(x)))
    if not any(split.present):
        return [Zero(aval.tangent) for aval in matvec.out_avals]
    arguments = [*consts, *x]
    residuals = split.residuals(arguments, evaluate(split.known, arguments))
    return with_zeros(evaluate(split.linear, [*residuals, *present]), split.present, matvec.out_avals)


def _difference(a: Any, b: Any) -> Any:
    if isinstance(b, Zero):
        return a
    return neg(b) if isinstance(a, Zero) else sub(a, b)


def _transpose(
    cts: Sequence[Any],
    *args: Any,
    matvec: Program,
    solve: Program,
    vecmat: Program | None,
    transpose_solve: Program | None,
) -> list[Any]:
    consts, b = _split(matvec, args)
    if any(isinstance(c, Linear) for c in consts):
        raise DifferentiationError("linear_solve is not linear in what its functions close over")
    if transpose_solve is None:
        raise DifferentiationError(
            "reverse mode (grad, vjp) through custom_linear_solve needs transpose_solve",
            fix="give transpose_solve, or symmetric=True if matvec is its own transpose",
        )
    pulled = linear_solve_p.bind(
        *consts, *map(instantiate, cts[: len(b)]), matvec=vecmat, solve=transpose_solve, vecmat=matvec,
        transpose_solve=solve,
    )  # fmt: skip
    return [None] * len(consts) + [ct if isinstance(x, Linear) else None for ct, x in zip(pulled, b, strict=False)]


def _batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, matvec: Program, **params: Any
) -> tuple[list[Array], list[int]]:
    """Constants keep their axes; vectors get one, so that the Programs go on fitting together."""
    (consts, vector), (const_dims, vector_dims) = _split(matvec, args), _split(matvec, dims)
    consts = [x if d is None else move_axis(x, d, 0) for x, d in zip(consts, const_dims, strict=True)]
    given = (*(None if d is None else 0 for d in const_dims), *(0,) * len(vector))
    batched = {
        name: program and batch_program(program, axis, given, (True,) * len(program.outs))[0]
        for name, program in {"matvec": matvec, **params}.items()
    }
    vector = [spread(x, d, axis.size) for x, d in zip(vector, vector_dims, strict=True)]
    outs = linear_solve_p.bind(*consts, *vector, **batched)
    return outs, [0] * len(outs)


# Registration

linear_solve_p.define(impl=_impl, abstract=_abstract, jvp=_jvp, transpose=_transpose, batch=_batch).refuse(
    lower="compilers run its Program in its place", onnx=NOT_YET_LOWERED
)
