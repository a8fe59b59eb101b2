"""The function that transposes a matrix, in LLVM IR: square tiles are transposed in registers.

A tile of n rows is n vectors. In stage s, rows whose numbers differ in bit s exchange the halves that are not theirs:
element j of row i belongs into row j if bit s of i and of j differ. After log2(n) stages every element is in place.
Where a side is no multiple of n, the last tile begins earlier and moves some elements again.
"""

from nrx.compiler.targets import Target

_MOST_ROWS = 16


def transposition(name: str, bits: int, target: Target) -> str:
    """LLVM IR of a function that does what `loops.Transpose` says.

        void name(ptr target, ptr source, i64 target_step, i64 source_step, i64 rows, i64 columns)

    Args:
        name: of the function.
        bits: of an element.
        target: the processor.
    """
    n = min(_MOST_ROWS, target.vector_bits // bits)
    tile = "\n".join(_tile(n, bits))
    text = _FUNCTION.replace("@tile@", tile).replace("@name@", name)
    return text.replace("@n@", str(n)).replace("@element@", f"i{bits}")


def _tile(n: int, bits: int) -> list[str]:
    """Instructions that transpose the tile whose first elements are at %from and %to."""
    vector, alignment = f"<{n} x i{bits}>", bits // 8
    lines, rows = [], [f"%r0.{i}" for i in range(n)]
    for i, row in enumerate(rows):
        lines.append(f"  %s{i} = mul i64 %source_step, {i}")
        lines.append(f"  %f{i} = getelementptr i{bits}, ptr %from, i64 %s{i}")
        lines.append(f"  {row} = load {vector}, ptr %f{i}, align {alignment}")
    stage = 1
    while stage < n:
        for i in range(n):
            if not i & stage:
                low, high = rows[i], rows[i | stage]
                first = [n + (j ^ stage) if j & stage else j for j in range(n)]
                second = [n + j if j & stage else j | stage for j in range(n)]
                rows[i], rows[i | stage] = f"%r{stage}.{i}", f"%r{stage}.{i | stage}"
                for row, picked in ((rows[i], first), (rows[i | stage], second)):
                    mask = ", ".join(f"i32 {j}" for j in picked)
                    lines.append(f"  {row} = shufflevector {vector} {low}, {vector} {high}, <{n} x i32> <{mask}>")
        stage *= 2
    for j, row in enumerate(rows):
        lines.append(f"  %d{j} = mul i64 %target_step, {j}")
        lines.append(f"  %t{j} = getelementptr i{bits}, ptr %to, i64 %d{j}")
        lines.append(f"  store {vector} {row}, ptr %t{j}, align {alignment}")
    return lines


_FUNCTION = """define internal void @@name@(ptr %target, ptr %source, i64 %target_step, i64 %source_step, i64 %rows, \
i64 %columns) nounwind noinline {
entry:
  %high = icmp sge i64 %rows, @n@
  %wide = icmp sge i64 %columns, @n@
  %tiled = and i1 %high, %wide
  %last_i = sub i64 %rows, @n@
  %last_j = sub i64 %columns, @n@
  br i1 %tiled, label %strip, label %small
strip:
  %j0 = phi i64 [0, %entry], [%next_j, %strip_end]
  %beyond_j = icmp sgt i64 %j0, %last_j
  %j = select i1 %beyond_j, i64 %last_j, i64 %j0
  %j_to = mul i64 %j, %target_step
  %strip_from = getelementptr @element@, ptr %source, i64 %j
  %strip_to = getelementptr @element@, ptr %target, i64 %j_to
  br label %tile
tile:
  %i0 = phi i64 [0, %strip], [%next_i, %tile]
  %beyond_i = icmp sgt i64 %i0, %last_i
  %i = select i1 %beyond_i, i64 %last_i, i64 %i0
  %i_from = mul i64 %i, %source_step
  %from = getelementptr @element@, ptr %strip_from, i64 %i_from
  %to = getelementptr @element@, ptr %strip_to, i64 %i
@tile@
  %next_i = add i64 %i0, @n@
  %more_i = icmp slt i64 %next_i, %rows
  br i1 %more_i, label %tile, label %strip_end
strip_end:
  %next_j = add i64 %j0, @n@
  %more_j = icmp slt i64 %next_j, %columns
  br i1 %more_j, label %strip, label %end
small:
  %any_row = icmp sgt i64 %rows, 0
  %any_column = icmp sgt i64 %columns, 0
  %any = and i1 %any_row, %any_column
  br i1 %any, label %row, label %end
row:
  %a = phi i64 [0, %small], [%next_a, %row_end]
  %a_from = mul i64 %a, %source_step
  %row_from = getelementptr @element@, ptr %source, i64 %a_from
  %row_to = getelementptr @element@, ptr %target, i64 %a
  br label %element
element:
  %b = phi i64 [0, %row], [%next_b, %element]
  %b_to = mul i64 %b, %target_step
  %b_source = getelementptr @element@, ptr %row_from, i64 %b
  %b_target = getelementptr @element@, ptr %row_to, i64 %b_to
  %moved = load @element@, ptr %b_source
  store @element@ %moved, ptr %b_target
  %next_b = add i64 %b, 1
  %more_b = icmp slt i64 %next_b, %columns
  br i1 %more_b, label %element, label %row_end
row_end:
  %next_a = add i64 %a, 1
  %more_a = icmp slt i64 %next_a, %rows
  br i1 %more_a, label %row, label %end
end:
  ret void
}
"""
