"""Windows of the prediction log, counted file by file: what is new is read, the rest comes from the cache."""

import os
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.counting import cache as count_cache
from airflow_provider_ifp.adapters.counting.cache import CountCache
from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.log.compaction import compact_log
from airflow_provider_ifp.adapters.log.predictions import read_log, write_predictions
from airflow_provider_ifp.core.errors import DatasetError, PredictionLogError
from airflow_provider_ifp.core.profile.record import Profile, Segment
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.drift import window as counting
from airflow_provider_ifp.loop.drift.window import LogCounter

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEATURES = ["x", "region", "vector"]


def draw(seed, rows):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return {
        "x": pa.array(x, mask=rng.random(rows) < 0.1),
        "region": pa.array(rng.choice(["north", "south", "east"], rows)),
        "vector": pa.array(list(rng.normal(size=(rows, 3))), pa.list_(pa.float64())),
    }


PROFILE = profile_table(pa.table(draw(0, 2_000)), FEATURES, ["region"])


def log_rows(seed, start, rows=50, every=timedelta(minutes=1), features=None):
    drawn = draw(seed, rows) if features is None else features
    return pa.table(
        {
            "request_id": [f"{seed}-{row}" for row in range(rows)],
            "row": pa.array([0] * rows, pa.int32()),
            "ts": pa.array([start + row * every for row in range(rows)], pa.timestamp("us", "UTC")),
            "model_version": ["1"] * rows,
            "features": pa.StructArray.from_arrays(list(drawn.values()), list(drawn)),
            "prediction": np.arange(rows, dtype=float),
        }
    )


@pytest.fixture
def root(tmp_path):
    """Three days of hourly files; the third hour of the second day has two."""
    place = str(tmp_path / "log")
    for hour in range(72):
        write_predictions(place, "demand", "production", log_rows(hour, START + hour * HOUR))
    write_predictions(place, "demand", "production", log_rows(99, START + 26 * HOUR))
    return place


@pytest.fixture
def reads(monkeypatch):
    """How often each file was counted."""
    times = Counter()
    count = counting.count_log_file

    def counted(profile, file, *others):
        times[file.path] += 1
        return count(profile, file, *others)

    monkeypatch.setattr(counting, "count_log_file", counted)
    return times


def counter(root, cache=None, profile=PROFILE, **more):
    return LogCounter(root, "demand", "production", profile, CountCache(cache), **more)


def directly(root, window, profile=PROFILE):
    """The same window, read at once and counted at once."""
    return count_batches(profile, read_log(root, "demand", "production", window, FEATURES).to_batches())


def assert_same(counts, expected):
    assert list(counts) == list(expected)
    for name, found in counts.items():
        assert np.array_equal(found.bins, expected[name].bins), name
        assert (found.missing, found.unseen) == (expected[name].missing, expected[name].unseen)
        if found.moments is not None:
            assert found.moments.finite == expected[name].moments.finite
            assert found.moments.sum == pytest.approx(expected[name].moments.sum, abs=1e-9)
            assert found.moments.largest == expected[name].moments.largest


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, START + 3 * DAY),
        (None, START + 2 * DAY),
        (START + DAY + HOUR, START + 2 * DAY + 5 * HOUR),
        (START + timedelta(minutes=10), START + timedelta(minutes=20)),
        (START + timedelta(hours=23, minutes=30), START + DAY + timedelta(minutes=5)),
        (START - 9 * DAY, START),
    ],
)
def test_a_window_counted_by_files_is_the_window_counted_at_once(root, tmp_path, reads, start, end):
    window = Window(start, end)
    expected = directly(root, window)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        part = counter(root, cache).count(window)
        rows = expected["x"].rows
        assert part.rows == rows
        if rows:
            assert_same(part.counts, expected)


