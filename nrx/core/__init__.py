"""The ground floor: dtypes, pytrees, arrays, primitives, tracers, and the IR. Everything else stands on it.

Some names of `jax.core` are here, for programs that look at tracers and types.
"""

from nrx.core import sources  # isort: skip  first of all: it notes when the import began
from typing import Any

from nrx.core import pretty
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.core.program import Atom, Program, evaluate
from nrx.core.trace import Trace, Tracer

AbstractValue = ShapedArray = Aval


def eval_jaxpr(jaxpr: Program, consts: Any, *args: Any) -> list:
    """Run a Program on flat arguments.

    Args:
        jaxpr: what `make_jaxpr` gives.
        consts: its constants, which it knows (`jaxpr.consts`).
        args: arrays or numbers.

    Returns:
        The list of its results.

    >>> import nrx
    >>> program = nrx.make_jaxpr(lambda x: x * 2)(1.0)
    >>> nrx.core.eval_jaxpr(program.jaxpr, program.consts, 3.0)
    [Array(6., dtype=float32, weak_type=True)]
    """
    return evaluate(jaxpr, map(asarray, args))


__all__ = [
    "AbstractValue", "Atom", "Aval", "ShapedArray", "Trace", "Tracer", "eval_jaxpr", "pretty", "sources",
]  # fmt: skip
