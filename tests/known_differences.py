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
    "reduce_window_sum", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad", "random_gamma_grad_a", "betainc",
    "fft",
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
    ("hypot", "c"): "JAX raises only when the function runs",
    ("argmax", "c"): "not offered",
    ("round", "b"): "JAX refuses booleans",
    **{(name, kind): "JAX forgets that it is weak" for name in ("heaviside", "hypot", "logaddexp") for kind in "iub"},
    ("power", "b"): "JAX's result is int32 in any mode",
}

#: Cases of `test_primitives.py` that JAX leaves to LAPACK, which has no half precision: it raises NotImplementedError.
NOT_HALF_IN_JAX = frozenset((
    "cholesky", "qr-square", "qr-tall", "qr-wide", "householder_product", "eigvalsh",
))  # fmt: skip

_FORGOTTEN = "JAX forgets that it is weak"
_INTEGERS = "integers stay integers, as in NumPy"
_FLOAT_COUNTS = "counts are floats, as in NumPy"

#: Of operands in half precision. Errors are those from SciPy's results in float64.
_HALF = {
    "scipy.special.kl_div: b, b + 0.5": "both lose digits to cancellation, ours fewer",
    "scipy.special.owens_t: b, b + 0.5": "keeps the dtype; JAX gives float32, five times as far from it",
    "scipy.stats.cauchy.ppf: abs(u), 0.3, 1.5": "JAX rounds the angle: off by 8 near the pole, ours by less than 1",
    "scipy.stats.cauchy.isf: abs(u), 0.3, 1.5": "JAX rounds the angle: off by 8 near the pole, ours by less than 1",
}
_HALF |= {
    f"scipy.fft.{case}": "ours is right to 1e-7, in float32; JAX rounds the roots of unity to half precision"
    for case in (
        "idct: a",
        "idct: a, axis=0",
        "idct: v, norm='ortho'",
        "idct: a, n=6",
        "idctn: a",
        "idctn: a, axes=(1,)",
        "idctn: a, norm='ortho'",
    )
}

#: Of `test_differential.py`: last places by which results may differ. Those in float32, float64 and complex have as
#: many in the sweep in half precision: its operands are other numbers, not other algorithms (`binom.pmf` of int8 is 16
#: off); only results in half precision are held to a few.
DIFFERENTIAL_UNITS = 100

