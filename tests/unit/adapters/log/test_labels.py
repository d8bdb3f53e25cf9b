"""Labels join the log's rows: the newest of each answer, whenever it comes, and never another answer's."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_ifp.adapters.log.label_files import write_labels
from airflow_provider_ifp.adapters.log.labels import Labels, errors_of, find_labels
from airflow_provider_ifp.adapters.log.predictions import read_log, write_predictions
from airflow_provider_ifp.core.errors import DamagedFileError, DatasetError, PredictionLogError
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.windows import Window

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(START, START + 5 * DAY)
TIMES = pa.timestamp("us", "UTC")


def times(offsets):
    return pa.array([START + offset for offset in offsets], TIMES)


def labels(*rows, row=0, **columns):
    """Labels as (request, label, days after the request's that they were known)."""
    made = {
        "request_id": [request for request, _, _ in rows],
        "row": pa.array([row] * len(rows), pa.int32()),
        "ts": times([DAY] * len(rows)),
        "label": [label for _, label, _ in rows],
        "label_ts": times([DAY + late * DAY for _, _, late in rows]),
    }
    return pa.table(made | columns)


@pytest.fixture
def root(tmp_path):
    """A log of three answers: a 1.0, b 2.0, c 3.0, a day after the window's start."""
    features = pa.StructArray.from_arrays([pa.array([7, 8, 9])], ["customer"])
    rows = {
        "request_id": ["a", "b", "c"],
        "row": pa.array([0, 0, 0], pa.int32()),
        "ts": times([DAY] * 3),
        "model_version": ["1"] * 3,
        "features": features,
        "prediction": [1.0, 2.0, 3.0],
    }
    write_predictions(str(tmp_path / "log"), "m", "production", pa.table(rows))
    return str(tmp_path / "log")


def policy(folder, **data):
    laid = {"source": "data", "time_column": "ts", "label": "y", **data}
    return Policy.from_json({"model": "m", "data": laid}, folder=folder)


def errors(root, tmp_path, kind="number", **data):
    found = find_labels(policy(tmp_path, **data), root, WINDOW, features=["customer"])
    rows = read_log(root, "m", "production", WINDOW, found.features, log_columns=found.log_columns)
    of = dict(zip(rows["prediction"].to_pylist(), errors_of(rows, found, kind).to_pylist(), strict=True))
    return [of[answer] for answer in (1.0, 2.0, 3.0)]


def write_source(tmp_path, **columns):
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "data" / "rows.parquet")


def test_what_has_no_label_yet_has_no_error(root, tmp_path):
    write_labels(root, "m", labels(("a", 1.5, 0), ("c", 1.0, 0)))
    assert errors(root, tmp_path) == [-0.5, None, 2.0]


def test_the_newest_label_of_an_answer_counts_in_whatever_order_they_come(root, tmp_path):
    write_labels(root, "m", labels(("a", 5.0, 3), ("b", 2.0, 0)))
    write_labels(root, "m", labels(("a", 4.0, 2), ("a", 4.0, 2)))
    assert errors(root, tmp_path) == [-4.0, 0.0, None]


def test_a_label_that_comes_a_year_late_is_found(root, tmp_path):
    [path] = write_labels(root, "m", labels(("b", 0.0, 365)))
    assert "labels/date=2024-01-02/" in path
    assert errors(root, tmp_path) == [None, 2.0, None]


def test_the_row_is_part_of_an_answers_name(root, tmp_path):
    write_labels(root, "m", labels(("a", 9.0, 0), row=1))
    assert errors(root, tmp_path) == [None, None, None]


def test_writing_labels_again_replaces_them(root):
    table = labels(("a", 1.5, 0))
    assert write_labels(root, "m", table) == write_labels(root, "m", table)


def test_labels_of_classes_are_right_or_wrong(root, tmp_path):
    write_labels(root, "m", labels(("a", True, 0), ("b", False, 0)))
    assert errors(root, tmp_path, "category") == ["right", "wrong", None]


@pytest.mark.parametrize("kind", ["number", "category"])
def test_without_labels_every_error_is_missing_and_the_reason_is_told(root, tmp_path, kind):
    assert errors(root, tmp_path, kind) == [None] * 3
    why = find_labels(policy(tmp_path), root, WINDOW, features=["customer"]).where
    assert "model=m/labels" in why
    assert "data.key" in why


def test_labels_in_the_data_join_by_their_key_and_the_newest_row_counts(root, tmp_path):
    write_source(
        tmp_path,
        request_id=["a", "a", "b", "c"],
        y=[1, 3, None, 4],
        ts=times([DAY, 2 * DAY, DAY, 9 * DAY]),
    )
    assert errors(root, tmp_path, key=["request_id"]) == [-2.0, None, None]


def test_a_key_may_be_a_feature_of_another_width(root, tmp_path):
    write_source(tmp_path, customer=pa.array([8, 9], pa.int16()), y=[1.0, 1.0], ts=times([DAY, DAY]))
    assert errors(root, tmp_path, key=["customer"]) == [None, 1.0, 2.0]


