"""Cases of linear algebra. What is free (signs and phases of vectors) is made unique before it is compared."""

import itertools
from collections.abc import Callable

import numpy as np

from cases.base import REALS, Arg, Case, arg, integers, uniform
from nrx.ops import linalg
from nrx.ops.arithmetic import abs as absolute
from nrx.ops.arithmetic import integer_pow
from nrx.ops.elementary import exp
from nrx.ops.linalg.common import columns_scaled, dagger, identity, product
from nrx.ops.linalg.determinants import adjugate_change_p
from nrx.ops.structural import convert_element_type, reduce_sum

DTYPES = ("float32", "float64", "complex64", "complex128", "float16", "bfloat16")
EXACT = ("float64", "complex128", "float32", "complex64")


def dominant(*shape: int, **options) -> Arg:
    """Well conditioned matrices, with different eigenvalues and singular values of different sizes."""

    def draw(rng: np.random.Generator, full: tuple, dtype: np.dtype) -> np.ndarray:
        sizes = np.diag(np.arange(2.0, 2 + max(full[-2:])))[: full[-2], : full[-1]]
        return uniform(-0.5, 0.5)(rng, full, dtype) + sizes

    return Arg(shape, draw, **options)


def spectral(vectors, inverse):
    """A matrix made of eigenvectors and fixed weights: it does not vary with their lengths, signs and phases."""
    n = vectors.shape[-1]
    if isinstance(vectors, np.ndarray):
        return (vectors * np.arange(1, n + 1)) @ inverse
    weights = convert_element_type(np.arange(1, n + 1) + np.zeros((*vectors.shape[:-2], n)), vectors.dtype)
    return product(columns_scaled(vectors, weights), inverse)


def np_dagger(x: np.ndarray) -> np.ndarray:
    return np.conj(np.swapaxes(x, -1, -2))


def product_of(xs: list[np.ndarray]) -> np.ndarray:
    return xs[0] @ xs[1]


def svd_parts(x):
    u, s, vh = linalg.svd(x, full_matrices=False)
    return s, spectral(u, dagger(u)), spectral(dagger(vh), vh)


def svd_oracle(x: np.ndarray) -> list[np.ndarray]:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return [s, spectral(u, np_dagger(u)), spectral(np_dagger(vh), vh)]


def eigh_parts(x):
    vectors, values = linalg.eigh(x)
    return values, spectral(vectors, dagger(vectors))


def eigh_oracle(x: np.ndarray) -> list[np.ndarray]:
    values, vectors = np.linalg.eigh((x + np_dagger(x)) / 2)
    return [values, spectral(vectors, np_dagger(vectors))]


def eig_parts(x):
    """What does not vary with the order of the eigenvalues either."""
    values, vectors = linalg.eig(x)
    inverse = linalg.solve(vectors, identity(vectors, vectors.shape[-1]))
    sizes = convert_element_type(absolute(vectors), vectors.dtype)
    return product(columns_scaled(sizes, values), dagger(sizes)), product(columns_scaled(vectors, exp(values)), inverse)


def eig_oracle(x: np.ndarray) -> list[np.ndarray]:
    values, vectors = np.linalg.eig(x)
    sizes = np.abs(vectors)
    return [(sizes * values) @ sizes.T + 0j, (vectors * np.exp(values)) @ np.linalg.inv(vectors) + 0j]


def power_sums(x):
    values = linalg.eigvals(x)
    return [reduce_sum(integer_pow(values, k), (values.ndim - 1,)) for k in (1, 2, 3)]


def power_sums_oracle(x: np.ndarray) -> list[np.ndarray]:
    return [np.trace(np.linalg.matrix_power(x, k), axis1=-2, axis2=-1) + 0j for k in (1, 2, 3)]


