"""The ledger's stored form: event number -> JSON, each entry naming the digest of the one before.

What is written there can be read by anybody and changed by nobody but a database's owner, so reading it is
checking it: `read_chain` gives the ledger, or says where the chain breaks; `breaks` lists every such place.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from airflow_provider_ifp.core.errors import LedgerBrokenError, RegistryError
from airflow_provider_ifp.core.registry.lifecycle import Event, Ledger

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
    return event.text


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
    for _, problem in _breaks(events, voids):
        raise LedgerBrokenError(f"{model}: {problem}; run `ifp audit {model}`")
    return Ledger(model, events, voids)


def breaks(entries: Mapping[str, str]) -> list[str]:
    """Every place where the chain of stored events breaks, in words; empty where it holds."""
    return [problem for _, problem in _breaks(*_parse(entries))]


def void_numbers(entries: Mapping[str, str]) -> tuple[int, ...]:
    """The numbers under which something stands that is no event, ascending."""
    return _parse(entries)[1]


def sound_part(model: str, entries: Mapping[str, str]) -> Ledger:
    """The ledger up to the place where the chain breaks, for whoever must look at a broken one."""
    events, voids = _parse(entries)
    end = min((number for number, _ in _breaks(events, voids)), default=None)
    if end is not None:
        events = tuple(event for event in events if event.number < end)
        voids = tuple(number for number in voids if number < end)
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
        except (ValueError, RecursionError, RegistryError):
            voids.append(number)
            continue
        if event.number == number:
            events.append(event)
        else:
            voids.append(number)
    return tuple(sorted(events, key=lambda event: event.number)), tuple(sorted(voids))


def _breaks(events: tuple[Event, ...], voids: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Each break: the first number that it makes unsound, and what is wrong, in words."""
    # A void past the last event leaves no gap: nobody wrote that far yet.
    last = events[-1].number if events else 0
    expected = 1
    for number in sorted({event.number for event in events} | {void for void in voids if void < last}):
        if number > expected:
            missing = f"event {expected}" if number == expected + 1 else f"events {expected} to {number - 1}"
            yield expected, f"the ledger lacks {missing}"
        expected = number + 1
    before: Event | None = None
    for event in events:
        digest = before.digest if before else None
        if event.previous != digest:
            place = f"event {before.number}" if before else "nothing"
            found = f"expected {digest}, found {event.previous}"
            yield event.number, f"ledger event {event.number} does not follow from {place} ({found})"
        before = event
