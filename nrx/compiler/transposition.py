"""Functions that transpose a matrix, in LLVM IR: vectors are loaded and stored, elements change places in registers.

A square tile of n rows is n vectors. In stage s, rows whose numbers differ in bit s exchange the halves that are not
theirs: element j of row i belongs into row j if bit s of i and of j differ. After log2(n) stages every element is in
place. Few rows are joined to one, their elements in turns, and parted again, by picking elements out of vectors.

Where a side is no multiple of n, the last tile begins earlier and moves some elements again.
"""

from collections.abc import Sequence

from nrx.compiler.targets import Target

MOST_JOINED = 8
"""Rows that `joining` takes."""

_MOST_LANES = 16


def lanes(bits: int, target: Target) -> int:
    """Elements of a vector."""
    return min(_MOST_LANES, target.vector_bits // bits)


def transposition(name: str, bits: int, target: Target) -> str:
    """LLVM IR of a function that does what `loops.Transpose` says.

        void name(ptr target, ptr source, i64 target_step, i64 source_step, i64 rows, i64 columns)

    Args:
        name: of the function.
        bits: of an element.
        target: the processor.
    """
    n = lanes(bits, target)
    register = ("v" if target.vector_bits == 512 else "x") if target.is_x86 else "w"
    return _filled(_TRANSPOSE, name=name, n=n, tile="\n".join(_tile(n, bits, register)), element=f"i{bits}")


def joining(name: str, bits: int, rows: int, target: Target) -> str:
    """The same for a few rows whose columns follow each other: target[j * rows + i] = source[i * step + j].

    void name(ptr target, ptr source, i64 step, i64 columns), for at least as many columns as a vector has elements
    """
    n = lanes(bits, target)
    picks = [[(at % rows, at // rows) for at in range(m * n, (m + 1) * n)] for m in range(rows)]
    tile = _picked(bits, n, _addresses("source", rows), _parts("target", rows, n), picks)
    return _filled(_JOIN, name=name, n=n, k=rows, tile="\n".join(tile), element=f"i{bits}")


def parting(name: str, bits: int, columns: int, target: Target) -> str:
    """The same for a few columns whose rows follow each other: target[i + j * step] = source[i * columns + j].

    void name(ptr target, ptr source, i64 step, i64 rows), for at least as many rows as a vector has elements
    """
    n = lanes(bits, target)
    picks = [[divmod(i * columns + j, n) for i in range(n)] for j in range(columns)]
    tile = _picked(bits, n, _parts("source", columns, n), _addresses("target", columns), picks)
    return _filled(_JOIN, name=name, n=n, k=columns, tile="\n".join(tile), element=f"i{bits}")


def _filled(template: str, **fields: object) -> str:
    for field, text in fields.items():
        template = template.replace(f"@{field}@", str(text))
    return template


def _shuffled(result: str, vector: str, x: str, y: str, picks: Sequence[int | None]) -> str:
    """A vector of elements of two others, counted through; None: whatever."""
    mask = ", ".join("i32 poison" if at is None else f"i32 {at}" for at in picks)
    return f"  {result} = shufflevector {vector} {x}, {vector} {y}, <{len(picks)} x i32> <{mask}>"


def _tile(n: int, bits: int, register: str) -> list[str]:
    """Instructions that transpose the tile whose first elements are at %from and %to.

    Half way the rows go through empty assembly, in a `register` of that kind: LLVM would look for shorter ways through
    all stages at once, in a time that grows with their product, and find none.
    """
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
                rows[i], rows[i | stage] = f"%r{stage}.{i}", f"%r{stage}.{i | stage}"
                first = [n + (j ^ stage) if j & stage else j for j in range(n)]
                second = [n + j if j & stage else j | stage for j in range(n)]
                lines.append(_shuffled(rows[i], vector, low, high, first))
                lines.append(_shuffled(rows[i | stage], vector, low, high, second))
        stage *= 2
        if stage == 4 < n:
            opaque = [f"%opaque{i}" for i in range(n)]
            lines += [
                f'  {new} = call {vector} asm "", "={register},0"({vector} {row})'
                for new, row in zip(opaque, rows, strict=True)
            ]
            rows = opaque
    for j, row in enumerate(rows):
        lines.append(f"  %d{j} = mul i64 %target_step, {j}")
        lines.append(f"  %t{j} = getelementptr i{bits}, ptr %to, i64 %d{j}")
        lines.append(f"  store {vector} {row}, ptr %t{j}, align {alignment}")
    return lines


def _addresses(matrix: str, rows: int) -> list[str]:
    """Instructions that compute an address %{matrix}{i} in each row."""
    return [
        f"  %start{i} = mul i64 %step, {i}\n  %place{i} = add i64 %start{i}, %at\n"
        f"  %{matrix}{i} = getelementptr @element@, ptr %{matrix}, i64 %place{i}"
        for i in range(rows)
    ]


def _parts(matrix: str, count: int, n: int) -> list[str]:
    """Instructions that compute the addresses of vectors one behind the other."""
    return [
        f"  %part{m} = add i64 %joined, {m * n}\n  %{matrix}{m} = getelementptr @element@, ptr %{matrix}, i64 %part{m}"
        for m in range(count)
    ]


def _picked(
    bits: int, n: int, sources: Sequence[str], targets: Sequence[str], picks: Sequence[Sequence[tuple[int, int]]]
) -> list[str]:
    """Instructions that load vectors and store vectors of their elements.

    Args:
        sources, targets: instructions that compute the addresses %source{i} and %target{i}.
        picks: for every target the (vector, lane) that each of its elements comes from.
    """
    vector, alignment = f"<{n} x i{bits}>", bits // 8
    lines = [*sources, *targets]
    lines += [f"  %v{i} = load {vector}, ptr %source{i}, align {alignment}" for i in range(len(sources))]
    for number, wanted in enumerate(picks):
        used = sorted({i for i, _ in wanted})
        known, done = f"%v{used[0]}", {used[0]}
        for i in used[1:] or used:
            place = {i: n, **({used[0]: 0} if known == f"%v{used[0]}" else {})}
            order = [
                place[v] + lane if v in place else at if v in done else None for at, (v, lane) in enumerate(wanted)
            ]
            lines.append(_shuffled(f"%p{number}.{i}", vector, known, f"%v{i}", order))
            known = f"%p{number}.{i}"
            done.add(i)
        lines.append(f"  store {vector} {known}, ptr %target{number}, align {alignment}")
    return lines


_JOIN = """define internal void @@name@(ptr %target, ptr %source, i64 %step, i64 %count) nounwind noinline {
entry:
  %last = sub i64 %count, @n@
  br label %tile
tile:
  %at0 = phi i64 [0, %entry], [%next, %tile]
  %beyond = icmp sgt i64 %at0, %last
  %at = select i1 %beyond, i64 %last, i64 %at0
  %joined = mul i64 %at, @k@
@tile@
  %next = add i64 %at0, @n@
  %more = icmp slt i64 %next, %count
  br i1 %more, label %tile, label %end
end:
  ret void
}
"""

_TRANSPOSE = """define internal void @@name@(ptr %target, ptr %source, i64 %target_step, i64 %source_step, i64 %rows, \
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
