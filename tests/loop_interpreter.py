"""An interpreter of loop IR: what `nrx.core.loops` says, one scalar at a time.

Loads and stores are checked against the bounds of memory. What may run in any order runs backwards.

    run(kernel, memory)                        a kernel, in place
    lowered(prim, avals, arrays, params)       a primitive by its lowering rule; None where that leaves it to the host
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import scipy.special

from nrx.core import dtypes, loops
from nrx.core.aval import Aval
from nrx.core.dtypes import bfloat16, from_short_name
from nrx.core.loops import Buffer, Builder, Expr, Kernel, Operand
from nrx.core.primitive import Primitive
from nrx.core.program import Literal, Program

MOST_ITERATIONS = 100_000

# --- Operations -------------------------------------------------------------------------------------------------------


def quotient(x: Any, y: Any) -> Any:
    if x.dtype.kind not in "iu":
        return x / y
    x, y, type = int(x), int(y) or 1, dtypes.short_name(x.dtype)
    return constant(abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1), type)


def remainder(x: Any, y: Any) -> Any:
    assert x.dtype.kind in "iu", "no compiler has it for floats"
    return x - quotient(x, y) * (y or y.dtype.type(1))


def fused(x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once."""
    plain = x * y + z
    if not all(map(np.isfinite, (x, y, z))):
        return z if np.isfinite(x) and np.isfinite(y) else plain  # the product is finite, though `x * y` may not be
    exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
    if exact == 0:
        return plain  # its sign is right
    try:
        near = np.float64(float(exact))
    except OverflowError:
        return x.dtype.type(np.inf if exact > 0 else -np.inf)
    if x.dtype != np.float64 and Fraction(float(near)) != exact and not near.view(np.int64) & 1:
        near = np.nextafter(near, np.inf if exact > near else -np.inf)  # to odd, so that rounding again does no harm
    return x.dtype.type(near)


def shift(function: Callable, kind: str) -> Callable:
    def shifted(x: Any, y: Any) -> Any:
        pattern = x.view(f"{kind}{x.dtype.itemsize}")
        return function(pattern, pattern.dtype.type(int(y) % (8 * x.dtype.itemsize))).view(x.dtype)

    return shifted


def bits_of(x: Any) -> int:
    return int(x.view(f"u{x.dtype.itemsize}"))


def decomposed(x: Any) -> tuple[Any, Any]:
    """k and m, where x = 2^k m with 3/4 <= m < 3/2."""
    m, k = np.frexp(x)
    return (k, m) if m >= 0.75 else (k - 1, 2 * m)


def in_float64(function: Callable) -> Callable:
    return lambda *xs: xs[0].dtype.type(function(*map(np.float64, xs)))


OPERATIONS: dict[str, Callable] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": quotient,
    "rem": remainder,
    "neg": lambda x: -x,
    "abs": abs,
    "min": np.minimum,
    "max": np.maximum,
    "fma": fused,
    "muladd": lambda x, y, z: x * y + z,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "rint": np.rint,
    "trunc": np.trunc,
    "copysign": np.copysign,
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "not": lambda x: ~x,
    "shl": shift(np.left_shift, "u"),
    "lshr": shift(np.right_shift, "u"),
    "ashr": shift(np.right_shift, "i"),
    "popcount": lambda x: x.dtype.type(bits_of(x).bit_count()),
    "clz": lambda x: x.dtype.type(8 * x.dtype.itemsize - bits_of(x).bit_length()),
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    **{name: in_float64(getattr(np, name)) for name in ("exp", "exp2", "log", "log2", "expm1", "log1p", "sin", "cos")},
    **{name: in_float64(getattr(np, name)) for name in ("tan", "sinh", "cosh", "tanh", "cbrt", "atan2", "pow")},
    **{f"a{name}": in_float64(getattr(np, f"arc{name}")) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "exponent": in_float64(lambda x: decomposed(x)[0]),
    "significand": in_float64(lambda x: decomposed(x)[1]),
    "ldexp": in_float64(lambda x, n: np.ldexp(x, int(np.clip(n, -5000, 5000)))),
    "rsqrt": in_float64(lambda x: 1 / np.sqrt(x)),
    "logistic": in_float64(scipy.special.expit),
    "erf": in_float64(scipy.special.erf),
    "erfc": in_float64(scipy.special.erfc),
    "erf_inv": in_float64(scipy.special.erfinv),
    "lgamma": in_float64(lambda x: scipy.special.gammaln(x) if x > -np.inf or np.isnan(x) else np.inf),
    "digamma": in_float64(scipy.special.digamma),
}


