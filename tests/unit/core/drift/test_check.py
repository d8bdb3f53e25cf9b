"""A drift check: what drifted, what did not, and what nobody can tell."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.errors import DatasetError, PolicyError
from airflow_provider_ifp.core.profile.counting import count_categories, count_numbers, no_rows
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import profile_categories, profile_numbers

RNG = np.random.default_rng(7)
STILL = profile_numbers("still", RNG.normal(size=5_000))
MOVED = profile_numbers("moved", RNG.normal(size=5_000))
REFERENCE = Profile((STILL, MOVED), rows=5_000)


def window(rows, shift, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "still": count_numbers(STILL, rng.normal(size=rows)),
        "moved": count_numbers(MOVED, rng.normal(shift, size=rows)),
    }


def test_the_feature_that_moved_is_named_with_its_numbers():
    check = check_drift(REFERENCE, window(2_000, 0.7), Rule(min_rows=500))
    assert check.drifted is True
    assert [feature.name for feature in check.features] == ["moved", "still"]
    assert [feature.verdict for feature in check.features] == ["drifted", "stable"]
    assert check.reason.startswith("moved drifted: PSI 0.")
    assert "> 0.10, where chance alone gives 0.006; 2,000 rows against 5,000" in check.reason
    assert check.rows == {"reference": 5_000, "current": 2_000}


def test_a_quiet_window_is_stable_and_says_the_largest_psi():
    check = check_drift(REFERENCE, window(2_000, 0.0))
    assert check.drifted is False
    assert check.reason.startswith("no drift: largest PSI 0.0")
    assert "threshold 0.10; 2,000 rows against 5,000" in check.reason


@given(rows=st.integers(0, 499), shift=st.floats(-3, 3))
def test_too_few_rows_never_drift(rows, shift):
    check = check_drift(REFERENCE, window(rows, shift), Rule(min_rows=500))
    assert check.drifted is None
    assert check.reason == f"undecided: {rows} rows in the window, 500 needed"
    assert {feature.verdict for feature in check.features} == {"undecided"}
    json.dumps(check.to_json(), allow_nan=False)


def test_chance_alone_does_not_fire_where_the_plain_threshold_does():
    # 150 rows on ten bins: PSI over .10 is ordinary there.
    windows = [window(150, 0.0, seed) for seed in range(60)]
    plain = [check_drift(REFERENCE, one, Rule(correction="none")).drifted for one in windows]
    corrected = [check_drift(REFERENCE, one, Rule()) for one in windows]
    assert sum(plain) >= 5
    assert not any(check.drifted for check in corrected)
    spared = next(check for check, fired in zip(corrected, plain, strict=True) if fired)
    assert "but within chance (p " in spared.reason


def test_a_window_too_small_for_the_test_is_undecided():
    check = check_drift(REFERENCE, window(8, 3.0))
    assert check.drifted is None
    assert "too few rows to rule out chance; 8 rows against 5,000" in check.reason


def test_a_constant_that_changed_is_noticed_in_a_small_window():
    constant = profile_categories("plan", {"basic": 1_000_000}, missing=0)
    now = {"plan": count_categories(constant, {"basic": 30, "premium": 20}, missing=0)}
    assert check_drift(Profile((constant,), rows=1_000_000), now).drifted is True


def test_a_feature_without_any_present_value_is_undecided_not_drifted():
    now = window(2_000, 0.0) | {"moved": count_numbers(MOVED, np.full(2_000, np.nan))}
    check = check_drift(REFERENCE, now)
    assert check.drifted is None
    assert check.reason == "undecided: moved: all 2,000 rows of the current window are missing"
    assert check.features[0].missing == {"reference": 0.0, "current": 1.0}


def test_a_feature_that_always_was_missing_is_stable():
    never = profile_numbers("never", np.full(1_000, np.nan))
    check = check_drift(Profile((never,), rows=1_000), {"never": never.counts})
    assert check.drifted is False


def test_more_missing_values_are_drift():
    half = np.where(np.arange(2_000) % 2 == 0, np.nan, RNG.normal(size=2_000))
    check = check_drift(REFERENCE, window(2_000, 0.0) | {"moved": count_numbers(MOVED, half)})
    assert check.drifted is True
    assert check.features[0].missing["current"] == 0.5


def test_a_feature_that_the_window_does_not_have_is_undecided():
    now = window(2_000, 0.0)
    del now["moved"]
    check = check_drift(REFERENCE, now)
    assert check.drifted is None
    assert "moved: the current window does not have this feature" in check.reason
    assert check.features[-1].psi is None
    assert check.features[-1].missing == {"reference": 0.0, "current": None}


def test_an_undecided_feature_does_not_hide_one_that_drifted():
    now = window(2_000, 0.7) | {"still": no_rows(STILL)}
    assert check_drift(REFERENCE, now).drifted is True


def test_the_threshold_itself_is_not_drift():
    now = window(2_000, 0.7)
    exact = check_drift(REFERENCE, now).features[0].psi
    assert check_drift(REFERENCE, now, Rule(methods={"psi": exact})).drifted is False
    assert check_drift(REFERENCE, now, Rule(methods={"psi": np.nextafter(exact, 0)})).drifted is True


def test_the_record_has_the_contracts_keys():
    record = check_drift(REFERENCE, window(2_000, 0.7)).to_json()
    assert set(record) == {"drifted", "reason", "rows", "features"}
    keys = {"name", "psi", "expected_by_chance", "p_value", "missing", "verdict", "reason"}
    more = {
        "psi_debiased",
        "psi_with_tails_debiased",
        "ks",
        "ks_bound",
        "ks_p_value",
        "wasserstein",
        "wasserstein_bound",
        "js",
        "chi2_p_value",
        "mean",
        "quantiles",
        "out_of_range",
        "infinite",
    }
    assert all(set(feature) == keys | more for feature in record["features"])
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize("threshold", [float("nan"), -0.1, float("inf")])
def test_a_threshold_that_makes_no_sense_is_refused(threshold):
    with pytest.raises(PolicyError, match="psi threshold: expected a number of at least 0"):
        Rule(methods={"psi": threshold})


def test_an_unknown_correction_is_refused():
    with pytest.raises(PolicyError, match="expected 'auto' or 'none', found 'bonferroni'"):
        Rule(correction="bonferroni")


def test_counts_of_a_feature_without_profile_are_refused():
    with pytest.raises(DatasetError, match="counts of other: the reference profile has still, moved only"):
        check_drift(REFERENCE, {"other": STILL.counts})
