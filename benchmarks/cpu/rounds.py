"""Contestants take turns, in short bursts with pauses, so that what disturbs the machine disturbs all of them.

The pauses let threads that wait actively go to sleep before the next one's burst.
"""

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from benchmarks.cpu.processes import PeerError


class Plan(NamedTuple):
    """How long a workload is measured.

    Fields:
        rounds: how many bursts each contestant has, at most.
        burst, pause: seconds.
        allowance: after so many seconds of bursts a contestant has no more of them, except for the first two.
        limit: how many seconds anything may take: preparing, or one burst.
    """

    rounds: int
    burst: float
    pause: float
    allowance: float
    limit: float


FULL = Plan(rounds=15, burst=0.05, pause=0.05, allowance=6.0, limit=120.0)
#: Of a process that starts in each burst there are fewer.
STARTS = FULL._replace(pause=0.2, allowance=20.0)
QUICK = Plan(rounds=3, burst=0.02, pause=0.03, allowance=1.0, limit=60.0)
LEAST_BURSTS = 2


class TakesTurns(Protocol):
    def prepare(self) -> None: ...
    def ready(self) -> None: ...
    def burst(self, seconds: float) -> list[float]: ...


#: The samples of each burst in turn, or why there are none.
Outcome = list[list[float]] | PeerError


def measure(contestants: Mapping[str, TakesTurns], plan: Plan) -> dict[str, Outcome]:
    """Prepare all, then let them take turns; who fails is out, and the others go on.

    Args:
        contestants: by name.
        plan: how long.

    Returns:
        What became of each.
    """
    outcomes: dict[str, Outcome] = {name: [] for name in contestants}
    for step in ("prepare", "ready"):
        for name, contestant in contestants.items():
            if not isinstance(outcomes[name], PeerError):
                try:
                    getattr(contestant, step)()
                except PeerError as failure:
                    outcomes[name] = failure
    spent = dict.fromkeys(contestants, 0.0)
    for number in range(plan.rounds):
        for name in rotated(contestants, number):
            bursts = outcomes[name]
            if isinstance(bursts, PeerError) or (len(bursts) >= LEAST_BURSTS and spent[name] >= plan.allowance):
                continue
            time.sleep(plan.pause)
            start = time.perf_counter()
            try:
                bursts.append(contestants[name].burst(plan.burst))
            except PeerError as failure:
                outcomes[name] = failure
            spent[name] += time.perf_counter() - start
    return outcomes


def rotated(names: Iterable[str], number: int) -> list[str]:
    """The names, another one first in each round: nobody always follows the same one."""
    order = list(names)
    cut = number % len(order)
    return order[cut:] + order[:cut]
