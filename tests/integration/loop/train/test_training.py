"""Training as the loop does it: a real trainer's process, and a version only of what came out whole."""

import json
import logging
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.loop.registry.move import roll_back
from airflow_provider_ifp.loop.train.prepare import prepare
from airflow_provider_ifp.loop.train.training import BECAUSE, reason_to_stop
from airflow_provider_ifp.training.loading import fetch, open_model

pytestmark = pytest.mark.usefixtures("warm_python")

HOLDOUT = datetime(2024, 1, 27, tzinfo=UTC)
NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def trained(module_loop):
    """The outcome of one training, with the loop that it was made in."""
    outcome = module_loop.train(params={"depth": 3}, nonce="first attempt")
    return module_loop, outcome, module_loop.registry.version("demand", outcome["version"])


def stored_json(loop, outcome, name):
    return json.loads(loop.registry.get_file(outcome["run_id"], name))


def test_the_outcome_is_the_xcom_of_the_contract(trained):
    _, outcome, version = trained
    assert outcome == {
        "model": "demand",
        "version": "1",
        "run_id": version.run_id,
        "content_digest": version.content_digest,
        "build_key": version.build_key,
        "reused": False,
    }
    assert json.loads(json.dumps(outcome)) == outcome


def test_a_version_has_the_contracts_tags_and_the_users(trained):
    _, _, version = trained
    for name in ("content_digest", "files_digest", "build_key", "provenance_digest", "data_digest"):
        assert version.tags[f"ifp.{name}"].startswith(("sha256:", "fp/1:")), name
    assert version.tags["ifp.seed"] == "7"
    assert version.tags["ifp.code_commit"] == "unrecorded"  # the script lies in no repository
    assert (version.tags["commit"], version.tags["team"]) == ("a4f9c22", "x")


def test_the_run_has_params_and_metrics_of_policy_and_script_and_is_finished(trained):
    loop, outcome, _ = trained
    run = loop.registry.runs[outcome["run_id"]]
    assert (run["status"], run["ifp.model"], run["ifp.nonce"]) == ("FINISHED", "demand", "first attempt")
    params = loop.registry.params[outcome["run_id"]]
    assert (params["depth"], params["seed"]) == ("3", "7")
    losses = [(one.key, one.step, one.value) for one in loop.registry.metrics[outcome["run_id"]]]
    assert losses == [("loss", 0, 1.0), ("loss", 1, 0.5), ("loss", 2, 1 / 3)]


def test_the_trainer_sees_the_training_window_and_never_a_row_of_the_holdout(trained):
    loop, outcome, _ = trained
    params = loop.registry.params[outcome["run_id"]]
    assert params["rows"] == str(20 * 120)
    assert pd.Timestamp(params["first"]) == HOLDOUT - 20 * DAY
    assert pd.Timestamp(params["last"]) == HOLDOUT - timedelta(minutes=12)
    assert params["columns"] == "ts,request_id,x,z,region,y"


def test_the_provenance_says_what_made_the_version_and_its_digest_is_a_tag(trained):
    loop, outcome, version = trained
    record_ = stored_json(loop, outcome, "ifp/provenance.json")
    assert digest_json(record_) == version.tags["ifp.provenance_digest"]
    assert record_["code"]["files"] == ["entrypoint_linear.py"]
    assert record_["code"]["source_digest"].startswith("sha256:")
    data = record_["data"][0]
    assert (data["rows"], data["label"], data["features"]) == (2_400, "y", ["x", "z", "region"])
    window = {"start": "2024-01-07T00:00:00+00:00", "end": "2024-01-27T00:00:00+00:00"}
    assert (data["window"], record_["holdout"]["window"]["start"]) == (window, window["end"])
    assert record_["build"]["data_digest"] == data["content_digest"]
    assert record_["seeds"] == {"python": 7, "python_hash": 7, "numpy": 7, "torch": 7}
    assert record_["durations"].keys() == {"read", "train"}
    assert data["content_digest"] == version.tags["ifp.data_digest"]
    assert data["source_id"].startswith(str(loop.home / "data"))
    assert (record_["seed"], record_["params"]["depth"], record_["params"]["rows"]) == (7, 3, "2400")
    assert record_["mlflow_run"] == outcome["run_id"]
    assert record_["determinism"]["python_hash_seed"] == "7"
    assert record_["environment"]["distributions"]["numpy"] == np.__version__
    assert record_["hardware"]["cores"] >= 1