def lu_oracle(x: np.ndarray) -> list[np.ndarray]:
    """Elimination as in a textbook, row by row; the arguments need no exchange but those written out."""
    a, rows = x.copy(), x.shape[-2]
    k = min(a.shape[-2:])
    pivots, order = np.zeros((*x.shape[:-2], k), np.int32), np.zeros(x.shape[:-1], np.int32)
    for place in np.ndindex(x.shape[:-2]):
        m, numbers = a[place], list(range(rows))
        for j in range(k):
            chosen = max(range(j, rows), key=lambda i: abs(m[i, j].real) + abs(m[i, j].imag))
            m[[j, chosen]] = m[[chosen, j]]
            numbers[j], numbers[chosen] = numbers[chosen], numbers[j]
            pivots[place][j] = chosen
            for i in range(j + 1, rows):
                m[i, j] /= m[j, j]
                m[i, j + 1 :] -= m[i, j] * m[j, j + 1 :]
        order[place] = numbers
    return [a, pivots, order]


def triangular(name: str, rhs: tuple, solved: Callable, **options) -> Case:
    def oracle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a = np.tril(a) if options.get("lower") else np.triu(a)
        if options.get("unit_diagonal"):
            a = a - np.diag(np.diag(a)) + np.eye(len(a))
        a = a.conj() if options.get("conjugate_a") else a
        return solved(a.T if options.get("transpose_a") else a, b)

    return Case(
        f"triangular_solve-{name}", "triangular_solve", lambda a, b: linalg.triangular_solve(a, b, **options),
        [dominant(3, 3), arg(*rhs)], oracle, dtypes=DTYPES, ulp=16,
        jax=f"lambda a, b: lax.linalg.triangular_solve(a, b, **{options!r})" if options else "",
    )  # fmt: skip


