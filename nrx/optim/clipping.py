"""The size of a tree of gradients, and a bound on it."""

from typing import Any

import nrx.numpy as jnp
from nrx.core.array import Array
from nrx.core.pytree import tree_leaves, tree_map
from nrx.optim.transformation import GradientTransformation, stateless


def global_norm(tree: Any) -> Array:
    """The Euclidean norm of all numbers of a tree together: sqrt(sum of |x|**2).

    Args:
        tree: a tree of floating or complex arrays.

    Returns:
        A real array of shape (); 0 for a tree without leaves.

    >>> import nrx
    >>> nrx.optim.global_norm({"a": nrx.numpy.array([3.0, 0.0]), "b": nrx.numpy.array(4.0)})
    Array(5., dtype=float32)
    """
    return jnp.sqrt(sum((jnp.sum(abs_square(leaf)) for leaf in tree_leaves(tree)), start=jnp.asarray(0.0)))


def clip_by_global_norm(max_norm: Any) -> GradientTransformation:
    """Shrink updates whose global norm is above a bound, so that it equals the bound; their direction stays.

    Args:
        max_norm: the bound, a number or an array of shape ().

    Returns:
        A `GradientTransformation` without state.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    >>> import nrx
    >>> clip = nrx.optim.clip_by_global_norm(1.0)
    >>> clip.update(nrx.numpy.array([3.0, 4.0]), clip.init(None))[0]
    Array([0.6, 0.8], dtype=float32)
    """

    def clip(updates: Any, params: Any) -> Any:
        norm = global_norm(updates)
        small = norm < max_norm
        return tree_map(lambda u: jnp.where(small, u, u / norm.astype(u.dtype) * max_norm), updates)

    return stateless(clip)


def abs_square(x: Array) -> Array:
    """|x|**2, without the root in between."""
    return (x * x.conj()).real if jnp.iscomplexobj(x) else x * x
