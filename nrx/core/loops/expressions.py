"""Expressions of the loop IR: types, scalar values, and positions in memory."""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cache, reduce
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.dims import Dim, identity

# Types

FLOAT_TYPES = ("f16", "bf16", "f32", "f64")
SIGNED_TYPES = ("i8", "i16", "i32", "i64")
UNSIGNED_TYPES = ("u8", "u16", "u32", "u64")
INT_TYPES = SIGNED_TYPES + UNSIGNED_TYPES
BITS = {"bool": 8, **{t: int(t.lstrip("bfiu")) for t in FLOAT_TYPES + INT_TYPES}}
"""Bits of an element in memory; a bool takes a byte there and one bit in a register."""

REAL_TYPE = {"c64": "f32", "c128": "f64"}


def type_of(dtype: np.dtype) -> str:
    """The type name of a dtype; "c64" and "c128" are stored as pairs of "f32" and "f64"."""
    return dtypes.short_name(dtypes.storage(dtype))


def is_float(type: str) -> bool:
    return type[0] in "fb" and type != "bool"


def is_signed(type: str) -> bool:
    return type[0] == "i"


def is_narrow(type: str) -> bool:
    """Computed in f32 and rounded after each operation."""
    return type in ("f16", "bf16") or type.startswith("f8")


# Expressions

#: Operations on operands of one type, which is also that of the result. None is undefined: integers wrap; they divide
#: towards zero, by 1 where the divisor is 0; shift counts are modulo the bits. min and max give NaN if there is one,
#: and the second of two equal numbers. `muladd` rounds once, as `fma` does, or twice, whichever is faster. Sums and
#: maxima of bools are or, products and minima are and.
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
        op: an operation above, or const, var, load, linear, result, select, rarely, call, table, convert, bitcast.
        type: of the value.
        args: operand Exprs.
        attr: const: the Python or NumPy number; var: its `Var`; load: the `Buffer`, with the position as operand;
            linear: (constant, coefficients of args); floordiv, mod: the divisor; result: (statement, number).
        divided: the divisions and products of positions that begin with this atom.
        known_bounds: the least and the greatest value of this atom, once they are asked for.
    """

    __slots__ = ("args", "attr", "divided", "known_bounds", "op", "type")

    def __init__(self, op: str, type: str, args: tuple = (), attr: Any = None):
        self.op = op
        self.type = type
        self.args = args
        self.attr = attr
        self.divided: dict[Any, Expr] | None = None
        self.known_bounds: tuple[float, float] | None = None

    def __repr__(self) -> str:
        detail = "" if self.attr is None else f"[{self.attr}]"
        return f"{self.op}{detail}({', '.join(map(repr, self.args))}):{self.type}"

    def __add__(self, other: Any) -> Any:
        return _linear_sum(self, other, 1) if self.type == "i64" else _binary("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return lifted(other, self) + self

    def __sub__(self, other: Any) -> Any:
        return _linear_sum(self, other, -1) if self.type == "i64" else _binary("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return lifted(other, self) - self

    def __mul__(self, other: Any) -> Any:
        return _linear_product(self, other) if self.type == "i64" else _binary("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return lifted(other, self) * self

    def __truediv__(self, other: Any) -> Any:
        return _binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return lifted(other, self) / self

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
    if type not in REAL_TYPE:
        return const(value[()], type)
    return Complex(const(value.real[()], REAL_TYPE[type]), const(value.imag[()], REAL_TYPE[type]))


def lifted(value: Any, peer: Expr) -> Expr:
    return value if isinstance(value, Expr) else const(value, peer.type)


def _binary(op: str, x: Any, y: Any, type: str | None = None) -> Expr:
    x = lifted(x, y)
    return Expr(op, type or x.type, (x, lifted(y, x)))


def apply(op: str, *args: Any) -> Expr:
    """An operation of ARITHMETIC or MATH; Python numbers among the operands take the others' type."""
    peer = next(a for a in args if isinstance(a, Expr))
    operands = tuple(lifted(a, peer) for a in args)
    return Expr(op, operands[0].type, operands)


def eq(x: Any, y: Any) -> Expr:
    return _binary("eq", x, y, "bool")


def ne(x: Any, y: Any) -> Expr:
    return _binary("ne", x, y, "bool")


def all_of(conditions: Sequence[Expr]) -> Expr:
    """Whether all of these bools hold."""
    return reduce(operator.and_, conditions) if conditions else const(True, "bool")


def select(condition: Expr, on_true: Any, on_false: Any) -> Any:
    """`on_true` where the bool `condition` holds, else `on_false`; both are computed."""
    if condition.op == "const":
        return on_true if condition.attr else on_false
    if isinstance(on_true, Complex):
        return Complex(select(condition, on_true.real, on_false.real), select(condition, on_true.imag, on_false.imag))
    peer = on_true if isinstance(on_true, Expr) else on_false
    on_true, on_false = lifted(on_true, peer), lifted(on_false, peer)
    return on_true if on_true is on_false else Expr("select", peer.type, (condition, on_true, on_false))


def rarely(condition: Expr, slow: Any, fast: Any) -> Expr:
    """As `select`, for a condition that hardly ever holds: `slow` is computed only where it does in some lane."""
    return Expr("rarely", fast.type, (condition, slow, fast))


def call(function: Callable[..., Expr], *args: Expr) -> Expr:
    """`function(*args)`, all of one type, as a subroutine: for what is long and rarely computed."""
    return Expr("call", args[0].type, args, function)


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
    digits = [(*digit, atom, c) for atom, c in terms.items() for digit in _digits(atom)]
    for number, weight, base, atom, c in digits:
        for other, its_weight, its_base, higher, its_c in digits:
            if base is None or (its_weight, its_c) != (weight * base, c * base):
                continue
            if position_key(other) == position_key(number):
                del terms[atom], terms[higher]
                both = _floordiv(number, weight)
                return linear(constant, terms) + c * (both if its_base is None else _mod(both, base * its_base))
    return x


