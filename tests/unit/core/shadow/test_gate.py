"""The shadow gate: what passes, what fails, what cannot be decided, and what no mode lets pass."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.core.shadow.worlds import make_world

from airflow_provider_ifp.core.gates.subject import Subject
from airflow_provider_ifp.core.policy.sections import ShadowSection
from airflow_provider_ifp.core.registry.verdict import Verdict
from airflow_provider_ifp.core.shadow.checks import Latency
from airflow_provider_ifp.core.shadow.gate import Shadowed, Side, judge_shadow

SUBJECT = Subject(
    model="demand",
    version="2",
    content_digest="sha256:c",
    compared_to="1",
    holdout_digest="sha256:h",
    policy_digest="sha256:p",
)
RULES = ShadowSection(mode="replay")


def evidence(world=None, **changes):
    world = world or make_world()
    sides = [
        Side(features, candidate, production)
        for features, candidate, production in zip(
            (world.log, world.holdout), world.candidate, world.production, strict=True
        )
    ]
    seen = Shadowed(
        *sides, asked=len(sides[0]), errors=0, duration=timedelta(days=2), fidelity=(1_000, 1_000)
    )
    return replace(seen, **changes)


def judged(seen, rules=RULES, mode="enforce"):
    verdict = judge_shadow(seen, rules, mode=mode, subject=SUBJECT, rng=np.random.default_rng(0))
    again = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert Verdict.from_json(again) == verdict
    return verdict


def checks(verdict):
    return {check.name: check for check in verdict.checks}


def wild(world):
    """A carrier that the holdout lacks, on which the candidate answers tenfold."""
    outside = world.without(lambda features: features["carrier"] == "c07")
    return outside.answering(lambda features: features["carrier"] == "c07", lambda answers: 10 * answers)


def text(side):
    return replace(side, candidate=side.candidate.astype(str))


def test_a_good_candidate_passes_and_the_verdict_shows_what_it_rests_on():
    verdict = judged(evidence())
    assert (verdict.verdict, verdict.gate, verdict.promotes) == ("pass", "shadow", True)
    found = checks(verdict)
    assert {
        "fidelity",
        "error_rate",
        "disagreement",
        "uncovered",
        "not_judged_by_labels",
        "beyond_holdout",
        "slice_alarm",
        "prediction_psi",
        "prediction_ks",
        "production_prediction_psi",
        "production_prediction_ks",
    } <= set(found)
    assert "of 1,000 requests differ; not vouched for by the holdout (3,000 rows) at most" in verdict.reason
    assert "shown only" not in verdict.reason


def test_a_candidate_that_answers_wildly_where_the_holdout_knows_nothing_fails_with_the_slice_named():
    verdict = judged(evidence(wild(make_world())))
    assert verdict.verdict == "fail"
    alarm = checks(verdict)["slice_alarm"]
    assert (alarm.slice, alarm.verdict) == ("carrier=c07", "fail")
    assert "carrier=c07: " in verdict.reason
    assert "none like them in the holdout" in verdict.reason
    assert checks(verdict)["disagreement"].value > 0.03


def test_in_dry_run_limits_stop_nothing_and_what_is_broken_still_does():
    waived = judged(evidence(wild(make_world())), mode="dry_run")
    assert (waived.verdict, waived.enforced, waived.promotes) == ("fail", False, True)
    seen = evidence()
    for broken in (replace(seen, log=text(seen.log)), replace(seen, holdout=text(seen.holdout))):
        verdict = judged(broken, mode="dry_run")
        assert (verdict.verdict, verdict.enforced, verdict.promotes) == ("fail", True, False)
        assert "the candidate answers with text of shape" in verdict.reason


def test_a_candidate_that_answers_nothing_fails_in_every_mode():
    none = Side({"x": np.empty(0)}, np.empty(0), np.empty(0))
    verdict = judged(replace(evidence(), log=none, errors=1_000), mode="dry_run")
    assert (verdict.verdict, verdict.enforced) == ("fail", True)
    assert verdict.reason == "none of 1,000 requests got an answer"


def test_with_no_production_yet_it_passes_and_says_why():
    verdict = judged(None)
    assert (verdict.verdict, verdict.promotes) == ("pass", True)
    assert verdict.reason.startswith("no production version yet")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"asked": 999}, "999 pairs, 1,000 needed (shadow.min_pairs)"),
        ({"duration": timedelta(hours=3)}, "3h of log time, 1d needed (shadow.min_duration)"),
        (
            {"fidelity": (990, 1_000)},
            "production answers 990 of 1,000 logged requests as it did; 99.9% needed",
        ),
        ({"fidelity": (0, 0)}, "none of the requests was answered by the version that is in production now"),
    ],
)
def test_what_cannot_be_decided_is_inconclusive_and_promotes_nothing(changes, said):
    verdict = judged(evidence(**changes), RULES.model_copy(update={"min_duration": timedelta(days=1)}))
    assert (verdict.verdict, verdict.promotes) == ("inconclusive", False)
    assert said in verdict.reason


@pytest.mark.parametrize("rows", [0, 15])
def test_a_holdout_too_small_to_vouch_for_anything_is_inconclusive(rows):
    verdict = judged(evidence(make_world(rows=rows)))
    assert verdict.verdict == "inconclusive"
    assert f"the holdout has {rows} rows that both versions answer, too few to vouch" in verdict.reason


def test_too_few_pairs_for_so_small_a_limit_are_inconclusive_and_the_number_needed_is_told():
    rules = RULES.model_copy(update={"min_pairs": 50})
    world = make_world(requests=50)
    world.candidate = world.production
    verdict = judged(evidence(world), rules)
    assert verdict.verdict == "inconclusive"
    assert "99 or more are needed" in verdict.reason


@pytest.mark.parametrize(("errors", "expected"), [(0, "pass"), (1, "inconclusive"), (5, "fail")])
def test_the_upper_bound_of_the_error_rate_is_held_against_its_limit(errors, expected):
    check = checks(judged(evidence(asked=1_000, errors=errors)))["error_rate"]
    assert check.verdict == expected
    assert check.value > check.bound


def test_predictions_on_the_log_are_held_against_those_on_the_holdout_only_where_asked():
    world = make_world().answering(lambda features: features["x"] > 0, lambda answers: answers + 15)
    shown = checks(judged(evidence(world)))["prediction_psi"]
    assert (shown.verdict, shown.bound) == ("pass", None)
    rules = RULES.model_copy(update={"max_prediction_psi": 0.05})
    held = checks(judged(evidence(world), rules))["prediction_psi"]
    assert (held.verdict, held.bound, held.value) == ("fail", 0.05, shown.value)
    assert checks(judged(evidence(), rules))["prediction_psi"].verdict == "pass"


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "pass"), (1.4, "pass"), (2.0, "fail")])
def test_a_latency_fails_only_when_the_whole_interval_lies_above_its_limit(factor, expected):
    rng = np.random.default_rng(0)
    times = rng.gamma(20, 50, (2, 400))
    verdict = judged(evidence(latency=Latency(factor * times[0], times[1], "interleaved")))
    check = checks(verdict)["latency_p95"]
    assert (check.verdict, check.bound) == (expected, 1.5)
    assert check.interval[0] < factor < check.interval[1]
    assert checks(verdict)["latency_p50"].bound is None
    assert "latency p95" in verdict.reason


def test_newer_requests_are_shown_apart_and_decide_nothing():
    odd = wild(make_world(seed=1))
    newer = Side(odd.log, odd.candidate[0], odd.production[0])
    verdict = judged(evidence(newer=newer, note="the log has 400 requests of the holdout's period"))
    assert verdict.verdict == "pass"
    assert "1,000 newer requests" in checks(verdict)["newer_requests"].reason
    assert verdict.reason.endswith("the log has 400 requests of the holdout's period")


def test_slices_that_the_policy_names_are_shown():
    verdict = judged(evidence(), RULES.model_copy(update={"slices": ("carrier",)}))
    assert {check.slice for check in verdict.checks if check.name == "slice"} >= {
        "carrier=c01",
        "carrier=c07",
    }


def test_labels_have_no_ks_and_are_judged_all_the_same():
    world = make_world()
    world.candidate, world.production = (
        tuple(np.where(one > 100, "yes", "no").astype(object) for one in answers)
        for answers in (world.candidate, world.production)
    )
    verdict = judged(evidence(world))
    assert verdict.verdict == "pass"
    assert "prediction_ks" not in checks(verdict)
