"""A reference window in files has the profile that its rows have as a table."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.counting.parquet import profiling as parquet_profiling
from airflow_provider_ifp.adapters.counting.parquet.counting import count_files
from airflow_provider_ifp.adapters.counting.parquet.profiling import profile_files
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.core.errors import DatasetError

RNG = np.random.default_rng(8)
NAMES = ["x", "n", "c", "v", "at"]


def rows(number):
    return pa.table(
        {
            "x": pa.array(RNG.normal(size=number), mask=RNG.random(number) < 0.1),
            "n": RNG.integers(0, 5, number),
            "c": pa.array(RNG.choice(["a", "b", "c"], number), mask=RNG.random(number) < 0.1),
            "v": [[value, 1.0] for value in RNG.normal(size=number).tolist()],
            "at": pa.array(RNG.integers(0, 10**15, number), pa.timestamp("us", "UTC")),
        }
    )


@pytest.fixture
def files(tmp_path):
    tables = [rows(900), rows(600)]
    for place, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"{place}.parquet", row_group_size=400)
    return [str(path) for path in sorted(tmp_path.iterdir())], pa.concat_tables(tables)


def test_files_have_the_profile_of_their_rows(files):
    paths, table = files
    assert profile_files(paths, NAMES, ["c", "n"]) == profile_table(table, NAMES, ["c", "n"])


def test_of_many_rows_the_bins_are_sampled_and_the_counts_are_whole(files, monkeypatch):
    paths, table = files
    monkeypatch.setattr(parquet_profiling, "SAMPLED_ROWS", 500)
    profile = profile_files(paths, NAMES)
    assert profile == profile_files(paths, NAMES)
    assert profile.rows == 1500
    assert {one.counts.rows for one in profile.measured} == {1500}
    counted = count_files(profile, paths)
    for one in profile.measured:
        assert counted[one.name].bins.tolist() == one.counts.bins.tolist()
    exact = profile_table(table, NAMES)
    assert profile.features[2] == exact.features[2]
    # Ranks of 500 sampled rows: five standard errors are 0.11.
    x = np.sort(table["x"].drop_null().to_numpy())
    ranks = np.searchsorted(x, profile.features[0].cuts("deciles")) / len(x)
    assert np.abs(ranks - np.arange(1, 10) / 10).max() < 0.12
    assert profile.features[0].edges != exact.features[0].edges


def test_what_cannot_be_profiled_is_refused(files, tmp_path):
    paths, table = files
    with pytest.raises(DatasetError, match=r"0\.parquet: there is no column 'y'"):
        profile_files(paths, ["y"])
    with pytest.raises(DatasetError, match="found 1500 rows and 0 features"):
        profile_files(paths, [])
    with pytest.raises(DatasetError, match="found 0 rows"):
        profile_files([], ["x"])
    changed = tmp_path / "9.parquet"
    pq.write_table(pa.table({"x": table["c"]}), changed)
    with pytest.raises(DatasetError, match=r"9\.parquet: column 'x': expected double, as in .*0\.parquet"):
        profile_files([*paths, str(changed)], ["x"])
