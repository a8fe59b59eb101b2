"""NumPy's functions on nrx arrays, under the names of `jax.numpy`.

Functions promote dtypes by JAX's rules and broadcast by NumPy's; all of them can be differentiated, batched and compiled
where that makes sense. Arrays are immutable, and 64-bit dtypes always work: NumPy data keep their dtype, and only what is
made from Python numbers, or from nothing, has the default dtypes float32 and int32 (`nrx.config`).

>>> import nrx.numpy as jnp
>>> x = jnp.arange(6.0).reshape(2, 3)
>>> x @ x.T + 1
Array([[ 6., 15.],
       [15., 51.]], dtype=float32)
"""

import math

from nrx.core.array import Array
from nrx.core.dtypes import finfo, iinfo
from nrx.numpy import linalg, methods, scalar_types
from nrx.numpy.arithmetic import (
    abs, absolute, add, angle, around, ceil, clip, conj, conjugate, copysign, divide, divmod, fabs, fix, float_power,
    floor, floor_divide, fmax, fmin, fmod, heaviside, imag, maximum, minimum, mod, modf, multiply, nan_to_num, negative,
    nextafter, positive, pow, power, real, reciprocal, remainder, rint, round, sign, signbit, square, subtract,
    true_divide, trunc,
)  # fmt: skip
from nrx.numpy.creation import (
    arange, array, asarray, copy, diag, diag_indices, diagflat, diagonal, empty, empty_like, eye, from_dlpack,
    frombuffer, fromfunction, full, full_like, geomspace, identity, indices, linspace, logspace, meshgrid, ones,
    ones_like, tri, tril, tril_indices, triu, triu_indices, zeros, zeros_like,
)  # fmt: skip
from nrx.numpy.einsum import einsum
from nrx.numpy.elementary import (
    acos, acosh, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, asin, asinh, atan, atan2, atanh, cbrt, cos,
    cosh, deg2rad, degrees, exp, exp2, expm1, hypot, log, log1p, log2, log10, logaddexp, logaddexp2, rad2deg, radians,
    sin, sinc, sinh, sqrt, tan, tanh,
)  # fmt: skip
from nrx.numpy.indexing import take, take_along_axis
from nrx.numpy.joining import (
    append, array_split, column_stack, concat, concatenate, dsplit, dstack, hsplit, hstack, pad, repeat, split, stack,
    tile, unstack, vsplit, vstack,
)  # fmt: skip
from nrx.numpy.logic import (
    allclose, array_equal, array_equiv, bitwise_and, bitwise_count, bitwise_invert, bitwise_left_shift, bitwise_not,
    bitwise_or, bitwise_right_shift, bitwise_xor, equal, greater, greater_equal, invert, isclose, iscomplex,
    iscomplexobj, isfinite, isinf, isnan, isneginf, isposinf, isreal, isrealobj, isscalar, left_shift, less, less_equal,
    logical_and, logical_not, logical_or, logical_xor, not_equal, right_shift, select, where,
)  # fmt: skip
from nrx.numpy.manipulation import (
    astype, atleast_1d, atleast_2d, atleast_3d, broadcast_arrays, broadcast_shapes, broadcast_to, expand_dims, flip,
    fliplr, flipud, matrix_transpose, moveaxis, ndim, permute_dims, ravel, reshape, roll, rollaxis, rot90, shape, size,
    squeeze, swapaxes, transpose,
)  # fmt: skip
from nrx.numpy.products import (
    cross, dot, inner, kron, matmul, matvec, outer, tensordot, trace, vdot, vecdot, vecmat,
)  # fmt: skip
from nrx.numpy.reductions import (
    all, amax, amin, any, argmax, argmin, average, count_nonzero, cumprod, cumsum, max, mean, median, min, percentile,
    prod, ptp, quantile, std, sum, var,
)  # fmt: skip
from nrx.numpy.scalar_types import (
    ScalarType, bfloat16, bool_, can_cast, complex64, complex128, complexfloating, dtype, float16, float32, float64,
    floating, generic, inexact, int8, int16, int32, int64, integer, isdtype, issubdtype, number, promote_types,
    result_type, signedinteger, uint8, uint16, uint32, uint64, unsignedinteger,
)  # fmt: skip
from nrx.numpy.searching import argsort, argwhere, flatnonzero, nonzero, searchsorted, sort, unique

ndarray = Array
bool = bool_
pi, e, inf, nan, euler_gamma = math.pi, math.e, math.inf, math.nan, 0.5772156649015329
newaxis = None
globals().update(scalar_types.fp8)
