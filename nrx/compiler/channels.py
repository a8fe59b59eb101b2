"""Channels last: around convolutions values lie in memory with their channels together, whatever the source wrote.

Then kernels read and write whole vectors of channels, with no window across a row of the image. Convolutions are
rewritten for such operands, with transposes around them; and what is computed element by element, padded or reduced
between two convolutions is computed of what was not transposed yet, so that transposes meet and undo each other
(`compiler.transposes`). They are left at the edges: where arguments come in, results go out, or axes are merged.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.compiler.transposes import Permutation, Rewrite, Rewriter
from nrx.core.dims import capacity
from nrx.core.loops import Elementwise
from nrx.core.primitive import registry
from nrx.core.program import Atom, Eqn, Program
from nrx.core.shapes import inverse_permutation

_CONVOLUTION = "conv_general_dilated"
_MANY_INPUTS = 256
"""Of a kernel that is large enough for it to matter how quickly it is transposed."""


def channels_last(program: Program, rule_of: Callable[[Eqn], Any]) -> Program:
    """The Program with its images in that layout, and transposes at the edges; the same one if it has none.

    Args:
        program: one without calls, whose convolutions are not lowered yet.
        rule_of: the lowering descriptor of an equation.
    """
    if not any(eqn.prim.name == _CONVOLUTION and _is_channels_first(eqn) for eqn in program.eqns):
        return program

    def rule_for(eqn: Eqn) -> Any:
        return _RULES.get(eqn.prim.name, lambda rewriter, eqn: _elementwise(rewriter, eqn, rule_of))

    return Rewriter(program, rule_for).rewritten()


def _is_channels_first(eqn: Eqn) -> bool:
    kernel, numbers = eqn.inputs[1].aval, eqn.params["dimension_numbers"]
    last = kernel.ndim - 1
    is_of_vectors = last == 2 and kernel.shape[numbers.rhs_spec[1]] == 1  # they have a kernel of their own
    return not is_of_vectors and any(last in spec[2:] for spec in numbers)


def _convolution(rewriter: Rewriter, eqn: Eqn) -> Rewrite | None:
    """The convolution of operands with channels last, whose result is transposed.

    Those of images are ordered (batch, space, channels), those of a kernel (space, inputs, outputs), or, with many
    inputs, (inputs, space, outputs), which is quicker to make and slower to use. In the gradient by the kernel, the
    result is a kernel, and the second operand an image.
    """
    if not _is_channels_first(eqn):
        return None
    numbers = eqn.params["dimension_numbers"]
    is_gradient = numbers.lhs_spec[0] > numbers.lhs_spec[1]
    specs = {"lhs_spec": False, "rhs_spec": not is_gradient, "out_spec": is_gradient}
    shapes = {"lhs_spec": eqn.inputs[0], "rhs_spec": eqn.inputs[1], "out_spec": eqn.outs[0]}
    orders = {
        name: _order(getattr(numbers, name), is_kernel, shapes[name].aval.shape) for name, is_kernel in specs.items()
    }
    moved = numbers._replace(
        **{name: tuple(map(order.index, getattr(numbers, name))) for name, order in orders.items()}
    )
    transpose = registry["transpose"]
    return [
        (transpose, [eqn.inputs[0]], {"permutation": orders["lhs_spec"]}),
        (transpose, [eqn.inputs[1]], {"permutation": orders["rhs_spec"]}),
        (eqn.prim, [0, 1], {**eqn.params, "dimension_numbers": moved}),
        (transpose, [2], {"permutation": inverse_permutation(orders["out_spec"])}),
    ]


def _order(spec: Sequence[int], is_kernel: bool, shape: tuple) -> Permutation:
    """In which the axes of an operand or result are to lie in memory."""
    if len(spec) - 1 not in spec[2:]:
        return tuple(range(len(spec)))
    (first, second), space = sorted(spec[:2]), sorted(spec[2:])
    if not is_kernel:
        return (first, *space, second)
    return (second, *space, first) if capacity(shape[second]) >= _MANY_INPUTS else (*space, second, first)


def _to_first(ndim: int) -> Permutation:
    """The permutation that makes channels last channels first."""
    return (0, ndim - 1, *range(1, ndim - 1))


def _of_channels_last(rewriter: Rewriter, atom: Atom) -> Atom | None:
    """What a value with channels first was transposed from, if it was."""
    inner, permutation = rewriter.untransposed(atom)
    is_image = inner is not None and len(permutation) > 2 and permutation == _to_first(len(permutation))
    return inner.inputs[0] if inner is not None and is_image else None


def _elementwise(rewriter: Rewriter, eqn: Eqn, rule_of: Callable[[Eqn], Any]) -> Rewrite | None:
    """The same of operands with channels last, as one of them is at least; the others are transposed."""
    if len(eqn.outs) != 1 or all(_of_channels_last(rewriter, atom) is None for atom in eqn.inputs):
        return None
    return _together(rewriter, eqn, eqn.params) if isinstance(rule_of(eqn), Elementwise) else None


def _together(rewriter: Rewriter, eqn: Eqn, params: dict[str, Any]) -> Rewrite:
    """The equation with other params, of operands with channels last, and its result transposed."""
    transpose, to_first = registry["transpose"], _to_first(eqn.outs[0].aval.ndim)
    to_last = inverse_permutation(to_first)
    rewrite: Rewrite = []
    operands: list[Atom | int] = []
    for atom in eqn.inputs:
        known = _of_channels_last(rewriter, atom)
        if known is not None or not atom.aval.ndim:
            operands.append(atom if known is None else known)
        else:
            operands.append(len(rewrite))
            rewrite.append((transpose, [atom], {"permutation": to_last}))
    rewrite.append((eqn.prim, operands, params))
    return [*rewrite, (transpose, [len(rewrite) - 1], {"permutation": to_first})]


def _by_axis(*names: str) -> Callable[[Rewriter, Eqn], Rewrite | None]:
    """A rule for params that have an entry for each axis."""

    def rule(rewriter: Rewriter, eqn: Eqn) -> Rewrite | None:
        if _of_channels_last(rewriter, eqn.inputs[0]) is None:
            return None
        to_last = inverse_permutation(_to_first(eqn.outs[0].aval.ndim))
        moved = {name: tuple(eqn.params[name][axis] for axis in to_last) for name in names if eqn.params[name]}
        return _together(rewriter, eqn, {**eqn.params, **moved})

    return rule


def _concatenate(rewriter: Rewriter, eqn: Eqn) -> Rewrite | None:
    if any(_of_channels_last(rewriter, atom) is None for atom in eqn.inputs):
        return None
    axis = _to_first(eqn.outs[0].aval.ndim)[eqn.params["dimension"]]
    return _together(rewriter, eqn, {**eqn.params, "dimension": axis})


_RULES: dict[str, Callable[[Rewriter, Eqn], Rewrite | None]] = {
    _CONVOLUTION: _convolution,
    **dict.fromkeys(
        (f"reduce_window_{name}" for name in ("sum", "max", "min")),
        _by_axis("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation"),
    ),
    "pad": _by_axis("padding_config"),
    "slice": _by_axis("start_indices", "limit_indices", "strides"),
    "concatenate": _concatenate,
}
