"""Datasets in SQLite, which has neither times nor booleans: what is read, and as what."""

import sqlite3
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from airflow_provider_ifp.adapters.data.datasets import read_window
from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.sources import FileSource, reopen_source
from airflow_provider_ifp.adapters.sql.source import DatabaseSource
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.windows import Window

DAY = Window(datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
COLUMNS = ["ts", "x", "n", "region", "late", "day"]
CREATE = (
    "create table sales (ts timestamp, x real, n numeric(10, 2), region varchar, late boolean, day date, "
    "count integer)"
)
ROWS = [
    ("2024-01-01 23:59:59.999999", 1.0, 1, "north", 0, "2024-01-01", 1),
    ("2024-01-02 00:00:00", 2.0, 2.5, "north", 1, "2024-01-02", 2),
    ("2024-01-02T12:00:00Z", 3.5, None, None, None, None, None),
    ("2024-01-03 01:30:00+02:00", 4.0, 4, "south", 0, "2024-01-02", 4),
    ("2024-01-02 23:59:59.999999", 5.0, 5, "south", 1, "2024-01-02", 5),
    ("2024-01-03 00:00:00.000000", 6.0, 6, "south", 0, "2024-01-03", 6),
    (None, 7.0, 7, "nowhere", 0, "2024-01-02", 7),
]


class Database:
    """A SQLite file with the table `sales`, and sources that read it."""

    def __init__(self, file):
        self.file = file
        self.execute(CREATE)
        self.fill(ROWS)

    def execute(self, statement, *rows):
        connection = sqlite3.connect(self.file)
        connection.executemany(statement, rows) if rows else connection.execute(statement)
        connection.commit()
        connection.close()

    def fill(self, rows):
        self.execute(f"insert into sales values ({', '.join('?' * 7)})", *rows)

    def connect(self, conn_id):
        return sa.create_engine(f"sqlite:///{self.file}")

    def source(self, query=None, *, table=None):
        return DatabaseSource(
            "warehouse", self.connect, query=query, table=table or (None if query else "sales")
        )

    def read(self, query=None, *, window=DAY, columns=COLUMNS):
        return self.source(query).read(window, "ts", columns)


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "sales.db")


def test_a_window_has_its_start_and_not_its_end_whatever_form_the_times_have(database):
    rows = database.read()
    assert rows["x"].to_pylist() == [2.0, 3.5, 4.0, 5.0]
    assert rows.schema.field("ts").type == pa.timestamp("us", "UTC")
    assert rows["ts"][2].as_py() == datetime(2024, 1, 2, 23, 30, tzinfo=UTC)


def test_a_window_without_a_start_begins_with_the_data_and_leaves_out_rows_without_a_time(database):
    assert database.read(window=Window(None, DAY.end))["x"].to_pylist() == [1.0, 2.0, 3.5, 4.0, 5.0]


def test_types_are_those_that_the_table_declares(database):
    kinds = {field.name: str(field.type) for field in database.source().schema()}
    assert kinds == {
        "ts": "timestamp[us]",
        "x": "double",
        "n": "double",
        "region": "string",
        "late": "bool",
        "day": "date32[day]",
        "count": "int64",
    }
    assert database.read(columns=["late", "count", "n"]).to_pylist()[:2] == [
        {"late": True, "count": 2, "n": 2.5},
        {"late": None, "count": None, "n": None},
    ]


def test_the_types_of_a_query_are_those_of_its_values(database):
    query = "select ts, x + 0 as x, 'a' as name, count, null as empty from sales"
    kinds = {field.name: str(field.type) for field in database.source(query).schema()}
    assert kinds == {"ts": "string", "x": "double", "name": "string", "count": "int64", "empty": "null"}
    rows = database.read(query, columns=["ts", "count", "empty"])
    assert rows["count"].to_pylist() == [2, None, 4, 5]
    assert rows["empty"].null_count == 4


def test_rows_have_the_digest_of_the_same_rows_in_parquet(database, tmp_path):
    rows = database.read()
    pq.write_table(rows, tmp_path / "rows.parquet")
    in_files = read_window(str(tmp_path / "rows.parquet"), time_column="ts", window=DAY, columns=COLUMNS)
    assert fingerprint_table(rows) == fingerprint_table(in_files)


def test_rows_come_in_one_order_whatever_order_they_were_written_in(database):
    before = database.read()
    database.execute("delete from sales")
    database.fill(reversed(ROWS))
    assert database.read().equals(before)


def test_columns_come_as_named_and_the_time_column_only_where_it_is(database):
    assert database.read(columns=["region", "x"]).column_names == ["region", "x"]


@pytest.mark.parametrize(
    "query",
    [
        "select * from sales;",
        "select * from sales -- all of them",
        "with s as (select * from sales) select * from s where region is null or region not like ':x %'",
    ],
)
def test_a_query_may_end_with_a_semicolon_or_a_comment_and_hold_colons_and_percent(database, query):
    assert database.read(query).num_rows == 4


