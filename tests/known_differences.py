"""The known differences: between eager and compiled code, between nrx and JAX, and what C leaves open, with reasons.

Every tolerance wider than "the same bits" in tests of eager against compiled code comes from here.
"""

from typing import Any

import numpy as np

# --- Eager (NumPy) and compiled code ----------------------------------------------------------------------------------

#: Both are within a few units in the last place of the true value, and choose different neighbours: compiled functions
#: are of our own making, within 2 units; NumPy's and those of `special_math` are within 4.
ROUNDED = frozenset((
    "exp", "exp2", "log", "expm1", "log1p", "rsqrt", "cbrt", "pow", "logistic", "sin", "cos", "tan", "asin", "acos",
    "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv", "lgamma", "digamma",
    "polygamma", "zeta",
))  # fmt: skip
ROUNDED_UNITS = 6

#: Left of zero they cross zero between their poles, at numbers that no float is: there a relative bound holds for
#: neither. Both are within 3.5 units in the last place of their largest term, as `test_special_math.py` and
#: `test_mathlib.py` show.
CANCELLING = frozenset({"lgamma", "digamma"})

#: Sums and products of many numbers, which compiled code takes in an order of its own: in lanes and in blocks. In the
#: incomplete gamma and beta functions the last digits of logarithms add up in exponents.
ACCUMULATED = frozenset((
    "reduce_sum", "reduce_prod", "dot_general", "conv_general_dilated", "cumsum", "cumprod", "cumlogsumexp",
    "reduce_window_sum", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad", "betainc",
))  # fmt: skip
ACCUMULATED_UNITS = 16

#: Products of complex numbers for which NumPy fuses multiplications and additions.
FUSED = frozenset({"scatter_mul"})

#: Of random programs in float64: what follows a rounded function amplifies its last digit, exp(exp(x)) by a thousand.
AMPLIFIED = 1e-9


def sign_is_open(z: np.ndarray, part: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where C's Annex G leaves the sign of a part of a complex result to the library.

    Those are zeros of operands that are not finite, and what is beside a NaN.

    z: the operand; part, other: the part of the result, and the other one.
    """
    return ~np.isfinite(z) & ((part == 0) | np.isnan(other))


def kinds(z: np.ndarray) -> np.ndarray:
    """What C says of a complex result of `pow`: infinite (if a part is, in no direction), nan, zero or other."""
    infinite = np.isinf(z.real) | np.isinf(z.imag)
    return np.select([infinite, np.isnan(z), z == 0], ["infinite", "nan", "zero"], "other")


# --- nrx.numpy and jax.numpy, on purpose ------------------------------------------------------------------------------

#: Expressions of `test_numpy.py`.
NOT_AS_JAX = {
    "xp.array([2**40, 1]) * 0 + 1": "64-bit integers need no switch here",
    "xp.heaviside(i, 0.5)": "weak, as any other function of integers and a Python float",
    "xp.linspace(2, 8, 4, retstep=True)[1]": "weak, as the numbers it is made of",
    "xp.round(i, -1)": "JAX does not round integers",
    "xp.split(v, [1, 6])[2]": "JAX does not split beyond the end",
}
#: Parts of expressions of `test_numpy.py`.
GRADIENT_NOT_AS_JAX = {
    "xp.nextafter": "JAX has no derivative of it; ours is zero",
    "xp.sign(z)": "JAX gives zero; the sign of a complex number varies with its angle",
    "xp.split(v, [1, 6])[2]": "JAX does not split beyond the end",
}
#: (function, kind of an operand) of `test_numpy_promotion.py`.
PROMOTION_NOT_AS_JAX: dict[tuple[str, str], Any] = {
    ("copysign", "c"): "the sign of a complex number makes no sense",
    ("hypot", "c"): "JAX raises only then the function runs",
    ("argmax", "c"): "not offered",
    ("round", "b"): "JAX refuses booleans",
    **{(name, kind): "JAX forgets that it is weak" for name in ("heaviside", "hypot", "logaddexp") for kind in "iub"},
    ("power", "b"): "JAX's result is int32 in any mode",
}

#: Of `test_differential.py`: what differs ("leaves", "derivatives" or "batched"), the function and its case.
DIFFERENTIAL: dict[str, dict[str, str]] = {
    "leaves": {},
    "derivatives": {},
    "batched": {},
}
#: Public functions without a case there.
NOT_COMPARED: dict[str, str] = {}
