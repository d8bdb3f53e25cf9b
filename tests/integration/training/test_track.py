"""`ifp.track` as the article's first snippet uses it: word for word, with a user's own model and loader."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import airflow_provider_ifp as ifp
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.demo.services import own_environment

MODEL = "revenue-forecast"
SNIPPET = """\
# A registered model version captures all three
with ifp.track("revenue-forecast") as run:
    run.log_param("learning_rate", 0.001)
    run.log_param("data_version", "v14.3")    # explicit data version
    run.log_param("framework", "pytorch-2.1.0")
    model.fit(train_loader)
    run.register(tags=["commit:a4f9c22"])
"""
OWN_MODEL = """\
import numpy as np
import airflow_provider_ifp as ifp

class Forecast:
    def fit(self, loader):
        x, y = (np.concatenate(parts) for parts in zip(*loader))
        self.weights = np.linalg.lstsq(x, y, rcond=None)[0]
        return self

    def predict(self, frame):
        return frame[["price", "visits"]].to_numpy() @ self.weights

random = np.random.default_rng(7)
train_loader = [(x, x @ [3.0, -1.0]) for x in random.normal(size=(5, 32, 2))]
model = Forecast()

"""
TORCH_MODEL = """\
import torch
import airflow_provider_ifp as ifp

class Forecast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.line(x)

    def fit(self, loader):
        steps = torch.optim.Adam(self.parameters(), lr=0.1)
        for _ in range(60):
            for x, y in loader:
                steps.zero_grad()
                torch.nn.functional.mse_loss(self(x), y).backward()
                steps.step()

torch.manual_seed(7)
x = torch.randn(160, 2)
dataset = torch.utils.data.TensorDataset(x, x @ torch.tensor([[3.0], [-1.0]]))
train_loader = torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)
model = Forecast()

"""
FRAME = pd.DataFrame({"price": [1.0, 0.0, 2.0], "visits": [0.0, 1.0, 1.0]})
EXPECTED = [3.0, -1.0, 5.0]


def run_script(text, folder, **environment):
    """Run a user's script by itself in its own folder, as `python script.py` does; returns its output."""
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=folder,
        env=own_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def registry(mlflow_uri, mlflow_models):
    return MlflowRegistry(mlflow_uri)


@pytest.fixture(scope="module")
def first(registry, tmp_path_factory):
    """The version that the snippet makes in a plain script: the first of its name on the server."""
    run_script(OWN_MODEL + SNIPPET, tmp_path_factory.mktemp("script"), MLFLOW_TRACKING_URI=registry.uri)
    [version] = registry.versions(MODEL)
    return version


@pytest.fixture
def newest(registry, first):
    """Run something that registers, and find the one version that it made."""

    def find(job):
        before = registry.versions(MODEL)
        job()
        [made] = registry.versions(MODEL)[len(before) :]
        return made

    return find