#: Of `test_differential.py`: what differs ("leaves", "derivatives", "batched", or the leaves in a dtype), the function
#: and its case.
DIFFERENTIAL: dict[str, dict[str, str]] = {
    "leaves": {
        "numpy.modf: x": "NumPy's: -0.0 has the parts -0.0, an infinity no part that is NaN",
        "numpy.histogram2d: v, w, 3": _FLOAT_COUNTS,
        "numpy.histogram2d: v, w, [r, r * 2]": _FLOAT_COUNTS,
        "numpy.histogramdd: a, 2": _FLOAT_COUNTS,
        "numpy.array_repr: xp.array([1, 2, 3])": "JAX says ArrayImpl",
        "numpy.array_repr: xp.array([0.5, 2.0])": "JAX says ArrayImpl",
        "numpy.convolve: n, n": _INTEGERS,
        "numpy.correlate: n, n": _INTEGERS,
        "numpy.polymul: n, n": _INTEGERS,
        "numpy.polyder: n": _INTEGERS,
        "numpy.polyfit: r, r * r, 1, full=True": "rcond is a Python float, as in NumPy",
        "numpy.linspace: 2, 8, 4, retstep=True": "the step is weak, as the numbers it is made of",
        "numpy.einsum_path: f('ij,jk', a, m)[0]": "begins with a word, as NumPy's",
        "numpy.linalg.matrix_rank: p, rtol=0.5": "NumPy's rank",
        "nn.elu: i": "integers become the default float, not a weak one",
        "nn.relu6: i": "integers become the default float, not a weak one",
        "random.PRNGKey: -5": "JAX's with 64 bits",
        "random.weibull_min: key, b, b + 1": "each element gets a number of its own; JAX draws one for all",
        **{f"scipy.stats.bernoulli.{name}: i % 2, 0.3": _FORGOTTEN for name in ("pmf", "logpmf", "cdf")},
        **{f"scipy.stats.geom.{name}: j, 0.3": _FORGOTTEN for name in ("pmf", "logpmf")},
        "scipy.special.bessel_jn: b, v=3": "JAX's is NaN at small numbers: its recurrence overflows in float32",
        "scipy.stats.poisson.cdf: j, 2.5": _FORGOTTEN,
        **{f"scipy.stats.nbinom.{name}: j, 4, 0.3": _FORGOTTEN for name in ("pmf", "logpmf")},
        **{f"scipy.stats.betabinom.{name}: j, 8, 2.5, 1.5": _FORGOTTEN for name in ("pmf", "logpmf")},
    },
    "derivatives": {
        "numpy.sign: z": "JAX gives zero; the sign of a complex number varies with its angle",
        "lax.sign: z": "JAX gives zero; the sign of a complex number varies with its angle",
        **{
            f"numpy.{case}": _FLOAT_COUNTS
            for case in (
                "histogram2d: v, w, 3",
                "histogram2d: v, w, [r, r * 2]",
                "histogramdd: a, 2",
            )
        },
        **{
            f"numpy.{case}": "JAX gives zeros: the derivatives of the elements are lost"
            for case in (
                "unique: v",
                "unique_all: a",
                "unique_counts: a",
                "unique_inverse: a",
                "unique_values: a",
                "union1d: v, w",
                "setdiff1d: v, w",
                "setxor1d: v, w",
                "intersect1d: v, v[1:]",
            )
        },
        "numpy.polyfit: r, r * r, 1, full=True": "rcond is a Python float, as in NumPy",
        "numpy.linalg.pinv: m, rtol=0.5": "JAX's is wrong where singular values are cut off, by finite differences",
        "lax.reduce_precision: a, 5, 10": "JAX rounds derivatives as well",
        "lax.reduce_precision: a, 8, 7": "JAX rounds derivatives as well",
        "random.weibull_min: key, b, b + 1": "each element gets a number of its own; JAX draws one for all",
        "scipy.special.bessel_jn: b, v=3": "JAX's is NaN at small numbers: its recurrence overflows in float32",
        "scipy.special.entr: u": "JAX's is NaN where entr is constant, minus infinity",
        "scipy.special.entr: a": "JAX's is NaN where entr is constant, minus infinity",
        "scipy.special.spence: b": "JAX's is NaN at most numbers",
        "scipy.special.zeta: b + 1, b": "no closed form with respect to the exponent",
    },
    "batched": {
        "scipy.special.bessel_jn: b, v=3": "JAX's is NaN at small numbers: its recurrence overflows in float32",
        **{
            f"numpy.{case}": _FLOAT_COUNTS
            for case in (
                "histogram2d: v, w, 3",
                "histogram2d: v, w, [r, r * 2]",
                "histogramdd: a, 2",
            )
        },
        "numpy.polyfit: r, r * r, 1, full=True": "rcond is a Python float, as in NumPy",
        "numpy.linalg.matrix_rank: p, rtol=0.5": "NumPy's rank",
        "random.weibull_min: key, b, b + 1": "each element gets a number of its own; JAX draws one for all",
    },
    "float64": {
        **{
            f"numpy.{case}": "the default integers, as other positions"
            for case in (
                "digitize: a, r",
                "digitize: a, r, right=True",
                "digitize: a, r[::-1]",
                "searchsorted: r, v",
                "searchsorted: r, s, side='right'",
                "searchsorted: xp.sort(n), n",
                "searchsorted: r, a, method='sort'",
                "searchsorted: v, w, sorter=xp.argsort(v)",
                "argpartition: v, 2",
                "argpartition: a, 1, axis=0",
            )
        },
        "random.categorical: key, v, shape=(3,), replace=False": "the default integers, as other positions",
        **{f"numpy.{name}: o": "the default floats; JAX's are float32" for name in ("mean", "var", "std")},
        "numpy.tri: 3": "the default floats; JAX's are float32",
        "numpy.tri: 2, 4, 1": "the default floats; JAX's are float32",
        "lax.select_n: n, v[:1] + n, n * 2.0, n * 3.0, n * 4.0": "`which` is bool or int32, as JAX documents it",
        **{
            f"nn.dot_product_attention: {case}": "JAX takes the softmax in float32"
            for case in (
                "t[None], t[None], t[None]",
                "t[None], t[None], t[None], is_causal=True, scale=0.3",
                "t[:, :, None], k[:, :, None, :4], k[:, :, None, :4], mask=(a > -9)[None, None, :, :]",
            )
        },
    },
    "bfloat16": {
        **_HALF,
        "numpy.cumulative_prod: i, axis=0": "small integers are widened, as the array API standard asks",
    },
    "float16": {
        **_HALF,
        "scipy.special.exp1: b": "JAX's is NaN",
        "scipy.special.expi: b": "JAX's is NaN",
        "scipy.special.expn: 2, b": "JAX's is NaN",
        "scipy.special.expn: j, b": "JAX's is NaN",
        "numpy.cumulative_prod: i, axis=0": "small integers are widened, as the array API standard asks",
        "numpy.spacing: a": "has the sign of its operand, as in NumPy",
        "numpy.spacing: x": "has the sign of its operand, as in NumPy",
        "numpy.ldexp: a, i": "JAX takes the exponents 255 and 254 for -1 and -2",
    },
}
#: Public functions without a case there.
NOT_COMPARED: dict[str, str] = {
    **{f"numpy.{name}": "files: tests/test_numpy_vocabulary.py" for name in ("fromfile", "load", "save", "savez")},
    "numpy.fromiter": "JAX only has the name",
    "lax.pbroadcast": "JAX only has the name",
    "lax.with_sharding_constraint": "devices",
    **{
        f"lax.{name}": "a type"
        for name in ("ConvGeneralDilatedDimensionNumbers", "DotDimensionNumbers", "PrecisionLike")
    },
    **{f"numpy.{name}": "NumPy's own" for name in ("get_printoptions", "printoptions", "set_printoptions")},
}

