"""Real flights all the way: dataset, windows, fingerprint, profile, prediction log, PSI.

`--data-sample small` takes a seeded sample and checks what any sample must show; `full` takes all of 2013's
flights and checks their known figures.
"""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.data.datasets import feature_columns, open_dataset, read_window, source_id
from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.adapters.log.predictions import read_log, write_predictions
from airflow_provider_ifp.core.drift.psi import psi
from airflow_provider_ifp.core.windows import current_window, training_windows
from airflow_provider_ifp.demo.flights import select_month, write_month

DAY = timedelta(days=1)
MONTHS = [f"2013-{month:02}" for month in range(1, 10)]
FEATURES = ["sched_hour", "distance", "block", "carrier", "origin", "dest", "dow"]
CATEGORICAL = ["carrier", "origin", "dest", "dow"]


@pytest.fixture(scope="module")
def dataset(flights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / "flights"
    for month in MONTHS:
        write_month(flights, folder, month)
    return str(folder)


@pytest.fixture(scope="module")
def log(flights, tmp_path_factory):
    """The flights as requests that version 1 answered."""
    root = str(tmp_path_factory.mktemp("predictions"))
    for month in MONTHS[2:]:
        rows = select_month(flights, month)
        features = pa.StructArray.from_arrays([rows[name].combine_chunks() for name in FEATURES], FEATURES)
        requests = {
            "request_id": rows["request_id"],
            "row": pa.array([0] * rows.num_rows, pa.int32()),
            "ts": rows["ts"],
            "model_version": ["1"] * rows.num_rows,
            "features": features,
            "prediction": rows["air_time"],
        }
        write_predictions(root, "flight-time", "production", pa.table(requests))
    return root


def windows(month):
    return training_windows(datetime(2013, month, 1, tzinfo=UTC), 51 * DAY, 10 * DAY, 0 * DAY)


def read(dataset, window):
    return read_window(dataset, time_column="ts", window=window)


def drift(dataset, log, *, trained, checked):
    """PSI of each feature: the 30 days before month `checked` against the training as of month `trained`."""
    profile = profile_table(read(dataset, windows(trained).train), FEATURES, CATEGORICAL)
    window = current_window(datetime(2013, checked, 1, tzinfo=UTC), 30 * DAY)
    counts = count_batches(profile, read_log(log, "flight-time", "production", window, FEATURES).to_batches())
    return {feature.name: psi(feature, counts[feature.name]) for feature in profile.features}


def test_features_follow_from_the_columns(dataset):
    schema = open_dataset(dataset).schema
    chosen = feature_columns(schema, time_column="ts", label="air_time", key=["request_id"])
    assert chosen == (FEATURES, CATEGORICAL)


def test_training_windows_and_holdouts_hold_the_flights_of_their_days(dataset, data_sample):
    rows = {
        (month, role): read(dataset, getattr(windows(month), role)).num_rows
        for month in (3, 7)
        for role in ("train", "holdout")
    }
    if data_sample == "full":
        assert rows == {
            (3, "train"): 40_974,
            (3, "holdout"): 9_035,
            (7, "train"): 46_369,
            (7, "holdout"): 8_834,
        }
    else:
        assert 3_400 < rows[3, "train"] < 4_100
        assert 700 < rows[7, "holdout"] < 900


def test_training_and_holdout_share_no_flight_and_together_are_the_window(dataset, flights):
    both = windows(3)
    train, holdout = read(dataset, both.train), read(dataset, both.holdout)
    assert not set(train["request_id"].to_pylist()) & set(holdout["request_id"].to_pylist())
    expected = select_month(flights, "2013-01").num_rows + select_month(flights, "2013-02").num_rows
    assert train.num_rows + holdout.num_rows == expected


def test_the_fingerprint_is_that_of_the_rows_however_they_are_stored(dataset, flights, tmp_path):
    window = windows(3).train
    expected = fingerprint_table(read(dataset, window))
    order = pa.array(range(flights.num_rows - 1, -1, -1))
    for month in MONTHS:
        write_month(flights.take(order).select(list(reversed(flights.column_names))), tmp_path, month)
    assert fingerprint_table(read(str(tmp_path), window)) == expected
    assert fingerprint_table(read(dataset, windows(4).train)) != expected


def test_the_source_names_the_months_that_were_read(dataset):
    named = source_id(dataset, windows(3).train, time_column="ts")
    assert named == f"{dataset} {windows(3).train} files 2013-01.parquet, 2013-02.parquet"


def test_the_log_gives_back_the_flights_that_it_was_given(log, flights):
    window = current_window(datetime(2013, 7, 1, tzinfo=UTC), 30 * DAY)
    read_back = read_log(log, "flight-time", "production", window, FEATURES, log_columns=["ts", "request_id"])
    june = select_month(flights, "2013-06").select([*FEATURES, "ts", "request_id"])
    assert fingerprint_table(read_back) == fingerprint_table(june)


def test_june_drifts_in_block_and_the_months_before_do_not(dataset, log, data_sample):
    months = {month: drift(dataset, log, trained=3, checked=month + 1) for month in (3, 4, 5, 6)}
    if data_sample == "full":
        largest = {month: max(found, key=found.get) for month, found in months.items()}
        rounded = {month: round(months[month][name], 3) for month, name in largest.items()}
        assert largest == {3: "dow", 4: "block", 5: "block", 6: "block"}
        assert rounded == {3: 0.019, 4: 0.036, 5: 0.051, 6: 0.111}
    else:
        blocks = {month: found["block"] for month, found in months.items()}
        assert max(blocks, key=blocks.get) == 6
        assert blocks[6] > 2 * blocks[3]


def test_after_training_on_may_and_june_the_summer_is_quiet(dataset, log, data_sample):
    summer = [drift(dataset, log, trained=7, checked=month + 1) for month in (7, 8, 9)]
    june = drift(dataset, log, trained=3, checked=7)["block"]
    assert max(found["block"] for found in summer) < june / 2
    if data_sample == "full":
        assert max(max(found.values()) for found in summer) < 0.03
