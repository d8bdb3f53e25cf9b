"""Columns of every kind, counted in parts."""

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.counting import count_categories
from airflow_provider_ifp.core.profile.feature import ListProfile

RNG = np.random.default_rng(5)


def embeddings(rows, length=6):
    values = RNG.normal(size=rows * length) * np.tile([5, 3, 1, 1, 1, 1][:length], rows)
    return pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), length)


def test_reference_counts_itself_as_profiled():
    table = pa.table(
        {
            "x": RNG.normal(size=500),
            "c": RNG.choice(["a", "b", "c"], 500),
            "v": embeddings(500),
            "flag": RNG.random(500) < 0.3,
        }
    )
    profile = profile_table(table, table.column_names)
    counted = count_batches(profile, table.to_batches(max_chunksize=64))
    for feature in profile.measured:
        assert counted[feature.name].bins.tolist() == feature.counts.bins.tolist()


@pytest.mark.parametrize(
    "shape", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.int16(), 6)]
)
def test_lists_of_any_shape_are_counted_by_norm_and_axes(shape):
    rows = [[3, 4, 0, 0, 0, 0], None, [1, 0, 0, 0, 0, 0]]
    profile = profile_table(pa.table({"v": embeddings(400)}), ["v"])
    counts = count_batches(profile, [pa.record_batch([pa.array(rows, shape)], names=["v"])])
    assert list(counts) == ["v: norm", "v: axis 1", "v: axis 2", "v: axis 3", "v: axis 4"]
    assert {one.missing for one in counts.values()} == {1}
    assert counts["v: norm"].moments.smallest == 1
    assert counts["v: norm"].moments.largest == 5


def test_a_matrix_of_lists_is_made_in_parts(monkeypatch):
    table = pa.table({"v": embeddings(100)})
    profile = profile_table(table, ["v"])
    whole = count_batches(profile, table.to_batches())
    monkeypatch.setattr("airflow_provider_ifp.adapters.counting.counter._MATRIX_NUMBERS", 6 * 7)
    parts = count_batches(profile, table.to_batches())
    assert [one.bins.tolist() for one in parts.values()] == [one.bins.tolist() for one in whole.values()]


def test_lists_of_another_length_are_refused():
    profile = profile_table(pa.table({"v": embeddings(50)}), ["v"])
    assert isinstance(profile.features[0], ListProfile)
    with pytest.raises(DatasetError, match="column 'v': expected lists of 6 numbers, found one of 5"):
        count_batches(profile, [pa.record_batch({"v": embeddings(3, 5)})])
    with pytest.raises(DatasetError, match="expected lists of 6 numbers, as in the reference window, found"):
        count_batches(profile, [pa.record_batch({"v": [1.0]})])
    with pytest.raises(DatasetError, match="expected lists of 2 numbers, found one of 1"):
        profile_table(pa.table({"v": [[1.0, 2.0], [1.0]]}), ["v"])
    nulls = count_batches(profile, [pa.record_batch({"v": pa.nulls(4)})])
    assert nulls["v: norm"].missing == 4


def dictionary(indices, values):
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(values))


@pytest.mark.parametrize(
    ("column", "expected", "missing"),
    [
        (dictionary([0, 1, None, 1], ["a", "b", "unused"]), {"a": 1, "b": 2}, 1),
        (dictionary([0, 1, 2, 0], ["a", None, "new"]), {"a": 2, "new": 1}, 1),
        (dictionary([0, 1, 2], ["new", "a", "new"]), {"new": 2, "a": 1}, 0),
        (dictionary([], []).cast(pa.dictionary(pa.int32(), pa.string())), {}, 0),
        (pa.array(["a", None, "b", "ü"], pa.large_string()), {"a": 1, "b": 1, "ü": 1}, 1),
        (pa.array([None, None], pa.string()), {}, 2),
        (pa.chunked_array([["zz", "a", "b"]]).chunk(0).slice(1), {"a": 1, "b": 1}, 0),
    ],
)
def test_categories_of_any_encoding_are_counted_by_their_text(column, expected, missing):
    profile = profile_table(pa.table({"c": ["a"] * 5 + ["b"] * 3 + ["ü"]}), ["c"])
    batch = pa.RecordBatch.from_arrays([column], names=["c"])
    assert count_batches(profile, [batch])["c"] == count_categories(profile.features[0], expected, missing)


def test_more_names_than_are_kept_count_with_the_others():
    many = [f"n{number:05d}" for number in range(10_002)]
    profile = profile_table(pa.table({"c": many}), ["c"])
    counts = count_batches(profile, [pa.record_batch({"c": ["n00000", "n00070", "unknown"]})])["c"]
    assert (counts.bins[0], counts.bins[-2], counts.bins[-1], counts.unseen) == (1, 2, 0, {})


def test_of_many_unseen_names_the_most_frequent_are_named():
    profile = profile_table(pa.table({"c": ["a"]}), ["c"])
    unseen = [f"u{number}" for number in range(500)] + ["u7", "u7", "u9"]
    counts = count_batches(profile, [pa.record_batch({"c": unseen})])["c"]
    assert counts.bins.tolist() == [0, 0, 503]
    assert len(counts.unseen) == 100
    assert (counts.unseen["u7"], counts.unseen["u9"]) == (3, 2)
