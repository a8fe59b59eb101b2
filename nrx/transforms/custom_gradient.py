"""Derivatives in other clothes: `custom_gradient` on `custom_vjp`, `fwd_and_bwd` on `vjp`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from nrx.core.array import Array
from nrx.core.program import Program, evaluate
from nrx.core.pytree import tree_flatten, tree_unflatten
from nrx.core.trace import Tracer
from nrx.transforms.custom import custom_vjp
from nrx.transforms.derivatives import vjp
from nrx.transforms.flatten import argnums_tuple, check_function, fix_arguments, flatten_arrays
from nrx.transforms.jit import jit
from nrx.transforms.staging import stage_call


def custom_gradient(fun: Callable) -> Callable:
    """A decorator for a function that returns its value together with its pullback.

    Args:
        fun: `fun(*args)` returns `(value, pullback)`. `pullback(ct)` gives the cotangents of the arguments: a tuple, or
            one cotangent for one argument. It may close over what `fun` computed.

    Returns:
        A function of the same arguments that returns the value alone, and has that derivative in reverse mode.

    >>> import nrx
    >>> @nrx.custom_gradient
    ... def clipped(x):
    ...     return x**2, lambda ct: (nrx.numpy.clip(2 * x * ct, -1, 1),)
    >>> nrx.grad(clipped)(3.0)
    Array(1., dtype=float32, weak_type=True)
    """

    @custom_vjp
    @functools.wraps(check_function("custom_gradient", fun))
    def wrapped(*args: Any) -> Any:
        return fun(*args)[0]

    def forward(*args: Any) -> tuple[Any, Any]:
        value, pullback = fun(*args)
        leaves, tree = flatten_arrays(value, "the value of a custom_gradient")
        in_tree = tree_flatten(((value,), {}))[1]
        program, out_tree = stage_call(pullback, [leaf.aval.tangent for leaf in leaves], in_tree, "custom_gradient")
        moving = [isinstance(const, Tracer) for const in program.consts]
        kept = [const for const, moves in zip(program.consts, moving, strict=True) if moves]
        fixed = [None if moves else const for const, moves in zip(program.consts, moving, strict=True)]
        return value, (kept, lambda arrays, ct: _pulled(program, fixed, out_tree, arrays, ct), tree, len(args))

    def backward(residuals: Any, ct: Any) -> tuple:
        kept, pull, _, count = residuals
        cts = pull(kept, ct)
        return tuple(cts) if isinstance(cts, tuple | list) and (count != 1 or len(cts) == 1) else (cts,)

    wrapped.defvjp(forward, backward)
    return wrapped


def _pulled(program: Program, fixed: Sequence[Any], out_tree: Any, arrays: Sequence[Array], ct: Any) -> Any:
    given = iter(arrays)
    consts = [next(given) if const is None else const for const in fixed]
    opened = Program((*program.constvars, *program.invars), program.eqns, program.outs, name=program.name)
    return tree_unflatten(out_tree, evaluate(opened, [*consts, *flatten_arrays(ct, "a cotangent")[0]]))


def fwd_and_bwd(
    fun: Callable, argnums: int | Sequence[int], has_aux: bool = False, jitted: bool = True
) -> tuple[Callable, Callable]:
    """The two halves of reverse mode as functions.

    Args:
        fun: a function of pytrees of arrays.
        argnums: the position, or positions, of the arguments to differentiate with respect to.
        has_aux: `fun` returns `(value, aux)`.
        jitted: whether both are jitted.

    Returns:
        `(fwd, bwd)`. `fwd(*args)` gives `(value, residuals)`, or `(value, residuals, aux)`; the residuals are a pytree
        of arrays. `bwd(residuals, ct)` gives the cotangent of the argument, or a tuple of them.

    >>> import nrx
    >>> fwd, bwd = nrx.fwd_and_bwd(lambda x, y: x * y, argnums=0)
    >>> value, residuals = fwd(2.0, 5.0)
    >>> bwd(residuals, 1.0)
    Array(5., dtype=float32, weak_type=True)
    """
    check_function("fwd_and_bwd", fun)

    def fwd(*args: Any, **kwargs: Any) -> tuple:
        numbers = argnums_tuple(argnums, len(args))
        return vjp(fix_arguments(fun, args, numbers, kwargs), *(args[i] for i in numbers), has_aux=has_aux)

    def bwd(residuals: Callable, outgrad: Any) -> Any:
        cts = residuals(outgrad)
        return cts if isinstance(argnums, Sequence) else cts[0]

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)
