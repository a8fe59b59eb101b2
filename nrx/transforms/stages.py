"""From a traced function to native code: the stages of `jit`, which can also be gone through ahead of time."""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.core.array import Array, ConcreteArray
from nrx.core.aval import Aval
from nrx.core.backend import Device, Executable, MemoryAnalysis, Raw, default_device, find_device
from nrx.core.cost import program_cost
from nrx.core.errors import ArgumentTypeError, TreeError
from nrx.core.finite import is_checking
from nrx.core.program import Program
from nrx.core.pytree import (
    PyTreeDef,
    structure_difference,
    tree_flatten,
    tree_flatten_with_path,
    tree_unflatten,
)
from nrx.core.trace import common_device, is_evaluating, is_plain, name_of
from nrx.ops.common import NOT_YET_LOWERED
from nrx.transforms.calls import call_primitive, linearize_call
from nrx.transforms.dispatch import MISS, Site, Static, generate, kind_of
from nrx.transforms.flatten import argument_name, arrays_of_call
from nrx.transforms.staging import ShapeDtypeStruct

jit_p = call_primitive("jit")
jit_p.define(linearize=linearize_call(jit_p)).refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)

_MOST_KINDS = 16
_MOST_RECENT = 8

Quick = Callable[[tuple, dict], Any]
"""A generated function of `(args, kwargs)`, which answers MISS to arguments that are not of its kind."""


class Traced:
    """A function traced for one kind of arguments; calling it runs the Program.

    Fields:
        function: what was traced.
        program: takes the closed-over values, then the leaves of the arguments.
        consts: the closed-over values.
        in_tree: the structure of the dynamic arguments, `(args, kwargs)`.
        out_tree: the structure of the result.
        donated: for each leaf, whether its memory may be reused; () for none.
        positions: which positional arguments of a call are the dynamic ones.
        statics: the static arguments of the calls that run it.
    """

    __slots__ = ("_quick", "consts", "donated", "function", "in_tree", "out_tree", "positions", "program", "statics")

    def __init__(
        self,
        function: Callable,
        program: Program,
        consts: tuple,
        in_tree: PyTreeDef,
        out_tree: PyTreeDef,
        donated: tuple[bool, ...],
        positions: Sequence[int],
        statics: Sequence[Static],
    ):
        self.function = function
        self.program = program
        self.consts = consts
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.donated = donated if any(donated) else ()
        self.positions = positions
        self.statics = statics
        #: The kinds of leaves that came -> the avals in the key, until they come again; then a generated function.
        self._quick: dict[tuple, tuple[Aval, ...] | Quick | None] = {}

    @property
    def in_avals(self) -> tuple[Aval, ...]:
        """Of the leaves of the arguments."""
        return self.program.in_avals[len(self.consts) :]

    @property
    def name(self) -> str:
        """The function's name."""
        return name_of(self.function)

    def of_dynamic_arguments(self) -> "Traced":
        """The same for calls without the static arguments."""
        count = len(self.in_tree.children()[0].children())
        return Traced(
            self.function, self.program, self.consts, self.in_tree, self.out_tree, self.donated, range(count), ()
        )

    @property
    def _given_away(self) -> tuple[bool, ...]:
        """For each input of the Program, whether its memory may be reused."""
        return (False,) * len(self.consts) + self.donated if self.donated else ()

    def executable(self, device: Device, donating: bool = True) -> Executable:
        """The compiled Program."""
        return device.runner.executable(self.program, self._given_away if donating else (), len(self.consts))

    def __call__(self, leaves: Sequence[Array]) -> Any:
        params: dict[str, Any] = {}
        if is_evaluating() and self.consts:
            params["constants"] = len(self.consts)
        if donating := bool(self.donated) and is_evaluating():
            params["donated"] = self._given_away
        arrays = (*self.consts, *leaves)
        outs = jit_p.bind(*arrays, program=self.program, **params)
        if donating and self.executable(common_device(arrays)[0]).native is not None:
            for leaf, donated in zip(leaves, self.donated, strict=True):
                if donated and isinstance(leaf, ConcreteArray) and not leaf.is_deleted():
                    leaf._forget(self._taker)
        return tree_unflatten(self.out_tree, outs)

    @property
    def _taker(self) -> str:
        return f"jit of {self.name}, to which it was donated"

    def quick(self, given: Sequence[Any], arrays: Sequence[Array]) -> Quick | None:
        """A generated function for calls with leaves of these kinds, from the second time on that they come.

        Args:
            given: the leaves as they were passed.
            arrays: the same as Arrays.
        """
        if not is_plain() or is_checking():
            return None
        kinds = tuple(map(kind_of, given))
        if kinds in self._quick:
            found = self._quick[kinds]
            if isinstance(found, tuple):
                found = self._quick[kinds] = self._generate(given, arrays)
            return found
        if len(self._quick) >= _MOST_KINDS:
            self._quick.clear()
        self._quick[kinds] = tuple([array.aval for array in arrays])
        return None

    def _generate(self, given: Sequence[Any], arrays: Sequence[Array]) -> Quick | None:
        device, committed = common_device((*self.consts, *arrays))
        executable = self.executable(device)
        entry = executable.native
        if entry is None or any(const._device is not device for const in self.consts):
            return None
        prepared = executable.prepared([const._data for const in self.consts])
        site = Site(
            entry=entry,
            out_avals=self.program.out_avals,
            device=device,
            committed=committed,
            consts=(*self.consts, *[_array(raw, device) for raw in prepared]),
            in_tree=self.in_tree,
            out_tree=self.out_tree,
            donated=self.donated,
            by=self._taker,
            positions=self.positions,
            statics=self.statics,
        )
        return generate(site, given, self.name)


