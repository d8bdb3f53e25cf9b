"""Profiled and counted inside three databases, a window is what its rows are outside of them."""

import dataclasses
import json
import sqlite3
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.postgres import running_postgres
from tests.same_counts import require_all_same_counts

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.counting.sql import counting as sql_counting
from airflow_provider_ifp.adapters.counting.sql import groups
from airflow_provider_ifp.adapters.counting.sql import rows as sql_rows
from airflow_provider_ifp.adapters.counting.sql.counting import count_sql
from airflow_provider_ifp.adapters.counting.sql.profiling import profile_sql
from airflow_provider_ifp.adapters.sql.connections import connect_by_environment
from airflow_provider_ifp.adapters.sql.source import DatabaseSource
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.counting import coarsen, no_rows
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import profile_categories, profile_lists, profile_numbers
from airflow_provider_ifp.core.windows import Window

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:duckdb_engine", "ignore::ResourceWarning")

START = datetime(2024, 1, 1, tzinfo=UTC)
ALL = Window(None, datetime(2100, 1, 1, tzinfo=UTC))
DAYS = Window(START + timedelta(hours=7), START + timedelta(days=2))
# Names that SQL, its drivers or a template would take for something else.
NUMBERS = ["x", "select", 'quo"te', "per%cent", "co:lon", "zeros", "constant", "tiny", "nothing", "price"]
NAMES = ["text", "many words", "late"]
TIMES = ["ts", "local", "day"]
FEATURES = [*NUMBERS, *NAMES, *TIMES]
WORDS = ["north", "it's", 'a "b"', "", " blank ", "zürich", "NULL", "100%", ":bound", "a\\b", "'; drop table"]


def rows(count=2_000, seed=3):
    """Values by column; some of each are missing."""
    rng = np.random.default_rng(seed)
    times = [
        START + timedelta(minutes=int(minute), milliseconds=7) for minute in rng.integers(0, 5_000, count)
    ]
    columns = {
        "x": rng.normal(size=count),
        "select": rng.normal(size=count) * 1e150,
        'quo"te': rng.integers(-3, 3, count),
        "per%cent": rng.random(count),
        "co:lon": rng.integers(0, 2**53, count),
        "zeros": np.where(rng.random(count) < 0.4, 0.0, rng.exponential(size=count)),
        "constant": np.full(count, 1 / 3),
        "tiny": rng.normal(size=count) * 1e-200,
        "nothing": np.full(count, np.nan),
        "price": rng.integers(0, 10**6, count) / 100,
        "text": rng.choice(WORDS, count),
        "many words": [f"word {number}" for number in rng.zipf(1.5, count)],
        "late": rng.random(count) < 0.3,
    }
    lists = {name: np.asarray(values).tolist() for name, values in columns.items()}
    lists |= {"ts": times, "local": [t.replace(tzinfo=None) for t in times], "day": [t.date() for t in times]}
    for place, name in enumerate(columns):
        missing = rng.random(count) < 0.02 * place
        lists[name] = [
            None if gone or name == "nothing" else value
            for gone, value in zip(missing, lists[name], strict=True)
        ]
    return lists


def table_of(zoned):
    kinds = {
        **dict.fromkeys(NUMBERS, sa.Double),
        **dict.fromkeys(['quo"te', "co:lon"], sa.BigInteger),
        **dict.fromkeys(["text", "many words"], sa.Text),
        "price": sa.Numeric(12, 2, asdecimal=False),
        "late": sa.Boolean,
        "ts": sa.DateTime(timezone=zoned),
        "local": sa.DateTime,
        "day": sa.Date,
    }
    columns = (sa.Column(sa.sql.quoted_name(name, quote=True), kinds[name]) for name in FEATURES)
    return sa.Table("sales", sa.MetaData(), *columns)


def fill(url, values, *, zoned):
    engine = sa.create_engine(url)
    table = table_of(zoned)
    table.metadata.create_all(engine)
    if not zoned:
        values = values | {"ts": [time.replace(tzinfo=None) for time in values["ts"]]}
    with engine.begin() as connection:
        inserted = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        for start in range(0, len(inserted), 500):
            connection.execute(table.insert().values(inserted[start : start + 500]))
    engine.dispose()


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """Each database with the same rows; PostgreSQL's sessions are in a zone far from UTC."""
    folder = tmp_path_factory.mktemp("databases")
    files = {"sqlite": f"sqlite:///{folder}/sales.db", "duckdb": f"duckdb:///{folder}/sales.duckdb"}
    with running_postgres(folder / "postgres") as url:
        found = {**files, "postgresql": url}
        for name, at in found.items():
            fill(at, rows(), zoned=name != "sqlite")
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("alter role postgres set timezone = 'Asia/Kathmandu'")
        engine.dispose()
        yield found


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def url(request, urls):
    return urls[request.param]


