"""Primitives and their rule slots.

A primitive is an operation that transformations know by its rules. A rule either exists or is refused with a reason:

    impl(xp, *raws, **params)              the values, with the array module `xp` (NumPy or CuPy)
    abstract(*avals, **params)             the Aval of the result; raises the user's shape and dtype errors
    jvp(primals, tangents, **params)       (result, tangent); a tangent may be a `Zero`
    transpose(ct, *args, **params)         cotangents of the args that are `Linear`, None for the others
    batch(axis, args, dims, **params)      (result, dim): the operation over one more axis, at `dims` of the args
    lower(*avals, **params)                a descriptor of `core.loops.rules` for compilers: how elements of the result
                                           come from those of the operands; None: run `impl` on the host
    onnx                                   for export

No param may be called `axis`, `args`, `dims`, `ct`, `primals` or `tangents`, the names above.
A primitive with `multiple_results` gives and takes lists where the above says "the result", "tangent", "ct" and "dim".
Three more slots serve primitives whose parameters hold Python functions or Programs:

    eager(args, params)                    runs on Arrays instead of `impl`
    stage(args, params)                    the args and params to record in a Program
    linearize(primals, tangents, **params) the jvp rule under `linearize`, where the results must not be computed by an
                                           operation that also takes tangents (see `transforms.linearize`)
"""

from collections.abc import Callable
from typing import Any

from nrx.core.aval import Aval
from nrx.core.dims import Dim
from nrx.core.errors import MissingRuleError
from nrx.core.trace import current_trace

RULES = ("impl", "abstract", "jvp", "transpose", "batch", "lower", "onnx")

#: name -> primitive; filled as the families of `nrx.ops` and `nrx.control` are imported.
registry: dict[str, "Primitive"] = {}

_MOST_INFERRED = 4096


def mark_built_in() -> None:
    """What is registered so far belongs to this package; called when all of it is."""
    for prim in registry.values():
        prim._built_in = prim._compiled_rules()


def primitive_named(name: str) -> "Primitive":
    """The primitive of that name: how a pickled one is found again."""
    return registry[name]


class Primitive:
    """An operation with its rules; calling `bind` runs it, or records it, as the current trace decides.

    Args:
        name: unique; printed in Programs.
        multiple_results: whether it gives a list of results.
        elementwise: whether the operands are combined element by element (all of one shape, as is the result).
        higher_order: whether its params hold Programs or Python functions; its impl gets a `backend.Runner` in place of
            `xp`.
        effect: whether it does something besides giving results: it runs exactly as often as written, and in order.
    """

    def __init__(
        self,
        name: str,
        *,
        multiple_results: bool = False,
        elementwise: bool = False,
        higher_order: bool = False,
        effect: bool = False,
    ):
        if name in registry:
            raise ValueError(f"a primitive named {name!r} exists already")
        registry[name] = self
        self.name = name
        self.multiple_results = multiple_results
        self.elementwise = elementwise
        self.higher_order = higher_order
        self.effect = effect
        self.impl: Callable = self._missing("impl")
        self.abstract: Callable = self._missing("abstract")
        self.jvp: Callable = self._missing("jvp")
        self.transpose: Callable = self._missing("transpose")
        self.batch: Callable = self._missing("batch")
        self.lower: Callable = self._missing("lower")
        self.onnx: Callable = self._missing("onnx")
        self.eager: Callable | None = None
        self.stage: Callable | None = None
        self.linearize: Callable | None = None
        #: Set for calls: the param that holds the Program, equations of which may be run in place of the call.
        self.call_program: str | None = None
        #: Set where NumPy takes much longer than a compiled loop: (i, size), and eager calls on the CPU run that loop
        #: where operand i has at least so many elements, and the shapes are known or it has many more.
        self.compiled_from: tuple[int, int] | None = None
        #: Set for functions with derivative rules of their own: the param with the Program of the function.
        self.value_program: str | None = None
        self.refused: dict[str, str] = {}
        self._built_in: tuple = ()
        self._inferred: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self):
        return primitive_named, (self.name,)

    @property
    def is_built_in(self) -> bool:
        """Whether the primitive and the rules that compiled code depends on are those of this package."""
        return self._built_in == self._compiled_rules()

    def _compiled_rules(self) -> tuple:
        return self.impl, self.abstract, self.lower

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply to Arrays: run it now, or let the current transformation treat it. `params` must be hashable."""
        return current_trace().process(self, args, params)

    def infer(self, avals: tuple[Aval, ...], params: dict[str, Any]) -> Any:
        """The Aval of the result (a tuple of them with `multiple_results`), remembered per signature.

        Not so for higher-order primitives: it would keep their Programs and what these hold alive.
        """
        if self.higher_order:
            return tuple(self.abstract(*avals, **params))
        key = (avals, tuple(params.items())) if params else avals
        try:
            return self._inferred[key]
        except KeyError:
            pass
        out = self.abstract(*avals, **params)
        if self.multiple_results:
            out = tuple(out)
        results = out if self.multiple_results else (out,)
        if any(Dim in map(type, aval.shape) for aval in (*avals, *results)):  # they equal those of their numbers
            return out
        if len(self._inferred) >= _MOST_INFERRED:
            self._inferred.clear()
        self._inferred[key] = out
        return out

    def forget(self) -> None:
        """Forget what `infer` remembers."""
        self._inferred.clear()

    def define(self, **rules: Callable) -> "Primitive":
        """Fill rule slots: `prim.define(impl=..., abstract=..., jvp=...)`."""
        for slot, rule in rules.items():
            if slot not in (*RULES, "eager", "stage", "linearize"):
                raise ValueError(f"{self.name}: no rule slot {slot!r}")
            self.refused.pop(slot, None)
            setattr(self, slot, rule)
        return self

    def refuse(self, **reasons: str) -> "Primitive":
        """Leave rule slots empty with a written reason, which becomes the user's error message."""
        for slot, reason in reasons.items():
            self.refused[slot] = reason
            setattr(self, slot, self._missing(slot))
        return self

    def has(self, slot: str) -> bool:
        """Whether the rule exists."""
        return getattr(getattr(self, slot), "missing_rule", None) is None

    def _missing(self, slot: str) -> Callable:
        def missing(*args: Any, **params: Any) -> Any:
            raise MissingRuleError(
                f"primitive {self.name!r} has no {slot!r} rule: {self.refused.get(slot, 'none was written')}"
            )

        missing.missing_rule = slot  # type: ignore[attr-defined]
        return missing
