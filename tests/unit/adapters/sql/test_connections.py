"""Connections of the environment: what Airflow writes there, read without Airflow."""

import json

import pytest

from airflow_provider_ifp.adapters.sql.connections import DatabaseAddress, connect_by_environment
from airflow_provider_ifp.core.errors import DatasetError

PASSWORD = "p@ss/word"
URI = "postgres://ada:p%40ss%2Fword@db.example:5433/sales?sslmode=require"
FIELDS = {
    "conn_type": "postgres",
    "host": "db.example",
    "login": "ada",
    "password": PASSWORD,
    "schema": "sales",
    "port": 5433,
}


def url_of(monkeypatch, text):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", text)
    return connect_by_environment("warehouse").url


@pytest.mark.parametrize(
    "text",
    [
        URI,
        json.dumps({**FIELDS, "extra": {"sslmode": "require"}}),
        json.dumps({**FIELDS, "port": "5433", "extra": '{"sslmode": "require"}'}),
        URI.replace("sslmode=require", "__extra__=%7B%22sslmode%22%3A%20%22require%22%7D"),
    ],
    ids=["uri", "json", "json in json", "uri with extra"],
)
def test_a_uri_and_json_give_the_same_address(monkeypatch, text):
    url = url_of(monkeypatch, text)
    assert (url.get_dialect().name, url.username, url.password) == ("postgresql", "ada", PASSWORD)
    assert (url.host, url.port, url.database) == ("db.example", 5433, "sales")
    assert dict(url.query) == {"sslmode": "require"}


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("sqlite:////data/Sales.db", "/data/Sales.db"),
        ("sqlite://%2Fdata%2FSales.db", "/data/Sales.db"),
        (json.dumps({"conn_type": "sqlite", "host": "/data/Sales.db"}), "/data/Sales.db"),
    ],
)
def test_sqlite_is_a_file_in_the_place_of_the_host_or_of_the_schema(monkeypatch, text, file):
    assert url_of(monkeypatch, text).database == file


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    with pytest.raises(DatasetError, match=r"conn_id 'warehouse': .* AIRFLOW_CONN_WAREHOUSE; set it"):
        connect_by_environment("warehouse")


@pytest.mark.parametrize(
    "text", [f"ada:{PASSWORD}", "{", json.dumps({"password": PASSWORD}), f"postgres://a:{PASSWORD[:4]}@h:x/d"]
)
def test_what_is_no_connection_is_refused_without_being_shown(monkeypatch, text):
    with pytest.raises(DatasetError, match="AIRFLOW_CONN_WAREHOUSE: expected a URI") as refused:
        url_of(monkeypatch, text)
    assert PASSWORD[:4] not in str(refused.value)


def test_a_kind_of_database_without_a_driver_is_named(monkeypatch):
    with pytest.raises(DatasetError, match="no driver for connections of type 'nosuch'") as refused:
        url_of(monkeypatch, f"nosuch://ada:{PASSWORD}@h/d".replace(PASSWORD, "hidden"))
    assert "hidden" not in str(refused.value)


def test_an_address_shows_no_password():
    address = DatabaseAddress(**FIELDS, extra={"token": "t0ken"})
    assert PASSWORD not in repr(address)
    assert "t0ken" not in repr(address)
