"""Spools: answers on the local disk that are not in the prediction log yet.

    <spool>/<model>.<stage>.<identity>.spool

One is an Arrow IPC stream of one schema, to which its writer appends whole batches. The kernel keeps what was
written when the process is killed; at most the last batch is torn, and readers stop before it. (Nothing is
forced to the disk, which would hold up the next batch: a machine that loses its power may lose the rows
in spools.) The writer holds a lock (flock) on its spools for as long as it lives, so that another process
knows those of the dead. The identity names the Parquet files that a spool becomes: written twice, they have
the same names twice.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa

from airflow_provider_ifp.adapters.log.files import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROOT: Final = b"ifp.root"
_NAME: Final = re.compile(rf"([A-Za-z0-9_-]+)\.({'|'.join(STAGES)})\.([0-9a-f]{{32}})\.spool")
_MODE: Final = 0o640
_NAMELESS_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class SpoolName:
    """What a spool's name says: whose rows it holds, and by what identity."""

    model: str
    stage: str
    identity: str

    def __str__(self) -> str:
        """Write the name of the file."""
        return f"{self.model}.{self.stage}.{self.identity}.spool"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a file's name; None: it is no spool.

        >>> SpoolName.parse("fares.shadow.00000000000000000000000000000001.spool").stage
        'shadow'
        """
        found = _NAME.fullmatch(name)
        return None if found is None else cls(*found.groups())

    @classmethod
    def new(cls, model: str, stage: str) -> Self:
        """Make a name that no other has; later ones sort later, to the millisecond."""
        return cls(model, stage, f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:20]}")


@dataclass(slots=True)
class Spool:
    """A spool that this process holds the lock of.

    Attributes:
        path: Where it is.
        name: What its name says.
        size: Bytes up to the end of the last whole batch.
        rows: In the batches that this process appended.
        born: When it was made, by `time.monotonic()`.
        torn: What a failed write left could not be cut off: nothing may be appended any more.
    """

    path: Path
    name: SpoolName
    _file: int
    size: int = 0
    rows: int = 0
    born: float = 0.0
    torn: bool = False

    @classmethod
    def create(cls, folder: Path, name: SpoolName, root: str, schema: pa.Schema) -> Self:
        """Make a spool, which appears in the folder only once it is locked and has its schema.

        Raises:
            OSError: The folder cannot be written.
        """
        path = folder / str(name)
        hidden = folder / f".{name}"
        file = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, _MODE)
        made = cls(path, name, file, born=time.monotonic())
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            made._append(schema.with_metadata({_ROOT: root.encode()}).serialize())
            hidden.rename(path)
        except BaseException:
            os.close(file)
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            raise
        return made

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take over a spool whose writer is dead; None: it lives, or somebody else took it.

        Raises:
            OSError: The file cannot be opened, for want of permission say.
        """
        name = SpoolName.parse(path.name.removeprefix("."))
        if name is None:
            return None
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        # Whoever held the lock between our two calls may have finished with it, or shown it under its name.
        if not os.fstat(file).st_nlink or not path.exists():
            os.close(file)
            return None
        return cls(path, name, file, size=os.fstat(file).st_size, born=time.monotonic())

    def append(self, batch: pa.RecordBatch) -> None:
        """Add a batch: all of it, or nothing.

        Raises:
            OSError: The disk is full, or fails.
        """
        self._append(batch.serialize())
        self.rows += batch.num_rows

    def remove(self) -> None:
        """Delete the spool, whose rows are in the log.

        Raises:
            OSError: The folder cannot be written.
        """
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Give the lock up; the file stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, content: pa.Buffer) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            self.torn = True
            os.ftruncate(self._file, self.size)
            self.torn = False
            raise
        self.size += len(content)


def dead_spools(folder: Path) -> Iterator[Spool]:
    """Take over all spools in a folder whose writers are dead, one after the other.

    Those that a kill kept from getting their name are deleted, once they are a minute old: a younger one may
    be about to be locked.

    Raises:
        OSError: The folder cannot be listed, or a spool not be opened.
    """
    for path in sorted(folder.iterdir()):
        is_hidden = path.name.startswith(".")
        if is_hidden and not _is_old(path):
            continue
        taken = Spool.take(path)
        if taken is None:
            continue
        if is_hidden:
            taken.remove()
        else:
            yield taken


def read_spool(path: Path) -> tuple[pa.Table | None, str | None]:
    """Read a spool up to its last whole batch.

    Returns:
        The rows, or None where there are none; and the root of the log that they are for, or None where not
        even the schema is whole.

    Raises:
        OSError: The file cannot be read.
    """
    content = pa.py_buffer(path.read_bytes())
    batches: list[pa.RecordBatch] = []
    root = None
    # Arrow says of a torn end that it is invalid, or that it could not read as much as it wanted.
    with suppress(pa.ArrowException, OSError), pa.ipc.open_stream(content) as stream:
        root = (stream.schema.metadata or {}).get(_ROOT, b"").decode() or None
        for batch in stream:
            batch.validate()
            batches.append(batch)
    return (pa.Table.from_batches(batches).replace_schema_metadata() if batches else None), root


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _NAMELESS_SECONDS
    except FileNotFoundError:
        return False