def test_only_what_is_new_is_read(root, tmp_path, reads):
    cache, window = tmp_path / "cache", Window(START, START + 3 * DAY)
    counter(root, cache).count(window)
    assert set(reads.values()) == {1}
    assert len(reads) == 73
    reads.clear()
    counter(root, cache).count(window)
    assert not reads
    [late] = write_predictions(root, "demand", "production", log_rows(100, START + 2 * HOUR))
    part = counter(root, cache).count(window)
    assert reads == {late: 1}
    assert_same(part.counts, directly(root, window))
    counter(root, cache).count(Window(START + HOUR, START + 3 * DAY + HOUR))
    assert reads == {late: 1}


def test_a_file_that_was_written_anew_is_read_again(root, tmp_path, reads):
    cache, window = tmp_path / "cache", Window(START, START + DAY)
    counter(root, cache).count(window)
    path = next(iter(reads))
    pq.write_table(pq.read_table(path, partitioning=None).slice(1), path)
    part = counter(root, cache).count(window)
    assert (part.rows, reads[path], sum(reads.values())) == (24 * 50 - 1, 2, 25)
    assert_same(part.counts, directly(root, window))


def test_another_reference_has_counts_of_its_own(root, tmp_path, reads):
    cache, window = tmp_path / "cache", Window(START, START + DAY)
    other = profile_table(pa.table(draw(1, 2_000)), FEATURES, ["region"])
    counter(root, cache).count(window)
    assert_same(counter(root, cache, other).count(window).counts, directly(root, window, other))
    assert set(reads.values()) == {2}


def test_a_cache_that_was_lost_or_damaged_is_made_again(root, tmp_path, reads):
    cache, window = tmp_path / "cache", Window(START, START + 3 * DAY)
    expected = counter(root, cache).count(window)
    damage = [lambda text: text[:100], lambda text: b"", lambda text: text[:-900] + b"\0" * 900]
    for place, file in enumerate(sorted(cache.iterdir())):
        file.write_bytes(damage[place % 3](file.read_bytes()))
    assert_same(counter(root, cache).count(window).counts, expected.counts)
    assert set(reads.values()) == {2}
    shutil.rmtree(cache)
    assert_same(counter(root, cache).count(window).counts, expected.counts)
    assert set(reads.values()) == {3}


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(root, tmp_path):
    (tmp_path / "file").write_text("no folder")
    window = Window(START, START + DAY)
    part = counter(root, tmp_path / "file" / "cache").count(window)
    assert_same(part.counts, directly(root, window))


def test_what_no_check_used_for_long_is_removed(root, tmp_path):
    cache = tmp_path / "cache"
    counter(root, cache).count(Window(START, START + 5 * HOUR))
    kept, *old = sorted(cache.iterdir())
    long_ago = kept.stat().st_mtime - count_cache.KEPT_SECONDS - 60
    for file in old:
        os.utime(file, (long_ago, long_ago))
    CountCache(cache).prune()
    assert list(cache.iterdir()) == [kept]
    CountCache(tmp_path / "none").prune()


def test_segments_are_counted_on_profiles_of_their_own(root, tmp_path):
    rows = pa.table(draw(0, 2_000))
    segments = tuple(
        Segment("region", value, profile_table(rows.filter(pa.compute.equal(rows["region"], value)), ["x"]))
        for value in ("north", "south")
    )
    profile = Profile(PROFILE.features, PROFILE.rows, (), segments)
    window = Window(START, START + DAY + timedelta(minutes=7))
    logged = read_log(root, "demand", "production", window, FEATURES)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        part = counter(root, cache, profile).count(window)
        assert_same(part.counts, directly(root, window))
        for segment in segments:
            of_value = logged.filter(pa.compute.equal(logged["region"], segment.value))
            assert part.segments[segment.name].rows == of_value.num_rows
            expected = count_batches(segment.profile, of_value.to_batches())
            assert_same(part.segments[segment.name].counts, expected)


# --- what a log can be like ---


def test_a_copy_under_another_name_is_left_out_and_named(root, reads):
    window = Window(START, START + DAY)
    expected = directly(root, window)
    path = files_of(root)[0]
    shutil.copy(path, path.with_name("again.parquet"))
    log = counter(root)
    assert_same(log.count(window).counts, expected)
    [note] = log.notes
    assert note.startswith("left out: ")
    assert "is a copy of" in note