def source(url, table="sales", query=None):
    return DatabaseSource(
        "warehouse", lambda _: sa.create_engine(url), table=None if query else table, query=query
    )


def run(url, *statements):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def refusal(attempt, *arguments, **named):
    with pytest.raises(DatasetError) as refused:
        attempt(*arguments, **named)
    return str(refused.value)


def require_same_profile(found, expected):
    assert found.rows == expected.rows
    for mine, other in zip(found.features, expected.features, strict=True):
        for part in dataclasses.fields(other):
            value = getattr(other, part.name)
            if part.name == "centre":
                assert mine.centre == pytest.approx(value, rel=1e-12, abs=1e-12)
            elif part.name == "moments":
                assert mine.moments.finite == value.finite
            else:
                assert getattr(mine, part.name) == value, (other.name, part.name)


def test_a_window_counted_in_the_database_is_what_its_rows_are(url):
    data = source(url)
    profile = profile_table(data.read(ALL, "ts", FEATURES).slice(0, 1_200), FEATURES)
    read = data.read(DAYS, "ts", FEATURES)
    assert 500 < read.num_rows < 1_500
    counted = count_sql(profile, data, window=DAYS, time_column="ts")
    require_all_same_counts(counted, count_batches(profile, read.to_batches()))


def test_a_query_is_counted_like_a_table_and_without_a_window_all_rows_are(url):
    query = "select * from sales where text <> 'a:b' or text is null -- all ';"
    # A query of SQLite's says nothing of its types: booleans are integers there, times are text.
    features = [*NUMBERS, "text", "many words"] if url.startswith("sqlite") else FEATURES
    profile = profile_table(source(url).read(DAYS, "ts", features), features)
    counted = count_sql(profile, source(url, query=query))
    expected = source(url).read(ALL, "ts", features)
    require_all_same_counts(counted, count_batches(profile, expected.to_batches()))
    assert counted["x"].rows == 2_000


def test_statements_that_grow_too_long_are_parted(url, monkeypatch):
    profile = profile_table(source(url).read(DAYS, "ts", FEATURES), FEATURES)
    whole = count_sql(profile, source(url))
    monkeypatch.setattr(sql_counting, "_LONGEST", 60_000)
    require_all_same_counts(count_sql(profile, source(url)), whole)


@pytest.mark.parametrize("grid", ["coarse", "deciles"])
def test_a_coarser_grid_is_the_fine_one_made_coarser(url, grid):
    profile = profile_table(source(url).read(DAYS, "ts", NUMBERS), NUMBERS)
    fine = count_sql(profile, source(url))
    coarse = count_sql(profile, source(url), grid=grid)
    for feature in profile.features:
        expected = coarsen(feature, fine[feature.name], grid)
        assert coarse[feature.name].bins.tolist() == expected.bins.tolist()


def test_a_reference_profiled_in_the_database_has_the_same_edges_names_and_rows(url):
    read = source(url).read(DAYS, "ts", FEATURES)
    found = profile_sql(source(url), FEATURES, window=DAYS, time_column="ts")
    require_same_profile(found, profile_table(read, FEATURES))
    assert Profile.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_numbers_booleans_and_times_may_be_categories_or_numbers(url):
    categorical = ['quo"te', "price", "day", "local"]
    features = [*categorical, "zeros", "late", "ts"]
    read = source(url).read(DAYS, "ts", features)
    found = profile_sql(source(url), features, categorical, window=DAYS, time_column="ts")
    expected = profile_table(read, features, categorical)
    require_same_profile(found, expected)
    counted = count_sql(expected, source(url))
    require_all_same_counts(
        counted, count_batches(expected, source(url).read(ALL, "ts", features).to_batches())
    )


def test_the_naive_time_column_is_in_utc_too(url):
    profile = profile_table(source(url).read(ALL, "local", ["x"]), ["x"])
    counted = count_sql(profile, source(url), window=DAYS, time_column="local")
    require_all_same_counts(
        counted, count_batches(profile, source(url).read(DAYS, "local", ["x"]).to_batches())
    )


def test_an_empty_window_has_no_rows_and_cannot_be_a_reference(url):
    profile = profile_table(source(url).read(ALL, "ts", FEATURES), FEATURES)
    never = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC))
    counted = count_sql(profile, source(url), window=never, time_column="ts")
    assert counted == {feature.name: no_rows(feature) for feature in profile.features}
    said = refusal(profile_sql, source(url), FEATURES, window=never, time_column="ts")
    assert said == (
        "warehouse: table sales: reference window: found no rows or no features, expected at least one of "
        "each; widen the window"
    )
    assert "no rows or no features" in refusal(profile_sql, source(url), [])


