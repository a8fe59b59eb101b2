"""How LLVM's language says each operation of the loop IR, without undefined behaviour and without fast-math."""

from collections.abc import Callable
from typing import Any

from nrx.compiler.code import MEMORY_BITS, Code, bits_type
from nrx.compiler.conversions import convert
from nrx.core.loops import ARITHMETIC, COMPARISONS, FLOAT_TYPES, INT_TYPES, is_float, is_narrow, is_signed

_WORDS = {
    "f": {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"},
    "i": {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"},
    "b": {"and": "and", "or": "or", "xor": "xor", "mul": "and", "add": "or", "max": "or", "min": "and"},
}
_RELATIONS = {
    "f": {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"},
    "i": {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"},
    "u": {"eq": "eq", "ne": "ne", "lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge"},
}


def _plain() -> dict[tuple[str, str], str]:
    table = {}
    for type in (*FLOAT_TYPES, *INT_TYPES, "bool"):
        if is_narrow(type):
            continue
        kind = "b" if type == "bool" else "f" if is_float(type) else "i"
        table.update({(op, type): word for op, word in _WORDS[kind].items()})
        relations = _RELATIONS["f" if kind == "f" else "i" if is_signed(type) else "u"]
        table.update({(op, type): f"{kind.replace('b', 'i').replace('u', 'i')}cmp {r}" for op, r in relations.items()})
    return table


#: Operations that are one instruction of two operands, by the operands' type.
PLAIN = _plain()


def operation(c: Code, op: str, type: str, operands: list[str]) -> str:
    """An operation of ARITHMETIC or COMPARISONS on operands of one type; the name of its result."""
    word = PLAIN.get((op, type))
    if word is not None:
        return c.binary(word, type, *operands)
    if type == "bool" and op in ("not", "sub", "ne"):
        return c.binary("xor", type, operands[0], c.constant(True, "bool") if op == "not" else operands[1])
    if is_narrow(type) and op not in _ON_BITS:
        wide = [convert(c, x, type, "f32") for x in operands]
        result = operation(c, op, "f32", wide)
        return result if op in COMPARISONS else convert(c, result, "f32", type)
    return _RENDER[op](c, type, *operands)


def _negated(c: Code, type: str, x: str) -> str:
    if type in ("f32", "f64"):
        return c.new(f"fneg {c.types[type]} {x}")
    if is_narrow(type):
        return c.binary("xor", type, x, c.constant(*_sign_bit(type)))
    return c.binary("sub", type, c.constant(0, type), x)


def _sign_bit(type: str) -> tuple[int, str]:
    return 1 << (MEMORY_BITS[type] - 1), bits_type(type)


def _absolute(c: Code, type: str, x: str) -> str:
    if type in ("f32", "f64"):
        return c.intrinsic("fabs", type, x)
    if is_narrow(type):
        bit, bits = _sign_bit(type)
        return c.binary("and", type, x, c.constant(bit - 1, bits))
    if not is_signed(type):
        return x
    t = c.types[type]
    return c.call(f"llvm.abs.{c.suffixes[type]}", t, (t, x), ("i1", "false"))


def _with_sign(c: Code, type: str, x: str, y: str) -> str:
    if type in ("f32", "f64"):
        return c.intrinsic("copysign", type, x, y)
    bit, bits = _sign_bit(type)
    sign = c.binary("and", type, y, c.constant(bit, bits))
    return c.binary("or", type, c.binary("and", type, x, c.constant(bit - 1, bits)), sign)


def _extreme(float_relation: str, int_word: str) -> Callable:
    """min or max. Of floats: a NaN if there is one, of two equal numbers the second, as NumPy's vector code does."""

    def render(c: Code, type: str, x: str, y: str) -> str:
        if not is_float(type):
            return c.intrinsic(("s" if is_signed(type) else "u") + int_word, type, x, y)
        chosen = c.select(c.binary(f"fcmp {float_relation}", type, x, y), type, x, y)
        return c.select(c.binary("fcmp uno", type, x, x), type, x, chosen)

    return render


def _fused(c: Code, type: str, x: str, y: str, z: str) -> str:
    """x * y + z rounded once."""
    return c.intrinsic("fma", type, x, y, z)


def _multiplied_and_added(c: Code, type: str, x: str, y: str, z: str) -> str:
    """x * y + z rounded as is fastest."""
    return c.intrinsic("fmuladd", type, x, y, z)


def _root(c: Code, type: str, x: str) -> str:
    return c.intrinsic("sqrt", type, x)


def _rounded(intrinsic: str, relation: str | None = None, step: int = 0) -> Callable:
    """floor, ceil, rint or trunc; for the oldest processors the nearest integer and a step if it lies on this side."""

    def render(c: Code, type: str, x: str) -> str:
        if c.target.cpu != "x86-64":
            return c.intrinsic(intrinsic, type, x)
        size = c.intrinsic("fabs", type, x)
        # Adding 2^p leaves no bits for a fraction; numbers above it have none, and NaN and infinity are above it.
        magic = c.constant(2.0 ** (23 if type == "f32" else 52), type)
        whole = c.binary("fsub", type, c.binary("fadd", type, size, magic), magic)
        number = size if intrinsic == "trunc" else x
        if intrinsic != "trunc":
            whole = c.intrinsic("copysign", type, whole, x)
        if relation is not None:
            beyond = c.binary(f"fcmp {relation}", type, whole, number)
            whole = c.select(beyond, type, c.binary("fadd", type, whole, c.constant(step, type)), whole)
        whole = c.intrinsic("copysign", type, whole, x)
        return c.select(c.binary("fcmp olt", type, size, magic), type, whole, x)

    return render


def _divided(c: Code, type: str, x: str, y: str) -> str:
    """The quotient rounded towards zero, by 1 where y is 0; the least number by -1 is itself."""
    safe = _nonzero(c, type, y)
    if not is_signed(type):
        return _quotient(c, type, x, safe)
    minus = c.binary("icmp eq", type, y, c.constant(-1, type))
    safe = c.select(minus, type, c.constant(1, type), safe)
    return c.select(minus, type, c.binary("sub", type, c.constant(0, type), x), _quotient(c, type, x, safe))


def _remainder(c: Code, type: str, x: str, y: str) -> str:
    """x - x / y * y with the quotient of `_divided`."""
    safe = _nonzero(c, type, y)
    if is_signed(type):
        safe = c.select(c.binary("icmp eq", type, y, c.constant(-1, type)), type, c.constant(1, type), safe)
    if not _by_floats(c, type, y):
        return c.binary("srem" if is_signed(type) else "urem", type, x, safe)
    return c.binary("sub", type, x, c.binary("mul", type, _quotient(c, type, x, safe), safe))


def _by_floats(c: Code, type: str, y: str) -> bool:
    """Whether quotients are computed as floats: processors do not divide vectors of integers."""
    return c.lanes > 1 and MEMORY_BITS[type] <= 32 and y[0] == "%"


def _quotient(c: Code, type: str, x: str, y: str) -> str:
    """x / y, where y is neither 0 nor -1.

    As floats: with p bits for integers of n < p bits, x / y is no integer only if it is at least 1 / y, or a part 2^-n
    of itself, away from the next one, so that it is not rounded to that.
    """
    if not _by_floats(c, type, y):
        return c.binary("sdiv" if is_signed(type) else "udiv", type, x, y)
    wide = "f64" if MEMORY_BITS[type] == 32 else "f32"
    quotient = c.binary("fdiv", wide, convert(c, x, type, wide), convert(c, y, type, wide))
    if type != "u32":
        return c.cast("trunc", c.cast("fptosi", quotient, wide, "i32"), "i32", type)
    one = c.binary("icmp eq", type, y, c.constant(1, type))  # else the quotient has no more than 31 bits
    quotient = c.select(one, wide, c.constant(0, wide), quotient)
    return c.select(one, type, x, c.cast("fptosi", quotient, wide, "i32"))


def _nonzero(c: Code, type: str, y: str) -> str:
    return c.select(c.binary("icmp eq", type, y, c.constant(0, type)), type, c.constant(1, type), y)


def _shift(word: str) -> Callable:
    def render(c: Code, type: str, x: str, y: str) -> str:
        return c.binary(word, type, x, c.binary("and", type, y, c.constant(MEMORY_BITS[type] - 1, type)))

    return render


def _complement(c: Code, type: str, x: str) -> str:
    return c.binary("xor", type, x, c.constant(-1, type))


def _population(c: Code, type: str, x: str) -> str:
    return c.intrinsic("ctpop", type, x)


def _leading_zeros(c: Code, type: str, x: str) -> str:
    t = c.types[type]
    return c.call(f"llvm.ctlz.{c.suffixes[type]}", t, (t, x), ("i1", "false"))


_ON_BITS = frozenset(("neg", "abs", "copysign"))
_RENDER: dict[str, Callable[..., Any]] = {
    "div": _divided,
    "rem": _remainder,
    "neg": _negated,
    "abs": _absolute,
    "min": _extreme("olt", "min"),
    "max": _extreme("ogt", "max"),
    "fma": _fused,
    "muladd": _multiplied_and_added,
    "sqrt": _root,
    "floor": _rounded("floor", "ogt", -1),
    "ceil": _rounded("ceil", "olt", 1),
    "rint": _rounded("roundeven"),
    "trunc": _rounded("trunc", "ogt", -1),
    "copysign": _with_sign,
    "not": _complement,
    "shl": _shift("shl"),
    "lshr": _shift("lshr"),
    "ashr": _shift("ashr"),
    "popcount": _population,
    "clz": _leading_zeros,
}
assert not ARITHMETIC - _RENDER.keys() - {op for op, _ in PLAIN}
