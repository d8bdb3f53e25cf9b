"""A window of the log is the merge of its files, to the last row, however they and the windows are cut."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_ifp.adapters.counting.cache import CountCache
from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_column, profile_table
from airflow_provider_ifp.adapters.log.predictions import write_predictions
from airflow_provider_ifp.core.errors import DatasetError, PredictionLogError
from airflow_provider_ifp.core.profile.record import PREDICTION, SCORE, Profile, Segment
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.drift.window import LogCounter

START = datetime(2024, 2, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL = Window(START, START + 3 * DAY)
NAMES = ["x", "region"]


def drawn(rows, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.1),
            "region": rng.choice(["north", "south", None], rows, p=[0.3, 0.6, 0.1]).tolist(),
        }
    )


def logged(minutes, versions="2", prefix="r"):
    """Requests at these minutes after the start."""
    table = drawn(len(minutes), 1)
    return pa.table(
        {
            "request_id": [f"{prefix}{number}" for number in range(len(minutes))],
            "row": pa.array([0] * len(minutes), pa.int32()),
            "ts": pa.array([START + timedelta(minutes=one) for one in minutes], pa.timestamp("us", "UTC")),
            "model_version": [versions] * len(minutes) if isinstance(versions, str) else versions,
            "features": pa.StructArray.from_arrays([table[name].combine_chunks() for name in NAMES], NAMES),
            "prediction": np.arange(float(len(minutes))),
            "score": np.linspace(0, 1, len(minutes)),
        }
    )


def feature(table, name):
    return pc.struct_field(table["features"], name)


REFERENCE = drawn(1_000)
PLAIN = profile_table(REFERENCE, NAMES)
ANSWERS = (
    profile_column(PREDICTION, pa.array(np.arange(500.0)), None),
    profile_column(SCORE, pa.array(np.linspace(0, 1, 500)), None),
)
NORTH = profile_table(REFERENCE.filter(pc.equal(REFERENCE["region"], "north")), NAMES)
PROFILES = {
    "features": PLAIN,
    "features and answers": replace(PLAIN, predictions=ANSWERS),
    "segments too": replace(PLAIN, predictions=ANSWERS, segments=(Segment("region", "north", NORTH),)),
}


def counter(root, profile=PLAIN, cache=None, **how):
    return LogCounter(str(root), "m", "production", profile, CountCache(cache), version="2", **how)


def write(root, table):
    return write_predictions(str(root), "m", "production", table)


def counted_at_once(table, profile):
    """What a window's counts are by definition: all its rows in one table."""
    rows = pa.table({name: feature(table, name) for name in NAMES})
    counts = count_batches(replace(profile, predictions=()), rows.to_batches())
    own = table.filter(pc.equal(table["model_version"], "2"))
    for one in profile.predictions:
        answers = pa.table({one.name: own["score" if one.name == SCORE else "prediction"]})
        counts |= count_batches(Profile((one,), rows=0), answers.to_batches())
    return counts


def assert_same(found, expected):
    for name, other in expected.items():
        # A window without a row has no counts.
        counts = found.get(name)
        assert (counts is None) <= (other.rows == 0), name
        if counts is not None:
            assert counts.bins.tolist() == other.bins.tolist(), name
            assert (counts.missing, counts.unseen) == (other.missing, other.unseen)
            if counts.moments is not None:
                assert counts.moments.finite == other.moments.finite
                assert counts.moments.sum == pytest.approx(other.moments.sum, abs=1e-9)
                assert counts.moments.largest == other.moments.largest


@st.composite
def splits(draw):
    """Minutes and versions of requests, where they are cut into files, and three times of windows."""
    minutes = draw(st.lists(st.integers(0, 3 * 1440 - 1), min_size=1, max_size=30))
    versions = draw(st.lists(st.sampled_from(["2", "10"]), min_size=len(minutes), max_size=len(minutes)))
    cuts = draw(st.lists(st.integers(0, len(minutes)), max_size=3).map(sorted))
    times = draw(st.lists(st.integers(0, 3 * 1440), min_size=3, max_size=3, unique=True).map(sorted))
    return minutes, versions, cuts, [START + timedelta(minutes=one) for one in times]


