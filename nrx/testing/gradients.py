"""Derivatives checked against finite differences.

The differences are central ones, of the plain function in float64, at two step sizes and extrapolated (Richardson), so
that their error is about 1e-11 for a smooth function of ordinary size. A derivative of order n is checked as the first
derivative of one of order n - 1 that has been checked before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError
from nrx.core.pytree import tree_flatten, tree_unflatten
from nrx.transforms import jvp, vjp

_MODES = ("fwd", "rev")


def check_grads(
    f: Callable,
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = _MODES,
    atol: float = 1e-6,
    rtol: float = 1e-6,
    eps: float = 2.0**-10,
) -> None:
    """Check the derivatives of `f` at `args` against finite differences along random directions.

    Args:
        f: a function of pytrees of arrays, smooth within about `eps` of `args`.
        args: its arguments. Floating and complex leaves are taken in float64 and complex128 and varied, others kept.
        order: the highest order of derivative; all sequences of `modes` of that length are checked.
        modes: "fwd" for `jvp`, "rev" for `vjp`, or both.
        atol, rtol: what a derivative may differ by: `atol + rtol * |expected|`, elementwise.
        eps: the step of the differences. Where `f` itself computes in float32, pass 2**-6 and tolerances of 1e-2.

    Raises:
        AssertionError: a derivative is wrong; the message names the sequence of modes and the values.
        ArgumentError: an unknown mode.

    >>> import nrx
    >>> nrx.testing.check_grads(nrx.numpy.sin, (nrx.numpy.array([0.5, 1.0]),), order=2)
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or not set(modes) <= set(_MODES):
        raise ArgumentError(f"modes must be among {_MODES}, got {modes}")
    leaves, treedef = tree_flatten(tuple(args))
    arrays = [_in_double(asarray(leaf, "check_grads: an argument")) for leaf in leaves]
    varied = [i for i, x in enumerate(arrays) if dtypes.is_inexact(x.dtype)]

    def flat(*xs: Array) -> list[Array]:
        full = list(arrays)
        for position, x in zip(varied, xs, strict=True):
            full[position] = x
        outs = map(asarray, tree_flatten(f(*tree_unflatten(treedef, full)))[0])
        return [out for out in outs if dtypes.is_inexact(out.dtype)]

    checker = _Checker(modes, atol, rtol, eps)
    checker.check(flat, [arrays[i] for i in varied], order, "")


def finite_difference(f: Callable, xs: Sequence[Any], direction: Sequence[Any], eps: float) -> list[np.ndarray]:
    """The derivative of `f`, from arrays to a list of arrays, at `xs` along `direction`."""

    def central(step: float) -> list[np.ndarray]:
        up, down = (
            f(*[asarray(np.asarray(x) + sign * step * np.asarray(v)) for x, v in zip(xs, direction, strict=True)])
            for sign in (1, -1)
        )
        return [(np.asarray(a) - np.asarray(b)) / (2 * step) for a, b in zip(up, down, strict=True)]

    with np.errstate(all="ignore"):
        return [(4 * fine - coarse) / 3 for fine, coarse in zip(central(eps / 2), central(eps), strict=True)]


class _Checker:
    """The checks of flat functions, with their settings and their source of directions."""

    def __init__(self, modes: tuple[str, ...], atol: float, rtol: float, eps: float):
        self.modes = modes
        self.atol = atol
        self.rtol = rtol
        self.eps = eps
        self.rng = np.random.default_rng(0)

    def check(self, f: Callable, xs: list[Array], order: int, path: str) -> None:
        """Check orders 1 to `order`; `path` says which derivative `f` is itself."""
        if order < 1:
            return
        outs = f(*xs)
        tangents, cotangents = self.directions(xs), self.directions(outs)
        differences = finite_difference(f, xs, tangents, self.eps)
        if "fwd" in self.modes:
            values, slopes = jvp(f, xs, tangents)
            self.compare(f"the value that jvp{path} returns", values, outs)
            self.compare(f"jvp{path}", slopes, differences)
            self.check(lambda *xs: jvp(f, xs, tangents)[1], xs, order - 1, f" of jvp{path}")
        if "rev" in self.modes:
            values, pull_back = vjp(f, *xs)
            gradients = pull_back(cotangents)
            self.compare(f"the value that vjp{path} returns", values, outs)
            self.compare_paired(f"vjp{path}", gradients, tangents, cotangents, differences)
            self.check(lambda *xs: list(vjp(f, *xs)[1](cotangents)), xs, order - 1, f" of vjp{path}")

    def directions(self, xs: Sequence[Array]) -> list[Array]:
        """Random arrays like `xs`."""
        drawn = [self.rng.standard_normal(x.shape) + 1j * self.rng.standard_normal(x.shape) for x in xs]
        parts = [v if dtypes.is_complex(x.dtype) else v.real for v, x in zip(drawn, xs, strict=True)]
        return [asarray(np.asarray(v).astype(x.dtype)) for v, x in zip(parts, xs, strict=True)]

    def compare(self, what: str, got: Sequence[Any], expected: Sequence[Any]) -> None:
        """Arrays, one by one."""
        for number, (a, b) in enumerate(zip(map(np.asarray, got), map(np.asarray, expected), strict=True)):
            assert a.shape == b.shape, f"{what}: result {number} has shape {a.shape}, the function's {b.shape}"
            close = np.isclose(a, b, rtol=self.rtol, atol=self.atol, equal_nan=True)
            assert np.all(close), f"{what}: result {number} is\n{a}\nand by finite differences\n{b}"

    def compare_paired(self, what: str, gradients: Any, tangents: Any, cotangents: Any, differences: Any) -> None:
        """Gradients, which have the shapes and dtypes of the tangents, by <gradients, tangents> = <cotangents, slopes>.

        The pairing is Re(sum of ct * t), without conjugation, as everywhere in nrx.
        """
        for number, (gradient, tangent) in enumerate(zip(gradients, tangents, strict=True)):
            same = (gradient.shape, gradient.dtype) == (tangent.shape, tangent.dtype)
            assert same, f"{what}: gradient {number} is {gradient.aval}, the argument {tangent.aval}"
        terms = [np.asarray(g) * np.asarray(t) for g, t in zip(gradients, tangents, strict=True)]
        slopes = [np.asarray(ct) * np.asarray(s) for ct, s in zip(cotangents, differences, strict=True)]
        got, expected = (np.real(sum(np.sum(x) for x in products)) for products in (terms, slopes))
        largest = sum(np.sum(np.abs(x)) for products in (terms, slopes) for x in products)
        close = np.abs(got - expected) <= self.atol + self.rtol * largest or (np.isnan(got) and np.isnan(expected))
        assert close, f"{what}: the slope is {got}, and by finite differences {expected}, for gradients\n{gradients}"


def _in_double(x: Array) -> Array:
    if not dtypes.is_inexact(x.dtype):
        return x
    return asarray(np.asarray(x).astype(np.complex128 if dtypes.is_complex(x.dtype) else np.float64))
