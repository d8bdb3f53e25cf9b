"""A trained object becomes files and an object again, and the same training gives the same files."""

import os
import subprocess
import sys
from importlib import import_module
from textwrap import dedent
from threading import Lock

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from airflow_provider_ifp.adapters.data.fingerprint import folder_manifest
from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.training.loading import open_model
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.registration import content_digest

pytestmark = pytest.mark.usefixtures("mlflow_models")
FRAME = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})


class Answers:
    """Answers what it was made with, whatever it is asked."""

    def __init__(self, answer):
        self.answer = answer

    def predict(self, frame):
        return self.answer


class Remembers(Answers):
    def predict(self, frame):
        return [list(frame)] * len(frame)


class Scores(Answers):
    def __init__(self, scores, classes=None):
        self.scores = scores
        if classes is not None:
            self.classes_ = classes

    def predict(self, frame):
        return np.zeros(len(frame))

    def predict_proba(self, frame):
        return self.scores


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.tied = self.layer.weight
        self.noise = torch.nn.Dropout(0.5)
        self.register_buffer("scale", torch.tensor(2.0))
        self.vocabulary = {"UA": 1, "AA": 2}

    def forward(self, rows):
        return self.noise(self.layer(rows)) * self.scale


@pytest.fixture
def reopened(tmp_path):
    """Save a model and open it again, as whoever downloads it does."""

    def through(model, **facts):
        folder = tmp_path / "model"
        save_model(model, folder, **facts)
        return open_model(folder)

    return through