def converted(x: Any, type: str) -> Any:
    target = from_short_name(type)
    if dtypes.is_floating(x.dtype) and dtypes.is_integer(target):
        limits = dtypes.iinfo(target)
        number = float(x)
        return target.type(0 if np.isnan(number) else limits.max if number >= limits.max else
                           limits.min if number <= limits.min else int(number))  # fmt: skip
    if target == np.bool_:
        return np.bool_(x != 0)
    if (dtypes.is_narrow(target) or dtypes.is_narrow(x.dtype)) and (x.dtype, target) != (np.float64, np.float16):
        x = np.asarray(x).astype(np.float32)  # where narrow floats go to and come from
    return np.asarray(x).astype(target)[()]


def constant(value: Any, type: str) -> Any:
    if type in loops.INT_TYPES:
        bits = loops.BITS[type]
        return np.array(int(value) % 2**bits, f"u{bits // 8}").view(from_short_name(type))[()]
    return np.asarray(value).astype(from_short_name(type))[()]


# --- Expressions and statements ---------------------------------------------------------------------------------------


class Interpreter:
    """One kernel at work.

    Args:
        memory: the elements of each buffer, flat; complex ones as their parts.
        dims: the values of symbolic dimensions.
    """

    def __init__(self, memory: dict[Buffer, np.ndarray], dims: dict[Expr, int]):
        self.memory = memory
        # Values known in each of the blocks around the statement at hand. What is found in an outer block holds in
        # the inner ones; what is found in an inner one is dropped with it.
        self.known: list[dict[Any, Any]] = [{dim: np.int64(value) for dim, value in dims.items()}]

    def evaluate(self, x: Expr) -> Any:
        key = x.attr if x.op == "result" else x
        for block in self.known:
            if key in block:
                return block[key]
        value = self.known[-1][key] = self._compute(x, [self.evaluate(arg) for arg in x.args])
        assert value.dtype == from_short_name(x.type), f"{x} is {value!r}"
        return value

    def _compute(self, x: Expr, args: list) -> Any:
        op = x.op
        if op in OPERATIONS:
            assert len({arg.dtype for arg in args}) == 1, f"operands of several types: {x}"
            return OPERATIONS[op](*args)
        if op == "const":
            return constant(x.attr, x.type)
        if op in ("select", "rarely"):
            assert args[0].dtype == np.bool_
            return args[1] if args[0] else args[2]
        if op == "call":
            return self.evaluate(x.attr(*x.args))
        if op == "table":
            return constant(x.attr[int(args[0])], x.type)
        if op == "convert":
            return converted(args[0], x.type)
        if op == "bitcast":
            return args[0].view(from_short_name(x.type))
        if op == "linear":
            offset, coefficients = x.attr
            return constant(offset + sum(int(a) * c for a, c in zip(args, coefficients, strict=True)), "i64")
        if op in ("floordiv", "mod"):
            assert args[0] >= 0, f"a negative position: {x}"
            return args[0] // x.attr if op == "floordiv" else args[0] % x.attr
        assert op == "load", f"not known here: {x}"
        assert x.attr.readonly, f"not loaded here: {x}"
        return self.load(x.attr, args[0])

    def load(self, buffer: Buffer, position: Any) -> Any:
        data = self.elements(buffer)
        assert 0 <= position < len(data), f"{buffer}[{position}] of {len(data)}"
        return data[position]

    def elements(self, buffer: Buffer) -> np.ndarray:
        if buffer not in self.memory:
            self.memory[buffer] = garbage(buffer.size, buffer.type)
        return self.memory[buffer]

    def block(self, statements: Sequence[Any], given: dict[Expr, Any], results: Sequence[Expr] = ()) -> list:
        """Run statements and evaluate `results` in a block where `given` are known."""
        self.known.append(dict(given))
        self.run(statements)
        values = [self.evaluate(x) for x in results]
        self.known.pop()
        return values

    def run(self, statements: Sequence[Any]) -> None:
        for statement in statements:
            values = getattr(self, f"_{type(statement).__name__.lower()}")(statement)
            self.known[-1].update({(statement, i): value for i, value in enumerate(values or ())})

    def _let(self, s: loops.Let) -> None:
        self.known[-1][s.value] = self.load(s.value.attr, self.evaluate(s.value.args[0]))

    def _store(self, s: loops.Store) -> None:
        data, position, value = self.elements(s.buffer), self.evaluate(s.position), self.evaluate(s.value)
        assert not s.buffer.readonly, f"{s.buffer} is readonly"
        assert 0 <= position < len(data), f"{s.buffer}[{position}] of {len(data)}"
        assert value.dtype == data.dtype, f"{s.buffer} of {data.dtype} = {value!r}"
        data[position] = value

    def _loop(self, s: loops.Loop) -> list:
        values = [self.evaluate(x) for x in s.inits]
        for i in range(int(self.evaluate(s.extent))):
            values = self.block(s.body, {s.var: np.int64(i), **dict(zip(s.carried, values, strict=True))}, s.finals)
        return values

    def _lanes(self, s: loops.Lanes) -> list:
        values = [self.evaluate(x) for x in s.inits]
        for i in reversed(range(int(self.evaluate(s.extent)))):
            new = self.block(s.body, {s.var: np.int64(i)}, s.values)
            if values:
                assert s.combine is not None
                pairs = [[loops.const(v, x.type) for v, x in zip(vs, s.inits, strict=True)] for vs in (values, new)]
                values = self.block([], {}, s.combine(*pairs))
        return values

    def _while(self, s: loops.While) -> list:
        values = [self.evaluate(x) for x in s.inits]
        assert s.condition is not None
        for _ in range(MOST_ITERATIONS):
            self.known.append(dict(zip(s.carried, values, strict=True)))
            self.run(s.head)
            goes_on = self.evaluate(s.condition)
            if goes_on:
                self.run(s.body)
                values = [self.evaluate(x) for x in s.finals]
            self.known.pop()
            if not goes_on:
                return values
        raise AssertionError("the loop does not end")

    def _if(self, s: loops.If) -> list:
        if self.evaluate(s.condition):
            return self.block(s.then, {}, s.then_values)
        return self.block(s.otherwise, {}, s.otherwise_values)

    def _matrix(self, m: loops.Matrix, rows: int, columns: int) -> np.ndarray:
        """The elements of a matrix, as a view."""
        position, row_step = (int(self.evaluate(x)) if isinstance(x, Expr) else x for x in (m.position, m.row_step))
        data = self.elements(m.buffer)
        assert 0 <= position <= position + (rows - 1) * row_step + (columns - 1) * m.step < len(data), m
        strides = (row_step * data.itemsize, m.step * data.itemsize)
        return np.lib.stride_tricks.as_strided(data[position:], (rows, columns), strides)

    def _pairs(self, m: loops.Matrix, rows: int, columns: int) -> np.ndarray:
        """The elements of a matrix of pairs of bf16, in f32; the pair is the last axis."""
        if m.buffer.type == "u32":
            return np.ascontiguousarray(self._matrix(m, rows, columns))[..., None].view(bfloat16).astype(np.float32)
        assert isinstance(m.row_step, int)
        low, high = (
            self._matrix(m._replace(position=m.position + i, row_step=2 * m.row_step, step=2 * m.step), rows, columns)
            for i in range(2)
        )
        return np.stack([low, high], axis=-1).astype(np.float32)

    def _rows(self, m: loops.Rows, rows: int, depth: int) -> np.ndarray:
        """The elements of rows anywhere."""
        position, first, runs = (int(self.evaluate(x)) for x in (m.position, m.first, m.runs))
        starts = [position + int(self.load(m.table, first + r)) for r in range(rows)]
        places = [
            [start + i * m.run_step + k * m.step for i in range(runs) for k in range(depth)] for start in starts
        ]  # fmt: skip
        return np.array([[self.load(m.buffer, place) for place in row] for row in places])

    def _products(self, s: loops.Products) -> None:
        depth = int(self.evaluate(s.depth))
        assert depth > 0
        sums = self._matrix(s.sums, s.rows, s.columns)
        if isinstance(s.left, loops.Rows):
            left = self._rows(s.left, s.rows, depth)
            right = self._matrix(s.right, left.shape[1], s.columns)
        elif s.is_paired:
            left = self._pairs(s.left, s.rows, depth)
            right = self._pairs(s.right, depth, s.columns).transpose(0, 2, 1).reshape(2 * depth, s.columns)
            left = left.reshape(s.rows, 2 * depth)
        else:
            left, right = self._matrix(s.left, s.rows, depth), self._matrix(s.right, depth, s.columns)
        with np.errstate(all="ignore"):
            total = np.zeros_like(sums) if self.evaluate(s.fresh) else sums.copy()
            for k in range(left.shape[1]):
                total += left[:, k, None] * right[k]
        sums[...] = total

    def _transpose(self, s: loops.Transpose) -> None:
        rows, columns = int(self.evaluate(s.rows)), int(self.evaluate(s.columns))
        at, step, source_at, source_step = (
            int(self.evaluate(x)) for x in (s.target_position, s.target_step, s.source_position, s.source_step)
        )
        if (s.source.type, s.target.type) == ("bf16", "u32"):
            pairs = self._pairs(loops.Matrix(s.source, s.source_position, source_step), rows, columns)
            for i, j in np.ndindex(rows, columns):
                self.elements(s.target)[at + i + j * step] = pairs[i, j].astype(bfloat16).view(np.uint32)[0]
            return
        scale = 2 if s.source.type in ("c64", "c128") else 1
        for i in range(rows):
            for j in range(columns):
                for part in range(scale):
                    moved = self.load(s.source, (source_at + i * source_step + j) * scale + part)
                    to = (at + i + j * step) * scale + part
                    assert 0 <= to < len(self.elements(s.target)), f"{s.target}[{to}]"
                    self.elements(s.target)[to] = moved

    def _copy(self, s: loops.Copy) -> None:
        count, source, target = (int(self.evaluate(x)) for x in (s.count, s.source_position, s.target_position))
        scale = 2 if s.source.type in ("c64", "c128") else 1
        parts = []
        for buffer, start in ((s.source, source), (s.target, target)):
            data = self.elements(buffer)
            assert 0 <= start <= len(data) // scale - count
            parts.append(data[scale * start : scale * (start + count)])
        parts[1][...] = parts[0]


