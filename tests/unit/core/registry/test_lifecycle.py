"""The stage machine by example: who may move what, and how a refusal reads."""

import json
from dataclasses import replace

import pytest

from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import PromotionRefusedError, RegistryError
from airflow_provider_ifp.core.registry.chain import verify_chain
from airflow_provider_ifp.core.registry.lifecycle import REASON_LIMIT, Event, Ledger
from airflow_provider_ifp.core.registry.moves import (
    Attempt,
    Promotion,
    plan_judgement,
    plan_promotion,
    plan_rollback,
)

MODEL = "flight-time"
EMPTY = Ledger(MODEL)


def attempt(nonce, by="loop", reason=""):
    return Attempt(
        actor="airflow:a-dag/a-run", time="2013-06-01T00:00:00Z", nonce=nonce, by=by, reason=reason
    )


def extended(ledger, event):
    return Ledger(ledger.model, (*ledger.events, event))


def judged(ledger, version, verdict="pass", *, promotes=None):
    event = plan_judgement(
        ledger,
        attempt(f"judge-{ledger.next_number}", reason=f"rmse of version {version}"),
        version=version,
        verdict=verdict,
        promotes=verdict == "pass" if promotes is None else promotes,
        verdict_digest=f"sha256:{ledger.next_number}",
    )
    return extended(ledger, event)


def promoted(ledger, version, target="production", by="loop", reason="", **change):
    who = attempt(f"promote-{ledger.next_number}", by, reason)
    return extended(ledger, plan_promotion(ledger, who, Promotion(version=version, target=target, **change)))


def rolled_back(ledger, to_version=None):
    return extended(ledger, plan_rollback(ledger, attempt(f"back-{ledger.next_number}"), to_version))


def in_production(*versions):
    ledger = EMPTY
    for version in versions:
        ledger = promoted(judged(ledger, version), version, expected=ledger.production)
    return ledger


def refusal(move, *arguments, **keywords):
    with pytest.raises(PromotionRefusedError) as caught:
        move(*arguments, **keywords)
    return str(caught.value)


def test_a_candidate_climbs_through_the_stages_and_leaves_each_behind():
    ledger = judged(in_production("1"), "2")
    stands = []
    for target in ("staging", "shadow", "production"):
        ledger = promoted(ledger, "2", target, expected="1")
        stands.append(ledger.stages)
    assert stands == [
        {"production": "1", "staging": "2"},
        {"production": "1", "shadow": "2"},
        {"production": "2"},
    ]
    assert [ledger.stage_of(version) for version in ("1", "2", "3")] == ["archived", "production", None]
    last = ledger.events[-1]
    assert (last.source, last.target, last.replaced) == ("shadow", "production", "1")
    assert last.verdict_digest == "sha256:3"


def test_a_new_version_in_staging_takes_the_place_of_the_one_that_waited_there():
    ledger = promoted(judged(promoted(judged(EMPTY, "1"), "1", "staging"), "2"), "2", "staging")
    assert ledger.stages == {"staging": "2"}
    assert ledger.stage_of("1") is None
    assert ledger.events[-1].replaced == "1"


def test_promotion_refuses_a_candidate_judged_against_an_old_production():
    ledger = judged(in_production("1", "2"), "3")
    said = refusal(promoted, ledger, "3", expected="1")
    assert "judged against production version 1, but there is now production version 2" in said
    assert "judge it again" in said
    assert "no production version, but" in refusal(promoted, ledger, "3", expected=None)


def test_the_loop_promotes_neither_what_was_never_judged_nor_what_failed_nor_what_was_rolled_back():
    ledger = in_production("1")
    assert "never judged" in refusal(promoted, ledger, "2", expected="1")
    failed = judged(ledger, "2", "fail")
    assert refusal(promoted, failed, "2", expected="1").endswith("its gate said fail (rmse of version 2)")
    back = rolled_back(in_production("1", "2"))
    assert "it was rolled back" in refusal(promoted, judged(back, "2"), "2", expected="1")


def test_the_latest_judgement_counts():
    ledger = judged(judged(EMPTY, "1"), "1", "fail")
    assert "gate said fail" in refusal(promoted, ledger, "1")
    assert promoted(judged(ledger, "1"), "1").production == "1"


def test_a_failure_that_is_not_enforced_promotes():
    assert promoted(judged(EMPTY, "1", "fail", promotes=True), "1").production == "1"