def test_a_compacted_hour_is_counted_once_more_and_no_row_twice(root, reads, tmp_path):
    window, cache = Window(START, START + 3 * DAY), tmp_path / "counts"
    before = counter(root, cache).count(window)
    reads.clear()
    done = compact_log(root, now=datetime.now(UTC) + HOUR, keep=HOUR)
    assert (done.merged, done.written, done.rows) == (2, 1, 100)
    for _ in range(2):
        log = counter(root, cache)
        after = log.count(window)
        assert (after.rows, log.notes) == (before.rows, [])
        assert_same(after.counts, before.counts)
    assert [(Path(path).name[:8], times) for path, times in reads.items()] == [("compact-", 1)]


def files_of(root):
    return sorted(Path(root).rglob("*.parquet"))


def test_a_damaged_file_is_named_and_fails_or_is_left_out_as_the_policy_says(root, tmp_path):
    path = files_of(root)[3]
    with path.open("rb+") as file:
        file.truncate(500)
    window = Window(START, START + DAY)
    with pytest.raises(PredictionLogError, match=f"{path} cannot be read.*monitor.unreadable: skip"):
        counter(root).count(window)
    cache = tmp_path / "cache"
    for _ in range(2):
        log = counter(root, cache, skip_unreadable=True)
        assert log.count(window).rows == 23 * 50
        [note] = log.notes
        assert str(path) in note


def test_a_file_that_vanishes_while_the_log_is_read_is_named_and_left_out(root, monkeypatch):
    listed = counting.list_files

    def list_and_lose(*arguments):
        files = listed(*arguments)
        Path(files[5].path).unlink()
        return files

    monkeypatch.setattr(counting, "list_files", list_and_lose)
    log = counter(root)
    assert log.count(Window(START, START + DAY)).rows == 23 * 50
    [note] = log.notes
    assert "vanished while the log was read" in note


def test_rows_of_another_time_than_their_folders_are_left_out_and_named(tmp_path):
    root = str(tmp_path / "log")
    [path] = write_predictions(root, "demand", "production", log_rows(0, START))
    skewed = log_rows(1, START - timedelta(minutes=30))
    table = pq.read_table(path, partitioning=None)
    ahead = pa.concat_tables([table, skewed.select(table.column_names[:6])], promote_options="default")
    pq.write_table(ahead, path)
    log = counter(root)
    window = Window(START - DAY, START + DAY)
    assert log.count(window).rows == 50 + 20
    [note] = log.notes
    assert note == f"left out: 30 rows of {path}, whose ts is not of that hour"


def test_a_feature_that_some_files_lack_is_missing_in_their_rows_and_one_that_all_lack_is_gone(tmp_path):
    root = str(tmp_path / "log")
    for hour, names in enumerate((["x", "region"], ["x"])):
        drawn = {name: values for name, values in draw(hour, 50).items() if name in names}
        write_predictions(root, "demand", "production", log_rows(hour, START + hour * HOUR, features=drawn))
    counts = counter(root).count(Window(START, START + DAY)).counts
    assert set(counts) == {"x", "region"}
    assert (counts["region"].rows, counts["region"].missing) == (100, 50)


def test_numbers_that_became_text_are_an_error_that_names_file_and_feature(tmp_path):
    root = str(tmp_path / "log")
    drawn = {**draw(0, 50), "x": pa.array(["1.5"] * 50)}
    [path] = write_predictions(root, "demand", "production", log_rows(0, START, features=drawn))
    with pytest.raises(DatasetError, match=f"{path}: column 'x': expected numbers.*found string"):
        counter(root).count(Window(START, START + DAY))


def test_a_window_in_which_a_feature_is_missing_everywhere_has_its_rows(tmp_path):
    root = str(tmp_path / "log")
    drawn = {**draw(0, 50), "x": pa.nulls(50, pa.float64())}
    write_predictions(root, "demand", "production", log_rows(0, START, features=drawn))
    found = counter(root).count(Window(START, START + DAY)).counts["x"]
    assert (found.rows, found.missing) == (50, 50)
