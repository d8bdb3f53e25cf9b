"""Which files a dataset has; none of them is opened, and little is imported.

A dataset is one file, or a folder of files. Files and folders whose names begin with `.` or `_` are not part
of it.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import fs

from airflow_provider_ifp.adapters.data.storage import resolve_uri
from airflow_provider_ifp.core.errors import DatasetError

_PARQUET = (".parquet", ".pq")
_CSV = (".csv",)


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """The files of a dataset.

    Attributes:
        filesystem: Where they are.
        root: The file itself, or their folder.
        files: Their paths, sorted.
        kind: `parquet` or `csv`.
    """

    filesystem: fs.FileSystem
    root: str
    files: list[str]
    kind: str

    @property
    def in_folders(self) -> bool:
        """Whether any lies in a folder such as `month=2013-01`, whose name is a column."""
        return any("=" in file.removeprefix(self.root).rpartition("/")[0] for file in self.files)


def find_files(uri: str) -> DatasetFiles:
    """Find the files of a dataset.

    Args:
        uri: A file or folder: local path, or any URI that `storage.resolve_uri` knows.

    Raises:
        DatasetError: Missing, an empty folder, files of other or mixed kinds.
    """
    filesystem, path = resolve_uri(uri)
    try:
        info = filesystem.get_file_info(path)
    except OSError as error:
        raise DatasetError(f"{uri}: the file system does not answer: {error}") from None
    if info.type == fs.FileType.NotFound:
        raise DatasetError(f"{uri}: no such file or folder; check data.source, or write the data first")
    files = [path] if info.type == fs.FileType.File else _list_files(filesystem, path, uri)
    return DatasetFiles(filesystem, path, files, _kind_of(files, uri))


def is_data_file(path: str) -> bool:
    """Whether a file's name says that it holds rows."""
    return path.lower().endswith(_PARQUET + _CSV)


def require_columns(schema: pa.Schema, names: Sequence[str], where: str, advice: str = "") -> None:
    """Refuse a schema that lacks a column; `advice` says what to do next.

    Raises:
        DatasetError: The message names the first missing column, the nearest one, and all there are.
    """
    for name in names:
        if name in schema.names:
            continue
        near = difflib.get_close_matches(name, schema.names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise DatasetError(
            f"{where}: no column {name!r}{hint} Columns are: {', '.join(schema.names)}{advice}"
        )


def _list_files(filesystem: fs.FileSystem, path: str, uri: str) -> list[str]:
    selector = fs.FileSelector(path, recursive=True)
    listed = [info.path for info in filesystem.get_file_info(selector) if info.type == fs.FileType.File]
    below = {file: file.removeprefix(path).lstrip("/").split("/") for file in listed}
    files = sorted(file for file, parts in below.items() if not any(part[:1] in "._" for part in parts))
    if not files:
        raise DatasetError(f"{uri}: the folder holds no file; expected Parquet or CSV files")
    return files


def _kind_of(files: Sequence[str], uri: str) -> str:
    kinds = {
        "parquet": [file for file in files if file.lower().endswith(_PARQUET)],
        "csv": [file for file in files if file.lower().endswith(_CSV)],
    }
    strange = sorted(set(files) - set(kinds["parquet"]) - set(kinds["csv"]))
    if strange:
        raise DatasetError(
            f"{uri}: {strange[0]} is neither Parquet ({', '.join(_PARQUET)}) nor CSV (.csv); "
            "move it away, or let its name begin with _ or ."
        )
    found = [kind for kind, members in kinds.items() if members]
    if len(found) > 1:
        raise DatasetError(
            f"{uri}: holds both {kinds['parquet'][0]} and {kinds['csv'][0]}; expected one kind of file"
        )
    return found[0]