def test_new_names_are_told_the_most_frequent_first(url):
    profile = Profile((profile_categories("many words", {"word 1": 3}, 0),), rows=3)
    found = count_sql(profile, source(url))["many words"]
    assert len(found.unseen) == 100
    assert list(found.unseen)[:2] == ["word 2", "word 3"]
    read = source(url).read(ALL, "ts", ["many words"])["many words"].to_pylist()
    assert found.bins.tolist() == [
        read.count("word 1"),
        0,
        sum(1 for one in read if one not in ("word 1", None)),
    ]
    assert found.unseen["word 2"] == read.count("word 2")


def test_names_are_held_in_small_parts(url, monkeypatch):
    profile = profile_table(source(url).read(DAYS, "ts", NAMES), NAMES)
    whole = count_sql(profile, source(url))
    monkeypatch.setattr(sql_rows, "_CHUNK", 7)
    monkeypatch.setattr(groups, "_NAMES_HELD", 7)
    require_all_same_counts(count_sql(profile, source(url)), whole)


@pytest.mark.parametrize("name", ["duckdb", "postgresql"])
def test_not_a_number_is_missing_and_infinities_are_values(urls, name):
    data = source(
        urls[name],
        query="""select cast(v as double precision) as v,
        cast(case when v like '%300' then null else v end as real) as small
        from (values ('NaN'), ('inf'), ('inf'), ('-inf'), ('1e300'), ('-1e300'), ('1'), ('2'), ('-0.0'),
        ('0.0'), (null)) as t (v)""",
    )
    found = profile_sql(data, ["v", "small"])
    values = np.array([np.nan, np.inf, np.inf, -np.inf, 1e300, -1e300, 1, 2, -0.0, 0.0, np.nan])
    expected = profile_numbers("v", values)
    assert found.features[0].edges == expected.edges
    assert found.features[0].atoms == expected.atoms == (-np.inf, -1e300, 0, 1, 2, 1e300, np.inf)
    require_all_same_counts(
        count_sql(Profile((expected,), rows=11), data),
        count_batches(Profile((expected,), rows=11), [pa.record_batch({"v": pa.array(values)})]),
    )
    assert found.features[1].missing == 4


@given(
    reference=st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=40),
    current=st.lists(st.none() | st.floats(allow_nan=False), max_size=40),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_numbers_are_profiled_and_counted_alike(tmp_path_factory, reference, current):
    path = tmp_path_factory.mktemp("any") / "numbers.db"
    connection = sqlite3.connect(path)
    for name, values in (("reference", reference), ("current", current)):
        connection.execute(f'create table "{name}" (v double)')
        connection.executemany(f'insert into "{name}" values (?)', [(value,) for value in values])
    connection.commit()
    connection.close()
    url = f"sqlite:///{path}"
    as_floats = {
        name: pa.array([np.nan if value is None else value for value in values], pa.float64())
        for name, values in (("reference", reference), ("current", current))
    }
    expected = profile_table(pa.table({"v": as_floats["reference"]}), ["v"])
    require_same_profile(profile_sql(source(url, "reference"), ["v"]), expected)
    counted = count_sql(expected, source(url, "current"))["v"]
    other = count_batches(expected, [pa.record_batch({"v": as_floats["current"]})])["v"]
    assert (counted.bins.tolist(), counted.missing) == (other.bins.tolist(), other.missing)


def test_postgres_names_are_told_apart_as_bytes_and_keep_the_blanks_of_their_type(urls):
    query = """select * from (values
        ('a'::char(3), 'North' collate "C", '00000000-0000-0000-0000-000000000001'::uuid),
        ('a'::char(3), 'north', null)) as t (code, region, id)"""
    data = source(urls["postgresql"], query=query)
    profile = profile_sql(data, ["code", "region", "id"])
    assert [one.names for one in profile.features] == [
        ("a  ",),
        ("North", "north"),
        ("00000000-0000-0000-0000-000000000001",),
    ]