def left(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.solve(a, b)


def right(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.solve(a.T, b.T).T


def hessenberg_form(x):
    """Only the form: the packed vectors are not unique in what rounding leaves of them."""
    return linalg.hessenberg(x)[0]


def hessenberg_oracle(x: np.ndarray) -> np.ndarray:
    a = x.copy()
    head, tail = a[1, 0], a[2, 0]
    size = np.copysign(np.sqrt(abs(head) ** 2 + abs(tail) ** 2), head.real)
    v = np.array([0, 1, tail / (head + size)])
    turn = np.eye(3) - (head + size) / size * np.outer(v, v.conj())
    adjoint = turn.conj().T
    a = adjoint @ a @ turn
    a[2, 0] = v[2]
    return a


def square_root(x: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(x)
    return (vectors * np.sqrt(values + 0j)) @ np.linalg.inv(vectors)


def schur_product(x):
    t, q = linalg.schur(x)
    return product(q, t, dagger(q)), product(q, dagger(q))


def reflections(a: np.ndarray, taus: np.ndarray) -> np.ndarray:
    out = np.eye(len(a), dtype=a.dtype)
    for j, tau in enumerate(taus):
        v = np.concatenate([np.zeros(j), [1], a[j + 1 :, j]])
        out = out @ (np.eye(len(a)) - tau * np.outer(v, v.conj()))
    return out[:, : a.shape[1]]


def sylvester_oracle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    n, m = c.shape
    system = np.kron(a, np.eye(m)) + np.kron(np.eye(n), b.T)
    return np.linalg.solve(system, c.ravel()).reshape(n, m)


def adjugate_oracle(x: np.ndarray) -> np.ndarray:
    """By the determinants of minors."""
    n = len(x)
    minor = lambda i, j: np.linalg.det(np.delete(np.delete(x, i, 0), j, 1))
    return np.array([[(-1) ** (i + j) * minor(j, i) for j in range(n)] for i in range(n)])


def adjugate_change_oracle(x: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """By the determinants of minors, which vary with each other element linearly."""
    n = len(x)
    change = np.zeros_like(x)
    for i, j, k, m in itertools.product(range(n), repeat=4):
        if i != m and j != k:
            rest = np.delete(np.delete(x, [i, m], 1), [j, k], 0)
            sign = (-1) ** (i + j + k - (k > j) + m - (m > i))
            change[i, j] += sign * np.linalg.det(rest) * dx[k, m]
    return change


def tridiagonal(dl: np.ndarray, d: np.ndarray, du: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.solve(np.diag(d) + np.diag(dl[1:], -1) + np.diag(du[:-1], 1), b)


CASES = [
    Case(
        "tridiagonal_solve", "tridiagonal_solve", linalg.tridiagonal_solve, [arg(4), arg(4), arg(4), arg(4, 2)],
        tridiagonal, dtypes=EXACT, ulp=512, tolerance=1e-5,
    ),
    Case(
        "tridiagonal_solve-one", "tridiagonal_solve", linalg.tridiagonal_solve,
        [arg(1, differentiable=False), arg(1, low=1, high=2), arg(1, differentiable=False), arg(1, 2)],
        tridiagonal, dtypes=EXACT,
    ),
    Case(
        "column_order", "column_order", linalg.column_order, [dominant(4, 3)],
        lambda x: np.array([2, 1, 0], np.int32), dtypes=DTYPES, order=0,
    ),
    Case("solve", "solve", linalg.solve, [dominant(3, 3), arg(3, 2)], np.linalg.solve, dtypes=DTYPES, ulp=16),
    Case("solve-batch", "solve", linalg.solve, [dominant(2, 2, 2), arg(2, 2, 1)], np.linalg.solve, dtypes=EXACT),
    Case("solve-nothing", "solve", linalg.solve, [dominant(0, 0), arg(0, 2)], np.linalg.solve, dtypes=EXACT, order=0),
    triangular("left", (3, 2), left, left_side=True),
    triangular("left-lower", (3, 2), left, left_side=True, lower=True),
    triangular("left-transposed", (3, 2), left, left_side=True, transpose_a=True),
    triangular("left-conjugate", (3, 1), left, left_side=True, lower=True, transpose_a=True, conjugate_a=True),
    triangular("right", (2, 3), right),
    triangular("right-unit", (2, 3), right, lower=True, unit_diagonal=True),
    triangular("right-transposed-unit", (2, 3), right, transpose_a=True, unit_diagonal=True),
    Case(
        "cholesky", "cholesky", linalg.cholesky, [dominant(3, 3)],
        lambda x: np.linalg.cholesky((x + np_dagger(x)) / 2), dtypes=DTYPES, jax="lax.linalg.cholesky",
    ),
    Case(
        "cholesky-batch", "cholesky", linalg.cholesky, [dominant(2, 2, 2)],
        lambda x: np.linalg.cholesky((x + np_dagger(x)) / 2), dtypes=EXACT, jax="lax.linalg.cholesky",
    ),
    Case("det", "det", linalg.det, [dominant(3, 3)], np.linalg.det, dtypes=DTYPES, ulp=16, jax="jnp.linalg.det"),
    Case("det-batch", "det", linalg.det, [arg(2, 2, 2)], np.linalg.det, dtypes=EXACT, ulp=32),
    Case("slogdet", "slogdet", linalg.slogdet, [dominant(2, 3, 3)], lambda x: list(np.linalg.slogdet(x)),
         dtypes=DTYPES),
    Case("adjugate", "adjugate", linalg.adjugate, [dominant(3, 3)], adjugate_oracle, dtypes=DTYPES, ulp=16),
    Case(
        "adjugate_change", "adjugate_change", adjugate_change_p.bind, [dominant(4, 4), arg(4, 4)],
        adjugate_change_oracle, dtypes=DTYPES, ulp=64,
    ),
    Case("lu", "lu", linalg.lu, [arg(3, 3)], lu_oracle, dtypes=EXACT, ulp=32, jax="lax.linalg.lu"),
    Case("lu-tall", "lu", linalg.lu, [arg(2, 4, 3)], lu_oracle, dtypes=EXACT, ulp=32, jax="lax.linalg.lu"),
    Case("lu-wide", "lu", linalg.lu, [arg(3, 5)], lu_oracle, dtypes=EXACT, ulp=32, jax="lax.linalg.lu"),
    Case(
        "lu_pivots_to_permutation", "lu_pivots_to_permutation",
        lambda p: linalg.lu_pivots_to_permutation(p, 4), [integers(2, 3, low=3, high=4)],
        lambda p: np.array([[3, 0, 1, 2]] * 2, np.int32),
        jax="lambda p: lax.linalg.lu_pivots_to_permutation(p, 4)", ulp=0,
    ),
    *[
        Case(
            f"qr-{name}", "qr", lambda x: linalg.qr(x, full_matrices=False), [dominant(*shape)],
            lambda x: list(np.linalg.qr(x)), dtypes=DTYPES, ulp=16,
            jax="lambda x: lax.linalg.qr(x, full_matrices=False)", jax_gradient=name != "wide",
        )
        for name, shape in (("square", (3, 3)), ("tall", (2, 4, 3)), ("wide", (2, 3)))
    ],
    Case(
        "qr-complete", "qr", linalg.qr, [dominant(2, 4, 2)], lambda x: list(np.linalg.qr(x, "complete")),
        dtypes=EXACT, ulp=16, jax="lax.linalg.qr",
    ),
    Case(
        "geqrf", "geqrf", linalg.geqrf, [dominant(3, 2)],
        lambda x: [np.swapaxes(np.linalg.qr(x, "raw")[0], -1, -2), np.linalg.qr(x, "raw")[1]], dtypes=EXACT, order=0,
        ulp=16,
    ),
    Case(
        "householder_product", "householder_product", linalg.householder_product, [arg(4, 3), arg(2)], reflections,
        dtypes=DTYPES, order=0, ulp=64, jax="lax.linalg.householder_product",
    ),
    *[
        Case(f"svd-{name}", "svd", svd_parts, [dominant(*shape)], svd_oracle, dtypes=EXACT, ulp=256, tolerance=1e-5)
        for name, shape in (("square", (3, 3)), ("tall", (2, 3, 2)), ("wide", (2, 3)))
    ],
    Case(
        "svd-values", "svd", lambda x: linalg.svd(x, compute_uv=False), [dominant(3, 2)],
        lambda x: np.linalg.svd(x, compute_uv=False), dtypes=DTYPES, tolerance=1e-5,
    ),
    Case(
        "svd-full", "svd", lambda x: product(*linalg.svd(x)[::2]), [dominant(3, 3)],
        lambda x: product_of(np.linalg.svd(x)[::2]), dtypes=EXACT, ulp=64, tolerance=1e-5,
    ),
    Case("eigh", "eigh", eigh_parts, [dominant(3, 3)], eigh_oracle, dtypes=EXACT, ulp=256, tolerance=1e-5),
    Case(
        "eigvalsh", "eigh", linalg.eigvalsh, [dominant(2, 3, 3)], lambda x: eigh_oracle(x)[0], dtypes=DTYPES,
        tolerance=1e-5, jax="jnp.linalg.eigvalsh",
    ),
    Case("eig", "eig", eig_parts, [dominant(3, 3)], eig_oracle, dtypes=EXACT, ulp=256, tolerance=1e-5),
    Case(
        "eigvals", "eig", power_sums, [dominant(2, 3, 3)], power_sums_oracle, dtypes=EXACT, ulp=64, tolerance=1e-5,
    ),
    Case(
        "hessenberg", "hessenberg", hessenberg_form, [arg(3, 3)], hessenberg_oracle, dtypes=REALS, order=0, ulp=32,
    ),
    Case(
        "schur", "schur", schur_product, [arg(3, 3)], lambda x: [x, np.eye(3, dtype=x.dtype)], dtypes=EXACT, order=0,
        ulp=64,
    ),
    Case("sqrtm", "sqrtm", linalg.sqrtm, [dominant(3, 3)], square_root, dtypes=EXACT, ulp=64, tolerance=1e-5),
    Case(
        "sylvester", "sylvester", linalg.sylvester, [dominant(2, 2), dominant(3, 3), arg(2, 3)], sylvester_oracle,
        dtypes=EXACT, ulp=64,
    ),
]  # fmt: skip
