"""NumPy's functions on nrx arrays, under the names of `jax.numpy`.

Functions promote dtypes by JAX's rules and broadcast by NumPy's; all of them can be differentiated, batched and
compiled where that makes sense. They take arrays, NumPy arrays and Python numbers, but no lists. Arrays are immutable,
and 64-bit dtypes always work: NumPy data keep their dtype, and only what is made of Python numbers, or of nothing, has
the default dtypes float32 and int32 (`nrx.config`). The examples take `import nrx.numpy as jnp` for granted.

>>> import nrx.numpy as jnp
>>> x = jnp.arange(6.0).reshape(2, 3)
>>> x @ x.T + 1
Array([[ 6., 15.],
       [15., 51.]], dtype=float32)
"""

import importlib
import math
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.dtypes import finfo, iinfo
from nrx.numpy import methods, scalar_types, ufuncs
from nrx.numpy.arithmetic import (
    add,
    clip,
    divide,
    divmod,
    float_power,
    floor_divide,
    fmax,
    fmin,
    fmod,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    nextafter,
    positive,
    pow,
    power,
    reciprocal,
    remainder,
    square,
    subtract,
    true_divide,
)
from nrx.numpy.creation import (
    arange,
    copy,
    empty,
    empty_like,
    fromfunction,
    full,
    full_like,
    geomspace,
    indices,
    linspace,
    logspace,
    meshgrid,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from nrx.numpy.data import (
    array,
    asarray,
    from_dlpack,
    frombuffer,
)
from nrx.numpy.diagonals import (
    diag,
    diag_indices,
    diagflat,
    diagonal,
    eye,
    identity,
    tri,
    tril,
    tril_indices,
    triu,
    triu_indices,
)
from nrx.numpy.elementary import (
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cos,
    cosh,
    deg2rad,
    degrees,
    exp,
    exp2,
    expm1,
    hypot,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    rad2deg,
    radians,
    sin,
    sinc,
    sinh,
    sqrt,
    tan,
    tanh,
)
from nrx.numpy.indexing import (
    take,
    take_along_axis,
)
from nrx.numpy.joining import (
    append,
    array_split,
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    repeat,
    split,
    stack,
    tile,
    unstack,
    vsplit,
    vstack,
)
from nrx.numpy.logic import (
    allclose,
    array_equal,
    array_equiv,
    bitwise_and,
    bitwise_count,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    invert,
    isclose,
    iscomplex,
    iscomplexobj,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    isrealobj,
    isscalar,
    left_shift,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
    right_shift,
    select,
    where,
)
from nrx.numpy.manipulation import (
    astype,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    expand_dims,
    flip,
    fliplr,
    flipud,
    matrix_transpose,
    moveaxis,
    ndim,
    permute_dims,
    ravel,
    reshape,
    roll,
    rollaxis,
    rot90,
    shape,
    size,
    squeeze,
    swapaxes,
    transpose,
)
from nrx.numpy.parts import (
    abs,
    absolute,
    angle,
    around,
    ceil,
    conj,
    conjugate,
    copysign,
    fabs,
    fix,
    floor,
    heaviside,
    imag,
    modf,
    nan_to_num,
    real,
    rint,
    round,
    sign,
    signbit,
    trunc,
)
from nrx.numpy.products import (
    cross,
    dot,
    inner,
    kron,
    matmul,
    matvec,
    outer,
    tensordot,
    trace,
    vdot,
    vecdot,
    vecmat,
)
from nrx.numpy.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    count_nonzero,
    cumprod,
    cumsum,
    max,
    min,
    prod,
    ptp,
    sum,
)
from nrx.numpy.scalar_types import (
    ScalarType,
    bfloat16,
    bool_,
    can_cast,
    complex64,
    complex128,
    complexfloating,
    dtype,
    float16,
    float32,
    float64,
    floating,
    generic,
    inexact,
    int8,
    int16,
    int32,
    int64,
    integer,
    isdtype,
    issubdtype,
    number,
    promote_types,
    result_type,
    signedinteger,
    uint8,
    uint16,
    uint32,
    uint64,
    unsignedinteger,
)
from nrx.numpy.searching import (
    argsort,
    argwhere,
    flatnonzero,
    nonzero,
    searchsorted,
    sort,
)
from nrx.numpy.statistics import (
    average,
    mean,
    median,
    percentile,
    quantile,
    std,
    var,
)
from nrx.numpy.ufuncs import (
    frompyfunc,
    ufunc,
)

