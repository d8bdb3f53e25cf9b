"""What a policy can ask of the log: segments, several windows, a rolling reference, answers, many methods."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_ifp.adapters.log.label_files import write_labels
from airflow_provider_ifp.core.errors import PolicyError, RegistryDeniedError
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.loop.drift.check import count_ahead
from airflow_provider_ifp.loop.drift.monitor import Monitor
from airflow_provider_ifp.loop.drift.reference import ANSWERS, PROFILE, profile_answers, write_profile
from airflow_provider_ifp.loop.labelled import read_labelled
from airflow_provider_ifp.loop.train.prepare import prepare

pytestmark = pytest.mark.usefixtures("warm_python")

NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def answering(frame):
    """What entrypoint_linear.py would learn."""
    return 1 + 3 * frame["x"] - frame["z"] + 2 * (frame["region"] == "north")


@pytest.fixture
def production(loop):
    """Version 1 in production, with what training and gate leave of it, but for their processes."""

    def put(**monitor):
        policy = loop.policy(monitor=monitor)
        prepared = prepare(policy, NOW, {})
        version = loop.registry.version("demand", loop.register(answering))
        holdout = read_labelled(policy, prepared.dataset, prepared.windows.holdout, prepared.columns)
        answers = Answers(answering(holdout.to_pandas()).to_numpy(), None)
        answered = write_profile(profile_answers(answers, holdout["y"]))
        loop.registry.put_file(version.run_id, PROFILE, prepared.profile())
        loop.registry.put_file(version.run_id, ANSWERS, answered)
        loop.put(version.version)
        return policy, {"version": version.version, "run_id": version.run_id}

    return put


def stored(loop, made, name):
    return Profile.from_json(json.loads(loop.registry.get_file(made["run_id"], name)))


def moved_apart(rows, by):
    """x moved up in the northern third and a little down in the rest, so that its mean stays."""
    north = np.array(rows["region"].to_pylist()) == "north"
    x = rows["x"].to_numpy() + by * (north - north.mean())
    return rows.set_column(rows.schema.get_field_index("x"), "x", pa.array(x))


def test_training_stores_segments_noise_and_the_gate_stores_the_answers(loop):
    policy = loop.policy(monitor={"segments": ["region"]})
    made = loop.train(policy=policy)
    loop.validate(made["version"], policy=policy)
    profile = stored(loop, made, PROFILE)
    assert [(one.name, one.profile.rows) for one in profile.segments] == [
        ("region=south", profile.rows - profile.segments[1].profile.rows),
        ("region=north", profile.segments[1].profile.rows),
    ]
    assert all(one.noise is not None for one in profile.measured)
    assert len(profile.segments[0].profile.features[0].edges) == 99
    answered = stored(loop, made, ANSWERS).predictions
    assert [(one.name, one.counts.rows) for one in answered] == [
        ("prediction", 600),
        ("prediction error", 600),
    ]


def test_drift_of_one_segment_is_found_where_the_whole_hides_it(loop, production):
    rows = moved_apart(loop.rows(NOW - 5 * DAY, days=5, seed=3), 0.8)
    loop_policy, _ = production(segments=["region"], min_rows=100, prediction=False)
    loop.write_log(rows)
    check = loop.check(policy=loop_policy).check
    assert [one.name for one in check.features if one.verdict == "drifted"] == ["x (region=north)"]
    whole = loop.policy(monitor={"prediction": False})
    assert loop.check(policy=whole).check.drifted is False


def test_a_segment_that_is_no_feature_or_no_category_is_refused_before_training(loop):
    for column, message in (
        ("place", "place is no feature.*x, z, region"),
        ("x", "x: expected text, booleans or whole"),
    ):
        with pytest.raises(PolicyError, match=message):
            loop.train(policy=loop.policy(monitor={"segments": [column]}))
    assert loop.registry.versions("demand") == ()


def test_the_answers_are_watched_unless_the_policy_says_otherwise(loop, production):
    policy, _ = production()
    rows = loop.rows(NOW - 5 * DAY, days=5, seed=3)
    loop.write_log(rows)
    names = [one.name for one in loop.check(policy=policy).check.features]
    assert sorted(names) == ["prediction", "region", "x", "z"]
    unwatched = loop.policy(monitor={"prediction": False})
    assert "prediction" not in [one.name for one in loop.check(policy=unwatched).check.features]


def wrong_by(rows, much):
    return rows.set_column(rows.schema.get_field_index("y"), "y", pa.array(rows["y"].to_numpy() + much))


def drift_record_of(loop, made):
    return json.loads(loop.registry.get_file(made["run_id"], "ifp/drift.json"))


def test_how_wrong_production_was_is_shown_once_labels_are_known_and_decides_nothing(loop, production):
    policy, made = production()
    rows = loop.rows(NOW - 5 * DAY, days=5, seed=3)
    loop.write_log(rows)
    loop.write_log(loop.rows(NOW - 5 * DAY, days=1, seed=4), version="0")
    loop.write_data(wrong_by(rows, -2.0).slice(0, 550))
    firing = loop.check(policy=policy)
    error = drift_record_of(loop, made)["error"]
    assert (error["name"], error["verdict"], error["labelled"]) == ("prediction error", "drifted", 550)
    assert error["answered"] == 600
    assert error["rmse"]["current"] == pytest.approx(2.0)
    assert error["rmse"]["reference"] == pytest.approx(0.5, abs=0.05)
    assert firing.fired is False
    assert firing.reasons[-1].startswith("prediction error drifted: PSI ")
    assert firing.reasons[-1].endswith("; it decides nothing")
    page = loop.registry.get_file(made["run_id"], "ifp/drift.html").decode()
    assert "Root mean square error 2" in page


def test_labels_beside_the_log_are_joined_again_only_where_a_file_is_new(loop, production):
    policy, made = production()
    rows = loop.rows(NOW - 5 * DAY, days=5, seed=3)
    loop.write_log(wrong_by(rows, 2.0))
    arrived = rows.select(["request_id", "ts"]).append_column("label", rows["y"])
    arrived = arrived.append_column("row", pa.array([0] * rows.num_rows, pa.int32()))
    arrived = arrived.append_column("label_ts", rows["ts"])
    write_labels(str(loop.home / "log"), "demand", arrived.slice(0, 300))
    cache = loop.home / "cache"
    count_ahead(loop.registry, policy, now=NOW, cache=cache)
    kept = set(cache.rglob("*.counts"))
    loop.check(policy=policy, cache=cache)
    assert drift_record_of(loop, made)["error"]["labelled"] == 300
    assert set(cache.rglob("*.counts")) == kept
    write_labels(str(loop.home / "log"), "demand", arrived.slice(300, 60))
    loop.check(policy=policy, cache=cache)
    assert drift_record_of(loop, made)["error"]["labelled"] == 360
    assert len(set(cache.rglob("*.counts")) - kept) == 1


def test_labels_that_cannot_be_compared_are_said_so_and_stop_no_check(loop, production):
    policy, made = production()
    rows = loop.rows(NOW - 5 * DAY, days=5, seed=3)
    loop.write_log(rows)
    words = pa.array(["high"] * rows.num_rows)
    loop.write_data(rows.set_column(rows.schema.get_field_index("y"), "y", words))
    firing = loop.check(policy=policy)
    assert (firing.fired, firing.decided) == (False, True)
    assert "prediction error is not known: " in firing.reasons[-1]
    assert "label is string, but the predictions are double" in firing.reasons[-1]
    assert "error" not in drift_record_of(loop, made)


@pytest.mark.parametrize(("windows", "of_last", "fired"), [(1, 1, True), (2, 2, False), (1, 3, True)])
def test_so_many_of_the_last_windows_must_drift(loop, production, windows, of_last, fired):
    policy, _ = production(
        evaluation_window="2d", min_rows=100, consecutive={"windows": windows, "of_last": of_last}
    )
    loop.write_log(loop.rows(NOW - 6 * DAY, days=4, seed=3))
    loop.write_log(loop.rows(NOW - 2 * DAY, days=2, seed=4, shift=1.0))
    firing = loop.check(policy=policy)
    assert (firing.fired, firing.decided) == (fired, True)
    if fired and of_last > 1:
        assert "in 1 of the last 3 windows, 1 needed" in firing.reasons[0]


def test_a_rolling_reference_holds_the_log_against_its_own_past(loop, production):
    policy, _ = production(baseline_window="4d", evaluation_window="2d", min_rows=200)
    loop.write_log(loop.rows(NOW - 6 * DAY, days=6, seed=3, shift=2.0))
    settled = loop.check(policy=policy).check
    assert (settled.drifted, settled.rows) == (False, {"reference": 480, "current": 240})
    trained = loop.policy(monitor={"evaluation_window": "2d", "min_rows": 200})
    assert loop.check(policy=trained).check.drifted is True
    assert loop.check(policy=policy, now=NOW - 4 * DAY).reasons == (
        "undecided: 0 rows in monitor.baseline_window before the window, 200 needed",
    )


def test_conditions_with_windows_methods_and_groups_of_their_own_decide_together(loop, production):
    monitor = {"min_rows": 100, "feature_groups": [{"name": "places", "features": ["region"]}]}
    production(**monitor)
    loop.write_log(loop.rows(NOW - 5 * DAY, days=5, seed=3, shift=1.0))
    moved = {"type": "drift", "metric": "ks_pvalue", "threshold": 0.01, "window": "3d"}
    places = {"type": "drift", "metric": "psi", "threshold": 0.1, "feature_group": "places"}
    both = loop.policy(monitor=monitor, trigger={"all": [moved, places]})
    either = loop.policy(monitor=monitor, trigger={"any": [moved, places]})
    assert [loop.check(policy=one).fired for one in (both, either)] == [False, True]
    first, second = loop.check(policy=either).reasons
    assert "KS p" in first
    assert second.startswith("no drift: largest PSI")
    assert loop.check(policy=either).check.rows["current"] == 360


def test_a_damaged_file_is_left_out_when_the_policy_says_so_and_the_reasons_name_it(loop, production):
    policy, _ = production(unreadable="skip")
    loop.write_log(loop.rows(NOW - 5 * DAY, days=5, seed=3))
    paths = sorted((loop.home / "log").rglob("*.parquet"))
    paths[0].write_bytes(b"PAR1 and nothing else")
    firing = loop.check(policy=policy)
    assert (firing.decided, firing.fired) == (True, False)
    assert str(paths[0]) in firing.reasons[1]
    for path in paths:
        path.write_bytes(b"PAR1 and nothing else")
    blind = loop.check(policy=policy)
    assert (blind.decided, blind.fired) == (False, False)
    assert "0 rows in the window" in blind.reasons[0]


def test_each_check_leaves_its_report_with_production_and_one_that_drifted_stays(loop, production):
    policy, made = production()
    loop.write_log(loop.rows(NOW - 5 * DAY, days=5, seed=3))
    loop.check(policy=policy)
    quiet = json.loads(loop.registry.get_file(made["run_id"], "ifp/drift.json"))
    assert (quiet["drifted"], len(quiet["features"][0]["over_time"])) == (False, 5)
    kept = "ifp/drift/2024-02-06T00-00-00Z.html"
    loop.write_log(loop.rows(NOW, days=5, seed=3, shift=2.0))
    assert loop.check(policy=policy, now=NOW + 5 * DAY).fired
    page = loop.registry.get_file(made["run_id"], kept)
    assert page == loop.registry.get_file(made["run_id"], "ifp/drift.html")
    assert b'<span class="fail">drifted</span>' in page


def test_a_report_that_cannot_be_written_is_warned_of_and_the_check_stands(
    loop, production, monkeypatch, caplog
):
    policy, _ = production()
    loop.write_log(loop.rows(NOW - 5 * DAY, days=5, seed=3, shift=2.0))

    def refuse(*_):
        raise RegistryDeniedError("ada may not write")

    monkeypatch.setattr(loop.registry, "put_file", refuse)
    assert loop.check(policy=policy).fired
    assert "the drift report was not written: ada may not write" in caplog.text


def test_a_baseline_set_by_hand_goes_before_the_training_and_a_frozen_one_before_a_rolling_window(
    loop, production
):
    policy, made = production()
    rolling = loop.policy(monitor={"baseline_window": "2d", "min_rows": 200})
    loop.write_log(loop.rows(NOW - 7 * DAY, days=7, seed=3, shift=2.0))
    assert loop.check(policy=policy).fired
    watched = Monitor(loop.registry, "demand")
    settled = loop.rows(NOW - 90 * DAY, days=20, seed=9, shift=2.0).select(["x", "z", "region"])
    watched.set_baseline(settled, window_label="as it is now", freeze=True)
    assert not loop.check(policy=policy).fired
    record = json.loads(loop.registry.get_file(made["run_id"], "ifp/drift.json"))
    assert record["reference"] == "the baseline as it is now"
    assert "prediction" not in [one["name"] for one in record["features"]]
    assert loop.check(policy=rolling).check.rows["reference"] == 2_400
    watched.set_baseline(settled, window_label="until now", freeze=False)
    assert loop.check(policy=rolling).check.rows["reference"] == 240


def answered_by(version, table):
    """The rows as requests that another version answered, a thousand too high."""
    far = table.set_column(table.schema.get_field_index("y"), "y", pa.array(table["y"].to_numpy() + 1_000))
    return {"table": far, "version": version}


def test_what_the_version_before_answered_is_not_held_against_productions_own_answers(loop, production):
    policy, _ = production(evaluation_window="10d")
    loop.write_log(**answered_by("0", loop.rows(NOW - 10 * DAY, days=5, seed=3)))
    loop.write_log(loop.rows(NOW - 5 * DAY, days=5, seed=4))
    firing = loop.check(policy=policy)
    assert (firing.fired, firing.decided) == (False, True)
    assert firing.check.rows["current"] == 1_200
    [answers] = [one for one in firing.check.features if one.name == "prediction"]
    assert (answers.verdict, answers.measured.rows["current"]) == ("stable", 600)


def test_right_after_a_promotion_the_answers_are_not_judged_and_the_rest_is(loop, production):
    policy, _ = production()
    loop.write_log(**answered_by("0", loop.rows(NOW - 5 * DAY, days=5, seed=3)))
    firing = loop.check(policy=policy)
    assert (firing.fired, firing.decided) == (False, True)
    assert firing.reasons[1:] == (
        "prediction is not judged: production itself answered 0 rows of the window, 500 needed",
    )


def test_a_holdout_that_is_too_small_leaves_the_features_decided(loop):
    policy = loop.policy(data={"holdout_window": "1d"}, validation={"min_rows": 100})
    made = loop.train(policy=policy)
    loop.validate(made["version"], policy=policy)
    loop.put(made["version"])
    loop.write_log(loop.rows(NOW - 5 * DAY, days=5, seed=3))
    firing = loop.check(policy=policy)
    assert (firing.fired, firing.decided) == (False, True)
    assert firing.reasons[1:] == ("prediction is not judged: its reference has 120 rows, 500 needed",)


def test_a_group_may_name_answers_that_cannot_be_judged_yet(loop, production):
    groups = [{"name": "answers", "features": ["prediction", "x"]}]
    policy, _ = production(feature_groups=groups)
    loop.write_log(**answered_by("0", loop.rows(NOW - 5 * DAY, days=5, seed=3)))
    [group] = loop.check(policy=policy).check.groups
    assert (group.features, group.verdict) == (("x",), "stable")


def test_the_condition_that_fired_is_the_one_whose_features_are_told(loop, production):
    monitor = {"min_rows": 100, "feature_groups": [{"name": "places", "features": ["region"]}]}
    production(**monitor)
    loop.write_log(loop.rows(NOW - 5 * DAY, days=5, seed=3, shift=1.0))
    quiet = {"type": "drift", "metric": "psi", "feature_group": "places"}
    policy = loop.policy(monitor=monitor, trigger={"any": [quiet, "drift"]})
    firing = loop.check(policy=policy)
    assert firing.fired is True
    assert firing.to_json()["features"][0]["name"] == "x"


def test_of_segments_the_task_tells_only_what_drifted(loop, production):
    policy, _ = production(segments=["region"], min_rows=100, prediction=False)
    loop.write_log(moved_apart(loop.rows(NOW - 5 * DAY, days=5, seed=3), 0.8))
    firing = loop.check(policy=policy)
    assert len(firing.check.features) == 9
    told = [(one["name"], one.get("segment")) for one in firing.to_json()["features"]]
    assert sorted(told, key=str) == [
        ("region", None), ("x", "region=north"), ("x", None), ("z", None),
    ]  # fmt: skip
