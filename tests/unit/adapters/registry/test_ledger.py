"""The ledger on a registry: one writer wins each number, and the aliases follow."""

import logging
from threading import Barrier, Thread

import pytest

from airflow_provider_ifp.adapters.registry.ledger import (
    _TRIES,
    append,
    project,
    read_ledger,
    record,
    resolve,
)
from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.adapters.registry.protocol import StoredModel
from airflow_provider_ifp.core.errors import LedgerConflictError, PromotionRefusedError, VersionNotFoundError
from airflow_provider_ifp.core.registry.moves import Attempt, Promotion, plan_judgement, plan_promotion

MODEL = "flight-time"


@pytest.fixture
def registry():
    made = MemoryRegistry()
    for number in range(1, 4):
        stored = StoredModel(f"m{number}", "nowhere")
        made.create_version(MODEL, run_id="run", stored=stored, tags={}, nonce=f"v{number}")
    yield made
    made.close()


def attempt(nonce):
    return Attempt(actor="ada", time="2013-06-01T00:00:00Z", nonce=nonce, by="person", reason="by hand")


def to(version, target="production", nonce=None):
    """The plan that a person's promotion is."""
    change = Promotion(version=version, target=target)
    return lambda ledger: plan_promotion(ledger, attempt(nonce or f"{version} to {target}"), change)


def judgement(nonce):
    return lambda ledger: plan_judgement(
        ledger, attempt(nonce), version="1", verdict="pass", promotes=True, verdict_digest="sha256:v"
    )


def crashed(registry, plan):
    """Write the event and die before the aliases are set."""
    event = plan(read_ledger(registry, MODEL))
    append(registry, MODEL, event)
    return event


def test_what_is_recorded_stands_in_the_ledger_and_in_the_aliases(registry):
    event = record(registry, MODEL, to("1"))
    assert read_ledger(registry, MODEL).events == (event,)
    assert registry.aliases(MODEL) == {"production": "1"}


def test_a_refusal_writes_nothing(registry):
    record(registry, MODEL, to("1"))
    with pytest.raises(PromotionRefusedError):
        record(registry, MODEL, to("1", nonce="again"))
    assert len(read_ledger(registry, MODEL).events) == 1


def test_a_repeated_attempt_returns_its_event_and_writes_none(registry):
    made = record(registry, MODEL, to("1"))
    record(registry, MODEL, to("2"))
    assert record(registry, MODEL, to("1")) == made
    assert len(read_ledger(registry, MODEL).events) == 2
    assert registry.aliases(MODEL) == {"production": "2"}


def test_whoever_comes_second_decides_again_on_the_newer_ledger(registry):
    seen = []

    def plan(ledger):
        seen.append(len(ledger.events))
        if len(seen) == 1:
            record(registry, MODEL, to("1"))
        return to("2")(ledger)

    event = record(registry, MODEL, plan)
    assert seen == [0, 1]
    assert (event.number, event.replaced) == (2, "1")
    assert [entry.version for entry in read_ledger(registry, MODEL).events] == ["1", "2"]


def test_a_decision_that_the_newer_ledger_forbids_is_refused(registry):
    overtaken = []

    def plan(ledger):
        if not overtaken:
            overtaken.append(record(registry, MODEL, to("1")))
        change = Promotion(version="2", target="production", expected=None)
        return plan_promotion(ledger, attempt("mine"), change)

    with pytest.raises(PromotionRefusedError, match="there is now production version 1"):
        record(registry, MODEL, plan)
    assert len(read_ledger(registry, MODEL).events) == 1


def test_whoever_is_overtaken_too_often_gives_up_and_says_so(registry):
    others = iter(range(1_000))

    def plan(ledger):
        record(registry, MODEL, judgement(f"other {next(others)}"))
        return judgement("mine")(ledger)

    with pytest.raises(LedgerConflictError, match=f"flight-time: {_TRIES} other writers came first"):
        record(registry, MODEL, plan)
    assert "mine" not in {event.nonce for event in read_ledger(registry, MODEL).events}


class Watched(MemoryRegistry):
    """Counts how often the ledger is read, and lets another writer act before the aliases are looked at."""

    reads = 0
    meanwhile = None

    def entries(self, model, journal):
        self.reads += 1
        return super().entries(model, journal)

    def aliases(self, model):
        act, self.meanwhile = self.meanwhile, None
        if act:
            act()
        return super().aliases(model)


@pytest.fixture
def watched():
    made = Watched()
    yield made
    made.close()


def test_a_ledger_just_read_is_read_no_second_time_by_who_writes_and_sets_the_aliases(watched):
    record(watched, MODEL, to("1"))
    ledger, watched.reads = read_ledger(watched, MODEL), 0
    record(watched, MODEL, to("2"), ledger=ledger)
    assert watched.reads == 0
    assert watched.aliases(MODEL) == {"production": "2"}


def test_who_decided_on_a_ledger_that_has_grown_since_decides_again(registry):
    old = read_ledger(registry, MODEL)
    record(registry, MODEL, to("1"))
    event = record(registry, MODEL, to("2"), ledger=old)
    assert (event.number, event.replaced) == (2, "1")
    assert registry.aliases(MODEL) == {"production": "2"}


