"""Memory planning: from fused steps to actions on places in memory.

A `Block` is one Program in executable order: launches of kernels, copies, host calls and control flow with Blocks
inside. Every value has a `Place`: an argument of the Block, or a stretch of temporary memory, which is used again as
soon as its value is dead. Results are computed where they belong; a kernel that reads an element only where it writes
one overwrites a dying operand.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from nrx.compiler import scalar
from nrx.compiler.channels import channels_last
from nrx.compiler.dump import Dump
from nrx.compiler.elements import reduced_extents, without_reducing
from nrx.compiler.finish import finished
from nrx.compiler.fuse import Alias, Finished, Fused, Group, Step, fuse
from nrx.compiler.inline import inline
from nrx.compiler.interrupts import watch
from nrx.compiler.reuse import Kernels
from nrx.compiler.schedule import Launch, schedule
from nrx.compiler.simplify import simplify
from nrx.compiler.strips import in_strips
from nrx.compiler.transposes import fold_transposes
from nrx.core import loops
from nrx.core.backend import Stored
from nrx.core.check import check_program
from nrx.core.config import config
from nrx.core.dims import Symbols, identity
from nrx.core.loops import FEW_REGISTERS, Builder, Kernel, Native, Operand, Reduction, Registers, Repeat, Scan, Switch
from nrx.core.program import Atom, Eqn, Literal, Program, Var
from nrx.core.shapes import size

ALIGNMENT = 64
#: Of what a thread claims at a time, the largest that leaves enough for all: each claim takes a cache line from another
#: thread, and moves this one to where the processor has not seen ahead what it will load.
_GRAIN_COSTS = (2_560_000.0, 640_000.0, 200_000.0, 60_000.0)
_FEWEST_GRAINS = 16
_SERIAL_COST = 120_000.0


class Place(NamedTuple):
    """Where a value lies.

    Fields:
        kind: "in" (an argument), "out" (a result), "constant", "temporary", or "watch" (what is known of signals).
        number: which one; of temporary memory, the offset in bytes.
        offset: bytes from there on.
    """

    kind: str
    number: int
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.number}" + f" + {self.offset}" * bool(self.offset)


class Run(NamedTuple):
    """Launch a kernel on places.

    Fields:
        tasks: how many.
        grain: how many of them a thread claims at a time; 0 where all run in the calling thread.
    """

    kernel: Kernel
    places: list[Place]
    tasks: int
    grain: int

    def __str__(self) -> str:
        return f"run {self.kernel.name} on {', '.join(map(str, self.places))}"


class Move(NamedTuple):
    """Copy bytes."""

    target: Place
    source: Place
    nbytes: int


class Host(NamedTuple):
    """Run an equation by its NumPy implementation."""

    number: int
    places: list[Place]


class Control(NamedTuple):
    """Control flow with Blocks inside.

    Fields:
        rule: Scan, Repeat or Switch.
        blocks: of the Programs of the rule.
        inputs, outs: places of the operands and results.
        in_bytes, out_bytes: of the operands and results.
        room: bytes to reserve for each of the results.
        memory: the offset in temporary memory where the Blocks have theirs.
    """

    rule: Any
    blocks: list["Block"]
    inputs: list[Place]
    outs: list[Place]
    in_bytes: list[int]
    out_bytes: list[int]
    room: list[int]
    memory: int


Action = Run | Move | Host | Control


class Block:
    """An executable Program.

    Fields:
        actions: in order.
        temporary_bytes: how much temporary memory they need.
        overwrites: result number -> argument number, for results that are computed in an argument's memory.
    """

    def __init__(self, program: Program):
        self.program = program
        self.actions: list[Action] = []
        self.temporary_bytes = 0
        self.overwrites: dict[int, int] = {}


class Shared:
    """What the Blocks of one executable have in common: constants, host calls, what was derived from Programs."""

    def __init__(self, dump: Dump | None = None, symbols: Symbols | None = None, registers: Registers = FEW_REGISTERS):
        self.dump = dump or Dump("program")
        self.symbols, self.registers = symbols, registers
        if symbols is not None:
            symbols.restart()
        self.constants: list[Any] = []
        self.host_calls: list[Eqn] = []
        self._constant_of: dict[Any, int] = {}
        self._rules: dict[Eqn, Any] = {}
        self._simplified: dict[int, tuple[Program, Program]] = {}
        self.kernels = Kernels()

    def rule_of(self, eqn: Eqn) -> Any:
        """The lowering descriptor of an equation; None: it runs on the host."""
        if eqn not in self._rules:
            avals = [atom.aval for atom in eqn.inputs]
            rule = eqn.prim.lower(*avals, **eqn.params) if eqn.prim.has("lower") else None
            if isinstance(rule, Reduction) and not reduced_extents(eqn, rule):
                rule = without_reducing(rule)
            self._rules[eqn] = rule
        return self._rules[eqn]

    def simplified(self, program: Program) -> Program:
        """The Program inlined and simplified."""
        found = self._simplified.get(id(program))
        if found is None:
            calls = self._checked("inline", inline(program, lowers=False))
            last = self._checked("channels last", channels_last(calls, self.rule_of))
            # Before products become Programs, which are not looked into, and after: some may with operands exchanged.
            flat = inline(fold_transposes(last))
            folded = self._checked("fold transposes", inline(fold_transposes(flat)))
            simple = self._checked("simplify", simplify(folded))
            found = self._simplified[id(program)] = (program, self._checked("strips", in_strips(simple, self.rule_of)))
        return found[1]

    def _checked(self, name: str, program: Program) -> Program:
        """The result of a pass, written and checked if that is asked for."""
        self.dump.write(name, lambda: str(program))
        if config.debug_checks:
            check_program(program)
        return program

    def open(self, value: int) -> int:
        """A number that the entry is told, so that its code does not depend on it, if there are symbols."""
        return value if self.symbols is None else self.symbols.word(value)

    def out_places(self, places: Sequence[Stored], inputs: int) -> list[tuple[int, int]]:
        """The places of results as the entry needs them, the words of which are described at `NativeEntry`."""
        return [(self.open(2 + inputs + p.block if p.block else 1), self.open(p.offset)) for p in places]

    def own_words(self) -> tuple[int, int, int]:
        """How many words of the runtime table the constants, the host calls and what the entry is told take."""
        return len(self.constants), len(self.host_calls), 0 if self.symbols is None else len(self.symbols.words)

    def symbol_words(self) -> tuple[int, ...]:
        """What follows the host calls in the runtime table: the entry's words, the last one first, and the symbols."""
        return () if self.symbols is None else (*reversed(self.symbols.words), *self.symbols.values)

    def dims(self) -> list[loops.Expr]:
        """What kernels are told: the symbols so far."""
        return [] if self.symbols is None else [loops.dim(number) for number in range(len(self.symbols.values))]

    def adopt(self, program: Program) -> None:
        """Take a Program as simplified already."""
        self._simplified[id(program)] = (program, program)

    def literal(self, atom: Literal) -> int:
        """The number of a constant scalar; those that are alike are one."""
        return self.constant(atom.array, (atom.aval.dtype, atom.value.tobytes()))

    def constant(self, value: Any, key: Hashable = None) -> int:
        """The number of a constant array, known by `key` or itself."""
        key = id(value) if key is None else key
        if key not in self._constant_of:
            self._constant_of[key] = len(self.constants)
            self.constants.append(value)
        return self._constant_of[key]

    def block(self, program: Program, overwritable: Mapping[int, int] | None = None) -> Block:
        """The Block of a Program; the arguments in `overwritable` may become the results that it maps them to."""
        fused = fuse(self.simplified(program), self.rule_of)
        self.dump.write("fuse", lambda: str(fused))
        block = _Planner(self, fused, overwritable or {}).block
        self.dump.write("plan", lambda: "\n".join(map(str, block.actions)))
        return block


