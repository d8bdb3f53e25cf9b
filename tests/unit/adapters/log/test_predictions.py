from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.log.files import describe_search
from airflow_provider_ifp.adapters.log.predictions import (
    iter_batches,
    read_log,
    write_predictions,
)
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.core.windows import Window

START = datetime(2013, 6, 1, tzinfo=UTC)
JUNE = Window(START, datetime(2013, 7, 1, tzinfo=UTC))
CONTRACT = {
    "request_id": "string",
    "row": "int32",
    "ts": "timestamp[us, tz=UTC]",
    "model_version": "string",
    "features": "struct<block: double, carrier: string>",
    "prediction": "double",
    "score": "double",
    "compute_us": "int32",
    "e2e_us": "int32",
    "batch_rows": "int32",
    "status": "int16",
    "schema_version": "int16",
}


def requests(count=100, every=timedelta(minutes=30), start=START, **columns):
    """Requests, one every half hour; `block` is their number."""
    features = pa.StructArray.from_arrays(
        [pa.array([float(number) for number in range(count)]), pa.array(["UA"] * count)], ["block", "carrier"]
    )
    made = {
        "request_id": [f"r{number}" for number in range(count)],
        "row": pa.array([0] * count, pa.int32()),
        "ts": pa.array([start + number * every for number in range(count)], pa.timestamp("us", "UTC")),
        "model_version": ["1"] * count,
        "features": features,
        "prediction": [number / 2 for number in range(count)],
    }
    return pa.table(made | columns)


@pytest.fixture
def root(tmp_path):
    write_predictions(str(tmp_path), "flight-time", "production", requests())
    return tmp_path


def read(root, window=JUNE, columns=("block",), **arguments):
    return read_log(str(root), "flight-time", "production", window, columns, **arguments)


def test_rows_lie_in_the_folder_of_their_stage_day_and_hour(root):
    folder = root / "model=flight-time" / "stage=production"
    places = sorted({str(file.parent.relative_to(folder)) for file in folder.rglob("*.parquet")})
    assert len(places) == 50
    assert places[:2] == ["date=2013-06-01/hour=00", "date=2013-06-01/hour=01"]
    assert places[-1] == "date=2013-06-03/hour=01"


def test_a_file_holds_the_contracts_columns_and_types(root):
    file = next((root / "model=flight-time").rglob("*.parquet"))
    assert {field.name: str(field.type) for field in pq.read_schema(file)} == CONTRACT
    first = pq.ParquetFile(file).read().to_pylist()[0]
    assert first["score"] is None
    assert first["compute_us"] is None
    assert first["schema_version"] == 1


@pytest.mark.parametrize(
    ("prediction", "kind"),
    [
        ([1, 2], "double"),
        ([1.5, 2.5], "double"),
        ([[0.1, 0.9], [1, 0]], "list<element: double>"),
        (["a", "b"], "string"),
    ],
)
def test_a_prediction_is_a_number_a_list_of_numbers_or_text(tmp_path, prediction, kind):
    [path] = write_predictions(str(tmp_path), "m", "shadow", requests(2, prediction=prediction))
    assert str(pq.read_schema(path).field("prediction").type) == kind
    assert pq.ParquetFile(path).read()["prediction"].to_pylist() == prediction


def test_what_was_written_is_read_back_exactly(root):
    rows = read(root, columns=["carrier", "block"], log_columns=["prediction", "request_id", "ts"])
    assert rows.column_names == ["carrier", "block", "prediction", "request_id", "ts"]
    assert rows["block"].to_pylist() == [float(number) for number in range(100)]
    assert rows["prediction"].to_pylist() == requests()["prediction"].to_pylist()
    assert rows["ts"].to_pylist() == requests()["ts"].to_pylist()


def test_a_window_is_half_open_to_the_microsecond(root):
    window = Window(START + timedelta(hours=1), START + timedelta(hours=2))
    assert read(root, window)["block"].to_pylist() == [2.0, 3.0]
    later = Window(window.start + timedelta(microseconds=1), window.end + timedelta(microseconds=1))
    assert read(root, later)["block"].to_pylist() == [3.0, 4.0]
    assert read(root, Window(None, window.end))["block"].to_pylist() == [0.0, 1.0, 2.0, 3.0]


def test_only_the_hours_of_the_window_are_opened(root):
    for file in (root / "model=flight-time").rglob("*.parquet"):
        if file.parent.name != "hour=05" or file.parent.parent.name != "date=2013-06-02":
            file.write_bytes(b"not Parquet at all")
    hour = Window(START + timedelta(hours=29), START + timedelta(hours=30))
    assert read(root, hour)["block"].to_pylist() == [58.0, 59.0]


def test_files_that_are_still_being_written_are_left_alone(root):
    hour = root / "model=flight-time" / "stage=production" / "date=2013-06-01" / "hour=00"
    (hour / ".part-x.parquet.1f.tmp").write_bytes(b"half")
    (hour / ".part-y.parquet").write_bytes(b"half")
    assert read(root).num_rows == 100


def test_writing_the_same_rows_again_doubles_nothing(root):
    written = write_predictions(str(root), "flight-time", "production", requests())
    assert len(written) == 50
    assert read(root).num_rows == 100


