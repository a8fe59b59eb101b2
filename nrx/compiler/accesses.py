"""What an equation reads, and at which index: found by running its lowering rule on symbolic indices.

Views (transposes, broadcasts, slices, …) are looked through: what counts are the values behind them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.compiler.elements import Elements
from nrx.core import loops
from nrx.core.dims import identity
from nrx.core.loops import Builder, Complex, Elementwise, Expr, Pointwise, Reduction, Value
from nrx.core.program import Atom, Eqn, Literal, Var
from nrx.core.shapes import Shape

_ZERO = loops.const(0, "i64")


class Access(NamedTuple):
    """One read of a variable, `at` an index of the reader's iteration space."""

    var: Var
    at: tuple


class Space(NamedTuple):
    """The points at which an equation computes: for a reduction, kept and reduced axes together.

    Fields:
        shape: the extent of every axis.
        reduced: the axes that are reduced.
    """

    shape: Shape
    reduced: tuple[int, ...] = ()

    @property
    def kept(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.reduced)


def is_view(rule: Any) -> bool:
    """Whether a rule only moves data, so that it may be repeated by every reader."""
    return isinstance(rule, Pointwise) and not isinstance(rule, Elementwise) and rule.cost == 0


def space_of(eqn: Eqn, rule: Any) -> Space:
    """The iteration space of an equation that is computed element by element."""
    if not isinstance(rule, Reduction):
        return Space(eqn.outs[0].aval.shape)
    if rule.extents is None:
        assert rule.axes is not None
        return Space(eqn.inputs[0].aval.shape, tuple(sorted(rule.axes)))
    kept = eqn.outs[0].aval.shape
    return Space((*kept, *rule.extents), tuple(range(len(kept), len(kept) + len(rule.extents))))


class Symbols:
    """Symbolic indices: shapes that differ in axes of length 1 only share their variables."""

    def __init__(self) -> None:
        self._made: dict[tuple, list[Expr]] = {}

    def index(self, shape: Shape) -> tuple:
        """One variable for every axis; 0 for axes of length 1."""
        extents = [extent for extent in shape if extent != 1]
        key = tuple(map(identity, extents))
        if key not in self._made:
            self._made[key] = [Expr("var", "i64", (), loops.Var("loop", extent)) for extent in extents]
        variables = iter(self._made[key])
        return tuple(_ZERO if extent == 1 else next(variables) for extent in shape)


def essential(index: Sequence[Any]) -> tuple:
    """An index without its constant zeros (axes of length 1)."""
    return tuple(i for i in index if not _is_zero(i))


def _is_zero(i: Any) -> bool:
    return (i.op == "const" and int(i.attr) == 0) if isinstance(i, Expr) else i == 0


class Accesses:
    """Finds what equations read.

    Args:
        made_by: the equation behind every variable that is computed.
        rule_of: the lowering descriptor of an equation.
        is_leaf: whether a variable is looked at as a value of its own, not looked through.
    """

    def __init__(self, made_by: dict[Var, Eqn], rule_of: Callable[[Eqn], Any], is_leaf: Callable[[Var], bool]):
        self.made_by, self.rule_of, self.is_leaf = made_by, rule_of, is_leaf
        self.symbols = Symbols()

    def of(self, eqn: Eqn) -> list[Access]:
        """Every read of a leaf by `eqn`, at the symbols of its space."""
        rule = self.rule_of(eqn)
        space = space_of(eqn, rule)
        index = self.symbols.index(space.shape)
        if isinstance(rule, Elementwise) and not isinstance(rule, Reduction):
            return self.through((atom, index) for atom in eqn.inputs)
        recorder = _Recorder(self)
        if isinstance(rule, Reduction):
            kept = tuple(index[axis] for axis in space.kept)
            recorder.elements.element(eqn, rule, kept, tuple(index[axis] for axis in space.reduced))
        else:
            rule.at(recorder.elements.b, index, *map(recorder.elements.reader, eqn.inputs), **eqn.params)
        return recorder.found

    def through(self, reads: Any) -> list[Access]:
        """The reads of leaves that these reads of (atom, index) come to."""
        found: list[Access] = []
        recorder: _Recorder | None = None
        for atom, index in reads:
            if isinstance(atom, Literal):
                continue
            if self.is_leaf(atom):
                found.append(Access(atom, index))
                continue
            recorder = recorder or _Recorder(self)
            recorder.found = found
            recorder.elements.at(atom, index)
        return found

    def copied(self, var: Var, index: tuple) -> Access | None:
        """The read of a leaf that an element is, as it was read; None if it is anything else."""
        recorder = _Recorder(self)
        value = recorder.elements.at(var, index)
        parts = (value.real, value.imag) if isinstance(value, Complex) else (value,)
        is_read = all(isinstance(part, Expr) and part.op == "unknown" for part in parts)
        return recorder.found[0] if is_read and len(recorder.found) == 1 else None


class _Recorder:
    """Elements that note what is read instead of reading it."""

    def __init__(self, accesses: Accesses):
        self.found: list[Access] = []
        self.elements = _LeafElements(Builder("accesses"), accesses.made_by, accesses.rule_of)
        self.elements.is_leaf, self.elements.recorder = accesses.is_leaf, self


class _LeafElements(Elements):
    is_leaf: Callable[[Var], bool]
    recorder: _Recorder

    def at(self, atom: Atom, index: Sequence[Any]) -> Value:
        if isinstance(atom, Var) and self.is_leaf(atom):
            self.recorder.found.append(Access(atom, tuple(index)))
            return unknown(atom)
        return super().at(atom, index)


def unknown(var: Var) -> Value:
    """A value of a variable's type of which nothing is known."""
    type = loops.type_of(var.aval.dtype)
    if type in ("c64", "c128"):
        part = {"c64": "f32", "c128": "f64"}[type]
        return Complex(Expr("unknown", part), Expr("unknown", part))
    return Expr("unknown", type)
