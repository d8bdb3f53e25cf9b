"""What is stored when a version is trained and judged, and that a check reads it whatever the log has."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.loop.drift.reference import (
    MOST_BLOCKS,
    MOST_SEGMENTS,
    calibration_blocks,
    make_reference,
    profile_answers,
    read_reference,
    write_profile,
)
from airflow_provider_ifp.loop.labelled import Columns

pytestmark = pytest.mark.usefixtures("warm_python")

NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COLUMNS = Columns(["ts", "x", "region"], ["x", "region"], ["region"])


def policy(**monitor):
    data = {"source": "data", "time_column": "ts", "label": "y"}
    return Policy.from_json({"model": "m", "data": data, "monitor": monitor})


def window(x, region, minutes=10):
    """Rows in the order of time, one every so many minutes."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + number * timedelta(minutes=minutes) for number in range(len(x))]
    return pa.table({"ts": pa.array(times, pa.timestamp("us", "UTC")), "x": x, "region": region})


def noise(profile):
    return {one.name: one.noise for one in profile.measured}


def reasons(firing):
    return {feature.name: feature.verdict for feature in firing.check.features}


def answering(slope):
    return lambda frame: 1 + slope * frame["x"] - frame["z"] + 2 * (frame["region"] == "north")


@pytest.fixture
def judged(loop):
    """Version 1, judged on the holdout and in production."""
    version = loop.register(answering(3), profiled=loop.rows(NOW - 25 * DAY, days=20))
    loop.validate(version)
    loop.put(version)
    return loop


def test_a_judgement_stores_what_was_answered_and_by_how_much_it_was_wrong(judged):
    version = judged.registry.version("demand", "1")
    profile = read_reference(judged.registry, version, answers=True)
    assert [one.name for one in profile.predictions] == ["prediction", "prediction error"]
    error = profile.predictions[1]
    assert (error.kind, error.counts.rows, error.missing) == ("number", 600, 0)
    assert error.centre == pytest.approx(0, abs=0.1)
    assert 1.2 < error.high < 2.5
    assert read_reference(judged.registry, version, answers=False).predictions == ()


def test_a_log_without_scores_or_labels_leaves_a_check_decided(judged):
    judged.write_log(judged.rows(NOW - 5 * DAY, days=5, seed=1))
    firing = judged.check()
    assert (firing.fired, firing.decided) == (False, True)
    assert set(reasons(firing)) == {"x", "z", "region", "prediction"}


def test_answers_that_moved_are_found_with_the_error_in_the_reference(judged):
    rows = judged.rows(NOW - 5 * DAY, days=5, seed=1)
    moved = pa.array(rows["y"].to_numpy() + 9)
    judged.write_log(rows.set_column(rows.schema.get_field_index("y"), "y", moved))
    assert reasons(judged.check())["prediction"] == "drifted"


@pytest.mark.parametrize(
    ("prediction", "score", "label", "names", "kind"),
    [
        ([1.0, 0.0], [0.9, 0.2], [1, 1], ["prediction", "prediction score", "prediction error"], "category"),
        (["a", "b"], None, ["a", "a"], ["prediction", "prediction error"], "category"),
        ([[1.0, 2.0], [2.0, 1.0]], None, [1.0, 2.0], ["prediction"], "list"),
        (["a", "b"], None, [1, 2], ["prediction"], "category"),
        ([1.0, float("nan")], None, [1, 2], ["prediction", "prediction error"], "number"),
    ],
)
def test_answers_of_every_kind_are_profiled_and_come_back(prediction, score, label, names, kind):
    answers = Answers(np.array(prediction), None if score is None else np.array(score))
    profile = profile_answers(answers, pa.chunked_array([label]))
    assert [one.name for one in profile.predictions] == names
    assert profile.predictions[-1].kind == kind
    assert Profile.from_json(json.loads(write_profile(profile))) == profile


def test_right_and_wrong_are_counted():
    answers = Answers(np.array(["a", "b", "b"]))
    error = profile_answers(answers, pa.chunked_array([["a", "a", "a"]])).predictions[-1]
    assert (error.names, error.name_rows) == (("wrong", "right"), (2, 1))


