"""The promotion ledger on every registry: one compare-and-set, a chain, aliases that follow it."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from airflow_provider_ifp.adapters.registry.ledger import append, project, read_ledger, record, resolve
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.errors import LedgerConflictError, RegistryError, VersionNotFoundError
from airflow_provider_ifp.core.registry.lifecycle import REASON_LIMIT, Event, Ledger
from airflow_provider_ifp.core.registry.moves import (
    Attempt,
    Promotion,
    chain,
    plan_judgement,
    plan_promotion,
    plan_rollback,
)

WRITERS = 8


@pytest.fixture
def client(registry):
    """Another process's view of the same registry: none of what this one remembers."""
    return lambda: registry if registry.uri == "memory:" else MlflowRegistry(registry._address)


def attempt(nonce, *, by="person", reason="because"):
    return Attempt(actor="anna", time="2026-01-02T03:04:05+00:00", nonce=nonce, by=by, reason=reason)


def event(number, *, nonce="n", reason="because", previous=None):
    return Event(
        number=number,
        time="2026-01-02T03:04:05+00:00",
        actor="anna",
        action="promote",
        version="1",
        target="staging",
        reason=reason,
        nonce=nonce,
        previous=previous,
    )


def move(registry, model, version, target, nonce=None):
    return record(
        registry,
        model,
        lambda ledger: plan_promotion(
            ledger, attempt(nonce or f"{version} to {target}"), Promotion(version=version, target=target)
        ),
    )


def warnings_of_ours(caplog):
    return [
        entry.getMessage()
        for entry in caplog.records
        if entry.name == "airflow_provider_ifp.adapters.registry.ledger"
    ]


def race(jobs):
    """Run all at the same moment; their results, an exception in the place of one that raised."""
    barrier = Barrier(len(jobs))

    def run(job):
        barrier.wait()
        try:
            return job()
        except Exception as error:  # noqa: BLE001 - the test looks at each
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_events_come_back_as_they_were_written_and_in_order(registry, model, client):
    ledger = Ledger(model)
    for number in range(1, 13):
        ledger = Ledger(model, (*ledger.events, chain(ledger, event(0, nonce=f"n{number}"))))
        append(registry, model, ledger.events[-1])
    assert read_ledger(registry, model).events == ledger.events
    assert read_ledger(client(), model).events == ledger.events


def test_the_same_event_again_is_no_error_and_another_of_its_number_is_refused(registry, model):
    first = event(1, nonce="mine")
    append(registry, model, first)
    append(registry, model, first)
    with pytest.raises(
        LedgerConflictError, match=f"{model}: another writer took promotion entry event.0000001"
    ):
        append(registry, model, event(1, nonce="theirs"))
    assert read_ledger(registry, model).events == (first,)


