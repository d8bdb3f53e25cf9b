"""Compaction of the prediction log on a disk; kills are in tests/fault, S3 in tests/integration."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.log_rows import SCHEMA, TIME, numbered, rows

from airflow_provider_ifp.adapters.log.compacted import is_logged
from airflow_provider_ifp.adapters.log.compaction import Compacted, compact_log
from airflow_provider_ifp.adapters.log.files import list_files, locate
from airflow_provider_ifp.adapters.log.predictions import read_log, write_predictions
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.core.windows import Window

ALL = Window(None, TIME + timedelta(days=400))
LATER = TIME + timedelta(hours=4)
HOUR = timedelta(hours=1)
DOCS = Path(__file__).parents[4] / "docs" / "prediction-log.md"


@pytest.fixture
def root(tmp_path):
    """Two hours, of five files each."""
    for number in range(10):
        write(tmp_path, [number], TIME - HOUR * (number % 2))
    return tmp_path


def write(root, numbers, ts=TIME, **columns):
    table = pa.table(rows(numbers, ts))
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return [Path(path) for path in write_predictions(str(root), "fares", "production", table)]


def compact(root, now=LATER, **options):
    """Compact, as if all that is there had been written in its hour."""
    for path in Path(root).rglob("*"):
        if path.is_file() and path.stat().st_mtime > LATER.timestamp():
            os.utime(path, (TIME.timestamp(), TIME.timestamp()))
    done = compact_log(str(root), now=now, **options)
    for path in Path(root).rglob("compact-*"):
        if path.stat().st_mtime > LATER.timestamp():
            os.utime(path, (now.timestamp(), now.timestamp()))
    return done


def ids(root):
    return sorted(
        read_log(str(root), "fares", "production", ALL, [], log_columns=["request_id"])[
            "request_id"
        ].to_pylist()
    )


def names(root):
    """Of the files that count."""
    return [Path(file.path).name for file in list_files(str(root), "fares", "production", ALL)]


def files(root):
    return [path for path in Path(root).rglob("*") if path.is_file()]


def test_the_files_of_an_hour_become_one_and_go_an_hour_later(root):
    assert compact(root) == Compacted(merged=10, written=2, rows=10)
    assert ids(root) == sorted(numbered(10))
    assert len(files(root)) == 12
    assert [name[:8] for name in names(root)] == ["compact-"] * 2
    assert compact(root) == Compacted()
    assert compact(root, LATER + HOUR) == Compacted(removed=10)
    assert ids(root) == sorted(numbered(10))
    assert len(files(root)) == 2
    assert compact(root, LATER + 9 * HOUR) == Compacted()


def test_what_was_merged_is_the_same_rows_in_the_same_columns(root):
    before = read_log(str(root), "fares", "production", ALL, ["x"], log_columns=[*SCHEMA.names[:4], "score"])
    schema = pq.read_schema(files(root)[0])
    compact(root)
    after = read_log(str(root), "fares", "production", ALL, ["x"], log_columns=[*SCHEMA.names[:4], "score"])
    assert after.sort_by("request_id") == before.sort_by("request_id")
    merged = next(root.rglob("compact-*"))
    assert pq.read_schema(merged).equals(schema, check_metadata=True)
    assert pq.ParquetFile(merged).num_row_groups == 1


def test_an_hour_that_is_not_over_for_long_is_left_alone(root):
    assert compact(root, TIME + timedelta(minutes=89)) == Compacted()
    assert compact(root, TIME + timedelta(minutes=90)) == Compacted(merged=5, written=1, rows=5)
    assert compact(root, TIME + timedelta(minutes=90), older_than=timedelta(minutes=30)).merged == 5


def test_files_that_come_late_are_merged_with_the_merged(root):
    compact(root)
    write(root, [10, 11])
    assert ids(root) == sorted(numbered(12))
    assert compact(root, LATER + HOUR) == Compacted(merged=2, written=1, rows=7, removed=10)
    assert ids(root) == sorted(numbered(12))
    assert compact(root, LATER + 2 * HOUR) == Compacted(removed=2)
    assert len(files(root)) == 2
    assert ids(root) == sorted(numbered(12))


def test_a_file_that_is_written_again_after_it_was_merged_and_deleted_does_not_count_twice(root):
    [again] = write(root, [20])
    content = again.read_bytes()
    compact(root)
    compact(root, LATER + HOUR)
    assert not again.exists()
    filesystem, _ = locate(str(root), "fares", "production")
    assert is_logged(filesystem, str(again.parent), again.name)
    assert not is_logged(filesystem, str(again.parent), "part-other.parquet")
    again.write_bytes(content)
    assert len(ids(root)) == len(set(ids(root))) == 11
    write(root, [21])
    compact(root, LATER + HOUR)
    assert len(ids(root)) == len(set(ids(root))) == 12


def test_files_of_different_features_are_merged_apart(root):
    wide = pa.array([{"x": 1.0, "carrier": "UA"}])
    write(root, [10], features=wide)
    write(root, [11], features=wide)
    assert compact(root) == Compacted(merged=12, written=3, rows=12)
    assert ids(root) == sorted(numbered(12))
    read_again = []
    assert compact(root, advance=read_again.append) == Compacted()
    assert read_again == []


def test_a_damaged_file_is_named_and_left_and_the_others_are_merged(root):
    head, tail = (write(root, [number])[0] for number in (10, 11))
    head.write_bytes(b"not Parquet at all")
    content = bytearray(tail.read_bytes())
    content[4:200] = bytes(196)
    tail.write_bytes(content)
    done = compact(root)
    assert sorted(done.unreadable) == sorted([str(head), str(tail)])
    assert (done.merged, done.written, done.rows) == (10, 2, 10)
    assert {head.name, tail.name} < set(names(root))


def test_a_copy_of_a_file_does_not_double_its_rows(root):
    [first] = write(root, [10])
    first.with_name("copy.parquet").write_bytes(first.read_bytes())
    assert compact(root) == Compacted(merged=12, written=2, rows=11)
    assert ids(root) == sorted(numbered(11))


def test_large_files_are_left_as_they_are(root, monkeypatch):
    monkeypatch.setattr("airflow_provider_ifp.adapters.log.compaction.SMALL_BYTES", 100)
    assert compact(root) == Compacted()


def test_what_killed_runs_and_writers_left_is_cleared_away_and_what_is_being_written_is_not(root):
    folder = next(root.rglob("hour=05"))
    left = [folder / ".compact-1.tmp", folder / ".part-1.parquet.2.tmp"]
    for path in left:
        path.touch()
    fresh = folder / ".part-3.parquet.4.tmp"
    compact(root)
    fresh.touch()
    compact_log(str(root), now=LATER)
    assert not any(path.exists() for path in left)
    assert fresh.exists()


def test_readers_beside_compaction_see_each_row_once(root):
    stop = threading.Event()
    seen = []

    def read():
        while not stop.is_set():
            seen.append(len(ids(root)))
            assert len(set(ids(root))) == 10

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(3):
            compact(root, LATER + turn * HOUR)
    finally:
        stop.set()
        reader.join()
    assert seen
    assert set(seen) == {10}


def test_two_runs_at_once_take_turns(root):
    for path in files(root):
        os.utime(path, (TIME.timestamp(), TIME.timestamp()))
    done = []
    runs = [threading.Thread(target=lambda: done.append(compact_log(str(root), now=LATER))) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(one.merged for one in done) == [0, 0, 10]
    assert ids(root) == sorted(numbered(10))


def test_a_compacted_file_that_cannot_say_its_sources_stops_the_reader(root):
    compact(root)
    merged = next(root.rglob("hour=05/compact-*"))
    content = merged.read_bytes()
    merged.write_bytes(content[:-200] + b"\xff" * 192 + content[-8:])
    with pytest.raises(
        PredictionLogError, match=rf"{merged.name} cannot be read: .* which files it stands for"
    ):
        names(root)
    merged.write_bytes(content[:-100])
    with pytest.raises(PredictionLogError, match=rf"{merged.name} cannot be read"):
        ids(root)


def test_one_model_can_be_compacted_alone(root):
    write_predictions(str(root), "other", "shadow", pa.table(rows([1])))
    write_predictions(str(root), "other", "shadow", pa.table(rows([2])))
    assert compact(root, model="other") == Compacted(merged=2, written=1, rows=2)


@pytest.mark.parametrize(("model", "named"), [(None, "model=*"), ("gone", "model=gone")])
def test_a_root_without_a_log_is_told(tmp_path, model, named):
    with pytest.raises(PredictionLogError, match=f"has no folder {named}".replace("*", r"\*")):
        compact_log(str(tmp_path), now=LATER, model=model)


def test_the_documented_statement_for_duckdb_counts_each_row_once(root):
    compact(root)
    write(root, [10])
    statement = DOCS.read_text().split("```sql\n")[1].split("```")[0]
    counted = duckdb.sql(statement.replace("<root>", str(root)).replace("<model>", "fares")).fetchall()
    assert counted == [(11,)]
