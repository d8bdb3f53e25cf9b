"""Promotion and rollback: one event each, the XCom of the contract, and what is refused changes nothing."""

import json
from pathlib import Path

import pytest

from airflow_provider_ifp.core.errors import DigestMismatchError, PromotionRefusedError, VersionNotFoundError
from airflow_provider_ifp.loop.registry.move import promote, require_promotable, roll_back


@pytest.fixture
def versions(loop):
    """Four versions, of which nobody has judged any."""
    return [loop.register(lambda frame, slope=slope: frame["x"] * slope) for slope in range(4)]


def move(loop, version, target, **more):
    return promote(loop.registry, "demand", version, target, **{"attempt": loop.attempt(), **more})


def back(loop, **more):
    return roll_back(loop.registry, "demand", **{"attempt": loop.attempt(by="person"), **more})


def refuse(loop, job, match):
    """The job is refused, and neither ledger nor aliases change."""
    before = loop.ledger.events, loop.registry.aliases("demand")
    with pytest.raises(PromotionRefusedError, match=match):
        job()
    assert (loop.ledger.events, loop.registry.aliases("demand")) == before


def test_a_version_goes_through_staging_to_production_and_the_xcom_says_so(loop, versions):
    loop.judge("1")
    staged = move(loop, "1", "staging", expected=None)
    assert staged == {"model": "demand", "version": "1", "stage": "staging", "replaced": None, "event": 2}
    assert loop.registry.aliases("demand") == {"staging": "1"}
    promoted = move(loop, "1", "production", expected=None)
    assert promoted == {
        "model": "demand",
        "version": "1",
        "stage": "production",
        "replaced": None,
        "event": 3,
    }
    assert loop.registry.aliases("demand") == {"production": "1"}
    loop.judge("2")
    replacing = move(loop, "2", "production", expected="1")
    assert (replacing["replaced"], replacing["event"]) == ("1", 5)
    assert json.loads(json.dumps(replacing)) == replacing
    assert [loop.ledger.stage_of(version) for version in versions[:3]] == ["archived", "production", None]


def test_an_event_holds_who_moved_what_by_which_verdict_and_which_files(loop, versions):
    loop.judge("1")
    move(loop, "1", "production", expected=None)
    event = loop.ledger.events[-1]
    assert (event.actor, event.by, event.action, event.source) == ("a loop", "loop", "promote", None)
    assert event.verdict_digest == "sha256:v"
    assert event.files_digest == loop.registry.version("demand", "1").files_digest


def test_a_verdict_made_against_another_production_promotes_nothing(loop, versions):
    loop.put("1")
    loop.judge("2")
    loop.judge("3")
    move(loop, "3", "production", expected="1")
    refuse(
        loop,
        lambda: move(loop, "2", "production", expected="1"),
        "it was judged against production version 1, but there is now production version 3; judge it again",
    )
    refuse(
        loop,
        lambda: move(loop, "2", "staging", expected=None),
        "it was judged against no production version, but there is now production version 3",
    )


def test_a_retry_returns_the_event_that_the_first_try_made_though_production_has_changed_since(
    loop, versions
):
    loop.judge("1")
    task = loop.attempt(nonce="the promote task of one run")
    first = move(loop, "1", "production", expected=None, attempt=task)
    loop.put("2")
    events = loop.ledger.events
    assert move(loop, "1", "production", expected=None, attempt=task) == first
    assert loop.ledger.events == events
    assert loop.registry.aliases("demand") == {"production": "2"}


def test_the_loop_promotes_nothing_that_was_never_judged_or_failed(loop, versions):
    refuse(loop, lambda: move(loop, "1", "staging"), "version 1 to staging: it was never judged")
    loop.judge("1", promotes=False, reason="rmse 0.9 > 0.8 = maximum")
    refuse(loop, lambda: move(loop, "1", "staging"), r"its gate said fail \(rmse 0.9 > 0.8 = maximum\)")


def test_a_person_overrides_a_failed_gate_only_by_name(loop, versions):
    loop.judge("1", promotes=False)
    refuse(loop, lambda: loop.put("1"), "name who takes that on with --override NAME")
    move(loop, "1", "production", attempt=loop.attempt(by="person"), override="ada")
    assert (loop.ledger.production, loop.ledger.events[-1].override) == ("1", "ada")


