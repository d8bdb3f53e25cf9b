"""Databases behind real Airflow connections, and queries rendered by Airflow's Jinja."""

import asyncio
import json
import logging

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.hooks.databases import connect, label_database, rendered
from airflow_provider_ifp.operators.train import TrainOperator

pytestmark = pytest.mark.airflow

PASSWORD = "open-sesame"


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://ada:{PASSWORD}@db.example:5433/sales?sslmode=require",
        json.dumps(
            {
                "conn_type": "postgres",
                "host": "db.example",
                "port": 5433,
                "login": "ada",
                "password": PASSWORD,
                "schema": "sales",
                "extra": {"sslmode": "require"},
            }
        ),
    ],
    ids=["uri", "json"],
)
def test_a_connection_of_airflow_gives_its_database(monkeypatch, caplog, text):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", text)
    with caplog.at_level(logging.DEBUG):
        engine = connect("warehouse")
    assert engine.url.render_as_string(hide_password=False) == (
        f"postgresql+psycopg2://ada:{PASSWORD}@db.example:5433/sales?sslmode=require"
    )
    assert PASSWORD not in caplog.text + repr(engine)


def test_a_connection_that_airflow_does_not_have_is_named(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    with pytest.raises(DatasetError, match="Airflow has no connection 'warehouse'; add it, or name another"):
        connect("warehouse")


def operator_of(source):
    policy = Policy.from_json(
        {
            "model": "sales",
            "data": {"source": source, "time_column": "ts", "label": "y"},
            "train": {"entrypoint": "own.training:train"},
        }
    )
    with DAG("sales-training-dag", schedule=None):
        return TrainOperator(task_id="train", policy=policy), policy


def test_a_query_is_rendered_in_the_tasks_context_and_a_table_is_left_alone():
    query = "select * from {{ params.table }} where day < '{{ ds }}'"
    operator, policy = operator_of({"conn_id": "warehouse", "query": query})
    context = {"ds": "2024-02-01", "params": {"table": "sales"}}
    source = rendered(operator, policy, context).data.source
    assert source.query == "select * from sales where day < '2024-02-01'"
    operator, policy = operator_of({"conn_id": "warehouse", "table": "sales"})
    assert rendered(operator, policy, context) is policy


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select {{ nothing.there }}", r"data\.source\.query: UndefinedError: .*; correct the template"),
        ("select {{ ds", r"data\.source\.query: TemplateSyntaxError: .*; correct the template"),
    ],
)
def test_a_query_that_cannot_be_rendered_fails_without_retries(query, message):
    operator, policy = operator_of({"conn_id": "warehouse", "query": query})
    with pytest.raises(AirflowFailException, match=message):
        rendered(operator, policy, {"ds": "2024-02-01"})


def test_a_triggerer_finds_the_database_of_labels_where_rows_have_a_key(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f"postgres://ada:{PASSWORD}@db.example:5433/sales")
    labelled = {"time_column": "ts", "label": "y", "key": ["id"]}

    def found(**data):
        return asyncio.run(label_database(Policy.from_json({"model": "sales", "data": {**labelled, **data}})))

    stored = {"conn_id": "warehouse", "table": "sales"}
    assert found(source=stored)("warehouse").url.host == "db.example"
    assert found(source=stored, key=[]) is None
    assert found(source="files") is None
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    with pytest.raises(DatasetError, match="Airflow has no connection 'warehouse'"):
        found(source=stored)("warehouse")
