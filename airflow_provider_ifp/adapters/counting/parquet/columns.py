"""Read Parquet files one column of one row group at a time.

That is the cheapest way to decode them (10 million rows of 20 numbers and 5 texts: 1.2 to 1.6 s of CPU and
130 MB; in batches of all columns 3.2 s and 1.8 GB), text stays a dictionary where the file has one, and
memory depends neither on the number of rows nor on that of the columns.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from airflow_provider_ifp.adapters.counting.columns import place_of
from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.core.errors import DamagedFileError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

# A larger row group is decoded in parts of so many rows: 8 MB of numbers.
_PART_ROWS: Final = 1_048_576
_LARGE_GROUP: Final = 4 * _PART_ROWS
# A local column is read in pieces of so many bytes: decoding takes 8 to 10% less CPU. From a store each
# piece would be a request of its own, so there a column chunk is read at once.
_LOCAL_PIECE: Final = 262_144


@contextmanager
def opened(
    path: str, filesystem: fs.FileSystem | None, *, within: str | None, texts: Collection[str] = ()
) -> Iterator[pq.ParquetFile]:
    """Open a file; what goes wrong until it is closed is said of this file.

    Args:
        path: The file's.
        filesystem: Where it is; None: the local disk.
        within: The struct column that holds the features; None: they are columns of the file.
        texts: Features to read as dictionaries; those that the file has not do not matter.

    Raises:
        DamagedFileError: The file cannot be read.
        DatasetError: One was raised meanwhile; the file's path stands before it.
    """
    place = filesystem or fs.LocalFileSystem()
    try:
        with place.open_input_file(path) as source:
            metadata = pq.read_metadata(source)
            there = {metadata.schema.column(number).path for number in range(metadata.num_columns)}
            wanted = {path_of(name, within) for name in texts}
            # Read ahead, a row group of all columns would be in memory at once.
            yield pq.ParquetFile(
                source,
                metadata=metadata,
                read_dictionary=sorted(wanted & there),
                pre_buffer=False,
                buffer_size=_LOCAL_PIECE if isinstance(place, fs.LocalFileSystem) else 0,
            )
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError(
            f"{path} cannot be read: {first_line(error)}; restore or remove that file"
        ) from None
    except DamagedFileError:
        raise
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None


def footer_rows(paths: Sequence[str], filesystem: fs.FileSystem | None) -> int:
    """Return the rows of files, as their footers say.

    Raises:
        DamagedFileError: A file cannot be read.
    """
    rows = 0
    for path in paths:
        with opened(path, filesystem, within=None) as file:
            rows += file.metadata.num_rows
    return rows


def feature_schema(file: pq.ParquetFile, within: str | None) -> pa.Schema:
    """Return the names and types of the features.

    Raises:
        DatasetError: There is no column `within`.
    """
    schema: pa.Schema = file.schema_arrow
    if within is None:
        return schema
    return pa.schema(schema.field(place_of(schema, within)).type.fields)


def column_parts(
    file: pq.ParquetFile, group: int, name: str, within: str | None
) -> Iterator[Sequence[pa.Array]]:
    """Read a feature's column of a row group: at once, or in parts where the group is large."""
    columns = [path_of(name, within)]
    if file.metadata.row_group(group).num_rows <= _LARGE_GROUP:
        column = file.read_row_group(group, columns=columns, use_threads=False).column(0)
        yield [_inner(chunk, within) for chunk in column.chunks]
        return
    for batch in file.iter_batches(_PART_ROWS, row_groups=[group], columns=columns, use_threads=False):
        yield [_inner(batch.column(0), within)]


def path_of(name: str, within: str | None) -> str:
    """Return what Parquet calls a feature."""
    return name if within is None else f"{within}.{name}"


def _inner(chunk: pa.Array, within: str | None) -> pa.Array:
    # Unlike `field`, `flatten` gives nulls where the whole struct is null.
    return chunk if within is None else chunk.flatten()[0]
