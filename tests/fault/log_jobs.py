"""Processes that write, recover or compact a prediction log, and are killed at it."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import struct
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.log_rows import SCHEMA, rows

from airflow_provider_ifp.adapters.data import storage
from airflow_provider_ifp.adapters.log import compacted, time_folders
from airflow_provider_ifp.adapters.log import compaction as log_compaction
from airflow_provider_ifp.adapters.log import merging as file_merging
from airflow_provider_ifp.adapters.log.compaction import compact_log
from airflow_provider_ifp.serving.log import roll as log_roll
from airflow_provider_ifp.serving.log import spool
from airflow_provider_ifp.serving.log.roll import recover_spools
from airflow_provider_ifp.serving.log.spool import Spool, SpoolName
from airflow_provider_ifp.serving.log.writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

MOST_ROWS = 100_000
ROW_SECONDS = 0.001
WATCHED = {
    module.__file__
    for module in (compacted, file_merging, log_compaction, log_roll, spool, storage, time_folders)
}
Line = tuple[str, int]
"""A line of our own code, by file and number."""


def start(job: Callable, *arguments: object) -> BaseProcess:
    """Begin a job in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fault.log_jobs"])
    process = context.Process(target=job, args=arguments, daemon=True)
    process.start()
    return process


def serve(folder: Path, life: str) -> None:
    """Offer a numbered row each millisecond until the kill; `told` keeps when each was."""
    writer = LogWriter(
        str(folder / "log"),
        "fares",
        "production",
        spool=folder / "spool",
        roll_seconds=0.25,
        roll_bytes=20_000,
    )
    with (folder / f"{life}.told").open("w+b") as file:
        file.truncate(8 * MOST_ROWS)
        told = mmap.mmap(file.fileno(), 8 * MOST_ROWS)
        for number in range(MOST_ROWS):
            now = time.time()
            batch = rows([number], datetime.fromtimestamp(now, UTC), prefix=f"{life}-")
            if not writer.offer(batch):
                sys.exit(f"row {number} was dropped")
            struct.pack_into("d", told, 8 * number, time.time())
            time.sleep(ROW_SECONDS)


def read_told(folder: Path, life: str) -> list[float]:
    """When each row was offered, in seconds since 1970."""
    told = folder / f"{life}.told"
    content = told.read_bytes() if told.exists() else b""
    content = content[: len(content) // 8 * 8]
    return [value for (value,) in struct.iter_unpack("d", content) if value]


def leave_spools(folder: Path, root: Path, count: int, each: int) -> None:
    """What killed processes left: rows of three hours in each spool, the last batch of each torn."""
    (folder / "spool").mkdir()
    for number in range(count):
        made = Spool.create(
            folder / "spool", SpoolName("fares", "production", f"{number:032x}"), str(root), SCHEMA
        )
        for hour in range(3):
            first = number * each + hour * (each // 3)
            made.append(rows(range(first, first + each // 3), datetime(2013, 6, 1, hour, tzinfo=UTC)))
        made.close()
        with made.path.open("ab") as file:
            file.write(rows([10**6]).serialize()[:-9])


def recover(folder: Path, end: Line | None, trace: Path | None) -> None:
    """Recover those spools, or die at a line."""
    with _Watched(end, trace):
        recover_spools(folder / "spool", str(folder / "log"))


def compact(folder: Path, end: Line | None, trace: Path | None) -> None:
    """Compact the log, or die at a line; what was merged before is deleted at once."""
    with _Watched(end, trace):
        now = datetime.now(UTC) + timedelta(seconds=1)
        compact_log(str(folder / "log"), now=now, keep=timedelta(0))


class _Watched:
    """Dies at the first pass of a line, or writes down all lines that were passed."""

    def __init__(self, end: Line | None, trace: Path | None) -> None:
        self.end, self.trace = end, trace
        self.passed: dict[Line, None] = {}

    def __enter__(self) -> None:
        sys.settrace(self.follow)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        if self.trace is not None:
            self.trace.write_text("\n".join(f"{name}:{line}" for name, line in self.passed))

    def follow(self, frame, event, _):
        if frame.f_code.co_filename not in WATCHED:
            return None
        at = (Path(frame.f_code.co_filename).name, frame.f_lineno)
        if event == "line":
            self.passed[at] = None
            if at == self.end:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.follow


def read_trace(trace: Path) -> list[Line]:
    """The lines that a run passed, in the order in which it came to them first."""
    pairs = [line.rpartition(":") for line in trace.read_text().splitlines()]
    return [(name, int(number)) for name, _, number in pairs]