def test_the_profile_is_that_of_the_training_window(trained):
    loop, outcome, _ = trained
    profile = Profile.from_json(stored_json(loop, outcome, "ifp/profile.json"), where="the test")
    assert profile.rows == 2_400
    assert [feature.name for feature in profile.features] == ["x", "z", "region"]


def test_the_version_answers_from_the_registry_alone(trained, tmp_path):
    loop, _, version = trained
    fetch(loop.registry, version, tmp_path / "model")
    rows = loop.rows(NOW, 1).to_pandas()
    answers = open_model(tmp_path / "model").predict(rows[["x", "z", "region"]])
    assert np.sqrt(np.mean((answers["prediction"] - rows["y"]) ** 2)) < 0.6


def test_no_work_is_left_and_no_checkpoints(trained):
    loop, _, _ = trained
    assert not (loop.home / "work").exists()
    assert list((loop.home / "checkpoints" / "demand").iterdir()) == []


def test_the_same_build_key_trains_nothing_and_gives_the_registered_version(trained, caplog):
    caplog.set_level(logging.INFO)
    loop, outcome, _ = trained

    class Unused:
        def run(self, *_, **__):
            pytest.fail("a trainer was started")

    loop, launcher = trained[0], trained[0].launcher
    loop.launcher, runs = Unused(), len(loop.statuses)
    try:
        again = loop.train(params={"depth": 3}, nonce="second attempt")
    finally:
        loop.launcher = launcher
    assert again == {**outcome, "reused": True}
    assert "demand: version 1 has the same build key; nothing is trained" in caplog.messages
    assert len(loop.statuses) == runs
    assert not (loop.home / "work").exists()


def key(loop, *, policy=None, params=None):
    return prepare(policy or loop.policy(), NOW, params or {}).build.key


def test_another_seed_param_window_feature_or_label_is_another_build_key(loop):
    keys = [
        key(loop),
        key(loop, params={"depth": 4}),
        key(loop, policy=loop.policy(train={"seed": 8})),
        key(loop, policy=loop.policy(data={"train_window": "19d"})),
        key(loop, policy=loop.policy(data={"features": ["x", "region"]})),
        key(loop, policy=loop.policy(data={"categorical": ["region", "z"]})),
        key(loop, policy=loop.policy(data={"label": "z", "features": ["x"]})),
    ]
    assert len(set(keys)) == len(keys)


def test_other_data_or_code_is_another_build_key_and_the_same_rows_in_another_order_are_not(loop):
    rows = loop.rows(datetime(2024, 1, 1, tzinfo=UTC), days=60)
    before = key(loop)
    loop.write_data(rows.take(np.arange(rows.num_rows)[::-1]).select([*reversed(rows.column_names)]))
    in_another_order = key(loop, policy=loop.policy(data={"features": ["x", "z", "region"]}))
    assert in_another_order == before
    within = pc.equal(rows["ts"], pc.max(pc.filter(rows["ts"], pc.less(rows["ts"], HOLDOUT))))
    changed = pc.if_else(within, pc.add(rows["x"], 1e-9), rows["x"])
    loop.write_data(rows.set_column(rows.schema.get_field_index("x"), "x", changed))
    assert key(loop) != before
    loop.write_data(rows)
    assert key(loop) == before
    script = loop.home / "entrypoint_linear.py"
    script.write_text(script.read_text() + "\n# another line\n")
    assert key(loop) != before


def test_rows_of_the_holdout_do_not_count_for_the_build_key(loop):
    rows = loop.rows(datetime(2024, 1, 1, tzinfo=UTC), days=60)
    before = key(loop)
    loop.write_data(rows.filter(pc.less(rows["ts"], HOLDOUT)))
    assert key(loop) == before