def garbage(size: int | None, type: str) -> np.ndarray:
    """Memory that nobody has written: every byte 0xA5, of the parts if complex."""
    assert size is not None, "a buffer that is neither an argument nor scratch memory"
    dtype = from_short_name(type)
    return flat(np.frombuffer(b"\xa5" * (size * dtype.itemsize), dtype).copy())


def flat(array: np.ndarray) -> np.ndarray:
    """A view of a contiguous array as memory."""
    elements = array.reshape(-1)
    return elements.view(dtypes.real_part_dtype(array.dtype)) if array.dtype.kind == "c" else elements


def run(kernel: Kernel, memory: Sequence[np.ndarray], dims: Sequence[int] = ()) -> None:
    """Run a kernel.

    Args:
        memory: contiguous arrays in the order of its buffers; it writes into them.
        dims: the values of its symbolic dimensions.
    """
    given = dict(zip(kernel.buffers, map(flat, memory), strict=True))
    sizes = dict(zip(kernel.dims, dims, strict=True))
    with np.errstate(all="ignore"):
        tasks = kernel.tasks
        if isinstance(tasks, Expr):
            tasks = int(Interpreter({}, sizes).evaluate(tasks))
        for task in reversed(range(tasks)):
            Interpreter(dict(given), sizes).block(kernel.body, {kernel.task: np.int64(task)})


