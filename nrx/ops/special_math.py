"""The numerics of the special functions, as pure array code over NumPy or CuPy.

Each function takes the array module `xp` and arrays of float32 or float64, of any shape, and returns a new array of the
same dtype. There are no branches on values and no masks: every formula is evaluated everywhere, on arguments clipped to
its range, and `where` selects. The unused ones may divide by zero, so that callers silence floating-point warnings.

float32 goes through float64 and is rounded once at the end (but for `erf_inv`), so that its error is 0.51 ulp wherever
the function is well-conditioned. The bounds in the docstrings are measured on dense sweeps against mpmath, with exp,
log and pow good to 0.7 ulp, and `tests/test_special_math.py` asserts them. The tables of own fits are the output of
`docs/design/scripts/fit_special.py`.
"""

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

# Coefficients in ascending order of the power.
# fmt: off
_ERF = (
    0.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792, 0.0052239776248180145,
    -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05, 1.6461000484121368e-06,
    -1.6350312701054695e-07, 1.4659775274047436e-08, -1.1372848856791674e-09, 5.957176147748911e-11,
)
_ERFC = (
    0.7160046047255598, -0.2309273330838092, 0.09902075367944012, -0.01023538889900836, -0.023803913108668362,
    0.021957764012670175, -0.009750689292814764, 0.0016185691269406252, 0.0006458142036248318, -0.0003672884787938098,
    -2.055160134733651e-05, 5.6119363366899784e-05, -1.514476947767183e-06, -8.98996571530255e-06,
    2.611805897422536e-07, 1.5882655521863228e-06, 5.91838697815258e-08, -2.9213745786274907e-07,
    -4.407729270701669e-08, 4.901370657823231e-08, 1.312455123371929e-08, -5.45611064843674e-09,
    -1.7581251898590934e-09,
)
_ERF_INV = (
    0.8767319146265753, 0.4105049464450013, -0.5584469674863755, -0.6496507414590127, 7.8641870189405685,
    -23.30131523685511, -4.451553925792897, 193.65776298745905, -171.36112912908936, -1391.6471746056611,
    2369.4711457877147, 5533.002161609718, -11766.5755314094, -12301.095524968092, 28093.795055646297,
)
# Giles (2012)
_GILES_CENTRE = (
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06, -3.5233877e-06,
    3.43273939e-07, 2.81022636e-08,
)
_GILES_TAIL = (
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322,
    0.000100950558, -0.000200214257,
)
_LGAMMA = (
    0.3563903757222218, 1.6310840371821935, 2.888318723002393, 2.4295934718502137, 0.8814659771378068,
    -0.015947682620879148, -0.10848732122724346, -0.030591225288841603, -0.003318101887851846, -0.00013595525743309168,
    -1.4713097615527931e-06,
)
_LGAMMA_DENOMINATOR = (
    1.0, 5.654428550188076, 13.237410176492594, 16.65996637503557, 12.269275757070256, 5.4082431502067845,
    1.4069902108959258, 0.20608419317091137, 0.01551458443428316, 0.0005050552450716086, 4.771288967862615e-06,
)
_LGAMMA_TAIL = (
    0.08333333333333316, -0.0027777777774405867, 0.0007936506816628933, -0.0005952235546452214, 0.0008407851926454375,
    -0.0018803146388783976, 0.005518189917190756, -0.015567826306981733, 0.025861408973733003,
)
_DIGAMMA = (
    1.6043514879055158, 2.919501556880183, 1.664987361109771, 0.272309160559273, -0.05163639692076734,
    -0.021570029885328034, -0.0023201627356090548, -8.805699208464458e-05, -8.726841810894287e-07,
)
_DIGAMMA_DENOMINATOR = (
    1.0, 3.6948743678469986, 4.462140348147511, 2.4690052376857357, 0.6978481124934721, 0.10245583988461647,
    0.00740845040222457, 0.00022724109484024375, 2.0125751497968246e-06,
)
_DIGAMMA_TAIL = (
    0.0833333333333288, -0.008333333324038556, 0.003968250794862893, -0.004166247559344269, 0.007547968675167764,
    -0.02005399419388151, 0.060156789876368126, -0.12187734127140076,
)
# fmt: on

