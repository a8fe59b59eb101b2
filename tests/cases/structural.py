"""Cases of the structural primitives."""

from typing import Any

import numpy as np

from cases.base import COMPLEXES, EVERY, FP8, INTS, REALS, Arg, Case, arg, label, values
from nrx.ops import structural as ops
from nrx.transforms import stop_gradient

NUMBERS = tuple(d for d in EVERY if d != "bool")


def fits(x: float, dtype: str) -> int:
    """A float as an integer of `dtype`: truncated, and limited to what it holds; NaN is 0."""
    limits = np.iinfo(dtype)
    if np.isnan(x):
        return 0
    return limits.max if x >= limits.max else limits.min if x <= limits.min else int(x)


def converted(x: np.ndarray, dtype: str) -> np.ndarray:
    if x.dtype.kind == "c" and dtype not in (*COMPLEXES, "bool"):
        x = x.real
    if dtype in INTS and x.dtype.kind == "f":
        return np.array([fits(v, dtype) for v in x.ravel().tolist()], dtype).reshape(x.shape)
    return x.astype(np.dtype(dtype))


def conversion(target: str) -> Case:
    return Case(
        f"convert_to_{target}", "convert_element_type", lambda x: ops.convert_element_type(x, target),
        [arg(2, 3, low=-3, high=90)], lambda x: converted(x, target),
        dtypes=EVERY, ulp=1 if target in FP8 else 0,
        order={"complex128": 2, "float64": 2, "float32": 1}.get(target, 0),
        tolerance=1e-2 if target == "float32" else 1e-6,
        jax=f"lambda x: lax.convert_element_type(x, '{target}')",
    )  # fmt: skip


def out_of_range(target: str) -> Case:
    numbers = [np.nan, np.inf, -np.inf, 1e20, -1e20, 300.7, -300.7, -0.5, 0.5, -128.5, 2.0**31, 2.0**63, -(2.0**63)]
    return Case(
        f"convert_out_of_range_to_{target}", "convert_element_type", lambda x: ops.convert_element_type(x, target),
        [values(*numbers)], lambda x: converted(x, target), dtypes=("float32", "float64", "bfloat16"), order=0, ulp=0,
        jax=f"lambda x: lax.convert_element_type(x, '{target}')",
    )  # fmt: skip


def bitcast(name: str, old: str, new: str, x: Arg, shape: tuple[int, ...]) -> Case:
    return Case(
        f"bitcast_{name}", "bitcast_convert_type", lambda x: ops.bitcast_convert_type(x, new), [x],
        lambda x: np.frombuffer(x.astype(np.dtype(old)).tobytes(), np.dtype(new)).reshape(shape),
        dtypes=(old,), order=0, ulp=0, jax=f"lambda x: lax.bitcast_convert_type(x, '{new}')",
    )  # fmt: skip


def broadcast(name: str, x: Arg, shape: tuple[int, ...], dims: tuple[int, ...], jax: bool = True) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        out = np.empty(shape, x.dtype)
        for index in np.ndindex(*shape):
            out[index] = x[tuple(0 if n == 1 else index[d] for n, d in zip(x.shape, dims, strict=True))]
        return out

    return Case(
        f"broadcast_{name}", "broadcast_in_dim", lambda x: ops.broadcast_in_dim(x, shape, dims), [x], oracle,
        dtypes=EVERY, ulp=0, jax=f"lambda x: lax.broadcast_in_dim(x, {shape}, {dims})" * jax,
    )  # fmt: skip


def summed(name: str, x: Arg, axes: tuple[int, ...], **options: Any) -> Case:
    options = {"dtypes": (*REALS, *COMPLEXES, *INTS), "jax": f"lambda x: lax.reduce_sum(x, {axes})"} | options
    return Case(
        f"reduce_sum_{name}", "reduce_sum", lambda x: ops.reduce_sum(x, axes), [x],
        lambda x: np.sum(x, axes, dtype=x.dtype), **options,
    )  # fmt: skip


