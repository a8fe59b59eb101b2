"""Convolutions with kernels of 3 × 3 by fewer products.

A tile of 2 × 2 elements of the result takes 36 products a feature; of sums and differences of its window of 4 × 4
elements, 16. Along one axis, with a window d, a kernel g and B, G and A as below,

    result = Aᵀ [(G g) · (Bᵀ d)]

and along two it is done twice. Summed over features, the products are 16 matrix products, each of a place in the tiles.
The gradient by the kernel is the same read backwards: Gᵀ [(A y) · (Bᵀ d)], of a tile y of the cotangent.

Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", 2016.
"""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from nrx.core import loops
from nrx.core.aval import Aval
from nrx.core.dims import Dim, capacity
from nrx.core.dtypes import float32
from nrx.core.loops import Builder, Expr, Native, Operand
from nrx.core.primitive import Primitive
from nrx.core.program import Eqn, Program, Var
from nrx.core.shapes import Shape
from nrx.ops.common import equation
from nrx.ops.convolution_geometry import ConvParams
from nrx.ops.dot import Precision, dot_general_p
from nrx.ops.moves import row_major_strides

tiles_p = Primitive("tiles")

Matrix = tuple[tuple[float, ...], ...]

B_T: Matrix = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
G: Matrix = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
A_T: Matrix = ((1, 1, 1, 0), (0, 1, -1, -1))
A: Matrix = ((1, 0), (1, 1), (1, -1), (0, -1))
G_T: Matrix = ((1, 0.5, 0.5, 0), (0, 0.5, -0.5, 0), (0, 0.5, 0.5, 1))

_TILE, _PLACES = 2, 16
_MEMORY_COST = 7.0
"""Of an element that is written to memory or read, in multiplications and additions: what was measured."""
_WORTH_IT = 0.95


class Places(NamedTuple):
    """Where the elements of tiles are in an array.

    Fields:
        start: the position of the first one, of tile 0.
        outer, tile, element: strides: of what lies around the tiles, of tiles along both axes, of elements in them.
        bounds: along both axes, how many elements of tile 0 come before the first that is there, and how many are
            there. None: all are.
    """

    start: Any
    outer: Any
    tile: tuple[Any, Any]
    element: tuple[Any, Any]
    bounds: tuple[tuple[int, int], tuple[int, int]] | None = None


class Counts(NamedTuple):
    """How many there are: around the tiles, tiles along both axes, neighbours that are computed in lanes."""

    outer: Any
    tiles: tuple[int, int]
    lanes: int


def winograd(x: Aval, kernel: Aval, out: Aval, p: ConvParams) -> Program | None:
    """The Program of a convolution by fewer products; None where it cannot be, or would not be faster.

    Args:
        x, kernel: the operands.
        out: the result.
        p: the params; lhs is padded at its ends at most.
    """
    if not _is_plain(x, kernel, p):
        return None
    lhs, rhs, result = p.dimension_numbers
    last = x.ndim - 1
    if (lhs[1], result[1]) == (last, last) and last in rhs[:2] and _lengths(kernel, rhs) == (3, 3):
        return _forward(x, kernel, out, p)
    if (lhs[0], rhs[0]) == (last, last) and last in result[:2] and _lengths(out, result) == (3, 3):
        return _gradient(x, kernel, out, p)
    return None


def _is_plain(x: Aval, kernel: Aval, p: ConvParams) -> bool:
    precisions = set(p.precision if isinstance(p.precision, tuple) else [p.precision])
    steps = {*p.window_strides, *p.lhs_dilation, *p.rhs_dilation}
    is_image = x.ndim == 4 and x.dtype == kernel.dtype == float32
    return is_image and steps == {1} and p.groups == 1 and precisions <= {None, Precision.DEFAULT}


def _lengths(aval: Aval, spec: Sequence[int]) -> tuple[int, ...]:
    return tuple(aval.shape[axis] for axis in spec[2:])


def _pays(batch: int, lengths: tuple[int, ...], inputs: int, outputs: int) -> bool:
    """Whether tiles of results of so many pixels are quicker than all their products."""
    if any(isinstance(n, Dim) for n in (*lengths, inputs, outputs)):
        return False
    tiles = capacity(batch) * math.prod(_tiles(lengths))
    pixels = capacity(batch) * math.prod(lengths)
    moved = tiles * (4 + 2 * _PLACES) * (inputs + outputs) + 2 * _PLACES * inputs * outputs
    return _MEMORY_COST * moved + inputs * outputs * _PLACES * tiles < _WORTH_IT * 9 * inputs * outputs * pixels


