"""Simplification: dead and repeated equations go, constants are folded, operations without effect are bypassed.

Every rewrite keeps all bits: x * 1 is x, but x + 0 is not (-0 + 0 is 0).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core.array import ConcreteArray
from nrx.core.aval import Aval
from nrx.core.backend import cpu
from nrx.core.program import Atom, Eqn, Literal, Program, Var, has_effect, prune

_LARGEST_FOLDED = 1


def simplify(program: Program) -> Program:
    """The Program with fewer equations and the same results, bit for bit."""
    env: dict[Var, Atom] = {}
    made_by: dict[Var, Eqn] = {}
    seen: dict[Any, tuple[Atom, ...]] = {}
    eqns: list[Eqn] = []

    def read(atom: Atom) -> Atom:
        return atom if isinstance(atom, Literal) else env.get(atom, atom)

    for eqn in prune(program).eqns:
        inputs = tuple(read(atom) for atom in eqn.inputs)
        if has_effect(eqn):
            eqns.append(Eqn(eqn.prim, inputs, eqn.outs, eqn.params, eqn.source))
            continue
        outs = _simpler(eqn, inputs, made_by)
        if outs is None:
            key = (eqn.prim, tuple(map(_identity, inputs)), tuple(eqn.params.items()))
            outs = seen.get(key)
            if outs is None:
                kept = Eqn(eqn.prim, inputs, eqn.outs, eqn.params, eqn.source)
                eqns.append(kept)
                made_by.update(dict.fromkeys(eqn.outs, kept))
                seen[key] = eqn.outs
                continue
        env.update(zip(eqn.outs, outs, strict=True))
    results = [read(atom) for atom in program.outs]
    return prune(Program(program.invars, eqns, results, program.constvars, program.consts, program.name))


def _identity(atom: Atom) -> Any:
    return (atom.aval, atom.value.tobytes()) if type(atom) is Literal else atom


def _simpler(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> tuple[Atom, ...] | None:
    """What the results are equal to, if there is something simpler."""
    rule = _RULES.get(eqn.prim.name)
    if rule is not None:
        found = rule(eqn, inputs, made_by)
        if found is not None and found.aval.strong == eqn.outs[0].aval.strong:
            return (found,)
    return _folded(eqn, inputs)


def _folded(eqn: Eqn, inputs: tuple[Atom, ...]) -> tuple[Atom, ...] | None:
    """The results as literals, if the operands are and the results are scalars."""
    if not inputs or eqn.prim.higher_order or not all(type(atom) is Literal for atom in inputs):
        return None
    if any(out.aval.shape for out in eqn.outs):
        return None
    with np.errstate(all="ignore"):
        out = eqn.prim.impl(np, *(atom.value for atom in inputs), **eqn.params)  # type: ignore[union-attr]
    raws = out if eqn.prim.multiple_results else (out,)
    return tuple(literal(raw, var.aval) for raw, var in zip(raws, eqn.outs, strict=True))


def literal(value: Any, aval: Aval) -> Literal:
    """A constant of that type."""
    return Literal(ConcreteArray(np.asarray(value), aval, cpu()))


def scalar_value(atom: Atom, made_by: dict[Var, Eqn]) -> np.ndarray | None:
    """The value of an atom that is the same number everywhere: a literal, or one broadcast or converted."""
    while isinstance(atom, Var):
        eqn = made_by.get(atom)
        if eqn is None or eqn.prim.name not in ("broadcast_in_dim", "reshape", "copy"):
            return None
        atom = eqn.inputs[0]
    return atom.value if type(atom) is Literal else None


def _is(value: float, *positions: int) -> Callable:
    """A rule: the other operand, where the one at a position equals `value` (and is not a -0).

    Complex products are left alone: infinities become NaNs there.
    """

    def rule(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> Atom | None:
        for position in positions:
            found = scalar_value(inputs[position], made_by)
            if found is not None and found.dtype.kind != "c" and found == value and not np.signbit(found):
                return inputs[1 - position]
        return None

    return rule


def _integer_zero(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> Atom | None:
    return _is(0, 0, 1)(eqn, inputs, made_by) if eqn.outs[0].aval.dtype.kind in "iu" else None


def _same(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> Atom:
    return inputs[0]


def _same_if_unchanged(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> Atom | None:
    """Reshapes and broadcasts to the same shape, conversions to the same dtype; `_simpler` compares the types."""
    if eqn.prim.name == "broadcast_in_dim" and tuple(eqn.params["placement"]) != tuple(
        range(len(eqn.outs[0].aval.shape))
    ):
        return None
    return inputs[0]


def _undone_permutation(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> Atom | None:
    """What was transposed before, if this puts it back."""
    permutation, source = tuple(eqn.params["permutation"]), inputs[0]
    inner = made_by.get(source) if isinstance(source, Var) else None
    if inner is not None and inner.prim is eqn.prim:
        permutation, source = tuple(inner.params["permutation"][i] for i in permutation), inner.inputs[0]
    return source if permutation == tuple(range(len(permutation))) else None


def _twice(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> Atom | None:
    """An involution of itself."""
    inner = made_by.get(inputs[0]) if isinstance(inputs[0], Var) else None
    return inner.inputs[0] if inner is not None and inner.prim is eqn.prim else None


def _select(eqn: Eqn, inputs: tuple[Atom, ...], made_by: dict[Var, Eqn]) -> Atom | None:
    if all(case is inputs[1] for case in inputs[2:]):
        return inputs[1]
    which = scalar_value(inputs[0], made_by)
    if which is None or which.dtype != np.bool_:
        return None
    return inputs[1 + int(which)] if len(inputs) == 3 else None


_RULES: dict[str, Callable[[Eqn, tuple[Atom, ...], dict[Var, Eqn]], Atom | None]] = {
    "mul": _is(1, 0, 1),
    "div": _is(1, 1),
    "sub": _is(0, 1),
    "add": _integer_zero,
    "copy": _same,
    "convert_element_type": _same_if_unchanged,
    "reshape": _same_if_unchanged,
    "broadcast_in_dim": _same_if_unchanged,
    "transpose": _undone_permutation,
    "neg": _twice,
    "not": _twice,
    "select_n": _select,
}
