"""The primitives and control flow, under the names of `jax.lax`.

These functions neither promote dtypes nor broadcast shapes, except that Python scalars take the dtype and shape of the
array they meet; `nrx.numpy` does both.
"""

from nrx.control import cond, custom_linear_solve, custom_root, fori_loop, map, scan, switch, while_loop
from nrx.core.shapes import broadcast_shapes
from nrx.lax import linalg
from nrx.lax.folding import associative_scan, reduce, reduce_window
from nrx.lax.layouts import (
    ConvGeneralDilatedDimensionNumbers,
    broadcast,
    broadcast_to_rank,
    collapse,
    conv_general_dilated_local,
    conv_general_dilated_patches,
    conv_general_shape_tuple,
    conv_shape_tuple,
    conv_transpose_shape_tuple,
    dtype,
    empty,
    padtype_to_pads,
    reduce_window_shape_tuple,
    stack,
    tile,
    unstack,
)  # fmt: skip
from nrx.lax.ragged import DotDimensionNumbers, RaggedDotDimensionNumbers, ragged_dot, ragged_dot_general
from nrx.lax.values import (
    RoundingMethod,
    after_all,
    approx_max_k,
    approx_min_k,
    broadcast_like,
    create_token,
    dce_sink,
    index_take,
    mulhi,
    optimization_barrier,
    platform_dependent,
    reciprocal,
    reduce_precision,
    scatter_apply,
    scatter_sub,
    with_sharding_constraint,
)  # fmt: skip
from nrx.ops.arithmetic import (
    abs,
    add,
    ceil,
    complex,
    conj,
    div,
    floor,
    imag,
    integer_pow,
    max,
    min,
    mul,
    neg,
    nextafter,
    real,
    rem,
    round,
    sign,
    square,
    sub,
)  # fmt: skip
from nrx.ops.convolution import conv, conv_general_dilated, conv_transpose, conv_with_general_padding
from nrx.ops.convolution_geometry import ConvDimensionNumbers, conv_dimension_numbers
from nrx.ops.cumulative import cumlogsumexp, cummax, cummin, cumprod, cumsum
from nrx.ops.dimension_numbers import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers
from nrx.ops.dot import Precision, PrecisionLike, batch_matmul, dot, dot_general
from nrx.ops.dynamic import (
    dynamic_index_in_dim,
    dynamic_slice,
    dynamic_slice_in_dim,
    dynamic_update_index_in_dim,
    dynamic_update_slice,
    dynamic_update_slice_in_dim,
)  # fmt: skip
from nrx.ops.elementary import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    logistic,
    pow,
    rsqrt,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)  # fmt: skip
from nrx.ops.fft import FftType, fft
from nrx.ops.gather import gather
from nrx.ops.incomplete import (
    bessel_i0e,
    bessel_i1e,
    betainc,
    igamma,
    igamma_grad_a,
    igammac,
    random_gamma_grad,
)  # fmt: skip
from nrx.ops.logic import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    clamp,
    clz,
    eq,
    ge,
    gt,
    is_finite,
    le,
    lt,
    ne,
    population_count,
    select,
    select_n,
    shift_left,
    shift_right_arithmetic,
    shift_right_logical,
)  # fmt: skip
from nrx.ops.reductions import (
    argmax,
    argmin,
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
    reduce_xor,
)  # fmt: skip
from nrx.ops.scatter import scatter, scatter_add, scatter_max, scatter_min, scatter_mul
from nrx.ops.slicing import concatenate, index_in_dim, pad, slice, slice_in_dim, split
from nrx.ops.sorting import sort, sort_key_val, top_k
from nrx.ops.special import digamma, erf, erf_inv, erfc, lgamma
from nrx.ops.structural import (
    bitcast_convert_type,
    broadcast_in_dim,
    broadcasted_iota,
    convert_element_type,
    expand_dims,
    full,
    full_like,
    iota,
    reduce_sum,
    reshape,
    rev,
    squeeze,
    transpose,
)  # fmt: skip
from nrx.ops.windows import reduce_window_max, reduce_window_min, reduce_window_sum
from nrx.ops.zeta import polygamma, zeta
from nrx.transforms import stop_gradient
from nrx.transforms.collectives import all_gather, axis_index, axis_size, pmax, pmean, pmin, psum
from nrx.transforms.exchanges import all_to_all, pbroadcast, ppermute, pshuffle, psum_scatter, pswapaxes

