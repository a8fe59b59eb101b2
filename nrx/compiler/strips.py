"""Strips: values that are large, and of which only sums are needed, are computed a few rows at a time.

The scores of attention are such: products of small matrices, made into probabilities row by row, and summed by other
products. For each sum, or several at once, there is a loop over strips: over a batch, heads or rows. Its body computes
what the strip is made of, from values that lie in memory, and adds it to the sum or stores it as rows of it. Where
strips are still large, so is the body's Program divided. What was large is computed again for sums that are needed
later, as for a gradient: that takes about as long as writing and reading it, and no memory (M. N. Rabe and C. Staats,
"Self-attention does not need O(n²) memory", 2021; T. Dao et al., "FlashAttention", 2022).

A Program stays as it is where something large is needed as a whole, or made in a way that is not known here.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.compiler.generalize import LARGE
from nrx.compiler.simplify import literal
from nrx.core import dtypes
from nrx.core.aval import Aval
from nrx.core.dims import Dim
from nrx.core.loops import Elementwise, ScanSizes
from nrx.core.primitive import registry
from nrx.core.program import Atom, Eqn, Program, Var, has_effect, prune
from nrx.core.shapes import size, without

_LARGE = LARGE
"""Bytes of a value that is worth it."""
_GAIN = 8
"""So many times the bytes of the factors that it is the product of."""
_STRIP = 64 << 20
"""Bytes of a strip, about: less, and packing what its rows share takes time (16 MiB: a fifth, for 4,096 positions)."""
_FEWEST_ROWS = 64
"""Of a strip, if its products share a factor, which is packed for each strip."""

_INDEX = Aval((), np.dtype(np.int32))
_AS_ELEMENTWISE = ("stop_gradient", "copy")
_REDUCTIONS = tuple(f"reduce_{name}" for name in ("sum", "prod", "max", "min", "and", "or"))


def in_strips(program: Program, rule_of: Callable[[Eqn], Any]) -> Program:
    """The Program with loops over strips, if it has values that are large enough.

    Args:
        program: a simplified Program.
        rule_of: the lowering descriptor of an equation.
    """
    if not any(_is_large(var) for eqn in program.eqns for var in eqn.outs):
        return program
    try:
        return _Divider(program, rule_of).divided()
    except _WholeError:
        return program


class _WholeError(Exception):
    """Something is needed as a whole."""


class _Sum(NamedTuple):
    """A product that sums something large, and the axis of the operand along which there are strips."""

    eqn: Eqn
    operand: int
    axis: int


class _Divider:
    """Divides a Program.

    Fields:
        inner: the variables that are computed strip by strip: large ones, and what follows from them for each row.
        anywhere: variables whose strips can be made without them, like masks that follow from positions.
        sums: the products that sum them.
        position: of each variable's equation.
    """

    def __init__(self, program: Program, rule_of: Callable[[Eqn], Any]):
        self.program, self.rule_of = program, rule_of
        self.made_by = {var: eqn for eqn in program.eqns for var in eqn.outs}
        self.position = {var: number for number, eqn in enumerate(program.eqns) for var in eqn.outs}
        self.inner: set[Var] = set()
        self.anywhere: set[Var] = set()
        self.sums: list[Eqn] = []
        for eqn in program.eqns:
            self._sort(eqn)
        if any(out in self.inner for out in program.outs):
            raise _WholeError

    def _sort(self, eqn: Eqn) -> None:
        """Whether an equation makes something inner, or sums it."""
        large = [atom for atom in eqn.inputs if atom in self.inner]
        if large and eqn.prim.name == "dot_general":
            if max(_nbytes(atom.aval) for atom in large) < _GAIN * _nbytes(eqn.outs[0].aval):
                raise _WholeError
            self.sums.append(eqn)
        elif large or (any(map(_is_large, eqn.outs)) and self._expands(eqn)):
            if has_effect(eqn) or len(eqn.outs) != 1:
                raise _WholeError
            self.inner.update(eqn.outs)
        elif self._is_made_anywhere(eqn):
            self.anywhere.update(eqn.outs)

    def _expands(self, eqn: Eqn) -> bool:
        """Whether it is a product that is much larger than its factors."""
        factors = sum(_nbytes(atom.aval) for atom in eqn.inputs)
        return eqn.prim.name == "dot_general" and _nbytes(eqn.outs[0].aval) >= _GAIN * factors

    def _is_made_anywhere(self, eqn: Eqn) -> bool:
        """Whether it gives numbers that follow from where they are."""
        if eqn.prim.name in ("broadcast_in_dim", "iota"):
            return not any(map(_is_large, eqn.inputs))
        variables = [atom for atom in eqn.inputs if isinstance(atom, Var)]
        return isinstance(self.rule_of(eqn), Elementwise) and bool(variables) and self.anywhere.issuperset(variables)

    def divided(self) -> Program:
        loops = [_Loop(self, sums, rows) for sums, rows in self._groups()]
        if not loops:
            return self.program
        done = {eqn for loop in loops for eqn in loop.eqns}
        eqns: list[Eqn] = []
        for number, eqn in enumerate([*self.program.eqns, None]):
            for loop in loops:
                if loop.first == number:
                    eqns += loop.written()
            if eqn is not None and eqn not in done:
                eqns.append(eqn)
        program = self.program
        return prune(Program(program.invars, eqns, program.outs, program.constvars, program.consts, program.name))

    def _groups(self) -> list[tuple[list[_Sum], int]]:
        """Sums that one loop computes: over as many rows, before the first of them is needed."""
        uses: dict[Var, int] = {}
        for number, eqn in reversed(list(enumerate(self.program.eqns))):
            if self.inner.isdisjoint(eqn.outs) and eqn not in self.sums:
                uses.update({atom: number for atom in eqn.inputs if isinstance(atom, Var)})
        groups: list[tuple[list[_Sum], int]] = []
        for eqn in self.sums:
            one, rows = self._along_rows(eqn)
            if groups and groups[-1][1] == rows:
                together = [*groups[-1][0], one]
                loop = _Loop(self, together, rows)
                results = {s.eqn.outs[0] for s in together}
                if loop.first <= min(uses.get(var, len(uses) + loop.first) for var in results) and results.isdisjoint(
                    loop.leaves
                ):
                    groups[-1] = (together, rows)
                    continue
            groups.append(([one], rows))
        return groups

    def _along_rows(self, eqn: Eqn) -> tuple[_Sum, int]:
        """A sum with the first axis along which its large operand can be computed in strips."""
        operand = 0 if eqn.inputs[0] in self.inner else 1
        shape = eqn.inputs[operand].aval.shape
        for axis, rows in enumerate(shape):
            if isinstance(rows, Dim) or rows < 2:
                continue
            one = _Sum(eqn, operand, axis)
            try:
                _Loop(self, [one], rows)
            except _WholeError:
                continue
            return one, rows
        raise _WholeError


class _Loop:
    """A loop over strips.

    Fields:
        eqns: the sums that it computes.
        leaves: what it reads in memory, and the variables for it in the body.
        first: the number of the equation before which it can run.
    """

    def __init__(self, divider: _Divider, sums: Sequence[_Sum], rows: int):
        self.divider, self.sums, self.rows = divider, sums, rows
        self.eqns = [one.eqn for one in sums]
        self.leaves: dict[Var, Var] = {}
        self.body: list[Eqn] = []
        self.known: dict[Any, Atom] = {}
        self.start = Var(_INDEX)
        self.height = self._height()
        self.totals = [Var(self._total(one.eqn)) for one in sums]
        self.results = [self._summed(one, total) for one, total in zip(sums, self.totals, strict=True)]
        self.first = 1 + max((divider.position.get(var, -1) for var in self.leaves), default=-1)

    def _height(self) -> int:
        """The rows of a strip: as many as divide all evenly."""
        nbytes = max(_nbytes(one.eqn.inputs[one.operand].aval) for one in self.sums)
        is_batch = all(one.axis in one.eqn.params["dimension_numbers"][1][one.operand] for one in self.sums)
        fewest = 1 if is_batch else _FEWEST_ROWS
        most = min(max(fewest, _STRIP * self.rows // nbytes), self.rows // 2)
        height = next((h for h in range(most, fewest - 1, -1) if self.rows % h == 0), None)
        if height is None:
            raise _WholeError
        return height

    def _total(self, eqn: Eqn) -> Aval:
        """What sums are added up in."""
        aval = eqn.outs[0].aval
        return aval.update(dtype=np.dtype(np.float32)) if dtypes.is_narrow(aval.dtype) else aval

    def written(self) -> list[Eqn]:
        """The equations of the loop and what goes before and after it."""
        add = _equation("add", [self.start, literal(np.int32(self.height), _INDEX)])
        invars = [*self.leaves.values(), self.start, *self.totals]
        body = Program(invars, [*self.body, add], [add.outs[0], *self.results], name="strips")
        before = [
            _equation("broadcast_in_dim", [literal(np.zeros((), total.aval.dtype), total.aval.update(shape=()))],
                      shape=total.aval.shape, placement=())
            for total in self.totals
        ]  # fmt: skip
        operands: list[Atom] = [*self.leaves, literal(np.int32(0), _INDEX), *(eqn.outs[0] for eqn in before)]
        outs: list[Var] = []
        after: list[Eqn] = []
        for one, total in zip(self.eqns, self.totals, strict=True):
            result = one.outs[0]
            outs.append(result if result.aval.dtype == total.aval.dtype else Var(total.aval))
            if outs[-1] is not result:
                params = {"dtype": result.aval.dtype, "weak_type": False}
                after.append(Eqn(registry["convert_element_type"], [outs[-1]], [result], params))
        sizes = ScanSizes(len(self.leaves), 1 + len(self.totals))
        params = {"body": body, "length": self.rows // self.height, "reverse": False, "sizes": sizes}
        loop = Eqn(registry["scan"], operands, [Var(_INDEX), *outs], params, self.eqns[0].source)
        return [*before, loop, *after]

    # The body

    def add(self, name: str, inputs: Sequence[Atom], **params: Any) -> Var:
        self.body.append(_equation(name, inputs, **params))
        return self.body[-1].outs[0]

    def whole(self, atom: Atom) -> Atom:
        """Something that lies in memory."""
        if not isinstance(atom, Var):
            return atom
        if atom in self.divider.inner:
            raise _WholeError
        return self.leaves.setdefault(atom, Var(atom.aval))

    def strip(self, atom: Atom, axis: int) -> Atom:
        """The rows of the strip, which lie along an axis."""
        if not isinstance(atom, Var):
            raise _WholeError
        key = (atom, axis)
        if key not in self.known:
            if atom.aval.shape[axis] != self.rows:
                raise _WholeError
            if atom in self.divider.inner or atom in self.divider.anywhere:
                self.known[key] = self._computed(self.divider.made_by[atom], axis)
            else:
                sizes = _with(atom.aval.shape, axis, self.height)
                self.known[key] = self.add(
                    "dynamic_slice", [self.whole(atom), *self._at(atom, axis)], slice_sizes=sizes
                )
        return self.known[key]

    def _at(self, atom: Atom, axis: int) -> list[Atom]:
        """Where the strip begins."""
        return [self.start if a == axis else literal(np.int32(0), _INDEX) for a in range(len(atom.aval.shape))]

    def _computed(self, eqn: Eqn, axis: int) -> Var:
        """The strip of a result."""
        name, params = eqn.prim.name, dict(eqn.params)
        rule = _RULES.get(name)
        if name == "iota":
            return self._counted(eqn, axis)
        if rule is not None:
            inputs, changed = rule(self, eqn, axis)
            return self.add(name, inputs, **{**params, **changed})
        if name not in _AS_ELEMENTWISE and not isinstance(self.divider.rule_of(eqn), Elementwise):
            raise _WholeError
        shape = eqn.outs[0].aval.shape
        inputs = [self.strip(x, axis) if x.aval.shape == shape else self.whole(x) for x in eqn.inputs]
        return self.add(name, inputs, **params)

    def _counted(self, eqn: Eqn, axis: int) -> Var:
        """Numbers along an axis; where that is the one of the rows, the strip's begin with its start."""
        shape = _with(eqn.params["shape"], axis, self.height)
        numbers = self.add("iota", [], **{**eqn.params, "shape": shape})
        if eqn.params["dimension"] != axis:
            return numbers
        start: Atom = self.start
        if numbers.aval.dtype != _INDEX.dtype:
            start = self.add("convert_element_type", [start], dtype=numbers.aval.dtype, weak_type=False)
        return self.add("add", [numbers, self.add("broadcast_in_dim", [start], shape=shape, placement=())])

    def _summed(self, one: _Sum, total: Var) -> Var:
        """The sum so far with the strip."""
        eqn, own, axis = one.eqn, one.operand, one.axis
        contract, batch = eqn.params["dimension_numbers"]
        if axis in contract[own]:
            place = contract[own].index(axis)
            axes: list[int | None] = [contract[0][place], contract[1][place]]
            rows = None
        elif axis in batch[own]:
            rows = batch[own].index(axis)
            axes = [batch[0][rows], batch[1][rows]]
        else:
            axes = [None, None]
            axes[own] = axis
            free = [without(range(len(x.aval.shape)), contract[i] + batch[i]) for i, x in enumerate(eqn.inputs)]
            rows = len(batch[0]) + free[own].index(axis) + (len(free[0]) if own else 0)
        inputs = [self.whole(x) if a is None else self.strip(x, a) for x, a in zip(eqn.inputs, axes, strict=True)]
        params = dict(eqn.params)
        if total.aval.dtype != eqn.outs[0].aval.dtype:
            params["preferred_element_type"] = total.aval.dtype
        product = self.add("dot_general", inputs, **params)
        if rows is None:
            return self.add("add", [total, product])
        return self.add("dynamic_update_slice", [total, product, *self._at(total, rows)])


