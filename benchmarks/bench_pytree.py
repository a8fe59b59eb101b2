"""How long nrx takes to flatten and unflatten trees, beside JAX, whose pytrees are C++.

The two run in short bursts by turns, and each counts with its fastest burst, so that a busy machine slows both alike.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.bursts import fastest
from nrx import tree_util as nrx_tree

jax_tree: Any = None
with suppress(ImportError):
    from jax import tree_util as jax_tree

LEAF = 1.0
TREES: dict[str, Any] = {
    "one leaf": LEAF,
    "3-tuple": (LEAF, LEAF, LEAF),
    "100 leaves, 10 dicts of 10": {f"layer{i}": {f"w{j}": LEAF for j in range(10)} for i in range(10)},
    "100 leaves, 50 dicts of 2": {f"layer{i}": {"w": LEAF, "b": LEAF} for i in range(50)},
    "100 leaves, mixed": {f"layer{i}": (LEAF, [LEAF, {"w": LEAF, "b": LEAF}], LEAF) for i in range(20)},
}


def operations(library: Any, tree: Any) -> dict[str, Callable[[], Any]]:
    leaves, treedef = library.tree_flatten(tree)
    return {
        "flatten": lambda: library.tree_flatten(tree),
        "flatten, hash": lambda: hash(library.tree_flatten(tree)[1]),
        "unflatten": lambda: library.tree_unflatten(treedef, leaves),
        "map": lambda: library.tree_map(abs, tree),
        "map of two": lambda: library.tree_map(max, tree, tree),
    }


def main() -> None:
    if jax_tree is None:
        print("skipped: jax is not installed, and there is nothing to compare with")
        return
    print(f"{'tree':28} {'operation':14} {'nrx':>9} {'jax':>9} {'ratio':>6}")
    for name, tree in TREES.items():
        ours, theirs = operations(nrx_tree, tree), operations(jax_tree, tree)
        for operation in ours:
            nrx_time, jax_time = fastest(ours[operation], theirs[operation], bursts=200, seconds=0.001)
            times = f"{nrx_time * 1e6:6.2f} µs {jax_time * 1e6:6.2f} µs {nrx_time / jax_time:5.1f}x"
            print(f"{name:28} {operation:14} {times}")


if __name__ == "__main__":
    main()
