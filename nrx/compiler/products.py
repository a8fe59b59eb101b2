"""Functions that add up a tile of products in registers, in LLVM IR: what matrix products and convolutions run in.

A row of the right matrix is a few vectors, an element of the left one is spread over a vector, and every sum stays in
its register from the first product to the last. As many rows and vectors as there are registers for make as many
products as possible of what is loaded (K. Goto and R. van de Geijn, "Anatomy of high-performance matrix
multiplication", ACM TOMS 34, 2008).
"""

from collections.abc import Sequence

from nrx.compiler.code import MEMORY_BITS, Code, llvm_types, suffixes
from nrx.compiler.memory import element_type
from nrx.core.loops import Products, Rows, is_float

_GROUP = 3
"""Rows with one address; those of the others follow from it and the step, as processors can compute them."""


def function_name(s: Products) -> str:
    """Equal for statements that one function serves."""
    type = "bf16" if s.is_paired else element_type(s.left.buffer)
    kind = "rows" if isinstance(s.left, Rows) else "products"
    return f"shared.{kind}.{type}.{s.rows}.{s.columns}"


def products(s: Products, code: Code) -> str:
    """LLVM IR of a function that does what `loops.Products` says.

        void name(ptr sums, ptr left, ptr right, i64 sum_step, i64 row_step, i64 left_step, i64 right_step, i64 depth,
                  i1 fresh)

    or, if left is `loops.Rows`,

        void name(ptr sums, ptr left, ptr right, ptr table, i64 sum_step, i64 run_step, i64 runs, i64 left_step,
                  i64 right_step, i64 depth, i1 fresh)

    Steps count elements: from row to row of the sums, from row to row (run to run) and from product to product of the
    left matrix, from row to row of the right one.

    Args:
        s: a statement that it serves.
        code: of the kernel, for what it declares, and the processor.
    """
    return (_TileOfRows if isinstance(s.left, Rows) else _Tile)(s, code).function()


