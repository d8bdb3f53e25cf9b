"""Parquet files counted column by column say what their rows say in any other way of reading."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.parquet import columns as parquet_columns
from airflow_provider_ifp.adapters.counting.parquet.counting import count_files
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.core.errors import DatasetError

RNG = np.random.default_rng(3)
NAMES = ["x", "n", "c", "v", "flag"]


def rows(number):
    return pa.table(
        {
            "other": RNG.normal(size=number),
            "x": pa.array(RNG.normal(size=number), mask=RNG.random(number) < 0.1),
            "n": RNG.integers(0, 9, number),
            "c": pa.array(RNG.choice(["a", "b", "new"], number), mask=RNG.random(number) < 0.1),
            "v": [[value, 1.0] for value in RNG.normal(size=number).tolist()],
            "flag": RNG.random(number) < 0.5,
        }
    )


PROFILE = profile_table(rows(400), NAMES)


def bins(counts):
    return {name: (one.bins.tolist(), one.missing, one.unseen) for name, one in counts.items()}


@pytest.mark.parametrize("grid", ["fine", "coarse"])
@pytest.mark.parametrize("large", [True, False])
def test_files_are_counted_like_their_rows(tmp_path, monkeypatch, grid, large):
    if large:
        monkeypatch.setattr(parquet_columns, "_LARGE_GROUP", 50)
        monkeypatch.setattr(parquet_columns, "_PART_ROWS", 20)
    tables = [rows(300), rows(120), rows(0)]
    for place, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"{place}.parquet", row_group_size=100)
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    whole = count_batches(PROFILE, (batch for table in tables for batch in table.to_batches()), grid)
    assert bins(count_files(PROFILE, paths, grid=grid)) == bins(whole)


def test_features_of_the_prediction_log_lie_in_a_struct(tmp_path):
    table = rows(200)
    whole = pa.StructArray.from_arrays(
        [table[name].combine_chunks() for name in table.column_names],
        names=table.column_names,
        mask=pa.array(RNG.random(200) < 0.2),
    )
    pq.write_table(pa.table({"x": ["a column of the log's own"] * 200, "features": whole}), tmp_path / "log")
    flat = pa.RecordBatch.from_arrays(whole.flatten(), names=table.column_names)
    counts = count_files(PROFILE, [str(tmp_path / "log")], within="features")
    assert bins(counts) == bins(count_batches(PROFILE, [flat]))
    assert counts["n"].missing > 20


def test_no_files_are_a_window_of_no_rows():
    assert {one.rows for one in count_files(PROFILE, []).values()} == {0}


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "half.parquet"
    pq.write_table(rows(500), path)
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(DatasetError, match=r"half\.parquet cannot be read: .*; restore or remove that file"):
        count_files(PROFILE, [str(path)])
    with pytest.raises(DatasetError, match=r"gone.parquet cannot be read"):
        count_files(PROFILE, [str(tmp_path / "gone.parquet")])


def test_a_column_that_is_not_there_or_changed_is_named_with_its_file(tmp_path):
    path = tmp_path / "part.parquet"
    pq.write_table(rows(5).drop_columns("n"), path)
    with pytest.raises(DatasetError, match=r"part.parquet: there is no column 'n'; the columns are"):
        count_files(PROFILE, [str(path)])
    with pytest.raises(DatasetError, match=r"part.parquet: there is no column 'features'"):
        count_files(PROFILE, [str(path)], within="features")
    changed = rows(5)
    pq.write_table(changed.set_column(2, "n", changed["n"].cast(pa.string())), path)
    with pytest.raises(
        DatasetError, match=r"part.parquet: column 'n': expected numbers, as in the reference"
    ):
        count_files(PROFILE, [str(path)])
