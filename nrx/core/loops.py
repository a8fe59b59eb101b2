"""The loop IR: typed scalar expressions inside structured loops. Lowering rules build it, compilers render it.

An `Expr` is one scalar value at one point of an iteration space; Python's operators build more of them:

    lambda x, y: x * y + 1.0

Statements (loops, stores, conditionals) are made by a `Builder`. A loop that carries values gives them as results, so
every value is written once:

    (total,) = k.loop(n, [k.const(0.0, "f64")], lambda i, acc: [acc + x[i]])

Three kinds of loop say how they may run: `Kernel.tasks` iterations in parallel, `lanes` in vector lanes, `loop` in
order. Types are the short names of dtypes ("f32", "u8", "bool"); complex values are pairs (`Complex`).
"""

import functools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np

from nrx.core import dtypes
from nrx.core.aval import Aval
from nrx.core.dims import Dim

# Types

FLOAT_TYPES = ("f16", "bf16", "f32", "f64")
SIGNED_TYPES = ("i8", "i16", "i32", "i64")
UNSIGNED_TYPES = ("u8", "u16", "u32", "u64")
INT_TYPES = SIGNED_TYPES + UNSIGNED_TYPES
BITS = {"bool": 8, **{t: int(t.lstrip("bfiu")) for t in FLOAT_TYPES + INT_TYPES}}
"""Bits of an element in memory; a bool takes a byte there and one bit in a register."""

_REAL_TYPE = {"c64": "f32", "c128": "f64"}


def type_of(dtype: np.dtype) -> str:
    """The type name of a dtype; "c64" and "c128" are stored as pairs of "f32" and "f64"."""
    return dtypes.short_name(dtype)


def is_float(type: str) -> bool:
    return type[0] in "fb" and type != "bool"


def is_signed(type: str) -> bool:
    return type[0] == "i"


def is_narrow(type: str) -> bool:
    """Computed in f32 and rounded after each operation."""
    return type in ("f16", "bf16") or type.startswith("f8")


# Expressions

#: Operations on operands of one type, which is also that of the result. None is undefined: integers wrap; they divide
#: towards zero, by 1 where the divisor is 0; shift counts are modulo the bits. min and max give NaN if there is one, and
#: the second of two equal numbers. `muladd` rounds once, as `fma` does, or twice, whichever is faster. Sums and maxima of
#: bools are or, products and minima are and.
ARITHMETIC = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "rem",
        "neg",
        "abs",
        "min",
        "max",
        "fma",
        "muladd",
        "sqrt",
        "floor",
        "ceil",
        "rint",
        "trunc",
        "copysign",
        "and",
        "or",
        "xor",
        "not",
        "shl",
        "lshr",
        "ashr",
        "popcount",
        "clz",
    ]
)
#: Operations on operands of one type whose result is a bool. `ne` is true of NaN, the others are false.
COMPARISONS = frozenset(["eq", "ne", "lt", "le", "gt", "ge"])
#: Functions that the compiler expands into ARITHMETIC (its math library), of one float type throughout. Of positive
#: finite numbers, `significand` is between 3/4 and 3/2, and `exponent` that of the power of two it is multiplied by.
MATH = frozenset(
    [
        "exp",
        "exp2",
        "log",
        "log2",
        "expm1",
        "log1p",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "pow",
        "cbrt",
        "rsqrt",
        "logistic",
        "erf",
        "erfc",
        "erf_inv",
        "lgamma",
        "digamma",
        "ldexp",
        "exponent",
        "significand",
    ]
)