def test_a_person_needs_a_reason_and_for_a_failed_gate_a_name():
    ledger = judged(in_production("1"), "2", "fail")
    assert "needs a reason" in refusal(promoted, ledger, "2", by="person", reason="  ")
    assert "--override NAME" in refusal(promoted, ledger, "2", by="person", reason="urgent")
    moved = promoted(ledger, "2", by="person", reason="urgent", override="ada")
    assert (moved.production, moved.events[-1].override, moved.events[-1].by) == ("2", "ada", "person")
    assert promoted(ledger, "7", by="person", reason="made elsewhere").production == "7"


def test_a_person_may_promote_again_what_was_rolled_back_and_it_is_good_again():
    ledger = promoted(rolled_back(in_production("1", "2")), "2", by="person", reason="it was the network")
    assert (ledger.production, ledger.rolled_back) == ("2", frozenset())


def test_a_version_is_not_promoted_to_where_it_stands():
    assert refusal(promoted, in_production("1"), "1").endswith("it stands there already")


def test_the_loop_never_takes_production_down_a_stage_and_so_leaves_it_empty():
    ledger = judged(in_production("1"), "1")
    assert "production, which would be left empty" in refusal(promoted, ledger, "1", "staging", expected="1")
    assert promoted(ledger, "1", "staging", by="person", reason="nothing is to answer").production is None


def test_a_rollback_goes_to_the_last_good_version_never_to_one_rolled_back():
    ledger = rolled_back(in_production("1", "2", "3"))
    assert (ledger.production, ledger.rolled_back, ledger.last_good()) == ("2", {"3"}, "1")
    ledger = rolled_back(ledger)
    assert (ledger.production, ledger.rolled_back, ledger.last_good()) == ("1", {"2", "3"}, None)
    said = refusal(rolled_back, ledger)
    assert "version 1 has no good production version before it; name one with to_version" in said


def test_a_rollback_may_name_its_version_which_must_have_been_in_production():
    ledger = judged(in_production("1", "2", "10"), "11")
    assert rolled_back(ledger, "1").production == "1"
    assert "earlier production versions: 1, 2;" in refusal(rolled_back, ledger, "11")
    assert "in production already" in refusal(rolled_back, ledger, "10")
    assert "nothing to roll back" in refusal(rolled_back, EMPTY)


def test_what_passed_its_gates_waits_until_it_is_moved_or_rejected():
    staged = promoted(judged(in_production("1"), "2"), "2", "staging", expected="1")
    assert staged.waiting() == ("2", "staging")
    shadowed = promoted(staged, "2", "shadow", expected="1")
    assert shadowed.waiting() == ("2", "shadow")
    assert judged(shadowed, "2", "fail").waiting() is None
    assert promoted(shadowed, "2", expected="1").waiting() is None
    assert promoted(EMPTY, "1", "staging", by="person", reason="by hand").waiting() is None


def test_a_retry_finds_its_own_event_even_where_a_new_attempt_would_be_refused():
    ledger = in_production("1", "2")
    made = ledger.events[1]
    again = plan_promotion(
        ledger, attempt(made.nonce), Promotion(version="1", target="production", expected=None)
    )
    assert again is made


def test_a_reason_is_cut_where_the_registry_would_cut_it_silently():
    long = attempt("n", by="person", reason="x" * 3 * REASON_LIMIT)
    event = plan_promotion(EMPTY, long, Promotion(version="1", target="staging"))
    assert len(event.reason) == REASON_LIMIT
    assert event.reason.endswith("x…")


def test_an_event_is_stored_under_the_contracts_names_and_read_back():
    event = in_production("1").events[-1]
    record = event.to_json()
    assert {"event", "time", "actor", "action", "version", "from", "to", "replaced", "reason"} <= set(record)
    assert Event.from_json(record) == event
    with pytest.raises(RegistryError, match=r"not of this form: .*'colour'"):
        Event.from_json({**record, "colour": "red"})
    with pytest.raises(RegistryError, match=r"not of this form: .*'nonce'"):
        Event.from_json({key: value for key, value in record.items() if key != "nonce"})


def test_an_events_digest_is_that_of_its_stored_form():
    for made in judged(in_production("1"), "2", "fail").events:
        event = replace(made, reason="Zürich, 株価 ↑, 'quoted' \\ and\nlines")
        assert event.digest == digest_json(event.to_json())
        assert json.loads(event.text) == event.to_json()


def test_a_ledger_that_was_changed_or_has_a_gap_is_no_ledger():
    events = in_production("1", "2").events
    changed = (events[0], replace(events[1], version="9"), *events[2:])
    with pytest.raises(RegistryError, match="event 3 does not follow from event 2"):
        verify_chain(MODEL, changed)
    with pytest.raises(RegistryError, match="lacks event 2"):
        verify_chain(MODEL, events[:1] + events[2:])
    assert verify_chain(MODEL, reversed(events)) == events