class _Tile:
    """One function. A sum is called %{prefix}{row}.{vector}."""

    parameters = (
        "ptr noalias %sums, ptr noalias %left, ptr noalias %right, i64 %sum_step, i64 %row_step, i64 %left_step, "
        "i64 %right_step, i64 %depth, i1 %fresh"
    )
    steps_in_bytes = ("sum", "row", "left", "right")

    def __init__(self, s: Products, code: Code):
        type, target = element_type(s.sums.buffer), code.target
        self.s, self.code, self.type = s, code, type
        self.nbytes = MEMORY_BITS[type] // 8
        self.lanes = min(target.vector_bits // MEMORY_BITS[type], s.columns)
        self.vectors = s.columns // self.lanes
        self.vector = llvm_types(self.lanes)[type]
        self.element = "i32" if s.is_paired else llvm_types(1)[type]
        self.factors = f"<{2 * self.lanes} x bfloat>" if s.is_paired else self.vector
        self.tile = [(r, v) for r in range(s.rows) for v in range(self.vectors)]
        self.lines: list[str] = []

    def function(self) -> str:
        self.known_sums()
        self.steps()
        for row, vector in self.tile:
            self.lines.append(f"store {self.vector} %next{row}.{vector}, ptr %sum{row}.{vector}, align {self.nbytes}")
        attributes = f'noinline nounwind "prefer-vector-width"="{self.code.target.vector_bits}"'
        head = f"define internal void @{function_name(self.s)}({self.parameters}) {attributes} {{"
        return "\n".join([head, "entry:", *self.lines, "ret void", "}\n"])

    def address(self, name: str, base: str, nbytes: object) -> None:
        self.lines.append(f"{name} = getelementptr i8, ptr {base}, i64 {nbytes}")

    def known_sums(self) -> None:
        """Where the sums are, and what they begin with."""
        lines, step = self.lines, self.nbytes * self.lanes
        lines += [f"%{name}_bytes = mul i64 %{name}_step, {self.nbytes}" for name in self.steps_in_bytes]
        for row, vector in self.tile:
            if vector:
                self.address(f"%sum{row}.{vector}", f"%sum{row}.0", vector * step)
            elif row:
                self.address(f"%sum{row}.0", f"%sum{row - 1}.0", "%sum_bytes")
            else:
                self.address("%sum0.0", "%sums", 0)
        lines += ["br i1 %fresh, label %begin, label %load", "load:"]
        for row, vector in self.tile:
            source = f"ptr %sum{row}.{vector}, align {self.nbytes}"
            lines.append(f"%old{row}.{vector} = load {self.vector}, {source}")
        lines += ["br label %begin", "begin:"]
        for row, vector in self.tile:
            values = f"[zeroinitializer, %entry], [%old{row}.{vector}, %load]"
            lines.append(f"%first{row}.{vector} = phi {self.vector} {values}")

    def steps(self) -> None:
        """The loop over the depth."""
        s, lines = self.s, self.lines
        groups = range(-(-s.rows // _GROUP))
        lines.append("%two_rows = mul i64 %row_bytes, 2")
        lines.append("%three_rows = mul i64 %row_bytes, 3")
        lines.append("%group0 = getelementptr i8, ptr %left, i64 0")
        for group in groups[1:]:
            self.address(f"%behind{group}", f"%group{group - 1}", "%three_rows")
            # Through empty assembly, or LLVM would add up the addresses of all rows one by one, each time.
            lines.append(f'%group{group} = call ptr asm "", "=r,0"(ptr %behind{group})')
        lines += ["br label %step", "step:"]
        moving = [("ptr", f"left{group}", f"%group{group}") for group in groups]
        moving += [("ptr", "right", "%right"), ("i64", "k", "0")]
        lines += [f"%at_{n} = phi {t} [{first}, %begin], [%next_{n}, %step]" for t, n, first in moving]
        for row, vector in self.tile:
            values = f"[%first{row}.{vector}, %begin], [%next{row}.{vector}, %step]"
            lines.append(f"%sofar{row}.{vector} = phi {self.vector} {values}")
        self.multiply(
            [(f"%at_left{row // _GROUP}", (0, "%row_bytes", "%two_rows")[row % _GROUP]) for row in range(s.rows)]
        )
        for group in groups:
            self.address(f"%next_left{group}", f"%at_left{group}", "%left_bytes")
        self.address("%next_right", "%at_right", "%right_bytes")
        lines += [
            "%next_k = add nuw nsw i64 %at_k, 1",
            "%more = icmp ult i64 %next_k, %depth",
            "br i1 %more, label %step, label %done",
            "done:",
        ]

    def multiply(self, left: Sequence[tuple[str, object]]) -> None:
        """The products of one step, with an element of each row, at an address and bytes from there."""
        lines = self.lines
        for vector in range(self.vectors):
            self.address(f"%right{vector}", "%at_right", vector * self.lanes * self.nbytes)
            lines.append(f"%y{vector} = load {self.factors}, ptr %right{vector}, align {self.nbytes}")
        for row, (base, offset) in enumerate(left):
            self.address(f"%left{row}", base, offset)
            lines.append(f"%e{row} = load {self.element}, ptr %left{row}, align {self.nbytes}")
            spread, order = f"<{self.lanes} x {self.element}>", f"<{self.lanes} x i32> zeroinitializer"
            lines.append(f"%i{row} = insertelement {spread} poison, {self.element} %e{row}, i64 0")
            lines.append(f"%s{row} = shufflevector {spread} %i{row}, {spread} poison, {order}")
            lines.append(f"%x{row} = bitcast {spread} %s{row} to {self.factors}")
            for vector in range(self.vectors):
                self.multiply_add(f"{row}.{vector}", f"%x{row}", f"%y{vector}")

    def multiply_add(self, place: str, x: str, y: str) -> None:
        vector, total, result = self.vector, f"%sofar{place}", f"%next{place}"
        if self.s.is_paired:
            name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * self.lanes}"
            self.code.declared.setdefault(name, f"declare {vector} @{name}({vector}, {self.factors}, {self.factors})")
            operands = f"{vector} {total}, {self.factors} {x}, {self.factors} {y}"
            self.lines.append(f"{result} = call {vector} @{name}({operands})")
            return
        if is_float(self.type) and self.code.target.has_fma:
            name = f"llvm.fma.{suffixes(self.lanes)[self.type]}"
            self.code.declared.setdefault(name, f"declare {vector} @{name}({vector}, {vector}, {vector})")
            self.lines.append(f"{result} = call {vector} @{name}({vector} {x}, {vector} {y}, {vector} {total})")
            return
        letter = "f" if is_float(self.type) else ""
        self.lines.append(f"%product{place} = {letter}mul {vector} {x}, {y}")
        self.lines.append(f"{result} = {letter}add {vector} {total}, %product{place}")


class _TileOfRows(_Tile):
    """The same for rows anywhere. Each has its address; what is added in a run is the same for all."""

    parameters = (
        "ptr noalias %sums, ptr noalias %left, ptr noalias %right, ptr noalias %table, i64 %sum_step, i64 %run_step, "
        "i64 %runs, i64 %left_step, i64 %right_step, i64 %depth, i1 %fresh"
    )
    steps_in_bytes = ("sum", "run", "left", "right")

    def steps(self) -> None:
        """The loops over runs and over the depth of each."""
        rows, lines = range(self.s.rows), self.lines
        for row in rows:
            self.address(f"%place{row}", "%table", 8 * row)
            lines.append(f"%offset{row} = load i64, ptr %place{row}, align 8")
            lines.append(f"%bytes{row} = mul i64 %offset{row}, {self.nbytes}")
            self.address(f"%first_row{row}", "%left", f"%bytes{row}")
        moving = [("ptr", f"row{row}", f"%first_row{row}") for row in rows] + [("ptr", "run_right", "%right")]
        lines += ["br label %run", "run:", "%at_i = phi i64 [0, %begin], [%next_i, %end]"]
        lines += [f"%at_{n} = phi {t} [{first}, %begin], [%next_{n}, %end]" for t, n, first in moving]
        for row, vector in self.tile:
            lines.append(f"%run{row}.{vector} = phi {self.vector} [%first{row}.{vector}, %begin], "
                         f"[%next{row}.{vector}, %end]")  # fmt: skip
        lines += ["br label %step", "step:", "%at_k = phi i64 [0, %run], [%next_k, %step]"]
        lines.append("%at_x = phi i64 [0, %run], [%next_x, %step]")
        lines.append("%at_right = phi ptr [%at_run_right, %run], [%next_right, %step]")
        for row, vector in self.tile:
            values = f"[%run{row}.{vector}, %run], [%next{row}.{vector}, %step]"
            lines.append(f"%sofar{row}.{vector} = phi {self.vector} {values}")
        self.multiply([(f"%at_row{row}", "%at_x") for row in rows])
        self.address("%next_right", "%at_right", "%right_bytes")
        lines += [
            "%next_x = add i64 %at_x, %left_bytes",
            "%next_k = add nuw nsw i64 %at_k, 1",
            "%more = icmp ult i64 %next_k, %depth",
            "br i1 %more, label %step, label %end",
            "end:",
        ]
        for row in rows:
            self.address(f"%next_row{row}", f"%at_row{row}", "%run_bytes")
        lines += [
            "%next_run_right = getelementptr i8, ptr %next_right, i64 0",
            "%next_i = add nuw nsw i64 %at_i, 1",
            "%again = icmp ult i64 %next_i, %runs",
            "br i1 %again, label %run, label %done",
            "done:",
        ]
