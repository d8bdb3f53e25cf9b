"""The loop on a database: what trains and what judges is what the same rows in files would be."""

import json
import sqlite3

import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.core.errors import DatasetError, PolicyError
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.loop.registry.recorded import read_rows, to_window

pytestmark = pytest.mark.usefixtures("warm_python")

QUERY = "select * from sales where region <> 'nowhere'"


@pytest.fixture
def database(loop, monkeypatch):
    """The loop's dataset in SQLite, one row without a label; Airflow's variable names it, with a password."""
    rows = pq.read_table(loop.home / "data" / "rows.parquet").to_pylist()
    connection = sqlite3.connect(loop.home / "sales.db")
    connection.execute(
        "create table sales (ts timestamp, request_id text, x double, z double, region text, y double)"
    )
    values = [(row["ts"].isoformat(), *[*row.values()][1:]) for row in rows]
    connection.executemany("insert into sales values (?, ?, ?, ?, ?, ?)", values[::-1])
    connection.execute("insert into sales values ('2024-01-20T00:00:30Z', 'late', 0, 0, 'north', null)")
    connection.commit()
    connection.close()
    place = {"conn_type": "sqlite", "host": str(loop.home / "sales.db"), "password": "hidden"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(place))


def policy(loop, **source):
    return loop.policy(data={"source": {"conn_id": "warehouse", **source}})


def test_a_version_trained_on_a_table_passes_its_gate_and_says_where_its_rows_came_from(loop, database):
    made = loop.train(policy=policy(loop, table="sales"))
    verdict = loop.validate(made["version"], policy=policy(loop, table="sales"))
    assert (verdict.verdict, made["reused"]) == ("pass", False)
    text = loop.registry.get_file(made["run_id"], "ifp/provenance.json")
    (data,) = json.loads(text)["data"]
    assert (data["rows"], data["conn_id"], data["table"]) == (2_400, "warehouse", "sales")
    assert data["statement"].startswith(
        'SELECT "ts", "request_id", "x", "z", "region", "y" \nFROM sales \nWHERE '
    )
    assert data["parameters"] == {
        "window_start": "2024-01-07 00:00:00",
        "window_end": "2024-01-27 00:00:00",
    }
    assert b"hidden" not in text
    window = to_window(data["window"])
    assert fingerprint_table(read_rows(data, window)).digest == data["content_digest"]
    # The same rows in files are the same build, and the same holdout.
    assert loop.train() == {**made, "reused": True}
    assert loop.validate(made["version"]).holdout_digest == verdict.holdout_digest
    assert loop.train(policy=policy(loop, query=QUERY))["reused"]


def test_a_label_that_no_row_has_is_named_with_connection_and_table(loop, database):
    connection = sqlite3.connect(loop.home / "sales.db")
    connection.execute("update sales set y = null")
    connection.commit()
    connection.close()
    with pytest.raises(DatasetError, match=r"warehouse: table sales: none of the 2,401 rows in .* 'y'"):
        loop.train(policy=policy(loop, table="sales"))
    loop.require_untouched()


def test_a_rendered_query_leaves_the_policys_digest_as_it_is(loop):
    written = policy(loop, query="select * from {{ params.table }}")
    rendered = written.with_query("select * from sales")
    assert rendered.data.source.query == "select * from sales"
    assert rendered.digest() == written.digest() == rendered.with_query("select 1").digest()
    assert rendered.folder == written.folder
    with pytest.raises(PolicyError, match=r"data\.source\.query: missing"):
        policy(loop, table="sales").with_query("select 1")


def test_a_manifest_of_a_database_is_refused_where_the_policy_is_read():
    data = {"source": {"conn_id": "warehouse", "table": "sales"}, "digest": "manifest"}
    with pytest.raises(PolicyError, match=r"data\.digest: manifest is of files; by conn_id there is content"):
        Policy.from_json({"model": "m", "data": data})
