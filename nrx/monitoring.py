"""Events and those who listen to them, under the names of `jax.monitoring`. nrx itself records none.

>>> import nrx
>>> seen = []
>>> listener = lambda event, **facts: seen.append((event, facts))
>>> nrx.monitoring.register_event_listener(listener)
>>> nrx.monitoring.record_event("/step", number=1)
>>> seen
[('/step', {'number': 1})]
>>> nrx.monitoring.unregister_event_listener(listener)
"""

from collections.abc import Callable
from functools import partial
from typing import Any

_KINDS = ("event", "duration", "scalar", "span")
_listeners: dict[str, list[Callable]] = {kind: [] for kind in _KINDS}


def _record(kind: str, event: str, *values: Any, **facts: Any) -> None:
    """Call all listeners of a kind with an event, its values and further facts."""
    for listener in list(_listeners[kind]):
        listener(event, *values, **facts)


def _register(kind: str, callback: Callable) -> None:
    """Have `callback` called for each event of a kind."""
    _listeners[kind].append(callback)


def _unregister(kind: str, callback: Callable) -> None:
    """Call `callback` no more."""
    _listeners[kind].remove(callback)


def clear_event_listeners() -> None:
    """Call nobody any more.

    >>> import nrx
    >>> nrx.monitoring.clear_event_listeners()
    """
    for listeners in _listeners.values():
        listeners.clear()


record_event = partial(_record, "event")
record_event_duration_secs = partial(_record, "duration")
record_scalar = partial(_record, "scalar")
record_event_time_span = partial(_record, "span")
register_event_listener = partial(_register, "event")
register_event_duration_secs_listener = partial(_register, "duration")
register_scalar_listener = partial(_register, "scalar")
register_event_time_span_listener = partial(_register, "span")
unregister_event_listener = partial(_unregister, "event")
unregister_event_duration_listener = partial(_unregister, "duration")
unregister_scalar_listener = partial(_unregister, "scalar")
unregister_event_time_span_listener = partial(_unregister, "span")