def answers_of(model, rows=FRAME):
    return model.predict(rows).to_dict("list")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        (np.array([1.5, 2.5, 3.5, 4.5]), [1.5, 2.5, 3.5, 4.5]),
        (np.array([[1.0], [2.0], [3.0], [4.0]]), [1.0, 2.0, 3.0, 4.0]),
        (np.array([[1.0, 2.0]] * 4), [[1.0, 2.0]] * 4),
        (pd.Series(["x", "y", "x", "y"], index=[9, 8, 7, 6]), ["x", "y", "x", "y"]),
        (torch.tensor([1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_what_a_model_answers_is_its_prediction(reopened, given, expected):
    assert answers_of(reopened(Answers(given))) == {"prediction": expected}


def test_a_frame_with_a_prediction_is_taken_as_it_is(reopened):
    answer = pd.DataFrame({"prediction": [1, 2, 3, 4], "score": [0.1, 0.2, 0.3, 0.4]}, index=[4, 5, 6, 7])
    answered = reopened(Answers(answer)).predict(FRAME)
    pd.testing.assert_frame_equal(answered, answer.reset_index(drop=True))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([1, 2, 3], r"shape \(3,\) for 4 rows: expected \(4,\)"),
        (7.0, r"shape \(\) for 4 rows"),
        (np.zeros((2, 4)), r"shape \(2, 4\) for 4 rows"),
        (pd.DataFrame({"answer": [1, 2, 3, 4]}), r"columns \['answer'\]: expected 'prediction' among them"),
        (pd.DataFrame({"prediction": [1, 2]}), "answered 2 rows for 4: expected one answer a row"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_tells_it(reopened, answer, told):
    model = reopened(Answers(answer))
    with pytest.raises(ModelError, match=told):
        model.predict(FRAME)


def test_a_model_sees_its_features_alone_and_in_their_order(reopened):
    model = reopened(Remembers(None), features=["b", "a"])
    assert answers_of(model, FRAME.assign(label=1)) == {"prediction": [["b", "a"]] * 4}
    with pytest.raises(ModelError, match=r"lacks the columns \['b'\]: expected \['b', 'a'\], got \['a'\]"):
        model.predict(FRAME[["a"]])


def test_a_model_without_features_sees_whatever_is_sent(reopened):
    assert answers_of(reopened(Remembers(None))) == {"prediction": [["a", "b"]] * 4}


@pytest.mark.parametrize(
    ("labels", "positive", "column"),
    [
        ([0, 0, 1, 1], None, 1),
        ([0, 0, 1, 1], 0, 0),
        ([False, False, True, True], None, 1),
        ([False, False, True, True], False, 0),
        (["late", "late", "on time", "on time"], None, 1),
        (["late", "late", "on time", "on time"], "late", 0),
        ([1, 1, 2, 2], None, 0),
        ([-1, -1, 1, 1], None, 1),
        ([3, 3, 5, 5], None, 1),
    ],
)
def test_a_classifiers_score_is_the_probability_of_its_positive_class(reopened, labels, positive, column):
    classifier = LogisticRegression().fit(FRAME, labels)
    answered = answers_of(reopened(classifier, positive=positive))
    assert answered["prediction"] == list(classifier.predict(FRAME))
    assert answered["score"] == list(classifier.predict_proba(FRAME)[:, column])


def test_a_positive_class_that_the_model_does_not_know_is_an_error_that_tells_its_classes(reopened):
    model = reopened(LogisticRegression().fit(FRAME, ["no", "no", "yes", "yes"]), positive="true")
    with pytest.raises(ModelError, match=r"'true' is none of the model's classes \['no', 'yes'\]"):
        model.predict(FRAME)


def test_of_three_classes_each_has_its_score(reopened):
    classifier = LogisticRegression().fit(FRAME, ["x", "y", "z", "z"])
    answered = answers_of(reopened(classifier))
    assert answered["score"] == classifier.predict_proba(FRAME).tolist()


@pytest.mark.parametrize("positive", [None, 1, 0])
def test_scores_may_be_plain_lists_and_classes_unnamed(reopened, positive):
    answered = answers_of(reopened(Scores([[0.9, 0.1]] * 4), positive=positive))
    assert answered["score"] == [0.9 if positive == 0 else 0.1] * 4


def test_scores_for_another_number_of_rows_are_an_error(reopened):
    model = reopened(Scores([[0.9, 0.1]] * 3))
    with pytest.raises(ModelError, match=r"predict_proba answered an array of shape \(3, 2\) for 4 rows"):
        model.predict(FRAME)


def test_what_has_no_probabilities_has_no_score(reopened):
    assert list(answers_of(reopened(LinearRegression().fit(FRAME, [1, 2, 3, 4])))) == ["prediction"]


def test_a_torch_module_is_called_with_its_features_and_never_in_training_mode(reopened):
    torch.manual_seed(7)
    net = Net()
    assert net.training
    model = reopened(net, features=["b", "a"])
    with torch.no_grad():
        expected = net.eval()(torch.tensor(FRAME[["b", "a"]].to_numpy(np.float32)))
    assert answers_of(model) == {"prediction": expected[:, 0].tolist()}
    assert answers_of(model) == answers_of(model)


def test_a_torch_modules_tensors_come_back_as_they_were(tmp_path):
    from airflow_provider_ifp.training.model_files import load_object

    net = Net()
    net.layer.bias.requires_grad_(False)
    save_model(net, tmp_path / "model", positive="late")
    data = next(tmp_path.glob("model/**/tensors.safetensors")).parent
    found, facts = load_object(data)
    assert found.tied is found.layer.weight
    assert isinstance(found.layer.weight, torch.nn.Parameter)
    assert not found.layer.bias.requires_grad
    assert {name: value.tolist() for name, value in found.state_dict().items()} == {
        name: value.tolist() for name, value in net.state_dict().items()
    }
    assert found.vocabulary == net.vocabulary
    assert facts == {"features": [], "format": "ifp.model/1", "positive": "late"}


@pytest.mark.parametrize(
    "model", [Net(), LogisticRegression().fit(FRAME, [0, 0, 1, 1]), Answers([1, 2, 3, 4])]
)
def test_saving_changes_nothing_and_does_so_alike_each_time(tmp_path, model):
    for name in ("one", "two"):
        save_model(model, tmp_path / name, features=["a", "b"])
    manifests = [folder_manifest(tmp_path / name) for name in ("one", "two")]
    differing = {path for path in manifests[0] if manifests[0][path] != manifests[1][path]}
    assert manifests[0].keys() == manifests[1].keys()
    assert differing <= {"MLmodel"}
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")


TRAINING = """
    import sys
    import torch

    from airflow_provider_ifp.training.model_files import save_model

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)
            self.history = []

        def forward(self, rows):
            return self.layer(rows)

    def train(folder):
        torch.manual_seed(7)
        net = Net()
        rows = torch.randn(64, 2)
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(3):
            loss = net(rows).square().mean()
            loss.backward()
            optimizer.step()
            net.history.append(loss.item())
        save_model(net, folder, features=["a", "b"], code={"trains_alike.py": __file__})
"""
CHILD = """
    import sys, warnings
    from pathlib import Path

    warnings.simplefilter("ignore")
    import trains_alike

    trains_alike.train(Path(sys.argv[1]))
"""


def test_the_same_training_in_another_process_gives_the_same_bytes_and_digest(tmp_path, monkeypatch):
    (tmp_path / "trains_alike.py").write_text(dedent(TRAINING))
    monkeypatch.syspath_prepend(str(tmp_path))
    command = [sys.executable, "-c", dedent(CHILD), str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, env=environment) as child:
        import_module("trains_alike").train(tmp_path / "one")
    assert child.returncode == 0
    manifests = [folder_manifest(tmp_path / name) for name in ("one", "two")]
    assert manifests[0].keys() == manifests[1].keys()
    assert {path for path in manifests[0] if manifests[0][path] != manifests[1][path]} == {"MLmodel"}
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")


def test_other_weights_are_another_content(tmp_path):
    for name in ("one", "two"):
        save_model(Net(), tmp_path / name)
    assert content_digest(tmp_path / "one") != content_digest(tmp_path / "two")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (None, "a NoneType cannot be registered: expected an object with predict"),
        ("flight-time", "a str cannot be registered"),
        (torch.zeros(3), "a Tensor cannot be registered"),
        (LogisticRegression, "the class LogisticRegression cannot be registered: expected a trained object"),
        (torch.nn.Linear, "the class Linear cannot be registered"),
        (Answers(Lock()), "a Answers cannot be saved: TypeError: cannot pickle '_thread.lock'"),
        (Answers(torch.zeros(2).to_sparse()), "a Answers cannot be saved"),
    ],
)
def test_what_cannot_be_a_model_is_refused_with_what_it_is(tmp_path, model, told):
    with pytest.raises(ModelError, match=told):
        save_model(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_model_whose_class_is_gone_does_not_load_and_names_it(tmp_path, monkeypatch):
    (tmp_path / "gone_module.py").write_text("class Gone:\n    def predict(self, frame):\n        return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = import_module("gone_module")
    save_model(module.Gone(), tmp_path / "model")
    monkeypatch.undo()
    del sys.modules["gone_module"]
    with pytest.raises(ModelError, match="does not load: ModuleNotFoundError: No module named 'gone_module'"):
        open_model(tmp_path / "model")


def test_what_a_version_needs_is_written_beside_it(tmp_path):
    save_model(Answers(1), tmp_path / "plain", requirements=["scikit-learn==1.9.1"])
    save_model(Net(), tmp_path / "net")
    plain, net = (
        {line.partition("==")[0]: line for line in (tmp_path / name / "requirements.txt").read_text().split()}
        for name in ("plain", "net")
    )
    assert {"airflow-provider-ifp", "cloudpickle", "pandas", "scikit-learn"} <= set(plain)
    assert "torch" not in plain
    # What is installed from a wheel of its own is on no index under that name.
    assert net["torch"] == f"torch=={torch.__version__.partition('+')[0]}"


def define(slope):
    """A class as a notebook's cell defines it: new each time, and in no module that could be imported."""
    namespace = {"__name__": "__main__", "__builtins__": __builtins__}
    source = f"class Line:\n    def predict(self, frame):\n        return frame['x'] * {slope}\n"
    exec(compile(source, "cell", "exec"), namespace)
    return namespace["Line"]()


def test_a_class_of_a_notebook_has_the_same_bytes_each_time_and_another_class_has_others(tmp_path):
    pickles = []
    for place, slope in enumerate((2, 2, 3)):
        folder = tmp_path / f"model-{place}"
        save_model(define(slope), folder)
        pickles += (path.read_bytes() for path in folder.rglob("model.pkl"))
    assert len(pickles) == 3
    assert pickles[0] == pickles[1] != pickles[2]


def test_two_versions_of_a_notebooks_class_answer_each_in_its_own_way_in_one_process(tmp_path):
    answers = []
    for slope in (2, 3):
        folder = tmp_path / f"model-{slope}"
        save_model(define(slope), folder)
        opened = open_model(folder)
        answers.append(opened.predict(pd.DataFrame({"x": [10.0]}))["prediction"].tolist())
    assert answers == [[20.0], [30.0]]


def test_what_a_model_refers_to_is_named_in_its_requirements_and_what_it_only_mentions_is_not(tmp_path):
    source = tmp_path / "part.py"
    source.write_text("import json\nfrom scipy import stats\nimport airflow_provider_ifp\nimport mlflow\n")

    class Numbers:
        words = "pydantic is mentioned"

        def predict(self, frame):
            return np.asarray(frame["x"])

    save_model(Numbers(), tmp_path / "model", code={"part.py": str(source)})
    lines = (tmp_path / "model" / "requirements.txt").read_text().split()
    names = {line.partition("==")[0] for line in lines}
    assert names == {"mlflow", "airflow-provider-ifp", "cloudpickle", "pandas", "numpy", "scipy"}
    assert f"numpy=={np.__version__}" in lines
