"""One compilation for many sizes: which numbers of a Program depend on the sizes of its arguments, and how.

A function traced for a second batch size gives a Program that differs from the first in its shapes only. The numbers
that differ are written as polynomials of the leading dimensions that differ (`core.dims.Dim`), and the machine code
gets these dimensions as arguments. Nothing has to be trusted: every size is traced and lowered anew, which is quick,
and only code that comes out the same, letter by letter, is used again. A wrong guess costs a compilation, never a
wrong result.
"""

from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from nrx.core.aval import Aval
from nrx.core.dims import Dim, Monomial, Symbols
from nrx.core.program import Atom, Eqn, Literal, Program, Var, subprograms
from nrx.core.shapes import size, without

LARGE = 128 << 20
"""Bytes of values that are not kept in memory as a whole where strips of them will do."""

_MOST_SYMBOLS = 4
_MOST_REFERENCES = 4
_LARGEST = 1 << 31  # of literals that follow from sizes: whatever they are computed from is exact, in float64 too

#: The first Programs of each kind, by kind and number, as long as somebody else needs them.
_references: WeakValueDictionary[Any, Program] = WeakValueDictionary()
_lock = Lock()


class _DifferentError(Exception):
    """The two Programs differ in more than sizes."""


def generalized(program: Program) -> tuple[Program, Symbols | None]:
    """The Program with Dims for what follows from its leading dimensions, and its symbols.

    The first Program of its kind, and one that nothing can be said of, comes back as it is, with no symbols. A Program
    is compared with the one of a few that it has least in common with: a dimension that is the same in both by chance
    would not be left open.
    """
    avals = tuple([(a.ndim, a.dtype, a.shape[1:]) for a in program.in_avals])
    kind = (program.name, len(program.outs), avals, tuple([eqn.prim for eqn in program.eqns]))
    with _lock:
        known = [_references.get((kind, number)) for number in range(_MOST_REFERENCES)]
        comparisons = [_Comparison(reference, program) for reference in known if reference is not None]
        if None in known and all(comparison.differences for comparison in comparisons):
            _references[kind, known.index(None)] = program
    for comparison in sorted(comparisons, key=lambda comparison: -comparison.differences):
        try:
            if comparison.differences and not _is_better_closed(found := comparison.result()):
                return found, comparison.symbols
        except _DifferentError:
            pass
    return program, None


def _is_better_closed(program: Program) -> bool:
    """Whether code for one size is better: values that are computed in strips, columns of a parameter.

    Strips have the size that they need. The columns of a parameter, if the length of its product's is open, might be
    few, and tiles of many are slow.
    """
    for eqn in program.eqns:
        if any(_is_open(out.aval) and size(out.aval.shape) * out.aval.dtype.itemsize >= LARGE for out in eqn.outs):
            return True
        if eqn.prim.name in ("dot_general", "conv_general_dilated"):
            y, numbers = eqn.inputs[1], eqn.params["dimension_numbers"]
            if eqn.prim.name == "conv_general_dilated":
                axes = numbers.rhs_spec[:1]
            else:
                axes = without(range(y.aval.ndim), numbers[0][1] + numbers[1][1]) if y in program.invars else ()
            if any(isinstance(y.aval.shape[axis], Dim) for axis in axes):
                return True
        if any(map(_is_better_closed, subprograms(eqn.params))):
            return True
    return False


def _is_open(aval: Aval) -> bool:
    return any(isinstance(length, Dim) for length in aval.shape)


