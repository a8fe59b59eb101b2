"""Fusion: which equations are computed together, in one kernel.

A *group* computes equations over one iteration space in one sweep. With reduced axes it also holds what is computed
per row: softmax is one group, whose rows are swept three times while they are in cache. What one group makes and
another needs goes through memory; views are computed by every reader and go through memory only where somebody needs
them whole.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from itertools import count, pairwise
from typing import Any

from nrx.compiler.accesses import Access, Accesses, Space, essential, is_view, space_of
from nrx.compiler.storing import choose
from nrx.core import loops
from nrx.core.dims import capacity, identity
from nrx.core.errors import CompilerError
from nrx.core.loops import Elementwise, Native, Pointwise, Reduction
from nrx.core.pretty import namer
from nrx.core.program import Eqn, Program, Var, has_effect
from nrx.core.shapes import size

_MOST_EQUATIONS = 100
_MOST_REPEATED = 12
_MOST_COPIED = 64  # equations of a group that its readers repeat, in all copies
_MOST_VIEWS, _MOST_VIEW_READS = 20, 32  # on top of each other, and values that they read
_LONGEST_ROW = 1 << 16
_SERIAL_SIZE = 1 << 15
_FEWEST_ROWS = 8
_MEMORY_COST = 4  # of writing and reading an element, in elementary operations
_LAUNCH_COST = 400


class Group:
    """Equations computed in one sweep over `space`.

    Fields:
        number: in the order in which the groups were begun.
        eqns: in order; their results have the shape of the space (`full`) or of its kept axes (`rows`).
        space: its reduced axes are empty until a reduction joins.
        late: the variables that depend on a reduction of this group.
        needs: the groups whose values it reads.
        outs: the variables that others need; filled at the end.
        is_open: whether more may join; what is not computed element by element is a closed group of its own.
    """

    def __init__(self, number: int, space: Space, is_open: bool = True):
        self.number = number
        self.space = space
        self.is_open = is_open
        self.eqns: list[Eqn] = []
        self.full: set[Var] = set()
        self.rows: set[Var] = set()
        self.late: set[Var] = set()
        self.reads: set[Var] = set()
        self.needs: set[Group] = set()
        self.outs: list[Var] = []

    @property
    def extents(self) -> tuple:
        return _extents(self.space)

    @property
    def row_extents(self) -> tuple:
        shape = self.space.shape
        return tuple(identity(shape[axis]) for axis in self.space.kept if shape[axis] != 1)

    def may_sweep_again(self) -> bool:
        """Whether rows are short and many enough to be swept once more after their reductions are known."""
        shape, reduced = self.space
        row = capacity(size(tuple(shape[axis] for axis in reduced)))
        lanes = max((axis for axis, extent in enumerate(shape) if extent != 1), default=-1)
        total = capacity(size(shape))
        enough = total <= _SERIAL_SIZE or (row <= _LONGEST_ROW and total // max(row, 1) >= _FEWEST_ROWS)
        return enough and (lanes in reduced or total <= _SERIAL_SIZE)


class Alias:
    """A result of a view that lies in memory already: the elements of `source` from `offset` on."""

    def __init__(self, eqn: Eqn, var: Var, source: Var, offset: int):
        self.eqn, self.var, self.source, self.offset = eqn, var, source, offset


class Finished:
    """An equation with a Native rule, and a group that takes each element of its result as soon as it is computed."""

    def __init__(self, eqn: Eqn, group: Group):
        self.eqn, self.group = eqn, group

    @property
    def outs(self) -> list[Var]:
        """The variables that others need."""
        return self.group.outs


Step = Group | Alias | Eqn | Finished
"""What a fused program consists of; an Eqn stands for itself (a Native rule, control flow, a host call)."""


class Fused:
    """A Program as steps in an order in which they can run.

    Fields:
        made_by: the equation of every variable; those in no step are computed by their readers.
        rule_of: the lowering descriptor of an equation.
        accesses_of: what the equations of groups read, at the symbols of their spaces.
    """

    def __init__(self, program: Program, steps: list[Step], fuser: "_Fuser"):
        self.program, self.steps = program, steps
        self.made_by, self.rule_of = fuser.made_by, fuser.rule_of
        self.accesses_of, self.symbols = fuser.accesses_of, fuser.accesses.symbols
        stored = {var for step in steps if not isinstance(step, Alias) for var in step.outs}
        self.stored = stored | set(fuser.aliases)
        self._owner = {var: alias.source for var, alias in fuser.aliases.items()}

    def __str__(self) -> str:
        name, equation = namer(self.program)

        def text(step: Step) -> str:
            if isinstance(step, Eqn):
                return equation(step)
            if isinstance(step, Alias):
                return f"{name(step.var)} is {name(step.source)} from element {step.offset} on"
            if isinstance(step, Finished):
                return f"{equation(step.eqn)}\n  finished by {text(step.group)}"
            body = "".join(f"\n    {equation(eqn)}" for eqn in step.eqns)
            stored = ", ".join(map(name, step.outs))
            return f"group over {step.space.shape}, reduced {step.space.reduced}, stores {stored}:{body}"

        return "\n".join(map(text, self.steps))

    def owner(self, var: Var) -> Var:
        """The variable in whose memory this one lies."""
        return self._owner.get(var, var)

    def in_memory(self, var: Var, own: Container[Var] = ()) -> bool:
        """Whether the variable is an argument, or stored by a step, seen from the one that computes `own`."""
        return var not in self.made_by or (var in self.stored and self._owner.get(var, var) not in own)


def fuse(program: Program, rule_of: Callable[[Eqn], Any]) -> Fused:
    """Choose the groups of a simplified Program."""
    fuser = _Fuser(program, rule_of)
    for eqn in program.eqns:
        fuser.place(eqn)
    return Fused(program, fuser.steps(), fuser)


class _Fuser:
    def __init__(self, program: Program, rule_of: Callable[[Eqn], Any]):
        self.program, self.rule_of = program, rule_of
        self.made_by = {var: eqn for eqn in program.eqns for var in eqn.outs}
        self.group_of: dict[Var, Group] = {}
        self.groups: list[Group] = []
        self.numbers = count()
        self.aliases: dict[Var, Alias] = {}
        self.opaque: list[Eqn] = []
        #: Those of `opaque` whose results groups take.
        self.finished: dict[Eqn, Group] = {}
        #: Those of `opaque` with effects, which stay in order, as closed groups: each needs the one before.
        self.effects: dict[Eqn, Group] = {}
        self.readers: dict[Var, list[Group]] = {}
        self.accesses_of: dict[Eqn, list[Access]] = {}
        self.whole = self._needed_whole()
        #: Of views that are looked through: how many are on top of each other, and how many values they read.
        self.views: dict[Var, tuple[int, int]] = {}
        #: Those that are too many; an alias would not do, since it is looked through.
        self.stored_views: set[Var] = set()
        self.accesses = Accesses(self.made_by, rule_of, self._is_leaf)

    def _needed_whole(self) -> set[Var]:
        """Variables that must lie in memory for somebody who does not read them element by element."""
        whole = {atom for atom in self.program.outs if isinstance(atom, Var)}
        for eqn in self.program.eqns:
            if not isinstance(self.rule_of(eqn), Pointwise | Reduction):
                whole.update(atom for atom in eqn.inputs if isinstance(atom, Var))
        return whole

    def _is_leaf(self, var: Var) -> bool:
        eqn = self.made_by.get(var)
        return eqn is None or var in self.group_of or not is_view(self.rule_of(eqn))

    # Placing one equation

    def place(self, eqn: Eqn) -> None:
        rule = self.rule_of(eqn)
        if not isinstance(rule, Pointwise | Reduction):
            self._close(eqn)
        elif not is_view(rule):
            self._join(eqn, space_of(eqn, rule), self.accesses.of(eqn))
        else:
            self._limit_views(eqn)
            if not self.whole.isdisjoint(eqn.outs):
                self._place_view(eqn)

    def _limit_views(self, eqn: Eqn) -> None:
        """Have a view stored if there are many under it: whoever reads it would go through them all."""
        below = [self.views.get(atom, (0, 1)) for atom in eqn.inputs if isinstance(atom, Var)]
        depth, reads = 1 + max((d for d, _ in below), default=0), sum(r for _, r in below)
        self.views.update(dict.fromkeys(eqn.outs, (depth, reads)))
        if depth > _MOST_VIEWS or reads > _MOST_VIEW_READS:
            self.whole.update(eqn.outs)
            self.stored_views.update(eqn.outs)

    def _close(self, eqn: Eqn) -> None:
        """A step of its own; as a closed group it takes part in the question who waits for whom."""
        self.opaque.append(eqn)
        group = Group(next(self.numbers), Space(()), is_open=False)
        symbols = self.accesses.symbols
        reads = self.accesses.through((atom, symbols.index(atom.aval.shape)) for atom in eqn.inputs)
        group.needs = {self.group_of[read.var] for read in reads if read.var in self.group_of}
        if has_effect(eqn):
            group.needs.update(list(self.effects.values())[-1:])
            self.effects[eqn] = group
        self.group_of.update(dict.fromkeys(eqn.outs, group))

    def _place_view(self, eqn: Eqn) -> None:
        """A view that somebody needs whole: an alias of its operand, if its elements lie there in order."""
        for var in eqn.outs:
            if var not in self.whole:
                continue
            index = self.accesses.symbols.index(var.aval.shape)
            read = self.accesses.copied(var, index)
            offset = None if read is None else _offset(read, var, index)
            if read is None or offset is None or var in self.stored_views:
                self._join(eqn, Space(var.aval.shape), self.accesses.through([(var, index)]), [var])
                self.views[var] = (0, 1)
                continue
            source = self.aliases.get(read.var)
            self.aliases[var] = Alias(
                eqn, var, source.source if source else read.var, offset + (source.offset if source else 0)
            )

    def _join(self, eqn: Eqn, space: Space, reads: list[Access], outs: Iterable[Var] | None = None) -> None:
        """Add an equation to a group that it fits into, or to a new one."""
        outs = eqn.outs if outs is None else outs
        needs = {self.group_of[read.var] for read in reads if read.var in self.group_of}
        siblings = [g for read in reads for g in self.readers.get(read.var, ())[-1:] if g.extents == _extents(space)]
        group = None
        for candidate in sorted({*needs, *siblings}, key=lambda g: -g.number):
            place = self._fits(candidate, eqn, space, reads)
            if place and not any(self._reaches(candidate, other) for other in needs if other is not candidate):
                group = candidate
                break
        if group is None:
            group, place = Group(next(self.numbers), space), "full"
            self.groups.append(group)
        elif place == "full":
            for other in sorted(needs - {group}, key=lambda g: g.number):
                if not any(self._reaches(other, third) for third in needs - {group, other}):
                    self._absorb(group, other, eqn, space, reads)
        self._add(group, eqn, space, reads, place, outs)

    def _fits(self, group: Group, eqn: Eqn, space: Space, reads: list[Access]) -> str | None:
        """Where in `group` the equation could be computed: over the full space, or once a row."""
        if not group.is_open or len(group.eqns) >= _MOST_EQUATIONS:
            return None
        if group.extents == _extents(space):
            return "full" if self._fits_full(group, space, reads) else None
        if space.reduced or not group.space.reduced or group.row_extents != _extents(space):
            return None
        index = essential(self.accesses.symbols.index(space.shape))
        own = [read for read in reads if self.group_of.get(read.var) is group]
        return "row" if own and all(r.var in group.rows and essential(r.at) == index for r in own) else None

    def _fits_full(self, group: Group, space: Space, reads: list[Access]) -> bool:
        full = self.accesses.symbols.index(group.space.shape)
        kept = essential([full[axis] for axis in group.space.kept])
        late = False
        for read in reads:
            if self.group_of.get(read.var) is not group:
                continue
            if read.var in group.full:
                if essential(read.at) != essential(full):
                    return False
            elif essential(read.at) != kept:
                return False
            late = late or read.var in group.late
        if late and not group.may_sweep_again():
            return False
        if space.reduced and group.space.reduced:
            return _axes(space) == _axes(group.space)
        return True

    def _reaches(self, start: Group, goal: Group) -> bool:
        """Whether `goal` needs, directly or not, what `start` makes."""
        stack, seen = [goal], {goal}
        while stack:
            for group in stack.pop().needs - seen:
                if group is start:
                    return True
                seen.add(group)
                stack.append(group)
        return False

    def _absorb(self, group: Group, other: Group, eqn: Eqn, space: Space, reads: list[Access]) -> None:
        """Merge `other` into `group` if both can be one sweep."""
        same = (
            other.is_open
            and other.extents == group.extents
            and (not other.space.reduced or not group.space.reduced or _axes(other.space) == _axes(group.space))
        )
        if not same or len(group.eqns) + len(other.eqns) > _MOST_EQUATIONS or not self._fits_full(other, space, reads):
            return
        everyone = {*self.groups, *self.group_of.values(), *self.effects.values()}
        between = everyone - {group, other}
        for first, second in ((group, other), (other, group)):
            if any(first in g.needs and self._reaches(g, second) for g in between):
                return
            if first in second.needs and not self._merges(first, second):
                return
        if other.space.reduced and not group.space.reduced:
            group.space = other.space
        group.eqns = sorted({*group.eqns, *other.eqns}, key=self._position)
        for name in ("full", "rows", "late", "reads", "needs"):
            getattr(group, name).update(getattr(other, name))
        group.needs -= {group, other}
        self.groups.remove(other)
        for var, owner in self.group_of.items():
            if owner is other:
                self.group_of[var] = group
        for g in everyone - {other}:
            if other in g.needs:
                g.needs.discard(other)
                g.needs.add(group)
        for readers in self.readers.values():
            readers[:] = [group if g is other else g for g in readers]

    def _merges(self, first: Group, second: Group) -> bool:
        """Whether everything `second` reads of `first` it reads at the same point."""
        return all(
            self._fits_full(first, space_of(eqn, self.rule_of(eqn)), self.accesses_of[eqn]) for eqn in second.eqns
        )

    def _position(self, eqn: Eqn) -> int:
        if not hasattr(self, "_positions"):
            self._positions = {eqn: number for number, eqn in enumerate(self.program.eqns)}
        return self._positions[eqn]

    def _add(
        self, group: Group, eqn: Eqn, space: Space, reads: list[Access], place: str | None, outs: Iterable[Var]
    ) -> None:
        if eqn not in group.eqns:
            group.eqns.append(eqn)
        self.accesses_of[eqn] = reads
        is_late = any(read.var in group.late for read in reads)
        if space.reduced and not group.space.reduced:
            group.space = space
        for var in outs:
            self.group_of[var] = group
            (group.rows if space.reduced or place == "row" else group.full).add(var)
            if space.reduced or is_late:
                group.late.add(var)
        for read in reads:
            group.reads.add(read.var)
            self.readers.setdefault(read.var, []).append(group)
            owner = self.group_of.get(read.var)
            if owner is not None and owner is not group:
                group.needs.add(owner)

    # Afterwards

    def steps(self) -> list[Step]:
        """Decide what goes through memory and order the steps."""
        needed = set(self.whole) | {alias.source for alias in self.aliases.values()}
        readers: dict[Var, set[Group]] = {}
        for group in self.groups:
            for var in group.reads:
                if self.group_of.get(var) is not group:
                    readers.setdefault(var, set()).add(group)
        kept: list[Group] = []
        expansion = _Expansion(self, {var: set(groups) for var, groups in readers.items()})
        for group in reversed(self.groups):
            if self._repeats(group, needed, expansion):
                for var in group.reads:  # whoever repeats it reads what it reads
                    for made in group.full:
                        readers.setdefault(var, set()).update(readers.get(made, ()))
            else:
                kept.append(group)
        for group in kept:
            group.outs = self._stored(group, needed, readers)
        kept = [group for group in kept if group.outs]
        for eqn in self.opaque:
            self._finish(eqn, kept, needed, readers)
        return self._ordered(kept[::-1])

    def _stored(self, group: Group, needed: set[Var], readers: dict[Var, set[Group]]) -> list[Var]:
        """What a group stores: what others need, or less, of which they compute the rest."""
        eqns = {v: eqn for eqn in group.eqns for v in eqn.outs if v in self.group_of}
        outs = {v for v in eqns if v in needed or v in readers}
        asked = {v: self._times_read(group, readers[v]) for v in eqns if v in outs - needed and v in group.full}
        reading = set().union(*(readers[v] for v in asked))

        def is_stored(var: Var) -> bool:
            is_made_here = var in eqns
            return var in needed or (not is_made_here and bool(var not in self.group_of or readers[var] - {group}))

        def is_read(var: Var) -> bool:
            return all(var in reader.reads for reader in reading)

        def cost_of(eqn: Eqn) -> float | None:
            rule = self.rule_of(eqn)
            return rule.cost if isinstance(rule, Elementwise) else None

        full = {v: eqn for v, eqn in eqns.items() if v in group.full}
        point = essential(self.accesses.symbols.index(group.space.shape))
        if not asked:
            return [v for v in eqns if v in outs]
        choice = choose(full, asked, is_stored, is_read, cost_of, lambda eqn: self.accesses_of[eqn], point)
        outs = (outs - choice.repeated) | (choice.stored & set(eqns))
        for var in reversed(full):
            if var in choice.repeated:
                for read in self.accesses_of[full[var]]:
                    readers.setdefault(read.var, set()).update(readers[var])
                    outs.update({read.var} & group.rows)
        return [v for v in eqns if v in outs]

    def _times_read(self, group: Group, readers: set[Group]) -> float:
        """How often an element of a group is read by others, about."""
        reads = sum(capacity(size(reader.space.shape)) * self._reads_of(reader) for reader in readers)
        return reads / max(1, capacity(size(group.space.shape)))

    def _finish(self, eqn: Eqn, kept: list[Group], needed: set[Var], readers: dict[Var, set[Group]]) -> None:
        """Find a group that can take the elements of a result one after another, and anything else it reads before."""
        rule, own = self.rule_of(eqn), self.group_of.get(eqn.outs[0]) if eqn.outs else None
        if not isinstance(rule, Native) or rule.width is None or own is None:
            return
        (var,) = eqn.outs
        reading = readers.get(var, set()) & set(kept)
        for group in kept:
            if group not in reading or group in self.finished.values() or not self._takes(group, var, rule.width):
                continue
            if any(self._reaches(own, other) for other in group.needs - {own}):
                continue
            if var in needed or len(reading) > 1:
                group.outs.append(var)
            group.needs = (group.needs | own.needs) - {own, group}
            self.group_of[var] = group
            for other in {*self.groups, *self.group_of.values()}:
                if own in other.needs:
                    other.needs = (other.needs - {own}) | {group}
            group.needs.discard(group)
            self.finished[eqn] = group
            return

    def _takes(self, group: Group, var: Var, width: int) -> bool:
        """Whether a group reads a variable element by element, at the point that it computes."""
        if group.space.reduced or group.rows or group.extents != _extents(Space(var.aval.shape)):
            return False
        if columns_of(var.aval.shape, width) is None:
            return False
        full = essential(self.accesses.symbols.index(group.space.shape))
        reads = [read for eqn in group.eqns for read in self.accesses_of[eqn] if read.var is var]
        return bool(reads) and all(essential(read.at) == full for read in reads)

    def _repeats(self, group: Group, needed: set[Var], expansion: "_Expansion") -> bool:
        """Whether it is cheaper that the readers compute the group's values than that it stores them."""
        if group.rows or len(group.eqns) > _MOST_REPEATED or not needed.isdisjoint(group.full):
            return False
        cost = sum(self.rule_of(eqn).cost for eqn in group.eqns)
        points = capacity(size(group.space.shape))
        evaluations, copies = expansion.of(group)
        is_cheaper = cost * evaluations <= cost * points + _MEMORY_COST * points + _LAUNCH_COST
        if not is_cheaper or copies * len(group.eqns) > _MOST_COPIED:
            return False
        expansion.repeated[group] = evaluations, copies
        return True

    def _reads_of(self, group: Group) -> int:
        """How many elements of an operand a group may read at each of its points."""
        rules = map(self.rule_of, group.eqns)
        return max((rule.reads for rule in rules if isinstance(rule, Pointwise)), default=1)

    def _ordered(self, groups: list[Group]) -> list[Step]:
        """Steps sorted so that what is needed comes first; ties in the order of the Program."""
        step_of: dict[Var, Step] = {}
        steps: list[tuple[int, Step]] = []
        taking = {group: Finished(eqn, group) for eqn, group in self.finished.items()}
        for group in groups:
            step = taking.get(group, group)
            steps.append((self._position(group.eqns[-1]), step))
            step_of.update(dict.fromkeys(group.outs, step))
        for var, alias in self.aliases.items():
            steps.append((self._position(alias.eqn), alias))
            step_of[var] = alias
        for eqn in self.opaque:
            if eqn in self.finished:
                continue
            steps.append((self._position(eqn), eqn))
            step_of.update(dict.fromkeys(eqn.outs, eqn))
        steps.sort(key=lambda item: item[0])
        previous = {later: earlier for earlier, later in pairwise(self.effects)}

        def needs(step: Step) -> list[Step]:
            found = [step_of[var] for var in self._inputs(step) if var in step_of]
            return [*found, previous[step]] if isinstance(step, Eqn) and step in previous else found

        return _depth_first([step for _, step in steps], needs)

    def _inputs(self, step: Step) -> list[Var]:
        """The variables that a step reads in memory: those of its accesses, through what its kernel repeats."""
        if isinstance(step, Alias):
            return [step.source]
        if isinstance(step, Eqn):
            return [atom for atom in step.inputs if isinstance(atom, Var)]
        if isinstance(step, Finished):
            return [*self._inputs(step.eqn), *self._inputs(step.group)]
        found, seen = [], set()
        eqns = list(step.eqns)
        while eqns:
            for read in self.accesses_of[eqns.pop()]:
                group = self.group_of.get(read.var)
                if group is step or read.var in seen:
                    continue
                seen.add(read.var)
                if group is not None and group.is_open and read.var not in group.outs:
                    eqns.append(self.made_by[read.var])
                else:
                    found.append(read.var)
        return found


