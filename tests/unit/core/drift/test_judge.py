"""The rule: beyond chance, large enough, undecided where nobody can tell, and lasting."""

from datetime import timedelta

import numpy as np
import pytest

from airflow_provider_ifp.core.drift.calibration import calibrate
from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.persistence import persistent
from airflow_provider_ifp.core.drift.rule import Group, Rule, rule_of
from airflow_provider_ifp.core.errors import DatasetError, PolicyError
from airflow_provider_ifp.core.policy.monitor import MonitorSection
from airflow_provider_ifp.core.policy.trigger import DriftCondition
from airflow_provider_ifp.core.profile.counting import count_categories, count_numbers
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import profile_categories, profile_lists, profile_numbers

RNG = np.random.default_rng(11)
PRICE = profile_numbers("price", RNG.normal(size=20_000))
AREA = profile_numbers("area", RNG.normal(size=20_000))
REGION = profile_categories("region", {"north": 10_000, "south": 8_000, "west": 2_000}, missing=0)
REFERENCE = Profile((PRICE, AREA, REGION), rows=20_000)
STILL = {"north": 0.5, "south": 0.4, "west": 0.1}


def window(rows=5_000, *, shift=0.0, regions=None, seed=0):
    rng = np.random.default_rng(seed)
    names = rng.choice(list(regions or STILL), p=list((regions or STILL).values()), size=rows)
    found, times = np.unique(names, return_counts=True)
    return {
        "price": count_numbers(PRICE, rng.normal(shift, size=rows)),
        "area": count_numbers(AREA, rng.normal(size=rows)),
        "region": count_categories(REGION, dict(zip(found.tolist(), times.tolist(), strict=True)), missing=0),
    }


def verdicts(check):
    return {one.name: one.verdict for one in check.features}


def test_auto_finds_the_shift_that_the_plain_threshold_is_blind_to():
    moved = window(shift=0.25)
    assert check_drift(REFERENCE, moved).drifted is False
    check = check_drift(REFERENCE, moved, Rule(methods={"psi": "auto"}))
    assert verdicts(check) == {"price": "drifted", "area": "stable", "region": "stable"}
    assert check.reason.startswith("price drifted: PSI with tails, chance and error taken off, 0.0")
    assert "> 0.02, where chance alone gives 0.003" in check.reason


@pytest.mark.parametrize(
    "methods", [{"ks_test": 0.05}, {"chi2": 0.05}, {"wasserstein": 0.1}, {"js": 0.1}, {"psi": "auto"}]
)
def test_every_method_finds_half_a_standard_deviation_and_nothing_where_nothing_is(methods):
    assert verdicts(check_drift(REFERENCE, window(shift=0.5), Rule(methods=methods)))["price"] == "drifted"
    assert check_drift(REFERENCE, window(seed=1), Rule(methods=methods)).drifted is False


@pytest.mark.parametrize("method", ["ks_test", "chi2"])
def test_a_p_value_alone_does_not_fire_in_a_large_window(method):
    jittered = window(200_000, shift=0.05)
    check = check_drift(REFERENCE, jittered, Rule(methods={method: 0.05}))
    assert check.drifted is False
    assert "but too small to matter: PSI with tails" in reason_of(check, "price")
    assert check_drift(REFERENCE, jittered, Rule(methods={method: 0.05}, correction="none")).drifted is True


def reason_of(check, name):
    return next(one.reason for one in check.features if one.name == name)


def test_methods_that_are_made_for_numbers_leave_categories_out_of_the_answer():
    check = check_drift(REFERENCE, window(regions={"north": 1.0}), Rule(methods={"ks_test": 0.05}))
    assert verdicts(check)["region"] == "undecided"
    assert reason_of(check, "region") == "no enabled method is made for its values"
    assert check.drifted is False
    assert check_drift(Profile((REGION,), 20_000), {}, Rule(methods={"ks_test": 0.05})).drifted is None


def test_a_window_in_which_chance_gives_as_much_as_the_threshold_is_undecided():
    check = check_drift(REFERENCE, window(60), Rule())
    assert check.drifted is None
    assert verdicts(check)["price"] == "undecided"
    assert "chance" in reason_of(check, "price")
    assert "alone gives 0.2; 60 rows against 20,000" in reason_of(check, "price")
    assert verdicts(check)["region"] == "stable"


def test_none_says_what_it_costs():
    check = check_drift(REFERENCE, window(100), Rule(correction="none"))
    assert check.false_alarm_chance == pytest.approx(0.58, abs=0.05)
    assert f"chance alone calls drift with probability {check.false_alarm_chance:.2g}" in check.reason
    assert check.to_json()["false_alarm_chance"] == check.false_alarm_chance
    rule = Rule(methods={"wasserstein": 0.05}, correction="none")
    assert check_drift(REFERENCE, window(100), rule).false_alarm_chance is None


def test_the_cost_of_a_plain_threshold_is_what_happens():
    two = Profile((PRICE, AREA), rows=20_000)
    checks = [
        check_drift(
            two,
            {name: one for name, one in window(100, seed=seed).items() if name != "region"},
            Rule(correction="none"),
        )
        for seed in range(300)
    ]
    happened = np.mean([check.drifted for check in checks])
    assert happened == pytest.approx(checks[0].false_alarm_chance, abs=0.1)


