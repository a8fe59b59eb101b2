"""`checkpoint` with policies: the same derivatives, and what is computed again is what the policy does not keep."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.ad_checkpoint import checkpoint_name
from nrx.core.program import Program, subprograms

policies = nrx.checkpoint_policies
RNG = np.random.default_rng(0)
X, W, V = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (3, 3), (3, 3)))
BATCH = RNG.standard_normal((2, 3, 3)).astype(np.float32)


def network(x: Any, w: Any, v: Any) -> Any:
    hidden = checkpoint_name(jnp.tanh(x @ w), "hidden")
    inner = nrx.jit(lambda h: jnp.sin(checkpoint_name(h @ v, "product")))(hidden)
    batched = jnp.exp(inner[None, :3] @ BATCH)
    return jnp.sum(jnp.cos(batched)) + jnp.sum(inner**2)


def count(program: Program) -> Counter:
    """How often each primitive stands in a Program, those inside of others included."""
    found: Counter = Counter()
    for eqn in program.eqns:
        found[eqn.prim.name] += 1
        for inner in subprograms(eqn.params):
            found += count(inner)
    return found


#: Policy -> how many of the three products, and of the tanh, are computed a second time.
AGAIN = {
    "none": (None, 3, 1),
    "nothing": (policies.nothing_saveable, 3, 1),
    "everything": (policies.everything_saveable, 0, 0),
    "dots": (policies.dots_saveable, 0, 1),
    "checkpoint_dots": (policies.checkpoint_dots, 0, 1),
    "dots without batches": (policies.dots_with_no_batch_dims_saveable, 1, 1),
    "hidden": (policies.save_only_these_names("hidden"), 2, 0),
    "product": (policies.save_only_these_names("product"), 2, 1),
    "all names but hidden": (policies.save_any_names_but_these("hidden"), 2, 1),
    "all but hidden": (policies.save_anything_except_these_names("hidden"), 0, 0),
    "both": (policies.save_from_both_policies(policies.dots_saveable, policies.save_only_these_names("hidden")), 0, 0),
    "offloaded": (policies.offload_dot_with_no_batch_dims("device", "pinned_host"), 1, 1),
    "some offloaded": (
        policies.save_and_offload_only_these_names(
            names_which_can_be_saved=["hidden"], names_which_can_be_offloaded=["product"], offload_src="device",
            offload_dst="pinned_host",
        ), 1, 0,
    ),
    "the user's": (lambda prim, *avals, **params: prim.name == "tanh", 2, 0),
}  # fmt: skip


TRANSFORMS: dict[str, Callable] = {
    "grad": lambda f: nrx.grad(f, (0, 1, 2)),
    "jit of grad": lambda f: nrx.jit(nrx.grad(f, (0, 1, 2))),
    "jvp": lambda f: lambda *a: nrx.jvp(f, a, a)[1],
    "second order": lambda f: nrx.grad(lambda *a: nrx.grad(f)(*a).sum(), 1),
    "vmap of grad": lambda f: lambda x, w, v: nrx.vmap(nrx.grad(f), (None, 0, None))(x, jnp.stack([w, v]), v),
    "grad of scan": lambda f: nrx.grad(
        lambda x, w, v: nrx.lax.scan(lambda c, _: (c + f(c, w, v), None), x, None, 2)[0].sum()
    ),
}


def check_derivatives(policy: Callable | None, transform: Callable) -> None:
    arguments = (jnp.asarray(X), jnp.asarray(W), jnp.asarray(V))
    kept = nrx.tree.leaves(transform(nrx.checkpoint(network, policy=policy))(*arguments))
    for got, expected in zip(kept, nrx.tree.leaves(transform(network)(*arguments)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("policy", [row[0] for row in AGAIN.values()], ids=AGAIN)
def test_derivatives_stay(policy: Callable | None) -> None:
    check_derivatives(policy, TRANSFORMS["grad"])


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_derivatives_stay_under_transformations(transform: Callable) -> None:
    check_derivatives(AGAIN["hidden"][0], transform)


@pytest.mark.parametrize("row", AGAIN.values(), ids=AGAIN)
def test_what_is_computed_again(row: tuple) -> None:
    policy, products, tanhs = row
    program = nrx.make_jaxpr(nrx.grad(nrx.checkpoint(network, policy=policy), (0, 1, 2)))(X, W, V)
    found = count(program)
    needed = count(nrx.make_jaxpr(nrx.grad(network, (0, 1, 2)))(X, W, V))
    assert found["tanh"] - needed["tanh"] == tanhs
    assert found["dot_general"] - needed["dot_general"] == products


def test_names_change_nothing() -> None:
    tree = {"a": jnp.ones(2), "b": 3}
    named = checkpoint_name(tree, "tree")
    assert nrx.tree.structure(named) == nrx.tree.structure(tree)
    np.testing.assert_array_equal(nrx.jit(lambda x: checkpoint_name(x, "x") * 2)(jnp.arange(3)), [0, 2, 4])
    np.testing.assert_allclose(nrx.grad(nrx.grad(lambda x: checkpoint_name(x, "x") ** 3))(2.0), 12.0)
    with pytest.raises(nrx.errors.ArgumentTypeError):
        checkpoint_name(1.0, 3)


def test_a_policy_inside_of_another() -> None:
    inner = nrx.checkpoint(
        lambda x: jnp.sin(checkpoint_name(jnp.sin(x), "a")), policy=policies.save_only_these_names("a")
    )
    outer = nrx.checkpoint(lambda x: inner(jnp.cos(inner(x))), policy=policies.everything_saveable)
    np.testing.assert_allclose(
        nrx.grad(outer)(0.3), nrx.grad(lambda x: jnp.sin(jnp.sin(jnp.cos(jnp.sin(jnp.sin(x))))))(0.3), rtol=1e-6
    )
