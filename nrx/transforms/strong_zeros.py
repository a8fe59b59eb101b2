"""Strong zeros: the cotangent of a value that `select` did not choose is zero, whatever it is multiplied with.

The derivative of `where(x > 0, sqrt(x), 0)` at 0 multiplies the zero cotangent of the side not chosen by an infinite
slope, which would give NaN. Here the mask of the choice accompanies the cotangent back through elementwise operations,
and where a coefficient is applied, masked elements are set to zero. Elements that were chosen are left exactly as they
are, so no NaN of theirs is hidden. The mask ends where shapes change, and at calls and loops.

Switch it off with `nrx.config.update("strong_zeros", False)`; then derivatives are JAX's, NaN included.
"""

from collections.abc import Sequence
from typing import Any

from nrx.core.array import Array
from nrx.core.aval import Zero
from nrx.core.config import boolean, config
from nrx.core.dtypes import is_bool
from nrx.core.program import Atom, Eqn
from nrx.ops.arithmetic import div_p, mul_p
from nrx.ops.logic import bitwise_and, bitwise_not, bitwise_or, eq, select, select_n_p
from nrx.ops.structural import full_like, zeros_like

config.define("strong_zeros", True, boolean, "no NaN from the sides of `where` that were not chosen", tracing=True)


class Masks:
    """Which elements of the cotangents gathered so far come from values that were chosen."""

    def __init__(self) -> None:
        self._of: dict[Atom, Array] = {}
        self._enabled: bool = config.strong_zeros

    def pulled(self, eqn: Eqn, which: Any, cts: Sequence[Any]) -> tuple[list[Any], list[Array | None]]:
        """The cotangents that `eqn` pulled back, corrected, and their masks. `which` is its first operand."""
        none: list[Array | None] = [None] * len(cts)
        if not self._enabled or eqn.prim.multiple_results or not eqn.prim.elementwise:
            return list(cts), none
        mask = self._of.pop(eqn.outs[0], None)
        if eqn.prim is select_n_p:
            return list(cts), [None, *(_both(mask, _chosen(which, i)) for i in range(len(cts) - 1))]
        if mask is None:
            return list(cts), none
        if eqn.prim in (mul_p, div_p):
            cts = [ct if ct is None or isinstance(ct, Zero) else select(mask, ct, zeros_like(ct)) for ct in cts]
        return list(cts), [mask] * len(cts)

    def add(self, atom: Atom, mask: Array | None, first: bool) -> None:
        """Note the mask of a contribution to an atom's cotangent; `first` says that there was none before."""
        if first and mask is not None:
            self._of[atom] = mask
        elif not first and atom in self._of:
            known = self._of.pop(atom)
            if mask is not None:
                self._of[atom] = bitwise_or(known, mask)


def _chosen(which: Array, case: int) -> Array:
    if is_bool(which.dtype):
        return which if case else bitwise_not(which)
    return eq(which, full_like(which, case))


def _both(a: Array | None, b: Array) -> Array:
    return b if a is None else bitwise_and(a, b)
