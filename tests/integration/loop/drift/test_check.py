"""One drift check: what fires, what waits, what stays undecided; and training data is never read again."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.core.drift.psi import psi

NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FEATURES = ["x", "z", "region"]


@pytest.fixture
def trained_on(loop):
    """The rows that version 1 was trained on, with its profile."""
    return loop.rows(NOW - 25 * DAY, days=20)


@pytest.fixture
def watched(loop, trained_on):
    """Version 1 in production; its training data is gone, its profile is not."""
    loop.put(loop.register(lambda frame: frame["x"], profiled=trained_on))
    shutil.rmtree(loop.home / "data")
    return loop


def test_nothing_in_production_fires_and_reads_no_log(loop):
    firing = loop.check(policy=loop.policy(monitor={"predictions": None}))
    assert firing.to_json() == {
        "fired": True,
        "decided": True,
        "reasons": ["no production version"],
        "rows": None,
        "features": [],
    }


def test_a_version_that_failed_its_gate_does_not_keep_the_next_check_from_firing(loop):
    loop.judge(loop.register(lambda frame: frame["x"]), promotes=False)
    assert loop.check().reasons == ("no production version",)


def test_the_world_as_it_was_is_quiet(watched):
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, seed=1))
    firing = watched.check()
    assert (firing.fired, firing.decided) == (False, True)
    assert firing.check.rows == {"reference": 2_400, "current": 600}
    assert {feature.verdict for feature in firing.check.features} == {"stable"}


def test_a_feature_that_moved_fires_by_its_psi_against_the_stored_profile(watched, trained_on):
    current = watched.rows(NOW - 5 * DAY, days=5, seed=1, shift=1.0)
    watched.write_log(current)
    firing = watched.check()
    assert (firing.fired, firing.decided) == (True, True)
    moved = firing.check.features[0]
    profile = profile_table(trained_on.select(FEATURES), FEATURES, ["region"])
    counts = count_batches(profile, current.select(FEATURES).to_batches())
    [of_x] = [feature for feature in profile.features if feature.name == "x"]
    assert (moved.name, moved.verdict, moved.psi) == ("x", "drifted", pytest.approx(psi(of_x, counts["x"])))
    assert [feature.verdict for feature in firing.check.features[1:]] == ["stable", "stable"]
    [reason] = firing.reasons
    assert "x" in reason
    assert f"{moved.psi:.3f}"[:4] in reason
    assert json.loads(json.dumps(firing.to_json()))["features"][0]["name"] == "x"


def test_the_threshold_is_the_policys(watched):
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, seed=1, shift=1.0))
    generous = watched.policy(monitor={"methods": {"psi": {"threshold": 5.0}}})
    assert watched.check(policy=generous).fired is False


def test_too_few_rows_are_undecided_and_never_fire_however_far_they_moved(watched):
    watched.write_log(watched.rows(NOW - DAY, days=1, shift=9.0))
    firing = watched.check()
    assert (firing.fired, firing.decided) == (False, False)
    assert firing.reasons == ("undecided: 120 rows in the window, 500 needed",)
    assert firing.check.rows["current"] == 120
    allowed = watched.policy(monitor={"min_rows": 100})
    assert watched.check(policy=allowed).fired is True


def test_only_the_windows_rows_of_production_count(watched):
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, seed=1))
    watched.write_log(watched.rows(NOW - 10 * DAY, days=5, seed=2, shift=9.0))
    watched.write_log(watched.rows(NOW, days=5, seed=3, shift=9.0))
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, seed=4, shift=9.0), stage="shadow")
    firing = watched.check()
    assert (firing.fired, firing.check.rows["current"]) == (False, 600)
    assert watched.check(now=NOW + 5 * DAY).fired is True


def test_missing_values_where_there_were_none_fire(watched):
    rows = watched.rows(NOW - 5 * DAY, days=5, seed=1)
    values = rows["z"].to_numpy()
    holes = pa.array(values, mask=np.arange(len(values)) % 3 == 0)
    watched.write_log(rows.set_column(rows.schema.get_field_index("z"), "z", holes))
    firing = watched.check()
    assert firing.fired is True
    assert (firing.check.features[0].name, firing.check.features[0].missing["current"]) == (
        "z",
        pytest.approx(1 / 3),
    )


def test_the_log_is_where_the_caller_says_unless_the_policy_names_it(watched):
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, seed=1))
    root = str(watched.home / "log")
    assert watched.check(policy=watched.policy(monitor={"predictions": None}), predictions=root).decided
    assert watched.check(predictions="/nowhere").decided


@pytest.mark.parametrize("stage", ["staging", "shadow"])
def test_nothing_fires_while_a_version_that_passed_waits_unless_a_person_forces_it(watched, stage):
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, shift=9.0))
    candidate = watched.register(lambda frame: frame["z"])
    watched.judge(candidate)
    assert watched.check().fired is True
    watched.put(candidate, stage)
    firing = watched.check()
    assert (firing.fired, firing.decided, firing.reasons) == (False, True, (f"version 2 waits in {stage}",))
    forced = watched.check(force=True, reason="new tariff")
    assert (forced.fired, forced.reasons) == (True, ("forced by hand: new tariff",))
    watched.put(candidate)
    assert watched.ledger.waiting() is None


def test_a_waiting_version_that_was_judged_again_and_failed_no_longer_holds_the_loop(watched):
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, shift=9.0))
    candidate = watched.register(lambda frame: frame["z"])
    watched.judge(candidate)
    watched.put(candidate, "staging")
    watched.judge(candidate, promotes=False)
    assert watched.check().fired is True


def test_a_check_puts_back_an_alias_that_was_moved_by_hand(watched):
    watched.write_log(watched.rows(NOW - 5 * DAY, days=5, seed=1))
    watched.registry.project("demand", {"production": "9"})
    watched.check()
    assert watched.registry.aliases("demand") == {"production": "1"}