class _Expansion:
    """How often values that are computed again are, and how often they are written in the code of their readers.

    Fields:
        repeated: groups -> (evaluations of one of its equations, copies).
    """

    def __init__(self, fuser: _Fuser, readers: dict[Var, set[Group]]):
        self._fuser, self._readers = fuser, readers
        self.repeated: dict[Group, tuple[float, int]] = {}

    def of(self, group: Group) -> tuple[float, int]:
        """Of a group if it were computed by its readers."""
        evaluations, copies = 0.0, 0
        readers = dict.fromkeys(reader for var in group.full for reader in self._readers.get(var, ()))
        for reader in sorted(readers, key=lambda g: g.number):
            points = capacity(size(reader.space.shape))
            times, written = self.repeated.get(reader, (points, 1))
            accesses = (read for eqn in reader.eqns for read in self._fuser.accesses_of[eqn])
            reads = len({tuple(map(loops.position_key, essential(r.at))) for r in accesses if r.var in group.full})
            evaluations += times * max(reads, self._fuser._reads_of(reader))
            copies += written * reads
        return evaluations, copies


def columns_of(shape: tuple, width: Any) -> int | None:
    """The first of the last axes that have `width` elements together, if there are such."""
    for axis in range(len(shape), -1, -1):
        if identity(size(shape[axis:])) == identity(width):
            return axis
    return None


