"""How tables of cases are written, and the operands that cases use."""

import functools

import numpy as np

#: The name of a function, to its cases.
Table = dict[str, list[str]]

_RNG = np.random.default_rng(7)


def table(*groups: tuple[str, ...]) -> Table:
    """Groups of (names, case, …): every name of a group gets its cases; a name may stand in several groups."""
    cases: Table = {}
    for names, *expressions in groups:
        for name in names.split():
            cases.setdefault(name, []).extend(expressions)
    return cases


def _spd(n: int) -> np.ndarray:
    root = _RNG.uniform(-1, 1, (n, n))
    return root @ root.T + 2 * np.eye(n)


#: In (-2, 2); b in (0.5, 2), u in (-0.9, 0.9), r in (0, 1) and rising; p is symmetric and positive definite.
REAL = {
    "a": _RNG.uniform(-2, 2, (3, 4)),
    "b": _RNG.uniform(0.5, 2, (3, 4)),
    "u": _RNG.uniform(-0.9, 0.9, (3, 4)),
    "v": _RNG.uniform(-2, 2, 4),
    "w": _RNG.uniform(-2, 2, 4),
    "r": np.sort(_RNG.uniform(0, 1, 5)),
    "s": np.asarray(0.75),
    "m": _RNG.uniform(-2, 2, (4, 4)) + 2 * np.eye(4),
    "p": _spd(4),
    "t": _RNG.uniform(-2, 2, (2, 3, 4)),
    "k": _RNG.uniform(-2, 2, (2, 4, 5)),
    "image": _RNG.uniform(-2, 2, (2, 3, 6, 5)),
    "kernel": _RNG.uniform(-2, 2, (4, 3, 3, 2)),
}
COMPLEX = {
    "z": _RNG.uniform(-2, 2, (3, 4)) + 1j * _RNG.uniform(-2, 2, (3, 4)),
    "c": _RNG.uniform(-2, 2, (4, 4)) + 1j * _RNG.uniform(-2, 2, (4, 4)) + 3 * np.eye(4),
}
INTEGER = {
    "i": _RNG.integers(-5, 6, (3, 4)),
    "j": _RNG.integers(1, 6, (3, 4)),
    "n": _RNG.integers(0, 4, 6),
}
#: Not batched and not differentiated with the rest: `x` has special values, `key` is a raw key.
OTHER = {
    "x": np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.5, -2.5, 3.0]),
    "e": np.zeros((0, 4)),
    "o": _RNG.integers(0, 2, (3, 4)).astype(bool),
    "d": np.array([True, False, True, True]),
    "key": np.array([7, 1234567], np.uint32),
}


@functools.cache
def operands(real: str, integer: str) -> dict[str, np.ndarray]:
    """All operands: floats in dtype `real`, complex numbers as wide, integers in dtype `integer`."""
    wide = "complex128" if real == "float64" else "complex64"
    floats = {**REAL, "x": OTHER["x"], "e": OTHER["e"]}
    kinds = [(floats, np.float32), (COMPLEX, np.complex64), (INTEGER, np.int64)]
    rounded = [{name: value.astype(kind) for name, value in group.items()} for group, kind in kinds]
    made = {name: value.astype(kind) for group, kind in zip(rounded, (real, wide, integer), strict=True)
            for name, value in group.items()}  # fmt: skip
    return {**OTHER, **made}