def moved(name: str, primitive: str, function: Any, x: Arg, oracle: Any, jax: str = "", **options: Any) -> Case:
    """A case of a primitive that only moves elements."""
    return Case(name, primitive, function, [x], oracle, dtypes=EVERY, ulp=0, jax=jax, **options)


def counting(dtype: str, shape: tuple[int, ...], dimension: int) -> Case:
    return Case(
        f"iota_{dtype}_{label(shape)}", "iota", lambda: ops.broadcasted_iota(dtype, shape, dimension), [],
        lambda: np.indices(shape)[dimension].astype(np.dtype(dtype)), dtypes=(dtype,), order=0, vmap=False, ulp=0,
        jax=f"lambda: lax.broadcasted_iota('{dtype}', {shape}, {dimension})",
    )  # fmt: skip


CASES = [
    *map(conversion, EVERY),
    *map(out_of_range, INTS),
    Case(
        "convert_wraps", "convert_element_type", lambda x: ops.convert_element_type(x, "int8"),
        [values(127, 128, 255, 300, 70000, -129)], lambda x: np.array([127, -128, -1, 44, 112, 127], np.int8),
        dtypes=("int32", "int64"), order=0, ulp=0, jax="lambda x: lax.convert_element_type(x, 'int8')",
    ),
    Case(
        "convert_to_bool_edges", "convert_element_type", lambda x: ops.convert_element_type(x, "bool"),
        [values(0.0, -0.0, np.nan, np.inf, 0.25)], lambda x: np.array([False, False, True, True, True]),
        dtypes=REALS, order=0, jax="lambda x: lax.convert_element_type(x, 'bool')",
    ),
    bitcast("float32_int32", "float32", "int32", arg(2, 3), (2, 3)),
    bitcast("int32_float32_scalar", "int32", "float32", arg(), ()),
    bitcast("bfloat16_uint16", "bfloat16", "uint16", arg(2, 3), (2, 3)),
    bitcast("narrower", "float64", "uint8", arg(2, 3), (2, 3, 8)),
    bitcast("wider", "uint8", "float32", arg(2, 3, 4, low=0, high=100), (2, 3)),
    bitcast("wider_to_scalar", "uint32", "uint64", arg(2), ()),
    bitcast("empty_wider", "uint8", "uint32", arg(0, 4), (0,)),
    bitcast("empty_narrower", "uint32", "uint8", arg(3, 0), (3, 0, 4)),
    broadcast("scalar", arg(), (2, 3), ()),
    broadcast("row", arg(3), (2, 3), (1,)),
    broadcast("column", arg(2), (2, 3), (0,)),
    broadcast("stretch", arg(2, 1), (2, 3), (0, 1)),
    broadcast("stretch_and_insert", arg(1, 3), (2, 4, 3), (0, 2)),
    broadcast("middle", arg(2, 4), (2, 3, 4), (0, 2)),
    broadcast("permuted", arg(2, 3), (3, 4, 2), (2, 0), jax=False),
    broadcast("cyclic", arg(2, 3, 4), (4, 2, 3), (1, 2, 0), jax=False),
    broadcast("cyclic_stretch", arg(2, 1, 4), (4, 2, 5, 3), (1, 3, 0), jax=False),
    broadcast("to_empty", arg(1), (2, 0), (1,)),
    broadcast("of_empty", arg(0), (2, 0), (1,)),
    summed("all", arg(2, 3), (0, 1)),
    summed("vector", arg(4), (0,)),
    summed("first", arg(2, 3, 4), (0,)),
    summed("middle", arg(2, 3, 4), (1,)),
    summed("outer", arg(2, 3, 4), (0, 2)),
    summed("empty", arg(2, 0), (1,)),
    summed("of_no_columns", arg(0, 3), (1,)),
    summed("long", arg(3000, low=0, high=1), (0,), order=0, vmap=False, dtypes=(*REALS, *COMPLEXES)),
    summed("wraps", arg(40, low=0, high=100), (0,), order=0, dtypes=("int8", "uint8")),
    summed("infinite", values(np.inf, 1.0, -np.inf), (0,), order=0, dtypes=REALS),
    moved("reshape", "reshape", lambda x: ops.reshape(x, (3, 4)), arg(2, 6), lambda x: x.reshape(3, 4),
          "lambda x: lax.reshape(x, (3, 4))"),
    moved("reshape_transposing", "reshape", lambda x: ops.reshape(x, (4, 3), (1, 0)), arg(2, 6),
          lambda x: x.T.reshape(4, 3), "lambda x: lax.reshape(x, (4, 3), (1, 0))"),
    moved("reshape_scalar", "reshape", lambda x: ops.reshape(x, (1, 1)), arg(), lambda x: x.reshape(1, 1),
          "lambda x: lax.reshape(x, (1, 1))"),
    moved("reshape_empty", "reshape", lambda x: ops.reshape(x, (3, 0, 2)), arg(0, 5), lambda x: x.reshape(3, 0, 2),
          "lambda x: lax.reshape(x, (3, 0, 2))"),
    moved("squeeze", "reshape", lambda x: ops.squeeze(x, (0, -1)), arg(1, 3, 1), lambda x: x.reshape(3),
          "lambda x: lax.squeeze(x, (0, -1))"),
    moved("expand_dims", "reshape", lambda x: ops.expand_dims(x, (0, -1)), arg(3), lambda x: x.reshape(1, 3, 1),
          "lambda x: lax.expand_dims(x, (0, -1))"),
    moved("transpose", "transpose", lambda x: ops.transpose(x, (1, 0)), arg(2, 3), lambda x: x.T,
          "lambda x: lax.transpose(x, (1, 0))"),
    moved("transpose_cyclic", "transpose", lambda x: ops.transpose(x, (1, 2, 0)), arg(2, 3, 4),
          lambda x: np.moveaxis(x, 0, 2), "lambda x: lax.transpose(x, (1, 2, 0))"),
    moved("transpose_negative", "transpose", lambda x: ops.transpose(x, (-1, 0, 1)), arg(2, 3, 4),
          lambda x: np.moveaxis(x, 2, 0), "lambda x: lax.transpose(x, (2, 0, 1))"),
    moved("transpose_empty", "transpose", lambda x: ops.transpose(x, (1, 0)), arg(0, 3), lambda x: x.T,
          "lambda x: lax.transpose(x, (1, 0))"),
    moved("rev", "rev", lambda x: ops.rev(x, (0,)), arg(4), lambda x: x[::-1], "lambda x: lax.rev(x, (0,))"),
    moved("rev_two_axes", "rev", lambda x: ops.rev(x, (-1, 0)), arg(2, 3, 4), lambda x: x[::-1, :, ::-1],
          "lambda x: lax.rev(x, (2, 0))"),
    moved("rev_empty", "rev", lambda x: ops.rev(x, (1,)), arg(2, 0), lambda x: x, "lambda x: lax.rev(x, (1,))"),
    moved("copy", "copy", ops.copy, arg(2, 3), lambda x: x, "lambda x: jax.numpy.copy(x)"),
    moved("copy_scalar", "copy", ops.copy, arg(), lambda x: x),
    Case("stop_gradient", "stop_gradient", stop_gradient, [arg(2, 3)], lambda x: x, EVERY, smooth=False, ulp=0,
         jax="lax.stop_gradient"),
    counting("int32", (5,), 0),
    counting("float32", (2, 3), 1),
    counting("bfloat16", (2, 3), 0),
    counting("complex64", (3,), 0),
    counting("uint8", (300,), 0),
    counting("int32", (0, 2), 0),
]  # fmt: skip