class Expr:
    """One scalar value.

    Fields:
        op: an operation above, or const, var, load, linear, result, select, rarely, table, convert, bitcast.
        type: of the value.
        args: operand Exprs.
        attr: const: the Python or NumPy number; var: its `Var`; load: the `Buffer`, with the position as operand;
            linear: (constant, coefficients of args); floordiv, mod: the divisor; result: (statement, number).
        divided: the divisions of positions that begin with this atom.
    """

    __slots__ = ("args", "attr", "divided", "op", "type")

    def __init__(self, op: str, type: str, args: tuple = (), attr: Any = None):
        self.op = op
        self.type = type
        self.args = args
        self.attr = attr
        self.divided: dict[Any, Expr] | None = None

    def __repr__(self) -> str:
        detail = "" if self.attr is None else f"[{self.attr}]"
        return f"{self.op}{detail}({', '.join(map(repr, self.args))}):{self.type}"

    def __add__(self, other: Any) -> Any:
        return _linear_sum(self, other, 1) if self.type == "i64" else _binary("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _lift(other, self) + self

    def __sub__(self, other: Any) -> Any:
        return _linear_sum(self, other, -1) if self.type == "i64" else _binary("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _lift(other, self) - self

    def __mul__(self, other: Any) -> Any:
        return _linear_product(self, other) if self.type == "i64" else _binary("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _lift(other, self) * self

    def __truediv__(self, other: Any) -> Any:
        return _binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _lift(other, self) / self

    def __neg__(self) -> Any:
        return _linear_product(self, -1) if self.type == "i64" else Expr("neg", self.type, (self,))

    def __and__(self, other: Any) -> Any:
        return _binary("and", self, other)

    def __or__(self, other: Any) -> Any:
        return _binary("or", self, other)

    def __xor__(self, other: Any) -> Any:
        return _binary("xor", self, other)

    def __invert__(self) -> Any:
        return Expr("not", self.type, (self,))

    def __lshift__(self, other: Any) -> Any:
        return _binary("shl", self, other)

    def __rshift__(self, other: Any) -> Any:
        return _binary("ashr" if is_signed(self.type) else "lshr", self, other)

    def __lt__(self, other: Any) -> Any:
        return _binary("lt", self, other, "bool")

    def __le__(self, other: Any) -> Any:
        return _binary("le", self, other, "bool")

    def __gt__(self, other: Any) -> Any:
        return _binary("gt", self, other, "bool")

    def __ge__(self, other: Any) -> Any:
        return _binary("ge", self, other, "bool")

    # == and hash stay Python's: an Expr is compared by identity; `eq` and `ne` below build comparisons.

    def __bool__(self) -> bool:
        raise TypeError("an Expr has no truth value while the program is built; use select")


class Complex:
    """A complex value as a pair of real Exprs."""

    __slots__ = ("imag", "real")

    def __init__(self, real: Any, imag: Any):
        self.real = real
        self.imag = imag

    @property
    def type(self) -> str:
        return {"f32": "c64", "f64": "c128"}[self.real.type]

    def __add__(self, other: "Complex") -> "Complex":
        return Complex(self.real + other.real, self.imag + other.imag)

    def __sub__(self, other: "Complex") -> "Complex":
        return Complex(self.real - other.real, self.imag - other.imag)

    def __mul__(self, other: "Complex") -> "Complex":
        # As NumPy does it: the second products are rounded, the first ones are fused with the sum.
        real = apply("fma", self.real, other.real, -(self.imag * other.imag))
        return Complex(real, apply("fma", self.real, other.imag, self.imag * other.real))

    def __neg__(self) -> "Complex":
        return Complex(-self.real, -self.imag)


Value = Expr | Complex


def const(value: Any, type: str) -> Expr:
    """A constant; a Python number is rounded once, to `type`. A Dim is what its symbols make it."""
    if isinstance(value, Dim):
        return convert(linear(*_terms(value)), type)
    return Expr("const", type, (), value)


def literal(value: Any) -> Value:
    """A NumPy scalar or 0-d array as a constant of its dtype."""
    type = type_of(value.dtype)
    if type not in _REAL_TYPE:
        return const(value[()], type)
    return Complex(const(value.real[()], _REAL_TYPE[type]), const(value.imag[()], _REAL_TYPE[type]))


def _lift(value: Any, peer: Expr) -> Expr:
    return value if isinstance(value, Expr) else const(value, peer.type)


def _binary(op: str, x: Any, y: Any, type: str | None = None) -> Expr:
    x = _lift(x, y)
    return Expr(op, type or x.type, (x, _lift(y, x)))


def apply(op: str, *args: Any) -> Expr:
    """An operation of ARITHMETIC or MATH; Python numbers among the operands take the others' type."""
    peer = next(a for a in args if isinstance(a, Expr))
    operands = tuple(_lift(a, peer) for a in args)
    return Expr(op, operands[0].type, operands)


def eq(x: Any, y: Any) -> Expr:
    return _binary("eq", x, y, "bool")


def ne(x: Any, y: Any) -> Expr:
    return _binary("ne", x, y, "bool")


def all_of(conditions: Sequence[Expr]) -> Expr:
    """Whether all of these bools hold."""
    return functools.reduce(operator.and_, conditions) if conditions else const(True, "bool")


def select(condition: Expr, on_true: Any, on_false: Any) -> Any:
    """`on_true` where the bool `condition` holds, else `on_false`; both are computed."""
    if condition.op == "const":
        return on_true if condition.attr else on_false
    if isinstance(on_true, Complex):
        return Complex(select(condition, on_true.real, on_false.real), select(condition, on_true.imag, on_false.imag))
    peer = on_true if isinstance(on_true, Expr) else on_false
    on_true, on_false = _lift(on_true, peer), _lift(on_false, peer)
    return on_true if on_true is on_false else Expr("select", peer.type, (condition, on_true, on_false))


def rarely(condition: Expr, slow: Any, fast: Any) -> Expr:
    """As `select`, for a condition that hardly ever holds: `slow` is computed only where it does in some lane."""
    return Expr("rarely", fast.type, (condition, slow, fast))


def table(index: Expr, values: tuple, type: str) -> Expr:
    """The number at a position, an unsigned integer below their count, of a tuple of constants."""
    return Expr("table", type, (index,), values)


def convert(x: Expr, type: str) -> Expr:
    """The value in another type.

    Floats to integers round towards zero and saturate, NaN gives 0; integers wrap; all but 0 is True. Narrow floats are
    made from f32, so that what is wider is rounded twice, except for f16 from f64.
    """
    return x if x.type == type else Expr("convert", type, (x,))


def bitcast(x: Expr, type: str) -> Expr:
    """The bits read as another type of the same width."""
    return x if x.type == type else Expr("bitcast", type, (x,))


# Positions: i64 expressions are kept as constant + sum of coefficient * atom, so that memory accesses can be analysed.


@cache
def dim(number: int) -> Expr:
    """The symbol of that number, an argument of every kernel of a program that has it."""
    return Expr("dim", "i64", (), number)


@cache
def _product(monomial: tuple[int, ...]) -> Expr:
    """The product of symbols, always the same Expr."""
    first, *rest = monomial
    return Expr("mul", "i64", (dim(first), _product(tuple(rest)))) if rest else dim(first)


def _terms(x: Any) -> tuple[int, dict[Expr, int]]:
    if isinstance(x, Dim):
        return x.terms.get((), 0), {_product(m): c for m, c in x.terms.items() if m}
    if not isinstance(x, Expr):
        return int(x), {}
    if x.op == "linear":
        return x.attr[0], dict(zip(x.args, x.attr[1], strict=True))
    if x.op == "const":
        return int(x.attr), {}
    return 0, {x: 1}


def linear(constant: int, terms: dict[Expr, int]) -> Expr:
    """constant + sum of coefficient * atom, as an i64."""
    terms = {atom: c for atom, c in terms.items() if c}
    if not terms:
        return const(constant, "i64")
    if not constant and len(terms) == 1 and next(iter(terms.values())) == 1:
        return next(iter(terms))
    return Expr("linear", "i64", tuple(terms), (constant, tuple(terms.values())))


def linear_terms(x: Expr) -> tuple[int, dict[Expr, int]]:
    """The constant and the coefficients of the atoms of an i64 expression."""
    return _terms(x)


def position_key(x: Any) -> Any:
    """Equal for equal positions, though they may be different objects."""
    constant, terms = _terms(x)
    return constant, frozenset(terms.items())


def _linear_sum(x: Any, y: Any, sign: int) -> Expr:
    constant, terms = _terms(x)
    more, others = _terms(y)
    for atom, c in others.items():
        terms[atom] = terms.get(atom, 0) + sign * c
    return _recombined(linear(constant + sign * more, terms))


def _recombined(x: Expr) -> Expr:
    """Puts together digits of one number: floordiv(n, d) * d + mod(n, d) is n."""
    constant, terms = _terms(x)
    if not any(atom.op == "mod" for atom in terms):
        return x
    digits = [(*_digit(atom), atom, c) for atom, c in terms.items()]
    for number, weight, base, atom, c in digits:
        for other, its_weight, its_base, higher, its_c in digits:
            follows = base and its_weight == weight * base and its_c == c * base
            if follows and position_key(other) == position_key(number):
                del terms[atom], terms[higher]
                both = _floordiv(number, weight)
                return linear(constant, terms) + c * (both if its_base is None else _mod(both, base * its_base))
    return x


def _digit(atom: Expr) -> tuple[Expr, int, int | None]:
    """An atom as (number, weight, base): the digit floordiv(number, weight), of that base if it is not the highest."""
    base = None
    if atom.op == "mod":
        atom, base = atom.args[0], atom.attr
    return (atom.args[0], atom.attr, base) if atom.op == "floordiv" else (atom, 1, base)


def _linear_product(x: Expr, y: Any) -> Expr:
    (cx, tx), (cy, ty) = _terms(x), _terms(y)
    if tx and ty:
        return Expr("mul", "i64", (x, _lift(y, x)))
    if tx:
        return linear(cx * cy, {atom: c * cy for atom, c in tx.items()})
    return linear(cx * cy, {atom: c * cx for atom, c in ty.items()})


def bounds(x: Any) -> tuple[float, float]:
    """The least and the greatest value that an i64 expression can take, as far as is known."""
    constant, terms = _terms(x)
    low = high = constant
    for atom, c in terms.items():
        a, b = _atom_bounds(atom)
        low, high = low + min(a * c, b * c), high + max(a * c, b * c)
    return low, high


_UNBOUNDED = (float("-inf"), float("inf"))


def _atom_bounds(atom: Expr) -> tuple[float, float]:
    if atom.op == "var":
        extent = atom.attr.extent
        return 0, bounds(extent)[1] - 1
    if atom.op == "mod":
        return 0, min(atom.attr - 1, bounds(atom.args[0])[1])
    if atom.op == "floordiv":
        low, high = bounds(atom.args[0])
        return max(low, 0) // atom.attr, high // atom.attr if math.isfinite(high) else high
    if atom.op == "select":
        lows, highs = zip(*map(bounds, atom.args[1:]), strict=True)
        return min(lows), max(highs)
    if atom.op == "dim":
        return 0, float("inf")
    if atom.op in ("min", "max"):
        choose = min if atom.op == "min" else max
        lows, highs = zip(*map(bounds, atom.args), strict=True)
        return choose(lows), choose(highs)
    if atom.op == "convert" and atom.args[0].type in INT_TYPES:
        bits, signed = BITS[atom.args[0].type], is_signed(atom.args[0].type)
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1) if bits < 64 else _UNBOUNDED
    return _UNBOUNDED


def inside(x: Any, high: int) -> list[Expr]:
    """The conditions for a position to be in [0, high], without those that its bounds make sure of."""
    (low, most), x = bounds(x), x if isinstance(x, Expr) else const(x, "i64")
    if low < 0 and most > high:
        return [bitcast(x, "u64") <= high]
    return [x >= 0] * (low < 0) + [x <= high] * (most > high)


def clamp(x: Any, high: int) -> Any:
    """A position moved into [0, high]; what its bounds make needless is left out."""
    if not isinstance(x, Expr):
        return min(max(x, 0), high)
    if high == 0:
        return const(0, "i64")
    known = bounds(x)
    if known[0] < 0:
        x = apply("max", x, 0)
    return apply("min", x, high) if known[1] > high else x


def floordiv(x: Any, divisor: int) -> Any:
    """x // divisor for a position x that is not negative and a positive int."""
    return _quotient_and_rest(x, divisor)[0]


def mod(x: Any, divisor: int) -> Any:
    """x % divisor for a position x that is not negative and a positive int."""
    return _quotient_and_rest(x, divisor)[1]


def _quotient_and_rest(x: Any, divisor: int) -> tuple[Any, Any]:
    if not isinstance(x, Expr):
        return x // divisor, x % divisor
    constant, terms = _terms(x)
    rest = linear(constant % divisor, {a: c for a, c in terms.items() if c % divisor})
    low, high = bounds(rest)
    if low == float("-inf"):  # nothing can be said of a part of x
        return _floordiv(x, divisor), _mod(x, divisor)
    below = low // divisor  # negative where rest may be
    rest = rest - below * divisor
    whole = linear(constant // divisor + below, {a: c // divisor for a, c in terms.items() if c % divisor == 0})
    if high - below * divisor < divisor:
        return whole, rest
    scale, digit, rest = _common_divisor(rest, divisor)
    divisor //= scale
    return whole + _floordiv(digit, divisor), rest + _mod(digit, divisor) * scale


def _common_divisor(x: Expr, divisor: int) -> tuple[int, Expr, Expr]:
    """(g, q, r) with x = g * q + r and 0 <= r < g, where g divides the divisor: dividing q by divisor / g is enough."""
    constant, terms = _terms(x)
    for g in sorted({math.gcd(c, divisor) for c in terms.values()} - {1}, reverse=True):
        rest = linear(constant % g, {a: c for a, c in terms.items() if c % g})
        low, high = bounds(rest)
        if low >= 0 and high < g:
            return g, linear(constant // g, {a: c // g for a, c in terms.items() if c % g == 0}), rest
    return 1, x, const(0, "i64")


def _floordiv(x: Expr, divisor: int) -> Expr:
    if x.op == "mod" and x.attr % divisor == 0:
        return _mod(_floordiv(x.args[0], divisor), x.attr // divisor)
    if x.op == "floordiv":
        x, divisor = x.args[0], x.attr * divisor
    return _division("floordiv", x, divisor)


def _mod(x: Expr, divisor: int) -> Expr:
    if x.op == "mod" and x.attr % divisor == 0:
        x = x.args[0]
    return _division("mod", x, divisor)


def _division(op: str, x: Expr, divisor: int) -> Expr:
    """One Expr for equal operands, so that sums of them cancel; it is remembered at one of the operand's atoms."""
    if divisor == 1:
        return x if op == "floordiv" else const(0, "i64")
    atom = min(_terms(x)[1], key=id)
    if atom.divided is None:
        atom.divided = {}
    key = (op, divisor, position_key(x))
    if key not in atom.divided:
        atom.divided[key] = Expr(op, "i64", (x,), divisor)
    return atom.divided[key]


# Memory and statements


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


class Gemm:
    """c = alpha * op(a) @ op(b) + beta * c of row-major float matrices, by the platform's library.

    Args:
        type: "f32" or "f64".
        m, n, k: i64 extents.
        a, b, c: (buffer, position, leading dimension, transposed); c is not transposed.
        accumulate: whether c is added to instead of overwritten.
    """

    def __init__(self, type: str, m: Any, n: Any, k: Any, a: tuple, b: tuple, c: tuple, accumulate: bool):
        self.type, self.m, self.n, self.k = type, m, n, k
        self.a, self.b, self.c, self.accumulate = a, b, c, accumulate


class Poll:
    """Lets the host handle what interrupts long loops; a status that is not 0 asks to stop."""


class Copy:
    """Copies `count` elements from one buffer to another; they do not overlap."""

    def __init__(self, target: Buffer, target_position: Any, source: Buffer, source_position: Any, count: Any):
        self.target, self.target_position = target, target_position
        self.source, self.source_position, self.count = source, source_position, count


class Transpose:
    """target[i + j * target_step] = source[i * source_step + j], counted from positions, for all i < rows, j < columns.

    The two matrices do not overlap. Positions and steps count whole elements, also complex ones.
    """

    def __init__(
        self, target: Buffer, target_position: Any, target_step: Any, source: Buffer, source_position: Any,
        source_step: Any, rows: Any, columns: Any,
    ):  # fmt: skip
        self.target, self.target_position, self.target_step = target, target_position, target_step
        self.source, self.source_position, self.source_step = source, source_position, source_step
        self.rows, self.columns = rows, columns


class Kernel:
    """A function over memory whose tasks may run in parallel.

    Fields:
        name: for printing.
        buffers: what it reads and writes, in the order of its arguments.
        dims: i64 arguments (symbolic dimensions), as Exprs of op "dim".
        tasks: the number of tasks, an int or an i64 Expr.
        task: the task's number, an Expr.
        body: statements.
        multiplies: whether it calls the platform's library.
        cost: of one task, in elementary operations; decides how many tasks one thread claims at a time.
    """

    def __init__(self, name: str):
        self.name = name
        self.buffers: list[Buffer] = []
        self.dims: list[Expr] = []
        self.tasks: Any = 1
        self.task = Expr("var", "i64", (), Var("task", 1))
        self.body: list[Any] = []
        self.cost: float = 1.0
        self.multiplies = False


class Builder:
    """Makes the statements of a kernel; what a lowering rule calls."""

    def __init__(self, name: str):
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
        value = Expr("load", _REAL_TYPE.get(buffer.type, buffer.type), (_lift(position, self.kernel.task),), buffer)
        if not buffer.readonly:
            self._block.append(Let(value))
        return value

    def store(self, buffer: Buffer, position: Any, value: Expr) -> None:
        self._block.append(Store(buffer, _lift(position, self.kernel.task), value))

    def copy(self, target: Buffer, target_position: Any, source: Buffer, source_position: Any, count: Any) -> None:
        """memcpy of `count` elements."""
        lifted = [_lift(p, self.kernel.task) for p in (target_position, source_position, count)]
        self._block.append(Copy(target, lifted[0], source, lifted[1], lifted[2]))

    def transpose(
        self, target: Buffer, target_position: Any, target_step: Any, source: Buffer, source_position: Any,
        source_step: Any, rows: Any, columns: Any,
    ) -> None:  # fmt: skip
        """See `Transpose`."""
        at, step, source_at, source_step, rows, columns = (
            _lift(x, self.kernel.task)
            for x in (target_position, target_step, source_position, source_step, rows, columns)
        )
        self._block.append(Transpose(target, at, step, source, source_at, source_step, rows, columns))

    def loop(self, extent: Any, inits: Sequence[Expr], body: Callable[..., Sequence[Expr] | None]) -> list[Expr]:
        """`body(i, *carried)` gives the next carried values; the last ones are the result."""
        var = Expr("var", "i64", (), Var("loop", extent))
        carried = [Expr("carried", x.type) for x in inits]
        statement = Loop(var, _lift(extent, self.kernel.task), list(inits), carried)
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
        statement = Lanes(var, _lift(extent, self.kernel.task), list(inits), combine)
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

    def poll(self) -> Expr:
        """Let the host handle interrupts: an i64 that is not 0 if the kernel should stop."""
        self._block.append(statement := Poll())
        return Expr("result", "i64", (), (statement, 0))

    def gemm(self, type: str, m: Any, n: Any, k: Any, a: tuple, b: tuple, c: tuple, accumulate: bool = False) -> None:
        """See `Gemm`."""
        self.kernel.multiplies = True
        task = self.kernel.task
        lifted = [(buffer, _lift(at, task), _lift(ld, task), *rest) for buffer, at, ld, *rest in (a, b, c)]
        extents = [_lift(x, task) for x in (m, n, k)]
        self._block.append(Gemm(type, *extents, *lifted, accumulate))

    def _results(self, statement: Any, like: Sequence[Expr]) -> list[Expr]:
        self._block.append(statement)
        return [Expr("result", x.type, (), (statement, number)) for number, x in enumerate(like)]


# What a primitive's `lower` rule gives: how its results come from its operands


class Reader(Protocol):
    """Reads an operand: `x(i, j)` is its element at that index, a Value. `x.aval` tells shape and dtype."""

    aval: Aval

    def __call__(self, *index: Any) -> Any: ...


class Pointwise:
    """Results whose elements are independent of each other.

    Args:
        at: `at(b, index, *operands, **params)` is the element of the result at `index` (a tuple of i64 Exprs); operands
            are Readers. A list of elements with multiple results, or, where these differ in shape, a tuple of such
            functions, one for each result.
        cost: elementary operations an element takes; 0 for those that only move data.
    """

    __slots__ = ("at", "cost")

    def __init__(self, at: Callable | tuple[Callable, ...], cost: float = 1):
        self.at = at
        self.cost = cost


class Elementwise(Pointwise):
    """Pointwise, from the operands' elements at the same index: `function(*elements, **params)`.

    Args:
        function: builds the element of the result (or a list of them) from Exprs or Complexes.
        cost: elementary operations of one element.
        narrow: False: float16, bfloat16 and fp8 operands are converted to f32, and an f32 result to the result's dtype;
            True: `function` takes them as they are.
    """

    __slots__ = ("function", "narrow")

    def __init__(self, function: Callable, cost: float = 1, narrow: bool = False):
        super().__init__(self._at, cost)
        self.function = function
        self.narrow = narrow

    def _at(self, b: Builder, index: tuple, *operands: Reader, **params: Any) -> Any:
        elements = [x(*index) for x in operands]
        if not self.narrow:
            elements = [widen(x) for x in elements]
        return self.function(*elements, **params)


def widen(x: Any) -> Any:
    """A narrow float as f32; anything else as it is."""
    return convert(x, "f32") if is_narrow(x.type) else x


class Reduction:
    """A result whose every element combines many.

    Args:
        axes: those of the first operand that are reduced, or, with `extents`, none: the result's axes are all kept.
        element: `element(b, index, reduced, *operands, **params)`: the list of values to accumulate, at an index of the
            result and an index of what is reduced.
        inits: neutral values, as (number, type).
        combine: as for `Lanes`.
        finish: from the accumulated values to the element of the result.
        extents: the extents of what is reduced, where it is not axes of the first operand.
    """

    __slots__ = ("axes", "combine", "element", "extents", "finish", "inits")

    def __init__(
        self,
        element: Callable,
        inits: Sequence[tuple[Any, str]],
        combine: Callable,
        finish: Callable = lambda values: values[0],
        axes: tuple[int, ...] | None = None,
        extents: tuple[Any, ...] | None = None,
    ):
        self.element, self.inits, self.combine, self.finish = element, inits, combine, finish
        self.axes, self.extents = axes, extents


class Native:
    """A kernel written out in loops; its operands and results are whole arrays in row-major order.

    Args:
        build: `build(b, operands, results, **params)` with lists of `Operand`s (memory and Aval); calls `b.parallel` if
            it can, then stores every element of the results.
        in_place: the operand whose memory the first result takes over, where the compiler finds that it is free, or is
            given a copy of: `build` finds that operand's elements in the result.
    """

    __slots__ = ("build", "in_place")

    def __init__(self, build: Callable, in_place: int | None = None):
        self.build = build
        self.in_place = in_place


class Operand:
    """An array in memory, in row-major order, for `Native` rules; `x(i, j)` loads an element.

    Fields:
        buffer: the memory.
        offset: the position of its first element.
        aval: shape and dtype.
    """

    __slots__ = ("_builder", "aval", "buffer", "offset")

    def __init__(self, builder: Builder, buffer: Buffer, aval: Aval, offset: Any = 0):
        self._builder, self.buffer, self.aval, self.offset = builder, buffer, aval, offset

    @property
    def type(self) -> str:
        return self.buffer.type

    def position(self, *index: Any) -> Any:
        """Where the element at `index` lies."""
        return row_major(index, self.aval.shape) + self.offset

    def __call__(self, *index: Any) -> Value:
        return self.at(self.position(*index))

    def at(self, position: Any) -> Value:
        """The element at a position."""
        load = self._builder.load
        if self.buffer.type in _REAL_TYPE:
            return Complex(load(self.buffer, position * 2), load(self.buffer, position * 2 + 1))
        return load(self.buffer, position)

    def put(self, position: Any, value: Value) -> None:
        """Store an element at a position."""
        store = self._builder.store
        if isinstance(value, Complex):
            store(self.buffer, position * 2, value.real)
            store(self.buffer, position * 2 + 1, value.imag)
        else:
            store(self.buffer, position, value)


def row_major(index: Sequence[Any], shape: Sequence[Any]) -> Any:
    """The position of the element at `index` of an array of that shape."""
    position: Any = const(0, "i64")
    stride: Any = 1
    for i, extent in zip(reversed(index), reversed(shape), strict=True):
        position = position + _lift(i, position) * stride
        stride = stride * extent
    return position


def unravel(position: Any, shape: Sequence[Any]) -> tuple:
    """The index at which an array of that shape has the element of that position."""
    index = []
    for extent in reversed(shape[1:]):
        divisor = extent or 1  # an array without elements is never asked for one
        index.append(mod(position, divisor))
        position = floordiv(position, divisor)
    return (position, *reversed(index)) if shape else ()


def reshaped(index: Sequence[Any], shape: Sequence[int], target: Sequence[int]) -> tuple:
    """The index in an array of shape `target` of the element at `index` of one of `shape`, as reshaping moves it."""
    result: list[Any] = [0] * len(target)
    if math.prod(shape) == 0:
        return tuple(result)
    for axes, target_axes in _equal_parts(shape, target):
        position = index[axes[0]] if len(axes) == 1 else row_major([index[a] for a in axes], [shape[a] for a in axes])
        for axis, i in zip(target_axes, unravel(position, [target[a] for a in target_axes]), strict=True):
            result[axis] = i
    return tuple(result)


def _equal_parts(shape: Sequence[int], other: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The shortest runs of axes of both shapes that have as many elements; axes of length 1 are in none."""
    axes = iter([axis for axis, extent in enumerate(shape) if extent != 1])
    others = iter([axis for axis, extent in enumerate(other) if extent != 1])
    for axis in axes:
        run, other_run = [axis], [next(others)]
        count, other_count = shape[axis], other[other_run[0]]
        while count != other_count:
            if count < other_count:
                run.append(next(axes))
                count *= shape[run[-1]]
            else:
                other_run.append(next(others))
                other_count *= other[other_run[-1]]
        yield run, other_run


class Scan:
    """A loop over slices: `body` takes constants, carried values and slices, gives carried values and slices.

    Args:
        body: the Program of one step.
        length: the number of steps.
        reverse: whether the steps run from the last slice to the first.
        consts, carry: how many operands are constants and how many are carried; the others are sliced.
    """

    __slots__ = ("body", "carry", "consts", "length", "reverse")

    def __init__(self, body: Any, length: Any, reverse: bool, consts: int, carry: int):
        self.body, self.length, self.reverse, self.consts, self.carry = body, length, reverse, consts, carry


class Repeat:
    """A loop while a condition holds.

    Args:
        cond: a Program from its constants and the carried values to a bool.
        body: a Program from its constants and the carried values to the next ones.
        cond_consts, body_consts: how many of the operands come first for each; the others are carried.
    """

    __slots__ = ("body", "body_consts", "cond", "cond_consts")

    def __init__(self, cond: Any, body: Any, cond_consts: int, body_consts: int):
        self.cond, self.body, self.cond_consts, self.body_consts = cond, body, cond_consts, body_consts


class Switch:
    """One of several Programs, by an int32 operand that is clamped to their number; all take the other operands."""

    __slots__ = ("branches",)

    def __init__(self, branches: tuple):
        self.branches = branches