# --- Primitives by their rules ----------------------------------------------------------------------------------------


def lowered(
    prim: Primitive, avals: Sequence[Aval], arrays: Sequence[np.ndarray], params: dict, run: Callable = run
) -> list | None:
    """The results of a primitive computed by its lowering rule; None if it has none for these avals.

    `run(kernel, memory)` runs a kernel: in this interpreter, or as native code.
    """
    rule = prim.lower(*avals, **params)
    if rule is None:
        return None
    if isinstance(rule, Program):
        known = dict(zip(rule.invars, arrays, strict=True))
        known.update(zip(rule.constvars, [value.numpy() for value in rule.consts], strict=True))
        for eqn in rule.eqns:
            values = [atom.value if isinstance(atom, Literal) else known[atom] for atom in eqn.inputs]
            found = lowered(eqn.prim, [atom.aval for atom in eqn.inputs], values, eqn.params, run)
            if found is None:
                return None
            known.update(zip(eqn.outs, found, strict=True))
        return [known[var] for var in rule.outs]
    out = prim.infer(tuple(avals), params)
    outs = list(out) if prim.multiple_results else [out]
    results = [np.frombuffer(b"\xa5" * (a.size * a.dtype.itemsize), a.dtype).reshape(a.shape).copy() for a in outs]
    b = Builder(prim.name)
    operands = [Operand(b, b.buffer(f"x{i}", loops.type_of(a.dtype), True), a) for i, a in enumerate(avals)]
    targets = [Operand(b, b.buffer(f"y{i}", loops.type_of(a.dtype)), a) for i, a in enumerate(outs)]
    if isinstance(rule, loops.Native):
        if rule.in_place is not None:
            results[0][...] = arrays[rule.in_place]
        rule.build(b, operands, targets, **params)
    else:
        elements = reduced if isinstance(rule, loops.Reduction) else pointwise
        if any(a.size for a in outs):
            elements(b, rule, operands, targets, params, prim.multiple_results)
    run(b.kernel, [*map(np.ascontiguousarray, arrays), *results])
    return results


