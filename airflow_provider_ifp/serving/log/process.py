"""The log's process: gathers answered rows into batches of the log's columns, and writes them.

    python -m airflow_provider_ifp.serving.log.process FD SETTINGS

A process of its own, so that Parquet and a slow store take nothing from the answers' latency, and a worker
that is killed takes no row with it. When the front is gone, killed even, it writes what it has and ends.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.log.schema import conform_rows
from airflow_provider_ifp.core.errors import IfpError
from airflow_provider_ifp.serving.log.rows import read_rows
from airflow_provider_ifp.serving.log.writer import LogWriter
from airflow_provider_ifp.serving.messages import LogCounters, LogRows, Refused
from airflow_provider_ifp.serving.wire import Unpacker, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.05
_COUNT_SECONDS = 0.5
_CLOSE_SECONDS = 15.0
_CHUNK = 1 << 20


class Gatherer:
    """Rows that are not offered yet, by stage and types."""

    def __init__(self, writers: dict[str, LogWriter]) -> None:
        self._writers = writers
        self._tables: dict[tuple[str, pa.Schema], list[pa.Table]] = defaultdict(list)

    def add(self, message: LogRows) -> None:
        """Take the rows of a batch."""
        e2e_us = np.minimum(np.array(message.e2e_us, np.int64), 2**31 - 1).astype(np.int32)
        for table in read_rows(message.rows):
            timed = table.append_column("e2e_us", pa.array(e2e_us[table["place"].to_numpy()]))
            rows = timed.drop_columns(["place"])
            self._tables[message.stage, rows.schema].append(rows)

    def offer(self) -> None:
        """Give the writers what came, as one batch for each stage and types."""
        for (stage, _), tables in self._tables.items():
            for batch in conform_rows(pa.concat_tables(tables)).combine_chunks().to_batches():
                self._writers[stage].offer(batch)
        self._tables.clear()


def main(fd: int, settings: dict[str, Any]) -> int:
    """Gather and write until the front closes its end."""
    with socket.socket(fileno=fd) as front:
        front.settimeout(_GATHER_SECONDS)
        try:
            writers = {
                stage: LogWriter(
                    *(settings["root"], settings["model"], stage),
                    spool=Path(settings["spool"]),
                    roll_seconds=settings["roll_seconds"],
                )
                for stage in settings["stages"]
            }
        except (IfpError, OSError) as error:
            front.sendall(pack(Refused(str(error))))
            return 1
        gatherer = Gatherer(writers)
        counted = 0.0
        for message in _messages(front):
            if message is not None:
                gatherer.add(message)
                continue
            gatherer.offer()
            if time.monotonic() > counted:
                counted = time.monotonic() + _COUNT_SECONDS
                _tell(front, writers)
        gatherer.offer()
        for writer in writers.values():
            writer.close(_CLOSE_SECONDS)
        _tell(front, writers)
    return 0


def _messages(front: socket.socket) -> Iterator[LogRows | None]:
    """What the front sends, and None whenever it is time to offer what came."""
    unpacker = Unpacker()
    due = time.monotonic() + _GATHER_SECONDS
    while True:
        try:
            data = front.recv(_CHUNK)
        except TimeoutError:
            yield None
            due = time.monotonic() + _GATHER_SECONDS
            continue
        except ConnectionResetError:
            return
        if not data:
            return
        yield from unpacker.feed(data)
        if time.monotonic() > due:
            yield None
            due = time.monotonic() + _GATHER_SECONDS


def _tell(front: socket.socket, writers: dict[str, LogWriter]) -> None:
    try:
        front.sendall(pack(LogCounters({stage: writer.counters() for stage, writer in writers.items()})))
    except OSError:  # the front is gone; what is to be written is written all the same
        return


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="ifp: %(message)s")
    sys.exit(main(int(sys.argv[1]), json.loads(sys.argv[2])))