def test_with_a_manifest_the_files_are_the_key_and_no_row_is_read_for_it(loop):
    policy = loop.policy(data={"digest": "manifest"})
    prepared = prepare(policy, NOW, {})
    before = prepared.build.key
    assert "rows" not in prepared.__dict__
    assert key(loop, policy=policy) == before
    loop.write_data(loop.rows(datetime(2024, 1, 1, tzinfo=UTC), days=60))
    assert key(loop, policy=policy) != before  # the same rows, written again


def test_with_a_manifest_a_version_says_both_digests_and_is_reused(loop):
    policy = loop.policy(data={"digest": "manifest"})
    outcome = loop.train(policy=policy)
    data = stored_json(loop, outcome, "ifp/provenance.json")["data"][0]
    assert data["content_digest"] != data["manifest_digest"]
    version = loop.registry.version("demand", outcome["version"])
    assert version.tags["ifp.data_digest"] == data["manifest_digest"]
    assert loop.train(policy=policy)["reused"]


def test_a_training_says_what_changed_since_the_version_before(loop):
    loop.train()
    again = loop.train(policy=loop.policy(data={"train_window": "10d"}), params={"depth": 4})
    assert loop.registry.runs[again["run_id"]][BECAUSE] == (
        "since version 1: data_digest differs: 2,400 rows -> 1,200 rows; params.depth differs: none -> 4"
    )


def test_without_reuse_the_same_build_is_trained_again_and_its_files_are_stored_once(loop):
    policy = loop.policy(train={"reuse": False})
    first, second = loop.train(policy=policy), loop.train(policy=policy)
    assert (first["version"], second["version"], second["reused"]) == ("1", "2", False)
    assert loop.registry.runs[second["run_id"]][BECAUSE] == "train.reuse is false"
    assert second["content_digest"] == first["content_digest"]
    assert len(loop.registry.stored_models("demand")) == 1


@pytest.fixture
def reused(loop):
    """Two versions in the registry, and what a training would say that found the second again."""
    versions = [loop.register(lambda frame, slope=slope: frame["x"] * slope) for slope in (1.0, 2.0)]
    return {"model": "demand", "version": versions[1], "reused": True}


def test_a_new_version_and_a_reused_one_that_nobody_judged_go_on(loop, reused):
    assert reason_to_stop(loop.registry, reused | {"reused": False}) is None
    assert reason_to_stop(loop.registry, reused) is None
    loop.judge("2")
    assert reason_to_stop(loop.registry, reused) is None


def test_a_reused_version_in_production_stops_the_run(loop, reused):
    loop.put("2")
    stop = reason_to_stop(loop.registry, reused)
    assert stop == (
        "the same code, data, params, seed and environment gave version 2, which is in production already"
    )


def test_a_reused_version_that_failed_its_gate_stops_the_run(loop, reused):
    loop.judge("2", promotes=False, reason="rmse 0.9 > 0.8 = maximum")
    stop = reason_to_stop(loop.registry, reused)
    assert stop.endswith("version 2, which did not pass its gate (rmse 0.9 > 0.8 = maximum)")


def test_a_reused_version_that_was_rolled_back_stops_the_run(loop, reused):
    for version in ("1", "2"):
        loop.put(version)
    roll_back(loop.registry, "demand", attempt=loop.attempt(by="person"))
    assert reason_to_stop(loop.registry, reused).endswith("version 2, which was rolled back")
    assert reason_to_stop(loop.registry, reused | {"version": "1"}).endswith("in production already")


def test_with_a_named_environment_only_those_distributions_are_in_the_key_and_all_are_on_record(loop):
    every, named = key(loop), key(loop, policy=loop.policy(train={"environment": ["numpy"]}))
    assert named != every
    outcome = loop.train(policy=loop.policy(train={"environment": ["numpy"]}))
    assert outcome["build_key"] == named
    listed = stored_json(loop, outcome, "ifp/provenance.json")["environment"]["distributions"]
    assert "pandas" in listed


def test_a_named_distribution_that_is_not_installed_is_an_error_with_the_nearest_name(loop):
    with pytest.raises(PolicyError, match=r"train\.environment: 'numpi' is not installed.*'numpy'"):
        loop.train(policy=loop.policy(train={"environment": ["numpi"]}))
    loop.require_untouched()
