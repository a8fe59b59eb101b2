"""Functions with a rule of their own for `vmap`, under the names of `jax.custom_batching`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.control.scan import map as map_
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, TreeError
from nrx.core.program import Program, evaluate, prune
from nrx.core.pytree import PyTreeDef, structure_difference, tree_flatten, tree_map, tree_unflatten
from nrx.core.trace import name_of
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.structural import move_axis
from nrx.transforms.batching import Axis
from nrx.transforms.calls import call_primitive, present_tangents
from nrx.transforms.flatten import check_function, flatten_arrays, flatten_call
from nrx.transforms.forward import jvp_program, with_zeros
from nrx.transforms.linearize import linearize_program
from nrx.transforms.staging import stage_call

custom_vmap_p = call_primitive("custom_vmap")


class _Rule(NamedTuple):
    """The user's rule, and the trees of what it takes and gives."""

    function: Callable
    in_tree: PyTreeDef
    out_tree: PyTreeDef
    consts: int
    name: str

    def __call__(self, size: int, args: Sequence[Array], batched: Sequence[bool]) -> tuple[list[Array], list[bool]]:
        trees = [tree_unflatten(self.in_tree, leaves)[0] for leaves in (args, batched)]
        pair = self.function(size, list(trees[1]), *trees[0])
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TreeError(f"the vmap rule of {self.name} must return a pair", fix="return out, out_batched")
        outs, tree = flatten_arrays(pair[0], f"the result of the vmap rule of {self.name}")
        flags, flag_tree = tree_flatten(pair[1])
        for what, found in (("result", tree), ("out_batched", flag_tree)):
            if found != self.out_tree:
                raise TreeError(
                    f"the vmap rule of {self.name}: its {what} has another structure than the function's result: "
                    f"{structure_difference(self.out_tree, found)}",
                    fix="return a tree like the function's result, and one of bools",
                )
        return outs, flags


class custom_vmap:  # noqa: N801 - a decorator
    """A decorator that gives a function a rule for `vmap`.

    Args:
        fun: a function of pytrees of arrays.

    The rule is defined with `def_vmap`: `rule(axis_size, in_batched, *args)` returns `(out, out_batched)`. `in_batched`
    has a bool for each leaf of the arguments: whether it has the new axis, in front; `out_batched` says the same of the
    result. A derivative is that of `fun`; where it is taken inside of the `vmap`, the rule is not asked.

    >>> import nrx
    >>> @nrx.custom_batching.custom_vmap
    ... def double(x):
    ...     return 2 * x
    >>> @double.def_vmap
    ... def rule(axis_size, in_batched, x):
    ...     return 3 * x, in_batched[0]
    >>> nrx.vmap(double)(nrx.numpy.ones(2)), double(1.0)
    (Array([3., 3.], dtype=float32), Array(2., dtype=float32, weak_type=True))
    """

    def __init__(self, fun: Callable):
        functools.update_wrapper(self, check_function("custom_vmap", fun))
        self._function = fun
        self._rule: Callable | None = None

    def __repr__(self) -> str:
        return f"<custom_vmap {name_of(self._function)}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def def_vmap(self, vmap_rule: Callable) -> Callable:
        """Set the rule; usable as a decorator."""
        self._rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._rule is None:
            name = name_of(self._function)
            raise ArgumentError(f"{name} was called before its rule was defined", fix=f"call {name}.def_vmap first")
        leaves, in_tree = flatten_call(self._function, args, kwargs)
        program, out_tree = stage_call(self._function, [leaf.aval for leaf in leaves], in_tree, "custom_vmap")
        closed, consts = prune(program).closed()
        rule = _Rule(self._rule, in_tree, out_tree, len(consts), name_of(self._function))
        return tree_unflatten(out_tree, custom_vmap_p.bind(*consts, *leaves, program=closed, rule=rule))


def sequential_vmap(f: Callable) -> custom_vmap:
    """A function that `vmap` runs for one element after the other.

    Args:
        f: a function of pytrees of arrays.

    Returns:
        A function that does the same.

    >>> import nrx
    >>> nrx.vmap(nrx.custom_batching.sequential_vmap(lambda x: 2 * x))(nrx.numpy.ones(2))
    Array([2., 2.], dtype=float32)
    """
    sequential = custom_vmap(f)

    @sequential.def_vmap
    def rule(axis_size: int, in_batched: list, *args: Any) -> tuple[Any, Any]:
        leaves, tree = tree_flatten(args)
        flags = tree_flatten(tuple(in_batched))[0]
        moving = [leaf for leaf, moves in zip(leaves, flags, strict=True) if moves]

        def one(given: list) -> Any:
            rest = iter(given)
            return f(
                *tree_unflatten(tree, [next(rest) if moves else x for x, moves in zip(leaves, flags, strict=True)])
            )

        out = map_(one, moving)
        return out, tree_map(lambda _: True, out)

    return sequential


def _batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, program: Program, rule: _Rule
) -> tuple[list[Array], list[int | None]]:
    if any(dim is not None for dim in dims[: rule.consts]):
        raise ArgumentError(
            f"{rule.name} has a rule for vmap and closes over a value that vmap traces, unknown to the rule",
            fix="pass it as an argument",
        )
    pairs = list(zip(args, dims, strict=True))[rule.consts :]
    moved = [x if dim is None else move_axis(x, dim, 0) for x, dim in pairs]
    outs, batched = rule(axis.size, moved, [dim is not None for _, dim in pairs])
    return outs, [0 if flag else None for flag in batched]


def _jvp(primals: Sequence[Array], tangents: Sequence[Any], *, program: Program, rule: _Rule) -> tuple[list, list]:
    nonzero, present = present_tangents(tangents)
    derived, out_nonzero = jvp_program(program, nonzero)
    outs = evaluate(derived, [*primals, *present])
    count = len(program.outs)
    return outs[:count], with_zeros(outs[count:], out_nonzero, program.out_avals)


def _linearize(
    primals: Sequence[Array], tangents: Sequence[Any], *, program: Program, rule: _Rule
) -> tuple[list, list]:
    nonzero, present = present_tangents(tangents)
    split = linearize_program(program, nonzero)
    outs = evaluate(split.known, primals)
    out_tangents = evaluate(split.linear, [*split.residuals(primals, outs), *present])
    return outs[: len(program.outs)], with_zeros(out_tangents, split.present, program.out_avals)


custom_vmap_p.define(jvp=_jvp, linearize=_linearize, batch=_batch).refuse(
    transpose="its derivative is that of the function", lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED
)