def _tiles(lengths: Sequence[int]) -> tuple[int, int]:
    """How many tiles cover an image."""
    height, width = lengths
    return -(-height // _TILE), -(-width // _TILE)


def _image(aval: Aval, spec: Sequence[int], lows: Sequence[int]) -> Places:
    """Tiles of an image, beside which there is padding."""
    steps = row_major_strides(aval.shape)
    outer, (y, x) = steps[min(spec[:2])], (steps[axis] for axis in spec[2:])
    height, width = _lengths(aval, spec)
    bounds = (lows[0], height), (lows[1], width)
    return Places(-lows[0] * y - lows[1] * x, outer, (_TILE * y, _TILE * x), (y, x), bounds)


def _kernel(aval: Aval, spec: Sequence[int]) -> Places:
    """The one tile of each kernel; around it is the other axis of features than the last."""
    steps = row_major_strides(aval.shape)
    (around,) = (axis for axis in spec[:2] if axis != aval.ndim - 1)
    return Places(0, steps[around], (0, 0), (steps[spec[2]], steps[spec[3]]))


def _stacked(counts: Counts) -> tuple[Places, Shape]:
    """Sixteen matrices, one for each place in a tile: around the tiles and tiles by neighbours."""
    down, across = counts.tiles
    rows = counts.outer * down * across
    step = rows * counts.lanes
    tile = across * counts.lanes, counts.lanes
    return Places(0, down * tile[0], tile, (4 * step, step)), (_PLACES, rows, counts.lanes)


def _to_stacked(source: Var, places: Places, matrix: Matrix, counts: Counts) -> Eqn:
    """The equation of the sixteen matrices."""
    target, shape = _stacked(counts)
    return equation(
        tiles_p, [source], matrix=matrix, places=(places, target), counts=counts, out=Aval(shape, source.aval.dtype)
    )


def _from_stacked(source: Var, places: Places, matrix: Matrix, counts: Counts, out: Aval) -> Eqn:
    return equation(
        tiles_p, [source], matrix=matrix, places=(_stacked(counts)[0], places), counts=counts,
        out=Aval(out.shape, source.aval.dtype),
    )  # fmt: skip


def _products(x: Eqn, y: Eqn, contracted: tuple[int, int]) -> Eqn:
    numbers = (((contracted[0],), (contracted[1],)), ((0,), (0,)))
    return equation(
        dot_general_p, [*x.outs, *y.outs], dimension_numbers=numbers, precision=None, preferred_element_type=None
    )


def _forward(x: Aval, kernel: Aval, out: Aval, p: ConvParams) -> Program | None:
    lhs, rhs, result = p.dimension_numbers
    batch, lengths = out.shape[result[0]], _lengths(out, result)
    inputs, outputs = kernel.shape[rhs[1]], kernel.shape[rhs[0]]
    if not _pays(batch, lengths, inputs, outputs):
        return None
    tiles, is_outputs_last = _tiles(lengths), rhs[0] == kernel.ndim - 1
    image, weights = Var(x), Var(kernel)
    lows = [low for low, _ in p.padding]
    windows = _to_stacked(image, _image(x, lhs, lows), B_T, Counts(batch, tiles, inputs))
    around, lanes = (inputs, outputs) if is_outputs_last else (outputs, inputs)
    kernels = _to_stacked(weights, _kernel(kernel, rhs), G, Counts(around, (1, 1), lanes))
    products = _products(windows, kernels, (2, 1 if is_outputs_last else 2))
    counts = Counts(batch, tiles, outputs)
    total = _from_stacked(products.outs[0], _image(out, result, (0, 0)), A_T, counts, out)
    return Program([image, weights], [windows, kernels, products, total], total.outs, name="winograd")


def _gradient(x: Aval, ct: Aval, out: Aval, p: ConvParams) -> Program | None:
    """By the kernel: lhs has its batch and features exchanged, and the cotangent is the kernel that it meets."""
    lhs, rhs, result = p.dimension_numbers
    batch, lengths = ct.shape[rhs[1]], _lengths(ct, rhs)
    inputs, outputs = out.shape[result[0]], out.shape[result[1]]
    if not _pays(batch, lengths, inputs, outputs):
        return None
    tiles, is_outputs_last = _tiles(lengths), result[1] == out.ndim - 1
    image, cotangent = Var(x), Var(ct)
    lows = [low for low, _ in p.padding]
    windows = _to_stacked(image, _image(x, lhs, lows), B_T, Counts(batch, tiles, inputs))
    spread = _to_stacked(cotangent, _image(ct, rhs, (0, 0)), A, Counts(batch, tiles, outputs))
    first, second = (windows, spread) if is_outputs_last else (spread, windows)
    products = _products(first, second, (1, 1))
    around, lanes = (inputs, outputs) if is_outputs_last else (outputs, inputs)
    total = _from_stacked(products.outs[0], _kernel(out, result), G_T, Counts(around, (1, 1), lanes), out)
    return Program([image, cotangent], [windows, spread, products, total], total.outs, name="winograd_gradient")


# The kernel


class _Transform:
    """Builds the kernel that multiplies both axes of every tile by a matrix."""

    def __init__(self, b: Builder, x: Operand, out: Operand, matrix: Matrix, places: tuple, counts: Counts):
        self.b, self.x, self.out, self.matrix, self.counts = b, x, out, matrix, counts
        self.source, self.target = places

    def build(self) -> None:
        b, (outer, (down, across), lanes) = self.b, self.counts
        first, row = loops.unravel(b.parallel(outer * down), (outer, down))

        def tile(column: Expr) -> None:
            b.lanes(lanes, lambda lane: self.one(first, (row, column), lane))

        b.loop(across, [], tile)
        height, width = len(self.matrix), len(self.matrix[0])
        b.kernel.cost = float(across * lanes * (height * height + width * width) * 4)

    def one(self, first: Expr, at: tuple[Expr, Expr], lane: Expr) -> None:
        """A tile of one neighbour."""
        height, width = range(len(self.matrix)), range(len(self.matrix[0]))
        known = [[self.element(first, at, (i, j), lane) for j in width] for i in width]
        rows = [[_combined(weights, [known[i][j] for i in width]) for j in width] for weights in self.matrix]
        for i in height:
            for j, weights in enumerate(self.matrix):
                self.put(first, at, (i, j), lane, _combined(weights, rows[i]))

    def element(self, first: Expr, at: tuple[Expr, Expr], place: tuple[int, int], lane: Expr) -> Expr:
        position, inside = self.position(self.source, first, at, place)
        if inside is None:
            return self.loaded(position + lane)
        safe = loops.select(inside, position, loops.const(0, "i64"))
        return loops.select(inside, self.loaded(safe + lane), loops.const(0, self.x.type))

    def loaded(self, position: Expr) -> Expr:
        return self.b.load(self.x.buffer, position)

    def put(self, first: Expr, at: tuple[Expr, Expr], place: tuple[int, int], lane: Expr, value: Expr) -> None:
        position, inside = self.position(self.target, first, at, place)
        if inside is None:
            self.out.put(position + lane, value)
        else:
            self.b.if_(inside, lambda: self.out.put(position + lane, value))

    def position(
        self, places: Places, first: Expr, at: tuple[Expr, Expr], place: tuple[int, int]
    ) -> tuple[Expr, Expr | None]:
        """Where an element is, of neighbour 0, and whether it is there if that is not sure."""
        position = places.start + first * places.outer
        conditions = []
        for axis in range(2):
            position = position + at[axis] * places.tile[axis] + place[axis] * places.element[axis]
            if places.bounds is not None:
                low, length = places.bounds[axis]
                index = at[axis] * _TILE + (place[axis] - low)
                last = (self.counts.tiles[axis] - 1) * _TILE + place[axis] - low
                conditions += [index >= 0] * (place[axis] < low) + [index < length] * (last >= length)
        return position, loops.all_of(conditions) if conditions else None


def _combined(weights: Sequence[float], values: Sequence[Expr]) -> Expr:
    """The sum of values times weights, with one multiplication for each weight but 1."""
    sums: dict[float, Expr] = {}
    present = [(weight, value) for weight, value in zip(weights, values, strict=True) if weight]
    for weight, value in sorted(present, key=lambda term: -term[0]):
        size = abs(weight)
        if size not in sums:
            sums[size] = value if weight > 0 else -value
        else:
            sums[size] = sums[size] + value if weight > 0 else sums[size] - value
    terms = [total if size == 1 else total * loops.const(size, total.type) for size, total in sums.items()]
    return functools.reduce(operator.add, terms)


def _tiles_lower(x: Aval, *, matrix: Matrix, places: tuple, counts: Counts, out: Aval) -> Native:
    def build(b: Builder, operands: Sequence[Operand], results: Sequence[Operand], **params: Any) -> None:
        _Transform(b, operands[0], results[0], matrix, places, counts).build()

    return Native(build)


tiles_p.define(abstract=lambda x, *, out, **params: out, lower=_tiles_lower).refuse(
    **dict.fromkeys(("impl", "jvp", "transpose", "batch", "onnx"), "it is a part of convolutions in compiled code"),
)
