"""How a Fourier transform is cut: into steps, these into stages, and the tables of their twiddle factors."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, wrap
from nrx.core.shapes import Shape, size

SCRATCH_BYTES = 1 << 16
"""Of each of the two buffers between which a step goes."""
LINE_BYTES = 64
_LARGEST_PRIME = 31
_TABLES = 16
CIRCLE = 2 * np.longdouble("3.14159265358979323846264338327950288")


class Step(NamedTuple):
    """One step along an axis, from an array (outer, length, rest, inner) to one (outer, rest, length, inner).

    Fields:
        length: of the transforms, of complex numbers.
        outer, rest, inner: the other axes. Element k of the transform numbered p of `rest` is turned by
            exp(-2 pi i p k / (length * rest)).
        loads_swapped, stores_swapped: real and imaginary parts change places: such is the inverse transform.
        scale: of the result.
        from_rows, to_rows: the operand or the result has real and imaginary parts in rows of their own, in turn.
        halves: the result is half the spectrum of the parts as real numbers, which has one element more.
        joins: the operand is such a spectrum.
        is_bare: nothing is transformed, only halved or joined.
    """

    length: int
    outer: int
    rest: int
    inner: int
    loads_swapped: bool = False
    stores_swapped: bool = False
    scale: float = 1.0
    from_rows: bool = False
    to_rows: bool = False
    halves: bool = False
    joins: bool = False
    is_bare: bool = False

    @property
    def shape(self) -> Shape:
        """Of the result, if there is no pair."""
        return (self.outer, self.rest, self.length, self.inner)

    @property
    def is_rows(self) -> bool:
        return self.rest == self.inner == 1

    @property
    def is_first(self) -> bool:
        """Whether columns are left as rows."""
        return self.inner == 1 and self.rest > 1


def steps_along(
    kind: str, length: int, shape: Sequence[int], axis: int, dtype: np.dtype, scale: float
) -> list[Step] | None:
    """The steps of a transform along one axis; None if no step takes that length.

    Args:
        kind: "fft", "ifft", "rfft" or "irfft".
        length: how many points.
        shape, dtype: of the operand.
        axis: the axis.
        scale: the factor of the result.
    """
    outer, inner = size(tuple(shape[:axis])), int(size(tuple(shape[axis + 1 :])))
    if kind in ("rfft", "irfft"):
        if length % 2:
            return None
        length //= 2
    most = SCRATCH_BYTES // LINE_BYTES
    alone = most if inner > 1 else SCRATCH_BYTES // (2 * dtypes.real_part_dtype(dtype).itemsize)
    parts = _parts(length, alone - (kind == "irfft"), most)  # a spectrum has one element more
    if parts is None or (kind == "irfft" and inner > 1 and len(parts) > 1):
        return None
    steps, done = [], 1
    for part in parts:
        steps.append(Step(part, outer, length // (done * part), inner * done))
        done *= part
    if kind == "rfft":
        steps[0] = steps[0]._replace(from_rows=inner > 1)
    if kind == "irfft":
        steps[-1] = steps[-1]._replace(to_rows=inner > 1)
    if kind in ("rfft", "irfft") and len(parts) > 1:
        whole = Step(length, outer, 1, inner, is_bare=True)
        steps = [*steps, whole] if kind == "rfft" else [whole, *steps]
    swapped = kind in ("ifft", "irfft")
    steps[0] = steps[0]._replace(loads_swapped=swapped, joins=kind == "irfft")
    steps[-1] = steps[-1]._replace(stores_swapped=swapped, halves=kind == "rfft", scale=scale)
    return steps


def _parts(length: int, alone: int, most: int) -> list[int] | None:
    """The lengths of the steps: one that is not above `alone`, or some that are not above `most`, about equal."""
    if _radices(length) is None:
        return None
    if length <= alone:
        return [length]
    wanted = math.log(length) / math.ceil(math.log(length) / math.log(most) - 1e-9)
    fitting = [d for d in range(2, most + 1) if length % d == 0]
    part = min(fitting, key=lambda d: abs(math.log(d) - wanted))
    others = _parts(length // part, most, most)
    return None if others is None else [part, *others]


@functools.lru_cache(256)
def _radices(length: int) -> list[int] | None:
    """The radices of the stages of a step; None if there is a prime too large."""
    found, twos = [], 0
    while length % 2 == 0:
        length, twos = length // 2, twos + 1
    for prime in range(3, _LARGEST_PRIME + 1, 2):
        while length % prime == 0:
            length //= prime
            found.append(prime)
    if length > 1:
        return None
    eights, left = divmod(twos, 3)
    if left == 1 and eights:  # two stages of 4 rather than one of 8 and one of 2
        eights, left = eights - 1, 4
    return [8] * eights + found + [4] * (left // 2) + [2] * (left == 1) or [1]


class Stage(NamedTuple):
    """A stage: of every transform of `radix * rest` elements left, `radix` that are `rest` apart are transformed.

    Fields:
        radix: how many.
        rest: of what is left, how much will be left.
        before: how much has been transformed.
        table: where the twiddle factors begin.
    """

    radix: int
    rest: int
    before: int
    table: int

    @property
    def is_last(self) -> bool:
        return self.rest == 1

    @property
    def end(self) -> int:
        """Where the factors of the next stage begin."""
        return self.table if self.is_last else self.table + (self.radix - 1) * self.rest


def stages_of(length: int) -> list[Stage]:
    """The stages of a step."""
    stages: list[Stage] = []
    rest, before = length, 1
    for radix in _radices(length) or ():
        rest //= radix
        stages.append(Stage(radix, rest, before, stages[-1].end if stages else 0))
        before *= radix
    return stages


def stages_along_rest(stages: Sequence[Stage]) -> int:
    """How many stages of a row run along what is left to transform, before it is transposed."""
    return max(range(1, len(stages)), key=lambda t: min(stages[t].before, stages[t - 1].rest), default=0)


# Tables


def width_of(step: Step, dtype: np.dtype) -> int:
    """How many columns are transformed side by side."""
    bytes = 2 * dtypes.real_part_dtype(dtype).itemsize
    most = max(LINE_BYTES, min(4 * LINE_BYTES, SCRATCH_BYTES // (2 * step.length))) // bytes
    return min(1 << (most.bit_length() - 1), step.rest if step.is_first else step.inner)


def table_of(step: Step, dtype: np.dtype) -> Array:
    """All twiddle factors of a step: their real parts and their imaginary parts, in the order in which it needs them.

    First those of each stage; then those by which the results are turned: of the first columns of all blocks, and of
    the others against the first; or of each of `rest`; then those that halve or join.
    """
    bare = step._replace(outer=0, scale=1.0, loads_swapped=False, stores_swapped=False)
    return _table(bare, width_of(step, dtype), dtypes.real_part_dtype(dtype))


@functools.lru_cache(_TABLES)
def _table(step: Step, width: int, dtype: np.dtype) -> Array:
    stages = [] if step.is_bare else stages_of(step.length)
    split = stages_along_rest(stages) if step.is_rows else 0
    turns = [np.zeros(1, np.longdouble)]
    for number, stage in enumerate(stages[:-1]):
        found = _turns(np.arange(stage.rest), np.arange(1, stage.radix), stage.radix * stage.rest)
        turns.append(found.T if number < split else found)
    k, whole = np.arange(step.length), step.length * step.rest
    if step.is_first:
        starts = np.minimum(np.arange(-(-step.rest // width)) * width, step.rest - width)
        turns += [_turns(starts, k, whole), _turns(k, np.arange(width), whole)]
    elif step.rest > 1:
        turns.append(_turns(np.arange(step.rest), k, whole))
    if step.halves or step.joins:
        turns.append(k / np.longdouble(2 * step.length))
    angles = np.concatenate([x.ravel() for x in turns[1:] + turns[:1]]) * CIRCLE
    return wrap(np.stack([np.cos(angles), -np.sin(angles)]).astype(dtype))


def _turns(x: np.ndarray, y: np.ndarray, whole: int) -> np.ndarray:
    """The products x[i] * y[j] as parts of `whole`, less what is integral; as exact as the system can."""
    return np.multiply.outer(x, y) % whole / np.longdouble(whole)
