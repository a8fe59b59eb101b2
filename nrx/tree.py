"""Functions on pytrees, under the names of `jax.tree`.

>>> import nrx
>>> nrx.tree.map(lambda x: x + 1, {"a": 1, "b": [2, None]})
{'a': 2, 'b': [3, None]}
"""

from nrx.core import levels as _levels
from nrx.core import pytree as _pytree

all = _pytree.tree_all
broadcast = _pytree.tree_broadcast
flatten = _pytree.tree_flatten
flatten_with_path = _pytree.tree_flatten_with_path
leaves = _pytree.tree_leaves
leaves_with_path = _pytree.tree_leaves_with_path
map = _pytree.tree_map
map_with_path = _pytree.tree_map_with_path
reduce = _pytree.tree_reduce
reduce_associative = _levels.tree_reduce_associative
static = _levels.static
structure = _pytree.tree_structure
transpose = _pytree.tree_transpose
unflatten = _pytree.tree_unflatten

__all__ = [
    "all",
    "broadcast",
    "flatten",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "reduce_associative",
    "static",
    "structure",
    "transpose",
    "unflatten",
]