@given(split=splits())
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # each example writes files: shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("counted", PROFILES)
def test_the_merge_equals_the_whole_over_any_split(tmp_path, counted, split):
    minutes, versions, cuts, at = split
    profile, root, cache = PROFILES[counted], tmp_path / "log", tmp_path / "cache"
    for folder in (root, cache):
        shutil.rmtree(folder, ignore_errors=True)
    table = logged(minutes, versions)
    for start, end in zip([0, *cuts], [*cuts, len(minutes)], strict=True):
        write(root, table.slice(start, end - start))
    times = table["ts"]
    inside = table.filter(pc.and_(pc.greater_equal(times, at[0]), pc.less(times, at[2])))
    expected = counted_at_once(inside, profile)
    north = inside.filter(pc.fill_null(pc.equal(feature(inside, "region"), "north"), fill_value=False))
    for _ in ("cold", "warm"):
        log = counter(root, profile, cache)
        whole = log.count(Window(at[0], at[2]))
        halves = log.count(Window(at[0], at[1])) + log.count(Window(at[1], at[2]))
        for found in (whole, halves):
            assert found.rows == inside.num_rows
            assert_same(found.counts, expected)
            for segment in profile.segments:
                part = found.segments.get(segment.name)
                assert (0 if part is None else part.rows) == north.num_rows
                if part is not None:
                    assert_same(part.counts, counted_at_once(north, segment.profile))


@pytest.fixture
def root(tmp_path):
    """Three days with a request every ten minutes."""
    write(tmp_path / "log", logged(range(0, 3 * 1440, 10)))
    return tmp_path / "log"


def hour_of(root, day=2, hour=3):
    return root / f"model=m/stage=production/date=2024-02-0{day}/hour={hour:02}"


def with_features(table, **columns):
    struct = pa.StructArray.from_arrays(list(columns.values()), list(columns))
    return table.set_column(table.schema.get_field_index("features"), "features", struct)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_file_that_is_cut_off_anywhere_is_named_and_the_rest_is_counted(root, tmp_path, keep):
    [file] = hour_of(root).iterdir()
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(PredictionLogError, match=f"{file} cannot be read"):
        counter(root).count(ALL)
    for _ in range(2):
        log = counter(root, cache=tmp_path / "cache", skip_unreadable=True)
        assert log.count(ALL).rows == 426
        assert [str(file) in note for note in log.notes] == [True]


def test_a_late_file_counts_at_the_next_check_and_one_that_is_gone_no_longer(root, tmp_path):
    cache = tmp_path / "cache"
    assert counter(root, cache=cache).count(ALL).rows == 432
    write(root, logged([75, 76], prefix="late"))
    assert counter(root, cache=cache).count(ALL).rows == 434
    shutil.rmtree(hour_of(root, day=1, hour=1))
    assert counter(root, cache=cache).count(ALL).rows == 426


def test_rows_in_the_future_count_when_their_time_has_come(root):
    write(root, logged([3 * 1440 + 5], prefix="ahead"))
    assert counter(root).count(ALL).rows == 432
    assert counter(root).count(Window(START, ALL.end + HOUR)).rows == 433


def test_a_column_that_nobody_knows_is_ignored(root):
    rows = logged([185], prefix="more")
    known = {name: feature(rows, name).combine_chunks() for name in NAMES}
    write(root, with_features(rows, **known, weather=pa.array(["rain"])))
    log = counter(root)
    assert (log.count(ALL).rows, log.notes) == (433, [])


@pytest.mark.parametrize("counted", ["features", "segments too"])
@pytest.mark.parametrize("skips", [True, False])
def test_text_where_numbers_were_fails_and_says_where_whatever_is_skipped(root, counted, skips):
    rows = logged([185], prefix="text")
    [path] = write(
        root, with_features(rows, x=pa.array(["high"]), region=feature(rows, "region").combine_chunks())
    )
    with pytest.raises(DatasetError, match=f"{path}: column 'x': expected numbers.*found string; correct"):
        counter(root, PROFILES[counted], skip_unreadable=skips).count(ALL)


def test_a_file_without_a_row_changes_nothing(root):
    [file] = hour_of(root).iterdir()
    pq.write_table(pq.ParquetFile(file).read().slice(0, 0), file.with_name("none.parquet"))
    for profile in PROFILES.values():
        log = counter(root, profile)
        assert (log.count(ALL).rows, log.notes) == (432, [])


@pytest.mark.parametrize("counted", ["features and answers", "segments too"])
def test_answers_of_other_versions_do_not_count_and_their_features_do(root, tmp_path, counted):
    write(root, logged([185, 186, 187], "1", prefix="former"))
    write(root, logged([245, 246], ["1", "2"], prefix="mixed"))
    for _ in range(2):
        found = counter(root, PROFILES[counted], tmp_path / "cache").count(ALL)
        assert (found.rows, found.counts["x"].rows) == (437, 437)
        assert (found.counts[PREDICTION].rows, found.counts[PREDICTION].missing) == (433, 0)


def test_another_version_finds_no_answers_of_the_one_before_in_the_cache(root, tmp_path):
    profile = PROFILES["features and answers"]
    counter(root, profile, tmp_path / "cache").count(ALL)
    other = LogCounter(str(root), "m", "production", profile, CountCache(tmp_path / "cache"), version="3")
    assert other.count(ALL).counts[PREDICTION].rows == 0
