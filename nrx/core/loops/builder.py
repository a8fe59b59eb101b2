"""Statements of the loop IR, and the builder that lowering rules call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from nrx.core.loops.expressions import REAL_TYPE, Expr, const, lifted


class Buffer:
    """Memory that a kernel reads or writes: `type` elements, addressed by one i64 position.

    Args:
        name: for printing.
        type: of the elements in memory: "f8e4m3fn"-like types and complex ones are stored, never computed with.
        readonly: nothing in the kernel writes it, so that loads may move.
        size: number of elements of scratch memory of one task; None for arguments.
    """

    __slots__ = ("name", "readonly", "size", "type")

    def __init__(self, name: str, type: str, readonly: bool = False, size: int | None = None):
        self.name = name
        self.type = type
        self.readonly = readonly
        self.size = size

    def __repr__(self) -> str:
        return self.name


class Var:
    """A loop's variable, counting from 0.

    Args:
        kind: "task", "loop" or "lane".
        extent: the number of iterations, an int or an i64 Expr.
    """

    __slots__ = ("extent", "kind")

    def __init__(self, kind: str, extent: Any):
        self.kind = kind
        self.extent = extent

    def __repr__(self) -> str:
        return f"{self.kind}<{self.extent}>"


class Store:
    """buffer[position] = value."""

    def __init__(self, buffer: Buffer, position: Expr, value: Expr):
        self.buffer, self.position, self.value = buffer, position, value


class Let:
    """A load from memory that the kernel writes: it happens here, between the stores around it."""

    def __init__(self, value: Expr):
        self.value = value


class Loop:
    """`extent` iterations in order, each from the carried values to new ones; the last are the results."""

    def __init__(self, var: Expr, extent: Any, inits: list[Expr], carried: list[Expr]):
        self.var, self.extent, self.inits, self.carried = var, extent, inits, carried
        self.body: list[Any] = []
        self.finals: list[Expr] = []


class Lanes:
    """`extent` iterations in vector lanes, in no particular order.

    What is accumulated: `combine(accumulated, value)`, both lists of Exprs, starting from `inits`, which must be
    neutral. The order is the compiler's, and the same in every run. `results` are scalars.
    """

    def __init__(self, var: Expr, extent: Any, inits: list[Expr], combine: Callable | None):
        self.var, self.extent, self.inits, self.combine = var, extent, inits, combine
        self.body: list[Any] = []
        self.values: list[Expr] = []


class While:
    """Iterations as long as `condition` holds."""

    def __init__(self, inits: list[Expr], carried: list[Expr]):
        self.inits, self.carried = inits, carried
        self.head: list[Any] = []
        self.condition: Expr | None = None
        self.body: list[Any] = []
        self.finals: list[Expr] = []


class If:
    """One of two branches; each gives as many values."""

    def __init__(self, condition: Expr):
        self.condition = condition
        self.then: list[Any] = []
        self.then_values: list[Expr] = []
        self.otherwise: list[Any] = []
        self.otherwise_values: list[Expr] = []


class Copy:
    """Copies `count` elements from one buffer to another; they do not overlap."""

    def __init__(self, target: Buffer, target_position: Any, source: Buffer, source_position: Any, count: Any):
        self.target, self.target_position = target, target_position
        self.source, self.source_position, self.count = source, source_position, count


class Transpose:
    """target[i + j * target_step] = source[i * source_step + j], counted from positions, for all i < rows, j < columns.

    The two matrices do not overlap. Positions and steps count whole elements, also complex ones. From bf16 to u32 each
    element is a pair: the step counts pairs.
    """

    def __init__(
        self, target: Buffer, target_position: Any, target_step: Any, source: Buffer, source_position: Any,
        source_step: Any, rows: Any, columns: Any,
    ):  # fmt: skip
        self.target, self.target_position, self.target_step = target, target_position, target_step
        self.source, self.source_position, self.source_step = source, source_position, source_step
        self.rows, self.columns = rows, columns


class Matrix(NamedTuple):
    """A matrix in memory: an element is at `position + row * row_step + column * step` of a buffer."""

    buffer: Buffer
    position: Any
    row_step: Any
    step: int = 1


class Rows(NamedTuple):
    """Rows anywhere in memory: element k of run i of row r is at position + table[first + r] + i * run_step + k * step.

    Fields:
        buffer, position: of the elements; where positions in the table count from.
        table, first: a buffer of i64.
        step, run_step, runs: from element to element, from run to run, and how many runs there are.
    """

    buffer: Buffer
    position: Any
    table: Buffer
    first: Any
    step: int
    run_step: int
    runs: Any


class Products:
    """A tile of sums of products, in registers.

        sums[r, c] = (0 if fresh else sums[r, c]) + sum over k < depth of left[r, k] * right[k, c]

    for all r < rows and c < columns. `depth` is positive; nothing overlaps. If right is of type u32, and sums are f32,
    factors are pairs of bf16, and a product is the sum of the two that they make: for processors that have pairs only.
    Steps count pairs, also where left is a buffer of bf16. If left is `Rows`, `depth` is that of a run.
    """

    def __init__(
        self, sums: Matrix, left: Matrix | Rows, right: Matrix, rows: int, columns: int, depth: Expr, fresh: Expr
    ):
        self.sums, self.left, self.right = sums, left, right
        self.rows, self.columns, self.depth, self.fresh = rows, columns, depth, fresh

    @property
    def is_paired(self) -> bool:
        return (self.sums.buffer.type, self.right.buffer.type) == ("f32", "u32")


class Registers(NamedTuple):
    """The vector registers of a processor.

    Fields:
        bits: how wide they are.
        number: how many.
        has_pairs: whether there are products of pairs of bf16, summed in f32.
    """

    bits: int
    number: int
    has_pairs: bool = False


FEW_REGISTERS = Registers(256, 16)


class Kernel:
    """A function over memory whose tasks may run in parallel.

    Fields:
        name: for printing.
        buffers: what it reads and writes, in the order of its arguments.
        dims: i64 arguments (symbolic dimensions), as Exprs of op "dim".
        tasks: the number of tasks, an int or an i64 Expr.
        task: the task's number, an Expr.
        body: statements.
        cost: of one task, in elementary operations; decides how many tasks one thread claims at a time. Infinite where
            it is not known.
        watch: the last buffer, of a kernel that can be interrupted: what is known of signals.
        looks: after how many iterations each of its long loops looks there.
    """

    def __init__(self, name: str):
        self.name = name
        self.buffers: list[Buffer] = []
        self.dims: list[Expr] = []
        self.tasks: Any = 1
        self.task = Expr("var", "i64", (), Var("task", 1))
        self.body: list[Any] = []
        self.cost: float = 1.0
        self.watch: Buffer | None = None
        self.looks: dict[Any, int] = {}


class Builder:
    """Makes the statements of a kernel; what a lowering rule calls.

    Args:
        name: of the kernel, for printing.
        registers: of the processor that it is for; they decide how large a tile of `products` should be, and of what.
    Fields:
        most_unrolled: so many terms of a sum are written one after another; more are a loop.
    """

    def __init__(self, name: str, registers: Registers = FEW_REGISTERS):
        self.most_unrolled: float = 16
        self.registers = registers
        self.kernel = Kernel(name)
        self._block = self.kernel.body

    const = staticmethod(const)

    def buffer(self, name: str, type: str, readonly: bool = False) -> Buffer:
        """One more argument of the kernel."""
        self.kernel.buffers.append(buffer := Buffer(name, type, readonly))
        return buffer

    def scratch(self, type: str, size: int) -> Buffer:
        """Memory of each task's own, uninitialised."""
        return Buffer(f"scratch{size}", type, size=size)

    def parallel(self, extent: Any) -> Expr:
        """Make the kernel one of `extent` tasks; the number of the one at hand. Once a kernel, before anything else."""
        self.kernel.tasks = extent
        self.kernel.task.attr.extent = extent
        return self.kernel.task

    @contextmanager
    def _inside(self, block: list) -> Iterator[None]:
        outer, self._block = self._block, block
        try:
            yield
        finally:
            self._block = outer

    def load(self, buffer: Buffer, position: Any) -> Expr:
        """The element at a position (of the real and imaginary parts, 2 * position and 2 * position + 1)."""
        value = Expr("load", REAL_TYPE.get(buffer.type, buffer.type), (lifted(position, self.kernel.task),), buffer)
        if not buffer.readonly:
            self._block.append(Let(value))
        return value

    def store(self, buffer: Buffer, position: Any, value: Expr) -> None:
        self._block.append(Store(buffer, lifted(position, self.kernel.task), value))

    def copy(self, target: Buffer, target_position: Any, source: Buffer, source_position: Any, count: Any) -> None:
        """memcpy of `count` elements."""
        numbers = [lifted(p, self.kernel.task) for p in (target_position, source_position, count)]
        self._block.append(Copy(target, numbers[0], source, numbers[1], numbers[2]))

    def transpose(
        self, target: Buffer, target_position: Any, target_step: Any, source: Buffer, source_position: Any,
        source_step: Any, rows: Any, columns: Any,
    ) -> None:  # fmt: skip
        """See `Transpose`."""
        at, step, source_at, source_step, rows, columns = (
            lifted(x, self.kernel.task)
            for x in (target_position, target_step, source_position, source_step, rows, columns)
        )
        self._block.append(Transpose(target, at, step, source, source_at, source_step, rows, columns))

    def products(
        self, sums: Matrix, left: Matrix | Rows, right: Matrix, rows: int, columns: int, depth: Any, fresh: Expr
    ) -> None:
        """See `Products`."""
        task = self.kernel.task
        sums = sums._replace(row_step=lifted(sums.row_step, task), position=lifted(sums.position, task))
        right, left = (
            right._replace(position=lifted(right.position, task)), left._replace(position=lifted(left.position, task))
        )  # fmt: skip
        if isinstance(left, Rows):
            left = left._replace(first=lifted(left.first, task), runs=lifted(left.runs, task))
        self._block.append(Products(sums, left, right, rows, columns, lifted(depth, task), fresh))

    def loop(self, extent: Any, inits: Sequence[Expr], body: Callable[..., Sequence[Expr] | None]) -> list[Expr]:
        """`body(i, *carried)` gives the next carried values; the last ones are the result."""
        var = Expr("var", "i64", (), Var("loop", extent))
        carried = [Expr("carried", x.type) for x in inits]
        statement = Loop(var, lifted(extent, self.kernel.task), list(inits), carried)
        with self._inside(statement.body):
            statement.finals = list(body(var, *carried) or ())
        return self._results(statement, inits)

    def lanes(
        self,
        extent: Any,
        body: Callable[[Expr], Sequence[Expr] | None],
        inits: Sequence[Expr] = (),
        combine: Callable[[Sequence[Expr], Sequence[Expr]], Sequence[Expr]] | None = None,
    ) -> list[Expr]:
        """`body(i)` in vector lanes; the values it gives are accumulated by `combine` from the neutral `inits`."""
        var = Expr("var", "i64", (), Var("lane", extent))
        statement = Lanes(var, lifted(extent, self.kernel.task), list(inits), combine)
        with self._inside(statement.body):
            statement.values = list(body(var) or ())
        return self._results(statement, inits)

    def while_(self, inits: Sequence[Expr], condition: Callable, body: Callable) -> list[Expr]:
        """`body(*carried)` as long as `condition(*carried)`; the last carried values."""
        carried = [Expr("carried", x.type) for x in inits]
        statement = While(list(inits), carried)
        with self._inside(statement.head):
            statement.condition = condition(*carried)
        with self._inside(statement.body):
            statement.finals = list(body(*carried))
        return self._results(statement, inits)

    def if_(
        self, condition: Expr, then: Callable[[], Sequence[Expr] | None], otherwise: Callable | None = None
    ) -> list[Expr]:
        """The values of the branch that is taken; only it runs."""
        statement = If(condition)
        with self._inside(statement.then):
            statement.then_values = list(then() or ())
        if otherwise is not None:
            with self._inside(statement.otherwise):
                statement.otherwise_values = list(otherwise() or ())
        return self._results(statement, statement.then_values)

    def _results(self, statement: Any, like: Sequence[Expr]) -> list[Expr]:
        self._block.append(statement)
        return [Expr("result", x.type, (), (statement, number)) for number, x in enumerate(like)]