_SPLIT = 15 / 32  # between the formulas of erfc: below it erf < 1/2, so that 1 - erf loses no digits
_LARGE = 28.0  # erfc underflows to zero from 27.3 on
_PSI_ROOT = (1.4616321449683622, 9.549995429965697e-17)  # the positive zero of digamma, as a sum


def _polynomial(z: Any, coefficients: Sequence[float]) -> Any:
    result = z * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        result += c
        result *= z
    return result + coefficients[0]


def _in_float64(function: Callable) -> Callable:
    """Compute `function` in float64 and round once, to the dtype of its last argument."""

    @wraps(function)
    def rounded(xp: Any, *args: Any) -> Any:
        wide = [xp.asarray(arg, dtype=xp.float64) for arg in args]
        return xp.asarray(function(xp, *wide), dtype=args[-1].dtype)

    return rounded


def _is_pole(xp: Any, x: Any) -> Any:
    """Whether x is one of 0, -1, -2, … or -inf."""
    return (x <= 0) & (x == xp.floor(x))


# --- The error function and its inverse -------------------------------------------------------------------------------


def _erf_near(xp: Any, a: Any) -> Any:
    """erf on [0, 1]."""
    a = xp.minimum(a, 1.0)
    return a + a * _polynomial(a * a, _ERF)


def _erfc_far(xp: Any, a: Any) -> Any:
    """erfc on [15/32, inf]."""
    a = xp.clip(a, _SPLIT, _LARGE)
    # exp(-a * a) would turn the rounding of a² into up to a² ulp; the square of a multiple of 1/1024 is exact.
    coarse = xp.rint(a * 1024) / 1024
    t = (a - 3) / (a + 3)
    rest = t * _polynomial(t, _ERFC[1:])
    rest += (rest + _ERFC[0]) * xp.expm1((coarse - a) * (coarse + a))
    return xp.exp(-coarse * coarse) * ((rest + _ERFC[0]) / (1 + a))


@_in_float64
def erf(xp: Any, x: Any) -> Any:
    """erf(x), elementwise.

    x: float32 or float64, any shape.
    Accuracy: 1.3 ulp in float64.
    Source: own fits, to erf(x)/x near 0 and to (1 + x) exp(x²) erfc(x) elsewhere (Shepherd & Laframboise, "Chebyshev
    approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞", Math. Comp. 36, 1981).
    """
    a = xp.abs(x)
    return xp.copysign(xp.where(a < 1, _erf_near(xp, a), 1 - _erfc_far(xp, a)), x)


@_in_float64
def erfc(xp: Any, x: Any) -> Any:
    """erfc(x) = 1 - erf(x), elementwise, without cancellation: it underflows gradually up to x = 27.2.

    x: float32 or float64, any shape.
    Accuracy: 3.5 ulp in float64, 2.6 units of the least subnormal where it is subnormal.
    Source: as for `erf`.
    """
    a = xp.abs(x)
    far = _erfc_far(xp, a)
    return xp.where(a < _SPLIT, 1 - xp.copysign(_erf_near(xp, a), x), xp.where(x < 0, 2 - far, far))


def _erf_inv_single(xp: Any, x: Any) -> Any:
    w = -xp.log1p(-x * x)
    p = xp.where(w < 5, _polynomial(w - 2.5, _GILES_CENTRE), _polynomial(xp.sqrt(w) - 3, _GILES_TAIL))
    return xp.asarray(xp.where(xp.abs(x) == 1, x * math.inf, p * x), dtype=x.dtype)


@_in_float64
def _erf_inv_double(xp: Any, x: Any) -> Any:
    a = xp.minimum(xp.abs(x), 1 - 2.0**-53)
    w = -xp.log((1 - a) * (1 + a))
    s = xp.sqrt(w + 2)
    y = a * xp.sqrt(1 + w) * _polynomial((s - 3) / (s + 3), _ERF_INV)
    # The fit is good to 6e-7, and Halley's method triples the digits. 1 - a is exact where it is used.
    residual = xp.where(a < 0.75, erf(xp, y) - a, (1 - a) - erfc(xp, y))
    step = residual * xp.exp(y * y) * (math.sqrt(math.pi) / 2)
    y = y - step / (1 + y * step)
    y = xp.where(xp.abs(x) < 1, y, xp.where(xp.abs(x) == 1, math.inf, math.nan))
    return xp.copysign(y, x)


