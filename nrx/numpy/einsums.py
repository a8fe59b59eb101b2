"""`einsum`: products of several arrays and sums over axes, in the index notation of Einstein."""

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import Shape, show, without
from nrx.numpy.contraction_paths import cost_of, in_pairs, method_of, path_of
from nrx.numpy.diagonals import diagonal
from nrx.numpy.planning import Planned
from nrx.numpy.products import contract, times
from nrx.numpy.promotion import promote_dtypes
from nrx.numpy.reductions import reject_out
from nrx.ops.common import as_arrays


def einsum(
    subscripts: Any, /, *operands: Any, out: None = None, optimize: Any = "auto", precision: Any = None,
    preferred_element_type: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """Products of arrays and sums over axes, in the index notation of Einstein.

    Args:
        subscripts: letters for the axes of each array and of the result, as "ij,jk->ik"; "..." stands for any further
            axes. Axes that the result does not name are summed over; without "->" the result has the letters that occur
            once, in alphabetical order.
        operands: as many arrays; also `einsum(x, [0, 1], y, [1, 2], [0, 2])`.
        out: must be None.
        optimize: in which order arrays are multiplied: True, "auto" and "optimal" in the cheapest of all for up to 10
            arrays, greedily (the best pair each time) for more; "greedy"; False from left to right; a path, as
            `einsum_path` gives. Other names of opt_einsum's mean "optimal" or "greedy"; NumPy's limit of memory has
            no effect.
        precision: how exactly an accelerator multiplies float32: None, "default", "high" or "highest".
        preferred_element_type: the dtype of the result; by default the common one.

    Returns:
        An array.

    Raises:
        ArgumentError: subscripts that make no sense, or a path that does not fit.
        ShapeError: shapes that do not fit them.

    >>> x = jnp.arange(6.0).reshape(2, 3)
    >>> jnp.einsum("ij,kj->ik", x, x)
    Array([[ 5., 14.],
           [14., 50.]], dtype=float32)
    >>> jnp.einsum("...i->...", x)
    Array([ 3., 12.], dtype=float32)
    """
    reject_out("einsum", out)
    subscripts, arrays = _arguments("einsum", subscripts, operands)
    return _einsum(
        *arrays, subscripts=subscripts, method=method_of(optimize), precision=precision,
        preferred=preferred_element_type,
    )  # fmt: skip


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "auto") -> tuple[list[Any], str]:
    """The order of products in which `einsum` multiplies its arrays.

    Args:
        subscripts: as for einsum.
        operands: as for einsum; only their shapes matter, so they may be traced.
        optimize: as for einsum.

    Returns:
        A list that begins with "einsum_path", to be passed as `optimize`, and a text about costs. A step of the list
        has the positions of arrays, which are taken out of the list of arrays, and whose product is added at the end.
        Dtypes do not matter.

    Raises:
        ArgumentError: as for einsum.
        ShapeError: as for einsum.

    >>> x = jnp.ones((2, 3))
    >>> jnp.einsum_path("ij,jk,kl->il", x, x.T, x)[0]
    ['einsum_path', (0, 1), (0, 1)]
    """
    method = method_of(optimize)
    subscripts, arrays = _arguments("einsum_path", subscripts, operands)
    shapes = [x.shape for x in as_arrays("einsum_path", *arrays)]
    inputs, output = _parsed(subscripts, shapes)
    sizes = _sizes(inputs, shapes)
    terms = [_varying(labels, shape, sizes) for labels, shape in zip(inputs, shapes, strict=True)]
    terms = [_shared(labels, _needed(terms, output, i)) for i, labels in enumerate(terms)]
    path = path_of(method, tuple(terms), output, tuple(sizes.items()))
    operations, largest = cost_of(path, terms, output, sizes)
    text = f"{','.join(inputs)}->{output}\noperations: {operations:,}\nelements of the largest product: {largest:,}"
    return ["einsum_path", *path], text