# What is computed of operands of which some are strips: inputs and changed params


def _broadcast(loop: _Loop, eqn: Eqn, axis: int) -> tuple[list[Atom], dict[str, Any]]:
    (x,), placement = eqn.inputs, tuple(eqn.params["placement"])
    changed = {"shape": _with(eqn.params["shape"], axis, loop.height)}
    if axis in placement and x.aval.shape[placement.index(axis)] != 1:
        return [loop.strip(x, placement.index(axis))], changed
    return [loop.whole(x)], changed


def _reshape(loop: _Loop, eqn: Eqn, axis: int) -> tuple[list[Atom], dict[str, Any]]:
    """One that leaves the rows an axis."""
    (x,), shape = eqn.inputs, eqn.outs[0].aval.shape
    for source, extent in enumerate(x.aval.shape):
        if extent == loop.rows and size(x.aval.shape[:source]) == size(shape[:axis]):
            return [loop.strip(x, source)], {"shape": _with(shape, axis, loop.height)}
    raise _WholeError


def _transpose(loop: _Loop, eqn: Eqn, axis: int) -> tuple[list[Atom], dict[str, Any]]:
    return [loop.strip(eqn.inputs[0], eqn.params["permutation"][axis])], {}


def _reduce(loop: _Loop, eqn: Eqn, axis: int) -> tuple[list[Atom], dict[str, Any]]:
    (x,) = eqn.inputs
    return [loop.strip(x, without(range(len(x.aval.shape)), eqn.params["axes"])[axis])], {}


