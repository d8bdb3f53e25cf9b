"""Log what was asked and answered, without ever making an answer wait.

    offer -> queue in memory -> spool on the local disk -> Parquet under the root
             full: dropped      every 0.2 s                each minute, or 32 MB
             and counted

Two threads do the work: one appends to spools, the other makes Parquet of finished ones, so that a slow store
never keeps rows in memory. A killed process loses what it had in memory: the last 0.2 s and what writing
takes. Its spools become Parquet when a server with the same spool folder starts, or looks around, which each
does every minute.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.adapters.log.files import locate
from airflow_provider_ifp.core.errors import DatasetUnreachableError, PredictionLogError
from airflow_provider_ifp.serving.log.queue import RowQueue, Troubles
from airflow_provider_ifp.serving.log.roll import canonical_root, recover_spools, roll
from airflow_provider_ifp.serving.log.spool import Spool, SpoolName
from airflow_provider_ifp.serving.log.spooling import Spooler

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_LOOK_AROUND_SECONDS: Final = 60.0
_FIRST_PATIENCE, _LAST_PATIENCE = 1.0, 60.0
"""Seconds until what failed is tried again: doubled each time."""


class LogWriter:
    """Writes one stage of one model's prediction log; any thread may call it.

    Args:
        root: Path or URI of the log.
        model: The registered model.
        stage: `production`, `shadow` or `replay`.
        spool: Folder on a local disk; several servers may share it.
        queue_rows: Rows held in memory before new ones are dropped.
        flush_seconds: How long rows stay in memory.
        roll_seconds: How long rows stay in a spool; readers see them after that.
        roll_bytes: A spool of that size becomes Parquet at once.
        spool_bytes: So much the spool folder may hold, while the root cannot be written; then rows wait in
            memory, and are dropped when the queue is full.

    Raises:
        PredictionLogError: No name of a model or stage, no such file system, or a spool folder that cannot be
            written. A store that does not answer now may do so later, and is no error.
    """

    def __init__(
        self,
        root: str,
        model: str,
        stage: str,
        *,
        spool: Path,
        queue_rows: int = 65_536,
        flush_seconds: float = 0.2,
        roll_seconds: float = 60.0,
        roll_bytes: int = 32 << 20,
        spool_bytes: int = 4 << 30,
    ) -> None:
        with suppress(DatasetUnreachableError):
            locate(root, model, stage)
        root = canonical_root(root)
        _require_writable(spool, root, model, stage)
        self._root, self._folder, self._flush_seconds = root, spool, flush_seconds
        self._queue = RowQueue(queue_rows)
        self._troubles = Troubles(f"prediction log of {model}, {stage}")
        self._spooler = Spooler(
            *(spool, root, model, stage),
            seconds=roll_seconds,
            size=roll_bytes,
            limit=spool_bytes,
            count_logged=self._queue.count_logged,
            count_dropped=self._queue.count_dropped,
        )
        self._finished: list[Spool] = []
        self._work, self._all_spooled = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_spooling, name=f"ifp-log-{stage}-spool", daemon=True),
            threading.Thread(target=self._keep_rolling, name=f"ifp-log-{stage}-roll", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def offer(self, rows: pa.RecordBatch) -> bool:
        """Take rows over; never waits for a disk.

        Args:
            rows: The log's columns, as `prediction_log.write_predictions` takes them. One schema object for
                all batches of a version is cheapest.

        Returns:
            False: the queue is full or the writer closed, and the rows are dropped and counted.
        """
        return self._queue.offer(rows)

    def counters(self) -> dict[str, int]:
        """Count rows since the start: `seen`, `logged` (a kill cannot lose them), `dropped`."""
        return self._queue.counters()

    def waiting(self) -> int:
        """Count the rows in finished spools, which are not under the root yet: many where it fails."""
        return sum(spool.rows for spool in list(self._finished))

    @property
    def trouble(self) -> str:
        """What keeps rows from the log; empty: nothing."""
        return str(self._troubles)

    def close(self, timeout: float = 10.0) -> bool:
        """Take no more rows, and put all that were taken under the root.

        Args:
            timeout: Seconds to wait.

        Returns:
            False: not all is there yet; the rest lies in spools, from which the next start recovers it.
        """
        self._queue.close()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads) and not self._finished

    def _keep_spooling(self) -> None:
        closed = False
        while not closed:
            if self._spooler.holds:
                time.sleep(self._flush_seconds)  # the queue may be wanted all the time, and the disk is full
            self._queue.wanted.wait(self._flush_seconds)
            self._queue.wanted.clear()
            closed = self._queue.closed
            try:
                if not self._spooler.holds:
                    self._spooler.add(self._queue.take())
                self._spooler.write()
                self._troubles.tell(str(self._folder), None)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next rows are to be logged
                self._troubles.tell(str(self._folder), first_line(error))
            finished = self._spooler.finished(all_of_them=closed)
            if finished:
                self._finished.extend(finished)
                self._work.set()
        self._queue.count_dropped(self._spooler.holds + sum(batch.num_rows for batch in self._queue.take()))
        self._all_spooled.set()
        self._work.set()

    def _keep_rolling(self) -> None:
        next_look, next_try, patience = 0.0, 0.0, _FIRST_PATIENCE
        last = False
        while not last:
            self._work.wait(1.0)
            self._work.clear()
            last = self._all_spooled.is_set()
            if time.monotonic() < next_try and not last:
                continue
            fine = self._roll_finished()
            if fine and time.monotonic() >= next_look and not last:
                fine = self._recover()
                next_look = time.monotonic() + _LOOK_AROUND_SECONDS
            next_try = 0.0 if fine else time.monotonic() + patience
            patience = _FIRST_PATIENCE if fine else min(2 * patience, _LAST_PATIENCE)
        for spool in self._finished:
            spool.close()

    def _roll_finished(self) -> bool:
        """Make Parquet of the finished spools; False: of some it failed, and they wait."""
        trouble = None
        finished = list(self._finished)
        for spool in finished:
            try:
                roll(spool, self._root)
                self._finished.remove(spool)
            except Exception as error:  # noqa: BLE001 - one bad spool must not hold up the others
                trouble = first_line(error)
        if finished:
            self._troubles.tell(self._root, trouble)
        return trouble is None

    def _recover(self) -> bool:
        try:
            found = recover_spools(self._folder, self._root)
        except Exception as error:  # noqa: BLE001 - whatever the dead left must not stop the living
            self._troubles.tell(self._root, first_line(error))
            return False
        if found.spools:
            log.info("recovered %s rows from %s spools in %s", found.rows, found.spools, self._folder)
        self._troubles.tell(self._root, None)
        return True


def _require_writable(folder: Path, root: str, model: str, stage: str) -> None:
    """Make the spool folder, and try it.

    Raises:
        PredictionLogError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Spool.create(folder, SpoolName.new(model, stage), root, pa.schema([])).remove()
    except OSError as error:
        raise PredictionLogError(
            f"prediction log: the spool folder {folder} cannot be written: {first_line(error)}; "
            "give one on a local disk"
        ) from None