#: Of `test_signatures.py`: functions of JAX, what differs in their arguments, and why.
_DEPRECATED = "JAX refuses any value but the default"
_NUMPYS = "NumPy's"
_NEEDED = "there is nothing to do without it"
_POOLING = "the same layout, by its name"
SIGNATURES: dict[str, dict[str, str]] = {
    "jax.checkpoint": {
        "no argument concrete": _DEPRECATED,
    },
    "jax.remat": {"no argument concrete": _DEPRECATED},
    **{f"jax.{name}": {"no argument reduce_axes": _DEPRECATED} for name in ("grad", "value_and_grad", "vjp")},
    "jax.linear_transpose": {"no argument reduce_axes": _DEPRECATED},
    "jax.make_jaxpr": {
        "no argument axis_env": "an axis gets its name from vmap",
        "return_shape only by name": "JAX has axis_env before it",
    },
    "jax.vmap": {"no argument sum_match": "for ragged arrays, which JAX does not offer yet"},
    "jax.core.eval_jaxpr": {"no argument propagate_source_info": "lines are always those of the program"},
    "jax.debug.callback": {"callback=None is <class 'inspect._empty'>": _NEEDED},
    "jax.debug.print": {
        "fmt=None is <class 'inspect._empty'>": _NEEDED,
    },
    "jax.dtypes.issubdtype": {f"{a} is {b}": _NUMPYS for a, b in (("a", "arg1"), ("b", "arg2"))}
    | {f"no argument {name}": _NUMPYS for name in "ab"},
    "jax.dtypes.result_type": {
        "no argument return_weak_type_flag": "the result of an operation says whether it is weak"
    },
    "jax.dlpack.from_dlpack": {
        "external_array is x": _NUMPYS,
        "no argument external_array": _NUMPYS,
        **{f"{name} only by name": _NUMPYS for name in ("copy", "device")},
    },
    **{f"jax.example_libraries.stax.{kind}Pool": {"spec=None is 'NHWC'": _POOLING} for kind in ("Avg", "Max", "Sum")},
    "jax.extend.core.jaxpr_as_fun": {"*args": "it gives the function of these arguments, as JAX's does"},
    "jax.lax.mul": {"no argument out_dtype": "convert the operands"},
    "jax.lax.linalg.eig": {
        "enable_eigvec_derivs=False is True": "derivatives of eigenvectors are there without asking"
    },
    "jax.example_libraries.stax.standardize": {"no argument algorithm": "one algorithm"},
    "jax.nn.standardize": {"no argument algorithm": "one algorithm"},
    "jax.numpy.array": {"*args": "JAX refuses them: arguments that were by place"},
    "jax.numpy.astype": {"copy=False is True": _NUMPYS},
    "jax.numpy.einsum": {"no argument _dot_general": "private"},
    "jax.numpy.gradient": {"edge_order=None is 1": _NUMPYS},
    **{f"jax.numpy.{name}": {"no argument out": "arrays are immutable"} for name in ("isneginf", "isposinf")},
    "jax.numpy.load": dict.fromkeys(("*args", "**kwargs"), "the arguments of NumPy's have names here"),
    "jax.numpy.save": {"allow_pickle=True is False": "files hold numbers: a pickle runs what is in it"},
    "jax.random.weibull_min": {"shape=() is None": "each element gets a number of its own; JAX draws one for all"},
    "jax.test_util.check_grads": {
        "atol=None is 1e-06": "numbers are shown",
        "rtol=None is 1e-06": "numbers are shown",
        "eps=None is 0.0009765625": "numbers are shown",
    },
}

#: Of `test_weak_types.py`: programs whose weak types differ from JAX's.
WEAK_TYPES = {
    "scan, carry widens": "a carry that the body makes strong is strong in all steps; JAX stacks it as it was at first",
    "grad of a power": "the slope of a weakly typed base is weakly typed, whatever the exponent",
    "custom_root": "the solution is converted once, to a strong type",
}
