"""Conversions between the types, to the bit those of NumPy's and ml_dtypes' astype; floats to integers saturate.

Floats narrower than f32 go through f32, as they do there; only f64 to f16 is rounded once.
"""

from dataclasses import dataclass

from nrx.compiler.code import MEMORY_BITS, Code
from nrx.core.loops import is_narrow, is_signed


@dataclass(frozen=True)
class _Format:
    """A narrow float: sign, exponent and mantissa bits.

    Args:
        mantissa: its bits.
        bias: of the exponent.
        largest: the bits of the greatest finite number.
        overflow: those of what is greater.
        nan: those of a NaN.
        unsigned_zero: the bits of -0 mean NaN, and there is no other.
    """

    mantissa: int
    bias: int
    largest: int
    overflow: int
    nan: int
    unsigned_zero: bool = False


_FORMATS = {
    "f16": _Format(10, 15, 0x7BFF, 0x7C00, 0x7E00),
    "f8_e3m4": _Format(4, 3, 0x6F, 0x70, 0x78),
    "f8_e4m3": _Format(3, 7, 0x77, 0x78, 0x7C),
    "f8_e5m2": _Format(2, 15, 0x7B, 0x7C, 0x7E),
    "f8_e4m3fn": _Format(3, 7, 0x7E, 0x7F, 0x7F),
    "f8_e4m3b11fnuz": _Format(3, 11, 0x7F, 0x80, 0x80, unsigned_zero=True),
    "f8_e4m3fnuz": _Format(3, 8, 0x7F, 0x80, 0x80, unsigned_zero=True),
    "f8_e5m2fnuz": _Format(2, 16, 0x7F, 0x80, 0x80, unsigned_zero=True),
}
_INFINITY = 0x7F800000


def convert(c: Code, x: str, source: str, target: str) -> str:
    """The value `x` of type `source` as one of type `target`."""
    if source == target:
        return x
    if is_narrow(source):
        return convert(c, _widened(c, x, source), "f32", target)
    if is_narrow(target):
        if (source, target) == ("f64", "f16"):
            return _narrowed(c, _rounded_to_odd(c, x), target)
        return _narrowed(c, convert(c, x, source, "f32"), target)
    if target == "bool":
        return c.binary("fcmp une" if source[0] == "f" else "icmp ne", source, x, c.constant(0, source))
    if source[0] == "f":
        if target[0] == "f":
            return c.cast("fpext" if target == "f64" else "fptrunc", x, source, target)
        return _float_to_int(c, x, source, target)
    if target[0] == "f":
        return c.cast("sitofp" if is_signed(source) else "uitofp", x, source, target)
    if source == "bool":
        return c.cast("zext", x, source, target)
    if MEMORY_BITS[target] <= MEMORY_BITS[source]:
        return c.cast("trunc", x, source, target)
    return c.cast("sext" if is_signed(source) else "zext", x, source, target)


def _float_to_int(c: Code, x: str, source: str, target: str) -> str:
    """Rounded towards zero; saturating, NaN gives 0. The conversion itself only ever sees numbers in range."""
    bits = MEMORY_BITS[target]
    least = -(1 << (bits - 1)) if is_signed(target) else 0
    above = 1 << (bits - 1 if is_signed(target) else bits)
    # The least number that gives `least` when truncated, exclusively, where the float type has it.
    if float(least - 1) == least - 1 and (source == "f64" or bits <= 16 or least == 0):
        enough = c.binary("fcmp ogt", source, x, c.constant(least - 1, source))
    else:
        enough = c.binary("fcmp oge", source, x, c.constant(least, source))
    little = c.binary("fcmp olt", source, x, c.constant(above, source))
    inside = c.binary("and", "bool", enough, little)
    safe = c.select(inside, source, x, c.constant(0, source))
    via = "i32" if bits < 32 else target
    whole = c.cast("fptosi" if is_signed(via) else "fptoui", safe, source, via)
    whole = c.cast("trunc", whole, via, target)
    top = c.binary("fcmp oge", source, x, c.constant(above, source))
    whole = c.select(top, target, c.constant(above - 1, target), whole)
    if least == 0:
        return whole
    bottom = c.binary("fcmp olt", source, x, c.constant(least, source))
    return c.select(bottom, target, c.constant(least, target), whole)


