"""The driver: a Block as one native function that launches kernels, copies, loops and calls the host.

    i64 entry(ptr words)      words as `core.backend.NativeEntry` has them

The runtime table holds the addresses of everything outside: the pool's `parfor`, BLAS, callbacks, constants. Objects
hold no address of a process, so that they can be stored. A status other than 0 means that a callback has raised.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.compiler.plan import Block, Control, Host, Move, Place, Run, aligned
from nrx.core.dims import Dim
from nrx.core.loops import Expr, Kernel, Repeat, Scan, Switch

#: Words of the runtime table (see `compiler.runtime`), the first of which is `parfor`.
POOL, HOST, POLL, POLL_TICKS, FIRST_OWN = 1, 4, 5, 6, 16

_POLLED_COST = 50_000.0

OutPlace = tuple[int, int]

DECLARATIONS = """declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.readcyclecounter()
"""

#: Runs the tasks of a kernel by the pool, or alone where the grain is 0, and lets Python handle signals.
_PARAMETERS = "ptr %runtime, ptr %kernel, ptr %args, i64 %tasks, i64 %grain, ptr %watch"
_LAUNCH = f"""define internal i64 @launch({_PARAMETERS}) nounwind {{
start:
  %several = icmp ne i64 %grain, 0
  br i1 %several, label %shared, label %alone
shared:
  %parfor = load ptr, ptr %runtime
  %pool_at = getelementptr i64, ptr %runtime, i64 {POOL}
  %pool = load ptr, ptr %pool_at
  %status = call i64 %parfor(ptr %pool, ptr %kernel, ptr %args, i64 %tasks, i64 %grain, ptr %watch)
  br label %done
alone:
  call void %kernel(ptr %args, i64 0, i64 %tasks, i64 0)
  %stopped = load i64, ptr %watch
  br label %done
done:
  %found = phi i64 [ %status, %shared ], [ %stopped, %alone ]
  %bad = icmp ne i64 %found, 0
  %polled = getelementptr i64, ptr %watch, i64 1
  %now = call i64 @llvm.readcyclecounter()
  %then = load i64, ptr %polled
  %passed = sub i64 %now, %then
  %period_at = getelementptr i64, ptr %runtime, i64 {POLL_TICKS}
  %period = load i64, ptr %period_at
  %soon = icmp ule i64 %passed, %period
  %leave = or i1 %bad, %soon
  br i1 %leave, label %leaving, label %asking
leaving:
  ret i64 %found
asking:
  store i64 %now, ptr %polled
  %poll_at = getelementptr i64, ptr %runtime, i64 {POLL}
  %poll = load ptr, ptr %poll_at
  %answer = call i64 %poll()
  ret i64 %answer
}}
"""


def emit_entry(
    block: Block, places: Sequence[OutPlace], own_words: tuple[int, int, int], name_of: Callable[[Kernel], str]
) -> str:
    """LLVM IR of the function that runs a Block.

    Args:
        block: what to run.
        places: where each result lies: the number of the word that holds its output block, and the offset there.
        own_words: how many constants, host calls and words of its own the program's part of the runtime table starts
            with; the values of its symbols follow.
        name_of: the name of a kernel's function.
    """
    return _Entry(block, places, own_words, name_of).text()


class _Entry:
    def __init__(
        self,
        block: Block,
        places: Sequence[OutPlace],
        own_words: tuple[int, int, int],
        name_of: Callable[[Kernel], str],
    ):
        self.block, self.places, self.name_of = block, places, name_of
        self.first_host = FIRST_OWN + own_words[0]
        self.first_dim = self.first_host + own_words[1] + own_words[2]
        self.lines: list[str] = []
        self.count = 0
        self.words = 1
        self.launches = False
        self.label = "start"

    def text(self) -> str:
        self.runtime, arena = self.word("%words", 0), self.word("%words", 2)
        self.run(self.block, self.input, self.out, arena)
        self.lines.append("  ret i64 0")
        head = [
            "define i64 @entry(ptr %words) nounwind {",
            "start:",
            f"  %args = alloca [{self.words} x i64], align 16",
            "  %watch = alloca [2 x i64], align 16",  # see `pool_ir.pool_text`
            "  %polled = getelementptr i8, ptr %watch, i64 8",
            "  %now = call i64 @llvm.readcyclecounter()",
            "  store i64 0, ptr %watch",
            "  store i64 %now, ptr %polled",
        ]
        return "\n".join([*head, *self.lines, "}", _LAUNCH if self.launches else ""])

    def input(self, number: int) -> str:
        """The address of an argument, loaded where it is needed: LLVM takes long where many values are alive."""
        return self.word("%words", 3 + number)

    def out(self, number: int) -> str:
        """The address of a result."""
        if number in self.block.overwrites:
            return self.input(self.block.overwrites[number])
        word, offset = self.places[number]
        return self.at(self.word("%words", word), offset)

    # Instructions

    def new(self, instruction: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {instruction}")
        return f"%v{self.count}"

    def at(self, pointer: str, offset: int) -> str:
        if not offset and not isinstance(offset, Dim):
            return pointer
        return self.new(f"getelementptr i8, ptr {pointer}, i64 {self.amount(offset)}")

    def word(self, table: str, number: int, type: str = "ptr") -> str:
        return self.new(f"load {type}, ptr {self.at(table, 8 * number)}")

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def labels(self, *names: str) -> list[str]:
        self.count += 1
        return [f"{name}{self.count}" for name in names]

    def return_if(self, status: str) -> None:
        """Leave the function with a status that is not 0."""
        failed, going = self.labels("failed", "going")
        bad = self.new(f"icmp ne i64 {status}, 0")
        self.lines.append(f"  br i1 {bad}, label %{failed}, label %{going}")
        self.start(failed)
        self.lines.append(f"  ret i64 {status}")
        self.start(going)

    def arguments(self, pointers: Sequence[str], dims: Sequence[Expr] = ()) -> None:
        """Fill the words that a kernel or a host call gets."""
        words = [("ptr", self.runtime), *(("ptr", pointer) for pointer in pointers)]
        words += [("i64", self.symbol(dim.attr)) for dim in dims]
        self.words = max(self.words, len(words))
        for number, (type, word) in enumerate(words):
            self.lines.append(f"  store {type} {word}, ptr {self.at('%args', 8 * number)}")

    def symbol(self, number: int) -> str:
        """The value of a symbol of the program, or of one of its words."""
        return self.word(self.runtime, self.first_dim + number, "i64")

    def amount(self, value: int) -> str:
        """An int, or what its symbols make of it."""
        if not isinstance(value, Dim):
            return str(value)
        total = str(value.terms.get((), 0))
        for monomial, factor in value.terms.items():
            product = str(factor)
            for number in monomial:
                product = self.new(f"mul i64 {product}, {self.symbol(number)}")
            if monomial:
                total = self.new(f"add i64 {total}, {product}")
        return total

    def copy(self, target: str, source: str, nbytes: int) -> None:
        if nbytes or isinstance(nbytes, Dim):
            operands = f"ptr align 1 {target}, ptr align 1 {source}, i64 {self.amount(nbytes)}, i1 false"
            self.lines.append(f"  call void @llvm.memcpy.p0.p0.i64({operands})")

    def poll(self) -> None:
        """Let Python handle signals, many times a second."""
        asking, going = self.labels("asking", "unasked")
        now, then = self.new("call i64 @llvm.readcyclecounter()"), self.new("load i64, ptr %polled")
        passed, period = self.new(f"sub i64 {now}, {then}"), self.word(self.runtime, POLL_TICKS, "i64")
        late = self.new(f"icmp ugt i64 {passed}, {period}")
        self.lines.append(f"  br i1 {late}, label %{asking}, label %{going}")
        self.start(asking)
        self.lines.append(f"  store i64 {now}, ptr %polled")
        self.return_if(self.new(f"call i64 {self.word(self.runtime, POLL)}()"))
        self.lines.append(f"  br label %{going}")
        self.start(going)

    # Actions

    def run(self, block: Block, input: Callable[[int], str], out: Callable[[int], str], memory: str) -> None:
        """The actions of a Block, given pointers to each argument and result, and to its temporary memory."""

        def pointer(place: Place) -> str:
            if place.kind == "temporary":
                return self.at(memory, place.number + place.offset)
            if place.kind == "watch":
                return "%watch"
            if place.kind == "constant":
                return self.at(self.word(self.runtime, FIRST_OWN + place.number), place.offset)
            return self.at((input if place.kind == "in" else out)(place.number), place.offset)

        for action in block.actions:
            if isinstance(action, Run):
                self.launch(action, [pointer(place) for place in action.places])
            elif isinstance(action, Move):
                self.copy(pointer(action.target), pointer(action.source), action.nbytes)
            elif isinstance(action, Host):
                self.arguments([pointer(place) for place in action.places])
                number = self.word(self.runtime, self.first_host + action.number, "i64")
                host = self.word(self.runtime, HOST)
                self.return_if(self.new(f"call i64 {host}(i64 {number}, ptr %args)"))
            else:
                given = [pointer(place) for place in action.inputs]
                made = [pointer(place) for place in action.outs]
                self.control(action, given, made, self.at(memory, action.memory))

    def launch(self, action: Run, pointers: Sequence[str]) -> None:
        """Run all tasks of a kernel: by the pool if that is worth it."""
        kernel = action.kernel
        self.arguments(pointers, kernel.dims)
        name, tasks, grain = self.name_of(kernel), self.amount(action.tasks), self.amount(action.grain)
        if action.grain or isinstance(action.grain, Dim):
            self.launches = True
            operands = f"ptr {self.runtime}, ptr @{name}, ptr %args, i64 {tasks}, i64 {grain}, ptr %watch"
            self.return_if(self.new(f"call i64 @launch({operands})"))
            return
        self.lines.append(f"  call void @{name}(ptr %args, i64 0, i64 {tasks}, i64 0)")
        if kernel.watch is not None:
            self.return_if(self.new("load i64, ptr %watch"))
        if kernel.tasks * kernel.cost >= _POLLED_COST:
            self.poll()

    def control(self, action: Control, inputs: list[str], outs: list[str], memory: str) -> None:
        if isinstance(action.rule, Switch):
            self.switch(action, inputs, outs, memory)
        elif isinstance(action.rule, Scan):
            self.scan(action, inputs, outs, memory)
        else:
            self.repeat(action, inputs, outs, memory)

    def switch(self, action: Control, inputs: list[str], outs: list[str], memory: str) -> None:
        which = self.new(f"load i32, ptr {inputs[0]}")
        last = len(action.blocks) - 1
        *taken, default = self.labels(*(f"branch{k}_" for k in range(last + 1)))
        (joined,) = self.labels("joined")
        negative = self.new(f"icmp slt i32 {which}, 0")
        which = self.new(f"select i1 {negative}, i32 0, i32 {which}")
        cases = " ".join(f"i32 {k}, label %{label}" for k, label in enumerate(taken))
        self.lines.append(f"  switch i32 {which}, label %{default} [ {cases} ]")
        for label, block in zip([*taken, default], action.blocks, strict=True):
            self.start(label)
            self.run(block, inputs[1:].__getitem__, outs.__getitem__, memory)
            self.lines.append(f"  br label %{joined}")
        self.start(joined)

    def carried(self, action: Control, first: int, count: int, inputs: list[str], outs: list[str], memory: str) -> Any:
        """Two places for every carried value, the initial value in the first; and the memory behind them.

        A value that the body computes in its own place has that one only.
        """
        overwrites = action.blocks[-1].overwrites
        current, other, offset = [], [], 0
        for k in range(count):
            self.copy(outs[k], inputs[first + k], action.in_bytes[first + k])
            current.append(outs[k])
            if k in overwrites:
                other.append(outs[k])
            else:
                other.append(self.at(memory, offset))
                offset += action.room[k]
        return current, other, self.at(memory, offset)

    def settle(self, outs: list[str], final: list[str], action: Control) -> None:
        """Copy carried values to where they belong, if the last step left them in their other place."""
        for out, value, nbytes in zip(outs, final, action.out_bytes, strict=False):
            if out == value:
                continue
            copying, settled = self.labels("copying", "settled")
            differs = self.new(f"icmp ne ptr {out}, {value}")
            self.lines.append(f"  br i1 {differs}, label %{copying}, label %{settled}")
            self.start(copying)
            self.copy(out, value, nbytes)
            self.lines.append(f"  br label %{settled}")
            self.start(settled)

    def pointers(self, first: Sequence[str], then: Sequence[str], before: str, after: str, names: list[str]) -> None:
        """Loop variables that hold pointers: `first` before the loop, `then` after a step."""
        for name, a, b in zip(names, first, then, strict=True):
            self.lines.append(f"  {name} = phi ptr [ {a}, %{before} ], [ {b}, %{after} ]")

    def swapping(self, current: list[str], other: list[str]) -> tuple[list[int], list[str], list[str]]:
        """The carried values that have two places, and names for the loop variables that hold these."""
        swapped = [k for k in range(len(current)) if current[k] != other[k]]
        self.count += 1
        mark = self.count
        return swapped, [f"%cur{mark}_{k}" for k in swapped], [f"%oth{mark}_{k}" for k in swapped]

    def scan(self, action: Control, inputs: list[str], outs: list[str], memory: str) -> None:
        rule, block = action.rule, action.blocks[0]
        first_slice = rule.consts + rule.carry
        current, other, memory = self.carried(action, rule.consts, rule.carry, inputs, outs, memory)
        if not rule.length:
            return
        swapped, now, then = self.swapping(current, other)
        before = self.label
        loop, latch, done = self.labels("loop", "latch", "done")
        self.lines.append(f"  br label %{loop}")
        self.start(loop)
        number, following = f"%i_{loop}", f"%n_{loop}"
        self.lines.append(f"  {number} = phi i64 [ 0, %{before} ], [ {following}, %{latch} ]")
        self.pointers([current[k] for k in swapped], then, before, latch, now)
        self.pointers([other[k] for k in swapped], now, before, latch, then)
        for k, a, b in zip(swapped, now, then, strict=True):
            current[k], other[k] = a, b
        self.poll()
        step = self.new(f"sub i64 {self.amount(rule.length - 1)}, {number}") if rule.reverse else number

        def slice_of(pointer: str, nbytes: int) -> str:
            at = self.new(f"mul i64 {step}, {self.amount(nbytes // rule.length)}")
            return self.new(f"getelementptr i8, ptr {pointer}, i64 {at}")

        xs = [slice_of(p, n) for p, n in zip(inputs[first_slice:], action.in_bytes[first_slice:], strict=True)]
        ys = [slice_of(p, n) for p, n in zip(outs[rule.carry :], action.out_bytes[rule.carry :], strict=True)]
        self.run(block, [*inputs[: rule.consts], *current, *xs].__getitem__, [*other, *ys].__getitem__, memory)
        self.lines.append(f"  br label %{latch}")
        self.start(latch)
        self.lines.append(f"  {following} = add i64 {number}, 1")
        more = self.new(f"icmp ult i64 {following}, {self.amount(rule.length)}")
        self.lines.append(f"  br i1 {more}, label %{loop}, label %{done}")
        self.start(done)
        self.settle(outs[: rule.carry], other, action)

    def repeat(self, action: Control, inputs: list[str], outs: list[str], memory: str) -> None:
        rule: Repeat = action.rule
        cond, body = action.blocks
        first = rule.cond_consts + rule.body_consts
        count = len(rule.body.outs)
        current, other, memory = self.carried(action, first, count, inputs, outs, memory)
        flag, memory = memory, self.at(memory, aligned(1))
        swapped, now, then = self.swapping(current, other)
        before = self.label
        head, step, latch, done = self.labels("head", "step", "latch", "done")
        self.lines.append(f"  br label %{head}")
        self.start(head)
        self.pointers([current[k] for k in swapped], then, before, latch, now)
        self.pointers([other[k] for k in swapped], now, before, latch, then)
        for k, a, b in zip(swapped, now, then, strict=True):
            current[k], other[k] = a, b
        self.poll()
        self.run(cond, [*inputs[: rule.cond_consts], *current].__getitem__, [flag].__getitem__, memory)
        going = self.new(f"icmp ne i8 {self.new(f'load i8, ptr {flag}')}, 0")
        self.lines.append(f"  br i1 {going}, label %{step}, label %{done}")
        self.start(step)
        self.run(body, [*inputs[rule.cond_consts : first], *current].__getitem__, other.__getitem__, memory)
        self.lines.append(f"  br label %{latch}")
        self.start(latch)
        self.lines.append(f"  br label %{head}")
        self.start(done)
        self.settle(outs[:count], current, action)