def _array(raw: Raw, device: Device) -> ConcreteArray:
    return ConcreteArray(raw, Aval(raw.shape, raw.dtype), device, committed=False)


class Caller:
    """What calls native code in the quickest way: by the generated functions of the last calls, the latest first."""

    _recent: tuple[Quick, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_recent"}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for quick in self._recent:
            out = quick(args, kwargs)
            if out is not MISS:
                return out
        return self._call(args, kwargs)

    def _call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A call of any kind."""
        raise NotImplementedError

    def _run(self, traced: Traced, given: Sequence[Any], arrays: Sequence[Array], args: tuple, kwargs: dict) -> Any:
        """A call for which `traced` is right: `given` and `arrays` as in `Traced.quick`."""
        quick = traced.quick(given, arrays)
        if quick is not None:
            out = quick(args, kwargs)
            if out is not MISS:
                self._recent = (quick, *[other for other in self._recent if other is not quick])[:_MOST_RECENT]
                return out
        return traced(arrays)


class _Stage:
    """What is known of a function from its tracing on."""

    def __init__(self, traced: Traced):
        self._traced = traced

    @property
    def program(self) -> Program:
        """What was traced. Closed-over arrays are its first arguments, then come the leaves of the dynamic ones."""
        return self._traced.program

    @property
    def in_tree(self) -> PyTreeDef:
        """The structure of the dynamic arguments: `(args, kwargs)`."""
        return self._traced.in_tree

    @property
    def out_tree(self) -> PyTreeDef:
        """The structure of the result."""
        return self._traced.out_tree

    @property
    def in_avals(self) -> Any:
        """The dynamic arguments, `(args, kwargs)`, with `ShapeDtypeStruct` leaves."""
        return tree_unflatten(self.in_tree, map(_struct, self._traced.in_avals))

    @property
    def out_avals(self) -> Any:
        """The result with `ShapeDtypeStruct` leaves."""
        return tree_unflatten(self.out_tree, map(_struct, self.program.out_avals))


def _struct(aval: Aval) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(aval.shape, aval.dtype, aval.weak_type)


class Lowered(_Stage):
    """A function traced for arguments of certain shapes and dtypes: what `jit(f).lower(...)` gives."""

    def __repr__(self) -> str:
        return f"<{self._traced.name}, lowered>"

    def as_text(self) -> str:
        """The Program, to be read."""
        return str(self.program)

    def cost_analysis(self) -> dict[str, float]:
        """The work of one call, counted from the Program as it was traced: fusion is not taken into account.

        Returns:
            "flops", "transcendentals", and "bytes accessed" if every operation read and wrote memory.

        >>> import nrx
        >>> nrx.jit(lambda x: x * 2).lower(nrx.ShapeDtypeStruct(3, "float32")).cost_analysis()["flops"]
        3.0
        """
        return program_cost(self.program)

    def compile(self, device: Device | str | None = None) -> "Compiled":
        """Compile the Program.

        Args:
            device: a `Device` or its name; by default the one where new arrays are made.

        Returns:
            A function of the dynamic arguments.
        """
        return Compiled(self._traced, default_device() if device is None else find_device(device))


class Compiled(Caller, _Stage):
    """A function compiled for arguments of certain shapes and dtypes: what `jit(f).lower(...).compile()` gives.

    It is called with the dynamic arguments, and never traces again. Arrays on another device than that it was compiled
    for are computed with where they are.

    Raises:
        TreeError: (when called) arguments of another structure.
        ArgumentTypeError: (when called) arguments of another shape or dtype.
    """

    def __init__(self, traced: Traced, device: Device):
        super().__init__(traced.of_dynamic_arguments())
        self._positions = traced.positions
        self._device = device
        self._executable = self._traced.executable(device)

    def __reduce__(self):
        return Compiled, (self._traced, self._device)  # native code is made, or found, again

    def __repr__(self) -> str:
        return f"<{self._traced.name}, compiled>"

    def as_text(self) -> str:
        """What will run, to be read: assembly language, or the Program where it is run op by op."""
        return self._executable.as_text()

    def cost_analysis(self) -> dict[str, float]:
        """The work of one call counted as by `Lowered`, from the simplified Program; fusion is not counted either."""
        return self._executable.cost_analysis()

    def memory_analysis(self) -> MemoryAnalysis:
        """Bytes of arguments, results, temporaries and code."""
        return self._executable.memory_analysis()

    def _call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        traced = self._traced
        given, in_tree = tree_flatten((args, kwargs))
        if in_tree != traced.in_tree:
            difference = structure_difference(traced.in_tree, in_tree)
            raise TreeError(
                f"compiled {traced.name}: the arguments (args, kwargs) differ from those it was compiled for: "
                f"{difference}",
                fix="pass the same containers, without the static arguments; or call the jitted function itself",
            )
        arrays = arrays_of_call(traced.function, args, kwargs, given, self._positions)
        for position, (array, aval) in enumerate(zip(arrays, traced.in_avals, strict=True)):
            if (array.shape, array.dtype) != (aval.shape, aval.dtype):
                path = tree_flatten_with_path((args, kwargs))[0][position][0]
                name = argument_name(traced.function, path, self._positions)
                raise ArgumentTypeError(
                    f"compiled {traced.name}: argument {name} is {array.aval.strong}, and should be {aval.strong}",
                    fix="lower and compile for these shapes and dtypes too, or call the jitted function itself",
                )
        return self._run(traced, given, arrays, args, kwargs)