def _product(loop: _Loop, eqn: Eqn, axis: int) -> tuple[list[Atom], dict[str, Any]]:
    contract, batch = eqn.params["dimension_numbers"]
    if axis < len(batch[0]):
        return [loop.strip(x, batch[i][axis]) for i, x in enumerate(eqn.inputs)], {}
    free = [without(range(len(x.aval.shape)), contract[i] + batch[i]) for i, x in enumerate(eqn.inputs)]
    place = axis - len(batch[0])
    own, place = (0, place) if place < len(free[0]) else (1, place - len(free[0]))
    inputs = [loop.strip(x, free[own][place]) if i == own else loop.whole(x) for i, x in enumerate(eqn.inputs)]
    return inputs, {}


_RULES: dict[str, Callable[[_Loop, Eqn, int], tuple[list[Atom], dict[str, Any]]]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "dot_general": _product,
    **dict.fromkeys(_REDUCTIONS, _reduce),
}


def _equation(name: str, inputs: Sequence[Atom], **params: Any) -> Eqn:
    prim = registry[name]
    return Eqn(prim, inputs, [Var(prim.abstract(*(atom.aval for atom in inputs), **params))], params)


def _with(shape: Sequence[int], axis: int, extent: int) -> tuple[int, ...]:
    return (*shape[:axis], extent, *shape[axis + 1 :])


def _nbytes(aval: Aval) -> int:
    return size(aval.shape) * aval.dtype.itemsize


def _is_large(atom: Atom) -> bool:
    """Whether it takes much memory, of a size that is known."""
    return not any(isinstance(n, Dim) for n in atom.aval.shape) and _nbytes(atom.aval) >= _LARGE