def _digits(atom: Expr) -> Iterator[tuple[Expr, int, int | None]]:
    """An atom as (number, weight, base): the digit floordiv(number, weight), of that base if it is not the highest.

    A digit of a digit is also one of the number below: mod(floordiv(n, w), m) is floordiv(mod(n, w * m), w).
    """
    base = None
    if atom.op == "mod":
        atom, base = atom.args[0], atom.attr
    number, weight = (atom.args[0], atom.attr) if atom.op == "floordiv" else (atom, 1)
    yield number, weight, base
    if number.op == "mod" and number.args[0].op == "floordiv":
        inner = number.args[0]
        yield _mod(inner.args[0], number.attr * inner.attr), weight * inner.attr, base


def _linear_product(x: Expr, y: Any) -> Expr:
    (cx, tx), (cy, ty) = _terms(x), _terms(y)
    if tx and isinstance(y, Dim):  # a sum of products: parts of positions cancel and divide
        terms = {atom: c * cy for atom, c in tx.items()}
        for b, d in ty.items():
            terms[b] = terms.get(b, 0) + d * cx
            for a, c in tx.items():
                product = _shared("mul", a, b)
                terms[product] = terms.get(product, 0) + c * d
        return linear(cx * cy, terms)
    if tx and ty:
        return Expr("mul", "i64", (x, lifted(y, x)))
    if tx:
        return linear(cx * cy, {atom: c * cy for atom, c in tx.items()})
    return linear(cx * cy, {atom: c * cx for atom, c in ty.items()})


def bounds(x: Any) -> tuple[float, float]:
    """The least and the greatest value that an i64 expression can take, as far as is known."""
    constant, terms = _terms(x)
    low = high = float(constant)
    for atom, c in terms.items():
        a, b = _atom_bounds(atom)
        low, high = low + min(a * c, b * c), high + max(a * c, b * c)
    return low, high


_UNBOUNDED = (float("-inf"), float("inf"))


def _atom_bounds(atom: Expr) -> tuple[float, float]:
    if atom.op == "var":
        extent = atom.attr.extent
        return 0, bounds(extent)[1] - 1
    if atom.known_bounds is None:  # what a search has found so far is in the bounds of each of its steps, twice
        atom.known_bounds = _bounds_of_operation(atom)
    return atom.known_bounds


def _bounds_of_operation(atom: Expr) -> tuple[float, float]:
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
    if isinstance(divisor, Dim):
        return _divided_by_open(x, divisor)
    constant, terms = _terms(x)
    rest = linear(constant % divisor, {a: c for a, c in terms.items() if c % divisor})
    low, high = bounds(rest)
    if low == float("-inf"):  # nothing can be said of a part of x
        return _floordiv(x, divisor), _mod(x, divisor)
    below = int(low // divisor)  # negative where rest may be
    rest = rest - below * divisor
    whole = linear(constant // divisor + below, {a: c // divisor for a, c in terms.items() if c % divisor == 0})
    if high - below * divisor < divisor:
        return whole, rest
    scale, digit, rest = _common_divisor(rest, divisor)
    divisor //= scale
    return whole + _floordiv(digit, divisor), rest + _mod(digit, divisor) * scale


def _divided_by_open(x: Expr, divisor: Dim) -> tuple[Any, Any]:
    """As `_quotient_and_rest`, where only the running code knows the divisor."""
    factor = const(divisor, "i64")
    whole, rest = linear(0, {}), x
    if not divisor.terms.get(()) and len(divisor.terms) == 1:
        ((atom, scale),) = _terms(divisor)[1].items()
        found = {a: c for a, c in _terms(x)[1].items() if a.op == "mul" and a.args[1] is atom and c % scale == 0}
        others = x - linear(0, found)
        if _is_natural(others):
            rest = others
            for a, c in found.items():
                whole = whole + a.args[0] * (c // scale)
    if rest.op == "var" and identity(rest.attr.extent) == identity(divisor):
        return whole, rest
    quotient = _shared("div", rest, factor)
    return whole + quotient, rest - quotient * divisor


def _is_natural(x: Expr) -> bool:
    """Whether a position is certain not to be negative."""
    constant, terms = _terms(x)
    return constant >= 0 and all(c > 0 and _is_natural_atom(atom) for atom, c in terms.items())


def _is_natural_atom(atom: Expr) -> bool:
    return all(map(_is_natural, atom.args)) if atom.op in ("mul", "div") else bounds(atom)[0] >= 0


def _shared(op: str, x: Expr, y: Expr) -> Expr:
    """One Expr for equal operands, so that sums of them cancel; it is remembered at one of the first's atoms."""
    atom = _keeper(x)
    if atom.divided is None:
        atom.divided = {}
    key = (op, position_key(x), position_key(y))
    if key not in atom.divided:
        atom.divided[key] = Expr(op, "i64", (x, y))
    return atom.divided[key]


def _keeper(x: Expr) -> Expr:
    """The atom that remembers what is made of a position: not a symbol, which lives for ever, if there is another."""
    return min(_terms(x)[1], key=lambda atom: (_is_symbolic(atom), id(atom)), default=x)


def _is_symbolic(atom: Expr) -> bool:
    return atom.op == "dim" or (atom.op == "mul" and all(map(_is_symbolic, atom.args)))


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
    atom = _keeper(x)
    if atom.divided is None:
        atom.divided = {}
    key = (op, divisor, position_key(x))
    if key not in atom.divided:
        atom.divided[key] = Expr(op, "i64", (x,), divisor)
    return atom.divided[key]
