"""Finding the equation that made a NaN or an infinity, for `config.debug_nans` and `config.debug_infs`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core.backend import Device, Raw, Runner
from nrx.core.config import config, rare
from nrx.core.dtypes import is_inexact
from nrx.core.errors import NonFiniteError, blame
from nrx.core.program import Eqn, Literal, Program, Var, without_effects
from nrx.core.trace import result_checks


def is_checking() -> bool:
    """Whether results are to be looked at."""
    return bool(rare) and (config.debug_nans or config.debug_infs)


def check_finite(prim: Any, raws: Sequence[Raw], params: dict[str, Any], results: Sequence[Any]) -> None:
    """Raise NonFiniteError if an operation gave what the settings forbid.

    An operation that holds Programs is run again, equation by equation, for the one to blame.
    """
    if not is_checking():
        return
    for position, result in enumerate(results):
        found = _forbidden(result._data, result.device)
        if found is None:
            continue
        if prim.higher_order and not any(map(_holds_effects, params.values())):
            quiet = {name: without_effects(v) if isinstance(v, Program) else v for name, v in params.items()}
            with result.device.backend.active(result.device):
                prim.impl(_Finder(result.device), *raws, **quiet)
        raise _error(prim, position, found)


def _holds_effects(value: Any) -> bool:
    """Whether running a param again has effects that cannot be left out."""
    programs = value if isinstance(value, tuple) else (value,)
    return any(isinstance(item, Program) and without_effects(item).has_effects for item in programs)


class _Finder(Runner):
    """Runs Programs equation by equation, those inside others too, and raises at the first forbidden result."""

    __slots__ = ()

    def run(
        self, program: Program, raws: Sequence[Raw], donated: tuple[bool, ...] = (), constants: int = 0
    ) -> list[Raw]:
        backend, device = self.device.backend, self.device
        env: dict[Var, Raw] = dict(zip(program.invars, raws, strict=True))
        for var, value in zip(program.constvars, program.consts, strict=True):
            env[var] = backend.from_numpy(value.numpy(), device)

        def read(atom: Any) -> Raw:
            return backend.from_numpy(atom.value, device) if isinstance(atom, Literal) else env[atom]

        quiet = without_effects(program)
        for eqn in quiet.eqns:
            env.update(zip(eqn.outs, self._outs(eqn, [read(atom) for atom in eqn.inputs]), strict=True))
        return [read(atom) for atom in quiet.outs]

    interpret = run

    def _outs(self, eqn: Eqn, raws: Sequence[Raw]) -> Sequence[Raw]:
        backend = self.device.backend
        with blame(eqn.source):
            if eqn.prim.higher_order:
                out = eqn.prim.impl(self, *raws, **eqn.params)
            else:
                out = backend.call(eqn.prim, raws, eqn.params, self.device)
            outs = out if eqn.prim.multiple_results else (out,)
            for position, raw in enumerate(outs):
                if (found := _forbidden(raw, self.device)) is not None:
                    raise _error(eqn.prim, position, found)
        return outs


def _forbidden(raw: Raw, device: Device) -> tuple[str, np.ndarray] | None:
    """What is in a result that should not be, and where."""
    data = device.backend.to_numpy(raw)
    if not is_inexact(data.dtype):
        return None
    for setting, test, what in (("debug_nans", np.isnan, "nan"), ("debug_infs", np.isinf, "inf")):
        if getattr(config, setting) and (where := test(data)).any():
            return what, where
    return None


def _error(prim: Any, position: int, found: tuple[str, np.ndarray]) -> NonFiniteError:
    what, where = found
    number = f" (result {position})" if position else ""
    index = tuple(int(i) for i in np.argwhere(where)[0])
    at = f" in {int(where.sum())} of {where.size} elements, first at index {index}" if where.ndim else ""
    return NonFiniteError(
        f"{prim.name}{number} gave {what}{at}",
        fix=f"look at what goes into it (nrx.debug.print); config.debug_{what}s is what forbids it",
    )


result_checks.append(check_finite)  # from here, since the trace knows nothing of Programs
