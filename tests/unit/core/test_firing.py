"""Whether to retrain: what is decided before any data is read, and what the drift check decides."""

import json

import pytest

from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.findings import DriftCheck
from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.firing import decide_by_drift, decide_without_data
from airflow_provider_ifp.core.policy.trigger import DriftCondition, TriggerGroup
from airflow_provider_ifp.core.profile.counting import count_categories
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import profile_categories
from airflow_provider_ifp.core.registry.lifecycle import Ledger
from airflow_provider_ifp.core.registry.moves import Attempt, Promotion, plan_judgement, plan_promotion

DAY = profile_categories("day", {"mon": 5_000, "sun": 5_000}, missing=0)
REFERENCE = Profile((DAY,), rows=10_000)


def ledger(**stages):
    """A ledger where a person put these versions there, the one in staging or shadow after it was judged."""
    events = Ledger("flight-time")
    for target, version in stages.items():
        who = Attempt(actor="ada", time="2013-06-01T00:00:00Z", nonce=target, by="person", reason="set up")
        events = Ledger(
            "flight-time",
            (*events.events, plan_promotion(events, who, Promotion(version=version, target=target))),
        )
    return events


def judged(events, version, verdict):
    event = plan_judgement(
        events,
        Attempt(actor="a", time="2013-06-01T00:00:00Z", nonce=f"judge {version} {verdict}"),
        version=version,
        verdict=verdict,
        promotes=verdict == "pass",
        verdict_digest="sha256:v",
    )
    return Ledger(events.model, (*events.events, event))


def decided(events, *, force=False, reason=""):
    return decide_without_data(events, force=force, reason=reason)


def checked(monday, sunday, **limits):
    counts = {"day": count_categories(DAY, {"mon": monday, "sun": sunday}, missing=0)}
    check = check_drift(REFERENCE, counts, Rule(**limits))
    return decide_by_drift(TriggerGroup(any=(DriftCondition(),)), {DriftCondition(): check})


def test_nothing_in_production_fires():
    firing = decided(ledger())
    assert (firing.fired, firing.decided, firing.reasons) == (True, True, ("no production version",))


def test_with_a_production_version_the_data_decides():
    assert decided(ledger(production="1")) is None


@pytest.mark.parametrize("stage", ["staging", "shadow"])
def test_a_version_that_waits_holds_back_the_next_firing(stage):
    events = judged(ledger(production="3", **{stage: "4"}), "4", "pass")
    firing = decided(events)
    assert (firing.fired, firing.decided, firing.reasons) == (False, True, (f"version 4 waits in {stage}",))


def test_a_version_that_waits_for_the_first_production_holds_back_too():
    firing = decided(judged(ledger(staging="1"), "1", "pass"))
    assert firing.reasons == ("version 1 waits in staging",)


def test_a_rejected_version_holds_nothing_back():
    events = judged(judged(ledger(production="3", staging="4"), "4", "pass"), "4", "fail")
    assert decided(events) is None


@pytest.mark.parametrize("reason", ["a new feature", ""])
def test_force_fires_whatever_waits_and_tells_why(reason):
    events = judged(ledger(production="3", staging="4"), "4", "pass")
    firing = decided(events, force=True, reason=reason)
    assert (firing.fired, firing.decided) == (True, True)
    assert firing.reasons == (f"forced by hand: {reason or 'no reason given'}",)


def test_drift_fires_and_the_record_names_the_feature_and_the_rows():
    firing = checked(7_000, 3_000)
    record = firing.to_json()
    assert (record["fired"], record["decided"]) == (True, True)
    assert record["reasons"][0].startswith("day drifted: PSI 0.169 > 0.10")
    assert record["rows"] == {"reference": 10_000, "current": 10_000}
    assert [(feature["name"], feature["verdict"]) for feature in record["features"]] == [("day", "drifted")]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_quiet_window_does_not_fire():
    firing = checked(5_010, 4_990)
    assert (firing.fired, firing.decided) == (False, True)


def test_an_undecided_check_never_fires_and_says_that_it_is_undecided():
    firing = checked(70, 3, min_rows=500)
    assert (firing.fired, firing.decided) == (False, False)
    assert firing.reasons == ("undecided: 73 rows in the window, 500 needed",)


def test_without_a_check_the_record_has_its_keys_all_the_same():
    assert decided(ledger()).to_json() == {
        "fired": True,
        "decided": True,
        "reasons": ["no production version"],
        "rows": None,
        "features": [],
    }


DRIFTS = [
    DriftCondition(metric="psi", threshold=0.1),
    DriftCondition(metric="js", threshold=0.1),
    DriftCondition(metric="psi", threshold=0.3, feature_group="calendar"),
]


def found(drifted, reason):
    return DriftCheck(drifted=drifted, reason=reason, rows={"reference": 9, "current": 9}, features=())


@pytest.mark.parametrize(
    ("first", "second", "third", "any_of", "all_of"),
    [
        (False, False, False, False, False),
        (True, False, False, True, False),
        (True, True, True, True, True),
        (None, False, False, None, False),
        (None, True, False, True, False),
        (None, True, True, True, None),
        (None, None, None, None, None),
    ],
)
def test_any_fires_on_one_and_all_on_every_one_and_what_is_undecided_fires_never(
    first, second, third, any_of, all_of
):
    checks = {
        one: found(value, one.metric) for one, value in zip(DRIFTS, (first, second, third), strict=True)
    }
    for holds, group in (
        (any_of, TriggerGroup(any=tuple(DRIFTS))),
        (all_of, TriggerGroup(all=tuple(DRIFTS))),
    ):
        firing = decide_by_drift(group, checks)
        assert (firing.fired, firing.decided) == (holds is True, holds is not None)


def test_groups_nest_and_each_reason_stands_once():
    one, other, third = DRIFTS
    nested = TriggerGroup(all=(one, TriggerGroup(any=(other, third))))
    checks = {one: found(True, "a"), other: found(False, "b"), third: found(True, "b")}
    firing = decide_by_drift(nested, checks)
    assert (firing.fired, firing.reasons) == (True, ("a", "b"))
    assert firing.check is checks[one]
    quiet_first = decide_by_drift(
        TriggerGroup(any=(other, third)), {other: checks[other], third: checks[third]}
    )
    assert quiet_first.check is checks[third]
