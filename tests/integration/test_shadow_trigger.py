"""ShadowTrigger as the triggerer treats it: written down in one process, and made again in another."""

import json
from importlib import import_module

import pytest

from airflow_provider_ifp.triggers.shadow import ShadowTrigger

pytestmark = pytest.mark.airflow

# No value is one that another argument has, and none is empty: a mixed-up or forgotten one would show.
ARGUMENTS = {
    "policy": {"model": "flight-time", "shadow": {"mode": "live"}},
    "folder": "/opt/airflow/dags/policies",
    "version": "7",
    "now": "2013-07-01T00:00:00+00:00",
    "predictions": "s3://predictions",
    "registry_conn_id": "another_registry",
    "poke_interval": 7.5,
    "until": "2013-07-08T00:00:00+00:00",
}


def test_a_trigger_is_rebuilt_from_what_it_serializes():
    path, arguments = ShadowTrigger(**ARGUMENTS).serialize()
    module, _, name = path.rpartition(".")
    rebuilt = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert type(rebuilt) is ShadowTrigger
    assert arguments == ARGUMENTS
    assert rebuilt.serialize() == (path, ARGUMENTS)


def test_a_misspelt_argument_is_refused():
    with pytest.raises(TypeError, match="patiense"):
        ShadowTrigger(**ARGUMENTS, patiense=3)
