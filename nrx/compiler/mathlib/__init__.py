"""The math library: elementary and special functions as loop IR over + - × ÷ √, fma, comparisons and bits."""

from collections.abc import Callable

from nrx.compiler.mathlib import (
    error_function,
    exponential,
    gamma,
    inverse_trigonometric,
    logarithmic,
    power,
    trigonometric,
)
from nrx.core.loops import Expr

_FUNCTIONS: dict[str, Callable[..., Expr]] = {
    function.__name__: function
    for function in (
        exponential.exp,
        exponential.exp2,
        exponential.expm1,
        exponential.ldexp,
        exponential.logistic,
        exponential.sinh,
        exponential.cosh,
        exponential.tanh,
        logarithmic.exponent,
        logarithmic.significand,
        logarithmic.log,
        logarithmic.log2,
        logarithmic.log1p,
        logarithmic.asinh,
        logarithmic.acosh,
        logarithmic.atanh,
        trigonometric.sin,
        trigonometric.cos,
        trigonometric.tan,
        inverse_trigonometric.asin,
        inverse_trigonometric.acos,
        inverse_trigonometric.atan,
        inverse_trigonometric.atan2,
        power.rsqrt,
        power.cbrt,
        power.pow,
        error_function.erf,
        error_function.erfc,
        error_function.erf_inv,
        gamma.lgamma,
        gamma.digamma,
    )
}


def expand(expr: Expr) -> Expr:
    """An f32 or f64 node of one of the functions `loops.MATH` as nodes of arithmetic, selects, converts and bitcasts.

    The result may hold functions that are expanded in turn.
    """
    return _FUNCTIONS[expr.op](*expr.args)