#: Functions that are rarely needed, by their module: it is imported when one of them is first used.
_LAZY = {
    "array_api": "__array_namespace_info__",
    "bits": "frexp gcd lcm ldexp packbits spacing unpackbits",
    "differences": "convolve corrcoef correlate cov cumulative_prod cumulative_sum diff ediff1d gradient interp"
    " trapezoid unwrap",
    "editing": "argpartition block choose compress delete extract fill_diagonal insert partition place put"
    " put_along_axis resize sort_complex trim_zeros",
    "einsums": "einsum einsum_path",
    "files": "array_repr array_str fromfile fromiter fromstring get_printoptions iterable load printoptions save savez"
    " set_printoptions",
    "grids": "c_ diag_indices_from index_exp ix_ lexsort mask_indices mgrid ogrid r_ ravel_multi_index s_"
    " tril_indices_from triu_indices_from unravel_index",
    "histograms": "bincount digitize histogram histogram2d histogram_bin_edges histogramdd",
    "mapping": "apply_along_axis apply_over_axes piecewise vectorize",
    "nan_reductions": "nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod"
    " nanquantile nanstd nansum nanvar",
    "padding": "pad",
    "polynomials": "poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots vander",
    "sets": "intersect1d isin setdiff1d setxor1d union1d unique unique_all unique_counts unique_inverse unique_values",
    "windows": "bartlett blackman hamming hanning i0 kaiser",
}
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names.split()}
_MODULES = ("fft", "linalg")
#: The version of the array API standard that is followed.
__array_api_version__ = "2024.12"
#: NumPy's names for the default dtypes, which settings may change.
_DEFAULTS = {"int_": int, "float_": float, "complex_": complex}

__all__ = [
    # data and creation
    "arange", "array", "asarray", "copy", "diag", "diag_indices", "diagflat", "diagonal", "empty", "empty_like",
    "eye", "from_dlpack", "frombuffer", "fromfunction", "full", "full_like", "geomspace", "identity", "indices",
    "linspace", "logspace", "meshgrid", "ones", "ones_like", "tri", "tril", "tril_indices", "triu", "triu_indices",
    "zeros", "zeros_like",
    # shape and joining
    "append", "array_split", "astype", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays",
    "broadcast_shapes", "broadcast_to", "column_stack", "concat", "concatenate", "dsplit", "dstack", "expand_dims",
    "flip", "fliplr", "flipud", "hsplit", "hstack", "matrix_transpose", "moveaxis", "ndim", "permute_dims",
    "ravel", "repeat", "reshape", "roll", "rollaxis", "rot90", "shape", "size", "split", "squeeze", "stack",
    "swapaxes", "tile", "transpose", "unstack", "vsplit", "vstack",
    # indexing, sorting, searching
    "argsort", "argwhere", "flatnonzero", "nonzero", "searchsorted", "sort", "take", "take_along_axis",
    # arithmetic and elementary functions
    "abs", "absolute", "acos", "acosh", "add", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "around", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "clip", "conj", "conjugate",
    "copysign", "cos", "cosh", "deg2rad", "degrees", "divide", "divmod", "exp", "exp2", "expm1", "fabs", "fix",
    "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "heaviside", "hypot", "imag", "log", "log10",
    "log1p", "log2", "logaddexp", "logaddexp2", "maximum", "minimum", "mod", "modf", "multiply", "nan_to_num",
    "negative", "nextafter", "positive", "pow", "power", "rad2deg", "radians", "real", "reciprocal", "remainder",
    "rint", "round", "sign", "signbit", "sin", "sinc", "sinh", "sqrt", "square", "subtract", "tan", "tanh",
    "true_divide", "trunc",
    # comparison, logic, choice
    "allclose", "array_equal", "array_equiv", "bitwise_and", "bitwise_count", "bitwise_invert", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "equal", "greater", "greater_equal", "invert",
    "isclose", "iscomplex", "iscomplexobj", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal",
    "isrealobj", "isscalar", "left_shift", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "not_equal", "right_shift", "select", "where",
    # reductions and statistics
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "count_nonzero", "cumprod", "cumsum", "max", "mean",
    "median", "min", "percentile", "prod", "ptp", "quantile", "std", "sum", "var",
    # products
    "cross", "dot", "inner", "kron", "matmul", "matvec", "outer", "tensordot", "trace", "vdot", "vecdot",
    "vecmat",
    # universal functions
    "frompyfunc", "ufunc",
    # dtypes
    "ScalarType", "bfloat16", "bool", "bool_", "can_cast", "complex128", "complex64", "complexfloating", "dtype",
    "finfo", "float16", "float32", "float64", "floating", "generic", "iinfo", "inexact", "int16", "int32", "int64",
    "int8", "integer", "isdtype", "issubdtype", "number", "promote_types", "result_type", "signedinteger", "uint16",
    "uint32", "uint64", "uint8", "unsignedinteger",
    # the array, constants, modules
    "ndarray", "e", "euler_gamma", "inf", "nan", "newaxis", "pi", *_MODULES,
    "cdouble", "character", "csingle", "double", "flexible", "object_", "single", "uint", *_DEFAULTS,
    *scalar_types.fp8, *_MODULE_OF,
]  # fmt: skip

ndarray = Array
bool = bool_
pi, e, inf, nan, euler_gamma = math.pi, math.e, math.inf, math.nan, 0.5772156649015329
newaxis = None
single, double, csingle, cdouble = float32, float64, complex64, complex128
character, flexible, object_ = np.character, np.flexible, np.object_
globals().update(scalar_types.fp8)


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        found = getattr(importlib.import_module(f"nrx.numpy.{_MODULE_OF[name]}"), name)
        globals()[name] = found
        return found
    if name in _MODULES:
        return importlib.import_module(f"nrx.numpy.{name}")
    if name in _DEFAULTS:
        return ScalarType(dtypes.scalar_dtype(_DEFAULTS[name]))
    if name == "uint":
        return ScalarType(np.dtype(f"u{dtypes.scalar_dtype(int).name}"))
    raise AttributeError(f"module 'nrx.numpy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


methods.install()
ufuncs.install()
