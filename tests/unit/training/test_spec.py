"""The files between a task and its trainer."""

import json

import pytest

from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.training.spec import Result, Spec, write_json


def spec(folder, **changes):
    known = {
        "model": "flight-time",
        "entrypoint": "my_pkg.training:train",
        "params": {"rate": 0.001, "layers": [64, 32], "nested": {"a": None}},
        "seed": 7,
        "data": "/work/data.arrow",
        "label": "air_time",
        "positive": True,
        "features": ["distance", "block"],
        "code": {"my_pkg/training.py": "/src/my_pkg/training.py"},
        "checkpoints": "/checkpoints",
        "output": str(folder),
    }
    return Spec(**(known | changes))


RESULT = Result(
    model_folder="/work/model",
    tags={"team": "x"},
    params={"rate": "0.001"},
    device="cpu",
    hardware={"cores": 2, "gpus": []},
    determinism={"world_size": 1, "cudnn": None},
    seconds=1.5,
)


def test_the_trainer_reads_the_spec_that_the_task_wrote(tmp_path):
    written = spec(tmp_path)
    path = written.write()
    assert path == tmp_path / "spec.json"
    assert Spec.read(path) == written


def test_a_minimal_spec_has_neither_data_nor_label(tmp_path):
    minimal = Spec(model="m", entrypoint="train.py", checkpoints="c", output=str(tmp_path))
    read = Spec.read(minimal.write())
    assert (read.data, read.label, read.positive, read.seed) == (None, None, None, 0)
    assert (read.params, read.features, read.code) == ({}, [], {})


def test_the_task_reads_the_result_that_the_trainer_wrote(tmp_path):
    RESULT.write(tmp_path)
    assert Result.read(tmp_path) == RESULT


def test_without_a_result_training_did_not_end_well(tmp_path):
    with pytest.raises(TrainingError, match=r"left no .*result\.json: .*nothing is registered"):
        Result.read(tmp_path)


def test_a_result_that_was_cut_off_is_none(tmp_path):
    path = RESULT.write(tmp_path)
    path.rename(tmp_path / "result.json.partial")
    with pytest.raises(TrainingError):
        Result.read(tmp_path)


def test_a_file_is_replaced_whole_and_nothing_lies_beside_it(tmp_path):
    path = write_json(tmp_path / "error.json", {"kind": "a"})
    write_json(path, {"kind": "b"})
    assert json.loads(path.read_text()) == {"kind": "b"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["error.json"]


def test_a_value_that_cannot_be_written_leaves_what_was_there(tmp_path):
    path = write_json(tmp_path / "error.json", {"kind": "a"})
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        write_json(path, circle)
    assert json.loads(path.read_text()) == {"kind": "a"}
