"""Merge Parquet files of one folder and one schema into one, whose footer names them."""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from airflow_provider_ifp.adapters.data.storage import move_into_place
from airflow_provider_ifp.adapters.log.compacted import PREFIX, SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_GROUP_ROWS: Final = 131_072
_GROUP_BYTES: Final = 128 << 20
"""Of a row group, whichever is reached first."""


@dataclass(slots=True)
class Merged:
    """What became of some files.

    Attributes:
        files: How many were merged; 0: nothing was written.
        rows: In them.
        damaged: Paths that could not be read, and were left out.
    """

    files: int = 0
    rows: int = 0
    damaged: list[str] = field(default_factory=list)


def schemas_of(
    filesystem: fs.FileSystem, paths: Sequence[str]
) -> tuple[list[tuple[pa.Schema, list[str]]], list[str]]:
    """Group files by schema; returns the groups, and the paths that cannot be read.

    Raises:
        OSError: The store does not answer.
    """
    groups: list[tuple[pa.Schema, list[str]]] = []
    damaged = []
    for path in paths:
        try:
            with filesystem.open_input_file(path) as source:
                schema = pq.ParquetFile(source, pre_buffer=False).schema_arrow.remove_metadata()
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError):
            damaged.append(path)
            continue
        same = next((group for known, group in groups if known.equals(schema)), None)
        if same is None:
            groups.append((schema, [path]))
        else:
            same.append(path)
    return groups, damaged


def merge_files(
    filesystem: fs.FileSystem,
    folder: str,
    paths: Sequence[str],
    schema: pa.Schema,
    *,
    copies: Mapping[str, str],
    known: Mapping[str, frozenset[str]],
    advance: Callable[[int], object],
) -> Merged:
    """Write all rows of some files into one, unless fewer than two files are readable.

    One source is in memory at a time. The files stay.

    Args:
        filesystem: Where they are.
        folder: Where they are, and where the new file goes.
        paths: The files; their order is that of the rows.
        schema: The one they all have.
        copies: Files that have the bytes of another one, which are named as sources with it, and not read.
        known: The sources of those that are compacted files themselves, by name.
        advance: Told the number of rows of each.

    Raises:
        OSError: The store cannot be read or written.
    """
    merged = Merged()
    with _workplace(filesystem, folder) as temporary:
        good = []
        with pq.ParquetWriter(temporary, schema) as writer:
            pending = _Pending(writer)
            for path in paths:
                rows = _read(filesystem, path)
                if rows is None:
                    merged.damaged.append(path)
                    continue
                pending.add(rows)
                good.append(path)
                merged.rows += rows.num_rows
                advance(rows.num_rows)
            pending.write()
            copied = [path for path, first in copies.items() if first in good]
            names = [path.rpartition("/")[2] for path in (*good, *copied)]
            sources = sorted(frozenset(names).union(*(known.get(name, ()) for name in names)))
            writer.add_key_value_metadata({SOURCES: json.dumps(sources)})
        if len(names) < 2 or not _all_there(filesystem, good):  # noqa: PLR2004 - it takes two to merge
            return Merged(damaged=merged.damaged)
        digest = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:32]
        move_into_place(filesystem, temporary, f"{folder}/{PREFIX}{digest}.parquet")
    merged.files = len(names)
    return merged


class _Pending:
    """Collects rows for a row group of some size."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._tables: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        self._tables.append(rows)
        count, size = (sum(getattr(one, name) for one in self._tables) for name in ("num_rows", "nbytes"))
        if count >= _GROUP_ROWS or size >= _GROUP_BYTES:
            self.write()

    def write(self) -> None:
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables), row_group_size=8 * _GROUP_ROWS)
            self._tables = []


def _read(filesystem: fs.FileSystem, path: str) -> pa.Table | None:
    """Read a file; None: it is damaged, or vanished."""
    try:
        with filesystem.open_input_file(path) as source:
            table = pq.ParquetFile(source).read(use_threads=False)
            return table.replace_schema_metadata()
    except (pa.ArrowException, OSError):
        return None


def _all_there(filesystem: fs.FileSystem, paths: Sequence[str]) -> bool:
    """Whether no other run has deleted a source meanwhile, having merged it itself."""
    return all(info.type == fs.FileType.File for info in filesystem.get_file_info(list(paths)))


@contextmanager
def _workplace(filesystem: fs.FileSystem, folder: str) -> Iterator[Path]:
    """Give a path on a local disk from which the file can be moved into place."""
    name = f".{PREFIX}{uuid.uuid4().hex}.tmp"
    if isinstance(filesystem, fs.LocalFileSystem):
        temporary = Path(folder, name)
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory(prefix="ifp-compact-") as scratch:
        yield Path(scratch, name)