class _Memory:
    """Temporary memory: stretches are taken first fit and given back."""

    def __init__(self) -> None:
        self.total = 0
        self._free: list[tuple[int, int]] = []

    def take(self, nbytes: int) -> int:
        nbytes = aligned(nbytes)
        for number, (offset, length) in enumerate(self._free):
            if length >= nbytes:
                self._free[number : number + 1] = [(offset + nbytes, length - nbytes)] if length > nbytes else []
                return offset
        offset = self.total
        if self._free and sum(self._free[-1]) == self.total:
            offset = self._free.pop()[0]
        self.total = offset + nbytes
        return offset

    def give(self, offset: int, nbytes: int) -> None:
        self._free.append((offset, aligned(nbytes)))
        self._free.sort()
        merged: list[tuple[int, int]] = []
        for start, length in self._free:
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((start, length))
        self._free = merged


def aligned(nbytes: int) -> int:
    """Rounded up to whole cache lines, at least one."""
    return max(1, -(-nbytes // ALIGNMENT)) * ALIGNMENT


def nbytes(atom: Atom) -> int:
    """Bytes of a value in memory."""
    return size(atom.aval.shape) * atom.aval.dtype.itemsize


def _same_size(x: Atom, y: Atom) -> bool:
    """Whether two values have as many bytes, and not by chance."""
    return identity(nbytes(x)) == identity(nbytes(y))


class _Planner:
    def __init__(self, shared: Shared, fused: Fused, overwritable: Mapping[int, int]):
        self.shared, self.fused, self.program = shared, fused, fused.program
        self.block = Block(self.program)
        self.overwritable = overwritable
        self.aliases: dict[Var, Alias] = {}
        self.places: dict[Var, Place] = {}
        self.wanted: dict[Var, Place] = {}
        self.memory = _Memory()
        self.owned: dict[Var, tuple[int, int]] = {}
        for number, var in enumerate(self.program.invars):
            self.places[var] = Place("in", number)
        for var, value in zip(self.program.constvars, self.program.consts, strict=True):
            self.places[var] = Place("constant", shared.constant(value))
        self.aliases = {s.var: s for s in fused.steps if isinstance(s, Alias)}
        self.launches = [self._launches(step) for step in fused.steps]
        self.last_use = self._last_uses()
        self._want_results()
        for number, step in enumerate(fused.steps):
            self._act(number, step)
            self._free(number)
        self._place_results()
        self.block.temporary_bytes = self.memory.total

    # Who needs what, and when

    def _launches(self, step: Step) -> list[Launch]:
        if isinstance(step, Alias) or self.shared.symbols is not None:
            return self._made(step)
        return self.shared.kernels.launches(step, self.fused, lambda: self._made(step))

    def _made(self, step: Step) -> list[Launch]:
        if isinstance(step, Group):
            return schedule(step, self.fused)
        if isinstance(step, Alias):
            return []
        if isinstance(step, Finished):
            return [finished(step, self.fused, self.shared.registers)]
        rule = self.shared.rule_of(step)
        if isinstance(rule, Native):
            return [_native(step, rule, self.shared.registers)]
        if isinstance(rule, Scan | Repeat | Switch) and scalar.is_small(
            rule, self.shared.rule_of, self.shared.simplified
        ):
            return [_in_registers(step, rule, self.shared)]
        return []

    def root(self, var: Var) -> tuple[Var, int]:
        """The variable that owns the memory of `var`, and the offset in it in bytes."""
        alias = self.aliases.get(var)
        return (var, 0) if alias is None else (alias.source, alias.offset * var.aval.dtype.itemsize)

    def _last_uses(self) -> dict[Var, int]:
        last: dict[Var, int] = {}
        for number, (step, launches) in enumerate(zip(self.fused.steps, self.launches, strict=True)):
            used: list[Any] = [var for launch in launches for var in launch.arguments]
            if isinstance(step, Eqn):
                used += step.inputs
                used += step.outs
            for atom in used:
                if isinstance(atom, Var):
                    last[self.root(atom)[0]] = number
        for atom in self.program.outs:
            if isinstance(atom, Var):
                last[self.root(atom)[0]] = len(self.fused.steps)
        return last

    def _want_results(self) -> None:
        """Results are computed where they belong, the first time they are one."""
        for number, atom in enumerate(self.program.outs):
            if isinstance(atom, Var):
                root, offset = self.root(atom)
                if root not in self.places and root not in self.wanted and not offset and _same_size(root, atom):
                    self.wanted[root] = Place("out", number)
        for number, step in reversed(list(enumerate(self.fused.steps))):  # also what a result is an update of
            if not isinstance(step, Eqn) or not step.outs or step.outs[0] not in self.wanted:
                continue
            operand = self._own_operand(step)
            if operand is None or operand in self.places or operand in self.wanted:
                continue
            if self.last_use[self.root(operand)[0]] == number:
                self.wanted[operand] = self.wanted[step.outs[0]]

    def _own_operand(self, eqn: Eqn) -> Var | None:
        """The operand whose memory a Native rule writes to, if no other operand shares it."""
        rule = self.shared.rule_of(eqn)
        if not isinstance(rule, Native) or rule.in_place is None:
            return None
        others = {self.root(a)[0] for i, a in enumerate(eqn.inputs) if i != rule.in_place and isinstance(a, Var)}
        operand = eqn.inputs[rule.in_place]
        return operand if isinstance(operand, Var) and self.root(operand)[0] not in others else None

    # Acting

    def _act(self, number: int, step: Step) -> None:
        if isinstance(step, Alias):
            return
        rule = self.shared.rule_of(step) if isinstance(step, Eqn) else None
        if isinstance(step, Eqn) and isinstance(rule, Native) and rule.in_place is not None:
            self._take_over(number, step, rule.in_place)
        for launch in self.launches[number]:
            for var in launch.arguments:
                if var in launch.writes and var not in self.places:
                    in_place = [] if var is launch.early else [v for v in launch.arguments if v in launch.in_place]
                    self.places[var] = self._place_of(number, var, in_place)
            self.block.actions.append(self._run(launch))
        if isinstance(step, Eqn) and not self.launches[number]:
            self._host(number, step) if rule is None else self._control(number, step, rule)

    def _run(self, launch: Launch) -> Run:
        kernel, shared = launch.kernel, self.shared
        kernel.dims = shared.dims()
        places = [self.place(atom) for atom in launch.arguments]
        if watch(kernel):
            places.append(Place("watch", 0))
        return Run(kernel, places, shared.open(kernel.tasks), shared.open(_grain(kernel)))

    def _take_over(self, number: int, eqn: Eqn, position: int) -> None:
        """The result starts as one of the operands: in its memory, unless another one shares it, or as a copy."""
        var, operand, own = eqn.outs[0], eqn.inputs[position], self._own_operand(eqn)
        self.places[var] = self._place_of(number, var, [own] if own is not None else [])
        if self.places[var] != self.place(operand):
            self.block.actions.append(Move(self.places[var], self.place(operand), nbytes(operand)))

    def place(self, atom: Atom) -> Place:
        """Where an atom lies; literals become constants."""
        if isinstance(atom, Literal):
            return Place("constant", self.shared.literal(atom))
        root, offset = self.root(atom)
        found = self.places[root] if nbytes(root) else Place("temporary", 0)
        return found._replace(offset=found.offset + offset)

    def _place_of(self, number: int, var: Var, in_place: Sequence[Var] = ()) -> Place:
        """Where to compute a variable: in the memory of one of those in place, the first to be free, or elsewhere."""
        for other in sorted(in_place, key=lambda v: self.last_use.get(v, -1)):
            found = self._overtaken(number, var, other)
            if found is not None:
                return found
        if var in self.wanted:
            return self.wanted[var]
        return self._temporary(number, var)

    def _temporary(self, number: int, var: Var) -> Place:
        offset = self.memory.take(int(nbytes(var)))
        self.owned[var] = (offset, int(nbytes(var)))
        self.last_use.setdefault(var, number)
        return Place("temporary", self.shared.open(offset))

    def _overtaken(self, number: int, var: Var, other: Var) -> Place | None:
        """The memory of `other`, if it is dead after this step and `var` may live there."""
        root, offset = self.root(other)
        if offset or not _same_size(root, var) or self.last_use.get(root) != number or root not in self.places:
            return None
        place = self.places[root]
        if place == self.wanted.get(var):
            return place
        if place.kind == "temporary" and root in self.owned and var not in self.wanted:
            self.owned[var] = self.owned.pop(root)
            return place
        if place.kind == "in" and var in self.wanted and self.overwritable.get(place.number) == self.wanted[var].number:
            self.block.overwrites[self.wanted[var].number] = place.number
            return place
        return None

    def _free(self, number: int) -> None:
        for var, (offset, length) in list(self.owned.items()):
            if self.last_use.get(var, -1) <= number:
                self.memory.give(offset, length)
                del self.owned[var]

    def _place_results(self) -> None:
        for number, atom in enumerate(self.program.outs):
            place = self.place(atom)
            if place != Place("out", number) and number not in self.block.overwrites:
                self.block.actions.append(Move(Place("out", number), place, nbytes(atom)))

    def _host(self, number: int, eqn: Eqn) -> None:
        for var in eqn.outs:
            self.places[var] = self._place_of(number, var)
        self.block.actions.append(
            Host(len(self.shared.host_calls), [self.place(atom) for atom in (*eqn.inputs, *eqn.outs)])
        )
        self.shared.host_calls.append(eqn)

    def _control(self, number: int, eqn: Eqn, rule: Any) -> None:
        for var in eqn.outs:
            self.places[var] = self._place_of(number, var)
        if isinstance(rule, Scan):
            blocks = [self.shared.block(rule.body, {rule.consts + k: k for k in range(rule.carry)})]
        elif isinstance(rule, Repeat):
            carry = range(len(rule.body.outs))
            body = self.shared.block(rule.body, {rule.body_consts + k: k for k in carry})
            blocks = [self.shared.block(rule.cond), body]
        else:
            blocks = [self.shared.block(branch) for branch in rule.branches]
        in_bytes, out_bytes = [nbytes(atom) for atom in eqn.inputs], [nbytes(var) for var in eqn.outs]
        room = [aligned(int(n)) for n in out_bytes]
        needed = 2 * sum(room) + ALIGNMENT + max(block.temporary_bytes for block in blocks)
        memory = self.memory.take(needed)
        self.block.actions.append(
            Control(
                rule, blocks, [self.place(atom) for atom in eqn.inputs], [self.place(var) for var in eqn.outs],
                in_bytes, out_bytes, list(map(self.shared.open, room)), self.shared.open(memory),
            )
        )  # fmt: skip
        self.memory.give(memory, needed)


def _grain(kernel: Kernel) -> int:
    """How many tasks a thread claims at a time; 0 where all run in the calling thread."""
    total = kernel.tasks * kernel.cost
    if kernel.tasks == 1 or total <= _SERIAL_COST:
        return 0
    cost = next((cost for cost in _GRAIN_COSTS if total >= _FEWEST_GRAINS * cost), _GRAIN_COSTS[-1])
    return max(1, round(cost / kernel.cost))


def _native(eqn: Eqn, rule: Native, registers: Registers) -> Launch:
    """The kernel of an equation that is written out in loops."""
    b = Builder(eqn.prim.name, registers)
    arguments: list[Any] = []

    def operand(atom: Atom, readonly: bool) -> Operand:
        arguments.append(atom)
        name = f"{'in' if readonly else 'out'}{len(arguments)}"
        return Operand(b, b.buffer(name, loops.type_of(atom.aval.dtype), readonly), atom.aval)

    results = [operand(var, readonly=False) for var in eqn.outs]
    operands = [
        results[0] if number == rule.in_place else operand(atom, readonly=True)
        for number, atom in enumerate(eqn.inputs)
    ]
    rule.build(b, operands, results, **eqn.params)
    return Launch(b.kernel, arguments, set(eqn.outs), set())


def _in_registers(eqn: Eqn, rule: Any, shared: Shared) -> Launch:
    """The kernel of control flow over few scalars."""
    b = Builder(eqn.prim.name)
    arguments: list[Any] = [*eqn.inputs, *eqn.outs]
    buffers = [
        Operand(b, b.buffer(f"a{n}", loops.type_of(atom.aval.dtype), n < len(eqn.inputs)), atom.aval)
        for n, atom in enumerate(arguments)
    ]
    count = len(eqn.inputs)
    scalar.build(b, rule, buffers[:count], buffers[count:], shared.rule_of, shared.simplified)
    return Launch(b.kernel, arguments, set(eqn.outs), set())
