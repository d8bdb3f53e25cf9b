from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.data.datasets import (
    feature_columns,
    open_dataset,
    partition_fields,
    read_window,
    source_id,
)
from airflow_provider_ifp.adapters.data.storage import resolve_uri, write_atomically
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.windows import Window

START = datetime(2013, 1, 1, tzinfo=UTC)
SECOND_DAY = Window(datetime(2013, 1, 2, tzinfo=UTC), datetime(2013, 1, 3, tzinfo=UTC))
NEXT_YEAR = Window(datetime(2014, 1, 1, tzinfo=UTC), datetime(2014, 2, 1, tzinfo=UTC))


def hours(count=72, kind=None):
    times = pa.array(
        [START + timedelta(hours=hour) for hour in range(count)], kind or pa.timestamp("us", "UTC")
    )
    return pa.table({"ts": times, "x": list(range(count)), "carrier": ["UA"] * count})


def read(uri, **arguments):
    return read_window(str(uri), **{"time_column": "ts", "window": SECOND_DAY} | arguments)


@pytest.fixture
def folder(tmp_path):
    for month, table in {"01": hours(48), "02": hours(72).slice(48)}.items():
        (tmp_path / "rows" / f"part={month}").mkdir(parents=True)
        pq.write_table(table, tmp_path / "rows" / f"part={month}" / "a.parquet")
    (tmp_path / "rows" / "_SUCCESS").touch()
    (tmp_path / "rows" / ".a.parquet.tmp").write_bytes(b"half of a file")
    return tmp_path / "rows"


def test_a_window_is_half_open(folder):
    assert sorted(read(folder)["x"].to_pylist()) == list(range(24, 48))


def test_one_file_a_csv_and_a_file_uri_are_datasets_as_well(folder, tmp_path):
    pacsv.write_csv(hours(), tmp_path / "rows.csv")
    for uri in (folder / "part=01" / "a.parquet", tmp_path / "rows.csv", f"file://{folder}"):
        assert sorted(read(uri)["x"].to_pylist()) == list(range(24, 48))


def test_an_fsspec_uri_is_a_dataset_as_well():
    filesystem, path = resolve_uri("memory://test_datasets/rows")
    sink = pa.BufferOutputStream()
    pq.write_table(hours(), sink)
    write_atomically(filesystem, f"{path}/a.parquet", sink.getvalue().to_pybytes())
    assert read("memory://test_datasets/rows").num_rows == 24


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Zurich"])
def test_every_kind_of_timestamp_is_read_naive_ones_as_utc(tmp_path, unit, zone):
    pq.write_table(
        hours().set_column(0, "ts", hours()["ts"].cast(pa.timestamp(unit, zone))), tmp_path / "a.parquet"
    )
    read_back = read(tmp_path)
    assert read_back.schema.field("ts").type.tz == "UTC"
    assert read_back.num_rows == 24


def test_a_bound_between_two_ticks_of_a_coarse_clock_cuts_exactly(tmp_path):
    pq.write_table(hours(kind=pa.timestamp("s", "UTC")), tmp_path / "a.parquet")
    half = timedelta(milliseconds=500)
    late = Window(SECOND_DAY.start + half, SECOND_DAY.end + half)
    assert sorted(read(tmp_path, window=late)["x"].to_pylist()) == list(range(25, 49))


def test_an_open_window_takes_everything_before_its_end(folder):
    assert read(folder, window=Window(None, SECOND_DAY.end)).num_rows == 48


def test_only_the_columns_asked_for_come_in_their_order(folder):
    assert read(folder, columns=["x", "part"]).column_names == ["x", "part"]


def test_the_source_id_names_window_and_files(folder):
    assert source_id(str(folder)) == f"{folder} files part=01/a.parquet, part=02/a.parquet"
    named = source_id(str(folder), SECOND_DAY, time_column="ts")
    assert named == f"{folder} [2013-01-02T00:00Z, 2013-01-03T00:00Z) files part=01/a.parquet"
    assert source_id(str(folder / "part=01" / "a.parquet")) == str(folder / "part=01" / "a.parquet")


def test_the_source_id_of_many_files_is_their_number_and_a_digest(tmp_path):
    for number in range(21):
        pq.write_table(hours(1), tmp_path / f"{number}.parquet")
    before = source_id(str(tmp_path))
    assert " 21 files, paths sha256:" in before
    (tmp_path / "20.parquet").rename(tmp_path / "21.parquet")
    assert source_id(str(tmp_path)) != before


def test_a_missing_dataset_is_named_with_what_to_do(tmp_path):
    with pytest.raises(DatasetError, match=r"gone: no such file or folder; check data\.source"):
        open_dataset(str(tmp_path / "gone"))


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(DatasetError, match="the folder holds no file; expected Parquet or CSV"):
        open_dataset(str(tmp_path))


def test_a_file_of_another_kind_is_named(folder):
    (folder / "README.md").touch()
    with pytest.raises(DatasetError, match=r"README\.md is neither Parquet .* nor CSV .*; move it away"):
        open_dataset(str(folder))