@settings(deadline=None, max_examples=15)
@given(
    sizes=st.lists(st.integers(200, 400), min_size=1, max_size=4),
    present=st.floats(0, 1),
    nameless=st.integers(0, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_rows_of_all_segments_are_the_rows_of_the_whole(sizes, present, nameless, seed):
    rng = np.random.default_rng(seed)
    names = [f"r{place}" for place, size in enumerate(sizes) for _ in range(size)] + [None] * nameless
    x = pa.array(rng.normal(size=len(names)), mask=rng.random(len(names)) > present)
    table = window(x, pa.array(names, pa.string()).take(pa.array(rng.permutation(len(names)))))
    profile = make_reference(table, COLUMNS, policy(segments=["region"]))
    parts = [one.profile for one in profile.segments]
    lost = table.filter(table["region"].is_null())
    assert sum(part.rows for part in parts) == profile.rows - nameless
    whole_x, whole_region = profile.measured
    of_x = [part.measured[0] for part in parts]
    assert sum(one.missing for one in of_x) == whole_x.missing - lost["x"].null_count
    assert sum(one.counts.present for one in of_x) == whole_x.counts.present - len(lost["x"].drop_null())
    assert {one.value: one.profile.rows for one in profile.segments} == dict(
        zip(whole_region.names, whole_region.name_rows, strict=True)
    )


def test_a_segment_needs_two_hundred_rows_and_the_most_frequent_are_taken():
    sizes = [199, *range(200, 200 + MOST_SEGMENTS + 1)]
    names = [f"r{size}" for size in sizes for _ in range(size)]
    profile = make_reference(window(np.zeros(len(names)), names), COLUMNS, policy(segments=["region"]))
    assert [one.value for one in profile.segments] == [f"r{size}" for size in sizes[:1:-1]]


@pytest.mark.parametrize(("values", "names"), [([7, -1], {"7", "-1"}), ([True, False], {"true", "false"})])
def test_segments_may_be_whole_numbers_or_booleans(values, names):
    table = window(np.zeros(600), [values[place % 2] for place in range(600)])
    columns = Columns(COLUMNS.names, COLUMNS.features, [])
    profile = make_reference(table, columns, policy(segments=["region"]))
    assert {one.value for one in profile.segments} == names


@pytest.mark.parametrize(
    ("column", "message"),
    [("x", "monitor.segments: x: expected text, booleans or whole numbers"), ("ts", "ts is no feature")],
)
def test_a_column_that_cannot_be_a_segment_is_refused(column, message):
    with pytest.raises(PolicyError, match=message):
        make_reference(window(np.zeros(300), ["a"] * 300), COLUMNS, policy(segments=[column]))


def test_a_feature_that_moves_by_itself_is_told_from_one_that_does_not():
    x = np.random.default_rng(0).normal(np.repeat([0.0, 0.5, 1.0, 1.5], 1_000))
    profile = make_reference(window(x, ["a", "b"] * 2_000), COLUMNS, policy(evaluation_window="7d"))
    found = noise(profile)
    assert found["x"] > 0.3
    assert found["region"] == 0


def test_short_windows_do_not_make_noise_of_chance():
    x = np.random.default_rng(0).normal(size=40_000)
    profile = make_reference(window(x, ["a", "b"] * 20_000), COLUMNS, policy(evaluation_window="1d"))
    assert noise(profile) == {"x": 0, "region": 0}


def test_blocks_are_as_long_as_the_longest_window_that_the_trigger_asks_about():
    days = np.repeat(np.arange(60) % 2, 144)
    table = window(np.random.default_rng(0).normal(2.0 * days), ["a"] * len(days))
    daily = policy(evaluation_window="1d")
    asked = {"any": [{"type": "drift", "metric": "psi", "threshold": 0.1, "window": "10d"}]}
    longer = Policy.from_json({**daily.to_json(), "trigger": asked})
    assert noise(make_reference(table, COLUMNS, daily))["x"] > 0.3
    assert noise(make_reference(table, COLUMNS, longer))["x"] == 0


@pytest.mark.parametrize(("minutes", "length", "count"), [(10, 1, 59), (10, 7, 8), (10, 90, 3), (0, 1, 0)])
def test_blocks_end_with_the_newest_row_and_do_not_overlap(minutes, length, count):
    table = window(np.zeros(8_640), ["a"] * 8_640, minutes=minutes)
    blocks = calibration_blocks(table, "ts", length * DAY)
    assert len(blocks) == count
    assert all(earlier.end <= later.start for earlier, later in itertools.pairwise(blocks))
    if blocks:
        assert blocks[-1].end - timedelta(microseconds=1) == table["ts"][-1].as_py()


def test_of_many_blocks_some_are_taken_all_over_the_window():
    blocks = calibration_blocks(window(np.zeros(8_640), ["a"] * 8_640), "ts", timedelta(hours=1))
    assert MOST_BLOCKS / 2 < len(blocks) <= MOST_BLOCKS
    assert blocks[-1].end - blocks[0].start > 58 * DAY


def test_a_reference_of_one_moment_has_no_noise_and_is_no_error():
    table = window(np.arange(300.0), ["a"] * 300, minutes=0)
    assert noise(make_reference(table, COLUMNS, policy())) == {"x": None, "region": None}


def test_a_short_reference_is_measured_in_thirds():
    table = window(np.arange(300.0), ["a"] * 300)
    assert noise(make_reference(table, COLUMNS, policy(evaluation_window="30d")))["region"] == 0
