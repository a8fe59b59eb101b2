"""What eager evaluation remembers: a function applied again to arrays of the same kind runs from a plan."""

from collections.abc import Callable
from typing import Any

from nrx.core.array import Array, ConcreteArray
from nrx.core.config import config
from nrx.core.trace import is_evaluating
from nrx.transforms.staging import stage

_MOST_PLANS = 4096
_CONSTANTS = frozenset((bool, int, float, complex))
_SIGNED = frozenset((float, complex))  # 0.0 == -0.0
_tracing_key = config.tracing_key


class Planned:
    """A function of arrays that, evaluated repeatedly on arrays of the same avals, runs as a recorded Program.

    Recording takes as long as many evaluations, so it is done when a combination of arguments comes the second time.

    Args:
        function: `function(*operands, **static) -> Array`. An operand is an array, a scalar or None; what the function
            does may depend on the avals of arrays, on scalars and on static arguments, not on the values of arrays.

    Called with anything else (NumPy data, traced arrays, arrays on several devices), it calls the function itself.
    """

    __slots__ = ("_plans", "function")

    def __init__(self, function: Callable[..., Array]):
        self.function = function
        self._plans: dict[Any, Any] = {}

    def __call__(self, *operands: Any, **static: Any) -> Array:
        if not is_evaluating():
            return self.function(*operands, **static)
        device, committed = None, False
        key: list[Any] = [id(_tracing_key())]
        raws = []
        for x in operands:
            kind = type(x)
            if kind is ConcreteArray:
                if x._device is not device:
                    if device is not None:
                        return self.function(*operands, **static)
                    device = x._device
                if x._committed:
                    committed = True
                key.append(id(x.aval))
                raws.append(x._data)
            elif x is None:
                key.append(x)
            elif kind in _CONSTANTS:
                key.append((kind, x) if x or kind not in _SIGNED else repr(x))
            else:
                return self.function(*operands, **static)
        if device is None:
            return self.function(*operands, **static)
        try:
            plan = self._plans.get(known := (device, *key, *static.values()))
        except TypeError:  # a static argument without a hash, such as a list of axes
            return self.function(*operands, **static)
        if plan is None:
            return self._first(known, operands, static)
        run, aval, _ = plan if type(plan) is tuple else self._second(known, operands, static)
        with device.backend.active(device):
            return ConcreteArray(run(raws)[0], aval, device, committed)

    def _first(self, key: tuple, operands: tuple, static: dict[str, Any]) -> Array:
        out = self.function(*operands, **static)
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        # The avals stay with the key, so that no others can take over their identity.
        self._plans[key] = [x.aval for x in operands if type(x) is ConcreteArray]
        return out

    def _second(self, key: tuple, operands: tuple, static: dict[str, Any]) -> tuple:
        """The plan: how to run it, the aval of the result, and the avals of the key."""
        avals = [x.aval for x in operands if type(x) is ConcreteArray]

        def function(*arrays: Array) -> list[Array]:
            left = iter(arrays)
            given = [next(left) if type(x) is ConcreteArray else x for x in operands]
            return [self.function(*given, **static)]

        program = stage(function, avals, self.function.__name__)
        device = key[0]
        plan = self._plans[key] = (device.backend.interpret(program, device), program.outs[0].aval, avals)
        return plan