def _widened(c: Code, x: str, source: str) -> str:
    """A narrow float as f32; exact."""
    if source == "f16" and c.target.has_f16c:
        half = _half_type(c)
        as_half = c.new(f"bitcast {c.types['f16']} {x} to {half}")
        return c.new(f"fpext {half} {as_half} to {c.types['f32']}")
    wide = c.cast("zext", x, source, "u32")
    if source == "bf16":
        return c.cast("bitcast", c.binary("shl", "u32", wide, c.constant(16, "u32")), "u32", "f32")
    if source == "f8_e8m0fnu":
        return _widened_power(c, wide)
    f = _FORMATS[source]
    sign_bit = 1 << (MEMORY_BITS[source] - 1)
    magnitude = c.binary("and", "u32", wide, c.constant(sign_bit - 1, "u32"))
    shifted = c.binary("shl", "u32", magnitude, c.constant(23 - f.mantissa, "u32"))
    # The exponent is too small by the difference of the biases, which a product mends; subnormals come out normal.
    scaled = c.binary("fmul", "f32", c.cast("bitcast", shifted, "u32", "f32"), c.constant(2.0 ** (127 - f.bias), "f32"))
    bits = c.cast("bitcast", scaled, "f32", "u32")
    if not f.unsigned_zero:
        special = c.binary("icmp ugt", "u32", magnitude, c.constant(f.largest, "u32"))
        top = c.binary("or", "u32", shifted, c.constant(_INFINITY, "u32"))
        bits = c.select(special, "u32", top, bits)
    sign = c.binary("and", "u32", wide, c.constant(sign_bit, "u32"))
    sign = c.binary("shl", "u32", sign, c.constant(32 - MEMORY_BITS[source], "u32"))
    bits = c.binary("or", "u32", bits, sign)
    if f.unsigned_zero:
        special = c.binary("icmp eq", "u32", wide, c.constant(f.nan, "u32"))
        bits = c.select(special, "u32", c.constant(_INFINITY | 0x400000, "u32"), bits)
    return c.cast("bitcast", bits, "u32", "f32")


def _widened_power(c: Code, wide: str) -> str:
    """e8m0: powers of two from 2**-127, which is subnormal in f32; 255 is NaN."""
    bits = c.binary("shl", "u32", wide, c.constant(23, "u32"))
    least = c.binary("icmp eq", "u32", wide, c.constant(0, "u32"))
    bits = c.select(least, "u32", c.constant(0x400000, "u32"), bits)
    special = c.binary("icmp eq", "u32", wide, c.constant(255, "u32"))
    bits = c.select(special, "u32", c.constant(_INFINITY | 0x400000, "u32"), bits)
    return c.cast("bitcast", bits, "u32", "f32")


