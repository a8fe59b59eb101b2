"""Elements on demand: the value of any array of a fused kernel at any index, as a loop IR expression.

Nothing is computed array by array: asking for an element of a result asks the lowering rules for the elements of the
operands that it needs, down to what lies in memory. Elements asked for twice are the same Expr.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.compiler.generalize import OpenLiteral
from nrx.core import loops
from nrx.core.aval import Aval
from nrx.core.loops import Builder, Complex, Expr, Pointwise, Reduction, Value
from nrx.core.program import Atom, Eqn, Literal, Var

Source = Callable[[tuple], Value]
"""Where elements of a variable come from: a function of the index."""


class Elements:
    """Evaluates variables at indices.

    Args:
        b: the builder of the kernel.
        made_by: the equations that define variables computed in this kernel.
        rule_of: the lowering descriptor of an equation.
    """

    def __init__(self, b: Builder, made_by: dict[Var, Eqn], rule_of: Callable[[Eqn], Any]):
        self.b = b
        self.made_by = made_by
        self.rule_of = rule_of
        self.sources: dict[Var, Source] = {}
        self._known: dict[Any, Any] = {}

    def forget(self, var: Var) -> None:
        """Drop the elements of `var` found so far: it has got another source."""
        for key in [key for key in self._known if key[0] is var]:
            del self._known[key]

    def at(self, atom: Atom, index: Sequence[Any]) -> Value:
        """The element of `atom` at an index of ints and i64 Exprs."""
        if isinstance(atom, Literal):
            return literal(atom)
        index = tuple([i if isinstance(i, Expr) else loops.const(i, "i64") for i in index])
        key = (atom, *map(_key, index))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._compute(atom, index)
        return found

    def reader(self, atom: Atom) -> "Reader":
        return Reader(self, atom)

    def _compute(self, var: Var, index: tuple) -> Value:
        source = self.sources.get(var)
        if source is not None:
            return source(index)
        eqn = self.made_by[var]
        rule = self.rule_of(eqn)
        if isinstance(rule, Reduction):
            return self._reduced(eqn, rule, index)
        assert isinstance(rule, Pointwise), f"{eqn.prim} is not computed element by element"
        if isinstance(rule.at, tuple):
            at = rule.at[eqn.outs.index(var)]
            return rounded(at(self.b, index, *map(self.reader, eqn.inputs), **eqn.params), var.aval)
        out = rule.at(self.b, index, *map(self.reader, eqn.inputs), **eqn.params)
        if not eqn.prim.multiple_results:
            return rounded(out, var.aval)
        for other, value in zip(eqn.outs, out, strict=True):
            if other.aval.shape == var.aval.shape:
                self._known[(other, *map(_key, index))] = rounded(value, other.aval)
        return rounded(out[eqn.outs.index(var)], var.aval)

    def _reduced(self, eqn: Eqn, rule: Reduction, index: tuple) -> Value:
        """The result of a reduction inside an expression: unrolled, or a loop of its own."""
        extents = reduced_extents(eqn, rule)
        inits = [loops.const(value, type) for value, type in rule.inits]
        count = 1
        for extent in extents:
            count *= extent
        if count <= self.b.most_unrolled:
            values: Sequence[Expr] = inits
            for position in range(count):
                element = self.element(eqn, rule, index, loops.unravel(position, extents))
                values = element if position == 0 else rule.combine(values, element)
        else:
            values = self.b.loop(
                count, inits, lambda i, *acc: rule.combine(
                    acc, self.element(eqn, rule, index, loops.unravel(i, extents))
                ),
            )  # fmt: skip
        return rounded(rule.finish(values), eqn.outs[0].aval)

    def element(self, eqn: Eqn, rule: Reduction, index: tuple, reduced: tuple) -> Sequence[Expr]:
        """What a reduction accumulates at an index of its result and an index of what is reduced."""
        return rule.element(self.b, index, reduced, *map(self.reader, eqn.inputs), **eqn.params)


class Reader:
    """An operand as lowering rules see it: `x(i, j)` is an element."""

    __slots__ = ("_atom", "_elements", "aval")

    def __init__(self, elements: Elements, atom: Atom):
        self._elements, self._atom, self.aval = elements, atom, atom.aval

    def __call__(self, *index: Any) -> Value:
        return self._elements.at(self._atom, index)


def reduced_extents(eqn: Eqn, rule: Reduction) -> tuple:
    """The extents of what a reduction runs over."""
    if rule.extents is not None:
        return tuple(rule.extents)
    assert rule.axes is not None
    return tuple(eqn.inputs[0].aval.shape[axis] for axis in rule.axes)


def without_reducing(rule: Reduction) -> Pointwise:
    """A reduction over nothing, of which each element is that of one value."""

    def at(b: Builder, index: tuple, *operands: Any, **params: Any) -> Value:
        return rule.finish(rule.element(b, index, (), *operands, **params))

    return Pointwise(at)


def rounded(value: Value, aval: Aval) -> Value:
    """The value in the type of an array's elements."""
    if isinstance(value, Complex):
        return value
    return loops.convert(value, loops.type_of(aval.dtype))


def literal(atom: Literal) -> Value:
    """A constant."""
    value, type = atom.value[()], loops.type_of(atom.aval.dtype)
    if isinstance(atom, OpenLiteral):
        return loops.const(atom.dim, type)
    if type in ("c64", "c128"):
        part = {"c64": "f32", "c128": "f64"}[type]
        return Complex(loops.const(value.real, part), loops.const(value.imag, part))
    return loops.const(value, type)


def _key(i: Any) -> Any:
    """Equal for equal positions, though they may be different objects."""
    if not isinstance(i, Expr):
        return i
    if i.op == "const":
        return int(i.attr)
    if i.op == "linear":
        constant, terms = loops.linear_terms(i)
        return (constant, frozenset(terms.items()))
    return i