def test_parquet_and_csv_in_one_folder_are_refused(folder):
    (folder / "a.csv").write_text("x\n1\n")
    with pytest.raises(DatasetError, match=r"holds both .*a\.parquet and .*a\.csv; expected one kind"):
        open_dataset(str(folder))


def test_a_window_without_rows_says_the_window_and_what_there_is(folder):
    with pytest.raises(DatasetError) as failure:
        read(folder, window=NEXT_YEAR)
    assert str(failure.value) == (
        f"{folder}: no row in the window [2014-01-01T00:00Z, 2014-02-01T00:00Z); the data spans "
        "2013-01-01T00:00Z to 2013-01-03T23:00Z; choose another window or add the missing data"
    )


def test_a_dataset_without_rows_says_so(tmp_path):
    pq.write_table(hours(0), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match="the dataset has no row with a 'ts' at all"):
        read(tmp_path)


def test_a_missing_column_is_named_with_the_nearest_and_all_there_are(folder):
    with pytest.raises(
        DatasetError, match=r"no column 'carier'; did you mean 'carrier'\? Columns are: ts, x, carrier"
    ):
        read(folder, columns=["carier"])
    with pytest.raises(DatasetError, match=r"no column 'when'\. Columns are: ts, x, carrier, part"):
        read(folder, time_column="when")


def test_a_time_column_of_text_is_refused_with_what_to_do(tmp_path):
    pq.write_table(pa.table({"ts": ["2013-01-02T00:00:00Z"]}), tmp_path / "a.parquet")
    with pytest.raises(
        DatasetError, match="time column 'ts' is string, expected a timestamp; store it as one"
    ):
        read(tmp_path)


def test_a_truncated_file_is_named(folder):
    damaged = folder / "part=02" / "a.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    for attempt in (read, lambda uri: source_id(str(uri), SECOND_DAY, time_column="ts")):
        with pytest.raises(DatasetError, match=r"part=02/a\.parquet cannot be read"):
            attempt(folder)


def test_a_file_damaged_inside_its_pages_is_named(folder):
    damaged = folder / "part=01" / "a.parquet"
    content = bytearray(damaged.read_bytes())
    content[4:200] = bytes(196)
    damaged.write_bytes(content)
    with pytest.raises(
        DatasetError, match=r"part=01/a\.parquet cannot be read: .*; restore or remove that file"
    ):
        read(folder)


def test_a_csv_whose_column_changes_its_type_is_named(tmp_path):
    # Arrow infers types from the first megabyte.
    lines = [f"2013-01-02T00:00:00Z,{number}" for number in range(60_000)]
    (tmp_path / "a.csv").write_text("\n".join(["ts,x", *lines, "2013-01-02T00:00:00Z,oops"]) + "\n")
    with pytest.raises(DatasetError, match=r"a\.csv cannot be read: .*oops"):
        read(tmp_path / "a.csv")


def test_a_uri_of_no_known_file_system_is_refused():
    with pytest.raises(DatasetError, match="nosuch://bucket/rows: no file system for nosuch://"):
        open_dataset("nosuch://bucket/rows")


def test_partition_fields_are_the_names_in_folders(folder):
    assert partition_fields(open_dataset(str(folder))) == ["part"]
    assert partition_fields(open_dataset(str(folder / "part=01" / "a.parquet"))) == []


COLUMNS = pa.schema(
    {
        "ts": pa.timestamp("us"),
        "id": pa.string(),
        "block": pa.float64(),
        "carrier": pa.string(),
        "late": pa.bool_(),
        "dow": pa.dictionary(pa.int8(), pa.string()),
        "month": pa.string(),
        "y": pa.float64(),
    }
)
ROLES = {"time_column": "ts", "label": "y", "key": ["id"], "partitions": ["month"]}


def test_features_are_every_column_without_another_role():
    assert feature_columns(COLUMNS, **ROLES) == (
        ["block", "carrier", "late", "dow"],
        ["carrier", "late", "dow"],
    )


def test_features_and_categorical_are_taken_as_given():
    chosen = feature_columns(COLUMNS, **ROLES, features=["dow", "block", "month"], categorical=["month"])
    assert chosen == (["dow", "block", "month"], ["month"])
    assert feature_columns(COLUMNS, **ROLES, categorical=[])[1] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": ["blok"]}, r"data\.features: no column 'blok'; did you mean 'block'\?"),
        (
            {"features": ["block", "y"]},
            "data.features: 'y' is the label; a model must not see what it predicts",
        ),
        ({"features": []}, "data.features: no column is left besides id, month, ts, y"),
        ({"features": ["block"], "categorical": ["carrier"]}, "data.categorical: 'carrier' is no feature"),
        ({"categorical": ["color"]}, "data.categorical: no column 'color'"),
    ],
)
def test_features_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(DatasetError, match=message):
        feature_columns(COLUMNS, **ROLES, **arguments)


def test_a_file_that_is_written_again_is_replaced_whole_and_leaves_nothing_behind(tmp_path):
    filesystem, path = resolve_uri(str(tmp_path / "new" / "a"))
    write_atomically(filesystem, path, b"first")
    write_atomically(filesystem, path, b"second")
    assert {file.name: file.read_bytes() for file in (tmp_path / "new").iterdir()} == {"a": b"second"}
