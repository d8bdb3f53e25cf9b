"""The stored ledger: what is no event says nothing, what was changed or is missing is named."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from airflow_provider_ifp.core.errors import LedgerBrokenError, RegistryError
from airflow_provider_ifp.core.registry.chain import (
    breaks,
    event_key,
    event_text,
    read_chain,
    sound_part,
    void_numbers,
)
from airflow_provider_ifp.core.registry.lifecycle import Event, Ledger
from airflow_provider_ifp.core.registry.moves import Attempt, Promotion, plan_promotion

MODEL = "flight-time"


def ledger_of(count, ledger=None):
    """Versions 1, 2, 3 ... promoted one after the other, a day apart."""
    ledger = ledger or Ledger(MODEL)
    for place in range(len(ledger.events) + 1, count + 1):
        who = Attempt(
            actor="ada", time=f"2026-01-{place:02d}T00:00:00Z", nonce=f"n{place}", by="person", reason="r"
        )
        event = plan_promotion(ledger, who, Promotion(version=str(place), target="production"))
        ledger = Ledger(MODEL, (*ledger.events, event), ledger.voids)
    return ledger


def stored(ledger):
    return {event_key(event.number): event_text(event) for event in ledger.events}


FORGED = ledger_of(1).events[0].to_json()
JUNK = [
    "",
    "null",
    "5",
    "[]",
    '"text"',
    "{}",
    "[" * 5000,
    "NaN",
    json.dumps({**FORGED, "event": 3, "more": 1}),
    json.dumps({**FORGED, "event": 2}),
    json.dumps({**FORGED, "event": True}),
    json.dumps({**FORGED, "event": 3, "version": 7}),
    json.dumps({**FORGED, "event": 3, "reason": float("nan")}),
    json.dumps({**FORGED, "event": 3, "reason": "\ud800"}),
    json.dumps({**FORGED, "event": 3, "time": "yesterday"}),
    json.dumps({**FORGED, "event": 3, "time": "2026-01-01T00:00:00"}),
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_an_entry_that_is_no_event_takes_its_number_and_says_nothing(junk):
    entries = {**stored(ledger_of(2)), event_key(3): junk}
    ledger = read_chain(MODEL, entries)
    assert (len(ledger.events), ledger.voids, ledger.next_number) == (2, (3,), 4)
    assert (breaks(entries), void_numbers(entries)) == ([], (3,))
    after = stored(ledger_of(3, ledger)) | {event_key(3): junk}
    assert read_chain(MODEL, after).production == "3"


def test_an_entry_far_ahead_of_the_last_event_stops_nobody():
    entries = {**stored(ledger_of(2)), "event.9999999": "junk", "event.x": "no number", "other": "1"}
    ledger = read_chain(MODEL, entries)
    assert (ledger.voids, ledger.next_number) == ((9_999_999,), 3)


def test_events_that_are_missing_are_named_together_and_end_the_sound_part():
    entries = stored(ledger_of(9))
    for number in (3, 5, 6, 7):
        del entries[event_key(number)]
    said = breaks(entries)
    assert said[:2] == ["the ledger lacks event 3", "the ledger lacks events 5 to 7"]
    assert len(said) == 4
    assert [event.number for event in sound_part(MODEL, entries).events] == [1, 2]
    with pytest.raises(LedgerBrokenError, match=f"lacks event 3; run `ifp audit {MODEL}`"):
        read_chain(MODEL, entries)


def test_an_event_that_was_changed_is_told_by_the_next_one():
    ledger = ledger_of(5)
    entries = stored(ledger) | {event_key(3): event_text(replace(ledger.events[2], version="66"))}
    [said] = breaks(entries)
    assert said.startswith("ledger event 4 does not follow from event 3 (expected sha256:")
    assert [event.number for event in sound_part(MODEL, entries).events] == [1, 2, 3]


def test_a_chain_that_holds_is_sound_as_a_whole():
    entries = stored(ledger_of(4))
    assert sound_part(MODEL, entries) == read_chain(MODEL, entries)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"time": "t"}, "time is 't', expected ISO 8601"),
        ({"version": 3}, "version is 3, expected str"),
        ({"actor": None}, "actor is None, expected str"),
        ({"promotes": "yes"}, "promotes is 'yes', expected bool"),
        ({"override": "\udcff"}, "override is .* no valid Unicode"),
    ],
)
def test_an_event_that_nobody_could_read_again_is_not_made(wrong, told):
    fields = {"number": 1, "time": "2026-01-01T00:00:00Z", "actor": "a", "action": "judge", "version": "1"}
    with pytest.raises(RegistryError, match=told):
        Event(**{**fields, "reason": "r", "nonce": "n", **wrong})


@pytest.mark.parametrize(
    ("time", "production"),
    [("2025-12-31", None), ("2026-01-01", "1"), ("2026-01-02T23:59", "2"), ("2030-01-01", "4")],
)
def test_the_ledger_tells_what_stood_where_at_a_time(time, production):
    assert ledger_of(4).at(datetime.fromisoformat(time).replace(tzinfo=UTC)).production == production


def test_an_event_with_an_early_clock_was_not_there_before_the_one_that_it_follows():
    early = replace(ledger_of(3).events[2], time="2020-01-01T00:00:00Z")
    ledger = Ledger(MODEL, (*ledger_of(2).events, early))
    assert ledger.at(datetime(2026, 1, 1, 12, tzinfo=UTC)).production == "1"


def test_a_standing_is_a_stage_or_archived():
    assert ledger_of(3).standings == {"1": "archived", "2": "archived", "3": "production"}
    assert ledger_of(3).stage_of("9") is None
