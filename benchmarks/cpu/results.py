"""From times to ratios, and from ratios to whether a target is met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

#: The modes of PyTorch, of which the better one counts.
MODES = {"torch": ("torch", "torch.compile")}


@dataclass(frozen=True)
class Timing:
    """The seconds per call of one contestant.

    Fields:
        bursts: the samples, burst by burst.
        busy: how busy its process was in the pauses between bursts, as a part of a core.
        memory: bytes that its process had in one call, at most, beyond the library's own; None where it is not known.
    """

    bursts: Sequence[Sequence[float]]
    busy: float = 0.0
    memory: int | None = None

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate([np.asarray(burst, np.float64) for burst in self.bursts])

    @property
    def minimum(self) -> float:
        return float(self.samples.min())

    @property
    def quartile(self) -> float:
        """The 25th percentile."""
        return float(np.percentile(self.samples, 25))

    @property
    def median(self) -> float:
        return float(np.median(self.samples))

    @property
    def spread(self) -> float:
        """The distance of the quartiles, relative to the median."""
        low, high = np.percentile(self.samples, [25, 75])
        return float((high - low) / self.median)


#: What is known of a contestant: its times, or why there are none.
Outcome = Timing | str


class Ratio(NamedTuple):
    """One's times over another's, by two statistics; where they disagree, the lower one is what is shown."""

    minima: float
    quartiles: float

    @property
    def lower(self) -> float:
        return min(self)

    def __str__(self) -> str:
        return " / ".join(f"{value:.2f}" if value >= 0.1 else f"{value:.1g}" for value in self)


class Work(NamedTuple):
    """The least that a workload has to do: what its mathematics asks for.

    Fields:
        flops: operations of products; one that is added counts two. Of a training step thrice those of the result.
        nbytes: of its operands and results, each once.
        dtype: of the products.
    """

    flops: float
    nbytes: float
    dtype: str = "float32"


class Peak(NamedTuple):
    """What all threads together do in a second at best.

    Fields:
        flops: of each dtype.
        nbytes: read from memory and written to it.
    """

    flops: Mapping[str, float]
    nbytes: float

    def share(self, work: Work, seconds: float) -> tuple[float, str]:
        """The time that work takes at least, over that which it took; and which of the two rates it is limited by."""
        least = {"bytes/s": work.nbytes / self.nbytes, "FLOP/s": work.flops / self.flops.get(work.dtype, np.inf)}
        limit = max(least, key=least.__getitem__)
        return least[limit] / seconds, limit


class Verdict(NamedTuple):
    """How a workload did against a peer.

    Fields:
        against: the key of the target.
        target: what the lower ratio has to reach.
        ratio: the peer's time over ours; None where ours failed, and the peer did not.
    """

    against: str
    target: float
    ratio: Ratio | None

    @property
    def met(self) -> bool:
        return self.ratio is not None and self.ratio.lower >= self.target


def ratio(theirs: Sequence[Timing], ours: Timing) -> Ratio:
    """The best of their times over ours, statistic by statistic."""
    minima, quartiles = min(t.minimum for t in theirs), min(t.quartile for t in theirs)
    return Ratio(minima / ours.minimum, quartiles / ours.quartile)


def verdicts(targets: Mapping[str, float], outcomes: Mapping[str, Outcome]) -> list[Verdict]:
    """One for each target whose peer has times, if we took part."""
    ours = outcomes.get("nrx")
    found = []
    for against, target in targets.items():
        modes = [outcomes.get(mode) for mode in MODES.get(against, (against,))]
        theirs = [outcome for outcome in modes if isinstance(outcome, Timing)]
        if theirs and ours is not None:
            found.append(Verdict(against, target, ratio(theirs, ours) if isinstance(ours, Timing) else None))
    return found


class Law(NamedTuple):
    """At most how many times our time in one workload another one shall take."""

    title: str
    small: str
    large: str
    target: float


LAWS = [Law("the compile time from 400 to 800 operations", "chain-400", "chain-800", 2.2)]


class Growth(NamedTuple):
    """How times grew, those of all who were measured."""

    law: Law
    ratios: Mapping[str, Ratio]

    @property
    def met(self) -> bool:
        return max(self.ratios["nrx"]) <= self.law.target


def growths(measured: Mapping[str, Mapping[str, Outcome]], laws: Sequence[Law] = LAWS) -> list[Growth]:
    """One for each law whose workloads were measured, workload -> contestant -> outcome."""
    found = []
    for law in laws:
        small, large = measured.get(law.small, {}), measured.get(law.large, {})
        pairs = {peer: (outcome, large.get(peer)) for peer, outcome in small.items()}
        ratios = {
            peer: ratio([more], less)
            for peer, (less, more) in pairs.items()
            if isinstance(less, Timing) and isinstance(more, Timing)
        }
        if "nrx" in ratios:
            found.append(Growth(law, ratios))
    return found
