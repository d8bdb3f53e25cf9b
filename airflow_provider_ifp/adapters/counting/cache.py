"""Counts that were made before, kept on a disk that may be lost.

One file a part: the bins as the smallest integers that hold them, all else as JSON (25 features of 1,000 bins
and an hour of rows: 30 KB). What cannot be read back counts as not there. What no check has used for 60 days
is removed.
"""

from __future__ import annotations

import io
import json
import os
import time
import uuid
import zipfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.profile.counts import Counts
from airflow_provider_ifp.core.profile.moments import Moments
from airflow_provider_ifp.core.profile.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT_SECONDS: Final = 60 * 86_400
_SUFFIX: Final = ".counts"


class CountCache:
    """A folder of counted parts, by keys that name all that they depend on.

    Args:
        folder: Made when the first part is kept; None: nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: str) -> Part | None:
        """Return a part, or None where there is none, or a damaged one."""
        if self._folder is None:
            return None
        path = self._path(key)
        try:
            part = unpack_part(path.read_bytes())
            os.utime(path)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None
        return part

    def put(self, key: str, part: Part) -> None:
        """Keep a part; a disk that is full or cannot be written costs a later check its time, no more."""
        if self._folder is None:
            return
        path = self._path(key)
        temporary = path.with_name(f"{key}.{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not forced to the disk: what a crash leaves of it is found to be damaged, and counted anew.
            temporary.write_bytes(pack_part(part))
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def prune(self) -> None:
        """Remove what nobody has used for 60 days."""
        if self._folder is None or not self._folder.is_dir():
            return
        oldest = time.time() - KEPT_SECONDS
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith((_SUFFIX, ".tmp")) and entry.stat().st_mtime < oldest:
                    Path(entry.path).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if self._folder is None:
            raise ValueError("a cache without a folder has no paths")
        return self._folder / f"{key}{_SUFFIX}"


def pack_part(part: Part) -> bytes:
    """Write a part as NumPy's archive, whose checksums find a damaged file."""
    bins: list[np.ndarray[Any, Any]] = []
    record = _describe(part, bins)
    joined = np.concatenate(bins) if bins else np.zeros(0, dtype=np.int64)
    small = joined.astype(np.min_scalar_type(int(joined.max(initial=0))))
    sink = io.BytesIO()
    np.savez(sink, bins=small, record=np.frombuffer(json.dumps(record).encode(), dtype=np.uint8))
    return sink.getvalue()


def _describe(part: Part, bins: list[np.ndarray[Any, Any]]) -> dict[str, Any]:
    counted = []
    for name, counts in part.counts.items():
        bins.append(counts.bins)
        moments = None if counts.moments is None else asdict(counts.moments)
        counted.append([name, len(counts.bins), counts.missing, counts.grid, moments, dict(counts.unseen)])
    segments = {name: _describe(one, bins) for name, one in part.segments.items()}
    return {"rows": part.rows, "counts": counted, "segments": segments}


def unpack_part(content: bytes) -> Part:
    """Read what `pack_part` wrote.

    Raises:
        ValueError, KeyError, EOFError, zipfile.BadZipFile: The content is damaged.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        bins = archive["bins"].astype(np.int64)
        record = json.loads(archive["record"].tobytes())
    lengths = list(_lengths(record))
    if sum(lengths) != len(bins):
        raise ValueError(f"expected {sum(lengths)} bins, found {len(bins)}")
    return _restore(record, iter(np.split(bins, np.cumsum(lengths)[:-1])))


def _lengths(record: dict[str, Any]) -> Iterator[int]:
    for counted in record["counts"]:
        yield counted[1]
    for one in record["segments"].values():
        yield from _lengths(one)


def _restore(record: dict[str, Any], bins: Iterator[np.ndarray[Any, Any]]) -> Part:
    counts = {
        name: Counts(next(bins), missing, grid, None if moments is None else Moments(**moments), unseen)
        for name, _, missing, grid, moments, unseen in record["counts"]
    }
    return Part(
        record["rows"], counts, {name: _restore(one, bins) for name, one in record["segments"].items()}
    )
