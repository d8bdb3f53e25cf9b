"""Versions answer side by side, each in a process of its own and with its own code."""

import json
import re
import sys
from dataclasses import asdict

import pyarrow as pa
import pytest

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.scorer import Order, main, score

pytestmark = pytest.mark.usefixtures("mlflow_models")
ROWS = pa.table({"a": [1.0, 2.0, None], "n": pa.array([1, None, 3], pa.int64()), "kind": ["x", None, "y"]})
# What a version brings: a module, which imports another one of the same name in both versions.
MODULE = """
from scored_part import FACTOR

class Doubles:
    def predict(self, frame):
        return frame["a"].fillna(0.0) * FACTOR
"""
PART = "FACTOR = {factor}\n"
FAILS = """
class Fails:
    def predict(self, frame):
        print("said before it failed")
        return frame["no such column"]
"""
SCORES = """
class Scores:
    def predict(self, frame):
        return frame["kind"].fillna("none")

    def predict_proba(self, frame):
        return [[0.2, 0.3, 0.5]] * len(frame)
"""
SLEEPS = """
import time

class Sleeps:
    def predict(self, frame):
        time.sleep(600)
"""
FROZEN = """
class Frozen:
    def predict(self, frame):
        if len(frame) != 1:
            raise RuntimeError("expected input shape[0] to be 1")
        return frame["a"]
"""
CHANGING = """
import pandas as pd

class Changing:
    def predict(self, frame):
        answers = pd.DataFrame({"prediction": frame["a"]})
        return answers.assign(score=0.5) if len(frame) > 5 else answers
"""
UNLOADABLE = """
class Unloadable:
    def __setstate__(self, state):
        raise RuntimeError("CUDA is not available")

    def __init__(self):
        self.here = True

    def predict(self, frame):
        return []
"""


@pytest.fixture
def version(tmp_path, monkeypatch):
    """Saves a version of a model whose class is in a module named alike in all of them."""
    made = []
    # MLflow puts each opened model's code before all else, for good.
    monkeypatch.setattr(sys, "path", list(sys.path))

    def save(code, name, **parts):
        folder = tmp_path / f"version-{len(made)}"
        sources = folder / "sources"
        sources.mkdir(parents=True)
        (sources / "scored_module.py").write_text(code)
        for part, text in parts.items():
            (sources / f"{part}.py").write_text(text)
        files = {path.name: str(path) for path in sources.iterdir()}
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(sources))
            module = __import__("scored_module")
            save_model(getattr(module, name)(), folder / "model", code=files)
        forget()
        made.append(folder / "model")
        return made[-1]

    yield save
    forget()


def forget():
    for name in ("scored_module", "scored_part"):
        sys.modules.pop(name, None)


def test_two_versions_with_modules_of_the_same_names_answer_each_with_its_own_code(version, tmp_path):
    folders = [version(MODULE, "Doubles", scored_part=PART.format(factor=factor)) for factor in (2, 10)]
    scored = score(folders, ROWS, tmp_path)
    assert [one.require("it").to_pydict() for one in scored] == [
        {"prediction": [2.0, 4.0, 0.0]},
        {"prediction": [10.0, 20.0, 0.0]},
    ]
    facts = scored[0].facts
    assert 20 < facts.peak_mb < 5_000
    assert 0 < facts.load_seconds < 200
    assert "scored_module" not in sys.modules


def test_a_version_that_raises_fails_the_scoring_with_the_cause(version, tmp_path):
    [scored] = score([version(FAILS, "Fails")], ROWS, tmp_path)
    assert scored.answers is None
    with pytest.raises(ModelError, match="scoring with version 3 failed: said before it failed") as caught:
        scored.require("version 3")
    assert "a batch of 1 rows: KeyError: 'no such column'" in str(caught.value)


def test_a_version_that_never_answers_is_stopped(version, tmp_path):
    [scored] = score([version(SLEEPS, "Sleeps")], ROWS, tmp_path, timeout=8)
    assert scored.problem == "it did not load and answer within 8 s and was stopped"


def answered(folder, tmp_path):
    """What the scorer's process would answer, in this one: its exit code and what it wrote."""
    frame, answers = tmp_path / "frame.arrow", tmp_path / "answers.arrow"
    with pa.OSFile(str(frame), "wb") as sink, pa.ipc.new_file(sink, ROWS.schema) as writer:
        writer.write_table(ROWS)
    order = Order(
        folder=str(folder), frame=str(frame), answers=str(answers), facts=str(tmp_path / "facts.json")
    )
    (tmp_path / "order.json").write_text(json.dumps(asdict(order)))
    code = main([str(tmp_path / "order.json")])
    if not answers.exists():
        return code, None
    with pa.OSFile(str(answers), "rb") as source:
        return code, pa.ipc.open_file(source).read_all().to_pydict()


def test_text_and_scores_of_each_class_pass_between_the_processes(version, tmp_path):
    assert answered(version(SCORES, "Scores"), tmp_path) == (
        0,
        {"prediction": ["x", "none", "y"], "score": [[0.2, 0.3, 0.5]] * 3},
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ((FROZEN, "Frozen"), "a batch of 2 rows: RuntimeError: .*exported with an example of one size: "),
        (
            (CHANGING, "Changing"),
            r"a batch of 7 rows is answered with \['prediction', 'score'\], 3 rows with",
        ),
    ],
)
def test_a_version_must_answer_batches_of_every_size_alike(version, tmp_path, capsys, model, message):
    assert answered(version(*model), tmp_path) == (1, None)
    assert re.search(message, capsys.readouterr().out)


def test_a_version_that_does_not_load_is_told_with_the_cause(version, tmp_path, capsys):
    folder = version(UNLOADABLE, "Unloadable")
    assert answered(folder, tmp_path) == (1, None)
    said = capsys.readouterr().out
    assert said.startswith("ModelError: the model in ")
    assert "does not load: RuntimeError: CUDA is not available" in said


def test_a_folder_that_is_no_model_is_told(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert answered(tmp_path / "empty", tmp_path) == (1, None)
    assert capsys.readouterr().out.startswith("ModelError: the model in ")