def test_a_version_that_is_not_there_is_moved_nowhere(loop, versions):
    with pytest.raises(VersionNotFoundError, match="its versions: 1, 2, 3, 4"):
        loop.put("9")
    assert loop.ledger.events == ()


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ({"version": "2", "verdict": "pass", "enforced": True}, "the verdict is about version 2, not 1"),
        (
            {"version": "1", "verdict": "fail", "enforced": True, "reason": "f1 0.87 < 0.88 = minimum"},
            r"did not pass its gate: fail \(f1 0.87 < 0.88 = minimum\)",
        ),
        ({"version": "1", "verdict": "inconclusive", "enforced": True, "reason": "240 rows"}, "240 rows"),
        ({"version": "1", "verdict": "inconclusive"}, "did not pass its gate"),
        ({}, "not 1; hand over its own verdict"),
    ],
)
def test_a_verdict_that_does_not_pass_or_is_anothers_is_refused(verdict, told):
    with pytest.raises(PromotionRefusedError, match=told):
        require_promotable(verdict, "1")


def test_a_verdict_that_passed_or_is_not_enforced_lets_its_version_through():
    require_promotable({"version": "1", "verdict": "pass", "enforced": True}, "1")
    require_promotable({"version": "1", "verdict": "fail", "enforced": False}, "1")


def test_a_rollback_returns_to_the_last_good_production_and_skips_what_was_rolled_back(loop, versions):
    for version in ("1", "2", "3"):
        loop.put(version)
    assert back(loop) == {
        "model": "demand",
        "version": "2",
        "stage": "production",
        "replaced": "3",
        "event": 4,
    }
    loop.put("4")
    assert back(loop)["version"] == "2"
    assert back(loop)["version"] == "1"
    assert loop.registry.aliases("demand") == {"production": "1"}
    refuse(loop, lambda: back(loop), "version 1 has no good production version before it")


def test_a_rollback_goes_to_a_version_by_name_if_it_ever_was_in_production(loop, versions):
    for version in ("1", "2", "3"):
        loop.put(version)
    assert back(loop, to_version="1")["version"] == "1"
    refuse(loop, lambda: back(loop, to_version="1"), "version 1 is in production already")
    refuse(
        loop,
        lambda: back(loop, to_version="4"),
        "version 4 never was in production, .*; earlier production versions: 2, 3; to move",
    )


def test_with_nothing_in_production_there_is_nothing_to_roll_back(loop, versions):
    refuse(loop, lambda: back(loop), "demand: nothing is in production, so there is nothing to roll back")


def test_the_loop_does_not_promote_again_what_was_rolled_back_but_a_person_may(loop, versions):
    loop.put("1")
    loop.judge("2")
    move(loop, "2", "production", expected="1")
    back(loop)
    refuse(loop, lambda: move(loop, "2", "production", expected="1"), "it was rolled back; only a person")
    loop.put("2")
    assert loop.ledger.production == "2"


def test_a_rollback_to_files_that_were_changed_leaves_production_as_it_is(loop, versions):
    for version in ("1", "2"):
        loop.put(version)
    events = loop.ledger.events
    stored = Path(loop.registry.version("demand", "1").stored.uri)
    (stored / "data" / "model.pkl").write_bytes(b"changed")
    with pytest.raises(DigestMismatchError, match="demand version 1: the stored files are not those"):
        back(loop)
    assert loop.ledger.events == events
    assert loop.registry.aliases("demand") == {"production": "2"}


def test_a_rollback_that_is_tried_again_makes_one_event(loop, versions):
    for version in ("1", "2", "3"):
        loop.put(version)
    task = loop.attempt(by="person", nonce="the rollback task of one run")
    assert back(loop, attempt=task) == back(loop, attempt=task)
    assert len(loop.ledger.events) == 4


def meanwhile(loop, monkeypatch, job):
    """Let another writer come in while the files to move are verified."""
    download = loop.registry.download

    def slow(stored, folder):
        monkeypatch.undo()
        job()
        download(stored, folder)

    monkeypatch.setattr(loop.registry, "download", slow)


def test_a_rollback_chosen_for_one_production_is_not_made_of_another(loop, versions, monkeypatch):
    for version in ("1", "2"):
        loop.put(version)
    meanwhile(loop, monkeypatch, lambda: loop.put("3"))
    with pytest.raises(
        PromotionRefusedError,
        match="production version 2 was to be rolled back, but there is now production version 3; look again",
    ):
        back(loop)
    assert loop.registry.aliases("demand") == {"production": "3"}
    assert back(loop)["version"] == "2"


def test_a_rollback_to_a_named_version_is_made_whatever_answers_now(loop, versions, monkeypatch):
    for version in ("1", "2"):
        loop.put(version)
    meanwhile(loop, monkeypatch, lambda: loop.put("3"))
    assert back(loop, to_version="1")["replaced"] == "3"
