"""Kernels of the loop IR as LLVM IR text, ready for code generation: vectors are explicit, nothing is left to optimise.

    void name(ptr arguments, i64 first task, i64 last task + 1, i64 thread)

The arguments are words: the runtime's table, one pointer per buffer, one number per symbolic dimension.
"""

from nrx.compiler.code import MEMORY_BITS, Code, memory_types
from nrx.compiler.lanes import LaneLoops
from nrx.compiler.memory import element_type
from nrx.compiler.products import function_name, products
from nrx.compiler.scopes import Value, whole
from nrx.compiler.targets import Target
from nrx.compiler.transposition import MOST_JOINED, joining, lanes, parting, transposition
from nrx.core import loops
from nrx.core.dims import identity
from nrx.core.loops import Buffer, Copy, Expr, Kernel, Products, Rows, Transpose

MAX_SCRATCH = 512 * 1024
"""Bytes of scratch memory a kernel may have."""


def emit_kernel(kernel: Kernel, name: str, target: Target) -> str:
    """The text of a kernel: declarations of intrinsics, helper functions and the function `name`.

    Raises:
        ValueError: if it has more than MAX_SCRATCH bytes of scratch memory.
    """
    return _Emitter(kernel, name, target).function()


class _Emitter(LaneLoops):
    def __init__(self, kernel: Kernel, name: str, target: Target):
        super().__init__(Code(target))
        self.kernel, self.name = kernel, name
        self.statements[Copy] = self._copy
        self.statements[Transpose] = self._transpose
        self.statements[Products] = self._products
        self.allocations: list[str] = []
        self._scratch_bytes = 0

    def function(self) -> str:
        kernel, code = self.kernel, self.code
        entry = self.open(is_branch=False)
        code.lines = entry.lines
        for number, buffer in enumerate(kernel.buffers):
            self.pointers[buffer] = Value(self.word("%arguments", 1 + number), 0)
        for number, dim in enumerate(kernel.dims):
            self.define(dim, Value(self.word("%arguments", 1 + len(kernel.buffers) + number, "i64"), 0))
        if kernel.watch is not None:
            self.looks, self.watch = dict(kernel.looks), 1 + kernel.buffers.index(kernel.watch)
        if identity(kernel.tasks) == 1:
            self.define(kernel.task, whole(0))
            self.block(kernel.body)
        else:
            self._tasks()
        self.close()
        lines = "\n".join([*self.allocations, *entry.lines])
        attributes = f'nounwind "prefer-vector-width"="{code.target.vector_bits}"'
        head = f"define void @{self.name}(ptr %arguments, i64 %first, i64 %last, i64 %thread) {attributes} {{"
        declarations = "".join(f"{d}\n" for d in code.declared.values())
        return f"{declarations}{''.join(self.functions.values())}{head}\n{entry.first}:\n{lines}\nret void\n}}\n"

    def _tasks(self) -> None:
        """The tasks this call is asked to run."""
        first, last = Value("%first", 0), Value("%last", 0)
        runs = self.compute("lt", "i64", [first, last])
        self.open(is_branch=True)
        self.open(is_branch=False)
        task = self.fresh()
        self.define(self.kernel.task, task)
        self.block(self.kernel.body)
        following, again = self.step(task, 1, last)
        self.close_loop([(task.text, "i64", first.text, following)], again)
        self.close_branch(runs, [])

    def scratch(self, buffer: Buffer) -> Value:
        if buffer.size is None:
            raise ValueError(f"buffer {buffer} is not an argument of kernel {self.kernel.name}")
        name = self.code.name()
        count = buffer.size * (2 if buffer.type in ("c64", "c128") else 1)
        self._scratch_bytes += count * MEMORY_BITS[element_type(buffer)] // 8
        if self._scratch_bytes > MAX_SCRATCH:
            raise ValueError(f"kernel {self.kernel.name} has more than {MAX_SCRATCH} bytes of scratch memory")
        self.allocations.append(f"{name} = alloca [{count} x {memory_types(1)[element_type(buffer)]}], align 64")
        self.pointers[buffer] = Value(name, 0)
        return self.pointers[buffer]

    # Calls

    def _at(self, buffer: Buffer, position: Expr) -> str:
        at = self.position(position)
        return self.pointer(buffer, at.number, at.terms).text

    def _copy(self, s: Copy) -> None:
        parts = 2 if s.target.type in ("c64", "c128") else 1  # positions count whole elements here
        nbytes = parts * MEMORY_BITS[element_type(s.target)] // 8
        size = self.arithmetic("mul", self.value(s.count), whole(nbytes))
        target, source = self._at(s.target, s.target_position * parts), self._at(s.source, s.source_position * parts)
        self.here().do("llvm.memcpy.p0.p0.i64", ("ptr", target), ("ptr", source), ("i64", size.text), ("i1", "false"))

    def _transpose(self, s: Transpose) -> None:
        parts = 2 if s.target.type in ("c64", "c128") else 1
        bits = parts * MEMORY_BITS[element_type(s.target)]
        target, source = self._at(s.target, s.target_position * parts), self._at(s.source, s.source_position * parts)
        name, text, numbers = self._transposition(s, bits)
        self.functions.setdefault(name, text)
        arguments = ", ".join(f"i64 {self.value(x).text}" for x in numbers)
        self.here().lines.append(f"call void @{name}(ptr {target}, ptr {source}, {arguments})")

    def _products(self, s: Products) -> None:
        name = function_name(s)
        if name not in self.functions:
            self.functions[name] = products(s, self.code)
        pointers = ", ".join(f"ptr {self._at(m.buffer, m.position)}" for m in (s.sums, s.left, s.right))
        if isinstance(s.left, Rows):
            pointers += f", ptr {self._at(s.left.table, s.left.first)}"
            steps_of_left: tuple = (s.left.run_step, s.left.runs, s.left.step)
        else:
            steps_of_left = (s.left.row_step, s.left.step)
        numbers = (s.sums.row_step, *steps_of_left, s.right.row_step, s.depth)
        steps = ", ".join(f"i64 {x if isinstance(x, int) else self.value(x).text}" for x in numbers)
        fresh = self.value(s.fresh).text
        self.here().lines.append(f"call void @{name}({pointers}, {steps}, i1 {fresh})")

    def _transposition(self, s: Transpose, bits: int) -> tuple[str, str, tuple[Expr, ...]]:
        """The function for a Transpose, its text and arguments."""
        processor = self.code.target
        rows, columns, target_step, source_step = map(_number, (s.rows, s.columns, s.target_step, s.source_step))
        n = lanes(bits, processor)
        if rows is not None and rows == target_step and rows <= MOST_JOINED and loops.bounds(s.columns)[0] >= n:
            name = f"shared.join{rows}.{bits}"
            return name, joining(name, bits, rows, processor), (s.source_step, s.columns)
        if columns is not None and columns == source_step and columns <= MOST_JOINED and loops.bounds(s.rows)[0] >= n:
            name = f"shared.part{columns}.{bits}"
            return name, parting(name, bits, columns, processor), (s.target_step, s.rows)
        name = f"shared.transpose{bits}"
        return name, transposition(name, bits, processor), (s.target_step, s.source_step, s.rows, s.columns)


def _number(x: Expr) -> int | None:
    """The value of an expression that is a constant."""
    return int(x.attr) if x.op == "const" else None
