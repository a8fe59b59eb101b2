"""Cases of dot_general and its special forms. The oracle is einsum in double precision."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cases.base import COMPLEXES, INTS, REALS, Case, arg
from nrx.ops import dot

SIMPLE = ("float64", "float32")
ALL = (*SIMPLE, "float16", "bfloat16", *COMPLEXES, *INTS)


def einsum(subscripts: str) -> Callable:
    def oracle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.einsum(subscripts, x, y, dtype=x.dtype)

    return oracle


def dot_general(
    name: str, subscripts: str, numbers: Any, x: tuple, y: tuple, dtypes: tuple[str, ...] = SIMPLE, span: float = 2
) -> Case:
    """A case of dot_general; `numbers` are ((contracting), (batch)) as JAX has them."""
    text = f"lambda x, y: lax.dot_general(x, y, {numbers!r}, precision='highest')"
    args = [arg(*shape, low=-span, high=span) for shape in (x, y)]
    return Case(
        name, "dot_general", lambda x, y: dot.dot_general(x, y, numbers), args, einsum(subscripts), dtypes, jax=text
    )


def preferring(name: str, dtype: str, wide: str) -> Case:
    """A matrix product of arrays of `dtype` given as `wide`."""
    numbers = (((1,), (0,)), ((), ()))
    return Case(
        name, "dot_general", lambda x, y: dot.dot_general(x, y, numbers, preferred_element_type=wide),
        [arg(3, 5, low=-100, high=100), arg(5, 2, low=-100, high=100)],
        lambda x, y: np.einsum("ij,jk->ik", x.astype(np.float64), y.astype(np.float64)).astype(
            np.int64 if wide.startswith("int") else np.float64
        ),
        (dtype,), order=0, ulp=4,
        jax=f"lambda x, y: lax.dot_general(x, y, {numbers!r}, preferred_element_type='{wide}')",
    )  # fmt: skip


CASES = [
    dot_general("matrix-matrix", "ij,jk->ik", (((1,), (0,)), ((), ())), (3, 4), (4, 2), ALL),
    dot_general("matrix-transposed", "ij,kj->ik", (((1,), (1,)), ((), ())), (3, 4), (2, 4)),
    dot_general("transposed-matrix", "ji,jk->ik", (((0,), (0,)), ((), ())), (4, 3), (4, 2)),
    dot_general("outer", "ij,kl->ijkl", (((), ()), ((), ())), (2, 3), (4, 2)),
    dot_general("scalars", ",->", (((), ()), ((), ())), (), (), REALS),
    dot_general("scalar-matrix", ",ij->ij", (((), ()), ((), ())), (), (3, 2)),
    dot_general("two-contracted-crossed", "ijk,lji->kl", (((0, 1), (2, 1)), ((), ())), (2, 3, 4), (5, 3, 2)),
    dot_general("all-contracted", "ij,ji->", (((0, 1), (1, 0)), ((), ())), (3, 4), (4, 3), ALL),
    dot_general("batch", "bij,bjk->bik", (((2,), (1,)), ((0,), (0,))), (2, 3, 4), (2, 4, 5), ALL),
    dot_general("batch-last-and-middle", "ijb,jbk->bik", (((1,), (0,)), ((2,), (1,))), (3, 4, 2), (4, 2, 5)),
    dot_general("two-batch-crossed", "abij,jbka->abik", (((3,), (0,)), ((0, 1), (3, 1))), (2, 3, 2, 4), (4, 3, 2, 2)),
    dot_general("attention", "bqhd,bkhd->bhqk", (((3,), (3,)), ((0, 2), (0, 2))), (2, 3, 2, 4), (2, 5, 2, 4)),
    dot_general("only-batch", "ij,ij->ij", (((), ()), ((0, 1), (0, 1))), (3, 2), (3, 2)),
    dot_general("free-around", "iajb,kac->ijbkc", (((1,), (1,)), ((), ())), (2, 4, 3, 2), (2, 4, 3)),
    dot_general("empty-contraction", "ij,jk->ik", (((1,), (0,)), ((), ())), (3, 0), (0, 2), ALL),
    dot_general("empty-free", "ij,jk->ik", (((1,), (0,)), ((), ())), (0, 3), (3, 2)),
    dot_general("empty-batch", "bij,bjk->bik", (((2,), (1,)), ((0,), (0,))), (0, 3, 4), (0, 4, 5)),
    dot_general(
        "integers-wrap", "ij,jk->ik", (((1,), (0,)), ((), ())), (3, 9), (9, 2), ("int8", "uint8", "int16"), span=120
    ),
    Case(
        "negative-axes", "dot_general", lambda x, y: dot.dot_general(x, y, (((-1,), (-2,)), ((-3,), (0,)))),
        [arg(2, 3, 4), arg(2, 4, 5)], einsum("bij,bjk->bik"), SIMPLE,
    ),
    Case("dot-vectors", "dot_general", dot.dot, [arg(4), arg(4)], einsum("i,i->"), ALL, jax="lax.dot"),
    Case("dot-matrix-vector", "dot_general", dot.dot, [arg(3, 4), arg(4)], einsum("ij,j->i"), SIMPLE, jax="lax.dot"),
    Case("dot-vector-matrix", "dot_general", dot.dot, [arg(3), arg(3, 4)], einsum("i,ij->j"), SIMPLE, jax="lax.dot"),
    Case("dot-matrices", "dot_general", dot.dot, [arg(2, 3), arg(3, 4)], einsum("ij,jk->ik"), SIMPLE, jax="lax.dot"),
    Case(
        "batch_matmul", "dot_general", dot.batch_matmul, [arg(2, 2, 3, 4), arg(2, 2, 4, 2)], np.matmul, REALS,
        jax="lax.batch_matmul",
    ),
    preferring("bfloat16-as-float32", "bfloat16", "float32"),
    preferring("float16-as-float32", "float16", "float32"),
    preferring("int8-as-int32", "int8", "int32"),
    preferring("int8-as-float32", "int8", "float32"),
    Case(
        "float32-as-float64", "dot_general",
        lambda x, y: dot.dot_general(x, y, (((1,), (0,)), ((), ())), preferred_element_type="float64"),
        [arg(3, 4), arg(4, 2)], einsum("ij,jk->ik"), ("float32",),
    ),
    Case(
        "float64-as-float32", "dot_general",
        lambda x, y: dot.dot_general(x, y, (((1,), (0,)), ((), ())), "highest", "float32"),
        [arg(3, 4), arg(4, 2)], einsum("ij,jk->ik"), ("float64",), tolerance=1e-2,
    ),
]  # fmt: skip
