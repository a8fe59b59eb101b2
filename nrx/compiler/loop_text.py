"""Kernels of the loop IR as text, for people: one line a statement, values that are used more than once by name.

kernel sum(x: f32, y: f32): 128 tasks
  lanes i0 < 1024, s0 = 0.0
    s0 = s0 + x[1024 * task + i0]
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from nrx.core.loops import (
    Buffer,
    Copy,
    Expr,
    If,
    Kernel,
    Lanes,
    Let,
    Loop,
    Matrix,
    Products,
    Rows,
    Store,
    Transpose,
    While,
)

_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%", "and": "&", "or": "|", "xor": "^", "shl": "<<",
    "lshr": ">>>", "ashr": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "floordiv": "//", "mod": "%",
}  # fmt: skip


def kernel_text(kernel: Kernel) -> str:
    """The kernel as text."""
    return "\n".join(_Printer(kernel).lines())


class _Printer:
    """Fields: names: of what has a name; uses: how often each Expr is used."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.names: dict[Any, str] = {kernel.task: "task"}
        self.numbers: Counter[str] = Counter()
        self.uses: Counter[Expr] = Counter()
        self.out: list[str] = []
        self.depth = 0

    def lines(self) -> list[str]:
        k = self.kernel
        for number, dim in enumerate(k.dims):
            self.names[dim] = f"n{number}"
        self._count(_roots(k.body))
        buffers = ", ".join(f"{'readonly ' * b.readonly}{self.buffer(b)}: {b.type}" for b in k.buffers)
        tasks = "1 task" if k.tasks == 1 else f"{k.tasks if isinstance(k.tasks, int) else self.text(k.tasks)} tasks"
        self.line(f"kernel {k.name}({buffers}): {tasks}, cost {k.cost:g}")
        self.block(k.body)
        return self.out

    def _count(self, roots: Iterator[Expr]) -> None:
        seen: set[Expr] = set()
        stack = list(roots)
        self.uses.update(stack)
        while stack:
            e = stack.pop()
            if e not in seen:
                seen.add(e)
                self.uses.update(e.args)
                stack.extend(e.args)

    def line(self, text: str) -> None:
        self.out.append("  " * self.depth + text)

    def fresh(self, prefix: str) -> str:
        self.numbers[prefix] += 1
        return f"{prefix}{self.numbers[prefix] - 1}"

    def buffer(self, buffer: Buffer) -> str:
        """Buffers by their names, and a number where several have the same."""
        if buffer not in self.names:
            taken = buffer.name in self.names.values()
            self.names[buffer] = self.fresh(f"{buffer.name}_") if taken else buffer.name
        return self.names[buffer]

    def text(self, root: Expr) -> str:
        """An expression; what it shares with others is given a name in lines of its own first."""
        stack = [(root, False)]
        texts: dict[Expr, str] = {}
        while stack:
            e, ready = stack.pop()
            if e in texts or e in self.names:
                continue
            if not ready:
                stack.append((e, True))
                stack.extend((a, False) for a in reversed(e.args))
                continue
            text = self.node(e, [self.names.get(a) or texts[a] for a in e.args])
            if self.uses[e] > 1 and e.args and e is not root:
                self.names[e] = self.fresh("v")
                self.line(f"{self.names[e]}: {e.type} = {text}")
            else:
                texts[e] = text
        return self.names.get(root) or texts[root]

    def node(self, e: Expr, args: list[str]) -> str:
        if e.op == "const":
            return f"{e.attr}"
        if e.op == "result":
            return self.names.get(e.attr, "?")
        if e.op == "load":
            return f"{self.buffer(e.attr)}[{args[0]}]"
        if e.op == "linear":
            terms = [a if c == 1 else f"{c} * {a}" for a, c in zip(args, e.attr[1], strict=True)]
            return "(" + " + ".join(terms + [str(e.attr[0])] * bool(e.attr[0])) + ")"
        if e.op in ("floordiv", "mod"):
            return f"({args[0]} {_SIGNS[e.op]} {e.attr})"
        if e.op in _SIGNS:
            return f"({args[0]} {_SIGNS[e.op]} {args[1]})"
        if e.op in ("convert", "bitcast"):
            return f"{e.op}<{e.type}>({args[0]})"
        return f"{e.op}({', '.join(args)})"

    # Statements

    def block(self, statements: Sequence[Any]) -> None:
        known = dict(self.names)
        self.depth += 1
        for s in statements:
            getattr(self, f"_{type(s).__name__.lower()}")(s)
        self.depth -= 1
        # Names given inside mean nothing outside, but for those of buffers.
        self.names = {**{key: name for key, name in self.names.items() if isinstance(key, Buffer)}, **known}

    def inside(self, body: Sequence[Any], names: Sequence[str], finals: Sequence[Expr]) -> None:
        """A body, and what its results are called."""
        self.block([*body, _Assign(names, finals)])

    def _assign(self, s: "_Assign") -> None:
        for name, value in zip(s.names, s.values, strict=True):
            self.line(f"{name} = {self.text(value)}")

    def carry(self, s: Any, carried: Sequence[Expr]) -> list[str]:
        """Names for what a loop carries; the line that says what it begins with."""
        names = [self.fresh("s") for _ in s.inits]
        for number, name in enumerate(names):
            self.names[(s, number)] = name
        self.names.update(zip(carried, names, strict=False))
        return names

    def starts(self, s: Any, names: Sequence[str]) -> str:
        return "".join(f", {name} = {self.text(x)}" for name, x in zip(names, s.inits, strict=True))

    def _store(self, s: Store) -> None:
        value, position = self.text(s.value), self.text(s.position)
        self.line(f"{self.buffer(s.buffer)}[{position}] = {value}")

    def _let(self, s: Let) -> None:
        text = f"{self.buffer(s.value.attr)}[{self.text(s.value.args[0])}]"
        self.names[s.value] = self.fresh("v")
        self.line(f"{self.names[s.value]}: {s.value.type} = {text}")

    def _loop(self, s: Loop | Lanes) -> None:
        carried = s.carried if isinstance(s, Loop) else [Expr("carried", x.type) for x in s.inits]
        extent = self.text(s.extent)
        names = self.carry(s, carried)
        starts = self.starts(s, names)
        self.names[s.var] = self.fresh("i")
        self.line(f"{type(s).__name__.lower()} {self.names[s.var]} < {extent}{starts}")
        finals = s.finals if isinstance(s, Loop) else s.combine(carried, s.values) if s.combine is not None else []
        self.inside(s.body, names, finals)

    _lanes = _loop

    def _while(self, s: While) -> None:
        names = self.carry(s, s.carried)
        self.line(f"while{self.starts(s, names)}")
        assert s.condition is not None
        self.inside([*s.head, _Condition(s.condition), *s.body], names, s.finals)

    def _condition(self, s: "_Condition") -> None:
        self.line(f"break unless {self.text(s.condition)}")

    def _if(self, s: If) -> None:
        names = [self.fresh("s") for _ in s.then_values]
        for number, name in enumerate(names):
            self.names[(s, number)] = name
        self.line(f"if {self.text(s.condition)}")
        self.inside(s.then, names, s.then_values)
        if s.otherwise or s.otherwise_values:
            self.line("else")
            self.inside(s.otherwise, names, s.otherwise_values)

    def _copy(self, s: Copy) -> None:
        target, source = self.text(s.target_position), self.text(s.source_position)
        self.line(
            f"copy {self.text(s.count)} of {self.buffer(s.source)}[{source}] to {self.buffer(s.target)}[{target}]"
        )

    def _transpose(self, s: Transpose) -> None:
        target, source = (
            f"{self.buffer(b)}[{self.text(at)}, step {self.text(step)}]"
            for b, at, step in (
                (s.target, s.target_position, s.target_step), (s.source, s.source_position, s.source_step)
            )
        )  # fmt: skip
        self.line(f"transpose {self.text(s.rows)} x {self.text(s.columns)} of {source} to {target}")

    def _products(self, s: Products) -> None:
        def matrix(m: Matrix | Rows) -> str:
            if isinstance(m, Rows):
                table = f"{self.buffer(m.table)}[{self.text(m.first)}]"
                runs = f"{self.text(m.runs)} runs {m.run_step} apart, step {m.step}"
                return f"{self.buffer(m.buffer)}[{self.text(m.position)} + rows of {table}, {runs}]"
            row_step = m.row_step if isinstance(m.row_step, int) else self.text(m.row_step)
            return f"{self.buffer(m.buffer)}[{self.text(m.position)}, steps {row_step} {m.step}]"

        tile = f"{s.rows} x {self.text(s.depth)} x {s.columns}"
        known = f"({self.text(s.fresh)} ? 0 : itself)"
        self.line(f"products {tile}: {matrix(s.sums)} = {known} + {matrix(s.left)} {matrix(s.right)}")


