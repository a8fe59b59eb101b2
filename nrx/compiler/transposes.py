"""Transposes folded into what they meet: dots, reductions, broadcasts and other transposes take axes in any order.

Where no transpose is left, nothing is moved in memory for it. The operation that a transpose is folded into computes
the same elements from the same operands; a product that is summed may have its factors exchanged.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from nrx.core.program import Atom, Eqn, Literal, Program, Var, prune
from nrx.core.shapes import inverse_permutation

_REDUCTIONS = tuple(f"reduce_{name}" for name in ("sum", "prod", "max", "min", "and", "or", "xor"))

Permutation = tuple[int, ...]
Rewrite = list[tuple[Any, list[Atom | int], dict[str, Any]]]
"""Equations as (primitive, operands, params), where a number is the result of the equation that has that number."""


def fold_transposes(program: Program) -> Program:
    """The Program with fewer transposes and the same results."""
    return Rewriter(program, lambda eqn: _RULES.get(eqn.prim.name)).rewritten()


class Rewriter:
    """Replaces equations by others, from the first to the last.

    Args:
        program: what to rewrite.
        rule_for: the rule of an equation, if there is one: `rule(rewriter, eqn)` gives a Rewrite; None: it stays.
    """

    def __init__(self, program: Program, rule_for: Callable[[Eqn], Callable[..., Rewrite | None] | None]):
        self.program, self.rule_for = program, rule_for
        self.env: dict[Var, Atom] = {}
        self.made_by: dict[Var, Eqn] = {}
        atoms = [*program.outs, *(atom for eqn in program.eqns for atom in eqn.inputs)]
        self.uses = Counter(atom for atom in atoms if isinstance(atom, Var))

    def read(self, atom: Atom) -> Atom:
        return atom if isinstance(atom, Literal) else self.env.get(atom, atom)

    def rewritten(self) -> Program:
        eqns: list[Eqn] = []
        for old in self.program.eqns:
            eqn = Eqn(old.prim, [self.read(atom) for atom in old.inputs], old.outs, old.params, old.source)
            rule = self.rule_for(eqn)
            rewrite = rule(self, eqn) if rule is not None else None
            if rewrite is None:
                eqns.append(eqn)
                self.made_by.update(dict.fromkeys(eqn.outs, eqn))
                continue
            results: list[Var] = []
            for prim, inputs, params in rewrite:
                operands = [results[atom] if isinstance(atom, int) else atom for atom in inputs]
                results.append(Var(prim.abstract(*(atom.aval for atom in operands), **params)))
                eqns.append(Eqn(prim, operands, [results[-1]], params, old.source))
                self.made_by[results[-1]] = eqns[-1]
            self.uses[results[-1]] = self.uses[old.outs[0]]
            self.env[old.outs[0]] = results[-1]
        outs, program = [self.read(atom) for atom in self.program.outs], self.program
        return prune(Program(program.invars, eqns, outs, program.constvars, program.consts, program.name))

    def maker(self, atom: Atom) -> Eqn | None:
        return self.made_by.get(atom) if isinstance(atom, Var) else None

    def untransposed(self, atom: Atom) -> tuple[Eqn | None, Permutation]:
        """The transpose that makes an atom, if one does, and its permutation."""
        eqn = self.maker(atom)
        is_transpose = eqn is not None and eqn.prim.name == "transpose"
        return (eqn, tuple(eqn.params["permutation"])) if eqn is not None and is_transpose else (None, ())


def _transpose(rewriter: Rewriter, eqn: Eqn) -> Rewrite | None:
    """Of a transpose, a broadcast, something reversed, or a dot that nobody else needs."""
    inner, permutation = rewriter.maker(eqn.inputs[0]), tuple(eqn.params["permutation"])
    if inner is None:
        return None
    if inner.prim.name == "transpose":
        both = tuple(inner.params["permutation"][i] for i in permutation)
        return [(eqn.prim, [inner.inputs[0]], {"permutation": both})]
    if inner.prim.name == "broadcast_in_dim":
        inverse = inverse_permutation(permutation)
        placement = tuple(inverse[axis] for axis in inner.params["placement"])
        return [(inner.prim, [inner.inputs[0]], {"shape": eqn.outs[0].aval.shape, "placement": placement})]
    if inner.prim.name == "rev":
        dimensions = tuple(inverse_permutation(permutation)[axis] for axis in inner.params["dimensions"])
        return [(eqn.prim, [inner.inputs[0]], eqn.params), (inner.prim, [0], {"dimensions": dimensions})]
    if inner.prim.name == "dot_general" and rewriter.uses[inner.outs[0]] == 1:
        return _exchanged(inner, permutation)
    return None


def _exchanged(dot: Eqn, permutation: Permutation) -> Rewrite | None:
    """The dot with its operands exchanged, if that is what a permutation of its result means."""
    x, y = dot.inputs
    (x_summed, y_summed), (x_batch, y_batch) = dot.params["dimension_numbers"]
    batch = len(x_batch)
    x_free = range(batch, x.aval.ndim - len(x_summed))
    y_free = range(x_free.stop, len(permutation))
    if permutation != (*range(batch), *y_free, *x_free):
        return None
    params = {**dot.params, "dimension_numbers": ((y_summed, x_summed), (y_batch, x_batch))}
    if isinstance(params["precision"], tuple):
        params["precision"] = params["precision"][::-1]
    return [(dot.prim, [y, x], params)]


def _broadcast(rewriter: Rewriter, eqn: Eqn) -> Rewrite | None:
    inner, permutation = rewriter.untransposed(eqn.inputs[0])
    if inner is None:
        return None
    placement = tuple(eqn.params["placement"][i] for i in inverse_permutation(permutation))
    return [(eqn.prim, [inner.inputs[0]], {**eqn.params, "placement": placement})]


def _reduction(rewriter: Rewriter, eqn: Eqn) -> Rewrite | None:
    """The reduction of what was transposed, and then a transpose of less, if any."""
    inner, permutation = rewriter.untransposed(eqn.inputs[0])
    if inner is None:
        return None
    axes = eqn.params["axes"]
    kept = [axis for i, axis in enumerate(permutation) if i not in axes]
    reduced = tuple(sorted(permutation[i] for i in axes))
    order = tuple(sorted(kept).index(axis) for axis in kept)
    rewrite: Rewrite = [(eqn.prim, [inner.inputs[0]], {**eqn.params, "axes": reduced})]
    if order != tuple(range(len(order))):
        rewrite.append((inner.prim, [0], {"permutation": order}))
    return rewrite


def _dot(rewriter: Rewriter, eqn: Eqn) -> Rewrite | None:
    """Each operand as it was before a transpose that left the order of the axes that are not summed."""
    operands: list[Atom | int] = list(eqn.inputs)
    summed, batch = eqn.params["dimension_numbers"]
    summed, batch = list(summed), list(batch)
    for side in range(2):
        inner, permutation = rewriter.untransposed(eqn.inputs[side])
        free = [axis for i, axis in enumerate(permutation) if i not in (*summed[side], *batch[side])]
        if inner is not None and free == sorted(free):
            operands[side] = inner.inputs[0]
            summed[side] = tuple(permutation[i] for i in summed[side])
            batch[side] = tuple(permutation[i] for i in batch[side])
    if operands == list(eqn.inputs):
        return None
    return [(eqn.prim, operands, {**eqn.params, "dimension_numbers": (tuple(summed), tuple(batch))})]


_RULES: dict[str, Callable[[Rewriter, Eqn], Rewrite | None]] = {
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "dot_general": _dot,
    **dict.fromkeys(_REDUCTIONS, _reduction),
}
