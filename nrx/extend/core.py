"""Programs and their parts, under the names of `jax.extend.core`.

>>> import nrx
>>> program = nrx.make_jaxpr(nrx.numpy.sin)(1.0)
>>> isinstance(program, nrx.extend.core.ClosedJaxpr), program.jaxpr.eqns[0].primitive
(True, sin)
>>> nrx.extend.core.jaxpr_as_fun(program)(0.0)
[Array(0., dtype=float32, weak_type=True)]
"""

from collections.abc import Callable
from typing import Any

from nrx.core.array import asarray
from nrx.core.primitive import Primitive
from nrx.core.program import Eqn as JaxprEqn
from nrx.core.program import Literal, Program, Var, evaluate

__all__ = ["ClosedJaxpr", "Jaxpr", "JaxprEqn", "Literal", "Primitive", "Var", "jaxpr_as_fun"]

#: A Program knows its constants: both are one.
Jaxpr = ClosedJaxpr = Program


def jaxpr_as_fun(closed_jaxpr: Program) -> Callable[..., list]:
    """A function of flat arguments that runs a Program.

    Args:
        closed_jaxpr: what `make_jaxpr` gives.

    Returns:
        A function from arrays to the list of results.

    >>> import nrx
    >>> from nrx.extend.core import jaxpr_as_fun
    >>> f = jaxpr_as_fun(nrx.make_jaxpr(lambda x: (x + 1, 2 * x))(3))
    >>> [y.item() for y in f(3)]
    [4, 6]
    """

    def function(*args: Any) -> list:
        return evaluate(closed_jaxpr, [asarray(arg) for arg in args])

    return function
