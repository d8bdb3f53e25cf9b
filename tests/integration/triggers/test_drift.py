"""DriftTrigger as the triggerer treats it: written down in one process, and made again in another."""

import json
from importlib import import_module

import pytest

from airflow_provider_ifp.triggers.drift import DriftTrigger

pytestmark = pytest.mark.airflow

# No value is one that another argument has, and none is empty: a mixed-up or forgotten one would show.
ARGUMENTS = {
    "policy": {"model": "flight-time", "monitor": {"evaluation_window": "30d"}},
    "folder": "/opt/airflow/dags/policies",
    "now": "2013-07-01T00:00:00+00:00",
    "predictions": "s3://predictions",
    "registry_conn_id": "another_registry",
    "force": True,
    "reason": "the world turned",
    "wait": True,
    "poke_interval": 7.5,
}


def test_a_trigger_is_rebuilt_from_what_it_serializes():
    path, arguments = DriftTrigger(**ARGUMENTS).serialize()
    module, _, name = path.rpartition(".")
    rebuilt = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert type(rebuilt) is DriftTrigger
    assert arguments == ARGUMENTS
    assert rebuilt.serialize() == (path, ARGUMENTS)
    assert {key: getattr(rebuilt, key) for key in ARGUMENTS} == ARGUMENTS


def test_a_misspelt_or_missing_argument_is_refused():
    with pytest.raises(TypeError, match="poke_intervall"):
        DriftTrigger(**ARGUMENTS, poke_intervall=3)
    with pytest.raises(TypeError, match="registry_conn_id"):
        DriftTrigger(**{key: value for key, value in ARGUMENTS.items() if key != "registry_conn_id"})