def test_the_description_says_what_was_asked_with_its_parameters(database):
    facts = database.source("select * from sales").describe(DAY, "ts", ["x"])
    assert facts["source_id"] == (
        "warehouse: query select * from sales [2024-01-02T00:00Z, 2024-01-03T00:00Z)"
    )
    assert facts["statement"].startswith(
        'SELECT "x", "ts" \nFROM (select * from sales\n) AS ifp_rows \nWHERE '
    )
    assert facts["parameters"] == {
        "window_start": "2024-01-02 00:00:00",
        "window_end": "2024-01-03 00:00:00",
    }
    assert (facts["conn_id"], facts["dialect"], facts["table"]) == ("warehouse", "sqlite", None)
    assert reopen_source(facts, database.connect).read(DAY, "ts", ["x"]).num_rows == 4


def test_files_are_described_by_those_that_reach_into_the_window(tmp_path):
    for day in (1, 2, 3):
        (tmp_path / f"day={day}").mkdir()
        times = pa.array([datetime(2024, 1, day, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        pq.write_table(pa.table({"ts": times}), tmp_path / f"day={day}" / "a.parquet")
    source = FileSource(str(tmp_path))
    facts = source.describe(DAY, "ts", ["ts"])
    assert (facts["uri"], facts["files"], facts["file_count"]) == (str(tmp_path), ["day=2/a.parquet"], 1)
    assert facts["partitions"] == source.partitions() == ["day"]
    assert reopen_source(facts).read(DAY, "ts", ["ts"]).num_rows == 1


def refusal(attempt):
    with pytest.raises(DatasetError) as refused:
        attempt()
    return str(refused.value)


def test_a_record_that_names_no_data_cannot_be_read_again():
    assert "has neither uri nor conn_id" in refusal(lambda: reopen_source({}))


def test_a_missing_table_is_named_with_the_nearest(database):
    assert refusal(database.source(table="sale").schema) == (
        "warehouse: table sale: no table or view 'sale'; did you mean 'sales'? There are: sales"
    )


def test_a_missing_column_is_named_with_the_nearest(database):
    said = refusal(lambda: database.read(columns=["regoin"]))
    assert said.startswith(
        "warehouse: table sales: no column 'regoin'; did you mean 'region'? Columns are: ts,"
    )


def test_a_query_with_an_error_is_named_with_what_the_database_says(database):
    said = refusal(database.source("selec * from sales").schema)
    assert said == 'warehouse: query selec * from sales: near "*": syntax error; check the statement'


def test_a_query_that_is_no_select_changes_nothing(database):
    refusal(database.source("delete from sales").schema)
    refusal(database.source("select 1) as a; delete from sales; --").schema)
    assert database.read().num_rows == 4


def test_an_empty_window_says_what_there_is(database):
    window = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC))
    assert refusal(lambda: database.read(window=window)) == (
        "warehouse: table sales: no row in the window [2025-01-01T00:00Z, 2025-01-02T00:00Z); the data spans "
        "2024-01-01T23:59Z to 2024-01-03T00:00Z; choose another window or add the missing data"
    )
    database.execute("delete from sales")
    assert refusal(database.read).endswith("the dataset has no row with a 'ts' at all")


def test_a_time_that_cannot_be_read_is_refused_and_not_left_out(database):
    database.fill([("02/01/2024", 1.0, 1, "north", 0, "2024-01-02", 1)])
    assert refusal(database.read) == (
        "warehouse: table sales: column 'ts' holds str that is no ISO 8601 text; correct the data, or cast "
        "it in a query"
    )


def test_a_time_column_of_another_type_is_refused(database):
    said = refusal(lambda: database.source().read(DAY, "count", ["x"]))
    assert "time column 'count' is int64, expected a timestamp; name another column, or give" in said


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("x", "much", "column 'x' holds str that is no double"),
        ("count", 1.5, "column 'count' holds float that is no int64"),
        ("late", 2, "column 'late' holds int that is no bool"),
        ("region", b"\x00", "column 'region' holds bytes that is no string"),
        ("day", "yesterday", "column 'day' holds str that is no ISO 8601 text"),
    ],
)
def test_a_value_that_is_not_of_its_columns_type_is_named(database, column, value, message):
    database.execute(f"update sales set {column} = ? where x = 3.5", (value,))
    assert message in refusal(lambda: database.read(columns=[*COLUMNS, "count"]))


def test_values_of_no_one_type_are_refused(database):
    query = "select ts, case when x < 3 then 1 else 'one' end as mixed from sales"
    said = refusal(lambda: database.read(query, columns=["mixed"]))
    assert "column 'mixed' holds int, which no column of a dataset can; cast it in a query, or name" in said


def test_a_column_may_be_called_by_any_word_of_the_database(tmp_path):
    names = ["nothing", "select", "group", 'quo"te', "per%cent", "co:lon", "two words"]
    connection = sqlite3.connect(tmp_path / "words.db")
    columns = ", ".join('"' + name.replace('"', '""') + '" double' for name in names)
    connection.execute(f"create table words (ts timestamp, {columns})")
    connection.execute("insert into words values ('2024-01-02 08:00', 1, 2, 3, 4, 5, 6, 7)")
    connection.commit()
    connection.close()
    words = DatabaseSource(
        "warehouse", lambda _: sa.create_engine(f"sqlite:///{tmp_path}/words.db"), table="words"
    )
    read = words.read(DAY, "ts", names)
    assert read.to_pylist() == [dict(zip(names, range(1, 8), strict=True))]
