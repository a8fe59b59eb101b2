"""Functions of the math library that AVX-512 has instructions for: scaling by a power of two, and taking it off."""

from nrx.compiler.code import MEMORY_BITS, Code
from nrx.compiler.targets import Target

_REGISTER = 512
_ROUNDING = ("i32", "4")  # that in force
_SIGNIFICANDS = ("i32", "11")  # from 3/4 to 3/2, with the sign left out of account

FUNCTIONS = frozenset(("ldexp", "exponent", "significand"))
INTRINSICS = frozenset(
    f"x86.avx512.mask.{name}.{type}.512" for name in ("scalef", "getexp", "getmant") for type in ("ps", "pd")
)
PAIRS = frozenset(f"x86.avx512bf16.dpbf16ps.{bits}" for bits in (128, 256, 512))
"""Add products of pairs of bf16, for vectors of some widths; only processors with `has_bf16_pairs` know them."""


def has(target: Target, op: str, type: str, lanes: int) -> bool:
    """Whether a function is an instruction for that many numbers of a type."""
    if op not in FUNCTIONS or target.vector_bits != _REGISTER or type not in ("f32", "f64"):
        return False
    return lanes * MEMORY_BITS[type] % _REGISTER == 0


def operation(c: Code, op: str, type: str, operands: list[str]) -> str:
    """One of FUNCTIONS, register by register; the name of its result."""
    lanes, size = c.lanes, _REGISTER // MEMORY_BITS[type]
    if lanes == size:
        return _in_register(c, op, type, operands)
    half = lanes // 2
    vector, parts = c.types[type], []
    for first in (0, half):
        c.shape(lanes)
        order = ", ".join([f"i32 {first + k}" for k in range(half)])
        halves = [c.new(f"shufflevector {vector} {x}, {vector} poison, <{half} x i32> <{order}>") for x in operands]
        c.shape(half)
        parts.append(operation(c, op, type, halves))
    c.shape(half)
    narrow = c.types[type]
    order = ", ".join([f"i32 {k}" for k in range(lanes)])
    both = f"{narrow} {parts[0]}, {narrow} {parts[1]}"
    c.shape(lanes)
    return c.new(f"shufflevector {both}, <{lanes} x i32> <{order}>")


def _in_register(c: Code, op: str, type: str, operands: list[str]) -> str:
    if op == "ldexp":
        return _call(c, "scalef", type, operands)
    significand = _call(c, "getmant", type, operands, _SIGNIFICANDS)
    if op == "significand":
        return significand
    # The instruction has significands from 1 on in mind.
    exponent = _call(c, "getexp", type, operands)
    below = c.binary("fcmp olt", type, significand, c.constant(1, type))
    return c.select(below, type, c.binary("fadd", type, exponent, c.constant(1, type)), exponent)


def _call(c: Code, name: str, type: str, operands: list[str], *options: tuple[str, str]) -> str:
    t = c.types[type]
    function = f"llvm.x86.avx512.mask.{name}.{'ps' if type == 'f32' else 'pd'}.512"
    every_lane = (f"i{max(c.lanes, 8)}", "-1")
    arguments = [(t, x) for x in operands]
    return c.call(function, t, *arguments, *options, (t, "zeroinitializer"), every_lane, _ROUNDING)
