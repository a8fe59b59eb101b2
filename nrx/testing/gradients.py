"""Derivatives checked against finite differences.

The differences are central ones, taken of the plain function in float64 at two step sizes and extrapolated (Richardson),
so that their error is about 1e-11 for a smooth function of ordinary size. Derivatives of order n are checked as first
derivatives of those of order n - 1, which have been checked before.
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
    """Check the derivatives of `f` at `args` against finite differences, along random directions.

    Args:
        f: a function of pytrees of arrays. It must be smooth within about `eps` of `args`.
        args: its arguments. Floating and complex leaves are taken in float64 and complex128 and varied; others are kept.
        order: the highest order of derivative; every sequence of the modes of that length is checked.
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

    check = _Check(modes, atol, rtol, eps, np.random.default_rng(0))
    check(flat, [arrays[i] for i in varied], order, "")


class _Check:
    """A check of all derivatives of flat functions up to an order."""

    def __init__(self, modes: tuple[str, ...], atol: float, rtol: float, eps: float, rng: np.random.Generator):
        self.modes = modes
        self.atol = atol
        self.rtol = rtol
        self.eps = eps
        self.rng = rng

    def __call__(self, f: Callable, xs: list[Array], order: int, path: str) -> None:
        """Check orders 1 to `order` of `f`; `path` says which derivative `f` is already."""
        if order < 1:
            return
        outs = f(*xs)
        tangents, cotangents = self._directions(xs), self._directions(outs)
        differences = finite_difference(f, xs, tangents, self.eps)
        if "fwd" in self.modes:
            values, slopes = jvp(f, tuple(xs), tuple(tangents))
            self._compare(f"value of jvp{path}", values, outs)
            self._compare(f"jvp{path}", slopes, differences)
            self(lambda *xs: jvp(f, xs, tuple(tangents))[1], xs, order - 1, f" of jvp{path}")
        if "rev" in self.modes:
            values, pull_back = vjp(f, *xs)
            self._compare(f"value of vjp{path}", values, outs)
            gradients = pull_back(cotangents)
            assert [g.aval.strong for g in gradients] == [x.aval.strong for x in xs], (
                f"vjp{path}: wrong shapes or dtypes"
            )
            self._compare_pairings(f"vjp{path}", gradients, tangents, cotangents, differences)
            self(lambda *xs: list(vjp(f, *xs)[1](cotangents)), xs, order - 1, f" of vjp{path}")

    def _directions(self, xs: Sequence[Array]) -> list[Array]:
        return [asarray(_normal(self.rng, x)) for x in xs]

    def _compare(self, what: str, got: Sequence[Any], expected: Sequence[Any]) -> None:
        for number, (a, b) in enumerate(zip(map(np.asarray, got), map(np.asarray, expected), strict=True)):
            assert a.shape == b.shape, f"{what}: result {number} has shape {a.shape}, not {b.shape}"
            close = np.isclose(a, b, rtol=self.rtol, atol=self.atol, equal_nan=True)
            assert np.all(close), f"{what}: result {number} is\n{a}\nbut finite differences give\n{b}"

    def _compare_pairings(self, what: str, gradients: Any, tangents: Any, cotangents: Any, differences: Any) -> None:
        got, expected = _pairing(gradients, tangents), _pairing(cotangents, differences)
        scale = sum(
            float(np.sum(np.abs(np.asarray(g) * np.asarray(t)))) for g, t in zip(gradients, tangents, strict=True)
        )
        close = abs(got - expected) <= self.atol + self.rtol * max(scale, abs(expected)) or got == expected
        assert close or (np.isnan(got) and np.isnan(expected)), (
            f"{what}: {got} along a direction, but finite differences give {expected}"
        )


def finite_difference(f: Callable, xs: Sequence[Any], direction: Sequence[Any], eps: float) -> list[np.ndarray]:
    """The derivative of the flat function `f` at `xs` along `direction`, by extrapolated central differences."""

    def central(step: float) -> list[np.ndarray]:
        sides = [
            f(*[asarray(np.asarray(x) + sign * step * np.asarray(v)) for x, v in zip(xs, direction, strict=True)])
            for sign in (1, -1)
        ]
        return [(np.asarray(up) - np.asarray(down)) / (2 * step) for up, down in zip(*sides, strict=True)]

    with np.errstate(all="ignore"):
        return [(4 * fine - coarse) / 3 for fine, coarse in zip(central(eps / 2), central(eps), strict=True)]


def _in_double(x: Array) -> Array:
    if not dtypes.is_inexact(x.dtype):
        return x
    return asarray(np.asarray(x).astype(np.complex128 if dtypes.is_complex(x.dtype) else np.float64))


def _normal(rng: np.random.Generator, x: Array) -> np.ndarray:
    values = rng.standard_normal(x.shape)
    return np.asarray(values + 1j * rng.standard_normal(x.shape) if dtypes.is_complex(x.dtype) else values).astype(
        x.dtype
    )


def _pairing(cotangents: Sequence[Any], tangents: Sequence[Any]) -> float:
    """Re(sum of ct * t): cotangents pair with tangents without conjugation, as everywhere in nrx."""
    products = (np.sum(np.asarray(ct) * np.asarray(t)) for ct, t in zip(cotangents, tangents, strict=True))
    return float(np.real(sum(products)))
