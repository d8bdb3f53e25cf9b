"""Bad input: the message says what, where, expected against found and what next; nothing half-done is left.

What a policy file can have wrong is in `tests/unit/core/policy/test_problems.py`; a loss that is NaN, in
`test_failures.py`; an MLflow that is not there, in `test_registry_mlflow.py` too.
"""

import json
import shutil
import time

import pyarrow as pa
import pytest

import airflow_provider_ifp as ifp
from airflow_provider_ifp.adapters.policy.files import load_policy
from airflow_provider_ifp.core.errors import (
    DatasetError,
    EntrypointError,
    PolicyError,
    PredictionLogError,
    PromotionRefusedError,
    RegistryError,
    RegistryUnreachableError,
)
from airflow_provider_ifp.demo.services import free_port
from airflow_provider_ifp.loop.registry.move import promote

pytestmark = pytest.mark.usefixtures("warm_python")

DAYS = "[2024-01-07T00:00Z, 2024-01-27T00:00Z)"
SPAN = "the data spans 2024-01-01T00:00Z to 2024-02-29T23:48Z; choose another window or add the missing data"
COLUMNS = "Columns are: ts, request_id, x, z, region, y"


def well(frame):
    return 1 + 3 * frame["x"] - frame["z"] + 2 * (frame["region"] == "north")


def last_is_nan(frame):
    return frame["x"].where(frame.index != frame.index[-1])


def one_too_few(frame):
    return frame["x"].to_numpy()[:-1]


def refuses(_):
    raise ValueError("there is no region west")


def refused(loop, kind, **sections):
    """The message of a training that is refused before anything is in the registry."""
    with pytest.raises(kind) as told:
        loop.train(policy=loop.policy(**sections))
    loop.require_untouched()
    return str(told.value)


@pytest.fixture
def watched(loop):
    """Version 1 in production, with the profile of its training."""
    version = loop.register(well, profiled=loop.rows(loop.order().now.replace(month=1, day=7), days=20))
    loop.put(version)
    return loop


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "train: {entrypoint: a.py}\ndata: {lable: y}\n",
            "2:8: data.lable: unknown key; did you mean 'label'?",
        ),
        ("trian: {entrypoint: a.py}\n", "1:1: trian: unknown key; did you mean 'train'?"),
        ("train:\n  seed: seven\n", "2:3: train.seed: expected a whole number, found text 'seven'"),
        ("validation:\n  min_acu: 1\n", "2:3: validation.min_acu: unknown metric 'acu'; did you mean 'auc'?"),
        (
            "validation:\n  min_f1: 0.8\n  metric: acu\n",
            "3:3: validation.metric: unknown metric 'acu'; did you mean 'auc'?",
        ),
        (
            "data: {train_window: 20 days}\n",
            "1:8: data.train_window: expected a duration such as 30m, 48h, 7d or 2w, found '20 days'",
        ),
    ],
)
def test_a_policy_file_that_is_wrong_is_told_with_file_line_and_key(tmp_path, written, told):
    file = tmp_path / "demand.yaml"
    file.write_text(written)
    with pytest.raises(PolicyError) as caught:
        load_policy(file)
    assert str(caught.value) == f"{file}:{told}"


def test_a_policy_that_lacks_what_training_needs_lists_it(loop):
    told = refused(loop, PolicyError, data={"label": None, "source": None}, train={"entrypoint": None})
    assert told.startswith("data.source, data.label, train.entrypoint: missing; the training Dag of demand")


@pytest.mark.parametrize(
    ("entrypoint", "told"),
    [
        ("nowhere.py", "there is no script {home}/nowhere.py; mend the path in the policy"),
        (
            "no_such_package.training:train",
            "no module 'no_such_package' can be found for 'no_such_package.training:train'; install it",
        ),
        ("train", "'train' is neither 'package.module:function' nor a script's path ending in .py"),
        ("broken.py", "{home}/broken.py:2: this is no valid Python: '(' was never closed"),
    ],
)
def test_an_entrypoint_that_is_not_there_is_told_before_any_run_starts(loop, entrypoint, told):
    (loop.home / "broken.py").write_text("def train(run):\n    return (\n")
    message = refused(loop, EntrypointError, train={"entrypoint": entrypoint})
    assert message.startswith("train.entrypoint: " + told.format(home=loop.home))


def test_an_entrypoint_that_does_not_import_names_the_cause_and_registers_nothing(loop):
    script = loop.home / "imports.py"
    script.write_text("import torhc\n\ndef train(run): ...\n")
    with pytest.raises(EntrypointError) as told:
        loop.train(policy=loop.policy(train={"entrypoint": "imports.py"}))
    assert str(told.value).startswith(
        f"train.entrypoint: {script} does not import: ModuleNotFoundError: No module named 'torhc'"
    )
    loop.require_untouched(["FAILED"])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            {"source": "nowhere"},
            "{home}/nowhere: no such file or folder; check data.source, or write the data",
        ),
        ({"source": "empty"}, "{home}/empty: the folder holds no file; expected Parquet or CSV files"),
        (
            {"label_delay": "900d"},
            "{home}/data: no row in the window [2021-07-21T00:00Z, 2021-08-10T00:00Z); " + SPAN,
        ),
        ({"label": "why"}, "{home}/data: no column 'why'. " + COLUMNS),
        ({"label": "yy"}, "{home}/data: no column 'yy'; did you mean 'y'? " + COLUMNS),
        ({"time_column": "tss"}, "{home}/data: no column 'tss'; did you mean 'ts'? " + COLUMNS),
        ({"features": ["x", "zed"]}, "data.features: no column 'zed'. " + COLUMNS),
        (
            {"time_column": "x", "features": ["z"]},
            "{home}/data: time column 'x' is double, expected a timestamp; store it as one",
        ),
    ],
)
def test_data_that_is_missing_empty_or_lacks_a_column_is_told_before_any_run_starts(loop, data, told):
    (loop.home / "empty").mkdir()
    assert refused(loop, DatasetError, data=data).startswith(told.format(home=loop.home))