@pytest.mark.parametrize(
    "reason",
    [
        "Grüße, 株価 ↑ 3 %, 🚀 'quoted' \"twice\" \\ and\ttabs\nand lines",
        "ü" * REASON_LIMIT,
        "🚀" * REASON_LIMIT,
        '"\n' * (REASON_LIMIT // 2),
        "",
    ],
    ids=["unicode", "long", "long and wide", "long and escaped", "empty"],
)
def test_a_reason_comes_back_as_it_was_written(registry, model, client, reason):
    written = event(1, reason=reason)
    append(registry, model, written)
    append(registry, model, written)
    assert read_ledger(client(), model).events == (written,)


def test_a_reason_that_is_too_long_is_cut_and_says_so(registry, model, add_version):
    add_version(registry, model)
    long = attempt("n", reason="x" * 9_000)
    change = Promotion(version="1", target="staging")
    made = record(registry, model, lambda ledger: plan_promotion(ledger, long, change))
    assert len(made.reason) == REASON_LIMIT
    assert made.reason.endswith("x…")
    assert read_ledger(registry, model).events == (made,)


def test_a_changed_or_missing_event_is_noticed(registry, model):
    append(registry, model, event(1, nonce="a"))
    append(registry, model, event(2, nonce="b", previous="sha256:of another event"))
    with pytest.raises(RegistryError, match=f"{model}: ledger event 2 does not follow from event 1"):
        read_ledger(registry, model)


def test_a_gap_is_noticed(registry, model):
    append(registry, model, event(2))
    with pytest.raises(RegistryError, match=f"{model}: the ledger lacks event 1"):
        read_ledger(registry, model)


def test_of_many_who_begin_a_ledger_one_wins_and_there_is_one_ledger(registry, model, client):
    events = [event(1, nonce=f"writer {number}") for number in range(WRITERS)]
    clients = [client() for _ in events]
    outcomes = race(
        [
            lambda one=one, written=written: append(one, model, written)
            for one, written in zip(clients, events, strict=True)
        ]
    )
    won = [written for written, outcome in zip(events, outcomes, strict=True) if outcome is None]
    assert len(won) == 1, outcomes
    assert sum(isinstance(outcome, LedgerConflictError) for outcome in outcomes) == WRITERS - 1, outcomes
    assert all(read_ledger(one, model).events == tuple(won) for one in [*clients, client()])


def test_of_many_who_promote_at_once_no_event_is_lost_or_doubled(registry, model, client, add_version):
    versions = [add_version(registry, model, content=f"weights {number}").version for number in range(5)]
    outcomes = race([lambda v=version: move(client(), model, v, "staging") for version in versions])
    ledger = read_ledger(client(), model)
    assert sorted(entry.version for entry in ledger.events) == sorted(versions), outcomes
    assert sorted(outcomes, key=lambda entry: entry.number) == list(ledger.events)
    assert [entry.replaced for entry in ledger.events] == [
        None,
        *(entry.version for entry in ledger.events[:-1]),
    ]
    assert client().aliases(model) == ledger.stages


def test_a_retry_finds_its_own_event(registry, model, client, add_version):
    add_version(registry, model)
    made = move(registry, model, "1", "production", "one task")
    assert move(client(), model, "1", "production", "one task") == made
    outcomes = race([lambda: move(client(), model, "1", "production", "one task")] * 3)
    assert outcomes == [made] * 3
    assert read_ledger(registry, model).events == (made,)


def test_aliases_follow_a_version_through_its_stages_and_back(registry, model, add_version):
    for number in range(2):
        add_version(registry, model, content=f"weights {number}")
    seen = []
    for version, target in [("1", "staging"), ("1", "production"), ("2", "shadow"), ("2", "production")]:
        move(registry, model, version, target)
        seen.append(registry.aliases(model))
    record(registry, model, lambda ledger: plan_rollback(ledger, attempt("back")))
    assert seen == [
        {"staging": "1"},
        {"production": "1"},
        {"production": "1", "shadow": "2"},
        {"production": "2"},
    ]
    assert registry.aliases(model) == {"production": "1"}


def test_a_judgement_moves_nothing(registry, model, add_version):
    add_version(registry, model)
    record(
        registry,
        model,
        lambda ledger: plan_judgement(
            ledger, attempt("gate"), version="1", verdict="fail", promotes=False, verdict_digest="sha256:v"
        ),
    )
    assert read_ledger(registry, model).judgement("1").verdict == "fail"
    assert registry.aliases(model) == {}


def test_aliases_that_a_crash_left_behind_are_mended_without_a_warning(registry, model, add_version, caplog):
    for number in range(2):
        add_version(registry, model, content=f"weights {number}")
    move(registry, model, "1", "production")
    ledger = read_ledger(registry, model)
    append(
        registry,
        model,
        plan_promotion(ledger, attempt("then killed"), Promotion(version="2", target="production")),
    )
    assert registry.aliases(model) == {"production": "1"}
    with caplog.at_level(logging.WARNING):
        assert project(registry, model).production == "2"
    assert registry.aliases(model) == {"production": "2"}
    assert warnings_of_ours(caplog) == []


def test_an_alias_that_was_moved_by_hand_is_put_back_and_named(registry, model, add_version, caplog):
    for number in range(3):
        add_version(registry, model, content=f"weights {number}")
    move(registry, model, "1", "production")
    move(registry, model, "2", "staging")
    registry.project(model, {"production": "3", "shadow": "3"})
    with caplog.at_level(logging.WARNING):
        project(registry, model)
    assert registry.aliases(model) == {"production": "1", "staging": "2"}
    assert warnings_of_ours(caplog) == [
        f"{model}: alias staging was at nothing, not 2: moved by hand, or left by a killed writer; put back",
        f"{model}: alias shadow was at 3, not nothing: moved by hand, or left by a killed writer; put back",
        f"{model}: alias production was at 3, not 1: moved by hand, or left by a killed writer; put back",
    ]


def test_a_version_is_found_by_number_or_by_stage_and_an_empty_stage_says_what_there_is(
    registry, model, add_version
):
    version = add_version(registry, model)
    move(registry, model, "1", "production")
    assert resolve(registry, model, "1") == resolve(registry, model, "@production") == version
    with pytest.raises(VersionNotFoundError, match=rf"{model}.*@staging.*@production is version 1"):
        resolve(registry, model, "@staging")
    with pytest.raises(VersionNotFoundError, match="@prodution"):
        resolve(registry, model, "@prodution")


def test_a_version_of_an_older_event_cannot_be_slipped_in(registry, model):
    first = event(1, nonce="a")
    append(registry, model, first)
    with pytest.raises(LedgerConflictError):
        append(registry, model, replace(first, version="2"))
    assert read_ledger(registry, model).events == (first,)