__all__ = [
    "ConvDimensionNumbers", "ConvGeneralDilatedDimensionNumbers", "DotDimensionNumbers", "FftType",
    "GatherDimensionNumbers", "GatherScatterMode", "Precision", "PrecisionLike", "RaggedDotDimensionNumbers",
    "RoundingMethod", "ScatterDimensionNumbers", "abs", "acos", "acosh", "add", "after_all", "all_gather",
    "all_to_all", "approx_max_k", "approx_min_k", "argmax", "argmin", "asin", "asinh", "associative_scan", "atan",
    "atan2", "atanh", "axis_index", "axis_size", "batch_matmul", "bessel_i0e", "bessel_i1e", "betainc",
    "bitcast_convert_type", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "broadcast",
    "broadcast_in_dim", "broadcast_like", "broadcast_shapes", "broadcast_to_rank", "broadcasted_iota", "cbrt",
    "ceil", "clamp", "clz", "collapse", "complex", "concatenate", "cond", "conj", "conv", "conv_dimension_numbers",
    "conv_general_dilated", "conv_general_dilated_local", "conv_general_dilated_patches",
    "conv_general_shape_tuple", "conv_shape_tuple", "conv_transpose", "conv_transpose_shape_tuple",
    "conv_with_general_padding", "convert_element_type", "cos", "cosh", "create_token", "cumlogsumexp", "cummax",
    "cummin", "cumprod", "cumsum", "custom_linear_solve", "custom_root", "dce_sink", "digamma", "div", "dot",
    "dot_general", "dtype", "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim",
    "dynamic_update_index_in_dim", "dynamic_update_slice", "dynamic_update_slice_in_dim", "empty", "eq", "erf",
    "erf_inv", "erfc", "exp", "exp2", "expand_dims", "expm1", "fft", "floor", "fori_loop", "full", "full_like",
    "gather", "ge", "gt", "igamma", "igamma_grad_a", "igammac", "imag", "index_in_dim", "index_take", "integer_pow",
    "iota", "is_finite", "le", "lgamma", "linalg", "log", "log1p", "logistic", "lt", "map", "max", "min", "mul",
    "mulhi", "ne", "neg", "nextafter", "optimization_barrier", "pad", "padtype_to_pads", "pbroadcast",
    "platform_dependent", "pmax", "pmean", "pmin", "polygamma", "population_count", "pow", "ppermute", "pshuffle",
    "psum", "psum_scatter", "pswapaxes", "ragged_dot", "ragged_dot_general", "random_gamma_grad", "real",
    "reciprocal", "reduce", "reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_precision",
    "reduce_prod", "reduce_sum", "reduce_window", "reduce_window_max", "reduce_window_min",
    "reduce_window_shape_tuple", "reduce_window_sum", "reduce_xor", "rem", "reshape", "rev", "round", "rsqrt",
    "scan", "scatter", "scatter_add", "scatter_apply", "scatter_max", "scatter_min", "scatter_mul", "scatter_sub",
    "select", "select_n", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "sinh",
    "slice", "slice_in_dim", "sort", "sort_key_val", "split", "sqrt", "square", "squeeze", "stack", "stop_gradient",
    "sub", "switch", "tan", "tanh", "tile", "top_k", "transpose", "unstack", "while_loop",
    "with_sharding_constraint", "zeta",
]  # fmt: skip
