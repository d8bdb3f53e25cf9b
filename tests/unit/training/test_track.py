"""`ifp.track` under a launched spec, and which object is meant where none is named."""

import inspect
import json
from textwrap import dedent

import pytest
import torch

import airflow_provider_ifp as ifp
from airflow_provider_ifp.core.errors import LossNotFiniteError, TrainingError
from airflow_provider_ifp.training import track as tracking
from airflow_provider_ifp.training.spec import SPEC_VARIABLE, Spec
from airflow_provider_ifp.training.track import find_model, launched_run

SNIPPET = """
    # A registered model version captures all three
    with ifp.track("revenue-forecast") as run:
        run.log_param("learning_rate", 0.001)
        run.log_param("data_version", "v14.3")    # explicit data version
        run.log_param("framework", "pytorch-2.1.0")
        model.fit(train_loader)
        run.register(tags=["commit:a4f9c22"])
"""


class Estimator:
    def __init__(self):
        self.seen = None

    def fit(self, loader):
        self.seen = loader

    def predict(self, frame):
        return [0.0] * len(frame)


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """This process is as one that TrainOperator launched."""
    made = Spec(
        model="revenue-forecast",
        entrypoint="script.py",
        params={"epochs": 5},
        checkpoints=str(tmp_path / "checkpoints"),
        output=str(tmp_path),
    )
    monkeypatch.setenv(SPEC_VARIABLE, str(made.write()))
    monkeypatch.setattr(tracking, "_launched", [])
    return made


def run_script(code, **variables):
    scope = {"__name__": "__main__", "ifp": ifp, **variables}
    exec(dedent(code), scope)
    return scope


def events(spec):
    with open(f"{spec.output}/events.jsonl", encoding="utf-8") as file:  # noqa: PTH123 - one line
        return [json.loads(line) for line in file]


def test_the_seeds_snippet_notes_what_the_operator_is_to_register(spec):
    model = Estimator()
    run_script(SNIPPET, model=model, train_loader="a loader")
    run = launched_run()
    assert model.seen == "a loader"
    assert run.model is model
    assert run.registered
    assert run.tags == {"commit": "a4f9c22"}
    assert run.logged_params == {
        "learning_rate": "0.001",
        "data_version": "v14.3",
        "framework": "pytorch-2.1.0",
    }
    assert events(spec)[0] == {"param": "learning_rate", "value": "0.001"}


def test_register_returns_nothing_where_the_operator_registers(spec):
    scope = run_script(
        """
        with ifp.track("revenue-forecast") as run:
            version = run.register(model)
        """,
        model=Estimator(),
    )
    assert scope["version"] is None


def test_the_model_logged_is_the_one_registered_though_others_are_in_sight(spec):
    logged = Estimator()
    run_script(
        """
        with ifp.track("revenue-forecast") as run:
            run.log_model(logged)
            run.register()
        """,
        logged=logged,
        model=Estimator(),
    )
    assert launched_run().model is logged


def test_the_model_given_goes_before_the_one_logged(spec):
    given = Estimator()
    run_script(
        """
        with ifp.track("revenue-forecast") as run:
            run.log_model(Estimator())
            run.register(given)
        """,
        given=given,
        Estimator=Estimator,
    )
    assert launched_run().model is given


def test_a_model_is_found_where_a_function_calls_register(spec):
    run_script(
        """
        def main():
            forest = Estimator()
            with ifp.track("revenue-forecast") as run:
                run.register()
            return forest

        expected = main()
        """,
        Estimator=Estimator,
    )
    assert isinstance(launched_run().model, Estimator)


def test_a_launched_run_has_the_params_of_its_spec(spec):
    with ifp.track("revenue-forecast") as run:
        assert run.params == {"epochs": 5}


def test_a_script_launched_for_another_model_is_told(spec):
    with pytest.raises(TrainingError, match=r"'sales'.* was launched to train 'revenue-forecast'"):
        run_script('with ifp.track("sales"): pass')
    assert launched_run() is None


def test_a_loss_that_is_not_finite_ends_the_block(spec):
    with pytest.raises(LossNotFiniteError, match="metric 'loss' is nan at step 3"):
        run_script(
            """
            with ifp.track("revenue-forecast") as run:
                run.log_metric("loss", float("nan"), step=3)
            """
        )


def here(**variables):
    """The frame of code that has just these variables."""
    scope = {"__name__": "__main__", "inspect": inspect, **variables}
    exec("frame = inspect.currentframe()", scope)
    return scope["frame"]


def test_the_variable_model_is_meant_whatever_else_is_in_sight():
    model = object()
    assert find_model(here(model=model, forest=Estimator(), net=torch.nn.Linear(1, 1))) is model


def test_a_module_named_model_is_not_the_model():
    forest = Estimator()
    assert find_model(here(model=json, forest=forest)) is forest


def test_the_single_object_with_fit_and_predict_is_meant_under_any_names():
    forest = Estimator()
    assert find_model(here(forest=forest, best=forest, Estimator=Estimator, rate=0.1)) is forest


def test_the_single_torch_module_with_parameters_is_meant():
    net = torch.nn.Linear(2, 1)
    others = {"loss": torch.nn.MSELoss(), "weights": net.weight, "nn": torch.nn}
    assert find_model(here(net=net, **others)) is net


def test_a_local_variable_hides_the_global_one_of_its_name():
    scope = {"__name__": "__main__", "inspect": inspect, "Estimator": Estimator, "forest": Estimator()}
    exec("def inner():\n    forest = Estimator()\n    return forest, inspect.currentframe()", scope)
    forest, frame = scope["inner"]()
    assert find_model(frame) is forest


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, r"\(none in sight\)"),
        ({"Estimator": Estimator, "loss": torch.nn.MSELoss()}, r"\(none in sight\)"),
        ({"forest": Estimator(), "net": torch.nn.Linear(1, 1)}, r"\(forest, net\)"),
    ],
)
def test_none_or_several_is_an_error_that_says_to_pass_it(variables, told):
    with pytest.raises(TrainingError, match=rf"{told}; pass it: run\.register\(model, tags=\[\.\.\.\]\)"):
        find_model(here(**variables))
