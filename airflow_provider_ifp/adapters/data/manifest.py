"""The manifest of a dataset: names, sizes and versions of its files, for stores too large to read.

A file's version is the time of its last change: what every file system and object store tells in a listing.
A copy of the same files therefore has another digest, which costs one training too many and never one too
few; a file rewritten in the same microsecond with the same size would be missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.data.datasets import fragments_within, open_dataset
from airflow_provider_ifp.adapters.data.storage import resolve_uri
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    from airflow_provider_ifp.core.windows import Window

FORMAT = "manifest/1"


@dataclass(frozen=True, slots=True)
class ManifestDigest:
    """What a dataset's files amount to: `digest`, how many `files`, and their `size` in bytes."""

    digest: str
    files: int
    size: int


def manifest_digest(uri: str, window: Window | None = None, time_column: str | None = None) -> ManifestDigest:
    """Digest the names, sizes and versions of a dataset's files; no row is read.

    Args:
        uri: The dataset, as `datasets.open_dataset` takes it.
        window: With `time_column`: only files whose statistics reach into it, which Parquet's footers tell.
        time_column: Name of the timestamp column.

    Raises:
        DatasetError: as `open_dataset`.
    """
    dataset = open_dataset(uri)
    filesystem, root = resolve_uri(uri)
    paths = sorted(fragment.path for fragment in fragments_within(dataset, uri, window, time_column))
    try:
        infos = filesystem.get_file_info(paths)
    except OSError as error:
        raise DatasetError(f"{uri}: the file system does not answer: {error}") from None
    listed = [[info.path.removeprefix(root).lstrip("/"), info.size, info.mtime_ns] for info in infos]
    bounds = None if window is None else str(window)
    digest = digest_json({"format": FORMAT, "uri": uri, "window": bounds, "files": listed})
    return ManifestDigest(digest, len(listed), sum(info.size or 0 for info in infos))
