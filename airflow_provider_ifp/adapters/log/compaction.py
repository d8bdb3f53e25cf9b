"""Compaction: the small files of a finished hour become one (one for each schema, where there are several).

Each step leaves a log in which every row counts once. A run may be killed anywhere; the next one goes on:

1. What no reader uses any more is deleted: files whose rows a compacted file has held for `keep`, and what
   killed runs and writers left under hidden names.
2. The hour's small files are merged under a hidden name; the footer says which they are.
3. It gets its name: from now on it counts, and they do not (core/compaction.py). A later run deletes them, so
   that who listed the folder before can still read them.

Two runs at once take turns on a local disk. In an object store, which has no locks, their files may overlap,
and then the one with more sources counts.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from pyarrow import fs

from airflow_provider_ifp.adapters.data.copies import find_copies
from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.adapters.log.compacted import PREFIX, read_sources
from airflow_provider_ifp.adapters.log.files import is_whole, list_days, list_stages
from airflow_provider_ifp.adapters.log.merging import merge_files, schemas_of
from airflow_provider_ifp.core.compaction import removable, superseded
from airflow_provider_ifp.core.errors import PredictionLogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SMALL_BYTES: Final = 128 << 20
"""A file of that size is left as it is."""
_HOUR: Final = re.compile(r"hour=([01][0-9]|2[0-3])")


@dataclass(slots=True)
class Compacted:
    """What a run did.

    Attributes:
        merged: Files that were merged.
        written: Files that they became.
        rows: In them.
        removed: Files that were deleted, since their rows had been merged before.
        unreadable: Paths of damaged files, which were left as they are.
    """

    merged: int = 0
    written: int = 0
    rows: int = 0
    removed: int = 0
    unreadable: list[str] = field(default_factory=list)


def compact_log(
    root: str,
    *,
    now: datetime,
    model: str | None = None,
    older_than: timedelta = timedelta(hours=2),
    keep: timedelta = timedelta(hours=1),
    advance: Callable[[int], object] = lambda _: None,
) -> Compacted:
    """Compact the hours of a log that ended some time ago.

    Args:
        root: Path or URI of the log.
        now: In UTC.
        model: Only this registered model's; None: all.
        older_than: How long ago an hour must have ended.
        keep: How long merged files stay beside the one they became, and hidden ones that nobody finished:
            longer than any reader or writer takes.
        advance: Told the numbers of rows as they are written.

    Raises:
        PredictionLogError: There is no log, or it cannot be listed, read or written.
        DatasetUnreachableError: The store does not answer.
    """
    filesystem, stages = list_stages(root, model)
    done = Compacted()
    for stage in stages:
        try:
            with _turn(filesystem, stage):
                for hour in _finished_hours(filesystem, stage, before=now - older_than):
                    _compact_hour(filesystem, hour, done, settled_before=now - keep, advance=advance)
        except OSError as error:
            raise PredictionLogError(
                f"prediction log: {stage} cannot be compacted: {first_line(error)}; nothing is lost, retry"
            ) from None
    return done


@dataclass(frozen=True, slots=True)
class _Hour:
    folder: str
    files: Sequence[fs.FileInfo]


def _finished_hours(filesystem: fs.FileSystem, stage: str, before: datetime) -> Iterator[_Hour]:
    """List the files of each hour that ended before a time, those with hidden names included."""
    for day, folder in sorted(list_days(filesystem, stage).items()):
        if datetime.combine(day, time(), UTC) >= before:
            continue
        hours: dict[str, list[fs.FileInfo]] = {}
        for info in filesystem.get_file_info(fs.FileSelector(folder, recursive=True)):
            hour, _, _ = info.path.removeprefix(f"{folder}/").rpartition("/")
            if info.type == fs.FileType.File and _HOUR.fullmatch(hour):
                hours.setdefault(hour, []).append(info)
        for hour, files in sorted(hours.items()):
            ends = datetime.combine(day, time(int(hour[-2:])), UTC) + timedelta(hours=1)
            if ends <= before:
                yield _Hour(f"{folder}/{hour}", files)


def _compact_hour(
    filesystem: fs.FileSystem,
    hour: _Hour,
    done: Compacted,
    *,
    settled_before: datetime,
    advance: Callable[[int], object],
) -> None:
    whole = {info.base_name: info.size for info in hour.files if is_whole(info)}
    there: set[str] = set(whole)
    sources: dict[str, frozenset[str]] = {}
    if len(whole) > 1 and any(name.startswith(PREFIX) for name in whole):
        there, sources = read_sources(filesystem, hour.folder, whole)
    old = {info.base_name for info in hour.files if _changed(info) <= settled_before}
    useless = removable(there, sources, old)
    abandoned = {name for name in old if name.startswith(".") and name.endswith(".tmp")}
    for name in sorted(useless | abandoned):
        filesystem.delete_file(f"{hour.folder}/{name}")
    done.removed += len(useless)
    live = there - superseded(there, sources)
    small = {f"{hour.folder}/{name}": whole[name] for name in live if whole[name] < SMALL_BYTES}
    if len(small) > 1:
        _merge(filesystem, hour.folder, small, known=sources, done=done, advance=advance)


def _merge(
    filesystem: fs.FileSystem,
    folder: str,
    sizes: Mapping[str, int],
    *,
    known: Mapping[str, frozenset[str]],
    done: Compacted,
    advance: Callable[[int], object],
) -> None:
    """Merge the files of each schema; of files with the same bytes one is read."""
    copies = find_copies(filesystem, sizes)
    schemas, damaged = schemas_of(filesystem, sorted(sizes.keys() - copies.keys()))
    done.unreadable += damaged
    for schema, paths in schemas:
        if len(paths) == 1 and paths[0] not in copies.values():
            continue
        merged = merge_files(filesystem, folder, paths, schema, copies=copies, known=known, advance=advance)
        done.unreadable += merged.damaged
        done.merged += merged.files
        done.written += merged.files > 0
        done.rows += merged.rows


@contextmanager
def _turn(filesystem: fs.FileSystem, folder: str) -> Iterator[None]:
    """Wait until no other run compacts this folder; only a local disk has such locks."""
    if not isinstance(filesystem, fs.LocalFileSystem):
        yield
        return
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _changed(info: fs.FileInfo) -> datetime:
    """When a file was last written; now, where the store does not say, so that it is never old."""
    found: datetime | None = info.mtime
    return datetime.now(UTC) if found is None else found.astimezone(UTC)
