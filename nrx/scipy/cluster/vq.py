"""Vector quantization, under the names of `scipy.cluster.vq`, as in `jax.scipy.cluster.vq`."""

from typing import Any

import nrx.numpy as jnp
from nrx.core.array import Array
from nrx.core.errors import ShapeError
from nrx.core.shapes import show
from nrx.numpy.promotion import promote_dtypes

__all__ = ["vq"]


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """For each observation the nearest code, by Euclidean distance.

    Args:
        obs: observations, the rows of an array of shape (m, n); a vector holds m numbers.
        code_book: codes, the rows of an array of shape (k, n), or a vector of k numbers.
        check_finite: without effect.

    Returns:
        `(code, dist)`: the numbers of the codes, integers of shape (m,), and the distances from them. Of codes that are
        as near the first counts.

    Raises:
        ShapeError: neither two matrices with as many columns nor two vectors, or there is no code.

    >>> code, dist = nrx.scipy.cluster.vq.vq(jnp.array([[1.0, 2.0], [7.0, 4.0]]), jnp.array([[0.0, 2.0], [7.0, 7.0]]))
    >>> code, dist
    (Array([0, 1], dtype=int32), Array([1., 3.], dtype=float32))
    """
    x, codes = promote_dtypes("vq", obs, code_book, inexact=True)
    if x.ndim != codes.ndim or x.ndim not in (1, 2) or x.shape[1:] != codes.shape[1:] or not codes.shape[0]:
        raise ShapeError(
            f"vq: observations of shape {show(x.shape)} do not go with a code book of shape {show(codes.shape)}",
            fix="pass matrices of shapes (m, n) and (k, n), k at least 1",
        )
    if x.ndim == 1:
        x, codes = x[:, None], codes[:, None]
    distances = jnp.linalg.norm(x[:, None] - codes, axis=-1)
    code = distances.argmin(-1)
    return code, jnp.take_along_axis(distances, code[:, None], -1)[:, 0]