@pytest.fixture
def notebook(mlflow_uri, monkeypatch):
    """A notebook's kernel: cells run one after the other in one namespace, which is no module."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_uri)
    namespace = {"__name__": "__main__"}

    def run_cell(text):
        exec(compile(text, "<cell>", "exec"), namespace)
        return namespace

    return run_cell


def run_of(registry, version):
    return MlflowClient(registry.uri).get_run(version.run_id)


def last_run(registry):
    """The newest run of the model, whether it registered or not."""
    client = MlflowClient(registry.uri)
    experiment = client.get_experiment_by_name(MODEL)
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])[0]


@pytest.mark.server
def test_the_snippet_in_a_plain_script_registers_version_1_with_its_tag(first):
    assert (first.model, first.version) == (MODEL, "1")
    assert first.tags["commit"] == "a4f9c22"


@pytest.mark.server
def test_every_tag_of_the_contract_is_there_and_what_nobody_saw_is_unrecorded(first):
    assert first.content_digest.startswith("sha256:")
    assert first.files_digest.startswith("sha256:")
    assert first.tags["ifp.provenance_digest"].startswith("sha256:")
    names = ("build_key", "code_commit", "data_digest", "seed")
    assert {first.tags[f"ifp.{name}"] for name in names} == {"unrecorded"}


@pytest.mark.server
def test_the_run_is_finished_and_has_the_params_and_the_provenance(registry, first):
    run = run_of(registry, first)
    params = {"learning_rate": "0.001", "data_version": "v14.3", "framework": "pytorch-2.1.0"}
    assert run.info.status == "FINISHED"
    assert run.data.params == params
    provenance = json.loads(registry.get_file(first.run_id, "ifp/provenance.json"))
    assert provenance["params"] == params
    assert provenance["data"] == []
    assert provenance["environment"]["distributions"]["numpy"] == np.__version__


@pytest.mark.server
def test_the_version_loads_elsewhere_and_answers_a_frame_with_the_prediction(registry, first):
    answers = ifp.load(MODEL, "1", tracking_uri=registry.uri).predict(FRAME)
    assert list(answers.columns) == ["prediction"]
    assert answers["prediction"].to_numpy() == pytest.approx(EXPECTED)


@pytest.mark.server
def test_a_torch_module_with_a_data_loader_is_tracked_as_well(registry, newest, tmp_path):
    made = newest(lambda: run_script(TORCH_MODEL + SNIPPET, tmp_path, MLFLOW_TRACKING_URI=registry.uri))
    assert made.tags["commit"] == "a4f9c22"
    answers = ifp.load(MODEL, made.version, tracking_uri=registry.uri).predict(FRAME)
    assert answers["prediction"].dtype.kind == "f"
    assert answers["prediction"].to_numpy() == pytest.approx(EXPECTED, abs=0.1)


@pytest.mark.server
def test_the_snippet_in_a_notebooks_cell_registers_what_an_earlier_cell_defined(registry, newest, notebook):
    notebook(OWN_MODEL)
    made = newest(lambda: notebook(SNIPPET))
    assert made.tags["commit"] == "a4f9c22"
    assert run_of(registry, made).info.status == "FINISHED"
    answers = ifp.load(MODEL, made.version, tracking_uri=registry.uri).predict(FRAME)
    assert answers["prediction"].to_numpy() == pytest.approx(EXPECTED)


@pytest.mark.server
def test_the_same_script_in_another_folder_gives_one_digest_and_stores_its_files_once(
    registry, newest, first, tmp_path
):
    again = newest(lambda: run_script(OWN_MODEL + SNIPPET, tmp_path, MLFLOW_TRACKING_URI=registry.uri))
    assert first.version != again.version
    assert first.content_digest == again.content_digest
    assert first.stored == again.stored


@pytest.mark.server
def test_the_snippet_within_a_function_takes_the_functions_own_model(newest, notebook, registry):
    body = (OWN_MODEL + SNIPPET).replace("\n", "\n    ")
    made = newest(lambda: notebook(f"model = 'another thing'\ndef experiment():\n    {body}\nexperiment()"))
    answers = ifp.load(MODEL, made.version, tracking_uri=registry.uri).predict(FRAME)
    assert answers["prediction"].to_numpy() == pytest.approx(EXPECTED)


@pytest.mark.server
def test_register_takes_the_only_trained_object_in_sight_and_returns_its_version(newest, notebook):
    own = OWN_MODEL.replace("model = ", "forecast = ")
    cell = SNIPPET.replace("model.fit", "forecast.fit").replace("run.register", "version = run.register")
    seen = {}
    made = newest(lambda: seen.update(notebook(own + cell)))
    assert seen["version"] == made.version


@pytest.mark.server
def test_two_objects_that_might_be_meant_are_named_and_nothing_is_registered(registry, first, notebook):
    own = OWN_MODEL.replace("model = Forecast()", "winter, summer = Forecast(), Forecast()")
    before = registry.versions(MODEL)
    with pytest.raises(TrainingError) as told:
        notebook(own + SNIPPET.replace("model.fit", "winter.fit"))
    assert str(told.value) == (
        "run.register() cannot tell which object is the model (summer, winter); pass it: "
        "run.register(model, tags=[...])"
    )
    assert registry.versions(MODEL) == before
    assert last_run(registry).info.status == "FAILED"


@pytest.mark.server
@pytest.mark.parametrize("error", ["ValueError('the loader is empty')", "KeyboardInterrupt", "SystemExit(3)"])
def test_an_exception_within_the_block_ends_the_run_as_failed_and_registers_nothing(
    registry, first, notebook, error
):
    failing = (
        f"class Failing:\n    def fit(self, loader): raise {error}\nmodel, train_loader = Failing(), []\n"
    )
    before = registry.versions(MODEL)
    with pytest.raises((ValueError, KeyboardInterrupt, SystemExit)) as told:
        notebook("import airflow_provider_ifp as ifp\n" + failing + SNIPPET)
    assert repr(told.value).startswith(error.removesuffix(")"))
    assert registry.versions(MODEL) == before
    run = last_run(registry)
    assert run.info.run_id not in {version.run_id for version in before}
    assert run.info.status == "FAILED"
    assert run.data.params["data_version"] == "v14.3"


def test_without_a_tracking_uri_it_works_on_mlflows_own_default_in_an_empty_folder(tmp_path):
    run_script(OWN_MODEL + SNIPPET, tmp_path)
    loading = (
        "import pandas, airflow_provider_ifp as ifp\n"
        f"frame = pandas.DataFrame({FRAME.to_dict('list')})\n"
        f"print(ifp.load({MODEL!r}, '1').predict(frame)['prediction'].tolist())\n"
    )
    assert json.loads(run_script(loading, tmp_path)) == pytest.approx(EXPECTED)
    assert {path.name for path in tmp_path.iterdir()} == {
        "mlflow.db",
        "mlflow.db.lock",
        "mlruns",
        "script.py",
    }