def test_data_without_a_label_is_told_with_how_many_rows_were_looked_at(loop):
    rows = loop.rows(loop.order().now.replace(month=1), days=31)
    place = rows.schema.get_field_index("y")
    loop.write_data(rows.set_column(place, "y", pa.nulls(rows.num_rows, pa.float64())))
    assert refused(loop, DatasetError) == (
        f"{loop.home}/data: none of the 2,400 rows in {DAYS} has a value in the label's column 'y'; wait for "
        "the labels (data.label_delay), or name another column in data.label"
    )


def track(uri):
    with ifp.track("demand", tracking_uri=uri):
        pytest.fail("the block ran")


def load(uri):
    ifp.load("demand", tracking_uri=uri)


@pytest.mark.parametrize("work", [track, load])
def test_an_mlflow_that_does_not_answer_is_told_in_seconds_and_nothing_of_the_block_runs(work):
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(RegistryUnreachableError) as told:
        work(uri)
    assert time.monotonic() - started < 5
    assert str(told.value) == (
        f"MLflow at {uri} does not answer (ConnectionError); start it, or mend the connection "
        "'ifp_default' or MLFLOW_TRACKING_URI"
    )


@pytest.mark.parametrize("mode", ["enforce", "dry_run"])
def test_a_model_that_answers_nan_fails_its_gate_in_dry_run_too_and_that_is_recorded(loop, mode):
    version = loop.register(last_is_nan)
    verdict = loop.validate(version, policy=loop.policy(validation={"mode": mode}))
    assert (verdict.verdict, verdict.enforced, verdict.promotes) == ("fail", True, False)
    assert verdict.reason == "1 of 600 predictions are NaN"
    run_id = loop.registry.version("demand", version).run_id
    assert json.loads(loop.registry.get_file(run_id, "ifp/validation.json")) == verdict.to_json()
    [event] = loop.ledger.events
    assert (event.action, event.version, event.verdict, event.promotes) == ("judge", version, "fail", False)
    with pytest.raises(PromotionRefusedError, match="version 1 to staging: its gate said fail"):
        promote(loop.registry, "demand", version, "staging", attempt=loop.attempt())
    assert loop.registry.aliases("demand") == {}


@pytest.mark.parametrize(
    ("predict", "told"),
    [
        (one_too_few, "a batch of 1 rows: ModelError: the model answered an array of shape (0,) for 1 rows"),
        (refuses, "ValueError: there is no region west"),
    ],
)
def test_a_model_that_cannot_answer_fails_its_gate_and_that_is_recorded(loop, predict, told):
    version = loop.register(predict)
    verdict = loop.validate(version)
    assert (verdict.verdict, verdict.promotes) == ("fail", False)
    assert verdict.reason.startswith("the candidate cannot serve: ")
    assert told in verdict.reason
    assert [(event.action, event.verdict) for event in loop.ledger.events] == [("judge", "fail")]


def test_a_holdout_that_is_gone_is_told_and_no_verdict_is_recorded(loop):
    version = loop.register(well)
    shutil.rmtree(loop.home / "data")
    with pytest.raises(DatasetError, match=f"^{loop.home}/data: no such file or folder; check data.source"):
        loop.validate(version)
    require_unjudged(loop, version)


def require_unjudged(loop, version):
    run_id = loop.registry.version("demand", version).run_id
    for name in ("ifp/validation.json", "ifp/report.html"):
        assert loop.registry.get_file(run_id, name) is None
    assert loop.ledger.events == ()


def test_a_prediction_log_that_nobody_names_or_that_is_not_there_is_told(watched):
    with pytest.raises(PredictionLogError) as told:
        watched.check(policy=watched.policy(monitor={"predictions": None}))
    assert str(told.value) == (
        "demand: no prediction log is named; set monitor.predictions in the policy, or predictions in "
        "section [ifp] of airflow.cfg (AIRFLOW__IFP__PREDICTIONS)"
    )
    with pytest.raises(PredictionLogError) as told:
        watched.check()
    assert str(told.value).startswith(f"prediction log: {watched.home}/log has no folder model=demand")
    assert "let serving write there, or name the log's root in monitor.predictions" in str(told.value)


def test_a_prediction_log_without_rows_in_the_window_is_undecided_and_says_where_it_looked(watched):
    watched.write_log(watched.rows(watched.order().now.replace(month=1, day=10), days=2))
    firing = watched.check()
    assert (firing.fired, firing.decided) == (False, False)
    [reason] = firing.reasons
    assert reason == (
        "undecided: 0 rows in the window, 500 needed; looked in "
        f"{watched.home}/log/model=demand/stage=production in the window "
        "[2024-01-27T00:00Z, 2024-02-01T00:00Z); the days there are 2024-01-10 to 2024-01-11"
    )


def test_a_prediction_log_without_a_feature_is_undecided_and_names_it(watched):
    rows = watched.rows(watched.order().now.replace(month=1, day=27), days=5)
    watched.write_log(rows, names=["x", "region"])
    firing = watched.check()
    assert (firing.fired, firing.decided) == (False, False)
    assert firing.reasons == ("undecided: z: the current window does not have this feature",)


def test_a_production_version_without_a_profile_is_told(loop):
    loop.put(loop.register(well))
    with pytest.raises(RegistryError) as told:
        loop.check()
    assert str(told.value).startswith(
        "demand version 1 has no ifp/profile.json in its training run run-1, so"
    )
    assert str(told.value).endswith("a version trained by TrainOperator has one")
