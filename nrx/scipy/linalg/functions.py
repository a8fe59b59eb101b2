"""Functions of matrices: exponentials, square roots, and any function by its values at the eigenvalues."""

from collections.abc import Callable
from typing import Any

from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import show
from nrx.lax import ceil, fori_loop
from nrx.numpy import linalg as np_linalg
from nrx.numpy.arithmetic import maximum
from nrx.numpy.elementary import log2
from nrx.numpy.logic import where
from nrx.numpy.promotion import as_inexact, promote_dtypes
from nrx.ops import linalg
from nrx.ops.linalg.common import check_square, identity
from nrx.transforms import jvp
from nrx.transforms.flatten import check_function

#: Padé's approximation of degree 13, and the norm up to which it is exact, by the precision (Higham, 2005).
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_LARGEST_NORM = 5.371920351148152


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Array:
    """The exponential of square matrices, by Padé's approximation and repeated squaring.

    Args:
        A: an array of shape (..., n, n).
        upper_triangular: without effect.
        max_squarings: how often to square at most; matrices that would need more give NaN.

    Returns:
        An array of the shape and dtype of A, integers as the default float.

    Raises:
        ShapeError: the matrices are not square.

    >>> nrx.scipy.linalg.expm(jnp.array([[0.0, 1.0], [0.0, 0.0]]))
    Array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    x = as_inexact("expm", A)
    check_square("expm", x.aval)
    norm = abs(x).sum(-2).max(-1, initial=0)
    ratio = maximum(norm.astype("float32") / _LARGEST_NORM, 1.0)
    times = ceil(log2(ratio)).astype("int32")[..., None, None]
    out = _pade(x / (2.0 ** times.astype(norm.dtype)).astype(x.dtype))
    out = fori_loop(0, int(max_squarings), lambda i, y: where(i < times, y @ y, y), out)
    return where(times > max_squarings, float("nan"), out)


def _pade(x: Array) -> Array:
    # Scaled, so that its largest coefficient fits into float16, too.
    c = [value / _PADE[0] for value in _PADE]
    unit = identity(x, x.shape[-1])
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    odd = x @ (x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2 + c[1] * unit)
    even = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2 + c[0] * unit
    return linalg.solve(even - odd, even + odd)


def expm_frechet(A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True) -> Any:
    """The exponential of A, and its derivative in the direction E.

    Args:
        A: an array of shape (..., n, n).
        E: an array of the same shape.
        method: without effect.
        compute_expm: whether the exponential is given, too.

    Returns:
        Both, or the derivative, of the shape of A and the dtype in which A and E meet, integers as the default float.

    Raises:
        ShapeError: the shapes differ.

    >>> nrx.scipy.linalg.expm_frechet(jnp.zeros((1, 1)), jnp.array([[3.0]]), compute_expm=False)
    Array([[3.]], dtype=float32)
    """
    x, direction = promote_dtypes("expm_frechet", A, E, inexact=True)
    if x.shape != direction.shape:
        raise ShapeError(f"expm_frechet: A of shape {show(x.shape)} and E of shape {show(direction.shape)} differ")
    value, change = jvp(expm, (x,), (direction,))
    return (value, change) if compute_expm else change


def sqrtm(A: Any, blocksize: int = 1) -> Array:
    """The principal square roots of square matrices.

    Args:
        A: an array of shape (..., n, n).
        blocksize: without effect.

    Returns:
        A complex array of the shape of A.

    Raises:
        ShapeError: the matrices are not square.

    >>> nrx.scipy.linalg.sqrtm(jnp.array([[4.0, 0.0], [0.0, 9.0]])).real
    Array([[2., 0.],
           [0., 3.]], dtype=float32)
    """
    return linalg.sqrtm(as_inexact("sqrtm", A))


def funm(A: Any, func: Callable[[Array], Array], disp: bool = True) -> Any:
    """A function of square matrices: that with the same eigenvectors, and func of the eigenvalues.

    It is exact for matrices with enough eigenvectors, far from those that have too few.

    Args:
        A: an array of shape (..., n, n).
        func: a function of complex numbers, elementwise.
        disp: whether the result stands alone.

    Returns:
        A complex array of the shape of A; without disp also the error of inverting the eigenvectors, for the first
        norm.

    Raises:
        ArgumentError: func changes the shape.
        ArgumentTypeError: func is not a function.

    >>> nrx.scipy.linalg.funm(jnp.array([[4.0, 0.0], [0.0, 9.0]]), jnp.sqrt).real
    Array([[2., 0.],
           [0., 3.]], dtype=float32)
    """
    check_function("funm", func)
    values, vectors = np_linalg.eig(A)
    images = asarray(func(values), "funm: the value of func")
    if images.shape != values.shape:
        raise ArgumentError(f"funm: func must keep the shape {show(values.shape)}, it gives {show(images.shape)}")
    inverse = np_linalg.inv(vectors)
    out = (vectors * images[..., None, :]) @ inverse
    if disp:
        return out
    return out, np_linalg.matrix_norm(vectors @ inverse - identity(vectors, vectors.shape[-1]), ord=1)