def _narrowed(c: Code, x: str, target: str) -> str:
    """An f32 as a narrow float: the nearest, of two the even one."""
    if target == "f16" and c.target.has_f16c:
        half = _half_type(c)
        as_half = c.new(f"fptrunc {c.types['f32']} {x} to {half}")
        return c.new(f"bitcast {half} {as_half} to {c.types['f16']}")
    bits = c.cast("bitcast", x, "f32", "u32")
    if target == "bf16":
        rounded = _rounded_shift(c, bits, 16)
        quiet = c.binary("lshr", "u32", bits, c.constant(16, "u32"))
        quiet = c.binary("or", "u32", quiet, c.constant(0x40, "u32"))
        is_nan = c.binary("fcmp uno", "f32", x, x)
        return c.cast("trunc", c.select(is_nan, "u32", quiet, rounded), "u32", target)
    if target == "f8_e8m0fnu":
        return _narrowed_power(c, bits)
    f = _FORMATS[target]
    magnitude = c.binary("and", "u32", bits, c.constant(0x7FFFFFFF, "u32"))
    normal = _rounded_shift(c, magnitude, 23 - f.mantissa)
    normal = c.binary("sub", "u32", normal, c.constant((127 - f.bias) << f.mantissa, "u32"))
    # Subnormals: the adder rounds at the bit whose worth is that of the least of them.
    magic = c.constant(2.0 ** (24 - f.bias - f.mantissa), "f32")
    small = c.binary("fadd", "f32", c.cast("bitcast", magnitude, "u32", "f32"), magic)
    small = c.cast("bitcast", small, "f32", "u32")
    magic_bits = (127 + 24 - f.bias - f.mantissa) << 23
    small = c.binary("sub", "u32", small, c.constant(magic_bits, "u32"))
    is_small = c.binary("icmp ult", "u32", magnitude, c.constant((128 - f.bias) << 23, "u32"))
    code = c.select(is_small, "u32", small, normal)
    sign = c.binary("lshr", "u32", bits, c.constant(32 - MEMORY_BITS[target], "u32"))
    sign = c.binary("and", "u32", sign, c.constant(1 << (MEMORY_BITS[target] - 1), "u32"))
    too_large = c.binary("icmp ugt", "u32", code, c.constant(f.largest, "u32"))
    is_nan = c.binary("icmp ugt", "u32", magnitude, c.constant(_INFINITY, "u32"))
    if f.unsigned_zero:
        is_zero = c.binary("icmp eq", "u32", code, c.constant(0, "u32"))
        signed = c.select(is_zero, "u32", code, c.binary("or", "u32", code, sign))
        special = c.binary("or", "bool", too_large, is_nan)
        return c.cast("trunc", c.select(special, "u32", c.constant(f.nan, "u32"), signed), "u32", target)
    code = c.select(too_large, "u32", c.constant(f.overflow, "u32"), code)
    code = c.select(is_nan, "u32", c.constant(f.nan, "u32"), code)
    return c.cast("trunc", c.binary("or", "u32", code, sign), "u32", target)


def _narrowed_power(c: Code, bits: str) -> str:
    """e8m0: the nearest power of two, of two the greater one; NaN for what is not positive."""
    subnormal = c.binary("icmp ult", "u32", bits, c.constant(0x800000, "u32"))
    half = c.select(subnormal, "u32", c.constant(0x3FFFFF, "u32"), c.constant(0x400000, "u32"))
    code = c.binary("lshr", "u32", c.binary("add", "u32", bits, half), c.constant(23, "u32"))
    before = c.binary("sub", "u32", bits, c.constant(1, "u32"))
    special = c.binary("icmp uge", "u32", before, c.constant(_INFINITY - 1, "u32"))
    return c.cast("trunc", c.select(special, "u32", c.constant(255, "u32"), code), "u32", "u8")


def _rounded_shift(c: Code, bits: str, count: int) -> str:
    """bits >> count, rounded to nearest, of two to the even one."""
    odd = c.binary("and", "u32", c.binary("lshr", "u32", bits, c.constant(count, "u32")), c.constant(1, "u32"))
    sum = c.binary("add", "u32", bits, c.binary("add", "u32", odd, c.constant((1 << (count - 1)) - 1, "u32")))
    return c.binary("lshr", "u32", sum, c.constant(count, "u32"))


def _rounded_to_odd(c: Code, x: str) -> str:
    """An f64 as f32: the one towards zero, with an odd last bit if that is not exact.

    So that rounding once more, to far fewer bits, gives what one rounding would (Boldo and Melquiond, "Emulation of FMA
    and correctly rounded sums: proved algorithms using rounding to odd", 2008).
    """
    nearest = c.cast("fptrunc", x, "f64", "f32")
    back = c.cast("fpext", nearest, "f32", "f64")
    inexact = c.binary("fcmp one", "f64", back, x)
    further = c.binary("fcmp ogt", "f64", *[c.intrinsic("fabs", "f64", v) for v in (back, x)])
    bits = c.cast("bitcast", nearest, "f32", "u32")
    down = c.binary("sub", "u32", bits, c.cast("zext", further, "bool", "u32"))
    odd = c.binary("or", "u32", down, c.cast("zext", inexact, "bool", "u32"))
    return c.cast("bitcast", odd, "u32", "f32")


def _half_type(c: Code) -> str:
    return "half" if c.lanes == 1 else f"<{c.lanes} x half>"