def test_what_does_not_fit_the_reference_is_refused_by_name(url):
    data = source(url)
    profile = Profile((profile_numbers("text", np.arange(3.0)),), rows=3)
    said = refusal(count_sql, profile, data)
    assert said.startswith("column 'text': expected numbers, as in the reference window, found string")
    profile = Profile((profile_numbers("pricee", np.arange(3.0)),), rows=3)
    assert "no column 'pricee'; did you mean 'price'?" in refusal(count_sql, profile, data)
    profile = Profile((profile_lists("x", np.ones((3, 2))),), rows=3)
    assert "feature 'x' is of lists, which are not counted in a database" in refusal(count_sql, profile, data)
    profile = Profile((profile_numbers("x", np.arange(3.0)),), rows=3)
    assert "needs the name of a time column" in refusal(count_sql, profile, data, window=DAYS)
    said = refusal(count_sql, profile, data, window=DAYS, time_column="text")
    assert "time column 'text'" in said
    assert "'x' is no feature" in refusal(profile_sql, data, ["text"], ["x"]).replace(": x is", ": 'x' is")


def test_a_column_of_another_kind_than_a_dataset_has_is_refused_unless_it_is_empty(urls):
    filled = source(urls["postgresql"], query="""select '{"a": 1}'::jsonb as x""")
    empty = source(urls["postgresql"], query="select null::jsonb as x from sales")
    for feature in (profile_numbers("x", np.arange(3.0)), profile_categories("x", {"a": 1}, 0)):
        profile = Profile((feature,), rows=3)
        said = refusal(count_sql, profile, filled)
        assert f"column 'x': expected {feature.value_type} values, found 1 of another kind" in said
        counted = count_sql(profile, empty)["x"]
        assert (counted.missing, counted.present) == (2_000, 0)


def test_sqlite_is_held_to_the_types_that_it_declares(tmp_path):
    url = f"sqlite:///{tmp_path}/loose.db"
    run(
        url,
        "create table loose (ts timestamp, x double, c text, flag boolean)",
        "insert into loose values ('2024-01-01 08:00', 1.5, 'a', 1)",
        "insert into loose values ('2024-01-01T09:00:00.123+01:00', 2, 'b', 0)",
    )
    profile = profile_sql(source(url, "loose"), ["x", "c", "flag", "ts"])
    assert count_sql(profile, source(url, "loose"))["ts"].moments.finite == 2
    day = {"window": Window(START, START + timedelta(days=1)), "time_column": "ts"}
    for column, value in (
        ("x", "'text'"),
        ("c", "x'07'"),
        ("flag", "2"),
        ("ts", "'soon'"),
        ("ts", "1704096000"),
    ):
        run(url, f"insert into loose ({column}) values ({value})")
        assert f"column '{column}': expected" in refusal(count_sql, profile, source(url, "loose"))
        if column == "ts":
            said = refusal(count_sql, profile, source(url, "loose"), **day)
            assert "time column 'ts' holds 1 values that are no ISO 8601 text" in said
        run(url, f"delete from loose where {column} = {value}")


def test_rows_that_come_between_two_statements_are_noticed(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/moving.db"
    run(url, "create table moving (x double, y double)", "insert into moving values (1, 2)")
    profile = profile_sql(source(url, "moving"), ["x", "y"])
    monkeypatch.setattr(sql_counting, "_LONGEST", 1)
    statements = sql_counting._statements

    def with_a_row_between(*arguments):
        for statement in statements(*arguments):
            yield statement
            run(url, "insert into moving values (3, 4)")

    monkeypatch.setattr(sql_counting, "_statements", with_a_row_between)
    said = refusal(count_sql, profile, source(url, "moving"))
    assert "rows came or went while they were counted; count a window that has ended" in said


def test_a_database_of_an_unknown_type_is_refused_with_those_that_are_known(url, monkeypatch):
    profile = Profile((profile_numbers("x", np.arange(3.0)),), rows=3)
    monkeypatch.setattr(DatabaseSource, "dialect", "dbase")
    said = refusal(count_sql, profile, source(url))
    assert said.startswith(
        "counting in a database of type 'dbase' is not known; known are postgres, duckdb, "
    )


def test_the_connection_may_stand_in_the_environment(tmp_path, monkeypatch):
    run(f"sqlite:///{tmp_path}/a.db", "create table t (x double)", "insert into t values (1), (2)")
    monkeypatch.setenv(
        "AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/a.db"})
    )
    data = DatabaseSource("warehouse", connect_by_environment, table="t")
    assert profile_sql(data, ["x"]).features[0].atoms == (1, 2)


def test_dates_before_1970_and_fractions_of_seconds_are_exact(urls):
    query = """select cast('1969-12-31 23:59:58.123456' as timestamp) as ts, date '1900-02-28' as d"""
    for name in ("duckdb", "postgresql"):
        profile = profile_sql(source(urls[name], query=query), ["ts", "d"])
        assert profile.features[0].atoms == (-1.876544,)
        assert profile.features[1].atoms == ((date(1900, 2, 28) - date(1970, 1, 1)).days * 86_400.0,)
