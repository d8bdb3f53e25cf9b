"""The provider as Airflow presents it, and that everything it names is there."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import pytest

from airflow_provider_ifp.demo.services import own_environment
from airflow_provider_ifp.provider_info import get_provider_info

pytestmark = pytest.mark.airflow

NAME = "airflow-provider-ifp"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """Run an `airflow` command in a home of its own; gives what it prints as JSON."""
    home = tmp_path_factory.mktemp("airflow-home")

    def run(*arguments):
        command = [sys.executable, "-m", "airflow", *arguments, "--output", "json"]
        environment = own_environment(AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def class_at(path):
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def modules_named(info):
    parts = [part for kind in ("operators", "sensors", "triggers", "hooks") for part in info[kind]]
    return {module for part in parts for module in part["python-modules"]}


def test_airflow_shows_the_provider_with_its_connection_type_operators_sensor_and_triggers(airflow):
    shown = str(airflow("providers", "get", NAME, "--full"))
    for module in modules_named(get_provider_info()):
        assert module in shown
    for expected in ("ifp_registry", "operators.train", "sensors.drift", "triggers.drift", version(NAME)):
        assert expected in shown


def test_airflow_offers_the_hook_for_the_connection_type(airflow):
    hooks = {entry["connection_type"]: entry for entry in airflow("providers", "hooks")}
    assert hooks["ifp_registry"]["class"].endswith("ModelRegistryHook")
    assert hooks["ifp_registry"]["package_name"] == NAME


def test_every_module_that_the_provider_names_imports_and_they_hold_what_the_contract_names():
    info = get_provider_info()
    assert info["package-name"] == NAME
    named = modules_named(info)
    for module in named:
        assert import_module(module)
    promised = [
        "operators.train.TrainOperator",
        "operators.validation.ValidationGateOperator",
        "operators.promote.PromoteOperator",
        "operators.promote.RollbackOperator",
        "sensors.drift.DriftSensor",
        "triggers.drift.DriftTrigger",
        "hooks.registry.ModelRegistryHook",
    ]
    for path in promised:
        found = class_at(f"airflow_provider_ifp.{path}")
        assert found.__module__ in named


def test_the_hook_of_the_connection_type_agrees_with_it():
    (connection,) = get_provider_info()["connection-types"]
    hook = class_at(connection["hook-class-name"])
    assert (hook.conn_type, hook.default_conn_name) == (connection["connection-type"], "ifp_default")


def test_the_config_section_has_the_options_of_the_contract(airflow):
    options = get_provider_info()["config"]["ifp"]["options"]
    assert set(options) == {"policies_folder", "cache_folder", "predictions"} | {"install_requirements"}
    listed = str(airflow("providers", "configs"))
    assert NAME in listed
