"""Compacted files of the prediction log: `compact-<digest>.parquet`, whose footer names its sources.

A reader looks into a footer only where a compacted file has company: until its sources are deleted, and after
a file came late.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.core.compaction import superseded
from airflow_provider_ifp.core.errors import PredictionLogError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

PREFIX: Final = "compact-"
SOURCES: Final = "ifp.sources"
"""Key in the footer; its value is a JSON list of names."""


def superseded_paths(filesystem: fs.FileSystem, paths: Iterable[str]) -> set[str]:
    """Say which of the log's files do not count, since their rows are in others of their folder.

    Raises:
        PredictionLogError: A footer that is needed cannot be read.
    """
    folders: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, set()).add(name)
    found = set()
    for folder, names in folders.items():
        if len(names) > 1 and any(name.startswith(PREFIX) for name in names):
            there, sources = read_sources(filesystem, folder, names)
            found |= {f"{folder}/{name}" for name in superseded(there, sources) | (names - there)}
    return found


def read_sources(
    filesystem: fs.FileSystem, folder: str, names: Collection[str]
) -> tuple[set[str], dict[str, frozenset[str]]]:
    """Read the sources of the compacted files among those of a folder.

    Returns:
        The names without those that vanished meanwhile, since a compacted file of more sources is there; and
        name -> sources. A file that is no Parquet has none.

    Raises:
        PredictionLogError: The store does not answer, or a footer is damaged.
    """
    there, sources = set(names), {}
    for name in sorted(names):
        if not name.startswith(PREFIX):
            continue
        path = f"{folder}/{name}"
        try:
            # Not pq.read_metadata: it looks at the file's status first, which is one more call.
            with filesystem.open_input_file(path) as file:
                metadata = pq.ParquetFile(file, pre_buffer=False).metadata.metadata or {}
        except FileNotFoundError:
            there.discard(name)
        except pa.ArrowInvalid:
            continue
        except (pa.ArrowException, OSError) as error:
            raise PredictionLogError(
                f"prediction log: {path} cannot be read: {first_line(error)}; so it cannot be told which "
                "files it stands for: restore that file, or remove it while its sources are there"
            ) from None
        else:
            if named := json.loads(metadata.get(SOURCES.encode(), b"[]")):
                sources[name] = frozenset(named)
    return there, sources


def is_logged(filesystem: fs.FileSystem, folder: str, name: str) -> bool:
    """Say whether a file is in a folder of the log, or was merged into one that is.

    Raises:
        OSError: The store does not answer.
        PredictionLogError: Likewise, or a footer is damaged.
    """
    infos = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    names = {info.base_name for info in infos}
    return name in names or any(
        name in sources for sources in read_sources(filesystem, folder, names)[1].values()
    )
