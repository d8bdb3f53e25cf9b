"""The gates: bounds, the comparison, and what may never pass."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import PolicyError, PromotionRefusedError
from airflow_provider_ifp.core.figures import figures
from airflow_provider_ifp.core.gates.checks import absolute_gate, comparison_gate
from airflow_provider_ifp.core.gates.judge import judge
from airflow_provider_ifp.core.gates.subject import Subject
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.bounds import Bound
from airflow_provider_ifp.core.metrics.measures import Measures, OwnMetric, Rows
from airflow_provider_ifp.core.policy.validation import ValidationSection
from airflow_provider_ifp.core.registry.verdict import Check, Verdict

values = st.floats(0, 100)
tolerances = st.floats(-5, 5)
LABEL = np.arange(1_000.0)
RNG = np.random.default_rng(0)
ONES = np.ones(1_000)
GOOD = Answers(LABEL + RNG.normal(0, 10, 1_000))
TEXT = Answers(GOOD.prediction.astype(str))
BAD = Answers(LABEL + RNG.normal(0, 16, 1_000))


BOUNDS = (Bound("rmse", maximum=14.0),)
SUBJECT = Subject(
    model="flight-time",
    version="2",
    content_digest="sha256:c",
    compared_to="1",
    holdout_digest="sha256:h",
    policy_digest="sha256:p",
)


def judged(
    *,
    y_true=LABEL,
    candidate=GOOD,
    production=BAD,
    bounds=BOUNDS,
    metric="rmse",
    compared_to="1",
    measures=None,
    positive=None,
    frame=None,
    slices=None,
    before=(),
    warnings=(),
    **rules,
):
    ends = {f"min_{bound.metric}": bound.minimum for bound in bounds if bound.minimum is not None}
    ends |= {f"max_{bound.metric}": bound.maximum for bound in bounds if bound.maximum is not None}
    given_ = ValidationSection.model_validate(ends | rules).model_copy(update={"metric": metric})
    return judge(
        Rows(label=y_true, candidate=candidate, production=production, frame=frame),
        given_,
        replace(SUBJECT, compared_to=compared_to),
        measures or Measures(positive=positive, rng=np.random.default_rng(0)),
        slices=slices,
        before=before,
        warnings=warnings,
    )


def broken(rows, value):
    prediction = GOOD.prediction.copy()
    prediction[:rows] = value
    return Answers(prediction)


def test_a_better_candidate_within_its_bounds_passes_in_numbers():
    verdict = judged()
    assert verdict.verdict == "pass"
    assert verdict.promotes
    assert [check.name for check in verdict.checks] == ["max_rmse", "comparison"]
    bound = "rmse 9.779 <= 14 = maximum"
    assert verdict.reason == f"{bound}; rmse 9.779 against production 16.36: better by 6.58"
    low, high = verdict.checks[1].interval
    assert 0 < low < verdict.checks[1].against - verdict.checks[1].value < high


def test_a_candidate_over_its_bound_fails_in_numbers():
    verdict = judged(candidate=BAD, production=GOOD)
    assert verdict.verdict == "fail"
    assert verdict.enforced
    assert not verdict.promotes
    bound, comparison = verdict.checks
    assert bound.reason.endswith("> 14 = maximum")
    assert comparison.reason.endswith("= production")
    assert verdict.reason == f"{bound.reason}; {comparison.reason}"


def test_in_dry_run_a_failure_is_told_but_stops_nothing():
    verdict = judged(candidate=BAD, production=GOOD, mode="dry_run")
    assert (verdict.verdict, verdict.enforced, verdict.promotes) == ("fail", False, True)


@pytest.mark.parametrize("mode", ["enforce", "dry_run"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"candidate": broken(3, np.nan)}, "3 of 1,000 predictions are NaN"),
        ({"candidate": broken(2, -np.inf)}, "2 of 1,000 predictions are infinite"),
        ({"candidate": Answers(GOOD.prediction[:-1])}, "expected predictions for 1,000 rows, found 999"),
        ({"candidate": Answers(np.array([None] * 1_000))}, "1,000 of 1,000 predictions are missing"),
        ({"candidate": Answers(np.array(3.0))}, "expected predictions for 1,000 rows, found a single value"),
        ({"candidate": Answers(GOOD.prediction, np.full(1_000, np.nan))}, "1,000 of 1,000 scores are NaN"),
        ({"candidate": TEXT}, "rmse needs numbers, but the predictions are text"),
        ({"candidate": broken(1, 1e300)}, "rmse is inf"),
        ({"y_true": np.where(LABEL < 4, np.nan, LABEL)}, "4 of 1,000 labels are NaN"),
        ({"bounds": (), "metric": "auc", "y_true": ONES}, "auc needs a score"),
        (
            {"bounds": (Bound("auc", minimum=0.1),), "y_true": ONES, "candidate": Answers(ONES, ONES)},
            "auc needs both classes, but all 1,000 labels are positive",
        ),
    ],
)
def test_what_cannot_be_judged_fails_closed_in_dry_run_too(changes, said, mode):
    verdict = judged(**({"mode": mode} | changes))
    assert (verdict.verdict, verdict.enforced, verdict.promotes) == ("fail", True, False)
    assert said in verdict.reason
    json.dumps(verdict.to_json(), allow_nan=False)


def test_the_first_deployment_is_decided_by_the_absolute_gate_alone_and_says_so():
    verdict = judged(production=None, compared_to=None)
    assert verdict.verdict == "pass"
    assert verdict.compared_to is None
    assert [check.name for check in verdict.checks] == ["max_rmse"]
    assert verdict.reason.endswith(
        "first deployment: no production version to compare with; the absolute gate alone decides"
    )


def test_compare_to_none_says_so_and_still_names_production():
    verdict = judged(candidate=GOOD, production=None, compare_to="none", compared_to="1")
    assert verdict.verdict == "pass"
    assert verdict.compared_to == "1"
    assert "not compared with production" in verdict.reason


def test_nothing_to_judge_by_is_no_pass():
    first = judged(bounds=(), production=None, compared_to=None)
    alone = judged(bounds=(), compare_to="none")
    unnamed = judged(bounds=(), metric=None)
    assert [one.verdict for one in (first, alone, unnamed)] == ["inconclusive"] * 3
    assert "nothing to judge by: validation has no bound" in first.reason
    assert "set validation.metric" in unnamed.reason
    assert not first.promotes


def test_a_comparison_alone_decides_where_there_are_no_bounds():
    assert judged(bounds=()).verdict == "pass"
    assert judged(bounds=(), candidate=BAD, production=GOOD).verdict == "fail"


def test_too_few_rows_are_inconclusive():
    few = judged(y_true=LABEL[:412], candidate=Answers(LABEL[:412]), production=Answers(LABEL[:412]))
    assert few.verdict == "inconclusive"
    assert few.reason == "412 rows in the holdout, 500 needed"
    assert not few.promotes
    empty = LABEL[:0]
    none = judged(y_true=empty, candidate=Answers(empty), production=None, compared_to=None, min_rows=1)
    assert none.verdict == "inconclusive"


def test_a_production_that_answers_nan_is_not_beaten_but_looked_at():
    verdict = judged(production=broken(5, np.nan))
    assert verdict.verdict == "inconclusive"
    assert "production's answers cannot be compared with: rmse: 5 of 1,000" in verdict.reason
    assert judged(production=None).verdict == "inconclusive"
    assert "version 1, but it did not answer" in judged(production=None).reason


def test_with_confidence_the_lower_end_of_the_interval_decides():
    barely = Answers(LABEL + RNG.normal(0, 9.9, 1_000))
    point = judged(candidate=GOOD, production=barely, tolerance=-0.1).checks[-1]
    assert point.interval[0] < -0.1
    sure = judged(candidate=GOOD, production=barely, tolerance=-0.1, confidence=0.95)
    assert sure.verdict == "fail"
    assert "95% interval" in sure.reason
    assert "< -0.1 = tolerance" in sure.reason
    assert judged(confidence=0.95).verdict == "pass"


def test_the_rule_of_the_article_has_a_slack_for_rounding():
    assert 0.895 - 0.900 < -0.005
    assert comparison_gate("f1", 0.895, 0.900, tolerance=-0.005).verdict == "pass"
    assert comparison_gate("f1", 0.8949, 0.900, tolerance=-0.005).verdict == "fail"


def test_a_tolerance_reads_in_the_metrics_own_direction():
    assert comparison_gate("rmse", 16.5, 15.8, tolerance=-0.5).reason == (
        "rmse 16.5 > 16.3 = production 15.8 + 0.5"
    )
    assert comparison_gate("rmse", 15.5, 15.8, tolerance=0.5).reason == (
        "rmse 15.5 > 15.3 = production 15.8 - 0.5"
    )
    within = comparison_gate("f1", 0.879, 0.881, tolerance=-0.005)
    assert within.reason == "f1 0.879 against production 0.881: worse by 0.002, within the tolerance -0.005"


@given(values, values, tolerances)
def test_directions_mirror_each_other(one, other, tolerance):
    higher = comparison_gate("f1", one, other, tolerance=tolerance).verdict
    lower = comparison_gate("rmse", -one, -other, tolerance=tolerance).verdict
    assert higher == lower


@given(values, values, tolerances, st.floats(0, 10))
def test_a_better_value_never_turns_a_pass_into_a_failure(value, production, tolerance, gain):
    assume(comparison_gate("rmse", value, production, tolerance=tolerance).verdict == "pass")
    assert comparison_gate("rmse", value - gain, production, tolerance=tolerance).verdict == "pass"


@given(values, st.sampled_from(["rmse", "f1"]))
def test_an_equal_model_passes_at_tolerance_zero(value, metric):
    check = comparison_gate(metric, value, value, tolerance=0.0)
    assert check.verdict == "pass"
    assert check.reason.endswith(": equal")


@given(values, values, tolerances, st.sampled_from(["rmse", "f1"]))
def test_the_bound_that_is_shown_is_the_one_that_decides(value, production, tolerance, metric):
    check = comparison_gate(metric, value, production, tolerance=tolerance)
    reach = value - check.bound if metric == "f1" else check.bound - value
    assume(abs(reach) > 1e-9)
    assert (check.verdict == "pass") == (reach > 0)


@given(values, values)
def test_bounds_are_inclusive_on_both_sides(value, limit):
    floor, ceiling = absolute_gate({"mae": value}, [Bound("mae", minimum=limit, maximum=limit)])
    assert (floor.verdict == "pass") == (value >= limit)
    assert (ceiling.verdict == "pass") == (value <= limit)
    assert (floor.name, ceiling.name) == ("min_mae", "max_mae")


@pytest.mark.parametrize("metrics", [{}, {"f1": float("nan")}, {"f1": float("inf")}])
def test_an_absent_or_nan_metric_never_passes(metrics):
    checks = absolute_gate(metrics, [Bound("f1", minimum=0.0), Bound("f1", maximum=1.0)])
    assert [check.verdict for check in checks] == ["fail", "fail"]
    assert comparison_gate("f1", metrics.get("f1", float("nan")), 0.5, tolerance=0.0).verdict == "fail"
    assert comparison_gate("f1", 0.5, metrics.get("f1", float("nan")), tolerance=0.0).verdict == "fail"


def test_an_unknown_metric_is_a_mistake_in_the_policy_not_a_verdict():
    with pytest.raises(PolicyError, match="unknown metric 'acu'"):
        judged(metric="acu")


def test_a_verdict_comes_back_from_json_with_the_contracts_keys():
    verdict = judged()
    record = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert record == verdict.to_json()
    assert Verdict.from_json(record) == verdict
    assert list(record) == [
        "verdict",
        "enforced",
        "reason",
        "gate",
        "model",
        "version",
        "content_digest",
        "compared_to",
        "holdout_digest",
        "policy_digest",
        "checks",
    ]
    keys = {"name", "metric", "slice", "value", "against", "bound", "interval", "rows", "verdict", "reason"}
    assert all(set(check) - {"finding"} == keys for check in record["checks"])
    assert record["checks"][0]["interval"] is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"verdict": "maybe"}, "verdict: Input should be 'pass', 'fail' or 'inconclusive'"),
        ({"checks": []}, "a pass needs checks that all pass"),
        ({"version": 2}, "version: Input should be a valid string"),
        ({"blessed": True}, "blessed: "),
        ({"reason": {1, 2}}, "not JSON serializable"),
    ],
)
def test_a_verdict_that_was_tampered_with_is_refused(damage, said):
    with pytest.raises(PromotionRefusedError) as caught:
        Verdict.from_json(judged().to_json() | damage)
    assert said in str(caught.value)
    assert "judge the candidate again" in str(caught.value)


def test_a_failing_check_cannot_be_called_a_pass():
    record = judged(candidate=BAD, production=GOOD).to_json() | {"verdict": "pass"}
    with pytest.raises(PromotionRefusedError, match="these do not: max_rmse, comparison"):
        Verdict.from_json(record)
    with pytest.raises(ValueError, match="NaN and infinity are no values"):
        Check(name="min_f1", value=float("nan"), verdict="fail", reason="")


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=3))
def test_numbers_that_differ_never_read_the_same(numbers):
    texts = figures(numbers)
    assert len(set(texts)) == len(set(numbers))


def test_a_seed_gives_the_same_verdict_again():
    label = np.tile([0, 1], 500)
    answers = [Answers(np.where(RNG.random(1_000) < part, label, 1 - label)) for part in (0.9, 0.8)]
    changes = {"y_true": label, "candidate": answers[0], "production": answers[1], "metric": "f1"}
    changes["bounds"] = (Bound("f1", minimum=0.5),)
    assert judged(**changes) == judged(**changes)


def test_a_slice_that_suffers_fails_the_verdict_and_slices_that_hold_are_counted():
    region = np.repeat(["north", "south"], 500)
    worse = Answers(GOOD.prediction + 40.0 * (region == "south"))
    failed = judged(candidate=worse, bounds=(), tolerance=-100.0, slices={"region": region})
    assert failed.verdict == "pass"
    failed = judged(candidate=worse, bounds=(), slices={"region": region})
    assert "region=south: rmse " in failed.reason
    held = judged(slices={"region": region})
    assert held.verdict == "pass"
    assert held.reason.endswith("; no slice of 2 worse beyond chance")
    assert [check.slice for check in held.checks if check.name == "slice"] == ["region=north", "region=south"]


def test_a_holdout_too_small_for_its_tolerance_is_warned_of_with_the_rows_needed():
    near = Answers(GOOD.prediction + RNG.normal(0, 1, 1_000))
    [warning] = judged(production=near, tolerance=-0.01).warnings
    assert warning.startswith("the holdout is too small for the tolerance -0.01: of 1,000 rows")
    assert int(warning.partition("; ")[2].partition(" rows")[0].replace(",", "")) > 10_000
    assert judged(production=near, tolerance=-5.0).warnings == ()
    assert judged(production=near, tolerance=-0.01, confidence=0.95).warnings == ()
    assert judged(production=near).warnings == ()


def test_what_was_found_before_any_metric_fails_the_verdict_in_dry_run_too():
    leak = Check(name="leakage", verdict="fail", reason="12 of the holdout's 1,000 keys")
    verdict = judged(before=(leak,), mode="dry_run", warnings=("something",))
    assert (verdict.verdict, verdict.enforced, verdict.reason) == ("fail", True, leak.reason)
    assert verdict.to_json()["warnings"] == ["something"]
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_an_own_metric_decides_like_one_of_the_providers():
    error = OwnMetric("error", lambda label, answer, frame: float(np.abs(label - answer).mean()), "lower")
    measures = Measures(own={"error": error})
    verdict = judged(bounds=(), metric="error", measures=measures)
    assert verdict.verdict == "pass"
    assert verdict.reason.startswith("error 7.")
    assert verdict.checks[0].finding == "better"
    assert (
        judged(bounds=(), metric="error", measures=measures, candidate=BAD, production=GOOD).verdict == "fail"
    )
