"""Calls of native code by generated Python: a function for each kind of arguments that does only what it must.

It checks that the arguments are of its kind (the tree literally, each leaf's aval by identity), collects the addresses
of the data, makes one foreign call and builds the tree of the results literally. It never converts, never explains and
never fails: to anything unexpected it answers `MISS`, and the general path takes over.

For `f(params, x)` with two parameters the function reads, shortened:

    def call(args, kwargs):
        try:
            if not is_plain() or tracing_key() is not key: return MISS
            n1, x2, = args
            if len(kwargs) != 0: return MISS
            if n1.__class__ is not dict: return MISS
            if len(n1) != 2: return MISS
            x0 = n1['b']
            x1 = n1['w']
            if x0.aval is not aval0 or x0._device is not device or x0._committed is not False: return MISS
            p0, m0 = x0._memory or memory_of(x0)
            …
            b0 = take0(); o0 = b0.address
        except Exception:
            return MISS
        if enter(pack(runtime, o0, 0, p0, p1, p2)): raise_pending()
        r0 = new(Array)
        r0._memory = o0 + 0, b0
        …
        t0 = {'loss': r0}
        return t0
"""

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes
from nrx.core.array import ConcreteArray, asarray, located, memory_of, scalar_aval, take_memory
from nrx.core.aval import Aval
from nrx.core.backend import Constant, Device, Donated, NativeEntry, Passed, Stored, default_device
from nrx.core.blocks import allocator
from nrx.core.config import config
from nrx.core.pytree import PyTreeDef
from nrx.core.trace import is_plain

MISS: Any = object()
"""What a generated function answers to arguments that are not of its kind."""

_C_TYPES: dict[tuple[type, np.dtype], Any] = {
    (bool, dtypes.bool_): ctypes.c_bool,
    (int, dtypes.int32): ctypes.c_int32,
    (int, dtypes.int64): ctypes.c_int64,
    (float, dtypes.float32): ctypes.c_float,
    (float, dtypes.float64): ctypes.c_double,
}
#: Compared by class and value. (0.0 and -0.0 are equal, and so are tuples of 1 and True.)
_PLAIN_STATICS = frozenset((bool, int, str, bytes))


class Static(NamedTuple):
    """A static argument of a call.

    Fields:
        where: its position or keyword.
        value: what was passed.
        matches: whether another value is the same.
    """

    where: int | str
    value: Any
    matches: Callable[[Any], bool]


class Site(NamedTuple):
    """What is called, and with what.

    Fields:
        entry: the native code of the Program.
        out_avals: of its results.
        device, committed: of the results.
        consts: the arrays that the Program takes before the leaves.
        in_tree: the structure of the dynamic arguments, `(args, kwargs)`.
        out_tree: the structure of the result.
        donated: for each leaf, whether its memory is given away; () for none.
        by: who takes donated memory, for messages.
        positions: which positional arguments are the dynamic ones.
        statics: the static arguments.
    """

    entry: NativeEntry
    out_avals: tuple[Aval, ...]
    device: Device
    committed: bool
    consts: tuple[ConcreteArray, ...]
    in_tree: PyTreeDef
    out_tree: PyTreeDef
    donated: tuple[bool, ...]
    by: str
    positions: Sequence[int]
    statics: Sequence[Static]


def kind_of(leaf: Any) -> tuple:
    """What a generated function sees of a leaf whose aval it knows."""
    if type(leaf) is ConcreteArray:
        return id(leaf.aval), leaf._device, leaf._committed
    return type(leaf), scalar_aval(leaf), getattr(leaf, "dtype", None)


def generate(site: Site, leaves: Sequence[Any], name: str) -> Callable[[tuple, dict], Any] | None:
    """A function of `(args, kwargs)` for arguments like those with these leaves.

    None where there can be none: data have to be moved between devices, or the trees are too deep.
    """
    arrays = [*site.consts, *[leaf for leaf in leaves if type(leaf) is ConcreteArray]]
    elsewhere = any(array._device is not site.device for array in arrays)
    if elsewhere or (len(arrays) < len(site.consts) + len(leaves) and default_device() is not site.device):
        return None
    writer = _Writer(site, leaves)
    try:
        source = "\n ".join(["def call(args, kwargs):", *writer.lines()])
    except RecursionError:
        return None
    exec(compile(source, f"<nrx call of {name}>", "exec"), writer.names)
    return writer.names["call"]


