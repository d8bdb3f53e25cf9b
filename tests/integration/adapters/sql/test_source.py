"""Datasets in a real PostgreSQL: types, windows, sessions in another zone, and what the server refuses."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from tests.postgres import running_postgres

from airflow_provider_ifp.adapters.data.datasets import read_window
from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.sql.source import DatabaseSource
from airflow_provider_ifp.core.errors import DatasetError, DatasetUnreachableError
from airflow_provider_ifp.core.windows import Window

DAY = Window(datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
PASSWORD = "open-sesame"
CREATE = """
create type size as enum ('small', 'large');
create table sales (
    ts timestamptz, local timestamp, count integer, big bigint, x double precision, small real,
    price numeric(20, 4), region text, code char(3), "Kind" varchar, size size, late boolean, day date,
    id uuid, raw bytea, extra jsonb, many integer[]
);
insert into sales select
    t, t at time zone 'UTC', 1, 9007199254740993, 0.1, 0.1, 12.3456, 'north', 'abc', 'k', 'large', true,
    date '2024-01-02', '00000000-0000-0000-0000-000000000001', 'raw', '{"a": 1}', array[1, 2]
from (values
    (timestamptz '2024-01-01 23:59:59.999999+00'), (timestamptz '2024-01-02 00:00:00+00'),
    (timestamptz '2024-01-02 23:59:59.999999+00'), (timestamptz '2024-01-03 00:00:00+00'), (null)
) as times (t);
insert into sales (ts, local) values ('2024-01-02 12:00+00', '2024-01-02 12:00');
create function bump() returns timestamptz language sql as
    $$ insert into sales (ts) values ('2024-01-02 00:00+00') returning ts $$;