@pytest.mark.parametrize("theirs", [to("3"), to("2", "shadow"), judgement("theirs")])
def test_another_writer_who_goes_on_before_our_aliases_are_set_is_no_alarm_and_keeps_the_last_word(
    watched, caplog, theirs
):
    record(watched, MODEL, to("1"))

    def meanwhile():
        record(watched, MODEL, theirs)
        caplog.clear()  # two moves before their eyes is more than one crash explains: they may warn

    watched.meanwhile = meanwhile
    with caplog.at_level(logging.WARNING):
        record(watched, MODEL, to("2", "staging"))
    assert watched.aliases(MODEL) == read_ledger(watched, MODEL).stages
    assert not caplog.records


def test_another_writers_move_back_to_what_stood_before_ours_keeps_the_last_word(watched, caplog):
    record(watched, MODEL, to("1"))
    watched.meanwhile = lambda: record(watched, MODEL, to("1", nonce="back again"))
    with caplog.at_level(logging.WARNING):
        record(watched, MODEL, to("2"))
    assert watched.aliases(MODEL) == {"production": "1"}
    assert not caplog.records


def test_of_eight_writers_at_once_each_gets_a_number_of_its_own(registry):
    start, made = Barrier(8), []

    def write(name):
        start.wait()
        made.append(record(registry, MODEL, judgement(name)))

    threads = [Thread(target=write, args=(f"writer {place}",)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(event.number for event in made) == list(range(1, 9))
    assert {event.nonce for event in read_ledger(registry, MODEL).events} == {
        f"writer {place}" for place in range(8)
    }


def test_stale_aliases_of_a_crash_are_repaired_at_the_next_look_without_an_alarm(registry, caplog):
    record(registry, MODEL, to("1"))
    record(registry, MODEL, to("2", "staging"))
    crashed(registry, to("2"))
    assert registry.aliases(MODEL) == {"production": "1", "staging": "2"}
    with caplog.at_level(logging.WARNING):
        project(registry, MODEL)
    assert registry.aliases(MODEL) == {"production": "2"}
    assert not caplog.records


def test_a_crash_between_two_aliases_is_no_alarm_either_nor_is_one_before_a_judgement(registry, caplog):
    record(registry, MODEL, to("1"))
    record(registry, MODEL, to("2", "staging"))
    crashed(registry, to("2"))
    crashed(registry, judgement("another task's"))
    registry.project(MODEL, {"production": "2", "staging": "2"})
    with caplog.at_level(logging.WARNING):
        project(registry, MODEL)
    assert registry.aliases(MODEL) == {"production": "2"}
    assert not caplog.records


def test_a_rollback_by_hand_is_an_alarm_though_the_version_stood_there_before(registry, caplog):
    record(registry, MODEL, to("1"))
    record(registry, MODEL, to("2", "staging"))
    record(registry, MODEL, to("2"))
    registry.project(MODEL, {"production": "1"})
    with caplog.at_level(logging.WARNING):
        project(registry, MODEL)
    assert registry.aliases(MODEL) == {"production": "2"}
    assert "alias production was at 1," in caplog.messages[0]


def test_a_retry_after_a_crash_finds_its_event_and_repairs_the_aliases(registry):
    made = crashed(registry, to("1"))
    assert registry.aliases(MODEL) == {}
    assert record(registry, MODEL, to("1")) == made
    assert registry.aliases(MODEL) == {"production": "1"}


@pytest.mark.parametrize(("moved", "told"), [({"production": "3"}, "3"), ({}, "nothing")])
def test_an_alias_moved_by_hand_is_named_in_the_log_and_put_back(registry, caplog, moved, told):
    record(registry, MODEL, to("1"))
    record(registry, MODEL, to("2"))
    registry.project(MODEL, moved)
    with caplog.at_level(logging.WARNING):
        project(registry, MODEL)
    assert registry.aliases(MODEL) == {"production": "2"}
    [told_by] = caplog.messages
    expected = (
        f"flight-time: alias production was at {told}, not 2: moved by hand, or left by a killed writer; "
        "put back"
    )
    assert told_by == expected


def test_a_model_without_a_ledger_keeps_the_aliases_that_others_gave_it(registry):
    registry.project(MODEL, {"production": "3"})
    assert project(registry, MODEL).events == ()
    assert registry.aliases(MODEL) == {"production": "3"}


def test_a_version_is_found_by_its_number_and_by_its_stage(registry):
    record(registry, MODEL, to("1"))
    record(registry, MODEL, to("2", "staging"))
    found = {name: resolve(registry, MODEL, name).version for name in ("3", "@production", "@staging")}
    assert found == {"3": "3", "@production": "1", "@staging": "2"}


def test_the_ledger_says_what_stands_at_a_stage_not_an_alias_moved_by_hand(registry):
    record(registry, MODEL, to("1"))
    registry.project(MODEL, {"production": "3"})
    assert resolve(registry, MODEL, "@production").version == "1"


@pytest.mark.parametrize(
    ("moves", "asked", "told"),
    [
        ([], "@production", "all are empty"),
        ([to("1"), to("2", "staging")], "@shadow", "@staging is version 2, @production is version 1"),
        ([to("1")], "@live", "stages: @staging, @shadow, @production; @production is version 1"),
        ([], "9", "its versions: 1, 2, 3"),
    ],
)
def test_a_version_that_is_not_there_is_told_with_those_that_are(registry, moves, asked, told):
    for plan in moves:
        record(registry, MODEL, plan)
    with pytest.raises(VersionNotFoundError) as caught:
        resolve(registry, MODEL, asked)
    assert told in str(caught.value)
    assert "memory:" in str(caught.value)
