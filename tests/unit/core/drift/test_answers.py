"""Which answers of a version can be judged, and that the rule follows."""

import numpy as np
import pytest

from airflow_provider_ifp.core.drift.answers import without_silent
from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.rule import Group, Rule
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.profile.counting import count_numbers, no_rows
from airflow_provider_ifp.core.profile.record import ERROR, PREDICTION, SCORE, Profile
from airflow_provider_ifp.core.profile.reference import profile_lists, profile_numbers

RNG = np.random.default_rng(0)
X, ANSWER = (profile_numbers(name, RNG.normal(size=1_000)) for name in ("x", PREDICTION))
SCORED = profile_numbers(SCORE, RNG.random(1_000))
REFERENCE = Profile((X,), 1_000, (ANSWER, SCORED))


def window(answered, scored=None):
    counts = {"x": count_numbers(X, RNG.normal(size=800)), PREDICTION: count_numbers(ANSWER, answered)}
    return counts | {SCORE: no_rows(SCORED) if scored is None else count_numbers(SCORED, scored)}


def judged(counts, min_rows=500, reference=REFERENCE):
    profile, kept, why = without_silent(reference, counts, min_rows)
    names = [one.name for one in profile.predictions]
    assert kept.keys() == {"x", *names}
    return names, why


def test_answers_with_rows_enough_are_judged():
    assert judged(window(np.zeros(500), np.zeros(500))) == ([PREDICTION, SCORE], [])


def test_a_log_without_scores_goes_without_saying():
    assert judged(window(np.zeros(500))) == ([PREDICTION], [])
    assert judged(window(np.zeros(500), np.full(500, np.nan))) == ([PREDICTION], [])


def test_errors_are_left_out_as_long_as_no_label_has_come():
    wrong_by = profile_numbers(ERROR, RNG.normal(size=1_000))
    reference = Profile((X,), 1_000, (ANSWER, wrong_by))
    of_log = {name: of for name, of in window(np.zeros(500)).items() if name != SCORE}
    assert judged(of_log, reference=reference) == ([PREDICTION], [])
    unlabelled = of_log | {ERROR: count_numbers(wrong_by, np.full(500, np.nan))}
    assert judged(unlabelled, reference=reference) == ([PREDICTION], [])
    labelled = of_log | {ERROR: count_numbers(wrong_by, np.zeros(500))}
    assert judged(labelled, reference=reference) == ([PREDICTION, ERROR], [])


def test_predictions_that_are_all_missing_stay_and_leave_the_window_undecided():
    counts = window(np.full(700, np.nan))
    profile, kept, why = without_silent(REFERENCE, counts, 500)
    assert why == []
    check = check_drift(profile, kept, Rule(min_rows=500))
    assert check.drifted is None
    assert "prediction: all 700 rows of the current window are missing" in check.reason


def test_too_few_rows_of_production_or_of_the_reference_are_told():
    assert judged(window(np.zeros(499), np.zeros(500))) == (
        [SCORE],
        ["prediction is not judged: production itself answered 499 rows of the window, 500 needed"],
    )
    names, why = judged(window(np.zeros(2_000), np.zeros(2_000)), min_rows=1_001)
    assert names == []
    assert why[0] == "prediction is not judged: its reference has 1,000 rows, 1,001 needed"


def test_a_group_may_name_a_feature_of_lists_and_answers_that_are_not_judged():
    lists = profile_lists("v", RNG.normal(size=(600, 3)))
    profile = Profile((X, lists), 600, (ANSWER,))
    group = Group(name="g", features=("v", PREDICTION))
    rule = Rule(groups=(group,), features=group.features).only(profile, Profile((X, lists), 600))
    measures = ("v: norm", "v: axis 1", "v: axis 2", "v: axis 3")
    assert (rule.features, rule.groups[0].features) == (measures, measures)


def test_a_group_that_names_what_there_is_not_is_refused_all_the_same():
    rule = Rule(groups=(Group(name="g", features=("price",)),)).only(REFERENCE, REFERENCE)
    with pytest.raises(PolicyError, match="price: no such feature; the profile has x, prediction"):
        check_drift(REFERENCE, window(np.zeros(500)), rule)