class _Comparison:
    """What tells two Programs of one function apart."""

    def __init__(self, old: Program, new: Program):
        self._old, self._new = old, new
        leading = [(a.shape[0], b.shape[0]) for a, b in zip(old.in_avals, new.in_avals, strict=True) if a.shape]
        pairs = [pair for pair in leading if pair[0] != pair[1]]
        self.differences = len(pairs)
        self.pairs = list(dict.fromkeys(pairs))[:_MOST_SYMBOLS]
        self.symbols = Symbols(new for _, new in self.pairs)
        self._guesses: dict[tuple[int, int], int] = {}

    def result(self) -> Program:
        """The new Program, with Dims."""
        return self.program(self._old, self._new)

    def program(self, old: Program, new: Program) -> Program:
        """The new Program, with Dims."""
        counts = [(len(p.invars), len(p.constvars), len(p.eqns), len(p.outs)) for p in (old, new)]
        if counts[0] != counts[1]:
            raise _DifferentError
        known: dict[Var, tuple[Var, Var]] = {}

        def define(a: Var, b: Var) -> Var:
            var = Var(self.aval(a.aval, b.aval))
            known[b] = (a, var)
            return var

        def read(a: Atom, b: Atom) -> Atom:
            if isinstance(a, Var) and isinstance(b, Var):
                if known[b][0] is not a:
                    raise _DifferentError
                return known[b][1]
            if isinstance(a, Literal) and isinstance(b, Literal):
                return self.literal(a, b)
            raise _DifferentError

        constvars = list(map(define, old.constvars, new.constvars))
        invars = list(map(define, old.invars, new.invars))
        eqns = []
        for a, b in zip(old.eqns, new.eqns, strict=True):
            if a.prim is not b.prim or len(a.inputs) != len(b.inputs):
                raise _DifferentError
            inputs = list(map(read, a.inputs, b.inputs))
            params = {name: self.param(a.params.get(name), value) for name, value in b.params.items()}
            eqns.append(Eqn(b.prim, inputs, list(map(define, a.outs, b.outs)), params, b.source))
        outs = list(map(read, old.outs, new.outs))
        return Program(invars, eqns, outs, constvars, new.consts, new.name)

    def aval(self, old: Aval, new: Aval) -> Aval:
        if old.dtype != new.dtype or old.ndim != new.ndim:
            raise _DifferentError
        if old.shape == new.shape:
            return new
        return new.with_dims(tuple(map(self.number, old.shape, new.shape)))

    def number(self, old: int, new: int) -> int:
        """The new number, as a polynomial of the symbols if the two differ."""
        if old == new:
            return new
        if (old, new) not in self._guesses:
            self._guesses[old, new] = self._guess(old, new)
        return self._guesses[old, new]

    def _guess(self, old: int, new: int) -> int:
        """A multiple of a symbol or of two; else a symbol's multiple plus a constant."""
        monomials: list[tuple[Monomial, int, int]] = [((k,), a, b) for k, (a, b) in enumerate(self.pairs)]
        for j, (a, b) in enumerate(self.pairs):
            monomials += [((j, k), a * c, b * d) for k, (c, d) in enumerate(self.pairs) if k >= j]
        for monomial, a, b in monomials:
            factor = new // b if b else 0
            if factor and factor * b == new and factor * a == old:
                return self.symbols.made(new, {monomial: factor})
        for monomial, a, b in monomials[: len(self.pairs)]:
            factor, rest = divmod(new - old, b - a)
            if not rest and factor and abs(new - factor * b) <= abs(factor) * max(a, b):
                return self.symbols.made(new, {monomial: factor, (): new - factor * b})
        return new

    def literal(self, old: Literal, new: Literal) -> Literal:
        if old.aval != new.aval:
            raise _DifferentError
        a, b = _as_int(old.value), _as_int(new.value)
        if a is None or b is None or a == b:
            return new
        found = self.number(a, b)
        small = isinstance(found, Dim) and max(map(abs, found.terms.values())) <= _LARGEST
        return OpenLiteral(new.array, found) if small else new  # type: ignore[arg-type]

    def param(self, old: Any, new: Any) -> Any:
        """The new parameter, with Dims for ints that differ."""
        if isinstance(new, Program):
            if not isinstance(old, Program):
                raise _DifferentError
            return self.program(old, new)
        if type(old) is not type(new):
            raise _DifferentError
        if type(new) is int:
            return self.number(old, new)
        if isinstance(new, tuple):
            if len(old) != len(new):
                raise _DifferentError
            items = list(map(self.param, old, new))
            return type(new)(*items) if hasattr(new, "_fields") else tuple(items)
        if callable(new) or old == new:
            return new
        raise _DifferentError


def _as_int(value: np.ndarray) -> int | None:
    """A number as an int, if machine code that computes it with 64-bit integers comes to the same."""
    # As a Python number, since the bound may be an infinity in the dtype of the value.
    if value.dtype.kind not in "iuf" or not abs(value.item()) <= _LARGEST or value != np.rint(value):
        return None
    return None if value == 0 and np.signbit(value) else int(value)


class OpenLiteral(Literal):
    """A literal whose value follows from symbols."""

    __slots__ = ("dim",)

    def __init__(self, array: Any, dim: Dim):
        super().__init__(array)
        self.dim = dim


def forget_references() -> None:
    """Forget the Programs seen so far."""
    with _lock:
        _references.clear()
