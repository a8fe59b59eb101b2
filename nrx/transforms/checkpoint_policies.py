"""What `checkpoint` keeps: policies, and names for values that they can speak of.

A policy is a function of the primitive, the avals of its operands, and its params.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nrx.core.array import asarray
from nrx.core.errors import ArgumentTypeError
from nrx.core.pytree import tree_map
from nrx.ops.dot import dot_general_p
from nrx.transforms.checkpoint import Policy, name_p

__all__ = [
    "checkpoint_dots", "checkpoint_dots_with_no_batch_dims", "dots_saveable", "dots_with_no_batch_dims_saveable",
    "everything_saveable", "nothing_saveable", "offload_dot_with_no_batch_dims", "save_and_offload_only_these_names",
    "save_any_names_but_these", "save_anything_except_these_names", "save_from_both_policies", "save_only_these_names",
]  # fmt: skip


def checkpoint_name(x: Any, name: str) -> Any:
    """A tree of arrays under a name, for policies such as `save_only_these_names`.

    Args:
        x: a tree of arrays.
        name: the name.

    Returns:
        The same values.

    Raises:
        ArgumentTypeError: the name is no string.

    >>> import nrx
    >>> from nrx.ad_checkpoint import checkpoint_name
    >>> policy = nrx.checkpoint_policies.save_only_these_names("sine")
    >>> f = nrx.checkpoint(lambda x: nrx.numpy.exp(checkpoint_name(nrx.numpy.sin(x), "sine")), policy=policy)
    >>> nrx.grad(f)(0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(
            f"checkpoint_name: the name must be a string, got {name!r}", fix='name it: "activation"'
        )
    return tree_map(lambda leaf: name_p.bind(asarray(leaf), name=name), x)


def everything_saveable(*_: Any, **__: Any) -> bool:
    """Keeps all, as if there were no `checkpoint`.

    >>> import nrx
    >>> f = nrx.checkpoint(nrx.numpy.sin, policy=nrx.checkpoint_policies.everything_saveable)
    >>> nrx.grad(f)(0.0).item()
    1.0
    """
    return True


def nothing_saveable(*_: Any, **__: Any) -> bool:
    """Keeps the inputs only, as without a policy.

    >>> import nrx
    >>> f = nrx.checkpoint(nrx.numpy.sin, policy=nrx.checkpoint_policies.nothing_saveable)
    >>> nrx.grad(f)(0.0).item()
    1.0
    """
    return False


def dots_saveable(prim: Any, *_: Any, **__: Any) -> bool:
    """Keeps products of matrices: where `prim` is `dot_general`.

    >>> import nrx
    >>> f = nrx.checkpoint(lambda x: nrx.numpy.sin(x @ x), policy=nrx.checkpoint_policies.dots_saveable)
    >>> nrx.grad(f)(nrx.numpy.zeros(2))
    Array([0., 0.], dtype=float32)
    """
    return prim is dot_general_p


def dots_with_no_batch_dims_saveable(prim: Any, *_: Any, **params: Any) -> bool:
    """Keeps products of matrices (`prim` is `dot_general`), but for those of batches of matrices.

    >>> import nrx
    >>> policy = nrx.checkpoint_policies.dots_with_no_batch_dims_saveable
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.sin(x @ x), policy=policy))(nrx.numpy.zeros(2))
    Array([0., 0.], dtype=float32)
    """
    return prim is dot_general_p and not any(params["dimension_numbers"][1])


checkpoint_dots = dots_saveable
checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable


def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
    """`dots_with_no_batch_dims_saveable`: what is kept stays where it is, whatever the two places.

    `offload_src` and `offload_dst` are names of memories.

    >>> import nrx
    >>> policy = nrx.checkpoint_policies.offload_dot_with_no_batch_dims("device", "pinned_host")
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.sin(x @ x), policy=policy))(nrx.numpy.zeros(2))
    Array([0., 0.], dtype=float32)
    """
    return dots_with_no_batch_dims_saveable


def save_only_these_names(*names_which_can_be_saved: str) -> Policy:
    """Keeps what `checkpoint_name` gave one of these names.

    Args:
        names_which_can_be_saved: the names.

    >>> import nrx
    >>> policy = nrx.checkpoint_policies.save_only_these_names("sine")
    >>> sine = lambda x: nrx.ad_checkpoint.checkpoint_name(nrx.numpy.sin(x), "sine")
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.exp(sine(x)), policy=policy))(0.0).item()
    1.0
    """
    names = frozenset(names_which_can_be_saved)
    return _of_names(lambda name: name in names)


def save_any_names_but_these(*names_not_to_save: str) -> Policy:
    """Keeps what `checkpoint_name` gave any other name than these.

    Args:
        names_not_to_save: the names.

    >>> import nrx
    >>> policy = nrx.checkpoint_policies.save_any_names_but_these("sine")
    >>> sine = lambda x: nrx.ad_checkpoint.checkpoint_name(nrx.numpy.sin(x), "sine")
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.exp(sine(x)), policy=policy))(0.0).item()
    1.0
    """
    names = frozenset(names_not_to_save)
    return _of_names(lambda name: name not in names)


def save_anything_except_these_names(*names_not_to_save: str) -> Policy:
    """Keeps all but what `checkpoint_name` gave one of these names.

    Args:
        names_not_to_save: the names.

    >>> import nrx
    >>> policy = nrx.checkpoint_policies.save_anything_except_these_names("sine")
    >>> sine = lambda x: nrx.ad_checkpoint.checkpoint_name(nrx.numpy.sin(x), "sine")
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.exp(sine(x)), policy=policy))(0.0).item()
    1.0
    """
    names = frozenset(names_not_to_save)
    return lambda prim, *_, **params: prim is not name_p or params["name"] not in names


def save_and_offload_only_these_names(
    *, names_which_can_be_saved: Sequence[str], names_which_can_be_offloaded: Sequence[str], offload_src: str,
    offload_dst: str,
) -> Policy:  # fmt: skip
    """Keeps what `checkpoint_name` gave one of these names; all stay where they are, whatever the two places.

    Args:
        names_which_can_be_saved, names_which_can_be_offloaded: the names.
        offload_src, offload_dst: names of memories.

    >>> import nrx
    >>> policy = nrx.checkpoint_policies.save_and_offload_only_these_names(
    ...     names_which_can_be_saved=["sine"], names_which_can_be_offloaded=[], offload_src="device", offload_dst="host"
    ... )
    >>> sine = lambda x: nrx.ad_checkpoint.checkpoint_name(nrx.numpy.sin(x), "sine")
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.exp(sine(x)), policy=policy))(0.0).item()
    1.0
    """
    return save_only_these_names(*names_which_can_be_saved, *names_which_can_be_offloaded)


def save_from_both_policies(policy_1: Policy, policy_2: Policy) -> Policy:
    """Keeps what one or the other policy keeps.

    Args:
        policy_1, policy_2: the policies.

    >>> import nrx
    >>> policies = nrx.checkpoint_policies
    >>> both = policies.save_from_both_policies(policies.dots_saveable, policies.save_only_these_names("sine"))
    >>> nrx.grad(nrx.checkpoint(lambda x: nrx.numpy.sin(x @ x), policy=both))(nrx.numpy.zeros(2))
    Array([0., 0.], dtype=float32)
    """
    return lambda *args, **params: policy_1(*args, **params) or policy_2(*args, **params)


def _of_names(is_kept: Callable[[str], bool]) -> Policy:
    return lambda prim, *_, **params: prim is name_p and is_kept(params["name"])
