"""ShadowTrigger as the triggerer treats it: written down in one process, and made again in another."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
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


def test_a_registry_that_is_away_ends_no_wait_until_its_time_is_over(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nowhere = {"conn_type": "ifp_registry", "host": "http://127.0.0.1:9"}
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER_REGISTRY", json.dumps(nowhere))
    until = datetime.now(UTC) + timedelta(seconds=1)
    trigger = ShadowTrigger(**{**ARGUMENTS, "until": until.isoformat(), "poke_interval": 0.1})

    async def first_event():
        return await anext(trigger.run())

    event = asyncio.run(first_event()).payload
    assert datetime.now(UTC) >= until
    assert (event["transient"], "RegistryUnreachableError" in event["error"]) == (True, True)


def test_a_misspelt_argument_is_refused():
    with pytest.raises(TypeError, match="patiense"):
        ShadowTrigger(**ARGUMENTS, patiense=3)