class _Writer:
    """Writes the lines of one function; `names` are the objects they mention."""

    def __init__(self, site: Site, leaves: Sequence[Any]):
        self.site = site
        self.leaves = leaves
        self.names: dict[str, Any] = {
            "MISS": MISS, "Array": ConcreteArray, "asarray": asarray, "located": located, "memory_of": memory_of,
            "take_memory": take_memory, "addressof": ctypes.addressof, "new": object.__new__, "ndarray": np.ndarray,
            "is_plain": is_plain, "tracing_key": config.tracing_key, "key": config.tracing_key(),
            "device": site.device, "raise_pending": site.entry.raise_pending, "entry": site.entry, "by": site.by,
        }  # fmt: skip
        self._known = {id(value): name for name, value in self.names.items()}
        #: Inputs of the Program by number: first the constants, then the leaves.
        self._inputs = [self.named(const) for const in site.consts] + [f"x{i}" for i in range(len(leaves))]
        self._taken = {output.input for output in site.entry.outputs if isinstance(output, Donated)}
        self._passed = {output.input for output in site.entry.outputs if isinstance(output, Passed)}
        self._nodes = 0

    def named(self, value: Any) -> str:
        """The name of an object. (`names` keeps it alive, so that its id stays its own.)"""
        if id(value) not in self._known:
            name = self._known[id(value)] = f"k{len(self.names)}"
            self.names[name] = value
        return self._known[id(value)]

    def lines(self) -> Iterator[str]:
        yield "try:"
        for line in self._before():
            yield " " + line
        yield "except Exception:"
        yield " return MISS"
        for place in sorted(self._taken):  # from here on there is no way back
            yield f"p{place}, m{place} = take_memory({self._inputs[place]}, by)"
        yield f"if enter({self._words()}): raise_pending()"
        yield from self._results()

    def _before(self) -> Iterator[str]:
        """Everything that can turn out not to fit."""
        yield "if not is_plain() or tracing_key() is not key: return MISS"
        yield from self._arguments()
        count = len(self.site.consts)
        for place in range(count):
            yield self._memory(place)
        for place, leaf in enumerate(self.leaves, count):
            yield from self._leaf(place, leaf)
        for number, size in enumerate(self.site.entry.out_blocks):
            yield f"b{number} = {self.named(allocator(size))}(); o{number} = b{number}.address"
        if self.site.entry.arena_bytes:
            yield f"arena = {self.named(allocator(self.site.entry.arena_bytes))}()"

    # The trees

    def _arguments(self) -> Iterator[str]:
        """Take the arguments apart: leaves are called x0, x1, …"""
        site = self.site
        tree: Any = site.in_tree._spec
        (_, _, args), (_, keywords, kwargs) = tree[2]
        leaves = iter(self._inputs[len(site.consts) :])
        names, within = self._parts((*args, *kwargs), leaves)
        found = dict(zip(site.positions, names, strict=False))
        found.update({static.where: f"s{static.where}" for static in site.statics if isinstance(static.where, int)})
        yield self._unpack([found[position] for position in range(len(found))], "args")
        keyed = [static for static in site.statics if isinstance(static.where, str)]
        yield f"if len(kwargs) != {len(keywords) + len(keyed)}: return MISS"
        for keyword, name in zip(keywords, names[len(args) :], strict=True):
            yield f"{name} = kwargs[{keyword!r}]"
        for static in site.statics:
            given = f"s{static.where}" if isinstance(static.where, int) else f"kwargs[{static.where!r}]"
            yield f"if {self._differs(given, static)}: return MISS"
        yield from within

    def _differs(self, given: str, static: Static) -> str:
        value = static.value
        kind: Any = type(value)
        if kind in _PLAIN_STATICS:
            return f"{given}.__class__ is not {self.named(kind)} or {given} != {self.named(value)}"
        if kind.__eq__ is object.__eq__ and kind.__hash__ is object.__hash__:
            return f"{given} is not {self.named(value)}"
        return f"not {self.named(static.matches)}({given})"

    @staticmethod
    def _unpack(names: Sequence[str], value: str) -> str:
        return f"{', '.join(names)}, = {value}" if names else f"if {value}: return MISS"

    def _parts(self, specs: Sequence[Any], leaves: Iterator[str]) -> tuple[list[str], list[str]]:
        """What the children of a node are called, and the lines that take them apart, down to the leaves."""
        names, lines = [], []
        for spec in specs:
            if spec is None:
                names.append(next(leaves))
            else:
                self._nodes += 1
                names.append(f"n{self._nodes}")
                lines += self._open(names[-1], spec, leaves)
        return names, lines

    def _open(self, node: str, spec: Any, leaves: Iterator[str]) -> list[str]:
        kind, aux, children = spec
        parts, within = self._parts(children, leaves)
        lines = [f"if {node}.__class__ is not {self.named(kind.type)}: return MISS"]
        if kind.type is dict:
            lines.append(f"if len({node}) != {len(children)}: return MISS")
            lines += [f"{part} = {node}[{self._key(key)}]" for part, key in zip(parts, aux, strict=True)]
        elif kind.type is tuple or kind.type is list:
            lines.append(self._unpack(parts, node))
        elif kind.type is not type(None):
            lines.append(f"{node}, aux = {self.named(kind.flatten)}({node})")
            lines.append(f"if aux is not {self.named(aux)} and not aux == {self.named(aux)}: return MISS")
            lines.append(self._unpack(parts, node))
        return lines + within

    def _key(self, key: Any) -> str:
        return repr(key) if type(key) in (str, int) else self.named(key)

    def _build(self, spec: Any, leaves: Iterator[str], lines: list[str]) -> str:
        """An expression for a tree of results; the lines that must come before it are appended to `lines`."""
        if spec is None:
            return next(leaves)
        kind, aux, children = spec
        parts = [self._build(child, leaves, lines) for child in children]
        if kind.type is type(None):
            return "None"
        if kind.type is dict:
            made = f"{{{', '.join(f'{self._key(key)}: {part}' for key, part in zip(aux, parts, strict=True))}}}"
        elif kind.type is list:
            made = f"[{', '.join(parts)}]"
        elif kind.type is tuple:
            made = f"({', '.join(parts)},)" if parts else "()"
        else:
            made = f"{self.named(kind.unflatten)}({self.named(aux)}, [{', '.join(parts)}])"
        lines.append(f"t{len(lines)} = {made}")
        return f"t{len(lines) - 1}"

    # The leaves

    def _memory(self, place: int) -> str:
        name = self._inputs[place]
        return f"p{place}, m{place} = {name}._memory or memory_of({name})"

    def _leaf(self, place: int, leaf: Any) -> Iterator[str]:
        """Check a leaf, and find its data."""
        x = self._inputs[place]
        in_place = place not in self._taken and place not in self._passed
        aval = scalar_aval(leaf)
        if in_place and aval is not None and _c_type(type(leaf)) and aval.dtype == dtypes.scalar_dtype(type(leaf)):
            yield f"if {x}.__class__ is not {self.named(type(leaf))}: return MISS"
            if type(leaf) is int:
                limits = np.iinfo(aval.dtype)
                yield f"if not {limits.min} <= {x} <= {limits.max}: return MISS"
            yield f"m{place} = {self.named(_c_type(type(leaf)))}({x}); p{place} = addressof(m{place})"
        elif in_place and type(leaf) is np.ndarray and leaf.dtype.isnative:
            dtype = self.named(leaf.dtype)
            yield f"if {x}.__class__ is not ndarray or {x}.shape != {self.named(leaf.shape)}: return MISS"
            yield f"if {x}.dtype is not {dtype} and {x}.dtype != {dtype}: return MISS"
            yield f"p{place}, m{place} = located({x})"
        else:
            if type(leaf) is not ConcreteArray:
                leaf = asarray(leaf)
                yield f"{x} = asarray({x})"
            yield (
                f"if {x}.aval is not {self.named(leaf.aval)} or {x}._device is not device "
                f"or {x}._committed is not {leaf._committed}: return MISS"
            )
            if place not in self._taken:
                yield self._memory(place)

    def _words(self) -> str:
        entry = self.site.entry
        first, *others = [f"o{number}" for number in range(len(entry.out_blocks))] or ["0"]
        arena = "arena.address" if entry.arena_bytes else "0"
        addresses = [f"p{place}" for place in range(len(self._inputs))]
        words = [str(entry.runtime_address), first, arena, *addresses, *others]
        prototype = ctypes.PYFUNCTYPE if entry.brief else ctypes.CFUNCTYPE
        self.names["enter"] = prototype(ctypes.c_int64, ctypes.c_char_p)(entry.address)
        self.names["pack"] = struct.Struct(f"{len(words)}N").pack
        return f"pack({', '.join(words)})"

    # The results

    def _results(self) -> Iterator[str]:
        site = self.site
        for number, (output, aval) in enumerate(zip(site.entry.outputs, site.out_avals, strict=True)):
            yield from self._result(f"r{number}", output, aval)
        for place, donated in enumerate(site.donated, len(site.consts)):
            if donated and place not in self._taken and type(self.leaves[place - len(site.consts)]) is ConcreteArray:
                yield f"{self._inputs[place]}._forget(by)"
        lines: list[str] = []
        tree = self._build(site.out_tree._spec, (f"r{number}" for number in range(len(site.out_avals))), lines)
        yield from lines
        yield f"return {tree}"

    def _result(self, r: str, output: Any, aval: Aval) -> Iterator[str]:
        raw = "None"
        if isinstance(output, Stored):
            memory = f"o{output.block} + {output.offset}, b{output.block}"
        elif isinstance(output, Donated):
            memory = f"p{output.input}, m{output.input}"
        else:
            given = self.named(output.array) if isinstance(output, Constant) else self._inputs[output.input]
            raw, memory = f"{given}._raw", f"{given}._memory"
        yield f"{r} = new(Array)"
        yield f"{r}._raw = {raw}"
        yield f"{r}._memory = {memory}"
        yield f"{r}.aval = {self.named(aval)}"
        yield f"{r}._device = device"
        yield f"{r}._committed = {self.site.committed}"


def _c_type(kind: type) -> Any:
    """C's type for a scalar: it rounds as NumPy does, and wraps integers, whose range is checked before."""
    return _C_TYPES.get((kind, dtypes.scalar_dtype(kind)))
