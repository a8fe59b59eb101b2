"""State in classes of one's own: dataclasses and nodes of a tree, paths, metadata."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax import tree_util


@functools.partial(jax.tree_util.register_dataclass, data_fields=["weights", "step"], meta_fields=["name"])
@dataclasses.dataclass
class Model:
    weights: dict
    step: jax.Array
    name: str = "model"


@tree_util.register_pytree_node_class
class Average:
    def __init__(self, total, count):
        self.total = total
        self.count = count

    def add(self, x):
        return Average(self.total + x, self.count + 1)

    def tree_flatten(self):
        return (self.total, self.count), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


@jax.jit
def advance(model, average, x):
    value, slope = jax.value_and_grad(lambda w: jnp.sum((w["a"] * x - w["b"]) ** 2))(model.weights)
    weights = jax.tree.map(lambda w, g: w - 0.1 * g, model.weights, slope)
    return dataclasses.replace(model, weights=weights, step=model.step + 1), average.add(value)


def main():
    model = Model({"a": jnp.ones(3), "b": jnp.zeros(())}, jnp.array(0), "line")
    average = Average(0.0, 0)
    for i in range(4):
        model, average = advance(model, average, jnp.arange(3.0) / (i + 1))
    assert model.name == "line"
    assert int(model.step) == 4
    paths = [tree_util.keystr(path) for path, _ in tree_util.tree_flatten_with_path(model)[0]]
    sizes = tree_util.tree_map_with_path(lambda path, leaf: len(path) * leaf.size, model)
    total = tree_util.tree_reduce(lambda a, b: a + jnp.sum(b), model, 0.0)
    structure = jax.tree.structure({"a": [1, (2, None)], "b": 3})
    assert structure.num_leaves == 3
    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), model, model)
    doubled = jax.vmap(lambda m: m.weights["a"] * 2)(stacked)
    transposed = jax.tree.transpose(jax.tree.structure([0, 0]), jax.tree.structure({"x": 0}), [{"x": 1.0}, {"x": 2.0}])
    return model, paths, sizes.step, total, doubled, transposed, average.total / average.count
