"""The trainer on small entrypoints: what it leaves when it ends well, and when it does not."""

import ctypes
import json
import os
import random
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_ifp.core.errors import EntrypointError, TrainingError
from airflow_provider_ifp.training import track
from airflow_provider_ifp.training.loading import open_model
from airflow_provider_ifp.training.seeding import seed_everything
from airflow_provider_ifp.training.spec import EXIT_NOT_FINITE, EXIT_PREEMPTED, SPEC_VARIABLE, Result, Spec
from airflow_provider_ifp.training.trainer import load_entrypoint, main

MEAN = """
    class Mean:
        def __init__(self, value):
            self.value = value

        def predict(self, frame):
            return [self.value] * len(frame)
"""
WINDOW = pa.table({"distance": [100.0, 300.0], "air_time": [20.0, 40.0]})


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """Writes a script and its spec; takes back what a trainer does to a process that it has to itself."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(track, "_launched", [])
    monkeypatch.setenv(SPEC_VARIABLE, "set, so that it is restored")
    monkeypatch.delenv(SPEC_VARIABLE)
    data = tmp_path / "data.arrow"
    with pa.OSFile(str(data), "wb") as sink, pa.ipc.new_file(sink, WINDOW.schema) as writer:
        writer.write_table(WINDOW)

    def write(code, name="trains_a_mean", entrypoint=None, **changes):
        script = tmp_path / f"{name}.py"
        script.write_text(dedent(MEAN) + dedent(code))
        return Spec(
            model="flight-time",
            entrypoint=entrypoint or str(script),
            data=str(data),
            features=["distance"],
            code={script.name: str(script)},
            checkpoints=str(tmp_path),
            output=str(tmp_path),
            **changes,
        ).write()

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    ctypes.CDLL(None).prctl(1, 0)  # PR_SET_PDEATHSIG: pytest is not to end with its parent


# MLflow asks for an example of the input, which would store rows of the training data.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*An input example was not provided"),
    pytest.mark.usefixtures("mlflow_models"),
]


def failure(spec, code=1):
    """What a trainer that failed with this exit code told; it left no result."""
    assert main([str(spec)]) == code
    assert not (spec.parent / "result.json").exists()
    return json.loads((spec.parent / "error.json").read_text())


def test_a_whole_training_leaves_a_model_and_a_result_that_says_so(launched, tmp_path):
    spec = launched("""
        def train(run):
            frame = run.data()
            run.log_param("rows", len(frame))
            run.log_metric("rmse", 3.5, step=1)
            run.log_model(Mean(run.params["factor"] * frame["air_time"].mean()))
            run.register(tags=["team=x"])
    """, params={"factor": 2})  # fmt: skip
    assert main([str(spec)]) == 0
    result = Result.read(tmp_path)
    assert (result.params, result.tags) == ({"rows": "2"}, {"team": "x"})
    assert result.device in {"cpu", "cuda"}
    assert result.determinism["world_size"] == 1
    assert result.hardware["cores"] == os.cpu_count()
    answers = open_model(result.model_folder).predict(WINDOW.to_pandas())
    assert answers["prediction"].tolist() == [60.0, 60.0]
    assert not list(tmp_path.glob("*.partial")) + list(tmp_path.glob("error.json"))


def test_the_trainers_process_takes_a_script_that_tracks_its_own_run(launched, tmp_path):
    spec = launched("""
        import airflow_provider_ifp as ifp

        with ifp.track("flight-time") as run:
            model = Mean(run.data("arrow")["air_time"][0].as_py())
            run.log_metric("rmse", 3.5)
            assert run.register(tags=["commit:a4f9c22"]) is None
            print("said by the script")
    """)
    command = [sys.executable, "-m", "airflow_provider_ifp.training.trainer", str(spec)]
    # Its interpreter has no torch, which takes seconds to import.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["metric rmse = 3.5", "said by the script"]
    result = Result.read(tmp_path)
    assert result.tags == {"commit": "a4f9c22"}
    assert result.determinism["python_hash_seed"] == "7"
    # Whoever opens the model does not train again: the script is not imported.
    answers = open_model(result.model_folder).predict(WINDOW.to_pandas())
    assert answers["prediction"].tolist() == [20.0, 20.0]
    assert "trains_a_mean" not in sys.modules


def test_a_training_function_may_leave_it_to_register_to_find_its_model(launched, tmp_path):
    spec = launched("""
        def train(run):
            model = Mean(1.0)
            run.register(tags=["team=x"])
    """)
    assert main([str(spec)]) == 0
    assert Result.read(tmp_path).tags == {"team": "x"}


def test_a_loss_that_is_not_finite_ends_the_training_for_good(launched):
    spec = launched("""
        def train(run):
            run.log_model(Mean(1.0))
            run.log_metric("loss", float("nan"), step=3)
    """)
    told = failure(spec, EXIT_NOT_FINITE)
    assert told["kind"] == "LossNotFiniteError"
    assert told["message"].startswith("metric 'loss' is nan at step 3; ")


def test_a_preempted_training_asks_to_be_started_again(launched):
    spec = launched("""
        from airflow_provider_ifp.core.errors import PreemptedError

        def train(run):
            (run.checkpoints / "epoch-3").write_text("weights")
            raise PreemptedError("the machine goes away in 30 s")
    """)
    told = failure(spec, EXIT_PREEMPTED)
    assert told == {"kind": "PreemptedError", "message": "the machine goes away in 30 s"}
    assert (spec.parent / "epoch-3").read_text() == "weights"


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        ("ValueError('3 columns expected')", "ValueError", "3 columns expected"),
        ("SystemExit(0)", "SystemExit", "0"),
        ("KeyboardInterrupt", "KeyboardInterrupt", ""),
    ],
)
def test_whatever_the_training_function_raises_is_told_and_traced(launched, capsys, raised, kind, message):
    spec = launched(f"""
        def train(run):
            run.log_model(Mean(1.0))
            raise {raised}
    """)
    assert failure(spec) == {"kind": kind, "message": message}
    assert "in train" in capsys.readouterr().err


def test_a_failure_in_a_tracked_run_is_no_failure_to_import(launched):
    spec = launched("""
        import airflow_provider_ifp as ifp

        with ifp.track("flight-time") as run:
            raise OSError("the disk is full")
    """)
    assert failure(spec) == {"kind": "OSError", "message": "the disk is full"}


def test_a_script_that_tracks_another_model_is_told_both_names(launched):
    spec = launched("""
        import airflow_provider_ifp as ifp

        with ifp.track("another") as run:
            run.register(Mean(1.0))
    """)
    told = failure(spec)
    assert told["kind"] == "TrainingError"
    assert "ifp.track('another') was launched to train 'flight-time'" in told["message"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import no_such_module", "does not import: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def train(run:", "does not import: SyntaxError: "),
        ("1 / 0", "does not import: ZeroDivisionError: division by zero"),
        ("train = 3", "names a int, not a function"),
        ("x = 3", "defines no function train(run) and opened no ifp.track(...)"),
    ],
)
def test_a_script_that_cannot_train_is_told_why(launched, code, told):
    error = failure(launched(code))
    assert error["kind"] == "EntrypointError"
    assert error["message"].startswith("train.entrypoint: ")
    assert told in error["message"]


def test_a_training_that_hands_over_no_model_is_told_how(launched):
    told = failure(launched("def train(run): run.log_metric('rmse', 1.0)"))
    assert told["kind"] == "TrainingError"
    assert told["message"].endswith("handed over no model: call run.log_model(model) or run.register(model)")


def test_a_model_that_cannot_be_saved_leaves_no_result(launched):
    spec = launched("""
        from threading import Lock

        def train(run):
            model = Mean(1.0)
            model.lock = Lock()
            run.log_model(model)
    """)
    told = failure(spec)
    assert told["kind"] == "ModelError"
    assert "a Mean cannot be saved" in told["message"]


def test_a_script_that_is_not_there_is_told():
    with pytest.raises(EntrypointError, match=r"there is no script .*nowhere\.py"):
        load_entrypoint("/nowhere.py")


def test_a_function_of_a_module_is_found_by_its_name(launched, tmp_path, monkeypatch):
    launched("def fit(run): pass\nnumber = 3", name="a_module_of_ours")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_entrypoint("a_module_of_ours:fit").__name__ == "fit"
    with pytest.raises(EntrypointError, match="module 'a_module_of_ours' has no function 'train'"):
        load_entrypoint("a_module_of_ours:train")
    with pytest.raises(EntrypointError, match="a_module_of_ours:number names a int, not a function"):
        load_entrypoint("a_module_of_ours:number")
    with pytest.raises(EntrypointError, match="does not import: ModuleNotFoundError"):
        load_entrypoint("no_module_of_ours:train")


def test_a_script_finds_the_modules_beside_it(launched, tmp_path):
    (tmp_path / "beside_the_script.py").write_text("VALUE = 5.0\n")
    spec = launched("""
        from beside_the_script import VALUE

        def train(run):
            run.log_model(Mean(VALUE))
    """)
    assert main([str(spec)]) == 0


def test_the_same_seed_gives_the_same_numbers_everywhere():
    import torch

    def drawn(seed):
        seed_everything(seed)
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 - as user code may

    assert drawn(7) == drawn(7)
    assert all(one != two for one, two in zip(drawn(7), drawn(8), strict=True))
    assert len(drawn(-1)) == 3


def test_torch_is_seeded_when_it_is_imported_and_not_before():
    script = """
        import sys
        from importlib.util import find_spec
        from airflow_provider_ifp.training.seeding import seed_everything

        seed_everything(6)
        seed_everything(7)
        assert find_spec("torch").origin.endswith("__init__.py") and "torch" not in sys.modules
        import torch
        drawn = torch.rand(3).tolist()
        torch.manual_seed(7)
        assert drawn == torch.rand(3).tolist()
        assert type(torch.__spec__.loader) is type(find_spec("json").loader)
    """
    done = subprocess.run([sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_result_of_a_failed_training_cannot_be_read(launched, tmp_path):
    failure(launched("1 / 0"))
    with pytest.raises(TrainingError, match="did not end well, so nothing is registered"):
        Result.read(tmp_path)
