"""The writer of the prediction log, in one process; kills are in tests/fault."""

import errno
import os
import threading
import time
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.log_rows import SCHEMA, TIME, ids_in, numbered, parquet_files, rows

from airflow_provider_ifp.adapters.log.predictions import read_log, write_predictions
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.serving.log.queue import RowQueue
from airflow_provider_ifp.serving.log.roll import Recovered, recover_spools
from airflow_provider_ifp.serving.log.spool import Spool, SpoolName
from airflow_provider_ifp.serving.log.writer import LogWriter

ALL = Window(None, TIME + timedelta(days=1))
SOON = 10.0
"""Seconds within which what must come has to be there, on a machine that has much else to do."""


@pytest.fixture
def root(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def start(root, spool):
    """Start writers, which are closed at the end."""
    writers = []

    def begin(**options):
        writers.append(LogWriter(str(root), "fares", "production", **({"spool": spool} | options)))
        return writers[-1]

    yield begin
    for writer in writers:
        writer.close()


def wait_for(condition):
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def leave_spool(folder, root, batch, identity="1" * 32):
    """What a killed process leaves."""
    folder.mkdir(exist_ok=True)
    made = Spool.create(folder, SpoolName("fares", "production", identity), str(root), batch.schema)
    made.append(batch)
    made.close()
    return made.path


def test_rows_are_in_a_spool_soon_and_under_the_root_after_a_while(start, root, spool):
    writer = start(roll_seconds=0.5)
    assert writer.offer(rows(range(3)))
    wait_for(lambda: writer.counters()["logged"] == 3)
    assert len(list(spool.iterdir())) == 1
    wait_for(lambda: parquet_files(root))
    assert sorted(ids_in(root)) == numbered(3)
    wait_for(lambda: not list(spool.iterdir()))
    assert (writer.waiting(), writer.trouble) == (0, "")


def test_closing_writes_all_that_was_offered_in_the_contracts_columns(start, root, spool, tmp_path):
    writer = start()
    for number in range(100):
        assert writer.offer(rows([number]))
    assert writer.close()
    assert writer.counters() == {"seen": 100, "logged": 100, "dropped": 0}
    assert list(spool.iterdir()) == []
    [file] = parquet_files(root)
    assert file.parent == root / "model=fares/stage=production/date=2013-06-02/hour=05"
    [known] = write_predictions(str(tmp_path / "other"), "fares", "production", pa.table(rows(range(100))))
    assert pq.ParquetFile(file).read() == pq.ParquetFile(known).read()
    assert not writer.offer(rows([1]))
    assert writer.counters()["dropped"] == 1


def test_rows_go_to_the_hours_of_their_requests(start, root):
    writer = start()
    for hours in (0, 30, 1):
        writer.offer(rows([hours], TIME - timedelta(hours=hours)))
    writer.close()
    places = [
        str(path.parent.relative_to(root / "model=fares/stage=production")) for path in parquet_files(root)
    ]
    assert places == ["date=2013-05-31/hour=23", "date=2013-06-02/hour=04", "date=2013-06-02/hour=05"]


def test_versions_that_differ_in_features_are_logged_side_by_side(start, root):
    writer = start()
    wide = pa.struct([("x", pa.float64()), ("carrier", pa.dictionary(pa.int32(), pa.string()))])
    schema = SCHEMA.set(4, pa.field("features", wide))
    for number in range(20):
        batch = rows([number])
        if number % 2:
            features = [{"x": float(number), "carrier": "UA"}]
            columns = [*batch.columns[:4], pa.array(features, wide), batch.columns[5]]
            batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        assert writer.offer(batch)
    assert writer.close()
    assert len(parquet_files(root)) == 2
    read = read_log(str(root), "fares", "production", ALL, ["x"])
    assert sorted(read["x"].to_pylist()) == [float(number) for number in range(20)]


def test_a_full_queue_drops_whole_batches_and_counts_rows():
    queue = RowQueue(100)
    assert queue.offer(rows(range(40)))
    assert not queue.wanted.is_set()
    assert queue.offer(rows(range(40, 70)))
    assert queue.wanted.is_set()
    assert not queue.offer(rows(range(70, 110)))
    assert queue.offer(rows(range(70, 100)))
    assert [batch.num_rows for batch in queue.take()] == [40, 30, 30]
    assert queue.offer(rows(range(100)))
    assert queue.counters() == {"seen": 240, "logged": 0, "dropped": 40}


def test_rows_that_are_not_the_logs_are_dropped_counted_and_told_and_others_are_not(start, root, caplog):
    writer = start()
    nameless = rows([1]).set_column(0, "request_id", pa.array([None], pa.string()))
    writer.offer(rows([0]))
    writer.offer(nameless)
    writer.offer(rows([2]).drop_columns(["prediction"]))
    writer.offer(rows([3], TIME.replace(year=1)))
    writer.offer(rows([]))
    writer.close()
    assert writer.counters() == {"seen": 4, "logged": 1, "dropped": 3}
    assert ids_in(root) == numbered(1)
    assert "1 of 1 request_id are null" in caplog.text
    assert "no column 'prediction'" in caplog.text
    assert "expected a time from 1970 to 9999" in caplog.text


def test_a_writer_that_was_offered_no_row_writes_no_file(start, root, spool):
    writer = start()
    writer.offer(rows([]))
    assert writer.close()
    assert parquet_files(root) == []
    assert list(spool.iterdir()) == []


def test_many_threads_offer_at_once_and_each_row_is_there_once(start, root):
    writer = start(roll_seconds=0.2, flush_seconds=0.02)

    def offer(first):
        for number in range(first, first + 200):
            assert writer.offer(rows([number]))

    threads = [threading.Thread(target=offer, args=(first,)) for first in range(0, 1_000, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close()
    assert sorted(ids_in(root)) == sorted(numbered(1_000))


def test_while_the_root_cannot_be_written_rows_stay_in_spools_and_come_later(start, root, spool):
    root.write_text("a file where the log's folder should be")
    writer = start(roll_seconds=0.05, flush_seconds=0.02)
    writer.offer(rows(range(5)))
    wait_for(lambda: writer.trouble)
    assert writer.waiting() == 5
    assert "Not a directory" in writer.trouble
    assert str(root) in writer.trouble
    root.unlink()
    wait_for(lambda: not writer.waiting() and not writer.trouble)
    assert sorted(ids_in(root)) == numbered(5)
    assert writer.counters() == {"seen": 5, "logged": 5, "dropped": 0}


def test_what_a_writer_could_not_put_under_the_root_the_next_one_does(start, root, spool):
    root.write_text("a file where the log's folder should be")
    writer = start()
    writer.offer(rows(range(5)))
    assert not writer.close()
    root.unlink()
    start()
    wait_for(lambda: not list(spool.iterdir()))
    assert sorted(ids_in(root)) == numbered(5)


def test_while_the_disk_is_full_rows_wait_in_memory_then_drop(start, root, monkeypatch):
    full = threading.Event()
    write = os.write

    def fill_up(file, content):
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content)

    monkeypatch.setattr(os, "write", fill_up)
    writer = start(queue_rows=50, flush_seconds=0.02)
    full.set()
    writer.offer(rows(range(40)))
    wait_for(lambda: "No space left" in writer.trouble)
    assert writer.offer(rows(range(40, 80)))
    assert not writer.offer(rows(range(80, 120)))
    full.clear()
    wait_for(lambda: writer.counters()["logged"] == 80)
    assert writer.trouble == ""
    assert writer.close()
    assert writer.counters() == {"seen": 120, "logged": 80, "dropped": 40}
    assert sorted(ids_in(root)) == sorted(numbered(80))


def test_a_spool_folder_has_a_limit(start, root):
    root.write_text("a file where the log's folder should be")
    writer = start(roll_bytes=1, spool_bytes=1_000, queue_rows=10, flush_seconds=0.02)
    for number in range(200):
        writer.offer(rows([number]))
        time.sleep(0.002)
    wait_for(lambda: "it holds" in writer.trouble)
    counters = writer.counters()
    assert counters["dropped"] > 100
    assert counters["logged"] < 50


def test_two_writers_share_a_spool_folder_and_a_root(start, root, spool):
    one, other = start(roll_seconds=0.1), start(roll_seconds=0.1)
    for number in range(0, 100, 2):
        one.offer(rows([number]))
        other.offer(rows([number + 1]))
    assert recover_spools(spool, str(root)) == Recovered()
    assert one.close()
    assert other.close()
    assert sorted(ids_in(root)) == sorted(numbered(100))


def test_recovery_can_be_repeated_at_any_point(root, spool):
    path = leave_spool(spool, root, rows(range(5)))
    content = path.read_bytes()
    assert recover_spools(spool, str(root)) == Recovered(1, 5)
    [file] = parquet_files(root)
    written = file.stat()
    path.write_bytes(content)  # as if the process had been killed before it deleted the spool
    assert recover_spools(spool, str(root)) == Recovered(1, 5)
    assert recover_spools(spool, str(root)) == Recovered()
    assert [one.stat() for one in parquet_files(root)] == [written]
    assert list(spool.iterdir()) == []


def test_spools_for_another_root_are_left_alone(root, spool, caplog):
    path = leave_spool(spool, "s3://elsewhere/log", rows(range(5)))
    assert recover_spools(spool, str(root)) == Recovered()
    assert path.exists()
    assert "is for the log s3://elsewhere/log" in caplog.text


def test_one_spool_that_cannot_be_rolled_does_not_hold_up_the_others(root, spool, caplog):
    strange = pa.array([[]], pa.list_(pa.struct([])))
    bad = pa.RecordBatch.from_arrays([*rows([7]).columns, strange], [*SCHEMA.names, "empty"])
    leave_spool(spool, root, bad, "0" * 32)
    leave_spool(spool, root, rows(range(5)), "1" * 32)
    assert recover_spools(spool, str(root)) == Recovered(1, 5)
    assert "cannot become Parquet" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"model": "no/name"}, "expected letters"),
        ({"stage": "staging"}, "expected one of production"),
        ({"root": "nonsense://lake"}, "no file system for nonsense"),
    ],
)
def test_a_log_that_cannot_be_is_refused_at_the_start(root, spool, arguments, expected):
    named = {"root": str(root), "model": "fares", "stage": "production"} | arguments
    with pytest.raises(PredictionLogError, match=expected):
        LogWriter(**named, spool=spool)


def test_a_spool_folder_that_cannot_be_written_is_refused_at_the_start(root, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PredictionLogError, match=r"the spool folder .* cannot be written: "):
        LogWriter(str(root), "fares", "production", spool=tmp_path / "file")
