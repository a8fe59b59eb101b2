"""Scheduling: a group of fused equations becomes loops.

Tasks run over the kept axes, vector lanes over the last axis. Where that is a reduced axis, every task sweeps its row
once for each level of reductions (softmax: maximum, sum, quotient); where it is a kept one, each lane runs down its own
column. Few long rows are split: one kernel makes partial results, a second combines them. How the work is cut depends
on the shapes only, so that the number of threads cannot change a bit.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from nrx.compiler.accesses import Accesses, space_of
from nrx.compiler.elements import Elements, Source
from nrx.compiler.fuse import Fused, Group
from nrx.core import loops
from nrx.core.aval import Aval
from nrx.core.dims import Dim, capacity, identity, room, typical
from nrx.core.dtypes import from_short_name
from nrx.core.loops import Builder, Elementwise, Expr, Kernel, Operand, Reduction, Value
from nrx.core.program import Eqn, Var
from nrx.core.shapes import size

_BLOCK = 4096
_SHORT_ROW = 256
_COLUMNS = 1024
_FEWEST_COLUMNS = 128
_ROWS = 4
_FEWEST_TASKS = 8
_SPLIT_SIZE = 1 << 16
_CHUNK = 1 << 12  # short, since each lane adds up its part in order
_MOST_CHUNKS = 1 << 12
_MOST_SUMMED = 1 << 8  # rows that are added up in order, where 64 chunks are enough for the threads
_ENOUGH_CHUNKS = 64
_SAVED_COST = 8
_LONGEST_SAVED = 1 << 12
_MOST_SAVED = 96 << 10  # bytes


class Launch:
    """A kernel and what it runs on.

    Fields:
        kernel: the loops.
        arguments: the variable behind each of the kernel's buffers.
        writes: those that it writes.
        in_place: those read only at the point at which results are written, once: their memory may become a result's.
        early: a variable that is written before: its memory is none of those.
    """

    def __init__(
        self, kernel: Kernel, arguments: list[Var], writes: set[Var], in_place: set[Var], early: Var | None = None
    ):
        self.kernel, self.arguments, self.writes, self.in_place = kernel, arguments, writes, in_place
        self.early = early


def schedule(group: Group, fused: Fused) -> list[Launch]:
    """The kernels of a group."""
    if not size(tuple(group.space.shape[axis] for axis in group.space.kept)):
        return []
    plan = Plan(group, fused)
    if plan.is_split():
        return _split(plan)
    return [_whole(plan)]


class KernelElements(Elements):
    """Elements of a kernel: what lies in memory becomes an argument of the kernel when it is first read.

    What a result may overwrite is loaded where it is first asked for, in front of the stores; other loads may move.
    """

    def __init__(self, b: Builder, fused: Fused, own: set[Var], overwritten: Collection[Var] = ()):
        super().__init__(b, fused.made_by, fused.rule_of)
        self.arguments: list[Var] = []
        self.operands: dict[Var, Operand] = {}
        self._fused, self._own, self._overwritten = fused, own, set(map(fused.owner, overwritten))

    def _compute(self, var: Var, index: tuple) -> Any:
        if var not in self.sources and var not in self._own and self._fused.in_memory(var, self._own):
            operand = self.argument(var, readonly=self._fused.owner(var) not in self._overwritten)
            self.sources[var] = lambda index: operand(*index)
        return super()._compute(var, index)

    def argument(self, var: Any, readonly: bool = False) -> Operand:
        """The memory of a variable, as an argument of the kernel."""
        if var not in self.operands:
            name = f"{'in' if readonly else 'out'}{len(self.arguments)}"
            buffer = self.b.buffer(name, loops.type_of(var.aval.dtype), readonly)
            self.arguments.append(var)
            self.operands[var] = Operand(self.b, buffer, var.aval)
        return self.operands[var]


class Plan:
    """What all ways of scheduling a group need to know of it; it is given the elements of the variables in `taken`."""

    def __init__(self, group: Group, fused: Fused, taken: Iterable[Var] = ()):
        self.group, self.fused = group, fused
        self.space = group.space
        self.own = {*taken, *(var for eqn in group.eqns for var in eqn.outs)}
        self.at_points = {*taken, *group.full}
        self.symbols = fused.symbols.index(self.space.shape)
        self.positions, self.in_place = self._reads()
        kept = [axis for axis in self.space.kept if self.space.shape[axis] != 1]
        reduced = [axis for axis in self.space.reduced if self.space.shape[axis] != 1]
        self.kept, self.reduced = self._collapsed(kept), self._collapsed(reduced)
        last = max((*kept, *reduced), default=-1)
        self.by_rows = last in reduced
        self.levels = self._levels()
        self.cost = sum(_cost(fused.rule_of(eqn)) for eqn in group.eqns) + len(group.outs)

    @property
    def name(self) -> str:
        """Of the kernel, for printing."""
        return "_".join(dict.fromkeys(eqn.prim.name for eqn in self.group.eqns[-4:]))

    def by_columns(self, sweeper: "Sweeper") -> bool:
        """Whether columns are reduced side by side: there are many, and no second sweep."""
        return bool(self.reduced) and sweeper.sweeps == 1 and capacity(self.extent(self.kept[-1:])) >= _FEWEST_COLUMNS

    def extent(self, axes: Sequence[tuple[int, ...]]) -> Any:
        """The number of points of collapsed axes."""
        return size(tuple(self.space.shape[axis] for part in axes for axis in part))

    def is_split(self) -> bool:
        """Whether there are too few rows to keep threads busy."""
        rows = self.extent(self.kept)
        lanes = 1 if self.by_rows or not self.kept else -(-self.extent(self.kept[-1:]) // _COLUMNS)
        tasks = capacity(rows if self.by_rows or not self.kept else self.extent(self.kept[:-1]) * lanes)
        late = any(level and not is_row for level, is_row in self.levels.values())
        is_large = typical(size(self.space.shape)) >= _SPLIT_SIZE
        return bool(self.reduced) and tasks < _FEWEST_TASKS and is_large and not late

    def _reads(self) -> tuple[list[Expr], set[Var]]:
        """The positions at which memory is read, and what is read at the point of the space only."""
        accesses = Accesses(
            self.fused.made_by, self.fused.rule_of, lambda v: v in self.own or self.fused.in_memory(v, self.own)
        )
        accesses.symbols = self.fused.symbols
        positions: list[Expr] = []
        same: set[Var] = set()
        other: set[Var] = set()
        own_position = loops.linear_terms(loops.row_major(self.symbols, self.space.shape))
        for eqn in self.group.eqns:
            if not self.group.rows.isdisjoint(eqn.outs) and not isinstance(self.fused.rule_of(eqn), Reduction):
                other.update(atom for atom in eqn.inputs if isinstance(atom, Var))
                continue
            for read in accesses.through(self.fused.accesses_of[eqn]):
                if read.var in self.own:
                    continue
                position = loops.row_major(read.at, read.var.aval.shape)
                positions.append(position)
                (same if loops.linear_terms(position) == own_position else other).add(read.var)
        elsewhere = set(map(self.fused.owner, other))
        alone = {var for var in same if self.fused.owner(var) not in elsewhere}
        return positions, set() if self.space.reduced else alone

    def _collapsed(self, axes: list[int]) -> list[tuple[int, ...]]:
        """Adjacent axes that every access walks as if they were one."""
        parts: list[tuple[int, ...]] = []
        for axis in axes:
            if parts and parts[-1][-1] == self._axis_before(axis) and self._are_one(parts[-1][-1], axis):
                parts[-1] += (axis,)
            else:
                parts.append((axis,))
        return parts

    def _axis_before(self, axis: int) -> int:
        """The axis in front, those of length 1 left out."""
        return max((a for a in range(axis) if self.space.shape[a] != 1), default=-1)

    def _are_one(self, outer: int, inner: int) -> bool:
        a, b = self.symbols[outer], self.symbols[inner]
        for position in self.positions:
            _, terms = loops.linear_terms(position)
            if terms.get(a, 0) != terms.get(b, 0) * self.space.shape[inner]:
                return False
            if any(atom.op != "var" and _mentions(atom, (a, b)) for atom in terms):
                return False
        return True

    def _levels(self) -> dict[Eqn, tuple[int, bool]]:
        """For each equation the sweep in which its values are known, and whether they are one a row."""
        known: dict[Var, tuple[int, bool]] = {}
        levels = {}
        for eqn in self.group.eqns:
            level = 0
            for read in self.fused.accesses_of[eqn]:
                if read.var in known and read.var in self.own:
                    number, is_row = known[read.var]
                    level = max(level, number)
            is_reduction = isinstance(self.fused.rule_of(eqn), Reduction)
            is_row = is_reduction or not self.group.rows.isdisjoint(eqn.outs)
            levels[eqn] = (level, is_row)
            known.update(dict.fromkeys(eqn.outs, (level + is_reduction, is_row)))
        return levels

    def index(self, shape: tuple, kept: dict[int, Any], reduced: dict[int, Any]) -> tuple:
        """The index into an array whose essential axes are those of the space: full, or the kept ones."""
        points = {**kept, **reduced}
        all_axes = [axis for axis, extent in enumerate(self.space.shape) if extent != 1]
        if tuple(e for e in shape if e != 1) != tuple(self.space.shape[axis] for axis in all_axes):
            all_axes = [axis for axis in all_axes if axis in kept]
        values = iter([points[axis] for axis in all_axes])
        zero = loops.const(0, "i64")
        return tuple(zero if extent == 1 else next(values) for extent in shape)

    def unravel(self, parts: Sequence[tuple[int, ...]], position: Any) -> dict[int, Any]:
        """The index of every axis at a position of collapsed axes."""
        extents = [self.extent([part]) for part in parts]
        points: dict[int, Any] = {}
        for part, at in zip(parts, loops.unravel(position, extents), strict=True):
            shape = tuple(self.space.shape[axis] for axis in part)
            points.update(zip(part, loops.unravel(at, shape), strict=True))
        return points


def _mentions(expr: Expr, symbols: tuple) -> bool:
    return expr in symbols or any(_mentions(arg, symbols) for arg in expr.args)


def _cost(rule: Any) -> float:
    return 1.0 if isinstance(rule, Reduction) else rule.cost


class Sweeper:
    """Builds the statements that compute a group at given kept indices."""

    def __init__(self, plan: Plan, b: Builder, elements: KernelElements, store_points: bool = True):
        self.plan, self.b, self.elements = plan, b, elements
        self.outs = [var for var in plan.group.outs if var in plan.at_points and store_points]
        self.row_outs = [var for var in plan.group.outs if var in plan.group.rows]
        self.made_by = plan.fused.made_by
        for var in self.outs:
            elements.argument(var)
        self.needed = [self._needed(level) for level in range(self.sweeps)]

    def reductions(self, level: int) -> list[Eqn]:
        """The equations reduced in a sweep."""
        return [
            eqn
            for eqn, (number, _) in self.plan.levels.items()
            if number == level and isinstance(self.plan.fused.rule_of(eqn), Reduction)
        ]

    @property
    def sweeps(self) -> int:
        """How often the reduced axes are run through."""
        used = [n for eqn, (n, is_row) in self.plan.levels.items() if not is_row or self._is_reduction(eqn)]
        return max(used, default=0) + 1

    def _is_reduction(self, eqn: Eqn) -> bool:
        return isinstance(self.plan.fused.rule_of(eqn), Reduction)

    def level_of(self, var: Var) -> int:
        return self.plan.levels.get(self.made_by[var], (0, False))[0]

    def point(self, level: int, kept: dict, reduced: dict) -> list[Expr]:
        """Store what is known in a sweep at one point; the values to accumulate there."""
        values: list[Expr] = []
        self._compute(level, kept, reduced)
        for eqn in self.reductions(level):
            rule = self.plan.fused.rule_of(eqn)
            space = space_of(eqn, rule)
            index = self.plan.index(space.shape, kept, reduced)
            at = tuple(index[axis] for axis in space.kept)
            order = rule.axes if rule.extents is None else space.reduced
            values += self.elements.element(eqn, rule, at, tuple(index[axis] for axis in order))
        for var in self.outs:
            if self.level_of(var) == level:
                index = self.plan.index(var.aval.shape, kept, reduced)
                target = self.elements.operands[var]
                target.put(target.position(*index), self.elements.at(var, index))
        return values

    def _compute(self, level: int, kept: dict, reduced: dict) -> None:
        """Compute what a sweep needs at one point, first things first: asked from the end, chains would nest deeply."""
        for eqn in self.needed[level]:
            for var in eqn.outs:
                if var in self.plan.group.full:
                    self.elements.at(var, self.plan.index(var.aval.shape, kept, reduced))

    def _needed(self, level: int) -> list[Eqn]:
        """The equations whose elements a sweep needs at each of its points, in order."""
        wanted = {var for var in self.outs if self.level_of(var) == level}
        wanted.update(read.var for eqn in self.reductions(level) for read in self.plan.fused.accesses_of[eqn])
        needed = []
        for eqn, (_, is_row) in reversed(self.plan.levels.items()):
            if not is_row and not wanted.isdisjoint(eqn.outs):
                needed.append(eqn)
                wanted.update(read.var for read in self.plan.fused.accesses_of[eqn])
        return needed[::-1]

    def inits(self, level: int) -> list[Expr]:
        rules = [self.plan.fused.rule_of(eqn) for eqn in self.reductions(level)]
        return [loops.const(value, type) for rule in rules for value, type in rule.inits]

    def combine(self, level: int) -> Callable:
        """Combines the accumulated values of all reductions of a sweep."""
        rules = [self.plan.fused.rule_of(eqn) for eqn in self.reductions(level)]

        def combine(first: Sequence[Expr], second: Sequence[Expr]) -> list[Expr]:
            out, start = [], 0
            for rule in rules:
                end = start + len(rule.inits)
                out += rule.combine(first[start:end], second[start:end])
                start = end
            return out

        return combine

    def finish(self, level: int, results: Sequence[Expr]) -> None:
        """The reductions of a sweep are known: later equations read them."""
        start = 0
        for eqn in self.reductions(level):
            rule = self.plan.fused.rule_of(eqn)
            end = start + len(rule.inits)
            value = self._rounded(rule.finish(results[start:end]), eqn.outs[0])
            self.elements.sources[eqn.outs[0]] = _always(value)
            start = end

    def complete(self, results: Sequence[Expr], kept: dict) -> None:
        """All reductions are known at an index: store what there is once a row."""
        self.finish(0, results)
        self.store_rows(kept)

    def _rounded(self, value: Any, var: Var) -> Any:
        return value if isinstance(value, loops.Complex) else loops.convert(value, loops.type_of(var.aval.dtype))

    def store_rows(self, kept: dict) -> None:
        """Store what there is once a row."""
        for var in self.row_outs:
            target = self.elements.argument(var)
            index = self.plan.index(var.aval.shape, kept, {})
            target.put(target.position(*index), self.elements.at(var, index))

    def save(self, level: int, kept: dict, reduced: dict, position: Any) -> None:
        """Keep what later sweeps need again and is dear to compute."""
        for var, scratch in self.saved.items():
            if self.level_of(var) == level:
                index = self.plan.index(var.aval.shape, kept, reduced)
                scratch.put(position, self.elements.at(var, index))

    def prepare_saved(self, row: Any) -> None:
        """Choose the values to keep in scratch memory from one sweep for the later ones."""
        self.saved: dict[Var, Operand] = {}
        if not isinstance(row, int) or capacity(row) > _LONGEST_SAVED or self.sweeps == 1:
            return
        most, left = room(row), _MOST_SAVED
        for eqn, (level, is_row) in self.plan.levels.items():
            rule = self.plan.fused.rule_of(eqn)
            if is_row or not isinstance(rule, Elementwise) or rule.cost < _SAVED_COST or eqn.prim.multiple_results:
                continue
            var = eqn.outs[0]
            if not any(number > level and self._uses(other, var) for other, (number, _) in self.plan.levels.items()):
                continue
            type = loops.type_of(var.aval.dtype)
            left -= most * var.aval.dtype.itemsize
            if type not in ("c64", "c128") and left >= 0:
                self.saved[var] = Operand(self.b, self.b.scratch(type, most), Aval((most,), var.aval.dtype))

    def _uses(self, eqn: Eqn, var: Var) -> bool:
        return any(read.var is var for read in self.plan.fused.accesses_of[eqn])

    def read_saved(self, level: int, position: Any) -> None:
        """From here on, what was kept before `level` is read back at `position`."""
        for var, scratch in self.saved.items():
            if self.level_of(var) < level:
                self.elements.sources[var] = _always_at(scratch, position)


def _always(value: Value) -> Source:
    """The same element at every index."""
    return lambda index: value


def _always_at(memory: Operand, position: Any) -> Source:
    return lambda index: memory.at(position)


def _whole(plan: Plan) -> Launch:
    """One kernel for the whole group."""
    b = Builder(plan.name)
    elements = KernelElements(b, plan.fused, plan.own, plan.in_place if len(plan.group.outs) > 1 else ())
    sweeper = Sweeper(plan, b, elements)
    if plan.by_rows:
        kept = plan.unravel(plan.kept, _tasks(b, plan.extent(plan.kept)))
        _sweep_rows(plan, b, sweeper, kept)
        b.kernel.cost = plan.cost * plan.extent(plan.reduced) * sweeper.sweeps
    else:
        _over_lanes(plan, b, sweeper)
    return Launch(b.kernel, elements.arguments, set(plan.group.outs), plan.in_place)


def _tasks(b: Builder, count: Any) -> Any:
    return loops.const(0, "i64") if identity(count) == 1 else b.parallel(count)


def _sweep_rows(plan: Plan, b: Builder, sweeper: Sweeper, kept: dict) -> None:
    """Run through one row with vector lanes, once for every level, then store what there is once a row."""
    *outer, lane = plan.reduced
    row = plan.extent(plan.reduced)
    sweeper.prepare_saved(row if not outer else None)
    for level in range(sweeper.sweeps):
        combine = sweeper.combine(level)

        def lanes(points: dict, level: int = level, combine: Callable = combine) -> list[Expr]:
            def body(i: Expr) -> list[Expr]:
                reduced = {**points, **plan.unravel([lane], i)}
                sweeper.read_saved(level, i)
                values = sweeper.point(level, kept, reduced)
                sweeper.save(level, kept, reduced, i)
                return values

            inits = sweeper.inits(level)
            return b.lanes(plan.extent([lane]), body, inits, combine if inits else None)

        if outer:
            results = b.loop(
                plan.extent(outer), sweeper.inits(level),
                lambda i, *acc, combine=combine, lanes=lanes: combine(acc, lanes(plan.unravel(outer, i))),
            )  # fmt: skip
        else:
            results = lanes({})
        sweeper.finish(level, results)
    sweeper.store_rows(kept)


def _over_lanes(plan: Plan, b: Builder, sweeper: Sweeper) -> None:
    """Vector lanes over the last kept axis; each runs down its own column, if there are reduced axes."""
    sweeper.prepare_saved(None)
    if not plan.kept:
        _columns(plan, b, sweeper, {})
        return
    *outer, lane = plan.kept
    rows, extent = plan.extent(outer), plan.extent([lane])
    block = _COLUMNS if plan.reduced else _BLOCK
    most = capacity(extent)
    is_cut = most > 2 * block or (bool(plan.reduced) and most > block)
    blocks = -(-extent // block) if is_cut else 1
    if not plan.reduced and most <= _SHORT_ROW and capacity(plan.extent(outer[:-1])) >= _FEWEST_TASKS:
        _over_short_rows(plan, b, sweeper)
        return
    task = _tasks(b, rows * blocks)
    row, number = (loops.floordiv(task, blocks), loops.mod(task, blocks)) if outer else (0, task)
    start = number * block if is_cut else 0
    lanes_extent: Any = block if is_cut else extent
    if is_cut and (isinstance(extent, Dim) or extent % block):
        lanes_extent = loops.apply("min", loops.const(block, "i64"), loops.const(extent, "i64") - start)
    points = plan.unravel(outer, row) if outer else {}

    def kept(i: Expr) -> dict:
        return {**points, **plan.unravel([lane], i + start)}

    if plan.by_columns(sweeper):
        _run_down(
            b, sweeper, lanes_extent, plan.extent(plan.reduced),
            lambda i, j: sweeper.point(0, kept(i), plan.unravel(plan.reduced, j)),
            lambda results, i: sweeper.complete(results, kept(i)),
        )  # fmt: skip
    else:
        b.lanes(lanes_extent, lambda i: _columns(plan, b, sweeper, kept(i)))
    b.kernel.cost = plan.cost * plan.extent(plan.reduced) * min(extent, block if is_cut else extent)


def _over_short_rows(plan: Plan, b: Builder, sweeper: Sweeper) -> None:
    """A task runs through many rows, which saves it the divisions that tell where each is."""
    *outer, row, lane = plan.kept
    points = plan.unravel(outer, _tasks(b, plan.extent(outer)))

    def run(j: Expr) -> None:
        kept = {**points, **plan.unravel([row], j)}
        b.lanes(plan.extent([lane]), lambda i: _columns(plan, b, sweeper, {**kept, **plan.unravel([lane], i)}))

    b.loop(plan.extent([row]), [], run)
    b.kernel.cost = plan.cost * plan.extent([row, lane])


def _run_down(b: Builder, sweeper: Sweeper, columns: Any, rows: Any, point: Callable, done: Callable) -> None:
    """Reduce columns side by side, row after row as they lie in memory; what is accumulated stays in the cache.

    Args:
        columns, rows: how many.
        point: the values to accumulate at a column and a row.
        done: takes the results and the number of each column.
    """
    inits, combine = sweeper.inits(0), sweeper.combine(0)
    most = capacity(columns) if isinstance(columns, int) else _COLUMNS
    sums = [b.scratch(init.type, most) for init in inits]

    def begin(i: Expr) -> None:
        for memory, init in zip(sums, inits, strict=True):
            b.store(memory, i, init)

    def add_rows(first: Any, count: int) -> list[Expr]:
        def body(i: Expr) -> None:
            values: Sequence[Expr] = [b.load(memory, i) for memory in sums]
            for number in range(count):
                values = combine(values, point(i, first + number))
            for memory, value in zip(sums, values, strict=True):
                b.store(memory, i, value)

        return b.lanes(columns, body)

    b.lanes(columns, begin)
    rows = loops.const(rows, "i64") if isinstance(rows, Dim) else rows
    whole = loops.floordiv(rows, _ROWS)
    b.loop(whole, [], lambda j: add_rows(j * _ROWS, _ROWS))
    b.loop(loops.mod(rows, _ROWS), [], lambda j: add_rows(j + whole * _ROWS, 1))
    b.lanes(columns, lambda i: done([b.load(memory, i) for memory in sums], i))


def _columns(plan: Plan, b: Builder, sweeper: Sweeper, kept: dict) -> None:
    """One point of the kept axes: run through the reduced ones in order."""
    if not plan.reduced and not sweeper.reductions(0):
        sweeper.point(0, kept, {})
        sweeper.store_rows(kept)
        return
    for level in range(sweeper.sweeps):
        combine = sweeper.combine(level)
        results = b.loop(
            plan.extent(plan.reduced), sweeper.inits(level),
            lambda i, *acc, level=level, combine=combine: combine(
                acc, sweeper.point(level, kept, plan.unravel(plan.reduced, i))
            ),
        )  # fmt: skip
        sweeper.finish(level, results)
    sweeper.store_rows(kept)


def _split(plan: Plan) -> list[Launch]:
    """Two kernels: partial results of chunks of the reduced axes, and their combination."""
    first = Builder(plan.name + "_partial")
    elements = KernelElements(first, plan.fused, plan.own)
    sweeper = Sweeper(plan, first, elements)
    sweeper.prepare_saved(None)
    inits, combine = sweeper.inits(0), sweeper.combine(0)
    rows, reduced = plan.extent(plan.kept), plan.extent(plan.reduced)
    wanted = max(1, min(_MOST_CHUNKS, typical(size(plan.space.shape)) // _CHUNK))
    if not plan.by_rows:  # whose partial results are read again, column by column
        wanted = min(wanted, max(_ENOUGH_CHUNKS, typical(reduced) // _MOST_SUMMED))
    chunk, chunks, extent_of = _chunks(reduced, wanted)
    partial = [Var(Aval((chunks, rows), from_short_name(init.type))) for init in inits]
    targets = [elements.argument(var) for var in partial]
    task = _tasks(first, chunks * (rows if plan.by_rows else 1))
    number, row = (loops.floordiv(task, rows), loops.mod(task, rows)) if plan.by_rows else (task, None)
    start = number * chunk
    extent = extent_of(start)

    def point(kept: dict, i: Any) -> list[Expr]:
        return sweeper.point(0, kept, plan.unravel(plan.reduced, i + start))

    def keep(results: Sequence[Expr], at: Any) -> None:
        for target, value in zip(targets, results, strict=True):
            target.put(target.position(number, at), value)

    if plan.by_rows:
        points = plan.unravel(plan.kept, row)
        keep(first.lanes(extent, lambda i: point(points, i), inits, combine), row)
    elif plan.by_columns(sweeper) and len(plan.kept) == 1:
        _run_down(first, sweeper, rows, extent, lambda i, j: point(plan.unravel(plan.kept, i), j), keep)
    else:

        def column(i: Expr) -> None:
            points = plan.unravel(plan.kept, i)
            keep(first.loop(extent, inits, lambda j, *acc: combine(acc, point(points, j))), i)

        first.lanes(rows, column)
    first.kernel.cost = plan.cost * -(-int(reduced) // chunks) * (1 if plan.by_rows else rows)
    writes = {*partial, *sweeper.outs}
    return [Launch(first.kernel, elements.arguments, writes, set()), _combination(plan, partial, chunks, rows)]


def _chunks(reduced: Any, wanted: int) -> tuple[Any, int, Callable[[Any], Any]]:
    """The length of a chunk, the number of chunks, and the length of the one that starts at a position."""
    if not isinstance(reduced, Dim):
        chunk = -(-reduced // wanted)
        if reduced % chunk == 0:
            return chunk, reduced // chunk, lambda start: chunk
        return chunk, -(-reduced // chunk), lambda start: loops.apply("min", loops.const(reduced, "i64") - start, chunk)
    count = 1 << (wanted.bit_length() - 1)  # the same for sizes of about the same magnitude
    length = loops.const(reduced, "i64")
    chunk = loops.floordiv(length + (count - 1), count)
    return chunk, count, lambda start: loops.apply("max", loops.apply("min", length - start, chunk), 0)


def _combination(plan: Plan, partial: list[Var], chunks: int, rows: int) -> Launch:
    """The kernel that combines partial results and computes what there is once a row."""
    b = Builder(plan.name + "_combined")
    elements = KernelElements(b, plan.fused, plan.own)
    sweeper = Sweeper(plan, b, elements, store_points=False)
    sources = [elements.argument(var, readonly=True) for var in partial]
    combine = sweeper.combine(0)

    def parts(chunk: Any, row: Any) -> list[Any]:
        return [source(chunk, row) for source in sources]

    def column(row: Any) -> None:
        results = b.loop(chunks, sweeper.inits(0), lambda c, *acc: combine(acc, parts(c, row)))
        sweeper.finish(0, results)
        sweeper.store_rows(plan.unravel(plan.kept, row))

    if rows == 1:
        zero = loops.const(0, "i64")
        sums = b.lanes(chunks, lambda c: parts(c, zero), sweeper.inits(0), combine)
        sweeper.complete(sums, plan.unravel(plan.kept, zero))
    else:
        b.lanes(rows, column)
    b.kernel.cost = 4.0 * chunks * rows
    return Launch(b.kernel, elements.arguments, set(sweeper.row_outs), set())
