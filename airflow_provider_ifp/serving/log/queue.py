"""The rows that wait in memory for the log, and what became of all others."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)


class RowQueue:
    """A bounded queue between threads; its lock is held for no longer than some assignments.

    Args:
        limit: In rows.
    """

    def __init__(self, limit: int) -> None:
        self.wanted = threading.Event()
        """Set when the queue is half full, or closed."""
        self._limit = limit
        self._lock = threading.Lock()
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._seen = self._logged = self._dropped = 0
        self._closed = False

    def offer(self, batch: pa.RecordBatch) -> bool:
        """Add a batch; False: there is no room, or the queue is closed, and its rows count as dropped."""
        count = batch.num_rows
        with self._lock:
            self._seen += count
            if self._closed or self._rows + count > self._limit:
                self._dropped += count
                return False
            self._batches.append(batch)
            self._rows += count
            is_filling = self._rows * 2 >= self._limit
        if is_filling:
            self.wanted.set()
        return True

    def take(self) -> list[pa.RecordBatch]:
        """Remove and return all batches."""
        with self._lock:
            taken, self._batches, self._rows = self._batches, [], 0
        return taken

    def close(self) -> None:
        """Refuse all rows from now on."""
        with self._lock:
            self._closed = True
        self.wanted.set()

    @property
    def closed(self) -> bool:
        """Whether nothing more comes."""
        with self._lock:
            return self._closed

    def count_logged(self, rows: int) -> None:
        """Note that rows are safe."""
        with self._lock:
            self._logged += rows

    def count_dropped(self, rows: int) -> None:
        """Note that rows that were taken are lost."""
        with self._lock:
            self._dropped += rows

    def counters(self) -> dict[str, int]:
        """Count rows since the start; those that are neither `logged` nor `dropped` wait in memory."""
        with self._lock:
            return {"seen": self._seen, "logged": self._logged, "dropped": self._dropped}


class Troubles:
    """What keeps rows from the log, by place; said in the process's own log when it begins and when it ends.

    Args:
        of: Whose.
    """

    def __init__(self, of: str) -> None:
        self._of = of
        self._found: dict[str, str] = {}

    def tell(self, place: str, trouble: str | None) -> None:
        """Note what is wrong at a place; None: nothing any more."""
        known = self._found.get(place)
        if trouble is None:
            if self._found.pop(place, None) is not None:
                log.warning("%s: %s can be written again", self._of, place)
            return
        self._found[place] = trouble
        if known is None:
            log.warning("%s: %s cannot be written: %s", self._of, place, trouble)

    def __str__(self) -> str:
        """Say all; empty: nothing is wrong."""
        return "; ".join(f"{place}: {trouble}" for place, trouble in dict(self._found).items())