def erf_inv(xp: Any, x: Any) -> Any:
    """The inverse of erf, elementwise: ±inf at ±1 and NaN outside.

    x: float32 or float64, any shape.
    Accuracy: 2 ulp in float64. In float32 4 ulp for |x| < 0.95, and up to 65 ulp near ±1 where x² is rounded: that is
    kept, because it gives the values of JAX to 2 ulp.
    Source: M. Giles, "Approximating the erfinv function", GPU Computing Gems Jade Edition, 2012, for float32; in
    float64 an own fit in Giles' variable and one step of Halley's method.
    """
    return _erf_inv_single(xp, x) if x.dtype == xp.float32 else _erf_inv_double(xp, x)


# --- The gamma function -----------------------------------------------------------------------------------------------


@_in_float64
def lgamma(xp: Any, x: Any) -> Any:
    """log|Gamma(x)|, elementwise: +inf at the poles 0, -1, -2, … and at ±inf.

    x: float32 or float64, any shape.
    Accuracy: 4 ulp in float64 for x > -0.3, the zeros at 1 and 2 included. Below, where the zeros are ill-conditioned,
    the absolute error is 2.5 epsilon of 1 + lgamma(1 - x) + |log|sin πx||.
    Source: own fits, to lgamma(y)/((y - 1)(y - 2)) on [0.7, 3.5] and to the rest of Stirling's formula beyond.
    """
    recur, reflect = (x >= -0.3) & (x < 0.7), x < -0.3
    y_minus_1 = xp.where(recur, x, xp.where(reflect, -x, x - 1))
    y = xp.where(recur, 1 + x, xp.where(reflect, 1 - x, x))

    near, u = xp.clip(y, 0.7, 3.5), xp.minimum(y_minus_1, 3)
    z = near - 0.7
    centre = u * (u - 1) * (5 / 16 + _polynomial(z, _LGAMMA) / _polynomial(z, _LGAMMA_DENOMINATOR))

    far = xp.maximum(y, 3.5)
    inverse = 1 / far
    stirling = (far - 0.5) * (xp.log(far) - 1) + (
        _polynomial(inverse * inverse, _LGAMMA_TAIL) * inverse + (math.log(2 * math.pi) - 1) / 2
    )

    value = xp.where(y < 3.5, centre, stirling)
    sine = xp.abs(xp.sin(math.pi * (x - xp.rint(x))))
    log = xp.log(xp.where(recur, xp.abs(x), xp.where(reflect, sine, 1.0)))
    value = xp.where(reflect, math.log(math.pi) - value, value) - log
    return xp.where(_is_pole(xp, x), math.inf, value + 0.0)  # at 1 it is -0 so far


@_in_float64
def digamma(xp: Any, x: Any) -> Any:
    """The derivative of log Gamma, elementwise: ∓inf at ±0, NaN at the other poles and at -inf.

    x: float32 or float64, any shape.
    Accuracy: 3.1 ulp in float64 for x > 0, the zero at 1.46 included. Below, where the zeros are ill-conditioned, the
    absolute error is 3.5 epsilon of 1 + digamma(1 - x) + |π cot πx|.
    Source: own fits, to digamma(y)/(y - 1.46…) on [0.5, 4] and to the rest of the asymptotic series beyond.
    """
    recur, reflect = (x >= -0.5) & (x < 0.5), x < -0.5
    y = xp.where(recur, 1 + x, xp.where(reflect, 1 - x, x))

    near = xp.clip(y, 0.5, 4)
    z = near - 0.5
    distance = (near - _PSI_ROOT[0]) - _PSI_ROOT[1]
    centre = distance * (7 / 16 + _polynomial(z, _DIGAMMA) / _polynomial(z, _DIGAMMA_DENOMINATOR))

    far = xp.maximum(y, 4)
    inverse = 1 / far
    square = inverse * inverse
    series = xp.log(far) - (0.5 * inverse + square * _polynomial(square, _DIGAMMA_TAIL))

    value = xp.where(y < 4, centre, series)
    cotangent = math.pi / xp.tan(math.pi * (x - xp.rint(x)))
    value = value - xp.where(recur, 1 / x, xp.where(reflect, cotangent, 0.0))
    return xp.where(_is_pole(xp, x) & (x < 0), math.nan, value)