def _extents(space: Space) -> tuple:
    """The lengths of the axes longer than 1, told apart where they are the same by chance."""
    return tuple(identity(extent) for extent in space.shape if extent != 1)


def _axes(space: Space) -> tuple[int, ...]:
    """The reduced axes, counted without axes of length 1."""
    numbers = [axis for axis, extent in enumerate(space.shape) if extent != 1]
    return tuple(numbers.index(axis) for axis in space.reduced if axis in numbers)


def _offset(read: Access, var: Var, index: tuple) -> int | None:
    """Where in its operand a view starts, if its elements lie there in the same order."""
    if read.var.aval.dtype != var.aval.dtype or not size(var.aval.shape):
        return None
    constant, terms = loops.linear_terms(loops.row_major(read.at, read.var.aval.shape))
    base, wanted = loops.linear_terms(loops.row_major(index, var.aval.shape))
    return constant - base if terms == wanted else None


def _depth_first(steps: Sequence[Step], needs: Callable[[Step], list[Step]]) -> list[Step]:
    """The steps in their order, but each after what it needs."""
    ordered: dict[Step, None] = {}
    begun: set[Step] = set()
    stack = list(reversed(steps))
    while stack:
        step = stack[-1]
        waiting = [] if step in ordered else [other for other in needs(step) if other not in ordered]
        if not waiting:
            ordered[stack.pop()] = None
        elif step in begun:
            raise CompilerError("steps of a fused program wait for each other", fix="please report it")
        else:
            begun.add(step)
            stack += waiting
    return list(ordered)
