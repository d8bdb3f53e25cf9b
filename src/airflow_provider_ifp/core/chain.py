"""The ledger's stored form: event number -> JSON, each entry naming the digest of the one before.

What is written there can be read by anybody and changed by nobody but a database's owner, so reading it is
checking it: `read_chain` gives the ledger, or says where the chain breaks; `breaks` lists all that is wrong.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from airflow_provider_ifp.core.errors import LedgerBrokenError, RegistryError
from airflow_provider_ifp.core.lifecycle import Event, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_KEY = re.compile(r"event\.(\d{7})")


def event_key(number: int) -> str:
    """The name under which an event is stored.

    >>> event_key(12)
    'event.0000012'
    """
    return f"event.{number:07d}"


def event_text(event: Event) -> str:
    """The stored form of an event; equal events have equal texts."""
    return json.dumps(event.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_chain(model: str, entries: Mapping[str, str]) -> Ledger:
    """The ledger, once its events have no gap and each names the digest of the one before.

    An entry that is no event at all (somebody wrote a parameter of that name) is void: it takes up its number
    and says nothing. An event that was changed breaks the chain, for the next one names another digest.

    Args:
        model: The registered model.
        entries: Key -> text, as they are stored; keys that name no event are left alone.

    Raises:
        LedgerBrokenError: an event is missing, or was changed after it was written.
    """
    events, voids = _parse(entries)
    for problem in _breaks(events, voids):
        raise LedgerBrokenError(f"{model}: {problem}; run `ifp audit {model}`")
    return Ledger(model, events, voids)


def breaks(entries: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with the stored events, in words; empty where the chain holds."""
    events, voids = _parse(entries)
    return [*_breaks(events, voids), *(f"ledger entry {number} is no event of ours" for number in voids)]


def sound_part(model: str, entries: Mapping[str, str]) -> Ledger:
    """The ledger up to the place where the chain breaks, for whoever must look at a broken one."""
    events, voids = _parse(entries)
    while any(_breaks(events, voids)):
        last = events[-1].number if events else 0
        events, voids = events[:-1], tuple(number for number in voids if number < last)
    return Ledger(model, events, voids)


def verify_chain(model: str, events: Iterable[Event]) -> tuple[Event, ...]:
    """The events in order, their chain verified as `read_chain` does."""
    return read_chain(model, {event_key(event.number): event_text(event) for event in events}).events


def _parse(entries: Mapping[str, str]) -> tuple[tuple[Event, ...], tuple[int, ...]]:
    events, voids = [], []
    for key, text in entries.items():
        named = _KEY.fullmatch(key)
        if named is None:
            continue
        number = int(named[1])
        try:
            event = Event.from_json(json.loads(text))
        except (ValueError, TypeError, RegistryError):
            voids.append(number)
            continue
        if event.number == number:
            events.append(event)
        else:
            voids.append(number)
    return tuple(sorted(events, key=lambda event: event.number)), tuple(sorted(voids))


def _breaks(events: tuple[Event, ...], voids: tuple[int, ...]) -> Iterator[str]:
    numbers = {event.number for event in events} | set(voids)
    for number in range(1, max(numbers, default=0)):
        if number not in numbers:
            yield f"the ledger lacks event {number}"
    before: Event | None = None
    for event in events:
        expected = before.digest if before else None
        if event.previous != expected:
            place = f"event {before.number}" if before else "nothing"
            yield (
                f"ledger event {event.number} does not follow from {place} "
                f"(expected {expected}, found {event.previous})"
            )
        before = event