class _Assign:
    """A pseudo-statement: names for values."""

    def __init__(self, names: Sequence[str], values: Sequence[Expr]):
        self.names, self.values = names, values


_Assign.__name__ = "assign"


class _Condition:
    """A pseudo-statement: where a while loop ends."""

    def __init__(self, condition: Expr):
        self.condition = condition


_Condition.__name__ = "condition"


def _roots(statements: Sequence[Any]) -> Iterator[Expr]:
    """The expressions that statements consist of."""
    for s in statements:
        if isinstance(s, Store):
            yield from (s.position, s.value)
        elif isinstance(s, Let):
            yield from s.value.args
        elif isinstance(s, Loop):
            yield from (s.extent, *s.inits, *s.finals)
            yield from _roots(s.body)
        elif isinstance(s, Lanes):
            yield from (s.extent, *s.inits, *s.values)
            yield from _roots(s.body)
        elif isinstance(s, While):
            yield from (*s.inits, *s.finals, *([s.condition] if s.condition is not None else []))
            yield from _roots([*s.head, *s.body])
        elif isinstance(s, If):
            yield from (s.condition, *s.then_values, *s.otherwise_values)
            yield from _roots([*s.then, *s.otherwise])
        elif isinstance(s, Copy):
            yield from (s.target_position, s.source_position, s.count)
        elif isinstance(s, Transpose):
            yield from (s.target_position, s.target_step, s.source_position, s.source_step, s.rows, s.columns)
        elif isinstance(s, Products):
            yield from (*(m.position for m in (s.sums, s.left, s.right)), s.sums.row_step, s.depth, s.fresh)
            yield from (s.left.first, s.left.runs) if isinstance(s.left, Rows) else ()