create view north as select ts, x from sales where region = 'north';
"""
TYPES = {
    "ts": "timestamp[us, tz=UTC]",
    "local": "timestamp[us]",
    "count": "int64",
    "big": "int64",
    "x": "double",
    "small": "float",
    "price": "double",
    "region": "string",
    "code": "string",
    "Kind": "string",
    "size": "string",
    "late": "bool",
    "day": "date32[day]",
    "id": "string",
    "raw": "binary",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A PostgreSQL whose sessions are in a zone far from UTC."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as url:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text("alter role postgres set timezone = 'Asia/Kathmandu'"))
            connection.execute(sa.text(f"create role ada login password '{PASSWORD}'"))
        with engine.connect() as connection:
            connection.exec_driver_sql(CREATE)
        engine.dispose()
        yield url


@pytest.fixture
def source(url):
    def make(query=None, *, table="sales", at=url):
        return DatabaseSource(
            "warehouse", lambda _: sa.create_engine(at), query=query, table=None if query else table
        )

    return make


def refusal(attempt, kind=DatasetError):
    with pytest.raises(kind) as refused:
        attempt()
    return str(refused.value)


@pytest.mark.parametrize("query", [None, "select * from sales"])
def test_types_are_those_of_the_database_for_a_table_and_for_a_query(source, query):
    kinds = {field.name: str(field.type) for field in source(query).schema()}
    assert kinds == TYPES | {"extra": "null", "many": "null"}


@pytest.mark.parametrize("query", [None, "select * from sales"])
@pytest.mark.parametrize("time_column", ["ts", "local"])
def test_a_window_is_in_utc_whatever_the_zone_of_the_session(source, query, time_column):
    rows = source(query).read(DAY, time_column, [time_column])
    assert [time.as_py() for time in rows[time_column]] == [
        datetime(2024, 1, 2, tzinfo=UTC),
        datetime(2024, 1, 2, 12, tzinfo=UTC),
        datetime(2024, 1, 2, 23, 59, 59, 999999, tzinfo=UTC),
    ]


def test_values_come_as_they_are_and_decimals_as_the_nearest_float(source):
    rows = source().read(DAY, "ts", list(TYPES))
    assert rows.to_pylist()[0] == {
        "ts": datetime(2024, 1, 2, tzinfo=UTC),
        "local": datetime.fromisoformat("2024-01-02"),
        "count": 1,
        "big": 2**53 + 1,
        "x": 0.1,
        "small": float(np.float32(0.1)),
        "price": 12.3456,
        "region": "north",
        "code": "abc",
        "Kind": "k",
        "size": "large",
        "late": True,
        "day": date(2024, 1, 2),
        "id": "00000000-0000-0000-0000-000000000001",
        "raw": b"raw",
    }
    assert all(rows[name][1].as_py() is None for name in TYPES if name not in {"ts", "local"})


def test_rows_have_the_digest_of_the_same_rows_in_parquet(source, tmp_path):
    names = [name for name in TYPES if name != "local"]
    rows = source().read(DAY, "ts", names)
    in_files = pa.Table.from_pylist(rows.to_pylist()[::-1], rows.schema)
    pq.write_table(in_files, tmp_path / "rows.parquet")
    read = read_window(str(tmp_path / "rows.parquet"), time_column="ts", window=DAY, columns=names[::-1])
    assert fingerprint_table(rows) == fingerprint_table(read)


def test_more_rows_than_a_chunk_holds_are_all_read_and_once(source):
    query = (
        "select '2024-01-02Z'::timestamptz + n * interval '1 ms' as ts, n from generate_series(0, 50001) n"
    )
    rows = source(query).read(DAY, "ts", ["n"])
    assert rows["n"].to_pylist() == list(range(50_002))


def test_a_view_is_read_as_a_table(source):
    assert source(table="public.north").read(DAY, "ts", ["x"]).num_rows == 2


def test_the_window_and_the_columns_are_pushed_down_with_bound_parameters(source):
    facts = source("select * from sales").describe(DAY, "ts", ["x"])
    assert facts["statement"] == (
        'SELECT "x", "ts" \nFROM (select * from sales\n) AS ifp_rows \n'
        'WHERE "ts" >= %(window_start)s AND "ts" < %(window_end)s'
    )
    assert facts["parameters"] == {
        "window_start": "2024-01-02 00:00:00+00:00",
        "window_end": "2024-01-03 00:00:00+00:00",
    }
    assert facts["dialect"] == "postgresql"


def test_a_type_that_no_column_can_have_is_refused_where_it_is_read(source):
    said = refusal(lambda: source().read(DAY, "ts", ["x", "extra"]))
    assert said == (
        "warehouse: table sales: column 'extra' holds dict, which no column of a dataset can; cast it in a "
        "query, or name data.features"
    )
    cast = source("select ts, extra::text as extra from sales").read(DAY, "ts", ["extra"])
    assert cast["extra"][0].as_py() == '{"a": 1}'


def test_a_query_with_an_error_is_named_with_the_place_that_the_server_names(source):
    said = refusal(source("select ts, pric from sales").schema)
    assert 'warehouse: query select ts, pric from sales: column "pric" does not exist LINE' in said
    assert said.endswith("check the statement")


def test_a_missing_table_is_named_with_the_nearest(source):
    assert refusal(source(table="sale").schema) == (
        "warehouse: table sale: no table or view 'sale'; did you mean 'sales'? There are: north, sales"
    )


def test_columns_named_twice_are_refused(source):
    said = refusal(source("select ts, x, x from sales").schema)
    assert said.endswith("columns named twice: x; rename one of each")


@pytest.mark.parametrize(
    "query",
    [
        "with gone as (delete from sales returning *) select * from gone",
        "select 1) as a; delete from sales; select * from (select 1",
        "select bump() as ts",
    ],
)
def test_a_query_can_write_nothing(source, query):
    refusal(lambda: source(query).read(DAY, "ts", ["ts"]))
    assert source().read(Window(None, DAY.end), "ts", ["ts"]).num_rows == 4


def test_a_wrong_password_and_a_server_that_is_away_are_named_without_the_password(source, url):
    address = sa.make_url(url)
    away = address.set(host="127.0.0.1", port=1, username="ada", password=PASSWORD, query={})
    said = refusal(source(at=away).schema, DatasetUnreachableError)
    assert said.startswith("warehouse: table sales: the database does not answer: connection to server at")
    assert said.endswith("check the connection warehouse")
    nobody = address.set(username=PASSWORD, password=PASSWORD)
    said = refusal(source(at=nobody).schema, DatasetUnreachableError)
    assert PASSWORD not in said
    assert 'role "***" does not exist' in said