def test_rows_in_any_order_come_out_by_the_hour(tmp_path):
    write_predictions(
        str(tmp_path), "flight-time", "production", requests().take(pa.array(range(99, -1, -1)))
    )
    hours = pc.floor_temporal(read(tmp_path, log_columns=["ts"])["ts"], unit="hour").to_pylist()
    assert hours == sorted(hours)


def test_batches_are_streamed_flat(root):
    batches = list(iter_batches(str(root), "flight-time", "production", JUNE, ["block"]))
    assert all(batch.schema.names == ["block"] and batch.num_rows for batch in batches)
    assert sum(batch.num_rows for batch in batches) == 100


def test_stages_are_apart(root):
    write_predictions(str(root), "flight-time", "shadow", requests(3))
    assert read_log(str(root), "flight-time", "shadow", JUNE, ["block"]).num_rows == 3
    assert read(root).num_rows == 100


def test_files_may_differ_in_features_that_are_not_read_and_lack_new_ones(root):
    features = pa.StructArray.from_arrays([pa.array([7.0]), pa.array([1])], ["block", "seats"])
    later = requests(1, start=START + timedelta(days=9), features=features)
    write_predictions(str(root), "flight-time", "production", later)
    assert read(root).num_rows == 101
    seats = read(root, columns=["seats"])["seats"]
    assert (seats.null_count, seats[-1].as_py()) == (100, 1)


def test_a_window_without_rows_gives_none_and_says_where_was_looked(root):
    july = Window(JUNE.end, JUNE.end + timedelta(days=31))
    assert list(iter_batches(str(root), "flight-time", "production", july, ["block"])) == []
    assert read(root, july).num_rows == 0
    assert read(root, july).column_names == ["block"]
    assert describe_search(str(root), "flight-time", "production", july) == (
        f"{root}/model=flight-time/stage=production in the window [2013-07-01T00:00Z, 2013-08-01T00:00Z); "
        "the days there are 2013-06-01 to 2013-06-03"
    )
    assert describe_search(str(root), "flight-time", "replay", july).endswith("; no day is there")


def test_a_log_that_does_not_exist_is_named_with_what_to_do(root):
    for place, model in ((root, "flight_time"), (root / "gone", "flight-time")):
        with pytest.raises(
            PredictionLogError, match=rf"has no folder model={model} .*name the log's root in monitor"
        ):
            read_log(str(place), model, "production", JUNE, ["block"])


def test_a_truncated_file_is_named(root):
    damaged = sorted((root / "model=flight-time").rglob("*.parquet"))[7]
    damaged.write_bytes(damaged.read_bytes()[:-60])
    with pytest.raises(
        PredictionLogError, match=rf"{damaged} cannot be read: .*; restore or remove that file"
    ):
        read(root)


def test_a_feature_or_column_that_the_log_lacks_is_named(root):
    with pytest.raises(PredictionLogError, match=r"features of .*: no column 'blok'; did you mean 'block'\?"):
        read(root, columns=["blok"])
    with pytest.raises(PredictionLogError, match=r"no column 'predicted'; did you mean 'prediction'\?"):
        read(root, log_columns=["predicted"])
    with pytest.raises(PredictionLogError, match="'row' is asked for as a feature and as a log column"):
        read(root, columns=["row"], log_columns=["row"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"latency": [1, 2]}, "unknown column 'latency'; the log has request_id, row"),
        ({"features": [1, 2]}, "features is int64, expected a struct"),
        ({"prediction": [True, False]}, "prediction is bool, expected a number, a list of numbers, or text"),
        ({"score": ["a", "b"]}, "score is string, expected a number, a list of numbers"),
        (
            {"ts": pa.array([START, START], pa.timestamp("us"))},
            r"ts is timestamp\[us\], expected a timestamp with a zone",
        ),
        ({"ts": pa.array([START, None], pa.timestamp("us", "UTC"))}, "1 of 2 ts are null"),
        ({"row": [2**40, 0]}, "row is int64, expected int32"),
    ],
)
def test_rows_that_the_log_cannot_hold_are_refused_and_nothing_is_written(tmp_path, columns, message):
    with pytest.raises(PredictionLogError, match=message):
        write_predictions(str(tmp_path), "m", "production", requests(2, **columns))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(PredictionLogError, match="no column 'model_version'; it needs request_id, row, ts"):
        write_predictions(str(tmp_path), "m", "production", requests(2).drop_columns(["model_version"]))


@pytest.mark.parametrize(("model", "stage"), [("../up", "production"), ("m", "staging")])
def test_a_name_that_is_no_model_or_no_stage_is_refused(tmp_path, model, stage):
    with pytest.raises(PredictionLogError, match="expected"):
        write_predictions(str(tmp_path), model, stage, requests(2))


def test_no_rows_write_no_file(tmp_path):
    assert write_predictions(str(tmp_path), "m", "production", requests(2).slice(0, 0)) == []


def test_a_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    [path] = write_predictions("~/log", "m", "production", requests(2))
    assert Path(path).is_relative_to(tmp_path / "log")


def test_a_server_need_not_write_timings_or_status(root):
    for path in sorted(root.rglob("*.parquet")):
        pq.write_table(pq.read_table(path).drop_columns(["compute_us", "status", "schema_version"]), path)
    found = read(root, log_columns=["prediction", "compute_us", "status"])
    assert found.num_rows == 100
    assert [found[name].null_count for name in ("prediction", "compute_us", "status")] == [0, 100, 100]
