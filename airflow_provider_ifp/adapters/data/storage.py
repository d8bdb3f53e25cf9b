"""Where files lie: a URI becomes an Arrow file system and a path; files appear whole or not at all."""

import os
import uuid
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow as pa
from pyarrow import fs

from airflow_provider_ifp.core.errors import DatasetError, DatasetUnreachableError

# Characters that stand in an address as they are; others, such as blanks, have to be escaped.
_OF_URIS = "%:/?#[]@!$&'()*+,;=~"
# A file on an object store appears whole when its upload ends; there, renaming would only copy it.
_OBJECT_STORES = frozenset({"s3", "gcs", "abfs"})


def resolve_uri(uri: str) -> tuple[fs.FileSystem, str]:
    """Find the file system that a URI names.

    Args:
        uri: A local path (`~` is expanded), or a URI that Arrow knows (`file://`, `s3://`, `gs://`,
            `hdfs://`) or, where `fsspec` is installed, one that fsspec knows.

    Returns:
        The file system, and the path on it.

    Raises:
        DatasetError: No file system is known for the URI, or it holds a password, which would stand in every
            record and message that names the dataset.
        DatasetUnreachableError: The store does not answer.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), str(Path(uri).expanduser().absolute())
    parts = urlsplit(uri)
    if parts.password is not None:
        raise DatasetError(
            f"{parts.scheme}://...@{parts.netloc.rpartition('@')[2]}{parts.path}: a password has no place in "
            "a dataset's address; give it by the environment or the store's own configuration "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, say)"
        )
    try:
        filesystem, path = fs.FileSystem.from_uri(quote(uri, safe=_OF_URIS))
    except pa.ArrowInvalid as error:
        return _resolve_with_fsspec(uri, str(error).splitlines()[0])
    except OSError as error:
        raise DatasetUnreachableError(
            f"{uri}: the store does not answer: {str(error).splitlines()[0]}"
        ) from None
    return filesystem, path.rstrip("/")


def write_atomically(filesystem: fs.FileSystem, path: str, content: bytes | pa.Buffer) -> None:
    """Write a file so that readers see all of it or nothing, also after a crash.

    On a local disk: a hidden temporary file in the same folder, fsync, rename, fsync of the folder. An object
    store is atomic by itself; any other file system gets a temporary file and a move.
    """
    # Whatever is no bytes is refused before a stream is open: closing one completes an upload.
    pa.py_buffer(content)
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
    if isinstance(filesystem, fs.LocalFileSystem):
        _write_locally(Path(temporary), Path(path), content)
        return
    whole_at_once = filesystem.type_name in _OBJECT_STORES
    if not whole_at_once:
        filesystem.create_dir(folder, recursive=True)
    with filesystem.open_output_stream(path if whole_at_once else temporary) as stream:
        stream.write(content)
    if not whole_at_once:
        filesystem.move(temporary, path)


def move_into_place(filesystem: fs.FileSystem, temporary: Path, path: str) -> None:
    """Give a whole file on the local disk its place, so that readers see all of it or nothing.

    Args:
        filesystem: Where to; the local one renames, any other one gets a copy.
        temporary: The file; where it is renamed it must lie in the folder of `path`.
        path: Its place.
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        _rename_locally(temporary, Path(path))
        return
    with pa.memory_map(str(temporary)) as source:
        write_atomically(filesystem, path, source.read_buffer())


def first_line(error: Exception) -> str:
    """Keep what Arrow says; the lines after it are its own stack."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _write_locally(temporary: Path, path: Path, content: bytes | pa.Buffer) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(content)
        _rename_locally(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _rename_locally(temporary: Path, path: Path) -> None:
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _resolve_with_fsspec(uri: str, reason: str) -> tuple[fs.FileSystem, str]:
    scheme = urlsplit(uri).scheme
    try:
        import fsspec
    except ImportError:
        raise DatasetError(
            f"{uri}: Arrow has no file system for {scheme}:// ({reason}); "
            f"install fsspec and its {scheme} backend"
        ) from None
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise DatasetError(f"{uri}: no file system for {scheme}://: {error}") from None
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path