def _arguments(name: str, subscripts: Any, operands: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists((subscripts, *operands))
    if not operands:
        raise ArgumentError(f"{name} needs at least one array")
    return subscripts, operands


@Planned
def _einsum(*operands: Any, subscripts: str, method: Any, precision: Any, preferred: Any) -> Array:
    arrays = promote_dtypes("einsum", *operands)
    preferred = None if preferred is None else canonical_dtype(preferred, arrays[0].dtype)
    shapes = [x.shape for x in arrays]
    inputs, output = _parsed(subscripts, shapes)
    sizes = _sizes(inputs, shapes)
    terms = [
        _simplified(x, labels, _needed(inputs, output, i))
        for i, (x, labels) in enumerate(zip(arrays, inputs, strict=True))
    ]
    labels = tuple(_varying(labels, x.shape, sizes) for x, labels in terms)
    path = path_of(method, labels, output, tuple(sizes.items()))
    for step in in_pairs(path, len(terms)):
        rest = [term for k, term in enumerate(terms) if k not in step]
        product = terms[step[0]]
        if len(step) == 2:
            needed = set(output).union(*(labels for _, labels in rest))
            product = _product(product, terms[step[1]], needed, precision, preferred)
        terms = [*rest, product]
    x, found = terms[0]
    return _in_dtype(lax.transpose(x, [found.index(c) for c in output]), preferred)


def _from_lists(arguments: Sequence[Any]) -> tuple[str, list[Any]]:
    """The string form of einsum(x, [0, 1], y, [1, 2], [0, 2])."""
    *pairs, output = arguments if len(arguments) % 2 else (*arguments, None)

    def letters(labels: Sequence[Any]) -> str:
        return "".join("..." if i is ... else ascii_letters[i] for i in labels)

    text = ",".join(map(letters, pairs[1::2]))
    return text if output is None else f"{text}->{letters(output)}", pairs[::2]


def _parsed(subscripts: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The labels of each operand and of the result, with letters in place of the ellipsis."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(shapes):
        raise ArgumentError(f"einsum {subscripts!r} names {len(inputs)} operands, and {len(shapes)} are given")
    free = [c for c in ascii_letters if c not in text]
    counts = [len(shape) - len(part.replace("...", "")) for part, shape in zip(inputs, shapes, strict=True)]
    for part, shape, count in zip(inputs, shapes, counts, strict=True):
        if count < 0 or (count and "..." not in part):
            raise ShapeError(f"einsum {subscripts!r}: {part!r} does not name the axes of shape {show(shape)}")
    ellipsis = "".join(free[: max(counts, default=0)])
    inputs = [part.replace("...", ellipsis[len(ellipsis) - n :]) for part, n in zip(inputs, counts, strict=True)]
    if arrow:
        output = right.replace("...", ellipsis)
    else:
        joined = "".join(inputs)
        output = ellipsis + "".join(sorted(c for c in set(joined) - set(ellipsis) if joined.count(c) == 1))
    for part in (*inputs, output):
        if not all(c in ascii_letters for c in part):
            raise ArgumentError(f"einsum {subscripts!r}: axes are named by letters, got {part!r}")
    if len(set(output)) != len(output) or not set(output) <= set("".join(inputs)):
        raise ArgumentError(f"einsum {subscripts!r}: the result names an axis twice, or one that no operand has")
    return inputs, output


Term = tuple[Array, str]


def _sizes(inputs: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """The length of each label; an axis of length 1 broadcasts to that of another array."""
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, n in zip(labels, shape, strict=True):
            known = sizes.get(label, 1)
            if n != known and 1 not in (n, known):
                raise ShapeError(f"einsum: axis {label!r} has lengths {known} and {n}")
            sizes[label] = n if known == 1 else known
    return sizes


def _needed(inputs: Sequence[str], output: str, i: int) -> set[str]:
    """The labels that the result or an array other than the i-th has."""
    return set(output).union(*inputs[:i], *inputs[i + 1 :])


def _varying(labels: str, shape: Shape, sizes: dict[str, int]) -> str:
    """The labels along which an array does not broadcast."""
    return "".join(label for label, n in zip(labels, shape, strict=True) if n == sizes[label])


def _shared(labels: str, needed: set[str]) -> str:
    return "".join(label for label in dict.fromkeys(labels) if label in needed)


def _simplified(x: Array, labels: str, needed: set[str]) -> Term:
    """An operand with one axis a label: diagonals for repeated labels, sums over labels nobody else has."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(f"einsum: axis {label!r} has lengths {x.shape[first]} and {x.shape[second]}")
            x = diagonal(x, 0, first, second)
            labels = "".join(without(labels, [first, second])) + label
    gone = [i for i, label in enumerate(labels) if label not in needed]
    return _summed(x, gone), "".join(without(labels, gone))


def _in_dtype(x: Array, preferred: Any) -> Array:
    return x if preferred is None else lax.convert_element_type(x, preferred)


def _summed(x: Array, axes: Sequence[int]) -> Array:
    return lax.reduce_or(x, axes) if dtypes.is_bool(x.dtype) else lax.reduce_sum(x, axes)


def _product(first: Term, second: Term, needed: set[str], precision: Any, preferred: Any) -> Term:
    """The product of two terms, summed over the labels that are not needed."""
    x, a, y, b = _aligned(*first, *second)
    shared = [label for label in a if label in b]
    batch = [label for label in shared if label in needed]
    summed = [label for label in shared if label not in needed]
    labels = "".join([*batch, *(c for c in a if c not in shared), *(c for c in b if c not in shared)])
    if summed:
        axes = tuple(tuple(labels.index(label) for label in summed) for labels in (a, b))
        batch_axes = tuple(tuple(labels.index(label) for label in batch) for labels in (a, b))
        out = contract(x, y, axes, batch_axes, precision, preferred)
    else:
        out = times(_spread(x, a, y, b, labels, preferred), _spread(y, b, x, a, labels, preferred))
    gone = [i for i, label in enumerate(labels) if label not in needed]
    return _summed(out, gone), "".join(without(labels, gone))


def _spread(x: Array, own: str, other: Array, others: str, labels: str, preferred: Any) -> Array:
    """An array with all labels of a product, in their order, and its dtype."""
    lengths = dict(zip(others + own, other.shape + x.shape, strict=True))
    kept = [c for c in labels if c in own]
    x = lax.transpose(x, [own.index(c) for c in kept])
    x = lax.broadcast_in_dim(x, [lengths[c] for c in labels], [labels.index(c) for c in kept])
    return _in_dtype(x, preferred)


def _aligned(x: Array, a: str, y: Array, b: str) -> tuple[Array, str, Array, str]:
    """The terms without shared axes of length 1 that the other term has longer: they broadcast."""
    sizes = dict(zip(b, y.shape, strict=True))
    drop_x, drop_y = [], []
    for i, (label, n) in enumerate(zip(a, x.shape, strict=True)):
        other = sizes.get(label, n)
        if n == other:
            continue
        if 1 not in (n, other):
            raise ShapeError(f"einsum: axis {label!r} has lengths {n} and {other}")
        if n == 1:
            drop_x.append(i)
        else:
            drop_y.append(b.index(label))
    x, a = lax.squeeze(x, drop_x), "".join(without(a, drop_x))
    return x, a, lax.squeeze(y, drop_y), "".join(without(b, drop_y))