def test_a_key_that_the_log_has_not_finds_nothing_and_says_so(root, tmp_path):
    write_source(tmp_path, order=["a"], y=[1.0], ts=times([DAY]))
    assert errors(root, tmp_path, key=["order"]) == [None] * 3
    assert (
        "'order' of data.key" in find_labels(policy(tmp_path, key=["order"]), root, WINDOW, features=[]).where
    )


def test_data_without_a_row_in_the_window_is_no_error(root, tmp_path):
    write_source(tmp_path, request_id=["a"], y=[1.0], ts=times([90 * DAY]))
    assert errors(root, tmp_path, key=["request_id"]) == [None] * 3


def test_labels_beside_the_log_come_before_those_in_the_data(root, tmp_path):
    write_source(tmp_path, request_id=["a"], y=[100.0], ts=times([DAY]))
    write_labels(root, "m", labels(("a", 1.0, 0)))
    assert errors(root, tmp_path, key=["request_id"]) == [0.0, None, None]


def test_a_label_by_request_is_not_used_where_the_request_has_several_rows():
    rows = pa.table({"request_id": ["a", "a", "b"], "row": [0, 1, 0], "prediction": [1.0, 2.0, 3.0]})
    known = Labels(pa.table({"request_id": ["a", "b"], "\0label": [1.0, 1.0]}), ("request_id",), "data")
    assert errors_of(rows, known, "number").to_pylist() == [None, None, 2.0]


@pytest.mark.parametrize("gone", ["request_id", "row", "label", "label_ts"])
def test_a_file_that_lacks_a_column_is_named(root, tmp_path, gone):
    [path] = write_labels(root, "m", labels(("a", 1.0, 0)))
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns([gone]), path)
    with pytest.raises(DatasetError, match=f"{path}: labels: no column '{gone}'"):
        errors(root, tmp_path)


def test_a_damaged_file_is_named(root, tmp_path):
    [path] = write_labels(root, "m", labels(("a", 1.0, 0)))
    Path(path).write_bytes(b"PAR1")
    with pytest.raises(DamagedFileError, match=path):
        errors(root, tmp_path)


def test_labels_of_another_kind_than_the_answers_are_refused(root, tmp_path):
    write_labels(root, "m", labels(("a", "high", 0)))
    for kind in ("number", "category"):
        with pytest.raises(DatasetError, match="label is string, but the predictions are double"):
            errors(root, tmp_path, kind)


def test_text_among_numbers_is_refused_by_file(root, tmp_path):
    write_labels(root, "m", labels(("a", "high", 0)))
    write_labels(root, "m", labels(("b", 1.0, 0)))
    with pytest.raises(DatasetError, match="write one kind"):
        errors(root, tmp_path)


def test_a_key_of_other_values_than_the_logs_is_refused(root, tmp_path):
    write_source(tmp_path, customer=["seven"], y=[1.0], ts=times([DAY]))
    with pytest.raises(DatasetError, match="key 'customer' is string, but int64 in the prediction log"):
        errors(root, tmp_path, key=["customer"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (labels(("a", 1.0, 0), ("b", None, 0)), "1 of 2 label are null"),
        (labels(("a", 1.0, 0)).drop_columns(["label_ts"]), "no column 'label_ts'"),
        (labels(("a", 1.0, 0), other=[1]), "unknown column 'other'"),
        (
            labels(("a", 1.0, 0), ts=pa.array([START.replace(tzinfo=None)])),
            "expected a timestamp with a zone",
        ),
        (labels(("a", [1.0], 0)), "expected one number, boolean or text"),
    ],
)
def test_what_is_no_label_is_not_written(root, table, message):
    with pytest.raises(PredictionLogError, match=message):
        write_labels(root, "m", table)


known = st.tuples(st.sampled_from("abcdef"), st.integers(0, 2), st.integers(0, 3), st.integers(-3, 3))
asked = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2), st.integers(-3, 3))


@settings(deadline=None, max_examples=60)
@given(known=st.lists(known, max_size=25), asked=st.lists(asked, min_size=1, max_size=25))
def test_errors_are_those_of_a_dictionary_of_the_newest_labels(tmp_path_factory, known, asked):
    root = str(tmp_path_factory.mktemp("log"))
    newest = {}
    for request, row, late, label in known:
        pair = (request, row)
        newest[pair] = max(newest.get(pair, (late, label)), (late, label))
    for row, group in itertools.groupby(known, key=lambda one: one[1]):
        write_labels(root, "m", labels(*((r, float(label), late) for r, _, late, label in group), row=row))
    names, places, answers = zip(*asked, strict=True)
    rows = pa.table({"request_id": names, "row": pa.array(places, pa.int32()), "prediction": answers})
    found = find_labels(policy(None), root, WINDOW, features=[])
    expected = [a - newest[r, p][1] if (r, p) in newest else None for r, p, a in asked]
    assert errors_of(rows, found, "number").to_pylist() == expected
