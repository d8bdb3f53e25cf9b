"""From the queue to spools: one spool for each schema that is in use."""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.adapters.log.schema import conform_rows
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.serving.log.spool import Spool, SpoolName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

_END_OF_TIME: Final = 253_402_300_800_000_000
"""The year 10000, in microseconds since 1970."""
_MOST_SCHEMAS: Final = 8
"""Spools open at once; versions that differ in features take turns for the length of a swap."""


class Spooler:
    """Appends batches to spools; belongs to one thread.

    Args:
        folder: Of the spools.
        root, model, stage: The log's.
        seconds, size: A spool so old, or of so many bytes, is finished.
        limit: Bytes that the folder may hold before no new spool is begun.
        count_logged, count_dropped: Told numbers of rows.
    """

    def __init__(
        self,
        folder: Path,
        root: str,
        model: str,
        stage: str,
        *,
        seconds: float,
        size: int,
        limit: int,
        count_logged: Callable[[int], None],
        count_dropped: Callable[[int], None],
    ) -> None:
        self._folder, self._root, self._model, self._stage = folder, root, model, stage
        self._seconds, self._size, self._limit = seconds, size, limit
        self._count_logged, self._count_dropped = count_logged, count_dropped
        self._held: list[pa.RecordBatch] = []
        self._open: list[tuple[pa.Schema, Spool]] = []

    @property
    def holds(self) -> int:
        """How many rows the disk did not take yet."""
        return sum(batch.num_rows for batch in self._held)

    def add(self, batches: list[pa.RecordBatch]) -> None:
        """Take rows over, as one batch for each schema; rows that are not the log's count as dropped.

        The list is empty afterwards.
        """
        groups: list[tuple[pa.Schema, list[pa.RecordBatch]]] = []
        for batch in batches:
            same = next((group for schema, group in groups if schema.equals(batch.schema)), None)
            if same is None:
                groups.append((batch.schema, [batch]))
            else:
                same.append(batch)
        batches.clear()
        for _, group in groups:
            try:
                self._held += _plain(group)
            except (PredictionLogError, pa.ArrowException):
                self._held += self._good_ones(group)
            while group:
                # To free thousands at once would keep Python's lock from those who answer for 20 ms.
                group.pop()

    def write(self) -> None:
        """Append what is held.

        Raises:
            OSError: The disk is full, or fails; what it did not take is held for the next time.
        """
        while self._held:
            batch = self._held[0]
            self._spool_of(batch.schema).append(batch)
            del self._held[0]
            self._count_logged(batch.num_rows)

    def finished(self, *, all_of_them: bool = False) -> list[Spool]:
        """Let go of the spools that are old, large or torn, and of the eldest of too many."""
        now = time.monotonic()
        excess = len(self._open) - _MOST_SCHEMAS
        done = [
            place
            for place, (_, spool) in enumerate(self._open)
            if all_of_them
            or place < excess
            or spool.torn
            or now - spool.born >= self._seconds
            or spool.size >= self._size
        ]
        finished = [self._open[place][1] for place in done]
        self._open = [one for place, one in enumerate(self._open) if place not in done]
        return finished

    def _good_ones(self, batches: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            try:
                yield from _plain([batch])
            except (PredictionLogError, pa.ArrowException) as error:
                self._count_dropped(batch.num_rows)
                log.warning("%s: %s rows were dropped: %s", self._model, batch.num_rows, first_line(error))

    def _spool_of(self, schema: pa.Schema) -> Spool:
        for known, spool in self._open:
            if known.equals(schema) and not spool.torn:
                return spool
        if (used := _used(self._folder)) >= self._limit:
            raise OSError(errno.EDQUOT, f"it holds {used:,} bytes, and may hold {self._limit:,}")
        name = SpoolName.new(self._model, self._stage)
        made = Spool.create(self._folder, name, self._root, schema)
        self._open.append((schema, made))
        return made


def _plain(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Bring rows to the log's columns, with texts for dictionaries, whose words would change by the batch.

    Raises:
        PredictionLogError: They are no rows of the log, or of a time for which it has no folder.
    """
    # In one piece from the start: each further step would cost a microsecond a piece and column.
    rows = conform_rows(pa.Table.from_batches(batches).combine_chunks())
    times = pc.min_max(rows["ts"].cast(pa.int64()))
    if rows.num_rows and not (times["min"].as_py() >= 0 and times["max"].as_py() < _END_OF_TIME):
        raise PredictionLogError("prediction log: ts: expected a time from 1970 to 9999")
    features = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in rows.schema.field("features").type
    ]
    place = rows.schema.get_field_index("features")
    plain = rows.set_column(place, "features", rows["features"].cast(pa.struct(features)))
    made: list[pa.RecordBatch] = plain.combine_chunks().to_batches()
    return made


def _used(folder: Path) -> int:
    """Sum the sizes of the files in a folder, without those that vanish meanwhile."""
    used = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                used += entry.stat(follow_symlinks=False).st_size
    return used
