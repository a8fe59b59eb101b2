"""What the functions of the math library are made of: polynomials, scaling, sums with their rounding errors."""

from collections.abc import Sequence
from typing import NamedTuple

from nrx.core.loops import Expr, apply, bitcast, const, select


class Format(NamedTuple):
    """A floating type.

    Fields:
        type: "f32" or "f64".
        bits: the unsigned integer type of its width.
        mantissa: the number of stored bits of the significand.
        bias: of the exponent.
        shifter: added to a number below 2^(mantissa - 2), it leaves the nearest integer in the lowest bits.
    """

    type: str
    bits: str
    mantissa: int
    bias: int
    shifter: float

    @property
    def width(self) -> int:
        """In bits."""
        return int(self.type[1:])

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def infinity(self) -> int:
        """The bits of infinity."""
        return (2 * self.bias + 1) << self.mantissa

    @property
    def epsilon(self) -> float:
        return 2.0**-self.mantissa

    @property
    def least_normal(self) -> float:
        return 2.0 ** (1 - self.bias)


FORMATS = {"f32": Format("f32", "u32", 23, 127, 1.5 * 2.0**23), "f64": Format("f64", "u64", 52, 1023, 1.5 * 2.0**52)}

INF, NAN = float("inf"), float("nan")


def format_of(x: Expr) -> Format:
    return FORMATS[x.type]


def fma(x: Expr, y: Expr | float, z: Expr | float) -> Expr:
    """x * y + z, rounded once."""
    return apply("fma", x, y, z)


def absolute(x: Expr) -> Expr:
    return apply("abs", x)


def with_sign(x: Expr, sign: Expr) -> Expr:
    """|x| with the sign of `sign`."""
    return apply("copysign", x, sign)


def is_negative(x: Expr) -> Expr:
    """Whether the sign bit is set."""
    return bitcast(x, f"i{format_of(x).width}") < 0


def negated_if(condition: Expr, x: Expr) -> Expr:
    return select(condition, -x, x)


def at_most(x: Expr, bound: float) -> Expr:
    """The smaller one; NaN stays NaN. In this order of operands it is one instruction on x86."""
    limit = const(bound, x.type)
    return select(limit < x, limit, x)


def at_least(x: Expr, bound: float) -> Expr:
    """The larger one; NaN stays NaN."""
    limit = const(bound, x.type)
    return select(limit > x, limit, x)


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """The polynomial with these coefficients, from the lowest order on.

    Long ones are split into even and odd powers: one more operation, half the latency.
    """
    if len(coefficients) < 7:
        return horner(x, coefficients)
    square = x * x
    return fma(horner(square, coefficients[1::2]), x, horner(square, coefficients[::2]))


def horner(x: Expr, coefficients: Sequence[float]) -> Expr:
    result = const(coefficients[-1], x.type)
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, c)
    return result


def nearest(x: Expr, scale: float = 1.0) -> tuple[Expr, Expr]:
    """The integer nearest to x * scale, as a float and in the low bits of an unsigned integer.

    It must be below 2^(mantissa - 2) in size.
    """
    f = format_of(x)
    shifted = x + f.shifter if scale == 1.0 else fma(x, scale, f.shifter)
    return shifted - f.shifter, bitcast(shifted, f.bits)


def power_of_two(n: Expr, type: str, exponent: int = 0) -> Expr:
    """2^(n + exponent), where `n` is in the low bits of an unsigned integer and the result is a normal number."""
    f = FORMATS[type]
    return bitcast((n << f.mantissa) + ((f.bias + exponent) << f.mantissa), type)


def two_sum(x: Expr, y: Expr | float) -> tuple[Expr, Expr]:
    """x + y and its rounding error (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def fast_two_sum(large: Expr, small: Expr) -> tuple[Expr, Expr]:
    """The sum and its rounding error, where |large| >= |small| or large is 0 (Dekker)."""
    total = large + small
    return total, small - (total - large)


def two_product(x: Expr, y: Expr | float) -> tuple[Expr, Expr]:
    """x * y and its rounding error."""
    product = x * y
    return product, fma(x, y, -product)


def quotient(top: Expr, bottom: Expr, bottom_error: Expr, top_error: Expr | float = 0.0) -> Expr:
    """(top + top_error) / (bottom + bottom_error), as good as rounded once."""
    inverse = 1.0 / bottom
    y = top * inverse
    rest = fma(-y, bottom_error, fma(-y, bottom, top))
    if isinstance(top_error, Expr):
        rest = rest + top_error
    return fma(rest, inverse, y)
