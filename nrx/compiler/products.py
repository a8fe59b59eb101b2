"""Functions that add up a tile of products in registers, in LLVM IR: what matrix products and convolutions run in.

A row of the right matrix is a few vectors, an element of the left one is spread over a vector, and every sum stays in
its register from the first product to the last. As many rows and vectors as there are registers for make as many
products as possible of what is loaded (K. Goto and R. van de Geijn, "Anatomy of high-performance matrix
multiplication", ACM TOMS 34, 2008).
"""

from nrx.compiler.code import MEMORY_BITS, Code, llvm_types, suffixes
from nrx.compiler.memory import element_type
from nrx.core.loops import Products, is_float

_GROUP = 3
"""Rows with one address; those of the others follow from it and the step, as processors can compute them."""


def function_name(s: Products) -> str:
    """Equal for statements that one function serves."""
    return f"shared.products.{element_type(s.left.buffer)}.{s.rows}.{s.columns}"


def products(s: Products, code: Code) -> str:
    """LLVM IR of a function that does what `loops.Products` says.

        void name(ptr sums, ptr left, ptr right, i64 sum_step, i64 row_step, i64 left_step, i64 right_step, i64 depth,
                  i1 fresh)

    Steps count elements: from row to row of the sums, from row to row and from product to product of the left matrix,
    from row to row of the right one.

    Args:
        s: a statement that it serves.
        code: of the kernel, for what it declares, and the processor.
    """
    return _Tile(s, code).function()


class _Tile:
    """One function. A sum is called %{prefix}{row}.{vector}."""

    def __init__(self, s: Products, code: Code):
        type, target = element_type(s.left.buffer), code.target
        self.s, self.code, self.type = s, code, type
        self.nbytes = MEMORY_BITS[type] // 8
        self.lanes = min(target.vector_bits // MEMORY_BITS[type], s.columns)
        self.vectors = s.columns // self.lanes
        self.element, self.vector = llvm_types(1)[type], llvm_types(self.lanes)[type]
        self.tile = [(r, v) for r in range(s.rows) for v in range(self.vectors)]
        self.lines: list[str] = []

    def function(self) -> str:
        self.known_sums()
        self.steps()
        for row, vector in self.tile:
            self.lines.append(f"store {self.vector} %next{row}.{vector}, ptr %sum{row}.{vector}, align {self.nbytes}")
        parameters = (
            "ptr noalias %sums, ptr noalias %left, ptr noalias %right, i64 %sum_step, i64 %row_step, i64 %left_step, "
            "i64 %right_step, i64 %depth, i1 %fresh"
        )
        attributes = f'noinline nounwind "prefer-vector-width"="{self.code.target.vector_bits}"'
        head = f"define internal void @{function_name(self.s)}({parameters}) {attributes} {{"
        return "\n".join([head, "entry:", *self.lines, "ret void", "}\n"])

    def address(self, name: str, base: str, nbytes: object) -> None:
        self.lines.append(f"{name} = getelementptr i8, ptr {base}, i64 {nbytes}")

    def known_sums(self) -> None:
        """Where the sums are, and what they begin with."""
        lines, step = self.lines, self.nbytes * self.lanes
        lines += [f"%{name}_bytes = mul i64 %{name}_step, {self.nbytes}" for name in ("sum", "row", "left", "right")]
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
        for vector in range(self.vectors):
            self.address(f"%right{vector}", "%at_right", vector * self.lanes * self.nbytes)
            lines.append(f"%y{vector} = load {self.vector}, ptr %right{vector}, align {self.nbytes}")
        for row in range(s.rows):
            group, offset = divmod(row, _GROUP)
            self.address(f"%left{row}", f"%at_left{group}", (0, "%row_bytes", "%two_rows")[offset])
            lines.append(f"%e{row} = load {self.element}, ptr %left{row}, align {self.nbytes}")
            lines.append(f"%i{row} = insertelement {self.vector} poison, {self.element} %e{row}, i64 0")
            order = f"<{self.lanes} x i32> zeroinitializer"
            lines.append(f"%x{row} = shufflevector {self.vector} %i{row}, {self.vector} poison, {order}")
            for vector in range(self.vectors):
                self.multiply_add(f"{row}.{vector}", f"%x{row}", f"%y{vector}")
        for group in groups:
            self.address(f"%next_left{group}", f"%at_left{group}", "%left_bytes")
        self.address("%next_right", "%at_right", "%right_bytes")
        lines += [
            "%next_k = add nuw nsw i64 %at_k, 1",
            "%more = icmp ult i64 %next_k, %depth",
            "br i1 %more, label %step, label %done",
            "done:",
        ]

    def multiply_add(self, place: str, x: str, y: str) -> None:
        vector, total, result = self.vector, f"%sofar{place}", f"%next{place}"
        if is_float(self.type) and self.code.target.has_fma:
            name = f"llvm.fma.{suffixes(self.lanes)[self.type]}"
            self.code.declared.setdefault(name, f"declare {vector} @{name}({vector}, {vector}, {vector})")
            self.lines.append(f"{result} = call {vector} @{name}({vector} {x}, {vector} {y}, {vector} {total})")
            return
        letter = "f" if is_float(self.type) else ""
        self.lines.append(f"%product{place} = {letter}mul {vector} {x}, {y}")
        self.lines.append(f"{result} = {letter}add {vector} {total}, %product{place}")