def test_a_group_takes_its_own_method_and_has_a_verdict_of_its_own():
    groups = (
        Group(name="money", features=("price",), method="wasserstein", threshold=0.1),
        Group(name="place", features=("area", "region")),
    )
    check = check_drift(REFERENCE, window(shift=0.25), Rule(groups=groups))
    assert [(group.name, group.verdict) for group in check.groups] == [
        ("money", "drifted"),
        ("place", "stable"),
    ]
    assert check.groups[0].reason.startswith("price: Wasserstein 0.2")
    assert check.to_json()["groups"][0]["features"] == ["price"]


def test_segments_are_judged_with_the_whole_and_small_ones_decide_nothing():
    part = Profile((PRICE, AREA, REGION), rows=20_000)
    segments = {
        "region=north": (part, window(2_000, shift=1.0, seed=3)),
        "region=west": (part, window(90, shift=2.0, seed=4)),
    }
    check = check_drift(REFERENCE, window(), Rule(min_rows=500), segments)
    assert check.drifted is True
    assert check.reason.startswith("price (region=north) drifted: PSI ")
    assert verdicts(check)["price (region=west)"] == "undecided"
    assert verdicts(check)["price"] == "stable"
    small = check_drift(REFERENCE, window(), Rule(min_rows=500), {"region=west": segments["region=west"]})
    assert small.drifted is False


def test_new_and_lost_categories_are_named():
    check = check_drift(REFERENCE, window(regions={"north": 0.5, "south": 0.4, "east": 0.1}))
    record = next(one for one in check.to_json()["features"] if one["name"] == "region")
    assert list(record["new_categories"]) == ["east"]
    assert record["lost_categories"] == ["west"]
    assert record["unseen"] == pytest.approx(0.1, abs=0.02)


def test_lists_and_predictions_are_features_like_others():
    rng = np.random.default_rng(5)
    vectors = profile_lists("v", rng.normal(size=(5_000, 6)))
    answers = profile_numbers("prediction", rng.normal(size=1_000))
    profile = Profile((vectors,), rows=5_000, predictions=(answers,))
    current = {one.name: one.counts for one in profile.measured}
    current["prediction"] = count_numbers(answers, rng.normal(1, size=1_000))
    check = check_drift(profile, current)
    assert verdicts(check)["prediction"] == "drifted"
    assert verdicts(check)["v: norm"] == verdicts(check)["v: axis 4"] == "stable"


def test_calibration_raises_the_floor_of_a_feature_that_moves_by_itself():
    rng = np.random.default_rng(6)
    blocks = [{"price": count_numbers(PRICE, rng.normal(0.2 * one, size=2_000))} for one in (-1, 0, 1)]
    profile = calibrate(Profile((PRICE,), rows=20_000), blocks)
    assert profile.features[0].noise > 0.05
    now = {"price": count_numbers(PRICE, rng.normal(0.25, size=5_000))}
    auto = Rule(methods={"psi": "auto"})
    assert check_drift(Profile((PRICE,), rows=20_000), now, auto).drifted is True
    assert check_drift(profile, now, auto).drifted is False
    assert calibrate(Profile((PRICE, AREA), rows=20_000), blocks).features[1].noise is None
    with pytest.raises(DatasetError, match=r"expected at least 3 blocks .* found 2"):
        calibrate(profile, blocks[:2])


def test_a_feature_must_drift_in_as_many_of_the_last_windows_as_asked():
    def drifts(*seen, windows=2, of_last=3):
        checks = [check_drift(REFERENCE, window(shift=one), Rule(min_rows=500)) for one in seen]
        return persistent(checks, windows, of_last)

    assert drifts(0, 1.0, 0).drifted is False
    assert drifts(0, 1.0, 1.0).drifted is True
    assert drifts(1.0, 0, 1.0).drifted is True
    assert drifts(1.0, 1.0, 0, 0).drifted is False
    assert drifts(1.0, windows=1, of_last=1).drifted is True
    first = drifts(1.0)
    assert first.drifted is None
    assert "price: in 1 of the last 3 windows, 2 needed" in first.reason


def test_two_features_that_take_turns_do_not_last():
    price, area = window(shift=1.0), window()
    area["area"] = price["price"]
    checks = [check_drift(REFERENCE, one) for one in (price, area)]
    assert all(check.drifted for check in checks)
    assert persistent(checks, 2, 2).drifted is False


def test_the_policys_monitor_section_is_read_into_a_rule():
    monitor = MonitorSection.model_validate(
        {
            "methods": {"psi": {"threshold": "auto"}, "ks_test": {"p_value_threshold": 0.01}},
            "feature_groups": [{"name": "money", "features": ["price"], "method_override": "js"}],
            "min_rows": 200,
        }
    )
    rule = rule_of(monitor)
    assert rule.methods == {"psi": "auto", "ks_test": 0.01}
    assert (rule.min_rows, rule.correction) == (200, "auto")
    assert rule.methods_of("price") == {"js": 0.1}
    assert rule.methods_of("area") == rule.methods
    condition = DriftCondition(
        metric="wasserstein", threshold=0.2, feature_group="money", window=timedelta(days=1)
    )
    narrowed = rule_of(monitor, condition)
    assert narrowed.methods_of("price") == {"wasserstein": 0.2}
    assert narrowed.features == ("price",)
    with pytest.raises(PolicyError, match=r"feature_group 'other': expected one of .* \(money\)"):
        rule_of(monitor, DriftCondition(feature_group="other"))


def test_groups_of_features_that_the_profile_lacks_are_refused():
    with pytest.raises(PolicyError, match="prise: no such feature; the profile has price, area, region"):
        check_drift(REFERENCE, window(), Rule(groups=(Group(name="money", features=("prise",)),)))
    with pytest.raises(PolicyError, match="found 'auto', which only psi has"):
        Rule(methods={"js": "auto"})
