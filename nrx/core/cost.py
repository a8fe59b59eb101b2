"""The work that a Program is: operations, evaluations of elementary functions, bytes moved."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nrx.core.aval import Aval
from nrx.core.program import Eqn, Program, subprograms


class _Cost(NamedTuple):
    flops: float = 0.0
    transcendentals: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: tuple) -> "_Cost":
        return _Cost(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, count: float) -> "_Cost":
        return _Cost(*(count * value for value in self))


_TRANSCENDENTAL = frozenset((
    "exp", "exp2", "log", "expm1", "log1p", "rsqrt", "cbrt", "pow", "logistic", "sin", "cos", "tan", "asin", "acos",
    "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv", "lgamma", "digamma",
    "polygamma", "zeta", "cumlogsumexp",
))  # fmt: skip
_MOVES = frozenset(["convert_element_type", "copy", "stop_gradient", "real", "imag", "complex"])


def program_cost(program: Program) -> dict[str, float]:
    """The work of one run of a Program, counted from its equations.

    Loops of unknown length count as one turn, and of the branches of a conditional the one that costs most.

    Returns:
        "flops": arithmetic operations on numbers of any type, comparisons and bitwise ones included;
        "transcendentals": evaluations of exp, sin, erf, …, which are not among the flops;
        "bytes accessed": if every equation reads its operands from memory and writes its results there.
    """
    flops, transcendentals, moved = _program_cost(program)
    return {"flops": float(flops), "transcendentals": float(transcendentals), "bytes accessed": float(moved)}


def _program_cost(program: Program) -> _Cost:
    return sum(map(_equation_cost, program.eqns), _Cost())


def _equation_cost(eqn: Eqn) -> _Cost:
    inner = [_program_cost(program) for program in subprograms(eqn.params)]
    if eqn.prim.name == "cond":
        return max(inner)
    if inner:
        return sum(inner, _Cost()).times(eqn.params.get("length", 1))
    operands, results = [atom.aval for atom in eqn.inputs], [out.aval for out in eqn.outs]
    moved = sum(map(nbytes, operands + results))
    if eqn.prim.name in _TRANSCENDENTAL:
        return _Cost(0, results[0].size, moved)
    if eqn.prim.name in _COUNTS:
        return _Cost(_COUNTS[eqn.prim.name](eqn, operands, results), 0, moved)
    return _Cost(results[0].size if eqn.prim.elementwise and eqn.prim.name not in _MOVES else 0, 0, moved)


def nbytes(aval: Aval) -> int:
    """Bytes of an array."""
    return aval.size * aval.dtype.itemsize


_Count = Callable[[Eqn, Sequence[Aval], Sequence[Aval]], float]


def _reduction(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    return operands[0].size - results[0].size if operands[0].size else 0


def _window(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    return results[0].size * (math.prod(eqn.params["window_dimensions"]) - 1)


def _product(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    contracted = eqn.params["dimension_numbers"][0][0]
    return 2 * results[0].size * math.prod(operands[0].shape[axis] for axis in contracted)


def _convolution(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    filters = operands[1].shape[eqn.params["dimension_numbers"].rhs_spec[0]]
    return 2 * results[0].size * (operands[1].size // max(filters, 1))


def _sort(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    length = operands[0].shape[eqn.params["dimension"]] if "dimension" in eqn.params else operands[0].shape[-1]
    return operands[0].size * max(length - 1, 0).bit_length()


def _updates(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    return operands[2].size


def _each_operand(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    return operands[0].size


_THREEFRY_OPERATIONS = 120  # of 32 bits: 20 rounds of an addition, a rotation (3) and an exclusive or, and the keys


def _split_products(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    return 2 * math.prod(axis.extent for axis in eqn.params["axes"])


def _tiles(eqn: Eqn, operands: Sequence[Aval], results: Sequence[Aval]) -> float:
    """Additions along one axis of the tiles, then along the other."""
    matrix, (outer, (down, across), lanes) = eqn.params["matrix"], eqn.params["counts"]
    additions = sum(sum(weight != 0 for weight in weights) - 1 for weights in matrix)
    return outer * down * across * lanes * additions * (len(matrix) + len(matrix[0]))


#: name -> flops, where they are not one for each element of the result.
_COUNTS: dict[str, _Count] = {
    **dict.fromkeys(
        ["reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_xor"], _reduction
    ),
    **dict.fromkeys(["argmax", "argmin"], _reduction),
    **dict.fromkeys((f"reduce_window_{kind}" for kind in ["sum", "max", "min", "argmax", "argmin"]), _window),
    **dict.fromkeys(["cumsum", "cumprod", "cummax", "cummin", "psum", "pmax", "pmin"], _each_operand),
    **dict.fromkeys(["scatter_add", "scatter_mul", "scatter_min", "scatter_max"], _updates),
    **dict.fromkeys(("sort", "top_k"), _sort),
    **dict.fromkeys(("digit_counts", "place_by_digit"), lambda eqn, operands, results: operands[0].size),
    "dot_general": _product,
    "split_products": _split_products,
    "tiles": _tiles,
    "conv_general_dilated": _convolution,
    "threefry2x32": lambda eqn, operands, results: _THREEFRY_OPERATIONS * results[0].size,
}
