"""A kill -9 at any moment of writing, recovering or compacting the prediction log: no row lost or doubled."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from tests.fault.killing import KILLS
from tests.fault.log_jobs import compact, leave_spools, read_told, read_trace, recover, serve, start
from tests.log_rows import ids_in, numbered, parquet_files

from airflow_provider_ifp.adapters.log.predictions import read_log
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.serving.log.roll import recover_spools

pytestmark = pytest.mark.timeout(300 + 10 * KILLS)
LOST = 0.5
"""Seconds before a kill whose rows may be missing."""
ALL = Window(None, datetime.now(UTC) + timedelta(days=1))


@pytest.fixture
def choice(record_property):
    seed = int(os.environ.get("IFP_FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    record_property("seed", seed)
    return random.Random(seed)


def end_of(process):
    process.join(60)
    code = process.exitcode
    process.close()
    return code


def read_ids(folder):
    """What readers get, which is each row that counts."""
    return read_log(str(folder / "log"), "fares", "production", ALL, [], log_columns=["request_id"])[
        "request_id"
    ].to_pylist()


def test_a_server_killed_at_random_loses_half_a_second_at_most_and_doubles_nothing(tmp_path, choice):
    killed = {}
    lives = {f"life{number}": choice.uniform(0.2, 1.2) for number in range(KILLS)}
    for life, seconds in lives.items():
        process = start(serve, tmp_path, life)
        while not read_told(tmp_path, life):
            assert process.is_alive()
            time.sleep(0.01)
        time.sleep(seconds)
        killed[life] = time.time()
        os.kill(process.pid, signal.SIGKILL)
        assert end_of(process) == -signal.SIGKILL
    recover_spools(tmp_path / "spool", str(tmp_path / "log"))
    assert list((tmp_path / "spool").iterdir()) == []
    logged = Counter(ids_in(tmp_path / "log"))
    assert set(logged.values()) == {1}
    for life in lives:
        told = read_told(tmp_path, life)
        here = sum(f"{life}-{number}" in logged for number in range(len(told)))
        assert all(f"{life}-{number}" in logged for number in range(here)), "rows are missing in between"
        assert lost_seconds([*told[here:], killed[life]]) <= LOST
    assert all(pq.ParquetFile(path).read().num_rows for path in parquet_files(tmp_path / "log"))


def lost_seconds(times):
    """How long before the kill the first lost row was offered, but for the longest pause between two offers.

    Rows were offered each millisecond: in a longer pause the machine gave the process no time at all.
    """
    return times[-1] - times[0] - max((later - one for one, later in pairwise(times)), default=0)


def test_a_recovery_killed_at_any_line_is_completed_by_the_next(tmp_path, choice):
    begin, folder = tmp_path / "begin", tmp_path / "work"
    begin.mkdir()
    leave_spools(begin, folder / "log", count=1, each=30)
    points = points_of(recover, begin, folder)
    assert {"roll.py", "spool.py", "storage.py", "time_folders.py"} <= {name for name, _ in points}
    for point in choice.sample(points, min(2 * KILLS, len(points))):
        renew(folder, begin)
        for end, code in ((point, -signal.SIGKILL), (None, 0)):
            assert end_of(start(recover, folder, end, None)) == code, point
            assert max(Counter(ids_in(folder / "log")).values(), default=1) == 1, point
        assert sorted(ids_in(folder / "log")) == sorted(numbered(30)), point
        assert list((folder / "spool").iterdir()) == [], point


@pytest.mark.parametrize("begun", [0, 1], ids=["merging", "deleting"])
def test_a_compaction_killed_at_any_line_loses_and_doubles_nothing_and_the_next_completes_it(
    tmp_path, choice, begun
):
    begin, folder = tmp_path / "begin", tmp_path / "work"
    begin.mkdir()
    leave_spools(begin, begin / "log", count=3, each=30)
    recover_spools(begin / "spool", str(begin / "log"))
    for _ in range(begun):
        assert end_of(start(compact, begin, None, None)) == 0
    assert len(parquet_files(begin)) == 9 + 3 * begun
    points = points_of(compact, begin, folder)
    assert ("merging.py" in {name for name, _ in points}) == (not begun)
    for point in choice.sample(points, min(2 * KILLS, len(points))):
        renew(folder, begin)
        for end, code in ((point, -signal.SIGKILL), (None, 0), (None, 0)):
            assert end_of(start(compact, folder, end, None)) == code, point
            assert sorted(read_ids(folder)) == sorted(numbered(90)), point
        assert len(parquet_files(folder)) == 3, point
        assert not list(folder.rglob(".*")), point


def points_of(job, begin, folder):
    """All lines of a job, by one run that is not killed."""
    renew(folder, begin)
    assert end_of(start(job, folder, None, folder / "trace")) == 0
    return read_trace(folder / "trace")


def renew(folder, begin):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(begin, folder)