def pointwise(b: Builder, rule: Any, operands: list, targets: list, params: dict, multiple: bool) -> None:
    apart = isinstance(rule.at, tuple)

    def element(at: Callable, into: Sequence[Operand], i: Any) -> None:
        out = at(b, loops.unravel(i, into[0].aval.shape), *operands, **params)
        store(into, i, out if multiple and not apart else [out])

    for at, into in zip(rule.at, [[x] for x in targets], strict=True) if apart else [(rule.at, targets)]:
        if into[0].aval.size:
            b.lanes(into[0].aval.size, partial(element, at, into))


def reduced(b: Builder, rule: Any, operands: list, targets: list, params: dict, multiple: bool) -> None:
    position = b.parallel(targets[0].aval.size)
    index = loops.unravel(position, targets[0].aval.shape)
    extents = rule.extents
    if extents is None:
        extents = [operands[0].aval.shape[axis] for axis in rule.axes]
    inits = [loops.const(value, type) for value, type in rule.inits]
    count = int(np.prod(extents))
    totals = b.lanes(
        count, lambda i: rule.element(b, index, loops.unravel(i, extents), *operands, **params) if count else inits,
        inits, rule.combine,
    )  # fmt: skip
    out = rule.finish(totals)
    store(targets, position, out if multiple else [out])


def store(targets: Sequence[Operand], position: Any, values: Sequence[Any]) -> None:
    for target, value in zip(targets, values, strict=True):
        is_complex = isinstance(value, loops.Complex)
        target.put(position, value if is_complex else loops.convert(value, target.type))
