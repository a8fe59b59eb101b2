"""Elementary functions of complex numbers, as loop IR over those of real ones.

Each part of a result is within a few ulp, but where its zeros are those of a difference: the formulas are sums of
positive terms, or carry rounding errors along. Nothing overflows before the result does. Branch cuts, the signs of
zeros, infinities and NaN are those of C's Annex G, which are NumPy's.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from nrx.core import loops
from nrx.core.loops import Complex, Expr, const, eq, select
from nrx.ops.arithmetic import complex_quotient

INF, NAN = math.inf, math.nan

_EXP_LARGE = {"f32": (88.0, 64.0), "f64": (709.0, 512.0)}
"""Above the first one, exp(x) is exp(x - second) exp(second), so that a small factor comes in time."""
_TANH_LARGE = {"f32": 10.0, "f64": 20.0}
"""Above it tanh is 1."""
_HUGE = {"f32": 2.0**60, "f64": 2.0**500}
"""Squares of larger numbers, or nearly so, are out of range; beside them 1 is nothing."""
_CLOSE = {"f32": (2.0**-60, 24), "f64": (2.0**-400, 64)}
"""Squares of distances below the first one are out of range; twice their inverses are not, less that power of two."""
_LOG_2 = {"f32": (0.6931471824645996, -1.904654299957768e-09), "f64": (0.6931471805599453, 2.3190468138462996e-17)}
"""log(2) as a sum of two numbers."""


# --- Real numbers -----------------------------------------------------------------------------------------------------


def _real(name: str, *operands: Any) -> Expr:
    return loops.apply(name, *operands)


def _size(x: Expr) -> Expr:
    return _real("abs", x)


def _is_infinite(x: Expr) -> Expr:
    return eq(_size(x), INF)


def _is_finite(x: Expr) -> Expr:
    return _size(x) < INF


def _where(condition: Expr, value: float, other: Expr) -> Expr:
    return select(condition, const(value, other.type), other)


def _sum(x: Expr, y: Any) -> tuple[Expr, Expr]:
    """x + y and its rounding error (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def _square(x: Expr) -> tuple[Expr, Expr]:
    """x² and its rounding error."""
    square = x * x
    return square, _real("fma", x, x, -square)


def _ordered(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """The larger and the smaller size."""
    a, b = _size(x), _size(y)
    return select(a > b, a, b), select(a > b, b, a)


# --- Exponentials -----------------------------------------------------------------------------------------------------


def exp(z: Complex) -> Complex:
    return _exp(z, *_split(z.real))


def exp2(z: Complex) -> Complex:
    large, shift = _EXP_LARGE[z.real.type]
    log2, log2_low = _LOG_2[z.real.type]
    is_large = z.real > large
    power = _real("exp2", select(is_large, z.real - shift, z.real))
    angle = z.imag * log2
    error = _real("fma", z.imag, log2_low, _real("fma", z.imag, log2, -angle))
    return _exp(Complex(z.real, angle), power, _where(is_large, 2.0**shift, const(1.0, z.real.type)), error)


def expm1(z: Complex) -> Complex:
    """expm1(x) cos(y) - 2 sin(y/2)², and exp(x) sin(y)."""
    power = exp(z)
    half = _real("sin", z.imag * 0.5)
    real = _real("fma", _real("expm1", z.real), _real("cos", z.imag), half * half * -2.0)
    is_plain = (_size(z.real) < _EXP_LARGE[z.real.type][0]) & _is_finite(z.imag)
    return Complex(select(is_plain | loops.ne(z.real, z.real), real, power.real - 1.0), power.imag)


def logistic(z: Complex) -> Complex:
    """With t = exp(-|x|) and e = 1 - t: e + t q, or t (q - e) on the left, over e² + 2 t q, where q = 2 cos(y/2)²."""
    x, half = z.real, z.imag * 0.5
    t, e = _real("exp", -_size(x)), -_real("expm1", -_size(x))
    undirected = _is_infinite(x) & ~_is_finite(half)
    cosine, sine = (_where(undirected, 0.0, _real(name, half)) for name in ("cos", "sin"))
    q = cosine * cosine * 2.0
    bottom = _real("fma", t + t, q, e * e)
    top = select(x < 0.0, t * (q - e), _real("fma", t, q, e))
    return Complex(top / bottom, t * (sine + sine) * cosine / bottom)


def _split(x: Expr) -> tuple[Expr, Expr]:
    """exp(x) as a product, of which the second factor is 1 where exp(x) is not near overflow."""
    large, shift = _EXP_LARGE[x.type]
    is_large = x > large
    return _real("exp", select(is_large, x - shift, x)), _where(is_large, math.exp(shift), const(1.0, x.type))


def _exp(z: Complex, power: Expr, factor: Expr, error: Expr | None = None) -> Complex:
    """power * factor * (cos(y + error) + i sin(y + error)), where the factors are an exponential of x."""
    x, y = z.real, z.imag
    undirected = _is_infinite(x) & ~_is_finite(y)
    cosine, sine = _real("cos", y), _real("sin", y)
    if error is not None:
        cosine, sine = _real("fma", -error, sine, cosine), _real("fma", error, cosine, sine)
    cosine = select(undirected, select(x > 0.0, const(1.0, x.type), 0.0), cosine)
    sine = _where(undirected & (x < 0.0), 0.0, sine)
    return Complex(power * cosine * factor, select(eq(y, 0.0), y, power * sine * factor))


# --- Hyperbolic and trigonometric functions ---------------------------------------------------------------------------


def sinh(z: Complex) -> Complex:
    x, y = z.real, z.imag
    sine, cosine, factor = _hyperbolic(x)
    real, imag = sine * _real("cos", y) * factor, cosine * _real("sin", y) * factor
    given = ~_is_finite(y) & (eq(x, 0.0) | _is_infinite(x))
    return Complex(select(given, x, real), select(eq(y, 0.0), y, imag))


def cosh(z: Complex) -> Complex:
    x, y = z.real, z.imag
    sine, cosine, factor = _hyperbolic(x)
    real, imag = cosine * _real("cos", y) * factor, sine * _real("sin", y) * factor
    undirected = ~_is_finite(y)
    zero = _real("copysign", const(1.0, x.type), x) * y
    imag = select(eq(y, 0.0), zero, select(undirected & eq(x, 0.0), x, imag))
    return Complex(_where(undirected & _is_infinite(x), INF, real), imag)


def tanh(z: Complex) -> Complex:
    """(sinh(x) cosh(x) + i sin(y) cos(y)) / (sinh(x)² + cos(y)²)."""
    x, y = z.real, z.imag
    sine, cosine, sinh_x = _real("sin", y), _real("cos", y), _real("sinh", x)
    bottom = _real("fma", sinh_x, sinh_x, cosine * cosine)
    is_one = (_size(x) > _TANH_LARGE[x.type]) & (_is_finite(y) | _is_infinite(x))
    real = select(is_one, _real("copysign", const(1.0, x.type), x), sinh_x * _real("cosh", x) / bottom)
    imag = select(is_one, sine * cosine / sinh_x / sinh_x, sine * cosine / bottom)
    imag = select(_is_infinite(x) & ~_is_finite(y), _real("copysign", const(0.0, x.type), y), imag)
    return Complex(select(eq(x, 0.0), x, real), select(eq(y, 0.0), y, imag))


def sin(z: Complex) -> Complex:
    return _turned_back(sinh(_turned(z)))


def cos(z: Complex) -> Complex:
    return cosh(_turned(z))


def tan(z: Complex) -> Complex:
    return _turned_back(tanh(_turned(z)))


def _turned(z: Complex) -> Complex:
    """i z."""
    return Complex(-z.imag, z.real)


def _turned_back(z: Complex) -> Complex:
    """-i z."""
    return Complex(z.imag, -z.real)


def _hyperbolic(x: Expr) -> tuple[Expr, Expr, Expr]:
    """sinh(x) and cosh(x), each less a factor that is not 1 near overflow."""
    large, shift = _EXP_LARGE[x.type]
    a = _size(x)
    is_large = a > large
    power = _real("exp", a - shift)
    sine = select(is_large, _real("copysign", power, x), _real("sinh", x))
    factor = _where(is_large, math.exp(shift) / 2, const(1.0, x.type))
    return sine, select(is_large, power, _real("cosh", x)), factor


# --- Roots, logarithms and powers -------------------------------------------------------------------------------------


class _Root(NamedTuple):
    """A square root with positive parts.

    Fields:
        large, small: its parts.
        size: that of the number, divided by 2^shift.
        shift: even.
    """

    large: Expr
    small: Expr
    size: Expr
    shift: Expr


def _root(z: Complex) -> _Root:
    """sqrt((|x| + |z|)/2) and |y| over twice that, after scaling z by a power of 4; not yet right for infinite z."""
    a, b = _size(z.real), _size(z.imag)
    m, _ = _ordered(z.real, z.imag)
    shift = _real("rint", _real("exponent", m) * 0.5) * 2.0
    shift = select((m > 0.0) & (m < INF), shift, const(0.0, m.type))
    x, y = _real("ldexp", a, -shift), _real("ldexp", b, -shift)
    size = _real("sqrt", _real("fma", x, x, y * y))
    large = _real("ldexp", _real("sqrt", (x + size) * 0.5), shift * 0.5)
    return _Root(large, select(eq(large, 0.0), b, b / (large + large)), size, shift)


def sqrt(z: Complex) -> Complex:
    x, y = z.real, z.imag
    root = _root(z)
    left = x < 0.0
    real, imag = select(left, root.small, root.large), select(left, root.large, root.small)
    upright = _is_infinite(y)
    imag = _where(upright | eq(x, -INF), INF, imag)
    return Complex(_where(upright | eq(x, INF), INF, real), _real("copysign", imag, y))


def rsqrt(z: Complex) -> Complex:
    """The conjugate of the root over |z|."""
    x, y = z.real, z.imag
    root = _root(z)
    left = x < 0.0
    parts = (select(left, root.small, root.large), select(left, root.large, root.small))
    infinite = _is_infinite(x) | _is_infinite(y)
    real, imag = (_where(infinite, 0.0, _real("ldexp", part / root.size, -root.shift)) for part in parts)
    zero = eq(x, 0.0) & eq(y, 0.0)
    return Complex(_where(zero, INF, real), _where(zero, NAN, _real("copysign", imag, -y)))


def log(z: Complex) -> Complex:
    x, y = z.real, z.imag
    m, n = _ordered(x, y)
    (first, first_error), (second, second_error) = _square(m), _square(n)
    rest, error = _sum(first, const(-1.0, x.type))
    total, more = _sum(rest, second)
    square_less_one = total + ((error + more) + (first_error + second_error))
    return Complex(_log_of_size(x, y, square_less_one), _real("atan2", y, x))


def log1p(z: Complex) -> Complex:
    x, y = z.real, z.imag
    (first, first_error), (second, second_error) = _square(x), _square(y)
    rest, error = _sum(x + x, second)
    total, more = _sum(rest, first)
    square_less_one = total + ((error + more) + (first_error + second_error))
    return Complex(_log_of_size(x + 1.0, y, square_less_one), _real("atan2", y, x + 1.0))


def _log_of_size(x: Expr, y: Expr, square_less_one: Expr) -> Expr:
    """log|z|, by |z|² - 1 where that is small."""
    m, n = _ordered(x, y)
    near = (square_less_one > -0.5) & (square_less_one < 2.0)
    ratio = select(eq(n, 0.0), n, n / m)
    half = _real("log1p", select(near, square_less_one, ratio * ratio)) * 0.5
    value = half + select(near, const(0.0, x.type), _real("log", m))
    return _where(_is_infinite(x) | _is_infinite(y), INF, value)


def pow(z: Complex, w: Complex | Expr) -> Complex:
    """exp(w log(z)), in f64, also of integers w; of zero, powers with a positive real part of w are 0, others NaN."""
    if isinstance(w, Expr):
        w = Complex(w, const(0, w.type))
    z_wide, w = _converted(z, "f64"), _converted(w, "f64")
    logarithm = log(z_wide)
    along = Complex(w.real * logarithm.real, w.real * logarithm.imag)  # of real w: 0 times infinity does not come in
    power = exp(select(eq(w.imag, 0.0), along, _product(w, logarithm)))
    is_zero = eq(z_wide.real, 0.0) & eq(z_wide.imag, 0.0)
    of_zero = select(w.real > 0.0, const(0.0, "f64"), NAN)
    is_one = eq(w.real, 0.0) & eq(w.imag, 0.0)
    real, imag = (select(is_zero, of_zero, x) for x in (power.real, power.imag))
    return _converted(Complex(_where(is_one, 1.0, real), _where(is_one, 0.0, imag)), z.real.type)


def _product(z: Complex, w: Complex) -> Complex:
    """z w, infinite if a factor is: C's Annex G, where an infinity with a NaN part is an infinity."""
    product = z * w
    z_infinite, w_infinite = (_is_infinite(x.real) | _is_infinite(x.imag) for x in (z, w))

    def direction(x: Expr, infinite: Expr) -> Expr:
        unit = _real("copysign", _where(_is_infinite(x), 1.0, const(0.0, x.type)), x)
        return select(infinite, unit, _where(loops.ne(x, x), 0.0, x))

    z, w = (
        Complex(direction(x.real, infinite), direction(x.imag, infinite))
        for x, infinite in ((z, z_infinite), (w, w_infinite))
    )
    turned = z * w
    lost = loops.ne(product.real, product.real) & loops.ne(product.imag, product.imag) & (z_infinite | w_infinite)
    return select(lost, Complex(turned.real * INF, turned.imag * INF), product)


def _converted(z: Complex, type: str) -> Complex:
    return Complex(loops.convert(z.real, type), loops.convert(z.imag, type))


# --- Inverse functions ------------------------------------------------------------------------------------------------


def asin(z: Complex) -> Complex:
    """atan2(x, Re(sqrt(1 - z) sqrt(1 + z))) and the imaginary part of `_inverse`, after Kahan (see there)."""
    x, y = z.real, z.imag
    scale, lower, upper, imag = _inverse(z)
    product = _real("fma", lower.real, upper.real, _size(lower.imag) * _size(upper.imag))
    infinite = _is_infinite(x) | _is_infinite(y)
    real = _real("atan2", x * scale, select(infinite, _size(y), product))
    return Complex(select(eq(x, 0.0), x, real), _real("copysign", imag, y))


def acos(z: Complex) -> Complex:
    """2 atan2(Re sqrt(1 - z), Re sqrt(1 + z)), and the imaginary part of `_inverse`, after Kahan."""
    x, y = z.real, z.imag
    _, lower, upper, imag = _inverse(z)
    infinite = _is_infinite(x) | _is_infinite(y)
    angle = _real("atan2", select(infinite, _size(y), lower.real), select(infinite, x, upper.real))
    real = select(infinite, angle, angle + angle)
    return Complex(_where(eq(x, 0.0), math.pi / 2, real), _real("copysign", imag, -y))


def atan2(z: Complex, w: Complex) -> Complex:
    """-i log((w + i z) / sqrt(z² + w²))."""
    turned = _turned(z)
    ratio = complex_quotient(w + turned, sqrt(z * z + w * w))
    return _turned_back(log(ratio))


def asinh(z: Complex) -> Complex:
    return _turned(asin(_turned_back(z)))


def acosh(z: Complex) -> Complex:
    angle = acos(z)
    return Complex(_size(angle.imag), _real("copysign", angle.real, z.imag))


def atan(z: Complex) -> Complex:
    return _turned_back(atanh(_turned(z)))


def atanh(z: Complex) -> Complex:
    """log1p(4x / ((1 - x)² + y²)) / 4 and atan2(2y, (1 - x)(1 + x) - y²) / 2, for x >= 0; Kahan's, rearranged."""
    x, y = z.real, z.imag
    a, b = _size(x), _size(y)
    m, n = _ordered(x, y)
    infinite = _is_infinite(x) | _is_infinite(y)
    far = infinite | (m > 2.0**64)
    distance = 1.0 - a
    limit, power = _CLOSE[x.type]
    close = eq(a, 1.0) & (b < limit)
    square = _real("fma", distance, distance, b * b)
    logarithm = _real("log1p", select(close, 2.0 ** (1 - power) / b, a * 4.0 / square))
    near = select(close, (logarithm + power * math.log(2)) * 0.5, logarithm * 0.25)
    ratio = n / m
    real = select(far, _where(infinite, 0.0, a / m / _real("fma", ratio, ratio, 1.0) / m), near)
    top, bottom = b + b, _real("fma", distance, a + 1.0, -(b * b))
    angle = _real("atan2", _where(far, 0.0, top), _where(far, -1.0, bottom)) * 0.5
    imag = select(eq(y, y) & (eq(x, x) | infinite), _real("copysign", angle, y), const(NAN, x.type))
    return Complex(select(eq(x, 0.0), x, _real("copysign", real, x)), imag)


def _inverse(z: Complex) -> tuple[Expr, Complex, Complex, Expr]:
    """s, sqrt(1 - s z) and sqrt(1 + s z), and the size of the imaginary part of asin(z) and acos(z), asinh of a sum.

    s is 1, or 1/4 where 1 is nothing beside z.

    Source: W. Kahan, "Branch cuts for complex elementary functions", 1987.
    """
    x, y = z.real, z.imag
    huge = _ordered(x, y)[0] > _HUGE[x.type]
    scale = select(huge, const(0.25, x.type), 1.0)
    x, y = x * scale, y * scale
    lower, upper = sqrt(Complex(1.0 - x, -y)), sqrt(Complex(x + 1.0, y))
    size = lower.real * _size(upper.imag) + _size(lower.imag) * upper.real  # the same for -z
    imag = _real("asinh", size) + select(huge, const(math.log(4), x.type), 0.0)
    return scale, lower, upper, _where(_is_infinite(x) | _is_infinite(y), INF, imag)


FUNCTIONS: dict[str, Callable[..., Complex]] = {
    function.__name__: function
    for function in (
        exp, exp2, expm1, logistic, sinh, cosh, tanh, sin, cos, tan, sqrt, rsqrt, log, log1p, pow, asin, acos, asinh,
        acosh, atan, atanh, atan2,
    )
}  # fmt: skip
"""By the names of the primitives."""
