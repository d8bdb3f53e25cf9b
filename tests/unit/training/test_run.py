"""What a training function gets, and what of it reaches the task."""

import json
import math

import pyarrow as pa
import pytest

from airflow_provider_ifp.core.errors import LossNotFiniteError, TrainingError
from airflow_provider_ifp.training.run import TrainingRun
from airflow_provider_ifp.training.spec import Spec

ROWS = pa.table({"distance": [1.0, 2.0], "carrier": ["UA", None], "air_time": [10, 20]})


@pytest.fixture
def launch(tmp_path):
    def with_(table=ROWS, **changes):
        file = tmp_path / "data.arrow"
        if table is not None:
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        known = {
            "model": "m",
            "entrypoint": "script.py",
            "params": {"layers": [64, 32]},
            "seed": 7,
            "data": None if table is None else str(file),
            "checkpoints": str(tmp_path / "checkpoints"),
            "output": str(tmp_path),
        }
        return TrainingRun(Spec(**(known | changes)))

    return with_


@pytest.fixture
def events(tmp_path):
    def read():
        file = tmp_path / "events.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read


def test_a_run_knows_its_params_seed_and_checkpoints(launch, tmp_path):
    run = launch()
    assert (run.params, run.seed, run.checkpoints) == ({"layers": [64, 32]}, 7, tmp_path / "checkpoints")
    assert run.device in {"cpu", "cuda"}


def test_params_changed_by_the_training_function_change_no_spec(launch, tmp_path):
    spec = Spec(model="m", entrypoint="s.py", params={"a": 1}, checkpoints="c", output=str(tmp_path))
    TrainingRun(spec).params["a"] = 2
    assert spec.params == {"a": 1}


def test_the_training_window_comes_as_an_arrow_table_or_a_frame(launch):
    run = launch()
    assert run.data("arrow").equals(ROWS)
    frame = run.data("pandas")
    assert frame["distance"].tolist() == [1.0, 2.0]
    assert list(frame) == ROWS.column_names
    assert run.data().equals(frame)


def test_a_frame_can_be_changed_without_changing_what_is_read_next(launch):
    run = launch()
    frame = run.data("pandas")
    frame["distance"] = 0.0
    frame.loc[0, "air_time"] = -1
    assert run.data("arrow").equals(ROWS)


def test_data_of_another_kind_or_of_a_run_without_any_is_told(launch):
    with pytest.raises(TrainingError, match=r"run\.data\('polars'\): expected 'arrow' or 'pandas'"):
        launch().data("polars")
    with pytest.raises(TrainingError, match="launched without data"):
        launch(table=None).data("arrow")


def test_params_and_metrics_reach_the_task_at_once_and_the_log_too(launch, events, capfd):
    run = launch()
    run.log_param("rate", 0.001)
    run.log_metric("loss", 0.25, step=3)
    run.log_metric("rmse", 12)
    param, loss, rmse = events()
    assert param == {"param": "rate", "value": "0.001"}
    assert (loss["metric"], loss["value"], loss["step"], rmse["value"], rmse["step"]) == (
        "loss",
        0.25,
        3,
        12.0,
        0,
    )
    assert loss["time"] > 1_700_000_000_000
    assert run.logged_params == {"rate": "0.001"}
    assert capfd.readouterr().out.splitlines() == [
        "param rate = 0.001",
        "metric loss = 0.25 at step 3",
        "metric rmse = 12",
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_ends_training_and_is_not_recorded(launch, events, value):
    with pytest.raises(
        LossNotFiniteError, match=rf"metric 'loss' is {value} at step 2; .* lower the learning rate"
    ):
        launch().log_metric("loss", value, step=2)
    assert events() == []


def test_a_param_is_written_once_and_never_against_the_policys(launch, events):
    run = launch()
    run.log_param("rate", 0.001)
    run.log_param("rate", 0.001)
    run.log_param("layers", [64, 32])
    for key, value, known in (("rate", 0.01, "0.001"), ("layers", [8], r"\[64, 32\]")):
        with pytest.raises(TrainingError, match=rf"run\.log_param\('{key}', .*: it is '{known}' already"):
            run.log_param(key, value)
    assert {(event["param"], event["value"]) for event in events()} == {
        ("rate", "0.001"),
        ("layers", "[64, 32]"),
    }


def test_whatever_float_takes_is_a_metric(launch, events):
    launch().log_metric("loss", pa.scalar(0.5).as_py())
    launch().log_metric("loss", "0.5")
    assert [event["value"] for event in events()] == [0.5, 0.5]


def test_register_notes_the_wish_with_its_tags_and_returns_nothing(launch):
    run, model = launch(), object()
    run.log_model(model)
    assert run.register(tags=["team:x"]) is None
    assert run.register(tags=["commit:a4f9c22"]) is None
    assert (run.model, run.registered) == (model, True)
    assert run.tags == {"team": "x", "commit": "a4f9c22"}


def test_a_tag_of_ours_is_refused_before_the_wish_is_noted(launch):
    run = launch()
    with pytest.raises(TrainingError, match=r"'ifp\.seed:1'"):
        run.register(object(), tags=["ifp.seed:1"])
    assert not run.registered
